"""What every metric shares: state that is updated in place, means and sums."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.utils import _pytree as pytree

from ..core import config, dtypes, shares
from ..core.children import Counts
from ..core.declare import Declared, owned
from ..core.masking import get_mask
from ..core.scope import scope, unique_name
from ..core.serialize import get
from ..core.stateless import StatelessScope, paired
from ..core.weight import Weight, spend
from ..losses.base import (
    OWN_LOSSES,
    Loss,
    SavesFunction,
    as_tensor,
    converted,
    divide_no_nan,
    dtype_arg,
    merge_mask,
    name_arg,
    same_rank,
    times_weight,
)


def _device(args: tuple, kwargs: Mapping[str, Any]) -> torch.device | None:
    """Where the predictions lie, or else what tensor there is."""
    tensors = [value for value in (*args[:2], *kwargs.values()) if isinstance(value, Tensor)]
    return tensors[min(1, len(tensors) - 1)].device if tensors else None


def _recording(update_state: Callable) -> Callable:
    """Let `update_state` keep no graph and find its state on the device of its arguments. A trial counts nothing."""

    @functools.wraps(update_state)
    def update(self: Metric, *args: Any, **kwargs: Any) -> Any:
        if scope.trying:
            return None
        device = _device(args, kwargs)
        if device is not None and device != self._device:
            self.to(device)
        with torch.no_grad():
            return update_state(self, *args, **kwargs)

    return update


class Metric(Counts, Declared):
    """Base of metrics: subclasses make their state with `add_variable` and give `update_state` and `result`.

    State is updated in place, without waiting for the device, and follows the device of the data. Nothing in
    `update_state` is differentiated.
    """

    _default_dtype = property(lambda self: config.floatx())
    _dtype = property(lambda self: self.dtype)  # Keras' name, which metrics of users' own read
    _direction: Any = None
    _device: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "update_state" in vars(cls):
            cls.update_state = _recording(cls.update_state)
        if "reset_states" in vars(cls) and "reset_state" not in vars(cls):
            cls.reset_state = vars(cls)["reset_states"]

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.dtype: str = converted(self, "dtype", dtype)
        self.name: str = converted(self, "name", name)
        self._variables: list[Weight] = []

    def add_variable(
        self,
        shape: Sequence[int] = (),
        initializer: Any = None,
        dtype: Any = None,
        aggregation: str | None = "sum",
        name: str | None = None,
    ) -> Weight:
        """A piece of state, by default zeros: a tensor with `assign` and `assign_add`. `reset_state` makes it 0."""
        if "_variables" not in vars(self):
            raise RuntimeError(f"{type(self).__name__}: call `super().__init__()` before `add_variable`.")
        kind = dtypes.torch_dtype(dtype or config.floatx())
        spend(shape, kind, f"{type(self).__name__}: state {name!r}")
        with unset_fake_temporarily(), torch.no_grad():  # one made in a trial of `call` counts in calls
            make = get(initializer, "keras.initializers")
            if make is None:
                value = torch.zeros(tuple(shape), dtype=kind, device=self._device)
            else:
                value = as_tensor(make(tuple(shape), dtype=kind), None, kind).clone().to(self._device)
            name = name or unique_name("variable")
            path = f"{self.name}/{name}"
            variable = Weight(value, trainable=False, aggregation=aggregation, name=name, path=path)
        variable.aggregation = aggregation
        self._variables.append(variable)
        return variable

    def add_weight(
        self, shape: Sequence[int] = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Weight:
        return self.add_variable(shape, initializer, dtype, name=name)

    def _zeros(self, *names: str, shape: Sequence[int] = (), dtype: Any = None) -> list[Weight]:
        return [self.add_variable(shape, None, dtype, name=name) for name in names]

    @property
    def variables(self) -> list[Weight]:
        """The state of this metric: variables of its own and in its lists and dictionaries, and of metrics there."""
        own = self._variables
        found = {id(variable): variable for variable in own}
        may = [  # `isinstance` would ask torch's metaclass about each
            each
            for each in vars(self).values()
            if issubclass(type(each), _MAY_HOLD) and each is not own and id(each) not in found
        ]
        for held in pytree.tree_leaves(may) if may else ():
            if isinstance(held, Metric):
                found |= {id(each): each for each in held.variables}
            elif issubclass(type(held), Weight):
                found[id(held)] = held
        return [*found.values()]

    def to(self, device: Any) -> Metric:
        """Move the state to a device."""
        self._device = torch.device(device)
        for variable in self.variables:
            if variable.device != self._device:
                variable.data = variable.data.to(self._device)
        return self

    def reset_state(self) -> None:
        for variable in self.variables:
            if variable.requires_grad:
                variable.assign(torch.zeros_like(variable))
            else:
                variable.zero_()

    def reset_states(self) -> None:
        """The name of Keras 2 and tf.keras for `reset_state`."""
        self.reset_state()

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define `update_state`.")

    def result(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define `result`.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(self, metric_variables: Sequence[Tensor], *args: Any, **kwargs: Any) -> list[Tensor]:
        """The state that `update_state` would make of `metric_variables`; the metric's own stays as it is."""
        return self._aside(metric_variables, lambda: self.update_state(*args, **kwargs))[1]

    def stateless_result(self, metric_variables: Sequence[Tensor]) -> Any:
        return self._aside(metric_variables, self.result)[0]

    def stateless_reset_state(self) -> list[Tensor]:
        return self._aside(self.variables, self.reset_state)[1]

    def _aside(self, values: Sequence[Tensor], act: Callable[[], Any]) -> tuple[Any, list[Tensor]]:
        variables = self.variables
        with StatelessScope(paired(self, "metric_variables", variables, values)) as stateless:
            made = act()
        return made, [stateless.value_of(variable) for variable in variables]

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, **super().get_config()}


