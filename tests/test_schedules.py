"""Schedules against slow references; numbers and tensors give the same."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.optimizers import schedules

rate, length, factor = st.floats(1e-3, 1.0), st.integers(1, 9), st.floats(0.1, 0.95)


def exponential(step, start, steps, decay, staircase):
    return start * decay ** (step // steps if staircase else step / steps)


def inverse(step, start, steps, decay, staircase):
    return start / (1 + decay * (step // steps if staircase else step / steps))


def polynomial(step, start, steps, end, power, cycle):
    while cycle and steps < step:
        steps += original if (original := polynomial.steps) else steps
    return (start - end) * (1 - min(step, steps) / steps) ** power + end


def cosine(step, start, steps, alpha, target=None, warmup=0):
    if target is not None:
        if step < warmup:
            return start + (target - start) * step / warmup
        start, step = target, step - warmup
    wave = 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps))
    return start * ((1 - alpha) * wave + alpha)


def restarts(step, start, steps, t_mul, m_mul, alpha):
    height, length = 1.0, float(steps)
    while step >= length - 1e-9:
        step, length, height = step - length, length * t_mul, height * m_mul
    wave = 0.5 * height * (1 + math.cos(math.pi * max(step, 0) / length))
    return start * ((1 - alpha) * wave + alpha)


def check(schedule, reference, *arguments):
    for step in range(30):
        expected = reference(step, *arguments)
        for given_step in (step, float(step), np.int64(step), torch.tensor(step), torch.tensor(float(step))):
            found = schedule(given_step)
            assert isinstance(found, torch.Tensor) and found.dtype is torch.float32
            assert found.item() == pytest.approx(expected, rel=1e-5, abs=1e-9), step
    config = json.loads(json.dumps(schedules.serialize(schedule)))
    assert config["module"] == "keras.optimizers.schedules"
    assert schedules.deserialize(config).get_config() == schedule.get_config()


@settings(max_examples=10)
@given(start=rate, steps=length, decay=factor, staircase=st.booleans())
def test_exponential_and_inverse(start, steps, decay, staircase):
    check(schedules.ExponentialDecay(start, steps, decay, staircase), exponential, start, steps, decay, staircase)
    check(schedules.InverseTimeDecay(start, steps, decay, staircase), inverse, start, steps, decay, staircase)


@settings(max_examples=10)
@given(start=rate, steps=length, end=factor, power=st.sampled_from([0.5, 1.0, 2.0]), cycle=st.booleans())
def test_polynomial(start, steps, end, power, cycle):
    polynomial.steps = steps
    check(schedules.PolynomialDecay(start, steps, end, power, cycle), polynomial, start, steps, end, power, cycle)


@settings(max_examples=10)
@given(start=rate, steps=length, alpha=factor, target=st.none() | rate, warmup=st.integers(0, 5))
def test_cosine(start, steps, alpha, target, warmup):
    schedule = schedules.CosineDecay(start, steps, alpha, warmup_target=target, warmup_steps=warmup)
    check(schedule, cosine, start, steps, alpha, target, warmup)


@settings(max_examples=10)
@given(start=rate, steps=length, t_mul=st.sampled_from([1.0, 1.5, 2.0, 3.0]), m_mul=factor, alpha=factor)
def test_cosine_restarts(start, steps, t_mul, m_mul, alpha):
    schedule = schedules.CosineDecayRestarts(start, steps, t_mul, m_mul, alpha)
    check(schedule, restarts, start, steps, t_mul, m_mul, alpha)


def test_piecewise():
    check(
        schedules.PiecewiseConstantDecay([2, 5, 6], [1.0, 0.5, 0.25, 0.1]),
        lambda step: 1.0 if step <= 2 else 0.5 if step <= 5 else 0.25 if step <= 6 else 0.1,
    )


@pytest.mark.parametrize(
    "call",
    [
        "ExponentialDecay(0.1, 0, 0.9)", "PolynomialDecay(0.1, -1)", "InverseTimeDecay('a', 1, 0.5)",
        "CosineDecay(0.1, 0)", "CosineDecayRestarts(0.1, 0)", "PiecewiseConstantDecay([1, 2], [0.1, 0.2])",
        "PiecewiseConstantDecay(3, [0.1])", "CosineDecay(0.1, 10, beta=2)",
    ],
)  # fmt: skip
def test_bad_arguments(call):
    with pytest.raises(ValueError) as caught:
        eval(call, vars(schedules))
    assert call.split("(")[0] in str(caught.value)


def test_own_schedule():
    class Own(schedules.LearningRateSchedule):
        def __init__(self, start):
            self.start = start

        def __call__(self, step):
            return self.start / (step + 1)

        def get_config(self):
            return {"start": self.start}

    config = schedules.serialize(Own(0.5))
    assert schedules.deserialize(config, custom_objects={"Own": Own})(1) == 0.25
    with pytest.raises(TypeError, match="Unknown class"):
        schedules.deserialize(config)
    with pytest.raises(NotImplementedError, match="__call__"):
        schedules.LearningRateSchedule()(0)
    with pytest.raises(NotImplementedError, match="get_config"):
        schedules.LearningRateSchedule().get_config()
