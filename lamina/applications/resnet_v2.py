"""Residual networks whose normalizations and activations come before the convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.symbolic import SymbolicTensor
from ..layers import Add, MaxPooling2D, ZeroPadding2D
from ..models import Functional
from ._network import Network, application, tf_kernels
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing
from .resnet import BLOCKS, stem

preprocess_input = preprocessing("tf")


@application("resnet50v2")
def ResNet50V2(net: Network) -> Functional:
    """A pre-activated residual network of 50 layers with weights (He et al. 2016, arXiv:1603.05027)."""
    return _resnet(net, (3, 4, 6, 3))


@application("resnet101v2")
def ResNet101V2(net: Network) -> Functional:
    """A pre-activated residual network of 101 layers with weights (He et al. 2016, arXiv:1603.05027)."""
    return _resnet(net, (3, 4, 23, 3))


@application("resnet152v2")
def ResNet152V2(net: Network) -> Functional:
    """A pre-activated residual network of 152 layers with weights (He et al. 2016, arXiv:1603.05027)."""
    return _resnet(net, (3, 8, 36, 3))


def _resnet(net: Network, blocks: Sequence[int]) -> Functional:
    x = ZeroPadding2D(3, name="conv1_pad")(net.input(224, 32))
    x = stem(BLOCKS.conv(x, "conv1", 64, 7, strides=2))
    for stage, count in enumerate(blocks):
        for number in range(1, count + 1):
            strides = 2 if stage < 3 and number == count else 1
            x = _block(x, f"conv{stage + 2}_block{number}", 64 * 2**stage, strides, widens=number == 1)
    x = net.top(BLOCKS.norm(x, "post", active=True))
    return net.model(x, tf_kernels(f"resnet/{net.architecture.lower()}"))


def _block(x: SymbolicTensor, name: str, filters: int, strides: int, widens: bool) -> SymbolicTensor:
    """Bottleneck: 1x1, 3x3, 1x1; added to what came in, in the sizes that go out."""
    before = BLOCKS.norm(x, f"{name}_preact", active=True)
    if widens:
        x = BLOCKS.conv(before, f"{name}_0", 4 * filters, 1, strides=strides)
    elif strides > 1:
        x = MaxPooling2D(1, strides=strides)(x)
    y = BLOCKS(before, f"{name}_1", filters, 1, use_bias=False)
    y = ZeroPadding2D(1, name=f"{name}_2_pad")(y)
    y = BLOCKS(y, f"{name}_2", filters, 3, strides=strides, use_bias=False)
    y = BLOCKS.conv(y, f"{name}_3", 4 * filters, 1)
    return Add(name=f"{name}_out")([x, y])
