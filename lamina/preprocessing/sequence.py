"""Sequences as arrays: see `lamina.utils`."""

from ..utils import pad_sequences as pad_sequences

__all__ = ["pad_sequences"]
