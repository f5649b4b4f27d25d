"""Weights in several files, and the editor of files of weights."""

from __future__ import annotations

import functools
import itertools
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import lamina as keras
from lamina import files, layers
from lamina.files import stored
from lamina.saving import KerasFileEditor

RECORDED = Path(__file__).parent / "golden" / "files" / "keras3" / "shards"
GB = 2**30


def small():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(6), layers.BatchNormalization(), layers.Dense(2, name="last")]
    )
    model.compile("sgd", "mse")
    return model


def recurrent():
    inputs = keras.Input((None, 3))
    x = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(inputs)
    model = keras.Model(inputs, layers.MultiHeadAttention(2, 2)(x, x))
    model.compile("adam", "mse")
    return model


def state(model):
    return [weight.detach().clone() for weight in [*model.weights, *model.optimizer.variables]]


def equal(first, second):
    return len(first) == len(second) and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


# Several files ---------------------------------------------------------------------------------------------------


def test_files_of_keras_are_read_and_written_alike(tmp_path):
    model, data = small(), np.load(RECORDED / "sharded.npz")
    model.load_weights(RECORDED / "sharded.weights.json")
    np.testing.assert_allclose(model.predict(data["x"], verbose=0), data["y"], rtol=1e-5)
    assert int(model.optimizer.iterations) == 3
    model.save_weights(tmp_path / "sharded.weights.json", max_shard_size=112 / GB)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted(path.name for path in RECORDED.iterdir() if path.suffix != ".npz")
    ours, theirs = (json.loads((folder / "sharded.weights.json").read_text()) for folder in (tmp_path, RECORDED))
    assert ours["metadata"].pop("save")  # what tells the parts of one save
    assert ours == theirs


@pytest.mark.parametrize("limit", [128, 200, 4096])
def test_round_trip_with_the_optimizer(limit, tmp_path):
    x = torch.randn(4, 5, 3)
    model, other = recurrent(), recurrent()
    model.fit(x, torch.ones(4, 5, 4), verbose=0)
    keras.saving.save_weights(model, tmp_path / "new" / "m.weights.json", max_shard_size=limit / GB)
    keras.saving.load_weights(other, tmp_path / "new" / "m.weights.json")
    assert equal(state(model), state(other))
    for shard in (tmp_path / "new").glob("*.h5"):
        sizes = []
        with h5py.File(shard) as file:
            file.visititems(lambda _, item, s=sizes: s.append(item.nbytes) if hasattr(item, "nbytes") else None)
        assert 0 < sum(sizes) <= limit


def test_half_precision_and_what_is_left_out(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="bfloat16"), layers.Dense(2, name="last")])
    keras.saving.save_weights(model, tmp_path / "m.weights.json", max_shard_size=1, objects_to_skip=[model.layers[-1]])
    other = keras.models.clone_model(model)
    before = other.layers[-1].kernel.detach().clone()
    with pytest.raises(ValueError, match="layers/dense_1"):
        other.load_weights(tmp_path / "m.weights.json")
    other.load_weights(tmp_path / "m.weights.json", objects_to_skip=[other.layers[-1]])
    assert torch.equal(other.layers[0].kernel, model.layers[0].kernel)
    assert torch.equal(other.layers[-1].kernel, before)
    with pytest.raises(TypeError, match="objects_to_skip"):
        other.load_weights(tmp_path / "m.weights.json", objects_to_skip=other.layers[-1])


