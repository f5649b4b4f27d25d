"""Functions in files, as bytecode of Python 2.7 to 3.14: read as data, told as source, rebuilt where all is known."""

from __future__ import annotations

import ast
import base64
import copy
import io
import json
import lzma
import marshal
import pickle
import random
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import lambdas as people

import lamina as keras
from lamina import keras1, keras2, layers, tf_keras
from lamina.core import functions
from lamina.translation import bytecode

GOLDEN = Path(__file__).parent / "golden"
CODES: dict[str, list[str]] = json.loads(lzma.decompress((GOLDEN / "lambdas.json.xz").read_bytes()))
CORPUS = people.corpus()
SPACES: list[Any] = [keras, keras1, keras2, tf_keras]
DEFAULTS = {"scale=2.5": [2.5], "n=3": [3], "wide=False": [False]}

if TYPE_CHECKING:  # what functions of files name, and this module does not have
    K: Any = None
    tf: Any = None
    ops: Any = None
    unknown: Any = None
    other: Any = None


def defaults_of(source: str) -> list[Any] | None:
    return next((values for words, values in DEFAULTS.items() if words in source), None)


def code_of(function: Any, **changes: Any) -> str:
    code = function if isinstance(function, CodeType) else function.__code__
    return base64.b64encode(marshal.dumps(code.replace(**changes))).decode()


# Reading --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", CODES)
def test_bytecode_of_every_python_is_the_source_it_was_made_of(version: str) -> None:
    for (source, _), code in zip(CORPUS, CODES[version], strict=True):
        found = bytecode.function_of(code)
        assert version in found.python
        shown = found.source(defaults_of(source))
        if "first, second" in source:  # two assignments at once are two
            assert "first = args[0]" in shown
        elif "    if " not in source:  # whose ends and tests may stand apart
            assert ast.dump(ast.parse(shown)) == ast.dump(ast.parse(source)), (version, shown)


FORMS: dict[str, dict[str, str]] = json.loads(lzma.decompress((GOLDEN / "lambda_forms.json.xz").read_bytes()))


class Told:
    """Stands for a function or module, and tells what it was called with."""

    def __init__(self, text: str):
        self.text = text

    def __call__(self, *args: Any, **words: Any) -> Told:
        given = [each() if callable(each) and not isinstance(each, Told) else each for each in args]
        return Told(f"{self.text}({given!r}, {sorted(words.items())!r})")

    def __getattr__(self, name: str) -> Told:
        return Told(f"{self.text}.{name}")

    def __repr__(self) -> str:
        return self.text


def answer(source: str, names: dict[str, Any], x: Any) -> str:
    try:
        found = eval(source, dict(names))(x)
        return repr(list(found) if isinstance(found, zip) else found)
    except TypeError:  # the argument is of another kind
        return "TypeError"


@pytest.mark.parametrize("version", FORMS)
def test_bytecode_of_chains_stars_dictionaries_and_functions_inside_means_what_its_source_does(version: str) -> None:
    """By value: its text may be put otherwise. Recorded by `base64.b64encode(marshal.dumps(function.__code__))`."""
    draw = random.Random(0)
    for source, code in FORMS[version].items():
        found = bytecode.function_of(code)
        if found.body is None:  # Python 2 and 3.4 put words before a list of arguments
            assert version == "2.7" and source == "lambda x: f(*x, axis=1)", (version, source, found.problem)
            continue
        for _ in range(60):
            names = {name: draw.randint(-3, 6) for name in "abcd"} | {name: Told(name) for name in ("f", "K", "tf")}
            x = draw.choice([draw.randint(-3, 6), [1, 2], (4, 5, 6), [[1, 2], [3, 4]]])
            assert answer(found.source(), names, x) == answer(source, names, x), (version, source, found.source())


