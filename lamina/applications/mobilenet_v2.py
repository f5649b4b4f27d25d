"""MobileNetV2: bottlenecks turned inside out."""

from __future__ import annotations

from dataclasses import replace

from ..core.symbolic import SymbolicTensor
from ..layers import Add, DepthwiseConv2D, GlobalAveragePooling2D, ReLU
from ..models import Functional
from ._blocks import Blocks, padded_to_halve, rounded
from ._network import STAGES, Network, Published, application, channels_of, places
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing

_SIZES = (96, 128, 160, 192, 224)  # that weights are published for
_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)  # likewise
# Of each stage: how many times wider its blocks are inside, filters, blocks, strides of the first.
_STAGES = STAGES["MobileNetV2"]
_BLOCKS = Blocks(
    "{} {}_BN {}_relu",
    {"padding": "same", "use_bias": False},
    {"epsilon": 1e-3, "momentum": 0.999},
    axis=-1,
    activate=lambda name: ReLU(6.0, name=name),
)

preprocess_input = preprocessing("tf")


@application(order="input_shape alpha include_top weights input_tensor pooling classes classifier_activation name")
def MobileNetV2(net: Network, alpha: float = 1.0) -> Functional:
    """A small network whose blocks are wide inside and narrow between (Sandler et al. 2018, arXiv:1801.04381).

    alpha: the part of the filters that each layer has.
    """
    x = net.input(net.square(*_SIZES) or 224, 32)
    rows = (net.square(*_SIZES) or 224) if net.pretrained else places(net.input_shape)[0]
    if net.pretrained and alpha not in _ALPHAS:
        raise net.error("alpha", f'one of {_ALPHAS} with `weights="imagenet"`', alpha)
    net.name = net.name or f"mobilenetv2_{alpha:0.2f}_{rows}"
    x = replace(_BLOCKS, names="{} bn_{} {}_relu")(x, "Conv1", rounded(32 * alpha), 3, strides=2)
    number = 0
    for wider, filters, count, strides in _STAGES:
        for index in range(count):
            name = f"block_{number}" if number else "expanded_conv"
            x = _block(x, name, rounded(int(filters * alpha)), wider, 1 if index else strides)
            number += 1
    last = replace(_BLOCKS, names="Conv_1 Conv_1_bn out_relu")
    x = last(x, "last", rounded(1280 * max(alpha, 1)), 1, padding="valid")
    x = net.classified(GlobalAveragePooling2D()(x)) if net.include_top else net.pooled(x)
    address = f"mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{rows}{{}}.h5"
    return net.model(x, Published(address, without_top="_no_top"))


def _block(x: SymbolicTensor, name: str, filters: int, wider: int, strides: int) -> SymbolicTensor:
    """Wider, depthwise, narrower; added to what came in where the sizes stay."""
    y = _BLOCKS(x, f"{name}_expand", wider * channels_of(x), 1) if wider > 1 else x
    y, padding = padded_to_halve(y, 3, f"{name}_pad") if strides == 2 else (y, "same")
    y = _BLOCKS(y, f"{name}_depthwise", 3, kind=DepthwiseConv2D, strides=strides, padding=padding)
    y = _BLOCKS(y, f"{name}_project", filters, 1, active=False)
    return Add(name=f"{name}_add")([x, y]) if strides == 1 and channels_of(x) == filters else y
