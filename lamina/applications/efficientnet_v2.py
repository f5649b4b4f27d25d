"""EfficientNetV2: EfficientNets whose first stages are plain convolutions, which train faster."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from ..core.symbolic import SymbolicTensor
from ..initializers import Constant
from ..layers import Normalization, Rescaling
from ..models import Functional
from ._blocks import rounded
from ._network import Network, Published, application, channel_axis, channels_of
from .efficientnet import BLOCKS, bottleneck, finished, stacked
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing

_ORDER = "include_top weights input_tensor input_shape pooling classes classifier_activation include_preprocessing name"
# Filters of the stem, blocks of each stage and their filters.
_B = 32, (1, 2, 2, 3, 5, 8), (16, 32, 48, 96, 112, 192)
_S = 24, (2, 4, 4, 6, 9, 15), (24, 48, 64, 128, 160, 256)
_M = 24, (3, 5, 5, 7, 14, 18, 5), (24, 48, 80, 160, 176, 304, 512)
_L = 32, (4, 7, 7, 10, 19, 25, 7), (32, 64, 96, 192, 224, 384, 640)
_WIDER = (1, 4, 4, 4, 6, 6, 6)  # how many times wider the blocks of each stage are inside
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_FUSED = 3  # so many stages have no depthwise convolutions
_MEANS, _VARIANCES = [0.485, 0.456, 0.406], [0.229**2, 0.224**2, 0.225**2]
_BLOCKS = replace(BLOCKS, normal={"momentum": 0.9})

preprocess_input = preprocessing(None)


@application("efficientnetv2-b0", _ORDER)
def EfficientNetV2B0(net: Network, include_preprocessing: bool = True) -> Functional:
    """The smallest of networks that train faster (Tan and Le 2021, arXiv:2104.00298).

    include_preprocessing: whether the network takes values from 0 to 255; else from -1 to 1.
    """
    return _efficientnet(net, _B, 1.0, 1.0, 224, include_preprocessing)


@application("efficientnetv2-b1", _ORDER)
def EfficientNetV2B1(net: Network, include_preprocessing: bool = True) -> Functional:
    """1.0 times as wide and 1.1 times as deep as EfficientNetV2B0 (Tan and Le 2021, arXiv:2104.00298)."""
    return _efficientnet(net, _B, 1.0, 1.1, 240, include_preprocessing)


@application("efficientnetv2-b2", _ORDER)
def EfficientNetV2B2(net: Network, include_preprocessing: bool = True) -> Functional:
    """1.1 times as wide and 1.2 times as deep as EfficientNetV2B0 (Tan and Le 2021, arXiv:2104.00298)."""
    return _efficientnet(net, _B, 1.1, 1.2, 260, include_preprocessing)


@application("efficientnetv2-b3", _ORDER)
def EfficientNetV2B3(net: Network, include_preprocessing: bool = True) -> Functional:
    """1.2 times as wide and 1.4 times as deep as EfficientNetV2B0 (Tan and Le 2021, arXiv:2104.00298)."""
    return _efficientnet(net, _B, 1.2, 1.4, 300, include_preprocessing)


@application("efficientnetv2-s", _ORDER)
def EfficientNetV2S(net: Network, include_preprocessing: bool = True) -> Functional:
    """A network that trains faster, the smallest of three that search found (Tan and Le 2021, arXiv:2104.00298)."""
    return _efficientnet(net, _S, 1.0, 1.0, 384, include_preprocessing)


@application("efficientnetv2-m", _ORDER)
def EfficientNetV2M(net: Network, include_preprocessing: bool = True) -> Functional:
    """A network that trains faster, the second of three that search found (Tan and Le 2021, arXiv:2104.00298)."""
    return _efficientnet(net, _M, 1.0, 1.0, 480, include_preprocessing)


@application("efficientnetv2-l", _ORDER)
def EfficientNetV2L(net: Network, include_preprocessing: bool = True) -> Functional:
    """A network that trains faster, the largest of three that search found (Tan and Le 2021, arXiv:2104.00298)."""
    return _efficientnet(net, _L, 1.0, 1.0, 480, include_preprocessing)


def _efficientnet(net: Network, stages: tuple, wide: float, deep: float, size: int, preprocess: bool) -> Functional:
    stem, counts, filters = stages
    x = net.input(size, 32)
    if preprocess and stages is _B and channels_of(x) == 3:
        x = Normalization(mean=_MEANS, variance=_VARIANCES, axis=channel_axis())(Rescaling(1 / 255)(x))
    elif preprocess:
        x = Rescaling(1 / 128, -1)(x)
    x = _BLOCKS(x, "stem_", _rounded(stem * wide), 3, strides=2)
    plain, slim = _fused, partial(bottleneck, blocks=_BLOCKS, depthwise="dwconv2")
    sizes = zip(counts, filters, _WIDER, _STRIDES, strict=False)  # the smaller ones have a stage less
    blocks = [
        (plain if stage < _FUSED else slim, math.ceil(deep * count), _rounded(wide * channels), wider, 3, strides)
        for stage, (count, channels, wider, strides) in enumerate(sizes)
    ]
    x = stacked(x, blocks, sum(counts))
    x = finished(net, x, _BLOCKS, _rounded(1280 * wide), 0.2, bias_initializer=Constant(0.0))
    kind = net.architecture.lower().replace("v2", "v2-")
    return net.model(x, Published(f"efficientnet_v2/{kind}{{}}.h5"))


def _rounded(filters: float) -> int:
    return rounded(filters, most_less=1)


def _fused(x: SymbolicTensor, name: str, filters: int, wider: int, kernel: int, strides: int) -> SymbolicTensor:
    """Wider and narrower, or one convolution alone."""
    if wider == 1:
        return _BLOCKS(x, f"{name}project_", filters, kernel, strides=strides)
    x = _BLOCKS(x, f"{name}expand_", wider * channels_of(x), kernel, strides=strides)
    return _BLOCKS(x, f"{name}project_", filters, 1, active=False)
