"""Pictures of models: boxes, arrows and places, as SVG, PNG, PDF, DOT and Mermaid."""

from __future__ import annotations

import itertools
import re
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import lamina as keras
from lamina import keras1, keras2, tf_keras
from lamina import layers as L
from lamina.pictures import drawing
from lamina.pictures.diagram import Shown, diagram
from lamina.pictures.fold import fold_blocks
from lamina.pictures.layout import laid_out
from lamina.utils import model_to_dot, plot_model

SVG = "{http://www.w3.org/2000/svg}"


def residual(blocks=3):
    x = inputs = keras.Input((8, 8, 2), name="输入图像")
    for _ in range(blocks):
        y = L.ReLU()(L.BatchNormalization()(L.Conv2D(2, 3, padding="same")(x)))
        x = L.Add()([x, L.Conv2D(2, 3, padding="same")(y)])
    return keras.Model(inputs, L.Dense(3, "softmax", name='odd "<b>&\\n')(L.Flatten()(x)), name="net")


def branches():
    inputs = keras.Input((8, 8, 4))
    ways = [L.Conv2D(4, 1)(inputs), L.Conv2D(2, 3, padding="same")(L.Conv2D(4, 1)(inputs)), L.MaxPooling2D(1)(inputs)]
    return keras.Model(inputs, L.Concatenate(name="a_name_that_is_long_" * 4)([*ways, inputs]))


def nested():
    first, second = keras.Input((8,), name="first"), keras.Input((8,), name="second")
    coder = keras.Sequential([keras.Input((8,)), L.Dense(4, name="squeeze"), L.Dense(2, name="code")], name="coder")
    inner = keras.Input((2,), name="inner")
    reader = keras.Model(inner, [L.Dense(8, name="wide")(inner), L.Dense(1, name="narrow")(inner)], name="reader")
    wide, narrow = reader(L.Add(name="sum")([coder(first), coder(second)]))
    return keras.Model([first, second], [L.Activation("relu", name="end")(wide), narrow])


def arrows(model, **shown):
    """The arrows by the titles of their boxes."""
    made = diagram(model, Shown(**shown))
    titles = {box.key: box.title.partition(" ")[0] for box in made.boxes()}

    def found(part):
        yield from ((titles[a], titles[b]) for a, b in part.arrows)
        for each in part.parts:
            if hasattr(each, "parts"):
                yield from found(each)

    return list(found(made))


def test_arrows_of_nested_models():
    plain = [("first", "coder"), ("second", "coder"), ("coder", "sum"), ("sum", "reader"), ("reader", "end")]
    assert sorted(arrows(nested())) == sorted(plain)
    inside = [("first", "squeeze"), ("second", "squeeze"), ("squeeze", "code"), ("code", "sum"), ("sum", "inner")]
    inside += [("inner", "wide"), ("inner", "narrow"), ("wide", "end")]
    assert sorted(arrows(nested(), expand=True)) == sorted(inside)


def test_boxes_say_what_is_asked():
    model = nested()
    model.get_layer("coder").trainable = False
    made = diagram(model, Shown(True, True, True, True, True, True))
    said = {box.title: [tuple(cell[:2]) for row in box.rows for cell in row] for box in made.boxes()}
    assert said["squeeze (Dense)"] == [
        ("Activation", "linear"), ("Input shape", "(None, 8)"), ("Output shape", "(None, 4)"),
        ("Output dtype", "float32"), ("", "Non-trainable"),
    ]  # fmt: skip
    assert said["first (InputLayer)"] == [("Output shape", "(None, 8)"), ("Output dtype", "float32")]
    assert said["sum (Add)"][0] == ("Input shape", "(None, 2), (None, 2)")
    assert ("", "Trainable") in said["wide (Dense)"]
    assert [box.title for box in diagram(model, Shown(names=False)).boxes()][-1] == "Activation"


