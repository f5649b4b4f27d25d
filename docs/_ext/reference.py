"""Writes the reference: of layers from their declarations, of other modules from their docstrings."""

from __future__ import annotations

import importlib
import inspect
import operator
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import lamina
from lamina.core.declare import REQUIRED, Declared, _derived_doc
from lamina.core.errors import short
from lamina.core.layer import Layer
from lamina.pictures import gallery
from lamina.translation.keras1 import KERAS1
from lamina.translation.keras2 import KERAS2
from lamina.translation.table import Class, Generation
from lamina.translation.tf_keras import TF_KERAS
from lamina.translation.words import words

HOUSE = Path(lamina.__file__).parent
PICTURED = {  # the parts of the gallery, by layer
    example.text.partition("(")[0]: part.key for part in reversed(gallery.IDEAS) for example in part.examples
}
BASE = ("name", "trainable", "dtype")  # which every layer takes
GENERATIONS = {KERAS1: "Keras 1", KERAS2: "Keras 2", TF_KERAS: "tf.keras"}
MODULES = (
    "models", "losses", "metrics", "optimizers", "optimizers.schedules", "callbacks", "activations", "initializers",
    "regularizers", "constraints", "ops", "random", "saving", "utils", "config", "dtype_policies", "datasets",
    "preprocessing.image", "preprocessing.sequence", "preprocessing.text", "applications", "port", "visualization",
    "export", "mixed_precision", "tree", "wrappers",
)  # fmt: skip
PARTED = ("lamina.datasets",)  # modules whose page has what their submodules hold
IDEAS = {
    "dense": "Dense", "convolution": "Convolutions", "local": "Locally connected", "pooling": "Pooling",
    "recurrent": "Recurrent", "convolutional_recurrent": "Convolutional recurrent", "attention": "Attention",
    "embedding": "Embedding", "normalization": "Normalization", "dropout": "Dropout and noise",
    "activation": "Activations", "merge": "Merging", "reshape": "Reshaping", "wrappers": "Wrappers",
    "lambda_": "Functions and masks", "input": "Inputs", "torch_module": "Modules of PyTorch",
    "preprocessing": "Preprocessing", "layer": "What layers share",
}  # fmt: skip


def write(folder: Path) -> None:
    """All pages of the reference, into a folder that holds nothing else. Pages that stay the same are not touched."""
    pages = {f"layers/{part}.md": layers_page(part) for part in IDEAS}
    pages |= {f"{module}.md": module_page(module) for module in MODULES}
    pages |= {"layers/index.md": layers_index(), "index.md": index()}
    for path, text in pages.items():
        page = folder / path
        page.parent.mkdir(parents=True, exist_ok=True)
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
    for page in folder.rglob("*.md"):
        if page.relative_to(folder).as_posix() not in pages:
            page.unlink()


# Layers --------------------------------------------------------------------------------------------------------------


def layers() -> Iterator[tuple[str, type[Layer]]]:
    """The public layers, each once, by its own name."""
    for name in sorted(lamina.layers.__all__):
        cls = getattr(lamina.layers, name)
        if inspect.isclass(cls) and issubclass(cls, Layer) and cls.__name__ == name:
            yield name, cls


def idea(cls: type[Layer]) -> str:
    """The file of its idea, which is the page of a layer."""
    return cls.__module__.removeprefix("lamina.").removeprefix("layers.").removeprefix("core.").partition(".")[0]


def layers_index() -> str:
    parts = ["# Layers", f"Every layer also takes {listing(BASE)}."]
    for part, title in IDEAS.items():
        parts.append(f"## {title}\n\n| layer | what it does |\n|---|---|")
        for name, cls in layers():
            if idea(cls) == part:
                first = re.split(r"(?<=\.)\s", prose(told(cls)), maxsplit=1)[0]
                parts[-1] += f"\n| [{name}]({part}.md#{name.lower()}) | {cell(first)} |"
    listed = "\n".join(IDEAS)
    return "\n\n".join([*parts, f"```{{toctree}}\n:hidden:\n\n{listed}\n```\n"])


def layers_page(part: str) -> str:
    return "\n\n".join([f"# {IDEAS[part]}", *(about(name, cls) for name, cls in layers() if idea(cls) == part)]) + "\n"


