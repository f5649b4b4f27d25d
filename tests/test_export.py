"""Models as programs of torch.export and ONNX: what they give equals `predict`, for any batch and length."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support import exports
from support.examples import EXAMPLES, UNCALLED, public_layers
from support.exports import FORMATS, NEEDS_SIZES, REFUSED, alike, check, has_open_axes, model_of, program_of
from torch.utils._sympy.numbers import int_oo

import lamina as keras
from lamina import layers as L
from lamina.export import ExportArchive
from lamina.files import decompositions, program

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from _models import TASKS

BY_ID = {example.id: example for example in EXAMPLES}
FEW = "Conv1D-1 AveragePooling1D-1 LSTM-1 GRU-2 Bidirectional-0 SimpleRNN-1 MultiHeadAttention-0 Dot-1".split()
# Of ONNX those whose operators are written in terms of others, for sizes that are not the sample's.
FEW_IN_ONNX = "AdaptiveAveragePooling2D-0 AdaptiveMaxPooling1D-0 IntegerLookup-0 MelSpectrogram-0 SimpleRNN-1".split()
ONNX = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def needs(format):
    if format == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")


@ONNX
@pytest.mark.parametrize(
    "name, format", [*((name, "torch") for name in FEW), *((name, "onnx") for name in FEW_IN_ONNX)]
)
def test_a_few_layers_with_open_axes(name, format):
    needs(format)
    check(BY_ID[name], format, has_open_axes(BY_ID[name]))


@ONNX
@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_every_layer_with_an_open_batch_and_open_axes(example, format):
    needs(format)
    refused = REFUSED.get(format, {}).get(example.id)
    if refused is None:
        check(example, format, False)
    if has_open_axes(example):
        if example.id in NEEDS_SIZES:
            with pytest.raises(RuntimeError, match=r"depends on the size of axis 1.*input_signature"):
                check(example, format, True)
        elif refused is None:
            check(example, format, True)


class Operators(torch.nn.Module):
    def forward(self, x, keys, ids):
        pools = torch.nn.functional
        return (
            pools.adaptive_avg_pool2d(x, (3, 2)),
            pools.adaptive_max_pool2d(x, (2, 3)),
            pools.adaptive_avg_pool3d(x, (2, 2, 4)),
            pools.adaptive_max_pool3d(x, 2),
            x.amax(),
            x.amax(1, keepdim=True),
            x.clamp(0, 0.5),
            x.clamp(max=1),
            torch.searchsorted(keys, x),
            torch.searchsorted(keys, x, right=True, out_int32=True),
            ids << 3,
            ids >> ids,
        )


@ONNX
def test_decompositions_give_what_torch_does_for_other_sizes():
    """Translators get these in place of torch's own, which hold for the sizes of the sample."""
    module, auto = Operators(), torch.export.Dim.DYNAMIC
    sample = torch.zeros(2, 4, 31, 17), torch.arange(5.0), torch.arange(3)
    shapes = ({0: auto, 2: auto, 3: auto}, None, None)
    run = torch.export.export(module, sample, dynamic_shapes=shapes).run_decompositions(dict(decompositions.TABLE))
    left = {
        str(node.target)
        for node in run.graph.nodes
        if "adaptive" in str(node.target)
        or node.target in (torch.ops.aten.searchsorted.Tensor, torch.ops.aten.clamp.default)
    }
    assert not left
    for sizes in ((1, 4, 9, 12), (3, 4, 40, 5)):
        x, keys = torch.randn(sizes), torch.randn(5).sort().values
        x.flatten()[:5] = keys  # equal values go to one side
        for one, two in zip(module(x, keys, sample[2]), run.module()(x, keys, sample[2]), strict=True):
            torch.testing.assert_close(one, two)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_machine_code_for_any_batch_and_length(tmp_path):
    inputs = keras.Input((None, 3))
    x = L.Bidirectional(L.LSTM(5, return_sequences=True))(L.Conv1D(4, 3, padding="same")(inputs))
    model = keras.Model(inputs, L.Dense(2)(L.Flatten()(L.AdaptiveAveragePooling1D(3)(x))))
    model.export(tmp_path / "m.pt2", format="aoti", verbose=False)
    run = torch._inductor.aoti_load_package(tmp_path / "m.pt2")
    for sizes in ((1, 4, 3), (7, 9, 3)):
        x = torch.randn(sizes)
        alike(model.predict(x, verbose=0), run(x))


