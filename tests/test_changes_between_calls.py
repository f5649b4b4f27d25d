"""Whatever changes between two calls or steps counts from the next one on, recorded or not: in any order of changes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.deeds import load_state, other_data, set_weights
from torch import nn
from torch.autograd import forward_ad
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils import parametrize, prune
from torch.utils.flop_counter import FlopCounterMode

import lamina as keras
from lamina import keras1, keras2, tf_keras
from lamina.core.care import Changes
from lamina.training import replay

L = keras.layers
RNG = np.random.default_rng(0)
X = torch.tensor(RNG.normal(size=(4, 5)), dtype=torch.float32)
Y = torch.tensor(RNG.uniform(size=(4, 5)), dtype=torch.float32)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be recorded is, as soon as it can be."""
    monkeypatch.setattr(replay, "EAGER_TIME", 0.0)
    monkeypatch.setattr(replay, "EAGER_PASSES", 1)
    monkeypatch.setattr(replay, "LONGEST", 1e9)


def network(*more: Any) -> Any:
    keras.utils.set_random_seed(1)
    first = L.Dense(5, kernel_regularizer=keras.regularizers.L1L2(0.01, 0.02))
    stack = [first, L.BatchNormalization(), L.ReLU(), L.Dropout(0.4, seed=1), *more, L.Dense(5, "softplus")]
    return keras.Sequential([keras.Input((5,)), *stack])


