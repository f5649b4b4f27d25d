"""From a module of torch to a model: its calls, traced by torch.fx, as layers."""

from __future__ import annotations

import contextlib
import copy
import itertools
import linecache
import logging
import math
import operator
import re
import sys
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx import _symbolic_trace
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

from .. import layers
from ..core import dtypes as types
from ..core.scope import put
from ..core.symbolic import SymbolicTensor
from ..layers.input import Input
from .axes import Arranging, Order, Value, channels_behind, plain, reread, turn
from .checking import evaluating
from .writer import elementwise, identifier, names_in

Reading = Callable[..., Any]
MODULES: dict[type, Reading] = {}  # how a module is read that is no call: reading(reader, module, name, *values)
FUNCTIONS: dict[str, Reading] = {}  # a function or method, by its name: reading(reader, name, *arguments)
WEIGHTED: set[str] = set()  # those of which all tensors but the first are weights
BATCH = 7919  # stands for the number of samples where code asks for it: a prime that no other size has
# Functions that are read of what has no batch, too: they may give it one, or need none.
BATCHING = frozenset(
    """expand expand_as repeat tile broadcast_to contiguous clone detach size dim interpolate t
    float half double bool int long to type type_as
    repeat_interleave add iadd sub isub mul imul div truediv itruediv maximum minimum multiply""".split()
)


def reading_of(module: nn.Module) -> Reading | None:
    """How a module is read, None for one whose class has a `forward` of its own: its calls are."""
    cls = next((cls for cls in type(module).__mro__ if cls in MODULES), None)
    return None if cls is None or type(module).forward is not cls.forward else MODULES[cls]


def reads(*words: Any) -> Callable[[Reading], Reading]:
    """Marks a function as the reading of modules of these classes, or of functions of these names."""

    def enter(function: Reading) -> Reading:
        FUNCTIONS.update({word: function for word in words if isinstance(word, str)})
        MODULES.update({cls: function for cls in words if isinstance(cls, type)})
        return function

    return enter


def weighs(*words: str) -> Callable[[Reading], Reading]:
    """Marks a function as the reading of functions that get weights behind their input."""
    WEIGHTED.update(words)
    return reads(*words)


class Unreadable(ValueError):
    """What has no layer."""


