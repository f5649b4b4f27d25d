"""Models as plain modules of torch, and such modules as models: equal results, weights under torch's names."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from support.examples import Example, examples
from support.torch_models import models
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import lamina as keras
from lamina import layers, port
from lamina.port.checking import evaluating, largest_difference
from lamina.port.writer import FORMS, REFUSED, form_of


def as_model(example: Example) -> keras.Model:
    layer = example.built()
    symbols = example.symbols()
    outputs = pytree.tree_leaves(layer(*symbols))
    return keras.Model(pytree.tree_leaves(symbols), outputs if len(outputs) > 1 else outputs[0])


def difference(first: Any, second: Any, *inputs: Tensor) -> float:
    with evaluating(first), evaluating(second):
        return largest_difference(first(*inputs), second(*inputs))[0]


def sequential(shape: tuple, *stack: Any, dtype: str = "float32") -> keras.Sequential:
    model = keras.Sequential([keras.Input(shape, dtype=dtype), *stack])
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.weights:
            if weight.is_floating_point():
                weight.add_(0.1 * torch.rand(weight.shape, generator=generator))
    return model


# Layers --------------------------------------------------------------------------------------------------------------

EXAMPLES = [example for example in examples() if not example.cls.__module__.startswith("support")]
QUICK = [example for example in EXAMPLES if form_of(example.make()) or example.name in REFUSED]


@pytest.mark.parametrize("example", QUICK, ids=lambda example: example.id)
def test_a_layer_as_a_module(example: Example, capsys: pytest.CaptureFixture) -> None:
    model = as_model(example)
    if example.name in REFUSED:
        with pytest.raises(ValueError, match=r"^to_torch: .* inference=True\.$"):
            port.to_torch(model)
        if example.cls not in FORMS:
            return
    module = port.to_torch(model, inference=example.name in REFUSED or _drops(example))
    assert "largest difference" in capsys.readouterr().out
    is_plain(module)
    own = {value.data_ptr() for value in model.state_dict().values() if value.numel()}
    shared = [name for name, value in module.state_dict().items() if value.numel() and value.data_ptr() in own]
    assert not shared, "weights of its own"


@pytest.mark.slow
@pytest.mark.parametrize("example", [each for each in EXAMPLES if each not in QUICK], ids=lambda example: example.id)
def test_a_layer_without_a_twin_is_the_calls_it_makes(example: Example) -> None:
    model = as_model(example)
    if any(getattr(layer, "_takes_text", False) for layer in model.layers):
        with pytest.raises(ValueError, match="takes texts"):
            port.to_torch(model, inference=True)
        return
    is_plain(port.to_torch(model, inference=True))


def _drops(example: Example) -> bool:
    """Whether it drops parts of the state, for which torch has nothing."""
    return bool(getattr(example.make(), "recurrent_dropout", 0))


def is_plain(module: nn.Module) -> None:
    """Nothing in it, in the classes of it and its parts, or in its code, is Lamina's."""
    for part in module.modules():
        for cls in type(part).__mro__:
            assert not cls.__module__.startswith("lamina"), cls
        for name, value in vars(part).items():
            for leaf in pytree.tree_leaves(value):
                kind = leaf if isinstance(leaf, type) or callable(leaf) else type(leaf)
                assert not str(getattr(kind, "__module__", "")).startswith("lamina"), (name, leaf)
        assert "lamina" not in getattr(part, "code", "")
        for node in getattr(getattr(part, "graph", None), "nodes", ()):
            assert not node.meta or "lamina" not in str(node.meta)
    assert all(type(value) in (nn.Parameter, Tensor) for value in module.state_dict(keep_vars=True).values())


