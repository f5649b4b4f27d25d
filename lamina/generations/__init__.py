"""Older generations of Keras on today's layers: `lamina.keras1`, `lamina.keras2`, `lamina.tf_keras`.

`install("keras1")` makes `import keras` mean one of them for the process.
"""

from .alias import install as install
from .alias import uninstall as uninstall
from .detect import detect as detect
from .modernize import modern_from_config as modern_from_config