class Reader(Arranging, fx.Interpreter):
    """Runs a traced module with layers in place of its modules and functions."""

    def __init__(self, traced: fx.GraphModule, inputs: Sequence[Value], channels_last: bool):
        super().__init__(traced, garbage_collect_values=False)
        self.extra_traceback = False  # in the messages
        self._inputs, self.channels_last = inputs, channels_last
        self.state: dict[str, dict[str, Tensor]] = {}  # weights by layer, under the names that `to_torch` gives them
        self._layers: dict[str, Any] = {}
        self._homes: dict[int, str] = {}  # the layers of weights that train
        self._paths = {re.sub(r"\W", "_", path) for path, _ in traced.named_modules()}
        self._tied = set.intersection(*(self._weights_of(word) for word in ("embedding", "linear")))
        self._owners: dict[str, Any] = {}  # of functions with weights, by the names of their layers
        self._of_parameters: set[fx.Node] = set()  # those whose values are made of parameters alone
        self._changes: dict[fx.Node, list[fx.Node]] = {}  # calls that change such values in place
        self._zero: Any = inputs[0].made[:0].sum() if inputs else None
        self._node: Any = None

    # -- what readings use --------------------------------------------------------------------------------------------

    @property
    def data_format(self) -> str:
        return "channels_last" if self.channels_last else "channels_first"

    def pictures(self, value: Value) -> Value:
        """The value with its channels where the model has them."""
        rank = len(value.shape)
        return self.arranged(value, channels_behind(rank) if self.channels_last else plain(rank))

    def arranged(self, value: Value, order: Order) -> Value:
        """The value with its axes in this order."""
        if value.order == order:
            return value
        moved = turn(value.order, order)
        if value.free:
            return Value(value.made.permute(moved), value.shape, value.dtype, order)
        if moved[0] != 0:
            raise self.unreadable("needs another axis than the batch first", "Give it the batch first.")
        return Value(layers.Permute(moved[1:])(value.made), value.shape, value.dtype, order)

    @property
    def word(self) -> str:
        """What the function is called that is being read."""
        return _word(self._node)

    def layer(self, name: str, make: Callable[[], Any], *inputs: Any, **options: Any) -> Any:
        """The output of a layer, which is made at its first call."""
        if name not in self._layers:
            self._layers[name] = make()
        return self._layers[name](*inputs, **options)

    def weighted(
        self, name: str, make: Callable[[], Any], state: Mapping[str, Tensor | None], *inputs: Any, **options: Any
    ) -> Any:
        """The output of a layer with these weights: of the one that has them already, where that is alike."""
        home = next((self._homes[id(value)] for value in state.values() if id(value) in self._homes), name)
        if home != name:
            own = {word: value for word, value in state.items() if value is not None}
            same = own.keys() == self.state[home].keys() and all(self.state[home][word] is own[word] for word in own)
            alike = self._layers[home].get_config() == {**make().get_config(), "name": home}
            name = home if same and alike else name
        self.keep(name, state)
        return self.layer(name, make, *inputs, **options)

    def keep(self, name: str, state: Mapping[str, Tensor | None]) -> None:
        """Let the layer of this name have a state like that of a module. Raises Unreadable for weights of another."""
        own = self.state[name] = {}
        for word, value in state.items():
            if value is None:
                continue
            own[word] = value if isinstance(value, nn.Parameter) else nn.Parameter(value.detach(), value.requires_grad)
            if isinstance(value, nn.Parameter) and value.requires_grad:
                home = self._homes.setdefault(id(value), name)
                if home != name:
                    raise self.unreadable(
                        f"has a weight of {home!r}, which no layer of another kind shares in training",
                        "Give it one of its own, or freeze that: `requires_grad_(False)`.",
                    )

    def table(self, name: str, weight: Tensor) -> Callable[..., Any]:
        """An Embedding to be called; one that also goes back where a Linear has the same weight."""
        cls = layers.ReversibleEmbedding if self.embeds(weight) else layers.Embedding
        return partial(self.weighted, name, partial(cls, *weight.shape, name=name), {"weight": weight})

    def embeds(self, weight: Tensor) -> bool:
        """Whether an Embedding and a Linear share a weight."""
        return id(weight) in self._tied

    def _weights_of(self, word: str) -> set[int]:
        """The ids of what calls of a function get as their first weight."""
        nodes = (n.args[1] for n in self.module.graph.nodes if _word(n) == word and len(n.args) > 1)  # type: ignore[union-attr]
        return {id(self.fetch_attr(str(node.target))) for node in nodes if node.op == "get_attr"}

    def weights(self, model: Any) -> dict[str, Tensor]:
        """The weights of the model that was made, under the names that `to_torch` gives them."""
        names = names_in(model)
        known = {name: names.get(id(layer)) for name, layer in self._layers.items()}
        return {
            f"{identifier(str(known[name]))}.{word}": value
            for name, state in self.state.items()
            for word, value in state.items()
            if known[name] is not None
        }

    def value(self, made: Any, order: Order = ()) -> Value:
        """A symbolic tensor as a value, whose axes are in this order."""
        order = order or plain(len(made.shape))
        return Value(made, tuple(made.shape[order.index(i)] for i in range(len(order))), made.torch_dtype, order)

    def constant(self, values: Tensor) -> Value:
        """Values that no input changes, as a tensor of the model. Of what has a row for each sample, all are alike."""
        if not values.ndim or values.shape[0] != BATCH:
            return self.value(self._zero.to(values.dtype) + values)
        if values.stride(0) and not torch.equal(values, values[:1].expand_as(values)):
            raise self.unreadable("computes with a constant that has other values for each sample")
        return self.for_each(self.constant(values[:1]))

    def for_each(self, value: Value) -> Value:
        """What has one row for all samples, with one for each of them."""
        first = self._inputs[0].made
        axes = tuple(range(1, len(first.shape)))
        zeros = first[:, :0].sum(axes) if axes else torch.zeros_like(first)
        return self.value(value.made + zeros.reshape((-1,) + (1,) * (len(value.shape) - 1)).to(value.dtype))

    def parameter(self, name: str, values: Tensor) -> Value:
        """A parameter outside of torch's modules: what an Embedding has for all that it knows."""
        rows = values.detach().reshape(-1, values.shape[-1] if values.ndim else 1)
        rows = values if rows.shape == values.shape else nn.Parameter(rows, values.requires_grad)
        made = self.table(name, rows)(self.constant(torch.arange(len(rows), dtype=torch.int32)).made)
        return self.value(made if rows.shape == values.shape else made.reshape(tuple(values.shape)))

    def layer_name(self) -> str:
        """The name of the layer for the function that is being read: that of torch's module which calls it."""
        path, kind = _place(self._node)
        if path and of_torch(kind):
            return re.sub(r"\W", "_", path)
        return self.owner() if self.word in WEIGHTED else self._free_name()

    def _free_name(self) -> str:
        name = self._node.name
        return f"{name}_call" if name in self._paths else name

    def owner(self) -> str:
        """The name of the layer for the weights that the function gets which is being read: that of their module."""
        inputs = self._node.all_input_nodes
        weights = inputs[1:] if isinstance(self._node.args[0], fx.Node) else inputs
        if not weights:
            return self._free_name()
        weight = source = weights[0]
        while source.op != "get_attr" and source.all_input_nodes:
            source = source.all_input_nodes[-1]
        key = weight.target if weight.op == "get_attr" else weight
        path = str(source.target)
        for name in (path.rpartition(".")[0] or path, path):
            if self._owners.setdefault(name, key) == key:
                return re.sub(r"\W", "_", name)
        return self._free_name()

    def name_apart(self, made: Iterable[Any]) -> None:
        """Give layers that share a name others; those that stand for modules keep theirs."""
        taken = {*self._layers}
        for layer in made:
            if self._layers.get(layer.name) is not layer:
                names = itertools.chain([layer.name], (f"{layer.name}_{number}" for number in itertools.count(1)))
                layer.name = next(name for name in names if name not in taken)
                taken.add(layer.name)

    def asks_more(self) -> bool:
        """Whether more than the first part of the result of the call that is being read is asked for."""
        parts = [
            user.args[1] if _word(user) == "getitem" else 1
            for user in self._node.users
            if user.users or user.op == "output"
        ]
        return any(part != 0 for part in parts)

    def unreadable(self, why: str, instead: str = "") -> Unreadable:
        """The error for the call that is being read."""
        node = self._node
        path, _ = _place(node)
        what = f"{node.target!r}" if isinstance(node.target, str) else getattr(node.target, "__name__", node.target)
        kind = f" ({type(self.fetch_attr(node.target)).__name__})" if node.op == "call_module" else ""
        where = f' in "{path}"' if path and path != node.target else ""
        instead = (
            instead or "Write that part with modules and functions that layers have, or wrap it: TorchModuleWrapper."
        )
        return Unreadable(f"from_torch: {what}{kind}{where} {why}. {instead}")

    # -- the run ------------------------------------------------------------------------------------------------------

    def run_node(self, n: fx.Node) -> Any:
        self._node = n
        try:
            inputs = self._computed(n)
            given = any(isinstance(leaf, Value) for node in inputs for leaf in pytree.tree_leaves(self.env[node]))
            if given or n.op == "call_module" or self._weighs(n):
                for node in inputs:
                    self._symbolic(node)
                self._node = n
            found = super().run_node(n)
            made = isinstance(found, Tensor) and any(node in self._of_parameters for node in n.all_input_nodes)
            if isinstance(found, nn.Parameter) or made:
                self._of_parameters.add(n)
                if self._in_place(n):
                    self._changes.setdefault(n.args[0], []).append(n)  # type: ignore[arg-type]
        except Unreadable:
            raise
        except (TypeError, ValueError, RuntimeError, LookupError, AttributeError) as error:
            raise self.unreadable(f"cannot be read: {str(error).splitlines()[0] if str(error) else error!r}") from error
        if isinstance(found, Value) and n.args and isinstance(n.args[0], fx.Node) and self._in_place(n):
            before = self.env[n.args[0]]  # whoever holds the tensor sees it changed
            self.env.update({node: found for node, value in self.env.items() if value is before})
        return found

    def fetch_args_kwargs_from_env(self, n: fx.Node) -> Any:
        """The arguments of a call: of its weights the parameters themselves, whatever else is computed with them."""
        computed = self._computed(n) if self._weighs(n) else n.all_input_nodes
        own = {node: self.fetch_attr(str(node.target)) for node in n.all_input_nodes
               if node.op == "get_attr" and node not in computed}  # fmt: skip

        def value(node: fx.Node) -> Any:
            return own[node] if node in own else self.env[node]

        return map_arg(n.args, value), map_arg(n.kwargs, value)

    def _computed(self, n: fx.Node) -> list[fx.Node]:
        """The inputs of a call that are no weights of its layer."""
        weighted = self._weighs(n) and isinstance(n.args[0], fx.Node)
        return [n.args[0]] if weighted else n.all_input_nodes  # type: ignore[list-item]

    def _weighs(self, n: fx.Node) -> bool:
        """Whether a call has weights, and is none that makes weights of a layer, as weight standardization does."""
        return _word(n) in WEIGHTED and not (_word(n) == "batch_norm" and n.args[0] in self._of_parameters)

    def _symbolic(self, node: fx.Node) -> None:
        """Compute in the model what was computed of parameters, so that these are its weights."""
        if node in self._of_parameters:
            self._of_parameters.discard(node)
            for each in self._computed(node):
                self._symbolic(each)
            if node.op == "get_attr":
                name = re.sub(r"\W", "_", str(node.target))
                self.env[node] = self.parameter(name, self.fetch_attr(str(node.target)))
            else:
                self.env[node] = self.run_node(node)
            for change in self._changes.pop(node, ()):
                self._symbolic(change)

    def _in_place(self, n: fx.Node) -> bool:
        word = str(getattr(n.target, "__name__", n.target))
        return bool(n.kwargs.get("inplace")) or n.target in _IN_PLACE or (word.endswith("_") and word[:1] != "_")

    def output(self, target: Any, args: Any, kwargs: Any) -> Any:
        if isinstance(args[0], (tuple, list)) and None in args[0]:  # a loss that nobody asks for
            kept = type(args[0])(each for each in args[0] if each is not None)
            args = (kept if len(kept) > 1 else kept[0],)
        if not all(isinstance(x, Value) and not x.free and x.order[0] == 0 for x in pytree.tree_leaves(args)):
            raise self.unreadable("gives what has no batch first, such as last states", "Return the output alone.")
        if any((node.meta.get("sizes") or (BATCH,))[0] != BATCH for node in self._node.all_input_nodes):
            raise self.unreadable("gives what mixes the samples of a batch", "Return one row for each of them.")
        return super().output(target, args, kwargs)

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Any:
        places = [node.target for node in self.module.graph.nodes if node.op == "placeholder"]  # type: ignore[union-attr]
        place = places.index(target)
        return self._inputs[place] if place < len(self._inputs) else args[0] if args else None

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self.fetch_attr(target)

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        module = self.fetch_attr(target)
        read = reading_of(module)
        if read is None:
            raise self.unreadable("has no layer that does the same")
        first, *rest = args or (None,)
        first = self.constant(first) if isinstance(first, Tensor) else first
        return read(self, module, re.sub(r"\W", "_", str(target)), *([first] if args else []), *rest, **kwargs)

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self._called(getattr(target, "__name__", ""), target, args, kwargs)

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self._called(str(target), getattr(Tensor, str(target)), args, kwargs)

    def _called(self, word: str, function: Any, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        weighted = self._weighs(self._node)
        if weighted and isinstance(args[0], Tensor):
            args = (self.constant(args[0]), *args[1:])
        values = [leaf for leaf in pytree.tree_leaves((args, dict(kwargs))) if isinstance(leaf, Value)]
        if not values:
            return function(*args, **kwargs)
        if weighted and len(values) > 1:
            raise self.unreadable("computes its weights of the input")
        args, kwargs = pytree.tree_map(
            lambda leaf: self.constant(leaf) if isinstance(leaf, Tensor) and leaf.shape[:1] == (BATCH,) else leaf,
            (args, dict(kwargs)),
        )
        read = FUNCTIONS.get(self.word)
        if read is not None and (weighted or self.word in BATCHING or not all(value.free for value in values)):
            found = read(self, self.layer_name(), *args, **kwargs)
            if found is not NotImplemented:
                return found
        return self.operation(function, args, kwargs)

    def operation(self, function: Any, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        """A function as it is, recorded in the model."""
        given = pytree.tree_leaves((args, dict(kwargs)))
        if any(isinstance(leaf, (Flag, InTraining)) for leaf in given):
            _warn(f"{self._node.target}")
        found = {value.order for value in given if isinstance(value, Value)}
        alone = not any(isinstance(leaf, Tensor) for leaf in given)  # whose axes are in torch's order
        order = found.pop() if len(found) == 1 and alone and elementwise(function) else ()

        def made(leaf: Any) -> Any:
            if isinstance(leaf, Value):
                return (leaf if order else self.settled(leaf)).made
            return int(leaf) != 0 if isinstance(leaf, Flag) else leaf

        args, kwargs = pytree.tree_map(made, (args, dict(kwargs)))
        word = getattr(function, "__name__", "")
        if word.endswith("_") and not word.endswith("__"):  # the model's tensors are others' too
            function = getattr(Tensor, word[:-1], None)
            if not callable(function):
                raise self.unreadable("changes a tensor in place", "Write it as one that makes another.")
        method = getattr(Tensor, getattr(function, "__name__", ""), None) is function
        output = (getattr(args[0], function.__name__) if method else partial(function, args[0]))(*args[1:], **kwargs)
        return pytree.tree_map(lambda s: self.value(s, order) if isinstance(s, SymbolicTensor) else s, output)


def _word(node: fx.Node) -> str:
    """What the function or method of a call is called; nothing for other nodes."""
    calls = node.op in ("call_function", "call_method")
    return str(getattr(node.target, "__name__", node.target)).strip("_") if calls else ""


def _place(node: fx.Node) -> tuple[str, Any]:
    """The path and the class of the innermost module that makes a call."""
    return next(iter([*(node.meta.get("nn_module_stack") or {}).values()][-1:]), ("", None))


def of_torch(cls: Any) -> bool:
    """Whether a module does what one of torch does, which is no container."""
    home = str(getattr(getattr(cls, "forward", None), "__module__", ""))
    return home.startswith("torch.nn.") and not home.endswith(".container")


def trace(module: nn.Module, shapes: Sequence[tuple], dtypes: Sequence[Any]) -> fx.GraphModule:
    """The calls of a module on inputs of these shapes. Raises Unreadable where they depend on values."""
    if of_torch(type(module)):  # no module's, but its own
        module = nn.Sequential(OrderedDict({type(module).__name__.lower(): module}))
    flag = Flag(False)
    with evaluating(module, training=flag):
        found = _traced(module, shapes, dtypes)
    if flag.asked:
        with contextlib.suppress(Unreadable), evaluating(module, training=Flag(True)):
            if _join(found.graph, _traced(module, shapes, dtypes).graph):
                return found
        _warn(", ".join(sorted(flag.asked)))
    return found


def _warn(what: str) -> None:
    warnings.warn(
        f"from_torch: {what} depends on `self.training`, and not by a number alone; the model does in training, too, "
        "what the module does in inference. Use nn.Dropout, or hand `self.training` on to a function that has a layer.",
        stacklevel=5,
    )


def _join(graph: fx.Graph, training: fx.Graph) -> bool:
    """Note in a graph the numbers that are others in training; False where the calls are others, too."""
    pairs = [*itertools.zip_longest(_needed(graph), _needed(training))]
    if any(a is None or b is None or (a.op, str(a.target)) != (b.op, str(b.target)) for a, b in pairs):
        return False
    for node, other in pairs:
        leaves, spec = pytree.tree_flatten((node.args, dict(node.kwargs)))
        others = pytree.tree_leaves((other.args, dict(other.kwargs)))
        if len(leaves) != len(others):
            return False
        node.args, node.kwargs = pytree.tree_unflatten([*map(_joined, leaves, others)], spec)
    return True


def _needed(graph: fx.Graph) -> list[fx.Node]:
    """The calls that the result is made of."""
    found: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        if node.op == "output" or any(user in found for user in node.users):
            found.add(node)
    return [node for node in graph.nodes if node in found]


def _joined(value: Any, training: Any) -> Any:
    """An argument as it is in inference, which knows what it is in training."""
    if type(value) is bool:
        return Flag(False) if training is True and not value else value
    numbers = type(value) in (int, float) and type(training) in (int, float)
    return InTraining(value, training) if numbers and value != training else value


def _traced(module: nn.Module, shapes: Sequence[tuple], dtypes: Sequence[Any]) -> fx.GraphModule:
    # Functions that are marked as calls of their own have no layer, but for a few; what they call may have.
    wrapped = _symbolic_trace._wrapped_fns_to_patch
    marked = {key: wrapped.pop(key) for key in [*wrapped] if key[1] not in FUNCTIONS}
    einops = sys.modules.get("einops._backends")
    if einops is not None and hasattr(einops, "_type2backend"):  # how it knows tensors
        einops._type2backend[_Known] = einops.get_backend(torch.empty(0))
    held = [own for each in module.modules() for own in (vars(each), *vars(each).values())]
    held = [own for own in held if type(own) in (dict, list, OrderedDict)]
    states = [(own, own.copy()) for own in held]
    root = copy.copy(module)
    root._modules = module._modules.copy()  # type: ignore[assignment]  # modules that the code makes as it runs are added to these
    try:
        with put(nn.functional, _canonical_mask=lambda mask, **_: mask):  # which makes numbers of what attention masks
            return fx.GraphModule(root, _Tracer(shapes, dtypes).trace(root))
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        if "__cuda_array_interface__" in reason:  # torch's word where its functions ask for data
            reason = "it needs values there, as packed sequences do, which a mask can stand for"
        raise Unreadable(
            f"from_torch: {type(module).__name__} cannot be traced by torch.fx{_where(module, error)}: {reason}. Its "
            "`forward` must make the same calls whatever values it gets; convert the modules inside it by themselves."
        ) from error
    finally:
        wrapped.update(marked)
        for own, before in states:  # what the code keeps for later calls is no value
            own.clear()
            own.update(before) if isinstance(own, dict) else own.extend(before)


def _where(module: nn.Module, error: BaseException) -> str:
    """Where in the code of modules, which is neither torch's nor ours, an error comes from."""
    found = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in ("torch", __name__.partition(".")[0]):
            code, owner = frame.f_code, frame.f_locals.get("self")
            path = next((path for path, each in module.named_modules() if each is owner), "")
            text = linecache.getline(code.co_filename, line, frame.f_globals).strip()
            found = f" at `{text}` (line {line}, {code.co_name}{f' of {path!r}' if path else ''})"
    return found


_LOG = logging.getLogger("torch._subclasses.fake_tensor")


class Flag(int):
    """What `training` is while a module is traced: known where it is handed on; who branches by it is noted."""

    asked: set[str]

    def __new__(cls, value: bool) -> Flag:
        made = super().__new__(cls, value)
        made.asked = set()
        return made

    def __bool__(self) -> bool:
        frame = sys._getframe(1)
        if not str(frame.f_globals.get("__name__")).startswith("torch."):
            owner = frame.f_locals.get("self")
            self.asked.add(f"{type(owner).__name__}.{frame.f_code.co_name}" if owner else frame.f_code.co_name)
        return int(self) != 0


class InTraining(float):
    """A number in inference, with another one in training."""

    training: float

    def __new__(cls, value: float, training: float) -> InTraining:
        made = super().__new__(cls, value)
        made.training = training
        return made


class _Known(fx.Proxy):
    """A result in traced code, which may be asked for its shape."""

    def __getattr__(self, word: str) -> Any:
        tracer: Any = self.tracer
        value = (tracer.known if word in _SIZES else tracer.kinds).get(self.node)
        if word == "data":
            return self.detach()
        if isinstance(value, Tensor) and (word in _SIZES or word in _KINDS or word.startswith("is_")):
            return torch.device("cpu") if word == "device" else getattr(value, word)
        return super().__getattr__(word)

    def __len__(self) -> int:
        tracer: Any = self.tracer
        value = tracer.kinds.get(self.node)
        return len(value if isinstance(value, tuple) else tracer.known[self.node])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, key, value), {})