def test_a_module_is_loaded_where_there_is_no_lamina(tmp_path: Any) -> None:
    ids = keras.Input((6,), dtype="int32", name="ids")
    x = layers.Embedding(9, 4, mask_zero=True)(ids)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    x = layers.MultiHeadAttention(2, 2)(x, x)
    outputs = layers.Activation("squareplus", name="traced")(layers.Dense(2)(layers.GRU(3)(x)))
    module = port.to_torch(keras.Model(ids, outputs), verify=False)
    given = torch.randint(0, 9, (3, 6))
    torch.save((module, given, module(given)), tmp_path / "module.pt")
    script = f"""
import sys
sys.modules["lamina"] = None
import torch
module, given, expected = torch.load({str(tmp_path / "module.pt")!r}, weights_only=False)
assert torch.allclose(module(given), expected, atol=1e-6)
assert [*module.state_dict()] == {[*module.state_dict()]!r}
assert not [name for name in sys.modules if name.startswith("lamina.")]
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, env={})
    assert done.returncode == 0, done.stderr


CONVOLUTIONS = [
    (rank, kind, padding, strides, kernel, options)
    for rank in (1, 2, 3)
    for kind, options in (("Conv", {}), ("Conv", {"groups": 2}), ("DepthwiseConv", {"depth_multiplier": 2}),
                          ("SeparableConv", {}), ("Transpose", {}))
    for padding in ("valid", "same") + ("causal",) * (rank == 1 and kind == "Conv")
    for strides, kernel in ((1, 3), (2, 3), (2, 4), (3, 2), (1, 2))
    if rank < 3 or (kind in ("Conv", "Transpose") and kernel > 2)
]  # fmt: skip


LAYOUTS = [(data_format, first) for data_format in ("channels_last", "channels_first") for first in (False, True)]


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("data_format, channels_first", LAYOUTS)
def test_convolutions(data_format: str, channels_first: bool, step: int) -> None:
    """Every one in some layout, or in all of them."""
    place = LAYOUTS.index((data_format, channels_first))
    for rank, kind, padding, strides, kernel, options in CONVOLUTIONS[place::step]:
        name = f"Conv{rank}DTranspose" if kind == "Transpose" else f"{kind}{rank}D"
        if kind in ("DepthwiseConv", "SeparableConv") and rank == 3:
            continue
        args = (kernel,) if kind == "DepthwiseConv" else (4, kernel)
        layer = getattr(layers, name)(*args, strides=strides, padding=padding, data_format=data_format, **options)
        shape = (4, *(7, 6, 5)[:rank]) if data_format == "channels_first" else (*(7, 6, 5)[:rank], 4)
        port.to_torch(sequential(shape, layer), channels_first=channels_first)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pooling(rank: int) -> None:
    for kind in ("Max", "Average"):
        for padding in ("valid", "same"):
            for size, strides in ((2, 2), (3, 2), (2, 1), (3, 1), (2, 3)):
                layer = getattr(layers, f"{kind}Pooling{rank}D")(size, strides, padding)
                port.to_torch(sequential((*(7, 6, 5)[:rank], 2), layer))


def test_dilation_and_odd_windows() -> None:
    for dilation in (2, 3):
        for padding in ("valid", "same"):
            port.to_torch(sequential((9, 8, 2), layers.Conv2D(3, (3, 2), dilation_rate=dilation, padding=padding)))
    port.to_torch(sequential((5, 4, 2), layers.Conv2DTranspose(3, 3, 2, "same", output_padding=1)))
    port.to_torch(sequential((9, 2), layers.Conv1D(3, 2, dilation_rate=4, padding="causal")))


RECURRENT = ["LSTM", "GRU", "SimpleRNN"]


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("sequences", [False, True])
def test_masked_steps(name: str, sequences: bool) -> None:
    ids = torch.tensor([[1, 2, 3, 4], [0, 0, 1, 2], [3, 4, 0, 0], [1, 0, 0, 2], [0, 0, 0, 0]])
    for wrap in (lambda layer: layer, layers.Bidirectional):
        for backwards in (False, True):
            inner = getattr(layers, name)(3, return_sequences=sequences, go_backwards=backwards)
            if backwards and wrap is layers.Bidirectional:
                continue
            model = sequential((4,), layers.Embedding(5, 2, mask_zero=True), wrap(inner), dtype="int32")
            assert difference(model, port.to_torch(model), ids) < 1e-6


@pytest.mark.parametrize("name", RECURRENT)
def test_states_and_both_directions(name: str) -> None:
    inputs = keras.Input((5, 2))
    options: dict[str, Any] = {"return_state": True, "return_sequences": True}
    y, *states = getattr(layers, name)(3, **options)(inputs)
    z = getattr(layers, name)(3, go_backwards=True)(y, initial_state=states)
    both = layers.Bidirectional(getattr(layers, name)(2, **options))(inputs)
    merged = [
        layers.Bidirectional(getattr(layers, name)(2, return_sequences=True), merge_mode=mode)(inputs)
        for mode in ("sum", "mul", "ave")
    ]
    port.to_torch(keras.Model(inputs, [y, z, *both, *merged]))


def test_what_torch_has_no_cell_for_is_unrolled() -> None:
    port.to_torch(sequential((2, 3), layers.LSTM(2, recurrent_activation="hard_sigmoid")))
    port.to_torch(sequential((2, 3), layers.GRU(2, reset_after=False)))
    with pytest.raises(ValueError, match=r"has no twin in torch\.nn"):
        port.to_torch(sequential((None, 3), layers.LSTM(2, recurrent_activation="hard_sigmoid")))


def test_attention_and_its_masks() -> None:
    ids = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 6, mask_zero=True)(ids)
    first = layers.MultiHeadAttention(2, 3, value_dim=4, dropout=0.1)(x, x, use_causal_mask=True)
    second, scores = layers.MultiHeadAttention(3, 2, use_bias=False)(x, x, return_attention_scores=True)
    third = layers.Attention(use_scale=True, dropout=0.2)([x, x])
    fourth = layers.AdditiveAttention()([x, first])
    causal = layers.MultiHeadAttention(1, 4)(first, first, use_causal_mask=True)
    module = port.to_torch(keras.Model(ids, [first, second, scores, third, fourth, causal]))
    assert {"query", "key", "value", "output_proj"} <= dict(module.multi_head_attention.named_children()).keys()


@pytest.mark.parametrize(
    "apply",
    [
        lambda x, c: layers.Add()([x, c]),
        lambda x, c: layers.Subtract()([c, x]),
        lambda x, c: layers.Attention()([x, c]),
        lambda x, c: layers.AdditiveAttention()([x, c]),
        lambda x, c: layers.MultiHeadAttention(2, 3)(x, c),
        lambda x, c: layers.MultiHeadAttention(2, 3)(x, x, attention_mask=np.tri(4, dtype=bool)),
        lambda x, c: layers.GroupQueryAttention(3, 4, 2)(x, x, attention_mask=np.tri(4, dtype=bool)),
        lambda x, c: layers.Softmax()(x, mask=c > 0.5),
        lambda x, c: layers.GlobalAveragePooling1D()(x, mask=np.array([[True, False, True, True]])),
    ],
)
def test_constants_are_written_into_the_module(apply: Any) -> None:
    x = keras.Input((4, 6))
    model = keras.Model(x, apply(x, torch.rand(1, 4, 6)))
    module = port.to_torch(model)
    batch = torch.rand(1, 4, 6)
    torch.testing.assert_close(module(batch), model(batch))
    assert len(module.state_dict()) == len(model.weights) + 1


def test_several_inputs_and_outputs_keep_their_structure() -> None:
    a, b = keras.Input((4, 4, 3), name="picture"), keras.Input((2,), name="facts")
    x = layers.GlobalMaxPooling2D()(layers.Conv2D(2, 3)(a))
    outputs = {"sum": layers.Add()([x, b]), "both": layers.Concatenate()([x, b])}
    model = keras.Model({"picture": a, "facts": b}, outputs)
    module = port.to_torch(model)
    given = {"picture": torch.rand(2, 4, 4, 3), "facts": torch.rand(2, 2)}
    found = module(**given)
    assert found.keys() == outputs.keys()
    for key, value in model(given).items():
        torch.testing.assert_close(found[key], value)


# Layout, names, weights ----------------------------------------------------------------------------------------------


def pictures() -> keras.Sequential:
    return sequential(
        (9, 8, 3),
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv1"),
        layers.BatchNormalization(name="bn"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.BatchNormalization(name="norm"),
        layers.Dropout(0.5),
        layers.Dense(5, name="head"),
    )


@pytest.mark.parametrize("channels_first", [False, True])
def test_the_layout_of_pictures(channels_first: bool) -> None:
    model, given = pictures(), torch.rand(3, 9, 8, 3)
    module = port.to_torch(model, channels_first=channels_first)
    x = given.permute(0, 3, 1, 2) if channels_first else given
    torch.testing.assert_close(module(x), model(given))
    assert module.code.count(".permute(") == (0 if channels_first else 1)  # weights are turned, values are not
    assert [*module.state_dict()][:3] == ["conv1.weight", "conv1.bias", "bn.weight"]


def test_a_stack_is_a_sequential() -> None:
    model = sequential((8, 8, 3), *pictures().layers[1:])
    module = port.to_torch(model, channels_first=True)
    assert isinstance(module, nn.Sequential)
    assert isinstance(module.conv1, nn.Conv2d) and isinstance(module.head, nn.Linear)


def test_names_do_not_depend_on_what_was_made_before() -> None:
    def keys() -> list[str]:
        return [*port.torch_state_dict(sequential((4,), layers.Dense(3), layers.Dense(2)))]

    assert keys() == keys() == ["dense.weight", "dense.bias", "dense_1.weight", "dense_1.bias"]


@pytest.mark.parametrize("channels_first", [False, True])
def test_weights_alone_there_and_back(channels_first: bool) -> None:
    first, second = pictures(), pictures()
    with torch.no_grad():
        for weight in second.weights:
            weight.add_(1)
    state = port.torch_state_dict(first, channels_first=channels_first)
    port.load_torch_weights(second, state, channels_first=channels_first)
    for a, b in zip(first.weights, second.weights, strict=True):
        torch.testing.assert_close(a.detach(), b.detach())


def test_both_biases_of_torch_are_one_here() -> None:
    model = sequential((4, 3), layers.Bidirectional(layers.LSTM(2)), name := layers.Dense(1))
    module = port.to_torch(model)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.3 * torch.rand(weight.shape))
    port.load_torch_weights(model, module.state_dict())
    assert difference(model, module, torch.rand(2, 4, 3)) < 1e-6
    assert name.units == 1


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda state: state.pop("head.bias"), "misses `head.bias`"),
        (lambda state: state.update(more=torch.zeros(1)), "unknown `more`"),
        (
            lambda state: state.update({"head.bias": torch.zeros(4)}),
            r"`?head.bias.* must have shape \(5,\); got \(4,\)",
        ),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change: Any, says: str) -> None:
    model = pictures()
    before = [weight.detach().clone() for weight in model.weights]
    state = {name: value + 1 for name, value in port.torch_state_dict(model).items()}
    change(state)
    with pytest.raises(ValueError, match=says):
        port.load_torch_weights(model, state)
    for old, new in zip(before, model.weights, strict=True):
        assert torch.equal(old, new)


def test_a_value_without_a_weight_is_refused() -> None:
    model = sequential((3,), layers.BatchNormalization(scale=False))
    state = port.torch_state_dict(model)
    port.load_torch_weights(model, state)
    with pytest.raises(ValueError, match=r"has no weight for 'batch_normalization\.weight', which must be 1"):
        port.load_torch_weights(model, {**state, "batch_normalization.weight": torch.tensor([1.0, 2.0, 1.0])})


# Training ------------------------------------------------------------------------------------------------------------


def step(model: Any, inputs: Tensor, target: Tensor) -> None:
    model.train()
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.1)
    nn.functional.mse_loss(model(inputs), target).backward()
    optimizer.step()
    model.eval()


@pytest.mark.parametrize(
    "shape, stack",
    [
        ((7, 6, 3), lambda: [layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(), layers.Flatten()]),
        ((7, 3), lambda: [layers.Bidirectional(layers.LSTM(3, return_sequences=True)), layers.GRU(4)]),
        ((7, 3), lambda: [layers.SimpleRNN(4, return_sequences=True), layers.SeparableConv1D(3, 2), layers.Flatten()]),
        ((5,), lambda: [layers.Dense(4, activation="gelu", trainable=False), layers.LayerNormalization()]),
    ],
)
def test_one_step_of_training_is_the_same(shape: tuple, stack: Any) -> None:
    model = sequential(shape, *stack(), layers.Dense(2))
    module = port.to_torch(model)
    inputs, target = torch.randn(6, *shape), torch.randn(6, 2)
    step(model, inputs, target)
    step(module, inputs, target)
    expected = port.torch_state_dict(model)
    for name, value in module.state_dict().items():
        if "running_var" not in name and "num_batches" not in name:  # torch's moving variance is unbiased
            torch.testing.assert_close(value, expected[name], msg=name)


def test_what_is_frozen_stays_frozen() -> None:
    base = sequential((6, 6, 3), layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Dropout(0.5))
    base.trainable = False
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(base(inputs, training=False))))
    module = port.to_torch(model)
    assert {name for name, weight in module.named_parameters() if weight.requires_grad} == {
        "dense.weight",
        "dense.bias",
    }
    given = torch.rand(4, 6, 6, 3)
    torch.testing.assert_close(module.train()(given), model(given))  # neither statistics of the batch, nor dropout
    before = module.state_dict()
    assert torch.equal(before["sequential.batch_normalization.running_mean"], base.layers[1].moving_mean)


def test_dropout_of_steps_and_of_what_is_shared() -> None:
    model = sequential((50, 40), layers.Dropout(0.5, noise_shape=(None, 1, None)))
    module = port.to_torch(model).train()
    kept = module(torch.ones(3, 50, 40))
    assert set(kept.unique().tolist()) == {0.0, 2.0} and bool((kept == kept[:, :1]).all())
    lstm = port.to_torch(sequential((5, 4), layers.LSTM(3, dropout=0.5)))
    x = torch.rand(2, 5, 4)
    torch.testing.assert_close(lstm(x), lstm(x))
    assert not torch.equal(lstm.train()(x), lstm(x))
    always = keras.Input((40,))
    module = port.to_torch(keras.Model(always, layers.Dropout(0.5)(always, training=True)), verify=False)
    assert 0.0 in module(torch.ones(2, 40))


def test_noise_is_of_training_alone() -> None:
    module = port.to_torch(sequential((50, 40), layers.GaussianNoise(0.5), layers.GaussianDropout(0.3)))
    x = torch.ones(20, 50, 40)
    assert torch.equal(module(x), x)
    noise = module.train()(x) - x
    assert abs(float(noise.mean())) < 0.02 and abs(float(noise.std()) - (0.25 + 3 / 7 * 1.25) ** 0.5) < 0.02
    assert [*port.to_torch(sequential((4,), layers.GaussianNoise(1)), inference=True).children()] == []


def test_random_pictures_are_left_alone_in_inference() -> None:
    augment = [layers.RandomFlip(), layers.RandomBrightness(0.5), layers.Equalization(), layers.RandomCrop(5, 6)]
    module = port.to_torch(sequential((9, 8, 3), *augment, layers.Conv2D(2, 3)), inference=True)
    x = torch.rand(2, 9, 8, 3)
    assert torch.equal(module(x), module(x))


# Own layers and models -----------------------------------------------------------------------------------------------


class Block(layers.Layer):
    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.first, self.second = layers.Dense(units, activation="relu"), layers.Dense(units)

    def build(self, input_shape: tuple) -> None:
        self.gain = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gain")

    def call(self, inputs: Tensor) -> Tensor:
        return inputs + self.second(self.first(inputs)) * self.gain


class Net(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = [Block(6), Block(6)]
        self.out = layers.Dense(2)

    def call(self, inputs: Tensor) -> Tensor:
        for block in self.blocks:
            inputs = block(inputs)
        return self.out(keras.ops.relu(inputs))


def test_models_and_layers_written_as_classes() -> None:
    net = Net()
    net(torch.zeros(2, 6))
    counts = [len(layer._nodes) for layer in net.modules() if isinstance(layer, layers.Layer)]
    module = port.to_torch(net)
    assert "blocks_0.first.weight" in module.state_dict() and "blocks_1.gain" in module.state_dict()
    assert counts == [len(layer._nodes) for layer in net.modules() if isinstance(layer, layers.Layer)]
    step(net, x := torch.randn(4, 6), y := torch.randn(4, 2))
    step(module, x, y)
    assert difference(net, module, x) < 1e-6
    assert isinstance(port.to_torch(net.out), nn.Sequential)


def test_functions_of_models() -> None:
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(3, 3, padding="same")(inputs)
    x = 2 * keras.ops.relu(x) + inputs / 3
    y = keras.ops.mean(x, axis=(1, 2)) @ torch.rand(3, 2)
    z = layers.Lambda(lambda v: torch.cumsum(v, 1))(y)
    module = port.to_torch(keras.Model(inputs, [x[:, 1:], y, z, layers.Activation(lambda v: v * torch.sin(v))(x)]))
    is_plain(module)


# From torch ----------------------------------------------------------------------------------------------------------

NAMES = [*models()]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_module_as_a_model(name: str, channels_last: bool, tmp_path: Any) -> None:
    module, shape = models()[name]
    model = port.from_torch(module, shape, channels_last=channels_last)
    assert not any(isinstance(layer, layers.TorchModuleWrapper) for layer in model._flat_layers())
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    whole = (
        (*shape[1:], shape[0]) if (channels_last and len(shape) > 2) or (name == "sounds" and channels_last) else shape
    )
    assert model.input_shape == (None, *whole)
    x = torch.randint(0, 30, (2, *whole)) if len(shape) == 1 else torch.randn(2, *whole)
    assert difference(model, loaded, x) < 1e-6
    port.to_torch(loaded, channels_first=channels_last)


def test_a_model_of_a_module_trains() -> None:
    module, shape = models()["resnet"]
    model = port.from_torch(module, shape, channels_last=True)
    x, y = torch.randn(6, *shape), torch.randn(6, 10)
    step(module, x, y)
    step(model, x.permute(0, 2, 3, 1), y)
    back = port.to_torch(model, channels_first=True, verify=False).state_dict()
    for name, value in module.state_dict().items():
        if "num_batches" not in name:
            path, _, last = name.rpartition(".")
            torch.testing.assert_close(back[f"{path.replace('.', '_')}.{last}"], value, msg=name, rtol=1e-4, atol=1e-5)


def test_frozen_weights_of_a_module() -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    module[0].requires_grad_(False)
    model = port.from_torch(module, (4,))
    assert [weight.requires_grad for weight in model.weights] == [False, False, True, True]


class _Function(nn.Module):
    def __init__(self, function: Any):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


FUNCTIONS: list[tuple[Any, tuple[int, ...]]] = [
    (lambda x: x.mean((2, 3), keepdim=True) + x, (3, 4, 5)),
    (lambda x: x.mean(1) - x.amax(1) * x.sum(1), (3, 4, 5)),
    (lambda x: torch.cat([x.mean(1, keepdim=True), x.max(1, keepdim=True)[0]], 1), (3, 4, 4)),
    (lambda x: x.transpose(1, 2) @ x + torch.bmm(x.permute(0, 2, 1), x), (3, 4)),
    (lambda x: torch.einsum("bij,bjk->bik", x, x)[:, 0].unsqueeze(1), (3, 3)),
    (lambda x: x[:, :, 1:] * 2 - 1 / (x[:, :, :-1].abs() + 1), (3, 4, 4)),
    (lambda x: nn.functional.pad(x, (1, 1, 2, 0)), (3, 4, 4)),
    (lambda x: nn.functional.gelu(x) + nn.functional.elu(x) + nn.functional.softplus(x) + x.tanh() ** 2, (3, 4, 4)),
    (lambda x: x.abs().pow(torch.arange(3.0).view(3, 1, 1)) + x.clamp(min=torch.ones(3, 1, 1)), (3, 4, 5)),
    (nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 1), (None, 4)),
    (lambda x: x.reshape(x.shape[0], 2, -1).flatten(1).view(-1, 24), (6, 4)),
    (lambda x: x.flatten(2).transpose(1, 2), (3, 4, 5)),
    (lambda x: torch.cat(x.split(2, 1)[::-1], 1), (4, 5, 5)),
    (lambda x: x.chunk(2, 1)[0] * torch.sigmoid(x.chunk(2, 1)[1]), (4, 3, 3)),
    (lambda x: x.view(x.size(0), 2, 3, 4, 4).transpose(1, 2).contiguous().view(x.size(0), -1, 4, 4), (6, 4, 4)),
    (lambda x: (x.clamp(0, 1), {"softmax": nn.functional.softmax(x, dim=1)}), (3, 2, 2)),
]


def _two_halves(x: Tensor) -> Tensor:
    batch, channels, _, _ = x.size()
    half = int(channels / 2)
    return torch.cat([x[:, :half] * len(x.shape), x[:, half:]] if batch > 0 and not x.is_cuda else [], 1)


def _shuffled(x: Tensor) -> Tensor:
    pooled = nn.functional.avg_pool2d(nn.functional.pixel_shuffle(x, 2), x.size()[2:])
    return nn.ReLU()(pooled) + pooled.expand(x.size(0), 2, -1, -1).repeat(1, 1, 1, 1)


def _changed_in_place(x: Tensor) -> Tensor:
    y = x * 2
    z = nn.functional.relu(y, inplace=True)
    y += 1
    return y.mul_(3) + z


# Code that asks for shapes, makes modules, changes tensors in place, pads and resizes as only torch does.
FUNCTIONS += [
    (_two_halves, (4, 3, 5)),
    (_shuffled, (8, 4, 4)),
    (_changed_in_place, (3, 4, 4)),
    (lambda x: nn.functional.pad(x, (1, 2, 0, 1), mode="reflect"), (3, 4, 5)),
    (lambda x: nn.functional.pad(x, (2, 1), mode="replicate"), (3, 4)),
    (lambda x: nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True), (3, 4, 5)),
    (lambda x: nn.functional.interpolate(x, size=(7, 3)), (3, 4, 5)),
    (lambda x: nn.functional.interpolate(x, size=(7, 3), mode="bicubic", antialias=True), (3, 4, 5)),
    (lambda x: nn.functional.softmax(x, -1) - nn.functional.dropout(x, 0.5, False), (3,)),
    (lambda x: x.permute(1, 0, 2)[1:, :, 0].permute(1, 0), (4, 3)),
    (nn.Sequential(nn.Hardtanh(-2, 3), nn.Softplus(2.0), nn.CELU(0.5), nn.Hardshrink(0.1)), (3,)),
    (lambda x: torch.cat([x, torch.zeros(x.size(0), 2)], 1), (3,)),
]


class _Trains(nn.Module):
    """What code does that asks whether it trains."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.rate, self.norm = kind, 0.5, nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm
        if self.kind == "attention":
            rate = self.rate if self.training else 0
            return nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=rate, is_causal=True)
        if self.kind == "dropout":
            return nn.functional.dropout(x, self.rate if self.training else 0.0)
        if self.kind == "norm":
            by_batch = True if self.training else norm.running_mean is None
            return nn.functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, by_batch)
        if self.kind == "frozen norm":
            return nn.functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False)
        if self.rate == 0.0 or not self.training:
            return x
        return x * torch.empty(x.size(0), 1, 1, 1).bernoulli_(self.rate)


