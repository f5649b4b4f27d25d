"""Functions of single elements: arithmetic, comparison, logic, bits, and the functions of analysis."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .base import floating, floats, floatx, op, operands, same_dtype, tensor, tensors


def _named(function: Callable, name: str, doc: str, **facts: Any) -> Callable[..., Tensor]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return op(**facts)(function)


def _of_one(
    name: str, function: Callable, made: Callable, doc: str, room: str | None = None
) -> Callable[[Any], Tensor]:
    """The op that a function of torch is, on what `made` makes a tensor."""

    def of_one(x: Any) -> Tensor:
        return function(made(x))

    return _named(of_one, name, doc, room=room)


def _of_two(name: str, function: Callable, made: Callable, doc: str) -> Callable[[Any, Any], Tensor]:
    def of_two(x1: Any, x2: Any) -> Tensor:
        return function(*made(x1, x2))

    return _named(of_two, name, doc)


def _of_bits(name: str, function: Callable, doc: str) -> Callable[[Any, Any], Tensor]:
    def of_bits(x: Any, y: Any) -> Tensor:
        return function(*tensors(x, y))

    return _named(of_bits, name, doc, call=2)


def _widened(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """`tensors` of the type that holds both, single values counted as any others."""
    x1, x2 = tensors(x1, x2)
    return (x1, x2) if x1.dtype is x2.dtype else same_dtype(x1, x2)


def _counted(x: Tensor) -> Tensor:
    """Booleans as int32, for arithmetic that torch has none of for them."""
    return x.to(torch.int32) if x.dtype is torch.bool else x


def _numbers(x1: Any, x2: Any) -> tuple[Any, Any]:
    """`operands`, booleans in the type of the other side, two of them as int32."""
    x1, x2 = operands(x1, x2)
    for x in (x1, x2):
        if x.dtype is torch.bool if isinstance(x, Tensor) else isinstance(x, bool):
            x1, x2 = map(_counted, same_dtype(*tensors(x1, x2)))
    return x1, x2


# Arithmetic ------------------------------------------------------------------------------------------------------


add = _of_two("add", operator.add, operands, "x1 + x2.")
subtract = _of_two("subtract", operator.sub, _numbers, "x1 - x2.")
multiply = _of_two("multiply", operator.mul, operands, "x1 * x2.")
divide = _of_two("divide", operator.truediv, floats, "x1 / x2.")
true_divide = _of_two("true_divide", operator.truediv, floats, "`divide` by another name.")


@op
def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """x1 / x2, 0 where x2 is 0."""
    x1, x2 = floats(x1, x2)
    zero = x2 == 0
    return (x1 / x2.masked_fill(zero, 1)).masked_fill(zero, 0)


@op
def floor_divide(x1: Any, x2: Any) -> Tensor:
    """The greatest integer not above x1 / x2."""
    x1, x2 = _widened(*_numbers(x1, x2))
    return torch.div(x1, x2, rounding_mode="floor")


mod = _of_two("mod", operator.mod, _numbers, "The remainder of x1 / x2, with the sign of x2.")


@op
def fmod(x1: Any, x2: Any) -> Tensor:
    """The remainder of x1 / x2, with the sign of x1."""
    return torch.fmod(*tensors(*_numbers(x1, x2)))


power = _of_two("power", operator.pow, _numbers, "x1 to the power of x2.")
maximum = _of_two("maximum", torch.maximum, _widened, "The greater of both; NaN where one is NaN.")
minimum = _of_two("minimum", torch.minimum, _widened, "The smaller of both; NaN where one is NaN.")
fmax = _of_two("fmax", torch.fmax, _widened, "The greater of both; where one is NaN, the other.")
fmin = _of_two("fmin", torch.fmin, _widened, "The smaller of both; where one is NaN, the other.")
negative = _of_one("negative", torch.neg, tensor, "-x.")


@op
def absolute(x: Any) -> Tensor:
    """|x|."""
    x = tensor(x)
    return x if x.dtype is torch.bool else torch.abs(x)


fabs = _of_one("fabs", torch.abs, floating, "|x| as a floating number.")
sign = _of_one("sign", torch.sign, tensor, "-1, 0 or 1.")


@op
def square(x: Any) -> Tensor:
    """x * x."""
    return torch.square(_counted(tensor(x)))


reciprocal = _of_one("reciprocal", torch.reciprocal, floating, "1 / x.")


@op
def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """x, but at least `x_min` and at most `x_max`."""
    x = _counted(tensor(x))
    whole = not x.is_floating_point()
    if whole and any(isinstance(limit, float) for limit in (x_min, x_max)):
        x = x.to(floatx())
    if all(limit is None or isinstance(limit, (int, float)) for limit in (x_min, x_max)):
        return torch.clamp(x, x_min, x_max)
    limits = [None if limit is None else tensor(limit, device=x.device) for limit in (x_min, x_max)]
    return torch.clamp(x, *limits)


gcd = _of_two("gcd", torch.gcd, tensors, "The greatest common divisor.")
lcm = _of_two("lcm", torch.lcm, tensors, "The least common multiple.")


# Rounding --------------------------------------------------------------------------------------------------------


floor = _of_one("floor", torch.floor, floating, "The greatest integer not above x.")
ceil = _of_one("ceil", torch.ceil, floating, "The least integer not below x.")


@op
def trunc(x: Any) -> Tensor:
    """x without its fraction."""
    x = tensor(x)
    return x if x.dtype is torch.bool else torch.trunc(x)


@op
def round(x: Any, decimals: int = 0) -> Tensor:
    """x to so many decimals, halves to the even side."""
    x = tensor(x)
    if decimals < 0 and not x.is_floating_point():
        return torch.round(x.to(floatx()), decimals=decimals).to(x.dtype)
    return torch.round(x, decimals=decimals) if x.is_floating_point() else x


# Comparison and logic --------------------------------------------------------------------------------------------


equal = _of_two("equal", torch.eq, tensors, "x1 == x2.")
not_equal = _of_two("not_equal", torch.ne, tensors, "x1 != x2.")
greater = _of_two("greater", torch.gt, tensors, "x1 > x2.")
greater_equal = _of_two("greater_equal", torch.ge, tensors, "x1 >= x2.")
less = _of_two("less", torch.lt, tensors, "x1 < x2.")
less_equal = _of_two("less_equal", torch.le, tensors, "x1 <= x2.")


@op(call=4)
def isclose(x1: Any, x2: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """|x1 - x2| <= atol + rtol |x2|."""
    return torch.isclose(*_broadcast(x1, x2), rtol=rtol, atol=atol, equal_nan=equal_nan)


@op(name="AllClose")
def allclose(x1: Any, x2: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether `isclose` holds everywhere."""
    return torch.isclose(*_broadcast(x1, x2), rtol=rtol, atol=atol, equal_nan=equal_nan).all()


