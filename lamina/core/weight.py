"""Weights: torch Parameters (or buffers) that know their Keras name, regularizer and constraint."""

from __future__ import annotations

import copy
import inspect
import itertools
import math
import operator
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, unset_fake_temporarily
from torch.compiler import is_dynamo_compiling
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from . import arrays, config, dtypes, serialize
from .errors import show_shape
from .scope import put, scope, unique_name

_Tensor = Tensor if TYPE_CHECKING else object
_ROLES = ("initializer", "regularizer", "constraint")
_AGGREGATIONS = ("none", "mean", "sum", "only_first_replica")
_SYNCHRONIZATIONS = ("none", "auto", "on_read", "on_write")


def has_gradients(data: torch.Tensor) -> bool:
    """Whether its numbers are of a kind that gradients are for."""
    return data.is_floating_point() or data.is_complex()


class Changes:
    """When layers changed their ways: hooks, first losses, arguments, weights replaced by a wrapper. What was made of
    layers before that (plans, steps) is to be made anew."""

    count = 0  # of all changes in the process
    of_weights = 0  # the latest of a weight, which knows no layer: it concerns whatever was made before
    _counts = itertools.count(1)

    @classmethod
    def note(cls, layer: Any) -> None:
        """To be called after a change of the layer. No count ever comes back, whichever threads count at once."""
        vars(layer)["_changed_at"] = count = next(cls._counts)
        cls.count = count

    @classmethod
    def note_weight(cls) -> None:
        cls.count = cls.of_weights = next(cls._counts)

    @classmethod
    def concern(cls, made: Any, module: nn.Module) -> bool:
        """Whether anything in `module` has changed since `made.changes`. Where not, `made.changes` becomes now, so that
        comparing it with `count` is enough until the next change of any layer."""
        count = cls.count
        if cls.of_weights > made.changes:
            return True
        for each in module.modules():
            if vars(each).get("_changed_at", 0) > made.changes:
                return True
        made.changes = count
        return False


def _noted(name: str) -> Any:
    """What a weight has under `name`; what was made of weights before it is exchanged has to know."""

    def put(weight: Any, value: Any) -> None:
        vars(weight)[name] = value
        Changes.note_weight()

    return property(operator.attrgetter(name), put)  # a getter without a frame


class Known(_Tensor):
    """What a weight knows and does beside holding its values."""

    sharded: ClassVar[bool] = False  # whether this process holds only a part of the values
    path: str
    regularizer, constraint = _noted("_regularizer"), _noted("_constraint")
    _regularizer = _constraint = None
    autocast: bool
    aggregation: str | None = None
    _name: str
    _trainable: bool  # of the weight itself; the layer's own `trainable` comes on top
    adopted = False  # whether it is an attribute of a layer
    _awaited: _Awaited | None = None  # while its first values are still to come

    @property
    def name(self) -> str:  # type: ignore[override]
        return self._name

    @property
    def trainable(self) -> bool:
        """Whether training changes it: False, too, while its layer is frozen."""
        return self._trainable and (self.requires_grad or not has_gradients(self))

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        self.requires_grad_(self._trainable and has_gradients(self))

    @property
    def value(self) -> torch.Tensor:
        return self

    def assign(self, value: Any) -> Any:
        """Write `value` (array or tensor of the same shape) in place. Raises ValueError for another shape."""
        stored = hasattr(value, "into")  # an array in a file
        value = value if stored else torch.as_tensor(value, device=self.device)
        self._require_fit(value)
        with torch.no_grad():
            if stored:
                value.into(self)
            else:
                self.copy_(value)
        return self

    def _require_fit(self, value: Any) -> None:
        """Raises ValueError unless an array has the weight's shape; one in a file (`into`) is not read for that."""
        if tuple(value.shape) != tuple(self.shape):
            raise ValueError(
                f"Weight {self.path!r}: expected a value of shape {tuple(self.shape)}; got {tuple(value.shape)}."
            )
        if dtypes.kind(value.dtype) == dtypes.kind(torch.complex64) and not self.is_complex():
            raise ValueError(f"Weight {self.path!r} holds real numbers; got complex ones. Give their real part.")

    def assign_add(self, value: Any) -> Weight:
        with torch.no_grad():
            return self.assign(self + torch.as_tensor(value, device=self.device, dtype=self.dtype))

    def assign_sub(self, value: Any) -> Weight:
        return self.assign_add(-torch.as_tensor(value, device=self.device, dtype=self.dtype))

    def numpy(self, *, force: bool = True) -> np.ndarray:
        """A NumPy copy of the value."""
        tensor = self.detach().cpu()
        return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy().copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError(f"Weight {self.path!r}: NumPy gets a copy of its value; copy=False cannot be had.")
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    __array_ufunc__ = arrays.of_numpy

    def __array_function__(self, function: Callable, types: Any, args: Any, kwargs: Any) -> Any:
        """`np.mean(weight)` and the like: of the values as an array."""
        args, kwargs = pytree.tree_map_only(Tensor, _values, (args, kwargs))
        return function(*args, **kwargs)

    @property
    def overwrite_with_gradient(self) -> bool:
        return False

    @overwrite_with_gradient.setter
    def overwrite_with_gradient(self, value: bool) -> None:
        if value:
            raise ValueError(f"Weight {self.path!r}: `overwrite_with_gradient` is not available; use False.")

    def like(self, data: torch.Tensor) -> Any:
        """The same weight holding other data, after a move or a change of type."""
        kind: Any = type(self)
        weight = kind(data, trainable=self._trainable and self.requires_grad)
        vars(weight).update(vars(self))
        return weight

    def __deepcopy__(self, memo: dict) -> Weight:
        if id(self) not in memo:
            made = self.like(self.detach().clone(memory_format=torch.preserve_format))
            made.requires_grad_(self.requires_grad)
            vars(made).update(copy.deepcopy(vars(self), memo))
            memo[id(self)] = made
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (type(self), self.detach(), self.requires_grad, dict(vars(self)))

    def __format__(self, spec: str) -> str:
        return format(self.detach(), spec)

    def __round__(self, ndigits: int | None = None) -> torch.Tensor:
        return torch.round(self.detach(), decimals=ndigits or 0)

    def __repr__(self, **kwargs: Any) -> str:
        value = "" if self.is_meta else f", value={self.numpy()}"
        return f"<Weight path={self.path}, shape={tuple(self.shape)}, dtype={self.dtype}{value}>"


