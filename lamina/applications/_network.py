"""What all networks share: their arguments, the input, the top, the published weights."""

from __future__ import annotations

import functools
import inspect
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from .. import activations
from ..core.config import image_data_format
from ..core.errors import short
from ..core.symbolic import SymbolicTensor
from ..core.weight import waiting_weights
from ..layers import Dense, GlobalAveragePooling2D, GlobalMaxPooling2D, Input
from ..models import Functional
from ..utils import get_file, get_source_inputs

_BASE = "https://storage.googleapis.com/tensorflow/keras-applications/"
_SUMS, STAGES = (json.loads(Path(__file__).with_name(f"{name}.json").read_text("utf-8")) for name in ("sums", "stages"))
_ARGUMENTS = """

    include_top: whether the network ends in its classifier. weights: "imagenet" for the published ones, which are
    fetched once, the path of a file of weights, or None for random ones. input_tensor: a symbolic tensor to begin
    with. input_shape: sizes of a picture, without the batch axis. pooling: "avg" or "max" over all places, or None;
    without the top alone. classes, classifier_activation: of the top; None gives scores. name: the model's.
    Pictures are expected as this module's `preprocess_input` makes them. Raises ValueError for what does not fit.
    """


@dataclass(frozen=True)
class Published:
    """Weights of ImageNet: an address, or one below Keras' folder; "{}" where the name says that the top is left out.

    file: the name here, where it is another. What the files sum up to, with and without the top, is in sums.json.
    """

    address: str
    without_top: str = "_notop"
    file: str | None = None

    @property
    def sums(self) -> tuple[str, str] | None:
        """Of the files; None where they are not known."""
        return _SUMS.get(self.address.rpartition("/")[2])

    def path(self, include_top: bool) -> str:
        """Where the file is on this machine, fetched if need be. Raises ConnectionError where it cannot be."""
        mark = "" if include_top else self.without_top
        address = self.address.format(mark)
        name = self.file.format(mark.replace("-", "_")) if self.file else address.rpartition("/")[2]
        file_hash = self.sums and self.sums[0 if include_top else 1]
        return get_file(name, urljoin(_BASE, address), cache_subdir="models", file_hash=file_hash)


def tf_kernels(path: str) -> Published:
    """Weights as most are named."""
    return Published(f"{path}_weights_tf_dim_ordering_tf_kernels{{}}.h5")


