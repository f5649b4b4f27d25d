"""Models with quantized layers, of Keras 3.15 or of Lamina.

Run by Keras' Python it records them, before and after, into `tests/golden/files_of_kinds`, with what they give.
"""

from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parents[1] / "golden" / "files_of_kinds"
WAYS = {
    "int8": "int8",
    "int8_weights": "Int8QuantizationConfig(activation_quantizer=None)",
    "int8_own": "Int8QuantizationConfig(AbsMaxQuantizer(0, (-100, 100)), AbsMaxQuantizer(value_range=(-64, 63)))",
    "int4": "Int4QuantizationConfig(block_size=4)",
    "int4_channels": "Int4QuantizationConfig(block_size=None)",
    "int4_inputs": "Int4QuantizationConfig(block_size=-1, activation_quantizer=AbsMaxQuantizer())",
    "float8": "float8",
}


def arguments(keras: Any, way: str) -> dict[str, Any]:
    """Those of `quantize`."""
    told = WAYS[way]
    return {"config": eval(told, vars(keras.quantizers))} if "(" in told else {"mode": told}


def model(keras: Any, way: str) -> Any:
    """Every layer that can be quantized so; its weights are the same for whoever makes it."""
    layers = keras.layers
    if way == "int8_own":  # one axis for all kernels, so Dense layers alone
        made = keras.Sequential([keras.Input((5, 6)), layers.Dense(7, activation="relu"), layers.Dense(3)])
    else:
        words = keras.Input((5,), dtype="int32")
        table = layers.ReversibleEmbedding(9, 6, tie_weights=way in ("int8", "int4", "float8"), logit_soft_cap=2.0)
        x = layers.EinsumDense("abc,cde->abde", (5, 2, 3), bias_axes="de", activation="relu")(table(words))
        x = layers.EinsumDense("abcd,cde->abe", (5, 7), bias_axes="e")(x)
        x = layers.EinsumDense("abc,dc->abd", (5, 6), activation="relu")(x)
        x = x + layers.Embedding(9, 6)(words)
        x = layers.Dense(6, activation="relu")(x)
        outputs = [layers.Dense(3, use_bias=False)(x), table(x, reverse=True)]
        made = keras.Model(words, outputs if way != "float8" else outputs[0])
    random = np.random.RandomState(0)
    for weight in made.weights:
        weight.assign((random.normal(size=tuple(weight.shape)) * 0.4).astype("float32"))
    return made


def inputs(way: str) -> np.ndarray:
    random = np.random.RandomState(1)
    return random.normal(size=(4, 5, 6)).astype("float32") if way == "int8_own" else random.randint(0, 9, (4, 5))


def answers(made: Any, way: str) -> np.ndarray:
    found = made.predict(inputs(way), verbose=0)
    return np.concatenate([np.asarray(each) for each in (found if isinstance(found, list) else [found])], -1)


def training(keras: Any, way: str) -> list[float]:
    """The losses of three steps after quantizing, with a low rank trained beside kernels of integers.

    The way back of embeddings is left out: Keras follows it in gradients by its scales alone, or raises.
    """
    made = model(keras, way)
    made.quantize(**arguments(keras, way))
    for layer in made.layers if way != "float8" else ():
        if hasattr(layer, "enable_lora") and getattr(layer, "equation", "") != "abc,dc->abd":
            layer.enable_lora(2)
    random = np.random.RandomState(2)
    for weight in (weight for weight in made.weights if "lora" in weight.name):
        weight.assign((random.normal(size=tuple(weight.shape)) * 0.1).astype("float32"))
    made = keras.Model(made.inputs[0], made.outputs[0])
    made.compile(keras.optimizers.SGD(0.1), "mse")
    targets = random.normal(size=(4, 5, 3)).astype("float32")
    return made.fit(inputs(way), targets, epochs=3, verbose=0).history["loss"]


def record() -> None:
    import keras

    for way in WAYS:
        made = model(keras, way)
        made.quantize(**arguments(keras, way))
        made.save(FOLDER / f"quantized_{way}.keras")
        try:
            losses = training(keras, way)
        except RuntimeError:  # Keras itself cannot
            losses = []
        np.savez_compressed(FOLDER / f"quantized_{way}.npz", outputs=answers(made, way), losses=np.array(losses))


if __name__ == "__main__":
    record()
