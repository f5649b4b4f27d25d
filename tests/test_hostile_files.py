"""The work and the memory that a file may ask for are bounded by its size."""

from __future__ import annotations

import copy
import io
import json
import mmap
import os
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from support.examples import EXAMPLES
from torch.utils import _pytree as pytree

import lamina as keras
from lamina import layers
from lamina.files import safe

HUGE = 10**9
PAGE = mmap.PAGESIZE


def _model():
    return keras.Sequential([keras.Input((4,), name="i"), layers.Dense(2)])


def _rewritten(source: Path, target: Path, config: object, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(source) as good, zipfile.ZipFile(target, "w", method) as made:
        for name in good.namelist():
            made.writestr(name, json.dumps(config) if name == "config.json" else good.read(name))
    return target


def _config(path: Path) -> dict:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def _integers(node, place=()):
    if isinstance(node, int) and not isinstance(node, bool):
        yield place
    elif isinstance(node, (dict, list)):
        for key, item in node.items() if isinstance(node, dict) else enumerate(node):
            if key != "inbound_nodes":
                yield from _integers(item, (*place, key))


def _put(config, place, value):
    config = node = copy.deepcopy(config)
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    return config


def _saved(example, folder):
    """The example in a file; None where it has no config."""
    symbols = example.symbols()
    flat = pytree.tree_leaves(symbols)
    try:
        keras.Model(flat if len(flat) > 1 else flat[0], example.make()(*symbols)).save(folder / "m.keras")
    except (TypeError, ValueError):
        return None
    return folder / "m.keras"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_first_size_of_every_layer_may_be_huge(tmp_path):
    seen = set()
    for example in EXAMPLES:
        path = _saved(example, tmp_path) if example.cls not in seen else None
        if path is None:
            continue
        seen.add(example.cls)
        config = _config(path)
        places = [
            place for place in _integers(config) if place[-2:] != ("batch_shape", 1) and "InputLayer" not in place
        ]
        for place in places[-2:]:
            _rewritten(path, tmp_path / "x.keras", _put(config, place, HUGE))
            try:
                keras.models.load_model(tmp_path / "x.keras")
            except ValueError as error:
                assert "memory" not in str(error), (example.id, place)  # it was not the system that refused
    assert len(seen) > 60


def _bounded(path):
    """Loads in a process that may take 1 GB and 5 seconds more; what came of it, or None where it was killed."""
    import resource

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + (1 << 30),) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (int(sum(os.times()[:2])) + 5, int(sum(os.times()[:2])) + 6))
        try:
            keras.models.load_model(path)
            text = "loaded"
        except ValueError as error:
            text = f"refused {error}"
        except BaseException as error:
            text = f"raised {type(error).__name__} {error}"
        os.write(writer, text.encode()[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read().decode(errors="replace")
    os.waitpid(child, 0)
    return text or None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process are Linux'")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("value", [30_000, 10**6, HUGE])
def test_every_integer_of_every_layer_may_be_huge(value, tmp_path):
    for example in EXAMPLES:
        path = _saved(example, tmp_path)
        config = _config(path) if path is not None else {}
        for place in _integers(config):
            _rewritten(path, tmp_path / "x.keras", _put(config, place, value))
            text = _bounded(tmp_path / "x.keras")
            assert text is not None and not text.startswith("raised"), (example.id, place, text)
            assert "memory" not in text and "alloc" not in text, (example.id, place, text)


def test_metrics_cannot_ask_for_huge_states(tmp_path):
    model = _model()
    model.compile("sgd", "mse")
    model.save(tmp_path / "m.keras")
    config = _config(tmp_path / "m.keras")
    for name, arguments in {
        "AUC": {"num_thresholds": HUGE},
        "PrecisionAtRecall": {"recall": 0.5, "num_thresholds": HUGE},
        "MeanIoU": {"num_classes": HUGE},
        "OneHotMeanIoU": {"num_classes": 10**5},
    }.items():
        metric = {"module": "keras.metrics", "class_name": name, "config": arguments, "registered_name": None}
        config["compile_config"]["metrics"] = [metric]
        _rewritten(tmp_path / "m.keras", tmp_path / "x.keras", config)
        with pytest.raises(ValueError, match=r"at most|larger than a file may ask for"):
            keras.models.load_model(tmp_path / "x.keras")
    keras.metrics.MeanIoU(num_classes=4100)  # who writes it may have it


def _sequential(entries):
    return {"class_name": "Sequential", "config": {"layers": entries}}


DROPOUT = {"class_name": "Dropout", "config": {"rate": 0}}


@pytest.mark.parametrize(
    "config, message",
    [
        (_sequential([DROPOUT] * 60_000), "describes 240003 values, which is out of proportion"),
        ({"class_name": "Dense", "config": [[]] * 300_000}, "out of proportion"),
        ({"class_name": "Dense", "config": {"name": "x" * (1 << 24)}}, "declares .* bytes of text but stores"),
    ],
)
def test_configs_are_in_proportion_to_the_file(config, message, tmp_path):
    _model().save(tmp_path / "m.keras")
    path = _rewritten(tmp_path / "m.keras", tmp_path / "x.keras", config, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("assets/x", np.random.default_rng(0).bytes(200_000))
    with pytest.raises(ValueError, match=rf"x\.keras.*{message}"):
        keras.models.load_model(path)


def test_configs_in_hdf5_are_in_proportion_too(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w", track_order=True) as file:
        file.attrs["model_config"] = "[" + "[]," * 200_000 + "[]]"
        file.create_group("model_weights")
    with pytest.raises(ValueError, match=r"m\.h5.*'model_config' describes 400\d\d\d values"):
        keras.models.load_model(tmp_path / "m.h5")


@pytest.mark.parametrize("text, message", [("{", "no valid JSON"), ("[" * 15_000, "nested too deeply")])
def test_what_is_no_json_is_called_so(text, message, tmp_path):
    _model().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as good, zipfile.ZipFile(tmp_path / "x.keras", "w") as made:
        made.writestr("config.json", text)
        made.writestr("model.weights.h5", good.read("model.weights.h5"))
    with pytest.raises(ValueError, match=rf"x\.keras.*'config.json'.* {message}"):
        keras.models.load_model(tmp_path / "x.keras")


def _calls(function):
    """How many Python functions were called."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "entry",
    [
        lambda index: DROPOUT,
        lambda index: {"class_name": "Dropout", "config": {"rate": 0, "name": f"a{index}"}},
        lambda index: {"class_name": "Dense", "config": {"units": 1 + index}},
    ],
    ids=["the same", "named", "unnamed"],
)
def test_layers_in_a_row_cost_the_same_each(entry):
    def cost(count):
        entries = [{"class_name": "InputLayer", "config": {"batch_shape": [None, 4]}}, *map(entry, range(count))]
        config = {"layers": entries}
        keras.Sequential.from_config(config)
        return _calls(lambda: keras.Sequential.from_config(config))

    assert cost(600) < 2.3 * cost(300)


# Packed arrays ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "gzip"},
        {"compression": "gzip", "shuffle": True, "chunks": (33, 77)},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"compression": 9, "chunks": (7, 200), "maxshape": (None, 200)},
    ],
)
def test_arrays_packed_by_gzip_are_read(options, tmp_path):
    values = np.random.default_rng(0).normal(size=(300, 200)).astype("f4")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("x", data=values, **options)
    with h5py.File(tmp_path / "m.h5") as file:
        assert np.array_equal(safe.array(file, "x").read(), values)


@pytest.mark.parametrize("options, name", [({"compression": "lzf"}, "lzf"), ({"scaleoffset": 3}, "scaleoffset")])
def test_arrays_packed_otherwise_are_refused(options, name, tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("x", data=np.ones((9, 9)), **options)
        with pytest.raises(ValueError, match=f"/x is packed by {name}.*h5repack"):
            safe.array(file, "x")


def test_a_chunk_that_unpacks_past_its_size_is_refused(tmp_path):
    packing = zlib.compressobj(9)
    packed = b"".join([packing.compress(bytes(1 << 20)) for _ in range(50)]) + packing.flush()
    with h5py.File(tmp_path / "m.h5", "w") as file:
        dataset = file.create_dataset("x", (30_000,), "f4", chunks=(30_000,), compression="gzip")
        dataset.id.write_direct_chunk((0,), packed)
        stored = safe.array(file, "x")
        with pytest.raises(ValueError, match="a chunk of 120000 bytes unpacks to more"):
            stored.read()


# Kinds of values -------------------------------------------------------------------------------------------------


KINDS = [np.complex64, np.complex128, np.bool_, np.int64, np.uint8]


def _cast(path, wanted, dtype):
    """Rewrites the arrays whose path holds `wanted`, in an HDF5 file or a .keras archive."""

    def change(file):
        found = []
        file.visititems(
            lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) and wanted in name else None
        )
        assert found
        for name in found:
            values = file[name][()].astype(dtype)
            del file[name]
            file[name] = values

    if path.suffix != ".keras":
        with h5py.File(path, "r+") as file:
            change(file)
        return
    with zipfile.ZipFile(path) as good:
        members = {name: good.read(name) for name in good.namelist()}
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        change(file)
    members["model.weights.h5"] = buffer.getvalue()
    with zipfile.ZipFile(path, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)


def _trained():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2), layers.BatchNormalization()])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_weights)
    return model


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("dtype", KINDS, ids=lambda dtype: dtype.__name__)
def test_weights_take_no_other_kind_of_values(dtype, suffix, tmp_path):
    model, path = _trained(), tmp_path / f"m{suffix}"
    (model.save_weights if suffix == ".weights.h5" else model.save)(path)
    _cast(path, "beta" if suffix == ".h5" else "batch_normalization/vars/1", dtype)
    before = [weight.detach().clone() for weight in model.weights]
    with torch.no_grad():
        for weight in model.weights:
            weight.add_(1)
    loads = [model.load_weights] + [keras.models.load_model] * (suffix != ".weights.h5")
    for load in loads:
        with pytest.raises(ValueError, match=rf"m{suffix}.*expected floating-point numbers for .*beta; the file has"):
            load(path)
    assert all(torch.equal(weight, old + 1) for weight, old in zip(model.weights, before, strict=True))


@pytest.mark.parametrize("dtype", [np.complex64, np.int32])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_optimizers_take_no_other_kind_of_values(suffix, dtype, tmp_path):
    _trained().save(tmp_path / f"m{suffix}")
    _cast(tmp_path / f"m{suffix}", "momentum" if suffix == ".h5" else "optimizer/vars/2", dtype)
    with pytest.raises(ValueError, match=rf"m{suffix}.*expected floating-point numbers for .*momentum"):
        keras.models.load_model(tmp_path / f"m{suffix}")


@pytest.mark.parametrize("dtype", ["f2", "f8"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_widths_and_integers_may_differ(suffix, dtype, tmp_path):
    model = _trained()
    model.save(tmp_path / f"m{suffix}")
    _cast(tmp_path / f"m{suffix}", "kernel" if suffix == ".h5" else "layers/dense/vars/0", dtype)
    _cast(tmp_path / f"m{suffix}", "iteration" if suffix == ".h5" else "optimizer/vars/0", "i8")
    loaded = keras.models.load_model(tmp_path / f"m{suffix}")
    assert loaded.layers[0].kernel.dtype == torch.float32
    assert torch.allclose(loaded.layers[0].kernel, model.layers[0].kernel, atol=1e-3)
    assert loaded.optimizer.iterations.dtype == torch.int32


@pytest.mark.parametrize("dtype", [torch.complex64, torch.bool, torch.uint32, torch.int64])
def test_safetensors_of_another_kind(dtype, tmp_path):
    from safetensors.torch import load_file, save_file

    model = _trained()
    model.save_weights(tmp_path / "m.safetensors")
    stored = load_file(tmp_path / "m.safetensors")
    name = next(name for name in stored if name.endswith("beta"))
    save_file({**stored, name: stored[name].to(dtype)}, tmp_path / "m.safetensors")
    before = [weight.detach().clone() for weight in model.weights]
    with pytest.raises(
        ValueError, match=r"m\.safetensors.*beta: expected floating-point numbers for beta; the file has"
    ):
        model.load_weights(tmp_path / "m.safetensors")
    assert all(map(torch.equal, model.weights, before))


def test_safetensors_with_two_entries_of_one_name(tmp_path):
    model, path = _trained(), tmp_path / "m.safetensors"
    model.save_weights(path)
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    name = next(iter(header.keys() - {"__metadata__"}))
    text = json.dumps(header)[:-1] + f", {json.dumps(name)}: {json.dumps(header[name])}}}"
    text += " " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text.encode() + data[8 + size :])
    with pytest.raises(ValueError, match=r"m\.safetensors: damaged"):
        model.load_weights(path)


def test_complex_values_are_refused_by_hand_too():
    dense = _model().layers[0]
    for write in (
        lambda: dense.kernel.assign(np.ones((4, 2)) * 1j),
        lambda: dense.set_weights([np.ones((4, 2)) * 1j, np.zeros(2)]),
        lambda: dense.set_weights([torch.ones(4, 2), torch.zeros(2, dtype=torch.complex64)]),
    ):
        before = dense.kernel.numpy()
        with pytest.raises(ValueError, match=r"real numbers.*complex"):
            write()
        assert np.array_equal(dense.kernel.numpy(), before)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("where", ["loss", "metrics", "weighted_metrics"])
@pytest.mark.parametrize(
    "entry",
    [
        {"module": "keras.callbacks", "class_name": "EarlyStopping", "config": {}},
        {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}},
        {"module": "keras.initializers", "class_name": "Zeros", "config": {}},
    ],
    ids=lambda entry: entry["class_name"],
)
def test_a_file_names_only_losses_and_metrics_as_such(entry, where, suffix, tmp_path):
    _trained().save(tmp_path / f"m{suffix}")
    value = entry if where == "loss" else [entry]
    if suffix == ".keras":
        config = _config(tmp_path / "m.keras")
        config["compile_config"][where] = value
        path = _rewritten(tmp_path / "m.keras", tmp_path / "x.keras", config)
    else:
        path = tmp_path / "m.h5"
        with h5py.File(path, "r+") as file:
            training = {**json.loads(file.attrs["training_config"]), where: value}
            file.attrs["training_config"] = json.dumps(training)
    with pytest.raises(ValueError, match=rf"{path.name}.*{entry['class_name']}.*compile=False"):
        keras.models.load_model(path)


def test_long_models_that_others_packed_are_read(tmp_path):
    model = keras.Sequential([keras.Input((4,)), *(keras.layers.ReLU() for _ in range(2000))])
    model.save(tmp_path / "m.keras")
    config = json.loads(zipfile.ZipFile(tmp_path / "m.keras").read("config.json"))
    path = _rewritten(tmp_path / "m.keras", tmp_path / "x.keras", config, zipfile.ZIP_DEFLATED)
    assert len(keras.models.load_model(path).layers) == 2000


@pytest.mark.parametrize("name", ["named", "short", "keras.activations.named", "torch_dtype", "get", "Kind"])
def test_configs_name_no_helpers(name):
    for home in ("keras.activations", "keras.initializers", "builtins"):
        with pytest.raises(TypeError, match="Unknown class or function"):
            keras.saving.deserialize_keras_object({"module": home, "class_name": "function", "config": name})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5", ".weights.json", ".safetensors"])
def test_a_pipe_is_no_file(suffix, tmp_path):
    path = tmp_path / f"m{suffix}"
    os.mkfifo(path)
    readers = [keras.load_model, _model().load_weights, keras.saving.check]
    for read in [*readers, keras.saving.KerasFileEditor] if suffix not in (".h5", ".safetensors") else readers:
        with pytest.raises(ValueError, match="is a pipe or a device; expected a file"):
            read(path)


# What the readers stand on ---------------------------------------------------------------------------------------


def _store(*objects: tuple[int, int]) -> bytes:
    """A store of texts as HDF5 writes it, by (number, size) of what it holds; number 0 is free space."""
    held = b"".join(
        struct.pack("<HHIQ", index, 1, 0, size) + b"x" * ((size + 7) // 8 * 8 if index else 0)
        for index, size in objects
    )
    return b"GCOL\1\0\0\0" + struct.pack("<Q", 16 + len(held)) + held


@pytest.mark.parametrize("before", [0, 1, PAGE - 20, PAGE - 4, PAGE - 1, PAGE, 2 * PAGE - 2, 3 * PAGE + 9])
@pytest.mark.parametrize("behind", [b"", _store((1, 5), (0, 16))], ids=["alone", "behind another"])
def test_free_space_of_no_size_is_found_wherever_it_lies(
    before: int, behind: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safe, "WINDOW", PAGE)  # as if the file were large
    path, start = tmp_path / "m", b"." * before + behind
    texts = (1, 5), (2, 8), (3, 9)
    path.write_bytes(start + _store(*texts, (0, 16)) + b"GCO" + _store((0, 24), (0, 0)) + _store(*texts))
    safe._check_heaps(path)  # what follows on free space is not looked at, nor a number 0 that has a size
    path.write_bytes(start + _store(*texts, (0, 0)) + _store(*texts))
    with pytest.raises(ValueError, match=f"end at byte {len(start) + 16 + 3 * 16 + 8 + 8 + 16}$"):
        safe._check_heaps(path)
    path.write_bytes((start + _store(*texts))[:-3])  # cut short: HDF5 says so
    safe._check_heaps(path)


def test_a_part_of_a_file_is_a_file(tmp_path: Path) -> None:
    path, chance, held = tmp_path / "m", np.random.default_rng(0), io.BytesIO()
    path.write_bytes(b"before")
    with path.open("rb+") as file:
        part = safe._Part(file, 6, 0)
        for _ in range(200):
            place, data = int(chance.integers(0, 50)), chance.bytes(int(chance.integers(1, 9)))
            for one in (held, part):
                one.seek(place)
                one.write(data)
            way = int(chance.integers(0, 3))
            back = int(chance.integers(0, held.tell() + 1)) if way == 1 else place
            assert part.seek((place, -back, -back)[way], way) == held.seek(
                max((place, held.tell() - back, len(held.getvalue()) - back)[way], 0)
            )
            assert part.read(5) == held.read(5) and part.tell() == held.tell()
        assert part.truncate(20) == 20
        assert part.size == 20 and path.stat().st_size >= 20
    assert path.read_bytes() == b"before" + held.getvalue()[:20]
    with path.open("rb") as file:
        part = safe._Part(file, 2, 5)
        assert (part.readable(), part.writable(), part.seekable()) == (True, False, True)
        assert part.read() == b"fore" + held.getvalue()[:1] and part.read(1) == b""
        part.close()
        assert file.closed


def test_members_below_a_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        for name in ("assets/", "assets/words.txt", "assets/in/", "assets/in/more.txt", "other/words.txt", "assets2/x"):
            archive.writestr(name, "" if name.endswith("/") else name)
    with safe.zip_members(tmp_path / "m") as archive:
        assert safe.contents(archive, "assets/") == {
            "words.txt": b"assets/words.txt",
            "in/more.txt": b"assets/in/more.txt",
        }


@pytest.mark.parametrize("size", [safe.IN_MEMORY, safe.IN_MEMORY + 1])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_is_a_file_one_can_seek_in(size: int, method: int, tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(size)
    with zipfile.ZipFile(tmp_path / "m", "w", method) as archive:
        archive.writestr("first", b"1234")
        archive.writestr("second", data)
    with safe.zip_members(tmp_path / "m") as archive, safe.unpacked(archive, "second") as file:
        assert file.read() == data
        assert file.seek(-7, io.SEEK_END) == size - 7 and file.read(100) == data[-7:]


def test_a_reason_is_one_line_of_bounded_length() -> None:
    assert safe.reason(ValueError("one\ntwo")) == "one" and safe.reason(KeyError()) == "KeyError"
    assert safe.reason(ValueError("x" * safe.MAX_REASON)) == "x" * safe.MAX_REASON
    assert safe.reason(ValueError("x" * (safe.MAX_REASON + 1))) == "x" * safe.MAX_REASON + "..."


@pytest.mark.parametrize(
    "key", ["model_config", "training_config", "layer_names", "weight_names", "keras_version", "save"]
)
def test_attributes_are_numbers_or_texts(key: str, tmp_path: Path) -> None:
    """A list in an attribute may claim four billion elements, for which HDF5 makes room before it looks."""
    lists = np.empty((), object)
    lists[()] = np.arange(9)
    _trained().save(tmp_path / "m.h5")
    _trained().save_weights(tmp_path / "m.weights.json", max_shard_size=1)
    with h5py.File(tmp_path / ("m_00000.weights.h5" if key == "save" else "m.h5"), "r+") as file:
        groups = [file, *file.values(), *file.get("model_weights", {}).values()]
        for group in [each for each in groups if key in each.attrs]:
            del group.attrs[key]
            group.attrs.create(key, lists, dtype=h5py.vlen_dtype(np.int64))
    with pytest.raises(ValueError, match=f"attribute '{key}' of /.* is neither numbers nor texts"):
        if key == "save":
            _trained().load_weights(tmp_path / "m.weights.json")
        else:
            keras.saving.load_model(tmp_path / "m.h5")
