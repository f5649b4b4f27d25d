"""What all optimizers share: state, learning rate, clipping, decay, averages, accumulation. Rules add the update."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor

from ..core import config as settings
from ..core import serialize, shares
from ..core.declare import Arg, Declared, Kind, arg, boolean, integer, number, signature, text
from ..core.dtypes import torch_dtype
from ..core.errors import short
from ..core.layer import snake_case, unique_name
from ..core.placing import whole
from ..core.stateless import StatelessScope, paired
from ..core.weight import Changes, Weight, assign_all
from .schedules import rate_function

Number: TypeAlias = Any  # a float, or a tensor in capturable mode, where the host does not know the value
lists: Any = torch  # its fused rules and functions on lists of tensors, which type checkers hold for private


def _rate(value: Any, owner: Any) -> Any:
    if isinstance(value, Mapping):
        value = serialize.deserialize(value, homes=("keras.optimizers.schedules",))
    return value if callable(value) else float(number(0).convert(value, owner))


rate = Kind(
    "a non-negative number, a LearningRateSchedule or a function without arguments", _rate, bad=(-0.1, "fast", None)
)
fraction = number(0, 1, below=True)


# Arithmetic on lists of tensors with a factor that is a number or a tensor ---------------------------------------


def typed_as(factor: Number, tensors: Sequence[Tensor]) -> Number:
    """A factor in the tensors' type, in which one kernel takes it for all of them."""
    return factor.to(tensors[0].dtype) if isinstance(factor, Tensor) else factor


def raise_by(tensors: Sequence[Tensor], amount: Number) -> None:
    """tensors += amount"""
    # A list of one tensor, since a single one to add is read back, which a CUDA graph being recorded forbids.
    lists._foreach_add_(tensors, [typed_as(amount, tensors)] * len(tensors) if isinstance(amount, Tensor) else amount)


def shrink(weights: list[Tensor], amount: Number) -> None:
    """weights -= amount * weights"""
    lists._foreach_mul_(weights, typed_as(1 - amount, weights))


def descend(weights: list[Tensor], updates: Sequence[Tensor], amount: Number) -> None:
    """weights -= amount * updates"""
    if isinstance(amount, float):
        lists._foreach_add_(weights, updates, alpha=-amount)
    else:
        lists._foreach_sub_(weights, lists._foreach_mul(updates, typed_as(amount, updates)))


def descend_quotient(
    weights: list[Tensor], numerators: Sequence[Tensor], denominators: Sequence[Tensor], amount: Number
) -> None:
    """weights -= amount * numerators / denominators"""
    if isinstance(amount, float):
        lists._foreach_addcdiv_(weights, numerators, denominators, -amount)
    else:
        descend(weights, lists._foreach_div(numerators, denominators), amount)


def approach(values: list[Tensor], targets: list[Tensor], amount: Number) -> None:
    """values += amount * (targets - values)"""
    if isinstance(amount, float):
        lists._foreach_lerp_(values, targets, amount)
    else:
        descend(values, lists._foreach_sub(values, targets), amount)


def average_squares(averages: list[Tensor], values: Sequence[Tensor], keep: float) -> None:
    """averages = keep * averages + (1 - keep) * values^2"""
    lists._foreach_mul_(averages, keep)
    lists._foreach_addcmul_(averages, values, values, 1 - keep)


# Weights and gradients -------------------------------------------------------------------------------------------


def _format(tensor: Tensor) -> tuple:
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device


_LARGE = 6000  # values of a weight from which views take less time than a copy of its gradient


