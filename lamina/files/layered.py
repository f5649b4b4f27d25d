"""HDF5 by layers, as Keras wrote models up to 2023: what such a file holds of each layer, and who wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..translation import origin
from . import safe

TOP = "top_level_model_weights"
GRAPH = "graph"  # of Keras 0.3's models of that name
Groups = dict[str, dict[str, safe.StoredArray]]  # arrays by their names, by layers


@dataclass(frozen=True)
class Writer:
    """The Keras that wrote an HDF5 file's weights."""

    version: str | None
    backend: str | None  # None where nothing tells
    generation: str
    unnamed: bool = False  # layers have numbers for names, as before Keras 1.0


def is_layered(file: Any) -> bool:
    """Whether an open HDF5 file is of this kind. No link is followed, so that it need not have been looked through."""
    known = ("layer_names", "layer_names0", "nb_layers")
    return any(name in file.attrs for name in known) or _stands_in(file, "model_weights") or _is_graph(file)


def _is_graph(file: Any) -> bool:
    """Whether it holds the weights of a Graph, in one list."""
    return _stands_in(file, GRAPH) and "nb_params" in file[GRAPH].attrs


def _stands_in(file: Any, name: str) -> bool:
    from h5py import HardLink

    return isinstance(file.get(name, getlink=True), HardLink)


def read(holder: Any, backend: str | None = None) -> tuple[Groups, Writer]:
    """What a file, or a group of it, has of each layer, and who wrote it. `backend` is what the caller knows of it."""
    if "nb_layers" in holder.attrs:  # before layers had names
        found = {f"layer_{k}": _numbered(holder, f"layer_{k}") for k in range(safe.count(holder, "nb_layers"))}
    elif "layer_names" not in holder.attrs and _is_graph(holder):
        found = {GRAPH: _numbered(holder, GRAPH)}
    else:
        found = {name: by_names(safe.subgroup(holder, name)) for name in safe.texts(holder, "layer_names")}
        found |= {TOP: by_names(safe.subgroup(holder, TOP))} if TOP in holder else {}
    safe.check_total((array for arrays in found.values() for array in arrays.values()), holder)
    return found, _writer(holder, (name for arrays in found.values() for name in arrays), backend)


def by_names(group: Any) -> dict[str, safe.StoredArray]:
    return {name: safe.array(group, name) for name in safe.texts(group, "weight_names")}


def _numbered(holder: Any, name: str) -> dict[str, safe.StoredArray]:
    group = safe.subgroup(holder, name)
    return {f"param_{k}": safe.array(group, f"param_{k}") for k in range(safe.count(group, "nb_params"))}


def _writer(holder: Any, names: Iterable[str], backend: str | None) -> Writer:
    version, told = (
        next(
            (safe.as_text(safe.attribute(group, word)) for group in (holder, holder.file) if word in group.attrs), None
        )
        for word in ("keras_version", "backend")
    )
    if told is not None and backend not in (None, told):
        raise safe.Misfit(f"it was written on {told}, as it says itself; leave out `backend`, which says {backend}")
    backend = told or backend
    unnamed = version is None and not any(name in holder.attrs for name in ("layer_names", "layer_names0"))
    return Writer(version, backend or origin.backend_of(names), origin.generation_of_version(version or "1"), unnamed)
