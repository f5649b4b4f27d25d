"""Keras' distribution API, weights that processes share out, their checkpoints, and the arithmetic of many GPUs."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support import sharded, together
from test_distributed import Together, close, environment

import lamina as keras
from lamina import cli, distribution
from lamina.core.sharded import Sharded
from lamina.distribution import DataParallel, DeviceMesh, LayoutMap, ModelParallel, TensorLayout
from lamina.pictures import scale
from lamina.training.data import make_source
from lamina.training.distributed import Part

FAST = [
    "model mlp", "grid transformer", "fully mlp", "fully transformer", "model stepped", "fully written_and_read",
    "fully checkpointed",
]  # fmt: skip
LOOSER = {"low_precision": 2e-3, "stepped": 5e-5}  # absolute differences


def alone(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What one process gives."""
    monkeypatch.setattr(together, "SCENARIOS", sharded.SCENARIOS)
    monkeypatch.setenv("TOGETHER", str(folder))
    found = together.run(name)
    assert isinstance(found, dict), found
    return found


def begun(folder: Path) -> Path:
    """A folder with a checkpoint that one process wrote."""
    model, x = sharded.transformer()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, sharded.CLASSES, batch_size=8, shuffle=False, verbose=0)
    model.save_weights(folder / "begin.dcp")
    return folder


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((2, FAST), id="2"),
        pytest.param(
            (2, [name for name in sharded.SCENARIOS if name not in FAST]), id="2-more", marks=pytest.mark.slow
        ),
        pytest.param((4, [*sharded.SCENARIOS]), id="4", marks=pytest.mark.slow),
    ],
)
def processes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    count, names = request.param
    made = Together(count, begun(tmp_path_factory.mktemp("sharded")), "sharded", names)
    made.names = names
    yield made


