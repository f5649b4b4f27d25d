"""`lamina.profile` and `lamina profile`: times of layers, held against layers that take a known time."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from support.watch import Watch

import lamina as keras
from lamina import cli, keras1, profile
from lamina import layers as L

PAUSE = 0.02  # seconds
WATCH = Watch()


class _Pausing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, forward, backward):
        ctx.backward_pause = backward
        WATCH.sleep(forward)
        return x * 1.0

    @staticmethod
    def backward(ctx, gradient):
        WATCH.sleep(ctx.backward_pause)
        return gradient, None, None


class Pause(L.Layer):
    def __init__(self, forward=0.0, backward=0.0, **kwargs):
        super().__init__(**kwargs)
        self.pauses = forward, backward

    def call(self, x):
        return _Pausing.apply(x, *self.pauses)

    def compute_output_shape(self, input_shape):
        return input_shape


class Own(keras.Model):
    """A model whose calls only its layers tell."""

    def __init__(self):
        super().__init__(name="own")
        self.first, self.slow, self.last = L.Dense(4, name="first"), Pause(PAUSE, 2 * PAUSE, name="slow"), L.Dense(2)

    def call(self, x):
        x = self.first(x)
        return self.last(torch.relu(self.slow(x)) + x)


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Names are not folded."""
    monkeypatch.setenv("COLUMNS", "140")


@pytest.fixture(autouse=True)
def watched(monkeypatch):
    """What times come out does not depend on how busy the machine is."""
    monkeypatch.setattr("lamina.pictures.clock.time", WATCH)


def of_kind(kind):
    """Models with one layer, "slow", that takes PAUSE forward and twice that back."""
    if kind == "own":
        model = Own()
        model(torch.zeros(2, 4))
        return model
    if kind == "sequential":
        return keras.Sequential([keras.Input((4,)), L.Dense(4), Pause(PAUSE, 2 * PAUSE, name="slow"), L.Dense(2)])
    x = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), Pause(PAUSE, 2 * PAUSE, name="slow"), L.Dense(4)], name="inner")
    y = L.Dense(4, name="first")(x)
    return keras.Model(x, L.Dense(2)(L.Add()([y, inner(y)])))


def by_name(found):
    return {row.name: row for row in found.rows}


@pytest.mark.parametrize("kind", ["sequential", "nested", "own"])
def test_times_are_those_of_the_layers(kind):
    found = profile(of_kind(kind), batch_size=4, train=True, seconds=0.2)
    rows = by_name(found)
    slow = rows["slow"]
    assert PAUSE <= slow.forward < 1.1 * PAUSE and 2 * PAUSE <= slow.backward < 2.1 * PAUSE
    leaves = [row for row in found.rows if row.name not in ("slow", "inner")]
    assert sum(row.forward or 0 for row in leaves) < PAUSE / 10 > sum(row.backward or 0 for row in leaves)
    assert rows["slow"].level == (kind == "nested")
    if kind == "nested":
        assert PAUSE <= rows["inner"].forward < 1.1 * PAUSE and 2 * PAUSE <= rows["inner"].backward < 2.1 * PAUSE


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("kind", ["sequential", "nested", "own"])
def test_rows_add_up_to_the_model(kind, train):
    found = profile(of_kind(kind), batch_size=4, train=train, seconds=0.2)
    top = [row for row in found.rows if row.level == 0]
    assert sum(row.forward or 0 for row in top) + found.rest[0] == pytest.approx(found.forward)
    assert found.rest[0] >= 0
    if train:
        assert sum(row.backward or 0 for row in top) + found.rest[1] == pytest.approx(found.backward)
    else:
        assert found.backward is None and all(row.backward is None for row in found.rows)
    assert found.undisturbed < found.seconds < 1.2 * found.undisturbed  # looks at the watch alone come on top
    assert found.overhead == pytest.approx(found.seconds / found.undisturbed - 1)
    assert sum(row.seconds for row in top) > 0.9 * found.seconds


def test_layers_that_run_as_one_are_said_to():
    x = keras.Input((8, 8, 3))
    y = L.ReLU(name="relu")(L.BatchNormalization(name="norm")(L.Conv2D(4, 3, name="conv")(x)))
    rows = by_name(profile(keras.Model(x, L.Flatten()(y)), batch_size=2, seconds=0.05))
    assert rows["norm"].part_of == rows["relu"].part_of == "conv" and rows["norm"].forward is None
    assert rows["conv"].forward > 0 and not rows["conv"].part_of


