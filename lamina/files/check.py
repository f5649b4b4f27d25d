"""What a file is, who wrote it, and what reading it takes: told from its descriptions, without weights and torch."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..translation import keras0, origin
from . import described as tells
from . import kinds, layered, safe, safetensors

TEXT = 1 << 26  # bytes of a JSON or YAML file that are read
LISTED = 4  # members of a list that one line shows
FILES = 10_000  # of a folder

_GENERATIONS = {"keras1": "Keras 1", "keras2": "Keras 2", "tf_keras": "tf.keras (Keras 2)", "keras3": "Keras 3"}


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
    quantized: list[str] = field(default_factory=list)  # to what layers are: "int8", "int4/128"
    parameters: int | None = None
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    compiled: str | None = None
    optimizer_state: bool | None = None
    needs: list[str] = field(default_factory=list)
    custom: list[str] = field(default_factory=list)  # classes and functions to give as custom_objects
    code: list[str] = field(default_factory=list)  # what would have run code elsewhere

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return dataclasses.asdict(self)

    def line(self) -> str:
        """In one line."""
        writer = f" of {self._writer()}" if self.generation else ""
        parts = [f"{self.what}{writer}", "" if self.parameters is None else f"{self.parameters:,} parameters"]
        if not self.readable:
            parts.append(self.problem or f"needs custom_objects for {_listed(self.custom)}")
        return f"{'reads' if self.readable else 'NOT  '} {self.path}: {'; '.join(part for part in parts if part)}"

    def rows(self) -> list[tuple[str, str]]:
        """A label and a text for each line of a report."""
        counted = [f"{name} x{count}" if count > 1 else name for name, count in self.layers.items()]
        custom = [f"custom_objects for {_listed(self.custom)}"] if self.custom else []
        state = {True: ", with the optimizer's state", False: ", without the optimizer's state", None: ""}
        told = {
            "file": f"{self.path}, {_size(self.size)}",
            "what": self.what,
            "written by": f"{self._writer()}; told by {self.evidence}" if self.generation else "",
            "model": self.model,
            "layers": f"{sum(self.layers.values())}: {_listed(counted, 12)}" if counted else "",
            "quantized": self.quantized and f"to {_listed(self.quantized)}",
            "parameters": "" if self.parameters is None else f"{self.parameters:,}",
            "inputs": _listed(self.inputs),
            "outputs": _listed(self.outputs),
            "compiled": self.compiled and self.compiled + state[self.optimizer_state],
            "needs": "; ".join([*self.needs, *custom]),
            "code in it": f"{_listed(self.code)}; never run here" if self.code else "none" if self.model else "",
            "problem": self.problem,
            "Lamina": f"reads it: {self.call}" if self.readable else f"does not read it{self._given()}",
        }
        return [(label, text) for label, text in told.items() if text]

    def _writer(self) -> str:
        if self.generation == "lamina":
            return "Lamina"
        name = f"Keras {self.keras_version}" if self.keras_version else _GENERATIONS[str(self.generation)]
        return f"{name} on {self.backend}" if self.backend else name

    def _given(self) -> str:
        return f" as it is; with what it needs: {self.call}" if self.call else ""


def check(path: Any) -> Checked:
    """What a file or folder is, who wrote it, what it needs and whether Lamina reads it, in a `Checked`.

    No weights are loaded and nothing in the file runs. Damage is told in `problem`; FileNotFoundError where there is
    nothing.
    """
    path = Path(path)
    kind = kinds.kind_of(path)
    size = path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in _beside(path))
    found = Checked(str(path), kind.name, kind.what, size, problem=kind.repair or None)
    found.code += ["a pickle"] if kind in (kinds.TORCH, kinds.PICKLE) else []
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
            described = safe.json_of(file, "model_config")
            _by_layers(found, described, file)
            settings = safe.json_of(file, "training_config") if "training_config" in attributes else None
            _describe(found, described, settings)
            found.optimizer_state = "optimizer_weights" in file
            if "model_weights" not in file:
                found.needs.append("weights: it holds none")
            _verdict(found, f"lamina.load_model({found.path!r})")
            return
        if layered.is_layered(file):
            found.what = "weights by layers in HDF5, without the architecture"
            _by_layers(found, None, file)
        elif "layers" in file or "vars" in file or "_layer_checkpoint_dependencies" in file:
            found.what = "weights by objects in HDF5 (.weights.h5), without the architecture"
            older = "_layer_checkpoint_dependencies" in file
            found.generation = "tf_keras" if older else None
            found.evidence = "its `_layer_checkpoint_dependencies`" if older else None
            found.layers = _classes([*file["layers"]] if "layers" in file else [])
            found.parameters = _parameters(file)
            found.optimizer_state = "optimizer" in file
        else:
            raise safe.Misfit("it holds no Keras model and no weights of one: HDF5 of something else")
        found.needs.append("the model: these are its weights alone")
        _verdict(found, f"model.load_weights({found.path!r})")


def _by_layers(found: Checked, described: Any, file: Any) -> None:
    """Who wrote it, how many parameters it has, and where no config tells them its layers."""
    groups, writer = layered.read(safe.subgroup(file, "model_weights") if "model_weights" in file else file)
    _written_by(found, described, writer.version, writer.backend)
    if groups or described is None:
        found.parameters = sum(array.size for arrays in groups.values() for array in arrays.values())
    if described is None:
        found.generation = writer.generation
        found.layers = _classes(name for name in groups if not writer.unnamed and name != layered.TOP)
    if writer.unnamed and described is None:
        found.evidence = "its numbers in place of names, as Keras 0.1 to 0.3 wrote"
    elif described is None and writer.version is None:
        found.evidence = "its having no `keras_version`"


def _classes(names: Iterable[str]) -> dict[str, int]:
    """Layers by their names without numbers, where no config tells classes."""
    return dict(Counter(re.sub(r"_?\d+$", "", name) or name for name in names))


def _parameters(file: Any) -> int:
    """How many numbers the objects' arrays have. Raises ValueError for arrays that may not be read."""
    held = safe.Arrays(file)
    aside = ("optimizer/", "metrics/", "_training_state")
    own = [path for path in held.paths if not f"{path}/".startswith(aside)]
    return sum(array.size for path in own for array in held.of(path).values())


