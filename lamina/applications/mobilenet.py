"""MobileNet: small networks of depthwise convolutions."""

from __future__ import annotations

from .. import layers
from ..core.symbolic import SymbolicTensor
from ..models import Functional
from ._blocks import Blocks
from ._network import Network, Published, application, places
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing

_SIZES = (128, 160, 192, 224)  # that weights are published for
_ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}  # likewise, and how files call them
_FILTERS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
_BLOCKS = Blocks(
    "{} {}_bn {}_relu",
    {"padding": "same", "use_bias": False},
    axis=-1,
    activate=lambda name: layers.ReLU(6.0, name=name),
)

preprocess_input = preprocessing("tf")


@application(
    order="input_shape alpha depth_multiplier dropout include_top weights input_tensor pooling classes "
    "classifier_activation name"
)
def MobileNet(net: Network, alpha: float = 1.0, depth_multiplier: int = 1, dropout: float = 0.001) -> Functional:
    """A small network of depthwise convolutions (Howard et al. 2017, arXiv:1704.04861).

    alpha: the part of the filters that each layer has. depth_multiplier: filters for each channel of the depthwise
    convolutions. dropout: the rate before the classifier.
    """
    x = net.input(net.square(*_SIZES) or 224, 32)
    rows = (net.square(*_SIZES) or 224) if net.pretrained else places(net.input_shape)[0]
    if net.pretrained and alpha not in _ALPHAS:
        raise net.error("alpha", f'one of {[*_ALPHAS]} with `weights="imagenet"`', alpha)
    if net.pretrained and depth_multiplier != 1:
        raise net.error("depth_multiplier", '1 with `weights="imagenet"`', depth_multiplier)
    net.name = net.name or f"mobilenet_{alpha:0.2f}_{rows}"
    x = _BLOCKS(x, "conv1", int(32 * alpha), 3, strides=2)
    for number, filters in enumerate(_FILTERS, 1):
        x = _block(x, number, int(filters * alpha), depth_multiplier, strides=2 if number in (2, 4, 6, 12) else 1)
    if net.include_top:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Conv2D(net.classes, 1, padding="same", name="conv_preds")(x)
        x = layers.Reshape((net.classes,), name="reshape_2")(x)
        x = layers.Activation(net.activation, name="predictions")(x)
    else:
        x = net.pooled(x)
    return net.model(x, Published(f"mobilenet/mobilenet_{_ALPHAS.get(alpha)}_{rows}_tf{{}}.h5", without_top="_no_top"))


def _block(x: SymbolicTensor, number: int, filters: int, multiplier: int, strides: int) -> SymbolicTensor:
    """A depthwise convolution, then one of single pixels."""
    padding = "same"
    if strides > 1:
        x, padding = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x), "valid"
    depthwise = {"kind": layers.DepthwiseConv2D, "depth_multiplier": multiplier, "strides": strides, "padding": padding}
    x = _BLOCKS(x, f"conv_dw_{number}", 3, **depthwise)
    return _BLOCKS(x, f"conv_pw_{number}", filters, 1)
