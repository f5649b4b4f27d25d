"""Several devices, one process each: which part of the data and of the weights lies where. Keras' names.

A script says nothing more than in Keras; `torchrun --nproc-per-node N script.py` or `lamina run --nproc N` starts it.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .core import placing, shares
from .core.dtypes import ByPath
from .core.errors import named, show_shape
from .core.scope import asking, scope
from .core.symbolic import SymbolicTensor
from .training.data import rows_of
from .training.distributed import Part, Ranks, Shared, place, together, use

__all__ = [
    "DataParallel", "DeviceMesh", "LayoutMap", "ModelParallel", "TensorLayout", "distribute_tensor", "distribution",
    "fully_shard", "get_device_count", "initialize", "list_devices", "set_distribution",
]  # fmt: skip


# Processes and devices -----------------------------------------------------------------------------------------------


def list_devices(device_type: str | None = None) -> list[str]:
    """The devices of all processes, one each, as "gpu:0" or "cpu:0"; in a single process those of the machine.

    device_type: "cpu" or "gpu"; None: GPUs where there are any. Raises ValueError for another one.
    """
    kind = (device_type or ("gpu" if torch.cuda.is_available() else "cpu")).lower()
    if kind not in ("cpu", "gpu", "cuda"):
        raise ValueError(f'list_devices: `device_type` must be "cpu" or "gpu"; got {device_type!r}.')
    alone = 1 if kind == "cpu" else torch.cuda.device_count()
    count = place()[1]
    return [f"{kind}:{number}" for number in range(count if count > 1 and alone else alone)]


def get_device_count(device_type: str | None = None) -> int:
    """How many devices `list_devices` names."""
    return len(list_devices(device_type))


def initialize(
    job_addresses: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> None:
    """Let this process join the others. Under torchrun there is nothing to say: `fit` joins by itself.

    job_addresses: "host:port" of the first process, or those of all, with commas. What is left out comes from
    `KERAS_DISTRIBUTION_JOB_ADDRESSES`, `_NUM_PROCESSES` and `_PROCESS_ID`, then from torchrun. Raises ValueError where
    something is missing or does not fit.
    """
    said = {"JOB_ADDRESSES": job_addresses, "NUM_PROCESSES": num_processes, "PROCESS_ID": process_id}
    addresses, count, rank = (
        os.environ.get(f"KERAS_DISTRIBUTION_{name}") if value is None else str(value) for name, value in said.items()
    )
    if (addresses, count, rank) == (None, None, None) and place()[1] > 1:
        together()
        return
    hosts = (addresses or "").split(",")
    if addresses and "," in addresses:
        count = count or str(len(hosts))
        if count != str(len(hosts)):
            raise ValueError(
                f"initialize: {len(hosts)} `job_addresses` for `num_processes` {count}; give one for each."
            )
    host, _, port = hosts[0].rpartition(":")
    if not (host and port.isdigit() and count and count.isdigit() and rank and rank.isdigit()):
        raise ValueError(
            'initialize: expected `job_addresses` such as "10.0.0.1:1234", `num_processes` and `process_id`; got '
            f"{addresses!r}, {count!r} and {rank!r}. Or start the script with torchrun, which says all three."
        )
    if int(rank) >= int(count):
        raise ValueError(f"initialize: `process_id` must be below `num_processes` {count}; got {rank}.")
    here = hosts[int(rank)].rpartition(":")[0] if len(hosts) > 1 else ""
    local = sum(one.rpartition(":")[0] == here for one in hosts[: int(rank)])
    os.environ.update(MASTER_ADDR=host, MASTER_PORT=port, RANK=rank, WORLD_SIZE=count, LOCAL_RANK=str(local))
    together()


class DeviceMesh:
    """Devices on a grid whose axes have names: `DeviceMesh((2, 4), ("batch", "model"))`.

    devices: names as of `list_devices`, which is what None stands for, in the order of the grid. Raises ValueError
    where their number is not that of the grid.
    """

    def __init__(self, shape: Sequence[int], axis_names: Sequence[str], devices: Any = None):
        if not len(shape) or not len(axis_names):
            raise ValueError(f"DeviceMesh: shape and axis_names cannot be empty; got {shape!r} and {axis_names!r}.")
        if len(shape) != len(axis_names):
            raise ValueError(
                f"DeviceMesh: shape and axis_names should have same size; got {tuple(shape)} and {list(axis_names)}."
            )
        devices = np.array(list_devices() if devices is None else devices)
        if math.prod(shape) != devices.size:
            raise ValueError(
                f"DeviceMesh: shape does not match the number of devices: {tuple(shape)} has {math.prod(shape)}, and "
                f"there are {devices.size}. `torchrun --nproc-per-node {math.prod(shape)}` starts a process for each."
            )
        self._shape, self._axis_names, self._devices = shape, axis_names, devices.reshape(tuple(shape))
        self._torch: Any = None

    shape = property(lambda self: self._shape)
    axis_names = property(lambda self: self._axis_names)
    devices = property(lambda self: self._devices)

    @property
    def backend_mesh(self) -> Any:
        """torch's DeviceMesh of the processes whose devices these are. Raises ValueError where they are others."""
        if self._torch is None:
            from torch.distributed.device_mesh import DeviceMesh as OfTorch

            kind, ranks = _ranks_of(self._devices)
            together()
            self._torch = OfTorch(kind, ranks, mesh_dim_names=tuple(self._axis_names))
        return self._torch

    def __repr__(self) -> str:
        return f"<{type(self).__name__} shape={self.shape}, axis_names={self.axis_names}>"


