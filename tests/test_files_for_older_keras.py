"""What Lamina's older generations write, read and written again by the real ones and read once more.

These live in interpreters of their own, which variables name: LAMINA_KERAS1_PYTHON (Keras 1.2.2, with Theano and
TensorFlow), LAMINA_KERAS2_PYTHON (2.3.1, both) and LAMINA_TF_KERAS_PYTHON. What has none is skipped.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_contract_of_generations as contract
import torch
from support import older_reads
from support.golden import process_settings
from torch.utils import _pytree as pytree

import lamina
from lamina.translation.keras1 import KERAS1
from lamina.translation.keras2 import KERAS2

Case = tuple[Any, Any, Any]  # a model, compiled or not, its inputs and targets
Make = Callable[[], Case]
GENERATIONS = {"keras1": "keras", "keras2": "keras", "tf_keras": "tf_keras"}  # and how the real ones are imported


def space(generation: str) -> Any:
    return importlib.import_module(f"lamina.{generation}")


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(8, 4)).astype("float32"), np.eye(2, dtype="float32")[random.integers(0, 2, 8)]


def trained(model: Any, *settings: Any, targets: Any = None, steps: int = 2, **arguments: Any) -> Case:
    """After some steps, so that the optimizer has a state."""
    model.compile(*settings, **arguments)
    x, y = data()
    y = y if targets is None else targets
    for _ in range(steps):
        model.train_on_batch(x, y)
    return model, x, y


def small(keras: Any, activation: Any = "softmax", **options: Any) -> Any:
    first = keras.layers.Dense(3, activation="tanh", input_shape=(4,), **options)
    return keras.models.Sequential([first, keras.layers.Dense(2, activation=activation)])


# What the real ones do not read, and why.
LEFT_OUT = {
    "tf_keras": (
        *("MultiHeadAttention", "SimpleRNNCell", "GRUCell", "LSTMCell", "StackedRNNCells", "Identity"),
        *("Lamb", "Muon", "ScheduleFreeAdamW"),  # which it has not
        *("ConcordanceCorrelation", "PearsonCorrelation", "auc", "precision", "recall"),  # nor these, by these names
        "cosine_proximity",
        *("Adafactor", "Lion"),  # which it does not find in its own .h5 files
        "Nadam",  # which begins the product of its momenta anew
    ),
    "keras2": (
        *("CuDNNGRU", "CuDNNLSTM"),  # which ran on GPUs alone
        *("huber", "binary_focal_crossentropy", "categorical_focal_crossentropy", "auc", "precision", "recall"),
        *("SimpleRNNCell", "GRUCell", "LSTMCell", "StackedRNNCells"),  # whose states it does not give back
    ),  # which it has not, by these names
    "keras1": (
        "Nadam",  # which begins the product of its momenta anew
        *("categorical_hinge", "cosine_similarity", "huber", "auc", "sparse_top_k_categorical_accuracy"),
        *("binary_focal_crossentropy", "categorical_focal_crossentropy"),  # which it has not
    ),
}  # tf_keras: tensors given in other places than the first, and the policy in the config of `Identity`

# What is written -----------------------------------------------------------------------------------------------------


def layers(generation: str, theano: bool) -> Iterator[tuple[str, Make]]:
    for old in contract.OLD:
        own = contract.SPACES[old.generation] == generation and old.name not in LEFT_OUT[generation]
        if own and contract.tells_all(old) and theano == (old.case.record.get("backend") == "theano"):
            yield f"layer-{old.case.record['id']}", lambda old=old: of_layer(old)


def of_layer(old: contract.Old) -> Case:
    keras, layer, args = old.space, old.make(), old.args()
    batch = pytree.tree_leaves(args)[0].shape[0] if getattr(layer, "stateful", False) else None
    with process_settings(old.case, lamina):
        symbols = pytree.tree_map(
            lambda x: keras.layers.Input(
                batch_shape=(batch, *x.shape[1:]), dtype=str(x.dtype).removeprefix("torch.")
            ),
            args,
        )  # fmt: skip
        model = keras.models.Model(pytree.tree_leaves(symbols), layer(*symbols))
    return model, [leaf.numpy() for leaf in pytree.tree_leaves(args)], None


OPTIMIZERS = {
    "SGD-momentum": ("SGD", {"momentum": 0.9, "nesterov": True, "clipnorm": 1.0}),
    "Adam-amsgrad": ("Adam", {"amsgrad": True}),
    "Adam-clipped": ("Adam", {"clipvalue": 0.01}),
    "RMSprop-centered": ("RMSprop", {"centered": True, "momentum": 0.5}),
    "SGD-ema": ("SGD", {"use_ema": True, "momentum": 0.5}),
    "AdamW-decay": ("AdamW", {"weight_decay": 0.01, "global_clipnorm": 0.1}),
    "Adagrad-start": ("Adagrad", {"initial_accumulator_value": 0.5}),
}
SCHEDULES = {
    "ExponentialDecay": (0.1, 10, 0.9),
    "CosineDecay": (0.1, 10),
    "CosineDecayRestarts": (0.1, 3),
    "PiecewiseConstantDecay": ([1, 3], [0.1, 0.05, 0.01]),
    "PolynomialDecay": (0.1, 5),
    "InverseTimeDecay": (0.1, 5, 0.5),
}


def optimizers(generation: str) -> Iterator[tuple[str, Make]]:
    keras = space(generation)
    o = keras.optimizers
    told: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in public(keras, "optimizers")}
    told |= OPTIMIZERS
    table = {"keras1": KERAS1, "keras2": KERAS2}.get(generation)
    for label, (name, options) in told.items():
        if name in LEFT_OUT[generation] or (table is not None and table.find(name, "optimizers") is None):
            continue
        try:
            made = getattr(o, name)(**options)
        except (TypeError, AttributeError):
            continue  # this generation has no such argument

        def make(name: str = name, options: dict[str, Any] = options) -> Case:
            return trained(small(keras), getattr(o, name)(**options), "categorical_crossentropy")

        if getattr(made, "_slot_names", None) is not None:
            yield f"optimizer-{label}", make
    for name, arguments in SCHEDULES.items() if generation == "tf_keras" else ():

        def scheduled(name: str = name, arguments: Any = arguments) -> Case:
            rate = getattr(o.schedules, name)(*arguments)
            return trained(small(keras), o.Adam(rate), "categorical_crossentropy")

        yield f"optimizer-{name}", scheduled


BASES = {
    "Layer",
    "Loss",
    "Metric",
    "Optimizer",
    "OptimizerV2",
    "Mean",
    "Sum",
    "MeanTensor",
    "Reduction",
    "MeanMetricWrapper",
}
WITHOUT = {"LossScaleOptimizer", "TFOptimizer", "CTC"}


def public(keras: Any, home: str) -> list[str]:
    module = getattr(keras, home)
    found = {name: getattr(module, name) for name in dir(module) if name[0].isupper()}
    return [name for name, item in found.items() if isinstance(item, type) and name not in BASES | WITHOUT]


ARGUMENTS: dict[str, dict[str, Any]] = {
    "IoU": {"num_classes": 2, "target_class_ids": [0]},
    "MeanIoU": {"num_classes": 2},
    "OneHotIoU": {"num_classes": 2, "target_class_ids": [1]},
    "OneHotMeanIoU": {"num_classes": 2},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "TopKCategoricalAccuracy": {"k": 1},
    "SparseTopKCategoricalAccuracy": {"k": 1},
    "MeanRelativeError": {"normalizer": [1.0, 2.0]},
}
WHOLE = np.array([[0], [1], [1], [0], [1], [0], [0], [1]])
NAMED = (
    "mse", "mae", "mape", "msle", "categorical_crossentropy", "binary_crossentropy", "sparse_categorical_crossentropy",
    "hinge", "squared_hinge", "categorical_hinge", "poisson", "cosine_proximity", "cosine_similarity", "logcosh",
    "kullback_leibler_divergence", "huber", "binary_focal_crossentropy", "categorical_focal_crossentropy",
)  # fmt: skip
NAMED_METRICS = (
    "accuracy", "acc", "mae", "mse", "binary_accuracy", "categorical_accuracy", "top_k_categorical_accuracy",
    "sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy", "binary_crossentropy", "cosine_proximity",
    "categorical_crossentropy", "sparse_categorical_crossentropy", "hinge", "kullback_leibler_divergence", "auc",
    "precision", "recall", "fmeasure", "matthews_correlation", "cosine_similarity", "logcosh", "crossentropy", "ce",
)  # fmt: skip


def objectives(generation: str) -> Iterator[tuple[str, Make]]:
    keras = space(generation)

    def targets(name: str) -> Any:
        return WHOLE if name.lower().startswith("sparse") else None

    def words(names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in LEFT_OUT[generation]]

    for name in public(keras, "losses") if generation != "keras1" else ():
        yield (
            f"loss-{name}",
            lambda name=name: trained(small(keras), "sgd", getattr(keras.losses, name)(), targets=targets(name)),
        )
    for name in words(NAMED):
        yield f"loss-{name}", lambda name=name: trained(small(keras), "sgd", name, targets=targets(name))
    for name in words(public(keras, "metrics")) if generation == "tf_keras" else ():  # others read no metrics but names

        def make(name: str = name) -> Case:
            loss = "sparse_categorical_crossentropy" if targets(name) is not None else "mse"
            metric = getattr(keras.metrics, name)(**ARGUMENTS.get(name, {}))
            return trained(small(keras), "sgd", loss, metrics=[metric], targets=targets(name))

        yield f"metric-{name}", make
    for name in words(NAMED_METRICS):

        def named(name: str = name) -> Case:
            loss = "sparse_categorical_crossentropy" if targets(name) is not None else "mse"
            return trained(small(keras), "sgd", loss, metrics=[name], targets=targets(name))

        yield f"metric-{name}", named


def models(generation: str) -> Iterator[tuple[str, Make]]:
    keras = space(generation)
    L, Input, Model = keras.layers, keras.layers.Input, keras.models.Model
    own = older_reads.own_classes(keras)
    x, y = data()

    def regularizer() -> Any:
        found = keras.regularizers
        return found.l1l2(0.01, 0.02) if generation == "keras1" else found.l1_l2(0.01, 0.02)

    def functional() -> Case:
        start = Input(shape=(4,))
        shared = L.Dense(4, name="shared")
        return trained(Model(start, L.Dense(2)(L.Dropout(0.0)(shared(shared(start))))), "adam", "mse")

    def several() -> Case:
        a, b = Input(shape=(4,), name="a"), Input(shape=(4,), name="b")
        joined = L.merge([a, b], mode="concat") if generation == "keras1" else L.concatenate([a, b])
        one, two = L.Dense(2, name="one")(joined), L.Dense(2, name="two")(L.Dense(3)(b))
        model = Model([a, b], [one, two])
        # From .h5 tf_keras gives the second output's value for both metrics of one name.
        metrics = None if generation == "tf_keras" else ["mse"]
        model.compile("adam", {"one": "mse", "two": "mae"}, loss_weights={"one": 0.5, "two": 2.0}, metrics=metrics)
        model.train_on_batch([x, x[::-1].copy()], [y, y])
        return model, [x, x[::-1].copy()], [y, y]

    def nested() -> Case:
        start = Input(shape=(4,))
        inner = keras.models.Sequential([L.Dense(3, input_shape=(4,)), L.BatchNormalization(), L.Dense(3)])
        end = Model(middle := Input(shape=(3,)), L.Dense(2)(L.BatchNormalization()(middle)))
        return trained(Model(start, end(inner(L.Dense(4)(start)))), "adam", "mse")

    def gan() -> Case:
        make, judge = small(keras), keras.models.Sequential([L.Dense(3, input_shape=(2,)), L.Dense(2)])
        make.compile("sgd", "mse")
        judge.compile("adam", "mse")
        judge.train_on_batch(y, y)
        judge.trainable = False
        start = Input(shape=(4,))
        return trained(Model(start, judge(make(start))), "adam", "mse")

    def frozen() -> Case:
        model = small(keras)
        model.layers[0].trainable = False
        return trained(model, "adam", "mse")

    def regularized() -> Case:
        words = ("W_regularizer", "b_constraint", "init") if generation == "keras1" else ()
        words = words or ("kernel_regularizer", "bias_constraint", "kernel_initializer")
        values = regularizer(), "nonneg" if generation == "keras1" else "non_neg", "he_normal"
        return trained(small(keras, **dict(zip(words, values, strict=True))), "adam", "mse")

    def recurrent() -> Case:
        start = Input(shape=(4, 4))
        inner = L.Bidirectional(L.LSTM(3, return_sequences=True))(L.Masking(0.5)(start))
        model = Model(start, L.Dense(2)(L.GRU(3)(L.TimeDistributed(L.Dense(3))(inner))))
        model.compile("rmsprop", "mse")
        steps = np.random.default_rng(1).normal(size=(8, 4, 4)).astype("float32")
        model.train_on_batch(steps, y)
        return model, steps, y

    def together() -> Case:
        steps, state = Input(shape=(4, 4), name="steps"), Input(shape=(3,), name="state")
        z = L.GRU(3, return_sequences=True)(steps, initial_state=state)
        z = L.Bidirectional(L.LSTM(3))(z, initial_state=[state] * 4)
        if generation == "tf_keras":
            seen = L.MultiHeadAttention(2, 2)(L.Reshape((2, 3))(z), value=steps)
            z, *_ = L.LSTMCell(3)(L.Flatten()(L.Identity()(seen)), [state, state])
        model = Model([steps, state], L.Dense(2)(z))
        model.compile("sgd", "mse")
        values = np.random.default_rng(1).normal(size=(8, 4, 4)).astype("float32")
        given = [values, values[:, 0, :3].copy()]
        model.train_on_batch(given, y)
        return model, given, y

    def pictures() -> Case:
        convolution = (lambda n, k: L.Convolution2D(n, k, k)) if generation == "keras1" else L.Conv2D
        start = Input(shape=(8, 8, 3))
        z = L.BatchNormalization()(convolution(4, 3)(start))
        model = Model(start, L.Dense(2)(L.Flatten()(L.MaxPooling2D()(convolution(3, 2)(L.Activation("relu")(z))))))
        model.compile("adam", "mse")
        seen = np.random.default_rng(1).normal(size=(8, 8, 8, 3)).astype("float32")
        model.train_on_batch(seen, y)
        return model, seen, y

    def block() -> Case:
        start = Input(shape=(4,))
        return trained(Model(start, L.Dense(2)(own["Block"](4)(start))), "adam", "mse")

    def subclassed() -> Case:
        model = own["Net"](4)
        model(torch.from_numpy(x))
        return trained(model, "adam", "mse")

    def after_input() -> Case:
        stack = [L.InputLayer((4,), name="first"), L.Dense(3, activation="tanh"), L.Dense(2)]
        return trained(keras.models.Sequential(stack), "adam", "mse")

    def empty() -> Case:
        start = Input(shape=(4,))
        return Model(start, L.Activation("tanh")(start)), x, None

    tests = [functional, several, nested, frozen, regularized, recurrent, pictures, after_input, empty]
    if generation == "tf_keras":  # the files of the others forget that a model inside is frozen
        tests.append(gan)
    for make in (*tests, *((block, subclassed, together) if generation != "keras1" else ())):
        yield f"model-{make.__name__}", make
    yield "model-sequential", lambda: trained(small(keras), "adam", "mse")


def refuses(make: Make) -> bool:
    """Whether this generation has no such loss, metric or argument."""
    try:
        make()
    except (ValueError, TypeError, AttributeError) as error:
        return bool(error)
    return False


# TensorFlow 1 reads variables while others are updated, in no fixed order: of models it tells the loss of one step, and
# optimizers are compared on Theano, where the weights of `Dense` are the same.


def write(folder: Path, generation: str, cases: dict[str, Make]) -> dict[str, Any]:
    """Write the cases' files, and what the models computed after that."""
    told: dict[str, Any] = {}
    tf_keras = generation == "tf_keras"
    for name, make in cases.items():
        torch.manual_seed(0)
        model, inputs, targets = make()
        own = type(model).__name__ == "Net"
        files = ([".h5"] if not own else []) + ([".keras"] if tf_keras else [])
        weights = ["_weights.h5", *([".weights.h5"] if tf_keras else [])] if name.startswith("model-") else []
        for ending in files:
            model.save(folder / f"{name}{ending}")
        for ending in weights:
            model.save_weights(folder / f"{name}{ending}")
        if weights and not own:
            (folder / f"{name}.json").write_text(model.to_json())
        inputs = inputs if isinstance(inputs, list) else [inputs]
        targets = [] if targets is None else targets if isinstance(targets, list) else [targets]
        for layer in model.layers:
            contract.reset(layer)
        arrays = {f"x{index}": each for index, each in enumerate(inputs)}
        arrays |= {f"t{index}": each for index, each in enumerate(targets)}
        arrays |= {f"y{index}": each for index, each in enumerate(older_reads.outputs_of(model, inputs))}
        np.savez(folder / f"{name}.npz", **arrays)
        case: dict[str, Any] = {"inputs": len(inputs), "targets": len(targets), "files": files, "weights": weights}
        results = older_reads.results_of(model, inputs, targets) if targets else []
        steps = 1 if name.startswith("model-") and not tf_keras else 2
        told[name] = {**case, "own": own, "results": results, "steps": steps}
    (folder / "cases.json").write_text(json.dumps(told))
    return told


