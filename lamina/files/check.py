"""What a file is, who wrote it, and what reading it takes: told from its descriptions, without weights and torch."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..translation import origin
from ..translation.keras1 import KERAS1
from ..translation.keras2 import KERAS2
from ..translation.tf_keras import TF_KERAS
from . import kinds, safe

TEXT = 1 << 26  # bytes of a JSON or YAML file that are read
LISTED = 4  # members of a list that one line shows
FILES = 10_000  # of a folder

_GENERATIONS = {"keras1": "Keras 1", "keras2": "Keras 2", "tf_keras": "tf.keras (Keras 2)", "keras3": "Keras 3"}
_MODELS = ("Sequential", "Model", "Functional", "Graph")


@dataclass
class Checked:
    """What `check` found. Lists are empty and texts None where a file does not say it."""

    path: str
    kind: str  # a word: "hdf5", "keras", "json", "saved_model", "git_lfs", ...
    what: str  # the same in words
    size: int  # bytes
    readable: bool = False  # whether `call` alone reads it
    call: str | None = None
    problem: str | None = None  # why it is not read, and what to do about it
    generation: str | None = None  # keras1, keras2, tf_keras, keras3 or lamina
    evidence: str | None = None  # what tells the generation
    keras_version: str | None = None
    backend: str | None = None
    model: str | None = None  # its class and name
    layers: dict[str, int] = field(default_factory=dict)  # how many there are of each class
    parameters: int | None = None
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    compiled: str | None = None
    optimizer_state: bool = False
    needs: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)  # what would have run code elsewhere

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return dataclasses.asdict(self)

    def line(self) -> str:
        """In one line."""
        writer = f" of {self._writer()}" if self.generation else ""
        parts = [f"{self.what}{writer}", "" if self.parameters is None else f"{self.parameters:,} parameters"]
        if not self.readable:
            parts.append(self.problem or f"needs {_listed(self.needs)}")
        return f"{'reads' if self.readable else 'NOT  '} {self.path}: {'; '.join(part for part in parts if part)}"

    def rows(self) -> Iterator[tuple[str, str]]:
        """A label and a text for each line of a report."""
        yield "file", f"{self.path}, {_size(self.size)}"
        yield "what", self.what
        if self.generation:
            yield "written by", f"{self._writer()}; told by {self.evidence}"
        if self.model:
            yield "model", self.model
        if self.layers:
            counted = [f"{name} x{count}" if count > 1 else name for name, count in self.layers.items()]
            yield "layers", f"{sum(self.layers.values())}: {_listed(counted, 12)}"
        if self.parameters is not None:
            yield "parameters", f"{self.parameters:,}"
        for label, texts in (("inputs", self.inputs), ("outputs", self.outputs)):
            if texts:
                yield label, _listed(texts)
        if self.compiled:
            state = ", with the optimizer's state" if self.optimizer_state else ", without the optimizer's state"
            yield "compiled", self.compiled + state
        if self.needs:
            yield "needs", _listed(self.needs)
        if self.kind in _DESCRIBED:
            yield "code in it", f"{_listed(self.code)}; never run here" if self.code else "none"
        if self.problem:
            yield "problem", self.problem
        yield "Lamina", f"reads it: {self.call}" if self.readable else "does not read it" + self._given()

    def _writer(self) -> str:
        if self.generation == "lamina":
            return "Lamina"
        name = f"Keras {self.keras_version}" if self.keras_version else _GENERATIONS[str(self.generation)]
        return f"{name} on {self.backend}" if self.backend else name

    def _given(self) -> str:
        return f" as it is; with these: {self.call}" if self.call else ""


_DESCRIBED = ("hdf5", "keras", "json", "yaml", "torch", "pickle")


def check(path: Any) -> Checked:
    """What a file or folder is, who wrote it, what it needs and whether Lamina reads it, in a `Checked`.

    No weights are loaded and nothing in the file runs. Damage is told in `problem`; FileNotFoundError where there is
    nothing.
    """
    path = Path(path)
    kind = kinds.kind_of(path)
    size = path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in _beside(path))
    found = Checked(str(path), kind.name, kind.what, size, problem=kind.repair or None)
    look = _LOOKS.get(kind.name)
    if look is not None:
        try:
            with safe.reading(path):
                look(found, path)
        except ValueError as error:
            found.readable, found.call = False, None
            found.problem = _cut_short(path) or str(error).replace(f"{path}: ", "").removeprefix(_DAMAGED)
    return found


_DAMAGED = "damaged, or no model file: "  # whatever it is, the line before says what it looks like


def models_in(folder: Path) -> Iterator[Path]:
    """The files and folders below a folder that `check` knows for models, weights, or what stands in their place."""
    todo, count = [folder], 0
    while todo:
        for path in sorted(todo.pop().iterdir()):
            count += 1
            if count > FILES:
                return
            if path.is_dir():
                if kinds.kind_of(path) is kinds.FOLDER:
                    todo += [] if path.is_symlink() else [path]
                else:
                    yield path
            elif path.is_file() and _may_be_model(path):
                yield path


_ENDINGS = (
    ".h5", ".hdf5", ".hdf", ".keras", ".safetensors", ".onnx", ".tflite", ".pb", ".pt", ".pth", ".ckpt", ".index",
    ".model", ".weights", ".json", ".yaml", ".yml", ".pkl", ".npz",
)  # fmt: skip


def _may_be_model(path: Path) -> bool:
    if path.suffix.lower() not in _ENDINGS:
        return False
    if path.suffix.lower() not in (".json", ".yaml", ".yml"):
        return True
    with path.open("rb") as file:  # most texts are other things
        return re.search(rb"class_name|weight_map|modelTopology", file.read(kinds.START)) is not None


# Formats ---------------------------------------------------------------------------------------------------------


def _hdf5(found: Checked, path: Path) -> None:
    with safe.opened_hdf5(path) as file:
        attributes = file.attrs
        if "model_config" in attributes:
            found.what = "a whole model in HDF5"
            described = _json_of(safe.as_text(attributes["model_config"]), file)
            _told_by_attributes(found, described, file, *([file["model_weights"]] if "model_weights" in file else []))
            _describe(found, described)
            if "training_config" in attributes:
                _compiled(found, _json_of(safe.as_text(attributes["training_config"]), file))
                found.optimizer_state = "optimizer_weights" in file
            if "model_weights" in file:
                found.parameters = _parameters(safe.subgroup(file, "model_weights"))
            else:
                found.needs.append("weights: it holds none")
            _verdict(found, f"lamina.load_model({found.path!r})")
            return
        holder = safe.subgroup(file, "model_weights") if "model_weights" in file else file
        if "layer_names" in holder.attrs or "layer_names0" in holder.attrs:
            found.what = "weights by layers in HDF5, without the architecture"
            _told_by_attributes(found, None, holder, file)
            found.layers = _groups(safe.texts(holder, "layer_names"))
            found.parameters = _parameters(holder)
        elif "nb_layers" in attributes or "nb_params" in attributes:
            found.what = "weights by layers in HDF5, without the architecture"
            found.generation, found.evidence = "keras1", "its `nb_layers`, which Keras 0.1 to 0.3 wrote"
            found.parameters = _parameters(file)
        elif "layers" in file or "vars" in file or "_layer_checkpoint_dependencies" in file:
            found.what = "weights by objects in HDF5 (.weights.h5), without the architecture"
            older = "_layer_checkpoint_dependencies" in file
            found.generation = "tf_keras" if older else None
            found.evidence = "its `_layer_checkpoint_dependencies`" if older else None
            found.layers = _groups([*file["layers"]] if "layers" in file else [])
            found.parameters = _parameters(file)
            found.optimizer_state = "optimizer" in file
        else:
            raise safe.Misfit("it holds no Keras model and no weights of one: HDF5 of something else")
        found.needs.append("the model: these are its weights alone")
        _verdict(found, f"model.load_weights({found.path!r})")


def _json_of(text: str, file: Any) -> Any:
    return safe.parse_json(text, file.id.get_filesize(), "its config")


def _told_by_attributes(found: Checked, described: Any, *holders: Any) -> None:
    """Who wrote it. Keras 1 says nothing of itself in weights; its TensorFlow's end in ":0"."""
    told: dict[str, str] = {}
    for name in ("keras_version", "backend"):
        for holder in holders:
            if name in holder.attrs:
                told.setdefault(name, safe.as_text(holder.attrs[name]))
    _written_by(found, described, told.get("keras_version"), told.get("backend"))
    if described is None and found.generation is None:
        found.generation, found.evidence = "keras1", "its having no `keras_version`"


