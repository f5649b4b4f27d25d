"""Variables, modules, gradients and functions: what custom training in TensorFlow's words is made of."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ... import files, ops, optimizers, tree
from ...core import dtypes
from ...core.children import Children
from ...core.layer import Layer
from ...core.scope import scope, snake_case
from ...core.symbolic import SymbolicTensor
from ...core.weight import Weight, has_gradients
from ...files import bundle, object_graph
from ...ops.base import tensor
from ...optimizers import Optimizer
from ...training import loop
from ..activations import in_graph
from ..habits import nearest_first, when_ready
from ..tensors import with_assign
from .arrays import convert_to_tensor
from .base import NAMES, UNHEARD, Sizes, TensorShape, TensorSpec, Texts, named

_NONE, _ZERO = "none", "zero"


class _AnyWeight(type(Weight)):
    """Weights of layers are variables, too."""

    def __instancecheck__(cls, instance) -> bool:
        return isinstance(instance, Weight) or super().__instancecheck__(instance)


@named("Variable")
class Variable(Weight, metaclass=_AnyWeight):
    """A tensor that is written to: `assign`, `assign_add`, `assign_sub`. Floats are trained unless told not to."""

    def __new__(cls, initial_value = None, trainable: bool | None = None, *, name: str | None = None,
                dtype = None, constraint = None, shape = None, **options) -> Any:  # fmt: skip
        unknown = sorted(options.keys() - UNHEARD)
        if unknown:
            raise TypeError(f"Variable has no argument {unknown[0]!r}.")
        value = initial_value() if callable(initial_value) and not isinstance(initial_value, Tensor) else initial_value
        if value is None:
            raise ValueError("Variable: `initial_value` is needed.")
        if isinstance(value, Sizes):
            value = value.numpy()
        made = tensor(value, None if dtype is None else dtypes.torch_dtype(dtype)).detach().clone()
        if shape is not None and not TensorShape(shape).is_compatible_with(made.shape):
            raise ValueError(f"Variable: expected a value of shape {shape}; got {tuple(made.shape)}.")
        return super().__new__(cls, made, trainable=trainable is not False, name=name or "Variable",
                               constraint=constraint, path=name or "Variable")  # fmt: skip

    def __init__(self, *args, **kwargs) -> None:
        pass

    def value(self) -> Tensor:  # type: ignore[override]
        return self.detach().clone() if not self.requires_grad else self * 1

    read_value = value

    def numpy(self, **options):
        return super().numpy(**options)[()]

    def assign(self, value, use_locking=False, name=None, read_value=True) -> Any:
        """Write a value of the variable's shape."""
        found = super().assign(tensor(value, self.dtype).detach())
        return found if read_value else None

    def assign_add(self, delta, use_locking=False, name=None, read_value=True) -> Any:
        return self.assign(self.detach() + tensor(delta, self.dtype).detach())

    def assign_sub(self, delta, use_locking=False, name=None, read_value=True) -> Any:
        return self.assign(self.detach() - tensor(delta, self.dtype).detach())

    def __getitem__(self, key: Any) -> Tensor:
        key = tuple(key) if type(key) is list else key
        return with_assign(super().__getitem__(key), self, key)

    def _scattered(self, reduction: str | None, indices, updates) -> Variable:
        return self.assign(ops.scatter_update(self.detach(), indices, updates, reduction))

    def scatter_nd_update(self, indices, updates) -> Variable:
        return self._scattered(None, indices, updates)

    def scatter_nd_add(self, indices, updates) -> Variable:
        return self._scattered("add", indices, updates)

    def scatter_nd_sub(self, indices, updates) -> Variable:
        return self._scattered("add", indices, -tensor(updates))

    def scatter_update(self, sparse_delta) -> Variable:
        return self.scatter_nd_update(sparse_delta.indices[:, None], sparse_delta.values)

    def scatter_add(self, sparse_delta) -> Variable:
        return self.scatter_nd_add(sparse_delta.indices[:, None], sparse_delta.values)

    def scatter_sub(self, sparse_delta) -> Variable:
        return self.scatter_nd_sub(sparse_delta.indices[:, None], sparse_delta.values)

    def gather_nd(self, indices) -> Tensor:
        return NAMES["gather_nd"](self, indices)

    def get_shape(self) -> TensorShape:
        return TensorShape(self.shape)

    def like(self, data: Tensor) -> Weight:
        made = Variable(data, trainable=self._trainable)
        vars(made).update(vars(self))
        return made

    def __repr__(self, **kwargs) -> str:
        shape, dtype = tuple(self.shape), dtypes.dtype_name(self.dtype)
        return f"<tf.Variable {self.name!r} shape={shape} dtype={dtype}, numpy={self.numpy()}>"


