"""Operations and functions of one's own, devices, and named values."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree as pytree

import lamina as keras

L = keras.layers


class Times(keras.Operation):
    def __init__(self, factor: float, name: str | None = None):
        super().__init__(name=name)
        self.factor = factor

    def call(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


class Doubled(keras.Operation):
    def call(self, x: Any) -> Any:
        return np.asarray(x) * 2 if isinstance(x, np.ndarray) else x * 2

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor(x.shape, "float16")


def test_operations_run_and_are_recorded() -> None:
    times = Times(3.0, name="times")
    assert times(torch.ones(2, dtype=torch.float64)).dtype is torch.float64
    assert times.get_config() == {"name": "times", "factor": 3.0}
    assert Times.from_config(times.get_config()).factor == 3.0
    inputs = keras.Input((3,))
    model = keras.Model(inputs, times(keras.layers.Dense(2, use_bias=False)(inputs)))
    x = torch.ones(1, 3)
    torch.testing.assert_close(model(x), 3 * model.layers[1](x))
    assert times.input.shape == times.output.shape == (None, 2)
    assert Doubled().symbolic_call(inputs).dtype == "float16"
    assert Doubled().name.startswith("doubled")
    with pytest.raises(NotImplementedError, match="call"):
        keras.Operation()(x)
    with pytest.raises((ValueError, TypeError), match="name"):
        keras.Operation(name=3)  # type: ignore[arg-type]


def test_every_layer_is_an_operation() -> None:
    assert isinstance(keras.layers.Dense(1), keras.Operation) and issubclass(keras.layers.Dense, keras.Operation)
    assert isinstance(Times(1.0), Times) and not isinstance(keras.layers.Dense(1), Times)
    assert not isinstance(3, keras.Operation) and not issubclass(int, keras.Operation)


def test_functions_of_symbolic_tensors() -> None:
    keras.utils.clear_session(free_memory=False)
    a = keras.Input((3,), name="a")
    b = keras.layers.Dense(2, name="d")(a)
    c = keras.ops.tanh(b)
    function = keras.Function(a, c, name="f")
    for one in (function, keras.Model(a, c)):
        assert [operation.name for operation in one.operations] == ["a", "d", "tanh"]
    assert function(np.ones((2, 3), "float32")).shape == (2, 2)
    assert function(keras.Input((3,))).shape == (None, 2)
    assert function.compute_output_shape((5, 3)) == (5, 2)
    both = keras.Function({"x": a}, [c, b])
    first, second = both({"x": torch.ones(1, 3)})
    torch.testing.assert_close(first, second.tanh())
    with pytest.raises(ValueError):
        function(np.ones((2, 4), "float32"))
    with pytest.raises(ValueError):
        keras.Function(a, keras.layers.Dense(1)(keras.Input((2,))))
    assert keras.Function(a, c).name.startswith("function")


def test_source_inputs() -> None:
    a, b = keras.Input((3,)), keras.Input((3,))
    total = keras.layers.Add()([keras.layers.Dense(3)(a), b]) + a
    assert {id(each) for each in keras.utils.get_source_inputs(total)} == {id(a), id(b)}
    assert keras.utils.get_source_inputs(a) == [a]


def test_devices() -> None:
    with keras.device("meta"):
        assert keras.ops.ones(1).device.type == "meta"
    with keras.device("CPU:0") as device:
        assert keras.ops.ones(1).device.type == "cpu" and device == torch.device("cpu:0")
    assert keras.device("gpu:1") == torch.device("cuda:1") and keras.device("gpu").type == "cuda"
    for wrong in ("nonsense", 3, None, "cpu:x"):
        with pytest.raises(ValueError, match="device"):
            keras.device(wrong)  # type: ignore[arg-type]


def test_named_values() -> None:
    config = keras.utils.Config(a=1, b=2)
    assert (config.a, config["b"], len(config), "a" in config, list(config)) == (1, 2, 2, True, ["a", "b"])
    config.d = [1]
    assert config.to_json() == '{"a": 1, "b": 2, "d": [1]}' and repr(config) == "<Config {'a': 1, 'b': 2, 'd': [1]}>"
    config.freeze()
    for change in (lambda: config.pop("a"), lambda: setattr(config, "z", 1), lambda: config.update({"z": 1}),
                   lambda: delattr(config, "a")):  # fmt: skip
        with pytest.raises(ValueError, match="frozen"):
            change()
    assert config.frozen and config.as_dict() == {"a": 1, "b": 2, "d": [1]}
    assert pickle.loads(pickle.dumps(config)).frozen
    config.unfreeze()
    assert config.pop("a") == 1 and config.get("zz", 3) == 3
    with pytest.raises(AttributeError, match="no 'e'"):
        _ = config.e
    with pytest.raises(KeyError):
        _ = config["e"]


def test_bars_of_own_loops(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    bar = keras.utils.Progbar(3, verbose=2, unit_name="file", stateful_metrics=["a"])
    for step in (1, 2, 3):
        assert capsys.readouterr().out == ""
        bar.update(step, [("a", float(step)), ("b", 1.0)])
    assert re.fullmatch(r"3/3 - \d+s - \d+[um]?s/file - a: 3.0000 - b: 1.0000\n", capsys.readouterr().out)
    bar = keras.utils.Progbar(None, verbose=2)
    bar.add(2)
    bar.update(5, finalize=True)
    assert re.match(r"5/5 - \d+s - ", capsys.readouterr().out)
    keras.utils.Progbar(1, verbose=0).add(1, [("a", 1.0)])
    assert capsys.readouterr().out == ""
    monkeypatch.setattr("lamina.training.progress._on_terminal", lambda: True)
    bar = keras.utils.Progbar(2, width=7, interval=-1)
    bar.update(1, [("loss", 0.5)])
    assert bar._progress is not None and bar._progress._live._live.columns[1].bar_width == 7
    bar.update(2)
    assert re.search(r"2/2 - \d+s", capsys.readouterr().out)


VALUES = [(1, 4.0), (3, 1.0), (4, 7.0)]  # means over steps: 4, then 2, then 3.25


@pytest.mark.parametrize(
    ("space", "options", "shown"),
    [
        (keras, {}, [4, 2, 7]),
        (keras, {"stateful_metrics": []}, [4, 2, 7]),
        (keras, {"stateful_metrics": ["a"]}, [4, 1, 7]),
        (keras, {"stateless_metrics": []}, [4, 1, 7]),
        (keras, {"stateless_metrics": ["a"]}, [4, 2, 7]),
        (keras.tf_keras, {}, [4, 2, 3.25]),
        (keras.keras2, {}, [4, 2, 3.25]),
        (keras.keras2, {"stateful_metrics": ["a"]}, [4, 1, 7]),
        (keras.keras1, {}, [4, 2, 3.25]),
    ],
)
def test_bars_show_means(space: Any, options: dict, shown: list, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Values: Keras 3.15.1, tf_keras 2.21, Keras 2.3.1 and 1.2.2."""
    monkeypatch.setattr("lamina.training.progress._on_terminal", lambda: True)
    monkeypatch.setattr("lamina.training.progress._in_notebook", lambda: True)
    bar = space.utils.generic_utils.Progbar(4, interval=-1, **options) if space is not keras else None
    bar = bar or keras.utils.Progbar(4, interval=-1, **options)
    for (step, value), expected in zip(VALUES, shown, strict=True):
        bar.update(step, [("a", value)])
        assert f"a: {expected:.4f}" in capsys.readouterr().out