@dataclass
class Group:
    """Weights that one kernel call updates, their places in the optimizer, and tensors for each slot of state.

    layout: the mesh and the placements of weights that are shared out over processes. stored: these, where `weights`
    are the parts that are here or, for rules that see whole weights, copies.
    """

    index: list[int]
    weights: list[Tensor]
    state: dict[str, list[Tensor]]
    formats: list[tuple]
    decays: bool
    kind: Any
    layout: tuple | None = None
    stored: Sequence[Any] = ()
    in_parts: bool = False

    def only(self, present: Sequence[int]) -> Group:
        """The group of the weights at these positions alone."""

        def pick(items: list) -> list:
            return [items[i] for i in present]

        state = {name: pick(tensors) for name, tensors in self.state.items()}
        picked = {
            name: pick(vars(self)[name]) for name in ("index", "weights", "formats", "stored") if vars(self)[name]
        }
        return replace(self, state=state, **picked)

    def here(self, in_parts: bool) -> Group:
        """Weights and state that are shared out as the parts that this process has, or put together."""

        def taken(tensors: Sequence[Any]) -> list[Tensor]:
            return [part(tensor) if in_parts else whole(tensor) for tensor in tensors]

        from ..core.sharded import part

        weights, state = taken(self.weights), {name: taken(tensors) for name, tensors in self.state.items()}
        formats = [*map(_format, weights)]
        return replace(self, weights=weights, state=state, formats=formats, stored=self.weights, in_parts=in_parts)

    def as_they_lie(self, *slots: list[Tensor]) -> Sequence[list[Tensor]]:
        """Lists of tensors, one for each weight, with large ones as contiguous views of themselves.

        torch's fused rules on a CPU (as of 2.13) copy each gradient that is not contiguous, to no purpose.
        """
        if not self._turned or torch._C._len_torch_function_stack():  # a mode finds weights, not their views
            return slots
        seen = [[*tensors] for tensors in slots]
        for place, order in self._turned:
            for tensors in filter(None, seen):
                tensors[place] = tensors[place].permute(order)
        return seen

    @cached_property
    def _turned(self) -> list[tuple[int, list[int]]]:
        """The places of large weights on a CPU that lie in memory by another order of their axes, and this order."""
        found = []
        for place, (shape, strides, _, device) in enumerate(self.formats):
            order = sorted(range(len(shape)), key=strides.__getitem__, reverse=True)
            if device.type == "cpu" and shape.numel() >= _LARGE and order != sorted(order):
                found.append((place, order))
        return found

    def put_back(self) -> None:
        """Write copies of whole weights to these."""
        if not self.in_parts:
            for stored, weight in zip(self.stored, self.weights, strict=bool(self.stored)):
                stored.copy_(weight)

    def norms(self, tensors: Sequence[Tensor]) -> Tensor:
        """The norm of each tensor; where these are parts, that of the whole."""
        found = torch.stack(lists._foreach_norm(tensors))
        if not self.in_parts:
            return found
        from ..core.sharded import total

        return total(found.square(), self.layout).sqrt()

    def aligned(self, grads: list[Any]) -> list[Tensor]:
        """The gradients in the weights' memory order, which fused kernels rely on. Copies only where it differs."""
        if self.layout is not None:
            from ..core.sharded import part

            grads = [
                part(grad, stored) if self.in_parts else grad.full_tensor()
                for grad, stored in zip(grads, self.stored, strict=True)
            ]
        if [_format(grad) for grad in grads] == self.formats:
            return grads
        return [_align(*pair) for pair in zip(grads, self.weights, self.formats, strict=True)]


def _plain(weight: Tensor) -> Tensor:
    """A weight as a tensor that no call looks at twice; a StatelessScope finds the weight by it."""
    with torch._C.DisableTorchFunction():
        tensor: Any = weight.detach()
    tensor.stands_for = weight
    return tensor


def _align(grad: Tensor, weight: Tensor, expected: tuple) -> Tensor:
    if _format(grad) == expected:
        return grad
    shape, strides, dtype, device = expected
    if _format(weight) != expected:
        raise ValueError(
            f"Weight {path_of(weight)!r} changed its type, device or memory order after the optimizer was built; "
            "make and build the optimizer after moving or converting the model."
        )
    if grad.shape != shape:
        raise ValueError(
            f"Gradient of {path_of(weight)!r}: expected shape {tuple(shape)}; got {tuple(grad.shape)}. "
            "Give one gradient for each weight, in the same order."
        )
    in_order = all(size == 1 or a == b for size, a, b in zip(shape, grad.stride(), strides, strict=True))
    if in_order and grad.dtype is dtype and grad.device == device:
        return grad.as_strided(shape, strides)
    return torch.empty_strided(shape, strides, dtype=dtype, device=device).copy_(grad)


def path_of(weight: Any) -> str:
    return getattr(weight, "path", None) or "weight"


