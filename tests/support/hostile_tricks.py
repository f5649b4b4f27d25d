"""Tricks of the containers themselves, places that configs point to, names that collide, and tables that lie."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lamina.files.bundle import masked
from lamina.files.crc32c import crc32c

from . import hostile
from .hostile import CANARY, EVIL, HUGE, Make, layer, pickled, sequential, varint

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
OUTSIDE = ("/etc/passwd", "file:///etc/passwd", f"http://127.0.0.1:9/{CANARY}", f"~/{CANARY}", f"../../{CANARY}",
           f"s3://x/{CANARY}", "/dev/zero", "/proc/self/environ", "\\\\host\\share\\x", "gs://x/y")  # fmt: skip


# Archives -----------------------------------------------------------------------------------------------------------


def _zip64(size: int, packed: int, offset: int) -> bytes:
    return struct.pack("<HHQQQ", 1, 24, size, packed, offset)


def _entries(data: bytes) -> tuple[bytes, list[bytes], bytes]:
    """An archive as what stands before its list, the list's entries, and what ends it."""
    start = int.from_bytes(data[data.rindex(END) + 16 :][:4], "little")
    listed, end = data[start : data.rindex(END)], data[data.rindex(END) :]
    return data[:start], [CENTRAL + each for each in listed.split(CENTRAL)[1:]], end


def _put_together(before: bytes, listed: list[bytes], end: bytes) -> bytes:
    told = b"".join(listed)
    return before + told + end[:8] + struct.pack("<HHLL", len(listed), len(listed), len(told), len(before)) + end[20:]


def _told(entry: bytes, at: int, form: str, value: Any, extra: bytes = b"") -> bytes:
    """An entry of the list with a field changed, and `extra` behind its name."""
    entry = entry[:at] + struct.pack(form, value) + entry[at + struct.calcsize(form) :]
    name = int.from_bytes(entry[28:30], "little")
    return entry[:30] + struct.pack("<H", len(extra)) + entry[32 : 46 + name] + extra + entry[46 + name :]


