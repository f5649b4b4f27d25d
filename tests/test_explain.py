"""`lamina.explain` and `lamina explain`: pictures and costs of a layer, of several, of a model; the gallery."""

from __future__ import annotations

import copy
import html
import subprocess
import sys
from xml.etree import ElementTree

import pytest
import torch
from support.scenes import problems

import lamina as keras
from lamina import cli, layers
from lamina.pictures import gallery, reading
from lamina.pictures.explain import compare, explain, usual_inputs, written
from lamina.pictures.gallery import IDEAS

EXAMPLES = [example for idea in IDEAS for example in idea.examples]


def lamina(*arguments):
    return cli.main(["explain", *arguments])


# --- layers


def test_a_layer_as_the_issue_has_it():
    found = keras.explain(layers.Conv1D(8, 3, padding="causal", dilation_rate=2), (32, 16))
    assert found.at == (((None, 32, 16),), ((None, 32, 8),), "en")
    assert found.numbers.parameters == "392" and found.numbers.multiply_adds == f"{32 * 3 * 16 * 8:,}"
    assert found.numbers.field == "5"
    text = str(found)
    assert "y[31] = w0·x[27] + w1·x[29] + w2·x[31]" in text and "392" in text
    assert text == found.text(80)
    svg = found._repr_svg_()
    assert ElementTree.fromstring(svg).tag.endswith("svg") and "y[31]" in svg
    assert all(scene.title in found._repr_html_() for scene in found.scenes)


def test_chinese():
    found = explain(layers.Conv1D(8, 3, padding="same"), (9, 2), "zh")
    assert "每个输出位置看到哪些输入" in str(found) and "填充" in found._repr_html_()


def test_the_given_layer_stays_as_it_is():
    layer = layers.Conv1D(8, 3)
    explain(layer, (32, 16))
    assert not layer.built and not layer._nodes
    layer.build((None, 20, 4))
    before = copy.deepcopy(layer.get_weights())
    found = explain(layer)
    assert found.layer is layer and found.at.inputs == ((None, 20, 4),) and not layer._nodes
    other = explain(layer, (30, 2))
    assert other.layer is not layer and other.at.inputs == ((None, 30, 2),)
    assert layer.input_spec.axes[-1] == 4
    assert all((a == b).all() for a, b in zip(before, layer.get_weights(), strict=True))


def test_a_layer_that_was_called_is_explained_as_it_was_called():
    layer = layers.MultiHeadAttention(2, 4)
    query, value = keras.Input((5, 8)), keras.Input((7, 8))
    layer(query, value)
    assert explain(layer).at.inputs == ((None, 5, 8), (None, 7, 8))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.text)
def test_every_example(example, language):
    found = gallery.explained(example, language)
    shapes = example.input_shape if isinstance(example.input_shape, list) else [example.input_shape]
    assert [shape[1:] for shape in found.at.inputs] == shapes
    x = [torch.ones(1, *shape) for shape in shapes]
    call = reading.read_layer(example.text, sys.modules["lamina.layers.old"] if example.old else layers)
    several = isinstance(example.input_shape, list)
    y = call(*x) if "Head" in example.text or "Grouped" in example.text else call(x if several else x[0])
    outputs = [part for part in (y if isinstance(y, (list, tuple)) else [y]) if isinstance(part, torch.Tensor)]
    assert [tuple(part.shape[1:]) for part in outputs[:1]] == [shape[1:] for shape in found.at.outputs[:1]]
    for scene in found.scenes:
        assert list(problems(scene)) == []
    assert max(map(len, found.text(100).splitlines())) <= 100
    if found.scenes:
        ElementTree.fromstring(found.svg())


WITHOUT = {  # layers with nothing to call them on
    "HashedCrossing", "InputLayer", "Layer", "MelSpectrogram", "Pipeline", "RandomTranslation", "StringLookup",
    "TextVectorization", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "Wrapper", "Lambda",
}  # fmt: skip
TRIED = [(), (2,), (0.5,), (4, 3), (4, 2, 2), ([0, 1],), ((2, 1),), ("relu",)]


