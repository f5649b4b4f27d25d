"""Multiply-adds and receptive fields in `summary`: against torch's own count, formulas by hand, and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import Example, examples, reset
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

import lamina as keras
from lamina import layers as L
from lamina.pictures.cost import _UNCOUNTED, Count, costs, multiply_adds

# What a real call does beside the products for each sample, or torch does not count: not compared.
OTHERWISE = {
    "Conv1D-3": "causal: outputs computed and dropped, where that is faster than a copy",
    "ConvLSTM3D-1": "parts of the kernel that meet padding alone, which are left out",
    "Dense-2": "the product of the adaptation's two matrices",
    "EinsumDense-1": "the product of the adaptation's two matrices",
    "Embedding-2": "the product of the adaptation's two matrices",
    "UpSampling2D-2": "interpolation as a matrix product",
    **dict.fromkeys(("Resizing-1", "Resizing-2", "Resizing-3"), "interpolation as a matrix product"),
}


def model_of(*inputs: Any, layers: Callable[..., Any] | list[Any]) -> keras.Model:
    given = [keras.Input(shape) if isinstance(shape, tuple) else shape for shape in inputs]
    if callable(layers):
        return keras.Model(given, layers(*given))
    x = given[0]
    for layer in layers:
        x = layer(x)
    return keras.Model(given, x)


def numbers(model: keras.Model) -> list[str]:
    """The multiply-adds of every layer but the input, as shown."""
    _, rows, _ = costs(model)
    return [str(rows[id(layer)].multiply_adds) for layer in model.layers if not isinstance(layer, L.InputLayer)]


def fields(model: keras.Model) -> list[str]:
    _, rows, _ = costs(model)
    return [rows[id(layer)].field for layer in model.layers if not isinstance(layer, L.InputLayer)]


# Multiply-adds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", [e for e in examples() if e.id not in OTHERWISE], ids=lambda e: e.id)
def test_every_layer_costs_what_torch_counts(example: Example) -> None:
    layer, inputs = example.built(), example.symbols()
    total, rows, _ = costs(keras.Model(pytree.tree_leaves(inputs), layer(*inputs)))
    given = example.tensors()
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=_UNCOUNTED) as counter:
        outputs = reset(layer.eval())(*given)
    samples = pytree.tree_leaves(given)[0].shape[0]
    assert not total.each and total.number == counter.get_total_flops() / (2 * samples)
    there = [leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, torch.Tensor)]
    if id(layer) in rows and there:
        assert rows[id(layer)].memory.number == sum(leaf.numel() * leaf.element_size() for leaf in there) / samples


def test_the_exceptions_are_still_there() -> None:
    assert set(OTHERWISE) <= {example.id for example in examples()}


STEPS, FEATURES, UNITS = 7, 5, 3
RECURRENT = {
    "SimpleRNN": (L.SimpleRNN, {}, 1),
    "LSTM": (L.LSTM, {}, 4),
    "GRU": (L.GRU, {}, 3),
    "GRU, reset before": (L.GRU, {"reset_after": False}, 3),
}


@pytest.mark.parametrize("case", RECURRENT)
def test_recurrent_layers_by_hand_and_step_by_step(case: str) -> None:
    cls, options, gates = RECURRENT[case]
    layer = cls(UNITS, return_sequences=True, use_cudnn=False, **options) if gates > 1 else cls(UNITS, **options)
    expected = STEPS * gates * UNITS * (FEATURES + UNITS)
    model = model_of((STEPS, FEATURES), layers=[layer])
    assert numbers(model) == [f"{expected:,}"]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(2, STEPS, FEATURES))
    assert counter.get_total_flops() == 2 * 2 * expected
    both = model_of((STEPS, FEATURES), layers=[L.Bidirectional(cls(UNITS, **options))])
    assert numbers(both) == [f"{2 * expected:,}"]


def test_cells_one_upon_another() -> None:
    cells = [L.LSTMCell(4), L.GRUCell(6), L.SimpleRNNCell(2)]
    a_step = 4 * 4 * (FEATURES + 4) + 3 * 6 * (4 + 6) + 2 * (6 + 2)
    assert numbers(model_of((STEPS, FEATURES), layers=[L.RNN(cells)])) == [f"{STEPS * a_step:,}"]
    assert numbers(model_of((None, FEATURES), layers=[L.RNN(cells)])) == [f"? x {a_step:,}"]


class Cell(L.Layer):
    state_size = UNITS

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], UNITS), name="kernel")

    def call(self, inputs, states):
        return inputs @ self.kernel + states[0], states


class Own(L.Layer):
    """A layer of a user's, with layers inside."""

    def __init__(self):
        super().__init__()
        self.lstm, self.dense = L.LSTM(4, return_sequences=True), L.Dense(2)

    def call(self, inputs):
        return self.dense(self.dense.activation(self.lstm(inputs))) @ torch.ones(2, 3)