class _Arguments(Declared):
    """The arguments of every optimizer, in a class of their own so that `learning_rate` can also be a property."""

    learning_rate: Any = arg(rate, doc="Step size.", config=False)
    weight_decay: float | None = arg(
        number(0).optional(), default=None, doc="Each step first shrinks the weights by learning_rate * weight_decay."
    )
    clipnorm: float | None = arg(number(0).optional(), default=None, doc="Largest norm of each weight's gradient.")
    clipvalue: float | None = arg(number(0).optional(), default=None, doc="Largest size of a gradient's entries.")
    global_clipnorm: float | None = arg(
        number(0).optional(), default=None, doc="Largest norm of all gradients together."
    )
    use_ema: bool = arg(boolean, default=False, doc="Keep a moving average of the weights.")
    ema_momentum: float = arg(number(0, 1), default=0.99, doc="Share of the old average kept each step.")
    ema_overwrite_frequency: int | None = arg(
        integer(1).optional(), default=None, doc="Set the weights to their average every so many steps."
    )
    loss_scale_factor: float | None = arg(
        number().optional(), default=None, doc="`scale_loss` multiplies by it, each step divides the gradients by it."
    )
    gradient_accumulation_steps: int | None = arg(
        integer(2).optional(), default=None, doc="Update once in so many steps, with the mean of their gradients."
    )
    name: str | None = arg(text.optional(), default=None, doc="Name in configs and files.")


# Those of rules come behind the learning rate.
_Arguments._comes_last = tuple(_Arguments._args)[1:]


def _with_more(self: Any, grads: Sequence[Tensor | None]) -> None:
    """One step by a `_backend_apply_gradients` of one's own, of the weights that have gradients."""
    pairs = [(grad, weight) for grad, weight in zip(grads, self._weights, strict=True) if grad is not None]
    self._backend_apply_gradients([grad for grad, _ in pairs], [weight for _, weight in pairs])


