"""Keras 3's own files: `.keras` (a zip of config, metadata and weights) and `.weights.h5`."""

from __future__ import annotations

import datetime
import json
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..core import serialize
from . import safe, tree

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
KERAS_VERSION = "3.15.1"  # the Keras whose format this is


def save(model: Any, path: Path) -> None:
    """Write a `.keras` file: architecture, compile arguments, weights and the optimizer's state."""
    import h5py

    with serialize.sharing():
        config = serialize.serialize(model)
    _drop_single_ids(config)
    saved = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    with safe.replacing(path) as fresh, zipfile.ZipFile(fresh, "w") as archive:
        archive.writestr(METADATA, json.dumps({"keras_version": KERAS_VERSION, "date_saved": saved}))
        archive.writestr(CONFIG, json.dumps(config))
        with tempfile.TemporaryFile(dir=fresh.parent) as weights:
            with h5py.File(weights, "w") as file:
                tree.write(model, file)
            weights.seek(0)
            with archive.open(WEIGHTS, "w", force_zip64=True) as member:
                shutil.copyfileobj(weights, member, 1 << 20)


def _drop_single_ids(config: Any) -> None:
    """Keep `shared_object_id` only where an object stands in several places."""

    def entries(value: Any) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict):
            if "shared_object_id" in value:
                yield value
            value = list(value.values())
        elif not isinstance(value, (list, tuple)):
            return
        for item in value:
            yield from entries(item)

    found = list(entries(config))
    counts = Counter(entry["shared_object_id"] for entry in found)
    for entry in found:
        if counts[entry["shared_object_id"]] == 1:
            del entry["shared_object_id"]


def load(path: Path, custom_objects: Mapping[str, Any] | None = None, compile: bool = True) -> Any:
    """The model in a `.keras` file. Raises ValueError for a damaged file, an unknown class or weights that misfit."""
    import h5py

    with safe.zip_members(path) as archive:
        config = safe.read_json(archive, CONFIG)
        weights = safe.unpacked(archive, WEIGHTS)
    with weights, serialize.custom_object_scope(custom_objects or {}):
        model = make_model(config, path)
        settings = config.get("compile_config")
        if compile and settings:
            compile_model(model, settings, path)
        with safe.reading(path), h5py.File(weights, "r") as file:
            loads = tree.read(model, file)
        tree.load(loads)
    return model


def make_model(config: Any, path: Path) -> Any:
    """The model a config describes. Raises ValueError, naming the file, for one that describes none."""
    try:
        with serialize.sharing():
            model = serialize.deserialize(config, homes=("keras.models", "keras.layers"))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(f"{path}: its config cannot be made into a model: {error or type(error).__name__}") from error
    if not hasattr(model, "save_own_variables"):
        raise ValueError(f"{path}: its config describes a {type(model).__name__}, which is no model.")
    return model


def compile_model(model: Any, settings: Mapping[str, Any], path: Path) -> None:
    """Compile a loaded model as it was, and make the optimizer's state, so that the stored one can be read."""
    try:
        model.compile_from_config(settings)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: cannot compile the model as it was: {error} Load it with compile=False.") from error
    build_optimizer(model)


def build_optimizer(model: Any) -> None:
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and model.built and not optimizer.built:
        optimizer.build(model.trainable_weights)


def save_weights(model: Any, path: Path) -> None:
    """Write a `.weights.h5` file. Raises ValueError for a model that has no weights yet."""
    require_built(model, "save its weights")
    with safe.replacing_hdf5(path) as file:
        tree.write(model, file)


def load_weights(model: Any, path: Path, skip_mismatch: bool = False, objects_to_skip: Any = None) -> None:
    """Set a model's weights from a `.weights.h5` or `.keras` file; the optimizer's state too where both have one."""
    import h5py

    require_built(model, "load weights")
    build_optimizer(model)
    skip = {id(item) for item in objects_to_skip or ()}
    if zipfile.is_zipfile(path):
        with safe.zip_members(path) as archive:
            source: Any = safe.unpacked(archive, WEIGHTS)
    else:
        source = path.open("rb")
    with source, safe.reading(path), h5py.File(source, "r") as file:
        loads = tree.read(model, file, skip, skip_mismatch)
    tree.load(loads)


def require_built(model: Any, what: str) -> None:
    if not model.built:
        raise ValueError(f"{type(model).__name__} {model.name!r} is not built: call it on data or build it to {what}.")
