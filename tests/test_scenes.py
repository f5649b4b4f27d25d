"""Pictures of windows against the layers themselves, and every way of drawing a scene."""

from __future__ import annotations

import io
import itertools
import shutil
import subprocess
import unicodedata
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.scenes import problems

import lamina as keras
from lamina import layers
from lamina.layers import old
from lamina.pictures import scene_png, scene_shapes, scene_svg, scene_text
from lamina.pictures.scene import Curve, Frame, Grid, Link, Mark, Note, Scene
from lamina.pictures.scenes import At, scenes, windows

RANKS = (1, 2, 3)


def drawn(layer, shape, language="en"):
    """The scenes of a layer on an input of this shape, without the batch; checked for being drawable."""
    outputs = layer(keras.Input(shape))
    found = scenes(layer, At(((None, *shape),), (outputs.shape,), language))
    for scene in found:
        assert list(problems(scene)) == []
    return found


def influence(layer, shape, channelwise=False):
    """Which places of the input change which of the output, {place: set of places}; or which channels which."""
    with torch.no_grad():
        for weight in layer.parameters():
            weight.copy_(torch.rand_like(weight) + 0.1)
    last = layer.channels_last
    spatial, channels = (shape[:-1], shape[-1]) if last else (shape[1:], shape[0])
    places = [(channel,) for channel in range(channels)] if channelwise else list(np.ndindex(*spatial))
    x = torch.zeros(len(places) + 1, *spatial, channels)
    for number, place in enumerate(places):
        x[(number, ..., *place) if channelwise else (number, *place)] = 1
    y = layer(x if last else x.movedim(-1, 1))
    y = y[:, None] if y.ndim == 2 else y if last else y.movedim(1, -1)  # as from one place
    changed = (y[:-1] - y[-1]).abs() > 1e-7
    changed = changed.reshape(len(places), -1, changed.shape[-1]).any(1) if channelwise else changed.any(-1)
    return {
        place: {tuple(map(int, at)) for at in torch.nonzero(row)} for place, row in zip(places, changed, strict=True)
    }


