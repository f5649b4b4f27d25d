"""Low-rank adaptation: train a product of two thin matrices beside a frozen weight (Hu et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from ..core.care import Changes
from ..core.declare import Declared, arg, integer, number
from ..core.errors import named
from ..core.fusion import around
from ..core.layer import scope
from ..core.weight import Weight
from .quantized import Quantizable, Quantization

lora_rank = integer(1).optional()
lora_alpha = number().optional()


class Rank(Declared):
    lora_rank: Any = arg(lora_rank, default=None, config=False, doc="Train a product of this rank instead.")
    lora_alpha: Any = arg(lora_alpha, default=None, config=False, doc="Building sets it to the rank, as in Keras 3.")


class LowRank(Quantization, Rank):
    """Of layers with a weight that can be adapted."""


class LoRA(Quantizable):
    """A layer one of whose weights, declared with `adapts`, can be adapted: `weight + alpha / rank * a @ b`."""

    _adapts: ClassVar[str]
    _takes_alpha = False  # building leaves `lora_alpha` as it was given
    lora_enabled = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._adapts = next((name for name, declared in cls._weights.items() if declared.adapts), "")

    def make_weights(self, **sizes: Any) -> None:
        super().make_weights(**sizes)
        if self.lora_rank is not None:
            self._adapt(self.lora_rank, alpha=self.lora_alpha if self._takes_alpha else None)

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freeze the weight and train `a` (..., rank) and `b` (rank, out) beside it.

        Raises ValueError before the layer is built, where it is adapted already, or for a weight that is constrained.
        """
        self._check_no_constraint()
        if not self.built:
            raise ValueError(f"{named(self)}: Cannot enable lora on a layer that isn't yet built. Call it first.")
        if self.lora_enabled:
            raise ValueError(f"{named(self)}: lora is already enabled, with rank {self.lora_rank}.")
        if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
            raise ValueError(f"{named(self)}: `rank` must be a positive integer; got {rank!r}.")
        self._adapt(rank, a_initializer, b_initializer, lora_alpha)
        self._finish_build()

    def _check_no_constraint(self) -> None:
        if getattr(self, f"{self._adapts}_constraint", None) is not None:
            raise ValueError(
                f"{named(self)}: LoRA is incompatible with {self._adapts.removesuffix('s')} constraints; "
                f"leave out `{self._adapts}_constraint`."
            )

    def _adapt(self, rank: int, a: Any = "he_uniform", b: Any = "zeros", alpha: float | None = None) -> None:
        name = self._adapts
        self._check_no_constraint()
        if self.quantization_mode == "float8":
            raise ValueError(f"{named(self)}: float8 and LoRA cannot be used together.")
        weight, sizes = getattr(self, name), self._shape_of(name)
        regularizer = getattr(self, f"{name}_regularizer", None)
        for part, shape, initializer in (("a", (*sizes[:-1], rank), a), ("b", (rank, sizes[-1]), b)):
            part_name = f"lora_{name}_{part}"
            made = self.add_weight(shape, initializer, name=part_name, regularizer=regularizer)
            made.path = f"{weight.path.rpartition('/')[0]}/{part_name}"  # beside the weight, also inside a model
            setattr(self, part_name, made)
        weight.trainable = False
        vars(self).update(lora_rank=rank, lora_alpha=rank if alpha is None else alpha, lora_enabled=True)
        if self.quantization_mode is None:
            self._let_stand_in()
            adapted = around(self, self._call_adapted)
            vars(self).update(call=adapted, forward=adapted)
        if "_remat" in vars(self):
            vars(self)["_remat"].install(self)
        Changes.note(self)

    def _call_adapted(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        register: Any = self._parameters
        standing, thread, name = register.standing, scope.thread, self._adapts
        outer = standing.get(thread)
        held = {**register, **(outer or {})}
        scale = self.lora_alpha / self.lora_rank
        adapted = held[name] + scale * (held[f"lora_{name}_a"] @ held[f"lora_{name}_b"])
        standing[thread] = {**(outer or {}), name: adapted}
        try:
            return type(self).call(self, *args, **kwargs)
        finally:
            standing[thread] = outer

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.lora_rank is not None:
            config |= {"lora_rank": self.lora_rank, "lora_alpha": self.lora_alpha}
        return config

    def save_own_variables(self, store: Any) -> None:
        """The adaptation is stored merged into its weight, as a layer without one would store it."""
        changed: dict[str, Any] = {}
        if self.lora_enabled:
            name, merged = self._adapts, self.merged_weight()
            changed = {name: merged} if self.quantization_mode is None else self._integers(name, merged)
        merged_of = {id(getattr(self, name)): value for name, value in changed.items()}
        for index, weight in enumerate(self._stored_weights()):
            store[str(index)] = merged_of.get(id(weight), weight)

    def merged_weight(self) -> torch.Tensor:
        """The weight with its adaptation."""
        register: dict[str, Any] = self._parameters
        name = self._adapts
        change = register[f"lora_{name}_a"] @ register[f"lora_{name}_b"]
        base = (
            register[name] if self.quantization_mode is None else self._numbers(name, register[f"lora_{name}_a"].dtype)
        )
        return (base + self.lora_alpha / self.lora_rank * change).detach()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        super().load_own_variables(store)
        if self.lora_enabled:
            with torch.no_grad():
                getattr(self, f"lora_{self._adapts}_b").zero_()

    def _stored_weights(self) -> list[Weight]:
        parts = {f"lora_{self._adapts}_a", f"lora_{self._adapts}_b"}
        hidden = {id(self._parameters[part]) for part in parts if part in self._parameters}
        return [weight for weight in super()._stored_weights() if id(weight) not in hidden]
