"""What Lamina writes, read and written again by the real Keras 3 and read once more.

Keras lives in an interpreter of its own, which the variable LAMINA_KERAS_PYTHON names; without it that test is
skipped.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from support import keras_reads, quantized
from support.examples import EXAMPLES, policy
from torch.utils import _pytree as pytree

import lamina as keras

L = keras.layers
PYTHON = os.environ.get("LAMINA_KERAS_PYTHON")
OWN = keras_reads.own_classes(keras)
Case = tuple[Any, Any, Any]  # a model, compiled or not, its inputs and targets

# Layers whose files Keras 3 cannot read, and why.
OURS = {
    **{f"LocallyConnected{rank}D": "Keras 3 has none" for rank in (1, 2, 3)},
    "TorchModuleWrapper": "Keras pickles the module, which Lamina never does",
    "Squash": "in no module that Keras knows",
    **dict.fromkeys(("Hashing", "HashedCrossing", "IntegerLookup"), "Keras needs TensorFlow for it"),
    **dict.fromkeys(("AugMix", "MixUp", "CutMix"), "random at inference, too"),
}
# Those that Keras 3.15 on torch fails on, or computes otherwise than on its other backends.
OTHERWISE = {
    "AveragePooling2D-1", "AveragePooling3D-1", "ContrastLimitedAdaptiveHistogramEqualization-0", "EinsumDense-3",
    "Equalization-0", "LayerNormalization-2", "Resizing-1", "Resizing-2", "Resizing-3", "UpSampling2D-2",
}  # fmt: skip


def of_layer(example: Any) -> Case:
    with policy("float32"):
        layer, symbols, tensors = example.built(), example.symbols(), example.tensors()
    model = keras.Model(pytree.tree_leaves(symbols), layer(*symbols))
    return model, [leaf.numpy() for leaf in pytree.tree_leaves(tensors)], None


def of_quantized(way: str) -> Case:
    model = quantized.model(keras, way)
    model.quantize(**quantized.arguments(keras, way))
    return model, [quantized.inputs(way)], None


def data(outputs: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    targets = np.eye(outputs)[random.integers(0, outputs, 8)] if outputs > 1 else random.integers(0, 2, (8, 1))
    return random.normal(size=(8, 4)).astype("float32"), targets.astype("float32")


def trained(model: Any, *settings: Any, targets: Any = None, steps: int = 2, **arguments: Any) -> Case:
    """After some steps, so that the optimizer has a state."""
    model.compile(*settings, **arguments)
    x, y = data()
    y = y if targets is None else targets
    for _ in range(steps):
        model.train_on_batch(x, y)
    return model, x, y


def small(activation: Any = "softmax", **options: Any) -> Any:
    return keras.Sequential([keras.Input((4,)), L.Dense(3, activation="tanh", **options), L.Dense(2, activation)])


def optimizers() -> Iterator[tuple[str, Callable[[], Case]]]:
    o, steps = keras.optimizers, keras.optimizers.schedules
    plain = "Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion Muon Nadam RMSprop SGD ScheduleFreeAdamW"
    made: dict[str, Callable[[], Any]] = {name: getattr(o, name) for name in plain.split()}
    made |= {
        "SGD-momentum": lambda: o.SGD(0.1, momentum=0.9, nesterov=True, clipnorm=1.0),
        "Adam-amsgrad": lambda: o.Adam(0.01, amsgrad=True, weight_decay=0.01, use_ema=True),
        "RMSprop-centered": lambda: o.RMSprop(0.01, centered=True, momentum=0.5),
        "Adam-accumulating": lambda: o.Adam(gradient_accumulation_steps=2),
        "LossScale": lambda: o.LossScaleOptimizer(o.SGD(0.1, momentum=0.5)),
        "exponential": lambda: o.SGD(steps.ExponentialDecay(0.1, 10, 0.9)),
        "cosine": lambda: o.SGD(steps.CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=3)),
        "restarts": lambda: o.Adam(steps.CosineDecayRestarts(0.1, 3)),
        "piecewise": lambda: o.SGD(steps.PiecewiseConstantDecay([1, 3], [0.1, 0.05, 0.01])),
        "polynomial": lambda: o.SGD(steps.PolynomialDecay(0.1, 5, power=2.0)),
        "inverse": lambda: o.SGD(steps.InverseTimeDecay(0.1, 5, 0.5, staircase=True)),
    }
    for name, make in made.items():
        yield f"optimizer-{name}", lambda make=make: trained(small(), make(), "categorical_crossentropy")


SPARSE = {"SparseCategoricalCrossentropy", "SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy"}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "IoU": {"num_classes": 2, "target_class_ids": [0]},
    "BinaryIoU": {},
    "MeanIoU": {"num_classes": 2},
    "OneHotIoU": {"num_classes": 2, "target_class_ids": [1]},
    "OneHotMeanIoU": {"num_classes": 2},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "TopKCategoricalAccuracy": {"k": 1},
    "SparseTopKCategoricalAccuracy": {"k": 1},
    "MeanMetricWrapper": {"fn": OWN["own_loss"], "name": "wrapped"},
}
# Bases, and what takes other targets.
NOT_COMPARED = {
    "Loss", "LossFunctionWrapper", "FunctionLoss", "Metric", "Mean", "Sum", "CTC", "Circle",
    "CategoricalGeneralizedCrossEntropy",
}  # fmt: skip


def public(module: Any, base: type) -> list[str]:
    found = {name: getattr(module, name) for name in dir(module) if name[0].isupper()}
    classes = {name: item for name, item in found.items() if isinstance(item, type) and issubclass(item, base)}
    return [name for name in classes if keras.core.serialize.find(name, f"keras.{module.__name__.split('.')[-1]}")]


def objectives() -> Iterator[tuple[str, Callable[[], Case]]]:
    whole = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    for name in public(keras.losses, keras.losses.Loss):
        if name not in NOT_COMPARED:
            targets = whole if name in SPARSE else None
            loss = getattr(keras.losses, name)
            yield f"loss-{name}", lambda loss=loss, y=targets: trained(small(), "sgd", loss(), targets=y)
    named = "mse", "mae", "categorical_crossentropy", "kl_divergence", "hinge", "log_cosh", "poisson", OWN["own_loss"]
    for loss in (*named, OWN["Scaled"](3.0)):
        told = loss if isinstance(loss, str) else type(loss).__name__
        yield f"loss-{told}", lambda loss=loss: trained(small(), "sgd", loss)
    for name in public(keras.metrics, keras.metrics.Metric):
        if name not in NOT_COMPARED:
            loss = "sparse_categorical_crossentropy" if name in SPARSE else "mse"
            targets = whole if name in SPARSE else None

            def make(name: str = name, loss: str = loss, targets: Any = targets) -> Case:
                metric = getattr(keras.metrics, name)(**ARGUMENTS.get(name, {}))
                return trained(small(), "sgd", loss, metrics=[metric], targets=targets)

            yield f"metric-{name}", make
    yield (
        "metric-names",
        lambda: trained(small(), "adam", "mse", metrics=["accuracy", "mae", OWN["own_loss"]], weighted_metrics=["auc"]),
    )


def policies() -> Iterator[tuple[str, Callable[[], Case]]]:
    for name in ("float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"):

        def make(name: str = name) -> Case:
            before = keras.config.dtype_policy()
            keras.config.set_dtype_policy(name)
            try:
                return trained(small(), "sgd", "mse")
            finally:
                keras.config.set_dtype_policy(before)

        yield f"policy-{name}", make
    yield "policy-of-layer", lambda: trained(small(dtype="mixed_bfloat16"), "adam", "mse")


def models() -> Iterator[tuple[str, Callable[[], Case]]]:
    x, y = data()

    def gan() -> Case:
        make = keras.Sequential([keras.Input((4,)), L.Dense(3)], name="generator")
        judge = keras.Sequential([keras.Input((3,)), L.Dense(3, "relu"), L.Dense(2, "softmax")], name="judge")
        make.compile("sgd", "mse")
        judge.compile(keras.optimizers.Adam(0.01), "mse", metrics=["accuracy"])
        judge.train_on_batch(x[:, :3], y)
        judge.trainable = False
        start = keras.Input((4,))
        return trained(keras.Model(start, judge(make(start))), "adam", "mse")

    def nested() -> Case:
        start = keras.Input((4,))
        inner = trained(small("tanh"), "adam", "mse")[0]
        return trained(keras.Model(start, L.Dense(2)(inner(start))), "adam", "mse")

    def several() -> Case:
        a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
        dense = L.Dense(3, name="shared")
        z = dense(a) + 2 / (keras.ops.abs(dense(b)) + 1)
        model = keras.Model({"a": a, "b": b}, {"cut": z[:, 1:] ** 2, "last": L.Dense(2, name="last")(z)})
        model.compile("adam", {"cut": "mse", "last": "mae"}, loss_weights={"cut": 0.5, "last": 2.0})
        inputs, targets = {"a": x, "b": x[::-1].copy()}, {"cut": y, "last": y}
        model.train_on_batch(inputs, targets)
        return model, inputs, targets

    def functional(cls: Any, **options: Any) -> Case:
        start = keras.Input((4,))
        return trained(cls(start, L.Dense(2)(L.Dropout(0.0)(start)), **options), "adam", "mse")

    def subclassed() -> Case:
        model = OWN["Net"](5)
        model(x)
        return trained(model, "adam", "mse")

    def frozen() -> Case:
        model = small()
        model.layers[0].trainable = False
        return trained(model, "adam", "mse")

    def regularized() -> Case:
        return trained(
            small(
                kernel_regularizer=keras.regularizers.L1L2(0.01, 0.02),
                bias_constraint=keras.constraints.MaxNorm(1.0),
                activity_regularizer="l2",
                kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.1, seed=3),
            ),
            "adam",
            "mse",
        )

    def stack() -> Case:
        return trained(keras.Sequential([keras.Input((4,)), OWN["Block"](3), L.Dense(2, OWN["twice"])]), "adam", "mse")

    for make in (gan, nested, several, subclassed, frozen, regularized, stack):
        yield f"model-{make.__name__}", make
    for way in quantized.WAYS:
        yield f"model-quantized_{way}", lambda way=way: of_quantized(way)
    yield "model-Sub", lambda: functional(OWN["Sub"], name="mine")
    yield "model-functional", lambda: functional(keras.Model)
    yield "model-sequential", lambda: trained(small(), "adam", "mse")


def written() -> dict[str, Callable[[], Case]]:
    """All that is written, by name."""
    layers = {
        f"layer-{each.id}": (lambda each=each: of_layer(each))
        for each in EXAMPLES
        if each.name not in OURS and each.id not in OTHERWISE
    }
    return {**layers, **dict(optimizers()), **dict(objectives()), **dict(policies()), **dict(models())}


def write(folder: Path, cases: dict[str, Callable[[], Case]]) -> dict[str, Any]:
    """Write the cases' files, and what the models computed after that."""
    told: dict[str, Any] = {}
    for name, make in cases.items():
        torch.manual_seed(0)
        model, inputs, targets = make()
        model.save(folder / f"{name}.keras")
        kinds = [".weights.h5", ".weights.json"] if name.startswith("model-") else []
        for kind in kinds:
            model.save_weights(folder / f"{name}{kind}", max_shard_size=1 if kind == ".weights.json" else None)
        arrays: dict[str, np.ndarray] = {}

        def names(value: Any, arrays: dict[str, np.ndarray] = arrays) -> Any:
            if isinstance(value, (list, tuple)):
                return [names(item) for item in value]
            if isinstance(value, dict):
                return {key: names(item) for key, item in value.items()}
            arrays[f"a{len(arrays)}"] = value
            return f"a{len(arrays) - 1}"

        case = {"inputs": names(inputs), "targets": None if targets is None else names(targets), "weights": kinds}
        for layer in model.layers:
            if getattr(layer, "stateful", False):
                layer.reset_state()
        with torch.no_grad():
            arrays |= {f"y{index}": each for index, each in enumerate(keras_reads.outputs_of(model, inputs))}
        half = any(weight.dtype in (torch.float16, torch.bfloat16) for weight in model.weights)
        case["half"] = half or any("16" in str(layer.dtype_policy.name) for layer in model.layers)
        case["results"] = [] if targets is None else keras_reads.results_of(model, inputs, targets, 2)
        np.savez(folder / f"{name}.npz", **arrays)
        told[name] = case
    (folder / "cases.json").write_text(json.dumps(told))
    return told


