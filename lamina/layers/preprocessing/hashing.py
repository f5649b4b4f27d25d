"""Categories without a vocabulary: the bucket of a hash, the same as TensorFlow's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...core import symbolic
from ...core.declare import Declared, Kind, arg, as_integer, integer
from ...core.errors import named, short, show_shape
from ...kernels.encoding import encode
from ...kernels.hashing import bucket, crossed
from .adapting import Salt, dense, encoded_shape, output_mode
from .strings import Data, Textual, as_array, hashes, texts_of

__all__ = ["HashedCrossing", "Hashing"]


def _token(value: Any, owner: Any) -> int | str:
    return value if isinstance(value, str) else as_integer(value)


_masked = Kind("an integer or a string", _token, good=(0,), bad=(1.5, True, [1])).optional()


_bins = Kind(
    "a positive integer",
    integer(1).convert,
    good=(2, 3),
    bad=("3", 2.5, None, 0),
    says="The `{}` for `{}` cannot be `None` or non-positive, it must be",
)


class _Buckets(Textual):
    """By default integers of 64 bits, or where they are encoded, vectors of the default type."""

    num_bins: int = arg(_bins, doc="How many buckets.")

    def _default_dtype(self, values: Mapping[str, Any]) -> Any:
        mode = values["output_mode"]
        return "int64" if isinstance(mode, str) and mode == "int" else None

    def _output_type(self) -> Any:
        return self.dtype_policy.variable if self.output_mode == "int" else self.dtype_policy.compute

    def check(self) -> None:
        if self.output_mode == "int" and self.dtype not in ("int32", "int64"):
            raise ValueError(
                f'{type(self).__name__}: When `output_mode="int"`, `dtype` should be an integer type, int32 or int64; '
                f"got {self.dtype}."
            )


class _Masked(Declared):
    mask_value: int | str | None = arg(_masked, default=None, doc="Goes into bucket 0, in which nothing else is then.")


class Hashing(Salt, _Masked, _Buckets):
    """The bucket, 0 .. num_bins - 1, of a text's hash or of an integer's decimal text.

    Without `salt` FarmHash (Pike, 2014), with it SipHash-2-4 (Aumasson & Bernstein, 2012). Floats are cut to integers.
    """

    output_mode: str = arg(output_mode("int", "one_hot", "multi_hot", "count"), default="int")
    sparse: bool = arg(dense, default=False)

    def call(self, inputs: Data) -> Tensor:
        masked = self.mask_value is not None and self.num_bins > 1
        if isinstance(inputs, Tensor) and inputs.is_floating_point():
            inputs = inputs.long()
        bins = bucket(hashes(inputs, self, self.salt), self.num_bins - masked)
        if masked:
            bins = torch.where(self._is_mask(inputs), 0, bins + 1)
        bins = bins if isinstance(inputs, Tensor) else self.placed(bins)
        return encode(bins, self.output_mode, self.num_bins, self._output_type())

    def _is_mask(self, inputs: Data) -> Tensor:
        value = self.mask_value
        if isinstance(inputs, Tensor):
            return inputs == value if isinstance(value, int) else torch.zeros_like(inputs, dtype=torch.bool)
        return torch.tensor([text == value for text in texts_of(inputs, self)]).bool().reshape(inputs.shape)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return encoded_shape(input_shape, self.output_mode, self.num_bins)


class HashedCrossing(_Buckets):
    """The bucket of several features together: texts and integers, all of one shape (), (batch,) or (batch, 1)."""

    output_mode: str = arg(output_mode("int", "one_hot"), default="int")
    sparse: bool = arg(dense, default=False)

    def _read(self, inputs: Any) -> list[Data]:  # type: ignore[override]
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            raise ValueError(f"{named(self)} should be called on a list of at least two inputs; got {short(inputs)}.")
        return [as_array(each, self) for each in inputs]

    def call(self, inputs: list[Data]) -> Tensor:
        self._check(symbolic.shapes_of(inputs))
        columns = []
        for each in inputs:
            if isinstance(each, Tensor) and (each.is_floating_point() or each.is_complex()):
                raise ValueError(f"{named(self)}: inputs should have an integer or string type; got {each.dtype}.")
            columns.append(each.long() if isinstance(each, Tensor) else self.placed(hashes(each, self)))
        return encode(crossed(columns, self.num_bins), self.output_mode, self.num_bins, self._output_type())

    def _check(self, shapes: Any) -> None:
        if symbolic.is_shape(shapes) or len(shapes) < 2:
            raise ValueError(
                f"{named(self)} should be called on a list of at least two inputs; got one of shape {shapes}."
            )
        first = shapes[0]
        if len(first) > 2 or (len(first) == 2 and first[1] != 1) or any(shape != first for shape in shapes):
            told = ", ".join(map(show_shape, shapes))
            raise ValueError(
                f"{named(self)}: all inputs should have shape (), (batch,) or (batch, 1), and the same one; got {told}."
            )

    def compute_output_shape(self, input_shape: Any) -> tuple:
        self._check(input_shape)
        return encoded_shape(input_shape[0], self.output_mode, self.num_bins)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["trainable"]
        return {**config, "dtype": self.dtype}