def _ranks_of(devices: np.ndarray) -> tuple[str, Tensor]:
    """torch's word for the devices' kind, and the process of each."""
    count = place()[1]
    words = [str(name).lower().partition(":") for name in devices.flat]
    numbers = [int(number) if number.isdigit() else 0 for _, _, number in words]
    if sorted(numbers) != [*range(count)]:
        raise ValueError(
            f"The device mesh has {', '.join(map(str, devices.flat))}, and there are {count} processes, each with the "
            f"device of its number. Start `torchrun --nproc-per-node {len(numbers)} script.py` and name all of them."
        )
    kinds = {{"gpu": "cuda"}.get(kind, kind) for kind, _, _ in words}
    if len(kinds) > 1:
        raise ValueError(f"The devices of a mesh must be of one kind; got {', '.join(sorted(kinds))}.")
    return kinds.pop(), torch.tensor(numbers).reshape(devices.shape)


# Layouts -------------------------------------------------------------------------------------------------------------


class TensorLayout:
    """For each axis of a tensor the axis of a mesh over which it is shared out, or None.

    Raises ValueError for an axis that the mesh has not.
    """

    def __init__(self, axes: Sequence[str | None], device_mesh: DeviceMesh | None = None):
        self._axes, self._device_mesh = tuple(axes), device_mesh
        self._check()

    axes = property(lambda self: self._axes)

    @property
    def device_mesh(self) -> DeviceMesh | None:
        return self._device_mesh

    @device_mesh.setter
    def device_mesh(self, device_mesh: DeviceMesh) -> None:
        if self._device_mesh is not None:
            raise ValueError(f"TensorLayout: cannot override device mesh {self._device_mesh}.")
        self._device_mesh = device_mesh
        self._check()

    @property
    def backend_layout(self) -> tuple[Any, list[Any]]:
        """torch's mesh, and for each of its axes a placement. Raises ValueError without a mesh."""
        from torch.distributed.tensor import Replicate, Shard

        if self._device_mesh is None:
            raise ValueError(f"{self}: a layout needs a device mesh before anything can be laid out.")
        axes = self._axes
        names = self._device_mesh.axis_names
        return self._device_mesh.backend_mesh, [Shard(axes.index(n)) if n in axes else Replicate() for n in names]

    def _check(self) -> None:
        used = [axis for axis in self._axes if axis is not None]
        if len(used) != len({*used}):
            raise ValueError(f"TensorLayout: each axis of the mesh can be used once; got {self._axes}.")
        if self._device_mesh is not None and {*used} - {*self._device_mesh.axis_names}:
            raise ValueError(
                f"TensorLayout: invalid axis names; the mesh has {list(self._device_mesh.axis_names)}, got {used}."
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} axes={self.axes}, device_mesh={self.device_mesh}>"


