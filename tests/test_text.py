"""Texts and vocabularies: as TensorFlow and Keras 3 computed them, learned from data, in models, files and workers."""

from __future__ import annotations

import json
import pickle
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lamina as keras
from lamina.core import serialize
from lamina.kernels import hashing
from lamina.kernels.table import Table
from lamina.layers.preprocessing.strings import hashes

L = keras.layers
GOLDEN = Path(__file__).parent / "golden"
HASHES = json.loads((GOLDEN / "hashes.json").read_text("utf-8"))
CASES = json.loads((GOLDEN / "keras3" / "texts.json").read_text("utf-8"))["cases"]


# Hashes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in HASHES if name.startswith(("farmhash", "siphash"))])
def test_hash_is_that_of_tensorflow(name: str) -> None:
    key = [int(part) for part in name.split()[1:]] or None
    if name == "farmhash_integers":
        inputs: Any = torch.tensor(HASHES["integers"])
    else:
        inputs = np.array(HASHES["texts"], dtype=object)
    assert hashing.bucket(hashes(inputs, None, key), HASHES["buckets"]).tolist() == HASHES[name]
    one_by_one = [hashing.bucket(hashes(inputs[i : i + 1], None, key), HASHES["buckets"]).item() for i in (0, 3, 50)]
    assert one_by_one == [HASHES[name][i] for i in (0, 3, 50)]


def test_crossed_hash_is_that_of_tensorflow() -> None:
    texts = np.array(HASHES["texts"], dtype=object)
    columns = [hashes(texts[60:100], None), torch.tensor(HASHES["integers"][:40]), hashes(texts[100:140], None)]
    assert hashing.crossed(columns, HASHES["buckets"]).tolist() == HASHES["crossed"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5), st.integers(1, 2**63 - 1))
def test_decimal_text_and_unsigned_remainder(numbers: list[int], count: int) -> None:
    tensor = torch.tensor(numbers)
    words, lengths = hashing.decimal(tensor)
    rows = words.numpy().view("u1").reshape(len(numbers), -1)
    texts = [bytes(row[:length]).decode() for row, length in zip(rows, lengths.tolist(), strict=True)]
    assert texts == [str(number) for number in numbers]
    assert not any(row[length:].any() for row, length in zip(rows, lengths.tolist(), strict=True))
    assert hashing.bucket(tensor, count).tolist() == [number % 2**64 % count for number in numbers]


# Recorded ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['class']}-{CASES.index(case)}")
def test_recorded(case: dict[str, Any]) -> None:
    def replay() -> tuple[Any, Any]:
        layer = getattr(L, case["class"])(**case["kwargs"])
        if case["adapt"] is not None:
            layer.adapt(case["adapt"])
        return layer, layer(case["input"])

    if "refused" in case:
        with pytest.raises(ValueError, match=case["class"]):
            replay()
        return
    layer, output = replay()
    assert tuple(output.shape) == np.shape(case["output"])
    np.testing.assert_allclose(output, case["output"], rtol=1e-5, atol=1e-6)
    assert str(output.dtype).removeprefix("torch.") == case["dtype"]
    for name, found in (("vocabulary", True), ("terms", False)):
        if name in case:
            assert layer.get_vocabulary(found) == case[name]
    promised = layer.compute_output_shape((None, *np.shape(case["input"])[1:]))
    assert len(promised) == output.ndim
    assert all(size in (None, real) for size, real in zip(promised, output.shape, strict=True))
    again = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert json.dumps(again.get_config()) == json.dumps(layer.get_config())


# Vocabularies -----------------------------------------------------------------------------------------------------

DOCS = ["the cat sat", "the dog", "a cat"]


@pytest.mark.parametrize("data", [DOCS, np.array(DOCS), np.array(DOCS, dtype="S"), [[doc] for doc in DOCS]])
def test_adapts_to_arrays_and_lists_of_any_kind(data: Any) -> None:
    layer = L.TextVectorization()
    layer.adapt(data)
    assert layer.get_vocabulary() == ["", "[UNK]", "the", "cat", "sat", "dog", "a"]
    assert layer.vocabulary_size() == 7


def test_adapts_to_batches_and_takes_so_many_steps() -> None:
    def batches() -> Iterator[Any]:
        while True:
            yield from (DOCS[:2], (DOCS[2:], [0]))

    layer = L.TextVectorization(output_mode="tf_idf")
    layer.adapt(batches(), steps=2)
    whole = L.TextVectorization(output_mode="tf_idf")
    whole.adapt(DOCS, batch_size=2)
    assert layer.get_vocabulary() == whole.get_vocabulary()
    assert torch.equal(layer(DOCS), whole(DOCS))
    with pytest.raises(ValueError, match="no batch"):
        layer.adapt(iter(()))
    with pytest.raises(TypeError, match="adapt"):
        layer.adapt(3)


