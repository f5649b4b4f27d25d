"""The architectures of `keras.applications`, and weights and pictures that a formula makes on any engine.

`tools/record_applications.py` records with them what the original says; `tests/test_applications.py` holds
`lamina.applications` against it. In `golden/applications.xz` each line is a case and, behind a tab, JSON:

    {"top": model, "features": model, "files": [[name, address, sum], [likewise, without the top]]}

A case is a call, such as "MobileNetV2(alpha=0.35)"; `top` is the model as the call makes it with random weights,
`features` ends in the mean over the picture. Of both there is all that `described` tells, and `outputs` for two
pictures of the size `SIZE`: the first `KEPT` features, and what `tried` gives, ten classes before any activation.
`files` are those of the published weights, where there are any.
"""

from __future__ import annotations

import ast
import functools
import json
import lzma
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

RECORDED = Path(__file__).parents[1] / "golden" / "applications.xz"
_REPEATED = ("build_config", "dtype", "mask", "optional", "training")  # usual ones, or told elsewhere
KEPT = 32  # of the features, the first
SIZE = (80, 107, 3)  # small, not square, odd on one side

CASES = (
    "VGG16", "VGG19", "Xception", "InceptionV3", "InceptionResNetV2",
    *(f"ResNet{depth}{version}" for version in ("", "V2") for depth in (50, 101, 152)),
    *(f"DenseNet{depth}" for depth in (121, 169, 201)),
    "MobileNet", "MobileNet(alpha=0.25)", "MobileNet(alpha=1.5, depth_multiplier=2, dropout=0)",
    "MobileNetV2", "MobileNetV2(alpha=0.35)", "MobileNetV2(alpha=1.4)",
    *(
        f"MobileNetV3{size}{options}"
        for size in ("Small", "Large")
        for options in ("", "(alpha=0.75)", "(minimalistic=True)",
                        "(alpha=1.25, dropout_rate=0, include_preprocessing=False)")
    ),
    *(f"EfficientNetB{number}" for number in range(8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    "EfficientNetV2B0(include_preprocessing=False)", "EfficientNetV2S(include_preprocessing=False)",
    *(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")),
    "ConvNeXtTiny(include_preprocessing=False)",
    "NASNetMobile", "NASNetLarge",
)  # fmt: skip


def call_of(case: str) -> tuple[str, dict[str, Any]]:
    """The name of the architecture and the arguments of its call."""
    tree: Any = ast.parse(case, mode="eval").body
    if isinstance(tree, ast.Name):
        return tree.id, {}
    return tree.func.id, {word.arg: ast.literal_eval(word.value) for word in tree.keywords}


def variants(case: str) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """For each of a case's two models the arguments of the call that is described, and of the one that is tried."""
    given = {**call_of(case)[1], "weights": None}
    features = {**given, "include_top": False, "pooling": "avg"}
    if case == "NASNetLarge":  # for pictures of unknown sizes, parts of Keras' network do not fit together
        features["input_shape"] = SIZE
    sized = {**features, "input_shape": SIZE} if case == "NASNetMobile" else features  # the others take any size
    small = {**given, "classes": 10, "classifier_activation": None, "input_shape": SIZE}
    return {"top": (given, small), "features": (features, sized)}


@functools.cache
def lines() -> dict[str, str]:
    """What is recorded, as text: objects by the hundred thousand would slow down whatever collects garbage."""
    text = lzma.decompress(RECORDED.read_bytes()).decode()
    return dict(line.split("\t") for line in text.splitlines())


def recorded(case: str) -> dict[str, Any]:
    return json.loads(lines()[case])


def record(cases: dict[str, str]) -> None:
    text = "\n".join(f"{case}\t{cases[case]}" for case in CASES if case in cases)
    RECORDED.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


@functools.cache
def _pool() -> np.ndarray:
    return np.random.RandomState(0).uniform(-1, 1, 1_000_003).astype("float32")


def numbers(index: int, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform numbers between -1 and 1, others for each index."""
    pool, count = _pool(), math.prod(shape)
    start = 7_919 * index % len(pool)
    return np.resize(np.concatenate([pool[start:], pool[:start]]), count).reshape(shape)


def gain(case: str) -> float:
    """Of the normalizations: where smooth activations or many sums follow, signals keep their size with another, and
    do not grow until rounding decides."""
    gains = {"EfficientNetV2B": 1, "EfficientNetV2": 0.9, "EfficientNetB": 1.15, "MobileNetV3": 1.15, "ResNet": 0.7}
    return next((found for start, found in gains.items() if case.startswith(start)), 1)


def values(index: int, path: str, shape: tuple[int, ...], gain: float = 1) -> np.ndarray:
    """What the weight of this place, path and shape holds."""
    made, name = numbers(index, shape), path.rpartition("/")[2]
    if name in ("count", "mean", "variance"):  # of Normalization, which reads them when they are loaded
        return np.full(shape, name == "variance", "float32" if name != "count" else "int32")
    if re.fullmatch(r"gamma|moving_variance|variable(_\d+)?", name):
        return (1 + made / 4) * np.float32(gain if name == "gamma" else 1)
    if len(shape) < 2:
        return made / 4
    fan_in = math.prod(shape[:2] if re.search("dw|depthwise", path) else shape[:-1])
    excitation = 0.2 if re.search("_se_|squeeze_excite_", path) else 1
    return made * np.float32(excitation * math.sqrt(4.5 / fan_in))


def fill(model: Any, gain: float = 1) -> None:
    """Give every weight of a model, here or of Keras, the values of the formula."""
    for index, weight in enumerate(model.weights):
        weight.assign(values(index, weight.path, tuple(weight.shape), gain))


def pictures(shape: tuple[int, int, int], most: float = 255) -> np.ndarray:
    """Two pictures with values up to `most`: waves and noise."""
    height, width, channels = shape
    y, x, c = np.ogrid[:height, :width, :channels]
    waves = [np.sin(x / 5 + c) * np.cos(y / 7), np.sin((x + 2 * y) / 9 - c)]
    return ((np.stack(waves) / 4 + numbers(0, (2, *shape)) / 4 + 0.5) * most).astype("float32")


def described(model: Any) -> dict[str, Any]:
    """All that a model says of itself: its config, its weights, the shape of each layer's output."""
    return _plain(
        {
            "config": model.get_config(),
            "weights": [[_path(weight), list(weight.shape), weight.trainable] for weight in model.weights],
            "shapes": [list(layer.output.shape) for layer in model.layers],
            "counts": [model.count_params(), sum(math.prod(weight.shape) for weight in model.trainable_weights)],
        }
    )


def _path(weight: Any) -> str:
    """Layer and weight, without scopes and counts."""
    return re.sub(r"variable_\d+$", "variable", "/".join(weight.path.split("/")[-2:]))


def _plain(value: Any) -> Any:
    """As JSON would give it back, without what only repeats what else is said."""
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        return value["config"]["keras_history"][0]  # the layer that it comes from
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items() if key not in _REPEATED}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
