"""`isinstance` and `issubclass` in older generations, and what `get` and `deserialize` give there."""

from __future__ import annotations

import abc
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

import lamina
from lamina import keras1, keras2, tf_keras

GENERATIONS = ("keras1", "keras2", "tf_keras")


def _module(generation: str, home: str) -> Any:
    importlib.import_module(f"lamina.{generation}")
    return importlib.import_module(f"lamina.{generation}.{home}")


def _classes(module: Any, skip: tuple[str, ...] = ()) -> list[tuple[str, type]]:
    named = ((name, getattr(module, name)) for name in dir(module) if name[0] != "_" and name not in skip)
    return [(name, item) for name, item in named if isinstance(item, type)]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_layer_is_a_layer(generation: str) -> None:
    layers, models = (_module(generation, home) for home in ("layers", "models"))
    others = [name for name, item in _classes(layers, ("InputSpec",)) if not issubclass(item, layers.Layer)]
    assert not others
    dense = layers.Dense(2)
    assert isinstance(dense, layers.Layer) and isinstance(models.Sequential(), layers.Layer)
    assert not isinstance(dense, (layers.Flatten, models.Model)) and not isinstance(3, layers.Layer)


# (generation, home): pairs of which the first is of the second's kind, as issubclass says in the original; and pairs
# of which it is not.
KINDS = {
    ("keras1", "layers"): (
        "AtrousConvolution2D<Convolution2D Deconvolution2D<Convolution2D AtrousConvolution1D<Convolution1D "
        "LSTM<Recurrent SpatialDropout2D<Dropout TimeDistributed<Wrapper Bidirectional<Wrapper",
        "Convolution2D<AtrousConvolution2D SeparableConvolution2D<Convolution2D GaussianDropout<Dropout LSTM<GRU",
    ),
    ("keras2", "layers"): (
        "LSTM<RNN ConvLSTM2D<RNN CuDNNGRU<RNN Conv2DTranspose<Conv2D DepthwiseConv2D<Conv2D Conv3DTranspose<Conv3D "
        "SpatialDropout1D<Dropout Bidirectional<Wrapper",
        "SeparableConv2D<Conv2D Conv2D<DepthwiseConv2D CuDNNLSTM<LSTM LSTM<Bidirectional AlphaDropout<Dropout",
    ),
    ("tf_keras", "layers"): (
        "GRU<RNN ConvLSTM1D<RNN Conv1DTranspose<Conv1D SpatialDropout3D<Dropout SpectralNormalization<Wrapper",
        "DepthwiseConv2D<Conv2D Conv2D<Conv2DTranspose LSTM<AbstractRNNCell LSTM<Bidirectional AlphaDropout<Dropout",
    ),
    ("tf_keras", "metrics"): (
        "Accuracy<Metric AUC<Metric MeanSquaredError<Mean MeanSquaredError<MeanMetricWrapper MeanRelativeError<Mean "
        "MeanIoU<IoU F1Score<FBetaScore",
        "AUC<Mean Sum<Mean Mean<MeanMetricWrapper Mean<Sum",
    ),
    ("tf_keras", "losses"): ("Huber<Loss MeanSquaredError<Loss", "Huber<MeanSquaredError"),
    ("tf_keras", "optimizers"): ("Adam<Optimizer AdamW<Adam SGD<Optimizer", "SGD<Adam Adam<AdamW"),
    ("keras2", "optimizers"): ("Adam<Optimizer SGD<Optimizer", "SGD<Adam"),
    ("tf_keras", "initializers"): ("GlorotUniform<VarianceScaling Zeros<Initializer", "RandomNormal<VarianceScaling"),
    ("tf_keras", "regularizers"): ("L1<Regularizer L1L2<Regularizer", "L1<L2"),
    ("tf_keras", "constraints"): ("MaxNorm<Constraint", "MaxNorm<NonNeg"),
}


@pytest.mark.parametrize("place", KINDS, ids=".".join)
def test_kinds(place: tuple[str, str]) -> None:
    module = _module(*place)
    for pairs, expected in zip(KINDS[place], (True, False), strict=True):
        for pair in pairs.split():
            one, kind = (getattr(module, name) for name in pair.split("<"))
            assert issubclass(one, kind) is expected, pair


def test_metrics_of_today_are_means() -> None:
    from lamina import layers, metrics

    assert isinstance(metrics.MeanSquaredError(), metrics.MeanMetricWrapper)
    assert issubclass(metrics.MeanMetricWrapper, metrics.Mean) and issubclass(layers.SpatialDropout1D, layers.Dropout)
    assert not issubclass(layers.AlphaDropout, layers.Dropout) and not issubclass(metrics.AUC, metrics.Mean)


