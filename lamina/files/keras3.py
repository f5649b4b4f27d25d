"""Keras 3's own files: `.keras` (a zip of config, metadata and weights) and `.weights.h5`."""

from __future__ import annotations

import datetime
import inspect
import json
import tempfile
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.utils import _pytree as pytree

from ..core import serialize
from ..core.scope import at_most
from ..core.weight import bounded_state, waiting_weights
from ..translation import origin
from . import older, safe, shards, tree

CONFIG, METADATA, WEIGHTS, ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets"
KERAS_VERSION = "3.15.1"  # the Keras whose format this is
CALLS = 2_000  # of layers that a config may record, beyond two for each object that it describes
LATER: dict[str, Any] = {  # what Keras 3 has learned to say since 3.4, and the values by which it says nothing
    **dict.fromkeys(("quantization_config", "renorm_clipping", "input_axes", "output_axes", "sliding_window"), None),
    **dict.fromkeys(("flash_attention", "ignore_class", "salt"), None),
    **dict.fromkeys(("renorm", "use_gate", "antialias", "from_sorted_ids"), False),
    "renorm_momentum": 0.99,
    "oov_method": "floormod",
}
MAX_SPARE = 1 << 26  # bytes of weights and other state that are not stored, beyond the size of the file


def save(model: Any, path: Path) -> None:
    """Write a `.keras` file: architecture, compile arguments, weights and the optimizer's state."""
    import h5py

    version, layout = KERAS_VERSION, older.written_as(model)
    config = json.dumps(stored_model(model), default=serialize.serialize)  # default: what functions hold
    if layout:
        config, version = json.dumps(older.as_tf_keras(json.loads(config))), older.VERSIONS["tf_keras"]
    saved = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    with safe.replacing(path) as fresh, fresh.open("rb+") as target, zipfile.ZipFile(target, "w") as archive:
        archive.writestr(METADATA, json.dumps({"keras_version": version, "date_saved": saved}))
        archive.writestr(CONFIG, config)
        with safe.new_member(archive, WEIGHTS) as part, h5py.File(part, "w") as file:
            tree.write(model, file, **layout)
            if layout:
                older.write_metrics(model, file)
        for name, content in assets_of(model):
            archive.writestr(f"{ASSETS}/{name}", content)


def assets_of(model: Any) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files that objects write by their `save_assets`, such as learned vocabularies."""
    for path, item in tree.saveables(model):
        if hasattr(item, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                item.save_assets(folder)
                for file in sorted(Path(folder).rglob("*")):
                    if file.is_file():
                        yield f"{path}/{file.relative_to(folder).as_posix()}".lstrip("/"), file.read_bytes()


def described_model(model: Any) -> dict[str, Any]:
    """The model as plain data; a layer that stands in several places has a `shared_object_id` there."""
    with serialize.sharing():
        config = serialize.serialize(model)
    if getattr(model, "_made_for", None) is not None:
        config["backend"] = model._made_for

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
    return config


def stored_model(model: Any) -> dict[str, Any]:
    """As files have it: without what is `LATER` and says nothing, since earlier versions of Keras 3 refuse words that
    they do not know."""
    config = described_model(model)
    for entry in origin.entries(config):
        if str(entry.get("module")).partition(".")[0] == "keras" and isinstance(entry["config"], dict):
            words = entry["config"].items()
            entry["config"] = {word: value for word, value in words if LATER.get(word, ...) != value}
    return config


def load(path: Path, custom_objects: Mapping[str, Any] | None = None, compile: bool = True) -> Any:
    """The model in a `.keras` file. Raises ValueError for a damaged file, an unknown class or weights that misfit."""
    import h5py

    with safe.zip_members(path) as archive:
        metadata = safe.read_json(archive, METADATA) if METADATA in archive.namelist() else {}
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
        config = older.addressed(safe.read_json(archive, CONFIG), version)
        generation = origin.generation_of_version(str(version or 3))
        weights = safe.unpacked(archive, WEIGHTS)
        assets = safe.contents(archive, f"{ASSETS}/")
    settings: list[tuple[Any, Any]] = []
    if origin.packs_otherwise(version):
        from .described import unread  # with words of all generations

        if problem := unread(config, version):
            raise ValueError(f"{path}: {problem}.")
    with safe.reading(path):
        file = h5py.File(weights, "r")
        held = safe.Arrays(file)
    with weights, file, serialize.custom_object_scope(custom_objects or {}):
        with filling(path):
            model = make_model(config, path, settings)
            settings = settings if compile else []
            with safe.reading(path):
                tree.load(tree.read(model, held, grows=bool(settings)), path)
            _load_assets(model, assets, path)
        if settings:
            done = {id(item) for _, item in tree.saveables(model)}
            for item, each in settings:
                with compiling(item, each, path):
                    item.compile_from_config(older.training(each, generation))
            with safe.reading(path):
                if not all(getattr(item.optimizer, "built", True) for item, _ in settings):
                    _build_frozen_optimizers(model, held)
                loads = tree.read(model, held, done=done)
                if generation == "tf_keras":
                    loads = older.without_state(loads)
                tree.load(loads, path)
    return model


def _build_frozen_optimizers(model: Any, held: safe.Arrays) -> None:
    """Make the state of optimizers whose model was trained and then frozen, as the discriminator in a GAN is."""
    for path, item in tree.saveables(model):
        optimizer: Any = getattr(item, "optimizer", None)
        if getattr(optimizer, "built", True) or not getattr(item, "built", False):
            continue
        weights = [weight for weight in item.weights if getattr(weight, "_trainable", False)]
        slots = sum(map(len, optimizer._slot_names()))
        count = len(held.of(f"{path}/optimizer".lstrip("/")))
        if weights and slots and count == len(optimizer.variables) + slots * len(weights):
            optimizer.build(weights)


def _load_assets(model: Any, assets: Mapping[str, bytes], path: Path) -> None:
    """Hand every object a folder of its own files. Raises ValueError where one cannot take them."""
    if not assets and not any(hasattr(layer, "load_assets") for layer in model.modules()):
        return
    walk = tree.walk_of(model, assets, lambda place: any(name.startswith(f"{place}/") for name in assets))
    for place, item in walk(model):
        if not hasattr(item, "load_assets") or not (assets or serialize.home_of(type(item))):
            continue
        below = f"{place}/".lstrip("/")
        own = {name[len(below) :]: content for name, content in assets.items() if name.startswith(below)}
        with tempfile.TemporaryDirectory() as folder:
            try:
                for name, content in own.items():
                    file = Path(folder, *safe.parts(name))
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content)
                item.load_assets(folder)
            except safe.FAULTS as error:
                raise ValueError(f"{path}: the files of {place!r} do not fit: {safe.reason(error)}") from error


@contextmanager
def filling(path: Path) -> Iterator[None]:
    """Around making a model and reading its weights: only what the file does not fill is initialized, at the end."""
    with waiting_weights() as waiting:
        with bounded_state(MAX_SPARE):
            yield
        try:
            waiting.settle(MAX_SPARE + path.stat().st_size)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def make_model(config: Any, path: Path, settings: list[tuple[Any, Any]] | None = None) -> Any:
    """The model a config describes. `settings` receives the models in it that were compiled, and how.

    Raises ValueError, naming the file, for a config that describes none.
    """
    try:
        calls = CALLS + 2 * sum(1 for _ in origin.entries(config))
        backend = origin.told_backend(config) or serialize.read_backend()
        with serialize.reading_shared() as compiled, serialize.computing_as_on(backend), at_most(calls):
            model = serialize.deserialize(config, homes=("keras.models", "keras.layers"))
    except safe.FAULTS as error:
        place = serialize.place_of(error, config)
        raise ValueError(f"{path}: its config cannot be made into a model{place}: {safe.reason(error)}") from error
    if not hasattr(model, "save_own_variables"):
        raise ValueError(f"{path}: its config describes a {type(model).__name__}, which is no model.")
    if settings is not None:
        settings += compiled
    return model


@contextmanager
def compiling(model: Any, settings: Any, path: Path) -> Iterator[None]:
    """Around compiling a loaded model as it was; makes the optimizer's state, so that the stored one can be read."""
    try:
        with bounded_state(MAX_SPARE), serialize.reading_part(settings, "the arguments of `compile`"):
            yield
        _check_objective(model)
        build_optimizer(model)
    except safe.FAULTS as error:
        place = serialize.place_of(error, settings, "compile_config")
        text = f"{path}: cannot compile the model as it was{place}: {safe.reason(error)} Load it with compile=False."
        raise ValueError(text) from error


