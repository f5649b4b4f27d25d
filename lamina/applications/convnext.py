"""ConvNeXts: convolutional networks in the manner of transformers."""

from __future__ import annotations

from torch import Tensor

from ..core.declare import arg, integer, number
from ..core.layer import Layer
from ..core.symbolic import SymbolicTensor
from ..core.weight import weight
from ..initializers import Constant
from ..kernels import noise
from ..layers import Activation, Conv2D, Dense, GlobalAveragePooling2D, LayerNormalization, Normalization
from ..models import Functional, Sequential
from ._network import Network, Published, application, channels_of
from .imagenet_utils import decode_predictions as decode_predictions
from .imagenet_utils import preprocessing

_ORDER = "include_top include_preprocessing weights input_tensor input_shape pooling classes classifier_activation name"
_MEANS = [0.485 * 255, 0.456 * 255, 0.406 * 255]
_VARIANCES = [(0.229 * 255) ** 2, (0.224 * 255) ** 2, (0.225 * 255) ** 2]

preprocess_input = preprocessing(None)


class LayerScale(Layer):
    """A factor for each channel, which is learned (Touvron et al. 2021, arXiv:2103.17239)."""

    _home = "keras.src.applications.convnext"

    init_values: float = arg(number(), doc="The factors' first value.")
    projection_dim: int = arg(integer(1), doc="How many channels there are.")

    gamma = weight("projection_dim", name="variable", initializer=lambda layer: Constant(layer.init_values))

    def call(self, inputs: Tensor) -> Tensor:
        return inputs * self.gamma

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape


class StochasticDepth(Layer):
    """In training leaves out whole samples, and scales the others up for it (Huang et al. 2016, arXiv:1603.09382)."""

    _home = "keras.src.applications.convnext"

    drop_path_rate: float = arg(number(0, 1), doc="Part of the samples that is left out.")

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training or self.drop_path_rate == 0:
            return inputs
        return noise.dropout(inputs, self.drop_path_rate, (len(inputs), *[1] * (inputs.ndim - 1)))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape


@application("convnext_tiny", _ORDER)
def ConvNeXtTiny(net: Network, include_preprocessing: bool = True) -> Functional:
    """A ConvNeXt of 18 blocks whose first have 96 channels (Liu et al. 2022, arXiv:2201.03545).

    include_preprocessing: whether values from 0 to 255 are normalized first, if they are of three channels.
    """
    return _convnext(net, (3, 3, 9, 3), 96, include_preprocessing)


@application("convnext_small", _ORDER)
def ConvNeXtSmall(net: Network, include_preprocessing: bool = True) -> Functional:
    """A ConvNeXt of 36 blocks whose first have 96 channels (Liu et al. 2022, arXiv:2201.03545)."""
    return _convnext(net, (3, 3, 27, 3), 96, include_preprocessing)


@application("convnext_base", _ORDER)
def ConvNeXtBase(net: Network, include_preprocessing: bool = True) -> Functional:
    """A ConvNeXt of 36 blocks whose first have 128 channels (Liu et al. 2022, arXiv:2201.03545)."""
    return _convnext(net, (3, 3, 27, 3), 128, include_preprocessing)


@application("convnext_large", _ORDER)
def ConvNeXtLarge(net: Network, include_preprocessing: bool = True) -> Functional:
    """A ConvNeXt of 36 blocks whose first have 192 channels (Liu et al. 2022, arXiv:2201.03545)."""
    return _convnext(net, (3, 3, 27, 3), 192, include_preprocessing)


@application("convnext_xlarge", _ORDER)
def ConvNeXtXLarge(net: Network, include_preprocessing: bool = True) -> Functional:
    """A ConvNeXt of 36 blocks whose first have 256 channels (Liu et al. 2022, arXiv:2201.03545)."""
    return _convnext(net, (3, 3, 27, 3), 256, include_preprocessing)


def _convnext(net: Network, depths: tuple[int, ...], channels: int, preprocess: bool) -> Functional:
    net.only_channels_last()
    name = net.name
    x = net.input(224, 32)
    if preprocess and channels_of(x) == 3:
        x = Normalization(mean=_MEANS, variance=_VARIANCES, name=f"{name}_prestem_normalization")(x)
    for stage, depth in enumerate(depths):
        filters = channels * 2**stage
        if stage:
            norm = LayerNormalization(epsilon=1e-6, name=f"{name}_downsampling_layernorm_{stage - 1}")
            halving = Conv2D(filters, 2, strides=2, name=f"{name}_downsampling_conv_{stage - 1}")
            x = Sequential([norm, halving], name=f"{name}_downsampling_block_{stage - 1}")(x)
        else:
            patches = Conv2D(filters, 4, strides=4, name=f"{name}_stem_conv")
            norm = LayerNormalization(epsilon=1e-6, name=f"{name}_stem_layernorm")
            x = Sequential([patches, norm], name=f"{name}_stem")(x)
        for block in range(depth):
            x = _block(x, f"{name}_stage_{stage}_block_{block}", filters)
    if net.include_top:
        x = GlobalAveragePooling2D(name=f"{name}_head_gap")(x)
        x = LayerNormalization(epsilon=1e-6, name=f"{name}_head_layernorm")(x)
        x = net.classified(x, name=f"{name}_head_dense")
    else:
        x = LayerNormalization(epsilon=1e-6)(net.pooled(x))
    kind = net.architecture.removeprefix("ConvNeXt").lower()
    return net.model(x, Published(f"convnext/convnext_{kind}{{}}.h5"))


def _block(x: SymbolicTensor, name: str, filters: int) -> SymbolicTensor:
    """Depthwise, then four times as wide and back; added to what came in."""
    y = Conv2D(filters, 7, padding="same", groups=filters, name=f"{name}_depthwise_conv")(x)
    y = LayerNormalization(epsilon=1e-6, name=f"{name}_layernorm")(y)
    y = Dense(4 * filters, name=f"{name}_pointwise_conv_1")(y)
    y = Dense(filters, name=f"{name}_pointwise_conv_2")(Activation("gelu", name=f"{name}_gelu")(y))
    y = LayerScale(1e-6, filters, name=f"{name}_layer_scale")(y)
    return x + Activation("linear", name=f"{name}_identity")(y)
