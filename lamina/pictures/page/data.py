"""What the page shows of layers, as plain data: arguments with values and inputs of `families.json`, and words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ... import layers
from ...core.declare import REQUIRED, Arg
from .. import spelled, told
from ..said import LANGUAGES, Said, data, sentences

_SAID = sentences("data")  # of arguments the Chinese ones, and English ones where their declarations have none
_CALLS: dict[str, Said] = vars(_SAID.calls)  # arguments of a call, not of the layer

Shapes = list[list[int]]


class Row(NamedTuple):
    """Layers that the page's arithmetic treats alike. `names` end in "#" where there is one for each rank."""

    names: str
    kind: str  # the function in layers.js
    arguments: str  # those shown, in this order
    inputs: dict[str, Shapes]  # by rank, "0" for layers without one
    values: Mapping[str, Any] = MappingProxyType({})  # what the page starts with, where that is not the default


class Family(NamedTuple):
    title: Said
    rows: list[Row]


FAMILIES = [
    Family(Said(*family["title"]), [Row(**row) for row in family["rows"]]) for family in data("page/families.json")
]


def page_data() -> dict[str, Any]:
    """Families with the names of their layers, and the layers."""
    families, found = [], {}
    for family in FAMILIES:
        names = []
        for row in family.rows:
            for name, rank in _each(row):
                names.append(name)
                found[name] = _layer(name, rank, row)
        families.append({"title": family.title._asdict(), "layers": names})
    return {"families": families, "layers": found}


def _each(row: Row) -> Iterator[tuple[str, int]]:
    for rank in row.inputs:
        yield row.names.replace("#", rank), int(rank)


def _layer(name: str, rank: int, row: Row) -> dict[str, Any]:
    cls = getattr(layers, name)
    arguments = [each for each in row.arguments.split() if each in cls._args or each in _CALLS or _inner(row, each)]
    controls = [_control(name, cls, row, each) for each in arguments]
    return {
        "kind": row.kind,
        "rank": rank,
        "args": controls,
        "inputs": row.inputs[str(rank)],
        "start": {key: value for key, value in row.values.items() if key in arguments},
        "about": _about(cls, rank, arguments),
        "forms": _forms(cls, arguments),
    }


def _about(cls: Any, rank: int, shown: list[str]) -> dict[str, str]:
    """What the layer is, in the languages; "{layer.units}" stands for an argument, which the page fills in."""
    said = next(told.TOLD[base.__name__].what for base in cls.__mro__ if base.__name__ in told.TOLD)
    found = {}
    for language in LANGUAGES:
        text = getattr(said, language).replace("{axes}", told.axes_of(rank, language))
        kept = re.findall(r"{layer\.(\w+)}", text)
        for name in {*kept} - {*shown}:
            text = text.replace(f"{{layer.{name}}}", str(getattr(cls, name)))
        found[language] = text
    return found


def _inner(row: Row, argument: str) -> bool:
    """Of a wrapper, whether it is an argument of the layer inside."""
    return row.kind == "bidirectional" and argument in layers.LSTM._args


def _control(name: str, cls: Any, row: Row, argument: str) -> dict[str, Any]:
    """How an argument is shown: its type, default, what it accepts, and a sentence."""
    if argument in _CALLS:
        return {"name": argument, "type": "bool", "default": False, "call": True, "doc": _CALLS[argument]._asdict()}
    declared = cls._args.get(argument) or layers.LSTM._args[argument]
    found = {"name": argument, "expected": _expected(declared), **_type(cls, argument, declared)}
    value = declared.default
    found["default"] = row.values.get(argument) if value is REQUIRED else value
    if argument == "data_format":
        found["default"] = "channels_last"
    own = getattr(_SAID.arguments, f"{name.rstrip('123D')}.{argument}", None) or _SAID.arguments[argument]
    said = own if isinstance(own, Said) else Said(declared.doc, own)
    english, chinese = declared.doc or said.en, said.zh
    return {**found, "doc": {"en": english, "zh": chinese}}


