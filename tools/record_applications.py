"""Record what Keras says of its architectures, for `tests/test_applications.py`: configs, weights and predictions.

    KERAS_BACKEND=tensorflow python tools/record_applications.py [case ...]

Needs Keras 3.15.1 and an engine of it, not Lamina; TensorFlow, as on torch there is no NASNetMobile.
Without a case all are recorded anew (an hour on one core, 8 GB).
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.utils import file_utils

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.applications import (
    CASES,
    KEPT,
    RECORDED,
    SIZE,
    call_of,
    described,
    fill,
    gain,
    lines,
    pictures,
    record,
    variants,
)


def answers(case: str) -> dict[str, Any]:
    """Of both models of a case, what they are and what they give."""
    found: dict[str, Any] = {}
    make = getattr(keras.applications, call_of(case)[0])
    for kind, (given, tried) in variants(case).items():
        keras.backend.clear_session()
        model = make(**given)
        found[kind] = described(model)
        if tried is not given:
            keras.backend.clear_session()
            model = make(**tried)
        fill(model, gain(case))
        outputs = np.asarray(model(pictures(SIZE)))
        apart = np.abs(outputs[0] - outputs[1]).mean() / np.abs(outputs).mean()
        print(f"{case} {kind}: of size {np.abs(outputs).mean():.3g}, apart by {apart:.2g}", flush=True)
        found[kind]["outputs"] = [[float(f"{x:.6g}") for x in row] for row in outputs[:, :KEPT]]
    return {**found, "files": files(make, call_of(case)[1])}


def files(make: Any, given: dict[str, Any]) -> list[list[Any]]:
    """Name, address and sum of the published weights, with and without the top; none where there are none."""
    asked: list[list[Any]] = []

    def get_file(name: str, origin: str, cache_subdir: str, file_hash: str | None = None) -> str:
        asked.append([name, origin, file_hash])
        raise FileNotFoundError

    original, file_utils.get_file = file_utils.get_file, get_file
    for include_top in (True, False):
        with contextlib.suppress(FileNotFoundError, ValueError):  # the latter where no weights were published
            make(**given, weights="imagenet", include_top=include_top)
    file_utils.get_file = original
    return asked


if __name__ == "__main__":
    kept = dict(lines()) if RECORDED.exists() and sys.argv[1:] else {}
    for case in sys.argv[1:] or CASES:
        kept[case] = json.dumps(answers(case), separators=(",", ":"), sort_keys=True)
        record(kept)
    print(f"{RECORDED.stat().st_size} bytes")
