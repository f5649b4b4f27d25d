"""The command `lamina explain`: reads what is asked for, without running it, and writes the answer."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .page import serve
from .reading import nearest, read_layer


def run(options: argparse.Namespace, layers: Any, load: Callable[[str], Any]) -> int:
    """Does what the arguments ask for, and returns the exit code: `layers` holds the classes, `load` reads a model."""
    try:
        if serve.wanted(options):
            return serve.run(options, options.lang)
        if options.all is not None:
            from .gallery import write

            for path in write(options.all):
                print(path)
            return 0
        found = _explained(options, layers, load)
        if options.out is None:
            _show(found)
        else:
            found.save(options.out)
    except (ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError, NotImplementedError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        print(f"lamina explain: {said[0]}", file=sys.stderr)
        return 2
    return 0


def _explained(options: argparse.Namespace, layers: Any, load: Callable[[str], Any]) -> Any:
    from .explain import compare, explain

    texts = [*([options.what] if options.what else []), *options.compare]
    if not texts:
        raise ValueError("say which layer: lamina explain \"Conv1D(8, 3, padding='causal')\" --input 32,16")
    shape = options.input[0] if options.input and len(options.input) == 1 else options.input
    if options.compare:
        if options.layer is not None:
            raise ValueError("--layer is for one model file")
        return compare(
            *(read_layer(text, layers) for text in texts), input_shape=shape, language=options.lang, titles=texts
        )
    if "(" not in texts[0] and Path(texts[0]).exists():
        return explain(load(texts[0]), shape, options.lang, layer_name=options.layer)
    if options.layer is not None:
        raise ValueError(f"--layer is for a model file; there is no file {texts[0]!r}")
    name = texts[0].split(".")[-1]
    if "(" not in texts[0] and not hasattr(layers, name):
        raise ValueError(f"there is neither a file nor a layer {texts[0]!r}{nearest(name, layers)}")
    return explain(read_layer(texts[0], layers), shape, options.lang, title=texts[0])


def _show(found: Any) -> None:
    width = min(max(shutil.get_terminal_size((80, 24)).columns, 40), 120)
    if not sys.stdout.isatty():
        print(found.text(width), end="")
        return
    from rich.console import Console

    from .scene_text import coloured

    console = Console(highlight=False, width=width)
    for block in found.blocks(width):
        console.print(block if isinstance(block, str) else coloured(*block), markup=False, soft_wrap=True)
