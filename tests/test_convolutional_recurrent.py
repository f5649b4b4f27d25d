"""ConvLSTM against a loop over torch's convolution, and what it does with states, masks and other layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

import lamina as keras
from lamina import keras2

L = keras.layers


def by_hand(x: torch.Tensor, kernel: Any, recurrent: Any, bias: Any, drop: Any = 1.0, drop_state: Any = 1.0) -> Any:
    """The last h of "same" windows of odd size; masks (gates, ...) are multiplied in, one for each gate."""

    def product(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        return conv2d(x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), padding="same").permute(0, 2, 3, 1)

    h = c = x.new_zeros(*x[:, 0].shape[:-1], recurrent.shape[2])
    drop, drop_state = (mask if isinstance(mask, torch.Tensor) else [mask] * 4 for mask in (drop, drop_state))
    for step in x.unbind(1):
        gates = [
            product(step * drop[gate], kernel.chunk(4, -1)[gate])
            + product(h * drop_state[gate], recurrent.chunk(4, -1)[gate])
            + bias.chunk(4)[gate]
            for gate in range(4)
        ]
        i, f, g, o = gates
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    return h


@pytest.mark.parametrize("steps", [1, 4])
def test_gradients_are_those_of_a_loop(steps: int) -> None:
    layer = L.ConvLSTM2D(3, 3, padding="same", dtype="float64", bias_initializer="random_normal")
    x = torch.randn(2, steps, 5, 4, 2, dtype=torch.float64)
    y = layer(x)
    weights = [layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias]
    expected = by_hand(x, *weights)
    torch.testing.assert_close(y, expected)
    for found, wanted in zip(
        *(torch.autograd.grad(each.square().sum(), weights) for each in (y, expected)), strict=True
    ):
        torch.testing.assert_close(found, wanted)


def test_each_gate_drops_values_of_its_own() -> None:
    layer = L.ConvLSTM2D(3, 3, padding="same", dropout=0.4, recurrent_dropout=0.3, dtype="float64")
    x = torch.randn(2, 4, 5, 4, 2, dtype=torch.float64)
    layer(x)
    drop, drop_state = layer.cell.gate_masks(x)
    assert drop.shape == (2, 1, 5, 4, 8) and drop_state.shape == (2, 5, 4, 12)
    assert len({tuple(gate.flatten().tolist()) for gate in drop_state.chunk(4, -1)}) == 4
    layer.cell.gate_masks = lambda x: (drop, drop_state)
    masks = torch.stack(drop[:, 0].chunk(4, -1)), torch.stack(drop_state.chunk(4, -1))
    weights = layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias
    torch.testing.assert_close(layer(x, training=True), by_hand(x, *weights, *masks))
    torch.testing.assert_close(layer(x, training=False), by_hand(x, *weights))


def test_last_states_continue_a_sequence() -> None:
    x = torch.randn(2, 6, 5, 4, 2)
    layer = L.ConvLSTM2D(3, 2, padding="same", return_state=True)
    whole, *ends = layer(x)
    _, *states = layer(x[:, :4])
    again = layer(x[:, 4:], initial_state=states)
    for found, expected in zip(again, (whole, *ends), strict=True):
        torch.testing.assert_close(found, expected)
    assert [tuple(state.shape) for state in layer.get_initial_state(7)] == [(7, 5, 4, 3)] * 2


def test_a_masked_step_changes_nothing() -> None:
    x, valid = torch.randn(2, 5, 6, 2), torch.tensor([[False, True, True, False, True]] * 2)
    layer = L.ConvLSTM1D(3, 3)
    torch.testing.assert_close(layer(x, mask=valid), layer(x[:, valid[0]]))


def test_both_directions() -> None:
    x = torch.randn(2, 4, 5, 4, 2)
    both = L.Bidirectional(L.ConvLSTM2D(3, 3, return_sequences=True))
    y = both(x)
    forward, backward = both.forward_layer, both.backward_layer
    torch.testing.assert_close(y, torch.cat((forward(x), backward(x).flip(1)), -1))
    assert both.compute_output_shape((None, 4, 5, 4, 2)) == (None, 4, 3, 2, 6)


def test_a_picture_of_any_size() -> None:
    inputs = keras.Input((None, None, None, 2))
    model = keras.Model(inputs, L.GlobalAveragePooling2D()(L.ConvLSTM2D(3, 3, padding="same")(inputs)))
    assert [model(torch.zeros(1, 2, size, size + 1, 2)).shape for size in (4, 7)] == [(1, 3)] * 2


def test_states_need_a_size() -> None:
    inputs = keras.Input(batch_shape=(2, 3, None, 4, 1))
    with pytest.raises(ValueError, match=r"no known size.*\(2, 3, None, 4, 1\)"):
        L.ConvLSTM2D(2, 2, stateful=True)(inputs)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda layer: layer(torch.zeros(2, 3, 4, 1)), "expected 5 axes"),
        (lambda layer: layer(torch.zeros(2, 3, 4, 4, 2)), r"expected 1 along .* got 2"),
        (lambda layer: layer(torch.zeros(2, 3, 4, 4, 1), initial_state=[torch.zeros(2, 3)] * 2), r"\(2, 3, 3, 2\)"),
        (lambda layer: layer(torch.zeros(2, 3, 4, 4, 1), initial_state=[torch.zeros(2, 3, 3, 2)]), "expected 2 states"),
        (lambda layer: L.ConvLSTM2D(2, 3, strides=2, dilation_rate=2), "`strides > 1`.*`dilation_rate > 1`"),
        (lambda layer: L.ConvLSTM2D(2, 3, padding="causal"), "padding"),
        (lambda layer: L.ConvLSTM2D(2, 3, implementation=1), "implementation"),
        (lambda layer: L.ConvLSTM2D(2, 5)(torch.zeros(2, 3, 4, 4, 1)), "5"),
    ],
)
def test_misfits_are_named(call: Any, says: str) -> None:
    layer = L.ConvLSTM2D(2, 2)
    layer.build((None, None, 4, 4, 1))
    with pytest.raises(ValueError, match=says):
        call(layer)


def test_keras_2_names_it_after_its_own_rule() -> None:
    layer = keras2.layers.ConvLSTM2D(2, 3)
    assert layer.name.startswith("conv_lst_m2d_")
    assert L.ConvLSTM2D(2, 3).name.startswith("conv_lstm2d")


def test_learns_to_move_a_dot() -> None:
    """The next picture of a dot that goes to the right."""
    rng = np.random.default_rng(0)
    rows, starts = rng.integers(0, 8, 64), rng.integers(0, 4, 64)
    pictures = np.zeros((64, 5, 8, 8, 1), "float32")
    for step in range(5):
        pictures[np.arange(64), step, rows, starts + step] = 1
    keras.utils.set_random_seed(0)
    model = keras.Sequential([L.ConvLSTM2D(8, 3, padding="same"), L.Conv2D(1, 1, activation="sigmoid")])
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="binary_crossentropy")
    losses = model.fit(pictures[:, :4], pictures[:, 4], epochs=12, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.25 * losses[0]
