"""What notebooks show of layers, models and histories, and the curves of training."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import lamina as keras
from lamina import keras1
from lamina import layers as L
from lamina.callbacks import CSVLogger, History
from lamina.pictures import reprs

pyplot = pytest.importorskip("matplotlib.pyplot")
HOSTILE = "<script>alert(1)<&\"'[b]"


class Page(HTMLParser):
    """The tags and texts of HTML."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.urls = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.urls += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.texts.append(data.strip())

    def __contains__(self, text):
        return any(text in each for each in self.texts)


def page(shown):
    html = shown._repr_html_()
    found = Page(html)
    assert "script" not in found.tags and not found.urls  # nothing runs and nothing is fetched
    # Pictures have styles of their own.
    assert html.count("<style>.lamina{") == 1 and html.count("<style>") == html.count(
        "</style>"
    )  # pictures have theirs
    return found


def test_a_layer_tells_what_it_is():
    layer = L.Conv2D(8, 3, padding="same", name=HOSTILE)
    before = page(layer)
    assert HOSTILE in before and "padding='same'" in before and "not built" in before
    keras.Sequential([keras.Input((6, 5, 3)), layer])
    after = page(layer)
    assert "(None, 6, 5, 3)" in after and "(None, 6, 5, 8)" in after and "224 parameters" in after
    assert f"{6 * 5 * 9 * 3 * 8:,}" in after
    rows = after.texts[after.texts.index("kernel") :]
    assert rows[1] == "(3, 3, 3, 8)" and rows[2] == "yes"
    mean = layer.kernel.detach().mean().item()
    assert rows[3].startswith(f"{mean:.3g} ")
    layer.trainable = False
    assert "not trained" in page(layer)


@pytest.mark.parametrize(
    "layer, shape",
    [(L.LSTM(3), (4, 2)), (L.Bidirectional(L.GRU(2)), (4, 2)), (L.BatchNormalization(), (5,)), (L.Flatten(), (2, 3))],
)
def test_layers_of_all_kinds_show_themselves(layer, shape):
    page(layer)
    keras.Sequential([keras.Input(shape), layer])
    assert type(layer).__name__ in page(layer)


def test_layers_of_users_older_generations_and_called_on_data_show_themselves():
    class Own(L.Layer):
        def __init__(self, units):
            super().__init__()
            self.inner = L.Dense(units)

        def call(self, x, scale=None):
            return self.inner(x)

    own = Own(3)
    own(torch.zeros(2, 4))
    assert "15 parameters" in page(own)
    old = keras1.layers.Dense(3, input_dim=4)
    keras1.models.Sequential([old])
    assert "15 parameters" in page(old)
    several = L.MultiHeadAttention(2, 3)
    several(torch.zeros(2, 3, 4), torch.zeros(2, 5, 4))
    assert "(None, 3, 4)" in page(several)


def test_a_picture_is_shown_where_there_is_one(monkeypatch):
    layer = keras.Sequential([keras.Input((4,)), L.Dense(2)]).layers[0]
    assert "<summary>Picture</summary><svg" in layer._repr_html_()

    def none(given):
        raise ValueError("no picture")

    monkeypatch.setattr(reprs, "explain", none)
    assert "<svg" not in layer._repr_html_() and "10 parameters" in page(layer)


