"""Sources as they are found: scripts, notebooks, what a script imports from beside it."""

from __future__ import annotations

import ast
import functools
import json
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

_MOST_LINES = 300  # that are left out of one source
_MOST_FILES = 60  # that are read beside a script
_FRAMEWORKS = ("keras", "lamina", "tensorflow", "torch")  # whose own code does not tell what a script is for
_IMPORTS_KERAS = re.compile(r"^\s*(?:from|import) +(?:keras|tensorflow)\b", re.M)
_LARGEST = 2**24  # bytes of one
_TOP = (".git", "pyproject.toml", "setup.py", "requirements.txt")  # one of which the folder of a project has


@functools.lru_cache(_MOST_FILES)
def parsed(source: str) -> tuple[ast.AST, list[int]]:
    """The tree of a source, and the numbers of the lines that are no Python 3 and were left out."""
    lines = source.expandtabs(8).splitlines()
    out: list[int] = []
    for _ in range(_MOST_LINES):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse("\n".join(lines)), out
        except SyntaxError as error:
            at = min(max(error.lineno or 1, 1), len(lines)) - 1
            if re.match(r"\s*pass$", lines[at]):  # as an indentation that fits nothing
                lines[at] = ""
            else:
                lines[at] = lines[at][: len(lines[at]) - len(lines[at].lstrip())] + "pass"
                out.append(at + 1)
        except (ValueError, RecursionError):
            break
    return ast.Module([], []), out


def told_to_tools(arguments: Sequence[str], root: Path) -> list[Path]:
    """The files that the arguments of `pytest`, `unittest`, `cProfile`, ... name, else all below `root`."""
    named = [each.partition("::")[0] for each in arguments]
    paths = [root / each for each in named] + [file for each in named for file in _files(each, root)]
    found = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*.py")))]
    own = list(dict.fromkeys(file for file in found if file.suffix == ".py"))
    return own or sorted(root.rglob("*.py"))[:_MOST_FILES]


def beside(scripts: Sequence[Path], root: Path) -> dict[str, str]:
    """The sources of scripts and of what they import from below `root`, or else from their project, by their names.

    Where none of these imports a framework, those that do of the installed packages that they import. Nothing is run.
    """
    above = [root.resolve(), *root.resolve().parents]
    project = next((folder for folder in above if any((folder / each).exists() for each in _TOP)), root)
    found, names = _reached(scripts, root, project)
    told = {_shown(file, root): text for file, text in found.items()}
    tops = {name.partition(".")[0] for name in names}
    for top in sorted(tops - sys.stdlib_module_names) if tops.isdisjoint(_FRAMEWORKS) else ():
        home = next((Path(each) for each in sys.path if (Path(each) / top / "__init__.py").is_file()), None)
        if home is not None and any("keras" in read(file) for file in (home / top).rglob("*.py")):
            first = [file for name in names if f"{name}.".startswith(f"{top}.") for file in _files(name, home)]
            inside, _ = _reached(first, home, home / top)
            told |= {_shown(file, home): text for file, text in inside.items() if _IMPORTS_KERAS.search(text)}
    return told


def _reached(scripts: Sequence[Path], root: Path, project: Path) -> tuple[dict[Path, str], list[str]]:
    """What is imported from below `root`, or of one package there alone, and all names that are imported."""
    found: dict[Path, str] = {}
    names: list[str] = []
    waiting = list(scripts)
    while waiting and len(found) < _MOST_FILES:
        file = waiting.pop(0)
        if file in found or (project.parent == root and not file.is_relative_to(project)):
            continue
        try:
            found[file] = read(file) if file.stat().st_size < _LARGEST else ""
        except (OSError, ValueError):
            continue
        for name, folder in _imports(parsed(found[file])[0], file, root):
            names.append(name)
            inside = folder == root and name.partition(".")[0] not in _FRAMEWORKS
            waiting += [*_files(name, folder)] or ([*_files(name, project)] if inside else [])
    return found, names


def early_keras2(root: Path) -> str:
    """Where a project asks for Keras 2.0, 2.1 or 2.2: the file and its words; else an empty text."""
    above = [root.resolve(), *root.resolve().parents]
    project = next((folder for folder in above if any((folder / each).exists() for each in _TOP)), root)
    for file in [*sorted(project.glob("requirements*.txt")), project / "setup.py"]:
        asked = re.search(
            r"(?im)(?<![\w-])keras *(?:(?:==|<=|~=) *2\.[012]\b|< *2\.3)[\w.]*", read(file) if file.is_file() else ""
        )
        if asked:
            return f"{file.name}: {asked[0]}"
    return ""


def _shown(file: Path, root: Path) -> str:
    return str(file.relative_to(root)) if file.is_relative_to(root) else file.name


def read(path: Path) -> str:
    """The source of a file; of a notebook, its cells one after the other."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return "\n".join(cell for _, cell, _ in cells(text)) if path.suffix == ".ipynb" else text


def _imports(tree: ast.AST, file: Path, root: Path) -> Iterator[tuple[str, Path]]:
    """Full names that a file imports, each with the folder it starts from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, root) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = [root, file.parent, *file.parent.parents][min(node.level, len(file.parents))]
            yield from ((f"{node.module or ''}.{alias.name}".strip("."), start) for alias in node.names)


def _files(name: str, folder: Path) -> Iterator[Path]:
    """The files that are read for an import of that name."""
    for part in name.split("."):
        if (folder / f"{part}.py").is_file():
            yield folder / f"{part}.py"
            return
        folder /= part
        if not folder.is_dir():
            return
        if (folder / "__init__.py").is_file():
            yield folder / "__init__.py"


def cells(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """The cells with code of a notebook: number, Python, and what was left out of it.

    Raises ValueError where the text is no notebook.
    """
    try:
        told = json.loads(text)
        all_cells = told.get("cells") or [cell for sheet in told.get("worksheets", ()) for cell in sheet["cells"]]
        code = [cell for cell in all_cells if cell["cell_type"] == "code"]
        sources = ["".join(cell.get("source", cell.get("input", ""))) for cell in code]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("it is no notebook: expected JSON with `cells`") from error
    for number, source in enumerate(sources, 1):
        yield number, *_without_magics(source)


# What a first line `%%...` says of a cell that is still Python.
_STILL_PYTHON = ("time", "timeit", "capture", "prun", "python", "python3")


def _without_magics(source: str) -> tuple[str, list[str]]:
    """A cell as Python, line by line the same, and its lines that are IPython's or the shell's."""
    if source.lstrip().startswith("%%"):
        first, _, rest = source.lstrip().partition("\n")
        if first[2:].split(" ")[0].strip() not in _STILL_PYTHON:
            return "", [first]
        source = f"\n{rest}"
    if not parsed(source)[1]:
        return source, []
    indent = source[: len(source) - len(source.lstrip())].rpartition("\n")[2]  # which a cell may start with
    lines, out = [line.removeprefix(indent) for line in source.split("\n")], []
    continued = False
    for at, line in enumerate(lines):
        said = line.strip()
        margin = line[: len(line) - len(line.lstrip())]
        if timed := re.match(r"%time\s+(.+)", said):
            lines[at] = margin + timed[1]
        elif continued or re.match(r"[%!?]|[\w.]+\?+$", said):
            lines[at] = "" if continued else f"{margin}pass"
            out += [] if continued else [said]
            continued = said.endswith("\\")
        elif given := re.match(r"([\w, ]+=\s*)[%!]", said):
            lines[at] = f"{margin}{given[1]}[]"
            out.append(said)
    return "\n".join(lines), out
