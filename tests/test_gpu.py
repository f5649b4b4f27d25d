"""What a layer computes on a GPU, and how models train there: as on the CPU."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import pytest
import torch
from support.examples import EXAMPLES, RANDOM, Example, floats, reset
from test_pictures import MAKERS, MIXED, each_or_mixed
from torch import Tensor
from torch.utils import _pytree as pytree

import lamina as keras
from lamina import keras1, keras2, layers, losses, optimizers, tf_keras
from lamina.training import replay
from lamina.training.graphs import Captured, Graphed

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore:.*does not support masks:UserWarning"),
    pytest.mark.filterwarnings("ignore:RNN module weights are not part of single contiguous chunk of memory"),
]
DRAWING = RANDOM | MAKERS.keys() | MIXED.keys()  # each device draws its own
COMPARED = [example for example in EXAMPLES if example.name not in DRAWING]


@pytest.fixture(autouse=True)
def without_tf32() -> Any:
    matmul, convolution = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, convolution


def on(device: str, value: Any) -> Any:
    return pytree.tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, value)


def outputs_and_gradients(layer: Any, args: Any) -> list[Tensor]:
    args = pytree.tree_map(lambda leaf: leaf.detach().requires_grad_(leaf.is_floating_point()), args)
    outputs = reset(layer)(*args)
    total = sum((y * torch.linspace(0.5, 1.5, y.numel()).to(y).reshape(y.shape)).sum() for y in floats(outputs))
    inputs = [leaf for leaf in pytree.tree_leaves(args) if leaf.requires_grad]
    sources = [*inputs, *(weight for weight in layer.parameters() if weight.requires_grad)]
    found = [y for y in pytree.tree_leaves(outputs) if isinstance(y, Tensor)]
    if sources and isinstance(total, Tensor) and total.requires_grad:
        found += torch.autograd.grad(total, sources, allow_unused=True, materialize_grads=True)
    return [each.detach() for each in found]


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("example", COMPARED, ids=lambda example: example.id)
def test_layer_computes_as_on_the_cpu(example: Example, training: bool) -> None:
    layer, args = example.built().train(training), example.tensors()
    if training and any(getattr(each, "dropout", 0) for each in layer.modules()):
        return  # each device draws its own
    expected = outputs_and_gradients(copy.deepcopy(layer), args)
    found = outputs_and_gradients(layer.to("cuda"), on("cuda", args))
    assert all(each.is_cuda for each in found)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "example", [e for e in COMPARED if e.name in ("Conv2D", "Dense", "LSTM", "GRU", "SimpleRNN")], ids=lambda e: e.id
)
def test_weights_may_lie_in_any_order(example: Example) -> None:
    layer, args = example.built(), example.tensors()
    expected = outputs_and_gradients(copy.deepcopy(layer), args)
    layer.to("cuda")
    for weight in layer.weights:
        weight.data = weight.data.contiguous()
    for ours, theirs in zip(outputs_and_gradients(layer, on("cuda", args)), expected, strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-3, atol=1e-4)


def mlp() -> Any:
    return keras.Sequential([layers.Input((12,)), layers.Dense(16, "relu"), layers.Dense(3, "softmax")])


def cnn() -> Any:
    return keras.Sequential(
        [
            layers.Input((12, 12, 3)),
            layers.Conv2D(8, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3, activation="relu"),
            layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, "softmax"),
        ]
    )


def text() -> Any:
    return keras.Sequential(
        [
            layers.Input((7,), dtype="int32"),
            layers.Embedding(20, 8, mask_zero=True),
            layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
            layers.GRU(5),
            layers.Dense(3, "softmax"),
        ]
    )


def branches() -> Any:
    x = layers.Input((9, 4))
    a = layers.Conv1D(6, 3, padding="causal", activation="tanh")(x)
    b = layers.LocallyConnected1D(6, 1)(x)
    y = layers.LayerNormalization()(layers.Add()([a, b]))
    return keras.Model(x, layers.Dense(3, "softmax")(layers.Flatten()(y)))


def data(model: Any) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    shape = (50, *model.input_shape[1:])  # the last batch of an epoch is a shorter one
    whole = model.inputs[0].dtype == "int32"
    x = generator.integers(0, 20, shape) if whole else generator.normal(size=shape).astype("float32")
    return x, generator.integers(0, 3, 50)


SCHEDULE = optimizers.schedules.ExponentialDecay(0.05, 2, 0.5)
OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(0.01, clipnorm=1.0),
    "rmsprop": lambda: optimizers.RMSprop(0.003, centered=True),
    "schedule": lambda: optimizers.AdamW(optimizers.schedules.CosineDecay(0.01, 20)),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("make", [mlp, cnn, text, branches])
def test_model_trains_as_on_the_cpu(make: Any, optimizer: str) -> None:
    keras.utils.set_random_seed(1)
    ours = make()
    theirs = keras.models.clone_model(ours)
    theirs.set_weights(ours.get_weights())
    x, y = data(ours)
    histories = []
    for model, device in ((theirs, "cpu"), (ours, "cuda")):
        model.to(device)
        model.compile(OPTIMIZERS[optimizer](), losses.SparseCategoricalCrossentropy(), metrics=["accuracy"])
        told = model.fit(x, y, batch_size=16, epochs=4, shuffle=False, verbose=0, validation_data=(x, y)).history
        histories.append(
            {**told, "evaluated": model.evaluate(x, y, verbose=0), "predicted": model.predict(x, verbose=0)}
        )
    for name, expected in histories[0].items():
        np.testing.assert_allclose(histories[1][name], expected, rtol=5e-3, atol=5e-4, err_msg=name)
    for weight, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=2e-2, atol=2e-3)


RULES = ["SGD", "RMSprop", "Adagrad", "Adadelta", "Ftrl", "Lion", "Adam", "AdamW", "Adamax", "Nadam", "Lamb", "Muon"]
RULES += ["Adafactor", "ScheduleFreeAdamW"]
DECAYING = ["SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Adamax"]
OLDER = {"keras1": keras1.optimizers, "keras2": keras2.optimizers, "tf_keras": tf_keras.optimizers.legacy}
STEPS: dict[str, Any] = {
    **{name: (lambda name=name: getattr(optimizers, name)(0.05)) for name in RULES},
    **{f"{name} by a schedule": (lambda name=name: getattr(optimizers, name)(SCHEDULE)) for name in RULES},
    "momentum": lambda: optimizers.SGD(SCHEDULE, momentum=0.9, weight_decay=0.01),
    "Nesterov": lambda: optimizers.SGD(SCHEDULE, momentum=0.9, nesterov=True, clipnorm=0.5),
    "velocity": lambda: optimizers.RMSprop(SCHEDULE, momentum=0.9, centered=True),
    "peaks": lambda: optimizers.AdamW(SCHEDULE, amsgrad=True, global_clipnorm=0.5),
    **{
        f"{name} of {space}": (lambda name=name, rules=rules: getattr(rules, name)(lr=0.05, decay=0.2))
        for space, rules in OLDER.items()
        for name in DECAYING
    },
    "Nesterov of Keras 1": lambda: keras1.optimizers.SGD(lr=0.05, decay=0.2, momentum=0.9, nesterov=True),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rule", STEPS)
@pytest.mark.filterwarnings("ignore")
def test_captured_rule_steps_as_on_the_cpu(rule: str, dtype: torch.dtype) -> None:
    generator = np.random.default_rng(0)
    start = [generator.normal(size=(3, 4)), generator.normal(size=5)]
    grads = [[generator.normal(size=each.shape) for each in start] for _ in range(4)]
    found = {}
    for device in ("cpu", "cuda"):
        optimizer = STEPS[rule]()
        weights = [torch.nn.Parameter(torch.tensor(each, dtype=dtype, device=device)) for each in start]
        optimizer.build(weights)
        optimizer.capturable = device == "cuda"
        for step in grads:
            optimizer.apply([torch.tensor(each, dtype=dtype, device=device) for each in step])
        found[device] = [weight.detach().cpu() for weight in weights]
    for ours, theirs in zip(found["cuda"], found["cpu"], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("make", [mlp, cnn, text, branches])
def test_model_trains_in_mixed_precision(make: Any, policy: str) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = make().to("cuda")
    finally:
        keras.config.set_dtype_policy(before)
    x, y = data(model)
    model.compile(OPTIMIZERS["adam"](), losses.SparseCategoricalCrossentropy())
    found = model.fit(x, y, batch_size=16, epochs=12, verbose=0).history["loss"]
    assert np.isfinite(found).all()
    assert found[-1] < found[0]
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_step_is_recorded_once_and_replayed() -> None:
    model = cnn().to("cuda")
    x, y = data(model)
    model.compile("adam", losses.SparseCategoricalCrossentropy())
    model.fit(x, y, batch_size=10, epochs=2, verbose=0)
    assert model.train_function._replay is not None


def test_a_recorded_step_serves_the_next_fit() -> None:
    ours, theirs = cnn().to("cuda"), cnn().to("cuda")
    theirs.set_weights(ours.get_weights())
    x, y = data(ours)
    for model, how in ((ours, "auto"), (theirs, False)):
        model.compile("adam", losses.SparseCategoricalCrossentropy(), metrics=["accuracy"], jit_compile=how)
    recorded = []
    for _ in range(3):
        told = [model.fit(x, y, batch_size=10, shuffle=False, verbose=0).history for model in (ours, theirs)]
        np.testing.assert_allclose(told[0]["loss"], told[1]["loss"], rtol=1e-4)
        recorded.append(ours.train_function._replay)
    assert recorded[0] is not None and recorded[0] is recorded[1] is recorded[2]


def test_evaluation_is_recorded() -> None:
    model = cnn().to("cuda")
    x, y = data(model)
    results = {}
    for how in ("auto", False):
        model.compile(
            "adam",
            losses.SparseCategoricalCrossentropy(),
            metrics=["accuracy", "sparse_top_k_categorical_accuracy"],
            jit_compile=how,
        )
        results[how] = model.evaluate(x, y, batch_size=5, verbose=0)
        assert isinstance(model.test_function, Captured) == (how == "auto")
    np.testing.assert_allclose(results["auto"], results[False], rtol=1e-5)


def graphs_of(model: Any) -> list[Any]:
    recorded = [known.replay for known in model._plan.repeated._formats.values()]
    return [each.line for each in recorded if each is not None and isinstance(each.line, Graphed)]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictions are recorded from the second on, however long they take."""
    monkeypatch.setattr(replay, "EAGER_TIME_ON_GPU", 0.0)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("make", [mlp, cnn, text, branches])
