"""Losses: recorded values, gradients, weights, masks, reductions, logits, errors."""

from __future__ import annotations

import inspect
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.golden import GOLDEN, Case, cases, problems

import lamina as keras
from lamina import losses, metrics
from lamina.core import config, masking, serialize
from lamina.core.random import set_random_seed
from lamina.losses import base

KERAS = SimpleNamespace(
    losses=losses,
    layers=None,
    regularizers=None,
    constraints=None,
    config=config,
    utils=SimpleNamespace(set_random_seed=set_random_seed),
)
SIGNATURES = json.loads((GOLDEN / "signatures" / "keras3.json").read_text())
CLASSES = [name for name, item in vars(losses).items() if inspect.isclass(item) and issubclass(item, base.FunctionLoss)]
CLASSES = sorted(set(CLASSES) - {"FunctionLoss"})
FUNCTIONS = sorted(item.__name__ for item in base.OWN_LOSSES)

# What each function is tried on: targets, predictions.
SPARSE = {"sparse_categorical_crossentropy", "categorical_generalized_cross_entropy", "circle", "ctc"}
EXTRA = {"categorical_generalized_cross_entropy": {"q": 0.4}}


def sample(name: str, batch: int = 4, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets and predictions that suit the function: labels, and numbers inside (0, 1) that sum to 1."""
    generator = torch.Generator().manual_seed(len(name))
    if name == "ctc":
        return torch.tensor([[1, 2, 0], [3, 3, 1]]), torch.randn(2, 8, 4, generator=generator).to(dtype)
    y_pred = torch.rand(batch, 3, generator=generator, dtype=torch.float64) + 0.05
    y_pred = torch.nn.functional.normalize(y_pred) if name == "circle" else y_pred / y_pred.sum(-1, keepdim=True)
    labels = torch.arange(batch) % 3 if name != "circle" else torch.arange(batch) // 2
    y_true = labels if name in SPARSE else torch.nn.functional.one_hot(labels, 3).to(dtype)
    if name == "mean_absolute_percentage_error":
        y_true = y_true + 0.5  # errors relative to 0 are beyond float16
    return y_true, y_pred.to(dtype)


def call(name: str, y_true: torch.Tensor, y_pred: torch.Tensor, **kwargs) -> torch.Tensor:
    return getattr(losses, name)(y_true, y_pred, **EXTRA.get(name, {}), **kwargs)


@pytest.mark.parametrize("case", cases({"keras3": ("losses",)}), ids=lambda case: case.id)
def test_recorded(case: Case):
    assert problems(case, KERAS) == []


@pytest.mark.parametrize("name", [name for name in SIGNATURES if name.startswith("losses.")])
def test_signature(name: str):
    parameters = inspect.signature(getattr(losses, name.removeprefix("losses."))).parameters.values()
    shown = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
    assert shown == SIGNATURES[name]


# Numerics --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients(name: str):
    y_true, y_pred = sample(name)
    targets = y_true.is_floating_point() and "hinge" not in name
    y_true = (y_true * 0.8 + 0.1 if targets else y_true).requires_grad_(targets)
    assert torch.autograd.gradcheck(lambda t, p: call(name, t, p), (y_true, y_pred.requires_grad_()))


@pytest.mark.parametrize("name", [function.__name__ for function in base.LOGITS])
def test_gradients_from_logits(name: str):
    y_true, y_pred = sample(name)
    assert torch.autograd.gradcheck(lambda p: call(name, y_true, p, from_logits=True), y_pred.log().requires_grad_())


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types(name: str, dtype: torch.dtype):
    y_true, y_pred = sample(name, dtype=dtype)
    found = call(name, y_true, y_pred)
    expected = call(name, *sample(name))
    assert found.isfinite().all()
    torch.testing.assert_close(found.double(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arrays_and_strides(name: str):
    y_true, y_pred = sample(name, dtype=torch.float32)
    expected = call(name, y_true, y_pred)
    strided = torch.stack([y_pred, y_pred + 1], -1)[..., 0]
    torch.testing.assert_close(call(name, y_true, strided), expected)
    torch.testing.assert_close(call(name, y_true.numpy(), y_pred.numpy()), expected)


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"CTC"}))  # torch.ctc_loss reads its lengths on the host
def test_compiles_without_graph_breaks(name: str):
    loss = getattr(losses, name)()
    y_true, y_pred = sample(loss.fn.__name__, dtype=torch.float32)
    weight = torch.ones(4) if call(loss.fn.__name__, y_true, y_pred).ndim else None
    torch._dynamo.reset()
    compiled = torch.compile(lambda t, p: loss(t, p, weight), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(y_true, y_pred), loss(y_true, y_pred, weight))


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"CTC", "Dice", "Tversky"}))
def test_empty_batch_gives_zero(name: str):
    y_true, y_pred = sample(getattr(losses, name).fn.__name__, batch=0, dtype=torch.float32)
    found = getattr(losses, name)()(y_true, y_pred.requires_grad_())
    assert found.shape == () and found == 0


@pytest.mark.parametrize("name", ["CategoricalCrossentropy", "CategoricalFocalCrossentropy", "BinaryCrossentropy"])
def test_labels_of_no_class_are_smoothed(name: str):
    empty = torch.zeros(3, 0)
    found = getattr(losses, name)(label_smoothing=0.1, reduction=None)(empty, empty)
    assert found.shape == (3,)


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"CTC", "Circle"}))
def test_nan_predictions_give_nan(name: str):
    y_true, y_pred = sample(getattr(losses, name).fn.__name__, dtype=torch.float32)
    assert getattr(losses, name)()(y_true, y_pred * torch.nan).isnan()


def test_circle_without_pairs_has_finite_gradients():
    y_pred = torch.nn.functional.normalize(torch.rand(3, 4)).requires_grad_()
    loss = losses.Circle()(torch.arange(3), y_pred)
    loss.backward()
    assert loss == 0 and y_pred.grad.isfinite().all()


# Weights, masks, reductions --------------------------------------------------------------------------------------


@given(
    batch=st.integers(1, 4),
    steps=st.integers(1, 3),
    reduction=st.sampled_from(base.REDUCTIONS),
    weights=st.sampled_from([None, "sample", "value"]),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_reductions_against_sums_by_hand(batch, steps, reduction, weights, masked, seed):
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.normal(size=(2, batch, steps, 2))
    weight = {None: None, "sample": rng.random((batch, 1)), "value": rng.random((batch, steps))}[weights]
    mask = rng.random((batch, steps)) < 0.6
    tensor = torch.tensor(y_pred)
    if masked:
        masking.set_mask(tensor, torch.tensor(mask))
    loss = losses.MeanSquaredError(reduction=reduction, dtype="float64")
    found = loss(torch.tensor(y_true), tensor, None if weight is None else torch.tensor(weight))

    values = ((y_true - y_pred) ** 2).mean(-1)
    weight = np.ones_like(values) if weight is None else weight + np.zeros_like(values)
    kept = mask if masked else np.ones_like(values)
    total, summed = (values * weight * kept).sum(), (weight * kept).sum()
    count = kept.sum()
    expected = {
        "sum": total,
        "mean_with_sample_weight": total / summed if summed else 0,
        "mean": total / count if count else 0,
        "sum_over_batch_size": total / count if count else 0,
    }.get(reduction, values * weight * kept)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_weights_broadcast_over_trailing_axes_only_where_they_fit():
    y = torch.zeros(4, 3, 2)
    with pytest.raises(ValueError, match=r"`sample_weight` or mask of shape \(4,\).*pass shape \(4, 1\)"):
        losses.MeanSquaredError()(y, y, torch.ones(4))


@pytest.mark.parametrize("function", base.FUSED, ids=lambda function: function.__name__)
@pytest.mark.parametrize("label_dtype", [torch.int32, torch.float32], ids=str)
def test_fused_mean_equals_mean_of_samples(function, label_dtype):
    y_true, y_pred = sample(function.__name__, dtype=torch.float32)
    kwargs = {"from_logits": True} if function in base.LOGITS else {}
    y_true, y_pred = y_true.to(label_dtype), y_pred.log().requires_grad_()
    fused = losses.LossFunctionWrapper(function, **kwargs)(y_true, y_pred)
    expected = function(y_true, y_pred, **kwargs).mean()
    torch.testing.assert_close(fused, expected)
    gradients = (torch.autograd.grad(value, y_pred)[0] for value in (fused, expected))
    torch.testing.assert_close(*gradients)


def test_ignored_class_leaves_the_mean():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    y_pred = torch.tensor([[0.5, 0.5], [0.2, 0.8], [0.9, 0.1]])
    torch.testing.assert_close(loss(torch.tensor([0, -1, 0]), y_pred), -torch.tensor([0.5, 0.9]).log().mean())


def test_weights_are_not_changed():
    y_pred, weight = torch.rand(3, 2), torch.ones(3)
    masking.set_mask(y_pred, torch.tensor([True, False, True]))
    losses.MeanSquaredError()(torch.rand(3, 2), y_pred, weight)
    assert (weight == 1).all()


# Logits ----------------------------------------------------------------------------------------------------------

ON_LOGITS = {
    "BinaryCrossentropy": torch.sigmoid,
    "BinaryFocalCrossentropy": torch.sigmoid,
    "CategoricalCrossentropy": torch.softmax,
    "CategoricalFocalCrossentropy": torch.softmax,
    "SparseCategoricalCrossentropy": torch.softmax,
}


@pytest.mark.parametrize("name", ON_LOGITS)
@pytest.mark.parametrize("wrapped", [False, True], ids=["class", "function"])
def test_on_logits_equals_loss_after_activation(name: str, wrapped: bool):
    activation = ON_LOGITS[name]
    loss = losses.LossFunctionWrapper(getattr(losses, name).fn) if wrapped else getattr(losses, name)(name="mine")
    scores = torch.randn(4, 3)
    y_true = sample(loss.fn.__name__)[0]
    y_pred = scores.softmax(-1) if activation is torch.softmax else scores.sigmoid()
    moved = loss.on_logits(activation.__name__)
    torch.testing.assert_close(moved(y_true, scores), loss(y_true, y_pred), rtol=1e-5, atol=1e-6)
    assert moved.name == loss.name
    assert not loss.get_config().get("from_logits") and moved.get_config()["from_logits"]
    assert moved.on_logits(activation.__name__) is None
    assert loss.on_logits("softmax" if activation is torch.sigmoid else "sigmoid") is None


def test_on_logits_refuses_what_has_no_such_form():
    assert losses.MeanSquaredError().on_logits("softmax") is None
    assert losses.CategoricalCrossentropy(axis=1).on_logits("softmax") is None
    assert losses.LossFunctionWrapper(lambda t, p: p).on_logits("sigmoid") is None


def test_large_scores_keep_their_gradient():
    scores = torch.tensor([[120.0, -120.0]], requires_grad=True)
    losses.SparseCategoricalCrossentropy().on_logits("softmax")(torch.tensor([1]), scores).backward()
    torch.testing.assert_close(scores.grad, torch.tensor([[1.0, -1.0]]))


# Configs, names, subclasses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSES)
def test_config_round_trip(name: str):
    loss = getattr(losses, name)(reduction="sum", name="mine")
    again = losses.deserialize(json.loads(json.dumps(losses.serialize(loss))))
    assert type(again) is type(loss) and again.get_config() == loss.get_config()
    assert type(losses.get(name)) is type(loss) and type(losses.get(type(loss))) is type(loss)


def test_wrapper_round_trip():
    loss = losses.LossFunctionWrapper(losses.huber, delta=0.3)
    again = losses.LossFunctionWrapper.from_config(json.loads(json.dumps(loss.get_config())))
    assert again.fn is losses.huber and again._kwargs == {"delta": 0.3}


def test_get():
    assert losses.get(None) is None
    assert losses.get("mse") is losses.get("MSE") is losses.mean_squared_error
    assert isinstance(losses.get("Huber"), losses.Huber)
    with pytest.raises(ValueError, match="mean_squared_error"):
        losses.get("mean_square_error")


@pytest.mark.parametrize(
    ("identifier", "y_true", "y_pred", "expected", "name"),
    [
        ("crossentropy", (None, 1), (None, 1), losses.binary_crossentropy, "crossentropy"),
        ("CE", (None,), (None, 3), losses.sparse_categorical_crossentropy, "CE"),
        ("ce", (None, 1), (None, 3), losses.sparse_categorical_crossentropy, "ce"),
        ("ce", (None, 3), (None, 3), losses.categorical_crossentropy, "ce"),
        ("mse", (None, 3), (None, 3), losses.mean_squared_error, "mse"),
        (losses.huber, (None, 3), (None, 3), losses.huber, "huber"),
        (losses.Huber(), (None, 3), (None, 3), losses.huber, "huber_loss"),
    ],
)
def test_resolve(identifier, y_true, y_pred, expected, name):
    found = losses.resolve(identifier, y_true, y_pred)
    assert isinstance(found, losses.Loss) and found.fn is expected and found.name == name


class Weighted(losses.Loss):
    def __init__(self, factor: float = 2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, y_true, y_pred):
        assert y_true.dtype is y_pred.dtype is torch.float32
        return self.factor * (y_true - y_pred).abs()

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def test_subclass():
    loss = Weighted(3.0, reduction="sum")
    assert loss.name.startswith("weighted")
    assert loss(np.array([1, 2]), np.array([0.0, 0.0])) == 9
    with serialize.custom_object_scope({"Weighted": Weighted}):
        again = losses.deserialize(losses.serialize(loss))
    assert again.get_config() == loss.get_config()


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", None])
@pytest.mark.parametrize("name", CLASSES)
def test_a_subclass_may_change_the_losses_of_samples(name: str, reduction: str | None):
    class Doubled(getattr(losses, name)):
        def call(self, y_true, y_pred):
            return super().call(y_true, y_pred) * 2

    y_true, y_pred = sample(getattr(losses, name).fn.__name__, dtype=torch.float32)
    y_pred = y_pred.requires_grad_()
    found = Doubled(reduction=reduction)(y_true, y_pred)
    expected = getattr(losses, name)(reduction=reduction)(y_true, y_pred)
    torch.testing.assert_close(found, 2 * expected)


def test_structures_of_predictions():
    class Sum(losses.Loss):
        def call(self, y_true, y_pred):
            return (y_pred["a"] - y_true["a"]) + (y_pred["b"] - y_true["b"])

    ones = {"a": np.ones(2), "b": torch.ones(2)}
    assert Sum()({"a": np.zeros(2), "b": np.zeros(2)}, ones) == 2


# Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"ctc", "circle"}))
def test_shapes_that_do_not_fit(name: str):
    y_true = torch.zeros(4) if name in SPARSE else torch.zeros(4, 5)
    with pytest.raises(ValueError, match=rf"^{name}: `y_true` and `y_pred` must have .*; got \(4.*\) and \(6, 3\)"):
        call(name, y_true, torch.rand(6, 3))


def test_ctc_and_circle_shapes():
    with pytest.raises(ValueError, match=r"^ctc: `y_pred` must have shape \(batch, steps, classes\); got \(2, 3\)"):
        losses.ctc(torch.zeros(2, 3), torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"^circle: "):
        losses.circle(torch.zeros(3), torch.zeros(2, 3))


@pytest.mark.parametrize("make", [losses.MeanSquaredError, losses.Huber, losses.Loss])
def test_unknown_reduction(make):
    with pytest.raises(ValueError, match=rf"^{make.__name__}: argument `reduction` must be one of .*; got 'average'"):
        make(reduction="average")


@pytest.mark.parametrize("q", [0, 1, 1.5, "a"])
def test_generalized_crossentropy_q(q):
    with pytest.raises(ValueError, match="CategoricalGeneralizedCrossEntropy: argument `q`"):
        losses.CategoricalGeneralizedCrossEntropy(q)


def test_one_class_warns():
    with pytest.warns(SyntaxWarning, match="use binary_crossentropy"):
        losses.categorical_crossentropy(torch.ones(2, 1), torch.ones(2, 1))


def test_base_needs_call():
    with pytest.raises(NotImplementedError, match="must define `call"):
        losses.Loss()(torch.zeros(1), torch.zeros(1))


# Class numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [0.5, float("nan"), float("inf")])
@pytest.mark.parametrize(
    "score",
    [
        losses.sparse_categorical_crossentropy,
        losses.SparseCategoricalCrossentropy(),
        losses.SparseCategoricalCrossentropy(from_logits=True),
        losses.CategoricalGeneralizedCrossEntropy(),
        metrics.SparseTopKCategoricalAccuracy(),
        metrics.SparseCategoricalCrossentropy(),
        lambda y_true, y_pred: metrics.MeanIoU(num_classes=3).update_state(y_true, y_pred.argmax(-1)),
        lambda y_true, y_pred: losses.ctc(y_true[:, None], y_pred[:, None]),
    ],
)
def test_class_numbers_are_whole(score: Any, wrong: float) -> None:
    """Whole floats are as good as integers; anything else is refused by name."""
    y_pred = torch.softmax(torch.arange(6.0).reshape(2, 3), -1)
    whole = score(torch.tensor([1.0, 2.0]), y_pred), score(torch.tensor([1, 2]), y_pred)
    if whole[0] is not None:
        torch.testing.assert_close(*whole)
    with pytest.raises(ValueError, match=r"`y_true` must hold class numbers; got (0\.5|nan|inf)"):
        score(torch.tensor([1.0, wrong]), y_pred)


def test_fractions_are_no_class() -> None:
    """As in Keras, where "accuracy" is counted beside a loss of numbers."""
    y_pred = torch.eye(3)[[0, 1, 2, 0]]
    matches = metrics.sparse_categorical_accuracy(torch.tensor([0.0, 1.5, float("nan"), 0.9]), y_pred)
    assert matches.tolist() == [1, 0, 0, 0]


def test_no_class_number_is_left_out_unasked() -> None:
    """torch leaves out -100 by itself."""
    y_pred = torch.softmax(torch.arange(6.0).reshape(2, 3), -1)
    for from_logits in (False, True):
        with pytest.raises((IndexError, ValueError), match="-100"):
            losses.SparseCategoricalCrossentropy(from_logits=from_logits)(torch.tensor([1, -100]), y_pred)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (lambda a, b: [a, (b, a)], {"a_loss", "1/a_loss", "1/b_loss"}),
        (lambda a, b: {"p": (a, b), "q": b}, {"p/a_loss", "p/b_loss", "q_loss"}),
        (lambda a, b: {"p": {"x": a, "y": b}}, {"p/x_loss", "p/y_loss"}),
        (lambda a, b: (a, b), {"a_loss", "b_loss"}),
    ],
)
def test_each_of_nested_outputs_has_its_name(outputs, expected):
    inputs = keras.Input((3,))
    made = outputs(keras.layers.Dense(1, name="a")(inputs), keras.layers.Dense(1, name="b")(inputs))
    model = keras.Model(inputs, made)
    model.compile("sgd", "mse")
    targets = keras.tree.map_structure(lambda tensor: np.ones((4, 1)), made)
    history = model.fit(np.ones((4, 3)), targets, verbose=0).history
    assert set(history) == {"loss", *expected}  # as Keras 3 has it
    np.testing.assert_allclose(history["loss"][0], sum(history[name][0] for name in expected), rtol=1e-5)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"a": "mae", "b": ["accuracy", "mse"]}, {"a_mae", "b_accuracy", "b_mse"}),
        (["mae", ["accuracy"]], {"a_mae", "b_accuracy"}),
        ([["mae"], ["accuracy"]], {"a_mae", "b_accuracy"}),
        ({"b": "mse"}, {"b_mse"}),
    ],
)
@pytest.mark.parametrize("loss", ["mse", {"a": "mse", "b": "mse"}, ["mse", ["mse"]]])
def test_metrics_of_nested_outputs_have_the_names_of_the_model(metrics, expected, loss):
    """Names as Keras 3.15 on torch has them."""
    inputs = keras.Input((3,))
    model = keras.Model(inputs, [keras.layers.Dense(2, name="a")(inputs), [keras.layers.Dense(1, name="b")(inputs)]])
    model.compile("sgd", loss, metrics=metrics)
    history = model.fit(np.ones((4, 3)), [np.ones((4, 2)), [np.ones((4, 1))]], verbose=0).history
    assert set(history) == {"loss", "a_loss", "1/b_loss", *expected}


TABLE = np.arange(12, dtype="float32").reshape(4, 3)


@pytest.mark.parametrize(
    "given",
    [
        np.ascontiguousarray(TABLE[::-1])[::-1],
        TABLE.astype(">f4"),
        TABLE.astype("longdouble"),
        TABLE.astype("uint16"),
        np.rec.fromarrays([TABLE, TABLE.astype("int8")], names="a,b").a,
    ],
    ids=["turned round", "big-endian", "long double", "uint16", "field of a record"],
)
def test_losses_and_metrics_take_arrays_that_torch_does_not_read(given: np.ndarray) -> None:
    others = 2 * TABLE + 1
    assert float(losses.MeanSquaredError()(given, others)) == float(losses.MeanSquaredError()(TABLE, others))
    assert float(losses.MeanSquaredError()(others, given)) == float(losses.MeanSquaredError()(others, TABLE))
    assert float(metrics.Mean()(given)) == 5.5
    for metric in (metrics.MeanSquaredError, metrics.BinaryAccuracy, metrics.RootMeanSquaredError):
        found, expected = (float(metric()(TABLE, others, sample_weight=w[:, 0])) for w in (given, TABLE))
        assert found == expected


@pytest.mark.parametrize("kind", [list, tuple])
def test_lists_of_tensors_are_stacked_and_gradients_pass(kind: type) -> None:
    rows = torch.tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    mean = keras.metrics.Mean()
    mean.update_state(kind([rows.mean()]))
    mean.update_state(kind(rows.unbind()))
    assert float(mean.result()) == pytest.approx(2.75)
    loss = keras.losses.mean_squared_error(kind([[0.0, 0.0], rows[1].detach()]), kind(rows.unbind()))
    assert loss.tolist() == [2.5, 0.0]
    loss.sum().backward()
    torch.testing.assert_close(rows.grad, torch.tensor([[1.0, 2.0], [0.0, 0.0]]))


@pytest.mark.parametrize("shape", [(1, 3), (2, 1, 3), (1, 1, 3)])
def test_axes_of_one_label_are_no_surplus(shape: tuple[int, ...]) -> None:
    """A batch of one and sequences of one step keep their shape, with an axis of 1 behind the labels or without."""
    y_pred = torch.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    labels = torch.ones(shape[:-1])
    expected = -(y_pred / y_pred.sum(-1, keepdim=True))[..., 1].log()
    for y_true in (labels, labels[..., None]):
        for found in (
            losses.sparse_categorical_crossentropy(y_true, y_pred),
            losses.sparse_categorical_crossentropy(y_true, y_pred.log(), from_logits=True),
        ):
            torch.testing.assert_close(found, expected)
        found = losses.categorical_generalized_cross_entropy(y_true, y_pred / y_pred.sum(-1, keepdim=True), q=1.0)
        torch.testing.assert_close(found, 1 - (-expected).exp())


def test_poisson_of_zero_is_finite() -> None:
    torch.testing.assert_close(losses.poisson([[1.0]], [[0.0]]), torch.tensor([16.118095]))
