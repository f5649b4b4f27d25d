"""Declared arguments: the signatures of Keras 3, bad and good values, and texts."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.declared import BASE, CLASSES, FREE, NOT_ALONE, arguments, required

import lamina as keras
from lamina.core import scope
from lamina.core.declare import REQUIRED, Arg, Declared, Refused
from lamina.core.layer import Layer

L = keras.layers
RECORDED = json.loads((Path(__file__).parent / "golden" / "signatures" / "keras3.json").read_text())


each_class = pytest.mark.parametrize("name", sorted(FREE))


def alone(name: str) -> list[str]:
    """The arguments of a class that have values of their own."""
    return [argument for argument in arguments(FREE[name]) if (name, argument) not in NOT_ALONE]


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


def modern(alias: str) -> str:
    """The name of a layer for one of its other names."""
    target = alias.replace("Convolution", "Conv").replace("AvgPool", "AveragePool").replace("Pool1D", "Pooling1D")
    return target.replace("Pool2D", "Pooling2D").replace("Pool3D", "Pooling3D")


OTHERS = [alias for name in sorted(RECORDED) if name.startswith("layers.") and modern(alias := name[7:]) != alias]


@pytest.mark.parametrize("alias", OTHERS)
def test_other_names_of_a_class(alias: str) -> None:
    assert getattr(L, alias, None) is getattr(L, modern(alias))


# Values -----------------------------------------------------------------------------------------------------------


@each_class
def test_bad_values_are_refused_by_name(name: str) -> None:
    cls = FREE[name]
    for argument in arguments(cls):
        kind, values = cls._args[argument].kind, required(cls, argument)
        for bad in kind.bad:
            if bad is None and kind.none_is_default:
                continue
            names = dict(scope._name_counts)
            with pytest.raises((ValueError, TypeError)) as caught:
                cls(**{**values, argument: bad})
            message = str(caught.value)
            assert cls.__name__ in message, (argument, bad, message)
            assert f"`{argument}`" in message, (argument, bad, message)
            assert scope._name_counts == names, (argument, bad)


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


@pytest.mark.parametrize("name", sorted(name for name in FREE if not name.startswith("initializers.")))  # take arrays
def test_senseless_values_are_refused(name: str) -> None:
    cls = FREE[name]
    for argument in arguments(cls):
        expected, values = cls._args[argument].kind.expected, required(cls, argument)
        for value, words in () if expected == "any value" else SENSELESS:
            if not any(word in expected for word in words):
                with pytest.raises((ValueError, TypeError)) as caught:
                    cls(**{**values, argument: value})
                message = str(caught.value)
                assert f"`{argument}`" in message and cls.__name__ in message, (argument, value)


@pytest.mark.parametrize("name", sorted(name for name in FREE if not name.startswith("initializers.")))
def test_numbers_of_any_make_mean_what_they_say(name: str) -> None:
    cls = FREE[name]
    for argument in alone(name):
        kind, attribute = cls._args[argument].kind, cls._args[argument].attribute
        numbers = [] if "initializer" in kind.expected else [good for good in kind.good if type(good) in (int, float)]
        for number in numbers:
            plain = cls(**{**required(cls, argument), argument: number})
            for make in (np.array, torch.tensor, *([np.int64, np.int8] if isinstance(number, int) else [np.float64])):
                try:
                    made = cls(**{**required(cls, argument), argument: make(number)})
                except (ValueError, TypeError) as refused:
                    assert f"`{argument}`" in str(refused) and cls.__name__ in str(refused)
                    continue
                assert getattr(made, attribute) == getattr(plain, attribute), (argument, number, make)
                assert json.dumps(made.get_config().get(argument)) is not None


@each_class
def test_good_values_are_kept(name: str) -> None:
    cls = FREE[name]
    for argument in alone(name):
        a = cls._args[argument]
        for good in a.kind.good:
            made = cls(**{**required(cls, argument), argument: good})
            config = made.get_config()
            again = cls.from_config(json.loads(json.dumps(config)))
            assert json.dumps(again.get_config()) == json.dumps(config), (argument, good)
            if (name, argument) == ("layers.SimpleRNN", "activity_regularizer"):
                continue  # Keras 3 takes it and forgets it
            if argument in config and good is not None:  # None mostly stands for something else
                kept = config[argument]
                assert kept == [good] or same_value(cls, a, kept, good), (argument, good, kept)


@each_class
def test_the_default_is_a_value(name: str) -> None:
    cls = FREE[name]
    for argument in alone(name):
        default = cls._args[argument].default
        if default is not REQUIRED:
            values = {**required(cls), **({"name": "same"} if "name" in cls._args and argument != "name" else {})}
            given, plain = (cls(**given).get_config() for given in ({**values, argument: default}, values))
            if argument == "name":
                given.pop("name"), plain.pop("name")
            assert json.dumps(given) == json.dumps(plain), argument


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


@each_class
def test_help_tells_each_argument(name: str) -> None:
    lines = [line.strip() for line in (inspect.getdoc(FREE[name]) or "").splitlines()]
    told = {line.split(": ")[0] for line in lines if ": " in line}
    elsewhere = {"name", "dtype", "trainable", "activity_regularizer", "lora_alpha"}
    assert {*arguments(FREE[name])} - elsewhere <= told, f"help({FREE[name].__name__})"


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