def test_machine_code_is_compared_with_the_model(tmp_path, monkeypatch):
    model = keras.Sequential([keras.Input((None, 2)), L.Dense(2)])

    def failing(*args, **kwargs):
        raise RuntimeError("InvalidCxxCompiler: none")

    for compiling, gives, message in [
        (lambda *args, **kwargs: None, lambda x: torch.zeros(*x.shape[:-1], 3), "compiles the model wrongly"),
        (lambda *args, **kwargs: None, lambda x: model(x) + (x.shape[1] < 100), "compiles the model wrongly"),
        (failing, None, r"needs a C\+\+ compiler: install"),
    ]:
        monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", compiling)
        monkeypatch.setattr(torch._inductor, "aoti_load_package", lambda file, gives=gives: gives)
        with pytest.raises(RuntimeError, match=message):
            model.export(tmp_path / "m.pt2", format="aoti")
    with pytest.raises(RuntimeError, match="has no GRU layers"):
        keras.Sequential([keras.Input((None, 2)), L.GRU(2)]).export(tmp_path / "m.pt2", format="aoti")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", lambda *args, **kwargs: None)
    monkeypatch.setattr(torch._inductor, "aoti_load_package", lambda file: model)
    model.export(tmp_path / "m.pt2", format="aoti")
    assert (tmp_path / "m.pt2").exists()


@ONNX
@pytest.mark.parametrize("name", [name for name, why in REFUSED["onnx"].items() if why == exports.STATE])
def test_onnx_refuses_states(name, tmp_path):
    needs("onnx")
    with pytest.raises(RuntimeError, match=r"ONNX keeps nothing from run to run, and the model keeps \w*\.state_0"):
        model_of(BY_ID[name], False).export(tmp_path / "m.onnx", format="onnx")
    assert not list(tmp_path.iterdir())


def test_the_page_lists_every_layer():
    text = exports.PAGE.read_text(encoding="utf-8")
    assert text == exports.page(text), "`cd tests && python -m support.exports` writes it anew"
    missing = {*public_layers()} - {*UNCALLED} - {*re.findall(r"`(\w+)`", text)}
    assert not missing


@pytest.mark.parametrize("size", [3, 40, 64, 100])  # two such pictures have fewer values than MANY, as many, and more
@pytest.mark.parametrize(
    "stack",
    [
        lambda: [L.Conv2D(8, 3, padding="same"), L.BatchNormalization(), L.ReLU()],
        lambda: [L.DepthwiseConv2D(3), L.BatchNormalization(axis=1)],
        lambda: [L.MaxPooling2D(3, 1, "same"), L.AveragePooling2D(3, 2, "same")],
        lambda: [L.IntegerLookup(vocabulary=[1, 2, 3])],
    ],
)
def test_ways_for_large_inputs_do_not_bound_the_batch(stack, size):
    layers = stack()
    kind = "int32" if isinstance(layers[0], L.IntegerLookup) else "float32"
    model = keras.Sequential([keras.Input((size, size, 8), dtype=kind), *layers])
    traced = program.trace(model, [model], program.signature_of(model))
    assert [bounds.upper for bounds in traced.range_constraints.values()] == [int_oo]


# Models ----------------------------------------------------------------------------------------------------------


def exported(model, path, **options):
    model.export(path, verbose=False, **options)
    return torch.export.load(path).module()


def masked():
    inputs = keras.Input((None,), dtype="int32")
    x = L.Embedding(11, 4, mask_zero=True)(inputs)
    x = L.Bidirectional(L.LSTM(3, return_sequences=True))(x)
    x = L.MultiHeadAttention(2, 3)(x, x)
    return keras.Model(inputs, L.GlobalAveragePooling1D()(L.GRU(4, return_sequences=True)(x)))


