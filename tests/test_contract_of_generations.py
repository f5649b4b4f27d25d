"""What every layer of the older generations keeps, beside the values that `test_recorded.py` compares.

The tables say which layers there are, recorded cases of the originals how they are made and called. A class without a
case fails. What a layer shares with today's one of its kind (plans, frames, wishes) is compared with that.
"""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from support.frames import frames
from support.golden import FAMILIES, Case, cases, inputs_of, names_of, namespace, process_settings
from torch.utils import _pytree as pytree

import lamina
from lamina.core.fusion import granted
from lamina.generations import modern_from_config
from lamina.generations.dialect import DIALECTS
from lamina.translation.words import BASE, words
from lamina.translation.words import FIRST as FIRST_WORDS

FRAMES = 8
SPACES = {"keras1": "keras1", "keras2": "keras2", "tf_keras2": "tf_keras"}  # the folders of cases

# Not layers of their own: what users derive theirs from, and where models begin.
BASES = {
    "Layer",
    "InputSpec",
    "Input",
    "InputLayer",
    "Recurrent",
    "ConvRecurrent2D",
    "Wrapper",
    "AbstractRNNCell",
    "merge",
}
NOT_YET = {
    "ConvLSTM2DCell",  # with "Merge" of Keras 2: test_around_layers.py
    "Merge",
    "SpectralNormalization",
}  # fmt: skip
OF_TEXTS = {"HashedCrossing", "StringLookup", "TextVectorization"}  # what they take is in no tensor

