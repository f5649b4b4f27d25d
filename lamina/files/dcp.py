"""Weights and optimizer state as a checkpoint of torch.distributed: a folder into which each process writes its part.

Any number of processes reads it, however they share weights out. Its index is a pickle, read here without running code.
"""

from __future__ import annotations

import pickle
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import distributed
from torch.distributed import checkpoint
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter

from ..core.errors import show_shape
from . import safe, tree
from .keras3 import build_optimizer, require_built

of_torch: Any = checkpoint  # which type checkers hold for private
_INDEX = ".metadata"
_FOLDER = "torch.distributed.checkpoint"
_NAMES = {  # all that an index of tensors is made of: plain data
    f"{_FOLDER}.metadata": "BytesStorageMetadata ChunkStorageMetadata Metadata MetadataIndex StorageMeta "
    "TensorProperties TensorStorageMetadata _MEM_FORMAT_ENCODING",
    f"{_FOLDER}.filesystem": "_StorageInfo _StoragePrefix",
    "torch": "Size",
    "torch.serialization": "_get_layout",
    "pathlib": "Path PosixPath WindowsPath PurePosixPath PureWindowsPath",
    "pathlib._local": "Path PosixPath WindowsPath PurePosixPath PureWindowsPath",
    "collections": "OrderedDict",
}


_Unpickler: Any = pickle._Unpickler  # in Python, whose steps can be told apart


class _Plain(_Unpickler):
    """Reads pickles that are made of data alone, and alter no class."""

    dispatch: ClassVar = {**_Unpickler.dispatch}

    def load_build(self) -> None:
        if isinstance(self.stack[-2], type):
            raise ValueError("its index alters a class, which no checkpoint of tensors needs")
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build

    def find_class(self, module: str, name: str) -> Any:
        kind = getattr(torch, name, None) if module == "torch" else None
        if isinstance(kind, (torch.dtype, torch.layout)) or name in _NAMES.get(module, "").split():
            return super().find_class(module, name)
        raise ValueError(f"its index names {module}.{name}, which no checkpoint of tensors needs")


class _Reader(FileSystemReader):
    def read_metadata(self, *args: Any, **kwargs: Any) -> Any:
        folder = Path(self.path)
        safe.require_file(folder / _INDEX)
        with (folder / _INDEX).open("rb") as file:
            try:
                found = _Plain(file).load()
            except pickle.UnpicklingError as error:
                raise ValueError(f"its index is damaged: {error}") from None
        stored = getattr(found, "storage_data", None)
        if not isinstance(stored, dict) or not isinstance(getattr(found, "state_dict_metadata", None), dict):
            raise ValueError("its index tells no tensors")
        for info in stored.values():
            if Path(info.relative_path).name != info.relative_path or getattr(info, "transform_descriptors", None):
                raise ValueError(f"its index names the file {info.relative_path!r}")
            safe.require_file(folder / info.relative_path)
        found.storage_meta = found.storage_meta or of_torch.metadata.StorageMeta()
        return found


class _Trial(of_torch.DefaultLoadPlanner):
    """Reads all that there is to read, and keeps nothing of it."""

    def resolve_tensor(self, read_item: Any) -> torch.Tensor:
        return super().resolve_tensor(read_item).to("meta")


def save(model: Any, path: Path) -> None:
    """Write the folder; all processes together. It takes the place of an older one once it is complete."""
    require_built(model, "save its weights")
    build_optimizer(model)
    fresh, old = (path.with_name(f".{path.name}.{word}") for word in ("new", "old"))
    first = not distributed.is_initialized() or distributed.get_rank() == 0
    if first:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)
    _wait()
    with _quietly():
        of_torch.save(_state(model), storage_writer=FileSystemWriter(fresh))
    if first:
        if path.exists():
            path.replace(old)
        fresh.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    _wait()


def load(model: Any, path: Path, skip_mismatch: bool = False) -> None:
    """Set weights, and the optimizer's state where both have one; all processes together. Raises ValueError, before any
    change, where names or shapes differ, or a part cannot be read."""
    require_built(model, "load weights")
    build_optimizer(model)
    reader = _Reader(path)
    with safe.reading(path):
        stored = reader.read_metadata().state_dict_metadata
        own = _state(model)
        if not all(any(name.startswith("optimizer/") for name in each) for each in (stored, own)):
            stored, own = (
                {name: each[name] for name in each if not name.startswith("optimizer/")} for each in (stored, own)
            )
        problems = dict.fromkeys(stored.keys() - own.keys(), "stored, but not in the model")
        problems |= dict.fromkeys(own.keys() - stored.keys(), "not in the checkpoint")
        for name in own.keys() & stored.keys():
            if not isinstance(stored[name], of_torch.metadata.TensorStorageMetadata):
                problems[name] = "a pickled object there, which is never read"  # torch would run what it holds
            elif tuple(stored[name].size) != tuple(own[name].shape):
                sizes = own[name].shape, stored[name].size
                problems[name] = "of shape {} here and {} there".format(*map(show_shape, sizes))
        safe.tell_misfits(sorted(f"{name}: {problem}" for name, problem in problems.items()), skip_mismatch)
        fitting = {name: tensor for name, tensor in own.items() if name not in problems}
        try:
            with _quietly():
                of_torch.load(fitting, storage_reader=reader, planner=_Trial())
                of_torch.load(fitting, storage_reader=reader)
        except of_torch.CheckpointException as error:  # no Exception
            raise ValueError(
                f"a part of it cannot be read: {safe.reason(next(iter(error.failures.values()))[0])}"
            ) from error


def _state(model: Any) -> dict[str, torch.Tensor]:
    """The tensors themselves, each once, by the paths that `.weights.h5` has."""
    found: dict[int, tuple[str, torch.Tensor]] = {}
    for path, item in tree.saveables(model):
        for place, tensor in enumerate(tree.tensors_of(item)):
            found.setdefault(id(tensor), (f"{path}/vars/{place}".lstrip("/"), tensor.detach()))
    return dict(found.values())


@contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")  # a single process is nothing to warn of
        yield


def _wait() -> None:
    if distributed.is_initialized():
        distributed.barrier()
