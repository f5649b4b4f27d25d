"""`Recurrent` of Keras 1 and 2: base class of users' own recurrent layers, which define `step`."""

from __future__ import annotations

import functools
from typing import Any

from ..core.arrays import tensor_of
from ..core.errors import named
from ..core.layer import InputSpec
from ..layers import RNN
from ..layers.convolutional_recurrent import ConvLSTM
from . import arithmetic, backend
from .dialect import CountsOthers, Dialect
from .utils.generic_utils import has_arg, to_list
from .utils.np_utils import conv_output_length, normalize_tuple

_Layer: Any = object  # the generation's Layer, which comes behind in the classes made
_KEPT = ("return_sequences", "go_backwards", "stateful", "unroll")


class Recurrent(_Layer):
    """Runs `step(x, states)`, which returns (output, states), along the steps of (batch, steps, features).

    `build` sets `self.states = [None] * number`. The size of outputs and states is `output_dim` or `units`.
    `preprocess_input(x)` is what steps are taken of, `get_constants(x)` what every step is given behind its states.
    """

    _dialect: Dialect
    states: list[Any]

    def __init__(self, weights: Any = None, return_sequences: bool = False, **kwargs: Any):
        given = {"return_sequences": return_sequences, **{key: kwargs.pop(key, False) for key in _KEPT[1:]}}
        effort, usual = ("consume_less", "cpu") if self._dialect.table.lists_weights else ("implementation", 0)
        given[effort] = kwargs.pop(effort, usual)
        return_state = kwargs.pop("return_state", False)
        size, length = kwargs.pop("input_dim", None), kwargs.pop("input_length", None)
        if size:
            kwargs["input_shape"] = (length, size)
        super().__init__(**kwargs)
        self.__dict__.update(given, initial_weights=weights, return_state=return_state, supports_masking=True)
        self.__dict__.update(input_dim=size, input_length=length)
        self.input_spec = [InputSpec(ndim=3)]

    def step(self, x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        raise NotImplementedError(f"{type(self).__name__} must define `step(self, x, states)`.")

    def preprocess_input(self, x: Any) -> Any:
        return x

    def get_constants(self, x: Any) -> list[Any]:
        return []

    def _width(self) -> int:
        """The size of outputs and states."""
        return next(getattr(self, name) for name in ("output_dim", "units", "state_size") if hasattr(self, name))

    def get_initial_states(self, x: Any) -> list[Any]:
        """Zeros (batch, size) for each of `self.states`."""
        return [x.new_zeros(x.shape[0], self._width()) for _ in self.states]

    get_initial_state = get_initial_states

    def call(self, x: Any, mask: Any = None, training: Any = None, initial_state: Any = None) -> Any:
        if isinstance(x, (list, tuple)):
            x, *initial_state = x
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        own = {"training": training}
        steps, constants = (
            method(x, **own) if has_arg(method, "training") else method(x)
            for method in (self.preprocess_input, self.get_constants)
        )
        kept = self.stateful and self.states and self.states[0] is not None
        by_keras2 = type(self).get_initial_state is not Recurrent.get_initial_state
        begin = self.get_initial_state if by_keras2 else self.get_initial_states
        given = [] if initial_state is None else to_list(initial_state, allow_tuple=True)
        states = given or (self.states if kept else begin(x))
        last, outputs, states = backend.names(self._dialect)["rnn"](
            self.step, steps, list(states), go_backwards=self.go_backwards, mask=mask, constants=constants,
            unroll=self.unroll,
        )  # fmt: skip
        if self.stateful:
            self.__dict__["states"] = [state.detach() for state in states]
        found = outputs if self.return_sequences else last
        return [found, *states] if self.return_state else found

    def reset_states(self, states: Any = None) -> None:
        """Let the next batch start from `states`, by default zeros. Raises AttributeError unless stateful."""
        if not self.stateful:
            raise AttributeError(f"Layer must be stateful: make {named(self)} with stateful=True.")
        given = [None] * len(self.states) if states is None else to_list(states, allow_tuple=True)
        kind = self.dtype_policy.compute
        self.__dict__["states"] = [one if one is None else tensor_of(one).to(kind) for one in given]

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        one = (shape[0], self._width())
        found = (*shape[:2], self._width()) if self.return_sequences else one
        return [found, *[one] * len(self.states)] if self.return_state else found

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        found = mask if self.return_sequences else None
        return [found, *[None] * len(self.states)] if self.return_state else found

    def get_config(self) -> dict[str, Any]:
        own = {key: getattr(self, key) for key in (*_KEPT, "consume_less", "implementation") if hasattr(self, key)}
        told = {} if self._dialect.table.name == "keras1" else {"return_state": self.return_state}
        return {**super().get_config(), **own, **told}


class ConvRecurrent2D(Recurrent):
    """A Recurrent whose steps are convolutions of (batch, steps, rows, columns, channels) (Keras 2)."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        sizes = {"kernel_size": kernel_size, "strides": strides, "dilation_rate": dilation_rate}
        self.__dict__.update({key: normalize_tuple(value, 2, key) for key, value in sizes.items()})
        data_format = data_format or backend.names(self._dialect)["image_data_format"]()
        self.__dict__.update(filters=filters, padding=padding, data_format=data_format)
        self.input_spec = [InputSpec(ndim=5)]

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        first = self.data_format == "channels_first"
        places = zip(
            shape[3:] if first else shape[2:4], self.kernel_size, self.strides, self.dilation_rate, strict=True
        )
        space = [conv_output_length(size, kernel, self.padding, by, rate) for size, kernel, by, rate in places]
        one = (self.filters, *space) if first else (*space, self.filters)
        return (*shape[: 1 + self.return_sequences], *one)

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _dropout_mask(ones: object, rate: float, training: object = None, count: int = 1) -> object:
    """`ones` with a share of zeros in training, for cells of users' own; `count` such in a list."""
    masks = [backend.in_train_phase(functools.partial(_dropped, ones, rate), ones, training) for _ in range(count)]
    return masks if count > 1 else masks[0]


def _dropped(ones: object, rate: float) -> object:
    return arithmetic.PUBLIC["dropout"](ones, rate)


def find(dialect: Dialect, name: str) -> Any:
    """The base class of a generation, or the function behind dropout in its cells; None for any other name."""
    if name == "_generate_dropout_mask" and not dialect.table.lists_weights:
        return _dropout_mask
    base = {"Recurrent": Recurrent, "ConvRecurrent2D": ConvRecurrent2D}.get(name)
    if base is None:
        return None
    facts = {
        "__module__": dialect.module("layers"),
        "__doc__": base.__doc__,
        "_dialect": dialect,
        "_instances_of": ConvLSTM if base is ConvRecurrent2D else RNN,
    }
    facts |= {key: getattr(base, key) for key in ("call", "compute_output_shape", "compute_mask")}  # looked for in it
    return CountsOthers(name, (base, dialect.find("layers", "Layer")), facts)