def test_weights_that_are_shared_out_train_as_whole_ones(
    processes: Together, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(processes.folder / "begin.dcp", tmp_path / "begin.dcp")
    for name in processes.names:
        expected = alone(name, tmp_path, monkeypatch)
        atol = LOOSER.get(name.split()[1], 1e-6)
        for found in processes.of(name):
            assert found.keys() == expected.keys()
            for key, value in expected.items():
                try:
                    close(found[key], value, atol=atol)
                except AssertionError as error:
                    raise AssertionError(f"{name}, {key}: {error}") from None


def test_files_of_shared_out_weights_are_read_by_one_process(
    processes: Together, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in processes.names:
        if not name.endswith(" checkpointed"):
            continue
        way = name.split()[0]
        shutil.copytree(processes.folder / "begin.dcp", tmp_path / way / "begin.dcp")
        expected = alone(name, tmp_path / way, monkeypatch)
        files = {suffix: processes.folder / f"{way}{processes.count}{suffix}" for suffix in SUFFIXES}
        for suffix, file in files.items():
            if suffix in (".keras", ".h5"):
                model = keras.models.load_model(file)
            else:
                model = sharded.transformer()[0]
                model.compile("adam", "sparse_categorical_crossentropy")
                model.load_weights(file)
            if suffix != ".safetensors":  # which holds no optimizer
                model.fit(sharded.STEPS, sharded.CLASSES, batch_size=8, shuffle=False, verbose=0)
                found = [weight for key, weight in expected.items() if key.startswith("weight ")]
                for weight, value in zip(model.get_weights(), found, strict=True):
                    close(weight, value)
        parts = [f"__{place}_0.distcp" for place in range(processes.count)]
        assert names_in(files[".dcp"]) == [".metadata", *parts]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


SUFFIXES = (".dcp", ".weights.h5", ".safetensors", ".keras", ".h5")


@pytest.mark.slow
def test_training_goes_on_in_another_number_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = begun(tmp_path)
    expected = sharded.transformer()[0]
    expected.compile("adam", "sparse_categorical_crossentropy")
    expected.load_weights(before / "begin.dcp")
    for count, way in ((2, "fully"), (4, "grid"), (1, "")):
        how = {"batch_size": 8, "shuffle": False, "verbose": 0}
        if count == 1:
            found = sharded.transformer()[0]
            found.compile("adam", "sparse_categorical_crossentropy")
            found.load_weights(before / "begin.dcp")
            for weight, other in zip(found.weights, expected.weights, strict=True):
                close(weight.numpy(), other.numpy())
            return
        expected.fit(sharded.STEPS, sharded.CLASSES, **how)
        Together(count, before, "sharded", [f"{way} checkpointed"]).of(f"{way} checkpointed")
        following = tmp_path / str(count)
        (before / f"{way}{count}.dcp").rename(following.with_suffix(".dcp"))
        following.mkdir()
        following.with_suffix(".dcp").rename(following / "begin.dcp")
        before = following


# Checkpoints ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def model() -> Any:
    made = sharded.mlp()[0]
    made.compile("adam", "mse")
    return made


def test_checkpoint_holds_weights_and_state_or_weights_alone(model: Any, tmp_path: Path) -> None:
    model.fit(sharded.X, np.zeros((21, 4)), verbose=0)
    model.save_weights(tmp_path / "a.dcp")
    model.save_weights(tmp_path / "a.dcp")  # takes the place of the first
    assert names_in(tmp_path) == ["a.dcp"]
    with pytest.raises(FileExistsError):
        model.save_weights(tmp_path / "a.dcp", overwrite=False)
    other = sharded.mlp()[0]
    other.load_weights(tmp_path / "a.dcp")  # not compiled: the state stays where it is
    close(np.concatenate([each.ravel() for each in other.get_weights()]), sum_of(model))
    other.save_weights(tmp_path / "b.dcp")
    state = [each.numpy() for each in model.optimizer.variables]
    model.load_weights(tmp_path / "b.dcp")
    assert all(map(np.array_equal, state, [each.numpy() for each in model.optimizer.variables]))


def sum_of(model: Any) -> Any:
    return np.concatenate([each.ravel() for each in model.get_weights()])


def test_checkpoint_that_does_not_fit_changes_nothing(model: Any, tmp_path: Path) -> None:
    model.save_weights(tmp_path / "a.dcp")
    other = keras.Sequential([keras.Input((8,)), keras.layers.Dense(12), keras.layers.Dense(3)])
    before = sum_of(other)
    with pytest.raises(ValueError, match=r"do not fit the model.*of shape \(12, 3\) here and \(12, 8\) there"):
        other.load_weights(tmp_path / "a.dcp")
    assert np.array_equal(before, sum_of(other))
    with pytest.warns(UserWarning, match="left as they are"):
        other.load_weights(tmp_path / "a.dcp", skip_mismatch=True)
    assert np.array_equal(other.get_weights()[0], model.get_weights()[0])
    assert np.array_equal(other.get_weights()[2], before[-39:-3].reshape(12, 3))
    for wrong, match in (({"by_name": True}, "older .h5"), ({"objects_to_skip": model.layers}, "not for .dcp")):
        with pytest.raises(ValueError, match=match):
            model.load_weights(tmp_path / "a.dcp", **wrong)
    with pytest.raises(FileNotFoundError):
        model.load_weights(tmp_path / "none.dcp")


class Runs:
    def __reduce__(self) -> Any:
        return os.mkdir, ("it ran",)


def test_index_of_a_checkpoint_runs_no_code(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model.save_weights("a.dcp")
    before = sum_of(model)
    index = tmp_path / "a.dcp" / ".metadata"
    sound = index.read_bytes()
    found = pickle.loads(sound)
    outside = pickle.loads(sound)
    for info in outside.storage_data.values():
        info.relative_path = "../elsewhere"
    nothing = pickle.loads(sound)
    nothing.state_dict_metadata = None
    found.planner_data = Runs()
    hostile = [*map(pickle.dumps, (found, Runs(), outside, nothing, 3)), sound[:-40], b"", b"no pickle"]
    for content in hostile:
        index.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.dcp"):
            model.load_weights("a.dcp")
    index.write_bytes(sound)
    part = tmp_path / "a.dcp" / "__0_0.distcp"
    whole = part.read_bytes()
    for size in (100, len(whole) // 2, len(whole) - 100):  # what comes before could be read
        part.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="cannot be read"):
            model.load_weights("a.dcp")
    assert not (tmp_path / "it ran").exists()
    assert np.array_equal(before, sum_of(model))


# The API in one process ----------------------------------------------------------------------------------------------


def test_devices_and_meshes() -> None:
    assert distribution.list_devices("cpu") == ["cpu:0"]
    assert distribution.get_device_count("CPU") == 1
    assert all(name.split(":")[0] in ("cpu", "gpu") for name in distribution.list_devices())
    mesh = DeviceMesh((2, 3), ["batch", "model"], [f"cpu:{i}" for i in range(6)])
    assert mesh.devices.shape == (2, 3)
    assert repr(mesh) == "<DeviceMesh shape=(2, 3), axis_names=['batch', 'model']>"
    with pytest.raises(ValueError, match="there are 1 processes"):
        mesh.backend_mesh  # noqa: B018
    for wrong, match in (
        (((), []), "cannot be empty"),
        (((2,), ["a", "b"]), "same size"),
        (((2, 2), ["a", "b"], ["cpu:0"]), "torchrun --nproc-per-node 4"),
    ):
        with pytest.raises(ValueError, match=match):
            DeviceMesh(*wrong)
    with pytest.raises(ValueError, match="tpu"):
        distribution.list_devices("tpu")


def test_layouts() -> None:
    mesh = DeviceMesh((2, 2), ["batch", "model"], [f"cpu:{i}" for i in range(4)])
    mapped = LayoutMap(mesh)
    mapped[".*dense.*kernel"] = (None, "model")
    mapped["exactly/this"] = TensorLayout(["model", None])
    assert mapped["model/dense_1/kernel"].axes == (None, "model")
    assert mapped["exactly/this"].device_mesh is mesh
    assert mapped["another"] is None
    assert len(mapped) == 2
    mapped["model/.*"] = ("batch",)
    for act, match in (
        (lambda: mapped["model/dense_1/kernel"], "matches multiple"),
        (lambda: mapped.update({"exactly/this": (None,)}), "already exists"),
        (lambda: mapped.update({"x": ["model"]}), "TensorLayout or a tuple"),
        (lambda: mapped.update({"x": ("rows",)}), "invalid axis names"),
        (lambda: TensorLayout(("model", "model")), "used once"),
        (lambda: setattr(mapped["exactly/this"], "device_mesh", mesh), "cannot override"),
        (lambda: TensorLayout((None,)).backend_layout, "needs a device mesh"),
        (lambda: distribution.distribute_tensor(torch.ones(2, 2), TensorLayout((None,))), "1 axes, the tensor 2"),
    ):
        with pytest.raises(ValueError, match=match):
            act()
    del mapped["model/.*"]
    assert [*mapped] == [".*dense.*kernel", "exactly/this"]
    assert distribution.distribute_tensor(symbol := keras.Input((3,)), mapped["exactly/this"]) is symbol


def test_distributions() -> None:
    mesh = DeviceMesh((2, 3), ["rows", "model"], [f"cpu:{i}" for i in range(6)])
    mapped = LayoutMap(mesh)
    mapped["dense/kernel"] = ("model", None)
    parallel = ModelParallel(layout_map=mapped)
    assert (parallel.batch_dim_name, parallel.num_model_replicas, parallel.data_shard_id) == ("rows", 2, 0)
    assert parallel.get_data_layout((None, 4)).axes == ("rows", None)
    weight = keras.Variable(torch.zeros(3, 4), path="dense/kernel")
    assert parallel.get_variable_layout(weight).axes == ("model", None)
    assert parallel.get_tensor_layout("dense/kernel").axes == ("model", None)
    with pytest.warns(UserWarning, match="one axis"):
        both = DataParallel(mesh)
    assert (both.num_model_replicas, both.get_variable_layout(weight).axes) == (6, (None, None))
    assert both.distribute_dataset(weight) is weight
    assert both.get_tensor_layout("x") is None
    with pytest.raises(ValueError, match="has shape"):
        parallel.place(keras.Variable(torch.zeros(3), path="dense/kernel"))
    for act, match in (
        (lambda: ModelParallel(layout_map=None), "must be a LayoutMap"),
        (lambda: ModelParallel(layout_map=mapped, batch_dim_name="columns"), "must be one of"),
        (lambda: DataParallel(3), "must be a DeviceMesh"),
        (lambda: DataParallel(mesh, ["cpu:0"]), "not both"),
        (lambda: distribution.set_distribution(3), "expected a DataParallel"),
        (lambda: distribution.set_distribution(parallel), "there are 1 processes"),
        (lambda: distribution.fully_shard(keras.Sequential([keras.layers.Dense(2)])), "no weights yet"),
    ):
        with pytest.raises(ValueError, match=match):
            act()
    assert distribution.distribution() is None
    with pytest.raises(TypeError, match="unexpected"):
        ModelParallel(layout_map=mapped, rows=3)


def test_one_device_is_no_distribution() -> None:
    parallel = DataParallel(devices=["cpu:0"])
    mapped = LayoutMap(DeviceMesh((1,), ["model"], ["cpu:0"]))
    mapped[".*"] = ("model", None)
    for each in (parallel, ModelParallel(layout_map=mapped)):
        with each.scope():
            assert distribution.distribution() is each
            model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
            model.compile("sgd", "mse")
            model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
        assert not any(isinstance(weight, Sharded) for weight in model.weights)
    assert distribution.distribution() is None


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"num_processes": 2, "process_id": 0}, "expected `job_addresses`"),
        ({"job_addresses": "host:1,host:2", "num_processes": 3, "process_id": 0}, "give one for each"),
        ({"job_addresses": "host:1", "num_processes": 2, "process_id": 2}, "must be below"),
        ({"job_addresses": "host", "num_processes": 2, "process_id": 0}, "expected `job_addresses`"),
    ],
)
def test_initialize_says_what_is_missing(said: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        distribution.initialize(**said)
    assert not torch.distributed.is_initialized()


def test_training_in_one_process_loads_nothing_of_this() -> None:
    program = """
import sys
import numpy as np
import lamina as keras
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
model.compile("adam", "mse")
model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
print([name for name in ("torch.distributed.tensor", "torch.distributed.checkpoint") if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment())
    assert found.stdout == "[]\n", found.stderr


# The arithmetic ------------------------------------------------------------------------------------------------------


def dense() -> Any:
    model = keras.Sequential([keras.Input((100,)), keras.layers.Dense(200, use_bias=False)])
    model.compile("adam", "mse")
    return model


def test_counts_of_many_gpus_are_those_of_the_formulas() -> None:
    of = scale.counts(dense())
    size = 4 * 100 * 200
    assert of == scale.Counts(size, 2 * size + 8, size, 20_000, 800, 1, size, 400, 800, 20_000)
    assert scale.counts(dense(), states=0.5).state == size / 2
    on = scale.Cluster(node=4, inside=1e9, between=1e8, flops=1e9, latency=0)
    found = {(line.gpus, line.way): line for line in scale.lines(of, (4, 8), 10, on)}
    whole = found[8, "data parallel"]
    assert whole.sent == pytest.approx(2 * 7 / 8 * size)
    assert whole.sending == pytest.approx(whole.sent / 1e8)
    assert whole.computing == pytest.approx(10 * 6 * 20_000 / 1e9)
    assert whole.memory == 3 * size + of.state + 10 * 800
    assert whole.batch == int(np.ceil(whole.sending / (6 * 20_000 / 1e9)))
    fully = found[8, "fully sharded"]
    assert fully.sent == pytest.approx(3 * 7 / 8 * size)
    assert fully.memory == pytest.approx((2 * size + of.state) / 8 + 3 * size + 8000)
    tensor = found[4, "tensor parallel"]  # one team of four: all that is sent is what goes in and comes out
    assert tensor.sent == pytest.approx(4 * 10 * 3 / 4 * (800 + 2 * 400))
    assert tensor.computing == pytest.approx(10 * 6 * 20_000 / 1e9)
    assert found[4, "data parallel"].sending == pytest.approx(2 * 3 / 4 * size / 1e9)  # all in one machine


def test_scale_tells_what_a_file_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dense().save(tmp_path / "a.keras")
    assert (
        cli.main(["scale", str(tmp_path / "a.keras"), "--gpus", "1,64", "--batch", "4", "--bandwidth", "400,20"]) == 0
    )
    told = capsys.readouterr().out
    assert "20,000 multiply-adds a sample; 4 samples on each GPU" in told
    assert len(told.splitlines()) == 3 + 2 * len(scale.WAYS)
    assert cli.main(["scale", str(tmp_path / "none.keras")]) == 1
    with pytest.raises(ValueError, match="not known"):
        scale.counts(keras.Sequential([keras.Input((None, 3)), keras.layers.Dense(2)]))
    with pytest.raises(ValueError, match="no weights yet"):
        scale.counts(keras.Sequential([keras.layers.Dense(2)]))


def test_after_a_backup_batches_of_ones_own_are_parts() -> None:
    source = make_source(np.arange(6.0).reshape(6, 1), batch_size=2)
    ranks: Any = SimpleNamespace(part=lambda batch: Part.of(batch, 2, 4))
    left = [*distribution._Own(source, ranks).batches_after(1)]
    assert [(part.rows, part.whole, part[0].flatten().tolist()) for part in left] == [(2, 4, [2, 3]), (2, 4, [4, 5])]
