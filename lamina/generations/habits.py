"""What layers that people wrote for the older generations do with their weights, updates, losses and calls."""

from __future__ import annotations

import dis
import functools
import gc
import inspect
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping
from types import MethodType
from typing import Any

from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, unset_fake_temporarily
from torch.utils import _pytree as pytree

from ..core import care
from ..core.care import Changes
from ..core.children import Aside, inside, leaves
from ..core.declare import short
from ..core.dtypes import torch_dtype
from ..core.errors import named
from ..core.layer import scope
from ..core.operation import record
from ..core.symbolic import Node, SymbolicTensor, shapes_of
from ..core.weight import Weight
from ..layers import BatchNormalization, Layer
from ..translation.table import Generation
from .parts import weight_of
from .tensors import nodes_before, told, trains_otherwise
from .updates import Update, carry_out

_Modern: Any = object  # the modern class, which comes behind in the classes made


class Told(list):
    """A list whose changes a function is told, as `layer.trainable_weights.append(w)` relies on."""

    def __init__(self, items: Iterable[Any], tell: Callable[[list[Any]], None]):
        super().__init__(items)
        self.tell = tell


def _telling(method: str) -> Callable:
    def changing(self: Told, *args: Any) -> Any:
        found = getattr(list, method)(self, *args)
        self.tell(self)
        return found

    return changing


for _method in ("append", "extend", "insert", "remove", "pop", "clear", "__iadd__", "__setitem__", "__delitem__"):
    setattr(Told, _method, _telling(_method))

pytree.register_pytree_node(Told, lambda told: (list(told), None), lambda items, _: list(items))


def _listing(read: Callable[[Any], list[Any]], tell: Callable[[Any, Iterable[Any]], None]) -> property:
    """A list of a layer's weights, which may be set, and of whose changes the layer is told."""
    return property(lambda self: Told(read(self), functools.partial(tell, self)), tell)


def _names_call(function: object) -> bool:
    """Whether a function names `call`, as in `super().call(x)` or `self.layer.call(x)`."""
    codes = [function.__code__] if inspect.isfunction(function) else []
    for code in codes:  # those inside, too
        codes += filter(inspect.iscode, code.co_consts)
    return any("call" in code.co_names for code in codes)


@functools.cache
def _words_of(call: Callable) -> tuple[str, ...]:
    return tuple(inspect.signature(call).parameters)


def _as_then(layer: Habits, call: MethodType, inputs: object, *others: object, **given: object) -> object:
    """A `call` of ours as users' layers of Keras 1 and 2 call it: its arguments come in the order of then, Keras 1's
    may be given a mask, and its training flag is that of the process."""
    taken = _words_of(call.__func__)
    then = layer._dialect.table.lists_weights or "initial_state" in taken
    order = ("mask", "training", "initial_state", "constants") if then else taken[2:]
    given.update(zip(order, others, strict=False))
    if "mask" not in taken:
        given.pop("mask", None)
    if "training" in taken and given.get("training") is None:
        given["training"] = layer.training if scope.training is None else scope.training
    return call(inputs, **given)


class _Above(_Modern):
    """What a user's class has above it where its own `call` asks for that of a class of ours."""

    def call(self, inputs: object, *others: object, **given: object) -> object:
        return _as_then(self, super().call, inputs, *others, **given)


def is_of_ours(method: object) -> bool:
    """Whether a method is no user's."""
    return getattr(method, "__module__", "").startswith("lamina.")


def _held_call(layer: Habits, *args: object, **given: object) -> object:
    return _as_then(layer, MethodType(type(layer).call, layer), *args, **given)


def _counts_apart(self: Any, name: str, value: Any) -> bool:
    """Whether the weights of layers that users' code makes an attribute are not the layer's, unless its own
    `trainable_weights` says so: of those in lists, and before Keras 2.3 of all."""
    lists = isinstance(value, (list, tuple, dict))
    if not lists and not (isinstance(value, Layer) and self._dialect.before_2_3):
        return False
    if hasattr(self, "_is_composite") or name in self._args or _is_ours(sys._getframe(2)):
        return False
    return type(self).trainable_weights is Habits.trainable_weights


