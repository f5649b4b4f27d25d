"""`Graph`: the models of named nodes of Keras 0.1 to 1.1, on the functional models of Keras 1."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..core.errors import named
from .dialect import Dialect

if TYPE_CHECKING:
    from .models import _Functional as _Base
else:
    _Base = object  # the functional model, which comes behind in the class made


def graph_class(dialect: Dialect) -> type:
    """`models.Graph`, a model that takes and gives dictionaries by the names of its inputs and outputs."""
    functional = dialect.find("models", "Functional")
    members = {"__module__": dialect.module("models"), "_dialect": dialect, "__doc__": _Graph.__doc__}
    return type(functional)("Graph", (_Graph, functional), members)


def config_of_graph(described: Any) -> dict[str, Any] | None:
    """The config in the description of a `Graph` of Keras 1, JSON or read; None for any other."""
    if isinstance(described, str):
        try:
            described = json.loads(described)
        except ValueError:
            return None
    return described.get("config") if isinstance(described, dict) and described.get("class_name") == "Graph" else None


class _Graph(_Base):
    """A model of nodes by their names. Raises ValueError for a name given twice or one that no node has.

    It is made anew with each output: `compile` comes after the last. Data are dictionaries of arrays by the names of
    inputs and outputs, in one.
    """

    _dialect: Dialect

    _told: dict[str, Any]
    _found: dict[str, Any]  # what each node gives
    _starts: dict[str, Any]
    _ends: dict[str, Any]
    _own_name: str

    def __init__(self, name: str | None = None):
        told = {"input_config": [], "node_config": [], "output_config": [], "nodes": {}}
        own = name or self._dialect.unique_name("Graph")
        self.__dict__.update(_told=told, _found={}, _starts={}, _ends={}, _own_name=own)  # no module before an output

    def add_input(
        self,
        name: str,
        input_shape: Sequence[int] | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        dtype: str = "float",
    ) -> None:
        """An input of float or int values."""
        self._must_be_free(name)
        size = {"batch_shape": batch_input_shape} if batch_input_shape else {"shape": input_shape}
        whole = dtype.startswith("int")
        made = self._dialect.find("layers", "Input")(**size, name=name, dtype="int32" if whole else "float32")
        self._found[name] = self._starts[name] = made
        shape = {"batch_input_shape": batch_input_shape} if batch_input_shape else {"input_shape": input_shape}
        self._told["input_config"].append({"name": name, "dtype": "int32" if whole else "float32", **shape})

    def add_node(
        self,
        layer: Any,
        name: str,
        input: str | None = None,
        inputs: Sequence[str] = (),
        merge_mode: str = "concat",
        concat_axis: int = -1,
        dot_axes: Any = -1,
        create_output: bool = False,
    ) -> None:
        """A layer behind one node, or behind several that are merged."""
        self._must_be_free(name)
        joining = {"merge_mode": merge_mode, "concat_axis": concat_axis, "dot_axes": dot_axes}
        x = self._joined(input, inputs, f"merge_inputs_for_{name}", **joining)
        layer.name = name
        self._found[name] = layer(x)
        self._told["nodes"][name] = _described(layer)
        self._told["node_config"].append(
            {"name": name, "input": input, "inputs": list(inputs), **joining, "create_output": create_output}
        )
        if create_output:
            self.add_output(name, input=name)

    def add_shared_node(
        self,
        layer: Any,
        name: str,
        inputs: Sequence[str] = (),
        merge_mode: str | None = None,
        concat_axis: int = -1,
        dot_axes: Any = -1,
        outputs: Sequence[str] = (),
        create_output: bool = False,
    ) -> None:
        """A layer behind each of several nodes; what it gives is merged, or has a name of `outputs` each."""
        for each in (name, *outputs):
            self._must_be_free(each)
        if not merge_mode and len(outputs) != len(inputs):
            raise ValueError(
                f"Graph.add_shared_node: expected `merge_mode`, or a name in `outputs` for each of the {len(inputs)} "
                f"inputs; got {list(outputs)}."
            )
        layer.name = f"input_for_{name}" if merge_mode else name
        found = [layer(self._at(each)) for each in inputs]
        described = _described(layer)
        joining = {"merge_mode": merge_mode, "concat_axis": concat_axis, "dot_axes": dot_axes}
        if merge_mode:
            self._found[name] = self._merged(found, name, **joining)
        else:
            plain = self._dialect.find("layers", "Activation")
            self._found.update({each: plain("linear", name=each)(x) for each, x in zip(outputs, found, strict=True)})
        self._told["nodes"][name] = {**described, "shared": True}
        self._told["node_config"].append(
            {"name": name, "layer": described, "inputs": list(inputs), **joining, "outputs": list(outputs),
             "create_output": create_output and bool(merge_mode)}
        )  # fmt: skip
        if create_output:
            for each in [name] if merge_mode else outputs:
                self.add_output(each, input=each)

    def add_output(
        self,
        name: str,
        input: str | None = None,
        inputs: Sequence[str] = (),
        merge_mode: str = "concat",
        concat_axis: int = -1,
        dot_axes: Any = -1,
    ) -> None:
        """Lets what a node gives, or several that are merged, be an output of that name."""
        if name in self._ends:
            raise ValueError(f"Graph: there is an output {name!r} already.")
        joining = {"merge_mode": merge_mode, "concat_axis": concat_axis, "dot_axes": dot_axes}
        found = self._joined(input, inputs, name, **joining)
        if input is not None:
            found.node.layer.name = name
        self._ends[name] = found
        self._told["output_config"].append({"name": name, "input": input, "inputs": list(inputs), **joining})
        self.__init_graph__(list(self._starts.values()), list(self._ends.values()), name=self._own_name)

    def _must_be_free(self, name: str) -> None:
        taken = {*self._found, *(node["name"] for node in self._told["node_config"])}
        if name in taken:
            raise ValueError(f"Graph: there is a node {name!r} already.")

    def _at(self, name: str) -> Any:
        if name not in self._found:
            raise ValueError(f"Graph: there is no node {name!r}; those so far: {', '.join(self._found) or 'none'}.")
        return self._found[name]

    def _joined(self, input: str | None, inputs: Sequence[str], name: str, **joining: Any) -> Any:
        return self._at(input) if input else self._merged([self._at(each) for each in inputs], name, **joining)

    def _merged(self, tensors: list[Any], name: str, merge_mode: str, **axes: Any) -> Any:
        return self._dialect.find("layers", "merge")(tensors, mode=merge_mode, name=name, **axes)

    # -- data by names ------------------------------------------------------------------------------------------------

    def _split(self, data: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
        """The arrays of the inputs and of the outputs."""
        return self._of(data, self._starts), self._of(data, self._ends)

    def _of(self, data: Mapping[str, Any], names: Mapping[str, Any]) -> list[Any]:
        missing = [name for name in names if name not in data]
        if missing:
            raise ValueError(f"{named(self)}: expected data for {', '.join(names)}; {', '.join(missing)} is missing.")
        return [data[name] for name in names]

    def _batches(self, generator: Iterator[Any]) -> Iterator[tuple]:
        """Of a generator of dictionaries, each alone or with a dictionary of sample weights."""
        for given in generator:
            data, *weights = given if isinstance(given, tuple) else (given,)
            yield (*self._split(data), *weights)

    def _held_out(self, data: Any) -> Any:
        if isinstance(data, tuple):
            raise ValueError(f"{named(self)}: expected validation_data as one dictionary by names; got a tuple.")
        return self._split(data) if isinstance(data, Mapping) else data and self._batches(data)

    def _by_name(self, found: Any) -> dict[str, Any]:
        return dict(zip(self._ends, found if isinstance(found, list) else [found], strict=True))

    def _words(self, told: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a functional model's method: nothing is an empty dictionary there."""
        if "validation_data" in told:
            told["validation_data"] = self._held_out(told["validation_data"])
        return {word: value for word, value in told.items() if value not in ({}, None)}

    def compile(self, optimizer, loss, metrics=(), sample_weight_modes=None, **kwargs):
        super().compile(optimizer, loss, metrics=list(metrics), sample_weight_mode=sample_weight_modes, **kwargs)

    def fit(self, data, *args, **kwargs):
        return super().fit(*self._split(data), *args, **self._words(kwargs))

    def evaluate(self, data, batch_size=128, verbose=0, **kwargs):
        return super().evaluate(*self._split(data), batch_size=batch_size, verbose=verbose, **self._words(kwargs))

    def predict(self, data, batch_size=128, verbose=0):
        found = super().predict(self._of(data, self._starts), batch_size=batch_size, verbose=verbose)
        return self._by_name(found)

    def train_on_batch(self, data, class_weight=None, sample_weight=None):
        weights = self._words({"class_weight": class_weight, "sample_weight": sample_weight})
        return super().train_on_batch(*self._split(data), **weights)

    def test_on_batch(self, data, sample_weight=None):
        return super().test_on_batch(*self._split(data), **self._words({"sample_weight": sample_weight}))

    def predict_on_batch(self, data):
        if not isinstance(data, Mapping):  # `predict` of few samples
            return super().predict_on_batch(data)
        return self._by_name(super().predict_on_batch(self._of(data, self._starts)))

    def fit_generator(self, generator, samples_per_epoch, nb_epoch, **kwargs):
        return super().fit_generator(self._batches(generator), samples_per_epoch, nb_epoch, **self._words(kwargs))

    def evaluate_generator(self, generator, val_samples, **kwargs):
        return super().evaluate_generator(self._batches(generator), val_samples, **kwargs)

    # -- files --------------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The nodes in the order they were added, as Keras 1.1 wrote them."""
        return copy.deepcopy(self._told)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        """Raises ValueError for what describes no graph."""
        graph = cls()
        try:
            for one in config["input_config"]:
                graph.add_input(**one)
            for node in config["node_config"]:
                stored = config["nodes"][node["name"]]
                described = {word: stored[word] for word in ("class_name", "config")}
                told = {**node, "layer": cls._dialect.from_config(described, custom_objects), "create_output": False}
                (graph.add_shared_node if stored.get("shared") else graph.add_node)(**told)
                graph._told["node_config"][-1]["create_output"] = node["create_output"]  # which is among the outputs
            for one in config["output_config"]:
                graph.add_output(**one)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"Graph: this describes no graph: {type(error).__name__}: {error}") from error
        return graph


def _described(layer: Any) -> dict[str, Any]:
    return {"class_name": type(layer).__name__, "config": layer.get_config()}
