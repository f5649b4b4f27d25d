"""The older generations: their signatures, words, weights, configs, `import keras` and the guess of a script's age."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from support.frames import frames
from support.golden import FAMILIES, Case, cases

import lamina
from lamina import generations, keras1, keras2, tf_keras
from lamina.generations import objects
from lamina.generations.dialect import DIALECTS
from lamina.layers import old
from lamina.translation.keras1 import KERAS1, LAYERS
from lamina.translation.keras2 import KERAS2
from lamina.translation.tf_keras import TF_KERAS
from lamina.translation.words import words

SIGNATURES = Path(__file__).parent / "golden" / "signatures"
SPACES = {"keras1": (keras1, KERAS1), "keras2": (keras2, KERAS2), "tf_keras2": (tf_keras, TF_KERAS)}
ROOMS = ("layers", "regularizers", "constraints", "initializers", "optimizers")


def recorded_signatures(generation: str) -> dict[tuple[str, str], list[str]]:
    """What the original lists of the rooms that have tables, by (room, name)."""
    listed = json.loads((SIGNATURES / f"{generation}.json").read_text())
    found = {}
    for key, parameters in listed.items():
        room, _, name = key.partition(".")
        if room in ROOMS and "." not in name:
            found[room, name] = parameters
    return found


def covered() -> Iterator[tuple[str, str, str]]:
    for generation, (_, table) in SPACES.items():
        for room, name in recorded_signatures(generation):
            if room in table.objects and table.find(name, room) is not None:
                yield generation, room, name


@pytest.mark.parametrize(("generation", "room", "name"), list(covered()))
def test_signature(generation: str, room: str, name: str) -> None:
    parameters = words(SPACES[generation][1], room, name).signature.parameters.values()
    assert [str(parameter) for parameter in parameters] == recorded_signatures(generation)[room, name]


@pytest.mark.parametrize("generation", SPACES)
def test_most_classes_are_covered(generation: str) -> None:
    """Missing are what is no class, layers of pictures, and in tf_keras whatever has today's signature."""
    table = SPACES[generation][1]
    names = {name for room, name in recorded_signatures(generation) if room == "layers" and name[0].isupper()}
    missing = {name for name in names if table.find(name) is None}
    expected = {
        "keras1": set(),
        "keras2": {"ConvRecurrent2D", "Recurrent"},  # base classes, in `generations/recurrent.py`
        "tf_keras2": {"DenseFeatures"},
    }  # fmt: skip
    assert missing == expected[generation]


@pytest.mark.parametrize(("generation", "room", "name"), list(covered()))
def test_class_has_its_signature(generation: str, room: str, name: str) -> None:
    """Of every class there is so far, `inspect` says the same."""
    cls = getattr(getattr(SPACES[generation][0], room), name)
    if inspect.isclass(cls) and "_words" in vars(cls):
        assert [str(p) for p in inspect.signature(cls).parameters.values()] == recorded_signatures(generation)[
            room, name
        ]


# Tables ---------------------------------------------------------------------------------------------------------------


def test_a_renamed_argument_is_one_line() -> None:
    """Calls, configs and attributes follow a rename in the table alone."""
    entry = replace(LAYERS["Dense"], signature=LAYERS["Dense"].signature.replace("output_dim", "width"))
    table = replace(
        KERAS1,
        objects={**KERAS1.objects, "layers": {**KERAS1.objects["layers"], "Dense": entry}},
        renamed={**KERAS1.renamed, "width": "units"},
    )
    own = words(table, "layers", "Dense")
    assert own.to_modern(own.bind((7,), {}), {})["units"] == 7
    assert own.to_old({"units": 7, "activation": "linear"}, {"input_dim": None})["width"] == 7


def test_a_table_tells_which_module_has_a_name() -> None:
    having = ("layers Dense", "layers.core Dense", "layers.recurrent LSTM", "layers.core K", "optimizers SGD")
    lacking = ("layers.recurrent Dense", "layers LayerNormalization", "utils.np_utils Dense", "nowhere SGD", "nowhere")
    whole = ("preprocessing.image ImageDataGenerator", "utils.np_utils to_categorical", "objectives mse")
    for told in (*having, *whole, "layers", "layers.core"):
        assert KERAS1.has(*told.split()), told
    for told in lacking:
        assert not KERAS1.has(*told.split()), told


@pytest.mark.parametrize("generation", SPACES)
def test_a_class_is_one_object_wherever_it_is_found(generation: str) -> None:
    """Pickles and `isinstance` rely on it."""
    dialect = DIALECTS[SPACES[generation][1].name]
    for name in ("Model", "Sequential", "Layer", *dialect.table.objects["layers"]):
        homes = [home for home in dialect.homes if home != "initializers"]  # whose Identity is another thing
        found = {home: dialect.find(home, name) for home in homes}
        classes = {id(item) for item in found.values() if inspect.isclass(item)}
        assert len(classes) <= 1, (name, {home: id(item) for home, item in found.items() if inspect.isclass(item)})


@pytest.mark.parametrize("generation", SPACES)
def test_a_table_names_one_class_each(generation: str) -> None:
    """No class of the past hides a modern one of its name."""
    for room in ROOMS:
        entries = SPACES[generation][1].objects[room]
        homes = [getattr(lamina, room), old, objects]
        for name, entry in entries.items():
            found = {id(item) for item in (getattr(home, entry.modern, None) for home in homes) if item is not None}
            assert len(found) == 1 or entry.modern in {"merge"}, (name, entry.modern)


def test_translation_knows_nothing_of_lamina() -> None:
    code = (
        "import sys, types; sys.modules['lamina'] = m = types.ModuleType('lamina'); m.__path__ = [sys.argv[1]]; "
        "import lamina.translation.words, lamina.translation.tf_keras; "
        "print([name for name in sys.modules if name.startswith('lamina.') and 'translation' not in name])"
    )
    folder = str(Path(lamina.__file__).parent)
    found = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# Layers ---------------------------------------------------------------------------------------------------------------


def test_a_layer_is_a_modern_one_and_runs_as_one() -> None:
    layer = keras1.layers.Dense(3, input_dim=2)
    assert isinstance(layer, lamina.layers.Dense)
    assert type(layer).call is lamina.layers.Dense.call
    assert type(layer).__call__ is lamina.layers.Dense.__call__


@pytest.mark.parametrize(
    ("old", "modern", "shape"),
    [
        (lambda: keras1.layers.Dense(3), lambda: lamina.layers.Dense(3), (2, 4)),
        (lambda: keras1.layers.Convolution2D(3, 3, 3), lambda: lamina.layers.Conv2D(3, 3), (2, 8, 8, 3)),
        (lambda: keras1.layers.MaxPooling2D(), lambda: lamina.layers.MaxPooling2D(), (2, 8, 8, 3)),
        (lambda: keras2.layers.BatchNormalization(), lambda: lamina.layers.BatchNormalization(), (2, 8)),
        (lambda: tf_keras.layers.LSTM(3), lambda: lamina.layers.LSTM(3), (2, 4, 3)),
        (lambda: keras2.layers.Lambda(abs), lambda: lamina.layers.Lambda(abs), (2, 3)),
    ],
)
def test_old_words_cost_no_call(old: object, modern: object, shape: tuple) -> None:
    """At most one call more: where the arithmetic of a generation is a class of its own."""
    x = torch.randn(shape)
    layer, twin = old(), modern()
    layer(x), twin(x)
    assert len(frames(lambda: layer(x))) <= len(frames(lambda: twin(x))) + 2


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=lambda space: space.__name__)
def test_pickle_and_copy(space: ModuleType) -> None:
    layer = space.layers.Dense(3)
    x = torch.randn(2, 4)
    y = layer(x)
    for again in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert torch.equal(again(x), y)
        assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=lambda space: space.__name__)
