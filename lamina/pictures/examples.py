"""Layers to look at, by idea: what the gallery and the documentation draw."""

from __future__ import annotations

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


IDEAS = (
    Idea("convolution", Said("Convolution", "卷积"), (
        Example("Conv1D(8, 3)", (12, 4)),
        Example("Conv1D(8, 3, padding='same')", (12, 4)),
        Example("Conv1D(8, 3, padding='causal')", (12, 4)),
        Example("Conv1D(8, 3, padding='causal', dilation_rate=2)", (16, 4)),
        Example("Conv1D(8, 3, strides=2, padding='same')", (12, 4)),
        Example("Conv1D(8, 1)", (12, 4)),
        Example("Conv2D(4, 3)", (6, 6, 3)),
        Example("Conv2D(4, 3, strides=2, padding='same')", (7, 7, 3)),
        Example("Conv2D(4, 3, dilation_rate=2)", (8, 8, 3)),
        Example("Conv2D(4, 3, data_format='channels_first')", (3, 6, 6)),
        Example("Conv3D(4, 2)", (4, 4, 4, 2)),
    )),
    Idea("channels", Said("Channels: grouped, depthwise, pointwise, separable", "通道：分组、逐深度、逐点、可分离"), (
        Example("Conv2D(6, 3, groups=2)", (6, 6, 4)),
        Example("Conv2D(8, 1)", (6, 6, 4)),
        Example("DepthwiseConv1D(3, depth_multiplier=2)", (12, 4)),
        Example("DepthwiseConv2D(3)", (6, 6, 4)),
        Example("SeparableConv1D(8, 3)", (12, 4)),
        Example("SeparableConv2D(8, 3)", (6, 6, 4)),
    )),
    Idea("transposed", Said("Transposed convolution", "转置卷积"), (
        Example("Conv1DTranspose(4, 3, strides=2)", (5, 3)),
        Example("Conv1DTranspose(4, 4, strides=2, padding='same')", (5, 3)),
        Example("Conv2DTranspose(4, 3, strides=2)", (3, 3, 2)),
        Example("Conv3DTranspose(2, 2)", (2, 2, 2, 2)),
    )),
    Idea("local", Said("Locally connected", "局部连接"), (
        Example("LocallyConnected1D(4, 3)", (8, 2)),
        Example("LocallyConnected2D(4, 2)", (4, 5, 2)),
    )),
    Idea("pooling", Said("Pooling", "池化"), (
        Example("MaxPooling1D(2)", (10, 4)),
        Example("AveragePooling1D(3, strides=2, padding='same')", (10, 4)),
        Example("MaxPooling2D(2)", (6, 6, 4)),
        Example("AveragePooling2D(3, strides=2)", (7, 7, 4)),
        Example("MaxPooling3D(2)", (4, 4, 4, 2)),
        Example("GlobalMaxPooling1D()", (8, 4)),
        Example("GlobalAveragePooling2D()", (5, 5, 4)),
        Example("AdaptiveAveragePooling1D(4)", (10, 4)),
        Example("AdaptiveMaxPooling2D(3)", (7, 8, 4)),
    )),
    Idea("dense", Said("Dense layers", "全连接层"), (
        Example("Dense(4)", (6,)),
        Example("Dense(4)", (5, 3)),
        Example("EinsumDense('abc,cd->abd', output_shape=(None, 4))", (5, 3)),
        Example("Highway()", (4,), True),
        Example("MaxoutDense(3)", (4,), True),
    )),
    Idea("recurrent", Said("Recurrent layers, in time", "循环层（按时间展开）"), (
        Example("SimpleRNN(4)", (6, 3)),
        Example("SimpleRNN(4, return_sequences=True)", (6, 3)),
        Example("LSTM(4)", (6, 3)),
        Example("LSTM(4, return_sequences=True, return_state=True)", (6, 3)),
        Example("GRU(4, return_sequences=True)", (6, 3)),
        Example("GRU(4, reset_after=False)", (6, 3)),
        Example("LSTM(4, go_backwards=True, return_sequences=True)", (6, 3)),
        Example("LSTM(4, stateful=True)", (6, 3)),
        Example("Bidirectional(LSTM(4))", (6, 3)),
        Example("Bidirectional(GRU(4, return_sequences=True), merge_mode='sum')", (6, 3)),
        Example("RNN([LSTMCell(4), GRUCell(3)])", (6, 3)),
        Example("TimeDistributed(Dense(2))", (6, 3)),
        Example("ConvLSTM1D(4, 3, padding='same')", (4, 6, 2)),
        Example("ConvLSTM2D(4, 3, padding='same')", (4, 5, 5, 2)),
    )),
    Idea("attention", Said("Attention", "注意力"), (
        Example("Attention()", [(5, 4), (6, 4)]),
        Example("AdditiveAttention()", [(5, 4), (6, 4)]),
        Example("MultiHeadAttention(2, 4)", [(5, 8), (6, 8)]),
        Example("GroupedQueryAttention(4, 4, 2)", [(5, 8), (6, 8)]),
    )),
    Idea("embedding", Said("Embedding and masking", "嵌入与掩码"), (
        Example("Embedding(10, 4)", (6,)),
        Example("Embedding(10, 4, mask_zero=True)", (6,)),
        Example("Masking()", (6, 3)),
    )),
    Idea("normalization", Said("Normalization", "归一化"), (
        Example("BatchNormalization()", (4, 3)),
        Example("LayerNormalization()", (4, 3)),
        Example("GroupNormalization(2)", (4, 4)),
        Example("RMSNormalization()", (4, 3)),
        Example("UnitNormalization()", (4, 3)),
    )),
    Idea("dropout", Said("Dropout and noise", "随机失活与噪声"), (
        Example("Dropout(0.5)", (4, 3)),
        Example("SpatialDropout1D(0.5)", (4, 3)),
        Example("SpatialDropout2D(0.5)", (3, 3, 4)),
        Example("AlphaDropout(0.5)", (4, 3)),
        Example("GaussianDropout(0.5)", (4, 3)),
        Example("GaussianNoise(0.5)", (4, 3)),
    )),
    Idea("activation", Said("Activations", "激活函数"), (
        Example("ReLU()", (4,)),
        Example("LeakyReLU(0.2)", (4,)),
        Example("PReLU()", (4,)),
        Example("ELU()", (4,)),
        Example("Activation('gelu')", (4,)),
        Example("Activation('tanh')", (4,)),
        Example("Softmax()", (3, 4)),
    )),
    Idea("reshaping", Said("Reshaping", "改变形状"), (
        Example("Flatten()", (3, 4)),
        Example("Reshape((4, 3))", (3, 4)),
        Example("Permute((2, 1))", (3, 4)),
        Example("RepeatVector(3)", (4,)),
        Example("ZeroPadding1D(2)", (5, 2)),
        Example("ZeroPadding2D(1)", (3, 4, 2)),
        Example("Cropping1D(1)", (6, 2)),
        Example("Cropping2D(1)", (5, 5, 2)),
        Example("UpSampling1D(2)", (4, 2)),
        Example("UpSampling2D(2)", (3, 3, 2)),
    )),
    Idea("merging", Said("Merging", "合并"), (
        Example("Add()", [(4, 3), (4, 3)]),
        Example("Subtract()", [(4, 3), (4, 3)]),
        Example("Multiply()", [(4, 3), (4, 3)]),
        Example("Average()", [(4, 3), (4, 3)]),
        Example("Maximum()", [(4, 3), (4, 3)]),
        Example("Minimum()", [(4, 3), (4, 3)]),
        Example("Concatenate()", [(4, 3), (4, 2)]),
        Example("Concatenate(axis=1)", [(4, 3), (2, 3)]),
        Example("Dot(axes=1)", [(4,), (4,)]),
        Example("Dot(axes=2)", [(4, 3), (5, 3)]),
    )),
)  # fmt: skip
