"""What is said of a layer is true: its words, its numbers, and its twin in torch, against the layer itself."""

from __future__ import annotations

import functools
import json
import math
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as some
from support.examples import EXAMPLES, Example, public_layers, pytree
from torch import Tensor, nn

import lamina as keras
import lamina.keras1
from lamina.kernels import window
from lamina.layers import old
from lamina.pictures.cost import UNKNOWN, _tried
from lamina.pictures.facts import LABELS, Facts, facts, parameters
from lamina.pictures.formulas import transposed_formula, window_formula
from lamina.pictures.said import LANGUAGES, Language, Said
from lamina.pictures.scenes.kinds import At, together
from lamina.pictures.told import TOLD, filled, told
from lamina.pictures.twins import twin
from lamina.port.code import module_of
from lamina.port.writer import Weights

L, keras1 = keras.layers, lamina.keras1.layers
CATALOGUE = [example for example in EXAMPLES if example.name != "Squash"]


def shown(example: Example) -> tuple[Any, At, list[Tensor]]:
    """A built layer, its call, and what that gives."""
    return _shown(example.id)


@functools.cache
def _shown(name: str) -> tuple[Any, At, list[Tensor]]:
    example = next(each for each in CATALOGUE if each.id == name)
    layer = example.built()
    with torch.no_grad():
        outputs = tensors(layer(*example.tensors()))
    inputs = tuple(each.shape(None) for each in pytree.tree_leaves(example.args))
    return layer, At(inputs, tuple((None, *output.shape[1:]) for output in outputs), "en"), outputs


def tensors(structure: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(structure) if isinstance(leaf, Tensor)]


def said_of(layer: Any, *inputs: tuple, language: Language = "en") -> Facts:
    outputs = layer.compute_output_shape(inputs[0] if len(inputs) == 1 else list(inputs))
    return facts(layer, At(inputs, (tuple(outputs),), language))


# Words ----------------------------------------------------------------------------------------------------------------


def test_every_layer_has_words_of_its_own() -> None:
    keys: dict[str, set[str]] = {}
    for name, cls in public_layers().items():
        key = next((base.__name__ for base in cls.__mro__ if base.__name__ in TOLD), None)
        assert key is not None, f"{name} has no words: add them to lamina/pictures/told.json"
        keys.setdefault(key, set()).add(re.sub(r"\dD", "", name))
    assert [names for names in keys.values() if len(names) > 1] == []
    rest = TOLD.keys() - keys.keys()  # of older generations alone
    assert all(issubclass(getattr(old, name), keras.layers.Layer) for name in rest)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_shared(language: Language) -> None:
    sentences = [getattr(said, language) for words in TOLD.values() for said in (words.what, words.differs)]
    assert len({*sentences}) == len(sentences)
    assert all(sentence.endswith((".", "。", "the loss.", "them.")) for sentence in sentences)


def test_chinese_is_chinese() -> None:
    for words in TOLD.values():
        for said in (words.what, words.differs):
            assert re.search(r"[\u4e00-\u9fff]", said.zh) and not re.search(r"[\u4e00-\u9fff]", said.en)


def test_sentences_are_all_there_and_all_said() -> None:
    pictures = Path(keras.__file__).parent / "pictures"
    for part, known in json.loads((pictures / "said.json").read_text("utf-8")).items():
        (source,) = [path.read_text("utf-8") for path in pictures.rglob(f"{part}.py")]
        assert {*re.findall(r"_SAID\.(\w+)", source)} == {*known}, part


