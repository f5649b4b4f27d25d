"""Attention: which keys each query looks at, and how much, found by running the layer; and how heads share keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...layers import attention
from ..said import Said
from ..scene import Frame, Grid, Link, Mark, Scene, Style
from .kinds import At, scenes
from .parts import breadth, drawn, notes, sizes, twin

_MOST = 6  # queries, and keys

_PLAIN = Said("{name}: every query looks at every key", "{name}：每个查询看所有的键")
_WINDOW = Said("{name}: keys fewer than {window} steps away", "{name}：只看相距不到 {window} 步的键")
_CAUSAL = Said("use_causal_mask=True: no query looks at later keys", "use_causal_mask=True：查询不看后面的键")
_EARLIER = Said("{name}: no query looks at later keys", "{name}：查询不看后面的键")
_PADDED = Said("A padding mask: no query looks at masked keys", "填充掩码：查询不看被掩掉的键")
_KEYS = Said("keys, values", "键、值")
_QUERIES = Said("query", "查询")
_WEIGHTS = Said("weights, %", "权重 (%)")
_HEAD = Said("head {index}, %", "头 {index} (%)")
_OUTPUT = Said("output", "输出")
_ROW = Said(
    "Output {query} is a mean of the values {keys}, weighted by how well query {query} agrees with their keys.",
    "输出 {query} 是值 {keys} 的加权平均，权重由查询 {query} 与各个键的匹配程度决定。",
)
_ALONE = Said("Output {query} takes value {keys} alone.", "输出 {query} 只取值 {keys}。")
_NONE = Said("Query {query} may look at no key.", "查询 {query} 没有可看的键。")
_RANDOM = Said(
    "The weights of each row add up to 100 %; here they come from random inputs.",
    "每行权重之和为 100%；这里的数值来自随机输入。",
)
_CUT = Said("Drawn with {drawn} of {full} (queries, keys).", "只画出 {full}（查询、键）中的 {drawn}。")
_FEWER = Said("Drawn: {drawn} of {full} heads.", "只画出 {full} 个头中的 {drawn} 个。")


def _shapes(at: At) -> list[tuple]:
    """Of query, value and key; a layer that is called on one tensor attends to it."""
    shapes = [*at.inputs] * (3 if len(at.inputs) == 1 else 1)
    return shapes if len(shapes) > 2 else [*shapes, shapes[1]]


def _looks(layer: Any, at: At) -> tuple[Callable[..., Tensor], tuple[int, int]]:
    """A function from masked keys and options of a call to weights (heads, queries, keys); how many of the latter."""
    projected = isinstance(layer, attention._Projected)
    shapes = [list(shape[1:]) for shape in _shapes(at)]
    axes = [axis - 1 for axis in layer.attention_axes] if projected else [len(shapes[0]) - 2]
    most = _MOST if len(axes) == 1 else math.isqrt(_MOST + 3)
    for shape in shapes:
        shape[:-1] = [min(size or most, most) if axis in axes else 1 for axis, size in enumerate(shape[:-1])]
    counts = tuple(math.prod(shape[axis] for axis in axes) for shape in shapes[:2])
    shapes = shapes if projected or len(at.inputs) > 2 else shapes[:2]
    made = twin(layer, *shapes, positive=False)
    inputs = [0.7 * drawn((1, *shape), min(seed, len(at.inputs) - 1)) for seed, shape in enumerate(shapes)]

    def run(hidden: Sequence[int] = (), **options: Any) -> Tensor:
        mask = torch.ones(1, counts[1], dtype=torch.bool)
        mask[0, [*hidden]] = False
        if hidden:
            options |= {"value_mask": mask.reshape(1, *shapes[1][:-1])} if projected else {"mask": [None, mask]}
        with torch.no_grad():
            weights = made(*(inputs if projected else [inputs]), **options, return_attention_scores=True)[1]
        return weights.reshape(-1, *counts)

    return run, (counts[0], counts[1])


# Who looks at whom ------------------------------------------------------------------------------------------------


def _scene(at: At, title: str, seen: Tensor, hidden: Sequence[int], remarks: Sequence[str], count: int) -> Scene:
    """`seen` (heads, queries, keys): a grid for each head, its rows in line with the queries."""
    heads, queries, keys = seen.shape
    top, left = 3.0, 3.5
    step = max(keys, breadth(_KEYS(at.language)), breadth(_HEAD(at.language, index=10))) + 1.5
    masked: dict[int, Style] = dict.fromkeys(hidden, "masked")
    grids = [
        Grid("query", queries, 1, (0.0, top), {i: f"q{i + 1}" for i in range(queries)}, title=_QUERIES(at.language))
    ]
    for head in range(heads):
        x = left + head * step
        said = _WEIGHTS(at.language) if count == 1 else _HEAD(at.language, index=head + 1)
        texts = {cell: f"{100 * value:.0f}" for cell, value in enumerate(seen[head].flatten().tolist()) if value > 0}
        styles: dict[int, Style] = {cell: "masked" for cell in range(queries * keys) if cell not in texts}
        names = {j: f"k{j + 1}" for j in range(keys)}
        grids.append(Grid(f"keys {head + 1}", 1, keys, (x, 0.0), names, masked, title=_KEYS(at.language)))
        grids.append(Grid(f"weights {head + 1}", queries, keys, (x, top), texts, styles, title=said))
    last = (left + heads * step, top)
    grids.append(Grid("output", queries, 1, last, {i: f"y{i + 1}" for i in range(queries)}, title=_OUTPUT(at.language)))
    frames = []
    for i in range(queries):
        looked = [j for j in range(keys) if (seen[:, i, j] > 0).any()]
        said = _ROW if len(looked) > 1 else _ALONE if looked else _NONE
        marks = [Mark("query", i), Mark("output", i)]
        for head in range(heads):
            at_all = [j for j in range(keys) if seen[head, i, j] > 0]
            marks += [Mark(f"keys {head + 1}", j, head if count > 1 else -1) for j in at_all]
            marks += [Mark(f"weights {head + 1}", i * keys + j, head if count > 1 else -1) for j in at_all]
        listed = ", ".join(str(j + 1) for j in looked)
        frames.append(Frame(said(at.language, query=i + 1, keys=listed), marks))
    return Scene(title, grids, frames, notes=notes(grids, *remarks))


@scenes.register(attention._Projected)
@scenes.register(attention.Attention)
def _(layer: Any, at: At) -> list[Scene]:
    run, (queries, keys) = _looks(layer, at)
    query, value, _ = _shapes(at)
    axes = getattr(layer, "attention_axes", (len(query) - 2,))
    window = getattr(layer, "sliding_window", None)
    whole = run()
    cases: list[tuple[Said, Tensor, tuple[int, ...]]] = [
        (_PLAIN if (whole > 0).all() else _WINDOW if window else _EARLIER, whole, ())
    ]
    if len(axes) == 1 and cases[0][0] is not _EARLIER:
        cases.append((_CAUSAL, run(use_causal_mask=True), ()))
    if keys > 1:
        hidden = tuple(range(max(keys - 2, 1), keys))
        cases.append((_PADDED, run(hidden), hidden))
    full = [shape[axis] for shape in (query, value) for axis in axes]
    found = []
    for index, (title, weights, hidden) in enumerate(cases):
        shown = min(len(weights), 1 if index else 3)
        remarks = [_RANDOM(at.language)]
        if None not in full and math.prod(full) > queries * keys:
            sides = (sizes([math.prod(full[: len(axes)]), math.prod(full[len(axes) :])]), sizes((queries, keys)))
            remarks.append(_CUT(at.language, full=sides[0], drawn=sides[1]))
        if shown < len(weights):
            remarks.append(_FEWER(at.language, drawn=shown, full=len(weights)))
        said = title(at.language, name=type(layer).__name__, window=window)
        found.append(_scene(at, said, weights[:shown], hidden, remarks, len(weights)))
    if isinstance(layer, attention._Projected):
        found.insert(1, _heads(layer, at))
    return found


# Heads ------------------------------------------------------------------------------------------------------------

_SPLIT = Said(
    "{name}: {queries} heads of queries, {others} of keys and values", "{name}：{queries} 个查询头，{others} 个键值头"
)
_OF_QUERIES = Said("queries: {count} × {size}", "查询：{count} × {size}")
_OF_KEYS = Said("keys, values: {count} × {size}", "键、值：{count} × {size}")
_RESULTS = Said("results: {count} × {size}", "结果：{count} × {size}")
_JOINED = Said("output: {sizes}", "输出：{sizes}")
_OWN = Said("Head {head} has keys and values of its own.", "第 {head} 个头有自己的键和值。")
_SHARED = Said(
    "Head {head} of the queries is one of {count} that share head {other} of the keys and values.",
    "第 {head} 个查询头是共用第 {other} 个键值头的 {count} 个查询头之一。",
)
_TOGETHER = Said("One more product mixes the results of all heads.", "最后再用一个矩阵把所有头的结果混合起来。")


def _heads(layer: Any, at: At) -> Scene:
    queries = getattr(layer, "num_heads", None) or layer.num_query_heads
    others = getattr(layer, "num_heads", None) or layer.num_key_value_heads
    size = getattr(layer, "key_dim", None) or layer.head_dim
    value_size = getattr(layer, "value_dim", None) or size
    share = queries // others
    drawn_others = min(others, max(8 // share, 1))
    shown = drawn_others * share
    language, both = at.language, sizes(tuple(dict.fromkeys((size, value_size))))

    def row(name: str, top: float, count: int, title: str) -> Grid:
        own = {head: head * drawn_others // count for head in range(count)}
        return Grid(name, 1, count, (0.0, top), {head: str(head + 1) for head in own}, colours=own, title=title)

    output = _JOINED(language, sizes=sizes(at.outputs[0][-1:]))
    grids = [
        row("query heads", 0.0, shown, _OF_QUERIES(language, count=queries, size=size)),
        row("key heads", 3.5, drawn_others, _OF_KEYS(language, count=others, size=both)),
        row("results", 7.0, shown, _RESULTS(language, count=queries, size=value_size)),
        Grid("output", 1, 1, ((shown - 1) / 2, 10.5), {0: "y"}, title=output),
    ]
    links, frames = [], []
    for head in range(shown):
        now = [
            Link(("query heads", head), ("key heads", head // share)),
            Link(("key heads", head // share), ("results", head)),
        ]
        links += [*now, Link(("results", head), ("output", 0))]
        said = _OWN if share == 1 else _SHARED
        marks = [Mark("query heads", head), Mark("key heads", head // share), Mark("results", head)]
        frames.append(
            Frame(
                said(language, head=head + 1, other=head // share + 1, count=share),
                marks,
                [link._replace(colour=0) for link in now],
            )
        )
    into = [Link(("results", head), ("output", 0), 0) for head in range(shown)]
    frames.append(
        Frame(_TOGETHER(language), [Mark("output", 0), *(Mark("results", head) for head in range(shown))], into)
    )
    remarks = [_FEWER(language, drawn=shown, full=queries)] if shown < queries else []
    title = _SPLIT(language, name=type(layer).__name__, queries=queries, others=others)
    return Scene(title, grids, frames, links, notes=notes(grids, *remarks))
