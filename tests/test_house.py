"""The house stays in order: functions are small, no imports run in circles inside a folder, nothing lies about unused.

Each table says what is otherwise. A new case fails, and so does an entry that is no longer needed: tables get shorter.
"""

from __future__ import annotations

import ast
import functools
import inspect
import json
import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.code import ROOT, all_functions, excused, functions, parameters, sources

from lamina.generations.tensorflow import NAMES

GOLDEN = Path(__file__).parent / "golden"
LONGEST = 8  # arguments

COMPLEX = {
    "core.fusion.calls",
    "core.serialize.serialize",
}
# How many functions of a folder take more than `LONGEST` arguments.
LONG = {
    "core": 3, "datasets": 3, "generations": 4, "kernels": 6, "layers": 3, "ops": 2, "pictures": 2, "preprocessing": 11,
    "training": 3, "utils": 6, "visualization": 4,
}  # fmt: skip

ANY = 32  # of a hundred annotations, how many say `Any`, rounded up

# Imports inside functions that close a circle in their folder.
CIRCLES: set[str] = set()

# What nothing in the package uses (patterns), and why it is there.
UNUSED = {
    "generations.insides.DropoutRNNCell.get_*dropout_mask": "users' own cells call them",
    "generations.tf_only._Words.merge_state": "users call it",
    "cli._Help._fill_text": "argparse calls it",
    "core.calling.Calling._register_call_context_args": "users' own layers call it: Keras' name",
    "core.weights.Weights.torch_params": "users of Keras on torch read it",
    "core.weights._Tracker.*": "users' own layers call them: Keras' names",
    "generations.backend.Session.as_default": "users' code calls it: TensorFlow's name",
    "core.layer.Layer.stateless_call": "users call it",
    "core.stateless.StatelessScope.get_current_value": "users call it",
    "core.symbolic._TrialMode.may_turn_const": "torch calls it",
    "core.symbolic.Nodes.*": "users call and read them",
    "core.weights.Weights._load_from_state_dict": "torch calls it",
    "datasets.reading._Unpickler.find_class": "pickle calls it",
    "distribution.*Parallel.get_*": "users call them",
    "distribution.Distribution.[a-z]*": "users call and read them",
    "files.dcp._*.*": "pickle and torch call them",
    "files.editor.KerasFileEditor.*": "users call them",
    "files.safe._Part.*": "io calls them",
    "utils.files._Member.frombuf": "tarfile calls it",
    "files.program.ExportArchive.*": "users call and read them",
    "generations.*_module": "Python's imports call it",
    "generations.lambdas._World._*": "found by the names of syntax nodes",
    "generations.tensors.Shape.*": "users of older generations call and read them",
    "generations.scikit_learn.BaseWrapper.get_params": "scikit-learn calls it",
    "generations.hooks.PoolFunction.pool_function": "users of older generations read and set it",
    "generations.utils.data_utils.OrderedEnqueuer.join_end_of_epoch": "users of Keras 2.3 call it",
    "generations.habits.Habits.[a-z]*": "users of older generations call and read them",
    "generations.models._ModelWords.*": "users of older generations call them",
    "generations.hooks.MergeFunction._compute_elemwise_op_output_shape": "users' own layers call it",
    "generations.rules.OptimizerOfTensorFlow.*": "users' own optimizers call them",
    "generations.tensorflow.environment.ReplicaContext.merge_call": "scripts call it on what is current",
    "generations.rules.StepsOfTensorFlow.*": "training steps of one's own call them",
    "generations.tf_only.LossScaleOptimizer.dynamic_counter": "training steps of one's own read it",
    "layers.operation.Operation.symbolic_call": "users call it",
    "layers.lora.LoRA.enable_lora": "users call it",
    "metrics.base.Metric.stateless_*": "users call them",
    "models.*_state_tree": "users call them",
    "optimizers.base.Optimizer._get_variable_index": "users' own optimizers call it: Keras' name",
    "optimizers.base.Optimizer.add_optimizer_variables": "users' own optimizers call it",
    "core.calling.Calling._flatten_layers": "others' code asks for layers by it",
    "optimizers.base.Optimizer.exclude_from_weight_decay": "users call it",
    "optimizers.base.Optimizer.stateless_apply": "users call it",
    "optimizers.base.Optimizer.zero_grad": "users call it",
    "pictures.profile.Profile.overhead": "users read it",
    "port.code._ByHand.visit_*": "ast calls them",
    "port.forms.*": "entered in the table of forms",
    "port.sequences.grouped_attention": "entered in the table of forms",
    "port.reader._Tracer.is_leaf_module": "torch calls it",
    "port.reader._Tracer.create_args_for_root": "torch calls it",
    "port.reader.Reader.fetch_args_kwargs_from_env": "torch calls it",
    "port.readings.*": "entered in the tables of readings",
    "port.sequences.*": "entered in the table of forms",
    "preprocessing.*.Tokenizer*.*": "users of older generations call them",
    "preprocessing.sequence._remove_long_seq": "scripts of Keras 1 and 2 import it",
    "callbacks.*.on_*_batch_*": "called by names put together",
    "callbacks.History.from_csv": "users call it",
    "training.trainer.Trainer.stateless_compute_loss": "users call it",
    "utils.attributes.Config.*": "users call them",
    "wrappers.SKLearnClassifier.decision_function": "scikit-learn calls it",
    "wrappers._Estimator.set_fit_request": "users call it",
    "utils.feature_space.FeatureSpace.get_inputs": "users call it",
    "generations.migrate.*.visit_*": "libcst calls them",
    "generations.python2._Loader.*": "Python's imports call it",
    "generations.python2._Meanings.visit_*": "ast calls them",
    "generations.migrate.*.leave_*": "libcst calls them",
    "pictures.page.server.*": "http.server calls them",
}