class LayoutMap(ByPath):
    """Layouts by the path of a weight: `layout_map[".*dense.*kernel"] = (None, "model")`.

    A key is a path, or a regular expression for all of it. Looking up gives None where none fits, and raises ValueError
    where several do.
    """

    def __init__(self, device_mesh: DeviceMesh):
        super().__init__()
        self._device_mesh = device_mesh

    device_mesh = property(lambda self: self._device_mesh)

    __getitem__ = ByPath._found

    def __setitem__(self, key: str, layout: TensorLayout | tuple) -> None:
        layout = TensorLayout(layout) if isinstance(layout, tuple) else layout
        if not isinstance(layout, TensorLayout):
            raise ValueError(f"LayoutMap: {key!r} needs a TensorLayout or a tuple of names; got {layout!r}.")
        if layout.device_mesh is None and self._device_mesh is not None:
            layout.device_mesh = self._device_mesh
        self._put(key, layout)


def distribute_tensor(tensor: Any, layout: TensorLayout) -> Any:
    """A tensor, the same in all processes, laid out over them: a torch DTensor. A symbolic one is given back."""
    from torch.distributed.tensor import DTensor
    from torch.distributed.tensor import distribute_tensor as of_torch

    if isinstance(tensor, SymbolicTensor):
        return tensor
    if len(layout.axes) != tensor.ndim:
        raise ValueError(f"distribute_tensor: {layout} has {len(layout.axes)} axes, the tensor {tensor.ndim}.")
    mesh, placements = layout.backend_layout
    tensor = torch.as_tensor(tensor)
    return tensor.redistribute(mesh, placements) if isinstance(tensor, DTensor) else of_torch(tensor, mesh, placements)


# Distributions -------------------------------------------------------------------------------------------------------


