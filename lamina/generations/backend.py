"""`keras.backend` of Keras 1 and 2: settings, variables and functions of models; `arithmetic` has those of tensors."""

from __future__ import annotations

import builtins
import functools
import inspect
import operator
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence, ValuesView
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..core import dtypes
from ..core.config import epsilon as epsilon
from ..core.config import floatx as floatx
from ..core.config import image_data_format as image_data_format
from ..core.config import set_epsilon as set_epsilon
from ..core.config import set_floatx as set_floatx
from ..core.config import set_image_data_format as set_image_data_format
from ..core.devices import device_of
from ..core.layer import clear_session as _clear_session
from ..core.layer import scope
from ..core.operation import Gradients, recorded
from ..core.scope import name_scope as name_scope
from ..core.scope import told as _told
from ..core.symbolic import SymbolicTensor, any_symbolic
from ..core.work import phase
from ..layers import Input as _Input
from ..layers import InputLayer as _InputLayer
from ..layers import old
from ..models.function import Function as _Function
from ..translation import keras1
from ..translation.conversions import half_pads
from . import arithmetic, updates
from .arithmetic import FORMATS, PUBLIC, torch_dtype
from .dialect import Dialect
from .parts import Part, Setting, as_listed, weight_of
from .tensors import Variable, rests_on
from .updates import Descent, Expression

# Settings -------------------------------------------------------------------------------------------------------------


def image_dim_ordering() -> str:
    return "th" if image_data_format() == "channels_first" else "tf"


def set_image_dim_ordering(dim_ordering: str) -> None:
    if dim_ordering not in FORMATS:
        raise ValueError(f"set_image_dim_ordering: expected 'th' or 'tf'; got {dim_ordering!r}.")
    set_image_data_format(FORMATS[dim_ordering])


def normalize_data_format(value: str | None) -> str:
    """The format, of None the one that is set. Raises ValueError for an unknown one."""
    found = image_data_format() if value is None else value.lower()
    if found not in FORMATS.values():
        raise ValueError(f"data_format: expected 'channels_first' or 'channels_last'; got {value!r}.")
    return found


def learning_phase() -> int:
    """1 where layers are told to be in training, else 0."""
    return int(bool(phase()))


def set_learning_phase(value: Any) -> None:
    """1: all layers called from now on are in training; 0: none is; None: their own flag counts."""
    if value not in (None, 0, 1):
        raise ValueError(f"set_learning_phase: expected 0 or 1; got {value!r}.")
    scope.training = None if value is None else bool(value)


@contextmanager
def learning_phase_scope(value: Any) -> Iterator[None]:
    """Inside, `set_learning_phase(value)`. Raises ValueError unless it is 0 or 1."""
    if value not in (0, 1):
        raise ValueError(f"learning_phase_scope: expected 0 or 1; got {value!r}.")
    with _told(training=bool(value)):
        yield


@recorded
def _by_phase(x: Any, alt: Any) -> Any:
    return x if learning_phase() else alt


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    if training is None and scope.depth == 0:  # a step of a model, perhaps, which will know
        return _by_phase(arithmetic._called(x), arithmetic._called(alt))
    if any_symbolic(training):
        return arithmetic.switch(training, x, alt)
    return arithmetic._called(x if (learning_phase() if training is None else training) else alt)


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    return in_train_phase(alt, x, training)


def manual_variable_initialization(value: bool) -> None:
    """Accepted: variables have their values from the start."""


def legacy_weight_ordering() -> bool:
    """False: files tell in which order their weights stand."""
    return False


def set_legacy_weight_ordering(value: bool) -> None:
    """Raises ValueError for True, the order of Keras 0: `load_weights` tells by the file."""
    if value is not False:
        raise ValueError(f"set_legacy_weight_ordering: files tell the order of their weights; leave it. Got {value!r}.")


def control_dependencies(control_inputs: Any) -> AbstractContextManager[None]:
    """Inside nothing is otherwise: calls run in the order in which they are written."""
    return nullcontext()


def eager(func: Callable) -> Callable:
    """The function: what it is called on decides whether it computes or is recorded."""
    return func


symbolic = eager