def test_names_and_sizes(tmp_path):
    model = small()
    with pytest.raises(ValueError, match=r"weight 0 of layers/dense has 96 bytes.*max_shard_size=96 / 2"):
        model.save_weights(tmp_path / "m.weights.json", max_shard_size=95 / GB)
    for size in (0, -1, float("nan"), True, "1GB"):
        with pytest.raises(ValueError, match="max_shard_size"):
            model.save_weights(tmp_path / "m.weights.json", max_shard_size=size)
    for name, size in (("m.weights.json", None), ("m.json", 1), ("m.safetensors", 1)):
        with pytest.raises(ValueError, match="must end in"):
            model.save_weights(tmp_path / name, max_shard_size=size)
    with pytest.raises(ValueError, match="must end in"):
        model.load_weights(Path(__file__))
    assert not list(tmp_path.iterdir())
    with pytest.warns(UserWarning, match=r"m\.weights\.json is written"):
        model.save_weights(tmp_path / "m.weights.h5", max_shard_size=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.weights.json", "m_00000.weights.h5"]
    with pytest.raises(FileExistsError):
        model.save_weights(tmp_path / "m.weights.json", overwrite=False, max_shard_size=1)


def test_a_failing_save_leaves_all_files_as_they_were(tmp_path, monkeypatch):
    from lamina.files import shards

    model = small()
    model.save_weights(tmp_path / "m.weights.json", max_shard_size=112 / GB)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(shards._Shards, "description", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.save_weights(tmp_path / "m.weights.json", max_shard_size=112 / GB)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_parts_of_two_saves_do_not_go_together(tmp_path):
    first, second, model = tmp_path / "first", tmp_path / "second", small()
    for folder in (first, second):  # the largest weight has just that size
        model.save_weights(folder / "m.weights.json", max_shard_size=96 / GB)
    sizes = []
    for shard in first.glob("*.h5"):
        with h5py.File(shard) as file:
            arrays = []
            file.visititems(lambda _, item, found=arrays: found.append(getattr(item, "nbytes", 0)) and None)
            sizes.append(sum(arrays))
    assert max(sizes) == 96 and len(sizes) == len(list(second.glob("*.h5")))
    other = small()
    other.load_weights(second / "m.weights.json")
    before = state(other)
    shutil.copy(first / "m_00001.weights.h5", second)
    with pytest.raises(ValueError, match=r"m_00001.*are of two saves"):
        other.load_weights(second / "m.weights.json")
    assert equal(state(other), before)


class Counted(layers.Layer):
    """Stores arrays that are no tensors."""

    total = np.zeros(8, "f4")

    def call(self, x):
        return x

    def save_own_variables(self, store):
        store["total"] = self.total
        store["steps"] = np.int64(3)

    def load_own_variables(self, store):
        self.total, self.steps = np.array(store["total"]), int(store["steps"][()])


def test_arrays_that_a_layer_stores_by_itself_count_in_the_sizes(tmp_path):
    model, other = (keras.Sequential([keras.Input((4,)), Counted(), layers.Dense(2)]) for _ in range(2))
    model.layers[0].total = np.arange(8, dtype="f4")
    model.save_weights(tmp_path / "m.weights.json", max_shard_size=36 / GB)
    assert len(list(tmp_path.glob("*.h5"))) == 4  # of 32, 8, 32 and 8 bytes
    other.load_weights(tmp_path / "m.weights.json")
    assert np.array_equal(other.layers[0].total, np.arange(8)) and other.layers[0].steps == 3


DENSE = "/layers/dense/vars"


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: [], "no `weight_map`"),
        (lambda d: {**d, "weight_map": ["sharded_00000.weights.h5"]}, "no `weight_map`"),
        (lambda d: {"weight_map": {**d["weight_map"], DENSE: 3}}, "has 3 for"),
        (lambda d: {"weight_map": {**d["weight_map"], DENSE: [["a"]]}}, "expected the name"),
        (lambda d: {"weight_map": {**d["weight_map"], DENSE: "../sharded_00000.weights.h5"}}, "no name for a file"),
        (lambda d: {"weight_map": {**d["weight_map"], DENSE: "/etc/passwd"}}, "no name for a file"),
        (lambda d: {"weight_map": {**d["weight_map"], DENSE: "a/b"}}, "expected the name"),
        (lambda d: {"weight_map": {**d["weight_map"], DENSE: ""}}, "expected the name"),
        (lambda d: {"weight_map": {**d["weight_map"], DENSE: "sharded.npz"}}, "sharded.npz"),
        (lambda d: {"weight_map": {**d["weight_map"], "/layers/other/vars": "sharded_00000.weights.h5"}}, "not hold"),
        (lambda d: {"weight_map": {"/optimizer/vars": "sharded_00002.weights.h5"}}, "expected 2 arrays"),
        (lambda d: {"weight_map": {f"/{i}": f"{i}.weights.h5" for i in range(1001)}}, "more than 1000"),
    ],
)
def test_hostile_descriptions_change_nothing(change, message, tmp_path):
    folder = shutil.copytree(RECORDED, tmp_path / "m")
    path = folder / "sharded.weights.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    model = small()
    model.optimizer.build(model.trainable_weights)
    before = state(model)
    with pytest.raises(ValueError, match=message):
        model.load_weights(path)
    assert equal(state(model), before)


