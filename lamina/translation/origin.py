"""Which generation wrote a config or a file, told from its own words."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from . import keras0, keras1, keras2
from .words import is_old

# Words that only one generation writes into the configs of its layers.
_KERAS1 = frozenset({"input_dtype", "border_mode", "dim_ordering", "nb_filter", "inner_activation", "W_regularizer"})
_KERAS2 = frozenset({"batch_input_shape"})
_TF_KERAS = frozenset({"time_major", "ragged", "module", "registered_name"})
_KERAS3 = frozenset({"batch_shape", "quantization_config"})


BACKENDS = ("tensorflow", "theano")
_UNORDERED = [name for name, entry in keras1.LAYERS.items() if "dim_ordering" in entry.unsaved]


def generation_of(described: Any, version: str | None = None) -> str | None:
    """Who wrote a model's {"class_name": ..., "config": ...}: keras1, keras2, tf_keras or keras3; None for the mute.

    `version` is the file's `keras_version`; else the config's own counts, else its words.
    """
    if not isinstance(described, Mapping) or is_old(described):
        return None
    if keras0.is_old(described):
        return "keras1"
    told = version or described.get("keras_version")
    if told is not None:
        return generation_of_version(str(told))
    words = frozenset(_words(described.get("config")))
    if words & _KERAS3:
        return "keras3"
    if words & _KERAS1:
        return "keras1"
    if words & _KERAS2:
        return "tf_keras" if words & _TF_KERAS else "keras2"
    return "keras3" if "module" in described else None


def telling_words(described: Any) -> list[str]:
    """The words of a config that tell its generation where no version does."""
    config = described.get("config") if isinstance(described, Mapping) else None
    return sorted({*_words(config)} & (_KERAS1 | _KERAS2 | _TF_KERAS | _KERAS3))


def generation_of_version(version: str) -> str:
    """2.0 to 2.3 are Keras' own; TensorFlow's say so up to 2.3, and are alone from 2.4 on."""
    found = re.match(r"(\d{1,9})(?:\.(\d{1,9}))?", version)
    major, minor = (int(part or 0) for part in found.groups()) if found else (3, 0)
    if major != 2:
        return "keras1" if major < 2 else "keras3"
    return "tf_keras" if minor > 3 or "-tf" in version else "keras2"


def sorts_weights(version: str | None) -> bool:
    """Whether that Keras' optimizers keep their state in the order of the weights' names: up to 2.0.5."""
    found = re.match(r"(\d{1,9})(?:\.(\d{1,9})(?:\.(\d{1,9}))?)?", version or "1")
    return found is not None and tuple(int(part or 0) for part in found.groups()) < (2, 0, 6)


def backend_of(names: Iterable[str]) -> str | None:
    """Which backend named these weights: TensorFlow's names end in ":0", Theano's do not; None for numbers alone."""
    told = next((name for name in names if not re.fullmatch(r"param_\d+", name)), None)
    return told and ("tensorflow" if told.endswith(":0") else "theano")


def told_backend(described: Any) -> str | None:
    """The backend that a model's description names, where it is one whose arithmetic is known."""
    told = described.get("backend") if isinstance(described, Mapping) else None
    return told if told in BACKENDS else None


def addressed(described: Mapping[str, Any], generation: str | None) -> dict[str, Any]:
    """The same, with the module of the generation in which its model class is found."""
    if is_old(described):
        generation = str(described["module"]).split(".")[1]
    if generation in (None, "keras3"):
        return _without_spare_words(described)
    described = copy.deepcopy(dict(described))
    if keras0.is_old(described):
        described = keras0.to_keras1(described)
    found = [(entry["class_name"], entry["config"]) for entry in entries(described)]
    found = [(name, config) for name, config in found if isinstance(name, str) and isinstance(config, dict)]
    orderings = {config["dim_ordering"] for _, config in found if isinstance(config.get("dim_ordering"), str)}
    for name, config in found:
        if generation == "keras2" and name != "InputLayer" and str(config.get("dtype")).startswith(("int", "uint")):
            config["input_dtype"] = config.pop("dtype")  # up to 2.0.8 it was said of the input
        if generation == "tf_keras" and name in ("GRU", "GRUCell"):
            config.setdefault("reset_after", False)  # TensorFlow 1 knew no other, and did not say so
        if generation == "keras1" and name in _UNORDERED and len(orderings) == 1:
            config.setdefault("dim_ordering", *orderings)  # the same as beside it, which does say so
    if generation == "tf_keras":
        _mark_shared(described)
    return {**described, "module": f"lamina.{generation}.models"}


