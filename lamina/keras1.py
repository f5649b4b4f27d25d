"""Keras 1.2.2 as a module tree: `lamina.keras1.layers`, `lamina.keras1.models`, ... Made from its table."""

from .generations.namespaces import open_namespace

open_namespace("keras1")
