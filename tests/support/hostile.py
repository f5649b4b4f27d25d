"""Files that were made to harm, for every reader; and a process that watches what reading them does.

`cases()` gives them by name. `watched(reader, path)` reads one in a process of its own, which may take little time and
memory, run no code, write no file and speak to nobody; it tells what came of it.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import os
import pickle
import signal
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import lamina as keras

CANARY = "lamina_canary"  # what a file names to be run, imported or written
EVIL = f"__import__('os').system('touch {CANARY}')"
MEMORY = 1 << 29  # bytes of address space that reading may take beside what is there
SECONDS = 2  # of the processor's time
WAIT = 300  # seconds, for what reads a pipe that nobody writes to
HUGE = 10**12


# Readers ----------------------------------------------------------------------------------------------------------


def model() -> Any:
    return keras.Sequential([keras.Input((4,), name="i"), keras.layers.Dense(2, name="d")], name="s")


def trained() -> Any:
    made = model()
    made.compile("adam", "mse")
    made.optimizer.build(made.trainable_weights)
    return made


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="surrogateescape")


def explained(path: Path) -> None:
    from lamina.pictures.reading import read_layer

    read_layer(_text(path), keras.layers)


def rebuilt(path: Path) -> None:
    described = {"class_name": "__lambda__", "config": {"code": _text(path), "defaults": None, "closure": None}}
    keras.layers.Lambda.from_config({"name": "l", "function": described})


READERS: dict[str, Callable[[Path], Any]] = {
    "load_model": keras.models.load_model,
    "load_weights": lambda path: model().load_weights(path),
    "load_state": lambda path: trained().load_weights(path),
    "check": lambda path: keras.saving.check(path).as_dict(),
    "read_checkpoint": lambda path: dict(keras.saving.read_checkpoint(path)),
    "from_json": lambda path: keras.models.model_from_json(_text(path)),
    "from_yaml": lambda path: keras.tf_keras.models.model_from_yaml(_text(path)),
    "explain": explained,
    "lambda": rebuilt,
}


# Which of them may be given a file of this name, and what they may raise.
OF_SUFFIX = {
    ".keras": ("load_model", "load_weights", "check"),
    ".h5": ("load_model", "load_weights", "check"),
    ".weights.h5": ("load_weights", "check"),
    ".safetensors": ("load_weights", "check"),
    ".weights.json": ("load_weights", "check"),
    ".dcp": ("load_weights", "load_state", "check"),
    ".folder": ("load_model", "load_weights", "check"),
    ".json": ("from_json", "check"),
    ".yaml": ("from_yaml", "check"),
    ".index": ("read_checkpoint", "check"),
    ".pb": ("load_model", "check"),
    ".txt": ("explain",),
    ".code": ("lambda",),
}
OF_TEXT = ("from_json", "from_yaml", "explain", "lambda")  # these may raise TypeError as well


FOLDERS = (".dcp", ".folder")


def suffix_of(name: str) -> str:
    return ".weights.h5" if name.endswith(".weights.h5") else Path(name).suffix


def refusals(reader: str) -> tuple[type[Exception], ...]:
    return (ValueError, TypeError) if reader in OF_TEXT else (ValueError,)


def fault(reader: str, path: Path) -> str | None:
    """What is wrong with how a file was read; None where it was read, or refused as is told."""
    try:
        READERS[reader](path)
    except refusals(reader) as error:
        return None if str(error) else f"refused without a word: {type(error).__name__}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return None


# Watching ---------------------------------------------------------------------------------------------------------

_FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.chmod",
    "os.symlink",
    "os.link",
    "os.mkdir",
    "subprocess.",
    "socket.",
    "marshal.load",
    "shutil.",
    "urllib.",
    "webbrowser.",
    "ctypes.dlopen",
    "sys.setprofile",
    "ftplib.",
    "smtplib.",
)


def _watch(event: str, args: tuple) -> None:
    """An audit hook that ends the process where something happens that no file may bring about."""
    if event in ("exec", "compile", "import"):
        told = repr(args[0].co_consts) + repr(args[0].co_names) if event == "exec" else repr(args[:2])
        bad = CANARY in told and args[-1] != "<unknown>"  # so `ast.parse` calls what it only reads
    elif event == "open":
        path, _, flags = args
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        bad = bool(writes) and not str(path).startswith((tempfile.gettempdir(), "/dev/"))
        bad = bad or CANARY in str(path) or str(path).startswith("/etc/passwd")
    elif event == "pickle.find_class":
        bad = args[0].partition(".")[0] not in ("torch", "pathlib", "collections")  # plain data of an index of tensors
    elif event == "marshal.loads":
        bad = "importlib" not in sys._getframe(1).f_code.co_filename
    else:
        own = event == "os.mkdir" and "torchinductor" in str(args[0])  # torch's cache, once in a process
        bad = event.startswith(_FORBIDDEN) and not own
    if bad:
        os.write(2, f"{event} {args!r}"[:500].encode())
        os._exit(66)


def watched(reader: str, path: Path) -> str | None:
    """As `fault`, in a process that is watched, and ended where it takes too much."""
    import resource

    seen, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(seen)
            os.dup2(writer, 2)
            held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY,) * 2)
            spent = int(sum(os.times()[:2])) + SECONDS
            resource.setrlimit(resource.RLIMIT_CPU, (spent + 1, spent + 2))
            signal.alarm(WAIT)
            sys.addaudithook(_watch)
            found = fault(reader, path)
            os.write(writer, b"" if found is None else found.encode("utf-8", "replace"))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(seen, "rb") as pipe:
        text = pipe.read().decode(errors="replace")
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return f"ended by signal {os.WTERMSIG(status)}: too much time or memory. {text}"
    return f"did what no file may: {text}" if os.WEXITSTATUS(status) == 66 else text or None


# Sound files, to be spoiled -----------------------------------------------------------------------------------------


def sound(folder: Path) -> dict[str, Path]:
    """One good file of each kind, by its suffix."""
    made, found = trained(), {}
    for suffix in (".keras", ".h5", ".weights.h5", ".safetensors"):
        path = found[suffix] = folder / f"sound{suffix}"
        whole = suffix in (".keras", ".h5")
        (made.save if whole else made.save_weights)(path)
    texts = {
        ".json": made.to_json(),
        ".txt": "Conv2D(8, (3, 3), padding='same', activation='relu')",
        ".yaml": "class_name: Sequential\nconfig:\n- {class_name: Dense, config: {units: 2, input_dim: 4}}\n",
        ".code": base64.b64encode(marshal.dumps((lambda x: x * 2 + 1).__code__)).decode(),
    }
    for suffix, text in texts.items():
        found[suffix] = folder / f"sound{suffix}"
        found[suffix].write_text(text)
    return found


# Hostile ones -------------------------------------------------------------------------------------------------------

Make = Callable[[Path], Any]


def layer(name: str, /, module: Any = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def sequential(*layers: Any, **more: Any) -> dict[str, Any]:
    inputs = layer("InputLayer", batch_shape=[None, 4], name="i")
    return layer("Sequential", "keras", name="s", layers=[inputs, *layers], **more)


CODE = base64.b64encode(marshal.dumps(compile(EVIL, CANARY, "eval"))).decode()


def configs() -> dict[str, Any]:
    """Configs of models: a value, or the text itself."""
    dense = {"units": 2, "name": "d"}
    of_names = {
        f"names {name!r} of {module!r}": sequential(layer(name, module, **dense))
        for module, name in [
            ("os", "system"),
            ("builtins", "eval"),
            ("builtins", "exec"),
            ("subprocess", "Popen"),
            (CANARY, CANARY),
            ("keras.layers", "Dense.__class__"),
            ("keras.layers", "__class__"),
            ("keras.layers", "__init__"),
            ("keras.layers", "_load_preprocessing"),
            ("keras.layers.__globals__", "os"),
            ("keras", "models.os"),
            ("", ""),
            (None, None),
            (3, 3),
            ([], {}),
            ("keras.layers", "../../../etc/passwd"),
            ("lamina.files", "safe"),
            ("keras.saving", "load_model"),
            ("torch", "load"),
            ("torch.hub", "load"),
            ("numpy", "load"),
            ("keras.utils", "get_file"),
            ("keras.src.saving.serialization_lib", "deserialize_keras_object"),
        ]
    }
    of_values = {
        f"{key}={str(value)[:30]}": sequential(layer("Dense", **{**dense, key: value}))
        for key, values in {
            "units": (HUGE, -1, 0, 2.5, "2", None, [], {}, True, 10**4000, float("nan"), float("inf"), [[[]]]),
            "name": (3, None, [], "a/b", "../x", "\x00", "\u202e", "x" * 10**6, "", "\ud800", {"__class__": 1}),
            "dtype": ("object", "float32; import os", 3, [], {"class_name": "DTypePolicy", "config": {"name": "x"}}),
            "activation": (
                EVIL,
                "__import__",
                "os.system",
                {"class_name": "function", "config": EVIL},
                3,
                [],
                {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
                {"class_name": "__lambda__", "config": {"code": CODE}},
            ),
            "kernel_initializer": (
                layer("__class__", "keras.initializers"),
                {"class_name": "Dense"},
                EVIL,
                3,
                layer("Constant", "keras.initializers", value=[[0] * 9] * 9),
            ),
            "kernel_regularizer": (layer("L2", "keras.regularizers", l2=[]), EVIL, {"class_name": []}),
            "__class__": ("x",),
            "__init__": ("x",),
            "self": (1,),
            "cls": (1,),
            "call": (EVIL,),
            "build": (EVIL,),
            "trainable": ("yes", [], 3),
            "quantization_config": ({"class_name": "x"},),
            "lora_rank": (HUGE,),
        }.items()
        for value in values
    }
    shapes = {
        f"input of shape {str(shape)[:30]}": _sequential_of(shape)
        for shape in ([None, HUGE], [HUGE, HUGE], [-1, -1], [None] * 70, [[]], "4", None, [None, "4"], [0, 0], [1.5])
    }
    big = {
        f"{name} of {HUGE}": sequential(layer(name, **config))
        for name, config in {
            "Embedding": {"input_dim": HUGE, "output_dim": 9},
            "RepeatVector": {"n": HUGE},
            "Reshape": {"target_shape": [-1, HUGE]},
            "LSTM": {"units": HUGE},
            "IntegerLookup": {"vocabulary_size": HUGE},
            "CategoryEncoding": {"num_tokens": HUGE},
            "MelSpectrogram": {"fft_length": HUGE, "num_mel_bins": 9},
            "Discretization": {"num_bins": HUGE},
            "UpSampling1D": {"size": HUGE},
            "ZeroPadding1D": {"padding": HUGE},
            "RandAugment": {"num_ops": HUGE},
            "Hashing": {"num_bins": HUGE, "output_mode": "one_hot"},
            "StringLookup": {"vocabulary": "/etc/passwd"},
            "TextVectorization": {"vocabulary": "/etc/passwd"},
            "MultiHeadAttention": {"num_heads": HUGE, "key_dim": 9},
            "BatchNormalization": {"axis": HUGE},
            "Permute": {"dims": [HUGE]},
            "EinsumDense": {"equation": EVIL, "output_shape": 3},
            "Lambda": {
                "function": {"class_name": "__lambda__", "config": {"code": CODE, "defaults": None, "closure": None}}
            },
            "TorchModuleWrapper": {"module": base64.b64encode(pickled()).decode()},
            "TimeDistributed": {"layer": {"class_name": CANARY}},
        }.items()
    }
    functional = layer(
        "Functional", "keras.src.models.functional", name="f", layers=[], input_layers=[], output_layers=[]
    )
    graphs = {
        "a graph of itself": {
            **functional,
            "config": {
                **functional["config"],
                "layers": [{**layer("Dense", **dense), "name": "d", "inbound_nodes": [[["d", 0, 0, {}]]]}],
                "input_layers": [["d", 0, 0]],
                "output_layers": [["d", 0, 0]],
            },
        },
        "a graph of nothing": {
            **functional,
            "config": {**functional["config"], "input_layers": [["x", 0, 0]], "output_layers": [["y", HUGE, -1]]},
        },
        "nodes that are none": {
            **functional,
            "config": {
                **functional["config"],
                "layers": [{**layer("Dense", **dense), "name": "d", "inbound_nodes": "abc"}],
                "output_layers": 3,
            },
        },
    }
    deep: Any = {}
    for _ in range(400):
        deep = layer("TimeDistributed", layer=deep)
    texts = {
        "deep lists": "[" * 100_000,
        "deep objects": '{"a":' * 100_000,
        "no text": "",
        "half": '{"class_name": "Seq',
        "NaN": '{"class_name": NaN, "config": Infinity}',
        "a long number": '{"class_name": ' + "9" * 10_000 + "}",
        "twice": '{"class_name": "Sequential", "class_name": "os.system", "config": {}, "config": []}',
        "a list": "[]",
        "a number": "3",
        "null": "null",
        "a word": '"Sequential"',
        "no UTF-8": b"\xff\xfe{\x00}".decode("latin-1"),
        "zeros": "\x00" * 1000,
        "many": "[" + "0," * 300_000 + "0]",
        "code": EVIL,
        "escapes": '{"class_name": "\\ud800"}',
    }
    return {**of_names, **of_values, **shapes, **big, **graphs, "layers in layers": sequential(deep), **texts}


def _sequential_of(shape: Any) -> dict[str, Any]:
    inputs = layer("InputLayer", batch_shape=shape, name="i")
    return layer("Sequential", "keras", name="s", layers=[inputs, layer("Dense", units=2)])


class _Run:
    def __reduce__(self) -> Any:
        return os.system, (f"touch {CANARY}",)


def pickled() -> bytes:
    return pickle.dumps(_Run())


def _as_text(config: Any) -> str:
    return config if isinstance(config, str) else json.dumps(config)


def archive(path: Path, config: Any, good: Path, *more: tuple[Any, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w", method) as made:
        for name in source.namelist():
            text = _as_text(config).encode("utf-8", "surrogatepass") if config is not None else source.read(name)
            made.writestr(name, text if name == "config.json" else source.read(name))
        for name, content in more:
            made.writestr(name, content)


def _linked(name: str, mode: int = 0o120777) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


def archives(good: Path) -> dict[str, Make]:
    bomb = bytes(1 << 27)
    plain: dict[str, tuple[tuple[Any, bytes], ...]] = {
        "a way out": (("../../" + CANARY, b"x"),),
        "an absolute name": ((f"/tmp/{CANARY}", b"x"),),
        "a link": ((_linked("assets/x"), b"/etc/passwd"),),
        "a device": ((_linked("x", 0o020666), b""),),
        "the config twice": (("config.json", json.dumps(sequential(layer("system", "os"))).encode()),),
        "weights twice": (("model.weights.h5", b"x"),),
        "a name of zeros": (("a\x00b", b""),),
        "a long name": (("a" * 60_000, b""),),
        "a folder": (("model.weights.h5/", b""),),
        "a pickle": (("assets/p.pkl", pickled()),),
        "Windows": (("C:\\x\\" + CANARY, b""),),
        "many": tuple((f"a{i}", b"") for i in range(11_000)),
    }
    found: dict[str, Make] = {
        name: lambda path, more=more: archive(path, None, good, *more) for name, more in plain.items()
    }

    def bytes_of(change: Callable[[bytes], bytes]) -> Make:
        return lambda path: path.write_bytes(change(good.read_bytes()))

    def field(mark: bytes, offset: int, value: bytes) -> Make:
        def change(data: bytes) -> bytes:
            at = data.index(mark) + offset
            return data[:at] + value + data[at + len(value) :]

        return bytes_of(change)

    cells = sequential(
        layer("RNN", cell=layer("StackedRNNCells", cells=[{"class_name": "GRUCell", "config": {"units": 1}}] * 40_000))
    )
    local, central, end = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
    found |= {
        "a bomb": lambda path: archive(path, None, good, ("assets/x", bomb), method=zipfile.ZIP_DEFLATED),
        "many cells": lambda path: archive(path, json.dumps(cells), good, method=zipfile.ZIP_DEFLATED),
        "a config of zeros": lambda path: archive(path, " " * (1 << 26), good, method=zipfile.ZIP_DEFLATED),
        "locked": field(central, 8, b"\x01\x00"),
        "packed oddly": field(central, 10, b"\x63\x00"),
        "a false size": field(central, 24, b"\xff\xff\xff\x7f"),
        "a false packed size": field(central, 20, b"\xff\xff\xff\x7f"),
        "elsewhere": field(central, 42, b"\xff\xff\xff\x7f"),
        "a false sum": field(central, 16, b"\x00\x00\x00\x00"),
        "many, it says": field(end, 10, b"\xff\xff"),
        "a false end": field(end, 16, b"\xff\xff\xff\x7f"),
        "another local name": field(local, 30, b"x"),
        "cut": bytes_of(lambda data: data[: len(data) // 2]),
        "a pickle in its place": lambda path: path.write_bytes(pickled()),
        "nothing": lambda path: path.write_bytes(b""),
        "something before": bytes_of(lambda data: b"x" * 999 + data),
        "itself inside": bytes_of(lambda data: data + data),
    }
    return found


def rewritten(good: Path, change: Callable[[Any], Any]) -> Make:
    def make(path: Path) -> None:
        buffer = io.BytesIO(good.read_bytes())
        with h5py.File(buffer, "r+") as file:
            change(file)
        path.write_bytes(buffer.getvalue())

    return make


def replaced(change: Callable[[Any, str], Any]) -> Callable[[Any], Any]:
    """Every array, or every one of a kind, in another form."""

    def run(file: Any) -> None:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in names:
            del file[name]
            change(file, name)

    return run


def _virtual(file: Any, name: str) -> None:
    layout = h5py.VirtualLayout((4, 2), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 2))
    file.create_virtual_dataset(name, layout)


def hdf5(good: Path) -> dict[str, Make]:
    arrays: dict[str, Callable[[Any, str], Any]] = {
        "outside": lambda f, n: f.__setitem__(n, h5py.ExternalLink("/etc/passwd", "/x")),
        "soft circles": lambda f, n: f.__setitem__(n, h5py.SoftLink(f"/{n}")),
        "storage outside": lambda f, n: f.create_dataset(n, (4, 2), "f4", external=[("/etc/passwd", 0, 32)]),
        "virtual": _virtual,
        "huge": lambda f, n: f.create_dataset(n, (1 << 40,), "f4", chunks=(1 << 20,)),
        "of texts": lambda f, n: f.__setitem__(n, np.array([CANARY.encode()] * 8, object)),
        "empty": lambda f, n: f.__setitem__(n, h5py.Empty("f4")),
        "a group": lambda f, n: f.create_group(n),
        "compound": lambda f, n: f.__setitem__(n, np.zeros(3, [("a", "f4"), ("b", "S9")])),
        "lzf": lambda f, n: f.create_dataset(n, data=np.zeros((4, 2)), compression="lzf"),
        "a large chunk": lambda f, n: f.create_dataset(
            n, (4, 2), "f4", chunks=(1 << 13, 1 << 12), maxshape=(None, None)
        ),
        "a large fill": lambda f, n: f.create_dataset(n, (1 << 28,), "f8", fillvalue=1.0),
        "no numbers": lambda f, n: f.__setitem__(n, np.full((4, 2), np.nan)),
        "of no axes": lambda f, n: f.__setitem__(n, 3.0),
        "many axes": lambda f, n: f.__setitem__(n, np.zeros((1,) * 30)),
        "of none": lambda f, n: f.__setitem__(n, np.zeros((0, 2))),
        "of references": lambda f, n: f.create_dataset(n, (3,), h5py.ref_dtype),
        "complex": lambda f, n: f.__setitem__(n, np.zeros((4, 2), complex)),
        "of opaque bytes": lambda f, n: f.__setitem__(n, np.frombuffer(pickled().ljust(80, b"."), "V80")),
    }
    found = {name: rewritten(good, replaced(change)) for name, change in arrays.items()}

    def attribute(name: str, value: Any) -> Make:
        def change(file: Any) -> None:
            for group in (file, *(item for item in file.values() if isinstance(item, h5py.Group))):
                if name in group.attrs:
                    del group.attrs[name]
                if name in ("model_config", "training_config") and group is not file:
                    continue
                group.attrs[name] = value

        return rewritten(good, change)

    values = {
        "a number": 3,
        "nothing": h5py.Empty("f4"),
        "no text": np.zeros(3),
        "no UTF-8": np.bytes_(b"\xff\xfe"),
        "ways out": np.array([b"../../x", b"/"]),
        "twice": np.array([b"d", b"d", b"d"]),
        "an empty list": np.array([], "S1"),
        "many": np.array([b"x"] * 5_000),
        "half": "{",
        "deep": "[" * 50_000,
        "zeros": np.bytes_(b"\x00" * 99),
    }
    names = ("model_config", "training_config", "layer_names", "weight_names", "keras_version", "backend")
    found |= {f"{name}: {told}": attribute(name, value) for name in names for told, value in values.items()}

    def circle(file: Any) -> None:
        for group in [item for item in file.values() if isinstance(item, h5py.Group)]:
            group["again"] = file["/"]

    def ways(file: Any) -> None:
        at = file.create_group("q0")
        for i in range(60):
            file[f"q{i + 1}/a"] = file[f"q{i + 1}/b"] = at
            at = file[f"q{i + 1}"]

    def links(file: Any) -> None:
        for name in list(file):
            file[f"{name}2"] = h5py.ExternalLink("/etc/passwd", "/")
            del file[name]
            file[name] = h5py.SoftLink(f"/{name}2")

    def deep(file: Any) -> None:
        file.create_group("/".join("a" for _ in range(3_000)))

    for name, change in {"circles": circle, "many ways": ways, "links": links, "deep groups": deep}.items():
        found[name] = rewritten(good, change)
    data = good.read_bytes()
    found |= {
        "cut": lambda path: path.write_bytes(data[: len(data) // 2]),
        "a head alone": lambda path: path.write_bytes(data[:64]),
        "something before": lambda path: path.write_bytes(bytes(512) + data),
        "a pickle": lambda path: path.write_bytes(pickled()),
    }
    return found


def tensors() -> dict[str, Make]:
    def header(told: Any, values: bytes = bytes(64), size: int | None = None) -> Make:
        text = told.encode() if isinstance(told, str) else json.dumps(told).encode()
        length = struct.pack("<Q", len(text) if size is None else size)
        return lambda path: path.write_bytes(length + text + values)

    def one(**changes: Any) -> dict[str, Any]:
        return {"d.kernel": {"dtype": "F32", "shape": [4, 2], "data_offsets": [0, 32], **changes}}

    return {
        "a long header, it says": header(one(), size=1 << 62),
        "below zero": header(one(), size=(1 << 64) - 1),
        "no header": header("", size=0),
        "a list": header("[]"),
        "a number": header("3"),
        "deep": header("[" * 90_000),
        "twice": header('{"d.kernel": {}, "d.kernel": {}}'),
        "NaN": header('{"d.kernel": NaN}'),
        "no text": header("\x00" * 9),
        "past the end": header(one(data_offsets=[0, 1 << 50])),
        "backwards": header(one(data_offsets=[32, 0])),
        "before the start": header(one(data_offsets=[-32, 0])),
        "too few": header(one(data_offsets=[0, 4])),
        "a product past all": header(one(shape=[1 << 32, 1 << 32])),
        "sizes below zero": header(one(shape=[-4, -2])),
        "sizes of text": header(one(shape="42")),
        "many axes": header(one(shape=[1] * 100, data_offsets=[0, 4])),
        "another type": header(one(dtype="O")),
        "no type": header(one(dtype=None)),
        "code": header(one(dtype=EVIL)),
        "over each other": header({**one(), "d.bias": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}),
        "words about it": header({**one(), "__metadata__": [1, 2]}),
        "a name": header({"../../" + CANARY: one()["d.kernel"]}),
        "half": header('{"d.kernel": '),
        "a pickle": lambda path: path.write_bytes(pickled()),
        "nothing": lambda path: path.write_bytes(b""),
        "a long number": header('{"a": ' + "9" * 5000 + "}"),
        "booleans": header(one(shape=[True, True])),
        "fractions": header(one(data_offsets=[0.0, 32.0])),
    }


def yamls() -> dict[str, str]:
    laughs = "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]\n" for i in range(12))
    model = "class_name: Sequential\nconfig: "
    return {
        "billions of laughs": laughs,
        "laughs in a model": laughs + model + "*a12\n",
        "itself": "&a [*a]",
        "itself in a model": "class_name: Sequential\nconfig: &a\n  layers: *a\n",
        "a map of itself": "&a {x: *a}",
        "a system": f"!!python/object/apply:os.system ['touch {CANARY}']",
        "a name": "!!python/name:os.system",
        "a module": f"!!python/module:{CANARY}",
        "new": "!!python/object/new:os.system [x]",
        "deep": "[" * 20_000,
        "an object": f"!!python/object:{CANARY}.x {{}}",
        "a tag": "!canary x",
        "merged": "a: &a {b: 1}\nc: {<<: [*a, *a]}",
        "a date": f"{model}2020-01-01",
        "no number": f"{model}.nan",
        "a long number": model + "9" * 10_000,
        "a long number to base 60": model + ":".join(["59"] * 200_000),
        "a long fraction to base 60": model + ":".join(["59"] * 200_000) + ".5",
        "many": "- x\n" * 60_000,
        "code": f'{model}!!python/object/apply:eval ["{EVIL}"]',
        "a tuple": "!!python/tuple [1, [2]]",
        "nothing": "",
        "numpy": "!!python/object/apply:numpy.core.multiarray.scalar "
        "[!!python/object/apply:numpy.dtype {args: [O8], state: [3, '|']}, x]",
        "bytes": "!!binary aGVsbG8=",
        "tabs": "\t\ta: b",
        "two": "--- a\n--- b\n",
        "keys": "? [a, b]\n: c\n",
        "zeros": "\x00",
        "lists as keys": "{[1]: 2}",
        "a set": "!!set {a, b}",
        "pairs": "!!omap [a: 1]",
        "percent": "%YAML 9.9\n---\na",
    }


def explains() -> dict[str, str]:
    return {
        "code": EVIL,
        "an attribute": "Dense.__class__.__mro__",
        "a call of it": "Dense.__subclasses__()",
        "deep": "(" * 5_000,
        "deep layers": "TimeDistributed(" * 2_000 + "Dense(1)" + ")" * 2_000,
        "a comprehension": "[x for x in range(10**9)]",
        "a large power": "Dense(9**9**9)",
        "a large text": "Dense('x' * 10**10)",
        "a walrus": "Dense(x := 3)",
        "zeros": "\x00",
        "lambda": "Lambda(lambda x: x)",
        "stars": "Dense(*[1], **{})",
        "f-string": "Dense(f'{1}')",
        "unicode": "\uff24ense(2)",
        "huge": f"Dense({HUGE})",
        "a long number": "Dense(" + "9" * 10_000 + ")",
        "surrogates": "Dense('\ud800')",
        "nothing": "",
        "tuples": "Dense(" + "(" * 300 + "1" + ",)" * 300 + ")",
        "minus": "Dense(" + "-" * 3_000 + "1)",
        "import": "import os",
    }


def codes() -> dict[str, str]:
    def of(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return {
        "code": CODE,
        "no base64": "***",
        "no code": of(b"\x00" * 99),
        "a pickle": of(pickled()),
        "nothing": "",
        "deep": of(b"(\1\0\0\0" * 9_000),
        "a huge count": of(b"(\xff\xff\xff\x7f"),
        "itself": of(b"\xa8\1\0\0\0r\0\0\0\0"),
        "half": CODE[: len(CODE) // 2],
        "a huge text": of(b"s\xff\xff\xff\x7f"),
        "references": of(b"r\xff\xff\xff\x7f"),
        "many numbers": of(b"(\xff\xff\x00\x00" + b"i\0\0\0\0" * 65535),
        "NaN": of(marshal.dumps(float("nan"))),
    }


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def messages() -> dict[str, bytes]:
    """Protocol buffers, for `saved_model.pb`."""
    deep = b""
    for _ in range(3_000):
        deep = b"\x12" + varint(len(deep)) + deep
    return {
        "a length that lies": b"\x12\xff\xff\xff\x7f",
        "a long length": b"\x12" + b"\xff" * 9 + b"\x01",
        "an endless number": b"\xff" * 99,
        "groups": b"\x0b" * 9_000,
        "deep": deep,
        "wrong kinds": b"\x0f\x0e\x0d",
        "nothing": b"",
        "zeros": bytes(999),
        "many": b"\x08\x01" * 300_000,
        "text": EVIL.encode(),
        "a pickle": pickled(),
        "field 0": b"\x02\x01x",
    }


def cases(folder: Path) -> Iterator[tuple[str, str, Make]]:
    """(name, suffix, what writes it). The good files that are spoiled are made in `folder`."""
    good = sound(folder)
    for name, config in configs().items():
        text = _as_text(config)
        yield f"config: {name}", ".keras", lambda path, text=text: archive(path, text, good[".keras"])
        yield (
            f"config: {name}",
            ".json",
            lambda path, text=text: path.write_bytes(text.encode("utf-8", "surrogatepass")),
        )

        def attribute(path: Path, text: str = text) -> None:
            def change(file: Any) -> None:
                del file.attrs["model_config"]
                file.attrs["model_config"] = np.bytes_(text.encode("utf-8", "surrogatepass").rstrip(b"\x00") or b"{")

            rewritten(good[".h5"], change)(path)

        if len(text) < 1 << 16:
            yield f"config: {name}", ".h5", attribute
    for name, make in archives(good[".keras"]).items():
        yield f"archive: {name}", ".keras", make
    for suffix in (".h5", ".weights.h5"):
        for name, make in hdf5(good[suffix]).items():
            yield f"HDF5: {name}", suffix, make
    for name, make in tensors().items():
        yield f"safetensors: {name}", ".safetensors", make
    for prefix, suffix, texts in (
        ("YAML", ".yaml", yamls()),
        ("text", ".txt", explains()),
        ("lambda", ".code", codes()),
    ):
        for name, text in texts.items():
            content = text.encode("utf-8", "surrogatepass")
            yield f"{prefix}: {name}", suffix, lambda path, content=content: path.write_bytes(content)
    for name, content in messages().items():
        yield f"message: {name}", ".pb", lambda path, content=content: path.write_bytes(content)
        yield f"table: {name}", ".index", lambda path, content=content: path.write_bytes(content)
