"""Every public name of Keras 3.15 with its parameters in Keras' order, or a line in the table of what is missing.

The tables only get shorter: what is there and stands in one fails. `python tests/test_catalogue.py` prints the counts.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

RECORDED: dict[str, list[str]] = json.loads(
    (Path(__file__).parent / "golden" / "signatures" / "keras3.json").read_text()
)
BASE = ("activity_regularizer", "autocast", "dtype", "name", "trainable")  # every layer takes them by name

ELSEWHERE = "runs code of another framework"
CALIBRATED = "quantization by calibration: torch's own tools do it"
WITHIN = "arithmetic inside of quantized layers, which `quantize` makes"
TEACHING = "distillation: a recipe of a few lines of training, no layer"

# What is missing, by module ("" is the package itself), and why. "*": every name of the module.
MISSING: dict[str, dict[str, str]] = {
    "callbacks": {
        "Orbax: a library for JAX": "OrbaxCheckpoint",
    },
    "distillation": {
        TEACHING: "*",
    },
    "dtype_policies": {
        CALIBRATED: "AWQDTypePolicy GPTQDTypePolicy",
    },
    "layers": {
        ELSEWHERE: "FlaxLayer JaxLayer TFSMLayer",
    },
    "quantizers": {
        CALIBRATED: "AWQConfig GPTQConfig",
        WITHIN: "compute_float8_amax_history compute_float8_scale fake_quant_with_min_max_vars quantize_and_dequantize",
    },
}

# What is there, but takes other parameters, and why.
OTHERWISE: dict[str, str] = {}


def reason(name: str) -> str | None:
    """Why a name of Keras is missing, as the table has it."""
    module, _, last = name.rpartition(".")
    while module is not None:
        for why, names in MISSING.get(module, {}).items():
            if names == "*" or (last in names.split() and name == f"{module}.{last}".lstrip(".")):
                return why
        module = module.rpartition(".")[0] if module else None
    return None


def here(name: str) -> Any:
    """What Lamina has by this name; None where it has nothing."""
    module, _, last = name.rpartition(".")
    try:
        home = importlib.import_module(f"lamina.{module}".rstrip("."))
    except ModuleNotFoundError as error:
        if error.name is not None and not f"lamina.{module}".startswith(error.name):
            raise
        return None  # there is none, perhaps with a word on what to use
    return getattr(home, last, None)


def parameters(signature: list[str]) -> list[str]:
    """The named parameters of a recorded signature."""
    names = [text.partition("=")[0] for text in signature if not text.startswith("*")]
    return [name for name in names if name not in BASE]


def own_parameters(found: Any) -> list[str]:
    star = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = [p.name for p in inspect.signature(found).parameters.values() if p.kind not in star]
    return [name for name in named if name not in BASE]


def same_parameters(name: str, found: Any) -> bool:
    """Whether Keras' parameters stand in Keras' order, before any that Lamina adds."""
    theirs = parameters(RECORDED[name])
    return own_parameters(found)[: len(theirs)] == theirs


def entries() -> Iterator[str]:
    """The names that the table of missing ones lists one by one."""
    for module, reasons in MISSING.items():
        for names in reasons.values():
            yield from (f"{module}.{name}".lstrip(".") for name in names.split() if name != "*")


@pytest.mark.parametrize("module", sorted({name.rpartition(".")[0] for name in RECORDED}))
def test_names_and_parameters(module: str) -> None:
    for name in RECORDED:
        if name.rpartition(".")[0] != module:
            continue
        found, why = here(name), reason(name)
        assert (found is None) == (why is not None), (
            f"{name} is missing: write it, or say why not in MISSING"
            if found is None
            else f"{name} is there: take it out of MISSING ({why})"
        )
        if callable(found):
            same = same_parameters(name, found)
            assert same == (name not in OTHERWISE), (
                f"{name}: Keras takes {parameters(RECORDED[name])}, here {own_parameters(found)}"
                if not same
                else f"{name} takes what Keras' does: take it out of OTHERWISE"
            )


def test_the_tables_name_names_of_keras() -> None:
    modules = {name.rpartition(".")[0] for name in RECORDED}
    modules |= {module.rpartition(".")[0] for module in modules}
    assert MISSING.keys() <= modules
    assert not [name for name in (*entries(), *OTHERWISE) if name not in RECORDED]


def counts() -> str:
    covered = [name for name in RECORDED if here(name) is not None]
    equal = [name for name in covered if not callable(here(name)) or same_parameters(name, here(name))]
    apart = [name for name in RECORDED if reason(name) is not None]
    return (
        f"{len(RECORDED)} names, {len(covered)} covered, {len(equal)} with Keras' parameters in Keras' order, "
        f"{len(apart)} left out on purpose, {len(RECORDED) - len(covered) - len(apart)} to come"
    )


if __name__ == "__main__":
    print(counts())