# Tests ---------------------------------------------------------------------------------------------------------------


def test_tf_keras_finds_every_tensor_of_a_call() -> None:
    keras = lamina.tf_keras
    L = keras.layers
    a, b, c = (keras.Input(shape, name=name) for name, shape in (("a", (5, 4)), ("b", (6, 4)), ("c", (4,))))

    def written(outputs: Any, *inputs: Any) -> Any:
        config = json.loads(keras.Model(list(inputs), outputs).to_json())["config"]
        return config["layers"][-1]["inbound_nodes"]

    state = ["c", 0, 0]  # as tf_keras 2.21 writes them
    assert written(L.MultiHeadAttention(2, 3)(a, b), a, b) == [[["a", 0, 0, {"value": ["b", 0, 0]}]]]
    assert written(L.MultiHeadAttention(2, 3)(query=a, value=b, key=b), a, b) == [
        [["a", 0, 0, {"value": ["b", 0, 0], "key": ["b", 0, 0]}]]
    ]
    assert written(L.GRUCell(4)(c, [c])[0], c) == [[[*state, {"states": [state]}]]]
    assert written(L.LSTMCell(4)(c, states=[c, c])[0], c) == [[[*state, {"states": [state, state]}]]]
    assert written(L.GRU(4)(a, initial_state=c), a, c) == [[["a", 0, 0, {}], [*state, {}]]]
    both = L.Bidirectional(L.LSTM(4))(a, initial_state=[c] * 4)
    assert written(both, a, c) == [[["a", 0, 0, {}], *[[*state, {}]] * 4]]
    assert written(L.Dropout(0.5)(a, training=True), a) == [[["a", 0, 0, {"training": True}]]]
    assert L.Identity(name="i").get_config() == {"name": "i", "trainable": True, "dtype": "float32"}


