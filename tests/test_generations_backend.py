"""`keras.backend` of Keras 1, 2 and tf.keras, and arrays and symbolic tensors meeting each other."""

from __future__ import annotations

import importlib
import itertools
import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from support.golden import GOLDEN

import lamina
from lamina import keras1, keras2, losses, metrics, tf_keras
from lamina.generations.alias import install, uninstall
from lamina.generations.dialect import DIALECTS

GENERATIONS: list[Any] = [keras1, keras2, tf_keras]
every = pytest.mark.parametrize("space", GENERATIONS, ids=lambda space: space.__name__)
RANDOM = np.random.RandomState(0)
A = RANDOM.randn(4, 3).astype("float32")
B = RANDOM.randn(4, 3).astype("float32")
T = RANDOM.randn(4, 5, 3).astype("float32")
PICTURES = RANDOM.randn(2, 6, 5, 3).astype("float32")
PROBABILITIES = (np.abs(A) / np.abs(A).sum(-1, keepdims=True)).astype("float32")
KERNEL = RANDOM.randn(3, 2, 3, 4).astype("float32")


@pytest.mark.parametrize("generation", ["keras1", "keras2", "tf_keras"])
def test_every_function_of_the_original_is_there(generation: str) -> None:
    listed = json.loads((GOLDEN / "signatures" / f"{generation.replace('tf_keras', 'tf_keras2')}.json").read_text())
    backend = importlib.import_module(f"lamina.{generation}.backend")
    absent = [name for name in listed if re.fullmatch(r"backend\.\w+", name) and not hasattr(backend, name[8:])]
    assert absent == []


# What one function gives for numbers, arrays, tensors and symbolic tensors of unknown sizes.
CASES: dict[str, Any] = {
    "maximum": (lambda K, x: K.maximum(x, 0), lambda: np.maximum(A, 0)),
    "minimum": (lambda K, x: K.minimum(x, 0.5), lambda: np.minimum(A, 0.5)),
    "maximum of an array": (lambda K, x: K.maximum(x, B.astype("float64")), lambda: np.maximum(A, B)),
    "greater": (lambda K, x: K.greater(x, B[:1]), lambda: A > B[:1]),
    "clip": (lambda K, x: K.clip(x, None, 0.5), lambda: np.minimum(A, 0.5)),
    "relu": (lambda K, x: K.relu(x, alpha=0.1, max_value=0.5), lambda: np.minimum(np.where(A > 0, A, 0.1 * A), 0.5)),
    "relu of a tensor": (lambda K, x: K.relu(x, alpha=torch.tensor(0.1)), lambda: np.where(A > 0, A, 0.1 * A)),
    "gather": (lambda K, x: K.gather(x, np.array([[0, 3]])), lambda: A[[[0, 3]]]),
    "stack": (lambda K, x: K.stack([K.shape(x)[0], 3]), lambda: np.array([4, 3])),
    "zeros": (lambda K, x: K.zeros((K.shape(x)[0], 2)) + 1.0, lambda: np.ones((4, 2))),
    "normal": (lambda K, x: 0 * K.random_normal(K.shape(x)) + x, lambda: A),
    "uniform": (lambda K, x: K.random_uniform((K.shape(x)[0], 2), dtype="int32") * 0, lambda: np.zeros((4, 2))),
    "tile": (lambda K, x: K.tile(x, K.stack([1, K.shape(x)[1]])), lambda: np.tile(A, (1, 3))),
    "repeat_elements": (lambda K, x: K.repeat_elements(x, 2, axis=0), lambda: np.repeat(A, 2, 0)),
    "arange": (lambda K, x: K.arange(K.shape(x)[0]), lambda: np.arange(4)),
    "reshape": (lambda K, x: K.reshape(x, (K.shape(x)[0], 3, 1)), lambda: A[..., None]),
    "cast": (lambda K, x: x / K.cast(K.shape(x)[1], "float32"), lambda: A / 3),
    "cast_to_floatx": (lambda K, x: K.cast_to_floatx(0.5) * x, lambda: A / 2),
    "reversed": (lambda K, x: x[::-1, ::-2], lambda: A[::-1, ::-2]),
    "batch_flatten": (lambda K, x: K.batch_flatten(K.expand_dims(x)), lambda: A),
    "repeat": (lambda K, x: K.repeat(x, 2), lambda: np.stack([A, A], 1)),
    "any": (lambda K, x: K.any(x > 1, axis=-1), lambda: (A > 1).any(-1)),
    "prod": (lambda K, x: K.prod(x, axis=[0, 1]), lambda: A.prod()),
    "std": (lambda K, x: K.std(x, axis=0, keepdims=True), lambda: A.std(0, keepdims=True)),
    "batch_dot": (lambda K, x: K.batch_dot(x, B, axes=1), lambda: (A * B).sum(1, keepdims=True)),
    "dot": (lambda K, x: K.dot(x, B.T), lambda: A @ B.T),
    "switch": (lambda K, x: K.switch(K.greater(x, 0.0), lambda: x, lambda: -x), lambda: np.abs(A)),
    "switch by sample": (lambda K, x: K.switch(x[:, 0] > 0, x, B), lambda: np.where(A[:, :1] > 0, A, B)),
    "map_fn": (lambda K, x: K.map_fn(lambda row: 2 * K.sum(row), x), lambda: 2 * A.sum(1)),
    "foldl": (lambda K, x: K.foldl(lambda p, q: p / 2 + q, x), lambda: ((A[0] / 2 + A[1]) / 2 + A[2]) / 2 + A[3]),
    "foldr": (lambda K, x: K.foldr(lambda p, q: p / 2 + q, x), lambda: ((A[3] / 2 + A[2]) / 2 + A[1]) / 2 + A[0]),
    "loop of its own": (lambda K, x: K.map_fn(lambda row: row + K.mean(x), x), lambda: A + A.mean()),
    "one_hot": (lambda K, x: K.one_hot(K.cast(x * 0 + 1, "int32")[:, 0], 2), lambda: np.tile([0.0, 1.0], (4, 1))),
    "in_top_k": (lambda K, x: K.in_top_k(x, np.argmax(A, -1), 1), lambda: np.ones(4, bool)),
    "concatenate": (lambda K, x: K.concatenate([x, B]), lambda: np.concatenate([A, B], -1)),
    "dropout": (lambda K, x: K.dropout(x, 0.0), lambda: A),
    "print_tensor": (lambda K, x: K.print_tensor(x, "x"), lambda: A),
    "stop_gradient": (lambda K, x: K.stop_gradient(x), lambda: A),
    "in_train_phase": (lambda K, x: K.in_train_phase(lambda: x * 2, x), lambda: A),
}


