"""Training steps that are replayed from a recording: the same to the last bit, and only where that is certain."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.deeds import load_state, other_data, set_weights
from support.examples import EXAMPLES, Example
from torch.overrides import BaseTorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

import lamina as keras
from lamina import keras1, keras2, tf_keras
from lamina.callbacks import Callback
from lamina.training import replay
from lamina.training.record import Line, Recording

L = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 5)).astype("float32")
Y = RNG.normal(size=(8, 2)).astype("float32")
STEPS = RNG.normal(size=(8, 4, 2)).astype("float32")
LABELS = RNG.integers(3, size=8)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes are recorded from the fourth on, however long they take."""
    monkeypatch.setattr(replay, "EAGER_TIME", 0.0)
    monkeypatch.setattr(replay, "EAGER_PASSES", 2)
    monkeypatch.setattr(replay, "LONGEST", 1e9)


class Counter:
    """Counts the passes that were replayed."""

    def __init__(self) -> None:
        self.count = 0


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter, original = Counter(), replay.Replayed._replayed

    def counted(*args: Any) -> Any:
        counter.count += 1
        return original(*args)

    monkeypatch.setattr(replay.Replayed, "_replayed", counted)
    return counter


def dense(*between: Any, optimizer: Any = None, loss: Any = "mse", units: int = 2, last: Any = None, **how: Any) -> Any:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((5,)), L.Dense(4, "relu"), *between, L.Dense(units, last)])
    model.compile(optimizer or keras.optimizers.Adam(0.01), loss, **how)
    return model


def assert_alike(one: Any, other: Any) -> None:
    leaves, others = pytree.tree_leaves(one), pytree.tree_leaves(other)
    assert len(leaves) == len(others)
    for a, b in zip(leaves, others, strict=True):
        np.testing.assert_array_equal(a, b)


def both_ways(train: Callable[[bool], Any]) -> None:
    """`train` gives the same with replays as eagerly; it is told whether they are allowed."""
    assert_alike(train(True), train(False))


def is_replayed(model: Any) -> bool:
    formats = getattr(model._step("train").passes, "_formats", {})
    return any(known.replay is not None for known in formats.values())


def jit(replays: bool) -> Any:
    return "auto" if replays else False


# What is replayed ---------------------------------------------------------------------------------------------------


def outputs_of(example: Example) -> Any:
    """A model around one layer, with a layer to learn behind it; None where nothing could be learned."""
    symbols = example.symbols(batch=2)
    outputs = [leaf for leaf in pytree.tree_leaves(example.make()(*symbols)) if leaf.torch_dtype.is_floating_point]
    outputs = [leaf if None in leaf.shape[1:] else L.Dense(1)(L.Flatten()(leaf)) for leaf in outputs]
    return keras.Model(pytree.tree_leaves(symbols), outputs) if outputs else None


def train_example(example: Example, replays: bool) -> Any:
    keras.utils.set_random_seed(1)
    model = outputs_of(example)
    if model is None:
        pytest.skip("no floats come out of it")
    model.compile(keras.optimizers.Adam(0.01), ["mse"] * len(model.outputs), jit_compile=jit(replays))
    results = []
    for seed in range(7):
        x = pytree.tree_leaves(example.tensors(seed=seed))
        x = x if len(x) > 1 else x[0]
        if seed == 0:
            with torch.no_grad():
                shapes = [leaf.shape for leaf in pytree.tree_leaves(model(x))]
        y = [torch.full(shape, 0.3) for shape in shapes]
        results.append(model.train_on_batch(x, y if len(y) > 1 else y[0]))
    return results, model.get_weights(), torch.get_rng_state()


NOT_REPLAYED = {"ActivityRegularization", "AugMix", "Hashing", "Lambda", "RandAugment", "Squash"}


QUICK = {"Conv2D-0", "LSTM-0", "SimpleRNN-0", "MultiHeadAttention-0", "BatchNormalization-0", "Dropout-0", "CutMix-0"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "example",
    [pytest.param(one, marks=[] if one.id in QUICK else pytest.mark.slow, id=one.id) for one in EXAMPLES],
)
def test_every_layer_learns_alike(example: Example, replayed: Counter) -> None:
    both_ways(lambda replays: train_example(example, replays))
    assert replayed.count == (0 if example.name in NOT_REPLAYED else 2)


