"""`plot_model` and `model_to_dot`: a model's graph as a picture or as text, without Graphviz."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .diagram import Shown, diagram
from .dot import Dot, Look
from .fold import fold_blocks


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
    fold: bool = False,
    columns: int | None = 1,
) -> Dot:
    """A model's graph in Graphviz' language: `str(dot)`, `dot.write(path)`; or as a picture, `dot.create()`.

    rankdir: "TB" draws from top to bottom, "LR" from left to right, "BT" and "RL" the other way. expand_nested: show
    what is in models inside the model. subgraph: a cluster for another graph, in place of a graph. splines: how arrows
    go, "ortho" in right angles, "line" or "polyline" straight, "curved" or "spline" in curves. fold: show blocks that
    are repeated once. columns: into how many a long picture is broken; None: as many as make it about as wide as high.
    Raises ValueError for a model that is not built.
    """
    shown = Shown(show_shapes, show_dtype, show_layer_names, expand_nested, show_layer_activations, show_trainable)
    return _dot("model_to_dot", model, shown, Look(rankdir, dpi, splines, columns), fold, subgraph)


def _dot(what: str, model: Any, shown: Shown, look: Look, fold: bool, subgraph: bool = False) -> Dot:
    look.check(what)
    return Dot(diagram(model, shown, fold_blocks if fold else None), look, subgraph)


def plotted(model: Any, to_file: Any = None, show_layer_names: bool = True, columns: Any = None, **options: Any) -> Dot:
    """What `model.plot` returns: a graph, written to a file where one is given."""
    made = model_to_dot(model, show_layer_names=show_layer_names, columns=columns, **options)
    if to_file is not None:
        made.write(to_file, format=_format_of(to_file))
    return made


def plot_model(
    model: Any,
    to_file: str | Path = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    fold: bool = False,
    columns: int | None = 1,
) -> Any:
    """Draw a model's layers into a file: `.svg`, `.png`, `.pdf`, or as text `.dot` and `.mmd` (Mermaid).

    PNG, for a name without a suffix too, and PDF are drawn by matplotlib, at `dpi` dots per inch. The arguments are
    those of `model_to_dot`. Returns an IPython image of an SVG or PNG where IPython is installed, else None.
    """
    shown = Shown(show_shapes, show_dtype, show_layer_names, expand_nested, show_layer_activations, show_trainable)
    made = _dot("plot_model", model, shown, Look(rankdir, dpi, splines, columns), fold)
    path, format = Path(to_file), _format_of(to_file)
    made.write(path, format=format)
    if format not in ("svg", "png"):
        return None
    try:
        from IPython import display  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    return (display.SVG if format == "svg" else display.Image)(filename=str(path))


def _format_of(to_file: str | Path) -> str:
    format = Path(to_file).suffix[1:].lower() or "png"
    if format not in ("svg", "png", "pdf", "dot", "mmd"):
        raise ValueError(f"plot_model: the name must end in .svg, .png, .pdf, .dot or .mmd; got {str(to_file)!r}.")
    return format
