"""What a file is, told from its first bytes: models, weights, and what stands in a model's place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .safe import require_file

START = 4096  # bytes that are looked at


@dataclass(frozen=True)
class Kind:
    """A kind of file. `repair`: what to do about one that no reader takes; empty for those that have one."""

    name: str
    what: str
    repair: str = ""


HDF5 = Kind("hdf5", "HDF5")
ZIP = Kind("zip", "a zip archive")
KERAS = Kind("keras", "a .keras archive")
JSON = Kind("json", "JSON")
YAML = Kind("yaml", "YAML")
SAFETENSORS = Kind("safetensors", "safetensors")
SAVED_MODEL = Kind("saved_model", "a SavedModel folder of TensorFlow")
CHECKPOINT = Kind("checkpoint", "a checkpoint of TensorFlow")
DISTRIBUTED = Kind("distributed", "a checkpoint of torch.distributed")
FOLDER = Kind("folder", "a folder", "Name a file in it.")
EMPTY = Kind("empty", "an empty file", "Download or copy it again.")
UNKNOWN = Kind("unknown", "no kind of file known here", "Expected a model or weights; see `lamina check --help`.")

_RUNS = "Unpickling runs what it holds, so it is never read."
TORCH = Kind("torch", "a pickle of PyTorch", f"{_RUNS} Where you trust it, torch.load gives its tensors.")
PICKLE = Kind("pickle", "a Python pickle", f"{_RUNS} Load it where it was written, and save the model by `model.save`.")
PROGRAM = Kind("program", "a program of PyTorch", "torch.export.load, or torch.jit.load for TorchScript, runs it.")
ONNX = Kind("onnx", "an ONNX model", "onnxruntime runs it; it holds no Keras layers.")
TFLITE = Kind("tflite", "a TensorFlow Lite model", "Convert the Keras model that it was made of; it holds no layers.")
GRAPH = Kind(
    "graph", "a graph of TensorFlow", "It holds operations, no Keras layers: convert the Keras file behind it."
)
TFJS = Kind("tfjs", "a model of TensorFlow.js", "`tensorflowjs_converter` turns it into a Keras .h5.")
NUMPY = Kind("numpy", "arrays of NumPy", "They tell no layers: numpy.load, and `layer.set_weights`.")
NPZ = Kind("npz", "arrays of NumPy in a zip archive", NUMPY.repair)
LFS = Kind(
    "git_lfs", "a Git LFS pointer", "The file itself was never downloaded: run `git lfs pull` in its repository."
)
HTML = Kind("html", "a web page", "The download gave a page in place of the file: use the file's own address.")
ERROR = Kind("message", "a message of a server", "The download failed: its text says why.")
PACKED = Kind("packed", "a packed file", "Unpack it first.")
MATLAB = Kind("matlab", "a MATLAB file", "It holds no Keras model.")

# By what stands at a place.
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SIGNED = (
    (0, HDF5_SIGNATURE, HDF5),
    (0, b"PK\x03\x04", ZIP),
    (0, b"PK\x05\x06", ZIP),
    (0, b"version https://git-lfs.github.com", LFS),
    (4, b"TFL3", TFLITE),
    (0, b"\x93NUMPY", NUMPY),
    (0, b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", TORCH),
    (0, b"MATLAB ", MATLAB),
    *((0, start, PACKED) for start in (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")),
    (257, b"ustar", PACKED),
)
# By the members of a zip archive, the first that fits.
_MEMBERS = (
    (r"config\.json", KERAS),
    (r"(.*/)?data\.pkl", TORCH),
    (r"(.*/)?(code/.*|archive_format|serialized_exported_program\.json|models/model\.json)", PROGRAM),
    (r".*\.npy", NPZ),
    (r"(.*/)?saved_model\.pb", Kind("packed", "a packed SavedModel folder", PACKED.repair)),
    (r"(.*/)?.*\.(h5|hdf5|keras)", Kind("packed", "a packed folder with a model in it", PACKED.repair)),
)
_TEXTS = (
    (re.compile(rb"<(!doctype html|html|head|\?xml)", re.I), HTML),
    (re.compile(rb"[{\[]"), JSON),
    (re.compile(rb"(?m)^(- )?\s*(class_name|backend|config|keras_version|layers)\s*:"), YAML),
    (re.compile(rb"model_checkpoint_path:"), CHECKPOINT),
    (re.compile(rb"(?i)(\d{3}\W+)?(not found|access denied|forbidden|unauthorized|error|invalid|entry)\b"), ERROR),
)
TABLE_END = bytes.fromhex("57fb808b247547db")  # of TensorFlow's tables, such as a checkpoint's index


def kind_of(path: Path) -> Kind:
    """What stands at `path`, a file, a folder, or the common start of the names of a TensorFlow checkpoint.

    A zip archive's members tell more: `kind_of_members`. Raises FileNotFoundError where there is nothing.
    """
    if path.is_dir():
        return _kind_of_folder(path)
    if not path.exists() and path.with_name(f"{path.name}.index").is_file():
        return CHECKPOINT
    require_file(path)
    with path.open("rb") as file:
        start = file.read(START)
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        end = file.read()
    if end == TABLE_END or re.search(r"\.data-\d{5}-of-\d{5}$", path.name):
        return CHECKPOINT
    if 2 <= int.from_bytes(start[:8], "little") <= size - 8 and start[8:9] == b"{":
        return SAFETENSORS
    return _kind_of_start(start) or _SUFFIXES.get(path.suffix) or _kind_of_text(start)


_SUFFIXES = {".onnx": ONNX, ".pb": GRAPH, ".pbtxt": GRAPH}


def _kind_of_start(start: bytes) -> Kind | None:
    """By what no text begins with."""
    for place, signature, kind in _SIGNED:
        if start.startswith(signature, place):
            return kind
    if not start.strip(b"\0"):
        return EMPTY
    if re.match(rb"\x80[\x02-\x05]", start):
        return PICKLE
    return ONNX if re.match(rb"\x08[\x01-\x20]\x12(.{1,64}pytorch|\x04onnx)", start, re.S) else None


def kind_of_members(names: list[str]) -> Kind:
    """What a zip archive with these members is."""
    for pattern, kind in _MEMBERS:
        if any(re.fullmatch(pattern, name) for name in names):
            return kind
    return Kind("zip", ZIP.what, "It holds no model: neither a config.json nor another one's files.")


def _kind_of_folder(path: Path) -> Kind:
    if (path / "saved_model.pb").is_file() or (path / "saved_model.pbtxt").is_file():
        return SAVED_MODEL
    if (path / "checkpoint").is_file():
        return CHECKPOINT
    if (path / ".metadata").is_file() and any(path.glob("*.distcp")):
        return DISTRIBUTED
    return FOLDER


def _kind_of_text(start: bytes) -> Kind:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    try:
        text[: START - 8].decode()
    except UnicodeDecodeError as error:
        if error.start < len(text) - 16:
            return UNKNOWN
    for pattern, kind in _TEXTS:
        if (pattern.search if kind is YAML else pattern.match)(text):
            return kind
    return UNKNOWN
