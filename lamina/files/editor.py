"""KerasFileEditor: look into a file of weights, rename and replace what it holds, and write it anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.errors import short, show_shape
from ..pictures.table import shown as _shown
from . import keras3, layered, safe, tree

_MATCH, _MISS = "color(28)", "color(160)"
Tree = dict[str, Any]


class KerasFileEditor:
    """The weights in a `.keras`, `.weights.h5` or `.weights.json` file, to look at, change and save elsewhere.

    `weights_dict` holds them by object and weight, as nested dictionaries; `config` and `metadata` are those of a
    `.keras` file, `object_metadata` what stands beside each object's weights, such as its name. An object is called by
    its path (`"layers/dense_2"`) or, where that is clear, by the last part of it. All are in memory: the file itself
    is never changed. Raises ValueError for another or a damaged file, FileNotFoundError for none.
    """

    def __init__(self, filepath: Any):
        from rich.console import Console

        self.filepath = str(filepath)
        self.console = Console(highlight=False)
        self.config: Any = None
        self.metadata: Any = None
        path = Path(filepath)
        if not self.filepath.endswith((".keras", ".weights.h5", ".weights.json")):
            raise ValueError(
                f"KerasFileEditor: the name must end in .keras, .weights.h5 or .weights.json; got {self.filepath!r}."
            )
        safe.require_file(path)
        if path.suffix == ".keras":
            with safe.zip_members(path) as archive:
                self.config = safe.read_json(archive, keras3.CONFIG)
                if keras3.METADATA in archive.namelist():
                    self.metadata = safe.read_json(archive, keras3.METADATA)
        self.weights_dict: Tree = {}
        self.object_metadata: dict[str, dict[str, Any]] = {}
        with keras3.stored_weights(path) as held:
            self._take(held)
        self.console.print(f"Weights of {_shown(self.filepath)}", soft_wrap=True)
        if isinstance(self.metadata, dict):
            said = {key: _shown(str(self.metadata.get(key, "?"))) for key in ("keras_version", "date_saved")}
            self.console.print(f"Saved by Keras {said['keras_version']}, {said['date_saved']}")

    def _take(self, held: safe.Arrays) -> None:
        if any(map(layered.is_layered, held.files)):
            raise safe.Misfit(
                "weights by layers, as older Keras wrote them. `load_weights` of the model reads them, and "
                "`save_weights` then writes a file that can be edited"
            )
        arrays = {path: held.of(path) for path in held.paths}
        held.check_total(array for own in arrays.values() for array in own.values())
        self.object_metadata = {path: attrs for path in arrays if (attrs := held.attributes(path))}
        for path, own in arrays.items():
            at = self.weights_dict
            for part in path.split("/") if path and own else ():
                at = at.setdefault(part, {})
            for key, array in own.items():
                if key in at:
                    raise ValueError(f"{path}/{key} stands there twice")
                values = array.read()
                at[key] = torch.from_numpy(values).to(torch.bfloat16) if array.half else values

    def summary(self) -> None:
        """Print the objects in the file and the shapes and types of their weights."""
        for line in _lines(self.weights_dict, self.object_metadata, "", "  "):
            self.console.print(line, soft_wrap=True)

    def compare(self, reference_model: Any) -> dict[str, Any]:
        """Print how the file's weights differ from a model's, by path and shape.

        Gives `status` ("success" or "error"), `error_count` and `match_count`. An object that is missing is one error.
        """
        reference: Tree = {}
        for path, item in tree.saveables(reference_model):
            own = tree.own_arrays(item)
            at = reference
            for part in path.split("/") if path and own else ():
                at = at.setdefault(part, {})
            at.update(own)
        problems: list[str] = []
        matches = _compare(self.weights_dict, reference, "", problems)
        for problem in problems:
            self.console.print(f"[{_MISS}]{problem}[/]", soft_wrap=True)
        if problems:
            self.console.print(f"[{_MISS}]The file does not fit the model: {len(problems)} differences[/]")
        else:
            self.console.print(f"[{_MATCH}]The file fits the model: {matches} weights[/]")
        return {
            "status": "error" if problems else "success",
            "error_count": len(problems),
            "match_count": matches,
        }

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Give an object, or a weight, another name in its place. Raises ValueError where that is taken."""
        _check_name("rename_object", new_name)
        at, name = self._find("rename_object", object_name)
        if new_name in at and new_name != name:
            raise ValueError(f"rename_object: beside {object_name!r} there is {new_name!r} already; delete that first.")
        at[new_name] = at.pop(name)

    def delete_object(self, object_name: str) -> None:
        """Take out an object and all below it."""
        at, name = self._find("delete_object", object_name)
        del at[name]

    def add_object(self, object_path: str, weights: Mapping[str, Any]) -> None:
        """Put an object, such as a layer, at a full path; `weights` holds its arrays by name (`"0"`, `"1"`, ...)."""
        given = _weights("add_object", weights)
        *above, name = str(object_path).split("/")
        _check_name("add_object", name)
        at: Any = self.weights_dict
        for part in above:
            at = at.get(part) if isinstance(at, dict) else None
        if not isinstance(at, dict):
            raise ValueError(f"add_object: the file has no object {'/'.join(above)!r} to put {name!r} in.")
        at[name] = given

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Take one weight out of an object."""
        owner = self._object("delete_weight", object_name)
        if weight_name not in owner:
            raise ValueError(f"delete_weight: {object_name!r} has no weight {weight_name!r}; it has {list(owner)}.")
        del owner[weight_name]

    def add_weights(self, object_name: str, weights: Mapping[str, Any]) -> None:
        """Put arrays into an object that is there, by their names; those of equal names are replaced."""
        given = _weights("add_weights", weights)
        self._object("add_weights", object_name).update(given)

    def save(self, filepath: Any) -> None:
        """Write the weights to a `.weights.h5` file."""
        path = Path(filepath)
        if not path.name.endswith(".weights.h5"):
            raise ValueError(f"save: the name must end in .weights.h5; got {str(filepath)!r}.")
        with safe.replacing_hdf5(path) as file:
            _write(file, self.weights_dict, "")

    def resave_weights(self, filepath: Any) -> None:
        """The same as `save`."""
        self.save(filepath)

    def _object(self, what: str, name: str) -> Tree:
        at, last = self._find(what, name)
        if not isinstance(at[last], dict):
            raise ValueError(f"{what}: {name!r} is a weight; expected an object that holds weights.")
        return at[last]

    def _find(self, what: str, name: Any) -> tuple[Tree, str]:
        """What holds the object or weight of that name or path, and its name there."""
        if not isinstance(name, str):
            raise ValueError(f"{what}: expected the name or path of an object; got {short(name)}.")
        *above, last = name.split("/")
        holders = [(path, at) for path, at in _dicts(self.weights_dict, "") if last in at]
        found = [at for path, at in holders if not above or path == "/".join(above)]
        if len(found) != 1:
            told = "occurs more than once; give its full path" if found else "is not in the file; see `summary()`"
            raise ValueError(f"{what}: {name!r} {told}.")
        return found[0], last


def _dicts(at: Tree, path: str) -> Iterator[tuple[str, Tree]]:
    yield path, at
    for key, value in at.items():
        if isinstance(value, dict):
            yield from _dicts(value, f"{path}/{key}".lstrip("/"))


def _compare(stored: Tree, reference: Tree, path: str, problems: list[str]) -> int:
    """How many weights are the same; what differs is told in `problems`."""
    matches = 0
    for key in dict.fromkeys([*reference, *stored]):
        mine, theirs = stored.get(key), reference.get(key)
        place = _shown(f"{path}/{key}")
        if mine is None or theirs is None:
            there, missing = ("model", "file") if mine is None else ("file", "model")
            value = theirs if mine is None else mine
            held = f" and holds {_shown(', '.join(value))}" if isinstance(value, dict) else ""
            problems.append(f"{place} is missing from the {missing}; it stands in the {there}{held}")
        elif isinstance(mine, dict) and isinstance(theirs, dict):
            matches += _compare(mine, theirs, f"{path}/{key}", problems)
        elif isinstance(mine, dict) or isinstance(theirs, dict):
            problems.append(f"{place} is a weight in one, and an object with weights in the other")
        elif tuple(mine.shape) != tuple(theirs.shape):
            shapes = show_shape(tuple(mine.shape)), show_shape(tuple(theirs.shape))
            problems.append(f"{place}: shape {shapes[0]} in the file, {shapes[1]} in the model")
        else:
            matches += 1
    return matches


def _lines(at: Tree, names: Mapping[str, Mapping[str, Any]], path: str, prefix: str) -> Iterator[str]:
    for index, (key, value) in enumerate(at.items()):
        last = index == len(at) - 1
        line = f"{prefix}{'└─' if last else '├─'} [bold]{_shown(key)}[/]"
        place = f"{path}/{key}".lstrip("/")
        if isinstance(value, dict):
            name = names.get(place, {}).get("name")
            yield line + (f" ({_shown(repr(name))})" if isinstance(name, str) else "")
            yield from _lines(value, names, place, prefix + ("   " if last else "│  "))
        else:
            dtype = str(value.dtype).removeprefix("torch.")
            yield f"{line}: shape={show_shape(tuple(value.shape))}, dtype={dtype}"


def _check_name(what: str, name: Any) -> None:
    if not isinstance(name, str) or name in ("", ".", "vars") or "/" in name or "\0" in name:
        raise ValueError(f"{what}: expected a plain name, without a path; got {short(name)}.")


def _weights(what: str, weights: Any) -> Tree:
    """Copies of arrays by name. Raises ValueError for what is no dictionary of them."""
    if not isinstance(weights, Mapping):
        raise ValueError(f"{what}: `weights` must be a dictionary of names and arrays; got {short(weights)}.")
    taken: Tree = {}
    for name, value in weights.items():
        _check_name(what, name)
        if isinstance(value, Mapping):
            taken[name] = _weights(what, value)
            continue
        values = value.detach().cpu().clone() if isinstance(value, torch.Tensor) else np.array(value)
        if isinstance(values, np.ndarray) and values.dtype.kind not in "biufc":
            raise ValueError(f"{what}: weight {name!r} must be an array of numbers; got {short(value)}.")
        taken[name] = values
    return taken


def _write(file: Any, at: Tree, path: str) -> None:
    arrays = {key: value for key, value in at.items() if not isinstance(value, dict)}
    if arrays:
        group = file.create_group(f"{path}/vars".lstrip("/"))
        for key, value in arrays.items():
            tree.put(group, key, value)
    for key, value in at.items():
        if isinstance(value, dict):
            _write(file, value, f"{path}/{key}".lstrip("/"))
