"""Layers to look at, by idea: what the gallery and the documentation draw."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from .said import Said

Shape = tuple[int, ...]


class Example(NamedTuple):
    """A layer as it is written, and the shape of its input without the batch; a list of shapes for several inputs."""

    text: str
    input_shape: Shape | list[Shape]
    old: bool = False  # only older generations have it


class Idea(NamedTuple):
    key: str
    title: Said
    examples: tuple[Example, ...]


_IDEAS = (
    ("convolution", Said("Convolution", "卷积"), (
        ("Conv1D(8, 3)", (12, 4)), ("Conv1D(8, 3, padding='same')", (12, 4)),
        ("Conv1D(8, 3, padding='causal')", (12, 4)), ("Conv1D(8, 3, padding='causal', dilation_rate=2)", (16, 4)),
        ("Conv1D(8, 3, strides=2, padding='same')", (12, 4)), ("Conv1D(8, 1)", (12, 4)), ("Conv2D(4, 3)", (6, 6, 3)),
        ("Conv2D(4, 3, strides=2, padding='same')", (7, 7, 3)), ("Conv2D(4, 3, dilation_rate=2)", (8, 8, 3)),
        ("Conv2D(4, 3, data_format='channels_first')", (3, 6, 6)), ("Conv3D(4, 2)", (4, 4, 4, 2)),
    )),
    ("channels", Said("Channels: grouped, depthwise, pointwise, separable", "通道：分组、逐深度、逐点、可分离"), (
        ("Conv2D(6, 3, groups=2)", (6, 6, 4)), ("Conv2D(8, 1)", (6, 6, 4)),
        ("DepthwiseConv1D(3, depth_multiplier=2)", (12, 4)), ("DepthwiseConv2D(3)", (6, 6, 4)),
        ("SeparableConv1D(8, 3)", (12, 4)), ("SeparableConv2D(8, 3)", (6, 6, 4)),
    )),
    ("transposed", Said("Transposed convolution", "转置卷积"), (
        ("Conv1DTranspose(4, 3, strides=2)", (5, 3)), ("Conv1DTranspose(4, 4, strides=2, padding='same')", (5, 3)),
        ("Conv2DTranspose(4, 3, strides=2)", (3, 3, 2)), ("Conv3DTranspose(2, 2)", (2, 2, 2, 2)),
    )),
    ("local", Said("Locally connected", "局部连接"), (
        ("LocallyConnected1D(4, 3)", (8, 2)), ("LocallyConnected2D(4, 2)", (4, 5, 2)),
    )),
    ("pooling", Said("Pooling", "池化"), (
        ("MaxPooling1D(2)", (10, 4)), ("AveragePooling1D(3, strides=2, padding='same')", (10, 4)),
        ("MaxPooling2D(2)", (6, 6, 4)), ("AveragePooling2D(3, strides=2)", (7, 7, 4)),
        ("MaxPooling3D(2)", (4, 4, 4, 2)), ("GlobalMaxPooling1D()", (8, 4)), ("GlobalAveragePooling2D()", (5, 5, 4)),
        ("AdaptiveAveragePooling1D(4)", (10, 4)), ("AdaptiveMaxPooling2D(3)", (7, 8, 4)),
    )),
    ("dense", Said("Dense layers", "全连接层"), (
        ("Dense(4)", (6,)), ("Dense(4)", (5, 3)), ("EinsumDense('abc,cd->abd', output_shape=(None, 4))", (5, 3)),
        ("Highway()", (4,), True), ("MaxoutDense(3)", (4,), True),
    )),
    ("recurrent", Said("Recurrent layers, in time", "循环层（按时间展开）"), (
        ("SimpleRNN(4)", (6, 3)), ("SimpleRNN(4, return_sequences=True)", (6, 3)), ("LSTM(4)", (6, 3)),
        ("LSTM(4, return_sequences=True, return_state=True)", (6, 3)), ("GRU(4, return_sequences=True)", (6, 3)),
        ("GRU(4, reset_after=False)", (6, 3)), ("LSTM(4, go_backwards=True, return_sequences=True)", (6, 3)),
        ("LSTM(4, stateful=True)", (6, 3)), ("Bidirectional(LSTM(4))", (6, 3)),
        ("Bidirectional(GRU(4, return_sequences=True), merge_mode='sum')", (6, 3)),
        ("RNN([LSTMCell(4), GRUCell(3)])", (6, 3)), ("TimeDistributed(Dense(2))", (6, 3)),
        ("ConvLSTM1D(4, 3, padding='same')", (4, 6, 2)), ("ConvLSTM2D(4, 3, padding='same')", (4, 5, 5, 2)),
    )),
    ("attention", Said("Attention", "注意力"), (
        ("Attention()", [(5, 4), (6, 4)]), ("AdditiveAttention()", [(5, 4), (6, 4)]),
        ("MultiHeadAttention(2, 4)", [(5, 8), (6, 8)]), ("GroupedQueryAttention(4, 4, 2)", [(5, 8), (6, 8)]),
    )),
    ("embedding", Said("Embedding and masking", "嵌入与掩码"), (
        ("Embedding(10, 4)", (6,)), ("Embedding(10, 4, mask_zero=True)", (6,)), ("Masking()", (6, 3)),
    )),
    ("normalization", Said("Normalization", "归一化"), (
        ("BatchNormalization()", (4, 3)), ("LayerNormalization()", (4, 3)), ("GroupNormalization(2)", (4, 4)),
        ("RMSNormalization()", (4, 3)), ("UnitNormalization()", (4, 3)),
    )),
    ("dropout", Said("Dropout and noise", "随机失活与噪声"), (
        ("Dropout(0.5)", (4, 3)), ("SpatialDropout1D(0.5)", (4, 3)), ("SpatialDropout2D(0.5)", (3, 3, 4)),
        ("AlphaDropout(0.5)", (4, 3)), ("GaussianDropout(0.5)", (4, 3)), ("GaussianNoise(0.5)", (4, 3)),
    )),
    ("activation", Said("Activations", "激活函数"), (
        ("ReLU()", (4,)), ("LeakyReLU(0.2)", (4,)), ("PReLU()", (4,)), ("ELU()", (4,)), ("Activation('gelu')", (4,)),
        ("Activation('tanh')", (4,)), ("Softmax()", (3, 4)),
    )),
    ("reshaping", Said("Reshaping", "改变形状"), (
        ("Flatten()", (3, 4)), ("Reshape((4, 3))", (3, 4)), ("Permute((2, 1))", (3, 4)), ("RepeatVector(3)", (4,)),
        ("ZeroPadding1D(2)", (5, 2)), ("ZeroPadding2D(1)", (3, 4, 2)), ("Cropping1D(1)", (6, 2)),
        ("Cropping2D(1)", (5, 5, 2)), ("UpSampling1D(2)", (4, 2)), ("UpSampling2D(2)", (3, 3, 2)),
    )),
    ("merging", Said("Merging", "合并"), (
        ("Add()", [(4, 3), (4, 3)]), ("Subtract()", [(4, 3), (4, 3)]), ("Multiply()", [(4, 3), (4, 3)]),
        ("Average()", [(4, 3), (4, 3)]), ("Maximum()", [(4, 3), (4, 3)]), ("Minimum()", [(4, 3), (4, 3)]),
        ("Concatenate()", [(4, 3), (4, 2)]), ("Concatenate(axis=1)", [(4, 3), (2, 3)]), ("Dot(axes=1)", [(4,), (4,)]),
        ("Dot(axes=2)", [(4, 3), (5, 3)]),
    )),
)  # fmt: skip
IDEAS = tuple(Idea(key, title, tuple(itertools.starmap(Example, examples))) for key, title, examples in _IDEAS)
