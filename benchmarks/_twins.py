"""The best of each model by hand in PyTorch, and its loops: eager, channels-last memory, in-place ReLUs, fused Adam.

The twins take the same channels-last data, which they read as torch's channels-last memory format, and return logits.
What was tried and is slower on a CPU is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from _models import CONTRAST, DILATIONS, HEADS, NOISE, UNET, VOCABULARY, WIDTH, WIDTHS, Task
from torch import Tensor, nn
from torch.nn import functional as F


class FromLast(nn.Module):
    """(N, H, W, C) read as (N, C, H, W) in channels-last memory: a view."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 3, 1, 2)


class ToLast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


class FlattenLast(nn.Module):
    """Flattens in the order of the memory, without a copy."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def mlp() -> nn.Module:
    hidden = [part for _ in range(3) for part in (nn.Linear(64, 64), nn.ReLU(inplace=True))]
    return nn.Sequential(*hidden, nn.Linear(64, 10))


def cnn() -> nn.Module:
    return nn.Sequential(
        FromLast(),
        nn.Conv2d(1, 32, 3),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        FlattenLast(),
        nn.Linear(12 * 12 * 64, 128),
        nn.ReLU(inplace=True),
        nn.Linear(128, 10),
    )


def twice(before: int, width: int) -> list[nn.Module]:
    """Two convolutions that keep the size."""
    pairs = [(before, width), (width, width)]
    return [part for pair in pairs for part in (nn.Conv2d(*pair, 3, padding=1), nn.ReLU(inplace=True))]


def vgg() -> nn.Module:
    blocks = [*twice(3, 64), nn.MaxPool2d(2), *twice(64, 128), nn.MaxPool2d(2)]
    return nn.Sequential(FromLast(), *blocks, FlattenLast(), nn.Linear(8 * 8 * 128, 10))


def normalized(before: int, width: int, size: int = 1, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(before, width, size, stride, size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(width, 1e-3, 0.01)]


def separable() -> nn.Module:
    blocks: list[nn.Module] = []
    for before, width in zip((3, *WIDTHS), WIDTHS, strict=False):
        depthwise = nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False)
        blocks += [depthwise, *normalized(before, width), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    return nn.Sequential(FromLast(), *blocks, Mean(), nn.Linear(WIDTHS[-1], 10))


class Residual(nn.Module):
    def __init__(self, before: int, width: int, stride: int):
        super().__init__()
        first = [*normalized(before, width, 3, stride), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*first, *normalized(width, width, 3))
        self.shortcut = nn.Sequential(*normalized(before, width, 1, stride)) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).add_(self.shortcut(x)).relu_()


def resnet() -> nn.Module:
    blocks: list[nn.Module] = []
    for before, width in zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False):
        blocks += [Residual(before, width, 1 + (width > before)), Residual(width, width, 1)]
    stem = [*normalized(3, WIDTHS[0], 3), nn.ReLU(inplace=True)]
    return nn.Sequential(FromLast(), *stem, *blocks, Mean(), nn.Linear(WIDTHS[-1], 10))


def autoencoder() -> nn.Module:
    return nn.Sequential(
        FromLast(),
        nn.Conv2d(1, 32, 4, 2),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 64, 3, 2),
        nn.ReLU(inplace=True),
        FlattenLast(),
        nn.Linear(6 * 6 * 64, 32),
        nn.Linear(32, 6 * 6 * 64),
        nn.ReLU(inplace=True),
        nn.Unflatten(1, (6, 6, 64)),
        FromLast(),
        nn.ConvTranspose2d(64, 64, 3, 2),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(64, 32, 4, 2),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 1, 3, padding=1),
        ToLast(),
    )


class Causal(nn.Module):
    """Pictures of one row: nn.Conv1d has no channels-last kernels and takes 1.5 to 2 times as long."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 64, 1)
        self.stack = nn.ModuleList(nn.Conv2d(64, 64, (1, 2), dilation=(1, dilation)) for dilation in DILATIONS)
        self.last = nn.Conv2d(64, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.transpose(1, 2).unsqueeze(2))
        for layer, dilation in zip(self.stack, DILATIONS, strict=True):
            x = x + layer(F.pad(x, (dilation, 0))).relu_()
        return self.last(x).squeeze(2).transpose(1, 2)