def test_models_are_pickled(space: ModuleType) -> None:
    start, x = space.layers.Input(shape=(4,)), torch.randn(2, 4)
    for model in (
        space.models.Model(start, space.layers.Dense(3)(start)),
        space.models.Sequential([space.layers.Dense(3, input_shape=(4,))]),
    ):
        again = pickle.loads(pickle.dumps(model))
        assert type(again) is type(model)
        assert torch.equal(again(x), model(x))
        assert again.get_config() == model.get_config()


def test_keras2_understands_keras1() -> None:
    layer = keras2.layers.Convolution2D(4, 3, 2, border_mode="same", dim_ordering="tf", bias=False, init="he_normal")
    config = layer.get_config()
    assert (config["kernel_size"], config["padding"], config["use_bias"]) == ((3, 2), "same", False)
    assert config["kernel_initializer"]["config"]["scale"] == 2.0


@pytest.mark.parametrize(
    ("call", "size", "strides"),
    [
        ("Conv2D(4, 3, 2)", (3, 2), (1, 1)),
        ("Conv2D(4, 3, nb_col=5)", (3, 5), (1, 1)),
        ("Conv2D(4, nb_row=3, nb_col=5)", (3, 5), (1, 1)),
        ("SeparableConv2D(nb_filter=4, nb_row=3, nb_col=5)", (3, 5), (1, 1)),
        ("LocallyConnected2D(4, 3, nb_col=5, subsample=(2, 1))", (3, 5), (2, 1)),
        ("Conv3D(4, 3, 5, 2)", (3, 5, 2), (1, 1, 1)),
        ("Conv3D(4, 3, 5, kernel_dim3=2)", (3, 5, 2), (1, 1, 1)),
        ("Conv3D(4, 3, kernel_dim2=5, kernel_dim3=2)", (3, 5, 2), (1, 1, 1)),
        ("Conv2DTranspose(4, 3, 2)", (3, 2), (1, 1)),
        ("Conv2DTranspose(4, 3, strides=2)", (3, 3), (2, 2)),
        ("Conv2DTranspose(4, 3, nb_col=5)", (3, 5), (1, 1)),
        ("Deconvolution2D(4, 3, 5, (None, 6, 6, 4), subsample=(2, 2))", (3, 5), (2, 2)),
        ("Deconvolution2D(4, 3, 5, output_shape=(None, 6, 6, 4))", (3, 5), (1, 1)),
        ("DepthwiseConv2D(3, 2)", (3, 3), (2, 2)),
    ],
)
def test_keras2_takes_sizes_as_keras1_did(call: str, size: tuple, strides: tuple) -> None:
    """As recorded from Keras 2.3.1."""
    layer = eval(f"keras2.layers.{call}")
    assert tuple(layer.kernel_size) == size and tuple(layer.strides) == strides
    assert type(layer).from_config(layer.get_config()).kernel_size == layer.kernel_size


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=lambda space: space.__name__)
def test_unknown_missing_and_doubled_arguments(space: ModuleType) -> None:
    with pytest.raises(TypeError, match=r"Dense of Keras .* has no argument `actvation`. Did you mean `activation`"):
        space.layers.Dense(3, actvation="relu")
    with pytest.raises(TypeError, match="Dense misses the required argument"):
        space.layers.Dense()
    with pytest.raises(TypeError, match="twice"):
        space.layers.Dropout(0.5, **{"p" if space is keras1 else "rate": 0.5})
    with pytest.raises(TypeError, match="at most"):
        space.layers.Activation("relu", "relu")


def test_former_words_and_near_ones() -> None:
    assert tf_keras.layers.CategoryEncoding(max_tokens=5).get_config()["num_tokens"] == 5
    assert tf_keras.regularizers.L2(l=0.5).get_config() == {"l2": 0.5}
    with pytest.raises(TypeError, match="`num_tokens` twice: also by its former name `max_tokens`"):
        tf_keras.layers.CategoryEncoding(max_tokens=5, num_tokens=5)
    with pytest.raises(TypeError, match=r"no argument `unit`\. Did you mean `units`"):
        keras2.layers.Dense(unit=4)
    with pytest.raises(TypeError, match=r"no argument `zz`\. Known: units, activation"):
        keras2.layers.Dense(4, zz=1)


def test_old_attributes() -> None:
    layer = keras1.layers.Convolution2D(4, 3, 3, border_mode="same", input_shape=(8, 8, 3))
    layer.build((None, 8, 8, 3))
    assert (layer.nb_filter, layer.border_mode, layer.bias) == (4, "same", layer.bias)
    assert layer.get_output_shape_for((None, 8, 8, 3)) == (None, 8, 8, 4)
    dense = keras1.layers.Dense(2, input_dim=3)
    dense.build((None, 3))
    assert dense.W is dense.kernel


def test_keras1_lstm_weights_are_twelve() -> None:
    layer = keras1.layers.LSTM(2)
    layer(torch.zeros(1, 3, 4))
    names = [f"{part}_{gate}" for gate in "icfo" for part in "WUb"]
    assert layer.weight_names() == names
    values = [np.random.rand(*array.shape).astype("float32") for array in layer.get_weights()]
    layer.set_weights(values)
    assert all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), values, strict=True))
    with pytest.raises(ValueError, match="expected 12 arrays; got 3"):
        layer.set_weights(values[:3])


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras1.layers.Convolution2D(3, 3, 3),
        lambda: keras1.layers.LSTM(3),
        lambda: keras2.layers.LocallyConnected1D(3, 2),
        lambda: tf_keras.layers.LocallyConnected1D(3, 2, implementation=3),
        lambda: tf_keras.layers.BatchNormalization(axis=[1, 2]),
    ],
)
def test_a_layer_that_is_not_built_has_no_arrays(make: Callable) -> None:
    assert make().get_weights() == []


def test_theano_turns_kernels_round() -> None:
    x = np.zeros((1, 1, 3, 3), "float32")
    x[0, 0, 1, 1] = 1
    kernel = np.arange(9, dtype="float32").reshape(1, 1, 3, 3)
    found = {}
    for backend in ("tensorflow", "theano"):
        keras1.backend.set_backend(backend)
        try:
            layer = keras1.layers.Convolution2D(1, 3, 3, border_mode="same", dim_ordering="th", bias=False)
            layer(x)
            layer.set_weights([kernel])
            found[backend] = layer(x).detach().numpy()[0, 0]
            assert np.array_equal(layer.get_weights()[0], kernel)
        finally:
            keras1.backend.set_backend("tensorflow")
    assert np.array_equal(found["theano"], kernel[0, 0])  # a convolution of an impulse is its kernel
    assert np.array_equal(found["tensorflow"], kernel[0, 0, ::-1, ::-1])


