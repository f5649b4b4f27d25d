"""`lamina check`: what a file is, told without loading it."""

from __future__ import annotations

import base64
import inspect
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import test_old_files as old
import torch

import lamina
from lamina import activations, cli, layers, losses, metrics, optimizers
from lamina.core import serialize
from lamina.files import described as tells
from lamina.files.check import models_in
from lamina.saving import check

GENERATIONS = {"keras1_tf": "keras1", "keras1_th": "keras1", "keras2": "keras2", "tf_keras2": "tf_keras",
               "keras3": "keras3"}  # fmt: skip
FILES = sorted(path for path in old.RECORDED.glob("*/*.*") if path.suffix in (".h5", ".keras", ".json", ".yaml"))
FILES = [path for path in FILES if path.name != "models.json"]
BOMB = b"class_name: &a [x, x]\n" + b"".join(b"k%d: &k%d [%s]\n" % (n, n, b", ".join([b"*a" if not n else b"*k%d" % (n - 1)] * 9)) for n in range(30))  # fmt: skip  # noqa: E501


POLICIES = {
    "gptq/4/128": {"class_name": "GPTQDTypePolicy", "config": {"mode": "gptq/4/128", "source_name": "float32"}},
    "awq/4/-1": {"class_name": "AWQDTypePolicy", "config": {"mode": "awq/4/-1", "source_name": "float32"}},
}  # as Keras 3.15 writes them


@pytest.mark.parametrize("keras", [lamina, lamina.tf_keras], ids=["keras3", "tf_keras"])
@pytest.mark.parametrize("name", ["StringLookup", "IntegerLookup", "TextVectorization"])
def test_vocabularies_in_other_files_are_told_before_loading(keras: Any, name: str, tmp_path: Path) -> None:
    terms = [3, 4] if name == "IntegerLookup" else ["a", "b"]
    dtype, shape = ("int64", (2,)) if name == "IntegerLookup" else ("string", ())
    model = keras.Sequential([keras.Input(shape, dtype=dtype), getattr(keras.layers, name)(vocabulary=terms)])
    config = json.loads(model.to_json())
    assert config["config"]["layers"][1]["config"]["vocabulary"] == terms
    (tmp_path / "sound.json").write_text(json.dumps(config))
    config["config"]["layers"][1]["config"]["vocabulary"] = "words.txt"
    (tmp_path / "m.json").write_text(json.dumps(config))
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.create_group("model_weights").attrs["layer_names"] = np.array([], "S1")
    assert check(tmp_path / "sound.json").readable
    for suffix in (".json", ".h5"):
        found = check(tmp_path / f"m{suffix}")
        assert not found.readable and found.call is None
        assert "'words.txt', as vocabulary" in str(found.problem)
    with pytest.raises(ValueError, match=r"'words.txt', as vocabulary.*list of terms"):
        keras.models.load_model(tmp_path / "m.h5")


@pytest.mark.parametrize("mode", POLICIES)
def test_layers_quantized_by_calibration_are_told_before_loading(mode: str, tmp_path: Path) -> None:
    model = lamina.Sequential([lamina.Input((4,)), layers.Dense(2)])
    model.save(tmp_path / "sound.keras")
    with zipfile.ZipFile(tmp_path / "sound.keras") as sound, zipfile.ZipFile(tmp_path / "m.keras", "w") as made:
        for name in sound.namelist():
            content = sound.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["layers"][1]["config"]["dtype"] = POLICIES[mode]
                content = json.dumps(config).encode()
            made.writestr(name, content)
    found = check(tmp_path / "m.keras")
    assert not found.readable and found.call is None
    assert found.problem == f"its layers are quantized to {mode}: save the model in Keras before its `quantize`"
    assert mode in found.line()
    with pytest.raises(ValueError, match=r"m\.keras.*Other modes are not available"):
        lamina.load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("version", ["3.11.0", "3.12.1", "3.13.2", "3.14.0", "3.15.1"])
