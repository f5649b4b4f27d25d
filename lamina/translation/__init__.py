"""What each generation of Keras calls things, as tables, and the pure functions that apply them."""
