"""From a graph of layers to a module of torch: one line of its code a layer, one submodule a weight's owner."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import keyword
import operator
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.fx.proxy import GraphAppendingTracer
from torch.utils import _pytree as pytree

from ..core import care
from ..core.errors import named
from ..core.graph import Graph
from ..core.layer import Layer
from ..core.operation import Operation
from ..core.scope import put
from ..core.spec import InputSpec
from ..core.symbolic import Node, SymbolicTensor
from ..files import program
from ..layers.input import InputLayer
from ..layers.lambda_ import Lambda
from ..models.functional import GraphModel
from .axes import Arranging, Order, Value, plain, turn

Transform = Callable[[Tensor], Tensor]
Form = Callable[..., Any]

FORMS: dict[type, Form] = {}  # how a layer is written: form(to, layer, *inputs, **further arguments of its call)


class Refusal(NamedTuple):
    """Why a layer has no form, and what to do instead. inference: it has one for what it does in inference."""

    why: str
    instead: str
    inference: bool = False


TEXT = Refusal("takes texts, and torch has no tensors of these", "Convert the part of the model behind it.")
TRAINING = Refusal(
    "does in training what nothing in torch.nn does", "For what it does in inference alone, pass inference=True.", True
)
REFUSED = dict.fromkeys("StringLookup TextVectorization".split(), TEXT) | dict.fromkeys(
    """
    AugMix CutMix Equalization MixUp RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter
    RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur
    RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation
    RandomSharpness RandomShear RandomTranslation RandomZoom Solarization SpectralNormalization
    """.split(),
    TRAINING,
)


class NoForm(ValueError):
    """What has no form in plain torch."""

    def __init__(self, layer: Any, why: str, instead: str):
        super().__init__(f"to_torch: {named(layer)} {why}. {instead}")


def form(*classes: type) -> Callable[[Form], Form]:
    """Marks a function as the form of these layers."""

    def enter(function: Form) -> Form:
        FORMS.update(dict.fromkeys(classes, function))
        return function

    return enter


def form_of(layer: Any) -> Form | None:
    """The form of a layer's class, or of the one whose `call` it has."""
    for cls in type(layer).__mro__:
        if cls in FORMS:
            plain = type(layer).call is cls.call and layer.dtype_policy.quantization_mode is None  # type: ignore[attr-defined]
            return FORMS[cls] if plain else None
    return None


class Weights:
    """What becomes of weights: their values."""

    def of(self, weight: Tensor) -> Tensor:
        """What a weight is written as."""
        return weight.detach()

    def rest(self, weight: Tensor) -> Tensor:
        """What a second parameter is written as that is added to that of the weight."""
        return torch.zeros_like(weight)

    def constant(self, value: Tensor) -> Tensor:
        """What is written for values that are no weight's."""
        return value.detach().clone()