def _zip(found: Checked, path: Path) -> None:
    import h5py

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
        _describe(found, described, described.get("compile_config") if isinstance(described, dict) else None)
        found.code += [
            f"{name}: pickled objects" for name in names if name.endswith(".npy") and _pickled(archive, name)
        ]
        found.code += [f"{name}: a pickle" for name in names if name.endswith((".pkl", ".pickle"))]
        if "model.weights.h5" in names:
            with safe.unpacked(archive, "model.weights.h5") as weights, h5py.File(weights, "r") as file:
                found.parameters, found.optimizer_state = _parameters(file), "optimizer" in file
        else:
            found.needs.append("weights: it holds none")
        _verdict(found, f"lamina.load_model({found.path!r})")


def _pickled(archive: zipfile.ZipFile, name: str) -> bool:
    with archive.open(name) as file:
        return b"|O" in file.read(256)


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
    from . import yaml

    text = _text(path)
    tags = re.findall(r"!!(python/\S+)|!<tag:yaml.org,2002:(python/[^>]+)>", text)
    made = {short or long for short, long in tags if re.search("object|name|module", short or long)}
    found.code += [f"the YAML tag !!{tag}" for tag in sorted(made)]
    try:
        described = yaml.read(text)
    except ModuleNotFoundError:
        raise safe.Misfit("YAML is read by PyYAML, which is not installed: pip install lamina[yaml]") from None
    _architecture(found, described, "YAML", "yaml")


def _architecture(found: Checked, described: Any, form: str, word: str) -> None:
    if not isinstance(described, dict) or not ({"class_name", "name"} & described.keys()):
        raise safe.Misfit(f"{form}, but no architecture of a model: it names no class")
    found.what = f"an architecture in {form}, without weights"
    _written_by(found, described, described.get("keras_version"), described.get("backend"))
    _describe(found, described)
    found.needs.append("weights: it holds none")
    _verdict(found, f"lamina.model_from_{word}(open({found.path!r}).read())")


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
    arrays = safetensors.read(path)
    found.parameters = sum(array.size for array in arrays.values())
    found.what = f"{len(arrays)} arrays as safetensors, without the architecture"
    found.needs.append("the model, with these names in its state_dict")
    _verdict(found, f"model.load_weights({found.path!r})")


def _saved_model(found: Checked, path: Path) -> None:
    from . import metadata

    described = metadata.described(path)
    found.what = "a SavedModel folder of tf.keras"
    config = described.get("model_config") or {key: described.get(key) for key in ("class_name", "config")}
    _written_by(found, config, described.get("keras_version"), described.get("backend"))
    _describe(found, config, described.get("training_config"))
    _verdict(found, f"lamina.load_model({found.path!r})")


