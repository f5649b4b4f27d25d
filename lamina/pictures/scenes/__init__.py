"""Scenes of layers, one file for each idea."""

from .kinds import At as At
from .kinds import scenes as scenes
