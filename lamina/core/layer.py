"""Layer: a `torch.nn.Module` with Keras' life: arguments, build, call, weights, losses, nodes."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.utils import _pytree as pytree

from .. import SHOWER
from . import arrays, devices, dtypes, serialize, symbolic
from .calling import Calling, computes
from .care import UNBUILT, Changes, care_of, tend
from .children import Aside, Children, Counts, may_count, may_hold_parts, metrics_of
from .declare import Arg, Declared, Kind, Refused, arg, bind, boolean, kept, looked_up, owned, quoted, text
from .errors import BadConfig, NotInitialized, named, pass_on, printable
from .scope import building, put
from .scope import clear_session as clear_session
from .scope import scope as scope
from .scope import snake_case as snake_case
from .scope import unique_name as unique_name
from .spec import InputSpec as InputSpec
from .stateless import StatelessScope, paired
from .weight import Known

devices.take_own()  # before a layer is made


@contextmanager
def building_inside(layer: Layer) -> Iterator[None]:
    """Inside, weights are made that belong to the layer: their paths begin with its name."""
    with put(scope, path=(*scope.path, layer.name)), unset_fake_temporarily():
        with torch.inference_mode(False):  # weights made in it could never be trained
            yield


def _guarded_build(build: Callable) -> Callable:
    """`build`, made to leave nothing behind when it raises, to name its weights and to mark the layer as built."""

    @functools.wraps(build)
    def guarded(self: Layer, *args: Any, **kwargs: Any) -> None:
        with building(self):
            if self._building:  # a subclass calls super().build(...)
                build(self, *args, **kwargs)
                return
            registers: Any = (self._parameters, self._buffers, self._modules)
            before = [dict(register) for register in registers]
            state = vars(self)
            self._find_policy()
            state["_building"] = True
            try:
                with building_inside(self):
                    build(self, *args, **kwargs)
            except BaseException:
                for register, content in zip(registers, before, strict=True):
                    register.clear()
                    register.update(content)
                raise
            finally:
                state["_building"] = False
            state["_build_shapes"] = (args, kwargs)
            self._finish_build()

    return guarded


_VALUES = (Tensor, np.ndarray, list, tuple)  # what a weight may be given
_WAYS = {"__class__", "call", "forward", "compute_mask"}  # set by who wraps a layer, as torch's parametrizations do
_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_SHAPE_KEYWORDS = ("input_shape", "batch_input_shape", "batch_shape", "input_dim", "input_length", "batch_size")
_BASE_KEYWORDS = (*_SHAPE_KEYWORDS, "activity_regularizer", "autocast", "weights", "dynamic")


def _first_values(value: Any, owner: Any) -> list[Any]:
    several = value if isinstance(value, (list, tuple)) else [value]
    if not all(arrays.is_array(item) or arrays.is_listed(item) for item in several):
        raise Refused
    return [item.detach().clone() if isinstance(item, Tensor) else item for item in several]


first_values = Kind("an array or a list of arrays", _first_values).optional()
_GIVEN = Arg(first_values, None, "First weights.", True, False, "weights")
_policy = Kind("a dtype or dtype policy", looked_up(dtypes.get), bad=("float99",))


def _facts_of(call: Callable) -> dict[str, Any]:
    """What a class knows of its `call`."""
    signature = inspect.signature(call)
    words = tuple(signature.parameters)[1:]
    taken = [*signature.parameters.values()][1:]
    on_one = bool(taken) and taken[0].annotation in ("Tensor", "torch.Tensor")
    return {
        "_call_signature": signature,
        "_call_parameters": words,
        "_call_places": tuple(p.name for p in taken if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)),
        "_needed_by_call": frozenset(p.name for p in taken[1:] if p.default is p.empty and p.kind not in _REST),
        "_takes_training": "training" in words,
        "_takes_one": on_one and call.__module__.startswith("lamina."),
        "_untold": signature.parameters["training"].default if "training" in words else None,
        "_takes_mask": "mask" in words,
        "_takes_masks_of": any(word.endswith("_mask") for word in words),
        "forward": call,
    }


class Layer(Calling, symbolic.Nodes, Declared, nn.Module):
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
        "trainable": Arg(boolean.saying("Expected `{}` argument to be a boolean,"), True, "", True, False, "trainable"),
        "dtype": Arg(_policy, None, "", True, False, "dtype"),
    }

    _takes_slashes = False  # in its name, which stands in paths of weights
    _sorts_keys = False  # layers in dictionaries have the order of the keys
    supports_masking = False
    input_spec: Any = kept()
    activity_regularizer = None  # no annotation: subclasses declare it as an argument
    path: ClassVar[str | None] = None  # the names of the layers around it when it was built, and its own
    _autocast = True  # cast floating inputs to the layer's compute type
    _creates_mask = True  # compute_mask may give a mask where none came in; Lamina's own layers say when
    _takes_training = _takes_mask = False
    _takes_one = False  # its `call`, one of Lamina's own, says that it is on a tensor
    _stacks = False  # it takes a list of tensors as one all the same, as in Keras
    _untold: ClassVar[Any] = None  # the default of `training` in `call`: what counts where nothing else is told
    _takes_masks_of = False  # of other arguments, under words of their own, such as `key_mask`
    _mask_beside_others = False  # the first input's mask counts as well where further tensors are given
    _mask_axes: ClassVar[tuple[int, int] | None] = None  # of the input: their sizes are a mask's; None: any
    input_dtype: str | None = kept()  # what a model's input should be where this layer comes first
    _takes_text = False  # arrays of texts are data to it
    _takes_integers = True  # False: integer inputs, too, become the compute type; so once there are weights
    _leaves_integers = False  # not even then: no `call` of Lamina's multiplies them
    _ours = True  # one of Lamina's own, whose calls fail on what does not fit
    _has_shape_rule = False
    _casts_all = True  # to the compute type; else only what a call is given first
    _rule_is_second = False  # shapes are those of `call`, whatever the rule says
    _needs_no_shape = False  # to be built: what it is given as `weights` it has at once
    _worked_out: ClassVar[tuple[str, ...]] = ()  # names of properties that go when an argument is set
    _stateless = False  # it counts as built from the start and writes no build config
    _quantizes: ClassVar[tuple[str | None, ...]] = (None,)  # its modes of `quantize`, beside None
    _asks_gradients = False  # calls take gradients by what they are given: a plan tracks it
    _keeps_dtype = False  # the output has the type of the input, even of an integer one
    log_space: Any = kept()  # the softmax or sigmoid that the last thing it does is
    ends_in_relu: Any = kept()  # whether the last thing it does is to take the positive part; None: hard to tell
    _call_parameters: ClassVar[tuple[str, ...]] = ()
    _call_places: ClassVar[tuple[str, ...]] = ()  # those that are given by position; the last may take several
    _needed_by_call: ClassVar[frozenset[str]] = frozenset()  # its parameters without a default, but the first
    _call_read: ClassVar[Any] = Calling.call  # from which these are
    _call_signature: ClassVar[inspect.Signature] = inspect.signature(Calling.call)
    _shape_parameters: ClassVar[tuple[str, ...]] = ("input_shape",)

    # -- creation ---------------------------------------------------------------------------------------------------

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        cls._ours = serialize.home_of(cls) is not None
        homes = [base.__module__ for base in cls.__mro__ if "call" in vars(base)]
        cls._leaves_integers = not any(home.startswith(("lamina.layers.", "lamina.models.")) for home in homes)
        cls._read_call()
        if "build" in own and "_stateless" not in own and not cls._ours:
            cls._stateless = False  # what a user's own build makes is not there from the start
        if "build" in own or (cls._weights and cls.build is Layer.build):
            cls.build = _guarded_build(cls.build)
        if "compute_output_shape" in own:
            cls._shape_parameters = tuple(inspect.signature(own["compute_output_shape"]).parameters)[1:]
        cls._has_shape_rule = cls.compute_output_shape is not Layer.compute_output_shape
        maker = next(base for base in cls.__mro__ if "compute_mask" in vars(base))
        if maker is Calling:
            cls._creates_mask = False
        elif not cls._ours and not maker.__module__.startswith("lamina."):
            cls._creates_mask = True
            if "supports_masking" not in own:
                cls.supports_masking = True

    @classmethod
    def _read_call(cls) -> None:
        """Know of `call` what calls go by, also of one from a class that is no layer, or assigned since."""
        call = cls.call
        if call is cls._call_read:
            return
        own = vars(cls)
        told = {key: own[key] for key in ("_takes_training",) if key in own and "_call_read" not in own}
        facts = _facts_of(inspect.getattr_static(cls, "call"))
        for name, value in {**facts, "_call_read": call, **told}.items():
            setattr(cls, name, value)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        cls._read_call()
        if cls._owns_init:  # an `__init__` of the user's own: its arguments are the config, as in Keras 3
            object.__setattr__(self, "_init_arguments", (owned(args), owned(kwargs)))
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        early = {name: value for name, value in vars(self).items() if name != "_init_arguments"}
        if "_modules" in early:  # a subclass calls this a second time: what the layer holds stays
            early = {}
        else:
            nn.Module.__init__(self)
        base = {key: kwargs.pop(key) for key in _BASE_KEYWORDS if key in kwargs and key not in self._args}
        vars(self).update(
            training=self._untold is True,
            _ready=False,  # its build has run
            _building=False,
            _called=False,
            _care=UNBUILT,
            _ndim=None,
            _trainable=True,
            _nodes=[],
            _build_shapes=None,
            _keepers=None,
            _may_count=False,  # it may hold metrics: some were set, or what can hold some
            _initial_weights=_GIVEN.convert(base.get("weights"), self),
        )
        for name, value in early.items():  # what a subclass set before it called this: it may be or hold layers
            if isinstance(value, (nn.Module, nn.Parameter, Counts, list, tuple, dict)):
                del vars(self)[name]
                setattr(self, name, value)
        values = bind(self, args, kwargs)
        if values["dtype"] is None:
            values["dtype"] = self._default_dtype(values)
        name, trainable, policy = (self._args[key].convert(values.pop(key), self) for key in Layer._args)
        if name is not None and "/" in name and not self._takes_slashes:
            raise ValueError(f'{type(self).__name__}: argument `name` must not contain "/"; got {name!r}.')
        vars(self).update(_trainable=trainable, _given_name=name)
        if not base.get("autocast", True):
            vars(self)["_autocast"] = False
        self._set_policy(policy)
        if base.get("activity_regularizer") is not None:
            vars(self)["activity_regularizer"] = serialize.get(base["activity_regularizer"], "keras.regularizers")
        vars(self)["_batch_shape"] = _declared_batch_shape(self, base)
        self._set_args(values)
        vars(self)["_name"] = name or self._next_name()
        if scope.remat is not None:
            scope.remat.install(self)
        if self._needs_no_shape and self._initial_weights is not None:
            self.build(None)

    def _next_name(self) -> str:
        """The name of a layer that is given none; it counts up."""
        return unique_name(snake_case(type(self).__name__))

    def _default_dtype(self, values: Mapping[str, Any]) -> Any:
        """Hook: the dtype or policy of a layer that is given none, by its other arguments; None is the global one."""
        return values["dtype"]

    def _set_policy(self, policy: dtypes.DTypePolicy) -> None:
        if policy.quantization_mode not in self._quantizes:
            raise ValueError(
                f"{type(self).__name__} cannot be quantized to {policy.quantization_mode!r}, as its `dtype` says; give "
                f"an ordinary one. Got {policy.name!r}."
            )
        compute = policy.compute if self._autocast and policy.compute.is_floating_point else None
        integers = self._takes_integers and (self._leaves_integers or not (self._autocast and self._parameters))
        passing = frozenset({compute}) if compute is not None and not integers else dtypes.passing(compute)
        vars(self).update(dtype_policy=policy, _compute=compute, _floats=compute, _passing=passing)
        if policy.compute is not policy.variable:
            self._let_stand_in()

    def _change_policy(self, policy: dtypes.DTypePolicy) -> None:
        """Raises ValueError where there are weights, which keep their type, and the policy has another for them."""
        held, wanted = self.dtype_policy.variable_dtype, policy.variable_dtype
        if held != wanted and self._parameters:
            raise ValueError(
                f"{named(self)}: its weights are {held}; `dtype_policy` {policy.name!r} is for weights of {wanted}. "
                f"Convert them, as in `layer.to(torch.{wanted})`, or set a policy that keeps them, as 'mixed_bfloat16'."
            )
        self._set_policy(policy)
        tend(self)

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
            for module in self.modules():
                if isinstance(module, Layer):
                    module._set_own_trainable(bool(value))
                    continue
                for weight in module.parameters(recurse=False):  # a torch module's: what is frozen there stays frozen
                    weight._trainable = getattr(weight, "_trainable", weight.requires_grad)
                    weight.requires_grad_(bool(value) and weight._trainable)

    def _set_own_trainable(self, value: bool) -> None:
        """`trainable` of this layer and its own weights, the layers inside it aside."""
        vars(self)["_trainable"] = value
        for weight in self._own_weights():
            weight.requires_grad_(getattr(weight, "_trainable", True) and value and weight.is_floating_point())

    @property
    def variable_dtype(self) -> str:
        return self.dtype_policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        return self.dtype_policy.compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        """ "int8", "int4" or "float8"; None where the layer is not quantized."""
        return self.dtype_policy.quantization_mode

    def __setattr__(self, name: str, value: Any) -> None:
        state = vars(self)
        if "_ready" not in state:  # before `__init__`, which will look at it
            object.__setattr__(self, name, value)
            return
        before = state.get(name, value)
        if name in state["_modules"]:
            self._let_go(name)
        self._set_attribute(name, value)
        if name in self._args:
            for each in self._worked_out:
                state.pop(each, None)
        if name in _WAYS:
            tend(self)
        elif before is not value and name != "training" and self._is_settled:  # that is read in every call
            Changes.note(self)

    def _set_attribute(self, name: str, value: Any) -> None:
        vars(self)["_may_count"] |= isinstance(value, (Counts, list, tuple, dict)) and may_count(value)
        declared = self._args.get(name) if vars(self)["_ready"] else None
        if declared is not None and declared.attribute == name and not self._building:
            value = declared.convert(value, self)  # as by the constructor
        if name == "dtype_policy":
            self._change_policy(self._args["dtype"].convert(value, self))
        elif isinstance(value, Known):
            self._adopt(name if self._building else self._kept_as(name), value)  # type: ignore[arg-type]
        elif isinstance(value, _VALUES) and not isinstance(value, nn.Parameter) and self._write_weight(name, value):
            pass
        elif isinstance(value, (list, tuple, dict)):
            object.__setattr__(self, name, value)
            if may_hold_parts(value) and (value or name not in self._args):
                self._modules[name] = Children(value, self._sorts_keys)
        else:
            if isinstance(value, nn.Module) and not isinstance(value, Layer):
                value.train(self.training)
            elif vars(self).get("_ready") and name in ("activity_regularizer", "input_spec"):
                object.__setattr__(self, name, value)
                self._finish_build()
            self._make_room(name, value)
            super().__setattr__(name, value)  # type: ignore[arg-type]
        if declared is not None:
            Changes.note(self)

    def _make_room(self, name: str, value: object) -> None:
        """For a value that is no layer, where one was called so."""
        if not isinstance(value, nn.Module):
            self._modules.pop(name, None)

    def _let_go(self, name: str) -> None:
        """Of a list, tuple or dict, which is a plain attribute, what torch sees of it."""
        if isinstance(self._modules.get(name), (Children, Aside)):
            del self._modules[name]

    def __delattr__(self, name: str) -> None:
        self._let_go(name)
        super().__delattr__(name)
        if "_ready" in vars(self):
            tend(self)

    @property
    def _is_settled(self) -> bool:
        """Whether what is made of it relies on its attributes; those of users' own code are read in every call, and
        callbacks may count on a model."""
        return self._ready and self._ours and not self._building and not getattr(self, "_is_composite", False)

    @property
    def built(self) -> bool:
        """Whether it has its weights; a layer that will never have any has them from the start."""
        return self._ready or self._stateless

    @built.setter
    def built(self, value: bool) -> None:
        vars(self)["_ready"] = bool(value)

    @property
    def metrics(self) -> list[Any]:
        """Those that the layer and the layers inside hold as attributes, alone or in lists or dictionaries."""
        found = [metric for module in self.modules() for metric in metrics_of(module)]
        return [*{id(metric): metric for metric in found}.values()]

    @property
    def metrics_variables(self) -> list[Any]:
        """What the metrics of `metrics` count in."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def _kept_as(self, name: str) -> str:
        """The name of the attribute that a weight of this name is kept as."""
        return name

    def _write_weight(self, name: str, value: Any) -> bool:
        """Write values to the weight of that name; False where there is none, or what came is to take its place.

        A tensor assigned within a call stands in for the weight until that itself is assigned again.
        """
        state = vars(self)
        name = name if self._building or not state.get("_ready") else self._kept_as(name)
        weight = dict.get(state.get("_parameters", {}), name)
        if weight is None and not isinstance(value, Tensor):  # torch, loading with assign=True, puts tensors in there
            weight = state.get("_buffers", {}).get(name)
        if not isinstance(weight, Known) or (isinstance(value, (list, tuple)) and may_hold_parts(value)):
            return False
        if isinstance(value, Tensor) and computes():
            self._let_stand_in()
            self._parameters.put(name, value, self._last_frame())  # type: ignore[union-attr]
        elif getattr(value, "requires_grad", False):
            return False
        else:
            weight.assign(value)
        return True

    def _last_frame(self) -> Any:
        """The frame with which what is assigned now no longer stands in for a weight; None: it stays."""
        return None

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
        if "_ready" not in state:
            raise NotInitialized(f"{type(self).__name__}: call `super().__init__()` first in its `__init__`.")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def extra_repr(self) -> str:
        return self._shown_args()

    def __repr__(self) -> str:
        return "\n".join(map(printable, nn.Module.__repr__(self).split("\n")))

    def _repr_html_(self) -> str:
        """What notebooks show."""
        return importlib.import_module(SHOWER).html_of(self)

    def __getstate__(self) -> dict[str, Any]:
        # A copy of a layer stands outside the models the original is part of.
        return {**vars(self), "_nodes": [], "_keepers": None}

    # -- configuration ----------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The constructor arguments as plain data, with name, trainable and dtype."""
        cls = type(self)
        policy = dtypes.serialize(vars(self).get("_policies", self.dtype_policy))
        config = {"name": self.name, "trainable": self._trainable, "dtype": policy}
        if "activity_regularizer" not in self._args and self.activity_regularizer is not None:
            config["activity_regularizer"] = serialize.serialize(self.activity_regularizer)
        if cls._owns_init and cls.get_config is Layer.get_config:
            return self._captured_config(config)
        return {**config, **super().get_config()}

    def _captured_config(self, config: dict[str, Any]) -> dict[str, Any]:
        """What the user's own `__init__` took, defaults among it, with what it takes of all layers' `config`."""
        args, kwargs = self._init_arguments
        signature = inspect.signature(type(self).__init__)
        kinds = [parameter.kind for parameter in signature.parameters.values()]
        given = signature.bind(self, *args, **kwargs).arguments
        del given[next(iter(signature.parameters))]
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                given |= given.pop(name, {})
            elif given.get(name) and parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
                raise NotImplementedError(f"{named(self)}: its class must write its own `get_config`, for {name!r}.")
        if self._given_name not in (None, self.name):  # renamed since
            given.pop("name", None)
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            usual = {"name": self.name, "trainable": True, "dtype": dtypes.serialize(_policy.convert(None, self))}
            config = {key: v for key, v in config.items() if key in signature.parameters or v != usual.get(key)}
        if isinstance(given.get("dtype"), str) and "dtype" not in signature.parameters:
            given["dtype"] = _policy.convert(given["dtype"], self)
        given = {
            name: parameter.default
            for name, parameter in signature.parameters.items()
            if name not in config and isinstance(parameter.default, (bool, int, float, str, type(None)))
        } | given
        try:
            return {**config, **{key: serialize.serialize(value) for key, value in given.items()}}
        except (TypeError, ValueError) as error:
            raise NotImplementedError(f"{named(self)}: its class must write its own `get_config`. {error}") from None

    @classmethod
    def _arguments_of(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """Those of `__init__`: where `get_config` is not the user's own, objects among them are described in it."""
        if cls._owns_init and cls.get_config is Layer.get_config:
            return {
                key: serialize.deserialize(value) if key not in Layer._args else value for key, value in config.items()
            }
        return dict(config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        try:
            return super().from_config(cls._arguments_of(config) if isinstance(config, Mapping) else config)
        except ValueError as error:
            if type(error) is not ValueError:
                raise
            raise pass_on(error, BadConfig(*error.args)) from error

    def get_build_config(self) -> dict[str, Any] | None:
        """What `build_from_config` needs to make the weights again."""
        if self._build_shapes is None or self._stateless:
            return None
        args, kwargs = self._build_shapes
        names = tuple(inspect.signature(type(self).build).parameters)[1:]
        shapes = {**dict(zip(names, args, strict=False)), **kwargs}
        if len(shapes) == 1:
            return {"input_shape": next(iter(shapes.values()))}
        return {"shapes_dict": shapes} if shapes else {}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        if config and not self._ready:
            shapes = {key: as_shape(value) for key, value in config.get("shapes_dict", config).items()}
            self.build(shapes["input_shape"]) if set(shapes) == {"input_shape"} else self.build(**shapes)

    # -- building ---------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Create the weights for inputs of this shape, (batch, ...), None where unknown. Called once, before `call`."""
        unbuilt = any(isinstance(child, Layer) and not child._ready for child in self.modules() if child is not self)
        plain = self._ours or type(self).build is Layer.build  # a build of users makes what it needs
        if unbuilt and plain and not self._called and input_shape is not None and type(self).call is not Layer.call:
            symbolic.infer_shape(self, input_shape)
        if not type(self)._weights.keys() <= {*self._parameters, *self._buffers}:
            self.make_weights()
        vars(self)["_build_shapes"] = ((input_shape,), {})
        if not self._building:
            self._finish_build()

    def _find_policy(self) -> None:
        """Of a map of policies, take that of the layer's path; the config keeps the map."""
        policy = self.dtype_policy
        path = "/".join([*scope.path, self.name])
        if type(self).path is None:  # no attribute of a class of users
            vars(self).setdefault("path", path)
        if isinstance(policy, dtypes.DTypePolicyMap):
            vars(self)["_policies"] = policy
            policy = policy[path]
        self._set_policy(policy)

    def _finish_build(self) -> None:
        self._find_policy()
        for name, value in [*vars(self).items()] if not self._ours else ():
            late = isinstance(value, (list, dict)) and name not in self._modules and not name.startswith("_")
            if late and value and may_hold_parts(value):  # other things were in it when it was set
                self._modules[name] = Children(value, self._sorts_keys)
        if not self._trainable:
            self.trainable = False
        if self._initial_weights is not None:
            initial, vars(self)["_initial_weights"] = self._initial_weights, None
            with unset_fake_temporarily():  # of a trial, which would write nothing
                self.set_weights(initial)
        spec = self.input_spec
        vars(self).update(_ready=True, _ndim=spec.ndim if isinstance(spec, InputSpec) else None)
        tend(self)

    _find_care = care_of

    def behind(self, layer: Any) -> Callable | None:
        """What computes `self(layer(inputs))` from `layer.call` and the inputs, where that is worth while."""
        return None

    def output_dtype(self, input_dtype: torch.dtype) -> torch.dtype:
        """The type of the output for a first input of this type."""
        return input_dtype if self._keeps_dtype or self._compute is None else self._compute

    def _build_for(self, args: tuple, kwargs: Mapping[str, Any]) -> None:
        """Build from the shapes of a first call's arguments, on the device of the data."""
        # Its shape rule alone would leave the layers inside unbuilt.
        runs = self._has_shape_rule and not self._ours and symbolic.any_symbolic(args, kwargs)
        if type(self).build is Layer.build:
            if runs:
                symbolic.run_inside(self, args, kwargs)
            self._finish_build()
            return
        if type(self).call is Layer.call:
            self.call()  # says that there is none
        names = _shapes_of_build(self)
        given = {**dict(zip(self._call_places, args, strict=False)), **kwargs}
        shapes = {f"{key}_shape": symbolic.shapes_of(value) for key, value in given.items()}
        device = next((leaf.device for leaf in pytree.tree_leaves(args) if isinstance(leaf, Tensor)), None)
        vars(self)["_called"] = True  # the call builds what is inside
        try:
            with torch.device(device) if device is not None and device.type != "cpu" else nullcontext():
                if len(names) > 1 and names[0] in shapes:
                    self.build(**{name: shapes[name] for name in names if shapes.get(name) is not None})
                else:
                    self.build(symbolic.shapes_of(next((value for value in given.values() if value is not None), None)))
        finally:
            vars(self)["_called"] = False
        if runs:
            symbolic.run_inside(self, args, kwargs)

    # -- shapes -----------------------------------------------------------------------------------------------------

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shape of the output for inputs of the given shape, None where unknown."""
        if type(self).call is Layer.call:
            raise NotImplementedError(
                f"{type(self).__name__} does not have a `compute_output_shape` method implemented, nor `call`."
            )
        return symbolic.infer_shape(self, *args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic outputs for symbolic inputs, without recording the call."""
        return symbolic.infer(self, args, kwargs)

    def stateless_call(
        self,
        trainable_variables: Sequence[Tensor],
        non_trainable_variables: Sequence[Tensor],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """The call with other variables: returns its outputs and the non-trainable variables after it.

        return_losses: return also what the call and the regularizers add to the loss. Raises ValueError for a layer
        that is not built, and for other numbers of weights than it has.
        """
        if not self.built:
            raise ValueError(f"{named(self)}: `stateless_call` needs a layer with weights; call or build it first.")
        own = self.non_trainable_variables
        pairs = [
            *paired(self, "trainable_variables", self.trainable_weights, trainable_variables),
            *paired(self, "non_trainable_variables", own, non_trainable_variables),
        ]
        with StatelessScope(pairs, return_losses) as stateless:
            outputs = self(*args, **kwargs)
            losses = self.losses if return_losses else None
        after = [stateless.value_of(variable) for variable in own]
        return (outputs, after, losses) if return_losses else (outputs, after)


def _shapes_of_build(layer: Layer) -> tuple[str, ...]:
    """The parameters of its `build`. Raises ValueError where one of several is named after none of `call`."""
    taken, calls = list(inspect.signature(type(layer).build).parameters.values())[1:], layer._call_parameters
    needed = [p.name for p in taken if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    strange = [name for name in needed if name.removesuffix("_shape") not in calls or not name.endswith("_shape")]
    if len(needed) > 1 and strange:
        name = strange[0]
        why = (
            f"`{name}`, but `call()` does not have argument `{name.removesuffix('_shape')}`"
            if name.endswith("_shape")
            else f"the argument `{name}`, which does not end in `_shape`"
        )
        raise ValueError(
            f"{named(layer)}: its `build()` takes {why}. Name each after an argument of `call`: "
            f"{', '.join(f'{call}_shape' for call in calls)}."
        )
    return tuple(p.name for p in taken)


def as_shape(value: Any) -> Any:
    """A shape, or a structure of such, whose tuples came as lists, as from JSON."""
    if isinstance(value, list):
        return tuple(value) if all(item is None or isinstance(item, int) for item in value) else [*map(as_shape, value)]
    return {key: as_shape(item) for key, item in value.items()} if isinstance(value, dict) else value


def _declared_batch_shape(layer: Layer, given: Mapping[str, Any]) -> tuple | None:
    """The shape of the first layer's input, from whichever of Keras' keywords were used.

    Raises ValueError where they say it only in part, or contradict each other.
    """
    told = {key: given[key] for key in _SHAPE_KEYWORDS if given.get(key) is not None}
    told |= {key: int(value) for key, value in told.items() if isinstance(value, np.integer)}  # np.prod's, say
    cls = type(layer).__name__
    if isinstance(told.get("input_shape"), int):
        raise ValueError(f"{cls}: argument `input_shape` must be a tuple; write ({told['input_shape']},).")
    length = (given["input_length"],) if "input_length" in given else ()  # None: of steps, any number of them
    whole = next((tuple(told[key]) for key in ("batch_shape", "batch_input_shape") if key in told), None)
    if whole is None:
        if "input_shape" in told:
            sizes: tuple | None = tuple(told["input_shape"])
        elif "input_dim" in told:
            sizes = (*length, told["input_dim"])
        else:  # an `input_dim` of its own has Embedding, whose input has none
            sizes = length if "input_length" in told and "input_dim" in layer._args else None
        whole = None if sizes is None else (told.get("batch_size"), *sizes)
    if whole is None and told:
        raise ValueError(f"{cls}: {quoted(told)} alone says no shape; give `input_shape` or `batch_shape`.")
    says = {"batch_shape": whole, "batch_input_shape": whole, "input_shape": whole and whole[1:]}
    says |= {"batch_size": whole and whole[0], "input_dim": whole and whole[-1]}
    says["input_length"] = whole[1] if whole and len(whole) > 1 else None
    unlike = [key for key, value in told.items() if (value if isinstance(value, int) else tuple(value)) != says[key]]
    if unlike:
        raise ValueError(f"{cls}: {quoted(unlike)} contradicts the input shape {whole} that the others tell.")
    return whole