for _word in ("assign", "assign_add", "assign_sub"):
    NAMES[_word] = (
        lambda word: lambda ref, value, validate_shape=None, use_locking=None, name=None: getattr(ref, word)(value)
    )(_word)


# Gradients ------------------------------------------------------------------------------------------------------------


class _Open(threading.local):
    tapes = 0


_open = _Open()


def _leaves(structure) -> list[Any]:
    return [leaf for leaf in pytree.tree_leaves(structure) if leaf is not None]


@named("GradientTape")
class GradientTape:
    """Gradients of what is computed inside, with respect to variables and to tensors that are watched.

    persistent: `gradient` may be asked for more than once. watch_accessed_variables: False leaves out variables that
    are not watched. Tapes inside tapes give gradients of gradients.
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True):
        self._persistent, self._all = persistent, watch_accessed_variables
        self._watched: list[Tensor] = []
        self._known: set[int] = set()  # variables that are watched
        self._asked = False
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> GradientTape:
        _open.tapes += 1
        loop.tapes = loop.tapes or scope.depth > 0
        self._stack.enter_context(torch.enable_grad())
        return self

    def __exit__(self, *exception) -> None:
        _open.tapes -= 1
        self._stack.close()
        for watched in self._watched:
            watched.requires_grad_(False)  # what follows outside is not recorded

    def watch(self, tensor) -> None:
        """Count tensors of floats among what gradients may be asked of."""
        for leaf in _leaves(tensor):
            if not isinstance(leaf, Tensor):
                raise ValueError(
                    f"GradientTape.watch: expected tensors; got {type(leaf).__name__}. Make it one with tf.constant."
                )
            if has_gradients(leaf) and not leaf.requires_grad:
                self._watched.append(leaf.requires_grad_())
            elif leaf.requires_grad and isinstance(leaf, nn.Parameter):
                self._known.add(id(leaf))

    def _counts(self, source) -> bool:
        if not isinstance(source, Tensor) or not has_gradients(source):
            return False
        return self._all or not isinstance(source, nn.Parameter) or id(source) in self._known

    def gradient(self, target, sources, output_gradients = None,
                 unconnected_gradients = _NONE) -> Any:  # fmt: skip
        """Of the sum of the target's values, in the structure of `sources`. None, or zeros if so told, for a source
        that the target does not rest on. Raises RuntimeError for a second call unless the tape is persistent."""
        if self._asked and not self._persistent:
            raise RuntimeError(
                "A tape that is not persistent gives gradients once; make it with GradientTape(persistent=True)."
            )
        self._asked = True
        leaves, spec = pytree.tree_flatten(sources)
        found = self._gradients(_leaves(target), leaves, output_gradients)
        if unconnected_gradients == _ZERO:
            found = [torch.zeros_like(leaf) if one is None else one for leaf, one in zip(leaves, found, strict=True)]
        return pytree.tree_unflatten(found, spec)

    def _gradients(self, targets: list[Tensor], sources: list[Any], given=None) -> list[Tensor | None]:
        weights = [None] * len(targets) if given is None else _leaves(given)
        with self._rewatched():
            pairs = [
                (one, torch.ones_like(one) if weight is None else weight)
                for one, weight in zip(targets, weights, strict=True)
                if isinstance(one, Tensor) and one.requires_grad
            ]
            asked = [one for one in sources if self._counts(one) and one.requires_grad]
            if not pairs or not asked:
                return [None] * len(sources)
            try:
                found = torch.autograd.grad(
                    [one for one, _ in pairs], asked, [weight for _, weight in pairs],
                    retain_graph=True, create_graph=_open.tapes > 0, allow_unused=True,
                )  # fmt: skip
            except RuntimeError as error:
                if "modified by an inplace operation" not in str(error):
                    raise
                raise RuntimeError(
                    "GradientTape.gradient: a variable that the gradient rests on was assigned to, or updated by an "
                    "optimizer, since the tape recorded it. Ask for all gradients first, then apply them."
                ) from error
        of = {id(one): gradient for one, gradient in zip(asked, found, strict=True)}
        return [of.get(id(one)) for one in sources]

    @contextlib.contextmanager
    def _rewatched(self) -> Iterator[None]:
        again = [one for one in self._watched if not one.requires_grad]
        for one in again:
            one.requires_grad_()
        try:
            yield
        finally:
            for one in again:
                one.requires_grad_(False)

    def watched_variables(self) -> None:
        """Raises ValueError: gradients are asked of variables, which need not be told before."""
        raise ValueError(
            "GradientTape.watched_variables: in this stand-in for TensorFlow a tape keeps no list of the variables it "
            "saw. Give `gradient` the variables themselves, as model.trainable_variables."
        )

    def jacobian(self, target: Tensor, sources, unconnected_gradients=_NONE) -> Any:
        """The derivative of each value of the target: (*target's shape, *source's shape)."""
        leaves, spec = pytree.tree_flatten(sources)
        with torch.enable_grad():
            rows = [self._gradients([value], leaves) for value in target.reshape(-1)]
        found = []
        for leaf, column in zip(leaves, zip(*rows, strict=True), strict=True):
            absent = unconnected_gradients == _NONE and all(one is None for one in column)
            parts = [torch.zeros_like(leaf) if one is None else one for one in column]
            found.append(None if absent else torch.stack(parts).reshape(*target.shape, *leaf.shape))
        return pytree.tree_unflatten(found, spec)

    def batch_jacobian(self, target: Tensor, source: Tensor) -> Tensor:
        """The derivative within each sample: (batch, *target's shape, *source's shape)."""
        with torch.enable_grad():
            columns = [self._gradients([one.sum()], [source])[0] for one in target.flatten(1).unbind(1)]
        found = torch.stack([torch.zeros_like(source) if one is None else one for one in columns], 1)
        return found.reshape(*target.shape, *source.shape[1:])

    def stop_recording(self) -> Any:
        return torch.no_grad()

    def reset(self) -> None:
        """Forget what is watched."""
        for watched in self._watched:
            watched.requires_grad_(False)
        self._watched, self._asked = [], False


NAMES["UnconnectedGradients.NONE"], NAMES["UnconnectedGradients.ZERO"] = _NONE, _ZERO


@named("IndexedSlices")
class IndexedSlices:
    """Rows of a tensor that is zero elsewhere; with a `dense_shape` all of it, as gradients always are. Rows named
    twice are added up."""

    def __new__(cls, values, indices, dense_shape=None) -> Any:
        values, indices = tensor(values), tensor(indices).long()
        made: Any = super().__new__(cls)
        if dense_shape is not None:
            made = values.new_zeros([int(size) for size in dense_shape]).index_add(0, indices, values)
        made.values, made.indices = values, indices
        return made


@named("gradients")
def gradients(ys, xs, grad_ys=None, unconnected_gradients=_NONE):
    """Of the sum of `ys`, for each of `xs`. Raises ValueError for symbolic tensors."""
    if not all(isinstance(one, Tensor) for one in _leaves((ys, xs))):
        raise ValueError(
            "tf.gradients: a symbolic tensor has no gradients; compute them with tf.GradientTape in a call."
        )
    unknown = [one for one in _leaves(xs) if not one.requires_grad]
    if unknown:
        raise ValueError(
            f"tf.gradients: nothing recorded what was computed of a tensor of shape {tuple(unknown[0].shape)}. Make it "
            "a tf.Variable, or watch it with tf.GradientTape before."
        )
    return GradientTape().gradient(ys, _leaves(xs), grad_ys, unconnected_gradients)


NAMES["custom_gradient"] = ops.custom_gradient


@named("grad_pass_through")
def grad_pass_through(f):
    """The function, whose gradient is that of what it is given."""
    return ops.custom_gradient(lambda x: (f(x), lambda upstream: upstream))


@named("recompute_grad")
def recompute_grad(f):
    """The function, computed again for its gradients instead of remembered."""
    from torch.utils.checkpoint import checkpoint

    return functools.wraps(f)(lambda *args, **kwargs: checkpoint(f, *args, use_reentrant=False, **kwargs))


# Functions and modules ------------------------------------------------------------------------------------------------

_OPTIONS = {"input_signature", "autograph", "jit_compile", "reduce_retracing", "experimental_implements",
            "experimental_autograph_options", "experimental_relax_shapes", "experimental_compile",
            "experimental_follow_type_hints", "experimental_attributes"}  # fmt: skip


_UNMADE = (bool, int, float, str, bytes, np.ndarray, np.generic)  # what a function returns as tensors


@named("function")
def function(func=None, **options):
    """The function itself, which runs as Python does; there is no graph to make of it. Numbers it returns are tensors.

    Raises TypeError for options that `tf.function` does not have.
    """
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise TypeError(f"tf.function has no option {unknown[0]!r}.")
    if func is None:
        return functools.partial(function, **options)

    told = options.get("input_signature")
    bound = len(inspect.signature(func).parameters) - len(told or ())  # `self`, of a method

    @functools.wraps(func)
    def call(*args, **kwargs) -> Any:
        if told is not None:
            own, rest = args[:bound], args[bound:]
            args = (*own, *map(_as_told, rest, told), *rest[len(told) :])
        with in_graph():
            return pytree.tree_map_only(_UNMADE, convert_to_tensor, func(*args, **kwargs))

    call.python_function = func  # type: ignore[attr-defined]
    call.get_concrete_function = functools.partial(_concrete, call)  # type: ignore[attr-defined]
    call.experimental_get_tracing_count = lambda: 1  # type: ignore[attr-defined]
    return call


def _as_told(value: Any, spec: Any) -> Any:
    """A value that is no tensor in the type that the signature says."""
    if not isinstance(spec, TensorSpec) or not isinstance(value, (*_UNMADE, list, tuple)):
        return value
    return convert_to_tensor(value, spec.dtype)


def _concrete(call: Callable, *args: object, **kwargs: object) -> Callable:
    """The function of what specifications and tensors stand for; what else it was given, as numbers, stays given."""
    free = (TensorSpec, Tensor, np.ndarray)
    fixed = {word: value for word, value in kwargs.items() if not isinstance(value, free)}
    names = [*inspect.signature(call).parameters]
    fixed |= {word: value for word, value in zip(names, args, strict=False) if not isinstance(value, free)}
    return functools.partial(call, **fixed) if fixed and not set(names[:1]) & fixed.keys() else call


@named("Module")
class Module(nn.Module):
    """Variables, layers and modules by attribute: `variables`, `trainable_variables`, `submodules`.

    A layer that holds one has its variables, as those of any torch module; `super().__init__` need not be called.
    """

    def __new__(cls, *args, **kwargs) -> Any:
        made = super().__new__(cls)
        nn.Module.__init__(made)
        return made

    def __init__(self, name: str | None = None):
        self._name = name or snake_case(type(self).__name__)

    # Attributes are plain ones, and what is in them is read from them alone: lists may grow.
    __setattr__, __delattr__ = object.__setattr__, object.__delattr__  # type: ignore[assignment]
    __repr__ = object.__repr__  # type: ignore[assignment]

    @property
    def name(self) -> str:
        return vars(self).get("_name", type(self).__name__.lower())

    @property
    def name_scope(self) -> Any:
        return _name_scope(self.name)

    @staticmethod
    def with_name_scope(method: Callable) -> Callable:
        return method

    def _parts(self, kind: type) -> dict[str, Any]:
        """What attributes hold, alone or in lists and dictionaries, by names sorted."""
        found: dict[str, Any] = {}
        for key in sorted(vars(self)):
            held = tree.flatten(vars(self)[key])
            more = {key if len(held) == 1 else f"{key}_{place}": leaf for place, leaf in enumerate(held)}
            found |= {name: leaf for name, leaf in more.items() if isinstance(leaf, kind)}
        return found

    _modules = property(lambda self: self._parts(nn.Module), Children._ignore)  # type: ignore[assignment]
    _parameters = property(lambda self: self._parts(Weight), Children._ignore)  # type: ignore[assignment]

    @property
    def variables(self) -> tuple[Any, ...]:
        """Module by module; of a layer those first that are not trained."""
        found: dict[int, Any] = {}
        for each in self.modules():
            own = [one for one in (*each._parameters.values(), *each._buffers.values()) if isinstance(one, Weight)]
            own = own if isinstance(each, Module) else sorted(own, key=lambda one: bool(one._trainable))
            found |= {id(one): one for one in own if id(one) not in found}
        return tuple(found.values())

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        return tuple(one for one in self.variables if one.trainable)

    @property
    def non_trainable_variables(self) -> tuple[Any, ...]:
        return tuple(one for one in self.variables if not one.trainable)

    submodules = property(nearest_first)


# Optimizers of TensorFlow 1, for `compile` and custom loops -------------------------------------------------------


@named("train.GradientDescentOptimizer")
def sgd(learning_rate):
    return optimizers.SGD(learning_rate)


@named("train.MomentumOptimizer")
def momentum(learning_rate, momentum, use_nesterov=False):
    return optimizers.SGD(learning_rate, momentum, use_nesterov)


@named("train.AdamOptimizer")
def adam(learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return optimizers.Adam(learning_rate, beta1, beta2, epsilon)


@named("train.AdagradOptimizer")
def adagrad(learning_rate, initial_accumulator_value=0.1):
    return optimizers.Adagrad(learning_rate, initial_accumulator_value, 0.0)


@named("train.AdadeltaOptimizer")
def adadelta(learning_rate=0.001, rho=0.95, epsilon=1e-8):
    return optimizers.Adadelta(learning_rate, rho, epsilon)


@named("train.RMSPropOptimizer")
def rmsprop(learning_rate, decay=0.9, momentum=0.0, epsilon=1e-10, centered=False):
    return _FromOnes(learning_rate, decay, momentum, epsilon, centered)


@named("train.experimental.enable_mixed_precision_graph_rewrite mixed_precision.enable_mixed_precision_graph_rewrite")
def enable_mixed_precision_graph_rewrite(opt, loss_scale="dynamic"):
    """The optimizer with a scaled loss; no graph is here to be rewritten, layers compute by their own policy."""
    made = sys.modules["tensorflow"].keras.mixed_precision.LossScaleOptimizer
    return made(opt) if loss_scale == "dynamic" else made(opt, dynamic=False, initial_scale=float(loss_scale))


class _FromOnes(optimizers.RMSprop):
    """RMSprop whose mean of squares begins with ones."""

    def _initial(self, name: str, weight: Tensor) -> Tensor | None:
        return torch.ones_like(weight) if name == "velocity" else super()._initial(name, weight)


# What is kept in files ------------------------------------------------------------------------------------------------


def _state(item) -> list[Any] | None:
    """The arrays' holders of a model, an optimizer, a module or a variable, or of some; None for anything else."""
    if isinstance(item, Weight):
        return [item]
    if isinstance(item, (list, tuple, dict)):
        parts = [_state(each) for each in (item.values() if isinstance(item, dict) else item)]
        return None if None in parts else [one for part in parts for one in part or ()]
    if isinstance(item, Optimizer):
        return list(item.variables)
    found = getattr(item, "weights", None) or getattr(item, "variables", None)
    if callable(found):
        found = found()
    return list(found) if isinstance(found, (list, tuple)) else None


