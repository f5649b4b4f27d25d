"""Recurrent layers: cells that take one step, and the layers that run them along time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .. import activations
from ..core import care, masking, random, serialize, symbolic
from ..core.arrays import of_tensors
from ..core.declare import Declared, Kind, Refused, accepts, arg, boolean, items, seed, short, worked_out
from ..core.errors import layout, named, show_shape, unsized
from ..core.fusion import granted, grants
from ..core.layer import InputSpec, Layer, snake_case
from ..core.spec import require
from ..core.weight import held, spend, weight
from ..kernels import noise, recurrence
from .arguments import Activity, Constraints, Dropouts, ForgetBias, Gates, Initializers, Regularizers, Seed, Tanh, Units

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "SimpleRNN", "SimpleRNNCell", "StackedRNNCells"]

_TANH = (activations.tanh, torch.tanh)
_SIGMOID = (activations.sigmoid, torch.sigmoid)
_RELU = (activations.relu, torch.relu)


def _is_cell(value: object) -> bool:
    """Raises Refused, naming what is missing, for what is no cell."""
    if not callable(getattr(value, "call", None)):
        raise Refused("A cell needs a method `call(inputs, states)`.")
    sizes = getattr(value, "state_size", None)
    if isinstance(sizes, bool) or not isinstance(sizes, (int, list, tuple)):
        raise Refused("A cell needs a `state_size`: the size of its state, or a list with one for each.")
    return True


def _one_cell(value: Any, owner: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return StackedRNNCells(list(value))
    value = serialize.deserialize(value) if isinstance(value, Mapping) else value
    return value if _is_cell(value) else None


_cell = Kind("a cell or a list of cells", _one_cell, bad=(3, "lstm", None))
_cells = Kind("a list of cells", lambda v, o: list(items(v, _cell, o)), bad=(3, [], [3]))
_fused_choice = Kind(
    '"auto", True or False',
    accepts(lambda value: value == "auto" or isinstance(value, bool)),
    good=("auto", False),
    bad=("yes", 3, None),
)


class Holder(Layer):
    """A layer whose config holds those of layers given as arguments."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        with serialize.custom_object_scope(custom_objects or {}):
            return super().from_config(config)


class _ResetAfter(Declared):
    reset_after: bool = arg(boolean, default=True, doc="Apply the reset gate after the product with the state.")


class _Fused(Declared):
    use_cudnn: Any = arg(
        _fused_choice, default="auto", config=False, doc="False runs step by step, which second derivatives need."
    )


# Cells.

_WEIGHTS = "kernel", "recurrent_kernel", "bias"


def _first_bias(cell: Any) -> Any:
    """What makes the first values of a bias; with `unit_forget_bias` in parts, around ones for the forget gate. It
    holds no cell: one that is dropped while loading goes at once, with its weights."""
    make = cell.bias_initializer

    def first(shape: tuple[int, ...], **options: Any) -> Tensor:
        units = shape[-1] // 4
        parts = make((units,), **options), torch.ones(units), make((2 * units,), **options)
        return torch.cat([torch.as_tensor(part).flatten() for part in parts])

    return first if getattr(cell, "unit_forget_bias", False) else make


# How a cell goes along time: a mask, whether backwards, whether masked steps give zeros, whether all outputs are asked
# for, whether in training.
How = tuple[Tensor | None, bool, bool, bool, bool]


