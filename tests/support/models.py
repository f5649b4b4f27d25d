"""Models of every form that files have to keep."""

from __future__ import annotations

import torch

import lamina as keras
from lamina import layers


@keras.saving.register_keras_serializable("tests")
class Block(layers.Layer):
    """Weights of its own, sublayers in an attribute, a list and a dict."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.zlast = layers.Dense(units)
        self.parts = [layers.Dense(units), {"a": layers.Dense(units, activation="tanh")}]

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
        self.calls = self.add_weight(shape=(), initializer="zeros", name="calls", trainable=False)
        self.parts[0].build(input_shape)
        self.parts[1]["a"].build((*input_shape[:-1], self.units))
        self.zlast.build((*input_shape[:-1], self.units))

    def call(self, x):
        return self.zlast(self.parts[1]["a"](self.parts[0](x * self.scale)))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Subclassed(keras.Model):
    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = layers.Dense(units)
        self.block = Block(3)

    def call(self, x):
        return self.block(self.first(x))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def sequential():
    return keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="relu"), layers.Dense(2)])


def shared_and_operators():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    dense = layers.Dense(3, name="shared")
    x = dense(a) + 2 / (torch.abs(dense(b)) + 1)
    return keras.Model({"a": a, "b": b}, {"cut": x[:, 1:] ** 2, "total": [x.sum(-1, keepdim=True), layers.Dense(2)(x)]})


def nested():
    a = keras.Input((4,))
    inner = keras.Model(a, layers.Dense(4, name="deep")(a), name="inner")
    line = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="only")], name="line")
    b = keras.Input((4,))
    return keras.Model([b, a], [inner(line(inner(b))), line(a)])


def layer_inside_and_outside():
    a = keras.Input((4,))
    dense = layers.Dense(4)
    inner = keras.Model(a, dense(a))
    b = keras.Input((4,))
    return keras.Model(b, inner(b) + dense(b))


def masked():
    steps = keras.Input((6, 2))
    x = layers.Masking()(steps)
    return keras.Model(steps, layers.Dense(2)(x))


def custom():
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(2, trainable=False)(Block(3)(x)))


def subclassed():
    model = Subclassed()
    model.build((None, 4))
    return model


ROUND_TRIPS = [
    sequential, shared_and_operators, nested, layer_inside_and_outside, masked, custom, subclassed,
]  # fmt: skip
