"""The code of torch that does what a layer does, as `lamina.port` writes it."""

from __future__ import annotations

import importlib
from typing import Any

from .. import SPELLER
from ..core.dtypes import torch_dtype
from .said import sentences
from .scenes.kinds import At, together

_SAID = sentences("twins")


def twin(layer: Any, at: At) -> str:
    """Code of the input x, or of several: a, b, c, ...; or what torch lacks, and what does it instead."""
    if by_hand := _SAID.by_hand.of(layer):
        return by_hand.format(layer=layer)
    if library := _SAID.elsewhere.of(layer):
        return _SAID.not_in_torch(at.language, why=library)
    why = _SAID.lacks.of(layer)
    if why is None:
        port = importlib.import_module(SPELLER)
        try:
            return port.code_of(layer, together(layer, [*at.inputs]), torch_dtype(layer.input_dtype or "float32"))
        except port.NoForm:
            why = _SAID.otherwise.of(layer) or _SAID.nothing
    return _SAID.no_twin(at.language, why=why(at.language))
