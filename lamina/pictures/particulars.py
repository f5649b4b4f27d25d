"""What arguments make of a layer, how training and masks change what it does: sentences for who they fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.layer import Layer
from ..layers import (
    activation,
    attention,
    convolution,
    convolutional_recurrent,
    dropout,
    embedding,
    lambda_,
    merge,
    normalization,
    pooling,
    recurrent,
    torch_module,
    wrappers,
)
from ..layers.local import LocallyConnected
from .said import Said

Rule = tuple[Any, Callable[[Any], bool], Said]  # a class or several, what else must hold, the sentence


def fitting(rules: tuple[Rule, ...], layer: Any) -> list[Said]:
    """The sentences of the rules that fit a layer, in their order."""
    return [said for kind, fits, said in rules if isinstance(layer, kind) and fits(layer)]


# What arguments make of a layer ---------------------------------------------------------------------------------------


def _is_pointwise(layer: Any) -> bool:
    return {*layer.kernel_size} == {1} and layer.groups == 1


def _is_depthwise(layer: Any) -> bool:
    return layer.groups > 1 and layer.kernel.shape[-2] == 1


_WINDOWED = (convolution._Convolution, LocallyConnected)
_RNN = recurrent.RNN
PARTICULARS: tuple[Rule, ...] = (
    (
        convolution.Conv,
        lambda layer: layer.padding == "causal",
        Said(
            "Causal: the output at a time sees inputs up to that time and none later.",
            "因果卷积：某时刻的输出只看到该时刻及之前的输入，看不到之后的。",
        ),
    ),
    (
        convolution._Convolution,
        lambda layer: max(layer.dilation_rate) > 1,
        Said(
            "Dilated: its {taps} taps stand {apart} apart and reach over {reach} values.",
            "空洞（膨胀）卷积：{taps} 个采样点间隔 {apart}，覆盖 {reach} 个值。",
        ),
    ),
    (
        convolution.Conv,
        lambda layer: layer.groups > 1 and not _is_depthwise(layer),
        Said(
            "Grouped: the channels are in {layer.groups} parts that do not see each other.",
            "分组卷积：通道分为互不相见的 {layer.groups} 组。",
        ),
    ),
    (
        convolution.Conv,
        _is_depthwise,
        Said("With as many groups as channels: a depthwise convolution.", "组数等于通道数，即深度卷积（depthwise）。"),
    ),
    (
        convolution.Conv,
        _is_pointwise,
        Said(
            "Pointwise: with a window of 1 it mixes the channels of each position, as Dense does.",
            "逐点卷积（pointwise）：窗口为 1，只在每个位置混合通道，与 Dense 相同。",
        ),
    ),
    (
        _WINDOWED,
        lambda layer: max(layer.strides) > 1 and not isinstance(layer, convolution.ConvTranspose),
        Said(
            "Strided: windows begin {strides} apart, so the output is that much smaller.",
            "步长为 {strides}：窗口起点相隔这么多，输出相应缩小。",
        ),
    ),
    (
        convolution.ConvTranspose,
        lambda layer: max(layer.strides) > 1,
        Said(
            "Its windows lie {strides} apart in the output, which is that much larger than the input.",
            "各窗口在输出中相隔 {strides}，输出相应放大。",
        ),
    ),
    (
        pooling._Pooling,
        lambda layer: any(s < p for s, p in zip(layer.strides, layer.pool_size, strict=True)),
        Said(
            "Windows of {pool} overlap: they begin {strides} apart.",
            "大小为 {pool} 的窗口相互重叠：起点相隔 {strides}。",
        ),
    ),
    (_RNN, lambda layer: layer.return_sequences, Said("It gives the output of every step.", "返回每个时间步的输出。")),
    (
        _RNN,
        lambda layer: not layer.return_sequences,
        Said("It gives the output of the last step alone.", "只返回最后一个时间步的输出。"),
    ),
    (_RNN, lambda layer: layer.return_state, Said("Its states come behind the output.", "输出之后还返回其状态。")),
    (
        _RNN,
        lambda layer: layer.go_backwards,
        Said("It goes from the last step to the first.", "从最后一步向第一步反向运行。"),
    ),
    (
        _RNN,
        lambda layer: layer.stateful,
        Said("Each batch starts from the states in which the one before ended.", "每个批次从上一批结束时的状态开始。"),
    ),
    (
        recurrent.GRU,
        lambda layer: not layer.reset_after,
        Said(
            "The reset gate acts before the product with the state, as in Keras 1.",
            "重置门作用于与状态相乘之前，与 Keras 1 相同。",
        ),
    ),
    (
        activation.ReLU,
        lambda layer: layer.threshold,
        Said("Values count as negative below {layer.threshold}.", "以 {layer.threshold} 为界，低于它视为负值。"),
    ),
    (
        activation.ReLU,
        lambda layer: layer.negative_slope,
        Said(
            "There the slope is {layer.negative_slope} instead of 0.", "该处斜率为 {layer.negative_slope}，而不是 0。"
        ),
    ),
    (
        activation.ReLU,
        lambda layer: layer.max_value is not None,
        Said("It gives at most {layer.max_value}.", "最大值为 {layer.max_value}。"),
    ),
    (
        normalization.GroupNormalization,
        lambda layer: layer.groups == 1,
        Said(
            "One group: it normalizes over all channels and places of a sample.",
            "只有一组：在样本的全部通道和位置上归一化。",
        ),
    ),
    (embedding.Embedding, lambda layer: layer.mask_zero, Said("0 is padding and is masked.", "0 表示填充，会被屏蔽。")),
    (
        dropout.Dropout,
        lambda layer: layer.noise_shape is not None,
        Said(
            "One draw counts for all places along axes of size 1 in {layer.noise_shape}.",
            "在 {layer.noise_shape} 中大小为 1 的轴上共用同一次抽样。",
        ),
    ),
    (
        attention.AdditiveAttention,
        lambda layer: layer.use_scale,
        Said("Each feature is weighted by a learned factor.", "每个特征乘以可学习的系数。"),
    ),
    (
        attention.Attention,
        lambda layer: layer.use_scale and not isinstance(layer, attention.AdditiveAttention),
        Said("The scores are scaled by a learned factor.", "得分乘以可学习的系数。"),
    ),
    (
        attention._Projected,
        lambda layer: layer.sliding_window is not None,
        Said(
            "A query sees only keys fewer than {layer.sliding_window} steps away.",
            "每个查询只看相距不到 {layer.sliding_window} 步的键。",
        ),
    ),
)


# Training and masks ---------------------------------------------------------------------------------------------------


def _always(layer: Any) -> bool:
    return True


def _inner(layer: Any) -> bool:
    return any(getattr(part, "_takes_training", False) for part in layer.modules() if part is not layer)


TRAINING: tuple[Rule, ...] = (
    (
        normalization.BatchNormalization,
        _always,
        Said(
            "In training by the mean and variance of the batch, which move the kept ones; in inference by those kept.",
            "训练时用批次的均值和方差，并更新滑动统计量；推理时用滑动统计量。",
        ),
    ),
    (
        normalization.SpectralNormalization,
        _always,
        Said(
            "In training the kernel is divided anew before every call; in inference it stays.",
            "训练时每次调用前重新除以奇异值；推理时核保持不变。",
        ),
    ),
    (
        dropout._Noise,
        lambda layer: getattr(layer, "rate", getattr(layer, "stddev", 0)) > 0,
        Said("Random in training; in inference it gives its input back.", "训练时随机；推理时原样返回输入。"),
    ),
    (
        recurrent._Cell,
        lambda layer: layer.dropout or layer.recurrent_dropout,
        Said(
            "In training its input or state is dropped at random; in inference nothing is.",
            "训练时随机丢弃输入或状态；推理时不丢弃。",
        ),
    ),
    (
        (recurrent.LSTM, recurrent.GRU, recurrent.SimpleRNN, convolutional_recurrent.ConvLSTM),
        lambda layer: layer.dropout or layer.recurrent_dropout,
        Said(
            "In training inputs or states are dropped at random, the same ones at every step; in inference none.",
            "训练时随机丢弃输入或状态（每个时间步相同）；推理时不丢弃。",
        ),
    ),
    (
        attention._Attention,
        lambda layer: layer.dropout > 0,
        Said(
            "In training some of the attention weights are dropped at random; in inference none.",
            "训练时随机丢弃部分注意力权重；推理时不丢弃。",
        ),
    ),
    (
        (wrappers.Wrapper, wrappers.Bidirectional, wrappers.Pipeline, torch_module.TorchModuleWrapper),
        _inner,
        Said("As what is inside.", "取决于内部的层。"),
    ),
    (
        lambda_.Lambda,
        lambda layer: layer._takes_training and "training" in layer._wanted,
        Said("As its function does by `training`.", "由函数根据 `training` 决定。"),
    ),
    (
        object,
        lambda layer: type(layer).__name__ == "Equalization",
        Said("Only in training; in inference pictures go through as they are.", "只在训练时进行；推理时图片原样通过。"),
    ),
    (
        object,
        lambda layer: layer._takes_training and type(layer).__module__.startswith("lamina.layers.preprocessing"),
        Said(
            "Random in training; in inference the data go through as they are, or by a fixed rule.",
            "训练时随机；推理时数据原样通过，或按固定规则处理。",
        ),
    ),
    (object, _always, Said("The same in training and inference.", "训练与推理相同。")),
)

MASKS: tuple[Rule, ...] = (
    (lambda_.Masking, _always, Said("It makes one: False for the masked steps.", "产生掩码：被屏蔽的时间步为 False。")),
    (
        embedding.Embedding,
        lambda layer: layer.mask_zero,
        Said("It makes one: False where the input is 0.", "产生掩码：输入为 0 处为 False。"),
    ),
    (
        (recurrent.RNN, wrappers.Bidirectional),
        _always,
        Said(
            "A masked step leaves the state as it was; with `return_sequences` the mask goes on.",
            "被屏蔽的时间步不改变状态；`return_sequences` 时掩码继续传递。",
        ),
    ),
    (
        attention._Attention,
        _always,
        Said(
            "Masked keys and values get no weight; the mask of the queries goes on.",
            "被屏蔽的键和值权重为 0；查询的掩码继续传递。",
        ),
    ),
    (
        activation.Softmax,
        _always,
        Said("Masked places become 0; the mask goes on.", "被屏蔽处的结果为 0；掩码继续传递。"),
    ),
    (
        normalization.BatchNormalization,
        _always,
        Said(
            "Masked places do not count in a batch's statistics; the mask goes on.",
            "被屏蔽处不计入批次统计量；掩码继续传递。",
        ),
    ),
    (
        pooling.GlobalAveragePooling1D,
        _always,
        Said("Masked steps do not count in the mean; the mask ends here.", "被屏蔽的时间步不计入平均；掩码到此为止。"),
    ),
    (
        wrappers.TimeDistributed,
        _always,
        Said(
            "A layer inside that takes a mask gets its steps'; the mask goes on.",
            "内部的层若接受掩码，则得到各时间步的掩码；掩码继续传递。",
        ),
    ),
    (merge.Concatenate, _always, Said("The masks are joined likewise.", "各掩码同样拼接。")),
    (merge.Dot, _always, Said("Masks end here.", "掩码到此为止。")),
    (
        merge.Merge,
        _always,
        Said(
            "A place is valid where it is in any input; without a mask for each input there is none.",
            "任一输入有效的位置即有效；并非每个输入都有掩码时，结果没有掩码。",
        ),
    ),
    (object, lambda layer: layer.supports_masking, Said("A mask goes on as it is.", "掩码原样传递。")),
    (
        object,
        lambda layer: type(layer).compute_mask is Layer.compute_mask,
        Said("It takes none: a mask ends here, with a warning.", "不支持掩码：掩码到此为止，并给出警告。"),
    ),
    (object, _always, Said("A mask ends here.", "掩码在此结束。")),
)