def test_adapt_forgets_what_was_learned_before() -> None:
    layer = L.StringLookup()
    layer.adapt(["a", "b", "a"])
    layer.adapt(["c"])
    assert layer.get_vocabulary() == ["[UNK]", "c"]
    layer.reset_state()
    layer.update_state(["x"])
    layer.update_state(np.array([["y", "y"]]))
    layer.finalize_state()
    assert layer.get_vocabulary() == ["[UNK]", "y", "x"]


def test_a_layer_whose_width_is_that_of_its_vocabulary_keeps_it() -> None:
    layer = L.StringLookup(vocabulary=["a", "b"], output_mode="count")
    with pytest.raises(RuntimeError, match="another of 4 places"):
        layer.set_vocabulary(["a", "b", "c"])
    with pytest.raises(ValueError, match="was given"):
        layer.adapt(["a"])
    with pytest.raises(ValueError, match="no vocabulary yet"):
        L.StringLookup(output_mode="count")(["a"])


def test_vocabulary_in_a_file_of_the_users(tmp_path: Path) -> None:
    path = tmp_path / "terms.txt"
    path.write_bytes("a\r\nbé\nc\n".encode())
    layer = L.StringLookup(vocabulary=str(path))
    assert layer.get_vocabulary() == ["[UNK]", "a", "bé", "c"]
    assert layer.get_config()["vocabulary"] is None
    path.write_text("1\n7\n")
    assert L.IntegerLookup(vocabulary=path)([7, 5]).tolist() == [2, 0]
    with pytest.raises(ValueError, match="no vocabulary file"):
        L.StringLookup(vocabulary=str(tmp_path / "none.txt"))
    path.write_text("1\nx\n")
    with pytest.raises(ValueError, match="no integer"):
        L.IntegerLookup(vocabulary=str(path))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: L.StringLookup(pad_to_max_tokens=True), "max_tokens"),
        (lambda: L.StringLookup(invert=True, output_mode="count"), "invert"),
        (lambda: L.StringLookup(vocabulary=["a"], output_mode="tf_idf"), "idf_weights"),
        (lambda: L.StringLookup(vocabulary=["a"], idf_weights=[1.0]), "idf_weights"),
        (lambda: L.StringLookup(vocabulary=["a"], idf_weights=[1.0, 2.0], output_mode="tf_idf"), "one for each"),
        (lambda: L.StringLookup(vocabulary=["a", "[UNK]"], invert=True), "special term"),
        (lambda: L.StringLookup(vocabulary=["a", "b"], max_tokens=2), "max_tokens"),
        (lambda: L.StringLookup(sparse=True), "[Ss]parse"),
        (lambda: L.IntegerLookup(salt=3), "farmhash"),
        (lambda: L.TextVectorization(ragged=True, output_mode="count"), "ragged"),
        (lambda: L.TextVectorization(output_sequence_length=3, output_mode="count"), "output_sequence_length"),
        (lambda: L.StringLookup(vocabulary=["a"])([3]), "expected texts"),
        (lambda: L.StringLookup(vocabulary=["a"])(np.array(["a", None], dtype=object)), "place 1"),
        (lambda: L.StringLookup(vocabulary=["a"])([["a"], ["a", "b"]]), "differ in length"),
        (lambda: L.TextVectorization(vocabulary=["a"])([["a", "b"]]), r"\(batch, 1\)"),
        (lambda: L.Hashing(3, dtype="float32"), "dtype"),
        (lambda: L.HashedCrossing(3)(["a"]), "list of at least two"),
        (lambda: L.HashedCrossing(3)(torch.ones(2, 1, dtype=torch.int64)), "list of at least two"),
        (lambda: L.HashedCrossing(3)(keras.Input((1,), dtype="int64")), "list of at least two"),
        (lambda: L.HashedCrossing(3)([keras.Input((1,), dtype="int64")]), "list of at least two"),
        (lambda: L.HashedCrossing(3)([np.array(["a"]), np.array([1, 2])]), "and the same one"),
        (lambda: L.HashedCrossing(3)([np.array(["a"]), np.array([1.5])]), "integer or string"),
        (lambda: L.Dense(3)(keras.Input((1,), dtype="string")), "expected numbers; got texts"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        make()


def test_there_and_back() -> None:
    terms = ["a", "bé", "漢字"]
    for options in ({}, {"mask_token": ""}, {"num_oov_indices": 0}, {"num_oov_indices": 2, "mask_token": ""}):
        there = L.StringLookup(vocabulary=terms, **options)
        back = L.StringLookup(vocabulary=there.get_vocabulary(), invert=True, **options)
        assert back(there([terms])).tolist() == [terms]
        assert back(torch.arange(there.vocabulary_size())).tolist() == there.get_vocabulary()
        assert back([-1, 99]).tolist() == ["[UNK]"] * 2
        numbers = {**options, "mask_token": 0} if "mask_token" in options else options
        ahead = L.IntegerLookup(vocabulary=[9, -4, 7], **numbers)
        behind = L.IntegerLookup(vocabulary=ahead.get_vocabulary(), invert=True, **numbers)
        assert behind(ahead([9, -4, 7])).tolist() == [9, -4, 7]
        assert behind(list(range(ahead.vocabulary_size()))).tolist() == ahead.get_vocabulary()


# Texts ------------------------------------------------------------------------------------------------------------


@serialize.register("tests")
def upper(texts: Any) -> Any:
    return np.char.upper(texts)


@serialize.register("tests")
def by_comma(texts: Any) -> Any:
    return [text.split(",") for text in texts.tolist()]


def test_functions_for_standardize_and_split() -> None:
    layer = L.TextVectorization(standardize=upper, split=by_comma, vocabulary=["A", "B C"])
    assert layer(["b c,a", "a,x"]).tolist() == [[3, 2], [2, 1]]
    again = L.TextVectorization.from_config(json.loads(json.dumps(layer.get_config())))
    assert again(np.array([["b c,a"]])).tolist() == [[3, 2]]
    with pytest.raises(ValueError, match="`split` must give"):
        L.TextVectorization(split=lambda texts: [["a"]])(["a", "b"])


def test_texts_in_any_form() -> None:
    layer = L.TextVectorization(vocabulary=["a", "bé"], encoding="latin-1")
    expected = [[2, 3], [1, 0]]
    texts = ["a bé", "x"]
    for given_texts in (texts, tuple(texts), np.array(texts), np.array(texts, object), [[text] for text in texts]):
        assert layer(given_texts).tolist() == expected
    assert layer([text.encode("latin-1") for text in texts]).tolist() == expected
    assert layer("a bé").tolist() == expected[0]
    assert layer([]).shape == (0, 0)
    rows = L.TextVectorization(vocabulary=["a", "bé"], ragged=True, output_sequence_length=2)(["a bé x", "x"])
    assert [row.tolist() for row in rows.unbind()] == [[2, 3], [1]]


def test_one_long_text_does_not_lengthen_the_others() -> None:
    texts = np.array(["a", "b" * 30_000, *"cdefgh"], dtype=object)
    together = L.Hashing(1000)(texts)
    assert together.tolist() == [L.Hashing(1000)(text).item() for text in texts.tolist()]


def test_where_tf_keras_had_them_first() -> None:
    from lamina.tf_keras.layers.experimental import preprocessing

    from lamina import tf_keras

    assert preprocessing.TextVectorization is tf_keras.layers.TextVectorization
    words = preprocessing.TextVectorization(output_mode="binary", name="words")
    words.adapt(np.array(DOCS))
    assert words(["a dog"]).tolist() == [[0, 0, 0, 0, 1, 1]]
    assert words.get_config()["dtype"] == "string"
    scaled = preprocessing.Normalization()
    scaled.adapt(np.arange(6.0).reshape(3, 2))
    assert [value.tolist() for value in scaled.get_weights()] == [[2, 3], [pytest.approx(8 / 3)] * 2, 3]


# Models, workers, files -------------------------------------------------------------------------------------------


def model_of_texts() -> Any:
    vectorize = L.TextVectorization(output_sequence_length=4, name="words")
    vectorize.adapt(DOCS)
    return keras.Sequential([keras.Input((1,), dtype="string"), vectorize, L.Embedding(9, 2), L.Flatten(), L.Dense(1)])


def test_model_takes_texts() -> None:
    model = model_of_texts()
    expected = model.layers[1:][-1](model.layers[2](model.layers[1](model.layers[0](DOCS))))
    for texts in (np.array(DOCS), DOCS, [[doc] for doc in DOCS]):
        torch.testing.assert_close(model(texts), expected)
    with pytest.raises(ValueError, match="expected texts"):
        model(torch.ones(2, 1))
    tag, size = keras.Input((1,), dtype="string", name="tag"), keras.Input((1,), name="size")
    lookup = L.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")
    both = keras.Model([tag, size], L.Concatenate()([L.Rescaling(1.0)(lookup(tag)), size]))
    assert both({"tag": ["b", "z"], "size": [1.0, 2.0]}).tolist() == [[0, 0, 1, 1], [1, 0, 0, 2]]
    assert both([["b", "z"], torch.tensor([[1.0], [2.0]])]).tolist() == [[0, 0, 1, 1], [1, 0, 0, 2]]
    with pytest.raises(ValueError, match="expected numbers"):
        both([np.array(["b"]), np.array(["b"])])


class Tagged(torch.utils.data.Dataset):
    def __init__(self, layer: Any):
        self.layer = layer

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Any:
        return self.layer([DOCS[index % 3]])[0]


def test_in_a_worker_of_a_data_loader() -> None:
    layer = L.TextVectorization(output_sequence_length=3)
    layer.adapt(DOCS)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(DOCS), layer(DOCS))
    loader = torch.utils.data.DataLoader(Tagged(layer), batch_size=3, num_workers=1)
    for batch in loader:
        assert torch.equal(batch, layer(DOCS))