class _Cell(Layer):
    """What the three cells share: weights, dropout masks, and a run along a whole sequence.

    Dropout: `layer(x)` draws one mask for all steps of a sequence; a cell called by itself draws one for that step.
    """

    _gates = 1
    _states = 1
    axis = -1  # of the features, from the end
    _kernel: ClassVar[Any]  # what runs a whole sequence
    _fusable = True  # a layer's `use_cudnn`
    _worked_out: ClassVar[tuple[str, ...]] = ("_drops", "_arithmetic", "_options")
    input_spec = InputSpec(min_ndim=2)
    kernel = weight("features", "width", order=(1, 0))
    recurrent_kernel = weight("units", "width", role="recurrent", order=(1, 0))
    bias = weight("width", when="use_bias", initializer=_first_bias)

    def check(self) -> None:
        vars(self).update(
            seed_generator=random.stream(self.seed),
            state_size=self.units if self._states == 1 else [self.units] * self._states,
            output_size=self.units,
        )

    def arithmetic(self) -> tuple[tuple, dict[str, Any]]:
        """What the kernel takes behind the states, and the options that say whether torch has a kernel for it."""
        raise NotImplementedError

    def build(self, input_shape: tuple) -> None:
        features = input_shape[-1]
        if features is None:
            raise unsized(self, "features axis (axis -1)", input_shape)
        for function in (self.activation, getattr(self, "recurrent_activation", activations.linear)):
            activations.check_keeps_shape(function, (None, self.units), self)
        self.input_spec = InputSpec(ndim=2, axes={-1: features})
        self.make_weights(features=features, width=self._gates * self.units)

    @worked_out
    def _drops(self) -> bool:
        return self.dropout > 0 or self.recurrent_dropout > 0

    @worked_out
    def _arithmetic(self) -> tuple:
        return tuple(map(of_tensors, self.arithmetic()[0]))

    @worked_out
    def _options(self) -> dict[str, Any]:
        options = self.arithmetic()[1]
        return {**options, "fused": options["fused"] and self._fusable}

    def _fitted(self, x: Tensor, weights: tuple) -> tuple[Tensor, tuple]:
        """All in the type that the cell computes in. Raises RuntimeError for another number of features."""
        kernel, got = weights[0], x.shape[self.axis]
        if got != kernel.shape[-2]:  # torch.lstm does not look: on a CPU it reads what lies behind the data
            raise RuntimeError(f"{named(self)}: expected {kernel.shape[-2]} features; got {got}.")
        if x.dtype is kernel.dtype:
            return x, weights
        dtype = self._compute or kernel.dtype
        return x.to(dtype), tuple(weight if weight is None else weight.to(dtype) for weight in weights)

    def sweep(self, x: Tensor, states: list[Tensor] | None, how: How) -> recurrence.Result:
        """The steps of x (batch, time, features): all outputs, the last one, and the last states."""
        mask, reverse, zeros, sequences, training = how
        weights = held(self, *_WEIGHTS)
        if x.dtype is not weights[0].dtype or x.shape[-1] != weights[0].shape[0]:
            x, weights = self._fitted(x, weights)
        masks = self.dropout_masks(x, (x.shape[0], 1, x.shape[2])) if training and self._drops else (None, None)
        options = {**self._options, "order": self._buffers["order"]} if "order" in self._buffers else self._options
        return self._kernel(
            x,
            *weights,
            *([None] * self._states if states is None else states),
            *self._arithmetic,
            mask,
            reverse,
            sequences=sequences,
            zero_output_for_mask=zeros,
            input_dropout=masks[0],
            recurrent_dropout=masks[1],
            **options,
        )

    def pairs_with(self, other: _Cell) -> bool:
        """Whether `sweep_both` can run this cell forward and `other` backward."""
        return (
            (other._options, other.units, other.use_bias) == (self._options, self.units, self.use_bias)
            and self._options["fused"]
            and other.dtype_policy == self.dtype_policy
        )

    def sweep_both(self, other: _Cell, x: Tensor, states: Any, sequences: bool) -> tuple[Tensor | None, Any, Any]:
        """Both directions of a sequence in one kernel, without masks and dropout."""
        weights = *held(self, *_WEIGHTS), *held(other, *_WEIGHTS)
        if x.dtype is not weights[0].dtype or x.shape[-1] != weights[0].shape[0]:
            x, weights = self._fitted(x, weights)
        relu, order = self._options.get("relu", False), self._buffers.get("order")
        return recurrence.bidirectional(self._kernel, x, weights[:3], weights[3:], states, relu, order, sequences)

    def dropout_masks(self, x: Tensor, shape: tuple[int, ...]) -> tuple[Tensor | None, Tensor | None]:
        """What to multiply inputs of this shape and the state with; one mask a gate where the state drops, too."""
        gates = (self._gates,) if self.recurrent_dropout and self._gates > 1 else ()
        state = *gates, shape[0], self.units
        return self._mask(x, self.dropout, (*gates, *shape)), self._mask(x, self.recurrent_dropout, state)

    def _mask(self, x: Tensor, rate: float, shape: Sequence[int]) -> Tensor | None:
        return noise.dropout(x.new_ones(shape), rate, stream=self.seed_generator) if rate else None

    def _prepared(self, inputs: Tensor, states: Any, training: bool) -> tuple[Tensor, tuple, list[Tensor], tuple]:
        """One step's inputs, weights, states and dropout masks. Raises ValueError for another number of states."""
        states = list(states) if isinstance(states, (list, tuple)) else [states]
        if len(states) != self._states:
            raise ValueError(f"{named(self)}: expected {self._states} states; got {len(states)}.")
        inputs, weights = self._fitted(inputs, held(self, *_WEIGHTS))
        masks = self.dropout_masks(inputs, tuple(inputs.shape)) if training and self._drops else (None, None)
        return inputs, weights, states, masks

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Zeros, one tensor (batch_size, units) for each state."""
        like = self._parameters.get("kernel")
        dtype, device = self.dtype_policy.compute, None if like is None else like.device
        return [torch.zeros(batch_size or 0, self.units, dtype=dtype, device=device) for _ in range(self._states)]


class SimpleRNNCell(Seed, Dropouts, Constraints, Regularizers, Initializers, Tanh, Units, _Cell):
    """`h' = activation(x @ kernel + h @ recurrent_kernel + bias)`.

    Called on inputs (batch, features) and states [h], h (batch, units); returns the output and the states.
    """

    _kernel = staticmethod(recurrence.simple_rnn)

    def arithmetic(self) -> tuple[tuple, dict[str, Any]]:
        relu = self.activation in _RELU
        return (self.activation,), {"fused": relu or self.activation in _TANH, "relu": relu}

    @grants("sweep")
    def call(self, inputs: Tensor, states: Any, training: bool = False) -> tuple[Tensor, list[Tensor]]:
        x, (kernel, recurrent, bias), states, (drop, drop_state) = self._prepared(inputs, states, training)
        z = recurrence.project(x, kernel, bias, drop)
        (activation,) = self._arithmetic
        return recurrence.simple_rnn_step(z, states, recurrent, activation, drop_state)


class LSTMCell(Seed, Dropouts, Constraints, Regularizers, ForgetBias, Initializers, Gates, Tanh, Units, _Cell):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997), its gates in the order i, f, c, o.

    Called on inputs (batch, features) and states [h, c], each (batch, units); returns the output and the states.
    """

    _gates = 4
    _states = 2
    _kernel = staticmethod(recurrence.lstm)

    def arithmetic(self) -> tuple[tuple, dict[str, Any]]:
        fused = self.activation in _TANH and self.recurrent_activation in _SIGMOID
        return (self.activation, self.recurrent_activation), {"fused": fused}

    @grants("sweep")
    def call(self, inputs: Tensor, states: Any, training: bool = False) -> tuple[Tensor, list[Tensor]]:
        x, (kernel, recurrent, bias), states, (drop, drop_state) = self._prepared(inputs, states, training)
        z = recurrence.project(x, kernel, bias, drop)
        activations: Any = self._arithmetic
        return recurrence.lstm_step(z, states, recurrent, *activations, dropout=drop_state)


