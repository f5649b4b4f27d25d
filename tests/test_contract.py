"""What every layer keeps: one function a property, run on every entry of `support/examples.py`."""

from __future__ import annotations

import copy
import inspect
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.examples import (
    ALWAYS_RANDOM,
    ENTRIES,
    EXAMPLES,
    FLAT,
    FOREIGN,
    RANDOM,
    TEXTUAL,
    UNCALLED,
    Example,
    floats,
    policy,
    public_layers,
    reset,
)
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import lamina as keras
from lamina.core import serialize
from lamina.layers.preprocessing.pictures import Random

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masks:UserWarning")


def each(keep: Any = lambda example: True) -> Any:
    """Run the test on the examples that `keep` keeps."""
    kept = [example for example in EXAMPLES if keep(example)]
    return pytest.mark.parametrize("example", kept, ids=lambda example: example.id)


def takes(example: Example, argument: str) -> bool:
    return argument in inspect.signature(example.cls).parameters


def run(layer: Any, args: Any, **kwargs: Any) -> Any:
    if any(type(module).__name__ in ALWAYS_RANDOM for module in layer.modules()):
        kwargs.setdefault("training", False)
    with torch.no_grad():
        return layer(*args, **kwargs)


def shapes(structure: Any) -> Any:
    return [tuple(leaf.shape) for leaf in pytree.tree_leaves(structure)]


def assert_same(found: Any, expected: Any, **tolerance: float) -> None:
    leaves, others = pytree.tree_leaves(found), pytree.tree_leaves(expected)
    assert len(leaves) == len(others)
    for leaf, other in zip(leaves, others, strict=True):
        torch.testing.assert_close(leaf, other, **tolerance)


def loss_of(outputs: Any) -> Tensor:
    """A scalar to which every output value contributes differently."""
    parts = floats(outputs)
    return sum((y * torch.linspace(0.5, 1.5, y.numel(), dtype=y.dtype).reshape(y.shape)).sum() for y in parts)


# Existence --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(public_layers()))
def test_layer_has_an_entry(name: str) -> None:
    assert name in ENTRIES or name in UNCALLED or name in TEXTUAL, f"add {name} to tests/support/examples.py"


@each()
def test_entry_makes_its_layer(example: Example) -> None:
    assert type(example.make()) is example.cls


@pytest.mark.parametrize("name", sorted(UNCALLED))
def test_uncalled_layer_round_trips(name: str) -> None:
    layer = UNCALLED[name]()
    config = layer.get_config()
    again = type(layer).from_config(json.loads(json.dumps(config)))
    assert json.dumps(again.get_config()) == json.dumps(config)
    with pytest.raises((TypeError, ValueError)):
        layer(torch.ones(2, 3))


# Building and shapes ----------------------------------------------------------------------------------------------


@each()
def test_call_builds(example: Example) -> None:
    layer = example.make()
    assert example.name in FOREIGN or not layer.weights
    outputs = run(layer, example.tensors())
    assert layer.built
    assert layer.count_params() == sum(np.size(value) for value in layer.get_weights())
    assert all(torch.isfinite(leaf).all() for leaf in floats(outputs))
    paths = [weight.path for weight in layer.weights if hasattr(weight, "path")]
    assert len(set(paths)) == len(paths)


@each(lambda example: example.plain)
def test_build_makes_the_weights_a_call_makes(example: Example) -> None:
    called, built = example.make(), example.make()
    run(called, example.tensors())
    built.build(example.args[0].shape(2 if example.stateful else None))
    assert shapes(built.weights) == shapes(called.weights)
    assert [w.requires_grad for w in built.weights] == [w.requires_grad for w in called.weights]


@each()
@pytest.mark.parametrize("unknown", [False, True], ids=["batch", "all"])
def test_symbolic_shape_is_real_shape(example: Example, unknown: bool) -> None:
    layer = example.make()
    promised = pytree.tree_leaves(layer(*example.symbols(None, unknown)))
    for batch in (2,) if example.stateful else (2, 3):
        real = pytree.tree_leaves(run(reset(layer), example.tensors(batch)))
        assert len(real) == len(promised)
        for symbol, tensor in zip(promised, real, strict=True):
            assert symbol.torch_dtype == tensor.dtype
            assert len(symbol.shape) == tensor.ndim
            assert all(size in (None, n) for size, n in zip(symbol.shape, tensor.shape, strict=True)), (
                symbol.shape,
                tuple(tensor.shape),
            )
    assert unknown or all(None not in symbol.shape[1:] for symbol in promised)


