"""Optimizers against slow NumPy references, and what they promise around the update."""

from __future__ import annotations

import copy
import json
import math
import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.profiler import profile

from lamina import Input, Sequential, callbacks, layers, optimizers
from lamina.core.weight import Weight, allocate
from lamina.optimizers import schedules

SHAPES = {"embed/kernel": (3, 4), "out/kernel": (5, 2), "out/bias": (4,), "conv/kernel": (2, 3, 8)}


def make_weights(seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Weight]:
    draw = np.random.default_rng(seed)
    return [
        Weight(torch.tensor(draw.normal(size=shape), dtype=dtype), name=path.split("/")[-1], path=path)
        for path, shape in SHAPES.items()
    ]


def make_grads(step: int, weights: list) -> list[torch.Tensor]:
    draw = np.random.default_rng([7, step])
    return [torch.tensor(draw.normal(size=weight.shape), dtype=weight.dtype) for weight in weights]


def train(optimizer, weights, steps=range(4)) -> list[np.ndarray]:
    for step in steps:
        optimizer.apply(make_grads(step, weights), weights)
    return [weight.detach().numpy().copy() for weight in weights]


def assert_same(found, expected, rtol=1e-12) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-12)


# References: one weight, one step; `s` is a dictionary for the state, t counts from 1 ------------------------------


def moments(g, s, t, beta_1, beta_2):
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g**2
    return s["m"], s["v"]


def sgd(w, g, s, lr, t, momentum=0.0, nesterov=False):
    s["m"] = momentum * s.get("m", 0) - lr * g
    return w + (momentum * s["m"] - lr * g if nesterov else s["m"])


def rmsprop(w, g, s, lr, t, rho, momentum, epsilon, centered):
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
    s["a"] = rho * s.get("a", 0) + (1 - rho) * g
    step = lr * g / np.sqrt(s["v"] - (s["a"] ** 2 if centered else 0) + epsilon)
    s["m"] = momentum * s.get("m", 0) + step
    return w - s["m"]


def adam(w, g, s, lr, t, beta_1, beta_2, epsilon, amsgrad=False):
    m, v = moments(g, s, t, beta_1, beta_2)
    s["peak"] = np.maximum(s.get("peak", 0), v)
    v = s["peak"] if amsgrad else v
    return w - lr * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)


def adamw(w, g, s, lr, t, weight_decay, **rest):
    return adam(w * (1 - lr * weight_decay), g, s, lr, t, **rest)


def adamax(w, g, s, lr, t, beta_1, beta_2, epsilon):
    m, _ = moments(g, s, t, beta_1, beta_2)
    s["u"] = np.maximum(beta_2 * s.get("u", 0), abs(g))
    return w - lr / (1 - beta_1**t) * m / (s["u"] + epsilon)


def nadam(w, g, s, lr, t, beta_1, beta_2, epsilon):
    m, v = moments(g, s, t, beta_1, beta_2)
    share = beta_1 * (1 - 0.5 * 0.96**t)
    following = beta_1 * (1 - 0.5 * 0.96 ** (t + 1))
    s["p"] = s.get("p", 1) * share
    mean = following * m / (1 - s["p"] * following) + (1 - share) * g / (1 - s["p"])
    return w - lr * mean / (np.sqrt(v / (1 - beta_2**t)) + epsilon)


def lamb(w, g, s, lr, t, beta_1, beta_2, epsilon):
    m, v = moments(g, s, t, beta_1, beta_2)
    step = m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    return w - lr * np.linalg.norm(w.ravel()) / np.linalg.norm(step.ravel()) * step


def schedule_free(w, g, s, lr, t, beta_1, beta_2, epsilon, warmup_steps):
    z = s.get("z", w)
    _, v = moments(g, s, t, beta_1, beta_2)
    lr = lr * min(t / warmup_steps, 1) if warmup_steps else lr
    s["z"] = z - lr * g / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    return w + (s["z"] - w) / t


def adagrad(w, g, s, lr, t, initial_accumulator_value, epsilon):
    s["a"] = s.get("a", initial_accumulator_value) + g**2
    return w - lr * g / np.sqrt(s["a"] + epsilon)


def adadelta(w, g, s, lr, t, rho, epsilon):
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
    step = np.sqrt(s.get("d", 0) + epsilon) / np.sqrt(s["v"] + epsilon) * g
    s["d"] = rho * s.get("d", 0) + (1 - rho) * step**2
    return w - lr * step


def ftrl(w, g, s, lr, t, learning_rate_power, initial_accumulator_value, l1, l2, shrinkage, beta):
    before = s.get("a", initial_accumulator_value)
    s["a"] = before + g**2
    power = -learning_rate_power
    s["z"] = s.get("z", 0) + g + 2 * shrinkage * w - (s["a"] ** power - before**power) / lr * w
    quadratic = s["a"] ** power / lr + 2 * (l2 + beta / (2 * lr))
    return (np.clip(s["z"], -l1, l1) - s["z"]) / quadratic


def lion(w, g, s, lr, t, beta_1, beta_2):
    m = s.get("m", 0)
    s["m"] = beta_2 * m + (1 - beta_2) * g
    return w - lr * np.sign(beta_1 * m + (1 - beta_1) * g)


