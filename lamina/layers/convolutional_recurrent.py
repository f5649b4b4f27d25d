"""Recurrent layers whose products are convolutions, for any rank."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from torch import Tensor

from ..core.arrays import of_tensors
from ..core.declare import arg, boolean, integer
from ..core.errors import named, show_shape
from ..core.fusion import grants
from ..core.layer import InputSpec
from ..core.spec import require
from ..core.weight import held, weight
from ..kernels import convolutional_recurrence as kernels
from ..kernels import recurrence
from ..kernels.convolution import plan_convolution
from ..kernels.window import per_axis
from .arguments import (
    Activity,
    Constraints,
    DataFormat,
    Dilation,
    Dropouts,
    Filters,
    ForgetBias,
    Gates,
    Initializers,
    Regularizers,
    Seed,
    Tanh,
    Window,
)
from .convolution import _Convolution, _kernel_order, _refuse_dilated_strides, padding
from .recurrent import _WEIGHTS, How, _Cell, _OwnCell

__all__ = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"]


class _Arguments(ForgetBias, Initializers, Gates, Tanh, Dilation, DataFormat, Window, Filters):
    padding: str = arg(padding, default="valid")
    implementation: int = arg(integer(0), default=2, init=False)


class ConvLSTMCell(Seed, Dropouts, Constraints, Regularizers, _Arguments, _Cell, _Convolution):
    """One step of `ConvLSTM`: inputs (batch, *spatial, channels), states h and c (batch, *new spatial, filters)."""

    _gates = 4
    _states = 2
    _worked_out = (*_Cell._worked_out, *_Convolution._worked_out)
    groups = 1
    kernel = weight("*kernel_size", "channels", "width", order=_kernel_order)
    recurrent_kernel = weight("*kernel_size", "filters", "width", role="recurrent", order=_kernel_order)

    @property
    def units(self) -> int:
        return self.filters

    @property
    def same(self) -> Any:
        """How far windows reach where the result is to keep the size."""
        return "same"

    def check(self) -> None:
        _refuse_dilated_strides(self, "Specifying `strides > 1` is not compatible with")
        vars(self)["axis"] = -1 if self.channels_last else -1 - self.rank
        super().check()

    def build(self, input_shape: tuple) -> None:
        channels = self.channels(input_shape)
        self.check_window(input_shape, self.kernel_size, self.dilation_rate, self.padding)
        self.fix_input(input_shape, channels)
        self.make_weights(channels=channels, width=4 * self.filters)

    def arithmetic(self) -> tuple[tuple, dict[str, Any]]:
        return (), {"fused": False}

    @grants("sweep")
    def call(self, inputs: Tensor, states: Any, training: bool = False) -> tuple[Tensor, list[Tensor]]:
        return self.sweep(inputs.unsqueeze(1), states, (None, False, False, False, training))[1:]

    def sweep(self, x: Tensor, states: list[Tensor] | None, how: How) -> recurrence.Result:
        x, (kernel, recurrent_kernel, bias) = self._fitted(x, held(self, *_WEIGHTS))
        axis, ((plan, by_gate), (state_plan, state_by_gate)) = self.axis, self.plan_for(x)
        drop, drop_state = self.gate_masks(x) if how[-1] and self._drops else (None, None)
        z = kernels.project(x, kernel, bias, plan if drop is None else by_gate, axis, drop)
        step = partial(
            kernels.conv_lstm_step,
            recurrent_kernel=recurrent_kernel,
            plan=state_plan if drop_state is None else state_by_gate,
            axis=axis,
            activation=of_tensors(self.activation),
            recurrent_activation=of_tensors(self.recurrent_activation),
            dropout=drop_state,
        )
        states = kernels.initial_states(z, axis, how[0] is not None) if states is None else states
        return recurrence.scan(step, z, states, *how[:-1])

    def windows(self) -> tuple[tuple, tuple, Any, tuple]:
        kernel, strides, padding, dilation = super().windows()
        return kernel, strides, padding if self.padding == "valid" else per_axis(self.same, self.rank), dilation

    def make_plan(self, shape: tuple) -> Any:
        """Of the inputs and of the state; each as it is, and with a copy for each gate."""
        x, ones = (shape[0], *shape[2:]), (1,) * self.rank
        state = self.kernel_size, ones, self.same, ones
        return tuple(
            tuple(plan_convolution(of, *windows, groups, self.channels_last) for groups in (1, 4))
            for of, windows in ((x, self.windows()), (self.convolved(x), state))
        )

    def gate_masks(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Dropout masks of the inputs and of the state, the same for all steps."""
        inputs, state = [x.shape[0], 1, *x.shape[2:]], [*self.convolved((x.shape[0], *x.shape[2:]))]
        inputs[self.axis] *= 4
        state[self.axis] *= 4
        return self._mask(x, self.dropout, inputs), self._mask(x, self.recurrent_dropout, state)


class ConvLSTM1DCell(ConvLSTMCell):
    rank = 1


class ConvLSTM2DCell(ConvLSTMCell):
    rank = 2


class ConvLSTM3DCell(ConvLSTMCell):
    rank = 3


class ConvLSTM(_OwnCell, Seed, Dropouts, Constraints, Activity, Regularizers, _Arguments):
    """Long short-term memory whose products are convolutions (Shi et al., 2015); the state's keep its size.

    Input (batch, time, *spatial, channels), output (batch, *new spatial, filters), or (batch, time, *new spatial,
    filters) with `return_sequences`; channels first likewise, behind time. Both states, h and c, look like an output.
    Raises ValueError for strides together with dilation, and for `stateful` without known sizes.
    """

    unroll: bool = arg(boolean, default=False, kw_only=True, doc="Accepted; the loop is chosen by itself.")

    _makes: ClassVar[type[ConvLSTMCell]]

    @property
    def _cell_name(self) -> str:
        return "conv_lstm_cell"

    @property
    def rank(self) -> int:
        return self._makes.rank

    def _taken(self, shape: tuple | None = None) -> InputSpec:
        axis = self.cell.axis
        return InputSpec(ndim=self.rank + 3, axes={} if shape is None else {axis: shape[axis]})

    def _check_shape(self, shape: tuple) -> None:
        require(self, shape, self._taken())
        self.cell.channels((shape[0], *shape[2:]))

    def build(self, sequences_shape: tuple, initial_state_shape: Any = None) -> None:
        vars(self)["_built_for"] = sequences_shape
        super().build(sequences_shape, initial_state_shape)

    def _step_shape(self, sequences_shape: tuple) -> tuple:
        return self.cell.compute_output_shape((sequences_shape[0], *sequences_shape[2:]))

    def state_shapes(self, sequences_shape: Any) -> list[tuple]:
        return [self._step_shape(sequences_shape)] * 2

    def _start_states(self, like: Tensor) -> list[Any]:
        _, *sizes = self._step_shape(self._built_for)
        if None in sizes:
            raise ValueError(
                f"{named(self)}: its states have no known size after it was built for {show_shape(self._built_for)}. "
                "Give the input's whole shape."
            )
        return [like.new_zeros(len(like), *sizes) for _ in range(2)]


class ConvLSTM1D(ConvLSTM):
    _makes = ConvLSTM1DCell


class ConvLSTM2D(ConvLSTM):
    _makes = ConvLSTM2DCell


class ConvLSTM3D(ConvLSTM):
    _makes = ConvLSTM3DCell
