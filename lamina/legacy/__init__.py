"""Keras' own name for what only its second generation needs."""

from . import saving as saving

__all__ = ["saving"]