@each(lambda example: example.plain)
def test_compute_output_shape_is_real_shape(example: Example) -> None:
    layer = example.make()
    given = example.args[0].shape(2)
    promised = layer.compute_output_shape(given)
    real = shapes(run(layer, example.tensors(2)))
    promised = [promised] if real and not isinstance(promised[0], (tuple, list)) else list(promised)
    assert [tuple(shape) for shape in promised] == real


# Configs and files ------------------------------------------------------------------------------------------------


@each()
def test_config_round_trip(example: Example) -> None:
    layer = example.built()
    config = layer.get_config()
    text = json.dumps(config)
    again = type(layer).from_config(json.loads(text))
    assert again.get_config() == config or json.dumps(again.get_config()) == text
    run(again, example.tensors())
    again.set_weights(layer.get_weights())
    assert_same(run(reset(again), example.tensors()), run(reset(layer), example.tensors()), rtol=0, atol=0)


@each()
def test_serialize_round_trip(example: Example) -> None:
    layer = example.make()
    data = serialize.serialize(layer)
    again = serialize.deserialize(json.loads(json.dumps(data)))
    assert type(again) is type(layer)
    assert json.dumps(serialize.serialize(again)) == json.dumps(data)


@each()
def test_weights_round_trip(example: Example) -> None:
    layer, other = example.built(0), example.built(1)
    other.set_weights(layer.get_weights())
    assert_same(run(reset(other), example.tensors()), run(reset(layer), example.tensors()), rtol=0, atol=0)
    if layer.weights:
        before = other.get_weights()
        with pytest.raises(ValueError, match="set_weights"):
            other.set_weights(layer.get_weights()[:-1])
        with pytest.raises(ValueError, match="set_weights"):
            other.set_weights([np.zeros((9, *np.shape(value))) for value in before])
        for value, kept in zip(other.get_weights(), before, strict=True):
            np.testing.assert_array_equal(value, kept)


@each()
def test_own_variables_round_trip(example: Example) -> None:
    layer, other = example.built(0), example.built(1)

    def everything(root: Any) -> list[Any]:
        return [module for module in root.modules() if isinstance(module, keras.Layer)]

    for source, target in zip(everything(layer), everything(other), strict=True):
        store: dict[str, Any] = {}
        source.save_own_variables(store)
        target.load_own_variables({key: np.asarray(value.detach().numpy()) for key, value in store.items()})
    assert_same(run(reset(other), example.tensors()), run(reset(layer), example.tensors()), rtol=1e-6, atol=1e-7)


@each()
def test_file_round_trip(example: Example, tmp_path: Path) -> None:
    model = model_of(example, example.built())
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_same(run(again, grouped(example)), run(model, grouped(example)), rtol=0, atol=0)


# Numbers ----------------------------------------------------------------------------------------------------------


def model_of(example: Example, layer: Any) -> Any:
    """A functional model of this one layer; its inputs are the call's tensors in one list."""
    symbols = example.symbols()
    leaves = pytree.tree_leaves(symbols)
    return keras.Model(leaves if len(leaves) > 1 else leaves[0], layer(*symbols))


def grouped(example: Example, **kwargs: Any) -> tuple[Any]:
    leaves = pytree.tree_leaves(example.tensors(**kwargs))
    return (leaves if len(leaves) > 1 else leaves[0],)


@each()
def test_model_computes_what_the_layer_computes(example: Example) -> None:
    layer = example.built()
    model = model_of(example, layer)
    expected = pytree.tree_leaves(run(layer, example.tensors()))
    reset(layer)
    assert_same(pytree.tree_leaves(run(model, grouped(example))), expected, rtol=0, atol=0)


