"""All layers."""

from ..core.layer import InputSpec as InputSpec
from ..core.layer import Layer as Layer
from .dense import Dense as Dense
from .input import Input as Input
from .input import InputLayer as InputLayer
from .torch_module import TorchModuleWrapper as TorchModuleWrapper
