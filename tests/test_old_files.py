"""Files of Keras 1, Keras 2 and tf.keras: whoever loads them, they compute what they did, or are refused."""

from __future__ import annotations

import copy
import json
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.golden import FAMILIES, Case, cases

import lamina
from lamina import keras1, keras2, tf_keras
from lamina.translation import origin

RECORDED = Path(__file__).parent / "golden" / "files"
SPACES = {"lamina": lamina, "keras1": keras1, "keras2": keras2, "tf_keras": tf_keras}
CLASSES = {"keras1_tf": "keras1", "keras1_th": "keras1", "keras2": "keras2", "tf_keras2": "tf_keras"}
EVERY = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def recorded(*suffixes: str) -> list[str]:
    return [
        f"{path.parent.name}/{path.name}"
        for path in sorted(RECORDED.glob("*/*"))
        if path.parent.name in CLASSES and path.name.endswith(suffixes) and "weights" not in path.stem
        if path.name != "models.json"
    ]


def arrays_of(file: str) -> dict[str, np.ndarray]:
    return dict(np.load((RECORDED / file).with_suffix(".npz")))


def several(stored: dict[str, np.ndarray], word: str) -> Any:
    found = [stored[f"{word}{index}"] for index in range(9) if f"{word}{index}" in stored]
    return found[0] if len(found) == 1 else found


def assert_predicts(model: Any, stored: dict[str, np.ndarray], word: str = "output", atol: float = 1e-5) -> None:
    found, expected = model.predict(several(stored, "input"), verbose=0), several(stored, word)
    for one, other in zip(*((x if isinstance(x, list) else [x]) for x in (found, expected)), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=atol)


def mend(model: Any, file: str) -> None:
    """The recorded network of Keras 2 has negative variances, of which TensorFlow's ReLU makes 0 instead of NaN."""
    if file.startswith("keras2/cnn"):
        layer = model.layers[1]
        gamma, beta, mean, variance = layer.get_weights()
        bad = variance < 0
        layer.set_weights([np.where(bad, 0, gamma), np.where(bad, -1, beta), mean, np.where(bad, 1, variance)])


@EVERY
@pytest.mark.parametrize("file", recorded(".h5", ".keras"))
def test_a_recorded_file_predicts_as_it_did(space: Any, file: str) -> None:
    path = RECORDED / file
    model = space.models.load_model(path, compile=False)
    mend(model, file)
    assert_predicts(model, arrays_of(file))
    assert type(model).__module__ == f"lamina.{CLASSES[path.parent.name]}.models"
    assert isinstance(model, lamina.Model)


HOW = [({}, ".json"), ({"by_name": True}, ".json"), ({"skip_mismatch": True}, ".yaml")]


@EVERY
@pytest.mark.parametrize("file", recorded(".json", ".yaml"))
def test_recorded_architecture_and_weights(space: Any, file: str) -> None:
    path = RECORDED / file
    kind = path.suffix[1:]
    read = getattr(space.models, f"model_from_{kind}")
    for how in [how for how, suffix in HOW if suffix == path.suffix]:
        model = read(path.read_text(), backend="theano" if "keras1_th" in file else None)
        model.load_weights(path.with_name(f"{path.stem}_weights.h5"), **how)
        mend(model, file)
        assert_predicts(model, arrays_of(file))


RACING = ("keras1_tf/local", "keras1_tf/nested", "keras1_tf/autoencoder")


@pytest.mark.parametrize("file", recorded(".h5", ".keras"))
def test_training_goes_on_as_it_did(file: str) -> None:
    stored = arrays_of(file)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = lamina.load_model(RECORDED / file)
    if "resumed_loss" not in stored:
        return
    assert np.ravel(model.evaluate(several(stored, "input"), several(stored, "target"), verbose=0))[0] == pytest.approx(
        np.ravel(stored["evaluate"])[0], abs=1e-5
    )
    loss = model.train_on_batch(several(stored, "input"), several(stored, "target"))
    assert np.ravel(loss)[0] == pytest.approx(np.ravel(stored["resumed_loss"])[0], abs=1e-5)
    if "tf_keras2/autoencoder" in file:  # there Nadam forgot the product of its momenta, and made it anew too often
        return
    # In a graph of TensorFlow 1, steps begin while gradients are still computed; on Theano, the same models are exact.
    assert_predicts(model, stored, "resumed_output", 2e-3 if file.startswith(RACING) else 1e-5)


# A file for every recorded layer --------------------------------------------------------------------------------------

OWN_WORDS = {"keras1": "1.2.2", "keras2": "2.3.1", "tf_keras2": "2.21.0"}


def alone(case: Case) -> bool:
    """A layer called once on one input of its own, of numbers, whose config holds no code."""
    record = case.record
    return (
        record["kind"] == "layer"
        and "config" in record
        and "refused" not in record
        and [call["code"] for call in record["calls"]] in (["layer(x0)"], ["layer(x0, training=False)"])
        and record["calls"][0]["outputs"] == ["output"]
        and len(record["inputs"]) == 1
        and not record["inputs"][0]["dtype"].startswith("<U")  # texts: test_text.py
        and not record.get("learning_phase")
        and "after_build" not in record
        and record.get("backend") != "theano"
        and all(f"{word}=" not in record["code"] or word in record["config"] for word in ("dim_ordering", "subsample"))
        and "function" not in json.dumps(record["config"])
    )


