"""The public API as text: a line for each name with its parameters and defaults, and for each method of a class.

`make api` writes `tests/golden/api.txt`; tests/test_public_api.py compares.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import lamina

GOLDEN = Path(__file__).parents[1] / "golden"
PAGE = GOLDEN / "api.txt"
OLDER = ("keras1", "keras2", "tf_keras")  # theirs is what the originals had: golden/signatures
# Methods that Keras documents for single classes; what else classes define beside their base is their own affair.
OF_ONE = set(
    "adapt add enable_lora finalize_state from_csv get_initial_state get_vocabulary load_assets plan plot pop "
    "reset_state reset_states save_assets set_vocabulary states update_state vocabulary_size".split()
)
KERAS = {tuple(name.rpartition(".")[::2]) for name in json.loads((GOLDEN / "signatures" / "keras3.json").read_text())}


def modules() -> list[str]:
    """The public modules, as dotted names within the package: those it lists, and the submodules that Keras has."""
    found = {"", *lamina._MODULES} - {*OLDER}
    for name in {module for module, _ in KERAS} - found:
        try:
            importlib.import_module(f"lamina.{name}")
        except ModuleNotFoundError:  # test_catalogue.py tells what is missing
            continue
        found.add(name)
    return sorted(found)


def names(within: str, module: ModuleType) -> list[str]:
    """What a module offers: what it lists, or else what it defines and what Keras has there."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted({*listed} - {"__version__"})
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and ((within, name) in KERAS or str(getattr(value, "__module__", "")).startswith(module.__name__))
    )


class Shown:
    """A default, as text that is the same everywhere."""

    def __init__(self, value: Any):
        self.value = value

    def __repr__(self) -> str:
        text = getattr(self.value, "__qualname__", repr(self.value))
        return f"<{type(self.value).__name__}>" if " at 0x" in text else text


def parameters(value: Any, skip: int = 0) -> str:
    """The parameters as a definition has them, without annotations: `(units, activation=None, **options)`."""
    given = [p.replace(annotation=p.empty) for p in inspect.signature(value).parameters.values()]
    told = [p if p.default is p.empty else p.replace(default=Shown(p.default)) for p in given[skip:]]
    return str(inspect.Signature(told))


def members(cls: type, public: set[int]) -> Iterator[str]:
    """The methods and properties of a class; of one with a public base, what it adds of those that Keras documents."""
    bases = [base for base in cls.__mro__ if base.__module__.partition(".")[0] == "lamina"]
    inherited = {name for base in bases[1:] if id(base) in public for name in dir(base)}
    found = {name: value for base in reversed(bases) for name, value in vars(base).items() if not name.startswith("_")}
    for name, value in sorted(found.items()):
        if inherited and (name in inherited or name not in OF_ONE):
            continue
        if isinstance(value, property):
            yield f".{name}"
        elif inspect.isroutine(value) and value.__module__.partition(".")[0] == "lamina":  # not scikit-learn's
            yield f".{name}{parameters(getattr(cls, name), skip=inspect.isfunction(value))}"


def lines() -> list[str]:
    found = {
        f"lamina.{module}.{name}".replace("..", "."): getattr(home, name)
        for module in modules()
        for home in [importlib.import_module(f"lamina.{module}".rstrip("."))]
        for name in names(module, home)
    }
    public = {id(value) for value in found.values() if inspect.isclass(value)}
    first: dict[int, str] = {}
    told = []
    for path, value in found.items():
        if isinstance(value, ModuleType) or not callable(value):
            told.append(path)
        elif id(value) in first:
            told.append(f"{path} = {first[id(value)]}")
        else:
            first[id(value)] = path
            told.append(path + parameters(value))
            if inspect.isclass(value):
                told += [path + member for member in members(value, public)]
    return sorted(told)


if __name__ == "__main__":
    PAGE.write_text("\n".join(lines()) + "\n", encoding="utf-8")