def places_of(scene, name, rank):
    """{(grid, cell): place} of all cells of a tensor that stand for one of its places, in an uncut scene."""
    found = {}
    for grid in scene.grids:
        if grid.name != name and not grid.name.startswith(f"{name} "):
            continue
        real = [cell for cell in range(grid.rows * grid.columns) if grid.styles.get(cell) not in ("pad", "dropped")]
        columns = sorted({cell % grid.columns for cell in real})
        rows = sorted({cell // grid.columns for cell in real})
        for cell in real:
            down, across = rows.index(cell // grid.columns), columns.index(cell % grid.columns)
            first = (int(grid.name.split()[-1]),) if rank == 3 else ()
            found[grid.name, cell] = (across,) if rank == 1 else (*first, down, across)
    return found


def check_space(layer, shape):
    """Every frame marks what the layer's output depends on, or for a transposed convolution what an input changes."""
    scene = drawn(layer, shape)[0]
    rank = layer.rank
    assert all("…" not in grid.texts.values() for grid in scene.grids), "cut: not for this test"
    inputs, outputs = places_of(scene, "input", rank), places_of(scene, "output", rank)
    changes = influence(layer, shape)
    spreads = isinstance(layer, windows.convolution.ConvTranspose)
    seen = set()
    for frame in scene.frames:
        marked = {(mark.grid, mark.cell) for mark in frame.marks}
        ins, outs = ({of[at] for at in marked if at in of} for of in (inputs, outputs))
        if spreads:
            (place,) = ins
            assert outs == changes[place]
        else:
            (place,) = outs
            assert ins == {given for given, reached in changes.items() if place in reached}
        seen.add(place)
        assert all(link.start in marked and link.end in marked for link in frame.links)
    return scene, seen


numbers = st.integers(1, 3)
WINDOWED = [
    *(f"{kind}{rank}D" for kind in ("Conv", "MaxPooling", "AveragePooling", "LocallyConnected") for rank in RANKS),
    *(f"Conv{rank}DTranspose" for rank in RANKS),
    *(f"{kind}{rank}D" for kind in ("DepthwiseConv", "SeparableConv") for rank in (1, 2)),
]


def made(name, data, rank):
    sizes = st.tuples(*(numbers,) * rank)
    arguments = {"data_format": data.draw(st.sampled_from(["channels_last", "channels_first"]))}
    arguments["padding"] = data.draw(st.sampled_from(["valid", "same", *["causal"] * (name == "Conv1D")]))
    arguments["strides"] = data.draw(sizes)
    if "Pooling" in name:
        arguments["pool_size"] = data.draw(sizes)
    else:
        arguments["kernel_size"] = data.draw(sizes)
        if not name.startswith("Depthwise"):
            arguments["filters"] = data.draw(st.sampled_from([2, 4]))
        if "Local" not in name and max(arguments["strides"]) == 1:
            arguments["dilation_rate"] = data.draw(sizes)
    if name in ("Conv1D", "Conv2D", "Conv3D"):
        arguments["groups"] = data.draw(st.sampled_from([1, 2]))
    if "Depthwise" in name or "Separable" in name:
        arguments["depth_multiplier"] = data.draw(st.sampled_from([1, 2]))
        if rank == 2:
            arguments["strides"] = arguments["strides"][0]
    if name.endswith("Transpose") and data.draw(st.booleans()):
        stride = arguments["strides"]
        arguments["output_padding"] = tuple(data.draw(st.integers(0, size - 1)) for size in stride)
    return getattr(layers, name)(**arguments)


def shape_for(layer, data, largest):
    sizes = tuple(data.draw(st.integers(1, largest)) for _ in range(layer.rank))
    return (*sizes, 2) if layer.channels_last else (2, *sizes)


@pytest.mark.parametrize("name", WINDOWED)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_marked_inputs_are_those_the_output_depends_on(name, data):
    layer = made(name, data, int(next(letter for letter in name if letter.isdigit())))
    shape = shape_for(layer, data, {1: 9, 2: 5, 3: 3}[layer.rank])
    try:
        outputs = layer.compute_output_shape((None, *shape))
    except ValueError:
        assume(False)
    assume(0 not in outputs and max(outputs[1:]) <= windows.MOST[layer.rank])
    axes = windows.sliding(layer, layer.spatial((None, *shape)), layer.spatial(outputs))
    before, after = zip(*(axis.outside for axis in axes), strict=True)
    longest = max(a + axis.places + b for a, axis, b in zip(before, axes, after, strict=True))
    assume(longest <= windows.MOST[layer.rank])
    scene, seen = check_space(layer, shape)
    all_places = layer.spatial((None, *shape) if name.endswith("Transpose") else outputs)
    assert len(seen) == len(scene.frames) <= windows.MOST_FRAMES
    if np.prod(all_places) <= windows.MOST_FRAMES:
        assert len(seen) == np.prod(all_places)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("kind", ["GlobalMaxPooling", "GlobalAveragePooling"])
@pytest.mark.parametrize("keepdims", [True, False])
def test_global_pooling_sees_everything(kind, rank, keepdims):
    layer = getattr(layers, f"{kind}{rank}D")(keepdims=keepdims)
    shape = (*(5, 4, 3)[:rank], 2)
    (scene, *_), places = drawn(layer, shape), places_of(drawn(layer, shape)[0], "input", rank)
    (frame,) = scene.frames
    assert {places[mark.grid, mark.cell] for mark in frame.marks if (mark.grid, mark.cell) in places} == set(
        np.ndindex(*shape[:-1])
    )


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("kind", ["AdaptiveMaxPooling", "AdaptiveAveragePooling"])
def test_adaptive_pooling_sees_its_part(kind, rank):
    layer = getattr(layers, f"{kind}{rank}D")((2, 3, 2)[:rank])
    check_space(layer, (*(5, 4, 3)[:rank], 2))


@pytest.mark.parametrize("name", [name for name in WINDOWED if "3D" not in name])
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_channels_are_joined_as_the_layer_joins_them(name, data):
    layer = made(name, data, int(next(letter for letter in name if letter.isdigit())))
    shape = (*(9,) * layer.rank, 4) if layer.channels_last else (4, *(9,) * layer.rank)
    try:
        layer.compute_output_shape((None, *shape))
        scene = drawn(layer, shape)[-1]
    except ValueError:
        assume(False)
    changes = influence(layer, shape, True)
    for frame in scene.frames:
        first, last = scene.grids[0].name, scene.grids[-1].name
        (output,) = (mark.cell for mark in frame.marks if mark.grid == last)
        seen = {(mark.cell,) for mark in frame.marks if mark.grid == first}
        assert seen == {given for given, reached in changes.items() if (output,) in reached}
    assert len(scene.frames) == scene.grids[-1].columns
    joined = {(link.start, link.end) for link in scene.links}
    assert all((link.start, link.end) in joined for frame in scene.frames for link in frame.links)


@pytest.mark.parametrize(
    "layer, length",
    [
        (layers.Conv1D(2, 3, dilation_rate=40, padding="causal"), 300),
        (layers.Conv1D(2, 60), 200),
        (layers.Conv1D(2, 5, strides=4, padding="same"), 999),
        (layers.MaxPooling1D(7), 500),
        (layers.GlobalAveragePooling1D(), 100),
        (layers.AdaptiveAveragePooling1D(30), 100),
        (layers.Conv1DTranspose(2, 5, strides=3, padding="same"), 100),
    ],
)
def test_long_axes_are_cut_and_what_is_shown_is_right(layer, length):
    scene = drawn(layer, (length, 2))[0]
    changes = influence(layer, (length, 2))
    grids = {name: scene.grid(name) for name in ("input", "output")}
    places = {
        (name, cell): int(text) for name, grid in grids.items() for cell, text in grid.texts.items() if text.isdigit()
    }
    shown = {name: {place for (of, _), place in places.items() if of == name} for name in grids}
    assert all(grid.columns <= windows.MOST[1] + 4 for grid in grids.values())
    assert "…" in grids["input"].texts.values()
    spreads = isinstance(layer, windows.convolution.ConvTranspose)
    for frame in scene.frames:
        marked = {"input": set(), "output": set()}
        for mark in frame.marks:
            if (mark.grid, mark.cell) in places:
                marked[mark.grid].add(places[mark.grid, mark.cell])
        if spreads:
            (place,) = marked["input"]
            assert marked["output"] == {at for (at,) in changes[place,]} & shown["output"]
        else:
            (place,) = marked["output"]
            assert marked["input"] == {at for (at,), reached in changes.items() if (place,) in reached} & shown["input"]
    assert any("of" in note.text for note in scene.notes) or len(scene.frames) == 1


def test_large_pictures_stay_small():
    scene, across = drawn(layers.Conv2D(64, 3, padding="same"), (224, 224, 128))
    assert max(scene.size) < 40 and len(scene.frames) <= windows.MOST_FRAMES
    assert across.grid("channels 1").columns < 16
    assert len(scene_svg.svg(scene)) < 40_000


def test_a_locally_connected_layer_has_a_kernel_for_each_position():
    scene = drawn(layers.LocallyConnected1D(4, 3), (8, 2))[0]
    kernels = [grid for grid in scene.grids if grid.name.startswith("kernel")]
    assert len(kernels) == scene.grid("output").columns == 6
    for number, frame in enumerate(scene.frames):
        assert {mark.grid for mark in frame.marks} == {"input", "output", f"kernel {number}"}
        assert len({mark.colour for mark in frame.marks}) == 1
    assert len({frame.marks[0].colour for frame in scene.frames}) == 6
    shared = drawn(layers.Conv1D(4, 3), (8, 2))[0]
    assert [grid.name for grid in shared.grids if grid.name.startswith("kernel")] == ["kernel 0"]


def test_where_a_transposed_convolution_overlaps():
    layer = layers.Conv1DTranspose(1, 3, strides=2, padding="same", kernel_initializer="ones")
    scene = drawn(layer, (5, 1))[0]
    counts = [int(scene.grid("overlaps").texts[cell]) for cell in range(10)]
    assert counts == layer(torch.ones(1, 5, 1)).flatten().tolist()
    plane = layers.Conv2DTranspose(1, 3, strides=2, kernel_initializer="ones")
    scene = drawn(plane, (3, 3, 1))[0]
    counts = [int(scene.grid("output").texts[cell]) for cell in range(49)]
    assert counts == plane(torch.ones(1, 3, 3, 1)).flatten().tolist()
    assert any(note.text.startswith("numbers: how many inputs") for note in scene.notes)


def test_formulas_in_captions():
    causal = drawn(layers.Conv1D(4, 3, padding="causal", dilation_rate=2), (8, 2))[0]
    assert causal.frames[0].caption == "y[0] = w0·0 + w1·0 + w2·x[0]"
    assert causal.frames[5].caption == "y[5] = w0·x[1] + w1·x[3] + w2·x[5]"
    assert drawn(layers.MaxPooling1D(2), (4, 2))[0].frames[1].caption == "y[1] = max(x[2], x[3])"
    assert drawn(layers.AveragePooling1D(3, 2, "same"), (4, 2))[0].frames[1].caption == "y[1] = mean(x[2], x[3])"
    local = drawn(layers.LocallyConnected1D(4, 2), (4, 2))[0]
    assert local.frames[2].caption == "y[2] = w0[2]·x[2] + w1[2]·x[3]"


def test_layers_of_older_generations_are_drawn_as_what_they_are():
    (scene, _) = drawn(keras.keras1.layers.Convolution1D(4, 3, border_mode="same"), (8, 2))
    assert scene.title.startswith("Convolution1D:") and len(scene.frames) == 8
    check_space(keras.keras1.layers.AtrousConvolution1D(4, 3, atrous_rate=2), (9, 2))
    check_space(old.CausalSeparableConv1D(4, 3, padding="causal"), (9, 2))
    for size, stride in ((2, 1), (3, 2)):
        check_space(old.TheanoMaxPooling2D(size, stride, padding="theano"), (5, 5, 2))
    for half in (False, True):
        shape = (None, 6, 6, 2)
        check_space(old.DeconvolutionTo(2, 3, 2, padding="same", output_shape=shape, half=half), (3, 3, 2))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: layers.SeparableConv1D(4, 3), (12, 4)),
        (lambda: layers.GroupedQueryAttention(4, 4, 2), (5, 8)),
        (lambda: layers.TimeDistributed(layers.Dense(2)), (6, 3)),
        (lambda: layers.Masking(), (6, 3)),
    ],
)
def test_no_line_runs_through_a_title_between_rows(layer, shape):
    layer, x = layer(), keras.Input(shape)
    outputs = layer(x, x) if isinstance(layer, layers.GroupedQueryAttention) else layer(x)
    inputs = ((None, *shape),) * (2 if isinstance(layer, layers.GroupedQueryAttention) else 1)
    scenes_of = [scene for scene in scenes(layer, At(inputs, (tuple(outputs.shape),), "en")) if scene.links]
    assert scenes_of
    for scene in scenes_of:
        shapes = [item.shape for item in scene_shapes.picture(scene).items]
        lines = [shape.points for shape in shapes if isinstance(shape, scene_shapes.Line)]
        titles = {grid.title for grid in scene.grids}
        for title in (shape for shape in shapes if isinstance(shape, scene_shapes.Label) and shape.text in titles):
            right = title.x + scene_shapes.width_of(title.text, title.size) * 0.8
            for (x0, y0), *_, (x1, y1) in lines:
                along = [(x0 + (x1 - x0) * part / 50, y0 + (y1 - y0) * part / 50) for part in range(51)]
                assert not any(title.x < x < right and abs(y - title.y) < 4 for x, y in along), title.text


