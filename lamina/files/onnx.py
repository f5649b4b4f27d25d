"""Programs of torch.export as ONNX, by torch's own converter (`pip install lamina[onnx]`)."""

from __future__ import annotations

import functools
import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import _pytree as pytree

from ..core.spec import InputSpec
from . import decompositions, sequences


def check() -> None:
    """Raises ImportError where a package is missing."""
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f'export: format="onnx" needs {" and ".join(missing)}: pip install {" ".join(missing)}.')


def converted(program: Any, signature: Sequence[Any], opset: int | None) -> Any:
    """The program in ONNX; inputs have the signature's names, open axes are "batch" and "dim_<input>_<axis>"."""
    specs = pytree.tree_leaves(list(signature))
    names = [spec.name or f"input_{index}" for index, spec in enumerate(specs)]
    with warnings.catch_warnings(), sequences.whole_sequences(), _quiet():
        warnings.simplefilter("ignore", FutureWarning)  # of torch's exporter, about itself
        program = program.run_decompositions(dict(decompositions.TABLE))
        if kept := sorted({*program.graph_signature.buffers_to_mutate.values()}):
            raise RuntimeError(
                f"export: ONNX keeps nothing from run to run, and the model keeps {', '.join(kept)}. "
                'Use format="torch", or make states inputs and outputs of the model.'
            )
        made: Any = torch.onnx.export(
            program,
            (),
            dynamo=True,
            verbose=False,
            opset_version=opset,
            input_names=names,
            custom_translation_table={
                torch.ops.aten.sort.stable: _sorted,
                torch.ops.aten._upsample_nearest_exact2d.default: _nearest,
                torch.ops.aten.rnn_tanh.input: functools.partial(_rnn, "Tanh"),
                torch.ops.aten.rnn_relu.input: functools.partial(_rnn, "Relu"),
            },
        )
    found = {node.op_type for node in made.model.graph}
    called = {str(node.target) for node in program.graph.nodes}
    for name, kind in sequences.ONNX.items():
        if f"aten.{name}.input" in called and kind not in found:
            raise RuntimeError(f"export: this onnxscript cannot write {kind} layers: pip install -U onnxscript.")
    _name_axes(made.model.graph, specs)
    return made


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, torch's exporter does not list what it would write of packages that are not there."""
    log, none = logging.getLogger("torch.onnx._internal.exporter._registration"), lambda _: False
    log.addFilter(none)
    try:
        yield
    finally:
        log.removeFilter(none)


def _nearest(x: Any, size: Sequence[int], *_: Any) -> Any:
    """`aten._upsample_nearest_exact2d` in ONNX: each pixel that of the place nearest to its middle."""
    from onnxscript import opset18 as op  # pyright: ignore[reportMissingImports]

    sizes = op.Concat(op.Shape(x, start=0, end=2), op.Constant(value_ints=[*size]), axis=0)
    rounds: Any = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"}
    return op.Resize(x, None, None, sizes, mode="nearest", **rounds)


def _sorted(x: Any, **options: Any) -> Any:
    """`aten.sort.stable` of a mask in ONNX, where equal values keep their order."""
    from onnxscript import opset18 as op  # pyright: ignore[reportMissingImports]

    axis = options.get("dim", -1)
    count = op.Gather(op.Shape(x), op.Constant(value_ints=[axis]))
    values, order = op.TopK(op.Cast(x, to=6), count, axis=axis, largest=int(options.get("descending", False)))
    return op.Cast(values, to=int(x.dtype)), order  # in between as int32, whose number is 6


def _rnn(activation: str, x: Any, states: Any, weights: Sequence[Any], bias: bool, *others: Any) -> Any:
    """`aten.rnn_tanh` or `aten.rnn_relu` of one layer in ONNX."""
    from onnxscript import opset18 as op  # pyright: ignore[reportMissingImports]

    *_, both, batch_first = others
    front = op.Constant(value_ints=[0])
    kernels = [op.Concat(*(op.Unsqueeze(each, front) for each in weights[i :: 2 + 2 * bias]), axis=0) for i in (0, 1)]
    biases = [op.Unsqueeze(op.Concat(*weights[i : i + 2], axis=0), front) for i in range(2, len(weights), 4) if bias]
    outputs, end = op.RNN(
        op.Transpose(x, perm=[1, 0, 2]) if batch_first else x,
        *kernels,
        op.Concat(*biases, axis=0) if bias else None,
        None,
        states,
        hidden_size=weights[1].shape[-1],
        direction="bidirectional" if both else "forward",
        activations=[activation] * (1 + both),
    )
    outputs = op.Transpose(outputs, perm=[2, 0, 1, 3] if batch_first else [0, 2, 1, 3])
    return op.Reshape(outputs, op.Constant(value_ints=[0, 0, -1])), end


def _name_axes(graph: Any, specs: Sequence[InputSpec]) -> None:
    """Call open axes by what they are, where torch has numbered its symbols."""
    names: dict[str, str] = {}
    for index, (value, spec) in enumerate(zip(graph.inputs, specs, strict=True)):
        shape: Any = spec.shape
        for axis, size in enumerate(shape):
            if size is None:
                names.setdefault(str(value.shape[axis]), f"dim_{index}_{axis}" if axis else "batch")
    for value in [*graph.inputs, *(value for node in graph for value in node.outputs)]:
        for axis, size in enumerate(value.shape or ()):
            if not isinstance(size, int) and str(size) in names:
                value.shape[axis] = names[str(size)]
