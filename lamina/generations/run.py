"""`lamina run`: scripts, modules and notebooks in which `import keras` means one of the generations."""

from __future__ import annotations

import builtins
import importlib.machinery
import linecache
import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ..core.devices import take_gpu
from .alias import install, installed_keras
from .detect import detect
from .processes import begin, is_first
from .python2 import NoTool, compiled, find_below
from .sources import beside, cells, early_keras2, told_to_tools

GENERATIONS = {"1": "keras1", "2.2": "keras2.2", "2": "keras2", "tf": "tf_keras", "3": "keras3"}
_TOLD = "LAMINA_RUN"  # in the environment: which generation the script runs with, for processes that it starts


class Unfit(Exception):
    """What was asked for is not run; `code` is what the process exits with."""

    def __init__(self, message: str, code: int = 1):
        super().__init__(message)
        self.code = code


def run(
    target: str, arguments: Sequence[str] = (), keras: str | None = None, how: str = "script", device: str | None = None
) -> int:
    """Runs as `python target arguments...` would, and returns the exit code: 1 after an exception that it shows.

    `how` is "script" (a file, a notebook, a folder with `__main__.py`, "-" for standard input), "module" (`-m`) or
    "command" (`-c`). Without `keras` its generation is told from its source, and from what it imports beside it.
    Its tensors are made on `device`, "gpu" or "cpu"; by default on the first GPU, unless it hides all of them.
    SystemExit is the script's own, and goes through.
    """
    reason = None
    try:
        program = _program(target, how)
        begin()
        if not getattr(sys.flags, "safe_path", False):  # of Python 3.11
            sys.path[0] = program.root
        sys.argv = [program.called, *arguments]
        reason = _choose(program, keras)
        if reason is not None:
            _place(program, device)
        main = ModuleType("__main__")
        spec = _Spec(program.package) if reason is not None and program.again else None
        vars(main).update(__builtins__=builtins, __spec__=spec, **program.names())
        sys.modules["__main__"] = main
        program.execute(vars(main))
    except Unfit as error:
        print(f"lamina: {error}", file=sys.stderr)
        return error.code
    except SystemExit:
        raise
    except BaseException as error:
        _show(error)
        if reason and reason.startswith("taken for") and _is_ours(error):
            print(f"lamina: {reason}. {_ELSE}", file=sys.stderr)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def again(names: dict[str, Any]) -> None:
    """Runs the script once more, as `multiprocessing` has it in a process that it starts afresh."""
    generation, how, target = os.environ[_TOLD].split(" ", 2)
    install(generation, replace=True)
    program = _program(target, how)
    names.update(program.names())
    program.execute(names)


_ELSE = "Where code that it imports is older, run it with `--keras 1`, `--keras 2` or `--keras tf`."


