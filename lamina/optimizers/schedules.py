"""Learning rates that follow the step counter.

Every schedule is one formula, computed in Python's numbers for a number, and in tensors, without a host sync, for a
tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..core import config as settings
from ..core import serialize as _serialization
from ..core.declare import Declared, Kind, Refused, arg, boolean, number, text
from ..core.dtypes import torch_dtype

_HOME = "keras.optimizers.schedules"
_NAME = text.optional()


class _Numbers:
    """The part of torch's functions that the formulas need, for Python's numbers."""

    floor, ceil, cos, log = math.floor, math.ceil, math.cos, math.log

    @staticmethod
    def where(condition: bool, value: float, other: float) -> float:
        return value if condition else other


class LearningRateSchedule:
    """Base of all schedules: `__call__(step)` gives the learning rate, `get_config()` the arguments."""

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no `__call__(self, step)`.")

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} defines no `get_config(self)`, which saving it needs.")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        return cls(**config)


class _Formula(Declared, LearningRateSchedule):
    """A schedule given by `_at(step, xp)`, with `xp` torch or its stand-in for numbers."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__ == __name__:
            cls._home = _HOME

    def __call__(self, step: Any) -> Tensor:
        """The learning rate at `step`, a number or a tensor, as a tensor."""
        return torch.as_tensor(self.at(step), dtype=torch_dtype(settings.floatx()))

    def at(self, step: Any) -> Any:
        """The learning rate: a tensor for a tensor, else a float."""
        if isinstance(step, Tensor) or hasattr(step, "__len__"):  # an array or list of several
            return self._at(torch.as_tensor(step).double(), torch)
        return self._at(float(step), _Numbers)

    def _at(self, step: Any, xp: Any) -> Any:
        raise NotImplementedError


def rate_function(value: Any) -> Callable[[Tensor], Any]:
    """A function of the step counter (a tensor) for a schedule or a function without arguments.

    A number for a counter on the CPU; on another device a tensor.
    """
    if not callable(value):
        return lambda step: value
    if not isinstance(value, LearningRateSchedule):
        return lambda step: value()
    if not isinstance(value, _Formula) or type(value).__call__ is not _Formula.__call__:
        return value
    return lambda step: value.at(step if step.device.type != "cpu" else step.item())


_steps = number(0, above=True)


class _InPeriods(_Formula):
    initial_learning_rate: float = arg(number())
    decay_steps: float = arg(_steps)
    decay_rate: float = arg(number())
    staircase: bool = arg(boolean, default=False, doc="Whole decay steps only.")

    def _periods(self, step: Any, xp: Any) -> Any:
        return xp.floor(step / self.decay_steps) if self.staircase else step / self.decay_steps


class ExponentialDecay(_InPeriods):
    """initial_learning_rate * decay_rate ^ (step / decay_steps)"""

    name: str | None = arg(_NAME, default="ExponentialDecay")

    def _at(self, step: Any, xp: Any) -> Any:
        return self.initial_learning_rate * self.decay_rate ** self._periods(step, xp)


def _numbers(value: Any, owner: Any) -> list:
    if not isinstance(value, (list, tuple)) or not value:
        raise Refused
    return [number().convert(item, owner) for item in value]


_series = Kind("a list of numbers", _numbers, dump=list, good=([1.0, 2.0],), bad=(3.0, [], ["a"]))


class PiecewiseConstantDecay(_Formula):
    """values[i] up to and including step boundaries[i], the last value after the last boundary."""

    boundaries: list[float] = arg(_series, doc="Ascending steps.")
    values: list[float] = arg(_series, doc="One more than boundaries.")
    name: str | None = arg(_NAME, default="PiecewiseConstant")

    def check(self) -> None:
        if len(self.boundaries) != len(self.values) - 1:
            raise ValueError(
                f"PiecewiseConstantDecay: expected one value more than boundaries; "
                f"got {len(self.boundaries)} boundaries and {len(self.values)} values."
            )

    def _at(self, step: Any, xp: Any) -> Any:
        rate = self.values[-1] + 0 * step
        for boundary, value in zip(reversed(self.boundaries), reversed(self.values[:-1]), strict=True):
            rate = xp.where(step <= boundary, value, rate)
        return rate


