"""Opening and saving models of 100 MB, and of many layers: Lamina beside Keras 3 (on torch) and tf_keras; time, memory.

`python benchmarks/files.py [PART OF A ROW'S NAME ...]`, such as `"load conv"`; no part means all rows. The others live
in environments of their own, which are named on the command line or in the environment: `--keras /path/to/python
--tf-keras /path/to/python`, or LAMINA_KERAS_PYTHON and LAMINA_TF_KERAS_PYTHON; what is not named is left out. Each
measurement is a process of its own, in which the package has opened a small file before; sides take turns. Memory is
how much the resident set grows at its peak, in parts of the file. Each reads the files that it wrote itself, and a row
of `load` needs none of `save`. `save` makes a file, `replace` writes one of that name again, for which Lamina waits
until the disk has it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WIDTH = {"dense": 2500, "conv": 512, "many": 8}
MANY = 300  # layers, of which Keras 3 can still make a model
FORMATS = (".keras", ".h5", ".weights.h5", ".safetensors")
ROUNDS = 3


def model_of(keras: Any, kind: str, width: int) -> Any:
    """Four dense layers, or ten convolutions: about 100 MB in the usual widths; or many small layers."""
    layers = keras.layers
    shape = (8, 8, width) if kind == "conv" else (width,)
    first = layers.InputLayer(shape) if keras.__name__ == "tf_keras" else keras.Input(shape)
    if kind != "conv":
        return keras.Sequential([first, *(layers.Dense(width) for _ in range(4 if kind == "dense" else MANY))])
    return keras.Sequential([first, *(layers.Conv2D(width, 3, padding="same") for _ in range(10))])


def status(word: str) -> int:
    """Bytes that Linux tells of this process under a word."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(word))


def watched(call: Callable[[], Any]) -> tuple[float, int]:
    """Seconds of a call, and by how many bytes the process grew at most."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is
    before, start = status("VmRSS"), time.perf_counter()
    kept = call()
    seconds = time.perf_counter() - start
    grown = status("VmHWM") - before
    del kept
    return seconds, grown


def action(keras: Any, model: Any, what: str, path: str) -> Callable[[], Any]:
    whole = not path.endswith((".weights.h5", ".safetensors"))
    if what != "load":
        return lambda: model.save(path) if whole else model.save_weights(path)
    return (lambda: keras.models.load_model(path)) if whole else (lambda: model.load_weights(path))


def work(name: str, what: str, kind: str, path: str) -> None:
    """One measurement, as a line of JSON; where a file to be loaded is missing, it is made before."""
    import warnings

    warnings.simplefilter("ignore")
    keras = importlib.import_module(name)
    tiny, small = model_of(keras, kind, 4), str(Path(path).with_name(f"small-{Path(path).name}"))
    for each in ("save", "load"):
        action(keras, tiny, each, small)()
    if what == "make":
        action(keras, model_of(keras, kind, WIDTH[kind]), "save", path)()
        return
    if what == "save":
        Path(path).unlink(missing_ok=True)
    needs_model = what != "load" or path.endswith((".weights.h5", ".safetensors"))
    model = model_of(keras, kind, WIDTH[kind]) if needs_model else None
    seconds, grown = watched(action(keras, model, what, path))
    print(json.dumps({"seconds": seconds, "memory": grown / Path(path).stat().st_size}))


def measured(python: str, name: str, what: str, kind: str, path: str) -> dict[str, float] | None:
    environment = {
        **os.environ, "KERAS_BACKEND": "torch", "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(HERE.parent) if name == "lamina" else "",
    }  # fmt: skip
    command = [python, str(HERE / "files.py"), "--side", name, what, kind, path]
    done = subprocess.run(command, env=environment, text=True, capture_output=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 and what != "make" else None


def main(pythons: dict[str, str], rounds: int, parts: list[str]) -> None:
    sides = {"lamina": sys.executable, **{name: python for name, python in pythons.items() if python}}
    print(f"{'':28}" + "".join(f"{name:>22}" for name in sides) + "   ratio to Lamina's seconds")
    rows = [(what, kind, form) for kind in WIDTH for form in FORMATS for what in ("save", "replace", "load")]
    with tempfile.TemporaryDirectory() as folder:
        for what, kind, form in rows:
            title = f"{what} {kind}{form}"
            if parts and not any(part in title for part in parts):
                continue
            paths = {name: str(Path(folder, f"{name}-{kind}{form}")) for name in sides}
            can = [name for name in sides if form != ".safetensors" or name == "lamina"]
            for name in can:
                if what != "save" and not Path(paths[name]).exists():
                    measured(sides[name], name, "make", kind, paths[name])
            found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
            for turn in range(rounds):
                for name in sorted(can, reverse=bool(turn % 2)):
                    one = measured(sides[name], name, what, kind, paths[name])
                    found[name] += [one] if one else []
            _show(title, found)


def _show(title: str, found: dict[str, list[dict[str, float]]]) -> None:
    middle = {
        name: {key: statistics.median(one[key] for one in all_) for key in all_[0]} if all_ else None
        for name, all_ in found.items()
    }
    cells = [f"{each['seconds']:8.2f} s {each['memory']:5.2f} x mem" if each else "-" for each in middle.values()]
    ours = middle["lamina"]
    ratios = [f"{name} {each['seconds'] / ours['seconds']:.2f}" for name, each in middle.items() if each and ours]
    print(f"{title:28}" + "".join(f"{cell:>22}" for cell in cells) + f"   {', '.join(ratios[1:])}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        work(*sys.argv[2:])
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("part", nargs="*")
        parser.add_argument("--keras", default=os.environ.get("LAMINA_KERAS_PYTHON", ""))
        parser.add_argument("--tf-keras", default=os.environ.get("LAMINA_TF_KERAS_PYTHON", ""))
        parser.add_argument("--rounds", type=int, default=ROUNDS)
        chosen = parser.parse_args()
        main({"keras": chosen.keras, "tf_keras": chosen.tf_keras}, chosen.rounds, chosen.part)
