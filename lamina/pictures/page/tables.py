"""What the page shows of each layer: its arguments, with example values and inputs, and their words in Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ..said import Said

Shapes = tuple[tuple[int, ...], ...]


class Row(NamedTuple):
    """Layers that the page's arithmetic treats alike. `names` end in "#" where there is one for each rank."""

    names: str
    kind: str  # the function in layers.js
    arguments: str  # those shown, in this order
    inputs: dict[int, Shapes]  # by rank, 0 for layers without one
    values: Mapping[str, Any] = MappingProxyType({})  # what the page starts with, where that is not the default


class Family(NamedTuple):
    title: Said
    rows: tuple[Row, ...]


SEQUENCE, IMAGE, VOLUME = (12, 4), (8, 8, 3), (5, 5, 5, 2)
_123 = {1: (SEQUENCE,), 2: (IMAGE,), 3: (VOLUME,)}
_12 = {1: (SEQUENCE,), 2: (IMAGE,)}
_WINDOW = "kernel_size strides padding dilation_rate"
_CONV: dict[str, Any] = {"filters": 4, "kernel_size": 3}
_RECURRENT = "units return_sequences go_backwards use_bias"
_PAIR = {0: ((6, 4), (5, 4))}

FAMILIES = (
    Family(
        Said("Convolution", "卷积"),
        (
            Row("Conv#D", "conv", f"filters {_WINDOW} groups use_bias data_format", _123, _CONV),
            Row("DepthwiseConv#D", "depthwise", f"{_WINDOW} depth_multiplier use_bias data_format", _12,
                {"kernel_size": 3}),
            Row("SeparableConv#D", "separable", f"filters {_WINDOW} depth_multiplier use_bias data_format", _12, _CONV),
            Row("Conv#DTranspose", "transposed", f"filters {_WINDOW} output_padding use_bias data_format",
                {1: ((6, 4),), 2: ((4, 4, 3),), 3: ((3, 3, 3, 2),)}, {**_CONV, "strides": 2}),
            Row("LocallyConnected#D", "local", "filters kernel_size strides padding use_bias data_format", _12, _CONV),
        ),
    ),
    Family(
        Said("Pooling", "池化"),
        (
            Row("MaxPooling#D", "pool", "pool_size strides padding data_format", _123, {"pool_size": 2}),
            Row("AveragePooling#D", "pool", "pool_size strides padding data_format", _123, {"pool_size": 2}),
            Row("GlobalMaxPooling#D", "global", "keepdims data_format", _123),
            Row("GlobalAveragePooling#D", "global", "keepdims data_format", _123),
            Row("AdaptiveMaxPooling#D", "adaptive", "output_size data_format", _123, {"output_size": 3}),
            Row("AdaptiveAveragePooling#D", "adaptive", "output_size data_format", _123, {"output_size": 3}),
        ),
    ),
    Family(
        Said("Padding, cropping, enlarging", "填充、裁剪与上采样"),
        (
            Row("ZeroPadding#D", "padding", "padding data_format", _123),
            Row("Cropping#D", "cropping", "cropping data_format", _123, {"cropping": 1}),
            Row("UpSampling#D", "upsampling", "size interpolation data_format",
                {1: ((6, 4),), 2: ((4, 4, 3),), 3: ((3, 3, 3, 2),)}),
        ),
    ),
    Family(
        Said("Dense and embedding", "全连接与嵌入"),
        (
            Row("Dense", "dense", "units use_bias", {0: ((6,),)}, {"units": 4}),
            Row("Embedding", "embedding", "input_dim output_dim mask_zero", {0: ((8,),)},
                {"input_dim": 12, "output_dim": 4}),
        ),
    ),
    Family(
        Said("Recurrent", "循环"),
        (
            Row("SimpleRNN", "recurrent", _RECURRENT, {0: ((8, 4),)}, {"units": 3, "return_sequences": True}),
            Row("LSTM", "recurrent", _RECURRENT, {0: ((8, 4),)}, {"units": 3, "return_sequences": True}),
            Row("GRU", "recurrent", f"{_RECURRENT} reset_after", {0: ((8, 4),)},
                {"units": 3, "return_sequences": True}),
            Row("Bidirectional", "bidirectional", "layer units return_sequences merge_mode", {0: ((8, 4),)},
                {"layer": "LSTM", "units": 2, "return_sequences": True}),
        ),
    ),
    Family(
        Said("Attention", "注意力"),
        (
            Row("Attention", "attention", "use_scale score_mode use_causal_mask", _PAIR),
            Row("AdditiveAttention", "attention", "use_scale use_causal_mask", _PAIR),
            Row("MultiHeadAttention", "multihead",
                "num_heads key_dim value_dim sliding_window use_gate use_bias use_causal_mask", {0: ((6, 4), (6, 4))},
                {"num_heads": 2, "key_dim": 2}),
            Row("GroupQueryAttention", "grouped",
                "head_dim num_query_heads num_key_value_heads sliding_window use_gate use_bias use_causal_mask",
                {0: ((6, 4), (6, 4))}, {"head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 2}),
        ),
    ),
    Family(
        Said("Normalization", "归一化"),
        (
            Row("BatchNormalization", "batchnorm", "axis center scale training", {0: ((6, 4),)}, {"training": True}),
            Row("LayerNormalization", "layernorm", "axis center scale", {0: ((6, 4),)}),
            Row("RMSNormalization", "layernorm", "axis", {0: ((6, 4),)}),
            Row("GroupNormalization", "groupnorm", "groups axis center scale", {0: ((6, 4),)}, {"groups": 2}),
            Row("UnitNormalization", "layernorm", "axis", {0: ((6, 4),)}),
        ),
    ),
    Family(
        Said("Dropout and noise", "随机失活与噪声"),
        (
            Row("Dropout", "noise", "rate", {0: (SEQUENCE,)}, {"rate": 0.3}),
            Row("SpatialDropout#D", "noise", "rate data_format", _123, {"rate": 0.3}),
            Row("AlphaDropout", "noise", "rate", {0: (SEQUENCE,)}, {"rate": 0.3}),
            Row("GaussianDropout", "noise", "rate", {0: (SEQUENCE,)}, {"rate": 0.3}),
            Row("GaussianNoise", "noise", "stddev", {0: (SEQUENCE,)}, {"stddev": 0.1}),
        ),
    ),
    Family(
        Said("Reshaping", "形状变换"),
        (
            Row("Flatten", "flatten", "data_format", {0: ((3, 4, 2),)}),
            Row("Reshape", "reshape", "target_shape", {0: ((6, 4),)}, {"target_shape": (3, -1)}),
            Row("Permute", "permute", "dims", {0: ((6, 4),)}, {"dims": (2, 1)}),
            Row("RepeatVector", "repeat", "n", {0: ((4,),)}, {"n": 5}),
        ),
    ),
    Family(
        Said("Merging", "合并"),
        (
            *(Row(name, "merge", "", {0: ((6, 4), (6, 4))})
              for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")),
            Row("Concatenate", "concatenate", "axis", {0: ((6, 4), (6, 2))}),
            Row("Dot", "dot", "axes normalize", {0: ((6, 4), (5, 4))}, {"axes": 2}),
        ),
    ),
)  # fmt: skip

# Arguments of a call, not of the layer.
CALLS = {
    "use_causal_mask": Said("Attend to earlier steps and the same one only.", "只关注当前及更早的时间步。"),
    "training": Said("Training: by the batch's own statistics; else by the moving ones.",
                     "训练时使用当前批次的统计量，推理时使用移动平均。"),
}  # fmt: skip

# One sentence an argument. English where the declaration has none.
ARGUMENTS: dict[str, str | Said] = {
    "filters": "输出通道数。",
    "kernel_size": "卷积核大小。",
    "pool_size": "池化窗口大小。",
    "strides": "相邻窗口之间的步长。",
    "padding": Said('"same": as many outputs as strides; "causal": sees no later input.',
                    "valid：不填充；same：输出数 = ⌈输入 / 步长⌉；causal：只看过去。"),
    "dilation_rate": "窗口内相邻两个抽头的间距（空洞率）。",
    "groups": "通道分成几组，组间互不可见。",
    "use_bias": Said("Add a bias.", "是否加偏置。"),
    "data_format": Said("Whether channels stand last or first.", "通道放在最后还是最前。"),
    "depth_multiplier": "每个输入通道产生几个输出通道。",
    "output_padding": "输出额外增加的长度，小于步长。",
    "keepdims": "保留大小为 1 的空间轴。",
    "output_size": "输出的空间大小。",
    "cropping": "两端裁掉多少。",
    "size": "放大倍数。",
    "interpolation": Said("How new values come from those around.", "插值方式。"),
    "units": "输出（状态）的大小。",
    "input_dim": "词表大小，即最大编号加 1。",
    "output_dim": "向量的大小。",
    "mask_zero": "把编号 0 当作填充并屏蔽。",
    "return_sequences": "返回所有时间步的输出，而不只是最后一步。",
    "go_backwards": "从末尾开始处理；输出也按这个顺序。",
    "reset_after": "重置门作用在与状态相乘之后。",
    "layer": Said("The layer that runs both ways.", "双向运行的层。"),
    "merge_mode": "两个方向的输出如何合并；None 返回两个输出。",
    "use_scale": "学习一个缩放因子。",
    "score_mode": "打分方式：点积，或 tanh 之和。",
    "num_heads": "注意力头数。",
    "key_dim": "每个头的查询与键的大小。",
    "value_dim": "每个头的值的大小；None 表示与 key_dim 相同。",
    "head_dim": "每个头的大小。",
    "num_query_heads": "查询的头数。",
    "num_key_value_heads": "键和值的头数，每个由若干查询头共用。",
    "sliding_window": "只关注距离小于该值的时间步。",
    "use_gate": "用查询的 sigmoid 门控注意力的结果。",
    "axis": "统计量（或拼接）所沿的轴；第 0 轴是批次。",
    "center": "加上 beta。",
    "scale": "乘以 gamma。",
    "rate": "丢弃的比例。",
    "stddev": "噪声的标准差。",
    "target_shape": "不含批次轴的目标形状，-1 表示其余。",
    "dims": "各轴的新顺序，从 1 数起。",
    "n": "重复次数。",
    "axes": "沿哪条轴求和；第 0 轴是批次。",
    "normalize": "先缩放到长度 1，即余弦相似度。",
}  # fmt: skip
ARGUMENTS_OF: dict[tuple[str, str], str | Said] = {
    ("BatchNormalization", "axis"): "通道所在的轴。",
    ("GroupNormalization", "axis"): "通道所在的轴。",
    ("GroupNormalization", "groups"): "通道分成几组；-1 表示每个通道一组。",
    ("Concatenate", "axis"): "沿哪条轴拼接。",
    ("ZeroPadding", "padding"): "两端各补多少个零。",
}

# What arguments accept, as their kinds say it.
EXPECTED = {
    "a positive integer": "正整数",
    "a positive integer or None": "正整数或 None",
    "an integer": "整数",
    "an integer or several": "一个或几个整数",
    "True or False": "True 或 False",
    "a layer": "一个层",
    "a positive integer, or one for each spatial axis": "正整数，或每个空间轴一个",
    "a positive integer, or one for each spatial axis (None: the pool size)": (
        "正整数，或每个空间轴一个（None 表示窗口大小）"
    ),
    "a non-negative integer, or one for each spatial axis or None": "非负整数，或每个空间轴一个，或 None",
    "a non-negative integer, one for each spatial axis, or a pair (before, after) for each": (
        "非负整数，或每个空间轴一个，或每个空间轴一对（前，后）"
    ),
    "a positive integer, or -1 for a group for each channel": "正整数；-1 表示每个通道一组",
    "a number from 0 to 1": "0 到 1 之间的数",
    "a number from 0 to below 1": "0 到 1 之间的数，不含 1",
    "a number of at least 0": "不小于 0 的数",
    "a tuple of sizes, one of which may be -1": "若干大小，其中至多一个为 -1",
    "a permutation of 1, 2, ...": "1、2……的一个排列",
    "an axis, or a pair of axes": "一个轴或一对轴",
}
