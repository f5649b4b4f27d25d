"""Several processes that train one model together: each has its share of every batch, and all have the same weights.

Who starts them is torchrun or `lamina run --nproc`. A step of theirs is the step of one process with the whole batch:
gradients are the mean over all rows, metrics are counted over all, and what is drawn for the data is drawn alike.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import io
import itertools
import math
import os
import random
import socket
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils import _pytree as pytree
from torch.utils.data.distributed import DistributedSampler

from ..core import shares
from ..core.errors import named
from ..core.random import streams_of
from ..core.work import keeps_states
from ..kernels import normalization
from ..optimizers.base import path_of
from .data import Arrays, Source, rows_of
from .step import OfModel, Passes

dist: Any = torch.distributed  # parts of which type checkers hold for private

_CONNECTED = {"DistributedDataParallel", "FullyShardedDataParallel", "FSDPModule"}
PATIENCE = 60.0  # seconds that a process waits for the others, unless LAMINA_PATIENCE says otherwise
_LOOK = 2.0  # seconds in which those that are left tell so, to find out who is lost
_WRITING = timedelta(hours=1)  # that others wait for a file
_COALESCED = 1 << 26  # bytes that are sent together
_PIECES = 1 << 20, 25 << 20  # bytes of gradients that are sent together, first and later: those of torch's DDP

_together: Ranks | None = None


def place() -> tuple[int, int]:
    """The number of this process and how many there are, as torch knows or torchrun says."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    if not os.environ.get("TORCHELASTIC_RUN_ID"):
        return 0, 1
    words = [os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE")]
    return (int(words[0]), int(words[1])) if all(word.isdigit() for word in words) else (0, 1)


def ranks_of(module: nn.Module) -> Ranks | None:
    """The processes that train this module together, which join at the first call. None: there is one, each is to
    train a model of its own (LAMINA_TOGETHER=0), or the user has connected them: something in it is wrapped by torch's
    DistributedDataParallel or is sharded."""
    if place()[1] < 2 or os.environ.get("LAMINA_TOGETHER") == "0" or any(map(_connects, module.modules())):
        return None
    return together()


def together() -> Ranks:
    """All processes, joined."""
    global _together
    if _together is None or _together.world() is not dist.group.WORLD:
        if not dist.is_initialized():
            _join()
            atexit.register(_leave)
        if _together is None:
            register_optimizer_step_pre_hook(lambda optimizer, *told: _before_step(optimizer))
        _together = Ranks()
        if _together.first:
            print(f"lamina: {_together.count} processes train together, each on its share of a batch", file=sys.stderr)
    return _together


def _join() -> None:
    """Make torch's process group of those that torchrun started."""
    limit = _patience()
    store, rank, count = next(dist.rendezvous("env://", timeout=limit))
    if os.environ.get("LOCAL_WORLD_SIZE") == str(count):  # torchrun may use a store again after a restart
        store = dist.PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT')}", store)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=limit)


def _patience() -> timedelta:
    return timedelta(seconds=float(os.environ.get("LAMINA_PATIENCE", PATIENCE)))


def use(ranks: Ranks) -> None:
    """Train by these from now on."""
    global _together
    ranks.saved = together().saved
    _together = ranks


def _before_step(optimizer: torch.optim.Optimizer) -> None:
    """Gradients for an optimizer of torch's own, in a `train_step` that users wrote."""
    if shares.present is not None:
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        means = shares.present.reduce([weight.grad for weight in weights], weights)
        for weight, mean in zip(weights, means, strict=True):
            weight.grad = mean


def _leave() -> None:
    if dist.is_initialized():
        with suppress(RuntimeError):
            dist.destroy_process_group()


def _connects(module: nn.Module) -> bool:
    return not vars(module).get("_shared_out") and any(cls.__name__ in _CONNECTED for cls in type(module).__mro__)


# Data -----------------------------------------------------------------------------------------------------------------


class Part(tuple):
    """The rows that a process has of a batch (x, y, sample_weight), and how many all have. Without any it is given the
    first row, so that it keeps step with the others; that row counts for nothing."""

    rows: int
    whole: int

    @classmethod
    def of(cls, batch: Iterable[Any], rows: int, whole: int) -> Part:
        part = cls(batch)
        part.rows, part.whole = rows, whole
        return part


class Shared:
    """A source of which each process gets its share of every batch. Arrays are cut before they are gathered; of other
    sources each process reads whole batches, unless a DistributedSampler has cut them."""

    def __init__(self, source: Source, ranks: Ranks):
        self._source, self._ranks = source, ranks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def batches(self) -> Iterator[Part]:
        return self.batches_after(0)

    def batches_after(self, count: int) -> Iterator[Part]:
        source = self._source
        if isinstance(source, Arrays):
            return self._pieces(itertools.islice(source.cuts(), count, None))
        return self._shares(source.batches_after(count))

    def _pieces(self, cuts: Iterable[Any]) -> Iterator[Part]:
        for start, end, take in cuts:
            begin, stop = self._ranks.bounds(end - start)
            yield Part.of(take(start + begin, start + max(stop, begin + 1)), stop - begin, end - start)

    def _shares(self, batches: Iterable[Any]) -> Iterator[Part]:
        ranks = self._ranks
        cut = isinstance(getattr(getattr(self._source, "data", None), "sampler", None), DistributedSampler)
        for batch in batches:
            rows = rows_of(batch[0])
            yield Part.of(batch, rows, rows * ranks.count) if cut else ranks.part(batch)


# Processes ------------------------------------------------------------------------------------------------------------


class Ranks(OfModel):
    """The processes of a group (torch's default one): the number `rank` of this one, how many there are, whether it is
    the `first`, which alone writes and prints. All methods but `part` are for all of them to call together."""

    def __init__(self, group: Any = None):
        # Who holds the default group when Python ends makes gloo abort.
        self.world, self._group = weakref.ref(dist.group.WORLD), group
        self.rank, self.count = dist.get_rank(self._group), dist.get_world_size(self._group)
        self.number, self.first = dist.get_rank(), dist.get_rank() == 0
        self.doing: tuple[str, int, int] | None = None  # phase, epoch and batch
        by_cpu = "gloo" in str(dist.get_backend_config(self._group))
        self._host = torch.device("cpu" if by_cpu else f"cuda:{torch.cuda.current_device()}")
        self._own: Tensor | None = None  # the state of random numbers in this process' steps
        self._pieces: dict[tuple[int, ...], list[_Piece]] = {}
        self._means: dict[int, Tensor | None] = {}  # of this step, by weight, where they were sent early
        self._early: Any = None  # the group that sends during a backward pass, so that what layers add does not wait
        self.saved = 0
        self.store = dist.distributed_c10d._get_default_store()
        self.store.set(f"lamina/process/{self.number}", f"{socket.gethostname()} {os.getpid()}")

    # Shares

    def bounds(self, whole: int) -> tuple[int, int]:
        """Where the rows of this process begin and end in a batch of so many."""
        return self.rank * whole // self.count, (self.rank + 1) * whole // self.count

    def part(self, batch: Iterable[Any]) -> Part:
        """Its share of a whole batch."""
        batch = tuple(batch)
        whole = rows_of(batch[0])
        begin, end = self.bounds(whole)
        rows = slice(begin, max(end, begin + 1))

        def cut(leaf: Any) -> Any:
            return leaf[rows] if getattr(leaf, "shape", ())[:1] == (whole,) else leaf

        return Part.of(pytree.tree_map(cut, batch), end - begin, whole)

    def shared(self, source: Source) -> Any:
        return Shared(source, self)

    # Steps

    def run(self, run: Callable[..., Any], part: Part, model: Any) -> Any:
        """`run` for its part of a batch. What it draws is its own; outside, all processes draw the same."""
        outer = torch.get_rng_state()
        torch.set_rng_state(self._drawn() if self._own is None else self._own)
        share = normalization.part = part.rows / part.whole
        mean, sending = functools.partial(self._mean, share), functools.partial(self._sending, share)
        shares.present = shares.Share(part.rows, part.whole, self.add, mean, sending)
        try:
            with self._uncounted(model) if not part.rows else nullcontext():
                return run(*part)
        finally:
            shares.present, normalization.part = None, 1.0
            self._means.clear()
            self._own = torch.get_rng_state()
            torch.set_rng_state(outer)

    def _drawn(self) -> Tensor:
        """A state of this process' own, told by the common one, by its number and by what it drew before."""
        before = b"" if self._own is None else self._own.numpy().tobytes()
        told = hashlib.sha256(torch.get_rng_state().numpy().tobytes() + before + bytes([self.rank % 256]) * 2)
        seed = int.from_bytes(told.digest()[:7], "big") + self.rank
        if torch.cuda.is_available():
            torch.cuda.manual_seed(seed)
        return torch.Generator().manual_seed(seed).get_state()

    @contextmanager
    def _uncounted(self, model: Any) -> Iterator[None]:
        """Inside, a step leaves metrics and the state of layers as they are, but for statistics of all processes."""
        own = [module for module in model.modules() if not getattr(module, "synchronized", False)]
        state = [buffer for module in own for buffer in module.buffers(recurse=False)]
        before = {id(tensor): tensor.detach().clone() for tensor in (*state, *_variables(model._counting_metrics))}
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor in (*state, *_variables(model._counting_metrics)):
                    tensor.copy_(before.get(id(tensor), torch.zeros_like(tensor)))

    def _mean(self, part: float, grads: Sequence[Tensor | None], weights: Sequence[Tensor]) -> list[Tensor | None]:
        """The mean of all gradients, each process' weighed by its part of the rows. Those of weights that are shared
        out, and those that were sent in the backward pass, have become that already."""
        own = {id(weight): grad for grad, weight in zip(grads, weights, strict=True) if not self._is_mean(grad, weight)}
        pieces = self._pieces_of([weight for weight in weights if id(weight) in own])
        for piece in pieces:
            piece.send([own[id(weight)] for weight in piece.weights], part, self._group)
        for piece in pieces:
            own |= piece.means()
        return [own.get(id(weight), grad) for grad, weight in zip(grads, weights, strict=True)]

    def _is_mean(self, grad: Tensor | None, weight: Tensor) -> bool:
        return _is_sharded(weight) or (id(weight) in self._means and self._means[id(weight)] is grad)

    def _pieces_of(self, weights: Sequence[Tensor]) -> list[_Piece]:
        key = tuple(map(id, weights))  # pieces hold the weights, so that no others get their ids
        if key not in self._pieces:
            if len(self._pieces) > 8:
                self._pieces.clear()
            self._pieces[key] = [*map(_Piece, _cut(weights))]
        return self._pieces[key]

    @contextmanager
    def _sending(self, part: float, weights: Sequence[Tensor]) -> Iterator[None]:
        """Inside, a backward pass sends gradients while those of earlier layers are still to be found; afterwards the
        weights' `grad` is the mean over the processes. Pieces are sent in their order, which is the same in all."""
        if self._early is None:
            members = None if self._group is None else dist.get_process_group_ranks(self._group)
            apart = members is not None  # the other processes make groups of their own
            self._early = dist.new_group(members, timeout=_patience(), use_local_synchronization=apart)
        pieces = self._pieces_of([weight for weight in weights if not _is_sharded(weight)])
        places = {id(weight): place for place, piece in enumerate(pieces) for weight in piece.weights}
        missing = [{*map(id, piece.weights)} for piece in pieces]
        left = iter(pieces)
        sent = 0

        def send() -> None:
            nonlocal sent
            piece = next(left)
            piece.send([weight.grad for weight in piece.weights], part, self._early)
            sent += 1

        def found(weight: Tensor) -> None:
            place = places[id(weight)]
            if place < sent:
                raise RuntimeError(
                    f"The gradient of weight {path_of(weight)!r} came in two parts, and the first has been sent to the "
                    "other processes. If part of the model is computed anew by `torch.utils.checkpoint`, pass it "
                    "`use_reentrant=False`."
                )
            missing[place].discard(id(weight))
            while sent < len(pieces) and not missing[sent]:
                send()

        ours: list[Any] = [weight for piece in pieces for weight in piece.weights]
        hooks = [weight.register_post_accumulate_grad_hook(found) for weight in ours if weight.requires_grad]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
        while sent < len(pieces):
            send()
        for piece in pieces:
            self._means |= piece.means()
        for weight in ours:
            weight.grad = self._means[id(weight)]

    # Sums and agreement

    def add(self, tensor: Tensor) -> Tensor:
        """The sum over the processes, in place."""
        dist.all_reduce(tensor, group=self._group)
        return tensor

    def any(self, flag: bool) -> bool:
        told = torch.tensor(float(flag), device=self._host)
        dist.all_reduce(told)
        return bool(told)

    def weighed(self, values: Sequence[float], part: Part) -> list[float]:
        """The means of numbers, each process' weighed by its rows."""
        told = torch.tensor(values, dtype=torch.float64, device=self._host)
        return self.add(told * (part.rows / part.whole) if part.rows else torch.zeros_like(told)).tolist()

    def wait(self) -> None:
        """Until all are here."""
        self.any(False)

    @contextmanager
    def totals(self, metrics: Iterable[Any]) -> Iterator[None]:
        """Inside, metrics hold what all processes have counted; afterwards what this one has."""
        variables = [variable for variable in _variables(metrics) if variable.aggregation in ("sum", "mean")]
        own = [variable.detach().clone() for variable in variables]
        with torch.no_grad():
            for together in _by_format(variables):
                flat = self.add(torch.cat([variable.detach().reshape(-1) for variable in together]))
                for variable, total in zip(together, flat.split([each.numel() for each in together]), strict=True):
                    total = total / self.count if variable.aggregation == "mean" else total
                    variable.copy_(total.view(variable.shape))
            try:
                yield
            finally:
                for variable, value in zip(variables, own, strict=True):
                    variable.copy_(value)

    # The same everywhere, and what is each process' own

    @property
    def drawn(self) -> Tensor | None:
        """The state of random numbers in the steps of this process."""
        return self._own

    def draw_on(self, model: Any, drawn: Tensor | None) -> None:
        """Draw from there on in steps; None: other numbers than the other processes, in layers, too."""
        self._own = self._drawn() if drawn is None else drawn
        if drawn is None:
            for stream in streams_of(model) if self.rank else ():
                stream.depart(self.rank)

    def told(self, own: Any) -> list[Any]:
        """What each process says, in their order."""
        found = [None] * self.count
        dist.all_gather_object(found, own, group=self._group)
        return found

    def of_first(self, value: Any) -> Any:
        """What the first process has."""
        told = [value]
        dist.broadcast_object_list(told, src=0)
        return told[0]

    def send_model(self, model: Any) -> None:
        """Weights and the optimizer's state become those of the first process."""
        optimizer = model.optimizer
        state = getattr(optimizer, "variables", ()) if getattr(optimizer, "built", False) else ()
        self._send([*model.parameters(), *model.buffers(), *state])

    def begin(self, model: Any) -> None:
        """Weights, the optimizer's state, the first epoch and random numbers become those of the first process. Raises
        ValueError for layers that keep states of single rows."""
        for layer in model.modules():
            if layer is not model and keeps_states(layer):
                raise ValueError(
                    f"{named(layer)}: it is stateful, and keeps the states of a whole batch; each of {self.count} "
                    "processes has a share of it. Train this model in one process."
                )
        self.send_model(model)
        python, numpy = random.getstate(), np.random.get_state()
        told = self.of_first([model._initial_epoch, python, numpy, torch.get_rng_state()])
        vars(model)["_initial_epoch"] = told[0]
        random.setstate(told[1])
        np.random.set_state(told[2])
        torch.set_rng_state(told[3])
        self.draw_on(model, None)

    def level(self, model: Any) -> None:
        """Averages that layers keep of their batches become the mean of all processes'."""
        buffers = [each.detach() for each in model.buffers() if each.is_floating_point()]
        for together in _by_format(buffers):
            own = torch.cat([buffer.reshape(-1) for buffer in together])
            first = own.clone()
            dist.broadcast(first, group=self._group, group_src=0)
            first += self.add(own - first) / self.count  # exact where all are equal
            for buffer, value in zip(together, first.split([each.numel() for each in together]), strict=True):
                buffer.copy_(value.view(buffer.shape))

    def _send(self, tensors: Iterable[Tensor]) -> None:
        data = [tensor.data for tensor in tensors if tensor.numel() and not _is_sharded(tensor)]
        if data:
            dist._broadcast_coalesced(dist.group.WORLD, data, _COALESCED, 0)

    def gathered(self, pieces: Any, parts: Sequence[tuple[int, int]]) -> Any:
        """The predictions of all processes in the order of the data. pieces: this one's; parts: its rows of each batch,
        and those of all. Raises ValueError for outputs that are not one a sample."""
        leaves, spec = pytree.tree_flatten(pieces)
        rows = sum(own for own, _ in parts)
        for leaf in leaves:
            if len(leaf) != rows:
                raise ValueError(
                    f"predict, in {self.count} processes: expected one output for each of {rows} samples; got "
                    f"{len(leaf)}. Predict in one process."
                )
        return pytree.tree_unflatten([self._gather(leaf, [whole for _, whole in parts]) for leaf in leaves], spec)

    def _gather(self, leaf: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
        starts = np.cumsum([0, *sizes])
        found = np.empty((starts[-1], *leaf.shape[1:]), leaf.dtype)
        for rank in range(self.count):
            cuts = [(rank * size // self.count, (rank + 1) * size // self.count) for size in sizes]
            rows = np.concatenate([start + np.arange(*cut) for start, cut in zip(starts, cuts, strict=False)])
            piece = leaf if rank == self.rank else np.empty((len(rows), *leaf.shape[1:]), leaf.dtype)
            if leaf.dtype.hasobject or leaf.dtype.kind in "US":
                told = [piece]
                dist.broadcast_object_list(told, group=self._group, group_src=rank)
                piece = told[0].astype(leaf.dtype)
            elif piece.nbytes:
                data = torch.from_numpy(np.ascontiguousarray(piece).reshape(-1).view(np.uint8)).to(self._host)
                dist.broadcast(data, group=self._group, group_src=rank)
                piece = data.cpu().numpy().view(leaf.dtype).reshape(piece.shape)
            found[rows] = piece
        return found

    # Losses of processes

    def explained(self, error: Exception) -> Exception:
        """An error that says which process is lost, where that is why torch raised this one."""
        if not isinstance(error, dist.DistError) and "gloo" not in str(error).lower():
            return error
        phase, epoch, batch = self.doing or ("the beginning", -1, -1)
        where = phase + (f", epoch {epoch + 1}" if epoch >= 0 else "") + (f", batch {batch + 1}" if batch >= 0 else "")
        lost = self._lost()
        count = dist.get_world_size()
        who = f"process {', '.join(map(str, lost))} of {count}" if lost else f"one of {count} processes"
        return RuntimeError(
            f"Process {self.number} ends, because {who} (counted from 0) is gone or does not answer: in {where}. Its "
            "own error, if it had one, stands where it ran. Do all processes read the same data, as many batches? With "
            "BackupAndRestore and `torchrun --max-restarts` training goes on from the last backup."
        )

    def _lost(self) -> list[int]:
        """The processes that have ended without telling of another, or tell nothing for a while."""
        left = [rank for rank in range(dist.get_world_size()) if rank != self.number]
        end = time.monotonic() + _LOOK
        try:
            self.store.set(f"lamina/left/{self.number}", "")
            while left and time.monotonic() < end:
                left = [rank for rank in left if not self.store.check([f"lamina/left/{rank}"])]
                gone = [rank for rank in left if _ended(self.store.get(f"lamina/process/{rank}").decode())]
                if gone:
                    return gone
                time.sleep(0.05)
        except RuntimeError:  # the store is gone with the process that kept it
            return []
        return left


class Sending(Passes):
    """Passes that send gradients to the other processes while those of earlier layers are still to be found."""

    def both(
        self, x: Any, y: Any, sample_weight: Any, weights: list[Any], scale: Callable[[Tensor], Tensor]
    ) -> tuple[Any, Tensor, list[Tensor | None]]:
        share = shares.present
        with nullcontext() if share is None else share.sending(weights):
            outputs, loss, _ = super().both(x, y, sample_weight, weights, scale)
        return outputs, loss, [weight.grad for weight in weights]

    @staticmethod
    def pays(weights: Sequence[Tensor]) -> bool:
        """Whether there are several pieces: the last one is complete only when the backward pass ends."""
        return len(_cut(weights)) > 1


class _Piece:
    """The gradients of some weights of one type and device in one piece of memory, in the weights' memory order.

    Behind them is one number a weight: how many processes have a gradient for it.
    """

    def __init__(self, weights: Sequence[Tensor]):
        self.weights = weights
        sizes = [weight.numel() for weight in weights]
        self._flat = weights[0].new_zeros(sum(sizes) + len(sizes), requires_grad=False).detach()
        self._views = [
            torch.as_strided(self._flat, weight.shape, weight.stride(), start)
            for weight, start in zip(weights, np.cumsum([0, *sizes]).tolist(), strict=False)
        ]
        self._counts = self._flat[sum(sizes) :]

    @torch.no_grad()
    def send(self, grads: Sequence[Tensor | None], part: float, group: Any) -> None:
        """Begin to add up the gradients of all processes, each weighed by its part of the rows."""
        given = [(view, grad) for view, grad in zip(self._views, grads, strict=True) if grad is not None]
        self._all_given = len(given) == len(grads)
        if not part or not self._all_given:
            self._flat.zero_()
        for view, grad in given if part else ():
            torch.mul(grad, part, out=view)
        self._counts.fill_(1.0)
        if not self._all_given:
            self._counts.copy_(torch.tensor([float(grad is not None) for grad in grads]))
        self._work = dist.all_reduce(self._flat, group=group, async_op=True)

    def means(self) -> dict[int, Tensor | None]:
        """What that has given by weight, once all have sent; None where no process has a gradient."""
        try:
            self._work.wait()
        except RuntimeError as error:  # gloo does not always say who it is
            raise dist.DistBackendError(str(error)) from error
        some = [True] * len(self._views) if self._all_given else (self._counts > 0).tolist()
        pairs = zip(map(id, self.weights), self._views, some, strict=True)
        return {weight: view if there else None for weight, view, there in pairs}


def _cut(weights: Sequence[Tensor]) -> list[list[Tensor]]:
    """Weights of one type and device together, about as many as fill pieces of the sizes of `_PIECES`. The last ones,
    whose gradients come first, are the first."""
    found: list[list[Tensor]] = []
    for alike in _by_format(reversed(weights)):
        size = math.inf
        for weight in alike:
            if size >= _PIECES[len(found) > 1]:
                found.append([])
                size = 0
            found[-1].append(weight)
            size += weight.nbytes
    return found


def _is_sharded(weight: object) -> bool:
    return getattr(weight, "sharded", False)


def _by_format(tensors: Iterable[Tensor]) -> list[list[Any]]:
    found: dict[Any, list[Any]] = {}
    for tensor in tensors:
        found.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    return [*found.values()]


def _variables(metrics: Iterable[Any]) -> list[Any]:
    """What metrics have counted, each variable once."""
    found = [variable for metric in metrics for variable in getattr(metric, "variables", ())]
    return [*{id(variable): variable for variable in found}.values()]


def _ended(process: str) -> bool:
    """Whether a process, told as "host number", is of this machine and has ended."""
    host, number = process.rsplit(" ", 1)
    if host != socket.gethostname() or os.name == "nt":  # Windows takes signal 0 for Ctrl+C
        return False
    with suppress(OSError):
        if Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return Path("/proc/self/stat").exists()  # it is there, but only its parent has still to learn that it ended


# Files ----------------------------------------------------------------------------------------------------------------


def speaks() -> bool:
    """Whether this process writes and prints: the first one, or the only one."""
    return _together is None or _together.first or not dist.is_initialized()


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def spoken() -> AbstractContextManager[Any]:
    """Inside, what other processes than the first print is not shown."""
    return nullcontext() if speaks() else redirect_stdout(_Nowhere())


@contextmanager
def writing(path: Any) -> Iterator[bool]:
    """The value says whether this process is to write a file, or several in a folder, that all of them were told to
    write: the first does, and the others wait for it. Where they were told to write others, such as one each, each
    does."""
    global _writing
    ranks = _together
    if ranks is None or _writing or not dist.is_initialized():
        yield True
        return
    ranks.saved += 1
    place = f"lamina/saved/{ranks.saved}"
    if not ranks.first:
        ranks.store.wait([place], _WRITING)
    mine = ranks.first or ranks.store.get(place).decode() != str(path)
    _writing = True
    try:
        yield mine
    finally:
        _writing = False
        if ranks.first:
            ranks.store.set(place, str(path))


_writing = False
