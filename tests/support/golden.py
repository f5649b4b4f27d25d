"""Recorded cases of the original Keras packages, replayed on any package that has the API of Keras 3 on torch.

A folder of `golden` holds what one generation of Keras computed, per family a list of cases (`.json`) and their arrays
(`.npz`, as `<case>/<name>`). A case's `code` is what a user of that generation writes, `calls` is how it is used on the
inputs `x0`, `x1`, ..; recorded are outputs, gradients of sum(output * cos(arange)), weights, losses, shapes, the
config, or the error (`refused`). `cases()` lists what is covered, `problems(case, keras)` replays one case and names
every quantity that differs.

As a script it prints what passes per family: `python tests/support/golden.py [package] [family ...]`.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

GOLDEN = Path(__file__).parents[1] / "golden"

FAMILIES = {
    "keras3": (
        "activations", "advanced_activations", "attention", "constraints", "convolutional", "convolutional_recurrent",
        "core", "embeddings", "initializers", "merge", "noise", "normalization", "pooling", "preprocessing",
        "recurrent", "regularizers", "reshaping", "wrappers",
    ),
    **{
        generation: (
            *(("attention",) if generation == "tf_keras2" else ()),
            "activations", "advanced_activations", "constraints", "convolutional", "convolutional_recurrent", "core",
            "embeddings", "initializers", "local", "merge", "noise", "normalization", "pooling", "recurrent",
            "regularizers", "reshaping", "wrappers", *(("preprocessing",) if generation == "tf_keras2" else ()),
            *(("optimizers",) if generation != "tf_keras2" else ()),
        )
        for generation in ("keras1", "keras2", "tf_keras2")
    },
}  # fmt: skip

NOT_YET = {
    "SpectralNormalization",
    "keras3/RandomCrop",
    "fit_on_texts", "len", "skipgrams", "text_to_word_sequence", "TimeseriesGenerator",
}  # fmt: skip


# Where an original's answer is not this project's, and why.
OTHERWISE = {
    "keras3/preprocessing/HashedCrossing_001": "computed here; the original took no array beside a tensor",
    "keras3/preprocessing/normalize_002": "computed here",
    "keras3/attention/MultiHeadAttention_013": "the original announced another shape than it gave",
    "keras3/attention/MultiHeadAttention_018": "a mask given for the query counts, as in GroupedQueryAttention",
    "keras3/core/EinsumDense_003": "the original announced another shape than it gave",
    "keras1/convolutional/AtrousConvolution2D_002_tf": "computed here; TensorFlow 1 took one dilation for both axes",
    "keras1/convolutional/Deconvolution2D_005_th": "computed here; Theano failed on even kernels",
    "keras1/embeddings/Embedding_008_tf": "the original announced another shape than it gave",
    "keras1/merge/Merge_012_tf": "the original announced another shape than it gave",
    "keras1/merge/Model_007_tf": "the original announced another shape than it gave",
    "keras1/wrappers/Bidirectional_005_tf": "computed here; the original failed over a mask that was not there",
    "keras3/preprocessing/RandomShear_002": "which way it shears is drawn",
    "keras2/advanced_activations/ReLU_005": "a negative threshold is refused, as by Keras 3",
    "keras2/convolutional/Conv1D_037": "computed here",
    **{
        f"keras2/convolutional/{name}": "strides with dilation: Keras 2 and 3 disagree; Keras 3's value"
        for name in (
            "DepthwiseConv2D_007",
            "DepthwiseConv2D_015",
            "DepthwiseConv2D_017",
            "SeparableConv1D_007",
            "SeparableConv1D_015",
            "SeparableConv2D_007",
            "SeparableConv2D_017",
        )
    },
    **{
        f"{name}": "TensorFlow 1 counted steps before or after reading their number, in no fixed order"
        for name in (
            "keras1/optimizers/Adam_003_tf",
            "keras1/optimizers/RMSprop_003_tf",
            "keras2/optimizers/RMSprop_003",
            "keras2/optimizers/SGD_004",
        )
    },
    "keras2/core/Flatten_005": "computed here",
    "keras2/core/Lambda_006": "the original wrote the mask of its last call into the config",
    "keras2/embeddings/Embedding_004": "the original wrote a shape within a shape",
    "keras2/initializers/Orthogonal_002": "the original wrote the seed of the next draw",
    "keras2/initializers/RandomNormal_002": "the original wrote the seed of the next draw",
    "keras2/convolutional_recurrent/ConvLSTM2D_012": "computed here",
    "keras2/local/LocallyConnected1D_005": "computed here",
    "keras2/recurrent/LSTMCell_001": "computed here",
    "keras2/recurrent/SimpleRNNCell_001": "computed here",
    "keras2/wrappers/Bidirectional_028": "kept here; the original forgot the states of a stateful layer inside",
    "keras2/recurrent/RNN_008": "states of stacked cells come nested, as in Keras 3",
    **{
        f"tf_keras2/preprocessing/{name}": "the original announced another shape than it gave"
        for name in ("Discretization_003", "Discretization_004", "Hashing_005")
    },
    **{
        f"tf_keras2/preprocessing/Random{side}_001": "a symbol does not know that there is no training: of any size"
        for side in ("Height", "Width")
    },
    "tf_keras2/preprocessing/RandomContrast_002": "computed here; the original draws between bounds that differ",
    "tf_keras2/preprocessing/RandomTranslation_004": "between the last row and the first: Keras 3's value",
    "tf_keras2/preprocessing/StringLookup_007": "texts are objects of an array, as in Keras 3",
    "tf_keras2/recurrent/RNN_008": "states of stacked cells come nested, as in Keras 3",
    "tf_keras2/core/EinsumDense_003": "the original announced another shape than it gave",
    "tf_keras2/core/Dense_012": "a layer of no units is refused, as by Keras 3",
    "tf_keras2/reshaping/UpSampling2D_018": "factors that are no integers are refused; the original rounded them",
    "tf_keras2/pooling/MaxPooling2D_023": "a window larger than the input is refused, as by Keras 3",
}


# What an older generation does and this project does not yet.
MISSING = {
    **{f"tf_keras2/preprocessing/pad_sequences_00{n}": "`preprocessing.sequence`" for n in (1, 2, 4, 6, 7)},
    "tf_keras2/convolutional/Conv2D_045": "several batch axes",
    "tf_keras2/normalization/BatchNormalization_014": "`virtual_batch_size`",
}


@dataclass(frozen=True)
class Case:
    generation: str
    family: str
    record: dict[str, Any]

    @property
    def id(self) -> str:
        return f"{self.generation}/{self.family}/{self.record['id']}"

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        return _arrays(self.generation, self.family).get(self.record["id"], {})

    @property
    def old(self) -> bool:
        """Whether it is replayed in an older generation's words."""
        return self.generation != "keras3"

    def __str__(self) -> str:
        return f"{self.id}: {'; '.join(self.record['code'].splitlines())}"


