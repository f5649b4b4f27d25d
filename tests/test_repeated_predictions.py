"""Predictions that are repeated from a recording: the same to the last bit, and only where that is certain."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.deeds import load_state, other_data, set_weights
from support.examples import EXAMPLES, Example
from torch.utils import _pytree as pytree

import lamina as keras
from lamina import keras1, keras2, tf_keras
from lamina.core.masking import get_mask
from lamina.training import repeat, replay
from lamina.training.record import Line, Recording

L = keras.layers
X = torch.randn(3, 6, 6, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are recorded from the second on, however long they take."""
    monkeypatch.setattr(replay, "EAGER_TIME", 0.0)
    monkeypatch.setattr(replay, "LONGEST", 1e9)


@pytest.fixture
def repeated(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """One entry for each call that was repeated."""
    found: list[Any] = []
    original = repeat.Repeated._repeat

    def noted(self: Any, known: Any, recorded: Any, inputs: Any) -> Any:
        if recorded.premises.now() == recorded.known:
            found.append(known)
        return original(self, known, recorded, inputs)

    monkeypatch.setattr(repeat.Repeated, "_repeat", noted)
    return found


def network(*more: Any) -> Any:
    stack = [L.Conv2D(4, 3, padding="same"), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D(), L.Flatten()]
    return keras.Sequential([keras.Input((6, 6, 2)), *stack, *more, L.Dense(3, "softmax")])


def by_plan(model: Any, *inputs: Any) -> Any:
    """What the plan gives, which nothing stands for."""
    with torch.no_grad():
        return model.plan.run(*inputs)


def called(model: Any, x: Any = X, times: int = 4, **how: Any) -> Any:
    with torch.no_grad():
        return [model(x, **how) for _ in range(times)][-1]


def assert_alike(one: Any, other: Any) -> None:
    leaves, others = pytree.tree_leaves(one), pytree.tree_leaves(other)
    assert len(leaves) == len(others) > 0
    for a, b in zip(leaves, others, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
        masks = get_mask(a), get_mask(b)
        assert (masks[0] is None) == (masks[1] is None)
        assert masks[0] is None or torch.equal(*masks)


# What is repeated -----------------------------------------------------------------------------------------------------

# Users' code runs, values are read, something is added to a loss; layers that keep states are not repeated either.
NOT_REPEATED = {"ActivityRegularization", "AugMix", "Hashing", "Lambda", "RandAugment", "RandomErasing", "Squash"}
NOT_REPEATED |= {"TorchModuleWrapper"}


def behind(symbol: Any) -> Any:
    """The outputs of what may give back its input are made anew."""
    return L.Rescaling(2.0)(symbol) if symbol.torch_dtype.is_floating_point else symbol


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.id)
def test_every_layer_predicts_alike(example: Example, repeated: list[Any]) -> None:
    symbols = example.symbols(batch=2)
    outputs = pytree.tree_map(behind, example.make()(*symbols))
    model = keras.Model(pytree.tree_leaves(symbols), outputs)
    twin = copy.deepcopy(model)  # with states of its own
    for seed in range(5):
        flat = pytree.tree_leaves(example.tensors(seed=seed))
        torch.manual_seed(seed)
        with torch.no_grad():
            found = model(flat if len(flat) > 1 else flat[0])
        state = torch.get_rng_state()
        torch.manual_seed(seed)
        assert_alike(found, by_plan(twin, *flat))
        assert torch.equal(torch.get_rng_state(), state)
    keeps = any(getattr(layer, "stateful", False) for layer in model.layers)
    assert bool(repeated) != (keeps or example.name in NOT_REPEATED)


@pytest.mark.parametrize("space", [keras, keras1, keras2, tf_keras])
@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_models_of_every_generation_are_repeated(space: Any, guard: Any, repeated: list[Any]) -> None:
    model, layers = space.models.Sequential(), space.layers
    for layer in (layers.Dense(4, input_shape=(5,)), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(2)):
        model.add(layer)
    x = torch.randn(2, 5)
    with guard():
        outputs = [model(x) for _ in range(6)]
        assert all(output.is_inference() == (guard is torch.inference_mode) for output in outputs)
    assert len(repeated) == 3
    assert len({output.data_ptr() for output in outputs}) == 6
    for output in outputs:
        torch.testing.assert_close(output.clone(), by_plan(model, x), rtol=0, atol=0)


def test_every_way_to_call_a_model_is_repeated(repeated: list[Any]) -> None:
    model = network()
    expected, array = by_plan(model, X), X.numpy()
    ways: list[Callable[[], Any]] = [
        lambda: model(array, training=False),
        lambda: model.predict(array, verbose=0),
        lambda: model.predict_on_batch(array),
        lambda: model(X),
    ]
    with torch.no_grad():
        for way in ways:
            for _ in range(5):
                np.testing.assert_array_equal(np.asarray(way()), expected.numpy())
    assert len(repeated) > 12


def test_several_inputs_outputs_and_masks(repeated: list[Any]) -> None:
    words, numbers = keras.Input((4,), dtype="int32", name="words"), keras.Input((5,), name="numbers")
    sequence = L.Embedding(5, 3, mask_zero=True)(words)
    whole = L.Dense(1)(L.concatenate([L.GlobalAveragePooling1D()(sequence), numbers]))
    model = keras.Model({"words": words, "numbers": numbers}, {"each": L.Dense(2)(sequence), "whole": whole})
    for _ in range(5):
        x = {"words": torch.randint(0, 5, (3, 4)), "numbers": torch.randn(3, 5)}
        found = called(model, x, times=1)
        assert_alike(found, by_plan(model, *(x[one.name] for one in model._graph.inputs)))
    assert get_mask(found["each"]) is not None and len(repeated) >= 2


def test_formats_have_recordings_of_their_own(repeated: list[Any]) -> None:
    model = network()
    for _ in range(4):
        for x in (X, X[:1], X.transpose(1, 2), X[:0], X.contiguous(memory_format=torch.channels_last)):
            assert_alike(called(model, x, times=1), by_plan(model, x))
    assert len({id(known) for known in repeated}) == 5


# What counts from the next call on ------------------------------------------------------------------------------------


def other_weight(model: Any) -> None:
    model.layers[0].kernel = torch.nn.Parameter(model.layers[0].kernel.detach() * 2)


def train(model: Any) -> None:
    model.compile("sgd", "mse")
    model.fit(X.numpy(), np.ones((3, 3)), verbose=0, epochs=2)


def set_slope(model: Any) -> None:
    model.layers[2].negative_slope = 0.3


def set_epsilon(model: Any) -> None:
    model.layers[1].epsilon = 0.5


def set_activation(model: Any) -> None:
    model.layers[0].activation = keras.activations.tanh


def drop(model: Any) -> None:
    model.layers[-2].train()


def train_flag(model: Any) -> None:
    model.layers[1].train()


def add_hook(model: Any) -> None:
    model.layers[0].register_forward_hook(lambda layer, args, output: output * 2)


DEEDS = [set_weights, load_state, other_data, other_weight, train, set_slope, set_epsilon, set_activation, drop]
DEEDS += [train_flag, add_hook]


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_what_changes_between_calls_counts_from_the_next(deed: Callable, repeated: list[Any]) -> None:
    model = network(L.Dropout(0.5))
    before = called(model)
    assert repeated
    deed(model)
    torch.manual_seed(1)
    after = called(model, times=1)
    torch.manual_seed(1)
    expected = by_plan(model, X)
    assert_alike(after, expected)
    assert not torch.equal(before, after)


def test_an_explicit_flag_counts(repeated: list[Any]) -> None:
    model = network()
    expected = by_plan(model, X)
    for training in (False, True, False):
        found = called(model, training=training)
        assert torch.equal(found, expected) != training
        model.layers[1].set_weights([np.ones(4), np.zeros(4), np.zeros(4), np.ones(4)])


def test_weights_that_are_exchanged_in_every_call_are_left_to_the_plan(repeated: list[Any]) -> None:
    model = network()
    for step in range(40):
        other_data(model)
        assert_alike(called(model, times=1 + step % 3), by_plan(model, X))
    assert all(known.eager for known in model.plan.repeated._formats.values())


# What is not repeated -------------------------------------------------------------------------------------------------


class Own(L.Layer):
    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        CALLED.append(1)
        return inputs


CALLED: list[int] = []


@pytest.mark.parametrize(
    "make",
    [Own, lambda: L.Lambda(lambda x: CALLED.append(1) or x), lambda: L.TorchModuleWrapper(Noting())],
)
def test_what_users_write_is_called_in_every_call(make: Callable, repeated: list[Any]) -> None:
    model = network(make())
    CALLED.clear()
    called(model, times=10)
    assert len(CALLED) >= 10 and not repeated


class Noting(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        CALLED.append(1)
        return x


def test_what_gives_back_its_input_is_not_repeated(repeated: list[Any]) -> None:
    symbol = keras.Input((4,))
    model = keras.Model(symbol, L.Reshape((2, 2))(symbol))
    x = torch.zeros(2, 4)
    assert called(model, x).data_ptr() == x.data_ptr() and not repeated


def test_recurrent_layers_look_at_masks_in_every_call(repeated: list[Any]) -> None:
    """Steps that all samples mask are not computed."""
    model = keras.Sequential([keras.Input((4,)), L.Embedding(5, 3, mask_zero=True), L.LSTM(3)])
    for _ in range(6):
        x = torch.randint(0, 5, (3, 4))
        assert_alike(called(model, x, times=1), by_plan(model, x))
    assert not repeated


def test_states_go_on(repeated: list[Any]) -> None:
    model = keras.Sequential([keras.Input((4, 3), batch_size=2), L.LSTM(5, stateful=True)])
    twin, x = keras.models.clone_model(model), torch.randn(2, 4, 3)
    twin.set_weights(model.get_weights())
    for _ in range(6):
        assert_alike(called(model, x, times=1), by_plan(twin, x))


def test_gradients_and_transforms_see_the_layers(repeated: list[Any]) -> None:
    model = network()
    called(model)
    count = len(repeated)
    x = X.clone().requires_grad_()
    model(x)[:, 0].sum().backward()  # all outputs of a softmax together do not change
    assert x.grad is not None and x.grad.abs().sum() > 0
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert model(X).dtype == torch.bfloat16
    with torch.no_grad():
        each = torch.func.vmap(lambda one: model(one[None])[0])(X)
    torch.testing.assert_close(each, by_plan(model, X))
    assert len(repeated) == count


def test_exported_programs_are_whole() -> None:
    model = network()
    called(model)
    with torch.no_grad():
        program = torch.export.export(model, (X,))
    torch.testing.assert_close(program.module()(X), by_plan(model, X))


def test_wrong_inputs_get_the_usual_words(repeated: list[Any]) -> None:
    model = network()
    called(model)
    for wrong, word in ((X[..., :1], "channel"), (X[0], "ndim|axes|shape"), (X[:, :5, :5], "shape|size")):
        with pytest.raises(ValueError, match=word), torch.no_grad():
            model(wrong)


# Copies and threads ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_are_models_of_their_own(copied: Callable, repeated: list[Any]) -> None:
    model = network()
    expected = called(model)
    twin = copied(model)
    set_weights(model)
    assert torch.equal(called(twin), expected) and not torch.equal(called(model), expected)


def test_threads_predict_side_by_side(repeated: list[Any]) -> None:
    model, wrong = network(), []
    expected = by_plan(model, X)

    def predicts() -> None:
        for _ in range(60):
            if not torch.equal(called(model, times=1), expected):
                wrong.append(1)

    threads = [threading.Thread(target=predicts) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(repeated) > 100


def test_a_view_by_storage_is_what_it_looks_at() -> None:
    """As cuDNN looks at weights."""
    x, weight = torch.ones(3), torch.arange(3.0)
    recording = Recording([x])
    with torch.no_grad(), recording:
        seen = torch.empty(0).set_(weight.untyped_storage(), 0, (3,), (1,))
        outputs = x * seen
    assert recording.problem is None
    line = Line(recording, recording.names([outputs]))
    weight.mul_(10)
    assert line.run(torch.full((3,), 2.0))[0].tolist() == [0, 20, 40]
