"""A plain function as a node of a model: operators, indexing and array functions on symbolic tensors."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from . import arrays, dtypes, symbolic
from .errors import BadConfig, NoSuchAxis, short, show_shape
from .layer import Layer, unique_name
from .symbolic import SymbolicTensor

P = ParamSpec("P")
R = TypeVar("R")

# What Keras calls functions of torch and of `operator`, where it has another word. Operations are named so, too.
KERAS_WORDS = {
    "abs": "absolute", "acos": "arccos", "asin": "arcsin", "atan": "arctan", "atan2": "arctan2", "div": "true_divide",
    "eq": "equal", "floordiv": "floor_divide", "ge": "greater_equal", "getitem": "get_item", "gt": "greater",
    "le": "less_equal", "logsigmoid": "log_sigmoid", "lt": "less", "mul": "multiply", "ne": "not_equal",
    "neg": "negative", "pow": "power", "remainder": "mod", "sub": "subtract", "truediv": "true_divide",
}  # fmt: skip

# What Keras 3.0 to 3.4 called arguments of `keras.ops`, and what they are called since.
_SINCE = {"image": "images", "input": "inputs", "new_shape": "newshape"}
# What puts elements elsewhere and looks at none: texts may be moved so, too.
_MOVERS = frozenset(
    "broadcast_to concat concatenate copy expand_dims flip gather get_item hstack identity moveaxis ravel repeat "
    "reshape roll split squeeze stack swapaxes take tile transpose unstack vstack".split()
)
SEARCHED = {SymbolicTensor, list, tuple, dict}  # and classes of symbols that record functions their own way


def word_of(function: Any) -> str:
    """What Keras calls a function, of torch too; its own name for any other."""
    word = getattr(function, "keras_word", None) or getattr(function, "__name__", "").strip("_")
    return KERAS_WORDS.get(word, word)


class Operation(Layer):
    """Calls one function. Has no weights and no arguments of its own: those stand in the recorded call."""

    _autocast = False
    _creates_mask = False
    _known_outputs: Any = None  # of the call that is being recorded, where another one tells them

    def __init__(self, function: Callable, name: str | None = None):
        super().__init__(name=name or unique_name(word_of(function) or "operation"))
        self.function = function
        self._finish_build()

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def _convert(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        return args, dict(kwargs)  # the function takes arrays as it likes

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Functions drop masks, as in Keras 3."""

    def get_config(self) -> dict[str, Any]:
        raise ValueError(
            f'Operation "{self.name}": a plain function has no config. Use a layer (Lambda, Activation) in its place, '
            "or save the weights alone."
        )

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self._known_outputs is not None:
            return self._known_outputs
        if _moves(self.function) and any(
            getattr(leaf, "torch_dtype", None) == dtypes.TEXT for leaf in pytree.tree_leaves((args, kwargs))
        ):
            args, kwargs = pytree.tree_map(functools.partial(_retyped, dtypes.TEXT, torch.int64), (args, kwargs))
            found = symbolic.run_beside_known_sizes(self.function, args, kwargs, self)
            return pytree.tree_map(functools.partial(_retyped, torch.int64, dtypes.TEXT), found)
        return symbolic.run_beside_known_sizes(self.function, args, kwargs, self)

    def copy_of_call(self, node: symbolic.Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The outputs of a call as that of `node`, of the same function, which is not run again for the same shapes."""
        before, after = (pytree.tree_leaves(each) for each in ((node.args, kwargs and node.kwargs), (args, kwargs)))
        if len(before) == len(after) and all(map(_alike, before, after)):
            vars(self)["_known_outputs"] = node.outputs
        try:
            return self(*args, **kwargs)
        finally:
            vars(self).pop("_known_outputs", None)


def _moves(function: Callable) -> bool:
    return word_of(function) in _MOVERS


def _retyped(before: Any, after: Any, leaf: Any) -> Any:
    """A symbol of one type as one of another."""
    fits = isinstance(leaf, SymbolicTensor) and leaf.torch_dtype == before
    return SymbolicTensor(leaf.shape, after) if fits else leaf


def _by_places(function: Callable, args: tuple, kwargs: Mapping[str, Any]) -> Any:
    """A call that moves texts, of which there are no tensors: it moves their places. None where there are no texts."""
    held: list[np.ndarray] = []

    def places(leaf: Any) -> Any:
        found = arrays.texts(leaf) if arrays.is_array(leaf) else None
        if found is None:
            return leaf
        start = sum(each.size for each in held)
        held.append(found.ravel())
        return torch.arange(start, start + found.size, device="cpu").reshape(found.shape)

    args, kwargs = pytree.tree_map(places, (args, dict(kwargs)))
    if not held:
        return None
    flat = np.concatenate(held)
    return pytree.tree_map_only(Tensor, lambda at: flat[at.numpy()], function(*args, **kwargs))


def _alike(before: Any, after: Any) -> bool:
    """Whether two inputs are one value, or symbols of the same."""
    if not (isinstance(before, SymbolicTensor) and isinstance(after, SymbolicTensor)):
        return before is after
    return (before.shape, before.torch_dtype) == (after.shape, after.torch_dtype) and before.known is after.known


SymbolicTensor._as_layer = Operation


class Gradients(Operation):
    """Gradients of the sum of some tensors by others. A plan that holds one tracks what it computes (see `tracked`)."""

    _asks_gradients = True

    def __init__(self) -> None:
        super().__init__(self.of, unique_name("gradients"))

    @staticmethod
    def of(losses: Sequence[Tensor], variables: Sequence[Tensor]) -> list[Tensor | None]:
        """None for a variable that no loss rests on. Gradients may be taken of the result."""
        total = functools.reduce(torch.add, [loss.sum() for loss in losses])
        return list(torch.autograd.grad(total, list(variables), create_graph=True, allow_unused=True))

    def call(self, losses: Sequence[Tensor], variables: Sequence[Tensor]) -> list[Tensor]:
        found = self.of(losses, variables)
        return [torch.zeros_like(x) if grad is None else grad for grad, x in zip(found, variables, strict=True)]

    def compute_output_spec(self, losses: Any, variables: Any) -> list[SymbolicTensor]:
        types = [x.torch_dtype if isinstance(x, SymbolicTensor) else x.dtype for x in variables]
        return [SymbolicTensor(x.shape, dtype) for x, dtype in zip(variables, types, strict=True)]


def tracked(run: Callable[..., Any], nodes: Sequence[symbolic.Node]) -> Callable[..., Any]:
    """A plan's function, gradients by its inputs and by weights known inside, whatever is asked for outside."""
    taken = [leaf for node in nodes if isinstance(node.layer, Gradients) for leaf in pytree.tree_leaves(node.args[1])]
    weights = [leaf for leaf in taken if isinstance(leaf, Tensor)]

    def leaf(x: Any) -> Any:
        if not isinstance(x, Tensor) or not x.is_floating_point() or x.requires_grad:
            return x
        return (x.clone() if x.is_inference() else x.detach()).requires_grad_()

    def tracking(*inputs: Any) -> Any:
        frozen = [weight for weight in weights if not weight.requires_grad]
        outside = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():
            try:
                for weight in frozen:
                    weight.requires_grad_()
                found = run(*map(leaf, inputs))
            finally:
                for weight in frozen:
                    weight.requires_grad_(False)
        return found if outside else pytree.tree_map(lambda x: x.detach() if isinstance(x, Tensor) else x, found)

    return tracking


def recorded(function: Callable[P, R]) -> Callable[P, R]:
    """Make a call with a symbolic tensor anywhere in its arguments one node of a model, named as the function."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for value in args:
            if type(value) in SEARCHED and _holds_symbolic(value):
                return record(call, args, kwargs)
        if kwargs:
            for value in kwargs.values():
                if type(value) in SEARCHED and _holds_symbolic(value):
                    return record(call, args, kwargs)
        try:
            return function(*args, **kwargs)
        except Exception as error:
            return _moved_or_told(function, args, kwargs, error)

    return call


def _moved_or_told(function: Callable, args: tuple, kwargs: dict[str, Any], error: Exception) -> Any:
    """What a call gives that failed because it moves texts, or for its words; else raises what is to be said."""
    told_today = _in_words_of_today(function, kwargs) if type(error) is TypeError else kwargs
    if told_today.keys() != kwargs.keys():
        return function(*args, **told_today)
    moved = _by_places(function, args, kwargs) if _moves(function) else None
    if moved is not None:
        return moved
    told = _at_fault(function, args, kwargs, error)
    if told is None and type(error) in (RuntimeError, IndexError):  # a device without memory raises another
        told = symbolic.cannot_take(function.__name__, (args, kwargs), error)
    if told is None:
        raise error
    raise told from error


def _in_words_of_today(function: Callable, kwargs: dict[str, Any]) -> dict[str, Any]:
    if kwargs.keys().isdisjoint(_SINCE):
        return kwargs
    free = inspect.signature(function).parameters.keys() - kwargs.keys()
    return {_SINCE[word] if _SINCE.get(word) in free else word: value for word, value in kwargs.items()}


def _at_fault(function: Callable, args: tuple, kwargs: dict[str, Any], error: Exception) -> ValueError | None:
    """What is to be said of an axis that made a call fail; None where it was something else."""
    try:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
    except TypeError:
        return None
    for word in given.keys() & {"axis", "axes"}:
        axes = [] if given[word] is None else pytree.tree_leaves(given[word])
        if strange := [axis for axis in axes if not hasattr(axis, "__index__")]:
            return BadConfig(f"{function.__name__}: `{word}` must be made of integers; got {short(strange[0])}.")
        if word == "axes" and isinstance(error, TypeError) and isinstance(given[word], int):
            return BadConfig(f"{function.__name__}: `axes` must be several integers; got {given[word]}.")
        if isinstance(error, NoSuchAxis) or (type(error) is IndexError and "Dimension out of range" not in str(error)):
            shape = next(
                (tuple(leaf.shape) for leaf in pytree.tree_leaves((args, kwargs)) if hasattr(leaf, "shape")), ()
            )
            if missing := [axis for axis in axes if not -len(shape) <= axis < len(shape)]:
                there = f"{-len(shape)} to {len(shape) - 1}" if shape else "none"
                return NoSuchAxis(
                    f"{function.__name__}: there is no axis {missing[0]} (`{word}`): the input has shape "
                    f"{show_shape(shape)}, axes {there}."
                )
    return None


def _holds_symbolic(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is not list and kind is not tuple:
        return isinstance(value, SymbolicTensor)
    for item in value:
        if type(item) in SEARCHED and _holds_symbolic(item):
            return True
    return False


def record(function: Callable, args: tuple, kwargs: dict[str, Any], name: str | None = None) -> Any:
    """The outputs of a call as a node of a model.

    Tensors, and None where it is not the default, go by position: a layer's call reads keywords its own way.
    """
    if kwargs:
        kwargs = _in_words_of_today(function, kwargs)
        bound = inspect.signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
        parameters = list(bound.signature.parameters.values())
        if all(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters):
            first = len(args)
            for place, parameter in enumerate(parameters):
                value = bound.arguments[parameter.name]
                if isinstance(value, (Tensor, np.ndarray)) or _holds_symbolic(value):
                    first = max(first, place + 1)
                elif value is None and parameter.default is not None:
                    first = max(first, place + 1)
            args = tuple(bound.arguments.values())[:first]
            later = {parameter.name for parameter in parameters[first:]}
            kwargs = {key: value for key, value in kwargs.items() if key in later}
    leaves = pytree.tree_leaves((args, kwargs))
    kind = next((leaf._kind for leaf in leaves if isinstance(leaf, SymbolicTensor)), SymbolicTensor)
    return kind._as_layer(function, name)(*args, **kwargs)