class Product(L.Layer):
    def call(self, inputs):
        return inputs @ torch.ones(inputs.shape[-1], 2)


def test_layers_without_a_formula_are_tried_out() -> None:
    a_step = 4 * 4 * (FEATURES + 4) + 4 * 2 + 2 * 3
    own = [Own(), L.TorchModuleWrapper(nn.Linear(3, 2)), L.Lambda(lambda x: x.flatten(1) @ torch.ones(14, 2))]
    assert numbers(model_of((STEPS, FEATURES), layers=own)) == [f"{7 * a_step:,}", f"{7 * 3 * 2:,}", "28"]
    assert numbers(model_of((None, FEATURES), layers=[Own(), L.ReLU()])) == ["?", "0"]
    assert numbers(model_of((STEPS, FEATURES), layers=[L.RNN(Cell())])) == [f"{STEPS * FEATURES * UNITS}"]
    assert numbers(model_of((STEPS, FEATURES), layers=[L.TimeDistributed(Product())])) == [f"{STEPS * 2 * FEATURES}"]
    old = model_of((6,), layers=[keras.keras1.layers.MaxoutDense(3, nb_feature=2), keras.keras1.layers.Highway()])
    assert numbers(old) == [f"{2 * 6 * 3}", f"{2 * 3 * 3}"]


def test_an_operation_is_tried_out_with_its_arguments() -> None:
    model = model_of((4, 3), (3, 5), layers=lambda a, b: torch.matmul(a, b) * 2)
    assert costs(model)[0].number == 4 * 3 * 5


def test_whole_sequences_on_a_gpu_are_counted() -> None:
    flops = _UNCOUNTED[torch.ops.aten._cudnn_rnn]([5, 2, 4], [[12, 4], [12, 3], [12], [12]], 4, None)
    assert flops == 2 * 5 * 2 * 12 * (4 + 3)


def test_unknown_sizes() -> None:
    picture = model_of((None, 8, 3), layers=[L.Conv2D(4, 3, padding="same"), L.Flatten()])
    assert numbers(picture) == [f"? x {8 * 9 * 3 * 4:,}", "0"]
    assert numbers(model_of((None, 6), layers=[L.Dense(5), L.LSTM(3), L.Dense(2)])) == ["? x 30", "? x 96", "6"]
    assert str(costs(picture)[0]) == "?"  # what an unknown size multiplies is not summed up


def test_shared_and_nested_models() -> None:
    inner = keras.Sequential([keras.Input((None, None, 3)), L.Conv2D(4, 3), L.Dense(2)], name="inner")
    x, small = keras.Input((8, 8, 3)), keras.Input((5, 6, 3))
    model = keras.Model([x, small], [inner(x), inner(small)])
    total, rows, _ = costs(model)
    conv, dense = inner.layers
    assert rows[id(conv)].multiply_adds.number == (36 + 12) * 9 * 3 * 4
    assert rows[id(dense)].multiply_adds.number == (36 + 12) * 4 * 2
    assert rows[id(inner)].multiply_adds == total and total.number == (36 + 12) * (9 * 3 * 4 + 4 * 2)
    assert rows[id(inner)].field == rows[id(conv)].field == "3 x 3"
    nodes = [len(layer._nodes) for layer in inner.layers]
    costs(model)
    assert nodes == [len(layer._nodes) for layer in inner.layers]  # looking leaves no trace