def _without_spare_words(described: Mapping[str, Any]) -> dict[str, Any]:
    """The same without what Keras 3.0 to 3.5 checked and did not use."""

    def spare(entry: Mapping[str, Any]) -> bool:
        config = entry["config"]
        return entry["class_name"] == "RandomRotation" and isinstance(config, dict) and "value_range" in config

    if not any(map(spare, entries(described))):
        return dict(described)
    described = copy.deepcopy(dict(described))
    for entry in filter(spare, entries(described)):
        del entry["config"]["value_range"]
    return described


def _mark_shared(described: Mapping[str, Any]) -> None:
    """Give a layer in an inner model the id that it has beside that: tf.keras loses the one that it wrote first."""
    marked: dict[tuple[str, str], dict[str, Any]] = {}
    plain: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in entries(described):
        if isinstance(entry["config"], dict) and "name" in entry["config"]:
            key = str(entry["class_name"]), str(entry["config"]["name"])
            if entry.get("shared_object_id") is None:
                plain.setdefault(key, []).append(entry)
            else:
                marked[key] = entry
    for key, entry in marked.items():
        if len(plain.get(key, ())) == 1:
            plain[key][0].update(config=entry["config"], shared_object_id=entry["shared_object_id"])


def otherwise(generation: str, backend: str | None) -> frozenset[str]:
    """Today's classes of which a generation stored other arrays, or which computed something else on its backend."""
    if generation == "keras1":
        entries = keras1.LAYERS.values()
        return frozenset(entry.modern for entry in entries if entry.weights not in ("", "simple_rnn")) | {
            "Conv2DTranspose"
        }
    if generation != "keras3" and backend != "tensorflow":
        return frozenset(
            name for name in keras2.LAYERS if "Conv" in name or ("Pooling" in name and "Global" not in name)
        )
    return frozenset()


_WRAPPERS = ("LossFunctionWrapper", "MeanMetricWrapper", "SumOverBatchSizeMetricWrapper")  # of a function


def training(settings: Mapping[str, Any], generation: str) -> dict[str, Any]:
    """What a file says of training, in words that the generation's own classes understand."""
    found = copy.deepcopy(dict(settings))
    for entry in entries(found):
        config = entry["config"]
        if not isinstance(config, dict):
            continue
        if config.get("name", "") is None:  # of a schedule that was given none
            del config["name"]
        if config.get("reduction") == "auto":
            config["reduction"] = "sum_over_batch_size"
        if "fn" in config and entry["class_name"] not in _WRAPPERS:
            del config["fn"]  # the class says it
        if isinstance(config.get("fn"), str):
            config["fn"] = {"module": "builtins", "class_name": "function", "config": config["fn"]}
    waiting = [found.get("optimizer"), found.get("optimizer_config")]
    for entry in waiting:
        if not isinstance(entry, dict):
            continue
        name = str(entry.get("class_name")).removeprefix("Custom>")  # so tf.keras calls its own
        config = entry.get("config")
        legacy = generation == "tf_keras" and "use_ema" not in (config or ())
        home = "optimizers.legacy" if legacy else "optimizers"  # those of 2.10 and earlier
        entry |= {"class_name": name, "module": f"lamina.{generation}.{home}"}
        if name.startswith("LossScaleOptimizer") and isinstance(config, dict):
            entry |= {"class_name": "LossScaleOptimizer", "module": "lamina.tf_keras.mixed_precision"}
            waiting.append(config.get("inner_optimizer"))
    return {key: value for key, value in found.items() if value is not None}


def packs_otherwise(version: Any) -> bool:
    """Whether Keras of this version has another form for kernels of four bits than those since 3.14."""
    return re.match(r"3\.1[123]\b", str(version)) is not None


def is_lambda(described: object) -> bool:
    """Whether it is the code of a function, which Keras 3 writes for an activation without saying so."""
    if not isinstance(described, Mapping):
        return False
    bare = described.keys() == {"code", "defaults", "closure"}
    bare = bare or (described.keys() == {"value"} and isinstance(described["value"], list))
    return bare or described.get("class_name") == "__lambda__"


State = tuple[np.ndarray | int, np.ndarray | None, dict[str, list[np.ndarray]]]