def adafactor(w, g, s, lr, t, beta_2_decay, epsilon_1, epsilon_2, clip_threshold):
    def rms(x):
        return np.sqrt((x**2).mean())

    keep = 1 - t**beta_2_decay
    square = g**2 + epsilon_1
    if w.ndim < 2:
        v = s["v"] = keep * s.get("v", 0) + (1 - keep) * square
    else:
        r = s["r"] = keep * s.get("r", 0) + (1 - keep) * square.mean(-1)
        c = s["c"] = keep * s.get("c", 0) + (1 - keep) * square.mean(-2)
        v = (r / r.mean(-1, keepdims=True))[..., None] * c[..., None, :]
    step = g / np.sqrt(v)
    step = step / max(1, rms(step) / clip_threshold)
    return w - max(epsilon_2, rms(w)) * min(lr, 1 / np.sqrt(t)) * step


def muon(w, g, s, lr, t, momentum, nesterov, ns_steps, rms_rate, adam_weight_decay, weight_decay, excluded):
    if w.ndim != 2 or excluded:
        w = w * (1 - lr * adam_weight_decay)
        return adam(w, g, s, lr, t, beta_1=0.9, beta_2=0.999, epsilon=1e-7)
    s["m"] = momentum * s.get("m", 0) + g
    x = g + momentum * s["m"] if nesterov else s["m"]
    x = x / (np.linalg.norm(x) + 1e-7)
    for _ in range(ns_steps):
        if w.shape[0] > w.shape[1]:
            gram = x.T @ x
            x = 3.4445 * x + x @ (-4.775 * gram + 2.0315 * gram @ gram)
        else:
            gram = x @ x.T
            x = 3.4445 * x + (-4.775 * gram + 2.0315 * gram @ gram) @ x
    return w * (1 - lr * weight_decay) - lr * x * (1 if rms_rate is None else np.sqrt(max(w.shape)) * rms_rate)


beta = st.floats(0.1, 0.98)
small = st.floats(1e-8, 1e-2)
share = st.floats(0.0, 0.95)
betas = {"beta_1": beta, "beta_2": beta}
RULES = {
    "SGD": (sgd, {"momentum": share, "nesterov": st.booleans()}),
    "RMSprop": (rmsprop, {"rho": beta, "momentum": share, "epsilon": small, "centered": st.booleans()}),
    "Adam": (adam, {**betas, "epsilon": small, "amsgrad": st.booleans()}),
    "AdamW": (adamw, {**betas, "epsilon": small, "weight_decay": share}),
    "Adamax": (adamax, {**betas, "epsilon": small}),
    "Nadam": (nadam, {**betas, "epsilon": small}),
    "Lamb": (lamb, {**betas, "epsilon": small}),
    "ScheduleFreeAdamW": (schedule_free, {**betas, "epsilon": small, "warmup_steps": st.integers(0, 5)}),
    "Adagrad": (adagrad, {"initial_accumulator_value": share, "epsilon": small}),
    "Adadelta": (adadelta, {"rho": beta, "epsilon": small}),
    "Ftrl": (
        ftrl,
        {
            "learning_rate_power": st.sampled_from([-0.5, -0.3, -1.0]),
            "initial_accumulator_value": st.floats(0.01, 1),
            "l1": share,
            "l2": share,
            "shrinkage": share,
            "beta": share,
        },
    ),
    "Lion": (lion, betas),
    "Adafactor": (
        adafactor,
        {
            "beta_2_decay": st.floats(-0.9, -0.1),
            "epsilon_1": st.floats(1e-20, 1e-3),
            "epsilon_2": small,
            "clip_threshold": st.floats(0.1, 2),
        },
    ),
    "Muon": (
        muon,
        {
            "momentum": share,
            "nesterov": st.booleans(),
            "ns_steps": st.integers(0, 6),
            "rms_rate": st.none() | st.floats(0.1, 1),
            "adam_weight_decay": share,
            "weight_decay": share,
        },
    ),
}
ABBREVIATED = {
    "l1": "l1_regularization_strength",
    "l2": "l2_regularization_strength",
    "shrinkage": "l2_shrinkage_regularization_strength",
}
EVERY = [
    *RULES,
    "Adam:amsgrad=True",
    "SGD:momentum=0.9",
    "SGD:momentum=0.9,nesterov=True",
    "RMSprop:momentum=0.5,centered=True",
    "Adam:use_ema=True",
    "AdamW:clipnorm=0.3",
    "SGD:global_clipnorm=0.3,weight_decay=0.1",
    "Lion:clipvalue=0.3,loss_scale_factor=4.0",
    "ScheduleFreeAdamW:warmup_steps=3",
]


def make(spec: str, **kwargs) -> optimizers.Optimizer:
    name, _, arguments = spec.partition(":")
    return getattr(optimizers, name)(**eval(f"dict({arguments})"), **kwargs)


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=15)
@given(data=st.data())
def test_formula(name, data):
    reference, arguments = RULES[name]
    drawn = data.draw(st.fixed_dictionaries(arguments))
    lr = float(np.float32(data.draw(st.floats(1e-3, 0.5))))
    fixed = {"exclude_layers": ["^embed"]} if name == "Muon" else {}
    arguments = {ABBREVIATED.get(key, key): value for key, value in drawn.items()} | fixed
    optimizer, weights = make(name, learning_rate=lr, **arguments), make_weights()
    expected, states = [weight.detach().numpy().copy() for weight in weights], [{} for _ in weights]
    for step in range(4):
        grads = make_grads(step, weights)
        optimizer.apply(grads, weights)
        for i, grad in enumerate(grads):
            extra = {"excluded": "embed" in weights[i].path} if name == "Muon" else {}
            expected[i] = reference(expected[i], grad.numpy(), states[i], lr, step + 1, **drawn, **extra)
    found = [weight.detach().numpy() for weight in weights]
    assert_same(found, expected, rtol=2e-5 if name == "Nadam" else 1e-6)


