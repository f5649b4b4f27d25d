"""Code lines (no blanks, comments, docstrings) of each folder: now, and how many more than in a commit.

Then what layers spend on saying what they take: lines that declare (arguments, `__init__`, `get_config`) for each line
of `call`. `make lines`, or `python tools/code_lines.py [commit]`; the commit is the last one if not told.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tarfile
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOPS = ("lamina", "tests", "benchmarks", "examples", "tools")
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
DECLARE = "core.declare"  # where the words come from that declare in the bodies of classes


def code_lines(source: str) -> set[int]:
    """The numbers of the lines that hold code."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


def spent(source: str) -> Counter[str]:
    """Code lines of a module of layers that declare, and such that compute."""
    tree, code = ast.parse(source), code_lines(source)
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module]
    words = {a.asname or a.name for node in imports if str(node.module).endswith(DECLARE) for a in node.names}
    counts: Counter[str] = Counter()
    for cls in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        for node in cls.body:
            size = len(code.intersection(range(node.lineno, (node.end_lineno or node.lineno) + 1)))
            if isinstance(node, ast.FunctionDef):
                kinds = {"__init__": "declare", "get_config": "declare", "call": "call"}
                counts[kinds.get(node.name, "rest")] += size
            elif isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
                function = node.value.func
                counts["declare" if isinstance(function, ast.Name) and function.id in words else "rest"] += size
    return counts


def folder(path: str) -> str:
    """`lamina/core/` for what stands in it, `lamina/` for the package's own modules."""
    first, *rest = Path(path).parts
    return f"{first}/{rest[0]}/" if first == "lamina" and len(rest) > 1 else f"{first}/"


def tally(sources: dict[str, str]) -> tuple[Counter[str], Counter[str]]:
    lines: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for path, source in sources.items():
        lines[folder(path)] += len(code_lines(source))
        if path.startswith("lamina/"):
            lines["lamina/, all"] += len(code_lines(source))
        if path.startswith("lamina/layers/"):
            words += spent(source)
    return lines, words


def _counts(path: str) -> bool:
    return path.endswith(".py") and Path(path).parts[0] in TOPS


def now() -> dict[str, str]:
    files = [path for top in TOPS for path in sorted((ROOT / top).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}


def then(commit: str) -> dict[str, str]:
    command = ["git", "archive", "--format=tar", commit]
    packed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        members = [member for member in archive if member.isfile() and _counts(member.name)]
        return {member.name: archive.extractfile(member).read().decode() for member in members}  # type: ignore[union-attr]


def main(commit: str = "HEAD") -> None:
    (lines, words), (before, words_before) = tally(now()), tally(then(commit))
    print(f"{'code lines':20} {'now':>7} {'since ' + commit:>20}")
    for name in sorted(lines | before):
        more = lines[name] - before[name]
        print(f"{name:20} {lines[name]:7,} {f'{more:+,}' if more else '-':>20}")
    for when, counted in (("now", words), (commit, words_before)):
        ratio = counted["declare"] / max(counted["call"], 1)
        print(f"lamina/layers, {when}: {counted['declare']} lines declare, {counted['call']} call: {ratio:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