def test_functions_with_stars_and_dictionaries_are_rebuilt() -> None:
    x = torch.tensor([[1.0, 3.0]])
    named = functions.Rebuilt(code_of(lambda x: {"a": x, "b": x * 2}))(x)
    assert list(named) == ["a", "b"] and named["b"].tolist() == [[2.0, 6.0]]
    assert functions.Rebuilt(code_of(lambda x: {"a": x, "b": x * 2}["b"]))(x).tolist() == [[2.0, 6.0]]
    assert functions.Rebuilt(code_of(lambda x: ops.add(*x)))([x, x]).tolist() == [[2.0, 6.0]]
    both = functions.Rebuilt(code_of(lambda x: ops.concatenate([*x, x[0]], axis=0)))
    assert both([x, x + 1]).shape == (3, 2)


LOOPS = {  # def f(x): for i in range(3): x = x + i; return x
    "2.7": "YwEAAAACAAAAAwAAAEMAAABzJQAAAHgeAHQAAGQBAIMBAERdEAB9AQB8AAB8AQAXfQAAcQ0AV3wAAFMoAgAAAE5pAwAAACgBAAAA"
    "dAUAAAByYW5nZSgCAAAAdAEAAAB4dAEAAABpKAAAAAAoAAAAAHMQAAAAL3RtcC9maWxlcy9scC5weXQBAAAAZgIAAABzBgAAAAAB"
    "EwEOAQ==",
    "3.7": "4wEAAAAAAAAAAgAAAAMAAABDAAAAcx4AAAB4GHQAZAGDAUQAXQx9AXwAfAEXAH0AcQpXAHwAUwApAk7pAwAAACkB2gVyYW5nZSkC"
    "2gF42gFpqQByBQAAAPoQL3RtcC9maWxlcy9scC5wedoBZgIAAABzBgAAAAABDgEMAQ==",
}


@pytest.mark.parametrize("version", LOOPS)
def test_loops_are_told_of(version: str) -> None:
    found = bytecode.function_of(LOOPS[version])
    assert version in found.python
    assert found.body is None
    assert found.problem == "it has a loop"


def in_bytes(*steps: tuple[int, ...]) -> bytes:
    """Instructions up to Python 3.5: one byte, or three with a number."""
    return b"".join(bytes(step[:1]) + (struct.pack("<H", step[1]) if len(step) > 1 else b"") for step in steps)


def stored(value: Any) -> bytes:
    """As marshal writes it, without references."""
    if isinstance(value, bytes):
        return b"s" + struct.pack("<i", len(value)) + value
    if isinstance(value, str):
        return b"u" + struct.pack("<i", len(value.encode())) + value.encode()
    if isinstance(value, tuple):
        return b"(" + struct.pack("<i", len(value)) + b"".join(map(stored, value))
    if isinstance(value, float):
        return b"g" + struct.pack("<d", value)
    return b"N" if value is None else b"i" + struct.pack("<i", value)


def assembled(code: bytes, consts: tuple, names: tuple = (), variables: tuple = ("x",), arguments: int = 1) -> bytes:
    """A code object of Python 3.4 to 3.7."""
    counts = struct.pack("<5i", arguments, 0, len(variables), 9, 67)
    parts = [code, consts, names, variables, (), (), "model.py", "<lambda>"]
    return b"c" + counts + b"".join(map(stored, parts)) + struct.pack("<i", 1) + stored(b"")


LOAD_FAST, LOAD_CONST, LOAD_GLOBAL, LOAD_ATTR, RETURN, CALL, COMPARE = 124, 100, 116, 106, (83,), 131, 107
AXIS = in_bytes(
    (LOAD_GLOBAL, 0), (LOAD_ATTR, 1), (LOAD_FAST, 0), (LOAD_CONST, 1), (LOAD_CONST, 2), (CALL, 0x101), RETURN
)  # fmt: skip
BETWEEN = in_bytes(  # two copies of the middle, one turned below the first; where the first fails it is thrown away
    (LOAD_CONST, 1), (LOAD_FAST, 0), (4,), (3,), (COMPARE, 0), (111, 21), (LOAD_CONST, 2), (COMPARE, 0), RETURN,
    (2,), (1,), RETURN,
)  # fmt: skip


