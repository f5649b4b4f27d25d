"""`plot_model` and `model_to_dot`: a model's graph as a picture or as text, without Graphviz."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..core.errors import short
from .diagram import Shown, diagram
from .dot import Dot, mermaid

_DIRECTIONS = ("TB", "LR", "BT", "RL")
_SPLINES = ("ortho", "curved", "polyline", "spline", "line")


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Dot:
    """A model's graph in Graphviz' language: `str(dot)`, `dot.write(path)`; or as a picture, `dot.create()`.

    rankdir: "TB" draws from top to bottom, "LR" from left to right, "BT" and "RL" the other way. expand_nested: show
    what is in models inside the model. subgraph: a cluster for another graph, in place of a graph. splines: how arrows
    go, "ortho" in right angles, "line" or "polyline" straight, "curved" or "spline" in curves. Raises ValueError for a
    model that is not built.
    """
    _check("model_to_dot", rankdir, dpi, splines)
    shown = Shown(show_shapes, show_dtype, show_layer_names, expand_nested, show_layer_activations, show_trainable)
    return Dot(diagram(model, shown), rankdir, dpi, splines, subgraph)


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Any:
    """Draw a model's layers into a file: `.svg`, `.png`, `.pdf`, or as text `.dot` and `.mmd` (Mermaid).

    PNG, for a name without a suffix too, and PDF are drawn by matplotlib, at `dpi` dots per inch. The arguments are
    those of `model_to_dot`. Returns an IPython image of an SVG or PNG where IPython is installed, else None.
    """
    _check("plot_model", rankdir, dpi, splines)
    path = Path(to_file)
    format = path.suffix[1:].lower() or "png"
    if format not in ("svg", "png", "pdf", "dot", "mmd"):
        raise ValueError(f"plot_model: the name must end in .svg, .png, .pdf, .dot or .mmd; got {str(to_file)!r}.")
    shown = Shown(show_shapes, show_dtype, show_layer_names, expand_nested, show_layer_activations, show_trainable)
    made = diagram(model, shown)
    if format == "mmd":
        path.write_text(mermaid(made, rankdir), encoding="utf-8")
    else:
        Dot(made, rankdir, dpi, splines).write(path, format=format)
    if format not in ("svg", "png"):
        return None
    try:
        from IPython import display  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    return (display.SVG if format == "svg" else display.Image)(filename=str(path))


def _check(what: str, rankdir: Any, dpi: Any, splines: Any) -> None:
    if rankdir not in _DIRECTIONS:
        raise ValueError(f"{what}: `rankdir` must be one of {_DIRECTIONS}; got {short(rankdir)}.")
    if isinstance(dpi, bool) or not isinstance(dpi, (int, float)) or not 0 < dpi < 10_000:
        raise ValueError(f"{what}: `dpi` must be a number above 0; got {short(dpi)}.")
    if splines not in _SPLINES:
        raise ValueError(f"{what}: `splines` must be one of {_SPLINES}; got {short(splines)}.")