@named("train.Checkpoint")
class Checkpoint:
    """Models, optimizers and variables whose values are saved together: `prefix-1.npz`, `prefix-2.npz`, ...

    TensorFlow's own checkpoints are read, not written.
    """

    def __init__(self, root=None, **parts):
        self.save_counter = Variable(0, trainable=False, dtype="int64", name="save_counter")
        self._left: list[str] = []  # of what was restored
        vars(self).update({} if root is None else {"root": root}, **parts)

    @property
    def _parts(self) -> dict[str, object]:
        """What was given or set since, by name."""
        return {name: part for name, part in vars(self).items() if name[0] != "_" and name != "save_counter"}

    def write(self, file_prefix, options=None) -> str:
        arrays = {"save_counter": self.save_counter.numpy()}
        for name, part in self._parts.items():
            held = _state(part)
            if held is None:
                raise ValueError(f"Checkpoint: {name} must be a model, an optimizer, a module or a variable.")
            arrays.update({f"{name}/{place}": np.asarray(one.detach().cpu()) for place, one in enumerate(held)})
        path = _file(file_prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **arrays)
        return str(file_prefix)

    def save(self, file_prefix, options=None) -> str:
        self.save_counter.assign_add(1)
        return self.write(f"{file_prefix}-{int(self.save_counter)}")

    def restore(self, save_path, options=None) -> Checkpoint:
        """Take the saved values: a model before its first call, and an optimizer before its first step, take them then.
        None changes nothing. Raises ValueError where a part has other variables than are saved."""
        if save_path is None:
            return self
        if not _file(save_path).exists():
            prefix = bundle.prefix_of(Path(save_path))
            if prefix is None:
                raise FileNotFoundError(f"Checkpoint: no {_file(save_path)}, which Checkpoint.save would have written.")
            variables = {name: part for name, part in self._parts.items() if isinstance(part, Weight)}
            waiting = [part for part in self._parts.values() if _waits(part)]
            now = variables if waiting else self._parts
            self.save_counter.assign(object_graph.restore(now, prefix))
            for part in waiting:
                when_ready(part, functools.partial(self._restore_theirs, waiting, prefix))
            return self
        with np.load(_file(save_path), allow_pickle=False) as found:
            arrays = dict(found)
        pairs = []
        for name, part in self._parts.items():
            if isinstance(part, Optimizer) and not part.built:
                saved = [key for key in arrays if key.rpartition("/")[0] == name]
                _restore_when_built(part, [arrays[f"{name}/{place}"] for place in range(len(saved))])
            elif _waits(part):
                when_ready(part, lambda name=name, part=part: _write(_pairs(name, part, arrays, save_path)))
            else:
                pairs += _pairs(name, part, arrays, save_path)
        _write([*pairs, (self.save_counter, arrays["save_counter"])])
        self._left = sorted({key.rpartition("/")[0] for key in arrays} - {*self._parts, ""})
        return self

    def _restore_theirs(self, waiting: list[Any], prefix: Path) -> None:
        """All from one of TensorFlow's own, as soon as no part waits: optimizers' state goes by the models' weights."""
        if not any(map(_waits, waiting)):
            object_graph.restore(self._parts, prefix)

    read = restore

    def assert_consumed(self) -> Checkpoint:
        """Raises AssertionError where the file had more than the parts here."""
        if self._left:
            raise AssertionError(f"Checkpoint: the file also has {', '.join(self._left)}, which nothing here took.")
        return self

    def expect_partial(self) -> Checkpoint:
        return self

    assert_existing_objects_matched = assert_nontrivial_match = expect_partial