@pytest.mark.parametrize(
    ("code", "consts", "names", "source"),
    [
        (in_bytes((LOAD_FAST, 0), (LOAD_CONST, 1), (27,), (LOAD_CONST, 2), (24,), RETURN), (None, 127.5, 1.0), (),
         "lambda x: x / 127.5 - 1.0"),
        (AXIS, (None, "axis", 1), ("K", "mean"), "lambda x: K.mean(x, axis=1)"),
        (BETWEEN, (None, 0, 1), (), "lambda x: 0 < x and x < 1"),
        (in_bytes((LOAD_FAST, 0), (LOAD_CONST, 0), (COMPARE, 9), RETURN), (None,), (), "lambda x: x is not None"),
        (in_bytes((LOAD_CONST, 1), (LOAD_FAST, 0), (COMPARE, 6), RETURN), (None, 1), (), "lambda x: 1 in x"),
    ],
)  # fmt: skip
def test_bytecode_of_python_3_5(code: bytes, consts: tuple, names: tuple, source: str) -> None:
    found = bytecode.function_of(base64.b64encode(assembled(code, consts, names)).decode())
    assert (found.python, found.source()) == ("3.4 or 3.5", source)


def test_code_as_keras_1_wrote_it() -> None:
    data = base64.b64decode(CODES["3.6"][0])
    for text in (data.decode("raw_unicode_escape"), base64.encodebytes(data).decode()):
        assert bytecode.function_of(text).source() == CORPUS[0][0]


@pytest.mark.parametrize(
    ("function", "source"),
    [
        (lambda x: x is None, "x is None"),
        (lambda x: x is not None, "x is not None"),
        (lambda x: 2 in x, "2 in x"),
        (lambda x: 2 not in x, "2 not in x"),
        (lambda x: 0 < x < 1, "0 < x and x < 1"),
        (lambda x: x == 1 or x >= 2, "x == 1 or x >= 2"),
    ],
)
def test_comparisons_in_bytecode_of_this_python(function: Any, source: str) -> None:
    assert bytecode.function_of(code_of(function)).source() == f"lambda x: {source}"


@pytest.mark.parametrize("form", [1, 4])  # numbers as text and one by one, or in bytes and with references
@pytest.mark.parametrize(
    ("function", "source"),
    [
        (lambda x: x in {1, 2}, "x in frozenset({1, 2})"),
        (lambda x: x * 2j, "x * 2j"),
        (lambda x: x + -12345678901234567890, "x + -12345678901234567890"),
        (lambda x: x == (1, (2.5, None), True, b"ab", "é文"), "x == (1, (2.5, None), True, b'ab', 'é文')"),
    ],
)
def test_constants_of_every_kind(function: Any, source: str, form: int) -> None:
    code = base64.b64encode(marshal.dumps(function.__code__, form)).decode()
    assert bytecode.function_of(code).source() == f"lambda x: {source}"


def loop(x):
    total = 0
    for part in x:
        total = total + part
    return total


def caught(x):
    try:
        return x + 1
    except ValueError:
        return x