def test_usual_inputs_fit_most_layers():
    """Of the layers that a few plain arguments make, those not named above are explained without a shape."""
    import inspect

    for name in layers.__all__:
        cls = getattr(layers, name)
        if not inspect.isclass(cls) or not issubclass(cls, layers.Layer) or name in WITHOUT:
            continue
        made = []
        for arguments in TRIED:
            try:
                made.append(cls(*arguments))
            except (TypeError, ValueError, AttributeError):
                continue
        errors = []
        for layer in made:
            try:
                explain(layer)
                break
            except Exception as error:  # which it is, the message says
                errors.append(f"{type(error).__name__}: {error}")
        else:
            assert not made, (name, errors)


def test_usual_inputs_have_room_for_the_window():
    for layer in (
        layers.Conv1D(4, 31),
        layers.Conv2D(6, 9, groups=3),
        layers.Cropping2D(9),
        layers.MaxPooling3D(7),
        layers.Conv2D(4, 3, data_format="channels_first"),
    ):
        assert 0 not in explain(layer).at.outputs[0][1:]
    assert next(usual_inputs(layers.Conv2D(6, 3, groups=3)))[0][-1] % 3 == 0


def test_what_does_not_fit_says_so():
    with pytest.raises(ValueError, match="`language` must be one of"):
        explain(layers.Dense(3), language="fr")
    with pytest.raises(TypeError, match="a layer or a model; got 'Dense'"):
        explain("Dense")
    with pytest.raises(ValueError, match="without the batch"):
        explain(layers.Dense(3), "32")
    with pytest.raises(ValueError, match="does not fit"):
        explain(layers.Conv1D(4, 9), (5, 2))
    with pytest.raises(ValueError, match="`layer_name` is for models"):
        explain(layers.Dense(3), layer_name="dense")
    with pytest.raises(ValueError, match="one layer or more"):
        compare()


def test_a_layer_of_an_own_kind():
    class Twice(layers.Layer):
        def call(self, x):
            return 2 * x

    found = explain(Twice(), (3,))
    assert found.scenes == [] and ("Parameters", "0") in found.lines and "(3,) → (3,)" in str(found)


def test_lines_are_those_of_the_facts():
    found = explain(layers.Conv1D(8, 3, padding="causal", dilation_rate=2), (32, 16), "zh")
    assert found.facts is not None and found.lines == list(found.facts.lines)
    assert all(label in str(found) for label, _ in found.lines)
    assert not any(line.lstrip().startswith(("。", "，", "；")) for line in str(found).splitlines())


def test_written():
    assert written(layers.Bidirectional(layers.LSTM(4))) == "Bidirectional(LSTM(4))"
    assert written(layers.TimeDistributed(layers.Dense(2))) == "TimeDistributed(Dense(2))"
    assert written(layers.Conv1D(8, 3)) == "Conv1D(8, (3,))"


# --- several layers, models


def test_comparison():
    one, other = layers.Conv2D(16, 3), layers.SeparableConv2D(16, 3)
    found = explain([one, other], (28, 28, 8))
    heading, *rows = found.table()
    assert [row[2] for row in rows] == ["1,168", "216"]
    assert [row[3] for row in rows] == [f"{26 * 26 * 9 * 8 * 16:,}", f"{26 * 26 * (9 * 8 + 8 * 16):,}"]
    assert len(heading) == 5 and all(text in str(found) for row in rows for text in row[1:])
    assert max(map(len, str(found).splitlines())) <= 80
    root = ElementTree.fromstring(found.svg())
    assert len(root) == 2 and {part.get("x") is not None for part in root} == {True}
    assert found._repr_html_().count("<h3>") == 2