def test_missing_and_damaged_files_change_nothing(tmp_path):
    folder = shutil.copytree(RECORDED, tmp_path / "m")
    path, shard = folder / "sharded.weights.json", folder / "sharded_00002.weights.h5"
    model = small()
    before = state(model)
    whole = shard.read_bytes()
    for content in (None, b"", whole[:3000]):
        shard.unlink() if content is None else shard.write_bytes(content)
        with pytest.raises((ValueError, FileNotFoundError), match="sharded_00002"):
            model.load_weights(path)
    shard.write_bytes(whole)
    with h5py.File(shard, "a") as file:
        file["layers/dense/vars/1"] = np.zeros(6, "f4")
    with pytest.raises(ValueError, match="stands in two files"):
        model.load_weights(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="no valid JSON"):
        model.load_weights(path)
    assert equal(state(model)[: len(before)], before)


# The editor ------------------------------------------------------------------------------------------------------


def wider():
    return keras.Sequential([keras.Input((2,)), *(layers.Dense(3) for _ in range(3))])


def test_a_file_is_changed_to_fit_another_model(tmp_path, capsys):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(3, name="mine"), layers.Dense(3)])
    model.save(tmp_path / "m.keras")
    editor = KerasFileEditor(tmp_path / "m.keras")
    assert editor.metadata["keras_version"] and editor.config["class_name"] == "Sequential"
    assert editor.compare(model) == {"status": "success", "error_count": 0, "match_count": 4}
    target = wider()
    assert editor.compare(target) == {"status": "error", "error_count": 1, "match_count": 4}
    editor.add_object("layers/dense_3", {"0": np.ones((3, 3))})
    assert editor.compare(target)["error_count"] == 2
    editor.rename_object("dense_3", "dense_4")
    editor.rename_object("layers/dense_4", "dense_2")
    assert editor.compare(target)["error_count"] == 1
    editor.add_weights("dense_2", {"1": np.zeros(7, "f4")})
    assert "shape (7,) in the file, (3,) in the model" in (editor.compare(target), capsys.readouterr().out)[1]
    editor.delete_weight("dense_2", "1")
    editor.add_weights("dense_2", {"1": np.zeros(3, "f4")})
    assert editor.compare(target)["status"] == "success"
    editor.summary()
    assert "('mine')" in capsys.readouterr().out
    editor.resave_weights(tmp_path / "n.weights.h5")
    target.load_weights(tmp_path / "n.weights.h5")
    assert torch.equal(target.layers[0].kernel, model.layers[0].kernel)
    assert torch.equal(target.layers[2].kernel, torch.ones(3, 3))
    editor.delete_object("dense")
    assert list(editor.weights_dict["layers"]) == ["dense_1", "dense_2"]


@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".weights.json"])
def test_inner_layers_half_precision_and_state_survive(ending, tmp_path):
    model = recurrent()
    model.fit(torch.randn(4, 5, 3), torch.ones(4, 5, 4), verbose=0)
    model.layers[1].backward_layer.cell.to(torch.bfloat16)
    options = {"max_shard_size": 128 / GB} if ending == ".weights.json" else {}
    (model.save if ending == ".keras" else model.save_weights)(tmp_path / f"m{ending}", **options)
    editor = KerasFileEditor(str(tmp_path / f"m{ending}"))
    assert editor.compare(model)["status"] == "success"
    editor.save(tmp_path / "n.weights.h5")
    other = recurrent()
    other.layers[1].backward_layer.cell.to(torch.bfloat16)
    other.load_weights(tmp_path / "n.weights.h5")
    assert equal(model.weights, other.weights)
    assert int(other.optimizer.iterations) == 1


