"""Models: sequential, functional and subclassed; cloning, saving and loading them."""

from ..files import load_model, save_model
from .cloning import clone_model
from .from_config import model_from_config, model_from_json, model_from_yaml
from .functional import Functional
from .model import Model
from .sequential import Sequential

__all__ = [
    "Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_config", "model_from_json",
    "model_from_yaml", "save_model",
]  # fmt: skip