def test_first_values_follow_the_old_fans() -> None:
    torch.manual_seed(0)
    lstm = keras1.layers.LSTM(200, input_dim=100)
    lstm.build((None, 5, 100))
    limit = np.sqrt(6 / (100 + 200))  # a gate's own, not that of all gates in one array
    assert 0.99 * limit < np.abs(lstm.get_weights()[0]).max() <= limit
    conv = keras1.layers.Convolution1D(40, 3)
    conv.build((None, 10, 30))
    limit = np.sqrt(6 / (30 * 40 + 3 * 30 * 40))  # the kernel (3, 1, 30, 40) was read as (out, in, rows, columns)
    assert 0.98 * limit < np.abs(conv.get_weights()[0]).max() <= limit


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=lambda space: space.__name__)
@pytest.mark.parametrize("name", ["Dense", "Convolution1D", "LSTM", "Embedding"])
def test_first_values_are_drawn_once(space: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = {"inner_init" if space is keras1 else "recurrent_initializer": "glorot_uniform"} if name == "LSTM" else {}
    layer = getattr(space.layers, name)(3, *((2,) if name in ("Convolution1D", "Embedding") else ()), **inner)
    drawn, draw = [], torch.Tensor.uniform_

    def counting(values: torch.Tensor, *args: object, **options: object) -> torch.Tensor:
        drawn.append(values.numel())
        return draw(values, *args, **options)

    monkeypatch.setattr(torch.Tensor, "uniform_", counting)
    layer.build((None, 5, 4)[: 2 if name in ("Dense", "Embedding") else 3])
    assert sum(drawn) == sum(weight.numel() for weight in layer.weights if weight.ndim > 1)


@pytest.mark.parametrize("ordering", ["th", "tf"])
def test_functions_of_ones_own_are_given_the_shapes_of_the_time(ordering: str) -> None:
    seen = []

    def mine(shape, name=None):
        seen.append(tuple(shape))
        return keras1.initializations.normal(shape, name=name)

    conv = keras1.layers.Convolution2D(4, 3, 2, init=mine, dim_ordering=ordering)
    conv.build((None, 5, 8, 8) if ordering == "th" else (None, 8, 8, 5))
    assert seen == [(4, 5, 3, 2) if ordering == "th" else (3, 2, 5, 4)]
    seen.clear()
    keras1.layers.LSTM(3, init=mine, inner_init=mine).build((None, 4, 2))
    assert seen == [(2, 3)] * 4 + [(3, 3)] * 4


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=lambda space: space.__name__)
def test_input_dtype_says_what_a_first_layer_reads(space: ModuleType) -> None:
    layer = space.layers.Flatten(input_shape=(2, 3), input_dtype="int32")
    assert space.models.Sequential([layer]).inputs[0].dtype == "int32"


@pytest.mark.parametrize("space", [keras1, keras2], ids=lambda space: space.__name__)
def test_objects_take_their_own_arguments_alone(space: ModuleType) -> None:
    for make in (space.constraints.MaxNorm, space.constraints.NonNeg, space.regularizers.l2):
        with pytest.raises(TypeError, match=r"of Keras .* has no argument `input_shape`"):
            make(input_shape=(3,))


def test_a_function_as_first_values() -> None:
    def mine(shape, name=None):
        return keras1.initializations.normal(shape, scale=0.01, name=name)

    layer = keras1.layers.Dense(300, init=mine, input_dim=100)
    layer.build((None, 100))
    assert 0.008 < layer.get_weights()[0].std() < 0.012
    assert layer.get_config()["init"] == "mine"


@pytest.mark.parametrize("size", [5, 9, 10, 11])
def test_a_deconvolution_fills_the_shape_it_is_given_or_refuses_it(size: int) -> None:
    layer = keras1.layers.Deconvolution2D(2, 3, 3, (None, size, size, 2), subsample=(2, 2))  # 4 steps of 2: at most 10
    if size > 10:
        with pytest.raises(ValueError, match="expected less than 11"):
            layer(torch.ones(1, 4, 4, 3))
    else:
        assert layer(torch.ones(1, 4, 4, 3)).shape == (1, size, size, 2)


def test_mask_where_none_is_known() -> None:
    for space in (keras1, keras2):
        x = space.layers.Masking()(space.layers.Input(shape=(4, 3)))
        with pytest.raises(TypeError, match="does not support masking"):
            space.layers.GlobalMaxPooling1D()(x)


def test_a_users_layer_of_keras1() -> None:
    class Scaled(keras1.engine.topology.Layer):
        def __init__(self, size, **kwargs):
            self.size = size
            super().__init__(**kwargs)

        def build(self, input_shape):
            self.W = self.add_weight((input_shape[1], self.size), initializer="glorot_uniform", name="W")
            super().build(input_shape)

        def call(self, x, mask=None):
            return keras1.backend.dot(x, self.W)

        def get_output_shape_for(self, input_shape):
            return (input_shape[0], self.size)

    model = keras1.models.Sequential([Scaled(3, input_shape=(4,))])
    assert model.output_shape == (None, 3)
    assert model.layers[0].name.startswith("scaled_")
    assert model.predict(np.zeros((2, 4), "float32"), verbose=0).shape == (2, 3)


OWN = [
    (lambda: keras1.layers.MaxoutDense(3), (2, 4)),
    (lambda: keras1.layers.Highway(activation="tanh"), (2, 4)),
    (lambda: keras1.layers.SReLU(), (2, 4)),
    (lambda: keras1.layers.ParametricSoftplus(), (2, 4)),
    (lambda: keras1.layers.ThresholdedReLU(0.3), (2, 4)),
    (lambda: keras1.layers.BatchNormalization(mode=1), (2, 4)),
    (lambda: keras1.layers.BatchNormalization(mode=2), (3, 4)),
    (lambda: keras1.layers.Deconvolution2D(2, 3, 3, (None, 6, 6, 2)), (1, 4, 4, 2)),
    (lambda: keras1.layers.TimeDistributed(keras1.layers.Dense(2)), (2, 3, 4)),
    (lambda: keras2.layers.UpSampling2D(2, interpolation="bilinear"), (1, 3, 4, 2)),
    (lambda: keras2.layers.Bidirectional(keras2.layers.GRU(2, recurrent_activation="hard_sigmoid")), (2, 3, 4)),
    (lambda: keras2.layers.Lambda(lambda x: x.mul(2)), (2, 3)),
]


@pytest.mark.parametrize(("make", "shape"), OWN)
def test_layers_of_their_own(make: object, shape: tuple) -> None:
    """Gradients in float64, compiled without a break, empty batches, half precision."""
    torch._dynamo.reset()
    layer = make()
    x = torch.randn(shape)
    expected = layer(x)
    assert torch.allclose(torch.compile(layer, fullgraph=True, backend="eager")(x), expected)
    assert layer(x[:0]).shape == (0, *expected.shape[1:])
    assert layer(x.transpose(0, -1).contiguous().transpose(0, -1)).shape == expected.shape
    layer.double()
    assert torch.autograd.gradcheck(layer, torch.randn(shape, dtype=torch.float64, requires_grad=True))


def test_embedding_drops_words() -> None:
    layer = keras1.layers.Embedding(200, 3, dropout=0.5, init="one")
    words = torch.arange(200).repeat(2).reshape(2, 200)
    assert torch.equal(layer(words), torch.ones(2, 200, 3))
    dropped = layer(words, training=True)
    assert torch.equal(dropped[0], dropped[1])  # a word is dropped wherever it stands
    assert 0.3 < (dropped[0, :, 0] == 0).float().mean() < 0.7
    assert set(dropped.unique().tolist()) == {0.0, 2.0}


# Models ---------------------------------------------------------------------------------------------------------------


def test_fit_in_keras1_words() -> None:
    model = keras1.models.Sequential()
    model.add(keras1.layers.Dense(4, input_dim=3, activation="relu", W_regularizer=keras1.regularizers.l2(0.01)))
    model.add(keras1.layers.Dense(2, activation="softmax"))
    optimizer = keras1.optimizers.SGD(lr=0.1, decay=1e-6, momentum=0.9, nesterov=True)
    model.compile(loss="categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    x, y = np.random.rand(20, 3).astype("float32"), keras1.utils.np_utils.to_categorical([0, 1] * 10, 2)
    history = model.fit(x, y, nb_epoch=3, batch_size=10, verbose=0)
    assert len(history.history["loss"]) == len(history.history["acc"]) == 3
    assert model.predict_classes(x).shape == (20,)


def test_functional_models_and_merge() -> None:
    a, b = keras1.layers.Input(shape=(3,)), keras1.layers.Input(shape=(3,))
    both = keras1.layers.merge([a, b], mode="concat")
    model = keras1.models.Model(input=[a, b], output=keras1.layers.Dense(2)(both))
    assert model.output_shape == (None, 2)
    assert model.predict([np.zeros((4, 3), "float32")] * 2, verbose=0).shape == (4, 2)
    with pytest.raises(ValueError, match="mode"):
        keras1.layers.Merge(mode="twist")


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=lambda space: space.__name__)
def test_sequential_config(space: ModuleType) -> None:
    layers = space.layers
    model = space.models.Sequential([layers.Dense(3, input_dim=4), layers.Activation("hard_sigmoid")])
    again = space.models.Sequential.from_config(json.loads(json.dumps(model.get_config())))
    assert [layer.get_config() for layer in again.layers] == [layer.get_config() for layer in model.layers]
    assert again.output_shape == (None, 3)
    again.set_weights(model.get_weights())
    x = np.random.rand(2, 4).astype("float32")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("space", [keras1, keras2], ids=lambda space: space.__name__)