def _broadcast(x1: Any, x2: Any) -> tuple[Tensor, ...]:
    return torch.broadcast_tensors(*same_dtype(*tensors(x1, x2)))


logical_and = _of_two("logical_and", torch.logical_and, tensors, "Both.")
logical_or = _of_two("logical_or", torch.logical_or, tensors, "One or both.")
logical_xor = _of_two("logical_xor", torch.logical_xor, tensors, "Exactly one.")
logical_not = _of_one("logical_not", torch.logical_not, tensor, "The opposite.")
isfinite = _of_one("isfinite", torch.isfinite, tensor, "Neither infinite nor NaN.")
isinf = _of_one("isinf", torch.isinf, tensor, "Infinite, of either sign.")
isnan = _of_one("isnan", torch.isnan, tensor, "Not a number.")
isneginf = _of_one("isneginf", torch.isneginf, tensor, "Minus infinity.")
isposinf = _of_one("isposinf", torch.isposinf, tensor, "Plus infinity.")
isreal = _of_one("isreal", torch.isreal, tensor, "Whether the imaginary part is 0.")
signbit = _of_one("signbit", torch.signbit, tensor, "Whether the sign bit is set; so it is for -0.0.")


@op
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """Numbers in place of NaN and the infinities; by default 0 and the extremes of the type."""
    return torch.nan_to_num(tensor(x), nan, posinf, neginf)


@op
def heaviside(x1: Any, x2: Any) -> Tensor:
    """0 where x1 is negative, 1 where it is positive, x2 where it is 0."""
    x1, x2 = floats(x1, x2)
    return torch.heaviside(*torch.broadcast_tensors(*same_dtype(x1, x2)))


# Bits ------------------------------------------------------------------------------------------------------------


bitwise_and = _of_bits("bitwise_and", torch.bitwise_and, "x & y.")
bitwise_or = _of_bits("bitwise_or", torch.bitwise_or, "x | y.")
bitwise_xor = _of_bits("bitwise_xor", torch.bitwise_xor, "x ^ y.")
bitwise_not = _of_one("bitwise_not", torch.bitwise_not, tensor, "~x.")
bitwise_invert = _of_one("bitwise_invert", torch.bitwise_not, tensor, "`bitwise_not` by another name.")


bitwise_left_shift = _of_bits("bitwise_left_shift", torch.bitwise_left_shift, "x << y.")
left_shift = _of_bits("left_shift", torch.bitwise_left_shift, "`bitwise_left_shift` by another name.")


bitwise_right_shift = _of_bits("bitwise_right_shift", torch.bitwise_right_shift, "x >> y.")
right_shift = _of_bits("right_shift", torch.bitwise_right_shift, "`bitwise_right_shift` by another name.")


# Powers and logarithms -------------------------------------------------------------------------------------------