def differs(found: set[str], table: set[str], what: str) -> str:
    more, less = sorted(found - table), sorted(table - found)
    return f"{what}: {more}. " * bool(more) + f"no longer needed in the table: {less}" * bool(less)


# Size ----------------------------------------------------------------------------------------------------------------


def test_no_function_branches_more_than_ten_times() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "C901", "--output-format", "json", "."]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert said.returncode in (0, 1), said.stderr
    found = set()
    for fault in json.loads(said.stdout):
        parts = Path(fault["filename"]).relative_to(ROOT.resolve()).with_suffix("").parts
        module = ".".join(part for part in parts if part != "__init__")
        row = fault["location"]["row"]
        found |= {name for name, function in functions(sources()[module], module) if function.lineno == row}
    assert found == COMPLEX, differs(found, COMPLEX, "more than ten paths through a function; take it apart")


def test_no_more_long_signatures() -> None:
    long = {name for name, function in all_functions() if len(parameters(function)) > LONGEST}
    counts = Counter(name.partition(".")[0] for name in long)
    assert counts == LONG, f"functions of more than {LONGEST} arguments, against the table {LONG}: {sorted(long)}"


def annotations(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        found = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        yield from (annotation for annotation in found if annotation is not None)


def test_types_do_not_get_vaguer() -> None:
    found = [annotation for tree in sources().values() for annotation in annotations(tree)]
    vague = [one for one in found if any(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(one))]
    share = math.ceil(100 * len(vague) / len(found))
    assert share == ANY, f"{len(vague)} of {len(found)} annotations say `Any`: {share} %, against the table's {ANY}"


# Circles -------------------------------------------------------------------------------------------------------------


def imported(module: str, tree: ast.AST, late: bool = False) -> Iterator[tuple[str, bool]]:
    """The package's modules that a module imports, and whether within a function; not type checkers' imports."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom):
            full = ["lamina", *module.split(".")] if module else ["lamina"]
            room = full if (ROOT / Path(*full[1:])).is_dir() else full[:-1]
            base = room[: len(room) - node.level + 1] if node.level else []
            base = [*base, *(node.module or "").split(".")] if node.module else base
            if base[0] == "lamina":
                for alias in node.names:
                    names = [".".join([*base[1:], alias.name]), ".".join(base[1:])]
                    yield next(name for name in names if name in sources()), late
        yield from imported(module, node, late or isinstance(node, (ast.FunctionDef, ast.Lambda)))


def folder(module: str) -> str:
    return module.partition(".")[0]


@functools.cache
def graph() -> dict[str, dict[str, bool]]:
    """For each module those of its folder that it imports, and whether only within functions."""
    made: dict[str, dict[str, bool]] = {}
    for module, tree in sources().items():
        made[module] = {}
        for other, late in imported(module, tree):
            if other != module and folder(other) == folder(module):
                made[module][other] = late and made[module].get(other, True)
    return made


def reached(start: str, late: bool) -> set[str]:
    """Where imports lead from a module, those within functions too or not."""
    seen, waiting = set(), [start]
    while waiting:
        for other, is_late in graph()[waiting.pop()].items():
            if other not in seen and (late or not is_late):
                seen.add(other)
                waiting.append(other)
    return seen


def test_no_circles_of_imports() -> None:
    assert not [module for module in graph() if module in reached(module, late=False)]


def test_no_imports_within_functions_close_a_circle() -> None:
    closing = {
        f"{module} > {other}"
        for module, others in graph().items()
        for other, late in others.items()
        if late and module in reached(other, late=True)
    }
    assert closing == CIRCLES, differs(closing, CIRCLES, "imports that close a circle in their folder")


# Use -----------------------------------------------------------------------------------------------------------------

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def defined(tree: ast.AST, place: str) -> Iterator[tuple[str, ast.stmt]]:
    """A module's functions and classes and their methods; Python's own names are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, DEFINITIONS):
            if not re.fullmatch("__.*__", node.name):
                yield f"{place}.{node.name}".lstrip("."), node
            if isinstance(node, ast.ClassDef):
                yield from defined(node, f"{place}.{node.name}")
        elif isinstance(node, (ast.If, ast.Try)):
            yield from defined(node, place)