def test_functional_config(space: ModuleType) -> None:
    a, b = space.layers.Input(shape=(3,)), space.layers.Input(shape=(3,))
    shared = space.layers.Dense(2, activation="tanh")
    joined = space.layers.merge([shared(a), shared(b)]) if space is keras1 else space.layers.add([shared(a), shared(b)])
    words = ("input", "output") if space is keras1 else ("inputs", "outputs")
    model = space.models.Model(**dict(zip(words, ([a, b], joined), strict=True)))
    config = json.loads(model.to_json())["config"]
    dense = next(layer for layer in config["layers"] if layer["class_name"] == "Dense")
    assert [node[0][1:] for node in dense["inbound_nodes"]] == [[0, 0] if space is keras1 else [0, 0, {}]] * 2
    again = space.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    x = [np.random.rand(4, 3).astype("float32") for _ in range(2)]
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert type(again.layers[-2]) is type(model.layers[-2])


def recorded_layers() -> list[Case]:
    """Layers whose config was recorded, without those that hold code."""
    chosen = {generation: FAMILIES[generation] for generation in SPACES}
    return [
        case
        for case in cases(chosen)
        if case.record["kind"] == "layer" and "config" in case.record and "refused" not in case.record
        if case.record["class"] not in ("Lambda", "Merge") and "function" not in json.dumps(case.record["config"])
    ]


def _as_lists(shapes: object) -> object:
    return [*map(_as_lists, shapes)] if isinstance(shapes, (list, tuple)) else shapes


@pytest.mark.parametrize("generation", SPACES)
def test_a_config_of_a_generation_becomes_a_modern_layer(generation: str) -> None:
    """Every recorded config gives a layer of today, and the layer in old words has the same arithmetic."""
    name = "tf_keras" if generation == "tf_keras2" else generation
    space = SPACES[generation][0]
    seen = set()
    for case in recorded_layers():
        config, cls = case.record["config"], case.record["class"]
        key = (cls, json.dumps({**config, "name": ""}, sort_keys=True))
        entry = SPACES[generation][1].find(cls)
        if case.generation != generation or key in seen or entry is None or case.record["backend"] == "theano":
            continue
        seen.add(key)
        described = {"class_name": entry and SPACES[generation][1].canonical(cls), "config": config}
        if config.get("time_major"):
            with pytest.raises(ValueError, match="`time_major` has no modern counterpart"):
                generations.modern_from_config(name, described)
            continue
        made = generations.modern_from_config(name, described)
        old = space.layers.deserialize(described)
        assert not type(made).__module__.startswith("lamina.keras")
        assert isinstance(old, type(made)), case.id
        assert made.name == config["name"]
        (given, *others) = case.record["inputs"]
        told = "dim_ordering" not in case.record["code"] or "dim_ordering" in config  # some of Keras 1 leave it out
        if not others and told and "compute_output_shape" in case.record:
            shape = tuple(given["shape"])
            assert _as_lists(made.compute_output_shape(shape)) == _as_lists(old.compute_output_shape(shape)), case.id
    assert len(seen) > 150


def test_hard_sigmoid_is_the_old_one() -> None:
    x = torch.tensor([-3.0, 1.0, 2.0])
    for space in (keras1, keras2, tf_keras):
        assert torch.allclose(space.layers.Activation("hard_sigmoid")(x), torch.tensor([0.0, 0.7, 0.9]))
    assert torch.allclose(lamina.layers.Activation("hard_sigmoid")(x), torch.tensor([0.0, 4 / 6, 5 / 6]))


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=lambda space: space.__name__)
def test_a_refused_layer_counts_no_name(space: ModuleType) -> None:
    space.backend.clear_session()
    for wrong in (lambda: space.layers.Dense(-3), lambda: space.layers.Dense(3, activation="unheard")):
        with pytest.raises(ValueError, match=r"-3|unheard"):
            wrong()
    assert space.layers.Dense(3).name == ("dense" if space is tf_keras else "dense_1")


def test_names_count_from_one() -> None:
    keras1.backend.clear_session()
    assert [keras1.layers.MaxPooling2D().name for _ in range(2)] == ["maxpooling2d_1", "maxpooling2d_2"]
    keras2.backend.clear_session()
    assert keras2.layers.MaxPooling2D().name == "max_pooling2d_1"


# Files and methods ----------------------------------------------------------------------------------------------------

LOAD = """
import sys
import numpy as np
from lamina.saving import load_model

for path in sys.argv[1:]:
    stored = np.load(f"{path}.npz")
    model = load_model(path)
    assert type(model).__module__ == str(stored["module"]), type(model)
    assert type(model.optimizer).__name__ == "Adam"
    x = [stored[name] for name in ("words", "picture")]
    np.testing.assert_allclose(model.predict(x, verbose=0), stored["y"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.train_on_batch(x, stored["y"]), stored["loss"], rtol=1e-5)
"""


def of_every_kind(space: ModuleType, name: str) -> object:
    """A model whose layers differ from today's: gates, kernels, hard sigmoids, moving statistics."""
    first = name == "keras1"
    layers = space.layers
    words, picture = layers.Input(shape=(5,)), layers.Input(shape=(6, 6, 3))
    sizes, padding = ((3, 3), "border_mode") if first else (((3, 3),), "padding")
    x = layers.Convolution2D(4, *sizes, **{padding: "same"}, activation="hard_sigmoid")(picture)
    x = layers.Flatten()(layers.BatchNormalization()(layers.MaxPooling2D()(x)))
    inner = "inner_activation" if first else "recurrent_activation"
    gated = layers.LSTM(3, return_sequences=True, **{inner: "hard_sigmoid"})
    y = layers.Bidirectional(layers.GRU(3))(gated(layers.Embedding(9, 4)(words)))
    both = layers.merge([x, y], mode="concat") if first else layers.concatenate([x, y])
    model = space.models.Model([words, picture], layers.Dense(2)(both))
    model.compile(space.optimizers.Adam(0.01), "mse")
    return model


def test_a_fresh_process_loads_the_models(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    words, picture = generator.integers(0, 9, (4, 5)), generator.random((4, 6, 6, 3), "float32")
    paths = []
    for space in (keras1, keras2, tf_keras):
        name = space.__name__.removeprefix("lamina.")
        model = of_every_kind(space, name)
        model.train_on_batch([words, picture], np.ones((4, 2)))
        for ending in ("keras", "h5"):
            paths.append(str(tmp_path / f"{name}.{ending}"))
            model.save(paths[-1])
        y = model.predict([words, picture], verbose=0)
        stored = {"words": words, "picture": picture, "y": y, "module": f"lamina.{name}.models"}
        loss = model.train_on_batch([words, picture], y)
        for path in paths[-2:]:
            np.savez(f"{path}.npz", loss=loss, **stored)
    done = subprocess.run([sys.executable, "-c", LOAD, *paths], capture_output=True, text=True, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr


def test_a_modern_model_of_old_parts_is_loaded(tmp_path: Path) -> None:
    described = {"class_name": "LSTM", "config": keras1.layers.LSTM(3, input_shape=(4, 2)).get_config()}
    model = lamina.Sequential([lamina.Input((4, 2)), generations.modern_from_config("keras1", described)])
    x = np.random.rand(2, 4, 2).astype("float32")
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        again = lamina.saving.load_model(tmp_path / name)
        np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0))
        assert again.layers[0].recurrent_activation is model.layers[0].recurrent_activation


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=lambda space: space.__name__)
def test_arguments_of_methods_by_position(space: ModuleType) -> None:
    """`metrics` came third, and Keras 1 trained ten epochs where it was not told otherwise."""
    model = space.models.Sequential([space.layers.Dense(2, input_shape=(3,))])
    model.compile("sgd", "mse", ["mae"])
    x, y = np.ones((4, 3)), np.ones((4, 2))
    assert len(model.fit(x, y, 2, verbose=0).history["mae"]) == (10 if space is keras1 else 1)
    assert len(model.evaluate(x, y, 2, 0)) == 2
    assert model.metrics_names == ["loss", "mean_absolute_error" if space is keras1 else "mae"]
    with pytest.raises(TypeError, match="fit got argument `x` twice"):
        model.fit(x, x=x)