class Symmetric(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + weight.T


# Changes --------------------------------------------------------------------------------------------------------------


def transposed(model: Any) -> None:
    model.layers[0].kernel.data = model.layers[0].kernel.data.T


def narrower(model: Any) -> None:
    last = model.layers[-1]
    last.kernel.data, last.bias.data = last.kernel.data[:, :-1], last.bias.data[:-1]


def in_place(model: Any) -> None:
    with torch.no_grad():
        model.layers[0].kernel.t_()


def without_bias(model: Any) -> None:
    model.layers[0].bias = None


def with_bias(model: Any) -> None:
    model.layers[0].bias = nn.Parameter(torch.full((5,), 0.5))


def parametrized(model: Any) -> None:
    parametrize.register_parametrization(model.layers[0], "kernel", Symmetric())


def plain_again(model: Any) -> None:
    if parametrize.is_parametrized(model.layers[0]):
        parametrize.remove_parametrizations(model.layers[0], "kernel")


def pruned(model: Any) -> None:
    if not parametrize.is_parametrized(model.layers[-1]):
        prune.l1_unstructured(model.layers[-1], "kernel", 0.4)


def wrapped(model: Any) -> None:
    before = model.layers[0].call
    model.layers[0].call = lambda inputs: before(inputs) * 2


def unwrapped(model: Any) -> None:
    if "call" in vars(model.layers[0]):
        del model.layers[0].call


class Twice(L.ReLU):
    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * 2


def other_class(model: Any) -> None:
    model.layers[2].__class__ = Twice


def own_class(model: Any) -> None:
    model.layers[2].__class__ = L.ReLU


def slope(model: Any) -> None:
    model.layers[2].negative_slope += 0.1


def in_training(model: Any) -> None:
    model.layers[1].train()


def in_inference(model: Any) -> None:
    model.layers[1].eval()


def reseeded(model: Any) -> None:
    model.layers[3].seed_generator = keras.random.SeedGenerator(7)


def fuzz(model: Any) -> None:
    keras.config.set_epsilon(0.1 + keras.config.epsilon())


def penalty(model: Any) -> None:
    regularizer = model.layers[0].kernel_regularizer
    for factor in (0.5, 3.0):  # Python may put the second number where the first one of all was
        regularizer.l2 = regularizer.l2 * factor


def frozen(model: Any) -> None:
    model.layers[-1].trainable = not model.layers[-1].trainable


def hooked(model: Any) -> None:
    model.layers[0].register_forward_hook(lambda layer, args, output: output * 0.5)


EVERYWHERE = [set_weights, load_state, other_data, without_bias, with_bias, parametrized, plain_again, pruned, wrapped]
EVERYWHERE += [
    unwrapped,
    other_class,
    own_class,
    slope,
    in_training,
    in_inference,
    hooked,
]
IN_PREDICTIONS = [*EVERYWHERE, transposed, narrower, in_place]


def by_layers(model: Any, x: torch.Tensor) -> torch.Tensor:
    for layer in model.layers:
        x = layer(x)
    return x


def outcome(run: Callable[[], Any]) -> Any:
    """What it gives, or the kind of error that it raises."""
    torch.manual_seed(1)
    try:
        return run()
    except Exception as error:
        return type(error)


def assert_alike(one: Any, other: Any) -> None:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    else:
        assert one == other


def predict_through(deeds: list[Callable]) -> None:
    model, twin = network(), network()  # the twin is called layer by layer
    with torch.no_grad():
        for deed in (lambda model: None, *deeds):
            for each in (model, twin):
                outcome(lambda each=each, deed=deed: deed(each))
            for _ in range(3):
                assert_alike(outcome(lambda: model(X)), outcome(lambda: by_layers(twin, X)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("deed", IN_PREDICTIONS, ids=lambda deed: deed.__name__)
def test_a_change_counts_in_the_next_prediction(deed: Callable) -> None:
    predict_through([deed])


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(IN_PREDICTIONS), max_size=6))
def test_any_changes_count_in_the_next_prediction(deeds: list[Callable]) -> None:
    predict_through(deeds)


# Of training ----------------------------------------------------------------------------------------------------------


def of_torch(model: Any) -> nn.Sequential:
    return model.layers[4].module


def torch_rate(model: Any) -> None:
    of_torch(model)[1].p = 0.1


def torch_momentum(model: Any) -> None:
    of_torch(model)[2].momentum = 0.7


def torch_slope(model: Any) -> None:
    of_torch(model)[3].negative_slope += 0.5


def torch_other(model: Any) -> None:
    of_torch(model)[3] = nn.Tanh()


def torch_hook(model: Any) -> None:
    of_torch(model)[0].register_forward_hook(lambda module, args, output: output * 2)


def regularized(model: Any) -> None:
    model.layers[-1].kernel.regularizer = keras.regularizers.L2(0.3)


def constrained(model: Any) -> None:
    model.layers[-1].kernel.constraint = keras.constraints.MaxNorm(0.3)


IN_TRAINING = [regularized, constrained]
IN_TRAINING += [*(one for one in EVERYWHERE if one is not load_state), reseeded, fuzz, penalty, frozen]
IN_TRAINING += [torch_rate, torch_momentum, torch_slope, torch_other, torch_hook]


def trained(deeds: list[Callable], replays: bool) -> list[Any]:
    inside = nn.Sequential(nn.Linear(5, 5), nn.Dropout(0.5), nn.BatchNorm1d(5), nn.LeakyReLU(0.1))
    epsilon, found = keras.config.epsilon(), []
    model = network(L.TorchModuleWrapper(inside))
    for weight in inside.parameters():
        nn.init.constant_(weight, 0.3)
    model.compile(keras.optimizers.SGD(0.05), "poisson", jit_compile="auto" if replays else False)
    try:
        for deed in (lambda model: None, *deeds):
            found.append(outcome(lambda deed=deed: deed(model)))
            found += [outcome(lambda: model.train_on_batch(X, Y)) for _ in range(5)]
    finally:
        keras.config.set_epsilon(epsilon)
    return [*map(str, found), *(str(value.tolist()) for value in model.get_weights())]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("deed", IN_TRAINING, ids=lambda deed: deed.__name__)
def test_a_change_counts_in_the_next_step(deed: Callable) -> None:
    for times in (1, 4):
        assert trained([deed] * times, True) == trained([deed] * times, False)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=8, deadline=None)
@given(st.lists(st.sampled_from(IN_TRAINING), max_size=5))
def test_any_changes_count_in_the_next_step(deeds: list[Callable]) -> None:
    assert trained(deeds, True) == trained(deeds, False)