@pytest.mark.parametrize("mode", ["int", "tf_idf"])
def test_vocabulary_in_a_file(mode: str, tmp_path: Path) -> None:
    words = L.TextVectorization(name="words", output_mode=mode)
    words.adapt([*DOCS, "naïve 漢字"])
    tags = L.IntegerLookup(name="tags", num_oov_indices=2)
    tags.adapt([[3, 3, 8]])
    text, number = keras.Input((1,), dtype="string"), keras.Input((2,), dtype="int64")
    model = keras.Model([text, number], [words(text), tags(number)])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for found, expected in zip(again([DOCS, [[3, 1]] * 3]), model([DOCS, [[3, 1]] * 3]), strict=True):
        assert torch.equal(found, expected)
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        names = {name: archive.read(name) for name in archive.namelist() if name.startswith("assets/")}
    assert names["assets/layers/integer_lookup/vocabulary.txt"] == b"-1\n-1\n3\n8"
    assert {*names} >= {"assets/layers/text_vectorization/vocabulary.txt"}
    with pytest.raises(ValueError, match="keras"):
        model.save(tmp_path / "model.h5")


def test_a_file_of_keras_itself() -> None:
    model = keras.saving.load_model(GOLDEN / "files" / "keras3" / "vocabularies.keras")
    assert model.get_layer("words").get_vocabulary() == ["", "[UNK]", "the", "cat", "sat", "dog", "a"]
    known = np.load(GOLDEN / "files" / "keras3" / "vocabularies.npz")
    outputs = model({"text": known["text"], "tag": known["tag"], "size": known["size"]})
    for index, output in enumerate(outputs):
        np.testing.assert_allclose(output, known[f"output{index}"], rtol=1e-5, atol=1e-6)