def write(path: Path, case: Case) -> None:
    """A whole model of one layer, as the case's generation writes it."""
    record, arrays = case.record, case.arrays
    (given,) = record["inputs"]
    config = copy.deepcopy(record["config"])
    old = case.generation == "keras1"
    entry = {"class_name": record["class"], "config": config, "name": config["name"], "inbound_nodes": [[["in", 0, 0]]]}
    entrance = {"batch_input_shape": given["shape"], "sparse": False, "name": "in"}
    entrance["input_dtype" if old else "dtype"] = given["dtype"]
    layers = [{"class_name": "InputLayer", "config": entrance, "name": "in", "inbound_nodes": []}, entry]
    ends = {"input_layers": [["in", 0, 0]], "output_layers": [[config["name"], 0, 0]]}
    described = {"class_name": "Model", "config": {"name": "m", "layers": layers, **ends}}
    names = [weight["name"] for weight in record["weights"]]
    order = sorted(range(len(names)), key=lambda index: not record["weights"][index].get("trainable", True))
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["model_config"] = OWN_WORDS[case.generation], json.dumps(described)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"in", config["name"].encode()]
        if not old:
            group.attrs["keras_version"], group.attrs["backend"] = OWN_WORDS[case.generation], "tensorflow"
        group.create_group("in").attrs["weight_names"] = np.array([])
        own = group.create_group(config["name"])
        own.attrs["weight_names"] = [f"{index}/{names[index]}:0".encode() for index in order] or np.array([])
        for index in order:
            own[f"{index}/{names[index]}:0"] = arrays[f"weight{index}"]


def layer_cases() -> list[Case]:
    return [case for case in cases({name: FAMILIES[name] for name in OWN_WORDS}) if alone(case)]


def groups_of_cases() -> list[Any]:
    found: dict[tuple[str, str], list[Case]] = {}
    for case in layer_cases():
        found.setdefault((case.generation, case.family), []).append(case)
    return [pytest.param(members, id="/".join(key)) for key, members in found.items()]


@pytest.mark.parametrize("members", groups_of_cases())
def test_a_file_of_each_recorded_layer(members: list[Case], tmp_path: Path) -> None:
    """The meaning of every argument is that of the file's generation, though another one's loader reads it."""
    for case in members:
        path = tmp_path / "model.h5"
        write(path, case)
        try:
            model = lamina.models.load_model(path, compile=False)
        except ValueError as error:  # a shape that the config leaves out
            assert "shared_axes" in case.record["code"] and "the weights do not fit" in str(error), case.id
            continue
        told = re.search(r"training=(True|False)", case.record["calls"][0]["code"])
        how = {"training": told[1] == "True"} if told else {}
        found = model(case.arrays["input0"], **how).detach().float().numpy()
        tolerance = case.record.get("tolerance")
        bounds = {"rtol": tolerance or 1e-4, "atol": tolerance or 1e-5}
        np.testing.assert_allclose(found, case.arrays["output"], **bounds, err_msg=case.id)


# What a file does not say itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "generation"),
    [
        ("0.3.1", "keras1"), ("1.2.2", "keras1"), ("2.0.0", "keras2"), ("2.0.8-tf", "tf_keras"), ("2.3.1", "keras2"),
        ("2.2.4-tf", "tf_keras"), ("2.3.0-tf", "tf_keras"), ("2.4.0", "tf_keras"), ("2.21.0", "tf_keras"),
        ("3.0.0", "keras3"), ("3.15.1", "keras3"), ("3.16.0.dev2026", "keras3"), ("nightly", "keras3"),
    ],
)  # fmt: skip
def test_a_version_tells_the_generation(version: str, generation: str) -> None:
    assert origin.generation_of({"class_name": "Sequential", "config": []}, version) == generation


@EVERY
@pytest.mark.parametrize("file", recorded(".json"))
def test_words_tell_the_generation(space: Any, file: str) -> None:
    """A config without its version is told by its words, whoever reads it."""
    described = json.loads((RECORDED / file).read_text())
    for key in ("keras_version", "backend"):
        described.pop(key, None)
    generation = CLASSES[file.split("/")[0]]
    assert origin.generation_of(described) == generation
    assert type(space.models.model_from_json(json.dumps(described))).__module__ == f"lamina.{generation}.models"


@pytest.mark.parametrize("generation", ["keras1", "keras2", "tf_keras"])
def test_integers_up_to_keras_2_0_8_are_those_of_the_input(generation: str) -> None:
    entries = [("InputLayer", "int32"), ("Embedding", "int32"), ("Embedding", "uint8"), ("Dense", "float32")]
    config = [{"class_name": name, "config": {"dtype": dtype}} for name, dtype in entries]
    found = origin.addressed({"class_name": "Sequential", "config": config}, generation)["config"]
    moved = [generation == "keras2" and name != "InputLayer" and "int" in dtype for name, dtype in entries]
    assert [one["config"] for one in found] == [
        {"input_dtype" if each else "dtype": dtype} for each, (_, dtype) in zip(moved, entries, strict=True)
    ]


def test_todays_configs_are_todays() -> None:
    for path in (RECORDED / "keras3").glob("*.json"):
        if path.name != "models.json":
            assert origin.generation_of(json.loads(path.read_text())) == "keras3"
            assert type(keras2.models.model_from_json(path.read_text())).__module__.startswith("lamina.models")
    layer = lamina.generations.modern_from_config(
        "keras2", {"class_name": "Dense", "config": {"units": 2, "name": "d"}}
    )
    model = lamina.Sequential([lamina.Input((3,)), layer])
    assert type(lamina.models.model_from_json(model.to_json())) is lamina.Sequential


def test_a_config_given_is_left_as_it_was() -> None:
    described = {"class_name": "Sequential", "keras_version": "2.1.6-tf", "config": [
        {"class_name": "GRU", "config": {"name": "g", "units": 2, "batch_input_shape": [None, 3, 2]}}
    ]}  # fmt: skip
    before = copy.deepcopy(described)
    model = tf_keras.models.model_from_config(described)
    assert described == before
    assert not model.layers[0].reset_after  # as TensorFlow 1 computed it
    assert tf_keras.layers.GRU(2).reset_after


