"""The room of measurements: what is compared computes the same, and the tables say what was measured."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lamina as keras

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import growth
import peers
from _models import HEADS, TASKS, Task
from _side import Side, python_of
from _twins import Causal, ConvLSTM, LocallyConnected, Residual, Transformer, loss_of_logits, prediction, twin

SCRIPTS = sorted(path.stem for path in Path(peers.__file__).parent.glob("[a-z]*.py"))


def of_module(module: nn.Module) -> Iterator[Tensor]:
    """The weights of a twin in the order and the shapes of Keras."""
    if isinstance(module, Residual):  # layers stand by depth
        body, short = [*module.body], [*module.shortcut.children()]
        for part in (*body[:3], *short[:1], *body[3:4], *short[1:], *body[4:]):
            yield from of_module(part)
    elif isinstance(module, Transformer):
        width = module.three.in_features
        for weight, bias in zip(module.three.weight.chunk(3), module.three.bias.chunk(3), strict=True):
            yield from (weight.t().reshape(width, HEADS, -1), bias.view(HEADS, -1))
        yield from (module.back.weight.t().reshape(HEADS, -1, width), module.back.bias)
        for part in (module.first, module.wide, module.narrow, module.second, module.head):
            yield from of_module(part)
    elif isinstance(module, Causal):  # pictures of one row
        for part in (module.first, *module.stack, module.last):
            kernel, bias = of_module(part)
            yield from (kernel.squeeze(0), bias)
    elif isinstance(module, ConvLSTM):
        kernel, bias = of_module(module.inputs)
        yield from (kernel, *of_module(module.state), bias)
    elif isinstance(module, LocallyConnected):
        yield from (module.weight, module.bias.view(module.rows, module.rows, -1))
    elif isinstance(module, nn.LSTM | nn.GRU):
        for end in ("", "_reverse")[: 1 + module.bidirectional]:
            inner, state, *biases = (getattr(module, f"{part}_l0{end}") for part in _RECURRENT)
            if isinstance(module, nn.LSTM):
                yield from (inner.t(), state.t(), biases[0] + biases[1])
            else:
                yield from (_gates(inner).t(), _gates(state).t(), torch.stack([*map(_gates, biases)]))
    elif isinstance(module, nn.modules.conv._ConvNd):
        axes = [*range(2, module.weight.ndim)]
        apart = module.groups > 1
        yield module.weight.permute(*axes, *((0, 1) if apart else (1, 0)))
        yield from () if module.bias is None else (module.bias,)
    elif isinstance(module, nn.Linear):
        yield from (module.weight.t(), module.bias)
    elif [*module.children()]:
        for part in module.children():
            yield from of_module(part)
    else:
        yield from module.parameters()
        yield from (buffer for buffer in module.buffers() if buffer.ndim)


_RECURRENT = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _gates(weight: Tensor) -> Tensor:
    """torch's order of a GRU's gates in Keras' order."""
    reset, update, new = weight.chunk(3)
    return torch.cat((update, reset, new))


def both(task: Task) -> tuple[Any, nn.Module]:
    ours, theirs = task.model(keras), twin(task).eval()
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.add_(0.01 * torch.randn_like(weight))
    ours.set_weights([weight.detach().numpy() for weight in of_module(theirs)])
    return ours, theirs


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.model.__name__)
def test_a_model_and_its_twin_by_hand_compute_the_same(task: Task) -> None:
    ours, theirs = both(task)
    x, y = map(torch.from_numpy, task.data(4))
    with torch.no_grad():
        outputs = theirs(x)
    torch.testing.assert_close(ours(x, training=False), prediction(task, outputs), rtol=1e-4, atol=1e-5)
    ours.compile("adam", task.loss)
    loss = ours.evaluate(x.numpy(), y.numpy(), verbose=0)
    assert loss == pytest.approx(float(loss_of_logits(task, outputs, y)), rel=1e-4)


@pytest.mark.parametrize("package", ["lamina", "torch"])
@pytest.mark.parametrize("index", [0, 7, 12])
def test_every_phase_of_a_side_runs(index: int, package: str) -> None:
    found = peers.calls(TASKS[index]._replace(steps=1, batch=2), package)
    assert [*found] == [*peers.SECONDS] == [*peers.GOALS]
    assert all(peers.seconds_of_phase(found, phase, package) > 0 for phase in found)


def test_a_side_answers_is_stopped_and_says_what_fails(tmp_path: Path) -> None:
    script, rooms = tmp_path / "script.py", str(Path(peers.__file__).parent)
    room = f"import sys; sys.path.insert(0, {rooms!r}); from _side import serve\n"
    script.write_text(room + "serve(lambda number: 1 / number if number < 9 else exit())")
    side = Side(python_of(""), str(script))
    try:
        assert side.ask(4) == 0.25
        state = Path(f"/proc/{side._process.pid}/stat")
        if state.exists():
            while state.read_text().rsplit(")", 1)[1].split()[0] in "RS":  # the signal is on its way
                pass
            assert state.read_text().rsplit(")", 1)[1].split()[0] == "T"
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            side.ask(0)
        with pytest.raises(RuntimeError, match="ended with"):
            side.ask(9)
        assert side.ask(2) == 0.5
    finally:
        side.close()


def test_the_tables_name_the_fastest_peer_that_counts() -> None:
    times = {
        "Lamina": [2e-3, 3e-3, 4e-3], "PyTorch": [3e-3, 3e-3, 3e-3], "buffers kept": [1e-3] * 3, "tf_keras": [4e-3] * 3,
    }  # fmt: skip
    found = peers.row(times)
    assert (found.fastest, found.ratio) == ("PyTorch", 1.0)
    slow = {**times, "tf_keras": [1e-3, 1.5e-3, 2e-3]}
    assert peers.cells(peers.row(slow), ["Lamina", "tf_keras", "Keras 3 JAX"]) == ["3.00", "**1.50**", "absent", "2.00"]
    models = {TASKS[0].name: dict.fromkeys(peers.SECONDS, times), TASKS[1].name: dict.fromkeys(peers.SECONDS, slow)}
    assert "| geometric mean |  | 1.41 |" in peers.short_form(models, "en")
    assert "3.00 / **1.50** tf_keras | 2.00" in peers.short_form(models, "zh")
    assert peers.long_form(models).count("1.41") == len(peers.SECONDS)
    assert len(peers.missed(models)) == len(peers.GOALS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_can_be_loaded(script: str) -> None:
    importlib.import_module(script)


@pytest.mark.parametrize("side", ["lamina", "torch"])
@pytest.mark.parametrize("axis", ["batch", "length"])
def test_growing_models_learn_on_both_sides(side: str, axis: str) -> None:
    sizes = {"batch": 2, "channels": 3, "depth": 2, "length": 5}
    pair = (growth.recurrence if axis == "length" else growth.convolutions)(**sizes)
    found = growth.step(side, pair, 2)
    assert found["seconds"] > 0