@pytest.mark.parametrize("way", ["train_on_batch", "fit", "loop"])
@pytest.mark.parametrize("inside", [False, True], ids=["", "in a model inside"])
def test_regularizers_and_constraints_of_weights_may_be_set_at_any_time(way: str, inside: bool) -> None:
    dense = L.Dense(2, use_bias=False, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((5,)), keras.Sequential([dense]) if inside else dense])
    model.compile(keras.optimizers.SGD(0.0), "mse")

    def step() -> float:
        if way == "train_on_batch":
            return float(model.train_on_batch(X, Y[:, :2]))
        if way == "loop":
            loss = keras.ops.mean((model(X) - Y[:, :2]) ** 2) + sum(model.losses)
            model.optimizer.apply(torch.autograd.grad(loss, [dense.kernel]), [dense.kernel])
            return loss.item()
        told: list[float] = []
        losses = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: told.append(logs["loss"]))
        after = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: change() if epoch == 0 else None)
        model.fit(X, Y[:, :2], epochs=2, callbacks=[losses, after], shuffle=False, verbose=0)
        return told[-1]

    def change() -> None:
        dense.kernel.regularizer, dense.kernel.constraint = regularizer, constraint
        dense.kernel.assign(torch.ones(5, 2))

    regularizer = constraint = None
    first = [step() for _ in range(4)][-1]
    for regularizer, constraint in [
        (keras.regularizers.L1(0.5), keras.constraints.MaxNorm(1.0)),
        (None, None),
        (None, keras.constraints.MaxNorm(1.0)),
        (keras.regularizers.L1(0.5), None),
    ]:
        if way != "fit":
            change()
        assert step() == pytest.approx(first + (0.5 * 10 if regularizer else 0), rel=1e-5)
        assert dense.kernel.norm(dim=0).tolist() == pytest.approx([1.0 if constraint else 5**0.5] * 2)


