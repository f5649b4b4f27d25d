"""Files of any Keras as today's: `lamina convert`, and the models of today's classes behind it."""

from __future__ import annotations

import json
import lzma
import re
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import test_old_files as old
import torch
from support.golden import FAMILIES, Case, cases

import lamina
from lamina import cli, keras1, keras2, tf_keras
from lamina.core import serialize
from lamina.generations import convert as conversions
from lamina.generations.dialect import DIALECTS
from lamina.generations.modernize import modernized
from lamina.saving import convert
from lamina.translation.modules import KERAS1, KERAS2

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def config_in(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read("config.json").decode()


def assert_same(now: Any, before: Any, x: Any, what: str, **how: Any) -> None:
    with torch.no_grad():
        found, expected = (model(x, **how).float().numpy() for model in (now, before))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5, err_msg=what)


# Layers ---------------------------------------------------------------------------------------------------------------


def one_of_each(found: list[Case]) -> list[Case]:
    return [*{(case.generation, case.record["class"]): case for case in found}.values()]


def assert_converted(case: Case, folder: Path) -> None:
    """A recorded layer predicts as it did as one of today's; its file names Lamina only where it says so."""
    path, written = folder / "model.h5", folder / "now.keras"
    old.write(path, case)
    try:
        model = lamina.load_model(path, compile=False)
    except ValueError as error:  # a shape that the config leaves out
        assert "the weights do not fit" in str(error)
        return
    now, changes = modernized(model)
    now.save(written)
    assert ("lamina" in config_in(written)) <= bool(changes.own), case.id
    if "Random" in case.record["class"]:
        return
    assert_same(lamina.load_model(written, compile=False), model, case.arrays["input0"], case.id)


