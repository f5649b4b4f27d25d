"""Operations of one's own: what has no weights and casts nothing."""

from __future__ import annotations

from typing import Any

from ..core.layer import Layer


class _EveryLayer(type):
    """`isinstance(layer, Operation)` holds for every layer, as in Keras."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Layer) if cls.__bases__ == (Layer,) else type.__instancecheck__(cls, instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, Layer) if cls.__bases__ == (Layer,) else type.__subclasscheck__(cls, subclass)


class Operation(Layer, metaclass=_EveryLayer):
    """Base of operations. Write `call`, and `compute_output_spec` where running `call` cannot tell shapes and types."""

    _home = "keras"
    _autocast = False
    _creates_mask = False

    def __init__(self, name: str | None = None):
        super().__init__(name=name)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """The call on symbolic tensors, recorded in their model."""
        return self(*args, **kwargs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Operations drop masks."""

    def get_config(self) -> dict[str, Any]:
        return {**self._captured_config({}), "name": self.name}
