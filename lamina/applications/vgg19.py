"""VGG of 19 layers with weights."""

from __future__ import annotations

from ..models import Functional
from ._network import Network, application
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing
from .vgg16 import vgg

preprocess_input = preprocessing("caffe")


@application("vgg19")
def VGG19(net: Network) -> Functional:
    """VGG of 16 convolutions and 3 dense layers (Simonyan and Zisserman 2014, arXiv:1409.1556)."""
    return vgg(net, (2, 2, 4, 4, 4))
