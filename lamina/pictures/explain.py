"""What a layer does, in pictures and a few lines; several beside each other; the layers of a model."""

from __future__ import annotations

import functools
import html
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch.utils import _pytree as pytree

from .. import layers
from ..core import symbolic
from ..core.errors import named, short, show_shape
from ..core.layer import Layer
from ..core.symbolic import SymbolicTensor
from ..layers import attention, convolution, merge, recurrent
from ..layers.spatial import Spatial
from .cost import UNKNOWN, Row, costs, count_of
from .facts import Facts, facts
from .field import fields_after, fields_of_inputs, shown
from .said import LANGUAGES, Language, sentences
from .scene import Scene
from .scenes import At, scenes
from .scenes.kinds import together
from .table import printed, style_sheet
from .table import shown as as_markup

Line = tuple[str, str]  # a label, and a text
WIDTH = 80  # columns of a text

_SAID = sentences("explain")
STYLE = style_sheet("explain.css")


def explain(
    layer: Any, input_shape: Any = None, language: Language = "en", *, layer_name: str | None = None, title: str = ""
) -> Any:
    """Pictures of a layer and what there is to say of it; of a list of layers, a comparison; of a model, its layers.

    input_shape: without the batch, such as (32, 16), or a list of them for several inputs; left out, that of a built
    layer, else a small one. language: "en" or "zh". layer_name: of a model, the layer to explain besides.
    The result shows itself in a notebook; `print` writes it as text, `save` as .svg, .png, .html or .txt.
    The layer stays as it is. Raises ValueError for a shape or a language that does not fit, TypeError for no layer.
    """
    if language not in LANGUAGES:
        raise ValueError(f"explain: `language` must be one of {LANGUAGES}; got {short(language)}.")
    if isinstance(layer, (list, tuple)):
        return compare(*layer, input_shape=input_shape, language=language)
    if not isinstance(layer, Layer):
        raise TypeError(f"explain: expected a layer or a model; got {short(layer)}.")
    if hasattr(layer, "get_layer"):
        return ModelExplanation(_built_model(layer, input_shape), language, layer_name)
    if layer_name is not None:
        raise ValueError(f"explain: `layer_name` is for models; got a {type(layer).__name__}.")
    return Explanation(_call(layer, input_shape), language, title)


def compare(*layers: Any, input_shape: Any = None, language: Language = "en", titles: Sequence[str] = ()) -> Comparison:
    """Explanations of layers beside each other, on the same input, with what each costs."""
    if not layers:
        raise ValueError("compare: give one layer or more.")
    named_layers = zip(layers, titles or ("",) * len(layers), strict=True)
    return Comparison([explain(layer, input_shape, language, title=title) for layer, title in named_layers], language)