def test_the_order_of_axes_is_that_of_the_layers_beside() -> None:
    """Keras 1's paddings did not write theirs."""
    layers = keras1.layers
    model = keras1.models.Sequential([
        layers.ZeroPadding2D((1, 2), dim_ordering="th", input_shape=(3, 5, 6)),
        layers.Convolution2D(4, 3, 3, dim_ordering="th"),
    ])  # fmt: skip
    again = lamina.models.model_from_json(model.to_json())
    assert again.layers[0].data_format == "channels_first"
    assert again.output_shape == model.output_shape


# Weights alone --------------------------------------------------------------------------------------------------------


def weights_file(path: Path, layers: dict[str, list[np.ndarray]], ending: str = ":0", **attributes: str) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        file.attrs.update(attributes)
        for name, arrays in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}_{index}{ending}".encode() for index in range(len(arrays))]
            for index, array in enumerate(arrays):
                group[f"{name}_{index}{ending}"] = array
    return path


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def small(space: Any, name: str, *args: Any, shape: tuple = (4, 4, 4), **options: Any) -> Any:
    return space.models.Sequential([getattr(space.layers, name)(*args, input_shape=shape, name="a", **options)])


SLOTS = {name: [draw(3, 2) + place, draw(2) + place] for place, name in enumerate(("m", "v", "accumulator", "linear"))}
MV, AL = [("m",), ("v",)], [("accumulator",), ("linear",)]
STATES: dict[str, tuple[list[tuple[str, Any]], Any, Any]] = {  # entries as stored, the slots asked for, their product
    "one slot after the other": (
        [("Adam/iterations:0", 7), *(("k/m:0", one) for one in SLOTS["m"]), *(("k/v:0", one) for one in SLOTS["v"])],
        [("m", "v")], 1,
    ),
    "in turns, since TensorFlow 2.11": (
        [("iteration", 7), ("learning_rate", 0.1), *((f"{name}/{place}", SLOTS[name][place]) for place in range(2)
         for name in "mv")],
        [("m", "v")], None,
    ),
    "in turns that their names tell": (
        [("iter", 7), *((f"w{place}/{name}", SLOTS[name][place]) for place in range(2)
         for name in ("accumulator", "linear"))],
        AL, 1,
    ),
    "with a number for each maximum": (
        [("iterations", 7), *((str(place), one) for place, one in enumerate([*SLOTS["m"], *SLOTS["v"]])),
         ("x", np.zeros(1)), ("y", np.zeros(1))],
        MV, 1,
    ),
    "of Keras 1, without names": (
        [("param_0", 7), *((f"param_{place}", one) for place, one in enumerate([*SLOTS["m"], *SLOTS["v"]], 1))],
        MV, 1,
    ),
    "with a product of momenta": (
        [("iterations", 7), ("m_schedule", 0.5), *((str(place), one) for place, one in enumerate(SLOTS["m"]))],
        [("m",)], 0.5,
    ),
    "the last steps of a momentum of 0": ([("iterations", 7), ("0", draw(3, 2)), ("1", draw(2))], [], 1),
}  # fmt: skip


@pytest.mark.parametrize("kind", STATES)
def test_the_state_of_an_optimizer_in_every_order(kind: str) -> None:
    entries, slots, product = STATES[kind]
    stored = {name if name not in ("k/m:0", "k/v:0") else f"{place}/{name}": np.asarray(value)
              for place, (name, value) in enumerate(entries)}  # fmt: skip
    shapes = [(3, 2), (2,)]
    steps, found_product, found = origin.optimizer_state(stored, slots, shapes)  # type: ignore[misc]
    assert int(steps) == 7 and found_product == product
    assert found.keys() == {name for group in slots for name in group}
    for name, arrays in found.items():
        assert all(np.array_equal(one, other) for one, other in zip(arrays, SLOTS[name], strict=True))
    if slots:
        assert origin.optimizer_state(dict(list(stored.items())[:-1]), slots, [*shapes, (5,)]) is None


def test_the_state_that_old_optimizers_take_back() -> None:
    singles, slots, unused = {"iterations": 1, "m_schedule": 2}, [("m", 3), ("v", 4)], [("w", 5)]
    first, both = list(singles.items()), list(singles.items()) + slots

    def written(generation: str, optimizer: str, slots: Any = tuple(slots)) -> Any:
        return origin.written_state(generation, optimizer, singles, slots, unused)

    assert written("keras1", "RMSprop") == slots and written("keras2", "RMSprop") == both
    assert written("keras1", "Nadam") == [*first[:1], *slots] and written("keras2", "Nadam") == both
    assert written("keras2", "SGD", ()) == [*first, *unused] and written("keras2", "Adam", ()) == first
    assert written("keras1", "Adam") == [*first[:1], *slots]
    *same, (name, maximum) = written("keras2", "Adam")
    assert same == both and name == "w" and maximum.tolist() == [0]
    assert written("keras2", "Adam", [*slots, ("vhat", 6)]) == [*both, ("vhat", 6)]


def test_whose_arrays_are_other_than_todays() -> None:
    assert {"Conv2D", "LSTM", "Conv2DTranspose"} <= origin.otherwise("keras1", "tensorflow")
    assert not {"Dense", "SimpleRNN", "Embedding"} & origin.otherwise("keras1", "theano")
    for generation in ("keras2", "tf_keras"):
        assert origin.otherwise(generation, "tensorflow") == frozenset()
        told = origin.otherwise(generation, "theano")
        assert {"Conv1D", "MaxPooling2D", "SeparableConv2D"} <= told
        assert not {"Dense", "GlobalMaxPooling2D", "LSTM"} & told
    assert origin.otherwise("keras3", "theano") == frozenset()