def archives(good: Path) -> dict[str, Make]:
    data = good.read_bytes()
    before, listed, end = _entries(data)
    weights = next(at for at, entry in enumerate(listed) if b"model.weights.h5" in entry)
    config = next(at for at, entry in enumerate(listed) if b"config.json" in entry)

    def lists(*entries: bytes) -> Make:
        return lambda path: path.write_bytes(_put_together(before, list(entries), end))

    def changed(at: int, *change: Any, extra: bytes = b"") -> Make:
        entries = [*listed]
        entries[at] = _told(entries[at], *change, extra=extra)
        return lists(*entries)

    def over(count: int) -> Make:
        """Many entries for the same bytes, under other names."""
        with io.BytesIO() as buffer:
            with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
                file.writestr("assets/00000", bytes(1 << 20))
            (one,) = _entries(buffer.getvalue())[1]
            kernel = buffer.getvalue()[: len(_entries(buffer.getvalue())[0])]
        copies = [
            _told(one.replace(b"assets/00000", b"assets/%05d" % at), 42, "<L", len(before)) for at in range(count)
        ]
        return lambda path: path.write_bytes(_put_together(before + kernel, [*listed, *copies], end))

    def inside(depth: int) -> bytes:
        held = data
        for _ in range(depth):
            with io.BytesIO() as buffer:
                with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
                    file.writestr("model.weights.h5", held)
                    file.writestr("config.json", json.dumps(sequential()))
                held = buffer.getvalue()
        return held

    bits = int.from_bytes(listed[config][8:10], "little")
    offsets = [int.from_bytes(entry[42:46], "little") for entry in listed]
    most = 0xFFFFFFFF
    found: dict[str, Make] = {
        "entries over each other": lists(*listed, _told(listed[config].replace(b"config.json", b"xonfig.json"), 8, "<H",
                                                        bits)),
        "all over one another": over(900),
        "the config's entry for the weights": changed(weights, 42, "<L", offsets[config]),
        "the weights' entry for the config": changed(config, 42, "<L", offsets[weights]),
        "a descriptor, it says": changed(config, 8, "<H", bits | 8),
        "encrypted": changed(config, 8, "<H", bits | 1),
        "strongly encrypted": changed(config, 8, "<H", bits | 65),
        "a patch": changed(config, 8, "<H", bits | 32),
        "packed by bzip2, it says": changed(config, 10, "<H", 12),
        "packed by LZMA, it says": changed(config, 10, "<H", 14),
        "packed, it says": changed(config, 10, "<H", 8),
        "of another disk": changed(config, 34, "<H", 7),
        "needs version 99": changed(config, 6, "<H", 99),
        "large by zip64": changed(weights, 24, "<L", most, extra=_zip64(1 << 50, 100, offsets[weights])),
        "zip64 below zero": changed(weights, 24, "<L", most, extra=_zip64((1 << 64) - 1, 1, 0)),
        "zip64 cut short": changed(weights, 24, "<L", most, extra=b"\1\0\x18\0\0"),
        "zip64 twice": changed(weights, 24, "<L", most, extra=_zip64(99, 99, 0) * 9),
        "elsewhere by zip64": changed(weights, 42, "<L", most, extra=struct.pack("<HHQ", 1, 8, 1 << 60)),
        "a false local length": lambda path: path.write_bytes(
            data[: offsets[weights] + 26] + b"\xff\xff\xff\xff" + data[offsets[weights] + 30 :]
        ),
        "no list": lambda path: path.write_bytes(before + end),
        "no local entries": lambda path: path.write_bytes(_put_together(b"PK\x03\x04" + bytes(9), listed, end)),
        "a long comment": lambda path: path.write_bytes(data[:-2] + b"\xff\xff" + END * 16_000),
        "two ends": lambda path: path.write_bytes(data + _put_together(b"", [], end)),
        "zip64's end lies": lambda path: path.write_bytes(
            before + b"".join(listed) + b"PK\x06\x06" + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, 1 << 40, 1 << 40, 1,
            1 << 60) + b"PK\x06\x07" + struct.pack("<LQL", 0, len(before) + len(b"".join(listed)), 1) + end[:8]
            + b"\xff" * 12 + end[20:]),
        "archives in archives": lambda path: path.write_bytes(inside(30)),
        "HDF5 before it": lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + data),
        "HDF5 with an archive behind": lambda path: path.write_bytes(
            zipfile.ZipFile(io.BytesIO(data)).read("model.weights.h5") + data
        ),
    }  # fmt: skip
    for name, code in {"npz": _npz(), "npy": _npy(), "pt": _pt()}.items():
        found[f"a {name} in its place"] = lambda path, code=code: path.write_bytes(code)
        for member in ("model.weights.h5", "config.json", "metadata.json"):
            found[f"a {name} as {member}"] = _member(good, member, code)
    for member in ("variables.npy", "_layer_checkpoint_dependencies/dense/vars/0.npy", "assets/d/vocabulary.npy",
                   "model.weights.npz", "layers/d/assets/../../x", "assets//x", "assets/./d", "assets/" + "a/" * 90,
                   "ASSETS/x", "Config.json", "config.json ", "config.json/x", "config.json\x00.txt"):  # fmt: skip
        found[f"a pickle as {member[:40]!r}"] = lambda path, member=member: hostile.archive(
            path, None, good, (member, _npy())
        )
    return found


def _member(good: Path, name: str, content: bytes, method: int = zipfile.ZIP_STORED) -> Make:
    def make(path: Path) -> None:
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w", method) as made:
            for each in source.namelist():
                made.writestr(each, content if each == name else source.read(each))

    return make


def _npy() -> bytes:
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + pickled()


def _npz() -> bytes:
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("arr_0.npy", _npy())
        return buffer.getvalue()


def _pt() -> bytes:
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("archive/data.pkl", pickled())
            file.writestr("archive/version", "3")
        return buffer.getvalue()


# Configs --------------------------------------------------------------------------------------------------------------