@dataclass
class Network:
    """The arguments that all networks take, checked, and what is made with them."""

    architecture: str
    include_top: bool = True
    weights: Any = "imagenet"
    input_tensor: SymbolicTensor | None = None
    input_shape: tuple[int | None, ...] = ()
    pooling: str | None = None
    classes: int = 1000
    classifier_activation: Any = "softmax"
    name: str | None = None
    start: SymbolicTensor = field(init=False)  # what `input` gave

    def __post_init__(self) -> None:
        known = self.weights is None or self.pretrained
        if not (known or (isinstance(self.weights, (str, os.PathLike)) and Path(self.weights).exists())):
            raise self.error("weights", 'None, "imagenet" or the path of a file that is there', self.weights)
        if self.pretrained and self.include_top and self.classes != 1000:
            raise self.error("classes", '1000 with `weights="imagenet"` and the top', self.classes)
        if self.pooling not in (None, "avg", "max"):
            raise self.error("pooling", 'None, "avg" or "max"', self.pooling)
        shape = self.input_shape or ()
        if not isinstance(shape, (list, tuple)) or len(shape) not in (0, 3):
            raise self.error("input_shape", "three sizes, without the batch axis", shape)
        self.input_shape = tuple(shape)

    def error(self, argument: str, expected: str, got: Any) -> ValueError:
        return ValueError(f"{self.architecture}: `{argument}` must be {expected}; got {short(got)}.")

    def only_channels_last(self) -> None:
        """Raises ValueError where pictures have their channels first."""
        if channel_axis() == 1:
            raise ValueError(f'{self.architecture}: `image_data_format` must be "channels_last"; set it so.')

    @property
    def pretrained(self) -> bool:
        return self.weights == "imagenet"

    def square(self, *sizes: int) -> int | None:
        """The height and width of `input_shape`, if they are the same and one of these."""
        rows, columns = places(self.input_shape) if self.input_shape else (None, None)
        return rows if rows == columns and rows in sizes else None

    def input(self, size: int | None, smallest: int) -> SymbolicTensor:
        """The pictures, of `size` where nothing else is said (None: of any), and of at least `smallest`."""
        self.input_shape = shape = self._checked_shape(size, smallest)
        self.start = Input(shape) if self.input_tensor is None else Input(tensor=self.input_tensor)
        return self.start

    def _checked_shape(self, size: int | None, smallest: int) -> tuple[int | None, ...]:
        """As the top and the weights need it. Raises ValueError for sizes that they cannot work with."""
        shape = self.input_shape
        if not shape:
            return shaped(size, 3) if self.include_top else shaped(None, 3)
        given = self.input_tensor.shape[1:] if isinstance(self.input_tensor, SymbolicTensor) else shape
        fixed = size is not None and self.include_top  # the top, or what is before it, knows the size
        whole, short_side = fixed and self.pretrained, min(length or smallest for length in places(shape))
        wrong = {
            f"that of `input_tensor`, {given}, or left out": not _agree(shape, given),
            f'{shaped(size, 3)} with `weights="imagenet"` and the top': whole and shape != shaped(size, 3),
            'of 3 channels with `weights="imagenet"`': self.pretrained and shape[channel_axis() - 1] != 3,
            f"at least {smallest}x{smallest}": short_side < smallest,
            "of known sizes with the top (or pass `include_top=False`)": fixed and None in shape,
        }
        for expected, is_wrong in wrong.items():
            if is_wrong:
                raise self.error("input_shape", expected, shape)
        return shape

    def top(self, x: SymbolicTensor, named: bool = True) -> SymbolicTensor:
        """The end of most networks: the mean over all places, then the classifier; or as `pooled`."""
        if self.include_top:
            return self.classified(GlobalAveragePooling2D(name="avg_pool")(x))
        return self.pooled(x, named)

    def classified(self, x: SymbolicTensor, **options: Any) -> SymbolicTensor:
        return Dense(self.classes, activation=self.activation, **{"name": "predictions", **options})(x)

    @property
    def activation(self) -> Any:
        """Of the classifier. Raises ValueError for another than the weights were trained with."""
        fitting = (activations.get("softmax"), activations.get(None))
        if self.weights is not None and activations.get(self.classifier_activation) not in fitting:
            raise self.error(
                "classifier_activation", '"softmax" or None with given weights', self.classifier_activation
            )
        return self.classifier_activation

    def pooled(self, x: SymbolicTensor, named: bool = False) -> SymbolicTensor:
        """Over all places, if `pooling` says so. named: whether by a name of its own, not a counted one."""
        if self.pooling is None:
            return x
        kind = {"avg": GlobalAveragePooling2D, "max": GlobalMaxPooling2D}[self.pooling]
        return kind(name=f"{self.pooling}_pool" if named else None)(x)

    def model(self, x: SymbolicTensor, published: Published) -> Functional:
        """From the input (or what the given tensor was made from) to `x`, with its weights."""
        inputs = self.start if self.input_tensor is None else get_source_inputs(self.start)
        model = Functional(inputs, x, name=self.name)
        if self.weights is not None:
            model.load_weights(published.path(self.include_top) if self.pretrained else self.weights)
        return model


def channel_axis() -> int:
    return 1 if image_data_format() == "channels_first" else 3


def channels_of(x: SymbolicTensor) -> int:
    """How many there are. Raises ValueError where that is unknown."""
    channels = x.shape[channel_axis()]
    if channels is None:
        raise ValueError(f"How many channels {x!r} has must be known.")
    return channels


def places(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Height and width of a picture's shape."""
    return shape[1:] if channel_axis() == 1 else shape[:2]


def _agree(shape: tuple[int | None, ...], other: tuple[int | None, ...]) -> bool:
    """Whether shapes are the same where both are known."""
    return len(shape) == len(other) and all(a == b or None in (a, b) for a, b in zip(shape, other, strict=True))


def shaped(size: int | None, channels: int) -> tuple[int | None, ...]:
    return (channels, size, size) if channel_axis() == 1 else (size, size, channels)


def application(name: str | None = None, order: str = "") -> Callable[[Callable], Callable[..., Functional]]:
    """Make a public function of one that takes a `Network` and an architecture's own arguments.

    name: the model's, where no other is given. order: of all arguments, if it is not that of `Network`.
    """

    def decorate(body: Callable[..., Functional]) -> Callable[..., Functional]:
        shared = {each.name: each.default for each in fields(Network)[1:] if each.init}
        own = {key: each.default for key, each in [*inspect.signature(body).parameters.items()][1:]}
        defaults = {**shared, "input_shape": None, "name": name, **own}
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        signature = inspect.Signature(
            [inspect.Parameter(key, kind, default=defaults[key]) for key in order.split() or shared]
        )

        @functools.wraps(body)
        def build(*args: Any, **kwargs: Any) -> Functional:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{body.__name__}: {error}.") from None
            bound.apply_defaults()
            options = {key: bound.arguments.pop(key) for key in own}
            net = Network(body.__name__, **bound.arguments)
            if net.weights is None:
                return body(net, **options)
            with waiting_weights() as waiting:  # none is drawn that the file replaces
                model = body(net, **options)
                waiting.settle(sys.maxsize)
            return model

        build.__signature__ = signature  # type: ignore[attr-defined]
        build.__doc__ = (body.__doc__ or "").rstrip() + _ARGUMENTS
        return build

    return decorate
