"""Regularizers and constraints: values against NumPy, norms after projection, gradients, names and configs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina import constraints, regularizers
from lamina.core.declare import Declared, Refused, arg

PUBLIC = {
    regularizers: """L1 L1L2 L2 OrthogonalRegularizer Regularizer deserialize get l1 l1_l2 l2 orthogonal_regularizer
        serialize""",
    constraints: """Constraint MaxNorm MinMaxNorm NonNeg UnitNorm deserialize get max_norm min_max_norm non_neg
        serialize unit_norm""",
}
OBJECTS = [
    regularizers.L1(0.25),
    regularizers.L2(0.5),
    regularizers.L1L2(0.25, 0.5),
    regularizers.OrthogonalRegularizer(0.3, "columns"),
    constraints.MaxNorm(1.5, axis=1),
    constraints.UnitNorm(axis=(0, 1)),
    constraints.MinMaxNorm(0.5, 1.5, rate=0.25, axis=[0, 2]),
    constraints.NonNeg(),
]
seeds = st.integers(0, 2**31)
sizes = st.integers(1, 5)
factors = st.floats(0, 10)
few = settings(max_examples=40, deadline=None)


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def home(item):
    return regularizers if isinstance(item, regularizers.Regularizer) else constraints


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_of_keras_is_there(module):
    assert [name for name in PUBLIC[module].split() if not hasattr(module, name)] == []


@few
@given(factors, factors, sizes, sizes, seeds)
def test_sums(a, b, rows, columns, seed):
    x = draw(rows, columns, seed=seed)
    absolute, squares = np.abs(x.numpy()).sum(), (x.numpy() ** 2).sum()
    for penalty, expected in [
        (regularizers.L1(a), a * absolute),
        (regularizers.L2(b), b * squares),
        (regularizers.L1L2(a, b), a * absolute + b * squares),
    ]:
        value = penalty(x)
        assert value.shape == () and value.dtype == x.dtype
        assert float(value) == pytest.approx(expected)


@few
@given(sizes, sizes, st.sampled_from(["rows", "columns"]), seeds)
def test_orthogonal_penalty_is_the_mean_cosine(rows, columns, mode, seed):
    x = draw(rows, columns, seed=seed)
    vectors = x.numpy() if mode == "rows" else x.numpy().T
    cosines = [
        abs(one @ other) / (np.linalg.norm(one) * np.linalg.norm(other))
        for i, one in enumerate(vectors)
        for other in vectors[:i]
    ]
    penalty = regularizers.OrthogonalRegularizer(0.3, mode)(x)
    assert float(penalty) == pytest.approx(0.3 * np.mean(cosines) if cosines else 0.0)


def test_orthogonal_vectors_cost_nothing():
    x = torch.linalg.qr(draw(5, 3)).Q
    assert float(regularizers.OrthogonalRegularizer(1.0, "columns")(x)) == pytest.approx(0, abs=1e-12)


def norms(w, axis):
    return np.sqrt((w.numpy() ** 2).sum(axis=axis, keepdims=True))


@few
@given(st.sampled_from([0, 1, -1, (0, 1), [0, 2], (0, 1, 2)]), st.floats(0.1, 3), st.floats(0, 1), seeds)
def test_norms_after_projection(axis, bound, rate, seed):
    w = draw(3, 4, 2, seed=seed)
    given_axis, axis = axis, tuple(axis) if isinstance(axis, list) else axis
    before, kept = norms(w, axis), w.clone()
    low = bound / 2
    for constraint, expected in [
        (constraints.MaxNorm(bound, axis=given_axis), np.minimum(before, bound)),
        (constraints.UnitNorm(axis=given_axis), np.ones_like(before)),
        (
            constraints.MinMaxNorm(low, bound, rate, given_axis),
            rate * np.clip(before, low, bound) + (1 - rate) * before,
        ),
    ]:
        projected = constraint(w)
        np.testing.assert_allclose(norms(projected, axis), expected, rtol=1e-3)
        np.testing.assert_allclose(projected.numpy() * before, w.numpy() * expected, rtol=1e-3)  # the direction stays
        assert torch.equal(w, kept)


def test_non_negative():
    assert constraints.NonNeg()(torch.tensor([-1.0, 0.0, 2.0])).tolist() == [0, 0, 2]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("item", OBJECTS, ids=repr)
def test_types_and_zero_weights(item, dtype):
    shape = (4, 3) if isinstance(item, regularizers.OrthogonalRegularizer) else (4, 3, 2)
    value = item(torch.zeros(shape, dtype=dtype))
    assert value.dtype == dtype
    assert value.count_nonzero() == 0  # and so not NaN


@pytest.mark.parametrize("item", OBJECTS, ids=repr)
def test_gradients_and_compilation(item):
    shape = (4, 3) if isinstance(item, regularizers.OrthogonalRegularizer) else (4, 3, 2)
    w = draw(*shape)
    assert torch.autograd.gradcheck(item, w.clone().requires_grad_())
    torch.testing.assert_close(torch.compile(item, fullgraph=True, backend="eager")(w), item(w))


@pytest.mark.parametrize("item", OBJECTS, ids=repr)
def test_configs_round_trip(item):
    config = home(item).serialize(item)
    assert config["module"] == home(item).__name__.replace("lamina", "keras")
    assert config["class_name"] == type(item).__name__ and config["registered_name"] is None
    for again in (home(item).get(json.loads(json.dumps(config))), home(item).deserialize(config)):
        assert type(again) is type(item) and again.get_config() == item.get_config()


def test_defaults():
    assert regularizers.L1().get_config() == {"l1": 0.01}
    assert regularizers.L2().get_config() == {"l2": 0.01}
    assert regularizers.L1L2(None).get_config() == {"l1": 0.0, "l2": 0.0}
    assert regularizers.OrthogonalRegularizer().get_config() == {"factor": 0.01, "mode": "rows"}
    assert constraints.MaxNorm().get_config() == {"max_value": 2, "axis": 0}
    assert constraints.UnitNorm().get_config() == {"axis": 0}
    expected = {"min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0}
    assert constraints.MinMaxNorm().get_config() == expected
    assert constraints.MaxNorm(axis=[0, 1]).get_config()["axis"] == [0, 1]


@pytest.mark.parametrize(
    ("module", "name", "cls"),
    [
        (regularizers, "l1", regularizers.L1),
        (regularizers, "L2", regularizers.L2),
        (regularizers, "l1l2", regularizers.L1L2),
        (regularizers, "L1L2", regularizers.L1L2),
        (regularizers, "orthogonal_regularizer", regularizers.OrthogonalRegularizer),
        (constraints, "max_norm", constraints.MaxNorm),
        (constraints, "MaxNorm", constraints.MaxNorm),
        (constraints, "min_max_norm", constraints.MinMaxNorm),
        (constraints, "non_neg", constraints.NonNeg),
        (constraints, "unit_norm", constraints.UnitNorm),
    ],
)
def test_names(module, name, cls):
    assert type(module.get(name)) is cls
    assert type(module.get(cls)) is cls
    assert type(module.get({"class_name": name if hasattr(module, name) else cls.__name__, "config": {}})) is cls


@pytest.mark.parametrize("module", PUBLIC)
def test_objects_and_functions_pass(module):
    def custom(w):
        return w

    assert module.get(None) is None
    assert module.get(custom) is custom


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: regularizers.L1(-1), "L1: argument `l1`.*-1"),
        (lambda: regularizers.L2(math.nan), "L2: argument `l2`.*nan"),
        (lambda: regularizers.L1L2(l2=math.inf), "L1L2: argument `l2`.*inf"),
        (lambda: regularizers.L1("a"), "L1: argument `l1`.*'a'"),
        (lambda: regularizers.OrthogonalRegularizer(mode="diagonal"), "`mode`.*rows.*diagonal"),
        (lambda: regularizers.OrthogonalRegularizer()(torch.ones(2, 2, 2)), r"matrix.*\(2, 2, 2\)"),
        (lambda: regularizers.get("l1_l2"), "factors"),
        (lambda: regularizers.get("l3"), "Unknown regularizer 'l3'"),
        (lambda: regularizers.get("get"), "Unknown regularizer 'get'"),
        (lambda: regularizers.get(3), "Unknown regularizer 3"),
        (lambda: constraints.get("maxnorm"), "Unknown constraint 'maxnorm'.*max_norm"),
        (lambda: constraints.MaxNorm(-1), "MaxNorm: argument `max_value`"),
        (lambda: constraints.MaxNorm(axis=0.5), "MaxNorm: argument `axis`"),
        (lambda: constraints.MinMaxNorm(2, 1), "`min_value` must be at most `max_value`"),
        (lambda: constraints.MinMaxNorm(rate=2), "MinMaxNorm: argument `rate`"),
    ],
)
def test_errors(make, words):
    with pytest.raises(ValueError, match=words):
        make()


class Owner(Declared):
    regularizer = arg(regularizers.regularizer, default=None)
    constraint = arg(constraints.constraint, default=None)


@pytest.mark.parametrize("field", ["regularizer", "constraint"])
def test_kinds(field):
    kind = Owner._args[field].kind
    for value in kind.good:
        made = Owner(**{field: value})
        assert Owner.from_config(json.loads(json.dumps(made.get_config()))).get_config() == made.get_config()
    for value in kind.bad:
        with pytest.raises(Refused):
            kind.convert(value, None)
        with pytest.raises(ValueError, match=f"Owner: argument `{field}`"):
            Owner(**{field: value})


@pytest.mark.parametrize(
    "called",
    [
        constraints.MaxNorm(1),
        constraints.NonNeg(),
        constraints.UnitNorm(),
        constraints.MinMaxNorm(0.5, 1),
        regularizers.L1(0.1),
        regularizers.L2(0.1),
        regularizers.L1L2(0.1, 0.2),
        regularizers.OrthogonalRegularizer(),
    ],
    ids=lambda called: type(called).__name__,
)
def test_arrays_and_lists_are_taken(called):
    values = np.array([[1.0, -2.0], [0.5, 3.0]])
    expected = called(torch.tensor(values))
    torch.testing.assert_close(called(values), expected)
    torch.testing.assert_close(called(values.tolist()), expected, check_dtype=False)


def test_no_factor_is_the_default():
    """Recorded of Keras 3.15."""
    assert regularizers.L1(None).get_config() == {"l1": 0.01}
    assert regularizers.L2(None).get_config() == {"l2": 0.01}
    assert regularizers.L1L2(None, None).get_config() == {"l1": 0.0, "l2": 0.0}
    with pytest.raises(ValueError):
        regularizers.OrthogonalRegularizer(None)