def test_muon_leaves_embeddings_to_adam():
    weights = [Weight(torch.ones(3, 3), path="embedding/embeddings")]
    for exclude in (True, False):
        optimizer = optimizers.Muon(exclude_embeddings=exclude)
        optimizer.build(weights)
        assert len(optimizer.variables) == (4 if exclude else 3)


@pytest.mark.parametrize("spec", EVERY)
def test_capturable_computes_the_same(spec):
    eager, weights, others = make(spec), make_weights(), make_weights()
    captured = make(spec)
    captured.build(others)
    captured.capturable = True
    assert_same(train(eager, weights), train(captured, others), rtol=1e-6)
    captured.capturable = False
    assert_same(train(eager, weights, range(4, 6)), train(captured, others, range(4, 6)), rtol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("spec", EVERY)
def test_step_in_a_cuda_graph(spec):
    eager, expected = make(spec), make_weights(dtype=torch.float32)
    weights = [weight.like(weight.detach().cuda()) for weight in expected]
    grads = make_grads(0, expected)
    for _ in range(3):
        eager.apply(grads, expected)
    optimizer = make(spec)
    optimizer.build(weights)
    optimizer.capturable = True
    for weight, grad in zip(weights, grads, strict=True):
        weight.grad = grad.cuda()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        optimizer.step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        optimizer.step()
    graph.replay()
    graph.replay()
    for weight, other in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.detach().cpu(), other.detach(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("sizes", [(3, 2, 4, 5), (3, 3, 32, 32)], ids=["small", "large"])
@pytest.mark.parametrize("spec", EVERY)
def test_memory_order_does_not_matter(spec, sizes):
    """Kernels may lie permuted in memory, and gradients in yet another order."""
    plain = [Weight(torch.randn(sizes, generator=torch.Generator().manual_seed(3)))]
    permuted = [Weight(allocate(plain[0].detach(), (3, 0, 1, 2)))]
    one, other = make(spec), make(spec)
    one.build(plain)
    other.build(permuted)
    for slot in other.variables:
        if slot.shape == permuted[0].shape:
            assert slot.stride() == permuted[0].stride() != plain[0].stride()
    for step in range(3):
        grad = make_grads(step, plain)[0]
        plain[0].grad, permuted[0].grad = grad, allocate(grad, [None, (1, 0, 2, 3), (3, 0, 1, 2)][step])
        one.step()
        other.step()
    torch.testing.assert_close(plain[0], permuted[0])


@pytest.mark.parametrize("spec", EVERY)
@pytest.mark.parametrize("order", [(3, 0, 1, 2), (1, 0, 2, 3), (0, 1, 2, 3)])
def test_no_large_gradient_is_copied_whatever_its_memory_order(order, spec):
    weight = Weight(allocate(torch.randn(3, 3, 32, 32), order))
    optimizer = make(spec)
    optimizer.build([weight])
    weight.grad = torch.ones_like(weight)
    with profile(record_shapes=True) as seen:
        optimizer.step()
    copied = [event for event in seen.events() if event.name == "aten::clone" and math.prod(event.input_shapes[0]) > 9]
    assert not copied


def test_axes_of_size_one_need_no_copy():
    weight = torch.nn.Parameter(torch.zeros(3, 1, 2))
    weight.grad = torch.ones(6).as_strided((3, 1, 2), (2, 5, 1))
    optimizer = optimizers.SGD(1.0)
    optimizer.build([weight])
    optimizer.step()
    assert (weight == -1).all()


@pytest.mark.parametrize("spec", EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_types(spec, dtype):
    weights, exact = make_weights(dtype=dtype), make_weights()
    optimizer, name = make(spec, learning_rate=0.1), spec.split(":")[0]
    for step in range(2):
        optimizer.apply(make_grads(step, weights), weights)
    train(make(spec, learning_rate=0.1), exact, range(2))
    assert all(v.dtype == dtype for v in optimizer.variables if v.dim())
    for weight, other in zip(weights, exact, strict=True) if dtype is not torch.float16 or name == "SGD" else ():
        rtol, atol = (2e-3, 1e-5) if dtype is torch.float32 else (0.01, 0.01)  # float16 loses the defaults of epsilon
        np.testing.assert_allclose(weight.detach().double().numpy(), other.detach().numpy(), rtol=rtol, atol=atol)


@pytest.mark.parametrize("spec", [*EVERY, "SGD:gradient_accumulation_steps=2", "Adam:use_ema=True,amsgrad=True"])
def test_state_continues(spec):
    """Stored after three steps and loaded, pickled, or copied: the rest goes as if nothing had happened."""
    whole = train(make(spec), make_weights(), range(6))
    optimizer, weights = make(spec), make_weights()
    train(optimizer, weights, range(3))

    store = {}
    optimizer.save_own_variables(store)
    loaded, others = make(spec), [weight.like(weight.detach().clone()) for weight in weights]
    loaded.build(others)
    loaded.load_own_variables(store)
    assert_same(train(loaded, others, range(3, 6)), whole, rtol=1e-6)

    for copied, own in (pickle.loads(pickle.dumps((optimizer, weights))), copy.deepcopy((optimizer, weights))):
        assert_same(train(copied, own, range(3, 6)), whole)
    assert_same(train(optimizer, weights, range(3, 6)), whole)


def test_loading_another_state_warns():
    optimizer = optimizers.Adam()
    optimizer.build(make_weights())
    with pytest.warns(UserWarning, match="10 variables, the stored one 1"):
        optimizer.load_own_variables({"0": np.zeros(())})


def test_order_and_names_of_variables():
    """As real Keras 3.15 lists them, which is the order in its files."""
    weights = [Weight(torch.zeros(3, 2), path="seq/d/kernel"), Weight(torch.zeros(2), path="seq/d/bias")]

    def names(optimizer):
        optimizer.build(weights)
        return [variable.path.split("/")[1].replace("seq_d_", "") for variable in optimizer.variables]

    head = ["iteration", "learning_rate"]
    assert names(optimizers.SGD(0.1, momentum=0.9, use_ema=True, gradient_accumulation_steps=2)) == [
        *head, "kernel_average", "bias_average", "kernel_gradient_accumulator", "bias_gradient_accumulator",
        "kernel_momentum", "bias_momentum",
    ]  # fmt: skip
    assert names(optimizers.Adam(amsgrad=True, name="a")) == [
        *head, "kernel_momentum", "kernel_velocity", "bias_momentum", "bias_velocity",
        "kernel_velocity_hat", "bias_velocity_hat",
    ]  # fmt: skip
    assert names(optimizers.Muon()) == [*head, "kernel_momentum", "bias_momentum", "bias_velocity"]
    assert names(optimizers.Adam(schedules.CosineDecay(0.1, 9)))[:2] == ["iteration", "kernel_momentum"]
    wrapped = names(optimizers.LossScaleOptimizer(optimizers.SGD(0.1)))
    assert wrapped == [*head, "step_counter", "dynamic_scale", *head]
    factored = optimizers.Adafactor()
    factored.build(weights)
    shapes = [tuple(variable.shape) for variable in factored.variables]
    assert shapes == [(), (), (3,), (2,), (3, 2), (), (), (2,)]
    nadam = optimizers.Nadam()
    nadam.build(weights)
    assert nadam.variables[-1].shape == () and len(nadam.variables) == 7


# Around the update ------------------------------------------------------------------------------------------------


@given(limit=st.floats(0.05, 3), scale=st.sampled_from([1e-3, 1.0, 1e3]))
@settings(max_examples=20)
def test_clipping(limit, scale):
    def clipped(**kwargs):
        weights = make_weights()
        before = [weight.detach().numpy().copy() for weight in weights]
        grads = [grad * scale for grad in make_grads(0, weights)]
        optimizers.SGD(1.0, **kwargs).apply(grads, weights)
        return [b - w.detach().numpy() for b, w in zip(before, weights, strict=True)]

    plain = [grad.numpy() * scale for grad in make_grads(0, make_weights())]
    norms = [np.linalg.norm(grad.ravel()) for grad in plain]
    total = np.sqrt(sum(norm**2 for norm in norms))
    each = [grad * min(1, limit / norm) for grad, norm in zip(plain, norms, strict=True)]
    for found, expected in (
        (clipped(clipvalue=limit), [np.clip(grad, -limit, limit) for grad in plain]),
        (clipped(clipnorm=limit), each),
        (clipped(global_clipnorm=limit), [grad * min(1, limit / total) for grad in plain]),
    ):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12 * scale)


def test_gradients_are_left_alone():
    for spec in EVERY:
        weights = make_weights()
        grads = make_grads(0, weights)
        kept = [grad.clone() for grad in grads]
        make(spec).apply(grads, weights)
        assert all(torch.equal(*pair) for pair in zip(grads, kept, strict=True)), spec


def test_infinite_global_norm_shows():
    weight = Weight(torch.zeros(2))
    optimizers.SGD(1.0, global_clipnorm=1.0).apply([torch.tensor([torch.inf, 1.0])], [weight])
    assert weight.isnan().all()


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Muon"])
def test_weight_decay_and_what_it_spares(name):
    weights, spared = make_weights(), make_weights()
    optimizer = make(name, learning_rate=0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[weights[0]], var_names=["bias"])
    arguments = {"adam_weight_decay": None} if name == "Muon" else {}
    bare = make(name, learning_rate=0.5, weight_decay=0.0, **arguments)
    optimizer.build(weights)
    zeros = [torch.zeros_like(weight) for weight in weights]
    optimizer.apply(zeros)
    bare.apply(zeros, spared)
    for weight, other in zip(weights, spared, strict=True):
        free = weight is weights[0] or weight.name == "bias"
        decay = 0.004 if name == "Muon" and weight.dim() != 2 else 0.5
        torch.testing.assert_close(weight, other * (1 if free else 1 - 0.5 * decay))
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])


