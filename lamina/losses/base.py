"""What every loss shares: fitting targets to predictions, weights and masks, reduction, arguments."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..core import arrays, config, dtypes, shares
from ..core.declare import Arg, Declared, Kind, Refused, accepts, arg, looked_up, owned
from ..core.devices import here
from ..core.errors import short, show_shape
from ..core.layer import snake_case, unique_name
from ..core.masking import get_mask
from ..core.operation import recorded
from ..core.serialize import deserialize, serialize

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)
_MEANS = REDUCTIONS[:3]


# Tensors ---------------------------------------------------------------------------------------------------------


def as_tensor(value: Any, like: Tensor | None = None, dtype: torch.dtype | None = None) -> Tensor:
    """`value` as a tensor of that dtype, on the device of `like`."""
    tensor = value if isinstance(value, Tensor) else _of_numbers(value)
    if tensor.is_complex() and (dtype is not None or like is not None):
        tensor = arrays.cast(tensor, dtype or like.dtype, "targets or weights of a loss")  # type: ignore[union-attr]
    return tensor.to(tensor.device if like is None else like.device, dtype or tensor.dtype)


def _of_numbers(value: Any) -> Tensor:
    if arrays.is_array(value):
        return here(arrays.tensor_of(value, "a loss or metric")).reshape(value.shape)  # a series stays one
    if isinstance(value, (list, tuple)) and any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(value)):
        return torch.stack([as_tensor(part) for part in value])
    try:
        return torch.as_tensor(value)
    except (TypeError, RuntimeError) as error:  # torch's words for what is no number
        raise ValueError(f"A loss or metric takes numbers; got {short(value)}.") from error


def as_float(value: Any) -> Tensor:
    """`value` as a floating tensor: its own float type, else the default one."""
    tensor = as_tensor(value)
    return tensor if tensor.is_floating_point() else tensor.to(dtypes.torch_dtype(config.floatx()))


def same_rank(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Where the ranks differ by one and the longer shape ends in 1: drop that axis, or add one to a vector."""
    if first.ndim == second.ndim + 1 and first.shape[-1] == 1:
        return (first, second.unsqueeze(-1)) if second.ndim == 1 else (first.squeeze(-1), second)
    if second.ndim == first.ndim + 1 and second.shape[-1] == 1:
        return (first.unsqueeze(-1), second) if first.ndim == 1 else (first, second.squeeze(-1))
    return first, second


def broadcastable(first: Tensor, second: Tensor) -> bool:
    sizes = zip(reversed(first.shape), reversed(second.shape), strict=False)
    return all(a == b or a == 1 or b == 1 for a, b in sizes)


def pair(y_true: Any, y_pred: Any, name: str, exact: bool = False) -> tuple[Tensor, Tensor]:
    """Targets and predictions as float tensors of one dtype, device and rank.

    Raises ValueError, naming `name`, where the shapes differ (`exact`) or do not broadcast.
    """
    y_pred = as_float(y_pred)
    y_true = as_tensor(y_true, y_pred, y_pred.dtype)
    if y_true.shape != y_pred.shape:
        given = y_true.shape, y_pred.shape
        y_true, y_pred = same_rank(y_true, y_pred)
        if y_true.shape != y_pred.shape and (exact or not broadcastable(y_true, y_pred)):
            raise ValueError(misfit(name, *given, "the same shape"))
    return y_true, y_pred


def misfit(name: str, true_shape: Any, pred_shape: Any, expected: str) -> str:
    repair = "Compare the units of the last layer with the targets."
    if name.startswith("categorical") and tuple(true_shape[-1:]) in ((1,), ()):
        repair = f"For class numbers instead of one-hot rows use sparse_{name}."
    return (
        f"{name}: `y_true` and `y_pred` must have {expected}; got {show_shape(true_shape)} and "
        f"{show_shape(pred_shape)}. {repair}"
    )


def class_numbers(y_true: Tensor, name: str) -> Tensor:
    """Class numbers as integers. Raises ValueError for fractions and NaN, where telling does not wait for a device."""
    numbers = y_true.long()
    if y_true.is_floating_point() and type(y_true) is Tensor and y_true.is_cpu and not torch.compiler.is_compiling():
        require_whole(y_true, numbers, name)
    return numbers


def require_whole(y_true: Tensor, numbers: Tensor, name: str) -> None:
    """Raises ValueError where `y_true` is not what `numbers`, the same as integers, are."""
    if not torch.equal(numbers.to(y_true.dtype), y_true):
        wrong = y_true[numbers.to(y_true.dtype) != y_true].flatten()[0].item()
        raise ValueError(f"{name}: `y_true` must hold class numbers; got {wrong:g}. Check the labels.")