@pytest.mark.parametrize("described", [{"code": 1, "defaults": 2, "closure": 3}, {"value": ["a"]},
                                       {"class_name": "__lambda__", "config": {}}])  # fmt: skip
def test_code_in_configs_is_seen(described: dict[str, Any]) -> None:
    assert origin.is_lambda(described)
    assert not any(map(origin.is_lambda, [{**described, "class_name": "Dense"}, {"value": "a"}, list(described)]))


def gates(count: int, *shape: int) -> list[np.ndarray]:
    """Arrays of one gate after the other: kernels on inputs, on states, and biases."""
    sizes = (shape, (*shape[:-2], shape[-1], shape[-1]), shape[-1:])
    return [draw(*each) * (1 + gate) for gate in range(count) for each in sizes]


OTHERWISE = [  # layers whose arrays Keras 1 stored otherwise, some in the same shapes
    ("Convolution2D", (4, 4, 4), {"dim_ordering": "th"}, "Conv2D", (4, (4, 4)), {"data_format": "channels_first"},
     (4, 4, 4), [draw(4, 4, 4, 4), draw(4)]),
    ("Convolution2D", (4, 3, 3), {}, "Conv2D", (4, (3, 3)), {}, (4, 4, 4), [draw(3, 3, 4, 4), draw(4)]),
    ("Deconvolution2D", (4, 3, 3, (None, 6, 6, 4)), {}, "Conv2DTranspose", (4, (3, 3)), {}, (4, 4, 4),
     [draw(3, 3, 4, 4), draw(4)]),
    ("Convolution1D", (2, 3), {}, "Conv1D", (2, 3), {}, (5, 4), [draw(3, 1, 4, 2), draw(2)]),
    ("SeparableConvolution2D", (2, 3, 3), {}, "SeparableConv2D", (2, (3, 3)), {}, (4, 4, 4),
     [draw(3, 3, 4, 1), draw(1, 1, 4, 2), draw(2)]),
    ("LSTM", (2,), {}, "LSTM", (2,), {"recurrent_activation": "hard_sigmoid"}, (5, 3), gates(4, 3, 2)),
    ("GRU", (2,), {}, "GRU", (2,), {"recurrent_activation": "hard_sigmoid", "reset_after": False}, (5, 3),
     gates(3, 3, 2)),
    ("ConvLSTM2D", (2, 3, 3), {}, "ConvLSTM2D", (2, (3, 3)), {"recurrent_activation": "hard_sigmoid"}, (3, 4, 4, 4),
     gates(4, 3, 3, 4, 2)),
]  # fmt: skip


@pytest.mark.parametrize("by_name", [False, True], ids=["in order", "by name"])
@pytest.mark.parametrize(("old", "given", "told", "new", "args", "options", "shape", "arrays"), OTHERWISE)
def test_weights_of_keras1_are_read_by_later_ones(
    old: str, given: tuple, told: dict, new: str, args: tuple, options: dict, shape: tuple, arrays: list,
    by_name: bool, tmp_path: Path,
) -> None:  # fmt: skip
    file, x = weights_file(tmp_path / "w.h5", {"a": arrays}), draw(2, *shape)
    model, twin = (small(keras1, old, *given, shape=shape, **told) for _ in range(2))
    model.load_weights(file)
    twin.set_weights(arrays)
    expected = twin.predict(x)
    np.testing.assert_array_equal(model.predict(x), expected)
    for space in (keras2, tf_keras):
        later = small(space, new, *args, shape=shape, **options)
        later.load_weights(file, by_name=by_name)
        np.testing.assert_allclose(later.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)
    if "hard_sigmoid" not in options.values():
        today = lamina.Sequential([lamina.Input(shape), getattr(lamina.layers, new)(*args, name="a", **options)])
        today.load_weights(file, by_name=by_name)
        np.testing.assert_allclose(today.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["Bidirectional", "TimeDistributed"])
def test_weights_of_keras1_inside_other_layers(name: str, tmp_path: Path) -> None:
    old: Any = keras1.layers
    inner = old.LSTM(2) if name == "Bidirectional" else old.Convolution1D(2, 3)
    shape = (5, 3) if name == "Bidirectional" else (4, 5, 3)
    model = keras1.models.Sequential([getattr(old, name)(inner, input_shape=shape, name="a")])
    model.save_weights(tmp_path / "w.h5")
    x = draw(2, *shape)
    for space in (keras2, tf_keras):
        layers: Any = space.layers
        inner = layers.LSTM(2, recurrent_activation="hard_sigmoid") if len(shape) == 2 else layers.Conv1D(2, 3)
        later = space.models.Sequential([getattr(layers, name)(inner, input_shape=shape, name="a")])
        later.load_weights(tmp_path / "w.h5")
        np.testing.assert_allclose(later.predict(x, verbose=0), model.predict(x), rtol=1e-4, atol=1e-5)
    conv: Any = lamina.layers.Conv2D(4, 4, data_format="channels_first")
    today = lamina.Sequential([lamina.Input((2, 4, 4, 4)), lamina.layers.TimeDistributed(conv, name="a")])
    with pytest.raises(ValueError, match=r"written by Keras 1 on tensorflow.*Make the model with lamina.keras1"):
        today.load_weights(weights_file(tmp_path / "v.h5", {"a": [draw(4, 4, 4, 4), draw(4)]}))