def test_predictions_are_one_graph(make: Any, guard: Any) -> None:
    model = make().to("cuda")
    x, _ = data(model)
    inputs = torch.from_numpy(x).to("cuda", model.inputs[0].torch_dtype)
    with guard():
        expected = model.plan.run(inputs)
        found = [model(inputs) for _ in range(6)]
        assert len(graphs_of(model)) == 1
        assert len({each.data_ptr() for each in found}) == 6
        for each in found:
            torch.testing.assert_close(each, expected, rtol=0, atol=0)
        changed = model(inputs.flip(0))
        torch.testing.assert_close(changed, model.plan.run(inputs.flip(0)), rtol=0, atol=0)
    torch.testing.assert_close(torch.from_numpy(model.predict(x, verbose=0)), expected.cpu(), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        for weight in model.trainable_weights:
            weight.mul_(0.5)
    with guard():
        torch.testing.assert_close(model(inputs), model.plan.run(inputs), rtol=0, atol=0)


@pytest.mark.usefixtures("at_once")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("example", COMPARED, ids=lambda example: example.id)
def test_layer_predicts_the_same_again(example: Example) -> None:
    symbols = example.symbols(batch=2)
    model = keras.Model(pytree.tree_leaves(symbols), example.make()(*symbols)).to("cuda")
    twin = copy.deepcopy(model)  # with states of its own
    for seed in range(6):
        flat = on("cuda", pytree.tree_leaves(example.tensors(seed=seed)))
        with torch.no_grad():
            found = pytree.tree_leaves(model(flat if len(flat) > 1 else flat[0]))
            expected = pytree.tree_leaves(twin.plan.run(*flat))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, equal_nan=True)