# Tests ---------------------------------------------------------------------------------------------------------------


def read_back(folder: Path, told: dict[str, Any]) -> dict[str, str]:
    """What differs in the files that Keras wrote again."""
    found = {}
    for name, case in told.items():
        model = keras.models.load_model(folder / "back" / f"{name}.keras", custom_objects=OWN)
        found[name] = keras_reads.difference(model, case, np.load(folder / f"{name}.npz"))
    return {name: problem for name, problem in found.items() if problem}


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason="LAMINA_KERAS_PYTHON names no interpreter that has the real Keras 3")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["layer", "optimizer", "loss", "metric", "policy", "model"])
def test_keras_reads_what_lamina_writes_and_the_other_way_round(kind: str, tmp_path: Path) -> None:
    told = write(tmp_path, {name: make for name, make in written().items() if name.startswith(f"{kind}-")})
    script = Path(keras_reads.__file__)
    subprocess.run(
        [str(PYTHON), script, tmp_path], check=True, env={**os.environ, "KERAS_BACKEND": "torch"}, capture_output=True
    )
    said = json.loads((tmp_path / "result.json").read_text())
    assert {name: problem for name, problem in said.items() if problem} == {}
    assert read_back(tmp_path, told) == {}


@pytest.mark.parametrize("name", ["gan", "nested", "several", "subclassed", "frozen", "Sub", "stack"])
@pytest.mark.parametrize("compiled", [True, False])
def test_models_that_hold_others_come_back_and_train_on(name: str, compiled: bool, tmp_path: Path) -> None:
    case = write(tmp_path, {name: dict(models())[f"model-{name}"]})[name]
    again = keras.models.load_model(tmp_path / f"{name}.keras", custom_objects=OWN, compile=compiled)
    assert again.compiled == compiled
    case = case if compiled else {**case, "results": []}
    assert keras_reads.difference(again, case, np.load(tmp_path / f"{name}.npz")) is None


