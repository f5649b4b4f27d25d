"""Residual networks."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.symbolic import SymbolicTensor
from ..layers import Activation, Add, MaxPooling2D, ZeroPadding2D
from ..models import Functional
from ._blocks import Blocks
from ._network import Network, application, tf_kernels
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing

preprocess_input = preprocessing("caffe")
BLOCKS = Blocks(normal={"epsilon": 1.001e-5})


@application("resnet50")
def ResNet50(net: Network) -> Functional:
    """A residual network of 50 layers with weights (He et al. 2015, arXiv:1512.03385)."""
    return _resnet(net, (3, 4, 6, 3))


@application("resnet101")
def ResNet101(net: Network) -> Functional:
    """A residual network of 101 layers with weights (He et al. 2015, arXiv:1512.03385)."""
    return _resnet(net, (3, 4, 23, 3))


@application("resnet152")
def ResNet152(net: Network) -> Functional:
    """A residual network of 152 layers with weights (He et al. 2015, arXiv:1512.03385)."""
    return _resnet(net, (3, 8, 36, 3))


def _resnet(net: Network, blocks: Sequence[int]) -> Functional:
    x = stem(BLOCKS(ZeroPadding2D(3, name="conv1_pad")(net.input(224, 32)), "conv1", 64, 7, strides=2))
    for stage, count in enumerate(blocks):
        for number in range(1, count + 1):
            strides = 2 if stage and number == 1 else 1
            x = _block(x, f"conv{stage + 2}_block{number}", 64 * 2**stage, strides, widens=number == 1)
    return net.model(net.top(x), tf_kernels(f"resnet/{net.architecture.lower()}"))


def _block(x: SymbolicTensor, name: str, filters: int, strides: int, widens: bool) -> SymbolicTensor:
    """Bottleneck: 1x1, 3x3, 1x1; added to what came in, itself convolved where the sizes change."""
    shortcut = BLOCKS(x, f"{name}_0", 4 * filters, 1, strides=strides, active=False) if widens else x
    x = BLOCKS(x, f"{name}_1", filters, 1, strides=strides)
    x = BLOCKS(x, f"{name}_2", filters, 3, padding="same")
    x = BLOCKS(x, f"{name}_3", 4 * filters, 1, active=False)
    return Activation("relu", name=f"{name}_out")(Add(name=f"{name}_add")([shortcut, x]))


def stem(x: SymbolicTensor) -> SymbolicTensor:
    """What follows the first convolution."""
    return MaxPooling2D(3, strides=2, name="pool1_pool")(ZeroPadding2D(1, name="pool1_pad")(x))