def model():
    first = layers.Conv2D(4, 3, name="a<b>")
    return keras.Sequential([keras.Input((8, 8, 1)), first, layers.Flatten(), layers.Dense(10)], name="m&m")


def test_model():
    network = model()
    found = explain(network)
    rows = {row[0]: row for row in found.table()[1:]}
    assert rows["a<b>"][2:] == ["(6, 6, 4)", "40", f"{36 * 9 * 4:,}", "3 x 3"]
    assert rows["Total"][3] == f"{network.count_params():,}"
    page = found._repr_html_()
    assert "a&lt;b&gt;" in page and "<b>" not in page and "m&amp;m" in page and page.count("<svg") == 1
    assert ElementTree.fromstring(found.svg()).tag.endswith("svg")
    inside = explain(network, layer_name="a<b>")
    assert inside.layer is not None and inside.layer.at.inputs == ((None, 8, 8, 1),)
    assert "y[5, 5]" in str(inside) and "<b>" not in inside._repr_html_()
    with pytest.raises(ValueError, match="no layer 'c'"):
        explain(network, layer_name="c")


def test_model_of_an_own_kind_and_one_that_is_not_built():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(3)

        def call(self, x):
            return self.inner(x)

    own = Own()
    own(torch.ones(2, 4))
    found = explain(own)
    assert found.table()[1][3] == "15" and "15" in str(found)
    plain = keras.Sequential([layers.Dense(3)])
    assert explain(plain, (4,)).table()[-1][3] == "15" and not plain.built
    assert explain(plain).diagram() is None and plain.name in explain(plain)._repr_html_()


# --- files and the command


def test_saved_files(tmp_path):
    found = explain(layers.Conv1D(4, 3), (8, 2), title="<Conv & more>")
    for name in ("x.svg", "x.html", "x.txt"):
        found.save(tmp_path / name)
    assert ElementTree.parse(tmp_path / "x.svg").getroot().tag.endswith("svg")
    page = (tmp_path / "x.html").read_text("utf-8")
    assert page.startswith("<!doctype html>") and html.escape("<Conv & more>") in page and "<script" not in page
    assert (tmp_path / "x.txt").read_text("utf-8") == str(found)
    with pytest.raises(ValueError, match=r"must end in .svg, .png, .html or .txt"):
        found.save(tmp_path / "x.gif")
    pytest.importorskip("matplotlib")
    found.save(tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    explain([layers.Conv1D(4, 3), layers.Dense(3)], (8, 2)).save(tmp_path / "two.png")
    assert (tmp_path / "two.png").stat().st_size > 5000


def test_a_layer_without_a_picture_cannot_be_saved_as_one(tmp_path):
    found = explain(layers.Conv1D(4, 3), (None, 2))
    assert found.scenes == [] and found._repr_svg_() is None
    with pytest.raises(ValueError, match="no picture"):
        found.save(tmp_path / "x.svg")
    assert found.numbers.inputs == "(?, 2)" and "Conv1D" in str(found)


def test_command(capsys):
    assert lamina("Conv1D(8, 3, padding='causal', dilation_rate=2)", "--input", "32,16") == 0
    out = capsys.readouterr().out
    assert "Conv1D(8, 3, padding='causal', dilation_rate=2)" in out and "y[31]" in out and "\x1b" not in out
    assert lamina("keras.layers.Bidirectional(layers.LSTM(4))", "--lang", "zh") == 0
    assert "参数量" in capsys.readouterr().out
    assert lamina("Flatten") == 0
    assert lamina("Convolution1D(8, 3, border_mode='same')", "--keras", "1", "--input", "9,2") == 0
    assert "Convolution1D" in capsys.readouterr().out
    assert lamina("Add()", "--input", "4,3", "--input", "4,3") == 0
    assert lamina("--compare", "Conv2D(8, 3)", "SeparableConv2D(8, 3)", "--input", "9,9,4") == 0
    out = capsys.readouterr().out
    assert "SeparableConv2D(8, 3)" in out and "296" in out


def test_command_on_a_model_file(tmp_path, capsys):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((9, 2)), layers.Conv1D(4, 3, name="first")]).save(path)
    assert lamina(str(path), "--layer", "first", "--out", str(tmp_path / "x.html")) == 0
    assert "Conv1D" in (tmp_path / "x.html").read_text("utf-8")
    assert lamina(str(path)) == 0
    assert "first" in capsys.readouterr().out
    assert lamina(str(path), "--layer", "second") == 2