def test_a_discriminator_inside_a_gan_trains_on_with_its_own_state(tmp_path: Path) -> None:
    model, x, y = dict(models())["model-gan"]()
    model.save(tmp_path / "gan.keras")
    again = keras.models.load_model(tmp_path / "gan.keras")
    results = []
    for each in (model, again):
        judge = each.get_layer("judge")
        judge.trainable = True
        results.append(keras_reads.results_of(judge, x[:, :3], y, 3))
        assert int(judge.optimizer.iterations) == 4
    assert results[0] == results[1]


def test_dropout_in_a_file_of_keras_drops_in_training() -> None:
    start = keras.Input((40,))
    config = keras.Model(start, L.Dropout(0.5)(start))
    described = config.get_config()
    described["layers"][1]["inbound_nodes"][0]["kwargs"]["training"] = False  # as Keras 3 writes where none was given
    again = keras.Model.from_config(described)
    x = torch.ones(2, 40)
    assert (again(x, training=True) == 0).any() and (again(x) == 1).all()


def test_modules_of_torch_come_back_in_layers_losses_and_activations(tmp_path: Path) -> None:
    modules = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.ReLU())
    for parameter in modules[0].parameters():
        parameter.requires_grad_(False)
    stack = [keras.Input((4,)), L.TorchModuleWrapper(modules), L.Dense(2, activation=torch.nn.Sigmoid())]
    case = trained(keras.Sequential(stack), "adam", torch.nn.MSELoss())
    case[0].save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert repr(again.layers[0].module) == repr(modules)
    assert [p.requires_grad for p in again.layers[0].module.parameters()] == [False, False, True, True]
    results = [keras_reads.results_of(model, *case[1:], 2) for model in (case[0], again)]
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "arguments",
    [
        {"class_name": "Transformer", "config": {"num_encoder_layers": 10**9}},
        {"class_name": "GRU", "config": {"input_size": 1, "hidden_size": 1, "num_layers": 10**9}},
        {"class_name": "Linear", "config": {"in_features": 10**9, "out_features": 10**9}},
        {"class_name": "DataParallel", "config": {}},
        {"class_name": "Module", "config": {}},
        {"class_name": "Linear", "config": {"in_features": {"class_name": "function"}, "out_features": 1}},
        {"class_name": "load", "config": {"f": "x"}},
    ],
    ids=lambda arguments: arguments["class_name"],
)
def test_modules_that_a_file_may_not_ask_for_are_refused(arguments: dict[str, Any], tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), L.TorchModuleWrapper(torch.nn.Linear(4, 2))])
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(content["config.json"])
    config["config"]["layers"][1]["config"]["module"] |= arguments
    with zipfile.ZipFile(tmp_path / "bad.keras", "w") as archive:
        for name, data_ in {**content, "config.json": json.dumps(config)}.items():
            archive.writestr(name, data_)
    with pytest.raises(ValueError, match=r"bad\.keras"):
        keras.models.load_model(tmp_path / "bad.keras")


