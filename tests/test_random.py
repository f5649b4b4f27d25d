"""Random streams: what a seed promises, alone, in copies, in models and compiled."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import lamina
from lamina import keras1, keras2, layers
from lamina.core import random
from lamina.core.random import SeedGenerator
from lamina.kernels import noise

SEEDED = {
    "Dropout": lambda seed: layers.Dropout(0.4, seed=seed),
    "Dropout of steps": lambda seed: layers.Dropout(0.4, noise_shape=(None, 1, None), seed=seed),
    "SpatialDropout1D": lambda seed: layers.SpatialDropout1D(0.4, seed=seed),
    "AlphaDropout": lambda seed: layers.AlphaDropout(0.4, seed=seed),
    "GaussianNoise": lambda seed: layers.GaussianNoise(0.4, seed=seed),
    "GaussianDropout": lambda seed: layers.GaussianDropout(0.4, seed=seed),
    "LSTM": lambda seed: layers.LSTM(
        3, dropout=0.4, recurrent_dropout=0.4, kernel_initializer="ones", recurrent_initializer="ones", seed=seed
    ),
}
X = torch.linspace(0.5, 1.5, 8 * 5 * 4).reshape(8, 5, 4)

each = pytest.mark.parametrize("name", SEEDED)


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()


def training(name: str, seed: int | SeedGenerator = 7):
    layer = SEEDED[name](seed)
    layer(X)  # builds, and draws nothing
    return layer.train()


# Streams ----------------------------------------------------------------------------------------------------------


@each
def test_a_seed_fixes_the_sequence_whatever_else_draws(name):
    layer, again, other = training(name), training(name), training(name, 8)
    lamina.utils.set_random_seed(1)
    expected = [layer(X) for _ in range(3)]
    state = torch.get_rng_state()
    lamina.utils.set_random_seed(2)
    for y in expected:
        torch.rand(3)
        assert torch.equal(again(X), y)
    assert not torch.equal(expected[0], expected[1])
    assert not torch.equal(other(X), expected[0])
    lamina.utils.set_random_seed(1)
    for _ in range(3):
        layer(X)
    assert torch.equal(torch.get_rng_state(), state)


@each
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["copy", "pickle"]
)
def test_copies_go_on_from_where_the_stream_is(name, copied):
    layer = training(name)
    layer(X)
    twin = copied(layer).train()
    expected = [layer(X) for _ in range(2)]
    assert all(torch.equal(twin(X), y) for y in expected)


@each
def test_a_config_starts_the_stream_afresh(name):
    layer = training(name)
    first = layer(X)
    again = type(layer).from_config(layer.get_config())
    again(X)
    assert torch.equal(again.train()(X), first)


def test_layers_may_share_a_stream():
    stream = SeedGenerator(7)
    one, two = layers.Dropout(0.4, seed=stream).train(), layers.Dropout(0.4, seed=stream).train()
    alone = training("Dropout")
    assert [one(X).tolist(), two(X).tolist()] == [alone(X).tolist(), alone(X).tolist()]


def test_streams_without_a_seed_differ():
    first, second = SeedGenerator(), SeedGenerator()
    assert not torch.equal(first.draw(X, (20,), "uniform_"), second.draw(X, (20,), "uniform_"))


def test_streams_are_not_kept_alive():
    stream = SeedGenerator(7)
    number = stream._number
    assert random._streams[number] is stream
    del stream
    gc.collect()
    assert number not in random._streams


@pytest.mark.gpu
def test_each_device_has_its_generator():
    layer, alone = training("Dropout"), training("Dropout")
    on_gpu = [layer(X.cuda()), layer(X.cuda())]
    assert torch.equal(layer(X), alone(X))
    compiled, again = torch.compile(training("Dropout"), fullgraph=True, backend="eager"), training("Dropout")
    assert all(torch.equal(compiled(X.cuda()), y) and torch.equal(again(X.cuda()), y) for y in on_gpu)


# Numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [None, SeedGenerator(3)], ids=["global", "seeded"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_statistics(stream, dtype):
    torch.manual_seed(0)
    rate = 0.25
    ones, normal = torch.ones(200, 200, dtype=dtype), torch.randn(200, 200, dtype=dtype)

    def moments(y):
        assert y.dtype is dtype
        return y.double().mean().item(), y.double().var().item()

    def about(mean, variance):
        return pytest.approx((mean, variance), abs=0.03)

    dropped = noise.dropout(ones, rate, None, stream)
    assert dropped.unique().tolist() == [0, torch.tensor(1 / (1 - rate), dtype=dtype).item()]
    assert moments(dropped) == about(1, rate / (1 - rate))
    assert moments(noise.gaussian_dropout(ones, rate, stream)) == about(1, rate / (1 - rate))
    assert moments(noise.gaussian_noise(ones, 0.5, stream)) == about(1, 0.25)
    assert moments(noise.alpha_dropout(normal, rate, None, stream)) == about(0, 1)


@pytest.mark.parametrize("rate", [2**-18, 1 - 2**-18])
@pytest.mark.parametrize("stream", [None, SeedGenerator(3)], ids=["global", "seeded"])
def test_rates_near_none_and_all_are_obeyed(stream, rate):
    torch.manual_seed(0)
    dropped = (noise.dropout(torch.ones(2**22 + 3), rate, None, stream) == 0).sum().item()
    assert 4 < min(dropped, 2**22 + 3 - dropped) < 36  # 16 are expected
    assert (dropped > 2**21) is (rate > 0.5)


@pytest.mark.parametrize("seed", [None, 3])
def test_noise_shape(seed):
    y = layers.Dropout(0.5, noise_shape=(None, 1, None), seed=seed).train()(torch.ones(30, 6, 20))
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert y[:, 0].unique().tolist() == [0, 2]
    with pytest.raises(ValueError, match="`noise_shape`"):
        layers.Dropout(0.5, noise_shape=(None, 2), seed=seed).train()(torch.ones(3, 6))


def test_all_is_dropped_at_rate_one():
    assert not layers.Dropout(1.0, seed=3).train()(X).any()


@each
def test_gradients_pass_what_the_outputs_passed(name):
    layer, again = training(name), training(name)
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x).sum(), x)
    nudge = 1e-2 * torch.randn_like(X)
    change = (again(X + nudge) - training(name)(X)).sum()
    torch.testing.assert_close((gradient * nudge).sum(), change, rtol=5e-2, atol=1e-3)


# Compiled ---------------------------------------------------------------------------------------------------------


@each
def test_compiled_draws_are_the_eager_ones(name):
    layer, eager = training(name), training(name)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    outputs = [compiled(X) for _ in range(3)]
    assert not torch.equal(outputs[0], outputs[1])
    for y in outputs:
        torch.testing.assert_close(y, eager(X))
    torch.testing.assert_close(layer(X), eager(X))


@each
def test_compiled_for_autograd(name):
    layer, eager = training(name), training(name)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for _ in range(2):
        gradients = []
        for function in (compiled, eager):
            x = X.clone().requires_grad_()
            gradients.append(torch.autograd.grad(function(x).sum(), x)[0])
        torch.testing.assert_close(*gradients)


def test_copies_of_a_compiled_layer_draw_apart():
    layer = training("Dropout")
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    compiled(X)
    twin = torch.compile(copy.deepcopy(layer), fullgraph=True, backend="eager")
    for _ in range(2):
        assert torch.equal(twin(X), compiled(X))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_layer_used_twice_draws_twice(backend):
    layer = training("Dropout")

    @torch.compile(fullgraph=True, backend=backend)
    def twice(x):
        return layer(x), layer(x)

    one, two = twice(X.clone().requires_grad_())  # backends share more where there is a gradient to compute
    assert not torch.equal(one, two)


def test_compiled_for_any_batch():
    compiled = torch.compile(training("Dropout"), fullgraph=True, dynamic=True, backend="eager")
    eager = training("Dropout")
    for batch in (2, 5, 3):
        assert torch.equal(compiled(X[:batch]), eager(X[:batch]))


# Models -----------------------------------------------------------------------------------------------------------


def two_streams(seeds=(3, 3)):
    inputs = lamina.Input(X.shape[1:])
    branches = [layers.Dropout(0.5, seed=seed)(inputs) for seed in seeds]
    return lamina.Model(inputs, branches).train()


@pytest.mark.parametrize("compile_", [lambda f: f, lambda f: torch.compile(f, fullgraph=True, backend="aot_eager")])
def test_layers_of_a_model_have_streams_of_their_own(compile_):
    one, two = compile_(two_streams())(X)
    assert torch.equal(one, two)
    one, two = compile_(two_streams((3, 4)))(X)
    assert not torch.equal(one, two)


def test_a_copied_model_goes_on():
    model = two_streams((3, 4))
    model(X)
    twin = copy.deepcopy(model)
    assert [y.tolist() for y in twin(X)] == [y.tolist() for y in model(X)]


def test_training_is_repeated_exactly():
    def weights():
        lamina.utils.set_random_seed(0)
        model = lamina.Sequential([lamina.Input((4,)), layers.Dropout(0.5, seed=3), layers.Dense(2)])
        model.compile("sgd", "mse")
        model.fit(X[:, 0].numpy(), X[:, 1, :2].numpy(), epochs=2, batch_size=4, verbose=0)
        return model.layers[-1].kernel.detach()

    assert torch.equal(weights(), weights())


@pytest.mark.parametrize("space", [keras1, keras2], ids=["keras1", "keras2"])
def test_numpy_seeds_the_older_generations(space):
    """Their scripts begin with np.random.seed: weights, the order of batches and dropout followed it."""

    def trained(seed, before_fit=None):
        torch.manual_seed(len(runs))  # whatever torch was at
        np.random.seed(seed)
        model = space.models.Sequential(
            [space.layers.Dense(5, input_dim=4), space.layers.Dropout(0.5), space.layers.Dense(1)]
        )
        if before_fit is not None:
            np.random.seed(before_fit)
        model.compile("sgd", "mse")
        model.fit(X[:, 0].numpy(), X[:, 0, :1].numpy(), batch_size=3, verbose=0)
        runs.append(np.concatenate([weight.ravel() for weight in model.get_weights()]))
        return runs[-1]

    runs: list[np.ndarray] = []
    first = trained(1)
    assert np.array_equal(first, trained(1))
    assert not np.array_equal(first, trained(2))
    assert not np.array_equal(first, trained(1, before_fit=3))
    assert np.array_equal(trained(1, before_fit=3), trained(1, before_fit=3))


@pytest.mark.parametrize("make", [lambda: layers.Dropout(0.5), lambda: layers.GRU(3, dropout=0.5)])
def test_layers_without_a_seed_draw_from_torch_until_their_state_is_assigned(make: Any) -> None:
    layer, x = make(), torch.ones(4, 5, 6)
    layer(x)
    (state,) = layer.non_trainable_variables
    assert layers.Dense(3).non_trainable_variables == []

    def twice(begin: Callable[[], Any]) -> list[torch.Tensor]:
        return [(begin(), layer(x, training=True))[1] for _ in range(2)]

    assert torch.equal(*twice(lambda: torch.manual_seed(1)))
    assert torch.equal(*twice(lambda: state.assign([7, 0])))
    assert not torch.equal(*twice(lambda: torch.manual_seed(1)))
    fresh = make()
    fresh(x)
    assert copy.deepcopy(fresh).non_trainable_variables[0].stream.shared


@pytest.mark.parametrize("noise_shape", [(None, 1, None), (None, 1, 4), (1, None, None), (8, None, 1)])
def test_the_shape_of_noise_may_name_the_sizes_of_the_input(noise_shape: tuple[int | None, ...]) -> None:
    dropped = lamina.random.dropout(X, 0.4, noise_shape, seed=3)
    full = [size or own for size, own in zip(noise_shape, X.shape, strict=True)]
    torch.testing.assert_close(dropped, lamina.random.dropout(X, 0.4, full, seed=3))
    zeros = dropped == 0
    assert 0 < zeros.sum() < X.numel()
    for axis, size in enumerate(full):
        assert size > 1 or bool((zeros == zeros.narrow(axis, 0, 1)).all())


@pytest.mark.parametrize(("dtype", "held"), [("uint16", torch.int32), ("uint32", torch.int64), ("uint8", torch.uint8)])
def test_integers_are_drawn_in_a_type_that_torch_computes_with(dtype: str, held: torch.dtype) -> None:
    drawn = lamina.random.randint((50,), 0, 200, dtype=dtype)
    assert drawn.dtype is held and 0 <= int(drawn.min()) <= int(drawn.max()) < 200