class Distribution:
    """What lies where: base of `DataParallel` and `ModelParallel`."""

    def __init__(self, device_mesh: DeviceMesh, batch_dim_name: str | None = None, auto_shard_dataset: bool = True):
        self._device_mesh, self._batch_dim_name = device_mesh, batch_dim_name
        self.auto_shard_dataset = auto_shard_dataset

    device_mesh = property(lambda self: self._device_mesh)
    batch_dim_name = property(lambda self: self._batch_dim_name)

    @property
    def num_processes(self) -> int:
        return place()[1]

    @property
    def num_model_replicas(self) -> int:
        """How many processes, or groups of them, have a whole model and a share of the batch each."""
        return self._device_mesh.shape[[*self._device_mesh.axis_names].index(self._batch_dim_name)]

    @property
    def data_shard_id(self) -> int:
        """Which share of the batch is this process'."""
        return place()[0] // max(1, self.num_processes // self.num_model_replicas)

    def get_data_layout(self, data_shape: Sequence[int | None]) -> TensorLayout:
        """The layout of data of this shape: shared out over its first axis."""
        return TensorLayout([self._batch_dim_name, *[None] * (len(data_shape) - 1)], self._device_mesh)

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        """The layout of a weight; here whole everywhere."""
        return TensorLayout([None] * len(variable.shape), self._device_mesh)

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        """The layout of a tensor between layers, by path; None says nothing."""
        return None

    def distribute_dataset(self, dataset: Any) -> Any:
        """The dataset itself: `fit`, `evaluate` and `predict` give each process its share of every batch."""
        return dataset

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Inside, this is the distribution that is set."""
        outer = placing.current
        set_distribution(self)
        try:
            yield
        finally:
            set_distribution(outer)

    place: Callable[[Any], Any] | None = None  # what becomes of a weight that a layer makes

    def _ranks(self) -> Ranks:
        """The processes among which a batch is shared out."""
        return _Placed(self._device_mesh.backend_mesh.get_group(self._batch_dim_name), self.auto_shard_dataset)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} device_mesh={self._device_mesh}>"


class DataParallel(Distribution):
    """Every process has the whole model and a share of each batch; gradients are the mean over all rows.

    device_mesh, devices: one of them, or neither for all devices; of a mesh with several axes the first counts.
    auto_shard_dataset: False where each process brings batches of its own.
    """

    def __init__(self, device_mesh: DeviceMesh | None = None, devices: Any = None, auto_shard_dataset: bool = True):
        if device_mesh is None:
            devices = np.array(list_devices() if devices is None else devices)
            device_mesh = DeviceMesh(devices.shape, ["batch"], devices)
        elif not isinstance(device_mesh, DeviceMesh):
            raise ValueError(f"DataParallel: `device_mesh` must be a DeviceMesh; got {device_mesh!r}.")
        elif devices is not None:
            raise ValueError("DataParallel: give `device_mesh` or `devices`, not both.")
        elif device_mesh.devices.ndim != 1:
            warnings.warn(
                f"DataParallel: expected a mesh of one axis; got {device_mesh}. All devices have shares of a batch.",
                stacklevel=2,
            )
        super().__init__(device_mesh, device_mesh.axis_names[0], auto_shard_dataset)

    @property
    def num_model_replicas(self) -> int:
        return self._device_mesh.devices.size

    def _ranks(self) -> Ranks:
        return _Placed(None, self.auto_shard_dataset)


class ModelParallel(Distribution):
    """Weights of layers made from now on are shared out as `layout_map` says by path, others are whole everywhere.

    batch_dim_name: the axis of the mesh over which batches are shared out; None is the first one.
    """

    def __init__(
        self,
        *,
        layout_map: LayoutMap | None = None,
        batch_dim_name: str | None = None,
        auto_shard_dataset: bool = True,
        **kwargs: Any,
    ):
        kwargs.pop("device_mesh", None)
        if kwargs:
            raise TypeError(f"ModelParallel: unexpected argument {next(iter(kwargs))!r}.")
        if not isinstance(layout_map, LayoutMap):
            raise ValueError(f"ModelParallel: `layout_map` must be a LayoutMap; got {layout_map!r}.")
        mesh = layout_map.device_mesh
        if batch_dim_name is not None and batch_dim_name not in mesh.axis_names:
            raise ValueError(
                f"ModelParallel: `batch_dim_name` must be one of {list(mesh.axis_names)}; got {batch_dim_name!r}."
            )
        super().__init__(mesh, batch_dim_name or mesh.axis_names[0], auto_shard_dataset)
        self._layout_map = layout_map

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        return self._layout_map[variable.path] or super().get_variable_layout(variable)

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        return self._layout_map[path]

    def place(self, weight: Any) -> Any:
        """A weight, whole or shared out. Raises ValueError for a layout of another number of axes."""
        layout = self._layout_map[weight.path]
        if layout is None or not any(layout.axes) or self._device_mesh.devices.size == 1:
            return weight
        if len(layout.axes) != weight.ndim:
            raise ValueError(
                f"ModelParallel: weight {weight.path!r} has shape {show_shape(weight.shape)}; its layout "
                f"{layout.axes} has {len(layout.axes)} axes."
            )
        from torch.distributed.tensor import Partial, Replicate

        from .core.sharded import Sharded

        mesh, placements = layout.backend_layout
        summed = tuple(Partial() if name == self._batch_dim_name else Replicate() for name in mesh.mesh_dim_names)
        return Sharded.share_out(weight, mesh, placements, summed)


def fully_shard(model: Any, device_mesh: DeviceMesh | None = None, **options: Any) -> Any:
    """Share a built model's weights, their gradients and the optimizer's state out over processes; returns the model.

    By torch's FSDP2: the weights of each layer are put together for its call and again for its gradients. A single
    process keeps all. device_mesh: over its first axis; None: over all processes. options: those of torch's
    `fully_shard`. Layers of a mixed policy are put together in the type they compute in. Raises ValueError for a model
    that has no weights yet, and one whose weights are shared out already.
    """
    from torch.distributed.tensor import Partial

    from .core.sharded import Sharded

    if not model.built:
        raise ValueError(f"fully_shard: {named(model)} has no weights yet: give its input shape, or call it on data.")
    if any(getattr(weight, "sharded", False) for weight in model.parameters()):
        raise ValueError(f"fully_shard: weights of {named(model)} are shared out already.")
    if place()[1] == 1:
        return model
    mesh = DeviceMesh([get_device_count()], ["batch"]) if device_mesh is None else device_mesh
    of_model = mesh.backend_mesh[mesh.axis_names[0]]
    held = [(inner, name, weight) for inner in model.modules() for name, weight in inner._parameters.items()]
    for _, _, weight in held:
        if weight is not None:
            weight.data = weight.detach().contiguous()  # FSDP takes no others
    for unit in [*_units(model), model]:
        _share_out(unit, {"mesh": of_model, "reshard_after_forward": True, **options})
    for inner, name, weight in held:
        if weight is not None:
            Sharded.of(inner._parameters[name], weight, (Partial(),) * of_model.ndim, hooked=True)
    return model


def _share_out(unit: Any, options: dict[str, Any]) -> None:
    """Let FSDP have a layer, or a model without the layers that it has."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    unit.register_forward_hook(_show)
    kind, policy = type(unit), getattr(unit, "dtype_policy", None)
    if policy is not None and policy.compute is not policy.variable and all(_autocasts(unit)):
        types = MixedPrecisionPolicy(policy.compute, reduce_dtype=policy.variable, cast_forward_inputs=False)
        options = {"mp_policy": types, **options}
    fully_shard(unit, **options)
    for word in ("__name__", "__qualname__", "__module__"):  # to files and messages it is the layer it was
        setattr(type(unit), word, getattr(kind, word))
    type(unit)._home = vars(kind).get("_home")
    unit.set_gradient_divide_factor(1.0)
    unit.set_force_sum_reduction_for_comms(True)
    unit.register_forward_pre_hook(_weigh)
    unit.register_forward_hook(_hide)
    vars(unit)["_shared_out"] = True


