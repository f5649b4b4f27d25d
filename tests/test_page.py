"""The page's arithmetic in JavaScript against the layers themselves, over random arguments."""

from __future__ import annotations

import itertools
import math
import random
import re
from typing import Any

import numpy as np
import pytest
import torch
from support.page import run
from torch import nn
from torch.nn import functional as F

import lamina
from lamina import layers
from lamina.kernels import window
from lamina.pictures import cost, field, spelled
from lamina.pictures.page.data import page_data
from lamina.pictures.page.page import SCRIPTS, page_html, source

DATA = page_data()
LAYERS: dict[str, Any] = DATA["layers"]
DESCRIBE = """(given) => given.cases.map(([name, args, inputs, at]) => {
    try {
        const f = Lamina.describe(given.layers, name, args, inputs);
        const written = Code.spellings(given.layers, f).map(([title, one]) => [title, one.text || null]);
        const spelled = Object.fromEntries(written);
        const { outputs, cells, inputCells, params, trainable, macs, field } = f;
        const seen = at.map((share) => {
            const place = cells.map((n, i) => Math.floor(share[i] * n));
            const inside = (m) => m.at.every((p, i) => p >= 0 && p < inputCells[m.input][i]);
            return [place, f.sees(place).filter(inside).map((m) => [m.input, ...m.at])];
        });
        const whole = field.map((one) => (one === Infinity ? "all" : one));
        return { outputs, cells, params, trainable, macs, field: whole, seen, spelled };
    } catch (error) {
        if (!(error instanceof Lamina.Wrong)) throw error;
        return { wrong: error.key };
    }
})"""


def described(cases: list) -> list[dict[str, Any]]:
    found = run(DESCRIBE, {"layers": LAYERS, "cases": cases})
    assert len(found) == len(cases)
    return found


def plain(value: Any) -> Any:
    return [plain(item) for item in value] if isinstance(value, (tuple, list)) else value


# Random layers --------------------------------------------------------------------------------------------------------


def drawn(control: dict[str, Any], rank: int, draw: random.Random, wild: float) -> Any:
    """A value for an argument; sometimes one that is refused."""
    if draw.random() < wild and control["type"] != "bool":
        return draw.choice([0, -1, "sme", 1.5, [1, 2, 3, 4, 5]])
    if control.get("none") and draw.random() < 0.4:
        return None
    kind, least = control["type"], control.get("min", 0)
    if kind == "sizes":
        each = [least + draw.choice([0, 0, 1, 1, 2, 3]) for _ in range(rank)]
        return each if draw.random() < 0.5 else each[0]
    if kind == "pairs":
        each = [[draw.randint(0, 2), draw.randint(0, 2)] for _ in range(rank)]
        return draw.choice([each if rank > 1 else each[0], draw.randint(0, 2)])
    return {
        "int": lambda: draw.choice([least, 1, 2, 3, 4, 6]) if least != -1 else draw.choice([-1, 1, 2, 3]),
        "number": lambda: draw.choice([0.0, 0.25, 0.5]),
        "bool": lambda: draw.random() < 0.5,
        "choice": lambda: draw.choice(control.get("choices")),
        "axes": lambda: draw.choice([-1, 1, 2, *([[1, 2], [-2, -1]] if control.get("several") else [])]),
        "pair": lambda: draw.choice([1, 2, -1, [1, 2], [2, 1]]),
        "shape": lambda: draw.choice([[-1], [2, -1], [3, 2, -1], [4, 6]]),
        "order": lambda: draw.choice([[1, 2], [2, 1], [1], [3, 1, 2]]),
    }[kind]()


def sizes_of(name: str, draw: random.Random, small: bool) -> list[list[int]]:
    entry = LAYERS[name]
    most = {1: 12, 2: 6, 3: 4}.get(entry["rank"], 6) if small else 30
    free = entry["kind"] in ("dense", "batchnorm", "layernorm", "groupnorm", "flatten", "reshape", "permute", "merge",
                             "concatenate", "dot", "noise", "embedding") and not entry["rank"]  # fmt: skip
    ranks = [draw.randint(1, 3) if free else len(one) for one in entry["inputs"]]
    if len(ranks) == 2 and free and draw.random() < 0.7:
        ranks[1] = ranks[0]
    inputs = [[draw.randint(1 + (not free), most) for _ in range(rank)] for rank in ranks]
    if len(inputs) == 2 and draw.random() < 0.8:
        same = entry["kind"] in ("merge", "concatenate", "dot")
        inputs[1] = [*inputs[0]] if same else [inputs[1][0], inputs[0][1]]
    if entry["kind"] in ("conv", "depthwise", "groupnorm") and draw.random() < 0.8:
        inputs[0][-1] = draw.choice([2, 4, 6])
    return inputs


