"""What Keras 1 and 2 had around layers in `keras.utils` and `keras.engine`, in files of the same names.

Which of it a module of a generation has is a table: `translation/modules.py`.
"""
