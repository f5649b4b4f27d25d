"""A file of any Keras as one of today's: read, put in today's classes, written, read back and compared."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from .. import files, models
from ..core import dtypes
from ..core.symbolic import SymbolicTensor
from ..files import kinds
from ..files.check import Checked, check
from ..layers import Embedding, Masking
from ..models.functional import first_reader
from .modernize import Changes, modernized

SAMPLES = 4
SIZES = (8, 16, 32, 64, 128, 256)  # tried for axes of any length
WHOLE, WEIGHTS, PROGRAMS = (".keras", ".h5", ".hdf5"), (".weights.h5", ".safetensors"), (".pt2", ".onnx")
RTOL, ATOL = 1e-4, 1e-5


@dataclass
class Conversion:
    """What `convert` did. `difference` is the largest between predictions; None where nothing could be compared."""

    source: Checked
    target: str
    changes: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)  # what only Lamina reads
    lost: list[str] = field(default_factory=list)
    difference: float | None = None
    compared: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """The report."""
        found = [self.source.line().partition(" ")[2].strip(), f"-> {self.target}"]
        found += [f"  {line}" for line in self.changes]
        for label, lines in (("only Lamina reads", self.own), ("not kept", self.lost)):
            found += [f"  {label}: {line}" for line in lines]
        return [*found, f"  {self.compared}"]


def convert(
    old: Any, new: Any, weights: Any = None, custom_objects: Mapping[str, Any] | None = None, **options: Any
) -> Conversion:
    """Write the model in a file of any Keras as one of today's, and compare their predictions.

    new: its suffix says the form: `.keras`, `.h5`, weights as `.weights.h5` or `.safetensors`, programs as `.pt2` or
    `.onnx`. weights: a file of those of `old` where that is an architecture in JSON or YAML. Options are those of
    `load_model`. Raises ValueError, and leaves no file, for what cannot be read or predicts otherwise afterwards.
    """
    target = Path(new)
    suffix = next((one for one in (*WEIGHTS, *WHOLE, *PROGRAMS) if target.name.endswith(one)), None)
    if suffix is None:
        known = ", ".join((*WHOLE, *WEIGHTS, *PROGRAMS))
        raise ValueError(f"convert: the new file's name must end in one of {known}; got {str(new)!r}.")
    if target.exists() and target.samefile(old):
        raise ValueError(f"convert: {str(new)!r} is the old file itself; give the new one another name.")
    if target.is_dir():
        raise ValueError(f"convert: {str(new)!r} is a folder; give the new file another name.")
    told = Conversion(check(old), str(new))
    if told.source.problem:
        raise ValueError(f"{old} ({told.source.what}): {told.source.problem}")
    if (told.source.call or "").startswith("model."):
        raise ValueError(f"{old}: weights alone. Convert their model's architecture, and name these by `weights`.")
    model = _read(Path(old), weights, custom_objects, options, told)
    tried = _predicted(model)
    now, changes = _modern(model, tried)
    told.changes, told.own, told.lost = _said(changes), changes.own, [*dict.fromkeys(told.lost + changes.lost)]
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".lamina-", dir=target.parent))
    try:
        fresh = folder / target.name
        _write(now, fresh, suffix)
        _compare(tried, _read_back(now, fresh, suffix, custom_objects), told)
        if suffix in WHOLE and now is not model and tried.inputs is not None:
            told.lost += _loss_of_now(model, now, tried)
        fresh.replace(target)
    finally:
        shutil.rmtree(folder)
    return told


def _read(path: Path, weights: Any, custom_objects: Any, options: dict[str, Any], told: Conversion) -> Any:
    kind = kinds.kind_of(path)
    if told.source.generation == "keras1" and weights is not None:
        options.setdefault("backend", check(weights).backend)  # of the architecture as well, which does not say it
    if kind in (kinds.JSON, kinds.YAML):
        if weights is None:
            raise ValueError(f"{path}: an architecture without weights; name their file by `weights`.")
        reads = models.model_from_json if kind is kinds.JSON else models.model_from_yaml
        model = reads(path.read_text(encoding="utf-8-sig"), custom_objects, **options)
    else:
        try:
            model = files.load_model(path, custom_objects, **options)
        except ValueError as error:
            if "compile=False" not in str(error):
                raise
            model = files.load_model(path, custom_objects, **{**options, "compile": False})
            told.lost.append(f"how it was compiled: {str(error).removeprefix(f'{path}: ')}")
    if weights is not None:
        files.load_weights(model, weights, any_name=True, backend=options.get("backend"))
    return model


def _modern(model: Any, tried: Tried) -> tuple[Any, Changes]:
    """The model in today's classes; of those that treat masks otherwise, only where that makes a difference."""
    if not hasattr(model, "_dialect"):
        return model, Changes()
    if any(_marks(first_reader(model._graph, tensor)) for tensor in tried.tensors):
        now, changes = modernized(model, masks=False)
        if _differ(tried, now)[1]:
            return now, changes
    return modernized(model)