class Writer(Arranging):
    """A graph of torch's that is being written. Forms call torch's functions on its values as on tensors.

    inference: leave out what happens in training alone.
    """

    def __init__(self, weights: Weights, inference: bool = False):
        self.weights, self.inference = weights, inference
        self.root, self.graph = nn.Module(), fx.Graph()
        self._tracer = GraphAppendingTracer(self.graph)
        self._values: dict[int, Value] = {}  # by symbolic tensor
        self._given: dict[int, str] = {}  # the names that a model has for its layers
        self._names: dict[tuple[int, str, bool], str] = {}  # of what is in `root`
        self._models: dict[str, tuple[list[Order], Any]] = {}  # orders of the inputs, outputs
        self._known: dict[Any, Any] = {}  # what was written once for whoever needs it
        self._held: list[Any] = []

    # -- what forms write ---------------------------------------------------------------------------------------------

    def placeholder(self, name: str, shape: tuple, dtype: torch.dtype, order: Order = ()) -> Value:
        """An input."""
        return Value(self._tracer.create_proxy("placeholder", identifier(name), (), {}), shape, dtype, order)

    def name(self, layer: Any, part: str = "") -> str:
        """The name of the submodule for a layer, or for a part of it: the layer's own."""
        key = id(layer), part, self.inference
        if key not in self._names:
            own = self._given.get(id(layer)) or layer.name
            base = identifier(f"{own}_{part}" if part else own)
            taken, numbered = {*self._names.values()}, (f"{base}_{number}" for number in itertools.count(1))
            self._names[key] = next(name for name in itertools.chain([base], numbered) if name not in taken)
        return self._names[key]

    def module(self, layer: Any, make: Callable[[], nn.Module], *args: Any, part: str = "") -> Any:
        """The output of a submodule, which is made at its first call."""
        name = self.name(layer, part)
        if name not in self.root._modules:
            self.root.add_module(name, make())
        return self._tracer.create_proxy("call_module", name, args, {})

    def attribute(self, path: str) -> Any:
        """A weight of a submodule, by its path."""
        return self._tracer.create_proxy("get_attr", path, (), {})

    def function(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """The output of a function that is no function of torch's, or gets no tensor."""
        return self._tracer.create_proxy("call_function", function, args, kwargs)

    def constant(self, layer: Any, value: Tensor, part: str) -> Any:
        """A tensor that the code reads."""
        key = id(value), "", self.inference
        if key not in self._names:
            self._names[key] = name = self._given.get(id(value)) or self.name(layer, part)
            self._held.append(value)  # an id stands for it
            made = parameter(self.weights.of(value), value) if isinstance(value, nn.Parameter) else None
            self.root.register_parameter(name, fixed(self.weights.constant(value)) if made is None else made)
        return self.attribute(self._names[key])

    def arranged(self, value: Value, order: Order) -> Value:
        """The value with its axes in this order."""
        if value.columns is not None:
            sizes, before = value.columns
            whole = value.made.unflatten(1, sizes[1:]).permute(turn(before, plain(len(before))))
            return Value(whole.flatten(1), value.shape, value.dtype)
        if value.order == order:
            return value
        made = self.once((value.made.node, order), lambda: value.made.permute(turn(value.order, order)))
        return Value(made, value.shape, value.dtype, order)

    def once(self, key: Any, write: Callable[[], Any]) -> Any:
        """What was written under this key, or is now."""
        if key not in self._known:
            self._known[key] = write()
        return self._known[key]

    def channels(self, value: Value, axis: int) -> Value:
        """The value with this axis behind the batch, which costs nothing where it is there."""
        rank, axis = len(value.shape), axis % len(value.shape)
        if value.columns is not None or value.order.index(axis) == 1:
            return value
        return self.arranged(value, (0, axis, *(other for other in range(1, rank) if other != axis)))

    # -- layers and graphs --------------------------------------------------------------------------------------------

    def layer(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        """The outputs of a layer called on values. Raises NoForm for what has no form."""
        self._check(layer)
        given = kwargs.pop("training", None)
        if given is not None and not given and not self.inference:
            with put(self, inference=True):
                return self.layer(layer, *args, **kwargs)
        if given:
            kwargs["training"] = True
        kwargs = {key: value for key, value in kwargs.items() if value is not None and value is not False}
        if isinstance(layer, GraphModel) and layer._graph is not None and not kwargs:
            return self._model(layer, args)
        write = form_of(layer)
        if write is not None:
            try:
                return self._formed(write, layer, args, kwargs)
            except _Otherwise:
                pass
        if not layer._ours and (any(True for _ in layer.children()) or any(True for _ in layer.parameters())):
            try:
                return self._recorded(layer, args, kwargs)
            except NoForm:
                raise
            except Exception:  # it looks at values: those it has while torch traces it will do
                pass
        return self.traced(layer, args, kwargs)

    def _formed(self, write: Form, layer: Any, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        """What a form writes; tensors that the layer is called on are constants. Raises _Otherwise."""
        try:
            inspect.signature(write).bind(self, layer, *args, **kwargs)
        except TypeError:
            raise _Otherwise from None
        tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        parts = {id(tensor): f"constant_{place}" for place, tensor in enumerate(tensors)}

        def value(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            return Value(self.constant(layer, leaf, parts[id(leaf)]), tuple(leaf.shape), leaf.dtype)

        return write(self, layer, *pytree.tree_map(value, args), **pytree.tree_map(value, dict(kwargs)))

    def _check(self, layer: Any) -> None:
        refused = next((REFUSED[cls.__name__] for cls in type(layer).__mro__ if cls.__name__ in REFUSED), None)
        if layer._takes_text or (refused and not (self.inference and refused.inference)):
            raise NoForm(layer, *(refused or TEXT)[:2])
        compute, variable = layer.dtype_policy.compute, layer.dtype_policy.variable
        if compute is not variable and compute.is_floating_point:
            raise NoForm(layer, f"computes in {layer.compute_dtype} with weights of {layer.variable_dtype}", _MIXED)

    def _model(self, model: GraphModel, args: tuple) -> Any:
        """A model inside this one: a submodule, which takes its inputs in whatever order their axes come."""
        flat = [self.settled(value) if value.columns else value for value in model._flat_inputs(_one(args))]
        name, made = self.name(model), nn.Module()
        if name not in self._models:
            inner, orders = Writer(self.weights, self.inference), [value.order for value in flat]
            outputs = pytree.tree_map(
                lambda v: inner.settled(v) if v.columns else v, inner.written(model._graph, names_in(model), orders)
            )
            made = inner.finish(outputs)
            self._models[name] = orders, outputs
        orders, outputs = self._models[name]
        inputs = [self.arranged(value, order).made for value, order in zip(flat, orders, strict=True)]
        return _refilled(outputs, self.module(model, lambda: made, *inputs))

    def _recorded(self, layer: Any, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        """A layer of a user's own: a submodule of the calls that its `call` makes. Raises what `call` raises."""
        leaves, spec = pytree.tree_flatten((args, dict(kwargs)))
        values = [self.settled(leaf) for leaf in leaves if isinstance(leaf, Value)]
        symbols = [SymbolicTensor(value.shape, value.dtype, name=f"input_{i}") for i, value in enumerate(values)]
        fresh = iter(symbols)
        args, kwargs = pytree.tree_unflatten(
            [next(fresh) if isinstance(leaf, Value) else leaf for leaf in leaves], spec
        )
        with forgotten(layer):
            for symbol in symbols:
                InputLayer(input_tensor=symbol)
            graph = Graph(symbols, layer.call(*args, **kwargs), layer.name)
        inner = Writer(self.weights, self.inference)
        named = [*layer.named_modules(), *layer.named_parameters()]
        names = {id(each): path.replace(".", "_") for path, each in named if path}
        outputs = pytree.tree_map(inner.settled, inner.written(graph, names))
        return _refilled(outputs, self.module(layer, lambda: inner.finish(outputs), *(value.made for value in values)))

    def written(self, graph: Graph, names: dict[int, str], orders: Sequence[Order] | None = None) -> Any:
        """Write the calls of a graph; its outputs, in their structure.

        names: those of the submodules for layers, by these layers' ids. orders: of the inputs' axes.
        """
        self._given = names
        for place, symbol in enumerate(graph.inputs):
            layer = symbol.node.layer if symbol.node is not None else symbol
            name = names.get(id(layer)) or re.sub(r"^input_layer_\d+$", "input_layer", layer.name)
            name = f"{name}_{place}" if place and name == "input_layer" else name
            order = () if orders is None else orders[place]
            self._values[id(symbol)] = self.placeholder(name, symbol.shape, symbol.torch_dtype, order)
        for node in graph.nodes:
            outputs = self._call(node)
            for symbol, value in zip(pytree.tree_leaves(node.outputs), pytree.tree_leaves(outputs), strict=True):
                self._values[id(symbol)] = value
        return pytree.tree_map(lambda symbol: self._values[id(symbol)], graph.outputs)

    def _call(self, node: Node) -> Any:
        def value(leaf: Any) -> Any:
            return self._values[id(leaf)] if isinstance(leaf, SymbolicTensor) else leaf

        args, kwargs = pytree.tree_map(value, (node.args, node.kwargs))
        if isinstance(node.layer, Operation):
            return self.operation(node, args, kwargs)
        return self.layer(node.layer, *args, **kwargs)

    def finish(self, outputs: Any) -> nn.Module:
        """The module of these values: a Sequential where each submodule follows the one before, else a GraphModule."""
        self.graph.output(pytree.tree_map(lambda value: value.made.node, outputs))
        return _finished(self.root, self.graph)

    # -- operations and what has no form ------------------------------------------------------------------------------

    def operation(self, node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The outputs of a plain function: itself where it is torch's, else the calls of torch's that it makes."""
        function = node.layer.function  # type: ignore[attr-defined]
        values = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Value)]
        if str(getattr(function, "__module__", "")).startswith(("lamina.ops.", "lamina.activations")):
            fit = all(value.dtype == values[0].dtype and value.dtype.is_floating_point for value in values)
            alike = len(values) == len(args) or function.__name__ not in ("maximum", "minimum", "relu")
            fit = fit and not kwargs and alike
            function = _OPS.get(function.__name__, function) if fit else function
        word = _word_of_torch(function)
        if word is None:
            return self.traced(node.layer, args, kwargs)
        alone = not any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves((args, kwargs)))
        one_order = len({value.order for value in values}) == 1 and not any(value.columns for value in values)
        keeps = alone and one_order and elementwise(function)
        count = itertools.count()

        def given(leaf: Any) -> Any:
            if isinstance(leaf, Value):
                return (leaf if keeps else self.settled(leaf)).made
            if isinstance(leaf, Tensor):
                return self.constant(node.layer, leaf, _weight_name(leaf) or f"constant_{next(count)}")
            return leaf

        args, kwargs = pytree.tree_map(given, (args, kwargs))
        if word.startswith("Tensor."):
            made = self._tracer.create_proxy("call_method", word[7:], args, kwargs)
        else:
            made = self.function(function, *args, **kwargs)
        order = values[0].order if keeps else ()
        symbols = pytree.tree_map(lambda s: Value(None, s.shape, s.torch_dtype, order), node.outputs)
        return _refilled(symbols, made)

    def traced(self, layer: Any, args: tuple, kwargs: Mapping[str, Any], part: str = "", call: Any = None) -> Any:
        """The outputs of a layer without a form: a submodule of the calls that torch sees while it infers."""
        if not self.inference and call is None:
            _check_training(layer)
        if call is None and getattr(layer, "_takes_training", False):
            kwargs = {"training": False, **kwargs}
        leaves, spec = pytree.tree_flatten((args, dict(kwargs)))
        places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Value)]
        values = [self.settled(leaves[place]) for place in places]
        bare = layer.function if isinstance(layer, Operation) else layer if layer._care & care.IN_PLAN else layer.call
        function = call or bare
        results: list[Any] = []

        def run(*tensors: Tensor) -> Any:
            filled = list(leaves)
            for place, tensor in zip(places, tensors, strict=True):
                filled[place] = tensor
            args, kwargs = pytree.tree_unflatten(filled, spec)
            outputs = function(*args, **kwargs)
            results[:] = [outputs]
            return outputs

        def make() -> nn.Module:
            signature = [InputSpec(shape=value.shape, dtype=value.dtype) for value in values]
            used = [] if call is not None or isinstance(layer, Operation) else [layer]
            try:
                found = program.trace(run, used, signature)
            except RuntimeError as error:
                raise NoForm(layer, f"has no twin in torch.nn, and {error}", _TRACE) from error
            return _plain_program(found, layer, self.weights)

        output = self.module(layer, make, *(value.made for value in values), part=part)
        return _refilled(values[0] if call is not None else self._specs(layer, args, kwargs), output)

    def _specs(self, layer: Any, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        def symbol(leaf: Any) -> Any:
            return SymbolicTensor(leaf.shape, leaf.dtype) if isinstance(leaf, Value) else leaf

        args, kwargs = pytree.tree_map(symbol, (args, dict(kwargs)))
        found = layer.compute_output_spec(*args, **{k: v for k, v in kwargs.items() if k not in ("mask", "training")})
        return pytree.tree_map(lambda leaf: Value(None, tuple(leaf.shape), leaf.torch_dtype), found)


_MIXED = "Convert the model in float32, and run the module under torch.autocast."
_TRACE = "Give the input's sizes as numbers, put a layer with a twin in its place, or use `model.export`."


class _Otherwise(Exception):
    """A form that does not reach to the arguments of a layer: it is traced."""


def otherwise(unless: Any) -> None:
    """Leave a form whose layer has arguments beyond it."""
    if not unless:
        raise _Otherwise


@contextlib.contextmanager
def forgotten(layer: Any) -> Iterator[None]:
    """Inside, layers may be called on symbolic tensors, and keep no trace of it."""
    counts = [(each._nodes, len(each._nodes)) for each in layer.modules() if isinstance(each, Layer)]
    try:
        yield
    finally:
        for nodes, count in counts:
            del nodes[count:]


def names_in(model: nn.Module) -> dict[int, str]:
    """The names that a model has for its layers, by their ids."""
    return {id(layer): name for name, layer in model._modules.items()}


def _one(args: tuple) -> Any:
    return args[0] if len(args) == 1 else list(args)


def identifier(name: str) -> str:
    """A name that a module may have for a submodule."""
    name = re.sub(r"\W", "_", name)
    taken = hasattr(nn.Module, name) or name in ("training", "self") or keyword.iskeyword(name)
    return f"{name}_" if taken else name


def _refilled(values: Any, output: Any) -> Any:
    """Values of this structure, made by a call with that output."""
    if isinstance(values, Value):
        return values.like(output)
    if isinstance(values, Mapping):
        return {key: _refilled(each, output[key]) for key, each in values.items()}
    return type(values)([_refilled(each, output[place]) for place, each in enumerate(values)])


def _weight_name(value: Any) -> str:
    return getattr(value, "name", None) or "" if isinstance(value, nn.Parameter) else ""


_ELEMENTWISE = frozenset(
    """abs add sub mul div true_divide neg exp log sqrt rsqrt square pow relu sigmoid tanh maximum minimum clamp sin cos
    truediv subtract multiply divide relu6 silu gelu softplus leaky_relu elu selu hardsigmoid hardswish""".split()
)
# What functions of `lamina.ops` are for floating tensors and numbers.
_OPS: dict[str, Any] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
    "true_divide": operator.truediv, "negative": operator.neg, "maximum": torch.maximum, "minimum": torch.minimum,
    "exp": torch.exp, "sqrt": torch.sqrt, "square": torch.square, "absolute": torch.abs, "abs": torch.abs,
    "tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": nn.functional.relu, "relu6": nn.functional.relu6,
    "silu": nn.functional.silu, "matmul": torch.matmul,
}  # fmt: skip
_ROOMS = {"torch": torch, "Tensor": Tensor, "torch.nn.functional": nn.functional, "operator": operator}


def _word_of_torch(function: Any) -> str | None:
    """Where torch has a function, None where it is somebody else's."""
    word = getattr(function, "__name__", "")
    for room, module in _ROOMS.items():
        if word and getattr(module, word, None) is function:
            return f"{room}.{word}"
    return None


def elementwise(function: Any) -> bool:
    """Whether it is one of torch's that treats every value by itself, so that axes may lie in any order."""
    return str(_word_of_torch(function)).rpartition(".")[2] in _ELEMENTWISE


_RATES = "dropout", "recurrent_dropout", "rate", "stddev"


def _check_training(layer: Any) -> None:
    """Raises NoForm for a layer that a trace would change: it does more in training."""
    if isinstance(layer, Operation):
        return
    for inner in layer.modules():
        if not isinstance(inner, Layer) or not inner._takes_training or next(inner.children(), None) is not None:
            continue  # a layer with others inside passes the flag on to these
        if isinstance(inner, Lambda) and "training" not in inner._wanted:
            continue
        rates = [getattr(inner, word) for word in _RATES if hasattr(inner, word)]
        if not rates or any(rates):
            raise NoForm(layer, *TRAINING[:2])


# In which the channels of a picture lie side by side: torch's convolutions are several times as fast on a CPU then.
_MEMORY = {4: torch.channels_last, 5: torch.channels_last_3d}


def parameter(values: Tensor, like: Tensor, trained: bool = True) -> nn.Parameter:
    """Values of a weight as a parameter, trained as the weight is."""
    values = values.detach().clone(memory_format=_MEMORY.get(values.ndim, torch.contiguous_format))
    return nn.Parameter(values, requires_grad=bool(trained and values.is_floating_point() and like.requires_grad))


def fixed(values: Tensor) -> nn.Parameter:
    """Values that code computes with: no buffer, which torch.fx takes for a number when it loads the code again."""
    return nn.Parameter(values.detach().clone(), requires_grad=False)


class From(NamedTuple):
    """Where a parameter comes from: the weight's name, what turns one into the other, and a constant for where there is
    no such weight. second: it is one more that torch adds to the parameter of the weight."""

    weight: str
    change: Transform | None = None
    default: float = 0.0
    second: bool = False


def _written_weight(weights: Weights, layer: Any, source: From) -> tuple[Any, Any]:
    """What is written for a weight, None where there is none; and the one that says whether it is trained."""
    weight = like = getattr(layer, source.weight, None)
    if weight is None:
        return None, None
    if getattr(layer, "lora_enabled", False) and layer._adapts == source.weight:
        weight, like = layer.merged_weight(), getattr(layer, f"lora_{source.weight}_b")
    value = weights.rest(weight) if source.second else weights.of(weight)
    return value if source.change is None else source.change(value), like


def filled(to: Writer, layer: Any, make: Callable[[], nn.Module], **sources: From) -> nn.Module:
    """A module of torch's with the weights of a layer, by parameter or buffer."""
    with torch.device("meta"):
        module = make()
    for name, buffer in module.named_buffers():
        module._buffers[name] = to.weights.constant(torch.zeros(buffer.shape, dtype=buffer.dtype))
    for name, source in sources.items():
        register: Any = module._parameters if name in module._parameters else module._buffers
        if register.get(name) is None:
            continue
        value, like = _written_weight(to.weights, layer, source)
        if value is None:
            dtype = layer.dtype_policy.variable
            register[name] = fixed(torch.full(register[name].shape, source.default, dtype=dtype))
        elif register is module._buffers:
            register[name] = value.clone(memory_format=torch.contiguous_format)
        else:
            register[name] = parameter(value, like, trained=not source.second)
    return module


_READS: Any = torch.ops.aten.add.Tensor._schema  # of what changes no tensor


def _finished(root: nn.Module, graph: fx.Graph) -> nn.Module:
    made = fx.GraphModule(root, graph)
    made.graph.eliminate_dead_code(
        lambda node: node.op in ("placeholder", "output") or getattr(node.target, "_schema", _READS).is_mutable
    )
    made.delete_all_unused_submodules()
    made.recompile()
    *middle, last = made.graph.nodes
    chained = all(b.op == "call_module" and b.args == (a,) for a, b in itertools.pairwise(middle))
    names = [str(node.target) for node in middle[1:]]
    if names and chained and last.args == (middle[-1],) and len({*names}) == len(names):
        return nn.Sequential(OrderedDict((name, made.get_submodule(name)) for name in names)).eval()
    return made.eval()


_COPIES = (torch.ops.aten.lift_fresh_copy.default, torch.ops.aten.detach_.default)  # of constants


def _plain_program(found: Any, layer: Any, weights: Weights) -> nn.Module:
    """The module of a program of torch.export: its calls, with the layer's weights under the names they have there."""
    graph, root, known = fx.Graph(), nn.Module(), {}
    signature = found.graph_signature
    lifted = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    lifted |= signature.inputs_to_lifted_tensor_constants
    for node in found.graph.nodes:
        if node.op == "placeholder" and node.name in lifted:
            path = lifted[node.name]
            value = found.state_dict.get(path, found.constants.get(path))
            name = path.removeprefix("used_0.")
            _place(root, name, value, layer, weights)
            known[node] = graph.get_attr(name)
        elif node.op == "output":
            (outputs,) = node.args
            outputs = pytree.tree_map(lambda leaf: known.get(leaf, leaf), list(outputs))
            spec = found.call_spec.out_spec
            graph.output(pytree.tree_unflatten(outputs, spec))
        elif node.target in _COPIES:
            known[node] = known[node.args[0]]
        elif "assert" not in str(node.target):
            known[node] = graph.node_copy(node, known.__getitem__)
            known[node].meta = {}
    return _finished(root, graph)


def _place(root: nn.Module, path: str, value: Tensor, layer: Any, weights: Weights) -> None:
    """Put a weight or constant of a traced call where its path leads."""
    *owners, last = path.split(".")
    for owner in owners:
        if not hasattr(root, owner):
            root.add_module(owner, nn.Module())
        root = getattr(root, owner)
    own = dict(layer.named_parameters()) | dict(layer.named_buffers()) if isinstance(layer, nn.Module) else {}
    weight, stored = own.get(path), isinstance(layer, nn.Module) and path in layer.state_dict()
    if isinstance(weight, nn.Parameter):
        made = parameter(weights.of(weight), weight)
    else:
        made = fixed(weights.of(weight) if weight is not None and stored else weights.constant(value))
    root.register_parameter(last, made)
