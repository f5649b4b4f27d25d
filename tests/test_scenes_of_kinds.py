"""Pictures of the layers that have no window, held against the layers themselves."""

from __future__ import annotations

import ast
import importlib
import itertools
import math
import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import ALWAYS_RANDOM, EXAMPLES, UNCALLED, Example, public_layers
from support.scenes import problems
from torch import Tensor
from torch.utils import _pytree as pytree

import lamina as keras
from lamina import activations
from lamina.core.symbolic import SymbolicTensor
from lamina.layers import old
from lamina.layers.convolution import _Convolution
from lamina.layers.local import LocallyConnected
from lamina.layers.merge import OfSeveral
from lamina.layers.pooling import _AdaptivePooling, _GlobalPooling, _Pooling
from lamina.pictures.scene import Scene
from lamina.pictures.scenes import At, scenes
from lamina.pictures.scenes.gates import NEW
from lamina.pictures.scenes.parts import Layout, joined, sheet

L = keras.layers
WINDOWS = (_Convolution, LocallyConnected, _Pooling, _GlobalPooling, _AdaptivePooling)  # drawn in scenes/windows.py
CHANGED_AT_RANDOM = "changes pictures at random: the changed picture tells, and no arrangement of values does"
BY_COLOUR = "changes the colours of pictures: a curve would depend on the picture"
NO_SCENE = {
    "InputLayer": "computes nothing",
    "Lambda": "its function is somebody's own",
    "TorchModuleWrapper": "its module is somebody's own",
    "CategoryEncoding": "a table of ones and zeros, which its text tells",
    "Hashing": "a hash has no arrangement that could be seen",
    "HashedCrossing": "a hash has no arrangement that could be seen",
    "IntegerLookup": "its vocabulary is data",
    "StringLookup": "takes texts",
    "TextVectorization": "takes texts",
    "MelSpectrogram": "a chain of transforms of sound",
    "STFTSpectrogram": "a chain of transforms of sound",
    "MaxNumBoundingBoxes": "changes boxes, not values",
    **dict.fromkeys(("AutoContrast", "Equalization", "Solarization"), BY_COLOUR),
    "ContrastLimitedAdaptiveHistogramEqualization": BY_COLOUR,
    **{
        name: CHANGED_AT_RANDOM
        for name in public_layers()
        if name.startswith("Random") or name in ("AugMix", "CutMix", "MixUp", "RandAugment")
    },
}


def shapes_in(structure: Any) -> tuple:
    leaves = (leaf for leaf in pytree.tree_leaves(structure) if isinstance(leaf, SymbolicTensor))
    return tuple((None, *leaf.shape[1:]) for leaf in leaves)


def drawn(layer: Any, *shapes: tuple, language: Any = "en") -> list[Scene]:
    """The scenes of a layer that is called on inputs of these shapes."""
    batch = 2 if getattr(layer, "stateful", False) else None
    inputs = [keras.Input(batch_shape=(batch, *shape)) for shape in shapes]
    several = isinstance(layer, (OfSeveral, old.MergeByMode))
    outputs = layer(inputs) if several else layer(*inputs)
    return scenes(layer, At(shapes_in(inputs), shapes_in(outputs), language))


def marked(scene: Scene, frame: int, prefix: str) -> set[tuple[str, int]]:
    """Cells of the grids of this name, or of several that begin with it."""
    return {
        (mark.grid, mark.cell) for mark in scene.frames[frame].marks if re.fullmatch(rf"{prefix}( \d+)?", mark.grid)
    }


def text(scene: Scene, cell: tuple[str, int]) -> str:
    return scene.grid(cell[0]).texts[cell[1]]


def flat(scene: Scene, cell: tuple[str, int]) -> int:
    """The number of a value in memory, where all grids of its tensor are drawn whole."""
    grid = scene.grid(cell[0])
    number = re.search(r" (\d+)$", cell[0])
    return (int(number[1]) - 1 if number else 0) * grid.rows * grid.columns + cell[1]


def positive(layer: Any, seed: int = 0) -> Any:
    """The layer with positive weights, in float64."""
    generator = torch.Generator().manual_seed(seed)
    layer.double()
    with torch.no_grad():
        for weight in layer.weights:
            if weight.is_floating_point():
                weight.copy_(0.1 + torch.rand(weight.shape, generator=generator))
    return layer


def jacobian(function: Any, *inputs: Tensor) -> list[Tensor]:
    """(outputs, values of the input) each: True where it is not zero."""
    found = torch.autograd.functional.jacobian(function, inputs)
    return [each.reshape(-1, x.numel()) != 0 for each, x in zip(found, inputs, strict=True)]


# Every layer ----------------------------------------------------------------------------------------------------------