def _autocasts(unit: Any) -> Iterator[bool]:
    return (getattr(weight, "autocast", True) for weight in unit.parameters())


def _units(model: Any) -> Iterator[Any]:
    """The layers of a model that are called one by one and have weights."""
    for layer in model.layers:
        if hasattr(layer, "layers") and hasattr(layer, "compile"):
            yield from _units(layer)
        elif next(layer.parameters(), None) is not None:
            yield layer


def _show(layer: nn.Module, args: Any, outputs: Any) -> Any:
    """What FSDP is to see of a call, since it gathers when the first of their gradients comes: the outputs, none of
    them a view that code behind may change in place, and the scores that a loss may take instead."""

    def apart(leaf: Any) -> Any:
        return leaf.clone() if isinstance(leaf, Tensor) and leaf.requires_grad and leaf._is_view() else leaf

    return pytree.tree_map(apart, outputs), [scores for _, scores, _ in asking.get(scope.thread, ())]


def _hide(layer: nn.Module, args: Any, outputs: Any) -> Any:
    return outputs[0]


def _weigh(layer: nn.Module, args: Any) -> None:
    """The gradients of weights that FSDP has just put together count for as much as this process' rows do."""
    for weight in layer.parameters():
        if not getattr(weight, "sharded", False) and not vars(weight).get("_weighed"):
            vars(weight)["_weighed"] = True
            weight.register_hook(shares.weigh)


def distribution() -> Any:
    """The distribution that is set, or None."""
    return placing.current


def set_distribution(value: Distribution | None) -> None:
    """Let models made and trained from now on be distributed so; None ends it. The processes join here.

    Raises ValueError where there is not one process for each device.
    """
    if value is not None and not isinstance(value, Distribution):
        raise ValueError(f"set_distribution: expected a DataParallel, a ModelParallel or None; got {value!r}.")
    if value is not None:
        _ranks_of(value.device_mesh.devices)
    if place()[1] > 1 and (value is not None or torch.distributed.is_initialized()):
        use(Ranks() if value is None else value._ranks())
    placing.current = value


class _Placed(Ranks):
    """Processes along an axis of a mesh. whole_batches: whether each reads all of a batch, or its own rows alone."""

    def __init__(self, group: Any, whole_batches: bool):
        together()
        super().__init__(group)
        self._whole_batches = whole_batches

    def shared(self, source: Any) -> Any:
        return super().shared(source) if self._whole_batches else _Own(source, self)

    def part(self, batch: Any) -> Part:
        if self._whole_batches:
            return super().part(batch)
        batch = tuple(batch)
        rows = rows_of(batch[0])
        return Part.of(batch, rows, int(self.add(torch.tensor(rows, device=self._host))))


class _Own(Shared):
    """A source of batches of which each process has its own."""

    def batches_after(self, count: int) -> Iterator[Part]:
        return map(self._ranks.part, self._source.batches_after(count))