def sequential_config(generation: str, *layers: str, **options: Any) -> dict[str, Any]:
    """Its config without its layers' own arguments, which other tests compare."""
    keras = space(generation)
    made = {
        "input": lambda: keras.layers.InputLayer((4,), name="first"),
        "dense": lambda: keras.layers.Dense(2, name="dense", **options),
        "inner": lambda: keras.models.Sequential([keras.layers.Dense(2, input_shape=(4,))], name="inner"),
    }
    model = keras.models.Sequential([made[layer]() for layer in layers])
    if not model.built:
        model.build((None, 4))
    config = model.get_config()
    config = config if isinstance(config, dict) else {"layers": config}
    found = {key: value for key, value in config.items() if key not in ("name", "layers")}
    return {**found, "layers": [(entry["class_name"], entry["config"].get("name")) for entry in config["layers"]]}


FIRST, IMPLIED, DENSE = ("InputLayer", "first"), ("InputLayer", "dense_input"), ("Dense", "dense")
BUILD = {"build_input_shape": (None, 4)}


def test_sequential_models_tell_their_input_as_the_originals_do() -> None:
    shape = {"input_shape": (4,)}
    assert sequential_config("keras1", "input", "dense") == {"layers": [FIRST, DENSE]}
    assert sequential_config("keras1", "dense", **shape) == {"layers": [DENSE]}
    assert sequential_config("keras2", "dense", **shape) == {"layers": [DENSE]}
    assert sequential_config("keras2", "dense") == {"layers": [DENSE], **BUILD}
    assert sequential_config("keras2", "input", "dense") == {"layers": [DENSE], **BUILD}  # the original cannot read its
    assert sequential_config("tf_keras", "input", "dense") == {"layers": [FIRST, DENSE]}
    assert sequential_config("tf_keras", "dense", **shape) == {"layers": [IMPLIED, DENSE]}
    assert sequential_config("tf_keras", "dense") == {"layers": [IMPLIED, DENSE]}
    inner = [("InputLayer", "inner_input"), ("Sequential", "inner"), DENSE]
    assert sequential_config("tf_keras", "inner", "dense")["layers"] == inner
    assert sequential_config("keras2", "inner", "dense")["layers"] == inner[1:]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_losses_and_metrics_are_written_as_they_were_named(generation: str) -> None:
    said: dict[str, Any] = {}
    for name, make in objectives(generation):
        kind, _, word = name.partition("-")
        if word.islower() and not refuses(make):
            found = make()[0].get_compile_config()
            said[name] = found["loss"] if kind == "loss" else found["metrics"][0]
    assert len(said) > 10
    assert {name: value for name, value in said.items() if name.partition("-")[2] != value} == {}


