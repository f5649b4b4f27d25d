"""Declared arguments: the signatures of Keras 3, bad and good values, texts, and windows against slow references."""

from __future__ import annotations

import ast
import inspect
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.declared import BASE, CLASSES, FREE, NOT_ALONE, arguments, required

import lamina as keras
from lamina.core import scope
from lamina.core.declare import REQUIRED, Arg, Declared, Refused
from lamina.core.layer import Layer

L = keras.layers
RECORDED = json.loads((Path(__file__).parent / "golden" / "signatures" / "keras3.json").read_text())


each_class = pytest.mark.parametrize("name", sorted(FREE))
each_argument = pytest.mark.parametrize(
    ("name", "argument"), [(name, argument) for name in sorted(FREE) for argument in arguments(FREE[name])]
)


alone = pytest.mark.parametrize(
    ("name", "argument"),
    [pair for name in sorted(FREE) for a in arguments(FREE[name]) if (pair := (name, a)) not in NOT_ALONE],
)


def same_value(cls: type[Declared], a: Arg, one: Any, other: Any) -> bool:
    """Whether two values of an argument mean the same: scalars and tuples, names and objects."""
    owner = cls.__new__(cls)

    def normal(value: Any) -> Any:
        try:
            return a.kind.dump(a.convert(value, owner))
        except (ValueError, TypeError, Refused):
            return value

    return one == other or json.dumps(normal(one), default=repr) == json.dumps(normal(other), default=repr)


# Signatures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(name for name in CLASSES if name in RECORDED))
def test_signature_is_that_of_keras(name: str) -> None:
    cls = CLASSES[name]
    recorded = [text for text in RECORDED[name] if not text.startswith("*")]
    parameters = inspect.signature(cls).parameters.values()
    own = {p.name: p for p in parameters if p.kind is not p.VAR_KEYWORD}
    if issubclass(cls, Layer):
        recorded = [text for text in recorded if text.partition("=")[0] not in BASE]
        own = {key: p for key, p in own.items() if key not in BASE}
    positional = [p.name for p in own.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == [text.partition("=")[0] for text in recorded]
    for text in recorded:
        key, has_default, default = text.partition("=")
        assert (own[key].default is inspect.Parameter.empty) == (not has_default), key
        if has_default:
            value = ast.literal_eval(default)
            a = cls._args.get(key)
            assert own[key].default == value or (a and same_value(cls, a, own[key].default, value)), (
                f"{key}={own[key].default!r}, in Keras {default}"
            )


@pytest.mark.slow
def test_type_checkers_know_the_order_of_a_layers_arguments(tmp_path: Path) -> None:
    order = {
        name: [key for key, a in cls._args.items() if not a.keyword]
        for name, cls in FREE.items()
        if issubclass(cls, Layer) and "_order" not in vars(cls)
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(Path(keras.__file__).parents[1])]}))
    shown = "".join(f"reveal_type(lamina.{name}.__init__)\n" for name in order)
    (tmp_path / "shown.py").write_text(f"import lamina.layers\n{shown}")
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "shown.py"]
    said = json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout)
    told = [fault["message"] for fault in said["generalDiagnostics"] if fault["message"].startswith("Type of")]
    found = [re.findall(r"(\w+): ", text.partition("(")[2].split(", *, ")[0])[1:] for text in told]
    assert dict(zip(order, found, strict=True)) == order


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_other_names_of_a_class(name: str) -> None:
    module, _, alias = name.rpartition(".")
    target = alias.replace("Convolution", "Conv").replace("AvgPool", "AveragePool").replace("Pool1D", "Pooling1D")
    target = target.replace("Pool2D", "Pooling2D").replace("Pool3D", "Pooling3D")
    if module == "layers" and target != alias:
        assert getattr(L, alias, None) is getattr(L, target)


# Values -----------------------------------------------------------------------------------------------------------


@each_argument
def test_bad_values_are_refused_by_name(name: str, argument: str) -> None:
    cls = FREE[name]
    values = required(cls, argument)
    for bad in cls._args[argument].kind.bad:
        if bad is None and cls._args[argument].kind.none_is_default:
            continue
        names = dict(scope._name_counts)
        with pytest.raises((ValueError, TypeError)) as caught:
            cls(**{**values, argument: bad})
        message = str(caught.value)
        assert cls.__name__ in message, (bad, message)
        assert f"`{argument}`" in message, (bad, message)
        assert scope._name_counts == names, bad