def test_weight_decay_may_change_between_steps():
    weight = Weight(torch.ones(1, dtype=torch.float64))
    optimizer = optimizers.SGD(0.5)
    optimizer.apply([torch.zeros(1)], [weight])
    optimizer.weight_decay = 0.5
    optimizer.apply([torch.zeros(1)])
    assert weight.item() == 0.75


def test_moving_average():
    weight = Weight(torch.zeros(1, dtype=torch.float64))
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.75)
    value, average = 0.0, 0.0
    for step, grad in enumerate([1.0, -3.0, 2.0]):
        optimizer.apply([torch.tensor([grad])], [weight])
        value -= grad
        average = value if step == 0 else 0.75 * average + 0.25 * value
        assert weight.item() == value
    optimizer.finalize_variable_values([weight])
    assert weight.item() == pytest.approx(average)


def test_moving_average_overwrites():
    weight = Weight(torch.zeros(1, dtype=torch.float64))
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)
    seen = []
    for _ in range(4):
        optimizer.apply([torch.tensor([-1.0])], [weight])
        seen.append(weight.item())
    # Averages 1, 1.5, 2, 2.5; the second and the fourth are written back.
    assert seen == [1.0, 1.5, 2.5, 2.75]


@pytest.mark.parametrize("spec", EVERY)
def test_accumulation_is_the_mean_gradient(spec):
    if "use_ema" in spec:
        spec = "Adam"  # the average moves at every step, not at every update
    scale = 4.0 if "loss_scale" in spec else 1.0
    weights, others = make_weights(), make_weights()
    accumulated, plain = make(spec, gradient_accumulation_steps=2), make(spec)
    for step in range(3):
        pair = [make_grads(2 * step + i, weights) for i in range(2)]
        before = [weight.detach().clone() for weight in weights]
        accumulated.apply([grad * scale for grad in pair[0]], weights)
        assert all(torch.equal(*same) for same in zip(before, weights, strict=True))
        accumulated.apply([grad * scale for grad in pair[1]], weights)
        plain.apply([(a + b) / 2 * scale for a, b in zip(*pair, strict=True)], others)
    assert_same([w.detach().numpy() for w in weights], [w.detach().numpy() for w in others], rtol=1e-9)
    assert accumulated.iterations == 3