def test_facts_are_said_in_both_languages() -> None:
    for example in CATALOGUE:
        layer, at, _ = shown(example)
        english, chinese = facts(layer, at), facts(layer, at._replace(language="zh"))
        assert [*english.code] == ["keras1", "keras2", "tf_keras", "keras3"]
        for each, language in ((english, "en"), (chinese, "zh")):
            labels = [label for label, _ in each.lines]
            assert LABELS["what"](language) in labels and LABELS["parameters"](language) in labels
            assert len({*labels}) == len(labels)
            assert all(text and "{" not in text.replace("{'by'", "") for label, text in each.lines), each.lines
        assert english.what != chinese.what and english.differs != chinese.differs
        assert english.parameter_count == chinese.parameter_count == layer.count_params()


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (L.Conv1D(4, 3, padding="causal"), (None, 8, 2), {"Causal"}),
        (L.Conv1D(4, 3, dilation_rate=2), (None, 8, 2), {"Dilated", "reach over 5 values"}),
        (L.Conv1D(4, 3, padding="causal", dilation_rate=2), (None, 8, 2), {"Causal", "Dilated"}),
        (L.Conv2D(4, 3, groups=2), (None, 8, 8, 4), {"Grouped", "2 parts"}),
        (L.Conv2D(4, 3, groups=4), (None, 8, 8, 4), {"depthwise convolution"}),
        (L.Conv2D(4, 1), (None, 8, 8, 4), {"Pointwise"}),
        (L.Conv2D(4, 3, strides=2), (None, 8, 8, 4), {"Strided"}),
        (L.MaxPooling2D(3, 2), (None, 8, 8, 4), {"overlap"}),
        (L.LSTM(4, return_sequences=True), (None, 8, 2), {"every step"}),
        (L.LSTM(4), (None, 8, 2), {"last step alone"}),
        (L.GRU(4, reset_after=False), (None, 8, 2), {"Keras 1"}),
    ],
)
def test_arguments_are_named_for_what_they_make_of_a_layer(layer: Any, shape: tuple, words: set[str]) -> None:
    layer.build(shape)
    text = said_of(layer, shape).what
    marks = ("Causal", "Dilated", "Grouped", "depthwise convolution", "Pointwise", "Strided", "overlap", "every step")
    assert all(word in text for word in words)
    assert {mark for mark in marks if mark in text} <= words


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras1.Highway(), lambda: keras1.MaxoutDense(3), lambda: keras1.SReLU(),
        lambda: keras1.ParametricSoftplus(), lambda: keras1.ThresholdedReLU(), lambda: keras1.Dense(3),
        lambda: keras1.Merge(mode="sum"),
    ],
)  # fmt: skip
def test_layers_of_older_generations_have_words_too(make: Any) -> None:
    layer = make()
    shapes = ((None, 4), (None, 4)) if hasattr(layer, "mode") else ((None, 4),)
    layer.build(shapes[0] if len(shapes) == 1 else list(shapes))
    for language in LANGUAGES:
        found = said_of(layer, *shapes, language=language)
        assert all(text for _, text in found.lines)
    assert re.sub(r"\D", "", parameters(layer).rpartition("=")[2] or "0") == str(layer.count_params())


def test_words_need_their_fields() -> None:
    assert filled(Said("{layer.filters} over {axes}", ""), L.Conv3D(2, 3), "en") == "2 over depth, height and width"
    with pytest.raises(KeyError, match="no words for Own"):
        told(type("Own", (keras.layers.Layer,), {})())


def test_a_layer_without_weights_yet_is_refused() -> None:
    with pytest.raises(ValueError, match="is not built"):
        facts(L.Dense(3), At(((None, 4),), ((None, 3),), "en"))


# Numbers --------------------------------------------------------------------------------------------------------------


def value(text: str) -> int:
    """The number that a formula gives."""
    text = re.sub(r"\([A-Za-z_][\w ,.]*\)", "", text.replace("floor", "FLOOR").replace("ceil", "CEIL"))
    return eval(text.replace(" x ", " * "), {"FLOOR": math.floor, "CEIL": math.ceil, "FLOOR ": math.floor})


