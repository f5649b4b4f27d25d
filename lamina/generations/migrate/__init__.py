"""Source written for Keras 1, 2 or tf.keras as source for Keras 3: `migrate`, and the command `lamina migrate`."""

from .sources import Migrated as Migrated
from .sources import migrate as migrate
