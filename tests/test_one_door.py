"""One door for every Keras: who wrote a file or a text is told from it, and it is read as that computed it."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional

import lamina
from lamina import files, keras1, keras2, tf_keras

RECORDED = Path(__file__).parent / "golden" / "files"
SPACES = {"lamina": lamina, "keras1": keras1, "keras2": keras2, "tf_keras": tf_keras}


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * 0.5).astype("float32")


def several(stored: Any, word: str) -> list[np.ndarray]:
    return [stored[f"{word}{index}"] for index in range(9) if f"{word}{index}" in stored]


def difference(model: Any, file: str, word: str = "output") -> float:
    stored = np.load((RECORDED / file).with_suffix(".npz"))
    found = model.predict(several(stored, "input"), verbose=0)
    found = found if isinstance(found, list) else [found]
    return max(float(abs(a - b).max()) for a, b in zip(found, several(stored, word), strict=True))


# Keras 0.3 ------------------------------------------------------------------------------------------------------------


def old_layer(name: str, own: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "custom_name": own, "cache_enabled": True, "trainable": True, **arguments}


STACK = {
    "name": "Sequential",
    "layers": [
        old_layer("Convolution2D", "c", input_shape=[1, 8, 8], nb_filter=3, nb_row=3, nb_col=3, init="uniform",
                  activation="relu", border_mode="valid", subsample=[1, 1], dim_ordering="th", b_constraint=None,
                  W_regularizer={"name": "WeightRegularizer", "l1": 0.0, "l2": 0.01}, W_constraint={"name": "NonNeg"}),
        old_layer("MaxPooling2D", "p", pool_size=[2, 2], border_mode="valid", strides=[2, 2], dim_ordering="th"),
        old_layer("BatchNormalization", "b", epsilon=1e-3, mode=0, axis=1, momentum=0.9),
        old_layer("Reshape", "r", dims=[27]),
        old_layer("MaxoutDense", "m", output_dim=5, nb_feature=4, init="uniform", input_dim=None),
        old_layer("Dense", "d", output_dim=2, init="uniform", activation="softmax", input_dim=None),
    ],
    "loss": "categorical_crossentropy",
    "optimizer": {"name": "Adam", "lr": 0.25, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 0.001},
    "class_mode": "categorical",
}  # fmt: skip


def numbered(group: Any, arrays: list[np.ndarray]) -> None:
    group.attrs["nb_params"] = len(arrays)
    for index, array in enumerate(arrays):
        group[f"param_{index}"] = array


@pytest.mark.parametrize("backend", ["tensorflow", "theano"])
@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_a_stack_of_keras_0(kind: str, backend: str, tmp_path: Path) -> None:
    """Its layers have numbers for names in files, and normalization keeps standard deviations."""
    text = json.dumps(STACK)  # which is YAML as well
    model = getattr(lamina, f"model_from_{kind}")(text, backend=backend)
    assert [layer.name for layer in model.layers] == list("cpbrmd")
    assert float(model.optimizer.lr) == 0.25 and model.loss == "categorical_crossentropy"
    assert type(model.layers[0].kernel.constraint.constraint).__name__ == "NonNeg"
    shapes = [[(3, 1, 3, 3), (3,)], [], [(3,)] * 4, [], [(4, 27, 5), (4, 5)], [(5, 2), (2,)]]
    stored = [[draw(*shape, seed=seed) for seed, shape in enumerate(own)] for own in shapes]
    stored[2][3] = abs(stored[2][3]) + 0.1
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["nb_layers"] = len(stored)
        for index, arrays in enumerate(stored):
            numbered(file.create_group(f"layer_{index}"), arrays)
    if backend == "tensorflow":
        with pytest.warns(UserWarning, match='TensorFlow or on Theano.*"c" round.*pass backend="theano"'):
            model.load_weights(tmp_path / "w.h5")
    model.load_weights(tmp_path / "w.h5", backend=backend)

    x = torch.from_numpy(draw(3, 1, 8, 8, seed=9))
    (kernel, bias), (gamma, beta, mean, deviation), (maxout, offset), (last, shift) = (
        [torch.from_numpy(array) for array in arrays] for arrays in stored if arrays
    )
    kernel = kernel.flip(2, 3) if backend == "theano" else kernel
    y = functional.max_pool2d(functional.relu(functional.conv2d(x, kernel, bias)), 2)
    y = (y.movedim(1, 3) - mean) / (deviation + 1e-3) * gamma + beta
    y = y.movedim(3, 1).reshape(3, 27)
    y = (torch.einsum("bi,fio->bfo", y, maxout) + offset).amax(1)
    np.testing.assert_allclose(model.predict(x.numpy()), torch.softmax(y @ last + shift, -1), atol=1e-6)


def node(name: str, *inputs: str, **options: Any) -> dict[str, Any]:
    one = {"input": inputs[0], "inputs": []} if len(inputs) == 1 else {"input": None, "inputs": list(inputs)}
    return {"name": name, "merge_mode": "concat", "concat_axis": -1, "dot_axes": -1, **one, **options}


def graph(own: bool) -> dict[str, Any]:
    """A Graph as Keras 0.3 (`own`) or 1.0 wrote it."""
    nodes = {
        "dense": old_layer("Dense", "x", output_dim=3, init="uniform", activation="linear", input_dim=None),
        "words": old_layer("Embedding", "y", input_dim=9, output_dim=5, init="uniform", input_length=6,
                           mask_zero=False, input_shape=[9]),
        "flat": old_layer("Flatten", "z"),
        "shared": {"name": "Siamese", "inputs": ["dense", "last"], "merge_mode": "sum", "layer": old_layer(
            "Dense", "s", output_dim=2, init="uniform", activation="linear", input_dim=3)},
        "last": old_layer("Dense", "v", output_dim=3, init="uniform", activation="linear", input_dim=None),
    }  # fmt: skip
    config = {
        "input_config": [{"name": "a", "dtype": "float", "input_shape": [4]},
                         {"name": "w", "dtype": "int", "input_shape": [6]}],
        "node_config": [node("dense", "a"), node("words", "w"), node("flat", "words"), node("last", "dense", "flat"),
                        node("shared", "dense", "last", merge_mode="sum")],
        "output_config": [node("shared", "shared"), node("both", "dense", "last", merge_mode="mul")],
    }  # fmt: skip
    if own:
        return {"name": "Graph", **config, "nodes": nodes}
    found: dict[str, Any] = {}
    for name, layer in nodes.items():
        shared = {"shared": True} if "layer" in layer else {}
        layer = layer.get("layer", layer)
        kept = {key: value for key, value in layer.items() if key not in ("name", "custom_name", "cache_enabled")}
        kept.pop("input_shape", None)
        found[name] = {"class_name": layer["name"], "config": {**kept, "name": name}, **shared}
    return {"class_name": "Graph", "keras_version": "1.0.8", "config": {**config, "nodes": found}}


@pytest.mark.parametrize("own", [True, False], ids=["0.3", "1.0"])
def test_a_graph(own: bool, tmp_path: Path) -> None:
    model = lamina.model_from_config(graph(own))
    assert [tensor.shape for tensor in model.inputs] == [(None, 4), (None, 6)]
    stored = {"dense": [draw(4, 3), draw(3)], "words": [draw(9, 5)], "last": [draw(33, 3), draw(3)],
              "shared": [draw(3, 2), draw(2)]}  # fmt: skip
    with h5py.File(tmp_path / "w.h5", "w") as file:
        numbered(file.create_group("graph"), [array for arrays in stored.values() for array in arrays])
    model.load_weights(tmp_path / "w.h5")
    a, w = draw(2, 4, seed=1), np.arange(12).reshape(2, 6) % 9
    dense = a @ stored["dense"][0] + stored["dense"][1]
    last = np.concatenate([dense, stored["words"][0][w].reshape(2, 30)], 1) @ stored["last"][0] + stored["last"][1]
    kernel, bias = stored["shared"]
    found = model.predict([a, w], verbose=0)
    np.testing.assert_allclose(found[0], (dense + last) @ kernel + 2 * bias, atol=1e-5)
    np.testing.assert_allclose(found[1], dense * last, atol=1e-5)
    assert [tensor.node.layer.name for tensor in model.outputs][1] == "both"


def dense(own: str, units: int, **arguments: Any) -> dict[str, Any]:
    linear = {"init": "uniform", "activation": "linear", "input_dim": None}
    return old_layer("Dense", own, output_dim=units, **linear, **arguments)


@pytest.mark.parametrize("reconstructs", [True, False])
def test_layers_inside_of_layers_of_keras_0(reconstructs: bool) -> None:
    """Branches of a Merge, a layer in a TimeDistributed, both halves of an AutoEncoder."""
    words = old_layer("Embedding", "e", input_dim=9, output_dim=2, init="uniform", input_length=3, mask_zero=False,
                      input_shape=[9])  # fmt: skip
    steps = old_layer("TimeDistributed", "t", layer=dense("i", 4))
    coder = {"name": "AutoEncoder", "output_reconstruction": reconstructs,
             "encoder_config": dense("in", 3, input_shape=[5]), "decoder_config": dense("out", 6)}  # fmt: skip
    branches = [[words, steps, old_layer("Flatten", "f")], [coder]]
    merge = {"name": "Merge", "mode": "concat", "concat_axis": -1, "dot_axes": -1,
             "layers": [{"name": "Sequential", "layers": branch} for branch in branches]}  # fmt: skip
    model = lamina.model_from_config({"name": "Sequential", "layers": [merge, dense("d", 2)]})
    assert model.input_shape == [(None, 3), (None, 5)]
    weights = [draw(*weight.shape, seed=seed) for seed, weight in enumerate(model.get_weights())]
    model.set_weights(weights)
    ids, x = np.array([[0, 8, 3], [1, 1, 2]]), draw(2, 5, seed=9)
    table, kernel, bias, *coded, last, shift = weights
    y = x
    for place in range(0, len(coded), 2):
        y = y @ coded[place] + coded[place + 1]
    assert y.shape == (2, 6 if reconstructs else 3)
    joined = np.concatenate([(table[ids] @ kernel + bias).reshape(2, 12), y], 1)
    np.testing.assert_allclose(model.predict([ids, x], verbose=0), joined @ last + shift, atol=1e-5)


@pytest.mark.parametrize("own", [True, False], ids=["0.3", "1.0"])
def test_a_shared_node_whose_outputs_have_names(own: bool) -> None:
    """Types are told by their first letters, as Keras 0.3 read them."""
    shared = {"name": "Siamese", "layer": dense("s", 2), "inputs": [], "merge_mode": None}
    heads = {name: {"name": "SiameseHead", "head": index} for index, name in enumerate(("one", "two"))}
    shares: dict[str, Any] = {"name": "shared", "inputs": ["a", "b"], "merge_mode": None}
    entries = [shares, *({"name": name, "inputs": ["shared"], "create_output": False} for name in heads)]
    if not own:
        shares["outputs"], shares["layer"], heads, entries = ["one", "two"], dense("s", 2), {}, [shares]
    model = lamina.model_from_config({
        "name": "Graph",
        "input_config": [{"name": "a", "dtype": "float32", "input_shape": [4]}, {"name": "b", "input_shape": [4]},
                         {"name": "c", "dtype": "int64", "input_shape": [2]}],
        "node_config": entries,
        "nodes": {"shared": shared, **heads},
        "output_config": [{"name": "y", "input": "two"}, {"name": "z", "inputs": ["two", "one"]},
                          {"name": "i", "input": "c"}],
    })  # fmt: skip
    assert [str(tensor.dtype).removeprefix("torch.") for tensor in model.inputs] == ["float32", "float32", "int32"]
    kernel, bias = draw(4, 2), draw(2)
    model.set_weights([kernel, bias])
    a, b, c = draw(3, 4, seed=1), draw(3, 4, seed=2), np.arange(6).reshape(3, 2)
    y, z, i = model.predict([a, b, c], verbose=0)
    np.testing.assert_allclose(y, b @ kernel + bias, atol=1e-5)
    np.testing.assert_allclose(z, np.concatenate([y, a @ kernel + bias], 1), atol=1e-5)
    np.testing.assert_array_equal(i, c)


@pytest.mark.parametrize("path", ["nodes.dense.name", "node_config", "output_config", "input_config", "nodes"])
def test_a_spoilt_graph_is_one_clear_error(path: str) -> None:
    for value in (5, [], {}, "x", None):
        described = graph(True)
        *way, last = path.split(".")
        part = described
        for key in way:
            part = part[key]
        part[last] = value
        with pytest.raises((ValueError, TypeError), match=r"\w{3,}.* \w"):
            lamina.model_from_config(described)


def test_kernels_of_time_before_keras_1_1(tmp_path: Path) -> None:
    model = keras1.models.Sequential([keras1.layers.Convolution1D(4, 3, input_shape=(7, 2), name="c")])
    kernel, bias = draw(3, 1, 2, 4), draw(4)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"c"]
        file.create_group("c").attrs["weight_names"] = [b"c_W:0", b"c_b:0"]
        file["c/c_W:0"], file["c/c_b:0"] = kernel.transpose(3, 2, 0, 1), bias
    model.load_weights(tmp_path / "w.h5")
    np.testing.assert_array_equal(model.get_weights()[0], kernel)


def test_deviations_of_keras_1_0_are_told_by_their_epsilon(tmp_path: Path) -> None:
    arrays = [abs(draw(3, seed=seed)) + 0.1 for seed in range(4)]
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"b"]
        file.create_group("b").attrs["weight_names"] = [f"b_{index}:0".encode() for index in range(4)]
        for index, array in enumerate(arrays):
            file[f"b/b_{index}:0"] = array
    gamma, beta, mean, last = arrays
    x = draw(2, 3, seed=7)
    for epsilon, divisor in ((1e-6, last + 1e-6), (1e-5, np.sqrt(last + 1e-5))):
        model = keras1.models.Sequential([keras1.layers.BatchNormalization(epsilon, name="b", input_shape=(3,))])
        if epsilon == 1e-6:
            with pytest.warns(UserWarning, match='standard deviations.*"b" has the epsilon of then'):
                model.load_weights(tmp_path / "w.h5")
        else:
            model.load_weights(tmp_path / "w.h5")
        np.testing.assert_allclose(model.predict(x), (x - mean) / divisor * gamma + beta, rtol=1e-4)


# Theano ---------------------------------------------------------------------------------------------------------------


def test_a_model_goes_on_computing_for_its_backend(tmp_path: Path) -> None:
    """Cloned, saved or described, and whatever the process is set to."""
    for backend, folder in (("theano", "keras1_th"), ("tensorflow", "keras1_tf")):
        file = f"{folder}/autoencoder.h5"
        other = "tensorflow" if backend == "theano" else "theano"
        keras1.backend.set_backend(other)
        try:
            model = lamina.load_model(RECORDED / file)
            copies = [lamina.models.clone_model(model), lamina.model_from_json(model.to_json())]
            for copy in copies:
                copy.set_weights(model.get_weights())
            for name in ("m.keras", "m.h5"):
                model.save(tmp_path / name)
                copies.append(lamina.load_model(tmp_path / name))
            assert keras1.backend.backend() == other
        finally:
            keras1.backend.set_backend("tensorflow")
        assert max(difference(one, file) for one in (model, *copies)) < 1e-5


def test_a_file_of_weights_says_its_backend_alone(tmp_path: Path) -> None:
    """Whatever else its attributes leave out, and its names would tell."""
    layer = keras1.layers.Convolution2D(2, 3, 3, input_shape=(5, 5, 1))
    model = keras1.models.Sequential([layer])
    model.save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "r+") as file:
        file.attrs.pop("keras_version", None)
        file.attrs["backend"] = "theano"
    with pytest.raises(ValueError, match="was made for tensorflow, and the file was written on theano"):
        model.load_weights(tmp_path / "w.h5")


def test_models_of_both_backends_are_read_at_once() -> None:
    files = ["keras1_th/autoencoder.h5", "keras1_tf/autoencoder.h5"] * 6
    with ThreadPoolExecutor(6) as pool:
        models = list(pool.map(lambda file: lamina.load_model(RECORDED / file, compile=False), files))
    assert max(difference(model, file) for model, file in zip(models, files, strict=True)) < 1e-5


def test_a_backend_that_means_nothing_is_refused() -> None:
    for given, text in (("jax", '"tensorflow" or "theano"'), ("theano", "for models of Keras 1")):
        with pytest.raises(ValueError, match=text):
            lamina.load_model(RECORDED / "keras3/cnn.keras", backend=given)
        with pytest.raises(ValueError, match=text):
            lamina.load_model(RECORDED / "tensorflow/nested", backend=given)
        with pytest.raises(ValueError, match=text):
            lamina.Sequential([]).load_weights(RECORDED / "tensorflow/nested" / "variables/variables", backend=given)
        with pytest.raises(ValueError, match=text):
            lamina.model_from_json((RECORDED / "keras3/cnn.json").read_text(), backend=given)
    path = RECORDED / "keras1_th/autoencoder"
    model = lamina.model_from_json(path.with_suffix(".json").read_text())
    with pytest.raises(ValueError, match=r"model_from_json\(text, backend='theano'\)"):
        model.load_weights(f"{path}_weights.h5")


@pytest.mark.parametrize("home", [keras1, keras2, tf_keras, lamina], ids=lambda home: home.__name__)
def test_a_backend_against_the_files_own_word_is_refused(home: Any, tmp_path: Path) -> None:
    """Or its kernels would be turned round without a word."""
    model = home.models.Sequential([home.layers.Dense(2, input_shape=(3,))])
    model.save(tmp_path / "m.h5")
    with pytest.raises(ValueError, match=r"it was written on \w+, as it says itself.*theano"):
        lamina.load_model(tmp_path / "m.h5", backend="theano")
    with pytest.raises(ValueError, match=r"it was written on \w+, as it says itself.*theano"):
        model.load_weights(tmp_path / "m.h5", backend="theano")


# Optimizers -----------------------------------------------------------------------------------------------------------


def test_optimizers_up_to_2_0_5_went_by_the_weights_names(tmp_path: Path) -> None:
    """Keras 1's recorded files show it for theirs."""
    source = RECORDED / "keras2/local.h5"
    path = tmp_path / "local.h5"
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "r+") as file:
        holder, state = file["model_weights"], file["optimizer_weights"]
        names = [name for layer in holder.attrs["layer_names"] for name in holder[layer].attrs["weight_names"]]
        stored = [state[name][()] for name in state.attrs["weight_names"]]
        scalars = [array for array in stored if array.ndim == 0]
        slots = stored[len(scalars) :]
        assert len(slots) % len(names) == 0 and names != sorted(names)
        order = sorted(range(len(names)), key=lambda place: names[place])
        slots = [slots[start + place] for start in range(0, len(slots), len(names)) for place in order]
        del file["optimizer_weights"]
        state = file.create_group("optimizer_weights")
        state.attrs["weight_names"] = [f"Variable_{index}:0".encode() for index in range(len(stored))]
        for index, array in enumerate([*scalars, *slots]):
            state[f"Variable_{index}:0"] = array
        file.attrs["keras_version"] = holder.attrs["keras_version"] = "2.0.5"
    stored = np.load(RECORDED / "keras2/local.npz")
    model = lamina.load_model(path)
    model.train_on_batch(stored["input0"], stored["target0"])
    assert difference(model, "keras2/local.h5", "resumed_output") < 1e-5


