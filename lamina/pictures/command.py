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
from .said import LANGUAGES

EXAMPLES = """examples:
  lamina explain "Conv1D(8, 3, padding='causal', dilation_rate=2)" --input 32,16
  lamina explain --compare "Conv2D(8, 3)" "SeparableConv2D(8, 3)" --out x.html
  lamina explain model.keras --layer conv1 --lang zh
  lamina explain --all gallery
  lamina explain --serve"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `lamina explain` takes."""
    parser.description = (
        "Draw what a layer does and say what it costs. Nothing given is run as code.\n"
        "Exit code: 0; 2 for what cannot be read or does not fit."
    )
    parser.epilog, parser.formatter_class = EXAMPLES, argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", nargs="?", metavar="LAYER", help="a layer as it is written in Python, or a model file")
    parser.add_argument("--compare", nargs="+", metavar="LAYER", default=[], help="layers to draw beside each other")
    parser.add_argument(
        "--input",
        action="append",
        type=_shape,
        metavar="SIZES",
        help="a shape without batch: 32,16; one for each input",
    )
    parser.add_argument("--lang", choices=LANGUAGES, default="en", help="English or Chinese; default: %(default)s")
    parser.add_argument("--keras", choices=("1", "2", "tf", "3"), default="3", help="whose layer it is; default: 3")
    parser.add_argument("--layer", metavar="NAME", help="of a model file: the layer to draw")
    parser.add_argument("--out", metavar="FILE", help="write .svg, .png, .html or .txt instead of the screen")
    parser.add_argument("--all", metavar="DIR", help="write pages with the picture and the text of every kind of layer")
    serve.add_arguments(parser)


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


def _shape(text: str) -> tuple[int | None, ...]:
    """The shape in "32,16"; "?" or "None" is an unknown size."""
    try:
        sizes = [None if part.strip() in ("?", "None") else int(part) for part in text.strip("()[] ,").split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected sizes such as 32,16; got {text!r}") from None
    if any(size is not None and size < 1 for size in sizes):
        raise argparse.ArgumentTypeError(f"sizes must be above 0; got {text!r}")
    return tuple(sizes)


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