def _write(model: Any, path: Path, suffix: str) -> None:
    if suffix in WHOLE:
        model.save(path)
    elif suffix in WEIGHTS:
        model.save_weights(path)
    else:
        model.export(path, "onnx" if suffix == ".onnx" else "torch", verbose=False)


def _read_back(model: Any, path: Path, suffix: str, custom_objects: Any) -> Any:
    """A function of inputs; None where nothing here runs the file."""
    if suffix in WHOLE:
        return files.load_model(path, custom_objects, compile=False)
    if suffix in WEIGHTS:
        copy = models.clone_model(model)
        copy.load_weights(path)
        return copy
    return None if suffix == ".onnx" else torch.export.load(path).module()


@dataclass
class Tried:
    """Random inputs for a model, and what it gives for them; nothing where none are found that it takes."""

    tensors: list[SymbolicTensor]
    inputs: Any = None
    outputs: list[torch.Tensor] = field(default_factory=list)


def _predicted(model: Any) -> Tried:
    tensors = getattr(model, "inputs", None) or []
    if not all(isinstance(tensor, SymbolicTensor) for tensor in tensors):
        return Tried([])
    for size in SIZES if tensors else ():
        inputs = [_drawn(model, tensor, size) for tensor in tensors]
        given = inputs[0] if len(inputs) == 1 else inputs
        try:
            with torch.no_grad():
                return Tried(tensors, given, pytree.tree_leaves(model(given)))
        except (RuntimeError, ValueError, IndexError):
            if all(None not in tensor.shape[1:] for tensor in tensors):
                raise
    return Tried(tensors)


def _compare(tried: Tried, new: Any, told: Conversion) -> None:
    """Raises ValueError where predictions differ."""
    if new is None:
        told.compared = "not compared: nothing here runs ONNX"
    elif tried.inputs is None:
        told.compared = "not compared: found no input that the model takes"
    else:
        told.difference, same = _differ(tried, new)
        if not same:
            raise ValueError(f"{told.target}: not written: its predictions would differ by {told.difference:.3g}.")
        told.compared = f"compared on random input: the largest difference of predictions is {told.difference:.2g}"


def _loss_of_now(old: Any, new: Any, tried: Tried) -> list[str]:
    """In words, where the loss of a batch is another than before."""
    if getattr(new, "loss", None) is None or any(getattr(layer, "stateful", False) for layer in old._flat_layers()):
        return []
    for classes in itertools.islice(itertools.product((False, True), repeat=len(tried.outputs)), 8):
        targets = [_target(one, as_class) for one, as_class in zip(tried.outputs, classes, strict=True)]
        given = targets[0] if len(targets) == 1 else targets
        try:
            before, now = (float(np.ravel(one.evaluate(tried.inputs, given, verbose=0))[0]) for one in (old, new))
        except (RuntimeError, ValueError, IndexError, TypeError):
            continue
        if np.isclose(now, before, RTOL, ATOL, equal_nan=True):
            return []
        terms, left = (sum(float(term.detach()) for term in one.losses) for one in (old, new))
        why = [] if np.isclose(before - terms, now - left, RTOL, ATOL) else ["Keras 3 computes it otherwise"]
        if not np.isclose(left, terms, RTOL, ATOL):
            why.append("it leaves out penalties of frozen layers, and divides those of activities by the batch's size")
        return [f"the loss, of a random batch {before:.5g} before and {now:.5g} now: {'; '.join(why)}"]
    return []


