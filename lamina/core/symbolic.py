"""Symbolic tensors: shapes and types without values, and the record of which layer made them from what."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import logging
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from . import dtypes, masking
from .arrays import beside, no_complex, reversing_item, twin
from .devices import as_chosen, device_of
from .errors import named, show_shape
from .scope import put, scope
from .weight import Weight

if TYPE_CHECKING:
    from .layer import Layer

# Unknown sizes are tried with two values; what differs between the results is unknown in the output.
TRIAL_SIZES = (83, 89)
DIVISIBLE_SIZES = (55440, 110880)  # then with these, for what splits an unknown size into equal parts
MAX_DEPTH = 50  # of lists and dictionaries in the arguments of a call; Python's parser ends at 200 brackets
# What torch logs of a trial that fails, the error says, once.
logging.getLogger("torch._subclasses.fake_tensor").addFilter(lambda record: not scope.trying)


class History(NamedTuple):
    """Where a symbolic tensor comes from, as Keras tells it: the layer, which of its calls, which of its outputs."""

    operation: Any
    node_index: int
    tensor_index: int
    layer = property(lambda self: self.operation)  # as tf.keras says


class SymbolicTensor:
    """The promise of a tensor: shape (None where unknown) and dtype. Takes operators, indices and torch functions."""

    _shape_type: type[tuple] = tuple
    _told_type: type[tuple] = tuple  # of the shapes that `build` and shape rules are told
    _dtype_type: type[str] = str
    _as_layer: Any = None  # makes a layer of a function of such tensors: `operation.Operation`, of the floor above

    def __init__(
        self,
        shape: Any,
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
        *,
        node: Node | None = None,
        index: int = 0,
    ):
        if sparse and ragged:
            raise ValueError("KerasTensor: a tensor cannot be `sparse` and `ragged`. Leave one of them out.")
        self.shape = self._shape_type(None if size is None else operator.index(size) for size in shape)
        self.torch_dtype = dtypes.data_dtype(dtype if dtype is not None else dtypes.config.floatx())
        self.name = name or "symbolic_tensor"
        self.node, self.index, self.sparse, self.ragged = node, index, sparse, ragged
        self._keras_mask: SymbolicTensor | None = None
        self.known: tuple[Tensor, ...] | None = None  # of what is made of sizes alone: its values in the trials

    @property
    def dtype(self) -> str:
        return self._dtype_type(dtypes.data_name(self.torch_dtype))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    rank = ndim

    @property
    def _kind(self) -> type[SymbolicTensor]:
        """The class of what is made of it."""
        return type(self)

    @property
    def _keras_history(self) -> History:
        assert self.node is not None
        return History(self.node.layer, self.node.layer._nodes.index(self.node), self.index)

    def __repr__(self) -> str:
        return f"<SymbolicTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def __iter__(self) -> Iterator[Any]:  # and no `__len__`, which would take it for a list of tensors
        if not self.shape or self.shape[0] is None:
            raise TypeError(f"{self!r} has no known length.")
        return (self[index] for index in range(self.shape[0]))

    def __bool__(self) -> bool:
        raise TypeError("A symbolic tensor has no truth value: use lamina.ops.where instead of `if` in a model.")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("A symbolic tensor has no values: use functions of torch or lamina.ops instead of NumPy's.")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """NumPy's operators and functions, as in `array - tensor`. Raises TypeError for those that torch has not."""
        function = twin(ufunc)
        if function is None or method != "__call__" or options:
            raise TypeError(f"np.{ufunc.__name__} cannot take a symbolic tensor: use one of lamina.ops or torch.")
        return apply(function, *inputs)

    @classmethod
    def __torch_function__(cls, func: Callable, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        return apply(_OUT_OF_PLACE.get(func, func), *args, **(kwargs or {}))

    def __getitem__(self, key: Any) -> Any:
        back = any(isinstance(each, slice) and (each.step or 1) < 0 for each in (key if type(key) is tuple else (key,)))
        return apply(reversing_item if back else operator.getitem, self, key)

    def __getattr__(self, name: str) -> Any:
        method = getattr(Tensor, name, None)
        if name.startswith("_") or not callable(method):
            raise AttributeError(f"A symbolic tensor has no attribute {name!r}.")
        return lambda *args, **kwargs: apply(method, self, *args, **kwargs)

    __hash__ = object.__hash__


def _binary(function: Callable) -> tuple[Callable, Callable]:
    return (lambda self, other: apply(function, self, other)), (lambda self, other: apply(function, other, self))


_OUT_OF_PLACE: dict[Any, Callable] = {}  # for `tensor += symbol`
for _name, _function in {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "truediv": torch.true_divide,
    "floordiv": torch.floor_divide,
    "mod": torch.remainder,
    "pow": torch.pow,
    "matmul": torch.matmul,
    "and": torch.bitwise_and,
    "or": torch.bitwise_or,
    "xor": torch.bitwise_xor,
}.items():
    _forward, _reflected = _binary(_function)
    setattr(SymbolicTensor, f"__{_name}__", _forward)
    setattr(SymbolicTensor, f"__r{_name}__", _reflected)
    _OUT_OF_PLACE[getattr(Tensor, f"__i{_name}__", None)] = _function
for _name, _function in {"lt": torch.lt, "le": torch.le, "gt": torch.gt, "ge": torch.ge, "ne": torch.ne}.items():
    setattr(SymbolicTensor, f"__{_name}__", _binary(_function)[0])
for _name, _function in {"neg": torch.neg, "abs": torch.abs, "invert": torch.bitwise_not}.items():
    setattr(SymbolicTensor, f"__{_name}__", (lambda f: lambda self: apply(f, self))(_function))


def _depth(value: Any) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return 1 + max(map(_depth, inside), default=0)


def is_symbolic(x: object) -> bool:
    return isinstance(x, SymbolicTensor)


def any_symbolic(*values: Any) -> bool:
    return any(isinstance(leaf, SymbolicTensor) for leaf in pytree.tree_leaves(values))


def in_order(keys: Iterable[Any]) -> list[Any]:
    """The keys of a dictionary in the order in which Keras goes through it."""
    return sorted(keys, key=lambda key: (type(key).__name__, key))


def leaves_in_order(structure: Any) -> list[Any]:
    """The leaves of a structure as Keras meets them: those of a dictionary in the order in which it goes through it."""
    if isinstance(structure, Mapping):
        structure = [structure[key] for key in in_order(structure)]
    elif not isinstance(structure, (list, tuple)):
        return pytree.tree_leaves(structure)
    return [leaf for part in structure for leaf in leaves_in_order(part)]


class Node:
    """One recorded call of a layer: its arguments (holding symbolic tensors) and its outputs."""

    __slots__ = ("args", "inputs", "kwargs", "layer", "number", "outputs")
    _numbers = itertools.count()

    def __init__(self, layer: Any, args: tuple, kwargs: dict[str, Any]):
        leaves, spec = pytree.tree_flatten((args, kwargs))
        if spec.num_nodes > MAX_DEPTH and _depth((args, kwargs)) > MAX_DEPTH + 2:
            raise ValueError(f"{named(layer)}: an argument of its call is nested more than {MAX_DEPTH} deep.")
        self.inputs = [leaf for leaf in leaves if isinstance(leaf, SymbolicTensor)]
        # The caller's lists, dictionaries and arrays stay the caller's: what is kept are copies. What was computed from
        # weights outside is a constant here: the first step would free its graph.
        kept = [
            leaf.copy()
            if isinstance(leaf, np.ndarray)
            else leaf.detach()
            if isinstance(leaf, Tensor) and leaf.grad_fn is not None
            else leaf
            for leaf in leaves
        ]
        self.args, self.kwargs = pytree.tree_unflatten(kept, spec)
        self.layer: Layer = layer
        self.outputs: Any = None
        self.count()

    def count(self) -> None:
        """Let the call count as made now: `number` is above that of every call before it."""
        self.number = next(Node._numbers)

    def infer(self) -> Any:
        """The outputs, each knowing where it comes from."""
        kwargs = {key: value for key, value in self.kwargs.items() if key != "training"}
        index, kind = -1, self.inputs[0]._kind if self.inputs else SymbolicTensor

        def mark(leaf):
            nonlocal index
            if not isinstance(leaf, SymbolicTensor):
                return leaf
            index += 1
            made = kind(leaf.shape, leaf.torch_dtype, name=self.layer.name, node=self, index=index)
            made.known = leaf.known
            return made

        self.outputs = pytree.tree_map(mark, self.layer.compute_output_spec(*self.args, **kwargs))
        return pytree.tree_map(lambda leaf: leaf, self.outputs)  # lists and dictionaries are the caller's

    @property
    def input(self) -> Any:
        """What the layer was called on, without masks and other keyword arguments."""
        if not self.args:
            return self.outputs if not self.inputs else next(iter(self.kwargs.values()))
        tensors = [value for value in self.args if any_symbolic(value)]
        return tensors[0] if len(tensors) == 1 else tensors


class Nodes:
    """The record of a layer's symbolic calls, as Keras lets users read it."""

    _nodes: list[Node]
    name: str

    def _node_at(self, index: int, what: str) -> Node:
        if not self._nodes:
            raise AttributeError(f"{named(self)} has never been called on a symbolic input, so it has no {what}.")
        if not -len(self._nodes) <= index < len(self._nodes):
            raise ValueError(
                f"{named(self)}: asked for the {what} of node {index}, but it has {len(self._nodes)} inbound nodes."
            )
        return self._nodes[index]

    def _only_node(self, what: str) -> Node:
        """The first of its calls, as Keras 3 documents it."""
        return self._node_at(0, what)

    def _only_shape(self, what: str, tensors: Callable[[Node], object]) -> Any:
        """Of all calls, where it is the same."""
        found = [shapes_of(tensors(node)) for node in self._nodes]
        same = bool(found) and all(one == found[0] for one in found)
        return found[0] if same else shapes_of(tensors(self._only_node(what)))

    input = property(lambda self: self._only_node("input").input)
    output = property(lambda self: self._only_node("output").outputs)
    input_shape = property(lambda self: self._only_shape("input shape", lambda node: node.input))
    output_shape = property(lambda self: self._only_shape("output shape", lambda node: node.outputs))
    input_mask = property(lambda self: masking.masks_of(self._only_node("input mask").input))
    output_mask = property(lambda self: masking.masks_of(self._only_node("output mask").outputs))

    def get_input_at(self, node_index: int) -> Any:
        return self._node_at(node_index, "input").input

    def get_output_at(self, node_index: int) -> Any:
        return self._node_at(node_index, "output").outputs

    def get_input_shape_at(self, node_index: int) -> Any:
        return shapes_of(self._node_at(node_index, "input shape").input)

    def get_output_shape_at(self, node_index: int) -> Any:
        return shapes_of(self._node_at(node_index, "output shape").outputs)

    def get_input_mask_at(self, node_index: int) -> Any:
        return masking.masks_of(self._node_at(node_index, "input mask").input)

    def get_output_mask_at(self, node_index: int) -> Any:
        return masking.masks_of(self._node_at(node_index, "output mask").outputs)


def symbol_of(leaf: Any) -> Any:
    """A tensor without its values; anything else as it is."""
    return SymbolicTensor(leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else leaf


def shapes_of(structure: Any) -> Any:
    """The shapes of a tensor or a structure of tensors, as tuples; None for what has none."""

    def shape(leaf):
        return SymbolicTensor._told_type(leaf.shape) if hasattr(leaf, "shape") else None

    return pytree.tree_map(shape, structure)


def is_shape(value: object) -> bool:
    return isinstance(value, (tuple, list, torch.Size)) and all(
        item is None or isinstance(item, (int, np.integer)) for item in value
    )


def map_shapes(function: Callable[[tuple], Any], shapes: Any) -> Any:
    """Apply to every shape in a structure of shapes."""
    if shapes is None or is_shape(shapes):
        return None if shapes is None else function(tuple(shapes))
    if isinstance(shapes, Mapping):
        return {key: map_shapes(function, item) for key, item in shapes.items()}
    found = [map_shapes(function, item) for item in shapes]
    return type(shapes)(*found) if hasattr(shapes, "_fields") else type(shapes)(found)


def infer_shape(layer: Any, input_shape: Any, *more: Any, **named_shapes: Any) -> Any:
    """What `compute_output_shape` answers for a layer that does not say: the shapes that running `call` gives."""
    dtype = layer._compute or torch.float32

    def symbol(shape):
        return SymbolicTensor(shape, dtype)

    args = tuple(map_shapes(symbol, shape) for shape in (input_shape, *more))
    kwargs = {key.removesuffix("_shape"): map_shapes(symbol, shape) for key, shape in named_shapes.items()}
    return shapes_of(call_on_trial_tensors(layer, args, kwargs))


def infer(layer: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Symbolic outputs of a call, by the layer's shape rule where it has one, else by running it on trial tensors.

    Raises ValueError for texts: what takes them says itself what it gives.
    """
    if layer._ours or not any(getattr(each, "_takes_text", False) for each in layer.modules()):
        _refuse_texts(named(layer), args)
    if layer._compute is not None:
        args, kwargs = layer._each_argument(lambda leaf, cast=True: _as_computed(leaf, layer, cast), args, kwargs)
    if not layer._has_shape_rule or scope.by_running:
        return call_on_trial_tensors(layer, args, kwargs)
    if layer._rule_is_second:
        with contextlib.suppress(ValueError, TypeError):  # what goes by values has the rule alone
            return call_on_trial_tensors(layer, args, kwargs)
    leaf = next(leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, SymbolicTensor))
    try:
        shapes = _by_rule(layer, args, kwargs)
    except (TypeError, AttributeError):  # a rule of users may go by what `call` has set
        if layer._ours:
            raise
        call_on_trial_tensors(layer, args, kwargs)
        shapes = _by_rule(layer, args, kwargs)
    dtype = layer.output_dtype(leaf.torch_dtype)
    return map_shapes(lambda shape: SymbolicTensor(shape, dtype), shapes)


def _by_rule(layer: Layer, args: tuple, kwargs: Mapping[str, Any]) -> Any:
    first = args[0] if args else next(iter(kwargs.values()))
    names = layer._shape_parameters
    if len(names) <= 1:
        return layer.compute_output_shape(shapes_of(first))
    given = {**dict(zip(layer._call_places, args, strict=False)), **kwargs}
    by_name = {f"{key}_shape": shapes_of(value) for key, value in given.items()}
    named_shapes = {name: by_name[name] for name in names[1:] if by_name.get(name) is not None}
    return layer.compute_output_shape(shapes_of(first), **named_shapes)  # a subclass may call the first otherwise


def _refuse_texts(who: str, args: Any) -> None:
    if any(isinstance(leaf, SymbolicTensor) and leaf.torch_dtype == dtypes.TEXT for leaf in pytree.tree_leaves(args)):
        raise ValueError(f"{who}: expected numbers; got texts. Put a TextVectorization or StringLookup before it.")


def run_inside(layer: Layer, args: tuple, kwargs: Mapping[str, Any]) -> None:
    """Run `call` without values where a layer inside has no weights yet, which makes them."""
    inside = (each for each in layer._flat_layers() if each is not layer)
    if any(not each._ready and type(each)._weights for each in inside):
        told = {key: value for key, value in kwargs.items() if key != "training"}
        call_on_trial_tensors(layer, args, told)


def _as_computed(leaf: Any, layer: Layer, cast: bool = True) -> Any:
    """A symbolic tensor in the type the layer takes it in; one of numbers as it is, unless the layer is to `cast`."""
    if not isinstance(leaf, SymbolicTensor) or leaf.torch_dtype in layer._passing:
        return leaf
    if leaf.torch_dtype == dtypes.TEXT:
        return SymbolicTensor(leaf.shape, torch.uint8)  # stands in for texts
    if not cast or (leaf.torch_dtype.is_complex and not layer._ours):
        return leaf
    if leaf.torch_dtype.is_complex:
        raise no_complex(named(layer), layer._compute)
    return SymbolicTensor(leaf.shape, layer._compute)


def call_on_trial_tensors(layer: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Run `call` as inference, on weights in the type it computes in: its `training` may have no default."""
    asks = layer._takes_training and layer._untold is not True
    if asks and "training" not in layer._call_places[: len(args)]:
        kwargs = {**kwargs, "training": False}
    run = run_on_trial_tensors if layer._ours else run_beside_known_sizes
    casts = layer.dtype_policy.compute is not layer.dtype_policy.variable
    call = (lambda *given, **told: layer._run_cast(given, told, hooks=False)) if casts else layer.call
    return run(call, args, kwargs, layer)


def run_on_trial_tensors(function: Callable, args: Any, kwargs: Any, layer: Any) -> Any:
    """Run without values (FakeTensors), twice where sizes are unknown, and read the shapes."""
    try:
        return _tried(function, args, kwargs, layer, TRIAL_SIZES)
    except UnsettledError:
        raise
    except ValueError:
        if not _unknown(pytree.tree_leaves((args, kwargs))):
            raise
        with contextlib.suppress(ValueError):
            return _tried(function, args, kwargs, layer, DIVISIBLE_SIZES)
        return _tried(function, args, kwargs, layer, TRIAL_SIZES)  # again, for what the error tells


def run_beside_known_sizes(function: Callable, args: Any, kwargs: Any, layer: Any) -> Any:
    """The same for code of users: unknown sizes may turn out to be 1, or to equal known ones beside them."""
    try:
        return run_on_trial_tensors(function, args, kwargs, layer)
    except UnsettledError:
        raise
    except ValueError as error:
        kinds = Tensor, SymbolicTensor, np.ndarray
        shaped = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, kinds)]
        if not any(None in leaf.shape for leaf in shaped):
            data = not any(isinstance(leaf, SymbolicTensor) for leaf in shaped)
            if layer is not None and (layer._building or data):  # its weights are asked for alone; sizes may be values
                with contextlib.suppress(ValueError), put(scope, trial_on_zeros=True):
                    return _tried(function, args, kwargs, layer, TRIAL_SIZES)
            raise
        counts = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if type(leaf) is int and leaf > 1]
        if counts:  # a size may be one of rows that are put together: what is as large as all of them divides it
            with contextlib.suppress(ValueError):
                first, second = TRIAL_SIZES
                return _tried(function, args, kwargs, layer, (first * math.prod(counts), second * math.prod(counts)))
        known = [size for leaf in shaped for size in leaf.shape if size is not None]
        for size in dict.fromkeys([1, *_asked_for(str(error)), *known]):
            try:
                return _tried(function, args, kwargs, layer, (size, size))
            except ValueError:
                continue
        raise