@pytest.mark.usefixtures("at_once")
def test_threads_and_streams_predict_with_one_model() -> None:
    model = cnn().to("cuda")
    batches = [torch.randn(4, 12, 12, 3, device="cuda") for _ in range(8)]
    with torch.no_grad():
        expected = [model.plan.run(batch) for batch in batches]
        for batch in batches[:4]:
            model(batch)
    wrong: list[int] = []

    def work(index: int) -> None:
        stream = torch.cuda.Stream() if index % 2 else torch.cuda.default_stream()
        torch.cuda.synchronize()
        with torch.cuda.stream(stream), torch.no_grad():
            for _ in range(50):
                found = model(batches[index])
                stream.synchronize()
                if not torch.allclose(found, expected[index], rtol=1e-4, atol=1e-5):
                    wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(graphs_of(model)) == 1


@pytest.mark.parametrize("train", [False, True], ids=["forward", "and back"])
def test_profile_by_the_device_s_clock(train: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    model = cnn().to("cuda")
    told = keras.profile(model, batch_size=64, train=train, seconds=0.2)
    text = str(told)
    assert torch.cuda.get_device_name() in text and "conv2d" in text


def test_files_written_on_a_gpu_are_read_on_the_cpu(tmp_path: Any) -> None:
    model = text().to("cuda")
    x, y = data(model)
    model.compile("adam", losses.SparseCategoricalCrossentropy())
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-3, atol=1e-4)
    loaded.fit(x, y, verbose=0)