def divide_no_nan(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient, 0 where the denominator is 0."""
    zero = denominator == 0
    return torch.where(zero, 0.0, numerator / torch.where(zero, 1.0, denominator))


# Weights and reduction -------------------------------------------------------------------------------------------


def merge_mask(sample_weight: Any, mask: Any, like: Tensor, dtype: torch.dtype, mean: bool = False) -> Tensor:
    """Sample weights times the mask (one of them may be None); for a `mean`, masked values do not count in its
    divisor either."""
    if mask is None:
        return as_tensor(sample_weight, like, dtype)
    kept = as_tensor(mask, like, dtype)
    if mean:
        kept = kept * (kept.numel() / shares.divisor(kept.sum(), least=1))
    if sample_weight is None:
        return kept
    kept, weight = same_rank(kept, as_tensor(sample_weight, like, dtype))
    return times_weight(kept, weight, "the mask of `y_pred`")


def times_weight(values: Tensor, weight: Tensor, what: str) -> Tensor:
    if not broadcastable(values, weight):
        raise ValueError(
            f"`sample_weight` or mask of shape {show_shape(weight.shape)} does not fit {what} of shape "
            f"{show_shape(values.shape)}. For one weight a sample, pass shape "
            f"{show_shape([*values.shape[:1], *[1] * (values.ndim - 1)])}."
        )
    return values * weight


def reduce_weighted(values: Tensor, sample_weight: Any, mask: Tensor | None, reduction: str | None) -> Tensor:
    """Weigh the losses of the samples and reduce them to one number (unless `reduction` is "none" or None)."""
    weight = None
    if sample_weight is not None or mask is not None:
        by_count = reduction in ("mean", "sum_over_batch_size")
        weight = merge_mask(sample_weight, mask, values, values.dtype, by_count)
        values, weight = same_rank(values, weight)
        values = times_weight(values, weight, "the losses")
    if reduction in ("none", None) or values.ndim == 0:
        return values
    if reduction == "sum" or not values.numel():
        return shares.summed(values.sum())
    if reduction == "mean_with_sample_weight" and weight is not None:
        return divide_no_nan(values.sum(), shares.divisor(weight.sum()))
    return values.mean()


# Names -----------------------------------------------------------------------------------------------------------


def object_name(item: Any) -> str:
    """What logs call a loss or metric: its name, or that of its function or class."""
    return getattr(item, "name", None) or snake_case(getattr(item, "__name__", type(item).__name__))


def kind_of_targets(y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]) -> str:
    """ "binary", "sparse" or "categorical": what "crossentropy" and "accuracy" mean for targets of this shape."""
    if y_pred_shape[-1] == 1:
        return "binary"
    return "sparse" if len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1 else "categorical"


# Arguments -------------------------------------------------------------------------------------------------------


def _dtype(value: Any, owner: Any) -> str:
    value = owner._default_dtype if value is None else value
    return looked_up(dtypes.get)(value, owner).compute_dtype


def _name(value: Any, owner: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise Refused
    return value or unique_name(snake_case(type(owner).__name__))


_REDUCTION = Kind(
    "one of " + ", ".join(map(repr, REDUCTIONS)),
    accepts(REDUCTIONS.__contains__),
    good=REDUCTIONS,
    bad=("average", "sum_over_batch"),
)
_DTYPE = Kind("the name of a float type or policy, or None", _dtype, good=("float32", "float64"), bad=("float31",))
_NAME = Kind("a string or None", _name, good=("mine", None), bad=(3,))


def reduction_arg() -> Any:
    return arg(_REDUCTION, default="sum_over_batch_size", doc="How the losses of the samples become one.")


def name_arg(default: str | None = None) -> Any:
    return arg(_NAME, default=default, doc="Shown in logs.")


def dtype_arg(config: bool = True) -> Any:
    return arg(_DTYPE, default=None, doc="Type of the computation; None is the default float type.", config=config)


def converted(owner: Any, key: str, value: Any) -> Any:
    """The value of one of these arguments, for constructors that are written by hand."""
    declared: Arg = {"name": name_arg, "dtype": dtype_arg, "reduction": reduction_arg}[key]()
    declared.name = key
    return declared.convert(value, owner)


# Stands where a base class reads an argument that its subclasses declare.
DECLARED_BELOW: Any = None


# Losses ----------------------------------------------------------------------------------------------------------


class Loss(Declared):
    """Base of losses: subclasses give `call(y_true, y_pred)`, the loss of every sample.

    A mask riding on `y_pred` or on the result of `call` leaves the masked values out, also of the mean's divisor.
    """

    _default_dtype = property(lambda self: config.floatx())
    _casts_targets = True
    _spreads = False  # weights with one axis less than the losses hold for all along the last

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None):
        self.name: str = converted(self, "name", name)
        self.reduction: str | None = converted(self, "reduction", reduction)
        self.dtype: str = converted(self, "dtype", dtype)

    @recorded
    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        mask = get_mask(y_pred)
        dtype = dtypes.TYPES[self.dtype]
        if isinstance(y_pred, Tensor):
            y_pred = y_pred.to(dtype)
        else:
            y_pred = _each(y_pred, lambda value: as_tensor(value, None, dtype))
        if self._casts_targets:
            like = y_pred if isinstance(y_pred, Tensor) else None
            y_true = _each(y_true, lambda value: as_tensor(value, like, dtype))
        values = as_tensor(self.call(y_true, y_pred), None, dtype)
        found = get_mask(values)
        if found is not None:
            mask = found if mask is None else mask & found
        if sample_weight is not None and self._spreads:
            weight = as_tensor(sample_weight)
            sample_weight = weight.unsqueeze(-1) if 0 < weight.ndim == values.ndim - 1 else weight
        return reduce_weighted(values, sample_weight, mask, self.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define `call(y_true, y_pred)`.")

    def on_logits(self, activation: str) -> Loss | None:
        """The loss that sees the scores before `activation` ("softmax" over the last axis, or "sigmoid") and
        equals this one after it; None where there is no such form."""
        return None

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction, **super().get_config()}


def _each(structure: Any, convert: Callable[[Any], Tensor]) -> Any:
    """Convert the leaves of dictionaries and of lists of tensors; anything else is one array."""
    nested = isinstance(structure, Mapping) or (
        isinstance(structure, (list, tuple)) and any(hasattr(leaf, "shape") for leaf in pytree.tree_leaves(structure))
    )
    return pytree.tree_map(convert, structure) if nested else convert(structure)


# Lamina's own functions, which fit the targets to the predictions themselves, and among them those with
# `from_logits` and the activation that this argument stands for.
OWN_LOSSES: set[Callable] = set()
LOGITS: dict[Callable, str] = {}
# The mean over the whole batch in one kernel, `fused(y_true, y_pred, **kwargs)`; None where that does not apply.
FUSED: dict[Callable, Callable[..., Tensor | None]] = {}


class _OfFunction(Loss):
    """A loss whose samples' values are `fn(y_true, y_pred, **_kwargs)`."""

    fn = _kwargs = DECLARED_BELOW
    _fuses: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "call" in vars(cls) and cls.__module__ != __name__:
            cls._fuses = False

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        if sample_weight is None and self._fuses and self.reduction in _MEANS and isinstance(y_pred, Tensor):
            fused = FUSED.get(self.fn)
            if fused is not None and get_mask(y_pred) is None and y_pred.dtype is dtypes.TYPES[self.dtype]:
                mean = fused(as_tensor(y_true, y_pred), y_pred, **self._kwargs)
                if mean is not None:
                    return mean
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        return self.fn(y_true, y_pred, **self._kwargs)

    def on_logits(self, activation: str) -> Loss | None:
        if LOGITS.get(self.fn) != activation or self._kwargs.get("from_logits"):
            return None
        if activation == "softmax" and self._kwargs.get("axis", -1) != -1:
            return None
        return self.of_scores()

    def of_scores(self) -> Loss:
        """The loss that is told to take scores."""
        made = copy.copy(self)
        made._kwargs = {**self._kwargs, "from_logits": True}
        if "from_logits" in self._args:
            made.__dict__["from_logits"] = True
        return made


class SavesFunction(Declared):
    """Base of losses and metrics that are given their function and its further arguments."""

    fn = _kwargs = _homes = DECLARED_BELOW

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fn": serialize(self.fn), **serialize(self._kwargs)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        return cls(**deserialize(dict(config), homes=cls._homes))

    def _shown_args(self) -> str:
        name = getattr(self.fn, "__name__", None) or repr(self.fn)
        return ", ".join([name, *(f"{key}={value!r}" for key, value in self._kwargs.items())])


class LossFunctionWrapper(SavesFunction, _OfFunction):
    """A loss made of a function `fn(y_true, y_pred, **kwargs)` that gives the loss of every sample."""

    _homes = ("keras.losses", "keras.metrics")

    def __init__(
        self,
        fn: Callable,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        Loss.__init__(self, name, reduction, dtype)
        self.fn, self._kwargs = fn, owned(kwargs)
        self._casts_targets = fn not in OWN_LOSSES

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        if isinstance(y_true, Tensor) and isinstance(y_pred, Tensor) and y_true.ndim != y_pred.ndim:
            y_true, y_pred = same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._kwargs)


class FunctionLoss(_OfFunction):
    """Base of the losses given by one of Lamina's functions: `class Name(FunctionLoss, fn=function)`.

    The arguments of the class are handed to the function by name. They come before those that every loss has, unless
    the class tells another `_order`.
    """

    _casts_targets = False
    _comes_last = ("reduction", "name", "dtype")
    reduction: str | None = reduction_arg()
    name: str = name_arg()
    dtype: str = dtype_arg(config=False)

    def __init_subclass__(cls, fn: Callable | None = None, **kwargs: Any) -> None:
        if fn is not None:
            OWN_LOSSES.add(fn)
            cls.fn = staticmethod(fn)
            if "name" not in vars(cls):
                cls.name = name_arg(fn.__name__)
        super().__init_subclass__(**kwargs)

    __init__ = Declared.__init__

    def check(self) -> None:
        self._kwargs = {key: getattr(self, key) for key in self._args if key not in ("name", "reduction", "dtype")}