@each(lambda example: example.plain and takes(example, "data_format") and example.name not in FLAT | {"Flatten"})
def test_data_formats_give_transposed_results(example: Example) -> None:
    with policy("float64"):
        layer = example.built()
        (given,) = example.tensors(dtype=torch.float64)
        config = layer.get_config()
        other_format = {"channels_last": "channels_first", "channels_first": "channels_last"}[layer.data_format]
        other = type(layer).from_config({**config, "data_format": other_format}).train(layer.training)
        first = -1 - layer.rank
        move = (-1, first) if layer.data_format == "channels_last" else (first, -1)
        swapped = given.movedim(*move).contiguous().requires_grad_()
        given.requires_grad_()
        run(other, (swapped,))
        other.set_weights(matching(layer, other))
        reset(other)
        expected = pytree.tree_leaves(layer(given))
        found = pytree.tree_leaves(other(swapped))
        expected = [each.movedim(*move) if each.ndim > 2 else each for each in expected]
        assert_same(found, expected)
        expected_grad = torch.autograd.grad(loss_of(expected), given)[0].movedim(*move)
        assert_same(torch.autograd.grad(loss_of(found), swapped)[0], expected_grad)


def matching(layer: Any, other: Any) -> list[np.ndarray]:
    """The weights of `layer` as `other`, of the other data format, orders them: a local kernel goes by taps."""
    values = layer.get_weights()
    if "LocallyConnected" not in type(layer).__name__:
        return values
    positions, taps, filters = values[0].shape
    channels = taps // int(np.prod(layer.kernel_size))
    if layer.data_format == "channels_last":
        kernel = values[0].reshape(positions, -1, channels, filters).swapaxes(1, 2)
        bias = np.moveaxis(values[1], -1, 0)
    else:
        kernel = values[0].reshape(positions, channels, -1, filters).swapaxes(1, 2)
        bias = np.moveaxis(values[1].reshape(filters, *values[1].shape[:-1]), 0, -1)
    return [kernel.reshape(positions, taps, filters), bias.reshape(values[1].shape)]


@each()
def test_gradcheck(example: Example) -> None:
    with policy("float64"):
        layer = example.built()
        args = example.tensors(dtype=torch.float64)
    leaves, structure = pytree.tree_flatten(args)
    names = [name for name, weight in layer.named_parameters() if weight.requires_grad]
    inputs = [leaf.requires_grad_() for leaf in leaves if leaf.is_floating_point()]
    weights = [layer.get_parameter(name).detach().clone().requires_grad_() for name in names]
    fixed = [leaf for leaf in leaves if not leaf.is_floating_point()]

    def function(*values: Tensor) -> Any:
        data, given = list(values[: len(inputs)]), values[len(inputs) :]
        whole = pytree.tree_unflatten(data or fixed, structure)
        reset(layer)
        return tuple(floats(torch.func.functional_call(layer, dict(zip(names, given, strict=True)), whole)))

    if inputs or weights:
        assert torch.autograd.gradcheck(function, (*inputs, *weights), fast_mode=False)


# A rounded value may fall on the next step.
JUMPING = {"ContrastLimitedAdaptiveHistogramEqualization", "Equalization", "RandomPosterization"}


@each(lambda example: example.name not in JUMPING)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(example: Example, dtype: str) -> None:
    with policy(dtype):
        layer = example.built()
        args = example.tensors()
        outputs = layer(*args)
        kind = getattr(torch, dtype)
        assert all(weight.dtype == kind for weight in layer.parameters())
        assert all(output.dtype == kind for output in floats(outputs))
        exact = copy.deepcopy(layer).to(torch.float32)
    with policy("float32"):
        wide = run(reset(exact), pytree.tree_map(lambda leaf: leaf.float() if leaf.is_floating_point() else leaf, args))
    assert_same(
        [leaf.float() for leaf in floats(outputs)], floats(wide), rtol=0.1, atol=0.1 if dtype == "bfloat16" else 0.02
    )


@each(lambda example: example.name not in FOREIGN | JUMPING)
def test_mixed_precision(example: Example) -> None:
    with policy("mixed_bfloat16"):
        layer = example.built()
        outputs = layer(*example.tensors())
    assert all(output.dtype == torch.bfloat16 for output in floats(outputs))
    assert all(weight.dtype == torch.float32 for weight in layer.parameters())
    trained = [weight for weight in layer.parameters() if weight.requires_grad]
    if trained:
        gradients = torch.autograd.grad(loss_of(outputs), trained, allow_unused=True)
        assert all(gradient is not None and gradient.dtype == torch.float32 for gradient in gradients)
    with policy("float32"):
        wide = example.built()
    wide.set_weights(layer.get_weights())
    assert_same([leaf.float() for leaf in floats(outputs)], floats(run(wide, example.tensors())), rtol=0.1, atol=0.1)