def test_no_gradient_no_way_back():
    frozen = L.Dense(4, name="frozen", trainable=False)
    model = keras.Sequential([keras.Input((4,)), frozen, L.Dense(2, name="trained")])
    rows = by_name(profile(model, train=True, seconds=0.05))
    assert rows["frozen"].backward is None and rows["trained"].backward > 0
    model.trainable = False
    found = profile(model, train=True, seconds=0.05)
    assert found.backward is None and found.forward > 0


def test_layers_called_twice_count_both_times():
    slow, x = Pause(PAUSE, name="slow"), keras.Input((4,))
    assert by_name(profile(keras.Model(x, slow(slow(x))), seconds=0.1))["slow"].forward >= 2 * PAUSE


def test_nothing_is_left_behind():
    model = keras.Sequential(
        [keras.Input((5, 4)), L.LSTM(4, return_sequences=True), L.BatchNormalization(), L.Dropout(0.5), L.Dense(2)]
    )
    own = of_kind("own")
    for each, data in ((model, np.ones((3, 5, 4), "float32")), (own, np.ones((3, 4), "float32"))):
        each.compile("sgd", "mse")
        before = [weight.detach().clone() for weight in (*each.parameters(), *each.buffers())]
        plan, state = vars(each).get("_plan"), torch.get_rng_state()
        expected = each.predict(data, verbose=0)
        for train in (False, True):
            profile(each, data, train=train, seconds=0.05)
        after = [*each.parameters(), *each.buffers()]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        assert all(weight.grad is None for weight in each.parameters())
        assert not any(module.training for module in each.modules())
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in each.modules())
        assert vars(each).get("_plan") is plan and torch.equal(state, torch.get_rng_state())
        assert np.array_equal(expected, each.predict(data, verbose=0))
    stateful = keras.Sequential([keras.Input(batch_shape=(2, 3, 4)), L.GRU(3, stateful=True)])
    stateful(torch.ones(2, 3, 4))
    before = [buffer.clone() for buffer in stateful.buffers()]
    profile(stateful, batch_size=2, seconds=0.05)
    assert before and all(torch.equal(a, b) for a, b in zip(before, stateful.buffers(), strict=True))


def test_an_error_inside_leaves_the_model_as_it_was():
    class Broken(L.Layer):
        def call(self, x):
            if type(x) is torch.Tensor and x.shape[0] == 7:
                raise RuntimeError("seven")
            return x

    model = keras.Sequential([keras.Input((4,)), Broken()])
    model(torch.zeros(2, 4))
    plan = model._plan
    with pytest.raises(RuntimeError, match="seven"):
        profile(model, batch_size=7)
    assert model._plan is plan and not model.training


@pytest.mark.parametrize(
    "data, samples",
    [
        (np.ones((9, 4), "float32"), 5),
        (np.ones((3, 4)), 3),
        (torch.ones(9, 4), 5),
        ((np.ones((9, 4), "float32"), np.ones(9)), 5),
        (iter([(np.ones((4, 4), "float32"), np.ones(4))]), 4),
        ([[1.0, 2.0, 3.0, 4.0]] * 3, 3),
    ],
)
def test_data_of_all_kinds(data, samples):
    model = keras.Sequential([keras.Input((4,)), L.Dense(2)])
    assert profile(model, data, batch_size=5, seconds=0.02).batch_size == samples


def test_several_inputs_words_and_masks():
    words, numbers = keras.Input((6,), name="words"), keras.Input((3,), name="numbers")
    read = L.LSTM(4)(L.Embedding(11, 4, mask_zero=True)(words))
    model = keras.Model([words, numbers], [L.Dense(2)(read), L.Concatenate()([read, numbers])])
    given = {"words": np.ones((4, 6)), "numbers": np.ones((4, 3))}
    for data in (None, given, list(given.values())):
        found = profile(model, data, train=True, batch_size=4, seconds=0.05)
        assert by_name(found)["lstm" if "lstm" in by_name(found) else model.layers[2].name].forward > 0
    old = keras1.models.Sequential([keras1.layers.Embedding(9, 4, input_length=5), keras1.layers.LSTM(3)])
    assert len(profile(old, seconds=0.02).rows) == 2


def test_texts_have_to_be_given():
    read = L.TextVectorization(output_mode="multi_hot", vocabulary=["a", "b"])
    model = keras.Sequential([keras.Input((), dtype="string"), read, L.Dense(2)])
    assert profile(model, np.array(["a b", "b"]), seconds=0.02).batch_size == 2
    with pytest.raises(ValueError, match="takes texts: give `data`"):
        profile(model)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="not built"):
        profile(keras.Sequential([L.Dense(2)]))
    model = keras.Sequential([keras.Input((None, 4)), L.Dense(2)])
    with pytest.raises(ValueError, match=r"leaves sizes of its input open.*give `data`"):
        profile(model)
    assert profile(model, input_shape=(7, 4), seconds=0.02).rows
    for wrong in (0, True, 2.5):
        with pytest.raises(ValueError, match="batch_size"):
            profile(model, batch_size=wrong)