def test_models_with_a_call_of_their_own() -> None:
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.lstm, self.dense = L.LSTM(4, return_sequences=True), L.Dense(4)

        def call(self, inputs):
            return self.dense(self.dense(self.lstm(inputs)))

    model = Net()
    assert costs(model)[0].number is None
    model(torch.zeros(2, STEPS, FEATURES))
    total, rows, _ = costs(model)
    assert total.number == STEPS * (16 * (FEATURES + 4) + 2 * 16)
    assert rows[id(model.dense)].multiply_adds.number == STEPS * 16 and rows[id(model.dense)].field == "?"


def test_mobilenet_costs_what_its_paper_says() -> None:
    """Howard et al., 2017, table 8: 569 million multiply-adds, 4.2 million parameters."""
    stack: list[Any] = [keras.Input((224, 224, 3)), L.Conv2D(32, 3, 2, "same", use_bias=False)]
    filters = [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    strides = [1, 2, 1, 2, 1, 2, *[1] * 5, 2, 1]
    for width, stride in zip(filters, strides, strict=True):
        stack += [L.DepthwiseConv2D(3, stride, "same", use_bias=False), L.BatchNormalization(), L.ReLU(6.0)]
        stack += [L.Conv2D(width, 1, use_bias=False), L.BatchNormalization(), L.ReLU(6.0)]
    model = keras.Sequential([*stack, L.GlobalAveragePooling2D(), L.Dense(1000)])
    assert costs(model)[0].number == 568_740_352
    assert fields(model)[-3] == "315 x 315"


# Receptive fields -----------------------------------------------------------------------------------------------------

LENGTH = 480  # inputs; long enough for outputs that see no border


def footprint(model: keras.Model) -> int:
    """Most inputs from first to last that any output in the middle has a gradient for. All weights are positive."""
    for weight in model.weights:
        with torch.no_grad():
            weight.copy_(torch.rand(weight.shape) + 0.1)
    x = torch.rand(1, LENGTH, 1, requires_grad=True)
    outputs = model(x).sum(-1).flatten()
    middle, widest = len(outputs) // 2, 0
    for place in range(max(middle - 20, 0), min(middle + 20, len(outputs))):
        (gradient,) = torch.autograd.grad(outputs[place], x, retain_graph=True)
        seen = (gradient.flatten().abs() > 1e-6).nonzero().flatten().tolist()  # sin(pi) is 1e-16
        assert not seen or (seen[0] > 0 and seen[-1] < LENGTH - 1), "the stack is too deep for this test"
        widest = max(widest, seen[-1] - seen[0] + 1 if seen else 0)
    return widest


def down(draw: Any) -> L.Layer:
    kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    padding = draw(st.sampled_from(["valid", "same"]))
    kind = draw(st.sampled_from(["conv", "dilated", "causal", "depthwise", "separable", "pool", "pads", "local"]))
    if kind == "dilated":
        return L.Conv1D(1, kernel, padding=padding, dilation_rate=stride)
    if kind == "causal":
        return L.Conv1D(1, kernel, padding="causal", dilation_rate=stride)
    if kind == "pads":
        return draw(st.sampled_from([L.ZeroPadding1D, L.Cropping1D]))((stride, kernel))
    if kind == "pool":
        return L.AveragePooling1D(kernel, stride, padding)
    classes = {"conv": L.Conv1D, "separable": L.SeparableConv1D, "local": L.LocallyConnected1D}
    return {**classes, "depthwise": L.DepthwiseConv1D}[kind](
        *([] if kind == "depthwise" else [1]), kernel, stride, padding
    )


def up(draw: Any) -> L.Layer:
    kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    if draw(st.booleans()):
        return L.UpSampling1D(stride)
    extra = draw(st.sampled_from([None, stride - 1]))
    return L.Conv1DTranspose(1, kernel, stride, draw(st.sampled_from(["valid", "same"])), output_padding=extra)


@settings(max_examples=60)
@given(st.data())
def test_the_receptive_field_of_a_stack_is_where_its_gradient_reaches(data: Any) -> None:
    stack = [data.draw(st.sampled_from([down, down, up]))(data.draw) for _ in range(data.draw(st.integers(1, 4)))]
    model = keras.Sequential([keras.Input((LENGTH, 1)), *stack])
    assert fields(model)[-1] == str(footprint(model))


@settings(max_examples=40)
@given(st.data())
def test_the_receptive_field_of_joined_branches(data: Any) -> None:
    """Two branches of equal strides, each with windows and pads of its own, after a common beginning."""
    strides = data.draw(st.lists(st.integers(1, 2), min_size=1, max_size=2))
    x = keras.Input((LENGTH, 1))
    common = down(data.draw)(x)

    def branch() -> Any:
        y = common
        for stride in strides:
            kind = data.draw(st.sampled_from([L.Conv1D, L.LocallyConnected1D]))
            y = kind(1, data.draw(st.integers(1, 5)), stride, "same")(y)
        return L.UpSampling1D(2)(y) if data.draw(st.booleans()) else L.Conv1DTranspose(1, 3, 2, "same")(y)

    join = data.draw(st.sampled_from([L.Add, L.Concatenate]))
    model = keras.Model(x, join()([branch(), branch()]))
    assert fields(model)[-1] == str(footprint(model))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_interpolation_sees_its_neighbours(interpolation: str, factor: int) -> None:
    model = keras.Sequential([keras.Input((1, LENGTH, 1)), L.UpSampling2D((1, factor), interpolation=interpolation)])
    line = model_of((LENGTH, 1), layers=[L.Reshape((1, LENGTH, 1)), *model.layers, L.Reshape((LENGTH * factor, 1))])
    assert fields(model) == [f"1 x {footprint(line)}"]


def test_each_axis_has_its_own_field() -> None:
    stack = [L.Conv2D(2, (3, 5), strides=(2, 1)), L.MaxPooling2D((2, 3)), L.BatchNormalization(), L.Dense(3)]
    assert fields(model_of((32, 32, 3), layers=stack)) == ["3 x 5", "5 x 7", "5 x 7", "5 x 7"]
    first = [L.Conv2D(2, (3, 5), data_format="channels_first"), L.ReLU(), L.Concatenate(axis=1)]
    model = model_of((3, 32, 32), layers=lambda x: first[2]([first[1](first[0](x)), first[0](x)]))
    assert fields(model)[-1] == "3 x 5"
    assert fields(model_of((9, 9, 9, 1), layers=[L.Conv3D(1, (1, 2, 3))])) == ["1 x 2 x 3"]
    assert fields(model_of((12, 12, 1), layers=[L.AdaptiveAveragePooling2D((3, 4))])) == ["4 x 3"]


def test_what_sees_everything_nothing_or_nobody_knows_what() -> None:
    assert fields(model_of((8, 8, 3), layers=[L.Conv2D(2, 3), L.Flatten(), L.Dense(3)])) == ["3 x 3", "all", "all"]
    assert fields(model_of((6, 3), layers=[L.Conv1D(2, 3), L.LSTM(3, return_sequences=True), L.Dense(2)])) == [
        "3", "all", "all"
    ]  # fmt: skip
    assert fields(model_of((4,), layers=[L.Dense(3), L.ReLU(), L.Dense(2)])) == ["-", "-", "-"]
    assert fields(model_of((8, 3), layers=[L.Lambda(lambda x: x.flip(1)), L.Conv1D(2, 3)])) == ["?", "?"]
    words = [L.Embedding(9, 4), L.Conv1D(2, 5), L.GlobalMaxPooling1D()]
    assert fields(model_of(keras.Input((20,), dtype="int32"), layers=words)) == ["1", "5", "all"]
    digits = [L.Reshape((28, 28, 1)), L.Conv2D(2, 3), L.Permute((2, 1, 3))]
    assert fields(model_of((784,), layers=digits)) == ["1 x 1", "3 x 3", "?"]
    frames = [L.TimeDistributed(L.Conv2D(2, 3)), L.TimeDistributed(L.GlobalMaxPooling2D()), L.GRU(2)]
    assert fields(model_of((5, 8, 8, 3), layers=frames)) == ["1 x 3 x 3", "1 x all x all", "all"]
    assert fields(model_of((8, 8, 3), layers=[L.LayerNormalization(axis=(1, 2)), L.GroupNormalization(3)])) == [
        "all", "all"
    ]  # fmt: skip


def test_a_gate_for_each_channel_sees_everything() -> None:
    """Squeeze and excitation (Hu et al., 2018)."""

    def excited(x: Any) -> Any:
        y = L.Conv2D(4, 3, padding="same")(x)
        gate = L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling2D()(y))
        return L.Multiply()([y, L.Reshape((1, 1, 4))(gate)])

    assert fields(model_of((16, 16, 3), layers=excited))[-1] == "all"


