"""The weights of a layer: making, naming, ordering, reading and writing them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

from . import dtypes, placing, serialize
from .arrays import tensor_of
from .care import tend
from .children import Children, inside
from .declare import inherited
from .devices import here
from .errors import compare, named, short, show_shape
from .random import states_of
from .scope import scope, unique_name
from .weight import Known, Weight, allocate, context, stand_in, weight


class Register(dict):
    """The parameters of a layer whose calls see others in place of the stored ones: cast, adapted, or, first read
    in a call, put together from the parts of several processes. Those are in `standing`, by thread: another thread does
    not see them. What walks over a layer's weights finds the stored ones."""

    def __init__(self, *content: Any):
        super().__init__(*content)
        self.standing: dict[int, dict[str, Any] | None] = {}
        self.until: dict[tuple[int, str], Any] = {}  # the frame with which a stand-in ends

    def __getitem__(self, name: str) -> Any:
        standing = self.standing.get(scope.thread)
        if standing is not None and name in standing:
            if not self.until or self._lasts(name):
                return standing[name]
            self.put(name, None)
            standing = self.standing[scope.thread]
        weight = dict.__getitem__(self, name)
        if not getattr(weight, "sharded", False) or weight.hooked:
            return weight
        if placing.only_shapes():
            return torch.empty(weight.shape, dtype=weight.dtype, device=weight.device)
        if scope.gathered is None:
            return weight
        scope.gathered.append((self, name))
        self.standing[scope.thread] = {**(standing or {}), name: (seen := weight.seen())}
        return seen

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default

    def _lasts(self, name: str) -> bool:
        last, frame = self.until.get((scope.thread, name)), sys._getframe(2)
        while last is not None and frame is not None and frame is not last:
            frame = frame.f_back  # type: ignore[assignment]
        return last is frame or last is None

    def put(self, name: str, value: Any, last: Any = None) -> None:
        """Let a tensor stand in for a weight, until the frame `last` ends if there is one; None: no longer."""
        self.until.pop((scope.thread, name), None)
        if last is not None:
            self.until[scope.thread, name] = last
        others = {key: item for key, item in (self.standing.get(scope.thread) or {}).items() if key != name}
        self.standing[scope.thread] = others if value is None else {**others, name: value}

    def __reduce__(self) -> Any:
        return Register, (dict(self),)


def _shaped_once(add_weight: Callable[..., Weight]) -> Callable[..., Weight]:
    """`add_weight` that tells what Keras 2's form of it, `add_weight("kernel", shape=...)`, does not say here."""

    @functools.wraps(add_weight)
    def checked(self: Weights, *args: object, **kwargs: object) -> Weight:
        if args and "shape" in kwargs:
            given = args[0]
            repair = (
                f"give the name as a keyword argument, name={given!r}." if isinstance(given, str) else "give it once."
            )
            raise ValueError(
                f"{named(self)}: `shape` was passed both positionally and as a keyword argument to add_weight; {repair}"
            )
        return add_weight(self, *args, **kwargs)

    return checked