# YAML -----------------------------------------------------------------------------------------------------------------

HEAD = "class_name: Sequential\nkeras_version: 1.2.2\nconfig:\n"


def test_yaml_of_keras_is_plain_data() -> None:
    """Tuples, texts and numbers in Python's and NumPy's tags, and what stands in two places."""
    model = lamina.model_from_yaml(
        HEAD + "- class_name: !!python/unicode 'Dense'\n  config:\n    batch_input_shape: &id001 !!python/tuple\n"
        "    - null\n    - !!python/long '3'\n    name: !!python/str 'd'\n    output_dim: "
        "!!python/object/apply:numpy.core.multiarray.scalar\n    - !!python/object/apply:numpy.dtype\n      args:\n"
        "      - i8\n      - 0\n      - 1\n      state: !!python/tuple [3, <, null, null, null, -1, -1, 0]\n"
        "    - !!binary |\n      BAAAAAAAAAA=\n- class_name: Reshape\n  config: {target_shape: [4]}\n"
    )
    assert model.output_shape == (None, 4) and model.layers[0].name == "d"


BOMB = "".join(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 12))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("!!python/object/apply:os.system ['true']", "os.system"),
        ("!!python/object/new:lamina.Model {}", "lamina.Model"),
        ("!!python/name:os.system", "os.system"),
        (f"a0: &a0 [1, 2]\n{BOMB}", "more than"),
        (HEAD + "- &a [*a]", "contains itself"),
        ("class_name: Sequential\nconfig: &a\n  layers: *a", "contains itself"),
        ("a: &a {b: 1}\nc: {<<: *a}", "merge keys"),
        ("[" * 100_000, "no YAML|nested|names more than"),
        ("x: [" + "1," * 500_000 + "]", "names more than"),
        ("!!python/object/apply:numpy.core.multiarray.scalar [!!python/object/apply:numpy.dtype {args: [O8, 0, 1], "
         "state: !!python/tuple [3, '|']}, !!binary AAAAAAAAAAA=]", "no type of a number"),
        ("!!python/object/apply:numpy.core.multiarray.scalar 5", "no YAML"),
        ("1" * 5000, "number of 5000"), ("", "empty"), ("a: 1\n---\nb: 2", "single document"), ("{a: b", "no YAML"),
    ],
)  # fmt: skip
def test_yaml_that_is_no_model_is_refused_at_once(text: str, why: str) -> None:
    begun = time.process_time()
    with pytest.raises(ValueError, match=why) as error:
        lamina.model_from_yaml(text)
    assert time.process_time() - begun < 5 and len(str(error.value)) < 2000