def test_names_that_are_unclear_missing_or_taken(tmp_path):
    small().save_weights(tmp_path / "m.weights.h5")
    editor = KerasFileEditor(tmp_path / "m.weights.h5")
    before = keras.tree.map_structure(lambda array: array, editor.weights_dict)
    given = {"0": np.ones(2)}
    for call, message in [
        (lambda: editor.delete_object("0"), "more than once"),
        (lambda: editor.delete_object("layers/nothing"), "not in the file"),
        (lambda: editor.delete_object("nothing"), "not in the file"),
        (lambda: editor.rename_object("dense", "layers/other"), "plain name"),
        (lambda: editor.rename_object("layers/dense", "dense_1"), "delete that first"),
        (lambda: editor.add_object("nothing/dense", given), "no object 'nothing'"),
        (lambda: editor.add_object("layers/dense/0/x", given), "no object"),
        (lambda: editor.add_object("layers/new", [1]), "dictionary"),
        (lambda: editor.add_object("layers/new", {"0": "text"}), "array of numbers"),
        (lambda: editor.add_weights("layers/dense", {"0": np.ones(2), "1": object()}), "array of numbers"),
        (lambda: editor.add_weights("layers/dense/0", given), "is a weight"),
        (lambda: editor.delete_weight("dense", "7"), "no weight '7'"),
        (lambda: editor.save(tmp_path / "m.keras"), "must end in"),
        (lambda: KerasFileEditor(tmp_path / "m.h5"), "must end in"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    assert keras.tree.map_structure(lambda array: array, editor.weights_dict) == before
    editor.add_object("layers/new", given)
    given["0"][:] = 7
    assert editor.weights_dict["layers"]["new"]["0"].tolist() == [1, 1]
    with pytest.raises(FileNotFoundError):
        KerasFileEditor(tmp_path / "nothing.keras")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda file: file.__setitem__("layers/x", h5py.SoftLink("/layers/dense")), "link"),
        (lambda file: file.__setitem__("layers/x", h5py.ExternalLink("other.h5", "/")), "link"),
        (lambda file: file.__setitem__("layers/x", file["layers"]), "several places"),
        (lambda file: file.__setitem__("layers/dense/vars/9", np.array(b"text")), "instead of numbers"),
        (lambda file: file.create_dataset("layers/dense/vars/9", (10**9,), "f4"), "declares"),
        (lambda file: file.__setitem__("layers/dense/0/vars/0", np.ones(2)), "damaged"),
    ],
)
def test_hostile_files_are_refused(change, message, tmp_path):
    small().save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        change(file)
    with pytest.raises(ValueError, match=message):
        KerasFileEditor(tmp_path / "m.weights.h5")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int8])
@pytest.mark.parametrize("shape", [(), (5,), (3, 256), (256, 3), (2, 128, 3, 128), (1, 2, 3, 4, 512)])
def test_pieces_are_the_array_however_it_lies(shape, dtype, monkeypatch):
    monkeypatch.setattr(stored, "PIECE", 4096)
    values = torch.arange(int(np.prod(shape)), dtype=torch.float64).reshape(shape).to(dtype)
    for order in itertools.islice(itertools.permutations(range(len(shape))), 0, None, 5):
        lying = values.permute(order).contiguous().permute(*np.argsort(order).tolist()) if shape else values
        seen = lying.view(torch.int16) if dtype is torch.bfloat16 else lying
        joined = np.zeros(shape, str(seen.dtype).removeprefix("torch."))
        for place, piece in stored.shown_in_pieces(lying):
            assert piece.nbytes <= 4096 or not place
            joined[place] = piece
        np.testing.assert_array_equal(joined, seen)
        target = torch.zeros_like(lying.float() if dtype is torch.bfloat16 else lying)
        stored.Given("x", target.numpy() + seen.numpy()).into(target)
        np.testing.assert_array_equal(target, seen)
        np.testing.assert_array_equal(stored._apart(seen.numpy()), seen)


@pytest.mark.parametrize("whole", [True, False])
def test_weights_by_layers_are_not_shown_as_none(whole, tmp_path):
    save = keras.Model.save if whole else functools.partial(files.save_weights, by_layers=True)
    save(small(), tmp_path / "m.h5")
    (tmp_path / "m.h5").rename(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match="weights by layers, as older Keras wrote them"):
        KerasFileEditor(tmp_path / "m.weights.h5")


def test_names_in_a_file_reach_no_terminal_as_they_are(tmp_path, capsys):
    small().save_weights(tmp_path / "m.weights.h5")
    editor = KerasFileEditor(tmp_path / "m.weights.h5")
    editor.add_object("layers/[bold]\x1b[31mred", {"0": np.ones(2)})
    editor.summary()
    editor.compare(small())
    out = capsys.readouterr().out
    assert "\x1b[31m" not in out and r"\x1b[31mred" in out and "[bold]" in out


def test_weights_of_low_rank_lie_beside_those_that_they_adapt():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="adapted")], name="model")
    model.layers[0].enable_lora(2)
    names = ["kernel", "bias", "lora_kernel_a", "lora_kernel_b"]
    assert [weight.path for weight in model.weights] == [f"model/adapted/{name}" for name in names]