class _Shown:
    """What shows itself: subclasses say their text, their pictures, and their page."""

    language: Language
    title: str

    def _pictures(self) -> list[list[Scene]]:
        """Pictures in groups: those of a group below each other."""
        raise NotImplementedError

    def text(self, width: int = WIDTH, frames: int | None = None) -> str:
        """All of it as text, in lines of at most `width` columns.

        `frames` of each picture; by default as many of the first as fit, and one of the others.
        """
        from .scene_text import text

        return "\n".join(block if isinstance(block, str) else text(*block) for block in self.blocks(width, frames))

    def blocks(self, width: int, frames: int | None = None) -> Iterator[str | tuple[Scene, int, int | None]]:
        """Texts, and pictures with their width and number of frames, in order."""
        first = True
        for block in self._blocks(width):
            if isinstance(block, str):
                first = True
                yield block
            else:
                yield block, width, frames if frames is not None or first else 1
                first = False

    def _blocks(self, width: int) -> Iterator[str | Scene]:
        """Texts and pictures in their order."""
        raise NotImplementedError

    __str__ = text

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.title}>"

    def _repr_html_(self) -> str:
        return f'<div class="lamina-page">{STYLE}{self._body()}</div>'

    def _body(self) -> str:
        """All of it as HTML."""
        raise NotImplementedError

    def _repr_svg_(self) -> str | None:
        return self.svg() if any(self._pictures()) else None

    def svg(self, still: bool = False) -> str:
        """The pictures as one SVG, which moves unless `still`. Raises ValueError where there is none."""
        from .scene_shapes import picture
        from .scene_svg import stacked, svg

        columns = []
        for group in self._drawn():
            drawn = [picture(scene) for scene in group]
            sizes = [(each.width, each.height) for each in drawn]
            whole = stacked([svg(scene, still) for scene in group], sizes)
            columns.append((whole, (max(w for w, _ in sizes), sum(h for _, h in sizes))))
        return stacked(*map(list, zip(*columns, strict=True)), across=True) if len(columns) > 1 else columns[0][0]

    def _drawn(self) -> list[list[Scene]]:
        groups = [group for group in self._pictures() if group]
        if not groups:
            raise ValueError(f"explain: there is no picture of {self.title}; save it as .html or .txt.")
        return groups

    def save(self, path: str | Path) -> None:
        """Write it: .svg and .png hold the pictures, .html and .txt all of it."""
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == ".svg":
            path.write_text(self.svg(), encoding="utf-8")
        elif suffix == ".png":
            from .scene_png import png

            path.write_bytes(png(self._drawn()))
        elif suffix in (".html", ".htm"):
            path.write_text(page(self.title, self._repr_html_(), self.language), encoding="utf-8")
        elif suffix == ".txt":
            path.write_text(self.text(), encoding="utf-8")
        else:
            raise ValueError(f"explain: the name must end in .svg, .png, .html or .txt; got {str(path)!r}.")


class Explanation(_Shown):
    """Pictures of one layer, `scenes`, and what there is to say, `facts` and `lines`; `at` tells the shapes."""

    def __init__(self, call: Call, language: Language, title: str = ""):
        self.layer, self.language = call.layer, language
        self.title = title or written(call.layer)
        self.at = At(call.shapes(call.arguments), call.shapes(call.outputs), language)
        self.scenes = scenes(call.layer, self.at)
        self.numbers = _numbers(call)

    @functools.cached_property
    def facts(self) -> Facts | None:
        try:
            return facts(self.layer, self.at)
        except KeyError:  # there are no words for layers that people write themselves
            return None

    @functools.cached_property
    def lines(self) -> list[Line]:
        if self.facts is not None:
            return list(self.facts.lines)
        inputs, outputs, *rest = self.numbers
        words = (_SAID.shapes, _SAID.parameters, _SAID.multiply_adds, _SAID.field)
        return [*zip([word(self.language) for word in words], [f"{inputs} → {outputs}", *rest], strict=True)]

    def _pictures(self) -> list[list[Scene]]:
        return [self.scenes]

    def _blocks(self, width: int) -> Iterator[str | Scene]:
        yield f"{self.title}\n"
        yield _listed(self.lines, width)
        yield from self.scenes

    def _body(self) -> str:
        from .scene_svg import svg

        pictures = "".join(svg(scene) for scene in self.scenes)
        return f"<h3><code>{safe(self.title)}</code></h3>{table_of_lines(self.lines)}<div>{pictures}</div>"


class Comparison(_Shown):
    """Explanations of several layers, `of`, with a table of what each costs."""

    def __init__(self, of: Sequence[Any], language: Language):
        self.of, self.language = list(of), language
        self.title = ", ".join(each.title for each in of)

    def _pictures(self) -> list[list[Scene]]:
        return [group for each in self.of for group in each._pictures()]

    def table(self) -> list[list[str]]:
        """A row of headings, and one for each layer: what it is, output shape, parameters, multiply-adds, field."""
        words = (_SAID.layer, _SAID.output, _SAID.parameters, _SAID.multiply_adds, _SAID.field)
        rows = [[each.title, *each.numbers[1:]] for each in self.of]
        return [[word(self.language) for word in words], *rows]

    def _blocks(self, width: int) -> Iterator[str | Scene]:
        yield _tabulated(self.table(), width)
        for each in self.of:
            yield "═" * width + "\n"
            yield from each._blocks(width)

    def _body(self) -> str:
        beside = "".join(f"<div>{each._body()}</div>" for each in self.of)
        return f'{_table(self.table())}<div class="beside">{beside}</div>'


