"""MobileNetV3: blocks of MobileNetV2, searched for by machine, with squeeze and excitation."""

from __future__ import annotations

from dataclasses import replace

from .. import layers, ops
from ..core.symbolic import SymbolicTensor
from ..models import Functional
from ._blocks import Blocks, padded_to_halve, rounded
from ._network import STAGES, Network, Published, application, channels_of
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing

_RELU = Blocks(
    "{} {}_bn",
    {"padding": "same", "use_bias": False},
    {"epsilon": 1e-3, "momentum": 0.999},
    axis=-1,
    activate=lambda name: layers.ReLU(),
)
_SWISH = replace(_RELU, activate=lambda name: layers.Activation("hard_swish"))

_ORDER = (
    "input_shape alpha minimalistic include_top weights input_tensor classes pooling dropout_rate "
    "classifier_activation include_preprocessing name"
)

preprocess_input = preprocessing(None)


@application("MobileNetV3Small", _ORDER)
def MobileNetV3Small(
    net: Network,
    alpha: float = 1.0,
    minimalistic: bool = False,
    dropout_rate: float = 0.2,
    include_preprocessing: bool = True,
) -> Functional:
    """The smaller of two networks found by search (Howard et al. 2019, arXiv:1905.02244).

    alpha: the part of the filters that each layer has. minimalistic: without squeeze and excitation, hard swish and
    kernels of 5. dropout_rate: before the classifier. include_preprocessing: whether the network takes values from
    0 to 255; else from -1 to 1.
    """
    return _mobilenet(net, 1024, alpha, minimalistic, dropout_rate, include_preprocessing)


@application("MobileNetV3Large", _ORDER)
def MobileNetV3Large(
    net: Network,
    alpha: float = 1.0,
    minimalistic: bool = False,
    dropout_rate: float = 0.2,
    include_preprocessing: bool = True,
) -> Functional:
    """The larger of two networks found by search (Howard et al. 2019, arXiv:1905.02244).

    Its own arguments are those of MobileNetV3Small.
    """
    return _mobilenet(net, 1280, alpha, minimalistic, dropout_rate, include_preprocessing)


def _mobilenet(
    net: Network, last: int, alpha: float, minimalistic: bool, dropout_rate: float, preprocess: bool
) -> Functional:
    """last: filters of the last convolution before the classifier's."""
    x = net.input(None, 32)
    kind = f"{net.architecture.removeprefix('MobileNetV3').lower()}{'_minimalistic' * minimalistic}_224_{float(alpha)}"
    published = Published(f"mobilenet_v3/weights_mobilenet_v3_{kind}_float{{}}.h5", "_no_top_v2")
    if net.pretrained and published.sums is None:
        raise net.error("alpha", '0.75 or 1.0 with `weights="imagenet"`, 1.0 if minimalistic', alpha)
    swish = _RELU if minimalistic else _SWISH
    x = swish(layers.Rescaling(1 / 127.5, -1.0)(x) if preprocess else x, "conv", 16, 3, strides=2)
    # Of each block: how many times wider it is inside, filters, kernel, strides, squeeze and excitation, hard swish.
    for number, (wider, filters, kernel, strides, excited, smooth) in enumerate(STAGES[net.architecture]):
        name = f"expanded_conv_{number}_" if number else "expanded_conv_"
        size = min(kernel, 3) if minimalistic else kernel
        style = swish if smooth else _RELU
        x = _block(x, name, rounded(filters * alpha), wider, size, strides, excited and not minimalistic, style)
    x = swish(x, "conv_1", rounded(channels_of(x) * 6), 1)
    if net.include_top:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = swish.act(layers.Conv2D(rounded(last * max(alpha, 1)), 1, padding="same", name="conv_2")(x), None)
        x = layers.Dropout(dropout_rate)(x) if dropout_rate else x
        x = layers.Flatten()(layers.Conv2D(net.classes, 1, padding="same", name="logits")(x))
        x = layers.Activation(net.activation, name="predictions")(x)
    else:
        x = net.pooled(x, named=True)
    return net.model(x, published)


def _block(
    x: SymbolicTensor, name: str, filters: int, wider: float, kernel: int, strides: int, excited: bool, blocks: Blocks
) -> SymbolicTensor:
    """Wider, depthwise, excited, narrower; added to what came in where the sizes stay."""
    channels = channels_of(x)
    inside = rounded(channels * wider)
    y = blocks(x, f"{name}expand", inside, 1) if name != "expanded_conv_" else x
    y, padding = padded_to_halve(y, kernel, f"{name}depthwise_pad") if strides == 2 else (y, "same")
    y = blocks(y, f"{name}depthwise", kernel, kind=layers.DepthwiseConv2D, strides=strides, padding=padding)
    y = _excited(y, f"{name}squeeze_excite_", inside) if excited else y
    y = blocks(y, f"{name}project", filters, 1, active=False)
    return layers.Add(name=f"{name}add")([x, y]) if strides == 1 and channels == filters else y


def _excited(x: SymbolicTensor, name: str, channels: int) -> SymbolicTensor:
    """Squeeze and excitation: each channel times what a small network makes of all channels' means."""
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}avg_pool")(x)
    y = layers.Conv2D(rounded(channels * 0.25), 1, padding="same", name=f"{name}conv")(y)
    y = layers.ReLU(name=f"{name}relu")(y)
    y = layers.Conv2D(channels, 1, padding="same", name=f"{name}conv_1")(y)
    y = ops.multiply(layers.ReLU(6.0)(y + 3.0), 1.0 / 6.0)
    return layers.Multiply(name=f"{name}mul")([x, y])