def test_parameters_are_the_products_that_are_shown() -> None:
    for example in CATALOGUE:
        layer = shown(example)[0]
        text = parameters(layer).split("  (")[0]
        if not layer.weights:
            assert text == "0 (none)" and layer.count_params() == 0, example.id
            continue
        products, total = text.rsplit(" = ", 1)
        products = re.sub(r" \([a-z][\w ,.]*\)", "", products)
        assert eval(products.replace(" x ", " * ")) == int(total.replace(",", "")) == layer.count_params()


def test_sizes_are_those_that_the_formulas_give() -> None:
    for example in CATALOGUE:
        layer, at, _ = shown(example)
        for line in facts(layer, at).shape[1:]:
            text = re.sub(r"  \(.*\)$", "", line.rpartition(": ")[2])
            if " = " in text:
                left, right = (re.sub(r"\bn\b", "1", side) for side in text.split(" = "))
                assert value(left) == value(right), line


def test_a_formula_reads_as_people_write_it() -> None:
    layer = L.Conv1D(8, 3, padding="causal", dilation_rate=2)
    layer.build((None, 32, 16))
    said = said_of(layer, (None, 32, 16))
    assert said.shape == [
        "(batch, 32, 16) -> (batch, 32, 8)", "time: floor((32 + 4 - 5) / 1) + 1 = 32  (5 = (3 - 1) x 2 + 1)",
    ]  # fmt: skip
    assert said.parameters == "3 x 16 x 8 (kernel) + 8 (bias) = 392"
    assert said.multiply_adds == "12,288"
    assert said.memory == "weights 1.5 KiB, output of one sample 1.0 KiB (256 values of 4 bytes)"
    assert said.receptive_field == "one output sees 5 of the input's places"
    assert said_of(layer, (None, None, 16)).multiply_adds.startswith("384 for each step")
    assert said_of(layer, (None, None, 16)).output_bytes is None


sizes = some.integers(1, 40)
small = some.integers(1, 5)


@given(sizes, small, small, some.sampled_from(["valid", "same", "causal", "full", (1, 2)]), small)
def test_the_formula_of_a_window(n: int, kernel: int, stride: int, padding: Any, dilation: int) -> None:
    count = window.output_size(n, kernel, stride, padding, dilation)
    text = window_formula(n, (kernel, stride, padding, dilation), count).split("  (")[0]
    if count:
        assert all(value(side) == count for side in text.split(" = "))
    open_ended = window_formula(None, (kernel, stride, padding, dilation), None).split("  (")[0]
    assert not count or value(re.sub(r"\bn\b", str(n), open_ended)) == count


@given(sizes, small, small, some.sampled_from(["valid", "same"]), some.none() | some.integers(0, 4), small)
def test_the_formula_of_a_transposed_window(
    n: int, kernel: int, stride: int, padding: str, extra: int | None, dilation: int
) -> None:
    extra = None if extra is None else min(extra, stride - 1)
    count = window.transposed_size(n, kernel, stride, padding, extra, dilation)
    text = transposed_formula(n, (kernel, stride, padding, dilation), extra, count)
    assert all(value(side) == count for side in text.split(" = "))


def test_costs_are_known() -> None:
    for example in CATALOGUE:
        layer, at, outputs = shown(example)
        found = facts(layer, at)
        assert found.multiply_add_count != UNKNOWN
        assert found.weight_bytes == sum(weight.numel() * weight.element_size() for weight in layer.weights)
        assert found.output_bytes is not None
        assert all(output.is_floating_point() for output in outputs) <= (
            found.output_bytes == sum(output[0].numel() * output.element_size() for output in outputs)
        )


def test_attention_costs_what_torch_counts() -> None:
    count = 0
    for example in CATALOGUE:
        layer, at, _ = shown(example)
        if "Attention" in example.name:
            counted = _tried(layer, example.symbols(), {})
            count += counted != UNKNOWN
            assert counted in (UNKNOWN, facts(layer, at).multiply_add_count), example.id
    assert count > 6


