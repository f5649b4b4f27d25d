"""EfficientNets: one network, made wider, deeper and finer in fixed proportions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from .. import layers
from ..core.symbolic import SymbolicTensor
from ..models import Functional
from ._blocks import Blocks, padded_to_halve, rounded
from ._network import STAGES, Network, Published, application, channel_axis, channels_of, shaped
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing

# Of each stage: blocks, filters, how many times wider they are inside, kernel, strides of the first.
_STAGES = STAGES["EfficientNet"]
_DEVIATIONS = (0.229, 0.224, 0.225)  # of ImageNet's channels, of values up to 1


def _scaled(scale: float, distribution: str) -> dict[str, Any]:
    options = {"scale": scale, "mode": "fan_out", "distribution": distribution}
    return {"class_name": "VarianceScaling", "config": options}


_KERNELS = _scaled(2.0, "truncated_normal")
BLOCKS = Blocks(
    "{}conv {}bn {}activation",
    {"padding": "same", "use_bias": False, "kernel_initializer": _KERNELS},
    activate=lambda name: layers.Activation("swish", name=name),
)

preprocess_input = preprocessing(None)


@application("efficientnetb0")
def EfficientNetB0(net: Network) -> Functional:
    """The network that the others are made from (Tan and Le 2019, arXiv:1905.11946)."""
    return _efficientnet(net, 1.0, 1.0, 224, 0.2)


@application("efficientnetb1")
def EfficientNetB1(net: Network) -> Functional:
    """1.0 times as wide and 1.1 times as deep as EfficientNetB0 (Tan and Le 2019, arXiv:1905.11946)."""
    return _efficientnet(net, 1.0, 1.1, 240, 0.2)


@application("efficientnetb2")
def EfficientNetB2(net: Network) -> Functional:
    """1.1 times as wide and 1.2 times as deep as EfficientNetB0 (Tan and Le 2019, arXiv:1905.11946)."""
    return _efficientnet(net, 1.1, 1.2, 260, 0.3)


@application("efficientnetb3")
def EfficientNetB3(net: Network) -> Functional:
    """1.2 times as wide and 1.4 times as deep as EfficientNetB0 (Tan and Le 2019, arXiv:1905.11946)."""
    return _efficientnet(net, 1.2, 1.4, 300, 0.3)


@application("efficientnetb4")
def EfficientNetB4(net: Network) -> Functional:
    """1.4 times as wide and 1.8 times as deep as EfficientNetB0 (Tan and Le 2019, arXiv:1905.11946)."""
    return _efficientnet(net, 1.4, 1.8, 380, 0.4)


@application("efficientnetb5")
def EfficientNetB5(net: Network) -> Functional:
    """1.6 times as wide and 2.2 times as deep as EfficientNetB0 (Tan and Le 2019, arXiv:1905.11946)."""
    return _efficientnet(net, 1.6, 2.2, 456, 0.4)


@application("efficientnetb6")
def EfficientNetB6(net: Network) -> Functional:
    """1.8 times as wide and 2.6 times as deep as EfficientNetB0 (Tan and Le 2019, arXiv:1905.11946)."""
    return _efficientnet(net, 1.8, 2.6, 528, 0.5)


@application("efficientnetb7")
def EfficientNetB7(net: Network) -> Functional:
    """2.0 times as wide and 3.1 times as deep as EfficientNetB0 (Tan and Le 2019, arXiv:1905.11946)."""
    return _efficientnet(net, 2.0, 3.1, 600, 0.5)


def _efficientnet(net: Network, wide: float, deep: float, size: int, dropout: float) -> Functional:
    x = layers.Normalization(axis=channel_axis())(layers.Rescaling(1 / 255)(net.input(size, 32)))
    if net.pretrained:  # they were trained with a division by the variance
        x = layers.Rescaling([1 / math.sqrt(each) for each in _DEVIATIONS])(x)
    x, padding = padded_to_halve(x, 3, "stem_conv_pad")
    x = BLOCKS(x, "stem_", rounded(32 * wide), 3, strides=2, padding=padding)
    block = partial(bottleneck, blocks=BLOCKS)
    stages = [
        (block, math.ceil(deep * count), rounded(filters * wide), wider, kernel, strides)
        for count, filters, wider, kernel, strides in _STAGES
    ]
    x = stacked(x, stages, sum(count for _, count, *_ in stages))
    x = finished(net, x, BLOCKS, rounded(1280 * wide), dropout)
    folder = "https://storage.googleapis.com/keras-applications/"
    return net.model(x, Published(f"{folder}{net.architecture.lower()}{{}}.h5"))


def stacked(
    x: SymbolicTensor, stages: Iterable[tuple[Callable, int, int, int, int, int]], count: int
) -> SymbolicTensor:
    """stages: what makes a block, how many there are, filters, how many times wider inside, kernel, strides of the
    first. count: of blocks in all; the later one is, the more often training leaves it out."""
    number = 0
    for stage, (block, repeats, filters, wider, kernel, first) in enumerate(stages, 1):
        for index in range(repeats):
            name, strides = f"block{stage}{chr(ord('a') + index)}_", 1 if index else first
            y = block(x, name, filters, wider, kernel, strides)
            if strides == 1 and channels_of(x) == filters:
                if number:
                    y = layers.Dropout(0.2 * number / count, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(y)
                y = layers.Add(name=f"{name}add")([y, x])
            x, number = y, number + 1
    return x


def bottleneck(
    x: SymbolicTensor, name: str, filters: int, wider: int, kernel: int, strides: int, blocks: Blocks,
    depthwise: str = "dwconv",
) -> SymbolicTensor:  # fmt: skip
    """Wider, depthwise, excited, narrower. depthwise: what the second convolution is called."""
    channels, padding = channels_of(x), "same"
    y = blocks(x, f"{name}expand_", wider * channels, 1) if wider > 1 else x
    if strides == 2 and blocks is BLOCKS:
        y, padding = padded_to_halve(y, kernel, f"{name}dwconv_pad")
    options: dict[str, Any] = {"padding": padding, "use_bias": False, "depthwise_initializer": _KERNELS}
    y = layers.DepthwiseConv2D(kernel, strides=strides, **options, name=name + depthwise)(y)
    y = _excited(blocks.norm(y, name, active=True), f"{name}se_", max(1, channels // 4))
    return blocks(y, f"{name}project_", filters, 1, active=False)


def _excited(x: SymbolicTensor, name: str, between: int) -> SymbolicTensor:
    """Squeeze and excitation: each channel times what a small network makes of all channels' means."""
    channels = channels_of(x)
    y = layers.Reshape(shaped(1, channels), name=f"{name}reshape")(
        layers.GlobalAveragePooling2D(name=f"{name}squeeze")(x)
    )
    options: dict[str, Any] = {"padding": "same", "kernel_initializer": _KERNELS}
    y = layers.Conv2D(between, 1, activation="swish", **options, name=f"{name}reduce")(y)
    y = layers.Conv2D(channels, 1, activation="sigmoid", **options, name=f"{name}expand")(y)
    return layers.Multiply(name=f"{name}excite")([x, y])


def finished(
    net: Network, x: SymbolicTensor, blocks: Blocks, filters: int, dropout: float, **options: Any
) -> SymbolicTensor:
    """The last convolution and the top. options: of the classifier."""
    x = blocks(x, "top_", filters, 1)
    if not net.include_top:
        return net.pooled(x, named=True)
    x = layers.Dropout(dropout, name="top_dropout")(layers.GlobalAveragePooling2D(name="avg_pool")(x))
    return net.classified(x, kernel_initializer=_scaled(1 / 3, "uniform"), **options)
