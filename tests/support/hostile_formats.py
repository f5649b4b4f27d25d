"""More files that were made to harm: what is compiled, older generations, folders of TensorFlow and torch, parts."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from . import hostile
from .hostile import CANARY, CODE, EVIL, HUGE, Make, layer

GOLDEN = Path(__file__).parents[1] / "golden" / "files"


# What is compiled ---------------------------------------------------------------------------------------------------


def compiled() -> dict[str, Any]:
    """Configs of models with hostile arguments of `compile`, or of what they were built for."""
    sound: dict[str, Any] = {"optimizer": "sgd", "loss": "mse", "metrics": None}
    changed = {
        "optimizer": [
            layer("system", "os"), layer("Popen", "subprocess", args="x"), EVIL, 3, [], {"class_name": []},
            layer("Dense", units=HUGE), layer("Adam", "keras.optimizers", learning_rate=layer("system", "os")),
            layer("Adam", "keras.optimizers", learning_rate=[[]] * 999, __class__="x", apply_gradients=EVIL),
            layer("SGD", "keras.optimizers", momentum="__import__", name={"a": 1}),
            layer("LossScaleOptimizer", "keras.optimizers", inner_optimizer=layer("system", "os")),
            layer("SGD", "keras.optimizers", learning_rate=layer(
                "PiecewiseConstantDecay", "keras.optimizers.schedules", boundaries=[HUGE], values=[HUGE])),
            layer("MultiOptimizer", "keras.optimizers"), layer("Optimizer", "keras.optimizers"),
        ],
        "loss": [
            EVIL, "eval", "__import__", {"module": "builtins", "class_name": "function", "config": "eval"},
            layer("Lambda", function=EVIL), {"class_name": "__lambda__", "config": {"code": CODE}}, [[[[]]]], 3,
            layer("LossFunctionWrapper", "keras.losses", fn={"class_name": "function", "config": "os.system"}),
            layer("ModelCheckpoint", "keras.callbacks", filepath=CANARY), layer("CSVLogger", "keras.callbacks",
                filename=CANARY), {"d": "mse", "x": "mse"},
        ],
        "metrics": [
            [EVIL], [layer("AUC", "keras.metrics", num_thresholds=HUGE)], [3], [["mse"] * 9_999], {"": {"": {}}},
            [layer("MeanIoU", "keras.metrics", num_classes=10**6)], [layer("Mean", "keras.metrics", name="x" * 10**6)],
            [layer("F1Score", "keras.metrics", average=[], threshold=float("nan"))],
            [layer("SensitivityAtSpecificity", "keras.metrics", specificity=0.5, num_thresholds=HUGE)],
            [layer("Precision", "keras.metrics", thresholds=[0.5] * 10**6)], [layer("system", "os")],
        ],
        "loss_weights": [HUGE, ["x"], {"d": []}, float("nan")],
        "jit_compile": [EVIL, []], "run_eagerly": ["x"], "steps_per_execution": [HUGE, -1, "x"],
        "auto_scale_loss": [[]], "x": [1], "self": [1], "__class__": ["x"], "weighted_metrics": [EVIL, [EVIL]],
    }  # fmt: skip
    found = {
        f"compiled with {key}={str(value)[:40]}": with_compiled({**sound, key: value})
        for key, values in changed.items()
        for value in values
    }
    found |= {f"compiled {str(value)[:20]}": with_compiled(value) for value in (3, [], "x", {"optimizer": {}}, EVIL)}
    built = ({"input_shape": [HUGE, HUGE]}, {"input_shape": "x"}, {"input_shape": [[]] * 999}, 3, {"self": 1},
             {"shapes_dict": {"x": [HUGE]}}, {"input_shape": [None] * 99})  # fmt: skip
    names = ("Dense", "LSTM", "Conv2D", "MultiHeadAttention", "Bidirectional", "EinsumDense")
    own: dict[str, Any] = {"LSTM": {"units": 2}, "Conv2D": {"filters": 2, "kernel_size": 2}, "Dense": {"units": 2},
           "MultiHeadAttention": {"num_heads": 2, "key_dim": 2},
           "Bidirectional": {"layer": layer("LSTM", units=2)},
           "EinsumDense": {"equation": "ab,bc->ac", "output_shape": 3}}  # fmt: skip
    found |= {
        f"{name} built for {str(shape)[:30]}": layer(
            "Sequential", "keras", layers=[{**layer(name, **own[name]), "build_config": shape}]
        )
        for name in names
        for shape in built
    }
    for registered in ("Custom>Dense", "os>system", ">", ">" * 999, 3, ["x"], "keras.layers>Dense", "Lambda"):
        entry = {**layer("Dense", units=2), "registered_name": registered, "module": None}
        found[f"registered as {str(registered)[:20]}"] = hostile.sequential(entry)
    shared = [{**layer("Dense", units=2, name="d"), "shared_object_id": key} for key in (HUGE, "x", [], -1, {}, 1, 1)]
    found |= {f"shared as {each['shared_object_id']}": hostile.sequential(each, each) for each in shared}
    return found


def with_compiled(settings: Any) -> dict[str, Any]:
    dense = layer("Dense", units=2, name="d")
    return {**hostile.sequential(dense), "compile_config": settings}


# Older generations --------------------------------------------------------------------------------------------------


def older() -> dict[str, tuple[str, Any, Any]]:
    """Configs of models of each older generation, with the version that wrote them, and what they are compiled with."""
    first = {"keras_version": "1.2.2", "batch_input_shape": [None, 4]}
    words = {
        "1.2.2": [
            ("Dense", {"output_dim": HUGE}), ("Dense", {"output_dim": 2, "activation": EVIL}),
            ("Dense", {"output_dim": 2, "W_regularizer": layer("system", "os")}), ("RepeatVector", {"n": HUGE}),
            ("Dense", {"output_dim": 2, "init": "__class__", "weights": [[HUGE]]}),
            ("Lambda", {"function": CODE, "function_type": "lambda"}), ("Lambda", {"function": EVIL}),
            ("Lambda", {"function": "system", "function_type": "function", "output_shape": CODE,
                        "output_shape_type": "lambda"}),
            ("Merge", {"layers": [{"class_name": "Merge", "config": {}}] * 99, "mode": CODE, "mode_type": "lambda"}),
            ("Merge", {"layers": "abc"}), ("TimeDistributed", {"layer": {"class_name": "system"}}),
            ("MaxoutDense", {"output_dim": 9, "nb_feature": HUGE}), ("Embedding", {"input_dim": HUGE, "output_dim": 9}),
            ("LSTM", {"output_dim": HUGE}), ("Convolution1D", {"nb_filter": HUGE, "filter_length": HUGE}),
            ("Graph", {"nodes": {}}), ("system", {}), ("Highway", {"input_dim": HUGE}), ("MaxoutDense", {}),
        ],
        "2.3.1": [
            ("Lambda", {"function": [CODE, None, None], "function_type": "lambda", "module": "os"}),
            ("Lambda", {"function": "system", "function_type": "function", "module": "os", "arguments": {"x": EVIL}}),
            ("Lambda", {"function": [CODE], "function_type": "lambda"}), ("Lambda", {"function": [[]] * 3}),
            ("Dense", {"units": HUGE, "kernel_initializer": {"class_name": "system", "config": {}}}),
            ("Dense", {"units": 2, "activation": {"class_name": "function", "config": "system", "module": "os"}}),
            ("RNN", {"cell": {"class_name": "StackedRNNCells", "config": {"cells": [{"class_name": "system"}]}}}),
            ("Bidirectional", {"layer": {"class_name": "Bidirectional", "config": {}}}),
            ("Model", {"layers": [], "input_layers": [["x", 0, 0]], "output_layers": 3}),
            ("CuDNNLSTM", {"units": HUGE}), ("LocallyConnected1D", {"filters": HUGE, "kernel_size": HUGE}),
            ("os.system", {}), ("__class__", {}), ("Layer", {"dtype": EVIL}), ("Reshape", {"target_shape": [HUGE, -1]}),
        ],
        "2.12.0": [
            ("TensorFlowOpLayer", {"node_def": json.dumps({"op": "PyFunc", "name": "x", "input": ["a"],
                                                           "attr": {"token": {"s": EVIL}}}), "constants": {}}),
            ("TensorFlowOpLayer", {"node_def": "x", "constants": {"0": [[]] * 99}}), ("TensorFlowOpLayer", {}),
            ("TensorFlowOpLayer", {"node_def": {"op": "Tile", "name": "x", "input": ["a", "b"]},
                                   "constants": {"1": [HUGE, HUGE]}}),
            ("TFOpLambda", {"function": "os.system"}), ("TFOpLambda", {"function": "io.read_file"}),
            ("TFOpLambda", {"function": "py_function"}), ("TFOpLambda", {"function": "math.__class__"}),
            ("TFOpLambda", {"function": []}), ("SlicingOpLambda", {"function": "__operators__.getitem"}),
            ("ClassMethod", {"symbol": "os.system"}), ("InstanceMethod", {"method_name": "__reduce__"}),
            ("InstanceProperty", {"attr_name": "__globals__"}), ("TFOpLambda", {"function": "linalg.eye"}),
            ("StringLookup", {"vocabulary": "/etc/passwd"}), ("TextVectorization", {"vocabulary": "/etc/passwd"}),
            ("IntegerLookup", {"max_values": HUGE, "output_mode": "multi_hot", "pad_to_max_tokens": True}),
            ("Discretization", {"bins": HUGE}), ("CategoryEncoding", {"max_tokens": HUGE}),
            ("StringLookup", {"vocabulary": {"class_name": "__tuple__", "items": [HUGE] * 99}}),
            ("Normalization", {"axis": [HUGE]}), ("RandomRotation", {"factor": EVIL}),
            ("HashedCrossing", {"num_bins": HUGE}),
            ("EinsumDense", {"equation": "a" * 10**5, "output_shape": HUGE}),
            ("Resizing", {"height": HUGE, "width": 9}),
        ],
    }  # fmt: skip
    found: dict[str, tuple[str, Any, Any]] = {}
    for version, listed in words.items():
        for name, config in listed:
            entry = {"class_name": name, "config": {**first, "name": "d", **config}}
            stack = [entry] if version == "1.2.2" else {"name": "s", "layers": [entry]}
            told = {"class_name": "Sequential", "config": stack, "keras_version": version, "backend": "tensorflow"}
            found[f"{version}: {name} {str(config)[:40]}"] = version, told, None
            call = [[["i", 0, 0, {"y": EVIL, "shape": [HUGE, HUGE], "num_rows": HUGE}]]]
            inputs = {"class_name": "InputLayer", "name": "i", "inbound_nodes": [],
                      "config": {"batch_input_shape": [None, 4], "dtype": "float32", "name": "i"}}  # fmt: skip
            graph = {"name": "m", "layers": [inputs, {**entry, "name": "d", "inbound_nodes": call}],
                     "input_layers": [["i", 0, 0]], "output_layers": [["d", 0, 0]]}  # fmt: skip
            found[f"{version}: {name} {str(config)[:40]} in a graph"] = version, {**told, "class_name": "Model",
                                                                                  "config": graph}, None  # fmt: skip
        sound = {
            "class_name": "Dense",
            "config": {"output_dim" if version[0] == "1" else "units": 2, "name": "d", **first},
        }
        stack = [sound] if version == "1.2.2" else {"name": "s", "layers": [sound]}
        told = {"class_name": "Sequential", "config": stack, "keras_version": version, "backend": "tensorflow"}
        for settings in (
            3, [], {}, {"optimizer_config": EVIL},
            {"optimizer_config": {"class_name": "system", "config": {}}, "loss": "mse"},
            {"optimizer_config": {"class_name": "SGD", "config": {"lr": [[]], "decay": HUGE}}, "loss": EVIL},
            {"optimizer_config": {"class_name": "SGD", "config": {"__class__": 1}}, "loss": {"x": "mse"}},
            {"optimizer_config": {"class_name": "SGD", "config": {}}, "loss": "mse", "metrics": [[EVIL]],
             "sample_weight_mode": EVIL, "loss_weights": {"d": HUGE}},
            {"optimizer_config": {"class_name": "TFOptimizer", "config": {}}, "loss": "mse"},
        ):  # fmt: skip
            found[f"{version}: compiled {str(settings)[:50]}"] = version, told, settings
    return found


def in_hdf5(path: Path, version: str, config: Any, settings: Any) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["keras_version"], file.attrs["backend"] = version.encode(), b"tensorflow"
        if settings is not None:
            file.attrs["training_config"] = json.dumps(settings).encode()
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = np.array([b"d"])
        group = weights.create_group("d")
        group.attrs["weight_names"] = np.array([b"d_W:0", b"d_b:0"])
        group["d_W:0"], group["d_b:0"] = np.zeros((4, 2), "f4"), np.zeros(2, "f4")
        state = file.create_group("optimizer_weights")
        state.attrs["weight_names"] = np.array([b"iterations:0"] * 3)
        state["iterations:0"] = np.array(HUGE)


# More of HDF5 ---------------------------------------------------------------------------------------------------------


def hdf5(good: Path) -> dict[str, Make]:
    def put(name: str, **options: Any) -> Make:
        return hostile.rewritten(good, hostile.replaced(lambda file, place: file.create_dataset(place, **options)))

    kinds: dict[str, Any] = {
        "an array in each value": {"shape": (2,), "dtype": np.dtype(("f4", (1 << 14,)))},
        "sizes past all": {"shape": (1 << 30, 1 << 30, 1 << 3), "dtype": "f4", "chunks": (1, 1, 1)},
        "none of many": {"shape": (0, 1 << 40), "dtype": "f4"},
        "regions": {"shape": (3,), "dtype": h5py.regionref_dtype},
        "lists": {"shape": (3,), "dtype": h5py.vlen_dtype(np.float32)},
        "words for numbers": {"shape": (4, 2), "dtype": h5py.enum_dtype({"a": 1})},
        "scale and offset": {"shape": (4, 2), "dtype": "f4", "chunks": True, "scaleoffset": 3},
        "odd floats": {"shape": (4, 2), "dtype": "f2"},
        "long floats": {"shape": (4, 2), "dtype": "g"},
        "whole numbers": {"shape": (4, 2), "dtype": "u8", "fillvalue": 2**64 - 1},
        "many small chunks": {"shape": (1 << 10, 1 << 10), "dtype": "i1", "chunks": (1, 1)},
        "gzip of nothing": {
            "shape": (1 << 16, 1 << 14),
            "dtype": "f4",
            "compression": "gzip",
            "chunks": (1 << 10,) * 2,
        },
    }
    found = {f"arrays: {name}": put(name, **options) for name, options in kinds.items()}

    def many(file: Any) -> None:
        for index in range(6_000):
            file.create_dataset(f"m{index}", data=0)

    def wide(file: Any) -> None:
        names = np.array([f"x{index}".encode() for index in range(60_000)])
        for group in (file, *(item for item in file.values() if isinstance(item, h5py.Group))):
            for name in ("layer_names", "weight_names"):
                for key in [key for key in group.attrs if key.startswith(name)]:
                    del group.attrs[key]
                for part in range(100):
                    group.attrs[f"{name}{part}"] = names[part * 600 : part * 600 + 600]

    def types(file: Any) -> None:
        for group in [item for item in file.values() if isinstance(item, h5py.Group)]:
            group["type"] = np.dtype([("a", "f4"), ("b", "S9")])

    def same(file: Any) -> None:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for index in range(4_000):
            file[f"{names[0]}_{index}"] = file[names[0]]

    def long(file: Any) -> None:
        file.create_group("x" * 60_000)

    for name, change in {"many": many, "wide": wide, "types": types, "one in many places": same, "long": long}.items():
        found[name] = hostile.rewritten(good, change)
    return found


# Parts ----------------------------------------------------------------------------------------------------------------


def shards() -> dict[str, Any]:
    """Texts of `.weights.json`."""

    def told(names: Any, **more: Any) -> dict[str, Any]:
        return {"metadata": {"total_size": 1.0}, "weight_map": {"/layers/dense/vars": names}, **more}

    return {
        "a way out": told("../../etc/passwd"), "an absolute name": told("/etc/passwd"),
        "itself": told("x.weights.json"),
        "a device": told("/dev/zero"), "a folder": told("."), "nothing": told(""), "no names": told([[]]),
        "many": {"weight_map": {f"/{i}": f"x_{i:05}.weights.h5" for i in range(5_000)}}, "a number": told(3),
        "deep": "[" * 90_000, "a list": [], "zeros": told("a\0b"), "a long name": told("x" * 9_000),
        "code": told(f"/{EVIL}"),
        "Windows": told("C:\\x"), "no map": {"weight_map": []}, "metadata": told("../x.h5", metadata=[HUGE]),
    }  # fmt: skip


class _Named:
    def __init__(self, function: Any, *args: Any):
        self._told = function, args

    def __reduce__(self) -> Any:
        return self._told


def indices() -> dict[str, bytes]:
    """Pickles for the index of a `.dcp` folder."""
    import pathlib

    import torch
    from torch.distributed.checkpoint import metadata as kinds

    state = {"layers/d/vars/0": kinds.TensorStorageMetadata(
        kinds.TensorProperties(torch.float32), torch.Size([HUGE, HUGE]),
        [kinds.ChunkStorageMetadata(torch.Size([0, 0]), torch.Size([HUGE, HUGE]))])}  # fmt: skip
    return {
        "runs": pickle.dumps(_Named(os.system, f"touch {CANARY}")),
        "evaluates": pickle.dumps(_Named(eval, EVIL)),
        "loads torch": pickle.dumps(_Named(torch.load, CANARY)),
        "names a path": pickle.dumps(pathlib.PurePosixPath("/etc/passwd")),
        "nothing": b"", "half": pickle.dumps(state)[:-9], "a list": pickle.dumps([]),
        "huge": pickle.dumps(kinds.Metadata(state, None, {})),
        "a huge text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60),
        "huge bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40), "a huge frame": b"\x80\x04\x95" + b"\xff" * 8,
        "a huge number": b"\x80\x02\x8b\xff\xff\xff\x7f", "a huge place": b"\x80\x02Nr\xff\xff\xff\x7f.",
        "laughs": b"\x80\x02]q\x01" + b"".join(
            b"(" + b"h%c" % index * 99 + b"lq%c" % (index + 1) for index in range(1, 40)) + b".",
        "deep": b"\x80\x02" + b"(" * 90_000 + b"t" * 90_000 + b".", "no pickle": bytes(99),
    }  # fmt: skip


def alters(path: Path) -> None:
    """A `.dcp` folder whose index sets an attribute of a class that it may name; what reads it must refuse."""
    hostile.trained().save_weights(path)
    kind = b"\x80\x02ctorch.distributed.checkpoint.metadata\nTensorStorageMetadata\n"
    (path / ".metadata").write_bytes(kind + b"N}X\x06\x00\x00\x00poisonK\x01s\x86b.")


def distributed(path: Path, spoil: str) -> None:
    """A `.dcp` folder whose numbers are pickled objects, by what its index says; or with a pipe in place of a file."""
    import torch
    from torch.distributed.checkpoint import filesystem
    from torch.distributed.checkpoint import metadata as kinds

    hostile.trained().save_weights(path)
    if spoil != "objects":
        file = path / ".metadata" if spoil == "index" else next(path.glob("*.distcp"))
        file.unlink()
        os.mkfifo(file)
        return
    index, content = pickle.loads((path / ".metadata").read_bytes()), io.BytesIO()
    torch.save(_Named(os.system, f"touch {CANARY}"), content)
    (path / "x.distcp").write_bytes(content.getvalue())
    place = filesystem._StorageInfo("x.distcp", 0, len(content.getvalue()))
    for name, told in index.state_dict_metadata.items():
        if not told.size:
            index.state_dict_metadata[name] = kinds.BytesStorageMetadata()
            index.storage_data = {key: value for key, value in index.storage_data.items() if key.fqn != name}
            index.storage_data[kinds.MetadataIndex(name)] = place
    (path / ".metadata").write_bytes(pickle.dumps(index))


# TensorFlow ---------------------------------------------------------------------------------------------------------


def tensorflow() -> dict[str, Make]:
    """SavedModel folders: sound ones with a part exchanged or spoiled."""
    source = GOLDEN / "tensorflow" / "nested"
    found: dict[str, Make] = {}

    def changed(part: str, change: Any) -> Make:
        def make(path: Path) -> None:
            shutil.copytree(source, path)
            file = path / part
            content = change(file.read_bytes()) if callable(change) else change
            if content is None:
                file.unlink()
                os.mkfifo(file)
            elif isinstance(content, Path):
                file.unlink()
                file.symlink_to(content)
            else:
                file.write_bytes(content)

        return make

    parts = ("saved_model.pb", "keras_metadata.pb", "variables/variables.index",
             "variables/variables.data-00000-of-00001")  # fmt: skip
    changes: dict[str, Any] = {
        "a pipe": None, "nothing": b"", "zeros": bytes(9_999), "half": lambda data: data[: len(data) // 2],
        "a device": Path("/dev/zero"),
        "random numbers": Path("/dev/urandom"), "another's": Path("/etc/passwd"), "a folder": Path("/"),
        "itself": Path("saved_model.pb"), "twice": lambda data: data + data, "pickle": hostile.pickled(),
        "backwards": lambda data: data[::-1], "ones": lambda data: b"\xff" * len(data),
        "a long tail": lambda data: data + bytes(1 << 24),
    }  # fmt: skip
    for part in parts:
        found |= {f"{part}: {name}": changed(part, change) for name, change in changes.items()}
        for at in range(8):

            def flip(data: bytes, at: int = at) -> bytes:
                place = len(data) * (2 * at + 1) // 16
                return data[:place] + b"\xff\xff\xff\x7f" + data[place + 4 :]

            found[f"{part}: a number at {at}/8"] = changed(part, flip)
    for name in ("/etc/passwd", "../../../../../etc/passwd"):

        def named(path: Path, name: str = name) -> None:
            path.mkdir()
            (path / "checkpoint").write_text(f'model_checkpoint_path: "{name}"\n')

        found[f"a checkpoint elsewhere, {name}"] = named
    for name, text in {
        "code": EVIL, "deep": "[" * 90_000, "a list": "[]", "huge": json.dumps({"class_name": "Sequential", "config": {
            "layers": [{"class_name": "Dense", "config": {"units": HUGE}}]}, "build_input_shape": [None, HUGE]}),
        "another class": json.dumps({"class_name": "system", "module": "os", "config": {}}),
        "a shape": json.dumps({"class_name": "Sequential", "config": {"layers": []}, "build_input_shape": [HUGE] * 99}),
    }.items():  # fmt: skip
        inner = b"\x1a\x04root\x2a" + hostile.varint(len(text)) + text.encode()
        found[f"keras_metadata.pb: {name}"] = changed("keras_metadata.pb", b"\x0a" + hostile.varint(len(inner)) + inner)
    return found


def cases(folder: Path, good: dict[str, Path]) -> Iterator[tuple[str, str, Make]]:
    """As `hostile.cases`, of these kinds."""
    for name, config in compiled().items():
        text = json.dumps(config)
        yield name, ".keras", lambda path, text=text: hostile.archive(path, text, good[".keras"])
    for name, (version, config, settings) in older().items():
        yield name, ".h5", lambda path, told=(version, config, settings): in_hdf5(path, *told)
        if settings is None:
            yield name, ".json", lambda path, config=config: path.write_text(json.dumps(config))
    for suffix in (".h5", ".weights.h5"):
        for name, make in hdf5(good[suffix]).items():
            yield f"HDF5: {name}", suffix, make
    for name, told in shards().items():
        text = told if isinstance(told, str) else json.dumps(told)
        yield f"parts: {name}", ".weights.json", lambda path, text=text: path.write_text(text)
    for name, content in indices().items():

        def make(path: Path, content: bytes = content) -> None:
            path.mkdir()
            (path / ".metadata").write_bytes(content)

        yield f"index: {name}", ".dcp", make
    for spoil in ("objects", "index", "part"):
        yield f"distributed: {spoil}", ".dcp", lambda path, spoil=spoil: distributed(path, spoil)
    for name, make in tensorflow().items():
        yield f"folder: {name}", ".folder", make