def residual():
    inputs = keras.Input((None, None, 3))
    x = before = L.Conv2D(4, 3, strides=2, padding="same")(inputs)
    x = L.ReLU()(L.BatchNormalization()(x))
    x = L.Add()([L.SeparableConv2D(4, 3, padding="same")(x), before])
    x = L.AveragePooling2D(2, padding="same")(L.Dropout(0.5)(x))
    x = L.Conv2DTranspose(2, 3, strides=2, padding="same")(x)
    return keras.Model(inputs, L.GlobalMaxPooling2D()(x))


def ids(*sizes):
    return torch.randint(11, sizes).int()


@pytest.mark.parametrize("build, draw", [(masked, ids), (residual, lambda *sizes: torch.randn(*sizes, sizes[-1], 3))])
def test_masks_and_pictures_of_any_size(build, draw, tmp_path):
    model = build()
    run = exported(model, tmp_path / "m.pt2")
    for sizes in ((1, 6), (3, 9), (2, 7)):
        x = draw(*sizes)
        alike(model.predict(x, verbose=0), run(x))


def test_several_inputs_and_outputs_by_name(tmp_path):
    a, b = keras.Input((4,), name="a"), keras.Input((5,), name="b")
    model = keras.Model({"a": a, "b": b}, {"sum": L.Dense(3)(a) + L.Dense(3)(b), "all": L.Concatenate()([a, b])})
    x = {"a": torch.randn(3, 4), "b": torch.randn(3, 5)}
    given = exported(model, tmp_path / "m.pt2")(x)
    assert set(given) == {"sum", "all"}
    alike(model.predict(x, verbose=0), given)


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense, self.drop = L.Dense(3), L.Dropout(0.5)

    def call(self, inputs, training=False):
        return self.drop(self.dense(inputs["x"]), training=training) + inputs["y"]


def test_subclassed_models(tmp_path):
    x = {"x": torch.randn(3, 4), "y": torch.randn(3, 3)}
    model = Own()
    with pytest.raises(ValueError, match="not built"):
        model.export(tmp_path / "m.pt2")
    signature = [{"x": keras.InputSpec("float32", (None, 4)), "y": keras.InputSpec("float32", (None, 3))}]
    run = exported(model, tmp_path / "m.pt2", input_signature=signature)
    alike(model.predict(x, verbose=0), run(x))
    model.train()
    run = exported(model, tmp_path / "m.pt2")  # as it was built
    assert model.training and model.drop.training
    alike(model.predict(x, verbose=0), run(x))


class Deciding(keras.layers.Layer):
    def build(self, input_shape):
        self.built = True

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, x):
        return x * 2 if bool(x[0, 0] > 0) else x


def test_decisions_by_values_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((4,)), Deciding()])
    with pytest.raises(RuntimeError, match=r"decides by values.*torch\.where"):
        model.export(tmp_path / "m.pt2")


class Listed(keras.Model):
    def __init__(self):
        super().__init__()
        self.steps, self.ends = [L.Dense(3), [L.BatchNormalization()]], {"end": L.Dense(2)}

    def call(self, x):
        return self.ends["end"](self.steps[1][0](self.steps[0](x)))


def test_layers_in_plain_lists_keep_their_names(tmp_path):
    model, x = Listed(), torch.randn(3, 4)
    model(x)
    run = exported(model, tmp_path / "m.pt2")
    alike(model.predict(x, verbose=0), run(x))
    assert set(run.state_dict()) == set(model.state_dict())
    archive = ExportArchive()
    served = archive.add_endpoint("serve", lambda x: model(x) * 2, [keras.InputSpec("float32", (None, 4))])
    alike(2 * model.predict(x, verbose=0), served(x))


def test_sizes_as_the_signature_gives_them(tmp_path):
    model = keras.Sequential([keras.Input((None, 3)), L.LSTM(2, recurrent_activation="hard_sigmoid")])
    with pytest.raises(RuntimeError, match=r"axis 1 of `inputs`.*input_signature"):
        model.export(tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())
    for given in (keras.InputSpec("float32", (None, 5, 3)), keras.Input((5, 3)), np.zeros((1, 5, 3), "f4")):
        run = exported(model, tmp_path / "m.pt2", input_signature=[given])
        x = torch.randn(4, 5, 3)
        alike(model.predict(x, verbose=0), run(x))
    run = exported(model, tmp_path / "m.pt2", input_signature=[keras.InputSpec("float32", (2, 5, 3))])
    with pytest.raises((RuntimeError, AssertionError)):
        run(x)


