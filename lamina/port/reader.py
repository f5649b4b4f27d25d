"""From a module of torch to a model: its calls, traced by torch.fx, as layers."""

from __future__ import annotations

import math
import operator
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from .. import layers
from ..core.symbolic import SymbolicTensor
from ..layers.input import Input
from .axes import Order, Value, channels_behind, plain, turn

Reading = Callable[..., Any]
MODULES: dict[type, Reading] = {}  # how a module is read: reading(reader, module, name, *values, **further arguments)
FUNCTIONS: dict[str, Reading] = {}  # a function or method, by its name: reading(reader, name, *arguments)
_BATCH = 7919  # stands for the number of samples where code asks for it: a prime that no other size has


def reads(*words: Any) -> Callable[[Reading], Reading]:
    """Marks a function as the reading of modules of these classes, or of functions of these names."""

    def enter(function: Reading) -> Reading:
        FUNCTIONS.update({word: function for word in words if isinstance(word, str)})
        MODULES.update({cls: function for cls in words if isinstance(cls, type)})
        return function

    return enter


class Unreadable(ValueError):
    """What has no layer."""


class Reader(fx.Interpreter):
    """Runs a traced module with layers in place of its modules and functions."""

    def __init__(self, traced: fx.GraphModule, inputs: Sequence[Value], channels_last: bool):
        super().__init__(traced)
        self.extra_traceback = False  # in the messages
        self._inputs, self.channels_last = iter(inputs), channels_last
        self.state: dict[str, Tensor] = {}  # weights under the names that `to_torch` gives those of the layers
        self._layers: dict[str, Any] = {}
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
        if moved[0] != 0:
            raise self.unreadable("moves the batch axis")
        return Value(layers.Permute(moved[1:])(value.made), value.shape, value.dtype, order)

    def settled(self, value: Value) -> Value:
        """The value as torch has it."""
        return self.arranged(value, plain(len(value.shape)))

    def layer(self, name: str, make: Callable[[], Any], *inputs: Any, **options: Any) -> Any:
        """The output of a layer, which is made at its first call."""
        if name not in self._layers:
            self._layers[name] = make()
        return self._layers[name](*inputs, **options)

    def keep(self, name: str, weights: Any) -> None:
        """Let the layer of this name have the weights of a module, or a state like that of one."""
        state = weights.state_dict(keep_vars=True) if isinstance(weights, nn.Module) else weights
        self.state |= {f"{name}.{word}": value for word, value in state.items()}

    def value(self, made: Any, order: Order = ()) -> Value:
        """A symbolic tensor as a value, whose axes are in this order."""
        order = order or plain(len(made.shape))
        return Value(made, tuple(made.shape[order.index(i)] for i in range(len(order))), made.torch_dtype, order)

    def picked(self) -> list[Any]:
        """Which parts of the result of the call that is being read are asked for."""
        users = [user for user in self._node.users if getattr(user.target, "__name__", "") == "getitem"]
        return [user.args[1] for user in users if user.users]

    def unreadable(self, why: str, instead: str = "") -> Unreadable:
        """The error for the call that is being read."""
        node = self._node
        path = next(iter([*(node.meta.get("nn_module_stack") or {}).values()][-1:]), ("", ""))[0]
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
            return super().run_node(n)
        except Unreadable:
            raise
        except (
            TypeError,
            ValueError,
            RuntimeError,
            NotImplementedError,
            KeyError,
            IndexError,
            AttributeError,
        ) as error:
            raise self.unreadable(f"cannot be read: {str(error).splitlines()[0] if str(error) else error!r}") from error

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Any:
        return next(self._inputs, args[0] if args else None)

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self.fetch_attr(target)

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        module = self.fetch_attr(target)
        read = next((MODULES[cls] for cls in type(module).__mro__ if cls in MODULES), None)
        if read is None or type(module).forward not in {cls.forward for cls in type(module).__mro__ if cls in MODULES}:
            raise self.unreadable("has no layer that does the same")
        return read(self, module, str(target).replace(".", "_"), *args, **kwargs)

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self._called(getattr(target, "__name__", ""), target, args, kwargs)

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self._called(str(target), getattr(Tensor, str(target)), args, kwargs)

    def _called(self, word: str, function: Any, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        if not any(isinstance(leaf, Value) for leaf in pytree.tree_leaves((args, dict(kwargs)))):
            return function(*args, **kwargs)
        read = FUNCTIONS.get(word.strip("_"))
        if read is not None:
            found = read(self, self._node.name, *args, **kwargs)
            if found is not NotImplemented:
                return found
        return self.operation(function, args, kwargs)

    def operation(self, function: Any, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        """A function as it is, recorded in the model."""
        found = {value.order for value in pytree.tree_leaves((args, dict(kwargs))) if isinstance(value, Value)}
        order = found.pop() if len(found) == 1 and function in ELEMENTWISE else ()

        def made(leaf: Any) -> Any:
            if isinstance(leaf, Value):
                return (leaf if order else self.settled(leaf)).made
            if isinstance(leaf, nn.Parameter):
                raise self.unreadable("uses a parameter that is no module's", "Hold it in a module of torch.nn.")
            return leaf

        args, kwargs = pytree.tree_map(made, (args, dict(kwargs)))
        method = getattr(Tensor, getattr(function, "__name__", ""), None) is function
        output = (getattr(args[0], function.__name__) if method else partial(function, args[0]))(*args[1:], **kwargs)
        return pytree.tree_map(lambda s: self.value(s, order) if isinstance(s, SymbolicTensor) else s, output)


ELEMENTWISE = {
    operator.neg, torch.neg, torch.abs, torch.exp, torch.log, torch.sqrt, torch.rsqrt, torch.square, torch.clamp,
    Tensor.abs, Tensor.exp, Tensor.log, Tensor.sqrt, Tensor.clamp, Tensor.square, Tensor.pow, torch.pow, operator.pow,
}  # fmt: skip


def trace(module: nn.Module) -> fx.GraphModule:
    """The calls of a module. Raises Unreadable where they depend on values."""
    if any(cls in MODULES for cls in type(module).__mro__):  # no module's, but its own
        module = nn.Sequential(OrderedDict({type(module).__name__.lower(): module}))
    try:
        return fx.GraphModule(module, _Tracer().trace(module))
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise Unreadable(
            f"from_torch: {type(module).__name__} cannot be traced by torch.fx: {reason}. Its `forward` must make the "
            "same calls whatever values it gets; convert the modules inside it by themselves."
        ) from error


class _Tracer(fx.Tracer):
    proxy_buffer_attributes = True  # code may cut a piece out of one by the size of an input

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        """The pieces of what is cut into as many as the code says."""
        node: Any = obj.node
        if getattr(node.target, "__name__", node.target) == "chunk":
            pieces: Any = obj
            return iter([pieces[place] for place in range(node.kwargs.get("chunks") or node.args[1])])
        return super().iter(obj)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return any(cls in MODULES for cls in type(m).__mro__) or super().is_leaf_module(m, module_qualified_name)


def inputs_of(
    traced: fx.GraphModule, shapes: Sequence[tuple], channels_last: bool, dtypes: Sequence[Any]
) -> list[Value]:
    """The model's inputs, as values for the module's."""
    found = []
    nodes = [node for node in traced.graph.nodes if node.op == "placeholder"]
    for node, shape, dtype in zip(nodes, shapes, dtypes, strict=False):
        users = [traced.get_submodule(user.target) for user in node.users if user.op == "call_module"]
        kind = dtype or ("int32" if any(isinstance(user, nn.Embedding) for user in users) else "float32")
        whole = (None, *shape)
        sequence = any(type(user).__name__.endswith("1d") for user in users)
        turned = channels_last and (len(whole) > 3 or (len(whole) == 3 and sequence))
        order = channels_behind(len(whole)) if turned else plain(len(whole))
        made = Input(tuple(whole[axis] for axis in order)[1:], dtype=kind, name=str(node.target))
        found.append(Value(made, whole, made.torch_dtype, order))
    return found


def shape_of(value: Value) -> tuple[int, ...]:
    """The shape as code reads it, with a number for the batch."""
    return tuple(_BATCH if i == 0 and size is None else size for i, size in enumerate(value.shape))  # type: ignore[misc]


def reshaped(reader: Reader, value: Value, sizes: Sequence[int]) -> Value:
    """`view` and `reshape`, which leave the batch alone."""
    value, sizes = reader.settled(value), list(sizes)
    rest = value.shape[1:]
    if None in rest:
        raise reader.unreadable("reshapes what has axes of unknown size", "Give the input's size as numbers.")
    count = math.prod(rest)  # type: ignore[arg-type]
    if sizes[0] == -1 and -1 not in sizes[1:] and math.prod(sizes[1:]) == count:
        sizes[0] = _BATCH
    if sizes[0] not in (_BATCH, value.shape[0]):
        raise reader.unreadable(f"makes {tuple(sizes)} of {value.shape}, which mixes the samples of a batch")
    if len(sizes) == 2:
        return reader.value(layers.Flatten()(value.made)) if len(rest) > 1 else value
    return reader.value(layers.Reshape(tuple(sizes[1:]))(value.made))


def flat(items: Sequence[Any]) -> list[int]:
    """Sizes or axes that came one by one, or as one sequence."""
    return [*items[0]] if len(items) == 1 and isinstance(items[0], (tuple, list, torch.Size)) else [*items]
