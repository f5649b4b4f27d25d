"""Products of matrices and tensors, decompositions, equations and norms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..core.declare import unknown_keyword
from ..kernels.linear import dense
from .base import Axis, axes_of, floating, floats, is_trial, op, same_dtype, tensor, tensors
from .control import jvp as jvp
from .elementwise import multiply

# Products --------------------------------------------------------------------------------------------------------


@op(room="numpy")
def matmul(x1: Any, x2: Any) -> Tensor:
    """The matrix product over the last two axes; others broadcast. Two int8 tensors give int32."""
    return _multiplied(_product, x1, x2)


def _product(x1: Tensor, x2: Tensor) -> Tensor:
    return dense(x1, x2, None) if x2.ndim == 2 else torch.matmul(x1, x2)


def _multiplied(product: Callable[[Tensor, Tensor], Tensor], x1: Any, x2: Any) -> Tensor:
    """`product` of both in one type. Two int8 tensors give int32; of booleans, whether any pair is true."""
    x1, x2 = tensors(x1, x2)
    if x1.dtype is not x2.dtype:
        x1, x2 = same_dtype(x1, x2)
    elif x1.dtype is torch.int8:
        x1, x2 = x1.to(torch.int32), x2.to(torch.int32)
    elif x1.dtype is torch.bool:
        return product(x1.float(), x2.float()).bool()
    if x1.is_cuda and not (x1.is_floating_point() or x1.is_complex()):  # cuBLAS multiplies no integers
        return product(x1.double(), x2.double()).to(x1.dtype)
    return product(x1, x2)


@op(room="numpy")
def dot(x1: Any, x2: Any) -> Tensor:
    """The sum over the last axis of x1 and the last but one of x2 (its only one, if a vector); a scalar multiplies."""
    return _multiplied(_dot, x1, x2)


def _dot(x1: Tensor, x2: Tensor) -> Tensor:
    if x1.ndim == 0 or x2.ndim == 0:
        return multiply(x1, x2)
    if x1.ndim <= 2 and x2.ndim <= 2:
        return _product(x1, x2)
    axes: Any = ([-1], [-2 if x2.ndim > 1 else -1])
    return torch.tensordot(x1, x2, axes)


@op(room="numpy")
def vdot(x1: Any, x2: Any) -> Tensor:
    """The dot product of both flattened, the first conjugated."""
    return _multiplied(lambda a, b: torch.vdot(a.reshape(-1), b.reshape(-1)), x1, x2)


@op(room="numpy")
def inner(x1: Any, x2: Any) -> Tensor:
    """The sum over the last axes."""
    return _multiplied(torch.inner, x1, x2)


@op(room="numpy")
def outer(x1: Any, x2: Any) -> Tensor:
    """All products of a value of x1 with one of x2, both flattened."""
    x1, x2 = tensors(x1, x2)
    return x1.reshape(-1, 1) * x2.reshape(1, -1)


@op(room="numpy")
def kron(x1: Any, x2: Any) -> Tensor:
    """The Kronecker product."""
    return torch.kron(*tensors(x1, x2))


@op(room="numpy")
def cross(x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
    """The cross product of vectors of 2 or 3 numbers; of two plane vectors the third number alone.

    `axisa`, `axisb`, `axisc`: where they lie in x1, x2 and the result; `axis` is all three.
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x1, x2 = same_dtype(*tensors(x1, x2))
    x1, x2 = x1.movedim(axisa, -1), x2.movedim(axisb, -1)
    flat = x1.shape[-1] == 2 and x2.shape[-1] == 2
    x1, x2 = (torch.nn.functional.pad(x, (0, 1)) if x.shape[-1] == 2 else x for x in (x1, x2))
    product = torch.linalg.cross(*torch.broadcast_tensors(x1, x2))
    return product[..., 2] if flat else product.movedim(-1, axisc)


@op(room="numpy")
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """The sum over the last `axes` of x1 and the first of x2, or over two lists of axes."""
    if not isinstance(axes, int):
        axes = [[place] if isinstance(place, int) else list(place) for place in axes]
    return _multiplied(lambda a, b: torch.tensordot(a, b, axes), x1, x2)


@op(room="numpy", call="*operands,**kwargs")
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Tensor:
    """The sum of products that Einstein's notation describes: "bij,bjk->bik". `optimize` is for other engines."""
    if kwargs.keys() - {"optimize"}:
        raise ValueError(unknown_keyword("einsum", min(kwargs.keys() - {"optimize"}), ("subscripts", "optimize")))
    operands = tuple(map(tensor, operands))
    if all(x.dtype is torch.int8 for x in operands):
        operands = tuple(x.to(torch.int32) for x in operands)
    return torch.einsum(subscripts, *same_dtype(*operands))


@op(room="math", name="CDist", call=2)
def cdist(x: Any, y: Any) -> Tensor:
    """Euclidean distances between the rows of both."""
    x, y = same_dtype(*floats(x, y))
    exact = torch.promote_types(x.dtype, torch.float32)  # torch's kernel knows no half precision on a CPU
    return torch.cdist(x.to(exact), y.to(exact)).to(x.dtype)


# Decompositions --------------------------------------------------------------------------------------------------


def _matrix(x: Any, name: str, square: bool = True) -> Tensor:
    """`x` as matrices in the last two axes. Raises ValueError where they are not."""
    x = floating(x)
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        what = "square matrices" if square else "matrices"
        raise ValueError(f"{name}: expected {what} in the last two axes; got shape {tuple(x.shape)}.")
    return x


