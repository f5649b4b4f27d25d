"""`layer.W`, `layer.b`, `layer.W_i` and the like of Keras 1: the arrays of `get_weights`, to read, to write, to take
gradients by, whatever lies otherwise today."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from lamina.keras1.layers import (
    GRU,
    LSTM,
    AtrousConvolution2D,
    ConvLSTM2D,
    Convolution1D,
    Convolution2D,
    Convolution3D,
    Deconvolution2D,
    Dense,
    Input,
    LocallyConnected2D,
    SimpleRNN,
)
from lamina.keras1.models import Model

import lamina
from lamina import keras1
from lamina.keras1 import backend as K

_PICTURE = {"tf": (6, 5, 3), "th": (3, 6, 5)}
_OUT = {"tf": (None, 7, 6, 2), "th": (None, 2, 7, 6)}
_GATES = {LSTM: "i c f o", GRU: "z r h", ConvLSTM2D: "i c f o"}


def _convolutions(order: str) -> list[tuple[Any, tuple[int, ...]]]:
    shape, how = _PICTURE[order], {"dim_ordering": order}
    volume = (4, 4, 4, 2) if order == "tf" else (2, 4, 4, 4)
    steps = (2, *shape)
    return [
        (lambda: Convolution2D(2, 2, 3, **how), shape),
        (lambda: Convolution2D(1, 3, 2, border_mode="same", bias=False, **how), shape),
        (lambda: AtrousConvolution2D(2, 2, 2, atrous_rate=(2, 2), **how), shape),
        (lambda: Deconvolution2D(2, 2, 2, output_shape=_OUT[order], **how), shape),
        (lambda: LocallyConnected2D(2, 2, 2, **how), shape),
        (lambda: Convolution3D(2, 2, 3, 2, **how), volume),
        (lambda: ConvLSTM2D(2, 2, 2, border_mode="same", **how), steps),
    ]


_CASES = [
    *itertools.chain(*map(_convolutions, ("tf", "th"))),
    (lambda: Dense(3), (4,)),
    (lambda: Dense(3, bias=False), (4,)),
    (lambda: Convolution1D(2, 3, subsample_length=2), (7, 3)),
    (lambda: SimpleRNN(2), (4, 3)),
    *((lambda cls=cls, how=how: cls(2, consume_less=how), (4, 3)) for cls in (LSTM, GRU) for how in ("cpu", "gpu")),
]


@pytest.fixture(params=("tensorflow", "theano"))
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    K.set_backend(request.param)
    yield request.param
    K.set_backend("tensorflow")


def _model(make: Any, shape: tuple[int, ...]) -> tuple[Any, Any, list[str]]:
    x = Input(shape)
    layer = make()
    model = Model(x, layer(x))
    r = np.random.RandomState(0)
    model.set_weights([r.uniform(-1, 1, w.shape).astype("float32") for w in model.get_weights()])
    gates = next((gates for cls, gates in _GATES.items() if isinstance(layer, cls)), "")
    if gates and getattr(layer, "consume_less", "") != "gpu":
        return model, layer, [f"{part}_{gate}" for gate in gates.split() for part in "WUb"]
    return model, layer, (["W", "U", "b"] if gates or isinstance(layer, SimpleRNN) else ["W", "b"])


@pytest.mark.parametrize("make, shape", _CASES)
def test_read_and_written(make: Any, shape: tuple[int, ...], backend: str) -> None:
    _, layer, names = _model(make, shape)
    arrays = layer.get_weights()
    for name, array in zip(names, arrays, strict=False):
        weight = getattr(layer, name)
        for found in (K.get_value(weight), weight.get_value(), weight.eval(), K.eval(weight * 2) / 2):
            np.testing.assert_array_equal(found, array)
        assert tuple(weight.shape) == getattr(layer, f"{name}_shape") == array.shape
        double = K.sum(K.square(weight))  # follows it
        weight.set_value(array + 1)
        np.testing.assert_allclose(K.eval(double), np.sum((array + 1) ** 2), rtol=1e-5)
        np.testing.assert_array_equal(layer.get_weights()[names.index(name)], array + 1)
        K.set_value(weight, array * 2)
        np.testing.assert_array_equal(layer.get_weights()[names.index(name)], array * 2)
        if 1 < array.size != array.shape[0]:
            with pytest.raises(ValueError, match="expected a value of shape"):
                weight.set_value(array.reshape(-1))
    if len(arrays) == 1:
        assert layer.b is None and not layer.bias


@pytest.mark.parametrize("make, shape", _CASES)
def test_gradients_by_them(make: Any, shape: tuple[int, ...], backend: str) -> None:
    model, layer, names = _model(make, shape)
    weights = [getattr(layer, name) for name in names if getattr(layer, name) is not None]
    loss = K.sum(K.square(model.output))
    run = K.function([model.input, K.learning_phase()], [loss, *K.gradients(loss, weights)])
    x = np.random.RandomState(1).uniform(-1, 1, (2, *shape)).astype("float32")
    _, *gradients = run([x, 0])
    for weight, gradient in zip(weights, gradients, strict=True):
        array = weight.get_value()
        assert gradient.shape == array.shape
        place = tuple(np.random.RandomState(2).randint(size) for size in array.shape)
        ends = []
        for by in (1e-2, -1e-2):
            moved = array.copy()
            moved[place] += by
            weight.set_value(moved)
            ends.append(float(run([x, 0])[0]))
        weight.set_value(array)
        np.testing.assert_allclose(gradient[place], (ends[0] - ends[1]) / 2e-2, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("order", ("tf", "th"))
def test_weights_that_are_listed_lie_as_they_did(order: str, backend: str) -> None:
    for make, shape in _convolutions(order)[:6]:
        _, layer, _ = _model(make, shape)
        arrays = layer.get_weights()
        for found, array in zip(K.batch_get_value(layer.weights), arrays, strict=True):
            np.testing.assert_array_equal(found, array)
        K.batch_set_value(zip(layer.trainable_weights, [array + 1 for array in arrays], strict=True))
        for found, array in zip(layer.get_weights(), arrays, strict=True):
            np.testing.assert_array_equal(found, array + 1)


class _Masked(Convolution2D):
    """A convolution by a part of its kernel, as code of the time wrote it."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        mask = np.ones(self.W_shape, "float32")
        mask[0, 0] = 0
        self.mask = K.variable(mask)
        self.trainable_weights = [self.W, self.b]

    def call(self, x: Any, mask: Any = None) -> Any:
        found = K.conv2d(
            x, self.W * self.mask, strides=self.subsample, border_mode=self.border_mode, dim_ordering=self.dim_ordering,
            filter_shape=self.W_shape,
        )  # fmt: skip
        if self.bias:
            found += K.reshape(self.b, (1, 1, 1, -1) if self.dim_ordering == "tf" else (1, -1, 1, 1))
        return found