def set_attribute(self: Any, name: str, value: Any) -> None:
    """`setattr` of Keras 1 and 2. Before 2.3 a variable is a weight where it stands in one of the lists, not as an
    attribute."""
    ready = "_ready" in self.__dict__
    if self._calls_others:
        for layer in leaves([value]):
            if isinstance(layer, Habits) and layer._ours and type(layer)._call_parameters:
                layer.__dict__.setdefault("call", functools.partial(_held_call, layer))
    if ready and issubclass(type(value), Weight):
        if self._dialect.before_2_3 and not any(value is own for own in self._own_weights()):
            self.__dict__["_unlisted"] = {*self.__dict__.get("_unlisted", ()), name}
    elif ready and not self._ours and _counts_apart(self, name, value):
        object.__setattr__(self, name, value)
        self._modules[name] = Aside([value] if isinstance(value, Layer) else value)
        return
    super(Habits, self).__setattr__(name, value)


def leaving(infer: Callable[..., Any]) -> Callable[..., Any]:
    """`compute_output_spec` for a `call` of users: what this sets on the layer is symbolic, too."""

    @functools.wraps(infer)
    def inferring(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = infer(self, *args, **kwargs)
        left = {name: value for name, value in vars(self).items() if isinstance(value, FakeTensor)}
        for name in left:
            del vars(self)[name]
        self.__dict__["_left"] = {**self.__dict__.get("_left", {}), **left}
        return found

    return inferring


def _is_alone(given: list[object]) -> bool:
    return len(given) == 1 and hasattr(given[0], "shape")


def _takes_as_is(self: Habits, args: tuple, kwargs: dict[str, object]) -> bool:
    alone = args and type(args[0]) is list and _is_alone(args[0])
    return not alone and super(Habits, self)._takes_as_is(args, kwargs)


def _made_ready(self: Habits, args: tuple, kwargs: dict[str, object]) -> tuple:
    if args and type(args[0]) is list and _is_alone(args[0]):
        args = (args[0][0], *args[1:])
    return super(Habits, self)._made_ready(args, kwargs)


def of_older(table: Generation) -> dict[str, Any]:
    """What layers of Keras 1 and 2 have of their own. In Keras 1 a list of one tensor is that tensor; it took
    `regularizers`, and left them out."""
    if table.shares_modern:
        return {}
    if not table.lists_weights:
        return {"__setattr__": set_attribute}
    listed = property(lambda self: [], lambda self, value: None)
    own = {"_takes_as_is": _takes_as_is, "_made_ready": _made_ready, "regularizers": listed}
    return {"__setattr__": set_attribute, **own}


def _is_ours(frame: Any) -> bool:
    if frame is None or frame.f_code.co_filename == "<plan>":
        return True
    return str(frame.f_globals.get("__name__")).startswith("lamina.")


def nearest_first(module: nn.Module) -> tuple[Any, ...]:
    """All modules inside, the nearest first, as `tf.Module` lists them."""
    found: dict[int, Any] = {}
    row: list[Any] = [module]
    for each in row:  # which grows
        near = [part for part in inside(each) if id(part) not in found]
        found.update({id(part): part for part in near})
        row += near
    return tuple(found.values())


class Habits(_Modern):
    """Lists of weights that may be written to; updates; losses by input; the record of calls in the old words."""

    _takes_slashes = True  # a name such as "fire2/expand1x1"
    stateful = False  # recurrent layers say otherwise
    _calls_others = False  # whether its code names `call`

    def __init_subclass__(cls, **kwargs: object) -> None:
        if "get_output_shape_for" in vars(cls) and "compute_output_shape" not in vars(cls):
            cls.compute_output_shape = vars(cls)["get_output_shape_for"]  # of Keras 1
        super().__init_subclass__(**kwargs)
        if "_words" in vars(cls) or cls.__module__.startswith("lamina."):
            return
        if cls._dialect.table.shares_modern:
            taken = cls._call_signature.parameters.values()
            own = not str(getattr(cls.call, "__module__", "")).startswith("lamina.")
            if own and any(one.kind is one.VAR_KEYWORD for one in taken):
                cls._takes_training = cls._takes_mask = True  # tf.keras gives both to whoever takes any word
            return
        if any(map(_names_call, vars(cls).values())):
            cls._calls_others = True
            bases = list(cls.__bases__)
            asked = next((base for base in bases if is_of_ours(getattr(base, "call", None))), None)
            if "call" in vars(cls) and asked is not None and asked.call is not Layer.call:
                bases.insert(bases.index(asked), _Above)
                cls.__bases__ = tuple(bases)

    def _only_node(self, what: str) -> Any:
        """Of a layer that was called once."""
        if len(self._nodes) > 1:
            raise AttributeError(
                f"{named(self)} has {len(self._nodes)} inbound nodes, so its {what} is ambiguous. "
                f"Use get_{what.replace(' ', '_')}_at(node_index)."
            )
        return super()._only_node(what)

    # -- weights ----------------------------------------------------------------------------------------------------

    variables = property(lambda self: self.weights)
    non_trainable_variables = property(lambda self: self.non_trainable_weights)

    submodules = property(nearest_first)

    @property
    def initial_weights(self) -> Any:
        """What `weights=` gave, until it is set; `del layer.initial_weights` forgets it."""
        return self._initial_weights

    @initial_weights.setter
    def initial_weights(self, weights: Any) -> None:
        self.__dict__["_initial_weights"] = weights

    @initial_weights.deleter
    def initial_weights(self) -> None:
        self.__dict__["_initial_weights"] = None

    @property
    def batch_input_shape(self) -> Any:
        shape = self.__dict__.get("_batch_shape")
        if shape is None:
            raise AttributeError(f"{named(self)} was not told the shape of its input.")
        return shape

    @batch_input_shape.setter
    def batch_input_shape(self, shape: Iterable[int | None]) -> None:
        """What configs say from now on; nothing changes in a model that is made already."""
        self.__dict__["_batch_shape"] = tuple(shape)

    def _is_set_by_call(self, name: str) -> bool:
        """Whether a `call` of users names it that has not run yet, as there is a shape rule."""
        code = getattr(type(self).call, "__code__", None)
        if code is None or name not in code.co_names or not self.__dict__.get("_nodes") or scope.depth or scope.trying:
            return False
        of_users = not (self._ours or self._dialect.table.shares_modern)
        return of_users and ("STORE_ATTR", name) in ((each.opname, each.argval) for each in dis.get_instructions(code))

    def __getattr__(self, name: str) -> Any:
        """What the latest symbolic call set is a symbolic tensor that rests on that call."""
        for register in ("_parameters", "_modules", "_buffers"):  # in calls: no more hops than today's
            if name in self.__dict__.get(register, ()):
                return self.__dict__[register][name]
        left = self.__dict__.get("_left", {})
        if name not in left and not self._is_set_by_call(name):
            return super().__getattr__(name)
        if scope.depth or scope.trying or not self._nodes:
            return left[name]
        node = self._nodes[-1]

        def attribute(made: Any) -> Any:  # it rests on the output, too
            if not scope.trying:
                return vars(self)[name]
            self.call(*made[1:], **{**node.kwargs, **({"training": False} if self._takes_training else {})})
            return self.__dict__.pop(name)

        return record(attribute, ((pytree.tree_leaves(node.outputs)[0], *node.args),), {}, name)

    def _last_frame(self) -> Any:
        """That of the user's `call` which runs: in a static graph it ran once, and each run begins with the weights."""
        frame: Any = sys._getframe(1)
        while str(frame.f_globals.get("__name__")).startswith("lamina."):
            frame = frame.f_back
        while not _is_ours(frame.f_back):
            frame = frame.f_back
        return frame

    def _own_weights(self) -> list[Any]:
        unlisted = self.__dict__.get("_unlisted", ())
        if not unlisted and self._dialect.table.shares_modern:
            return super()._own_weights()  # those in lists, too
        return [one for name, one in self._registered() if isinstance(one, Weight) and name not in unlisted]

    def _train(self, weights: Iterable[Any]) -> None:
        self._list_weights(weights, True)

    def _keep(self, weights: Iterable[Any]) -> None:
        self._list_weights(weights, False)

    def _trained_list(self) -> list[Any]:
        return super().trainable_weights

    def _other_list(self) -> list[Any]:
        return super().non_trainable_weights

    trainable_weights = _listing(_trained_list, _train)
    non_trainable_weights = _listing(_other_list, _keep)
    _trainable_weights = _listing(lambda self: [one for one in self._own_weights() if one._trainable], _train)
    _non_trainable_weights = _listing(lambda self: [one for one in self._own_weights() if not one._trainable], _keep)

    def _list_weights(self, given: Iterable[Any], trainable: bool) -> None:
        """Let these be the layer's trained weights, in this order, or its others; own ones that are left out of the
        trained ones are not trained."""
        if "_ready" not in self.__dict__:  # an empty list, before `__init__`
            return
        weights = [self._as_weight(weight) for weight in given]
        if isinstance(given, list):  # `+=` tells of it twice
            list.__setitem__(given, slice(None), weights)
        listed = {id(weight) for weight in weights}
        self.__dict__["_unlisted"] = {*self.__dict__.get("_unlisted", ())} - {
            name for name, weight in self._registered() if id(weight) in listed
        }
        known = {id(weight) for weight in self.weights}
        for weight in self._own_weights() if trainable and self._trainable else ():
            if weight._trainable and id(weight) not in listed:
                self._settle_weight(weight, False)
        own = {id(weight) for weight in self._own_weights()}
        for weight in weights:
            if id(weight) in own or id(weight) not in known:
                self._settle_weight(weight, trainable)
        Changes.note(self)

    def _settle_weight(self, weight: Any, trainable: bool) -> None:
        """Register it as the last of those that are trained, or of the others."""
        name = next((key for key, one in self._registered() if one is weight), None)
        if name is None:
            name = base = weight.name
            numbers = itertools.count(1)
            while hasattr(self, name):
                name = f"{base}_{next(numbers)}"
        for register in (self._parameters, self._buffers):
            register.pop(name, None)
        weight._trainable = trainable
        weight.requires_grad_(trainable and self._trainable and weight.is_floating_point())
        self._adopt(name, weight)

    def _registered(self) -> list[tuple[str, Any]]:
        return [*self._parameters.items(), *self._buffers.items()]

    def _as_weight(self, value: Any) -> Any:
        """A variable: a tensor that is none becomes one, where the layer holds it, too."""
        value = weight_of(value)
        if isinstance(value, Weight):
            return value
        if not isinstance(value, Tensor):
            raise ValueError(f"{named(self)}: its weights must be variables; got {short(value)}.")
        made = Weight(value.detach(), name=next((key for key, held in self.__dict__.items() if held is value), None))
        for name, held in list(self.__dict__.items()):
            if held is value:
                setattr(self, name, made)
            elif isinstance(held, list):
                held[:] = [made if item is value else item for item in held]
        return made

    @property
    def constraints(self) -> Any:
        """Constraints by weight; `layer.constraints[w] = c` sets one (Keras 1)."""
        return _Constraints(self)

    @constraints.setter
    def constraints(self, constraints: Mapping[Any, Any]) -> None:
        _Constraints(self).update(constraints)

    # -- updates ----------------------------------------------------------------------------------------------------

    @property
    def updates(self) -> list[Any]:
        """What the last calls, here and in the layers inside, change besides: pairs (variable, value).

        The averages that calls on symbolic tensors move have the symbolic value that such a call leaves them.
        """
        graph = getattr(self, "_graph", None)
        if graph is not None and not self.trainable:
            return Told([], self._set_updates)
        inside = (layer for layer in self._flat_layers() if layer is not self)
        found = [*self._own_updates, *(update for layer in inside for update in getattr(layer, "_own_updates", ()))]
        for node in self._nodes if graph is None else graph.nodes:
            found += _moved(node)
        return Told(found, self._set_updates)

    @updates.setter
    def updates(self, updates: Any) -> None:
        self._set_updates(updates)

    _own_updates: tuple[Any, ...] = ()

    def _set_updates(self, updates: Any) -> None:
        self.__dict__["_own_updates"] = ()
        self.add_update(updates)

    _free_updates: tuple[Any, ...] = ()
    _free_losses: tuple[Any, ...] = ()

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Change variables beside the call, in training: pairs (variable, value), or what `K.update` gave.

        `inputs` says what they depend on, for `get_updates_for`.
        """
        if callable(updates):
            updates = updates() if self._trainable else []
        several = isinstance(updates, (list, tuple)) and not (isinstance(updates, Update) or _is_pair(updates))
        pairs = list(updates) if several else [] if updates is None else [updates]
        if "_ready" not in self.__dict__:
            return
        if pairs and not self._care & care.ADDS:  # from now on its calls are told from calls of K alone
            self.__dict__["_care"] |= care.ADDS
            Changes.note(self)
        kept = ((one[0], one[1].detach()) if _is_pair(one) and isinstance(one[1], Tensor) else one for one in pairs)
        self._keep_latest("_own_updates", kept)
        if inputs is None:
            self._keep_latest("_free_updates", self._own_updates[len(self._own_updates) - len(pairs) :])
        training = self.training if scope.training is None else scope.training
        if training:
            carry_out(pairs)

    add_updates = add_update

    def _keep_latest(self, name: str, more: Iterable[Any]) -> None:
        more = list(more)
        self.__dict__[name] = (*getattr(self, name), *more)[-max(len(more), 16) :]

    def get_updates_for(self, inputs: Any) -> list[Any]:
        """The updates that depend on inputs, for a model also those of its calls; for None those added without any."""
        found = self._dependent(self.updates, self._free("_free_updates"), inputs)
        if inputs is None:
            return found
        given = {id(leaf) for leaf in pytree.tree_leaves(inputs)}
        if getattr(self, "_graph", None) is not None:
            found += [update for node in self._nodes for update in _moved(node)]

        def rests(update: Any) -> bool:
            value = update[1] if _is_pair(update) else None
            before = nodes_before(value) if isinstance(value, SymbolicTensor) else None
            return before is None or any(id(one) in given for node in before for one in node.inputs)

        return [update for update in found if rests(update)]

    def _free(self, name: str) -> list[Any]:
        return [one for layer in self._flat_layers() for one in getattr(layer, name, ())]

    def _dependent(self, found: list[Any], free: list[Any], inputs: Any) -> list[Any]:
        return [one for one in found if any(one is each for each in free) is (inputs is None)]

    @property
    def state_updates(self) -> list[Any]:
        """Nothing: states of stateful layers are kept without updates."""
        return []

    # What counts is what `call` does.
    uses_learning_phase = told("uses_learning_phase", trains_otherwise)

    # -- losses -----------------------------------------------------------------------------------------------------

    def add_losses(self, losses: Any, inputs: Any = None) -> None:
        self.add_loss(losses, inputs)

    def get_losses_for(self, inputs: Any) -> list[Any]:
        """The losses that depend on inputs; for None those of the weights, and those that were added without."""
        found, count = list(self.losses), len(self.weight_losses())
        alone = found[:count] if self._weights_come_first() else found[len(found) - count :]
        return self._dependent(found, [*alone, *self._free("_free_losses")], inputs)

    def _weights_come_first(self) -> bool:
        return False

    # -- calls ------------------------------------------------------------------------------------------------------

    def get_output_shape_for(self, input_shape: Any) -> Any:
        """The shape of the output; what a user's own rule goes on from as well."""
        own = type(self).compute_output_shape is type(self).get_output_shape_for
        return (super() if own else self).compute_output_shape(input_shape)  # type: ignore[misc]

    def compute_output_signature(self, input_signature: Any) -> Any:
        """Shapes and number types of the outputs for those of the inputs, both as `tf.TensorSpec` (tf.keras).

        Raises TypeError for inputs that are none.
        """
        specs = pytree.tree_leaves(input_signature)
        for spec in specs:
            if not hasattr(spec, "shape") or not hasattr(spec, "dtype"):
                raise TypeError(f"{named(self)}: compute_output_signature expected a tf.TensorSpec; got {short(spec)}.")
        inputs = pytree.tree_map(
            lambda spec: SymbolicTensor(tuple(spec.shape), torch_dtype(spec.dtype)), input_signature
        )
        outputs = self.compute_output_spec(inputs)
        return pytree.tree_map(lambda output: type(specs[0])(output.shape, output.dtype), outputs)

    @property
    def inbound_nodes(self) -> list[Any]:
        """The calls on symbolic tensors."""
        return [Call(node) for node in self._nodes]

    _inbound_nodes = inbound_nodes

    @property
    def outbound_nodes(self) -> list[Any]:
        """The calls of others on its outputs, of which no record is kept: they are looked for. May be set to []."""
        gc.collect()
        ends = [end for node in self._nodes for end in Call(node).output_tensors]
        lists = [holder for end in ends for holder in gc.get_referrers(end) if isinstance(holder, list)]
        found = {id(node): node for inputs in lists for node in gc.get_referrers(inputs) if isinstance(node, Node)}
        own = {id(end) for end in ends}
        return [Call(node) for node in found.values() if any(id(each) in own for each in node.inputs)]

    @outbound_nodes.setter
    def outbound_nodes(self, _: list[Any]) -> None:
        pass

    _outbound_nodes = outbound_nodes


class _Constraints(dict):
    """A layer's weights and their constraints, which it sets."""

    def __init__(self, layer: Any):
        weights = layer.weights if "_ready" in vars(layer) else ()
        super().__init__((weight, weight.constraint) for weight in weights if weight.constraint is not None)
        self._layer = layer

    def __setitem__(self, weight: Any, constraint: Any) -> None:
        weight = self._layer._as_weight(weight)
        weight.constraint = constraint
        super().__setitem__(weight, constraint)

    def update(self, constraints: Mapping[Any, Any]) -> None:  # type: ignore[override]
        for weight, constraint in constraints.items():
            self[weight] = constraint


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], Weight)


