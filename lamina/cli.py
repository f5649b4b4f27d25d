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
