"""Models as programs that run without their classes: of torch.export, AOTInductor (both `.pt2`) or ONNX."""

from __future__ import annotations

import functools
import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..core import dtypes, symbolic
from ..core.devices import device_of
from ..core.errors import named, short
from ..core.layer import Layer
from ..core.spec import InputSpec
from ..core.symbolic import SymbolicTensor
from ..core.work import training_flags
from . import decompositions, onnx, safe, sequences

_FORMATS = {  # the ends of names, and the option that is not one of torch.export
    "torch": (".pt2", ""),
    "aoti": (".pt2", "inductor_configs"),
    "onnx": (".onnx", "opset_version"),
}
_ELSEWHERE = {
    "tf_saved_model": 'it is TensorFlow\'s. Use format="torch", or format="onnx"',
    "openvino": 'use format="onnx" and give the file to openvino.convert_model',
    "litert": "a model is a torch module: give it to litert_torch.convert",
}
# Stand for unknown sizes while a call is traced; not 0 or 1, which torch takes for fixed.
_BATCH, _SIZE = 2, 128


def export_model(
    model: Any,
    filepath: Any,
    format: str = "torch",
    verbose: bool | None = None,
    input_signature: Any = None,
    **options: Any,
) -> None:
    """Write a model's inference as a program that runs without its classes.

    format: "torch", `torch.export.load(path).module()(x)`; "aoti", compiled to machine code by AOTInductor for the
    device the model is on, `torch._inductor.aoti_load_package(path)(x)`; or "onnx".
    input_signature: a list with the shapes and types of the arguments of a call, as `InputSpec`, `Input` or tensors in
    whatever structure the call takes; by default what the model was made or built with. Sizes that are None there stay
    open. verbose: whether to say what was written. Options: those of `torch.export.export`; for AOTInductor
    `inductor_configs`, for ONNX `opset_version`.
    Raises ValueError for another format, ImportError where ONNX's packages are missing, RuntimeError for a model whose
    `call` torch cannot trace, and where there is no C++ compiler for AOTInductor.
    """
    if not isinstance(format, str) or format not in _FORMATS:
        told = _ELSEWHERE.get(format) if isinstance(format, str) else None
        raise ValueError(
            f"export: format={format!r} is not written here: {told}." if told else
            f"export: `format` must be 'torch', 'aoti' or 'onnx'; got {short(format)}."
        )  # fmt: skip
    path, (suffix, own) = Path(filepath), _FORMATS[format]
    if path.suffix != suffix:
        raise ValueError(f"export: with format={format!r} the name must end in {suffix}; got {str(filepath)!r}.")
    option = options.pop(own, None)
    if format == "onnx":
        onnx.check()
    signature = signature_of(model) if input_signature is None else _as_signature(input_signature)
    program = trace(model, [model], signature, **options)
    with safe.replacing(path) as fresh:
        if format == "torch":
            _write(program, fresh)
        elif format == "aoti":
            _compile(program, fresh, option)
        else:
            onnx.converted(program, signature, option).save(fresh, external_data=False)
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
        signature = signature_of(owner) if input_signature is None else _as_signature(input_signature)
        held = [each for each in _held(fn) if not any(each is other for other in self._tracked)]
        used = [fn] if isinstance(fn, nn.Module) else [*self._tracked, *held]
        self._endpoints[name] = trace(fn, used, signature, **options)
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


def trace(call: Callable, used: Sequence[nn.Module], signature: Sequence[Any], **options: Any) -> Any:
    """The program of a call for arguments of these `InputSpec`s; sizes of None stay open.

    used: the modules whose weights it reads; they infer, unless the call says otherwise. Raises ValueError for options
    that torch.export does not have, RuntimeError where the call cannot be traced.
    """
    known = set(inspect.signature(torch.export.export).parameters) - {"mod", "args", "kwargs"}
    if not known >= options.keys():
        raise ValueError(f"export: unknown options {sorted(options.keys() - known)}; torch.export has {sorted(known)}.")
    device = device_of(used[0]) if used else torch.get_default_device()
    args = pytree.tree_map(lambda spec: _sample(spec, device), tuple(signature))
    holder = _Holder(call, used)
    shapes = _open_shapes(options.pop("dynamic_shapes", None), tuple(signature))
    if holder.takes_any_number and isinstance(shapes, tuple):
        shapes = (shapes,)
    with torch.no_grad(), ExitStack() as stack:
        for module in used:
            stack.enter_context(training_flags(module, module, False, module.train))
        if isinstance(call, Layer) and not call.built:
            call(*args)
            holder = _Holder(call, used)
        stack.enter_context(sequences.whole_sequences())
        try:
            return torch.export.export(holder, args, dynamic_shapes=shapes, **options)
        except Exception as error:
            name = named(call) if isinstance(call, nn.Module) else short(call)
            raise RuntimeError(f"export: {name} cannot be traced: {_told(error)}") from error


