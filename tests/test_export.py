"""Models as programs of torch.export and ONNX: what they give equals `predict`, for any batch and length."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from support.examples import EXAMPLES
from torch.utils import _pytree as pytree

import lamina as keras
from lamina import layers as L
from lamina.export import ExportArchive
from lamina.files import program

FIXED = "a loop over the steps, which torch.export writes out: their number must be known"
SIZED = "keeping the aspect ratio compares the sizes"
# Layers that keep no axis open but the batch's, and why.
NEEDS_SIZES = {
    "LSTM-2": FIXED,
    "Resizing-1": SIZED,
    "Resizing-2": SIZED,
}


def model_of(example, unknown):
    symbols = example.symbols(unknown=unknown)
    flat = pytree.tree_leaves(symbols)
    return keras.Model(flat if len(flat) > 1 else flat[0], example.make()(*symbols))


def data_for(example, batch, by=0):
    generator = torch.Generator().manual_seed(batch)
    drawn = [
        given.longer(by).tensor(batch, generator, torch.float32)
        if given.integers_below is None
        else torch.randint(given.integers_below, (batch, *given.longer(by).sizes), generator=generator).int()
        for given in pytree.tree_leaves(example.args)
    ]
    return drawn if len(drawn) > 1 else drawn[0]


def alike(first, second):
    one, two = pytree.tree_leaves(first), pytree.tree_leaves(second)
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(np.asarray(a), b.numpy(force=True), rtol=1e-4, atol=1e-5)


def check_example(example, unknown):
    model = model_of(example, unknown)
    alone = copy.deepcopy(model)  # with states of its own
    run = program.trace(model, [model], program.signature_of(model)).module()
    sizes = ((2, 0), (2, 0)) if example.stateful else ((3, 0), (1, 2 * unknown), (2, 3 * unknown))
    for batch, by in sizes:
        x = data_for(example, batch, by)
        with torch.no_grad():
            given = run(x)
        alike(alone.predict(x, verbose=0), given)


FEW = "Conv1D-1 AveragePooling1D-1 LSTM-1 GRU-2 Bidirectional-0 SimpleRNN-1 MultiHeadAttention-0 Dot-1".split()


@pytest.mark.parametrize("name", FEW)
def test_a_few_layers_with_open_axes(name):
    example = next(example for example in EXAMPLES if example.id == name)
    check_example(example, name not in NEEDS_SIZES)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_every_layer_with_an_open_batch_and_open_axes(example):
    check_example(example, False)
    if any(given.unknown for given in pytree.tree_leaves(example.args)):
        if NEEDS_SIZES.get(example.id) is None:
            check_example(example, True)
        else:
            with pytest.raises(RuntimeError, match=r"depends on the size of axis 1.*input_signature"):
                check_example(example, True)


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


@pytest.mark.parametrize("name, suffix", [("torch", ".pt2"), ("onnx", ".onnx")])
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
        with pytest.raises(ValueError, match="must be 'torch' or 'onnx'"):
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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
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