def read_back(folder: Path, generation: str, told: dict[str, Any]) -> dict[str, str]:
    """What differs in the files that Keras wrote again."""
    found = {}
    objects = older_reads.own_classes(space(generation))
    for name, case in told.items():
        for ending in case["files"]:
            if (folder / "back" / f"{name}{ending}").exists():
                try:
                    model = lamina.load_model(folder / "back" / f"{name}{ending}", custom_objects=objects)
                    found[f"{name}{ending}"] = older_reads.difference(model, case, np.load(folder / f"{name}.npz"))
                except Exception as error:
                    found[f"{name}{ending}"] = older_reads.told(error)
    return {name: problem for name, problem in found.items() if problem}


# What tf_keras 2.21 writes of the metrics of trained models, by the outputs' names and what they were compiled with.
_COUNTED: dict[str, tuple[str, dict[str, Any], dict[str, list[tuple]]]] = {
    "functions": (
        "b",
        {"loss": "mse", "metrics": ["mae", "accuracy"]},
        {"mean": [(), ()], "mean_metric_wrapper": [(), ()], "mean_metric_wrapper_1": [(), ()]},
    ),
    "weighted": (
        "b",
        {"loss": "mse", "metrics": ["mse"], "weighted_metrics": ["mae", "AUC"]},
        {
            "mean": [(), ()],
            "mean_metric_wrapper": [(), ()],
            "mean_metric_wrapper_1": [(), ()],
            "auc": [(200,), (200,), (200,), (200,)],
        },
    ),
    "outputs": (
        "pq",
        {"loss": ["mse", "binary_crossentropy"], "metrics": {"p": ["mae"], "q": ["accuracy"]}},
        {
            "mean": [(), ()],
            "mean_1": [(), ()],
            "mean_2": [(), ()],
            "mean_metric_wrapper": [(), ()],
            "mean_metric_wrapper_1": [(), ()],
        },
    ),
    "loss": ("b", {"loss": "mse"}, {"mean": [(), ()]}),
}