@pytest.mark.parametrize("build", [residual, branches, nested])
@pytest.mark.parametrize("rankdir", ["TB", "LR", "BT", "RL"])
def test_nothing_lies_over_another_and_arrows_point_ahead(build, rankdir):
    made = diagram(build(), Shown(shapes=True, expand=True))
    shapes = drawing.placed(made, rankdir, "ortho")
    boxes = list(shapes.boxes.values())
    assert len(boxes) == len(list(made.boxes()))
    for a, b in itertools.combinations(boxes, 2):
        apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
        assert apart, (a, b)
    axis, sign = (1, 1) if rankdir == "TB" else (1, -1) if rankdir == "BT" else (0, 1 if rankdir == "LR" else -1)
    for points in shapes.arrows:
        along = [point[axis] * sign for point in points]
        assert along == sorted(along)
        for (x0, y0), (x1, y1) in itertools.pairwise(points):  # in right angles, and through no box
            assert abs(x0 - x1) < 0.6 or abs(y0 - y1) < 0.6
            for at in boxes:
                inside = (
                    max(x0, x1) > at.x + 1
                    and min(x0, x1) < at.x + at.width - 1
                    and max(y0, y1) > at.y + 1
                    and min(y0, y1) < at.y + at.height - 1
                )
                assert not inside, (points, at)
    for at in boxes:  # but for how an older NumPy rounds
        assert at.x > -1e-6 and at.x + at.width < shapes.width + 1e-6
        assert at.y > -1e-6 and at.y + at.height < shapes.height + 1e-6


def test_chains_and_the_arrows_past_them_are_straight():
    made = diagram(residual(6), Shown())
    shapes = laid_out(made, drawing.size_of, lambda title: ((0, 0), (0, 0)))
    turns = [sum(y0 == y1 and x0 != x1 for (x0, y0), (x1, y1) in itertools.pairwise(way)) for way in shapes.arrows]
    assert max(turns) <= 2 and turns.count(0) >= 20


def drawn(model, expand):
    """The arrows by the boxes that they begin and end at."""
    made = diagram(model, Shown(expand=expand))
    titles = {box.key: box.title.partition(" ")[0] for box in made.boxes()}
    layout = drawing.placed(made, "TB", "ortho")

    def box_at(x, y):
        near = (key for key, at in layout.boxes.items() if abs(x - at.x - at.width / 2) <= at.width / 2 + 0.1
                and abs(y - at.y - at.height / 2) <= at.height / 2 + 0.1)  # fmt: skip
        return titles[next(near)]

    return sorted((box_at(*points[0]), box_at(*points[-1])) for points in layout.arrows)


@pytest.mark.parametrize("expand", [False, True])
def test_drawn_arrows_lead_from_box_to_box(expand):
    assert drawn(nested(), expand) == sorted(arrows(nested(), expand=expand))


def test_a_layer_has_one_box():
    x, dense = keras.Input((4,), name="x"), L.Dense(4, name="dense")
    inside = keras.Sequential([keras.Input((4,)), dense, L.ReLU(name="relu")], name="inside")
    again = keras.Sequential([keras.Input((4,)), dense], name="again")
    model = keras.Model(x, again(dense(inside(x))))
    told = [("x", "dense"), ("dense", "relu"), ("relu", "dense"), ("dense", "dense")]
    assert sorted(arrows(model, expand=True)) == sorted(told) == drawn(model, True)


def shared():
    """A layer that is called in turns, and stands in a nested model and outside."""
    x, dense, other = keras.Input((4,), name="x"), L.Dense(4, name="dense"), L.Dense(4, name="other")
    inside = keras.Sequential([keras.Input((4,)), dense, L.ReLU(name="relu")], name="inside")
    return keras.Model(x, inside(dense(other(dense(other(dense(dense(x))))))))


@pytest.mark.parametrize("expand", [False, True])
def test_arrows_back_and_to_itself_are_drawn(expand, tmp_path):
    told = [("x", "dense"), ("dense", "dense"), ("dense", "other"), ("other", "dense")]
    told += [("dense", "relu")] if expand else [("dense", "inside")]
    model = shared()
    assert sorted(arrows(model, expand=expand)) == sorted(told)
    assert drawn(model, expand) == sorted(told)
    plot_model(model, tmp_path / "m.svg", expand_nested=expand, splines="curved")


@pytest.mark.parametrize("text", ["plain words", "WWWWMMMM", "图像分类网络", "ÄÖÜ (Conv2D)", "()[]iljt.,"])
def test_texts_are_no_wider_than_their_boxes(text):
    from matplotlib.textpath import TextPath

    drawn = TextPath((0, 0), text, size=12, prop={"weight": "bold"}).get_extents()
    assert drawn.width <= drawing.width_of(text, 12, True) <= 2.2 * drawn.width


@pytest.mark.parametrize("splines", ["ortho", "curved", "polyline", "spline", "line"])
def test_svg_is_sound_and_holds_all_names(splines, tmp_path):
    assert plot_model(residual(), tmp_path / "m.svg", show_layer_names=True, splines=splines) is None or (
        "IPython" in sys.modules
    )
    root = ElementTree.parse(tmp_path / "m.svg").getroot()
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert "输入图像 (InputLayer)" in texts and 'odd "<b>&\\n (Dense)' in texts
    assert len(list(root.iter(f"{SVG}path"))) == len(arrows(residual())) == len(list(root.iter(f"{SVG}polygon")))
    curved = [each for each in root.iter(f"{SVG}path") if "Q" in each.get("d")]
    assert bool(curved) == (splines in ("curved", "spline"))