def test_what_is_made_by_name_inside_models_is_of_the_generation() -> None:
    """And users' classes are kinds of their own, abstract ones, too."""
    tf_keras = importlib.import_module("lamina.tf_keras")
    layers = tf_keras.layers

    class Base(layers.Layer, abc.ABC):
        pass

    class Own(Base):
        pass

    assert isinstance(Own(), Base) and not isinstance(layers.Dense(1), Base)
    model = tf_keras.Sequential(
        [layers.Dense(2, kernel_regularizer="l2", kernel_constraint="non_neg", input_shape=(3,))]
    )
    model.compile("adam", "mse", metrics=["accuracy", "mae"])
    model.train_on_batch([[1.0, 2.0, 3.0]], [[1.0, 0.0]])
    (dense,) = model.layers
    assert all(isinstance(metric, tf_keras.metrics.Metric) for metric in model.metrics)
    assert isinstance(model.optimizer, tf_keras.optimizers.Adam)
    assert isinstance(dense.kernel_initializer, tf_keras.initializers.GlorotUniform)
    assert isinstance(dense.kernel_regularizer, tf_keras.regularizers.L2)
    assert isinstance(dense.kernel_constraint, tf_keras.constraints.NonNeg)


BASES = {
    "metrics": "Metric", "losses": "Loss", "optimizers": "Optimizer", "regularizers": "Regularizer",
    "constraints": "Constraint", "initializers": "Initializer", "layers": "Layer",
}  # fmt: skip
READ = [
    (generation, home)
    for generation in GENERATIONS
    for home in BASES
    if generation != "keras1" or home in ("layers", "optimizers")
]


@pytest.mark.parametrize(("generation", "home"), READ)
def test_configs_give_the_generations_own_classes(generation: str, home: str) -> None:
    module, told = _module(generation, home), []
    base = getattr(module, BASES[home])
    for name, cls in _classes(module, ("Input", "InputSpec", BASES[home])):
        try:
            made = cls()
        except (TypeError, ValueError):
            continue  # what needs arguments
        if not isinstance(made, base) or isinstance(made, type):
            continue
        described = {"class_name": cls.__name__, "config": made.get_config()}
        forms = [described, module.serialize(made)] if hasattr(module, "serialize") else [described]
        readers = [getattr(module, reader) for reader in ("get", "deserialize") if hasattr(module, reader)]
        for read in readers:
            found = [read(form) for form in forms]
            told += [name for each in found if not (isinstance(each, base) and type(each) is type(made))]
    assert not told


@pytest.mark.parametrize(
    ("generation", "home", "name", "cls"),
    [
        ("tf_keras", "metrics", "Accuracy", "Accuracy"),
        ("tf_keras", "metrics", "AUC", "AUC"),
        ("keras2", "metrics", "Accuracy", "Accuracy"),
        ("tf_keras", "losses", "Huber", "Huber"),
        ("tf_keras", "initializers", "uniform", "RandomUniform"),
        ("tf_keras", "initializers", "normal", "RandomNormal"),
        ("tf_keras", "optimizers", "adam", "Adam"),
        ("tf_keras", "regularizers", "l2", "L2"),
        ("keras2", "initializers", "normal", "RandomNormal"),
    ],
)  # fmt: skip
def test_names_give_the_generations_own_classes(generation: str, home: str, name: str, cls: str) -> None:
    module = _module(generation, home)
    assert type(module.get(name)) is getattr(module, cls)


@pytest.mark.parametrize("generation", ["keras2", "tf_keras"])
def test_accuracy_by_name_is_a_function(generation: str) -> None:
    """Which compares values one by one, as in the originals, and has a name for results."""
    metrics = _module(generation, "metrics")
    for read in (metrics.get, metrics.deserialize):
        accuracy = read("accuracy")
        assert accuracy.__name__ == "accuracy"
        assert accuracy([[1.0, 2.0]], [[1.0, 3.0]]).tolist() == [[1.0, 0.0]]
    assert metrics.get("cosine_similarity").__name__.startswith("cosine_")


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=lambda space: space.__name__[7:])
def test_a_sequential_model_of_today_is_none_of_the_time(space: Any) -> None:
    own = space.models.Sequential
    assert not isinstance(lamina.Sequential(), own)
    assert isinstance(own(), own) and isinstance(own(), lamina.Sequential) and isinstance(own(), space.models.Model)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_classes_are_from_a_file(generation: str) -> None:
    """As `inspect.getfile` is asked by what copies sources."""
    for home, name in (("layers", "Dense"), ("models", "Sequential")):
        assert Path(inspect.getfile(getattr(_module(generation, home), name))).is_file()
