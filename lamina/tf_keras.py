"""tf_keras 2.21 as a module tree: `lamina.tf_keras.layers`, `lamina.tf_keras.models`, ... Made from its table."""

from .generations.namespaces import open_namespace

open_namespace("tf_keras")
