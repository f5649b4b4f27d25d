"""Metrics: recorded values, counts against NumPy, state in place and on the device, choice by shapes, errors."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.golden import GOLDEN, Case, cases, problems

import lamina
from lamina import initializers, losses, metrics
from lamina.core import config, masking, serialize
from lamina.core.random import set_random_seed

KERAS = SimpleNamespace(
    metrics=metrics,
    layers=None,
    regularizers=None,
    constraints=None,
    config=config,
    utils=SimpleNamespace(set_random_seed=set_random_seed),
)
SIGNATURES = json.loads((GOLDEN / "signatures" / "keras3.json").read_text())
REQUIRED = {
    "IoU": {"num_classes": 3, "target_class_ids": [0, 2]},
    "MeanIoU": {"num_classes": 3},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [0, 2]},
    "OneHotMeanIoU": {"num_classes": 3},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}
CLASSES = sorted(
    name
    for name, item in vars(metrics).items()
    if inspect.isclass(item) and issubclass(item, metrics.Metric) and name not in ("Metric", "MeanMetricWrapper")
)
PAIRED = sorted(set(CLASSES) - {"Mean", "Sum"})


def make(name: str, /, **kwargs) -> metrics.Metric:
    return getattr(metrics, name)(**REQUIRED.get(name, {}), **kwargs)


def sample(name: str, batch: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets and predictions that suit the metric."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (batch,), generator=generator)
    y_pred = torch.rand(batch, 3, generator=generator).softmax(-1)
    if name in ("IoU", "MeanIoU"):
        return labels, y_pred.argmax(-1)
    if name == "MeanAbsolutePercentageError":
        return y_pred.flip(0), y_pred  # errors relative to 0 are beyond float16
    return (labels if name.startswith("Sparse") else torch.nn.functional.one_hot(labels, 3).float()), y_pred


def recorded() -> list[Case]:
    found = list(cases({"keras3": ("metrics",)}))
    for case in found:
        weights = (case.record.get("config") or {}).get("label_weights")
        if isinstance(weights, str):  # recorded as the text of a tensor
            case.record["config"]["label_weights"] = json.loads(weights.removeprefix("tensor(").removesuffix(")"))
    return found


@pytest.mark.filterwarnings("ignore:.*fractions of `sample_weight`")
@pytest.mark.parametrize("case", recorded(), ids=lambda case: case.id)
def test_recorded(case: Case):
    assert problems(case, KERAS) == []


@pytest.mark.parametrize("name", [name for name in SIGNATURES if name.startswith("metrics.")])
def test_signature(name: str):
    parameters = inspect.signature(getattr(metrics, name.removeprefix("metrics."))).parameters.values()
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    shown = [
        stars.get(p.kind, "") + (p.name if p.default is p.empty else f"{p.name}={p.default!r}") for p in parameters
    ]
    assert shown == SIGNATURES[name]


# State -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRED)
def test_batches_add_up_and_reset(name: str):
    one, many = make(name), make(name)
    y_true, y_pred = sample(name, batch=6)
    one.update_state(y_true, y_pred)
    for rows in (slice(0, 4), slice(4, 6)):
        many.update_state(y_true[rows], y_pred[rows])
    torch.testing.assert_close(one.result(), many.result(), equal_nan=True)
    before = many.result().clone()
    many.reset_state()
    assert not any(variable.any() for variable in many.variables)
    torch.testing.assert_close(many(y_true, y_pred), before, equal_nan=True)


@pytest.mark.parametrize("name", PAIRED)
def test_state_is_updated_in_place_without_a_graph(name: str):
    metric = make(name)
    y_true, y_pred = sample(name)
    y_pred = y_pred.requires_grad_() if y_pred.is_floating_point() else y_pred
    metric.update_state(y_true, y_pred)
    places = [variable.data_ptr() for variable in metric.variables]
    metric.update_state(y_true, y_pred)
    metric.reset_state()
    assert places and places == [variable.data_ptr() for variable in metric.variables]
    assert not metric.result().requires_grad


@pytest.mark.parametrize("name", PAIRED)
def test_update_and_result_read_nothing_on_the_host(name: str):
    metric = make(name)
    y_true, y_pred = sample(name)
    metric.update_state(y_true, y_pred)
    weight = torch.ones(5, dtype=torch.int32 if "IoU" in name else torch.float32)
    expected = copy.deepcopy(metric)
    expected.update_state(y_true, y_pred, weight)

    def step(y_true, y_pred, weight):
        metric.update_state(y_true, y_pred, weight)
        return metric.result()

    torch._dynamo.reset()
    found = torch.compile(step, fullgraph=True, backend="eager")(y_true, y_pred, weight)  # a read would break the graph
    torch.testing.assert_close(found, expected.result(), equal_nan=True)


@pytest.mark.parametrize("name", PAIRED)
def test_half_and_double_inputs(name: str):
    y_true, y_pred = sample(name)
    expected = make(name)(y_true, y_pred)
    if y_pred.is_floating_point():
        for dtype, tolerance in ((torch.float16, 0.05), (torch.bfloat16, 0.1), (torch.float64, 1e-5)):
            found = make(name)(y_true, y_pred.to(dtype))
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    torch.testing.assert_close(make(name)(y_true.numpy(), y_pred.numpy()), expected, equal_nan=True)


@pytest.mark.parametrize("name", PAIRED)
def test_copies_and_stateless_calls(name: str):
    metric = make(name, name="mine")
    y_true, y_pred = sample(name)
    metric.update_state(y_true, y_pred)
    result, state = metric.result().clone(), [variable.clone() for variable in metric.variables]
    for again in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        again.update_state(*sample(name, seed=1))
        moved = metric.stateless_update_state(state, *sample(name, seed=1))
        torch.testing.assert_close(metric.stateless_result(moved), again.result(), equal_nan=True)
    assert not any(variable.any() for variable in metric.stateless_reset_state())
    torch.testing.assert_close(metric.result(), result, equal_nan=True)
    with pytest.raises(ValueError, match="metric_variables"):
        metric.stateless_result(state[1:])


@pytest.mark.gpu
@pytest.mark.parametrize("name", PAIRED)
def test_update_is_captured_as_a_graph(name: str):
    metric, expected = make(name), make(name)
    y_true, y_pred = (value.cuda() for value in sample(name))
    metric.update_state(y_true, y_pred)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        metric.update_state(y_true, y_pred)
    metric.reset_state()
    for _ in range(2):
        graph.replay()
        expected.update_state(y_true, y_pred)
    torch.testing.assert_close(metric.result(), expected.result(), equal_nan=True)


# Values ----------------------------------------------------------------------------------------------------------


@given(
    thresholds=st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5, 0.75, 1.0]), min_size=1, max_size=4),
    shape=st.sampled_from([(0,), (5,), (4, 3), (2, 3, 2)]),
    weighted=st.sampled_from([None, "sample", "value"]),
    seed=st.integers(0, 99),
)
def test_counts_against_comparisons_one_by_one(thresholds, shape, weighted, seed):
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, 2, shape).astype("float32")
    y_pred = rng.choice(np.linspace(0, 1, 9), shape).astype("float32")
    weight = {None: None, "sample": rng.random(shape[:1]), "value": rng.random(shape)}[weighted]
    spread = np.ones(shape) if weight is None else weight.reshape(weight.shape + (1,) * (len(shape) - weight.ndim))
    spread = spread + np.zeros(shape)
    expected = {"TruePositives": [], "FalsePositives": [], "TrueNegatives": [], "FalseNegatives": []}
    for threshold in thresholds:
        above, positive = y_pred > threshold, y_true == 1
        expected["TruePositives"].append(spread[above & positive].sum())
        expected["FalsePositives"].append(spread[above & ~positive].sum())
        expected["TrueNegatives"].append(spread[~above & ~positive].sum())
        expected["FalseNegatives"].append(spread[~above & positive].sum())
    for name, values in expected.items():
        metric = make(name, thresholds=thresholds)
        metric.update_state(y_true, y_pred, weight)
        np.testing.assert_allclose(metric.result(), values if len(values) > 1 else values[0], rtol=1e-4, atol=1e-5)


@given(seed=st.integers(0, 99), size=st.integers(4, 40))
def test_area_under_roc_is_the_share_of_ordered_pairs(seed, size):
    rng = np.random.default_rng(seed)
    y_true = np.r_[0, 1, rng.integers(0, 2, size - 2)]
    y_pred = rng.permutation(size) / size + 0.5 / size
    pairs = [a > b for a in y_pred[y_true == 1] for b in y_pred[y_true == 0]]
    metric = metrics.AUC(num_thresholds=1000)
    np.testing.assert_allclose(metric(y_true, y_pred), np.mean(pairs), atol=1e-4)


@given(seed=st.integers(0, 99), ignore=st.sampled_from([None, 1]))
def test_overlap_against_sets(seed, ignore):
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.integers(0, 4, (2, 5, 3))  # class 3 is beyond num_classes and does not count
    weight = rng.integers(0, 3, (5, 3)).astype("float32")
    kept = (y_true < 3) & (y_pred < 3) & (y_true != ignore)
    overlaps = []
    for label in range(3):
        either = weight[kept & ((y_true == label) | (y_pred == label))].sum()
        both = weight[kept & (y_true == label) & (y_pred == label)].sum()
        overlaps += [both / either] if either else []
    metric = metrics.MeanIoU(3, ignore_class=ignore, dtype="float32")
    np.testing.assert_allclose(metric(y_true, y_pred, weight), np.mean(overlaps) if overlaps else 0, rtol=1e-5)


@given(
    shape=st.sampled_from([(), (4,), (4, 3), (2, 3, 2)]),
    rank=st.integers(0, 3),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_mean_weighs_along_the_axes_of_the_weights(shape, rank, masked, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape)
    weight = rng.random(shape[:rank])
    mask = rng.random(shape[:rank]) < 0.5 if masked else np.ones(shape[:rank], bool)
    tensor = torch.tensor(values)
    if masked:
        masking.set_mask(tensor, torch.tensor(mask))
    total = (values.reshape(*weight.shape, -1).mean(-1) * weight * mask).sum()
    summed = (weight * mask).sum()
    metric = metrics.Mean(dtype="float64")
    np.testing.assert_allclose(metric(tensor, torch.tensor(weight)), total / summed if summed else 0, rtol=1e-9)


def test_predictions_mask_leaves_steps_out():
    y_true, y_pred = torch.zeros(2, 3, 1), torch.arange(6.0).reshape(2, 3, 1)
    masking.set_mask(y_pred, torch.tensor([[True, False, False], [True, True, False]]))
    assert metrics.MeanAbsoluteError()(y_true, y_pred) == (0 + 3 + 4) / 3
    masking.set_mask(y_pred, None)
    assert metrics.MeanMetricWrapper(losses.mean_absolute_error)(y_true, y_pred) == (0 + 3 + 4) / 3


def test_ties_count_among_the_best():
    y_pred = torch.tensor([[0.4, 0.4, 0.2]])
    assert metrics.TopKCategoricalAccuracy(k=1)(torch.tensor([[0.0, 1.0, 0.0]]), y_pred) == 1
    assert metrics.sparse_top_k_categorical_accuracy([2], [[7, 2, 5]], k=2, from_sorted_ids=True) == 1
    assert metrics.TopKCategoricalAccuracy(k=9)(torch.tensor([[0.0, 0.0, 1.0]]), y_pred) == 1


def test_large_class_numbers_are_exact():
    y_pred = torch.zeros(1, 2**24 + 2, dtype=torch.float16)
    y_pred[0, 2**24 + 1] = 1
    assert metrics.sparse_categorical_accuracy(torch.tensor([2**24]), y_pred) == 0


def test_adjusted_r2():
    y_true, y_pred = torch.arange(8.0)[:, None], torch.arange(8.0)[:, None] + torch.tensor([[0.5], [-0.5]] * 4)
    plain, adjusted = metrics.R2Score()(y_true, y_pred), metrics.R2Score(num_regressors=2)(y_true, y_pred)
    torch.testing.assert_close(adjusted, 1 - (1 - plain) * 7 / 5)
    torch.testing.assert_close(metrics.R2Score(num_regressors=7)(y_true, y_pred), plain)


# Users' metrics --------------------------------------------------------------------------------------------------


class Hits(metrics.Metric):
    def __init__(self, limit=0.5, name="hits", **kwargs):
        super().__init__(name=name, **kwargs)
        self.limit = limit
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")
        self.rows = self.add_weight(shape=(2,), name="rows", dtype="int32")
        self.inner = metrics.Mean()

    def update_state(self, y_true, y_pred, sample_weight=None):
        near = ((y_true - y_pred).abs() < self.limit).float()
        self.count.assign(self.count + near.sum())
        self.rows.assign_add(near.sum(0))
        self.inner.update_state(near)

    def result(self):
        return self.count

    def get_config(self):
        return {**super().get_config(), "limit": self.limit}


def test_users_metric():
    metric = Hits(limit=1.5)
    y_pred = torch.tensor([[0.0, 1.0], [2.0, 1.0]], requires_grad=True)
    assert metric(torch.zeros(2, 2), y_pred) == 3
    assert metric.rows.tolist() == [1, 2] and not metric.count.requires_grad
    assert [variable.path for variable in metric.variables][:2] == ["hits/count", "hits/rows"]
    assert len(metric.variables) == 4
    metric.reset_state()
    assert not any(variable.any() for variable in metric.variables)
    with serialize.custom_object_scope({"Hits": Hits}):
        again = metrics.deserialize(metrics.serialize(metric))
    assert again.get_config() == metric.get_config()


@pytest.mark.parametrize(
    "initializer",
    ["one", "ones", initializers.Ones(), np.ones(2), torch.ones(2), lambda shape, dtype: np.ones(shape)],
)
def test_state_begins_as_an_initializer_says(initializer):
    variable = metrics.Metric().add_variable((2,), initializer)
    assert variable.tolist() == [1, 1] and variable.dtype is torch.float32


def test_forgotten_constructor():
    class Forgets(metrics.Metric):
        def __init__(self):
            self.count = self.add_variable(shape=())

    with pytest.raises(RuntimeError, match=r"super\(\).__init__"):
        Forgets()
    with pytest.raises(NotImplementedError, match="must define `update_state`"):
        metrics.Metric().update_state()
    with pytest.raises(NotImplementedError, match="must define `result`"):
        metrics.Metric().result()


# Names and configs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSES)
def test_config_round_trip(name: str):
    metric = make(name, name="mine", dtype="float64")
    again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))))
    assert type(again) is type(metric) and again.get_config() == metric.get_config()


@pytest.mark.parametrize(
    "metric",
    [
        metrics.AUC(thresholds=[0.3, 0.1]),
        metrics.AUC(curve="pr", multi_label=True, num_labels=2, label_weights=np.array([1.0, 3.0])),
        metrics.Precision(thresholds=[0.3, 0.1], class_id=1),
        metrics.SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True),
    ],
    ids=lambda metric: type(metric).__name__,
)
def test_config_of_other_arguments(metric):
    again = type(metric).from_config(json.loads(json.dumps(metric.get_config())))
    assert again.get_config() == metric.get_config() and repr(again) == repr(metric)


def test_wrapper_round_trip():
    metric = metrics.MeanMetricWrapper(losses.huber, name="h", delta=0.3)
    again = metrics.MeanMetricWrapper.from_config(json.loads(json.dumps(metric.get_config())))
    assert again.fn is losses.huber and again.get_config() == metric.get_config()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mse", metrics.MeanSquaredError),
        ("MSE", metrics.MeanSquaredError),
        ("mean_squared_error", metrics.MeanSquaredError),
        ("auc", metrics.AUC),
        ("AUC", metrics.AUC),
        ("f1_score", metrics.F1Score),
        ("f_beta_score", metrics.FBetaScore),
        ("hinge", metrics.Hinge),
        ("kl_divergence", metrics.KLDivergence),
    ],
)
def test_get(name, expected):
    assert type(metrics.get(name)) is expected


def test_get_of_others():
    assert metrics.get(None) is None
    assert metrics.get(metrics.binary_accuracy) is metrics.binary_accuracy
    with pytest.raises(ValueError, match="Unknown metric 'acuracy'"):
        metrics.get("acuracy")


def own(y_true, y_pred):
    return y_pred


@pytest.mark.parametrize(
    ("identifier", "y_true", "y_pred", "expected", "name"),
    [
        ("accuracy", (None, 1), (None, 1), metrics.BinaryAccuracy, "accuracy"),
        ("acc", (None,), (None, 3), metrics.SparseCategoricalAccuracy, "acc"),
        ("Accuracy", (None, 7, 1), (None, 7, 3), metrics.SparseCategoricalAccuracy, "Accuracy"),
        ("acc", (None, 7, 3), (None, 7, 3), metrics.CategoricalAccuracy, "acc"),
        ("mse", (None, 3), (None, 3), metrics.MeanSquaredError, "mse"),
        (metrics.AUC(name="area"), (None, 1), (None, 1), metrics.AUC, "area"),
        (own, (None, 1), (None, 1), metrics.MeanMetricWrapper, "own"),
        (losses.Huber(), (None, 1), (None, 1), metrics.MeanMetricWrapper, "huber_loss"),
    ],
)
def test_resolve(identifier, y_true, y_pred, expected, name):
    found = metrics.resolve(identifier, y_true, y_pred)
    assert type(found) is expected and found.name == name


# Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRED)
def test_shapes_that_do_not_fit(name: str):
    y_true, y_pred = sample(name)
    with pytest.raises(ValueError, match=r"`y_true` and `y_pred` must have .*\(4.* and \(5"):
        make(name).update_state(y_true[:4], y_pred)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: metrics.Precision(thresholds=[0.5, 1.5]), "Precision: argument `thresholds`"),
        (lambda: metrics.Recall(top_k=0), "Recall: argument `top_k`"),
        (lambda: metrics.AUC(num_thresholds=1), "AUC: argument `num_thresholds`"),
        (lambda: metrics.AUC(curve="area"), "AUC: argument `curve`"),
        (lambda: metrics.AUC(summation_method="sum"), "AUC: argument `summation_method`"),
        (lambda: metrics.AUC(num_labels=2), "AUC: argument `num_labels`"),
        (lambda: metrics.AUC(multi_label=True, num_labels=2, label_weights=[1]), "AUC: argument `label_weights`"),
        (lambda: metrics.SensitivityAtSpecificity(1.5), "SensitivityAtSpecificity: argument `specificity`"),
        (lambda: metrics.F1Score(average="mean"), "F1Score: argument `average`"),
        (lambda: metrics.FBetaScore(beta=0.0), "FBetaScore: argument `beta`"),
        (lambda: metrics.R2Score(num_regressors=-1), "R2Score: argument `num_regressors`"),
        (lambda: metrics.R2Score(class_aggregation="sum"), "R2Score: argument `class_aggregation`"),
        (lambda: metrics.IoU(2, [2]), "IoU: argument `target_class_ids`"),
        (lambda: metrics.MeanIoU(0), "MeanIoU: argument `num_classes`"),
        (lambda: metrics.Mean(dtype="float31"), "float31"),
        (lambda: metrics.resolve(None, (1,), (1,)), "expected a metric"),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("thresholds", [0.5, [0.25, 0.5, 0.75, 1.0]])
def test_nan_is_above_no_threshold_and_among_no_best(thresholds):
    """Predictions of a model that diverged count as no positives."""
    y_true, y_pred = torch.tensor([1.0, 1.0, 0.0, 0.0]), torch.tensor([0.8, torch.nan, 0.1, torch.nan])
    found = [
        getattr(metrics, name)(thresholds)(y_true, y_pred).reshape(-1)[0]
        for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
    ]
    assert found == [1, 0, 2, 1]
    torch.testing.assert_close(metrics.AUC()(y_true, y_pred), metrics.AUC()(y_true, y_pred.nan_to_num(0.0)))
    assert metrics.AUC()(y_true, y_pred * torch.nan) == 0.5
    scores = torch.tensor([[0.1, torch.nan, 0.2], [torch.nan] * 3, [0.5, 0.3, 0.2]])
    for k, expected in ((1, [0, 0, 1]), (2, [1, 0, 1])):
        labels = torch.tensor([2, 0, 0])
        assert metrics.sparse_top_k_categorical_accuracy(labels, scores, k).tolist() == expected
        assert lamina.ops.in_top_k(labels, scores, k).tolist() == expected


def test_one_hot_labels_may_be_booleans():
    y_true, y_pred = torch.eye(3)[[0, 2, 1, 0]], torch.eye(3)[[0, 1, 1, 0]]
    for name in ("OneHotIoU", "OneHotMeanIoU"):
        expected = make(name)(y_true, y_pred)
        torch.testing.assert_close(make(name)(y_true.bool(), y_pred.bool()), expected)


def test_bad_weights_and_ranks():
    y = torch.ones(4, 3)
    for metric in (
        metrics.Precision(),
        metrics.F1Score(),
        metrics.R2Score(),
        metrics.AUC(),
        metrics.MeanIoU(2, dtype="float32"),
    ):
        metric.update_state(y, y)
        before = [v.clone() for v in metric.variables]
        for weight in (torch.ones(5), torch.ones(4, 2), torch.ones(1, 1, 4, 3)):
            with pytest.raises(ValueError, match=rf"{type(metric).__name__}: `sample_weight` must be .*\(4, 3\); got"):
                metric.update_state(y, y, weight)
        torch.testing.assert_close(list(metric.variables), before)
    one = metrics.Recall()
    with pytest.raises(ValueError, match=r"Recall: `sample_weight` must be .*\(4, 1\); got \(4, 3\)"):
        one.update_state(y[:, :1], y[:, :1], y)
    for key, value, few in (("class_id", 1, y[:, :1]), ("class_id", 1, y[0]), ("top_k", 2, y[:, :1])):
        with pytest.raises(ValueError, match=f"Recall: `{key}` {value} needs .*, at least 2 classes"):
            metrics.Recall(**{key: value}).update_state(few, few)
    for auc in (metrics.AUC(label_weights=[1.0, 2.0]), metrics.AUC(multi_label=True, label_weights=[1.0, 2.0])):
        with pytest.raises(ValueError, match=r"AUC: `label_weights` must have as many .*\(4, 3\).*; got 2"):
            auc.update_state(y, y)
    with pytest.raises(ValueError, match=r"multi_label=True: `y_pred` must have shape \(batch, 3\); got \(4, 2\)"):
        metrics.AUC(multi_label=True, num_labels=3).update_state(y[:, :2], y[:, :2])
    with pytest.raises(ValueError, match="MeanIoU: `sample_weight`"):
        metrics.MeanIoU(2).update_state(y, y, torch.ones(5, dtype=torch.int32))
    with pytest.warns(UserWarning, match="fractions of `sample_weight` are cut off"):
        metrics.MeanIoU(2).update_state(y, y, torch.ones(4))


@pytest.mark.parametrize("name", [name for name in metrics.__all__ if name[0].isupper() and name != "Metric"])
def test_a_result_before_the_first_value_is_a_number_or_refused(name: str) -> None:
    """So it is after `reset_state`, which forgets no shape."""
    needed = {"fn": metrics.hinge} if name == "MeanMetricWrapper" else REQUIRED.get(name, {})
    metric = getattr(metrics, name)(**needed)
    if name in ("F1Score", "FBetaScore", "R2Score"):
        with pytest.raises(ValueError, match=f"{name}: there is no result yet; call `update_state` first"):
            metric.result()
        metric.update_state(torch.ones(3, 2), torch.ones(3, 2))
        metric.reset_state()
    assert isinstance(torch.as_tensor(metric.result()), torch.Tensor)


def test_auc_by_thresholds_alone_and_of_negative_weights() -> None:
    metric = metrics.AUC(num_thresholds=None, thresholds=[0.3, 0.5], curve="PR")
    assert metric.num_thresholds == 4 and metrics.AUC.from_config(metric.get_config()).num_thresholds == 4
    with pytest.raises(ValueError, match="num_thresholds"):
        metrics.AUC(num_thresholds=None)
    counts = metrics.AUC(num_thresholds=3, curve="PR")([0, 1, 0, 1], [0, 0.5, 0.3, 0.9], sample_weight=[-1, -2, -3, -4])
    assert float(counts) == 0  # as Keras has it: no positives are left


@pytest.mark.parametrize("hold", [lambda one: one, lambda one: [one], lambda one: {"a": (one,)}])
def test_variables_count_as_state_whatever_holds_them(hold: Any) -> None:
    class Own(metrics.Metric):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.total = self.add_variable((), name="total")
            self.held = hold(lamina.Variable(0.0))

        def update_state(self, *args: Any, **kwargs: Any) -> None:
            for variable in self.variables:
                variable.assign_add(1.0)

        def result(self) -> Any:
            return self.total

    metric = Own()
    metric.update_state()
    assert [float(variable.detach()) for variable in metric.variables] == [1, 1] and metric._dtype == "float32"
    metric.reset_state()
    assert [float(variable.detach()) for variable in metric.variables] == [0, 0]


@pytest.mark.parametrize(
    "values", [[3.0, 4.0], np.array([3, 4]), torch.tensor([3.0, 4.0])], ids=["list", "array", "tensor"]
)
def test_a_variable_of_a_metric_begins_with_values(values):
    class Own(metrics.Metric):
        def __init__(self):
            super().__init__(name="own")
            self.state = self.add_variable((2,), lamina.ops.convert_to_tensor(values), name="state")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.state.assign(self.state + 1)

        def result(self):
            return self.state

    metric = Own()
    assert metric.result().tolist() == [3, 4]
    metric.update_state(0, 0)
    assert metric.result().tolist() == [4, 5]
    metric.reset_state()
    assert metric.result().tolist() == [0, 0]


def test_of_equal_scores_the_first_are_among_the_best() -> None:
    for kind in (metrics.Precision, metrics.Recall):
        for labels, expected in (([0, 0, 1, 1], 0.0), ([1, 1, 0, 0], 1.0)):
            measured = kind(top_k=2)
            measured.update_state(labels, [1.0, 1.0, 1.0, 1.0])
            assert measured.result() == expected


@pytest.mark.parametrize("bad", [None, [None, 1.0], object(), {"a": 1.0}])
@pytest.mark.parametrize("name", ["AUC", "MeanIoU", "F1Score", "R2Score", "MeanSquaredError", "Recall"])
def test_what_is_no_number_is_told_and_changes_nothing(name: str, bad: Any) -> None:
    metric = getattr(metrics, name)(**({"num_classes": 2} if name == "MeanIoU" else {}))
    right = np.array([[0.0, 1.0], [1.0, 0.0]])
    metric.update_state(right, right)
    before = [variable.detach().clone() for variable in metric.variables]
    for targets, outputs in ((right, bad), (bad, right)):
        with pytest.raises((ValueError, TypeError), match=r"takes|number"):
            metric.update_state(targets, outputs)
    assert all(map(torch.equal, metric.variables, before))
