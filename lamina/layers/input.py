"""Where a functional model begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core import dtypes
from ..core.errors import short
from ..core.layer import Layer
from ..core.symbolic import Node, SymbolicTensor

__all__ = ["Input", "InputLayer"]


class InputLayer(Layer):
    """Holds one input of a model: its shape without values.

    shape: sizes without the batch axis, None where they vary; or `batch_shape` with it. dtype: of the data, which is
    cast to it. optional: None may be given for it, and reaches the layers behind.
    """

    _autocast = False
    _creates_mask = False
    _symbol: type[SymbolicTensor] = SymbolicTensor

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        told = [batch_shape, kwargs.pop("batch_input_shape", None), shape, kwargs.pop("input_shape", None)]
        if sum(value is not None for value in told) > 1:
            raise ValueError("InputLayer: cannot pass both `shape` and `batch_shape`; give one.")
        batch_shape, shape = (one if one is not None else other for one, other in (told[:2], told[2:]))
        if input_tensor is not None:
            if not isinstance(input_tensor, SymbolicTensor):
                got = short(input_tensor)
                raise ValueError(f"InputLayer: Argument `input_tensor` must be a KerasTensor; got {got}.")
            said = {"shape": shape, "batch_shape": batch_shape, "batch_size": batch_size, "dtype": dtype}
            _check_same(input_tensor, {**said, "sparse": sparse, "ragged": ragged})
            batch_shape, shape, batch_size, dtype = input_tensor.shape, None, None, input_tensor.dtype
        if sparse or ragged:
            asked = "sparse" if sparse else "ragged"
            raise ValueError(f"InputLayer: `{asked}=True` is not supported; pass dense tensors and a mask.")
        if shape is None and batch_shape is None:
            raise ValueError("InputLayer: pass a `shape` argument (sizes without the batch axis) or a `batch_shape`.")
        if batch_size is not None and batch_shape is not None:
            raise ValueError("InputLayer: cannot pass both `batch_size` and `batch_shape`, which begins with the size.")
        super().__init__(name=name, **kwargs)
        batch_shape = (batch_size, *_checked(shape)) if batch_shape is None else _checked(batch_shape)
        self.batch_shape = batch_shape
        self.input_dtype: str = dtypes.data_name(dtype if dtype is not None else dtypes.config.floatx())
        self.sparse, self.ragged, self.optional = bool(sparse), bool(ragged), optional
        self._finish_build()
        node = Node(self, (), {})
        if input_tensor is None:
            node.outputs = self._symbol(batch_shape, self.input_dtype, name=self.name, node=node)
        else:
            node.outputs, input_tensor.node, input_tensor.index = input_tensor, node, 0
        self._nodes.append(node)

    @property
    def dtype(self) -> str:
        return self.input_dtype

    def call(self) -> None:
        raise ValueError(f'InputLayer "{self.name}" takes no input: use its `output`.')

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.input_dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            **({"optional": True} if self.optional else {}),
        }


def _check_same(tensor: SymbolicTensor, said: Mapping[str, Any]) -> None:
    """Raises ValueError where what is said of a given tensor is not so."""
    own = {"shape": tensor.shape[1:], "batch_size": tensor.shape[0], "batch_shape": tensor.shape, "dtype": tensor.dtype}
    for word, value in said.items():
        same = dtypes.data_name(value) if word == "dtype" and value else value
        if value not in (None, False) and (tuple(same) if isinstance(same, list) else same) != own.get(word):
            raise ValueError(
                f"InputLayer: for an `input_tensor` of shape {tensor.shape} and type {tensor.dtype} you cannot provide "
                f"an incompatible `{word}`; got {value!r}. Leave it out."
            )


def _checked(shape: Any) -> tuple[int | None, ...]:
    if isinstance(shape, int):
        raise ValueError(f"Input: `shape` must be a tuple; write ({shape},) for one axis of size {shape}.")
    for size in shape:
        if size is not None and (isinstance(size, bool) or not hasattr(size, "__index__") or size < 0):
            raise ValueError(f"Input: sizes must be non-negative integers or None; got {size!r} in {tuple(shape)}.")
    return tuple(size if size is None else int(size) for size in shape)


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
    **kwargs: Any,
) -> SymbolicTensor:
    """A symbolic tensor to build a functional model from.

    shape: sizes without the batch axis, None where they vary. Raises ValueError for sizes that are no integers.
    """
    if isinstance(tensor, SymbolicTensor) and tensor.node is not None:
        said = {"shape": shape, "batch_shape": batch_shape, "batch_size": batch_size, "dtype": dtype}
        _check_same(tensor, {**said, "sparse": sparse, "ragged": ragged})
        if name not in (None, tensor.name):
            raise ValueError(f"Input: the given tensor has a name already, {tensor.name!r}; leave `name` out.")
        return tensor
    layer = InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name, **kwargs)
    return layer._nodes[0].outputs