@each()
def test_double_by_to(example: Example) -> None:
    layer = example.built()
    single = run(layer, example.tensors())
    layer = reset(layer).to(torch.float64)
    double = run(layer, example.tensors(dtype=torch.float64))
    assert all(output.dtype == torch.float64 for output in floats(double))
    assert_same([leaf.double() for leaf in floats(single)], floats(double), rtol=1e-4, atol=1e-5)


@each(lambda example: not example.stateful)
def test_empty_batch(example: Example) -> None:
    layer = example.built()
    expected = shapes(run(layer, example.tensors(batch=1)))
    outputs = layer(*example.tensors(batch=0))
    assert shapes(outputs) == [(0, *shape[1:]) for shape in expected]
    if layer.trainable_weights:
        gradients = torch.autograd.grad(loss_of(outputs), layer.trainable_weights, allow_unused=True)
        assert all(gradient is None or not gradient.any() for gradient in gradients)


@each()
def test_strided_inputs(example: Example) -> None:
    layer = example.built()
    args = example.tensors()
    strided = pytree.tree_map(lambda leaf: torch.stack([leaf, leaf + 1], -1)[..., 0], args)
    assert all(not leaf.is_contiguous() or leaf.numel() < 2 for leaf in pytree.tree_leaves(strided))
    assert_same(run(reset(layer), strided), run(reset(copy.deepcopy(layer)), args))
    if example.floating:
        found, expected = gradients_of(layer, strided), gradients_of(layer, args)
        assert_same(found, expected, rtol=1e-4, atol=1e-5)


def gradients_of(layer: Any, args: Any) -> list[Tensor]:
    """Gradients of `loss_of` the outputs with respect to inputs and trained weights."""
    args = pytree.tree_map(lambda leaf: leaf.detach().requires_grad_(), args)
    sources = [*pytree.tree_leaves(args), *(weight for weight in layer.parameters() if weight.requires_grad)]
    found = torch.autograd.grad(loss_of(reset(layer)(*args)), sources, allow_unused=True, materialize_grads=True)
    return list(found)


@each(lambda example: example.plain and example.floating and len(example.args[0].sizes) == 2)
def test_masks_travel_alike_by_hand_and_in_a_model(example: Example) -> None:
    if example.name == "Softmax":
        return  # its mask has the input's shape
    layer = example.built()
    (given,) = example.tensors()
    given[0, -1] = 0
    masking = keras.layers.Masking()
    by_hand = run(layer, (run(masking, (given,)),))
    inputs = keras.Input(given.shape[1:])
    symbol = layer(masking(inputs))
    model = keras.Model(inputs, symbol)
    reset(layer)
    assert_same(run(model, (given,)), by_hand, rtol=0, atol=0)
    masks = [getattr(leaf, "_keras_mask", None) for leaf in pytree.tree_leaves(by_hand)]
    promised = [getattr(leaf, "_keras_mask", None) for leaf in pytree.tree_leaves(symbol)]
    assert [mask is None for mask in masks] == [mask is None for mask in promised]
    for mask, leaf in zip(masks, pytree.tree_leaves(by_hand), strict=True):
        assert mask is None or (mask.dtype == torch.bool and mask.shape == leaf.shape[: mask.ndim])


# Training ---------------------------------------------------------------------------------------------------------


@each(lambda example: example.name in RANDOM)
def test_random_layer_draws_in_training_alone(example: Example) -> None:
    layer = example.built()
    args = example.tensors()
    calm = run(layer, args)
    assert_same(run(layer, args), calm, rtol=0, atol=0)
    drawn = run(layer, args, training=True)
    assert not torch.equal(drawn, calm)
    assert not torch.equal(run(layer, args, training=True), drawn)


@each(lambda example: example.cls._takes_training and not issubclass(example.cls, Random))
def test_training_flag_by_argument_and_by_mode(example: Example) -> None:
    layer = example.built()
    by_argument, by_mode = copy.deepcopy(layer), copy.deepcopy(layer).train()
    torch.manual_seed(3)
    expected = run(by_argument, example.tensors(), training=True)
    torch.manual_seed(3)
    assert_same(run(by_mode, example.tensors()), expected, rtol=0, atol=0)
    torch.manual_seed(3)
    calm = run(reset(by_argument), example.tensors())
    assert_same(run(reset(by_mode), example.tensors(), training=False), calm, rtol=0, atol=0)


