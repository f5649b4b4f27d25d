"""Sequential: layers one after another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

from torch.utils import _pytree as pytree

from ..core import arrays, care, dtypes, serialize, symbolic
from ..core.declare import kept
from ..core.errors import named, short
from ..core.graph import Graph
from ..core.layer import InputSpec, Layer, as_shape
from ..core.symbolic import SymbolicTensor
from ..layers.input import Input, InputLayer
from .functional import GraphModel
from .graph_config import own_kwargs

_HOMES = "keras.layers", "keras.models"  # where names without a module are looked up


class Sequential(GraphModel):
    """Layers run one after another. Without an input shape it builds itself on the first call.

    layers: layers, `torch.nn.Module`s or functions, or a symbolic `Input` as the first.
    """

    _home = "keras"
    _stack: Any = kept()
    _input: Any = kept()

    def __init__(
        self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None, **kwargs: Any
    ):
        if layers is not None and not isinstance(layers, (list, tuple)):
            raise TypeError(f"Sequential: `layers` must be a list of layers; got {type(layers).__name__}.")
        Layer.__init__(self, name=name, trainable=trainable, **kwargs)
        vars(self)["_stack"] = []
        vars(self)["_input"] = None
        self._append(layers or ())
        self._maybe_rebuild()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Append a layer. Raises ValueError for what is none, or for a name taken already.

        rebuild: build the model now, where its input's shape is known; else when it is called.
        """
        (layer,) = self._append([layer])
        try:
            if rebuild:
                self._maybe_rebuild()
            else:
                self._forget()
                self._register(self._stack[-1:])
        except Exception:
            if not isinstance(layer, InputLayer):
                self._stack.pop()
            self._maybe_rebuild()
            raise

    def _append(self, layers: Iterable[Any]) -> list[Layer]:
        """Put layers behind those that are there, and return them."""
        from ..layers.torch_module import as_layer

        names = {layer.name: layer for layer in self._stack}
        added = []
        for item in layers:
            if isinstance(item, SymbolicTensor):
                item = item.node.layer if item.node is not None else None
            layer = as_layer(item, "Sequential.add")
            if not isinstance(layer, InputLayer) and names.setdefault(layer.name, layer) is not layer:
                raise ValueError(
                    f"{named(self)}: a layer named {layer.name!r} is there already; give this one another with `name=`."
                )
            self._place(layer)
            added.append(layer)
        return added

    def _place(self, layer: Layer) -> None:
        if isinstance(layer, InputLayer):
            if self._input is not None:
                raise ValueError(f"{named(self)} has an input already, of shape {self._input.batch_shape}.")
            vars(self)["_input"] = layer
        else:
            vars(self)["_stack"].append(layer)
            shape = getattr(layer, "_batch_shape", None)
            if len(self._stack) == 1 and self._input is None:
                if shape is not None:
                    vars(self)["_input"] = self._input_of(shape, layer.input_dtype)
                elif isinstance(layer, GraphModel) and layer._graph is not None and len(layer._graph.inputs) == 1:
                    tensor = layer._graph.inputs[0]
                    vars(self)["_input"] = self._input_of(tensor.shape, tensor.dtype)

    def _input_of(self, batch_shape: Any, dtype: Any) -> InputLayer:
        """Hook: the input before the first layer, where none was added."""
        return InputLayer(batch_shape=batch_shape, dtype=dtype)

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and return it; `rebuild` as in `add`. Raises ValueError when there is none."""
        if not self._stack:
            raise ValueError(f"{named(self)} has no layer to pop.")
        layer = self._stack.pop()
        self._maybe_rebuild(rebuild)
        return layer

    def _forget(self) -> None:
        vars(self).update(_graph=None, _plan=None, _ready=False, _care=care.UNBUILT)

    def _maybe_rebuild(self, rebuild: bool = True) -> None:
        self._forget()
        self._modules.clear()
        self._register(self._stack)
        vars(self)["_takes_text"] = bool(self._stack) and self._stack[0]._takes_text
        if rebuild and self._input is not None and self._stack:
            self.build(self._input.batch_shape)

    def build(self, input_shape: Any = None) -> None:
        """Build all layers for inputs of shape (batch, ...); None: of the shape that the first layer says.

        Raises ValueError where there are no layers, or no shape.
        """
        if not self._stack:
            raise ValueError(f"{named(self)} has no layers: add some before building it.")
        if input_shape is None and self._input is None:
            raise ValueError(f"{named(self)}: give the shape of its input, as in build((None, 4)).")
        if input_shape is None:
            input_shape = self._input.batch_shape
        kind = self._stack[0].input_dtype
        if not symbolic.is_shape(input_shape):
            self._begin_with(symbolic.map_shapes(lambda shape: Input(batch_shape=shape, dtype=kind), input_shape))
            return
        if self._input is None or tuple(self._input.batch_shape) != tuple(input_shape):
            vars(self)["_input"] = self._input_of(tuple(input_shape), kind)
        first: Any = self._input
        self._begin_with(first._nodes[0].outputs)

    def _begin_with(self, inputs: Any) -> None:
        """Build all layers for symbolic inputs: one, or what the first layer takes of several."""
        x = called_in_turn(self._stack, inputs)
        vars(self).update(_graph=Graph(inputs, x, named(self)), _input_structure=inputs, _output_structure=x)
        self.input_spec = InputSpec(ndim=len(inputs.shape)) if isinstance(inputs, SymbolicTensor) else None
        self._register(self._stack)

    def _build_for(self, args: tuple, kwargs: Mapping[str, Any]) -> None:
        if self._input is None:
            alike = pytree.tree_map(_first_of, args[0])
            if not isinstance(alike, InputLayer):
                self._begin_with(pytree.tree_map(lambda first: first._nodes[0].outputs, alike))
                self._finish_build()
                return
            vars(self)["_input"] = alike
        first: Any = self._input
        self.build(first.batch_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._graph is not None:
            return super().compute_output_shape(input_shape)
        return reduce(lambda shape, layer: layer.compute_output_shape(shape), self._stack, input_shape)

    @property
    def layers(self) -> list[Layer]:
        return list(self._stack)

    @property
    def inputs(self) -> list[SymbolicTensor]:
        return list(self._known_graph("inputs").inputs)

    @property
    def outputs(self) -> list[SymbolicTensor]:
        return [self._known_graph("outputs").outputs]

    @property
    def input(self) -> Any:
        return self._known_graph("input") and self._input_structure

    @property
    def output(self) -> Any:
        return self._known_graph("output").outputs

    @property
    def input_shape(self) -> Any:
        return symbolic.shapes_of(self.input)

    @property
    def output_shape(self) -> Any:
        return self.output.shape

    input_names = property(lambda self: [tensor.name for tensor in self.inputs])
    output_names = property(lambda self: [self._stack[-1].name])

    def _known_graph(self, what: str) -> Graph:
        if self._graph is None:
            raise AttributeError(
                f"{named(self)} has no {what} before its input shape is known: add an Input or call it on data."
            )
        return self._graph

    def get_config(self) -> dict[str, Any]:
        config = Layer.get_config(self)
        stack = [*([self._input] if self._input is not None else []), *self._stack]
        config = {"name": config["name"], "trainable": config["trainable"], "dtype": config["dtype"]}
        config["layers"] = [serialize.serialize(layer) for layer in stack]
        if self._graph is not None:
            config["build_input_shape"] = symbolic.shapes_of(self._input_structure)
        return config

    @classmethod
    def from_config(
        cls, config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool | None = None
    ) -> Any:
        """Code in a config is never run, whatever `safe_mode` says."""
        if isinstance(config, (list, tuple)):
            config = {"layers": config}
        if not isinstance(config, Mapping):
            raise TypeError(f"{cls.__name__}.from_config: expected a dictionary or a list; got {short(config)}.")
        if "layers" not in config:
            return cls(**config)
        model = cls(name=config.get("name"), trainable=config.get("trainable", True), dtype=config.get("dtype"))
        layers: list[Layer] = []
        known: dict[Any, tuple[Any, Layer]] = {}  # by name: a layer that stands there twice is one
        for described in config["layers"]:
            inner = described.get("config") if isinstance(described, Mapping) else None
            name = inner.get("name") if isinstance(inner, Mapping) else None
            before, layer = known.get(name, (None, None))
            if name is None or layer is None or before != described:
                layer = serialize.deserialize(described, custom_objects, _HOMES)
                known[name] = (described, layer)
            layers.append(layer)
        model._append(layers)
        model._maybe_rebuild()
        if not model.built and config.get("build_input_shape") and model._stack:
            model.build(as_shape(config["build_input_shape"]))
        return model


def called_in_turn(layers: Sequence[Layer], x: Any) -> Any:
    """Each layer on the output of the one before; what it gave already is taken, so that a stack may grow."""

    def places(tensors: Any) -> tuple[int, ...]:
        return tuple(map(id, pytree.tree_leaves(tensors)))

    calls = {
        layer: {places(node.args): node.outputs for node in reversed(layer._nodes) if not own_kwargs(node)}
        for layer in layers
    }
    for layer in layers:
        known = calls[layer].get(places(x))
        x = layer(x) if known is None else known
    return x


def _first_of(data: Any) -> Any:
    """An input for data like these; anything else as it is."""
    kind = dtypes.TEXT if arrays.texts(data) is not None else getattr(data, "dtype", None)
    if kind is None:
        return data
    kind = kind if isinstance(kind, str) else dtypes.dtype_name(kind)
    return InputLayer(batch_shape=(None, *data.shape[1:]), dtype=kind)