def _moved(node: Node) -> list[tuple[Any, Any]]:
    """The moving averages of batch normalization in a layer, and what its call in training leaves them."""

    def left(_: Any, average: Tensor) -> Tensor:  # after the call
        return average.detach().clone()

    found: list[tuple[Any, Any]] = []
    for layer in node.layer.modules() if node.kwargs.get("training") is not False else ():
        if not isinstance(layer, BatchNormalization) or getattr(layer, "by_sample", False):
            continue
        by_batch = layer.batch_statistics
        if by_batch == "regardless" or (layer.trainable and by_batch != "always"):
            averages = layer.moving_mean, layer.moving_variance
            found += [(average, record(left, (node.outputs, average), {})) for average in averages]
    return found


class Call:
    """A call of a layer on symbolic tensors, in the words of Keras 1 and 2."""

    def __init__(self, node: Node):
        self.node, self.outbound_layer = node, node.layer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and other.node is self.node

    def __hash__(self) -> int:
        return hash(self.node)

    input_tensors = property(lambda self: list(self.node.inputs) or self.output_tensors)
    input_shapes = property(lambda self: shapes_of(self.input_tensors))
    output_shapes = property(lambda self: shapes_of(self.output_tensors))
    input_masks = property(lambda self: [tensor._keras_mask for tensor in self.input_tensors])
    output_masks = property(lambda self: [tensor._keras_mask for tensor in self.output_tensors])
    tensor_indices = property(lambda self: [tensor.index for tensor in self.node.inputs])
    arguments = property(lambda self: dict(self.node.kwargs))

    @property
    def output_tensors(self) -> list[Any]:
        return [leaf for leaf in pytree.tree_leaves(self.node.outputs) if isinstance(leaf, SymbolicTensor)]

    @property
    def inbound_layers(self) -> list[Any]:
        return [tensor.node.layer for tensor in self.node.inputs if tensor.node is not None]

    @property
    def node_indices(self) -> list[int]:
        return [tensor._keras_history[1] for tensor in self.node.inputs if tensor.node is not None]

    def get_config(self) -> dict[str, Any]:
        """Which layers' outputs it takes, by their names."""
        names = {
            "outbound_layer": self.outbound_layer.name,
            "inbound_layers": [one.name for one in self.inbound_layers],
        }
        return {**names, "node_indices": self.node_indices, "tensor_indices": self.tensor_indices}


def when_ready(layer: Any, do: Callable[[], object]) -> None:
    """Do something as soon as a layer has its weights."""
    finish = layer._finish_build

    def finish_build() -> None:
        vars(layer).pop("_finish_build", None)
        finish()
        with unset_fake_temporarily():
            do()

    vars(layer)["_finish_build"] = finish_build