def _asked_for(error: str) -> list[int]:
    """The unknown size for which a reshape to written sizes is right, by what torch says against the first trial."""
    told = re.search(r"shape '\[([\d, ]+)\]' is invalid for input of size (\d+)", error)
    whole = math.prod(map(int, told[1].split(","))) * TRIAL_SIZES[0] if told else 0
    return [whole // int(told[2])] if told and whole and whole % int(told[2]) == 0 else []


class UnsettledError(ValueError):
    """How many outputs there are depends on a size that is unknown."""


def _unknown(leaves: Sequence[object]) -> bool:
    symbols = (leaf for leaf in leaves if isinstance(leaf, SymbolicTensor))
    return any(None in leaf.shape or leaf.known is not None for leaf in symbols)


@contextlib.contextmanager
def _on_zeros(layer: Any, who: str) -> Iterator[None]:
    """Inside, trials have values, and what they assign to weights is forgotten."""
    before = [] if layer is None else [(weight, weight.detach().clone()) for weight in layer.weights]
    try:
        with put(scope, trial_on_zeros=True), _FewDecisions(who):
            yield
    finally:
        with torch.no_grad():
            for weight, value in before:
                weight.copy_(value)


def _tried(function: Callable, args: Any, kwargs: Any, layer: Any, tried: tuple[int, int]) -> Any:
    symbols = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, SymbolicTensor)]
    _refuse_texts(_called(function, layer), symbols)
    unknown = _unknown(symbols)
    of_sizes = any(leaf.known is not None for leaf in symbols) or function in SIZES
    # Weights that layers inside make now lie under its name.
    path = scope.path if layer is None or layer._building else (*scope.path, layer.name)
    try:
        with put(scope, training=False, depth=scope.depth + 1, path=path):
            trials = range(1 + unknown)
            try:
                results = [_trial(function, args, kwargs, tried[number], number, layer) for number in trials]
            except _Decides:  # by values, which zeros have
                with _on_zeros(layer, _called(function, layer)):
                    results = [_trial(function, args, kwargs, tried[number], number, layer) for number in trials]
    finally:
        for inner in layer._flat_layers() if layer is not None else ():
            inner._losses.clear()

    if len({pytree.tree_structure(result) for result in results}) > 1:
        raise UnsettledError(
            f"{_called(function, layer)}: how many outputs it has depends on a size that is unknown; give that size in "
            "`Input(shape)`, or the number of outputs where the function takes it."
        )

    def merge(first, *others):
        if isinstance(first, SymbolicTensor):
            raise ValueError(
                f"{_called(function, layer)}: its function computes with symbolic tensors from outside; give it all "
                "that it needs as its inputs."
            )
        if not isinstance(first, Tensor):
            return first
        sizes = zip(*(tuple(int(s) for s in t.shape) for t in (first, *others)), strict=True)
        perhaps = tried[0] if tried[0] == tried[1] else None  # the size that stood for an unknown one
        shape = [same[0] if len(set(same)) == 1 and same[0] != perhaps else None for same in sizes]
        made = SymbolicTensor(shape, first.dtype)
        if of_sizes:
            values = [getattr(tensor, "constant", None) for tensor in (first, *others)]
            found = tuple(value.cpu() for value in values if value is not None)  # to be read where nothing has values
            made.known = found if len(found) == len(values) else None
        return made

    return pytree.tree_map(merge, *results)