@pytest.mark.parametrize("home", ["saving", "topology"])
@pytest.mark.parametrize("whole", [True, False], ids=["model", "weights"])
def test_groups_of_an_open_file_for_some_layers(home: str, whole: bool, tmp_path: Path) -> None:
    layers, models = keras2.layers, keras2.models
    saving: Any = getattr(__import__("lamina.keras2.engine", fromlist=[home]), home)

    def made() -> Any:
        return models.Sequential([layers.LSTM(3, input_shape=(5, 4), name="a"), layers.Dense(2, name="b")])

    model, file = made(), tmp_path / "w.h5"
    (model.save if whole else model.save_weights)(file)
    for by_name, kept in ((True, 3), (False, 5)):
        other = made()
        before, some = other.get_weights(), filter(lambda layer: not by_name or layer.name == "a", other.layers)
        with h5py.File(file, "r") as opened:
            group = opened["model_weights"] if whole else opened
            if by_name:
                saving.load_weights_from_hdf5_group_by_name(group, some)
            else:
                saving.load_weights_from_hdf5_group(group, some)
        wanted = [*model.get_weights()[:kept], *before[kept:]]
        assert all(np.array_equal(a, b) for a, b in zip(other.get_weights(), wanted, strict=True))
    own = model.layers[0].get_weights()
    assert all(a is b for a, b in zip(saving.preprocess_weights_for_loading(model.layers[0], own), own, strict=True))
    turned = saving.preprocess_weights_for_loading(model.layers[0], gates(4, 4, 3), original_keras_version="1")
    assert [array.shape for array in turned] == [array.shape for array in own]


def test_what_stayed_as_it_was_is_read_everywhere(tmp_path: Path) -> None:
    arrays = [draw(3, 2), draw(2)]
    file = weights_file(tmp_path / "w.h5", {"a": arrays})
    model = lamina.Sequential([lamina.Input((3,)), lamina.layers.Dense(2)])
    for one in (model, *(small(space, "Dense", 2, shape=(3,)) for space in (keras1, keras2, tf_keras))):
        one.load_weights(file)
        assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), arrays, strict=True))


@pytest.mark.parametrize("how", ["names", "attribute"])
def test_theano_turned_its_kernels(how: str, tmp_path: Path) -> None:
    arrays = [draw(4, 4, 4, 4), draw(4)]
    for version, spaces in (("1.2.2", (keras1,)), ("2.3.1", (tf_keras,))):
        told = {"keras_version": version} | ({"backend": "theano"} if how == "attribute" else {})
        file = weights_file(tmp_path / "w.h5", {"a": arrays}, ":0" if how == "attribute" else "", **told)
        for space in spaces:
            args = (4, 4, 4) if space is keras1 else (4, (4, 4))
            with pytest.raises(ValueError, match=r"written .*on theano"):
                small(space, "Conv2D", *args).load_weights(file)
    told = {"keras_version": "2.3.1", "backend": "theano"}
    file = weights_file(tmp_path / "w.h5", {"a": arrays}, "", **told)
    model, twin = (small(keras2, "Conv2D", 4, (4, 4)) for _ in range(2))
    model.load_weights(file)
    twin.set_weights([arrays[0][::-1, ::-1], arrays[1]])
    np.testing.assert_array_equal(model.predict(draw(2, 4, 4, 4)), twin.predict(draw(2, 4, 4, 4)))
    with pytest.raises(ValueError, match=r"written .*on theano"):  # where it pads otherwise
        small(keras2, "Conv2D", 4, (4, 4), padding="same").load_weights(file)
    keras1.backend.set_backend("theano")
    try:
        model, twin = (small(keras1, "Convolution2D", 4, 4, 4, dim_ordering="th") for _ in range(2))
        model.load_weights(weights_file(tmp_path / "w.h5", {"a": arrays}, ""))
        twin.set_weights(arrays)
        np.testing.assert_array_equal(model.predict(draw(2, 4, 4, 4)), twin.predict(draw(2, 4, 4, 4)))
    finally:
        keras1.backend.set_backend("tensorflow")


# Optimizers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["RMSprop", "Adagrad"])
def test_epsilon_stands_outside_the_root(name: str) -> None:
    """For gradients as small as epsilon that is another step altogether."""
    for space in (keras1, keras2):
        model = space.models.Sequential([space.layers.Dense(1, input_shape=(1,), **{
            "bias" if space is keras1 else "use_bias": False, "weights": [np.zeros((1, 1))]
        })])  # fmt: skip
        model.compile(getattr(space.optimizers, name)(lr=1.0, epsilon=1e-3), "mse")
        model.train_on_batch(np.ones((1, 1)), np.full((1, 1), 5e-4))  # a gradient of -1e-3
        square = 1e-6 * (0.1 if name == "RMSprop" else 1.0)
        np.testing.assert_allclose(model.get_weights()[0], 1e-3 / (square**0.5 + 1e-3), rtol=1e-4)


def test_old_words_of_tensorflows_optimizers() -> None:
    optimizers = tf_keras.optimizers
    assert float(optimizers.Adam(lr=0.25).learning_rate) == 0.25
    assert optimizers.SGD(0.1, decay=0.5, momentum=0.9).get_config()["decay"] == 0.5
    assert optimizers.Nadam().schedule_decay == 1.0
    assert optimizers.Nadam.from_config({"name": "Nadam", "learning_rate": 0.1, "decay": 0.004}).schedule_decay == 0.004
    with pytest.raises(ValueError, match="adaptive_epsilon"):
        optimizers.Adam(adaptive_epsilon=True)
    schedule = optimizers.schedules.InverseTimeDecay(0.5, 1, 1.0)
    kept = optimizers.SGD(schedule)
    again = optimizers.SGD.from_config(json.loads(json.dumps(kept.get_config())))
    assert again.get_config() == kept.get_config()
    assert schedule.initial_learning_rate == 0.5 and float(kept.learning_rate) == 0.5