class GRUCell(Seed, _ResetAfter, Dropouts, Constraints, Regularizers, Initializers, Gates, Tanh, Units, _Cell):
    """Gated recurrent unit (Cho et al., 2014), its gates in the order z, r, h.

    Called on inputs (batch, features) and states [h], h (batch, units); returns the output and the states. With
    `reset_after` the bias is (2, 3 * units): of the inputs, of the state.
    """

    _gates = 3
    _kernel = staticmethod(recurrence.gru)
    bias = weight("*biases", "width", when="use_bias")

    @property
    def biases(self) -> tuple[int, ...]:
        return (2,) if self.reset_after else ()

    def build(self, input_shape: tuple) -> None:
        super().build(input_shape)
        spend((6 * self.units,), torch.int64, f"{named(self)}: the order of its gates")
        # Kept, since making it takes longer than using it; a buffer moves to where the weights go.
        self.register_buffer("order", recurrence.torch_gate_order(self.units), persistent=False)

    def arithmetic(self) -> tuple[tuple, dict[str, Any]]:
        fused = self.reset_after and self.activation in _TANH and self.recurrent_activation in _SIGMOID
        return (self.activation, self.recurrent_activation, self.reset_after), {"fused": fused}

    @grants("sweep")
    def call(self, inputs: Tensor, states: Any, training: bool = False) -> tuple[Tensor, list[Tensor]]:
        x, (kernel, recurrent, bias), states, (drop, drop_state) = self._prepared(inputs, states, training)
        bias, recurrent_bias = bias.unbind(0) if self.reset_after and bias is not None else (bias, None)
        z = recurrence.project(x, kernel, bias, drop)
        how: Any = self._arithmetic
        return recurrence.gru_step(z, states, recurrent, recurrent_bias, *how, dropout=drop_state)