class ModelExplanation(_Shown):
    """The layers of a model, a line each; its diagram; and the explanation of one layer, where a name was given."""

    def __init__(self, model: Any, language: Language, layer_name: str | None):
        self.model, self.language, self.title = model, language, model.name
        self.layer = None
        if layer_name is not None:
            layer = model.get_layer(layer_name)
            self.layer = Explanation(_call(layer, None), language, f"{layer.name}: {written(layer)}")

    def table(self) -> list[list[str]]:
        """A row of headings, one for each layer, and the total."""
        total, rows, _ = costs(self.model)
        words = (_SAID.layer, _SAID.type, _SAID.output, _SAID.parameters, _SAID.multiply_adds, _SAID.field)
        lines = [[word(self.language) for word in words]]
        for layer in self.model.layers:
            row = rows.get(id(layer), Row(UNKNOWN, "?"))
            outputs = layer._nodes[-1].outputs if layer._nodes else None
            shape = "?" if outputs is None else _sizes(Call.shapes(outputs))
            count = f"{layer.count_params():,}" if layer.built else "?"
            lines.append([layer.name, type(layer).__name__, shape, count, str(row.multiply_adds), row.field])
        parameters = sum(weight.numel() for weight in self.model.weights)
        return [*lines, [_SAID.total(self.language), "", "", f"{parameters:,}", str(total), ""]]

    def _pictures(self) -> list[list[Scene]]:
        return [] if self.layer is None else self.layer._pictures()

    def _blocks(self, width: int) -> Iterator[str | Scene]:
        yield f"{_SAID.model(self.language)} {self.model.name}\n"
        yield _tabulated(self.table(), width)
        if self.layer is not None:
            yield from self.layer._blocks(width)

    def _body(self) -> str:
        one = "" if self.layer is None else self.layer._body()
        title = f"<h3>{_SAID.model(self.language)} <code>{safe(self.model.name)}</code></h3>"
        return f"{title}{_table(self.table())}{one}{self.diagram() or ''}"

    def diagram(self) -> str | None:
        """The model's graph as SVG; None for a model that is not built."""
        from .diagram import Shown, diagram
        from .drawing import drawn

        try:
            made = diagram(self.model, Shown(shapes=True))
        except ValueError:
            return None
        return drawn(made, "TB", "ortho", "svg", 96).decode()

    def svg(self, still: bool = False) -> str:
        """The pictures of the named layer; without one, the diagram."""
        found = None if self.layer is not None else self.diagram()
        return super().svg(still) if found is None else found


# Calls ----------------------------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """A call of a built layer: symbolic tensors in, and out."""

    layer: Any
    arguments: tuple
    outputs: Any

    @staticmethod
    def shapes(structure: Any) -> tuple:
        """Of all tensors, the batch unknown."""
        leaves = [leaf for leaf in pytree.tree_leaves(structure) if isinstance(leaf, SymbolicTensor)]
        return tuple((None, *leaf.shape[1:]) for leaf in leaves)


class Numbers(NamedTuple):
    """What a call takes, gives and costs, as texts."""

    inputs: str
    outputs: str
    parameters: str
    multiply_adds: str
    field: str


def _numbers(call: Call) -> Numbers:
    layer, inputs, outputs = call.layer, call.shapes(call.arguments), call.shapes(call.outputs)
    before = [fields_of_inputs(SymbolicTensor(shape)) for shape in inputs]
    last = getattr(layer, "channels_last", True)
    field = shown([fields_after(layer, before, inputs[0], outputs[0], last)])
    count = count_of(layer, call.arguments, {}, call.outputs)
    return Numbers(_sizes(inputs), _sizes(outputs), f"{layer.count_params():,}", str(count), field)