def _groups(names: Iterable[str]) -> dict[str, int]:
    """Layers by their names without numbers, where no config tells classes."""
    return dict(Counter(re.sub(r"_?\d+$", "", name) or name for name in names))


def _parameters(group: Any) -> int:
    """How many numbers the layers' arrays below a group have. Raises ValueError for arrays that may not be read."""
    import h5py

    count = 0

    def visit(name: str, item: Any) -> None:
        nonlocal count
        if isinstance(item, h5py.Dataset) and not name.startswith(("optimizer/", "metrics/", "_training_state")):
            array = safe.StoredArray(item)
            count += array.size // (2 if array.half else array.dtype.itemsize)

    group.visititems(visit)
    return count


def _zip(found: Checked, path: Path) -> None:
    with safe.zip_members(path) as archive:
        names = archive.namelist()
        kind = kinds.kind_of_members(names)
        found.kind, found.what, found.problem = kind.name, kind.what, kind.repair or None
        if kind is kinds.TORCH:
            found.code.append("a pickle")
        if kind is not kinds.KERAS:
            return
        metadata = safe.read_json(archive, "metadata.json") if "metadata.json" in names else {}
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
        described = safe.read_json(archive, "config.json")
        _written_by(found, described, version, None)
        _describe(found, described)
        settings = described.get("compile_config") if isinstance(described, dict) else None
        if isinstance(settings, dict) and settings:
            _compiled(found, settings)
        found.code += [
            f"{name}: pickled objects" for name in names if name.endswith(".npy") and _pickled(archive, name)
        ]
        found.code += [f"{name}: a pickle" for name in names if name.endswith((".pkl", ".pickle"))]
        if "model.weights.h5" in names:
            found.parameters, found.optimizer_state = _weights_inside(archive, path)
        else:
            found.needs.append("weights: it holds none")
        _verdict(found, f"lamina.load_model({found.path!r})")