def _is_ours(error: BaseException) -> bool:
    """Whether Lamina refused a name or an argument."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    own = str(Path(__file__).parents[1])
    return isinstance(error, (AttributeError, ImportError, TypeError)) and any(own in one.filename for one in last)


def _choose(program: Program, keras: str | None) -> str | None:
    """Install the generation that is asked for, or that fits, and say why; None where another Keras is left alone."""
    found = installed_keras()
    if keras is None and found is not None:
        print(f"lamina: runs with the Keras installed in {found}; pass --keras to use Lamina's", file=sys.stderr)
        return None
    if keras is None:
        generation, reason = detect(program.sources(), cells=program.file is None)
        if generation == "keras2" and (asked := early_keras2(Path(program.root or "."))):
            generation, reason = "keras2.2", f"{reason}; {asked}"
        if is_first():
            print(f"lamina: {generation} ({reason})", file=sys.stderr)
    else:
        generation, reason = GENERATIONS[keras], ""
    install(generation, replace=True)
    os.environ[_TOLD] = f"{generation} {program.how} {program.target}"
    return reason


_HIDES = re.compile(r"""CUDA_VISIBLE_DEVICES["']\s*\]?\s*[=,]\s*["'](-1)?["']""")


def _place(program: Program, device: str | None) -> None:
    """Let tensors be made on a GPU, where there is one. Which are seen is settled when the first tensor is made."""
    found, needed = torch.cuda.device_count(), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if device == "gpu" and found < needed:
        raise Unfit(f"--device gpu: expected a GPU for each of {needed} processes; torch finds {found}")
    hidden = device is None and any(_HIDES.search(text) for text in program.sources().values())
    if device == "cpu" or found < needed or hidden:
        return
    take_gpu()
    if is_first():
        print("lamina: computes on the GPU; `--device cpu` leaves it out", file=sys.stderr)


def _show(error: BaseException) -> None:
    """As Python shows what a script raises: without the frames before it."""
    trace = error.__traceback__
    while trace is not None and Path(trace.tb_frame.f_code.co_filename).parent == Path(__file__).parent:
        trace = trace.tb_next
    error = error.with_traceback(trace)
    if sys.excepthook is sys.__excepthook__:
        traceback.print_exception(error)  # which also finds the lines of notebooks
    else:
        sys.excepthook(type(error), error, trace)


class _Spec(importlib.machinery.ModuleSpec):
    """What `multiprocessing` takes for the main module of a process that it starts: `worker`, which comes here."""

    def __init__(self, package: str | None):
        super().__init__(f"{__package__}.worker", None)
        self._package = package

    @property
    def parent(self) -> str | None:
        return self._package


@dataclass
class Program:
    """Something to run: what Python knows of it, and its parts by the names that tracebacks show."""

    target: str
    called: str  # sys.argv[0]
    root: str  # sys.path[0]
    parts: Mapping[str, str | bytes]
    file: Path | None = None
    package: str | None = None
    how: str = "script"
    again: bool = False  # whether a process that it starts runs it once more

    def names(self) -> dict[str, Any]:
        """What stands in the main module before it starts."""
        if self.file is None:
            return {"__package__": None, "display": print, "get_ipython": _Shell}
        loader = importlib.machinery.SourceFileLoader("__main__", str(self.file))
        return {"__file__": str(self.file), "__cached__": None, "__package__": self.package, "__loader__": loader}

    def sources(self) -> dict[str, str]:
        """What its generation is told from."""
        own = {
            name: text if isinstance(text, str) else text.decode("utf-8", "replace")
            for name, text in self.parts.items()
        }
        root = Path(self.root or ".")
        if self.file is None:
            near = beside([Path(self.target)], root) if self.target.endswith(".ipynb") else {}
            return own | {name: text for name, text in near.items() if not name.endswith(".ipynb")}
        tool = self.how == "module" and not self.file.is_relative_to(root)
        return beside(told_to_tools(sys.argv[1:], root) if tool else [self.file], root)

    def execute(self, names: dict[str, Any]) -> None:
        find_below(self.root)
        if self.package:
            __import__(self.package)
        try:
            codes = compiled(self.parts)
        except NoTool as error:
            raise Unfit(f"{error} is Python 2, which runs here rewritten: pip install fissix") from None
        for code in codes:
            exec(code, names)


def _program(target: str, how: str) -> Program:
    if how == "command":
        return Program(target, "-c", "", {"<string>": target})
    if how == "module":
        return _module(target)
    if target == "-":
        return Program(target, "-", "", {"<stdin>": sys.stdin.read()})
    path = Path(target)
    folder = path.is_dir()
    file = (path / "__main__.py" if folder else path).absolute()
    try:
        text = file.read_bytes()
    except OSError as error:
        raise Unfit(f"cannot open {str(file)!r}: {error.strerror}", code=2) from None
    root = str(path.absolute() if folder else path.resolve().parent)
    if path.suffix == ".ipynb":
        return Program(target, target, root, _notebook(path, text))
    return Program(str(file), target, root, {str(file): text}, file, "" if folder else None, again=not folder)


def _module(name: str) -> Program:
    """A module, or the `__main__` of a package. The packages above it are imported when it is run, not before."""
    places: Any = [str(Path.cwd()), *sys.path[1:]]
    package = ""
    for part in [*name.split("."), "__main__"]:
        spec = importlib.machinery.PathFinder.find_spec(part, places)
        if spec is None:
            raise Unfit(f"no module named {name!r}" + (f" with a {part}" if part == "__main__" else ""))
        if spec.submodule_search_locations is None:
            break
        places, package = spec.submodule_search_locations, f"{package}.{part}".lstrip(".")
    file = Path(spec.origin or "")
    if file.suffix != ".py":
        raise Unfit(f"the module {name!r} has no source to run")
    return Program(
        name, str(file), str(Path.cwd()), {str(file): file.read_bytes()}, file, package, "module", part != "__main__"
    )


class _Shell:
    """What `get_ipython()` gives: it takes any command and any magic, runs none, and says so."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *told, **_: print(f"lamina: not run: get_ipython().{name}{told}", file=sys.stderr)


def _notebook(path: Path, text: bytes) -> dict[str, str | bytes]:
    """The cells with code. What is IPython's or the shell's is left out, and said."""
    parts: dict[str, str | bytes] = {}
    try:
        for number, source, left_out in cells(text.decode("utf-8-sig")):
            name = f"{path}, cell {number}"
            for line in left_out:
                print(f"lamina: {name}: not run: {line}", file=sys.stderr)
            linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
            # IPython takes them anywhere in a cell; Python 3 has all of them but `annotations`.
            parts[name] = re.sub(r"(?m)^from __future__ import (?!.*\bannotations\b)[^(\n]*$", "", source)
    except ValueError as error:
        raise Unfit(f"{path}: {error}") from None
    return parts
