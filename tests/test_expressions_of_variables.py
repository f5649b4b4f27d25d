"""What is computed of variables outside of calls follows them in Keras 1 and 2, whose graphs were static.

The numbers are those of 1.2.2 and 2.3.1.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lamina import generations, keras1, keras2, tf_keras

STATIC = pytest.mark.parametrize("space", [keras1, keras2], ids=["keras1", "keras2"])
SECOND = np.array([2.0, -1.0, 0.5], "float32")


@pytest.fixture(autouse=True)
def as_installed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Operators are those of the time."""
    space = request.node.callspec.params.get("space", keras2) if hasattr(request.node, "callspec") else keras2
    generations.install(space.__name__[7:])
    yield
    generations.uninstall()


def drawn(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    random = np.random.RandomState(0)
    return [random.uniform(-1, 1, shape).astype("float32") for shape in shapes]


X, Y = drawn((4, 5), (4, 2))
EXPRESSIONS: dict[str, Any] = {
    "K": (lambda K, v: K.sum(K.square(v)), 5.25),
    "operators": (lambda K, v: v * 2 + 1, SECOND * 2 + 1),
    "both": (lambda K, v: K.exp(v * 2) / K.sum(v), np.exp(SECOND * 2) / 1.5),
    "a part": (lambda K, v: v[:2] * 2, SECOND[:2] * 2),
    "several": (lambda K, v: K.concatenate([v, v]), np.concatenate([SECOND, SECOND])),
    "a comparison": (lambda K, v: K.cast(v > 1, "float32"), [1, 0, 0]),
    "a choice": (lambda K, v: K.switch(K.sum(v) > 3, v, -v), -SECOND),
    "a constant": (lambda K, v: K.constant([1.0, 2.0, 3.0]) * v, SECOND * [1, 2, 3]),
    "one like it": (lambda K, v: K.ones_like(v) * v, SECOND),
    "a gradient": (lambda K, v: K.gradients(K.sum(K.square(v) * 2), [v])[0], SECOND * 4),
    "a long chain": (lambda K, v: sum([v * 0.01] * 300), SECOND * 3),
}


@STATIC
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_its_value_is_that_of_now(space: ModuleType, name: str) -> None:
    if name == "a constant" and space is keras1:
        pytest.skip("Keras 1 has none.")
    K, (expression, expected) = space.backend, EXPRESSIONS[name]
    variable = K.variable(np.array([1.0, 2.0, 3.0]))
    value = expression(K, variable)
    K.set_value(variable, SECOND)
    assert K.eval(value) == pytest.approx(np.asarray(expected), rel=1e-5)
    assert K.function([], [value])([])[0] == pytest.approx(np.asarray(expected), rel=1e-5)


@pytest.mark.parametrize("space", [tf_keras])
def test_in_tf_keras_it_is_that_of_then(space: ModuleType) -> None:
    K = space.backend
    variable = K.variable(1.0)
    values = [K.square(variable), variable * 1]
    K.set_value(variable, 3.0)
    assert [K.eval(value) for value in values] == [1.0, 1.0]


def weight(layer: Any, space: ModuleType, shape: tuple[int, ...], trainable: bool = True) -> Any:
    ones = "one" if space is keras1 else "ones"
    return layer.add_weight(shape=shape, initializer=ones, name="w", trainable=trainable)


def scaling(space: ModuleType, expression: Any, trainable: bool = True, loss: Any = None) -> Any:
    """A layer whose `build` computes what its `call` multiplies with, and adds to the loss."""

    class Scaling(space.layers.Layer):  # type: ignore[name-defined]
        def build(self, input_shape: Any) -> None:
            self.w = weight(self, space, (5,), trainable)
            self.scale = expression(space.backend, self.w)
            if loss is not None:
                self.add_loss([loss(space.backend, self.scale)])
            super().build(input_shape)

        def call(self, x: Any, mask: Any = None) -> Any:
            return x * self.scale

        def get_output_shape_for(self, input_shape: Any) -> Any:
            return input_shape

    return Scaling


def scaled(space: ModuleType, layer: Any) -> Any:
    init = {"init": "one"} if space is keras1 else {"kernel_initializer": "ones"}
    model = space.models.Sequential([layer, space.layers.Dense(2, **init)])
    model.predict(X)
    layer.set_weights([np.array([0.1, 0.2, 0.3, 0.4, 0.5])])
    return model


# Each with the first losses of training, when `w` trains and when it does not.
SCALES: dict[str, Any] = {
    "K": (lambda K, w: K.sigmoid(w), [0.532561, 0.52589], [0.532561, 0.526253]),
    "operators": (lambda K, w: w * 2, [0.71961, 0.661109], [0.71961, 0.710204]),
    "a view": (lambda K, w: K.reshape(w, (5,)), [0.450593, 0.444556], [0.450593, 0.447316]),
    "a part": (lambda K, w: w[1], [0.407403, 0.404528], [0.407403, 0.404528]),
    "a norm": (lambda K, w: w / K.sum(w), [0.419345, 0.415922], [0.419345, 0.41648]),
    "softmax": (lambda K, w: K.softmax(K.reshape(w, (1, 5))), [0.40465, 0.401758], [0.40465, 0.401786]),
    "a choice": (lambda K, w: K.switch(K.sum(w) > 2, w, w * 3), [1.251537, 0.97172], [1.251537, 1.222569]),
    "parts": (lambda K, w: K.concatenate([w[:2], w[2:] * 2], axis=0), [0.886443, 0.827772], [0.886443, 0.876246]),
}


@STATIC
@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("trainable", [True, False])
def test_what_build_computes_follows_the_weights(space: ModuleType, name: str, trainable: bool) -> None:
    expression, *losses = SCALES[name]
    model = scaled(space, scaling(space, expression, trainable)(input_shape=(5,)))
    model.compile("sgd", "mse")
    found = [model.train_on_batch(X, Y), model.train_on_batch(X, Y)]
    assert found == pytest.approx(losses[not trainable], abs=1e-5)
    assert len(model.weights) == 3
    if "part" not in name:
        other = copy.deepcopy(model)
        other.layers[0].set_weights([np.zeros(5)])
        assert not np.allclose(other.predict(X), model.predict(X))


@STATIC
def test_a_weight_rebound_in_build(space: ModuleType) -> None:
    """A masked kernel: what is masked stays in the list of weights, and gets no gradient."""
    name = "W" if space is keras1 else "kernel"

    class Masked(space.layers.Dense):  # type: ignore[name-defined]
        def build(self, input_shape: Any) -> None:
            super().build(input_shape)
            setattr(self, name, getattr(self, name) * space.backend.variable(np.triu(np.ones((5, 2)))))

    model = space.models.Sequential([Masked(2, input_dim=5)])
    kernel = np.arange(10).reshape(5, 2) / 10
    model.set_weights([kernel, np.zeros(2)])
    model.compile("sgd", "mse")
    assert model.predict(X) == pytest.approx(X @ np.triu(kernel), abs=1e-5)
    assert model.train_on_batch(X, Y) == pytest.approx(0.522229, abs=1e-5)
    trained, bias = model.get_weights()
    moved = [[0.000536, 0.098225], [0.2, 0.297324], [0.4, 0.5], [0.6, 0.7], [0.8, 0.9]]
    assert trained == pytest.approx(np.array(moved), abs=1e-5)
    assert model.predict(X) == pytest.approx(X @ np.triu(trained) + bias, abs=1e-5)


LOSSES: dict[str, Any] = {
    "K": (lambda space, w: [space.backend.sum(space.backend.square(w)) * 0.01], [0.863189, 0.851563, 0.840189]),
    "operators": (lambda space, w: [space.backend.sum(w * w) * 0.01], [0.863189, 0.851563, 0.840189]),
    "a regularizer": (lambda space, w: [space.regularizers.l2(0.01)(w)], [0.863189, 0.851563, 0.840189]),
    "several": (
        lambda space, w: [
            space.backend.mean(space.backend.abs(w)),
            0.1 * space.backend.sum(space.backend.pow(w, 3)),
        ],
        [1.196262, 1.18218, 1.168392],
    ),
    "a product": (
        lambda space, w: [
            space.backend.sum(
                space.backend.square(
                    space.backend.dot(space.backend.transpose(w), w) - space.backend.variable(np.eye(5))
                )
            )
            * 0.01
        ],
        [0.888909, 0.877139, 0.865624],
    ),
}


def filled(model: Any) -> Any:
    random = np.random.RandomState(1)
    model.set_weights([random.uniform(0.1, 0.5, array.shape) for array in model.get_weights()])
    return model


@STATIC
@pytest.mark.parametrize("name", LOSSES)
def test_losses_that_build_adds_count_in_every_step(space: ModuleType, name: str) -> None:
    losses, expected = LOSSES[name]

    class Penalized(space.layers.Layer):  # type: ignore[name-defined]
        def build(self, input_shape: Any) -> None:
            self.w = weight(self, space, (5, 5))
            self.add_loss(losses(space, self.w))
            super().build(input_shape)

        def call(self, x: Any, mask: Any = None) -> Any:
            return space.backend.dot(x, self.w)

    series, y = drawn((4, 3, 5), (4, 2))
    x = series[:, 0]
    model = filled(space.models.Sequential([Penalized(input_shape=(5,)), space.layers.Dense(2)]))
    model.compile("sgd", "mse")
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected[0], abs=1e-5)
    assert [model.train_on_batch(x, y) for _ in expected] == pytest.approx(expected, abs=1e-5)
    assert len(model.losses) == len(model.get_losses_for(None)) == len(losses(space, space.backend.variable(np.eye(5))))


