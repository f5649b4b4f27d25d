"""What layers are and how they differ from their neighbours, in words; by class, for the classes below it as well.

Fields in braces: `layer`, and `axes`, the names of a window's axes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .said import Language, Said


class Told(NamedTuple):
    """What a layer is, how it differs from its neighbours, and where it comes from."""

    what: Said
    differs: Said
    paper: str = ""


TOLD: dict[str, Told] = {
    # Dense
    "Dense": Told(
        Said(
            "Every output is a weighted sum of all input features, plus a bias.",
            "全连接层：每个输出是全部输入特征的加权和，再加偏置。",
        ),
        Said(
            "Unlike a convolution it works on the last axis alone and knows no neighbourhood: every input feature "
            "has a weight for every output.",
            "与卷积不同，它只作用于最后一轴，没有邻域的概念：每个输入特征对每个输出都有一个权重。",
        ),
    ),
    "EinsumDense": Told(
        Said(
            'A dense layer whose product is written as an equation, here "{layer.equation}".',
            '用爱因斯坦求和式 "{layer.equation}" 写出乘积的全连接层。',
        ),
        Said(
            "Dense sums over the last axis; here the equation names the axes to sum over and to keep, so that one "
            "layer can make several heads.",
            "Dense 只对最后一轴求和；这里由求和式指定对哪些轴求和、保留哪些轴，因此一层即可得到多个头。",
        ),
    ),
    "Embedding": Told(
        Said(
            "Looks up a trained vector of {layer.output_dim} values for every integer below {layer.input_dim}.",
            "嵌入层：为小于 {layer.input_dim} 的每个整数查出一个长度 {layer.output_dim} 的可训练向量。",
        ),
        Said(
            "It gives what Dense would give for one-hot vectors, without making these: a row of the table is read, "
            "nothing is multiplied.",
            "结果等同于对 one-hot 向量使用 Dense，但无需构造 one-hot：直接读取表中的一行，不做乘法。",
        ),
    ),
    "ReversibleEmbedding": Told(
        Said(
            "An embedding that also goes back: with `reverse=True` a vector becomes a score for each of the "
            "{layer.input_dim} integers.",
            "可逆嵌入：`reverse=True` 时把向量变回 {layer.input_dim} 个整数各自的得分。",
        ),
        Said(
            "Where Embedding and a Dense behind the network have a table each, here both ends of a language model "
            "share one.",
            "通常嵌入层与输出端的 Dense 各有一张表；这里语言模型的两端共用同一张表。",
        ),
        "Press & Wolf, 2017",
    ),
    # Convolutions
    "Conv": Told(
        Said(
            "Slides {layer.filters} filters over {axes}: each output is a weighted sum of a window of the input, "
            "over all its channels.",
            "卷积层：{layer.filters} 个卷积核沿{axes}滑动，每个输出是输入窗口内全部通道的加权和。",
        ),
        Said(
            "Unlike Dense it sees a window alone and uses the same weights at every position (a LocallyConnected "
            "layer does not share them); unlike a depthwise convolution it mixes the channels.",
            "与 Dense 不同，它只看一个窗口，并在所有位置共享权重（局部连接层不共享）；与逐通道（depthwise）卷积不同，"
            "它会混合各通道。",
        ),
    ),
    "ConvTranspose": Told(
        Said(
            "Spreads every input value over a window of the output along {axes} and adds up what overlaps: the "
            "gradient of a convolution.",
            "转置卷积（反卷积）：把每个输入值沿{axes}展开到输出的一个窗口，重叠处相加，即卷积的梯度运算。",
        ),
        Said(
            "A convolution with stride s makes its input s times smaller; this makes it s times larger, with trained "
            "weights, where UpSampling only repeats values.",
            "步长为 s 的卷积把输入缩小 s 倍；转置卷积则放大 s 倍，且权重可训练，而 UpSampling 只是重复数值。",
        ),
        "Zeiler et al., 2010",
    ),
    "DepthwiseConv": Told(
        Said(
            "Convolves each channel by itself over {axes}, with {layer.depth_multiplier} filter(s) a channel.",
            "深度卷积（depthwise）：沿{axes}对每个通道单独卷积，每个通道 {layer.depth_multiplier} 个卷积核。",
        ),
        Said(
            "A plain convolution mixes the channels, this does not: it is a convolution with as many groups as "
            "channels. A SeparableConv mixes them afterwards.",
            "普通卷积会混合通道，它不会：相当于组数等于通道数的分组卷积。SeparableConv 会在其后再混合通道。",
        ),
        "Sifre, 2014",
    ),
    "SeparableConv": Told(
        Said(
            "First each channel is convolved by itself over {axes} (depthwise), then a convolution of size 1 mixes "
            "the channels (pointwise) into {layer.filters}.",
            "深度可分离卷积：先沿{axes}对每个通道单独卷积（depthwise），再用大小为 1 的卷积（pointwise）把通道混合为 "
            "{layer.filters} 个。",
        ),
        Said(
            "It takes the place of a plain convolution with far fewer weights and products: windows and channels are "
            "treated one after the other instead of together.",
            "用来代替普通卷积，权重和乘法都少得多：空间窗口与通道分两步处理，而不是同时处理。",
        ),
        "Chollet, 2017",
    ),
    "LocallyConnected": Told(
        Said(
            "A convolution over {axes} whose kernel differs at every position.",
            "局部连接层：沿{axes}的卷积，但每个位置使用各自的卷积核。",
        ),
        Said(
            "A convolution shares one kernel among all positions, this has one for each: as many times more "
            "parameters as there are positions, the same number of products.",
            "卷积在所有位置共享一个卷积核，局部连接不共享权重：参数量是卷积的“位置数”倍，而乘法次数相同。",
        ),
        "Taigman et al., 2014",
    ),
    "ConvLSTM": Told(
        Said(
            "An LSTM over time whose states are pictures and whose products are convolutions over {axes}.",
            "卷积 LSTM：沿时间的 LSTM，其状态是特征图，矩阵乘法换成沿{axes}的卷积。",
        ),
        Said(
            "An LSTM flattens what a step holds; here each place of the state sees its neighbourhood alone, as in a "
            "convolution.",
            "LSTM 把每一步的内容视为一个向量；这里状态的每个位置只看其邻域，与卷积相同。",
        ),
        "Shi et al., 2015",
    ),
    # Pooling
    "MaxPooling": Told(
        Said(
            "Keeps the largest value of each window along {axes}, channel by channel.",
            "最大池化：沿{axes}取每个窗口内的最大值，逐通道进行。",
        ),
        Said(
            "AveragePooling takes the mean; a convolution with strides also shrinks, but with trained weights.",
            "AveragePooling 取平均值；带步长的卷积同样缩小尺寸，但带有可训练的权重。",
        ),
    ),
    "AveragePooling": Told(
        Said(
            "Takes the mean of each window along {axes}, channel by channel; padding does not count.",
            "平均池化：沿{axes}取每个窗口内的平均值，逐通道进行；填充不计入平均。",
        ),
        Said(
            "MaxPooling keeps the strongest value alone and forgets the others; here all count alike.",
            "MaxPooling 只保留最强的值；这里窗口内所有值同等对待。",
        ),
    ),
    "GlobalMaxPooling": Told(
        Said(
            "Keeps the largest value of each channel over all of {axes}.",
            "全局最大池化：每个通道在整个{axes}上取最大值。",
        ),
        Said(
            "Flatten keeps every value and its place; this leaves one value a channel, whatever the size of the "
            "input, and forgets where it stood.",
            "Flatten 保留所有值及其位置；这里无论输入多大，每个通道只留一个值，且不再知道其位置。",
        ),
    ),
    "GlobalAveragePooling": Told(
        Said("Takes the mean of each channel over all of {axes}.", "全局平均池化：每个通道在整个{axes}上取平均值。"),
        Said(
            "In place of Flatten and a large Dense layer it leaves one value a channel and needs no weights; "
            "GlobalMaxPooling keeps the strongest value instead.",
            "代替 Flatten 加大型 Dense：每个通道只留一个平均值且没有权重；GlobalMaxPooling 则保留最大值。",
        ),
        "Lin et al., 2014",
    ),
    "AdaptiveMaxPooling": Told(
        Said(
            "Cuts {axes} into a given number of nearly equal parts and keeps the largest value of each.",
            "自适应最大池化：把{axes}分成给定数目、大小相近的部分，各取最大值。",
        ),
        Said(
            "MaxPooling fixes the window, and the output's size follows; here the size of the output is fixed, and "
            "the windows follow.",
            "MaxPooling 固定窗口、输出大小随之而定；这里固定输出大小、窗口随之而定。",
        ),
    ),
    "AdaptiveAveragePooling": Told(
        Said(
            "Cuts {axes} into a given number of nearly equal parts and takes the mean of each.",
            "自适应平均池化：把{axes}分成给定数目、大小相近的部分，各取平均值。",
        ),
        Said(
            "AveragePooling fixes the window; here the output's size is fixed, for inputs of any size.",
            "AveragePooling 固定窗口；这里固定输出大小，输入可以是任意尺寸。",
        ),
    ),
    # Recurrence
    "RNN": Told(
        Said(
            "Runs a cell along time: the state of a step goes into the next one.",
            "沿时间运行一个循环单元：每一步的状态传入下一步。",
        ),
        Said(
            "LSTM, GRU and SimpleRNN are this with a cell of their own; this takes any cell, one of your own as well.",
            "LSTM、GRU、SimpleRNN 即自带单元的 RNN；这里可以使用任意单元，包括自定义的。",
        ),
    ),
    "SimpleRNN": Told(
        Said(
            "The new state is an activation of the input and the old state, each times a matrix.",
            "简单循环层：新状态由输入和旧状态各乘一个矩阵后经激活函数得到。",
        ),
        Said(
            "It has no gates: LSTM has three gates and a second state, GRU two gates, so that they remember over "
            "more steps.",
            "它没有门：LSTM 有三个门和额外的细胞状态，GRU 有两个门，因此能记住更长的时间步。",
        ),
        "Elman, 1990",
    ),
    "LSTM": Told(
        Said(
            "Recurrence with a memory c beside the output h: gates decide what is forgotten, what is written and "
            "what is shown.",
            "长短期记忆：除输出 h 外还有细胞状态 c，由遗忘门、输入门、输出门决定忘记、写入和输出的内容。",
        ),
        Said(
            "Four products a step, where GRU has three (two gates and no separate memory) and SimpleRNN one (no gate).",
            "每步四组乘法；GRU 为三组（两个门、没有单独的细胞状态），SimpleRNN 为一组（没有门）。",
        ),
        "Hochreiter & Schmidhuber, 1997",
    ),
    "GRU": Told(
        Said(
            "Recurrence with two gates: how much of the old state enters the new candidate, and how far the state "
            "moves towards it.",
            "门控循环单元：重置门决定旧状态有多少进入候选状态，更新门决定状态向候选值移动多少。",
        ),
        Said(
            "It is an LSTM without a separate memory: one state, three products a step instead of four, a quarter "
            "fewer weights.",
            "相当于没有单独细胞状态的 LSTM：一个状态、每步三组乘法而非四组，权重约少四分之一。",
        ),
        "Cho et al., 2014",
    ),
    "SimpleRNNCell": Told(
        Said(
            "One step of a SimpleRNN: input and state in, new state out.",
            "SimpleRNN 的一个时间步：输入和状态进，新状态出。",
        ),
        Said(
            "SimpleRNN runs it along time; RNN and StackedRNNCells take it as a part.",
            "SimpleRNN 沿时间运行它；RNN 与 StackedRNNCells 可把它作为部件。",
        ),
        "Elman, 1990",
    ),
    "LSTMCell": Told(
        Said(
            "One step of an LSTM: input, h and c in, new h and c out.",
            "LSTM 的一个时间步：输入、h 和 c 进，新的 h 和 c 出。",
        ),
        Said(
            "LSTM runs it along time with kernels for whole sequences; as a cell, code of your own can stand between "
            "the steps.",
            "LSTM 用整段序列的内核沿时间运行它；作为单元，可在各步之间加入自己的代码。",
        ),
        "Hochreiter & Schmidhuber, 1997",
    ),
    "GRUCell": Told(
        Said(
            "One step of a GRU: input and state in, new state out.",
            "GRU 的一个时间步：输入和状态进，新状态出，含重置门与更新门。",
        ),
        Said(
            "GRU runs it along time; unlike an LSTMCell it has one state.",
            "GRU 沿时间运行它；与 LSTMCell 不同，它只有一个状态。",
        ),
        "Cho et al., 2014",
    ),
    "StackedRNNCells": Told(
        Said(
            "Cells one upon another as one cell: each takes the output of the one below.",
            "把多个循环单元叠成一个单元：每个以下一层的输出为输入。",
        ),
        Said(
            "In layers one behind another each runs through all steps; here all cells of a step run before the next "
            "step.",
            "多个循环层依次堆叠时，每层先跑完所有时间步；这里每个时间步先跑完所有单元，再到下一步。",
        ),
    ),
    "Bidirectional": Told(
        Said(
            "Runs a recurrent layer from both ends of time and joins the results ({layer.merge_mode}).",
            "双向循环：从时间的两端各运行一个循环层，并合并结果（{layer.merge_mode}）。",
        ),
        Said(
            "A recurrent layer alone knows at a step only what came before it; here also what comes after, at twice "
            "the cost. Not for data that is still to come.",
            "单个循环层在某一步只知道之前的内容；双向还知道之后的内容，代价加倍。不能用于尚未到来的数据。",
        ),
        "Schuster & Paliwal, 1997",
    ),
    "TimeDistributed": Told(
        Said(
            "Applies the layer inside to every step, with the same weights.",
            "把内部的层以相同权重应用到每个时间步。",
        ),
        Said(
            "Nothing goes from step to step, unlike in a recurrent layer; Dense needs none of it, since it works on "
            "the last axis anyway.",
            "与循环层不同，步与步之间没有信息传递；Dense 本来就只作用于最后一轴，无需使用它。",
        ),
    ),
    "Pipeline": Told(
        Said("Runs {n} layers one behind another as one.", "把 {n} 个层依次运行，合成一层。"),
        Said(
            "A Sequential model trains; this is a layer for preparing data, and is in training from the start.",
            "Sequential 是可训练的模型；Pipeline 是用于数据预处理的层，默认即处于训练状态。",
        ),
    ),
    # Attention
    "Attention": Told(
        Said(
            "Each query takes a mean of the values, weighted by how well it fits their keys ({layer.score_mode}).",
            "注意力：每个查询按与各键的匹配程度（{layer.score_mode}）对值取加权平均。",
        ),
        Said(
            "It has no projections of its own, so at most one weight; MultiHeadAttention projects first, and does so "
            "several times. AdditiveAttention scores by a sum.",
            "它没有自己的投影，最多只有一个权重；MultiHeadAttention 先投影，且有多个头。AdditiveAttention 用加法打分。",
        ),
        "Luong et al., 2015",
    ),
    "AdditiveAttention": Told(
        Said("Attention whose score is the sum over tanh(query + key).", "加性注意力：得分为 tanh(查询 + 键) 的和。"),
        Said(
            "Attention (dot) multiplies query and key instead of adding them, which is one matrix product.",
            "Attention（点积）把查询与键相乘而非相加，只需一次矩阵乘法。",
        ),
        "Bahdanau et al., 2015",
    ),
    "MultiHeadAttention": Told(
        Said(
            "{layer.num_heads} attention head(s) side by side: each projects query, key and value to {layer.key_dim} "
            "values and weighs the values by softmax(query . key / sqrt({layer.key_dim})).",
            "多头注意力：{layer.num_heads} 个注意力头并行，各自把查询、键、值投影到 {layer.key_dim} 维，并以 "
            "softmax(查询·键 / sqrt({layer.key_dim})) 对值加权。",
        ),
        Said(
            "Every step sees every other at once, where a recurrent layer goes step by step; the scores take steps x "
            "steps products. GroupedQueryAttention shares keys and values among heads.",
            "每个时间步同时看到所有步，而循环层逐步进行；得分需要 步数 x 步数 次运算。GroupedQueryAttention "
            "让多个头共享键和值。",
        ),
        "Vaswani et al., 2017",
    ),
    "GroupedQueryAttention": Told(
        Said(
            "{layer.num_query_heads} heads of the query share {layer.num_key_value_heads} head(s) of key and value.",
            "分组查询注意力：{layer.num_query_heads} 个查询头共享 {layer.num_key_value_heads} 个键值头。",
        ),
        Said(
            "MultiHeadAttention has a key and a value for every head; sharing them makes what a language model must "
            "keep of past steps smaller.",
            "MultiHeadAttention 每个头都有自己的键和值；共享后语言模型需要缓存的历史更少。",
        ),
        "Ainslie et al., 2023",
    ),
    # Normalization
    "BatchNormalization": Told(
        Said(
            "Gives each channel mean 0 and deviation 1 over the batch, then scales (gamma) and shifts (beta) it.",
            "批归一化：在批次上使每个通道均值为 0、标准差为 1，再用 gamma 缩放、beta 平移。",
        ),
        Said(
            "Its statistics come from the other samples of a batch, in inference from moving means; "
            "LayerNormalization and GroupNormalization look at one sample alone and do the same in training and "
            "inference.",
            "统计量来自批次中的其他样本，推理时用滑动平均；LayerNormalization 与 GroupNormalization 只看单个样本，"
            "训练与推理相同。",
        ),
        "Ioffe & Szegedy, 2015",
    ),
    "LayerNormalization": Told(
        Said(
            "Gives the values of each sample mean 0 and deviation 1 along axis {layer.axis}, then scales and shifts "
            "them.",
            "层归一化：沿轴 {layer.axis} 使每个样本的值均值为 0、标准差为 1，再缩放和平移。",
        ),
        Said(
            "BatchNormalization takes its statistics over the batch, for each channel; this over the features, for "
            "each sample and step, so the size of the batch does not matter.",
            "BatchNormalization 对每个通道在批次上统计；这里对每个样本（每个时间步）在特征上统计，与批大小无关。",
        ),
        "Ba et al., 2016",
    ),
    "GroupNormalization": Told(
        Said(
            "Gives each of {layer.groups} groups of channels of a sample mean 0 and deviation 1, then scales and "
            "shifts each channel.",
            "组归一化：把一个样本的通道分为 {layer.groups} 组，每组均值为 0、标准差为 1，再逐通道缩放和平移。",
        ),
        Said(
            "Between LayerNormalization over all channels (one group) and instance normalization (a group a channel);"
            " unlike BatchNormalization it does not look at other samples.",
            "介于对全部通道的层归一化（一组）与实例归一化（每通道一组）之间；与批归一化不同，不看其他样本。",
        ),
        "Wu & He, 2018",
    ),
    "RMSNormalization": Told(
        Said(
            "Divides the values of each sample along axis {layer.axis} by the root of their mean square, then scales "
            "them.",
            "均方根归一化：沿轴 {layer.axis} 把每个样本的值除以其均方根，再缩放。",
        ),
        Said(
            "LayerNormalization also takes the mean away and adds beta; this leaves both out.",
            "LayerNormalization 还会减去均值并加 beta；这里两者都省去。",
        ),
        "Zhang & Sennrich, 2019",
    ),
    "UnitNormalization": Told(
        Said(
            "Divides by the Euclidean norm along axis {layer.axis}, so that each vector has length 1.",
            "单位归一化：沿轴 {layer.axis} 除以欧氏范数，使每个向量长度为 1。",
        ),
        Said(
            "It has no weights and takes no mean away; RMSNormalization divides by the root of the mean instead of "
            "the sum.",
            "没有权重，也不减去均值；RMSNormalization 除以均方的平方根，而不是平方和的平方根。",
        ),
    ),
    "SpectralNormalization": Told(
        Said(
            "Divides the kernel of the layer inside by its greatest singular value before every call in training.",
            "谱归一化：训练时每次调用前把内部层的核除以其最大奇异值。",
        ),
        Said(
            "The other normalizations change a layer's values; this changes its weights.",
            "其他归一化改变的是层的输出值；这里改变的是权重。",
        ),
        "Miyato et al., 2018",
    ),
    # Activations
    "Activation": Told(
        Said("Applies {function} to its input.", "对输入施加激活函数 {function}。"),
        Said(
            "The same as `activation=` of the layer before; as a layer of its own something can stand between.",
            "等同于前一层的 `activation=` 参数；单独成层后，中间可以插入别的层。",
        ),
    ),
    "ActivityRegularization": Told(
        Said(
            "Gives its input back and adds {layer.l1} * sum|x| + {layer.l2} * sum(x^2) to the loss.",
            "原样返回输入，并把 {layer.l1} * sum|x| + {layer.l2} * sum(x^2) 加入损失。",
        ),
        Said(
            "A kernel_regularizer penalizes weights; this penalizes the values that flow through.",
            "kernel_regularizer 惩罚权重；这里惩罚流过的激活值。",
        ),
    ),
    "ReLU": Told(
        Said("max(x, 0): what is negative becomes 0.", "max(x, 0)：负值变为 0。"),
        Said(
            "LeakyReLU keeps a slope below 0, PReLU learns it, ELU bends to a lower limit.",
            "LeakyReLU 在 0 以下保留斜率，PReLU 学习该斜率，ELU 平滑趋于下限。",
        ),
        "Nair & Hinton, 2010",
    ),
    "LeakyReLU": Told(
        Said("x where positive, else {layer.negative_slope} x.", "正值不变，负值乘以 {layer.negative_slope}。"),
        Said(
            "A ReLU gives 0 below 0, and no gradient; here some of both is left. PReLU learns the slope.",
            "ReLU 在 0 以下输出和梯度均为 0；这里都保留一部分。PReLU 则学习该斜率。",
        ),
        "Maas et al., 2013",
    ),
    "PReLU": Told(
        Said("x where positive, else alpha x, with a trained alpha.", "正值不变，负值乘以可训练的 alpha。"),
        Said(
            "LeakyReLU has one fixed slope; here each value has its own, or shares it along `shared_axes`.",
            "LeakyReLU 只有一个固定斜率；这里每个值各有一个，或沿 `shared_axes` 共享。",
        ),
        "He et al., 2015",
    ),
    "ELU": Told(
        Said("x where positive, else {layer.alpha} (exp(x) - 1).", "正值不变，负值为 {layer.alpha} (exp(x) - 1)。"),
        Said(
            "Smooth at 0 for alpha 1, and never below -alpha, where a LeakyReLU goes on falling.",
            "alpha 为 1 时在 0 处光滑，且不低于 -alpha;LeakyReLU 则一直下降。",
        ),
        "Clevert et al., 2016",
    ),
    "Softmax": Told(
        Said(
            "exp(x) / sum(exp(x)) along axis {layer.axis}: positive numbers that sum to 1.",
            "沿轴 {layer.axis} 计算 exp(x) / sum(exp(x))：和为 1 的正数。",
        ),
        Said(
            "The other activations work value by value; here each value depends on all along the axis. It takes a "
            'mask, which Activation("softmax") does not.',
            '其他激活函数逐值进行；这里每个值依赖于该轴上的所有值。它还接受掩码，Activation("softmax") 不接受。',
        ),
    ),
    "Identity": Told(
        Said("Gives its input back.", "原样返回输入。"),
        Said(
            "Dropout in inference does the same; this stands where a layer is asked for and nothing is to be done.",
            "推理时的 Dropout 也如此；用于需要一个层但什么都不做的地方。",
        ),
    ),
    # Shapes
    "Flatten": Told(
        Said("Lays all values of a sample in one row.", "展平：把一个样本的所有值排成一行。"),
        Said(
            "Every value and its place are kept, so a Dense behind it needs a fixed size and many weights; "
            "GlobalAveragePooling leaves one value a channel.",
            "保留每个值及其位置，因此其后的 Dense 需要固定尺寸和大量权重；GlobalAveragePooling 每个通道只留一个值。",
        ),
    ),
    "Reshape": Told(
        Said(
            "The same values, in the same order, in the shape {layer.target_shape}.",
            "相同的值、相同的顺序，变为形状 {layer.target_shape}。",
        ),
        Said(
            "Permute changes the order of axes, and so of the values; Flatten is Reshape((-1,)).",
            "Permute 改变轴的顺序，也就改变了值的顺序；Flatten 即 Reshape((-1,))。",
        ),
    ),
    "Permute": Told(
        Said(
            "Puts the axes in the order {layer.dims}, counted from 1; the batch stays first.",
            "按 {layer.dims} 重排各轴（从 1 计数），批次轴不动。",
        ),
        Said(
            "Reshape cuts the row of values anew; this moves every value to where its axes went.",
            "Reshape 只是重新切分值的序列；这里每个值随其轴移动。",
        ),
    ),
    "RepeatVector": Told(
        Said(
            "Repeats a vector {layer.n} times, as steps of a sequence.",
            "把一个向量重复 {layer.n} 次，作为序列的各时间步。",
        ),
        Said(
            "UpSampling1D repeats the steps that are there; this makes steps of a vector that had none.",
            "UpSampling1D 重复已有的时间步；这里由没有时间轴的向量生成时间步。",
        ),
    ),
    "ZeroPadding": Told(
        Said("Puts zeros round {axes}.", "在{axes}两端补零。"),
        Said(
            "As `padding` of a convolution, but of any width on each side. Cropping takes away what this adds.",
            "与卷积的 `padding` 类似，但每一侧的宽度可任意指定。Cropping 则是其逆操作。",
        ),
    ),
    "_Cropping": Told(
        Said("Cuts values off both ends of {axes}.", "裁剪：从{axes}两端裁去若干值。"),
        Said(
            "Pooling shrinks by summing windows up; this drops the border and leaves the rest as it is.",
            "池化通过汇总窗口来缩小；裁剪只去掉边缘，其余保持不变。",
        ),
    ),
    "_UpSampling": Told(
        Said(
            "Enlarges {axes} by whole factors ({layer.interpolation}).",
            "上采样：沿{axes}按整数倍放大（{layer.interpolation}）。",
        ),
        Said(
            "It has no weights; a transposed convolution enlarges with trained ones.",
            "没有权重；转置卷积用可训练的权重放大。",
        ),
    ),
    "Masking": Told(
        Said(
            "Masks the steps all of whose features equal {layer.mask_value}.",
            "掩码：屏蔽所有特征都等于 {layer.mask_value} 的时间步。",
        ),
        Said(
            "Embedding(mask_zero=True) makes a mask of integers, this of vectors; layers behind it then skip those "
            "steps.",
            "Embedding(mask_zero=True) 由整数产生掩码，这里由向量产生；其后的层会跳过这些时间步。",
        ),
    ),
    "Lambda": Told(
        Said("Runs a function of your own as a layer.", "把自定义函数作为一层运行。"),
        Said(
            "It has no weights, and its code is no part of a file; a class derived from Layer has both.",
            "没有权重，代码也不会存入文件；继承 Layer 的类则两者都有。",
        ),
    ),
    "InputLayer": Told(
        Said("Stands for an input of a model: its shape and type.", "模型的输入：给出形状和类型。"),
        Said("It computes nothing; Input(...) makes one.", "不做任何计算；Input(...) 即创建它。"),
    ),
    "TorchModuleWrapper": Told(
        Said(
            "Runs a torch.nn.Module as a layer; its parameters are the layer's weights.",
            "把 torch.nn.Module 作为一层运行；其参数即该层的权重。",
        ),
        Said(
            "A layer here is a torch module already; this is for modules that know nothing of shapes and configs.",
            "这里的层本身就是 torch 模块；它用于包装不了解形状与配置的普通模块。",
        ),
    ),
    # Noise
    "Dropout": Told(
        Said(
            "In training sets a fraction {layer.rate} of the values to 0 and scales the others by 1 / (1 - "
            "{layer.rate}).",
            "训练时把比例为 {layer.rate} 的值置 0，其余乘以 1 / (1 - {layer.rate})。",
        ),
        Said(
            "It drops single values; SpatialDropout drops whole channels, GaussianDropout multiplies with noise, "
            "AlphaDropout keeps the mean and variance of selu.",
            "丢弃的是单个值；SpatialDropout 丢弃整个通道，GaussianDropout 乘以噪声，AlphaDropout 保持均值和方差。",
        ),
        "Srivastava et al., 2014",
    ),
    "SpatialDropout": Told(
        Said(
            "In training sets a fraction {layer.rate} of the channels to 0, each over all of {axes}.",
            "训练时把比例为 {layer.rate} 的通道在整个{axes}上置 0。",
        ),
        Said(
            "Dropout drops values one by one; in feature maps a neighbour tells the dropped value, so here whole "
            "maps go.",
            "Dropout 逐个丢弃值；而特征图中相邻值会泄露被丢弃的值，因此这里丢弃整张特征图。",
        ),
        "Tompson et al., 2015",
    ),
    "AlphaDropout": Told(
        Said(
            "In training moves a fraction {layer.rate} of the values to the lower limit of selu, and shifts all so "
            "that mean and variance stay.",
            "训练时把比例为 {layer.rate} 的值设为 selu 的下限，并做仿射变换以保持均值和方差。",
        ),
        Said(
            "Dropout sets to 0, which selu networks do not take for nothing.",
            "Dropout 置 0，而在 selu 网络中 0 并不代表“无”。",
        ),
        "Klambauer et al., 2017",
    ),
    "GaussianDropout": Told(
        Said(
            "In training multiplies with normal noise of mean 1 and variance {layer.rate} / (1 - {layer.rate}).",
            "训练时乘以均值 1、方差 {layer.rate} / (1 - {layer.rate}) 的高斯噪声。",
        ),
        Said(
            "Dropout multiplies by 0 or 1 / (1 - rate); GaussianNoise adds instead of multiplying.",
            "Dropout 乘以 0 或 1 / (1 - rate);GaussianNoise 是相加而不是相乘。",
        ),
        "Srivastava et al., 2014",
    ),
    "GaussianNoise": Told(
        Said(
            "In training adds normal noise of deviation {layer.stddev}.",
            "训练时加上标准差为 {layer.stddev} 的高斯噪声。",
        ),
        Said(
            "GaussianDropout multiplies, so that large values get more noise; here all get the same.",
            "GaussianDropout 是相乘，大的值噪声也大；这里所有值的噪声相同。",
        ),
    ),
    # Merging
    "Add": Told(
        Said("The sum of its inputs, value by value.", "各输入逐值相加。"),
        Said(
            "Concatenate keeps both apart, side by side; a sum needs equal sizes and adds no channels. Residual "
            "connections use it.",
            "Concatenate 把各输入并排保留；相加要求尺寸相同且不增加通道。残差连接使用它。",
        ),
    ),
    "Subtract": Told(
        Said("The first input minus the second, value by value.", "第一个输入逐值减去第二个。"),
        Said(
            "Unlike the other sums and products its order counts, and there are exactly two inputs.",
            "与其他逐值合并不同，它的顺序有意义，且正好两个输入。",
        ),
    ),
    "Multiply": Told(
        Said("The product of its inputs, value by value.", "各输入逐值相乘。"),
        Said(
            "A gate: where one input is 0, the others do not come through. Dot sums products along an axis.",
            "相当于门：某个输入为 0 时其余都不能通过。Dot 则沿某轴对乘积求和。",
        ),
    ),
    "Average": Told(
        Said("The mean of its inputs, value by value.", "各输入逐值取平均。"),
        Said(
            "Add divided by the number of inputs, so that the size of values stays.",
            "即 Add 除以输入个数，数值大小保持不变。",
        ),
    ),
    "Maximum": Told(
        Said("The largest of its inputs, value by value.", "各输入逐值取最大。"),
        Said(
            "MaxPooling compares neighbours in one tensor, this the same place of several.",
            "MaxPooling 比较同一张量中的相邻值；这里比较多个张量的同一位置。",
        ),
    ),
    "Minimum": Told(
        Said("The smallest of its inputs, value by value.", "各输入逐值取最小。"),
        Said("Maximum of the negatives, negated.", "等于对相反数取 Maximum 后再取反。"),
    ),
    "Concatenate": Told(
        Said("Puts its inputs one behind another along axis {layer.axis}.", "沿轴 {layer.axis} 把各输入拼接起来。"),
        Said(
            "Add and the like need equal sizes and mix the values; this keeps them all and grows along one axis.",
            "Add 等要求尺寸相同并混合数值；拼接保留所有值，只沿一个轴增长。",
        ),
    ),
    "Dot": Told(
        Said(
            "Multiplies two inputs and sums along axes {layer.axes}.", "两个输入相乘并沿轴 {layer.axes} 求和（点积）。"
        ),
        Said(
            "Multiply does not sum; with `normalize=True` it is the cosine of the angle between vectors.",
            "Multiply 不求和；`normalize=True` 时为向量夹角的余弦。",
        ),
    ),
    # Preparing data
    "Rescaling": Told(
        Said("inputs x {layer.scale} + {layer.offset}.", "输入 x {layer.scale} + {layer.offset}。"),
        Said(
            "The numbers are given; Normalization finds them in data.", "系数是给定的；Normalization 则从数据中求得。"
        ),
    ),
    "Normalization": Told(
        Said(
            "(inputs - mean) / deviation, for each place along axis {layer.axis}, by numbers found in data or given.",
            "沿轴 {layer.axis} 计算 (输入 - 均值) / 标准差，数值来自 `adapt` 的数据或直接给定。",
        ),
        Said(
            "BatchNormalization finds them anew in every batch and trains a scale; here they are fixed before "
            "training.",
            "BatchNormalization 在每个批次重新统计并训练缩放；这里训练前就已固定。",
        ),
    ),
    "Discretization": Told(
        Said(
            "The number of the bin between boundaries that a value falls into.",
            "离散化：值落入哪个区间，输出区间编号。",
        ),
        Said(
            "Rescaling keeps a number a number; here it becomes a category, for an Embedding or a CategoryEncoding.",
            "Rescaling 后仍是数值；这里变为类别，供 Embedding 或 CategoryEncoding 使用。",
        ),
    ),
    "CategoryEncoding": Told(
        Said(
            "Integers as vectors of {layer.num_tokens} values ({layer.output_mode}).",
            "把整数编码为长度 {layer.num_tokens} 的向量（{layer.output_mode}）。",
        ),
        Said("An Embedding has trained vectors; these are fixed.", "Embedding 的向量可训练；这里是固定编码。"),
    ),
    "Hashing": Told(
        Said("The bucket, one of {layer.num_bins}, of a value's hash.", "哈希：把值分配到 {layer.num_bins} 个桶之一。"),
        Said(
            "A StringLookup needs a vocabulary and tells all its terms apart; this needs none, and several values "
            "may share a bucket.",
            "StringLookup 需要词表且能区分每个词；哈希不需要词表，但不同的值可能同桶。",
        ),
    ),
    "HashedCrossing": Told(
        Said(
            "The bucket, one of {layer.num_bins}, of several features together.",
            "特征交叉：把多个特征合在一起哈希到 {layer.num_bins} 个桶。",
        ),
        Said(
            "Hashing looks at one feature; this tells combinations apart.",
            "Hashing 只看一个特征；这里区分特征的组合。",
        ),
    ),
    "StringLookup": Told(
        Said("Texts as places in a vocabulary.", "把字符串转换为词表中的序号。"),
        Said(
            "IntegerLookup does the same for integers; TextVectorization first cuts a text into words.",
            "IntegerLookup 对整数做同样的事；TextVectorization 先把文本切成词。",
        ),
    ),
    "IntegerLookup": Told(
        Said("Integers as places in a vocabulary.", "把任意整数转换为词表中的序号。"),
        Said(
            "Where integers are 0, 1, 2, ... already, an Embedding needs no lookup; StringLookup does it for texts.",
            "若整数本来就是 0、1、2……则无需查表；StringLookup 用于字符串。",
        ),
    ),
    "TextVectorization": Told(
        Said(
            "Texts, cut into words, as the words' places in a vocabulary.",
            "文本向量化：把文本切分成词，再转换为词表序号。",
        ),
        Said("A StringLookup takes one text as one term.", "StringLookup 把整个字符串当作一个词。"),
    ),
    "MelSpectrogram": Told(
        Said(
            "Loudness over time in {layer.num_mel_bins} bands that are equally wide to the ear.",
            "梅尔频谱：随时间变化的 {layer.num_mel_bins} 个听感等宽频带的响度。",
        ),
        Said("STFTSpectrogram has bands of equal width in Hertz.", "STFTSpectrogram 的频带以赫兹等宽。"),
    ),
    "STFTSpectrogram": Told(
        Said(
            "Spectra of overlapping frames of {layer.frame_length} samples, {layer.frame_step} apart.",
            "短时傅里叶频谱：帧长 {layer.frame_length}，帧移 {layer.frame_step}。",
        ),
        Said(
            "A Conv1D whose kernels start as waves; MelSpectrogram sums its bands as the ear does.",
            "相当于卷积核初始为正弦波的 Conv1D;MelSpectrogram 再按听感合并频带。",
        ),
    ),
    "Resizing": Told(
        Said(
            "Pictures of {layer.height} x {layer.width} ({layer.interpolation}).",
            "把图片缩放为 {layer.height} x {layer.width}({layer.interpolation})。",
        ),
        Said(
            "UpSampling2D enlarges by whole factors; this makes any size of any other.",
            "UpSampling2D 只按整数倍放大；这里可变为任意尺寸。",
        ),
    ),
    "CenterCrop": Told(
        Said(
            "The middle {layer.height} x {layer.width} of pictures.",
            "中心裁剪：取图片中央的 {layer.height} x {layer.width}。",
        ),
        Said(
            "RandomCrop takes the part at a random place in training; Cropping2D cuts fixed borders.",
            "RandomCrop 训练时随机取位置；Cropping2D 裁去固定宽度的边。",
        ),
    ),
    "RandomCrop": Told(
        Said(
            "In training a part of {layer.height} x {layer.width} at a random place.",
            "训练时在随机位置裁出 {layer.height} x {layer.width} 的部分。",
        ),
        Said(
            "CenterCrop takes the middle, always; in inference this does so too.",
            "CenterCrop 始终取中央；推理时这里也如此。",
        ),
    ),
    "RandomFlip": Told(
        Said("In training mirrors half of the pictures ({layer.mode}).", "训练时随机镜像一半的图片（{layer.mode}）。"),
        Said(
            "RandomRotation turns by any angle; a mirror image keeps every pixel.",
            "RandomRotation 旋转任意角度；镜像保留每个像素。",
        ),
    ),
    "RandomRotation": Told(
        Said("In training turns pictures about their middle by a random angle.", "训练时绕中心随机旋转图片。"),
        Said(
            "RandomFlip mirrors; here pixels fall between places and are interpolated.",
            "RandomFlip 只做镜像；旋转后的像素需要插值。",
        ),
    ),
    "RandomZoom": Told(
        Said("In training shows pictures nearer or farther away.", "训练时随机拉近或拉远图片。"),
        Said("RandomCrop also changes the size of the output, this does not.", "RandomCrop 会改变输出尺寸；这里不会。"),
    ),
    "RandomTranslation": Told(
        Said("In training moves pictures up, down and sideways.", "训练时随机上下左右平移图片。"),
        Said(
            "RandomCrop moves a window over a larger picture; here the border is filled up.",
            "RandomCrop 在更大的图片上移动窗口；这里的空白边缘会被填充。",
        ),
    ),
    "RandomShear": Told(
        Said("In training lets rows and columns of pictures slide along each other.", "训练时对图片做随机剪切变换。"),
        Said(
            "RandomRotation keeps angles; this makes parallelograms of squares.",
            "RandomRotation 保持角度；剪切把正方形变成平行四边形。",
        ),
    ),
    "RandomPerspective": Told(
        Said("In training shows some of the pictures as if seen from aside.", "训练时对部分图片做随机透视变换。"),
        Said(
            "RandomShear keeps parallel lines parallel; this does not.",
            "RandomShear 保持平行线平行；透视变换不保持。",
        ),
    ),
    "RandomElasticTransform": Told(
        Said("In training distorts some of the pictures like a sheet of rubber.", "训练时对部分图片做弹性形变。"),
        Said(
            "The other changes of shape are one for a whole picture; here each place moves by itself.",
            "其他几何变换对整张图一致；这里每个位置各自移动。",
        ),
        "Simard et al., 2003",
    ),
    "RandomBrightness": Told(
        Said(
            "In training adds a random part of the value range to all values of a picture.",
            "训练时给图片的所有值加上一个随机量。",
        ),
        Said(
            "RandomContrast multiplies distances from the mean instead of adding.",
            "RandomContrast 是对偏离均值的量做乘法。",
        ),
    ),
    "RandomContrast": Told(
        Said(
            "In training multiplies the distance of values from their channel's mean.",
            "训练时把各值与通道均值之差乘以随机数。",
        ),
        Said("RandomBrightness adds the same to all values.", "RandomBrightness 对所有值加同一个数。"),
    ),
    "RandomColorDegeneration": Told(
        Said("In training takes colours on the way to grey.", "训练时把颜色向灰度方向减弱。"),
        Said("RandomGrayscale goes all the way, for some of the pictures.", "RandomGrayscale 对部分图片完全变灰。"),
    ),
    "RandomGrayscale": Told(
        Said("In training makes a part of the pictures grey.", "训练时把一部分图片变为灰度。"),
        Said(
            "RandomColorDegeneration goes a part of the way, for all.",
            "RandomColorDegeneration 对所有图片部分变灰。",
        ),
    ),
    "RandomHue": Told(
        Said("In training turns all hues of a picture one way or the other.", "训练时随机旋转图片的色相。"),
        Said(
            "RandomSaturation changes how strong colours are, not which.",
            "RandomSaturation 改变颜色的浓淡，而不是色调。",
        ),
    ),
    "RandomSaturation": Told(
        Said("In training makes colours weaker or stronger.", "训练时随机改变颜色饱和度。"),
        Said("RandomHue changes which colours there are.", "RandomHue 改变的是色调。"),
    ),
    "RandomSharpness": Told(
        Said("In training smooths or sharpens pictures.", "训练时随机平滑或锐化图片。"),
        Said("RandomGaussianBlur only smooths, more strongly.", "RandomGaussianBlur 只做平滑，且更强。"),
    ),
    "RandomGaussianBlur": Told(
        Said("In training smooths some of the pictures by a Gaussian.", "训练时对部分图片做高斯模糊。"),
        Said("RandomSharpness smooths a little or sharpens.", "RandomSharpness 轻微平滑或锐化。"),
    ),
    "RandomPosterization": Told(
        Said("In training keeps fewer bits of every value.", "训练时减少每个值的位数（色调分离）。"),
        Said("Solarization turns values round instead of rounding them.", "Solarization 是反转数值，而不是取整。"),
    ),
    "RandomInvert": Told(
        Said("In training makes the negative of some of the pictures.", "训练时把部分图片变成负片。"),
        Said("Solarization inverts only values above a threshold.", "Solarization 只反转高于阈值的值。"),
    ),
    "Solarization": Told(
        Said(
            "In training makes the negative of values above a threshold.", "训练时把高于阈值的值取反（曝光过度效果）。"
        ),
        Said("RandomInvert inverts all values.", "RandomInvert 反转所有值。"),
    ),
    "RandomErasing": Told(
        Said(
            "In training fills a rectangle of some of the pictures with one value.",
            "训练时用一个值填满部分图片中的矩形。",
        ),
        Said(
            "CutMix fills it from another picture; Dropout drops single values.",
            "CutMix 用另一张图片填充；Dropout 丢弃单个值。",
        ),
        "Zhong et al., 2020",
    ),
    "RandomColorJitter": Told(
        Said(
            "In training changes brightness, contrast, saturation and hue, one after the other.",
            "训练时依次随机改变亮度、对比度、饱和度和色相。",
        ),
        Said("RandAugment draws which changes are made.", "RandAugment 会随机抽取使用哪些变换。"),
    ),
    "RandAugment": Told(
        Said(
            "In training makes {layer.num_ops} changes drawn out of eleven.",
            "训练时从十一种变换中抽取 {layer.num_ops} 种。",
        ),
        Said("AugMix mixes several chains of changes with the picture itself.", "AugMix 把多条变换链与原图混合。"),
        "Cubuk et al., 2020",
    ),
    "AugMix": Told(
        Said(
            "In training mixes pictures with several chains of changes of themselves.",
            "训练时把图片与自身的多条变换链混合。",
        ),
        Said("RandAugment shows the changed picture alone.", "RandAugment 只给出变换后的图片。"),
        "Hendrycks et al., 2020",
    ),
    "MixUp": Told(
        Said(
            "In training mixes each picture, and its label, with another of the batch.",
            "训练时把每张图片及其标签与批次中另一张混合。",
        ),
        Said(
            "CutMix puts a part of the other picture in, this all of it, thinly.",
            "CutMix 放入另一张图的一部分；MixUp 把整张图按比例叠加。",
        ),
        "Zhang et al., 2018",
    ),
    "CutMix": Told(
        Said(
            "In training puts a rectangle of another picture into each, and mixes the labels.",
            "训练时把另一张图片的矩形区域放入每张图，并混合标签。",
        ),
        Said(
            "MixUp mixes whole pictures; RandomErasing leaves the rectangle empty.",
            "MixUp 混合整张图片；RandomErasing 的矩形是空白的。",
        ),
        "Yun et al., 2019",
    ),
    "MaxNumBoundingBoxes": Told(
        Said(
            "Keeps the first {layer.max_number} boxes of each picture, or fills up to as many.",
            "保留每张图的前 {layer.max_number} 个边界框，不足则填充。",
        ),
        Said(
            "The layers of pictures move boxes along; this alone makes their number fixed.",
            "其他图像层会同步变换边界框；只有它使框的数量固定。",
        ),
    ),
    "AutoContrast": Told(
        Said("Stretches the values of each channel over the whole value range.", "把每个通道的值拉伸到整个取值范围。"),
        Said(
            "Equalization also makes all values about equally frequent.",
            "Equalization 还会使各值出现的频率大致相等。",
        ),
    ),
    "Equalization": Told(
        Said(
            "In training spreads the values of each channel so that all are about equally frequent in the batch.",
            "训练时做直方图均衡化：使每个通道的各值在批次中出现的频率大致相等。",
        ),
        Said(
            "AutoContrast only stretches; ContrastLimitedAdaptiveHistogramEqualization does it part by part.",
            "AutoContrast 只做拉伸；ContrastLimitedAdaptiveHistogramEqualization 分块进行。",
        ),
    ),
    "ContrastLimitedAdaptiveHistogramEqualization": Told(
        Said(
            "Spreads values so that all are about equally frequent in each part of a picture, within a limit.",
            "限制对比度的自适应直方图均衡化：在图片的每一块内使各值频率大致相等。",
        ),
        Said("Equalization does so for a whole picture, without a limit.", "Equalization 对整张图进行，且没有限制。"),
        "Zuiderveld, 1994",
    ),
    # Layers of older generations alone
    "MaxoutDense": Told(
        Said(
            "{layer.features} dense layers side by side, of which each output takes the largest.",
            "{layer.features} 个并列的全连接层，每个输出取其中的最大值。",
        ),
        Said(
            "Dense bends its sum by a fixed activation; here its shape is learned, from straight pieces.",
            "Dense 使用固定的激活函数；这里激活函数的形状由若干直线段学习而成。",
        ),
        "Goodfellow et al., 2013",
    ),
    "Highway": Told(
        Said(
            "A dense layer and a gate: for each value, how much of it and how much of the input comes through.",
            "一个全连接层加一个门：对每个值决定通过多少变换结果、多少原输入。",
        ),
        Said(
            "A residual connection adds the input whole; here a trained gate mixes the two.",
            "残差连接直接加上输入；这里由可训练的门混合两者。",
        ),
        "Srivastava et al., 2015",
    ),
    "ThresholdedReLU": Told(
        Said("x where it is above {layer.theta}, else 0.", "大于 {layer.theta} 的值不变，其余为 0。"),
        Said(
            "ReLU begins at 0 without a step; this jumps from 0 to theta.",
            "ReLU 从 0 连续开始；这里在阈值处由 0 跳到 theta。",
        ),
        "Konda et al., 2015",
    ),
    "ParametricSoftplus": Told(
        Said(
            "alpha log(1 + exp(beta x)), with trained alpha and beta.",
            "alpha log(1 + exp(beta x))，alpha 与 beta 可训练。",
        ),
        Said(
            "A softplus activation has one shape for all values; here each has its own.",
            "softplus 激活对所有值形状相同；这里每个值各有参数。",
        ),
        "McFarland et al., 2013",
    ),
    "SReLU": Told(
        Said(
            "Three straight pieces: the slopes outside and where they begin are trained, between them x stays.",
            "三段直线：两侧的斜率和起点可训练，中间保持 x。",
        ),
        Said("PReLU has one trained slope, below 0.", "PReLU 只有一个可训练的斜率，在 0 以下。"),
        "Jin et al., 2016",
    ),
    "MergeByMode": Told(
        Said("Joins its inputs by the mode {layer.mode}.", "按模式 {layer.mode} 合并各输入。"),
        Said(
            "Keras 1 has one layer for what are Add, Multiply, Average, Maximum, Concatenate and Dot today.",
            "Keras 1 用一个层表示今天的 Add、Multiply、Average、Maximum、Concatenate 和 Dot。",
        ),
    ),
}

_AXES = {
    1: Said("time", "时间"),
    2: Said("height and width", "高和宽"),
    3: Said("depth, height and width", "深、高和宽"),
}


def told(layer: Any) -> Told:
    """The words for a layer's class, or for the nearest one above it. Raises KeyError where there are none."""
    found = next((TOLD[cls.__name__] for cls in type(layer).__mro__ if cls.__name__ in TOLD), None)
    if found is None:
        raise KeyError(f"There are no words for {type(layer).__name__}; add them to lamina/pictures/told.py.")
    return found


class _Shown:
    """A layer whose attributes are texts: a list of one as its item."""

    def __init__(self, layer: Any):
        self._layer = layer

    def __getattr__(self, name: str) -> str:
        return shown(getattr(self._layer, name))


def shown(value: Any) -> str:
    """A value as text."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, int) for item in value):
        return str(value[0]) if len(value) == 1 else str(tuple(value))
    return str(value)


def filled(said: Said, layer: Any, language: Language, **values: Any) -> str:
    """A sentence of `TOLD`, or one like these, with the layer's own values."""
    rank = getattr(layer, "rank", None)
    function = getattr(getattr(layer, "activation", None), "__name__", "?")
    inner = getattr(layer, "_pipeline_layers", ())
    values |= {"function": function.strip("_"), "n": len(inner), "axes": _AXES[rank](language) if rank else ""}
    return said(language, layer=_Shown(layer), **values)
