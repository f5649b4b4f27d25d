"""`lamina run`: a script in which `import keras` means one of the generations."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from .alias import install, installed_keras
from .detect import detect

_NAMES = {"1": "keras1", "2": "keras2", "tf": "tf_keras", "3": "keras3"}


def run(script: str, arguments: Sequence[str] = (), keras: str | None = None) -> None:
    """Runs a script as `python script arguments...` would. Without `keras` its generation is told from its source."""
    path = Path(script)
    if keras is not None:
        install(_NAMES[keras], replace=True)
    elif (found := installed_keras()) is not None:
        print(f"lamina: runs with the Keras installed in {found}; pass --keras to use Lamina's", file=sys.stderr)
    else:
        generation, reason = detect(path.read_text(encoding="utf-8"))
        print(f"lamina: {generation} ({reason})", file=sys.stderr)
        install(generation)
    before = sys.argv, sys.path[0]
    sys.argv, sys.path[0] = [str(path), *arguments], str(path.resolve().parent)
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv, sys.path[0] = before
