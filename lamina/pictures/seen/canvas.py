"""Figures, and arrays made ready for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ...core.errors import needing, printable
from ..drawing import installed_fonts, saved

Target = str | Path | None  # of a figure that is to be saved
_CHANNELS = (1, 3, 4)  # of pictures as they can be shown
SIDE = 1.35  # inches, of a small panel
DOTS = 150  # an inch, in files
BLUE, GREEN, RED, GREY = "#3b6ea8", "#2e8b57", "#c0392b", "#9aa5b1"


def figure(what: str, width: float, height: float) -> Any:
    """An empty figure of that many inches. Raises ImportError, with what to do, where there is no matplotlib."""
    with needing(f"{what}: figures are drawn by matplotlib: pip install matplotlib."):
        from matplotlib.figure import Figure
    return Figure(figsize=(width, height), layout="constrained")


def finished(what: str, made: Any, path: Target = None) -> Any:
    """The figure, its texts in fonts that have their letters and with no sign of theirs taken for a formula."""
    from matplotlib.text import Text

    fonts = installed_fonts()
    for text in made.findobj(Text):
        text.set_fontfamily(fonts)
        text.set_parse_math(False)
    if path is not None:
        saved(made, Path(path), f"{what}: no installed font has all letters of the names.", dpi=DOTS)
    return made


def array_of(x: Any) -> np.ndarray:
    """A tensor's values, or what an array is made of."""
    return x.detach().float().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)


def integer_ticks(*axes: Any) -> None:
    """Ticks of axes at whole numbers alone."""
    for axis in axes:
        axis.get_major_locator().set_params(integer=True)


def bare(axes: Any, title: str = "", size: float = 8, colour: str = "black") -> Any:
    """Panels without ticks, with a small title."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_linewidth(0.4)
        spine.set_color(GREY)
    if title:
        axes.set_title(title, fontsize=size, color=colour, pad=2)
    return axes


def tile(axes: Any, values: np.ndarray, title: str = "", **options: Any) -> Any:
    """A picture in a panel of its own; each pixel is a square with sharp edges."""
    options = {"cmap": "gray", "interpolation": "nearest", **options}
    image = axes.imshow(values, **options)
    bare(axes, title)
    return image


def picture_of(x: np.ndarray, last: bool | None = None) -> np.ndarray | None:
    """One sample as a picture (height, width) or (height, width, 3) with values from 0 to 1; None where it is none.

    last: whether the channels stand last; None: told by their number, 1, 3 or 4.
    """
    if x.ndim == 2:
        x = x[..., None]
        last = True
    if x.ndim != 3 or min(x.shape) < 1:
        return None
    x = x if picture_is_last(x.shape, last) else np.moveaxis(x, 0, -1)
    x = np.nan_to_num(x.astype(np.float64), posinf=0.0, neginf=0.0)
    if x.shape[-1] not in _CHANNELS:
        x = x.mean(-1, keepdims=True)
    x = scaled(x)
    return x[..., 0] if x.shape[-1] == 1 else x[..., :3]


def picture_is_last(shape: Sequence[int], last: bool | None = None) -> bool:
    """Whether the channels of a picture of three axes stand last; `last` where their number does not tell."""
    if (shape[-1] in _CHANNELS) != (shape[0] in _CHANNELS):
        return shape[-1] in _CHANNELS
    return last is not False


def scaled(x: np.ndarray) -> np.ndarray:
    """Values from 0 to 1: as they are, or of bytes, or between the least and the largest."""
    low, high = float(x.min()), float(x.max())
    if low >= 0 and high <= 1:
        return x
    if low >= 0 and 1 < high <= 255 and high > 2:
        return x / 255
    return (x - low) / (high - low) if high > low else np.zeros_like(x)


def shown(name: object, limit: int = 24) -> str:
    """A name as it may stand in a figure."""
    text = printable(str(name))
    return text if len(text) <= limit else text[: limit - 1] + "…"