def test_operators_work_value_by_value() -> None:
    def residual(x: Any) -> Any:
        return torch.relu(x + 2 * L.Conv1D(1, 5, padding="same")(x)) - 1

    model = model_of((16, 1), layers=residual)
    _, rows, _ = costs(model)
    assert [rows[id(node.layer)].field for node in model._graph.nodes] == ["5"] * 5


# The table ------------------------------------------------------------------------------------------------------------


def table(model: Any, **options: Any) -> tuple[list[list[str]], str]:
    said: list[str] = []
    model.summary(print_fn=said.append, **options)
    lines = said[0].split("\n")
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")], said[0]


def test_two_more_columns_and_a_total() -> None:
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), L.Conv2D(8, 3, name="conv"), L.MaxPooling2D(name="pool"), L.Dense(4, name="dense")]
    )
    rows, whole = table(model, show_costs=True, show_trainable=True, line_length=140)
    assert rows == [
        ["conv (Conv2D)", "(None, 30, 30, 8)", "224", "Y", "194,400", "3 x 3"],
        ["pool (MaxPooling2D)", "(None, 15, 15, 8)", "0", "-", "0", "4 x 4"],
        ["dense (Dense)", "(None, 15, 15, 4)", "36", "Y", "7,200", "4 x 4"],
    ]
    assert whole.rstrip().endswith("Multiply-adds of one sample: 201,600")
    assert max(map(len, whole.split("\n"))) == 140
    assert "Multiply-adds" not in table(model)[1]


