"""Layer: a `torch.nn.Module` with Keras' life: arguments, build, call, weights, losses, nodes."""

from __future__ import annotations

import functools
import inspect
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks
from torch.utils import _pytree as pytree

from . import dtypes, masking, serialize, symbolic
from .declare import Arg, Declared, Kind, arg, bind, boolean, kept, looked_up, short, text
from .errors import axis_names, layout, named, show_shape
from .weight import Weight, allocate


class _Scope(threading.local):
    """What a call hands down to the layers inside it."""

    training: bool | None = None
    depth = 0
    path: tuple[str, ...] = ()


scope = _Scope()


class Changes:
    """Counts what makes a plan stale: hooks, a first `add_loss`, weights replaced by a wrapper."""

    count = 0


_name_counts: dict[str, int] = {}


def snake_case(name: str) -> str:
    """ "Conv2DTranspose" -> "conv2d_transpose", as Keras names layers."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def unique_name(prefix: str) -> str:
    """`prefix`, then `prefix_1`, `prefix_2`, ... within the process, until `clear_session`."""
    count = _name_counts.get(prefix, 0)
    _name_counts[prefix] = count + 1
    return f"{prefix}_{count}" if count else prefix


def clear_session() -> None:
    """Start automatic names afresh."""
    _name_counts.clear()


class InputSpec:
    """What a layer takes: rank, and sizes of single axes. Unknown sizes are None."""

    def __init__(
        self,
        dtype: Any = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
        data_format: str | None = None,
    ):
        self.dtype, self.name, self.optional = dtype, name, optional
        self.shape = tuple(shape) if shape is not None else None
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim, self.data_format = max_ndim, min_ndim, data_format
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        if self.shape is not None:
            self.axes |= {axis: size for axis, size in enumerate(self.shape) if size is not None}

    def problem(self, shape: Sequence[int | None]) -> str | None:
        """What is wrong with an input of this shape, in words; None if nothing is."""
        ndim = len(shape)
        if self.ndim is not None and ndim != self.ndim:
            repair = ""
            if ndim == self.ndim - 1:
                repair = " If the batch axis is missing, add it with x[None]; else add an axis with Reshape."
            expected = f"expected {self.ndim} axes {layout(self.ndim, self.data_format)}"
            return f"{expected}; got {ndim} axes, shape {show_shape(shape)}.{repair}"
        if self.min_ndim is not None and ndim < self.min_ndim:
            return f"expected at least {self.min_ndim} axes; got {ndim}, shape {show_shape(shape)}."
        if self.max_ndim is not None and ndim > self.max_ndim:
            return f"expected at most {self.max_ndim} axes; got {ndim}, shape {show_shape(shape)}."
        for axis, size in self.axes.items():
            got = shape[axis] if -ndim <= axis < ndim else None
            if size is not None and got is not None and got != size:
                axis_name = axis_names(ndim, self.data_format)[axis]
                return (
                    f"expected {size} along the {axis_name} axis (axis {axis}); got {got}, "
                    f"shape {show_shape(shape)}. The layer was built for {size}: pass such data or make another layer."
                )
        return None

    def get_config(self) -> dict[str, Any]:
        return {"dtype": self.dtype, "shape": self.shape, "ndim": self.ndim, "axes": dict(self.axes)}


class _Children(nn.Module):
    """Makes the layers in a plain list, tuple or dict attribute visible to torch, whatever is appended later."""

    def __init__(self, items: list | tuple | dict):
        self.__dict__["_items"] = items
        super().__init__()

    @property
    def _modules(self) -> dict[str, nn.Module]:  # type: ignore[override]
        items = self.__dict__["_items"]
        found = {}
        for key, item in items.items() if isinstance(items, dict) else enumerate(items):
            if isinstance(item, nn.Module):
                found[str(key)] = item
            elif isinstance(item, (list, tuple, dict)):
                found[str(key)] = _Children(item)
        return found

    @_modules.setter
    def _modules(self, value: dict[str, nn.Module]) -> None:
        """What is inside is read from the items alone."""


def _may_hold_modules(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(isinstance(item, nn.Module) for item in value)
    leaves = pytree.tree_leaves(value)
    return not leaves or any(isinstance(item, nn.Module) for item in leaves)


def _guarded_build(build: Callable) -> Callable:
    """`build`, made to leave nothing behind when it raises, to name its weights and to mark the layer as built."""

    @functools.wraps(build)
    def guarded(self: Layer, *args: Any, **kwargs: Any) -> None:
        if self._building:  # a subclass calls super().build(...)
            build(self, *args, **kwargs)
            return
        registers: tuple[dict[str, Any], ...] = (self._parameters, self._buffers, self._modules)  # type: ignore[assignment]
        before = [dict(register) for register in registers]
        path, state = scope.path, vars(self)
        scope.path = (*path, self.name)
        state["_building"] = True
        try:
            with unset_fake_temporarily():
                build(self, *args, **kwargs)
        except BaseException:
            for register, content in zip(registers, before, strict=True):
                register.clear()
                register.update(content)
            raise
        finally:
            scope.path = path
            state["_building"] = False
        state["_build_shapes"] = (args, kwargs)
        self._finish_build()

    return guarded


def _noting_change(register: Callable) -> Callable:
    """A torch hook registration that sends the layer's calls through `torch.nn.Module.__call__` from now on."""

    @functools.wraps(register)
    def noting(self: Layer, *args: Any, **kwargs: Any) -> Any:
        vars(self).update(_hooked=True, _direct=False)
        Changes.count += 1
        return register(self, *args, **kwargs)

    return noting


