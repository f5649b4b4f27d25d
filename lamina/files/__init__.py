"""Saving and loading: whole models (`.keras`, `.h5`) and weights (`.weights.h5`, `.h5`, `.safetensors`)."""

from __future__ import annotations

import functools
import importlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..core.errors import short, warn
from ..translation import origin

_H5 = (".h5", ".hdf5")
_DCP = ".dcp"
IN_FOLDER = "model.keras"  # where tf.keras' code names a folder
# Users' classes in folders that this process wrote, which TensorFlow's tell by their graphs.
classes_in_folder: dict[Path, dict[str, type]] = {}


def _by_one(save: Callable) -> Callable:
    """Of several processes that save one model, the first writes and the others wait for it."""

    @functools.wraps(save)
    def saved(model: Any, filepath: Any, *args: Any, **options: Any) -> None:
        from ..core.placing import put_together
        from ..training.distributed import writing

        if str(filepath).endswith(_DCP):  # a part by each
            save(model, filepath, *args, **options)
            return
        with put_together(model), writing(filepath) as mine:
            if mine:
                save(model, filepath, *args, **options)

    return saved


def _is_group(target: object) -> bool:
    """Whether it is an open HDF5 file, or a group of one."""
    return type(target).__module__.startswith("h5py.")


def _put_into(target: Any, source: Any) -> None:
    """All that one open group holds into another, in place of what has the same name there."""
    for name in source:
        if name in target:
            del target[name]
        source.copy(name, target)
    target.attrs.update(source.attrs)


@_by_one
def save_model(
    model: Any,
    filepath: Any,
    overwrite: bool = True,
    *,
    zipped: bool | None = None,
    include_optimizer: bool = True,
    save_format: str | None = None,
    any_name: bool = False,
) -> None:
    """Write a model to a `.keras` file, or to the older `.h5`; with `any_name` to that under every other name, too.

    In place of a path a binary file that is open for writing, such as an `io.BytesIO`, takes a `.keras` archive, an
    open HDF5 file or group what an `.h5` file holds.
    `include_optimizer` is for `.h5`. `save_format`, of Keras 2, says nothing here: the name's suffix decides. The file
    is replaced in one step: whatever fails, the old one stays. Raises ValueError for another suffix, and with
    `overwrite=False` FileExistsError where the file exists and nobody is there to be asked.
    """
    from . import h5, keras3

    if isinstance(filepath, io.IOBase):
        with tempfile.TemporaryDirectory() as folder:
            keras3.save(model, Path(folder) / IN_FOLDER)
            filepath.write((Path(folder) / IN_FOLDER).read_bytes())
        return
    if _is_group(filepath):
        with tempfile.TemporaryDirectory() as folder:
            h5.save(model, Path(folder, "model.h5"), include_optimizer)
            with importlib.import_module("h5py").File(Path(folder, "model.h5")) as file:
                _put_into(filepath, file)
        return
    path = _path(filepath, "save_model")
    older = path.suffix in _H5 or (any_name and path.suffix != ".keras")
    if zipped is False:
        raise ValueError(
            "save_model: `zipped=False` would write a folder; here a model is one .keras file. Leave it out."
        )
    if path.suffix != ".keras" and not older:
        raise ValueError(f"save_model: the name must end in .keras or, for the older format, .h5; got {str(path)!r}.")
    if not _may_write(path, overwrite):
        return
    if older:
        h5.save(model, path, include_optimizer)
        return
    if not model.built:
        warnings.warn(f"Saving {model.name!r} before it is built: the file holds no weights.", stacklevel=2)
    keras3.save(model, path)