class StackedRNNCells(Holder):
    """Cells one upon another as one cell: each takes the output of the one below. Its states are a list, one a cell."""

    cells: list = arg(_cells, doc="The cells, the lowest first.")
    input_spec = InputSpec(min_ndim=2)

    def check(self) -> None:
        self._modules.pop("cells", None)  # torch.func.functional_call finds no weights in a list: one name a cell
        for index, cell in enumerate(self.cells):
            if isinstance(cell, nn.Module):
                self.add_module(f"cell_{index}", cell)

    @property
    def state_size(self) -> list[Any]:
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        return _output_size(self.cells[-1])

    def build(self, input_shape: tuple) -> None:
        for cell in self.cells:
            _build_cell(cell, input_shape)
            input_shape = (input_shape[0], _output_size(cell))

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """The cells' initial states."""
        like = torch.empty(batch_size or 0, dtype=self.dtype_policy.compute)
        return [_packed(cell, _initial_states(cell, like)) for cell in self.cells]

    @grants("sweep")
    def call(self, inputs: Tensor, states: Any, training: bool = False) -> tuple[Tensor, list[Any]]:
        ends = []
        for cell, state in zip(self.cells, states, strict=True):
            inputs, end = _step_of(cell, training)(inputs, _listed(state))
            ends.append(_packed(cell, end))
        return inputs, ends

    def sweep(self, x: Tensor, states: list[Any] | None, how: How) -> recurrence.Result:
        """A cell's whole sequence before the next cell: the same as all cells step by step, in fewer kernels.

        What a cell puts out at a masked step does not matter, for the cell above skips that step, too.
        """
        mask, reverse, zeros, sequences, training = how
        if reverse:
            x, mask = x.flip(1), None if mask is None else mask.flip(1)
        outputs: Any = x
        last, ends = x, []
        for index, cell in enumerate(self.cells):
            top = index == len(self.cells) - 1
            state = None if states is None else _listed(states[index])
            how = mask, False, zeros and top, sequences or not top, training
            outputs, last, end = sweep(cell, outputs, state, how)
            ends.append(_packed(cell, end))
        return outputs, last, ends


def _listed(states: Any) -> list[Any]:
    return list(states) if isinstance(states, (list, tuple)) else [states]


def _sized(batch: int | None, size: Any) -> tuple:
    """The shape of a batch of states or outputs, of one size or of a shape of their own."""
    return (batch, *size) if isinstance(size, tuple) else (batch, size)


def _packed(cell: Any, states: Any) -> Any:
    """A cell's states as they stand in a stack: a tensor where `state_size` is one number, else a list."""
    states = _listed(states)
    return states[0] if isinstance(cell.state_size, int) else states


def _output_size(cell: Any) -> Any:
    size = getattr(cell, "output_size", None)
    return size if size is not None else _listed(cell.state_size)[0]


