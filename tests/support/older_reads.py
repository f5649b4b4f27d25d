"""Runs under another interpreter, with a real Keras of an older generation: reads the files of a folder that Lamina
wrote, says what differs, and writes each again. `python older_reads.py PACKAGE FOLDER` answers in
`FOLDER/result.json`. Also for Python 3.6, so without annotations."""

import importlib
import json
import sys
import warnings
from pathlib import Path

import numpy as np

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def own_classes(keras):
    """Classes as users write them, of Lamina or of Keras."""

    class Net(keras.models.Model):
        def __init__(self, units=4, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.first = keras.layers.Dense(units, activation="relu")
            self.norm = keras.layers.BatchNormalization()
            self.last = keras.layers.Dense(2)

        def call(self, inputs):
            return self.last(self.norm(self.first(inputs)))

        def get_config(self):
            return {"units": self.units}

    class Block(keras.layers.Layer):
        def __init__(self, units=3, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.first = keras.layers.Dense(units)
            self.second = keras.layers.Dense(units, activation="tanh")

        def build(self, shape):
            self.scale = self.add_weight(name="scale", shape=(shape[-1],), initializer="ones", trainable=True)
            self.count = self.add_weight(name="count", shape=(1,), initializer="ones", trainable=False)
            super().build(shape)

        def call(self, inputs):
            return self.second(self.first(inputs * self.scale)) + self.count

        def get_config(self):
            return dict(super().get_config(), units=self.units)

    return {"Net": Net, "Block": Block}


def alone(arrays):
    return arrays[0] if len(arrays) == 1 else arrays


def flat(nested):
    return [leaf for item in nested for leaf in flat(item)] if isinstance(nested, (list, tuple)) else [nested]


def outputs_of(model, inputs):
    found = model.predict(alone(inputs), batch_size=len(inputs[0]), verbose=0)
    return flat(found)


def results_of(model, inputs, targets, steps=2):
    """What some steps of training give: the loss, and metrics."""
    steps = [model.train_on_batch(alone(inputs), alone(targets)) for _ in range(steps)]
    parts = [each if isinstance(each, (list, tuple)) else [each] for each in steps]  # a metric may have several values
    return [np.concatenate([np.ravel(part) for part in each]).astype("float64").tolist() for each in parts]


def difference(model, case, arrays, steps=2):
    """How a model that was read differs from the one that was written, in words; None for not at all."""
    inputs = [arrays[f"x{index}"] for index in range(case["inputs"])]
    targets = [arrays[f"t{index}"] for index in range(case["targets"])]
    try:
        for index, found in enumerate(outputs_of(model, inputs)):
            np.testing.assert_allclose(found, arrays[f"y{index}"], err_msg=f"output {index}", **TOLERANCE)
        if case["results"]:
            np.testing.assert_allclose(results_of(model, inputs, targets, steps), case["results"][:steps], **TOLERANCE)
    except Exception as error:  # whatever the original raises is what differs
        return told(error)
    return None


def told(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())[-500:]}"


def fresh(keras, path, case, arrays, objects):
    """A model with other weights, to load some into."""
    if case["own"]:
        model = objects["Net"]()
        model.predict(arrays["x0"], batch_size=len(arrays["x0"]), verbose=0)
    else:
        model = keras.models.model_from_json(Path(f"{path}.json").read_text(), custom_objects=objects)
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    return model


def main(package, folder):
    keras = importlib.import_module(package)
    objects, found = own_classes(keras), {}
    warnings.simplefilter("ignore")
    (folder / "back").mkdir()
    for name, case in json.loads((folder / "cases.json").read_text()).items():
        path = str(folder / name)
        arrays = np.load(f"{path}.npz")
        if hasattr(keras.backend, "clear_session"):  # Theano has none
            keras.backend.clear_session()
        for ending in case["files"]:
            try:
                model = keras.models.load_model(path + ending, custom_objects=objects)
                if package == "tf_keras":
                    model.run_eagerly = True
                model.save(str(folder / "back" / f"{name}{ending}"))
                found[name + ending] = difference(model, case, arrays, case["steps"])
            except Exception as error:
                found[name + ending] = told(error)
        for ending in case["weights"]:
            try:
                model = fresh(keras, path, case, arrays, objects)
                model.load_weights(path + ending)
                found[name + ending] = difference(model, dict(case, results=[]), arrays)
            except Exception as error:
                found[name + ending] = told(error)
    (folder / "result.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