class Optimizer(_Arguments):
    """Base of all optimizers; works on any list of torch Parameters.

        optimizer = Adam(1e-3)
        optimizer.build(parameters)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    A rule of one's own defines `build` (make state with `add_variable_from_reference`) and
    `update_step(gradient, variable, learning_rate)` for one weight.

    Weights may lie in any dense memory order; state and gradients take the same. `capturable = True` keeps step
    counter and learning rate on the weights' device, so that a CUDA graph can hold the step.

    Of weights that processes share out (`lamina.distribution`) each process updates its part; rules that look at more
    than one value at a time, and those of users, see whole weights, and keep state of that size.
    """

    _in_parts: ClassVar[bool] = False  # whether the rule looks at each value alone
    _one_by_one: ClassVar[bool] = True  # whether the rule is a method for one weight
    _rules_of_one: ClassVar[frozenset[str]] = frozenset({"update_step"})  # such methods, that users write

    def __init_subclass__(cls, bare: bool = False, **kwargs: Any) -> None:
        """bare: it takes its own arguments alone, and has the defaults of the others."""
        own = [name for name, value in vars(cls).items() if isinstance(value, Arg)]
        super().__init_subclass__(**kwargs)
        if bare:
            for name in _Arguments._args.keys() - {*own, *vars(cls)}:
                setattr(cls, name, _Arguments._args[name].default)
            cls._args = {name: cls._args[name] for name in own}
            cls.__signature__ = signature(cls)
        mixed_in = itertools.takewhile(lambda base: not hasattr(base, "_rules_of_one"), cls.__mro__[1:])
        written = {name for base in (cls, *mixed_in) for name in vars(base)}
        if written & {"_rule", "_update"}:
            cls._one_by_one = False
        elif written & cls._rules_of_one:
            cls._one_by_one = True
        if "_backend_apply_gradients" in written:
            cls._apply = _with_more  # pyright: ignore[reportAttributeAccessIssue]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.pop("decay", None) is not None:
            warnings.warn(
                f"{type(self).__name__} ignores `decay`; pass a schedule such as InverseTimeDecay as `learning_rate`.",
                stacklevel=2,
            )
        self.built = False
        self._variables: list[Weight] = []
        self._scalars: list[Weight] = []
        self._slots: dict[str, list[Weight | None]] = {}
        self._weights: list[Tensor] = []
        self._places: dict[int, int] = {}
        self._unbuilt = 0  # how many variables there were before `build`
        self._groups: list[Group] | None = None
        self._constrained: list[Any] = []  # the weights that have constraints, as of `_changes`
        self._changes = -1
        self._spared: tuple[frozenset[int], re.Pattern | None] = (frozenset(), None)
        self._capturable = False
        self._iterations = self._add_scalar(0, self._counted_in, "iteration")
        super().__init__(*args, **kwargs)
        self.name = self.name or unique_name(snake_case(type(self).__name__))
        for variable in self._variables:
            variable.path = f"{self.name}/{variable.name}"

    _clips_one_way: ClassVar[bool] = True
    _counted_in = torch.int32

    def check(self) -> None:
        clips = {name: getattr(self, name) for name in ("clipnorm", "clipvalue", "global_clipnorm")}
        if self._clips_one_way and sum(value is not None for value in clips.values()) > 1:
            given = ", ".join(f"{name}={value}" for name, value in clips.items())
            rule = "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set"
            raise ValueError(f"{type(self).__name__}: {rule}; got {given}.")

    # Learning rate and step counter ------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> Any:
        """The current learning rate; `optimizer.learning_rate = 1e-4` or `.assign(1e-4)` changes it."""
        if isinstance(self._learning_rate, Weight):
            return self._learning_rate
        return torch.as_tensor(self._rate_function(self._iterations.detach()), dtype=torch_dtype(settings.floatx()))

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        value = self._args["learning_rate"].convert(value, self)
        current = vars(self).get("_learning_rate")
        if callable(value):
            self._learning_rate, self._rate_function = value, rate_function(value)
            self._variables = [variable for variable in self._variables if variable is not current]
        elif current is None:
            self._learning_rate = self._add_scalar(value, torch_dtype(settings.floatx()), "learning_rate")
        elif isinstance(current, Weight):
            current.assign(value)
        else:
            raise TypeError(
                f"{type(self).__name__} takes its learning rate from {short(current)}; a number cannot replace it. "
                "Make the optimizer with a number, or set another schedule."
            )

    @property
    def iterations(self) -> Tensor:
        """Updates made so far."""
        if self.gradient_accumulation_steps:
            return self._iterations.detach() // self.gradient_accumulation_steps
        return self._iterations

    @property
    def capturable(self) -> bool:
        """Whether step counter and learning rate are tensors on the weights' device, and no step waits for the host."""
        return self._capturable

    @capturable.setter
    def capturable(self, value: bool) -> None:
        self._set_capturable(value)

    def _set_capturable(self, value: bool) -> None:
        for name in ("gradient_accumulation_steps", "ema_overwrite_frequency"):
            if value and getattr(self, name):
                raise ValueError(f"{type(self).__name__}: `{name}` differs from step to step; it cannot be captured.")
        self._require_built("capturable")
        self._capturable = bool(value)
        device = self._weights[0].device if value and self._weights else torch.device("cpu")
        for variable in self._scalars:
            variable.data = variable.data.to(device)

    # State -------------------------------------------------------------------------------------------------------

    def build(self, variables: Iterable[Tensor]) -> None:
        """Make the state for these weights. Raises ValueError for weights with gaps in memory."""
        if not self.built:
            self._unbuilt = len(self.variables)
            self._take(list(variables))
            self.built = True

    _serves_several = False  # models, one after the other: those that come later bring their weights

    def _take(self, weights: list[Tensor]) -> None:
        """Make the state for these weights, behind that of others."""
        for weight in weights:
            if not getattr(weight, "sharded", False) and torch.empty_like(weight).stride() != weight.stride():
                raise ValueError(
                    f"{type(self).__name__}: weight {path_of(weight)!r} is a view with gaps in memory; "
                    "optimize a contiguous tensor."
                )
        self._places |= {id(weight): place for place, weight in enumerate(weights, len(self._weights))}
        self._weights, self._groups, self._changes = [*self._weights, *weights], None, -1
        self._decays = [self._use_weight_decay(weight) for weight in self._weights]
        for names in self._slot_names():
            slots = [self._slots.setdefault(name, []) for name in names]
            for weight in weights:
                for name, made in zip(names, slots, strict=True):
                    made.append(self._make_slot(name, weight))

    def _slot_names(self) -> list[tuple[str, ...]]:
        """Names of the state tensors of each weight; those in one tuple take turns in `variables`."""
        names = [("average",)] if self.use_ema else []
        names += [("gradient_accumulator",)] if self.gradient_accumulation_steps else []
        return [*names, *self._slots_of_rule()]

    _state_of_weight: ClassVar[tuple[str, ...]] = ()  # names of its state tensors, where no argument changes them

    def _slots_of_rule(self) -> list[tuple[str, ...]]:
        return [self._state_of_weight] if self._state_of_weight else []

    def _make_slot(self, name: str, weight: Tensor) -> Weight | None:
        """A state tensor; None if this weight has none of that name."""
        value = self._initial(name, weight.detach() if self._in_parts else whole(weight).detach())
        return self._add(value, f"{path_of(weight).replace('/', '_')}_{name}")

    def _initial(self, name: str, weight: Tensor) -> Tensor:
        """First value of a slot."""
        return torch.zeros_like(weight)

    def _add(self, value: Tensor, name: str) -> Weight:
        prefix = vars(self).get("name")
        made: Callable[..., Any] = Weight
        if hasattr(value, "placements"):
            from ..core.sharded import Sharded as made
        variable: Any = made(value, trainable=False, name=name, path=f"{prefix}/{name}" if prefix else name)
        self._variables.append(variable)
        return variable

    def _add_scalar(self, value: float, dtype: torch.dtype, name: str) -> Weight:
        """State that is read as a number at every step: on the CPU, unless the optimizer is capturable."""
        self._scalars.append(self._add(torch.tensor(value, dtype=dtype), name))
        return self._scalars[-1]

    def add_variable(
        self, shape: Sequence[int], initializer: Any = "zeros", dtype: Any = None, name: str | None = None
    ) -> Weight:
        """A state tensor of any shape."""
        value = _initialized(initializer, shape, torch_dtype(dtype or settings.floatx()))
        device = self._weights[0].device if self._weights and len(shape) else None
        return self._add(value.to(device), name or unique_name("variable"))

    def add_variable_from_reference(
        self, reference_variable: Tensor, name: str | None = None, initializer: Any = "zeros"
    ) -> Weight:
        """A state tensor of a weight's shape, type and memory order."""
        reference = whole(reference_variable).detach()
        value = torch.zeros_like(reference)
        if initializer != "zeros":
            value.copy_(_initialized(initializer, reference.shape, reference.dtype))
        return self._add(value, f"{path_of(reference_variable).replace('/', '_')}_{name or 'var'}")

    def add_optimizer_variables(
        self, trainable_variables: Iterable[Tensor], name: str | Sequence[str], initializer: Any = "zeros"
    ) -> Any:
        """State tensors for every weight: a list, or for several names one list for each."""
        names = [name] if isinstance(name, str) else list(name)
        initializers = list(initializer) if isinstance(initializer, (list, tuple)) else [initializer] * len(names)
        if len(names) != len(initializers):
            raise ValueError(
                f"add_optimizer_variables: expected one initializer or {len(names)}, one for each name; "
                f"got {len(initializers)}."
            )
        made = tuple([] for _ in names)
        for variable in trainable_variables:
            for i, one in enumerate(names):
                made[i].append(self.add_variable_from_reference(variable, one, initializers[i]))
        return made[0] if isinstance(name, str) else made

    @property
    def variables(self) -> list[Weight]:
        """Step counter, learning rate (unless it is a schedule), then the state, in the order of Keras' files."""
        return self._variables[:]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all of `variables`. Raises ValueError if the optimizer is not built or a shape differs."""
        self._require_built("set_weights")
        assign_all(self, self.variables, weights)

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Write the state into `store` as arrays "0", "1", ..."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Read what `save_own_variables` wrote; warns and reads nothing if the number of arrays differs.

        What an optimizer wrote that was not built yet is the state before the first step, and is read as that.
        """
        variables = self.variables
        if len(store) == self._unbuilt and not self._iterations.any() and not torch.as_tensor(store["0"][()]).any():
            variables = variables[: self._unbuilt]
        if len(store) != len(variables):
            warnings.warn(
                f"State of optimizer {self.name!r} not loaded: it has {len(variables)} variables, the stored one "
                f"{len(store)}. {'Are model and arguments the same?' if self.built else 'Build it first.'}",
                stacklevel=2,
            )
            return
        values = (store[str(place)] for place in range(len(variables)))
        assign_all(self, variables, [value if hasattr(value, "into") else value[()] for value in values])

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_groups": None, "_changes": -1, "_places": {}, "_rate_function": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._places = {id(weight): place for place, weight in enumerate(self._weights)}
        self._rate_function = rate_function(self._learning_rate)

    def _require_built(self, what: str) -> None:
        if not self.built:
            raise ValueError(
                f"{type(self).__name__}: `{what}` needs a built optimizer; call `optimizer.build(weights)` first."
            )

    # The step ----------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Update the weights from their `.grad`."""
        self._require_built("step")
        self.apply([weight.grad for weight in self._weights])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the weights' gradients."""
        for weight in self._weights:
            if set_to_none:
                weight.grad = None
            elif weight.grad is not None:
                weight.grad.zero_()

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Tensor | None, Tensor]]) -> Tensor:
        """Update from pairs of gradient and weight; returns the step counter."""
        pairs = list(grads_and_vars)
        self.apply([grad for grad, _ in pairs], [weight for _, weight in pairs])
        return self._iterations

    def apply(self, grads: Sequence[Tensor | None], trainable_variables: Iterable[Tensor] | None = None) -> None:
        """Update the weights: those the optimizer was built with, or some of them.

        Raises ValueError for weights it was not built with and if there is no gradient at all; warns of single ones.
        """
        if not len(grads):
            return
        if shares.present is not None:
            trainable_variables = None if trainable_variables is None else list(trainable_variables)
            grads = shares.present.reduce(grads, trainable_variables or self._weights)
        if trainable_variables is not None:
            grads = self._in_order(list(grads), list(trainable_variables))
        else:
            self._require_built("apply")
            others = len(self._weights) - len(grads)
            if others and not (self._serves_several and others > 0):
                raise ValueError(
                    f"{type(self).__name__}: expected {len(self._weights)} gradients, one for each weight; "
                    f"got {len(grads)}."
                )
            self._warn_missing(grads, self._weights[: len(grads)])
            grads = [*grads, *[None] * others] if others else grads
        with torch.no_grad():
            self._apply(grads)

    def stateless_apply(
        self, optimizer_variables: Sequence[Tensor], grads: Sequence[Tensor], trainable_variables: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """What `apply` would make of other values of the weights and of `variables`, in this order.

        Raises ValueError for an optimizer that is not built, and for other numbers of values.
        """
        self._require_built("stateless_apply")
        pairs = [
            *paired(self, "trainable_variables", self._weights, trainable_variables),
            *paired(self, "optimizer_variables", self.variables, optimizer_variables),
        ]
        with StatelessScope(pairs) as stateless:
            self.apply(grads)
        weights, state = ([*map(stateless.value_of, own)] for own in (self._weights, self.variables))
        return weights, state

    def _in_order(self, grads: list[Tensor | None], weights: list[Tensor]) -> list[Tensor | None]:
        """A gradient or None for each weight the optimizer was built with; builds it if need be."""
        if not self.built or self._serves_several:
            self.build(weights)
        self._warn_missing(grads, weights)
        ordered: list[Tensor | None] = [None] * len(self._weights)
        for grad, weight in zip(grads, weights, strict=True):
            if id(weight) not in self._places:
                raise ValueError(
                    f"{type(self).__name__} was built without the weight {path_of(weight)!r}; "
                    "make a new optimizer for another set of weights."
                )
            if grad is not None and not isinstance(grad, Tensor):
                grad = torch.as_tensor(grad, dtype=weight.dtype, device=weight.device)
            ordered[self._places[id(weight)]] = grad
        return ordered

    def _warn_missing(self, grads: Sequence[Tensor | None], weights: list[Tensor]) -> None:
        missing = [path_of(weight) for grad, weight in zip(grads, weights, strict=True) if grad is None]
        if missing and len(missing) == len(weights):
            raise ValueError(
                f"{type(self).__name__}: No gradients provided for any variable. Was `loss.backward()` called, and "
                "does the loss depend on the weights?"
            )
        if missing:
            warnings.warn(f"The loss does not depend on these weights: {', '.join(missing)}.", stacklevel=4)

    def _backend_apply_gradients(self, grads: Sequence[Tensor], trainable_variables: Sequence[Tensor]) -> None:
        """One step, which optimizers of one's own extend, as in Keras 3."""
        Optimizer._apply(self, self._in_order(list(grads), list(trainable_variables)))

    def _apply(self, grads: Sequence[Tensor | None]) -> None:
        """One step with a gradient or None for each weight, in order, with autograd off."""
        groups = self._grouped()
        if any(group.layout for group in groups):
            groups = [group.here(self._in_parts) if group.layout else group for group in groups]
        pairs = self._pairs(grads, groups)
        if self.loss_scale_factor is not None:
            pairs = [(group, lists._foreach_div(found, self.loss_scale_factor)) for group, found in pairs]
        done: Any = self._iterations.detach().double() if self._capturable else self._iterations.item()
        updates = done
        if self.gradient_accumulation_steps:
            updates, rest = divmod(done, self.gradient_accumulation_steps)
            pairs = self._accumulate(pairs, groups, last=rest == self.gradient_accumulation_steps - 1)
        if pairs:
            self._update_all(self._clip(pairs), self._current_rate(), updates + 1)
        if self.use_ema:
            self._average(groups, updates)
        for group in groups:
            group.put_back()
        if self._changes != Changes.count:
            self._constrained = [w for w in self._weights if getattr(w, "constraint", None) is not None]
            self._changes = Changes.count
        for weight in self._constrained:
            weight.copy_(weight.constraint(whole(weight)))
        self._iterations.add_(1)

    def _pairs(self, grads: Sequence[Tensor | None], groups: list[Group]) -> list:
        """The weights that have gradients, in groups, and these."""
        pairs = []
        for group in groups:
            present = [i for i, place in enumerate(group.index) if grads[place] is not None]
            if present:
                group = group if len(present) == len(group.index) else group.only(present)
                pairs.append((group, group.aligned([grads[place] for place in group.index])))
        return pairs

    def _grouped(self) -> list[Group]:
        """The weights by device, type and treatment: made at the first step, as rules may make state after `build`."""
        if self._groups is None:
            found: dict[tuple, list[int]] = {}
            for place, weight in enumerate(self._weights):
                of: Any = weight
                layout = getattr(weight, "sharded", False) and (of.device_mesh, of.placements)
                key = (weight.device, weight.dtype, self._decays[place], self._kind(weight), layout or None)
                found.setdefault(key, []).append(place)
            self._groups = [self._group(places, *key[2:]) for key, places in found.items()]
        return self._groups

    def _group(self, places: list[int], decays: bool, kind: Any, layout: Any) -> Group:
        weights = [self._weights[place] for place in places]
        state = {}
        for name, made in self._slots.items():
            tensors = [_plain(tensor) for place in places if (tensor := made[place]) is not None]
            if len(tensors) == len(places):
                state[name] = tensors
        return Group(places, weights, state, [_format(weight) for weight in weights], decays, kind, layout)

    def _kind(self, weight: Tensor) -> Any:
        """What sets weights apart that the rule treats differently."""
        return None

    def _current_rate(self) -> Number:
        if not isinstance(self._learning_rate, Weight):
            value = self._rate_function(self._iterations.detach())
            return value if self._capturable else float(value)
        return self._learning_rate.detach() if self._capturable else self._learning_rate.item()

    def _accumulate(self, pairs: list, groups: list[Group], last: bool) -> list:
        """Add to the sums; in the last step return their means and start afresh, else return nothing to do."""
        means = []
        for group, grads in pairs:
            sums = group.state["gradient_accumulator"]
            lists._foreach_add_(sums, grads)
            if last:
                means.append((group, lists._foreach_div(sums, self.gradient_accumulation_steps)))
        if last:
            for group in groups:
                lists._foreach_zero_(group.state["gradient_accumulator"])
        return means

    def _clip(self, pairs: list) -> list:
        if self.clipnorm:
            limit = self.clipnorm
            norms = [group.norms(grads) for group, grads in pairs]
            pairs = [
                (group, lists._foreach_mul(grads, (limit / norm.clamp(min=limit)).unbind()))
                for (group, grads), norm in zip(pairs, norms, strict=True)
            ]
        if self.global_clipnorm:
            norms = [group.norms(grads) for group, grads in pairs]
            norm = torch.linalg.vector_norm(torch.cat([each.to(norms[0]) for each in norms]))
            # An infinite norm makes every gradient NaN, as in Keras, instead of a silent zero.
            scale = self.global_clipnorm / norm.clamp(min=self.global_clipnorm) + (norm - norm)
            pairs = [(group, lists._foreach_mul(grads, scale.to(grads[0]))) for group, grads in pairs]
        if self.clipvalue:
            limit = self.clipvalue
            pairs = [
                (group, lists._foreach_clamp_max(lists._foreach_clamp_min(grads, -limit), limit))
                for group, grads in pairs
            ]
        return pairs

    def _update_all(self, pairs: list, rate: Number, step: Number) -> None:
        for group, grads in pairs:
            decay = (self._decay_of(group) or 0.0) if group.decays else 0.0
            if self._one_by_one:
                self._update_each(group, grads, rate, decay)
            else:
                self._update(group, grads, rate, step, decay)

    def _update(self, group: Group, grads: list[Tensor], rate: Number, step: Number, decay: float) -> None:
        """Decay, then the rule; rules whose kernel can do both override it. `step` counts from 1."""
        if decay:
            shrink(group.weights, rate * decay)
        self._rule(group, grads, rate, step)

    def _rule(self, group: Group, grads: list[Tensor], rate: Number, step: Number) -> None:
        raise NotImplementedError

    def _update_each(self, group: Group, grads: list[Tensor], rate: Number, decay: float) -> None:
        if decay:
            shrink(group.weights, rate * decay)
        copies = dict(zip(map(id, group.weights), group.index, strict=True)) if group.layout else {}
        self._places |= copies
        for weight, grad in zip(group.weights, grads, strict=True):
            self._step_of(grad, weight, rate)
        for copy in copies:
            del self._places[copy]

    def _step_of(self, gradient: Tensor, variable: Tensor, rate: Number) -> None:
        self.update_step(gradient, variable, rate)

    def update_step(self, gradient: Tensor, variable: Tensor, learning_rate: Any) -> None:
        """Update one weight: what an optimizer of one's own defines."""
        raise NotImplementedError(
            f"{type(self).__name__} defines no `update_step(self, gradient, variable, learning_rate)`."
        )

    def assign(self, variable: Tensor, value: Any) -> None:
        target = variable if getattr(variable, "sharded", False) else variable.detach()
        with torch.no_grad():
            target.copy_(torch.as_tensor(value))

    def assign_add(self, variable: Tensor, value: Any) -> None:
        variable.detach().add_(value)

    def assign_sub(self, variable: Tensor, value: Any) -> None:
        variable.detach().sub_(value)

    def _get_variable_index(self, variable: Tensor) -> int:
        return self._places[id(variable)]

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss to differentiate."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    # Averages and decay ------------------------------------------------------------------------------------------

    _averages_begin_with_weights = False  # those before the first update

    def _average(self, groups: list[Group], updates: Number) -> None:
        """Move the averages towards the weights: all the way at first, `1 - ema_momentum` of it later."""
        if self._averages_begin_with_weights:
            share: Number = 1 - self.ema_momentum
        elif isinstance(updates, Tensor):
            share = 1 - self.ema_momentum * (updates != 0)
        else:
            share = 1 - self.ema_momentum if updates else 1.0
        overwrite = self.ema_overwrite_frequency and (updates + 1) % self.ema_overwrite_frequency == 0
        for group in groups:
            approach(group.state["average"], group.weights, share)
            if overwrite:
                lists._foreach_copy_(group.weights, group.state["average"])

    def finalize_variable_values(self, var_list: Iterable[Tensor]) -> None:
        """With `use_ema`, set the weights to their averages, as at the end of training."""
        if self.use_ema:
            for variable in var_list:
                self.assign(variable, self._slots["average"][self._places[id(variable)]])

    def exclude_from_weight_decay(
        self, var_list: Iterable[Tensor] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Spare these weights, and those whose name matches one of the patterns. To be called before `build`."""
        if self.built:
            raise ValueError(f"{type(self).__name__}: call `exclude_from_weight_decay` before the optimizer is built.")
        pattern = re.compile("|".join(var_names)) if var_names else None
        self._spared = frozenset(id(weight) for weight in var_list or ()), pattern

    def _use_weight_decay(self, variable: Tensor) -> bool:
        spared, pattern = self._spared
        return id(variable) not in spared and not (pattern and pattern.search(getattr(variable, "name", None) or ""))

    def _decay_of(self, group: Group) -> float | None:
        return self.weight_decay

    # Configs -----------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if "learning_rate" in self._args:
            current = self._learning_rate
            config["learning_rate"] = float(current) if isinstance(current, Weight) else serialize.serialize(current)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        with serialize.custom_object_scope(custom_objects or {}):
            return cls(**config)

    def __repr__(self) -> str:
        config = self.get_config()
        shown = []
        for name, declared in self._args.items():
            value = config.get(name)
            value = float(f"{value:.7g}") if isinstance(value, float) else value
            if value != declared.default and name != "name":
                shown.append(f"{name}={short(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


Optimizer.__signature__ = signature(Optimizer)  # its own __init__ only prepares the state


class Rule(Optimizer):
    """Base of Keras' own optimizers."""

    _in_parts = True
    learning_rate: float = arg(rate, default=0.001, doc="Step size.", config=False)

    def update_step(self, gradient: Tensor, variable: Tensor, learning_rate: Any) -> None:
        """Update one weight by the rule; what a subclass may do in another way."""
        self._require_built("update_step")
        place = self._places[id(variable)]
        group = next(group for group in self._grouped() if place in group.index)
        group = group.only([group.index.index(place)])
        if group.layout:
            group, grads = replace(group.here(self._in_parts), weights=[variable]), [gradient]
        else:
            grads = group.aligned([gradient])
        step = self.iterations.detach().double() + 1 if self._capturable else int(self.iterations) + 1
        rate = learning_rate if self._capturable else float(learning_rate)
        with torch.no_grad():
            self._update(group, grads, rate, step, 0.0)


def _initialized(initializer: Any, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    if initializer == "zeros":
        return torch.zeros(tuple(shape), dtype=dtype)
    from .. import initializers

    return initializers.get(initializer)(tuple(shape), dtype=dtype)