def test_metrics_are_of_every_output() -> None:
    a = keras2.layers.Input((3,))
    model = keras2.models.Model(a, [keras2.layers.Dense(1, name="b")(a), keras2.layers.Dense(1, name="c")(a)])
    model.compile("sgd", "mse", metrics=["mae"])
    model.evaluate(np.ones((4, 3)), [np.ones((4, 1))] * 2, verbose=0)
    assert model.metrics_names == ["loss", "b_loss", "c_loss", "b_mae", "c_mae"]


def test_samples_per_epoch_end_an_epoch() -> None:
    model = keras1.models.Sequential([keras1.layers.Dense(2, input_dim=3)])
    model.compile("sgd", "mse")
    given = []

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            given.append(4)
            yield np.ones((4, 3)), np.ones((4, 2))

    model.fit_generator(batches(), 10, 2, verbose=0, validation_data=batches(), nb_val_samples=5)
    assert 2 * 3 + 2 * 2 <= len(given) < 2 * 3 + 2 * 2 + 4  # a few may be read ahead
    assert model.predict_generator(batches(), 7).shape == (8, 2)


def test_the_rate_is_set_beside_its_decay() -> None:
    model = keras2.models.Sequential([keras2.layers.Dense(1, input_shape=(1,), use_bias=False)])
    model.compile(keras2.optimizers.SGD(lr=1.0, decay=1.0), "mse")
    model.set_weights([np.zeros((1, 1))])
    moved = []
    for rate in (1.0, 1.0, 0.5):
        keras2.backend.set_value(model.optimizer.lr, rate)
        assert model.optimizer.get_config()["learning_rate"] == rate
        before = model.get_weights()[0]
        model.train_on_batch(np.ones((1, 1)), before + 0.5)  # a gradient of -1
        moved.append((model.get_weights()[0] - before).item())
    np.testing.assert_allclose(moved, [1, 1 / 2, 0.5 / 3], rtol=1e-5)
    model.optimizer.lr = 0.25
    assert keras2.backend.get_value(model.optimizer.learning_rate) == 0.25


def test_checkpoints_with_names_of_the_time(tmp_path: Path) -> None:
    model = keras2.models.Sequential([keras2.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    path = str(tmp_path / "w.{epoch:02d}.hdf5")
    saver = keras2.callbacks.ModelCheckpoint(path, save_weights_only=True, period=2)
    model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=4, verbose=0, callbacks=[saver])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["w.02.hdf5", "w.04.hdf5"]
    weights = model.get_weights()
    model.load_weights(path.format(epoch=2))
    assert not np.array_equal(weights[0], model.get_weights()[0])
    model.load_weights(path.format(epoch=4))
    assert np.array_equal(weights[0], model.get_weights()[0])


def test_a_subclassed_model() -> None:
    class Mine(keras2.models.Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner = keras2.layers.Dense(2, activation="hard_sigmoid")

        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.inner(inputs)

    model = Mine()
    model.compile("adam", "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    assert model.predict(np.ones((4, 3))).shape == (4, 2)
    a = keras2.layers.Input((3,))
    assert isinstance(keras2.models.Model(a, keras2.layers.Dense(2)(a)), keras2.models.Model)


@pytest.mark.parametrize("return_sequences", [True, False])
def test_time_first(return_sequences: bool) -> None:
    options = {"return_sequences": return_sequences, "return_state": True}
    layer, plain = tf_keras.layers.LSTM(3, time_major=True, **options), tf_keras.layers.LSTM(3, **options)
    x, mask = torch.randn(5, 2, 4), torch.arange(5)[:, None] < torch.tensor([5, 3])
    outputs, *states = layer(x, mask=mask)
    plain(x)
    plain.set_weights(layer.get_weights())
    expected, *last = plain(x.transpose(0, 1), mask=mask.T)
    torch.testing.assert_close(outputs, expected.transpose(0, 1) if return_sequences else expected)
    torch.testing.assert_close(states, last)
    first = layer.compute_output_shape((5, 2, 4))[0]
    assert first == ((5, 2, 3) if return_sequences else (2, 3))
    for again in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer), tf_keras.layers.LSTM.from_config(
        layer.get_config()
    )):  # fmt: skip
        again(x)
        again.set_weights(layer.get_weights())
        torch.testing.assert_close(again(x, mask=mask)[0], outputs)
    both, beside = tf_keras.layers.Bidirectional(layer), tf_keras.layers.Bidirectional(plain)
    both(x), beside(x.transpose(0, 1))
    beside.set_weights(both.get_weights())
    expected, *last = beside(x.transpose(0, 1), mask=mask.T)
    again = tf_keras.layers.Bidirectional.from_config(both.get_config())
    again(x)
    again.set_weights(both.get_weights())
    for each in (both, again):
        outputs, *states = each(x, mask=mask)
        torch.testing.assert_close(outputs, expected.transpose(0, 1) if return_sequences else expected)
        torch.testing.assert_close(states, last)


def test_radial_constraint() -> None:
    w = torch.arange(16.0).reshape(4, 4, 1, 1)
    kept = tf_keras.constraints.RadialConstraint()(w)[:, :, 0, 0]
    assert torch.equal(kept, torch.tensor([[15.0] * 4, [15, 5, 5, 15], [15, 5, 5, 15], [15] * 4]))
    with pytest.raises(ValueError, match="4 axes"):
        tf_keras.constraints.radial_constraint()(w[0])


# import keras ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_keras() -> Iterator[None]:
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] in ("keras", "tensorflow")}
    if generations.alias.installed_keras() is not None:
        pytest.skip("a Keras is installed here")
    yield
    generations.uninstall()
    assert {n: m for n, m in sys.modules.items() if n.split(".")[0] in ("keras", "tensorflow")} == before


@pytest.mark.parametrize(
    ("generation", "line", "expected"),
    [
        ("keras1", "from keras.layers.convolutional import Convolution2D as found", "Convolution2D"),
        ("keras1", "from keras.objectives import mse as found", "mean_squared_error"),
        ("keras2", "from keras.layers.core import Dense as found", "Dense"),
        ("keras2", "import keras.layers.recurrent as m; found = m.LSTM", "LSTM"),
        ("tf_keras", "from tensorflow.keras.layers import Dense as found", "Dense"),
        ("tf_keras", "from tf_keras import layers; found = layers.Dense", "Dense"),
        ("tf_keras", "import tensorflow as tf; found = tf.keras.layers.Dense", "Dense"),
        ("keras3", "from keras.layers import Dense as found", "Dense"),
    ],
)
@pytest.mark.usefixtures("no_keras")
def test_install(generation: str, line: str, expected: str) -> None:
    generations.install(generation)
    names: dict = {}
    exec(line, names)
    assert names["found"].__name__ == expected
    if generation != "keras3" and inspect.isclass(names["found"]):
        assert names["found"].__module__ == f"lamina.{generation}.layers"


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("from keras.layers import Convolution4D", "Convolution4D of Keras 1.2.2 is not in Lamina"),
    ],
)
@pytest.mark.usefixtures("no_keras")
def test_what_is_not_there_says_what_to_use(line: str, hint: str) -> None:
    generations.install("keras1")
    with pytest.raises(ImportError, match=hint):
        exec(line, {})