def _build_cell(cell: Any, input_shape: tuple) -> None:
    """Make the weights of a cell for inputs (batch, ...); one whose `build` leaves some is run without values."""
    if not isinstance(cell, Layer) or cell._ready:
        return
    sizes, dtype = _listed(cell.state_size), cell._compute or torch.float32
    built = type(cell).build is not Layer.build
    if built:
        cell.build(input_shape)
    if all(isinstance(size, int) for size in sizes):
        states = [symbolic.SymbolicTensor((input_shape[0], size), dtype) for size in sizes]
        given = symbolic.SymbolicTensor(input_shape, dtype), states
        if built:
            symbolic.run_inside(cell, given, {})
        else:
            symbolic.run_on_trial_tensors(cell, given, {}, cell)


def _initial_states(cell: Any, x: Tensor) -> list[Any]:
    """The states a cell starts from, for a batch as large as that of x and of its type."""
    make = getattr(cell, "get_initial_state", None)
    if make is None:
        return [x.new_zeros(_sized(x.shape[0], size)) for size in _listed(cell.state_size)]
    return pytree.tree_map(lambda state: state.to(x), _listed(make(batch_size=x.shape[0])))


def _step_of(cell: Any, training: bool) -> Any:
    """One step of any cell as a function (inputs, states) -> (output, list of states)."""
    direct = not callable(cell) or (isinstance(cell, Layer) and not cell._care & care.IN_PLAN)
    call: Any = cell.call if direct else cell
    options = {"training": training} if getattr(cell, "_takes_training", False) else {}

    def step(inputs: Any, states: Any) -> tuple[Any, list[Any]]:
        output, states = call(inputs, states, **options)
        return output, _listed(states)

    return step


def sweep(cell: Any, x: Tensor, states: list[Any] | None, how: How) -> recurrence.Result:
    """Run any cell along axis 1 of x: all outputs (None unless all are wanted), the last output, the last states."""
    if "sweep" in granted(cell):
        return cell.sweep(x, states, how)
    states = _initial_states(cell, x) if states is None else states
    return recurrence.scan(_step_of(cell, how[-1]), x, states, *how[:-1])


# Layers.


