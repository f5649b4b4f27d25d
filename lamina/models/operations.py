"""Array functions recorded in a model, as Keras 3 writes them into a config.

A config names an operation by its class ("Sum"), which stands at each function of `lamina.ops` that has one. What
Keras has no name for, it names by its place in torch. Only what is listed here is ever written or made from a config.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import config as settings
from ..core import dtypes, serialize, symbolic
from ..core.errors import named
from ..core.operation import KERAS_WORDS, Operation, record, word_of

if TYPE_CHECKING:
    from ..ops.base import Op

# Functions of torch, of its tensors and of `operator`, beside those that only have another word, by how their further
# arguments are called here and there. The function is by default the one of the same name.
_TORCH = {
    "": """
        absolute add arccos arcsin arctan arctan2 bitwise_and bitwise_not bitwise_or bitwise_xor ceil cos
        cosh divide erf exp expm1 floor floor_divide greater greater_equal isfinite isinf isnan less
        less_equal log log10 log1p log2 logical_and logical_not logical_or logical_xor matmul maximum
        minimum mod multiply negative not_equal ones_like ravel reciprocal relu relu6 round rsqrt selu
        sigmoid sign silu sin sinh softplus softsign sqrt square subtract tan tanh true_divide where
        zeros_like""",
    "dim=axis keepdim=keepdims": "all amax amin any argmax argmin logsumexp mean prod sum",
    "dim=axis": """
        cat=concatenate concat=concatenate concatenate cumprod cumsum log_softmax softmax squeeze stack
        unsqueeze=expand_dims""",
    "axis0=axis1 axis1=axis2": "swapaxes swapdims=swapaxes transpose=swapaxes",
    "source=source destination=destination": "moveaxis movedim=moveaxis",
    "min=x_min max=x_max": "clamp=clip clip",
    "dtype=dtype": "to=cast",
    "shape=newshape": "reshape view=reshape",
    "dims=axes": "permute=transpose",
    "dims=axis": "flip",
    "diagonal=k": "tril triu",
    "shifts=shift dims=axis": "roll",
    "n=n dim=axis": "diff",
}
_BY_TORCH_WORD = {
    word: (target or word, dict(pair.split("=") for pair in names.split()))
    for names, lines in _TORCH.items()
    for word, _, target in (line.partition("=") for line in lines.split())
} | {word: (target, {}) for word, target in KERAS_WORDS.items()}
_TORCH_ROOMS: dict[str, Any] = {
    "operator": operator, "torch": torch, "torch.Tensor": Tensor, "torch.nn.functional": F, "torch.fft": torch.fft,
    "torch.linalg": torch.linalg,
}  # fmt: skip
# Further functions of torch. These compute by their arguments alone, change none of them and draw nothing.
_TORCH_ALONE = frozenset(
    """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
    adaptive_max_pool3d addbmm addcdiv addcmul addmm addmv affine_grid angle argsort avg_pool1d avg_pool2d avg_pool3d
    baddbmm bmm bucketize cdist celu channel_shuffle chunk clamp_max clamp_min complex conj copysign cosine_similarity
    cross cummax cummin deg2rad det diag diag_embed diagonal dot einsum elu erfc erfinv exp2 expand expand_as flatten
    fmax fmin fmod fold frac gather gelu glu grid_sample hardshrink hardsigmoid hardswish hardtanh heaviside hypot imag
    index_add index_fill index_select inner interpolate kron kthvalue leaky_relu lerp local_response_norm logaddexp
    logcumsumexp logdet logit lp_pool1d lp_pool2d masked_fill max max_pool1d max_pool2d max_pool3d median min mish mv
    nan_to_num nanmean nansum narrow norm normalize one_hot outer pad pairwise_distance pixel_shuffle pixel_unshuffle
    polar rad2deg real renorm repeat repeat_interleave reshape_as rot90 scaled_dot_product_attention scatter
    scatter_add scatter_reduce searchsorted select select_scatter slice_scatter softmin softshrink sort split std
    std_mean take_along_dim tanhshrink tensor_split tensordot threshold tile topk trace trapezoid trunc unbind
    unflatten unfold var var_mean vdot view_as view_as_complex view_as_real xlogy
    fft fft2 fftn fftshift ifft ifft2 ifftn ifftshift irfft irfft2 irfftn rfft rfft2 rfftn
    cholesky eigvalsh inv matrix_exp matrix_norm matrix_power pinv qr slogdet solve svd vector_norm""".split()
)
_SPREAD = ("reshape", "transpose", "flip")  # sizes and axes may come as several arguments: x.reshape(2, 3)
_TORCH_DEFAULTS = {"concatenate": {"axis": 0}, "clip": {"x_min": None, "x_max": None}}  # other than Keras'


def _by_word() -> dict[str, Op]:
    from .. import ops  # not before it is needed: many files

    return ops.base.OPS


@functools.cache
def _by_class() -> dict[str, Op]:
    return {op.class_name: op for op in _by_word().values()}


# Writing ---------------------------------------------------------------------------------------------------------


def operation_config(
    operation: Operation, args: tuple, kwargs: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Any], dict[str, Any]]:
    """An operation as Keras 3 writes it, else as torch names it, and the arguments of its call. Raises ValueError for
    what has no such form."""
    try:
        return _keras_config(operation, args, kwargs)
    except ValueError:
        if (place := _in_torch(operation.function)) is None:
            raise
        room, word = place
        return {"module": room, "class_name": word, "config": {"name": operation.name}}, [*args], dict(kwargs)


def _keras_config(
    operation: Operation, args: tuple, kwargs: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Any], dict[str, Any]]:
    op, values = _given(operation, args, kwargs)
    call_args, call_kwargs = [], {}
    for name in op.taken:
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
        options |= value if op.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD else {name: value}
    inside = [name for name, value in options.items() if symbolic.any_symbolic(value)]
    if inside:
        raise ValueError(
            f"{named(operation)}: Keras keeps the argument {inside[0]!r} of `{op.word}` in a config, which cannot "
            "hold a tensor of the model. Give a constant, or put the call into a layer of your own."
        )
    if options.get("dtype") is not None:
        options["dtype"] = dtypes.dtype_name(dtypes.torch_dtype(options["dtype"]))
    if op.room == "nn":  # Keras fills in what depends on its settings
        now = {"data_format": settings.image_data_format(), "dtype": settings.floatx()}
        options |= {name: now[name] for name in options.keys() & now.keys() if options[name] is None}
    if op.word == "get_item":
        call_args[1] = _without_lists(call_args[1])
    written = {
        "module": op.module,
        "class_name": op.class_name,
        "config": {"name": operation.name, **serialize.serialize(options)},
        "registered_name": op.class_name,
    }
    return written, call_args, call_kwargs


def _without_lists(key: Any) -> Any:
    """An index with its lists of places as tensors: a list in a config is a tuple."""
    if isinstance(key, tuple):
        return tuple(_without_lists(part) for part in key)
    return torch.tensor(key) if isinstance(key, list) else key


def _given(operation: Operation, args: tuple, kwargs: Mapping[str, Any]) -> tuple[Op, dict[str, Any]]:
    """The op of an operation, and all arguments of its function by name."""
    function = operation.function
    word = getattr(function, "__name__", "")
    target, names = word, None
    home = str(getattr(function, "__module__", ""))
    if home == "lamina.activations":  # whose defaults may be others than the op's
        bound = inspect.signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
        target, args, kwargs = word_of(function), bound.args, bound.kwargs
    elif not home.startswith("lamina.ops."):
        target, names = of_torch(function)
    op = _by_word().get(target)
    if op is None:
        raise ValueError(
            f"{named(operation)}: the function {word or function!r} cannot be written into a config. "
            "Put a layer with get_config in its place, or save the weights alone."
        )
    if function is Tensor.where:
        args, kwargs = _where(*args, **kwargs), {}
    if names is not None:
        args, kwargs = _in_keras_names(operation, op, names, args, kwargs)
    bound = op.signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return op, bound.arguments


def of_torch(function: Any) -> tuple[str, dict[str, str]]:
    """The op that stands for a function of torch, and Keras' names for its arguments; "" for none."""
    word = "logsigmoid" if function is F.logsigmoid else getattr(function, "__name__", "")
    known = any(getattr(room, word, None) is function for room in _TORCH_ROOMS.values())
    return _BY_TORCH_WORD.get(word if known else "", ("", {}))