def _expected(declared: Arg) -> dict[str, str]:
    english = declared.kind.expected
    chinese = getattr(_SAID.expected, english, english.replace("one of ", "以下之一：").replace(" or ", " 或 "))
    return {"en": english, "zh": chinese}


def _choice(cls: Any, declared: Arg) -> dict[str, Any]:
    return {"type": "choice", "choices": [value for value in declared.kind.good if value is not None]}


def _padding(cls: Any, declared: Arg) -> dict[str, Any]:
    """Its names; pairs of numbers are left out."""
    return {"type": "choice", "choices": ["valid", "same", *(["causal"] if cls._causal and cls.rank == 1 else [])]}


def _number(cls: Any, declared: Arg) -> dict[str, Any]:
    expected = declared.kind.expected
    return {"type": "number", "min": 0, **({"max": 1} if "to" in expected else {}), "below": "below" in expected}


def _whole(cls: Any, declared: Arg) -> dict[str, Any]:
    """Integers, of which there is one or one for each axis."""
    expected = declared.kind.expected
    least = -1 if "or -1" in expected else 0 if "non-negative" in expected else 1
    none = {"none": True} if "None" in expected else {}
    return {"type": "sizes" if "spatial axis" in expected else "int", "min": least, **none}


_BY_NAME: dict[str, dict[str, Any]] = {
    "layer": {"type": "choice", "choices": ["LSTM", "GRU", "SimpleRNN"]},
    "merge_mode": {"type": "choice", "choices": ["concat", "sum", "ave", "mul", None]},
    "target_shape": {"type": "shape"},
    "dims": {"type": "order"},
    "axes": {"type": "pair"},
}
_BY_WORDS: tuple[tuple[str, Callable[[Any, Arg], dict[str, Any]]], ...] = (  # what the kind says that it expects
    (r'"valid", "same", "causal"', _padding),
    (r'one of|"channels_', _choice),
    (r".*or a pair \(before", lambda cls, declared: {"type": "pairs", "min": 0}),
    (r"True or False", lambda cls, declared: {"type": "bool"}),
    (r"a number", _number),
    (r"an integer or several", lambda cls, declared: {"type": "axes", "several": True}),
    (r"an integer", lambda cls, declared: {"type": "int" if cls is layers.Concatenate else "axes"}),
    (r"", _whole),
)


def _type(cls: Any, argument: str, declared: Arg) -> dict[str, Any]:
    """How the page takes an argument, and what values."""
    if argument in _BY_NAME:
        return _BY_NAME[argument]
    return next(made for words, made in _BY_WORDS if re.match(words, declared.kind.expected))(cls, declared)


def _forms(cls: Any, arguments: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The forms of `spelled.spelling_table`, without the words that never change on the page."""
    found = {}
    known = spelled.spelling_table()["layers"][cls.__name__]
    for generation, forms in {**known, "lamina": [spelled._form_of_today(cls)]}.items():
        found[generation] = [kept for form in forms if (kept := _shortened(form, cls, arguments))]
    return found


def _shortened(form: Mapping[str, Any], cls: Any, shown: list[str]) -> dict[str, Any] | None:
    """None where it cannot say an argument that the page leaves at its default."""
    fixed = {key: spelled._normal(cls, key, each.default) for key, each in cls._args.items() if key not in shown}
    for argument, value in form["otherwise"].items():
        if argument in fixed and fixed[argument] != value:
            return None
    words = []
    for word in form["words"]:
        argument = word.get("argument")
        if argument in fixed and "part" not in word:
            if "default" not in word or word["default"] == fixed[argument] or fixed[argument] is None:
                continue
            word = {"word": word["word"], "value": fixed[argument]}
        words.append(word)
    otherwise = {key: value for key, value in form["otherwise"].items() if key not in fixed}
    return {"name": form["name"], "words": words, "otherwise": otherwise}
