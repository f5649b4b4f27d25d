"""What there is to say of a layer and a call of it, in words and numbers: shapes, sizes, costs, masks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..core.symbolic import SymbolicTensor
from ..kernels import window
from ..layers import attention
from ..layers.local import LocallyConnected
from .cost import UNKNOWN, Count, count_of
from .field import fields_after, fields_of_inputs
from .field import shown as shown_fields
from .formulas import by, formula, shapes
from .particulars import MASKS, PARTICULARS, TRAINING, fitting
from .said import Language, Said, sentences
from .scenes.kinds import At
from .spelled import GENERATIONS, spelled, why_not
from .told import filled, told
from .twins import twin

_SAID = sentences("facts")
LABELS: dict[str, Said] = vars(_SAID.labels)


@dataclass(frozen=True)
class Facts:
    """What there is to say of a call of a layer, for one sample. A text is empty where there is nothing to say."""

    language: Language
    what: str
    differs: str
    shape: Sequence[str]  # shapes of inputs and outputs, then how each size comes about
    parameters: str
    parameter_count: int
    multiply_adds: str
    multiply_add_count: Count
    memory: str
    weight_bytes: int
    output_bytes: int | None  # None where a size is unknown
    receptive_field: str
    training: str
    masks: str
    paper: str
    torch: str  # the code of its twin, or why there is none
    code: dict[str, str]  # by generation: how it writes the layer, or why it cannot

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Label and text of all that there is to say; a text may have several lines."""
        texts = {name: getattr(self, name) for name in LABELS}
        texts["shape"] = "\n".join(self.shape)
        found = [(LABELS[name](self.language), text) for name, text in texts.items() if text]
        return [*found, *((GENERATIONS[name], text) for name, text in self.code.items())]  # pyright: ignore


def facts(layer: Any, at: At) -> Facts:
    """The facts of a call of a built layer. Raises ValueError for one that is not built."""
    if not layer.built:
        raise ValueError(f"facts: {type(layer).__name__} is not built; call it, or build it for a shape.")
    language = at.language
    words = told(layer)
    count = _multiply_adds(layer, at)
    weights = sum(weight.numel() * weight.element_size() for weight in layer.weights)
    return Facts(
        language,
        _joined(language, [words.what, *fitting(PARTICULARS, layer)], layer),
        filled(words.differs, layer, language),
        [shapes(at), *formula(layer, at)],
        parameters(layer, language),
        layer.count_params(),
        _said_count(count, language),
        count,
        _memory(layer, at, weights),
        weights,
        _output_bytes(layer, at),
        _field(layer, at),
        fitting(TRAINING, layer)[0](language),
        fitting(MASKS, layer)[0](language),
        words.paper,
        twin(layer, at),
        {name: spelled(layer, name) or why_not(layer, name, language) or "" for name in GENERATIONS},
    )  # fmt: skip


def _joined(language: Language, sentences: Iterable[Said], layer: Any) -> str:
    values = _window_values(layer)
    return ("" if language == "zh" else " ").join(filled(said, layer, language, **values) for said in sentences)


def _window_values(layer: Any) -> dict[str, Any]:
    kernel = getattr(layer, "kernel_size", ())
    dilation = getattr(layer, "dilation_rate", (1,) * len(kernel))
    return {
        "taps": by(kernel), "reach": by(map(window.extent, kernel, dilation)), "apart": by(dilation),
        "strides": by(getattr(layer, "strides", None) or ()), "pool": by(getattr(layer, "pool_size", ())),
    }  # fmt: skip


# Parameters -----------------------------------------------------------------------------------------------------------


