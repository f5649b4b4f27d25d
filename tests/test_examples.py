"""Every example, and the code in the README files and the pages of `docs/`, runs as a newcomer would run it."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support import facts
from support.pages import CHINESE, DOCS, PAGES, code_of, play

from lamina import cli

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


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_readme_code_runs(name, capsys):
    blocks = [block.text for block in code_of(ROOT / name)]
    assert len(blocks) >= 2
    for block in blocks:
        exec(compile(block, name, "exec"), {"__name__": name})
    assert "accuracy" in capsys.readouterr().out


def alone(page: Path) -> bool:
    """Whether what a page does lasts: it takes over `import keras`, or changes a setting."""
    text = "".join(block.text for block in code_of(page))
    return bool(re.search(r"install\(|\.set_(?!random_seed|weights)\w+\(", text))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if code_of(page) and CHINESE not in page.parents], ids=lambda page: page.stem
)
def test_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    if not alone(page):
        return play(page)
    script = ROOT / "tests" / "support" / "pages.py"
    done = subprocess.run([sys.executable, "-W", "error", script, page], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


START = [
    line.removeprefix("$ lamina ")
    for block in code_of(DOCS / "start.md", "console")
    for line in block.text.splitlines()
    if line.startswith("$ lamina ") and "--help" not in line
]


@pytest.mark.parametrize("line", [*(line for line in START if not line.startswith("run ")), "migrate"])
def test_commands_of_the_start_page_run(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "demo-output").mkdir()
    words = ["migrate", "tests/old_scripts/keras1_digits.py"] if line == "migrate" else shlex.split(line)
    assert cli.main(words) == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


@pytest.mark.slow
def test_the_old_script_of_the_start_page_runs(tmp_path):
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "demo-output").mkdir()
    (line,) = (line for line in START if line.startswith("run "))
    command = [sys.executable, "-m", "lamina", *shlex.split(line)]
    done = subprocess.run(command, cwd=tmp_path / "demo-output", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Test accuracy" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_each_block_holds(page):
    opening = re.findall(r"^ *(?:```|~~~)(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)[::2]
    assert {re.sub(r"(?<=\}).*", "", each) for each in opening} <= {
        "python", "console", "sh", "text", "{explain}", "{made}", "{toctree}", "{include}"
    }  # fmt: skip


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
