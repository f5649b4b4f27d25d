"""Models as programs that run without their classes: of torch.export (`.pt2`), or ONNX."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._decomp import decomposition_table
from torch.utils import _pytree as pytree

from ..core import dtypes, symbolic
from ..core.calling import device_of
from ..core.errors import named, short
from ..core.layer import Layer
from ..core.spec import InputSpec
from ..core.symbolic import SymbolicTensor
from ..core.work import training_flags
from . import safe

_ELSEWHERE = {
    "tf_saved_model": 'it is TensorFlow\'s. Use format="torch", or format="onnx"',
    "openvino": 'use format="onnx" and give the file to openvino.convert_model',
    "litert": "a model is a torch module: give it to litert_torch.convert",
}
_BATCH, _SIZE = (
    2,
    128,
)  # stand for unknown sizes while a call is traced: no sizes of 0 or 1, which torch takes for fixed
# torch's operators that run a whole sequence, and those of ONNX.
_SEQUENCES = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN", "rnn_relu": "RNN"}


def export_model(
    model: Any,
    filepath: Any,
    format: str = "torch",
    verbose: bool | None = None,
    input_signature: Any = None,
    **options: Any,
) -> None:
    """Write a model's inference as a program: `.pt2` (`torch.export.load(path).module()(x)`) or ONNX.

    input_signature: a list with the shapes and types of the arguments of a call, as `InputSpec`, `Input` or tensors in
    whatever structure the call takes; by default what the model was made or built with. Sizes that are None there stay
    open. verbose: whether to say what was written. Options: those of `torch.export.export`; for ONNX `opset_version`.
    Raises ValueError for another format, ImportError where ONNX's packages are missing, RuntimeError for a model whose
    `call` torch cannot trace.
    """
    if format not in ("torch", "onnx"):
        told = _ELSEWHERE.get(format) if isinstance(format, str) else None
        raise ValueError(
            f"export: format={format!r} is not written here: {told}." if told else
            f"export: `format` must be 'torch' or 'onnx'; got {short(format)}."
        )  # fmt: skip
    path, suffix = Path(filepath), ".pt2" if format == "torch" else ".onnx"
    if path.suffix != suffix:
        raise ValueError(f"export: with format={format!r} the name must end in {suffix}; got {str(filepath)!r}.")
    opset = options.pop("opset_version", None) if format == "onnx" else None
    if format == "onnx":
        _check_onnx()
    signature = _signature_of(model) if input_signature is None else _as_signature(input_signature)
    program = trace(model, signature, **options)
    with safe.replacing(path) as fresh:
        if format == "torch":
            _write(program, fresh)
        else:
            _onnx_of(program, signature, opset).save(fresh, external_data=False)
    if verbose is None or verbose:
        print(f"Saved to {filepath}")


class ExportArchive:
    """Several programs of models and functions, each an endpoint with a name, in one folder.

    `track` names layers that functions use, `add_endpoint` traces a function at once, `write_out` writes a folder with
    `<endpoint>.pt2` for `torch.export.load` and `<collection>.pt` for `torch.load`.
    """

    def __init__(self, format: str = "torch"):
        if format != "torch":
            raise ValueError(f"ExportArchive: `format` must be 'torch'; got {short(format)}.")
        self._tracked: list[nn.Module] = []
        self._endpoints: dict[str, Any] = {}
        self._collections: dict[str, list[Tensor]] = {}

    def track(self, resource: Any) -> None:
        """Say that endpoints use a layer or model. Those that a function or method holds are found without it."""
        if not isinstance(resource, nn.Module):
            raise ValueError(f"track: expected a layer or model; got {short(resource)}.")
        if not any(resource is other for other in self._tracked):
            self._tracked.append(resource)

    def add_endpoint(self, name: str, fn: Callable, input_signature: Any = None, **options: Any) -> Callable:
        """Trace `fn`, a function of tensors, for arguments as `input_signature` lists them; gives the traced function.

        Without a signature `fn` must be a layer or its `call`, built. Flags such as `training` are those that `fn`
        gives; else layers infer. Options: those of `torch.export.export`.
        """
        self._check_name("add_endpoint", name)
        if not callable(fn):
            raise ValueError(f"add_endpoint: `fn` must be a function, a layer or its `call`; got {short(fn)}.")
        owner = fn if isinstance(fn, nn.Module) else getattr(fn, "__self__", None)
        if input_signature is None and not isinstance(owner, Layer):
            raise ValueError(f"add_endpoint: give an `input_signature` for {short(fn)}, as a list of InputSpec.")
        signature = _signature_of(owner) if input_signature is None else _as_signature(input_signature)
        held = [each for each in _held(fn) if not any(each is other for other in self._tracked)]
        module = fn if isinstance(fn, nn.Module) else _Endpoint(fn, [*self._tracked, *held])
        self._endpoints[name] = trace(module, signature, **options)
        self._tracked += held
        return self._endpoints[name].module()

    def track_and_add_endpoint(self, name: str, resource: Any, input_signature: Any = None, **options: Any) -> Callable:
        """Track a layer or model and add an endpoint that calls it."""
        self.track(resource)
        return self.add_endpoint(name, resource, input_signature, **options)

    def add_variable_collection(self, name: str, variables: Iterable[Tensor]) -> None:
        """Have weights written beside the endpoints, as a list of tensors."""
        self._check_name("add_variable_collection", name)
        if not isinstance(variables, (list, tuple, set)) or not all(isinstance(each, Tensor) for each in variables):
            raise ValueError(f"add_variable_collection: expected a list of weights; got {short(variables)}.")
        self._collections[name] = list(variables)

    def write_out(self, filepath: Any, options: Any = None, verbose: bool = True) -> None:
        """Write the folder; with one endpoint and no collection, a name that ends in `.pt2` makes that a single file.

        Weights are written as they are now. `options` are TensorFlow's, and refused.
        """
        if options is not None:
            raise ValueError(f"write_out: `options` are TensorFlow's; leave them out. Got {short(options)}.")
        if not self._endpoints:
            raise ValueError("write_out: there are no endpoints; call `add_endpoint` first.")
        path = Path(filepath)
        single = path.suffix == ".pt2"
        if single and len(self._endpoints) + len(self._collections) > 1:
            raise ValueError(f"write_out: a .pt2 file holds one endpoint; give a folder's name; got {str(filepath)!r}.")
        with ExitStack() as stack:
            for name, program in self._endpoints.items():
                _write(program, stack.enter_context(safe.replacing(path if single else path / f"{name}.pt2")))
            for name, weights in self._collections.items():
                fresh = stack.enter_context(safe.replacing(path / f"{name}.pt"))
                torch.save([weight.detach().cpu().clone() for weight in weights], fresh)
        if verbose:
            print(f"Saved {', '.join([*self._endpoints, *self._collections])} to {filepath}")

    @property
    def variables(self) -> list[Tensor]:
        """The weights of all that is tracked."""
        return self._weights("weights")

    @property
    def trainable_variables(self) -> list[Tensor]:
        return self._weights("trainable_weights")

    @property
    def non_trainable_variables(self) -> list[Tensor]:
        return self._weights("non_trainable_weights")

    def _weights(self, which: str) -> list[Tensor]:
        found = [weight for module in self._tracked for weight in getattr(module, which, ())]
        return list({id(weight): weight for weight in found}.values())

    def _check_name(self, what: str, name: Any) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][\w-]{0,100}", name, re.ASCII):
            raise ValueError(f"{what}: `name` must be a word, as it names a file; got {short(name)}.")
        if name in self._endpoints or name in self._collections:
            raise ValueError(f"{what}: {name!r} is there already; take another name.")


# Tracing ---------------------------------------------------------------------------------------------------------


def trace(module: nn.Module, signature: Sequence[Any], **options: Any) -> Any:
    """The program of a module's inference for arguments of these `InputSpec`s; sizes of None stay open.

    Raises ValueError for options that torch.export does not have, RuntimeError where the call cannot be traced.
    """
    known = set(inspect.signature(torch.export.export).parameters) - {"mod", "args", "kwargs"}
    if not known >= options.keys():
        raise ValueError(f"export: unknown options {sorted(options.keys() - known)}; torch.export has {sorted(known)}.")
    device = device_of(module)
    args = pytree.tree_map(lambda spec: _sample(spec, device), tuple(signature))
    shapes = options.pop("dynamic_shapes", None)
    if shapes is None:
        shapes = pytree.tree_map(_open_axes, tuple(signature))
        shapes = (shapes,) if _takes_any_number(module) else shapes
    with torch.no_grad(), training_flags(module, module, False, module.train):
        if isinstance(module, Layer) and not module.built:
            module(*args)
        with _whole_sequences(), _traced(module):
            return torch.export.export(module, args, dynamic_shapes=shapes, **options)


@contextmanager
def _traced(module: nn.Module) -> Iterator[None]:
    """What torch raises inside is one RuntimeError that names the module."""
    try:
        yield
    except Exception as error:
        raise RuntimeError(f"export: {named(module)} cannot be traced: {_told(error)}") from error


class _Endpoint(nn.Module):
    """A function as a module that holds the layers it uses."""

    def __init__(self, function: Callable, used: Iterable[nn.Module]):
        super().__init__()
        self._function = function
        for index, module in enumerate(used):
            self.add_module(f"used_{index}", module)

    def forward(self, *args: Any) -> Any:
        return self._function(*args)


def _held(function: Any) -> list[nn.Module]:
    """The modules that a method belongs to, or that a function's closure and globals name."""
    owner = getattr(function, "__self__", function)
    if isinstance(owner, nn.Module):
        return [owner]
    found = inspect.getclosurevars(function) if inspect.isfunction(function) else None
    values = {**found.globals, **found.nonlocals}.values() if found else ()
    return [value for value in pytree.tree_leaves(list(values)) if isinstance(value, nn.Module)]


