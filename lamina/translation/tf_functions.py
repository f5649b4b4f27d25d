"""TensorFlow's functions that stand in tf.keras' configs as layers: which may, and what older ones are called now."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Of tensors, without effects: whole modules of TensorFlow, single names of it, and of Keras' backend.
MODULES = ("math", "nn", "linalg")
NAMES = frozenset(
    """
    argsort boolean_mask broadcast_to cast clip_by_norm clip_by_value concat convert_to_tensor einsum expand_dims eye
    fill gather gather_nd identity meshgrid norm one_hot ones ones_like pad range rank repeat reshape reverse roll
    saturate_cast sequence_mask shape size slice sort split squeeze stack stop_gradient tensordot tile transpose
    unstack where zeros zeros_like image.adjust_brightness image.adjust_contrast image.central_crop
    image.crop_to_bounding_box image.flip_left_right image.flip_up_down image.grayscale_to_rgb
    image.pad_to_bounding_box image.per_image_standardization image.resize image.resize_with_crop_or_pad
    image.resize_area image.resize_bicubic image.resize_bilinear image.resize_images image.resize_nearest_neighbor
    image.rgb_to_grayscale image.rot90 image.total_variation image.transpose
    """.split()
)
BACKEND = frozenset(
    """
    abs all any argmax argmin batch_dot batch_flatten binary_crossentropy cast categorical_crossentropy clip
    concatenate cos cumprod cumsum dot elu equal exp expand_dims flatten gather greater greater_equal hard_sigmoid
    identity int_shape l2_normalize less less_equal log logsumexp max maximum mean min minimum not_equal one_hot
    ones_like permute_dimensions pow prod relu repeat repeat_elements reshape resize_images reverse round shape sigmoid
    sign sin softmax softplus softsign sparse_categorical_crossentropy spatial_2d_padding sqrt square squeeze stack std
    stop_gradient sum switch tanh temporal_padding tile transpose var zeros_like
    """.split()
)
UNHEARD = ("name", "conjugate")  # the latter of tensors that are complex, which Keras' are not
OPERATORS = {
    "__operators__.add": "math.add", "__operators__.ne": "math.not_equal", "__operators__.eq": "math.equal",
    **{f"compat.v1.image.{name}": "image.resize_images" for name in ("resize", "resize_images")},
}  # fmt: skip

# Operations of TensorFlow's graphs, as TensorFlow 1.14 to 2.3 wrote them: the function and its arguments' names, those
# behind the bar from the operation's own attributes. "*": a list of all inputs that are not named behind.
GRAPH_OPERATIONS = {
    "Add": ("math.add", "x y"), "Pow": ("math.pow", "x y"), "Equal": ("math.equal", "x y"),
    "Maximum": ("math.maximum", "x y"), "Minimum": ("math.minimum", "x y"), "Greater": ("math.greater", "x y"),
    "Less": ("math.less", "x y"),
    "AddV2": ("math.add", "x y"), "Sub": ("math.subtract", "x y"), "Mul": ("math.multiply", "x y"),
    "RealDiv": ("math.truediv", "x y"), "FloorDiv": ("math.floordiv", "x y"), "FloorMod": ("math.floormod", "x y"),
    "GreaterEqual": ("math.greater_equal", "x y"), "LessEqual": ("math.less_equal", "x y"),
    "NotEqual": ("math.not_equal", "x y"), "SquaredDifference": ("math.squared_difference", "x y"),
    **{
        name: (f"math.{name.lower()}", "x")
        for name in ("Abs", "Exp", "Log", "Sqrt", "Rsqrt", "Square", "Sin", "Cos", "Tanh", "Sigmoid", "Sign", "Floor",
                     "Ceil", "Round", "Erf", "Softplus", "Log1p", "Expm1", "Reciprocal", "Tan", "Asin", "Acos", "Atan",
                     "Sinh", "Cosh", "Erfc")
    },
    "Neg": ("math.negative", "x"), "Relu": ("nn.relu", "features"), "Relu6": ("nn.relu6", "features"),
    "Elu": ("nn.elu", "features"), "Selu": ("nn.selu", "features"), "Softmax": ("nn.softmax", "logits"),
    "LogSoftmax": ("nn.log_softmax", "logits"), "LeakyRelu": ("nn.leaky_relu", "features | alpha"),
    **{
        name: (f"math.reduce_{name.lower()}", "input_tensor axis | keep_dims:keepdims")
        for name in ("Mean", "Sum", "Max", "Min", "Prod", "All", "Any")
    },
    "ArgMax": ("math.argmax", "input axis"), "ArgMin": ("math.argmin", "input axis"),
    "MatMul": ("linalg.matmul", "a b | transpose_a transpose_b"),
    "BatchMatMul": ("linalg.matmul", "a b | adj_x:transpose_a adj_y:transpose_b"),
    "BatchMatMulV2": ("linalg.matmul", "a b | adj_x:transpose_a adj_y:transpose_b"),
    "Reshape": ("reshape", "tensor shape"), "Transpose": ("transpose", "a perm"),
    "ConcatV2": ("concat", "* axis"), "Pack": ("stack", "* | axis"),
    "Unpack": ("unstack", "value | axis num"), "Squeeze": ("squeeze", "input | squeeze_dims:axis"),
    "ExpandDims": ("expand_dims", "input axis"), "Cast": ("cast", "x | DstT:dtype"), "Identity": ("identity", "input"),
    "Tile": ("tile", "input multiples"), "Pad": ("pad", "tensor paddings"),
    "PadV2": ("pad", "tensor paddings constant_values"), "Select": ("where", "condition x y"),
    "SelectV2": ("where", "condition x y"), "GatherV2": ("gather", "params indices axis"),
    "Split": ("split", "axis value | num_split:num_or_size_splits"), "StopGradient": ("stop_gradient", "input"),
    "ClipByValue": ("clip_by_value", "t clip_value_min clip_value_max"), "Shape": ("shape", "input"),
    "ReverseV2": ("reverse", "tensor axis"), "OneHot": ("one_hot", "indices depth on_value off_value | axis"),
    **{
        f"Resize{name}": (f"image.resize_{word}", "images size | align_corners half_pixel_centers")
        for name, word in (("Bilinear", "bilinear"), ("NearestNeighbor", "nearest_neighbor"), ("Bicubic", "bicubic"),
                           ("Area", "area"))
    },
    "DepthToSpace": ("nn.depth_to_space", "input | block_size data_format"),
    "SpaceToDepth": ("nn.space_to_depth", "input | block_size data_format"),
    "MaxPool": ("nn.max_pool2d", "input | ksize strides padding data_format"),
    "AvgPool": ("nn.avg_pool2d", "input | ksize strides padding data_format"),
    "Conv2D": ("nn.conv2d", "input filters | strides padding data_format dilations"),
    "BiasAdd": ("nn.bias_add", "value bias | data_format"), "MirrorPad": ("pad", "tensor paddings | mode"),
    "Cumsum": ("math.cumsum", "x axis | exclusive reverse"), "Cumprod": ("math.cumprod", "x axis | exclusive reverse"),
    "AddN": ("math.add_n", "*"), "L2Loss": ("nn.l2_loss", "t"), "Softsign": ("nn.softsign", "features"),
    "DivNoNan": ("math.divide_no_nan", "x y"), "Slice": ("slice", "input_ begin size"),
    "SplitV": ("split", "value num_or_size_splits axis"), "GatherNd": ("gather_nd", "params indices"),
    "BroadcastTo": ("broadcast_to", "input shape"), "TopKV2": ("math.top_k", "input k | sorted"),
    "ZerosLike": ("zeros_like", "input"), "OnesLike": ("ones_like", "input"), "Rank": ("rank", "input"),
    "Size": ("size", "input"), "LogicalAnd": ("math.logical_and", "x y"), "LogicalOr": ("math.logical_or", "x y"),
    "LogicalNot": ("math.logical_not", "x"),
}  # fmt: skip


def allowed(function: str) -> str | None:
    """The path of the function that a config names, such as "math.add"; None for one that may not be there."""
    path = OPERATORS.get(function, function).removeprefix("compat.v1.")
    home, _, name = path.rpartition(".")
    if home == "keras.backend":
        return path if name in BACKEND else None
    return path if path in NAMES or home in MODULES else None


def graph_call(
    operation: str, inputs: Sequence[Any], attributes: Mapping[str, Any]
) -> tuple[str, list[Any], dict[str, Any]] | None:
    """The function, what it takes by place and what by name, for an operation of a graph; None for an unknown one."""
    known = GRAPH_OPERATIONS.get(operation)
    if known is None:
        return None
    function, words = known
    named, _, settings = words.partition("|")
    own, left, first = named.split(), list(inputs), []
    if own[0] == "*":
        count = len(left) - len(own) + 1
        first, own, left = [left[:count]], own[1:], left[count:]
    if len(left) > len(own):
        return None
    found = dict(zip(own, left, strict=False))
    for word in settings.split():
        attribute, _, name = word.partition(":")
        if attribute in attributes and attributes[attribute] not in ([], None):
            found[name or attribute] = attributes[attribute]
    return function, first, found


def attribute(value: Mapping[str, Any]) -> Any:
    """The value of an operation's attribute, as protobuf writes it into JSON."""
    kind, item = next(iter(value.items()), ("", None))
    read: Callable[[Any], Any] | None = _ATTRIBUTES.get(kind)
    return item if read is None else read(item)


_ATTRIBUTES: dict[str, Callable[[Any], Any]] = {
    "i": int,
    "f": float,
    "b": bool,
    "s": lambda text: base64.b64decode(text).decode(),
    "type": lambda name: str(name).removeprefix("DT_").lower().replace("float", "float32").replace("half", "float16"),
    "list": lambda item: [int(one) for one in item.get("i", [])] if isinstance(item, Mapping) else item,
}
