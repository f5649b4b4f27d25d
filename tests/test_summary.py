"""The table of a model."""

from __future__ import annotations

import cProfile
import io
import re
import sys

import numpy as np
import pytest
import torch

import lamina as keras
from lamina import layers
from lamina.pictures.summary import readable_size


def text(model, **options):
    said = []
    model.summary(print_fn=said.append, **options)
    (whole,) = said
    return whole


def rows(whole):
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in whole.split("\n") if line.startswith("│")]


def joined():
    x = keras.Input((3,), name="x")
    line = keras.Sequential([keras.Input((3,)), layers.Dense(3, name="deep")], name="line")
    frozen = layers.Dense(4, trainable=False, name="frozen")
    return keras.Model(x, layers.Add(name="sum")([frozen(line(x)), layers.Dense(4, name="other")(x)]), name="joined")


def test_a_line_of_layers():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="a"), layers.Dense(2, name="b")], name="line")
    whole = text(model)
    assert whole.startswith('Model: "line"\n')
    assert rows(whole) == [["a (Dense)", "(None, 3)", "15"], ["b (Dense)", "(None, 2)", "8"]]
    assert "Connected to" not in whole and "Trainable │" not in whole
    assert whole.rstrip().endswith(
        " Total params: 23 (92.00 B)\n Trainable params: 23 (92.00 B)\n Non-trainable params: 0 (0.00 B)"
    )


def test_a_graph_with_trainable_flags_nested_layers_and_optimizer():
    model = joined()
    model.compile("adam", "mse")
    model.train_on_batch(np.zeros((2, 3), "float32"), np.zeros((2, 4), "float32"))
    whole = text(model, expand_nested=True, show_trainable=True, line_length=120)
    assert [(row[0], row[2], row[3], row[4]) for row in rows(whole) if row[0]] == [
        ("x (InputLayer)", "0", "-", "-"),
        ("line (Sequential)", "12", "x[0][0]", "Y"),
        ("└ deep (Dense)", "12", "-", "Y"),
        ("frozen (Dense)", "16", "line[0][0]", "N"),
        ("other (Dense)", "16", "x[0][0]", "Y"),
        ("sum (Add)", "0", "frozen[0][0], other[0][0]", "-"),
    ]
    assert "Total params: 102 (408.00 B)" in whole and "Optimizer params: 58 (232.00 B)" in whole
    assert "Trainable params: 28 (112.00 B)" in whole and "Non-trainable params: 16 (64.00 B)" in whole
    assert max(len(line) for line in whole.split("\n")) == 120


def test_shared_layers_functions_and_several_outputs():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = layers.Dense(3, name="shared")
    whole = text(keras.Model([a, b], torch.cat([shared(a), shared(b)], -1)), line_length=120)
    by_name = {row[0]: row for row in rows(whole) if row[0]}
    assert by_name["shared (Dense)"][3] == "a[0][0], b[0][0]"
    assert any(row[1] == "(None, 6)" for row in by_name.values())


def test_models_without_shapes():
    model = keras.Sequential([layers.Dense(3, name="a"), layers.Dense(2, name="b")])
    assert rows(text(model)) == [["a (Dense)", "?", "0 (unbuilt)"], ["b (Dense)", "?", "0 (unbuilt)"]]

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(3, name="inner")

        def call(self, x):
            return self.inner(x)

    model = Own()
    assert rows(text(model)) == [["inner (Dense)", "?", "0 (unbuilt)"]]
    model(torch.zeros(2, 4))
    assert rows(text(model)) == [["inner (Dense)", "(None, 3)", "15"]]


def test_a_range_of_layers():
    model = keras.Sequential([keras.Input((4,)), *(layers.Dense(2, name=f"dense_{i}") for i in range(4))])
    assert [row[0] for row in rows(text(model, layer_range=["dense_1", "dense_2"]))] == [
        "dense_1 (Dense)",
        "dense_2 (Dense)",
    ]
    with pytest.raises(ValueError, match="no layers are named"):
        text(model, layer_range=["nobody", "dense_1"])
    with pytest.raises(ValueError, match="two names"):
        text(model, layer_range=["dense_1"])


