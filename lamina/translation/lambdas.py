"""The names that functions in files may use to be rebuilt: what they mean is known, and they only compute."""

from __future__ import annotations

# Names of modules at the top of scripts, and modules that functions import; K is the backend.
ROOTS = {
    "K": "K", "backend": "K", "tf": "tf", "tensorflow": "tf", "np": "np", "numpy": "np", "keras": "keras",
    "tf_keras": "keras", "ops": "ops", "math": "math",
}  # fmt: skip
MODULES = {
    "keras": "keras", "keras.backend": "K", "keras.ops": "ops", "numpy": "np", "math": "math", "tensorflow": "tf",
    "tensorflow.keras": "keras", "tensorflow.keras.backend": "K", "tensorflow.python.keras": "keras",
    "tensorflow.python.keras.backend": "K", "tensorflow.compat.v1": "tf.compat.v1", "tf_keras": "keras",
    "tf_keras.backend": "K",
}  # fmt: skip
INSIDE = {"tf.keras": "keras", "keras.backend": "K", "keras.ops": "ops", "K.tf": "tf", "K.np": "np"}

_K = """
    abs all any arange argmax argmin backend batch_dot batch_flatten bias_add binary_crossentropy cast cast_to_floatx
    categorical_crossentropy clip concatenate constant cos cumprod cumsum dot dtype elu epsilon equal exp expand_dims
    flatten floatx gather greater greater_equal hard_sigmoid identity image_data_format image_dim_ordering int_shape
    l2_normalize less less_equal lesser lesser_equal log logsumexp map_fn max maximum mean min minimum ndim not_equal
    one_hot ones ones_like permute_dimensions pool2d pool3d pow prod random_binomial random_normal random_uniform relu
    repeat repeat_elements reshape resize_images resize_volumes reverse round shape sigmoid sign sin size slice softmax
    softplus softsign spatial_2d_padding spatial_3d_padding sqrt square squeeze stack std stop_gradient sum switch tanh
    temporal_padding tile transpose truncated_normal var zeros zeros_like
"""
_MATH = """
    abs acos acosh add add_n argmax argmin asin asinh atan atan2 atanh ceil cos cosh cumprod cumsum divide divide_no_nan
    equal erf exp expm1 floor floordiv floormod greater greater_equal l2_normalize less less_equal log log1p log_sigmoid
    logical_and logical_not logical_or logical_xor maximum minimum mod multiply negative not_equal pow reciprocal
    reduce_all reduce_any reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_std reduce_sum
    reduce_variance round rsqrt sigmoid sign sin sinh softmax softplus softsign sqrt square squared_difference subtract
    tan tanh top_k truediv
"""
_TF = """
    batch_to_space bool boolean_mask broadcast_to cast clip_by_value concat constant convert_to_tensor depth_to_space
    einsum expand_dims eye fill float16 float32 float64 gather gather_nd identity int32 int64 int8 uint8 linspace matmul
    matrix_transpose mul neg newaxis norm one_hot ones ones_like pad range rank repeat reshape roll shape size slice
    space_to_depth split squeeze stack stop_gradient sub tensordot tile to_float to_int32 to_int64 transpose unstack
    zeros zeros_like random_normal random_uniform map_fn
"""
_NN = """
    avg_pool avg_pool2d bias_add crelu depth_to_space elu gelu l2_loss l2_normalize leaky_relu log_softmax
    max_pool max_pool2d moments relu relu6 selu sigmoid silu softmax softplus softsign space_to_depth swish tanh top_k
"""
_IMAGE = """
    adjust_brightness adjust_contrast adjust_gamma adjust_hue adjust_saturation central_crop crop_to_bounding_box
    extract_patches flip_left_right flip_up_down grayscale_to_rgb hsv_to_rgb pad_to_bounding_box
    per_image_standardization resize_bilinear resize_images resize_nearest_neighbor resize_with_crop_or_pad
    rgb_to_grayscale rgb_to_hsv rot90 transpose ResizeMethod.AREA ResizeMethod.BILINEAR
    ResizeMethod.NEAREST_NEIGHBOR
"""
_NEW_TF = "reverse image.resize where"  # of which TensorFlow 1 had others by these names
_OPS = """
    abs absolute add all amax amin any append arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin
    argsort array average average_pool binary_crossentropy bitwise_and bitwise_invert bitwise_not bitwise_or bitwise_xor
    broadcast_to cast categorical_crossentropy ceil celu clip concatenate convert_to_tensor copy cos cosh count_nonzero
    cross cumprod cumsum diag diagonal diff divide divide_no_nan dot einsum elu equal erf erfinv exp exp2 expand_dims
    expm1 eye flip floor floor_divide full full_like gelu get_item glu greater greater_equal hard_sigmoid hard_silu
    hard_swish hard_tanh hstack identity inner isclose isfinite isinf isnan l2_normalize layer_normalization leaky_relu
    less less_equal linspace log log10 log1p log2 log_sigmoid log_softmax logaddexp logical_and logical_not logical_or
    logical_xor logsumexp matmul max max_pool maximum mean median meshgrid min minimum mod moments moveaxis multi_hot
    multiply nan_to_num ndim negative norm normalize not_equal one_hot ones ones_like outer pad power prod ravel real
    reciprocal relu relu6 repeat reshape rms_normalization roll rot90 round rsqrt select selu shape sigmoid sign silu
    sin sinh size slice softmax softplus softsign sort split sqrt square squeeze stack std stop_gradient subtract sum
    swapaxes swish take take_along_axis tan tanh tensordot tile top_k trace transpose tril triu true_divide trunc
    unstack var vdot vstack where zeros zeros_like
    nn.relu nn.sigmoid nn.softmax nn.gelu nn.silu nn.elu nn.leaky_relu nn.one_hot nn.average_pool nn.max_pool
    image.resize image.rgb_to_grayscale numpy.mean numpy.sum numpy.max numpy.abs linalg.norm
"""
# On numbers alone.
_NP = """
    abs array asarray ceil e exp float16 float32 float64 floor inf int32 int64 log log10 log2 maximum minimum newaxis pi
    prod round sqrt square sum
"""
_PYTHON_MATH = "ceil e exp floor inf log log10 log2 pi prod sqrt"