@pytest.mark.parametrize("generation", ["keras1", "keras2", "tf_keras", "keras3"])
@pytest.mark.usefixtures("no_keras")
def test_an_installed_keras_is_one_package(generation: str) -> None:
    """Its name, what it reloads to, and modules imported later: one object each, and none is left behind."""
    generations.install(generation)
    keras = importlib.import_module("keras")
    assert keras.__name__ == "keras"
    layers = importlib.import_module("keras.layers")
    assert importlib.reload(layers) is layers is importlib.import_module(".layers", "keras")
    assert importlib.util.find_spec("keras.layers") is not None
    with pytest.raises(ImportError):
        importlib.import_module("keras.nonsense")
    with pytest.raises(ImportError):
        importlib.import_module("tensorflow.nonsense")
    if generation == "keras3":
        dense = importlib.import_module("keras.layers.dense")
        assert dense is importlib.import_module("lamina.layers.dense")
    generations.install("keras2" if generation == "keras1" else "keras1")
    other = importlib.import_module("keras")
    assert other is not keras
    assert other.__name__ == "keras"
    assert keras.__name__ == f"lamina.{generation}".removesuffix(".keras3")


@pytest.mark.usefixtures("no_keras")
def test_a_backend_that_is_none_changes_nothing() -> None:
    generations.install("keras1")
    with pytest.raises(ValueError, match='"tensorflow" or "theano"; got'):
        generations.install("keras2", backend="jax")
    assert sys.modules["keras"] is keras1


@pytest.mark.usefixtures("no_keras")
def test_star_imports() -> None:
    generations.install("keras1")
    names: dict = {}
    for module in ("layers", "layers.core", "models", "optimizers", "callbacks", "regularizers", "backend"):
        exec(f"from keras.{module} import *", names)
    assert {"Dense", "Convolution2D", "Sequential", "SGD", "EarlyStopping", "l2", "image_dim_ordering"} <= set(names)
    exec("from keras.preprocessing.sequence import pad_sequences; import keras; version = keras.__version__", names)
    assert names["version"] == "1.2.2"
    assert names["pad_sequences"]([[1], [1, 2]]).tolist() == [[0, 1], [1, 2]]


def test_install_leaves_another_keras_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ModuleType("keras")
    other.__spec__ = importlib_spec("keras", "/somewhere/keras/__init__.py")
    monkeypatch.setitem(sys.modules, "keras", other)
    with pytest.raises(ImportError, match="/somewhere/keras"):
        generations.install("keras2")
    assert sys.modules["keras"] is other
    generations.install("keras2", replace=True)
    assert sys.modules["keras"] is keras2
    generations.uninstall()
    assert sys.modules["keras"] is other
    with pytest.raises(ValueError, match="keras1, keras2, tf_keras, keras3"):
        generations.install("keras4")


