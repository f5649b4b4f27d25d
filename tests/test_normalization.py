"""Normalization layers against slow NumPy formulas, and what their statistics do over time."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import lamina
from lamina import layers
from lamina.kernels import normalization as kernels

EPSILON = 1e-3


def data(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    values = np.random.default_rng(seed).normal(0.5, 2.0, shape)
    return torch.from_numpy(values).to(dtype)


def randomized(layer: Any, x: Tensor, seed: int = 1) -> Any:
    """The layer, built for `x`, with random weights (positive ones where they stand for a variance)."""
    layer(x)
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.uniform(0.5, 2.0, weight.shape) for weight in layer.weights])
    return layer


def statistics(x: np.ndarray, kept: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean and biased variance over all axes but `kept`, with all axes, and the number of values of each."""
    axes = tuple(axis for axis in range(x.ndim) if axis not in kept)
    return x.mean(axes, keepdims=True), x.var(axes, keepdims=True), int(np.prod([x.shape[axis] for axis in axes]))


def weights_of(layer: Any) -> dict[str, np.ndarray]:
    return {weight.name: weight.numpy() for weight in layer.weights}


ranks = st.integers(2, 5)


@given(rank=ranks, axis=st.integers(-4, 4), center=st.booleans(), scale=st.booleans(), momentum=st.floats(0.0, 1.0))
def test_batch_normalization(rank: int, axis: int, center: bool, scale: bool, momentum: float) -> None:
    if not 1 <= axis % rank or not -rank <= axis < rank:
        return
    x = data(*(3, 4, 2, 3, 2)[:rank])
    make = layers.BatchNormalization(axis, momentum, EPSILON, center, scale, dtype="float64")
    layer = randomized(make, x)
    before = weights_of(layer)
    shape = tuple(size if place == axis % rank else 1 for place, size in enumerate(x.shape))
    gamma = before["gamma"].reshape(shape) if scale else 1.0
    beta = before["beta"].reshape(shape) if center else 0.0
    values = x.numpy()

    moving = before["moving_mean"].reshape(shape), before["moving_variance"].reshape(shape)
    new = (values - moving[0]) / np.sqrt(moving[1] + EPSILON) * gamma + beta
    np.testing.assert_allclose(layer(x).detach(), new, rtol=1e-9, atol=1e-9)
    for name, value in weights_of(layer).items():
        np.testing.assert_array_equal(value, before[name])

    mean, variance, _ = statistics(values, (axis % rank,))
    new = (values - mean) / np.sqrt(variance + EPSILON) * gamma + beta
    np.testing.assert_allclose(layer(x, training=True).detach(), new, rtol=1e-9, atol=1e-9)
    for name, batch in (("moving_mean", mean), ("moving_variance", variance)):
        moved = before[name] * momentum + batch.ravel() * (1 - momentum)
        np.testing.assert_allclose(weights_of(layer)[name], moved, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(6, 2), (3, 4, 2), (3, 4, 4, 2), (2, 2, 3, 2, 2), (1, 2), (3, 4, 4, 1)])
@pytest.mark.parametrize("unbiased", [None, "spatial", "always"])
def test_moving_variance(shape: tuple[int, ...], unbiased: str | None) -> None:
    x = data(*shape)
    layer = randomized(layers.BatchNormalization(momentum=0.7, unbiased_variance=unbiased, dtype="float64"), x)
    before = weights_of(layer)["moving_variance"]
    layer(x, training=True)
    _, variance, n = statistics(x.numpy(), (len(shape) - 1,))
    sample = n / (n - 1) if n > 1 else 1.0
    factor = {
        None: 1.0,
        "spatial": sample if len(shape) in (4, 5) else 1.0,
        "always": n / (n - 1 - EPSILON) * (sample if len(shape) == 4 else 1.0),
    }[unbiased]
    new = 0.7 * before + 0.3 * factor * variance.ravel()
    np.testing.assert_allclose(weights_of(layer)["moving_variance"], new, rtol=1e-9)
    config = layer.get_config()
    assert config.get("unbiased_variance") == unbiased and ("unbiased_variance" in config) == (unbiased is not None)


