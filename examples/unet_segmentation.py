"""Which pixels belong to the ring? A U-Net whose pictures and masks are augmented together, as Keras' guides write it.

Each picture holds a ring and a disc of the same brightness, in noise: the net has to look at shapes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import lamina as keras
from lamina import layers, ops

SIZE = 32


class Augmented(keras.utils.PyDataset):
    """Batches in which a picture and its mask are flipped, turned and moved alike."""

    def __init__(self, pictures: np.ndarray, masks: np.ndarray, batch_size: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.pictures, self.masks, self.batch_size = pictures, masks, batch_size
        self.augment = layers.Pipeline([
            layers.RandomFlip("horizontal_and_vertical", seed=1),
            layers.RandomRotation(0.25, fill_mode="constant", seed=2),
            layers.RandomTranslation(0.1, 0.1, fill_mode="constant", seed=3),
        ])  # fmt: skip

    def __len__(self) -> int:
        return -(-len(self.pictures) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        batch = {"images": self.pictures[rows], "segmentation_masks": self.masks[rows]}
        changed = self.augment(batch, training=True)
        return changed["images"], changed["segmentation_masks"]


def get_model(img_size: tuple[int, int], num_classes: int) -> keras.Model:
    inputs = keras.Input(shape=(*img_size, 1))

    x = layers.Conv2D(16, 3, strides=2, padding="same")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    previous_block_activation = x

    for filters in [32, 64]:
        x = layers.Activation("relu")(x)
        x = layers.SeparableConv2D(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.SeparableConv2D(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        residual = layers.Conv2D(filters, 1, strides=2, padding="same")(previous_block_activation)
        x = layers.add([x, residual])
        previous_block_activation = x

    for filters in [64, 32, 16]:
        x = layers.Activation("relu")(x)
        x = layers.Conv2DTranspose(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.Conv2DTranspose(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.UpSampling2D(2)(x)
        residual = layers.UpSampling2D(2)(previous_block_activation)
        residual = layers.Conv2D(filters, 1, padding="same")(residual)
        x = layers.add([x, residual])
        previous_block_activation = x

    outputs = layers.Conv2D(num_classes, 3, activation="softmax", padding="same")(x)
    return keras.Model(inputs, outputs)


def main() -> float:
    """Trains on 320 made-up pictures and returns how much of the rings in 80 others is found (intersection / union)."""
    keras.utils.set_random_seed(4)
    pictures, masks = scenes(400, np.random.default_rng(4))

    model = get_model((SIZE, SIZE), num_classes=2)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy")
    model.fit(Augmented(pictures[:320], masks[:320], 4), epochs=10, verbose=2)

    found = ops.argmax(model.predict(pictures[320:], verbose=0), -1)
    score = keras.metrics.BinaryIoU(target_class_ids=[1])
    score.update_state(masks[320:, ..., 0], found)
    print(f"intersection over union on pictures it has never seen: {float(score.result()):.1%}")
    return float(score.result())


def scenes(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (count, rows, columns, 1) and masks of the same shape, 1 where the ring is."""
    pictures = rng.normal(0, 0.2, (count, SIZE, SIZE, 1)).astype("float32")
    masks = np.zeros((count, SIZE, SIZE, 1), "int32")
    rows, columns = np.mgrid[:SIZE, :SIZE]
    for picture, mask in zip(pictures, masks, strict=True):
        ring, disc = (np.hypot(rows - y, columns - x) for y, x in rng.integers(7, SIZE - 7, (2, 2)))
        mask[(ring < 6) & (ring > 3)] = 1
        picture[disc < 4] += 1
        picture[..., 0][mask[..., 0] == 1] = 1 + rng.normal(0, 0.2, mask.sum())
    return pictures, masks


if __name__ == "__main__":
    main()
