"""What a plan does at one go: layers that take in the ones behind them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from torch.utils import _pytree as pytree

from . import care
from .scope import Watched
from .symbolic import Node, SymbolicTensor

if TYPE_CHECKING:
    from .layer import Layer

F = TypeVar("F", bound=Callable)


def grants(*wishes: str, says: str = "") -> Callable[[F], F]:
    """Says of a `call` what a plan, or a layer that holds this one, may ask for beside its arguments.

    "relu": `relu=True` ends in the positive part, `relu=False` in nothing, whatever the layer itself does. "affine":
    `affine=(scale, shift)` for the result before that. "time_first": how to lay the result out in memory. "sweep": a
    cell's `sweep` computes the same for a whole sequence. The keywords are no part of the signature that users see.
    `says` tells what a plan may rely on: "elementwise": nothing but the activation. "largest": results are some of the
    inputs, larger ones where these are. "time_first": inputs are read fastest with time as the first axis in memory.
    A class that writes `call` anew grants and says nothing until it does so itself.
    """

    def mark(call: F) -> F:
        signature = inspect.signature(call)
        own = [signature.parameters[name] for name in wishes if name in signature.parameters]
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in own)  # users may pass any by position
        seen = [parameter for name, parameter in signature.parameters.items() if name not in wishes]
        vars(call).update(granted=frozenset(wishes), said=says, __signature__=signature.replace(parameters=seen))
        return call

    return mark


def around(layer: Any, call: Callable, *first: object) -> Callable:
    """What may stand in place of a layer's `call`, to which it hands all keywords on: it grants what that does."""
    made = functools.partial(call, *first)
    vars(made).update(vars(layer.call))
    return made


def granted(layer: Any) -> frozenset[str]:
    """The wishes that a layer's `call` grants."""
    return getattr(layer.call, "granted", frozenset())


def _says(layer: Any, fact: str) -> bool:
    return getattr(layer.call, "said", "") == fact


class Call:
    """A line of a plan: a node, what it puts out, which values nothing needs after it.

    `last`: the layer whose result it is; where that is the one behind the node's, `both` takes the first one's call and
    its inputs. `options`: wishes for the call.
    """

    def __init__(self, node: Node):
        self.node, self.outputs, self.last = node, node.outputs, node.layer
        self.both: Callable | None = None
        self.options: dict[str, bool] = {}
        self.ended: list[SymbolicTensor] = []


def calls(nodes: Sequence[Node], final: Iterable[Any]) -> list[Call]:
    """The calls that compute the `final` tensors, in the order of the nodes."""
    needed = {id(tensor) for tensor in final}
    readers: dict[int, list[Node]] = {}
    for node in nodes:
        for tensor in node.inputs:
            readers.setdefault(id(tensor), []).append(node)

    def behind(call: Call) -> Node | None:
        """The only reader of a call's result, where both can run as one."""
        found = [] if id(call.outputs) in needed else readers.get(id(call.outputs), [])
        alone = len(found) == 1 and len(found[0].args) == 1 and not found[0].kwargs
        return found[0] if alone and _bare(call.node.layer, found[0].layer) else None

    lines: list[Call] = []
    done: set[int] = set()
    positive: set[int] = set()  # calls whose result is to pass a ReLU from further up
    for node in nodes:
        if id(node) in done:
            continue
        lines.append(call := Call(node))
        layer, taken = node.layer, [node]
        if id(node) in positive:
            call.options["relu"] = True
        elif (next_to := behind(call)) is not None and (both := next_to.layer.behind(layer)) is not None:
            taken.append(next_to)
            call.both, call.last, call.outputs = both, next_to.layer, next_to.outputs
        ends_in_relu = _ends_in_relu(call.last)
        if ends_in_relu is not None and (next_to := behind(call)) is not None and _is_relu(next_to.layer):
            taken.append(next_to)
            call.outputs, call.options["relu"], ends_in_relu = next_to.outputs, True, True
        # A ReLU and the largest of a window may change places, and fewer values pass the ReLU then.
        if ends_in_relu and (next_to := behind(call)) is not None and _may_go_first(next_to.layer):
            call.options["relu"] = False
            positive.add(id(next_to))
        done.update(map(id, taken))
        if "time_first" in granted(layer) and not layer._care & care.IN_PLAN:
            users = readers.get(id(call.outputs), [])
            if users and all(_says(user.layer, "time_first") for user in users):
                call.options["time_first"] = True

    for call in reversed(lines):
        here = {id(tensor): tensor for tensor in (*call.node.inputs, *pytree.tree_leaves(call.outputs))}
        call.ended = [tensor for key, tensor in here.items() if key not in needed]
        needed.update(here)
    return lines


def _ends_in_relu(layer: Layer) -> bool | None:
    """None unless the layer's `call` can be told."""
    return layer.ends_in_relu if "relu" in granted(layer) else None


def _is_relu(layer: Layer) -> bool:
    return bool(layer.ends_in_relu) and _says(layer, "elementwise")


def _may_go_first(layer: Layer) -> bool:
    """Whether a ReLU in front of it may as well be done by it."""
    return _says(layer, "largest") and _ends_in_relu(layer) is not None


def _bare(layer: Layer, follower: Layer) -> bool:
    """Whether nothing has to happen between the calls of the two."""
    return not (layer._care | follower._care) & (care.IN_PLAN | care.ANSWERS) and follower._compute == layer._compute


def watched(call: Call) -> Watched | None:
    """What can stand for the softmax or sigmoid that a call ends in, where the layer can leave that to the plan."""
    node, layer = call.node, call.node.layer
    alone = _says(layer, "elementwise") and len(node.args) == 1 and not node.kwargs
    may = call.last is layer and not layer._care & care.IN_PLAN and ("relu" in granted(layer) or alone)
    held = vars(layer).get("activation")
    if not may or layer.log_space is None:
        return None
    lasting = isinstance(held, Watched) and type(held) is not Watched  # others stand in while a step looks for them
    return held if lasting else Watched(layer.log_space)