def _called(function: Callable, layer: Any) -> str:
    return named(layer) if layer is not None else getattr(function, "__name__", str(function))


SIZES: set[Callable] = set()  # functions whose results are made of the sizes of what they get


_FEW = 128
_OF_NUMBERS: set[Any] = {
    each
    for name in ("arange", "full", "ones", "scalar_tensor", "zeros")
    for each in (getattr(getattr(torch.ops.aten, name), kind, None) for kind in ("default", "start", "start_step"))
}


_ASKED = torch.ops.aten._local_scalar_dense.default
_MOST_DECISIONS = 1_000


class _Decides(Exception):
    """What is tried asks whether something holds of values. Sizes that are values stay refused: zeros tell none."""


class _FewDecisions(TorchDispatchMode):
    """Raises ValueError for a loop that does not end on zeros."""

    def __init__(self, who: str):
        super().__init__()
        self._who, self._left = who, _MOST_DECISIONS

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is _ASKED:
            self._left -= 1
            if self._left < 0:
                raise ValueError(
                    f"{self._who} goes by values: on the zeros that its shape is found with, a loop does not end in "
                    f"{_MOST_DECISIONS:,} rounds. Write its rule: compute_output_shape."
                )
        return func(*args, **(kwargs or {}))


class _TrialMode(FakeTensorMode):
    """Tensors have no values, but what is made of a few numbers, as sizes are, keeps them."""

    def may_turn_const(self, t: Tensor) -> bool:
        return t.numel() <= _FEW and type(t) is Tensor and not t.is_meta

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is _ASKED and args[0].dtype is torch.bool and getattr(args[0], "constant", None) is None:
            raise _Decides
        # Torch before 2.13 takes no subclasses of Parameter.
        args, kwargs = pytree.tree_map_only(Weight, lambda weight: nn.Parameter(weight.detach(), False), (args, kwargs))
        types = tuple(nn.Parameter if issubclass(kind, Weight) else kind for kind in types)
        made: Any = super().__torch_dispatch__(func, types, args, kwargs)
        if func in _OF_NUMBERS and made.numel() <= _FEW and not made.is_meta:
            return self.fake_tensor_converter.from_real_tensor(self, func(*args, **(kwargs or {})), make_constant=True)
        return made