def is_window(cls: type) -> bool:
    return issubclass(cls, WINDOWS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_every_layer_has_scenes_that_can_be_drawn(example: Example) -> None:
    if is_window(example.cls) or example.name == "Squash":
        return
    layer = example.make()
    if example.name in ALWAYS_RANDOM:
        layer.eval()
    inputs = example.symbols()
    outputs = layer(*inputs)
    before = torch.get_rng_state(), [weight.clone() for weight in layer.weights], keras.layers.Dense(1).name
    found = {}
    for language in ("en", "zh"):
        found[language] = scenes(layer, At(shapes_in(inputs), shapes_in(outputs), language))
    assert bool(found["en"]) == (example.name not in NO_SCENE), example.name
    assert torch.equal(torch.get_rng_state(), before[0])
    assert all(torch.equal(weight, old) for weight, old in zip(layer.weights, before[1], strict=True))
    stem, number = re.fullmatch(r"(\w+?)_?(\d*)", before[2]).groups()  # type: ignore[union-attr]
    assert keras.layers.Dense(1).name == f"{stem}_{int(number or 0) + 1}"
    for scene, other in itertools.zip_longest(found["en"], found["zh"]):
        assert list(problems(scene)) == list(problems(other)) == []
        assert len(scene.frames) == len(other.frames)
        assert max(scene.size) <= 45
        for said, one in ((True, scene), (False, other)):
            words = [one.title, *(frame.caption for frame in one.frames), *(note.text for note in one.notes)]
            words += [*one.legend.values(), *(grid.title for grid in one.grids)]
            assert not any("{" in word or "}" in word for word in words)
            assert not (said and any("一" <= letter <= "鿿" for word in words for letter in word)), words


def test_layers_without_a_scene_are_public_and_have_a_reason() -> None:
    assert set(NO_SCENE) <= set(public_layers())
    assert set(UNCALLED) <= set(NO_SCENE)
    assert all(NO_SCENE.values())


OLD = (
    ("keras1", "Cropping3D(((1, 1), (0, 2), (1, 0)), dim_ordering='th')", (2, 3, 4, 5)),
    ("keras1", "ZeroPadding2D((1, 2), dim_ordering='th')", (2, 3, 4)),
    ("keras1", "Highway(activation='tanh')", (5,)),
    ("keras1", "MaxoutDense(3, nb_feature=2)", (5,)),
    ("keras1", "TimeDistributedDense(3)", (4, 5)),
    ("keras1", "BatchNormalization(mode=1)", (4, 5)),
    ("keras1", "LSTM(3, inner_activation='hard_sigmoid', return_sequences=True)", (4, 5)),
    ("keras1", "Dropout(p=0.3)", (4, 5)),
    ("keras1", "SReLU()", (4,)),
    ("keras2", "CuDNNGRU(3, return_sequences=True)", (4, 5)),
    ("keras2", "ThresholdedReLU(2.0)", (4,)),
    ("tf_keras", "LayerNormalization(axis=1)", (4, 5)),
    ("tf_keras", "GRU(3, reset_after=False)", (4, 5)),
)


@pytest.mark.parametrize(("generation", "code", "shape"), OLD, ids=[code for _, code, _ in OLD])
def test_layers_of_older_generations(generation: str, code: str, shape: tuple) -> None:
    layers = importlib.import_module(f"lamina.{generation}").layers
    call = ast.parse(code, mode="eval").body
    assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    arguments = [ast.literal_eval(one) for one in call.args], {k.arg: ast.literal_eval(k.value) for k in call.keywords}
    layer = getattr(layers, call.func.id)(*arguments[0], **arguments[1])  # type: ignore[arg-type]
    y = layer(torch.ones(2, *shape))
    found = scenes(layer, At(((None, *shape),), ((None, *y.shape[1:]),), "en"))
    assert found and all(list(problems(scene)) == [] for scene in found)
    if "dim_ordering" in code:  # which a config of Keras 1 does not always tell
        assert found[0].grids[0].title.startswith("input 2 ×" if "Zero" in code else "input 1 ×")


# In time --------------------------------------------------------------------------------------------------------------


def reached(scene: Scene, grid: str) -> set[str]:
    """The grids from which lines lead to this one; states of one step stand in one grid."""
    into: dict[str, set[str]] = {}
    for link in scene.links:
        into.setdefault(link.end[0], set()).add(link.start[0])
    seen, waiting = set(), [grid]
    while waiting:
        for source in into.get(waiting.pop(), ()):
            if source not in seen:
                seen.add(source)
                waiting.append(source)
    return seen


def steps_reached(scene: Scene, grid: str, steps: int) -> list[bool]:
    seen = reached(scene, grid)
    return [f"x {step + 1}" in seen for step in range(steps)]


def assert_seen(scene: Scene, y: Tensor, x: Tensor, names: list[str]) -> None:
    """Each output (outputs, features) sees the steps from which lines lead to its grid."""
    for row, name in zip(y, names, strict=True):
        (slopes,) = torch.autograd.grad(row.sum(), x, retain_graph=True, allow_unused=True)
        slopes = torch.zeros_like(x) if slopes is None else slopes
        steps = (slopes[0].flatten(1) != 0).any(1).tolist()
        assert steps == steps_reached(scene, name, x.shape[1]), name


CELLS = st.sampled_from(("SimpleRNN", "LSTM", "GRU", "stacked", "ConvLSTM1D"))


@settings(max_examples=40)
@given(CELLS, st.integers(3, 6), st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_steps_that_an_output_has_seen(
    kind: str, steps: int, sequences: bool, backwards: bool, states: bool, zeros: bool, stateful: bool
) -> None:
    options = {"return_sequences": sequences, "go_backwards": backwards, "return_state": states, "stateful": stateful}
    if kind == "stacked":
        cells = [L.GRUCell(2), L.SimpleRNNCell(3)]
        layer = L.RNN(cells, zero_output_for_mask=zeros, **options)
    else:
        more = (2, 2) if kind == "ConvLSTM1D" else (2,)
        layer = getattr(L, kind)(*more, zero_output_for_mask=zeros, **options)
    shape = (steps, 3, 2) if kind == "ConvLSTM1D" else (steps, 2)
    found = drawn(layer, shape)
    plain, masked = found[0], found[-1]
    positive(layer)
    for scene, hidden in ((plain, ()), (masked, (1, steps - 1))):
        x = (0.1 + torch.rand(2 if stateful else 1, *shape, dtype=torch.float64)).requires_grad_()
        mask = torch.ones(len(x), steps, dtype=torch.bool)
        mask[:, list(hidden)] = False
        if stateful:
            layer.reset_state()
        outputs = layer(x, mask=mask)
        y, *ends = outputs if states else (outputs,)
        rows = y[0] if sequences else y[:1]
        names = [f"y {index + 1}" for index in range(len(rows))]
        assert_seen(scene, rows, x, names)
        if states:
            name = "state 1 end 1" if kind == "stacked" else "state end 1"
            assert_seen(scene, pytree.tree_leaves(ends)[0][:1], x, [name])
        assert bool(states or stateful) == any(" end " in grid.name for grid in scene.grids)
        for row, name in zip(rows, names, strict=True):  # what is drawn as zero is zero
            assert (scene.grid(name).texts[0] == "0") == (not row.any())


@settings(max_examples=25)
@given(
    st.sampled_from(("SimpleRNN", "LSTM", "GRU")),
    st.integers(3, 5),
    st.booleans(),
    st.booleans(),
    st.sampled_from(("concat", "sum", "ave", "mul", None)),
)
def test_steps_that_both_directions_have_seen(
    kind: str, steps: int, sequences: bool, backwards: bool, mode: str | None
) -> None:
    one, other = (
        getattr(L, kind)(2, return_sequences=sequences, go_backwards=back) for back in (backwards, not backwards)
    )
    layer = L.Bidirectional(one, merge_mode=mode, backward_layer=other)
    found = drawn(layer, (steps, 2))
    positive(layer)
    for scene, hidden in ((found[0], ()), (found[-1], (steps - 1,))):
        x = (0.1 + torch.rand(1, steps, 2, dtype=torch.float64)).requires_grad_()
        mask = torch.ones(1, steps, dtype=torch.bool)
        mask[:, list(hidden)] = False
        outputs = layer(x, mask=mask)
        for name, y in zip(("y", "y 2"), outputs if mode is None else (outputs,), strict=False):
            rows = y[0] if sequences else y
            assert_seen(scene, rows, x, [f"{name} {index + 1}" for index in range(len(rows))])


def test_time_distributed_sees_its_own_step_alone() -> None:
    scene = drawn(L.TimeDistributed(L.Dense(2)), (4, 3))[0]
    for step in range(4):
        assert steps_reached(scene, f"y {step + 1}", 4) == [other == step for other in range(4)]


def test_long_sequences_are_cut_and_say_so() -> None:
    scene = drawn(L.LSTM(3), (50, 2))[0]
    assert sum(grid.name.startswith("x ") for grid in scene.grids) == 6
    assert any("6 of 50" in note.text for note in scene.notes)


FORMULA_CELLS = {
    "SimpleRNN": lambda bias, after, function: L.SimpleRNNCell(3, use_bias=bias, activation=function),
    "LSTM": lambda bias, after, function: L.LSTMCell(3, use_bias=bias, activation=function),
    "GRU": lambda bias, after, function: L.GRUCell(3, use_bias=bias, activation=function, reset_after=after),
}
ORDER = {"SimpleRNN": [""], "LSTM": ["i", "f", "g", "o"], "GRU": ["z", "r", "g"]}


@pytest.mark.parametrize("kind", FORMULA_CELLS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("function", ["tanh", "relu", "linear"])
def test_formulas_compute_what_the_cell_computes(kind: str, bias: bool, after: bool, function: str) -> None:
    """The formulas as they are written, in their order, with the cell's own weights."""
    cell = FORMULA_CELLS[kind](bias, after, function)
    states = [torch.randn(2, 3) for _ in range(2 if kind == "LSTM" else 1)]
    x = torch.randn(2, 4)
    cell(x, states)
    positive(cell).float()
    known: dict[str, Any] = {"x": x, "h": states[0], "c": states[-1], "sigmoid": torch.sigmoid, "tanh": torch.tanh}
    known["relu"] = activations.relu
    gates = ORDER[kind]
    for letter, weight in (("W", cell.kernel), ("U", cell.recurrent_kernel), ("b", cell.bias)):
        weight = weight[0] if letter == "b" and weight is not None and weight.ndim > 1 else weight
        known |= (
            {} if weight is None else dict(zip([letter + g for g in gates], weight.chunk(len(gates), -1), strict=True))
        )
    if cell.bias is not None and cell.bias.ndim > 1:
        known |= dict(zip([f"d{g}" for g in gates], cell.bias[1].chunk(len(gates), -1), strict=True))
    (scene,) = scenes(cell, At(((None, 4),), ((None, 3),), "en"))
    for formula in (note.text for note in scene.notes if " = " in note.text):
        name, written = formula.split(" = ")
        written = written.replace("·", "@").replace("⊙", "*").replace(NEW, "_new")
        known[name.replace(NEW, "_new")] = eval(written, {}, known)
    torch.testing.assert_close(known["h_new"], cell(x, states)[0])


def test_lines_of_a_formula_are_its_names() -> None:
    scene = drawn(L.LSTM(3), (4, 2))[1]
    into = {(link.start[0], link.end[0]) for link in scene.links}
    assert into == {
        *itertools.product("xh", "ifgo"), *itertools.product("fcig", (f"c{NEW}",)), ("o", f"h{NEW}"),
        (f"c{NEW}", f"h{NEW}"),
    }  # fmt: skip


# Attention ------------------------------------------------------------------------------------------------------------


def attention_layers() -> Any:
    return {
        "Attention": L.Attention(),
        "AdditiveAttention": L.AdditiveAttention(),
        "MultiHeadAttention": L.MultiHeadAttention(2, 3),
        "sliding": L.MultiHeadAttention(2, 3, sliding_window=2),
        "GroupedQueryAttention": L.GroupedQueryAttention(3, 4, 2),
    }


@pytest.mark.parametrize("kind", attention_layers())
def test_keys_that_a_query_sees(kind: str) -> None:
    layer = attention_layers()[kind]
    of_list = isinstance(layer, L.Attention)
    found = [scene for scene in drawn(layer, (4, 6), (5, 6)) if any(grid.name == "keys 1" for grid in scene.grids)]
    assert len(found) == 3
    query, value = torch.randn(1, 4, 6), torch.randn(1, 5, 6)
    mask = torch.tensor([[True] * 3 + [False] * 2])
    masks = {"mask": [None, mask]} if of_list else {"value_mask": mask}
    for scene, options in zip(found, ({}, {"use_causal_mask": True}, masks), strict=True):

        def call(value: Tensor, options: Any = options) -> Tensor:
            return layer([query, value], **options) if of_list else layer(query, value, **options)

        (table,) = jacobian(call, value)
        seen = table.reshape(4, -1, 5, 6).any(-1).any(1)
        for row in range(4):
            names = {f"keys {head}" for head in range(1, 4)}
            keys = {mark.cell for mark in scene.frames[row].marks if mark.grid in names}
            assert keys == {*seen[row].nonzero().flatten().tolist()}
            shares = [text(scene, cell) for cell in marked(scene, row, "weights")]
            heads = len({cell[0] for cell in marked(scene, row, "weights")})
            assert abs(sum(map(int, shares)) - 100 * heads) <= 3 * heads


@pytest.mark.parametrize(("queries", "others"), [(4, 4), (4, 2), (6, 2), (3, 1)])
def test_heads_share_keys(queries: int, others: int) -> None:
    layer = L.GroupedQueryAttention(3, queries, others)
    scene = next(scene for scene in drawn(layer, (4, 6), (5, 6)) if scene.grids[0].name == "query heads")
    kernel = layer._key_dense.kernel
    _, weights = layer(torch.randn(1, 4, 6), torch.randn(1, 5, 6), return_attention_scores=True)
    for head in range(queries):
        (slopes,) = torch.autograd.grad(weights[:, head].square().sum(), kernel, retain_graph=True)
        used = {*slopes.abs().sum((0, 2)).nonzero().flatten().tolist()}
        assert used == {link.end[1] for link in scene.links if link.start == ("query heads", head)}


def test_several_axes_are_one_row_of_keys() -> None:
    scene = drawn(L.MultiHeadAttention(2, 3), (2, 3, 6), (2, 2, 6))[0]
    assert (scene.grid("weights 1").rows, scene.grid("weights 1").columns) == (6, 4)


# Products and tables --------------------------------------------------------------------------------------------------

EQUATIONS = (
    ("ab,bc->ac", 4, (3,)),
    ("abc,cd->abd", (None, 4), (4, 3)),
    ("abc,cde->abde", (None, 2, 2), (2, 2)),
    ("abcd,cde->abe", (None, 2), (2, 2, 2)),
    ("...a,ab->...b", 4, (3,)),
    ("ab...,bc->ac...", (2,), (2, 2)),
    ("abc,bd->adc", (2, 2), (2, 2)),
)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: L.Dense(3), (4,)),
        (lambda: L.Dense(4), (2, 3)),
        *(((lambda e=e, o=o: L.EinsumDense(e, o)), shape) for e, o, shape in EQUATIONS),
    ],
    ids=["Dense", "Dense of steps", *(equation for equation, *_ in EQUATIONS)],
)
def test_inputs_and_weights_of_a_sum(layer: Any, shape: tuple) -> None:
    layer = layer()
    (scene,) = drawn(layer, shape)
    positive(layer)
    x = torch.rand(1, *shape, dtype=torch.float64) + 0.1
    inputs, weights = jacobian(
        lambda x, kernel: torch.func.functional_call(layer, {"kernel": kernel}, (x,)), x, layer.kernel
    )
    for frame in range(len(scene.frames)):
        (output,) = (flat(scene, cell) for cell in marked(scene, frame, "output"))
        assert {flat(scene, cell) for cell in marked(scene, frame, "input")} == {
            *inputs[output].nonzero().flatten().tolist()
        }
        assert {flat(scene, cell) for cell in marked(scene, frame, "kernel")} == {
            *weights[output].nonzero().flatten().tolist()
        }
        assert f" {int(inputs[output].sum())} products" in scene.frames[frame].caption