def test_attention_to_an_unknown_number_of_steps_has_no_count_a_step() -> None:
    """Its cost grows with their square."""
    for steps, known in ((6, True), (None, False)):
        layer = L.MultiHeadAttention(2, 4)
        layer.build((None, steps, 8), (None, steps, 8))
        shape = (None, steps, 8)
        found = facts(layer, At((shape, shape), (shape,), "en"))
        assert (found.multiply_add_count != UNKNOWN) == known


# Training and masks ---------------------------------------------------------------------------------------------------


def test_what_is_said_of_training_is_so() -> None:
    for example in CATALOGUE:
        layer, at, _ = shown(example)
        text = facts(layer, at).training
        if not any(part._takes_training for part in layer.modules() if isinstance(part, keras.layers.Layer)):
            assert text == "The same in training and inference." or example.name == "TorchModuleWrapper", example.id
            continue
        runs = []
        for training in (False, True):
            torch.manual_seed(1)
            fresh = example.built()
            options = {"training": training} if fresh._takes_training else {}
            with torch.no_grad():
                runs.append(tensors(fresh(*example.tensors(), **options)))
        same = all(torch.equal(a, b) for a, b in zip(*runs, strict=True) if a.shape == b.shape)
        if text == "The same in training and inference.":
            assert same, example.id
        elif example.name in ("BatchNormalization", "Dropout", "GaussianNoise", "SpatialDropout2D", "AlphaDropout"):
            assert not same, example.id


def test_what_is_said_of_masks_is_so() -> None:
    seen = set()
    for example in CATALOGUE:
        layer, at, _ = shown(example)
        text = facts(layer, at).masks
        seen.add(text)
        if not example.plain:
            continue
        x = example.tensors()[0]
        mask = torch.ones(x.shape[:2], dtype=torch.bool)
        if text == "A mask goes on as it is.":
            assert layer.compute_mask(x, mask) is mask, example.id
        elif text.startswith(("It takes none", "A mask ends here.")):
            with warnings.catch_warnings(record=True) as told_of:
                warnings.simplefilter("always")
                assert layer._checked_mask(x, mask) is None, example.id
            warned = any("does not support masks" in str(each.message) for each in told_of)
            assert warned == ("warning" in text), example.id
        elif text.startswith("It makes one"):
            assert layer.compute_mask(x, None).dtype == torch.bool
        elif text.endswith("the mask ends here."):
            assert layer.compute_mask(x, mask) is None
    assert len(seen) > 8


# The twin in torch ----------------------------------------------------------------------------------------------------


def test_the_twin_does_the_same() -> None:
    count = 0
    for example in CATALOGUE:
        layer, at, outputs = shown(example)
        code, chinese = twin(layer, at), twin(layer, at._replace(language="zh"))
        assert (code != chinese) == code.startswith("no twin"), example.id
        if code != chinese:
            continue
        inputs = [each if each.is_floating_point() else each.long() for each in tensors(example.tensors())]
        names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "training": False}
        names |= {**dict(zip("abcdef", inputs, strict=False)), "x": inputs[0]}
        exec(code, names)
        own = [value for value in names.values() if isinstance(value, nn.Module)]
        if own or "torch.randn(" in code:
            dtype = torch.int64 if isinstance(layer, L.Embedding) else torch.float32
            made = module_of(layer, together(layer, [*at.inputs]), dtype, Weights())
            mine, theirs = (
                [w for part in parts for w in part.state_dict().values()] for parts in (own, made.children())
            )
            for target, source in zip(mine, theirs, strict=True):
                target.copy_(source)
            names |= {name: value.detach() for name, value in made._parameters.items()}
        for module in own:
            module.eval()
        with torch.no_grad():
            exec("\n".join(line for line in code.splitlines() if re.match(r"(y|h\d+) = ", line)), names)
        for result, output in zip(tensors(names["y"]), outputs, strict=True):
            torch.testing.assert_close(
                result.to(output.dtype), output, rtol=1e-4, atol=1e-5, msg=f"{example.id}\n{code}"
            )
        count += 1
    assert count > 120