_MAY_HOLD = Metric, Weight, list, tuple, dict


class DeclaredMetric(Metric):
    """Base of Lamina's own metrics: arguments are declared, `check` and `make_state` follow them."""

    _comes_last = ("name", "dtype")
    name: str = name_arg()
    dtype: str = dtype_arg()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._variables = []
        Declared.__init__(self, *args, **kwargs)
        self.make_state()

    def make_state(self) -> None:
        """Hook: make the state, after all arguments are set."""


def samplewise(
    values: Any, sample_weight: Any, reduce: Callable[..., Tensor], dtype: torch.dtype
) -> tuple[Tensor, Tensor | None]:
    """One value a sample, and its weight: values are weighed along the axes of the weights, then reduced over
    all axes but the first."""
    mask = get_mask(values)
    values = as_tensor(values, None, dtype)
    weight = None
    if sample_weight is not None:
        merged = merge_mask(sample_weight, mask, values, dtype)
        values, weight = same_rank(values, merged)
        if values.ndim > weight.ndim:
            values = reduce(values, dim=tuple(range(weight.ndim, values.ndim)))
        values = times_weight(values, weight, "the values")
        weight = weight.expand_as(values)
        if weight.ndim > 1:
            weight = reduce(weight, dim=tuple(range(1, weight.ndim)))
    if values.ndim > 1:
        values = reduce(values, dim=tuple(range(1, values.ndim)))
    return values, weight


class Sum(DeclaredMetric):
    """The weighted sum of all values."""

    name: str = name_arg("sum")

    def make_state(self) -> None:
        (self.total,) = self._zeros("total", dtype=self.dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, _ = samplewise(values, sample_weight, torch.sum, dtypes.TYPES[self.dtype])
        self.total += values.sum()

    def result(self) -> Tensor:
        return self.total.clone()


class Mean(DeclaredMetric):
    """The weighted mean of all values; 0 before the first."""

    name: str = name_arg("mean")
    _samplewise = staticmethod(samplewise)

    def make_state(self) -> None:
        self.total, self.count = self._zeros("total", "count", dtype=self.dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, weight = self._samplewise(values, sample_weight, torch.mean, dtypes.TYPES[self.dtype])
        total, count = values.sum(), math.prod(values.shape[:1]) if weight is None else weight.sum()
        if not values.ndim:
            total, count = shares.counted_once(total, count)
        self.total += total
        self.count += count

    def result(self) -> Tensor:
        return divide_no_nan(self.total, self.count)


class MeanMetricWrapper(SavesFunction, Mean):
    """The mean of a function `fn(y_true, y_pred, **kwargs)`, weighed by sample weights and the mask of `y_pred`."""

    _homes = ("keras.metrics", "keras.losses")
    name: str = name_arg()

    def __init__(self, fn: Callable, name: str | None = None, dtype: Any = None, **kwargs: Any):
        Metric.__init__(self, dtype, name)
        self.fn, self._kwargs = fn, owned(kwargs)
        self._direction = "down" if fn in OWN_LOSSES or isinstance(fn, Loss) else None
        self.make_state()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        mask = get_mask(y_pred)
        values = as_tensor(self.fn(y_true, y_pred, **self._kwargs))
        if mask is not None:
            sample_weight = merge_mask(sample_weight, mask, values, dtypes.TYPES[self.dtype])
        super().update_state(values, sample_weight)


class FunctionMetric(MeanMetricWrapper):
    """Base of the means of Lamina's functions: `class Name(FunctionMetric, fn=function, direction="up")`.

    The arguments of the class that are not every metric's are handed to the function by name.
    """

    __init__, get_config = DeclaredMetric.__init__, DeclaredMetric.get_config  # type: ignore[assignment]
    _shown_args = DeclaredMetric._shown_args  # type: ignore[assignment]
    from_config = classmethod(DeclaredMetric.from_config.__func__)  # type: ignore[assignment]

    def __init_subclass__(cls, fn: Callable | None = None, direction: str | None = None, **kwargs: Any) -> None:
        if fn is not None:
            cls.fn, cls._direction = staticmethod(fn), direction
            if "name" not in vars(cls):
                cls.name = name_arg(fn.__name__)
        super().__init_subclass__(**kwargs)

    def check(self) -> None:
        self._kwargs = {key: getattr(self, key) for key in self._args if key not in ("name", "dtype")}


class PlainMetric(FunctionMetric):
    """The mean of a function, with the name and dtype first."""

    _comes_last = ()