class Weight(Known, nn.Parameter):
    """A layer's tensor. As a Parameter it is trained by any torch optimizer; as a buffer it is the layer's state.

    initializer: the first value, or with a `shape` what makes it. path: "layer/weight", as files and messages call it.
    regularizer, constraint: callables or None. autocast: whether a mixed policy casts it for the call.
    aggregation, synchronization: one of Keras' words for several processes; the former says how their metrics' state
    becomes one.
    """

    def __new__(
        cls,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: Any = None,
        synchronization: Any = None,
        name: str | None = None,
        layout: Any = None,
        *,
        path: str = "",
        regularizer: Any = None,
        constraint: Any = None,
    ) -> Weight:
        for what, value, known in (
            ("aggregation", aggregation, _AGGREGATIONS),
            ("synchronization", synchronization, _SYNCHRONIZATIONS),
        ):
            if value is not None and value not in known:
                raise ValueError(f"Variable: `{what}` must be one of {', '.join(known)}; got {value!r}.")
        if layout is not None:
            raise ValueError(
                f"Variable: `layout` places a variable on several devices; there is one here. Got {layout!r}."
            )
        data = initializer if isinstance(initializer, torch.Tensor) else _first_value(initializer, shape, dtype)
        if dtype is not None:
            data = data.to(dtypes.torch_dtype(dtype))
        if data.is_inference():  # it could be changed in that mode alone
            with torch.inference_mode(False):
                data = data.clone()
        with unset_fake_temporarily():  # in a trial of a call, too, it is a variable
            held = torch.zeros(data.shape, dtype=data.dtype) if isinstance(data, FakeTensor) else data
            weight = torch.Tensor._make_subclass(cls, held, trainable and has_gradients(held))
        weight._name = name or unique_name("variable")
        weight.path = path or "/".join([*scope.path, weight._name])
        vars(weight).update(_regularizer=regularizer, _constraint=constraint)
        weight._trainable, weight.autocast = trainable, autocast
        return weight

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def detach(self) -> Any:
        found = super().detach()
        if is_dynamo_compiling() or sys._getframe(1).f_code is not _OF_PARAMETER:
            return found
        return self.like(found)  # nn.Parameter(weight), as parametrizations have it, takes the weight's own type alone


_OF_PARAMETER = nn.Parameter.__new__.__code__
Variable = Weight  # as Keras calls it


def _values(x: Tensor) -> np.ndarray:
    return x.numpy() if isinstance(x, Known) else x.detach().cpu().numpy()