@pytest.mark.parametrize("option", [None, "frozen", "always"])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("trainable", [False, True])
def test_which_statistics(option: str | None, training: bool, trainable: bool) -> None:
    x = data(6, 3)
    layer = randomized(layers.BatchNormalization(batch_statistics=option, dtype="float64"), x)
    layer.trainable = trainable
    before = weights_of(layer)
    found = layer(x, training=training).detach()
    by_batch = option == "always" or (training and (trainable or option == "frozen"))
    mean, variance = before["moving_mean"], before["moving_variance"]
    if by_batch:
        mean, variance, _ = statistics(x.numpy(), (1,))
    new = (x.numpy() - mean) / np.sqrt(variance + EPSILON) * before["gamma"] + before["beta"]
    np.testing.assert_allclose(found, new, rtol=1e-9, atol=1e-9)
    moves = training and trainable and option != "always"
    assert np.array_equal(weights_of(layer)["moving_mean"], before["moving_mean"]) != moves


@pytest.mark.parametrize("axes", [[1, 2], (-1, 1), [3, 1], [1, 2, 3]])
@pytest.mark.parametrize("center, scale", [(True, True), (False, True), (True, False)])
def test_channels_on_several_axes(axes: Any, center: bool, scale: bool) -> None:
    x = data(5, 3, 2, 4)
    options: dict[str, Any] = {"axes": axes, "momentum": 0.6, "center": center, "scale": scale, "dtype": "float64"}
    layer = randomized(layers.BatchNormalization(**options), x)
    kept = tuple(axis % 4 for axis in axes)
    before = weights_of(layer)
    gamma, beta = before.get("gamma", 1.0), before.get("beta", 0.0)
    assert before["moving_mean"].shape == tuple(size if place in kept else 1 for place, size in enumerate(x.shape))
    new = (x.numpy() - before["moving_mean"]) / np.sqrt(before["moving_variance"] + EPSILON)
    np.testing.assert_allclose(layer(x).detach(), new * gamma + beta, rtol=1e-9, atol=1e-9)
    mean, variance, _ = statistics(x.numpy(), kept)
    new = (x.numpy() - mean) / np.sqrt(variance + EPSILON) * gamma + beta
    np.testing.assert_allclose(layer(x, training=True).detach(), new, rtol=1e-9, atol=1e-9)
    moved = before["moving_variance"] * 0.6 + variance * 0.4
    np.testing.assert_allclose(weights_of(layer)["moving_variance"], moved, rtol=1e-9)
    assert layers.BatchNormalization.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_mask(axis: int, count: int) -> None:
    """Masked values count for nothing, whatever they are; without any value both statistics are 0."""
    x = data(3, 5, 2)
    mask = torch.zeros(15, dtype=torch.bool)
    mask[torch.randperm(15, generator=torch.Generator().manual_seed(1))[:count]] = True
    mask = mask.reshape(3, 5)
    layer = randomized(layers.BatchNormalization(axis, momentum=0.5, dtype="float64"), x)
    before = weights_of(layer)
    unseen = torch.where(mask.unsqueeze(-1), x, torch.nan)
    output = layer(x, mask=mask, training=True)
    assert torch.equal(output._keras_mask, mask)
    chosen = np.moveaxis(unseen.numpy(), axis, -1).reshape(-1, x.shape[axis])
    means, variances = np.zeros(x.shape[axis]), np.zeros(x.shape[axis])
    for channel, values in enumerate(chosen.T):
        values = values[~np.isnan(values)]
        if len(values):
            means[channel], variances[channel] = values.mean(), values.var()
    np.testing.assert_allclose(weights_of(layer)["moving_mean"], (before["moving_mean"] + means) / 2, rtol=1e-9)
    moved = (before["moving_variance"] + variances) / 2
    np.testing.assert_allclose(weights_of(layer)["moving_variance"], moved, rtol=1e-9)
    shape = (-1,) if axis == -1 else (-1, 1)
    new = (x.numpy() - means.reshape(shape)) / np.sqrt(variances.reshape(shape) + EPSILON)
    new = new * before["gamma"].reshape(shape) + before["beta"].reshape(shape)
    np.testing.assert_allclose(output.detach(), new, rtol=1e-9, atol=1e-9)
    layer.set_weights(list(before.values()))
    assert layer(unseen, mask=mask, training=True)[mask].isfinite().all()