@pytest.mark.parametrize("kind", ["attention", "dropout", "norm", "frozen norm"])
def test_what_only_training_does(kind: str) -> None:
    module = _Trains(kind).eval()
    model, x = port.from_torch(module, (3, 4, 5)), torch.rand(8, 3, 4, 5)
    trained, alone = model(x, training=True), model(x)
    if kind == "frozen norm":
        assert torch.equal(trained, alone) and sum(weight.requires_grad for weight in model.weights) == 2
    elif kind == "norm":
        torch.testing.assert_close(trained, module.train()(x))
        assert not torch.allclose(trained, alone)
    else:
        assert not torch.allclose(trained, alone)
        mean = torch.stack([model(x, training=True) for _ in range(400)]).mean(0)
        assert float((mean - alone).abs().mean()) < 0.05


def test_what_training_does_else_is_said() -> None:
    with pytest.warns(UserWarning, match=r"_Trains\.forward depends on `self\.training`"):
        port.from_torch(_Trains("path").eval(), (3, 4, 5))
    with pytest.warns(UserWarning, match="rrelu"):
        port.from_torch(nn.RReLU(), (3,))


class _Tied(nn.Module):
    """Weights that several modules have."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.words, self.head = kind, nn.Embedding(9, 4), nn.Linear(4, 9, bias=kind == "bias")
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        if kind in ("words", "bias"):
            self.head.weight = self.words.weight
        else:
            self.second.weight = self.first.weight
            self.second.bias = self.first.bias if kind == "linear" else self.second.bias

    def forward(self, ids: Tensor) -> Tensor:
        x = self.second(torch.relu(self.first(self.words(ids))))
        return x @ self.words.weight.t() if self.kind == "product" else self.head(x)


@pytest.mark.parametrize("kind", ["words", "bias", "linear", "product"])
def test_a_shared_weight_stays_one(kind: str, tmp_path: Any) -> None:
    module = _Tied(kind)
    if kind == "product":
        del module.head
        module.second = nn.Linear(4, 4)
    model = port.from_torch(module, (5,))
    assert sum(p.numel() for p in module.parameters()) == sum(p.numel() for p in model.parameters())
    model.save(tmp_path / "model.keras")
    ids = torch.randint(0, 9, (2, 5))
    target = torch.rand(2, 5, 9)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for _ in range(2):
        step(module, ids, target)
        step(loaded, ids, target)
    torch.testing.assert_close(loaded(ids), module(ids))
    if kind != "bias":
        port.to_torch(model)


def test_a_weight_of_two_kinds_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has a weight of 'first', which no layer of another kind shares"):
        port.from_torch(_Tied("apart"), (5,))
    frozen = _Tied("apart").requires_grad_(False)
    port.from_torch(frozen, (5,))


@pytest.mark.parametrize("function, shape", FUNCTIONS, ids=[str(number) for number in range(len(FUNCTIONS))])
def test_functions_of_modules(function: Any, shape: tuple) -> None:
    for channels_last in (False, True):
        port.from_torch(_Function(function), shape, channels_last=channels_last)


def _written_into(x: Tensor) -> Tensor:
    """Whoever holds the tensor sees the change."""
    y = x * 1
    held = y
    y[:, 2:, 1:3] = y[:, 2:, 1:3] + x[:, :4, :2]
    before = y * 2
    y[:, -1:] = 0.5
    return held + before


def _heads_first(x: Tensor) -> Tensor:
    parts = x[..., :4].reshape(len(x), 6, 2, 2, 1).permute(3, 0, 2, 1, 4).reshape(2, len(x) * 2, 6, 1)
    query, key = parts.unbind(0)
    return (query @ key.transpose(-2, -1)).view(len(x), 2, 6, 6)


FILED = {
    "masked_fill": lambda x: x.masked_fill(x > 0, float("-inf")).exp(),
    "a method where": lambda x: x.where(x > 0, 0.5),
    "gelu by tanh": lambda x: nn.functional.gelu(x, approximate="tanh"),
    "celu": lambda x: nn.functional.celu(x, 2.0),
    "hardtanh": lambda x: nn.functional.hardtanh(x, -0.5, 0.7),
    "glu": lambda x: nn.functional.glu(x[..., :4], -1),
    "softmax in a type": lambda x: nn.functional.softmax(x, -1, dtype=torch.float32),
    "extremes": lambda x: torch.max(x, 1).values + x.min(dim=1)[0] * torch.max(x, -x)[:, 0],
    "deviations": lambda x: x.std(-1) + torch.var(x, dim=-1, unbiased=False) + x.var(2, keepdim=True)[..., 0],
    "norms": lambda x: x.norm(dim=-1) + torch.linalg.vector_norm(x, 1, dim=-1) + torch.norm(x, 2, -1),
    "einsum": lambda x: torch.einsum("bij,bkj->bik", x, x),
    "equal by values": lambda x: torch.where(x.round() == 0, 5.0, x) * (0 != x.round()),
    "types": lambda x: (x > 0).float() + x.round().long().to(x.dtype) + x.to("cpu"),
    "parts": lambda x: x.narrow(1, 1, 2) + x.select(1, 0).unsqueeze(1) + x.index_select(1, torch.tensor([0, 2])),
    "around": lambda x: torch.roll(x, (1, 2), (1, 2)).movedim(1, 2).tril().logsumexp(1) + x.diff(dim=1)[:, :1, 0],
    "bounds": lambda x: x.clamp_min(0.1) + x.clamp_max(0.2),
    "largest": lambda x: x.topk(3)[0] + torch.topk(x, 3, dim=1, largest=False).indices.transpose(1, 2)[:, :1],
    "sorted": lambda x: x.sort(descending=True)[0] + torch.sort(x, dim=1).values + x.argsort(1, descending=True),
    "median": lambda x: x.median(1).values.unsqueeze(1) + x.median(dim=-1, keepdim=True)[0],
    "gather": lambda x: x.gather(1, (x[:, :2, :3] > 0).long()) + torch.gather(x, 2, (x[:, :2, :3] * 0 + 4).long()),
    "between": lambda x: torch.lerp(x, x * 2, 0.3) + x.lerp(x.exp(), x),
    "distances": lambda x: torch.cdist(x, x + 1) + torch.cdist(x, -x, 1.0),
    "cosines": lambda x: nn.functional.cosine_similarity(x, x + 1, dim=-1),
    "threshold": lambda x: nn.functional.threshold(x, 0.1, -2.0),
    "sums of products": lambda x: (
        torch.addcmul(x, x, x + 1, value=0.5)
        + torch.addcdiv(x, x, x.exp())
        + torch.addmm(torch.ones(5), x.flatten(0, 1), torch.eye(5), alpha=2).view(-1, 6, 5)
        + torch.baddbmm(x, x @ x.mT, x, beta=0.5)
    ),
    "pads and cuts": lambda x: nn.functional.pad(x, (-1, 2)) + nn.functional.pad(x[:, None], (2, -1, 1, -1))[:, 0],
    "written into": _written_into,
    "windows": lambda x: (
        nn.functional.unfold(x[:, None], 3, padding=1, stride=2) * x.unfold(1, 3, 1).sum((1, 2, 3)).view(-1, 1, 1)
    ),
    "kinds": lambda x: nn.functional.one_hot(x.argmax(-1), 5).float() * x,
    "waves": lambda x: torch.fft.fft(torch.fft.fft(x), dim=1).real + torch.fft.irfft(torch.fft.rfft(x[..., :4])).sum(),
    "places between": lambda x: nn.functional.grid_sample(x[:, None], x[:, None, :, :2], align_corners=False)[:, 0],
    "diagonals": lambda x: x.diagonal(dim1=-2, dim2=-1) + x[:, :5].det()[:, None],
    "softplus": lambda x: nn.functional.softplus(x, 2.0),
    "other windows": lambda x: (
        nn.functional.avg_pool2d(x[:, None], 2, divisor_override=3)
        + nn.functional.max_pool2d(x[:, None], 2, (2, 1), (0, 1), dilation=(1, 3), ceil_mode=True)[..., 1:3]
    ),
    "heads before samples": _heads_first,
    "samples second": lambda x: (lambda y: (y @ y.mT) @ torch.eye(5))(x.view(-1, 6, 5, 1).transpose(0, 1)).transpose(
        0, 1
    ),
    "all but the last": lambda x: x.permute(2, 0, 1)[..., :2].permute(1, 2, 0) + x[..., None, 1:2, :].sum(1),
}


@pytest.mark.parametrize("word", FILED)
def test_functions_of_modules_in_files(word: str, tmp_path: Any) -> None:
    model = port.from_torch(_Function(FILED[word]), (6, 5))
    model.save(tmp_path / "model.keras")
    assert difference(model, keras.models.load_model(tmp_path / "model.keras"), torch.randn(3, 6, 5)) < 1e-6


def test_functions_of_einops(tmp_path: Any) -> None:
    einops = pytest.importorskip("einops")

    def mixed(x: Tensor) -> Tensor:
        windows = einops.rearrange(x, "b (h p) (w q) -> b (h w) (p q)", p=3, q=5)
        return (
            windows
            + einops.reduce(x, "b s c -> b c", "mean").repeat(1, 3)[:, None]
            + einops.repeat(x[:, 0, :1], "b c -> b n c", n=2)
        )

    model = port.from_torch(_Function(mixed), (6, 5))
    model.save(tmp_path / "model.keras")
    assert difference(model, keras.models.load_model(tmp_path / "model.keras"), torch.randn(3, 6, 5)) < 1e-6


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    "kernel, options",
    [
        (3, {"stride": 2, "dilation": 2, "padding": 2}),
        ((3, 1), {"stride": (1, 3), "dilation": 2}),
        (2, {"stride": (4, 1), "dilation": (2, 3), "padding": (1, 0)}),
        (3, {"stride": 2, "dilation": 3, "groups": 2}),
    ],
)
def test_strides_with_dilation(kernel: Any, options: Any, channels_last: bool, tmp_path: Any) -> None:
    for size in (14, 17):
        model = port.from_torch(nn.Conv2d(4, 6, kernel, **options), (4, size, 15), channels_last=channels_last)
        model.save(tmp_path / "model.keras")
        x = torch.randn(2, *model.input_shape[1:])
        assert difference(model, keras.models.load_model(tmp_path / "model.keras"), x) < 1e-6


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_pictures_made_smaller_without_aliases(mode: str, tmp_path: Any) -> None:
    def smaller(x: Tensor) -> Tensor:
        return nn.functional.interpolate(x, size=(5, 4), mode=mode, antialias=True)

    for channels_last in (False, True):
        model = port.from_torch(_Function(smaller), (3, 9, 8), channels_last=channels_last)
        model.save(tmp_path / "model.keras")
        x = torch.rand(2, *model.input_shape[1:])
        assert difference(model, keras.models.load_model(tmp_path / "model.keras"), x) < 1e-6


class _OwnNorm(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)


@pytest.mark.parametrize("kind", ["layer_norm", "rms_norm", "group_norm"])
def test_norms_without_weights_are_layers_of_their_own(kind: str) -> None:
    """They are not the layer whose weights were the last ones before."""
    functional = nn.functional
    norms = {
        "layer_norm": _OwnNorm(6, elementwise_affine=False),
        "rms_norm": _Function(lambda x: functional.rms_norm(x, (6,), torch.ones(6))),
        "group_norm": _Function(lambda x: functional.group_norm(x, 2)),
    }
    model = port.from_torch(nn.Sequential(nn.Linear(6, 6), norms[kind]), (6,))
    assert sum(isinstance(layer, layers.Dense) for layer in model.layers) == 1


class _Standardized(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.reshape(1, self.out_channels, -1)
        weight = nn.functional.batch_norm(weight, None, None, training=True, momentum=0.0, eps=1e-6)
        return nn.functional.conv2d(x, weight.reshape_as(self.weight), self.bias)


def test_weights_that_are_standardized() -> None:
    port.from_torch(nn.Sequential(_Standardized(3, 4, 3)), (3, 8, 8))


class _Hooked(nn.Module):
    """Code that hooks its modules at its first call, as transformers does."""

    hooked = False

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.found = nn.Linear(3, 3), []

    def forward(self, x: Tensor) -> Tensor:
        if not self.hooked:
            self.hooked = True
            self.linear.register_forward_hook(lambda module, given, result: self.found.append(result))
        self.found = []
        self.linear(x)
        return sum(self.found, start=torch.zeros(1, 3))


def test_hooks_of_a_module_are_as_before() -> None:
    module = _Hooked()
    port.from_torch(module, (3,), verify=False)
    assert not module.hooked and not module.linear._forward_hooks
    port.from_torch(module, (3,))


@pytest.mark.parametrize("function", [lambda x: x.detach() * x, lambda x: x.data * x])
def test_what_passes_no_gradients(function: Any) -> None:
    model, x = port.from_torch(_Function(function), (3,)), torch.randn(2, 3).requires_grad_()
    model(x).sum().backward()
    torch.testing.assert_close(x.grad, x.detach())


def test_a_row_of_padding_does_not_train() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Embedding(7, 4, padding_idx=2), nn.Linear(4, 3))
    model = port.from_torch(module, (5,))
    x = torch.tensor([[0, 2, 2, 6, 1]])
    for each in (module, model):
        each(x).square().sum().backward()
    (table,) = (weight for weight in model.parameters() if weight.shape == (7, 4))
    torch.testing.assert_close(table.grad, module[0].weight.grad)
    assert not table.grad[2].any() and table.grad[6].any()


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5])
def test_moving_statistics_of_modules(rank: int) -> None:
    cls = nn.BatchNorm1d if rank < 4 else nn.BatchNorm2d if rank == 4 else nn.BatchNorm3d
    shape = (4, *(3,) * max(rank - 2, 0))
    module = nn.Sequential(cls(4))
    model = port.from_torch(module, shape)
    x = torch.randn(5, *shape)
    for each in (module, model):
        each.train()(x)
    variance = next(value for name, value in model.state_dict().items() if "variance" in name)
    torch.testing.assert_close(variance, module[0].running_var, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_windows_of_modules(rank: int) -> None:
    kinds = ("Conv", "ConvTranspose", "MaxPool", "AvgPool", "AdaptiveAvgPool", "ZeroPad", "ConstantPad")
    conv, transposed, most, mean, adaptive, zeros, constants = (getattr(nn, f"{kind}{rank}d") for kind in kinds)
    windows = [(3, 2, 1, 1, 1), (2, 1, 0, 1, 2), (3, 1, 2, 2, 4), (4, 2, 1, 1, 1), (5, 1, "same", 1, 1)]
    modules = [conv(4, 8, *window) for window in windows]
    modules += [transposed(4, 3, *window) for window in [(3, 2, 1, 1), (4, 2, 1), (3, 3), (2, 3), (5, 2, 2, 1)]]
    modules += [most(3, 2, 1), most(2, 1), mean(3, 2, 1), adaptive(3), adaptive(1), zeros(1), constants(1, 3.0)]
    for module in modules:
        for channels_last in (False, True):
            port.from_torch(nn.Sequential(module), (4, *(9, 8, 7)[:rank]), channels_last=channels_last)


class _TimeFirst(nn.Module):
    """Recurrence as it was written before `batch_first`: its zeros, its time before the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.lstm, self.fc = nn.Embedding(9, 4), nn.LSTM(4, 5), nn.Linear(5, 2)
        self.attention = nn.MultiheadAttention(4, 2)

    def forward(self, x: Tensor, scale: float = 2.0, mask: Any = None) -> Any:
        y = self.embedding(x).transpose(0, 1) * scale
        y = y + self.attention(y, y, y)[0] if mask is None else y
        zeros = torch.zeros(1, x.size(0), 5)
        y, (hidden, _) = self.lstm(y, (zeros, zeros))
        return self.fc(hidden[-1]), self.fc(y[-1]), self.fc(y).transpose(0, 1)