class Unnamed:
    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        return (y_true - y_pred).square().mean()


def test_a_loss_without_a_name_is_named_in_the_error_and_one_with_a_name_comes_back(tmp_path: Path) -> None:
    loss = Unnamed()
    model, x, y = trained(small(), "sgd", loss)
    with pytest.raises(TypeError, match="compile, `loss`: Cannot write Unnamed"):
        model.save(tmp_path / "m.keras")
    with keras.saving.custom_object_scope({"my_loss": loss}):
        model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", custom_objects={"my_loss": loss})
    assert again.loss is loss
    assert keras_reads.results_of(again, x, y, 1) == keras_reads.results_of(model, x, y, 1)


class Stiff(keras.Model):
    def __init__(self, units: int):
        super().__init__()
        self.dense = L.Dense(units)

    def call(self, x: Any) -> Any:
        return self.dense(x)


class Forgetful(Stiff):
    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": 2, "more": 1}


def test_what_cannot_be_made_again_is_refused_when_it_is_saved(tmp_path: Path) -> None:
    stiff, forgetful = Stiff(2), Forgetful(2)
    for model in (stiff, forgetful):
        model(torch.ones(1, 4))
    stiff.save(tmp_path / "stiff.keras")
    again = keras.models.load_model(tmp_path / "stiff.keras", custom_objects={"Stiff": Stiff})
    assert torch.equal(again(torch.ones(1, 4)), stiff(torch.ones(1, 4)))
    with pytest.raises(TypeError, match=r"Forgetful.*could not be made again from its config"):
        forgetful.save(tmp_path / "forgetful.keras")
    assert not (tmp_path / "forgetful.keras").exists()


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("generation", ["keras1", "keras2", "tf_keras"])
def test_older_layers_that_cannot_be_made_again_are_saved_with_a_warning(
    generation: str, stacked: bool, suffix: str, tmp_path: Path
) -> None:
    """Keras 1 and 2 write such files, and scripts take the weights out of them again."""
    old: Any = importlib.import_module(f"lamina.{generation}")

    class Scaled(old.layers.Layer):
        def __init__(self, by: float, **kwargs: Any):
            super().__init__(**kwargs)
            self.by = by

        def call(self, x: Any, mask: Any = None) -> Any:
            return x * self.by

        def get_config(self) -> Any:
            return super().get_config()

    def made() -> Any:
        dense, scaled = old.layers.Dense(2, input_shape=(3,)), Scaled(2.0)
        if stacked:
            return old.models.Sequential([dense, scaled])
        inputs = old.layers.Input((3,))
        return old.models.Model(inputs, scaled(dense(inputs)))

    model, again, x = made(), made(), np.ones((2, 3), "float32")
    with pytest.warns(UserWarning, match=r"Scaled.*could not be made again.*missing a required argument: 'by'.*alone"):
        model.save(tmp_path / f"m{suffix}")
    again.load_weights(tmp_path / f"m{suffix}")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("generation", ["keras1", "keras2", "tf_keras"])