def cases(count: int, seed: int, small: bool = True, wild: float = 0.0) -> list[list]:
    draw = random.Random(seed)
    made = []
    for name, _ in itertools.product(LAYERS, range(count)):
        entry = LAYERS[name]
        args = {c["name"]: drawn(c, entry["rank"], draw, wild) for c in entry["args"] if draw.random() < 0.8}
        inputs = sizes_of(name, draw, small)
        if args.get("data_format") == "channels_first" and entry["rank"]:
            inputs[0].insert(0, inputs[0].pop())
        made.append([name, args, inputs, [[draw.random() for _ in range(6)] for _ in range(3)]])
    return made


def layer_of(name: str, args: dict[str, Any]) -> Any:
    entry = LAYERS[name]
    given = {c["name"]: args.get(c["name"], c["default"]) for c in entry["args"] if not c.get("call")}
    for control in entry["args"]:
        if control["type"] in ("shape", "order", "sizes", "pairs", "pair") and isinstance(given[control["name"]], list):
            given[control["name"]] = tuple(given[control["name"]])
    if name != "Bidirectional":
        return getattr(layers, name)(**given)
    inner = getattr(layers, given["layer"])(given["units"], return_sequences=given["return_sequences"])
    return layers.Bidirectional(inner, merge_mode=given["merge_mode"])


def called(name: str, layer: Any, args: dict[str, Any], inputs: list) -> Any:
    """The layer's output for arrays or symbols."""
    given = {c["name"]: args.get(c["name"], False) for c in LAYERS[name]["args"] if c.get("call")}
    kind = LAYERS[name]["kind"]
    if kind in ("multihead", "grouped"):
        return layer(*inputs, **given)
    return layer(inputs if len(inputs) > 1 else inputs[0], **given)