@every
@pytest.mark.parametrize("name", CASES)
def test_functions_take_tensors_and_symbolic_ones(space: Any, name: str) -> None:
    K, (function, expected) = space.backend, CASES[name]
    if name != "reversed":  # `install` is for that
        found = function(K, K.constant(A) if space is not keras1 else torch.tensor(A))
        np.testing.assert_allclose(K.eval(found), expected(), atol=1e-5)
    for shape in ((4, 3), (None, 3))[: 1 if name == "loop of its own" else 2]:
        x = K.placeholder(shape=shape)
        symbol = function(K, x)
        found = K.function([x], [symbol])([A])[0]
        np.testing.assert_allclose(found, expected(), atol=1e-5)
        assert len(symbol.shape) == found.ndim
        assert all(size in (None, have) for size, have in zip(symbol.shape, found.shape, strict=True))


def test_the_numbers_of_a_seed_go_on() -> None:
    K, layer = keras2.backend, keras2.layers.Lambda(lambda x: keras2.backend.dropout(x, 0.5, seed=1))
    K.clear_session()
    first, second = (layer(torch.ones(1, 50)) for _ in range(2))
    assert not torch.equal(first, second)
    assert set(first.unique().tolist()) == {0.0, 2.0}
    K.clear_session()
    assert torch.equal(layer(torch.ones(1, 50)), first)


# Convolutions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [keras2, tf_keras])
@pytest.mark.parametrize(("padding", "strides", "size"), [
    ("valid", 1, (8, 6)), ("valid", 2, (14, 11)), ("valid", 4, (25, 21)), ("same", 1, (6, 5)), ("same", 2, (11, 10)),
    ("same", 3, (17, 13)),
])  # fmt: skip
def test_a_transposed_convolution_is_the_gradient_of_its_convolution(
    space: Any, padding: str, strides: int, size: tuple[int, int]
) -> None:
    K = space.backend
    kernel = torch.tensor(RANDOM.randn(3, 2, 4, 3).astype("float32"))
    ahead = torch.zeros(2, *size, 4, requires_grad=True)
    result = K.conv2d(ahead, kernel, (strides, strides), padding)
    assert result.shape[1:3] == (6, 5)
    (expected,) = torch.autograd.grad(result, ahead, torch.tensor(PICTURES))
    found = K.conv2d_transpose(PICTURES, kernel, (None, *size, 4), (strides, strides), padding)
    np.testing.assert_allclose(K.eval(found), expected, atol=1e-5)


