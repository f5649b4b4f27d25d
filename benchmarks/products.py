"""Large products of matrices: `layers.Dense` against `torch.nn.Linear` of the same sizes, float32, on the CPU; and
networks on one picture, whose convolutions of few positions are such products, against their layers in PyTorch.

Both alternate in one process; forward without gradients, and forward with backward into input, kernel and bias.

`python benchmarks/products.py [--write] [--seconds 1]` prints Markdown tables, with `--write` into
docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
from functools import partial

import torch
from _ab import Comparison, alternate
from _readme import ROOT, machine, replace, table
from torch import Tensor

from lamina import applications, layers
from lamina.port import to_torch

SIZES = ((32, 128, 128), (64, 256, 256), (128, 784, 512), (64, 1024, 1024), (1024, 256, 1024), (1024, 1024, 1024))
NOTE = "{machine}; `python benchmarks/products.py`. Microseconds: `torch.nn.Linear` / `layers.Dense`: the ratio."
CHINESE = "`torch.nn.Linear` / `layers.Dense`, 微秒, 以及二者之比。"
NETWORKS = ("ResNet50", "ResNet50V2", "MobileNetV2", "EfficientNetB0", "InceptionV3", "VGG16")
OF_PICTURES = (
    "One picture, milliseconds, all threads: what `port.to_torch` makes of the model, in channels-last memory / "
    "`model(x, training=False)`: the ratio."
)
CHINESE_OF_PICTURES = "单张图片, 毫秒: `port.to_torch` 所得的 PyTorch 模块 / `model(x, training=False)`, 以及二者之比。"


def compared(size: tuple[int, int, int], seconds: float) -> list[Comparison]:
    """Forward, and forward with backward."""
    rows, inside, out = size
    theirs, ours = torch.nn.Linear(inside, out), layers.Dense(out)
    x = torch.randn(rows, inside)
    ours(x)

    def forward(layer: torch.nn.Module) -> Tensor:
        with torch.no_grad():
            return layer(x)

    given, ones = x.clone().requires_grad_(), torch.ones(rows, out)

    def both(layer: torch.nn.Module) -> None:
        layer(given).backward(ones)
        layer.zero_grad()
        given.grad = None

    return [alternate(partial(call, theirs), partial(call, ours), seconds=seconds) for call in (forward, both)]


def rows_on(threads: int, seconds: float) -> list[list[str]]:
    torch.set_num_threads(threads)
    made = []
    for size in SIZES:
        rows, inside, out = size
        cells = [f"{1e6 * c.theirs:.0f} / {1e6 * c.ours:.0f}: {c.ratio:.2f}" for c in compared(size, seconds)]
        made.append([f"({rows}, {inside}) to {out}", str(threads), *cells])
        print(*made[-1], sep="   ", flush=True)
    return made


def of_pictures(name: str, seconds: float) -> list[str]:
    model = getattr(applications, name)(weights=None)
    theirs = to_torch(model).eval().to(memory_format=torch.channels_last)
    x = torch.randn(1, *model.input_shape[1:])
    with torch.inference_mode():
        c = alternate(partial(theirs, x), partial(model, x, training=False), seconds=seconds)
    row = [name, f"{1e3 * c.theirs:.1f} / {1e3 * c.ours:.1f}: {c.ratio:.2f}"]
    print(*row, sep="   ", flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each comparison")
    chosen = parser.parse_args()
    made = [row for threads in sorted({1, os.cpu_count() or 1}) for row in rows_on(threads, chosen.seconds)]
    head = ("x, features", "threads", "forward", "with backward")
    parts = [NOTE.format(machine=machine()), table(head, made), CHINESE]
    pictures = [of_pictures(name, 10 * chosen.seconds) for name in NETWORKS]
    parts += [OF_PICTURES, table(("network", "PyTorch / Lamina"), pictures), CHINESE_OF_PICTURES]
    text = "\n\n".join(parts)
    print(text)
    if chosen.write:
        replace(ROOT / "docs/performance.md", "products", text)


if __name__ == "__main__":
    main()
