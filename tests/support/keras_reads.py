"""Runs under another interpreter, with the real Keras 3: reads the files of a folder that Lamina wrote, says what
differs, and writes each again. `python keras_reads.py FOLDER` answers in `FOLDER/result.json`."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

TOLERANCE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}
HALF: dict[str, Any] = {"rtol": 2e-2, "atol": 2e-2}


def own_classes(keras: Any) -> dict[str, Any]:
    """Classes and functions as users write them, of Lamina or of Keras."""
    layers, ops = keras.layers, keras.ops

    class Block(layers.Layer):
        def __init__(self, units: int = 3, **kwargs: Any):
            super().__init__(**kwargs)
            self.units = units
            self.parts = [layers.Dense(units), layers.Dense(units, activation="tanh")]
            self.by_name = {"last": layers.Dense(units)}
            self._hidden = layers.Dense(units)

        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
            self.count = self.add_weight(shape=(), initializer="zeros", name="count", trainable=False)
            self.parts[0].build(shape)
            for inner in (self.parts[1], self.by_name["last"], self._hidden):
                inner.build((*shape[:-1], self.units))

        def call(self, x: Any) -> Any:
            return self._hidden(self.by_name["last"](self.parts[1](self.parts[0](x * self.scale))))

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    class Net(keras.Model):
        def __init__(self, units: int = 4, **kwargs: Any):
            super().__init__(**kwargs)
            self.units = units
            self.first, self.block = layers.Dense(units, activation="relu"), Block(2)
            self.alias = self.first

        def call(self, x: Any) -> Any:
            return self.block(self.alias(x))

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    class Sub(keras.Model):
        pass

    class Scaled(keras.losses.Loss):
        def __init__(self, by: float = 2.0, **kwargs: Any):
            super().__init__(**kwargs)
            self.by = by

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return self.by * ops.mean(ops.square(y_true - y_pred), axis=-1)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "by": self.by}

    def twice(x: Any) -> Any:
        return x * 2.0

    def own_loss(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(ops.abs(ops.convert_to_tensor(y_true) - y_pred), axis=-1)

    def halved(inputs: Any, by: float = 2.0) -> Any:
        return inputs / by

    if keras.__name__ == "keras":  # Lamina's tests register their own
        keras.saving.register_keras_serializable("tests")(halved)
    for item in (Block, Scaled, twice):
        keras.saving.register_keras_serializable("own")(item)
    return {"Net": Net, "Sub": Sub, "own_loss": own_loss, "Block": Block, "Scaled": Scaled, "twice": twice}


def flat(outputs: Any) -> list[Any]:
    """The tensors of nested outputs: lists in order, dictionaries by key."""
    if isinstance(outputs, dict):
        outputs = [outputs[key] for key in sorted(outputs)]
    if isinstance(outputs, (list, tuple)):
        return [leaf for item in outputs for leaf in flat(item)]
    return [outputs]


def numbers(tensor: Any) -> np.ndarray:
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        return tensor.float().numpy() if tensor.is_floating_point() else tensor.numpy()
    return np.asarray(tensor)


def filled(structure: Any, arrays: Any) -> Any:
    """A structure of names with the arrays of these names."""
    if isinstance(structure, list):
        return [filled(item, arrays) for item in structure]
    if isinstance(structure, dict):
        return {key: filled(item, arrays) for key, item in structure.items()}
    return arrays[structure]


def outputs_of(model: Any, inputs: Any) -> list[np.ndarray]:
    return [numbers(tensor) for tensor in flat(model(inputs, training=False))]


def results_of(model: Any, inputs: Any, targets: Any, steps: int) -> list[dict[str, float]]:
    """What some steps of training give."""
    found = [model.train_on_batch(inputs, targets, return_dict=True) for _ in range(steps)]
    return [{name: np.asarray(value, "float64").tolist() for name, value in each.items()} for each in found]


def difference(model: Any, case: dict[str, Any], arrays: Any) -> str | None:
    """How a model that was read differs from the one that was written, in words; None for not at all."""
    tolerance = HALF if case["half"] else TOLERANCE
    inputs = filled(case["inputs"], arrays)
    try:
        for index, found in enumerate(outputs_of(model, inputs)):
            np.testing.assert_allclose(found, arrays[f"y{index}"], err_msg=f"output {index}", **tolerance)
        if case["results"]:
            targets = filled(case["targets"], arrays)
            for found, expected in zip(results_of(model, inputs, targets, 2), case["results"], strict=True):
                if list(found) != list(expected):
                    return f"results {list(found)} instead of {list(expected)}"
                for name in found:
                    np.testing.assert_allclose(found[name], expected[name], err_msg=name, **tolerance)
    except (AssertionError, TypeError, ValueError, RuntimeError, LookupError, AttributeError) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return None


def main(folder: Path) -> None:
    import keras  # ty: ignore

    objects, found = own_classes(keras), {}
    warnings.simplefilter("ignore")
    (folder / "back").mkdir()
    for name, case in json.loads((folder / "cases.json").read_text()).items():
        arrays = np.load(folder / f"{name}.npz")
        try:
            model = keras.models.load_model(folder / f"{name}.keras", custom_objects=objects)
            model.save(folder / "back" / f"{name}.keras")
            for kind in case["weights"]:
                again = keras.models.load_model(folder / f"{name}.keras", custom_objects=objects)
                again.set_weights([np.zeros_like(weight) for weight in again.get_weights()])
                again.load_weights(folder / f"{name}{kind}")
                found[f"{name}{kind}"] = difference(again, {**case, "results": []}, arrays)
            found[name] = difference(model, case, arrays)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {' '.join(str(error).split())[-400:]}"
    (folder / "result.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