def _call_plain(self: Layer, *args: Any, **kwargs: Any) -> Any:
    if self._direct and len(args) == 1 and not kwargs and not _global_forward_pre_hooks and not _global_forward_hooks:
        x = args[0]
        if (
            type(x) is Tensor
            and x.dtype in self._passing
            and (self._ndim is None or x.ndim == self._ndim)
            and getattr(x, "_keras_mask", None) is None
        ):
            try:
                y = self.call(x)
            except (RuntimeError, IndexError) as error:
                self._explain(args, error)
                raise
            if self._has_more:
                self._after_direct(x, y)
            return y
    return self._call_with_care(args, kwargs)


def _call_training(self: Layer, *args: Any, **kwargs: Any) -> Any:
    if self._direct and len(args) == 1 and not kwargs and not _global_forward_pre_hooks and not _global_forward_hooks:
        x = args[0]
        if (
            type(x) is Tensor
            and x.dtype in self._passing
            and (self._ndim is None or x.ndim == self._ndim)
            and getattr(x, "_keras_mask", None) is None
        ):
            training = scope.training
            try:
                y = self.call(x, training=self.training if training is None else training)
            except (RuntimeError, IndexError) as error:
                self._explain(args, error)
                raise
            if self._has_more:
                self._after_direct(x, y)
            return y
    return self._call_with_care(args, kwargs)


_SHAPE_KEYWORDS = ("input_shape", "batch_input_shape", "batch_shape", "input_dim", "input_length", "batch_size")
_BASE_KEYWORDS = (*_SHAPE_KEYWORDS, "activity_regularizer", "autocast", "weights", "dynamic")
_policy = Kind("a dtype or dtype policy", looked_up(dtypes.get), bad=("float99",))