def test_modules_as_people_write_them(tmp_path: Any) -> None:
    port.from_torch(_TimeFirst(), (6,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older norms of weights are deprecated
        normed = [nn.utils.weight_norm(nn.Conv1d(3, 4, 3)), nn.utils.spectral_norm(nn.Conv1d(4, 4, 1))]
    normed.append(nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 2, 1)))
    port.from_torch(nn.Sequential(*normed, nn.Flatten(), nn.Linear(12, 8)), (3, 8))
    for channels_last in (False, True):
        stack = [
            nn.ReflectionPad2d(1),
            nn.Conv2d(3, 4, 3, 2, 1, padding_mode="circular"),
            nn.ReplicationPad2d((1, 0, 0, 1)),
        ]
        stack += [nn.InstanceNorm2d(4, affine=True), nn.PReLU(), nn.PixelShuffle(2)]
        stack += [nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)]
        model = port.from_torch(nn.Sequential(*stack), (3, 9, 8), channels_last=channels_last)
        model.save(tmp_path / "model.keras")
        x = torch.rand(2, *model.input_shape[1:])
        assert difference(model, keras.models.load_model(tmp_path / "model.keras"), x) < 1e-6


@pytest.mark.parametrize("cls", [nn.LSTM, nn.GRU, nn.RNN])
def test_states_of_modules(cls: Any) -> None:
    for count, both in ((1, False), (1, True), (2, True)):

        class Reads(nn.Module):
            def __init__(self, count: int = count, both: bool = both):
                super().__init__()
                self.rnn = cls(3, 4, count, batch_first=True, bidirectional=both)

            def forward(self, x: Tensor) -> Any:
                y, states = self.rnn(x)
                return y, (states[0] if cls is nn.LSTM else states)[-1]

        port.from_torch(Reads(), (5, 3))