def test_four_bits_in_another_form_are_told_before_loading(version: str, tmp_path: Path) -> None:
    model = lamina.Sequential([lamina.Input((4,)), layers.Dense(2, dtype="int4_from_float32")])
    model.save(tmp_path / "sound.keras")
    with zipfile.ZipFile(tmp_path / "sound.keras") as sound, zipfile.ZipFile(tmp_path / "m.keras", "w") as made:
        for name in sound.namelist():
            content = sound.read(name)
            made.writestr(name, content if name != "metadata.json" else json.dumps({"keras_version": version}))
    found = check(tmp_path / "m.keras")
    assert found.readable == (version > "3.14")
    if found.readable:
        lamina.load_model(tmp_path / "m.keras")
    else:
        assert "int4 in the form of Keras 3.11 to 3.13" in str(found.problem) and found.call is None
        with pytest.raises(ValueError, match=r"m\.keras: .*int4 in the form of Keras 3\.11 to 3\.13"):
            lamina.load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_recorded_file(path: Path) -> None:
    """Who wrote it, and as many parameters and layers as the model has that is loaded of it."""
    pytest.importorskip("yaml")
    found = check(path)
    assert found.readable and not found.custom and found.problem is None
    assert not found.code or path.suffix == ".yaml"  # NumPy's numbers, in tags
    generation = GENERATIONS[path.parent.name]
    weights = path.name.endswith((".weights.h5", "_weights.h5"))
    assert found.generation == (None if path.name.endswith(".weights.h5") else generation)
    if weights:
        assert found.parameters and "model.load_weights" in str(found.call)
        return
    told = generation != "keras3" or path.suffix != ".json"
    assert found.evidence == "its `keras_version`" if told else "words of its config" in str(found.evidence)
    assert found.model
    if path.stem in ("feature_space", "vocabularies"):  # layers whose state is no weights
        return
    assert found.inputs and found.outputs
    if path.suffix in (".json", ".yaml"):
        assert "weights: it holds none" in found.needs
        return
    model = lamina.load_model(path)
    assert found.parameters == model.count_params()
    assert bool(found.compiled) is found.optimizer_state is bool(getattr(model, "optimizer", None))
    assert not found.compiled or found.compiled.partition("(")[0] == type(model.optimizer).__name__
    assert sum(found.layers.values()) >= len(model.layers)
    assert {type(layer).__name__ for layer in model.layers} <= {
        *(name.partition("(")[0] for name in found.layers),
        *("InputLayer", "Sequential", "Functional", "Model", "GroupedQueryAttention"),
    }  # fmt: skip