@each(lambda example: example.floating)
def test_optimizer_trains(example: Example) -> None:
    layer = example.built().train()
    trained = layer.trainable_weights
    if not trained:
        return
    before = [weight.detach().clone() for weight in trained]
    optimizer = torch.optim.SGD(layer.parameters(), lr=1e-3)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        torch.manual_seed(0)
        loss = sum(output.square().sum() for output in floats(reset(layer)(*example.tensors(), training=False)))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(weight.grad is not None for weight in trained)
    assert any(not torch.equal(weight, old) for weight, old in zip(trained, before, strict=True))
    assert losses[1] < losses[0]


# A torch module ---------------------------------------------------------------------------------------------------


class Holder(nn.Module):
    def __init__(self, layer: Any):
        super().__init__()
        self.layer = layer

    def forward(self, *args: Any) -> Any:
        return self.layer(*args)


@each()
@pytest.mark.parametrize("assign", [False, True], ids=["copied", "assigned"])
def test_state_dict_round_trip(example: Example, assign: bool) -> None:
    source, target = Holder(example.built(0)), Holder(example.built(1))
    file = io.BytesIO()
    torch.save(source.state_dict(), file)
    file.seek(0)
    before = [(type(weight), vars(weight)) for weight in target.layer.weights]
    target.load_state_dict(torch.load(file, weights_only=True), strict=True, assign=assign)
    assert [(type(weight), vars(weight)) for weight in target.layer.weights] == before
    expected = run(reset(source.layer), example.tensors())
    assert_same(run(reset(target.layer), example.tensors()), expected, rtol=0, atol=0)


@each(lambda example: example.name != "TorchModuleWrapper" and example.built().state_dict())
def test_loading_without_weights_says_what_to_do(example: Example) -> None:
    state = Holder(example.built()).state_dict()
    with pytest.raises(RuntimeError, match="has no weights yet: call it on data"):
        Holder(example.make()).load_state_dict(state)


@each()
def test_autocast_runs_and_trains(example: Example) -> None:
    layer, args = example.built(), example.tensors()
    expected = run(reset(layer), args)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = reset(layer)(*args)
    assert_same(pytree.tree_map(Tensor.float, found), pytree.tree_map(Tensor.float, expected), rtol=0.1, atol=0.1)
    if layer.trainable_weights:
        loss_of(pytree.tree_map(Tensor.float, found)).backward()
        assert all(weight.grad is None or weight.grad.dtype == torch.float32 for weight in layer.trainable_weights)


@each()
def test_built_in_inference_mode_it_can_be_trained(example: Example) -> None:
    layer = example.make()
    with torch.inference_mode():
        layer(*example.tensors())
    assert not any(weight.is_inference() for weight in layer.weights)


@each(lambda example: not example.stateful and example.built().trainable_weights)
@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")  # torch's, for its LSTM
def test_gradients_of_single_samples_by_vmap(example: Example) -> None:
    layer, args = example.built(), example.tensors()
    state = {name: weight.detach() for name, weight in layer.named_parameters()}

    def loss(state: Any, args: Any) -> Tensor:
        return loss_of(torch.func.functional_call(layer, state, pytree.tree_map(lambda x: x.unsqueeze(0), args)))

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(state, args)
    for index in range(2):
        one = torch.func.grad(loss)(state, pytree.tree_map(lambda x, index=index: x[index], args))
        assert_same({name: each[index] for name, each in found.items()}, one, rtol=1e-4, atol=1e-5)


def pickled(layer: Any) -> Any:
    return pickle.loads(pickle.dumps(layer))


@each()
@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_copy_is_equal_and_independent(example: Example, copied: Any) -> None:
    layer = example.built()
    twin = copied(layer)
    expected = run(layer, example.tensors())
    assert_same(run(twin, example.tensors()), expected, rtol=0, atol=0)
    assert [type(weight) for weight in twin.weights] == [type(weight) for weight in layer.weights]
    assert [weight.requires_grad for weight in twin.weights] == [weight.requires_grad for weight in layer.weights]
    assert [weight.stride() for weight in twin.weights] == [weight.stride() for weight in layer.weights]
    with torch.no_grad():
        for weight in twin.weights:
            weight.zero_()
    assert_same(run(reset(layer), example.tensors()), expected, rtol=0, atol=0)
    if example.floating:
        torch.manual_seed(0)
        reset(twin)(*example.tensors())
        assert all(weight.grad is None for weight in layer.parameters())