def test_a_full_mask_is_no_mask() -> None:
    x = data(3, 5, 2)
    one, other = (randomized(layers.BatchNormalization(dtype="float64"), x) for _ in range(2))
    torch.testing.assert_close(one(x, training=True), other(x, mask=torch.ones(3, 5, dtype=torch.bool), training=True))
    for weight, same in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(weight, same, rtol=1e-12)


@pytest.mark.parametrize("clipping", [None, {"rmin": 0.9, "rmax": 1.1, "dmax": 0.2}, {"rmax": 1.5}])
@pytest.mark.parametrize("scale", [True, False])
def test_renormalization(clipping: dict | None, scale: bool) -> None:
    x = data(8, 3).requires_grad_()
    make = layers.BatchNormalization(
        momentum=0.8, renorm=True, renorm_clipping=clipping, renorm_momentum=0.6, scale=scale, dtype="float64"
    )
    layer = randomized(make, x.detach())
    before, limits = weights_of(layer), clipping or {}
    output = layer(x, training=True)
    after = weights_of(layer)
    mean, variance, _ = statistics(x.detach().numpy(), (1,))
    deviation = np.sqrt(variance + EPSILON)
    slow = np.maximum(before["renorm_stddev"], EPSILON**0.5)
    r = np.clip(deviation / slow, limits.get("rmin", 0), limits.get("rmax", np.inf))
    d = np.clip((mean - before["renorm_mean"]) / slow, -limits.get("dmax", np.inf), limits.get("dmax", np.inf))
    plain = (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + EPSILON)
    new = (plain * torch.from_numpy(r) + torch.from_numpy(d)) * torch.as_tensor(before.get("gamma", 1.0))
    new = new + torch.from_numpy(before["beta"])
    torch.testing.assert_close(output, new)
    gradients = [torch.autograd.grad((y**3).sum(), x)[0] for y in (output, new)]
    torch.testing.assert_close(*gradients)
    for name, value, keep in (
        ("moving_mean", mean, 0.8),
        ("moving_stddev", deviation, 0.8),
        ("renorm_mean", mean, 0.6),
        ("renorm_stddev", deviation, 0.6),
    ):
        np.testing.assert_allclose(after[name], before[name] * keep + value.ravel() * (1 - keep), rtol=1e-9)
    variance = np.maximum(after["moving_stddev"] ** 2 - EPSILON, 0)
    np.testing.assert_allclose(after["moving_variance"], variance, rtol=1e-9)
    assert layer.get_config()["renorm_clipping"] == (clipping or {})


@given(
    rank=ranks,
    axis=st.one_of(st.integers(-3, 4), st.lists(st.integers(-3, 4), min_size=1, max_size=3)),
    rms=st.booleans(),
)
def test_layer_normalization(rank: int, axis: Any, rms: bool) -> None:
    axes = sorted([axis] if isinstance(axis, int) else axis)
    places = [place % rank for place in axes]
    if not all(-rank <= place < rank for place in axes) or len(set(places)) < len(places):
        return
    x = data(*(3, 4, 2, 3, 2)[:rank])
    values = x.numpy()
    layer = randomized(layers.LayerNormalization(axis, rms_scaling=rms, dtype="float64"), x)
    weights = weights_of(layer)
    assert weights["gamma"].shape == tuple(x.shape[place] for place in places)
    shape = tuple(size if place in places else 1 for place, size in enumerate(x.shape))
    mean, variance = values.mean(tuple(places), keepdims=True), values.var(tuple(places), keepdims=True)
    new = (values - (0 if rms else mean)) / np.sqrt(variance + EPSILON) * weights["gamma"].reshape(shape)
    new = new + (0 if rms else weights["beta"].reshape(shape))
    np.testing.assert_allclose(layer(x).detach(), new, rtol=1e-9, atol=1e-9)

    other = randomized(layers.RMSNormalization(axis, dtype="float64"), x)
    square = np.square(values).mean(tuple(places), keepdims=True)
    new = values / np.sqrt(square + 1e-6) * weights_of(other)["scale"].reshape(shape)
    np.testing.assert_allclose(other(x).detach(), new, rtol=1e-9, atol=1e-9)

    unit = layers.UnitNormalization(axis, dtype="float64")(x)
    norm = np.sqrt(np.square(values).sum(tuple(places), keepdims=True))
    np.testing.assert_allclose(unit, values / norm, rtol=1e-9)