def test_loss_scale_factor():
    weight = Weight(torch.ones(1))
    optimizer = optimizers.SGD(1.0, loss_scale_factor=1024.0)
    optimizer.build([weight])
    optimizer.scale_loss((2 * weight).sum()).backward()
    assert weight.grad.item() == 2048
    optimizer.step()
    assert weight.item() == -1


def test_constraints_apply_after_the_update():
    free, held = Weight(torch.ones(2)), Weight(torch.ones(2), constraint=lambda w: w.clamp(min=0))
    optimizers.SGD(1.0).apply([torch.tensor([3.0, -1.0])] * 2, [free, held])
    assert free.tolist() == [-2, 2] and held.tolist() == [0, 2]


def test_plain_torch_loop():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    x, y = torch.randn(32, 3), torch.randn(32, 1)
    optimizer = optimizers.Adam(1e-2)
    optimizer.build(module.parameters())
    losses = []
    for _ in range(30):
        loss = (module(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert optimizer.iterations == 30
    optimizer.zero_grad(set_to_none=False)
    assert not any(p.grad.any() for p in module.parameters())


def test_missing_gradients():
    weights = make_weights()
    kept = weights[1].detach().clone()
    optimizer = optimizers.Adam()
    optimizer.build(weights)
    grads = make_grads(0, weights)
    with pytest.warns(UserWarning, match=r"does not depend on these weights: out/kernel\."):
        optimizer.apply([grads[0], None, *grads[2:]])
    assert torch.equal(kept, weights[1])
    optimizer.apply_gradients([(grads[1], weights[1])])
    assert not torch.equal(kept, weights[1]) and optimizer.iterations == 2
    with pytest.raises(ValueError, match="No gradients provided for any variable"):
        optimizer.apply([None] * 4)
    optimizer.apply([])
    assert optimizer.iterations == 2


def test_wrong_gradients_and_weights():
    weights = make_weights()
    optimizer = optimizers.Adam()
    with pytest.raises(ValueError, match="needs a built optimizer"):
        optimizer.apply(make_grads(0, weights))
    optimizer.build(weights)
    with pytest.raises(ValueError, match="expected 4 gradients"):
        optimizer.apply([torch.ones(1)])
    with pytest.raises(ValueError, match=r"embed/kernel'.*expected shape \(3, 4\); got \(5, 4\)"):
        optimizer.apply([torch.ones(5, 4), *make_grads(0, weights)[1:]])
    with pytest.raises(ValueError, match="built without the weight 'x'"):
        optimizer.apply([torch.ones(1)], [Weight(torch.ones(1), path="x")])
    weights[0].data = weights[0].data.float()
    with pytest.raises(ValueError, match="changed its type"):
        optimizer.apply(make_grads(0, weights))
    with pytest.raises(ValueError, match="gaps in memory"):
        optimizers.SGD().build([torch.nn.Parameter(torch.ones(4, 4)[:, ::2])])


# Learning rate ------------------------------------------------------------------------------------------------------


def test_learning_rate_can_change():
    weight = Weight(torch.zeros(1, dtype=torch.float64))
    optimizer = optimizers.SGD(1.0)
    steps = []
    for rate in (None, 0.5, torch.tensor(2.0)):
        if isinstance(rate, float):
            optimizer.learning_rate = rate
        elif rate is not None:
            optimizer.learning_rate.assign(rate)
        before = weight.item()
        optimizer.apply([torch.ones(1)], [weight])
        steps.append(before - weight.item())
    assert steps == [1, 0.5, 2]
    optimizer.learning_rate = schedules.PiecewiseConstantDecay([3], [4.0, 8.0])
    assert len(optimizer.variables) == 1 and optimizer.learning_rate.item() == 4
    with pytest.raises(TypeError, match="a number cannot replace it"):
        optimizer.learning_rate = 0.1


def test_schedules_and_functions_as_learning_rate():
    class Halving(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.5**step

    rates = iter([1.0, 0.5, 0.25])
    for rate in (Halving(), schedules.ExponentialDecay(1.0, 1, 0.5), lambda: next(rates)):
        weight = Weight(torch.zeros(1, dtype=torch.float64))
        optimizer = optimizers.SGD(rate)
        for expected in (-1, -1.5, -1.75):
            optimizer.apply([torch.ones(1)], [weight])
            assert weight.item() == expected


# Configs and names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", EVERY)
def test_config_round_trip(spec):
    optimizer = make(spec, learning_rate=schedules.CosineDecay(0.1, 10), name="mine")
    config = optimizer.get_config()
    again = type(optimizer).from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    assert optimizers.deserialize(optimizers.serialize(optimizer)).get_config() == config
    assert set(config) >= {"learning_rate", "weight_decay", "clipnorm", "use_ema", "gradient_accumulation_steps"}


def test_config_of_the_learning_rate_is_the_float32_value():
    assert optimizers.Adam().get_config()["learning_rate"] == 0.0010000000474974513


def test_names_and_positions():
    names = [name for name in optimizers.__all__ if name in RULES]
    for name in names:
        for word in (name, name.lower(), name.upper()):
            assert type(optimizers.get(word)) is getattr(optimizers, name)
    assert optimizers.SGD(0.1, 0.9, True).nesterov
    assert optimizers.AdamW(0.1, 0.5, 0.7).beta_1 == 0.7
    assert optimizers.Adam(0.1, 0.8, 0.9, 1e-3, True, 0.5).weight_decay == 0.5
    assert list(optimizers.Adam.__signature__.parameters)[:6] == [
        "learning_rate", "beta_1", "beta_2", "epsilon", "amsgrad", "weight_decay",
    ]  # fmt: skip
    adam = optimizers.Adam(0.25)
    assert optimizers.get(adam) is adam and optimizers.get(None) is None
    assert repr(optimizers.Adam(0.01, amsgrad=True)) == "Adam(learning_rate=0.01, amsgrad=True)"
    config = adam.get_config()
    stored = {"module": "keras.src.backend.torch.optimizers.torch_adam", "class_name": "Adam", "config": config}
    assert optimizers.get({**stored, "registered_name": "Adam"}).get_config() == config
    for wrong in ("adamm", 3, {"class_name": "Nope", "config": {}}, "serialize"):
        with pytest.raises((ValueError, TypeError)):
            optimizers.get(wrong)


@pytest.mark.parametrize(
    "call",
    [
        "Adam(-1e-3)", "Adam('fast')", "Adam(beta_1=1.0)", "Adam(beta_2=-0.1)", "Adam(epsilon=-1)", "SGD(momentum=1.5)",
        "SGD(clipnorm=1.0, clipvalue=1.0)", "SGD(global_clipnorm=1.0, clipvalue=1.0)", "Adam(weight_decay='much')",
        "AdamW(weight_decay=None)", "Adam(learn_rate=0.1)", "SGD(ema_momentum=2, use_ema=True)",
        "SGD(ema_overwrite_frequency=0)", "SGD(gradient_accumulation_steps=1)", "Lion(beta_1=0.0)",
        "Ftrl(learning_rate_power=0.5)", "Ftrl(l1_regularization_strength=-1.0)", "Muon(exclude_layers='head')",
        "LossScaleOptimizer(SGD(), clipnorm=1.0)", "LossScaleOptimizer(SGD(), dynamic=False)",
        "LossScaleOptimizer('sgd')", "MultiOptimizer(3)",
        "LossScaleOptimizer(LossScaleOptimizer(SGD()))", "SGD(use_ema='often')",
    ],
)  # fmt: skip
def test_bad_arguments(call):
    with pytest.raises(ValueError) as caught:
        eval(call, vars(optimizers))
    assert call.split("(")[0] in str(caught.value)


def test_decay_is_refused_with_a_hint():
    with pytest.warns(UserWarning, match="InverseTimeDecay"):
        optimizers.SGD(0.1, decay=1e-4)


@pytest.mark.parametrize("argument", ["gradient_accumulation_steps", "ema_overwrite_frequency"])
def test_what_cannot_be_captured(argument):
    optimizer = optimizers.SGD(use_ema=True, **{argument: 2})
    optimizer.build(make_weights())
    with pytest.raises(ValueError, match=argument):
        optimizer.capturable = True


# One's own optimizers -----------------------------------------------------------------------------------------------


class OwnMomentum(optimizers.Optimizer):
    """As Keras' guide writes it."""

    def __init__(self, learning_rate=0.1, momentum=0.9, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = momentum

    def build(self, variables):
        super().build(variables)
        self.velocities = [self.add_variable_from_reference(v, name="velocity") for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        velocity = self.velocities[self._get_variable_index(variable)]
        self.assign(velocity, velocity * self.momentum - gradient * learning_rate)
        self.assign_add(variable, velocity)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


@pytest.mark.parametrize("arguments", [{}, {"clipnorm": 0.5}, {"weight_decay": 0.1}, {"use_ema": True}])
def test_own_optimizer(arguments):
    own, weights, others = OwnMomentum(0.1, **arguments), make_weights(), make_weights()
    assert_same(train(own, weights), train(optimizers.SGD(0.1, momentum=0.9, **arguments), others), rtol=1e-6)
    assert OwnMomentum.from_config(own.get_config()).get_config() == own.get_config()
    for objects in (None, {"OwnMomentum": OwnMomentum}):  # a class of a loaded module is found without them
        assert type(optimizers.deserialize(optimizers.serialize(own), custom_objects=objects)) is OwnMomentum


HALF_STEPS = {  # by Keras 3.15: 3 steps of rate 0.1 from [[1, 2], [3, 4]], each gradient [[.1, .2], [.3, -.4]]
    "SGD": [0.985, 1.97, 2.955, 4.06],
    "Adam": [0.85, 1.85, 2.85, 4.15],
    "AdamW": [0.84886, 1.84766, 2.84646, 4.14514],
    "RMSprop": [0.63114, 1.63113, 2.63113, 4.36887],
    "Adagrad": [0.95662, 1.92838, 2.91258, 4.09635],
    "Adadelta": [0.99979, 1.99979, 2.99979, 4.00021],
    "Adamax": [0.85, 1.85, 2.85, 4.15],
    "Nadam": [0.87261, 1.87261, 2.87261, 4.12739],
    "Ftrl": [0.00316, 0.23808, 0.73615, 1.61565],
    "Lion": [0.85, 1.85, 2.85, 4.15],
    "Lamb": [0.59211, 1.59211, 2.59211, 4.40789],
    "Adafactor": [0.68432, 1.55356, 2.57647, 4.39931],
    "Muon": [0.96536, 1.96844, 2.97152, 4.0158],
}


def subclass(name: str, share: float):
    class Scaled(getattr(optimizers, name)):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate * share)

    return Scaled


@pytest.mark.parametrize("name", HALF_STEPS)
def test_a_subclass_may_change_the_step_of_a_weight(name):
    optimizer = subclass(name, 0.5)(0.1)
    weight, grad = Weight(torch.tensor([[1.0, 2.0], [3.0, 4.0]])), torch.tensor([[0.1, 0.2], [0.3, -0.4]])
    for _ in range(3):
        optimizer.apply([grad], [weight])
    np.testing.assert_allclose(weight.detach().flatten(), HALF_STEPS[name], atol=1e-5)


@pytest.mark.parametrize(
    "arguments", [{}, {"weight_decay": 0.1}, {"clipnorm": 0.5}, {"gradient_accumulation_steps": 2}]
)
@pytest.mark.parametrize("name", RULES)
def test_weights_updated_one_by_one_become_the_same(name, arguments):
    plain, one_by_one = make(name, learning_rate=0.1, **arguments), subclass(name, 1)(0.1, **arguments)
    assert_same(train(one_by_one, make_weights()), train(plain, make_weights()), rtol=1e-9)
    for variable, other in zip(one_by_one.variables, plain.variables, strict=True):
        np.testing.assert_allclose(variable.numpy(), other.numpy(), rtol=1e-9)


def test_optimizer_without_a_rule():
    with pytest.raises(NotImplementedError, match="update_step"):
        optimizers.Optimizer(0.1).apply([torch.ones(1)], [Weight(torch.ones(1))])


def test_own_state():
    optimizer = optimizers.Optimizer(0.1, name="own")
    weights = make_weights()
    optimizer.build(weights)
    first, second = optimizer.add_optimizer_variables(weights, ["a", "b"])
    assert [v.name for v in optimizer.variables[2:4]] == ["embed_kernel_a", "embed_kernel_b"]
    assert first[3].shape == weights[3].shape and second[0].path == "own/embed_kernel_b"
    assert optimizer.add_variable((2, 3), name="c").shape == (2, 3)
    with pytest.raises(ValueError, match="one initializer or 2"):
        optimizer.add_optimizer_variables(weights, ["a", "b"], ["zeros"])
    optimizer.set_weights([v.numpy() + 1 for v in optimizer.variables])
    assert optimizer.iterations == 1


# Round other optimizers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capturable", [False, True])
@pytest.mark.parametrize("spec", ["SGD:momentum=0.9", "Adam", "Nadam"])
def test_loss_scaling(spec, capturable):
    weights, others = make_weights(), make_weights()
    scaled = optimizers.LossScaleOptimizer(make(spec), initial_scale=8.0, dynamic_growth_steps=2)
    plain = make(spec)
    scaled.build(weights)
    scaled.capturable = capturable
    scales, good = [], []
    for step, overflow in enumerate([False, False, True, False, True, False, False]):
        grads = make_grads(step, weights)
        scale = scaled.scale_loss(torch.ones(()))
        own = [grad * scale for grad in grads]
        if overflow:
            own[1][0, 0] = torch.inf if step == 2 else torch.nan
        else:
            plain.apply(grads, others)
        scaled.apply(own)
        scales.append(scaled.dynamic_scale.item())
        good.append(scaled.step_counter.item())
        assert_same([w.detach().numpy() for w in weights], [w.detach().numpy() for w in others], rtol=1e-6)
    assert scales == [8, 16, 8, 8, 4, 4, 8] and good == [1, 0, 0, 1, 0, 1, 0]
    assert scaled.iterations == 5


def test_loss_scaling_hands_through():
    inner = optimizers.SGD(0.5, loss_scale_factor=3.0)
    scaled = optimizers.LossScaleOptimizer(inner, clipnorm=None, use_ema=False, dynamic=True)
    assert inner.loss_scale_factor is None and scaled.learning_rate.item() == 0.5
    scaled.learning_rate = 0.25
    assert inner.learning_rate.item() == 0.25
    config = optimizers.serialize(scaled)
    again = optimizers.deserialize(json.loads(json.dumps(config)))
    assert optimizers.serialize(again) == config
    assert again.scale_loss(torch.ones(())) == 2.0**15


def test_several_optimizers():
    chosen = optimizers.OptimizerMap(optimizers.SGD(0.1), {"out/.*": optimizers.Adam(0.2)})
    both, weights, others = optimizers.MultiOptimizer(chosen, loss_scale_factor=2.0), make_weights(), make_weights()
    both.build(weights)
    for step in range(3):
        both.apply([grad * 2 for grad in make_grads(step, weights)])
    sgd_part, adam_part = [0, 3], [1, 2]
    for optimizer, places in ((optimizers.SGD(0.1), sgd_part), (optimizers.Adam(0.2), adam_part)):
        for step in range(3):
            grads = make_grads(step, others)
            optimizer.apply([grads[i] for i in places], [others[i] for i in places])
    assert_same([w.detach().numpy() for w in weights], [w.detach().numpy() for w in others])
    assert both.iterations == 3 and len(both.optimizers) == 2 and len(both.variables) == 2 + 2 + 6
    assert both.scale_loss(torch.ones(())) == 2
    config = optimizers.serialize(both)
    assert optimizers.serialize(optimizers.deserialize(json.loads(json.dumps(config)))) == config
    for use in (lambda: both.learning_rate, lambda: setattr(both, "learning_rate", 1.0)):
        with pytest.raises(AttributeError, match="no learning rate of its own"):
            use()
    store = {}
    both.save_own_variables(store)
    both.load_own_variables(store)


def test_several_optimizers_below_a_scaled_loss():
    """As a "mixed_float16" model has them: the scale is one, the rates are each optimizer's own."""

    def several():
        return optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.SGD(0.1), {"out/.*": optimizers.Adam(0.2)}))

    scaled, weights = optimizers.LossScaleOptimizer(several(), initial_scale=8.0), make_weights()
    plain, others = several(), make_weights()
    for step in range(3):
        grads = make_grads(step, weights)
        scaled.apply([grad * 8 for grad in grads], weights)
        plain.apply(grads, others)
    scaled.apply([grad * torch.inf for grad in grads], weights)
    assert_same([w.detach().numpy() for w in weights], [w.detach().numpy() for w in others])
    assert scaled.iterations == 3 and scaled.dynamic_scale == 4
    config = optimizers.serialize(scaled)
    assert optimizers.serialize(optimizers.deserialize(json.loads(json.dumps(config)))) == config

    model = Sequential([Input((2,)), layers.Dense(1)])
    model.compile(optimizers.LossScaleOptimizer(several()), "mse")
    schedule = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = model.fit(np.ones((4, 2)), np.ones(4), callbacks=[schedule], verbose=0).history
    rates = {name: rate for name, (rate,) in history.items() if name.startswith("learning_rate")}
    assert sorted(rates.values()) == pytest.approx([0.05, 0.1]) and len(rates) == 2


def test_optimizer_map():
    default, special = optimizers.SGD(), optimizers.Adam()
    chosen = optimizers.OptimizerMap(default)
    chosen["a/.*"] = special
    assert chosen["a/b"] is special and chosen["b"] is default and len(chosen) == 1 and list(chosen) == ["a/.*"]
    chosen[".*b"] = special
    with pytest.raises(ValueError, match="'a/b' matches multiple keys"):
        chosen["a/b"]
    del chosen[".*b"]
    for key, value in (("a/.*", special), (3, special), ("c", optimizers.LossScaleOptimizer(special)), ("d", "adam")):
        with pytest.raises(ValueError):
            chosen[key] = value
    for arguments in (("adam",), (default, 3)):
        with pytest.raises(TypeError):
            optimizers.OptimizerMap(*arguments)


def test_steps_do_not_warn_or_track_gradients():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for spec in EVERY:
            weights = make_weights()
            optimizer = make(spec)
            train(optimizer, weights, range(2))
            assert all(weight.requires_grad and weight.grad_fn is None for weight in weights)
            assert not any(variable.requires_grad for variable in optimizer.variables)


@pytest.mark.parametrize("base", [optimizers.SGD, optimizers.Adam, optimizers.Lion])
def test_a_rule_that_is_mixed_in_counts(base):
    class Shrinks:
        def update_step(self, gradient, variable, learning_rate):
            variable.assign(variable * 0.5)
            super().update_step(gradient, variable, learning_rate)

    def steps(kind):
        optimizer, weight = kind(0.1), Weight(torch.ones(2), name="w", path="w")
        for _ in range(2):
            optimizer.apply([torch.zeros(2)], [weight])
        return weight.tolist()

    assert steps(base) == [1, 1]
    assert steps(type("Mixed", (Shrinks, base), {})) == [0.25, 0.25]