def _pickled(archive: zipfile.ZipFile, name: str) -> bool:
    with archive.open(name) as file:
        return b"|O" in file.read(256)


class _Stored(io.RawIOBase):
    """A member that is stored as it is, as a file of its own: HDF5 reads a few places of it."""

    def __init__(self, path: Path, member: zipfile.ZipInfo):
        self._file = path.open("rb")
        self._file.seek(member.header_offset + 26)
        lengths = self._file.read(4)
        skipped = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        self._begin, self._size, self._at = member.header_offset + 30 + skipped, member.file_size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._begin + self._at)
        count = self._file.readinto(memoryview(buffer)[: max(0, self._size - self._at)])
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _weights_inside(archive: zipfile.ZipFile, path: Path) -> tuple[int, bool]:
    """The number of parameters, and whether the optimizer's state is there."""
    import h5py

    member = archive.getinfo("model.weights.h5")
    packed = member.compress_type != zipfile.ZIP_STORED
    with (
        safe.unpacked(archive, member.filename) if packed else io.BufferedReader(_Stored(path, member)) as source,
        h5py.File(source, "r") as file,
    ):
        return _parameters(file), "optimizer" in file


def _text(path: Path) -> str:
    if path.stat().st_size > TEXT:
        raise ValueError(f"a text of {path.stat().st_size:,} bytes is no architecture")
    return path.read_text(encoding="utf-8-sig")


