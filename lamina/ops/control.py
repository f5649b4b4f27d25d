"""Branches, loops and derivatives. In a model they are traced as one node; what they close over must have values."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..core.errors import short
from ..core.symbolic import SymbolicTensor, apply
from ..kernels import eager
from .base import is_trial, op, recorded, tensor


@recorded
def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """`true_fn()` if `pred` else `false_fn()`; inside torch.compile both are compiled."""
    if isinstance(pred, Tensor):
        if is_trial(pred):
            return _alike(true_fn(), false_fn())
        if torch.compiler.is_compiling():
            return torch.cond(pred, true_fn, false_fn, ())
    return true_fn() if pred else false_fn()


def _alike(first: Any, second: Any) -> Any:
    """What one branch gives, as far as shapes go. Raises ValueError where the other gives something else."""
    told = [
        (spec, [(tuple(leaf.shape), leaf.dtype) if isinstance(leaf, Tensor) else type(leaf) for leaf in leaves])
        for leaves, spec in (pytree.tree_flatten(first), pytree.tree_flatten(second))
    ]
    if told[0] != told[1]:
        raise ValueError(f"cond: both branches must give the same; got {told[0][1]} and {told[1][1]}.")
    return first


@recorded
def switch(index: Any, branches: Sequence[Callable], *operands: Any) -> Any:
    """`branches[index](*operands)`; an index beyond the ends counts as the end."""
    place = 0 if is_trial(index) else min(max(int(index), 0), len(branches) - 1)
    return branches[place](*operands)


@recorded
def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """`loop_vars = body(*loop_vars)` while `cond(*loop_vars)`, at most `maximum_iterations` times. Shapes stay."""
    single = not isinstance(loop_vars, (tuple, list))
    values = (loop_vars,) if single else tuple(loop_vars)
    count = 0
    while maximum_iterations is None or count < maximum_iterations:
        again = cond(*values)
        if is_trial(again):
            maximum_iterations = count + 1
        elif not again:
            break
        values = body(*values)
        values = tuple(values) if isinstance(values, (tuple, list)) else (values,)
        count += 1
    values = pytree.tree_map(tensor, values)
    return values[0] if single else values


@recorded
def fori_loop(lower: Any, upper: Any, body_fun: Callable[[int, Any], Any], init_val: Any) -> Any:
    """`value = body_fun(i, value)` for i from `lower` to below `upper`."""
    value = init_val
    if is_trial(lower) or is_trial(upper):
        return body_fun(0, value)
    for index in range(int(lower), int(upper)):
        value = body_fun(index, value)
    return value


@recorded
def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """`carry, y = f(carry, x)` for each slice of `xs` along axis 0: the last carry and all y stacked.

    `xs` may be a structure of tensors, or None with a `length`; `reverse` starts at the end. `unroll` is for other
    engines.
    """
    if not callable(f):
        raise TypeError(f"scan: `f` must be a function; got {short(f)}.")
    leaves, spec = pytree.tree_flatten(xs)
    leaves = [tensor(leaf) for leaf in leaves] if xs is not None else []
    if length is None and not leaves:
        raise ValueError("scan: give `xs`, or `length` where there is none.")
    count = leaves[0].shape[0] if length is None else int(length)
    for leaf in leaves:
        if leaf.shape[0] != count:
            raise ValueError(f"scan: expected {count} slices along axis 0 of `xs`; got shape {tuple(leaf.shape)}.")
    carry, outputs = pytree.tree_map(tensor, init), []
    for index in reversed(range(count)) if reverse else range(count):
        x = None if xs is None else pytree.tree_unflatten([leaf[index] for leaf in leaves], spec)
        carry, y = f(carry, x)
        outputs.append(y)
    if reverse:
        outputs.reverse()
    return pytree.tree_map(tensor, carry), _stacked(outputs)


def _stacked(results: list[Any]) -> Any:
    def stack(*leaves):
        return None if leaves[0] is None else torch.stack([tensor(leaf) for leaf in leaves])

    return pytree.tree_map(stack, *results) if results else None


@recorded
def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """`f` of each slice of `xs` (a structure of tensors) along axis 0, stacked."""
    return scan(lambda carry, x: (carry, f(x)), (), xs)[1]


@recorded
def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """`map` in one go: `function` is written for one slice and runs on all at once (torch.vmap)."""
    return torch.vmap(function)(pytree.tree_map(tensor, elements))


def vectorize(pyfunc: Callable, *, excluded: Any = None, signature: str | None = None) -> Callable:
    """`pyfunc`, made to run over all leading axes of its arguments, which broadcast.

    `signature` such as "(n),(n)->()" names the axes that belong to one call; without it, a call takes single values.
    `excluded`: places and names of arguments passed as they are.
    """
    if not callable(pyfunc):
        raise ValueError(f"vectorize: `pyfunc` must be a function; got {short(pyfunc)}.")
    excluded = set(excluded or ())
    left = [] if signature is None else signature.replace(" ", "").split("->")[0][1:-1].split("),(")

    @functools.wraps(pyfunc)
    def over_all(*args: Any, **kwargs: Any) -> Any:
        if any(isinstance(leaf, SymbolicTensor) for leaf in pytree.tree_leaves((args, kwargs))):
            return apply(over_all, *args, **kwargs)
        names = {key: value for key, value in kwargs.items() if key not in excluded}
        places = [place for place in range(len(args)) if place not in excluded]
        values = [tensor(args[place]) for place in places] + [tensor(value) for value in names.values()]
        own = [len(axes.split(",")) if axes else 0 for axes in left] or [0] * len(values)
        if len(own) != len(values):
            raise ValueError(f"vectorize: signature {signature!r} names {len(own)} arguments; got {len(values)}.")
        leads = [value.shape[: value.ndim - inner] for value, inner in zip(values, own, strict=True)]
        lead = torch.broadcast_shapes(*leads)
        values = [
            value.expand(*lead, *value.shape[value.ndim - inner :]) for value, inner in zip(values, own, strict=True)
        ]

        def single(*some):
            full, rest = list(args), dict(kwargs)
            for place, value in zip(places, some, strict=False):
                full[place] = value
            rest.update(zip(names, some[len(places) :], strict=True))
            return pyfunc(*full, **rest)

        function = single
        for _ in lead:
            function = torch.vmap(function)
        return function(*values)

    return over_all


@recorded
def associative_scan(f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """Running results of an associative `f` along `axis`: e0, f(e0, e1), f(f(e0, e1), e2), ...

    `f` takes many pairs at once, as slices along `axis` of the structure `elems`. log2(n) calls.
    """
    elems = pytree.tree_map(tensor, elems)
    if reverse:
        elems = pytree.tree_map(lambda x: x.flip(axis), elems)
    count = pytree.tree_leaves(elems)[0].shape[axis]

    def part(start, length):
        return pytree.tree_map(lambda x: x.narrow(axis, start, length), elems)

    step = 1
    while step < count:
        joined = f(part(0, count - step), part(step, count - step))
        elems = pytree.tree_map(lambda first, rest: torch.cat([first, rest], axis), part(0, step), joined)
        step *= 2
    return pytree.tree_map(lambda x: x.flip(axis), elems) if reverse else elems


# Derivatives -----------------------------------------------------------------------------------------------------


@op(room="core")
def stop_gradient(variable: Any) -> Tensor:
    """The values, through which no gradient flows."""
    return tensor(variable).detach()


def custom_gradient(f: Callable[..., tuple[Any, Callable]]) -> Callable[..., Any]:
    """A function with a gradient of its own: `f(*args)` returns its result and `grad(*args, upstream=...)`.

    `grad` returns a gradient for each argument; one that takes no more than the upstream gradients gets them alone.
    """

    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *args: Any) -> Any:
            result, grad = f(*args)
            ctx.args, ctx.grad = args, grad
            return pytree.tree_map(lambda x: x.view_as(x) if isinstance(x, Tensor) else x, result)

        @staticmethod
        def backward(ctx: Any, *upstream: Any) -> Any:
            single = upstream[0] if len(upstream) == 1 else upstream
            parameters = inspect.signature(ctx.grad).parameters
            if "upstream" in parameters and len(parameters) > 1:
                gradients = ctx.grad(*ctx.args, upstream=single)
            else:
                gradients = ctx.grad(*upstream)
            gradients = gradients if isinstance(gradients, (tuple, list)) else (gradients,)
            return (*gradients, *(None,) * (len(ctx.args) - len(gradients)))

    @op
    @functools.wraps(f)
    def wrapped(*args: Any) -> Any:
        return Custom.apply(*eager.seen(*args))

    return wrapped


@recorded
def jvp(fun: Callable, primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """`fun(*primals)` and its derivative in the direction of `tangents`; with `has_aux` also what else it returns."""
    primals, tangents = (tuple(tensor(value) for value in values) for values in (primals, tangents))
    return torch.func.jvp(fun, primals, tangents, has_aux=has_aux)