def with_states(layer: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """The arguments of a call in which `layer([x, *states])` may stand for `layer(x, initial_state=states)`."""
    states = args[1] if len(args) > 1 else kwargs.get("initial_state")
    for state in () if states is None else pytree.tree_leaves(states):
        if not hasattr(state, "shape"):
            raise ValueError(
                f"{named(layer)}: `initial_state` must be a tensor or a list of them; got {short(states)}."
            )
    first = args[0] if args else None
    if not isinstance(first, (list, tuple)) or not first or not hasattr(first[0], "shape"):
        return args, kwargs
    masks = kwargs.get("mask")
    kwargs = {**kwargs, "mask": masks[0]} if isinstance(masks, (list, tuple)) else kwargs
    if len(first) == 1:
        return (first[0], *args[1:]), kwargs
    return (first[0], *args[1:]), {**kwargs, "initial_state": list(first[1:])}


class RNN(Holder):
    """Runs a cell along time. Input (batch, time, ...), output (batch, units), or (batch, time, units).

    A cell is called as `cell(x_t, states) -> (output, states)` and has a `state_size`; `output_size` and
    `get_initial_state(batch_size)` are optional. A list of cells becomes a `StackedRNNCells`.
    `initial_state`: a tensor or a list of them; `layer([x, *states])` means the same. With `return_state` the last
    states follow the output. A masked step leaves state and output as they were.
    Raises ValueError for `stateful` without a known batch size, and for initial states that do not fit.
    """

    cell: Any = arg(_cell, doc="What takes one step.")
    return_sequences: bool = arg(boolean, default=False, doc="Return the outputs of all steps.")
    return_state: bool = arg(boolean, default=False, doc="Return the last states as well.")
    go_backwards: bool = arg(boolean, default=False, doc="Start at the end; all outputs come in that order.")
    stateful: bool = arg(boolean, default=False, doc="Start each batch from the last states of the one before.")
    unroll: bool = arg(boolean, default=False, doc="Accepted; the loop is chosen by itself.")
    zero_output_for_mask: bool = arg(boolean, default=False, doc="Masked steps give zeros, not the output before them.")

    supports_masking = True
    _creates_mask = False
    _begins = False  # whether a subclass defines `get_initial_state`

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._begins = not getattr(cls.get_initial_state, "__module__", "").startswith("lamina.")

    def check(self) -> None:
        sizes = _listed(self.cell.state_size)
        vars(self).update(state_size=sizes, _nested=not all(isinstance(size, int) for size in sizes), _kept=[])
        if self._sweeps:
            self.input_spec = self._taken()

    @property
    def _sweeps(self) -> bool:
        """Whether the cell can run over the whole sequence; not where its `call` was exchanged."""
        return "sweep" in granted(self.cell)

    def _taken(self, shape: tuple | None = None) -> InputSpec:
        """What a cell of this package takes, after it was built for sequences of `shape`."""
        return InputSpec(ndim=3, axes={} if shape is None else {-1: shape[-1]})

    def build(self, sequences_shape: tuple, initial_state_shape: Any = None) -> None:
        self._check_shape(sequences_shape)
        batch = sequences_shape[0]
        if self.stateful and batch is None:
            raise ValueError(
                f"{named(self)}: `stateful` needs a known batch size; got shape {show_shape(sequences_shape)}. "
                "Give the input a `batch_shape` or `batch_size`."
            )
        _build_cell(self.cell, (batch, *sequences_shape[2:]))
        if self._sweeps:
            self.input_spec = self._taken(sequences_shape)
        if self.stateful:
            sizes = (math.prod(size or 0 for size in shape[1:]) for shape in self.state_shapes(sequences_shape))
            spend((batch, 1 + sum(sizes)), self.dtype_policy.variable, f"{named(self)}: states")
            like = torch.empty(batch, dtype=self.dtype_policy.variable)
            for index, state in enumerate(pytree.tree_leaves(self._start_states(like))):
                self.register_buffer(f"state_{index}", state, persistent=False)
                self._kept.append(f"state_{index}")

    def _check_shape(self, shape: tuple) -> None:
        require(self, shape, self.input_spec or InputSpec(min_ndim=3))
        if self._sweeps and shape[-1] is None:
            raise unsized(self, "features axis (axis 2)", shape)

    def _call_with_care(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        return super()._call_with_care(*with_states(self, args, kwargs))

    @grants(says="time_first")
    def call(
        self, sequences: Tensor, initial_state: Any = None, mask: Tensor | None = None, training: bool = False
    ) -> Any:
        states, kept = None, self._kept_states() if self._kept else ()
        if self._begins and initial_state is None and not kept:
            initial_state = self._beginning(sequences)
        if initial_state is not None or kept:
            states = self.given_states(sequences, initial_state, kept)
        if mask is not None:
            mask = self._checked_steps(sequences, mask)
        how = mask, self.go_backwards, self.zero_output_for_mask, self.return_sequences, training
        cell: Any = self._modules.get("cell")  # None for a cell that is no layer
        if cell is not None and "sweep" in getattr(cell.call, "granted", ()):  # as `granted`, a frame less
            outputs, last, states = cell.sweep(sequences, states, how)
        else:
            outputs, last, states = self._sweep_any(sequences, states, how)
        if kept:
            for old, new in zip(kept, pytree.tree_leaves(states) if self._nested else states, strict=True):
                old.copy_(new.detach())
        output = outputs if self.return_sequences else last
        return (output, *states) if self.return_state else output

    def _sweep_any(self, sequences: Tensor, states: Any, how: How) -> Any:
        """The run of a cell of somebody else's, its results in this layer's type. Masks it keeps are drawn anew."""
        for word in ("reset_dropout_mask", "reset_recurrent_dropout_mask"):
            getattr(self.cell, word, lambda: None)()
        results = sweep(self.cell, sequences, states, how)
        if self._compute is not None:
            return pytree.tree_map(lambda leaf: leaf if leaf is None else leaf.to(self._compute), results)
        return results

    def pairs_with(self, other: RNN) -> bool:
        """Whether this layer forward and `other` backward may be one kernel."""
        return (
            type(self).call is type(other).call is RNN.call
            and not (self._begins or other._begins)
            and self._sweeps
            and other._sweeps
            and not self.stateful
            and type(self.cell) is type(other.cell)
            and isinstance(self.cell, _Cell)
            and self.cell.pairs_with(other.cell)
        )

    def given_states(self, sequences: Tensor, given: Any, kept: Sequence[Tensor] = ()) -> list[Any]:
        """The states to start from, one for each of `state_size`: the given ones, else those of the batch before."""
        if kept and kept[0].shape[0] != sequences.shape[0]:
            raise ValueError(
                f"{named(self)}: it is stateful and was built for a batch size of {kept[0].shape[0]}; "
                f"got {sequences.shape[0]}. Pass batches of one size."
            )
        if given is None:
            states = [*map(torch.clone, kept)]  # what autograd keeps must not change with the next batch
        else:
            states = pytree.tree_leaves(given)
            self.check_states([tuple(state.shape) for state in states], self.state_shapes(sequences.shape))
        if states[0].dtype is not sequences.dtype:
            states = [state.to(sequences) for state in states]
        return pytree.tree_unflatten(states, pytree.tree_structure(self.state_size)) if self._nested else states

    def _kept_states(self) -> list[Tensor]:
        return [*map(self._buffers.__getitem__, self._kept)]  # type: ignore[arg-type]

    def state_shapes(self, sequences_shape: Sequence[int | None]) -> list[tuple]:
        """Of all states, for sequences of this shape."""
        return [_sized(sequences_shape[0], size) for size in pytree.tree_leaves(self.state_size)]

    def check_states(self, shapes: list[tuple], expected: list[tuple], argument: str = "initial_state") -> None:
        """Raises ValueError unless states of these shapes are as expected; unknown sizes are None."""
        if len(shapes) != len(expected):
            raise ValueError(
                f"{named(self)}: expected {len(expected)} states in `{argument}`; got {len(shapes)}. "
                f"Pass a list with one for each of the sizes {pytree.tree_leaves(self.state_size)}."
            )
        for index, (shape, wanted) in enumerate(zip(shapes, expected, strict=True)):
            fits = (None in pair or pair[0] == pair[1] for pair in zip(shape, wanted, strict=False))
            if len(shape) != len(wanted) or not all(fits):
                raise ValueError(
                    f"{named(self)}: in `{argument}`, state {index} must have shape {show_shape(wanted)} "
                    f"{layout(len(wanted))}; got {show_shape(shape)}."
                )

    def _checked_steps(self, sequences: Tensor, mask: Tensor) -> Tensor:
        """The mask as bool. Raises ValueError unless it is (batch, time)."""
        if tuple(mask.shape) != tuple(sequences.shape[:2]):
            raise masking.misfit(self, mask, sequences.shape[:2])
        return mask if mask.dtype is torch.bool else mask.bool()

    def _start_states(self, like: Tensor) -> list[Any]:
        """Initial states for a batch as large as that of `like` and of its type, one for each of `state_size`."""
        return _initial_states(self.cell, like)

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """The states a call starts from where none are given."""
        return self._start_states(torch.empty(batch_size or 0, dtype=self.dtype_policy.compute))

    def _beginning(self, sequences: Tensor) -> Any:
        """What a subclass' `get_initial_state` gives for these sequences."""
        return self.get_initial_state(sequences.shape[0])

    @property
    def states(self) -> list[Any] | None:
        """Of a stateful layer, the states the next batch starts from; None before it is built."""
        if not self._kept:
            return None
        return pytree.tree_unflatten(self._kept_states(), pytree.tree_structure(self.state_size))

    def reset_state(self, states: Any = None) -> None:
        """Let the next batch start from `states`, by default zeros, which does nothing unless the layer keeps states.

        Raises ValueError for states where none are kept, and for those that do not fit.
        """
        kept = self._kept_states()
        if not kept and states is not None:
            why = "call or build it first" if self.stateful else "make it with `stateful=True`"
            raise ValueError(f"{named(self)}: it keeps no states that could be set; {why}.")
        if not kept:
            return
        values = [torch.as_tensor(value) for value in pytree.tree_leaves(kept if states is None else states)]
        expected = [tuple(state.shape) for state in kept]
        self.check_states([tuple(value.shape) for value in values], expected, "states")
        for state, value in zip(kept, values, strict=True):
            state.zero_() if states is None else state.copy_(value)

    reset_states = reset_state

    def compute_output_shape(self, sequences_shape: tuple, initial_state_shape: Any = None) -> Any:
        self._check_shape(sequences_shape)
        states = self.state_shapes(sequences_shape)
        if initial_state_shape is not None:
            given = [initial_state_shape] if symbolic.is_shape(initial_state_shape) else initial_state_shape
            self.check_states(pytree.tree_leaves(given, is_leaf=symbolic.is_shape), states)
        output = self._step_shape(sequences_shape)
        output = (output[0], sequences_shape[1], *output[1:]) if self.return_sequences else output
        nested = pytree.tree_unflatten(states, pytree.tree_structure(self.state_size))
        return (output, *nested) if self.return_state else output

    def _step_shape(self, sequences_shape: tuple) -> tuple:
        """Of one step's output. Raises ValueError where the cell does not tell."""
        size = _output_size(self.cell)
        if not isinstance(size, (int, tuple)):
            raise ValueError(f"{named(self)}: the cell's `output_size` must be an integer; got {size!r}.")
        return _sized(sequences_shape[0], size)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask itself where all steps are returned; states have none."""
        steps = (mask[0] if isinstance(mask, (list, tuple)) else mask) if self.return_sequences else None
        return [steps] + [None] * len(pytree.tree_leaves(self.state_size)) if self.return_state else steps


class _OwnCell(RNN):
    """A layer that makes its cell from its own arguments."""

    cell: Any = arg(_cell, default=None, init=False)
    zero_output_for_mask: bool = arg(boolean, default=False, kw_only=True, doc="Masked steps give zeros.")

    _makes: ClassVar[type[_Cell]]

    @property
    def _cell_name(self) -> str:
        return snake_case(self._makes.__name__)

    def check(self) -> None:
        names = [name for name in self._makes._args if name in self._args and name not in Layer._args]
        self.cell = self._makes(
            **{name: getattr(self, name) for name in names},
            name=self._cell_name,
            trainable=self._trainable,
            dtype=self.dtype_policy,
        )
        vars(self.cell)["_fusable"] = getattr(self, "use_cudnn", "auto") is not False
        super().check()

    def _set_attribute(self, name: str, value: Any) -> None:
        super()._set_attribute(name, value)
        cell = self._modules.get("cell")
        if cell is not None and name in cell._args and name not in Layer._args:
            setattr(cell, name, getattr(self, name))


class SimpleRNN(_OwnCell, Dropouts, Constraints, Activity, Regularizers, Initializers, Tanh, Units):
    """Fully connected recurrence: `h' = activation(x @ kernel + h @ recurrent_kernel + bias)`.

    Input (batch, time, features), output (batch, units), or (batch, time, units) with `return_sequences`.
    """

    seed: Any = arg(seed, default=None, config=False)

    _makes = SimpleRNNCell

    def check(self) -> None:
        self.activity_regularizer = None  # Keras 3 takes it and leaves it out; set on a finished layer, it counts
        super().check()


class LSTM(
    _Fused, _OwnCell, Seed, Dropouts, Constraints, Activity, Regularizers, ForgetBias, Initializers, Gates, Tanh, Units
):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997); its states are h and c.

    Input (batch, time, features), output (batch, units), or (batch, time, units) with `return_sequences`.
    """

    _makes = LSTMCell


class GRU(
    _Fused, _ResetAfter, _OwnCell, Seed, Dropouts, Constraints, Activity, Regularizers, Initializers, Gates, Tanh, Units
):
    """Gated recurrent unit (Cho et al., 2014).

    Input (batch, time, features), output (batch, units), or (batch, time, units) with `return_sequences`.
    """

    _makes = GRUCell
