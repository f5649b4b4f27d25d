"""What every function of the stand-in stands on: its names, TensorFlow's words for arguments, number types, shapes.

Functions take tensors, arrays, numbers and symbolic tensors; the sizes of these may be unknown and stand in shapes.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import operator
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ...core import dtypes
from ...core.operation import record, recorded
from ...core.symbolic import SymbolicTensor, any_symbolic, apply
from ...translation.lists import listed
from .. import arithmetic
from ..tensors import DTYPES, DType, KerasTensor, Shape

NAMES: dict[str, Any] = {}  # what `tensorflow` has, by path: "nn.relu"

_LISTS = listed("tensorflow.json")
_OLDER: dict[str, str] = _LISTS["older_words"]  # of TensorFlow 1, for arguments that have others now
# What labels a node of a graph, or says how one runs, where and on how many threads: nothing here depends on it.
UNHEARD = frozenset(_LISTS["unheard"].split())
_OF_NUMBERS = frozenset(
    {"shape", "newshape", "axis", "axes", "repeats", "num_classes", "size", "multiples", "perm", "shift"}
)


def taking(function: Callable, words: Iterable[str] = (), called: str = "") -> Callable:
    """The function with TensorFlow's words for its first arguments. Sizes may be tensors of whole numbers."""
    parameters = inspect.signature(function).parameters
    own = list(parameters)
    table = dict(zip(words, own, strict=False))
    dropped = {older for older, word in _OLDER.items() if older not in {*own, *table} and {word} & {*own, *table}}
    table |= {older: table.get(_OLDER[older], _OLDER[older]) for older in dropped}
    unheard = UNHEARD.difference(own, words)
    numbers = [(place, word) for place, word in enumerate(own) if word in _OF_NUMBERS]
    most = sys.maxsize if "VAR_POSITIONAL" in {each.kind.name for each in parameters.values()} else len(own)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        args = args[:most] if len(args) == most + 1 and isinstance(args[-1], str) else args  # `multiply(x, y, "name")`
        if kwargs:
            ignored = unheard | {word for word in dropped.intersection(kwargs) if kwargs[word] is None}
            told = {word: value for word, value in kwargs.items() if word not in ignored}
            kwargs = {table.get(word, word): value for word, value in told.items()}
            if len(kwargs) < len(told):
                raise TypeError(f"{call.__name__}: an argument is given twice, by its names of two times: {[*told]}.")
        symbols = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, SymbolicTensor)]
        if symbols:
            sizes = [kwargs.get(word) if place >= len(args) else args[place] for place, word in numbers]
            is_layer = any(isinstance(leaf, KerasTensor) for leaf in symbols) and KerasTensor._is_layer(call)
            if is_layer or any_symbolic(sizes):
                return record(call, args, kwargs)
        if numbers:
            given = list(args)
            for place, word in numbers:
                if place < len(given):
                    given[place] = whole(given[place])
                elif word in kwargs:
                    kwargs[word] = whole(kwargs[word])
            return function(*given, **kwargs)
        return function(*args, **kwargs)

    call.__name__ = called or function.__name__
    call.words = _spoken(function, [*words])  # type: ignore[attr-defined]
    return call


def _spoken(function: Callable, words: list[str]) -> list[str]:
    """TensorFlow's words for the arguments of a function, up to those of any number."""
    parameters = [*inspect.signature(function).parameters.values()]
    single = [each.name for each in itertools.takewhile(lambda each: each.kind is not each.VAR_POSITIONAL, parameters)]
    return [*words, *single[len(words) :]]


def heard(cls: type) -> type:
    """Decorator: methods of the class take what functions do not hear."""
    for name, method in list(vars(cls).items()):
        plain = method.__func__ if isinstance(method, (staticmethod, classmethod)) else method
        if inspect.isfunction(plain) and (name[0] != "_" or name == "__init__"):
            kind: Any = type(method) if plain is not method else lambda made: made
            setattr(cls, name, kind(_hearing(plain)))
    return cls


def _hearing(function: Callable) -> Callable:
    unheard = UNHEARD.difference(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **{word: value for word, value in kwargs.items() if word not in unheard})

    return call


def named(paths: str, words: str = "") -> Callable[[Any], Any]:
    """Decorator: `tensorflow` has this under these paths, with these words for the first arguments of a function."""

    def put(item: Any) -> Any:
        shown = (
            taking(item, words.split()) if inspect.isfunction(item) else heard(item) if inspect.isclass(item) else item
        )
        NAMES.update(dict.fromkeys(paths.split(), shown))
        return item

    return put


def op(paths: str, words: str = "") -> Callable[[Callable], Callable]:
    """Decorator: `named`, and recorded where it is called on symbolic tensors."""
    return lambda function: named(paths, words)(recorded(function))


def ops_by_path(functions: Mapping[str, Callable], words: str = "") -> None:
    """`op` of functions that are a line each, by their paths."""
    for paths, function in functions.items():
        function.__name__ = paths.split()[0].rpartition(".")[2]
        op(paths, words)(function)


# Sizes ----------------------------------------------------------------------------------------------------------------


def whole(value: Any) -> Any:
    """A size, an axis or several, as Python's numbers."""
    if value is None or isinstance(value, (int, str, SymbolicTensor)):
        return value
    if isinstance(value, Tensor):
        return value.tolist() if value.ndim == 0 else tuple(value.tolist())
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim):
        return tuple(whole(each) for each in value)
    return operator.index(value) if hasattr(value, "__index__") else value  # type: ignore[arg-type]