IN_TURN = frozenset({"split", "unstack", "map_fn"})  # which go through an axis step by step

TABLE = {
    "K": frozenset(_K.split()),
    "tf": frozenset(
        [
            *_TF.split(), *_MATH.split(), *_NEW_TF.split(),
            *(f"math.{name}" for name in _MATH.split()),
            *(f"nn.{name}" for name in _NN.split()),
            *(f"image.{name}" for name in _IMAGE.split()),
            *("random.normal", "random.uniform", "linalg.matmul", "linalg.norm", "linalg.l2_normalize"),
            *("compat.v1.image.resize", "compat.v1.image.resize_images", "compat.v1.image.resize_bilinear"),
            *("compat.v1.image.resize_nearest_neighbor", "linalg.einsum", "dtypes.float32", "dtypes.int32"),
        ]
    ),
    "ops": frozenset(_OPS.split()),
    "np": frozenset(_NP.split()),
    "math": frozenset(_PYTHON_MATH.split()),
}  # fmt: skip


def canonical(path: str) -> str:
    """A dotted name, with the modules inside of others by their own names."""
    for inside, own in INSIDE.items():
        if path == inside or path.startswith(f"{inside}."):
            return canonical(own + path[len(inside) :])
    return path


def is_known(path: str, generation: str) -> bool:
    """Whether a dotted name means one thing in a generation, and only computes."""
    root, _, name = path.partition(".")
    if root == "tf" and generation in ("keras1", "keras2") and name in _NEW_TF.split():
        return name == "reverse" and generation == "keras2"
    return name in TABLE.get(root, ())