def generator(x):
    yield x


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (loop, "loop"),
        (lambda x: [part + 1 for part in x], "loop|function .*inside"),
        (caught, "exceptions|instruction"),
        (generator, "never|no Python|generator"),
        (lambda *x: x, "any number"),
        (lambda x: (lambda y=x: y)(), "function"),
        (lambda x: x.numpy(), "numpy"),
        (lambda x: unknown(x), "what unknown is"),
        (lambda x: x * unknown, "what unknown is"),
        (lambda x: K.eval(x), "K.eval"),
        (lambda x: tf.io.gfile.GFile(x), "tf.io"),
        (lambda x: tf.py_function(x), "tf.py_function"),
        (lambda x: x.__class__, "__class__"),
        (lambda x: __import__("os").system("x"), "__import__"),
        (lambda x: exec(x), "what exec"),
        (lambda x: np.load("x"), "np.load"),
        (lambda x: keras.models.load_model(x), "keras.models"),
        (lambda x: K, "what K is"),
    ],
)
def test_what_is_not_certain_is_told_and_never_rebuilt(function: Any, reason: str) -> None:
    with pytest.raises((functions.Uncertain, bytecode.Unreadable), match=reason):
        functions.Rebuilt(code_of(function))
    try:
        found = bytecode.function_of(code_of(function))
    except bytecode.Unreadable:
        return
    assert found.source()


def test_loops_are_shown_as_instructions() -> None:
    shown = bytecode.function_of(code_of(loop)).source()
    assert "FOR_ITER to" in shown and "LOAD_FAST part" in shown


# Values ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", CODES)
def test_rebuilt_functions_give_what_the_original_gave(version: str) -> None:
    """Recorded from TensorFlow and tf_keras, which ran the source."""
    recorded = np.load(io.BytesIO(lzma.decompress((GOLDEN / "lambdas.npz.xz").read_bytes())))
    for number, ((source, kind), code) in enumerate(zip(CORPUS, CODES[version], strict=True)):
        function = functions.Rebuilt(code, defaults_of(source), None, "tf_keras")
        if kind == people.SHAPE:
            assert tuple(function((None, 4, 6))) == tuple(eval(source)((None, 4, 6)))
            continue
        given = [torch.tensor(recorded[f"{kind}/{i}"]) for i in range(1 + (kind == people.TWO))]
        found = function(given if kind == people.TWO else given[0])
        found = found if isinstance(found, list) else [found]
        assert f"{number}/{len(found)}" not in recorded
        for place, one in enumerate(found):
            expected = recorded[f"{number}/{place}"]
            assert one.shape == expected.shape, source
            np.testing.assert_allclose(one.numpy(), expected, 1e-5, 1e-5, err_msg=source)


def test_python_2_divides_whole_numbers_as_it_did() -> None:
    code = in_bytes((LOAD_FAST, 0), (LOAD_CONST, 0), (21,), RETURN)
    parts = [code, (2,), (), (b"s",), (), (), b"model.py", b"<lambda>"]
    data = b"c" + struct.pack("<4i", 1, 1, 9, 67) + b"".join(map(stored, parts)) + struct.pack("<i", 1) + stored(b"")
    half = functions.Rebuilt(base64.b64encode(data).decode())
    assert (half(5), half(5.0)) == (2, 2.5)
    assert half(torch.tensor([5.0])).item() == 2.5
    assert half(torch.tensor([5])).item() == 2


def test_values_around_a_function() -> None:
    scale, sizes = 3.0, (1, 2)
    function: Any = lambda x, more=1: x * scale + more + sizes[1]  # noqa: E731
    rebuilt = functions.Rebuilt(code_of(function), [10], [3.0, [1, 2]])
    assert rebuilt(2.0) == 18.0 and rebuilt(2.0, more=0) == 8.0
    assert rebuilt.source.splitlines()[:2] == ["scale = 3.0", "sizes = [1, 2]"]
    for closure in (None, [3.0], [{"class_name": "Dense"}, [1]]):
        with pytest.raises(functions.Uncertain):
            functions.Rebuilt(code_of(function), [10], closure)
    assert scale == sizes[1] + 1


def test_equality_of_tensors_is_of_tensorflow_2() -> None:
    code = code_of(lambda x: x == 0)
    assert functions.Rebuilt(code)(torch.zeros(1)).tolist() == [True]
    with pytest.raises(ValueError, match="compared tensors"):
        functions.Rebuilt(code, generation="keras2")(torch.zeros(1))


