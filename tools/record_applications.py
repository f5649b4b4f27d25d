"""Record what Keras says of its architectures, for `tests/test_applications.py`: configs, weights and predictions.

    KERAS_BACKEND=tensorflow python tools/record_applications.py [case ...]

Needs Keras 3.15.1 and an engine of it, not Lamina; TensorFlow, as on torch there is no NASNetMobile.
Without a case all are recorded anew (half an hour on one core, 8 GB).
"""

from __future__ import annotations

import json
import lzma
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

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
    pictures,
    recorded,
    variants,
)


def record(case: str) -> dict[str, Any]:
    found = {}
    for kind, (given, tried) in variants(case).items():
        make = getattr(keras.applications, call_of(case)[0])
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
        found[kind]["outputs"] = [[float(f"{x:.7g}") for x in row] for row in outputs[:, :KEPT]]
    return found


if __name__ == "__main__":
    cases = recorded() if RECORDED.exists() and sys.argv[1:] else {}
    for case in sys.argv[1:] or CASES:
        start = time.time()
        cases[case] = record(case)
        print(f"  {time.time() - start:.0f} s", flush=True)
        ordered = {case: cases[case] for case in CASES if case in cases}
        text = json.dumps(ordered, separators=(",", ":"), sort_keys=True).encode()
        RECORDED.write_bytes(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))
    print(f"{len(text)} bytes of JSON, {RECORDED.stat().st_size} packed")
