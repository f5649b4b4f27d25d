"""The `lamina` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from lamina import completion
from lamina._version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, 1 after an error, 2 for wrong arguments, 130 after Ctrl-C."""
    options = parser().parse_args(arguments)
    return options.run(options)


# Shown under the help of each command.
EXAMPLES = {
    "demo": "lamina demo --epochs 5 --out pictures",
    "run": "lamina run old_script.py --its own --arguments\n  lamina run --keras 1 lesson.ipynb\n"
    "  lamina run --nproc 2 train.py",
    "check": "lamina check old.h5 saved_model/",
    "convert": "lamina convert old.h5 new.keras\n  lamina convert model.json new.h5 --weights weights.h5",
    "migrate": "lamina migrate script.py\n  lamina migrate project/ --write",
    "profile": "lamina profile model.h5 --batch 8 --train\n  lamina profile script.py --out times.html",
    "scale": "lamina scale model.keras --gpus 8,64,1024 --batch 32",
    "completion": "source <(lamina completion bash)\n  lamina completion fish > ~/.config/fish/completions/lamina.fish",
}


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


def parser() -> argparse.ArgumentParser:
    """The parser of the command and of all commands in it; each puts the function that runs it into `run`."""
    parser = _Parser(
        prog="lamina",
        description="Keras layers as fast PyTorch modules.",
        epilog="`lamina COMMAND --help` tells more, with an example.",
    )
    parser.add_argument("--version", action="version", version=f"lamina {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    demo = commands.add_parser("demo", help="train a small network on real digits and draw the result")
    demo.add_argument("--epochs", type=_positive, default=12, help="passes over the data; default: %(default)s")
    demo.add_argument("--out", default="demo-output", help="folder for what it writes; default: %(default)s")
    demo.add_argument("--quiet", action="store_true", help="print the results only")
    demo.set_defaults(run=_demo)

    run = commands.add_parser("run", help="run a script or notebook written for any Keras")
    generations = ("1", "2", "2.2", "tf", "3")
    run.add_argument("--keras", choices=generations, help="its generation; default: told from the script's source")
    how = run.add_mutually_exclusive_group()
    how.add_argument("-m", dest="how", action="store_const", const="module", help="what follows is a module's name")
    how.add_argument("-c", dest="how", action="store_const", const="command", help="what follows is Python itself")
    run.add_argument("script", help="a Python file, a notebook, a folder with __main__.py, or - for standard input")
    run.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script itself is given").required = False
    run.add_argument(
        "--nproc", type=_positive, default=1, metavar="N", help="train in N processes, each on its share of a batch"
    )
    run.set_defaults(run=_run, how="script")

    check = commands.add_parser(
        "check",
        help="tell what a model file is and what reading it takes",
        description="Tell what files are: who wrote them, layers, what they need, whether code is in them. Nothing in "
        "a file is run, and no weights are loaded. Exit code: 0 if Lamina reads them all as they are, 1 if not, 2 for "
        "wrong arguments.",
    )
    check.add_argument("files", nargs="+", metavar="FILE", help="a file, a folder, or the name of a checkpoint")
    check.add_argument("--json", action="store_true", help="print what was found as JSON")
    check.set_defaults(run=_check)

    convert = commands.add_parser(
        "convert",
        help="write a model file of any Keras as one of today's",
        description="Write the model in OLD, a file of any Keras, as NEW, of today's; say each conversion and what "
        "could not be kept; compare the predictions of both on random input. Exit code: 0; 1, with no file left, where "
        "OLD is not read or NEW would predict otherwise; 2 for wrong arguments.",
    )
    convert.add_argument("old", metavar="OLD", help=".h5, .keras, JSON, YAML, ... of Keras 1, 2, tf.keras or 3")
    convert.add_argument("new", metavar="NEW", help="a .keras, .h5, .weights.h5, .safetensors, .pt2 or .onnx file")
    convert.add_argument("--weights", metavar="FILE", help="the weights, where OLD is an architecture alone")
    convert.add_argument("--json", action="store_true", help="print what was done as JSON")
    convert.set_defaults(run=_convert)

    from lamina.pictures import command  # which needs neither torch nor layers before it is run

    explain = commands.add_parser("explain", help="draw what a layer does, and say what it costs")
    command.add_arguments(explain)
    explain.set_defaults(run=_explain)

    timed = commands.add_parser(
        "profile",
        help="measure how long each layer of a model takes",
        description="Measure how long each layer takes for a batch of random numbers: of the model in a file of any "
        "Keras, or of every model that a script makes, when it ends. Exit code: 0; 1 where something could not be read "
        "or measured, or the script's own; 2 for wrong arguments.",
    )
    timed.add_argument("target", help="a model file, a Python script or a notebook")
    timed.add_argument("--batch", type=_positive, default=32, metavar="N", help="samples a batch; default: %(default)s")
    timed.add_argument("--train", action="store_true", help="in training mode, and also the way back")
    timed.add_argument("--input", type=_shape, metavar="SIZES", help="of a sample, such as 224,224,3, where left open")
    timed.add_argument("--keras", choices=generations, help="of a script; default: told from its source")
    timed.add_argument("--out", metavar="FILE", help="write .json, .html or .txt instead of printing")
    timed.add_argument(
        "--args", nargs=argparse.REMAINDER, default=[], help="what the script itself is given; comes last"
    )
    timed.set_defaults(run=_profile)

    scaled = commands.add_parser(
        "scale",
        help="tell what training a model takes on many GPUs",
        description="Tell, by arithmetic alone, what each of several ways to train a model on many GPUs takes: bytes "
        "that each GPU sends in a step, memory, and the samples on each from which on computing takes longer than "
        "sending. Exit code: 0; 1 for a file that is not read; 2 for wrong arguments.",
    )
    scaled.add_argument("file", metavar="FILE", help="a model file of any Keras")
    speeds = "GB/s that a GPU sends inside a machine and between machines; default: 450,50"
    for flag, kind, default, metavar, told in (
        ("--gpus", _shape, (8, 64, 1024), "N,N", "how many; default: 8,64,1024"),
        ("--batch", _positive, 32, "N", "samples on each; default: %(default)s"),
        ("--node", _positive, 8, "N", "GPUs in a machine; default: %(default)s"),
        ("--bandwidth", _numbers, (450.0, 50.0), "A,B", speeds),
        ("--flops", float, 400.0, "X", "TFLOP/s it reaches; default: %(default)s"),
        ("--latency", float, 10.0, "US", "of a message; default: %(default)s us"),
        ("--states", float, None, "X", "of the optimizer; default: the file's, or 2 as Adam's"),
    ):
        scaled.add_argument(flag, type=kind, default=default, metavar=metavar, help=told)
    scaled.set_defaults(run=_scale)

    moved = commands.add_parser("migrate", help="rewrite source of Keras 1, 2 or tf.keras for Keras 3")
    moved.add_argument("target", help="a Python file, a notebook, or a folder with both")
    moved.add_argument("--keras", choices=("1", "2", "tf"), help="its generation; default: told from the source")
    moved.add_argument("--package", choices=("keras", "lamina"), default="keras", help="what is imported as Keras")
    moved.add_argument("--write", action="store_true", help="change the files; without it, only show the changes")
    moved.add_argument("--check", action="store_true", help="exit with 1 where something would change")
    moved.set_defaults(run=_migrate)

    completes = commands.add_parser("completion", help="print what lets your shell complete these commands")
    completes.add_argument("shell", choices=completion.SHELLS, help="your shell")
    completes.set_defaults(run=_completion)

    for name, each in commands.choices.items():
        each.description = each.description or f"{_sentence(commands, name)}."
        each.formatter_class = _Help
        each.epilog = each.epilog or f"examples:\n  {EXAMPLES[name]}"
    return parser


def _sentence(commands: Any, name: str) -> str:
    told = next(action.help for action in commands._choices_actions if action.dest == name)
    return told[:1].upper() + told[1:]


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

        return run_in(options.nproc, options.script, options.arguments, options.keras, options.how)
    from lamina.generations.run import run  # whatever the script raises is shown there

    return run(options.script, options.arguments, options.keras, options.how)


def _check(options: argparse.Namespace) -> int:
    from lamina.files import check  # which does without torch

    return check.main(options.files, options.json)


def _convert(options: argparse.Namespace) -> int:
    from lamina.generations import convert

    return convert.main(options.old, options.new, options.weights, options.json)


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


def _numbers(text: str) -> tuple[float, float]:
    first, _, second = text.partition(",")
    return float(first), float(second)


if __name__ == "__main__":
    sys.exit(main())