def test_resizing_follows_the_tensorflow_of_the_generation() -> None:
    image = torch.arange(4.0).reshape(1, 2, 2, 1)
    older = functions.Rebuilt(code_of(lambda x: tf.image.resize_images(x, (4, 4))), generation="keras2")
    assert older(image)[0, :, 0, 0].tolist() == [0.0, 1.0, 2.0, 2.0]
    newer = functions.Rebuilt(code_of(lambda x: tf.image.resize(x, (4, 4))), generation="tf_keras")
    assert newer(image)[0, :, 0, 0].tolist() == [0.0, 0.5, 1.5, 2.0]
    with pytest.raises(functions.Uncertain, match=r"tf\.image\.resize"):
        functions.Rebuilt(newer.code, generation="keras2")


def test_keras_3_names() -> None:
    rebuilt = functions.Rebuilt(code_of(lambda x: ops.mean(keras.ops.square(x), axis=-1)))
    assert rebuilt(torch.tensor([[1.0, 3.0]])).tolist() == [5.0]


def test_a_rebuilt_function_compiles_and_trains() -> None:
    rebuilt = functions.Rebuilt(code_of(lambda x: K.l2_normalize(x[:, ::-1] * 2.0, axis=1)))
    x = torch.rand(3, 4, requires_grad=True)
    found = torch.compile(rebuilt, backend="eager", fullgraph=True)(x)
    torch.testing.assert_close(found, torch.nn.functional.normalize(x.flip(1), dim=1))
    found.sum().backward()
    assert x.grad is not None


