"""Tables on pages that are made from the tables of the code, each a function that writes Markdown."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from reference import GENERATIONS, cell, listing, renames

import lamina
from lamina import cli, completion
from lamina.core.declare import REQUIRED, Declared, Refused
from lamina.core.errors import short
from lamina.pictures.cost import costs as costs_of
from lamina.pictures.said import Language, Said
from lamina.translation.table import Class, Generation
from lamina.translation.words import BASE, words

NAMED = {generation.name: generation for generation in GENERATIONS}
HOMES = ("layers", "optimizers", "initializers", "regularizers", "constraints")
HEADS = {
    "arguments": Said("Arguments that have another name", "改了名字的参数"),
    "unread": Said(
        "Accepted, without effect where the value says nothing any more: {}.",
        "可以照写，但值已没有意义、不起作用：{}。",
    ),
    "classes": Said("Classes that have another name", "改了名字的类"),
    "own": Said("Classes that compute in a way of their own", "算法与今天不同的类"),
    "own_told": Said(
        "They stay in the namespace; models hold them and files keep them: {}.",
        "它们留在该命名空间里，模型和文件都照用：{}。",
    ),
    "same": Said("All other classes keep their names: {}.", "其余的类名字不变：{}。"),
    "defaults": Said("Defaults that were different", "默认值不同的参数"),
    "methods": Said("Arguments of the models' methods", "模型方法的参数"),
    "then": Said("then", "当时"),
    "now": Said("now", "现在"),
    "class": Said("class", "类"),
    "argument": Said("argument", "参数"),
    "layer": Said("layer", "层"),
    "output": Said("output", "输出"),
    "weights": Said("weights", "参数量"),
    "work": Said("multiply-adds", "乘加次数"),
    "input": Said("input", "输入"),
}  # fmt: skip


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell(str(item)) for item in line)} |" for line in lines)


def code(text: Any) -> str:
    return f"`{text}`"


# Coming from an older generation -------------------------------------------------------------------------------------


def translation(name: str, _content: list[str], language: Language) -> str:
    """What a generation calls things, and what they are called now."""
    generation = NAMED[name]

    def say(key: str, *values: str) -> str:
        return getattr(HEADS[key], language).format(*values)

    moved, own, same = [], [], []
    for home in HOMES:
        for old, entry in _classes(generation, home):
            modern = _today(home, entry)
            if modern is None:
                own.append(code(old))
            elif entry.modern != old:
                moved.append((code(old), code(f"{home}.{entry.modern}")))
            else:
                same.append(code(old))
    arguments = {", ".join(several): now for several, now in generation.joined.items()} | dict(_renamed(generation))
    unread = [old for old, now in generation.renamed.items() if not now]
    methods = {old: now for old, now in generation.method_words.items() if now}
    parts = []
    if arguments:
        rows = ((code(old), code(now)) for old, now in arguments.items())
        parts += [f"### {say('arguments')}", table((say("then"), say("now")), rows)]
    if methods:
        rows = ((code(old), code(now)) for old, now in methods.items())
        parts += [f"### {say('methods')}", table((say("then"), say("now")), rows)]
    parts.append(say("unread", listing([*unread, *(old for old, now in generation.method_words.items() if not now)])))
    parts += [f"### {say('classes')}", table((say("then"), say("now")), moved), say("same", ", ".join(same))]
    if own:
        parts += [f"### {say('own')}", say("own_told", ", ".join(own))]
    changed = list(_changed_defaults(generation))
    if changed:
        heads = (say("class"), say("argument"), say("then"), say("now"))
        parts += [f"### {say('defaults')}", table(heads, (map(code, row) for row in changed))]
    return "\n\n".join(parts)


def _classes(generation: Generation, home: str) -> Iterator[tuple[str, Class]]:
    objects = generation.objects.get(home, {})
    yield from ((old, objects[old]) for old in sorted(objects) if old[0] != "_")


def _today(home: str, entry: Class) -> Any:
    """The class of today, or None where the entry names one with arithmetic of its own."""
    return getattr(importlib.import_module(f"lamina.{home}"), entry.modern, None)


def _renamed(generation: Generation) -> Iterator[tuple[str, str]]:
    """Arguments with another name: those of any class, then those of one."""
    yield from ((old, now) for old, now in generation.renamed.items() if now)
    for home in HOMES:
        for old, entry in _classes(generation, home):
            for key, now in renames(generation, home, old, entry):
                if now and entry.renamed.get(key):
                    yield f"{old}({key}=...)", now


def _changed_defaults(generation: Generation) -> Iterator[tuple[str, str, str, str]]:
    for home in HOMES:
        for old, entry in _classes(generation, home):
            modern = _today(home, entry)
            if not (inspect.isclass(modern) and issubclass(modern, Declared)):
                continue
            told = words(generation, home, old)
            given = {key: value for key, value in told.accepted.items() if value is not inspect.Parameter.empty}
            for key, value in given.items():
                for now, convert in told.now(key) if key not in told.several and key not in BASE else ():
                    declared = modern._args.get(now)
                    if declared is None or declared.default is REQUIRED:
                        continue
                    was = value if convert is None else convert(value)
                    shown = short(value), short(declared.default)
                    if shown[0] != shown[1] and not _equal(modern, declared, was):
                        yield old, key, *shown


def _equal(cls: type, declared: Any, value: Any) -> bool:
    """Whether a value means the same as the default of an argument."""
    if value == declared.default:
        return True
    owner = cls.__new__(cls)
    try:
        dump = declared.kind.dump
        return dump(declared.kind.convert(value, owner)) == dump(declared.kind.convert(declared.default, owner))
    except (Refused, TypeError, ValueError, AttributeError):
        return False


# Layers --------------------------------------------------------------------------------------------------------------


def layer_of(text: str) -> Any:
    """The layer that a page writes, such as `Conv1D(8, 3)`."""
    return eval(text, {name: getattr(lamina.layers, name) for name in lamina.layers.__all__})


def sizes_of(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.replace(" ", "").split(",") if size)


def costs(sizes: str, content: list[str], language: Language) -> str:
    """A line for each layer, called on one input: what comes out, how many weights, how many multiply-adds."""
    heads = [getattr(HEADS[key], language) for key in ("layer", "output", "weights", "work")]
    rows = []
    for text in filter(None, map(str.strip, content)):
        inputs = lamina.Input(sizes_of(sizes))
        model = lamina.Model(inputs, layer_of(text)(inputs))
        shape = tuple(model.output_shape[1:])
        rows.append((code(text), code(shape), f"{model.count_params():,}", str(costs_of(model)[0])))
    given = getattr(HEADS["input"], language)
    return f"{given}: `({', '.join(map(str, sizes_of(sizes)))})`\n\n" + table(heads, rows)


def twins(_argument: str, content: list[str], language: Language) -> str:
    """What a layer is in torch.nn: `to_torch` of a model that has it, `layer: input` on each line."""
    rows = []
    for line in filter(None, map(str.strip, content)):
        text, _, sizes = line.rpartition(":")
        model = lamina.Sequential([lamina.Input(sizes_of(sizes)), layer_of(text)])
        module = lamina.port.to_torch(model, verify=False, channels_first=len(sizes_of(sizes)) == 3)
        children = [str(child).splitlines()[0] for child in module.children()]
        rows.append((code(text), ", ".join(map(code, children))))
    return table((getattr(HEADS["layer"], language), "torch.nn"), rows)


# The command line ----------------------------------------------------------------------------------------------------


def commands(_argument: str, _content: list[str], _language: Language) -> str:
    """The help of each command."""
    parts = []
    for name, parser in completion.commands(cli.parser()).items():
        parts += [f"## lamina {name}", f"```text\n{parser.format_help().strip()}\n```"]
    return "\n\n".join(parts)


TABLES: dict[str, Callable[[str, list[str], Language], str]] = {
    "translation": translation, "costs": costs, "twins": twins, "commands": commands,
}  # fmt: skip
