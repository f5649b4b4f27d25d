"""VGG of 16 layers with weights."""

from __future__ import annotations

from collections.abc import Sequence

from ..layers import Conv2D, Dense, Flatten, MaxPooling2D
from ..models import Functional
from ._network import Network, application, tf_kernels
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing

_FILTERS = (64, 128, 256, 512, 512)

preprocess_input = preprocessing("caffe")


@application("vgg16")
def VGG16(net: Network) -> Functional:
    """VGG of 13 convolutions and 3 dense layers (Simonyan and Zisserman 2014, arXiv:1409.1556)."""
    return vgg(net, (2, 2, 3, 3, 3))


def vgg(net: Network, convolutions: Sequence[int]) -> Functional:
    """convolutions: how many there are in each block."""
    x = net.input(224, 32)
    for block, (filters, count) in enumerate(zip(_FILTERS, convolutions, strict=True), 1):
        for number in range(1, count + 1):
            x = Conv2D(filters, 3, activation="relu", padding="same", name=f"block{block}_conv{number}")(x)
        x = MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
    if net.include_top:
        x = Flatten(name="flatten")(x)
        x = Dense(4096, activation="relu", name="fc1")(x)
        x = Dense(4096, activation="relu", name="fc2")(x)
        x = net.classified(x)
    else:
        x = net.pooled(x)
    kind = net.architecture.lower()
    return net.model(x, tf_kernels(f"{kind}/{kind}"))
