"""Pictures from files into training: `image_dataset_from_directory` beside a DataLoader that reads by Pillow, as one
writes it by hand with PyTorch, and beside torchvision where it is installed.

`python benchmarks/input.py`: 256 JPEG files of 256 x 256, read at 128 x 128; pictures a second, medians of rounds in
which the sides take turns. `reading` goes through the files alone, `training` trains a small CNN on them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _ab import rounds
from _readme import machine, table
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import lamina as keras

FILES, SIZE, BATCH = 256, (128, 128), 32


def write_files(folder: Path) -> list[Path]:
    """Pictures of smooth noise, in two folders, which compress as photographs do."""
    draw, made = np.random.default_rng(0), []
    for number in range(FILES):
        place = folder / ("a", "b")[number % 2] / f"{number:04}.jpg"
        place.parent.mkdir(exist_ok=True)
        small = Image.fromarray(draw.integers(256, size=(32, 32, 3)).astype("uint8"))
        small.resize((256, 256), Image.Resampling.BICUBIC).save(place, quality=90)
        made.append(place)
    return made


class ByHand(Dataset):
    """Decoded and resized by Pillow, a tensor (channels, height, width) from 0 to 1."""

    def __init__(self, files: list[Path]):
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(self.files[index]) as picture:
            array = np.asarray(picture.convert("RGB").resize(SIZE, Image.Resampling.BILINEAR))
        return torch.from_numpy(array.copy()).permute(2, 0, 1).float().div_(255), index % 2


class ByTorchvision(ByHand):
    """Decoded by torchvision's own reader, resized by its transforms."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from torchvision.io import ImageReadMode, decode_image  # type: ignore[import-not-found]
        from torchvision.transforms.v2.functional import resize  # type: ignore[import-not-found]

        picture = decode_image(str(self.files[index]), ImageReadMode.RGB)
        return resize(picture, list(SIZE)).float().div_(255), index % 2


def has_torchvision() -> bool:
    try:
        import torchvision.io  # type: ignore[import-not-found]  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True


def through(batches: Iterable[Any]) -> Callable[[], None]:
    def run() -> None:
        for _ in batches:
            pass

    return run


def training_by_hand(batches: Iterable[Any]) -> Callable[[], None]:
    model = nn.Sequential(
        *(nn.Conv2d(3, 16, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3), nn.ReLU(inplace=True)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 2)),
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def run() -> None:
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x.contiguous(memory_format=torch.channels_last)), y).backward()
            optimizer.step()

    return run


def training(batches: Any) -> Callable[[], Any]:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((*SIZE, 3)), layers.Rescaling(1 / 255), layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(), layers.Conv2D(32, 3, activation="relu"), layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy")
    return lambda: model.fit(batches, verbose=0)


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        files = write_files(Path(name))
        ours = keras.utils.image_dataset_from_directory(
            name, image_size=SIZE, batch_size=BATCH, shuffle=False, verbose=False
        )
        sides: dict[str, tuple[Any, Callable[[Any], Callable[[], Any]]]] = {"Lamina": (ours, training)}
        kinds = {"Pillow": ByHand, **({"torchvision": ByTorchvision} if has_torchvision() else {})}
        for kind, dataset in kinds.items():
            for workers in (0, 2):
                loader = DataLoader(dataset(files), BATCH, num_workers=workers, persistent_workers=workers > 0)
                sides[f"DataLoader, {kind}, {workers} processes"] = (loader, training_by_hand)
        columns = []
        for what in ("reading", "training"):
            calls = [through(data) if what == "reading" else train(data) for data, train in sides.values()]
            for call in calls:
                call()
            found = rounds(calls, seconds=seconds, least=3)
            columns.append([FILES / statistics.median(times) for times in zip(*found, strict=True)])
        rows = [[name, *(f"{column[place]:.0f}" for column in columns)] for place, name in enumerate(sides)]
        print(machine())
        print(table(["pictures a second", "reading", "training"], rows), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="for each of the two, about")
    main(parser.parse_args().seconds)