def _changes(function: Callable) -> Callable:
    """An operator that changes its first tensor; torch.fx would write one that makes another."""
    return lambda self, other: self.tracer.create_proxy("call_function", function, (self, other), {})


_OPERATORS = {operator.iadd, operator.isub, operator.imul, operator.itruediv}
_IN_PLACE = {*_OPERATORS, operator.setitem}
for _function in _OPERATORS:
    setattr(_Known, f"__{_function.__name__}__", _changes(_function))

_SIZES = frozenset("shape size numel nelement".split())
_KINDS = frozenset("ndim dim ndimension dtype device requires_grad".split())
_OPEN = 7907  # stands where a size is unknown: a prime that no other size has


class _Tracer(fx.Tracer):
    """Records calls, and runs them without values beside: code may do as it likes with shapes."""

    proxy_buffer_attributes = True  # code may cut a piece out of one by the size of an input

    def __init__(self, shapes: Sequence[tuple], dtypes: Sequence[Any]):
        super().__init__()
        self._inputs = [*zip(shapes, dtypes, strict=False)]
        self._fake, self._inside = FakeTensorMode(allow_non_fake_inputs=True), False
        self.kinds: dict[fx.Node, Any] = {}  # results by node, whose number of axes and type are so
        self.known: dict[fx.Node, Any] = {}  # those whose sizes are so, too
        self._open: set[fx.Node] = set()  # the others

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list]:
        """Arguments that no input is given for have their defaults."""
        function, args = super().create_args_for_root(root_fn, is_module, concrete_args)
        for place, proxy in enumerate(args[1:], start=1):
            if place <= len(self._inputs):
                shape, dtype = self._inputs[place - 1]
                sizes = [_OPEN if size is None else size for size in shape]
                kind = types.torch_dtype(dtype or types.dtype_policy().compute_dtype)
                with self._fake:
                    self._settle(proxy.node, torch.empty((BATCH, *sizes), dtype=kind), None in shape)
            elif proxy.node.args:
                args[place] = proxy.node.args[0]
                self.graph.erase_node(proxy.node)
        return function, args

    def _settle(self, node: fx.Node, found: Any, is_open: bool) -> None:
        self.kinds[node] = found
        if is_open:
            self._open.add(node)
        else:
            self.known[node] = found
            node.meta["sizes"] = tuple(getattr(found, "shape", ()))

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Known(node, self)

    def create_proxy(self, kind: str, target: Any, args: tuple, kwargs: dict, *more: Any, **options: Any) -> Any:
        made = super().create_proxy(kind, target, args, kwargs, *more, **options)
        known = pytree.tree_map(
            lambda leaf: self.kinds.get(leaf.node, leaf) if _is_proxy(leaf) else leaf, (args, kwargs)
        )
        if kind != "placeholder" and not any(map(_is_proxy, pytree.tree_leaves(known))):
            self._inside = _LOG.disabled = True  # of what fails here, the real run tells
            with contextlib.suppress(Exception), self._fake, torch.no_grad():
                found = self._result(kind, target, *known)
                self._settle(made.node, found, not self._open.isdisjoint(made.node.all_input_nodes))
            self._inside = _LOG.disabled = False
        found = (self.kinds if target in _KINDS else self.known).get(made.node)
        if isinstance(found, (bool, int, float)):  # code may decide by it
            self.graph.erase_node(made.node)
            return found
        return made

    def _result(self, kind: str, target: Any, args: tuple, kwargs: dict) -> Any:
        args, kwargs = pytree.tree_map(lambda leaf: int(leaf) != 0 if isinstance(leaf, Flag) else leaf, (args, kwargs))
        if kind == "call_method":
            return getattr(args[0], target)(*args[1:], **kwargs)
        if kind == "call_function":
            if target is nn.functional.embedding:
                args = (args[0].long(), *args[1:])
            return target(*args, **kwargs)
        owner, _, last = target.rpartition(".")
        found = getattr(self.root.get_submodule(owner), last)
        if kind != "call_module":
            return self._fake.from_tensor(found)  # type: ignore[arg-type]
        with evaluating(found):  # type: ignore[arg-type]
            return found.forward(*args, **kwargs)  # type: ignore[operator]

    def call_module(self, m: nn.Module, forward: Callable, args: tuple, kwargs: dict) -> Any:
        if self._inside:
            return forward(*args, **kwargs)
        padding = kwargs.get("src_key_padding_mask", args[2] if len(args) > 2 else None)
        if isinstance(m, nn.TransformerEncoder) and m.use_nested_tensor and padding is not None:
            raise ValueError("it gives zeros for padding in inference alone; make it with `enable_nested_tensor=False`")
        if not any(m is own for own in self.root.modules()):
            assert self.submodule_paths is not None  # of modules that are traced, not of functions
            name = self.submodule_paths[m] = f"made_{len(self.root._modules)}"
            self.root.add_module(name, m)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict) -> Any:
        return attr_val if self._inside else super().getattr(attr, attr_val, parameter_proxy_cache)

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        """The pieces of what is as long as the code says."""
        known = self.known.get(obj.node)
        if isinstance(known, (tuple, list, Tensor)):
            pieces: Any = obj
            return iter([pieces[place] for place in range(len(known))])
        return super().iter(obj)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return reading_of(m) is not None