def importlib_spec(name: str, origin: str) -> object:
    from importlib.machinery import ModuleSpec

    return ModuleSpec(name, None, origin=origin)


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras])
def test_compiling_again_starts_afresh_and_fails_without_a_trace(space: ModuleType) -> None:
    model = space.models.Sequential([space.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse", metrics=["mae"])
    before = model.get_compile_config()
    with pytest.raises(ValueError, match="no_such"):
        model.compile("sgd", "no_such")
    assert model.get_compile_config() == before
    model.compile("sgd", "mse")
    assert len(model.metrics_names) == (0 if space is tf_keras else 1)  # there: of the first batch on


# What `compile` found trainable is trained until the next one ---------------------------------------------------------

OLD = pytest.mark.parametrize("space", [keras1, keras2, tf_keras])
LATER = "was set after `compile`"


def changed(model: lamina.Model, act: object) -> list[bool]:
    """Which weights an action changes."""
    before = model.get_weights()
    act()
    return [not np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)]


def adversaries(space: ModuleType) -> tuple[lamina.Model, lamina.Model, lamina.Model]:
    """A discriminator, compiled and then frozen for the compiled model of the generator and it."""
    layers = space.layers
    judge = space.models.Sequential(
        [layers.Dense(8, activation="tanh", input_shape=(1,)), layers.Dense(1, activation="sigmoid")]
    )
    judge.compile(space.optimizers.Adam(0.05), "binary_crossentropy")
    maker = space.models.Sequential([layers.Dense(8, activation="tanh", input_shape=(3,)), layers.Dense(1)])
    judge.trainable = False
    start = layers.Input(shape=(3,))
    both = space.models.Model(start, judge(maker(start)))
    both.compile(space.optimizers.Adam(0.05), "binary_crossentropy")
    return judge, maker, both


@OLD
@pytest.mark.parametrize("toggled", [False, True])
@pytest.mark.parametrize("method", ["train_on_batch", "fit"])
@pytest.mark.filterwarnings(f"ignore:.*{LATER}")
def test_both_halves_of_a_gan_learn(space: ModuleType, toggled: bool, method: str) -> None:
    """Real samples lie at 5, made ones at first near 0."""
    torch.manual_seed(1)
    generator = np.random.default_rng(1)
    judge, maker, both = adversaries(space)
    once = {
        "verbose": 0,
        "nb_epoch" if space is keras1 else "epochs": 1,
    }  # more would satisfy the judge to the last bit
    noise, options = generator.normal(size=(64, 3)), once if method == "fit" else {}
    x = np.concatenate([generator.normal(5, 0.5, size=(64, 1)), maker.predict(noise)])
    yes = np.ones((64, 1))
    y = np.concatenate([yes, 0 * yes])
    before = judge.evaluate(x, y, verbose=0)
    for _ in range(30):  # the judge by itself
        judge.trainable = toggled
        assert all(changed(judge, lambda: getattr(judge, method)(x, y, **options)))
        judge.trainable = False
    assert judge.evaluate(x, y, verbose=0) < before / 2
    made = maker.predict(noise).mean()
    for _ in range(60):
        judge.trainable = toggled
        assert not any(changed(judge, lambda: getattr(both, method)(noise, yes, **options)))
    assert maker.predict(noise).mean() > made + 2
    assert all(changed(maker, lambda: both.fit(noise, yes, verbose=0)))
    assert judge.trainable is toggled and bool(judge.trainable_weights) is toggled


@OLD
@pytest.mark.parametrize("built", [False, True])
def test_a_layer_frozen_after_compile_trains_until_the_next(space: ModuleType, built: bool) -> None:
    layers = space.layers
    first = layers.Dense(4, activation="tanh", **({"input_shape": (3,)} if built else {}))
    model = space.models.Sequential([first, layers.BatchNormalization(), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.random.default_rng(0).normal(size=(8, 3)), np.ones((8, 1))
    if not built:
        model.build((None, 3))
    for layer in model.layers[:2]:
        layer.trainable = False
    moves = space is not keras2  # there averages of layers that are frozen at the first step stay
    with pytest.warns(UserWarning, match=LATER) as told:
        assert changed(model, lambda: model.train_on_batch(x, y)) == [True] * 4 + [moves] * 2 + [True] * 2
    assert told[0].filename == __file__
    assert changed(model, lambda: model.fit(x, y, verbose=0)) == [True] * 4 + [moves] * 2 + [True] * 2  # said once
    assert not model.layers[0].trainable_weights and not model.layers[0].kernel.requires_grad
    moves = space is keras1  # there averages do not ask whether their layer is frozen
    model.compile("sgd", "mse")
    assert changed(model, lambda: model.fit(x, y, verbose=0)) == [False] * 4 + [moves] * 2 + [True] * 2
    model.layers[0].trainable = True
    with pytest.warns(UserWarning, match=LATER) as told:
        assert changed(model, lambda: model.fit(x, y, verbose=0)) == [False] * 4 + [moves] * 2 + [True] * 2
    assert told[0].filename == __file__
    assert model.layers[0].kernel.requires_grad


@OLD
@pytest.mark.filterwarnings(f"ignore:.*{LATER}")
def test_penalties_count_as_compiled(space: ModuleType) -> None:
    judge = space.models.Sequential([space.layers.Dense(1, input_shape=(2,))])
    judge.layers[0].kernel.regularizer = lamina.regularizers.L2(1.0)
    judge.compile("sgd", "mse")
    judge.trainable = False
    x = np.zeros((4, 2))
    expected = float((judge.get_weights()[0] ** 2).sum())
    for loss in (judge.evaluate(x, x[:, :1], verbose=0), judge.test_on_batch(x, x[:, :1])):
        assert loss == pytest.approx(expected, rel=1e-5)
    assert judge.train_on_batch(x, x[:, :1]) == pytest.approx(expected, rel=1e-5)


@OLD
@pytest.mark.filterwarnings(f"ignore:.*{LATER}")
def test_the_optimizer_of_a_frozen_model_keeps_its_state(space: ModuleType, tmp_path: Path) -> None:
    """Copied, pickled, and with weights and state from a file before its first step."""
    x, y = np.ones((4, 1)), np.zeros((4, 1))
    trained, _, _ = adversaries(space)
    trained.train_on_batch(x, y)
    trained.save_weights(tmp_path / "judge.weights.h5")
    fresh, _, _ = adversaries(space)
    fresh.load_weights(tmp_path / "judge.weights.h5")
    for model in (copy.deepcopy(trained), fresh):
        assert all(changed(model, lambda model=model: model.train_on_batch(x, y)))
    trained.train_on_batch(x, y)
    for one, other in zip(trained.get_weights(), fresh.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


# Losses and metrics beside the outputs --------------------------------------------------------------------------------


def autoencoder(space: ModuleType) -> tuple[lamina.Model, object]:
    """A model and its squared error from its input, as a symbolic tensor."""
    start = space.layers.Input(shape=(8,))
    output = space.layers.Dense(8)(start)
    return space.models.Model(start, output), space.backend.mean(space.backend.square(output - start))


def squares(model: lamina.Model, x: np.ndarray, target: object) -> float:
    return float(((model(x).detach().numpy() - target) ** 2).mean())


X8 = np.random.default_rng(3).normal(size=(16, 8)).astype("float32")


@OLD
def test_a_model_trains_on_a_symbolic_loss(space: ModuleType) -> None:
    model, loss = autoencoder(space)
    model.add_loss(loss)
    assert model.losses == [loss] and model.output_names == [model.layers[-1].name] and len(model.layers) == 2
    model.compile(space.optimizers.Adam(0.05))
    before = squares(model, X8, X8)
    assert model.evaluate(X8, None, verbose=0) == pytest.approx(before, rel=1e-5)
    found = model.fit(X8, None, **{"nb_epoch" if space is keras1 else "epochs": 40}, verbose=0).history["loss"]
    assert found[0] == pytest.approx(before, rel=1e-5) and found[-1] < before / 2
    assert [float(one.detach()) for one in model.losses] == pytest.approx([found[-1]], rel=1e-5)
    before = squares(model, X8, X8)
    assert model.train_on_batch(X8, None) == pytest.approx(before, rel=1e-5)
    assert model.predict(X8).shape == (16, 8)


@OLD
@pytest.mark.parametrize("kind", ["itself", "copy", "clone", "nested", "sequential", "masked", "float64"])
def test_an_added_loss_counts_beside_the_compiled_one(space: ModuleType, kind: str) -> None:
    """And a list of them, a function without arguments, and a metric."""
    lamina.utils.set_random_seed(0)  # else the mean may lie so near 0 that nothing of it is exact
    backend = space.backend
    model, loss = autoencoder(space)
    if kind == "sequential":
        model = space.models.Sequential([space.layers.Dense(8, input_shape=(8,))])
        loss = backend.mean(backend.square(model.output - model.input))
    kernel = model.layers[-1].kernel
    model.add_loss([loss, 2 * loss])
    model.add_loss(lambda: backend.sum(backend.square(kernel)))
    model.add_metric(backend.mean(model.output), name="height", aggregation="mean")
    if kind == "clone":
        model, weights = lamina.models.clone_model(model), model.get_weights()
        model.set_weights(weights)
    elif kind == "copy":
        model = copy.deepcopy(model)
    elif kind == "nested":
        start = space.layers.Input(shape=(8,))
        model = space.models.Model(start, model(start))
    elif kind == "float64":
        model.double()
        kernel = model.layers[-1].kernel
    model.compile("sgd", "mse")
    x, y = X8, np.ones((16, 8), "float32")
    if kind == "masked":
        own, call = model, type(model).__call__
        model(x, mask=torch.ones(16, 8, dtype=torch.bool))
        assert len(own.losses) == 3 and call is type(model).__call__
    expected = squares(model, x, y) + 3 * squares(model, x, x) + float((kernel**2).sum().detach())
    height = float(model(x).mean().detach())
    model.reset_metrics()
    assert model.evaluate(x, y, verbose=0) == pytest.approx([expected, height], rel=1e-4)
    history = model.fit(x, y, **{"nb_epoch" if space is keras1 else "epochs": 1}, verbose=0).history
    assert [history["loss"][0], history["height"][0]] == pytest.approx([expected, height], rel=1e-4)
    assert len(model.losses) == 3 and model.metrics_names == ["loss", "height"]


@OLD
def test_a_layer_that_only_the_loss_needs_is_trained(space: ModuleType) -> None:
    model, _ = autoencoder(space)
    head = space.layers.Dense(1)
    model.add_loss(space.backend.mean(space.backend.square(head(model.output) - 1.0)))
    assert model.layers[-1] is head and len(model.get_weights()) == 4
    model.compile("sgd")
    assert all(changed(model, lambda: model.fit(X8, None, verbose=0)))


@OLD
def test_what_cannot_be_added_is_refused(space: ModuleType) -> None:
    model, loss = autoencoder(space)
    elsewhere = space.layers.Input(shape=(3,))
    row = space.models.Sequential([space.layers.Dense(8, input_shape=(8,))])
    row.add_loss(space.backend.mean(row.output))
    refused = [
        (lambda: lamina.models.clone_model(row), "make it a functional model"),
        (lambda: model.add_loss("0.5"), "takes symbolic tensors"),
        (lambda: model.add_loss(space.backend.sum(model.layers[-1].kernel)), "once and for all"),
        (lambda: model.add_loss(elsewhere), "disconnected"),
        (lambda: model.layers[-1].add_loss(loss), "A symbolic one has no values"),
        (lambda: model.add_metric(loss), "takes a `name`"),
        (lambda: model.add_metric(loss, name="a", aggregation="max"), "aggregation='mean'"),
        (lambda: space.models.Sequential([space.layers.Dense(2)]).add_loss(loss), "whose input shape is known"),
    ]
    for act, message in refused:
        with pytest.raises(ValueError, match=message):
            act()
    assert model.losses == []
    model.compile("sgd")
    with pytest.raises(ValueError, match="has no loss"):
        model.fit(X8, None, verbose=0)


@OLD
def test_a_config_leaves_added_losses_out_and_says_so(space: ModuleType, tmp_path: Path) -> None:
    model, loss = autoencoder(space)
    plain = model.get_config()
    model.add_loss(loss)
    with pytest.warns(UserWarning, match="leave out what `add_loss`"):
        assert model.get_config() == plain
    model.save_weights(tmp_path / "a.weights.h5")
    model.load_weights(tmp_path / "a.weights.h5")


@OLD
def test_a_layer_adds_losses_and_metrics_in_its_call(space: ModuleType) -> None:
    backend = space.backend

    class Penalty(space.layers.Layer):
        def call(self, x: torch.Tensor) -> torch.Tensor:
            self.add_loss(backend.sum(x), inputs=x)
            self.add_loss([backend.sum(x), backend.mean(x)], inputs=[x])
            self.add_metric(backend.mean(x), name="height")
            return x

        compute_output_shape = get_output_shape_for = lambda self, shape: shape

    start = space.layers.Input(shape=(8,))
    model = space.models.Model(start, Penalty()(start))
    model.compile("sgd")
    expected = [2 * X8.sum() + X8.mean(), X8.mean()]
    assert model.evaluate(X8, None, verbose=0) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras])
def test_weights_of_own_layers_are_added_in_the_order_of_the_time(space) -> None:
    class Own(space.layers.Layer):
        def build(self, shape) -> None:
            if space is keras1:
                self.kernel = self.add_weight((3, 4), "one", "k", True, None, None)
                self.bias = self.add_weight((4,), "zero", name="b", trainable=False)
            else:
                self.kernel = self.add_weight("k", (3, 4), "float32", "ones", None, True)
                self.bias = self.add_weight("b", [4], initializer="zeros", trainable=False)
            super().build(shape)

        def call(self, x, mask=None):
            return space.backend.dot(x, self.kernel) + self.bias

    layer = Own()
    np.testing.assert_allclose(space.backend.get_value(layer(torch.ones(2, 3))), np.full((2, 4), 3.0))
    assert [weight.name.rpartition("/")[2].split(":")[0] for weight in layer.weights] == ["k", "b"]
    assert [weight.requires_grad for weight in layer.weights] == [True, False]


def test_tensorflows_words_of_where_a_weight_lies_are_taken() -> None:
    class Own(tf_keras.layers.Layer):
        def build(self, shape) -> None:
            words = {"use_resource": True, "synchronization": "auto", "aggregation": "mean", "partitioner": None}
            self.kernel = self.add_weight(name="k", shape=(3, 4), experimental_autocast=False, trainable=None, **words)
            with pytest.raises(TypeError, match="unheard"):
                self.add_weight(name="l", shape=(3,), unheard=1)

        def call(self, x):
            return x @ self.kernel

    layer = Own()
    layer(torch.ones(2, 3))
    assert not layer.kernel.autocast
    assert layer.kernel.requires_grad


@pytest.mark.parametrize("generation", SPACES)
def test_methods_of_models_have_the_signatures_of_the_time(generation: str) -> None:
    space, table = SPACES[generation]
    layer = space.layers.Input((2,))
    functional = space.models.Model(layer, space.layers.Dense(1)(layer))
    for model in (functional, space.models.Model, space.models.Sequential):
        for method in ("fit", "evaluate", "predict", "fit_generator", "train_on_batch"):
            own = table.methods.get(f"Sequential.{method}") if model is space.models.Sequential else None
            told = inspect.signature(getattr(model, method))
            names = [name for name in told.parameters if name != "self"]
            assert names == list(words_of(own or table.methods[method]))


def words_of(text: str) -> list[str]:
    return [*inspect.signature(eval(f"lambda {text}: None")).parameters]


@pytest.mark.parametrize("space", [keras2, tf_keras], ids=["keras2", "tf_keras"])
def test_a_summary_is_told_line_by_line(space):
    model = space.models.Sequential([space.layers.Dense(2, input_shape=(3,))])
    lines = []
    model.summary(None, None, lines.append)
    model.summary(print_fn=lines.append)
    assert len(lines) > 10 and lines[: len(lines) // 2] == lines[len(lines) // 2 :]
    assert not any("\n" in line for line in lines)


def built_config(layer, shape):
    layer.build(shape)
    return layer.get_config()


def test_configs_hold_what_the_original_tells_when() -> None:
    """As Keras 1.2.2 and tf_keras 2.21: before a layer is built, after it, and where an argument was given."""
    batch_norm = tf_keras.layers.BatchNormalization
    assert batch_norm().get_config()["axis"] == -1
    for layer, shape, axes in (
        (batch_norm(), (None, 4, 4, 3), [3]),
        (batch_norm(axis=1), (None, 4, 4, 3), [1]),
        (batch_norm(axis=[1, -1]), (None, 4, 4, 3), [1, 3]),
    ):
        config = built_config(layer, shape)
        assert config["axis"] == axes and not [key for key in config if "renorm" in key]
    renormed = built_config(batch_norm(renorm=True), (None, 3))
    assert {"renorm", "renorm_clipping", "renorm_momentum"} <= renormed.keys()

    lstm = keras1.layers.LSTM(3, stateful=True, input_dim=4, input_length=3)
    told = {key: value for key, value in lstm.get_config().items() if key.startswith("input_") and key != "input_dtype"}
    assert told == {"input_dim": 4, "input_length": 3}
    lstm = keras1.layers.LSTM(3, stateful=True, batch_input_shape=(2, 3, 4))
    keras1.models.Sequential([lstm])
    assert lstm.get_config()["batch_input_shape"] == (2, 3, 4)
    assert not {"input_dim", "input_length"} & lstm.get_config().keys()

    rnn = tf_keras.layers.RNN(tf_keras.layers.LSTMCell(3), return_sequences=True)
    assert not {"zero_output_for_mask", "num_constants"} & rnn.get_config().keys()
    rnn = tf_keras.layers.RNN(tf_keras.layers.LSTMCell(3), return_sequences=True, zero_output_for_mask=True)
    assert rnn.get_config()["zero_output_for_mask"] is True

    legacy = tf_keras.optimizers.legacy
    rest = {"name": "SGD", "learning_rate": pytest.approx(0.01), "momentum": 0.0, "nesterov": False}
    assert legacy.SGD().get_config() == {**rest, "decay": 0.0}
    assert legacy.SGD(decay=0.5, clipnorm=1.0).get_config() == {**rest, "decay": 0.5, "clipnorm": 1.0}
    assert not {"decay", "lr"} & tf_keras.optimizers.SGD().get_config().keys()
    for cls in (tf_keras.layers.TextVectorization, tf_keras.layers.StringLookup):
        assert cls(vocabulary=["a"]).get_config()["dtype"] == ("string" if "Text" in cls.__name__ else "int64")


def test_functions_in_configs_are_told_with_their_kind() -> None:
    for space, more in ((keras1, {}), (keras2, {}), (tf_keras, {"module": None, "output_shape_module": None})):
        layer = space.layers.Lambda(lambda x, a=2: x * a, output_shape=(3,), arguments={"a": 3})
        config = {key: value for key, value in layer.get_config().items() if key not in ("name", "trainable", "dtype")}
        code, defaults, closure = config.pop("function")
        assert isinstance(code, str) and tuple(defaults) == (2,) and closure is None
        raw = {"function_type": "lambda", "output_shape": (3,), "output_shape_type": "raw", "arguments": {"a": 3}}
        assert config == {**raw, **more}
        config = space.layers.Lambda(built_config).get_config()
        assert (config["function"], config["function_type"]) == ("built_config", "function")
        assert config["output_shape"] is None and config["output_shape_type"] == "raw"


@pytest.mark.parametrize("space", [keras2, tf_keras])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("added", [False, True])
def test_stacks_that_do_not_know_their_input_stand_in_others(space: ModuleType, deep: bool, added: bool) -> None:
    """Losses as recorded with Keras 2.3.1 and tf_keras 2.21."""
    Sequential, Dense = space.models.Sequential, space.layers.Dense
    inner = [Sequential([Dense(2)]), Sequential([Dense(3)])]
    if deep:
        inner = [Sequential([Sequential([Dense(2)])]), Sequential([Dense(4), Dense(3)])]
    model = Sequential() if added else Sequential(inner)
    for part in inner if added else ():
        model.add(part)
    x = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
    model.compile("sgd", "mse")
    model.fit(x, x, epochs=1, verbose=0)
    model.set_weights([np.cos(np.arange(w.size)).reshape(w.shape) for w in model.get_weights()])
    losses = model.fit(x, x, epochs=3, batch_size=2, shuffle=False, verbose=0).history["loss"]
    assert losses == pytest.approx([3.13206, 2.04169, 1.4121] if deep else [1.27735, 1.15413, 1.04618], rel=1e-4)