def test_a_line_too_short_for_the_columns_is_refused():
    for model, least in ((keras.Sequential([keras.Input((3,)), layers.Dense(3)]), 24), (joined(), 31)):
        assert text(model, line_length=least)
        with pytest.raises(ValueError, match=f"at least {least}"):
            text(model, line_length=least - 1)


def test_it_is_plain_text_where_nobody_watches(capsys):
    keras.Sequential([keras.Input((4,)), layers.Dense(3, name="a[b]")]).summary()
    out = capsys.readouterr().out
    assert "\x1b" not in out and "a[b] (Dense)" in out and out.endswith("\n")


def test_sizes_in_words():
    assert [readable_size(n) for n in (0, 1023, 1536, 3 << 20, 5 << 40)] == [
        "0.00 B",
        "1023.00 B",
        "1.50 KB",
        "3.00 MB",
        "5.00 TB",
    ]


def test_positions_are_where_the_columns_end(capsys):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    places = []
    for positions in ([0.5, 0.75, 1.0], [30, 45, 60]):
        model.summary(line_length=60, positions=positions)
        head = capsys.readouterr().out.splitlines()[1]
        places.append([i for i, character in enumerate(head) if character in "┳┓"])
    assert places[0] == places[1]
    assert all(abs(place - end) <= 1 for place, end in zip(places[0], (30, 45, 60), strict=True))
    for positions in ([0.5, 0.4, 1], [10, 20]):
        with pytest.raises(ValueError, match="positions"):
            model.summary(positions=positions)


def test_columns_stand_beside_one_another_in_their_order():
    model = joined()
    show = {"show_trainable": True, "show_costs": True, "show_memory": True}
    whole = text(model, line_length=190, expand_nested=True, show_time=keras.profile(model, seconds=0.02), **show)
    titles = [title.strip() for title in whole.split("\n")[2].strip("┃").split("┃")]
    assert titles == [
        "Layer (type)", "Output Shape", "Param #", "Connected to", "Trainable", "Multiply-adds", "Receptive field",
        "Activations", "Forward",
    ]  # fmt: skip
    by_name = {row[0]: row for row in rows(whole) if row[0]}
    assert by_name["└ deep (Dense)"][5:8] == ["9", "-", "12.00 B"] and by_name["sum (Add)"][7] == "16.00 B"
    assert all(re.fullmatch(r"[\d.]+ [um]?s", row[8]) for name, row in by_name.items() if "InputLayer" not in name)
    assert "Activations of one sample: 60.00 B (at one time at most, input included: 60.00 B)" in whole
    with pytest.raises(TypeError, match=r"no argument `show_cost`. Did you mean `show_costs`"):
        text(model, show_cost=True)


def test_screens_with_few_letters(monkeypatch):
    class Screen(io.StringIO):
        encoding = "ascii"

    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    line = keras.Sequential([keras.Input((3,)), layers.Dense(3, name="密集")], name="line")
    keras.Sequential([keras.Input((3,)), line]).summary(expand_nested=True)
    assert screen.getvalue().isascii() and "+ ?? (Dense)" in screen.getvalue()


def test_long_models_are_shown_fast_enough_to_wait_for():
    """Nothing is looked up layer by layer through the whole model: 10 times the layers, at most 30 times the calls."""

    def counted(size):
        model = keras.Sequential([keras.Input((4,)), *(layers.Dense(4) for _ in range(size))])
        profiler = cProfile.Profile()
        profiler.runcall(text, model, show_costs=True, show_memory=True)
        return sum(entry.callcount for entry in profiler.getstats())

    assert counted(200) < 30 * counted(20)


def test_arguments_stand_where_keras_has_them() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="a"), keras.layers.Dense(2, name="b")])
    told: list[str] = []
    model.summary(90, None, told.append, True, True, ["b", "b"])
    assert "Trainable" in told[0] and "b (Dense)" in told[0] and "a (Dense)" not in told[0]