# Variables and values -------------------------------------------------------------------------------------------------


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Tensor:
    """A tensor that functions may set, and gradients are taken by. Sparse matrices of SciPy become sparse tensors."""
    if hasattr(value, "tocoo"):
        entries = value.tocoo()
        places, values = np.stack([entries.row, entries.col]), torch.as_tensor(entries.data, dtype=torch_dtype(dtype))
        return torch.sparse_coo_tensor(torch.as_tensor(places), values, entries.shape, check_invariants=True)
    made = PUBLIC["constant"](value, dtype=dtype).detach().clone()
    return Variable(made, name=name, constraint=constraint)


def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    return _as_variable(PUBLIC["zeros"](shape, dtype), name)


def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    return _as_variable(PUBLIC["ones"](shape, dtype), name)


def eye(size: int, dtype: Any = None, name: str | None = None) -> Any:
    return _as_variable(PUBLIC["eye"](size, dtype), name)


def _as_variable(made: Any, name: str | None) -> Any:
    """What may be set, unless it is a step of a model, or of a call."""
    return Variable(made, name=name) if scope.depth == 0 and isinstance(made, Tensor) else made


def random_uniform_variable(shape: Any, low: float, high: float, dtype: Any = None, name: Any = None, seed: Any = None):
    return variable(PUBLIC["random_uniform"](shape, low, high, dtype, _from_start(seed)), dtype, name)


def random_normal_variable(
    shape: Any, mean: float, scale: float, dtype: Any = None, name: Any = None, seed: Any = None
):
    return variable(PUBLIC["random_normal"](shape, mean, scale, dtype, _from_start(seed)), dtype, name)


def _from_start(seed: int | None) -> torch.Generator:
    """The numbers of a seed from the first one on; without a seed that of NumPy's next number."""
    return torch.Generator().manual_seed(int(np.random.randint(10**7) if seed is None else seed))


def _drawing(function: Callable) -> Callable:
    """A draw of random numbers as an operation of a graph, which has a stream of its own: two places in the code with
    one seed draw the same numbers. Without a seed, NumPy gives one where code runs once."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def drawing(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        seed = given.get("seed")
        if not any_symbolic(given):
            if seed is not None:
                given["seed"] = arithmetic.stream(seed, _place_in_code())
            elif updates.outside():
                given["seed"] = _from_start(None)
        return function(**given)

    return drawing


def _place_in_code() -> tuple[object, int]:
    """Which call of the user's code is being carried out."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("lamina."):
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def placeholder(
    shape: Any = None, ndim: int | None = None, dtype: Any = None, sparse: bool = False, name: Any = None,
    ragged: bool = False,
) -> Any:  # fmt: skip
    """A symbolic tensor. Raises ValueError for a sparse or ragged one, and without `shape` and `ndim`."""
    if shape is None and ndim is None:
        raise ValueError("placeholder: give its `shape`, or the number of its axes as `ndim`.")
    batch_shape = tuple(shape) if shape is not None else (None,) * (ndim or 0)
    return _Input(batch_shape=batch_shape, dtype=dtype, sparse=sparse, ragged=ragged, name=name)


def is_keras_tensor(x: object) -> bool:
    """Raises ValueError for what is no tensor at all, as an array."""
    if not is_tensor(x):
        raise ValueError(f"is_keras_tensor: expected a tensor; got {type(x).__name__}.")
    return isinstance(x, SymbolicTensor)


def is_placeholder(x: object) -> bool:
    return isinstance(x, SymbolicTensor) and x.node is not None and isinstance(x.node.layer, _InputLayer)


def is_variable(x: object) -> bool:
    return isinstance(x, torch.nn.Parameter)


def is_tensor(x: object) -> bool:
    return isinstance(x, (Tensor, SymbolicTensor))


def is_sparse(tensor: object) -> bool:
    return isinstance(tensor, Tensor) and tensor.is_sparse


def to_dense(tensor: Any) -> Any:
    return tensor.to_dense() if is_sparse(tensor) else tensor


def eval(x: Any) -> Any:
    """Its values of now. Raises ValueError for a symbolic tensor that rests on inputs."""
    if isinstance(x, SymbolicTensor):
        raise ValueError(f"K.eval: {x!r} has no values; make a K.function from the inputs that it rests on.")
    if isinstance(x, updates.Update):
        updates.carry_out([x])
        x = x[0]
    x = as_listed(x)
    found = x.anew() if isinstance(x, Expression) else arithmetic._tensor(x)
    return to_dense(found).detach().cpu().numpy().copy()[()]


