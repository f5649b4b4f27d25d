"""Weights of which each process holds a part: DTensors of torch that know and do what weights know and do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed import ReduceOp, all_reduce
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

from . import placing, shares
from .scope import scope
from .weight import Known, Weight, _rebuild


class Sharded(Known, DTensor):
    """A weight shared out over processes. Its shape is that of the whole, `to_local()` the part that is here.

    Reading all of it (`numpy`, files, `get_weights`) is something that all processes do together. `summed`: what
    processes have of the gradient of the whole, a placement for each axis of the mesh. `hooked`: torch's FSDP puts it
    together for calls and shares it out again.
    """

    sharded: ClassVar[bool] = True
    summed: tuple = ()
    hooked = False
    _whole: Tensor | None = None  # while it is written to a file

    def __new__(cls, values: Tensor, trainable: bool, name: str, path: str) -> Sharded:
        return cls.of(values, Weight(torch.empty(0), trainable=trainable, name=name, path=path))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    @classmethod
    def of(cls, values: Tensor, like: Any, summed: tuple = (), hooked: bool = False) -> Sharded:
        """These values, a DTensor, as the weight that `like` is."""
        made: Any = values if isinstance(values, nn.Parameter) else nn.Parameter(values.detach(), requires_grad=False)
        made.__class__ = cls  # FSDP goes on with the very tensor that it made
        made.requires_grad_(like.requires_grad)
        facts = {name: value for name, value in vars(like).items() if name != "_is_param"}
        vars(made).update(facts, summed=summed, hooked=hooked)
        placing.used = True
        return made

    @classmethod
    def share_out(cls, weight: Weight, mesh: Any, placements: Sequence[Any], summed: tuple) -> Sharded:
        """A weight of which each process keeps its part, of the values in the mesh's first process."""
        return cls.of(distribute_tensor(weight.detach().contiguous(), mesh, placements), weight, summed)

    def seen(self) -> Tensor:
        """All of it, as a call sees it; gradients flow back to the parts, summed over what is apart in `summed`."""
        everywhere = self.redistribute(placements=[Replicate()] * self.device_mesh.ndim)
        seen = everywhere.to_local(grad_placements=self.summed)
        if seen.requires_grad:
            seen.register_hook(shares.weigh)
        return seen

    @property
    def divides(self) -> bool:
        """Whether it is shared out evenly over other axes than that of the batch."""
        pairs = zip(self.placements, self.device_mesh.shape, strict=True)
        apart = [(each.dim, size) for each, size in pairs if isinstance(each, Shard)]
        evenly = all(self.shape[dim] % size == 0 for dim, size in apart)
        return evenly and any(map(_apart, self.summed, self.placements))

    def product(self, layer: Any, x: Tensor) -> Tensor:
        """What a layer's `call` gives for an input, of which each process computes its part of the product."""
        mesh: Any = self.device_mesh
        (batch,) = [axis for axis, each in enumerate(self.summed) if each.is_partial()]
        names: Any = [name for axis, name in enumerate(mesh.mesh_dim_names) if axis != batch]
        mine = [Replicate() if axis == batch else each for axis, each in enumerate(self.placements)]
        summed = [Partial() if axis == batch else each for axis, each in enumerate(mine)]
        part = self.redistribute(placements=mine).to_local(grad_placements=summed)
        if part.requires_grad:
            part.register_hook(shares.weigh)
        others = mesh[tuple(names)] if names else None
        everywhere = [Replicate()] * len(names)
        of_kernel = [each for axis, each in enumerate(mine) if axis != batch]
        kernel = DTensor.from_local(part, others, of_kernel, shape=self.shape, stride=self.stride())
        register, thread = layer._parameters, scope.thread
        outer = register.standing.get(thread)
        register.standing[thread] = {**(outer or {}), layer._product: kernel, "bias": None}
        try:
            y = layer._run_cast((DTensor.from_local(x, others, everywhere),), {"relu": False})
        finally:
            register.standing[thread] = outer
        y = y.redistribute(placements=everywhere).to_local()
        bias = layer.bias
        return layer.activation(y if bias is None else y + bias.to(y.dtype))

    def whole(self) -> Tensor:
        """All of it, without gradients."""
        if self._whole is not None:
            return self._whole
        with torch.no_grad():
            return self.full_tensor()

    def copy_(self, values: Any, non_blocking: bool = False) -> Any:
        """Write all of it, from values that every process has, or from another such weight."""
        if not isinstance(values, DTensor):
            values = torch.as_tensor(values, dtype=self.dtype, device=self.device)
            values = distribute_tensor(values.contiguous(), self.device_mesh, self.placements, src_data_rank=None)
        return super().copy_(values)

    def assign(self, value: Any) -> Any:
        if hasattr(value, "into") and tuple(value.shape) == tuple(self.shape):
            value = torch.from_numpy(np.asarray(value.read()))
        return super().assign(value)

    def assign_add(self, value: Any) -> Any:
        return self.assign(self.whole() + torch.as_tensor(value, device=self.device, dtype=self.dtype))

    def numpy(self, *, force: bool = True) -> np.ndarray:
        """A NumPy copy of all of it."""
        return Weight(self.whole()).numpy()

    def like(self, data: Tensor) -> Any:
        return Sharded.of(data, self, self.summed, self.hooked)

    def __reduce_ex__(self, protocol: Any) -> Any:
        facts = {name: value for name, value in vars(self).items() if name not in ("summed", "hooked", "_whole")}
        return _rebuild, (Weight, self.whole(), self.requires_grad, facts)

    __repr__ = Known.__repr__


def _apart(summed: Any, placement: Any) -> bool:
    return not summed.is_partial() and not placement.is_replicate()


def part(tensor: Any, like: Any = None) -> Tensor:
    """The part of a tensor that is in this process, where it is laid out as `like`. For writing, too."""
    if like is not None and (tensor.placements != like.placements or tensor.device_mesh != like.device_mesh):
        tensor = tensor.redistribute(like.device_mesh, like.placements)
    with torch.no_grad():
        return tensor.to_local()


def total(values: Tensor, layout: Any) -> Tensor:
    """The sums of what processes found of their parts of tensors of one layout."""
    mesh, placements = layout
    for axis, placement in enumerate(placements):
        if not placement.is_replicate():
            all_reduce(values, group=mesh.get_group(axis))
    return values


def in_all(flag: Tensor) -> Tensor:
    """Whether something holds in all processes."""
    number = flag.to(torch.uint8)
    all_reduce(number, ReduceOp.MIN)
    return number.bool()
