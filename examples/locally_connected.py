"""A convolution without shared weights: each place of the image has filters of its own.

Worth trying where place matters, as in images that are all framed alike. The price is the number of weights.
"""

from __future__ import annotations

import lamina as keras
from lamina import layers
from lamina.data import load_digits


def main() -> tuple[float, float]:
    """Returns the accuracy on unseen digits with locally connected filters and with shared ones."""
    (x_train, y_train), (x_test, y_test) = load_digits()
    x_train, x_test = x_train.astype("float32") / 16, x_test.astype("float32") / 16

    accuracies = []
    for layer in (layers.LocallyConnected2D, layers.Conv2D):
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [
                keras.Input(shape=(8, 8, 1)),
                layer(8, 3, activation="relu"),
                layers.Dropout(0.2),
                layers.Flatten(),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile(keras.optimizers.Adam(0.002), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x_train, y_train, epochs=20, batch_size=32, verbose=0)
        _, accuracy = model.evaluate(x_test, y_test, verbose=0)
        count = model.layers[0].count_params()
        print(f"{layer.__name__:<18} {count:>5,} filter weights, accuracy on unseen digits {accuracy:.1%}")
        accuracies.append(accuracy)
    return accuracies[0], accuracies[1]


if __name__ == "__main__":
    main()