def test_a_sum_counts_the_layers_own_features() -> None:
    (scene,) = drawn(L.Dense(500, activation="relu"), (100, 300))
    assert "300 products" in scene.frames[0].caption and "relu" in scene.frames[0].caption
    assert scene.grid("kernel").title == "kernel 300 × 500"
    assert any("fewer" in note.text for note in scene.notes)


@pytest.mark.parametrize("masked", [False, True])
def test_rows_of_an_embedding(masked: bool) -> None:
    layer = L.Embedding(6, 4, mask_zero=masked)
    x = keras.Input((5,), dtype="int32")
    scene, *rest = scenes(layer, At(((None, 5),), shapes_in(layer(x)), "en"))
    assert len(rest) == masked
    indices = [int(scene.grid("indices").texts[step]) for step in range(5)]
    vectors = layer(torch.tensor([indices]))[0]
    for step, index in enumerate(indices):
        assert torch.equal(vectors[step], layer.embeddings[index])
        assert {cell for _, cell in marked(scene, step, "table")} == {4 * index + column for column in range(4)}
        assert {cell for _, cell in marked(scene, step, "vectors")} == {4 * step + column for column in range(4)}
    if masked:
        assert 0 in indices
        valid = layer.compute_mask(torch.tensor([indices]))[0].tolist()
        for grid in (scene.grid("mask"), rest[0].grid("mask 3")):
            assert [grid.texts[step] for step in range(5)] == ["T" if one else "F" for one in valid]