@pytest.mark.parametrize("space", [keras, tf_keras], ids=lambda space: space.__name__[7:] or "3")
@pytest.mark.parametrize("hold", [list, dict, lambda: [[]]], ids=["list", "dict", "lists"])
@pytest.mark.parametrize("own", [False, True], ids=["activity_regularizer", "add_loss"])
def test_losses_of_layers_that_join_a_list_later_are_those_of_the_last_call(space: Any, hold: Any, own: bool) -> None:
    """Called before on their own or not, put in the place of another one, and taken out."""

    class Adding(space.layers.Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(x.sum())
            return x

    class Stack(space.Model):
        def __init__(self) -> None:
            super().__init__()
            self.held = hold()

        def call(self, x: Any) -> Any:
            for layer in keras.tree.flatten(self.held):
                x = layer(x)
            return x

    model, summed = Stack(), lambda x: x.sum()
    held = model.held[0] if model.held else model.held
    place = "a" if isinstance(held, dict) else slice(None)
    adding = [Adding() if own else space.layers.Dense(5, activity_regularizer=summed) for _ in range(2)]
    for layer in [*adding, space.layers.ReLU()]:
        layer(X)
        model(X), model(X)
        held[place] = layer if place == "a" else [layer]
        for _ in range(3):
            model(X)
            assert len(model.losses) == (layer in adding)


def test_a_layer_that_joins_a_list_later_adds_to_the_loss_of_steps() -> None:
    class Stack(tf_keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.held: list[Any] = []

        def call(self, x: Any) -> Any:
            for layer in self.held:
                x = layer(x)
            return x

    model, layer = Stack(), tf_keras.layers.ActivityRegularization(l1=1.0)
    model.compile("sgd", "mse")
    layer(X)
    assert [model.test_on_batch(X, X) for _ in range(2)] == [0.0, 0.0]
    model.held.append(layer)
    assert model.test_on_batch(X, X) == pytest.approx(float(X.abs().sum() / 4), rel=1e-5)


def test_a_list_of_numbers_may_grow_without_a_change() -> None:
    class Stack(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.told: list[float] = []
            self.dense = L.Dense(2)

        def call(self, x: Any) -> Any:
            self.told.append(1.0)
            return self.dense(x)

    model = Stack()
    model(X), model(X)
    changes = Changes.count
    model(X), model(X)
    assert Changes.count == changes


def normalizing(scale: float) -> Any:
    first = L.Normalization()
    first.adapt(X.numpy() * scale)
    return keras.Sequential([keras.Input((5,)), first, L.Dense(5, kernel_initializer="ones")])


def by_file(model: Any, path: Path) -> None:
    normalizing(3.0).save_weights(path)
    model.load_weights(path)


def by_memory(model: Any, path: Path) -> None:
    model.layers[0].adapt_variance.data.fill_(9.0)


@pytest.mark.parametrize("learn", [lambda model, path: model.layers[0].adapt(X.numpy() * 3), by_file, by_memory])
def test_statistics_that_are_learned_or_loaded_later_count(learn: Callable, tmp_path: Path) -> None:
    model = normalizing(1.0)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    for _ in range(5):
        model.predict(X, verbose=0)
        model.train_on_batch(X, Y)
    learn(model, tmp_path / "later.weights.h5")
    first, last = model.layers
    expected = ((X - first.mean) / first.variance.sqrt()) @ last.kernel
    np.testing.assert_allclose(model.predict(X, verbose=0), expected.detach(), rtol=1e-5)
    loss = (expected - Y).square().mean().item()
    assert model.train_on_batch(X, Y) == pytest.approx(loss, rel=1e-5)


# Who looks on ---------------------------------------------------------------------------------------------------------


def test_tangents_pass_a_recorded_prediction() -> None:
    model = network()
    with torch.no_grad():
        for _ in range(4):
            model(X)
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(X, torch.ones_like(X))
            found, expected = (forward_ad.unpack_dual(each).tangent for each in (model(dual), by_layers(model, dual)))
    assert_alike(found, expected)


def test_hooks_of_all_modules_see_every_layer() -> None:
    model, seen = network(), []
    handle = register_module_forward_hook(lambda module, args, output: seen.append(module))
    try:
        model(X)
    finally:
        handle.remove()
    assert seen == [*model.layers, model]
    seen.clear()
    model(X)
    assert not seen


def test_flops_are_told_layer_by_layer() -> None:
    model = network()
    with FlopCounterMode(display=False) as counter:
        model(X)
    assert {name.rpartition(".")[2] for name in counter.get_flop_counts()} >= {"dense", "dense_1"}
    assert counter.get_total_flops() == 2 * (2 * 4 * 5 * 5)


def within(*layers: Any) -> Any:
    return keras.Sequential([keras.Input((5,)), *layers, L.Dense(2)])


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: setattr(layer, "dtype_policy", "mixed_bfloat16"),
        lambda layer: setattr(layer, "dtype_policy", keras.DTypePolicy("mixed_float16")),
        lambda layer: layer.to(torch.bfloat16),
        lambda layer: layer.double(),
    ],
)
@pytest.mark.parametrize(
    "network", [lambda layer: within(layer), lambda layer: within(L.Dense(5), L.ReLU(), within(L.ReLU(), layer))]
)
def test_a_layer_within_a_model_may_compute_in_another_type(network: Callable, change: Callable) -> None:
    layer = L.Dense(4)
    model = network(layer)
    before = model(X)
    change(layer)
    for _ in range(3):
        torch.testing.assert_close(model(X), before, rtol=0.02, atol=0.02)
    assert layer.compute_dtype == layer.output.dtype != "float32" == model.output.dtype == model.compute_dtype
    model.compile("sgd", "mse")
    assert np.isfinite(model.train_on_batch(X, np.zeros((4, 2))))
    model.double()
    assert model(X.double()).dtype is torch.float64 and model.output.dtype == "float64"


@pytest.mark.parametrize("policy", ["bfloat16", "float64"])
def test_a_policy_for_other_weights_than_there_are_is_refused(policy: str) -> None:
    model = within(L.Dense(4))
    before = model(X)
    with pytest.raises(ValueError, match=rf'Dense "dense.*its weights are float32; `dtype_policy` \'{policy}\''):
        model.layers[0].dtype_policy = policy
    assert_alike(model(X), before)


def test_copies_of_changed_models_keep_the_changes() -> None:
    model = network()
    parametrized(model)
    assert_alike(copy.deepcopy(model)(X), model(X))


@pytest.mark.parametrize("make", [lambda: L.GRU(3), lambda: L.Bidirectional(L.LSTM(3))], ids=["GRU", "Bidirectional"])
def test_a_call_exchanged_on_a_cell_counts_until_it_is_taken_back(make: Callable) -> None:
    model = keras.Sequential([keras.Input((8, 3)), make()])
    inner = model.layers[0]
    cell: Any = getattr(inner, "forward_layer", inner).cell
    x = torch.ones(2, 8, 3)
    with torch.no_grad():
        before = [model(x) for _ in range(4)][-1]
        own = cell.call
        cell.call = lambda *args, **kwargs: keras.tree.map_structure(lambda value: value * 0 + 7, own(*args, **kwargs))
        assert model(x)[:, :3].eq(7).all()
        del cell.call
        assert_alike(model(x), before)


@pytest.mark.parametrize(
    "fill",
    [
        lambda held: held["list"].append(keras.layers.Dense(2)),
        lambda held: held["list"].extend([keras.layers.Dense(2)]),
        lambda held: held["list"].insert(0, keras.layers.Dense(2)),
        lambda held: held["nested"][0].append(keras.layers.Dense(2)),
        lambda held: held["dict"].update(dense=keras.layers.Dense(2)),
    ],
)
@pytest.mark.parametrize("base", [keras.layers.Layer, keras.Model])
def test_layers_join_other_things_in_lists_and_dictionaries(base: Any, fill: Any) -> None:
    class Holds(base):
        def __init__(self) -> None:
            super().__init__()
            self.list, self.nested, self.dict = [1], [["a"]], {"size": 3}
            fill(vars(self))

        def call(self, x: Any) -> Any:
            (dense,) = (item for item in keras.tree.flatten([self.list, self.nested, self.dict]) if callable(item))
            return dense(x)

    layer = Holds()
    layer(np.ones((2, 3), "float32"))
    assert [tuple(weight.shape) for weight in layer.trainable_weights] == [(3, 2), (2,)]


@pytest.mark.parametrize("space", [keras, tf_keras])
@pytest.mark.parametrize(
    "hold",
    [
        lambda layer, make: setattr(layer, "held", [make()]),
        lambda layer, make: (setattr(layer, "held", []), layer.held.append(make())),
        lambda layer, make: (setattr(layer, "held", {}), layer.held.update(a=make())),
        lambda layer, make: setattr(layer, "held", ({"a": [make()]}, 1)),
        lambda layer, make: (setattr(layer, "held", ["a"]), layer.held.append(make())),
    ],
    ids=["list", "appended", "dict", "nested", "joined"],
)
@pytest.mark.parametrize("when", ["__init__", "build"])
def test_variables_in_lists_and_dictionaries_are_weights(space: Any, hold: Callable, when: str, tmp_path: Path) -> None:
    class Holds(space.layers.Layer):
        def __init__(self, **words: Any) -> None:
            super().__init__(**words)
            if when == "__init__":
                hold(self, lambda: keras.Variable(np.full((1, 3), 2.0, "float32")))

        def build(self, input_shape: Any) -> None:
            if when == "build":
                hold(self, lambda: keras.Variable(np.full((1, 3), 2.0, "float32")))
            self.last = [self.add_weight(shape=(3,), initializer="ones", name="last")]

        def call(self, x: Any) -> Any:
            (held,) = (one for one in keras.tree.flatten(self.held) if isinstance(one, torch.Tensor))
            return x @ held + self.last[0]

    def build() -> Any:
        return space.Sequential([space.Input((1,)), Holds()])

    model = build()
    layer = model.layers[0]
    shapes = sorted(tuple(weight.shape) for weight in layer.trainable_weights)
    assert shapes == [(1, 3), (3,)] and len(model.weights) == len(layer.weights) == 2
    assert len(model.state_dict()) == len(list(model.parameters())) == 2
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 1), "float32"), np.ones((4, 3), "float32"), verbose=0)
    trained = {weight.shape: weight for weight in model.get_weights()}
    assert not np.allclose(trained[1, 3], 2.0)
    model.save_weights(tmp_path / "model.weights.h5")
    other = build()
    other.load_weights(tmp_path / "model.weights.h5")
    for weight in other.get_weights():
        np.testing.assert_array_equal(weight, trained[weight.shape])
    layer.trainable = False
    assert not model.trainable_weights and len(model.non_trainable_weights) == 2


