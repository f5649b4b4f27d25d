"""Thirteen models on Lamina and on its peers: PyTorch by hand, compiled, Keras 3 on torch, JAX, TensorFlow, tf_keras.

    fit      a training step with Adam, batches drawn from shuffled NumPy arrays
    predict  a batch
    tensor   one sample, a tensor of the engine: model(x)
    array    one sample, a NumPy array, its prediction as one: model(x, training=False)
    small    one sample, a NumPy array: predict(x)

Each side is a process in an environment of its own (`make bench` makes them in .bench), with its default number of
threads, stopped while another one works; all alternate in one run, the Keras sides run the same code. PyTorch by hand
is eager, in channels-last memory, with in-place ReLUs, fused Adam, the loss taken from logits, inference mode; calls
of one sample on torch are made without gradients on all sides. Medians of times; the ratio is the median over rounds
of Lamina's time to that of the fastest peer. Lamina's `fit` and `predict` keep freed buffers, a loop by hand usually
does not: "buffers kept" is the same loop with malloc told so, for information. With --start: from the start of a
process to the end of the import, and to the end of the first step.

With --device cuda, on a GPU: there the data of the loop by hand lie on the device, "as graphs" is the same loop with
every step and every prediction one CUDA graph, for information, and 128 steps are an epoch. Peers without an
environment in .bench run in this one, as far as they are installed.

A comparison may be put together: --results FILE takes in what is measured now and shows all that is in it.
Exits with 1 where a goal is missed by more than the noise.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from _ab import rounds
from _models import TASKS, Task
from _readme import machine, table, write
from _side import Side, python_of, serve, started

KEPT = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}


class Peer(NamedTuple):
    """What it is called, its environment ("": Lamina's), its package and the environment variables it needs."""

    name: str
    environment: str
    package: str
    told: dict[str, str]
    counts: bool = True


OURS, HAND, KEEPING, GRAPHS = "Lamina", "PyTorch", "buffers kept", "as graphs"
PEERS = (
    Peer(OURS, "", "lamina", {}),
    Peer(HAND, "", "torch", {}),
    Peer(KEEPING, "", "torch", KEPT, counts=False),
    Peer("compiled", "", "compiled", {}),
    Peer(GRAPHS, "", "graphs", {}, counts=False),
    Peer("Keras 3 torch", "keras", "keras", {"KERAS_BACKEND": "torch"}),
    Peer("Keras 3 JAX", "jax", "keras", {"KERAS_BACKEND": "jax"}),
    Peer("Keras 3 TF", "tensorflow", "keras", {"KERAS_BACKEND": "tensorflow"}),
    Peer("tf_keras", "tensorflow", "tf_keras", {"TF_USE_LEGACY_KERAS": "1"}),
)
ON_GPU = {OURS, HAND, GRAPHS, "Keras 3 torch", "Keras 3 JAX"}
SECONDS = {"fit": 22.0, "predict": 9.0, "tensor": 3.0, "array": 3.0, "small": 3.0}  # for eight sides
GOALS = {"fit": 1.0, "predict": 1.0, "tensor": 1.05, "array": 1.05, "small": 1.5}
STARTS = ("import", "first step")
STEPS_ON_GPU = 128
FIRST, STARTED = TASKS[1], 5  # whose first step --start waits for, and how often
NOISE = 0.03
MOMENT = 0.02  # seconds of one timing of single calls
WARM = 10  # moments before the first that counts

TITLES = {
    "fit": "`fit`, ms a step",
    "predict": "`predict`, ms a batch",
    "tensor": "One sample, `model(tensor)`, ms",
    "array": "One sample, `model(array, training=False)`, ms",
    "small": "One sample, `predict(array)`, ms",
    "import": "From the start of a process to the end of the import, ms",
    "first step": "From the start of a process to the end of the first step, ms",
}
SHORT = ("fit", "predict", "array")
SHORT_HEAD = {
    "en": ["Lamina / the fastest peer", "`fit`, ms a step", "ratio", "`predict`, ms a batch", "ratio",
           "one sample, ms", "ratio"],
    "zh": ["Lamina / 最快的对手", "`fit` (毫秒/步)", "比值", "`predict` (毫秒/批)", "比值", "单个样本 (毫秒)", "比值"],
}  # fmt: skip
SHORT_NOTE = {
    "en": "{where}; `make bench`. Peers: PyTorch by hand, eager and compiled; Keras 3 on torch, JAX and TensorFlow; "
    "tf_keras. A ratio below 1: Lamina is faster than all of them; peers that win are bold. "
    "All numbers: [docs/peers.md](docs/peers.md).",
    "zh": "{where}。`make bench`。对手: 手写 PyTorch (即时执行和编译), Keras 3 (torch, JAX, TensorFlow), tf_keras。"
    "比值小于 1 表示 Lamina 比它们都快, 更快的对手以粗体标出。全部数据见 [docs/peers.md](docs/peers.md)。",
}
GPU_NOTE = {
    "en": "{where}; `python benchmarks/peers.py --device cuda`. Peers: PyTorch by hand, Keras 3 on torch and on JAX; "
    '128 steps an epoch. "graph": the loop by hand with every step as one CUDA graph. All numbers: '
    "[docs/peers.md](docs/peers.md).",
    "zh": "{where}。`python benchmarks/peers.py --device cuda`。对手: 手写 PyTorch, Keras 3 (torch, JAX); 每轮 128 步。"
    "“CUDA 图”: 手写循环, 每步录制为一个 CUDA 图。全部数据见 [docs/peers.md](docs/peers.md)。",
}
GRAPH = {"en": "graph", "zh": "CUDA 图"}
MEAN = {"en": "geometric mean", "zh": "几何平均"}


Calls = dict[str, tuple[Callable[[], Any], int]]  # by phase; how many steps a call is (0: one of several single calls)


def by_keras(task: Task, package: str, device: str) -> Calls:
    import numpy as np

    keras = importlib.import_module(package)
    model = task.model(keras)
    if package == "lamina":
        model.to(device)
    model.compile("adam", task.loss)
    x, y = task.data(task.batch * task.steps)
    one = x[:1]
    if package == "lamina":
        tensor: Any = importlib.import_module("torch").from_numpy(one).to(device)
    else:
        tensor = sys.modules["tensorflow"].constant(one) if package == "tf_keras" else keras.ops.convert_to_tensor(one)
    jax, torch = sys.modules.get("jax"), sys.modules.get("torch")

    def ready(outputs: Any) -> Any:
        if jax is not None:
            return jax.block_until_ready(outputs)
        if device == "cuda" and torch is not None:
            torch.cuda.synchronize()
        return outputs

    def as_array(outputs: Any) -> np.ndarray:
        return np.asarray(outputs.cpu() if device == "cuda" and torch is not None else outputs)

    return {
        "fit": (lambda: model.fit(x, y, batch_size=task.batch, verbose=0), task.steps),
        "predict": (lambda: model.predict(x, batch_size=task.batch, verbose=0), task.steps),
        "tensor": (lambda: ready(model(tensor)), 0),
        "array": (lambda: as_array(model(one, training=False)), 0),
        "small": (lambda: model.predict(one, verbose=0), 0),
    }


def by_hand(task: Task, package: str, device: str) -> Calls:
    import torch
    from _twins import predict, prediction, train, twin

    model: Any = twin(task).to(device)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    if package == "compiled":
        torch._dynamo.config.recompile_limit = 100  # of code that all models share; beyond it nothing is compiled
        model = torch.compile(model, dynamic=False)
    x, y = (torch.from_numpy(part).to(device) for part in task.data(task.batch * task.steps))
    one, array = x[:1], x[:1].numpy(force=True)

    def ready(outputs: torch.Tensor) -> torch.Tensor:
        if device == "cuda":
            torch.cuda.synchronize()
        return outputs

    return {
        "fit": (lambda: train(task, model, optimizer, x, y), task.steps),
        "predict": (lambda: predict(task, model, x), task.steps),
        "tensor": (lambda: ready(prediction(task, model(one))), 0),
        "array": (lambda: prediction(task, model(torch.from_numpy(array).to(device))).numpy(force=True), 0),
        "small": (lambda: predict(task, model, one), 0),
    }


def by_graphs(task: Task, package: str, device: str) -> Calls:
    import torch
    from _twins import predictor_by_graph, trainer_by_graph, twin

    model = twin(task).to(device)
    optimizer = torch.optim.Adam(model.parameters(), fused=True, capturable=True)
    x, y = (torch.from_numpy(part).to(device) for part in task.data(task.batch * task.steps))
    one, array = x[:1], x[:1].numpy(force=True)
    of_batch, of_one = (predictor_by_graph(task, model, part) for part in (x[: task.batch], one))
    epoch = trainer_by_graph(task, model, optimizer, x, y)

    def alone() -> Any:
        return of_one(torch.from_numpy(array).to(device)).numpy(force=True)

    def ready(outputs: torch.Tensor) -> torch.Tensor:
        torch.cuda.synchronize()
        return outputs

    return {
        "fit": (epoch, task.steps),
        "predict": (lambda: torch.cat([*map(of_batch, x.split(task.batch))]).numpy(force=True), task.steps),
        "tensor": (lambda: ready(of_one(one)), 0),
        "array": (alone, 0),
        "small": (alone, 0),
    }


def calls(task: Task, package: str, device: str = "cpu") -> Calls:
    made = {"torch": by_hand, "compiled": by_hand, "graphs": by_graphs}.get(package, by_keras)
    return made(task if device == "cpu" else task._replace(steps=STEPS_ON_GPU), package, device)


def timed(call: Callable[[], Any], steps: int) -> float:
    """Seconds of a step; of single calls as many as fit into a moment."""
    count, start = 0, time.perf_counter()
    while True:
        call()
        count += 1
        passed = time.perf_counter() - start
        if steps or passed > MOMENT:
            return passed / (steps or count)


def seconds_of_phase(made: Calls, phase: str, package: str) -> float:
    """Single calls on torch are made without gradients."""
    torch = sys.modules.get("torch")
    if torch is None or phase not in ("tensor", "array"):
        return timed(*made[phase])
    with torch.inference_mode() if package in ("torch", "compiled", "graphs") else torch.no_grad():
        return timed(*made[phase])


def work(package: str, device: str) -> None:
    """One side. Answers [] with its version, [task] when each phase has run, [task, phase] with seconds."""
    made: dict[int, Calls] = {}

    def answer(question: list[Any]) -> Any:
        if not question:
            return importlib.import_module("torch" if package in ("compiled", "graphs") else package).__version__
        index, *phases = question
        if not phases:
            made.clear()  # and the memory of the model before
            made[index] = calls(TASKS[index], package, device)
            for phase in made[index]:
                for _ in range(1 if made[index][phase][1] else WARM):  # what is recorded or compiled is so from here on
                    seconds_of_phase(made[index], phase, package)
            return 0.0
        return seconds_of_phase(made[index], phases[0], package)

    serve(answer)


def start(package: str) -> None:
    """A process of its own, which says when the package is imported and when a step is done."""
    getattr(importlib.import_module(package), "layers", None)  # which Lamina loads on first use, torch with it
    print(STARTS[0], flush=True)
    calls(FIRST._replace(steps=1), package)["fit"][0]()
    print(STARTS[1], flush=True)


Rounds = dict[str, list[float]]  # seconds of each peer, round by round; no peer that failed


def prepared(sides: dict[str, Side], index: int) -> dict[str, Side]:
    """Each side has the model made and each phase run once, alone; without those that cannot."""
    able = {}
    for name, side in sides.items():
        try:
            side.ask([index])
            able[name] = side
        except RuntimeError as error:
            print(f"{name}: {error}", file=sys.stderr)
    return able


def measured(able: dict[str, Side], index: int, share: float) -> dict[str, Rounds]:
    """All phases of one model."""
    found = {}
    for phase, seconds in SECONDS.items():

        def timed(side: Side, phase: str = phase) -> float:
            return side.ask([index, phase])

        times = rounds([*able.values()], seconds=seconds * share, least=3, timed=timed)
        found[phase] = dict(zip(able, map(list, zip(*times, strict=True)), strict=True))
    return found


def started_anew(peers: Sequence[Peer], times: int) -> dict[str, Rounds]:
    """From the start of a process to the end of the import and of the first step."""
    peers = [peer for peer in peers if peer.counts and peer.package != "compiled"]
    found: dict[str, Rounds] = {what: {peer.name: [] for peer in peers} for what in STARTS}
    for turn in range(times + 1):
        for peer in peers[:: 1 if turn % 2 else -1]:
            begin = time.perf_counter()
            process = started(python_of(peer.environment), "peers.py", "--begin", peer.package, **peer.told)
            assert process.stdout is not None
            for what in STARTS:
                if process.stdout.readline().strip() != what:
                    raise RuntimeError(f"{peer.name} ended with {process.wait()} before the end of its {what}.")
                if turn:  # the first compiles files and fills the system's cache
                    found[what][peer.name].append(time.perf_counter() - begin)
            process.communicate()
    return found


class Row(NamedTuple):
    """Medians of all peers, which of those that count is the fastest, and Lamina's ratio to it."""

    times: dict[str, float]
    fastest: str
    ratio: float


def row(times: Rounds) -> Row:
    middle = {name: statistics.median(of) for name, of in times.items()}
    peers = [peer.name for peer in PEERS if peer.counts and peer.name in middle and peer.name != OURS]
    fastest = min(peers, key=middle.__getitem__)
    pairs = zip(times[OURS], times[fastest], strict=True)
    return Row(middle, fastest, statistics.median(ours / theirs for ours, theirs in pairs))


def shown(seconds: float) -> str:
    ms = 1e3 * seconds
    return f"{ms:.{3 if ms < 1 else 2 if ms < 10 else 1 if ms < 100 else 0}f}"


def cells(found: Row, names: Sequence[str]) -> list[str]:
    """Milliseconds of the named peers and the ratio; a peer that wins is bold."""
    texts = [shown(found.times[name]) if name in found.times else "absent" for name in names]
    wins = found.fastest if found.ratio > 1 else None
    return [
        *(f"**{text}**" if name == wins else text for name, text in zip(names, texts, strict=True)),
        f"{found.ratio:.2f}",
    ]


Models = dict[str, dict[str, Rounds]]


def mean(rows: Iterable[Row]) -> str:
    return f"{statistics.geometric_mean(each.ratio for each in rows):.2f}"


def long_form(models: Models) -> str:
    """A table for each phase."""
    names = [
        peer.name for peer in PEERS if any(peer.name in times for each in models.values() for times in each.values())
    ]
    tables = []
    for phase, title in TITLES.items():
        rows = {name: row(found[phase]) for name, found in models.items() if phase in found}
        if rows:
            lines = [[name, *cells(each, names)] for name, each in rows.items()]
            lines.append([MEAN["en"], *[""] * len(names), mean(rows.values())])
            tables.append(table([title, *names, "ratio"], lines))
    return "\n\n".join(tables)


def short_form(models: Models, language: str, graphs: bool = False) -> str:
    """Lamina and the fastest peer; with `graphs` also what one CUDA graph a step takes."""
    lines, means = [], []
    phases = SHORT[:2] if graphs else SHORT
    for name, found in models.items():
        rows = [row(found[phase]) for phase in phases]
        lines.append([name])
        for each in rows:
            ours, theirs, ratio = cells(each, (OURS, each.fastest))
            lines[-1] += [f"{ours} / {theirs} {each.fastest}", ratio]
            if graphs:
                lines[-1].append(shown(each.times[GRAPHS]) if GRAPHS in each.times else "-")
    for phase in phases:
        means += ["", mean(row(found[phase]) for found in models.values()), *[""] * graphs]
    head, *titles = SHORT_HEAD[language]
    if graphs:
        titles = titles[: 2 * len(phases)]
        titles = [title for pair in zip(titles[::2], titles[1::2], strict=True) for title in (*pair, GRAPH[language])]
    return table([head, *titles], [*lines, [MEAN[language], *means]])


def missed(models: Models) -> list[str]:
    """What is above its goal by more than the noise."""
    found = [(f"{name}, {phase}", row(models[name][phase]).ratio, goal)
             for name in models for phase, goal in GOALS.items() if phase in models[name]]  # fmt: skip
    return [f"{what}: {ratio:.2f}, allowed {goal:.2f}" for what, ratio, goal in found if ratio > goal + NOISE]


def versions_and_models(
    peers: Sequence[Peer], indices: Sequence[int], share: float, device: str
) -> Iterator[tuple[dict[str, str], Models]]:
    """Measures one model after another; after each what is new."""
    sides: dict[str, Side] = {}
    told = {} if device == "cpu" else {"CUDA_VISIBLE_DEVICES": "0", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    try:
        for peer in peers:
            sides[peer.name] = Side(interpreter(peer, device), "peers.py", peer.package, device, **peer.told, **told)
            sides[peer.name].send([])
        versions = {name: side.answer() for name, side in sides.items()}
        for index in indices:
            print(TASKS[index].name, file=sys.stderr, flush=True)
            able = prepared(sides, index)
            yield versions, {TASKS[index].name: measured(able, index, share * len(able) / len(PEERS))}
    finally:
        for side in sides.values():
            side.close()


def interpreter(peer: Peer, device: str) -> str:
    """The one that a peer runs in; "" where there is none, or the peer does not run on that device."""
    if device == "cpu":
        return "" if peer.name == GRAPHS else python_of(peer.environment)
    found = python_of(peer.environment) or (python_of("") if importlib.util.find_spec(peer.package) else "")
    return found if peer.name in ON_GPU else ""


def taken(results: dict[str, Any], chosen: argparse.Namespace) -> Iterator[None]:
    """Measures what is chosen and puts it into the results, after each model."""
    peers = [peer for peer in PEERS if interpreter(peer, chosen.device)]
    if chosen.quick:
        peers = [peer for peer in peers if peer.name in (OURS, HAND, KEEPING)]
    parts = [part.lower() for part in chosen.parts or [""]]
    indices = [index for index, task in enumerate(TASKS) if any(part in task.name.lower() for part in parts)]
    for versions, models in versions_and_models(peers, [] if chosen.start else indices, chosen.share, chosen.device):
        results["versions"].update(versions)
        for name, found in models.items():
            results["models"].setdefault(name, {}).update(found)
        yield
    if chosen.start or not (chosen.parts or chosen.quick or chosen.device != "cpu"):
        results["models"].setdefault(FIRST.name, {}).update(started_anew(peers, chosen.start or STARTED))
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="measure the models whose names contain one of these")
    parser.add_argument("--quick", action="store_true", help="only Lamina and PyTorch by hand")
    parser.add_argument("--start", type=int, default=0, metavar="ROUNDS", help="measure the starts of processes alone")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--results", type=Path, help="a file of JSON that takes in what is measured")
    parser.add_argument("--show", action="store_true", help="measure nothing")
    parser.add_argument("--share", type=float, default=1.0, help="of the usual time")
    parser.add_argument("--write", action="store_true", help="tables into docs/peers.md and the READMEs")
    chosen = parser.parse_args()
    results: dict[str, Any] = {"models": {}, "versions": {}, "where": "" if chosen.show else machine(chosen.device)}
    if chosen.results and chosen.results.exists():
        results = json.loads(chosen.results.read_text())
    for _ in () if chosen.show else taken(results, chosen):
        if chosen.results:
            chosen.results.write_text(json.dumps(results))
    models: Models = {task.name: results["models"][task.name] for task in TASKS if task.name in results["models"]}
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    text = f"{long_form(models)}\n\n{results['where']}; {versions}."
    print(text)
    if chosen.write:
        on_gpu = chosen.device == "cuda"
        write("gpu-peers" if on_gpu else "peers", {"docs": text})
        for language, note in (GPU_NOTE if on_gpu else SHORT_NOTE).items():
            short = f"{short_form(models, language, on_gpu)}\n\n{note.format(where=results['where'])}"
            write("gpu" if on_gpu else "bench", {language: short})
    over = missed(models)
    print("\n".join(["", *(f"Over its goal: {line}" for line in over)]) if over else "\nAll goals are met.")
    return bool(over)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        work(*sys.argv[2:4])
    elif sys.argv[1:2] == ["--begin"]:
        start(sys.argv[2])
    else:
        sys.exit(main())
