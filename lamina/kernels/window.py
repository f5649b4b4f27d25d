"""Arithmetic of windows sliding over an axis: sizes, pads, fit, fields, cost. ``None`` is an unknown size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, overload

Pair = tuple[int, int]
Padding = str | Pair


def extent(kernel: int, dilation: int = 1) -> int:
    """Elements between the first and the last tap of a window, both included."""
    return (kernel - 1) * dilation + 1


def known(sizes: Iterable[int]) -> bool:
    """Whether all sizes are numbers, not symbols of torch.export, which nothing may be decided by."""
    return all(type(size) is int for size in sizes)


@overload
def pads(size: int, kernel: int, stride: int = 1, padding: Padding = "valid", dilation: int = 1) -> Pair: ...
@overload
def pads(
    size: None, kernel: int, stride: int = 1, padding: Padding = "valid", dilation: int = 1
) -> Pair | tuple[None, None]: ...
def pads(
    size: int | None, kernel: int, stride: int = 1, padding: Padding = "valid", dilation: int = 1
) -> Pair | tuple[None, None]:
    """Elements added before and after the axis.

    ``"same"`` follows TensorFlow: as many outputs as strides begin in the input, the odd pad at the end. ``"causal"``
    puts all before, so that no output sees later inputs; ``"full"`` adds every partial overlap; a pair stays as it is.
    Of an unknown size the pads are None where they depend on it.
    """
    reach = extent(kernel, dilation) - 1
    if padding == "valid":
        return 0, 0
    if padding == "same":
        if stride == 1:
            return reach // 2, reach - reach // 2
        if size is None:
            return None, None
        total = ((size + stride - 1) // stride - 1) * stride + reach + 1 - size
        if reach + 1 < stride:  # only then below 0: a size that is a symbol is not compared where it need not be
            total = max(total, 0)
        return total // 2, total - total // 2
    if padding == "causal":
        return reach, 0
    if padding == "full":
        return reach, reach
    if isinstance(padding, str):
        raise ValueError(
            f"Unknown padding {padding!r} of a window. Expected 'valid', 'same', 'causal', 'full' or (before, after)."
        )
    return padding


@overload
def output_size(size: int, kernel: int, stride: int = 1, padding: Padding = "valid", dilation: int = 1) -> int: ...
@overload
def output_size(
    size: int | None, kernel: int, stride: int = 1, padding: Padding = "valid", dilation: int = 1
) -> int | None: ...
def output_size(
    size: int | None, kernel: int, stride: int = 1, padding: Padding = "valid", dilation: int = 1
) -> int | None:
    """Positions of the window along an axis; 0 where it does not fit once."""
    if size is None:
        return None
    before, after = pads(size, kernel, stride, padding, dilation)
    if padding == "same":
        return (size + stride - 1) // stride  # ONNX has no division that rounds negative numbers down
    return max((size + before + after - extent(kernel, dilation)) // stride + 1, 0)


def transposed_pads(
    kernel: int, stride: int = 1, padding: Padding = "valid", output_padding: int | None = None, dilation: int = 1
) -> Pair:
    """Elements a transposed convolution drops before and after; negative: zeros it appends.

    They are the pads of the forward window, which maps the result back onto the input. Without ``output_padding`` the
    result has ``size * stride`` elements for "same" and ``(size - 1) * stride + max(extent, stride)`` for "valid"; with
    it Keras counts from ``(size - 1) * stride + extent % 2`` and ``(size - 1) * stride + extent``.
    """
    span = extent(kernel, dilation)
    if padding == "valid":
        return 0, min(span - stride, 0) if output_padding is None else -output_padding
    if padding == "same":
        total = span - stride if output_padding is None else span - span % 2 - output_padding
        before = max(total, 0) // 2
        return before, total - before
    if isinstance(padding, str):
        raise ValueError(
            f"Unknown padding {padding!r} of a transposed convolution. Expected 'valid', 'same' or (before, after)."
        )
    return padding[0], padding[1] - (output_padding or 0)


def transposed_size(
    size: int | None,
    kernel: int,
    stride: int = 1,
    padding: Padding = "valid",
    output_padding: int | None = None,
    dilation: int = 1,
) -> int | None:
    """Size of an axis after a transposed convolution."""
    if size is None:
        return None
    return (
        (size - 1) * stride
        + extent(kernel, dilation)
        - sum(transposed_pads(kernel, stride, padding, output_padding, dilation))
    )


def taps(output: int, before: int, kernel: int, stride: int = 1, dilation: int = 1) -> range:
    """Places that the window at ``output`` reads, tap by tap, with ``before`` elements padded in front of the axis.

    Those outside the axis are padding. A transposed convolution writes to them: ``output`` is then a place of its
    input, and the places, ``before`` of which are dropped in front, are those of its result.
    """
    start = output * stride - before
    return range(start, start + extent(kernel, dilation), dilation)


def met(windows: int, size: int, before: int, kernel: int, stride: int = 1, dilation: int = 1) -> list[int]:
    """Taps that read an element of the axis in one of the windows, where others read padding alone."""

    def reads(tap: int) -> bool:
        place = tap * dilation - before  # in the first window
        first = max(-(place // stride), 0)  # window in which it is not before the axis
        return first < windows and first * stride + place < size

    return [tap for tap in range(kernel) if reads(tap)]


def transposed_taps(
    output: int, before: int, kernel: int, stride: int = 1, dilation: int = 1
) -> Iterator[tuple[int, int]]:
    """Taps by which a transposed convolution writes to ``output``, and the places of the input that they read."""
    for tap in range(kernel):
        place, rest = divmod(output + before - tap * dilation, stride)
        if not rest:
            yield tap, place


def part(output: int, size: int, parts: int) -> range:
    """Places of one of the nearly equal ``parts`` of an axis, which share the ones on their borders."""
    return range(output * size // parts, -(-(output + 1) * size // parts))


def check_fits(
    name: str,
    sizes: Sequence[int | None],
    kernel: Sequence[int],
    dilation: Sequence[int] | int = 1,
    padding: Padding | Sequence[Padding] = "valid",
    axes: Sequence[str] | None = None,
) -> None:
    """Raise ``ValueError`` where the window of ``name`` (a layer, a function) is larger than a padded spatial axis."""
    rank = len(kernel)
    dilations = (dilation,) * rank if isinstance(dilation, int) else dilation
    paddings = per_axis(padding, rank)
    for axis, (size, k, d, p) in enumerate(zip(sizes, kernel, dilations, paddings, strict=True)):
        if output_size(size, k, 1, p, d) == 0:
            span = f"{k}" if d == 1 else f"{k} (dilated to {extent(k, d)})"
            where = f"spatial axis {axis}" if axes is None else f"the {axes[axis]} axis"
            raise ValueError(
                f"{name}: a window of {span} does not fit into {where}, which has size {size} with "
                f"padding={p!r} (spatial sizes {tuple(sizes)}, window {tuple(kernel)}). "
                "Computed output size would be zero or negative. "
                "Use padding='same', a smaller window or dilation, or larger inputs."
            )


def per_axis(padding: Padding | Sequence[Padding | int], rank: int) -> Sequence[Padding]:
    """One padding an axis: a name stands for all axes, an integer for a symmetric pair."""
    if isinstance(padding, str):
        return (padding,) * rank
    return tuple((p, p) if isinstance(p, int) else p for p in padding)


class Field(NamedTuple):
    """What the outputs of a chain of windows along one axis see of its input, borders aside.

    Output ``n * len(spans) + i`` sees inputs ``n * step + first`` to ``n * step + last`` with first, last = spans[i]:
    one span alone, unless something enlarged the axis. A span is infinite where an output sees everything.
    """

    spans: tuple[tuple[float, float], ...] = ((0, 0),)
    step: int = 1

    @property
    def size(self) -> float:
        """The receptive field: most inputs from the first to the last that one output sees."""
        return max(0, *(last - first + 1 for first, last in self.spans))

    def span(self, position: int) -> tuple[float, float]:
        """First and last input that the output at ``position`` sees."""
        turns, index = divmod(position, len(self.spans))
        first, last = self.spans[index]
        return first + turns * self.step, last + turns * self.step

    def through(self, taps: Callable[[int], Iterable[int]], down: int = 1, up: int = 1) -> Field:
        """What is seen through one more layer, whose output ``o`` sees the positions ``taps(o)``.

        ``up`` outputs later it sees those ``down`` positions further on.
        """
        turns = len(self.spans) // math.gcd(len(self.spans), down)
        spans = []
        for output in range(turns * up):
            seen = [self.span(position) for position in taps(output)]
            first = min((first for first, _ in seen), default=math.inf)
            spans.append((first, max((last for _, last in seen), default=-math.inf)))
        return Field(tuple(spans), turns * down * self.step // len(self.spans))

    def window(
        self, kernel: int, stride: int = 1, padding: Padding = "valid", dilation: int = 1, size: int | None = None
    ) -> Field:
        """What is seen through a window, over an axis of ``size`` (unknown: a multiple of the stride)."""
        before, _ = pads(stride if size is None else size, kernel, stride, padding, dilation)
        return self.through(lambda output: taps(output, before, kernel, stride, dilation), stride)

    def transposed(
        self,
        kernel: int,
        stride: int = 1,
        padding: Padding = "valid",
        output_padding: int | None = None,
        dilation: int = 1,
    ) -> Field:
        """What is seen through a transposed convolution."""
        before, _ = transposed_pads(kernel, stride, padding, output_padding, dilation)
        seen = partial(transposed_taps, before=before, kernel=kernel, stride=stride, dilation=dilation)
        return self.through(lambda output: (place for _, place in seen(output)), 1, stride)

    def joined(self, other: Field) -> Field | None:
        """What is seen by the sum of two branches; None where their outputs do not stand at the same distances."""
        if math.inf in (self.size, other.size):
            return EVERYTHING
        if self.step * len(other.spans) != other.step * len(self.spans):
            return None
        period = math.lcm(len(self.spans), len(other.spans))
        pairs = [(self.span(i), other.span(i)) for i in range(period)]
        spans = tuple((min(a[0], b[0]), max(a[1], b[1])) for a, b in pairs)
        return Field(spans, self.step * period // len(self.spans))


EVERYTHING = Field(((-math.inf, math.inf),))


def multiply_adds(positions: Sequence[int], kernel: Sequence[int], inputs: int, outputs: int, groups: int = 1) -> int:
    """Multiply-adds of one sample: every output of every position sees ``inputs // groups`` channels of every tap.

    ``positions`` are the output's spatial sizes, those of the input for a transposed convolution.
    """
    return math.prod(positions) * math.prod(kernel) * (inputs // groups) * outputs
