"""Initializers: statistics, fans, seeds, exact values, names and configs."""

from __future__ import annotations

import importlib
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina import initializers, layers
from lamina.core import config
from lamina.core.declare import Declared, arg
from lamina.core.random import SeedGenerator, set_random_seed

PUBLIC = """Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer Initializer LecunNormal
LecunUniform Ones Orthogonal OrthogonalInitializer RandomNormal RandomUniform STFT STFTInitializer TruncatedNormal
VarianceScaling Zeros constant deserialize get glorot_normal glorot_uniform he_normal he_uniform identity lecun_normal
lecun_uniform ones orthogonal random_normal random_uniform serialize stft truncated_normal variance_scaling
zeros""".split()

# scale, fan, distribution
NAMED = {
    "GlorotUniform": (1.0, "fan_avg", "uniform"),
    "GlorotNormal": (1.0, "fan_avg", "truncated_normal"),
    "LecunUniform": (1.0, "fan_in", "uniform"),
    "LecunNormal": (1.0, "fan_in", "truncated_normal"),
    "HeUniform": (2.0, "fan_in", "uniform"),
    "HeNormal": (2.0, "fan_in", "truncated_normal"),
}
RANDOM = [*NAMED, "VarianceScaling", "RandomNormal", "RandomUniform", "TruncatedNormal", "Orthogonal"]
FIXED = ["Zeros", "Ones", "Constant", "Identity", "STFT"]
seeds = st.integers(0, 2**31)
few = settings(max_examples=25, deadline=None)


def snake(name):
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def make(name, **arguments):
    return getattr(initializers, name)(**arguments)


def check_moments(values, mean, variance, fourth=3.0):
    """Mean and variance within six of their standard errors; `fourth`: the kurtosis, at most."""
    values, count = values.double(), values.numel()
    assert abs(float(values.mean()) - mean) < 6 * math.sqrt(variance / count)
    assert abs(float(values.var(correction=0)) / variance - 1) < 6 * math.sqrt((fourth - 1) / count) + 6 / count


def test_every_public_name_of_keras_is_there():
    assert [name for name in PUBLIC if not hasattr(initializers, name)] == []


@few
@given(seeds, st.floats(-2, 2), st.floats(0.1, 2))
def test_plain_distributions(seed, mean, stddev):
    shape = (40, 50)
    check_moments(make("RandomNormal", mean=mean, stddev=stddev, seed=seed)(shape), mean, stddev**2)

    cut = make("TruncatedNormal", mean=mean, stddev=stddev, seed=seed)(shape)
    assert float((cut - mean).abs().max()) <= 2 * stddev * (1 + 1e-5)
    check_moments(cut, mean, (0.87962566 * stddev) ** 2)

    even = make("RandomUniform", minval=mean, maxval=mean + stddev, seed=seed)(shape)
    assert mean - 1e-6 <= float(even.min()) and float(even.max()) <= mean + stddev + 1e-6
    check_moments(even, mean + stddev / 2, stddev**2 / 12)