# Hostile counts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [10**9, 2**62, -1, "x", np.arange(3), 1.5])
@pytest.mark.parametrize("place", ["nb_layers", "nb_params", "graph"])
def test_counts_in_files_are_held_against_what_is_there(place: str, value: Any, tmp_path: Path) -> None:
    model = keras1.models.Sequential([keras1.layers.Dense(3, input_shape=(2,))])
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("graph" if place == "graph" else "layer_0")
        group.attrs["nb_params"] = 0 if place == "nb_layers" else value
        if place != "graph":
            file.attrs["nb_layers"] = value if place == "nb_layers" else 1
    begun = time.process_time()
    with pytest.raises(ValueError, match=re.escape(str(path))):
        model.load_weights(path)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_every_namespace_has_the_same_doors(space: Any) -> None:
    for name in ("load_model", "model_from_config", "model_from_json", "model_from_yaml"):
        assert callable(getattr(space.models, name))
    assert space.models.load_model is lamina.load_model
    for text in ("[1]", "5", "null"):
        with pytest.raises(TypeError, match="expected a dictionary"):
            space.models.model_from_json(text)


@pytest.mark.parametrize("kind", ["json", "config"])
def test_a_generation_for_configs_that_do_not_tell(kind: str) -> None:
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": []}}
    given = json.dumps(config) if kind == "json" else config
    read = getattr(lamina, f"model_from_{kind}")
    homes = {None: "lamina.models", "keras1": "lamina.keras1", "tf_keras": "lamina.tf_keras"}
    for otherwise, home in homes.items():
        assert type(read(given, otherwise=otherwise)).__module__.startswith(home)


def test_what_holds_weights_is_told_from_what_it_holds_not_from_its_name(tmp_path: Path) -> None:
    model, other = (lamina.Sequential([lamina.Input((3,)), lamina.layers.Dense(2, name="d")]) for _ in range(2))
    model.save(tmp_path / "whole.h5")
    model.save(tmp_path / "archive.keras")
    files.save_weights(model, tmp_path / "layers.h5", by_layers=True)
    for source, name in (("whole.h5", "a.keras"), ("layers.h5", "b.keras"), ("archive.keras", "c.h5")):
        (tmp_path / name).write_bytes((tmp_path / source).read_bytes())
        other.set_weights([np.zeros((3, 2)), np.zeros(2)])
        other.load_weights(tmp_path / name)
        np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