class PolynomialDecay(_Formula):
    """From the initial to the end rate as (1 - step / decay_steps) ^ power; `cycle` then lengthens the decay."""

    initial_learning_rate: float = arg(number())
    decay_steps: float = arg(_steps)
    end_learning_rate: float = arg(number(), default=0.0001)
    power: float = arg(number(), default=1.0)
    cycle: bool = arg(boolean, default=False, doc="Lengthen the decay by whole decay_steps once it is over.")
    name: str | None = arg(_NAME, default="PolynomialDecay")

    def _at(self, step: Any, xp: Any) -> Any:
        done = step / self.decay_steps
        if self.cycle:
            done = done / xp.where(step == 0, 1.0, xp.ceil(done))
        else:
            done = xp.where(done > 1, 1.0, done)
        span = self.initial_learning_rate - self.end_learning_rate
        return span * (1 - done) ** self.power + self.end_learning_rate


class InverseTimeDecay(_InPeriods):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps)"""

    name: str | None = arg(_NAME, default="InverseTimeDecay")

    def _at(self, step: Any, xp: Any) -> Any:
        return self.initial_learning_rate / (1 + self.decay_rate * self._periods(step, xp))


class CosineDecay(_Formula):
    """Half a cosine wave down to `alpha` times the start, after a linear rise to `warmup_target` if there is one.

    Loshchilov and Hutter, SGDR, 2017.
    """

    initial_learning_rate: float = arg(number())
    decay_steps: float = arg(_steps, doc="Steps of the decay, without the rise.")
    alpha: float = arg(number(), default=0.0)
    name: str | None = arg(_NAME, default="CosineDecay")
    warmup_target: float | None = arg(number().optional(), default=None)
    warmup_steps: float = arg(number(0), default=0)

    def _at(self, step: Any, xp: Any) -> Any:
        start = self.initial_learning_rate if self.warmup_target is None else self.warmup_target
        rise = 0 if self.warmup_target is None else self.warmup_steps
        done = (step - rise) / self.decay_steps
        wave = 0.5 * (1 + xp.cos(math.pi * xp.where(done > 1, 1.0, done)))
        rate = start * ((1 - self.alpha) * wave + self.alpha)
        if not rise:
            return rate
        rising = self.initial_learning_rate + (start - self.initial_learning_rate) * step / rise
        return xp.where(step < rise, rising, rate)


class CosineDecayRestarts(_Formula):
    """Cosine decays one after another, each `t_mul` times as long and from `m_mul` times as high as the last.

    Loshchilov and Hutter, SGDR, 2017.
    """

    initial_learning_rate: float = arg(number())
    first_decay_steps: float = arg(_steps)
    t_mul: float = arg(number(1), default=2.0)
    m_mul: float = arg(number(), default=1.0)
    alpha: float = arg(number(), default=0.0)
    name: str | None = arg(_NAME, default="SGDRDecay")

    def _at(self, step: Any, xp: Any) -> Any:
        done = step / self.first_decay_steps
        if self.t_mul == 1:
            restarts = xp.floor(done)
            done = done - restarts
        else:
            # The first n decays take (t_mul^n - 1) / (t_mul - 1); rounding must not put a restart one step late.
            growth = math.log(self.t_mul)
            restarts = xp.floor(xp.log(1 + done * (self.t_mul - 1)) / growth + 1e-9)
            before = self.t_mul**restarts
            done = (done - (before - 1) / (self.t_mul - 1)) / before
        wave = 0.5 * self.m_mul**restarts * (1 + xp.cos(math.pi * done))
        return self.initial_learning_rate * ((1 - self.alpha) * wave + self.alpha)


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """Class and config of a schedule as plain data."""
    return _serialization.serialize(learning_rate_schedule)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The schedule that `serialize` described."""
    return _serialization.deserialize(config, custom_objects, homes=(_HOME,))
