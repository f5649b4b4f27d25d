"""`tf.SparseTensor`, which is torch's, and what CTC has to do with it: labels, decoded paths, their distances."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from ... import ops
from ...ops.base import as_index, tensor
from ..arithmetic import sparse_of, without_repeats
from .base import named, op, whole


@named("SparseTensor sparse.SparseTensor")
class SparseTensor(Tensor):
    """Values at places (number, axes) of a tensor that is zero elsewhere. Raises RuntimeError for places outside."""

    def __new__(cls, indices, values, dense_shape) -> SparseTensor:
        shape = whole(dense_shape)
        places = as_index(indices).reshape(-1, len(shape)).T
        return Tensor._make_subclass(cls, sparse_of(places, tensor(values), shape).coalesce())

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        """What is sparse stays one of these; anything else is a plain tensor."""
        with torch._C.DisableTorchFunctionSubclass():
            found = function(*args, **(kwargs or {}))
            return Tensor._make_subclass(cls, found) if isinstance(found, Tensor) and found.is_sparse else found

    indices = property(lambda self: self._indices().T)  # type: ignore[assignment]
    values = property(Tensor._values)  # type: ignore[assignment]
    dense_shape = property(lambda self: torch.tensor(tuple(self.shape)))


@named("sparse.from_dense", "tensor")
def from_dense(x):
    """The values that are not zero."""
    x = tensor(x)
    places = x.nonzero()
    return SparseTensor(places, x[tuple(places.T)], x.shape)


@op("sparse.sparse_dense_matmul sparse_tensor_dense_matmul")
def sparse_dense_matmul(sp_a, b, adjoint_a=False, adjoint_b=False):
    return torch.sparse.mm(sp_a.mH if adjoint_a else sp_a, tensor(b).mH if adjoint_b else tensor(b))


@named("sparse.reorder sparse_reorder")
def reorder(sp_input):
    """What it is given: the places are in order."""
    return sp_input


def _labels(sparse):
    """A row for each sample, and how many labels it has."""
    rows, values = sparse._indices()[0], sparse._values()
    counts = torch.bincount(rows, minlength=sparse.shape[0])
    inside = torch.arange(sparse.shape[1]) < counts[:, None]
    return values.new_zeros(inside.shape).masked_scatter(inside, values), counts


@op("nn.ctc_loss")
def ctc_loss(labels, logits, label_length, logit_length=None, logits_time_major=True, blank_index=None):
    """For each sample; labels: (batch, most labels) or sparse, logits: (steps, batch, labels) or batch first."""
    scores = tensor(logits).transpose(0, 1) if logits_time_major else tensor(logits)
    if isinstance(labels, Tensor) and labels.is_sparse:
        logit_length = label_length if logit_length is None else logit_length  # TensorFlow 1 had no other
        labels, label_length = _labels(labels)
        blank_index = -1 if blank_index is None else blank_index
    return ops.ctc_loss(labels, scores, label_length, logit_length, (blank_index or 0) % scores.shape[-1])


@op("compat.v1.nn.ctc_loss")
def ctc_loss_of_tf1(labels, inputs=None, sequence_length=None, time_major=True):
    """Of sparse labels, the blank at the end."""
    return ctc_loss(labels, inputs, None, sequence_length, time_major)


def _decoded(inputs, lengths, **how):
    scores = tensor(inputs).transpose(0, 1)
    blank = how.pop("blank", None)
    paths, found = ops.ctc_decode(scores, lengths, mask_index=scores.shape[-1] - 1 if blank is None else blank, **how)
    paths = without_repeats(paths) if how["merge_repeated"] and "top_paths" in how else paths
    kept = [(path >= 0).nonzero() for path in paths]
    longest = [int(places[:, 1].max()) + 1 if len(places) else 0 for places in kept]
    made = [
        SparseTensor(places, path[tuple(places.T)].long(), (len(path), width))
        for path, places, width in zip(paths, kept, longest, strict=True)
    ]
    return made, found


@named("nn.ctc_greedy_decoder")
def ctc_greedy_decoder(inputs, sequence_length, merge_repeated=True, blank_index=None):
    """The likeliest label of each step (steps, batch, labels): a list with a sparse tensor, and the scores."""
    return _decoded(inputs, sequence_length, strategy="greedy", merge_repeated=merge_repeated, blank=blank_index)


@named("nn.ctc_beam_search_decoder")
def ctc_beam_search_decoder(inputs, sequence_length, beam_width=100, top_paths=1, merge_repeated=False):
    beams = {"strategy": "beam_search", "beam_width": beam_width, "top_paths": top_paths}
    return _decoded(inputs, sequence_length, merge_repeated=merge_repeated, **beams)


@named("edit_distance")
def edit_distance(hypothesis, truth, normalize=True):
    """How many values to change, add or drop in each row along the last axis, divided by the length of the truth."""
    shape = [max(sizes) for sizes in zip(hypothesis.shape[:-1], truth.shape[:-1], strict=True)]
    rows: list[dict] = [{}, {}]
    for found, sparse in zip(rows, (hypothesis, truth), strict=True):
        for place, value in zip(sparse._indices().T.tolist(), sparse._values().tolist(), strict=True):
            found.setdefault(tuple(place[:-1]), []).append(value)
    distances = torch.zeros(shape)
    for place in itertools.product(*map(range, shape)):
        given, wanted = (found.get(place, []) for found in rows)
        count = _distance(given, wanted)
        distances[place] = (
            count / len(wanted) if normalize and wanted else float("inf") if normalize and count else count
        )
    return distances


def _distance(first, second):
    before = [*range(len(second) + 1)]
    for count, value in enumerate(first, 1):
        row = [count]
        for place, other in enumerate(second):
            row.append(min(before[place + 1] + 1, row[-1] + 1, before[place] + (value != other)))
        before = row
    return before[-1]