# Damage ---------------------------------------------------------------------------------------------------------------


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.attrs.__setitem__("keras_version", np.array([2, 3])),
        lambda file: file.attrs.__setitem__("model_config", json.dumps({"class_name": [], "config": {"layers": [[]]}})),
        lambda file: file.attrs.__setitem__("model_config", json.dumps({"class_name": "Model", "config": deep(800)})),
        lambda file: file["model_weights"].attrs.__setitem__("backend", np.ones((2, 2))),
        lambda file: file.attrs.__setitem__("training_config", json.dumps({"optimizer_config": "x", "loss": [{}]})),
        lambda file: file.attrs.__setitem__("training_config", json.dumps({"optimizer_config": {"class_name": []}})),
    ],
)
def test_damage_is_one_clear_error(change: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes((RECORDED / "keras2/lstm_text.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    try:
        lamina.models.load_model(path)
    except ValueError as error:
        assert str(path) in str(error)


def test_an_endless_count_of_steps_takes_no_time(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes((RECORDED / "tf_keras2/autoencoder.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file["optimizer_weights/iteration:0"][()] = 2**31 - 1
    model = lamina.models.load_model(path)
    assert int(model.optimizer.iterations) == 2**31 - 1 and float(model.optimizer._product) == 1  # begun anew


# Kinds of models that tf.keras 2.21 wrote and trained on after it had read them ---------------------------------------

KINDS = Path(__file__).parent / "golden" / "files_of_kinds"


@pytest.mark.parametrize(
    "file",
    [
        "scaled.keras", "same_names.h5", "binned.h5", "outputs_by_name.h5", "scale_that_stays.keras",
        "keywords_tf_keras.h5", "keywords_keras3.keras",
    ],
)  # fmt: skip
def test_a_kind_of_model_trains_on_as_it_did(file: str) -> None:
    """A scaled loss; metrics of one name for two outputs; bins that were learned; outputs in a dictionary with losses
    in a list; layers that reach another by keyword, whose order is the names' in Keras 3 and the call's in tf.keras."""
    stored = dict(np.load((KINDS / file).with_suffix(".npz")))

    def structure(word: str) -> Any:
        parts = {key.partition(".")[2]: value for key, value in stored.items() if key.partition(".")[0] == word}
        return parts.get("", parts)

    model = lamina.load_model(KINDS / file)
    found, expected = model.predict(stored["x"], verbose=0), structure("p")
    for key in expected if isinstance(expected, dict) else [...]:
        np.testing.assert_allclose(found[key], expected[key], rtol=0, atol=1e-5)
    told = structure("history")
    history = model.fit(stored["x"], structure("y"), batch_size=4, epochs=2, shuffle=False, verbose=0).history
    assert history.keys() == told.keys()
    for key, values in told.items():
        np.testing.assert_allclose(history[key], values, rtol=0, atol=1e-4, err_msg=key)


@pytest.mark.parametrize("legacy", [False, True], ids=["today", "legacy"])
@pytest.mark.parametrize("scale", [{"dynamic_growth_steps": 2}, {"dynamic": False, "initial_scale": 8.0}], ids=str)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_scaled_loss_is_written_as_tf_keras_does(suffix: str, scale: Any, legacy: bool, tmp_path: Path) -> None:
    """The names and arrays are those that tf_keras 2.21 wrote, and it trained on from such `.keras` files alike."""
    home = tf_keras.optimizers.legacy if legacy else tf_keras.optimizers
    model = tf_keras.Sequential([tf_keras.layers.Dense(2, input_shape=(3,))])
    model.compile(tf_keras.mixed_precision.LossScaleOptimizer(home.SGD(0.1, momentum=0.9), **scale), "mse")
    x = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
    model.fit(x, x[:, :2], epochs=3, verbose=0)
    model.save(tmp_path / f"m{suffix}")
    if suffix == ".keras":
        optimizer = config_in(tmp_path / "m.keras")["compile_config"]["optimizer"]
        name = "LossScaleOptimizer" if legacy else "LossScaleOptimizerV3"
        assert optimizer["class_name"] == optimizer["registered_name"] == name
        assert optimizer["module"] == "tf_keras.src.mixed_precision.loss_scale_optimizer"
        assert optimizer["config"].keys() == {"inner_optimizer", "dynamic", "initial_scale", "dynamic_growth_steps"}
        with zipfile.ZipFile(tmp_path / "m.keras") as archive, archive.open("model.weights.h5") as inside:
            stored = h5py.File(inside)["optimizer/vars"]
            assert [stored[str(place)].shape for place in range(len(stored))] == [(), (3, 2), (2,)]
    loaded = lamina.load_model(tmp_path / f"m{suffix}")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for _ in range(2):
        assert loaded.train_on_batch(x, x[:, :2]) == model.train_on_batch(x, x[:, :2])


@pytest.mark.parametrize("wrong", [{}, {"initial_scale": 2.0, "dynamic_growth_steps": 3}])
def test_a_scale_that_stays_needs_its_number_alone(wrong: Any) -> None:
    with pytest.raises(ValueError, match="dynamic"):
        tf_keras.mixed_precision.LossScaleOptimizer(tf_keras.optimizers.SGD(), dynamic=False, **wrong)


def config_in(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def _bins(keras: Any) -> Any:
    inputs = keras.Input((2,))
    layer = keras.layers.Discretization(num_bins=3, epsilon=0.05)
    layer.adapt(np.arange(40, dtype="float32").reshape(20, 2))
    return keras.Model(inputs, keras.layers.Embedding(4, 2)(layer(inputs)))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_what_tf_keras_writes_of_learned_bins(suffix: str, tmp_path: Path) -> None:
    """As a weight, and not among the arguments, as tf.keras reads it."""
    model = _bins(tf_keras)
    model.save(tmp_path / f"m{suffix}")
    (entry,) = [each for each in model.get_config()["layers"] if each["class_name"] == "Discretization"]
    assert entry["config"]["bin_boundaries"] is None and entry["config"]["num_bins"] == 3
    x = np.linspace(-5, 50, 24, dtype="float32").reshape(12, 2)
    loaded = lamina.load_model(tmp_path / f"m{suffix}")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert len(np.unique(loaded.layers[1](x).numpy())) == 3


@pytest.mark.parametrize(
    "metrics",
    [["mae"], {"a": ["mae", tf_keras.metrics.RootMeanSquaredError(name="same")], "b": "mse"}, None],
    ids=["list", "dict", "none"],
)
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_metrics_of_outputs_by_name_come_back(metrics: Any, suffix: str, tmp_path: Path) -> None:
    """Of a model whose outputs are a dictionary, with names that two outputs share."""
    inputs = tf_keras.Input((3,))
    outputs = {name: tf_keras.layers.Dense(1, name=name)(inputs) for name in "ab"}
    model = tf_keras.Model(inputs, outputs)
    model.compile("sgd", "mse", metrics=metrics)
    x, y = np.ones((4, 3), "float32"), dict.fromkeys("ab", np.zeros((4, 1), "float32"))
    before = model.evaluate(x, y, verbose=0, return_dict=True)
    model.save(tmp_path / f"m{suffix}")
    if suffix == ".keras":
        modules = {str(each.get("module")) for each in origin.entries(config_in(tmp_path / "m.keras"))}
        assert not [each for each in modules if each.startswith(("lamina.", "keras.tf_keras"))]
    after = lamina.load_model(tmp_path / f"m{suffix}").evaluate(x, y, verbose=0, return_dict=True)
    assert after == pytest.approx(before)


def test_a_vocabulary_that_hdf5_does_not_hold_is_told(tmp_path: Path) -> None:
    """Keras writes the layer all the same; what it learned is lost."""
    model = lamina.Sequential([lamina.Input((1,), dtype="string"), lamina.layers.StringLookup(vocabulary=["a", "b"])])
    config = json.loads(model.to_json())
    config["config"]["layers"][1]["config"]["vocabulary"] = None
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "3.15.1"
        file.create_group("model_weights").attrs["layer_names"] = np.array([b"string_lookup"])
        file["model_weights"].create_group("string_lookup").attrs["weight_names"] = np.array([], "S1")
    with pytest.warns(UserWarning, match="StringLookup .* has no vocabulary"):
        lamina.load_model(tmp_path / "m.h5")


def own_loss(true: Any, predicted: Any) -> Any:
    return (true - predicted) * 3.0


@pytest.mark.parametrize("generation", ["keras1", "keras2", "tf_keras"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_functions_of_ones_own_in_training_are_names(generation: str, outputs: int, tmp_path: Path) -> None:
    space, path = SPACES[generation], tmp_path / "m.h5"
    inputs = space.layers.Input((4,))
    model = space.models.Model(inputs, [space.layers.Dense(2, name=name)(inputs) for name in "pq"[:outputs]])
    model.compile("sgd", own_loss if outputs == 1 else {"p": own_loss, "q": "mse"}, metrics=[own_loss])
    model.save(path)
    with h5py.File(path, "r+") as file:
        training = json.loads(file.attrs["training_config"])
        told = {"loss": "own_loss" if outputs == 1 else {"p": "own_loss", "q": "mse"}, "metrics": ["own_loss"]}
        if generation != "tf_keras":
            assert training | told == training
        file.attrs["training_config"] = json.dumps(training | told)  # as tf.keras up to 2.11
    x, y = np.ones((3, 4)), [np.zeros((3, 2))] * outputs
    again = lamina.load_model(path, custom_objects={"own_loss": own_loss})
    np.testing.assert_allclose(again.train_on_batch(x, y), model.train_on_batch(x, y))


def inside_and_beside(generation: str) -> Any:
    layers, models = SPACES[generation].layers, SPACES[generation].models
    start, left, right, end = (layers.Input((4,)) for _ in range(4))
    shared = layers.Dense(3, name="shared")
    inner = models.Model(start, shared(start))
    both = models.Model([left, right], layers.Dense(2)(layers.concatenate([inner(left), shared(right)])))
    model = models.Model(end, both([end, end]))
    model.compile("rmsprop", "mse")
    model.train_on_batch(np.ones((3, 4)), np.zeros((3, 2)))
    return model


@pytest.mark.parametrize("generation", ["keras2", "tf_keras"])
def test_a_layer_inside_a_model_and_beside_it_is_stored_once(generation: str, tmp_path: Path) -> None:
    model = inside_and_beside(generation)
    model.save_weights(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        names = [len(file[name].attrs["weight_names"]) for name in file if name != "top_level_model_weights"]
    assert sum(names) == 4  # as tf_keras writes it
    values = model.get_weights()
    model.set_weights([value * 0 for value in values])
    model.load_weights(tmp_path / "m.h5")
    for value, again in zip(values, model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, again)


def without_the_first_id(config: Any) -> Any:
    """As tf.keras writes it, which loses the id of a layer that it meets again."""
    config = json.loads(config)
    first, second = [entry for entry in origin.entries(config) if entry["config"].get("name") == "shared"][::-1]
    first["shared_object_id"] = None
    second["config"]["kernel_initializer"]["shared_object_id"] = 139799849955088
    assert first["config"] != second["config"] and second["shared_object_id"] is not None
    return json.dumps(config)


def as_tf_keras_writes_it(path: Path) -> None:
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = without_the_first_id(file.attrs["model_config"])
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, without_the_first_id(content) if name == "config.json" else content)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_layer_inside_a_model_and_beside_it_is_read_as_one(suffix: str, tmp_path: Path) -> None:
    model, path = inside_and_beside("tf_keras"), (tmp_path / "m").with_suffix(suffix)
    model.save(path)
    as_tf_keras_writes_it(path)
    again = lamina.load_model(path)
    assert len(again.weights) == len(model.weights) == 4
    for _ in range(3):
        x, y = np.ones((3, 4)), np.ones((3, 2))
        np.testing.assert_allclose(again.train_on_batch(x, y), model.train_on_batch(x, y), rtol=1e-6)


class InSeveralLists(tf_keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.zed = tf_keras.layers.Dense(3)
        self.all_of_them = [tf_keras.layers.Dense(4), self.zed, tf_keras.layers.Dense(2)]
        self.few = [self.all_of_them[2], tf_keras.layers.Dense(2)]

    def call(self, x: Any) -> Any:
        return self.few[0](self.zed(self.all_of_them[0](x))) + self.few[1](self.zed(x))


# Where tf_keras 2.21 has the kernels of these.
KERNELS = {
    InSeveralLists: {"layers/dense", "layers/dense_1", "layers/dense_2", "zed"},
    inside_and_beside: {
        "layers/functional/layers/functional/layers/dense",
        "layers/functional/layers/dense",
    },
}


@pytest.mark.parametrize("make", KERNELS)
def test_what_stands_elsewhere_takes_no_number_in_files_of_tf_keras(make: Any, tmp_path: Path) -> None:
    model, path = make() if make is InSeveralLists else make("tf_keras"), tmp_path / "m.weights.h5"
    model(np.ones((3, 4), "float32"))
    model.save_weights(path)
    found: set[str] = set()
    with h5py.File(path) as file:
        file.visit(lambda name: found.add(name.removesuffix("/vars/0")) if name.endswith("vars/0") else None)
    assert {name for name in found if not name.startswith(("optimizer", "metrics"))} == KERNELS[make]
    values = model.get_weights()
    model.set_weights([value * 0 for value in values])
    model.load_weights(path)
    for value, again in zip(values, model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, again)


@pytest.mark.parametrize("name", ["StringLookup", "TextVectorization", "IntegerLookup"])
def test_weights_of_terms_are_an_entry_of_their_own_in_h5_of_tf_keras(name: str, tmp_path: Path) -> None:
    terms: Any = [3, 5] if name == "IntegerLookup" else ["red", "green"]
    data = np.array([[terms[0]], [terms[1]]], dtype="int64" if name == "IntegerLookup" else object)
    lookup = getattr(tf_keras.layers, name)(vocabulary=terms, idf_weights=[0.3, 0.4], output_mode="tf_idf")
    start = tf_keras.Input((1,), dtype=str(data.dtype) if name == "IntegerLookup" else "string")
    model = tf_keras.Model(start, tf_keras.layers.Dense(2)(lookup(start)))
    model.save(tmp_path / "m.h5")
    group = f"model_weights/{lookup.name}"
    with h5py.File(tmp_path / "m.h5", "r+") as file:  # as tf_keras 2.21 writes it
        assert [str(word, "ascii") for word in file[group].attrs["weight_names"]] == ["Variable:0"]
        np.testing.assert_allclose(file[f"{group}/Variable:0"], [0.35, 0.3, 0.4])
        file[f"{group}/Variable:0"][...] *= 2
    again, expected = lamina.load_model(tmp_path / "m.h5"), model.predict(data, verbose=0)
    bias = model.get_weights()[1]
    np.testing.assert_allclose(again.predict(data, verbose=0) - bias, 2 * (expected - bias), rtol=1e-5)
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        del file[f"{group}/Variable:0"]
        file[group]["Variable:0"] = np.ones(4, "float32")
    with pytest.raises(ValueError, match=r"expected shape \(3,\) for 'Variable:0'; the file has \(4,\)"):
        lamina.load_model(tmp_path / "m.h5")


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_an_optimizer_that_made_no_step_is_read_without_a_warning(suffix: str, tmp_path: Path) -> None:
    model = tf_keras.Sequential([tf_keras.layers.Dense(2, input_shape=(4,))])
    model.compile("rmsprop", "mse")
    path = (tmp_path / "m").with_suffix(suffix)
    model.save(path)
    name = "optimizer_weights" if suffix == ".h5" else "optimizer/vars"
    with zipfile.ZipFile(path) if suffix == ".keras" else h5py.File(path) as file:
        members = {each: file.read(each) for each in file.namelist()} if suffix == ".keras" else {}
    weights = tmp_path / "model.weights.h5" if members else path
    if members:
        weights.write_bytes(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:  # as tf_keras 2.21 writes it
        if name in file:
            del file[name]
        file.create_group(name)["iteration:0" if suffix == ".h5" else "0"] = np.int64(0)
        file[name].attrs["weight_names"] = [b"iteration:0"]
    if members:
        with zipfile.ZipFile(path, "w") as archive:
            for each, content in (members | {weights.name: weights.read_bytes()}).items():
                archive.writestr(each, content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = lamina.load_model(path)
    x, y = np.ones((3, 4)), np.ones((3, 2))
    np.testing.assert_allclose(again.train_on_batch(x, y), model.train_on_batch(x, y), rtol=1e-6)


def test_a_damaged_state_of_the_optimizer_does_not_count_without_compile(tmp_path: Path) -> None:
    """As Keras 3.15 writes it for names that it gave twice."""
    model = lamina.Sequential([lamina.Input((2,)), lamina.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(np.ones((2, 2)), np.ones((2, 1)), verbose=0)
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file["optimizer_weights"].attrs["weight_names"] = [b"nowhere/kernel"]
    with pytest.raises(ValueError, match="there is no array"):
        lamina.load_model(tmp_path / "m.h5")
    assert not lamina.load_model(tmp_path / "m.h5", compile=False).compiled
