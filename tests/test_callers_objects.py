"""A caller's lists, dictionaries and arrays stay the caller's: no call changes them, and changing them after a call
changes nothing in what it made."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.declared import FREE, required
from support.examples import EXAMPLES, FOREIGN, Example
from support.functions import FUNCTIONS, calls
from support.observed import observed, same
from torch.utils import _pytree as pytree

import lamina as keras
from lamina import callbacks
from lamina.core.layer import Layer

L = keras.layers


def spoil(value: Any) -> None:
    """Change a structure of lists, dictionaries and arrays in every place that can be changed."""
    if isinstance(value, (list, tuple)):
        for item in value:
            spoil(item)
    if isinstance(value, dict):
        for item in value.values():
            spoil(item)
        value.clear()
    elif isinstance(value, list):
        value.reverse()
        value.append("spoiled")
    elif isinstance(value, np.ndarray):
        value += np.ones((), value.dtype) if value.dtype.kind != "b" else True
    elif isinstance(value, torch.Tensor):
        with torch.no_grad():
            value += 1


def listed(value: Any) -> Any:
    """The same with lists in the place of tuples: what can be changed."""
    if isinstance(value, (list, tuple)):
        return [listed(item) for item in value]
    return {key: listed(item) for key, item in value.items()} if isinstance(value, dict) else value


def kept_apart(make: Callable[[], Any], use: Callable[[Any], Any], look: Callable[[Any], Any]) -> None:
    """What `use` makes of the structure from `make` looks the same when that is spoiled, as is itself before."""
    given = make()
    before = copy.deepcopy(given)
    keras.utils.clear_session(free_memory=False)
    made = use(given)
    assert same(given, before), "the call changed what it was given"
    spoil(given)
    keras.utils.clear_session(free_memory=False)
    assert same(look(made), look(use(make()))), "a later change came through"


# Layers and other declared objects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_config_of_a_layer(example: Example) -> None:
    if example.name in FOREIGN:
        return
    cls, given = example.cls, {**example.make().get_config(), "name": "same"}

    def config() -> Any:
        return copy.deepcopy(listed(given))

    def both(layer: Layer) -> Any:
        return layer.get_config(), list(itertools.islice(observed(layer, example), 5))

    kept_apart(config, cls.from_config, both)
    kept_apart(config, lambda given: cls(**given) if not cls._owns_init else cls.from_config(given), Layer.get_config)
    layer = cls.from_config(config())
    before = copy.deepcopy(layer.get_config())
    spoil(layer.get_config())
    assert same(layer.get_config(), before)


@pytest.mark.parametrize("name", [name for name, cls in FREE.items() if not issubclass(cls, Layer)])
def test_arguments_of_an_object(name: str) -> None:
    cls = FREE[name]
    for argument, declared in cls._args.items():
        for value in declared.kind.good:
            if isinstance(listed(value), (list, dict)):
                beside = {"input_axes": [0], "output_axes": [1]} if argument.endswith("put_axes") else {}
                given = listed({**required(cls, argument), **beside, argument: value})
                kept_apart(lambda given=given: copy.deepcopy(given), lambda given: cls(**given), cls.get_config)
                made = cls(**given)
                before = copy.deepcopy(made.get_config())
                spoil(made.get_config())
                assert same(made.get_config(), before)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_a_layer_leaves_its_inputs_alone(example: Example) -> None:
    layer, inputs = example.built(), example.tensors()
    arrays = pytree.tree_map(lambda x: x.numpy(), inputs)
    before = copy.deepcopy(arrays)
    for training in (False, True):
        for given in (inputs, arrays):  # these share their memory
            layer(*given, training=training)
            assert same(arrays, before)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", FUNCTIONS, ids=FUNCTIONS.get)
def test_a_function_leaves_its_arguments_alone(function: Callable) -> None:
    for given in calls().get(function, ()):
        before = copy.deepcopy(dict(given.arguments))
        with suppress(ValueError, RuntimeError):
            function(*given.args, **given.kwargs)
        assert same(
            {k: v for k, v in before.items() if not callable(v)},
            {k: v for k, v in given.arguments.items() if not callable(v)},
        )


# Weights and constants ------------------------------------------------------------------------------------------------

X = np.ones((2, 3), "float32")


def tensor_or_array(kind: str) -> Callable[..., Any]:
    return (lambda *shape: np.ones(shape, "float32")) if kind == "array" else torch.ones


WEIGHTS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "weights=": (lambda ones: [ones(3, 2), ones(2)], lambda w: L.Dense(2, weights=w), lambda layer: layer(X)),
    "Embedding(weights=)": (
        lambda ones: [ones(4, 2)], lambda w: L.Embedding(4, 2, weights=w), lambda layer: layer(np.array([1, 2])),
    ),
    "set_weights": (
        lambda ones: [ones(3, 2), ones(2)],
        lambda w: [layer := L.Dense(2), layer.build((None, 3)), layer.set_weights(w)][0], lambda layer: layer(X),
    ),
    "initializer": (
        lambda ones: [ones(3, 2)], lambda w: L.Dense(2, kernel_initializer=w[0]), lambda layer: layer(X),
    ),
    "initializer function": (
        lambda ones: [ones(3, 2)],
        lambda w: [layer := L.Dense(2, kernel_initializer=lambda shape, dtype=None: w[0]), layer.build((None, 3))][0],
        lambda layer: layer(X),
    ),
    "Constant": (
        lambda ones: [ones(3, 2)], lambda w: keras.initializers.Constant(w[0]), lambda made: made((3, 2)),
    ),
    "add_weight": (
        lambda ones: [ones(3, 2)], lambda w: L.Layer().add_weight((3, 2), initializer=w[0]), lambda weight: weight,
    ),
    "Variable": (lambda ones: [ones(3, 2)], lambda w: keras.Variable(w[0]), lambda weight: weight),
    "assign": (
        lambda ones: [ones(3, 2)], lambda w: keras.Variable(np.zeros((3, 2), "float32")).assign(w[0]),
        lambda weight: weight,
    ),
    "Lambda(arguments=)": (
        lambda ones: {"by": ones(3), "more": [1, {"x": [2]}]},
        lambda w: L.Lambda(lambda x, by, more: x * torch.as_tensor(by) + more[0] + more[1]["x"][0], arguments=w),
        lambda layer: layer(X),
    ),
    "metric": (
        lambda ones: [ones(3)],
        lambda w: keras.metrics.AUC(multi_label=True, num_labels=3, label_weights=w[0]),
        lambda metric: metric.label_weights,
    ),
}  # fmt: skip


# A Variable is the tensor it is made of, as a torch Parameter is; a function is given a tensor as it is.
SHARING = {("Variable", "tensor"), ("Lambda(arguments=)", "tensor")}


@pytest.mark.parametrize("kind", ["array", "tensor"])
@pytest.mark.parametrize("case", WEIGHTS)
def test_values_given_to_weights(case: str, kind: str) -> None:
    if (case, kind) in SHARING:
        return
    make, use, look = WEIGHTS[case]
    ones = tensor_or_array(kind)
    kept_apart(lambda: make(ones), use, lambda made: copy.deepcopy(pytree.tree_map(plain, look(made))))


def plain(value: Any) -> Any:
    return value.detach().clone().as_subclass(torch.Tensor) if isinstance(value, torch.Tensor) else value


# Models ---------------------------------------------------------------------------------------------------------------

Y = np.array([[0.0], [1.0]], "float32")


def two_outputs() -> Any:
    keras.utils.set_random_seed(0)
    i, j = keras.Input((3,), name="i"), keras.Input((3,), name="j")
    return keras.Model([i, j], [L.Dense(1, name="a")(i), L.Dense(1, name="b")(j)], name="two")


def trained(arguments: dict[str, Any]) -> Any:
    model = two_outputs()
    model.compile("sgd", **arguments)
    return model


def results(model: Any) -> Any:
    return model.evaluate([X, X], [Y, Y], verbose=0, return_dict=True), model.get_compile_config()


@pytest.mark.parametrize("arguments", [
    lambda: {"loss": ["mse", "mae"], "loss_weights": [0.5, 2.0], "metrics": [["mae"], ["mse"]]},
    lambda: {
        "loss": {"a": "mse", "b": "mae"}, "loss_weights": {"a": 0.5, "b": 2.0}, "weighted_metrics": {"a": ["mae"]},
    },
    lambda: {"loss": "mse", "metrics": {"a": ["mae", "mse"], "b": "mae"}},
], ids=["lists", "dictionaries", "nested"])  # fmt: skip
def test_arguments_of_compile(arguments: Callable[[], Any]) -> None:
    kept_apart(arguments, trained, results)

    def again(given: Any) -> Any:  # what is left out stays as it was given first
        model = trained(given)
        spoil(given)
        model.compile("adam")
        return model

    assert same(results(again(arguments()))[0], results(trained(arguments()))[0])


def test_compile_config() -> None:
    config = trained({"loss": ["mse", "mae"], "metrics": [["mae"], ["mse"]]}).get_compile_config

    def use(given: Any) -> Any:
        model = two_outputs()
        model.compile_from_config(given)
        return model

    kept_apart(config, use, results)


CALLS: dict[str, Callable[[], dict[str, Any]]] = {
    "fit": lambda: {
        "x": [X.copy(), X.copy()], "y": [Y.copy(), Y.copy()], "sample_weight": [np.ones(2), np.ones(2)],
        "callbacks": [], "validation_data": ([X.copy(), X.copy()], [Y.copy(), Y.copy()]), "validation_freq": [1],
    },
    "fit ": lambda: {"x": {"j": X.copy(), "i": X.copy()}, "y": {"b": Y.copy(), "a": Y.copy()}, "callbacks": []},
    "evaluate": lambda: {"x": [X.copy(), X.copy()], "y": [Y.copy(), Y.copy()], "callbacks": []},
    "predict": lambda: {"x": {"j": X.copy(), "i": X.copy()}, "callbacks": []},
    "train_on_batch": lambda: {"x": [X.copy(), X.copy()], "y": [Y.copy(), Y.copy()]},
    "test_on_batch": lambda: {"x": [X.copy(), X.copy()], "y": [Y.copy(), Y.copy()]},
    "predict_on_batch": lambda: {"x": [X.copy(), X.copy()]},
}  # fmt: skip


@pytest.mark.parametrize("method", CALLS)
def test_data_of_a_model(method: str) -> None:
    def use(given: Any) -> Any:
        model = trained({"loss": "mse"})
        quiet = {} if "batch" in method else {"verbose": 0}
        found = getattr(model, method.strip())(**given, **quiet)
        return found.history if method.startswith("fit") else found, model

    kept_apart(CALLS[method], use, lambda made: [made[0], made[1].predict([X, X], verbose=0)])


def test_class_weight() -> None:
    def use(given: Any) -> Any:
        model = keras.Sequential([keras.Input((3,)), L.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(X, Y, class_weight=given, verbose=0)
        return model

    given = {0: 1.0, 1: 3.0}
    use(given)
    assert given == {0: 1.0, 1: 3.0}


def test_predictions_are_not_the_data() -> None:
    i = keras.Input((3,))
    for model in (keras.Model(i, L.Identity()(i)), keras.Sequential([keras.Input((3,)), L.Reshape((3, 1))])):
        x = X.copy()
        for outputs in (model.predict_on_batch(x), model.predict(x, verbose=0)):
            outputs += 1
            assert (x == X).all()


def look_at(model: Any) -> Any:
    return [tensor.name for tensor in pytree.tree_leaves((model.inputs, model.outputs, model.input, model.output))]


@pytest.mark.parametrize("ends", ["lists", "dictionaries"])
def test_ends_of_a_model(ends: str) -> None:
    i, j = keras.Input((3,), name="i"), keras.Input((3,), name="j")
    a, b = L.Dense(2, name="a")(i), L.Dense(3, name="b")(j)
    given = [[i, j], [a, b]] if ends == "lists" else [{"i": i, "j": j}, {"a": a, "b": b}]
    x = {"i": X, "j": X} if ends == "dictionaries" else [X, X]
    model = keras.Model(*given)
    before = look_at(model), pytree.tree_map(np.copy, model.predict(x, verbose=0)), model.get_config()
    for structure in (*given, model.input, model.output, model.inputs, model.outputs, model.layers):
        structure.clear()
    assert same(before, (look_at(model), model.predict(x, verbose=0), model.get_config()))
    copied = keras.models.clone_model(model)
    assert same(pytree.tree_map(np.shape, copied.predict(x, verbose=0)), pytree.tree_map(np.shape, before[1]))


def test_layers_of_a_sequential() -> None:
    layers = [keras.Input((3,)), L.Dense(2)]
    model = keras.Sequential(layers)
    layers.append(L.Dense(5))
    model.layers.append(L.Dense(5))
    assert model.predict(X, verbose=0).shape == (2, 2)
    assert len(layers) == 3


@pytest.mark.parametrize(
    "make", [two_outputs, lambda: keras.Sequential([keras.Input((3,)), L.Dense(2, name="d")], name="s")]
)
def test_config_of_a_model(make: Callable[[], Any]) -> None:
    model = make()
    config = lambda: listed(model.get_config())  # noqa: E731
    kept_apart(config, type(model).from_config, lambda made: made.get_config())
    kept_apart(
        lambda: keras.saving.serialize_keras_object(model),
        keras.saving.deserialize_keras_object,
        lambda made: made.get_config(),
    )
    before = copy.deepcopy(model.get_config())
    spoil(model.get_config())
    assert same(model.get_config(), before)


class Popping(L.Layer):
    """Its `from_config` takes its part out of the config, as users write it."""

    def __init__(self, size: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = size

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        size = config.pop("size")
        return cls(size, **config)

    def call(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


def test_from_config_of_a_user_and_custom_objects() -> None:
    described = keras.saving.serialize_keras_object(keras.Sequential([keras.Input((3,)), Popping(3)]))
    objects: dict[str, Any] = {"Popping": Popping}
    before = copy.deepcopy(described)
    for _ in range(2):
        keras.saving.deserialize_keras_object(described, custom_objects=objects)
        keras.Sequential.from_config(described["config"], custom_objects=objects)
    assert described == before
    assert objects == {"Popping": Popping}
    with keras.saving.custom_object_scope(objects):
        objects.clear()
        keras.saving.deserialize_keras_object(described)


def test_saving_leaves_custom_objects_alone(tmp_path: Path) -> None:
    path, objects = tmp_path / "m.keras", {"Popping": Popping}
    keras.Sequential([keras.Input((3,)), Popping(3)]).save(path)
    keras.models.load_model(path, custom_objects=objects)
    assert objects == {"Popping": Popping}


# Callbacks and the like -----------------------------------------------------------------------------------------------


def test_callbacks_and_their_lists() -> None:
    one = callbacks.Callback()
    given = [one]
    several = callbacks.CallbackList(given, add_history=True)
    assert given == [one]
    given.clear()
    assert one in several.callbacks
    headers = {"key": "a"}
    monitor = callbacks.RemoteMonitor(headers=headers)
    headers.clear()
    assert monitor.headers == {"key": "a"}


def test_optimizers_and_schedules() -> None:
    boundaries, values = [1.0, 2.0], [0.3, 0.2, 0.1]
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
    before = [float(schedule(step)) for step in range(4)]
    spoil([boundaries, values])
    spoil(schedule.get_config())
    assert [float(schedule(step)) for step in range(4)] == before