get_value = eval


def set_value(x: Tensor, value: Any) -> None:
    x = as_listed(x)
    if isinstance(x, (Part, Setting)):
        x.assign(value)
        return
    with torch.no_grad():
        x.copy_(torch.as_tensor(value))


def batch_get_value(ops: Sequence[Any]) -> list[np.ndarray]:
    return [eval(x) for x in ops]


def batch_set_value(tuples: Sequence[tuple[Any, Any]]) -> None:
    for x, value in tuples:
        set_value(x, value)


def update(x: Tensor, new_x: Any) -> Any:
    """An update that gives `x` another value where `add_update`, `K.function`, a session or `K.eval` is told of it; in
    tf.keras it happens at once."""
    return (x, new_x) if any_symbolic(new_x) else updates.Update((x, new_x))


def update_add(x: Tensor, increment: Any) -> Any:
    return update(x, updates.remembering(operator.add)(x, increment))


def update_sub(x: Tensor, decrement: Any) -> Any:
    return update(x, updates.remembering(operator.sub)(x, decrement))


@updates.remembering
def _moved(x: Tensor, value: Any, momentum: float) -> Any:
    return x * momentum + value * (1 - momentum)


def moving_average_update(x: Tensor, value: Any, momentum: float) -> Any:
    return update(x, _moved(x, value, momentum))


def int_shape(x: Any) -> tuple:
    return tuple(x.shape)


get_variable_shape = int_shape


def ndim(x: Any) -> int:
    return x.ndim


def dtype(x: Any) -> str:
    return x.dtype if isinstance(x.dtype, str) else dtypes.dtype_name(x.dtype)


def count_params(x: Any) -> int:
    return int(np.prod(tuple(x.shape)))


def _to_tensor(x: object, dtype: object) -> Tensor:
    """What is no tensor as one; code of the time asks for it by this name."""
    return PUBLIC["cast" if isinstance(x, (Tensor, SymbolicTensor)) else "constant"](x, dtype)


def cast_to_floatx(x: Any) -> Any:
    return PUBLIC["cast"](x, floatx()) if is_tensor(x) else np.asarray(x, dtype=floatx())


# Functions of models --------------------------------------------------------------------------------------------------


@recorded
def _stopped(x: Any) -> Any:
    return arithmetic._tensor(x).detach()


def stop_gradient(variables: Any) -> Any:
    return [_stopped(x) for x in variables] if isinstance(variables, (list, tuple)) else _stopped(variables)


def gradients(loss: Any, variables: Any) -> list[Any]:
    """Of the sum of a tensor, or of several, by each variable; None for one that it does not rest on.

    Symbolic tensors may be differentiated by inputs, by what lies between, and by weights, and that once more.
    """
    variables = list(variables) if isinstance(variables, (list, tuple)) else [variables]
    losses = list(loss) if isinstance(loss, (list, tuple)) else [loss]
    if builtins.any(isinstance(one, Part) for one in variables):
        found = gradients(losses, [weight_of(one) for one in variables])
        pairs = zip(variables, found, strict=True)
        return [one.of_gradient(grad) if isinstance(one, Part) else grad for one, grad in pairs]
    if not any_symbolic(losses):
        return Gradients.of(losses, variables)
    rests = rests_on(one for one in losses if isinstance(one, SymbolicTensor))
    known = [one for one in variables if id(one) in rests]
    found = iter(Gradients()(losses, known) if known else [])
    return [next(found) if id(one) in rests else None for one in variables]


class _Between(_Function):
    """What leads from inputs to outputs, through layers of several models, which may have the same names."""

    _names_differ = False


_HOW_IT_RUNS = {"name", "mode", "on_unused_input", "allow_input_downcast", "options", "run_metadata"}


