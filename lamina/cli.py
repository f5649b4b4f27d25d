"""The `lamina` command."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from lamina import completion
from lamina._version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, 1 after an error, 2 for wrong arguments, 130 after Ctrl-C."""
    options = parser().parse_args(arguments)
    return options.run(options)


class _Help(argparse.HelpFormatter):
    """Breaks lines, but those of a text that has several; leaves room for the names of commands."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            self._action_max_length = max(self._action_max_length, *(len(name) + 4 for name in action.choices))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with a command."""

    def __init__(self, **options: Any):
        super().__init__(**options, formatter_class=_Help)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _completion(options: argparse.Namespace) -> int:
    print(completion.script(parser(), options.shell), end="")
    return 0


def _migrate(options: argparse.Namespace) -> int:
    from lamina.generations.migrate.sources import run

    try:
        return run(options.target, options.keras, options.package, options.write, options.check)
    except ModuleNotFoundError as error:
        print(f"lamina: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    if options.nproc > 1:
        from lamina.generations.processes import run_in

        return run_in(options.nproc, options.script, options.arguments, options.keras, options.how, options.device)
    from lamina.generations.run import run  # whatever the script raises is shown there

    return run(options.script, options.arguments, options.keras, options.how, options.device)


def _check(options: argparse.Namespace) -> int:
    from lamina.files import check  # which does without torch

    return check.main(options.files, options.json)


def _convert(options: argparse.Namespace) -> int:
    from lamina.generations import convert

    return convert.main(options.old, options.new, options.weights, options.backend, options.json)


def _explain(options: argparse.Namespace) -> int:
    import importlib

    from lamina.models import load_model
    from lamina.pictures import command

    home = {"1": "keras1.", "2": "keras2.", "tf": "tf_keras.", "3": ""}[options.keras]
    return command.run(options, importlib.import_module(f"lamina.{home}layers"), load_model)


def _profile(options: argparse.Namespace) -> int:
    from lamina.generations import profiling

    return profiling.main(
        options.target, options.args, options.batch, options.train, options.input, options.keras, options.out
    )


def _scale(options: argparse.Namespace) -> int:
    from lamina.models import load_model
    from lamina.pictures import scale

    return scale.main(options, load_model)


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
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return int(text)


def _shape(text: str) -> tuple[int, ...]:
    return tuple(_positive(size) for size in text.split(","))


def _sizes(text: str) -> tuple[int | None, ...]:
    """The shape in "32,16"; "?" or "None" is an unknown size."""
    try:
        sizes = [None if part.strip() in ("?", "None") else int(part) for part in text.strip("()[] ,").split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected sizes such as 32,16; got {text!r}") from None
    if any(size is not None and size < 1 for size in sizes):
        raise argparse.ArgumentTypeError(f"sizes must be above 0; got {text!r}")
    return tuple(sizes)


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65536:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, got {number}")
    return number


def _numbers(text: str) -> tuple[float, float]:
    first, _, second = text.partition(",")
    return float(first), float(second)


# The commands in the order of the help; what each says of itself and takes is in cli.json.
_COMMANDS = (_demo, _run, _check, _convert, _explain, _profile, _scale, _migrate, _completion)
_TYPES = {
    "positive": _positive,
    "shape": _shape,
    "sizes": _sizes,
    "port": _port,
    "numbers": _numbers,
    "float": float,
}


def parser() -> argparse.ArgumentParser:
    """The parser of the command and of all commands in it; each puts the function that runs it into `run`."""
    parser = _Parser(
        prog="lamina",
        description="Keras layers as fast PyTorch modules.",
        epilog="`lamina COMMAND --help` tells more, with an example.",
    )
    parser.add_argument("--version", action="version", version=f"lamina {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    words = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
    for run in _COMMANDS:
        name = run.__name__[1:]
        told = words[name]
        command = commands.add_parser(name, help=told["help"])
        command.set_defaults(run=run, **told.get("defaults", {}))
        _add(command, told["arguments"])
        if "alternatives" in told:
            _add(command.add_mutually_exclusive_group(), told["alternatives"])
        _add(command, told.get("more", {}))
        command.description = told.get("description", f"{told['help'][:1].upper()}{told['help'][1:]}.")
        command.epilog = "\n  ".join(["examples:", *told["examples"]])
        command.formatter_class = _Help
    return parser


def _add(command: Any, arguments: Mapping[str, dict[str, Any]]) -> None:
    for word, options in arguments.items():
        kind = {"type": _TYPES[options["type"]]} if "type" in options else {}
        action = command.add_argument(word, **{**options, **kind})
        action.required = action.required and action.nargs != argparse.REMAINDER


if __name__ == "__main__":
    sys.exit(main())
