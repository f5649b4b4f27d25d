"""Numbers and categories: statistics and bins that are learned, counts, scales."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch

import lamina as keras

L = keras.layers
DATA = np.random.default_rng(0).normal(3.0, 2.0, (20, 3, 4)).astype("float32")


@pytest.mark.parametrize(
    "data",
    [
        DATA,
        torch.from_numpy(DATA),
        DATA.astype("float64"),
        [DATA[:7], DATA[7:]],
        [(DATA[:5], np.zeros(5)), (DATA[5:], np.zeros(15))],
        torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(DATA)), batch_size=6),
    ],
    ids=["array", "tensor", "double", "batches", "pairs", "loader"],
)
@pytest.mark.parametrize("axis", [-1, 1, (1, 2), None])
def test_normalization_learns_mean_and_variance(data: Any, axis: Any) -> None:
    layer = L.Normalization(axis=axis)
    layer.adapt(data)
    kept = () if axis is None else tuple(a % 3 for a in (axis if isinstance(axis, tuple) else (axis,)))
    others = tuple(a for a in range(3) if a not in kept)
    mean, variance = DATA.mean(others, keepdims=True), DATA.var(others, keepdims=True)
    np.testing.assert_allclose(layer.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(layer.variance, variance, rtol=1e-5)
    np.testing.assert_allclose(layer(DATA), (DATA - mean) / np.sqrt(variance), rtol=1e-4, atol=1e-5)
    back = L.Normalization(axis=axis, invert=True)
    back.adapt(data)
    np.testing.assert_allclose(back(layer(DATA)), DATA, rtol=1e-4, atol=1e-5)


def test_normalization_of_large_numbers_and_constants() -> None:
    data = np.array([[1e8 + 1, 5], [1e8 + 2, 5], [1e8 + 3, 5]])
    layer = L.Normalization()
    layer.adapt(data)
    np.testing.assert_allclose(layer.variance, [[2 / 3, 0]])
    assert torch.isfinite(layer(data)).all()
    assert L.Normalization(mean=2, variance=4)(torch.tensor([[4, 0]])).tolist() == [[1, -1]]


def test_normalization_follows_its_weights() -> None:
    x = torch.tensor([[2.0], [6.0]])
    layer = L.Normalization()
    layer.adapt(np.array([[0.0], [2.0]]))
    other = copy.deepcopy(layer)

    def expect(mean: float, deviation: float, made: Any = layer) -> None:
        for _ in range(2):
            torch.testing.assert_close(made(x), (x - mean) / deviation)

    expect(1, 1)
    layer.adapt(np.array([[0.0], [8.0]]))
    expect(4, 4)
    layer.set_weights([np.array([1.0]), np.array([4.0]), np.array(0)])
    expect(1, 2)
    layer.load_state_dict(other.state_dict())
    expect(1, 1)
    with torch.inference_mode():
        expect(1, 1)
        layer.adapt_variance.assign([9.0])
    expect(1, 3)
    expect(1, 3, pickle.loads(pickle.dumps(layer)))
    y = layer(x.requires_grad_())
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], torch.full((2, 1), 1 / 3))
    torch.testing.assert_close(layer.double()(x.double()), (x.double() - 1) / 3)
    expect(1, 1, other)


def test_adapting_again_forgets() -> None:
    layer = L.Normalization()
    layer.adapt(DATA[0])
    layer.adapt(DATA[1])
    np.testing.assert_allclose(layer.mean, DATA[1].mean(0, keepdims=True), rtol=1e-5)
    bins = L.Discretization(num_bins=2)
    bins.adapt(np.arange(10.0))
    bins.adapt(np.arange(10.0) + 100)
    assert bins.bin_boundaries[0] > 100


@pytest.mark.parametrize("sizes", [[1000], [500, 500], [10] * 100])
@pytest.mark.parametrize("epsilon", [0.01, 0.1])
def test_bins_hold_like_numbers_of_values(sizes: list[int], epsilon: float) -> None:
    values = np.random.default_rng(1).normal(size=sum(sizes)).astype("float32")
    layer = L.Discretization(num_bins=4, epsilon=epsilon)
    layer.adapt(np.split(values, np.cumsum(sizes)[:-1]))
    counts = np.bincount(layer(values).numpy(), minlength=4)
    assert len(layer.bin_boundaries) == 3
    assert np.abs(counts / len(values) - 0.25).max() < 2 * epsilon
    again = L.Discretization.from_config(json.loads(json.dumps(layer.get_config())))
    assert torch.equal(again(values), layer(values))


def test_boundaries_belong_to_the_bin_above() -> None:
    layer = L.Discretization([0, 1, 2.5])
    assert layer([-1.0, 0.0, 0.5, 1.0, 2.5, 9.0, np.nan]).tolist() == [0, 1, 1, 2, 3, 3, 3]
    assert layer(torch.tensor([0, 3])).tolist() == [1, 3]
    layer.bin_boundaries = [5.0]
    assert layer([4.0, 5.0]).tolist() == [0, 1]


def test_count_weights() -> None:
    layer = L.CategoryEncoding(4, output_mode="count")
    indices, weights = torch.tensor([[0, 1, 1], [3, -1, 2]]), torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    expected = torch.zeros(2, 4, dtype=torch.float64)
    expected[0, 0], expected[0, 1] = weights[0, 0], weights[0, 1] + weights[0, 2]
    expected[1, 3], expected[1, 2] = weights[1, 0], weights[1, 2]
    torch.testing.assert_close(layer(indices, count_weights=weights), expected.float())
    (gradient,) = torch.autograd.grad(layer(indices, count_weights=weights).sum(), weights)
    assert gradient.tolist() == [[1, 1, 1], [1, 0, 1]]
    ids, by = keras.Input((3,), dtype="int64"), keras.Input((3,))
    model = keras.Model([ids, by], layer(ids, count_weights=by))
    torch.testing.assert_close(model([indices, weights.float()]), expected.float())


def test_scales_along_channels_that_come_first() -> None:
    layer = L.Rescaling([1.0, 10.0], offset=[0.0, 1.0])
    pictures = torch.ones(1, 3, 2, 2, dtype=torch.uint8)
    assert layer(pictures)[0, 0].tolist() == [[1, 11], [1, 11]]
    keras.config.set_image_data_format("channels_first")
    try:
        assert layer(torch.ones(1, 2, 3, 3))[0, :, 0, 0].tolist() == [1, 11]
    finally:
        keras.config.set_image_data_format("channels_last")
    again = L.Rescaling.from_config(json.loads(json.dumps(L.Rescaling(np.array([1.0, 2.0])).get_config())))
    assert again(torch.ones(1, 2)).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: L.Normalization(mean=1.0), "both `mean` and `variance`"),
        (lambda: L.Normalization(mean=[1.0], variance=[[1.0]]), "one shape"),
        (lambda: L.Normalization(axis=None, mean=[1.0], variance=[1.0]), "more than the 0"),
        (lambda: L.Normalization(mean=[1.0, 2.0], variance=[1.0, 2.0])(torch.ones(2, 3)), "does not fit the axes"),
        (lambda: L.Normalization(axis=3)(torch.ones(2, 3)), "in the range from -2 to 1"),
        (lambda: L.Normalization(mean=0.0, variance=1.0).adapt(DATA), "nothing to adapt"),
        (lambda: adapted().adapt(DATA[..., :3]), r"expected data of shape \(None, None, 4\)"),
        (lambda: L.Normalization().adapt([]), "no batch"),
        (lambda: L.Discretization(), "got neither"),
        (lambda: L.Discretization([0.0], num_bins=2), "Both .* were given"),
        (lambda: L.Discretization([1.0, 0.0]), "increasing"),
        (lambda: L.Discretization(num_bins=2, epsilon=0), "epsilon"),
        (lambda: L.Discretization(num_bins=2)(DATA), "no bins yet"),
        (lambda: L.Discretization([0.0]).adapt(DATA), "were given"),
        (lambda: L.CategoryEncoding(), "IntegerLookup"),
        (lambda: L.CategoryEncoding(3, sparse=True), "[Ss]parse"),
        (lambda: L.CategoryEncoding(3)(torch.tensor([3]), count_weights=torch.ones(1)), "count_weights"),
        (lambda: L.CategoryEncoding(3)(torch.tensor([3])), "CategoryEncoding"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        make()


def adapted() -> Any:
    layer = L.Normalization()
    layer.adapt(DATA)
    return layer


@pytest.mark.parametrize("mode", ["multi_hot", "count"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 1), (2, 3, 2, 2), (2, 0, 3)])
@pytest.mark.parametrize(
    "make",
    [
        lambda mode: L.CategoryEncoding(5, output_mode=mode),
        lambda mode: L.Discretization(bin_boundaries=[1, 2, 3, 4], output_mode=mode),
        lambda mode: L.IntegerLookup(vocabulary=[0, 1, 2, 3, 4], num_oov_indices=0, output_mode=mode),
    ],
)
def test_a_sample_is_the_axis_behind_the_batch(make: Any, shape: tuple[int, ...], mode: str) -> None:
    """As Keras 3.15 computes it."""
    layer, indices = make(mode), np.random.default_rng(0).integers(0, 5, shape)
    expected = (np.expand_dims(indices, -1) == np.arange(5)).sum(1)
    if mode == "multi_hot":
        expected = expected > 0
    np.testing.assert_array_equal(np.asarray(layer(indices)), expected)
    assert tuple(layer.compute_output_shape(shape)) == expected.shape


@pytest.mark.parametrize(
    ("name", "former", "words"),
    [
        ("IntegerLookup", {"max_values": 4, "mask_value": 0, "oov_value": -1}, {"max_tokens": 4, "mask_token": 0}),
        ("CategoryEncoding", {"max_tokens": 4}, {"num_tokens": 4}),
        ("Discretization", {"bins": [1.0, 2.0]}, {"bin_boundaries": [1.0, 2.0]}),
        ("Discretization", {"bins": 3}, {"num_bins": 3}),
        ("IntegerLookup", {"vocabulary": [7], "output_mode": "multi_hot", "dtype": "int64"},
         {"vocabulary": [7], "output_mode": "multi_hot"}),
        ("StringLookup", {"vocabulary": ["a"], "dtype": "string"}, {"vocabulary": ["a"]}),
    ],
)  # fmt: skip
def test_words_of_tensorflow_2_3_to_2_5(name: str, former: dict[str, Any], words: dict[str, Any]) -> None:
    """As tf_keras 2.21 still takes them."""
    cls = getattr(keras.tf_keras.layers, name)
    config = cls(**words, name="one").get_config()
    assert cls(**former, name="one").get_config() == cls.from_config({**former, "name": "one"}).get_config() == config
    if not former.keys() & words.keys():
        with pytest.raises((TypeError, ValueError), match=r"twice|must be"):
            cls(**former, **words)


@pytest.mark.parametrize("policy", ["float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", ["float32", "float64", "int64"])
def test_bins_are_told_apart_in_float32_whatever_the_policy(policy: str, kind: str) -> None:
    layer = L.Discretization([0.1, 0.3, 1.3, 2049.0], dtype=policy)  # asked of Keras 3.15
    x = [0, 2, 2048, 2049] if kind == "int64" else [0.0999, 0.1, 0.3, 1.2999, 1.3, 2048.0, 2049.0]
    expected = [0, 3, 3, 4] if kind == "int64" else [0, 1, 2, 2, 3, 3, 4]
    for values in (np.array(x, kind), torch.tensor(x, dtype=getattr(torch, kind))):
        assert layer(values).tolist() == expected