class OfWords(nn.Module):
    """Time first, as torch's recurrent kernels want it, from the embedding on."""

    def __init__(self, width: int, rnn: nn.Module, features: int):
        super().__init__()
        self.embedding, self.rnn, self.head = nn.Embedding(VOCABULARY, width), rnn, nn.Linear(features, 1)

    def forward(self, x: Tensor) -> Tensor:
        _, state = self.rnn(self.embedding(x.t()))
        state = state[0] if isinstance(state, tuple) else state
        return self.head(state.transpose(0, 1).flatten(1))


def lstm() -> nn.Module:
    return OfWords(128, nn.LSTM(128, 128), 128)


def gru() -> nn.Module:
    return OfWords(64, nn.GRU(64, 64, bidirectional=True), 128)


class LocallyConnected(nn.Module):
    """3 x 3 patches in one copy, then one product at each place."""

    def __init__(self, rows: int, before: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows * rows, 9 * before, width) * (9 * before) ** -0.5)
        self.bias = nn.Parameter(torch.zeros(rows * rows, 1, width))
        self.rows = rows

    def forward(self, x: Tensor) -> Tensor:
        patches = x.unfold(2, 3, 1).unfold(3, 3, 1).permute(2, 3, 0, 4, 5, 1)
        y = torch.baddbmm(self.bias, patches.reshape(self.rows**2, len(x), -1), self.weight)
        return y.view(self.rows, self.rows, len(x), -1).permute(2, 3, 0, 1)


def local() -> nn.Module:
    return nn.Sequential(
        FromLast(),
        nn.Conv2d(3, 32, 3),
        nn.ReLU(inplace=True),
        LocallyConnected(28, 32, 32),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        FlattenLast(),
        nn.Linear(14 * 14 * 32, 10),
    )