def test_lines_between_planes_are_seen_up_to_their_cells():
    """Over the cells that they pass, under what is marked."""
    items = scene_shapes.picture(drawn(layers.Conv2D(4, 3), (6, 6, 3))[0]).items
    lines = [place for place, item in enumerate(items) if isinstance(item.shape, scene_shapes.Line)]
    cells = [place for place, item in enumerate(items) if item.role == "value"]
    marks = [place for place, item in enumerate(items) if item.role.startswith("mark")]
    assert max(cells) < min(lines) and max(lines) < min(marks)


def test_two_outputs_of_two_directions_stand_apart():
    layer = layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode=None)
    outputs = layer(keras.Input((5, 3)))
    scene = scenes(layer, At(((None, 5, 3),), tuple(tuple(y.shape) for y in outputs), "en"))[0]
    for step in range(1, 6):
        (forward, backward) = (scene.grid(f"{name} {step}").at[0] for name in ("y", "y 2"))
        assert forward + 1 <= backward == scene.grid(f"backward state {step}").at[0]


def test_unknown_sizes_have_no_picture():
    assert drawn(layers.Conv1D(4, 3), (None, 2)) == []


# --- drawing


GRID = Grid("a<b", 2, 3, (0, 0), {0: "1", 1: "<&>"}, {2: "pad", 3: "masked", 4: "dropped", 5: "gap"}, {1: 3})
SCENE = Scene(
    "A <title> & more",
    [GRID, Grid("below", 1, 4, (1, 5), {0: "好"}, {1: "weight", 2: "state"}, title="下方")],
    [
        Frame("first <caption>", [Mark("a<b", 0)], [Link(("a<b", 0), ("below", 1), 1)]),
        Frame("second", [Mark("a<b", 2, 2), Mark("below", 0, 1)], [Link(("below", 0), ("below", 3), dashed=True)]),
        Frame("第三帧" * 40, [Mark("below", 3, 11)]),
    ],
    [Link(("a<b", 3), ("below", 2))],
    [Curve("sin", [(x / 10, np.sin(x / 10)) for x in range(-30, 31)], (8, 0), (10, 5))],
    [Note((0, 7), "a note & a word")],
    {0: "zero", 1: "一"},
)