ACTIVATIONS = st.sampled_from([None, "relu", "tanh", "gelu"])


SAME = {"padding": st.just("same"), "activation": ACTIVATIONS, "use_bias": st.booleans()}
SEEDS = {"seed": st.sampled_from([None, 3])}
LINKS = st.one_of(  # may stand anywhere in a chain over pictures
    st.tuples(
        st.just(L.Conv2D),
        st.fixed_dictionaries({"filters": st.integers(2, 4), "kernel_size": st.integers(1, 3), **SAME})
        | st.fixed_dictionaries(
            {"filters": st.just(2), "kernel_size": st.just(1), "kernel_regularizer": st.just("l2")}
        ),
    ),
    st.tuples(
        st.sampled_from([L.SeparableConv2D, L.Conv2DTranspose]),
        st.fixed_dictionaries({"filters": st.integers(2, 3), "kernel_size": st.integers(1, 3), **SAME}),
    ),
    st.tuples(
        st.just(L.BatchNormalization),
        st.fixed_dictionaries({"axis": st.sampled_from([-1, 1]), "trainable": st.booleans()}),
    ),
    st.tuples(st.just(L.LayerNormalization), st.just({})),
    st.tuples(st.just(L.Dense), st.fixed_dictionaries({"units": st.integers(2, 4), "activation": ACTIVATIONS})),
    st.tuples(st.just(L.Dropout), st.fixed_dictionaries({"rate": st.just(0.3), **SEEDS})),
    st.tuples(st.just(L.GaussianNoise), st.fixed_dictionaries({"stddev": st.just(0.1), **SEEDS})),
    st.tuples(
        st.sampled_from([L.MaxPooling2D, L.AveragePooling2D]),
        st.fixed_dictionaries({"pool_size": st.integers(1, 2), "padding": st.just("same")}),
    ),
)
OPTIMIZERS = st.sampled_from(["sgd", "adam", "rmsprop", "adamw", "nadam", "lion"])


@settings(max_examples=25, deadline=None)
@given(st.lists(LINKS, min_size=1, max_size=5), OPTIMIZERS, st.booleans())
def test_any_chain_of_layers_learns_alike(layers: list, optimizer: str, weighted: bool) -> None:
    x, y, weight = torch.randn(6, 3, 6, 5, 2), torch.randint(3, (6, 3)), torch.rand(6, 3)

    def train(replays: bool) -> Any:
        keras.utils.set_random_seed(2)
        made = [cls(**arguments) for cls, arguments in layers]
        model = keras.Sequential([keras.Input((6, 5, 2)), *made, L.Flatten(), L.Dense(3, "softmax")])
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=jit(replays))
        logs = [model.train_on_batch(x[i], y[i], weight[i] if weighted else None) for i in range(6)]
        assert is_replayed(model) == replays
        return logs, model.get_weights(), model.optimizer.iterations.numpy()

    both_ways(train)


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras])
def test_models_of_every_generation_are_replayed(space: Any, replayed: Counter) -> None:
    def train(replays: bool) -> Any:
        keras.utils.set_random_seed(1)
        layers = space.layers
        model = space.models.Sequential()
        model.add(layers.Dense(4, input_shape=(5,)))
        for layer in (layers.BatchNormalization(), layers.Activation("relu"), layers.Dropout(0.2), layers.Dense(2)):
            model.add(layer)
        model.compile("adam", "mse")
        if not replays:
            model.jit_compile = False
        return [model.train_on_batch(X, Y) for _ in range(8)], model.get_weights()

    both_ways(train)
    assert replayed.count == 3


def test_several_inputs_outputs_masks_and_weights(replayed: Counter) -> None:
    words = RNG.integers(0, 5, size=(8, 4))

    def train(replays: bool) -> Any:
        keras.utils.set_random_seed(1)
        first, second = keras.Input((4,), dtype="int32"), keras.Input((5,))
        sequence = L.Embedding(5, 3, mask_zero=True)(first)
        mean = L.GlobalAveragePooling1D()(sequence)
        each, whole = L.Dense(2)(sequence), L.Dense(1)(L.concatenate([mean, second]))
        model = keras.Model([first, second], {"each": each, "whole": whole})
        model.compile("adam", {"each": "mse", "whole": "mae"}, metrics={"each": ["mae"]}, jit_compile=jit(replays))
        y = {"each": STEPS[:, :4], "whole": Y[:, :1]}
        weights = {"each": X[:, 0] ** 2, "whole": X[:, 1] ** 2}
        model.fit([words, X], y, batch_size=4, epochs=5, verbose=0, sample_weight=weights)
        return model.get_weights(), [*model.history.history.values()]

    both_ways(train)
    assert replayed.count > 3