@pytest.mark.parametrize("case", _COUNTED)
def test_what_a_tf_keras_model_counted_is_in_its_weights(case: str, tmp_path: Path) -> None:
    h5py, tf_keras = pytest.importorskip("h5py"), lamina.tf_keras
    outputs, given, expected = _COUNTED[case]
    start = tf_keras.Input((4,))
    ends = [tf_keras.layers.Dense(1, activation="sigmoid", name=name)(start) for name in outputs]
    model = tf_keras.Model(start, ends if len(ends) > 1 else ends[0])
    model.compile("sgd", **given)
    model.save_weights(tmp_path / "fresh.weights.h5")
    x, y = np.random.default_rng(0).normal(size=(8, 4)), np.ones((8, 1))
    model.fit(x, [y] * len(ends) if len(ends) > 1 else y, verbose=0)
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "fresh.weights.h5") as fresh, h5py.File(tmp_path / "m.weights.h5") as file:
        assert "metrics" not in fresh
        found = {name: [array.shape for array in group["vars"].values()] for name, group in file["metrics"].items()}
        assert found == expected
        total, count = (float(file[f"metrics/mean/vars/{index}"][()]) for index in range(2))
    assert count == 8
    np.testing.assert_allclose(total / count, model.metrics[0].result(), rtol=1e-6)
    model.load_weights(tmp_path / "m.weights.h5")


