"""Keras 2.3.1 as a module tree: `lamina.keras2.layers`, `lamina.keras2.models`, ... Made from its table."""

from .generations.namespaces import open_namespace

open_namespace("keras2")