@pytest.mark.parametrize("order", ("tf", "th"))
@pytest.mark.parametrize("filters", (1, 2))
def test_subclasses_compute_with_them(order: str, filters: int, backend: str) -> None:
    x = Input(_PICTURE[order])
    layer, plain = (
        cls(filters, 2, 3, dim_ordering=order, border_mode="same", subsample=(2, 1)) for cls in (_Masked, Convolution2D)
    )
    model, other = Model(x, layer(x)), Model(x, plain(x))
    r = np.random.RandomState(0)
    kernel, bias = (r.uniform(-1, 1, w.shape).astype("float32") for w in layer.get_weights())
    model.set_weights([kernel, np.zeros_like(bias)])
    data = r.uniform(-1, 1, (2, *_PICTURE[order])).astype("float32")
    model.compile("sgd", "mse")
    target = model.predict(data) - 1
    model.train_on_batch(data, target)
    assert (model.get_weights()[1] != 0).all(), "`if self.bias` asks for a flag, which a bias of zeros is as well"
    model.set_weights([kernel, bias])
    kernel = kernel.copy()
    kernel[0, 0] = 0
    other.set_weights([kernel, bias])
    np.testing.assert_allclose(model.predict(data), other.predict(data), atol=1e-5)


class _Tied(Convolution2D):
    """By the kernel of another layer, in a `build` of its own."""

    def __init__(self, *args: Any, other: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.others = lambda: other

    def build(self, input_shape: Any) -> None:
        self.W_shape, self.W = self.others().W_shape, self.others().W
        self.b = K.zeros((self.nb_filter,))
        self.trainable_weights = [self.b]
        self.built = True


class _Own(Convolution2D):
    """As code of the time made its weights."""

    def build(self, input_shape: Any) -> None:
        first = self.dim_ordering == "th"
        window, channels = (self.nb_row, self.nb_col), input_shape[1 if first else 3]
        self.W_shape = (self.nb_filter, channels, *window) if first else (*window, channels, self.nb_filter)
        self.W, self.b = self.init(self.W_shape, name=f"{self.name}_W"), K.zeros((self.nb_filter,))
        self.trainable_weights = [self.W, self.b]


# What Keras 1.2.2 gave, on TensorFlow and Theano: the loss of one step, then the first of each weight behind it.
_STEPS = {
    ("tied", "th"): {
        "tensorflow": (193.89795, -0.3064, 0.5572, -0.0578),
        "theano": (186.93233, -0.3353, 0.5658, -0.0559),
    },
    ("tied", "tf"): {
        "tensorflow": (141.77393, -0.5014, 0.6308, -0.1055),
        "theano": (98.44186, -0.4614, 0.6995, -0.0852),
    },
    ("own", "th"): {"tensorflow": (8.33942, -0.0061, 0.985), "theano": (8.1657, -0.0071, 0.9853)},
    ("own", "tf"): {"tensorflow": (7.25555, -0.0122, 0.9763), "theano": (5.9339, -0.0143, 0.9791)},
}


@pytest.mark.parametrize("kind, order", _STEPS)
def test_a_build_of_their_own(kind: str, order: str, backend: str) -> None:
    shape = (2, 4, 4) if order == "th" else (4, 4, 2)
    x, how = Input(shape), {"dim_ordering": order}
    layer = (_Own if kind == "own" else Convolution2D)(2, 2, 2, **how)
    out = layer(x)
    model = Model(x, _Tied(2, 2, 2, other=layer, **how)(out) if kind == "tied" else out)
    kernel = layer.get_weights()[0]
    assert kernel.shape == layer.W_shape
    layer.set_weights([np.arange(16).reshape(kernel.shape) / 16, np.ones(2)])
    data = np.arange(64).reshape(2, *shape) / 64
    target = np.full_like(model.predict(data), 0.5)
    model.compile("sgd", "mse")
    found = [model.train_on_batch(data, target), *(array.flat[0] for array in model.get_weights())]
    np.testing.assert_allclose(found, _STEPS[kind, order][backend], atol=2e-4)


def test_sizes_and_flags() -> None:
    _, layer, _ = _model(lambda: Convolution2D(2, 2, 3, dim_ordering="th"), (3, 6, 5))
    assert (layer.nb_row, layer.nb_col, layer.subsample, layer.border_mode) == (2, 3, (1, 1), "valid")
    assert [weight.name for weight in layer.weights] == [f"{layer.name}_W", f"{layer.name}_b"]
    assert _model(lambda: Convolution1D(2, 3, subsample_length=2), (7, 3))[1].subsample == (2, 1)
    assert _model(lambda: Dense(3), (4,))[1].input_dim == 4
    assert [layer.uses_learning_phase for layer in (LSTM(2), LSTM(2, dropout_W=0.5))] == [False, True]
    with pytest.raises(AttributeError, match="W"):
        keras1.layers.Dense(3).W  # noqa: B018


def test_weights_that_nobody_named_are_counted():
    class Two(lamina.layers.Layer):
        def build(self, input_shape):
            self.first = self.add_weight(shape=(1,))
            self.second = self.add_weight(shape=(1,))

        def call(self, x):
            return x

    lamina.utils.clear_session()
    names = [lamina.Variable(1.0).name, lamina.Variable(1.0).name]
    model = lamina.Sequential([lamina.Input((1,)), Two(name="two")])
    names += [weight.path for weight in model.weights]
    assert names == ["variable", "variable_1", "sequential/two/variable_2", "sequential/two/variable_3"]
    assert list(model.state_dict()) == ["two.first", "two.second"]
    assert len(model.get_state_tree("numpy_array")["trainable_variables"]["sequential"]["two"]) == 2
    metric = lamina.metrics.Metric(name="metric")
    assert metric.add_variable(()).path == "metric/variable_4"
