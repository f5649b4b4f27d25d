"""A stand-in for `import theano`, for scripts of 2015 to 2018 that use a little of it beside Keras.

Functions of `theano.tensor` are the ops of this package; variables, placeholders, functions and gradients are those of
`keras.backend`. Whatever else is imported is there, and says so where it is used.
"""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import ops
from ..core.operation import recorded
from ..core.symbolic import SymbolicTensor

# Functions that are an op, under its name or another.
_OPS = """
all any arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort cast ceil clip concatenate cos
cosh cumprod cumsum diag dot erf erfinv exp expm1 eye floor isinf isnan log log10 log1p log2 logsumexp max maximum mean
min minimum mod ones ones_like outer prod real repeat reshape roll round sin sinh sort sqrt std sum tan tanh tensordot
tile transpose tril triu var zeros zeros_like
abs_=absolute add and_=logical_and inv=reciprocal invert=logical_not mul=multiply neg=negative or_=logical_or pow=power
sgn=sign sqr=square sub=subtract true_div=true_divide
nnet.elu nnet.selu nnet.sigmoid nnet.softmax nnet.softplus nnet.softsign
"""
_COMPARING = "eq=equal ge=greater_equal gt=greater le=less_equal lt=less neq=not_equal"  # which give numbers
_METHODS = ((Tensor, "dimshuffle"), (SymbolicTensor, "dimshuffle"), (SymbolicTensor, "T"))
_AXES = {"scalar": 0, "vector": 1, "row": 2, "col": 2, "matrix": 2, "tensor3": 3, "tensor4": 4, "tensor5": 5}
_TYPES = {"": None, "f": "float32", "d": "float64", "i": "int32", "l": "int64", "b": "int8", "w": "int16"}


