"""Networks for pictures, as Keras has them: architectures, published weights, and what goes with them."""

from . import imagenet_utils as imagenet_utils
from . import resnet as resnet
from . import resnet50 as resnet50
from . import vgg16 as vgg16
from . import vgg19 as vgg19
from .resnet import ResNet50 as ResNet50
from .resnet import ResNet101 as ResNet101
from .resnet import ResNet152 as ResNet152
from .vgg16 import VGG16 as VGG16
from .vgg19 import VGG19 as VGG19

__all__ = [
    "VGG16",
    "VGG19",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "imagenet_utils",
    "resnet",
    "resnet50",
    "vgg16",
    "vgg19",
]