class _Own(nn.Module):
    """Modules by their names, and what is done with them."""

    def __init__(self, apply: Any, **modules: Any):
        super().__init__()
        self.apply_ = apply
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Tensor, more: Any = None) -> Any:
        return self.apply_(self, x) if more is None else self.apply_(self, x, more)


def _zeros_handed_on(self: Any, x: Tensor) -> Tensor:
    return self.rnn(x, torch.zeros(1, x.size(0), 4).to(x.device))[0][:, -1]


def _from_input(self: Any, x: Tensor, start: Tensor) -> Any:
    y, last = self.rnn(x, start[None])
    return y, last.squeeze(0), last.permute(1, 0, 2).reshape(x.size(0), -1)


def _translates(self: Any, x: Tensor, y: Tensor) -> Any:
    _, states = self.encoder(x)
    return self.decoder(y, states)[0]


def _directions(self: Any, x: Tensor) -> Any:
    _, (h, c) = self.rnn(x)
    h = h.view(2, 2, x.size(0), 4)
    return h[-1].sum(0), h.mean(0)[1], torch.cat((c[-2], c[-1]), dim=1), torch.stack([h[0, 0], h[1, 1]]).amax(0)


def _places_first(self: Any, x: Tensor) -> Any:
    y = self.embedding(x).transpose(0, 1) * 2.0
    y = self.encoder(y + self.table[: y.size(0)], mask=self.mask)
    return self.norm(y).transpose(0, 1), y.sum(0), y.max(0)[0], y.max(dim=0).indices