def _trial(function: Callable, args: Any, kwargs: Any, size: int, number: int, layer: Any) -> Any:
    zeros = scope.trial_on_zeros
    mode = contextlib.nullcontext() if zeros else _TrialMode(allow_non_fake_inputs=True)
    with mode, _BesideArrays(), torch.no_grad():
        make = torch.zeros if zeros else torch.empty
        device = None if layer is None else device_of(layer)
        device = None if device is not None and device.type == "meta" else device  # of weights that wait for a file

        def concrete(leaf):
            if not isinstance(leaf, SymbolicTensor):
                return leaf
            if leaf.known is not None:
                return torch.tensor(leaf.known[min(number, len(leaf.known) - 1)].tolist(), dtype=leaf.torch_dtype)
            return make([size if s is None else s for s in leaf.shape], dtype=leaf.torch_dtype, device=device)

        args, kwargs = pytree.tree_map(concrete, (args, kwargs))
        try:
            with put(scope, trying=True):
                return function(*args, **kwargs)
        except (RuntimeError, IndexError, TypeError) as error:
            raise cannot_take(_called(function, layer), args, error) from error


def cannot_take(who: str, arguments: Any, error: Exception) -> ValueError:
    """What torch says against a call, with the name of what was called and the shapes it got."""
    shapes = [show_shape(leaf.shape) for leaf in pytree.tree_leaves(arguments) if hasattr(leaf, "shape")]
    reason = str(error).strip().partition("\n")[0][:200]
    return ValueError(f"{who} cannot take inputs of shape {', '.join(shapes)}: {reason}")


