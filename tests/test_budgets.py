"""What the fast path may cost, counted: frames, torch operations, modules, lines of a plan. Times: `benchmarks/`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from support.examples import DRAWING, EXAMPLES, INSIDE, LONG, LOOPING, Example
from support.frames import frames
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import lamina as keras
from lamina import keras1, keras2, tf_keras
from lamina.layers.preprocessing.pictures import Pictures, Random
from lamina.training import replay

ROOT = Path(__file__).parents[1]
L = keras.layers
FRAMES, PICTURES, STEP, MODULES = 8, 18, 20, 71


def allowed(example: Example) -> int:
    """The frames of a call, once more for each layer run inside; some more for each step no fused kernel can take.
    Most that is drawn or computed of pictures and sounds costs a thousand frames; each goes through several methods
    that users may replace."""
    if DRAWING & {example.id, example.name} or (issubclass(example.cls, Random) and example.built().training):
        return 8 * FRAMES
    if issubclass(example.cls, Pictures):
        return PICTURES
    steps = example.args[0].sizes[0] if example.id in LOOPING else 0
    inside = INSIDE.get(example.id, INSIDE.get(example.name, 0))
    return LONG.get(example.name) or FRAMES * (1 + inside) + STEP * steps * max(inside, 1)


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example.plain], ids=lambda example: example.id)
def test_frames(example: Example) -> None:
    layer = example.built()
    (given,) = example.tensors()
    with torch.no_grad():
        layer(given)
        found = frames(lambda: layer(given))
    assert len(found) <= allowed(example), f"{len(found)} frames: {' '.join(found[:30])}"


def test_model_adds_few_frames_to_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.ones(2, 4)
    layers = [L.Dense(4, activation="relu"), L.Dropout(0.5), L.LayerNormalization(), L.Dense(3)]
    model = keras.Sequential(layers)
    with torch.no_grad():
        model(x)
        inside = 0
        for layer in layers:
            inside += len(frames(lambda layer=layer, x=x: layer(x))) - 1  # a plan goes to `call` itself
            x = layer(x)
        found = frames(lambda: model(torch.ones(2, 4)))
        with torch.enable_grad():
            learning = frames(lambda: model(torch.ones(2, 4)))
        monkeypatch.setattr(replay, "EAGER_TIME", 0.0)
        model(torch.ones(2, 4)), model(torch.ones(2, 4))
        repeated = frames(lambda: model(torch.ones(2, 4)))
    assert len(learning) <= inside + 3, " ".join(learning)
    assert len(found) <= inside + 6, " ".join(found)
    assert len(repeated) <= 10, " ".join(repeated)  # however many layers there are


MAKING = {
    "convolution": (
        lambda layers: layers.Conv2D(64, 3, padding="same", input_shape=(32, 32, 3)),
        lambda layers: layers.Convolution2D(64, 3, 3, border_mode="same", input_shape=(32, 32, 3)),
    ),
    "recurrence": (
        lambda layers: layers.LSTM(8, input_shape=(5, 3)),
        lambda layers: layers.LSTM(8, input_shape=(5, 3)),
    ),
}


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=lambda space: space.__name__)
@pytest.mark.parametrize("kind", MAKING)
def test_making_a_layer_in_old_words_adds_few_frames(kind: str, space: Any) -> None:
    """Arguments are bound and first values drawn once. The first of its kind makes the class."""
    modern, old = MAKING[kind]

    def count(space: Any, make: Any) -> int:
        space.models.Sequential([make(space.layers)])
        empty = [space.models.Sequential() for _ in range(3)]
        return len(frames(lambda: empty.pop().add(make(space.layers))))

    assert count(space, old if space is keras1 else modern) <= count(keras, modern) + 185


def test_plan_has_a_line_for_each_layer() -> None:
    model = keras.Sequential([keras.Input((4,)), L.Dense(4), L.ELU(), L.Dense(3), L.Softmax()])
    head, *lines, last = model.plan.source.strip().splitlines()
    assert head.startswith("def ")
    assert last.strip().startswith("return ")
    assert len(lines) == len(model.layers)
    assert not model._care


@pytest.mark.parametrize(("activation", "more"), [(None, 11), ("softmax", 15)])
def test_a_step_adds_few_frames_to_what_it_runs(activation: str | None, more: int) -> None:
    model = keras.Sequential([keras.Input((8,)), L.Dense(16, activation="relu"), L.Dense(4, activation=activation)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss if activation is None else "sparse_categorical_crossentropy")
    x, y = torch.randn(8, 8), torch.randint(4, (8,))
    step, weights = model.make_train_function(), model.trainable_weights
    for _ in range(2):  # the first one settles what the others rely on
        step(x, y, None)
    grads = [torch.ones_like(weight) for weight in weights]

    def backward() -> None:
        torch.autograd.backward(loss(y, model(x)))

    model_and_loss = frames(lambda: loss(y, model(x)))
    inside = len(model_and_loss) + len(frames(lambda: model.optimizer.apply(grads)))
    inside += len(frames(backward)) - len(model_and_loss)
    found = frames(lambda: step(x, y, None))
    assert len(found) <= inside + more, f"{len(found)} frames, {inside} inside: {' '.join(found)}"


SMALL_CALLS: dict[str, tuple[Any, int]] = {  # what a call on one small batch adds to the model's or the step's own
    "predict": (lambda model, x, y: model.predict(x, verbose=0), 75),
    "predict_on_batch": (lambda model, x, y: model.predict_on_batch(x), 64),
    "test_on_batch": (lambda model, x, y: model.test_on_batch(x, y), 136),
    "train_on_batch": (lambda model, x, y: model.train_on_batch(x, y), 181),
}


@pytest.mark.parametrize("name", SMALL_CALLS)
def test_a_small_batch_costs_few_frames(name: str) -> None:
    model = keras.Sequential([keras.Input((8,)), L.Dense(16, activation="relu"), L.Dense(4)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = torch.randn(8, 8), torch.randint(4, (8,))
    call, more = SMALL_CALLS[name]
    inside: Any = {"train_on_batch": model.make_train_function(), "test_on_batch": model.make_test_function()}.get(name)
    inside = (lambda: model(x)) if inside is None else lambda step=inside: step(x, y, None)
    for _ in range(2):
        inside(), call(model, x.numpy(), y.numpy())
    found = frames(lambda: call(model, x.numpy(), y.numpy()))
    with torch.set_grad_enabled(name == "train_on_batch"):
        own = frames(inside)
    assert len(found) <= len(own) + more, f"{len(found)} frames, {len(own)} inside: {' '.join(found)}"


LOADED = "from lamina.layers import Dense; from lamina.models import Sequential; from lamina.optimizers import Adam"
COUNTED = f"{LOADED}\nprint(seen.count('start'), gc.isenabled())"
MISSING = "try:\n    import lamina.nothing\nexcept ImportError:\n    print(gc.isenabled())"
FRESH = {  # what is run, each in a process of its own that has loaded torch and nothing else
    "modules": "import lamina; lamina.layers; print(*{*sys.modules} - first)",
    "rare": "import lamina; lamina.layers, lamina.models, lamina.optimizers; print(*{*sys.modules} - first)",
    "garbage": COUNTED,
    "no garbage": f"gc.disable()\n{COUNTED}",
    "missing": MISSING,
}
START = """
import gc, os, sys, torch
first, seen, codes = {*sys.modules}, [], sys.argv[1:]
gc.callbacks.append(lambda phase, _: seen.append(phase))
for code in codes:
    if os.fork() == 0:
        seen.clear()
        exec(code)
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def told() -> dict[str, list[str]]:
    """The words that each of the codes prints."""
    command = [sys.executable, "-c", START, *FRESH.values()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(zip(FRESH, map(str.split, done.stdout.splitlines()), strict=True))


def test_import_loads_few_modules(told: dict[str, list[str]]) -> None:
    assert len(told["modules"]) <= MODULES, sorted(told["modules"])
    assert {name.partition(".")[0] for name in told["modules"]} - sys.stdlib_module_names == {"lamina"}


def test_import_leaves_rare_libraries_alone(told: dict[str, list[str]]) -> None:
    rare = {"rich", "h5py", "matplotlib", "yaml", "libcst", "tensorflow"}
    assert "lamina.optimizers" in told["rare"] and not rare & {*told["rare"]}


def test_loading_collects_no_garbage(told: dict[str, list[str]]) -> None:
    """Else the collector would go through all of torch's objects."""
    collected, enabled = told["garbage"]
    assert int(collected) <= 6 and enabled == "True"  # 40 without; after each of the three a new object begins one
    assert told["no garbage"] == ["0", "False"]


def test_a_module_that_is_not_there_leaves_the_collector_on(told: dict[str, list[str]]) -> None:
    assert told["missing"] == ["True"]


class Operations(TorchDispatchMode):
    """Counts the operations that torch runs inside, views aside."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view:
            self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("make", "twin", "shape"),
    [
        (lambda: L.Dense(8), lambda: nn.Linear(8, 8), (2, 8)),
        (lambda: L.Conv2D(8, 3, data_format="channels_first"), lambda: nn.Conv2d(4, 8, 3), (1, 4, 8, 8)),
        (lambda: L.LayerNormalization(), lambda: nn.LayerNorm(8), (2, 8)),
        (lambda: L.LSTM(8, return_sequences=True), lambda: nn.LSTM(8, 8, batch_first=True), (2, 8, 8)),
    ],
    ids=["Dense", "Conv2D", "LayerNormalization", "LSTM"],
)
def test_a_call_runs_about_the_operations_of_the_torch_twin(make: Any, twin: Any, shape: tuple) -> None:
    x, layer, module = torch.randn(shape), make(), twin()
    with torch.no_grad():
        layer(x)
        with Operations() as ours:
            layer(x)
        with Operations() as theirs:
            module(x)
    assert len(ours.names) <= len(theirs.names) + 1, f"{ours.names} for {theirs.names}"