@pytest.mark.parametrize("space", [keras1, keras2])
def test_variables_in_lists_are_no_weights_before_tf_keras(space: Any) -> None:
    class Holds(space.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.states = [space.backend.zeros((2, 3))]

    layer = Holds()
    layer.build((None, 3))
    assert layer.weights == []


def test_a_model_measured_in_inference_mode_can_be_trained() -> None:
    model = network()
    model.compile("adam", "mse", metrics=["mae"])
    with torch.inference_mode():
        model.evaluate(X, Y, verbose=0)
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    assert not np.array_equal(model.get_weights()[0], before[0])


@pytest.mark.parametrize("space", [keras, tf_keras, keras2, keras1])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.filterwarnings("ignore:The model has no trainable weights")
def test_weights_frozen_as_torch_freezes_them(space: Any, optimizer: str, whole: bool) -> None:
    """By `requires_grad`, of which no layer is told, between two batches: all of them, or some."""
    first = space.layers.Dense(2, input_dim=5) if space is keras1 else space.layers.Dense(2, input_shape=(5,))
    model = space.Sequential([first, space.layers.Dense(5)])
    model.compile(optimizer, "mse")
    frozen = [*(model if whole else first).parameters()]
    for free in (True, False, True):
        for weight in frozen:
            weight.requires_grad_(free)
        for _ in range(2):
            before = [weight.detach().clone() for weight in model.parameters()]
            model.train_on_batch(X.numpy(), Y.numpy())
            moved = [not torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True)]
            assert moved == [free or all(weight is not each for each in frozen) for weight in model.parameters()]
