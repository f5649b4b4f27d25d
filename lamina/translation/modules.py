"""What the modules of a generation hold beside the classes and functions of its tables: names by module.

Modules that hold nothing else, and names that were there only because a module imported them, which
`from keras.layers.core import *` and `keras.callbacks.K` rely on. `generations/names.py` knows what a name means.
"""

from __future__ import annotations

from .lists import listed

_LISTS = listed("modules.json")
# The modules of K, whose functions `K` has.
BACKENDS = dict.fromkeys(
    ("backend.tensorflow_backend", "backend.theano_backend", "backend.common", "backend.numpy_backend"), "backend"
)
KERAS1: dict[str, str] = _LISTS["keras1"]
KERAS2: dict[str, str] = _LISTS["keras2"]
# Names that modules import from outside of Keras, and where these are.
OUTSIDE: dict[str, str] = {name: name for name in _LISTS["outside"].split()} | _LISTS["outside_as"]
TF_KERAS = {home: KERAS2[home] for home in _LISTS["as_in_keras2"].split()} | _LISTS["tf_keras"]
