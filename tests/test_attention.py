"""Attention: against a slow reference, masks of every kind, files of Keras 3, what a call costs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.frames import frames
from torch.utils._python_dispatch import TorchDispatchMode

import lamina as keras
from lamina import tf_keras
from lamina.kernels import attention as kernels

L = keras.layers
RECORDED = Path(__file__).parent / "golden" / "files" / "keras3"
B, T, S, N = 2, 4, 5, 6


def tensors(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(shape, generator=generator) for shape in shapes]


QUERY, VALUE, KEY = tensors((B, T, N), (B, S, N), (B, S, 3))
ALLOWED = torch.tensor([[[(t + s + b) % 3 > 0 for s in range(S)] for t in range(T)] for b in range(B)])
VALID = torch.tensor([[True, True, True, False, False], [True, True, True, True, False]])


def moved(layer: Any) -> Any:
    """Its biases, too, away from zero."""
    with torch.no_grad():
        for weight in layer.weights:
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
    return layer


def reference(layer: Any, query: Any, value: Any, key: Any, allowed: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """One target, one head after another, as the paper writes it."""
    wq, bq, wk, bk, wv, bv, wo, bo = [weight.detach().double() for weight in layer.weights]
    q, k, v = (torch.einsum("btn,nhd->bthd", x.double(), w) + b for x, w, b in
               ((query, wq, bq), (key, wk, bk), (value, wv, bv)))  # fmt: skip
    heads, groups = q.shape[2], q.shape[2] // k.shape[2]
    outputs = torch.zeros(*q.shape[:3], v.shape[-1], dtype=torch.double)
    weights = torch.zeros(q.shape[0], heads, q.shape[1], k.shape[1], dtype=torch.double)
    for b in range(q.shape[0]):
        for h in range(heads):
            for t in range(q.shape[1]):
                scores = k[b, :, h // groups] @ q[b, t, h] / math.sqrt(q.shape[-1])
                chances = torch.exp(scores) * allowed[b, t]
                weights[b, h, t] = chances / chances.sum()
                outputs[b, t, h] = weights[b, h, t] @ v[b, :, h // groups]
    return (torch.einsum("bthd,hdn->btn", outputs, wo) + bo).float(), weights.float()


EARLIER = torch.ones(T, S).tril().bool().expand(B, T, S)
NEAR = ((torch.arange(T)[:, None] - torch.arange(S)).abs() < 2).expand(B, T, S)
WAYS: dict[str, tuple[dict, dict, torch.Tensor]] = {  # arguments, those of the call, what is allowed
    "all": ({}, {}, torch.ones(B, T, S).bool()),
    "mask": ({}, {"attention_mask": ALLOWED}, ALLOWED),
    "mask by heads": ({}, {"attention_mask": ALLOWED.unsqueeze(1)}, ALLOWED),
    "mask of numbers": ({}, {"attention_mask": ALLOWED.int()}, ALLOWED),
    "value": ({}, {"value_mask": VALID}, VALID.unsqueeze(1).expand(B, T, S)),
    "key": ({}, {"key_mask": VALID}, VALID.unsqueeze(1).expand(B, T, S)),
    "causal": ({}, {"use_causal_mask": True}, EARLIER),
    "causal and value": ({}, {"use_causal_mask": True, "value_mask": VALID}, EARLIER & VALID.unsqueeze(1)),
    "window": ({"sliding_window": 2}, {}, NEAR),
    "window, causal": ({"sliding_window": 2}, {"use_causal_mask": True}, NEAR & EARLIER),
    "value and heads": (
        {},
        {"value_mask": VALID, "attention_mask": EARLIER.unsqueeze(1)},
        EARLIER & VALID.unsqueeze(1),
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("grouped", [False, True], ids=["heads", "groups"])
def test_as_the_paper_writes_it(way: str, grouped: bool) -> None:
    arguments, call, allowed = WAYS[way]
    layer = L.GroupQueryAttention(3, 4, 2, **arguments) if grouped else L.MultiHeadAttention(2, 3, 2, **arguments)
    layer(QUERY, VALUE, KEY)
    expected, weights = reference(moved(layer), QUERY, VALUE, KEY, allowed)
    torch.testing.assert_close(layer(QUERY, VALUE, KEY, **call), expected, rtol=1e-4, atol=1e-5)
    output, found = layer(QUERY, VALUE, KEY, return_attention_scores=True, **call)
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found, weights, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [(2,), (3, 2)], ids=len)
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_kernels_as_the_formula(batch: tuple[int, ...], groups: int, scale: float | None) -> None:
    query, key, value, bias = tensors((*batch, 4, T, N), (*batch, groups, S, N), (*batch, groups, S, 3), (4, T, S))
    keys, values = (x.repeat_interleave(4 // groups, -3) for x in (key, value))
    scores = (N**-0.5 if scale is None else scale) * query @ keys.mT
    weights = torch.softmax(scores + bias, -1)
    torch.testing.assert_close(kernels.attend(query, key, value, bias, scale=scale), weights @ values)
    torch.testing.assert_close(kernels.scores(query, key, scale), scores)
    torch.testing.assert_close(kernels.combine(weights, value), weights @ values)
    # Of three axes the first is that of samples.
    torch.testing.assert_close(kernels.scores(QUERY[:1], VALUE, 1.0), QUERY[:1] @ VALUE.mT)
    torch.testing.assert_close(kernels.combine(ALLOWED[:1].float(), KEY), ALLOWED[:1].float() @ KEY)


def test_several_axes_are_one() -> None:
    (x,) = tensors((2, 3, 4, 5, 6))
    several = L.MultiHeadAttention(2, 3, attention_axes=(-3, 3))
    output, weights = several(x, x, return_attention_scores=True)
    one = L.MultiHeadAttention(2, 3)
    flat = x.flatten(2, 3).flatten(0, 1)
    one(flat, flat)
    one.set_weights(several.get_weights())
    expected, scores = one(flat, flat, return_attention_scores=True)
    assert several.attention_axes == (2, 3)
    torch.testing.assert_close(output, expected.view(x.shape), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weights, scores.view(2, 3, 2, 4, 5, 4, 5), rtol=1e-4, atol=1e-5)
    mask = torch.rand(2, 3, 4, 5, 4, 5) > 0.3
    expected = one(flat, flat, attention_mask=mask.flatten(4).flatten(2, 3).flatten(0, 1))
    torch.testing.assert_close(several(x, x, attention_mask=mask), expected.view(x.shape), rtol=1e-4, atol=1e-5)
    steps = torch.rand(2, 3, 4, 5) > 0.3
    expected = one(flat, flat, value_mask=steps.flatten(2).flatten(0, 1))
    torch.testing.assert_close(several(x, x, value_mask=steps), expected.view(x.shape), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="no step is earlier"):
        several(x, x, use_causal_mask=True)
    with pytest.raises(ValueError, match="input's axes but for the last"):
        several(x, x, value_mask=torch.ones(2, 3))


def test_masks_that_ride_are_those_that_are_given() -> None:
    valid = torch.tensor([[1.0, 1, 1, 0], [1, 1, 0, 0]])
    masked = L.Masking()(QUERY * valid.unsqueeze(-1))
    layer = L.MultiHeadAttention(2, 3)
    expected = layer(masked.clone(), masked.clone(), query_mask=valid, value_mask=valid)
    output = layer(masked, masked)
    torch.testing.assert_close(output, expected)
    assert torch.equal(output._keras_mask, valid.bool())
    assert getattr(masked, "_keras_mask", None) is None  # as in Keras 3: it is off from here on
    assert not hasattr(expected, "_keras_mask")
    rides = L.Masking()(VALUE)
    by_name = layer(query=QUERY, value=VALUE.clone(), key=L.Masking()(VALUE.clone()))
    torch.testing.assert_close(layer(QUERY, rides), by_name)


def test_called_and_built_by_position_or_by_name() -> None:
    masked = L.Masking()(QUERY)
    layer = L.MultiHeadAttention(2, 3)
    layer.build(QUERY.shape, VALUE.shape, KEY.shape)
    assert layer(query=masked, value=VALUE, key=KEY)._keras_mask is not None
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.built
    again.set_weights(layer.get_weights())
    torch.testing.assert_close(again(QUERY, VALUE, KEY), layer(QUERY, VALUE, KEY))


def test_in_tf_keras_masks_stay_on() -> None:
    layers = tf_keras.layers
    masked = layers.Masking()(QUERY)
    layers.MultiHeadAttention(2, 3)(masked, masked)
    assert masked._keras_mask is not None


@pytest.mark.parametrize("options", [{}, {"dropout": 0.5}], ids=["plain", "dropout"])
def test_what_may_attend_to_nothing(options: dict) -> None:
    """As recorded: the mean of all values, or nothing at all where Keras 3 forms the weights."""
    layer = L.MultiHeadAttention(2, 3, use_bias=False, **options)
    mask = ALLOWED.clone()
    mask[0, 1] = False
    output = layer(QUERY, VALUE, attention_mask=mask)[0, 1]
    alike = layer(0 * QUERY, VALUE)[0, 1]
    torch.testing.assert_close(output, 0 * alike if options else alike)
    assert not layer(QUERY, VALUE, attention_mask=mask, return_attention_scores=True)[1][0, :, 1].any()


@pytest.mark.parametrize("way", ["MultiHeadAttention", "Attention", "Attention, scores", "an operation", "a bias"])
def test_gradients_where_a_target_may_attend_to_nothing(way: str) -> None:
    """Its weights are all the same, whatever the scores."""
    mask = ALLOWED.clone()
    mask[0, 1] = mask[1] = False
    query, value = QUERY.clone().requires_grad_(), VALUE.clone().requires_grad_()

    def formed(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float, bias: Any = 0.0) -> torch.Tensor:
        weights = torch.softmax((scale * q @ k.mT + bias).masked_fill(~mask, -1e30), -1)
        return torch.where(mask.any(-1, keepdim=True), weights, 1 / weights.shape[-1]) @ v

    if way == "MultiHeadAttention":
        layer = L.MultiHeadAttention(1, 3)
        found = layer(query, value, attention_mask=mask)
        parts = (layer.query_dense, layer.key_dense, layer.value_dense)
        q, k, v = (part(x).squeeze(-2) for part, x in zip(parts, (query, value, value), strict=True))
        expected = layer.output_dense(formed(q, k, v, 3**-0.5).unsqueeze(-2))
    elif "Attention" in way:
        mask = torch.stack([VALID[0], torch.zeros_like(VALID[0])])
        found = L.Attention()([query, value], mask=[None, mask], return_attention_scores="scores" in way)
        found = found[0] if "scores" in way else found
        mask = mask.unsqueeze(1)
        expected = formed(query, value, value, 1.0)
    else:
        q, k, v = (x.unsqueeze(2) for x in (query, value, value))
        bias = torch.linspace(-1, 1, mask.numel()).reshape(mask.shape)
        given = {"bias": bias.unsqueeze(1)} if "bias" in way else {"bias": None}
        found = keras.ops.dot_product_attention(q, k, v, mask=mask.unsqueeze(1), **given).squeeze(2)
        expected = formed(query, value, value, query.shape[-1] ** -0.5, bias if "bias" in way else 0.0)
    torch.testing.assert_close(found, expected)
    weights = torch.linspace(0.5, 1.5, found.numel()).reshape(found.shape)
    ours, theirs = (torch.autograd.grad((weights * y).sum(), (query, value)) for y in (found, expected))
    torch.testing.assert_close(ours, theirs)


def test_seeded_dropout_repeats() -> None:
    made = [L.MultiHeadAttention(2, 3, dropout=0.5, seed=3) for _ in range(2)]
    made[0](QUERY, VALUE), made[1](QUERY, VALUE)
    made[1].set_weights(made[0].get_weights())
    first, second = (layer(QUERY, VALUE, training=True) for layer in made)
    assert torch.equal(first, second)
    assert not torch.equal(made[0](QUERY, VALUE, training=True), second)
    layer = L.Attention(dropout=0.5, seed=3)
    assert not torch.equal(layer([QUERY, VALUE], training=True), layer([QUERY, VALUE]))


def test_scores_of_attention_are_its_weights() -> None:
    for layer in (L.Attention(use_scale=True), L.Attention(score_mode="concat"), L.AdditiveAttention()):
        output, weights = layer([QUERY, VALUE], mask=[None, VALID], return_attention_scores=True, use_causal_mask=True)
        assert (weights > 0).equal(EARLIER & VALID.unsqueeze(1))
        torch.testing.assert_close(weights.sum(-1), torch.ones(B, T))
        torch.testing.assert_close(output, weights @ VALUE)
        torch.testing.assert_close(layer([QUERY, VALUE], mask=[None, VALID], use_causal_mask=True), output)
        half = torch.tensor([[True, True, False, False]] * B)
        masked = layer([QUERY, VALUE], mask=[half, None])
        assert not masked[:, 2:].any()


def test_an_attention_of_ones_own_gets_the_whole_mask() -> None:
    class Own(L.MultiHeadAttention):
        def _compute_attention(self, query: Any, key: Any, value: Any, attention_mask: Any = None, *args: Any) -> Any:
            seen.append(attention_mask)
            return super()._compute_attention(query, key, value, attention_mask, *args)

    seen: list[Any] = []
    own = Own(2, 3)
    own(QUERY, VALUE, use_causal_mask=True)
    assert torch.equal(seen[-1], EARLIER[0])
    plain = L.MultiHeadAttention(2, 3)
    plain(QUERY, VALUE)
    plain.set_weights(own.get_weights())
    torch.testing.assert_close(own(QUERY, VALUE, use_causal_mask=True), plain(QUERY, VALUE, use_causal_mask=True))


def test_regularizers_of_the_activity_are_the_projections() -> None:
    layer = L.MultiHeadAttention(2, 3, activity_regularizer="l2")
    layer(QUERY, VALUE)
    assert len(layer.losses) == 4
    assert layer.activity_regularizer is None
    assert layer.get_config()["activity_regularizer"]["class_name"] == "L2"
    grouped = L.GroupQueryAttention(3, 4, 2, activity_regularizer="l2")
    grouped(QUERY, VALUE)
    assert len(grouped.losses) == 5  # and the output's, as in Keras 3


BAD: dict[str, tuple[Any, str]] = {
    "flash and dropout": (lambda: L.MultiHeadAttention(2, 3, dropout=0.1, flash_attention=True), "is not supported"),
    "flash and weights": (
        lambda: L.MultiHeadAttention(2, 3, flash_attention=True)(QUERY, VALUE, return_attention_scores=True),
        "gives no weights",
    ),
    "heads": (lambda: L.GroupQueryAttention(3, 4, 3), "`num_query_heads` must be a multiple"),
    "one input": (lambda: L.MultiHeadAttention(2, 3)(QUERY), "call it on a query and a value"),
    "axes": (lambda: L.MultiHeadAttention(2, 3, attention_axes=2)(QUERY, VALUE), "between batch and features"),
    "key": (lambda: L.MultiHeadAttention(2, 3)(QUERY, VALUE, QUERY), "key and value must be equal"),
    "rank": (lambda: L.MultiHeadAttention(2, 3)(QUERY, VALUE[0]), "numbers of axes .* must be equal"),
    "unknown": (lambda: L.MultiHeadAttention(2, 3)(keras.Input((4, None)), keras.Input((4, 3))), "known sizes"),
    "list": (lambda: L.Attention()(QUERY), "must be called on a list"),
    "one of a list": (lambda: L.Attention()([QUERY]), r"\[query, value\]"),
    "mask": (lambda: L.Attention()([QUERY, VALUE], mask=VALID), "mask must be a list"),
    "equation": (lambda: L.EinsumDense("ab,bc", 3), "ab,bc->ac"),
    "kernel": (lambda: L.EinsumDense("ab,bx->ac", 3), '"x" of the kernel'),
    "output": (lambda: L.EinsumDense("ab,b->ac", 3), '"c" of the output'),
    "bias": (lambda: L.EinsumDense("ab,bc->ac", 3, bias_axes="b"), "axes of the output"),
    "sizes": (lambda: L.EinsumDense("abc,cd->abd", (7, 3))(QUERY), "is 4 in the input"),
    "count": (lambda: L.EinsumDense("abc,cd->abd", 3)(QUERY), "must have 2 sizes"),
    "dims": (lambda: L.EinsumDense("ab,bc->ac", 3)(QUERY), "needs an input of 2 axes"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_told(case: str) -> None:
    make, says = BAD[case]
    with pytest.raises(TypeError if case == "one input" else ValueError, match=says):
        make()


@pytest.mark.parametrize(
    ("equation", "shape", "output_shape"),
    [
        ("ab,bc->ac", (3, 4), 5),
        ("abc,cde->abde", (3, 4, 5), (None, 2, 3)),
        ("abcd,cde->abe", (3, 4, 2, 3), (None, 6)),
        ("...ab,abc->...c", (3, 4, 2, 3), 6),
        ("abc,bcd->abd", (2, 3, 4), (3, 5)),
        ("abc,bd->acd", (2, 3, 4), (4, 5)),
        ("ab...,bc->ac...", (2, 3, 4), 5),
        ("abc,dc->abd", (2, 3, 4), (None, 5)),
        ("abc,c->ab", (2, 3, 4), 3),
        ("abc,cd->ad", (2, 3, 4), 5),
    ],
)
@pytest.mark.parametrize("bias", [slice(0, 0), slice(-1, None), slice(-2, -1), slice(-2, None)], ids=str)
def test_einsum_dense_is_einsum(equation: str, shape: tuple[int, ...], output_shape: Any, bias: slice) -> None:
    (x,) = tensors(shape)
    axes = equation.split(">")[1].strip(".").removeprefix("a")[bias]
    layer = L.EinsumDense(equation, output_shape, bias_axes=axes or None)
    layer(x)
    expected = torch.einsum(equation, x, moved(layer).kernel) + (layer.bias if axes else 0)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
    assert layer.compute_output_shape(shape) == tuple(expected.shape)


def test_a_file_of_keras_3_predicts_the_same(tmp_path: Path) -> None:
    data = np.load(RECORDED / "attention.npz")
    model = keras.models.load_model(RECORDED / "attention.keras")
    np.testing.assert_allclose(model.predict(data["input0"], verbose=0), data["output0"], rtol=1e-4, atol=1e-6)
    model.save(tmp_path / "again.keras")
    again = keras.models.load_model(tmp_path / "again.keras")
    np.testing.assert_array_equal(again.predict(data["input0"], verbose=0), model.predict(data["input0"], verbose=0))


class Copies(TorchDispatchMode):
    """Counts what writes a whole tensor without computing anything."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in (torch.ops.aten.clone, torch.ops.aten.copy_, torch.ops.aten._to_copy):
            self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_a_call_copies_nothing_and_has_few_frames() -> None:
    layer = L.MultiHeadAttention(2, 4)
    layer(QUERY, QUERY)
    with torch.no_grad():
        with Copies() as copies:
            layer(QUERY, QUERY, use_causal_mask=True)
        found = frames(lambda: layer.call(QUERY, QUERY))
    assert not copies.names
    assert len(found) <= 8 * 5, " ".join(found)  # one call for itself and each projection


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_masks_in_half_precision(policy: str) -> None:
    half, whole = L.MultiHeadAttention(2, 3, dtype=policy), L.MultiHeadAttention(2, 3)
    half(QUERY, VALUE), whole(QUERY, VALUE)
    half.set_weights(whole.get_weights())
    mask = ALLOWED | torch.eye(T, S).bool()
    output, expected = (layer(QUERY, VALUE, attention_mask=mask, use_causal_mask=True) for layer in (half, whole))
    torch.testing.assert_close(output.float(), expected, rtol=0.05, atol=0.02)


