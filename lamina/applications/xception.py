"""Xception: Inception with separable convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.symbolic import SymbolicTensor
from ..layers import Add, MaxPooling2D, SeparableConv2D
from ..models import Functional
from ._blocks import Blocks
from ._network import Network, application, tf_kernels
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing

_BLOCKS = Blocks("{} {}_bn {}_act", {"use_bias": False}, axis=-1)
# Filters of the separable convolutions in the residual blocks, from block 2 on.
_FILTERS = ((128, 128), (256, 256), (728, 728), *[(728, 728, 728)] * 8, (728, 1024))

preprocess_input = preprocessing("tf")


@application("xception")
def Xception(net: Network) -> Functional:
    """A network of separable convolutions in residual blocks (Chollet 2016, arXiv:1610.02357)."""
    x = _BLOCKS(net.input(299, 71), "block1_conv1", 32, 3, strides=2)
    x = _BLOCKS(x, "block1_conv2", 64, 3)
    for block, filters in enumerate(_FILTERS, 2):
        x = _block(x, f"block{block}", filters, active=block > 2)
    x = _separable(x, "block14_sepconv1", 1536, active=True)
    x = _separable(x, "block14_sepconv2", 2048, active=True)
    return net.model(net.top(x, named=False), tf_kernels("xception/xception"))


def _block(x: SymbolicTensor, name: str, filters: Sequence[int], active: bool) -> SymbolicTensor:
    """Two convolutions that halve height and width, or three that keep them; active: an activation comes first."""
    halves = len(filters) == 2
    shortcut = _BLOCKS(x, None, filters[-1], 1, strides=2, padding="same", active=False) if halves else x
    for number, count in enumerate(filters, 1):
        x = _BLOCKS.act(x, f"{name}_sepconv{number}") if active or number > 1 else x
        x = _separable(x, f"{name}_sepconv{number}", count)
    if halves:
        x = MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(x)
    return Add()([x, shortcut])


def _separable(x: SymbolicTensor, name: str, filters: int, active: bool = False) -> SymbolicTensor:
    return _BLOCKS(x, name, filters, 3, kind=SeparableConv2D, padding="same", active=active)