# What no argument means, but those whose kind has one of these words.
SENSELESS = (
    (object(), ()),
    (1j, ()),
    ({2}, ()),
    (b"same", ()),
    (10**400, ()),
    (dict, ("function",)),
    ({}, ("dictionary",)),
    ("no such word", ("string", "function")),
    (torch.tensor([True]), ("initializer", "mask", "array")),
    (np.ones((2, 2)), ("initializer", "mask", "array")),
    (torch.tensor(True), ("True", "initializer", "mask", "array")),
)


@each_argument
def test_senseless_values_are_refused(name: str, argument: str) -> None:
    cls = FREE[name]
    expected = cls._args[argument].kind.expected
    if expected == "any value" or name.startswith("initializers."):  # these take arrays of values
        return
    for value, words in SENSELESS:
        if not any(word in expected for word in words):
            with pytest.raises((ValueError, TypeError)) as caught:
                cls(**{**required(cls, argument), argument: value})
            assert f"`{argument}`" in str(caught.value) and cls.__name__ in str(caught.value), value


@alone
def test_numbers_of_any_make_mean_what_they_say(name: str, argument: str) -> None:
    cls = FREE[name]
    kind, attribute = cls._args[argument].kind, cls._args[argument].attribute
    if name.startswith("initializers.") or "initializer" in kind.expected:
        return
    for number in [good for good in kind.good if type(good) in (int, float)]:
        plain = cls(**{**required(cls, argument), argument: number})
        for make in (np.array, torch.tensor, *([np.int64, np.int8] if isinstance(number, int) else [np.float64])):
            try:
                made = cls(**{**required(cls, argument), argument: make(number)})
            except (ValueError, TypeError) as refused:
                assert f"`{argument}`" in str(refused) and cls.__name__ in str(refused)
                continue
            assert getattr(made, attribute) == getattr(plain, attribute)
            assert json.dumps(made.get_config().get(argument)) is not None


@alone
def test_good_values_are_kept(name: str, argument: str) -> None:
    cls = FREE[name]
    a = cls._args[argument]
    for good in a.kind.good:
        made = cls(**{**required(cls, argument), argument: good})
        config = made.get_config()
        again = cls.from_config(json.loads(json.dumps(config)))
        assert json.dumps(again.get_config()) == json.dumps(config), good
        if (name, argument) == ("layers.SimpleRNN", "activity_regularizer"):
            continue  # Keras 3 takes it and forgets it
        if argument in config and good is not None:  # None mostly stands for something else
            assert config[argument] == [good] or same_value(cls, a, config[argument], good), (good, config[argument])


@alone
def test_the_default_is_a_value(name: str, argument: str) -> None:
    cls = FREE[name]
    default = cls._args[argument].default
    if default is not REQUIRED:
        values = {**required(cls), **({"name": "same"} if "name" in cls._args and argument != "name" else {})}
        given, plain = (cls(**given).get_config() for given in ({**values, argument: default}, values))
        if argument == "name":
            given.pop("name"), plain.pop("name")
        assert json.dumps(given) == json.dumps(plain)


@each_class
def test_unknown_keyword_is_named(name: str) -> None:
    cls = FREE[name]
    with pytest.raises((ValueError, TypeError), match=rf"{cls.__name__}.*`unheard_of`"):
        cls(**required(cls), unheard_of=1)


@each_class
def test_missing_arguments_are_named(name: str) -> None:
    cls = FREE[name]
    for argument in (name for name in required(cls) if cls._args[name].default is REQUIRED):
        values = required(cls)
        del values[argument]
        with pytest.raises(TypeError, match=rf"{cls.__name__}.*`{argument}`"):
            cls(**values)


# Texts ------------------------------------------------------------------------------------------------------------


@each_argument
def test_help_tells_each_argument(name: str, argument: str) -> None:
    text = inspect.getdoc(FREE[name]) or ""
    if argument not in ("name", "dtype", "trainable", "activity_regularizer", "lora_alpha"):
        line = next((line for line in text.splitlines() if line.strip().startswith(f"{argument}: ")), None)
        assert line, f"help({FREE[name].__name__}) says nothing of `{argument}`"


@each_class
def test_repr_is_a_call(name: str) -> None:
    made = FREE[name](**required(FREE[name]))
    if isinstance(made, Layer) and made._inner_layers:
        assert repr(made).startswith(f"{FREE[name].__name__}(")  # torch shows the layers inside, a line each
        return
    call = ast.parse(repr(made), mode="eval").body
    assert isinstance(call, ast.Call)
    assert isinstance(call.func, ast.Name)
    assert call.func.id == FREE[name].__name__
    assert all(keyword.arg in FREE[name]._args for keyword in call.keywords)


