"""Every module of torch.nn that computes: read by `from_torch` with equal results, or refused and in the table."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lamina import port

ROW, LINE, PICTURE, VOLUME, STEPS = (6,), (4, 9), (4, 8, 8), (4, 4, 6, 6), (5, 8)
Way = tuple[Callable[[], nn.Module], tuple[int, ...]]


class Calls(nn.Module):
    """A module called on its input several times over, of which it gives the first output."""

    def __init__(self, module: nn.Module, times: int, several: bool = False):
        super().__init__()
        self.module, self.times, self.several = module, times, several

    def forward(self, x: Tensor) -> Tensor:
        found = self.module(*[x] * self.times)
        return found[0] if self.several else found


def by_name(names: str, shape: tuple[int, ...], *args: Any) -> dict[str, Way]:
    return {name: (lambda name=name: getattr(nn, name)(*args), shape) for name in names.split()}


OF_RANK = {
    (4, 6, 3): "Conv ConvTranspose",
    (2,): "MaxPool AvgPool AdaptiveAvgPool AdaptiveMaxPool",
    (4,): "BatchNorm InstanceNorm",
    (0.3,): "Dropout",
    (1,): "ZeroPad ReflectionPad ReplicationPad CircularPad",
    (1, 2.0): "ConstantPad",
    (2, 2): "LPPool",
}
READ: dict[str, Way] = {
    name: way
    for rank, shape in ((1, LINE), (2, PICTURE), (3, VOLUME))
    for args, words in OF_RANK.items()
    for name, way in by_name(" ".join(f"{word}{rank}d" for word in words.split()), shape, *args).items()
}
READ |= by_name(
    "ReLU ReLU6 ELU SELU CELU GELU SiLU Mish Hardswish Hardsigmoid Hardtanh Hardshrink Softshrink Tanhshrink Sigmoid "
    "Tanh LogSigmoid Softplus Softsign LeakyReLU PReLU RReLU Identity Dropout AlphaDropout FeatureAlphaDropout GLU",
    ROW,
)
READ |= by_name("Softmax LogSoftmax Softmin", ROW, -1) | by_name("Softmax2d Flatten", PICTURE)
READ |= by_name("PixelShuffle PixelUnshuffle ChannelShuffle", PICTURE, 2) | by_name("LayerNorm RMSNorm", ROW, 6)
READ |= by_name("Upsample UpsamplingNearest2d UpsamplingBilinear2d", PICTURE, None, 2)
READ |= {
    "Threshold": (lambda: nn.Threshold(0.1, 2.0), ROW),
    "Linear": (lambda: nn.Linear(6, 3), ROW),
    "Embedding": (lambda: nn.Embedding(9, 3), (5,)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), PICTURE),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3), PICTURE),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 3)), ROW),
    "Unfold": (lambda: nn.Unfold(3), PICTURE),
    "Fold": (lambda: nn.Fold((4, 4), 2), (8, 9)),
    "FractionalMaxPool2d": (lambda: nn.FractionalMaxPool2d(2, output_size=3), PICTURE),
    "MultiheadAttention": (lambda: Calls(nn.MultiheadAttention(8, 2, batch_first=True), 3, True), STEPS),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), STEPS),
    "Bilinear": (lambda: Calls(nn.Bilinear(6, 6, 3), 2), ROW),
    "CosineSimilarity": (lambda: Calls(nn.CosineSimilarity(-1), 2), STEPS),
    "PairwiseDistance": (lambda: Calls(nn.PairwiseDistance(), 2), ROW),
    "RNNCell": (lambda: nn.RNNCell(6, 3), ROW),
    "GRUCell": (lambda: nn.GRUCell(6, 3), ROW),
    "LSTMCell": (lambda: Calls(nn.LSTMCell(6, 3), 1, True), ROW),
    "TransformerDecoderLayer": (lambda: Calls(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), 2), STEPS),
    "TransformerDecoder": (
        lambda: Calls(nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), 2), 2), STEPS
    ),
    "Transformer": (lambda: Calls(nn.Transformer(8, 2, 1, 1, 16, batch_first=True), 2), STEPS),
    "TransformerEncoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2), STEPS
    ),
    **{
        name: (lambda name=name: Calls(getattr(nn, name)(8, 3, batch_first=True), 1, True), STEPS)
        for name in ("RNN", "LSTM", "GRU")
    },
}  # fmt: skip
REFUSED: dict[str, Way] = {
    "CrossMapLRN2d": (lambda: nn.CrossMapLRN2d(3), PICTURE),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(9, 3), (5,)),
}
# Bases, containers, what unpools by places that a pooling gives, what takes several devices, a loss.
APART = {
    *"Module Container Sequential ModuleList ModuleDict ParameterList ParameterDict RNNBase RNNCellBase".split(),
    *"MaxUnpool1d MaxUnpool2d MaxUnpool3d FractionalMaxPool3d DataParallel SyncBatchNorm NLLLoss2d".split(),
}


def test_every_module_is_in_a_table() -> None:
    named = {name: item for name, item in vars(nn).items() if inspect.isclass(item) and issubclass(item, nn.Module)}
    computing = {name for name in named if not name.startswith("Lazy") and not name.endswith("Loss")}
    assert computing - READ.keys() - REFUSED.keys() - APART == set()
    assert not READ.keys() & REFUSED.keys()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch, about its own modules
@pytest.mark.parametrize("name", [*READ, *REFUSED])
def test_it_is_read_or_refused(name: str) -> None:
    make, shape = (READ | REFUSED)[name]
    torch.manual_seed(0)
    module = make().eval()
    if name in READ:
        port.from_torch(module, shape)
    else:
        with pytest.raises(ValueError, match=r"from_torch: .*(cannot be read|mixes the samples|in place)"):
            port.from_torch(module, shape)