def load_model(
    filepath: Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    *,
    backend: str | None = None,
) -> Any:
    """Read a model from a `.keras` or `.h5` file of any Keras, compiled as it was saved unless `compile=False`.

    `filepath` may also be a binary file that is open for reading, such as an `io.BytesIO`, or an HDF5 file or group.
    It computes as the Keras that wrote it, which the file tells. custom_objects: classes and functions of your own
    that it names. backend: "tensorflow" or "theano", where a file of Keras 1 does not say which one it ran on. Loading
    never runs code from the file, whatever `safe_mode` says. Raises ValueError for a file that is damaged, no model,
    or names unknown classes.
    """
    from . import h5, keras3, kinds, safe, saved_model

    if isinstance(filepath, io.IOBase):
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "model"
            copy.write_bytes(filepath.read())
            return load_model(copy, custom_objects, compile, safe_mode, backend=backend)
    if _is_group(filepath):
        with tempfile.TemporaryDirectory() as folder:
            with importlib.import_module("h5py").File(Path(folder, "model.h5"), "w") as file:
                _put_into(file, filepath)
            return load_model(Path(folder, "model.h5"), custom_objects, compile, safe_mode, backend=backend)
    path = _path(filepath, "load_model")
    if custom_objects is not None and not isinstance(custom_objects, Mapping):
        raise TypeError(
            "load_model: `custom_objects` must be a dictionary of names and classes or functions, such as "
            f'{{"MyLayer": MyLayer}}; got {short(custom_objects)}.'
        )
    if (folder := saved_model.folder_of(path)) is not None:
        checked_backend(backend, "tf_keras")
        return saved_model.load(folder, custom_objects, compile)
    if not path.exists():
        kind = ValueError if path.suffix == ".keras" else FileNotFoundError
        raise kind(f"load_model: there is no file {str(filepath)!r}.")
    if path.is_dir() and (path / IN_FOLDER).is_file():
        custom_objects = {**classes_in_folder.get(path.resolve(), {}), **(custom_objects or {})}
        path = path / IN_FOLDER
    if path.is_dir():
        raise ValueError(f"load_model: {str(filepath)!r} is a folder; models are single .keras or .h5 files.")
    safe.require_file(path)
    with path.open("rb") as file:
        start = file.read(8)
    if start[:4] == b"PK\x03\x04":
        checked_backend(backend, "keras3")
        return keras3.load(path, custom_objects, compile)
    if start == b"\x89HDF\r\n\x1a\n":
        return h5.load(path, custom_objects, compile, checked_backend(backend))
    looks = kinds.kind_of(path)
    told = "" if looks is kinds.UNKNOWN else f" It is {looks.what}. {looks.repair}".rstrip()
    raise ValueError(f"{path}: damaged, or no model file: neither a .keras archive nor HDF5.{told}")


@_by_one
def save_weights(
    model: Any,
    filepath: Any,
    overwrite: bool = True,
    max_shard_size: float | None = None,
    *,
    by_layers: bool = False,
    objects_to_skip: Any = None,
) -> None:
    """Write a model's weights to a `.weights.h5` or `.safetensors` file, with the optimizer's state in the former.

    `.dcp`, with the state, too, is a folder: a checkpoint of torch.distributed, to which each process adds its part.

    `max_shard_size`, in units of 2**30 bytes, writes a `.weights.json` and beside it files `name_00000.weights.h5` with
    at most so many weights each. `objects_to_skip`: layers or an optimizer to leave out. `by_layers`: as the older
    HDF5, under any name. Raises ValueError for another suffix, a model that is not built, or a weight that is larger
    than a file may be; the rest is as for `save_model`.
    """
    from . import h5, keras3, shards

    path = _path(filepath, "save_weights")
    if by_layers:
        if _may_write(path, overwrite):
            h5.save_weights(model, path)
        return
    skip = _ids(objects_to_skip)
    if max_shard_size is not None:
        path = _path_of_shards(path, max_shard_size)
        keras3.require_built(model, "save its weights")
        if _may_write(path, overwrite):
            shards.save(model, path, max_shard_size * 2**30, skip)
        return
    form = _form(path)
    if form is None and not path.name.endswith(".weights.h5"):
        raise ValueError(
            f"save_weights: the name must end in .weights.h5, .safetensors or .dcp, or with `max_shard_size` in "
            f".weights.json; got {str(filepath)!r}."
        )
    if form is not None and skip:
        raise ValueError("save_weights: `objects_to_skip` is for .weights.h5 and .weights.json files.")
    if not _may_write(path, overwrite):
        return
    if form is None:
        keras3.save_weights(model, path, skip)
    else:
        form.save(model, path)


def _path_of_shards(path: Path, size: Any) -> Path:
    if isinstance(size, bool) or not isinstance(size, (int, float)) or not size > 0:
        raise ValueError(f"save_weights: `max_shard_size` must be a number of GB above 0; got {short(size)}.")
    if not path.name.endswith((".weights.json", ".weights.h5")):
        raise ValueError(f"save_weights: with `max_shard_size` the name must end in .weights.json; got {str(path)!r}.")
    if path.suffix != ".json":
        warn(
            f"save_weights: with `max_shard_size`, {path.with_suffix('.json').name} is written instead of {path.name}."
        )
    return path.with_suffix(".json")