def test_recurrent_layers_look_at_masks_in_every_step(replayed: Counter) -> None:
    """Steps that all samples mask are not computed."""
    model = keras.Sequential([keras.Input((4,)), L.Embedding(5, 3, mask_zero=True), L.LSTM(3), L.Dense(2)])
    model.compile("adam", "mse")
    for _ in range(8):
        model.train_on_batch(RNG.integers(0, 5, size=(8, 4)), Y)
    assert replayed.count == 0


class Does(Callback):
    """Does something to the model before some batches."""

    def __init__(self, deeds: dict[int, Callable[[Any], Any]]):
        super().__init__()
        self._deeds, self._batch = deeds, -1

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch += 1
        if self._batch in self._deeds:
            self._deeds[self._batch](self.model)


def freeze(model: Any) -> None:
    model.layers[1].trainable = False


def set_rate(model: Any) -> None:
    model.layers[2].rate = 0.7


def set_activation(model: Any) -> None:
    model.layers[0].activation = keras.activations.tanh


def set_penalty(model: Any) -> None:
    model.layers[3].kernel_regularizer.l2 = 0.5


def set_learning_rate(model: Any) -> None:
    model.optimizer.learning_rate = 0.3


def set_optimizer(model: Any) -> None:
    model.optimizer = keras.optimizers.SGD(0.1)


def infer(model: Any) -> None:
    model.layers[1].eval()
    model.layers[2].eval()


def own_hook(model: Any) -> None:
    model.layers[0].register_forward_hook(lambda layer, args, output: output * 2)


def hook_of_gradient(model: Any) -> None:
    model.layers[0].kernel.register_hook(lambda grad: grad * 2)


def predict(model: Any) -> None:
    model.predict(X, verbose=0)
    model.evaluate(X, Y, verbose=0)


DEEDS = [set_weights, load_state, other_data, freeze, set_rate, set_activation, set_penalty, set_learning_rate]
DEEDS += [set_optimizer, infer, own_hook, hook_of_gradient, predict]


@pytest.mark.filterwarnings("ignore:The loss does not depend")
@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_what_changes_between_steps_counts_from_the_next(deed: Callable, replayed: Counter) -> None:
    def train(replays: bool) -> Any:
        between = [L.BatchNormalization(), L.Dropout(0.4), L.Dense(3, kernel_regularizer="l2")]
        model = dense(*between, metrics=["mae"], jit_compile=jit(replays))
        found = model.fit(X, Y, batch_size=4, epochs=7, verbose=0, callbacks=[Does({7: deed})])
        return model.get_weights(), [*found.history.values()]

    both_ways(train)
    assert replayed.count >= 2


def own_compute_loss(model: Any) -> None:
    model.__class__ = type(
        "Own", (type(model),), {"compute_loss": lambda self, x, y, y_pred, sample_weight: y_pred.sum()}
    )


def not_compiled(model: Any) -> None:
    model.jit_compile = False


def compile_again(model: Any) -> None:
    model.compile("sgd", "mae", jit_compile=model.jit_compile)


@pytest.mark.filterwarnings("ignore:The loss does not depend")
@pytest.mark.parametrize(
    "deed",
    [*(deed for deed in DEEDS if deed is not load_state), own_compute_loss, not_compiled, compile_again],
    ids=lambda one: one.__name__,
)
def test_what_changes_between_fits_counts_from_the_next(deed: Callable, replayed: Counter) -> None:
    def train(replays: bool) -> Any:
        between = [L.BatchNormalization(), L.Dropout(0.4), L.Dense(3, kernel_regularizer="l2")]
        model = dense(*between, metrics=["mae"], jit_compile=jit(replays))
        model.fit(X, Y, batch_size=4, epochs=6, verbose=0)
        deed(model)
        histories = [model.fit(X, Y, batch_size=4, epochs=3, verbose=0).history for _ in range(2)]
        return [[*history.values()] for history in histories], model.get_weights()

    both_ways(train)