@pytest.mark.parametrize(
    "arguments, said",
    [
        ((), "say which layer"),
        (("Conv1D(8, 3",), "cannot read"),
        (("Conv1d(8, 3)",), "did you mean Conv1D?"),
        (("Conv1D(8, 3, strides=2, dilation_rate=2)",), "not supported in conjunction with"),
        (("Conv1D(8, 3)", "--input", "2,4"), "does not fit"),
        (("Conv1D(8, open('x'))",), "there is no layer 'open'"),
        (("Conv1D(8, __import__('os').getcwd())",), "is not a layer"),
        (("(lambda: 3)()",), "is not a layer"),
        (("__import__('os')",), "there is no layer"),
        (("Conv1D(8, 3).__class__",), "is not a layer"),
        (("Dense(2 ** 3)",), "neither a literal"),
        (("Dense([x for x in (1, 2)])",), "neither a literal"),
        (("Dense(**{'units': 3})",), "write them out"),
        (("3",), "neither a file nor a layer"),
        (("no_such_file.h5",), "neither a file nor a layer 'no_such_file.h5'"),
        (("Dense(" * 500 + ")" * 500,), ""),
        (("Dense(1)" + " " * 5000,), "at most 4000 letters"),
        (("Dense(3)", "--layer", "x"), "--layer is for a model file"),
        (("Dense(3)", "--out", "x.gif"), "must end in"),
    ],
)
def test_errors_are_one_line(arguments, said, capsys):
    assert lamina(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.startswith("lamina explain: ") and err.count("\n") == 1


@pytest.mark.parametrize("sizes", ["a", "3,0", "3,-1", ""])
def test_wrong_sizes(sizes, capsys):
    with pytest.raises(SystemExit) as raised:
        lamina("Dense(3)", "--input", sizes)
    assert raised.value.code == 2 and "--input" in capsys.readouterr().err


def test_nothing_is_run_that_is_no_layer(tmp_path):
    trace = tmp_path / "trace"
    for text in (
        f"Dense(open({str(trace)!r}, 'w'))",
        f"Lambda(exec('open({str(trace)!r})'))",
        "Input.__globals__['os'].system('true')",
        "Dense(Dense.__init__.__globals__)",
    ):
        with pytest.raises(ValueError):
            reading.read_layer(text, layers)
    assert not trace.exists()


def test_gallery(tmp_path):
    english, chinese = gallery.write(tmp_path)
    assert english.parent.name == "en" and chinese.parent.name == "zh"
    for path in (english, chinese):
        page = path.read_text("utf-8")
        assert all(html.escape(example.text) in page for example in EXAMPLES)
        names = {part.split('"')[0] for part in page.split('src="')[1:]}
        assert names == {file.name for file in path.parent.glob("*.svg")} and len(names) > 50
        for file in path.parent.glob("*.svg"):
            ElementTree.parse(file)
    assert 'lang="zh-CN"' in chinese.read_text("utf-8")


def test_nothing_heavy_is_loaded_before_it_is_used():
    """The text of an explanation needs no matplotlib; the command's parser needs no torch."""
    for code, absent in (
        ("import lamina.cli; lamina.cli.parser()", "torch"),
        ("import lamina; str(lamina.explain(lamina.layers.Conv1D(4, 3)))", "matplotlib"),
    ):
        said = subprocess.run(
            [sys.executable, "-c", f"{code}; import sys; print({absent!r} in sys.modules)"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert said.stdout.strip() == "False"