def load_weights(
    model: Any, filepath: Any, skip_mismatch: bool = False, *, by_name: bool = False, objects_to_skip: Any = None,
    any_name: bool = False, backend: str | None = None,
) -> None:  # fmt: skip
    """Set a model's weights from a `.weights.h5`, `.weights.json`, `.keras`, `.h5` or `.safetensors` file, or from a
    `.dcp` folder.

    All names and shapes are compared before a weight changes; what does not fit raises ValueError, or with
    `skip_mismatch=True` warns and keeps its values. `by_name` (older `.h5`) matches layers by name instead of order;
    `any_name`: a file of that kind may be called anything. `backend`: "tensorflow" or "theano", where an older file
    does not say what it was written on.
    """
    from . import bundle, h5, keras3, object_graph, safe

    path = weights_at(filepath)
    if (prefix := bundle.prefix_of(path)) is not None:
        if by_name or objects_to_skip is not None:
            raise ValueError("load_weights: TensorFlow's checkpoints take neither `by_name` nor `objects_to_skip`.")
        checked_backend(backend, "tf_keras")
        return object_graph.load_weights(model, prefix, skip_mismatch)
    known = path.suffix in (".keras", ".safetensors", _DCP, *_H5) or path.name.endswith(".weights.json")
    if not known and not any_name:
        raise ValueError(
            "load_weights: the name must end in .weights.h5, .weights.json, .keras, .h5, .safetensors or .dcp; "
            f"got {str(filepath)!r}."
        )
    safe.require_file(path)
    form = _form(path)
    plain = form is None and not path.name.endswith(".weights.json")
    older = plain and not _is_archive(path) and h5.is_by_layers(path)  # whatever the suffix says
    skip = _ids(objects_to_skip)
    if skip and (older or form is not None):
        raise ValueError(f"load_weights: `objects_to_skip` is not for {path.suffix} files.")
    if by_name and not older:
        raise ValueError("load_weights: `by_name` is for the older .h5 files; others are matched by their structure.")
    if not older:
        checked_backend(backend, "keras3")
    if form is not None:
        form.load(model, path, skip_mismatch)
    elif older:
        h5.load_weights(model, path, skip_mismatch, by_name, checked_backend(backend))
    else:
        keras3.load_weights(model, path, skip_mismatch, skip)


def weights_at(filepath: Any) -> Path:
    """The path of a file, folder or checkpoint of weights; raises FileNotFoundError where there is none."""
    from . import bundle

    path = _path(filepath, "load_weights")
    if bundle.prefix_of(path) is None and not path.exists():
        raise FileNotFoundError(f"load_weights: there is no file {str(filepath)!r}.")
    return path


def _form(path: Path) -> Any:
    """The module that saves and loads weights of this form, without layers to skip."""
    name = {_DCP: ".dcp", ".safetensors": ".checkpoint"}.get(path.suffix)
    return None if name is None else importlib.import_module(name, __name__)


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def checked_backend(backend: str | None, generation: str | None = None) -> str | None:
    """Raises ValueError for the name of another backend than an older Keras had, and for a file without one."""
    if backend is not None and backend not in origin.BACKENDS:
        raise ValueError(f'`backend` must be "tensorflow" or "theano"; got {short(backend)}.')
    if backend is not None and generation not in (None, "keras1"):
        raise ValueError("`backend` is for models of Keras 1; this one computes the same on all of them. Leave it out.")
    return backend


def _ids(objects: Any) -> set[int]:
    if objects is not None and not isinstance(objects, Iterable):
        raise TypeError(f"`objects_to_skip` must be a list of layers or other objects; got {short(objects)}.")
    return {id(item) for item in objects or ()}


def _path(filepath: Any, what: str) -> Path:
    if not isinstance(filepath, (str, os.PathLike)):
        raise TypeError(f"{what}: expected the path of a file; got {short(filepath)}.")
    return Path(filepath)


def _may_write(path: Path, overwrite: bool) -> bool:
    if overwrite or not path.exists():
        return True
    if sys.stdin is None or not sys.stdin.isatty():
        raise FileExistsError(f"{path} exists already; pass overwrite=True to replace it.")
    return input(f"{path} exists already. Replace it? [y/n] ").strip().lower() in ("y", "yes")