def _target(output: torch.Tensor, as_class: bool) -> np.ndarray:
    """Random targets for an output: the number of a class, or zeros and ones in its shape."""
    generator = np.random.default_rng(1)
    if as_class:
        return generator.integers(0, max(output.shape[-1], 1), (*output.shape[:-1], 1))
    return generator.integers(0, 2, tuple(output.shape)).astype("float32")


def _differ(tried: Tried, new: Any) -> tuple[float, bool]:
    """The largest difference of predictions, and whether all are the same to rounding."""
    with torch.no_grad():
        after = pytree.tree_leaves(new(tried.inputs))
    pairs = [(a.float().numpy(), b.float().numpy()) for a, b in zip(tried.outputs, after, strict=True)]
    if any(a.shape != b.shape for a, b in pairs):
        return float("inf"), False
    largest = max(float(np.nanmax(np.abs(a - b), initial=0.0)) for a, b in pairs)
    return largest, all(np.allclose(b, a, rtol=RTOL, atol=ATOL, equal_nan=True) for a, b in pairs)


def _drawn(model: Any, tensor: Any, size: int) -> Any:
    """Random values for an input; of sequences some end early, as a mask tells."""
    generator = np.random.default_rng(0)
    shape = tuple(
        SAMPLES if n is None and not axis else size if n is None else n for axis, n in enumerate(tensor.shape)
    )
    if tensor.torch_dtype == dtypes.TEXT:
        return generator.choice(["a", "word", "of", "text"], shape).astype(object)
    reader = first_reader(model._graph, tensor)
    if isinstance(reader, Embedding):
        values = generator.integers(0, reader.input_dim, shape)
    elif tensor.torch_dtype.is_floating_point:
        values = generator.standard_normal(shape)
    else:
        values = generator.integers(0, 2, shape)
    if _marks(reader) and len(shape) > 1 and shape[1] > 1:
        values[::2, shape[1] // 2 :] = getattr(reader, "mask_value", 0)
    return torch.as_tensor(values).to(tensor.torch_dtype)


def _marks(layer: Any) -> bool:
    """Whether a layer tells by a value which steps are none."""
    return isinstance(layer, Masking) or (isinstance(layer, Embedding) and layer.mask_zero)


def _said(changes: Changes) -> list[str]:
    """The changes in words."""
    found, same = [], []
    for (before, now), count in changes.classes.items():
        words = ", ".join(f"{old} -> {new}" for old, new in changes.words.get(before, {}).items())
        layers = f" x{count}" if count > 1 else ""
        if before == now and not words:
            same.append(f"{before}{layers}")
        else:
            found.append(f"{before} -> {now}{layers}{': ' if words else ''}{words}")
    if same:
        found.append(f"as they are: {', '.join(same)}")
    if changes.explicit:
        found.append(f"made explicit: {', '.join(changes.explicit)}")
    found += [f"weights of {count} layer{'s' * (count > 1)}: {text}" for text, count in changes.layouts.items()]
    return found + changes.rewritten


def main(old: str, new: str, weights: str | None = None, backend: str | None = None, as_json: bool = False) -> int:
    """Convert, and print the report. The exit code: 1 after an error."""
    options: dict[str, Any] = {"backend": backend} if backend else {}
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            told = convert(old, new, weights, **options)
    except (ValueError, TypeError, OSError, ImportError) as error:
        plain = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        print(f"lamina: {_as_options(plain)}", file=sys.stderr)
        return 1
    told.lost += dict.fromkeys(_as_options(str(item.message)) for item in warned)
    if as_json:
        print(json.dumps(told.as_dict(), indent=2))
    else:
        print("\n".join(told.lines()))
    return 0


def _as_options(text: str) -> str:
    """A message with the command's options in place of arguments."""
    return re.sub(r'\bbackend="(\w+)"', r"--backend \1", re.sub("`(weights|backend)`", r"--\1", text))
