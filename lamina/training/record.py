"""One pass forward and back, written down: the calls of torch in it, as one Python function that makes them again.

What is written down is what reaches torch's kernels. The function makes the same calls on the same kinds of tensors, in
the same order: its results are the same to the last bit, without autograd's graph and engine around every call.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

# Code whose doings are all in the calls that it makes of torch. That of users is not among it.
_FINE = {"lamina", "torch", "abc", "collections", "contextlib", "enum", "functools", "importlib", "inspect", "logging"}
_FINE |= {"typing", "weakref"}
_NOT_FINE = ("torch.random", "torch.utils.checkpoint", "torch._dynamo", "torch._inductor", "torch.distributed")
# Functions by which values leave or enter torch unseen, or random numbers start again.
_UNSEEN = {"numpy", "tolist", "from_numpy", "frombuffer", "from_dlpack", "__dlpack__", "get_state", "set_state"}
_UNSEEN |= {"manual_seed", "random", "getrandbits", "time", "perf_counter", "monotonic"}

_MADE_BY_SHAPE = {"ones_like", "zeros_like", "full_like", "new_ones", "new_zeros", "new_full", "ones", "zeros", "full"}
_MADE_BY_SHAPE |= {"scalar_tensor"}
_BY_VALUE = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
_MASKS = (torch.bool, torch.uint8)
_SMALL = 1 << 16  # bytes up to which a constant is kept instead of being made in every step


class Name(str):
    """A tensor's name in the function."""


class Kind:
    """What is to be known of one overload of a function of torch."""

    def __init__(self, what: OpOverload):
        schema, tags = what._schema, {*what.tags}
        self.what, self.arguments = what, schema.arguments
        space, _, self.name = schema.name.partition("::")
        self.places = [one.alias_info is not None and one.alias_info.is_write for one in self.arguments]
        self.by_place = {one.name: place for place, one in enumerate(self.arguments)}
        self.reads = not tags.isdisjoint(_BY_VALUE) or self.name == "resize_"
        self.turns = torch.Tag.inplace_view in tags
        silent = "batch_norm" in self.name and "backward" not in self.name  # it moves statistics
        self.stays = schema.is_mutable or silent or torch.Tag.nondeterministic_seeded in tags
        homes: tuple = (torch._C._VariableFunctions, torch._C._nn, torch._C.TensorBase)  # type: ignore[attr-defined]
        found = [getattr(home, self.name, None) for home in homes] if space == "aten" else []
        self.candidates = [one for one in found if one is not None]
        self.fastest: dict[tuple, tuple[Callable, tuple]] = {}

    @classmethod
    def of(cls, what: OpOverload) -> Kind:
        if what not in _kinds:
            _kinds[what] = cls(what)
        return _kinds[what]

    def reads_values(self, args: tuple) -> bool:
        """Whether values decide what a call gives, and not shapes alone."""
        if self.what is torch.ops.aten.index.Tensor:
            return any(one is not None and one.dtype in _MASKS for one in args[1])
        return self.reads

    def written(self, args: tuple, kwargs: dict[str, Any]) -> Iterator[Tensor]:
        """What a call writes to among its arguments."""
        for place, value in [*enumerate(args), *((self.by_place[name], value) for name, value in kwargs.items())]:
            if self.places[place]:
                yield from _found(value, Tensor)

    def run(self, args: tuple, kwargs: dict[str, Any]) -> tuple[Callable, tuple, Any]:
        """The fastest function that does nothing but this call, what it takes after these arguments, what it gave.

        torch's own functions of that name take less time than what stands for one overload of it. Which of them makes
        just this call is found by trying.
        """
        key = (*map(_type, args), *kwargs)
        if key in self.fastest:
            function, more = self.fastest[key]
            return function, more, function(*args, *more, **kwargs)
        left = [one for one in self.arguments[len(args) :] if not one.kwarg_only and one.name not in kwargs]
        for candidate in self.candidates:
            for more in [(), tuple(one.default_value for one in left)][: 1 + bool(left)]:
                only = _Only(self.what, args, kwargs)
                try:
                    with only:
                        result = candidate(*args, *more, **kwargs)
                except Exception as error:
                    if only.passed and (any(self.places) or not isinstance(error, _Another)):
                        raise
                    continue
                self.fastest[key] = candidate, more
                return candidate, more, result
        self.fastest[key] = self.what._op, ()
        return self.what._op, (), self.what(*args, **kwargs)


_kinds: dict[OpOverload, Kind] = {}