# Layers of which no case was recorded: how they are made, the shapes they are called on.
OTHERS = {
    "keras1": [
        ("TimeDistributedDense(3)", (2, 4, 5)),
        ("SpatialDropout1D(0.5)", (2, 4, 5)),
        ("RepeatVector(3)", (2, 5)),
    ],
    "keras2": [
        ("RepeatVector(3)", (2, 5)),
        ("Highway(activation='tanh')", (2, 5)),
        ("MaxoutDense(3, nb_feature=2)", (2, 5)),
        ("CuDNNGRU(3, return_sequences=True)", (2, 4, 5)),
        ("CuDNNLSTM(3)", (2, 4, 5)),
        *(cells := [
            ("SimpleRNNCell(3)", (2, 5), [(2, 3)]),
            ("GRUCell(3)", (2, 5), [(2, 3)]),
            ("LSTMCell(3)", (2, 5), [(2, 3), (2, 3)]),
            ("StackedRNNCells([GRUCell(3), SimpleRNNCell(2)])", (2, 5), [(2, 3), (2, 2)]),
        ]),
    ],
    "tf_keras2": [
        ("Masking(0.5)", (2, 4, 5)),
        ("Identity()", (2, 5)),
        ("Discretization([0.0, 1.0])", (2, 5)),
        *cells,
        ("CuDNNGRU(3, return_sequences=True)", (2, 4, 5)),
        ("CuDNNLSTM(3)", (2, 4, 5)),
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Old:
    """One layer of a generation. `args` gives what to call it on."""

    generation: str
    name: str
    case: Case
    call: str

    @property
    def space(self) -> Any:
        return namespace(self.case, lamina)

    def make(self, seed: int = 0) -> Any:
        """Built, its weights moved away from the zeros and ones they may start from."""
        torch.manual_seed(seed)
        with process_settings(self.case, lamina), torch.no_grad():
            layer = eval(self.case.record["code"], names_of(self.case.record, self.space))
            layer(*self.args())
        with torch.no_grad():
            for weight in layer.weights:
                if weight.is_floating_point():
                    weight.add_(0.1 * torch.rand(weight.shape))
        return reset(layer)

    def args(self) -> tuple[Any, ...]:
        return eval(f"({self.call},)", inputs_of(self.case))


def reset(layer: Any) -> Any:
    """Forget the states a stateful layer has kept."""
    if getattr(layer, "stateful", False):
        layer.reset_state()
    return layer


def replayed() -> Iterator[Old]:
    """Of each class the plainest recorded case and the one with most arguments."""
    found: dict[tuple[str, str], list[Old]] = {}
    for case in cases({generation: FAMILIES[generation] for generation in SPACES}):
        record = case.record
        if record["kind"] not in ("layer", "stochastic") or "refused" in record:
            continue
        if any("values" in given for given in record["inputs"]):  # texts
            continue
        if record["class"].startswith("Random"):  # what they do is drawn: test_pictures.py
            continue
        call = re.fullmatch(
            r"layer\((x\d(?:, x\d)*|\[[x\d, ]+\])(, training=(True|False))?\)", record["calls"][0]["code"]
        )
        name = DIALECTS[SPACES[case.generation]].table.canonical(record["class"])
        if call is not None and name is not None:
            found.setdefault((case.generation, name), []).append(Old(case.generation, name, case, call[1]))
    for several in found.values():
        several.sort(key=lambda old: len(old.case.record["code"]))
        yield from several[:: max(len(several) - 1, 1)]


def written() -> Iterator[Old]:
    for generation, several in OTHERS.items():
        for code, first, *states in several:
            shapes = [first, *(states[0] if states else ())]
            inputs = [{"fill": 0.7, "shape": shape, "dtype": "float32"} for shape in shapes]
            record = {"id": code.partition("(")[0], "code": code, "calls": [], "inputs": inputs}
            names = [f"x{index}" for index in range(1, len(shapes))]
            call = f"x0, [{', '.join(names)}]" if names else "x0"
            yield Old(generation, record["id"], Case(generation, "written", record), call)


OLD = [*replayed(), *written()]
FIRST = {(old.generation, old.name): old for old in reversed(OLD)}


def each(keep: Callable[[Old], bool] = lambda old: True) -> Any:
    kept = [old for old in OLD if keep(old)]
    return pytest.mark.parametrize("old", kept, ids=lambda old: f"{old.generation}-{old.case.record['id']}")


@pytest.mark.parametrize("generation", SPACES)
def test_every_layer_has_a_case(generation: str) -> None:
    layers = {n for n, entry in DIALECTS[SPACES[generation]].table.objects["layers"].items() if not entry.makes}
    found = {old.name for old in OLD if old.generation == generation}
    told = found | BASES | NOT_YET | OF_TEXTS
    assert {name for name in layers - told if not name.startswith(("_", "Random"))} == set()


def run(layer: Any, args: Any) -> Any:
    with torch.no_grad():
        return layer(*args)


def assert_same(found: Any, expected: Any, **tolerance: float) -> None:
    torch.testing.assert_close(pytree.tree_leaves(found), pytree.tree_leaves(expected), **tolerance)


def tells_all(old: Old) -> bool:
    """Whether its config says all: it holds no code, and the order of axes, which some layers of Keras 1 left out."""
    entry = DIALECTS[SPACES[old.generation]].table.find(old.name)
    return old.name not in ("Lambda", "Merge") and not (
        "dim_ordering" in old.case.record["code"] and "dim_ordering" in entry.unsaved
    )


def today(old: Old, layer: Any) -> Any:
    """The layer of today that the config of an old one becomes."""
    return modern_from_config(SPACES[old.generation], {"class_name": old.name, "config": layer.get_config()})


def shapes(structure: Any) -> list[tuple[int, ...]]:
    return [tuple(leaf.shape) for leaf in pytree.tree_leaves(structure)]


@each(tells_all)
def test_config_round_trip(old: Old) -> None:
    layer = old.make()
    config = layer.get_config()
    with process_settings(old.case, lamina):
        again = type(layer).from_config(json.loads(json.dumps(config)))
    expected = run(layer, old.args())
    run(again, old.args())
    again.set_weights(layer.get_weights())
    assert_same(run(reset(again), old.args()), expected, rtol=0, atol=0)
    assert plain(again.get_config()) == plain(config)


@each(lambda old: tells_all(old) and old is FIRST[old.generation, old.name])
def test_what_binds_is_taken_by_the_class_of_today(old: Old) -> None:
    """So there is one wording for an argument that a layer has not."""
    layer = old.make()
    config, own = layer.get_config(), words(DIALECTS[SPACES[old.generation]].table, "layers", old.name)
    for word in own.known - config.keys() - own.former.keys():
        modern = own.to_modern(own.bind((), {**config, word: None}), layer._dialect.settings())
        assert modern.keys() <= {*layer._args, *BASE, *FIRST_WORDS}, word


def plain(config: Any) -> Any:
    """Without the shape of inputs, which follows from a size that building has filled in."""
    if isinstance(config, dict):
        return {k: plain(v) for k, v in config.items() if k not in ("batch_input_shape", "input_dtype")}
    return [plain(value) for value in config] if isinstance(config, (list, tuple)) else config


def pickled(layer: Any) -> Any:
    return pickle.loads(pickle.dumps(layer))


@each()
def test_copies_are_equal_and_independent(old: Old) -> None:
    layer = old.make()
    expected = run(layer, old.args())
    for copied in (copy.deepcopy, *(() if "lambda" in old.case.record["code"] else (pickled,))):
        twin = copied(reset(layer))
        assert type(twin) is type(layer)
        assert_same(run(twin, old.args()), expected, rtol=0, atol=0)
        with torch.no_grad():
            for weight in twin.weights:
                weight.zero_()
        assert_same(run(layer, old.args()), expected, rtol=0, atol=0)


@each()
def test_names_and_weights_are_those_of_the_time(old: Old) -> None:
    layer, first, second = old.make(0), old.make(1), old.make(2)
    assert type(layer).__name__ == old.name
    assert type(layer).__module__ == f"lamina.{SPACES[old.generation]}.layers"
    assert getattr(old.space.layers, old.name) is type(layer)
    assert len(layer.weight_names()) == len(layer.get_weights())
    first.load_state_dict(layer.state_dict())
    second.set_weights(layer.get_weights())
    expected = run(layer, old.args())
    for other in (first, second):
        assert_same(run(other, old.args()), expected, rtol=0, atol=0)


@each()
def test_symbolic_shape_is_real_shape_and_a_model_computes_the_same(old: Old) -> None:
    layer = old.make()
    model = model_of(old, layer)
    expected = pytree.tree_leaves(run(layer, old.args()))
    assert [symbol.shape[1:] for symbol in model.outputs] == [shape[1:] for shape in shapes(expected)]
    reset(layer)
    assert_same(run(model, (pytree.tree_leaves(old.args()),)), expected, rtol=0, atol=0)


def model_of(old: Old, layer: Any) -> Any:
    """A model of this one layer; its inputs are the call's tensors in one list."""
    batch = None if not getattr(layer, "stateful", False) else pytree.tree_leaves(old.args())[0].shape[0]
    symbols = pytree.tree_map(
        lambda x: lamina.Input(batch_shape=(batch, *x.shape[1:]), dtype=str(x.dtype).removeprefix("torch.")), old.args()
    )
    return lamina.Model(pytree.tree_leaves(symbols), layer(*symbols))


MORE = {"Telling.__call__", "softmax", "softmax_by_rows", "_at_least_a_matrix", "_or_layer.<locals>.call"}
MORE |= {"MaskedGroups.call", "is_dynamo_compiling"}  # what tells losses of scores, and what looks for a mask


@each(tells_all)
def test_it_runs_as_the_layer_of_today(old: Old) -> None:
    """By the same plan, granting the same, in as many frames; what computes otherwise, compiled without a break."""
    layer, args = old.make(), old.args()
    twin = today(old, layer)
    twin.activity_regularizer = layer.activity_regularizer  # which recurrent layers of Keras 3 leave out
    run(twin, args)
    assert type(twin).__module__.startswith("lamina.layers.")
    assert granted(layer) == granted(twin)
    assert layer._care == twin._care
    assert model_of(old, layer).plan.source == model_of(old, twin).plan.source
    with torch.no_grad():
        found, expected = (frames(lambda one=one: one(*args)) for one in (layer, twin))
    found, expected = ([name for name in names if name not in MORE] for names in (found, expected))
    assert len(found) <= len(expected), (found, expected)
    if type(twin).__module__ == "lamina.layers.old" and isinstance(args[0], torch.Tensor) and not layer._inner_layers:
        assert len(found) <= FRAMES, found
    modern = [cls for cls in type(twin).__mro__ if cls.__module__ != "lamina.layers.old" and hasattr(cls, "call")]
    if type(layer).call is modern[0].call and "call" not in vars(layer):
        return  # compiled as that class
    torch._dynamo.reset()
    expected = run(reset(layer), args)
    compiled = torch.compile(reset(layer), fullgraph=True, backend="eager")
    assert_same(run(compiled, args), expected, rtol=1e-5, atol=1e-6)