KINDS = {
    "layer": lambda generation: dict(layers(generation, False)),
    "layer_theano": lambda generation: dict(layers(generation, True)),
    "optimizer": lambda generation: dict(optimizers(generation)),
    "objective": lambda generation: {n: make for n, make in objectives(generation) if not refuses(make)},
    "model": lambda generation: dict(models(generation)),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_keras_reads_what_lamina_writes_and_the_other_way_round(generation: str, kind: str, tmp_path: Path) -> None:
    python = os.environ.get(f"LAMINA_{generation.upper()}_PYTHON")
    cases = KINDS[kind](generation)
    if generation == "tf_keras":  # it runs the former on GPUs alone, and reads the latter as the metric of that name
        cases = {name: make for name, make in cases.items() if "CuDNN" not in name and "cosine_similarity" not in name}
    if not python or not cases:
        pytest.skip(f"LAMINA_{generation.upper()}_PYTHON names no interpreter, or nothing of the kind")
    told = write(tmp_path, generation, cases)
    theano = kind == "layer_theano" or (kind == "optimizer" and generation != "tf_keras")
    settings = {"KERAS_BACKEND": "theano" if theano else "tensorflow", "TF_USE_LEGACY_KERAS": "1"}
    command = [python, "-I", older_reads.__file__, GENERATIONS[generation], str(tmp_path)]
    subprocess.run(command, check=True, env={**os.environ, **settings}, capture_output=True, cwd=tmp_path)
    said = json.loads((tmp_path / "result.json").read_text())
    assert {name: problem for name, problem in said.items() if problem} == {}
    assert read_back(tmp_path, generation, told) == {}