def mentions(tree: ast.AST, told: bool = False) -> Iterator[str]:
    """The names that code reads, and the words of its texts other than docstrings and what errors tell."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield node.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not told:
            yield from re.findall(r"\w+", node.value)
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        yield from mentions(node, told or docstring or isinstance(node, ast.Raise))


@functools.cache
def public() -> set[str]:
    """The names that some Keras has."""
    files = (GOLDEN / "signatures").glob("*.json")
    return {name.rpartition(".")[2] for file in files for name in json.loads(file.read_text(encoding="utf-8"))}


@functools.cache
def offered() -> frozenset[str]:
    """What the stand-in for TensorFlow gives to scripts under one of its paths, by its own place."""
    items = map(inspect.unwrap, filter(callable, NAMES.values()))
    return frozenset(f"{item.__module__}.{item.__qualname__}".removeprefix("lamina.") for item in items
                     if hasattr(item, "__qualname__"))  # fmt: skip


def is_offered(place: str) -> bool:
    """Whether it is offered, or is a public method of a class that is."""
    cls, _, name = place.rpartition(".")
    return place in offered() or (name[0] != "_" and cls in offered())


@functools.cache
def unused() -> list[str]:
    """What is mentioned by its own body at most, and by no list of Keras' or TensorFlow's names."""
    everywhere = Counter(word for tree in sources().values() for word in mentions(tree))
    lists = (ROOT / "translation").glob("*.json")  # of the names that modules of each generation have
    everywhere.update(word for file in lists for word in re.findall(r"\w+", file.read_text(encoding="utf-8")))
    found = [place for module, tree in sources().items() for place in defined(tree, module)]
    itself: Counter[str] = Counter()
    for place, node in found:
        name = place.rpartition(".")[2]
        itself[name] += sum(word == name for word in mentions(node))
    names = {name for name, count in itself.items() if count >= everywhere[name]} - public()
    return [place for place, _ in found if place.rpartition(".")[2] in names and not is_offered(place)]


def test_all_is_used() -> None:
    dead = [place for place in unused() if not excused(place, UNUSED)]
    assert not dead, "used by tests alone, or by nothing: " + ", ".join(dead)


@pytest.mark.parametrize("pattern", UNUSED)
def test_no_excuse_is_left_over(pattern: str) -> None:
    assert any(pattern in excused(place, UNUSED) for place in unused())


# One way to check ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [".ci/run", ".github/workflows/ci.yml", ".pre-commit-config.yaml"])
def test_every_machine_calls_targets_of_make(path: str) -> None:
    root = Path(__file__).parents[1]
    called = re.findall(r"^[^#\n]*\bmake (?:PYTHON=\S+ )?([a-z-]+)$", (root / path).read_text(encoding="utf-8"), re.M)
    targets = re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(encoding="utf-8"), re.M)
    assert called and set(called) <= set(targets)
