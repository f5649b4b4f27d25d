"""Functions that files hold as Python's bytecode, read as data: marshalled code to a syntax tree, and never run.

Python 2.7 and 3.4 to 3.14. A file does not say which; the layout of its code object, the empty words behind
instructions and the numbers of these tell. Where two versions fit and mean different things, the code is not read.
"""

from __future__ import annotations

import ast
import base64
import binascii
import keyword
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .opcodes import BINARY, CACHES, COMPARISONS, NAMES, OPERATORS, UNARY

MAX_BYTES = 1 << 16
MAX_STEPS = 8_000
MAX_OBJECTS = 20_000  # of a marshalled text, those that are referred to counted each time
MAX_DEPTH = 60  # of objects inside of objects, and of expressions
MAX_BITS = 1024  # of a whole number
MAX_WORK = 40_000  # instructions and parts of expressions, counted as often as they are looked at
MAX_NODES = 4_000  # of an expression
MAX_NAME = 255
SHOWN_STEPS = 60


class Unreadable(ValueError):
    """A text that is no code, or code whose meaning is not certain. Says which."""


@dataclass(frozen=True)
class Code:
    """A code object."""

    name: str
    versions: tuple[str, ...]  # that the layout allows
    positional: int
    positional_only: int
    keyword_only: int
    flags: int
    code: bytes
    consts: tuple
    names: tuple[str, ...]
    fast: tuple[str, ...]  # by the number that LOAD_FAST gives
    cells: tuple[str, ...]  # by the number that LOAD_DEREF gives
    free: tuple[str, ...]
    handles: bool  # exceptions

    def __repr__(self) -> str:
        return f"<code of {self.name}>"


@dataclass(frozen=True)
class Function:
    """What a code object says. `body`: its statements, None where these are not certain, for the reason `problem`."""

    name: str
    python: str
    arguments: ast.arguments
    free: tuple[str, ...]
    body: list[ast.stmt] | None
    problem: str
    listing: tuple[str, ...]

    @property
    def value(self) -> ast.expr | None:
        """The expression that it returns, where it is nothing else."""
        try:
            return _value(self.body) if self.body else None
        except Unreadable:
            return None

    def source(self, defaults: Iterable[Any] | None = None, closure: Iterable[Any] | None = None) -> str:
        """As Python's text, else as its instructions; what the names of the function around it stand for goes first."""
        values = list(closure or ())
        known = [f"{name} = {_shown(value)}" for name, value in zip(self.free, values, strict=False)]
        if self.body is None:
            return "\n".join([*known, *self.listing])
        own = ast.arguments(**vars(self.arguments))
        shown_values: list[ast.expr] = [ast.Name(_shown(value)) for value in defaults or ()]
        own.defaults = shown_values[: len(own.posonlyargs + own.args)]
        value = self.value if self.name == "<lambda>" else None
        if value is not None:
            return "\n".join([*known, ast.unparse(ast.Lambda(own, value))])
        name = self.name if self.name.isidentifier() else "function"
        shown = ast.FunctionDef(name=name, args=own, body=self.body, decorator_list=[], lineno=0)
        vars(shown)["type_params"] = []
        return "\n".join([*known, ast.unparse(shown)])


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def described(code: str, defaults: Any, closure: Any, **more: Any) -> dict[str, Any]:
    """Code as a config of Keras 3 holds it."""
    return {"class_name": "__lambda__", "config": {"code": code, "defaults": defaults, "closure": closure, **more}}


def function_of(text: str) -> Function:
    """The function that a config's text of code describes: base64, or the bytes as Keras 1 wrote them.

    Raises Unreadable for what is no code of a Python that is known.
    """
    return Decompiled(read(_bytes(text))).function


def _bytes(text: str) -> bytes:
    if len(text) > 2 * MAX_BYTES:
        raise Unreadable(f"the code has {len(text)} characters; at most {2 * MAX_BYTES} are read")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (ValueError, binascii.Error):
        return text.encode("raw_unicode_escape", "replace")


# Marshalled objects ---------------------------------------------------------------------------------------------------

# A code object starts with 4 numbers in Python 2.7, 5 in 3.4 to 3.7 and from 3.11 on, 6 in 3.8 to 3.10.
_COUNTS = (4, 5, 6)
_RENUMBERED = ("3.13", "3.14")  # whose instructions have numbers of their own
_SIMPLE = {"N": None, "F": False, "T": True, ".": Ellipsis}
_NULL = object()
_SINGLE = {"None": None, "True": True, "False": False}  # names in Python 2


def read(data: bytes) -> Code:
    """The code object in marshalled bytes. Raises Unreadable for anything else."""
    if len(data) > MAX_BYTES:
        raise Unreadable(f"the code has {len(data)} bytes; at most {MAX_BYTES} are read")
    found = []
    for count in _COUNTS:
        reader = _Reader(data, count)
        try:
            code = reader.read()
        except (Unreadable, ValueError, struct.error, IndexError, TypeError, OverflowError):
            continue
        if isinstance(code, Code) and reader.at == len(data):
            found.append(code)
    if len(found) != 1:
        raise Unreadable("it is no code object of Python 2.7 or 3.4 to 3.14")
    return found[0]