class _Another(TypeError):
    """Not the one call that may pass. Before torch 2.9 `Tensor.detach` calls for itself twice."""


class _Only(TorchDispatchMode):
    """Lets one call of torch pass: this one."""

    def __init__(self, *wanted: Any):
        super().__init__()
        self._wanted, self.passed = wanted, False

    def _called(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.passed or not _equal((func, args, kwargs or {}), self._wanted):
            raise _Another
        self.passed = True
        return func(*args, **(kwargs or {}))


@dataclass
class Call:
    """One call: the function, its arguments with names for tensors, and the names of its results."""

    kind: Kind
    function: Callable
    args: tuple
    kwargs: dict[str, Any]
    results: Any = None
    constant: list[Tensor] | None = None  # the results, where they are the same in every step or look at what is kept

    @property
    def inputs(self) -> set[Name]:
        return {*_found([self.args, self.kwargs], Name)}

    def matches(self, other: Call) -> bool:
        mine, theirs = ((one.kind, one.args, one.kwargs, one.results) for one in (self, other))
        return mine == theirs


class Recording(TorchDispatchMode):
    """Inside, all calls of torch are written down. `problem` says why what was written cannot be used, if so.

    given: the tensors that are others in each step. `kept` are those from outside which were met beside them. Tensors
    are told apart by their storages, which are watched but not held, so that memory is freed as ever.
    """

    shows_values = True  # to kernels that take another way by them, as without it; that is a problem then

    def __init__(self, given: Sequence[Tensor]):
        super().__init__()
        self.problem: str | None = None
        self.calls: list[Call] = []
        self.kept: dict[Name, Tensor] = {}
        self.written: set[int] = set()  # storages
        self.storage_of: dict[Name, int] = {}
        self._constants: set[Name] = set()
        self._names: dict[int, dict[tuple, Name]] = {}  # by storage and place in it
        self._outside: set[int] = set()
        self._watched: list[StorageWeakRef] = []
        self.given = [self._named(tensor, f"x{index}") for index, tensor in enumerate(given)]
        self._given = {self.storage_of[name] for name in self.given}
        if len(self._given) < len(self.given):
            self.problem = "parts of the batch share memory"

    def _called(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, kind = kwargs or {}, Kind.of(func)
        if kind.name == "set_":  # another way to see memory: it has a name when it is met
            return func(*args, **kwargs)
        if self.problem is None and kind.reads_values(args):
            self.problem = f"{func} depends on values"
        if self.problem is not None:
            return func(*args, **kwargs)
        names = pytree.tree_map_only(Tensor, self._name, (args, kwargs))
        if kind.turns:
            result = func(*args, **kwargs)
            self._note_view(kind, names, result)
            return result
        function, more, result = kind.run(args, kwargs)
        self._note(Call(kind, function, (*names[0], *more), names[1]), kind.written(args, kwargs), result)
        return result

    def names(self, results: Any) -> Any:
        """The names of results, in lists as they are."""
        return [*map(self.names, results)] if type(results) is list else self._name(results)

    def _name(self, tensor: Any) -> Any:
        """The name of a tensor that was met or made inside; others are kept from now on. None for None."""
        if tensor is None:
            return None
        if not _is_plain(tensor):
            self.problem = self.problem or f"it meets a {type(tensor).__name__}"
            return None
        storage = self._storage(tensor)
        name = self._names.get(storage, {}).get(_place(tensor))
        if name is None:
            if storage in self._names and storage not in self._outside:
                self.problem = self.problem or "a tensor is seen in a way that was not met before"
            name = self._named(tensor, f"k{len(self.kept)}")
            self.kept[name] = tensor
            self._outside.add(storage)
        return name

    def _storage(self, tensor: Tensor) -> int:
        watch = StorageWeakRef(tensor.untyped_storage())
        if watch.cdata not in self._names:
            self._watched.append(watch)  # while it is watched no other storage gets its number
        return watch.cdata

    def _named(self, tensor: Tensor, text: str) -> Name:
        name, storage = Name(text), self._storage(tensor)
        self._names.setdefault(storage, {})[_place(tensor)] = name
        self.storage_of[name] = storage
        return name

    def _note_view(self, kind: Kind, names: tuple, result: Any) -> None:
        """Note what turns a tensor in place, such as `transpose_`, as a view by itself: names stand for one view."""
        packet = getattr(torch.ops.aten, kind.name[:-1])
        overload = {"transpose_": "int"}.get(kind.name, kind.what._overloadname)
        if overload not in packet.overloads():
            self.problem = self.problem or f"{kind.what} turns a tensor"
            return
        view = Kind.of(getattr(packet, overload))
        self._note(Call(view, view.what._op, *names), (), result)

    def _note(self, call: Call, written: Iterable[Tensor], result: Any) -> None:
        made: list[tuple[Name, Tensor]] = []
        call.results = self._made(result, made)
        storages = {*map(self._storage, written)}
        if storages:
            self.written |= storages
            self._constants = {name for name in self._constants if self.storage_of[name] not in storages}
        fresh = [name for name, _ in made]
        if not fresh and not call.kind.stays:
            return  # a view that is there already
        at_given = any(self.storage_of[name] in self._given for name in call.inputs)
        if not storages.isdisjoint(self._given) or (at_given and "as_strided" in call.kind.name):
            self.problem = self.problem or "the batch is written to, or seen by its place in memory"
        if fresh and not call.kind.stays:
            constant = self._is_constant(call, made)
            if constant or self.outside(fresh):
                call.constant = [tensor for _, tensor in made]
            if constant:
                self._constants.update(fresh)
        self.calls.append(call)

    def _made(self, result: Any, made: list[tuple[Name, Tensor]]) -> Any:
        """Names for results; those that are new are added to `made`."""
        if isinstance(result, (list, tuple)):
            return [self._made(item, made) for item in result]
        if result is None or isinstance(result, torch.dtype):  # that of a result, told by those of the arguments
            return None
        if not _is_plain(result):
            self.problem = self.problem or f"a result is a {type(result).__name__}"
            return None
        name = self._names.get(self._storage(result), {}).get(_place(result))
        if name is None:
            name = self._named(result, f"v{len(self.storage_of)}")
            made.append((name, result))
        return name

    def _is_constant(self, call: Call, made: list[tuple[Name, Tensor]]) -> bool:
        """Whether it gives the same in every step, and little."""
        inputs, name = call.inputs, call.kind.name
        if name not in _MADE_BY_SHAPE and ("empty" in name or not inputs or not inputs <= self._constants):
            return False
        own = {self.storage_of[name] for name, _ in made}.isdisjoint(map(self.storage_of.get, inputs))
        return own and sum(tensor.nbytes for _, tensor in made) <= _SMALL

    def outside(self, names: Sequence[Name]) -> bool:
        """Whether all of these look at what is kept."""
        return all(self.storage_of[name] in self._outside for name in names)

    def keeps_to_itself(self, results: Any) -> bool:
        """Whether it writes to nothing from outside, and none of the results looks at such memory."""
        storages = self.written | {self.storage_of[name] for name in _found(results, Name)}
        return storages.isdisjoint(self._outside | self._given)

    def matches(self, other: Recording) -> bool:
        """Whether both wrote the same, and met the same tensors."""
        return (
            len(self.calls) == len(other.calls)
            and all(one.matches(two) for one, two in zip(self.calls, other.calls, strict=True))
            and self.kept.keys() == other.kept.keys()
            and all(_same(tensor, other.kept[name]) for name, tensor in self.kept.items())
        )


for _mode in (Recording, _Only):  # only now: torch wraps a method that the class begins with, and loads its compiler
    _mode.__torch_dispatch__ = _mode._called  # type: ignore[assignment,method-assign]


def _is_plain(tensor: object) -> bool:
    return isinstance(tensor, Tensor) and tensor.layout is torch.strided and (tensor.is_cpu or tensor.is_cuda)


def _place(tensor: Tensor) -> tuple:
    flags = tensor.is_conj(), tensor.is_neg()
    return tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype, flags


def _same(one: Tensor, two: Tensor) -> bool:
    if one.ndim == two.ndim == 0 and one.dtype is two.dtype:  # torch makes a tensor of a number, anew each time
        return one.data_ptr() == two.data_ptr() or one.item() == two.item()
    return one.data_ptr() == two.data_ptr() and _place(one) == _place(two)


def _found(value: Any, kind: type) -> list[Any]:
    """The tensors, or names, in a value."""
    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, kind)]


