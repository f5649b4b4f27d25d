"""All layers."""

import functools
import importlib
from typing import TYPE_CHECKING, Any

from .. import _absent
from ..core import errors as _errors
from ..core import serialize as _serialize
from ..core.layer import InputSpec as InputSpec
from ..core.layer import Layer as Layer
from .activation import ELU as ELU
from .activation import Activation as Activation
from .activation import ActivityRegularization as ActivityRegularization
from .activation import Identity as Identity
from .activation import LeakyReLU as LeakyReLU
from .activation import PReLU as PReLU
from .activation import ReLU as ReLU
from .activation import Softmax as Softmax
from .attention import AdditiveAttention as AdditiveAttention
from .attention import Attention as Attention
from .attention import GroupedQueryAttention as GroupedQueryAttention
from .attention import MultiHeadAttention as MultiHeadAttention
from .convolution import Conv1D as Conv1D
from .convolution import Conv1DTranspose as Conv1DTranspose
from .convolution import Conv2D as Conv2D
from .convolution import Conv2DTranspose as Conv2DTranspose
from .convolution import Conv3D as Conv3D
from .convolution import Conv3DTranspose as Conv3DTranspose
from .convolution import DepthwiseConv1D as DepthwiseConv1D
from .convolution import DepthwiseConv2D as DepthwiseConv2D
from .convolution import SeparableConv1D as SeparableConv1D
from .convolution import SeparableConv2D as SeparableConv2D
from .convolutional_recurrent import ConvLSTM1D as ConvLSTM1D
from .convolutional_recurrent import ConvLSTM2D as ConvLSTM2D
from .convolutional_recurrent import ConvLSTM3D as ConvLSTM3D
from .dense import Dense as Dense
from .dense import EinsumDense as EinsumDense
from .dropout import AlphaDropout as AlphaDropout
from .dropout import Dropout as Dropout
from .dropout import GaussianDropout as GaussianDropout
from .dropout import GaussianNoise as GaussianNoise
from .dropout import SpatialDropout1D as SpatialDropout1D
from .dropout import SpatialDropout2D as SpatialDropout2D
from .dropout import SpatialDropout3D as SpatialDropout3D
from .embedding import Embedding as Embedding
from .embedding import ReversibleEmbedding as ReversibleEmbedding
from .input import Input as Input
from .input import InputLayer as InputLayer
from .lambda_ import Lambda as Lambda
from .lambda_ import Masking as Masking
from .local import LocallyConnected1D as LocallyConnected1D
from .local import LocallyConnected2D as LocallyConnected2D
from .local import LocallyConnected3D as LocallyConnected3D
from .merge import Add as Add
from .merge import Average as Average
from .merge import Concatenate as Concatenate
from .merge import Dot as Dot
from .merge import Maximum as Maximum
from .merge import Minimum as Minimum
from .merge import Multiply as Multiply
from .merge import Subtract as Subtract
from .merge import add as add
from .merge import average as average
from .merge import concatenate as concatenate
from .merge import dot as dot
from .merge import maximum as maximum
from .merge import minimum as minimum
from .merge import multiply as multiply
from .merge import subtract as subtract
from .normalization import BatchNormalization as BatchNormalization
from .normalization import GroupNormalization as GroupNormalization
from .normalization import LayerNormalization as LayerNormalization
from .normalization import RMSNormalization as RMSNormalization
from .normalization import SpectralNormalization as SpectralNormalization
from .normalization import UnitNormalization as UnitNormalization
from .pooling import AdaptiveAveragePooling1D as AdaptiveAveragePooling1D
from .pooling import AdaptiveAveragePooling2D as AdaptiveAveragePooling2D
from .pooling import AdaptiveAveragePooling3D as AdaptiveAveragePooling3D
from .pooling import AdaptiveMaxPooling1D as AdaptiveMaxPooling1D
from .pooling import AdaptiveMaxPooling2D as AdaptiveMaxPooling2D
from .pooling import AdaptiveMaxPooling3D as AdaptiveMaxPooling3D
from .pooling import AveragePooling1D as AveragePooling1D
from .pooling import AveragePooling2D as AveragePooling2D
from .pooling import AveragePooling3D as AveragePooling3D
from .pooling import GlobalAveragePooling1D as GlobalAveragePooling1D
from .pooling import GlobalAveragePooling2D as GlobalAveragePooling2D
from .pooling import GlobalAveragePooling3D as GlobalAveragePooling3D
from .pooling import GlobalMaxPooling1D as GlobalMaxPooling1D
from .pooling import GlobalMaxPooling2D as GlobalMaxPooling2D
from .pooling import GlobalMaxPooling3D as GlobalMaxPooling3D
from .pooling import MaxPooling1D as MaxPooling1D
from .pooling import MaxPooling2D as MaxPooling2D
from .pooling import MaxPooling3D as MaxPooling3D
from .recurrent import GRU as GRU
from .recurrent import LSTM as LSTM
from .recurrent import RNN as RNN
from .recurrent import GRUCell as GRUCell
from .recurrent import LSTMCell as LSTMCell
from .recurrent import SimpleRNN as SimpleRNN
from .recurrent import SimpleRNNCell as SimpleRNNCell
from .recurrent import StackedRNNCells as StackedRNNCells
from .reshape import Cropping1D as Cropping1D
from .reshape import Cropping2D as Cropping2D
from .reshape import Cropping3D as Cropping3D
from .reshape import Flatten as Flatten
from .reshape import Permute as Permute
from .reshape import RepeatVector as RepeatVector
from .reshape import Reshape as Reshape
from .reshape import UpSampling1D as UpSampling1D
from .reshape import UpSampling2D as UpSampling2D
from .reshape import UpSampling3D as UpSampling3D
from .reshape import ZeroPadding1D as ZeroPadding1D
from .reshape import ZeroPadding2D as ZeroPadding2D
from .reshape import ZeroPadding3D as ZeroPadding3D
from .torch_module import TorchModuleWrapper as TorchModuleWrapper
from .wrappers import Bidirectional as Bidirectional
from .wrappers import Pipeline as Pipeline
from .wrappers import TimeDistributed as TimeDistributed
from .wrappers import Wrapper as Wrapper