def _waits(part: object) -> bool:
    """Whether it is a layer or model that has no weights yet."""
    return isinstance(part, Layer) and not part._ready


def _pairs(name: str, part: object, arrays: dict[str, np.ndarray], path: object) -> list[tuple[Any, np.ndarray]]:
    """What a part holds, and what is saved of it. Raises ValueError where that is of another number."""
    held, saved = _state(part) or [], [key for key in arrays if key.rpartition("/")[0] == name]
    if len(held) != len(saved):
        raise ValueError(
            f"Checkpoint: {name} has {len(held)} arrays here and {len(saved)} in {_file(path)}. Make it as the one "
            "that was saved, and build what it holds."
        )
    return [(one, arrays[f"{name}/{place}"]) for place, one in enumerate(held)]


def _file(prefix) -> Any:
    return Path(f"{prefix}.npz")


def _numbered(directory, name: str = "*") -> list[str]:
    endings = (".npz", bundle.INDEX)
    found = {path.with_suffix("") for ending in endings for path in Path(directory).glob(f"{name}-*{ending}")}
    numbers = {path: int(number) for path in found if (number := path.name.rpartition("-")[2]).isdigit()}
    return [str(path) for path in sorted(numbers, key=lambda path: numbers[path])]


def _write(pairs: list[tuple[Any, np.ndarray]]) -> None:
    with torch.no_grad():
        for one, array in pairs:
            one.copy_(torch.from_numpy(array))