class _Reader:
    """CPython's marshal format, bounded: counts by the bytes that are left, objects by `MAX_OBJECTS`."""

    def __init__(self, data: bytes, count: int):
        self.data, self.count, self.at = data, count, 0
        self.read_objects = 0
        self.refs: list[tuple[Any, int]] = []  # objects with their sizes
        self.interned: list[str] = []

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.data) - self.at:
            raise Unreadable("it ends too early")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form: str = "<i") -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def spend(self, objects: int) -> None:
        self.read_objects += objects
        if self.read_objects > MAX_OBJECTS:
            raise Unreadable("it holds too many objects")

    def read(self, depth: int = 0) -> Any:
        if depth > MAX_DEPTH:
            raise Unreadable("it is nested too deeply")
        self.spend(1)
        before, byte = self.read_objects, self.take(1)[0]
        kind, kept = chr(byte & 0x7F), bool(byte & 0x80)
        if kept:
            place = len(self.refs)
            self.refs.append((_NULL, 0))
        found = self.object(kind, depth)
        if kept:
            self.refs[place] = found, self.read_objects - before + 1
        return found

    def object(self, kind: str, depth: int) -> Any:
        if kind in _SIMPLE:
            return _SIMPLE[kind]
        if kind == "r":
            found, size = self.refs[self.number("<I")]
            if found is _NULL:
                raise Unreadable("it refers to itself")
            self.spend(size)
            return found
        if kind in "iIlgyfx":
            return self.value(kind)
        if kind in "sutRaAzZ":
            return self.text(kind)
        if kind in "([<>)":
            size = self.number("<B" if kind == ")" else "<i")
            if not 0 <= size <= len(self.data) - self.at:
                raise Unreadable("it ends too early")
            items = [self.read(depth + 1) for _ in range(size)]
            return tuple(items) if kind in "()" else items if kind == "[" else frozenset(items)
        if kind == ":":  # from 3.14 on
            return slice(*(self.read(depth + 1) for _ in range(3)))
        if kind == "c":
            return self.code(depth + 1)
        raise Unreadable(f"it holds an object of the unknown kind {kind!r}")

    def value(self, kind: str) -> int | float | complex:
        if kind in "iI":
            return self.number("<i" if kind == "i" else "<q")
        if kind == "l":
            digits = self.number()
            if abs(digits) * 15 > MAX_BITS:
                raise Unreadable("it holds a number of too many digits")
            value = sum(self.number("<H") << 15 * place for place in range(abs(digits)))
            return -value if digits < 0 else value
        if kind in "gy":
            parts = [self.number("<d") for _ in range(1 + (kind == "y"))]
            return parts[0] if kind == "g" else complex(*parts)
        parts = [float(self.take(self.number("<B"))) for _ in range(1 + (kind == "x"))]
        return parts[0] if kind == "f" else complex(*parts)

    def text(self, kind: str) -> Any:
        if kind == "R":
            return self.interned[self.number()]
        data = self.take(self.number("<B" if kind in "zZ" else "<i"))
        if kind == "s":  # bytes, which are the texts of Python 2
            return data
        if kind == "t" and self.count == 4:
            self.interned.append(data.decode("latin-1"))
            return self.interned[-1]
        return data.decode("utf-8", "surrogatepass") if kind in "ut" else data.decode("ascii")

    def code(self, depth: int) -> Code:
        counts = [self.number() for _ in range(self.count)]
        if min(counts) < 0:
            raise Unreadable("it counts below zero")
        code, consts, names, first = (self.read(depth) for _ in range(4))
        second = self.read(depth)
        exceptions: Any = b""
        if self.count == 5 and isinstance(second, bytes):  # from 3.11 on: all variables and what they are
            every, kinds = _names(first), second
            if len(kinds) != len(every):
                raise Unreadable("its variables are not counted")
            fast = cells = every
            free = tuple(name for name, kind in zip(every, kinds, strict=True) if kind & 0x80)
            _, name, _, _, _, exceptions = self.tail(depth, "otonoo")
            versions: tuple[str, ...] = ("3.11", "3.12", *_RENUMBERED)
        else:
            fast, free = _names(first), _names(second)
            cells = (*_names(self.read(depth)), *free)
            _, name, _, lines = self.tail(depth, "otno")
            versions = {4: ("2.7",), 5: ("3.5", "3.7")}.get(self.count, ("3.9",))
            if self.count == 6 and isinstance(lines, bytes) and sum(lines[::2]) == len(code):
                versions = ("3.10",)  # its table of lines covers all of the code
        if not isinstance(code, bytes) or not isinstance(consts, tuple):
            raise Unreadable("it is no code")
        positional, *more = counts
        only = more[: 2 if versions[-1] in _RENUMBERED else {4: 0, 5: 1, 6: 2}[self.count]]
        keyword_only, positional_only = (only or [0])[-1], only[0] if len(only) == 2 else 0
        if positional + keyword_only > len(fast) or positional_only > positional:
            raise Unreadable("it has more arguments than variables")
        if self.count == 4:
            consts = tuple(one.decode("latin-1") if isinstance(one, bytes) else one for one in consts)
        flags = counts[-1]
        return Code(
            _texts([name])[0], versions, positional, positional_only, keyword_only, flags, code, consts, _names(names),
            fast, cells, free, exceptions != b"",
        )  # fmt: skip

    def tail(self, depth: int, kinds: str) -> list[Any]:
        """Objects (o), texts (t) and numbers (n)."""
        return [self.number() if kind == "n" else self.read(depth) for kind in kinds]


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, (tuple, list)) or not all(isinstance(value, (str, bytes)) for value in values):
        raise Unreadable("its names are no texts")
    return tuple(value.decode("latin-1") if isinstance(value, bytes) else value for value in values)


