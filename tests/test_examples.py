"""Every example, and the code in the README files and the pages of `docs/`, runs as a newcomer would run it."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from support import facts

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
PROMISES = {
    "image_classifier": lambda accuracy: accuracy > 0.96,
    "text_classifier": lambda accuracy: accuracy > 0.98,
    "unet_segmentation": lambda overlap: overlap > 0.6,
    "variational_autoencoder": lambda losses: losses[-1] < 0.75 * losses[0],
    "transformer_text_classifier": lambda accuracy: accuracy > 0.97,
    "time_series_causal": lambda errors: errors[0] < 0.75 * min(errors[1:]),
    "locally_connected": lambda accuracies: min(accuracies) > 0.955,
    "custom_layer_torch_loop": lambda accuracy: accuracy > 0.97,
}


def test_every_example_makes_a_promise():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(PROMISES)


@pytest.mark.parametrize("name", PROMISES)
def test_example_keeps_its_promise(name, capsys):
    result = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]()
    assert PROMISES[name](result), result
    assert capsys.readouterr().out.strip()


def code_of(page: Path, language: str = "python") -> list[tuple[int, str]]:
    """The blocks of a page in one language, each with the line where it begins."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, block.start(2)), block[2]) for block in found if block[1] == language]


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_readme_code_runs(name, capsys):
    blocks = [code for _, code in code_of(ROOT / name)]
    assert len(blocks) >= 2
    for block in blocks:
        exec(compile(block, name, "exec"), {"__name__": name})
    assert "accuracy" in capsys.readouterr().out


PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("page", [page for page in PAGES if code_of(page)], ids=lambda page: page.stem)
def test_code_of_a_page_runs(page, tmp_path):
    # Line by line where it stands on the page, so that an error names it; in a process of its own, for `install`.
    lines: list[str] = []
    for start, block in code_of(page):
        lines += [""] * (start - len(lines)) + block.splitlines()
    script = tmp_path / f"{page.stem}.py"
    script.write_text("\n".join(lines), encoding="utf-8")
    done = subprocess.run([sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_each_block_holds(page):
    opening = re.findall(r"^ *(?:```|~~~)(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)[::2]
    assert set(opening) <= {"python", "console", "sh"}


def test_numbers_on_pages_are_counted():
    now = facts.PAGE.read_text(encoding="utf-8")
    assert now == facts.page(now), "`make facts` counts anew"


def test_the_map_names_what_is_there():
    package, text = ROOT / "lamina", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z_0-9]+(?:/[a-z_0-9]+)*(?:/|\.py))(?::(\w+))?`", text)
    assert len(named) > 40
    for path, name in named:
        place = (ROOT if path.startswith("tests/") else package) / path
        assert place.exists(), path
        assert not name or re.search(rf"\b{name}\b", place.read_text(encoding="utf-8")), f"{path} has no {name}"
    folders = {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").exists()}
    assert folders <= {path for path, _ in named}