@few
@given(
    st.sampled_from([*NAMED, None]),
    st.floats(0.3, 3),
    st.sampled_from(["fan_in", "fan_out", "fan_avg"]),
    st.sampled_from(["uniform", "truncated_normal", "untruncated_normal"]),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(8, 20), st.integers(8, 20)),
    seeds,
)
def test_variance_follows_the_fans(name, scale, mode, distribution, shape, seed):
    if name is None:
        made = make("VarianceScaling", scale=scale, mode=mode, distribution=distribution, seed=seed)
    else:
        (scale, mode, distribution), made = NAMED[name], make(name, seed=seed)
        assert isinstance(made, initializers.VarianceScaling)
    window = shape[0] * shape[1]
    fan_in, fan_out = shape[2] * window, shape[3] * window
    variance = scale / {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    values = made(shape)
    check_moments(values, 0, variance)
    largest = float(values.abs().max()) / math.sqrt(variance)
    if distribution != "untruncated_normal":
        assert largest <= (math.sqrt(3) if distribution == "uniform" else 2 / 0.87962566) * (1 + 1e-5)


@pytest.mark.parametrize(
    ("shape", "axes", "fans"),
    [
        ((), {}, (1, 1)),
        ((7,), {}, (7, 7)),
        ((3, 5), {}, (3, 5)),
        ((2, 3, 4, 5), {}, (24, 30)),
        ((0, 3), {}, (1, 3)),
        ((2, 3, 4, 5), {"input_axes": (0,), "output_axes": [1, -1]}, (2, 15)),
        ((2, 3, 4, 5), {"input_axes": (0,)}, (24, 30)),
    ],
)
def test_fans(shape, axes, fans):
    for mode, fan in zip(("fan_in", "fan_out"), fans, strict=True):
        one = make("VarianceScaling", mode=mode, distribution="uniform", seed=1, **axes)(shape)
        unit = make("RandomUniform", minval=-1, maxval=1, seed=1)(shape)
        torch.testing.assert_close(one, unit * math.sqrt(3 / fan))


@few
@given(st.lists(st.integers(1, 6), min_size=2, max_size=4), st.floats(0.5, 2), seeds)
def test_orthogonal(shape, gain, seed):
    values = make("Orthogonal", gain=gain, seed=seed)(shape, "float64")
    assert values.shape == tuple(shape) and values.is_contiguous()
    matrix = values.reshape(-1, shape[-1])
    gram = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
    torch.testing.assert_close(gram, gain**2 * torch.eye(len(gram), dtype=torch.float64))


def test_orthogonal_matrices_are_evenly_spread():
    """Without the correction of signs, the first diagonal entry of Q would never be positive."""
    corners = [float(make("Orthogonal", seed=seed)((3, 3))[0, 0]) for seed in range(200)]
    assert abs(np.mean(corners)) < 6 * np.std(corners) / math.sqrt(200)


@pytest.mark.parametrize("name", RANDOM)
def test_seeds(name):
    shape = (4, 5)
    seeded = make(name, seed=7)
    assert torch.equal(seeded(shape), seeded(shape))
    assert torch.equal(seeded(shape), make(name, seed=7)(shape))
    assert not torch.equal(seeded(shape), make(name, seed=8)(shape))

    free = make(name)
    set_random_seed(1)
    first, second = free(shape), free(shape)
    set_random_seed(1)
    seeded(shape)  # leaves the global stream alone
    assert torch.equal(first, second) and torch.equal(free(shape), first)
    assert torch.equal(make(name)(shape), first) and not torch.equal(make(name)(shape), first)

    stream = make(name, seed=SeedGenerator(7))
    first = stream(shape)
    assert torch.equal(first, seeded(shape)) and not torch.equal(stream(shape), first)
    assert torch.equal(initializers.get(initializers.serialize(stream))(shape), first)


def _pairs(keras: Any, seeds: tuple[int | None, int | None], shared: bool) -> list[bool]:
    """Whether two kernels are equal: of two layers, and of a model of both and its clone."""
    made = [keras.initializers.RandomNormal(seed=seed) for seed in seeds]
    pair = [keras.layers.Dense(4, kernel_initializer=made[0 if shared else place]) for place in (0, 1)]
    model = keras.models.Sequential([keras.layers.Input((4,)), *pair])
    kernels = [model.get_weights()[place] for place in (0, 2)]
    kernels += [keras.models.clone_model(model).get_weights()[place] for place in (0, 2)]
    return [np.array_equal(kernels[0], other) for other in kernels[1:]]


# Recorded from Keras 3.15.1, tf_keras 2.21 and 2.3.1 (whose integer seeds are one more after each call).
@pytest.mark.parametrize(
    ("home", "seed", "shared", "equal"),
    [
        ("lamina", None, True, [True, False, False]),
        ("lamina", None, False, [False, False, False]),
        ("lamina", 3, True, [True, True, True]),
        ("lamina", 3, False, [True, True, True]),
        ("lamina.tf_keras", None, True, [True, False, False]),
        ("lamina.tf_keras", 3, True, [True, True, True]),
        ("lamina.keras2", None, True, [False, False, False]),
        ("lamina.keras2", 3, True, [False, False, False]),
        ("lamina.keras2", 3, False, [True, False, False]),
    ],
)
@pytest.mark.filterwarnings("ignore:The initializer RandomNormal is unseeded")
def test_one_initializer_of_several_weights(home, seed, shared, equal):
    assert _pairs(importlib.import_module(home), (seed, seed), shared) == equal


def test_reuse_without_a_seed_is_told_in_tf_keras():
    tf_keras = importlib.import_module("lamina.tf_keras")
    free, seeded = tf_keras.initializers.GlorotUniform(), tf_keras.initializers.GlorotUniform(seed=3)
    assert torch.equal(seeded((2, 3)), seeded((2, 3)))
    first = free((2, 3))
    with pytest.warns(UserWarning, match="GlorotUniform is unseeded and being called multiple times"):
        assert torch.equal(free((2, 3)), first)
    assert tf_keras.initializers.serialize(free)["config"] == {"seed": None}


@pytest.mark.parametrize("name", ["MultiHeadAttention", "GroupQueryAttention"])
@pytest.mark.parametrize(("seed", "equal"), [(None, False), (3, True)])
def test_projections_draw_each_their_own(name, seed, equal):
    heads = (2, 2) if name == "MultiHeadAttention" else (2, 2, 2)
    layer = getattr(layers, name)(*heads, kernel_initializer=initializers.RandomNormal(seed=seed))
    layer(torch.ones(1, 2, 4), torch.ones(1, 2, 4))
    query, key = layer.get_weights()[:4:2]
    assert np.array_equal(query, key) is equal


@pytest.mark.parametrize("name", RANDOM + FIXED)
def test_types_and_devices(name):
    shape = (4, 1, 5) if name == "STFT" else (4, 5)
    made = make(name, **({"seed": 7} if name in RANDOM else {}))
    exact = made(shape, "float32")
    assert exact.shape == shape and made(shape).dtype == torch.float32
    for dtype in ("float16", torch.bfloat16, "float64"):
        values = made(shape, dtype)
        assert values.dtype == (getattr(torch, dtype) if isinstance(dtype, str) else dtype)
        assert values.is_contiguous() and not values.requires_grad
        if dtype != "float64":  # half types are the same draw, rounded
            torch.testing.assert_close(values, exact.to(values.dtype))
    with torch.device("meta"):
        assert made(shape).is_meta
    before = config.floatx()
    config.set_floatx("float64")
    try:
        assert made(shape).dtype == torch.float64
    finally:
        config.set_floatx(before)


def test_exact_values():
    assert make("Zeros")((2,)).tolist() == [0, 0] and make("Zeros")(2, "int32").dtype == torch.int32
    assert make("Ones")((2,), "bool").tolist() == [True, True]
    assert make("Constant", value=2)((2,)).tolist() == [2, 2]
    assert make("Constant", value=np.float32(0.5))((1,)).tolist() == [0.5]
    assert make("Identity", gain=2)((2, 3)).tolist() == [[2, 0, 0], [0, 2, 0]]


@pytest.mark.parametrize("value", [[1, 2], np.array([1.0, 2.0]), torch.tensor([1.0, 2.0], requires_grad=True)])
def test_constant_arrays(value):
    made = make("Constant", value=value)
    again = initializers.get(json.loads(json.dumps(initializers.serialize(made))))
    for one in (made, again, *([] if isinstance(value, list) else [initializers.get(value)])):
        values = one((3, 2))
        assert values.tolist() == [[1, 2]] * 3
        assert values.is_contiguous() and not values.requires_grad
    made((2,)).fill_(9)
    assert made((2,)).tolist() == [1, 2]  # the weight is a copy


@few
@given(
    st.sampled_from(["hann", "hamming", "blackman", "boxcar", None]),
    st.sampled_from(["density", "spectrum", None]),
    st.booleans(),
    st.integers(2, 12),
)
def test_stft_is_the_transform_of_a_windowed_frame(window, scaling, periodic, half):
    length = 2 * half
    frame = np.random.default_rng(0).normal(size=length)
    arguments = {"window": window, "scaling": scaling, "periodic": periodic}
    real, imaginary = (
        make("STFT", side=side, **arguments)((length, 1, half + 1), "float64").numpy()[:, 0]
        for side in ("real", "imag")
    )
    numpy_windows = {"hann": np.hanning, "hamming": np.hamming, "blackman": np.blackman, "boxcar": np.ones}
    values = np.ones(length)
    if window is not None:
        values = numpy_windows[window](length + periodic)[:length]
        values = values / {"density": np.sqrt((values**2).sum()), "spectrum": values.sum(), None: 1.0}[scaling]
    np.testing.assert_allclose(frame @ real + 1j * (frame @ imaginary), np.fft.rfft(frame * values), atol=1e-9)


@pytest.mark.parametrize("name", RANDOM + FIXED)
def test_names_and_configs_round_trip(name):
    cls = getattr(initializers, name)
    spelled = "stft" if name == "STFT" else snake(name)
    assert getattr(initializers, spelled) is cls
    for identifier in (name, spelled, cls, {"class_name": name, "config": {}}):
        made = initializers.get(identifier)
        assert type(made) is cls
    described = initializers.serialize(made)
    assert described["module"] == "keras.initializers" and described["class_name"] == name
    assert described["registered_name"] is None
    again = initializers.deserialize(json.loads(json.dumps(described)))
    assert type(again) is cls and again.get_config() == made.get_config() == made.clone().get_config()


def test_other_names():
    for name, cls in {"uniform": "RandomUniform", "normal": "RandomNormal", "one": "Ones", "zero": "Zeros"}.items():
        assert type(initializers.get(name)) is getattr(initializers, cls)
    for cls in ("Identity", "Orthogonal", "STFT"):
        assert type(initializers.get(f"{cls}Initializer")) is getattr(initializers, cls)
    assert initializers.get(None) is None


def test_named_initializers_have_no_scale():
    assert initializers.HeNormal(3).get_config() == {"seed": 3, "input_axes": None, "output_axes": None}
    assert repr(initializers.HeNormal(3)) == "HeNormal(seed=3)"
    with pytest.raises(ValueError, match="HeNormal has no argument `scale`"):
        initializers.HeNormal(scale=2.0)

    class Mine(initializers.HeNormal):
        pass

    assert torch.equal(Mine(3)((4, 5)), initializers.HeNormal(3)((4, 5)))


def test_a_class_in_keras_style():
    class Ramp(initializers.Initializer):
        def __init__(self, step):
            self.step = step

        def __call__(self, shape, dtype=None):
            return torch.arange(math.prod(shape), dtype=torch.float32).reshape(shape) * self.step

        def get_config(self):
            return {"step": self.step}

    described = initializers.serialize(Ramp(2))
    assert initializers.deserialize(described, {"Ramp": Ramp})((2,)).tolist() == [0, 2]
    with pytest.raises(TypeError, match="Ramp"):
        initializers.deserialize(described)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: initializers.get("glorot"), "Unknown initializer 'glorot'.*glorot_uniform"),
        (lambda: initializers.get("get"), "Unknown initializer 'get'"),
        (lambda: initializers.get(3), "Unknown initializer 3"),
        (lambda: make("GlorotUniform", seed="a"), "GlorotUniform: argument `seed`.*'a'"),
        (lambda: make("GlorotUniform", seed=1.5), "argument `seed`.*1.5"),
        (lambda: make("GlorotUniform", seed=math.nan), "argument `seed`.*nan"),
        (lambda: make("VarianceScaling", scale=0), "`scale` must be a positive number; got 0"),
        (lambda: make("VarianceScaling", mode="x"), "`mode`.*fan_in"),
        (lambda: make("VarianceScaling", distribution="x"), "`distribution`.*uniform"),
        (lambda: make("RandomNormal", stddev=-1), "RandomNormal: argument `stddev`"),
        (lambda: make("RandomNormal")((2,), "int32"), "RandomNormal: `dtype`.*int32"),
        (lambda: make("RandomNormal")((2,), "float31"), "Unknown dtype 'float31'"),
        (lambda: make("GlorotUniform")((None, 3)), r"GlorotUniform: `shape`.*\(None, 3\)"),
        (lambda: make("Zeros")((-1,)), r"Zeros: `shape`.*\(-1,\)"),
        (lambda: make("Zeros")("ab"), "Zeros: `shape`.*'ab'"),
        (lambda: make("Identity")((3,)), r"Identity: `shape`.*\(3,\)"),
        (lambda: make("Orthogonal")((3,)), r"Orthogonal: `shape`.*\(3,\)"),
        (lambda: make("Constant", value="a"), "Constant: argument `value`.*'a'"),
        (lambda: make("Constant", value=[1, 2])((3, 3)), r"Constant: .*\(2,\).*\(3, 3\)"),
        (lambda: make("STFT", window="x"), "STFT: argument `window`.*hann.*'x'"),
        (lambda: make("STFT", side="x"), "STFT: argument `side`"),
        (lambda: make("STFT", window=[1, 2])((4, 1, 3)), r"STFT: `window`.*4 steps.*\(2,\)"),
        (lambda: make("STFT")((4, 3)), r"STFT: `shape`.*\(4, 3\)"),
    ],
)
def test_errors(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()


class Owner(Declared):
    kernel_initializer = arg(initializers.initializer, default="zeros")


def test_kind():
    for value in initializers.initializer.good:
        made = Owner(value)
        assert Owner.from_config(json.loads(json.dumps(made.get_config()))).get_config() == made.get_config()
    for value in initializers.initializer.bad:
        with pytest.raises(ValueError, match="Owner: argument `kernel_initializer`"):
            Owner(value)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("name", ["tukey", "parzen", "bohman"])
def test_windows_of_scipy_have_their_names(name: str, periodic: bool) -> None:
    signal = pytest.importorskip("scipy.signal")
    made = initializers.STFT("real", window=name, scaling=None, periodic=periodic)
    expected = signal.get_window(name, 16, periodic)
    np.testing.assert_allclose(made((16, 1, 9))[:, 0, 0], expected, rtol=1e-6, atol=1e-7)
    assert made.get_config()["window"] == name
