"""Attention: each query takes a mean of the values whose keys agree with it."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from ..core import care, random, symbolic
from ..core.declare import Declared, Kind, arg, boolean, integer, items, number, one_of, seed
from ..core.errors import named, short, show_shape
from ..core.layer import Layer
from ..core.masking import get_mask
from ..core.weight import weight
from ..initializers import _anew
from ..kernels import attention as kernels
from ..kernels import noise
from ..regularizers import regularizer
from .arguments import KernelBias
from .dense import EinsumDense
from .merge import OfSeveral, _shapes

__all__ = ["AdditiveAttention", "Attention", "GroupedQueryAttention", "MultiHeadAttention"]


class _Attention(Layer):
    """What gives its weights, too, where a call asks for them."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    supports_masking = True

    seed_generator: ClassVar[Any] = None  # of one that drops something

    def check(self) -> None:
        if self.dropout:
            vars(self)["seed_generator"] = random.stream(self.seed)

    @property
    def _seeded(self) -> bool:
        return self.seed_generator is not None and not self.seed_generator.shared

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(self._call_parameters, args, strict=False)), **kwargs}
        if given.get("return_attention_scores"):
            return symbolic.run_on_trial_tensors(self.call, args, kwargs, self)
        return super().compute_output_spec(*args, **kwargs)


# Of projections, by heads -----------------------------------------------------------------------------------------


def _some(item: Kind) -> Callable[[Any, Any], tuple | None]:
    """A converter to several of a kind; to None, too, for what is empty, as in Keras 3."""
    return lambda v, o: None if v is None else items(v, item, o, alone=True, least=0) or None


_sizes = integer(1)
_some_sizes = Kind("a size, a tuple of sizes or None", _some(_sizes), good=(3,), bad=("a", 0, 1.5))
_some_axes = Kind("an axis, a tuple of axes or None", _some(integer()), good=(1,), bad=("a", 1.5))


class _DropoutBias(Declared):
    dropout: float = arg(number(0, 1), default=0.0, doc="Fraction of the attention weights to drop in training.")
    use_bias: bool = arg(boolean, default=True)


class _Limits(Declared):
    sliding_window: int | None = arg(integer(1).optional(), default=None, doc="Attend to what is fewer steps away.")
    flash_attention: bool | None = arg(
        boolean.optional(), default=None, config=False, doc="True accepts no other kernel than flash attention."
    )


class _GateSeed(Declared):
    use_gate: bool = arg(boolean, default=False, doc="Multiply what is attended to by a sigmoid of the query.")
    seed: Any = arg(seed, default=None)


