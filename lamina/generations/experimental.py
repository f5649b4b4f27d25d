"""What tf.keras had under `experimental`: a layer, a schedule, a way to train."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import initializers
from ..core.declare import arg, number, text
from ..core.errors import named
from ..optimizers.schedules import _Formula, _steps
from ..training.data import unpack
from .dialect import Dialect


class LinearCosineDecay(_Formula):
    """(alpha + what is left of `decay_steps`) times `num_periods` of a cosine wave, plus beta (Bello et al., 2017)."""

    _home = "lamina.tf_keras.experimental"
    initial_learning_rate: float = arg(number())
    decay_steps: float = arg(_steps)
    num_periods: float = arg(number(), default=0.5)
    alpha: float = arg(number(), default=0.0)
    beta: float = arg(number(), default=0.001)
    name: str | None = arg(text.optional(), default=None)

    def _at(self, step: Any, xp: Any) -> Any:
        done = step / self.decay_steps
        done = xp.where(done > 1, 1.0, done)
        wave = 0.5 * (1 + xp.cos(2 * math.pi * self.num_periods * done))
        return self.initial_learning_rate * ((self.alpha + 1 - done) * wave + self.beta)


def _check_features(output_dim: int, kernel: object, scale: float | None) -> None:
    if isinstance(kernel, str) and kernel.lower() not in ("gaussian", "laplacian"):
        raise ValueError(
            "RandomFourierFeatures: `kernel_initializer` must be 'gaussian', 'laplacian' or an initializer; got "
            f"{kernel!r}."
        )
    if output_dim <= 0 or (scale is not None and scale <= 0):
        raise ValueError(
            f"RandomFourierFeatures: `output_dim` and `scale` must be above 0; got {output_dim} and {scale}."
        )


def _kernel_of_features(kernel: object, shape: tuple[int, int]) -> tuple[object, float]:
    """The kernel's initializer, and the scale where none is given."""
    if not isinstance(kernel, str):
        return kernel, 1.0
    if kernel.lower() == "gaussian":
        return initializers.RandomNormal(stddev=1.0), math.sqrt(shape[0] / 2)
    return initializers.Constant(np.tan(np.pi * (np.random.uniform(size=shape) - 0.5))), 1.0


def fourier_features(dialect: Dialect) -> type:
    """`RandomFourierFeatures(output_dim)`: cosines of random projections, whose products are near a kernel."""
    base = dialect.find("layers", "Layer")

    class RandomFourierFeatures(base):
        def __init__(self, output_dim: int, kernel_initializer: object = "gaussian", scale: float | None = None,
                     trainable: bool = False, name: str | None = None, **kwargs: Any):  # fmt: skip
            _check_features(output_dim, kernel_initializer, scale)
            super().__init__(trainable=trainable, name=name, **kwargs)
            self.output_dim, self.kernel_initializer, self.scale = output_dim, kernel_initializer, scale

        def build(self, input_shape: tuple[int, ...]) -> None:
            if len(input_shape) != 2:
                raise ValueError(f"{named(self)}: expected inputs (batch, features); got shape {tuple(input_shape)}.")
            shape = input_shape[-1], self.output_dim
            kernel, scale = _kernel_of_features(self.kernel_initializer, shape)
            self.scale = scale if self.scale is None else self.scale
            phase = initializers.RandomUniform(0.0, 2 * math.pi)
            fixed = {"dtype": "float32", "trainable": False}
            self.unscaled_kernel = self.add_weight("unscaled_kernel", shape, initializer=kernel, **fixed)
            self.bias = self.add_weight("bias", (self.output_dim,), initializer=phase, **fixed)
            self.kernel_scale = self.add_weight(
                "kernel_scale", (1,), "float32", initializers.Constant(self.scale), constraint="non_neg"
            )
            super().build(input_shape)

        def call(self, inputs: Tensor) -> Tensor:
            return torch.cos(inputs.float() @ (self.unscaled_kernel / self.kernel_scale) + self.bias)

        def compute_output_shape(self, input_shape: tuple[int, ...]) -> tuple:
            return (*input_shape[:-1], self.output_dim)

        def get_config(self) -> dict[str, object]:
            kernel = self.kernel_initializer
            kernel = kernel if isinstance(kernel, str) else initializers.serialize(kernel)
            own = {"output_dim": self.output_dim, "kernel_initializer": kernel, "scale": self.scale}
            return {**super().get_config(), **own}

        @classmethod
        def from_config(cls, config: Mapping[str, object]) -> object:
            kernel = config["kernel_initializer"]
            kernel = kernel if isinstance(kernel, str) else initializers.get(kernel)
            return cls(**{**config, "kernel_initializer": kernel})

    RandomFourierFeatures.__module__ = dialect.module("layers.experimental")
    return RandomFourierFeatures


def sharpness_aware(dialect: Dialect) -> type:
    """`SharpnessAwareMinimization(model)`: trains by the gradients at the worst place near the weights (Foret et al.,
    2020), those of the parts of a batch added up."""
    base = dialect.find("models", "Model")

    class SharpnessAwareMinimization(base):
        def __init__(self, model: Any, rho: float = 0.05, num_batch_splits: int | None = None, name: str | None = None):
            super().__init__(name=name)
            self.model, self.rho, self.num_batch_splits = model, rho, num_batch_splits

        def call(self, inputs: Tensor, **kwargs: object) -> Tensor:
            return self.model(inputs, **kwargs)

        def train_step(self, data: object) -> dict[str, object]:
            x, y, sample_weight = unpack(data)
            weights, outputs, sums = self.model.trainable_variables, [], None
            count = self.num_batch_splits or 1
            parts = [[None] * count if each is None else each.chunk(count) for each in (x, y, sample_weight)]
            for batch in zip(*parts, strict=True):
                output, found = self._gradients(batch, weights)
                outputs.append(output)
                norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(one) for one in found]))
                steps = [one * (self.rho / (norm + 1e-12)) for one in found]
                self._move(weights, steps, 1)
                _, found = self._gradients(batch, weights, training=True)
                self._move(weights, steps, -1)
                sums = found if sums is None else [one + other for one, other in zip(sums, found, strict=True)]
            self.optimizer.apply_gradients(zip(sums or (), weights, strict=True))
            self.compiled_metrics.update_state(y, torch.cat(outputs), sample_weight)
            return {metric.name: metric.result() for metric in self.metrics}

        def _gradients(
            self, batch: tuple[Tensor, ...], weights: list[Tensor], **options: bool
        ) -> tuple[Tensor, tuple[Tensor, ...]]:
            x, y, sample_weight = batch
            with torch.enable_grad():
                outputs = self(x, **options)
                loss = self.compiled_loss(y, outputs, sample_weight)
            return outputs.detach(), torch.autograd.grad(loss, weights)

        def _move(self, weights: list[Any], steps: list[Tensor], sign: int) -> None:
            for weight, step in zip(weights, steps, strict=True):
                weight.assign_add(sign * step)

    SharpnessAwareMinimization.__module__ = dialect.module("models.experimental")
    return SharpnessAwareMinimization