# Windows, against slow references -----------------------------------------------------------------------------------


def pads(size: int, kernel: int, stride: int, dilation: int, padding: Any) -> tuple[int, int]:
    """What TensorFlow adds before and after an axis."""
    reach = (kernel - 1) * dilation
    if padding == "same":
        total = max((math.ceil(size / stride) - 1) * stride + reach + 1 - size, 0)
        return total // 2, total - total // 2
    return {"valid": (0, 0), "causal": (reach, 0)}[padding] if isinstance(padding, str) else padding


class Windows:
    """The windows over the spatial axes of x (batch, *spatial, channels): a slow and plain description."""

    def __init__(self, x: np.ndarray, kernel: Sequence[int], strides: Any, dilation: Any, padding: Any):
        sizes = x.shape[1:-1]
        each = padding if isinstance(padding, (list, tuple)) else [padding] * len(sizes)
        axes = list(zip(sizes, kernel, strides, dilation, each, strict=True))
        self.pads = [pads(*axis) for axis in axes]
        self.x = np.pad(x, [(0, 0), *self.pads, (0, 0)], constant_values=np.nan)
        self.kernel, self.strides, self.dilation = kernel, strides, dilation
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        self.out = tuple(
            (n + sum(pair) - span) // s + 1 for n, pair, span, s in zip(sizes, self.pads, spans, strides, strict=True)
        )

    @property
    def fits(self) -> bool:
        return all(size > 0 for size in self.out)

    def taps(self, position: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        """The window's offsets at `position`, and the places in the padded x they read."""
        for offset in np.ndindex(*self.kernel):
            place = zip(position, self.strides, offset, self.dilation, strict=True)
            yield offset, tuple(p * s + o * d for p, s, o, d in place)

    def gather(self, read: Callable[[np.ndarray, tuple], np.ndarray]) -> np.ndarray:
        """`read(values of the window (batch, taps, channels), position)` at each position."""
        result = np.stack([
            read(np.stack([self.x[(slice(None), *at)] for _, at in self.taps(position)], 1), position)
            for position in np.ndindex(*self.out)
        ], 1)  # fmt: skip
        return result.reshape(self.x.shape[0], *self.out, -1)


def convolved(windows: Windows, kernel: np.ndarray, groups: int) -> np.ndarray:
    """kernel (*k, channels // groups, filters)."""
    taps = kernel.reshape(-1, *kernel.shape[-2:])
    parts = np.split(taps, groups, -1)

    def read(values: np.ndarray, position: tuple) -> np.ndarray:
        inputs = np.split(np.nan_to_num(values), groups, -1)
        return np.concatenate([np.einsum("ntc,tcf->nf", x, k) for x, k in zip(inputs, parts, strict=True)], -1)

    return windows.gather(read)


def depthwise(windows: Windows, kernel: np.ndarray) -> np.ndarray:
    """kernel (*k, channels, multiplier)."""
    taps = kernel.reshape(-1, *kernel.shape[-2:])
    return windows.gather(
        lambda values, _: np.einsum("ntc,tcm->ncm", np.nan_to_num(values), taps).reshape(len(values), -1)
    )


def transposed(x: np.ndarray, kernel: np.ndarray, strides: Sequence[int], dilation: Sequence[int], padding: str) -> Any:
    """The adjoint of the convolution that maps the result back onto the sizes of x. kernel (*k, filters, channels)."""
    size = kernel.shape[:-2]
    spans = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    out = [
        n * s if padding == "same" else (n - 1) * s + max(span, s)
        for n, s, span in zip(x.shape[1:-1], strides, spans, strict=True)
    ]
    forward = Windows(np.zeros((len(x), *out, kernel.shape[-2])), size, strides, dilation, padding)
    assert forward.out == x.shape[1:-1]
    padded = np.zeros_like(forward.x)
    for position in np.ndindex(*forward.out):
        for offset, at in forward.taps(position):
            padded[(slice(None), *at)] += x[(slice(None), *position)] @ kernel[offset].T
    inner = [slice(before, before + n) for (before, _), n in zip(forward.pads, out, strict=True)]
    return padded[(slice(None), *inner)]


def locally(x: np.ndarray, kernel: np.ndarray, size: Sequence[int], strides: Sequence[int], padding: str) -> np.ndarray:
    """kernel (positions, taps * channels, filters); "same" centres each window on its element."""
    ones = (1,) * len(size)
    if padding == "same":
        out = [math.ceil(n / s) for n, s in zip(x.shape[1:-1], strides, strict=True)]
        axes = zip(x.shape[1:-1], size, strides, out, strict=True)
        around = [(k // 2, max((o - 1) * s + k - k // 2 - n, 0)) for n, k, s, o in axes]
        x = np.pad(x, [(0, 0), *around, (0, 0)])
    windows = Windows(x, size, strides, ones, "valid")
    row = np.arange(math.prod(windows.out)).reshape(windows.out)
    return windows.gather(lambda values, at: values.reshape(len(values), -1) @ kernel[row[at]])


def one_or_each(rank: int, low: int, high: int) -> st.SearchStrategy:
    """One integer for all axes, or one for each; some arguments of rank 1 take an integer alone, all take that."""
    number = st.integers(low, high)
    return number | st.tuples(*[number] * rank) if rank > 1 else number


def drawn(cls: type[Layer], names: Sequence[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments for `cls`: the examples of its declarations, and more of the same kind."""
    rank = cls.rank
    pairs = st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * rank)
    more = {
        "kernel_size": one_or_each(rank, 1, 3),
        "strides": one_or_each(rank, 1, 3),
        "dilation_rate": one_or_each(rank, 1, 3),
        "pool_size": one_or_each(rank, 1, 3),
        "size": one_or_each(rank, 1, 3),
        "cropping": one_or_each(rank, 0, 1) | pairs,
        "filters": st.integers(1, 4),
        "groups": st.integers(1, 2),
        "depth_multiplier": st.integers(1, 2),
        "padding": one_or_each(rank, 0, 2) | pairs if issubclass(cls, L.ZeroPadding1D.__mro__[1]) else st.nothing(),
    }
    choices = {}
    for name in names:
        if name in cls._args:
            good = [value for value in cls._args[name].kind.good if value not in ("bicubic", "lanczos3", "lanczos5")]
            choices[name] = st.sampled_from(good) | more.get(name, st.nothing()) if good else more[name]
            if name == "padding" and getattr(cls, "_causal", False):
                choices[name] |= pairs | (st.just("causal") if rank == 1 else st.nothing())
    return st.fixed_dictionaries(choices)


def images(rank: int, smallest: int = 1) -> st.SearchStrategy[np.ndarray]:
    """x (batch, *spatial, channels) of different values."""
    shape = st.tuples(st.just(2), *[st.integers(smallest, {1: 8, 2: 6, 3: 5}[rank])] * rank, st.integers(1, 3))
    return st.tuples(shape, st.integers(0, 99)).map(lambda drawn: np.random.default_rng(drawn[1]).normal(size=drawn[0]))


def computed(layer: Layer, x: np.ndarray) -> np.ndarray:
    """The layer's output for channels-last x, whatever its data format; also checks the promised shape."""
    first = getattr(layer, "data_format", None) == "channels_first"
    given = torch.from_numpy(np.moveaxis(x, -1, 1).copy() if first else x)
    promised = layer.compute_output_shape(tuple(given.shape))
    with torch.no_grad():
        y = layer(given).numpy()
    assert y.shape == tuple(promised)
    return np.moveaxis(y, 1, -1) if first else y


def randomized(layer: Layer, x: np.ndarray) -> list[np.ndarray]:
    """Build for x, give all weights random values and return them."""
    first = getattr(layer, "data_format", None) == "channels_first"
    layer.build((*x.shape[:1], *x.shape[-1:], *x.shape[1:-1]) if first else x.shape)
    random = np.random.default_rng(7)
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.weights])
    return layer.get_weights()


def agree(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


few = settings(max_examples=40)


def per_rank(*names: str, ranks: Sequence[int] = (1, 2, 3)) -> Any:
    classes = [getattr(L, f"{name[:-1]}{rank}D" if name[-1] == "_" else name.replace("#", f"{rank}D")) for name in names
               for rank in ranks]  # fmt: skip
    return pytest.mark.parametrize("cls", classes, ids=lambda cls: cls.__name__)


def dilated_strides(layer: dict[str, Any]) -> bool:
    return bool(np.max(layer["strides"]) > 1 and np.max(layer["dilation_rate"]) > 1)


@per_rank("Conv#")
@few
@given(data=st.data())
def test_convolution(cls: type[Any], data: Any) -> None:
    names = ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups", "use_bias")
    arguments, x = data.draw(drawn(cls, names)), data.draw(images(cls.rank))
    bad = dilated_strides(arguments) or arguments["filters"] % arguments["groups"]
    if bad:
        with pytest.raises(ValueError, match=cls.__name__):
            cls(**arguments)
        return
    layer = cls(**arguments, dtype="float64")
    windows = Windows(x, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)
    if x.shape[-1] % layer.groups or not windows.fits:
        with pytest.raises(ValueError, match=cls.__name__):
            randomized(layer, x)
        return
    kernel, *bias = randomized(layer, x)
    agree(computed(layer, x), convolved(windows, kernel, layer.groups) + sum(bias))


@per_rank("DepthwiseConv#", "SeparableConv#", ranks=(1, 2))
@few
@given(data=st.data())
def test_separable_convolution(cls: type[Any], data: Any) -> None:
    names = (
        "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "depth_multiplier", "use_bias"
    )  # fmt: skip
    arguments, x = data.draw(drawn(cls, names)), data.draw(images(cls.rank))
    layer = cls(**arguments, dtype="float64")
    windows = Windows(x, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)
    if not windows.fits:
        with pytest.raises(ValueError, match=cls.__name__):
            randomized(layer, x)
        return
    kernel, *rest = randomized(layer, x)
    expected = depthwise(windows, kernel)
    if "filters" in arguments:
        pointwise, *rest = rest
        expected = expected @ pointwise.reshape(pointwise.shape[-2:])
    agree(computed(layer, x), expected + sum(rest))


@per_rank("Conv#Transpose")
@few
@given(data=st.data())
def test_transposed_convolution(cls: type[Any], data: Any) -> None:
    names = ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "use_bias")
    arguments, x = data.draw(drawn(cls, names)), data.draw(images(cls.rank))
    if dilated_strides(arguments):
        with pytest.raises(ValueError, match=cls.__name__):
            cls(**arguments)
        return
    layer = cls(**arguments, dtype="float64")
    kernel, *bias = randomized(layer, x)
    expected = transposed(x, kernel, layer.strides, layer.dilation_rate, layer.padding)
    agree(computed(layer, x), expected + sum(bias))


@per_rank("MaxPooling#", "AveragePooling#")
@few
@given(data=st.data())
def test_pooling(cls: type[Any], data: Any) -> None:
    names = ("pool_size", "strides", "padding", "data_format")
    layer, x = cls(**data.draw(drawn(cls, names)), dtype="float64"), data.draw(images(cls.rank))
    windows = Windows(x, layer.pool_size, layer.strides, (1,) * cls.rank, layer.padding)
    if not windows.fits:
        with pytest.raises(ValueError, match=cls.__name__):
            computed(layer, x)
        return
    reduce = np.nanmax if "Max" in cls.__name__ else np.nanmean
    agree(computed(layer, x), windows.gather(lambda values, _: reduce(values, 1)))


@per_rank("LocallyConnected#")
@few
@given(data=st.data())
def test_locally_connected(cls: type[Any], data: Any) -> None:
    names = ("filters", "kernel_size", "strides", "padding", "use_bias", "implementation")
    layer, x = cls(**data.draw(drawn(cls, names)), dtype="float64"), data.draw(images(cls.rank, 3))
    kernel, *bias = randomized(layer, x)
    expected = locally(x, kernel, layer.kernel_size, layer.strides, layer.padding)
    agree(computed(layer, x), expected + sum(bias))


@per_rank("ZeroPadding#", "Cropping#", "UpSampling#")
@few
@given(data=st.data())
def test_moving(cls: type[Any], data: Any) -> None:
    names = ("padding", "cropping", "size", "data_format")
    layer, x = cls(**data.draw(drawn(cls, names)), dtype="float64"), data.draw(images(cls.rank))
    if "ZeroPadding" in cls.__name__:
        expected = np.pad(x, [(0, 0), *layer.padding, (0, 0)])
    elif "UpSampling" in cls.__name__:
        expected = x
        for axis, size in enumerate(np.atleast_1d(layer.size), start=1):
            expected = expected.repeat(size, axis)
    else:
        if any(sum(pair) >= n for pair, n in zip(layer.cropping, x.shape[1:-1], strict=True)):
            with pytest.raises(ValueError, match=cls.__name__):
                computed(layer, x)
            return
        inner = [slice(before, n - after) for (before, after), n in zip(layer.cropping, x.shape[1:-1], strict=True)]
        expected = x[(slice(None), *inner)]
    agree(computed(layer, x), expected)