# Models ---------------------------------------------------------------------------------------------------------------


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if another process read the file."""
    monkeypatch.setattr(functions, "_written", {})
    monkeypatch.setattr(functions, "_named", {})


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.__name__)
def test_a_file_comes_back_with_its_functions(space: Any, suffix: str, tmp_path: Path, monkeypatch: Any) -> None:
    function = lambda x: K.square(x[:, 1:]) + 1.0  # noqa: E731
    made = space.layers.Lambda(function, output_shape=(3,), name="cut", **_first(space))
    model = space.models.Sequential([*_start(space), made])
    path = tmp_path / f"model{suffix}"
    model.save(path)
    forget(monkeypatch)
    loaded = space.models.load_model(path)
    x = np.arange(8, dtype="float32").reshape(2, 4)
    expected = np.square(x[:, 1:]) + 1.0
    np.testing.assert_allclose(loaded.predict(x, verbose=0), expected)
    layer = loaded.layers[-1]
    assert "lambda x: K.square(x[:, 1:]) + 1.0" in repr(layer.function)
    shown: list[str] = []
    loaded.summary(print_fn=shown.append)
    assert "cut (Lambda, rebuilt)" in "".join(shown)
    assert layer.get_config()["function"] == made.get_config()["function"]
    forget(monkeypatch)
    loaded.save(tmp_path / f"again{suffix}")
    again = space.models.load_model(tmp_path / f"again{suffix}")
    for other in (again, pickle.loads(pickle.dumps(loaded)), copy.deepcopy(loaded)):
        np.testing.assert_allclose(other.predict(x, verbose=0), expected)


def _start(space: Any) -> list[Any]:
    return [keras.Input((4,))] if space is keras else []


def _first(space: Any) -> dict[str, Any]:
    return {} if space is keras else {"input_shape": (4,)}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.__name__)
def test_a_function_that_is_not_rebuilt_is_told_and_given(
    space: Any, suffix: str, tmp_path: Path, monkeypatch: Any
) -> None:
    function = lambda x: other(x) + 1.0  # noqa: E731
    made = space.layers.Lambda(function, output_shape=(4,), name="plus", **_first(space))
    model_path = tmp_path / f"model{suffix}"
    model = space.models.Sequential([*_start(space)])
    monkeypatch.setitem(globals(), "other", lambda x: x)
    model.add(made)
    model.save(model_path)
    monkeypatch.delitem(globals(), "other")
    forget(monkeypatch)
    with pytest.raises(ValueError) as raised:
        space.models.load_model(model_path)
    told = str(raised.value)
    for word in ("never run", "what other is", "custom_objects={'plus': ...}", "lambda x: other(x) + 1.0", model_path):
        assert str(word) in told
    loaded = space.models.load_model(model_path, custom_objects={"plus": lambda x: x + 2.0})
    assert loaded.predict(np.zeros((1, 4), "float32"), verbose=0).tolist() == [[2.0] * 4]


def doubled(x: Any) -> Any:
    return x * 2


HELD: dict[str, Any] = {  # what a function may hold, and how Keras 3 writes it, where that is one form alone
    "function": (doubled, {"module": "builtins", "class_name": "function", "config": "doubled"}),
    "array": (np.ones(2, "float32"), {"class_name": "__numpy__", "config": {"value": [1.0, 1.0], "dtype": "float32"}}),
    "module": (np, {"module": "builtins", "class_name": "module", "config": "numpy", "registered_name": "module"}),
    "number": (np.float32(2), 2.0),
    "lambda": (lambda x: x, {"class_name": "__lambda__"}),
    "layer": (layers.ReLU(), {"module": "keras.layers", "class_name": "ReLU"}),
    "class": (dict, {"config": "dict"}),
    "builtin": (max, {"config": "max"}),
}


@pytest.mark.filterwarnings("ignore:A lambda is saved")
@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.__name__)
def test_what_a_function_holds_is_written(space: Any, held: str, tmp_path: Path) -> None:
    value, expected = HELD[held]
    for function in (lambda x: x * 2 if value is not None else x, lambda x, held=value: x * 2):
        made = space.layers.Lambda(function, output_shape=(4,), name="twice", **_first(space))
        model = space.models.Sequential([*_start(space), made])
        suffixes = [".keras"] if space in (keras, tf_keras) else []
        if held != "module":  # of which other forms do not tell in the originals, either
            suffixes.append(".h5")
            assert space.models.model_from_json(model.to_json(), custom_objects={"twice": doubled}).layers
        for path in [tmp_path / f"model{suffix}" for suffix in suffixes]:
            model.save(path)
            loaded = space.models.load_model(path, custom_objects={"twice": doubled})
            assert loaded.predict(np.ones((1, 4), "float32"), verbose=0).tolist() == [[2.0] * 4]
        if ".keras" in suffixes:
            with zipfile.ZipFile(tmp_path / "model.keras") as archive:
                described = json.loads(archive.read("config.json"))["config"]["layers"][-1]["config"]["function"]
            _, defaults, closure = described if space is tf_keras else described["config"].values()
            (written,) = closure or defaults
            assert written.items() >= expected.items() if isinstance(expected, dict) else written == expected


@pytest.mark.parametrize("space", [keras, keras2, tf_keras], ids=lambda space: space.__name__)
def test_shapes_and_masks_have_names_of_their_own(space: Any, monkeypatch: Any) -> None:
    layer = space.layers.Lambda(
        lambda x: x * 2,
        output_shape=lambda s: unknown(s),
        mask=lambda x, m: unknown(m),
        name="two",
    )
    config = json.loads(json.dumps(layer.get_config(), default=str))
    forget(monkeypatch)
    parts = ["output_shape"] + (["mask"] if "mask" in config else [])
    given = {"two.output_shape": lambda s: (s[0], 7), "two.mask": lambda x, m: m}
    for part in parts:
        others = {key: value for key, value in given.items() if part not in key}
        with pytest.raises(ValueError, match=rf"two\.{part}"), keras.saving.CustomObjectScope(others):
            space.layers.Lambda.from_config(config)
    with keras.saving.CustomObjectScope(given):
        made = space.layers.Lambda.from_config(config)
    assert tuple(made.compute_output_shape((None, 4))) == (None, 7)
    assert made.function(3) == 6


def test_arrays_among_the_arguments(monkeypatch: Any) -> None:
    for space in SPACES:
        layer = space.layers.Lambda(lambda x, w: x * w, arguments={"w": np.array([1.0, 2.0], "float32")})
        config = json.loads(json.dumps(layer.get_config(), default=keras.core.serialize.plain))
        with monkeypatch.context() as patch:
            forget(patch)
            made = space.layers.Lambda.from_config(config)
        assert made(torch.ones(1, 2)).tolist() == [[1.0, 2.0]]


def test_merge_of_keras_1_by_a_function(monkeypatch: Any) -> None:
    space: Any = keras1
    layer = space.layers.Merge(mode=lambda pair: K.abs(pair[0] - pair[1]), output_shape=lambda s: s[0])
    config = json.loads(json.dumps(layer.get_config()))
    forget(monkeypatch)
    made = space.layers.Merge.from_config(config)
    assert made([torch.ones(1, 2), torch.full((1, 2), 3.0)]).tolist() == [[2.0, 2.0]]


def test_a_loss_may_be_a_lambda_of_a_file() -> None:
    described = {"class_name": "__lambda__", "config": {"value": [code_of(lambda y, p: keras.ops.mean(p)), None, None]}}
    loss = keras.saving.deserialize_keras_object(described)
    assert loss(None, torch.tensor([1.0, 3.0])) == 2.0
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.source == loss.source


@pytest.mark.parametrize("listed", [True, False])
def test_an_activation_may_be_a_lambda_without_a_class_name(listed: bool) -> None:
    """So Keras 3 writes one, and does not read it itself."""
    code = code_of(lambda x: x * 2.0 + 1.0)
    described = {"value": [code, None, None]} if listed else {"code": code, "defaults": None, "closure": None}
    layer = keras.layers.Dense.from_config({"units": 1, "activation": described, "kernel_initializer": "ones"})
    assert layer(torch.tensor([[1.0, 2.0]])).tolist() == [[7.0]]


# Malice ---------------------------------------------------------------------------------------------------------------

MANY = 5_000
DUP, ADD, STORE_FAST, TUPLE = (4,), (23,), 125, 102


def nested_tuples(depth: int) -> bytes:
    """2 ** depth tuples, by references."""
    inner = b"\xa9\x02" + b"NN"
    for place in range(depth):
        inner = b"\xa9\x02" + inner + b"r" + struct.pack("<i", depth - place)
    return inner


def in_place(*left: tuple[int, ...]) -> bytes:
    """`y = (left += 3)`, which no source says."""
    code = in_bytes(*left, (LOAD_CONST, 0), (55,), (125, 1), (LOAD_FAST, 1), RETURN)
    return assembled(code, (3,), variables=("x", "y"))


HOSTILE: dict[str, Callable[[], bytes]] = {
    "doubling": lambda: assembled(in_bytes((LOAD_FAST, 0), *[DUP, ADD] * MANY, RETURN), ()),
    "a long sum": lambda: assembled(in_bytes((LOAD_FAST, 0), *[(LOAD_FAST, 0), ADD] * MANY, RETURN), ()),
    "a long stack": lambda: assembled(
        in_bytes(*[(LOAD_FAST, 0)] * MANY, *[(LOAD_CONST, 0), (STORE_FAST, 1)] * MANY, RETURN), (1,), (), ("x", "y")
    ),
    "conditions inside": lambda: assembled(
        in_bytes(*[(LOAD_FAST, 0), (114, 6 * 1000)] * 1000, (LOAD_FAST, 0), RETURN), ()
    ),
    "a long text often": lambda: assembled(
        in_bytes(*[(LOAD_CONST, 0)] * MANY, (TUPLE, MANY), RETURN), ("x" * 40_000,)
    ),
    "an endless loop": lambda: assembled(in_bytes((113, 0), RETURN), ()),
    "a jump nowhere": lambda: assembled(in_bytes((110, 1), (LOAD_FAST, 0), RETURN), ()),
    "many values": lambda: assembled(in_bytes((LOAD_FAST, 60_000), RETURN), ()),
    "another in place": lambda: in_place((LOAD_FAST, 0)),
    "a value in place": lambda: in_place((LOAD_FAST, 0), (LOAD_CONST, 0), ADD),
    "nothing there": lambda: assembled(in_bytes(ADD, RETURN), ()),
    "deep": lambda: b"(\1\0\0\0" * 5_000,
    "a huge count": lambda: b"(\xff\xff\xff\x7f",
    "below zero": lambda: b"(\xff\xff\xff\xff",
    "a huge text": lambda: b"s\xff\xff\xff\x7f",
    "itself": lambda: b"\xa8\1\0\0\0r\0\0\0\0",
    "tuples of tuples": lambda: nested_tuples(60),
    "a huge number": lambda: b"l\xff\xff\xff\x7f",
    "empty": lambda: b"",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_is_refused_at_once(name: str) -> None:
    text = base64.b64encode(HOSTILE[name]()).decode()
    start = time.process_time()
    with pytest.raises((bytecode.Unreadable, functions.Uncertain)):
        functions.Rebuilt(text)
    described = bytecode.described(text, None, None)
    with pytest.raises(ValueError, match="never run") as raised:
        layers.Lambda.from_config({"name": "bad", "function": described})
    assert len(str(raised.value)) < 3_000
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * 10 ** (10**7),
        lambda x: 1 << (x.shape[1] * 10**9),
        lambda x: (x,) * 10**9,
        lambda x: [x] * 10**6 * 10**6,
        lambda x: list(range(10**10)),
        lambda x: "a" * 10**9,
        lambda x: K.zeros((2**20, 2**20)),
        lambda x: K.tile(x, [2**20, 2**20]),
        lambda x: tf.split(K.zeros((10**8,)), 10**8),
        lambda x: list(K.zeros((10**8,))),
    ],
)
def test_giant_work_is_refused_when_a_model_is_made(function: Any) -> None:
    """Their constants are taken apart, so that this Python does not compute them."""
    rebuilt = functions.Rebuilt(code_of(function))
    start = time.process_time()
    with pytest.raises(ValueError):
        layers.Lambda(rebuilt)(keras.Input((4,)))
    assert time.process_time() - start < 5


def test_bytes_that_were_changed_are_read_or_refused() -> None:
    draw = random.Random(0)
    codes = [base64.b64decode(code) for version in CODES.values() for code in version]
    for _ in range(3_000):
        data = bytearray(draw.choice(codes))
        for _ in range(draw.choice((1, 2, 5))):
            place = draw.randrange(len(data))
            how = draw.randrange(4)
            if how < 2:
                data[place] = draw.randrange(256)
            elif how == 2:
                del data[place : place + draw.randrange(1, 4)]
            else:
                data[place:place] = data[: draw.randrange(1, 20)]
        try:
            functions.Rebuilt(base64.b64encode(data).decode(), generation="keras2")
        except (bytecode.Unreadable, functions.Uncertain):
            continue


def test_no_code_of_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    monkeypatch.setitem(globals(), "K", type("Module", (), {"abs": staticmethod(lambda x: ran.append(x) or x)}))
    model = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: K.abs(x), name="l")])
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"model{suffix}")
        keras.models.load_model(tmp_path / f"model{suffix}")  # imports what it needs
    ran.clear()
    for name in ("loads", "load"):
        monkeypatch.setattr(marshal, name, lambda *_: pytest.fail("marshalled code was made"))
    for suffix in (".keras", ".h5"):
        loaded = keras.models.load_model(tmp_path / f"model{suffix}", safe_mode=False)
        assert loaded(-torch.ones(1, 4)).tolist() == [[1.0] * 4]
    assert not ran
