"""Every example, and the code in the README files, runs as a newcomer would run it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
PROMISES = {
    "image_classifier": lambda accuracy: accuracy > 0.96,
    "text_classifier": lambda accuracy: accuracy > 0.98,
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
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        exec(compile(block, name, "exec"), {"__name__": name})
    assert "accuracy" in capsys.readouterr().out