def _factors(layer: Any, weight: Any) -> str:
    """The shape of a weight as a product; of a cell's, the gates apart, of a local kernel's, places and windows."""
    sizes = [*map(str, weight.shape)]
    if isinstance(layer, LocallyConnected) and weight is layer.kernel:
        shape = tuple(layer._build_shapes[0][0])
        places = layer.spatial(layer._positions(shape))
        return f"({by(places)}) x ({by([*layer.kernel_size, layer.channels(shape)])}) x {layer.filters}"
    cell = getattr(layer, "cell", layer)
    gates = getattr(cell, "_gates", 1)
    units = getattr(cell, "units", 0)
    if gates > 1 and sizes and weight.shape[-1] == gates * units:
        sizes[-1:] = [str(gates), str(units)]
    return by(sizes) or "1"


def parameters(layer: Any, language: Language = "en") -> str:
    """The number of parameters as a sum of products: "3 x 16 x 8 (kernel) + 8 (bias) = 392"."""
    weights = layer.weights
    if not weights:
        return f"0 ({_SAID.no_weights(language)})"
    owners = {id(weight): part for part in layer.modules() for weight in getattr(part, "_own_weights", list)()}
    told = {id(weight): name for name, weight in layer.named_parameters()}
    found: dict[tuple[str, str], list[str]] = {}
    for weight in weights:
        owner = owners.get(id(weight), layer)
        key = _factors(owner, weight), getattr(weight, "name", None) or told[id(weight)]
        found.setdefault(key, []).append(f"{owner.name} " if isinstance(layer, attention._Projected) else "")
    parts = []
    for (text, name), parents in found.items():
        count = f"{len(parents)} x ({text})" if len(parents) > 1 else text
        parts.append(
            f"{count} ({', '.join(parent.strip() for parent in parents if parent)}{' ' * bool(parents[0])}{name})"
        )
    fixed = sum(math.prod(weight.shape) for weight in layer.non_trainable_weights)
    rest = f"  ({_SAID.frozen(language, n=f'{fixed:,}')})" if fixed else ""
    return f"{' + '.join(parts)} = {layer.count_params():,}{rest}"


# Costs ----------------------------------------------------------------------------------------------------------------


def _multiply_adds(layer: Any, at: At) -> Count:
    kind = layer.input_dtype or layer._compute or torch.float32
    inputs, outputs = (tuple(SymbolicTensor(shape, kind) for shape in shapes) for shapes in at[:2])
    return count_of(layer, inputs, {}, outputs)


def _said_count(count: Count, language: Language) -> str:
    if count == UNKNOWN:
        return _SAID.not_known(language)
    if count.number == 0:
        return _SAID.nothing(language)
    return _SAID.each(language, n=f"{count.number:,}") if count.each else f"{count.number:,}"


def _itemsize(layer: Any) -> int:
    kind: Any = getattr(torch, str(layer.compute_dtype), None)
    return kind.itemsize if isinstance(kind, torch.dtype) else 4


def _output_bytes(layer: Any, at: At) -> int | None:
    counts = [math.prod(size or 0 for size in shape[1:]) for shape in at.outputs]
    return None if any(None in shape[1:] for shape in at.outputs) else sum(counts) * _itemsize(layer)


def _memory(layer: Any, at: At, weights: int) -> str:
    parts = [_SAID.weight_memory(at.language, weights=_bytes(weights))] if weights else []
    outputs, size = _output_bytes(layer, at), _itemsize(layer)
    if outputs is not None:
        parts.append(
            _SAID.output_memory(at.language, outputs=_bytes(outputs), values=f"{outputs // size:,}", size=size)
        )
    return ("；" if at.language == "zh" else ", ").join(parts)


def _bytes(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def _field(layer: Any, at: At) -> str:
    last = getattr(layer, "data_format", "channels_last") != "channels_first"
    given = fields_of_inputs(SymbolicTensor(at.inputs[0]))
    seen = fields_after(layer, [given], at.inputs[0], at.outputs[0], last)
    text = shown_fields([seen])
    if text in ("?", "-"):
        return ""
    whole = "全部" if at.language == "zh" else "all"
    return _SAID.all_field(at.language) if text == "all" else _SAID.field(at.language, size=text.replace("all", whole))