def about(name: str, cls: type[Layer]) -> str:
    parts = [f"## {name}", signature(f"lamina.layers.{name}", cls), prose(told(cls))]
    if name in PICTURED:
        parts.append(f'<a href="../../gallery/en/index.html#{PICTURED[name]}">A picture of what it does</a>')
    aliases = [other for other in lamina.layers.__all__ if getattr(lamina.layers, other) is cls and other != name]
    if aliases:
        parts.append(f"Also called {listing(aliases)}.")
    for title, text in (
        ("Arguments", arguments(cls)),
        ("Weights", weights(cls)),
        ("Masks and training", manners(cls)),
        ("In older generations", older(name)),
        ("Source", source(cls)),
    ):
        if text:
            parts.append(f"**{title}**\n\n{text}")
    return "\n\n".join(parts)


def listing(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def arguments(cls: type[Layer]) -> str:
    if cls._owns_init:
        return ""
    rows = []
    for name, declared in cls._args.items():
        if name in BASE:
            continue
        default = "required" if declared.default is REQUIRED else f"`{short(declared.default)}`"
        meaning = prose(declared.doc or _derived_doc(name))
        rows.append(f"| `{name}` | {default} | {cell(meaning)} | {cell(prose(declared.kind.expected))} |")
    return "\n".join(["| argument | default | meaning | accepted |", "|---|---|---|---|", *rows]) if rows else ""


def weights(cls: type[Layer]) -> str:
    from lamina.core.weight import weight

    declared = {n: w for base in reversed(cls.__mro__) for n, w in vars(base).items() if isinstance(w, weight)}
    rows = []
    for name, made in declared.items():
        when = (
            f"with `{made.when}`" if isinstance(made.when, str) else "depends on arguments" if made.when else "always"
        )
        kind = "trained" if made.trainable is True else "not trained" if made.trainable is False else "depends"
        rows.append(f"| `{name}` | `({', '.join(made.shape)})` | {when} | {kind} |")
    return "\n".join(["| weight | shape | there | kind |", "|---|---|---|---|", *rows]) if rows else ""


def manners(cls: type[Layer]) -> str:
    """What a layer does with masks and with the training flag, from what its class states."""
    ends = cls.compute_mask is Layer.compute_mask and not cls.supports_masking
    said = {
        "It can begin a mask.": cls._creates_mask and cls.__module__.startswith("lamina.layers"),
        "It reads the mask of its input.": cls._takes_mask,
        "It reads masks of its other inputs.": cls._takes_masks_of,
        "A mask ends here, with a warning.": ends and not cls._takes_mask,
        "A mask goes on behind it.": cls.supports_masking,
        "It computes otherwise in training.": cls._takes_training,
    }
    return " ".join(sentence for sentence, true in said.items() if true)


def older(name: str) -> str:
    """What each older generation calls a layer, and its arguments."""
    rows = []
    for generation, title in GENERATIONS.items():
        for old, entry in generation.objects["layers"].items():
            if entry.modern == name and old not in ("Recurrent", "RNN" if name != "RNN" else ""):
                renamed = "; ".join(f"`{a}` is `{b}`" for a, b in renames(generation, "layers", old, entry) if b)
                rows.append(f"| {title} | `{old}` | {renamed or 'the same names'} |")
    return "\n".join(["| generation | name | arguments now |", "|---|---|---|", *rows]) if rows else ""


def renames(generation: Generation, home: str, old: str, entry: Class) -> Iterator[tuple[str, str]]:
    """The arguments of a class that are called otherwise now; empty where one says nothing any more."""
    told = words(generation, home, old)
    for key in told.accepted:
        if key in told.several:
            if key == told.several[0]:
                yield ", ".join(told.several), generation.joined[told.several]
            continue
        now = " and ".join(new for new, _ in told.now(key))
        if now != key:
            yield key, now


def source(cls: type) -> str:
    """The class itself, and the one with the arithmetic where that is another of the same file."""
    file = Path(inspect.getsourcefile(cls) or "")
    shown = [base for base in cls.__mro__ if base.__module__ == cls.__module__ and "__doc__" in vars(base)]
    shown = [cls, *(base for base in shown if base is not cls and not base.__name__.startswith("_"))][:2]
    parts = [f"`{file.relative_to(HOUSE.parent).as_posix()}`"]
    for base in shown:
        lines, start = inspect.getsourcelines(base)
        end = start + len("".join(lines).rstrip().splitlines()) - 1
        path = "/".join([*[".."] * 3, *file.relative_to(HOUSE.parent).parts])
        parts.append(f"```{{literalinclude}} {path}\n:lines: {start}-{end}\n:lineno-match:\n```")
    return "\n\n".join(parts)


# Other modules -------------------------------------------------------------------------------------------------------


def index() -> str:
    listed = "\n".join(("layers/index", *MODULES))
    return (
        "# Reference\n\nMade from the declarations and docstrings in the code, so it is what the code says. Names, "
        "positions and defaults are Keras 3's.\n\n```{toctree}\n:maxdepth: 1\n\n" + listed + "\n```\n"
    )


def module_page(path: str) -> str:
    module = importlib.import_module(f"lamina.{path}")
    parts = [f"# lamina.{path}", prose(inspect.getdoc(module) or "")]
    seen: dict[int, str] = {}
    for name in public(module):
        thing = operator.attrgetter(name)(module)
        if id(thing) in seen:  # a second name
            continue
        seen[id(thing)] = name
        parts += [f"## {name}", signature(f"lamina.{path}.{name}", thing)]
        also = [other for other in public(module) if other != name and operator.attrgetter(other)(module) is thing]
        if also:
            parts.append(f"Also called {listing(also)}.")
        parts.append(prose(told(thing)))
        if inspect.isclass(thing) and issubclass(thing, Declared) and arguments(thing):
            parts.append(arguments(thing))
    return "\n\n".join(part for part in parts if part) + "\n"


def public(module: Any) -> list[str]:
    """The classes and functions of a module, and of those that it consists of: "mnist.load_data"."""
    kept = []
    for name in sorted(getattr(module, "__all__", None) or dir(module)):
        thing = getattr(module, name, None)
        if inspect.ismodule(thing) and thing.__name__ == f"{module.__name__}.{name}" and module.__name__ in PARTED:
            kept += [f"{name}.{part}" for part in public(thing)]
        elif not name.startswith("_") and (inspect.isclass(thing) or inspect.isroutine(thing)):
            if str(getattr(thing, "__module__", "")).startswith("lamina"):
                kept.append(name)
    # Of several names of a thing the one that it gives itself comes first.
    return sorted(kept, key=lambda name: (operator.attrgetter(f"{name}.__name__")(module) != name, name))


def told(thing: Any) -> str:
    """The docstring that a thing itself has, without arguments that its declarations add."""
    text = getattr(thing, "_told", None) or (inspect.getdoc(thing) if vars_doc(thing) else "")
    return inspect.cleandoc(text or "")


def vars_doc(thing: Any) -> bool:
    """Whether an object has a docstring of its own, not its base's."""
    return not inspect.isclass(thing) or bool(vars(thing).get("__doc__"))


def signature(path: str, thing: Any) -> str:
    try:
        parameters = inspect.signature(thing)
    except (TypeError, ValueError):
        return f"```py\n{path}\n```"
    parameters = parameters.replace(
        parameters=[p.replace(annotation=p.empty) for p in parameters.parameters.values()],
        return_annotation=inspect.Signature.empty,
    )
    flat = re.sub(r"<(?:function|class|built-in function)\s'?([\w.]+)'?[^>]*>", r"\1", f"{path}{parameters}")
    if len(flat) > 100:
        inside = ",\n".join(f"    {part}" for part in split(flat[len(path) + 1 : -1]))
        flat = f"{path}(\n{inside},\n)"
    return f"```py\n{flat}\n```"


def split(text: str) -> list[str]:
    """Parameters, apart at the commas that are in no bracket or quote."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        depth += (letter in "([{") - (letter in ")]}") if not quote else 0
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


# Text ----------------------------------------------------------------------------------------------------------------


def prose(text: str) -> str:
    """A cleaned docstring as Markdown: what is in backticks stays, indented blocks are code, `Args:` a list."""
    parts = []
    text = re.sub(r"(?<=\.)\s+(?=Raises )", "\n\n", text.strip())
    for paragraph in re.split(r"\n\s*\n", text):
        lines = paragraph.splitlines()
        if re.fullmatch(r"[A-Z]\w*:", lines[0] if lines else "") and len(lines) > 1:
            items = re.split(r"\n {4}(?=\S)", "\n" + "\n".join(lines[1:]))[1:]
            parts.append(f"**{lines[0]}**")
            parts.append("\n".join("- " + escaped(" ".join(item.split())) for item in items))
        elif lines and all(line.startswith("    ") or not line for line in lines):
            parts.append("```py\n" + inspect.cleandoc("\n" + paragraph) + "\n```")
        else:
            parts.append(escaped(paragraph))
    return "\n\n".join(parts)


def escaped(text: str) -> str:
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else re.sub(r"([*<\[\]_#|\\])", r"\\\1", piece) for piece in pieces)


def cell(text: str) -> str:
    """Text in a table."""
    return re.sub(r"(?<!\\)\|", r"\\|", text.replace("\n", " "))