def _takes_any_number(module: nn.Module) -> bool:
    parameters = inspect.signature(module.forward).parameters.values()
    return any(each.kind is each.VAR_POSITIONAL for each in parameters)


def _open_axes(spec: InputSpec) -> dict[int, Any]:
    shape: Any = spec.shape
    return {axis: torch.export.Dim.DYNAMIC for axis, size in enumerate(shape) if size is None}


def _sample(spec: InputSpec, device: torch.device) -> Tensor:
    shape: Any = spec.shape
    sizes = [(_SIZE if axis else _BATCH) if size is None else size for axis, size in enumerate(shape)]
    return torch.zeros(sizes, dtype=dtypes.torch_dtype(spec.dtype), device=device)


def _told(error: Exception) -> str:
    """What went wrong, with the repair where the computation fixes a size that was to stay open."""
    fixed = re.findall(r"You marked L\['(\w+)'\]\S*size\(\)\[(\d+)\]\S* as dynamic.*constant \((\d+)\)", str(error))
    if not fixed:
        return safe.reason(error)
    axes = ", ".join(f"axis {axis} of `{name}`" for name, axis, _ in dict.fromkeys(fixed))
    return f"what it does depends on the size of {axes}. Give that size as a number in `input_signature`."


@contextmanager
def _whole_sequences() -> Iterator[None]:
    """Inside, torch's recurrent operators stay one each, for sequences of any length.

    torch itself would find the shapes of what they give by running a sequence step by step, which fixes its length.
    """
    operators = [getattr(torch.ops.aten, name).input for name in _SEQUENCES]
    before = [(operator, operator.py_kernels.copy(), decomposition_table[operator]) for operator in operators]

    def put(operator: Any, kernels: Mapping[Any, Any], decomposition: Any) -> None:
        operator.py_kernels.update(kernels)
        operator._dispatch_cache.clear()
        decomposition_table[operator] = decomposition

    for operator, kernels, _ in before:
        put(operator, dict.fromkeys(kernels, _shapes_of_sequences), _shapes_of_sequences)
    try:
        yield
    finally:
        for each in before:
            put(*each)


