"""Functions of single elements: arithmetic, comparison, logic, bits, and the functions of analysis."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .base import floating, floats, floatx, op, operands, same_dtype, tensor, tensors

# Arithmetic ------------------------------------------------------------------------------------------------------


@op
def add(x1: Any, x2: Any) -> Tensor:
    """x1 + x2."""
    x1, x2 = operands(x1, x2)
    return x1 + x2


@op
def subtract(x1: Any, x2: Any) -> Tensor:
    """x1 - x2."""
    x1, x2 = _numbers(x1, x2)
    return x1 - x2


@op
def multiply(x1: Any, x2: Any) -> Tensor:
    """x1 * x2."""
    x1, x2 = operands(x1, x2)
    return x1 * x2


@op
def divide(x1: Any, x2: Any) -> Tensor:
    """x1 / x2."""
    x1, x2 = floats(x1, x2)
    return x1 / x2


@op
def true_divide(x1: Any, x2: Any) -> Tensor:
    """`divide` by another name."""
    return divide(x1, x2)


@op
def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """x1 / x2, 0 where x2 is 0."""
    x1, x2 = floats(x1, x2)
    zero = x2 == 0
    return torch.where(zero, 0.0, x1 / torch.where(zero, 1.0, x2))


@op
def floor_divide(x1: Any, x2: Any) -> Tensor:
    """The greatest integer not above x1 / x2."""
    x1, x2 = _numbers(x1, x2)
    return x1 // x2


@op
def mod(x1: Any, x2: Any) -> Tensor:
    """The remainder of x1 / x2, with the sign of x2."""
    x1, x2 = _numbers(x1, x2)
    return x1 % x2


@op
def fmod(x1: Any, x2: Any) -> Tensor:
    """The remainder of x1 / x2, with the sign of x1."""
    return torch.fmod(*tensors(*_numbers(x1, x2)))


@op
def power(x1: Any, x2: Any) -> Tensor:
    """x1 to the power of x2."""
    x1, x2 = _numbers(x1, x2)
    return x1**x2


@op
def maximum(x1: Any, x2: Any) -> Tensor:
    """The greater of both; NaN where one is NaN."""
    return torch.maximum(*tensors(x1, x2))


@op
def minimum(x1: Any, x2: Any) -> Tensor:
    """The smaller of both; NaN where one is NaN."""
    return torch.minimum(*tensors(x1, x2))


@op
def fmax(x1: Any, x2: Any) -> Tensor:
    """The greater of both; where one is NaN, the other."""
    return torch.fmax(*tensors(x1, x2))


@op
def fmin(x1: Any, x2: Any) -> Tensor:
    """The smaller of both; where one is NaN, the other."""
    return torch.fmin(*tensors(x1, x2))


@op
def negative(x: Any) -> Tensor:
    """-x."""
    return torch.neg(tensor(x))


@op
def absolute(x: Any) -> Tensor:
    """|x|."""
    x = tensor(x)
    return x if x.dtype is torch.bool else torch.abs(x)


@op
def fabs(x: Any) -> Tensor:
    """|x| as a floating number."""
    return torch.abs(floating(x))


@op
def sign(x: Any) -> Tensor:
    """-1, 0 or 1."""
    return torch.sign(tensor(x))


@op
def square(x: Any) -> Tensor:
    """x * x."""
    return torch.square(_counted(tensor(x)))


@op
def reciprocal(x: Any) -> Tensor:
    """1 / x."""
    return torch.reciprocal(floating(x))


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


@op
def gcd(x1: Any, x2: Any) -> Tensor:
    """The greatest common divisor."""
    return torch.gcd(*tensors(x1, x2))


@op
def lcm(x1: Any, x2: Any) -> Tensor:
    """The least common multiple."""
    return torch.lcm(*tensors(x1, x2))


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


# Rounding --------------------------------------------------------------------------------------------------------


@op
def floor(x: Any) -> Tensor:
    """The greatest integer not above x."""
    return torch.floor(floating(x))


@op
def ceil(x: Any) -> Tensor:
    """The least integer not below x."""
    return torch.ceil(floating(x))


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


@op
def equal(x1: Any, x2: Any) -> Tensor:
    """x1 == x2."""
    return torch.eq(*tensors(x1, x2))


@op
def not_equal(x1: Any, x2: Any) -> Tensor:
    """x1 != x2."""
    return torch.ne(*tensors(x1, x2))


@op
def greater(x1: Any, x2: Any) -> Tensor:
    """x1 > x2."""
    return torch.gt(*tensors(x1, x2))


@op
def greater_equal(x1: Any, x2: Any) -> Tensor:
    """x1 >= x2."""
    return torch.ge(*tensors(x1, x2))


@op
def less(x1: Any, x2: Any) -> Tensor:
    """x1 < x2."""
    return torch.lt(*tensors(x1, x2))


@op
def less_equal(x1: Any, x2: Any) -> Tensor:
    """x1 <= x2."""
    return torch.le(*tensors(x1, x2))


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


@op
def logical_and(x1: Any, x2: Any) -> Tensor:
    """Both."""
    return torch.logical_and(*tensors(x1, x2))


@op
def logical_or(x1: Any, x2: Any) -> Tensor:
    """One or both."""
    return torch.logical_or(*tensors(x1, x2))


@op
def logical_xor(x1: Any, x2: Any) -> Tensor:
    """Exactly one."""
    return torch.logical_xor(*tensors(x1, x2))


@op
def logical_not(x: Any) -> Tensor:
    """The opposite."""
    return torch.logical_not(tensor(x))


@op
def isfinite(x: Any) -> Tensor:
    """Neither infinite nor NaN."""
    return torch.isfinite(tensor(x))


@op
def isinf(x: Any) -> Tensor:
    """Infinite, of either sign."""
    return torch.isinf(tensor(x))


@op
def isnan(x: Any) -> Tensor:
    """Not a number."""
    return torch.isnan(tensor(x))


@op
def isneginf(x: Any) -> Tensor:
    """Minus infinity."""
    return torch.isneginf(tensor(x))


@op
def isposinf(x: Any) -> Tensor:
    """Plus infinity."""
    return torch.isposinf(tensor(x))


@op
def isreal(x: Any) -> Tensor:
    """Whether the imaginary part is 0."""
    return torch.isreal(tensor(x))


@op
def signbit(x: Any) -> Tensor:
    """Whether the sign bit is set; so it is for -0.0."""
    return torch.signbit(tensor(x))


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


@op(call=2)
def bitwise_and(x: Any, y: Any) -> Tensor:
    """x & y."""
    return torch.bitwise_and(*tensors(x, y))


@op(call=2)
def bitwise_or(x: Any, y: Any) -> Tensor:
    """x | y."""
    return torch.bitwise_or(*tensors(x, y))


@op(call=2)
def bitwise_xor(x: Any, y: Any) -> Tensor:
    """x ^ y."""
    return torch.bitwise_xor(*tensors(x, y))


@op
def bitwise_not(x: Any) -> Tensor:
    """~x."""
    return torch.bitwise_not(tensor(x))


@op
def bitwise_invert(x: Any) -> Tensor:
    """`bitwise_not` by another name."""
    return bitwise_not(x)


@op(call=2)
def bitwise_left_shift(x: Any, y: Any) -> Tensor:
    """x << y."""
    return torch.bitwise_left_shift(*tensors(x, y))


@op(call=2)
def left_shift(x: Any, y: Any) -> Tensor:
    """`bitwise_left_shift` by another name."""
    return bitwise_left_shift(x, y)


@op(call=2)
def bitwise_right_shift(x: Any, y: Any) -> Tensor:
    """x >> y."""
    return torch.bitwise_right_shift(*tensors(x, y))


@op(call=2)
def right_shift(x: Any, y: Any) -> Tensor:
    """`bitwise_right_shift` by another name."""
    return bitwise_right_shift(x, y)


# Powers and logarithms -------------------------------------------------------------------------------------------


@op
def exp(x: Any) -> Tensor:
    """e to the power of x."""
    return torch.exp(floating(x))


@op
def exp2(x: Any) -> Tensor:
    """2 to the power of x."""
    return torch.exp2(floating(x))


@op
def expm1(x: Any) -> Tensor:
    """exp(x) - 1, exact near 0."""
    return torch.expm1(floating(x))


@op
def log(x: Any) -> Tensor:
    """The natural logarithm."""
    return torch.log(floating(x))


@op
def log10(x: Any) -> Tensor:
    """The logarithm to base 10."""
    return torch.log10(floating(x))


@op
def log1p(x: Any) -> Tensor:
    """log(1 + x), exact near 0."""
    return torch.log1p(floating(x))


@op
def log2(x: Any) -> Tensor:
    """The logarithm to base 2."""
    return torch.log2(floating(x))


@op
def logaddexp(x1: Any, x2: Any) -> Tensor:
    """log(exp(x1) + exp(x2)), without overflow."""
    return torch.logaddexp(*floats(x1, x2))


@op
def logaddexp2(x1: Any, x2: Any) -> Tensor:
    """log2(2**x1 + 2**x2), without overflow."""
    return torch.logaddexp2(*floats(x1, x2))


@op
def sqrt(x: Any) -> Tensor:
    """The square root."""
    return torch.sqrt(floating(x))


@op(room="math")
def rsqrt(x: Any) -> Tensor:
    """1 / sqrt(x)."""
    return torch.rsqrt(floating(x))


@op
def cbrt(x: Any) -> Tensor:
    """The cube root, with the sign of x."""
    x = floating(x)
    return torch.sign(x) * torch.abs(x) ** (1 / 3)


@op
def hypot(x1: Any, x2: Any) -> Tensor:
    """sqrt(x1**2 + x2**2), without overflow."""
    return torch.hypot(*floats(x1, x2))


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


@op
def sin(x: Any) -> Tensor:
    """Sine."""
    return torch.sin(floating(x))


@op
def cos(x: Any) -> Tensor:
    """Cosine."""
    return torch.cos(floating(x))


@op
def tan(x: Any) -> Tensor:
    """Tangent."""
    return torch.tan(floating(x))


@op
def arcsin(x: Any) -> Tensor:
    """Inverse sine."""
    return torch.arcsin(floating(x))


@op
def arccos(x: Any) -> Tensor:
    """Inverse cosine."""
    return torch.arccos(floating(x))


@op
def arctan(x: Any) -> Tensor:
    """Inverse tangent."""
    return torch.arctan(floating(x))


@op
def arctan2(x1: Any, x2: Any) -> Tensor:
    """The angle of the point (x2, x1), between -pi and pi."""
    return torch.arctan2(*floats(x1, x2))


@op
def sinh(x: Any) -> Tensor:
    """Hyperbolic sine."""
    return torch.sinh(floating(x))


@op
def cosh(x: Any) -> Tensor:
    """Hyperbolic cosine."""
    return torch.cosh(floating(x))


@op
def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent."""
    return torch.tanh(floating(x))


