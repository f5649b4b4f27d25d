"""The bar of `fit`: on terminals wide and narrow, in notebooks, in pipes, where letters are few."""

from __future__ import annotations

import importlib
import io
import itertools
import re
import sys
import types

import numpy as np
import pytest
import torch
from support.watch import Watch

import lamina as keras
from lamina import layers as L
from lamina.training.progress import Progress

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
NAME = "a_metric_of_which_the_name_is_long"


class Screen(io.TextIOWrapper):
    """Takes what is printed, as a terminal does."""

    def __init__(self, encoding="utf-8", terminal=True):
        super().__init__(io.BytesIO(), encoding=encoding, newline="", write_through=True)
        self._terminal = terminal

    def isatty(self):
        return self._terminal

    @property
    def raw(self):
        return self.buffer.getvalue().decode(self.encoding)

    def lines(self):
        """What stood on a line at some time, without colours."""
        return [line for line in re.split(r"[\r\n]+", ESCAPES.sub("", self.raw)) if line.strip()]


@pytest.fixture(autouse=True)
def watch(monkeypatch):
    """What a bar says of time does not depend on how busy the machine is."""
    made = Watch()
    monkeypatch.setattr("lamina.training.progress.time", made)
    return made


@pytest.fixture
def screen(monkeypatch):
    def make(columns=100, notebook=False, **options):
        made = Screen(**options)
        monkeypatch.setattr(sys, "stdout", made)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            monkeypatch.delenv(name, raising=False)
        if notebook:
            monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
        else:
            monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
        return made

    return make


def shown(screen, target=16, steps=(4, 16), name=NAME, **options):
    """The lines of a pass whose bar is drawn at each of some steps."""
    progress = Progress(target, 1, interval=-1, **options)
    for step in steps:
        progress.update(step, lambda: {"loss": 0.5, name: 1.0, f"{name}_again": 2.0})
    progress.tell(steps[-1], "validation 3/7")
    progress.finish(steps[-1], {"loss": 0.25})
    return screen.lines()


@pytest.mark.parametrize("columns", [100, 60, 45, 30])
def test_the_bar_is_there_on_narrow_terminals(screen, columns):
    lines = shown(screen(columns))
    assert all(len(line) <= columns for line in lines[:-1])
    early, *_ = (line for line in lines if " 4/16" in line)
    assert re.search(r"[━╸╺]{6,}", early)
    aside, *_ = (line for line in lines if line.startswith("16/16") and "valid" in line)
    assert "━" in aside and lines[-1].startswith("16/16 - 0s") and lines[-1].endswith("loss: 0.2500")
    if columns >= 45:
        assert "loss: 0.5" in early
    if columns == 45:
        assert "…" in early


def test_nothing_of_the_bar_stays(screen):
    terminal = screen()
    shown(terminal)
    assert terminal.raw.rstrip().endswith("loss: 0.2500") and "\x1b[2K" in terminal.raw
    assert terminal.raw.count("\x1b[?25h") == terminal.raw.count("\x1b[?25l") == 1  # the cursor is back


def test_an_unknown_number_of_steps(screen):
    lines = shown(screen(), target=None)
    assert any("4/?" in line for line in lines) and lines[-1].startswith("16/16")
    lines = shown(screen(notebook=True), target=None)
    assert any(line.startswith("4/? 0us") or re.match(r"4/\? \d+", line) for line in lines)


def test_terminals_with_few_letters(screen):
    lines = shown(screen(45, encoding="ascii"), name="精度")
    assert any("4/16" in line and "----" in line for line in lines) and "━" not in "".join(lines)
    terminal = screen(encoding="ascii")
    Progress(2, 2).finish(2, {"精度": 1.0})
    assert "??: 1.0000" in terminal.raw