def function(inputs: Any, outputs: Any, updates: Any = None, **kwargs: Any) -> Callable[[Any], list[np.ndarray]]:
    """A function of lists of arrays, from symbolic inputs to outputs: symbolic ones, variables, tensors.

    The learning phase may be among the inputs. updates: pairs (variable, symbolic value), and what an optimizer's
    `get_updates` gave; each run ends with them. Raises ValueError for other updates, and for options that would change
    what is computed.
    """
    unknown = sorted(kwargs.keys() - _HOW_IT_RUNS)
    if unknown:
        raise ValueError(f"K.function has no option {unknown[0]!r} here.")
    steps = [one for one in updates or () if isinstance(one, Descent)]
    pairs: list[Any] = [
        pair if isinstance(pair, (list, tuple)) else (pair,) for pair in updates or () if not isinstance(pair, Descent)
    ]
    if not builtins.all(len(pair) == 2 and type(pair[1]) is not Tensor for pair in pairs):
        raise ValueError(
            "K.function: `updates` must be pairs of a variable and its value, or what K.update gave. A value must be "
            "symbolic, an expression of variables or a number; a tensor was computed once and for all."
        )
    given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    results = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    rests = [value for _, value in pairs if isinstance(value, SymbolicTensor)]
    changes = (*rests, *(gradient for step in steps for gradient in step.gradients))
    computed = [x for x in (*results, *changes) if isinstance(x, SymbolicTensor)]
    symbols = [x for x in given if isinstance(x, SymbolicTensor)]
    between: Any = _Between
    model = between(symbols, computed) if computed else None

    def run(values: Any) -> list[np.ndarray]:
        values = list(values) if isinstance(values, (list, tuple)) else [values]
        phases = [value for x, value in zip(given, values, strict=False) if not isinstance(x, SymbolicTensor)]
        arrays = [value for x, value in zip(given, values, strict=False) if isinstance(x, SymbolicTensor)]
        if len(arrays) != len(symbols):
            raise ValueError(f"K.function: expected {len(symbols)} arrays; got {len(arrays)}.")
        found: Any = []
        if model is not None:
            with torch.no_grad():
                place = device_of(model)
                arrays = [arithmetic._tensor(each).to(place) for each in arrays]
                found = model(arrays, training=bool(phases[0]) if phases else None)
            found = list(found) if isinstance(found, (list, tuple)) else [found]
        values_of = dict(zip(map(id, computed), found, strict=True))
        answers = [eval(values_of.get(id(x), x)) for x in results]

        def now(value: Any) -> Any:
            return value.anew() if isinstance(value, Expression) else values_of.get(id(value), value)

        descents = [[now(gradient) for gradient in step.gradients] for step in steps]
        for (target, _), value in [(pair, now(pair[1])) for pair in pairs]:
            set_value(target, value)
        for step, gradients in zip(steps, descents, strict=True):
            step.optimizer.apply(gradients, step.weights)
        return answers

    return run


Function = function


class Session:
    """Runs symbolic tensors, as TensorFlow's sessions did: `run(tensors, feed_dict={input: array})`."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def close(self) -> None:
        pass

    def as_default(self) -> Session:
        return self

    def run(self, fetches: Any, feed_dict: Any = None) -> Any:
        feed = feed_dict or {}
        leaves, spec = pytree.tree_flatten(fetches)
        asked = [leaf for leaf in leaves if leaf is not None]
        found = iter(function(list(feed), asked)(list(feed.values())))
        return pytree.tree_unflatten([leaf if leaf is None else next(found) for leaf in leaves], spec)


_session: Any = Session()


def get_session() -> Any:
    """The session that `set_session` got, else one of Keras' own, to run symbolic tensors in."""
    return _session


def set_session(session: Any) -> None:
    """Let `get_session` give this one. Memory and threads are torch's: `torch.set_num_threads`, `torch.cuda`."""
    global _session
    _session = session


# Names ----------------------------------------------------------------------------------------------------------------

# Keras 1's words for arguments, and its order where it is another one; what has no word here said nothing.
WORDS: dict[str, str] = keras1.TOLD.lists["backend_words"]
_ORDERS: dict[str, str] = keras1.TOLD.lists["backend_orders"]


def _in_keras1(function: Callable) -> Callable:
    """The function with Keras 1's words for its arguments, in its order."""
    if not inspect.isfunction(function):
        return function
    own = [*inspect.signature(function).parameters]
    asked = _ORDERS.get(function.__name__, "").split()
    order = [*asked, *(name for name in own if name not in asked)]
    if asked[:1] != ["output"] and order == own and not {*WORDS.values()} & {*own}:
        return function

    @functools.wraps(function)
    def renamed(*args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(order, args, strict=False)), **kwargs}
        given = {key if key in own else WORDS.get(key, key): value for key, value in given.items()}
        return function(**{key: value for key, value in given.items() if key})

    return renamed


