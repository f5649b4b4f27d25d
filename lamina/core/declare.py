"""Declared arguments: written once, they serve as constructor, signature, validation, config, repr and reference.

    class Scale(Layer):
        factor: float = arg(number(0), default=1.0, doc="Multiplies the input.")

        def call(self, x):
            return x * self.factor

A declared class needs no `__init__` and no `get_config`; one that writes its own keeps working.
"""

from __future__ import annotations

import inspect
import math
import numbers
import operator
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from torch.compiler import is_dynamo_compiling
from typing_extensions import dataclass_transform

from .errors import UnknownArgument, Unwritable, quoted, short
from .random import SeedGenerator
from .serialize import serialize

T = TypeVar("T")

REQUIRED: Any = inspect.Parameter.empty


class Refused(Exception):
    """Raised by a kind's converter: the value does not fit. The text is a hint how to repair it.

    `error` is what it becomes, and `says` how that is worded, where they are not the kind's.
    """

    def __init__(self, hint: str = "", error: type[Exception] | None = None, says: str = ""):
        super().__init__(hint)
        self.error = error
        self.says = says


@dataclass(eq=False)
class Kind(Generic[T]):
    """What an argument accepts, and becomes: a T.

    `expected` names it in words. `says` is what an error says of the argument {0} of the class {1}, {expected} and
    {got}, or all before these two. `convert(value, owner)` returns the normal form or raises `Refused`, `dump` writes
    the normal form into a config, `good` and `bad` are examples for tests.
    """

    expected: str
    convert: Callable[[Any, Any], T]
    _: KW_ONLY
    dump: Callable[[Any], Any] = serialize
    good: tuple = ()
    bad: tuple = ()
    error: type[Exception] = ValueError
    none_is_default: bool = False
    says: str = "argument `{}` must be"

    def saying(self, says: str) -> Kind[T]:
        """The same kind, whose errors are worded otherwise."""
        return replace(self, says=says)

    def optional(self) -> Kind[T | None]:
        """The same kind, or None."""

        def convert(value, owner):
            return None if value is None else self.convert(value, owner)

        def dump(value):
            return None if value is None else self.dump(value)

        bad = tuple(value for value in self.bad if value is not None)
        good, expected = (None, *self.good), f"{self.expected} or None"
        return Kind(expected, convert, dump=dump, good=good, bad=bad, error=self.error, says=self.says)


@dataclass(eq=False)
class Arg:
    """One declared argument of a class."""

    kind: Kind
    default: Any
    doc: str
    keyword: bool
    config: bool | str
    name: str = ""  # given by the class that declares it
    attribute: str = ""
    init: bool = True

    def convert(self, value: Any, owner: Any) -> Any:
        """`value` in its normal form. Raises the kind's error, worded with the owner's class and this name."""
        if value is None and self.kind.none_is_default:
            value = self.default
        try:
            return self.kind.convert(owned(value), owner)
        except (Refused, TypeError, ValueError, OverflowError) as refused:
            # Arrays, and integers beyond every type, fail in a converter before it can refuse them.
            if not isinstance(refused, (Refused, OverflowError)) and not hasattr(value, "shape"):
                raise
            hint = f" {refused}" if isinstance(refused, Refused) and str(refused) else ""
            cls = type(owner).__name__
            says = getattr(refused, "says", "") or self.kind.says
            says = says if "{got}" in says else f"{says} {{expected}}; got {{got}}."
            error = getattr(refused, "error", None) or self.kind.error
            text = says.format(self.name, cls, expected=self.kind.expected, got=short(value))
            raise error(f"{cls}: {text}{hint}") from None


def arg(
    kind: Kind[T],
    *,
    default: Any = REQUIRED,
    doc: str = "",
    kw_only: bool = False,
    config: bool | str = True,
    attribute: str = "",
    init: bool = True,
) -> T:
    """Declare an argument of a `Declared` class. To a type checker it is a value of the kind.

    `config` says whether it stands in `get_config()`: always (True), never (False) or only when it is not None ("set").
    `attribute` is where the value is kept, where that is not the argument's own name.
    `init=False` takes back an argument of a base: the class itself gives that attribute its value.
    """
    declared: Any = Arg(kind, default, doc, kw_only, config, attribute=attribute, init=init)
    return declared