def test_a_wrapper_that_adds_to_the_layer_inside() -> None:
    """As concrete dropout (Gal et al., 2017) does; the weight it adds comes behind the layer's."""
    K, layers = keras2.backend, keras2.layers

    class Gated(layers.Wrapper):
        def build(self, input_shape: Any = None) -> None:
            self.layer.build(input_shape)
            self.layer.built = True
            super().build()
            self.logit = self.layer.add_weight(name="logit", shape=(1,), initializer="zeros", trainable=True)
            self.p = K.sigmoid(self.logit[0])
            self.layer.add_loss(K.sum(K.square(self.layer.kernel)) / (1.0 - self.p) + self.p * K.log(self.p))

        def compute_output_shape(self, input_shape: Any) -> Any:
            return self.layer.compute_output_shape(input_shape)

        def call(self, inputs: Any) -> Any:
            return self.layer.call(inputs * (1.0 - self.p))

    model = filled(keras2.models.Sequential([Gated(layers.Dense(4), input_shape=(5,)), layers.Dense(2)]))
    kernel, _, logit, *_ = before = model.get_weights()
    assert [array.shape for array in before] == [(5, 4), (4,), (1,), (4, 2), (2,)]
    p = 1 / (1 + np.exp(-logit[0]))
    model.compile("sgd", "mse")
    penalty = (kernel**2).sum() / (1 - p) + p * np.log(p)
    loss = np.mean((model.predict(X) - Y) ** 2) + penalty
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(loss, rel=1e-5)
    found = [model.train_on_batch(X, Y) for _ in range(3)]
    assert found[0] == pytest.approx(loss, rel=1e-5) and found == sorted(found, reverse=True)
    assert model.get_weights()[2][0] != logit[0]