def _shapes_of_sequences(
    x: Tensor,
    states: Any,
    weights: Any,
    bias: bool,
    layers: int,
    drop: float,
    train: bool,
    both: bool,
    batch_first: bool,
) -> tuple[Tensor, ...]:
    ends = (states,) if isinstance(states, Tensor) else tuple(states)
    outer = x.transpose(0, 1) if batch_first else x
    outputs = x.new_empty(*outer.shape[:2], ends[0].shape[-1] * (1 + both))
    return outputs.transpose(0, 1) if batch_first else outputs, *(torch.empty_like(end) for end in ends)


# Signatures ------------------------------------------------------------------------------------------------------


def _signature_of(model: Any) -> list[Any]:
    """The arguments of a call, by what the model was made of or built with."""
    if not isinstance(model, Layer):
        raise TypeError(f"export: expected a model; got {short(model)}.")
    if not model.built:
        raise ValueError(f"export: {named(model)} is not built: call it on data first, or give an `input_signature`.")
    if getattr(model, "_graph", None) is not None:
        inputs: Any = model.input  # type: ignore[attr-defined]
        inputs = inputs[0] if isinstance(inputs, (list, tuple)) and len(inputs) == 1 else inputs
        return _as_signature([inputs])
    if model._build_shapes is None:
        raise ValueError(f"export: {named(model)} does not know the shape of its inputs; give an `input_signature`.")
    args, kwargs = model._build_shapes
    floats = dtypes.dtype_name(model._floats or torch.float32)

    def spec(shape: tuple) -> InputSpec:
        return InputSpec(shape=(None, *shape[1:]), dtype=floats)

    return [symbolic.map_shapes(spec, shape) for shape in (*args, *kwargs.values()) if shape is not None]