def test_older_generations_write_their_own_files_and_read_them(generation: str, tmp_path: Path) -> None:
    old = importlib.import_module(f"lamina.{generation}")
    shape = {"input_shape": (4,)}
    model = old.models.Sequential([old.layers.Dense(3, **shape), old.layers.BatchNormalization(), old.layers.Dense(2)])
    model.compile("adam", "mse")
    x, y = data()
    for _ in range(2):
        model.train_on_batch(x, y)
    for suffix in (".h5", ".keras") if generation == "tf_keras" else (".h5",):
        model.save(tmp_path / f"m{suffix}")
        again = keras.models.load_model(tmp_path / f"m{suffix}")
        assert type(again).__module__ == f"lamina.{generation}.models"
        twin = old.models.load_model(tmp_path / f"m{suffix}")
        assert np.array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
        assert np.ravel(again.train_on_batch(x, y))[0] == np.ravel(twin.train_on_batch(x, y))[0]
    with h5py.File(tmp_path / "m.h5") as file:
        told = file.attrs["keras_version"], file.attrs["backend"]
        steps = file["optimizer_weights"].attrs["weight_names"][0]
    versions = {"keras1": "1.2.2", "keras2": "2.3.1", "tf_keras": "2.21.0"}
    assert told == (versions[generation], "tensorflow")
    assert steps == (b"iteration:0" if generation == "tf_keras" else b"iterations:0")  # bytes, as Keras 2 has it