@each_or_mixed
def test_augmentation_computes_as_on_the_cpu(make: Any) -> None:
    images = torch.rand(256, 12, 10, 3, generator=torch.Generator().manual_seed(0)) * 255
    expected, found = make(seed=1)(images), make(seed=1)(images.cuda())
    assert found.is_cuda and found.dtype == expected.dtype
    torch.testing.assert_close(make(seed=1)(images.cuda()), found)
    kept = make(seed=1)(images.cuda(), training=False)
    torch.testing.assert_close(kept.cpu(), make(seed=1)(images, training=False), rtol=1e-4, atol=1e-2)
    assert make(seed=1)(images.to("cuda", torch.uint8)).dtype == torch.float32
    if type(make()).__name__ not in ("RandAugment", "AugMix", "RandomElasticTransform"):  # draw a few for all pictures
        # Each device may draw its own, of one distribution: the ranks of the pictures' means are near each other.
        for of in (lambda y: y.mean((1, 2, 3)), lambda y: y.std((1, 2, 3))):
            ours, theirs = of(found).cpu().sort().values, of(expected).sort().values
            assert (ours - theirs).abs().mean() < 0.35 * theirs.std() + 1e-3


@pytest.mark.parametrize("name", ["ResNet50V2", "MobileNetV3Small", "EfficientNetV2B0", "DenseNet121", "ConvNeXtTiny"])
def test_network_computes_as_on_the_cpu(name: str) -> None:
    keras.utils.set_random_seed(2)
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=5)
    x = np.random.default_rng(0).uniform(0, 255, (3, 64, 64, 3)).astype("float32")
    expected = model.predict(x, verbose=0)
    model.to("cuda")
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-3, atol=1e-4)
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert np.isfinite(model.fit(x, np.arange(3), verbose=0).history["loss"]).all()


def test_words_train_an_attention_block() -> None:
    words = keras.Input((9,), dtype="int32")
    x = layers.Embedding(20, 16, mask_zero=True)(words)
    x = layers.LayerNormalization()(layers.add([x, layers.MultiHeadAttention(2, 8)(x, x, use_causal_mask=True)]))
    ours = keras.Model(words, layers.Dense(3, "softmax")(layers.GlobalAveragePooling1D()(x)))
    theirs = keras.models.clone_model(ours)
    theirs.set_weights(ours.get_weights())
    x, y = data(ours)
    losses_of = []
    for model in (ours.to("cuda"), theirs):
        model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        losses_of.append(model.fit(x, y, batch_size=16, epochs=5, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses_of, rtol=5e-3)
    assert losses_of[0][-1] < losses_of[0][0]


def test_model_that_begins_with_texts_or_columns() -> None:
    texts = layers.TextVectorization(output_sequence_length=4)
    texts.adapt(["a b c", "b c d e"])
    model = keras.Sequential([keras.Input((), dtype="string"), texts, layers.Embedding(9, 4), layers.GRU(3)])
    expected = model.predict(np.array(["a d", "e"]), verbose=0)
    model.to("cuda")
    np.testing.assert_allclose(model.predict(np.array(["a d", "e"]), verbose=0), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning")  # torch.export.load
def test_program_written_on_a_gpu(tmp_path: Any) -> None:
    model = cnn().to("cuda")
    x, _ = data(model)
    expected = model.predict(x, verbose=0)
    model.export(tmp_path / "model.pt2", format="torch", verbose=False)
    found = torch.export.load(tmp_path / "model.pt2").module()(torch.from_numpy(x).cuda())
    np.testing.assert_allclose(pytree.tree_leaves(found)[0].detach().cpu().numpy(), expected, rtol=1e-3, atol=1e-4)
