"""`keras.utils.losses_utils` of Keras 2."""