def configs() -> dict[str, Any]:
    found: dict[str, Any] = {}
    takes = {
        "StringLookup": "vocabulary", "IntegerLookup": "vocabulary", "TextVectorization": "vocabulary",
        "Normalization": "mean", "Discretization": "bin_boundaries",
    }  # fmt: skip
    for place in OUTSIDE:
        for name, argument in takes.items():
            found[f"{name} of {place}"] = sequential(layer(name, **{argument: place}))
        found[f"weights of IDF at {place}"] = sequential(
            layer("TextVectorization", vocabulary=["a"], idf_weights=place, output_mode="tf_idf")
        )
        found[f"weights at {place}"] = sequential(layer("Dense", units=2, weights=place))
        for module, name in (("keras.applications", "ResNet50"), ("keras.applications.resnet", "ResNet50"),
                             ("keras.layers", "TFSMLayer"), ("tensorflow_hub", "KerasLayer"),
                             ("keras.layers", "TorchModuleWrapper"), ("keras_hub", "Backbone")):  # fmt: skip
            found[f"{module}.{name} of {place}"] = sequential(
                layer(name, module, weights=place, filepath=place, handle=place)
            )
    found |= {
        f"{module}.{name} is run": sequential(layer(name, module, **{argument: f"touch {CANARY}"}))
        for module, name, argument in (
            ("torch.utils.model_zoo", "load_url", "url"), ("torch", "compile", "model"), ("torch.jit", "load", "f"),
            ("lamina.generations.run", "main", "script"), ("lamina", "run", "script"), ("lamina.cli", "main", "argv"),
            ("lamina.files.safe", "replacing", "path"), ("keras.utils", "get_file", "origin"),
            ("lamina.core.serialize", "deserialize", "config"), ("keras.src.utils", "get_file", "fname"),
            ("keras.saving", "KerasFileEditor", "reference"), ("keras.callbacks", "CSVLogger", "filename"),
            ("lamina.data", "load_digits", "path"), ("ctypes", "CDLL", "name"), ("posix", "system", "command"),
            ("importlib", "import_module", "name"), ("runpy", "run_path", "path_name"), ("pty", "spawn", "argv"),
            ("lamina.generations.worker", "main", "x"), ("multiprocessing", "Process", "target"), ("code", "interact",
            "banner"), ("keras.backend.os", "system", "command"), ("keras.ops.np", "load", "file"),
            ("lamina.layers.preprocessing", "os", "command"), ("keras.layers.torch", "load", "f"),
        )
    }  # fmt: skip
    names = (
        "__class__", "__dict__", "__init__", "__call__", "_modules", "_parameters", "training", "forward", "call",
        "build", "weights", "parameters", "state_dict", "compile", "fit", "layers", "name", "self", "None", "True", "0",
        "lambda", "import", "_graph", "_plan", "_stack", "\n", "'", '"', "{}", "%s", "\\", "${x}", "`id`", "a.b", "a:b",
        "d\u0000", "\u2028", "x\ry", ".", "..", "/", "//", "-", "con", "nul", "é", "e\u0301", "__builtins__", "x" * 300,
    )  # fmt: skip
    for name in names:
        dense = layer("Dense", units=2, name=name)
        found[f"a layer named {name[:20]!r}"] = sequential(dense)
        inputs = {**layer("InputLayer", batch_shape=[None, 4], name=name), "name": name, "inbound_nodes": []}
        tensor = {"class_name": "__keras_tensor__", "config": {"shape": [None, 4], "dtype": "float32",
                                                               "keras_history": [name, 0, 0]}}  # fmt: skip
        after = {
            **layer("Dense", units=2, name="d"),
            "name": "d",
            "inbound_nodes": [{"args": [tensor], "kwargs": {name: 1}}],
        }
        found[f"an input and an argument named {name[:20]!r}"] = layer(
            "Functional", "keras.src.models.functional", name=name, layers=[inputs, after], input_layers=[name, 0, 0],
            output_layers={name: ["d", 0, 0]}
        )  # fmt: skip
        found[f"a metric and an optimizer named {name[:20]!r}"] = {
            **sequential(layer("Dense", units=2, name="d")),
            "compile_config": {
                "optimizer": layer("Adam", "keras.optimizers", name=name),
                "loss": {name: "mse"} if name == "d" else layer("MeanSquaredError", "keras.losses", name=name),
                "metrics": [layer("MeanSquaredError", "keras.metrics", name=name)],
            },
        }
    nan, infinite = float("nan"), float("inf")
    sizes = (nan, infinite, -infinite, -1, 2**31, 2**63, 2**64, -(2**63), 1e308, True, "NaN", [nan], {"a": nan})
    for size in sizes:
        for name, config in {
            "Dense": {"units": size},
            "Reshape": {"target_shape": [size, 2]},
            "ZeroPadding1D": {"padding": size},
            "RepeatVector": {"n": size},
            "Embedding": {"input_dim": size, "output_dim": 2},
            "Dropout": {"rate": size},
            "BatchNormalization": {"epsilon": size, "momentum": size},
            "Conv1D": {"filters": 2, "kernel_size": size},
            "Conv2D": {"filters": 2, "kernel_size": 2, "strides": [size, size], "dilation_rate": size, "groups": size},
            "GRU": {"units": size, "dropout": size},
            "Resizing": {"height": size, "width": size},
            "GroupNormalization": {"groups": size},
            "MaxPooling2D": {"pool_size": [size, 1]},
            "Cropping1D": {"cropping": [size, size]},
            "InputLayer": {"batch_shape": [size, size]},
        }.items():
            found[f"{name} of {str(size)[:12]}"] = sequential(layer(name, **config))
        for name, config in {
            "Zeros": {"x": size},
            "Constant": {"value": size},
            "RandomNormal": {"stddev": size, "seed": size},
            "Orthogonal": {"gain": size},
            "VarianceScaling": {"scale": size},
        }.items():
            found[f"{name} by {str(size)[:12]}"] = sequential(
                layer("Dense", units=2, kernel_initializer=layer(name, "keras.initializers", **config))
            )
    wrapped = layer("Dense", units=1)
    for _ in range(60):
        wrapped = layer("TimeDistributed", layer=wrapped)
    found["wrappers in wrappers"] = sequential(wrapped)
    inner: Any = sequential(layer("Dense", units=4))
    for _ in range(14):
        inner = layer("Sequential", "keras", layers=[inner, inner])
    found["models in models, twice each"] = inner if len(json.dumps(inner)) < 1 << 22 else sequential()
    laughs = "".join(f'"a{at}": "{{a{at - 1}}}", ' for at in range(1, 9_000))
    found["many keys"] = f'{{"class_name": "Dense", "config": {{{laughs}"x": 1}}}}'
    return found