def test_the_columns_of_nested_shared_and_unbuilt_models() -> None:
    inner = keras.Sequential([keras.Input((None, 3)), L.Conv1D(4, 3, name="conv")], name="inner")
    x = keras.Input((9, 3), name="x")
    model = keras.Model(x, L.Add(name="sum")([inner(x), inner(x)]))
    rows, _ = table(model, show_costs=True, expand_nested=True, line_length=160)
    assert [(row[0], *row[-2:]) for row in rows if row[0]] == [
        ("x (InputLayer)", "0", "1"),
        ("inner (Sequential)", "504", "3"),
        ("└ conv (Conv1D)", "504", "3"),
        ("sum (Add)", "0", "3"),
    ]
    rows, whole = table(keras.Sequential([L.Dense(3, name="dense")]), show_costs=True, line_length=140)
    assert rows == [["dense (Dense)", "?", "0 (unbuilt)", "?", "?"]]
    assert whole.rstrip().endswith("Multiply-adds of one sample: ?")


def test_every_layer_with_weights_has_a_formula() -> None:
    tried = {e.name for e in examples() if multiply_adds.dispatch(e.cls) is multiply_adds.dispatch(object)}
    several = {"Attention", "AdditiveAttention", "GroupedQueryAttention", "MultiHeadAttention"}  # of several inputs
    found = {e.name for e in examples() if e.name in tried and e.built().weights}
    assert found == {"Squash", "TorchModuleWrapper", *several}


# By hand --------------------------------------------------------------------------------------------------------------