class _Holder(nn.Module):
    """A call as a module, with the weights it reads under the names that they have in the modules it uses.

    torch reads and replaces weights by these names, which lead through plain lists of layers, as no attributes do.
    """

    def __init__(self, call: Callable, used: Sequence[nn.Module]):
        super().__init__()
        own = call.forward if isinstance(call, nn.Module) else call

        @functools.wraps(own)
        def forward(*args: Any) -> Any:
            return call(*args)

        vars(self)["forward"] = forward
        if used and call is used[0]:
            _mirror(self, used[0])
        else:
            self._modules.update({f"used_{i}": _mirror(nn.Module(), module) for i, module in enumerate(used)})

    @property
    def takes_any_number(self) -> bool:
        parameters = inspect.signature(self.forward).parameters.values()
        return any(each.kind is each.VAR_POSITIONAL for each in parameters)


def _mirror(made: nn.Module, module: nn.Module) -> nn.Module:
    """Let `made` have the very weights of a module, and such modules for those inside."""
    vars(made).update(
        _parameters=module._parameters,
        _buffers=module._buffers,
        _non_persistent_buffers_set=module._non_persistent_buffers_set,
        _modules={name: _mirror(nn.Module(), each) for name, each in module._modules.items() if each is not None},
    )
    return made


def _held(function: Any) -> list[nn.Module]:
    """The modules that a method belongs to, or that a function's closure and globals name."""
    owner = getattr(function, "__self__", function)
    if isinstance(owner, nn.Module):
        return [owner]
    found = inspect.getclosurevars(function) if inspect.isfunction(function) else None
    values = {**found.globals, **found.nonlocals}.values() if found else ()
    return [value for value in pytree.tree_leaves(list(values)) if isinstance(value, nn.Module)]


def _open_shapes(given: Any, signature: tuple) -> Any:
    """The open axes as torch.export takes them. For a model of one tensor, the given axes of that stand for all."""
    if given is None:
        return pytree.tree_map(_open_axes, signature)
    if len(signature) == 1 and isinstance(signature[0], InputSpec):
        while isinstance(given, (list, tuple)) and len(given) == 1:
            given = given[0]
        if isinstance(given, dict) and all(isinstance(axis, int) for axis in given):
            return ({**_open_axes(signature[0]), **given},)
    return given


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
    if "data-dependent" in str(error):
        return f"it decides by values in a tensor; use torch.where or ops.cond for that. {safe.reason(error)}"
    if not fixed:
        return safe.reason(error)
    axes = ", ".join(f"axis {axis} of `{name}`" for name, axis, _ in dict.fromkeys(fixed))
    return f"what it does depends on the size of {axes}. Give that size as a number in `input_signature`."


# Signatures ------------------------------------------------------------------------------------------------------


def signature_of(model: Any) -> list[Any]:
    """The arguments of a call, by what the model was made of or built with."""
    if not isinstance(model, Layer):
        raise TypeError(f"export: expected a model; got {short(model)}.")
    if not model.built:
        raise ValueError(f"export: {named(model)} is not built: call it on data first, or give an `input_signature`.")
    if getattr(model, "_graph", None) is not None:
        inputs: Any = model._end("input", "input")  # type: ignore[operator]
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
    """`InputSpec`s in the structure of the arguments. Raises ValueError or TypeError for what says none."""
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


def _compile(program: Any, path: Path, configs: Any) -> None:
    """Write the program as machine code. Raises RuntimeError where that does not give what the program does."""
    from torch import _inductor

    called = {str(node.target) for node in program.graph.nodes}
    for name, kind in sequences.ONNX.items():
        if f"aten.{name}.input" in called and kind != "LSTM":
            raise RuntimeError(f'export: format="aoti" has no {kind} layers. Use format="torch" or "onnx".')
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about itself
        with sequences.whole_sequences():
            program = program.run_decompositions(dict(decompositions.TABLE))
        try:
            with path.open("wb") as file:
                _inductor.aoti_compile_and_package(program, package_path=file, inductor_configs=dict(configs or {}))
            with path.open("rb") as file:
                compiled: Any = _inductor.aoti_load_package(file)  # pyright: ignore[reportArgumentType]
            _verify(program, compiled)
        except Exception as error:
            if "InvalidCxxCompiler" in repr(error):
                why = "needs a C++ compiler: install g++, or name one in the environment variable CXX"
            elif isinstance(error, AssertionError):
                why = 'compiles the model wrongly with this torch; use format="torch"'
            else:
                why = f"failed: {safe.reason(error)}"
            raise RuntimeError(f'export: format="aoti" {why}.') from error


def _verify(program: Any, compiled: Callable) -> None:
    """Raises AssertionError where results differ, in the sizes of the trace and with half of the open ones."""
    leaves, structure = pytree.tree_flatten(program.example_inputs)
    inputs = program.graph_signature.user_inputs
    shapes = [node.meta["val"].shape for node in program.graph.nodes if node.name in inputs]
    for parts in (1, 2):
        given = [
            leaf[
                tuple(
                    slice(size if isinstance(size, int) else n // parts)
                    for n, size in zip(leaf.shape, shape, strict=True)
                )
            ]
            for leaf, shape in zip(leaves, shapes, strict=True)
        ]
        args, kwargs = pytree.tree_unflatten(
            [torch.rand_like(x) if x.is_floating_point() else x for x in given], structure
        )
        expected, found = (pytree.tree_leaves(call(*args, **kwargs)) for call in (program.module(), compiled))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4, equal_nan=True)
