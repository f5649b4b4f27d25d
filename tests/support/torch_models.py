"""Models written in plain torch, as people write them."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """A basic block of a ResNet."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Residual(4, 4), Residual(4, 8, 2))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer1(self.maxpool(F.relu(self.bn1(self.conv1(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class VGG(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(True)
        )
        self.classifier = nn.Sequential(nn.Linear(6 * 6 * 6, 8), nn.ReLU(True), nn.Dropout(), nn.Linear(8, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.classifier(x.view(x.size(0), -1))


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(True))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inc, self.down1, self.down2 = _double(3, 4), _double(4, 8), _double(8, 12)
        self.up1, self.conv1 = nn.ConvTranspose2d(12, 8, 2, 2), _double(16, 8)
        self.up2, self.conv2 = nn.Upsample(scale_factor=2), _double(12, 4)
        self.out = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.inc(x)
        b = self.down1(F.max_pool2d(a, 2))
        c = self.down2(F.max_pool2d(b, 2))
        y = self.conv1(torch.cat([b, self.up1(c)], dim=1))
        return torch.sigmoid(self.out(self.conv2(torch.cat([a, self.up2(y)], 1))))


class Inverted(nn.Module):
    """An inverted residual of a MobileNet, with squeeze and excitation."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        hidden = inputs * 2
        self.expand = nn.Conv2d(inputs, hidden, 1, bias=False)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False)
        self.norm, self.act = nn.BatchNorm2d(hidden), nn.ReLU6(True)
        self.fc1, self.fc2 = nn.Conv2d(hidden, 4, 1), nn.Conv2d(4, hidden, 1)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.norm(self.depthwise(self.expand(x))))
        squeezed = F.adaptive_avg_pool2d(y, 1)
        y = self.project(y * F.hardsigmoid(self.fc2(F.relu(self.fc1(squeezed)))))
        return x + y if self.residual else y


class MobileNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Hardswish())
        self.blocks = nn.Sequential(Inverted(4, 4, 1), Inverted(4, 6, 2))
        self.fc = nn.Linear(6, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(self.stem(x)).mean([2, 3]))


class TextLSTM(nn.Module):
    def __init__(self, both: bool = True, count: int = 2):
        super().__init__()
        self.embedding = nn.Embedding(30, 6, padding_idx=0)
        self.lstm = nn.LSTM(6, 5, count, batch_first=True, bidirectional=both, dropout=0.1 * (count > 1))
        self.fc = nn.Linear(5 * (1 + both), 3)
        self.both = both

    def forward(self, x: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(self.embedding(x))
        return self.fc(torch.cat([hidden[-2], hidden[-1]], dim=1) if self.both else hidden[-1])


class TextGRU(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.gru, self.fc = nn.Embedding(30, 6), nn.GRU(6, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.fc(self.gru(self.embedding(x))[0][:, -1]), dim=-1)


class Positions(nn.Module):
    def __init__(self, size: int, longest: int = 32):
        super().__init__()
        place = torch.arange(longest).float().unsqueeze(1)
        angle = place * torch.exp(torch.arange(0, size, 2).float() * (-math.log(10000.0) / size))
        self.register_buffer("table", torch.stack([torch.sin(angle), torch.cos(angle)], -1).flatten(1).unsqueeze(0))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        table: Any = self.table
        return self.dropout(x + table[:, : x.size(1)])


class Transformer(nn.Module):
    def __init__(self, norm_first: bool = False):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, norm_first=norm_first, activation="gelu")
        self.embedding, self.positions = nn.Embedding(30, 8), Positions(8)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.positions(self.embedding(x))).mean(dim=1))


class SelfAttention(nn.Module):
    """Attention as it is written by hand."""

    def __init__(self, size: int = 8, heads: int = 2):
        super().__init__()
        self.heads, self.norm = heads, nn.LayerNorm(size)
        self.qkv, self.proj = nn.Linear(size, 3 * size), nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        batch, steps, size = x.shape
        parts = [
            part.view(batch, steps, self.heads, size // self.heads).transpose(1, 2)
            for part in self.qkv(self.norm(x)).chunk(3, dim=-1)
        ]
        scores = F.softmax(parts[0] @ parts[1].transpose(-2, -1) / math.sqrt(size // self.heads), dim=-1)
        return x + self.proj((scores @ parts[2]).transpose(1, 2).contiguous().view(batch, steps, size))


class Sounds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.pool = nn.Conv1d(3, 4, 5, padding=2), nn.AvgPool1d(2)
        self.conv2, self.fc = nn.Conv1d(4, 6, 3, dilation=2, padding=2), nn.Linear(36, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv2(self.pool(torch.tanh(self.conv1(x)))))
        return self.fc(F.dropout(y, 0.2, self.training).reshape(x.shape[0], -1))


class Lines(nn.Module):
    """A reader of text lines: convolutions, then a recurrent net along the width."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(1, 3, 3, padding=1), nn.MaxPool2d((2, 1))
        self.rnn, self.fc = nn.GRU(12, 4, batch_first=True, bidirectional=True), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(F.leaky_relu(self.conv(x), 0.1))
        batch, channels, height, width = y.size()
        y = y.permute(0, 3, 1, 2).reshape(batch, width, channels * height)
        return self.fc(self.rnn(y)[0])


def models() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Each with the shape of its input, moved away from the values that its statistics start from."""
    torch.manual_seed(0)
    found: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
        "mlp": (nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 3)), (3, 4)),
        "resnet": (ResNet(), (3, 16, 16)),
        "vgg": (VGG(), (3, 16, 16)),
        "unet": (UNet(), (3, 8, 8)),
        "mobilenet": (MobileNet(), (3, 16, 16)),
        "lstm": (TextLSTM(), (7,)),
        "one lstm": (TextLSTM(False, 1), (7,)),
        "gru": (TextGRU(), (7,)),
        "transformer": (Transformer(), (7,)),
        "transformer, norm first": (Transformer(True), (7,)),
        "attention": (SelfAttention(), (5, 8)),
        "sounds": (Sounds(), (3, 12)),
        "lines": (Lines(), (1, 8, 6)),
        "volumes": (
            nn.Sequential(nn.Conv3d(2, 3, 3, padding=1), nn.BatchNorm3d(3), nn.ELU(), nn.Flatten(), nn.Linear(81, 2)),
            (2, 3, 3, 3),
        ),
        "decoder": (
            nn.Sequential(
                nn.ConvTranspose2d(3, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.GroupNorm(2, 4),
                nn.ConvTranspose2d(4, 2, 3, 2, 1, output_padding=1), nn.Tanh(), nn.ConvTranspose2d(2, 2, 5, 3),
            ),
            (3, 4, 5),
        ),
    }  # fmt: skip
    with torch.no_grad():
        for module, _ in found.values():
            for inner in module.modules():
                if isinstance(inner, nn.modules.batchnorm._BatchNorm):
                    inner.running_mean.normal_()  # type: ignore[union-attr]
                    inner.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return found