def test_what_was_recorded_lasts_over_several_fits(replayed: Counter) -> None:
    model = dense(metrics=["mae"])
    model.fit(X, Y, batch_size=4, epochs=4, verbose=0)
    before = replayed.count
    for _ in range(5):
        model.fit(X, Y, batch_size=4, verbose=0)
        model.evaluate(X, Y, verbose=0)
    assert replayed.count == before + 10


@pytest.mark.parametrize(
    "options",
    [
        {"gradient_accumulation_steps": 3},
        {"use_ema": True, "ema_overwrite_frequency": 4},
        {"global_clipnorm": 0.1, "weight_decay": 0.1},
        {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)},
    ],
)
def test_optimizers_go_on_as_ever(options: dict, replayed: Counter) -> None:
    def train(replays: bool) -> Any:
        model = dense(optimizer=keras.optimizers.Adam(**options), jit_compile=jit(replays))
        model.fit(X, Y, batch_size=4, epochs=8, verbose=0)
        return model.get_weights(), [variable.numpy() for variable in model.optimizer.variables]

    both_ways(train)
    assert replayed.count == 11


def test_last_batches_have_a_recording_of_their_own(replayed: Counter) -> None:
    def train(replays: bool) -> Any:
        model = dense(jit_compile=jit(replays))
        model.fit(X, Y, batch_size=5, epochs=8, verbose=0)
        return model.get_weights()

    both_ways(train)
    assert replayed.count == 2 * 4


def test_gradients_are_there_after_a_step(replayed: Counter) -> None:
    model = dense()
    kept = []
    for _ in range(8):
        model.train_on_batch(X, Y)
        kept.append([weight.grad for weight in model.trainable_weights])
    assert replayed.count == 3
    assert len({id(grad) for grads in kept for grad in grads}) == 8 * 4
    assert all(grad.shape == weight.shape for grad, weight in zip(kept[-1], model.trainable_weights, strict=True))


def test_two_models_that_share_layers_take_turns(replayed: Counter) -> None:
    def train(replays: bool) -> Any:
        keras.utils.set_random_seed(1)
        critic = keras.Sequential(
            [keras.Input((2,)), L.Dense(4, "relu"), L.BatchNormalization(), L.Dense(1, "sigmoid")]
        )
        critic.compile("adam", "binary_crossentropy", jit_compile=jit(replays))
        maker = keras.Sequential([keras.Input((5,)), L.Dense(2)])
        critic.trainable = False
        both = keras.Sequential([keras.Input((5,)), maker, critic])
        both.compile("adam", "binary_crossentropy", jit_compile=jit(replays))
        for _ in range(8):
            critic.trainable = True
            critic.train_on_batch(maker(torch.tensor(X)).detach(), np.zeros((8, 1), "float32"))
            critic.trainable = False
            both.train_on_batch(X, np.ones((8, 1), "float32"))
        return both.get_weights()

    both_ways(train)
    assert replayed.count >= 2


def test_others_predict_meanwhile(replayed: Counter) -> None:
    def train(replays: bool) -> Any:
        model, stop = dense(L.Dropout(0.3), jit_compile=jit(replays)), threading.Event()

        def predicts() -> None:
            while not stop.is_set():
                model(torch.ones(3, 5), training=False)

        other = threading.Thread(target=predicts)
        other.start()
        try:
            model.fit(X, Y, batch_size=4, epochs=20, verbose=0)
        finally:
            stop.set()
            other.join()
        return model.get_weights()

    both_ways(train)
    assert replayed.count > 20


def test_values_go_after_their_last_use() -> None:
    weight, x = torch.randn(3, 3, requires_grad=True), torch.randn(2, 3)
    recording = Recording([x])
    with recording:
        y = x
        for _ in range(4):
            y = torch.tanh(y @ weight)
        y.sum().backward()
    assert recording.problem is None
    results = recording.names([y, weight.grad])
    assert weight.grad is not None
    expected, line = weight.grad.clone(), Line(recording, results)
    torch.testing.assert_close(line.run(x)[1], expected, rtol=0, atol=0)
    made = {part.split(" = ")[0].strip() for part in line.source.splitlines() if " = " in part}
    gone = {name for part in line.source.splitlines() if "del " in part for name in part.strip()[4:].split(", ")}
    assert made - gone == {*results} - {"x0"}