@each()
def test_unbuilt_copy_builds(example: Example) -> None:
    twin = copy.deepcopy(example.make())
    assert shapes(run(twin, example.tensors())) == shapes(run(example.make(), example.tensors()))


@each(lambda example: example.floating)
def test_hooks_are_called_and_respected(example: Example) -> None:
    layer = example.built()
    args = example.tensors()
    plain = run(layer, args)
    doubled = run(reset(layer), pytree.tree_map(lambda leaf: 2 * leaf, args))
    model = model_of(example, reset(layer))

    def twice(structure: Any) -> Any:
        return pytree.tree_map(lambda leaf: 2 * leaf, structure)

    def check(expected: Any) -> None:
        assert_same(run(reset(layer), args), expected)
        reset(layer)
        assert_same(pytree.tree_leaves(run(model, grouped(example))), pytree.tree_leaves(expected))
        reset(layer)

    hook = layer.register_forward_hook(lambda module, inputs, outputs: twice(outputs))
    check(twice(plain))
    hook.remove()
    check(plain)
    hook = layer.register_forward_pre_hook(lambda module, inputs: twice(inputs))
    check(doubled)
    hook.remove()
    hook = nn.modules.module.register_module_forward_hook(
        lambda module, inputs, outputs: twice(outputs) if module is layer else None
    )
    try:
        assert_same(run(reset(layer), args), twice(plain))
    finally:
        hook.remove()
    check(plain)


@each(lambda example: example.plain and example.floating)
def test_backward_hook_sees_the_gradient(example: Example) -> None:
    layer = example.built()
    seen = []
    layer.register_full_backward_hook(lambda module, into, out: seen.append(floats(out)))
    args = pytree.tree_map(lambda leaf: leaf.requires_grad_(), example.tensors())
    loss_of(layer(*args)).backward()
    assert len(seen) == 1


@each()
def test_functional_call_takes_other_weights(example: Example) -> None:
    layer, other = example.built(0), example.built(1)
    expected = run(other, example.tensors())
    before = run(layer, example.tensors())
    state = {name: value.detach() for name, value in other.state_dict().items()}
    with torch.no_grad():
        found = torch.func.functional_call(reset(layer), state, example.tensors())
    assert_same(found, expected)
    assert_same(run(reset(layer), example.tensors()), before)


@each(lambda example: example.index or not example.plain)  # the others: below
def test_compiles_whole(example: Example) -> None:
    torch._dynamo.reset()
    layer = example.built()
    args = example.tensors()
    expected = run(layer, args)
    compiled = torch.compile(reset(layer), fullgraph=True, backend="eager")
    assert_same(run(compiled, args), expected, rtol=1e-5, atol=1e-6)


# A gru or rnn kernel is traced anew for each length; and a pooling of
# one axis has a kernel for few values and one for many; a blur as wide as a picture, for each width.
UNROLLED = {"GRU", "RNN", "SimpleRNN", "MaxPooling1D", "RandomElasticTransform"}


@each(lambda example: example.index == 0 and example.plain)
@pytest.mark.parametrize("growth", [pytest.param(0, id="batch"), pytest.param(1, id="sizes", marks=pytest.mark.slow)])
def test_compiled_layer_takes_any_size(example: Example, growth: int) -> None:
    if growth and not example.args[0].unknown:
        return
    torch._dynamo.reset()
    graphs = []

    def counting(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    layer = example.built()
    compiled = torch.compile(layer, fullgraph=True, backend=counting)
    for more in (0, 1, 3, 4):
        args = (example.args[0].longer(growth * more).tensor(2 + more, torch.Generator(), torch.float32),)
        assert_same(run(compiled, args), run(layer, args), rtol=1e-5, atol=1e-6)
    if growth and example.name in UNROLLED:
        return
    assert len(graphs) <= 2  # one for the first size, one for all others


@pytest.mark.slow
@each(lambda example: example.name != "AugMix")  # what runs is drawn
def test_compiles_whole_in_training(example: Example) -> None:
    torch._dynamo.reset()
    layer = example.built().train()
    args = example.tensors()
    outputs = torch.compile(reset(layer), fullgraph=True, backend="aot_eager")(*args)
    if floats(outputs) and layer.trainable_weights:
        loss_of(outputs).backward()
        assert all(weight.grad is not None for weight in layer.trainable_weights)