def test_the_way_back_of_an_embedding() -> None:
    layer = L.ReversibleEmbedding(4, 3)
    x = keras.Input((2,), dtype="int32")
    _, scene = scenes(layer, At(((None, 2),), shapes_in(layer(x)), "en"))
    (table,) = jacobian(lambda x: layer(x, reverse=True), torch.rand(1, 2, 3) + 0.1)
    for frame in range(len(scene.frames)):
        (output,) = (flat(scene, cell) for cell in marked(scene, frame, "output"))
        assert {flat(scene, cell) for cell in marked(scene, frame, "input")} == {
            *table[output].nonzero().flatten().tolist()
        }


# Statistics -----------------------------------------------------------------------------------------------------------


def groups(scene: Scene) -> set[frozenset[tuple[str, int]]]:
    """The cells of each colour."""
    found: dict[int, set] = {}
    for grid in scene.grids:
        for cell, colour in grid.colours.items():
            found.setdefault(colour, set()).add((grid.name, cell))
    return {frozenset(cells) for cells in found.values()}


def grouped(scene: Scene, key: Any) -> set[frozenset[tuple[str, int]]]:
    """The cells for which (sample, row, column) gives the same key."""
    found: dict[Any, set] = {}
    for sample, grid in enumerate(scene.grids):
        for cell in range(grid.rows * grid.columns):
            found.setdefault(key(sample, *divmod(cell, grid.columns)), set()).add((grid.name, cell))
    return {frozenset(cells) for cells in found.values()}