def _first_values(what: str, make: Callable, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """What an initializer makes of a shape. Raises ValueError, of the weight called `what`, where it makes none."""
    ours = serialize.home_of(type(make)) is not None
    with unset_fake_temporarily(), torch.no_grad():
        try:
            made = make(tuple(int(n) for n in shape), dtype=dtypes.dtype_name(dtype))
        except (ValueError, RuntimeError) as error:
            if not ours or type(error) not in (ValueError, RuntimeError):  # out of memory is another type
                raise
            told = str(error).partition("\n")[0][:200]
            raise ValueError(f"{what}, shape {show_shape(shape)}: {told}") from error
        values = here(torch.as_tensor(made)).to(dtype)
        values = values if ours else values.clone()  # a user's function may give what it keeps
    if tuple(values.shape) != shape:
        raise ValueError(f"{what} needs shape {show_shape(shape)}; its initializer gave {show_shape(values.shape)}.")
    return values


class _Tracker:
    """Own layers open and close it around an `add_weight` after building, which needs no leave here."""

    def unlock(self) -> None: ...

    def lock(self, msg: str | None = None) -> None: ...


class Weights(nn.Module):
    """What `Layer` knows of its weights."""

    if TYPE_CHECKING:
        _parameters: dict[str, Any]
        _buffers: dict[str, Any]
        _modules: dict[str, Any]

        def __getattr__(self, name: str) -> Any: ...

    _weights: ClassVar[dict[str, weight]] = {}  # the declared ones
    _shows_others: ClassVar[bool] = False  # a property, say, stands before one
    _tracker: ClassVar[Any] = _Tracker()
    _grows_in_calls = False  # `call` may add weights, as that of a user's own layer may before Keras 3

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {name: item for name, item in vars(cls).items() if isinstance(item, weight)}
        cls._weights = {**inherited(cls, "_weights"), **own}
        cls._shows_others = any(not isinstance(getattr(cls, name), weight) for name in cls._weights)

    def make_weights(self, **sizes: Any) -> None:
        """Make the declared weights; `sizes` are those of the shapes that are no attributes. Absent ones are None, for
        torch and for whoever reads the attribute."""
        for name, declared in type(self)._weights.items():
            asked = declared.asked(self, sizes)
            if asked is not None:
                self._make_declared(name, asked)
            else:
                (self._parameters if declared.trainable else self._buffers)[name] = vars(self)[name] = None

    def _make_declared(self, name: str, asked: dict[str, Any]) -> None:
        """Make a declared weight by what `add_weight` takes."""
        self._adopt(name, self.add_weight(**asked))

    @_shaped_once
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
    ) -> Weight:
        """A new weight of this layer: a Parameter, or with `trainable=False` a buffer.

        `order` lays the memory out so that `weight.permute(order)` is contiguous. Raises ValueError for unknown sizes,
        and within `call`.
        """
        self._check_leave(shape, overwrite_with_gradient)
        shape = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        own_name, name = name or unique_name("variable"), name or "variable"
        if any(size is None for size in shape):
            raise ValueError(
                f"{named(self)}: weight `{name}` needs known sizes; got {show_shape(shape)}. "
                "Give the size of that axis in the input's shape."
            )
        type_ = dtypes.torch_dtype(dtype) if dtype is not None else self.dtype_policy.variable
        if initializer is None:
            initializer = "glorot_uniform" if type_.is_floating_point else "zeros"
        make = serialize.get(initializer, "keras.initializers")
        what = f"{named(self)}: weight `{name}`"
        first = functools.partial(_first_values, what, make, shape, type_)
        place = placing.current and placing.current.place
        waiting = context.waiting if place is None else None
        if waiting is None:
            values = allocate(first(), order)
        else:
            with unset_fake_temporarily():
                values = stand_in(shape, type_, what)
        constraint = serialize.get(constraint, "keras.constraints")
        if constraint is not None:
            self._check_constraint(name, constraint, shape)
        weight = Weight(
            values,
            trainable=trainable,
            name=own_name,
            path="/".join([*(scope.path or (self.name,)), own_name]),
            regularizer=serialize.get(regularizer, "keras.regularizers"),
            constraint=constraint,
            autocast=autocast,
            aggregation=aggregation,
        )
        weight.requires_grad_(weight.requires_grad and self._trainable)
        if place is not None and trainable:
            weight = place(weight)
            if weight.sharded:
                self._let_stand_in()
        if scope.made is not None:
            scope.made.append(weight)
        if waiting is not None:
            waiting.add(weight, first, order)
        attribute, count = name, 0
        while self._is_taken(attribute):
            count += 1
            attribute = f"{name}_{count}"
        self._adopt(attribute, weight)
        return weight

    def _check_leave(self, shape: object, overwrite_with_gradient: bool) -> None:
        """Raises ValueError where `add_weight` makes no weight of this kind, or none now."""
        if overwrite_with_gradient:
            raise ValueError(f"{named(self)}: a weight with `overwrite_with_gradient` is not available; use False.")
        if scope.depth and self._ready and not (self._building or self._ours or self._grows_in_calls):
            raise ValueError(
                f"{named(self)}: `call` cannot add new elements of state: `add_weight` would make another weight in "
                "every call; make it in `build`, or in `__init__`, and keep it as an attribute."
            )
        if isinstance(shape, str):
            raise ValueError(
                f"{named(self)}: add_weight takes the shape first; give the name as a keyword argument, name={shape!r}."
            )

    def add_variable(self, *args: Any, **kwargs: Any) -> Any:
        """`add_weight` by its other name."""
        return self.add_weight(*args, **kwargs)

    def _is_taken(self, name: str) -> bool:
        """Whether the name is that of a weight, or of something that the layer has and does not declare as one."""
        if name in self._parameters or name in self._buffers:
            return True
        own = name in vars(self) or name in self._modules or hasattr(type(self), name)
        return own and name not in type(self)._weights

    def _check_constraint(self, name: str, constraint: Callable, shape: tuple) -> None:
        """Raises ValueError for a constraint seen to change the shape, or to have an axis that is not there."""
        expected = (
            f"{named(self)}: the constraint of weight `{name}` must return a tensor of its shape {show_shape(shape)}"
        )
        try:
            with unset_fake_temporarily():
                found = constraint(torch.empty(shape, device="meta"))
        except IndexError as error:
            raise ValueError(f"{expected}; {short(constraint)} cannot: {error}.") from error
        except Exception:  # it may need values
            return
        if not isinstance(found, torch.Tensor) or found.shape != shape:
            gave = show_shape(found.shape) if isinstance(found, torch.Tensor) else short(found)
            raise ValueError(f"{expected}; {short(constraint)} gave {gave}.")

    def _let_stand_in(self) -> None:
        """Before calls see other values than the stored parameters."""
        if type(self._parameters) is not Register:
            vars(self)["_parameters"] = Register(self._parameters)

    def _adopt(self, name: str, weight: Weight) -> None:
        """Register `weight` under `name`; where it stands under another name already, it moves, keeping its place."""
        register: dict[str, Any] = self._parameters if weight._trainable or weight.requires_grad else self._buffers
        weight.adopted = True
        if type(register) is Register:
            register.put(name, None)
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
        both = [*self._parameters.values(), *self._buffers.values()]
        for child in self._modules.values():
            if type(child) is Children:
                both += child.loose()
        return [weight for weight in both if isinstance(weight, nn.Parameter)]

    _sublayers = inside

    @property
    def _inner_layers(self) -> list[Any]:
        """The layers directly inside this one; `layers` is the name of users' own lists, and of models'."""
        return [child for child in self._sublayers() if isinstance(child, Weights)]

    @property
    def weights(self) -> list[Any]:
        """All weights, own ones first, in the order of `get_weights`."""
        return self._all_weights()

    def _all_weights(self, streams: bool = False) -> list[Any]:
        """All weights; with `streams` the states of random numbers, too, each behind the weights of its layer."""
        found: dict[int, Any] = {}
        for module in self.modules():
            if isinstance(module, Weights):
                found |= {id(weight): weight for weight in module._listed_weights()}
                found |= {id(state): state for state in states_of(module)} if streams else {}
            elif not isinstance(module, Children):
                found |= {id(weight): weight for weight in (*module.parameters(), *module.buffers())}
        return list(found.values())

    def _listed_weights(self) -> list[Any]:
        """What comes in `weights` before those of the layers inside."""
        return self._own_weights()

    @property
    def variables(self) -> list[Any]:
        """The weights and the states of streams of random numbers."""
        return self._all_weights(streams=True)

    @property
    def torch_params(self) -> dict[str, Any]:
        """The variables by their paths; one of a path that was there before has a number behind it."""
        found: dict[str, Any] = {}
        for variable in self.variables:
            found[f"{variable.path}_{len(found)}" if variable.path in found else variable.path] = variable
        return found

    @property
    def trainable_weights(self) -> list[Any]:
        return [weight for weight in self.weights if weight.requires_grad] if self._trainable else []

    trainable_variables = property(lambda self: self.trainable_weights)

    @property
    def non_trainable_weights(self) -> list[Any]:
        trained = {id(weight) for weight in self.trainable_weights}
        return [weight for weight in self.weights if id(weight) not in trained]

    @property
    def non_trainable_variables(self) -> list[Any]:
        trained = {id(weight) for weight in self.trainable_weights}
        return [variable for variable in self.variables if id(variable) not in trained]

    def get_weights(self) -> list[np.ndarray]:
        """The weights' values as NumPy arrays, copied."""
        return [
            np.asarray(w.numpy() if isinstance(w, Known) else w.detach().cpu().numpy().copy()) for w in self.weights
        ]

    def set_weights(self, weights: Iterable[Any]) -> None:
        """Write values in the order of `get_weights`. Raises ValueError, before any change, where they do not fit."""
        targets = self.weights
        if not isinstance(weights, Iterable) or isinstance(weights, (str, bytes)):
            raise ValueError(f"{named(self)}: set_weights expected a list of arrays; got {short(weights)}.")
        weights = list(weights)
        if len(targets) != len(weights):
            unbuilt = not self.built and self._build_shapes is None
            hint = " The layer is not built: call it or its `build` first." if unbuilt else ""
            raise ValueError(f"{named(self)}: set_weights expected {len(targets)} arrays; got {len(weights)}.{hint}")
        self._write(targets, weights, "set_weights")

    def _write(self, targets: Sequence[Any], values: Sequence[Any], what: str) -> None:
        """Raises ValueError, before any change, where a shape differs."""
        for target, value in zip(targets, values, strict=True):
            if tuple(target.shape) != tuple(np.shape(value)):
                error = ValueError(
                    f"{named(self)}: {what} expected shape {show_shape(target.shape)} for "
                    f"`{getattr(target, 'path', 'weight')}`; got {show_shape(np.shape(value))}."
                )
                pairs = zip(targets, values, strict=True)
                compare(error, [(getattr(t, "path", "weight"), [t], [np.asarray(v)]) for t, v in pairs], False)
                raise error
        name = f"{named(self)}: {what}"
        tensors = [tensor_of(v if isinstance(v, torch.Tensor) else np.asarray(v), name) for v in values]
        for target, tensor in zip(targets, tensors, strict=True):
            if tensor.is_complex() and not target.is_complex():
                name = getattr(target, "path", "weight")
                raise ValueError(f"{named(self)}: {what} expected real numbers for `{name}`; got complex ones.")
        with torch.no_grad():
            for target, tensor in zip(targets, tensors, strict=True):
                target.copy_(tensor)

    def count_params(self) -> int:
        """The number of values in all weights. Raises ValueError before the layer is built."""
        if not self.built:
            raise ValueError(f"{named(self)} has no weights yet: call it on data or `build(input_shape)` first.")
        return sum(weight.numel() for weight in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Write the weights that belong to this layer itself, by position, into a mapping."""
        for index, own in enumerate(self._stored_weights()):
            store[str(index)] = own

    def _stored_weights(self) -> list[Weight]:
        """What `save_own_variables` writes, in its order."""
        return self._own_weights()

    # What Keras' `load_own_variables` goes by, from which those of users were made.
    _trainable_variables = property(lambda self: [each for each in self._stored_weights() if each.trainable])
    _non_trainable_variables = property(lambda self: [each for each in self._stored_weights() if not each.trainable])

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        own = self._stored_weights()
        if len(store.keys()) != len(own):
            hint = "" if own else " Build the layer (or give the model's input shape) before loading."
            raise ValueError(f"{named(self)}: expected {len(own)} stored weights; got {len(store.keys())}.{hint}")
        self._write(own, [np.asarray(store[str(index)]) for index in range(len(own))], "load_own_variables")

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, metadata: Any, strict: bool, missing: Any, unexpected: Any, errors: Any
    ) -> None:
        """As torch does it; with `assign=True` weights stay Weights, and buffers buffers."""
        own = (key.removeprefix(prefix).partition(".")[0] for key in state_dict if prefix and key.startswith(prefix))
        if strict and not self.built and any(name not in self._modules for name in own):
            errors.append(f"{named(self)} has no weights yet: call it on data or `build(input_shape)` before loading.")
        registers: Any = (self._parameters, self._buffers)
        before = [dict(register) for register in registers]
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, unexpected, errors)
        loaded = {**self._parameters, **self._buffers}
        for register, content in zip(registers, before, strict=True):
            register.clear()
            for name, old in content.items():
                changed = isinstance(old, Known) and loaded[name] is not old
                register[name] = old.like(loaded[name].detach()) if changed else loaded[name]

    def _apply(self, fn: Callable, recurse: bool = True) -> Any:
        """Moves and conversions (`to`, `cuda`, `double`): buffers stay Weights, and the policy follows the type."""
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, old in before.items():
            moved = self._buffers.get(name)
            if isinstance(old, Known) and moved is not None and not isinstance(moved, Known):
                self._buffers[name] = old.like(moved)
        policy = self.dtype_policy
        if policy.compute == policy.variable and policy.variable.is_floating_point:
            after = fn(torch.zeros((), dtype=policy.variable)).dtype
            if after != policy.variable:
                self._set_policy(policy.of(after))
                tend(self)
        return self