def _convolutions_of_keras1(dialect: Dialect) -> Iterator[Callable]:
    """Those whose kernels are (out, in, *k) where channels come first, and turned round on Theano."""

    def of_keras1(name: str, *kernels: str) -> Callable:
        function = PUBLIC[name]
        places = [*inspect.signature(function).parameters][1:]

        @functools.wraps(function)
        def convolution(x: Any, *args: Any, **kwargs: Any) -> Any:
            given = {**dict(zip(places, args, strict=False)), **kwargs}
            turned = dialect.backend == "theano"
            given |= {key: _as_modern(given[key], given.get("data_format"), turned) for key in kernels}
            if turned and given.get("padding") == "same" and "kernel" in given and "output_shape" not in given:
                window = tuple(given["kernel"].shape[:-2])
                given["padding"] = half_pads(window, given.get("dilation_rate", 1)) if len(window) > 1 else "same"
            return function(x, **given)

        return convolution

    def pooling(rank: int, pool: Callable) -> Callable:
        kinds = {mode: getattr(old, f"Theano{mode}Pooling{rank}D") for mode in ("Max", "Average")}

        @functools.wraps(pool)
        def pooled(x: Any, pool_size: Any, strides: Any = (1,) * rank, padding: str = "valid",
                   data_format: str | None = None, pool_mode: str = "max") -> Any:  # fmt: skip
            if dialect.backend != "theano" or padding != "same":
                return pool(x, pool_size, strides, padding, data_format, pool_mode)
            how = normalize_data_format(FORMATS.get(data_format or "", data_format))
            return kinds["Max" if pool_mode == "max" else "Average"](pool_size, strides, "theano", how)(x)

        return pooled

    yield from (pooling(rank, PUBLIC[f"pool{rank}d"]) for rank in (2, 3))
    conv2d, transposed = of_keras1("conv2d", "kernel"), of_keras1("conv2d_transpose", "kernel")
    yield from (of_keras1("conv1d", "kernel"), conv2d, of_keras1("conv3d", "kernel"))
    yield of_keras1("separable_conv2d", "depthwise_kernel", "pointwise_kernel")

    def atrous_conv2d(x: Any, kernel: Any, dilation_rate: Any = 1, padding: str = "valid", data_format: Any = None):
        return conv2d(x, kernel, (1, 1), padding, data_format, dilation_rate)

    def deconv2d(x: Any, kernel: Any, output_shape: Any, strides: Any = (1, 1), padding: str = "valid",
                 data_format: Any = None) -> Any:  # fmt: skip
        return transposed(x, _swapped(kernel, data_format), output_shape, strides, padding, data_format)

    yield from (atrous_conv2d, deconv2d)


@recorded
def _swapped(kernel: Any, data_format: Any) -> Any:
    """Kernels of deconvolutions came as those of the convolutions whose gradients these are."""
    kernel = arithmetic._tensor(kernel)
    return kernel.transpose(-1, -2) if arithmetic._last(data_format) else kernel.transpose(0, 1)


@recorded
def _as_modern(kernel: Any, data_format: Any, turned: bool) -> Any:
    kernel = arithmetic._tensor(kernel)
    rank = kernel.ndim - 2
    if rank > 1 and not arithmetic._last(data_format):
        kernel = kernel.permute(*range(2, rank + 2), 1, 0)
    return kernel.flip(tuple(range(rank))) if turned else kernel


_MAKING = ("variable", "zeros", "ones", "zeros_like", "ones_like")
_DRAWING = ("random_normal", "random_uniform", "random_binomial", "truncated_normal", "dropout")
_CONSTANT = ("constant", "arange", "zeros_like", "ones_like")
_UPDATES = ("update", "update_add", "update_sub", "moving_average_update")


