"""Models that begin with texts: trained, measured, called and saved on arrays and lists of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lamina as keras

L = keras.layers
TEXTS = np.array(["the cat sat", "a dog ran", "cats and dogs", "the end"] * 4, dtype=object)
TARGETS = np.array([0, 1, 1, 0] * 4, dtype="float32")
NUMBERS = np.random.default_rng(0).random((16, 2)).astype("float32")


def vectorizer() -> Any:
    return L.TextVectorization(output_sequence_length=4, vocabulary=["the", "cat", "dog", "a", "end"])


def stack() -> list[Any]:
    return [vectorizer(), L.Embedding(8, 3), L.GlobalAveragePooling1D(), L.Dense(1)]


def functional() -> Any:
    x = inputs = keras.Input((1,), dtype="string")
    for layer in stack():
        x = layer(x)
    return keras.Model(inputs, x)


class Own(keras.Model):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.first, self.second, self.third, self.last = stack()

    def call(self, inputs: Any) -> Any:
        return self.last(self.third(self.second(self.first(inputs))))


MODELS: dict[str, Callable[[], Any]] = {
    "sequential": lambda: keras.Sequential(stack()),
    "with an input": lambda: keras.Sequential([keras.Input((1,), dtype="string"), *stack()]),
    "with an input of no axes": lambda: keras.Sequential([keras.Input((), dtype="string"), *stack()]),
    "functional": functional,
    "nested": lambda: keras.Sequential([functional(), L.Activation("sigmoid")]),
    "subclass": Own,
}
each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())


def compiled(make: Callable[[], Any]) -> Any:
    keras.utils.set_random_seed(1)
    model = make()
    model.compile("sgd", "mse")
    return model


def built(make: Callable[[], Any]) -> Any:
    model = compiled(make)
    model(TEXTS[:1])
    return model


class _Batches(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        rows = slice(8 * index, 8 * index + 8)
        return TEXTS[rows], TARGETS[rows]


class _Samples(torch.utils.data.Dataset):
    def __init__(self, *parts: Any):
        self.parts = parts

    def __len__(self) -> int:
        return 16

    def __getitem__(self, index: int) -> Any:
        found = [part[index] for part in self.parts]
        return found if len(found) > 1 else found[0]


def loader(*parts: Any) -> Any:
    return torch.utils.data.DataLoader(_Samples(*parts), batch_size=8)


FORMS: dict[str, Callable[[], Any]] = {
    "objects": lambda: (TEXTS, TARGETS),
    "a list": lambda: (TEXTS.tolist(), TARGETS),
    "fixed width, in a column": lambda: (TEXTS.astype(str)[:, None], TARGETS),
    "bytes": lambda: (TEXTS.astype("S"), TARGETS),
    "PyDataset": lambda: (_Batches(),),
    "loader": lambda: (loader(TEXTS, TARGETS),),
    "generator": lambda: (_Batches()[index] for index in (0, 1)),
    "list of batches": lambda: (_Batches(),),
}


@each_model
def test_all_forms_of_texts_train_alike(make: Callable) -> None:
    losses = {}
    for form, data in FORMS.items():
        given = (data(),) if form == "generator" else data()
        losses[form] = built(make).fit(*given, batch_size=8, shuffle=False, verbose=0).history["loss"][0]
    assert len({round(loss, 5) for loss in losses.values()}) == 1, losses


@each_model
def test_measured_and_predicted_alike(make: Callable) -> None:
    model = compiled(make)
    expected = model(TEXTS).detach().numpy()
    for given in (TEXTS, TEXTS.tolist(), TEXTS[:, None], loader(TEXTS)):
        np.testing.assert_allclose(model.predict(given, batch_size=5, verbose=0), expected, rtol=1e-5)
    np.testing.assert_allclose(model(TEXTS.tolist()).detach(), expected, rtol=1e-5)
    np.testing.assert_allclose(model([[text] for text in TEXTS]).detach(), expected, rtol=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(TEXTS[:3].tolist()), expected[:3], rtol=1e-5)
    loss = np.mean((expected[:, 0] - TARGETS) ** 2)
    assert model.evaluate(TEXTS.tolist(), TARGETS, verbose=0) == pytest.approx(loss, rel=1e-4)
    assert model.test_on_batch(TEXTS, TARGETS) == pytest.approx(loss, rel=1e-4)
    assert model.train_on_batch(TEXTS.tolist(), TARGETS) == pytest.approx(loss, rel=1e-4)


@each_model
def test_shuffled_split_and_weighted(make: Callable) -> None:
    options: dict[str, Any] = {"epochs": 2, "verbose": 0, "batch_size": 3, "sample_weight": TARGETS + 1}
    history = compiled(make).fit(TEXTS, TARGETS, validation_split=0.25, shuffle="batch", **options).history
    assert len(history["val_loss"]) == 2
    held = (TEXTS[:4].tolist(), TARGETS[:4])
    assert len(compiled(make).fit(TEXTS.tolist(), TARGETS, validation_data=held, **options).history["val_loss"]) == 2


def test_texts_stay_beside_their_targets_when_mixed() -> None:
    lookup = L.StringLookup(vocabulary=[str(n) for n in range(64)], num_oov_indices=0)
    model = keras.Sequential([keras.Input((1,), dtype="string"), lookup, L.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    assert model.fit([str(n) for n in range(64)], np.arange(64.0)[:, None], batch_size=7, verbose=0).history[
        "loss"
    ] == [0]


@each_model
def test_files(make: Callable, tmp_path: Path) -> None:
    model = make()
    expected = model(TEXTS).detach()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", custom_objects={"Own": Own})
    np.testing.assert_allclose(again(TEXTS).detach(), expected)
    np.testing.assert_allclose(again.predict(TEXTS.tolist(), verbose=0), expected)


def beside_numbers() -> Any:
    text, number = keras.Input((1,), dtype="string", name="text"), keras.Input((2,), name="number")
    x = text
    for layer in stack()[:-1]:
        x = layer(x)
    return keras.Model({"text": text, "number": number}, L.Dense(1)(L.Concatenate()([x, number])))


@pytest.mark.parametrize("form", [np.asarray, lambda values: values.tolist()])
def test_texts_beside_numbers(form: Callable) -> None:
    model = compiled(beside_numbers)
    data = {"text": form(TEXTS), "number": form(NUMBERS)}
    expected = model(data).detach()
    np.testing.assert_allclose(model.predict(data, batch_size=5, verbose=0), expected, rtol=1e-5)
    history = model.fit(data, TARGETS, validation_split=0.25, sample_weight=TARGETS, epochs=2, verbose=0).history
    assert len(history["val_loss"]) == 2
    pairs = [({"text": form(TEXTS[:8]), "number": form(NUMBERS[:8])}, TARGETS[:8])]
    assert np.isfinite(model.evaluate(iter(pairs), verbose=0))


def test_texts_come_out() -> None:
    inputs = keras.Input((1,), dtype="int64")
    model = keras.Model(inputs, L.StringLookup(vocabulary=["a", "b"], invert=True)(inputs))
    assert model.predict(np.array([[1], [2], [0]]), batch_size=2, verbose=0).tolist() == [["a"], ["b"], ["[UNK]"]]


def test_what_came_of_texts_is_where_the_model_is() -> None:
    weighing = L.TextVectorization(output_mode="tf_idf", vocabulary=["a"], idf_weights=[1.0])
    for layer in (vectorizer(), L.StringLookup(vocabulary=["a"]), L.Hashing(3), weighing):
        assert layer(["a"]).device.type == "cpu"
        assert layer.to("meta")(["a"]).device.type == "meta"


def plain() -> Any:
    model = keras.Sequential([L.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        (lambda: plain().fit(TEXTS, TARGETS), "x: expected numbers"),
        (lambda: plain().predict(TEXTS.tolist()), "x: expected numbers"),
        (lambda: plain()(TEXTS.tolist()), "expected numbers"),
        (lambda: plain().predict(loader(TEXTS)), "."),
        (lambda: compiled(functional).fit(TEXTS, TEXTS), "y: expected numbers"),
        (lambda: compiled(functional).fit(TEXTS, TARGETS, sample_weight=TEXTS), "sample_weight: expected numbers"),
        (lambda: compiled(functional).fit(TEXTS, TARGETS[:5]), "x has 16, y has 5"),
        (lambda: compiled(functional).fit(NUMBERS, TARGETS), "expected texts"),
        (lambda: compiled(functional)(np.array(["a", None])), "expected texts; got None"),
        (lambda: compiled(functional).predict(np.array(["a", np.nan], object), verbose=0), "expected texts; got nan"),
        (lambda: compiled(functional).predict([["a"], ["b", "c"]]), "differ in length"),
        (lambda: compiled(beside_numbers).predict({"text": TEXTS, "number": TEXTS}), "number"),
    ],
)
def test_bad_input(fails: Callable, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fails()


@pytest.mark.parametrize(
    "move",
    [
        lambda ops, x: ops.expand_dims(x, -1),
        lambda ops, x: ops.reshape(x, (-1, 1)),
        lambda ops, x: x[:, None],
        lambda ops, x: ops.stack([x, x], axis=1),
        lambda ops, x: ops.squeeze(ops.expand_dims(x, -1), -1),
    ],
)
@pytest.mark.parametrize("kind", [object, str, bytes])
def test_what_moves_texts_stands_before_a_lookup(move: Any, kind: type, tmp_path: Path) -> None:
    """In functional models, in own ones, and in their files, as in Keras 3 with TensorFlow, and in tf.keras."""
    texts = np.array(["cat", "dog", "?", "cat"]).astype(kind)

    def lookup() -> Any:
        return L.StringLookup(vocabulary=["cat", "dog"])

    class Moved(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.lookup = lookup()

        def call(self, x: Any) -> Any:
            return self.lookup(move(keras.ops, x))

    x = keras.Input((), dtype="string")
    model = keras.Model(x, lookup()(move(keras.ops, x)))
    numbers = torch.tensor([1, 2, 0, 1])
    expected = move(keras.ops, numbers)
    assert model.output_shape[1:] == expected.shape[1:]
    model.save(tmp_path / "moved.keras")
    for each in (model, Moved(), keras.saving.load_model(tmp_path / "moved.keras")):
        for data in (texts, texts[::-1], texts[:2]):
            wanted = expected.flip(0) if data is not texts and len(data) == 4 else expected[: len(data)]
            assert torch.equal(torch.as_tensor(each.predict(data, verbose=0)), wanted)


def test_several_texts_are_put_together() -> None:
    x, y = (keras.Input((1,), dtype="string") for _ in range(2))
    model = keras.Model([x, y], L.StringLookup(vocabulary=["a", "b"])(keras.ops.concatenate([x, y], axis=-1)))
    found = model.predict([np.array([["a"], ["?"]], object), np.array([["b"], ["a"]])], verbose=0)
    assert found.tolist() == [[1, 2], [0, 1]]
