"""What tensors of the older generations could do and torch's refuse: torch's are given it with the first namespace, and
what changes something by `install`.

Nothing that works changes its result, but for NumPy's functions: arrays beside tensors are tensors, through which
gradients pass, and what is no operator, such as `np.mean`, takes tensors as arrays.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import inspect
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..core import dtypes
from ..core.arrays import of_numpy, reversing_item
from ..core.operation import SEARCHED
from ..core.symbolic import SymbolicTensor, apply
from ..core.weight import Known, Weight
from . import parts
from .updates import OF_VARIABLES


class KnownSize(int):
    """A size that code of TensorFlow 1 asks for its `value`; so are sums and products of such."""

    __slots__ = ()

    value = _value = property(int)


def _of_sizes(plain: Callable[[int, Any], Any]) -> Callable[[KnownSize, Any], Any]:
    def method(self: KnownSize, other: Any) -> Any:
        found = plain(self, other)
        return KnownSize(found) if isinstance(found, int) else found

    return method


for _word in ("__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__floordiv__", "__mod__"):
    setattr(KnownSize, _word, _of_sizes(getattr(int, _word)))


class Shape(tuple):
    """Sizes, None where unknown, in TensorFlow's words."""

    __slots__ = ()

    def as_list(self) -> list[int | None]:
        return [*tuple.__iter__(self)]

    @property
    def rank(self) -> int:
        return len(self)

    ndims, dims = rank, property(as_list)

    def is_fully_defined(self) -> bool:
        return None not in self

    def num_elements(self) -> int | None:
        return None if None in self else math.prod(self)

    def concatenate(self, other: Iterable[int | None]) -> Shape:
        return type(self)((*self, *other))

    __add__ = concatenate  # type: ignore[assignment]

    def __radd__(self, other: Iterable[int | None]) -> Shape:
        return type(self)((*other, *self))

    def with_rank(self, rank: int) -> Shape:
        """Itself. Raises ValueError where it has another number of axes."""
        if len(self) != rank:
            raise ValueError(f"Shape {self} must have rank {rank}.")
        return self

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return type(self)(found) if isinstance(key, slice) else found if found is None else KnownSize(found)

    def __eq__(self, other: object) -> bool:
        return tuple.__eq__(self, tuple(other) if isinstance(other, list) else other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__


class Dimensions(Shape):
    """What `get_shape` gives: TensorFlow 1's sizes, each with its `value`, also where they are taken apart."""

    __slots__ = ()

    def __iter__(self) -> Iterator[int | None]:
        return (size if size is None else KnownSize(size) for size in super().__iter__())


class DType(str):
    """A number type by its name, in TensorFlow's words; equal to that of torch and of NumPy."""

    __slots__ = ()

    name = property(lambda self: str(self))
    as_numpy_dtype = property(lambda self: _IN_NUMPY.get(str(self)) or np.dtype(str(self)).type)
    is_floating = property(lambda self: str(self) in dtypes.FLOATS)
    is_integer = property(lambda self: "int" in str(self))
    is_complex = property(lambda self: str(self).startswith("complex"))
    is_bool = property(lambda self: str(self) == "bool")
    size = property(lambda self: dtypes.torch_dtype(self).itemsize)
    min = property(lambda self: self._limits().min)
    max = property(lambda self: self._limits().max)
    base_dtype = property(lambda self: self)

    def _limits(self) -> Any:
        found = dtypes.torch_dtype(self)
        return torch.finfo(found) if found.is_floating_point else torch.iinfo(found)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return str(self) == str(other)
        try:
            return str(self) == dtypes.dtype_name(other)
        except (ValueError, KeyError):
            return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __repr__(self) -> str:
        return f"tf.{self}"


_IN_NUMPY = {"string": object, "bfloat16": np.float32}  # NumPy does not know it; `numpy()` gives float32
DTYPES = {of: DType(name) for name, of in dtypes.TYPES.items()}


class KerasTensor(SymbolicTensor):
    """A symbolic tensor of a tf.keras model. `_as_layer` and `_is_layer` come from `functions`."""

    _is_layer: Any = None  # whether a function is one layer, whatever it is made of

    def __eq__(self, other: object) -> Any:
        return False if other is None else apply(torch.eq, self, other)

    def __ne__(self, other: object) -> Any:
        return True if other is None else apply(torch.ne, self, other)

    __hash__ = SymbolicTensor.__hash__

    def __getitem__(self, key: Any) -> Any:
        key = tuple(key) if type(key) is list else key
        keys = key if type(key) is tuple else (key,)
        ends = [(each.start, each.stop, each.step) if isinstance(each, slice) else each for each in keys]
        if any(isinstance(end, SymbolicTensor) for each in ends if isinstance(each, tuple) for end in each):
            return apply(sliced, self, ends)
        return super().__getitem__(key)


def sliced(x: Tensor, key: list[Any]) -> Tensor:
    """`x[key]`, slices as their start, stop and step, which may be tensors."""
    return item(x, tuple(slice(*map(_whole, each)) if isinstance(each, tuple) else each for each in key))


def _whole(end: Any) -> int | None:
    return None if end is None else int(end)


SEARCHED.add(KerasTensor)


def get_shape(self: Any) -> Dimensions:
    return Dimensions(self.shape)


def told(name: str, tell: Callable[[Any], Any]) -> property:
    """An attribute that a function tells until code sets it, as code of the time did."""
    return property(
        lambda self: vars(self)[name] if name in vars(self) else tell(self),
        lambda self, value: vars(self).update({name: value}),
    )


def uses_learning_phase(self: Any) -> bool:
    """Whether a layer that a symbolic tensor rests on does something else in training, and was not told which it is."""
    return isinstance(self, SymbolicTensor) and _train_otherwise(nodes_before(self))


def _train_otherwise(nodes: Iterable[Any]) -> bool:
    return any(trains_otherwise(node.layer) for node in nodes if node.kwargs.get("training") is None)


def trains_otherwise(layer: Any) -> bool:
    """Whether a layer, or one inside, computes otherwise in training."""
    if getattr(layer, "_graph", None) is not None:  # whose calls may be told which it is
        return _train_otherwise(layer._graph.nodes)
    return any(getattr(inner, "_takes_training", False) and not _drops_nothing(inner) for inner in layer.modules())


def _drops_nothing(layer: Any) -> bool:
    """Whether it is told of training for what is inside alone, or could drop, at rates of 0."""
    if layer._ours and layer._inner_layers:
        return True
    rates = [getattr(layer, name) for name in ("rate", "dropout", "recurrent_dropout") if hasattr(layer, name)]
    return bool(rates) and not any(rates)


def nodes_before(*tensors: SymbolicTensor) -> Iterator[Any]:
    """The calls that tensors rest on, the last ones first."""
    seen: set[int] = set()
    stack = [tensor.node for tensor in tensors]
    while stack:
        node = stack.pop()
        if node is not None and id(node) not in seen:
            seen.add(id(node))
            yield node
            stack += [tensor.node for tensor in node.inputs]


def rests_on(losses: Iterable[SymbolicTensor]) -> set[int]:
    """The ids of all that tensors rest on: other tensors, weights, arguments of calls."""
    losses = list(losses)
    found = {id(loss) for loss in losses}
    for node in nodes_before(*losses):
        found |= {id(leaf) for leaf in pytree.tree_leaves((node.args, node.kwargs, node.outputs))}
        found |= {id(weight) for weight in node.layer.parameters()}
    return found


def _named_by(function: Callable[..., object]) -> list[object]:
    """What a function names: variables, and of these attributes, and theirs, as `self.mu` of what builds models."""
    try:
        told = inspect.getclosurevars(function)
    except ValueError:  # a variable that is not yet there
        return []
    found = [*told.nonlocals.values(), *told.globals.values()]
    for owner in found:
        held = {} if inspect.ismodule(owner) else getattr(owner, "__dict__", {})
        more = (held[name] for name in function.__code__.co_names if name in held)
        found += [each for each in more if all(each is not one for one in found)]
    return found


def names_symbols(value: Any, seen: set[int] | None = None) -> bool:
    """Whether a value is, holds or, as a function of users, names symbolic tensors, or asks for one's layer."""
    seen = set() if seen is None else seen
    if isinstance(value, SymbolicTensor):
        return True
    if id(value) in seen:
        return False
    seen.add(id(value))
    inside: list[Any] = []
    if isinstance(value, (list, tuple, set)):
        inside = list(value)
    elif isinstance(value, dict):
        inside = list(value.values())
    elif isinstance(value, functools.partial):
        inside = [value.func, *value.args, *value.keywords.values()]
    elif inspect.ismethod(value):
        inside = [value.__func__, getattr(value.__self__, "__dict__", {})]
    elif inspect.isfunction(value) and not (value.__module__ or "").startswith("lamina."):
        if "_keras_history" in value.__code__.co_names:
            return True
        inside = _named_by(value)
    return any(names_symbols(each, seen) for each in inside)


def places_of_symbols(layer: Any) -> dict[str, tuple[Callable[[], Any], Callable[[Any], None]]]:
    """The variables that a layer's own methods, and functions they name, read symbolic tensors from, and its attributes
    that hold one: by their names, what gives and what sets each."""

    def place(owner: dict[str, Any], name: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
        return functools.partial(owner.__getitem__, name), functools.partial(owner.__setitem__, name)

    classes = (cls for cls in type(layer).__mro__ if not cls.__module__.startswith("lamina."))
    waiting = [method for cls in classes for method in vars(cls).values()]
    found = {name: place(vars(layer), name) for name in vars(layer) if name[0] != "_"}
    seen: set[int] = set()
    while waiting:
        function = waiting.pop()
        if not inspect.isfunction(function) or id(function) in seen or str(function.__module__).startswith("lamina."):
            continue
        seen.add(id(function))
        named = {
            name: (functools.partial(getattr, cell, "cell_contents"), functools.partial(setattr, cell, "cell_contents"))
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        }
        codes = [function.__code__]
        for code in codes:  # those inside, too
            codes += filter(inspect.iscode, code.co_consts)
            asked = {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
            named |= {name: place(function.__globals__, name) for name in asked & function.__globals__.keys()}
        for name, (get, put) in named.items():
            with contextlib.suppress(ValueError):  # a variable that is not yet there
                waiting.append(get())
                found[name] = get, put
    return {name: (get, put) for name, (get, put) in found.items() if isinstance(get(), SymbolicTensor)}


def evaluated(self: Tensor, session: Any = None) -> np.ndarray:
    return self.numpy()


_READS = {np.shape: lambda x: tuple(x.shape), np.ndim: Tensor.dim, np.size: Tensor.numel}  # of trial tensors, too
_numpy, _item, _bool, _copied = Tensor.numpy, Tensor.__getitem__, Tensor.__bool__, Weight.numpy


def numpy(self: Tensor, *, force: bool = False) -> np.ndarray | np.generic:
    """Its values; where gradients flow back from it, these stay behind. One value is a number of NumPy's in code that
    does not import torch."""
    found = _numpy(self.detach().cpu() if self.requires_grad or self.is_cuda else self, force=force)
    return found if found.ndim or _knows_torch(sys._getframe(1).f_globals) else found[()]


def copied(self: Weight, *, force: bool = True) -> np.ndarray | np.generic:
    """A copy of its value, one value as `numpy` gives it."""
    found = _copied(self, force=force)
    return found if found.ndim or _knows_torch(sys._getframe(1).f_globals) else found[()]


def as_array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """What NumPy makes of it; where gradients flow back from it, these stay behind."""
    found = self.numpy()
    if copy is False and dtype not in (None, found.dtype):
        raise ValueError(f"A tensor of {found.dtype} is no array of {np.dtype(dtype)} without a copy.")
    return found.astype(dtype or found.dtype, copy=bool(copy))


def of_array_function(self: Tensor, function: Callable, types: Any, args: Any, kwargs: Any) -> Any:
    """`np.mean(x, axis=1)` and the like: arrays, as NumPy gives them."""
    if function in _READS and len(args) == 1 and not kwargs and isinstance(args[0], Tensor):
        return _READS[function](args[0])
    args, kwargs = pytree.tree_map_only(Tensor, as_array, (args, kwargs))
    return function(*args, **kwargs)


def with_assign(part: Any, variable: Weight, key: Any) -> Any:
    """A part of a variable, which `variable[key].assign(value)` writes to."""

    def assign(value: Any) -> Weight:
        with torch.no_grad():
            variable[key] = torch.as_tensor(value, dtype=variable.dtype, device=variable.device)
        return variable

    part.assign = assign
    return part


def item(self: Tensor, key: Any) -> Tensor:
    """`x[key]`, steps below zero, too."""
    if type(key) is list and SymbolicTensor._told_type is Shape and not _knows_torch(sys._getframe(1).f_globals):
        key = tuple(key)  # as in TensorFlow
    try:
        found = _item(self, key)
        return with_assign(found, self, key) if isinstance(self, Weight) else found
    except ValueError:
        keys = key if isinstance(key, tuple) else (key,)
        if not any(isinstance(each, slice) and isinstance(each.step, int) and each.step < 0 for each in keys):
            raise
        return reversing_item(self, key)


def set_shape(self: Any, shape: Any) -> None:
    """Told sizes that were not known. Raises ValueError where they are others; None stands for any."""
    told = tuple(shape)
    if len(told) != self.ndim or any(None not in (a, b) and a != b for a, b in zip(told, self.shape, strict=True)):
        raise ValueError(f"set_shape: a tensor of shape {tuple(self.shape)} cannot have shape {told}.")


def _knows_torch(scope: dict[str, Any]) -> bool:
    """Whether a module is torch's, ours, or one of users that imports torch."""
    return "torch" in scope or str(scope.get("__name__", "")).partition(".")[0] in ("torch", "lamina")


_shape: Any = torch._C.TensorBase.shape


def shape(self: Tensor) -> Any:
    """`x.shape`, which code that does not import torch may ask for `as_list()` or `rank`."""
    found = _shape.__get__(self)
    return found if _knows_torch(sys._getframe(1).f_globals) else Shape(found)


_dtype: Any = torch._C.TensorBase.dtype


def dtype(self: Tensor) -> Any:
    """`x.dtype`, which code that does not import torch may ask for its `name`, and compare with "float32"."""
    found = _dtype.__get__(self)
    return found if _knows_torch(sys._getframe(1).f_globals) else DTYPES.get(found, found)


_NO_LAYER = re.compile(  # of a path: models, and what a TimeDistributed holds
    r"^(?:(?:sequential|model|functional)(?:_\d+)?/)+|(?<=time_distributed)((?:_\d+)?)/\w+(?=/)"
)
_CELL = re.compile(r"/\w+_cell(?=/\w+$)")


def _tensors_name(cells: bool) -> property:
    """`weight.name`, which for code that does not import torch is its tensor's, such as `dense/kernel:0`. cells:
    whether a recurrent layer's cell stands in it."""

    def name(self: Known) -> str:
        if _knows_torch(sys._getframe(1).f_globals):
            return self._name
        found = _NO_LAYER.sub(lambda part: part[1] or "", self.path)
        return f"{found if cells else _CELL.sub('', found)}:0"

    return property(name)


def _rebinding(name: str) -> Callable[[Tensor, Any], Any]:
    """`x += y` makes another tensor, as it did in TensorFlow and Theano, where code does not import torch: what else
    has the first keeps its values. Code with torch, its own and that of users, writes in place."""
    inside, beside = getattr(Tensor, f"__i{name}__"), getattr(Tensor, f"__{name}__")

    def combined(self: Tensor, other: Any) -> Any:
        return (inside if _knows_torch(sys._getframe(1).f_globals) else beside)(self, other)

    return combined


def _floored(first: Any, second: Any) -> Any:
    """`first // second`, whose gradient is 0: torch's own operator has none."""
    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        return NotImplemented  # NumPy asks the tensor
    return torch.div(first, second, rounding_mode="floor")


_PLAIN: dict[str, Callable[[Tensor, Any], Any]] = {
    "__floordiv__": _floored,
    "__rfloordiv__": lambda self, other: _floored(other, self),
}


def _beside_lists(name: str) -> Callable[[Tensor, Any], Any]:
    """An operator that takes lists and tuples of numbers as tensors, as TensorFlow's do."""
    plain = _PLAIN.get(name) or getattr(Tensor, name)

    def combined(self: Tensor, other: Any) -> Any:
        if type(other) in (list, tuple):
            try:
                other = torch.as_tensor(other, device=self.device)
            except (TypeError, ValueError):
                return NotImplemented
            other = other.to(self.dtype) if self.is_floating_point() or not other.is_floating_point() else other
        return plain(self, other)

    return combined


def _dividing(plain: Callable[[Tensor, Any], Any]) -> Callable[[Tensor, Any], Any]:
    """Division that makes float64 of whole numbers, as NumPy and TensorFlow do, where code does not import torch."""

    def combined(self: Tensor, other: Any) -> Any:
        if self.dtype in WHOLE and not _knows_torch(sys._getframe(1).f_globals):
            self = self.double()
            other = other.double() if isinstance(other, Tensor) and other.dtype in WHOLE else other
        return plain(self, other)

    return combined


WHOLE = frozenset({torch.int32, torch.int64, torch.uint32, torch.uint64})  # whose quotients are float64


def _alone(name: str) -> Callable[[Tensor], Any]:
    """`float(x)` and the like, without torch's warning where gradients flow back from it."""
    plain = getattr(Tensor, f"__{name}__")
    return lambda self: plain(self.detach() if self.requires_grad else self)


_OPERATORS = [
    *(f"__{side}{name}__" for name in "add sub mul floordiv mod pow matmul and or xor".split() for side in ("", "r")),
    *(f"__{name}__" for name in "eq ne lt le gt ge".split()),
]
_IN_PLACE = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor")
_OF_OLD_CODE: dict[str, Any] = {
    "__getitem__": item, "__array__": as_array, "__array_function__": of_array_function,
    "shape": property(shape), "dtype": property(dtype),
    **{f"__i{name}__": _rebinding(name) for name in _IN_PLACE},
    **{name: _beside_lists(name) for name in _OPERATORS},
    **{name: _dividing(_beside_lists(name)) for name in ("__truediv__", "__rtruediv__")},
    **{f"__{name}__": _alone(name) for name in ("float", "int", "index", "complex")},
}  # fmt: skip
_OWN_NAME = Known.name
_OF_TORCH = {name: vars(Tensor)[name] for name in _OF_OLD_CODE if name in vars(Tensor)}


def as_old_code_has_them(old: bool, told: bool = False) -> None:
    """Whether tensors, in all of this process, do what old code is used to where torch does something else: `x[::-1]`,
    `x.shape.as_list()`, `x.dtype.name`, `x += y`, `x == [1, 2]`, `np.mean(x)` and `float(x)` beside gradients. Each of
    them then costs a Python call. told: whether `build` and shape rules get shapes in TensorFlow's words, too; else
    expressions of variables remember what made them, as in static graphs."""
    tensor: Any = Tensor
    known: Any = Known
    SymbolicTensor._shape_type = Shape if old else tuple
    SymbolicTensor._told_type = Shape if told else tuple
    SymbolicTensor._dtype_type = DType if old else str
    known.name = _tensors_name(told) if old else _OWN_NAME
    for name, method in _OF_OLD_CODE.items():
        if old:
            setattr(tensor, name, method)
        elif name in _OF_TORCH:
            setattr(tensor, name, _OF_TORCH[name])
        elif name in vars(Tensor):
            delattr(tensor, name)
    for name, method in OF_VARIABLES.items():
        if old and not told:
            setattr(Weight, name, method)
        elif name in vars(Weight):
            delattr(Weight, name)


class Variable(Weight):
    """What `K.variable` makes: `total += ...` makes a tensor, as in TensorFlow and Theano, and the variable stays."""


for _name in ("add", "sub", "mul", "truediv"):
    setattr(Variable, f"__i{_name}__", getattr(Weight, f"__{_name}__"))


def assigning(method: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """`assign` and the like with what TensorFlow also takes, which says how it runs and not what it does."""

    @functools.wraps(method)
    def assign(
        self: Known, value: Any, use_locking: object = False, name: object = None, read_value: bool = True
    ) -> Any:
        return method(self, value)

    return assign


def is_there(self: Weight) -> bool:
    """`if self.bias:` asks whether there is one; of a single value that is not trained the value counts."""
    return self.numel() != 1 or (type(self) is Weight and self._trainable) or _bool(self)


def itself(self: Any) -> Any:
    return self


def filled_up(self: Tensor, default_value: Any = 0, shape: Any = None) -> Tensor:
    """Rows of several lengths as a plain tensor; one that is plain as it is."""
    return torch.nested.to_padded_tensor(self, default_value, shape) if self.is_nested else self


@functools.cache
def equip() -> None:
    """Give torch's tensors, symbolic ones and weights these methods, for as long as the process lives.

    All tensors get attributes of the time; `x[...]`, `x.numpy()` and an array beside a tensor go through a function of
    Python each, which operators on tensors do not. `uninstall` leaves it so: models of a namespace live on.
    """
    tensor: Any = Tensor
    symbolic: Any = SymbolicTensor
    weight: Any = Weight
    for cls in (tensor, symbolic):
        cls.get_shape, cls.set_shape = get_shape, set_shape
        cls._keras_shape = told("_keras_shape", lambda x: tuple(x.shape))
        cls._uses_learning_phase = told("_uses_learning_phase", uses_learning_phase)
    tensor.numpy, tensor.eval, tensor.__array_ufunc__ = numpy, evaluated, of_numpy
    weight.numpy = copied
    tensor.to_tensor = filled_up
    tensor.ref = tensor.deref = itself  # a key of dictionaries
    weight.__call__ = weight.read_value = weight.initialized_value = itself  # `w.value()`, of a property
    weight.__bool__, weight.eval = is_there, parts.get_value
    part: Any = parts.Part
    for variable in (weight, part):
        variable.get_value, variable.set_value = parts.get_value, parts.set_value
    for name in ("assign", "assign_add", "assign_sub"):
        setattr(weight, name, assigning(getattr(Weight, name)))
