"""Utilities."""

from .core.random import set_random_seed as set_random_seed