def _looks_at(self: Any, x: Tensor, hidden: Tensor) -> Any:
    y, weights = self.attention(x, x, x, key_padding_mask=hidden, average_attn_weights=False)
    return self.layer(y, src_key_padding_mask=hidden), weights


def _copies(self: Any, x: Tensor) -> Any:
    y = self.linear(x)
    z = y.clone()
    z.clamp_(min=0.0)
    y.mul_(2.0)
    y[:, 1] = z[:, 0]
    y[:, :1, 1] = 0.5
    z[z > 1] = 1.0
    return y, z


def _quantizes(self: Any, x: Tensor) -> Tensor:
    weight = self.table.weight
    far = x.pow(2).sum(-1, keepdim=True) + weight.pow(2).sum(1) - 2 * x @ weight.t()
    return x + (self.table(far.argmin(-1)) - x).detach()


def _transforms(self: Any, x: Tensor) -> Tensor:
    theta = self.linear(x.flatten(1)).view(-1, 2, 3)
    return nn.functional.grid_sample(x, nn.functional.affine_grid(theta, x.size(), False), align_corners=False)


def _reads(cls: Any, *sizes: Any, **options: Any) -> Any:
    return cls(*sizes, batch_first=True, **options)


WRITTEN: dict[str, Any] = {
    "zeros": (lambda: _Own(_zeros_handed_on, rnn=_reads(nn.GRU, 3, 4)), (5, 3)),
    "start": (lambda: _Own(_from_input, rnn=_reads(nn.GRU, 3, 4)), [(5, 3), (4,)]),
    "states": (
        lambda: _Own(_translates, encoder=_reads(nn.LSTM, 3, 4, 2), decoder=_reads(nn.LSTM, 3, 4, 2)),
        [(5, 3), (6, 3)],
    ),
    "both ways": (
        lambda: _Own(
            _translates, encoder=_reads(nn.LSTM, 3, 4, bidirectional=True),
            decoder=_reads(nn.LSTM, 3, 4, bidirectional=True),
        ),
        [(5, 3), (6, 3)],
    ),
    "directions": (lambda: _Own(_directions, rnn=_reads(nn.LSTM, 3, 4, 2, bidirectional=True)), (5, 3)),
    "time first": (
        lambda: _Own(
            _places_first, embedding=nn.Embedding(9, 4), table=nn.Parameter(torch.rand(7, 1, 4)), norm=nn.LayerNorm(4),
            encoder=nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 1),
            mask=torch.full((5, 5), float("-inf")).triu(1),
        ),
        (5,),
    ),
    "padding": (
        lambda: _Own(
            _looks_at, attention=_reads(nn.MultiheadAttention, 4, 2), layer=_reads(nn.TransformerEncoderLayer, 4, 2, 8)
        ),
        [(5, 4), (5,)],
    ),
    "in place": (lambda: _Own(_copies, linear=nn.Linear(3, 3)), (4, 3)),
    "table": (lambda: _Own(_quantizes, table=nn.Embedding(7, 4)), (3, 4)),
    "transformer": (lambda: _Own(_transforms, linear=nn.Linear(32, 6)), (2, 4, 4)),
    "groups": (lambda: nn.Sequential(nn.ConvTranspose2d(4, 8, 4, 2, 1, groups=4), nn.BatchNorm2d(8)), (4, 5, 6)),
    "more at the end": (lambda: nn.Sequential(nn.ConvTranspose1d(4, 3, 5, 3, 1, 2), nn.ReLU()), (4, 7)),
    "float64": (lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.GELU()).double(), (3,)),
    "bfloat16": (lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Softplus()).bfloat16(), (3,)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", WRITTEN)
