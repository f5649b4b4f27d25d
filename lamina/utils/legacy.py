"""The same as `lamina.legacy.saving`, where Keras has it too."""

from ..legacy.saving import deserialize_keras_object as deserialize_keras_object
from ..legacy.saving import serialize_keras_object as serialize_keras_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]