def _json(found: Checked, path: Path) -> None:
    text = _text(path)
    described = safe.parse_json(text, len(text), "its text")
    if isinstance(described, dict) and "modelTopology" in described:
        found.kind, found.what, found.problem = kinds.TFJS.name, kinds.TFJS.what, kinds.TFJS.repair
        return
    if isinstance(described, dict) and isinstance(described.get("weight_map"), dict):
        _shards(found, path, described)
        return
    _architecture(found, described, "JSON", "json")


def _yaml(found: Checked, path: Path) -> None:
    text = _text(path)
    tags = set(re.findall(r"!!(python/\S+)|!<tag:yaml.org,2002:(python/[^>]+)>", text))
    found.code += sorted(f"the YAML tag !!{a or b}" for a, b in tags if (a or b) != "python/tuple")
    try:
        import yaml
    except ModuleNotFoundError:
        found.needs.append("PyYAML: pip install pyyaml")
        raise safe.Misfit("YAML is read by PyYAML, which is not installed: pip install pyyaml") from None

    class Loader(yaml.SafeLoader):
        """Knows the tuples that Keras wrote."""

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", lambda own, node: own.construct_sequence(node, True))
    if re.search(r"(?m)^\s*[^#'\"]*[&*]\w+", text) and text.count("*") > LISTED:
        raise ValueError("it names parts of itself again and again, which Keras never wrote")
    try:
        described = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"it is no valid YAML: {safe.reason(error)}") from None
    _architecture(found, described, "YAML", "yaml")


def _architecture(found: Checked, described: Any, form: str, word: str) -> None:
    if isinstance(described, list):
        described = {"class_name": "Sequential", "config": described}
    if not isinstance(described, dict) or not ({"class_name", "name"} & described.keys()):
        raise safe.Misfit(f"{form}, but no architecture of a model: it names no class")
    found.what = f"an architecture in {form}, without weights"
    _written_by(found, described, described.get("keras_version"), described.get("backend"))
    _describe(found, described)
    found.needs.append("weights: it holds none")
    _verdict(found, f"lamina.models.model_from_{word}(open({found.path!r}).read())")


def _shards(found: Checked, path: Path, described: Mapping[str, Any]) -> None:
    listed = [names if isinstance(names, list) else [names] for names in described["weight_map"].values()]
    names = dict.fromkeys(str(name) for group in listed for name in group)
    missing = [name for name in names if len(safe.parts(name)) != 1 or not path.with_name(name).is_file()]
    found.kind, found.what = "shards", f"an index of weights in {len(names)} files (.weights.json)"
    found.needs.append("the model: these are its weights alone")
    if missing:
        raise safe.Misfit(f"beside it there is no {_listed(missing)}")
    found.generation, found.evidence = "keras3", "its `weight_map`, which only Keras 3 writes"
    _verdict(found, f"model.load_weights({found.path!r})")


def _safetensors(found: Checked, path: Path) -> None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > TEXT:
            raise ValueError(f"its header has {length:,} bytes")
        header = safe.parse_json(file.read(length).decode(), found.size, "its header")
    arrays = {key: value for key, value in header.items() if key != "__metadata__"}
    count = 0
    for name, told in arrays.items():
        begin, end = told["data_offsets"]
        if not 0 <= begin <= end <= found.size - 8 - length:
            raise ValueError(f"{name!r} lies outside of the file")
        size = 1
        for axis in told["shape"]:
            size *= axis
        count += min(size, end - begin)
    found.what, found.parameters = f"{len(arrays)} arrays as safetensors, without the architecture", count
    found.needs += ["the model, with these names in its state_dict", "safetensors: pip install safetensors"]
    _verdict(found, f"model.load_weights({found.path!r})")