def test_modules_as_they_are_written(name: str) -> None:
    """Equal to the module on other data than the check had, and once more as a module of torch."""
    make, shape = WRITTEN[name]
    torch.manual_seed(0)
    module = make().eval()
    kinds = {"padding": [None, "bool"], "time first": "int32"}
    model = port.from_torch(module, shape, dtype=kinds.get(name))
    (kind,) = {each.dtype for each in module.state_dict().values() if each.is_floating_point()}
    shapes = shape if isinstance(shape, list) else [shape]
    inputs = [torch.randn(4, *each).to(kind) for each in shapes]
    if name == "padding":
        inputs[1] = torch.tensor([[0, 0, 0, 1, 1], [0, 1, 1, 1, 1], [0, 0, 0, 0, 0], [1, 0, 1, 0, 1]]) == 1
    if name == "time first":
        inputs = [torch.randint(0, 9, (4, *shapes[0]))]
    plain = port.to_torch(model)
    with torch.no_grad():
        wanted = pytree.tree_leaves(module(*inputs))
        for got in (model(inputs if len(inputs) > 1 else inputs[0]), plain(*inputs)):
            for y, z in zip(wanted, pytree.tree_leaves(got), strict=True):
                assert y.dtype is z.dtype or not y.is_floating_point()
                torch.testing.assert_close(z.to(y.dtype), y, rtol=2e-2 if kind is torch.bfloat16 else 1e-4, atol=1e-5)


def test_inputs_by_name_alone() -> None:
    class Named(nn.Module):
        def forward(self, *, user: Tensor, item: Tensor) -> Tensor:
            return user - 2 * item

    model = port.from_torch(Named(), [(3,), (3,)])
    torch.testing.assert_close(model([torch.ones(1, 3), torch.zeros(1, 3)]), torch.ones(1, 3))


def test_weights_of_modules_in_a_model() -> None:
    """Parameters and moving statistics of what a TorchModuleWrapper holds, to torch and back."""
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    inner(torch.rand(5, 3))
    model = sequential((3,), layers.TorchModuleWrapper(inner, name="inner"), layers.Dense(2))
    state = {
        name: value + 1 if value.is_floating_point() else value for name, value in port.torch_state_dict(model).items()
    }
    port.load_torch_weights(model, state)
    x = torch.rand(6, 3)
    with torch.no_grad():
        torch.testing.assert_close(port.to_torch(model)(x), model(x))
    torch.testing.assert_close(inner[1].running_var, state["inner.1.running_var"])


def test_functions_that_write_or_take_numbers() -> None:
    x = keras.Input((4, 4))
    part = keras.ops.slice_update(x, (0, 1, 0), keras.ops.zeros_like(x[:, :1]))
    port.to_torch(keras.Model(x, [part, keras.ops.maximum(x, 0.1), keras.ops.minimum(0.2, x)]))
    mask = keras.Input((4, 4), dtype="bool")
    port.to_torch(keras.Model([x, mask], layers.MultiHeadAttention(3, 2)(x, x, attention_mask=mask)))


def test_a_layer_alone_with_several_inputs() -> None:
    attention, x, y = layers.MultiHeadAttention(2, 3), torch.rand(2, 4, 5), torch.rand(2, 6, 5)
    attention(x, y)
    torch.testing.assert_close(port.to_torch(attention)(x, y), attention(x, y))