def _first_value(initializer: Any, shape: Any, dtype: Any) -> torch.Tensor:
    if not (callable(initializer) or isinstance(initializer, (str, Mapping))):
        value = torch.tensor(initializer)
        if dtype is None and isinstance(initializer, (int, float, list, tuple)):  # in Keras' types, not torch's
            own = {torch.int64: "int32", torch.get_default_dtype(): config.floatx()}.get(value.dtype)
            value = value if own is None else value.to(dtypes.torch_dtype(own))
        return value
    if shape is None:
        raise ValueError(f"Variable: `shape` is needed with the initializer {initializer!r}; only a value has its own.")
    make = serialize.get(initializer, "keras.initializers")
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    return torch.as_tensor(make(shape, dtype=dtypes.dtype_name(dtype or config.floatx())))


def _rebuild(cls: type[Weight], data: torch.Tensor, requires_grad: bool, state: dict[str, Any]) -> Weight:
    weight = cls(data, trainable=requires_grad)
    vars(weight).update(state)
    return weight


class weight:
    """Declares a weight of a layer: an attribute that holds it, or None where the layer has none.

        kernel = weight("*kernel_size", "channels", "filters", order=_kernel_order)
        bias = weight("filters", when="use_bias")

    shape: names of sizes, which `build` gives to `make_weights` or which are attributes of the layer; "*name" stands
    for several. when: the attribute, or the function of the layer, that says whether there is one.
    role: which arguments are its own, as in `{role}_initializer`; where not told, its name. adapts: it is what LoRA
    adapts. options: what `add_weight` takes, or functions of the layer.
    """

    def __init__(self, *shape: str, when: Any = None, role: str = "", adapts: bool = False, **options: Any):
        self.shape, self.when, self.role, self.adapts, self.options = shape, when, role, adapts, options
        self.trainable = options.get("trainable", True)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.role = self.role or name

    def __get__(self, layer: Any, owner: type | None = None) -> Any:  # read faster than by torch
        if layer is None:
            return self
        try:
            return layer._parameters[self.name]
        except KeyError:  # a buffer, or kept elsewhere
            return layer.__getattr__(self.name)

    def asked(self, layer: Any, sizes: Mapping[str, Any]) -> dict[str, Any] | None:
        """What `add_weight` takes to make it for the layer, or None where there is none. `sizes`: those of the shape
        that are no attributes."""
        when = self.when
        if when is not None and not (getattr(layer, when) if isinstance(when, str) else when(layer)):
            return None
        shape: list[Any] = []
        for size in self.shape:
            name = size.removeprefix("*")
            known = sizes[name] if name in sizes else getattr(layer, name)
            shape += known if size.startswith("*") else [known]
        roles = {part: getattr(layer, f"{self.role}_{part}", None) for part in _ROLES}
        options = {key: each(layer) if inspect.isfunction(each) else each for key, each in self.options.items()}
        return {"shape": tuple(shape), "name": self.name, **roles, **options}


def held(layer: Any, first: str, second: str, third: str | None = None) -> Any:
    """The weights of these names as a call sees them, read at once: tiny layers notice the way through attributes."""
    own = {} if layer._shows_others else layer._parameters
    try:
        return (own[first], own[second]) if third is None else (own[first], own[second], own[third])
    except KeyError:  # torch's parametrizations keep a weight elsewhere, too
        return tuple(getattr(layer, name) for name in (first, second, third) if name is not None)


def allocate(values: torch.Tensor, order: tuple[int, ...] | None) -> torch.Tensor:
    """`values` with its memory laid out so that `permute(order)` is contiguous: the order a kernel reads."""
    if order is None:
        return values.contiguous()
    back = sorted(range(len(order)), key=order.__getitem__)
    return values.permute(order).contiguous().permute(back)


# First values that wait ------------------------------------------------------------------------------------------


class _Awaited(NamedTuple):
    make: Callable[[], Tensor]
    order: tuple[int, ...] | None


class _Context(threading.local):
    waiting: Waiting | None = None
    spare: float = math.inf  # bytes of other state that may still be made


context = _Context()