def _restore_when_built(optimizer: Any, arrays: list[np.ndarray]) -> None:
    def build(variables: Any) -> None:
        del vars(optimizer)["build"]
        optimizer.build(variables)
        _write(list(zip(optimizer.variables, arrays, strict=True)))

    vars(optimizer)["build"] = build


@named("train.latest_checkpoint")
def latest_checkpoint(checkpoint_dir, latest_filename=None):
    """The path of the last of a folder's checkpoints, for `restore` or a model's `load_weights`; None where none is.

    Of TensorFlow's own it is the one that the folder's text file `checkpoint`, or `latest_filename`, names.
    """
    found = {name: Path(f"{name}.npz") for name in _numbered(checkpoint_dir) if Path(f"{name}.npz").is_file()}
    found |= {str(path).removesuffix(".weights.h5"): path for path in Path(checkpoint_dir).glob("*.weights.h5")}
    theirs = bundle.latest(Path(checkpoint_dir, latest_filename or "checkpoint"))
    if theirs is not None:
        found.setdefault(str(theirs), Path(f"{theirs}{bundle.INDEX}"))
    return max(found, key=lambda name: (found[name].stat().st_mtime_ns, found[name].name), default=None)


@named("train.load_checkpoint train.NewCheckpointReader")
class CheckpointReader:
    """The arrays in one of TensorFlow's checkpoints by name. Raises FileNotFoundError where there is none."""

    def __init__(self, ckpt_dir_or_file):
        path = Path(ckpt_dir_or_file)
        path = (path.is_dir() and latest_checkpoint(path)) or path
        if _file(path).is_file():  # of `Checkpoint`
            with np.load(_file(path), allow_pickle=False) as found:
                self._arrays: Any = dict(found)
            self._told = {name: (array.shape, str(array.dtype)) for name, array in self._arrays.items()}
        else:
            self._arrays = bundle.read_checkpoint(path)
            self._told = {name: (tensor.shape, tensor.type) for name, tensor in self._arrays.stored.items()}

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        return {name: list(shape) for name, (shape, _) in self._told.items()}

    def get_variable_to_dtype_map(self) -> dict[str, Any]:
        return {name: NAMES[kind] for name, (_, kind) in self._told.items() if kind in NAMES}

    def has_tensor(self, tensor_str) -> bool:
        return tensor_str in self._arrays

    def get_tensor(self, tensor_str) -> Any:
        if tensor_str not in self._arrays:
            raise ValueError(f"The checkpoint has no tensor {tensor_str!r}; see get_variable_to_shape_map().")
        found = self._arrays[tensor_str]
        return found.item() if found.dtype == object and not found.ndim else found