def _pickle(found: Checked, path: Path) -> None:
    found.code.append("a pickle")


_LOOKS = {
    "hdf5": _hdf5, "zip": _zip, "json": _json, "yaml": _yaml, "safetensors": _safetensors, "pickle": _pickle,
    "torch": _pickle,
}  # fmt: skip


def _beside(path: Path) -> list[Path]:
    """The files that a folder holds, or that begin with this name."""
    if path.is_dir():
        return [file for file in [*path.iterdir(), *path.glob("variables/*")] if file.is_file()]
    return [file for file in path.parent.glob("*") if file.name.startswith(f"{path.name}.")]


def _cut_short(path: Path) -> str:
    """What a file without its end is, in words."""
    with path.open("rb") as file:
        start = file.read(48)
    size = path.stat().st_size
    if start.startswith(kinds.HDF5_SIGNATURE) and len(start) == 48:
        place = {0: 40, 1: 44, 2: 28, 3: 28}.get(start[8], 0)
        expected = int.from_bytes(start[place : place + 8], "little") if place + 8 <= 48 else 0
        if size < expected < 1 << 48:
            return f"It is cut short: {size:,} of {expected:,} bytes are there. Download or copy it again."
    if start.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(path):
        return "It is cut short: the list of members, at its end, is missing. Download or copy it again."
    return ""


# Configs ---------------------------------------------------------------------------------------------------------


def _written_by(found: Checked, described: Any, version: Any, backend: Any) -> None:
    found.keras_version = None if version is None else str(version)
    found.backend = None if backend is None else str(backend)
    config = described if isinstance(described, Mapping) else {}
    if str(config.get("module")).startswith("lamina."):
        found.generation, found.evidence = "lamina", f"its module {config['module']}"
        return
    found.generation = origin.generation_of(described or {}, found.keras_version)
    if found.generation is None and version is not None:
        found.generation = origin.generation_of_version(str(version))
    words = origin.telling_words(config)
    if version is not None:
        found.evidence = "its `keras_version`"
    elif words:
        found.evidence = f"words of its config: {_listed(words)}"
    elif found.generation:
        found.evidence = "the form of its config"


def _describe(found: Checked, described: Any) -> None:
    """Model, layers, inputs, outputs, and what reading needs."""
    if not isinstance(described, Mapping):
        raise ValueError(f"its config is a {type(described).__name__}; expected a description of a model")
    config = described.get("config", described)
    name = config.get("name") if isinstance(config, Mapping) else None
    kind = str(described.get("class_name") or described.get("name"))
    found.model = f'{kind} "{name}"' if name and name != kind else kind
    entries = list(_layers(described))
    found.layers = dict(Counter(_class_of(entry) for entry in entries).most_common())
    _ends(found, described)
    found.code += _code_in(described)
    found.needs += sorted(_unknown_in(described, entries))
    if found.generation == "keras1" and found.backend == "theano" and any("onv" in name for name in found.layers):
        found.needs.append("Theano's arithmetic: its convolutions turn their kernels")


def _stack(described: Any) -> list[Any] | None:
    """The layers of a model's description; None for what is no model."""
    config = described.get("config", described) if isinstance(described, Mapping) else None
    stack = config.get("layers") if isinstance(config, Mapping) else config
    if isinstance(config, Mapping) and isinstance(config.get("nodes"), Mapping):  # a Graph of Keras 0.3
        stack = [*config["nodes"].values()]
    return stack if isinstance(stack, list) else None


def _layers(described: Any) -> Iterator[Mapping[str, Any]]:
    """The layers of a model, and of the models in it."""
    for entry in _stack(described) or ():
        if not isinstance(entry, Mapping):
            continue
        inner = _stack(entry)
        if inner is None or entry.get("class_name") == "Merge":
            yield entry
        if inner is not None:
            yield from _layers(entry)


