"""Private methods of older generations' layers that code of the time defines in subclasses."""

from __future__ import annotations

from typing import Any

from ..layers import Dropout, Softmax
from ..layers.dropout import SpatialDropout
from ..layers.merge import Merge
from ..layers.pooling import MaxPooling, _Pooling
from . import backend
from .dialect import Dialect

_Modern: Any = object  # the modern class, which comes behind in the classes made


class NoiseShape(_Modern):
    """Dropout whose mask has the shape that `_get_noise_shape(inputs)` gives."""

    def _get_noise_shape(self, inputs: Any) -> Any:
        return super().mask_shape(inputs)

    def mask_shape(self, inputs: Any) -> tuple | None:
        shape = self._get_noise_shape(inputs)
        if shape is None:
            return None
        return tuple(known if size is None else int(size) for size, known in zip(shape, inputs.shape, strict=True))


class _Hooked(_Modern):
    """A subclass that defines `_hook` without a `call` of its own is called as `_by_hook` says."""

    _hook: str
    _by_hook: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        hook, call = getattr(cls, getattr(cls, "_hook", ""), None), getattr(cls, "call", None)
        if hook and call is not cls._by_hook and not _ours(hook) and _ours(call):
            cls.call = cls._by_hook
            cls.__init_subclass__(**kwargs)  # once more: `call` is another one


def _ours(method: Any) -> bool:
    return getattr(method, "__module__", "").startswith("lamina.")


class MergeFunction(_Hooked):
    """A layer of several inputs, which gives `_merge_function(inputs)`."""

    _hook = "_merge_function"

    def _merge_function(self, inputs: Any) -> Any:
        return super().call(inputs)

    def _by_hook(self, inputs: Any) -> Any:
        return self._merge_function(inputs)


class PoolingFunction(_Hooked):
    """Pooling by `_pooling_function`, which is given the layer's settings in the generation's words; in one dimension
    a second of size 1 is put in."""

    _hook = "_pooling_function"
    _dialect: Dialect

    def _pooling_function(self, inputs: Any, pool_size: Any, strides: Any, *how: Any, **named: Any) -> Any:
        names = backend.names(self._dialect)
        pool = names["pool3d" if self.rank == 3 else "pool2d"]
        mode = "max" if isinstance(self, MaxPooling) else "avg"
        return pool(inputs, pool_size, strides, *how, **named, pool_mode=mode)

    def _by_hook(self, inputs: Any) -> Any:
        first = not self.channels_last
        how = {"padding": self.padding, "data_format": self.data_format}
        if self._dialect.table.lists_weights:
            how = {"border_mode": self.padding, "dim_ordering": "th" if first else "tf"}
        beside = (1,) * (self.rank == 1)
        found = self._pooling_function(
            inputs=inputs.unsqueeze(2 + first) if beside else inputs,
            pool_size=(*self.pool_size, *beside),
            strides=(*self.strides, *beside),
            **how,
        )
        return found.squeeze(2 + first) if beside else found


def facts_of(dialect: Dialect, modern: type) -> dict[str, Any]:
    """What a class of the generation knows of its `call` otherwise: in Keras 2 a softmax sees no mask."""
    of_softmax = issubclass(modern, Softmax) and not dialect.table.shares_modern
    return {"_takes_mask": False} if of_softmax else {}


_HOOKS: dict[type, tuple[type, ...]] = {
    NoiseShape: (Dropout, SpatialDropout),
    MergeFunction: (Merge,),
    PoolingFunction: (_Pooling,),
}


def hooks_of(dialect: Dialect, modern: type) -> tuple[type, ...]:
    """What goes before a modern class so that its private methods of the time are called."""
    found = (hook for hook, kinds in _HOOKS.items() if issubclass(modern, kinds))
    return tuple(hook for hook in found if hook is not PoolingFunction or not dialect.table.shares_modern)