def _as_signature(given: Any) -> list[Any]:
    """`InputSpec`s in the structure of the arguments. Raises ValueError or TypeError for what says no shape and type."""
    several = list(given) if isinstance(given, (list, tuple)) else [given]
    if not several:
        raise ValueError("export: `input_signature` must list at least one argument.")
    return pytree.tree_map(_as_spec, several)


def _as_spec(given: Any) -> InputSpec:
    if isinstance(given, InputSpec):
        if given.shape is None or given.dtype is None:
            raise ValueError("export: an InputSpec in `input_signature` must have a shape and a dtype.")
        return given
    if isinstance(given, SymbolicTensor):
        if given.torch_dtype == dtypes.TEXT:
            raise ValueError("export: texts are no tensors; export the part of the model behind them.")
        return InputSpec(shape=given.shape, dtype=given.dtype, name=given.name)
    if isinstance(given, (Tensor, np.ndarray)):
        return InputSpec(shape=(None, *given.shape[1:])[: given.ndim], dtype=given.dtype)
    raise TypeError(f"export: `input_signature` takes InputSpec, Input and tensors; got {short(given)}.")


# Files -----------------------------------------------------------------------------------------------------------


def _write(program: Any, path: Path) -> None:
    with path.open("wb") as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No complete tensor", UserWarning)  # kernels in the order of their memory
        torch.export.save(program, file)


def _check_onnx() -> None:
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f'export: format="onnx" needs {" and ".join(missing)}: pip install {" ".join(missing)}.')


def _onnx_of(program: Any, signature: Sequence[Any], opset: int | None) -> Any:
    """The program in ONNX; inputs have the signature's names, open axes are "batch" and "dim_<input>_<axis>"."""
    specs = pytree.tree_leaves(list(signature))
    names = [spec.name or f"input_{index}" for index, spec in enumerate(specs)]
    with warnings.catch_warnings(), _whole_sequences():
        warnings.simplefilter("ignore", FutureWarning)  # of torch's exporter, about itself
        made: Any = torch.onnx.export(
            program,
            (),
            dynamo=True,
            verbose=False,
            opset_version=opset,
            input_names=names,
            custom_translation_table={
                torch.ops.aten.sort.stable: _sorted,
                torch.ops.aten.rnn_tanh.input: functools.partial(_rnn, "Tanh"),
                torch.ops.aten.rnn_relu.input: functools.partial(_rnn, "Relu"),
            },
        )
    found = {node.op_type for node in made.model.graph}
    called = {str(node.target) for node in program.graph.nodes}
    for name, kind in _SEQUENCES.items():
        if f"aten.{name}.input" in called and kind not in found:
            raise RuntimeError(f"export: this onnxscript cannot write {kind} layers: pip install -U onnxscript.")
    _name_axes(made.model.graph, specs)
    return made


def _sorted(x: Any, stable: bool | None = None, dim: int = -1, descending: bool = False) -> Any:
    """`aten.sort.stable` of a mask in ONNX, where equal values keep their order."""
    from onnxscript import opset18 as op

    count = op.Gather(op.Shape(x), op.Constant(value_ints=[dim]))
    values, order = op.TopK(op.Cast(x, to=6), count, axis=dim, largest=int(descending))  # 6: int32
    return op.Cast(values, to=int(x.dtype)), order


def _rnn(
    activation: str,
    x: Any,
    states: Any,
    weights: Sequence[Any],
    bias: bool,
    layers: int,
    drop: float,
    train: bool,
    both: bool,
    batch_first: bool,
) -> Any:
    """`aten.rnn_tanh` or `aten.rnn_relu` of one layer in ONNX."""
    from onnxscript import opset18 as op

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
