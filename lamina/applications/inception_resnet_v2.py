"""Inception with residual connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..core.declare import arg, number
from ..core.symbolic import SymbolicTensor
from ..layers.merge import Merge
from ..models import Functional
from ._network import Network, application, channels_of, tf_kernels
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing
from .inception_v3 import BLOCKS, STEM, chain, mixed, wide

_BLOCK35: list[list[Any]] = [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (48, 3), (64, 3)]]
_BLOCK17: list[list[Any]] = [[(192, 1)], [(128, 1), (160, (1, 7)), (192, (7, 1))]]
_BLOCK8: list[list[Any]] = [[(192, 1)], [(192, 1), (224, (1, 3)), (256, (3, 1))]]

preprocess_input = preprocessing("tf")


class CustomScaleLayer(Merge):
    """The sum of two inputs, the second one scaled."""

    _home = "keras.src.applications.inception_resnet_v2"

    scale: float = arg(number(), doc="Factor of the second input.")

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        first, second = inputs
        return torch.add(first, second, alpha=self.scale)


@application("inception_resnet_v2")
def InceptionResNetV2(net: Network) -> Functional:
    """Inception whose blocks add to what came in (Szegedy et al. 2016, arXiv:1602.07261)."""
    x = mixed(chain(net.input(299, 75), *STEM), "mixed_5b", *wide(96, 64))
    for count in range(1, 11):
        x = _block(x, f"block35_{count}", _BLOCK35, 0.17)
    x = mixed(x, "mixed_6a", [(384, 3, 2)], [(256, 1), (256, 3), (384, 3, 2)], ["max"])
    for count in range(1, 21):
        x = _block(x, f"block17_{count}", _BLOCK17, 0.1)
    narrow = [[(256, 1), (384, 3, 2)], [(256, 1), (288, 3, 2)], [(256, 1), (288, 3), (320, 3, 2)], ["max"]]
    x = mixed(x, "mixed_7a", *narrow)
    for count in range(1, 10):
        x = _block(x, f"block8_{count}", _BLOCK8, 0.2)
    x = _block(x, "block8_10", _BLOCK8, 1.0, active=False)
    x = net.top(BLOCKS(x, "conv_7b", 1536, 1), named=False)
    return net.model(x, tf_kernels("inception_resnet_v2/inception_resnet_v2"))


def _block(
    x: SymbolicTensor, name: str, branches: list[list[Any]], scale: float, active: bool = True
) -> SymbolicTensor:
    y = mixed(x, f"{name}_mixed", *branches)
    y = BLOCKS.conv(y, f"{name}_conv", channels_of(x), 1, use_bias=True)
    y = CustomScaleLayer(scale)([x, y])
    return BLOCKS.act(y, name) if active else y
