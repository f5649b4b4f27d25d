"""Metrics that are attributes of a tf.keras model are among its weights, in the order of the attributes."""

from __future__ import annotations

import numpy as np
import pytest

from lamina import tf_keras as keras


class Own(keras.Model):
    def __init__(self, **held):
        super().__init__()
        self.first = keras.layers.Dense(2)
        for name, value in held.items():
            setattr(self, name, value)
        self.last = keras.layers.Dense(1)

    def call(self, x):
        return self.last(self.first(x))


def _functional(**held):
    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Dense(1)(keras.layers.Dense(2)(x)))
    for name, value in held.items():
        setattr(model, name, value)
    return model


_LAYERS = [(3, 2), (2,), (2, 1), (1,)]


@pytest.mark.parametrize(
    ("held", "shapes"),
    [
        (lambda: {"tracker": keras.metrics.Mean()}, [(), ()]),
        (lambda: {"score": keras.metrics.MeanIoU(2)}, [(2, 2)]),
        (lambda: {"some": [keras.metrics.Mean(), keras.metrics.Sum()]}, [(), (), ()]),
        (lambda: {"some": {"a": keras.metrics.Mean()}, "number": 3, "sizes": [1, 2]}, [(), ()]),
    ],
)
def test_they_stand_where_they_were_set(held, shapes):
    own, functional = Own(**held()), _functional(**held())
    own(np.ones((1, 3), "float32"))
    expected = [*_LAYERS[:2], *shapes, *_LAYERS[2:]]
    assert [array.shape for array in own.get_weights()] == [tuple(each.shape) for each in own.weights] == expected
    assert [array.shape for array in functional.get_weights()] == [*_LAYERS, *shapes]
    for model in (own, functional):
        assert model.count_params() == sum(int(np.prod(shape)) for shape in expected)
        assert len(model.trainable_weights) == 4
        assert len(model.non_trainable_weights) == len(shapes)
        model.set_weights([np.full(array.shape, 3.0) for array in model.get_weights()])
        assert all((weight.numpy() == 3).all() for weight in model.weights)


@pytest.mark.parametrize("name", ["w.h5", "w.weights.h5", "checkpoint"])
def test_files_of_weights_hold_what_layers_have(name, tmp_path):
    models = [Own(tracker=keras.metrics.Mean()) for _ in range(2)]
    x = np.ones((1, 3), "float32")
    before, after = (model(x) for model in models)
    assert not np.allclose(before, after)
    models[0].save_weights(tmp_path / name)
    models[1].load_weights(tmp_path / name)
    np.testing.assert_allclose(models[1](x), before)
