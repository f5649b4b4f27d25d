"""Weights in several HDF5 files below a size, and the `.weights.json` that says which weight stands where."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from . import safe, tree

MAX_SHARDS = 1_000
SAVE = "save"  # what all files of one save hold, since several cannot take their places at once


class _Shards:
    """Takes groups and arrays as an HDF5 file does, and opens another file where the next array would not fit."""

    def __init__(self, path: Path, limit: float, stack: ExitStack):
        self._name = path.stem.replace(".weights", "")
        self._path, self._limit, self._stack = path, limit, stack
        self._count, self._free, self._save = 0, 0.0, secrets.token_hex(8)
        self.total, self.weight_map = 0, dict[str, list[str]]()
        self.next()

    def next(self) -> None:
        self.name = f"{self._name}_{self._count:05}.weights.h5"
        self.file = self._stack.enter_context(safe.replacing_hdf5(self._path.with_name(self.name)))
        self.file.attrs[SAVE] = self._save
        self._count, self._free = self._count + 1, self._limit

    def create_group(self, path: str) -> _Group:
        return _Group(self, path)

    def place(self, path: str, size: int) -> Any:
        """The group of an object's arrays in the file that takes `size` more bytes."""
        if size > self._free:
            self.next()
        self._free -= size
        self.total += size
        self.weight_map.setdefault(f"/{path}", []).append(self.name)
        return self.file.require_group(path)

    def description(self) -> dict[str, Any]:
        places = {
            path: list(dict.fromkeys(names)) if len(names) > 1 else names[0] for path, names in self.weight_map.items()
        }
        return {"metadata": {"total_size": float(self.total), SAVE: self._save}, "weight_map": places}


class _Group:
    """The arrays of one object, in one file or several."""

    def __init__(self, shards: _Shards, path: str):
        self._shards, self._path = shards, path
        self.attrs = shards.file.create_group(path).attrs

    def create_dataset(self, key: str, **options: Any) -> Any:
        """As HDF5's groups take them: `data`, or `shape` and `dtype`."""
        data = options.get("data")
        size = np.dtype(options["dtype"]).itemsize * math.prod(options["shape"]) if data is None else data.nbytes
        return self._shards.place(self._path, size).create_dataset(key, **options)


def save(model: Any, path: Path, limit: float, skip: Collection[int] = ()) -> None:
    """Write `path`, a `.weights.json`, and beside it files of at most `limit` bytes of weights.

    All files are written before one takes its place, the `.weights.json` last. Raises ValueError, before it writes,
    where one weight alone is larger.
    """
    for place, item in tree.saveables(model, skip):
        for key, value in tree.own_arrays(item).items():
            if value.nbytes > limit:
                raise ValueError(
                    f"save_weights: weight {key} of {place or 'the model'} has {value.nbytes:,} bytes, more than "
                    f"the {limit:,.0f} of `max_shard_size`; a weight is never split. Pass at least "
                    f"max_shard_size={value.nbytes} / 2**30."
                )
    with ExitStack() as stack:
        fresh = stack.enter_context(safe.replacing(path))
        shards = _Shards(path, limit, stack)
        tree.write(model, shards, skip)
        fresh.write_text(json.dumps(shards.description(), indent=4))


@contextmanager
def reading(path: Path) -> Iterator[safe.Arrays]:
    """The open HDF5 files that a `.weights.json` names, each a plain name beside it, looked through.

    Raises ValueError for a description that is none, FileNotFoundError where a file is missing.
    """
    with safe.reading(path):
        weight_map, save = _weight_map(path)
    files: dict[str, Any] = {}
    with ExitStack() as stack:
        for name in dict.fromkeys(name for names in weight_map.values() for name in names):
            shard = path.with_name(name)
            if not shard.is_file():
                raise FileNotFoundError(
                    f"{path}: beside it there is no file {name!r}, which holds some of the weights."
                )
            with safe.reading(shard):
                files[name] = stack.enter_context(safe.opened_hdf5(shard))
                named = save is not None and SAVE in files[name].attrs
                if named and safe.attribute(files[name], SAVE) != save:
                    raise ValueError(f"it and {path.name} are of two saves, of which one did not end; save again")
        with safe.reading(path):
            held = safe.Arrays(*files.values())
            for place, names in weight_map.items():
                holding = [file for file, *_ in held.places.get(place.lstrip("/"), ())]
                for name in names:
                    if files[name] not in holding:
                        raise ValueError(f"{name} does not hold {place!r}, as it says")
            yield held


def _weight_map(path: Path) -> tuple[dict[str, list[str]], Any]:
    """The names of files by the weights that they hold, and which save they are of, where that is told."""
    described = safe.parse_json(path.read_text(encoding="utf-8"), path.stat().st_size, "its text")
    weight_map = described.get("weight_map") if isinstance(described, dict) else None
    if not isinstance(weight_map, dict):
        raise ValueError("it has no `weight_map` of weights and the files that hold them")
    listed = {place: names if isinstance(names, list) else [names] for place, names in weight_map.items()}
    for place, names in listed.items():
        for name in names:
            if not isinstance(name, str) or len(safe.parts(name)) != 1:
                raise ValueError(f"`weight_map` has {name!r} for {place!r}; expected the name of a file beside it")
    if len({name for names in listed.values() for name in names}) > MAX_SHARDS:
        raise ValueError(f"it names more than {MAX_SHARDS} files")
    metadata = described.get("metadata")
    return listed, metadata.get(SAVE) if isinstance(metadata, dict) else None
