"""Model: a layer one can train, save and look at. `Model(inputs, outputs)` makes a functional model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

from ..core import arrays, symbolic
from ..core.calling import takes_texts
from ..core.errors import named, quoted
from ..core.layer import Layer
from ..quantizers import resolved
from ..training.trainer import Trainer

_GRAPH_WORDS = {"layers", "input_layers", "output_layers"}


class Model(Trainer, Layer):
    """A model of layers.

    Three ways: `Model(inputs, outputs)` from symbolic tensors, a subclass with its own `call`, or `Sequential`.
    """

    _is_composite = True
    _of_graph: ClassVar[Any] = None  # the class of functional models, which derives from this one
    _joined: ClassVar[Any] = None  # the class that makes a subclass functional, if another

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        of_graph = cls is Model and (len(args) >= 2 or "outputs" in kwargs or "inputs" in kwargs)
        made: Any = cls._of_graph if of_graph else cls
        return super().__new__(made, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if len(args) > 1 or "inputs" in kwargs or "outputs" in kwargs:
            # A subclass that calls super().__init__(inputs=..., outputs=...) becomes functional, as in Keras.
            cls = type(self)
            if not isinstance(self, Model._of_graph):
                told = {"__module__": cls.__module__, "__doc__": cls.__doc__}
                self.__class__ = type(cls.__name__, (cls, cls._joined or Model._of_graph), told)
            self.__init_graph__(*args, **kwargs)
            return
        if args and symbolic.any_symbolic(*args):
            raise TypeError(f"{type(self).__name__}: give both ends, as in Model(inputs, outputs); got one alone.")
        super().__init__(*args, **kwargs)

    def _set_attribute(self, name: str, value: Any) -> None:
        if name == "layers" and getattr(getattr(type(self), name, self), "fset", self) is None:
            raise AttributeError(f"{named(self)}: `layers` lists the layers of a model; give yours another name.")
        super()._set_attribute(name, value)

    def build(self, input_shape: Any) -> None:
        """Create all weights by running `call` without data on inputs of this shape. Of a `build` of one's own, only
        tf.keras' runs it."""
        if type(self).build is Model.build or self._traces_in_build:
            symbolic.infer_shape(self, input_shape)

    _traces_in_build = False

    def _build_for(self, args: tuple, kwargs: Mapping[str, Any]) -> None:
        if type(self).build is not Model.build:
            super()._build_for(args, kwargs)
            return
        if not self._needed_by_call:
            try:
                super()._build_for(args, kwargs)
                return
            except ValueError:
                if symbolic.any_symbolic(args, kwargs):
                    raise
        told = {word: value for word, value in kwargs.items() if word != "training"}
        # The shape of the first argument is not enough, or the code reads values.
        symbolic.call_on_trial_tensors(self, args, told)
        self._finish_build()

    def _checked_first(self, args: tuple, kwargs: Mapping[str, Any]) -> tuple:
        texts = arrays.texts(args[0]) if args and arrays.is_listed(args[0]) and takes_texts(self) else None
        return super()._checked_first(args if texts is None else (texts, *args[1:]), kwargs)

    @property
    def layers(self) -> list[Any]:
        """The layers directly inside this one, each once."""
        return [child for child in dict.fromkeys(self._sublayers()) if isinstance(child, Layer)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name or at that place. Raises ValueError where there is none."""
        layers = self.layers
        if (name is None) == (index is None):
            raise ValueError("get_layer: give either a name or an index.")
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"get_layer: asked for layer {index}, but {named(self)} has {len(layers)} layers.")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"get_layer: {named(self)} has no layer {name!r}; it has {quoted(layer.name for layer in layers)}."
        )

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
        **options: Any,
    ) -> None:
        """Print the layers, their output shapes and numbers of parameters.

        line_length: characters; positions: where the columns end, in characters or as parts of the width.
        expand_nested: also the layers of nested models; show_trainable: whether each is trained; layer_range: the names
        of the first and last layer. Further options: `show_costs` multiply-adds of one sample and receptive fields,
        `show_memory` the bytes of one sample's outputs, `show_time` the measured time of a batch: True, data, or what
        `lamina.profile` gave.
        """
        from ..pictures.summary import print_summary

        options |= {"expand_nested": expand_nested, "show_trainable": show_trainable, "layer_range": layer_range}
        print_summary(self, line_length=line_length, positions=positions, print_fn=print_fn, **options)

    def plot(self, to_file: Any = None, **options: Any) -> Any:
        """The model's graph as a picture, which shows itself in notebooks; `str()` of it is Graphviz' text.

        to_file: also write it, as `.svg`, `.png`, `.pdf`, `.dot` or `.mmd` (Mermaid). Options are those of
        `lamina.utils.model_to_dot`, such as `show_shapes=True`, `expand_nested=True`, `fold=True`. Raises ValueError
        for a model that is not built.
        """
        from ..pictures.plot import plotted

        return plotted(self, to_file, **options)

    def save(self, filepath: Any, overwrite: bool = True, **options: Any) -> None:
        """Write architecture, weights and training state to a `.keras` file (or the format of the suffix)."""
        from ..files import save_model

        save_model(self, filepath, overwrite=overwrite, **options)

    def save_weights(self, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None) -> None:
        from ..files import save_weights

        save_weights(self, filepath, overwrite=overwrite, max_shard_size=max_shard_size)

    def load_weights(self, filepath: Any, **options: Any) -> None:
        from ..files import load_weights

        load_weights(self, filepath, **options)

    def quantize(
        self, mode: str | None = None, config: Any = None, filters: Any = None, *, type_check: bool = True
    ) -> None:
        """Quantize Dense, EinsumDense and embeddings inside: to "int8", "int4", "float8", or as a QuantizationConfig
        says. Warns of other layers with weights, which stay as they are.

        filters: one or several expressions that names of layers are searched for, or a function of a layer.
        """
        from ..layers.quantized import quantize_inside

        quantize_inside(self, resolved(mode, config), filters, type_check)

    def export(
        self,
        filepath: Any,
        format: str = "torch",
        verbose: bool | None = None,
        input_signature: Any = None,
        **options: Any,
    ) -> None:
        """Write the model's inference as a program that runs without its classes.

        format: "torch", where `torch.export.load(filepath).module()(x)` then gives what `model(x)` gives; "aoti",
        compiled by AOTInductor, `torch._inductor.aoti_load_package(filepath)(x)`; "onnx". input_signature: a list of
        the arguments' shapes and types; sizes that are None, such as the batch's, stay open. Options: those of
        `torch.export.export`, `inductor_configs` for AOTInductor, `opset_version` for ONNX.
        """
        from ..files.program import export_model

        export_model(self, filepath, format, verbose, input_signature, **options)

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """Copies of all variables' values, in dictionaries by kind and by the parts of their paths.

        value_format: "backend_tensor" or "numpy_array". Raises ValueError where two variables have one path.
        """
        from .state import state_tree

        return state_tree(self, value_format)

    def set_state_tree(self, state_tree: Mapping[str, Any]) -> None:
        """Assign what `get_state_tree` gave, or a part of it. Raises ValueError, and assigns nothing, for what does not
        fit."""
        from .state import set_state_tree

        set_state_tree(self, state_tree)

    def to_json(self, **options: Any) -> str:
        """The architecture as JSON; `model_from_json` reads it."""
        import json

        from ..core.serialize import serialize
        from ..files.keras3 import described_model

        return json.dumps(described_model(self), **{"default": serialize, **options})

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None, safe_mode: bool | None = None
    ) -> Any:
        """Code in a config is never run, whatever `safe_mode` says."""
        if isinstance(config, Mapping) and _GRAPH_WORDS <= config.keys() and cls._takes_graph():
            return cls._of_graph.from_config.__func__(cls, config, custom_objects)
        return super().from_config(config)

    @classmethod
    def _takes_graph(cls) -> bool:
        """Whether it is made as `Model(inputs, outputs)` is: its config then is that of a functional model."""
        names = inspect.getfullargspec(cls.__init__)
        return names.args[1:] == ["inputs", "outputs", "name"] or bool(names.varargs and names.varkw)