exp = _of_one("exp", torch.exp, floating, "e to the power of x.")
exp2 = _of_one("exp2", torch.exp2, floating, "2 to the power of x.")
expm1 = _of_one("expm1", torch.expm1, floating, "exp(x) - 1, exact near 0.")
log = _of_one("log", torch.log, floating, "The natural logarithm.")
log10 = _of_one("log10", torch.log10, floating, "The logarithm to base 10.")
log1p = _of_one("log1p", torch.log1p, floating, "log(1 + x), exact near 0.")
log2 = _of_one("log2", torch.log2, floating, "The logarithm to base 2.")
logaddexp = _of_two("logaddexp", torch.logaddexp, floats, "log(exp(x1) + exp(x2)), without overflow.")
logaddexp2 = _of_two("logaddexp2", torch.logaddexp2, floats, "log2(2**x1 + 2**x2), without overflow.")
sqrt = _of_one("sqrt", torch.sqrt, floating, "The square root.")
rsqrt = _of_one("rsqrt", torch.rsqrt, floating, "1 / sqrt(x).", room="math")


@op
def cbrt(x: Any) -> Tensor:
    """The cube root, with the sign of x."""
    x = floating(x)
    return torch.sign(x) * torch.abs(x) ** (1 / 3)


hypot = _of_two("hypot", torch.hypot, floats, "sqrt(x1**2 + x2**2), without overflow.")


@op
def ldexp(x1: Any, x2: Any) -> Tensor:
    """x1 * 2**x2. Raises TypeError where x2 is not whole."""
    x1, x2 = floating(x1), tensor(x2)
    if x2.is_floating_point():
        raise TypeError(f"ldexp: `x2` must hold integers; got {x2.dtype}. Cast it with ops.cast(x2, 'int32').")
    return x1 * torch.exp2(x2.to(x1.dtype))


@op
def nextafter(x1: Any, x2: Any) -> Tensor:
    """The next number after x1 towards x2."""
    return torch.nextafter(*same_dtype(*floats(x1, x2)))


# Angles ----------------------------------------------------------------------------------------------------------


sin = _of_one("sin", torch.sin, floating, "Sine.")
cos = _of_one("cos", torch.cos, floating, "Cosine.")
tan = _of_one("tan", torch.tan, floating, "Tangent.")
arcsin = _of_one("arcsin", torch.arcsin, floating, "Inverse sine.")
arccos = _of_one("arccos", torch.arccos, floating, "Inverse cosine.")
arctan = _of_one("arctan", torch.arctan, floating, "Inverse tangent.")
arctan2 = _of_two("arctan2", torch.arctan2, floats, "The angle of the point (x2, x1), between -pi and pi.")
sinh = _of_one("sinh", torch.sinh, floating, "Hyperbolic sine.")
cosh = _of_one("cosh", torch.cosh, floating, "Hyperbolic cosine.")
tanh = _of_one("tanh", torch.tanh, floating, "Hyperbolic tangent.")
arcsinh = _of_one("arcsinh", torch.arcsinh, floating, "Inverse hyperbolic sine.")
arccosh = _of_one("arccosh", torch.arccosh, floating, "Inverse hyperbolic cosine.")
arctanh = _of_one("arctanh", torch.arctanh, floating, "Inverse hyperbolic tangent.")
sinc = _of_one("sinc", torch.sinc, floating, "sin(pi x) / (pi x), 1 at 0.")
deg2rad = _of_one("deg2rad", torch.deg2rad, floating, "Degrees to radians.")
rad2deg = _of_one("rad2deg", torch.rad2deg, floating, "Radians to degrees.")
i0 = _of_one("i0", torch.i0, floating, "The modified Bessel function of order 0.")
erf = _of_one("erf", torch.erf, floating, "The error function.", room="math")
erfc = _of_one("erfc", torch.erfc, floating, "1 - erf(x), exact for great x.", room="math")
erfinv = _of_one("erfinv", torch.erfinv, floating, "The inverse of `erf`.", room="math")


# Complex numbers -------------------------------------------------------------------------------------------------


real = _of_one("real", torch.real, tensor, "The real part.")


@op
def imag(x: Any) -> Tensor:
    """The imaginary part, 0 for real numbers."""
    x = tensor(x)
    return torch.imag(x) if x.is_complex() else torch.zeros_like(x)


@op
def conjugate(x: Any) -> Tensor:
    """The conjugate; real numbers as they are."""
    return torch.conj(tensor(x)).resolve_conj()


angle = _of_one("angle", torch.angle, floating, "The angle of a complex number; 0 or pi for a real one.")


@op(room="nn", call=2)
def polar(abs_: Any, angle: Any) -> Tensor:
    """The complex number of this length and angle."""
    abs_, angle = floats(abs_, angle)
    exact = torch.promote_types(torch.promote_types(abs_.dtype, angle.dtype), torch.float32)  # there is no complex32
    return torch.polar(abs_.to(exact), angle.to(exact))


@op(room="math")
def view_as_complex(x: Any) -> Tensor:
    """(..., 2) real numbers as (...) complex ones."""
    return torch.view_as_complex(floating(x).contiguous())


@op(room="math")
def view_as_real(x: Any) -> Tensor:
    """(...) complex numbers as (..., 2) real ones."""
    return torch.view_as_real(tensor(x).resolve_conj())


abs = absolute
conj = conjugate