if TYPE_CHECKING:
    from .preprocessing.audio import MelSpectrogram as MelSpectrogram
    from .preprocessing.audio import STFTSpectrogram as STFTSpectrogram
    from .preprocessing.colours import AutoContrast as AutoContrast
    from .preprocessing.colours import (
        ContrastLimitedAdaptiveHistogramEqualization as ContrastLimitedAdaptiveHistogramEqualization,
    )
    from .preprocessing.colours import Equalization as Equalization
    from .preprocessing.colours import RandomBrightness as RandomBrightness
    from .preprocessing.colours import RandomColorDegeneration as RandomColorDegeneration
    from .preprocessing.colours import RandomContrast as RandomContrast
    from .preprocessing.colours import RandomErasing as RandomErasing
    from .preprocessing.colours import RandomGaussianBlur as RandomGaussianBlur
    from .preprocessing.colours import RandomGrayscale as RandomGrayscale
    from .preprocessing.colours import RandomHue as RandomHue
    from .preprocessing.colours import RandomInvert as RandomInvert
    from .preprocessing.colours import RandomPosterization as RandomPosterization
    from .preprocessing.colours import RandomSaturation as RandomSaturation
    from .preprocessing.colours import RandomSharpness as RandomSharpness
    from .preprocessing.colours import Solarization as Solarization
    from .preprocessing.features import CategoryEncoding as CategoryEncoding
    from .preprocessing.features import Discretization as Discretization
    from .preprocessing.features import Normalization as Normalization
    from .preprocessing.features import Rescaling as Rescaling
    from .preprocessing.geometry import CenterCrop as CenterCrop
    from .preprocessing.geometry import RandomCrop as RandomCrop
    from .preprocessing.geometry import RandomElasticTransform as RandomElasticTransform
    from .preprocessing.geometry import RandomFlip as RandomFlip
    from .preprocessing.geometry import RandomPerspective as RandomPerspective
    from .preprocessing.geometry import RandomRotation as RandomRotation
    from .preprocessing.geometry import RandomShear as RandomShear
    from .preprocessing.geometry import RandomTranslation as RandomTranslation
    from .preprocessing.geometry import RandomZoom as RandomZoom
    from .preprocessing.geometry import Resizing as Resizing
    from .preprocessing.hashing import HashedCrossing as HashedCrossing
    from .preprocessing.hashing import Hashing as Hashing
    from .preprocessing.lookup import IntegerLookup as IntegerLookup
    from .preprocessing.lookup import StringLookup as StringLookup
    from .preprocessing.mixing import AugMix as AugMix
    from .preprocessing.mixing import CutMix as CutMix
    from .preprocessing.mixing import MaxNumBoundingBoxes as MaxNumBoundingBoxes
    from .preprocessing.mixing import MixUp as MixUp
    from .preprocessing.mixing import RandAugment as RandAugment
    from .preprocessing.mixing import RandomColorJitter as RandomColorJitter
    from .preprocessing.text import TextVectorization as TextVectorization

# What prepares data is loaded with the first of its names: many files, which most programs never need.
_PREPROCESSING = ("audio", "colours", "features", "geometry", "hashing", "lookup", "mixing", "text")


@functools.cache
def _load_preprocessing() -> None:
    for room in _PREPROCESSING:
        module = importlib.import_module(f".preprocessing.{room}", __name__)
        own = {name: item for name, item in vars(module).items() if getattr(item, "__module__", "") == module.__name__}
        globals().update({name: item for name, item in own.items() if name[0] != "_" and isinstance(item, type)})


def __getattr__(name: str) -> Any:
    if name == "__all__":
        found = {public: getattr(globals()[public], "__module__", "") for public in __dir__() if public[0] != "_"}
        return [public for public, home in found.items() if home.startswith("lamina.")]  # layers, their functions
    if not name.startswith("__"):
        _load_preprocessing()
        if name in globals():
            return globals()[name]
    raise _absent.attribute(__name__, name)


def __dir__() -> list[str]:
    _load_preprocessing()
    return sorted(globals())


# Keras' other names for the same classes.
Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
GroupQueryAttention = GroupedQueryAttention


def serialize(layer: Layer) -> dict:
    """The class and config of a layer as plain data."""
    return _serialize.serialize(layer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The layer that `serialize` described. Raises ValueError for an unknown class, and for what is no layer's."""
    found = _serialize.deserialize(config, custom_objects)
    if not isinstance(found, Layer):
        raise ValueError(f"deserialize: expected the config of a layer; got {_errors.short(config)}.")
    return found


def layer_from_config(config: Any, custom_objects: Any = None) -> Any:
    """`deserialize`, as Keras 1 and 2 call it; {"class_name": ..., "config": ...}."""
    return deserialize(config, custom_objects)