def _is_proxy(leaf: object) -> bool:
    return isinstance(leaf, fx.Proxy)


def inputs_of(
    traced: fx.GraphModule, shapes: Sequence[tuple], channels_last: bool, dtypes: Sequence[Any]
) -> list[Value]:
    """The model's inputs, as values for the module's."""
    found = []
    nodes = [node for node in traced.graph.nodes if node.op == "placeholder"]
    for node, shape, dtype in zip(nodes, shapes, dtypes, strict=False):
        embedded = any(_word(user) == "embedding" for user in node.users)
        kind = dtype or ("int32" if embedded else types.dtype_policy().compute_dtype)
        whole = (None, *shape)
        words = [_word(user) for user in node.users] + [getattr(_place(user)[1], "__name__", "") for user in node.users]
        sequence = any(word.endswith("1d") for word in words)
        turned = channels_last and (len(whole) > 3 or (len(whole) == 3 and sequence))
        order = channels_behind(len(whole)) if turned else plain(len(whole))
        made = Input(tuple(whole[axis] for axis in order)[1:], dtype=kind, name=str(node.target))
        found.append(Value(made, whole, made.torch_dtype, order))
    return found


def shape_of(value: Value) -> tuple[int, ...]:
    """The shape as code reads it, with a number for the batch."""
    return tuple(BATCH if i == 0 and size is None else size for i, size in enumerate(value.shape))  # type: ignore[misc]