def checked(layer: Any, args: tuple, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a call that is to be recorded, without those that say nothing."""
    if scope.calls_left is not None:
        scope.calls_left -= 1
        if scope.calls_left < 0:
            raise ValueError(f"{named(layer)}: its config asks for far more calls than it describes.")
    _check_names(layer, args, kwargs)
    kept = {key: value for key, value in kwargs.items() if value is not None}
    if "training" in kept and not layer._takes_training and not getattr(layer, "_is_composite", False):
        del kept["training"]
    return kept


def _check_names(layer: Any, args: tuple, kwargs: Mapping[str, Any]) -> None:
    """Raises TypeError for arguments that `call` does not take: a shape rule alone would never miss them."""
    asked = {key: value for key, value in kwargs.items() if key not in ("training", "mask")}
    try:
        layer._call_signature.bind_partial(layer, *args, **asked)
    except TypeError as error:
        taken = ", ".join(layer._call_parameters)
        what = str(error).replace("got an unexpected keyword argument", "it has no argument")
        raise TypeError(f"{named(layer)}: its call takes ({taken}); {what}.") from None


def apply(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Record a function of symbolic tensors as a layer of its own; arrays beside them are tensors to it."""
    leaves = pytree.tree_leaves((args, kwargs))
    first = next((leaf for leaf in leaves if isinstance(leaf, SymbolicTensor)), None)
    like = None if first is None else first.torch_dtype
    args, kwargs = pytree.tree_map(lambda leaf: beside(leaf, like), (args, kwargs))
    make = (SymbolicTensor if first is None else first._kind)._as_layer
    make = make or importlib.import_module(f"{__package__}.operation").Operation
    with as_chosen():
        return make(function)(*args, **kwargs)


class _BesideArrays(TorchFunctionMode):
    """Inside, tensors without values take part in NumPy's operators, as others do: they pass for zeros there."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__array__ and args[0].dtype is not torch.bfloat16:
            zero = np.zeros((), dtypes.dtype_name(args[0].dtype))
            return np.broadcast_to(zero, tuple(args[0].shape))
        return func(*args, **(kwargs or {}))


KerasTensor = SymbolicTensor  # as Keras calls it
