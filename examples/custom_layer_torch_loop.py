"""A layer written the Keras way, used the PyTorch way: inside `torch.nn.Sequential`, trained by a plain loop."""

from __future__ import annotations

import math

import torch

import lamina as keras


class RadialBasis(keras.layers.Layer):
    """How near the input is to each of `units` learned points: exp(-|x - center|^2 / width^2)."""

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.centers = self.add_weight(shape=(self.units, input_shape[-1]), initializer="random_normal", name="centers")
        self.width = self.add_weight(shape=(self.units,), initializer="ones", name="width")

    def call(self, inputs):
        squares = (inputs[:, None] - self.centers).square().sum(-1)
        return torch.exp(-squares / self.width**2)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def main() -> float:
    """Learns to tell two spirals apart and returns the accuracy on points it has not seen."""
    keras.utils.set_random_seed(1)
    x_train, y_train = spirals(600)
    x_test, y_test = spirals(400)

    model = torch.nn.Sequential(RadialBasis(48), keras.layers.Dense(1))
    model(x_train[:1])  # the first call makes the weights
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    criterion = torch.nn.BCEWithLogitsLoss()

    model.train()
    for step in range(1, 601):
        optimizer.zero_grad()
        loss = criterion(model(x_train)[:, 0], y_train)
        loss.backward()
        optimizer.step()
        if step % 150 == 0:
            print(f"step {step}: loss {loss.item():.3f}")

    model.eval()
    with torch.no_grad():
        accuracy = float(((model(x_test)[:, 0] > 0) == (y_test > 0.5)).float().mean())
    again = RadialBasis.from_config(model[0].get_config())
    print(f"accuracy on unseen points: {accuracy:.1%}; from its config: {again.name} with {again.units} units")
    return accuracy


def spirals(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy points (count, 2) on two intertwined spirals, and which of them each is on, 0.0 or 1.0."""
    label = torch.randint(2, (count,))
    turn = torch.rand(count).sqrt()
    angle = 3 * math.pi * turn + math.pi * label
    points = torch.stack([turn * angle.cos(), turn * angle.sin()], dim=1)
    return points + 0.02 * torch.randn(count, 2), label.float()


if __name__ == "__main__":
    main()
