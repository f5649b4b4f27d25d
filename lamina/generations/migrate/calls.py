"""Calls of older generations in Keras 3's words: the tables' functions, on expressions instead of values."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partialmethod
from typing import Any

import libcst as cst

from ...layers import Layer, old
from ...translation import migrating
from ...translation.keras2 import ONCE
from ...translation.table import Class
from ...translation.words import HOMES, Words, method_arguments, signature_of, words
from .. import activations as activations_of
from .. import objects
from ..backend import WORDS
from ..dialect import Dialect
from ..evidence import MODULE_AGES, age

_EMPTY = inspect.Parameter.empty
_NO_CODE = cst.Module([])
OLD_SIGMOID = "hard_sigmoid_of_keras_2"
_USUAL = "zeros ones glorot_uniform glorot_normal he_uniform he_normal lecun_uniform lecun_normal".split()
SHAPES = ("input_shape", "batch_input_shape", "batch_shape", "input_dim", "input_length", "batch_size")
# Samples of a generator, which Keras 1 counts, and the batches that Keras 3 does.
STEPS = {"samples_per_epoch": "steps_per_epoch", "nb_val_samples": "validation_steps", "val_samples": "steps"}
# Defaults that say the same, and those that only say what is printed.
_ALIKE = {
    "batch_size": (32, None),
    "verbose": (0, 1, None, "auto"),
    "dtype": ("float32", None),
    "sparse": (False, None),
    "ema_overwrite_frequency": (None, 100),
}


def text_of(node: cst.CSTNode) -> str:
    return _NO_CODE.code_for_node(node)


def expression(text: str) -> cst.BaseExpression:
    """Source of an argument, which may go over several lines, as an expression."""
    if "\n" not in text:
        return cst.parse_expression(text)
    made = cst.parse_expression(f"({text})")
    return made.with_changes(lpar=made.lpar[1:], rpar=made.rpar[:-1])


class Code:
    """An expression whose value is not known here; arithmetic with it gives such an expression again."""

    def __init__(self, node: cst.BaseExpression):
        self.node = node

    def _with(self, sign: str, other: Any) -> Code:
        return Code(expression(f"({written(self)}){sign}({written(other)})"))

    __add__, __sub__ = partialmethod(_with, " + "), partialmethod(_with, " - ")
    __mul__, __floordiv__ = partialmethod(_with, " * "), partialmethod(_with, " // ")


class Size(Code, int):
    """One of the sizes of a kernel, written apart."""

    def __new__(cls, node: cst.BaseExpression) -> Size:
        return int.__new__(cls, 1)


def value_of(node: cst.BaseExpression) -> Any:
    """The value of a literal; of tuples what of them is known."""
    try:
        return ast.literal_eval(text_of(node))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass
    if isinstance(node, cst.Tuple) and not any(isinstance(each, cst.StarredElement) for each in node.elements):
        return tuple(value_of(each.value) for each in node.elements)
    return Code(node)


def written(value: Any) -> str:
    """Python that gives a value; an object's config becomes a call of its class."""
    if isinstance(value, Code):
        return text_of(value.node)
    if isinstance(value, Made):
        return f"keras.{value.home}.{value.name}({', '.join(f'{k}={written(v)}' for k, v in value.config.items())})"
    if isinstance(value, Mapping) and "class_name" in value:
        given = ", ".join(f"{key}={written(each)}" for key, each in value["config"].items())
        return f"keras.optimizers.schedules.{value['class_name']}({given})"
    if isinstance(value, tuple):
        inner = ", ".join(map(written, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    return f'"{value}"' if isinstance(value, str) and '"' not in value and "\\" not in value else repr(value)


@dataclass(frozen=True)
class Made:
    """An initializer, regularizer, constraint or optimizer: today's class and the arguments that are no defaults."""

    home: str
    name: str
    config: Mapping[str, Any] = field(hash=False)


@functools.cache
def known(home: str, name: str) -> bool:
    """Whether Keras 3 has a public name in a module."""
    if "3" not in MODULE_AGES.get(f"{home}.{name}", "3"):
        return False  # a module of the time, whatever Lamina has by that name
    told = age(home, name)
    if told is not None or "3" not in MODULE_AGES.get(home, "3"):
        return "3" in (told or "")
    return not name.startswith("_") and name in dir(module_of(home))


@functools.cache
def module_of(home: str) -> Any:
    try:
        return importlib.import_module(f"lamina.{home}".rstrip("."))
    except ImportError:
        return None


def public_class(home: str, modern: str) -> Any:
    """Today's class or function of a name in a table; of one with old arithmetic, the class that it comes from."""
    home = home.partition(".")[0]
    module = module_of(home)
    found = getattr(module, modern, None) or getattr(old, modern, None) or getattr(objects, modern, None)
    for cls in found.__mro__ if inspect.isclass(found) else (found,):
        name = getattr(cls, "__name__", "")
        if cls is Layer and found is not Layer:
            return None
        if name and getattr(module, name, None) is cls and known(home, name):
            return cls
    return None


def _rooted(own: Words, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of optimizers that added epsilon to the root, where today's add it below: its square does nearly the same."""
    if not own.entry.modern.endswith("ByRoot") or found.get("momentum"):
        return found
    epsilon = found.get("epsilon") or 1e-7
    if isinstance(epsilon, Code):
        text = written(epsilon)
        square: Any = epsilon if text.endswith("** 2") else Code(expression(f"({text}) ** 2"))
    else:
        square = float(f"{epsilon**2:g}") if epsilon > 1e-10 else epsilon  # smaller ones are squares already
    return {**found, "epsilon": square}


# Arithmetic of the time that Keras 3 has not: of classes, where an argument is none of these, why and what to do.
_OTHERWISE = {
    "NadamBySchedule": ("", (), "its momentum grew by another schedule", "compare the losses with those of before"),
    "UpSampling2DFromCorners": (
        "interpolation", ("nearest", None), "it took pixels by their corners, Keras 3 by their middles",
        "retrain, or write an own layer",
    ),
}  # fmt: skip


_COMMON = ("name", "trainable", "dtype", "activity_regularizer", "autocast", "seed")


@functools.cache
def parameters(function: Any) -> dict[str, inspect.Parameter]:
    """What Keras 3 takes: keywords alone are additions of Lamina, but for what all layers take."""
    found = inspect.signature(function).parameters
    return {
        name: each
        for name, each in found.items()
        if name != "self"
        and (each.kind is each.POSITIONAL_OR_KEYWORD or (each.kind is each.KEYWORD_ONLY and name in _COMMON))
    }


def _plain(home: str, name: str, config: Mapping[str, Any]) -> Made:
    """Normalized, so that equal objects are equal."""
    once, fixed = ONCE.get(name, (name, {}))
    own = {**fixed, **{key: value for key, value in config.items() if key != "seed" or value is not None}}
    if own.get("distribution") == "normal":
        own["distribution"] = "truncated_normal"
    return Made(home, once, {key: own[key] for key in sorted(own) if key not in ("input_axes", "output_axes")})


@dataclass
class Spoken:
    """How one class, function or method of a generation is called, and what it is called now."""

    function: Any  # today's
    positional: tuple[str, ...]
    now: Callable[[str], Iterable[str]]
    modern: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    several: tuple[str, ...] = ()
    joined: str = ""
    home: str = ""
    explicit: bool = True  # whether defaults that changed are written out
    own: Words | None = None
    chosen: frozenset[str] = frozenset()  # arguments that are written whatever their default is


class Unclear(Exception):
    """A call is left as it is, and why."""


class NoneOfOurs(Unclear):
    """A call of something else that has a method of that name."""


def _lost(new: str, value: Any) -> str | None:
    """What is told of an argument that Keras 3 has not: of this value, else of any; nothing if empty."""
    return migrating.LOST.get(f"{new}={value}", migrating.LOST.get(new))


class Speaker:
    """The calls of one generation."""

    def __init__(self, dialect: Dialect, explicit_format: bool):
        self.table = dialect.table
        self.settings = {"backend": "tensorflow", "image_data_format": "channels_last"}
        self.explicit_format = explicit_format

    # -- what is called ---------------------------------------------------------------------------------------------

    def of_class(self, home: str, name: str) -> Spoken | None:
        """A class or function of a table; None where Keras 3 has no such thing."""
        own = words(self.table, home, name)
        entry = own.entry
        renamed: Mapping[str, str] = {}
        if entry.signature.startswith("*args") and entry.makes:
            renamed, own = entry.renamed, words(self.table, home, entry.makes)
            entry = own.entry
        top = home.partition(".")[0]
        cls = getattr(module_of(top), name, None) if home != "layers" and known(top, name) else None
        cls = cls or public_class(home, entry.modern)
        if cls is None:
            return None
        if entry.signature.startswith("*"):
            return Spoken(cls, (), lambda key: (key,), dict, home=home, explicit=False)

        def modern(given: Mapping[str, Any]) -> Mapping[str, Any]:
            full = dict(given) | {
                key: value for key, value in own.accepted.items() if key not in given and value is not _EMPTY
            }
            missing = [key for key in own.required if key not in given and key not in own.several]
            unknown = [key for key in given if key not in own.known]
            if unknown or missing:
                raise Unclear(f"it has no argument `{unknown[0]}`" if unknown else f"`{missing[0]}` is missing")
            found = _rooted(own, self._to_modern(own, full))
            alone = own.name == "Input" and isinstance(found.get("shape"), int) and not isinstance(found["shape"], Code)
            return {**found, "shape": (found["shape"],)} if alone else found

        def now(key: str) -> Iterable[str]:
            return [new for new, _ in own.now(renamed.get(key, key))]

        joined = self.table.joined.get(own.several, "")
        other = entry.fixed and own.name != cls.__name__ and self.table.find(cls.__name__, home) is not None
        chosen = frozenset(key for key in entry.fixed if key != "data_format") if other else frozenset()
        return Spoken(cls, own.positional, now, modern, own.several, joined, home, own=own, chosen=chosen)

    def _to_modern(self, own: Words, full: Mapping[str, Any]) -> Mapping[str, Any]:
        """By the table; expressions go through as they are where it asks for their values."""
        missing = next((part for part in own.several if part not in full), None)
        if missing is not None:
            raise Unclear(f"`{missing}` is missing")
        try:
            return own.to_modern(full, self.settings)
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            unknown = [key for key, value in full.items() if isinstance(value, Code) and key in own.accepted]
            if not unknown:
                raise Unclear(str(error)) from None
        stand_ins = {key: own.accepted[key] if own.accepted[key] is not _EMPTY else 1 for key in unknown}
        try:
            found = dict(own.to_modern({**full, **stand_ins}, self.settings))
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise Unclear(str(error)) from None
        if own.several:
            found[self.table.joined[own.several]] = tuple(full[part] for part in own.several)
        return found | {new: full[key] for key in unknown if key not in own.several for new, _ in own.now(key)}

    def of_function(self, entry: Class, function: Any, home: str, explicit: bool = True) -> Spoken:
        """A function of `migrating`'s tables."""
        signature = signature_of(entry.signature).parameters.values()
        defaults = {each.name: each.default for each in signature if each.default is not _EMPTY}
        own = tuple(each.name for each in signature)
        positional = own or tuple(parameters(function))

        before = WORDS if home == "backend" and self.table.lists_weights else {}

        def now(key: str) -> Iterable[str]:
            key = key if key in own else before.get(key, key)
            new = entry.renamed.get(key, key)
            return [new] if new else []

        def modern(given: Mapping[str, Any]) -> Mapping[str, Any]:
            return {new: value for key, value in {**defaults, **given}.items() for new in now(key)}

        chosen = frozenset(entry.fixed)
        return Spoken(function, positional, now, modern, home=home, explicit=explicit, chosen=chosen)

    def of_method(self, told: str, function: Any) -> Spoken:
        """A method of models; `told`: its key in the generation's table."""
        before = () if self.table.older is None else signature_of(self.table.older.methods.get(told, "")).parameters
        own = tuple(signature_of(self.table.methods[told]).parameters)

        def now(key: str) -> Iterable[str]:
            new = self.table.method_words.get(key, key)
            return [new] if new else []

        def modern(given: Mapping[str, Any]) -> Mapping[str, Any]:
            takes = {*parameters(function), *own, *STEPS, *STEPS.values(), *before}
            if not given.keys() <= takes:
                raise NoneOfOurs
            back = {new: old for old, new in STEPS.items() if old in own}
            try:
                found = method_arguments(
                    self.table, told, (), {back.get(key, key): value for key, value in given.items()}
                )
                return {STEPS[key] if STEPS.get(key) in given else key: value for key, value in found.items()}
            except (TypeError, ValueError) as error:
                raise Unclear(str(error)) from None

        return Spoken(function, own, now, modern, home="models")

    # -- the arguments of a call ------------------------------------------------------------------------------------

    def arguments(
        self, args: list[cst.Arg], how: Spoken, shape: dict[str, Any], tell: Callable[..., None]
    ) -> list[cst.Arg]:
        """The arguments of a call in Keras 3's words. `shape`: takes what they say of the input's shape.

        Raises Unclear for what cannot be told, or is in today's words already.
        """
        if any(arg.star for arg in args):
            return self._renamed_only(args, how, tell)
        args = self._respelled(args, how)
        if len([arg for arg in args if arg.keyword is None]) > len(how.positional):
            raise Unclear(f"it takes at most {len(how.positional)} arguments by position")
        pairs = [(arg.keyword.value if arg.keyword else how.positional[at], arg) for at, arg in enumerate(args)]
        given = {key: value_of(arg.value) for key, arg in pairs}
        if len(given) < len(pairs):
            raise Unclear("it is given an argument twice")
        modern = dict(how.modern(given))
        if how.own is not None:
            self._tell_arithmetic(how.own.entry, modern, tell)
        found, later, done = self._given(pairs, modern, how, tell)
        later += self._changed_defaults(modern, how, done, tell)
        outside = {new: value for new, value in modern.items() if new in SHAPES and new not in parameters(how.function)}
        shape |= {new: value for new, value in outside.items() if value is not None}
        if not any(new in outside for key in given for new in how.now(key)):
            shape["implied"] = True
        return _ended(args, found, later)

    def _given(
        self, pairs: list[tuple[str, cst.Arg]], modern: Mapping[str, Any], how: Spoken, tell: Callable[..., None]
    ) -> tuple[list[cst.Arg], list[str], set[str]]:
        """What was given, in its place; what stands behind it; and the names of both."""
        target = parameters(how.function)
        order = [name for name, each in target.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
        found: list[cst.Arg] = []
        later: list[str] = []
        done: set[str] = set()
        for key, arg in pairs:
            joined = key in how.several
            names = [how.joined] if joined else list(how.now(key))
            if joined and how.joined in done:
                found[-1] = found[-1].with_changes(comma=arg.comma)
            for new in names:
                if new in done or new not in modern:
                    continue
                done.add(new)
                value = modern[new]
                self._tell_values(key, new, value, arg, how, tell)
                if not self._is_taken(new, value, target, how, tell):
                    continue
                node = self._expression(new, value, value_of(arg.value), arg.value, joined)
                by_place = all(each.keyword is None for each in (*found, arg)) and order[len(found) :][:1] == [new]
                if new != names[0]:
                    later.append(f"{new}={text_of(node)}")
                else:
                    found.append(arg.with_changes(value=node) if by_place else _by_name(arg, new, node))
        return found, later, done

    def _tell_values(
        self, key: str, new: str, value: Any, arg: cst.Arg, how: Spoken, tell: Callable[..., None]
    ) -> None:
        """Tell of an expression whose values have other names now."""
        renamed = how.own is not None and key != new and new in self.table.values
        if renamed and isinstance(value, Code) and "data_format" not in text_of(arg):
            tell(f"`{key}`", "its values have other names in Keras 3", "see where the value comes from")
        if new == "optimizer" and isinstance(value, str) and self.table.find(value, "optimizers") is not None:
            self._tell_arithmetic(words(self.table, "optimizers", value).entry, {}, tell)

    def _tell_arithmetic(self, entry: Class, modern: Mapping[str, Any], tell: Callable[..., None]) -> None:
        """Tell of a class that computed what Keras 3's does not."""
        word, alike, why, instead = _OTHERWISE.get(entry.modern, ("", (None,), "", ""))
        if modern.get(word) not in alike or not alike:
            tell(f"`{word}`" if word else entry.modern.partition("By")[0], why, instead)

    def _is_taken(self, new: str, value: Any, target: Any, how: Spoken, tell: Callable[..., None]) -> bool:
        """Whether an argument stands in the call."""
        if new in target:
            return True
        if new in SHAPES and how.home == "layers":
            return False
        return new in _COMMON or self._tell_lost(new, value, tell)

    def _changed_defaults(
        self, modern: Mapping[str, Any], how: Spoken, done: set[str], tell: Callable[..., None]
    ) -> Iterable[str]:
        """The defaults of the time that are others today."""
        target = parameters(how.function)
        for new, value in modern.items() if how.explicit else ():
            if new in done or (new in SHAPES and new not in target):
                continue
            if new not in target:
                if value and _lost(new, value):
                    self._tell_lost(new, value, tell)
            elif new in how.chosen or not self._is_default(new, value, target[new]):
                yield f"{new}={text_of(self._expression(new, value, _EMPTY, None, False))}"

    def _tell_lost(self, new: str, value: Any, tell: Callable[..., None]) -> bool:
        """Tell of an argument that Keras 3 has not; whether it is left in its place."""
        if new in STEPS:
            return True  # it was told of
        reason = _lost(new, value)
        if reason == "" or (value in (None, False, 0, 0.0) and not isinstance(value, Code)):
            return False
        tell(f"`{new}`", "Keras 3 has no such argument here", reason or migrating.INSTEAD.get(new, "see what it did"))
        return reason is None or new == "weights"

    def _renamed_only(self, args: list[cst.Arg], how: Spoken, tell: Callable[..., None]) -> list[cst.Arg]:
        """Of a call with `*args` or `**kwargs` the keywords are told, and nothing else."""
        found, several = [], how.several
        for arg in args:
            names = list(how.now(arg.keyword.value)) if arg.keyword else []
            if arg.keyword and arg.keyword.value not in several and len(names) == 1:
                given = value_of(arg.value)
                value = given
                if how.own is not None and not isinstance(given, Code):
                    value = next(
                        (given if convert is None else convert(given) for _, convert in how.own.now(arg.keyword.value)),
                        given,
                    )
                node = self._expression(names[0], value, given, arg.value, False)
                arg = arg.with_changes(keyword=cst.Name(names[0]), value=node)
            found.append(arg)
        if self.table.lists_weights or how.several:
            tell(
                "* or **",
                "arguments that are not written out are not translated",
                "see that they are in Keras 3's words",
            )
        return found

    def _respelled(self, args: list[cst.Arg], how: Spoken) -> list[cst.Arg]:
        """Calls of Keras 2 in Keras 1's words, which it took, in its own."""
        own = how.own
        if own is None or own.older is None:
            return args
        values: list[Any] = [value_of(arg.value) for arg in args if arg.keyword is None]
        named = {arg.keyword.value: value_of(arg.value) for arg in args if arg.keyword}
        several = own.older.several
        if (
            several
            and len(values) > len(several)
            and (own.name.startswith("Convolution") or not named.keys() <= own.known or "strides" in named)
        ):
            for at in range(1, 1 + len(several)):
                values[at] = Size(values[at].node) if isinstance(values[at], Code) else values[at]
        try:
            after, others = own.older.respell(values, named, own)
        except (TypeError, KeyError, ValueError):
            return args
        if list(after) == values and others == named:
            return args
        made = [cst.Arg(cst.parse_expression(written(value))) for value in after]
        return made + [
            _by_name(cst.Arg(cst.Name("x")), key, self._expression(key, value, _EMPTY, None, False))
            for key, value in others.items()
        ]

    # -- values -----------------------------------------------------------------------------------------------------

    def _is_default(self, new: str, value: Any, parameter: inspect.Parameter) -> bool:
        default = parameter.default
        if isinstance(value, Code):
            return False
        if default is _EMPTY or new == "name":
            return value is None or new == "name"
        if new == "data_format" and not self.explicit_format:
            return True
        if value == default or (value in _ALIKE.get(new, ()) and default in _ALIKE.get(new, ())):
            return True
        if isinstance(default, int) and isinstance(value, tuple) and set(value) == {default}:
            return True
        if isinstance(value, int) and isinstance(default, tuple) and set(default) == {value}:
            return True
        if new.endswith(("initializer", "regularizer", "constraint")) and value is not None:
            return self.meaning(new, value) == self.modern_meaning(new, default)
        return new.endswith("activation") and {value, default} <= {None, "linear"}

    def meaning(self, word: str, value: Any) -> Any:
        """What a name or config of an object says, as today's class with its arguments."""
        home = HOMES[word.rsplit("_", 1)[-1]]
        if isinstance(value, Mapping):
            return _plain(home, value["class_name"], value["config"])
        if not isinstance(value, str) or home not in self.table.objects or self.table.find(value, home) is None:
            return self.modern_meaning(word, value)
        made = self.made(home, value)
        return self.modern_meaning(word, value) if made is None else made

    def made(self, home: str, name: str) -> Made | None:
        """What a name stands for; None where Keras 3 has no such class."""
        own = words(self.table, home, name)
        cls = public_class(home, own.entry.modern)
        if cls is None:
            return None
        target = parameters(cls)
        given = (
            {} if own.entry.signature.startswith("*") else _rooted(own, own.to_modern(own.bind((), {}), self.settings))
        )
        config = {key: value for key, value in given.items() if key in target}
        config = {k: v for k, v in config.items() if home != "optimizers" or not self._is_default(k, v, target[k])}
        full = {key: each.default for key, each in target.items() if key not in ("name", *_COMMON)}
        return (
            Made(home, cls.__name__, config) if home == "optimizers" else _plain(home, cls.__name__, {**full, **config})
        )

    def modern_meaning(self, word: str, value: Any) -> Any:
        home = HOMES[word.rsplit("_", 1)[-1]]
        if not isinstance(value, str):
            return value
        try:
            found = module_of(home).get(value)
        except (ValueError, TypeError):
            return None
        return _plain(home, type(found).__name__, found.get_config())

    def _expression(
        self, new: str, value: Any, given: Any, node: cst.BaseExpression | None, joined: bool
    ) -> cst.BaseExpression:
        """The expression of a modern argument: the one that was given, where it still says it."""
        kind = new.rsplit("_", 1)[-1]
        if new in ("units", "n") and isinstance(node, cst.Call) and re.match(r"(np|numpy)\.prod\(", text_of(node)):
            return expression(f"int({text_of(node)})")  # which today have to be Python's own
        if kind in HOMES and (isinstance(value, Mapping) or isinstance(value, str)):
            text = self.object_text(new, value, given)
        elif kind == "activation" and isinstance(value, str):
            text = self.activation_text(value)
        elif kind == "optimizer" and isinstance(value, str):
            text = self.optimizer_text(value)
        elif not joined and given is not _EMPTY and (value is given or (type(value) is type(given) and value == given)):
            text = None
        else:
            text = written(value)
        if text is None and node is not None:
            return node
        return expression(text if text is not None else written(value))

    def object_text(self, word: str, value: Any, given: Any = _EMPTY) -> str | None:
        """Text of an initializer, regularizer or constraint; None where the given one still says it."""
        meant = self.meaning(word, value)
        for name in (given, value):
            if isinstance(name, str) and self.modern_meaning(word, name) == meant:
                return None if name == given else written(name)
        for name in _USUAL:
            if meant is not None and word.endswith("initializer") and self.modern_meaning(word, name) == meant:
                return written(name)
        if not isinstance(meant, Made):
            return None
        target = parameters(getattr(module_of(meant.home), meant.name))
        config = {key: each for key, each in meant.config.items() if key in target and each != target[key].default}
        return written(Made(meant.home, meant.name, config))

    def activation_text(self, value: str) -> str | None:
        """Only this one's meaning changed."""
        try:
            same = activations_of.get(value) is not activations_of.hard_sigmoid
        except ValueError:
            same = True
        return None if same else OLD_SIGMOID

    def optimizer_text(self, value: str) -> str | None:
        """A name whose defaults changed as a call that says them."""
        if self.table.find(value, "optimizers") is None:
            return None
        made = self.made("optimizers", value)
        return written(made) if made is not None and made.config else None


COMMA = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))


def argument(name: str, text: str) -> cst.Arg:
    """An argument by its name."""
    call: Any = cst.parse_expression(f"f({name}={text})")
    return call.args[0]


def _by_name(arg: cst.Arg, name: str, node: cst.BaseExpression) -> cst.Arg:
    equal = arg.equal if arg.keyword else argument(name, "0").equal
    return arg.with_changes(keyword=cst.Name(name), value=node, equal=equal)


def _ended(args: list[cst.Arg], found: list[cst.Arg], later: Iterable[str]) -> list[cst.Arg]:
    """With further arguments behind, and the comma at the end as it was."""
    between = next((arg.comma for arg in args[1:-1] if isinstance(arg.comma, cst.Comma)), COMMA)
    between = COMMA if "#" in text_of(between) else between
    found += [argument(*text.split("=", 1)) for text in later]
    if not found:
        return found
    last = args[-1] if args else found[-1]
    body = [arg if isinstance(arg.comma, cst.Comma) else arg.with_changes(comma=between) for arg in found[:-1]]
    comma = found[-1].comma if "#" in text_of(found[-1]) else last.comma
    end = found[-1].with_changes(comma=comma, whitespace_after_arg=last.whitespace_after_arg)
    return [*body, end]