def test_convolutions_of_keras1() -> None:
    """Kernels are (out, in, rows, columns) where channels come first, and turned round on Theano."""
    K, modern = keras1.backend, keras2.backend
    expected = modern.eval(modern.conv2d(PICTURES, KERNEL, (2, 1), "same"))
    np.testing.assert_allclose(
        K.eval(K.conv2d(PICTURES, KERNEL, (2, 1), "same", "tf", None, None)), expected, atol=1e-5
    )
    first = {"x": PICTURES.transpose(0, 3, 1, 2), "kernel": KERNEL.transpose(3, 2, 0, 1), "dim_ordering": "th"}
    found = K.conv2d(**first, strides=(2, 1), border_mode="same", filter_shape=(4, 3, 3, 2))
    np.testing.assert_allclose(K.eval(found).transpose(0, 2, 3, 1), expected, atol=1e-5)
    K.set_backend("theano")
    try:
        turned = {**first, "kernel": first["kernel"][:, :, ::-1, ::-1]}
        found = K.conv2d(**turned, strides=(2, 1))
    finally:
        K.set_backend("tensorflow")
    expected = modern.eval(modern.conv2d(PICTURES, KERNEL, (2, 1)))
    np.testing.assert_allclose(K.eval(found).transpose(0, 2, 3, 1), expected, atol=1e-5)
    dilated = modern.eval(modern.conv2d(PICTURES, KERNEL, dilation_rate=(2, 2)))
    np.testing.assert_allclose(K.eval(K.atrous_conv2d(PICTURES, KERNEL, 2)), dilated, atol=1e-5)
    swapped = KERNEL.transpose(0, 1, 3, 2)
    back = modern.eval(modern.conv2d_transpose(PICTURES, swapped, (2, 8, 6, 4)))
    np.testing.assert_allclose(K.eval(K.deconv2d(PICTURES, KERNEL, (2, 8, 6, 4), dim_ordering="tf")), back, atol=1e-5)
    padded = K.eval(K.asymmetric_spatial_2d_padding(PICTURES, 1, 0, 2, 3, dim_ordering="tf"))
    np.testing.assert_array_equal(padded, np.pad(PICTURES, ((0, 0), (1, 0), (2, 3), (0, 0))))


def test_words_of_keras1() -> None:
    K = keras1.backend
    assert K.random_normal((2,), mean=3.0, std=0.0).tolist() == [3.0, 3.0]
    assert 2 <= float(K.random_uniform((1,), low=2, high=3)) <= 3
    assert K.one_hot([1], nb_classes=2).tolist() == [[0, 1]]
    assert K.expand_dims(A, dim=0).shape == (1, 4, 3)
    found = K.binary_crossentropy(PROBABILITIES, np.ones((4, 3)))  # the output comes first
    np.testing.assert_allclose(K.eval(found), -np.log(PROBABILITIES), atol=1e-5)
    matrices = K.batch_dot(A, B, axes=0)  # Keras 1 sums matrices over their rows, too
    np.testing.assert_allclose(K.eval(matrices), (A * B).sum(0)[:, None], atol=1e-5)
    assert K.batch_dot(torch.ones(2, 4, 3, 5), torch.ones(2, 4, 5, 6)).shape == (2, 4, 3, 6)
    assert K.legacy_weight_ordering() is False
    with pytest.raises(ValueError, match="tell the order"):
        K.set_legacy_weight_ordering(True)


# Losses, loops --------------------------------------------------------------------------------------------------------