def test_gates_that_a_cell_cuts_out_in_build() -> None:
    K, layers = keras2.backend, keras2.layers

    class Cell(layers.Layer):
        units = state_size = 2

        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(shape=(5, 4), name="k", initializer="glorot_uniform")
            self.recurrent = self.add_weight(shape=(2, 4), name="r", initializer="orthogonal")
            self.kz, self.kh, self.rz = self.kernel[:, :2], self.kernel[:, 2:], self.recurrent[:, :2]
            self.rh = K.softmax(self.recurrent[:, 2:])
            self.built = True

        def call(self, x: Any, states: Any) -> Any:
            h = states[0]
            z = K.sigmoid(K.dot(x, self.kz) + K.dot(h, self.rz))
            h = z * h + (1 - z) * K.tanh(K.dot(x, self.kh) + K.dot(z * h, self.rh))
            return h, [h]

    _, _, x, _ = drawn((4, 5), (4, 2), (4, 3, 5), (4, 3, 5))
    model = filled(keras2.models.Sequential([layers.RNN(Cell(), input_shape=(3, 5))]))
    model.compile("sgd", "mse")
    assert model.predict(x)[0] == pytest.approx(np.array([0.018885, 0.071376]), abs=1e-5)
    assert [model.train_on_batch(x, Y) for _ in range(3)] == pytest.approx([0.557987, 0.55675, 0.555511], abs=1e-5)
    model.set_weights([array * 0.5 for array in model.get_weights()])
    assert model.predict(x)[0] == pytest.approx(np.array([0.013065, 0.040408]), abs=1e-5)


@STATIC
def test_functions_of_users_see_the_value_of_now(space: ModuleType) -> None:
    K, layers = space.backend, space.layers
    variable = K.variable(0.5)
    twice, wave = variable * 2, K.sigmoid(variable)
    model = space.models.Sequential([layers.Lambda(lambda x: x * twice + wave, output_shape=(5,), input_shape=(5,))])
    model.compile("sgd", lambda y, p: K.mean(K.square(y - p), axis=-1) * twice)
    for value in (0.5, -1.0):
        K.set_value(variable, value)
        expected = X * value * 2 + 1 / (1 + np.exp(-value))
        assert model.predict(X) == pytest.approx(expected, rel=1e-4)
        assert model.evaluate(X, X, verbose=0) == pytest.approx(np.mean((X - expected) ** 2) * value * 2, rel=1e-4)


@STATIC
def test_a_step_down_an_expression(space: ModuleType) -> None:
    K = space.backend
    variable = K.variable(np.full((1, 5), 0.3))
    loss = K.sum(K.square(variable - K.variable(np.arange(5.0))))
    optimizer = space.optimizers.SGD(lr=0.1)
    steps = optimizer.get_updates(*(([variable], [], loss) if space is keras1 else (loss, [variable])))
    run = K.function([], [loss], updates=steps)
    assert [run([])[0] for _ in range(4)] == pytest.approx([24.45, 15.648, 10.014721, 6.409421], rel=1e-5)
    assert K.eval(variable)[0, 4] == pytest.approx(2.48448, rel=1e-5)


@STATIC
def test_updates_wait_for_who_carries_them_out(space: ModuleType) -> None:
    K = space.backend
    variable = K.variable(1.0)
    K.get_session().run(K.update_add(variable, 2.0))
    assert K.eval(variable) == 3.0
    assert K.eval(K.update(variable, variable * 3)) == K.eval(variable) == 9.0
    K.update(variable, 100.0)
    assert K.eval(variable) == 9.0
    for update, expected in (
        (K.update_sub(variable, 0.5), 8.5),
        (K.moving_average_update(variable, K.variable(5.0), 0.9), 8.15),
    ):
        K.function([], [variable], updates=[update])([])
        assert K.eval(variable) == pytest.approx(expected)