def kept(default: Any = None, *, init: Literal[False] = False) -> Any:
    """An annotated attribute of a `Declared` class that is no argument; `default` is its value."""
    return default


class _Fixed:
    def __init__(self, value: Any):
        self.value = value


def fixed(value: T, *, init: Literal[False] = False) -> T:
    """An attribute in place of an argument of a base, which the class no longer takes. Type checkers know of it where
    the attribute is annotated."""
    held: Any = _Fixed(value)
    return held


class worked_out(Generic[T]):
    """A property that is found once, until an argument is set. (That of `functools` has a lock up to Python 3.11, which
    torch.compile does not trace.)"""

    def __init__(self, find: Callable[[Any], T]):
        self.find, self.name = find, find.__name__

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        if instance is None:
            raise AttributeError(self.name)  # a class has none
        found = self.find(instance)
        if not is_dynamo_compiling():
            vars(instance)[self.name] = found
        return found


class _Later:
    """An attribute of a class that is found when it is read: most are never."""

    def __init__(self, find: Callable[[Any], Any]):
        self.find = find

    def __get__(self, instance: Any, owner: type) -> Any:
        return self.find(owner)


@dataclass_transform(field_specifiers=(arg, kept, fixed))
class Declared:
    """Base of everything with declared arguments. Fields come in the order of declaration, bases first."""

    _args: ClassVar[dict[str, Arg]] = {}
    _order: ClassVar[tuple[str, ...]] = ()  # arguments that come first, where declaring them cannot say so
    _comes_last: ClassVar[tuple[str, ...]] = ()  # arguments that come behind those of subclasses
    _owns_init = False
    _told = ""  # the class docstring as written, without the arguments

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Arg)}
        given = {name: value for name, value in vars(cls).items() if isinstance(value, _Fixed)}
        for name, value in given.items():
            setattr(cls, name, value.value)
        for name, value in own.items():
            value.name = name
            value.attribute = value.attribute or name
            delattr(cls, name)
        if "_args" not in vars(cls):
            found = inherited(cls, "_args") | own
            cls._args = {name: value for name, value in found.items() if value.init and name not in given}
        first = vars(cls).get("_order", ())
        if own or first:
            rest = (name for name in cls._args if name not in cls._comes_last)
            last = (name for name in cls._comes_last if name in cls._args)
            cls._args = {name: cls._args[name] for name in dict.fromkeys((*first, *rest, *last))}
        if "__init__" in vars(cls):
            cls._owns_init = True
            cls.__signature__ = _without_self(cls.__init__)
        elif own or not cls._owns_init:
            cls._owns_init = False
            cls.__signature__ = _signature
        cls._told = cls.__doc__ or cls._told
        if not cls._owns_init and cls._args:
            cls.__doc__ = _reference

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._set_args(bind(self, args, kwargs))

    def _set_args(self, values: Mapping[str, Any]) -> None:
        # The name last: an automatic one counts up, and must not where another argument is refused.
        order = sorted(values, key=lambda name: name == "name")
        converted = {name: self._args[name].convert(values[name], self) for name in order}
        for name, value in converted.items():
            setattr(self, self._args[name].attribute, value)
        self.check()

    def check(self) -> None:
        """Hook for what no single argument can say, such as strides together with dilation."""

    def get_config(self) -> dict[str, Any]:
        """The constructor arguments as plain data; `from_config` takes it back."""
        config = {}
        for name, declared in self._args.items():
            value = getattr(self, declared.attribute) if declared.config else None
            if declared.config is True or (declared.config == "set" and value is not None):
                try:
                    config[name] = owned(declared.kind.dump(value))
                except Unwritable as error:
                    raise Unwritable(f"{type(self).__name__}, `{name}`: {error}") from None
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        if not isinstance(config, Mapping):
            raise TypeError(f"{cls.__name__}.from_config: expected a dictionary of its arguments; got {short(config)}.")
        return cls(**config)

    def _shown_args(self) -> str:
        shown = []
        for name, declared in self._args.items():
            value = vars(self).get(declared.attribute, declared.default)
            if value is REQUIRED or (declared.config is not True and value is None):
                continue  # a layer given as an argument is shown as a child
            if declared.default is REQUIRED:
                shown.append(short(value) if not shown or "=" not in shown[-1] else f"{name}={short(value)}")
            elif not _equals_default(self, declared, value) and not (text := short(value)).endswith("..."):
                shown.append(f"{name}={text}")
        return ", ".join(shown)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shown_args()})"