@every
def test_connectionist_temporal_classification(space: Any) -> None:
    """The likelihoods of all paths summed up."""
    K = space.backend
    p = np.array([[[0.5, 0.2, 0.3], [0.1, 0.6, 0.3]]], "float32")  # two steps, the blank last
    paths = p[0, 0, 0] * p[0, 1, 0] + p[0, 0, 0] * p[0, 1, 2] + p[0, 0, 2] * p[0, 1, 0]  # of the label 0
    found = K.ctc_batch_cost(np.array([[0]]), p, np.array([[2]]), np.array([[1]]))
    np.testing.assert_allclose(K.eval(found), [[-np.log(paths)]], rtol=1e-4)
    decoded, scores = K.ctc_decode(p, np.array([2]))
    assert decoded[0].tolist() == [[0, 1]]
    np.testing.assert_allclose(K.eval(scores), [[-np.log(0.5 * 0.6)]], rtol=1e-4)
    (best, second), _ = K.ctc_decode(p, np.array([2]), greedy=False, top_paths=2)
    assert [row[0, 0].item() for row in (best, second)] == [1, 0]
    twice = np.eye(3, dtype="float32")[[[0, 2, 0]]] * 0.9 + 0.03  # 0, the blank, 0
    (best,), _ = K.ctc_decode(twice, np.array([3]), greedy=False)
    assert best[0][best[0] >= 0].tolist() == ([0, 0] if space is keras2 else [0])  # as each had it
    assert K.ctc_decode(twice, np.array([3]))[0][0][0, :2].tolist() == [0, 0]
    sparse = K.ctc_label_dense_to_sparse(np.array([[3, 4], [5, 6]]), np.array([2, 1]))
    assert sparse.to_dense().tolist() == [[3, 4], [5, 0]]