class Layer(symbolic.Nodes, Declared, nn.Module):
    """Base class of layers.

    Write `call(self, inputs)`; add `build(self, input_shape)` for weights, arguments with `lamina.arg` (or an
    `__init__` and `get_config` as in Keras), `compute_output_shape` where running `call` cannot tell it.
    Every layer also takes `activity_regularizer`, and `input_shape`, `batch_shape` or `input_dim` where it comes first.
    """

    if TYPE_CHECKING:
        name: str = arg(text, default=None, kw_only=True)
        trainable: bool = arg(boolean, default=True, kw_only=True)
        dtype: Any = arg(_policy, default=None, kw_only=True)
        input_shape: Any = arg(text, default=None, kw_only=True)
        batch_shape: Any = arg(text, default=None, kw_only=True)
        input_dim: Any = arg(text, default=None, kw_only=True)
    _args: ClassVar[dict[str, Arg]] = {
        "name": Arg(text.optional(), None, "", True, False, "name"),
        "trainable": Arg(boolean, True, "", True, False, "trainable"),
        "dtype": Arg(_policy, None, "", True, False, "dtype"),
    }

    supports_masking = False
    input_spec: Any = kept()
    activity_regularizer: Any = kept()
    _autocast = True  # cast floating inputs to the layer's compute type
    _creates_mask = True  # compute_mask may give a mask where none came in; Lamina's own layers say when
    _takes_training = _takes_mask = False
    _mask_broadcasts = True  # False: a mask must be (batch, time), as the input begins
    input_dtype: str | None = kept()  # what a model's input should be where this layer comes first
    _takes_integers = True  # False: integer inputs, too, become the compute type; so once there are weights
    _stateless = False  # Keras 3 counts it as built from the start and writes no build config
    _keeps_dtype = False  # the output has the type of the input, even of an integer one
    _call_parameters: ClassVar[tuple[str, ...]] = ()
    _shape_parameters: ClassVar[tuple[str, ...]] = ("input_shape",)

    # -- creation ---------------------------------------------------------------------------------------------------

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if "call" in own:
            cls._call_parameters = tuple(inspect.signature(own["call"]).parameters)[1:]
            if "_takes_training" not in own:
                cls._takes_training = "training" in cls._call_parameters
            cls._takes_mask = "mask" in cls._call_parameters
            cls.forward = own["call"]
            if "__call__" not in own:
                cls.__call__ = _call_training if cls._takes_training else _call_plain
        if "build" in own:
            cls.build = _guarded_build(own["build"])
        if "compute_output_shape" in own:
            cls._shape_parameters = tuple(inspect.signature(own["compute_output_shape"]).parameters)[1:]
        if "compute_mask" not in own and cls.compute_mask is Layer.compute_mask:
            cls._creates_mask = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        if cls._owns_init:  # an `__init__` of the user's own: its arguments are the config, as in Keras 3
            object.__setattr__(self, "_init_arguments", (args, kwargs))
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        nn.Module.__init__(self)
        base = {key: kwargs.pop(key) for key in _BASE_KEYWORDS if key in kwargs and key not in self._args}
        vars(self).update(
            training=False,
            built=False,
            _building=False,
            _direct=False,
            _has_more=False,
            _hooked=False,
            _adds_losses=False,
            _ndim=None,
            _trainable=True,
            _losses=[],
            _nodes=[],
            _build_shapes=None,
            _keepers=[],
            _keepers_at=-1,
            _initial_weights=base.get("weights"),
        )
        values = bind(self, args, kwargs)
        name, trainable, policy = (self._args[key].convert(values.pop(key), self) for key in Layer._args)
        if name is not None and "/" in name:
            raise ValueError(f'{type(self).__name__}: argument `name` must not contain "/"; got {name!r}.')
        vars(self).update(_trainable=trainable, _given_name=name)
        if not base.get("autocast", True):
            vars(self)["_autocast"] = False
        self._set_policy(policy)
        if base.get("activity_regularizer") is not None:
            regularizer = serialize.lookup(base["activity_regularizer"], "keras.regularizers", "regularizer")
            vars(self)["activity_regularizer"] = regularizer
        vars(self)["_batch_shape"] = _declared_batch_shape(self, base)
        self._set_args(values)
        vars(self)["_name"] = name or unique_name(snake_case(type(self).__name__))

    def _set_policy(self, policy: dtypes.DTypePolicy) -> None:
        compute = policy.compute if self._autocast and policy.compute.is_floating_point else None
        integers = self._takes_integers and not (self._autocast and self._parameters)
        passing = frozenset({compute}) if compute is not None and not integers else dtypes.passing(compute)
        vars(self).update(dtype_policy=policy, _compute=compute, _passing=passing)

    if not TYPE_CHECKING:

        @property
        def name(self) -> str:
            return self._name

        @name.setter
        def name(self, value: str) -> None:
            vars(self)["_name"] = value

        @property
        def dtype(self) -> str:
            return self.dtype_policy.variable_dtype

        @property
        def trainable(self) -> bool:
            return self._trainable

        @trainable.setter
        def trainable(self, value: bool) -> None:
            vars(self)["_trainable"] = bool(value)
            for weight in self._own_weights():
                weight.requires_grad_(getattr(weight, "_trainable", True) and self._trainable and weight.is_floating_point())
            for layer in self._sublayers():
                layer.trainable = value

    @property
    def variable_dtype(self) -> str:
        return self.dtype_policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        return self.dtype_policy.compute_dtype

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Weight):
            self._adopt(name, value)
        elif isinstance(value, (list, tuple, dict)):
            object.__setattr__(self, name, value)
            if _may_hold_modules(value) and (value or name not in self._args):
                self._modules[name] = _Children(value)
        else:
            if isinstance(value, nn.Module) and not isinstance(value, Layer):
                value.train(self.training)
            elif vars(self).get("built") and name in ("activity_regularizer", "input_spec"):
                object.__setattr__(self, name, value)
                self._finish_build()
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        state = self.__dict__
        if name in (register := state.get("_parameters", ())):
            return register[name]
        if name in (register := state.get("_modules", ())):
            return register[name]
        if name in (register := state.get("_buffers", ())):
            return register[name]
        found = getattr(type(self), name, None)
        if isinstance(found, property):  # it raised AttributeError: let its own message through
            return found.__get__(self)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def extra_repr(self) -> str:
        return self._shown_args()

    def __repr__(self) -> str:
        return nn.Module.__repr__(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_nodes": [], "_keepers_at": -1}  # a copy of a layer stands outside the models the original is part of

    # -- configuration ----------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The constructor arguments as plain data, with name, trainable and dtype."""
        cls = type(self)
        policy = {"module": "keras", "class_name": "DTypePolicy", "config": self.dtype_policy.get_config()}
        config = {"name": self.name, "trainable": self._trainable, "dtype": {**policy, "registered_name": None}}
        if "activity_regularizer" not in self._args and self.activity_regularizer is not None:
            config["activity_regularizer"] = serialize.serialize(self.activity_regularizer)
        if cls._owns_init and cls.get_config is Layer.get_config:
            return {**config, **self._captured_config()}
        return {**config, **super().get_config()}

    def _captured_config(self) -> dict[str, Any]:
        args, kwargs = self._init_arguments
        parameters = list(inspect.signature(type(self).__init__).parameters)[1:]
        try:
            return {k: serialize.serialize(v) for k, v in {**dict(zip(parameters, args, strict=False)), **kwargs}.items()}
        except (TypeError, ValueError) as error:
            raise NotImplementedError(f"{named(self)}: its class must write its own `get_config`. {error}") from None

    def get_build_config(self) -> dict[str, Any] | None:
        """What `build_from_config` needs to make the weights again."""
        if self._build_shapes is None or self._stateless:
            return None
        args, kwargs = self._build_shapes
        shapes = [*args, *kwargs.values()]
        return {"input_shape": shapes[0]} if len(shapes) == 1 else {"shapes_dict": dict(kwargs)} if shapes else {}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        if config and not self.built:
            shapes = {key: _as_shape(value) for key, value in config.get("shapes_dict", config).items()}
            self.build(shapes["input_shape"]) if set(shapes) == {"input_shape"} else self.build(**shapes)

    # -- building ---------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Create the weights for inputs of this shape, (batch, ...), None where unknown. Called once, before `call`."""
        if any(isinstance(child, Layer) and not child.built for child in self.modules() if child is not self):
            symbolic.infer_shape(self, input_shape)
        vars(self)["_build_shapes"] = ((input_shape,), {})

    def _finish_build(self) -> None:
        vars(self)["built"] = True
        self._set_policy(self.dtype_policy)
        if not self._trainable:
            self.trainable = False
        if self._initial_weights is not None:
            initial, vars(self)["_initial_weights"] = self._initial_weights, None
            self.set_weights(initial if isinstance(initial, (list, tuple)) else [initial])
        spec = self.input_spec
        vars(self)["_ndim"] = spec.ndim if isinstance(spec, InputSpec) else None
        vars(self)["_direct"] = self._may_run_direct()
        if self.activity_regularizer is not None:
            Changes.count += 1
        vars(self)["_has_more"] = self.activity_regularizer is not None or self._creates_mask

    def _may_run_direct(self) -> bool:
        """Whether a call with one plain tensor needs `call` alone, with at most a loss or a mask after it."""
        spec = self.input_spec
        checked_by_rank = spec is None or (isinstance(spec, InputSpec) and spec.min_ndim is spec.max_ndim is None)
        own = serialize.home_of(type(self)) is not None  # Lamina's own layers fail on what does not fit
        return self._runs_bare() and (own or (checked_by_rank and not self._creates_mask))

    def runs_in_plan(self) -> bool:
        """Whether a plan may run `call` itself, since nothing has to happen before or after it."""
        return self._runs_bare() and self.activity_regularizer is None

    def _runs_bare(self) -> bool:
        own = serialize.home_of(type(self)) is not None
        return (
            (own or not self._modules)
            and not (self._hooked or self._adds_losses)
            and self.dtype_policy.compute == self.dtype_policy.variable
        )

    def output_dtype(self, input_dtype: torch.dtype) -> torch.dtype:
        """The type of the output for a first input of this type."""
        return input_dtype if self._keeps_dtype or self._compute is None else self._compute

    def _build_for(self, args: tuple, kwargs: Mapping[str, Any]) -> None:
        """Build from the shapes of a first call's arguments, on the device of the data."""
        if type(self).build is Layer.build:
            self._finish_build()
            return
        names = tuple(inspect.signature(type(self).build).parameters)[1:]
        given = {**dict(zip(self._call_parameters, args, strict=False)), **kwargs}
        shapes = {f"{key}_shape": symbolic.shapes_of(value) for key, value in given.items()}
        device = next((leaf.device for leaf in pytree.tree_leaves(args) if isinstance(leaf, Tensor)), None)
        with torch.device(device) if device is not None and device.type != "cpu" else _nothing():
            if len(names) > 1 and all(name in shapes for name in names[:1]):
                self.build(**{name: shapes[name] for name in names if shapes.get(name) is not None})
            else:
                self.build(symbolic.shapes_of(next(iter(given.values()))))

    # -- weights ----------------------------------------------------------------------------------------------------

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: Any = None,
        overwrite_with_gradient: bool = False,
        name: str | None = None,
        *,
        order: tuple[int, ...] | None = None,
        **_: Any,
    ) -> Weight:
        """A new weight of this layer: a Parameter, or with `trainable=False` a buffer.

        `order` lays the memory out so that `weight.permute(order)` is contiguous. Raises ValueError for unknown sizes.
        """
        if isinstance(shape, str):  # tf.keras: add_weight(name, shape)
            name, shape = shape, name if not isinstance(initializer, (tuple, list)) else initializer
        shape = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        name = name or "variable"
        if any(size is None for size in shape):
            raise ValueError(
                f"{named(self)}: weight `{name}` needs known sizes; got {show_shape(shape)}. "
                "Give the size of that axis in the input's shape."
            )
        type_ = dtypes.torch_dtype(dtype) if dtype is not None else self.dtype_policy.variable
        initializer = initializer or ("glorot_uniform" if type_.is_floating_point else "zeros")
        make = serialize.lookup(initializer, "keras.initializers", "initializer")
        with unset_fake_temporarily(), torch.no_grad():
            values = torch.as_tensor(make(tuple(int(size) for size in shape), dtype=dtypes.dtype_name(type_))).to(type_)
        if tuple(values.shape) != shape:
            raise ValueError(
                f"{named(self)}: weight `{name}` needs shape {show_shape(shape)}; "
                f"its initializer gave {show_shape(values.shape)}."
            )
        find = serialize.lookup
        weight = Weight(
            allocate(values, order),
            trainable,
            name=name,
            path="/".join([*(scope.path or (self.name,)), name]),
            regularizer=None if regularizer is None else find(regularizer, "keras.regularizers", "regularizer"),
            constraint=None if constraint is None else find(constraint, "keras.constraints", "constraint"),
            autocast=autocast,
        )
        weight.requires_grad_(weight.requires_grad and self._trainable)
        attribute, count = name, 0
        while attribute in self._parameters or attribute in self._buffers or hasattr(type(self), attribute):
            count += 1
            attribute = f"{name}_{count}"
        self._adopt(attribute, weight)
        return weight

    def new_weight(self, name: str, shape: Iterable[int | None], **options: Any) -> Weight:
        """The weight `name` with this layer's declared `{name}_initializer`, `_regularizer` and `_constraint`."""
        roles = {role: getattr(self, f"{name}_{role}", None) for role in ("initializer", "regularizer", "constraint")}
        weight = self.add_weight(tuple(shape), name=name, **roles, **options)
        self._adopt(name, weight)
        return weight

    def _adopt(self, name: str, weight: Weight) -> None:
        """Register `weight` under `name`; where it stands under another name already, it moves, keeping its place."""
        register: dict[str, Any] = self._parameters if weight._trainable or weight.requires_grad else self._buffers
        for other in (self._parameters, self._buffers, vars(self)):
            if other is not register:
                other.pop(name, None)
        place = next((key for key, item in register.items() if item is weight), None)
        if place is None or place == name:
            register[name] = weight
            return
        items = [(name if key == place else key, item) for key, item in register.items() if key != name]
        register.clear()
        register.update(items)

    def _own_weights(self) -> list[Any]:
        both = (*self._parameters.values(), *self._buffers.values())
        return [weight for weight in both if isinstance(weight, nn.Parameter)]

    def _sublayers(self) -> Iterator[Any]:
        """The modules directly inside this one, through lists and dicts."""
        for child in self._modules.values():
            if isinstance(child, _Children):
                yield from _inside(child)
            elif child is not None:
                yield child

    @property
    def layers(self) -> list[Any]:
        """The layers directly inside this one."""
        return [child for child in self._sublayers() if isinstance(child, Layer)]

    @property
    def weights(self) -> list[Any]:
        """All weights, own ones first, in the order of `get_weights`."""
        found = {id(weight): weight for weight in self._own_weights()}
        for child in self._sublayers():
            inner = child.weights if isinstance(child, Layer) else [*child.parameters(), *child.buffers()]
            found |= {id(weight): weight for weight in inner}
        return list(found.values())

    variables = property(lambda self: self.weights)

    @property
    def trainable_weights(self) -> list[Any]:
        return [weight for weight in self.weights if weight.requires_grad] if self._trainable else []

    trainable_variables = property(lambda self: self.trainable_weights)

    @property
    def non_trainable_weights(self) -> list[Any]:
        trained = {id(weight) for weight in self.trainable_weights}
        return [weight for weight in self.weights if id(weight) not in trained]

    non_trainable_variables = property(lambda self: self.non_trainable_weights)

    def get_weights(self) -> list[np.ndarray]:
        """The weights' values as NumPy arrays, copied."""
        return [np.asarray(w.numpy() if isinstance(w, Weight) else w.detach().cpu().numpy().copy()) for w in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Write values in the order of `get_weights`. Raises ValueError, before any change, for a wrong count or shape."""
        targets = self.weights
        if len(targets) != len(weights):
            hint = "" if self.built else " The layer is not built: call it or its `build` first."
            raise ValueError(
                f"{named(self)}: set_weights expected {len(targets)} arrays; got {len(weights)}.{hint}"
            )
        for target, value in zip(targets, weights, strict=True):
            if tuple(target.shape) != tuple(np.shape(value)):
                path = getattr(target, "path", "weight")
                raise ValueError(
                    f"{named(self)}: set_weights expected shape {show_shape(target.shape)} for `{path}`; "
                    f"got {show_shape(np.shape(value))}."
                )
        with torch.no_grad():
            for target, value in zip(targets, weights, strict=True):
                target.copy_(torch.as_tensor(value))

    def count_params(self) -> int:
        """The number of values in all weights. Raises ValueError before the layer is built."""
        if not self.built:
            raise ValueError(f"{named(self)} has no weights yet: call it on data or `build(input_shape)` first.")
        return sum(weight.numel() for weight in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Write the weights that belong to this layer itself, by position, into a mapping."""
        for index, weight in enumerate(self._stored_weights()):
            store[str(index)] = weight

    def _stored_weights(self) -> list[Weight]:
        """What `save_own_variables` writes, in its order."""
        return self._own_weights()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        own = self._stored_weights()
        if len(store.keys()) != len(own):
            hint = "" if own else " Build the layer (or give the model's input shape) before loading."
            raise ValueError(f"{named(self)}: expected {len(own)} stored weights; got {len(store.keys())}.{hint}")
        values = [np.asarray(store[str(index)]) for index in range(len(own))]
        for weight, value in zip(own, values, strict=True):
            if tuple(weight.shape) != value.shape:
                raise ValueError(
                    f"{named(self)}: stored weight `{getattr(weight, 'path', '')}` has shape {show_shape(value.shape)}; "
                    f"expected {show_shape(weight.shape)}."
                )
        with torch.no_grad():
            for weight, value in zip(own, values, strict=True):
                weight.copy_(torch.as_tensor(value))

    def _apply(self, fn: Callable, recurse: bool = True) -> Layer:
        """Moves and conversions (`to`, `cuda`, `double`): buffers stay Weights, and the policy follows the type."""
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, old in before.items():
            moved = self._buffers.get(name)
            if isinstance(old, Weight) and moved is not None and not isinstance(moved, Weight):
                self._buffers[name] = old.like(moved)
        policy = self.dtype_policy
        if policy.compute == policy.variable and policy.variable.is_floating_point:
            after = fn(torch.zeros((), dtype=policy.variable)).dtype
            if after != policy.variable:
                self._set_policy(dtypes.DTypePolicy(dtypes.dtype_name(after)))
        return self

    # -- losses -----------------------------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Add a scalar tensor (or several) to the loss of the call in progress."""
        if not self._adds_losses:
            vars(self).update(_adds_losses=True, _direct=False)
            Changes.count += 1
        self._losses.extend(item for item in pytree.tree_leaves(loss) if item is not None)

    @property
    def losses(self) -> list[Tensor]:
        """What the last call and the weights' regularizers add to the loss, here and in the layers inside."""
        added = [loss for layer in self._flat_layers() for loss in layer._losses]
        return added + self.weight_losses()

    def weight_losses(self) -> list[Tensor]:
        """The penalties of the trainable weights' regularizers."""
        regular = ((weight, getattr(weight, "regularizer", None)) for weight in self.trainable_weights)
        return [regularizer(weight) for weight, regularizer in regular if regularizer is not None]

    def _flat_layers(self) -> Iterator[Layer]:
        return (module for module in self.modules() if isinstance(module, Layer))

    def _find_keepers(self) -> None:
        """The layers in here whose calls add to the loss; a call of this one starts by clearing what they kept."""
        keepers = [layer for layer in self._flat_layers() if layer._adds_losses or layer.activity_regularizer is not None]
        vars(self).update(_keepers=keepers, _keepers_at=Changes.count)

    # -- calling ----------------------------------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a `call` method.")

    forward = call
    __call__ = _call_plain

    def _call_with_care(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Any call that is not plain: symbolic tensors, arrays, masks, explicit training, losses, the first call."""
        if not self._takes_as_is(args, kwargs):
            if any(isinstance(leaf, symbolic.SymbolicTensor) for leaf in pytree.tree_leaves((args, kwargs))):
                return symbolic.call_layer(self, args, kwargs)
            args = self._checked_first(args, kwargs)
            if not self.built:
                self.check_inputs(args[0] if args else None)
                self._build_for(args, kwargs)
            args, kwargs = self._convert(args, kwargs)
        if self.input_spec is not None:
            self.check_inputs(args[0] if args else next(iter(kwargs.values()), None))
        outer_training, outer_depth, outer_path = scope.training, scope.depth, scope.path
        by_position = "training" in self._call_parameters[: len(args)]
        explicit = args[self._call_parameters.index("training")] if by_position else kwargs.pop("training", None)
        if explicit is not None:
            scope.training = bool(explicit)
        if self._takes_training and not by_position:
            kwargs["training"] = self.training if scope.training is None else scope.training
        mask = self._route_masks(args, kwargs)
        if outer_depth == 0:
            if self._keepers_at != Changes.count:
                self._find_keepers()
            for layer in self._keepers:
                layer._losses.clear()
        scope.depth = outer_depth + 1
        scope.path = (*outer_path, self._name)
        try:
            if explicit is None:
                outputs = self._run(args, kwargs)
            else:
                with _torch_modules_follow(self):
                    outputs = self._run(args, kwargs)
        except (RuntimeError, IndexError) as error:
            self._explain(args, error)
            raise
        finally:
            scope.training, scope.depth, scope.path = outer_training, outer_depth, outer_path
        if self.activity_regularizer is not None:
            self._add_activity_loss(outputs)
        if mask is not None or self._creates_mask:
            masking.set_masks(outputs, self._checked_mask(args[0] if args else None, mask))
        return outputs

    def _takes_as_is(self, args: tuple, kwargs: Mapping[str, Any]) -> bool:
        """Whether the arguments need no conversion: one plain tensor or a list of some, and at most a flag."""
        if len(args) != 1 or not self.built or (kwargs and (len(kwargs) > 1 or "training" not in kwargs)):
            return False
        first = args[0]
        if type(first) is Tensor:
            return first.dtype in self._passing and (self._ndim is None or first.ndim == self._ndim)
        if type(first) is not list or not first:
            return False
        for each in first:
            if type(each) is not Tensor or each.dtype not in self._passing:
                return False
        return True

    def _checked_first(self, args: tuple, kwargs: Mapping[str, Any]) -> tuple:
        """The arguments, nested lists of numbers as an array. Raises for a call on nothing, or on what is no data."""
        if not args:
            if not kwargs and self._call_parameters:
                raise TypeError(f"{named(self)}: call it on its `{self._call_parameters[0]}`, as in layer(x).")
            return args
        first = args[0]
        if first is None or isinstance(first, (str, bytes)):
            raise ValueError(f"{named(self)}: expected a tensor or an array as input; got {short(first)}.")
        if isinstance(first, (list, tuple)) and _is_numbers(first):
            return (np.asarray(first), *args[1:])
        return args

    def _run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        policy = self.dtype_policy
        hooked = self._hooked or _global_forward_pre_hooks or _global_forward_hooks
        call = functools.partial(nn.Module.__call__, self) if hooked else self.call
        if policy.compute is policy.variable:
            return call(*args, **kwargs)
        with _cast_weights(self, policy.compute):
            return call(*args, **kwargs)

    def _convert(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """Arrays become tensors on the layer's device; floats become the layer's compute type."""
        compute, device = self._compute, None

        def convert(leaf):
            nonlocal device
            if not isinstance(leaf, Tensor):
                if isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind in "biufc":
                    if device is None:
                        device = next((weight.device for weight in self.parameters()), torch.get_default_device())
                    leaf = torch.as_tensor(leaf, device=device)
                elif (to_numpy := getattr(leaf, "to_numpy", None)) is not None:  # pandas
                    leaf = torch.as_tensor(to_numpy())
                else:
                    return leaf
            if compute is not None and leaf.dtype not in self._passing:
                cast = leaf.to(compute)
                masking.set_mask(cast, masking.get_mask(leaf))
                return cast
            return leaf

        return pytree.tree_map(convert, args), pytree.tree_map(convert, dict(kwargs))

    def check_inputs(self, inputs: Any) -> None:
        """Raises ValueError where the inputs do not fit `input_spec`."""
        spec = self.input_spec
        if spec is None:
            return
        specs = pytree.tree_leaves(spec) if isinstance(spec, (list, tuple, dict)) else [spec]
        leaves = [leaf for leaf in pytree.tree_leaves(inputs) if hasattr(leaf, "shape")]
        if len(specs) > 1 and len(leaves) != len(specs):
            raise ValueError(f"{named(self)}: expected {len(specs)} inputs; got {len(leaves)}.")
        for one, leaf in zip(specs, leaves, strict=False):
            problem = one.problem(tuple(leaf.shape))
            if problem:
                raise ValueError(f"{named(self)}: {problem}")

    def _explain(self, args: tuple, error: Exception) -> None:
        """Raise the clear error where the input is at fault; return where it is not."""
        try:
            self.check_inputs(args[0] if args else None)
        except ValueError as clear:
            raise clear from error
        if serialize.home_of(type(self)) is not None and type(error) in (RuntimeError, IndexError):
            shapes = symbolic.shapes_of(args[0]) if args else None
            reason = str(error).strip().split("\n")[0][:200]
            raise ValueError(f"{named(self)} cannot take inputs of shape {shapes}: {reason}") from error

    def _route_masks(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Give `call` the masks riding on its inputs; returns the mask of the first input."""
        given = "mask" in self._call_parameters[: len(args)]
        mask = args[self._call_parameters.index("mask")] if given else kwargs.pop("mask", None)
        if mask is None and args:
            first = args[0]
            mask = getattr(first, "_keras_mask", None) if isinstance(first, Tensor) else masking.masks_of(first)
        elif self._takes_mask and not self._mask_broadcasts and args:
            _check_mask(self, args[0], mask)
        if self._takes_mask and not given and mask is not None:
            kwargs["mask"] = mask
        for name, value in zip(self._call_parameters, args, strict=False):
            key = f"{name}_mask"
            if key in self._call_parameters and kwargs.get(key) is None:
                kwargs[key] = masking.masks_of(value)
        return mask

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the outputs, from the inputs and their mask."""
        return mask

    def _checked_mask(self, inputs: Any, mask: Any) -> Any:
        if type(self).compute_mask is Layer.compute_mask and not self.supports_masking:
            if any(item is not None for item in pytree.tree_leaves(mask)):
                warnings.warn(
                    f"{named(self)} does not support masks: the mask of its input ends here.", UserWarning, stacklevel=4
                )
            return None
        return self.compute_mask(inputs, mask)

    def _after_direct(self, x: Tensor, outputs: Any) -> None:
        """What follows a direct call: the loss of the activity, the mask made from the input."""
        if self.activity_regularizer is not None:
            if scope.depth == 0:
                self._losses.clear()
            self._add_activity_loss(outputs)
        if self._creates_mask:
            masking.set_masks(outputs, self.compute_mask(x, None))

    def _add_activity_loss(self, outputs: Any) -> None:
        for output in (outputs,) if isinstance(outputs, Tensor) else pytree.tree_leaves(outputs):
            if isinstance(output, Tensor):
                self._losses.append(self.activity_regularizer(output) / max(output.shape[0], 1))

    # -- shapes -----------------------------------------------------------------------------------------------------

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shape of the output for inputs of the given shape, None where unknown."""
        return symbolic.infer_shape(self, *args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic outputs for symbolic inputs, without recording the call."""
        return symbolic.infer(self, args, kwargs)

    def stateless_call(self, trainable: Any, non_trainable: Any, *args: Any, **kwargs: Any) -> tuple[Any, list[Any]]:
        """The call with other weights: returns its outputs and the non-trainable weights after it."""
        names = {id(tensor): name for name, tensor in (*self.named_parameters(), *self.named_buffers())}
        own = [*self.trainable_weights, *self.non_trainable_weights]
        given = [torch.as_tensor(value) for value in (*trainable, *non_trainable)]
        swapped = {names[id(weight)]: value.clone() for weight, value in zip(own, given, strict=True)}
        outputs = torch.func.functional_call(self, swapped, args, kwargs)
        return outputs, [swapped[names[id(weight)]] for weight in self.non_trainable_weights]


for _hook in ("forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook", "backward_hook"):
    setattr(Layer, f"register_{_hook}", _noting_change(getattr(nn.Module, f"register_{_hook}")))


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _torch_modules_follow(layer: Layer) -> Iterator[None]:
    """Inside, torch's own modules within `layer` obey an explicit `training` as layers do."""
    wanted = bool(scope.training)
    changed = [m for m in layer.modules() if not isinstance(m, (Layer, _Children)) and m.training != wanted]
    for module in changed:
        module.training = wanted
    try:
        yield
    finally:
        for module in changed:
            module.training = not wanted


@contextmanager
def _cast_weights(layer: Layer, dtype: torch.dtype) -> Iterator[None]:
    """Inside, floating weights read as `dtype`; gradients flow to the stored ones.

    Sublayers called inside do the same for their own weights.
    """
    register: dict[str, Any] = layer._parameters
    stored = dict(register)
    try:
        for name, weight in stored.items():
            if weight is not None and weight.is_floating_point() and getattr(weight, "autocast", True):
                register[name] = weight.to(dtype)
        yield
    finally:
        register.update(stored)


def _inside(children: nn.Module) -> Iterator[Any]:
    for child in children._modules.values():
        if isinstance(child, _Children):
            yield from _inside(child)
        elif child is not None:
            yield child


def _check_mask(layer: Layer, inputs: Any, mask: Any) -> None:
    if isinstance(inputs, Tensor) and isinstance(mask, Tensor) and tuple(mask.shape) != tuple(inputs.shape[:2]):
        raise ValueError(
            f"{named(layer)}: `mask` must have shape {show_shape(inputs.shape[:2])}, (batch, time); "
            f"got {show_shape(mask.shape)}."
        )


def _is_numbers(value: Sequence) -> bool:
    while isinstance(value, (list, tuple)) and len(value):
        value = value[0]
    return isinstance(value, (int, float, bool))


def _as_shape(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value) if all(item is None or isinstance(item, int) for item in value) else [*map(_as_shape, value)]
    return {key: _as_shape(item) for key, item in value.items()} if isinstance(value, dict) else value


def _declared_batch_shape(layer: Layer, given: Mapping[str, Any]) -> tuple | None:
    """The shape of the first layer's input, from whichever of Keras' keywords was used."""
    for key in ("batch_shape", "batch_input_shape"):
        if given.get(key) is not None:
            return tuple(given[key])
    shape = given.get("input_shape")
    if shape is not None:
        if isinstance(shape, int):
            raise ValueError(f"{type(layer).__name__}: argument `input_shape` must be a tuple; write ({shape},).")
        return (given.get("batch_size"), *shape)
    if given.get("input_dim") is not None:
        length = (given["input_length"],) if "input_length" in given else ()
        return (given.get("batch_size"), *length, given["input_dim"])
    return None