class _Absent:
    """A name that is not here: it may be imported, and says so when it is used."""

    def __init__(self, path: str):
        self._path = path

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise AttributeError(
            f"{self._path} is not in Lamina's stand-in for Theano. Use a function of keras.backend, or of torch."
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self()

    def __mro_entries__(self, _: Any) -> Any:
        return self()


class StandIn(ModuleType):
    """A module of the stand-in."""

    __path__: list[str]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Absent(f"{self.__name__}.{name}")


class _Below(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds whatever is imported from below the stand-in."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        ours = fullname.startswith("theano.") and isinstance(sys.modules.get("theano"), StandIn)
        return ModuleSpec(fullname, self, is_package=True) if ours else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, _: ModuleType) -> None:
        """Its names are absent ones."""


sys.meta_path.append(_Below())


def stand_in(backend: Any) -> dict[str, ModuleType]:
    """The modules `theano`, `theano.tensor`, `theano.tensor.nnet`; `backend` is the generation's `keras.backend`."""
    for cls, name in _METHODS:
        setattr(cls, name, property(ops.transpose) if name == "T" else dimshuffle)
    root, tensor, nnet = (StandIn(name) for name in ("theano", "theano.tensor", "theano.tensor.nnet"))
    for module in (root, tensor, nnet):
        module.__path__ = []
        module.__spec__ = ModuleSpec(module.__name__, None, is_package=True)
    for path, op in _pairs(_OPS):
        setattr(nnet if path.startswith("nnet.") else tensor, path.removeprefix("nnet."), getattr(ops, op))
    for path, op in _pairs(_COMPARING):
        setattr(tensor, path, _counted(op))
    vars(tensor).update(nnet=nnet, batched_dot=batched_dot, flatten=flatten, stack=stack, switch=switch)
    for own in (relu, hard_sigmoid, binary_crossentropy, categorical_crossentropy):
        setattr(nnet, own.__name__, own)

    for letter, dtype in _TYPES.items():
        for word, axes in _AXES.items():
            setattr(tensor, letter + word, _placeholder(backend, axes, dtype))
    calls = _calls(backend)
    config = SimpleNamespace(floatX=backend.floatx(), device="cpu", openmp=False)
    vars(root).update(calls, tensor=tensor, config=config, __version__="0.9.0")
    vars(tensor).update(grad=calls["grad"])
    return {module.__name__: module for module in (root, tensor, nnet)}


def _placeholder(backend: Any, axes: int, own: str | None) -> Any:
    return lambda name=None, dtype=own: backend.placeholder(ndim=axes, dtype=dtype, name=name)


def _calls(backend: Any) -> dict[str, Any]:
    """What makes variables, functions and gradients."""

    def shared(value, name=None, borrow=False):
        """A variable of the value's own type, which holds its own numbers also with `borrow`."""
        return backend.variable(value, dtype=str(np.asarray(value).dtype), name=name)

    def function(inputs, outputs=(), updates=(), givens=None, **_):
        """A function of arrays. Other words say how Theano compiles it."""
        if givens:
            _Absent("theano.function(givens=)")()
        several = isinstance(outputs, (list, tuple))
        pairs = updates.items() if hasattr(updates, "items") else updates
        computed = backend.function(list(inputs), list(outputs) if several else [outputs], updates=list(pairs))

        def call(*arrays):
            found = computed([np.asarray(array) for array in arrays])
            return found if several else found[0]

        return call

    def grad(cost, wrt):
        several = isinstance(wrt, (list, tuple))
        found = backend.gradients(cost, list(wrt) if several else [wrt])
        return found if several else found[0]

    return {"shared": shared, "function": function, "grad": grad}


def leave() -> None:
    """Tensors have no methods of Theano's any more."""
    for cls, name in _METHODS:
        if name in vars(cls):
            delattr(cls, name)


def _pairs(words: str) -> list[tuple[str, str]]:
    """Names of Theano's, each with that of the op."""
    split = [word.partition("=") for word in words.split()]
    return [(path, op or path.rpartition(".")[2]) for path, _, op in split]


def _counted(op: str) -> Any:
    return recorded(lambda a, b: getattr(ops, op)(a, b).to(torch.int8))


@recorded
def dimshuffle(x, *pattern):
    """Its axes in another order; "x" is a new one of size 1. Raises ValueError where one that is left out is larger."""
    order = pattern[0] if len(pattern) == 1 and isinstance(pattern[0], (list, tuple)) else pattern
    kept = [axis for axis in order if axis != "x"]
    left_out = [axis for axis in range(x.ndim) if axis not in kept]
    if any(x.shape[axis] != 1 for axis in left_out):
        raise ValueError(f"dimshuffle: expected axes {left_out} of size 1, left out of {order}; got {tuple(x.shape)}.")
    found = x.permute(*left_out, *kept)[(0,) * len(left_out)]
    return found[tuple(None if axis == "x" else slice(None) for axis in order)]


@recorded
def flatten(x, outdim=1):
    """The last axes as one, so that `outdim` are left."""
    return x.flatten(outdim - 1)


def stack(*tensors, axis=0):
    return ops.stack(list(tensors[0] if len(tensors) == 1 else tensors), axis)


def switch(cond, ift, iff):
    return ops.where(ops.not_equal(cond, 0), ift, iff)


_BATCHED = {(2, 2): "bi,bi->b", (3, 2): "bij,bj->bi", (2, 3): "bi,bij->bj", (3, 3): "bij,bjk->bik"}


def batched_dot(a, b):
    """The products sample by sample: of vectors or matrices each."""
    return ops.einsum(_BATCHED[a.ndim, b.ndim], a, b)


def relu(x, alpha=0):
    return ops.where(x > 0, x, alpha * x)


def hard_sigmoid(x):
    return ops.clip(0.2 * x + 0.5, 0, 1)


@recorded
def binary_crossentropy(output, target):
    """Of each value; nothing is clipped."""
    return -(target * output.log() + (1.0 - target) * (1.0 - output).log())


@recorded
def categorical_crossentropy(coding_dist, true_dist):
    """Of each sample; `true_dist` are shares (batch, classes) or classes (batch,)."""
    if true_dist.ndim == coding_dist.ndim:
        return -(true_dist * coding_dist.log()).sum(-1)
    return -coding_dist.log().gather(-1, true_dist.long()[..., None])[..., 0]