def _check_objective(model: Any) -> None:
    """Raises ValueError where a file names an object of another kind, such as a callback, as a loss or metric."""
    arguments = model._compiled.arguments
    for name in ("loss", "metrics", "weighted_metrics"):
        for item in pytree.tree_leaves(arguments.get(name)):
            cls = item if inspect.isclass(item) else type(item)
            home = serialize.home_of(cls)
            if home is not None and home not in ("keras.losses", "keras.metrics"):
                raise ValueError(f"`{name}` holds a {cls.__name__}, which is neither a loss nor a metric.")


def build_optimizer(model: Any) -> None:
    if model.built and getattr(model, "optimizer", None) is not None:
        model._build_optimizer()


def save_weights(model: Any, path: Path, skip: Collection[int] = ()) -> None:
    """Write a `.weights.h5` file. Raises ValueError for a model that has no weights yet."""
    require_built(model, "save its weights")
    layout = older.written_as(model)
    with safe.replacing_hdf5(path) as file:
        tree.write(model, file, skip, **layout)
        if layout and not skip:
            older.write_metrics(model, file)


def load_weights(model: Any, path: Path, skip_mismatch: bool = False, skip: Collection[int] = ()) -> None:
    """Set a model's weights from a file; the optimizer's state too where both have one."""
    require_built(model, "load weights")
    build_optimizer(model)
    with stored_weights(path) as held:
        loads = tree.read(model, held, skip, skip_mismatch)
        tree.load(older.without_state(loads) if older.written_as(model) else loads, path)


@contextmanager
def stored_weights(path: Path) -> Iterator[safe.Arrays]:
    """The open HDF5 files of weights that a `.weights.h5`, `.keras` or `.weights.json` file means, looked through."""
    import h5py

    safe.require_file(path)
    if path.suffix == ".json":
        with shards.reading(path) as held:
            yield held
        return
    if zipfile.is_zipfile(path):
        with safe.zip_members(path) as archive:
            source: Any = safe.unpacked(archive, WEIGHTS)
    else:
        source = path.open("rb")
    with source, safe.reading(path), h5py.File(source, "r") as file:
        yield safe.Arrays(file)


def require_built(model: Any, what: str) -> None:
    if not model.built:
        raise ValueError(f"{type(model).__name__} {model.name!r} is not built: call it on data or build it to {what}.")
