"""Models: sequential, functional and subclassed; cloning, saving and loading them."""

from ..files import load_model as load_model
from ..files import save_model as save_model
from .cloning import clone_model as clone_model
from .cloning import model_from_json as model_from_json
from .functional import Functional as Functional
from .model import Model as Model
from .sequential import Sequential as Sequential

__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]