@op
def cholesky(x: Any, upper: bool = False) -> Tensor:
    """The triangle L with L L^T = x, or its transpose."""
    try:
        return torch.linalg.cholesky(_matrix(x, "cholesky"), upper=upper)
    except torch.linalg.LinAlgError as error:  # pyright: ignore[reportPrivateImportUsage]
        raise ValueError(f"cholesky: the matrix is not positive definite ({error}).") from error


@op
def cholesky_inverse(x: Any, upper: bool = False) -> Tensor:
    """The inverse of the matrix whose Cholesky factor is `x`."""
    return torch.cholesky_inverse(_matrix(x, "cholesky_inverse"), upper)


@op
def lu_factor(x: Any) -> tuple[Tensor, Tensor]:
    """Both triangles in one matrix, and for each row, from 0, the row it changed places with."""
    triangles, pivots = torch.linalg.lu_factor(_matrix(x, "lu_factor", square=False))
    return triangles, pivots - 1


@op
def qr(x: Any, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """Orthogonal Q and upper triangle R with Q R = x; `mode` "reduced" or "complete"."""
    if mode not in ("reduced", "complete"):
        raise ValueError(f'qr: `mode` must be "reduced" or "complete"; got {mode!r}.')
    return tuple(torch.linalg.qr(_matrix(x, "qr", square=False), mode))


@op(name="SVD")
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """U, the falling singular values and V^H; without `compute_uv` the values alone."""
    x = _matrix(x, "svd", square=False)
    return tuple(torch.linalg.svd(x, full_matrices)) if compute_uv else torch.linalg.svdvals(x)


@op
def eig(x: Any) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors, complex."""
    return tuple(torch.linalg.eig(_matrix(x, "eig")))


@op
def eigh(x: Any) -> tuple[Tensor, Tensor]:
    """Rising eigenvalues and the eigenvectors of symmetric matrices."""
    return tuple(torch.linalg.eigh(_matrix(x, "eigh")))


# Determinants, inverses, equations -------------------------------------------------------------------------------


@op
def det(x: Any) -> Tensor:
    """Determinants."""
    return torch.linalg.det(_matrix(x, "det"))


@op(room="numpy")
def slogdet(x: Any) -> tuple[Tensor, Tensor]:
    """Sign and logarithm of the size of the determinants."""
    return tuple(torch.linalg.slogdet(_matrix(x, "slogdet")))


@op(room="math")
def logdet(x: Any) -> Tensor:
    """Logarithms of the determinants; NaN where they are negative."""
    return torch.logdet(_matrix(x, "logdet"))


@op
def inv(x: Any) -> Tensor:
    """Inverses."""
    return torch.linalg.inv(_matrix(x, "inv"))


@op
def pinv(x: Any, rcond: float | None = None) -> Tensor:
    """Moore and Penrose's inverses; singular values below `rcond` times the greatest count as 0."""
    return torch.linalg.pinv(_matrix(x, "pinv", square=False), rtol=rcond)


@op
def matrix_rank(x: Any, tol: float | None = None) -> Tensor:
    """How many singular values are above `tol`, int32."""
    limits = {} if tol is None else {"atol": tol, "rtol": 0.0}
    return torch.linalg.matrix_rank(_matrix(x, "matrix_rank", square=False), **limits).to(torch.int32)


def _sides(a: Any, b: Any, name: str, square: bool = True) -> tuple[Tensor, Tensor, bool]:
    """Both as matrices, and whether the second one was a vector."""
    a, b = same_dtype(_matrix(a, name, square), floating(b))
    vector = b.ndim == a.ndim - 1
    return a, b.unsqueeze(-1) if vector else b, vector


@op(call=2)
def solve(a: Any, b: Any) -> Tensor:
    """x with a x = b, for b of one column (..., n) or of several (..., n, k)."""
    a, b, vector = _sides(a, b, "solve")
    x = torch.linalg.solve(a, b)
    return x.squeeze(-1) if vector else x


@op(call=2)
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Tensor:
    """`solve` for triangular matrices."""
    a, b, vector = _sides(a, b, "solve_triangular")
    x = torch.linalg.solve_triangular(a, b, upper=not lower)
    return x.squeeze(-1) if vector else x


@op(call=2)
def lstsq(a: Any, b: Any, rcond: float | None = None) -> Tensor:
    """x with the least |a x - b|, and the shortest such."""
    a, b, vector = _sides(a, b, "lstsq", square=False)
    if is_trial(a):  # torch has no shapes for lstsq
        x = torch.linalg.pinv(a) @ b
    else:
        driver = "gelsd" if a.device.type == "cpu" else None
        x = torch.linalg.lstsq(a, b, rcond=rcond, driver=driver).solution
    return x.squeeze(-1) if vector else x


@op
def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Length of vectors (one axis), matrices (two). `ord`: None and "fro" are Euclid's; "nuc", inf, -inf, a number."""
    x = floating(x)
    if ord is None or (axis is None and ord == 2 and x.ndim == 1):
        return torch.linalg.vector_norm(x, 2, None if axis is None else axes_of(axis, x.ndim), keepdims)
    axes = axes_of(axis, x.ndim)
    if len(axes) == 1:
        if isinstance(ord, str):
            raise ValueError(f"norm: ord={ord!r} is for matrices; got one axis of a tensor of shape {tuple(x.shape)}.")
        return torch.linalg.vector_norm(x, ord, axes, keepdims)
    if len(axes) != 2:
        raise ValueError(f"norm: with ord={ord!r} expected one or two axes; got {axes}.")
    return torch.linalg.matrix_norm(x, ord, axes, keepdims)