def test_trailing_axes_take_any_rank() -> None:
    layer = layers.LayerNormalization()
    assert layer(data(3, 4, dtype=torch.float32)).shape == (3, 4)
    assert layer(data(2, 3, 4, dtype=torch.float32)).shape == (2, 3, 4)


@given(rank=ranks, axis=st.integers(-4, 4), groups=st.sampled_from([1, 2, 3, 6, -1]), center=st.booleans())
def test_group_normalization(rank: int, axis: int, groups: int, center: bool) -> None:
    if not -rank <= axis < rank or axis % rank == 0:
        return
    place = axis % rank
    shape = [6 if at == place else size for at, size in enumerate((2, 3, 2, 3, 2)[:rank])]
    x = data(*shape)
    layer = randomized(layers.GroupNormalization(groups, axis, center=center, scale=not center, dtype="float64"), x)
    count = 6 if groups == -1 else groups
    parts = np.moveaxis(x.numpy(), place, 1).reshape(shape[0], count, -1)
    parts = (parts - parts.mean(2, keepdims=True)) / np.sqrt(parts.var(2, keepdims=True) + EPSILON)
    new = np.moveaxis(parts.reshape(np.moveaxis(x.numpy(), place, 1).shape), 1, place)
    weight = next(iter(weights_of(layer).values())).reshape([6 if at == place else 1 for at in range(rank)])
    np.testing.assert_allclose(layer(x).detach(), new + weight if center else new * weight, rtol=1e-9, atol=1e-9)
    assert layer.get_config()["groups"] == count


MAKERS: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "batch": (layers.BatchNormalization, (3, 4)),
    "batch of sequences": (layers.BatchNormalization, (3, 2, 4)),
    "batch of pictures": (layers.BatchNormalization, (2, 3, 2, 4)),
    "batch, channels first": (lambda **k: layers.BatchNormalization(1, **k), (2, 3, 2, 2)),
    "batch, odd axis": (lambda **k: layers.BatchNormalization(2, **k), (2, 3, 2, 2)),
    "batch, several axes": (lambda **k: layers.BatchNormalization(axes=[1, 3], **k), (3, 2, 2, 2)),
    "batch, no weights": (lambda **k: layers.BatchNormalization(center=False, scale=False, **k), (3, 4)),
    "renorm": (lambda **k: layers.BatchNormalization(renorm=True, **k), (4, 3)),
    "layer": (layers.LayerNormalization, (3, 4)),
    "layer, first axis": (lambda **k: layers.LayerNormalization(1, **k), (2, 3, 2)),
    "layer, rms_scaling": (lambda **k: layers.LayerNormalization([1, 3], rms_scaling=True, **k), (2, 3, 2, 2)),
    "layer, beta only": (lambda **k: layers.LayerNormalization(scale=False, **k), (3, 4)),
    "group": (lambda **k: layers.GroupNormalization(2, **k), (2, 3, 4)),
    "group, beta only": (lambda **k: layers.GroupNormalization(2, scale=False, **k), (2, 2, 3, 4)),
    "rms": (layers.RMSNormalization, (3, 4)),
    "rms, first axis": (lambda **k: layers.RMSNormalization(1, **k), (2, 3, 2)),
    "unit": (layers.UnitNormalization, (3, 4)),
    "unit, several axes": (lambda **k: layers.UnitNormalization([1, 2], **k), (2, 3, 2)),
}
every = pytest.mark.parametrize("make, shape", MAKERS.values(), ids=MAKERS)


def modes(layer: Any) -> tuple[dict, ...]:
    return ({"training": False}, {"training": True}) if layer._takes_training else ({},)


@every
def test_gradients(make: Callable[..., Any], shape: tuple[int, ...]) -> None:
    x = data(*shape).requires_grad_()
    layer = randomized(make(dtype="float64"), x.detach())
    names = [name for name, _ in layer.named_parameters()]
    weights = [weight.detach().clone().requires_grad_() for weight in layer.parameters()]
    for mode in modes(layer)[: 1 if layer.get_config().get("renorm") else None]:  # its r and d count as constants

        def run(x: Tensor, *weights: Tensor, mode: dict = mode) -> Tensor:
            state = {name: buffer.detach().clone() for name, buffer in layer.named_buffers()}
            return torch.func.functional_call(layer, state | dict(zip(names, weights, strict=True)), (x,), mode)

        assert torch.autograd.gradcheck(run, (x, *weights))