MASK = np.array([[1, 1, 0, 1, 1], [0, 1, 1, 0, 1], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool)


@every
@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_rnn_is_its_loop(space: Any, symbolic: bool, go_backwards: bool, masked: bool) -> None:
    K = space.backend
    states, outputs, state, output = [], [], np.zeros((4, 3)), np.zeros((4, 3))
    order = range(5)[::-1] if go_backwards else range(5)
    for t in order:
        valid = MASK[:, t, None] if masked else np.ones((4, 1), bool)
        new = np.tanh(state / 2 + T[:, t] + 1)
        state, output = np.where(valid, new, state), np.where(valid, 2 * new, output)
        states.append(state)
        outputs.append(output)

    def step(x: Any, states: Any) -> Any:
        new = K.tanh(states[0] / 2 + x + states[1])
        return 2 * new, [new]

    x = K.placeholder(shape=(None, 5, 3)) if symbolic else torch.tensor(T)
    begin = K.zeros_like(x[:, 0])
    found = K.rnn(step, x, [begin], go_backwards, MASK if masked else None, constants=[1.0])
    last, all_outputs, (end,) = found
    results = (
        K.function([x], [last, all_outputs, end])([T]) if symbolic else [K.eval(y) for y in (last, all_outputs, end)]
    )
    for got, expected in zip(results, (outputs[-1], np.stack(outputs, 1), states[-1]), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)


# Gradients ------------------------------------------------------------------------------------------------------------


def picture_model(space: Any) -> Any:
    layers = space.layers
    if space is keras1:
        convolution = layers.Convolution2D(4, 3, 3, activation="tanh", dim_ordering="tf", input_shape=(6, 5, 3))
    else:
        convolution = layers.Conv2D(4, 3, activation="tanh", input_shape=(6, 5, 3))
    stack = [convolution, layers.Flatten(), layers.Dropout(0.5), layers.Dense(3, activation="softmax")]
    return space.models.Sequential(stack)


def slope(function: Any, array: np.ndarray, place: tuple[int, ...]) -> float:
    found = []
    for step in (1e-2, -1e-2):
        moved = array.copy()
        moved[place] += step
        found.append(float(function(moved)))
    return (found[0] - found[1]) / 2e-2


@every
def test_gradients_by_inputs_weights_and_what_lies_between(space: Any) -> None:
    K, model = space.backend, picture_model(space)
    between, weights = model.layers[0].output, model.trainable_weights
    loss = K.mean(model.output[:, 0])
    asked = [model.input, between, weights[0], K.placeholder(shape=(2,)), K.variable(1.0)]
    found = K.gradients(loss, asked)
    assert found[3:] == [None, None]
    assert [each.shape for each in found[:3]] == [(None, 6, 5, 3), (None, 4, 3, 4), (3, 3, 3, 4)]
    run = K.function([model.input, K.learning_phase()], [loss, *found[:3]])
    value, by_input, _, by_kernel = run([PICTURES, 0])
    measured = K.function([model.input], [loss])
    np.testing.assert_allclose(value, measured([PICTURES])[0], rtol=1e-5)
    expected = slope(lambda x: measured([x])[0], PICTURES, (0, 3, 2, 1))
    np.testing.assert_allclose(by_input[0, 3, 2, 1], expected, atol=2e-5)
    arrays = model.get_weights()

    def with_kernel(kernel: np.ndarray) -> Any:
        model.set_weights([kernel, *arrays[1:]])
        return measured([PICTURES])[0]

    np.testing.assert_allclose(by_kernel[1, 1, 1, 1], slope(with_kernel, arrays[0], (1, 1, 1, 1)), atol=2e-5)
    model.set_weights(arrays)
    model.trainable = False  # which changes no gradient
    np.testing.assert_allclose(K.function([model.input], [found[2]])([PICTURES])[0], by_kernel, rtol=1e-5)
    assert not model.trainable_weights


@every
def test_gradients_of_gradients(space: Any) -> None:
    """A gradient penalty, by its input and through a model inside another."""
    K, model = space.backend, picture_model(space)
    x = space.layers.Input((6, 5, 3))
    gradient = K.gradients(model(x)[:, 0], x)[0]
    penalty = K.mean(K.square(1.0 - K.sqrt(K.sum(K.square(gradient), axis=[1, 2, 3]))))
    run = K.function([x], [penalty, K.gradients(penalty, [x])[0]])
    expected = slope(lambda array: run([array])[0], PICTURES, (1, 2, 2, 0))
    np.testing.assert_allclose(run([PICTURES])[1][1, 2, 2, 0], expected, rtol=1e-2, atol=1e-5)


@every
@pytest.mark.filterwarnings("ignore:The loss does not depend")
def test_a_penalty_of_gradients_is_trained(space: Any) -> None:
    K, layers = space.backend, space.layers
    x = layers.Input((3,))
    y = layers.Dense(1)(layers.Dense(4, activation="tanh")(x))

    def penalty(y_true: Any, y_pred: Any, of: Any) -> Any:
        gradient = K.gradients(y_pred, of)[0]
        return K.square(1 - K.sqrt(K.sum(K.square(gradient), axis=1)))

    def loss(y_true: Any, y_pred: Any) -> Any:
        return penalty(y_true, y_pred, x)

    model = space.models.Model(x, y)
    model.compile(space.optimizers.SGD(0.1), loss)
    data = (A, np.zeros((4, 1), "float32"))
    before = model.evaluate(*data, verbose=0)
    for _ in range(20):
        model.train_on_batch(*data)
    assert model.evaluate(*data, verbose=0) < before / 2


@every
def test_losses_may_name_symbolic_tensors(space: Any) -> None:
    """As those of variational autoencoders do; each value is the model's own of that batch."""
    K, layers = space.backend, space.layers
    x = layers.Input((3,))
    mean, spread = layers.Dense(2)(x), layers.Dense(2)(x)
    output = layers.Dense(3)(layers.Lambda(lambda z: z[0] + 0.0 * z[1])([mean, spread]))

    def loss(y_true: Any, y_pred: Any) -> Any:
        divergence = -0.5 * K.sum(1 + spread - K.square(mean) - K.exp(spread), axis=-1)
        return K.mean(K.square(y_true - y_pred), axis=-1) + divergence

    model = space.models.Model(x, output)
    model.compile("sgd", loss)
    m, s, y = K.function([x], [mean, spread, output])([A])
    expected = ((A - y) ** 2).mean(-1) - 0.5 * (1 + s - m**2 - np.exp(s)).sum(-1)
    assert model.evaluate(A, A, verbose=0) == pytest.approx(expected.mean(), rel=1e-5)
    assert model.train_on_batch(A, A) == pytest.approx(expected.mean(), rel=1e-5)
    assert model.predict(A, verbose=0).shape == (4, 3)
    added = space.models.Model(x, output)
    added.add_loss(K.mean(losses.mean_squared_error(x, output)) * 3)
    added.compile("sgd", "mse")
    y = added.predict(A, verbose=0)
    assert added.evaluate(A, A, verbose=0) == pytest.approx(4 * ((A - y) ** 2).mean(), rel=1e-5)


# Functions of models --------------------------------------------------------------------------------------------------


@every
def test_functions(space: Any) -> None:
    K = space.backend
    x, scale, total = K.placeholder(ndim=2), K.placeholder(shape=()), K.variable(1.0)
    run = K.function([x, scale], [x * scale, total], updates=[K.update_add(total, K.sum(x))])
    assert [y.tolist() for y in run([np.ones((1, 2)), 3.0])] == [[[3, 3]], 1.0]
    assert K.get_value(total) == 3.0
    assert K.get_session().run({"y": x * 2}, feed_dict={x: np.ones((1, 1))})["y"] == 2
    with pytest.raises(ValueError, match=r"has no values; make a K.function"):
        K.eval(x)
    with pytest.raises(ValueError, match="expected 2 arrays; got 1"):
        run([np.ones((1, 2))])


@every
def test_the_phase_is_known_wherever_a_model_trains(space: Any) -> None:
    K, layers = space.backend, space.layers
    x = layers.Input((3,))
    model = space.models.Model(x, layers.Lambda(lambda x: K.in_train_phase(x * 0, x))(layers.Dense(3)(x)))
    model.compile("sgd", "mse")
    data = (A, np.zeros_like(A))
    assert model.train_on_batch(*data) == 0 < model.test_on_batch(*data)
    y = K.in_train_phase(x * 2, x)
    run = K.function([K.learning_phase(), x], [y])
    np.testing.assert_array_equal(run([1, A])[0], 2 * run([0, A])[0])


# Arrays beside tensors ------------------------------------------------------------------------------------------------

ARRAY = np.array([1.0, 2.0, 3.0])
OPERATORS: dict[str, Any] = {
    "-": lambda x, y: x - y, "*": lambda x, y: x * y, "/": lambda x, y: x / y, "**": lambda x, y: x**y,
    "@": lambda x, y: x @ y, ">": lambda x, y: x > y, "<=": lambda x, y: x <= y,
}  # fmt: skip


@pytest.mark.parametrize("space", [*GENERATIONS, lamina], ids=lambda space: space.__name__)
@pytest.mark.parametrize("operator", OPERATORS)
def test_arrays_beside_symbolic_tensors(space: Any, operator: str) -> None:
    function, start = OPERATORS[operator], space.layers.Input((3,))
    array = np.eye(3) if operator == "@" else ARRAY
    x = np.abs(A[:3])
    for both in (lambda x, array: function(x, array), lambda x, array: function(array, x)):
        model = space.models.Model(start, both(start, array) * 1.0)
        np.testing.assert_allclose(model.predict(x, verbose=0), both(x, array), rtol=1e-5)


@every
@pytest.mark.parametrize("operator", OPERATORS)
def test_arrays_beside_tensors_in_calls(space: Any, operator: str) -> None:
    """In trials, in calls, and where a gradient flows."""
    function, layers = OPERATORS[operator], space.layers
    array, start = np.eye(3) if operator == "@" else ARRAY, layers.Input((3,))
    orders = [lambda x: function(x, array), lambda x: function(array, x)]
    for both in orders[:1] if operator == "@" else orders:
        model = space.models.Model(start, layers.Lambda(lambda x, both=both: both(x) * 1.0)(start))
        x = np.abs(A[:3])
        np.testing.assert_allclose(model.predict(x, verbose=0), both(x), rtol=1e-5)
        if operator not in (">", "<="):
            tensor = torch.tensor(x, requires_grad=True)
            both(tensor).sum().backward()
            assert tensor.grad is not None


@pytest.mark.parametrize("space", [*GENERATIONS, lamina], ids=lambda space: space.__name__)
def test_arrays_beside_weights_leave_the_gradient(space: Any) -> None:
    layer = space.layers.Dense(3)
    layer(A)
    (kernel, _) = layer.weights
    for result in (kernel * np.ones((3, 3)), np.ones((3, 3)) * kernel, np.exp(kernel), np.ones((3, 3)) @ kernel):
        assert result.requires_grad and result.dtype is torch.float32


@pytest.mark.parametrize("space", [*GENERATIONS, lamina], ids=lambda space: space.__name__)
def test_functions_of_numpy_on_symbolic_tensors(space: Any) -> None:
    x = space.layers.Input((3,))
    np.testing.assert_allclose(space.models.Model(x, np.sin(x)).predict(A, verbose=0), np.sin(A), rtol=1e-5)
    with pytest.raises(TypeError, match=r"np.divmod cannot take a symbolic tensor"):
        np.divmod(x, 2)
    assert not hasattr(x, "__len__")


# Losses and metrics as functions of symbolic tensors ------------------------------------------------------------------


@pytest.mark.parametrize("name", [
    "mean_squared_error", "mean_absolute_error", "binary_crossentropy", "categorical_crossentropy", "kl_divergence",
    "poisson", "hinge", "cosine_similarity", "binary_accuracy", "categorical_accuracy", "top_k_categorical_accuracy",
])  # fmt: skip
@pytest.mark.parametrize("space", [*GENERATIONS, lamina], ids=lambda space: space.__name__)
def test_losses_and_metrics_of_symbolic_tensors(space: Any, name: str) -> None:
    function = getattr(losses, name, None) or getattr(metrics, name)
    target, output = space.layers.Input((3,)), space.layers.Input((3,))
    model = space.models.Model([target, output], function(target, output))
    one_hot = np.eye(3, dtype="float32")[[0, 1, 2, 0]]
    expected = function(one_hot, PROBABILITIES)
    np.testing.assert_allclose(model.predict([one_hot, PROBABILITIES], verbose=0), expected, rtol=1e-5)


def test_loss_objects_take_symbolic_tensors() -> None:
    x, y = lamina.Input((3,)), lamina.Input((3,))
    found = lamina.Model([x, y], losses.MeanSquaredError(reduction="sum")(x, y))([A, B])
    assert float(found) == pytest.approx(((A - B) ** 2).mean(-1).sum(), rel=1e-5)


# What tensors could do ------------------------------------------------------------------------------------------------


@every
def test_methods_of_tensors(space: Any) -> None:
    layers = space.layers
    x = layers.Input((3,))
    y = layers.Dropout(0.5)(layers.Dense(2)(x))
    model = space.models.Model(x, y)
    assert x.get_shape().as_list() == [None, 3] and x._keras_shape == (None, 3) and x.get_shape().ndims == 2
    assert y._uses_learning_phase and not x._uses_learning_phase
    y._keras_shape = (None, 7)
    assert y._keras_shape == (None, 7)
    found = model(A)
    assert found.requires_grad and found.numpy().shape == found.eval().shape == (4, 2)
    np.testing.assert_array_equal(np.asarray(found), found.numpy())
    kernel = model.weights[0]
    assert kernel.read_value() is kernel and kernel.value() is kernel
    before = kernel.numpy()
    kernel.assign_add(np.ones((3, 2)))
    np.testing.assert_allclose(kernel.eval(), before + 1, rtol=1e-6)
    loss = space.backend.variable(0.0)
    loss += torch.tensor(2.0)
    assert loss.numpy() == 2


def test_steps_below_zero_where_old_code_runs() -> None:
    plain = torch.Tensor.__getitem__
    install("keras2", replace=True)
    try:
        np.testing.assert_array_equal(torch.tensor(T)[..., ::-1, 1:].numpy(), T[..., ::-1, 1:])
        np.testing.assert_array_equal(torch.tensor(T)[1, None, 3::-2].numpy(), T[1, None, 3::-2])
    finally:
        uninstall()
    assert torch.Tensor.__getitem__ is plain
    with pytest.raises(ValueError, match="step must be greater"):
        torch.tensor(T)[::-1]


@pytest.mark.parametrize("space", [*GENERATIONS, lamina], ids=lambda space: space.__name__)
def test_outputs_below_a_mask_are_one_tensor_each(space: Any) -> None:
    layers, model = space.layers, space.models.Sequential()
    first = {"batch_input_shape": (None, 5, 3)} if space is not lamina else {}
    if space is lamina:
        model.add(lamina.Input((5, 3)))
    inner = layers.TimeDistributed(layers.Dense(2))
    for layer in (layers.Masking(**first), layers.LSTM(4, return_sequences=True), inner):
        model.add(layer)
    assert [layer.output.shape for layer in model.layers] == [(None, 5, 3), (None, 5, 4), (None, 5, 2)]


@every
@pytest.mark.parametrize(("call", "message"), [
    (lambda K: K.set_learning_phase(3), "expected 0 or 1"),
    (lambda K: K.batch_dot(torch.ones(2, 3, 4), torch.ones(2, 4, 3), axes=(0, 1)), "axis 0 is the batch"),
    (lambda K: K.dropout(A, 1.5), "share to drop"),
    (lambda K: K.placeholder(), "give its `shape`"),
    (lambda K: K.squeeze(A, 0), "has size 4"),
    (lambda K: K.bias_add(torch.ones(2, 3, 4), torch.ones(2, 2, 2, 2)), "the bias has 4 axes"),
    (lambda K: K.switch(torch.ones(2, 2), torch.ones(2), torch.ones(2)), "more than the expressions"),
    (lambda K: K.function([], [], updates=[K.variable(1.0)]), "must be pairs"),
])  # fmt: skip
def test_refusals(space: Any, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(space.backend)


MASKED = np.ones((9, 9), "float32")

# Two places in the code where one function draws.
DRAWS: dict[str, Any] = {
    "random_normal": lambda K, **how: (K.random_normal((2, 3), **how), K.random_normal((2, 3), **how)),
    "random_uniform": lambda K, **how: (K.random_uniform((2, 3), **how), K.random_uniform((2, 3), **how)),
    "random_binomial": lambda K, **how: (K.random_binomial((9, 9), 0.5, **how), K.random_binomial((9, 9), 0.5, **how)),
    "dropout": lambda K, **how: (K.dropout(MASKED, 0.5, **how), K.dropout(MASKED, 0.5, **how)),
}
of_their_time = pytest.mark.parametrize("space", [keras1, keras2], ids=lambda space: space.__name__)


def same(one: Any, other: Any) -> bool:
    return np.array_equal(np.asarray(one), np.asarray(other))


@of_their_time
@pytest.mark.parametrize("name", DRAWS)
def test_two_draws_of_one_seed_are_the_same_and_go_on_from_step_to_step(space: Any, name: str) -> None:
    K = space.backend
    K.clear_session()
    assert same(*DRAWS[name](K, seed=3))
    layer = space.layers.Lambda(lambda x: K.concatenate(list(DRAWS[name](K, seed=5)), axis=0))
    steps = [layer(torch.zeros(1, 3)).detach().numpy() for _ in range(2)]
    assert all(same(*np.split(step, 2)) for step in steps)
    assert not same(*steps)


@of_their_time
@pytest.mark.parametrize("name", ["random_normal_variable", "random_uniform_variable"])
def test_variables_of_one_seed_begin_alike(space: Any, name: str) -> None:
    make = getattr(space.backend, name)
    assert same(*(make((2, 3), 0.0, 1.0, seed=3) for _ in range(2)))
    assert not same(make((2, 3), 0.0, 1.0, seed=3), make((2, 3), 0.0, 1.0, seed=4))


@of_their_time
@pytest.mark.parametrize("name", DRAWS)
def test_draws_without_a_seed_follow_numpy(space: Any, name: str) -> None:
    found = []
    for _ in range(2):
        np.random.seed(7)
        found.append((*DRAWS[name](space.backend), np.random.rand()))
    assert all(map(same, *found))
    assert not same(*found[0][:2])


@pytest.mark.parametrize("space", [keras1, keras2], ids=["keras1", "keras2"])
def test_a_function_goes_through_layers_of_the_same_name(space: Any) -> None:
    layers, models = space.layers, space.models
    stacks = [models.Sequential([layers.Dense(units, input_dim=3, name="d")]) for units in (2, 4)]
    both = space.backend.function([stack.input for stack in stacks], [stack.output for stack in stacks])
    assert [found.shape for found in both([A, B])] == [(4, 2), (4, 4)]
    assert np.allclose(both([A, B])[1], stacks[1].predict(B), atol=1e-6)


@pytest.mark.parametrize("order", ("tf", "th"))
@pytest.mark.parametrize("size, by", [*itertools.product((2, 3), (1, 2))])
def test_windows_of_theano_begin_where_its_layers_do(
    order: str, size: int, by: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DIALECTS["keras1"], "_backend", "theano")
    K, layers = keras1.backend, keras1.layers
    how, volume = {"border_mode": "same", "dim_ordering": order}, (2, 5, 4, 3, 2) if order == "tf" else (2, 2, 5, 4, 3)
    for rank, name in ((2, "Convolution2D"), (3, "Convolution3D")):
        x = np.random.default_rng(0).normal(size=volume if rank == 3 else (*volume[:-2], volume[-1])).astype("float32")
        sizes, steps = (size,) * rank, (by,) * rank
        layer = getattr(layers, name)(3, *sizes, subsample=steps, **how)
        expected = layer(torch.from_numpy(x)).detach()
        found = getattr(K, f"conv{rank}d")(x, K.variable(layer.get_weights()[0]), strides=steps, **how)
        np.testing.assert_allclose(K.eval(found), expected, atol=1e-5)
        for mode, kind in (("max", "Max"), ("avg", "Average")):
            expected = getattr(layers, f"{kind}Pooling{rank}D")(sizes, strides=steps, **how)(torch.from_numpy(x))
            found = getattr(K, f"pool{rank}d")(K.variable(x), sizes, strides=steps, pool_mode=mode, **how)
            np.testing.assert_allclose(K.eval(found), expected, atol=1e-5)