@named("train.list_variables")
def list_variables(ckpt_dir_or_file):
    """(name, shape) of every array in one of TensorFlow's checkpoints, in the names' order."""
    return sorted(CheckpointReader(ckpt_dir_or_file).get_variable_to_shape_map().items())


@named("train.load_variable")
def load_variable(ckpt_dir_or_file, name):
    """One array of a checkpoint of TensorFlow's."""
    return CheckpointReader(ckpt_dir_or_file).get_tensor(str(name).removesuffix(":0"))


@named("train.CheckpointManager")
class CheckpointManager:
    """Checkpoints of one folder, the last `max_to_keep` of them. With a `step_counter` and a `checkpoint_interval` one
    is saved once in so many steps; `init_fn` is called where there is none to restore."""

    def __init__(self, checkpoint: Checkpoint, directory, max_to_keep: int | None = None,
                 checkpoint_name: str = "ckpt", step_counter=None, checkpoint_interval: int | None = None,
                 init_fn=None):  # fmt: skip
        self.checkpoint, self.directory, self._name = checkpoint, str(directory), checkpoint_name
        self.checkpoint_interval, self._most = checkpoint_interval, max_to_keep
        self._counter, self._init = step_counter, init_fn
        self._last: int | None = None  # the step of the last one

    @property
    def checkpoints(self) -> list[str]:
        return _numbered(self.directory, self._name)

    @property
    def latest_checkpoint(self) -> str | None:
        return self.checkpoints[-1] if self.checkpoints else None

    def save(self, checkpoint_number=None, check_interval: bool = True, options=None) -> str | None:
        """The new checkpoint's path; None where too few steps passed since the last."""
        if self._counter is not None:
            step = int(self._counter)
            if check_interval and self._last is not None and step - self._last < (self.checkpoint_interval or 1):
                return None
            self._last = step
        path = f"{self.directory}/{self._name}"
        saved = (
            self.checkpoint.save(path)
            if checkpoint_number is None
            else self.checkpoint.write(f"{path}-{int(checkpoint_number)}")
        )
        for old in self.checkpoints[: -self._most] if self._most else ():
            _file(old).unlink(missing_ok=True)  # TensorFlow's own stay
        return saved

    def restore_or_initialize(self) -> str | None:
        latest = self.latest_checkpoint
        if latest is None and self._init is not None:
            self._init()
        self.checkpoint.restore(latest)
        return latest


