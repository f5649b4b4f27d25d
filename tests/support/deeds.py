"""What may happen to a model's weights between two calls."""

from __future__ import annotations

from typing import Any


def set_weights(model: Any) -> None:
    model.set_weights([value * 0.5 for value in model.get_weights()])


def load_state(model: Any) -> None:
    model.load_state_dict({name: value * 0.5 for name, value in model.state_dict().items()}, assign=True)


def other_data(model: Any) -> None:
    for weight in model.weights:
        weight.data = weight.data.clone() * 0.5