# HDF5 -----------------------------------------------------------------------------------------------------------------


def hdf5(good: Path) -> dict[str, Make]:
    arrays: dict[str, Callable[[Any, str], Any]] = {
        "a filter of a plug-in": lambda f, n: f.create_dataset(n, data=np.zeros((4, 2)), compression="lzf"),
        "virtual of itself": _virtual_of_itself,
        "storage without end": lambda f, n: f.create_dataset(
            n, (4, 2), "f4", external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)]
        ),
        "a soft link outside": lambda f, n: f.__setitem__(n, h5py.SoftLink("/../../etc/passwd")),
        "an outer link to itself": lambda f, n: f.__setitem__(n, h5py.ExternalLink("x.h5", "/")),
        "many filters": lambda f, n: f.create_dataset(
            n, (1 << 12, 1 << 10), "f4", compression=9, shuffle=True, fletcher32=True, chunks=(1 << 12, 1 << 10)
        ),
        "a chunk of lies": _lying_chunk,
        "a bomb of chunks": _bomb,
        "a large element": lambda f, n: f.create_dataset(n, (1,), np.dtype("V1000000")),
        "arrays of arrays": lambda f, n: f.create_dataset(n, (2,), np.dtype((np.dtype(("f4", (64, 64))), (64,)))),
        "a compound of compounds": lambda f, n: f.create_dataset(
            n, (2,), np.dtype([("a", [("b", [("c", h5py.string_dtype())])])])
        ),
        "lists of lists": lambda f, n: f.create_dataset(n, (2,), h5py.vlen_dtype(h5py.vlen_dtype(np.int8))),
        "texts of a size": lambda f, n: f.create_dataset(n, (2,), "S1000000"),
        "no axis of any size": lambda f, n: f.create_dataset(
            n, (0,) * 32, "f4", maxshape=(None,) * 32, chunks=(1,) * 32
        ),
        "not a number of axes": lambda f, n: f.create_dataset(n, (4, 2), "f4", fillvalue=np.nan),
    }
    found = {name: hostile.rewritten(good, hostile.replaced(change)) for name, change in arrays.items()}
    plain = found["a filter of a plug-in"]

    def plug_in(path: Path) -> None:
        plain(path)
        data = path.read_bytes()
        path.write_bytes(data.replace(struct.pack("<H", 32000) + b"\x04\0", struct.pack("<H", 32015) + b"\x04\0"))

    found["a filter of a plug-in"] = plug_in
    texts = {
        "a way out of a list": np.array([b"/etc/passwd", b"..", b"../..", b"/"]),
        "references": np.array([None], h5py.ref_dtype), "a compound": np.zeros(2, [("a", "S9"), ("b", "f4")]),
        "a pickle": np.void(pickled()),
        "an array": np.zeros((60, 60)), "text without end": "x" * 60_000,
    }  # fmt: skip
    for key in ("model_config", "training_config", "layer_names", "weight_names", "keras_version"):
        for name, value in texts.items():

            def change(file: Any, key: str = key, value: Any = value) -> None:
                places = [file, *(item for item in file.values() if isinstance(item, h5py.Group))]
                for place in places:
                    if key in place.attrs:
                        del place.attrs[key]
                    if key != "model_config" or place is file:
                        place.attrs[key] = value

            found[f"{key}: {name}"] = hostile.rewritten(good, change)

    def named(file: Any) -> None:
        groups = [item for item in file.values() if isinstance(item, h5py.Group)]
        for group in groups:
            for name in ("__class__", "a\\b", "\u202e", "x" * 9_000):
                group.create_group(name).attrs["weight_names"] = np.array([b".", b"..", b"/"])
            group.attrs["layer_names"] = np.array([b"__class__", b".", b"..", b"/", b"a\\b"])

    def ordered(file: Any) -> None:
        for at in range(3_000):
            file.attrs[f"layer_names{at}"] = np.array([b"d"])
            file.attrs[f"a{at}"] = at

    for name, change in {"odd names": named, "many attributes": ordered}.items():
        found[name] = hostile.rewritten(good, change)
    return found


