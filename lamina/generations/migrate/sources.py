"""Files, folders and notebooks: what is read, shown and written."""

from __future__ import annotations

import ast
import difflib
import io
import json
import os
import re
import shutil
import sys
import tempfile
import tokenize
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...files import safe
from ..detect import detect
from ..dialect import DIALECTS
from ..evidence import Reader
from ..python2 import is_python2
from ..run import GENERATIONS
from ..sources import beside, cells, parsed

# A line behind which a remark says what habits of older generations would hide, from `lamina run` and a second run.
SAYS_KERAS3 = re.compile(r"^[ \t]*(?:import|from) (?:keras|lamina)\b[^\r\n]*(?<!\\)(?=\r?$)", re.MULTILINE)


class Unreadable(Exception):
    """A source that is no Python 3: which line, and what to do."""


@dataclass(frozen=True)
class Migrated:
    """A source in Keras 3's words, the generation that it was in, and what needs a person."""

    source: str
    generation: str
    notes: Sequence[Any] = field(default=())

    def __str__(self) -> str:
        return self.source


def migrate(source: str, keras: str | None = None, package: str = "keras", generation: str | None = None) -> Migrated:
    """Source of Keras 1, 2 or tf.keras as source of Keras 3; other source stays as it is.

    keras: its generation, "1", "2" or "tf"; else told from the source. package: what is imported as Keras ("keras",
    "lamina"). Raises Unreadable (with the line) for what is no Python 3, ModuleNotFoundError without libcst.
    """
    if not _uses_keras(source):
        return Migrated(source, "")
    told = GENERATIONS[keras] if keras else generation or detect(source)[0]
    if told == "keras3":
        return Migrated(source, told)
    try:
        import libcst
    except ModuleNotFoundError:
        raise ModuleNotFoundError("lamina migrate needs libcst: pip install 'lamina[migrate]'.") from None
    from .visitor import rewrite

    try:
        module = libcst.parse_module(source)
    except libcst.ParserSyntaxError as error:
        raise Unreadable(_said(source, error.raw_line)) from None
    found, notes = rewrite(module, DIALECTS[told], package)
    taken = detect(found.code)[0]
    if taken != "keras3" and rewrite(found, DIALECTS[taken], package)[0].code != found.code:
        return Migrated(SAYS_KERAS3.sub(r"\g<0>  # Keras 3", found.code, count=1), told, tuple(notes))
    return Migrated(found.code, told, tuple(notes))


def _uses_keras(source: str) -> bool:
    if "keras" not in source:
        return False
    _require_bounded(source)
    tree, _ = parsed(source)
    reader = Reader(tree)
    return reader.of_keras or bool(reader.of_tensorflow)