def test_a_trace_that_fails_names_the_line() -> None:
    class Packs(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[: int(x.sum())]

    net = nn.Sequential(nn.Identity(), nn.Sequential(Packs()))
    with pytest.raises(ValueError, match=r"at `return x\[: int\(x\.sum\(\)\)\]` \(line \d+, forward of '1\.0'\)"):
        port.from_torch(net, (3,))


class _Decides(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class _Holds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Flatten(0))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner[1](self.inner[0](x))


class _NormLast(nn.LayerNorm):
    """For channels behind the batch, as networks of pictures have it."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.permute(0, 2, 3, 1)
        return nn.functional.layer_norm(y, self.normalized_shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


class _Standardized(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        deviation, mean = torch.std_mean(self.weight, (1, 2, 3), keepdim=True)
        return self._conv_forward(x, (self.weight - mean) / (deviation + 1e-5), self.bias)


class _NormAndActivation(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, 0.1, self.eps
        )
        return torch.relu(x)


class _Free(nn.Module):
    """Parameters of its own, as a vision transformer has them."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.places = nn.Parameter(torch.rand(1, 1, 4)), nn.Parameter(torch.rand(1, 9, 4))
        self.scale, self.table = nn.Parameter(torch.rand(4)), nn.Parameter(torch.rand(5, 2))
        self.frozen = nn.Parameter(torch.rand(4), requires_grad=False)
        self.weight = nn.Parameter(torch.rand(12, 4))
        self.register_buffer("index", torch.arange(36).reshape(6, 6) % 5)

    def forward(self, x: Tensor) -> Tensor:
        count, length, width = x.shape
        x = torch.cat((self.token.expand(count, -1, -1), x), 1) + self.places[:, : length + 1]
        q, k, v = (
            nn.functional.linear(x, self.weight).reshape(count, length + 1, 3, 2, 2).permute(2, 0, 3, 1, 4).unbind(0)
        )
        bias = self.table[self.index].permute(2, 0, 1).unsqueeze(0)
        y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return x + y.transpose(1, 2).reshape(count, length + 1, width) * self.scale + self.frozen


class _Words(nn.Module):
    """Positions that are no input, and a loss that is none."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places, self.norm = nn.Embedding(9, 4), nn.Embedding(6, 4), nn.LayerNorm(4)

    def forward(self, ids: Tensor, targets: Any = None) -> Any:
        places = torch.arange(0, ids.size(1), device=ids.device)
        x = self.norm(self.words(ids) + self.places(places))
        return nn.functional.normalize(x, dim=-1), None


class _Places(nn.Module):
    """Places computed of parameters step by step, in place."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.columns = nn.Parameter(torch.rand(2, 4)), nn.Parameter(torch.rand(3, 4))
        self.last = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        places = torch.repeat_interleave(self.rows, 3, dim=0)
        places.add_(self.columns.unsqueeze(0).expand(2, -1, -1).reshape(-1, 4))
        places.mul_(2.0)
        mask = x.new_zeros((6, 4))
        mask[1:3, 2:] = 1
        mask[0] -= 1
        ones = self.last(torch.ones(len(x), 6, 4))
        return x + places.unsqueeze(0) * mask + ones


class _Windows(nn.Module):
    """Rows of windows, which are several for a sample, and modules that keep what they computed."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.kept = nn.Linear(3, 3), {}

    def forward(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        x = x.view(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, 4, c)
        self.kept["last"] = x = torch.softmax(self.inner(x), 1)
        whole = int(x.shape[0] / (h * w / 4))
        return x.view(whole, h // 2, w // 2, 2, 2, -1).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, c)


OWN_CALLS: dict[str, tuple[nn.Module, tuple]] = {
    "norm last": (nn.Sequential(_NormLast(3), nn.Conv2d(3, 2, 1)), (3, 4, 5)),
    "standardized": (nn.Sequential(_Standardized(3, 4, 3, 2, 1), _Standardized(4, 2, 1, bias=False)), (3, 6, 5)),
    "norm and activation": (nn.Sequential(_NormAndActivation(3), nn.Conv2d(3, 2, 1)), (3, 4, 5)),
    "free parameters": (_Free(), (5, 4)),
    "words": (_Words(), (5,)),
    "windows": (_Windows(), (4, 6, 3)),
    "places": (_Places(), (6, 4)),
}


@pytest.mark.parametrize("name", OWN_CALLS)
def test_modules_with_calls_of_their_own(name: str, tmp_path: Any) -> None:
    """A class with a `forward` of its own is read by its calls; every parameter is a weight that trains."""
    module, shape = OWN_CALLS[name]
    state = {key: id(value) for key, value in vars(module).items()}
    model = port.from_torch(module, shape)
    assert {key: id(value) for key, value in vars(module).items()} == state
    assert all(type(value) is Tensor for value in getattr(module, "kept", {}).values())
    trained = [sum(p.numel() for p in one.parameters() if p.requires_grad) for one in (model, module)]
    assert trained[0] == trained[1]
    model.save(tmp_path / "model.keras")
    ids = model.inputs[0].dtype == "int32"
    x = torch.randint(0, 9, (2, *shape)) if ids else torch.rand(2, *shape)
    assert difference(model, keras.models.load_model(tmp_path / "model.keras"), x) < 1e-6
    if not ids:
        port.from_torch(module, shape, channels_last=True)


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("rank", [1, 2])
def test_windows_that_reach_beyond_the_picture(rank: int, ceil_mode: bool) -> None:
    for kernel, stride, padding in ((2, 2, 0), (2, 2, 1), (3, 2, 0), (3, 2, 1), (3, 1, 1), (3, 3, 1), (2, 3, 1)):
        for size in (6, 7, 8):
            shape = (2, size, size + 1)[: rank + 1]
            largest = getattr(nn, f"MaxPool{rank}d")(kernel, stride, padding, ceil_mode=ceil_mode)
            port.from_torch(largest, shape)
            for counts in (True, False):
                mean = getattr(nn, f"AvgPool{rank}d")(kernel, stride, padding, ceil_mode, counts)
                port.from_torch(mean, shape, channels_last=counts)


@pytest.mark.parametrize(
    "module, shape, says",
    [
        (_Decides(), (3,), "_Decides cannot be traced by torch.fx"),
        (_Holds(), (3, 4, 4), r"from_torch: 'flatten' in \"inner\.1\" flattens the batch axis"),
        (_Function(lambda x: nn.utils.rnn.pack_padded_sequence(x, x[:, 0, 0])), (4, 3), "values there, as packed"),
        (_Function(lambda x: x.__setitem__(0, 1.0)), (3,), "setitem writes into a part of a tensor"),
        (_Function(lambda x: x.reshape(-1, 2)), (2, 2), "mixes the samples of a batch"),
        (_Function(lambda x: x.transpose(0, 1).reshape(-1, 2)), (2, 2), "joins axes before the batch with it"),
        (_Function(lambda x: x @ x.mT), (3,), "multiplies what is of one sample with what is of others"),
        (_Function(lambda x: nn.functional.linear(x, x[0])), (3,), "computes its weights of the input"),
        (_Function(lambda x: nn.functional.batch_norm(x, None, None, training=True)), (3,), "takes the statistics"),
        (nn.Sequential(nn.LSTM(3, 2)), (4, 3), r"'0' \(LSTM\) needs another axis than the batch first"),
        (_Function(lambda x: x + torch.randn_like(x)), (3,), "randn_like draws random numbers"),
        (_Function(lambda x: nn.functional.dropout(x, 0.5)), (3,), "dropout drops always"),
        (nn.Sequential(nn.Flatten(0)), (3,), "flattens the batch axis"),
        (nn.Sequential(nn.Linear(3, 2)), (4,), "misses|shape"),
        (nn.LSTM(3, 2, batch_first=True), (4, 3), r"gives what has no batch first.*Return the output alone"),
    ],
)
def test_what_no_layer_does_is_named(module: nn.Module, shape: tuple, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        port.from_torch(module, shape)


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="expected a Lamina model"):
        port.to_torch(nn.Linear(2, 2))
    with pytest.raises(TypeError, match=r"expected a torch\.nn\.Module"):
        port.from_torch(layers.Dense(2), (3,))
    with pytest.raises(ValueError, match="is not built"):
        port.to_torch(keras.Sequential([layers.Dense(2)]))
    with pytest.raises(ValueError, match=r"takes texts"):
        port.to_torch(sequential((1,), layers.TextVectorization(vocabulary=["a"]), dtype="string"))
    with pytest.raises(ValueError, match="differ by"):
        port.to_torch(sequential((3,), layers.Dense(2)), tolerance=-1)
    mixed = sequential((3,), layers.Dense(2, dtype="mixed_float16"))
    with pytest.raises(ValueError, match=r"computes in float16.*autocast"):
        port.to_torch(mixed)


def test_an_old_generation_s_model() -> None:
    from lamina import keras1

    model = keras1.models.Sequential()
    model.add(keras1.layers.Convolution2D(3, 3, 3, input_shape=(2, 6, 6), dim_ordering="th", border_mode="same"))
    model.add(keras1.layers.Flatten())
    model.add(keras1.layers.Dense(2, activation="softmax"))
    module = port.to_torch(model)
    given = np.random.default_rng(0).random((2, 2, 6, 6), dtype="float32")
    np.testing.assert_allclose(module(torch.from_numpy(given)).detach(), model.predict(given), atol=1e-6)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_onnx(tmp_path: Any) -> None:
    """The values are those of the model, for batches of any size."""
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    model = pictures()
    batch = torch.export.Dim("batch")
    program = torch.onnx.export(
        port.to_torch(model), (torch.rand(2, 9, 8, 3),), dynamo=True, verbose=False, dynamic_shapes=({0: batch},)
    )
    program.save(tmp_path / "module.onnx")
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    for path in (tmp_path / "module.onnx", tmp_path / "model.onnx"):
        session = runtime.InferenceSession(path)
        for count in (1, 5):
            x = np.random.default_rng(0).random((count, 9, 8, 3), dtype="float32")
            (found,) = session.run(None, {session.get_inputs()[0].name: x})
            np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)


class _Applies(nn.Module):
    def __init__(self, apply: Any, **parts: nn.Module):
        super().__init__()
        self.apply_to = apply
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.apply_to(self, x)


@pytest.mark.parametrize(
    ("shape", "apply"),
    [
        ((6,), lambda m, x: m.linear(x).view_as(x)),
        ((6,), lambda m, x: x.unflatten(1, (2, -1)).sum(1)),
        ((6,), lambda m, x: x.unflatten(-1, (-1, 3)).flatten(1)),
        ((6,), lambda m, x: m.linear(x).view(x.size(0), x.size(1) // 3, 3).squeeze(1)),
        ((6,), lambda m, x: x.unsqueeze(1).squeeze(dim=1) if x.dim() == 2 else x * 2),
        ((3, 7, 7), lambda m, x: m.conv(x).mean(3).mean(2).reshape_as(x[:, :, 0, 0])),
        ((3, 7, 7), lambda m, x: m.conv(x).unflatten(1, (1, 3)).sum(2)),
        ((3, 7, 7), lambda m, x: (y := m.conv(x)).view(y.size(0), y.size(1), -1).mean(2)),
        ((3, 7, 7), lambda m, x: nn.functional.adaptive_avg_pool2d(m.conv(x), 1).squeeze(3).squeeze(2)),
    ],
)
def test_shapes_of_torch_are_followed(shape: tuple[int, ...], apply: Any) -> None:
    module = _Applies(apply, linear=nn.Linear(6, 6), conv=nn.Conv2d(3, 3, 3)).eval()
    model = port.from_torch(module, shape)
    x = torch.rand(2, *shape)
    found = model(x.movedim(1, -1) if len(shape) == 3 and model.input_shape[-1] == 3 else x)
    expected = module(x)
    expected = expected.movedim(1, -1) if expected.ndim == 4 and found.shape != expected.shape else expected
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("boolean", [True, False])
def test_masks_of_attention_are_kept(boolean: bool) -> None:
    hidden = torch.ones(4, 4).triu(1).bool()
    mask = hidden if boolean else torch.zeros(4, 4).masked_fill(hidden, float("-inf"))
    attention = nn.MultiheadAttention(6, 2, batch_first=True)
    module = _Applies(lambda m, x: m.attention(x, x, x, attn_mask=mask, need_weights=False)[0], attention=attention)
    x = torch.rand(2, 4, 6)
    torch.testing.assert_close(port.from_torch(module.eval(), (4, 6))(x), module(x), rtol=1e-4, atol=1e-5)
    biased = _Applies(
        lambda m, x: m.attention(x, x, x, attn_mask=mask * 1.0 - 0.5, need_weights=False)[0], attention=attention
    )
    with pytest.raises(ValueError, match="its mask has numbers other than 0 and -inf"):
        port.from_torch(biased.eval(), (4, 6))


def test_an_embedding_of_numbers_in_floats() -> None:
    """An Input says float32 by default: the check draws integers that the Embedding knows, in models inside as well."""
    start = keras.Input((6,))
    inside = keras.Sequential([keras.Input((6,)), keras.layers.Embedding(3, 4), keras.layers.Flatten()])
    flat = keras.layers.Flatten()(keras.layers.Embedding(3, 2)(start))
    for outputs in (flat, inside(start)):
        model = keras.Model(start, outputs)
        x = torch.tensor([[0.0, 1, 2, 0, 1, 2]])
        torch.testing.assert_close(port.to_torch(model)(x), model(x))