# What may be asked of a weight without looking at its values.
BLIND: Any = frozenset(
    {Tensor.requires_grad_, Tensor.is_floating_point, Tensor.is_complex, Tensor.size, Tensor.dim, Tensor.numel}
    | {getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim", "requires_grad", "is_leaf")}
    | {Tensor.element_size, Tensor.requires_grad.__set__}  # type: ignore[attr-defined]
)


class Waiting(TorchFunctionMode):
    """The weights made inside `waiting_weights`: shapes without memory until they are given values.

    Code that looks at the values of one finds its initializer's, which then are made.
    """

    def __init__(self) -> None:
        super().__init__()
        self._weights: list[weakref.ref[Weight]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # Where a dispatch mode runs, it is that of FakeTensors, which looks at shapes alone.
        if func not in BLIND and not torch._C._len_torch_dispatch_stack():
            for value in (*args, *kwargs.values()):
                for item in value if isinstance(value, (list, tuple)) else (value,):
                    if isinstance(item, Weight):
                        _settle(item)
        return func(*args, **kwargs)

    def add(self, weight: Weight, make: Callable[[], Tensor], order: tuple[int, ...] | None) -> None:
        """Let a weight wait; without values from elsewhere it gets those of `make`, laid out as `allocate` does."""
        weight._awaited = _Awaited(make, order)
        self._weights.append(weakref.ref(weight))

    def settle(self, limit: int) -> None:
        """Give every weight that still waits its initial values. Raises ValueError for more than `limit` bytes."""
        weights = [weight for reference in self._weights if (weight := reference()) is not None and weight._awaited]
        size = sum(weight.numel() * weight.element_size() for weight in weights)
        if size > limit:
            raise ValueError(f"no values are stored for weights of {size} bytes, such as {weights[0].path!r}.")
        for weight in weights:
            _settle(weight)


@contextmanager
def waiting_weights() -> Iterator[Waiting]:
    """Inside, weights of layers wait for their first values, so that what a file fills is never initialized."""
    with Waiting() as waiting, put(context, waiting=waiting):
        yield waiting


def bounded_state(size: int) -> AbstractContextManager[None]:
    """Inside, `spend` raises ValueError once `size` bytes are spent."""
    return put(context, spare=size)


def spend(shape: Iterable[int], dtype: torch.dtype, what: str) -> None:
    """Announce state that is about to be made, for which a file may have asked."""
    shape = tuple(shape)
    context.spare -= math.prod(shape) * dtype.itemsize
    if context.spare < 0:
        raise ValueError(f"{what} of shape {show_shape(shape)} is larger than a file may ask for.")


def stand_in(shape: tuple[int, ...], dtype: torch.dtype, what: str) -> Tensor:
    """A tensor of a shape and type without the memory. Raises ValueError where none could hold it."""
    try:
        return torch.zeros((), dtype=dtype).expand(shape)
    except (RuntimeError, TypeError, OverflowError):
        raise ValueError(f"{what} cannot have the shape {show_shape(shape)}.") from None


def _settle(weight: Weight) -> None:
    awaited, weight._awaited = weight._awaited, None
    if awaited is not None:
        with weight.device, torch.inference_mode(False):
            weight.data = allocate(awaited.make(), awaited.order)


def memory_of(weight: Any) -> Tensor:
    """A weight's own memory, for values from elsewhere: one that waits gets it now, and no first values."""
    awaited = getattr(weight, "_awaited", None)
    if awaited is not None:
        weight._awaited = None
        with torch.inference_mode(False):
            order = awaited.order or tuple(range(weight.dim()))
            weight.data = torch.empty_permuted(weight.shape, order, dtype=weight.dtype, device=weight.device)
    return weight.detach()


def take(weight: Any, values: Any) -> None:
    """Write values of the weight's shape: a tensor, or an array in a file, which writes itself `into` it."""
    if getattr(weight, "sharded", False):
        weight.assign(values)
    elif hasattr(values, "into"):
        values.into(memory_of(weight))
    else:
        memory_of(weight).copy_(values)


@contextmanager
def all_or_none(weights: Iterable[Any]) -> Iterator[None]:
    """Around writes into `weights`: what raises midway leaves them as they were."""
    before = [(weight, weight.detach().clone()) for weight in weights]
    try:
        yield
    except BaseException:
        with torch.no_grad():
            for weight, value in before:
                weight.copy_(value)
        raise


def assign_all(owner: Any, weights: Sequence[Any], values: Sequence[Any]) -> None:
    """Raises ValueError, before any change, where their number or shapes differ."""
    if len(weights) != len(values):
        raise ValueError(f"{type(owner).__name__}: expected {len(weights)} arrays; got {len(values)}.")
    values = [value if hasattr(value, "into") else torch.as_tensor(value) for value in values]
    for weight, value in zip(weights, values, strict=True):
        weight._require_fit(value)
    for weight, value in zip(weights, values, strict=True):
        weight.assign(value)
