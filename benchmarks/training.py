"""`fit`, `predict` and a call on one sample, against the same models written by hand in PyTorch.

The hand-written side is eager, in channels-last memory, with in-place ReLUs, fused Adam, `zero_grad(set_to_none)`, the
loss taken from logits, batches by `index_select` of a permutation, inference mode. Both sides use the default number of
threads and alternate in one run; medians of times and of ratios within a round.

Lamina's `fit` and `predict` keep freed buffers (lamina/training/memory.py), a loop by hand usually does not: that gain
is in the ratio. "same allocator" is the ratio to the same loop with buffers kept as well.

`python benchmarks/training.py [--write] [part of a name]` prints a Markdown table, with `--write` into the READMEs.
Exits with 1 where a budget is missed by more than the noise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from _ab import Comparison, compare, repeated, rounds
from _models import TASKS, Task
from _readme import machine, table, write
from torch import Tensor, nn

import lamina as keras
from lamina.training.memory import keep_buffers

BUDGETS = {"fit": 1.0, "predict": 1.0, "one": 1.2}
NOISE = 0.03
SECONDS = {"fit": 15.0, "predict": 6.0, "one": 1.5}
SAMPLES = 50  # single calls in one timing

HEAD = {
    "en": [
        "Lamina / PyTorch by hand",
        "`fit`, ms a step",
        "ratio",
        "same allocator",
        "`predict`, ms a batch",
        "ratio",
        "same allocator",
        "one sample, ms",
        "ratio",
    ],
    "zh": [
        "Lamina / 手写 PyTorch",
        "`fit` (毫秒/步)",
        "比值",
        "同样的内存分配",
        "`predict` (毫秒/批)",
        "比值",
        "同样的内存分配",
        "单个样本 (毫秒)",
        "比值",
    ],
}
NOTE = {
    "en": "{machine}; `make bench-quick`. A ratio below 1: Lamina is faster. `fit` and `predict` keep freed buffers; "
    '"same allocator": the loop by hand keeps them, too.',
    "zh": "{machine}。`make bench-quick`。比值小于 1 表示 Lamina 更快。`fit` 和 `predict` 会保留已释放的缓冲区。"
    "“同样的内存分配”一列中的手写循环也保留缓冲区。",
}


def train(task: Task, model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> float:
    """One epoch by hand; returns its mean loss."""
    model.train()
    total = torch.zeros(())
    for index in torch.randperm(len(x)).split(task.batch):
        optimizer.zero_grad(set_to_none=True)
        loss = task.loss_of_logits(model(x.index_select(0, index)), y.index_select(0, index))
        loss.backward()
        optimizer.step()
        total += loss.detach()
    return total.item() / task.steps


def predict(task: Task, model: nn.Module, x: Tensor) -> Any:
    model.eval()
    with torch.inference_mode():
        return torch.cat([task.prediction(model(batch)) for batch in x.split(task.batch)]).numpy()


def kept(call: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> None:
        with keep_buffers():
            call()

    return run


def measure(task: Task) -> dict[str, tuple[Comparison, ...]]:
    """For fit and predict the comparison with each loop by hand, for one sample with the call by hand."""
    x, y = task.data(task.batch * task.steps)
    x_torch, y_torch = torch.from_numpy(x), torch.from_numpy(y)
    ours, theirs = task.model(keras), task.twin()
    ours.compile("adam", task.loss)
    optimizer = torch.optim.Adam(theirs.parameters(), fused=True)
    one = x_torch[:1]

    def fit_by_hand() -> None:
        train(task, theirs, optimizer, x_torch, y_torch)

    def predict_by_hand() -> None:
        predict(task, theirs, x_torch)

    def fit() -> None:
        ours.fit(x, y, batch_size=task.batch, verbose=0)

    found = {}
    sides = {
        "fit": (fit_by_hand, kept(fit_by_hand), fit),
        "predict": (predict_by_hand, kept(predict_by_hand), lambda: ours.predict(x, task.batch, verbose=0)),
    }
    for what, three in sides.items():
        for side in three:
            side()
        times = rounds(three, seconds=SECONDS[what], least=3)
        found[what] = compare(times, 0, 2, task.steps), compare(times, 1, 2, task.steps)
    calls = [repeated(lambda: task.prediction(theirs(one)), SAMPLES), repeated(lambda: ours(one), SAMPLES)]
    with torch.inference_mode():
        for call in calls:
            call()
        found["one"] = (compare(rounds(calls, seconds=SECONDS["one"], least=3), 0, 1, SAMPLES),)
    return found


def cells(found: dict[str, tuple[Comparison, ...]]) -> list[str]:
    shown = []
    for plain, *same in found.values():
        ours, theirs = plain.ours * 1e3, plain.theirs * 1e3
        digits = 3 if theirs < 1 else 2 if theirs < 10 else 1
        shown += [f"{ours:.{digits}f} / {theirs:.{digits}f}", f"{plain.ratio:.2f}"]
        shown += [f"{comparison.ratio:.2f}" for comparison in same]
    return shown


def main(*arguments: str) -> int:
    part = next((argument for argument in arguments if not argument.startswith("-")), "")
    rows, missed = [], []
    for task in TASKS:
        if part.lower() in task.name.lower():
            found = measure(task)
            rows.append([task.name, *cells(found)])
            print(" ".join(rows[-1]), file=sys.stderr, flush=True)
            for what, (plain, *_) in found.items():
                if plain.ratio > BUDGETS[what] + NOISE:
                    missed.append(f"{task.name}, {what}: {plain.ratio:.2f}, allowed {BUDGETS[what]:.2f}")
    note = {language: text.format(machine=machine()) for language, text in NOTE.items()}
    texts = {language: f"{table(head, rows)}\n\n{note[language]}" for language, head in HEAD.items()}
    print(texts["en"])
    print("\n".join(["", *(f"Over budget: {line}" for line in missed)]) if missed else "\nAll within budget.")
    if "--write" in arguments:
        write("bench", texts)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
