"""NASNet: cells found by search, of separable convolutions and pooling."""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import layers
from ..core.symbolic import SymbolicTensor
from ..models import Functional
from ._blocks import padded_to_halve
from ._network import Network, Published, application, channels_of, shaped
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing

_ORDER = "input_shape include_top weights input_tensor pooling classes classifier_activation name"
_NORMAL: dict[str, Any] = {"momentum": 0.9997, "epsilon": 1e-3}
_narrow: Any = partial(layers.Conv2D, padding="same", use_bias=False, kernel_initializer="he_normal")

preprocess_input = preprocessing("tf")


@application("nasnet_mobile", _ORDER)
def NASNetMobile(net: Network) -> Functional:
    """The small network of cells that search found (Zoph et al. 2017, arXiv:1707.07012)."""
    return _nasnet(net, 224, 44, 4, 32, False, "mobile")


@application("nasnet_large", _ORDER)
def NASNetLarge(net: Network) -> Functional:
    """The large network of cells that search found (Zoph et al. 2017, arXiv:1707.07012)."""
    return _nasnet(net, 331, 168, 6, 96, True, "large")


def _nasnet(net: Network, size: int, filters: int, cells: int, stem: int, skips: bool, kind: str) -> Functional:
    """cells: between two that halve height and width. skips: whether the cell after such a one is given what that was
    given second, not first."""
    net.only_channels_last()
    if net.input_tensor is None:  # what halves height and width needs to know them
        net.input_shape = net.input_shape or shaped(size, 3)
    x = net.input(size, 32)
    x = _convolved(x, "stem_conv1", "stem_bn1", stem, 3, strides=2, padding="valid")
    x, before = _reduction(x, x, filters // 4, "stem_1"), x
    x, before = _reduction(x, before, filters // 2, "stem_2", finer=True), x
    for stage in range(3):
        if stage:
            x, first = _reduction(x, before, filters * 2**stage, f"reduce_{stage * cells}"), x
            before = before if skips else first
        for number in range(cells):
            name = f"{stage * cells + number + bool(stage)}"
            x, before = _normal(x, before, filters * 2**stage, name, finer=number == 0), x
    x = layers.Activation("relu")(x)
    x = net.classified(layers.GlobalAveragePooling2D()(x)) if net.include_top else net.pooled(x)
    return net.model(x, Published(f"nasnet/NASNet-{kind}{{}}.h5", "-no-top", f"nasnet_{kind}{{}}.h5"))


def _normal(x: SymbolicTensor, before: SymbolicTensor, filters: int, name: str, finer: bool) -> SymbolicTensor:
    """A cell that keeps height and width. before: what went into the cell before; finer: of twice the size."""
    before = _fitted(before, filters, name, finer)
    x = _convolved(layers.Activation("relu")(x), f"normal_conv_1_{name}", f"normal_bn_1_{name}", filters, 1)

    def separable(x: SymbolicTensor, kernel: int, place: str) -> SymbolicTensor:
        return _separable(x, filters, kernel, f"normal_{place}_{name}")

    def mean(x: SymbolicTensor, place: str) -> SymbolicTensor:
        return layers.AveragePooling2D(3, strides=1, padding="same", name=f"normal_{place}_{name}")(x)

    def added(number: int, *parts: SymbolicTensor) -> SymbolicTensor:
        return layers.Add(name=f"normal_add_{number}_{name}")([*parts])

    made = [
        added(1, separable(x, 5, "left1"), separable(before, 3, "right1")),
        added(2, separable(before, 5, "left2"), separable(before, 3, "right2")),
        added(3, mean(x, "left3"), before),
        added(4, mean(before, "left4"), mean(before, "right4")),
        added(5, separable(x, 3, "left5"), x),
    ]
    return layers.Concatenate(axis=-1, name=f"normal_concat_{name}")([before, *made])


def _reduction(
    x: SymbolicTensor, before: SymbolicTensor, filters: int, name: str, finer: bool = False
) -> SymbolicTensor:
    """A cell that halves height and width; with the arguments of `_normal`."""
    before = before if before is x else _fitted(before, filters, name, finer)
    x = _convolved(layers.Activation("relu")(x), f"reduction_conv_1_{name}", f"reduction_bn_1_{name}", filters, 1)
    wide = padded_to_halve(x, 3, f"reduction_pad_1_{name}")[0]

    def halved(x: SymbolicTensor, kernel: int, place: str, strides: int = 2) -> SymbolicTensor:
        return _separable(x, filters, kernel, f"reduction_{place}_{name}", strides)

    def pooled(kind: Any, place: str) -> SymbolicTensor:
        return kind(3, strides=2, padding="valid", name=f"reduction_{place}_{name}")(wide)

    def added(number: str, *parts: SymbolicTensor) -> SymbolicTensor:
        return layers.Add(name=f"reduction_add{number}_{name}")([*parts])

    first = added("_1", halved(x, 5, "left1"), halved(before, 7, "right1"))
    second = added("_2", pooled(layers.MaxPooling2D, "left2"), halved(before, 7, "right2"))
    third = added("3", pooled(layers.AveragePooling2D, "left3"), halved(before, 5, "right3"))
    mean = layers.AveragePooling2D(3, strides=1, padding="same", name=f"reduction_left4_{name}")(first)
    fourth = layers.Add()([second, mean])
    fifth = added("4", halved(first, 3, "left4", strides=1), pooled(layers.MaxPooling2D, "right5"))
    return layers.Concatenate(axis=-1, name=f"reduction_concat_{name}")([second, third, fourth, fifth])


def _fitted(x: SymbolicTensor, filters: int, name: str, finer: bool) -> SymbolicTensor:
    """With so many channels, and half the height and width if it is finer."""
    if not finer and channels_of(x) == filters:
        return x
    if not finer:
        x = layers.Activation("relu")(x)
        return _convolved(x, f"adjust_conv_projection_{name}", f"adjust_bn_{name}", filters, 1)
    x = layers.Activation("relu", name=f"adjust_relu_1_{name}")(x)

    def half(x: SymbolicTensor, number: int) -> SymbolicTensor:
        x = layers.AveragePooling2D(1, strides=2, padding="valid", name=f"adjust_avg_pool_{number}_{name}")(x)
        return _narrow(filters // 2, 1, name=f"adjust_conv_{number}_{name}")(x)

    moved = layers.Cropping2D(((1, 0), (1, 0)))(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))  # by one, up and to the left
    x = layers.Concatenate(axis=-1)([half(x, 1), half(moved, 2)])
    return layers.BatchNormalization(**_NORMAL, name=f"adjust_bn_{name}")(x)


def _separable(x: SymbolicTensor, filters: int, kernel: int, name: str, strides: int = 1) -> SymbolicTensor:
    """Twice: activation, separable convolution, normalization."""
    for number in (1, 2):
        x, padding = layers.Activation("relu")(x), "same"
        if strides == 2:
            x, padding = padded_to_halve(x, kernel, f"separable_conv_1_pad_{name}")
        options: dict[str, Any] = {"strides": strides, "padding": padding, "use_bias": False}
        x = layers.SeparableConv2D(filters, kernel, **options, name=f"separable_conv_{number}_{name}")(x)
        x = layers.BatchNormalization(**_NORMAL, name=f"separable_conv_{number}_bn_{name}")(x)
        strides = 1
    return x


def _convolved(x: SymbolicTensor, name: str, normal: str, *sizes: int, **options: Any) -> SymbolicTensor:
    """Convolution and normalization, by their names."""
    return layers.BatchNormalization(**_NORMAL, name=normal)(_narrow(*sizes, name=name, **options)(x))
