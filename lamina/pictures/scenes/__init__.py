"""Scenes of layers, one file for each idea."""

from . import attention, axes, masks, merging, places, time, windows  # noqa: F401  (each registers what it draws)
from .kinds import At as At
from .kinds import scenes as scenes