def test_a_model_is_its_table_and_its_picture():
    x = keras.Input((8,), name="x")
    model = keras.Model(x, L.Add(name="sum")([L.Dense(4, name="left")(x), L.Dense(4, name=HOSTILE)(x)]), name="net")
    html = model._repr_html_()
    found = page(model)
    assert {"net", "left (Dense)", f"{HOSTILE} (Dense)", "(None, 4)"} <= {text.strip('"') for text in found.texts}
    assert any(text.startswith("left[0][0], <script>") for text in found.texts)
    assert "Total params: 72" in found and "Multiply-adds of one sample: 64" in found
    picture = html[html.index("<svg") : html.index("</svg>") + 6]
    assert len(list(ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}path"))) == 4
    assert "not built" in page(keras.Sequential([L.Dense(2)]))


def test_models_with_a_call_of_their_own():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = L.Dense(3, name="inner")

        def call(self, x):
            return self.inner(x)

    model = Own()
    assert "inner (Dense)" in page(model) and "not built" in page(model)
    model(torch.zeros(2, 4))
    assert "Total params: 15" in page(model)


def test_large_models_are_cut():
    model = keras.Sequential([keras.Input((4,)), *(L.Dense(4) for _ in range(300))])
    html = model._repr_html_()
    assert "... and 200 more" in Page(html) and len(html) < 30_000 and "<svg" not in html


# Histories ----------------------------------------------------------------------------------------------------------


def trained(epochs=4, frequency=1, **options):
    model = keras.Sequential([keras.Input((3,)), L.Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    return model.fit(
        x, y, epochs=epochs, validation_data=(x, y), validation_freq=frequency, verbose=0, batch_size=8, **options
    )


def lines(axes):
    """The curves of a panel by label, and the point that is marked."""
    curves = {line.get_label(): line for line in axes.get_lines()}
    return curves, next((line for label, line in curves.items() if label.startswith("best")), None)


def test_curves_are_those_of_the_history(tmp_path):
    history = trained()
    figure = history.plot(path=tmp_path / "h.png")
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert list(panels) == ["loss", "accuracy"]
    for name, axes in panels.items():
        curves, best = lines(axes)
        for label, key, style in (("training", name, "-"), ("validation", f"val_{name}", "--")):
            assert curves[label].get_xdata().tolist() == [1, 2, 3, 4] and curves[label].get_linestyle() == style
            assert curves[label].get_ydata().tolist() == history.history[key]
        values = history.history[f"val_{name}"]
        at = int(np.argmin(values) if name == "loss" else np.argmax(values))
        assert (best.get_xdata()[0], best.get_ydata()[0]) == (at + 1, values[at])
    picture = pyplot.imread(tmp_path / "h.png")
    half = picture.shape[1] // 2
    assert all(part[..., :3].std() > 0.05 for part in (picture[:, :half], picture[:, half:]))
    assert not pyplot.get_fignums()  # what is written to a file need not be closed


def test_some_of_the_metrics_and_wrong_ones():
    history = trained(1)
    for metrics in ("accuracy", ["val_accuracy"], ("accuracy", "val_accuracy")):
        figure = history.plot(metrics)
        assert [axes.get_title() for axes in figure.axes] == ["accuracy"]
        pyplot.close(figure)
    with pytest.raises(ValueError, match=r"no 'f1'; there are: 'accuracy', 'loss'"):
        history.plot(["loss", "f1"])
    with pytest.raises(ValueError, match="no results yet"):
        History().plot()
    assert "no results yet" in History()._repr_html_()


def test_values_stand_at_the_epochs_that_they_are_of():
    history = trained(5, frequency=2)
    curves, _ = lines(history.plot("loss").axes[0])
    assert curves["validation"].get_xdata().tolist() == [2, 4] and len(curves["training"].get_xdata()) == 5
    pyplot.close("all")
    again = History()
    trained(5, initial_epoch=3, callbacks=[again])
    curves, _ = lines(again.plot("loss").axes[0])
    assert curves["training"].get_xdata().tolist() == [4, 5]
    pyplot.close("all")


def filled(**results):
    history = History()
    for epoch, values in enumerate(zip(*results.values(), strict=True)):
        history.on_epoch_end(epoch, dict(zip(results, values, strict=True)))
    return history


def test_axes_are_logarithmic_where_values_span_decades():
    history = filled(loss=[10.0, 1.0, 0.05], narrow=[3.0, 2.0, 1.0], signed=[-100.0, 1.0, 100.0])
    scales = {axes.get_title(): axes.get_yscale() for axes in history.plot().axes}
    assert scales == {"loss": "log", "narrow": "linear", "signed": "linear"}
    assert "loss (log)" in Page(history._repr_html_())
    pyplot.close("all")


def test_values_that_are_no_single_numbers():
    nan = float("nan")
    history = filled(loss=[nan, 2.0, 1.0, nan], each=[[0.0, 1.0]] * 4, word=["a"] * 4, endless=[float("inf")] * 4)
    figure = history.plot()
    assert [axes.get_title() for axes in figure.axes] == ["loss", "each", "endless"]
    _, best = lines(figure.axes[0])
    assert best.get_xdata()[0] == 3 and lines(figure.axes[1])[0]["training"].get_ydata().tolist() == [0.5] * 4
    page(history)
    with pytest.raises(ValueError, match="holds no numbers"):
        history.plot("word")
    pyplot.close("all")


def test_a_history_shows_itself():
    history = trained(3)
    found = page(history)
    assert "History of 3 epochs" in found and "dashed: validation" in found
    assert found.tags.count("svg") == 2
    row = found.texts[found.texts.index("loss", found.texts.index("training, last")) :]
    assert row[1] == f"{history.history['loss'][-1]:.4g}"
    assert f"{history.history['val_loss'][-1]:.4g}" in found
    hostile = filled(**{HOSTILE: [1.0, 2.0]})
    assert HOSTILE in page(hostile)
    long = filled(loss=list(np.linspace(1, 0, 5000)))
    assert len(long._repr_html_()) < 10_000
    for svg in re.findall(r"<svg.*?</svg>", history._repr_html_()):
        ElementTree.fromstring(svg)


def test_files_of_results_are_read_again(tmp_path):
    log, first = tmp_path / "log.csv", trained(3, callbacks=[CSVLogger(str(tmp_path / "log.csv"))])
    trained(5, initial_epoch=3, callbacks=[CSVLogger(str(log), append=True)])
    read = History.from_csv(log)
    assert read.epoch == [0, 1, 2, 3, 4] and read.history["loss"][:3] == pytest.approx(first.history["loss"])
    curves, best = lines(read.plot("accuracy").axes[0])
    assert curves["validation"].get_xdata().tolist() == [1, 2, 3, 4, 5] and best is not None
    pyplot.close("all")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no column 'epoch'"):
        History.from_csv(tmp_path / "other.csv")
    sparse = tmp_path / "sparse.csv"
    trained(4, frequency=2, callbacks=[CSVLogger(str(sparse), separator=";")])
    read = History.from_csv(sparse, ";")
    assert len(read.history["loss"]) == 4


def test_without_matplotlib_it_is_said_what_helps(monkeypatch):
    history = filled(loss=[2.0, 1.0])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        history.plot()
    assert "History of 2 epochs" in page(history)