def inherited(cls: type, table: str) -> dict[str, Any]:
    """What the bases, from right to left, have in a table of declarations."""
    merged: dict[str, Any] = {}
    for base in reversed(cls.__bases__):
        merged.update(getattr(base, table, {}))
    return merged


def _equals_default(owner: Any, declared: Arg, value: Any) -> bool:
    if value is declared.default:
        return True
    try:
        default = declared.kind.convert(declared.default, owner)
        return bool(value is default or declared.kind.dump(value) == declared.kind.dump(default))
    except (Refused, ValueError, TypeError):
        return False


def bind(owner: Any, args: tuple, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments by name. Raises TypeError for missing or surplus ones, and UnknownArgument."""
    declared = owner._args
    cls = type(owner).__name__
    positional = [name for name, a in declared.items() if not a.keyword]
    if len(args) > len(positional):
        raise TypeError(
            f"{cls} takes at most {len(positional)} positional arguments ({', '.join(positional)}); got {len(args)}."
        )
    values = dict(zip(positional, args, strict=False))
    for name, value in kwargs.items():
        if name not in declared:
            raise UnknownArgument(unknown_keyword(cls, name, declared))
        if name in values:
            raise TypeError(f"{cls} got argument `{name}` twice: by position and by name.")
        values[name] = value
    missing = [name for name, a in declared.items() if a.default is REQUIRED and name not in values]
    if missing:
        raise TypeError(f"{cls} misses the required argument{'s' * (len(missing) > 1)} {quoted(missing)}.")
    return {name: values.get(name, a.default) for name, a in declared.items()}


def unknown_keyword(cls: str, name: str, known: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, list(known), 1)
    hint = f" Did you mean `{near[0]}`?" if near else f" Known: {', '.join(known)}."
    return f"{cls} has no argument `{name}`.{hint}"


def signature(cls: type[Declared]) -> inspect.Signature:
    kinds = inspect.Parameter
    parameters = [
        kinds(name, kinds.KEYWORD_ONLY if a.keyword else kinds.POSITIONAL_OR_KEYWORD, default=a.default)
        for name, a in sorted(cls._args.items(), key=lambda item: item[1].keyword)
    ]
    return inspect.Signature(parameters)


def _without_self(function: Callable) -> inspect.Signature:
    own = inspect.signature(function)
    return own.replace(parameters=list(own.parameters.values())[1:])


def reference(cls: type[Declared]) -> str:
    """The docstring, then the arguments, one a line: name, default, meaning, what is accepted."""
    lines = []
    for name, a in cls._args.items():
        if a.keyword and not a.doc:
            continue
        default = "" if a.default is REQUIRED else f" (default {short(a.default)})"
        doc = a.doc or _derived_doc(name)
        lines.append(
            f"    {name}: {doc}{' ' if doc else ''}{a.kind.expected[:1].upper()}{a.kind.expected[1:]}{default}."
        )
    arguments = ["Args:\n" + "\n".join(lines)] if lines else []
    return "\n\n".join([inspect.cleandoc(cls._told), *arguments]).strip()


_signature: Any = _Later(signature)
_reference: Any = _Later(reference)


# What arguments that many classes declare mean, where one does not say it itself.
_MEANINGS = {
    "name": "What messages and files call it.",
    "trainable": "Whether training changes its weights.",
    "dtype": "The type of its weights and arithmetic.",
    "data_format": "Where the channels stand.",
    "seed": "Lets random draws repeat.",
    "use_bias": "Add a bias.",
    "activation": "Applied to what the weights give.",
    "padding": "What is put around the input.",
    "interpolation": "How values between places are found.",
    "output_mode": "What the output holds.",
}


def _derived_doc(name: str) -> str:
    if name in _MEANINGS:
        return _MEANINGS[name]
    subject, _, role = name.rpartition("_")
    words = {
        "initializer": "First values of the {}.",
        "regularizer": "Penalty on the {}, added to the loss.",
        "constraint": "Projection of the {} after each update.",
    }
    return words[role].format(subject.replace("_", " ")) if role in words else ""


def owned(value: Any) -> Any:
    """Lists, dictionaries and arrays as copies, which stay as they are whatever becomes of a caller's own."""
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(map(owned, value))
    if kind is dict:
        return {key: owned(item) for key, item in value.items()}
    return value.copy() if kind is np.ndarray else value


# Kinds of plain values. Kinds of objects (activations, initializers, ...) stand beside those objects.


def as_integer(value: Any) -> int:
    """`value` as int, for Python and NumPy integers alone. Raises Refused."""
    if isinstance(value, bool) or getattr(value, "shape", ()) != () or str(getattr(value, "dtype", "")) == "torch.bool":
        raise Refused
    try:
        number = operator.index(value)
        if abs(number) >= 2**64:
            raise Refused
        return number
    except TypeError:
        whole = isinstance(value, float) and value.is_integer()
        raise Refused(f"Write {int(value)} for a whole number." if whole else "") from None


def integer(minimum: int | None = None) -> Kind[int]:
    """An integer, at least `minimum`."""

    def convert(value, owner):
        number = as_integer(value)
        if minimum is not None and number < minimum:
            raise Refused
        return number

    expected = {None: "an integer", 0: "a non-negative integer", 1: "a positive integer"}.get(
        minimum, f"an integer of at least {minimum}"
    )
    bad = ("3", 2.5, math.nan, None, *(() if minimum is None else (minimum - 1,)))
    return Kind(expected, convert, good=((minimum or 0) + 1, (minimum or 0) + 2), bad=bad)


def number(
    minimum: float | None = None, maximum: float | None = None, *, above: bool = False, below: bool = False
) -> Kind[float]:
    """A real number from `minimum` to `maximum`; `above` leaves the minimum out, `below` the maximum."""

    def convert(value, owner):
        if not isinstance(value, numbers.Real) and getattr(value, "shape", None) == ():
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise Refused
        value = value if isinstance(value, (int, float)) else float(value)
        if math.isnan(value) or (minimum is not None and (value < minimum or (above and value == minimum))):
            raise Refused
        if maximum is not None and (value > maximum or (below and value == maximum)):
            raise Refused
        return value

    bad = ["a", math.nan, None]
    bad += [minimum if above else minimum - 1] if minimum is not None else []
    bad += [maximum + 1] if maximum is not None else []
    low = minimum if minimum is not None else 0 if maximum is None else maximum - 1
    high = maximum if maximum is not None else low + 1
    good = ((low + high) / 2, low + (high - low) / 4)
    return Kind(_range(minimum, maximum, above, below), convert, good=good, bad=tuple(bad))


def _range(minimum: float | None, maximum: float | None, above: bool, below: bool) -> str:
    if minimum is None:
        return "a number" if maximum is None else f"a number {'below' if below else 'of at most'} {maximum}"
    if maximum is not None:
        return f"a number from {'above ' if above else ''}{minimum} to {'below ' if below else ''}{maximum}"
    if above:
        return f"a number above {minimum}" if minimum else "a positive number"
    return f"a number of at least {minimum}"


def _boolean(value: Any, owner: Any) -> bool:
    if isinstance(value, bool):
        return value
    if getattr(value, "shape", ()) == () and value in (0, 1):
        return bool(value)
    raise Refused


boolean = Kind("True or False", _boolean, good=(True, False), bad=("yes", 3))


def one_of(*choices: str) -> Kind[str]:
    """One of some words, upper or lower case."""

    def convert(value, owner):
        word = value.lower() if isinstance(value, str) else value
        if word not in choices:
            raise Refused
        return word

    return Kind("one of " + ", ".join(f'"{c}"' for c in choices), convert, good=choices, bad=("unknown-word", 3.5))


def listed(value: Any) -> tuple[Any, ...]:
    """What has an order, as a tuple. Raises Refused."""
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping, Set)):
        raise Refused
    return tuple(value)