def test_a_recording_holds_nothing_of_the_pass() -> None:
    x = torch.randn(300, 200)
    recording = Recording([x])
    with recording:
        y = x * 2
        seen = weakref.ref(y)
        z = y.sum()
        del y
        assert seen() is None
        z + 1
    gc.collect()


# What is not --------------------------------------------------------------------------------------------------------


def own_loss(y_true: torch.Tensor, y_pred: torch.Tensor) -> torch.Tensor:
    return (y_true - y_pred).square().mean(-1)


class Own(L.Layer):
    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * 2


OWN = {
    "a loss": lambda: dense(loss=own_loss),
    "a layer": lambda: dense(Own()),
    "an activation": lambda: dense(last=lambda x: x * 2),
    "a Lambda layer": lambda: dense(L.Lambda(torch.tanh), L.Lambda(lambda x: x * 2)),
    "a regularizer": lambda: dense(L.Dense(3, kernel_regularizer=lambda w: w.square().sum())),
    "losses of a layer": lambda: dense(L.ActivityRegularization(0.1)),
    "eagerly": lambda: dense(run_eagerly=True),
    "not compiled": lambda: dense(jit_compile=False),
}


@pytest.mark.parametrize("kind", OWN)
def test_what_users_write_is_called_in_every_step(kind: str, replayed: Counter) -> None:
    model = OWN[kind]()
    for _ in range(8):
        model.train_on_batch(X, Y)
    assert replayed.count == 0 and int(model.optimizer.iterations) == 8


def test_labels_that_are_looked_at_are_looked_at_in_every_step(replayed: Counter) -> None:
    model = dense(units=3, last="softmax", loss="sparse_categorical_crossentropy")
    for _ in range(8):
        model.train_on_batch(X, LABELS.astype("float32"))
    with pytest.raises(ValueError, match="must hold class numbers"):
        model.train_on_batch(X, LABELS + 0.5)
    assert replayed.count == 0


def test_scaled_losses_and_mixed_precision_are_right(replayed: Counter) -> None:
    def train(replays: bool) -> Any:
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=4.0)
        model = dense(L.Dense(3, dtype="mixed_bfloat16"), optimizer=optimizer, jit_compile=jit(replays))
        return [model.train_on_batch(X, Y) for _ in range(8)], model.get_weights()

    both_ways(train)
    assert replayed.count == 0


WATCHES = {
    "flops": lambda: FlopCounterMode(display=False),
    "functions": BaseTorchFunctionMode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "anomaly": torch.autograd.detect_anomaly,
}


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("watch", WATCHES)
def test_nothing_is_hidden_from_those_who_watch(watch: str, replayed: Counter) -> None:
    model = dense()
    for _ in range(7):
        model.train_on_batch(X, Y)
    assert replayed.count == 2
    with WATCHES[watch]() as watching:
        model.train_on_batch(X, Y)
    assert replayed.count == 2
    if watch == "flops":
        assert watching.get_total_flops() > 0
    model.train_on_batch(X, Y)
    assert replayed.count == 3


def test_profilers_see_eager_steps() -> None:
    model, seen = dense(), []
    sys.setprofile(lambda *event: seen.append(event[1]))
    try:
        for _ in range(6):
            model.train_on_batch(X, Y)
        assert sys.getprofile() is not None
    finally:
        sys.setprofile(None)
    assert seen and not is_replayed(model)


def test_an_error_in_a_replayed_step_is_the_usual_one(replayed: Counter) -> None:
    model = dense(units=3, last="softmax", loss="sparse_categorical_crossentropy")
    for _ in range(6):
        model.train_on_batch(X, LABELS)
    before = model.get_weights()
    with pytest.raises(ValueError, match="y holds class 7; the output has 3 classes"):
        model.train_on_batch(X, np.full(8, 7))
    assert_alike(model.get_weights(), before)
    count = replayed.count
    assert np.isfinite(model.train_on_batch(X, LABELS)) and replayed.count == count + 1


def test_batches_that_ask_for_gradients_get_them(replayed: Counter) -> None:
    model, x = dense().train(), torch.tensor(X, requires_grad=True)
    for _ in range(8):
        model._step("train")(x, torch.tensor(Y), None)
    assert replayed.count == 0 and x.grad is not None