def test_no_samples_with_masks() -> None:
    layer = L.MultiHeadAttention(2, 3)
    layer(QUERY, VALUE)
    output, weights = layer(QUERY[:0], VALUE[:0], value_mask=VALID[:0], return_attention_scores=True)
    assert output.shape == (0, T, N)
    assert weights.shape == (0, 2, T, S)


def test_embedding_there_and_back() -> None:
    indices, (vectors,) = torch.tensor([[1, 2, 0], [3, 0, 0]]), tensors((2, 3, 4))
    tied, own = L.ReversibleEmbedding(6, 4, mask_zero=True), L.ReversibleEmbedding(6, 4, tie_weights=False)
    assert torch.equal(tied(indices), tied.embeddings[indices])
    assert torch.equal(tied(indices)._keras_mask, indices != 0)
    scores = tied(vectors, reverse=True)
    torch.testing.assert_close(scores, vectors @ tied.embeddings.T)
    assert not hasattr(scores, "_keras_mask")
    torch.testing.assert_close(own(vectors, reverse=True), vectors @ own.reverse_embeddings)
    capped = L.ReversibleEmbedding(6, 4, logit_soft_cap=0.1, reverse_dtype="float64")
    found = capped(20 * vectors, reverse=True)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, 0.1 * torch.tanh((20 * vectors).double() @ capped.embeddings.double().T / 0.1))
    inputs = keras.Input((3,), dtype="int32")
    model = keras.Model(inputs, capped(capped(inputs), reverse=True))
    assert (model.output_shape, model.output.dtype) == ((None, 3, 6), "float64")
    torch.testing.assert_close(model(indices), capped(capped(indices), reverse=True))