@every
def test_gradients_of_weights_alone(make: Callable[..., Any], shape: tuple[int, ...]) -> None:
    x = data(*shape, dtype=torch.float32)
    layer = randomized(make(), x)
    weights = list(layer.parameters())
    for mode in modes(layer) if weights else ():
        state = [buffer.clone() for buffer in layer.buffers()]
        alone = torch.autograd.grad((layer(x, **mode) ** 3).sum(), weights)
        for buffer, value in zip(layer.buffers(), state, strict=True):
            buffer.detach().copy_(value)
        wanted = x.clone().requires_grad_()
        beside = torch.autograd.grad((layer(wanted, **mode) ** 3).sum(), [*weights, wanted])
        torch.testing.assert_close(alone, beside[:-1])


def test_two_calls_before_one_backward() -> None:
    x = data(4, 3).requires_grad_()
    layer = randomized(layers.BatchNormalization(dtype="float64"), x.detach())
    (layer(x, training=True) ** 3 + layer(x, training=True) ** 3).sum().backward()
    (single,) = torch.autograd.grad((layer(x, training=True) ** 3).sum(), (x,))
    torch.testing.assert_close(x.grad, 2 * single)


@pytest.mark.parametrize("axis", [-1, 1])
def test_gradients_with_a_mask(axis: int) -> None:
    x = data(2, 4, 3).requires_grad_()
    mask = torch.tensor([[True, True, False, True], [False, True, False, False]])
    layer = randomized(layers.BatchNormalization(axis, dtype="float64"), x.detach())
    assert torch.autograd.gradcheck(lambda x: layer(x, mask=mask, training=True), (x,))


@every
def test_compiles(make: Callable[..., Any], shape: tuple[int, ...]) -> None:
    x = data(*shape, dtype=torch.float32)
    eager, compiled = (randomized(make(), x) for _ in range(2))
    torch.compiler.reset()
    function = torch.compile(compiled, fullgraph=True, backend="eager")
    for training in (False, True):
        eager.train(training)
        compiled.train(training)
        torch.testing.assert_close(function(x), eager(x))
        for one, other in zip(eager.get_weights(), compiled.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)


@every
@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16"])
def test_half_precision(make: Callable[..., Any], shape: tuple[int, ...], policy: str) -> None:
    """Statistics are taken in float32: values whose squares a half cannot hold come out right."""
    x = data(*shape, dtype=torch.float32) * 300 + 1000
    full, half = randomized(make(), x), randomized(make(dtype=policy), x)
    tolerance = 0.02 if "bfloat16" in policy else 0.005
    rounded = x.to(half.dtype_policy.compute)
    for mode in modes(full):
        output = half(rounded, **mode)
        assert output.dtype == half.dtype_policy.compute
        new = full(rounded.float(), **mode)
        largest = float(new.detach().abs().max())
        torch.testing.assert_close(output.float(), new, rtol=tolerance, atol=tolerance * largest)
    if policy.startswith("mixed"):
        assert all(weight.dtype == torch.float32 for weight in half.weights)
        for one, other in zip(full.get_weights(), half.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4)


@every
def test_empty_single_and_strided_batches(make: Callable[..., Any], shape: tuple[int, ...]) -> None:
    x = data(*shape, dtype=torch.float32)
    layer = randomized(make(), x)
    before = layer.get_weights()
    for mode in modes(layer):
        empty = layer(x[:0], **mode)
        assert empty.shape == (0, *shape[1:]) and empty.dtype == x.dtype
        for weight, same in zip(layer.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, same)
    for mode in modes(layer):
        assert layer(x[:1], **mode).isfinite().all()
        assert all(np.isfinite(weight).all() for weight in layer.get_weights())
        layer.set_weights(before)
        strided = x.movedim(0, -1).contiguous().movedim(-1, 0)
        found = layer(strided, **mode)
        layer.set_weights(before)
        torch.testing.assert_close(found, layer(x, **mode))
        layer.set_weights(before)


