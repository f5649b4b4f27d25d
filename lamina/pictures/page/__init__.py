"""The page in the browser: what a layer does, from its arguments, at once."""