class _Projected(_Attention):
    """Attention between projections of query, key and value, in several heads."""

    attention_axes = (1,)
    _makes: ClassVar[type[EinsumDense]] = EinsumDense  # the projections
    _zeros = True  # what may attend to nothing may get 0
    _sublayer_regularizer = None  # of the activity of each projection

    def check(self) -> None:
        super().check()
        if self.flash_attention and self.dropout:
            raise ValueError(
                f"{type(self).__name__}: Dropout is not supported when flash attention is enabled. Leave out "
                f"`flash_attention` or `dropout`."
            )

    def _dense(self, name: str, steps: tuple, inputs: tuple, outputs: tuple, activation: Any = None) -> EinsumDense:
        """A projection of the last axes, of sizes `inputs`, to `outputs`, built for inputs that begin with `steps`."""
        old, new = string.ascii_lowercase[: len(inputs)], string.ascii_uppercase[: len(outputs)]
        more = self._get_common_kwargs_for_sublayer()
        bias = new if self.use_bias else None
        dense = self._makes(f"...{old},{old}{new}->...{new}", outputs, activation, bias, name=name, **more)
        dense.build((*steps, *inputs))
        return dense

    def _get_common_kwargs_for_sublayer(self) -> dict[str, Any]:
        """Arguments that all projections share; users' own `build` may make some from them."""
        return {
            "kernel_initializer": _anew(self.kernel_initializer),
            "bias_initializer": _anew(self.bias_initializer),
            "kernel_regularizer": self.kernel_regularizer,
            "bias_regularizer": self.bias_regularizer,
            "kernel_constraint": self.kernel_constraint,
            "bias_constraint": self.bias_constraint,
            "activity_regularizer": self._sublayer_regularizer,
            "dtype": self.dtype_policy,
        }

    def _build(self, shapes: Sequence[tuple], heads: tuple[int, int], sizes: tuple[Any, Any], outputs: tuple) -> None:
        """Make the projections for query, key and value. `heads` of the query and of the others, `sizes` of keys and
        of values."""
        query, key, value = (shape[-1:] for shape in shapes)
        if None in (*query, *key, *value):
            raise ValueError(
                f"{named(self)}: the last axes of query and value must have known sizes; "
                f"got {', '.join(map(show_shape, shapes))}."
            )
        steps = shapes[0][:-1]
        self._query_dense = self._dense("query", steps, query, (heads[0], sizes[0]))
        self._key_dense = self._dense("key", shapes[1][:-1], key, (heads[1], sizes[0]))
        if self.use_gate:
            self._gate_dense = self._dense("gate", steps, query, (heads[0], sizes[1]), "sigmoid")
        self._value_dense = self._dense("value", shapes[2][:-1], value, (heads[1], sizes[1]))
        self._output_dense = self._dense("attention_output", steps, (heads[0], sizes[1]), outputs)

    def _checked_shapes(self, query: tuple, value: tuple | None, key: tuple | None) -> list[tuple]:
        """Of query, key and value."""
        if value is None:
            raise TypeError(f"{named(self)}: call it on a query and a value, as in layer(x, x).")
        shapes = [tuple(query), tuple(value if key is None else key), tuple(value)]
        if len({len(shape) for shape in shapes}) > 1 or len(query) < 3:
            raise ValueError(
                f"{named(self)}: the numbers of axes of query, key and value must be equal, and at least 3; "
                f"got {', '.join(map(show_shape, shapes))}."
            )
        pairs = zip(shapes[1][1:-1], shapes[2][1:-1], strict=True)
        if any(None not in pair and pair[0] != pair[1] for pair in pairs):
            raise ValueError(
                f"{named(self)}: the shapes of key and value must be equal but for the last axis; "
                f"got {show_shape(shapes[1])} and {show_shape(shapes[2])}."
            )
        return shapes

    def call(
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        query_mask: Tensor | None = None,
        value_mask: Tensor | None = None,
        key_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_attention_scores: bool = False,
        training: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        key = value if key is None else key
        causal = use_causal_mask
        if len(self.attention_axes) > 1 and (causal or self.sliding_window):
            raise ValueError(
                f"{named(self)}: along several axes, {self.attention_axes}, no step is earlier than another; "
                "leave out `use_causal_mask` and `sliding_window`."
            )
        masks = query_mask, value_mask, key_mask, attention_mask
        none = query_mask is value_mask is key_mask is attention_mask is None
        if not none or self.sliding_window is not None or self._attends_otherwise:
            attention_mask, causal = self._compute_attention_mask(query, value, *masks, use_causal_mask), False
        asked = {"return_attention_scores": True} if return_attention_scores else {}  # others' may not know these
        asked |= {"use_causal_mask": True} if causal else {}
        outputs, weights = self._compute_attention(
            self._project("_query_dense", query),
            self._project("_key_dense", key),
            self._project("_value_dense", value),
            attention_mask,
            training,
            **asked,
        )
        if self.use_gate:
            outputs = outputs * self._project("_gate_dense", query)
        outputs = self._project("_output_dense", outputs)
        return (outputs, weights) if return_attention_scores else outputs

    def _project(self, name: str, x: Tensor) -> Tensor:
        dense: Any = self._modules[name]
        if not dense._care & care.AROUND and x.dtype in dense._passing:
            return dense.call(x)
        return dense(x if get_mask(x) is None else x.view_as(x))  # its mask stays here

    @property
    def _attends_otherwise(self) -> bool:
        """Whether a class of somebody else's has an attention of its own, which may not know of `use_causal_mask`."""
        return type(self)._compute_attention is not _Projected._compute_attention

    def _compute_attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The attention itself, of projections (batch, ..., heads, size); users' own layers may have another.

        `attention_mask` broadcasts to the weights. `use_causal_mask` comes where it is the only mask.
        """
        if self.flash_attention and return_attention_scores:
            raise ValueError(f"{named(self)}: flash attention gives no weights; leave out `flash_attention`.")
        if not isinstance(query, Tensor):  # arrays come from others' code alone
            query, key, value = map(torch.as_tensor, (query, key, value))
            attention_mask = None if attention_mask is None else torch.as_tensor(attention_mask)
        sizes, sources = query.shape, key.shape
        query, key, value = self._heads_first(query), self._heads_first(key), self._heads_first(value)
        rate = self.dropout if training else 0.0
        # On a CPU torch's own dropout of the weights takes longer than ours, and there is no kernel for both.
        whole = not return_attention_scores and (not rate or (not self._seeded and not query.is_cpu))
        whole = whole and type(self)._masked_softmax is _Projected._masked_softmax
        if use_causal_mask and (attention_mask is not None or not whole):
            earlier = kernels.earlier(query.shape[-2], key.shape[-2], query.device)
            attention_mask = earlier if attention_mask is None else attention_mask.bool() & earlier
        if attention_mask is not None:
            while attention_mask.ndim < query.ndim:
                attention_mask = attention_mask.unsqueeze(-3)
            attention_mask = attention_mask.bool()
        # What may attend to nothing gets 0 where Keras forms the weights, and the mean of all values elsewhere.
        zeros = self._zeros and bool(self.dropout or return_attention_scores or len(sizes) > 4)
        if whole:
            causal, flash = use_causal_mask and attention_mask is None, bool(self.flash_attention)
            query, bias = kernels.masked(query, attention_mask)
            y = kernels.attend(query, key, value, bias, causal, self._scale, rate, flash)
            if zeros and attention_mask is not None:
                y = y.masked_fill(~attention_mask.any(-1, keepdim=True), 0)
            return self._heads_last(y, sizes), None
        weights = self._masked_softmax(kernels.scores(query, key, self._scale), attention_mask)
        if zeros and attention_mask is not None:
            weights = weights.masked_fill(~attention_mask, 0)
        dropped = noise.dropout(weights, rate, stream=self.seed_generator) if rate else weights
        y = self._heads_last(kernels.combine(dropped, value), sizes)
        return y, self._by_axis(weights, sizes, sources) if return_attention_scores else None

    def _masked_softmax(self, attention_scores: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """The weights (batch, heads, targets, sources) of these scores; users' own layers may have others."""
        return kernels.shares(attention_scores, attention_mask)

    def _compute_attention_mask(
        self,
        query: Tensor,
        value: Tensor,
        query_mask: Tensor | None = None,
        value_mask: Tensor | None = None,
        key_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        use_causal_mask: bool = False,
    ) -> Tensor | None:
        """What all masks together allow: (batch, targets, sources), or with heads where `attention_mask` has them."""
        found = []
        if query_mask is not None:
            found.append(self._steps(query_mask, query).unsqueeze(-1))
        found += [self._steps(mask, value).unsqueeze(-2) for mask in (value_mask, key_mask) if mask is not None]
        if use_causal_mask or self.sliding_window is not None:
            axis = self.attention_axes[-1]
            sizes = query.shape[axis], value.shape[axis]
            found += [kernels.earlier(*sizes, query.device)] if use_causal_mask else []
            found += [kernels.nearby(*sizes, self.sliding_window, query.device)] if self.sliding_window else []
        if attention_mask is not None:
            count = len(self.attention_axes)
            if count > 1:
                attention_mask = attention_mask.flatten(-count).flatten(-1 - count, -2)
            heads = attention_mask.ndim == query.ndim + 1
            found = [
                *(mask.unsqueeze(-3) if heads and mask.ndim > 2 else mask for mask in found),
                attention_mask.bool(),
            ]
        return reduce(torch.logical_and, found) if found else None

    def _steps(self, mask: Tensor, x: Tensor) -> Tensor:
        """A mask of the steps of x, those attended to last and as one axis."""
        if mask.ndim != x.ndim - 1:
            raise ValueError(
                f"{named(self)}: a mask must have the input's axes but for the last, {tuple(x.shape[:-1])}; "
                f"got shape {tuple(mask.shape)}."
            )
        if mask.ndim == 2:
            return mask.bool()
        return mask.bool().permute(*self._others, *self.attention_axes).flatten(-len(self.attention_axes))

    def _heads_first(self, x: Tensor) -> Tensor:
        """(batch, ..., heads, size) as (batch, ..., heads, steps, size): what is attended to as one axis."""
        if x.ndim == 4:
            return x.transpose(1, 2)
        axes = self.attention_axes
        return x.permute(*self._others, x.ndim - 2, *axes, x.ndim - 1).flatten(-1 - len(axes), -2)

    def _heads_last(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """The way back, for an x with the axes of `sizes`."""
        rank = len(sizes)
        if rank == 4:
            return x.transpose(1, 2)
        axes = self.attention_axes
        order = (*self._others, rank - 2, *axes, rank - 1)
        return x.unflatten(-2, [sizes[axis] for axis in axes]).permute(sorted(range(rank), key=order.__getitem__))

    def _by_axis(self, weights: Tensor, targets: Sequence[int], sources: Sequence[int]) -> Tensor:
        """Weights (..., targets, sources) with an axis for each of those attended to."""
        axes = self.attention_axes
        weights = weights.unflatten(-1, [sources[axis] for axis in axes])
        return weights.unflatten(-1 - len(axes), [targets[axis] for axis in axes])


class _Heads(Declared):
    num_heads: int = arg(_sizes, doc="How many heads.")
    key_dim: int = arg(_sizes, doc="Size of the projected query and key in each head.")
    value_dim: int | None = arg(_sizes.optional(), default=None, doc="Size of the projected value; None: `key_dim`.")


class _Axes(Declared):
    output_shape: Any = arg(
        _some_sizes.saying("Invalid `{}`: it must be"),
        default=None,
        attribute="_output_shape",
        doc="Sizes of the output behind the steps; None: the query's.",
    )
    attention_axes: Any = arg(
        _some_axes, default=None, doc="Axes attended along; None: all between batch and features."
    )


class MultiHeadAttention(_GateSeed, KernelBias, _Limits, _Axes, _DropoutBias, _Heads, _Projected):
    """Several attentions side by side (Vaswani et al., 2017), each in a projection of its own.

    Called on a query (batch, targets, n), a value (batch, sources, m) and, where it is another, a key; output (batch,
    targets, n). Masks that ride on them, or are given, hide steps, as do `attention_mask` (batch, targets, sources),
    with or without heads before the targets, and `use_causal_mask`. `return_attention_scores=True` adds the weights,
    (batch, heads, targets, sources). Raises ValueError for shapes that do not fit together.
    """

    activity_regularizer: Any = arg(regularizer, default=None, attribute="_sublayer_regularizer")

    _takes_masks = True

    def check(self) -> None:
        super().check()
        self.value_dim = self.key_dim if self.value_dim is None else self.value_dim
        known = {f"_{name}": getattr(self, name) for name in ("num_heads", "key_dim", "value_dim", "use_bias")}
        vars(self).update(known)  # as users' own `build` reads them

    def build(self, query_shape: tuple, value_shape: Any = None, key_shape: Any = None) -> None:
        shapes = self._checked_shapes(query_shape, value_shape, key_shape)
        heads = self.num_heads, self.num_heads
        self._build(shapes, heads, (self.key_dim, self.value_dim), self._output_shape or tuple(query_shape[-1:]))
        self._build_attention(len(query_shape) + 1)

    def _build_attention(self, rank: int) -> None:
        """Settle along which axes to attend, for projections of so many axes; a `build` of one's own calls it."""
        rank -= 1
        axes = self.attention_axes or tuple(range(1, rank - 1))
        if any(not -rank <= axis < rank or axis % rank in (0, rank - 1) for axis in axes):
            raise ValueError(
                f"{named(self)}: `attention_axes` must lie between batch and features; got {axes} for a query of "
                f"{rank} axes."
            )
        axes = tuple(axis % rank for axis in axes)
        others = [axis for axis in range(rank - 1) if axis not in axes]
        vars(self).update(attention_axes=axes, _others=others, _scale=1 / math.sqrt(self.key_dim))

    def _route_masks(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Keras 3 takes the masks off query, value and key here: a layer called on one of these later sees none."""
        mask = super()._route_masks(args, kwargs)
        if self._takes_masks:
            for x in (*args, *(kwargs.get(name) for name in ("query", "value", "key"))):
                if get_mask(x) is not None:
                    vars(x)["_keras_mask"] = None
        return mask

    query_dense = property(lambda self: self._query_dense)
    key_dense = property(lambda self: self._key_dense)
    value_dense = property(lambda self: self._value_dense)
    output_dense = property(lambda self: self._output_dense)

    def compute_output_shape(self, query_shape: tuple, value_shape: Any = None, key_shape: Any = None) -> tuple:
        self._checked_shapes(query_shape, value_shape, key_shape)
        return (*query_shape[:-1], *self._output_shape) if self._output_shape else tuple(query_shape)


class _Groups(Declared):
    head_dim: int = arg(_sizes, doc="Size of query, key and value in each head.")
    num_query_heads: int = arg(_sizes, doc="How many heads.")
    num_key_value_heads: int = arg(_sizes, doc="How many heads key and value have, each for as many of the query.")


class GroupedQueryAttention(_GateSeed, KernelBias, _Limits, _DropoutBias, _Groups, _Projected):
    """Attention in which several heads of the query share one of key and value (Ainslie et al., 2023).

    Called as MultiHeadAttention is. Raises ValueError unless the query's heads are a multiple of the others.
    """

    _public_name = "GroupQueryAttention"

    def check(self) -> None:
        super().check()
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError(
                f"{type(self).__name__}: `num_query_heads` must be a multiple of `num_key_value_heads`; got "
                f"{self.num_query_heads} and {self.num_key_value_heads}."
            )
        vars(self)["_sublayer_regularizer"] = self.activity_regularizer

    def build(self, query_shape: tuple, value_shape: Any = None, key_shape: Any = None) -> None:
        shapes = self._checked_shapes(query_shape, value_shape, key_shape)
        if len(query_shape) != 3:
            raise ValueError(f"{named(self)}: expected 3 axes (batch, steps, features); got {show_shape(query_shape)}.")
        heads = self.num_query_heads, self.num_key_value_heads
        vars(self)["_scale"] = 1 / math.sqrt(self.head_dim)
        self._build(shapes, heads, (self.head_dim, self.head_dim), tuple(query_shape[-1:]))

    def compute_output_shape(self, query_shape: tuple, value_shape: Any = None, key_shape: Any = None) -> tuple:
        self._checked_shapes(query_shape, value_shape, key_shape)
        return tuple(query_shape)


# Of the inputs themselves -----------------------------------------------------------------------------------------


class Attention(_Attention, OfSeveral):
    """Attention of queries to values by dot products, or by tanh of sums (Luong et al., 2015).

    Called on a list: query (batch, targets, n), value (batch, sources, m), and a key (batch, sources, n) where it is
    not the value; output (batch, targets, m). `mask` is a list of those of query and value: where the query's is False
    the output is 0. `return_attention_scores=True` adds the weights, (batch, targets, sources).
    """

    use_scale: bool = arg(boolean, default=False, doc="Learn a factor of the scores.")
    score_mode: str = arg(
        one_of("dot", "concat").saying(
            "`{0}`: Invalid value for argument {0}. Expected one of {{'dot', 'concat'}}; got {got}."
        ),
        default="dot",
        doc='"concat": the sum over tanh(query + key).',
    )
    dropout: float = arg(number(0, 1), default=0.0, doc="Fraction of the weights to drop in training.")
    seed: Any = arg(seed, default=None)

    scale = weight(when="use_scale", initializer="ones")
    concat_score_weight = weight(when=lambda layer: layer.score_mode == "concat", initializer="ones")

    def build(self, input_shape: Any) -> None:
        self._checked_shapes(input_shape)
        self.make_weights()

    def _checked_shapes(self, input_shape: Any) -> list[tuple]:
        """Of query, value and key."""
        shapes = _shapes(self, input_shape)
        if not 2 <= len(shapes) <= 3:
            raise ValueError(
                f"{named(self)}: call it on a list of length 2 or 3, [query, value] or [query, value, key]; "
                f"got {len(shapes)} inputs."
            )
        if any(len(shape) < 2 for shape in shapes):
            told = ", ".join(map(show_shape, shapes))
            raise ValueError(f"{named(self)}: each input must be (batch, steps, features); got {told}.")
        return shapes if len(shapes) == 3 else [*shapes, shapes[1]]

    def _checked_first(self, args: tuple, kwargs: Mapping[str, Any]) -> tuple:
        mask = kwargs.get("mask")
        if mask is not None and (not isinstance(mask, (list, tuple)) or not 2 <= len(mask) <= 3):
            raise ValueError(
                f"{named(self)}: layer mask must be a list of length 2 or 3, [query_mask, value_mask]; "
                f"got {short(mask)}."
            )
        args = super()._checked_first(args, kwargs)
        if args:
            self._checked_shapes([tuple(each.shape) for each in args[0]])
        return args

    def call(
        self,
        inputs: Sequence[Tensor],
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        query, value = inputs[0], inputs[1]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask = (mask[0], mask[1]) if mask else (None, None)
        whole = self._at_once and not (self.dropout and training) and not return_attention_scores
        allowed = None if value_mask is None else value_mask.bool().unsqueeze(-2)
        causal = use_causal_mask and whole and allowed is None
        if use_causal_mask and not causal:
            earlier = kernels.earlier(query.shape[-2], value.shape[-2], query.device)
            allowed = earlier if allowed is None else allowed & earlier
        if whole:
            query = query if self.scale is None else query * self.scale
            query, bias = kernels.masked(query, allowed)
            bias = None if bias is None else bias.unsqueeze(-3)
            query, key, value = query.unsqueeze(-3), key.unsqueeze(-3), value.unsqueeze(-3)
            outputs, weights = kernels.attend(query, key, value, bias, causal, 1.0).squeeze(-3), None
        else:
            outputs, weights = self._apply_scores(self._calculate_scores(query, key), value, allowed, training)
        if query_mask is not None:
            outputs = outputs.masked_fill(~query_mask.bool().unsqueeze(-1), 0)
        return (outputs, weights) if return_attention_scores else outputs

    @property
    def _at_once(self) -> bool:
        """Whether the scores are those of torch's own kernel."""
        own, ours = type(self), Attention
        plain = own._calculate_scores is ours._calculate_scores and own._apply_scores is ours._apply_scores
        return self.score_mode == "dot" and plain

    def _apply_scores(
        self, scores: Tensor, value: Tensor, scores_mask: Tensor | None = None, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """What is attended to, and the weights of these scores; users' own layers may have others."""
        weights = kernels.shares(scores, scores_mask)
        if self.dropout and training:
            weights = noise.dropout(weights, self.dropout, stream=self.seed_generator)
        return kernels.combine(weights, value), weights

    def _calculate_scores(self, query: Tensor, key: Tensor) -> Tensor:
        """How well queries and keys agree, (batch, targets, sources)."""
        if self.score_mode == "dot":
            return kernels.scores(query if self.scale is None else query * self.scale, key, 1.0)
        sums = query.unsqueeze(-2) + key.unsqueeze(-3)
        return self.concat_score_weight * torch.tanh(sums if self.scale is None else sums * self.scale).sum(-1)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        query, value, _ = self._checked_shapes(input_shape)
        return (*query[:-1], value[-1])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The query's."""
        return mask[0] if mask else None


class AdditiveAttention(Attention):
    """Attention by the sum over tanh(query + key), each feature weighted by a learned factor (Bahdanau et al., 2015).

    Called as Attention is.
    """

    use_scale: bool = arg(boolean, default=True, doc="Learn the factors.")
    score_mode: str = arg(one_of("dot", "concat"), default="dot", init=False)
    seed: Any = arg(seed, default=None, kw_only=True, doc="Seed of its own random stream.")

    scale = weight("size", when="use_scale")

    def check(self) -> None:
        vars(self)["score_mode"] = "dot"
        super().check()

    def build(self, input_shape: Any) -> None:
        size = self._checked_shapes(input_shape)[0][-1]
        self.make_weights(size=size)

    def _calculate_scores(self, query: Tensor, key: Tensor) -> Tensor:
        sums = torch.tanh(query.unsqueeze(-2) + key.unsqueeze(-3))
        return sums.sum(-1) if self.scale is None else sums @ self.scale
