"""Densely connected networks."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.symbolic import SymbolicTensor
from ..layers import AveragePooling2D, Concatenate, MaxPooling2D, ZeroPadding2D
from ..models import Functional
from ._blocks import Blocks
from ._network import Network, application, channels_of, tf_kernels
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing

_GROWTH = 32  # channels that each block adds
_BLOCKS = Blocks(options={"use_bias": False}, normal={"epsilon": 1.001e-5})
_LAST = Blocks("conv bn relu", normal={"epsilon": 1.001e-5})

preprocess_input = preprocessing("torch")


@application("densenet121")
def DenseNet121(net: Network) -> Functional:
    """A densely connected network of 121 layers with weights (Huang et al. 2016, arXiv:1608.06993)."""
    return _densenet(net, (6, 12, 24, 16))


@application("densenet169")
def DenseNet169(net: Network) -> Functional:
    """A densely connected network of 169 layers with weights (Huang et al. 2016, arXiv:1608.06993)."""
    return _densenet(net, (6, 12, 32, 32))


@application("densenet201")
def DenseNet201(net: Network) -> Functional:
    """A densely connected network of 201 layers with weights (Huang et al. 2016, arXiv:1608.06993)."""
    return _densenet(net, (6, 12, 48, 32))


def _densenet(net: Network, blocks: Sequence[int]) -> Functional:
    net.only_channels_last()
    x = _BLOCKS(ZeroPadding2D(3)(net.input(224, 32)), "conv1", 64, 7, strides=2)
    x = MaxPooling2D(3, strides=2, name="pool1")(ZeroPadding2D(1)(x))
    for stage, count in enumerate(blocks, 2):
        if stage > 2:
            x = _transition(x, f"pool{stage - 1}")
        for number in range(1, count + 1):
            x = _block(x, f"conv{stage}_block{number}")
    x = net.top(_LAST.norm(x, "last", active=True))
    return net.model(x, tf_kernels(f"densenet/{net.architecture.lower()}"))


def _block(x: SymbolicTensor, name: str) -> SymbolicTensor:
    """What came in, and the channels that two convolutions of it add."""
    y = _BLOCKS.norm(x, f"{name}_0", active=True)
    y = _BLOCKS(y, f"{name}_1", 4 * _GROWTH, 1)
    y = _BLOCKS.conv(y, f"{name}_2", _GROWTH, 3, padding="same")
    return Concatenate(axis=3, name=f"{name}_concat")([x, y])


def _transition(x: SymbolicTensor, name: str) -> SymbolicTensor:
    """Half the channels, half the height and width."""
    y = _BLOCKS.conv(_BLOCKS.norm(x, name, active=True), name, channels_of(x) // 2, 1)
    return AveragePooling2D(2, strides=2, name=f"{name}_pool")(y)