def test_notebooks_have_one_line_without_escapes(screen):
    terminal = screen(notebook=True, terminal=False)
    lines = shown(terminal)
    assert "\x1b" not in terminal.raw and terminal.raw.count("\n") == 1
    assert lines[0].startswith("4/16 ━━━━━───────────────") and "loss: 0.5" in lines[0]
    assert any("validation 3/7" in line for line in lines)
    # What is written over a longer line covers it to its end.
    parts = terminal.raw.split("\r")
    assert all(len(b) >= len(a.rstrip()) for a, b in itertools.pairwise(parts[:-1]))


def test_names_in_brackets_are_no_markup(screen):
    assert any("[bold]: 1.0" in line for line in shown(screen(), name="[bold]"))


def model():
    made = keras.Sequential([keras.Input((2,)), L.Dense(1)])
    made.compile("sgd", "mse")
    return made


class Slow(keras.callbacks.Callback):
    """So slow that the bar is drawn."""

    def on_train_batch_end(self, batch, logs=None):
        self.model._slow()

    on_test_batch_end = on_train_batch_end


@pytest.mark.parametrize("notebook", [False, True])
def test_fit_shows_training_and_validation(screen, notebook, watch):
    terminal, trained = screen(notebook=notebook, terminal=not notebook), model()
    object.__setattr__(trained, "_slow", lambda: watch.sleep(0.06))
    x = np.zeros((8, 2), "float32")
    trained.fit(x, x[:, 0], batch_size=2, epochs=2, validation_data=(x[:6], x[:6, 0]), callbacks=[Slow()])
    lines = terminal.lines()
    assert lines[0] == "Epoch 1/2" and sum(line.startswith("4/4 - ") for line in lines) == 2
    assert any(re.search(r"[1-4]/4 ━.*ms/step  loss: ", line) for line in lines)
    assert any(re.search(r"4/4 ━.*validation [1-4]/", line) for line in lines)
    assert "val_loss" in lines[-1]


@pytest.mark.parametrize("verbose, expected", [(0, 0), (1, 1), (2, 1), ("auto", 1)])
def test_pipes_get_a_line_an_epoch(screen, verbose, expected):
    pipe, x = screen(terminal=False), np.zeros((8, 2), "float32")
    model().fit(x, x[:, 0], verbose=verbose, validation_split=0.5)
    lines = pipe.lines()
    assert len(lines) == expected and "\x1b" not in pipe.raw
    assert not lines or ("loss: " in lines[0] and "val_loss: " in lines[0])


@pytest.mark.parametrize(
    ("home", "options", "shown"),
    [
        ("lamina", {}, "a: 4.0000 - b: 2.0000"),  # at the end what came last; b came once, for two steps
        ("lamina", {"finalize": False}, "a: 3.3333 - b: 2.0000"),
        ("lamina", {"stateful_metrics": ["a"], "finalize": False}, "a: 4.0000 - b: 2.0000"),
        ("lamina", {"stateless_metrics": ["b"], "finalize": False}, "a: 4.0000 - b: 2.0000"),
        ("lamina.tf_keras", {}, "a: 3.3333 - b: 2.0000"),
        ("lamina.keras2", {"stateful_metrics": ["a"]}, "a: 4.0000 - b: 2.0000"),
        ("lamina.keras2", {}, "a: 3.3333 - b: 2.0000"),
        ("lamina.keras1", {}, "a: 3.3333 - b: 2.0000"),
    ],
)
def test_bars_of_own_loops_show_means_over_steps(capsys, home, options, shown):
    """Keras 3.15, tf_keras 2.21, 2.3.1 and 1.2.2 show these; a step of two counts twice."""
    finalize = options.pop("finalize", None)
    bar = importlib.import_module(home).utils.Progbar(5, verbose=2, **options)
    bar.update(1, [("a", 2.0)])
    bar.update(3, [("a", torch.tensor(4.0, requires_grad=True)), ("b", 2.0)])
    if finalize is False:
        bar.update(4, [], finalize=True)
    else:
        bar.update(5, [("a", 3.3333333 if "3.3" in shown else 4.0)])
    assert capsys.readouterr().out.strip().endswith(shown)
    with pytest.raises(ValueError, match="not both"):
        keras.utils.Progbar(5, stateful_metrics=["a"], stateless_metrics=["b"])