def parsed(svg):
    return ElementTree.fromstring(svg)


def test_svg_is_whole_and_holds_every_frame():
    text = scene_svg.svg(SCENE)
    root = parsed(text)
    assert root.tag.endswith("svg") and root.get("viewBox")
    assert "<script" not in text and "<caption>" not in text and "href" not in text
    said = "".join(root.itertext())
    assert "first <caption>" in said and "A <title> & more" in said and "a note & a word" in said
    groups = [each for each in root.iter() if each.get("class") == "f"]
    assert {each.get("style") for each in groups} == {"--i:0", "--i:1", "--i:2"}
    telling = scene_shapes.telling(SCENE)
    shown = {each.get("style") for each in groups if each.get("visibility") != "hidden"}
    assert shown == {f"--i:{telling}"}  # where style sheets do not move it
    assert "prefers-reduced-motion" in text and "prefers-color-scheme:dark" in text


def test_still_svg_shows_the_telling_frame_alone():
    text = scene_svg.svg(SCENE, still=True)
    assert "keyframes" not in text and 'class="f"' not in text
    frames = [frame.caption for frame in SCENE.frames if frame.caption in "".join(parsed(text).itertext())]
    assert frames == [SCENE.frames[scene_shapes.telling(SCENE)].caption]


def test_two_pictures_in_a_page_do_not_share_styles():
    one, other = scene_svg.svg(SCENE), scene_svg.svg(Scene("other", [GRID]))
    keys = [parsed(text).get("class") for text in (one, other)]
    assert keys[0] != keys[1] and all(f".{key} " in text for key, text in zip(keys, (one, other), strict=True))
    both = parsed(scene_svg.stacked([one, other], [(100, 50), (80, 60)]))
    assert both.get("viewBox") == "0 0 100.0 110.0"
    assert [each.get("y") for each in both] == ["0.0", "50.0"]
    beside = parsed(scene_svg.stacked([one, other], [(100, 50), (80, 60)], across=True))
    assert beside.get("viewBox") == "0 0 180.0 60.0" and [each.get("x") for each in beside] == ["0.0", "100.0"]