@pytest.mark.parametrize("wrapped", [lambda axes: axes, lambda axes: [axes], lambda axes: [(axes,)]])
def test_axes_may_be_given_as_torch_names_them(wrapped, tmp_path):
    model = keras.Sequential([keras.Input((None, 3)), L.Dense(2)])
    few = torch.export.Dim("few", max=4)
    run = exported(model, tmp_path / "m.pt2", dynamic_shapes=wrapped({0: few}))
    for sizes in ((1, 5), (4, 7)):
        x = torch.randn(*sizes, 3)
        alike(model.predict(x, verbose=0), run(x))
    with pytest.raises((RuntimeError, AssertionError)):
        run(torch.randn(5, 5, 3))


def test_a_stateful_layer_keeps_its_state(tmp_path):
    model = keras.Sequential([keras.Input(batch_shape=(2, 3, 2)), L.LSTM(2, stateful=True)])
    run, x = exported(model, tmp_path / "m.pt2"), torch.randn(2, 3, 2)
    first, second = run(x), run(x)
    assert not torch.equal(first, second)
    alike([model.predict(x, verbose=0), model.predict(x, verbose=0)], [first, second])


def test_exporting_leaves_the_model_and_torch_as_they_were(tmp_path):
    operator = torch.ops.aten.lstm.input
    before = dict(operator.py_kernels)
    model, x = masked(), ids(3, 5)
    expected = model.predict(x, verbose=0)
    weights = [weight.detach().clone() for weight in model.weights]
    model.export(tmp_path / "m.pt2", verbose=False)
    assert operator.py_kernels == before
    assert np.array_equal(model.predict(x, verbose=0), expected)
    assert all(torch.equal(one, two) for one, two in zip(model.weights, weights, strict=True))
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((3, 4)), verbose=0)


@pytest.mark.parametrize("name, suffix", [("torch", ".pt2"), ("aoti", ".pt2"), ("onnx", ".onnx")])
def test_formats_and_names(name, suffix, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(program.onnx, "check", lambda: None)
    model = keras.Sequential([keras.Input((2,)), L.Dense(2)])
    with pytest.raises(ValueError, match=rf"end in \{suffix}"):
        model.export(tmp_path / "m", format=name)
    with pytest.raises(ValueError, match="unknown options"):
        model.export(tmp_path / f"m{suffix}", format=name, is_static=True)
    for other, message in [("tf_saved_model", "TensorFlow"), ("openvino", "onnx"), ("litert", "litert_torch")]:
        with pytest.raises(ValueError, match=message):
            model.export(tmp_path / "m", format=other)
    for other in (None, "h5", ["onnx"]):
        with pytest.raises(ValueError, match="must be 'torch', 'aoti' or 'onnx'"):
            model.export(tmp_path / "m.pt2", format=other)
    assert not list(tmp_path.iterdir())
    model.export(tmp_path / "m.pt2")
    assert "m.pt2" in capsys.readouterr().out


@pytest.mark.parametrize(
    "signature, kind, message",
    [
        ([], ValueError, "at least one"),
        ([keras.InputSpec(ndim=2)], ValueError, "shape and a dtype"),
        ([(None, 2)], TypeError, "InputSpec"),
        ([keras.InputSpec("float32", (None, 3))], RuntimeError, "cannot be traced.*expected 2"),
    ],
)
def test_signatures_that_do_not_fit(signature, kind, message, tmp_path):
    with pytest.raises(kind, match=message):
        keras.Sequential([keras.Input((2,)), L.Dense(2)]).export(tmp_path / "m.pt2", input_signature=signature)


def test_texts_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((1,), dtype="string"), L.StringLookup(vocabulary=["a"])])
    with pytest.raises(ValueError, match="texts"):
        model.export(tmp_path / "m.pt2")


