"""Inception, the third version."""

from __future__ import annotations

from typing import Any

from ..core.symbolic import SymbolicTensor
from ..layers import AveragePooling2D, Concatenate, MaxPooling2D
from ..models import Functional
from ._blocks import Blocks
from ._network import Network, application, channel_axis, tf_kernels
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing

BLOCKS = Blocks("{} {}_bn {}_ac", {"padding": "same", "use_bias": False}, {"scale": False})
# The steps of `chain` that both networks begin with.
STEM = ((32, 3, 2), (32, 3, 1), (64, 3), "max", (80, 1, 1), (192, 3, 1), "max")

preprocess_input = preprocessing("tf")


@application("inception_v3")
def InceptionV3(net: Network) -> Functional:
    """Inception with factored convolutions (Szegedy et al. 2015, arXiv:1512.00567)."""
    x = chain(net.input(299, 75), *STEM)
    for number, filters in enumerate((32, 64, 64)):
        x = mixed(x, f"mixed{number}", *wide(64, filters))
    x = mixed(x, "mixed3", [(384, 3, 2)], [(64, 1), (96, 3), (96, 3, 2)], ["max"])
    for number, n in enumerate((128, 160, 160, 192), 4):
        twice = [(n, 1), (n, (7, 1)), (n, (1, 7)), (n, (7, 1)), (192, (1, 7))]
        once = [(n, 1), (n, (1, 7)), (192, (7, 1))]
        x = mixed(x, f"mixed{number}", [(192, 1)], once, twice, ["avg", (192, 1)])
    last = [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)]
    x = mixed(x, "mixed8", [(192, 1), (320, 3, 2)], last, ["max"])
    for number in range(2):
        forked = [[(384, (1, 3))], [(384, (3, 1))]]
        branches = [
            chain(x, (320, 1)),
            mixed(chain(x, (384, 1)), f"mixed9_{number}", *forked),
            mixed(chain(x, (448, 1), (384, 3)), None, *forked),
            chain(x, "avg", (192, 1)),
        ]
        x = Concatenate(axis=channel_axis(), name=f"mixed{9 + number}")(branches)
    return net.model(net.top(x, named=False), tf_kernels("inception_v3/inception_v3"))


def wide(first: int, last: int) -> list[list[Any]]:
    """The branches of the first mixed layers."""
    return [[(first, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)], ["avg", (last, 1)]]


def mixed(x: SymbolicTensor, name: Any, *branches: list[Any]) -> SymbolicTensor:
    """The channels of all branches, each a `chain` of its own."""
    return Concatenate(axis=channel_axis(), name=name)([chain(x, *branch) for branch in branches])


def chain(x: SymbolicTensor, *steps: Any) -> SymbolicTensor:
    """One step after another: a convolution (filters, kernel), or (filters, kernel, strides) without padding; a mean
    over neighbours, "avg"; half the height and width, "max"."""
    for step in steps:
        if step == "avg":
            x = AveragePooling2D(3, strides=1, padding="same")(x)
        elif step == "max":
            x = MaxPooling2D(3, strides=2)(x)
        elif len(step) == 3:
            x = BLOCKS(x, None, *step, padding="valid")
        else:
            x = BLOCKS(x, None, *step)
    return x