NORMALIZATIONS = {
    "batch, channels last": (lambda: L.BatchNormalization(), (5, 3), [lambda s, r, c: c] * 3),
    "batch, channels first": (lambda: L.BatchNormalization(axis=1), (3, 5, 5), [lambda s, r, c: r] * 3),
    "batch, pictures": (lambda: L.BatchNormalization(), (5, 5, 3), [lambda s, r, c: c] * 3),
    "layer": (lambda: L.LayerNormalization(), (5, 3), [lambda s, r, c: (s, r), lambda s, r, c: c]),
    "layer, both axes": (
        lambda: L.LayerNormalization(axis=[1, 2]),
        (5, 3),
        [lambda s, r, c: s, lambda s, r, c: (r, c)],
    ),
    "layer, steps": (lambda: L.LayerNormalization(axis=1), (5, 3), [lambda s, r, c: (s, c), lambda s, r, c: r]),
    "group": (lambda: L.GroupNormalization(2), (5, 4), [lambda s, r, c: (s, c // 2), lambda s, r, c: c]),
    "one group": (lambda: L.GroupNormalization(1), (5, 4), [lambda s, r, c: s, lambda s, r, c: c]),
    "instance": (lambda: L.GroupNormalization(-1), (5, 3), [lambda s, r, c: (s, c), lambda s, r, c: c]),
    "group, channels first": (
        lambda: L.GroupNormalization(2, axis=1),
        (4, 5, 5),
        [lambda s, r, c: (s, r // 2), lambda s, r, c: r],
    ),
    "rms": (lambda: L.RMSNormalization(), (5, 3), [lambda s, r, c: (s, r), lambda s, r, c: c]),
    "unit": (lambda: L.UnitNormalization(axis=1), (5, 3), [lambda s, r, c: (s, c)]),
    "learned": (lambda: L.Normalization(), (5, 3), [lambda s, r, c: c]),
    "learned, one for all": (lambda: L.Normalization(axis=None), (5, 3), [lambda s, r, c: 0]),
    "softmax": (lambda: L.Softmax(axis=1), (5, 3), [lambda s, r, c: (s, c)]),
    "activation": (lambda: L.Activation("softmax"), (5, 3), [lambda s, r, c: (s, r)]),
}


@pytest.mark.parametrize("kind", NORMALIZATIONS)
def test_values_that_share_a_statistic(kind: str) -> None:
    make, shape, keys = NORMALIZATIONS[kind]
    found = drawn(make(), shape)
    assert len(found) == len(keys)
    for scene, key in zip(found, keys, strict=True):
        expected = grouped(scene, key)
        assert groups(scene) == expected, scene.title
        assert len(scene.frames) == min(len(expected), 12)
        for frame in scene.frames:
            cells = frozenset((mark.grid, mark.cell) for mark in frame.marks)
            assert cells in expected
            assert frame.caption.startswith(f"{len(cells)} values")


def test_joined_values_hang_together() -> None:
    table = torch.eye(5, dtype=torch.bool)
    table[0, 2] = table[4, 2] = table[1, 3] = True
    assert joined(table) == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: L.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.5), (4,)),
        (lambda: L.LeakyReLU(0.2), (3, 4)),
        (lambda: L.ELU(0.5), (2, 3, 4)),
        (lambda: L.Activation("gelu"), (4,)),
        (lambda: L.Activation(torch.sin), (4,)),
        (lambda: L.Activation(lambda x: x * x), (4,)),
        (lambda: old.ThresholdedReLU(1.5), (4,)),
        (lambda: L.Rescaling(1 / 255, -0.5), (4,)),
        (lambda: L.Discretization([0.0, 1.0, 5.0]), (4,)),
    ],
)
def test_points_of_a_curve_are_the_layers(make: Any, shape: tuple) -> None:
    layer = make()
    (scene,) = drawn(layer, shape)
    points = torch.tensor(scene.curves[0].points, dtype=torch.float64).float()
    x = points[:, :1].reshape(-1, *(1,) * len(shape)).expand(-1, *shape)
    y = layer(x).float()
    torch.testing.assert_close(y.flatten(1)[:, 0], points[:, 1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("make", "shape", "together"),
    [
        (lambda: L.Dropout(0.3), (4, 4), False),
        (lambda: L.Dropout(0.3, noise_shape=(None, 1, None)), (4, 4), True),
        (lambda: L.SpatialDropout1D(0.3), (4, 3), True),
        (lambda: L.SpatialDropout2D(0.3), (3, 3, 3), True),
        (lambda: L.SpatialDropout2D(0.3, data_format="channels_first"), (3, 3, 3), True),
        (lambda: L.SpatialDropout3D(0.3), (2, 2, 2, 2), True),
        (lambda: L.AlphaDropout(0.3), (4, 4), False),
    ],
)
def test_values_that_fall_together(make: Any, shape: tuple, together: bool) -> None:
    layer = make()
    (scene,) = drawn(layer, shape)
    inputs = [grid for grid in scene.grids if re.fullmatch(r"0( \d+)?", grid.name)]
    colours = torch.tensor([grid.colours.get(cell, -1) for grid in inputs for cell in range(grid.rows * grid.columns)])
    assert (colours >= 0).all() == together
    if together:
        fallen = torch.stack([layer(torch.ones(1, *shape), training=True)[0] == 0 for _ in range(40)])
        channels_last = getattr(layer, "data_format", "channels_last") == "channels_last"
        fallen = fallen.movedim(-1, 1) if len(shape) > 2 and channels_last else fallen
        fallen = fallen.flatten(1)
        for one, other in itertools.combinations(range(fallen.shape[1]), 2):
            assert bool((fallen[:, one] == fallen[:, other]).all()) == bool(colours[one] == colours[other])
    assert all(style == "dropped" for grid in scene.grids for style in grid.styles.values())


# Places ---------------------------------------------------------------------------------------------------------------

PLACES = {
    "Flatten": (lambda: L.Flatten(), (2, 3, 4)),
    "Flatten, channels first": (lambda: L.Flatten(data_format="channels_first"), (2, 3, 4)),
    "Reshape": (lambda: L.Reshape((4, -1)), (6, 2)),
    "Reshape of many": (lambda: L.Reshape((28, 28, 1)), (784,)),
    "Permute": (lambda: L.Permute((3, 1, 2)), (2, 3, 4)),
    "RepeatVector": (lambda: L.RepeatVector(3), (4,)),
    "Identity": (lambda: L.Identity(), (3, 4)),
    "ZeroPadding1D": (lambda: L.ZeroPadding1D((2, 1)), (4, 2)),
    "ZeroPadding2D": (lambda: L.ZeroPadding2D(((1, 0), (2, 1))), (3, 3, 2)),
    "ZeroPadding2D, channels first": (lambda: L.ZeroPadding2D(1, data_format="channels_first"), (2, 3, 3)),
    "ZeroPadding3D": (lambda: L.ZeroPadding3D(1), (2, 2, 2, 1)),
    "Cropping1D": (lambda: L.Cropping1D((1, 2)), (7, 2)),
    "Cropping2D": (lambda: L.Cropping2D(((1, 0), (0, 2))), (4, 5, 2)),
    "Cropping3D": (lambda: L.Cropping3D(1), (4, 4, 4, 1)),
    "UpSampling1D": (lambda: L.UpSampling1D(3), (4, 2)),
    "UpSampling2D": (lambda: L.UpSampling2D((2, 3)), (3, 3, 2)),
    "UpSampling3D": (lambda: L.UpSampling3D(2), (2, 2, 2, 1)),
    "CenterCrop": (lambda: L.CenterCrop(2, 4), (5, 6, 1)),
    "Resizing": (lambda: L.Resizing(4, 6, "nearest"), (8, 8, 1)),
}


@pytest.mark.parametrize("kind", PLACES)
def test_values_that_move_keep_their_number(kind: str) -> None:
    """What is marked in the input are the values that are marked in the output."""
    make, shape = PLACES[kind]
    layer = make()
    (scene,) = drawn(layer, shape)
    found = set()
    for frame in range(len(scene.frames)):
        outputs = {text(scene, cell) for cell in marked(scene, frame, "output")} - {"0"}
        inputs = {text(scene, cell) for cell in marked(scene, frame, "input")}
        whole = not any(word in kind for word in ("of many", "Crop", "Resizing"))  # some of a row are left out
        assert inputs == outputs if whole else outputs <= inputs or inputs <= outputs
        found |= outputs
    x = torch.arange(1.0, math.prod(shape) + 1).reshape(1, *shape)
    if kind != "Reshape of many":
        assert found == {f"{value:.0f}" for value in layer(x).flatten().tolist() if value}
        drawn_texts = sorted(
            text for grid in scene.grids if grid.name.startswith("output") for text in grid.texts.values()
        )
        assert drawn_texts == sorted(f"{value:.0f}" for value in layer(x).flatten().tolist())
    pads = [style for grid in scene.grids for style in grid.styles.values()]
    assert ("pad" in pads) == ("Padding" in kind)


@settings(max_examples=30)
@given(st.data())
def test_padding_and_cropping_of_any_amount(data: Any) -> None:
    rank = data.draw(st.integers(1, 3))
    amounts = data.draw(st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * rank))
    padding = data.draw(st.booleans())
    first = rank > 1 and data.draw(st.booleans())
    options = {"data_format": "channels_first"} if first else {}
    name = "ZeroPadding" if padding else "Cropping"
    layer = getattr(L, f"{name}{rank}D")(amounts if rank > 1 else amounts[0], **options)
    sizes = [data.draw(st.integers(5, 20)) for _ in range(rank)]
    (scene,) = drawn(layer, (2, *sizes) if first else (*sizes, 2))
    assert list(problems(scene)) == []
    for frame in range(len(scene.frames)):
        outputs = {text(scene, cell) for cell in marked(scene, frame, "output")} - {"0"}
        inputs = {text(scene, cell) for cell in marked(scene, frame, "input")}
        assert outputs <= inputs
    zeros = sum(value == "0" for grid in scene.grids if grid.name.startswith("output") for value in grid.texts.values())
    assert bool(zeros) == (padding and any(map(any, amounts)))


@pytest.mark.parametrize("how", ["bilinear", "bicubic", "nearest"])
def test_values_that_an_enlarged_value_is_made_from(how: str) -> None:
    layer = L.UpSampling2D(2, interpolation=how)
    (scene,) = drawn(layer, (3, 3, 1))
    (table,) = jacobian(layer, torch.arange(1.0, 10.0).reshape(1, 3, 3, 1))
    for frame in range(len(scene.frames)):
        outputs = [flat(scene, cell) for cell in marked(scene, frame, "output")]
        seen = table[outputs].any(0).nonzero().flatten().tolist()
        assert {flat(scene, cell) for cell in marked(scene, frame, "input")} == {*seen}


@pytest.mark.parametrize("value", [0.0, 2.0, -1.5])
def test_masked_steps(value: float) -> None:
    layer = L.Masking(value)
    scene, travel = drawn(layer, (6, 3))
    x = torch.tensor([float(scene.grid("input").texts[cell]) for cell in range(18)]).reshape(3, 6).t()[None]
    mask = layer.compute_mask(x)[0].tolist()
    assert [scene.grid("mask").texts[step] == "T" for step in range(6)] == mask
    assert not all(mask) and any(mask)
    shown = [float(scene.grid("output").texts[cell]) for cell in range(18)]
    assert shown == layer(x)[0].t().flatten().tolist()
    rows = [travel.grid(f"mask {index}") for index in range(1, 5)]
    assert [[row.texts[step] == "T" for step in range(row.columns)] for row in rows[:3]] == [mask] * 3
    # Behind the last layer, only valid steps count.
    after = keras.Sequential([L.Masking(value), L.Dense(2), L.GlobalAveragePooling1D()])
    x.requires_grad_()
    (slopes,) = torch.autograd.grad(after(x).sum(), x)
    counted = (slopes[0] != 0).any(-1).nonzero().flatten().tolist()
    into = [link.start[1] for link in travel.links if link.end[0] == "mask 4"]
    assert into == counted == [step for step, valid in enumerate(mask) if valid]


# Merging --------------------------------------------------------------------------------------------------------------

OPERANDS = {
    "Add": lambda: L.Add(),
    "Subtract": lambda: L.Subtract(),
    "Multiply": lambda: L.Multiply(),
    "Average": lambda: L.Average(),
    "Maximum": lambda: L.Maximum(),
    "Minimum": lambda: L.Minimum(),
    **{f"Merge {mode}": (lambda mode=mode: old.MergeByMode(mode=mode)) for mode in ("sum", "mul", "ave", "max")},
}


@pytest.mark.parametrize("kind", OPERANDS)
@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((2, 3), (1, 3)), ((2, 3), (3,)), ((2, 2, 2), (2, 2, 2))])
def test_merged_values(kind: str, shapes: Any) -> None:
    """The captions are sums that come out, of the values that are marked."""
    if "Merge" in kind and shapes[0] != shapes[1]:
        return
    layer = OPERANDS[kind]()
    (scene,) = drawn(layer, *shapes)
    assert len(scene.frames) == math.prod(shapes[0])
    inputs = [
        torch.tensor(
            [
                float(value)
                for grid in scene.grids
                if re.fullmatch(rf"input {index}( \d+)?", grid.name)
                for value in grid.texts.values()
            ]
        )
        for index in (1, 2)
    ]
    y = layer([x.reshape(1, *shape) for x, shape in zip(inputs, shapes, strict=True)]).flatten()
    for frame in range(len(scene.frames)):
        left, right = scene.frames[frame].caption.split(" = ")
        assert float(left) == pytest.approx(eval(right.replace("×", "*")), abs=0.006)
        (output,) = marked(scene, frame, "output")
        assert text(scene, output) == left
        assert float(left) == pytest.approx(float(y[flat(scene, output)]), abs=0.006)
        operands = [text(scene, cell) for index in (1, 2) for cell in marked(scene, frame, f"input {index}")]
        assert operands == re.findall(r"\d+", right)[:2]