def items(value: Any, item: Kind[T], owner: Any, *, alone: bool = False, least: int = 1) -> tuple[T, ...]:
    """What is in a list or tuple, each of a kind; with `alone` one may come by itself. Raises Refused."""
    many = value if isinstance(value, (list, tuple)) else (value,) if alone else None
    if many is None or len(many) < least:
        raise Refused
    return tuple(item.convert(each, owner) for each in many)


def as_sizes(value: Any, rank: int, minimum: float) -> tuple[int, ...]:
    """An integer or `rank` of them as a tuple. Raises Refused."""
    single = not isinstance(value, Iterable) or getattr(value, "shape", None) == ()
    many = (value,) * rank if single else listed(value)
    if len(many) != rank:
        raise Refused(f"Give one integer, or {rank} of them.")
    result = tuple(as_integer(item) for item in many)
    if any(item < minimum for item in result):
        raise Refused
    return result


def sizes(minimum: int = 1) -> Kind[tuple[int, ...]]:
    """An integer for every spatial axis, or one integer for all; the owner has a `rank`."""

    def convert(value, owner):
        found = as_sizes(value, owner.rank, -math.inf)
        small = {size for size in found if size < minimum}
        if small:
            says = f"The `{{0}}` argument must be a tuple of {owner.rank} integers. Received {{0}}={{got}},"
            raise Refused(f"including values {small} that do not satisfy `value > {minimum - 1}`.", says=says)
        return found

    words = {0: "non-negative", 1: "positive"}.get(minimum, f"at least {minimum}:")
    bad = ("a", (1, 2, 3, 4), minimum - 1, 1.5, None)
    return Kind(f"a {words} integer, or one for each spatial axis", convert, good=(2, 3), bad=bad)