def test_trials_on_symbols_meet_no_subclass_of_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch before 2.13 refuses them: layers of users read weights as they are, and so do cells."""
    seen: set[str] = set()
    original = FakeTensorMode.__torch_dispatch__

    def noted(self: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        seen.update(kind.__name__ for kind in {*types, *map(type, tensors)})
        return original(self, func, types, args, kwargs)

    monkeypatch.setattr(FakeTensorMode, "__torch_dispatch__", noted)

    class Scaled(L.Layer):
        def build(self, shape):
            self.scale = self.add_weight((shape[-1],), "ones")

        def call(self, x):
            return x * self.scale

    symbol = Scaled()(keras.Input((4,)))
    outputs, _ = L.GRUCell(3)(symbol, [keras.Input((3,))])
    assert outputs.shape == (None, 3)
    assert "FakeTensor" in seen and seen <= {"FakeTensor", "Tensor", "Parameter"}


class Plain(L.Layer):
    def __init__(self, alpha, beta=1.0, kinds=("a",), mode=None, **options):
        super().__init__(**options)
        self.alpha, self.beta, self.kinds, self.mode = alpha, beta, kinds, mode


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"beta": 1.0, "mode": None}),
        ({"beta": 2.0}, {"beta": 2.0, "mode": None}),
        ({"mode": "x", "dtype": "float16"}, {"beta": 1.0, "mode": "x"}),
    ],
)
def test_a_config_that_nobody_wrote_tells_defaults_too(given, expected) -> None:
    layer = Plain(0.2, name="own", **given)
    config = layer.get_config()
    assert {key: config[key] for key in ("beta", "mode", "alpha", "name")} == {**expected, "alpha": 0.2, "name": "own"}
    again = Plain.from_config(config)
    assert again.get_config() == config and (again.beta, again.mode) == (layer.beta, layer.mode)