def rewritten(source: Path, target: Path, change: Any) -> Path:
    with zipfile.ZipFile(source) as good, zipfile.ZipFile(target, "w") as made:
        members = {name: good.read(name) for name in good.namelist()}
        for name, content in change(members).items():
            made.writestr(name, content)
    return target


HOSTILE = {
    "missing": lambda m: {name: c for name, c in m.items() if not name.startswith("assets")},
    "other size": lambda m: {n: c + b"\nmore" if n.startswith("assets") else c for n, c in m.items()},
    "twice the same": lambda m: {n: c.replace(b"dog", b"cat") if n.startswith("assets") else c for n, c in m.items()},
    "outside": lambda m: {**m, "assets/layers/text_vectorization/../../../../evil": b"x"},
    "drive": lambda m: {**m, "assets/layers/text_vectorization/C:\\evil": b"x"},
    "a folder": lambda m: {
        n.replace("ry.txt", "ry.txt/x") if n.startswith("assets") else n: c for n, c in m.items()
    },
    "another file": lambda m: {
        **m, "config.json": m["config.json"].replace(b'"vocabulary": null', b'"vocabulary": "/etc/passwd"')
    },
    "huge size": lambda m: {
        **m, "config.json": m["config.json"].replace(b'"vocabulary_size": 7', b'"vocabulary_size": 7000000000')
    },
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(name: str, tmp_path: Path) -> None:
    model_of_texts().save(tmp_path / "model.keras")
    path = rewritten(tmp_path / "model.keras", tmp_path / "other.keras", HOSTILE[name])
    before = {*tmp_path.parent.rglob("*")}
    with pytest.raises(ValueError, match=r"other\.keras"):
        keras.saving.load_model(path)
    assert {*tmp_path.parent.rglob("*")} == before


def test_a_config_cannot_ask_for_much_memory() -> None:
    layer = L.StringLookup(num_oov_indices=10**12, vocabulary=["a"])
    assert layer(["a"]).item() == 10**12
    from lamina.core.weight import bounded_state

    options: dict[str, Any] = {"vocabulary": ["a"], "idf_weights": [1.0], "output_mode": "tf_idf"}
    for more in ({"num_oov_indices": 10**12}, {"max_tokens": 10**12, "pad_to_max_tokens": True}):
        with bounded_state(1 << 20), pytest.raises(ValueError, match="larger than a file may ask for"):
            L.StringLookup(**options, **more)
    L.TextVectorization(ngrams=10**12, vocabulary=["a"])(["a b"])


class Kept(keras.Layer):
    """A user's layer with files of its own."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.note = ""

    def call(self, inputs: Any) -> Any:
        return inputs

    def save_assets(self, dir_path: str) -> None:
        (Path(dir_path) / "deep").mkdir()
        (Path(dir_path) / "deep" / "note.txt").write_text(self.note)

    def load_assets(self, dir_path: str) -> None:
        self.note = (Path(dir_path) / "deep" / "note.txt").read_text()


def test_files_of_a_users_layer(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), Kept()])
    model.layers[0].note = "kept"
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", custom_objects={"Kept": Kept})
    assert again.layers[0].note == "kept"


# Many at once --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [None, "", "ab"])
@pytest.mark.parametrize("letters", ["ab", "ab \0", "ab\u00e9"])
@pytest.mark.parametrize("longest", [3, 9, 70])
def test_an_array_of_many_texts_is_looked_up_as_each_of_them(mask: Any, letters: str, longest: int) -> None:
    draw = random.Random(0)

    def some(count: int) -> list[str]:
        return ["".join(draw.choices(letters, k=draw.randrange(longest + 1))) for _ in range(count)]

    terms = [term for term in dict.fromkeys(some(200)) if term not in (mask, "[UNK]") and not term.endswith("\0")]
    layer = L.StringLookup(vocabulary=terms, mask_token=mask)
    for texts in (some(1500), draw.choices(terms, k=1500), [term[:40] for term in draw.choices(terms, k=1500)]):
        array = np.array(texts).reshape(-1, 3)
        expected = [int(layer([text])[0]) for text in array.ravel()[:300].tolist()]
        assert layer(array).reshape(-1)[:300].tolist() == expected
        assert torch.equal(layer(array), layer(array.tolist()))


@pytest.mark.parametrize("options", [{}, {"mask_token": 5}, {"num_oov_indices": 3}])
def test_an_array_of_many_integers_is_looked_up_as_each_of_them(options: dict) -> None:
    layer = L.IntegerLookup(vocabulary=[3, -7, 2**40, 0, 11], **options)
    array = np.random.default_rng(0).choice([3, -7, 2**40, 0, 11, 5, -1, 12], (500, 3))
    assert layer(array).tolist() == [layer(row).tolist() for row in array]


@pytest.mark.parametrize("count", [0, 1, 2, 7, 5000])
def test_a_table_finds_what_is_in_it(count: int) -> None:
    generator = torch.Generator().manual_seed(0)
    everywhere = torch.randint(-(2**63), 2**63 - 1, (count,), generator=generator).unique()
    for keys in (everywhere[torch.randperm(len(everywhere))], torch.arange(count) * 2**20, -torch.arange(count)):
        table = Table(keys)
        assert torch.equal(table.find(keys.flip(0)), torch.arange(len(keys)).flip(0))
        assert (table.find(torch.tensor([2**62 + 3, 5 * 2**40 + 1])) == -1).all()
    assert len(Table(everywhere).find(torch.zeros(0, dtype=torch.int64))) == 0


def test_hashes_of_short_and_long_texts_together() -> None:
    texts = ["x" * length for length in (*range(140), 191, 192, 193, 256)] + ["\u00e9" * 40, "a\0b"]
    layer = L.Hashing(10**6)
    each = [int(layer([text])[0]) for text in texts]
    assert layer(texts).tolist() == each
    for some in (texts[:65], texts[8:17], texts[4:9], texts[:4], texts[60:]):
        assert layer(np.array(some)).tolist() == [int(layer([text])[0]) for text in some]
        assert layer(np.array(some, dtype=object)).tolist() == layer(some).tolist()
    whole = torch.tensor([0, -1, 10**18, -(2**63), 2**63 - 1, 7])
    assert layer(whole).tolist() == layer([str(number) for number in whole.tolist()]).tolist()