def labels(scene):
    return [item.shape for item in scene_shapes.picture(scene).items if isinstance(item.shape, scene_shapes.Label)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_letters_stay_inside_the_picture(language):
    for layer, shape in (
        (layers.Conv1D(8, 3, padding="causal", dilation_rate=2), (16, 4)),
        (layers.Conv2D(4, 3, padding="same"), (28, 28, 3)),
        (layers.GlobalAveragePooling1D(), (8, 4)),
        (layers.Conv3D(2, 2), (4, 4, 4, 2)),
    ):
        for scene in [*drawn(layer, shape, language), SCENE]:
            whole = scene_shapes.picture(scene)
            for label in labels(scene):
                wide = scene_shapes.width_of(label.text, label.size, label.bold)
                left = label.x - wide / 2 if label.middle else label.x
                assert -1 <= left and left + wide <= whole.width + 4, label
                assert 0 <= label.y <= whole.height, label


def test_contrast_of_letters():
    """4.5 to 1, the least for letters, on whatever may be behind them."""

    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    for theme in (scene_shapes.LIGHT, scene_shapes.DARK):
        for role, (inside, _) in theme.items():
            if role in ("value", "paper", "pad", "weight", "state", "masked") or role.startswith(("of", "mark")):
                a, b = sorted((light(theme["ink"][0]), light(inside)))
                assert (b + 0.05) / (a + 0.05) >= 4.5, (role, inside)


def test_png_is_not_blank():
    pytest.importorskip("matplotlib")
    pillow = pytest.importorskip("PIL.Image")
    scene = drawn(layers.Conv1D(4, 3), (8, 2))[0]
    whole = scene_shapes.picture(scene)
    picture = pillow.open(io.BytesIO(scene_png.png([[scene]], dpi=72))).convert("RGB")
    assert abs(picture.width - whole.width) <= 1 and abs(picture.height - whole.height) <= 1
    pixels = np.asarray(picture).reshape(-1, 3)
    colours = {
        tuple(int(theme[i : i + 2], 16) for i in (1, 3, 5))
        for theme, _ in (scene_shapes.LIGHT[f"mark{n}"] for n in range(3))
    }
    found = {tuple(map(int, pixel)) for pixel in np.unique(pixels, axis=0)}
    assert colours <= found  # the three taps
    below = pillow.open(io.BytesIO(scene_png.png([[scene, scene]], dpi=72)))
    beside = pillow.open(io.BytesIO(scene_png.png([[scene], [scene]], dpi=72)))
    assert abs(below.height - 2 * whole.height) <= 1 and abs(beside.width - 2 * whole.width) <= 1


def columns(line):
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_text_keeps_to_its_width(width, language):
    for layer, shape in (
        (layers.Conv1D(8, 3, padding="causal", dilation_rate=2), (32, 16)),
        (layers.Conv2D(4, 3, padding="same"), (28, 28, 3)),
        (layers.LocallyConnected1D(4, 3), (8, 2)),
        (layers.Conv3D(2, 2), (4, 4, 4, 2)),
    ):
        for scene in [*drawn(layer, shape, language), SCENE]:
            text = scene_text.text(scene, width)
            assert max(map(columns, text.splitlines())) <= width
            assert "\x1b" not in text and scene_text.coloured(scene, width).plain.split() == text.split()


def test_text_of_a_frame():
    scene = drawn(layers.Conv1D(4, 3, padding="same", strides=2), (9, 2))[0]
    lines = scene_text.text(scene, 80, frames=1).splitlines()
    assert lines[2] == " ░   0   1   2  [3] [4] [5]  6   7   8   ░   input"
    assert "             0   1  [2]  3   4   output" in lines
    assert "y[2] = w0·x[3] + w1·x[4] + w2·x[5]" in lines
    narrow = scene_text.text(scene, 30, frames=1).splitlines()
    assert "░ □ □ □ 0 1 2 □ □ □ ░  input" in narrow


def test_text_counts_the_frames():
    scene = drawn(layers.Conv1D(4, 3), (8, 2))[0]
    captions = [frame.caption for frame in scene.frames]
    for frames in (1, 2, 3, 6):
        shown = [caption for caption in captions if caption in scene_text.text(scene, frames=frames)]
        assert len(shown) == frames
        assert scene.frames[scene_shapes.telling(scene)].caption in shown


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium")
def test_it_moves_in_a_browser(tmp_path):
    """The style sheet at three moments: two of one frame, one of another."""
    pillow = pytest.importorskip("PIL.Image")
    scene = drawn(layers.Conv1D(4, 3), (8, 2))[0]
    total, shots = scene_svg.SECONDS * len(scene.frames), []
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=500,500"]
    for moment in (0.1, 0.6, 1.7):
        page, target = tmp_path / f"{moment}.html", tmp_path / f"{moment}.png"
        held = f"animation-delay:calc(var(--i)*{scene_svg.SECONDS}s - {total + moment}s)!important"
        style = f"<style>.f{{animation-play-state:paused!important;{held}}}</style>"
        page.write_text(scene_svg.svg(scene) + style, encoding="utf-8")
        command = ["chromium", *options, f"--screenshot={target}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        shots.append(np.asarray(pillow.open(target).convert("L")).astype(int))
    assert shots[0].std() > 5
    assert (shots[0] != shots[1]).sum() == 0 and (shots[0] != shots[2]).sum() > 200


def test_frames_take_their_turns():
    """Of the style sheet: every moment shows one frame, each as long as the others."""
    count = 5
    scene = Scene("s", [Grid("g", 1, count)], [Frame(str(at), [Mark("g", at)]) for at in range(count)])
    text = scene_svg.svg(scene)
    assert f"{100 / count:.4f}%,100%{{visibility:hidden}}" in text
    assert f"{scene_svg.SECONDS * count:g}s step-end infinite" in text
    delays = [at * scene_svg.SECONDS - scene_svg.SECONDS * count for at in range(count)]
    for moment in (0.1, 0.9, 2.5, 3.9, 4.1):
        total = scene_svg.SECONDS * count
        visible = [at for at in range(count) if (moment - delays[at]) % total < total / count]
        assert visible == [int(moment % total // scene_svg.SECONDS)]


def test_cuts_have_no_doubles():
    for size, kernel, stride in itertools.product((10, 50, 300), (1, 3, 30), (1, 4)):
        if kernel > size:
            continue
        layer = layers.Conv1D(1, kernel, strides=stride)
        (axis,) = windows.sliding(layer, (size,), ((size - kernel) // stride + 1,))
        for row in windows.cut(axis, 20):
            real = [place for place in row if place is not None]
            assert real == sorted(set(real))
            assert all(not (a is None and b is None) for a, b in itertools.pairwise(row))