@every
def test_integers_are_numbers(make: Callable[..., Any], shape: tuple[int, ...]) -> None:
    x = torch.arange(int(np.prod(shape))).reshape(shape)
    layer = make()
    torch.testing.assert_close(layer(x), layer(x.float()))


@every
def test_config_and_shapes(make: Callable[..., Any], shape: tuple[int, ...]) -> None:
    layer = make()
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *shape[1:])
    layer(data(*shape, dtype=torch.float32))
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    symbol = lamina.Input(shape[1:])
    assert again(symbol).shape == (None, *shape[1:])


@every
def test_few_frames(make: Callable[..., Any], shape: tuple[int, ...]) -> None:
    x = data(*shape, dtype=torch.float32)
    layer = randomized(make(), x)
    frames = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal frames
        frames += event == "call"

    sys.setprofile(count)
    layer(x)
    sys.setprofile(None)
    assert frames <= 8


BAD_CALLS = [
    (lambda: layers.BatchNormalization(5), (2, 3), "`axis` .* in the range from -2 to 1 .*got 5"),
    (lambda: layers.LayerNormalization([1, 3]), (2, 3, 4), "`axis` .* in the range from -3 to 2 .*got 3"),
    (lambda: layers.LayerNormalization([1, -1]), (2, 3), "twice"),
    (lambda: layers.GroupNormalization(3), (2, 4), "`groups` must divide the channels .*groups=3, 4 channels"),
    (lambda: layers.GroupNormalization(8), (2, 4), "`groups` cannot be more than the number of channels"),
    (lambda: layers.GroupNormalization(1, 0), (2, 4), "must not be the batch axis"),
    (lambda: layers.UnitNormalization(2), (2, 3), "at least 3 axes"),
]


@pytest.mark.parametrize("make, shape, message", BAD_CALLS)
def test_refused_inputs(make: Callable[[], Any], shape: tuple[int, ...], message: str) -> None:
    layer = make()
    with pytest.raises(ValueError, match=message):
        layer(torch.ones(shape))
    assert layer.weights == []


@pytest.mark.parametrize("cls", [layers.BatchNormalization, layers.GroupNormalization, layers.LayerNormalization])
def test_unknown_size(cls: Any) -> None:
    with pytest.raises(ValueError, match="should have a defined dimension"):
        cls(axis=1).build((None, None, 4))


def test_a_refused_input_changes_nothing() -> None:
    x = data(4, 3, dtype=torch.float32)
    for options in ({}, {"renorm": True}, {"axes": [1]}):
        layer = randomized(layers.BatchNormalization(**options), x)
        before = layer.get_weights()
        for wrong in (data(4, 1), data(4, 5), data(4, 3, 3)):
            with pytest.raises(ValueError, match="expected"):
                layer(wrong.float(), training=True)
            layer.train()
            with pytest.raises(ValueError, match="expected"):
                layer(wrong.float())
        with pytest.raises(ValueError, match=r"`mask` passed to .* must have shape"):
            layer(x, mask=torch.ones(4, 3), training=True)
        for weight, same in zip(layer.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, same)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"axis": [1, 2]}, TypeError, r"axes=\(1, 2\)"),
        ({"axis": 1.5}, TypeError, "`axis` must be an integer"),
        ({"momentum": 1.5}, ValueError, "`momentum` must be a number from 0 to 1"),
        ({"epsilon": -1e-3}, ValueError, "`epsilon` must be a number of at least 0"),
        ({"renorm_clipping": {"r": 1}}, ValueError, "invalid keys: 'r'"),
        ({"renorm_clipping": {"rmin": 2, "rmax": 1}}, ValueError, "rmax should be at least rmin"),
        ({"renorm_clipping": {"dmax": -1}}, ValueError, "renorm_clipping"),
        ({"unbiased_variance": "never"}, ValueError, "unbiased_variance"),
    ],
)
def test_refused_arguments(options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        layers.BatchNormalization(**options)


def test_groups_must_be_positive() -> None:
    for bad in (0, -2, 1.5, "a"):
        with pytest.raises(ValueError, match="`groups` must be a positive integer"):
            layers.GroupNormalization(bad)


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4), (3, 3, 2, 4)])
def test_spectral_step_finds_the_greatest_singular_value(shape: tuple[int, ...]) -> None:
    kernel = data(*shape)
    normalized, u = kernels.spectral_step(kernel, torch.ones(1, shape[-1], dtype=torch.float64), 200)
    values = torch.linalg.svdvals(kernel.reshape(-1, shape[-1]))
    torch.testing.assert_close(normalized * values[0], kernel)
    torch.testing.assert_close(u.norm(), torch.ones((), dtype=torch.float64))