def test_neither_torch_nor_much_work() -> None:
    """Work is counted in calls of our functions: time depends on what else the machine does."""
    source = """
import sys
from pathlib import Path
import h5py, lamina
from lamina import cli
home, count = str(Path(lamina.__file__).parent), 0
def look(frame, event, _):
    global count
    count += event == "call" and frame.f_code.co_filename.startswith(home)
sys.setprofile(look)
code = cli.main(sys.argv[1:])
sys.setprofile(None)
assert not {"torch", "rich", "matplotlib"} & {*sys.modules}
print(count)
sys.exit(code)
"""
    command = [sys.executable, "-c", source, "check", str(old.RECORDED / "keras2/cnn.h5")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Keras 2.3.1 on tensorflow" in said and int(said.split()[-1]) < 4_000  # 2,376


# What stands in a model's place -------------------------------------------------------------------------------------


def packed(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


def saved(item: Any, **options: Any) -> bytes:
    made = io.BytesIO()
    torch.save(item, made, **options)
    return made.getvalue()


GOOD_H5 = (old.RECORDED / "keras2/cnn.h5").read_bytes()
GOOD_KERAS = (old.RECORDED / "keras3/cnn.keras").read_bytes()
OTHERS: dict[str, tuple[bytes, str, str]] = {
    "lfs.h5": (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n", "git_lfs", "git lfs pull"),
    "page.h5": (b"\n<!DOCTYPE html><html></html>", "html", "the file's own address"),
    "page.keras": (b"<html><body>Sign in</body></html>", "html", "the file's own address"),
    "missing.h5": (b"404: Not Found", "message", "download failed"),
    "denied.h5": (b"Access denied", "message", "download failed"),
    "empty.h5": (b"", "empty", "again"),
    "zeros.h5": (bytes(5000), "empty", "again"),
    "noise.h5": (bytes(range(255, 128, -1)) * 20, "unknown", "Expected a model"),
    "text.h5": (b"hello", "unknown", "Expected a model"),
    "cut.h5": (GOOD_H5[:20000], "hdf5", "20,000 of 34,904 bytes are there"),
    "cut.keras": (GOOD_KERAS[:20000], "zip", "cut short"),
    "model.pt": (saved(torch.nn.Linear(1, 1)), "torch", "never read"),
    "old.pt": (saved({"a": torch.ones(1)}, _use_new_zipfile_serialization=False), "torch", "never read"),
    "model.pkl": (pickle.dumps({"a": 1}), "pickle", "never read"),
    "model.tflite": (b"\x1c\0\0\0TFL3" + bytes(9), "tflite", "holds no layers"),
    "model.onnx": (b"\x08\x07\x12\x07pytorch", "onnx", "onnxruntime"),
    "graph.pb": (b"\n\x10\n\x01x", "graph", "no Keras layers"),
    "array.npy": (b"\x93NUMPY\x01\0", "numpy", "numpy.load"),
    "arrays.npz": (packed(**{"a.npy": b"\x93NUMPY"}), "npz", "numpy.load"),
    "other.zip": (packed(**{"a.txt": b"a"}), "zip", "no model"),
    "model.h5.gz": (b"\x1f\x8b\x08", "packed", "Unpack"),
    "folder.zip": (packed(**{"m/saved_model.pb": b""}), "packed", "Unpack"),
    "tfjs.json": (b'{"modelTopology": {}, "weightsManifest": []}', "tfjs", "tensorflowjs_converter"),
    "other.json": (b'{"a": 1}', "json", "names no class"),
    "deep.json": (b'{"class_name": "Sequential", "config": ' + b"[" * 10**5, "json", "nested too deeply"),
    "other.mat": (b"MATLAB 7.3 MAT-file", "matlab", "no Keras model"),
    "bomb.yaml": (BOMB, "yaml", "mean more than"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_model(name: str, tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("yaml")
    content, kind, text = OTHERS[name]
    (tmp_path / name).write_bytes(content)
    began = time.process_time()
    found = check(tmp_path / name)
    assert time.process_time() - began < 1
    assert not found.readable and found.kind == kind and text in str(found.problem)
    assert bool(found.code) is (kind in ("torch", "pickle"))
    assert cli.main(["check", str(tmp_path / name)]) == 1
    shown = capsys.readouterr().out
    assert text in shown and "does not read it" in shown and len(shown.splitlines()) < 25


def test_the_name_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(GOOD_KERAS)
    (tmp_path / "model.keras").write_bytes(GOOD_H5)
    assert check(tmp_path / "model.bin").kind == "keras"
    assert check(tmp_path / "model.keras").kind == "hdf5"


@pytest.mark.parametrize("name", ["stacked", "nested", "norms"])
def test_a_saved_model(name: str) -> None:
    """Of tf.keras; one without Keras' metadata is none."""
    folder = old.RECORDED / "tensorflow" / name
    found = check(folder)
    assert found.kind == "saved_model" and found.generation == "tf_keras" and found.readable and found.compiled
    assert sum(found.layers.values()) >= len(lamina.load_model(folder).layers)


def test_folders_of_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    found = check(tmp_path)
    assert found.kind == "saved_model" and not found.readable and found.size == 2
    gan = old.RECORDED / "tensorflow/gan"
    for path in (gan, gan / "checkpoint", gan / "ckpt-3"):
        assert check(path).call == f"model.load_weights({str(gan / 'ckpt-3')!r})"
    assert check(gan / "ckpt-3.index").kind == check(gan / "ckpt-3.data-00000-of-00001").kind == "checkpoint"


def test_weights_of_other_forms(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    model = lamina.Sequential([lamina.Input((3,)), layers.Dense(2)])
    model.save_weights(tmp_path / "m.safetensors")
    model.save_weights(tmp_path / "m.weights.json", max_shard_size=1)
    assert check(tmp_path / "m.safetensors").parameters == 8
    assert check(tmp_path / "m.weights.json").readable
    (tmp_path / "m_00000.weights.h5").unlink()
    assert "beside it there is no m_00000.weights.h5" in str(check(tmp_path / "m.weights.json").problem)
    with h5py.File(tmp_path / "oldest.h5", "w") as file:
        file.attrs["nb_layers"] = 1
        file.create_group("layer_0").attrs["nb_params"] = 1
        file["layer_0/param_0"] = np.zeros((3, 4))
    found = check(tmp_path / "oldest.h5")
    assert found.generation == "keras1" and found.parameters == 12


def test_a_checkpoint_of_torch_distributed(tmp_path: Path, capsys: Any) -> None:
    """A folder that is a file of weights, by itself and among others."""
    model = lamina.Sequential([lamina.Input((4,)), layers.Dense(2)])
    model.save_weights(tmp_path / "m.dcp")
    assert cli.main(["check", str(tmp_path / "m.dcp")]) == 0
    assert f"reads it: model.load_weights('{tmp_path / 'm.dcp'}')" in capsys.readouterr().out
    assert [*models_in(tmp_path)] == [tmp_path / "m.dcp"]
    (tmp_path / "m.dcp").rename(tmp_path / "m")
    assert "ends in .dcp" in str(check(tmp_path / "m").problem)


def test_a_model_of_keras_0(tmp_path: Path) -> None:
    stack = [
        {"name": "Dense", "output_dim": 3, "input_shape": [4], "activation": "relu"},
        {"name": "Dropout", "p": 0.5},
    ]
    described = {"name": "Sequential", "layers": stack, "optimizer": {"name": "SGD", "lr": 0.1}, "loss": "mse"}
    (tmp_path / "m.json").write_text(json.dumps(described))
    found = check(tmp_path / "m.json")
    assert found.generation == "keras1" and found.layers == {"Dense": 1, "Dropout": 1}
    assert found.compiled == "SGD(0.1); loss mse" and found.inputs == ["(None, 4)"]
    lamina.model_from_json((tmp_path / "m.json").read_text())


# Code, and what is somebody's own -----------------------------------------------------------------------------------

CODE = base64.b64encode(b"\xe3\0").decode()
LAMBDAS = {
    "keras1": {"function": [CODE, None, None], "function_type": "lambda", "output_shape_type": "raw"},
    "keras2": {"function": [CODE, None, None], "function_type": "lambda", "module": "__main__"},
    "keras3": {"function": {"class_name": "__lambda__", "config": {"code": CODE, "defaults": None, "closure": None}}},
}  # fmt: skip


def whole(path: Path, stack: list[Any], version: str, training: Any = None) -> Path:
    with h5py.File(path, "w") as file:
        config = stack if version[0] == "1" else {"name": "m", "layers": stack}
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": config})
        file.attrs["keras_version"] = version
        file.create_group("model_weights").attrs["layer_names"] = np.array([], "S1")
        if training:
            file.attrs["training_config"] = json.dumps(training)
    return path


def dense(version: str, **more: Any) -> dict[str, Any]:
    words = {"output_dim": 3, "input_dim": 4} if version[0] == "1" else {"units": 3, "batch_input_shape": [None, 4]}
    return {"class_name": "Dense", "config": {"name": "d", **words, **more}}


@pytest.mark.parametrize(("generation", "version"), [("keras1", "1.2.0"), ("keras2", "2.2.4"), ("keras3", "3.5.0")])
def test_code_and_names_of_ones_own(generation: str, version: str, tmp_path: Path) -> None:
    own = {"class_name": "MyLayer", "config": {"name": "mine"}}
    given = {"class_name": "Lambda", "config": {"name": "code", **LAMBDAS[generation]}}
    named = {"class_name": "Lambda", "config": {"name": "named", "function": "double", "function_type": "function"}}
    metric = {"class_name": "MeanMetricWrapper", "config": {"fn": "my_dice", "name": "d"}}
    optimizer = {"class_name": "Adam", "config": {"lr": 0.1}}
    training = {"optimizer_config": optimizer, "loss": {"d": "my_loss"}, "metrics": ["accuracy", metric]}
    stack = [dense(version, activation="my_act"), own, given, named]
    path = whole(tmp_path / "m.h5", stack, version, training)
    found = check(path)
    assert found.code == ['Lambda "code": bytecode of its function']
    assert sorted(found.custom) == ["MyLayer", "code", "double", "my_act", "my_dice", "my_loss"]
    assert not found.readable and "custom_objects={...}" in str(found.call)
    assert check(whole(tmp_path / "good.h5", [dense(version, activation="relu")], version)).readable


def test_other_code(tmp_path: Path) -> None:
    branches = [{"class_name": "Sequential", "config": [dense("1")]}] * 2
    mode = {"mode": [CODE, None, None], "mode_type": "lambda"}
    merge = {"class_name": "Merge", "config": {"name": "m", **mode, "layers": branches}}
    assert check(whole(tmp_path / "m.h5", [merge], "1.2.0")).code == ['Merge "m": bytecode of its mode']
    config = {"class_name": "TorchModuleWrapper", "config": {"name": "t", "module": "gASV"}, "module": "keras.layers"}
    described = {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [config]}}
    members = {"config.json": json.dumps(described).encode(), "assets/a.npy": b"\x93NUMPY {'descr': '|O'",
               "assets/b.pkl": b"", "assets/c.npy": b"\x93NUMPY {'descr': '<f4'"}  # fmt: skip
    (tmp_path / "m.keras").write_bytes(packed(**members))
    assert check(tmp_path / "m.keras").code == [
        'TorchModuleWrapper "t": a pickled module', "assets/a.npy: pickled objects", "assets/b.pkl: a pickle",
    ]  # fmt: skip
    pytest.importorskip("yaml")
    (tmp_path / "m.yaml").write_text("class_name: Sequential\nconfig: !!python/object/apply:os.system [ls]\n")
    found = check(tmp_path / "m.yaml")
    assert found.code == ["the YAML tag !!python/object/apply:os.system"] and not found.readable


def test_what_is_of_torch_is_known(tmp_path: Path) -> None:
    inputs = lamina.Input((4,), name="x")
    outputs = layers.TorchModuleWrapper(torch.nn.Linear(4, 4))(torch.nn.functional.softplus(inputs, 2.0))
    lamina.Model(inputs, outputs).save(tmp_path / "m.keras")
    found = check(tmp_path / "m.keras")
    assert found.readable and not found.code and not found.custom


def test_a_layer_of_keras_that_is_not_there_is_told_before_loading(tmp_path: Path) -> None:
    config = lamina.Sequential([lamina.Input((4,)), layers.Dense(2)]).to_json()
    (tmp_path / "m.json").write_text(config.replace('"class_name": "Dense"', '"class_name": "TFSMLayer"'))
    assert check(tmp_path / "m.json").custom == ["TFSMLayer"]


_BASES = ("FunctionLoss", "LossFunctionWrapper")


@pytest.mark.parametrize("module", [layers, losses, metrics, optimizers, activations])
def test_names_that_are_known(module: Any) -> None:
    """What Lamina finds by a name is never said to be somebody's own."""
    word = module.__name__.rsplit(".", 1)[-1]
    known = tells._layer_names() if word == "layers" else tells._public(word)
    public = {name for name, item in vars(module).items() if inspect.isclass(item) and name[0] != "_"}
    if word == "activations":
        public = {name for name, item in vars(module).items() if inspect.isfunction(item)}
    here = {name for name in public if serialize.find(name, f"keras.{word}") is not None} - {*_BASES}
    assert len(here) > 10 and not {name for name in here if tells._plain(name) not in known}
    assert not {"mylayer", "dicecoef", "value", "myloss"} & known


# Hostile files ------------------------------------------------------------------------------------------------------


def test_more_is_declared_than_stored(tmp_path: Path) -> None:
    path = whole(tmp_path / "m.h5", [dense("2")], "2.2.4")
    with h5py.File(path, "r+") as file:
        group = file["model_weights"].create_group("d")
        file["model_weights"].attrs["layer_names"] = [b"d"]
        group.attrs["weight_names"] = [b"w"]
        group.create_dataset("w", shape=(10**6, 10**6), dtype="f4", chunks=(100, 100))
    began = time.process_time()
    found = check(path)
    assert "declares" in str(found.problem) and time.process_time() - began < 1
    length = struct.pack("<Q", 60)
    (tmp_path / "m.safetensors").write_bytes(length + b'{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 99]}}')
    assert check(tmp_path / "m.safetensors").problem


def test_links_lead_nowhere(tmp_path: Path) -> None:
    path = whole(tmp_path / "m.h5", [dense("2")], "2.2.4")
    with h5py.File(path, "r+") as file:
        del file["model_weights"]
        file["model_weights"] = h5py.ExternalLink(str(old.RECORDED / "keras2/cnn.h5"), "model_weights")
    assert "link" in str(check(path).problem)


# The command --------------------------------------------------------------------------------------------------------


def test_several_files_and_folders(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/good.h5").write_bytes(GOOD_H5)
    (tmp_path / "a/page.keras").write_bytes(b"<html>")
    (tmp_path / "a/package.json").write_text('{"name": "x"}')
    (tmp_path / "a/notes.txt").write_text("x")
    assert sorted(path.name for path in models_in(tmp_path)) == ["good.h5", "page.keras"]
    assert cli.main(["check", str(tmp_path)]) == 1
    first, second = sorted(capsys.readouterr().out.splitlines())
    assert first.startswith("NOT ") and "a web page" in first
    assert second.startswith("reads ") and "Keras 2.3.1" in second and "323 parameters" in second
    assert cli.main(["check", str(tmp_path / "a/b")]) == 0
    assert cli.main(["check", str(tmp_path / "nothing")]) == 1
    assert "No such file" in capsys.readouterr().out
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe.h5")
        assert cli.main(["check", str(tmp_path / "pipe.h5"), str(tmp_path / "a/b/good.h5")]) == 1
        assert "is a pipe" in (told := capsys.readouterr().out) and "\nreads " in told


def test_json(capsys: Any) -> None:
    assert cli.main(["check", "--json", str(old.RECORDED / "keras1_th/birnn.h5")]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["keras_version"] == "1.2.2" and told["backend"] == "theano" and told["parameters"] == 140
    assert told["layers"] == {"InputLayer": 1, "Masking": 1, "Bidirectional(GRU)": 1, "TimeDistributed(Dense)": 1}
    assert told["inputs"] == ["input_1 (None, 6, 3) float32"] and told["code"] == [] and told["readable"] is True


def test_what_is_read_is_what_it_says(tmp_path: Path) -> None:
    """`readable`, and the call that it names, keep their word."""
    for name, stack in (("good", [dense("2")]), ("bad", [{"class_name": "MyLayer", "config": {"name": "m"}}])):
        path = whole(tmp_path / f"{name}.h5", stack, "2.2.4")
        found = check(path)
        assert found.readable is (name == "good")
        if not found.readable:
            with pytest.raises(ValueError, match="MyLayer"):
                lamina.load_model(path)


def test_no_such_file() -> None:
    with pytest.raises(FileNotFoundError):
        check("nothing.h5")


def test_a_checkpoint_whose_files_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model-3"\n')
    found = check(tmp_path)
    assert not found.readable and found.call is None and "'model-3'" in str(found.problem)