@pytest.mark.parametrize(
    ("axis", "shapes"),
    [(-1, ((3, 2), (3, 3))), (1, ((3, 2), (1, 2))), (2, ((2, 2, 2), (2, 1, 2))), (1, ((4,), (3,), (2,)))],
)
def test_joined_inputs(axis: int, shapes: Any) -> None:
    for layer in (L.Concatenate(axis=axis), old.MergeByMode(mode="concat", concat_axis=axis)):
        (scene,) = drawn(layer, *shapes)
        first, inputs = 1.0, []
        for shape in shapes:
            inputs.append(torch.arange(first, first + math.prod(shape)).reshape(1, *shape))
            first += math.prod(shape)
        shown = [
            float(value) for grid in scene.grids if grid.name.startswith("output") for value in grid.texts.values()
        ]
        assert shown == layer(inputs).flatten().tolist()
        for frame in range(len(scene.frames)):
            outputs = {text(scene, cell) for cell in marked(scene, frame, "output")}
            ones = [cell for index in range(1, 4) for cell in marked(scene, frame, f"input {index}")]
            assert {text(scene, cell) for cell in ones} == outputs


@pytest.mark.parametrize(
    ("axes", "shapes"), [(1, ((3,), (3,))), (2, ((2, 3), (4, 3))), ((2, 1), ((2, 3), (3, 4))), (1, ((3, 2), (3, 4)))]
)
@pytest.mark.parametrize("normalize", [False, True])
def test_dot_products(axes: Any, shapes: Any, normalize: bool) -> None:
    layer = L.Dot(axes=axes, normalize=normalize)
    (scene,) = drawn(layer, *shapes)
    for frame in range(len(scene.frames)):
        (output,) = marked(scene, frame, "output")
        a, b = (
            [float(text(scene, cell)) for cell in sorted(marked(scene, frame, f"input {index}"))] for index in (1, 2)
        )
        product = sum(x * y for x, y in zip(a, b, strict=True))
        scale = math.hypot(*a) * math.hypot(*b) if normalize else 1
        assert float(text(scene, output)) == pytest.approx(product / scale, abs=0.006)


# Sheets ---------------------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.lists(st.integers(1, 9), max_size=4), st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 8)))
def test_a_value_of_a_sheet_is_where_its_text_stands(shape: list[int], most: Any) -> None:
    count = math.prod(shape)
    one = sheet("t", shape, texts=[str(value) for value in range(count)], layout=Layout(most=most))
    grids = {grid.name: grid for grid in one.grids}
    places = [one.cells.get(index) for index in range(count)]
    for index, place in enumerate(places):
        assert place is None or grids[place[0]].texts[place[1]] == str(index)
    shown = [place for place in places if place]
    assert len({*shown}) == len(shown) == sum(grid.rows * grid.columns for grid in one.grids)
    assert list(problems(Scene("t", one.grids))) == []
    edges = [(grid.at[0], grid.at[0] + grid.columns) for grid in one.grids]
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(edges))