def _require_bounded(source: str) -> None:
    """Raises Unreadable for what is nested too deeply, which ends libcst's process, and for bytes of zero."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if not isinstance(error, SyntaxError) or "too many" in error.msg or "null byte" in error.msg:
            raise Unreadable(f"Python cannot read it: {getattr(error, 'msg', error)}") from None


def _said(source: str, line: int) -> str:
    """What Python says of a source that cannot be read."""
    text = ""
    try:
        ast.parse(source)
    except SyntaxError as error:
        line, text = error.lineno or line, (error.text or "").strip()
    text = text or (source.splitlines()[line - 1 : line] or [""])[0].strip()
    if is_python2(text):
        return (
            f"line {line}: this is Python 2 ({text}). Rewrite the file with `2to3 -w FILE`, which comes with Python up "
            "to 3.12, or with `fissix -w FILE` (pip install fissix), and migrate it then."
        )
    return f"line {line}: no valid Python ({text})"


# Notebooks -----------------------------------------------------------------------------------------------------------

_CELL, _LINE = "#%lamina-cell-", "#%lamina-line-"


def _joined(text: str) -> tuple[str, list[int], list[str]]:
    """The cells of a notebook as one source, their numbers, and the lines that are kept as they are."""
    parts, numbers, kept = [], [], []
    originals = [_lines_of(cell) for cell in _cells_of(json.loads(text)) if cell["cell_type"] == "code"]
    for (number, python, _), original in zip(cells(text), originals, strict=True):
        lines, out = original.split("\n"), python.split("\n")
        fits = len(lines) == len(out) and not parsed(python)[1] and _whole(python)
        made = []
        for at, line in enumerate(lines):
            if fits and out[at] == line:
                made.append(line)
                continue
            stub = out[at].rstrip() if fits else ""
            made.append(f"{stub}  {_LINE}{len(kept)}" if stub.strip() else f"{_LINE}{len(kept)}")
            kept.append(line)
        numbers.append(number)
        parts.append(f"{_CELL}{number}\n" + "\n".join(made))
    return "\n".join(parts) + "\n", numbers, kept


def _whole(python: str) -> bool:
    try:
        ast.parse(python)
    except (SyntaxError, ValueError):
        return False
    return True


def _cells_of(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    return told.get("cells") or [cell for sheet in told.get("worksheets", ()) for cell in sheet["cells"]]


def _lines_of(cell: Mapping[str, Any]) -> str:
    return "".join(cell.get("source", cell.get("input", "")))


def _apart(source: str, kept: Sequence[str]) -> list[str]:
    """The cells of a joined source, with the lines that were kept."""
    lines = []
    for line in source.split("\n"):
        found = re.search(rf"{re.escape(_LINE)}(\d+)$", line)
        lines.append(kept[int(found[1])] if found else line)
    found_cells: list[list[str]] = [[]]
    for line in lines:
        if line.startswith(_CELL):
            found_cells.append([])
        else:
            found_cells[-1].append(line)
    head, *rest = found_cells
    rest[0] = head + rest[0]
    rest[-1] = rest[-1][:-1]  # the end of the source
    return ["\n".join(each) for each in rest]


def notebook(text: str, keras: str | None = None, package: str = "keras") -> tuple[str, Migrated]:
    """A notebook with its cells migrated; all but these stays as it is written. Raises ValueError for no notebook."""
    list(cells(text))
    joined, _, kept = _joined(text)
    found = migrate(joined, keras, package)
    if found.source == joined:
        return text, found
    new = _apart(found.source, kept)
    return _spliced(text, new), found


def _spliced(text: str, new: Sequence[str]) -> str:
    """The JSON of a notebook with other sources in its cells of code, and everything else letter by letter."""
    decoder, out, start = json.JSONDecoder(), [], 0
    fresh = iter(new)
    for cell in _cells_of(json.loads(text)):
        source = cell.get("source", cell.get("input", ""))
        at = start
        while True:
            found = re.compile(r'"(?:source|input)"\s*:\s*').search(text, at)
            if found is None:
                return text
            value, end = decoder.raw_decode(text, found.end())
            if value == source:
                break
            at = found.end()
        out.append(text[start : found.end()])
        said = text[found.end() : end]
        if cell["cell_type"] == "code":
            cell_source = next(fresh)
            if cell_source != "".join(source):
                said = _as_json(cell_source, said, isinstance(source, list))
        out.append(said)
        start = end
    return "".join([*out, text[start:]])


def _as_json(source: str, before: str, listed: bool) -> str:
    ascii_only = before.isascii()
    if not listed:
        return json.dumps(source, ensure_ascii=ascii_only)
    space = re.match(r"\[(\s*)", before)[1]  # type: ignore[index]
    end = re.search(r"(\s*)\]$", before)[1]  # type: ignore[index]
    lines = [json.dumps(line, ensure_ascii=ascii_only) for line in source.splitlines(keepends=True)]
    return f"[{space}" + f",{space or ' '}".join(lines) + f"{end}]"


# Files ---------------------------------------------------------------------------------------------------------------


@dataclass
class _File:
    """A file: its text, and how it is written."""

    path: Path
    text: str
    encoding: str

    @classmethod
    def read(cls, path: Path) -> _File:
        safe.require_file(path)
        raw = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
        return cls(path, raw.decode(encoding), encoding)

    def write(self, text: str) -> None:
        """All of it, or nothing."""
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode(self.encoding))
            shutil.copymode(self.path, name)
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def files_of(target: Path) -> Iterator[Path]:
    """The sources below a folder, or the file itself."""
    if not target.is_dir():
        yield target
        return
    for folder, names, files in os.walk(target):
        names[:] = sorted(name for name in names if not name.startswith((".", "__")) and name not in ("site-packages",))
        for name in sorted(files):
            if name.endswith((".py", ".ipynb")):
                yield Path(folder) / name


def _generation(path: Path, root: Path) -> str | None:
    """What a script and what it imports from beside it were written for."""
    try:
        return detect(beside([path], root))[0]
    except (ValueError, RecursionError):
        return None


@dataclass
class Report:
    """What was done with one file."""

    path: Path
    before: str = ""
    after: str = ""
    generation: str = ""
    notes: Sequence[Any] = ()
    error: str = ""

    @property
    def changed(self) -> bool:
        return self.before != self.after


def migrate_file(
    path: Path, keras: str | None = None, package: str = "keras", write: bool = False, root: Path | None = None
) -> Report:
    """Migrates one file or notebook; `write` puts the result in its place. Errors are told in the report."""
    report = Report(path)
    try:
        file = _File.read(path)
        report.before = report.after = file.text
        if path.suffix == ".ipynb":
            report.after, found = notebook(file.text, keras, package)
        else:
            told = None if keras or not _uses_keras(file.text) else _generation(path, root or path.parent)
            found = migrate(file.text, keras, package, told)
            report.after = found.source
        report.generation, report.notes = found.generation, found.notes
        if write and report.changed:
            file.write(report.after)
    except OSError as error:
        report.error = f"cannot open: {error.strerror}"
    except (Unreadable, SyntaxError, ValueError, RecursionError) as error:
        report.error = str(error) or type(error).__name__
    return report


def run(target: str, keras: str | None = None, package: str = "keras", write: bool = False, check: bool = False) -> int:
    """Migrates a file, a notebook or a folder, and shows what changes and what needs a person.

    Returns 0; 1 after an error, and with `check` where something would change; 2 where there is no such file.
    """
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    path = Path(target)
    if not path.exists():
        print(f"lamina: cannot open {target!r}: no such file or folder", file=sys.stderr)
        return 2
    reports = []
    for each in files_of(path):
        reports.append(migrate_file(each, keras, package, write, path if path.is_dir() else None))
        _show(console, reports[-1])
    return _summary(console, reports, write, check)


_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def _show(console: Any, report: Report) -> None:
    """The changes of a file."""
    from rich.text import Text

    if not report.changed:
        return
    name = str(report.path)
    before, after = (_readable(report.path, text) for text in (report.before, report.after))
    for line in difflib.unified_diff(before, after, name, name, lineterm=""):
        style = "bold" if line.startswith(("---", "+++")) else _STYLES.get(line[:1], "")
        console.print(Text(line, style=style))


def _readable(path: Path, text: str) -> list[str]:
    if path.suffix != ".ipynb":
        return text.splitlines()
    found = []
    for number, cell in enumerate(cell for cell in _cells_of(json.loads(text)) if cell["cell_type"] == "code"):
        found += [f"# cell {number + 1}", *_lines_of(cell).splitlines()]
    return found


def _summary(console: Any, reports: Sequence[Report], write: bool, check: bool) -> int:
    from rich.text import Text

    notes = [(report, note) for report in reports for note in report.notes]
    if notes:
        console.print(Text("\nWhat needs a person:", style="bold"))
    for report, note in notes:
        advice = (note.suggestion[:1].upper() + note.suggestion[1:]).rstrip(".")
        console.print(Text(f"{_place(report, note.line)}: {note.what}: {note.why}. {advice}."))
    errors = [report for report in reports if report.error]
    for report in errors:
        print(f"lamina: {report.path}: {report.error}", file=sys.stderr)
    changed = [report for report in reports if report.changed]
    told = sorted({report.generation for report in changed})
    done = f"rewritten{' (--write does it)' * (not write)}{': ' * bool(told)}{', '.join(told)}"
    counts = f"{len(notes)} places need a person; {len(errors)} errors"
    console.print(Text(f"\n{len(changed)} of {len(reports)} files {'' if write else 'to be '}{done}; {counts}"))
    return 1 if errors or (check and changed) else 0


def _place(report: Report, line: int) -> str:
    """Where a note stands: in notebooks the cell, and its line."""
    if report.path.suffix != ".ipynb":
        return f"{report.path}:{line}"
    joined = _joined(report.before)[0].split("\n")[:line]
    start = max(at for at, each in enumerate(joined) if each.startswith(_CELL))
    return f"{report.path}, cell {joined[start][len(_CELL) :]}, line {line - start - 1}"