def _in_torch(function: Any) -> tuple[str, str] | None:
    """Where a function stands in torch, of those that are listed."""
    word = str(getattr(function, "__name__", "")).removeprefix("fft_").removeprefix("linalg_")
    rooms = (name for name, room in _TORCH_ROOMS.items() if getattr(room, word, None) is function)
    return next(((name, word) for name in rooms if _is_listed(word)), None)


def _is_listed(word: str) -> bool:
    return word in _TORCH_ALONE or (word in _BY_TORCH_WORD and word != "to")  # which may name a device


def _where(x: Any, condition: Any, other: Any) -> tuple[Any, Any, Any]:
    """The arguments of the method of a tensor, as the function has them."""
    return condition, x, other


def _in_keras_names(
    operation: Operation, op: Op, names: Mapping[str, str], args: tuple, kwargs: Mapping[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    """Arguments of torch's function as those of Keras'. torch takes Keras' names as well."""
    count, either = len(op.taken), {*names, *names.values()}
    further = list(args[count:])
    if op.word in _SPREAD and len(further) > 1:
        further = [tuple(further)]
    # torch itself adds `inplace=False`, `dtype=None` and private names
    asked = {name for name, value in kwargs.items() if value is not None and value is not False and name[0] != "_"}
    known = len(further) <= len(names) and asked <= either
    options = dict(zip(names.values(), further, strict=False))
    options |= {names.get(name, name): value for name, value in kwargs.items() if name in either}
    if not known or (op.word == "cast" and not isinstance(options.get("dtype"), torch.dtype)):
        raise ValueError(
            f"{named(operation)}: arguments of {operation.function.__name__!r} that Keras has no name for cannot be "
            f"written into a config. It knows {', '.join(names.values()) or 'none beside the tensors'}."
        )
    return args[:count], _TORCH_DEFAULTS.get(op.word, {}) | options


# Reading ---------------------------------------------------------------------------------------------------------


def is_operation(config: Mapping[str, Any]) -> bool:
    """Whether a layer's entry in a config is an operation: by its module, or in files without, by what it lacks."""
    module = config.get("module")
    if isinstance(module, str):
        return module in _TORCH_ROOMS or module.startswith(("keras.src.ops.", "keras.ops", "keras.src.activations."))
    inner = config.get("config", {})
    return isinstance(inner, Mapping) and "trainable" not in inner and config.get("class_name") in _by_class()


class StoredOperation:
    """An operation read from a config: each call records one. Raises ValueError for one that no op stands for."""

    def __init__(self, config: Mapping[str, Any]):
        options = dict(config["config"])
        self.name = options.pop("name", config.get("name"))
        op = _by_class().get(config["class_name"])
        unknown: list[str] = []
        if op is not None:
            parameters = op.signature.parameters.values()
            rest = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)
            known = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
            known -= {name.strip("*=") for name in op.taken}
            further = {name: options.pop(name) for name in [*options] if name not in known}
            further = {name: value for name, value in further.items() if value is not None}
            if rest is None:
                unknown = sorted(further)
            elif further:
                options[rest] = further
        if op is None or unknown:
            what = config["class_name"] + (f" with {', '.join(unknown)}" if unknown else "")
            raise ValueError(f"Operation {self.name!r}: {what} is not among the operations that can be loaded.")
        self.op, self.options = op, serialize.deserialize(options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        values, left, further = dict(self.options), list(args), dict(kwargs)
        for name in self.op.taken:
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
            raise ValueError(f"Operation {self.name!r}: its config has more arguments than `{self.op.word}` takes.")
        signature = self.op.signature
        if self.op.word == "get_item" and isinstance(values.get("key"), list):
            values["key"] = tuple(values["key"])
        needed = [
            n for n, p in signature.parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        missing = [name for name in needed if name not in values]
        if missing:
            raise ValueError(f"Operation {self.name!r}: its config lacks `{missing[0]}` of `{self.op.word}`.")
        bound = inspect.BoundArguments(signature, {n: values[n] for n in signature.parameters if n in values})  # type: ignore
        return record(self.op.function, bound.args, bound.kwargs, self.name)


class StoredFunction:
    """A function of torch read from a config, as `StoredOperation`."""

    def __init__(self, config: Mapping[str, Any]):
        self.name, room, word = config["config"].get("name"), config["module"], config["class_name"]
        self.function = getattr(_TORCH_ROOMS[room], word, None) if _is_listed(word) else None
        if self.function is None:
            raise ValueError(f"Operation {self.name!r}: {room}.{word} is not among the functions that can be loaded.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        named_types = {"dtype": dtypes.torch_dtype(kwargs["dtype"])} if kwargs.get("dtype") is not None else {}
        return Operation(self.function, self.name)(*args, **{**kwargs, **named_types})


def stored(config: Mapping[str, Any]) -> StoredOperation | StoredFunction:
    """What calls the operation of a config."""
    return (StoredFunction if config.get("module") in _TORCH_ROOMS else StoredOperation)(config)
