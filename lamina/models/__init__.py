"""Models: sequential, functional and subclassed."""

from .functional import Functional as Functional
from .model import Model as Model
from .sequential import Sequential as Sequential

__all__ = ["Functional", "Model", "Sequential"]