def _virtual_of_itself(file: Any, name: str) -> None:
    layout = h5py.VirtualLayout((4, 2), "f4")
    layout[:] = h5py.VirtualSource(".", f"/{name}", (4, 2))
    file.create_virtual_dataset(name, layout)


def _lying_chunk(file: Any, name: str) -> None:
    found = file.create_dataset(name, (4, 2), "f4", chunks=(4, 2), compression=9, shuffle=True)
    found.id.write_direct_chunk((0, 0), b"\x78\xda" + b"\xff" * 60)


def _bomb(file: Any, name: str) -> None:
    packed = zlib.compress(bytes(1 << 22), 9)
    found = file.create_dataset(name, (64, 1 << 20), "f4", chunks=(1, 1 << 20), compression=9)
    for row in range(64):
        found.id.write_direct_chunk((row, 0), packed)


# Checkpoints ----------------------------------------------------------------------------------------------------------


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value % (1 << 64))


def _block(items: dict[bytes, bytes]) -> bytes:
    body = b"".join(b"\0" + varint(len(key)) + varint(len(value)) + key + value for key, value in items.items())
    return body + struct.pack("<LL", 0, 1)


def table(items: dict[bytes, bytes], kind: int = 0, body: bytes | None = None) -> bytes:
    """The index of a checkpoint, its checksums right."""
    made = b""

    def put(block: bytes, kind: int = 0) -> bytes:
        nonlocal made
        at = len(made)
        made += block + bytes([kind]) + struct.pack("<L", masked(crc32c(block + bytes([kind]))))
        return varint(at) + varint(len(block))

    handle = put(_block(items) if body is None else body, kind)
    meta, index = put(_block({})), put(_block({b"\xff": handle}))
    return made + (meta + index).ljust(40, b"\0") + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"