def _type(value: Any) -> Any:
    return tuple(map(_type, value)) if type(value) in (list, tuple) else type(value)


def _equal(one: Any, two: Any) -> bool:
    if isinstance(one, Tensor) or isinstance(two, Tensor):
        return one is two
    if isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)):
        return len(one) == len(two) and all(map(_equal, one, two))
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_equal(one[key], two[key]) for key in one)
    return type(one) is type(two) and one == two


# Whose code runs ------------------------------------------------------------------------------------------------------


class Watch:
    """Sees whether code runs inside of which more may matter than the calls that it makes of torch."""

    problem: str | None = None
    _fine: ClassVar[set[CodeType]] = set()

    @contextmanager
    def open(self) -> Iterator[Watch]:
        if sys.getprofile() is not None:
            self.problem = "a profiler runs"
            yield self
            return
        collects = gc.isenabled()
        gc.disable()  # it would run what other objects leave to be done at their end
        sys.setprofile(self._see)
        try:
            yield self
        finally:
            sys.setprofile(None)
            if collects:
                gc.enable()

    def _see(self, frame: FrameType, event: str, what: Any) -> None:
        if event == "call":
            code = frame.f_code
            if code not in self._fine:
                name = str(frame.f_globals.get("__name__", ""))
                fine = name.partition(".")[0] in _FINE and not name.startswith(_NOT_FINE)
                if fine or name.startswith("namedtuple_") or code.co_filename == "<plan>":
                    self._fine.add(code)
                else:
                    self.problem = self.problem or f"it runs {code.co_name!r} of {name or code.co_filename}"
        elif event == "c_call" and getattr(what, "__name__", "") in _UNSEEN:
            self.problem = self.problem or f"it calls {what.__name__!r}"