def _sizes(shapes: Sequence[tuple]) -> str:
    """Shapes without the batch."""
    return ", ".join(show_shape(tuple("?" if size is None else size for size in shape[1:])) for shape in shapes)


def _call(layer: Any, input_shape: Any) -> Call:
    """A call of the layer as it was built or called; of a copy, for another shape or where it is not built."""
    if input_shape is None and layer.built and not layer._stateless:
        if layer._nodes:
            node = layer._nodes[-1]
            return Call(layer, tuple(arg for arg in node.args if symbolic.any_symbolic(arg)), node.outputs)
        if layer._build_shapes is not None:
            args, kwargs = layer._build_shapes
            found = pytree.tree_leaves([*args, *kwargs.values()], is_leaf=_is_shape)
            shapes = [(None, *shape[1:]) for shape in found if _is_shape(shape)]
            return _tried(layer, [together(layer, shapes)], infer=True)
    if input_shape is None and layer._nodes:
        return Call(layer, layer._nodes[-1].args, layer._nodes[-1].outputs)
    copy = type(layer).from_config(layer.get_config())
    if input_shape is not None:
        shapes = [input_shape] if _is_shape(input_shape) else list(input_shape)
        if not shapes or not all(map(_is_shape, shapes)):
            raise ValueError(
                f"explain: `input_shape` must be a shape without the batch, such as (32, 16), or a list of them; "
                f"got {short(input_shape)}."
            )
        if len(shapes) == 1 and isinstance(layer, (merge.OfSeveral, attention._Projected)):
            shapes *= 2
        return _tried(copy, [together(layer, [(None, *shape) for shape in shapes])])
    return _tried(copy, (together(layer, [(None, *shape) for shape in shapes]) for shapes in usual_inputs(layer)))


def _is_shape(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(size is None or type(size) is int for size in value)


def _tried(layer: Any, candidates: Iterable[tuple], infer: bool = False) -> Call:
    """The call of the first arguments that the layer takes. Raises what it raises on the last ones."""
    last: Exception | None = None
    dtype = layer.input_dtype or "float32"
    batch = 1 if getattr(layer, "stateful", False) else None  # states have as many rows as the batch

    def made(shape: tuple) -> SymbolicTensor:
        shape = (batch, *shape[1:])
        return SymbolicTensor(shape, dtype) if infer else layers.Input(batch_shape=shape, dtype=dtype)

    for shapes in candidates:
        arguments = tuple(symbolic.map_shapes(made, shape) for shape in shapes)
        try:
            return Call(layer, arguments, symbolic.infer(layer, arguments, {}) if infer else layer(*arguments))
        except (ValueError, TypeError, NotImplementedError, IndexError, RuntimeError) as error:
            last = error
    if last is None:
        raise ValueError(f"explain: {named(layer)} is called in no usual way; build it first.")
    raise last


# Small inputs that show what a layer does ---------------------------------------------------------------------------

_USUAL = ((6, 4), (4,), (6, 6, 3), (4, 6, 6, 3), (4, 6, 3), (3, 4, 4, 4, 2))  # (steps, features), and so on
_SIZES = {1: 12, 2: 6, 3: 4}  # of spatial axes, by rank


@functools.singledispatch
def usual_inputs(layer: Any) -> Iterator[list[tuple]]:
    """Shapes of inputs, without the batch, to explain a layer with; the first ones that it takes will do."""
    yield from ([shape] for shape in _USUAL)


@usual_inputs.register
def _(layer: Spatial) -> Iterator[list[tuple]]:
    groups = getattr(layer, "groups", None) or 1
    channels = (4 if layer.rank == 1 else 3) if groups == 1 else 2 * groups
    kernel, dilation = getattr(layer, "kernel_size", ()), getattr(layer, "dilation_rate", ())
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation or (1,) * len(kernel), strict=True)] or [1]
    base = _SIZES.get(layer.rank, 4)
    if isinstance(layer, convolution.ConvTranspose):
        base = {1: 5, 2: 3}.get(layer.rank, 2)
    else:
        base = max(base, max(spans) + 2)
    for times in (1, 2, 4, 16):
        yield [layer.with_spatial((None, None, None), (base * times,) * layer.rank, channels)[1:]]


