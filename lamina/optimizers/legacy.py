"""`keras.optimizers.legacy`: refused, as by Keras 3, with what to write."""

from __future__ import annotations

__all__ = ["SGD", "Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop"]


class Optimizer:
    """Raises ImportError when made."""

    def __init__(self, *args: object, **kwargs: object):
        name = type(self).__name__
        raise ImportError(
            f"optimizers.legacy.{name}: write lamina.optimizers.{name}, or, in code of the second generation, "
            f"lamina.tf_keras.optimizers.{name}."
        )


class Adagrad(Optimizer): ...


class Adam(Optimizer): ...


class Ftrl(Optimizer): ...


class RMSprop(Optimizer): ...


class SGD(Optimizer): ...