@functools.cache
def names(dialect: Dialect) -> dict[str, Any]:
    """The names of a generation's backend."""

    def backend() -> str:
        return dialect.backend

    def set_backend(backend: str) -> None:
        dialect.follow(backend)

    def clear_session() -> None:
        """Start automatic names, and the random numbers of seeds, afresh; the learning phase is told no more."""
        _clear_session(free_memory=False)
        set_learning_phase(None)
        arithmetic.forget_streams()
        dialect.reset_names()

    def get_uid(prefix: str = "") -> int:
        """1, 2, 3, ... for each prefix; in Keras 1 and 2 automatic names of layers count on."""
        return dialect.count(prefix)

    def _get_available_gpus() -> list[str]:
        return [f"/device:GPU:{place}" for place in range(torch.cuda.device_count())]

    found = PUBLIC | {key: value for key, value in globals().items() if key in _PUBLIC}
    own = (backend, set_backend, clear_session, get_uid, _get_available_gpus)
    found |= {function.__name__: function for function in (*own, _to_tensor)} | {"reset_uids": clear_session}
    name = dialect.table.name
    found |= {key: updates.made_once(found[key]) for key in _MAKING}
    if name != "tf_keras":
        found |= {"_epsilon": 1e-7, "_floatx": "float32"}  # as the module read them from its file of settings
        found["_is_tf_1"] = lambda: True  # TensorFlow 1 went with them
        found |= {key: _drawing(found[key]) for key in _DRAWING}
        found["ctc_decode"] = arithmetic.ctc_decode_shortly
        computing = {*PUBLIC, "gradients", "stop_gradient"} - {*_MAKING, *_DRAWING, *_CONSTANT}
        found |= {key: updates.remembering(found[key]) for key in computing}
        found |= {key: updates.remembering(found[key], constants=True) for key in _CONSTANT}
    if name == "keras2":
        found |= {key: _in_floats(dialect, found[key]) for key in ("zeros_like", "ones_like")}
        found["resize_images"] = arithmetic.resize_from_corner
        found["batch_dot"] = _batch_dot_of_its_time(dialect)
    if name == "keras1":
        found |= {each.__name__: each for each in _convolutions_of_keras1(dialect)}
        found["batch_dot"] = arithmetic.batch_matmul
        found["ctc_decode"] = functools.partial(found["ctc_decode"], merge_repeated=True)
        found["is_keras_tensor"] = lambda x: isinstance(x, SymbolicTensor)  # also asked about arrays
        found["normalize_batch_in_training"] = arithmetic.normalize_by_batch
        found["binary_crossentropy"] = arithmetic.binary_crossentropy_of_keras1
        found = {key: _in_keras1(value) for key, value in found.items()}
    else:
        found["function"] = _structured
    if name == "tf_keras":
        found |= {key: updates.at_once(found[key]) for key in _UPDATES}
    return found


def _in_floats(dialect: Dialect, like: Callable[..., Any]) -> Callable[..., Any]:
    """`zeros_like`, `ones_like`: in Keras 2.3 of the type that floats have, whatever that of `x` is."""

    @functools.wraps(like)
    def made(x: Any, dtype: Any = None, name: str | None = None) -> Any:
        return like(x, dtype or (None if dialect.early else floatx()), name)

    return made


def _batch_dot_of_its_time(dialect: Dialect) -> Callable[..., Tensor]:
    @functools.wraps(arithmetic.batch_dot)
    def batch_dot(x: Any, y: Any, axes: Any = None) -> Tensor:
        if dialect.early:
            return arithmetic.early_batch_dot(x, y, axes)
        if max(np.ndim(x), np.ndim(y)) > 3:
            warnings.warn(
                "K.batch_dot of more than three axes is that of Keras 2.3, a sum over one axis of each. Code of Keras "
                "2.2 and before meant products of the last two axes: run it with `--keras 2.2`, or "
                'install("keras2.2").',
                stacklevel=2,
            )
        return arithmetic.batch_dot(x, y, axes)

    return batch_dot


def _structured(inputs: Any, outputs: Any, updates: Any = None, name: Any = None, **kwargs: Any) -> Callable:
    """`function`, whose results lie in the structure of `outputs`."""
    leaves, spec = pytree.tree_flatten([*outputs] if isinstance(outputs, ValuesView) else outputs)
    run = function(inputs, leaves, updates, name=name, **kwargs)
    return lambda values: pytree.tree_unflatten(run(values), spec)


_HOMES = (__name__, "lamina.core.config", "lamina.core.scope")
_PUBLIC = {
    key
    for key, value in globals().items()
    if callable(value) and key[0] != "_" and value.__module__ in _HOMES and key != "names"
}