class Transformer(nn.Module):
    """Query, key and value by one product."""

    def __init__(self) -> None:
        super().__init__()
        self.three, self.back = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.first = nn.LayerNorm(WIDTH, 1e-6)
        self.wide, self.narrow = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.second, self.head = nn.LayerNorm(WIDTH, 1e-6), nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.three(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = self.first(x + self.back(attended))
        return self.head(self.second(x + self.narrow(self.wide(x).relu_())))


class ConvLSTM(nn.Module):
    """The convolution of the inputs at once for all frames, that of the state in a loop."""

    def __init__(self, before: int, width: int):
        super().__init__()
        self.inputs = nn.Conv2d(before, 4 * width, 3, padding=1)
        self.state = nn.Conv2d(width, 4 * width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        frames = self.inputs(x.flatten(0, 1).permute(0, 3, 1, 2)).unflatten(0, x.shape[:2]).unbind(1)
        h = c = None
        for z in frames:
            i, f, g, o = (z if h is None else z + self.state(h)).chunk(4, 1)
            new = i.sigmoid() * g.tanh()
            c = new if c is None else f.sigmoid() * c + new
            h = o.sigmoid() * c.tanh()
        assert h is not None
        return h


def convlstm() -> nn.Module:
    return nn.Sequential(ConvLSTM(1, 32), nn.Conv2d(32, 1, 3, padding=1), ToLast())


class Augmentation(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        factor = x.new_empty(len(x), 1, 1, 1).uniform_(1 - CONTRAST, 1 + CONTRAST)
        mean = x.mean((2, 3), keepdim=True)
        return torch.lerp(mean, x, factor).add_(torch.randn_like(x), alpha=NOISE)


class Up(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.grow = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.body = nn.Sequential(*twice(2 * width, width))

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        return self.body(torch.cat((self.grow(x), kept), 1))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.augmentation = Augmentation()
        self.down = nn.ModuleList(nn.Sequential(*twice(*pair)) for pair in zip((3, *UNET), UNET, strict=False))
        self.deepest = nn.Sequential(*twice(UNET[-1], 2 * UNET[-1]))
        self.up = nn.ModuleList(Up(width) for width in reversed(UNET))
        self.head = nn.Conv2d(UNET[0], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, kept = self.augmentation(x.permute(0, 3, 1, 2)), []
        for part in self.down:
            kept.append(part(x))
            x = F.max_pool2d(kept[-1], 2)
        x = self.deepest(x)
        for part in self.up:
            x = part(x, kept.pop())
        return self.head(x).permute(0, 2, 3, 1)


MADE: dict[str, Callable[[], nn.Module]] = {
    "mlp": mlp, "cnn": cnn, "vgg": vgg, "separable": separable, "resnet": resnet, "autoencoder": autoencoder,
    "wavenet": Causal, "lstm": lstm, "gru": gru, "local": local, "transformer": Transformer, "convlstm": convlstm,
    "unet": UNet,
}  # fmt: skip


def twin(task: Task) -> nn.Module:
    return MADE[task.model.__name__]().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def loss_of_logits(task: Task, outputs: Tensor, y: Tensor) -> Tensor:
    if task.target == "classes":
        return F.cross_entropy(outputs, y)
    return F.binary_cross_entropy_with_logits(outputs, y) if task.target == "yes or no" else F.mse_loss(outputs, y)


def prediction(task: Task, outputs: Tensor) -> Tensor:
    if task.target == "classes":
        return outputs.softmax(-1)
    return outputs.sigmoid() if task.target == "yes or no" else outputs


def train(task: Task, model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> float:
    """One epoch; returns its mean loss."""
    model.train()
    total = torch.zeros((), device=x.device)
    batches = torch.randperm(len(x), device=x.device).split(task.batch)
    for index in batches:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of_logits(task, model(x.index_select(0, index)), y.index_select(0, index))
        loss.backward()
        optimizer.step()
        total += loss.detach()
    return total.item() / len(batches)


def predict(task: Task, model: nn.Module, x: Tensor) -> Any:
    model.eval()
    with torch.inference_mode():
        return torch.cat([prediction(task, model(batch)) for batch in x.split(task.batch)]).numpy(force=True)


def graphed(run: Callable[[], Any]) -> tuple[torch.cuda.CUDAGraph, Any]:
    """What `run` launches as one CUDA graph, after some eager runs, and what it gives."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = run()
    return graph, outputs


def trainer_by_graph(
    task: Task, model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor
) -> Callable[[], float]:
    """`train` with one replayed CUDA graph a step."""
    held_x, held_y, total = x[: task.batch].clone(), y[: task.batch].clone(), torch.zeros((), device=x.device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of_logits(task, model(held_x), held_y)
        loss.backward()
        optimizer.step()
        total.add_(loss.detach())

    model.train()
    graph, _ = graphed(step)

    def epoch() -> float:
        model.train()
        total.zero_()
        batches = torch.randperm(len(x), device=x.device).split(task.batch)
        for index in batches:
            torch.index_select(x, 0, index, out=held_x)
            torch.index_select(y, 0, index, out=held_y)
            graph.replay()
        return total.item() / len(batches)

    vars(epoch)["held"] = step  # the graph holds no reference to weights and state
    return epoch


def predictor_by_graph(task: Task, model: nn.Module, batch: Tensor) -> Callable[[Tensor], Tensor]:
    """The prediction for a batch of this size by a replayed CUDA graph."""
    model.eval()
    held = batch.clone()
    with torch.inference_mode():
        graph, outputs = graphed(lambda: prediction(task, model(held)))

    def run(x: Tensor) -> Tensor:
        held.copy_(x)
        graph.replay()
        return outputs.clone()

    return run
