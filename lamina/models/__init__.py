"""Models: sequential, functional and subclassed; cloning, saving and loading them."""

from ..files import load_model as load_model
from ..files import save_model as save_model
from .cloning import clone_model as clone_model
from .from_config import model_from_config as model_from_config
from .from_config import model_from_json as model_from_json
from .from_config import model_from_yaml as model_from_yaml
from .functional import Functional as Functional
from .model import Model as Model
from .sequential import Sequential as Sequential

__all__ = [
    "Functional",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_config",
    "model_from_json",
    "model_from_yaml",
    "save_model",
]