for _kind, _size in ((recurrent._Cell, 4), (layers.StackedRNNCells, 4), (layers.Embedding, 6)):
    usual_inputs.register(_kind, lambda layer, size=_size: iter([[(size,)]]))


@usual_inputs.register
def _(layer: layers.Reshape) -> Iterator[list[tuple]]:
    known = math.prod(abs(size) for size in layer.target_shape)
    yield [(known * (6 if -1 in layer.target_shape else 1),)]


@usual_inputs.register(merge.OfSeveral)
@usual_inputs.register(attention._Projected)
def _(layer: Any) -> Iterator[list[tuple]]:
    wide = 8 if isinstance(layer, (attention._Projected, layers.Attention)) else 4
    yield [(6, wide), (6, wide)]
    yield [(wide,), (wide,)]
    yield [(6, 6, 3), (6, 6, 3)]


def _built_model(model: Any, input_shape: Any) -> Any:
    if model.built or input_shape is None:
        return model
    copy = type(model).from_config(model.get_config())
    copy.build((None, *input_shape))
    return copy


def written(layer: Any) -> str:
    """A layer in a line, as its constructor is called: `Bidirectional(LSTM(4))`."""
    inside = layer.extra_repr()
    layers = getattr(layer, "_inner_layers", ())
    if hasattr(layer, "forward_layer") or hasattr(layer, "layer"):
        first = written(next(iter(layers))) if layers else ""
        inside = ", ".join(part for part in (first, inside) if part)
    return f"{type(layer).__name__}({inside})"


# Texts and pages ------------------------------------------------------------------------------------------------------


def _listed(lines: Sequence[Line], width: int) -> str:
    from .scene_text import columns_of, wrapped

    indent = min(max((columns_of(label) for label, _ in lines), default=0) + 2, width // 2)
    result = []
    for label, text in lines:
        start = label + " " * max(indent - columns_of(label), 2)
        for number, part in enumerate(text.split("\n") or [""]):
            begin = start if not number else " " * indent
            rest = wrapped(part, width - indent)
            result.append(f"{begin}{rest[0]}".rstrip())
            result += [" " * indent + line for line in rest[1:]]
    return "\n".join(result) + "\n"


def _tabulated(rows: Sequence[Sequence[str]], width: int) -> str:
    """A table by rich, without colours."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(rows[0]):
        side: Literal["left", "right"] = "right" if number and _counts(rows, number) else "left"
        table.add_column(as_markup(heading), overflow="fold", justify=side)
    for row in rows[1:]:
        table.add_row(*map(as_markup, row))
    lines = printed([table], width, plain=True).strip("\n").split("\n")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _counts(rows: Sequence[Sequence[str]], column: int) -> bool:
    return any(row[column].replace(",", "").isdigit() for row in rows[1:])


def _table(rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f"<th>{safe(text)}</th>" for text in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{safe(text)}</td>' for text in row)}</tr>" for row in rows[1:])
    return f"<table><tr>{heads}</tr>{body}</table>"


def table_of_lines(lines: Sequence[Line]) -> str:
    rows = "".join(f"<tr><th>{safe(label)}</th><td>{safe(text)}</td></tr>" for label, text in lines)
    return f"<table>{rows}</table>"


def safe(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")


def page(title: str, body: str, language: Language) -> str:
    """A whole page of HTML."""
    return (
        f'<!doctype html>\n<html lang="{"zh-CN" if language == "zh" else "en"}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{safe(title)}</title>'
        f"{style_sheet('document.css')}</head><body>{body}</body></html>\n"
    )