def test_without_onnx_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(program.onnx.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install onnx onnxscript"):
        keras.Sequential([keras.Input((2,)), L.Dense(2)]).export(tmp_path / "m.onnx", format="onnx")


@ONNX
@pytest.mark.slow
@pytest.mark.parametrize("build, draw", [(masked, ids), (residual, lambda *sizes: torch.randn(*sizes, sizes[-1], 3))])
def test_onnx(build, draw, tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = build()
    model.export(tmp_path / "m.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    (told,) = session.get_inputs()
    assert told.name == model.inputs[0].name and told.shape[:2] == ["batch", "dim_0_1"]
    for sizes in ((1, 6), (3, 9)):
        x = draw(*sizes)
        alike(session.run(None, {told.name: x.numpy()}), torch.as_tensor(model.predict(x, verbose=0)))


@ONNX
@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_whole_models_for_any_batch(task, format):
    needs(format)
    model = task.model(keras)
    run = program_of(model, format)
    for batch in (1, 2, 7):
        x = torch.from_numpy(task.data(batch)[0])
        alike(model.predict(x, verbose=0), run(x))


@ONNX
@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetB0", "ResNet50V2"])
def test_networks_for_any_batch(name, format):
    needs(format)
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=5)
    run = program_of(model, format)
    for batch in (1, 3):
        x = torch.rand(batch, 64, 64, 3)
        alike(model.predict(x, verbose=0), run(x))


# Archives --------------------------------------------------------------------------------------------------------


def test_an_archive_of_several_endpoints(tmp_path, capsys):
    model = keras.Sequential([keras.Input((4,)), L.Dense(3), L.Dropout(0.5)])
    model.compile("adam", "mse")
    model.fit(np.ones((2, 4)), np.ones((2, 3)), verbose=0)
    scale = L.Dense(3)
    scale.build((None, 3))
    archive = ExportArchive()
    x, spec = torch.randn(5, 4), [keras.InputSpec("float32", (None, 4))]
    served = archive.add_endpoint("serve", model.call, spec)
    alike(model.predict(x, verbose=0), served(x))
    archive.add_endpoint("train", lambda x: scale(model(x, training=True)), spec)
    archive.track_and_add_endpoint("again", model)
    archive.add_variable_collection("optimizer", model.optimizer.variables)
    archive.write_out(tmp_path / "archive")
    assert "serve, train, again, optimizer" in capsys.readouterr().out
    assert len(archive.variables) == len(archive.trainable_variables) == 4 and not archive.non_trainable_variables
    load = {path.stem: torch.export.load(path).module() for path in (tmp_path / "archive").glob("*.pt2")}
    assert set(load) == {"serve", "train", "again"}
    alike(model.predict(x, verbose=0), load["serve"](x))
    alike(model.predict(x, verbose=0), load["again"](x))
    assert not torch.equal(load["train"](x), load["train"](x))
    kept = torch.load(tmp_path / "archive" / "optimizer.pt")
    assert all(torch.equal(one, two) for one, two in zip(kept, model.optimizer.variables, strict=True))


def test_what_an_archive_refuses(tmp_path):
    model = keras.Sequential([keras.Input((2,)), L.Dense(2)])
    archive = ExportArchive()
    spec = [keras.InputSpec("float32", (None, 2))]
    for call, message in [
        (lambda: ExportArchive("saved_model"), "'torch'"),
        (lambda: archive.track(3), "layer or model"),
        (lambda: archive.write_out(tmp_path / "a"), "no endpoints"),
        (lambda: archive.add_endpoint("../serve", model.call, spec), "a word"),
        (lambda: archive.add_endpoint("serve", 3, spec), "must be a function"),
        (lambda: archive.add_endpoint("serve", lambda x: model(x)), "input_signature"),
        (lambda: archive.add_endpoint("serve", model.call, spec, jax2tf_kwargs={}), "unknown options"),
        (lambda: archive.add_variable_collection("w", [3]), "list of weights"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    archive.add_endpoint("serve", model, spec)
    with pytest.raises(ValueError, match="already"):
        archive.add_endpoint("serve", model, spec)
    with pytest.raises(ValueError, match="TensorFlow"):
        archive.write_out(tmp_path / "a", options=object())
    archive.write_out(tmp_path / "a.pt2", verbose=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt2"]
    archive.add_variable_collection("w", model.weights)
    with pytest.raises(ValueError, match="one endpoint"):
        archive.write_out(tmp_path / "b.pt2")
