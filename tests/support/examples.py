"""One entry for each public layer: how it is made and on what it is called. `test_contract.py` takes all of them
through every property, `test_budgets.py` counts their frames."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import lamina as keras
from lamina.core import serialize
from lamina.core.layer import Layer

L = keras.layers


@dataclass(frozen=True)
class Input:
    """One tensor of a call: sizes without the batch axis, and which of those axes a model may leave unknown."""

    sizes: tuple[int, ...]
    unknown: tuple[int, ...] = ()
    integers_below: int | None = None

    def shape(self, batch: int | None, unknown: bool = False) -> tuple[int | None, ...]:
        return (batch, *(None if unknown and axis in self.unknown else size for axis, size in enumerate(self.sizes)))

    def longer(self, by: int) -> Input:
        """The same with more elements along the axes whose size may be unknown."""
        return replace(self, sizes=tuple(n + by * (axis in self.unknown) for axis, n in enumerate(self.sizes)))

    def tensor(self, batch: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
        shape = (batch, *self.sizes)
        if self.integers_below is not None:
            return torch.randint(self.integers_below, shape, generator=generator, dtype=torch.int32)
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    def symbol(self, batch: int | None = None, unknown: bool = False) -> Any:
        dtype = "float32" if self.integers_below is None else "int32"
        return keras.Input(batch_shape=self.shape(batch, unknown), dtype=dtype)


@dataclass(frozen=True)
class Example:
    """One way to make a layer (under whatever dtype policy is set) and to call it. `args` is a structure of Inputs."""

    cls: type[Layer]
    index: int
    make: Callable[[], Layer]
    args: tuple[Any, ...]

    @property
    def id(self) -> str:
        return f"{self.name}-{self.index}"

    @property
    def name(self) -> str:
        return self.cls.__name__

    def tensors(self, batch: int = 2, dtype: torch.dtype | None = None, seed: int = 0) -> tuple[Any, ...]:
        """Inputs with fixed random values, of the type of `keras.config.floatx()` where none is given."""
        generator = torch.Generator().manual_seed(seed)
        dtype = dtype or getattr(torch, keras.config.floatx())
        return self._filled(lambda given: given.tensor(batch, generator, dtype))

    def symbols(self, batch: int | None = None, unknown: bool = False) -> tuple[Any, ...]:
        batch = 2 if self.stateful else batch
        return self._filled(lambda given: given.symbol(batch, unknown))

    def built(self, seed: int = 0) -> Layer:
        """The layer after a first call, its weights moved away from the zeros and ones they may start from."""
        torch.manual_seed(seed)
        layer = self.make()
        with torch.no_grad():
            layer(*self.tensors())
            for weight in layer.weights:
                if weight.is_floating_point():
                    weight.add_(0.1 * torch.rand(weight.shape).to(weight.dtype))
        return reset(layer.eval() if self.name in ALWAYS_RANDOM else layer)

    @property
    def stateful(self) -> bool:
        """Whether it keeps a state from call to call, and so the size of its batch."""
        return getattr(self.make(), "stateful", False)

    @property
    def plain(self) -> bool:
        """Whether it is called on one tensor."""
        return len(self.args) == 1 and isinstance(self.args[0], Input)

    @property
    def floating(self) -> bool:
        return self.name not in FLAT and all(given.integers_below is None for given in pytree.tree_leaves(self.args))

    def _filled(self, fill: Callable[[Input], Any]) -> tuple[Any, ...]:
        return pytree.tree_map(fill, self.args)


def reset(layer: Layer) -> Layer:
    """Forget the states a stateful layer has kept."""
    if getattr(layer, "stateful", False):
        layer.reset_state()
    return layer


@contextmanager
def policy(name: str) -> Iterator[None]:
    """Inside, new layers and `Example.tensors` have this dtype policy; mixed policies leave the inputs float32."""
    before = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_dtype_policy(name)
    keras.config.set_floatx("float32" if name.startswith("mixed") else name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_floatx(before[1])


def floats(structure: Any) -> list[Tensor]:
    """The floating tensors of a structure, flat."""
    return [leaf for leaf in pytree.tree_leaves(structure) if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def x(*sizes: int, unknown: tuple[int, ...] = ()) -> Input:
    return Input(sizes, unknown)


def ids(below: int, *sizes: int, unknown: tuple[int, ...] = ()) -> Input:
    return Input(sizes, unknown, below)


def spatial(*sizes: int) -> Input:
    """A picture (or sequence, volume) of channels last, of unknown spatial size."""
    return Input(sizes, tuple(range(len(sizes) - 1)))


def spatial_first(*sizes: int) -> Input:
    return Input((sizes[-1], *sizes[:-1]), tuple(range(1, len(sizes))))


LINE, PICTURE, VOLUME = spatial(7, 2), spatial(6, 5, 2), spatial(4, 5, 4, 2)
GRID = {1: LINE, 2: PICTURE, 3: VOLUME}
STEPS = x(5, 3, unknown=(0,))
PAIR = [x(3, 4), x(3, 4)]


@serialize.register("tests")
def halved(inputs: Tensor, by: float = 2.0) -> Tensor:
    return inputs / by


@serialize.register("tests")
class Squash(Layer):
    """A layer as users of Keras write them."""

    def __init__(self, units: int = 3, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.inner = L.Dense(units)

    def build(self, input_shape: tuple) -> None:
        self.inner.build(input_shape)
        self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")

    def call(self, inputs: Tensor) -> Tensor:
        return torch.tanh(self.inner(inputs)) * self.scale

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


Way = tuple[Callable[[], Any], Any]  # how to make it, what to call it on (a tuple for several arguments)
ENTRIES: dict[str, list[Way]] = {
    "Dense": [
        (lambda: L.Dense(3), x(4)),
        (lambda: L.Dense(3, activation="tanh", use_bias=False), STEPS),
        (lambda: L.Dense(3, lora_rank=2), x(4)),
    ],
    "Embedding": [
        (lambda: L.Embedding(7, 3), ids(7, 5, unknown=(0,))),
        (lambda: L.Embedding(7, 3, mask_zero=True), ids(7, 5, unknown=(0,))),
        (lambda: L.Embedding(7, 3, lora_rank=2), ids(7, 5)),
    ],
    "ReversibleEmbedding": [
        (lambda: L.ReversibleEmbedding(7, 3), ids(7, 5, unknown=(0,))),
        (lambda: L.ReversibleEmbedding(7, 3, mask_zero=True), ids(7, 5, unknown=(0,))),
    ],
    "Activation": [(lambda: L.Activation("softplus"), x(4)), (lambda: L.Activation("softmax"), STEPS)],
    "ActivityRegularization": [(lambda: L.ActivityRegularization(l1=0.1, l2=0.2), x(4))],
    "ReLU": [
        (lambda: L.ReLU(), x(4)),
        (lambda: L.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2), PICTURE),
    ],
    "LeakyReLU": [(lambda: L.LeakyReLU(), x(4))],
    "ELU": [(lambda: L.ELU(alpha=0.5), x(4))],
    "PReLU": [(lambda: L.PReLU(alpha_initializer="ones"), x(4)), (lambda: L.PReLU(shared_axes=[1, 2]), PICTURE)],
    "Softmax": [(lambda: L.Softmax(), x(4)), (lambda: L.Softmax(axis=[1, 2]), x(3, 4))],
    "Identity": [(lambda: L.Identity(), x(4))],
    "Flatten": [
        (lambda: L.Flatten(), PICTURE),
        (lambda: L.Flatten(data_format="channels_first"), spatial_first(6, 5, 2)),
        (lambda: L.Flatten(), x()),
    ],
    "Reshape": [(lambda: L.Reshape((3, -1)), x(6, 2)), (lambda: L.Reshape((2, 6)), x(3, 4))],
    "Permute": [(lambda: L.Permute((2, 1)), x(3, 4, unknown=(0, 1))), (lambda: L.Permute((3, 1, 2)), PICTURE)],
    "RepeatVector": [(lambda: L.RepeatVector(3), x(4))],
    "Lambda": [
        (lambda: L.Lambda(halved), x(4)),
        (lambda: L.Lambda(halved, output_shape=(4,), arguments={"by": 4.0}), x(4)),
    ],
    "Masking": [(lambda: L.Masking(mask_value=0.5), STEPS)],
    "TorchModuleWrapper": [
        (lambda: L.TorchModuleWrapper(nn.Linear(4, 3, dtype=getattr(torch, keras.config.floatx()))), x(4)),
    ],
    "Dropout": [(lambda: L.Dropout(0.5, seed=1), x(40)), (lambda: L.Dropout(0.3, noise_shape=(None, 1, None)), STEPS)],
    "AlphaDropout": [(lambda: L.AlphaDropout(0.5, seed=1), x(40))],
    "GaussianDropout": [(lambda: L.GaussianDropout(0.5, seed=1), x(40))],
    "GaussianNoise": [(lambda: L.GaussianNoise(0.5, seed=1), x(40))],
    "SpatialDropout1D": [(lambda: L.SpatialDropout1D(0.5, seed=1), x(3, 16))],
    "SpatialDropout2D": [(lambda: L.SpatialDropout2D(0.5, seed=1), x(3, 3, 16))],
    "SpatialDropout3D": [(lambda: L.SpatialDropout3D(0.5, seed=1), x(2, 2, 2, 16))],
    "Concatenate": [
        (lambda: L.Concatenate(), ([x(5, 3, unknown=(0,)), x(5, 2, unknown=(0,))],)),
        (lambda: L.Concatenate(axis=1), ([x(3, 4), x(2, 4), x(1, 4)],)),
    ],
    "Dot": [
        (lambda: L.Dot(axes=1), ([x(4), x(4)],)),
        (lambda: L.Dot(axes=(2, 1), normalize=True), ([x(3, 4), x(4, 2)],)),
    ],
    "Conv1D": [
        (lambda: L.Conv1D(3, 3), LINE),
        (lambda: L.Conv1D(3, 2, padding="causal", dilation_rate=2, activation="tanh"), LINE),
        (lambda: L.Conv1D(4, 3, strides=2, padding="same", groups=2, use_bias=False), LINE),
        (lambda: L.Conv1D(3, 3, data_format="channels_first", lora_rank=2), spatial_first(7, 2)),
    ],
    "Conv2D": [
        (lambda: L.Conv2D(3, 3), PICTURE),
        (lambda: L.Conv2D(3, (2, 3), strides=(2, 1), padding="same", activation="relu"), PICTURE),
        (lambda: L.Conv2D(4, 2, dilation_rate=2, groups=2, data_format="channels_first"), spatial_first(6, 5, 2)),
    ],
    "Conv3D": [
        (lambda: L.Conv3D(2, 2), VOLUME),
        (lambda: L.Conv3D(2, (2, 3, 2), strides=2, padding="same"), VOLUME),
    ],
    "Conv1DTranspose": [
        (lambda: L.Conv1DTranspose(3, 3, strides=2), LINE),
        (lambda: L.Conv1DTranspose(3, 2, padding="same", dilation_rate=2, use_bias=False), LINE),
    ],
    "Conv2DTranspose": [
        (lambda: L.Conv2DTranspose(3, 3), PICTURE),
        (lambda: L.Conv2DTranspose(3, (3, 2), strides=2, padding="same", output_padding=1), PICTURE),
    ],
    "Conv3DTranspose": [(lambda: L.Conv3DTranspose(2, 2, strides=2, padding="same"), spatial(2, 3, 2, 2))],
    "DepthwiseConv1D": [
        (lambda: L.DepthwiseConv1D(3, depth_multiplier=2), LINE),
        (lambda: L.DepthwiseConv1D(2, strides=2, padding="same"), LINE),
    ],
    "DepthwiseConv2D": [
        (lambda: L.DepthwiseConv2D(3, depth_multiplier=2), PICTURE),
        (lambda: L.DepthwiseConv2D(2, strides=2, padding="same"), PICTURE),
    ],
    "SeparableConv1D": [(lambda: L.SeparableConv1D(3, 3, depth_multiplier=2, padding="same"), LINE)],
    "SeparableConv2D": [(lambda: L.SeparableConv2D(3, 3, strides=2), PICTURE)],
    "UpSampling2D": [
        (lambda: L.UpSampling2D(2), PICTURE),
        (lambda: L.UpSampling2D((2, 3), interpolation="bilinear"), PICTURE),
        (lambda: L.UpSampling2D(2, interpolation="bicubic"), PICTURE),
    ],
    "SimpleRNN": [
        (lambda: L.SimpleRNN(3), STEPS),
        (lambda: L.SimpleRNN(3, return_sequences=True, go_backwards=True, activation="relu", use_bias=False), STEPS),
    ],
    "LSTM": [
        (lambda: L.LSTM(3), STEPS),
        (lambda: L.LSTM(3, return_sequences=True, return_state=True), STEPS),
        (lambda: L.LSTM(3, recurrent_activation="hard_sigmoid", use_bias=False, go_backwards=True), STEPS),
        (lambda: L.LSTM(3, dropout=0.3, recurrent_dropout=0.3, seed=1), STEPS),
        (lambda: L.LSTM(3, stateful=True), STEPS),
    ],
    "GRU": [
        (lambda: L.GRU(3), STEPS),
        (lambda: L.GRU(3, reset_after=False, return_sequences=True, unroll=True), x(5, 3)),
        (lambda: L.GRU(3, return_state=True, use_bias=False), STEPS),
    ],
    "ConvLSTM1D": [
        (lambda: L.ConvLSTM1D(3, 3), x(2, 6, 2)),
        (lambda: L.ConvLSTM1D(3, 2, padding="same", data_format="channels_first", return_state=True), x(3, 2, 5)),
        (lambda: L.ConvLSTM1D(3, 3, padding="same", dropout=0.3, recurrent_dropout=0.3, seed=1), x(3, 5, 2)),
    ],
    "ConvLSTM2D": [
        (lambda: L.ConvLSTM2D(3, 3, strides=2, padding="same", return_sequences=True), x(3, 5, 4, 2)),
        (lambda: L.ConvLSTM2D(2, (2, 3), data_format="channels_first", go_backwards=True), x(3, 2, 5, 4)),
        (lambda: L.ConvLSTM2D(2, 2, padding="same", stateful=True, return_sequences=True), x(2, 4, 3, 2)),
    ],
    "ConvLSTM3D": [
        (lambda: L.ConvLSTM3D(2, 2, padding="same", dilation_rate=2, use_bias=False), x(2, 3, 4, 3, 2)),
        (lambda: L.ConvLSTM3D(2, 2), x(2, 3, 2, 2, 1)),
    ],
    "SimpleRNNCell": [(lambda: L.SimpleRNNCell(3), (x(4), [x(3)]))],
    "LSTMCell": [(lambda: L.LSTMCell(3), (x(4), [x(3), x(3)]))],
    "GRUCell": [(lambda: L.GRUCell(3), (x(4), [x(3)])), (lambda: L.GRUCell(3, reset_after=False), (x(4), [x(3)]))],
    "StackedRNNCells": [
        (lambda: L.StackedRNNCells([L.GRUCell(3), L.LSTMCell(2)]), (x(4), [x(3), [x(2), x(2)]])),
    ],
    "RNN": [
        (lambda: L.RNN(L.GRUCell(3)), STEPS),
        (lambda: L.RNN(L.StackedRNNCells([L.LSTMCell(3), L.SimpleRNNCell(2)]), return_sequences=True), STEPS),
    ],
    "Bidirectional": [
        (lambda: L.Bidirectional(L.LSTM(3)), STEPS),
        (lambda: L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode="sum"), STEPS),
        (lambda: L.Bidirectional(L.ConvLSTM2D(2, 2, return_sequences=True)), x(3, 4, 3, 2)),
    ],
    "TimeDistributed": [
        (lambda: L.TimeDistributed(L.Dense(3)), STEPS),
        (lambda: L.TimeDistributed(L.Conv2D(2, 2)), x(3, 4, 4, 2)),
    ],
    "Pipeline": [(lambda: L.Pipeline([L.Dense(3), L.Dropout(0.0), L.Dense(2)]), STEPS)],
    "BatchNormalization": [
        (lambda: L.BatchNormalization(), x(4)),
        (lambda: L.BatchNormalization(axis=1, momentum=0.9, scale=False), x(2, 3, 4)),
        (lambda: L.BatchNormalization(center=False), PICTURE),
    ],
    "LayerNormalization": [
        (lambda: L.LayerNormalization(), x(4)),
        (lambda: L.LayerNormalization(axis=[1, 2], center=False), x(3, 4)),
        (lambda: L.LayerNormalization(axis=1, scale=False), x(3, 4)),
    ],
    "GroupNormalization": [(lambda: L.GroupNormalization(groups=2), spatial(3, 4, 4))],
    "SpectralNormalization": [(lambda: L.SpectralNormalization(L.Dense(3)), x(4))],
    "RMSNormalization": [(lambda: L.RMSNormalization(), x(4))],
    "UnitNormalization": [(lambda: L.UnitNormalization(), x(4))],
    "Rescaling": [(lambda: L.Rescaling(0.5), x(4)), (lambda: L.Rescaling([1.0, 2.0], [0.0, 1.0]), PICTURE)],
    "Normalization": [
        (lambda: L.Normalization(), x(4)),
        (lambda: L.Normalization(axis=1), x(3, 4)),
        (lambda: L.Normalization(mean=0.5, variance=2.0, invert=True), STEPS),
    ],
    "Discretization": [
        (lambda: L.Discretization([-0.5, 0.0, 0.5]), x(4)),
        (lambda: L.Discretization([0.0, 1.0], output_mode="multi_hot"), x(4)),
    ],
    "CategoryEncoding": [
        (lambda: L.CategoryEncoding(7), ids(7, 4)),
        (lambda: L.CategoryEncoding(7, "one_hot"), ids(7, 4)),
        (lambda: L.CategoryEncoding(7, "count"), ids(7, 4)),
    ],
    "Hashing": [(lambda: L.Hashing(5), ids(7, 4)), (lambda: L.Hashing(5, 3, output_mode="one_hot"), ids(7, 1))],
    "HashedCrossing": [(lambda: L.HashedCrossing(5), ([ids(7, 1), ids(7, 1)],))],
    "IntegerLookup": [
        (lambda: L.IntegerLookup(vocabulary=[5, 2, 6]), ids(7, 4)),
        (lambda: L.IntegerLookup(vocabulary=[5, 2, 6], mask_token=1, output_mode="count"), ids(7, 4)),
    ],
    "Squash": [(Squash, x(4))],
    "EinsumDense": [
        (lambda: L.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"), STEPS),
        (lambda: L.EinsumDense("abc,cde->abde", (None, 2, 3), "relu", "e", lora_rank=2), STEPS),
        (lambda: L.EinsumDense("ab...,bc->ac...", 3, bias_axes="c"), x(3, 4)),
        (lambda: L.EinsumDense("abc,bcd->abd", (None, 3)), x(5, 3)),
    ],
    "MultiHeadAttention": [
        (lambda: L.MultiHeadAttention(2, 3), (STEPS, STEPS)),
        (
            lambda: L.MultiHeadAttention(2, 3, value_dim=4, output_shape=(2, 3), use_bias=False),
            (STEPS, x(4, 2), x(4, 3)),
        ),
        (lambda: L.MultiHeadAttention(2, 3, attention_axes=(1, 3), use_gate=True), (x(2, 3, 2, 4), x(2, 3, 2, 4))),
        (lambda: L.MultiHeadAttention(1, 2, sliding_window=2, dropout=0.5, seed=1), (STEPS, STEPS)),
    ],
    "GroupedQueryAttention": [
        (lambda: L.GroupedQueryAttention(3, 4, 2), (STEPS, STEPS)),
        (lambda: L.GroupedQueryAttention(3, 4, 1, use_gate=True, sliding_window=2), (STEPS, x(4, 3))),
    ],
    "Attention": [
        (lambda: L.Attention(), ([x(5, 3, unknown=(0,)), x(4, 3)],)),
        (lambda: L.Attention(use_scale=True, score_mode="concat"), ([x(5, 3), x(4, 2), x(4, 3)],)),
        (lambda: L.Attention(use_scale=True, dropout=0.5, seed=1), ([x(5, 3), x(4, 3)],)),
    ],
    "AdditiveAttention": [
        (lambda: L.AdditiveAttention(), ([x(5, 3), x(4, 3)],)),
        (lambda: L.AdditiveAttention(use_scale=False), ([x(5, 3), x(4, 3)],)),
    ],
}
for _name in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"):
    ENTRIES[_name] = [(lambda name=_name: getattr(L, name)(), (PAIR,))]
ENTRIES["Add"].append((lambda: L.Add(), ([x(3, 4), x(4), x(1, 1)],)))
for _rank in (1, 2, 3):
    for _name, _arguments in {
        f"MaxPooling{_rank}D": [{}, {"pool_size": 3, "strides": 2, "padding": "same"}],
        f"AveragePooling{_rank}D": [{"pool_size": 2}, {"pool_size": 3, "strides": 2, "padding": "same"}],
        f"GlobalMaxPooling{_rank}D": [{}, {"keepdims": True}],
        f"GlobalAveragePooling{_rank}D": [{}, {"keepdims": True}],
        f"AdaptiveMaxPooling{_rank}D": [{"output_size": 2}],
        f"AdaptiveAveragePooling{_rank}D": [{"output_size": 3}],
        f"ZeroPadding{_rank}D": [{}, {"padding": 2} if _rank == 1 else {"padding": ((1, 2),) * _rank}],
        f"Cropping{_rank}D": [{"cropping": 1}],
        f"UpSampling{_rank}D": [{}],
    }.items():
        if _name not in ENTRIES:
            ENTRIES[_name] = [
                (lambda name=_name, arguments=arguments: getattr(L, name)(**arguments), GRID[_rank])
                for arguments in _arguments
            ]
    _fixed = x(*GRID[_rank].sizes)
    ENTRIES[f"LocallyConnected{_rank}D"] = [
        (lambda rank=_rank: getattr(L, f"LocallyConnected{rank}D")(2, 2), _fixed),
        (lambda rank=_rank: getattr(L, f"LocallyConnected{rank}D")(2, 3, strides=2, padding="same"), _fixed),
    ]

ENTRIES |= {
    "MelSpectrogram": [
        (lambda: L.MelSpectrogram(16, 8, num_mel_bins=3, sampling_rate=800), x(40)),
        (lambda: L.MelSpectrogram(16, 8, 12, num_mel_bins=3, sampling_rate=800, power_to_db=False, mag_exp=1.5), x(40)),
    ],
    "STFTSpectrogram": [
        *(
            (lambda mode=mode: L.STFTSpectrogram(mode, 8, 4, scaling="spectrum"), x(20, 2))
            for mode in ("log", "magnitude", "psd", "real", "imag", "stft")
        ),
        (lambda: L.STFTSpectrogram("magnitude", 8, 3, 16, "hamming", padding="same"), x(20, 2)),
    ],
}

# Layers over pictures that are random in training, and in training from the start: each of these draws the same always.
PALETTE = spatial(6, 5, 3)
NARROW = (-9, 9)
ENTRIES |= {
    "Resizing": [
        (lambda: L.Resizing(4, 7), PICTURE),
        (lambda: L.Resizing(4, 4, "bicubic", crop_to_aspect_ratio=True), PICTURE),
        (lambda: L.Resizing(8, 4, "area", pad_to_aspect_ratio=True, fill_value=2.0), PICTURE),
        (lambda: L.Resizing(3, 3, "lanczos3", antialias=True), PICTURE),
        (lambda: L.Resizing(4, 7, "nearest", data_format="channels_first"), spatial_first(6, 5, 2)),
    ],
    "CenterCrop": [(lambda: L.CenterCrop(4, 3), PICTURE), (lambda: L.CenterCrop(7, 4), x(6, 5, 2))],
    "RandomCrop": [(lambda: L.RandomCrop(6, 5), x(6, 5, 2))],
    "RandomFlip": [(lambda: L.RandomFlip("vertical"), PICTURE)],
    "RandomRotation": [
        (lambda: L.RandomRotation((0.1, 0.1)), PICTURE),
        (lambda: L.RandomRotation((0.2, 0.2), "wrap"), PICTURE),
    ],
    "RandomZoom": [
        (lambda: L.RandomZoom((0.2, 0.2)), PICTURE),
        (lambda: L.RandomZoom((-0.3, -0.3), (0.1, 0.1), "constant", fill_value=2.0), PICTURE),
    ],
    "RandomTranslation": [
        (lambda: L.RandomTranslation((0.2, 0.2), (-0.15, -0.15)), PICTURE),
        (lambda: L.RandomTranslation((0.2, 0.2), 0, "nearest", data_format="channels_first"), spatial_first(6, 5, 2)),
    ],
    "RandomShear": [(lambda: L.RandomShear(0.0, 0.0), PICTURE)],
    "RandomContrast": [(lambda: L.RandomContrast((0.0, 0.0), NARROW), PICTURE)],
    "RandomBrightness": [(lambda: L.RandomBrightness((-0.2, -0.2), NARROW), PICTURE)],
    "RandomPerspective": [(lambda: L.RandomPerspective(0.0), PICTURE)],
    "RandomElasticTransform": [(lambda: L.RandomElasticTransform(0.0, value_range=NARROW), PICTURE)],
    "RandomColorDegeneration": [(lambda: L.RandomColorDegeneration((0.4, 0.4), NARROW), PALETTE)],
    "RandomHue": [(lambda: L.RandomHue(0.0, NARROW), PALETTE)],
    "RandomSaturation": [(lambda: L.RandomSaturation((0.7, 0.7), NARROW), PALETTE)],
    "RandomSharpness": [(lambda: L.RandomSharpness((0.8, 0.8), NARROW), PICTURE)],
    "RandomPosterization": [(lambda: L.RandomPosterization((4, 4), NARROW), PICTURE)],
    "RandomGrayscale": [(lambda: L.RandomGrayscale(1.0), PALETTE)],
    "RandomInvert": [(lambda: L.RandomInvert((1, 1)), PICTURE)],
    "RandomGaussianBlur": [(lambda: L.RandomGaussianBlur((1, 1), 3, (0.7, 0.7), NARROW), PICTURE)],
    "RandomErasing": [(lambda: L.RandomErasing(0.0, fill_value=1.0), PICTURE)],
    "RandomColorJitter": [(lambda: L.RandomColorJitter(NARROW, (-0.2, -0.2), (0.0, 0.0)), PICTURE)],
    "RandAugment": [(lambda: L.RandAugment(NARROW, 0), PALETTE)],
    "AugMix": [(lambda: L.AugMix(NARROW), PALETTE)],
    "MixUp": [(lambda: L.MixUp(), PICTURE)],
    "CutMix": [(lambda: L.CutMix(), PICTURE)],
    "MaxNumBoundingBoxes": [(lambda: L.MaxNumBoundingBoxes(3), PICTURE)],
    "Solarization": [(lambda: L.Solarization(value_range=NARROW), PICTURE)],
    "AutoContrast": [(lambda: L.AutoContrast(NARROW), PICTURE)],
    "Equalization": [(lambda: L.Equalization(NARROW, 16), x(6, 5, 2))],
    "ContrastLimitedAdaptiveHistogramEqualization": [
        (lambda: L.ContrastLimitedAdaptiveHistogramEqualization(NARROW, tile_grid_size=(2, 3)), x(6, 5, 2))
    ],
}

# Layers that run others inside, and how many: each may take a call's frames.
INSIDE = {
    "Bidirectional": 2,
    "RNN-1": 2,
    "Pipeline": 3,
    "Conv1D-3": 1,
    "EinsumDense-1": 1,
    "ReversibleEmbedding-1": 1,
} | dict.fromkeys(("SpectralNormalization", "Squash", "TimeDistributed", "TorchModuleWrapper"), 1)
DRAWING = {
    "MelSpectrogram",
    "STFTSpectrogram",
    "AutoContrast-0",
    "Resizing-1",
    "Resizing-2",
    "Resizing-3",
    "CenterCrop-1",
    "ContrastLimitedAdaptiveHistogramEqualization-0",
}  # so much is done that frames are nothing
LONG = {"Hashing": 110}  # long arithmetic, and its frames
LOOPING = {"GRU-1", "LSTM-2", "Bidirectional-2"}  # no fused kernel has their arithmetic
LOOPING |= {f"ConvLSTM{rank}D-{i}" for rank in (1, 2, 3) for i in range(3)}
UNCALLED = {"InputLayer": lambda: L.InputLayer((3, None), name="inputs")}  # holds an input and takes none
TEXTUAL = {"StringLookup", "TextVectorization"}  # take texts and no tensors: test_text.py
FLAT = {"ContrastLimitedAdaptiveHistogramEqualization", "Discretization"}  # steps have no slope
FOREIGN = {"TorchModuleWrapper"}  # has the types and weights of the module inside
ALWAYS_RANDOM = {
    "AugMix",
    "CutMix",
    "MixUp",
    "RandomFlip",
}  # in training, whatever the arguments; and they are in training from the start
RANDOM = {name for name in ENTRIES if "Dropout" in name or "Noise" in name}


def public_layers() -> dict[str, type[Layer]]:
    """Every public layer of `lamina.layers` under its own name."""
    named = {name: getattr(L, name) for name in dir(L)}
    found = {name: item for name, item in named.items() if inspect.isclass(item) and issubclass(item, Layer)}
    return {name: cls for name, cls in found.items() if cls not in (Layer, L.Wrapper) and cls.__name__ == name}


def examples() -> list[Example]:
    classes = {**public_layers(), "Squash": Squash}
    return [
        Example(cls, index, make, args if isinstance(args, tuple) else (args,))
        for name, cls in classes.items()
        for index, (make, args) in enumerate(ENTRIES.get(name, ()))
    ]


EXAMPLES = examples()