def test_one_of_every_recorded_layer(tmp_path: Path) -> None:
    """Those of tf.keras that are not Keras 2's: the slow test below takes all."""
    found = one_of_each(old.layer_cases())
    before = {case.record["class"] for case in found if case.generation != "tf_keras2"}
    for case in found:
        if case.generation == "tf_keras2" and case.record["class"] in before:
            continue
        assert_converted(case, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("members", old.groups_of_cases())
def test_every_recorded_layer(members: list[Case], tmp_path: Path) -> None:
    for case in members:
        assert_converted(case, tmp_path)


def theano_cases() -> list[Case]:
    return [
        case
        for case in cases({"keras1": FAMILIES["keras1"]})
        if case.record["kind"] == "layer"
        and case.record.get("backend") == "theano"
        and "refused" not in case.record
        and len(case.record["inputs"]) == 1
        and case.record["calls"][0]["outputs"] == ["output"]
        and "function" not in json.dumps(case.record.get("config", "function"))
        and all(f"{word}=" not in case.record["code"] or word in case.record["config"]
                for word in ("dim_ordering", "subsample"))
    ]  # fmt: skip


def test_arithmetic_of_theano(tmp_path: Path) -> None:
    """Kernels turned round, windows that begin elsewhere: as padding of its own, or as a class of Lamina's."""
    found = theano_cases()
    assert len(found) > 60
    kept = set()
    for case in found:
        record = case.record
        with serialize.computing_as_on("theano"):
            start = keras1.layers.Input(batch_shape=tuple(record["inputs"][0]["shape"]))
            layer = DIALECTS["keras1"].from_config({"class_name": record["class"], "config": record["config"]})
            model = keras1.models.Model(start, layer(start))
            layer.set_weights([case.arrays[f"weight{index}"] for index in range(len(record["weights"]))])
            now, changes = modernized(model)
        now.save(tmp_path / "now.keras")
        kept |= {record["class"]} if changes.own else set()
        assert_same(lamina.load_model(tmp_path / "now.keras"), model, case.arrays["input0"], case.id)
    pooling = {f"{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3)}
    assert kept <= {"Deconvolution2D", "ConvLSTM2D", "LocallyConnected1D", "LocallyConnected2D", *pooling}


# Files ----------------------------------------------------------------------------------------------------------------

LAMINAS = {"local": "LocallyConnected", "nested.h5@keras1_tf": "SReLU", "autoencoder.h5@keras1_th": "Deconvolution2D",
           "birnn.h5@keras1_th": "Bidirectional"}  # fmt: skip


@pytest.mark.parametrize("file", old.recorded(".h5", ".keras"))
def test_a_recorded_file(file: str, tmp_path: Path) -> None:
    """It predicts as recorded, and where its optimizer's state is kept, trains on as recorded."""
    told = convert(old.RECORDED / file, tmp_path / "now.keras")
    stored = old.arrays_of(file)
    model = lamina.load_model(tmp_path / "now.keras")
    assert type(model).__module__.startswith("lamina.models")
    modules = {type(layer).__module__ for layer in model._flat_layers()}
    assert not any(module.startswith(("lamina.keras", "lamina.tf_keras", "lamina.generations")) for module in modules)
    generation, name = file.split("/")
    expected = next((word for key, word in LAMINAS.items() if key in f"{name}@{generation}"), None)
    assert ("lamina" in config_in(tmp_path / "now.keras")) <= bool(told.own)
    assert bool(told.own) is (expected is not None)
    assert expected is None or expected in told.own[0]
    assert told.difference is not None and told.difference < 1e-6
    old.mend(model, file)
    old.assert_predicts(model, stored)
    state_kept = not any("state" in line or "steps" in line for line in told.lost)
    if "resumed_loss" in stored and state_kept:
        loss = model.train_on_batch(old.several(stored, "input"), old.several(stored, "target"))
        assert np.ravel(loss)[0] == pytest.approx(np.ravel(stored["resumed_loss"])[0], abs=1e-5)
        if "variance" not in str(told.lost):
            old.assert_predicts(model, stored, "resumed_output", 2e-3 if file.startswith(old.RACING) else 1e-5)


@pytest.mark.parametrize(
    "name",
    ["now.keras", "now.h5", "now.weights.h5", "now.safetensors", pytest.param("now.pt2", marks=pytest.mark.slow)],
)
def test_every_form(name: str, tmp_path: Path) -> None:
    told = convert(old.RECORDED / "keras1_th/lstm_text.h5", tmp_path / "new" / name)
    assert told.difference is not None and told.difference < 1e-6
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]


@pytest.mark.parametrize("name", ["stacked", "nested", "norms"])
def test_a_saved_model(name: str, tmp_path: Path) -> None:
    told = convert(old.RECORDED / "tensorflow" / name, tmp_path / "now.keras")
    assert told.difference is not None and told.difference < 1e-6 and not told.own
    assert "lamina" not in config_in(tmp_path / "now.keras")


@pytest.mark.parametrize("word", ["json", "yaml"])
def test_an_architecture_and_its_weights(word: str, tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    file = old.RECORDED / f"keras1_th/lstm_text.{word}"
    with pytest.raises(ValueError, match="without weights; name their file by `weights`"):
        convert(file, tmp_path / "now.keras")
    convert(file, tmp_path / "now.keras", weights=old.RECORDED / "keras1_th/lstm_text_weights.h5")
    old.assert_predicts(lamina.load_model(tmp_path / "now.keras"), old.arrays_of("keras1_th/lstm_text.h5"))


def test_an_architecture_that_says_no_backend(tmp_path: Path) -> None:
    """The file of weights says it: kernels of Theano are turned."""
    model, x = old_convolution(tmp_path), np.random.default_rng(0).normal(size=(2, 5, 5, 1)).astype("float32")
    convert(tmp_path / "model.json", tmp_path / "now.keras", weights=tmp_path / "weights.h5")
    assert_same(lamina.load_model(tmp_path / "now.keras"), model, torch.tensor(x), "convolution")


@pytest.mark.parametrize("backend", ["tensorflow", "theano"])
def test_weights_that_say_no_backend(backend: str, tmp_path: Path, capsys: Any) -> None:
    """The option says it; without it, the report says what was taken for granted."""
    model, x = old_convolution(tmp_path, backend), np.random.default_rng(0).normal(size=(2, 5, 5, 1)).astype("float32")
    described = {key: value for key, value in json.loads(model.to_json()).items() if key != "backend"}
    (tmp_path / "model.json").write_text(json.dumps(described))
    with h5py.File(tmp_path / "weights.h5", "w") as file:  # as Keras 0.3 wrote it
        file.attrs["nb_layers"] = 1
        file.create_group("layer_0").attrs["nb_params"] = 2
        for index, array in enumerate(model.get_weights()):
            file[f"layer_0/param_{index}"] = array
    arguments = ["convert", *(str(tmp_path / name) for name in ("model.json", "now.keras"))]
    arguments += ["--weights", str(tmp_path / "weights.h5")]
    assert cli.main([*arguments, "--backend", backend]) == 0
    assert "or on Theano" not in capsys.readouterr().out
    assert_same(lamina.load_model(tmp_path / "now.keras"), model, torch.tensor(x), "convolution")
    assert cli.main(arguments) == 0
    assert "They are read as TensorFlow's; pass --backend theano for the other" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["keras1_tf/cnn", "keras1_th/autoencoder", "keras2/cnn", "keras2/lstm_text"])
def test_architectures_with_their_weights(file: str, tmp_path: Path) -> None:
    convert(
        old.RECORDED / f"{file}.json", tmp_path / "now.keras", weights=f"{old.RECORDED / file}_weights.h5",
    )  # fmt: skip
    now = lamina.load_model(tmp_path / "now.keras")
    old.mend(now, file)
    old.assert_predicts(now, old.arrays_of(f"{file}.h5"))


def old_convolution(folder: Path, backend: str = "theano") -> Any:
    with serialize.computing_as_on(backend):
        model = keras1.models.Sequential([keras1.layers.Convolution2D(2, 3, 3, input_shape=(5, 5, 1))])
    drawn(model)
    model.save_weights(folder / "weights.h5")
    (folder / "model.json").write_text(model.to_json())
    return model


LOST_LOSSES = {"keras1": {"cosine", "cosine_proximity", "hinge", "squared_hinge"}, "tf_keras": {"binary_crossentropy"}}


@pytest.mark.parametrize("keras", [keras1, keras2, tf_keras])
def test_every_loss_of_the_time(keras: Any, tmp_path: Path) -> None:
    """Compiled alike by today's names, with the same loss; or it says what is another."""
    generation = keras.__name__.rpartition(".")[2]
    names = (KERAS1 if keras is keras1 else KERAS2)["losses"].split()
    tried = 0
    for name in names:
        model = keras.models.Sequential([keras.layers.Dense(3, activation="softmax", input_shape=(2,))])
        try:
            model.compile("sgd", loss=name, metrics=["mse", "acc"])
        except (ValueError, TypeError):
            continue
        tried += 1
        model.save(tmp_path / "old.h5")
        told = convert(tmp_path / "old.h5", tmp_path / "now.keras")
        assert any("the loss" in line for line in told.lost) is (name in LOST_LOSSES.get(generation, ())), name
        now = lamina.load_model(tmp_path / "now.keras")
        assert now.loss is not None, name
    assert tried > 15


@pytest.mark.parametrize("keras", [keras1, keras2, tf_keras])
def test_penalties_that_are_counted_otherwise(keras: Any, tmp_path: Path) -> None:
    regularizer = keras.regularizers.activity_l2(1.0) if keras is keras1 else keras.regularizers.l2(1.0)
    word = "W_regularizer" if keras is keras1 else "kernel_regularizer"
    frozen = {word: keras.regularizers.l2(1.0), "trainable": False}
    for arguments, counts in (({}, True), ({"activity_regularizer": regularizer}, keras is tf_keras), (frozen, False)):
        model = keras.models.Sequential([keras.layers.Dense(3, input_shape=(2,), **arguments), keras.layers.Dense(1)])
        drawn(model).compile("sgd", "mse")
        model.save(tmp_path / "old.h5")
        told = convert(tmp_path / "old.h5", tmp_path / "now.keras")
        assert any("penalties" in line for line in told.lost) is not counts, (arguments, told.lost)


def test_metrics_that_are_gone(tmp_path: Path) -> None:
    model = keras1.models.Sequential([keras1.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse", metrics=["fmeasure", "mae"])
    model.save(tmp_path / "old.h5")
    told = convert(tmp_path / "old.h5", tmp_path / "now.keras")
    assert "'fmeasure' of compile, which Keras 3 does not have" in told.lost
    assert len(lamina.load_model(tmp_path / "now.keras").evaluate(np.ones((2, 2)), np.ones((2, 1)), verbose=0)) == 2


# Kinds of models ------------------------------------------------------------------------------------------------------


def drawn(model: Any) -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.weights:
            weight.normal_(0, 0.5)
    return model


@pytest.mark.parametrize("keras", [keras1, keras2, tf_keras])
@pytest.mark.parametrize("inside", ["Dense", "LSTM", "GRU", "SimpleRNN", "Sequential", "Activation", "Bidirectional"])
def test_the_hard_sigmoid_of_the_time(keras: Any, inside: str, tmp_path: Path) -> None:
    """Weights before it, or a factor, make up for the slope of today's, wherever it stands."""
    layers, hard = keras.layers, {"activation": "hard_sigmoid"}
    gates = {"inner_activation" if keras is keras1 else "recurrent_activation": "hard_sigmoid"}
    make = {
        "Dense": lambda: layers.TimeDistributed(layers.Dense(3, **hard), input_shape=(5, 2)),
        "LSTM": lambda: layers.LSTM(3, input_shape=(5, 2), **gates),
        "GRU": lambda: layers.GRU(3, input_shape=(5, 2), **gates, **hard),
        "SimpleRNN": lambda: layers.SimpleRNN(3, input_shape=(5, 2), **hard),
        "Sequential": lambda: layers.TimeDistributed(
            keras.models.Sequential([layers.Dense(3, input_shape=(2,), **hard), layers.Activation("hard_sigmoid")]),
            input_shape=(5, 2),
        ),
        "Activation": lambda: layers.Activation("hard_sigmoid", input_shape=(5, 2)),
        "Bidirectional": lambda: layers.Bidirectional(layers.LSTM(3, **gates), input_shape=(5, 2)),
    }[inside]
    model = drawn(keras.models.Sequential([make()]))
    now, changes = modernized(model)
    now.save(tmp_path / "now.keras")
    told = keras is not tf_keras or "hard_sigmoid" in str(changes)
    assert told and "lamina" not in config_in(tmp_path / "now.keras")
    x = torch.randn(4, 5, 2, generator=torch.Generator().manual_seed(1))
    assert_same(lamina.load_model(tmp_path / "now.keras"), model, x, inside)


def test_masks_keep_a_class_only_where_they_make_a_difference(tmp_path: Path) -> None:
    layers = keras2.layers
    for outer, kept in ((layers.LSTM(3), False), (layers.TimeDistributed(layers.Dense(2)), True)):
        model = drawn(keras2.models.Sequential([
            layers.Embedding(9, 4, mask_zero=True, input_length=6),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)), outer,
        ]))  # fmt: skip
        model.save(tmp_path / "old.h5")
        told = convert(tmp_path / "old.h5", tmp_path / "now.keras")
        assert bool(told.own) is kept


def test_a_class_of_ones_own_stays_what_it_is() -> None:
    class Twice(keras2.layers.Dense):
        def call(self, inputs: Any) -> Any:
            return 2 * super().call(inputs)

    model = drawn(keras2.models.Sequential([Twice(3, input_shape=(4,)), keras2.layers.BatchNormalization()]))
    now, _ = modernized(model)
    assert type(now.layers[0]) is Twice and type(now.layers[1]) is lamina.layers.BatchNormalization
    assert_same(now, model, torch.ones(2, 4), "Twice")


def test_shared_layers_stay_shared() -> None:
    layers = keras1.layers
    a, b, shared = layers.Input((4,)), layers.Input((4,)), layers.Dense(3)
    model = drawn(keras1.models.Model([a, b], layers.merge([shared(a), shared(b)], mode="mul")))
    now, _ = modernized(model)
    assert len(now.weights) == 2
    x = [torch.randn(2, 4), torch.randn(2, 4)]
    np.testing.assert_allclose(now(x).detach(), model(x).detach(), atol=1e-6)


WORDS = np.array([["a b c"], ["b b"], ["a"]], object)


@pytest.mark.parametrize(
    ("name", "options", "x"),
    [
        ("StringLookup", {"output_mode": "multi_hot"}, WORDS),
        ("TextVectorization", {"output_mode": "tf_idf"}, WORDS),
        ("IntegerLookup", {"mask_value": 0}, np.array([[3], [5], [3]])),
        ("Discretization", {"bins": 3}, np.array([[0.1], [0.5], [0.9]], "float32")),
        ("Normalization", {}, np.array([[0.1], [0.5], [0.9]], "float32")),
    ],
)
def test_what_layers_learned_goes_along(name: str, options: dict[str, Any], x: np.ndarray, tmp_path: Path) -> None:
    layer = getattr(tf_keras.layers, name)(**options)
    layer.adapt(x)
    start = tf_keras.Input((1,), dtype="string" if x.dtype == object else str(x.dtype))
    model = tf_keras.Model(start, layer(start))
    now, _ = modernized(model)
    now.save(tmp_path / "now.keras")
    again = lamina.load_model(tmp_path / "now.keras")
    np.testing.assert_array_equal(np.asarray(again(x)), np.asarray(model(x)))


@pytest.mark.parametrize("keras", [keras1, keras2, tf_keras])
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_rate_that_decays_goes_on(name: str, keras: Any, tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).random((2, 8, 3), "float32")
    model = keras.models.Sequential([keras.layers.Dense(3, input_shape=(3,))])
    model.compile(getattr(keras.optimizers, name)(0.1, decay=0.5, clipnorm=1.0), "mse")
    model.train_on_batch(x, y)
    model.save(tmp_path / "old.h5")
    assert not convert(tmp_path / "old.h5", tmp_path / "new.keras").lost
    now = lamina.load_model(tmp_path / "new.keras")
    for _ in range(3):
        assert now.train_on_batch(x, y) == pytest.approx(model.train_on_batch(x, y), rel=1e-5)


def test_code_of_another_python_is_told() -> None:
    told = json.loads(lzma.decompress((old.RECORDED.parent / "lambdas.json.xz").read_bytes()))["3.6"][0]
    layer = keras2.layers.Lambda.from_config({"function": [told, None, None], "function_type": "lambda"})
    _, changes = modernized(keras2.models.Sequential([keras2.layers.InputLayer((8, 8, 3)), layer]))
    assert "holds code" in str(changes.own)


# Errors, and the command ----------------------------------------------------------------------------------------------


def test_predictions_that_would_differ_leave_no_file(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    def wrong(model: Any, masks: bool = True) -> Any:
        now, changes = modernized(model, masks)
        now.weights[0].data += 1
        return now, changes

    monkeypatch.setattr(conversions, "modernized", wrong)
    arguments = ["convert", str(old.RECORDED / "keras2/multi_io.h5"), str(tmp_path / "now.keras")]
    assert cli.main(arguments) == 1
    assert re.search(r"not written: its predictions would differ by \d", capsys.readouterr().err)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("nothing.h5", "now.keras"), "No such file"),
        (("text.h5", "now.keras"), "no kind of file known here"),
        (("weights.h5", "now.keras"), "weights alone. Convert their model's architecture, and name these by --weights"),
        (("good.h5", "folder.keras"), "is a folder"),
        (("good.h5", "now.txt"), "must end in one of .keras, .h5"),
        (("good.h5", "good.h5"), "is the old file itself"),
    ],
)
def test_what_cannot_be_converted(names: tuple[str, str], text: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "text.h5").write_text("hello")
    good = (old.RECORDED / "keras2/multi_io.h5").read_bytes()
    (tmp_path / "good.h5").write_bytes(good)
    (tmp_path / "folder.keras").mkdir()
    (tmp_path / "weights.h5").write_bytes((old.RECORDED / "keras1_th/lstm_text_weights.h5").read_bytes())
    before = sorted(path.name for path in tmp_path.iterdir())
    assert cli.main(["convert", *(str(tmp_path / name) for name in names)]) == 1
    assert text in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "good.h5").read_bytes() == good


def test_the_report(tmp_path: Path, capsys: Any) -> None:
    arguments = ["convert", str(old.RECORDED / "keras1_th/autoencoder.h5"), str(tmp_path / "now.keras")]
    assert cli.main(arguments) == 0
    shown = capsys.readouterr().out
    for part in (
        "Keras 1.2.2", "Convolution2D -> Conv2D x2: nb_row, nb_col -> kernel_size, nb_filter -> filters",
        "turned round, as Theano had them", "its padding is a layer of its own, ZeroPadding2D",
        "only Lamina reads: deconvolution2d_1", "the largest difference of predictions is",
    ):  # fmt: skip
        assert part in shown
    assert len(shown.splitlines()) < 25
    assert cli.main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["source"]["generation"] == "keras1" and told["difference"] < 1e-6 and told["own"]


def test_options_are_those_of_reading(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="jax"):
        convert(old.RECORDED / "keras1_th/lstm_text.h5", tmp_path / "now.keras", backend="jax")
    assert not (tmp_path / "now.keras").exists()