def optimizer_state(
    stored: Mapping[str, np.ndarray], slots: Sequence[Sequence[str]], shapes: Sequence[tuple[int, ...]]
) -> State | None:
    """Steps, Nadam's product and the slots' arrays, of an optimizer of Keras 2 or tf.keras; None where they misfit.

    `slots`: names of state tensors, those of a tuple take turns in today's files; `shapes`: the weights'. Those of
    tf.keras 2.11 and later stand as today's do, all others one slot after the other.
    """
    scalars: dict[str, np.ndarray] = {}
    arrays: list[np.ndarray] = []
    words: list[str] = []
    for name, array in stored.items():
        word = name.rsplit("/", 1)[-1].split(":")[0]
        if word in ("iteration", "iterations", "iter", "learning_rate", "m_schedule", "momentum_cache"):
            scalars[word] = array[()]
        else:
            arrays.append(array)
            words.append(word)
    if arrays and arrays[0].ndim == 0 and () not in shapes:
        scalars["iterations"] = arrays.pop(0)[()]  # Keras 1 gave no names
    if not slots and [array.shape for array in arrays] == [*shapes]:
        arrays = []  # a momentum of 0, of which older ones kept the last step
    arrays = _slot_after_slot(arrays, words)
    turns = slots if "iteration" in scalars else [(name,) for group in slots for name in group]
    order = [(name, shape) for group in turns for shape in shapes for name in group]
    if len(arrays) == len(order) + len(shapes) and all(array.size == 1 for array in arrays[len(order) :]):
        del arrays[len(order) :]  # Keras 2 kept a number for each maximum that Adam without `amsgrad` does not need
    if [array.shape for array in arrays] != [shape for _, shape in order]:
        return None
    found: dict[str, list[np.ndarray]] = {}
    for (name, _), array in zip(order, arrays, strict=True):
        found.setdefault(name, []).append(array)
    steps = next((scalars[word] for word in ("iteration", "iterations", "iter") if word in scalars), 0)
    product = scalars.get("m_schedule", scalars.get("momentum_cache"))
    if product is None and "iteration" not in scalars:
        product = np.ones(())  # Keras 1, and 2 up to 2.2, begin it anew
    return steps, product, found


_UNCOUNTED = ("RMSprop", "Adagrad", "Adadelta")  # in Keras 1, which keeps no product of Nadam's either


def written_state(
    generation: str,
    optimizer: str,
    singles: Mapping[str, Any],
    slots: Sequence[tuple[str, Any]],
    unused: Sequence[tuple[str, Any]],
) -> list[tuple[str, Any]]:
    """The state that optimizers of Keras 1 and 2 take back, which count what they are given.

    `singles`: counts of steps and products; `slots`: what belongs to the weights; `unused`: zeros of their shapes, for
    the last steps that SGD keeps without a momentum, too.
    """
    first = list(singles.items())
    if generation == "keras1":
        first = [] if optimizer in _UNCOUNTED else first[:1]
    if optimizer == "SGD" and not slots:
        slots = unused
    numbers = generation == "keras2" and optimizer == "Adam" and len(slots) == 2 * len(unused)
    maxima = [(path, np.zeros(1, "float32")) for path, _ in unused] if numbers else []  # which `amsgrad` needs
    return [*first, *slots, *maxima]


_SLOTS = {"m", "v", "vhat", "rms", "mg", "momentum", "accumulator", "linear", "accum_grad", "accum_var"}


def _slot_after_slot(arrays: list[np.ndarray], words: Sequence[str]) -> list[np.ndarray]:
    """The arrays of one slot together, where their names tell: Ftrl of TensorFlow 2.10 and earlier took turns."""
    if len(words) != len(arrays) or not set(words) <= _SLOTS:
        return arrays
    order = {word: place for place, word in enumerate(dict.fromkeys(words))}
    return [arrays[place] for place in sorted(range(len(words)), key=lambda place: order[words[place]])]


def entries(value: Any) -> Iterator[dict[str, Any]]:
    """All descriptions of objects below `value`."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if "class_name" in item and "config" in item:
                yield item
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)


def _words(value: Any) -> Iterator[str]:
    """The arguments of all layers below `value`, and what stands beside their configs."""
    for entry in entries(value):
        if not is_old(entry):
            yield from entry
            yield from entry["config"] if isinstance(entry["config"], dict) else ()