def accepts(test: Callable[[Any], bool]) -> Callable[[Any, Any], Any]:
    """A converter that takes what passes a test, as it is."""

    def convert(value, owner):
        if not test(value):
            raise Refused
        return value

    return convert


text = Kind("a string", accepts(lambda value: isinstance(value, str)), good=("word",), bad=(3, None))
anything = Kind("any value", lambda value, owner: value)


def as_seed(value: Any) -> int | SeedGenerator:
    """An integer, or a generator or the config of one."""
    if isinstance(value, Mapping) and value.get("class_name") == "SeedGenerator":
        return SeedGenerator.from_config(value["config"])
    return value if isinstance(value, SeedGenerator) else as_integer(value)


seed = Kind(
    "an integer seed or a SeedGenerator",
    lambda value, owner: integer(0).convert(value, owner) if isinstance(value, numbers.Real) else as_seed(value),
    good=(3,),
    bad=("a", 1.5, -1),
).optional()
function = Kind(
    "a function",
    accepts(lambda value: callable(value) or isinstance(value, (str, Mapping))),
    bad=(3.5,),
    error=TypeError,
)


def _mapping(value: Any, owner: Any) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise Refused
    return dict(value)


mapping = Kind("a dictionary", _mapping, bad=(3,))


def looked_up(get: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """A converter from `get(identifier)`, whose error becomes the hint."""

    def convert(value, owner):
        try:
            return get(value)
        except (ValueError, TypeError) as error:
            raise Refused(str(error)) from None

    return convert