# The function ---------------------------------------------------------------------------------------------------------


class Line:
    """What was recorded as one function of the tensors given: it returns `results`, a list of names or None."""

    def __init__(self, recording: Recording, results: list[Any]):
        self._space: dict[str, Any] = {}
        wanted = {*_found(results, Name)}
        kept = {name: tensor.detach() for name, tensor in recording.kept.items()}
        calls: list[Call] = []
        for call in recording.calls:
            names = [name for name in _found(call.results, Name) if name not in kept]
            changed = any(recording.storage_of[name] in recording.written for name in names)
            if call.constant is None or not wanted.isdisjoint(names) or (changed and not recording.outside(names)):
                calls.append(call)
            else:
                kept |= {name: tensor.detach() for name, tensor in zip(names, call.constant, strict=True)}
        calls = self._needed(calls, wanted)
        used = wanted.union(*(call.inputs for call in calls))
        self._space |= {name: tensor for name, tensor in kept.items() if name in used}
        lines = [*self._lines(calls, {*kept, *recording.given}, wanted)]
        head = f"def line({', '.join(recording.given)}):"
        ending = f"return {self._render(results)}"
        self.source = "\n    ".join([head, *lines, ending]) + "\n"
        exec(compile(self.source, "<plan>", "exec"), self._space)
        self.run: Callable = self._space["line"]

    @staticmethod
    def _needed(calls: list[Call], wanted: set[Name]) -> list[Call]:
        """The calls without those that only give what nobody uses."""
        needed, found = {*wanted}, []
        for call in reversed(calls):
            if call.kind.stays or not needed.isdisjoint(_found(call.results, Name)):
                found.append(call)
                needed |= call.inputs
        return found[::-1]

    def _lines(self, calls: list[Call], known: set[Name], wanted: set[Name]) -> Iterator[str]:
        lasting, known = known | wanted, {*known}
        last = {name: call for call in calls for name in {*call.inputs, *_found(call.results, Name)}}
        ends: dict[int, list[Name]] = {}
        for name, call in last.items():
            if name not in lasting:
                ends.setdefault(id(call), []).append(name)
        for call in calls:
            args = [self._render(value) for value in call.args]
            args += [f"{key}={self._render(value)}" for key, value in call.kwargs.items()]
            fresh = {*_found(call.results, Name)} - known
            known |= fresh
            target = f"{self._target(call.results, fresh)} = " if fresh else ""
            yield f"{target}{self._give(call.function)}({', '.join(args)})"
            if ended := ends.get(id(call)):
                yield f"del {', '.join(ended)}"

    def _target(self, results: Any, fresh: set[Name]) -> str:
        if isinstance(results, list):
            return f"[{', '.join(self._target(item, fresh) for item in results)}]"
        return results if results in fresh else "_"

    def _give(self, value: Any) -> str:
        name = f"{'f' if callable(value) else 'c'}{id(value)}"
        self._space[name] = value
        return name

    def _render(self, value: Any) -> str:
        if isinstance(value, Name):
            return str(value)
        if value is None or type(value) in (bool, int):
            return repr(value)
        if type(value) in (list, tuple):
            inner = ", ".join(map(self._render, value))
            return f"[{inner}]" if type(value) is list else f"({inner}{',' * (len(value) == 1)})"
        return self._give(value)