def test_parts_of_attention_that_a_subclass_has_otherwise() -> None:
    class Softmax(L.MultiHeadAttention):
        def _masked_softmax(self, attention_scores: torch.Tensor, attention_mask: Any = None) -> torch.Tensor:
            return super()._masked_softmax(attention_scores, attention_mask) * 2

    class Applied(L.Attention):
        def _apply_scores(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
            outputs, weights = super()._apply_scores(*args, **kwargs)
            return outputs * 2, weights

    (x,) = tensors((2, 3, 4))
    plain, own = (kind(2, 2, use_bias=False, seed=1) for kind in (L.MultiHeadAttention, Softmax))
    plain(x, x), own(x, x)
    own.set_weights(plain.get_weights())
    for causal in (False, True):
        expected = 2 * plain(x, x, use_causal_mask=causal)
        torch.testing.assert_close(own(x, x, use_causal_mask=causal), expected)
        torch.testing.assert_close(
            Applied()([x, x], use_causal_mask=causal), 2 * L.Attention()([x, x], use_causal_mask=causal)
        )


@pytest.mark.parametrize("scores", [False, True])
def test_the_attention_itself_takes_arrays_and_both_masks(scores: bool) -> None:
    layer = L.MultiHeadAttention(2, 4)
    layer.build((1, 5, 8), (1, 5, 8))
    query, key, value = np.random.default_rng(0).normal(size=(3, 1, 5, 2, 4)).astype("float32")
    mask = np.ones((1, 5, 5), bool)
    mask[:, 3, 1] = False
    both = layer._compute_attention(query, key, value, mask, False, scores, use_causal_mask=True)
    one = layer._compute_attention(query, key, value, mask & np.tril(mask), False, scores)
    torch.testing.assert_close(both[0], one[0])


class OwnBuild(L.MultiHeadAttention):
    """Makes its projections as Keras' own `build` does, by the names that subclasses know, without a bias of keys."""

    def build(self, query_shape: tuple, value_shape: Any = None, key_shape: Any = None) -> None:
        heads, common = self._num_heads, self._get_common_kwargs_for_sublayer()

        def dense(equation: str, sizes: tuple, bias: Any, name: str, shape: tuple) -> Any:
            made = L.EinsumDense(equation, output_shape=(None, *sizes), bias_axes=bias, name=name, **common)
            made.build(shape)
            return made

        into, bias = "abc,cde->abde", "de" if self._use_bias else None
        self._query_dense = dense(into, (heads, self._key_dim), bias, "query", query_shape)
        self._key_dense = dense(into, (heads, self._key_dim), None, "key", value_shape)
        self._value_dense = dense(into, (heads, self._value_dim), bias, "value", value_shape)
        self._build_attention(4)
        joined = (*query_shape[:-1], heads, self._value_dim)
        self._output_dense = dense("abcd,cde->abe", (query_shape[-1],), "e", "attention_output", joined)
        self.built = True


def test_a_build_of_ones_own_makes_the_projections() -> None:
    x = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    own, plain = OwnBuild(2, 3, value_dim=4), L.MultiHeadAttention(2, 3, value_dim=4)
    plain(x, x)
    own(x, x)
    assert [w.path.split("/", 1)[1] for w in own.weights] == [
        w.path.split("/", 1)[1] for w in plain.weights if w.path != f"{plain.name}/key/bias"
    ]
    own.set_weights([w.numpy() for w in plain.weights if w.path != f"{plain.name}/key/bias"])  # it starts at 0
    for options in ({}, {"use_causal_mask": True}, {"return_attention_scores": True}):
        torch.testing.assert_close(own(x, x, **options), plain(x, x, **options))
