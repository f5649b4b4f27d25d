"""The `lamina` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lamina._version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, 1 after an error, 2 for wrong arguments, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    return options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lamina", description="Keras layers as fast PyTorch modules.")
    parser.add_argument("--version", action="version", version=f"lamina {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)

    demo = commands.add_parser("demo", help="train, save and load a small network on real digits and draw the result")
    demo.add_argument("--epochs", type=_positive, default=12, help="passes over the data; default: %(default)s")
    demo.add_argument("--out", default="demo-output", help="folder for what it writes; default: %(default)s")
    demo.add_argument("--quiet", action="store_true", help="print the results only")
    demo.set_defaults(run=_demo)

    run = commands.add_parser("run", help="run a script or notebook written for any Keras")
    generations = ("1", "2", "tf", "3")
    run.add_argument("--keras", choices=generations, help="its generation; default: told from the script's source")
    how = run.add_mutually_exclusive_group()
    how.add_argument("-m", dest="how", action="store_const", const="module", help="what follows is a module's name")
    how.add_argument("-c", dest="how", action="store_const", const="command", help="what follows is Python itself")
    run.add_argument("script", help="a Python file, a notebook, a folder with __main__.py, or - for standard input")
    run.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script itself is given")
    run.set_defaults(run=_run, how="script")

    check = commands.add_parser(
        "check",
        help="tell what a model file is, who wrote it and what reading it takes",
        description="Tell what files are: who wrote them, layers, what they need, whether code is in them. Nothing in "
        "a file is run, and no weights are loaded. Exit code: 0 if Lamina reads them all as they are, 1 if not, 2 for "
        "wrong arguments.",
    )
    check.add_argument("files", nargs="+", metavar="FILE", help="a file, a folder, or the name of a checkpoint")
    check.add_argument("--json", action="store_true", help="print what was found as JSON")
    check.set_defaults(run=_check)

    convert = commands.add_parser(
        "convert",
        help="write a model file of any Keras as one of today's, and compare their predictions",
        description="Write the model in OLD, a file of any Keras, as NEW, of today's; say each conversion and what "
        "could not be kept; compare the predictions of both on random input. Exit code: 0; 1, with no file left, where "
        "OLD is not read or NEW would predict otherwise; 2 for wrong arguments.",
    )
    convert.add_argument("old", metavar="OLD", help=".h5, .keras, JSON, YAML, ... of Keras 1, 2, tf.keras or 3")
    convert.add_argument("new", metavar="NEW", help="a .keras, .h5, .weights.h5, .safetensors, .pt2 or .onnx file")
    convert.add_argument("--weights", metavar="FILE", help="the weights, where OLD is an architecture alone")
    convert.add_argument("--json", action="store_true", help="print what was done as JSON")
    convert.set_defaults(run=_convert)

    moved = commands.add_parser("migrate", help="rewrite source of Keras 1, 2 or tf.keras for Keras 3")
    moved.add_argument("target", help="a Python file, a notebook, or a folder with both")
    moved.add_argument("--keras", choices=("1", "2", "tf"), help="its generation; default: told from the source")
    moved.add_argument("--package", choices=("keras", "lamina"), default="keras", help="what is imported as Keras")
    moved.add_argument("--write", action="store_true", help="change the files; without it, only show the changes")
    moved.add_argument("--check", action="store_true", help="exit with 1 where something would change")
    moved.set_defaults(run=_migrate)
    return parser


def _migrate(options: argparse.Namespace) -> int:
    from lamina.generations.migrate.sources import run

    try:
        return run(options.target, options.keras, options.package, options.write, options.check)
    except ModuleNotFoundError as error:
        print(f"lamina: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    from lamina.generations.run import run  # whatever the script raises is shown there

    return run(options.script, options.arguments, options.keras, options.how)


def _check(options: argparse.Namespace) -> int:
    from lamina.files import check  # which does without torch

    return check.main(options.files, options.json)


def _convert(options: argparse.Namespace) -> int:
    from lamina.generations import convert

    return convert.main(options.old, options.new, options.weights, options.json)


def _demo(options: argparse.Namespace) -> int:
    from lamina import demo

    try:
        demo.run(options.epochs, options.out, quiet=options.quiet)
    except KeyboardInterrupt:
        print("\nlamina: stopped by Ctrl-C", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"lamina: {error}", file=sys.stderr)
        return 1
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