@functools.cache
def _arrays(generation: str, family: str) -> dict[str, dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(GOLDEN / generation / f"{family}.npz") as stored:
        for key in stored.files:
            case, name = key.split("/", 1)
            found.setdefault(case, {})[name] = stored[key]
    return found


def cases(families: dict[str, tuple[str, ...]] = FAMILIES) -> list[Case]:
    """The recorded cases of these families, without the classes of `NOT_YET`."""
    return [
        Case(generation, family, record)
        for generation, names in families.items()
        for family in names
        for record in map(_as_saved, json.loads((GOLDEN / generation / f"{family}.json").read_text())["cases"])
        if not {record["class"], f"{generation}/{record['class']}"} & NOT_YET and not _answered_here(family, record)
        if f"{generation}/{family}/{record['id']}" not in OTHERWISE | MISSING
    ]


def _as_saved(record: dict[str, Any]) -> dict[str, Any]:
    """The record with shapes in its config that it holds as text, "(2, 5)", as the original's files hold them."""
    if not record.get("config"):
        return record
    config = record["config"]
    shapes = {key: config[key] for key in config if key.endswith("_shape") and isinstance(config[key], str)}
    return {**record, "config": config | {key: list(ast.literal_eval(text)) for key, text in shapes.items()}}


def _answered_here(family: str, record: dict) -> bool:
    """Whether the original refuses what this project computes: "same" padding in its first implementation."""
    return family == "local" and "refused" in record and "padding='same'" in record["code"]


# Replaying -------------------------------------------------------------------------------------------------------


def problems(case: Case, keras: ModuleType) -> list[str]:
    """One line for every recorded quantity that `keras` does not reproduce; empty when all agree."""
    record = case.record
    replay = _KINDS[record["kind"]]
    keras.utils.set_random_seed(20150327)
    with process_settings(case, keras):
        keras = namespace(case, keras)
        refused = _refused(record)
        if refused is None:
            try:
                return list(replay(case, keras))
            except Exception as error:  # the replayed code may raise anything; the report names it
                return [f"raised {type(error).__name__}: {_line(error)}"]
        try:
            for _ in replay(case, keras):
                pass
        except refused:
            return []
        except Exception as error:
            return [f"raised {type(error).__name__} instead of {_error(record)}: {_line(error)}"]
        return [f"accepted; the original raises {_error(record)}"]


def _error(record: dict) -> str:
    return "{type}: {message}".format(**record["refused"]) if "refused" in record else "ValueError on torch"


def _refused(record: dict) -> tuple[type[Exception], ...] | None:
    """The errors that answer a refused case. An original's internal error stands for either kind of bad argument."""
    if record.get("compute_output_shape") == "raises ValueError" and "torch" in record.get("refused_by", ()):
        return (ValueError,)  # a window larger than its input, of which one backend made an empty output
    if "refused" not in record:
        return None
    named = {"ValueError": (ValueError,), "TypeError": (TypeError,)}
    return named.get(record["refused"]["type"], (ValueError, TypeError))


def namespace(case: Case, keras: ModuleType) -> ModuleType:
    """The package that speaks a case's generation."""
    if not case.old:
        return keras
    name = {"tf_keras2": "tf_keras"}.get(case.generation, case.generation)
    return importlib.import_module(f"{keras.__name__}.{name}")


@contextlib.contextmanager
def process_settings(case: Case, keras: ModuleType) -> Iterator[None]:
    """Data format, and for Keras 1 and 2 the backend and the learning phase, as they were for a case."""
    record, config = case.record, keras.config
    keras = namespace(case, keras)
    before = config.image_data_format()
    theano = case.generation == "keras1" and record.get("backend") == "theano"
    config.set_image_data_format(record.get("image_data_format") or ("channels_first" if theano else before))
    old = getattr(keras, "backend", None)
    if old is not None and case.old:
        old.set_backend("theano" if theano else "tensorflow")
    try:
        yield
    finally:
        config.set_image_data_format(before)
        if old is not None and case.old:
            old.set_backend("tensorflow")


def _replay_layer(case: Case, keras: ModuleType) -> Iterator[str]:
    record, arrays = case.record, case.arrays
    names = names_of(record, keras)
    layer = names["layer"] = eval(record["code"], names)
    inputs = inputs_of(case)
    first = record["calls"][0]["code"]
    with torch.no_grad():
        eval(first.replace("training=True", "training=False"), names | inputs)  # leaves moving statistics as created
    if "weights" not in record:
        return  # a refused case ends here
    if getattr(layer, "stateful", False):
        layer.reset_state()
    if "after_build" in record:
        eval(record["after_build"], names)
    yield from _set_weights(case, layer)

    wanted = {name: arrays[name] for name in arrays if name.startswith("grad_")}
    for name in wanted:
        if name.startswith("grad_input"):
            inputs[f"x{name.removeprefix('grad_input')}"].requires_grad_()
    outputs = yield from _calls(case, names | inputs)
    for i, (name, weight) in enumerate(zip(_weight_names(case, layer), layer.get_weights(), strict=True)):
        if f"after_weight{i}" in arrays:
            yield from _differs(f"weight {name} after the call", weight, arrays[f"after_weight{i}"], record)
    if "losses" in record:
        yield from _differs("losses", np.array([_array(loss) for loss in layer.losses]), record["losses"], record)
    for name, code in record.get("extra", {}).items():
        yield from _differs(code, eval(code, names | inputs), arrays[f"extra_{name}"], record)
    if wanted:
        yield from _gradients(case, layer, inputs, outputs, wanted)
    yield from _shapes(case, layer, names, next((call["code"] for call in record["calls"] if call["outputs"]), first))
    yield from _config(case, layer)


def _set_weights(case: Case, model: Any) -> Iterator[str]:
    """Compare what building created, then set the recorded weights (in the order of `get_weights`)."""
    record, arrays = case.record, case.arrays
    expected, weights = record["weights"], model.get_weights()
    names = _weight_names(case, model)
    if len(names) != len(expected) or not all(map(_same_name, names, (weight["name"] for weight in expected))):
        yield f"weights are {names}, expected {[weight['name'] for weight in expected]}"
        return
    for weight, new in zip(weights, expected, strict=True):
        if list(weight.shape) != new["shape"]:
            yield f"weight {new['name']} has shape {list(weight.shape)}, expected {new['shape']}"
        yield from _initial(f"initial {new['name']}", weight, new["initial"])
    trainable = sum(weight.get("trainable", True) for weight in expected)
    if not case.old and sum(weight.trainable for weight in model.weights) != trainable:
        yield f"{sum(weight.trainable for weight in model.weights)} weights are trainable, expected {trainable}"
    values = [arrays[f"weight{i}"] for i in range(len(expected))]
    model.set_weights(values)


def _weight_names(case: Case, model: Any) -> list[str]:
    """The names of the weights, without their layers', in the order of `get_weights`."""
    if case.old:
        return model.weight_names()
    return [weight.path.rsplit("/", 1)[-1] for weight in model.weights]


def _same_name(name: str, recorded: str) -> bool:
    """Keras 1 writes layer_name_W, the others layer/name/kernel."""
    own = re.sub(r"_\d+$", "", recorded.rsplit("/", 1)[-1])
    return name in (own, recorded.rsplit("/", 1)[-1]) or recorded.endswith(f"_{name}")


def _initial(what: str, value: np.ndarray, initial: dict) -> Iterator[str]:
    if "constant" in initial or "values" in initial:
        new = np.broadcast_to(initial.get("constant", initial.get("values")), value.shape)
        if not np.allclose(value, new, rtol=1e-5, atol=1e-6):
            yield f"{what} is {value.ravel()[:6]}.., expected {new.ravel()[:6]}.."
    elif "random" in initial and value.size > 1:
        extent = max(abs(bound) for bound in initial["random"].values())
        if np.ptp(value) == 0:
            yield f"{what} is constant {value.flat[0]}, expected a random draw"
        elif value.size > 8 and not 0.3 < np.abs(value).max() / extent < 3:
            yield f"{what} reaches {np.abs(value).max():.3g}, the original's draw {extent:.3g}"


@contextlib.contextmanager
def _learning_phase(case: Case, keras: ModuleType) -> Iterator[None]:
    """Keras 1 and 2 say in one place whether layers are in training."""
    phase = case.record.get("learning_phase")
    if phase is not None:
        keras.backend.set_learning_phase(phase)
    try:
        yield
    finally:
        if phase is not None:
            keras.backend.set_learning_phase(None)


def _calls(case: Case, names: dict) -> Iterator[str]:
    """Run the calls in order; what they return is what this generator returns."""
    with _learning_phase(case, names["keras"]):
        return (yield from _calls_in_phase(case, names))


def _calls_in_phase(case: Case, names: dict) -> Iterator[str]:
    record = case.record
    returned = []
    for call in record["calls"]:
        outputs = _flat(eval(call["code"], names))
        if not call["outputs"]:
            continue
        returned += outputs
        if len(outputs) != len(call["outputs"]):
            yield f"{call['code']} gives {len(outputs)} outputs, expected {len(call['outputs'])}"
        for name, output in zip(call["outputs"], outputs, strict=False):
            yield from _differs(name, output, case.arrays[name], record)
        for dtype, output in zip(call.get("dtypes", ()), outputs, strict=False):
            if str(output.dtype).removeprefix("torch.") != dtype:
                yield f"{call['code']} has dtype {output.dtype}, expected {dtype}"
    return returned


def _gradients(case: Case, layer: Any, inputs: dict, outputs: list, wanted: dict) -> Iterator[str]:
    loss = sum(
        (output * torch.cos(torch.arange(output.numel(), dtype=output.dtype)).reshape(output.shape)).sum()
        for output in outputs
        if output.is_floating_point()
    )
    parameters = [weight if isinstance(weight, torch.Tensor) else weight.value for weight in layer.weights]
    at = {f"x{name.removeprefix('grad_input')}": name for name in wanted if "input" in name}
    sources = [*parameters, *(inputs[name] for name in at)]
    floats = [source for source in sources if source.is_floating_point() and source.requires_grad]
    grads = dict(zip(map(id, floats), torch.autograd.grad(loss, floats, allow_unused=True), strict=True))
    of_weights = [grads.get(id(parameter)) for parameter in parameters]
    if case.old:
        filled = [_array(torch.zeros_like(p) if g is None else g) for p, g in zip(parameters, of_weights, strict=True)]
        of_weights = layer.to_old_weights(filled)
    gradients = {f"grad_weight{i}": gradient for i, gradient in enumerate(of_weights)}
    gradients |= {name: grads.get(id(inputs[key])) for key, name in at.items()}
    for name, new in wanted.items():
        found = gradients[name]
        if found is None:
            yield f"{name} does not exist: nothing reaches it from the output"
            continue
        yield from _differs(name, found, new, case.record)


def _shapes(case: Case, layer: Any, names: dict, call: str) -> Iterator[str]:
    record = case.record
    shapes = {f"x{i}": tuple(given["shape"]) for i, given in enumerate(record["inputs"])}
    new = record.get("compute_output_shape")
    if isinstance(new, list):
        arguments = {name: (None, *shape[1:]) for name, shape in shapes.items()}
        shape = eval(call, {"layer": lambda inputs, *_, **__: inputs} | arguments)
        found = _plain(layer.compute_output_shape(shape))
        if not _at_least(found, new):
            yield f"compute_output_shape({shape}) is {found}, expected {new}"
    if "symbolic_output_shape" in record:
        keras = names["keras"]
        symbols = {
            name: keras.Input(batch_shape=shape, dtype=given["dtype"])
            for (name, shape), given in zip(shapes.items(), record["inputs"], strict=True)
        }
        fresh = eval(record["code"], names)
        found = [list(output.shape) for output in _flat(eval(call, names | symbols | {"layer": fresh}))]
        new = record["symbolic_output_shape"]
        if len(found) != len(new) or not all(map(_at_least, found, new)):
            yield f"the symbolic output's shape is {found}, expected {record['symbolic_output_shape']}"


def _at_least(found: Any, new: Any) -> bool:
    """Whether a shape, or a list of them, says what the original says: behind the batch all that it knows, or more."""
    if not isinstance(new, list) or not isinstance(found, list) or len(found) != len(new):
        return found == new
    if any(isinstance(one, list) for one in new):
        return all(map(_at_least, found, new))
    return all(b in (None, a) or (axis == 0 and a is None) for axis, (a, b) in enumerate(zip(found, new, strict=True)))


def _config(case: Case, made: Any) -> Iterator[str]:
    """Compare the config, then that of what `from_config` makes of the recorded one."""
    new = case.record.get("config")
    if new is None:
        return
    plain = functools.partial(_plain, modern=not case.old)
    if case.old and new.get("function_type") == "lambda":
        plain = _plain_code
    yield from _config_differs("config", plain(made.get_config()), plain(new))
    again = plain(type(made).from_config(json.loads(json.dumps(new))).get_config())
    if case.generation == "keras1":  # there `input_dim`, known from the build, makes a first layer of the copy
        again = _without_shapes(again, new)
    yield from _config_differs("from_config(config)", again, plain(new))


def _plain_code(config: dict) -> dict:
    """The config of a Lambda without the code itself, which depends on the version of Python."""
    coded = {key.removesuffix("_type") for key, value in config.items() if key.endswith("_type") and value == "lambda"}
    return {key: "code" if key in coded else value for key, value in _plain(config, modern=False).items()}


def _without_shapes(config: dict, new: dict) -> dict:
    """The config without the shapes of a first layer that `new` does not have."""
    return {
        key: _without_shapes(value, new[key]) if isinstance(value, dict) and isinstance(new.get(key), dict) else value
        for key, value in config.items()
        if key in new or not key.startswith(("batch_i", "input_"))
    }


def _config_differs(where: str, found: Any, new: Any) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(new, dict):
        if found.keys() != new.keys():
            yield f"{where} lacks {sorted(new.keys() - found.keys())}, has also {sorted(found.keys() - new.keys())}"
        for key in sorted(found.keys() & new.keys()):
            yield from _config_differs(f"{where}[{key!r}]", found[key], new[key])
    elif isinstance(found, list) and isinstance(new, list) and len(found) == len(new):
        for i, (one, other) in enumerate(zip(found, new, strict=True)):
            yield from _config_differs(f"{where}[{i}]", one, other)
    elif isinstance(found, float) and isinstance(new, float):
        if not np.isclose(found, new, rtol=1e-6, atol=0, equal_nan=True):
            yield f"{where} is {found!r}, expected {new!r}"
    elif found != new or isinstance(found, bool) != isinstance(new, bool):
        yield f"{where} is {found!r}, expected {new!r}"


def _replay_model(case: Case, keras: ModuleType) -> Iterator[str]:
    record = case.record
    names = names_of(record, keras)
    exec(record["code"], names)
    model = names["model"]
    yield from _set_weights(case, model)
    yield from _calls(case, names | inputs_of(case, raw=True))
    found = [type(layer).__name__ for layer in model.layers]
    if found != [name for _, name in record["layers"]]:
        yield f"layers are {found}, expected {record['layers']}"
    if _plain(model.output_shape) != record["output_shape"]:
        yield f"output_shape is {model.output_shape}, expected {record['output_shape']}"


def _replay_object(case: Case, keras: ModuleType) -> Iterator[str]:
    names = names_of(case.record, keras)
    names["obj"] = eval(case.record["code"], names)
    yield from _calls(case, names | inputs_of(case))
    yield from _config(case, names["obj"])


def _replay_function(case: Case, keras: ModuleType) -> Iterator[str]:
    names = names_of(case.record, keras) | inputs_of(case, raw=case.record.get("raw_inputs", False))
    if "refused" in case.record:
        eval(case.record["code"], names)
        return
    yield from _calls(case, names)


def _replay_optimizer(case: Case, keras: ModuleType) -> Iterator[str]:
    record = case.record
    optimizer = eval(record["code"], names_of(record, keras))
    model = keras.Sequential([keras.Input((record["inputs"][0]["shape"][-1],)), keras.layers.Dense(2)])
    model.compile(optimizer=optimizer, loss="mse")
    yield from _set_weights(case, model)
    inputs = inputs_of(case, raw=True)
    trajectory, losses = [], []
    for _ in range(5):
        loss = model.train_on_batch(inputs["x0"], inputs["x1"])
        losses.append(float(np.ravel(loss)[0]))
        trajectory.append(np.concatenate([weight.ravel() for weight in model.get_weights()]))
    yield from _differs("trajectory", np.stack(trajectory), case.arrays["trajectory"], record)
    yield from _differs("losses", np.array(losses), case.arrays["losses"], record)
    yield from _config(case, optimizer)


def _replay_initializer(case: Case, keras: ModuleType) -> Iterator[str]:
    record = case.record
    initializer = eval(record["code"], names_of(record, keras))
    if "refused" in record:
        return
    dtype = {} if case.generation == "keras1" else {"dtype": record["dtype"]}
    draw = _array(initializer(tuple(record["shape"]), **dtype))
    if record.get("exact"):
        yield from _differs("output", draw, case.arrays["output"], record)
    yield from _statistics(draw, record["statistics"], draws=1)
    if "orthogonal_gain_squared" in record:
        rows = draw.reshape(-1, draw.shape[-1]).astype("float64")
        gram = rows @ rows.T if rows.shape[0] < rows.shape[1] else rows.T @ rows
        if draw.ndim > 2 and case.generation == "keras1":  # there the first axis holds the orthogonal vectors
            gram = np.eye(len(gram)) * np.diag(gram).mean()
        yield from _differs("Gram matrix", gram, record["orthogonal_gain_squared"] * np.eye(len(gram)), record)
    yield from _config(case, initializer)


def _replay_stochastic(case: Case, keras: ModuleType) -> Iterator[str]:
    names = names_of(case.record, keras)
    names["layer"] = eval(case.record["code"], names)
    with _learning_phase(case, keras):
        output = eval(case.record["calls"][0]["code"], names | inputs_of(case))
    statistics = case.record["statistics"]
    repeats = np.prod([statistics["shape"][axis] for axis in statistics["constant_axes"]])
    yield from _statistics(_array(output), statistics, draws=repeats)
    yield from _config(case, names["layer"])


def _statistics(draw: np.ndarray, new: dict, draws: float) -> Iterator[str]:
    """Compare a draw with another one of which only statistics are known. `draws`: how often each value is repeated.

    The bounds are five deviations of the difference of two draws; a bounded distribution (its extremes lie within
    2.5 deviations) must not leave the other's range.
    """
    if list(draw.shape) != new["shape"]:
        yield f"shape is {list(draw.shape)}, expected {new['shape']}"
        return
    constant = [axis for axis in range(draw.ndim) if draw.shape[axis] > 1 and np.ptp(draw, axis=axis).max() == 0]
    if constant != new["constant_axes"]:
        yield f"constant along the axes {constant}, expected {new['constant_axes']}"
    if "values" in new and not np.allclose(np.unique(draw.round(4)), new["values"], atol=2e-4):
        yield f"values are {np.unique(draw.round(4))[:6]}, expected {new['values']}"
    count = draw.size / draws
    std, fraction = new["std"], new["zero_fraction"]
    bounds = {
        "mean": (draw.mean(), 7 * std / count**0.5),
        "std": (draw.std(), 5 * std / count**0.5),
        "zero_fraction": ((draw == 0).mean(), 7 * (fraction * (1 - fraction) / count) ** 0.5),
    }
    for name, (found, bound) in bounds.items():
        if abs(found - new[name]) > bound + 1e-4:
            yield f"{name} is {found:.4g}, expected {new[name]:.4g} within {bound:.2g}"
    for name, found in (("min", draw.min()), ("max", draw.max())):
        extent = abs(new[name] - new["mean"])
        bound = 0.07 * extent if extent < 2.5 * std else 3 * std
        if count >= 500 and abs(found - new[name]) > bound + 1e-4:
            yield f"{name} is {found:.4g}, expected {new[name]:.4g} within {bound:.2g}"


_KINDS: dict[str, Callable[[Case, ModuleType], Iterator[str]]] = {
    "layer": _replay_layer,
    "model": _replay_model,
    "object": _replay_object,
    "function": _replay_function,
    "optimizer": _replay_optimizer,
    "initializer": _replay_initializer,
    "stochastic": _replay_stochastic,
}


# Names, arrays, configs -------------------------------------------------------------------------------------------


def names_of(record: dict, keras: ModuleType) -> dict[str, Any]:
    """What the names in a case's code mean: modules, layers, and the short names of regularizers and constraints."""
    names: dict[str, Any] = {"keras": keras, "np": np}
    homes = (keras, keras.layers, keras.regularizers, keras.constraints)
    if "K" not in names and hasattr(keras, "backend"):
        names["K"] = keras.backend
    code = " ".join([record["code"], record.get("after_build", ""), *(call["code"] for call in record["calls"])])
    for name in set(re.findall(r"[A-Za-z_]\w*", code)) - names.keys():
        home = next((home for home in homes if hasattr(home, name)), None)
        if home is not None:
            names[name] = getattr(home, name)
    return names


def inputs_of(case: Case, raw: bool = False) -> dict[str, Any]:
    """x0, x1, .. as tensors, or as arrays when `raw`; a refused case has only their shapes."""
    found = {}
    for i, given in enumerate(case.record["inputs"]):
        if "values" in given:
            found[f"x{i}"] = np.array(given["values"])
            continue
        if "fill" in given or "refused" in case.record:
            value = np.full(given["shape"], given.get("fill", 1), given["dtype"])
        else:
            value = case.arrays[f"input{i}"].copy()
        found[f"x{i}"] = value if raw else torch.from_numpy(value)
    return found


def _flat(outputs: Any) -> list:
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    return [leaf for output in outputs for leaf in _flat(output)] if isinstance(outputs, (list, tuple)) else [outputs]


def _array(value: Any) -> np.ndarray:
    value = value if isinstance(value, torch.Tensor) else getattr(value, "value", value)
    if not isinstance(value, torch.Tensor):
        return np.asarray(value)
    value = value.detach().cpu()
    return (value.float() if value.dtype in (torch.bfloat16, torch.float16) else value).numpy()


def _differs(what: str, found: Any, new: Any, record: dict) -> Iterator[str]:
    found, new = _array(found), np.asarray(new)
    if found.shape != new.shape:
        yield f"{what} has shape {found.shape}, expected {new.shape}"
    elif new.dtype.kind not in "fc":
        if not np.array_equal(found, new):
            yield f"{what} differs: {found.ravel()[:6]}.., expected {new.ravel()[:6]}.."
    else:
        tolerance = record.get("tolerance")
        rtol, atol = (tolerance, tolerance) if tolerance else (1e-4, 1e-5)
        close = np.isclose(found, new, rtol=rtol, atol=atol, equal_nan=True)
        if not close.all():
            worst = np.nanmax(np.abs(np.subtract(found, new, dtype="float64")))
            yield f"{what} differs at {(~close).sum()} of {close.size} places, by at most {worst:.3g}"


def _plain(value: Any, modern: bool = True) -> Any:
    """A config as JSON has it: tuples are lists, numbers plain, automatic names without their number.

    Not `modern`: without what Keras 2 did not write (policies instead of dtypes, the axes of initializers).
    """
    if isinstance(value, dict):
        if value.get("class_name") == "__lambda__":
            return {"class_name": "__lambda__"}
        if value.get("class_name") == "DTypePolicy" and not modern:
            return value["config"]["name"]
        return {
            key: re.sub(r"_\d+$", "", item) if key == "name" and isinstance(item, str) else _plain(item, modern)
            for key, item in value.items()
            if modern or key not in ("input_axes", "output_axes")
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item, modern) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return _plain(value.tolist())
    return value


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def main(package: str = "lamina", *families: str) -> int:
    generation = next((name for name in families if name in FAMILIES), "")
    families = tuple(name for name in families if name not in FAMILIES)
    if generation and not families:
        families = FAMILIES[generation]
    keras = importlib.import_module(package)
    torch.set_num_threads(1)
    chosen = FAMILIES
    if families:
        chosen = {name: tuple(set(own) & set(families)) for name, own in FAMILIES.items() if generation in ("", name)}
    counts: dict[str, list[int]] = {}
    for case in cases(chosen):
        found = problems(case, keras)
        count = counts.setdefault(f"{case.generation}/{case.family}", [0, 0])
        count[0] += not found
        count[1] += 1
        if found:
            print(case, *found, sep="\n    ")
    counts["all"] = [sum(column) for column in zip(*counts.values(), strict=True)]
    for name, (passed, total) in counts.items():
        print(f"{name:32} {passed:5}/{total}")
    return int(counts["all"][0] < counts["all"][1])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
