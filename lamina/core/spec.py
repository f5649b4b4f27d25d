"""What a layer takes, and in words what is wrong with an input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .dtypes import dtype_name
from .errors import axis_names, layout, named, show_shape


class InputSpec:
    """What a layer takes: rank, sizes of single axes, type of number. Unknown sizes are None.

    allow_last_axis_squeeze: a last axis of size 1 may be missing or surplus. optional: None may stand for the input.
    name: by which the input is found in a dictionary.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
        data_format: str | None = None,
    ):
        self.dtype, self.name, self.optional = None if dtype is None else dtype_name(dtype), name, optional
        self.shape = tuple(shape) if shape is not None else None
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim, self.data_format = max_ndim, min_ndim, data_format
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        if self.shape is not None:
            self.axes |= {axis: size for axis, size in enumerate(self.shape) if size is not None}

    def problem_with(self, value: Any) -> str | None:
        """What is wrong with an input, a tensor or None, in words; None if nothing is."""
        if value is None:
            return None if self.optional else f"misses input `{self.name or 'inputs'}`; got None."
        problem = self.problem(tuple(value.shape))
        if problem is None and self.dtype is not None and dtype_name(value.dtype) != self.dtype:
            return f"expected numbers of type {self.dtype}; got {dtype_name(value.dtype)}. Cast them first."
        return problem

    def problem(self, shape: Sequence[int | None]) -> str | None:
        """What is wrong with an input of this shape, in words; None if nothing is."""
        if self.allow_last_axis_squeeze and self.shape is not None and abs(len(shape) - len(self.shape)) == 1:
            shape = shape[:-1] if len(shape) > len(self.shape) and shape[-1] == 1 else shape
            shape = (*shape, 1) if len(shape) < len(self.shape) and self.shape[-1] == 1 else shape
        ndim = len(shape)
        if self.ndim is not None and ndim != self.ndim:
            repair = ""
            if ndim == self.ndim - 1:
                repair = " If the batch axis is missing, add it with x[None]; else add an axis with Reshape."
            expected = f"expected {self.ndim} axes {layout(self.ndim, self.data_format)}"
            return f"{expected}; got {ndim} axes, shape {show_shape(shape)}.{repair}"
        if self.min_ndim is not None and ndim < self.min_ndim:
            return f"expected at least {self.min_ndim} axes; got {ndim}, shape {show_shape(shape)}."
        if self.max_ndim is not None and ndim > self.max_ndim:
            return f"expected at most {self.max_ndim} axes; got {ndim}, shape {show_shape(shape)}."
        for axis, size in self.axes.items():
            got = shape[axis] if -ndim <= axis < ndim else None
            if size is not None and got is not None and got != size:
                axis_name = axis_names(ndim, self.data_format)[axis]
                return (
                    f"expected {size} along the {axis_name} axis (axis {axis}); got {got}, "
                    f"shape {show_shape(shape)}. The layer was built for {size}: pass such data or make another layer."
                )
        return None

    def get_config(self) -> dict[str, Any]:
        ranks = {"ndim": self.ndim, "max_ndim": self.max_ndim, "min_ndim": self.min_ndim}
        return {"dtype": self.dtype, "shape": self.shape, **ranks, "axes": dict(self.axes)}

    from_config = classmethod(lambda cls, config: cls(**config))


def require(layer: Any, shape: Sequence[int | None], spec: InputSpec) -> None:
    """Raises ValueError for an input of a layer whose shape does not fit."""
    problem = spec.problem(shape)
    if problem:
        raise unfit(layer, problem)


def unfit(layer: Any, problem: str) -> ValueError:
    """What is said of an input that is not as a layer takes it."""
    return ValueError(f"{named(layer)}: the input is incompatible with the layer: {problem}")