def test_layers_by_hand() -> None:
    """Formulas of the papers, written out; torch's own counter gives 0 for fused recurrent kernels."""
    t, d, u = 6, 5, 4  # steps, features, units
    h, w, c, f, k = 8, 7, 3, 5, 3  # height, width, channels, filters, kernel
    lstm, gru, simple = 4 * u * (d + u), 3 * u * (d + u), u * (d + u)
    heads, size = 2, 3
    cases: list[tuple[Any, tuple[int, ...], int]] = [
        (L.LSTM(u), (t, d), t * lstm),
        (L.GRU(u), (t, d), t * gru),
        (L.SimpleRNN(u), (t, d), t * simple),
        (L.Bidirectional(L.LSTM(u, return_sequences=True)), (t, d), 2 * t * lstm),
        (L.TimeDistributed(L.Dense(u)), (t, d), t * d * u),
        (L.TimeDistributed(L.Conv2D(f, k)), (t, h, w, c), t * (h - 2) * (w - 2) * k * k * c * f),
        (L.Dense(u), (2, 3, 4, d), 2 * 3 * 4 * d * u),
        (L.ConvLSTM2D(f, k, padding="same"), (t, h, w, c), h * w * k * k * 4 * f * (t * c + (t - 1) * f)),
        (L.Conv2DTranspose(f, k, strides=2, padding="same"), (h, w, c), h * w * k * k * c * f),
        (L.SeparableConv2D(f, k, depth_multiplier=2), (h, w, c), (h - 2) * (w - 2) * (k * k * 2 * c + 2 * c * f)),
        (L.DepthwiseConv2D(k), (h, w, c), (h - 2) * (w - 2) * k * k * c),
        (L.Conv2D(6, k, groups=3), (h, w, c), (h - 2) * (w - 2) * k * k * 6),
        (L.LocallyConnected2D(f, k), (h, w, c), (h - 2) * (w - 2) * k * k * c * f),
    ]
    for layer, shape, expected in cases:
        assert costs(model_of(shape, layers=[layer]))[0].number == expected, layer
    both = keras.Input((t, d)), keras.Input((9, d))
    attention = L.MultiHeadAttention(heads, size)
    projections = heads * size * (2 * t * d + 2 * 9 * d)  # query and output; key and value
    assert costs(keras.Model(list(both), attention(*both)))[0].number == projections + 2 * heads * t * 9 * size


# Memory ---------------------------------------------------------------------------------------------------------------


def test_the_most_at_one_time() -> None:
    x = keras.Input((10,))  # 40 bytes
    a = L.Dense(20)(x)  # 80
    b = L.Dense(5)(a)  # 20
    c = L.Dense(20)(b)  # 80
    long = keras.Model(x, L.Dense(1)(L.Add()([a, c])))  # a is kept for the sum
    assert costs(long).memory == (Count(80 + 20 + 80 + 80 + 4), Count(40 + 80 + 80 + 80))
    assert costs(keras.Model(x, L.Dense(1)(c))).memory == (Count(80 + 20 + 80 + 4), Count(40 + 80 + 20))
    inner = keras.Sequential([keras.Input((None, 3)), L.Conv1D(50, 1), L.Conv1D(2, 1)], name="inner")
    y = keras.Input((4, 3))
    outer = keras.Model(y, L.Flatten()(inner(y)))
    assert costs(outer).memory == (Count(4 * 4 * (50 + 2) + 32), Count(48 + 4 * 4 * (50 + 2)))
    _, rows, _ = costs(outer)
    assert rows[id(inner)].memory.number == 4 * 4 * 52 and rows[id(inner.layers[0])].memory.number == 4 * 4 * 50


def test_memory_of_types_open_sizes_and_texts() -> None:
    half = model_of((6,), layers=[L.Dense(4, dtype="mixed_float16")])
    assert costs(half).memory.total.number == 8
    line = model_of((None, 3), layers=[L.Conv1D(4, 3)])
    assert str(costs(line).memory.total) == "? x 16" and costs(line).memory.peak.number is None
    assert costs(Own()).memory == (Count(None), Count(None))


def test_the_column_of_memory() -> None:
    model = keras.Sequential([keras.Input((32, 32, 3)), L.Conv2D(8, 3, name="conv"), L.Flatten(name="flat")])
    rows, whole = table(model, show_memory=True, line_length=120)
    assert [row[-1] for row in rows] == ["28.12 KB", "28.12 KB"]
    assert "Activations of one sample: 56.25 KB (at one time at most, input included: 68.25 KB)" in whole