def ones(name: str, inputs: list[list[int]], dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    dtype = torch.int32 if name == "Embedding" else dtype
    return [torch.zeros(2, *shape, dtype=dtype) + (name != "Embedding") for shape in inputs]


# Tests ----------------------------------------------------------------------------------------------------------------


def test_windows_are_those_of_the_kernels():
    draw = random.Random(1)
    given = []
    for _ in range(5000):
        size, kernel, stride, dilation = (draw.randint(1, most) for most in (40, 9, 6, 5))
        extra = draw.choice([None, *range(stride)])
        given.append([size, kernel, stride, draw.choice(["valid", "same", "causal"]), dilation, extra])
    found = run(
        """(all) => all.map(([n, k, s, p, d, e]) => {
            const q = p === "causal" ? "same" : p;
            return [Lamina.pads(n, k, s, p, d), Lamina.outputSize(n, k, s, p, d), Lamina.transposedPads(k, s, q, e, d),
                    Lamina.transposedSize(n, k, s, q, e, d)];
        })""",
        given,
    )
    for (n, k, s, p, d, e), one in zip(given, found, strict=True):
        q = "same" if p == "causal" else p
        expected = (
            window.pads(n, k, s, p, d),
            window.output_size(n, k, s, p, d),
            window.transposed_pads(k, s, q, e, d),
            window.transposed_size(n, k, s, q, e, d),
        )
        assert one == plain(expected), (n, k, s, p, d, e)


MORE = pytest.mark.parametrize(("count", "seed"), [(5, 2), pytest.param(40, 12, marks=pytest.mark.slow)])


@MORE
def test_shapes_parameters_and_costs_are_those_of_the_layers(count, seed):
    made = cases(count, seed, small=False)
    right = 0
    for (name, args, inputs, _), found in zip(made, described(made), strict=True):
        where = name, args, inputs
        if "wrong" in found:
            continue
        right += 1
        layer = layer_of(name, args)
        symbols = [lamina.Input(tuple(shape), dtype="int32" if name == "Embedding" else None) for shape in inputs]
        output = called(name, layer, args, symbols)
        outputs = output if isinstance(output, (list, tuple)) else [output]
        assert found["outputs"] == [plain(one.shape[1:]) for one in outputs], where
        assert found["params"] == layer.count_params(), where
        assert found["trainable"] == sum(math.prod(weight.shape) for weight in layer.trainable_weights), where
        number = cost.multiply_adds(layer, (1, *inputs[0]), (1, *outputs[0].shape[1:]))
        if number is None:
            number = cost.costs(lamina.Model(symbols, output))[0].number
        if name != "AdditiveAttention" or not args.get("use_scale", True):  # torch counts no product with a vector
            assert found["macs"] == number, where
        if len(inputs) == 1:
            last = getattr(layer, "channels_last", True)
            known = field.fields_after(
                layer, [field.fields_of_inputs(symbols[0])], symbols[0].shape, outputs[0].shape, last
            )
            expected = None if known is None else ["all" if one.size == math.inf else one.size for one in known]
            assert found["field"] == expected or (expected is None and None in found["field"]), (where, found["field"])
    assert right > len(made) / 2


@MORE
def test_what_a_layer_refuses_the_page_refuses(count, seed):
    made = cases(count, seed, wild=0.12)
    wrong = 0
    for (name, args, inputs, _), found in zip(made, described(made), strict=True):
        if found.get("wrong") == "batch_axis":  # what the page has no picture of
            continue
        symbols = [lamina.Input(tuple(shape), dtype="int32" if name == "Embedding" else None) for shape in inputs]
        try:
            called(name, layer_of(name, args), args, symbols)
            called(name, layer_of(name, args), args, ones(name, inputs))
            refused = None
        except (ValueError, TypeError, RuntimeError) as error:  # RuntimeError: torch's own, of sizes that do not fit
            refused = error
        assert ("wrong" in found) == (refused is not None), f"{name}({args}) {inputs} {found.get('wrong')} {refused}"
        wrong += refused is not None
    assert wrong > 20 * count


def batched(kind: str) -> bool:
    """Whether the page shows several samples."""
    return kind in ("batchnorm", "layernorm", "groupnorm")


def seen_by(name: str, layer: Any, args: dict[str, Any], inputs: list[list[int]], at: list[int]) -> set:
    """Which inputs change the output at a place, `at` without the batch, or with it where samples meet."""
    batch = 3 if batched(LAYERS[name]["kind"]) else 1
    rng = np.random.default_rng(5)
    base = [torch.tensor(rng.uniform(0.5, 1.5, (batch, *shape))) for shape in inputs]
    if name == "Embedding":
        base = [torch.zeros(batch, *inputs[0], dtype=torch.int32)]
    step = {"Minimum": -20.0, "Maximum": 20.0}.get(name, 20.0 if "Max" in name else 0.5)

    def output(each: list) -> torch.Tensor:
        with torch.no_grad():
            made = called(name, layer, args, each)
        made = made[0] if isinstance(made, (list, tuple)) else made
        return made[tuple(at) if batch > 1 else (0, *at)].double()

    before, found = output(base), set()
    for index, x in enumerate(base):
        for place in np.ndindex(*x.shape):
            changed = [each.clone() for each in base]
            changed[index][place] += 1 if name == "Embedding" else step
            if (output(changed) - before).abs() > 1e-9:
                found.add((index, *(place if batch > 1 else place[1:])))
    return found


@MORE
def test_the_marked_inputs_are_those_the_output_depends_on(count, seed):
    made = [case for case in cases(count + 3, seed) if sum(math.prod(shape) for shape in case[2]) <= 48]
    names = set()
    for (name, args, inputs, _), found in zip(made, described(made), strict=True):
        if "wrong" in found or args.get("input_dim") == 1:
            continue
        kind = LAYERS[name]["kind"]
        layer = layer_of(name, {**args, "dtype": "float64"})
        layer = type(layer).from_config({**layer.get_config(), "dtype": "float64"})
        first = args.get("data_format") == "channels_first" and bool(LAYERS[name]["rank"])
        rng = np.random.default_rng(6)
        for place, marks in found["seen"]:
            flat = name.startswith("Global") and not args.get("keepdims")
            short = kind in ("recurrent", "bidirectional") and not args.get("return_sequences", False)
            at = place[-1:] if flat or short else [place[-1], *place[:-1]] if first else place
            if not layer.built:
                called(name, layer, args, ones(name, inputs, torch.float64))
                layer.set_weights([rng.uniform(0.05, 0.2, weight.shape) for weight in layer.weights])
            expected = seen_by(name, layer, args, inputs, at)
            marked = {(m[0], m[-1], *m[1:-1]) if first else tuple(m) for m in marks}
            if kind in ("attention", "multihead", "grouped") and len({m[1] for m in marked if m[0]}) < 2:
                continue  # a share of one step is 1, whatever the query
            if not expected and len(marked) == len(inputs) and (batched(kind) or kind == "dot"):
                continue  # a single value less its mean, or over its length, is the same for all values
            assert expected == marked, (name, args, inputs, place)
            names.add(name)
    assert len(names) > 0.9 * len(LAYERS), sorted({*LAYERS} - names)


GENERATIONS = {
    "keras1": lamina.keras1.layers,
    "keras2": lamina.keras2.layers,
    "tf_keras": lamina.tf_keras.layers,
    "keras3": layers,
}


def made_of(text: str, home: Any) -> Any:
    """What code makes with the names of a module."""
    return eval(text, {name: getattr(home, name) for name in re.findall(r"\b[A-Z]\w+(?=\()", text)})


def plain_config(layer: Any) -> dict[str, Any]:
    """The config without the automatic names."""
    config = {key: value for key, value in layer.get_config().items() if key != "name"}
    for key in ("layer", "backward_layer"):
        if config.get(key):
            config[key] = {k: v for k, v in config[key]["config"].items() if k != "name"}
    return config


@MORE
def test_code_of_every_generation_is_what_python_writes(count, seed):
    made = cases(3 * count, seed)
    titles = {"Keras 1": "keras1", "Keras 2": "keras2", "tf.keras": "tf_keras", "Keras 3": "keras3"}
    said = dict.fromkeys(titles, 0)
    for (name, args, inputs, _), found in zip(made, described(made), strict=True):
        if "wrong" in found:
            continue
        layer = layer_of(name, args)
        if LAYERS[name]["kind"] == "transposed":
            layer.build((None, *inputs[0]))
        for title, generation in titles.items():
            ours, theirs = found["spelled"][title], spelled.spelled(layer, generation)
            ours = ours and ours.split("\n")[0].removeprefix("layer = ")
            assert (ours is None) == (theirs is None), (title, name, args)
            if ours != theirs:  # one of them names a default
                home = GENERATIONS[generation]
                assert plain_config(made_of(ours, home)) == plain_config(made_of(theirs, home)), (ours, theirs)
            said[title] += ours is not None
        again = made_of(found["spelled"]["Lamina"].split("\n")[0].removeprefix("layer = "), layers)
        assert plain_config(layer) == plain_config(again), (name, args)
    assert min(said.values()) > 20 * count, said


@MORE
@pytest.mark.filterwarnings("ignore:Using padding='same' with even:UserWarning")
def test_code_of_torch_gives_the_same_shape_and_weights(count, seed):
    made = [case for case in cases(3 * count, seed) if LAYERS[case[0]]["kind"] != "local"]
    names = set()
    for (name, args, inputs, _), found in zip(made, described(made), strict=True):
        text = found.get("spelled", {}).get("PyTorch")
        if text is None:
            continue
        entry = LAYERS[name]
        where = name, args, inputs, text
        tensors = [torch.rand(2, *shape) for shape in inputs]
        space = {"nn": nn, "F": F, "torch": torch, "scale": 1.0}
        space |= dict(zip(("query", "value") if len(inputs) == 2 and "query" in text else "ab", tensors, strict=False))
        x = space["x"] = tensors[0]
        last = entry["rank"] and args.get("data_format") != "channels_first"
        norm = entry["kind"] in ("batchnorm", "groupnorm")
        axis = args.get("axis", -1)
        if last:
            x = x.movedim(-1, 1)
        elif norm:
            x = x.movedim(axis, 1)
        elif entry["kind"] == "embedding":
            x = torch.zeros(2, *inputs[0], dtype=torch.int64)
        elif name == "Flatten" and args.get("data_format") == "channels_first":
            x = x.movedim(1, -1)
        made_of = eval(text, space)
        if isinstance(made_of, nn.Module):
            y = made_of(*tensors, tensors[1]) if entry["kind"] == "multihead" else made_of(x)
            if not name.startswith(("LSTM", "GRU", "SimpleRNN", "Bidirectional")):  # torch has two biases there
                assert sum(math.prod(p.shape) for p in made_of.parameters()) == found["trainable"], where
        else:
            y = made_of
        y = y[0] if isinstance(y, tuple) else y
        if entry["kind"] in ("recurrent", "bidirectional") and not args.get("return_sequences", False):
            y = y[:, -1]
        if last and y.ndim > 2:
            y = y.movedim(1, -1)
        elif norm:
            y = y.movedim(1, axis)
        assert list(y.shape[1:]) == found["outputs"][0], where
        names.add(name)
    assert len(names) > 55, sorted({*LAYERS} - names)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_page_is_one_file_that_asks_for_nothing(language):
    html = page_html(language)
    assert html.startswith("<!doctype html>") and "{{" not in html
    asks = ("http://", "https://", "src=", "href=", "@import", "url(", "fetch(", "XMLHttpRequest")
    found = html.replace("http://www.w3.org/2000/svg", "").replace('<link rel="icon" href="data:,">', "")
    assert not [word for word in asks if word in found]
    assert f'"language":"{language}"' in html


def test_page_is_small_and_speaks_two_languages():
    assert sum(len(source(name).encode()) for name in ("page.html", "page.css", *SCRIPTS)) < 100_000
    assert len(page_html().encode()) < 300_000
    with pytest.raises(ValueError, match="language"):
        page_html("fr")  # type: ignore[arg-type]
    for entry in LAYERS.values():
        for control in entry["args"]:
            assert all(control["doc"][language] for language in ("en", "zh")), control