def reshaped(reader: Reader, value: Value, sizes: Sequence[int]) -> Value:
    """`view` and `reshape`, which leave the batch alone, and the axes before it."""
    sizes = [*reader._node.meta.get("sizes", sizes)]  # without -1, where they are known
    before = value.order[0] if not value.free and value.columns is None else 0
    if before:
        place = next((place for place, size in enumerate(sizes) if size and size % BATCH == 0), 0)
        if math.prod(sizes[:place]) != math.prod(value.shape[:before]):  # type: ignore[arg-type]
            raise reader.unreadable("joins axes before the batch with it", "Give it the batch first.")
        rank, left = len(value.shape), len(sizes) - place
        first = reread(value, [*range(before, rank), *range(before)])
        found = _reshaped(reader, first, sizes[place:] + sizes[:place])
        return reread(found, [*range(left, len(sizes)), *range(left)])
    return _reshaped(reader, value, sizes)


def _reshaped(reader: Reader, value: Value, sizes: list[int]) -> Value:
    value = reader.settled(value)
    rest = value.shape[1:]
    if None in rest:
        raise reader.unreadable("reshapes what has axes of unknown size", "Give the input's size as numbers.")
    count = math.prod(rest)  # type: ignore[arg-type]
    if sizes[0] == -1 and -1 not in sizes[1:] and math.prod(sizes[1:]) == count:
        sizes[0] = BATCH
    whole = -1 not in sizes and not any(size % BATCH == 0 for size in sizes[1:] if size)
    if whole and sizes[0] % BATCH == 0 and math.prod(sizes[1:]) != count:  # several rows of a sample, or one again
        return reader.value(value.made.reshape((-1, *sizes[1:])))
    if sizes[0] not in (BATCH, value.shape[0]) and not (whole and sizes[0] % BATCH == 0):
        raise reader.unreadable(f"makes {tuple(sizes)} of {value.shape}, which mixes the samples of a batch")
    if len(sizes) == 2:
        return reader.value(layers.Flatten()(value.made)) if len(rest) > 1 else value
    return reader.value(layers.Reshape(tuple(sizes[1:]))(value.made))


def flat(items: Sequence[Any]) -> list[int]:
    """Sizes or axes that came one by one, or as one sequence."""
    return [*items[0]] if len(items) == 1 and isinstance(items[0], (tuple, list, torch.Size)) else [*items]