def _names(values: Any) -> tuple[str, ...]:
    """Names as Python could have written them; ".0", an argument that has none, as "_0"."""
    found = tuple(f"_{name[1:]}" if name[:1] == "." and name[1:].isdigit() else name for name in _texts(values))
    for name in found:
        if len(name) > MAX_NAME:
            raise Unreadable("it has a name that is none")
        parts = () if name in _SINGLE else name.split(".")
        if not all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
            raise Unreadable("it has a name that is none")
    return found


# Instructions ---------------------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """An instruction: where it stands, its name, its number, where it ends, and where it jumps to."""

    place: int
    name: str
    arg: int
    target: int | None = None


class _Misfit(Exception):
    """The code is none of this version."""


_TWO = {
    "LOAD_FAST_LOAD_FAST": ("LOAD_FAST", "LOAD_FAST"),
    "LOAD_FAST_BORROW_LOAD_FAST_BORROW": ("LOAD_FAST", "LOAD_FAST"),
    "STORE_FAST_LOAD_FAST": ("STORE_FAST", "LOAD_FAST"),
    "STORE_FAST_STORE_FAST": ("STORE_FAST", "STORE_FAST"),
}
_BEFORE = ("COPY_FREE_VARS", "MAKE_CELL")
_ENDS = ("RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "JUMP_BACKWARD")
_UNSURE = 173  # in 3.11 a jump back, in 3.12 CALL_INTRINSIC_1


def steps_of(code: Code, version: str) -> list[Step]:
    """The instructions, if the code is of that version. Raises _Misfit where it cannot be."""
    names, caches, raw = NAMES[version], CACHES.get(version, {}), code.code
    wide = version in ("2.7", "3.5")  # one byte, or three with a number; from 3.6 on two each
    siblings = [] if version in _RENUMBERED else [NAMES[each] for each in code.versions if each not in _RENUMBERED]
    strange = {number for other in siblings for number in other} - names.keys() - {_UNSURE}
    found: list[Step] = []
    at = extended = 0
    while at < len(raw):
        if len(found) > MAX_STEPS:
            raise Unreadable("it is too long")
        start, number = at, raw[at]
        size = (3 if number >= 90 else 1) if wide else 2
        arg = int.from_bytes(raw[at + 1 : at + size], "little") | extended
        at += size
        name = names.get(number, f"instruction {number}")
        if at > len(raw) or number in strange or arg >= 1 << 24:
            raise _Misfit
        extended = arg << (16 if wide else 8) if name == "EXTENDED_ARG" else 0
        if extended:
            continue
        empty = 2 * caches.get(name, 0)
        if caches and (any(raw[at : at + empty]) or number == 0 or len(raw) - at < empty):
            raise _Misfit
        at += empty
        pair = _TWO.get(name)
        found += (
            [Step(start, name, arg, _target(name, arg, at, version))]
            if pair is None
            else [Step(start, pair[0], arg >> 4), Step(start + 1, pair[1], arg & 15)]
        )
    _check_ends(code, found, bool(caches), wide)
    return found


def _check_ends(code: Code, found: list[Step], later: bool, wide: bool) -> None:
    """Raises _Misfit unless it begins and ends as that version writes it."""
    resumes = [step.name for step in found if step.name not in _BEFORE][:1] == ["RESUME"]
    frees = [step.arg for step in found if step.name == "COPY_FREE_VARS"]
    ends = found[-1].name in _ENDS or found[-1].name.startswith("instruction ") if found else False
    if later and not (resumes and ends and all(arg == len(code.free) > 0 for arg in frees)):
        raise _Misfit
    if not later and (not found or found[-1].name != "RETURN_VALUE" or (not wide and found[-1].arg)):
        raise _Misfit


def _target(name: str, arg: int, after: int, version: str) -> int | None:
    if "JUMP" not in name and name != "FOR_ITER":
        return None
    size = 1 if version in ("2.7", "3.5", "3.7", "3.9") else 2
    if name == "JUMP_BACKWARD":
        return after - size * arg
    relative = version in CACHES or name in ("JUMP_FORWARD", "FOR_ITER")
    return size * arg + (after if relative else 0)


# What the instructions say --------------------------------------------------------------------------------------------


class _Import:
    """A module, or a name of one, on its way to a variable."""

    def __init__(self, module: str, names: tuple | None, name: str | None = None):
        self.module, self.names, self.name = module, names, name

    def to(self, variable: str) -> ast.stmt:
        alias = None if variable == (self.name or self.module.partition(".")[0]) else variable
        if self.names is not None and self.name is not None:
            return ast.ImportFrom(self.module, [ast.alias(self.name, alias)], 0)
        if self.names is not None or (self.name or self.module) not in (self.module, self.module.partition(".")[2]):
            raise Unreadable("it imports in an unknown way")
        if self.name is not None:
            alias = variable
        return ast.Import([ast.alias(self.module, alias)])


_PUSH_NULL = ast.Name("NULL")
_NONE = ast.Constant(None)
_GENERATOR = 0x2A0  # flags of generators and coroutines


class Decompiled:
    """A code object as a function. `function` has the statements, or why they are not certain."""

    def __init__(self, code: Code, depth: int = 0, work: _Work | None = None):
        if depth > 8:
            raise Unreadable("it holds functions nested too deeply")
        work = work or _Work()
        if depth:
            work.spend(len(code.code))
        tried: dict[str, tuple[Any, str, list[Step]]] = {}
        for version in code.versions:
            try:
                steps = steps_of(code, version)
            except _Misfit:
                continue
            tried[version] = (*_statements(_Machine(code, version, steps, depth, work)), steps)
        if not tried:
            raise Unreadable("its instructions are those of no Python from 2.7 to 3.14")
        bodies = {None if body is None else ast.dump(ast.Module(body, [])) for body, _, _ in tried.values()}
        body, problem, steps = next(iter(tried.values()))
        if len(bodies) > 1:
            body, problem = None, f"it means different things in Python {' and '.join(tried)}"
        elif body is not None and code.handles:
            body, problem = None, "it handles exceptions"
        elif code.flags & _GENERATOR:
            body, problem = None, "it is a generator"
        version = next(iter(tried))
        listing = [_listed(code, version, step) for step in steps[:SHOWN_STEPS]]
        listing += ["..."] if len(steps) > SHOWN_STEPS else []
        told = " or ".join(_TOLD.get(each, each) for each in tried)
        self.function = Function(code.name, told, _arguments(code), code.free, body, problem, tuple(listing))


_TOLD = {"3.5": "3.4 or 3.5", "3.7": "3.6 or 3.7", "3.9": "3.8 or 3.9"}


def _arguments(code: Code) -> ast.arguments:
    names = [ast.arg(name) for name in code.fast]
    last = code.positional + code.keyword_only
    rest = iter(names[last:])
    return ast.arguments(
        posonlyargs=names[: code.positional_only],
        args=names[code.positional_only : code.positional],
        vararg=next(rest, None) if code.flags & 4 else None,
        kwonlyargs=names[code.positional : last],
        kw_defaults=[None] * code.keyword_only,
        kwarg=next(rest, None) if code.flags & 8 else None,
        defaults=[],
    )


def _listed(code: Code, version: str, step: Step) -> str:
    names: Mapping[str, Any] = {"CONST": code.consts, "FAST": code.fast, "DEREF": code.cells, "CLOSURE": code.cells}
    kind = step.name.rpartition("_")[2]
    shift = _name_shift(step.name, version)
    table = names.get(kind, code.names if kind in ("GLOBAL", "ATTR", "METHOD", "NAME", "FROM") else ())
    if step.target is not None:
        return f"{step.place:4} {step.name} to {step.target}"
    place = step.arg >> shift
    told = table[place] if place < len(table) else step.arg
    return f"{step.place:4} {step.name} {_shown(told)[:80] if kind == 'CONST' else told}"


def _name_shift(name: str, version: str) -> int:
    """Bits of an instruction's number that are not its name's."""
    later = ("LOAD_GLOBAL",) if version == "3.11" else ("LOAD_GLOBAL", "LOAD_ATTR")
    return int(version in CACHES and name in later)


def _value(body: list[ast.stmt]) -> ast.expr | None:
    """What statements return, as one expression; None where they are more than conditions."""
    left = MAX_DEPTH

    def of(statements: list[ast.stmt]) -> ast.expr | None:
        nonlocal left
        left -= 1
        first = statements[0] if statements and left > 0 else None
        if isinstance(first, ast.Return):
            return first.value
        if not isinstance(first, ast.If):
            return None
        yes, no = of([*first.body, *statements[1:]]), of([*first.orelse, *statements[1:]])
        return None if yes is None or no is None else _chosen(first.test, yes, no)

    return of(body)


def _chosen(test: ast.expr, yes: ast.expr, no: ast.expr) -> ast.expr:
    """`yes if test else no`, in as few words."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, yes, no = test.operand, no, yes
    if no is test:
        return _node(ast.BoolOp(ast.And(), [test, yes]), test, yes)
    if yes is test:
        return _node(ast.BoolOp(ast.Or(), [test, no]), test, no)
    if isinstance(yes, ast.IfExp) and yes.orelse is no:
        test, yes = _node(ast.BoolOp(ast.And(), [test, yes.test]), test, yes.test), yes.body
    return _node(ast.IfExp(test, yes, no), test, yes, no)


def _size(node: Any) -> int:
    return getattr(node, "size", 1)


def _length(value: Any) -> int:
    """Of a constant's text, in parts of an expression."""
    if isinstance(value, (tuple, frozenset)):
        return 1 + sum(map(_length, value))
    return 1 + len(value) // 8 if isinstance(value, (str, bytes)) else 1


def _node(node: Any, *parts: Any) -> Any:
    """The node with its size, which is bounded: nothing else does that where parts stand in several places."""
    node.size = 1 + sum(map(_size, parts))
    node.depth = 1 + max((getattr(part, "depth", 1) for part in parts), default=0)
    if node.size > MAX_NODES or node.depth > MAX_DEPTH:
        raise Unreadable("it computes too much")
    return node


def _statements(machine: _Machine) -> tuple[list[ast.stmt] | None, str]:
    """The statements; or None, and why."""
    try:
        body, stack = machine.run(0, [], None)
        if stack is not None or not body:
            raise Unreadable("it returns nothing")
        return body, ""
    except Unreadable as error:
        return None, str(error)
    except (IndexError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None, "its instructions do not fit together"


class _Work:
    """What may still be done for one function, those inside of it included."""

    def __init__(self) -> None:
        self.left = MAX_WORK

    def spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise Unreadable("it is too long")


class _Machine:
    """Carries the instructions out on expressions instead of values."""

    def __init__(self, code: Code, version: str, steps: list[Step], depth: int, work: _Work):
        self.code, self.version, self.steps, self.depth, self.work = code, version, steps, depth, work
        self.index = {step.place: number for number, step in enumerate(steps)}
        self.inside = 0
        self.twice: set[int] = set()  # expressions that stand in two places
        self.keywords: tuple[str, ...] = ()
        self.sizes: dict[int, int] = {}  # of constants

    def run(self, at: int, stack: list[Any], stop: int | None) -> tuple[list[ast.stmt], list[Any] | None]:
        """Statements from `at` to `stop`, and the stack there; None for it where they end in a return."""
        body: list[ast.stmt] = []
        while at != stop:
            self.work.spend(1)
            step = self.steps[at]
            if step.name in ("RETURN_VALUE", "RETURN_CONST"):
                value = _expression(self.constant(step.arg) if step.name == "RETURN_CONST" else stack.pop())
                self.work.spend(_size(value))
                body.append(ast.Return(value))
                return body, None
            if step.name in ("SETUP_LOOP", "GET_ITER", "FOR_ITER", "LOAD_FAST_AND_CLEAR"):
                raise Unreadable("it has a loop")
            if step.target is None:
                self.carry_out(at, stack, body)
                at += 1
                continue
            target = self.index[step.target]
            if target <= at:
                raise Unreadable("it has a loop")
            if step.name in ("JUMP_FORWARD", "JUMP_ABSOLUTE"):
                at = target
                continue
            more, at_join = self.branch(step, at, target, stack, stop)
            body += more
            if at_join is None:
                return body, None
            at, stack = at_join
        return body, stack

    def branch(self, step: Step, at: int, target: int, stack: list[Any], stop: int | None) -> Any:
        """Statements of both ways, and where they meet, with the stack there; None where both return."""
        test = _expression(stack.pop())
        self.work.spend(len(stack) + _size(test))
        jumped = [*stack, test] if "OR_POP" in step.name else [*stack]
        self.twice.add(id(test))
        if "NONE" in step.name:
            test = _node(ast.Compare(test, [ast.Is() if "NOT" in step.name else ast.IsNot()], [_NONE]), test)
        elif "TRUE" in step.name:
            test = ast.UnaryOp(ast.Not(), test)
        last = self.steps[target - 1]
        join = self.index[last.target] if last.name in ("JUMP_FORWARD", "JUMP_ABSOLUTE") else target  # type: ignore[index]
        if join < target:
            raise Unreadable("it has a loop")
        self.inside += 1
        if self.inside > MAX_DEPTH // 2:
            raise Unreadable("it has too many conditions")
        yes, yes_stack = self.run(at + 1, [*stack], join)
        self.inside -= 1
        if yes_stack is None:
            return [ast.If(test, yes, [])], (target, jumped)
        self.inside += 1
        no, no_stack = self.run(target, jumped, join)
        self.inside -= 1
        if no_stack is None:
            inverse = test.operand if isinstance(test, ast.UnaryOp) else ast.UnaryOp(ast.Not(), test)
            return [ast.If(inverse, no, []), *yes], (join, yes_stack)
        if len(yes_stack) != len(no_stack):
            raise Unreadable("its instructions do not fit together")
        if not yes and not no:
            merged = [a if a is b else _chosen(test, _expression(a), _expression(b))
                      for a, b in zip(yes_stack, no_stack, strict=True)]  # fmt: skip
            return [], (join, merged)
        if any(a is not b for a, b in zip(yes_stack, no_stack, strict=True)):
            return self.apart(test, yes, no, join, (yes_stack, no_stack), stop), None
        return [ast.If(test, yes or [ast.Pass()], no)], (join, yes_stack)

    def apart(self, test: Any, yes: Any, no: Any, join: int, stacks: tuple, stop: int | None) -> list[ast.stmt]:
        """Statements of both ways, each with what follows where they meet."""
        rests = [self.run(join, stack, stop) for stack in stacks]
        if any(stack is not None for _, stack in rests):
            raise Unreadable("its conditions are entangled")
        return [ast.If(test, [*yes, *rests[0][0]], [*no, *rests[1][0]])]

    def constant(self, place: int) -> Any:
        found: Any = _sliced_constant(self.code.consts[place])
        if place not in self.sizes:
            self.sizes[place] = _length(self.code.consts[place])
        found.size = self.sizes[place]
        self.work.spend(found.size)
        return found

    def carry_out(self, at: int, stack: list[Any], body: list[ast.stmt]) -> None:
        step = self.steps[at]
        name, arg = step.name, step.arg
        if name in _SILENT or self.load(name, arg, stack) or self.combine(name, arg, stack):
            return
        if name in ("STORE_FAST", "STORE_DEREF"):
            self.store((self.code.fast if name == "STORE_FAST" else self.code.cells)[arg], stack, body)
        elif name == "UNPACK_SEQUENCE":
            self.unpack(self.steps[at + 1 : at + 1 + arg], arg, stack)
        elif name == "POP_TOP":
            value = stack.pop()
            if isinstance(value, ast.Call) and id(value) not in self.twice:
                self.work.spend(_size(value))
                body.append(ast.Expr(value))
        elif name in _MOVES:
            self.move(_MOVES[name](arg), stack)
        elif name == "KW_NAMES":
            self.keywords = self.code.consts[arg]
        elif name.startswith("CALL") and name != "CALL_INTRINSIC_1":
            self.call(name, arg, stack)
        elif name in ("MAKE_FUNCTION", "MAKE_CLOSURE", "SET_FUNCTION_ATTRIBUTE"):
            self.make(name, arg, stack)
        else:
            raise Unreadable(f"it has the instruction {name}" if name[0].isupper() else f"it has an unknown {name}")

    def load(self, name: str, arg: int, stack: list[Any]) -> bool:
        """What puts a value on the stack, or takes a part of one by its name. Whether it was one of these."""
        code = self.code
        if name in ("LOAD_CONST", "LOAD_SMALL_INT"):
            stack.append(self.constant(arg) if name == "LOAD_CONST" else ast.Constant(arg))
        elif name in ("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW"):
            stack.append(ast.Name(code.fast[arg]))
        elif name in ("LOAD_DEREF", "LOAD_CLOSURE"):
            stack.append(ast.Name(code.cells[arg]))
        elif name == "LOAD_GLOBAL":
            word = code.names[arg >> _name_shift(name, self.version)]
            found = ast.Constant(_SINGLE[word]) if word in _SINGLE else ast.Name(word)
            null = [_PUSH_NULL] if self.version in CACHES and arg & 1 else []
            stack += [found, *null] if self.version in _RENUMBERED else [*null, found]
        elif name in ("LOAD_ATTR", "LOAD_METHOD"):
            shift = _name_shift(name, self.version)
            found = self.attribute(stack.pop(), code.names[arg >> shift])
            stack += [found, _PUSH_NULL] if name == "LOAD_METHOD" or (shift and arg & 1) else [found]
        elif name == "PUSH_NULL":
            stack.append(_PUSH_NULL)
        elif name == "IMPORT_NAME":
            names, level = stack.pop().value, stack.pop().value
            if level not in (0, -1):
                raise Unreadable("it imports from where it stands")
            stack.append(_Import(code.names[arg], names))
        elif name == "IMPORT_FROM":
            stack.append(_Import(stack[-1].module, stack[-1].names, code.names[arg]))
        else:
            return False
        return True

    def combine(self, name: str, arg: int, stack: list[Any]) -> bool:
        """What makes one value of those on the stack. Whether it was one of these."""
        if name == "BINARY_OP" and arg == 2 * len(OPERATORS):  # from 3.14 on
            name = "BINARY_SUBSCR"
        if name in UNARY or (name == "CALL_INTRINSIC_1" and arg == 5):
            value = _expression(stack.pop())
            stack.append(_node(ast.UnaryOp(getattr(ast, UNARY.get(name, "UAdd"))(), value), value))
        elif name in ("BINARY_SUBSCR", "BINARY_SLICE") or name[:6] == "SLICE+":
            self.subscript(name, stack)
        elif name.startswith(("BINARY_", "INPLACE_")):
            self.operate(name, arg, stack)
        elif name == "BUILD_SLICE":
            parts = _popped(stack, arg)
            stack.append(_node(ast.Slice(*(None if _is_none(part) else part for part in parts)), *parts))
        elif name in ("COMPARE_OP", "IS_OP", "CONTAINS_OP"):
            self.compare(name, arg, stack)
        else:
            return self.collect(name, arg, stack)
        return True

    def collect(self, name: str, arg: int, stack: list[Any]) -> bool:
        """What makes a tuple, a list or a dictionary of values. Whether it was one of these."""
        if name in ("BUILD_TUPLE", "BUILD_LIST"):
            parts = _popped(stack, arg)
            stack.append(_node((ast.Tuple if name == "BUILD_TUPLE" else ast.List)(parts), *parts))
        elif name == "BUILD_CONST_KEY_MAP":
            words, values = stack.pop().value, _popped(stack, arg)
            stack.append(_node(ast.Dict([ast.Constant(word) for word in words], values), *values))
        elif name == "BUILD_MAP" and (not arg or self.version != "3.5"):  # a guess of the size in 3.4
            parts = _popped(stack, 0 if self.version == "2.7" else 2 * arg)
            stack.append(_node(ast.Dict(parts[::2], parts[1::2]), *parts))
        elif name == "STORE_MAP":
            to, value, key = stack.pop(-3), *_popped(stack, 2)
            stack.append(_node(ast.Dict([*to.keys, key], [*to.values, value]), to, value, key))
        elif name in ("BUILD_TUPLE_UNPACK", "BUILD_TUPLE_UNPACK_WITH_CALL", "BUILD_LIST_UNPACK"):
            parts = [each for part in _popped(stack, arg) for each in _extended(part)]
            stack.append(_node((ast.List if "LIST" in name else ast.Tuple)(parts), *parts))
        elif name in ("LIST_EXTEND", "LIST_APPEND") and arg == 1:
            value, to = _expression(stack.pop()), stack.pop()
            more = [value] if name == "LIST_APPEND" else _extended(value)
            stack.append(_node(ast.List([*to.elts, *more]), to, value))
        elif name == "LIST_TO_TUPLE" or (name == "CALL_INTRINSIC_1" and arg == 6):
            value = stack.pop()
            stack.append(_node(ast.Tuple(value.elts), value))
        else:
            return False
        return True

    def attribute(self, value: Any, name: str) -> Any:
        if isinstance(value, _Import):  # `import a.b as c`, up to 3.6
            return _Import(value.module, value.names, f"{value.name}.{name}".removeprefix("None."))
        return _node(ast.Attribute(_expression(value), name), value)

    def store(self, name: str, stack: list[Any], body: list[ast.stmt]) -> None:
        value = stack.pop()
        self.work.spend(sum(map(_size, stack)) + _size(value))
        for one in stack:
            if isinstance(one, ast.AST) and any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(one)):
                raise Unreadable(f"it changes {name} while it is in use")
        if isinstance(value, _Import):
            body.append(value.to(name))
        elif isinstance(value, _Part):
            value.stored.append(ast.Name(name))
            if len(value.stored) == value.count:
                body.append(ast.Assign([ast.Tuple(value.stored)], value.of, lineno=0))
        elif getattr(value, "in_place", False):
            if not isinstance(value.left, ast.Name) or value.left.id != name:
                raise Unreadable("it changes a value in place")
            body.append(ast.AugAssign(ast.Name(name), value.op, value.right))
        else:
            body.append(ast.Assign([ast.Name(name)], _expression(value), lineno=0))

    def unpack(self, following: list[Step], count: int, stack: list[Any]) -> None:
        """`a, b = value`: the variables are those of the instructions that follow."""
        stores = [each for each in following if each.name in ("STORE_FAST", "STORE_DEREF")]
        if not 0 < count == len(stores):
            raise Unreadable("it unpacks a value")
        value, stored = _expression(stack.pop()), []
        stack += [_Part(value, count, stored) for _ in stores]

    def move(self, moved: tuple[str, int], stack: list[Any]) -> None:
        how, count = moved
        if not 0 < count <= len(stack):
            raise Unreadable("its instructions do not fit together")
        if how == "turn":  # the last one goes below the others
            stack.insert(len(stack) - count, stack.pop())
        elif how == "swap":
            stack[-1], stack[-count] = stack[-count], stack[-1]
        else:
            found = stack[-count:] if how == "both" else [stack[-count]]
            self.twice.update(map(id, found))
            stack += found

    def operate(self, name: str, arg: int, stack: list[Any]) -> None:
        right, left = _expression(stack.pop()), _expression(stack.pop())
        if name == "BINARY_OP":
            word, in_place = OPERATORS[arg % len(OPERATORS)], arg >= len(OPERATORS)
            if arg >= 2 * len(OPERATORS):
                raise Unreadable("it has an unknown operator")
        else:
            kind, _, own = name.partition("_")
            word, in_place = BINARY[own], kind == "INPLACE"
        found = _node(ast.BinOp(left, getattr(ast, word)(), right), left, right)
        found.in_place = in_place
        found.op.of_python_2 = name.endswith("_DIVIDE") and self.version == "2.7" and "_TRUE" not in name
        stack.append(found)

    def subscript(self, name: str, stack: list[Any]) -> None:
        if name == "BINARY_SUBSCR":
            value, of = stack.pop(), _expression(stack.pop())
        else:  # bits of SLICE+n: whether it has a start, an end
            bits = 3 if name == "BINARY_SLICE" else int(name[-1])
            ends = [stack.pop() if bits & bit else _NONE for bit in (2, 1)][::-1]
            value, of = ast.Slice(*(None if _is_none(end) else _expression(end) for end in ends)), None
            value, of = _node(value, *ends), _expression(stack.pop())
        if not isinstance(value, ast.Slice):
            value = _sliced(value)
        stack.append(_node(ast.Subscript(of, value), of, value))

    def compare(self, name: str, arg: int, stack: list[Any]) -> None:
        right, left = _expression(stack.pop()), _expression(stack.pop())
        if name == "COMPARE_OP":
            word = COMPARISONS[arg >> {"3.12": 4, "3.13": 5, "3.14": 5}.get(self.version, 0)]
        else:
            word = ("Is", "IsNot", "In", "NotIn")[2 * (name == "CONTAINS_OP") + arg]
        stack.append(_node(ast.Compare(left, [getattr(ast, word)()], [right]), left, right))

    def call(self, name: str, arg: int, stack: list[Any]) -> None:
        keywords: list[ast.keyword] = []
        if self.version in ("2.7", "3.5"):
            listed = _extended(_expression(stack.pop())) if name == "CALL_FUNCTION_VAR" else []
            if name not in ("CALL_FUNCTION", "CALL_FUNCTION_VAR") or (listed and arg >> 8):  # 3.4 and 3.5 differ there
                raise Unreadable(f"it has the instruction {name}")
            pairs = _popped(stack, 2 * (arg >> 8))
            keywords = [ast.keyword(_word(pairs[i].value), pairs[i + 1]) for i in range(0, len(pairs), 2)]
            values = [*_popped(stack, arg & 255), *listed]
        elif name == "CALL_FUNCTION_EX":
            given = stack.pop() if arg & 1 or self.version == "3.14" else _PUSH_NULL
            given = ast.Dict([], []) if given is _PUSH_NULL else given
            if not isinstance(given, ast.Dict):
                raise Unreadable("it calls a function with words that are not told")
            pairs = zip(given.keys, given.values, strict=True)
            keywords = [ast.keyword(_word(key.value), value) for key, value in pairs]  # type: ignore[union-attr]
            values = _extended(_expression(stack.pop()))
        else:
            words = stack.pop().value if name in ("CALL_FUNCTION_KW", "CALL_KW") else self.keywords
            self.keywords = ()
            values = _popped(stack, arg)
            count = len(values) - len(words)
            if count < 0:
                raise Unreadable("its instructions do not fit together")
            pairs = zip(words, values[count:], strict=True)
            keywords = [ast.keyword(_word(word), value) for word, value in pairs]
            values = values[:count]
        called = stack.pop()
        if self.version in CACHES or name == "CALL_METHOD":
            other = stack.pop()
            if (other is _PUSH_NULL) == (called is _PUSH_NULL):
                raise Unreadable("it calls a function of its own")
            called = other if called is _PUSH_NULL else called
        called = _expression(called)
        parts = [called, *values, *(each.value for each in keywords)]
        stack.append(_node(ast.Call(called, values, keywords), *parts))

    def make(self, name: str, arg: int, stack: list[Any]) -> None:
        """A function inside, where it is one expression and has no defaults."""
        if name == "SET_FUNCTION_ATTRIBUTE":
            made = stack.pop()
            stack.pop()
            stack.append(made)
            plain = arg == 8 and isinstance(made, ast.Lambda)
        else:
            if self.version not in ("2.7", *CACHES):
                stack.pop()  # its name
            inner = stack.pop().value
            closed = name == "MAKE_CLOSURE" or (arg == 8 and self.version not in ("2.7", "3.5"))
            if closed:
                stack.pop()
            plain = isinstance(inner, Code) and (arg == 0 or closed) and (name != "MAKE_CLOSURE" or arg == 0)
            if plain:
                found = Decompiled(inner, self.depth + 1, self.work).function
                if found.value is None or found.name != "<lambda>":
                    raise Unreadable(f"it has a function {found.name} inside")
                stack.append(_node(ast.Lambda(found.arguments, found.value), found.value))
        if not plain:
            raise Unreadable("it has a function inside")


_SILENT = frozenset({"NOP", "RESUME", "PRECALL", "TO_BOOL", "COPY_FREE_VARS", "MAKE_CELL", "NOT_TAKEN"})
_MOVES: dict[str, Callable[[int], tuple[str, int]]] = {
    "ROT_TWO": lambda _: ("turn", 2),
    "ROT_THREE": lambda _: ("turn", 3),
    "ROT_FOUR": lambda _: ("turn", 4),
    "ROT_N": lambda count: ("turn", count),
    "SWAP": lambda count: ("swap", count),
    "COPY": lambda count: ("copy", count),
    "DUP_TOP": lambda _: ("copy", 1),
    "DUP_TOP_TWO": lambda _: ("both", 2),
}


class _Part:
    """One of the values that a value is unpacked to."""

    def __init__(self, of: ast.expr, count: int, stored: list[ast.expr]):
        self.of, self.count, self.stored = of, count, stored


def _expression(value: Any) -> Any:
    if not isinstance(value, ast.expr) or value is _PUSH_NULL or getattr(value, "in_place", False):
        raise Unreadable("its instructions do not fit together")
    if isinstance(value, ast.Slice) or (isinstance(value, ast.Constant) and isinstance(value.value, Code)):
        raise Unreadable("its instructions do not fit together")
    return value


def _popped(stack: list[Any], count: int) -> list[Any]:
    if count > len(stack):
        raise Unreadable("its instructions do not fit together")
    found = stack[len(stack) - count :]
    del stack[len(stack) - count :]
    return [each if isinstance(each, ast.Slice) else _expression(each) for each in found]


def _sliced(value: Any) -> Any:
    """An index; slices stand in it, or in a tuple of it."""
    if isinstance(value, ast.Constant) and isinstance(value.value, tuple):
        return ast.Tuple([ast.Constant(each) for each in value.value])  # where "..." is a word
    return value if isinstance(value, ast.Tuple) else _expression(value)


def _sliced_constant(value: Any) -> ast.expr:
    """A constant; one that is a slice, or a tuple that holds one, as the expression of these."""
    if isinstance(value, slice):
        ends = (value.start, value.stop, value.step)
        return ast.Slice(*(None if end is None else ast.Constant(end) for end in ends))
    if isinstance(value, tuple) and any(isinstance(each, slice) for each in value):
        return ast.Tuple([_sliced_constant(each) for each in value])
    return ast.Constant(value)  # pyright: ignore[reportArgumentType]


def _is_none(value: object) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _extended(value: ast.expr) -> list[ast.expr]:
    if isinstance(value, ast.Constant) and isinstance(value.value, tuple):
        return [ast.Constant(each) for each in value.value]
    if isinstance(value, ast.Tuple):
        return value.elts
    return [_node(ast.Starred(value), value)]


def _word(value: Any) -> str:
    return _names([value])[0]
