"""Layers as they are written in Python, read without running any of it."""

from __future__ import annotations

import ast
from typing import Any

MOST_LETTERS = 4000  # of a layer's text
MOST_DEPTH = 8  # of layers inside layers


def read_layer(text: str, layers: Any) -> Any:
    """The layer that `text` writes, `Conv1D(8, 3)` or `Bidirectional(LSTM(4))`; `layers` holds the classes.

    Nothing is run but the constructors of layers, on literals and on layers. Raises ValueError for anything else.
    """
    if len(text) > MOST_LETTERS:
        raise ValueError(f"a layer is written in at most {MOST_LETTERS} letters; got {len(text)}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"cannot read {_cut(text)!r} as a layer: {getattr(error, 'msg', None) or error}") from None
    if isinstance(tree, (ast.Name, ast.Attribute)):  # Flatten, for Flatten()
        tree = ast.Call(tree, [], [])
    if not isinstance(tree, ast.Call):
        raise ValueError(f"expected a layer such as Conv1D(8, 3), or a model file; got {_cut(text)!r}")
    return _value(tree, layers, 0)


def _value(node: ast.expr, layers: Any, depth: int) -> Any:
    if depth > MOST_DEPTH:
        raise ValueError(f"layers stand inside layers more than {MOST_DEPTH} deep")
    if isinstance(node, ast.Call):
        return _made(node, layers, depth)
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [_value(item, layers, depth + 1) for item in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ValueError(
            f"{_cut(ast.unparse(node))!r} is neither a literal, such as 3 or 'same', nor a layer"
        ) from None


def _made(call: ast.Call, layers: Any, depth: int) -> Any:
    from ..core.layer import Layer

    *path, name = ast.unparse(call.func).split(".")
    if not all(part.isidentifier() for part in (*path, name)):
        raise ValueError(f"{_cut(ast.unparse(call))!r} is not a layer such as Conv1D(8, 3)")
    cls = None if name.startswith("_") else getattr(layers, name, None)
    if not isinstance(cls, type) or not issubclass(cls, Layer):
        raise ValueError(f"there is no layer {_cut(ast.unparse(call.func))!r}{nearest(name, layers)}")
    arguments = [_value(argument, layers, depth + 1) for argument in call.args]
    if any(keyword.arg is None for keyword in call.keywords):
        raise ValueError("arguments after ** cannot be read; write them out")
    keywords = {str(keyword.arg): _value(keyword.value, layers, depth + 1) for keyword in call.keywords}
    return cls(*arguments, **keywords)


def nearest(name: str, layers: Any) -> str:
    """The layer that was meant, maybe, as the end of a message."""
    import difflib

    known = {each.lower(): each for each in dir(layers) if not each.startswith("_")}
    found = difflib.get_close_matches(name.lower(), known, 1)
    return f"; did you mean {known[found[0]]}?" if found else ""


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