class Texts(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data.strip())


def test_tables_and_files(tmp_path):
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, name="a<script>[b]"), L.Dense(2)], name="<b>line")
    found = profile(model, train=True, batch_size=8, seconds=0.05)
    text = str(found)
    assert repr(found) == text and text.startswith('Model: "<b>line"\n') and "a<script>[b] (Dense)" in text
    assert "Backward" in text and "(between the layers)" in text and "batch of 8" in text
    html = found._repr_html_()
    assert "script" not in Texts(html).tags and "a<script>[b] (Dense)" in Texts(html).texts
    for name in ("p.json", "p.html", "p.txt"):
        found.save(tmp_path / name)
    told = json.loads((tmp_path / "p.json").read_text("utf-8"))
    assert [row["name"] for row in told["rows"]] == ["a<script>[b]", model.layers[1].name]
    assert told["rows"][0]["params"] == 15 and told["rows"][0]["multiply_adds"] == 12 and told["batch_size"] == 8
    assert told["forward"] == found.forward
    assert "a&lt;script&gt;" in (tmp_path / "p.html").read_text("utf-8")
    assert (tmp_path / "p.txt").read_text("utf-8") == text
    with pytest.raises(ValueError, match=r"must end in \.json"):
        found.save(tmp_path / "p.csv")


def test_summary_shows_times():
    model = of_kind("nested")
    found = profile(model, train=True, seconds=0.1)
    said = []
    model.summary(print_fn=said.append, show_time=found, expand_nested=True, line_length=150)
    (line,) = [line for line in said[0].split("\n") if "└ slow" in line]
    forward, backward = (float(cell.strip().removesuffix(" ms")) for cell in line.strip("│").split("│")[-2:])
    assert forward == pytest.approx(by_name(found)["slow"].forward * 1e3, rel=0.01) and backward >= 2 * forward * 0.8
    assert "Time of a batch of 32" in said[0]
    model.summary(print_fn=said.append, show_time=np.ones((3, 4), "float32"), line_length=150)
    assert "Time of a batch of 3:" in said[1] and "Backward" not in said[1]


def test_the_command_on_files(tmp_path, capsys):
    keras.Sequential([keras.Input((None, 3)), L.Conv1D(4, 3, name="conv")]).save(tmp_path / "m.keras")
    file = str(tmp_path / "m.keras")
    assert cli.main(["profile", file, "--batch", "2", "--input", "9,3", "--train"]) == 0
    out = capsys.readouterr().out
    assert "conv (Conv1D)" in out and "Backward" in out and "batch of 2" in out
    assert cli.main(["profile", file]) == 1
    assert "leaves sizes of its input open" in capsys.readouterr().err
    assert cli.main(["profile", str(tmp_path / "none.h5")]) == 1
    assert "no file" in capsys.readouterr().err
    assert cli.main(["profile", file, "--input", "9,3", "--out", str(tmp_path / "p.json")]) == 0
    assert json.loads((tmp_path / "p.json").read_text("utf-8"))["rows"][0]["name"] == "conv"
    assert cli.main(["profile", file, "--input", "9,3", "--out", str(tmp_path / "p.csv")]) == 1
    with pytest.raises(SystemExit, match="2"):
        cli.main(["profile", file, "--input", "9,-3"])


SCRIPT = """
import sys
from keras.models import Sequential
from keras.layers import Dense, Input

inner = Sequential([Input((4,)), Dense(4)], name="inner")
Sequential([Input((4,)), inner, Dense(2)], name="whole")
Sequential([Dense(2)], name="never_built")
print(sys.argv[1:])
sys.exit(3)
"""


def test_the_command_on_scripts(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "lamina.cli", "profile", str(tmp_path / "script.py"), "--keras", "3"]
    done = subprocess.run([*command, "--args", "--epochs", "5"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 3, done.stderr
    assert "['--epochs', '5']" in done.stdout
    assert done.stdout.count("Model: ") == 1 and 'Model: "whole"' in done.stdout and "└ dense" in done.stdout


@pytest.mark.gpu
def test_a_gpu_is_timed_by_its_own_clock():
    model = keras.Sequential([keras.Input((64, 64, 3)), L.Conv2D(64, 3, name="conv"), L.Flatten(), L.Dense(9)])
    model.to("cuda")
    found = profile(model, train=True, batch_size=64)
    top = sum(row.seconds for row in found.rows) + found.rest[0] + found.rest[1]
    assert top == pytest.approx(found.seconds, rel=1e-3) and by_name(found)["conv"].backward > 0
