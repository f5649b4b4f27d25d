"""Older generations take no argument without a word: it has its effect, is refused, or stands in a table of reasons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import lamina
from lamina import keras1, keras2, tf_keras
from lamina.generations.dialect import DIALECTS
from lamina.translation.unused import UNUSED, check
from lamina.translation.words import signature_of, words

SPACES = {"keras1": keras1, "keras2": keras2, "tf_keras": tf_keras}
EVERY = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def dropped() -> Iterator[tuple[str, str, str, Any]]:
    """(generation, class or method, argument, its default) of every argument that the tables rename to nothing."""
    for generation in (dialect.table for dialect in DIALECTS.values()):
        for home, table in generation.objects.items():
            for name in table:
                own = words(generation, home, name)
                for word, default in {**dict.fromkeys(own.known), **own.accepted}.items():
                    if not own.now(word):
                        yield generation.name, name, word, default
        for method, signature in generation.methods.items():
            for parameter in signature_of(signature).parameters.values():
                if not generation.method_words.get(parameter.name, parameter.name):
                    yield generation.name, method, parameter.name, parameter.default


def test_every_argument_that_tables_drop_has_a_reason() -> None:
    found = list(dropped())
    assert len(found) > 200
    for generation, name, word, default in found:
        assert word in UNUSED, (generation, name, word)
        check(name, word, default)
    assert {word for _, _, word, _ in found} == set(UNUSED)


@EVERY
@pytest.mark.parametrize(
    ("word", "value", "call"),
    [
        ("implementation", 7, lambda space, **o: space.layers.LSTM(3, **o)),
        ("consume_less", "much", lambda space, **o: space.layers.LSTM(3, **o)),
        ("groups", 2, lambda space, **o: space.layers.Conv2DTranspose(4, 3, **o)),
        ("node_indices", [1, 0], lambda space, **o: space.layers.Merge(**o)),
        ("sparse", True, lambda space, **o: space.layers.Input(shape=(3,), **o)),
        ("type_spec", "any", lambda space, **o: space.layers.Input(shape=(3,), **o)),
        ("adaptive_epsilon", True, lambda space, **o: space.optimizers.Adam(**o)),
        ("sample_weight_mode", "by day", lambda space, **o: small(space).compile("sgd", "mse", **o)),
        ("sparse", True, lambda space, **o: space.backend.placeholder((2, 3), **o)),
        ("givens", {}, lambda space, **o: space.backend.function([], [], **o)),
    ],
)
def test_a_value_that_would_count_is_refused(space: Any, word: str, value: Any, call: Any) -> None:
    """By a generation that has the argument as by one that has not."""
    with pytest.raises((ValueError, TypeError, AttributeError), match=f"{word}|Merge|sparse|Conv2DTranspose"):
        call(space, **{word: value})


def small(space: Any) -> Any:
    return space.models.Sequential([space.layers.Dense(1, input_shape=(2,))])


# Effects --------------------------------------------------------------------------------------------------------------


def test_input_length_is_the_number_of_steps() -> None:
    for space, names in ((keras2, ("LSTM", "GRU", "SimpleRNN", "Conv1D", "CuDNNGRU")), (tf_keras, ("LSTM", "GRU"))):
        for name in names:
            sizes = (3, 2) if name == "Conv1D" else (3,)
            for options, steps in (({}, None), ({"input_length": 5}, 5)):
                layer = getattr(space.layers, name)(*sizes, input_dim=4, **options)
                assert space.models.Sequential([layer]).input_shape == (None, steps, 4)
    assert keras2.layers.Embedding(9, 3, input_length=5).get_config()["input_length"] == 5


@pytest.mark.parametrize("make", [
    lambda **options: keras1.layers.Dense(2, input_shape=(3,), **options),
    lambda **options: type("Mine", (keras1.engine.topology.Layer,), {"call": lambda self, x, mask=None: x})(
        input_shape=(3,), **options
    ),
])  # fmt: skip
def test_the_type_of_the_input(make: Any) -> None:
    model = keras1.models.Sequential([make(input_dtype="int32")])
    assert model.inputs[0].dtype == "int32"
    assert keras1.models.Sequential([make()]).inputs[0].dtype == "float32"


def test_a_merging_function_gets_the_masks_it_asks_for() -> None:
    seen = []

    def mode(inputs: Any, mask: Any = None) -> Any:
        seen.append(mask)
        return inputs[0] + inputs[1]

    layers = keras1.layers
    a, b = (layers.Masking()(layers.Input(shape=(4, 3))) for _ in range(2))
    both = layers.merge([a, b], mode=mode, output_shape=(4, 3), output_mask=lambda masks: None)
    model = keras1.models.Model([a.node.input, b.node.input], both)
    model.predict([np.ones((2, 4, 3)), np.zeros((2, 4, 3))])
    assert [mask.any().item() for mask in seen[-1]] == [True, False]
    assert layers.Merge(mode=lambda inputs: inputs[0])([torch.ones(2, 3), torch.zeros(2, 3)]).sum() == 6


@EVERY
def test_custom_objects_of_deserialize_are_known(space: Any) -> None:
    class Mine(lamina.regularizers.Regularizer):
        def __call__(self, x: Any) -> Any:
            return x.sum()

    described = {"class_name": "Mine", "name": "Mine", "config": {}}
    described = {"name": "Mine"} if space is keras1 else described
    assert isinstance(space.regularizers.deserialize(described, {"Mine": Mine}), Mine)


@EVERY
def test_weights_of_steps(space: Any) -> None:
    """`sample_weight_mode="temporal"` weighs each step."""
    model = space.models.Sequential([space.layers.Dense(1, input_shape=(3, 2))])
    options = {} if space is tf_keras else {"sample_weight_mode": "temporal"}
    model.compile("sgd", "mse", **options)
    x, y = np.ones((4, 3, 2), "float32"), np.arange(12.0).reshape(4, 3, 1)
    weights = np.linspace(0.5, 2, 12).reshape(4, 3)
    losses = np.square(model.predict(x, verbose=0) - y)[..., 0]
    found = model.evaluate(x, y, sample_weight=weights, verbose=0)
    np.testing.assert_allclose(np.ravel(found)[0], (losses * weights).mean(), rtol=1e-5)


@EVERY
def test_backend_arguments(space: Any) -> None:
    K = space.backend
    constraint = lamina.constraints.NonNeg()
    made = K.variable(np.ones(3), name="scale", constraint=constraint)
    assert made.constraint is constraint and made.name == "scale"
    assert K.map_fn(lambda x: x * 2, torch.ones(3), dtype="int32").dtype is torch.int32
    x, mean, var = torch.randn(2, 3, 4, 4), torch.randn(3), torch.rand(3) + 1
    expected = torch.nn.functional.batch_norm(x, mean, var, eps=1e-3)
    torch.testing.assert_close(K.batch_normalization(x, mean, var, None, None, axis=1), expected)
    last = K.batch_normalization(x.movedim(1, -1), mean, var, torch.zeros(3), torch.ones(3))
    torch.testing.assert_close(last.movedim(-1, 1), expected)


@EVERY
def test_updates_of_a_function(space: Any) -> None:
    K = space.backend
    entrance, total = space.layers.Input(shape=(2,)), K.variable(np.zeros((1, 2)))
    run = K.function([entrance], [entrance * 2.0], updates=[(total, entrance + 1.0)])
    (found,) = run([np.ones((1, 2), "float32")])
    np.testing.assert_array_equal(found, [[2, 2]])
    np.testing.assert_array_equal(K.get_value(total), [[2, 2]])
    for updates in ([total], [(total, torch.ones(1, 2))]):
        with pytest.raises(ValueError, match="pairs"):
            K.function([entrance], [entrance * 2.0], updates=updates)


def test_bilinear_pictures_begin_at_the_corner() -> None:
    x = torch.randn(1, 3, 4, 2)
    layer = keras2.layers.UpSampling2D((2, 3), interpolation="bilinear")
    torch.testing.assert_close(keras2.backend.resize_images(x, 2, 3, "channels_last", "bilinear"), layer(x))
    assert not torch.allclose(tf_keras.backend.resize_images(x, 2, 3, "channels_last", "bilinear"), layer(x))


def test_the_table_is_written_for_people() -> None:
    text = json.dumps({word: entry.reason for word, entry in UNUSED.items()})
    assert all(len(entry.reason) > 10 for entry in UNUSED.values()) and len(text) < 5000