class Sizes(np.ndarray):
    """What `tf.shape` gives: numbers that are known, also while the shapes of a model are found."""

    def numpy(self) -> np.ndarray:
        return np.asarray(self)


@named("shape")
def shape(input, out_type=None):
    """The sizes of all axes."""
    return _counted(input, arithmetic.shape, np.shape, out_type)


@named("size")
def size(input, out_type=None):
    """The number of values."""
    return _counted(input, arithmetic.size, lambda x: np.prod(np.shape(x)), out_type)


def _counted(input, symbolically, count, out_type):
    if not isinstance(input, SymbolicTensor):
        return np.array(count(input), str(out_type or "int32")).view(Sizes)
    found = apply(symbolically, input)
    return found if out_type is None else NAMES["cast"](found, out_type)


@op("broadcast_dynamic_shape")
def broadcast_dynamic_shape(shape_x, shape_y):
    """The sizes of what arrays of two shapes make together. Raises ValueError where they do not fit."""
    return torch.tensor(np.broadcast_shapes(whole(shape_x), whole(shape_y)), dtype=torch.int32)


@named("broadcast_static_shape")
def broadcast_static_shape(shape_x, shape_y):
    """The same of shapes that are known."""
    return TensorShape(np.broadcast_shapes(tuple(shape_x), tuple(shape_y)))


@named("TensorShape")
class TensorShape(Shape):
    """Sizes of a tensor, None where unknown; of None not even their number is known."""

    def __new__(cls, dims: Iterable[int | None] | int | None = None):
        made = super().__new__(cls, (dims,) if isinstance(dims, int) else tuple(dims or ()))
        made._known = dims is not None
        return made

    _known: bool

    def as_list(self) -> list[int | None]:
        if not self._known:
            raise ValueError("as_list: the shape is not known.")
        return list(self)

    @property
    def rank(self) -> int | None:
        return len(self) if self._known else None

    ndims, dims = rank, property(as_list)

    def is_fully_defined(self) -> bool:
        return self._known and super().is_fully_defined()

    def is_compatible_with(self, other: Iterable[int | None]) -> bool:
        other = tuple(other)
        return not self._known or (
            len(self) == len(other) and all(a is None or b is None or a == b for a, b in zip(self, other, strict=True))
        )

    def __repr__(self) -> str:
        return f"TensorShape({list(self) if self._known else None})"

    def __str__(self) -> str:
        return tuple.__repr__(self) if self._known else "<unknown>"


# Number types ---------------------------------------------------------------------------------------------------------


_TYPES = {**{str(one): one for one in DTYPES.values()}, "string": DType("string"), "DType": DType,
          "half": DTYPES[torch.float16], "double": DTYPES[torch.float64]}  # fmt: skip
NAMES.update(_TYPES)
NAMES.update({f"dtypes.{word}": item for word, item in _TYPES.items()})


@named("as_dtype dtypes.as_dtype")
def as_dtype(type_value):
    """The number type of a name or of another library's type."""
    return DType(type_value if isinstance(type_value, str) else dtypes.dtype_name(type_value))


class Texts(np.ndarray):
    """Texts, as TensorFlow's tensors of strings hold them."""

    @property
    def dtype(self) -> Any:  # type: ignore[override]
        """In code of users `tf.string`, in that of NumPy and here NumPy's."""
        asking = str(sys._getframe(1).f_globals.get("__name__", "")).partition(".")[0]
        return np.ndarray.dtype.__get__(self) if asking in ("lamina", "numpy", "torch") else _TYPES["string"]

    shape = property(lambda self: TensorShape(np.asarray(self).shape))  # type: ignore[assignment]

    def get_shape(self) -> TensorShape:
        return self.shape

    def __eq__(self, other: object) -> Any:
        """Which texts are the same: a tensor."""
        return NAMES["equal"](self, other) if other is not None else False

    def __ne__(self, other: object) -> Any:
        return NAMES["not_equal"](self, other) if other is not None else True

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(np.asarray(self))

    def __str__(self) -> str:
        return str(self.numpy() if self.ndim else self.item())  # NumPy would show an array for each text

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return found if isinstance(found, np.ndarray) else texts(found)

    def numpy(self) -> Any:
        """Their bytes."""
        found = np.empty(self.size, object)
        found[:] = [text_bytes(item) for item in self.flat]
        return found.reshape(tuple(self.shape)) if self.ndim else found[0]


def text_bytes(text: object) -> bytes:
    """The bytes of one text, which may be no UTF-8."""
    text = np.asarray(text, object).item() if isinstance(text, np.ndarray) else text
    return text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogateescape")


def texts(value: Any) -> Texts:
    """One text or several, as an array of them; bytes that are no UTF-8 are kept."""
    if type(value) is Texts:
        return value  # with what `VarLenFeature` says beside it
    found = np.array(value, object)
    decoded = [item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else item for item in found.flat]
    made = np.empty(len(decoded), object)
    made[:] = decoded
    return made.reshape(tuple(found.shape)).view(Texts)


@named("TensorSpec")
class TensorSpec:
    """Shape and number type of a tensor to come."""

    def __init__(self, shape: Any, dtype: Any = "float32", name: str | None = None):
        self.shape, self.dtype, self.name = TensorShape(shape), as_dtype(dtype), name

    @classmethod
    def from_tensor(cls, tensor: Any) -> TensorSpec:
        return cls(tuple(tensor.shape), dtypes.dtype_name(tensor.dtype))

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, TensorSpec):
            return False
        return (self.shape, self.dtype) == (other.shape, other.dtype)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"TensorSpec(shape={tuple(self.shape)}, dtype={self.dtype!r}, name={self.name!r})"
