"""Array functions recorded in a model, as Keras 3 writes them into a config.

A config names an operation by its class ("Sum"). What Keras gives the class ("axis") stands in the operation's own
config, what it gives the call (tensors, and the constants beside them) in the node's arguments. Only what the table
below lists is ever written or made from a config; what is read becomes the function of `lamina.ops`.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import config as settings
from ..core import dtypes, serialize, symbolic
from ..core.errors import named
from ..core.operation import Operation

# By Keras' module, the functions with a class of their own: `function:Class/call`. The class is by default the
# function's name in capitals. The call takes as many leading parameters as the number says (by default one), or those
# listed, `name=` by keyword; the class takes the rest.
_TABLE = {
    "numpy": """
        absolute add/2 all allclose:AllClose/2 amax amin angle any append/2 arange/start,stop,step= arccos arccosh
        arcsin arcsinh arctan arctan2/2 arctanh argmax argmin argpartition argsort array array_split
        average/x,weights= bincount bitwise_and/2 bitwise_invert bitwise_left_shift/2 bitwise_not bitwise_or/2
        bitwise_right_shift/2 bitwise_xor/2 broadcast_to cbrt ceil clip concatenate conjugate copy corrcoef correlate/2
        cos cosh count_nonzero cross/2 cumprod cumsum deg2rad diag diagflat diagonal diff digitize/2 divide/2
        divide_no_nan/2 dot/2 dsplit dstack einsum/*operands,**kwargs empty_like equal/2 exp exp2 expand_dims expm1 fabs
        flip fliplr flipud floor floor_divide/2 fmax/2 fmin/2 fmod/2 full/fill_value full_like/2 gcd/2 geomspace/2
        get_item/2 greater/2 greater_equal/2 heaviside/2 histogram hsplit hstack hypot/2 i0 imag inner/2 isclose/4
        isfinite isin:IsIn/2 isinf isnan isneginf isposinf isreal kron/2 lcm/2 ldexp/2 left_shift/2 less/2 less_equal/2
        linspace/2 log log10 log1p log2 logaddexp/2 logaddexp2/2 logical_and/2 logical_not logical_or/2 logical_xor/2
        logspace/2 matmul/2 max maximum/2 mean median meshgrid/*x min minimum/2 mod/2 moveaxis multiply/2 nan_to_num
        nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile/2 nanprod nanquantile/2
        nanstd nansum nanvar ndim negative nextafter/2 nonzero not_equal/2 ones_like outer/2 pad/x,constant_values=
        percentile/2 power/2 prod ptp quantile/2 rad2deg ravel real reciprocal repeat reshape right_shift/2 roll rot90
        round searchsorted:SearchSorted/2 select/3 sign signbit sin sinc sinh size slogdet sort split sqrt square
        squeeze stack std subtract/2 sum swapaxes take/2 take_along_axis/2 tan tanh tensordot/2 tile trace transpose
        trapezoid tril triu true_divide/2 trunc unique unravel_index vander var vdot/2 view vsplit vstack where/3
        zeros_like""",
    "nn": """
        adaptive_average_pool adaptive_max_pool average_pool
        batch_normalization:BatchNorm/x,mean,variance,offset,scale binary_crossentropy/2 categorical_crossentropy/2
        celu conv/2 conv_transpose/2 ctc_decode:CTCDecode/2 ctc_loss:CTCLoss/4 depth_to_space depthwise_conv/2
        dot_product_attention/query,key,value,bias=,mask=,scale= elu fold gelu glu hard_shrink hard_sigmoid hard_silu
        hard_tanh layer_normalization:LayerNorm/3 leaky_relu log_sigmoid log_softmax max_pool moments multi_hot
        normalize one_hot polar/2 psnr:PSNR/2 relu relu6 rms_normalization:RMSNorm/x,scale= selu separable_conv/3
        sigmoid silu soft_shrink softmax softplus softsign space_to_depth sparse_categorical_crossentropy/2 sparse_plus
        sparse_sigmoid sparsemax squareplus tanh_shrink threshold unfold""",
    "core": """
        cast convert_to_tensor saturate_cast scatter/2 scatter_update/3 slice/2 slice_update/3 stop_gradient unstack""",
    "math": """
        cdist:CDist/2 erf erfc erfinv extract_sequences fft:FFT fft2:FFT2 ifft2:IFFT2 in_top_k/2 irfft:IRFFT istft:ISTFT
        logdet logsumexp rfft:RFFT rsqrt segment_max/2 segment_min/2 segment_prod/2 segment_sum/2 stft:STFT top_k
        view_as_complex view_as_real""",
    "linalg": """
        cholesky cholesky_inverse det eig eigh inv lstsq/2 lu_factor matrix_rank norm pinv qr solve/2 solve_triangular/2
        svd:SVD""",
    "einops": "rearrange/tensor,pattern,**axes_lengths",
    "image": """
        affine_transform/2 crop_images elastic_transform extract_patches gaussian_blur
        hsv_to_rgb:HSVToRGB map_coordinates/2 pad_images perspective_transform/3 resize rgb_to_grayscale:RGBToGrayscale
        rgb_to_hsv:RGBToHSV scale_and_translate/4 sobel_edges ssim:SSIM/2""",
}


class _Entry(NamedTuple):
    word: str
    room: str  # Keras' module of the class
    class_name: str
    call: str

    @property
    def function(self) -> Callable:
        from .. import ops

        return getattr(ops.image if self.room == "image" else ops, self.word)

    @property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.function)

    @property
    def taken(self) -> list[str]:
        """The parameters of the call, marked as in the table."""
        return [*self.signature.parameters][: int(self.call)] if self.call.isdigit() else self.call.split(",")


def _entry(room: str, line: str) -> _Entry:
    head, _, call = line.partition("/")
    word, _, class_name = head.partition(":")
    return _Entry(word, room, class_name or "".join(part.capitalize() for part in word.split("_")), call or "1")


_BY_WORD = {entry.word: entry for room, lines in _TABLE.items() for entry in (_entry(room, x) for x in lines.split())}
_BY_CLASS = {entry.class_name: entry for entry in reversed(_BY_WORD.values())}  # the first of a class stays

# Functions of torch, of its tensors and of `operator`, by how their further arguments are called here and there. The
# function is by default the one of the same name.
_TORCH = {
    "": """
        abs=absolute absolute acos=arccos add arccos arcsin arctan arctan2 asin=arcsin atan=arctan atan2=arctan2
        bitwise_and bitwise_not bitwise_or bitwise_xor ceil cos cosh div=true_divide divide eq=equal erf exp expm1 floor
        floor_divide floordiv=floor_divide ge=greater_equal getitem=get_item greater greater_equal gt=greater isfinite
        isinf isnan le=less_equal less less_equal log log10 log1p log2 logical_and logical_not logical_or logical_xor
        logsigmoid=log_sigmoid lt=less matmul maximum minimum mod mul=multiply multiply ne=not_equal neg=negative
        negative not_equal ones_like pow=power ravel reciprocal relu relu6 remainder=mod rsqrt selu sigmoid sign silu
        sin sinh softplus softsign sqrt square sub=subtract subtract tan tanh true_divide truediv=true_divide where
        zeros_like""",
    "dim=axis keepdim=keepdims": "all amax amin any argmax argmin mean prod sum",
    "dim=axis": """
        cat=concatenate concat=concatenate concatenate cumsum log_softmax softmax squeeze stack
        unsqueeze=expand_dims""",
    "axis0=axis1 axis1=axis2": "swapaxes transpose=swapaxes",
    "source=source destination=destination": "moveaxis",
    "min=x_min max=x_max": "clamp=clip clip",
    "dtype=dtype": "to=cast",
    "shape=newshape": "reshape view=reshape",
    "dims=axes": "permute=transpose",
    "dims=axis": "flip",
}
_BY_TORCH_WORD = {
    word: (target or word, dict(pair.split("=") for pair in names.split()))
    for names, lines in _TORCH.items()
    for word, _, target in (line.partition("=") for line in lines.split())
}
_TORCH_ROOMS = (operator, torch, Tensor, F)
_SPREAD = ("reshape", "transpose", "flip")  # sizes and axes may come as several arguments: x.reshape(2, 3)
_TORCH_DEFAULTS = {"concatenate": {"axis": 0}, "clip": {"x_min": None, "x_max": None}}  # other than Keras'


# Writing ---------------------------------------------------------------------------------------------------------


def operation_config(
    operation: Operation, args: tuple, kwargs: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Any], dict[str, Any]]:
    """An operation as Keras 3 writes it, and the arguments of its call. Raises ValueError for what has no such form."""
    entry, values = _given(operation, args, kwargs)
    call_args, call_kwargs = [], {}
    for name in entry.taken:
        value = values.pop(name.strip("*="))
        if name.startswith("**"):
            call_kwargs |= value
        elif name.startswith("*"):
            call_args += value
        elif name.endswith("="):
            call_kwargs[name[:-1]] = value
        else:
            call_args.append(value)
    options = {}
    for name, value in values.items():
        options |= value if entry.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD else {name: value}
    inside = [name for name, value in options.items() if symbolic.any_symbolic(value)]
    if inside:
        raise ValueError(
            f"{named(operation)}: Keras keeps the argument {inside[0]!r} of `{entry.word}` in a config, which cannot "
            "hold a tensor of the model. Give a constant, or put the call into a layer of your own."
        )
    if options.get("dtype") is not None:
        options["dtype"] = dtypes.dtype_name(dtypes.torch_dtype(options["dtype"]))
    if entry.room == "nn":  # Keras fills in what depends on its settings
        now = {"data_format": settings.image_data_format(), "dtype": settings.floatx()}
        options |= {name: now[name] for name in options.keys() & now.keys() if options[name] is None}
    if entry.word == "get_item":
        call_args[1] = _without_lists(call_args[1])
    written = {
        "module": f"keras.src.ops.{entry.room}",
        "class_name": entry.class_name,
        "config": {"name": operation.name, **serialize.serialize(options)},
        "registered_name": entry.class_name,
    }
    return written, call_args, call_kwargs


def _without_lists(key: Any) -> Any:
    """An index with its lists of places as tensors: a list in a config is a tuple."""
    if isinstance(key, tuple):
        return tuple(_without_lists(part) for part in key)
    return torch.tensor(key) if isinstance(key, list) else key


def _given(operation: Operation, args: tuple, kwargs: Mapping[str, Any]) -> tuple[_Entry, dict[str, Any]]:
    """The entry of an operation, and all arguments of its function by name."""
    function = operation.function
    word = getattr(function, "__name__", "")
    target, names = word, None
    if not str(getattr(function, "__module__", "")).startswith("lamina.ops."):
        known = any(getattr(room, word, None) is function for room in _TORCH_ROOMS)
        target, names = _BY_TORCH_WORD.get(word if known else "", ("", {}))
    entry = _BY_WORD.get(target)
    if entry is None:
        raise ValueError(
            f"{named(operation)}: the function {word or function!r} cannot be written into a config. "
            "Put a layer with get_config in its place, or save the weights alone."
        )
    if names is not None:
        args, kwargs = _in_keras_names(operation, entry, names, args, kwargs)
    bound = entry.signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return entry, bound.arguments


def _in_keras_names(
    operation: Operation, entry: _Entry, names: Mapping[str, str], args: tuple, kwargs: Mapping[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    """Arguments of torch's function as those of Keras'. torch takes Keras' names as well."""
    count, either = len(entry.taken), {*names, *names.values()}
    further = list(args[count:])
    if entry.word in _SPREAD and len(further) > 1:
        further = [tuple(further)]
    # torch itself adds `inplace=False`, `dtype=None` and private names
    asked = {name for name, value in kwargs.items() if value is not None and value is not False and name[0] != "_"}
    known = len(further) <= len(names) and asked <= either
    options = dict(zip(names.values(), further, strict=False))
    options |= {names.get(name, name): value for name, value in kwargs.items() if name in either}
    if not known or (entry.word == "cast" and not isinstance(options.get("dtype"), torch.dtype)):
        raise ValueError(
            f"{named(operation)}: arguments of {operation.function.__name__!r} that Keras has no name for cannot be "
            f"written into a config. It knows {', '.join(names.values()) or 'none beside the tensors'}."
        )
    return args[:count], _TORCH_DEFAULTS.get(entry.word, {}) | options


# Reading ---------------------------------------------------------------------------------------------------------


def is_operation(config: Mapping[str, Any]) -> bool:
    """Whether a layer's entry in a config is an operation: by its module, or in files without, by what it lacks."""
    module = config.get("module")
    if isinstance(module, str):
        return module.startswith(("keras.src.ops.", "keras.ops"))
    inner = config.get("config", {})
    return config.get("class_name") in _BY_CLASS and isinstance(inner, Mapping) and "trainable" not in inner


class StoredOperation:
    """An operation read from a config: each call records one. Raises ValueError for one the table does not list."""

    def __init__(self, config: Mapping[str, Any]):
        options = dict(config["config"])
        self.name = options.pop("name", config.get("name"))
        entry = _BY_CLASS.get(config["class_name"])
        unknown: list[str] = []
        if entry is not None:
            parameters = entry.signature.parameters.values()
            rest = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)
            known = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
            known -= {name.strip("*=") for name in entry.taken}
            further = {name: options.pop(name) for name in [*options] if name not in known}
            further = {name: value for name, value in further.items() if value is not None}
            if rest is None:
                unknown = sorted(further)
            elif further:
                options[rest] = further
        if entry is None or unknown:
            what = config["class_name"] + (f" with {', '.join(unknown)}" if unknown else "")
            raise ValueError(f"Operation {self.name!r}: {what} is not among the operations that can be loaded.")
        self.entry, self.options = entry, serialize.deserialize(options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from ..ops.base import record

        values, left, further = dict(self.options), list(args), dict(kwargs)
        for name in self.entry.taken:
            bare = name.strip("*=")
            if name.startswith("**"):
                values[bare], further = further, {}
            elif name.startswith("*"):
                values[bare], left = tuple(left), []
            elif left:
                values[bare] = left.pop(0)
            elif bare in further:
                values[bare] = further.pop(bare)
        if left or further:
            raise ValueError(f"Operation {self.name!r}: its config has more arguments than `{self.entry.word}` takes.")
        signature = self.entry.signature
        if self.entry.word == "get_item" and isinstance(values.get("key"), list):
            values["key"] = tuple(values["key"])
        needed = [
            n for n, p in signature.parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        missing = [name for name in needed if name not in values]
        if missing:
            raise ValueError(f"Operation {self.name!r}: its config lacks `{missing[0]}` of `{self.entry.word}`.")
        bound = inspect.BoundArguments(signature, {n: values[n] for n in signature.parameters if n in values})  # type: ignore
        return record(self.entry.function, bound.args, bound.kwargs, self.name)