def _checkpoint(found: Checked, path: Path) -> None:
    from . import bundle

    folder = path if path.is_dir() else path.parent
    if path.is_dir() or path.name == "checkpoint":
        told = re.search(r'model_checkpoint_path:\s*"([^"\n]+)"', _text(folder / "checkpoint"))
        path = folder / Path(told[1] if told else "").name  # whatever folder it names, which may have been moved
        if bundle.prefix_of(path) is None:
            raise ValueError(
                f"the files of the checkpoint {path.name!r}, which {folder / 'checkpoint'} names, are not there"
            )
    found.needs.append("the model: these are its weights alone")
    _verdict(found, f"model.load_weights({str(path)!r})")


def _distributed(found: Checked, path: Path) -> None:
    if path.suffix != ".dcp":
        raise ValueError("model.load_weights reads it where its folder's name ends in .dcp")
    found.needs.append("the model: these are its weights alone")
    _verdict(found, f"model.load_weights({found.path!r})")


_LOOKS = {
    "hdf5": _hdf5, "zip": _zip, "json": _json, "yaml": _yaml, "safetensors": _safetensors,
    "saved_model": _saved_model, "checkpoint": _checkpoint, "distributed": _distributed,
}  # fmt: skip


def _beside(path: Path) -> list[Path]:
    """The files that a folder holds, or that begin with this name."""
    if path.is_dir():
        return [file for file in [*path.iterdir(), *path.glob("variables/*")] if file.is_file()]
    return [file for file in path.parent.glob("*") if file.name.startswith(f"{path.name}.")]


def _cut_short(path: Path) -> str:
    """What a file without its end is, in words."""
    if not path.is_file():
        return ""
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


# What they say ---------------------------------------------------------------------------------------------------


def _written_by(found: Checked, described: Any, version: Any, backend: Any) -> None:
    found.keras_version = None if version is None else str(version)
    found.backend = None if backend is None else str(backend)
    config = described if isinstance(described, Mapping) else {}
    if str(config.get("module")).startswith("lamina."):
        found.generation, found.evidence = "lamina", f"its module {config['module']}"
        return
    found.generation = origin.generation_of(config, found.keras_version)
    words = origin.telling_words(config)
    if version is not None:
        found.evidence = "its `keras_version`"
    elif words:
        found.evidence = f"words of its config: {_listed(words)}"
    elif found.generation:
        found.evidence = "the form of its config"


def _describe(found: Checked, described: Any, settings: Any = None) -> None:
    """Model, layers, inputs, outputs, training, and what reading needs."""
    if not isinstance(described, Mapping):
        raise ValueError(f"its config is a {type(described).__name__}; expected a description of a model")
    if keras0.is_old(described):
        settings = described if described.get("optimizer") else None
        described = keras0.to_keras1(described)
    kind, name = str(described.get("class_name")), tells.config_of(described).get("name")
    found.model = f'{kind} "{name}"' if name and name != kind else kind
    found.layers = dict(Counter(map(tells.class_of, tells.layers(described))).most_common())
    found.inputs, found.outputs = tells.inputs(described), tells.outputs(described)
    found.quantized = tells.quantized(described)
    found.problem = tells.unread(described, found.keras_version) or found.problem
    found.code += tells.code(described)
    found.custom = tells.unknown(described)
    if found.backend == "theano" and found.generation == "keras1" and any("onv" in name for name in found.layers):
        found.needs.append("Theano's arithmetic: kernels are turned round")
    if isinstance(settings, Mapping) and settings:
        found.compiled = tells.compiled(settings)
        found.custom += tells.unknown_in_training(settings)


def _verdict(found: Checked, call: str) -> None:
    """Whether the call reads it alone."""
    found.readable = not (found.custom or found.problem)
    if not found.problem:
        found.call = call if found.readable else f"{call[:-1]}, custom_objects={{...}})"


def _listed(items: list[str], most: int = LISTED) -> str:
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def _size(count: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"


# The command -----------------------------------------------------------------------------------------------------


def main(names: Iterable[str], as_json: bool = False) -> int:
    """Print what files are, one in full and several in a line each. The exit code: 0 where all are readable."""
    paths = [path for name in names for path in _meant(Path(name))]
    checked = []
    for path in paths:
        try:
            checked.append(check(path))
        except (OSError, ValueError) as error:  # ValueError for a pipe
            reason = getattr(error, "strerror", None) or str(error)
            checked.append(Checked(str(path), "missing", "no file", 0, problem=reason))
    if as_json:
        print(json.dumps([one.as_dict() for one in checked], indent=2))
    elif len(checked) == 1:
        _show(checked[0].rows(), checked[0].readable)
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