def _class_of(entry: Mapping[str, Any]) -> str:
    name = str(entry.get("class_name") or entry.get("name"))
    config = entry.get("config")
    inner = config.get("layer", config.get("cell")) if isinstance(config, Mapping) else None
    return f"{name}({_class_of(inner)})" if isinstance(inner, Mapping) else name


def _config_of(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    config = entry.get("config", entry)
    return config if isinstance(config, Mapping) else {}


def _ends(found: Checked, described: Mapping[str, Any]) -> None:
    """The shapes of inputs, and the layers that give the outputs."""
    config, stack = described.get("config", described), _stack(described) or []
    entries = [entry for entry in stack if isinstance(entry, Mapping)]
    names = {str(entry.get("name") or _config_of(entry).get("name")): entry for entry in entries}
    if isinstance(config, Mapping) and "output_layers" in config:
        firsts = [name for name in _named(config.get("input_layers")) if name in names]
        found.inputs = [text for name in firsts for text in _input(names[name], f"{name} ")]
        found.outputs = [_output(names[name], name) for name in _named(config["output_layers"]) if name in names]
    elif entries:
        found.inputs = _inputs_of(entries[0]) or _input(_config_of(described), "")
        found.outputs = [_output(entries[-1], str(_config_of(entries[-1]).get("name", "")))]


def _inputs_of(entry: Any) -> list[str]:
    """Those of a sequential model's first layer; of all its branches where it is a Merge."""
    inner = _stack(entry)
    if not inner:
        return _input(entry, "") if isinstance(entry, Mapping) else []
    firsts = inner if entry.get("class_name") == "Merge" else inner[:1]
    return [text for first in firsts for text in _inputs_of(first)]


def _named(ends: Any) -> Iterator[str]:
    """The layers' names in [name, call, output] and structures of these."""
    if isinstance(ends, list) and len(ends) == 3 and isinstance(ends[0], str):
        yield ends[0]
    elif isinstance(ends, (list, Mapping)):
        for item in ends.values() if isinstance(ends, Mapping) else ends:
            yield from _named(item)


def _input(entry: Mapping[str, Any], label: str) -> list[str]:
    config = _config_of(entry)
    words = ("batch_shape", "batch_input_shape", "build_input_shape", "input_shape")
    shape = next((config[word] for word in words if isinstance(config.get(word), list)), None)
    if shape is None and config.get("input_dim") is not None and "mbedding" not in _class_of(entry):
        shape = [None, config["input_dim"]]
    if shape is None:
        return []
    dtype = config.get("dtype") if isinstance(config.get("dtype"), str) else config.get("input_dtype")
    whole = (
        ["None", *map(str, shape)] if "input_shape" in config and shape is config["input_shape"] else map(str, shape)
    )
    return [f"{label}({', '.join(whole)})" + (f" {dtype}" if dtype else "")]


def _output(entry: Mapping[str, Any], name: str) -> str:
    inner = _config_of(entry).get("layer")
    config = _config_of(inner if isinstance(inner, Mapping) else entry)
    size = next((config[word] for word in ("units", "output_dim", "filters", "nb_filter") if config.get(word)), None)
    activation = config.get("activation")
    told = [_class_of(entry), size, activation if isinstance(activation, str) and activation != "linear" else None]
    return f"{name} ({', '.join(str(part) for part in told if part is not None)})".strip()


def _compiled(found: Checked, settings: Any) -> None:
    """The compile arguments in words; what of them needs somebody's own functions."""
    if not isinstance(settings, Mapping):
        raise ValueError("its compile arguments are no dictionary")
    optimizer = settings.get("optimizer_config", settings.get("optimizer"))
    name, config = _object(optimizer)
    rate = config.get("learning_rate", config.get("lr"))
    told = [f"{name}({rate:.6g})" if isinstance(rate, (int, float)) else name]
    told += [f"{word} {', '.join(_names(settings.get(word)))}" for word in ("loss", "metrics") if settings.get(word)]
    found.compiled = "; ".join(told)
    known = _public("losses", "metrics", "optimizers")
    listed = [name, *_names(settings.get("loss")), *_names(settings.get("metrics"))]
    unknown = sorted({one for one in listed if _plain(one) not in known})
    found.needs += [f"custom_objects for {one!r}, or compile=False" for one in unknown]


def _object(value: Any) -> tuple[str, Mapping[str, Any]]:
    """The name and the arguments of an object in a config."""
    if not isinstance(value, Mapping):
        return str(value), {}
    config = value.get("config")
    if value.get("class_name") in ("function", "class"):
        return str(config), {}
    name = str(value.get("registered_name") or value.get("class_name") or value.get("name"))
    return name.removeprefix("Custom>"), config if isinstance(config, Mapping) else value


def _names(value: Any) -> list[str]:
    """The names in a structure of losses or metrics."""
    if value is None:
        return []
    if isinstance(value, Mapping) and "class_name" not in value:
        return [name for item in value.values() for name in _names(item)]
    if isinstance(value, list):
        return [name for item in value for name in _names(item)]
    name, config = _object(value)
    wrapped = name.endswith(("MetricWrapper", "FunctionWrapper")) and config.get("fn")
    return _names(wrapped) if wrapped else [name]


def _code_in(described: Any) -> list[str]:
    """What in a config is code: a place and what stands there."""
    found = []
    for node in _nodes(described):
        config = node.get("config") if isinstance(node.get("config"), Mapping) else node
        name = config.get("name") or node.get("name") or ""
        if node.get("class_name") == "Lambda" or node.get("class_name") == "Merge":
            words = [word for word in config if _is_bytecode(config, word)]
            found += [f'{node["class_name"]} "{name}": bytecode of its {word}' for word in words]
        elif node.get("class_name") == "TorchModuleWrapper":
            found.append(f'TorchModuleWrapper "{name}": a pickled module')
    return found


def _is_bytecode(config: Mapping[str, Any], word: str) -> bool:
    value = config[word]
    if isinstance(value, Mapping):
        return value.get("class_name") == "__lambda__"
    return config.get(f"{word}_type") == "lambda" or (word == "function" and isinstance(value, list))


def _nodes(value: Any) -> Iterator[Mapping[str, Any]]:
    """All dictionaries below a value, in order."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            yield item
        if isinstance(item, (Mapping, list, tuple)):
            inner = list(item.values()) if isinstance(item, Mapping) else item
            stack.extend(reversed(inner))


def _unknown_in(described: Any, layers: list[Mapping[str, Any]]) -> set[str]:
    """Classes and functions that are not Keras'."""
    found = set()
    for entry in layers:
        name = str(entry.get("class_name") or entry.get("name"))
        if _is_theirs(entry, name):
            found.add(f"the class {name.rpartition('>')[2]!r} in custom_objects")
        for node in _nodes(entry):
            config = _config_of(node)
            for word, value in config.items():
                if (
                    word.endswith("activation")
                    and isinstance(value, str)
                    and _plain(value) not in _public("activations")
                ):
                    found.add(f"the function {value!r} in custom_objects")
            if node.get("class_name") == "Lambda":
                found |= _functions_of(config)
    outer = described.get("class_name")
    if outer is not None and _is_theirs(described, str(outer)):
        found.add(f"the class {str(outer).rpartition('>')[2]!r} in custom_objects")
    return found


def _is_theirs(entry: Mapping[str, Any], name: str) -> bool:
    """Whether a class is somebody's own: by its module, or where files name none, by its name."""
    if entry.get("module") is not None:
        return not _is_keras(entry["module"]) or ">" in str(entry.get("registered_name"))
    return name not in _MODELS and _plain(name) not in _layer_names()


def _functions_of(config: Mapping[str, Any]) -> set[str]:
    function = config.get("function")
    if _is_bytecode(config, "function"):
        return {f"the function of {config.get('name')!r} in custom_objects"}
    name = function if isinstance(function, str) else _object(function)[0]
    return {f"the function {name!r} in custom_objects"}


_KERAS = ("keras.", "tf_keras.", "lamina.", "tensorflow.python.keras.", "tensorflow.keras.")


def _is_keras(module: Any) -> bool:
    """Whether a class of this module is Keras' or Lamina's. Older files name no module."""
    return module in (None, "keras", "builtins") or str(module).startswith(_KERAS)


def _plain(name: str) -> str:
    """A name as functions and classes share it: `mean_squared_error`, `MeanSquaredError`."""
    return name.rpartition(">")[2].replace("_", "").lower()


@functools.cache
def _layer_names() -> frozenset[str]:
    tables = (KERAS1, KERAS2, TF_KERAS)
    named = (name for table in tables for key, entry in table.objects["layers"].items() for name in
             (key, *entry.aliases.split()))  # fmt: skip
    return _public("layers", "models") | {_plain(name) for name in named}


_SECOND_NAMES = "acc accuracy ce crossentropy cosine cosine_proximity kullback_leibler_divergence swish hard_swish none"
_NAMED_IN_SOURCE = re.compile(r'^(?:def|class) (\w+)|\bas (\w+)$|"([\w ]+)"', re.M)


@functools.cache
def _public(*modules: str) -> frozenset[str]:
    """The names in the source of Lamina's own modules: to import these would import torch."""
    names = set(_SECOND_NAMES.split())
    for module in modules:
        path = Path(__file__).parents[1] / module
        source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
        for groups in _NAMED_IN_SOURCE.findall(source):
            names.update(" ".join(groups).split())
    return frozenset(map(_plain, names))


def _verdict(found: Checked, call: str) -> None:
    """Whether the call reads it alone."""
    asked = [need for need in found.needs if "custom_objects" in need]
    found.readable, found.call = not asked, call
    if asked:
        found.call = call[:-1] + ", custom_objects={...})" if call.startswith("lamina.load_model") else call


def _listed(items: list[str], most: int = LISTED) -> str:
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def _size(count: int) -> str:
    for unit in ("bytes", "KB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000  # type: ignore[assignment]
    return f"{count:,.1f} GB"


# The command -----------------------------------------------------------------------------------------------------


def main(names: Iterable[str], as_json: bool = False) -> int:
    """Print what files are, one in full and several in a line each. The exit code: 0 where all are readable."""
    paths = [path for name in names for path in _meant(Path(name))]
    checked = []
    for path in paths:
        try:
            checked.append(check(path))
        except OSError as error:
            checked.append(Checked(str(path), "missing", "no file", 0, problem=error.strerror or str(error)))
    if as_json:
        print(json.dumps([one.as_dict() for one in checked], indent=2))
    elif len(checked) == 1:
        _show(list(checked[0].rows()), checked[0].readable)
    else:
        for one in checked:
            print(one.line())
    if not checked:
        print("lamina: no models in there", file=sys.stderr)
    return 0 if checked and all(one.readable for one in checked) else 1


def _meant(path: Path) -> list[Path]:
    if path.is_dir() and kinds.kind_of(path) is kinds.FOLDER:
        return list(models_in(path))
    return [path]


def _show(rows: list[tuple[str, str]], good: bool) -> None:
    """Labels and texts; on a terminal in colour, and folded beside the labels."""
    if not sys.stdout.isatty():
        for label, text in rows:
            print(f"{label:<11} {text}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    for label, text in rows:
        style = "red" if label == "problem" else ("green" if good else "red") if label == "Lamina" else ""
        table.add_row(Text(label, "dim"), Text(text, style))
    Console().print(table)