@op
def arcsinh(x: Any) -> Tensor:
    """Inverse hyperbolic sine."""
    return torch.arcsinh(floating(x))


@op
def arccosh(x: Any) -> Tensor:
    """Inverse hyperbolic cosine."""
    return torch.arccosh(floating(x))


@op
def arctanh(x: Any) -> Tensor:
    """Inverse hyperbolic tangent."""
    return torch.arctanh(floating(x))


@op
def sinc(x: Any) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0."""
    return torch.sinc(floating(x))


@op
def deg2rad(x: Any) -> Tensor:
    """Degrees to radians."""
    return floating(x) * (math.pi / 180)


@op
def rad2deg(x: Any) -> Tensor:
    """Radians to degrees."""
    return floating(x) * (180 / math.pi)


@op
def i0(x: Any) -> Tensor:
    """The modified Bessel function of order 0."""
    return torch.i0(floating(x))


@op(room="math")
def erf(x: Any) -> Tensor:
    """The error function."""
    return torch.erf(floating(x))


@op(room="math")
def erfc(x: Any) -> Tensor:
    """1 - erf(x), exact for great x."""
    return torch.erfc(floating(x))


@op(room="math")
def erfinv(x: Any) -> Tensor:
    """The inverse of `erf`."""
    return torch.erfinv(floating(x))


# Complex numbers -------------------------------------------------------------------------------------------------


@op
def real(x: Any) -> Tensor:
    """The real part."""
    return torch.real(tensor(x))


@op
def imag(x: Any) -> Tensor:
    """The imaginary part, 0 for real numbers."""
    x = tensor(x)
    return torch.imag(x) if x.is_complex() else torch.zeros_like(x)


@op
def conjugate(x: Any) -> Tensor:
    """The conjugate; real numbers as they are."""
    return torch.conj(tensor(x)).resolve_conj()


@op
def angle(x: Any) -> Tensor:
    """The angle of a complex number; 0 or pi for a real one."""
    return torch.angle(floating(x))


@op(room="nn", call=2)
def polar(abs_: Any, angle: Any) -> Tensor:
    """The complex number of this length and angle."""
    return torch.polar(*same_dtype(*floats(abs_, angle)))


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
