"""Layers as programs: which sizes stay open in each format, and what is refused. `tests/test_export.py` holds it.

`python -m support.exports`, in `tests/`, writes the table of docs/serving.md.
"""

from __future__ import annotations

import copy
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

import lamina as keras

from .examples import EXAMPLES, TEXTUAL, Example

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
MARKS = "<!-- exports:start -->", "<!-- exports:end -->"
FORMATS = {"torch": ".pt2", "onnx": ".onnx"}
LOOP = "a loop over the steps is written out: their number must be known"
SIDES = "compares the sizes of the sides: they must be known"
STATE = "refused: ONNX keeps nothing from run to run"
# Examples that keep no axis open but the batch's, and why; what they are.
NEEDS_SIZES = {"LSTM-2": LOOP, "Resizing-1": SIDES, "Resizing-2": SIDES}
REFUSED = {"onnx": {"LSTM-4": STATE, "ConvLSTM2D-2": STATE}}
APART = {
    "LSTM-2": 'LSTM(recurrent_activation="hard_sigmoid")',
    "LSTM-4": "LSTM(stateful=True)",
    "ConvLSTM2D-2": "ConvLSTM2D(stateful=True)",
    "Resizing-1": "Resizing(crop_to_aspect_ratio=True)",
    "Resizing-2": "Resizing(pad_to_aspect_ratio=True)",
}
WORDS = ("any batch and sizes", "any batch", "the batch it is built with")


def has_open_axes(example: Example) -> bool:
    return any(given.unknown for given in pytree.tree_leaves(example.args))


def model_of(example: Example, unknown: bool) -> keras.Model:
    symbols = example.symbols(unknown=unknown)
    flat = pytree.tree_leaves(symbols)
    return keras.Model(flat if len(flat) > 1 else flat[0], example.make()(*symbols))


def data_for(example: Example, batch: int, by: int = 0) -> Any:
    generator = torch.Generator().manual_seed(batch)
    drawn = [
        given.longer(by).tensor(batch, generator, torch.float32)
        if given.integers_below is None
        else torch.randint(given.integers_below, (batch, *given.longer(by).sizes), generator=generator).int()
        for given in pytree.tree_leaves(example.args)
    ]
    return drawn if len(drawn) > 1 else drawn[0]


def program_of(model: keras.Model, format: str) -> Callable[[Any], Any]:
    """The model written and read again, as a function of tensors."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{FORMATS[format]}"
        model.export(path, format, verbose=False)
        if format == "torch":
            return torch.export.load(path).module()
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
    names = [each.name for each in session.get_inputs()]

    def run(x: Any) -> Any:
        return session.run(None, {n: v.numpy() for n, v in zip(names, pytree.tree_leaves(x), strict=True)})

    return run


def alike(first: Any, second: Any) -> None:
    one, two = pytree.tree_leaves(first), pytree.tree_leaves(second)
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        a, b = (np.asarray(each.detach() if isinstance(each, torch.Tensor) else each) for each in (a, b))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def check(example: Example, format: str, unknown: bool) -> None:
    """The program gives what `predict` does, for several batches, and lengths where these are unknown."""
    model = model_of(example, unknown)
    alone = copy.deepcopy(model)  # with states of its own
    run = program_of(model, format)
    for batch, by in ((2, 0), (2, 0)) if example.stateful else ((3, 0), (1, 2 * unknown), (2, 3 * unknown)):
        x = data_for(example, batch, by)
        with torch.no_grad():
            alike(alone.predict(x, verbose=0), run(x))


def outcome(example: Example, format: str) -> str:
    told = REFUSED.get(format, {}).get(example.id) or NEEDS_SIZES.get(example.id)
    return told or WORDS[2 if example.stateful else 0 if has_open_axes(example) else 1]


def table() -> str:
    """Every layer, by what each format keeps open."""
    rows: dict[tuple[str, ...], list[str]] = defaultdict(list)
    widest: dict[str, tuple[str, ...]] = {}
    for example in EXAMPLES:
        if example.cls.__module__.startswith("support"):
            continue
        found = tuple(outcome(example, format) for format in FORMATS)
        if example.id in APART:
            rows[found].append(APART[example.id])
        elif example.name not in widest or WORDS.index(found[0]) < WORDS.index(widest[example.name][0]):
            widest[example.name] = found
    for name, found in widest.items():
        rows[found].append(name)
    rows[("refused: texts are no tensors",) * len(FORMATS)] = sorted(TEXTUAL)
    lines = [f"| layers | torch.export (`.pt2`) | ONNX |\n|---|{'---|' * len(FORMATS)}"]
    lines += [
        f"| {', '.join(f'`{name}`' for name in sorted(names))} | {' | '.join(found)} |" for found, names in rows.items()
    ]
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with the table as it is now."""
    start, end = map(re.escape, MARKS)
    return re.sub(rf"(?s)(?<={start}).*(?={end})", lambda _: f"\n{table()}\n", text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