def test_spectral_normalization() -> None:
    x = data(2, 5, 5, 3, dtype=torch.float32)
    layer = layers.SpectralNormalization(layers.Conv2D(4, 2), power_iterations=3)
    before = layer(x)
    kernel = layer.layer.kernel.numpy()
    assert [weight.path.rpartition("/")[2] for weight in layer.weights] == ["kernel", "vector_u", "bias"]
    torch.testing.assert_close(layer(x), before)
    for _ in range(20):
        layer(x, training=True)
    values = torch.linalg.svdvals(layer.layer.kernel.detach().reshape(-1, 4))
    assert abs(float(values[0]) - 1) < 1e-3
    ratio = kernel / layer.layer.kernel.numpy()
    np.testing.assert_allclose(ratio, np.full_like(ratio, ratio.flat[0]), rtol=1e-4)
    again = layers.SpectralNormalization.from_config(layer.get_config())
    assert again.get_config() == layer.get_config() and again.layer.built


@pytest.mark.parametrize("policy", ["float64", "mixed_bfloat16"])
def test_spectral_normalization_of_embeddings(policy: str) -> None:
    inner = layers.Embedding(7, 3, dtype=policy)
    layer = layers.SpectralNormalization(inner, power_iterations=100, dtype=policy)
    assert layer(torch.tensor([[1, 2]]), training=True).dtype == inner.dtype_policy.compute
    assert layer.kernel is inner.embeddings
    assert abs(float(torch.linalg.svdvals(inner.embeddings.detach())[0]) - 1) < 1e-5


def test_spectral_normalization_leaves_zeros() -> None:
    layer = layers.SpectralNormalization(layers.Dense(3, kernel_initializer="zeros"))
    x = torch.ones(2, 4)
    layer(x)
    before = layer.get_weights()
    layer(x, training=True)
    for weight, same in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, same)


def test_spectral_normalization_refuses() -> None:
    with pytest.raises(ValueError, match="`layer` must be a layer"):
        layers.SpectralNormalization("dense")
    with pytest.raises(ValueError, match="`power_iterations` should be greater than zero, a positive integer"):
        layers.SpectralNormalization(layers.Dense(2), power_iterations=0)
    with pytest.raises(ValueError, match="no attribute 'kernel' nor 'embeddings'"):
        layers.SpectralNormalization(layers.LayerNormalization())(torch.ones(2, 3))


def _replica(rank: int, port: int, x: Tensor, results: Any) -> None:
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    part = (x[:2] if rank == 0 else x[2:]).requires_grad_()
    layer = layers.BatchNormalization(synchronized=True, dtype="float64")
    output = layer(part, training=True)
    (output**3).sum().backward()
    results.put((rank, output.detach().numpy(), part.grad.numpy(), weights_of(layer)["moving_variance"]))
    torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore")
def test_synchronized_over_processes() -> None:
    """Two processes with unequal parts of a batch get what one with the whole batch gets."""
    x = data(6, 3).requires_grad_()
    layer = layers.BatchNormalization(synchronized=True, dtype="float64")
    output = layer(x, training=True)
    (output**3).sum().backward()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = torch.multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    both = [context.Process(target=_replica, args=(rank, port, x.detach(), results)) for rank in range(2)]
    for process in both:
        process.start()
    found = sorted((results.get() for _ in both), key=lambda result: result[0])
    for process in both:
        process.join()
    np.testing.assert_allclose(np.concatenate([part[1] for part in found]), output.detach(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.concatenate([part[2] for part in found]), x.grad, rtol=1e-7, atol=1e-9)
    for part in found:
        np.testing.assert_allclose(part[3], weights_of(layer)["moving_variance"], rtol=1e-9)