@pytest.mark.filterwarnings("ignore:plot_model. no installed font:UserWarning")
@pytest.mark.parametrize("name, start", [("m.png", b"\x89PNG"), ("m", b"\x89PNG"), ("m.pdf", b"%PDF")])
def test_pictures_by_matplotlib(name, start, tmp_path):
    plot_model(nested(), str(tmp_path / name), expand_nested=True, show_shapes=True, dpi=40, rankdir="LR")
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.filterwarnings("ignore:plot_model. no installed font:UserWarning")
def test_dots_per_inch_count_and_are_bounded(tmp_path, monkeypatch):
    from matplotlib.image import imread

    sizes = []
    for dpi in (36, 72):
        plot_model(branches(), tmp_path / "m.png", dpi=dpi)
        sizes.append(imread(tmp_path / "m.png").shape[0])
    assert sizes[1] == pytest.approx(2 * sizes[0], abs=2)
    monkeypatch.setattr(drawing, "MOST_PIXELS", 100)
    with pytest.warns(UserWarning, match="dots per inch"):
        plot_model(branches(), tmp_path / "m.png", dpi=200)
    assert max(imread(tmp_path / "m.png").shape) <= 101


def test_without_matplotlib_it_is_said_what_helps(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install matplotlib.*\.svg"):
        plot_model(branches(), tmp_path / "m.png")
    plot_model(branches(), tmp_path / "m.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["m.svg"]


def test_dot(tmp_path):
    dot = model_to_dot(nested(), expand_nested=True, rankdir="LR", dpi=50, splines="curved", show_shapes=True)
    text = dot.to_string()
    assert text == str(dot) and "rankdir=LR; dpi=50; splines=curved" in text
    assert text.count("{") == text.count("}") == 3 and text.count(" -> ") == 8 and text.count("subgraph") == 2
    assert dot.write(tmp_path / "m.dot") and (tmp_path / "m.dot").read_text() == text
    ElementTree.fromstring(dot.create(prog="dot", format="svg"))
    with pytest.raises(ValueError, match="neato"):
        dot.create(prog="neato")
    odd = str(model_to_dot(residual()))
    assert "odd &quot;&lt;b&gt;&amp;\\n" in odd and "输入图像" in odd
    for table in re.findall(r"label=<(<table.*?</table>)>\]", odd):
        ElementTree.fromstring(table)
    assert str(model_to_dot(nested(), subgraph=True)).startswith("subgraph cluster_")


def test_mermaid(tmp_path):
    plot_model(residual(), tmp_path / "m.mmd", show_layer_names=True, rankdir="LR")
    text = (tmp_path / "m.mmd").read_text("utf-8")
    assert text.startswith("flowchart LR\n") and text.count(" --> ") == len(arrows(residual()))
    assert "odd #34;#60;b#62;#38;#92;n" in text
    plot_model(nested(), tmp_path / "m.mmd", expand_nested=True)
    lines = (tmp_path / "m.mmd").read_text("utf-8").split()
    assert lines.count("subgraph") == lines.count("end") == 2


class Own(keras.Model):
    def __init__(self):
        super().__init__(name="own\n")
        self.dense = L.Dense(2)

    def call(self, x):
        return self.dense(x)


def test_other_models(tmp_path):
    own = Own()
    with pytest.raises(ValueError, match="not built"):
        plot_model(own, tmp_path / "m.svg")
    own(np.zeros((1, 3)))
    assert [box.title for box in diagram(own, Shown()).boxes()] == ["own\\n (Own)"]
    stack = keras.Sequential([keras.Input((4,)), L.Dense(3, name="a"), L.Dense(2, name="b")])
    assert arrows(stack) == arrows(stack, expand=True) == [("a", "b")]
    shared = L.Dense(4, name="shared")
    x = keras.Input((4,), name="x")
    assert arrows(keras.Model(x, shared(shared(x)))) == [("x", "shared"), ("shared", "shared")]
    plot_model(keras.Model(x, shared(shared(x))), tmp_path / "m.svg")
    with pytest.raises(TypeError, match="expected a model"):
        plot_model(3, tmp_path / "n.svg")


@pytest.mark.parametrize(
    "options, message",
    [({"rankdir": "UP"}, "rankdir"), ({"dpi": 0}, "dpi"), ({"dpi": "200"}, "dpi"), ({"splines": "none"}, "splines")],
)
def test_arguments_that_are_refused(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        plot_model(branches(), tmp_path / "m.svg", **options)
    with pytest.raises(ValueError, match=message):
        model_to_dot(branches(), **options)
    with pytest.raises(ValueError, match=r"must end in"):
        plot_model(branches(), tmp_path / "m.jpg")
    assert not list(tmp_path.iterdir())


def test_older_generations(tmp_path):
    model = keras2.models.Sequential([keras2.layers.Dense(3, input_shape=(4,), name="dense")])
    from lamina.keras1.utils.visualize_util import plot
    from lamina.keras2.utils.vis_utils import plot_model as of_keras2

    plot(model, to_file=str(tmp_path / "1.svg"), show_shapes=True)
    of_keras2(model, str(tmp_path / "2.svg"), True, True, "LR")
    tf_keras.utils.plot_model(model, str(tmp_path / "3.svg"), True, True)
    for name in "123":
        text = (tmp_path / f"{name}.svg").read_text("utf-8")
        assert "dense (Dense)" in text and "(None, 4)" in text and ("dtype" in text) == (name == "3")
    assert keras2.utils.plot_model is of_keras2 and keras1.utils.visualize_util.model_to_dot(model)
    with pytest.raises(ValueError, match="layer_range"):
        tf_keras.utils.plot_model(model, str(tmp_path / "4.svg"), layer_range=["a", "b"])


# Columns and folded blocks ----------------------------------------------------------------------------------------


def overlaps(layout):
    return [
        (a, b)
        for a, b in itertools.combinations(layout.boxes.values(), 2)
        if a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height
    ]


def crossed(layout):
    """The arrows that pass through boxes."""
    return [
        (points, at)
        for points in layout.arrows
        for (x0, y0), (x1, y1) in itertools.pairwise(points)
        for at in layout.boxes.values()
        if max(x0, x1) > at.x + 1 and min(x0, x1) < at.x + at.width - 1
        and max(y0, y1) > at.y + 1 and min(y0, y1) < at.y + at.height - 1
    ]  # fmt: skip


def inception(blocks=4):
    x = inputs = keras.Input((8, 8, 4))
    for _ in range(blocks):
        ways = [L.Conv2D(4, 1)(x), L.Conv2D(2, 3, padding="same")(L.Conv2D(4, 1)(x)), L.MaxPooling2D(1)(x)]
        x = L.Concatenate()(ways)
    return keras.Model(inputs, L.Flatten()(x))


def in_columns(model, columns, expand=False):
    """A layout, and the arrows by the boxes that they begin and end at."""
    made = diagram(model, Shown(expand=expand))
    titles = {box.key: box.title.partition(" ")[0] for box in made.boxes()}
    layout = drawing.placed(made, "TB", "ortho", columns)

    def box_at(x, y):
        return next(
            titles[key]
            for key, at in layout.boxes.items()
            if at.x - 0.1 <= x <= at.x + at.width + 0.1 and at.y - 0.1 <= y <= at.y + at.height + 0.1
        )

    return layout, sorted((box_at(*points[0]), box_at(*points[-1])) for points in layout.arrows)


@pytest.mark.parametrize("build", [residual, inception])
def test_long_pictures_stand_in_columns(build):
    model = build(6)
    heights = []
    for columns in (1, 2, 3, 4):
        layout, ends = in_columns(model, columns)
        assert not overlaps(layout) and not crossed(layout)
        assert ends == sorted(arrows(model))
        for at in layout.boxes.values():
            assert 0 <= at.x and at.x + at.width <= layout.width and 0 <= at.y and at.y + at.height <= layout.height
        for x, y in itertools.chain(*layout.arrows):
            assert 0 <= x <= layout.width and 0 <= y <= layout.height
        heights.append(layout.height)
    assert heights[1] < 0.65 * heights[0] and heights[2] < 0.5 * heights[0] and heights == sorted(heights)[::-1]


def test_as_many_columns_as_make_a_page():
    small, long = residual(2), residual(30)
    assert in_columns(small, None)[0] == in_columns(small, 1)[0]
    layout = in_columns(long, None)[0]
    assert 0.5 < layout.width / layout.height < 3
    for rankdir in ("LR", "BT", "RL"):
        turned = drawing.placed(diagram(long, Shown()), rankdir, "curved", None)
        assert not overlaps(turned)
    # Where no box alone leads on there is nothing to break.
    x = keras.Input((4,))
    a, b = x, x
    for _ in range(30):
        a, b = L.Dense(4)(a), L.Dense(4)(b)
    apart = keras.Model(x, [a, b])
    assert in_columns(apart, 3)[0].height == pytest.approx(in_columns(apart, 1)[0].height, rel=0.05)
    with pytest.raises(ValueError, match="columns"):
        apart.plot(columns=0)


def frames(made):
    return [part.title for part in made.parts if hasattr(part, "parts")]


def test_repeated_blocks_are_shown_once():
    model = residual(5)
    made = diagram(model, Shown(), fold_blocks)
    assert len(list(made.boxes())) < len(list(diagram(model, Shown()).boxes())) / 2
    assert frames(made) == ["5 times"]
    kinds = [box.title.partition("(")[2].rstrip(")") for box in made.boxes()]
    assert kinds.count("BatchNormalization") == 1 and kinds[-2:] == ["Flatten", "Dense"]
    layout = drawing.placed(made, "TB", "ortho")
    assert not overlaps(layout) and not crossed(layout)
    # One way leads into a frame and one out of it, and none back.
    (frame,) = (part for part in made.parts if hasattr(part, "parts"))
    inside = {box.key for box in frame.boxes()}
    ways = [((a in inside), (b in inside)) for a, b in made.arrows]
    assert ways.count((False, True)) == 1 and ways.count((True, False)) == 1


def test_only_what_is_alike_is_folded():
    def chain(*stack):
        model = keras.Sequential([keras.Input((8,)), *stack])
        made = diagram(model, Shown(), fold_blocks)
        return frames(made), [box.title.partition(" ")[0] for box in made.boxes()]

    assert chain(*(L.Dense(8, name=f"d{i}") for i in range(4))) == (["4 times"], ["d0"])
    assert chain(*(L.Dense(8 - i, name=f"d{i}") for i in range(4))) == ([], ["d0", "d1", "d2", "d3"])
    relu = [L.Dense(8, name="a"), L.Dense(8, "relu", name="b"), L.Dense(8, name="c"), L.Dense(8, "relu", name="d")]
    assert chain(*relu) == (["2 times"], ["a", "b"])
    assert chain(L.Dense(8, name="a"), L.Dense(8, name="b", trainable=False)) == ([], ["a", "b"])
    x = keras.Input((8,))  # two that read the same stand beside one another
    heads = keras.Model(x, [L.Dense(3, name="one")(x), L.Dense(3, name="two")(x)])
    assert frames(diagram(heads, Shown(), fold_blocks)) == []
    assert frames(diagram(shared(), Shown(), fold_blocks)) == []


def test_a_model_is_its_own_picture(tmp_path):
    model = residual()
    shown = model.plot(show_shapes=True)
    ElementTree.fromstring(shown._repr_svg_())
    assert shown._repr_svg_() in shown._repr_html_() and "输入图像" in shown._repr_svg_()
    assert str(shown).startswith('digraph "net"') and shown.mermaid().startswith("flowchart TB")
    for name in ("m.svg", "m.dot", "m.mmd"):
        assert model.plot(tmp_path / name, fold=True, columns=2).to_string()
    assert (tmp_path / "m.mmd").read_text("utf-8") == model.plot(fold=True).mermaid()
    with pytest.raises(ValueError, match="must end in"):
        model.plot(tmp_path / "m.jpg")
    with pytest.raises(ValueError, match="not built"):
        keras.Sequential([L.Dense(2)]).plot()


def test_kinds_have_colours_on_which_white_can_be_read():
    from lamina.pictures.diagram import _COLOURS

    assert {box.colour for box in diagram(residual(), Shown()).boxes()} >= {"#1f4e8c", "#1f6b6b", "#7a6000", "black"}
    for _, colour in _COLOURS:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        assert 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) >= 4.5  # WCAG's contrast for text


NODE = r'n\d+i?\["(?:[^"]|<br/>)*"\]'
MERMAID = re.compile(rf'flowchart (TB|LR|BT|RL)|\s+({NODE}|subgraph n\d+x?\["[^"]*"\]|end|n\d+i? --> n\d+i?)')


@pytest.mark.parametrize("build", [residual, branches, nested, shared])
def test_every_line_of_mermaid_is_in_its_grammar(build):
    text = build().plot(fold=True, expand_nested=True, show_shapes=True, show_trainable=True).mermaid()
    assert [line for line in text.splitlines() if not MERMAID.fullmatch(line)] == []
    declared = set(re.findall(r"^\s+(n\d+i?)\[", text, re.M))
    assert (
        set(re.findall(r"(n\d+) -->|--> (n\d+)", text))
        and {end for pair in re.findall(r"(n\d+i?) --> (n\d+i?)", text) for end in pair} <= declared
    )