@named("saved_model.save")
def save_model(obj, export_dir, signatures=None, options=None) -> None:
    """A Keras model into a folder that `load` and Keras' `load_model` take: it holds `model.keras`, and no graph of
    TensorFlow. Raises ValueError for anything else."""
    if not isinstance(obj, Layer) or not hasattr(obj, "save"):
        raise ValueError(
            f"tf.saved_model.save: expected a Keras model; got {type(obj).__name__}. There is no graph to save here: "
            "keep the variables of a module with tf.train.Checkpoint."
        )
    folder = Path(export_dir)
    folder.mkdir(parents=True, exist_ok=True)
    obj.save(folder / files.IN_FOLDER)


@named("saved_model.load")
def load_saved(export_dir, tags=None, options=None) -> Any:
    """The Keras model of a folder, also of TensorFlow's own; `signatures["serving_default"]` gives its outputs by
    name."""
    model = files.load_model(export_dir)

    def serve(*args, **kwargs) -> dict[str, Any]:
        outputs = model(*args, **kwargs) if args else model(*kwargs.values())
        named = isinstance(outputs, dict)
        names = getattr(model, "output_names", None) or ["output_0"]
        return outputs if named else dict(zip(names, pytree.tree_leaves(outputs), strict=True))

    vars(model)["signatures"] = {"serving_default": serve}
    return model


@named("saved_model.contains_saved_model")
def contains_saved_model(export_dir) -> bool:
    return any(Path(export_dir, name).is_file() for name in (files.IN_FOLDER, "saved_model.pb"))


@named("name_scope variable_scope")
@contextlib.contextmanager
def _name_scope(name=None, default_name=None):
    """Names of layers stay as they are; a graph would have had the prefix."""
    yield f"{name or default_name}/"


@named("is_tensor")
def is_tensor(x):
    return isinstance(x, (Tensor, SymbolicTensor, Texts, Sizes))


class _AnyTensor(type(Tensor)):
    """Tensors are torch's, texts and what `tf.shape` gives, but no variables."""

    def __instancecheck__(cls, instance) -> bool:
        return isinstance(instance, (Tensor, Texts, Sizes)) and not isinstance(instance, Weight)


@named("Tensor")
class AnyTensor(Tensor, metaclass=_AnyTensor):
    """What `isinstance` asks for."""