def tables() -> dict[str, bytes]:
    head = {b"": _field(1, 1)}

    def one(*fields: bytes, name: bytes = b"a", header: bytes | None = None) -> bytes:
        return table({b"": header if header is not None else head[b""], name: b"".join(fields)})

    def shaped(*sizes: int) -> bytes:
        return _field(2, b"".join(_field(2, _field(1, size)) for size in sizes))

    kind, where = _field(1, 1), _field(4, 0) + _field(5, 32)
    packed = varint(1 << 32) + b"\x00x" + b"\xfe\x01\0" * 1_000
    return {
        "huge": one(kind, shaped(HUGE, HUGE), where), "below zero": one(kind, shaped(-4, 2), where),
        "a product past all": one(kind, shaped(1 << 32, 1 << 32), where), "many axes": one(kind, shaped(*[1] * 999)),
        "none of many": one(kind, shaped(0, 1 << 47), _field(5, 0)),
        "a file that is not": one(kind, shaped(4, 2), _field(3, 1 << 31), where),
        "a file below zero": one(kind, shaped(4, 2), _field(3, -1), where),
        "elsewhere": one(kind, shaped(4, 2), _field(4, 1 << 60), _field(5, 32)),
        "before the start": one(kind, shaped(4, 2), _field(4, -32), _field(5, 32)),
        "of no type": one(_field(1, 999), shaped(4, 2), where), "a resource": one(_field(1, 20), shaped(4), where),
        "many files": one(kind, header=_field(1, 1 << 31)), "no file": one(kind, header=_field(1, 0)),
        "of the other order": one(kind, shaped(4, 2), where, header=_field(1, 1) + _field(2, 1)),
        "texts": one(_field(1, 7), shaped(1 << 40), _field(5, 32)),
        "slices": one(kind, shaped(4, 2), *[_field(7, _field(1, _field(1, at)) * 2) for at in range(99)]),
        "a slice past the end": one(kind, shaped(4, 2), _field(7, _field(1, _field(1, HUGE) + _field(2, HUGE)) * 2)),
        "a name with a way out": one(kind, shaped(4, 2), where, name=f"../../{CANARY}".encode()),
        "a name of zeros": one(kind, shaped(4, 2), where, name=b"\0" * 99),
        "one over another": table({**head, **{b"a%05d" % at: kind + shaped(4, 2) + where for at in range(9_000)}}),
        "out of order": table({b"b": kind, b"a": kind, b"": head[b""]}),
        "no header": table({b"a": kind + shaped(4, 2) + where}),
        "a bomb": table({}, 1, packed), "packed by another": table({}, 2, b"x" * 99),
        "a block that refers to itself": table({}, 0, b""),
        "restarts without end": table({}, 0, b"\xff" * 8),
        "a shared beginning": table({}, 0, b"\x7f\x7f\x7f" + bytes(8)),
        "an object graph": table({**head, b"_CHECKPOINTABLE_OBJECT_GRAPH": _field(1, 7) + where}),
    }  # fmt: skip


# torch's folders ------------------------------------------------------------------------------------------------------


def folders() -> dict[str, Make]:
    """`.dcp` folders with a sound index, and parts that are something else."""
    import torch
    import torch.distributed.checkpoint as checkpoint

    found: dict[str, Make] = {}
    parts: dict[str, Any] = {
        "a pickle": pickled(), "nothing": b"", "half": lambda data: data[: len(data) // 2], "a npz": _npz(),
        "a pt": _pt(), "zeros": lambda data: bytes(len(data)), "the other way": lambda data: data[::-1],
        "an object": pickle.dumps({"a": [1] * 9}), "code": EVIL.encode(), "outside": Path("/etc/passwd"),
        "without end": Path("/dev/zero"),
    }  # fmt: skip
    for name, change in parts.items():

        def make(path: Path, change: Any = change) -> None:
            state = {"layers/d/vars/0": torch.zeros(4, 2), "layers/d/vars/1": torch.zeros(2)}
            checkpoint.save(state, checkpoint_id=path, no_dist=True)
            for part in path.glob("*.distcp"):
                content = change(part.read_bytes()) if callable(change) else change
                if isinstance(content, Path):
                    part.unlink()
                    part.symlink_to(content)
                else:
                    part.write_bytes(content)

        found[name] = make
    return found


def cases(good: dict[str, Path]) -> Iterator[tuple[str, str, Make]]:
    """As `hostile.cases`, of these kinds."""
    for name, make in archives(good[".keras"]).items():
        yield f"archive: {name}", ".keras", make
    for name, config in configs().items():
        text = config if isinstance(config, str) else json.dumps(config)
        yield f"config: {name}", ".keras", lambda path, text=text: hostile.archive(path, text, good[".keras"])
        yield (
            f"config: {name}",
            ".json",
            lambda path, text=text: path.write_bytes(text.encode("utf-8", "surrogatepass")),
        )
    for suffix in (".h5", ".weights.h5"):
        for name, make in hdf5(good[suffix]).items():
            yield f"HDF5: {name}", suffix, make
    for name, content in tables().items():

        def put(path: Path, content: bytes = content) -> None:
            path.write_bytes(content)
            path.with_suffix(".data-00000-of-00001").write_bytes(bytes(32))

        yield f"table: {name}", ".index", put

        def saved(path: Path, content: bytes = content) -> None:
            shutil.copytree(Path(__file__).parents[1] / "golden/files/tensorflow/nested", path)
            (path / "variables" / "variables.index").write_bytes(content)

        yield f"table: {name}", ".folder", saved
    for name, make in folders().items():
        yield f"parts: {name}", ".dcp", make
    for name, content in {"npz": _npz(), "npy": _npy(), "pt": _pt()}.items():
        for suffix in (".h5", ".weights.h5", ".safetensors", ".json", ".index"):
            yield f"a {name} in its place", suffix, lambda path, content=content: path.write_bytes(content)
