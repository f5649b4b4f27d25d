"""Vocabularies: texts or integers as places in a list of them."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ...core import arrays, config, serialize
from ...core.arrays import TEXTS
from ...core.declare import Declared, Kind, Refused, arg, as_integer, boolean, integer, one_of, text
from ...core.dtypes import torch_dtype
from ...core.errors import named, short
from ...core.scope import scope
from ...core.weight import spend
from ...kernels.encoding import encode
from ...kernels.hashing import bucket
from ...kernels.table import Table
from .adapting import Adapting, Salt, as_tensor, dense, encoded_shape, output_mode
from .strings import WIDE, Data, Textual, ascii_words, hashes, texts_of

__all__ = ["IntegerLookup", "StringLookup"]

VOCABULARY = "vocabulary.txt"
_DROPPED, _UNKNOWN = -1, -2  # places of what counts nowhere, and of what is in no vocabulary
_MANY = 1_000  # terms, from which on they are looked up in a table of their numbers or bytes
_MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")


def _terms(value: Any, owner: Any) -> Any:
    """A list of plain texts or integers, or the path of a file."""
    if isinstance(value, (str, Path)):
        return str(value)
    if not isinstance(value, (list, tuple)) and not (arrays.is_array(value) and np.ndim(value) == 1):
        raise Refused
    found: list[Any] = getattr(value, "tolist", lambda: list(value))()
    if owner._of_texts:
        if not all(isinstance(item, TEXTS) for item in found):
            raise Refused
        return [item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else str(item) for item in found]
    return [as_integer(item) for item in found]


def _weights_of_terms(value: Any, owner: Any) -> list[float]:
    if not isinstance(value, (list, tuple)) and not (arrays.is_array(value) and np.ndim(value) == 1):
        raise Refused
    found = np.asarray(as_tensor(value, owner) if arrays.is_array(value) else value)
    if found.dtype.kind not in "iuf" or found.ndim != 1:
        raise Refused
    return found.tolist()


_most = Kind("an integer above 1", integer(2).convert, good=(12,), bad=(1, 0, -1, "a", 2.5)).optional()
_term = Kind("an integer", lambda value, owner: as_integer(value), good=(7,), bad=("a", 1.5)).optional()
vocabulary = Kind(
    "an array or a list of terms, or the path (a string) of a file of them", _terms, bad=(3, 1.5)
).optional()
idf_weights = Kind("an array or a list of numbers", _weights_of_terms, bad=("a", 3)).optional()
_int64 = Kind('"int64"', one_of("int64").convert, good=("int64",), bad=("int8", 3))
_oov_method = one_of("floormod", "farmhash")


class _Limits(Declared):
    max_tokens: int | None = arg(_most, default=None, doc="Largest size of the vocabulary, special terms included.")


class _Special(_Limits):
    num_oov_indices: int = arg(integer(0), default=1, doc="Places for terms that are not in the vocabulary.")
    mask_token: Any = arg(text.optional(), default=None, doc='At place 0 for "int"; else it counts nowhere.')
    oov_token: Any = arg(text.optional(), default="[UNK]", doc="What `invert` gives for places without a term.")
    vocabulary: Any = arg(vocabulary, default=None, attribute="input_vocabulary", doc="The terms.")


class _Weighing(Declared):
    idf_weights: Any = arg(idf_weights, default=None, attribute="input_idf_weights", doc='Of the terms, for "tf_idf".')

    _of_floats: ClassVar[tuple[str, ...]] = ("tf_idf",)  # output modes

    def _output_type(self: Any) -> Any:
        return config.floatx() if self.output_mode in self._of_floats else "int64"


class _Invertible(_Weighing):
    invert: bool = arg(boolean, default=False, doc="From places to terms.")
    output_mode: str = arg(output_mode(*_MODES), default="int")

    _of_texts: ClassVar[bool] = True

    def _output_type(self) -> Any:
        return "string" if self.invert and self._of_texts else super()._output_type()


class _Stored(Declared):
    vocabulary_size: int | None = arg(
        integer(0).optional(),
        default=None,
        kw_only=True,
        attribute="_known_size",
        doc="Of one that is yet to be loaded.",
    )


class _Lookup(Textual, Adapting):
    """A vocabulary that is given or learned: the most frequent terms first, of equally frequent ones the greatest."""

    _of_texts: ClassVar[bool] = True

    def check(self) -> None:
        cls, mode, given = type(self).__name__, self.output_mode, self.input_vocabulary
        if self.pad_to_max_tokens and self.max_tokens is None:
            raise ValueError(f"{cls}: `pad_to_max_tokens` needs `max_tokens`.")
        if self.invert and mode != "int":
            raise ValueError(f'{cls}: `invert` needs output_mode="int"; got "{mode}".')
        if self.salt is not None and not self._of_texts and self.oov_method != "farmhash":
            raise ValueError(f'{cls}: `salt` needs oov_method="farmhash"; got "{self.oov_method}".')
        self._check_weights(self.input_idf_weights, given is not None)
        vars(self).update(_has_input_vocabulary=given is not None, _terms=[])
        self.register_buffer("_idf", None, persistent=False)
        self._set_terms([])
        self.reset_state()
        if given is not None:
            self.set_vocabulary(given, self.input_idf_weights)
            if isinstance(given, str):  # files hold the terms, not the path
                vars(self)["input_vocabulary"] = None

    def _check_weights(self, weights: Any, wanted: bool) -> None:
        if weights is not None and self.output_mode != "tf_idf":
            raise ValueError(f'{named(self)}: `idf_weights` are for output_mode="tf_idf"; got "{self.output_mode}".')
        if wanted and weights is None and self.output_mode == "tf_idf":
            raise ValueError(f'{named(self)}: with output_mode="tf_idf" a vocabulary needs `idf_weights` beside it.')

    # -- the vocabulary ---------------------------------------------------------------------------------------------

    @property
    def _first(self) -> int:
        """The place of the first term."""
        return self._first_oov + self.num_oov_indices

    @property
    def _first_oov(self) -> int:
        return int(self.mask_token is not None and self.output_mode == "int")

    def _specials(self) -> list[Any]:
        """What stands before the terms."""
        return [self.mask_token] * self._first_oov + [self.oov_token] * self.num_oov_indices

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The terms, each at its place."""
        return [*self._specials(), *self._terms] if include_special_tokens else list(self._terms)

    def vocabulary_size(self) -> int:
        """The number of places, those of special terms included."""
        return self._first + len(self._terms)

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take these terms, a list or the path of a file with one a line, with or without the special ones in front.

        Raises ValueError for an empty list, repeated or special terms in it, and more than `max_tokens`.
        """
        who = named(self)
        self._check_weights(idf_weights, True)
        given = self._args["vocabulary"].convert(vocabulary, self)
        if given is None:
            raise ValueError(f"{who}: a vocabulary must be a list of terms or the path of a file; got None.")
        if isinstance(given, str):
            given = self._read_file(given)
        weights = self._args["idf_weights"].convert(idf_weights, self)
        if not given:
            raise ValueError(f"{who}: the vocabulary is empty.")
        if weights is not None and len(weights) != len(given):
            raise ValueError(
                f"{who}: `idf_weights` must have one for each of the {len(given)} terms; got {len(weights)}."
            )
        first = self._first
        whole = first <= len(given) and given[:first] == self._specials()
        terms = given[first:] if whole else given
        repeated = [term for term, count in Counter(terms).items() if count > 1]
        if repeated:
            raise ValueError(f"{who}: each term must stand in the vocabulary once; repeated: {short(repeated)}.")
        known = set(terms)
        for name in ("mask_token", *(("oov_token",) if self.invert else ())):
            special = getattr(self, name)
            if special is not None and special in known:
                place = given.index(special, len(given) - len(terms))
                raise ValueError(
                    f"{who}: the special term {special!r}, `{name}`, stands at place {place} of the vocabulary. Leave "
                    f"special terms out, or begin with all of them: {short(self._specials())}."
                )
        if self.max_tokens is not None and first + len(terms) > self.max_tokens:
            raise ValueError(
                f"{who}: the vocabulary has {first + len(terms)} places; `max_tokens` is {self.max_tokens}."
            )
        self._check_size(first + len(terms))
        self._set_terms(terms)
        if weights is not None:
            self._set_weights(0 if whole else first, weights)

    def _read_file(self, path: str) -> list[Any]:
        if serialize.in_file():
            raise ValueError(
                f"{named(self)}: a model file names another file, {path!r}, as vocabulary; it is never read. Save the "
                "model with a list of terms."
            )
        if not Path(path).is_file():
            raise ValueError(f"{named(self)}: there is no vocabulary file {path!r}.")
        if self.output_mode == "tf_idf":
            raise ValueError(f'{named(self)}: output_mode="tf_idf" needs a list of terms with `idf_weights`, no file.')
        return self._as_terms(Path(path).read_text("utf-8").rstrip("\n"))  # empty lines at the end are none

    def _as_terms(self, content: str) -> list[Any]:
        """One a line."""
        lines = content.replace("\r\n", "\n").split("\n")
        if self._of_texts:
            return lines
        try:
            return [int(line) for line in lines]
        except ValueError as error:
            raise ValueError(f"{named(self)}: a vocabulary file holds a line that is no integer: {error}.") from None

    def _check_size(self, size: int) -> None:
        """Layers behind rest on the size, where it is that of the output."""
        fixed = self._known_size is not None and bool(self._terms)
        if fixed and size != self._known_size and self.output_mode != "int" and not self.pad_to_max_tokens:
            raise RuntimeError(
                f"{named(self)}: its output has one value for each of the {self._known_size} places of the vocabulary, "
                f"so another of {size} places cannot take its place. Make a layer anew, or with `pad_to_max_tokens`."
            )

    def _set_terms(self, terms: Sequence[Any]) -> None:
        first = self._first
        vars(self).update(_terms=list(terms), _tables={})
        if terms:
            vars(self)["_known_size"] = first + len(terms)
        if not self._of_texts:
            keys, places = torch.tensor(list(terms), dtype=torch.int64), torch.arange(first, first + len(terms))
            if not self.invert:
                keys, order = torch.sort(keys)
                places = places[order]
            self.register_buffer("_places", places, persistent=False)
            self.register_buffer("_keys", keys, persistent=False)

    def _set_weights(self, front: int, weights: Sequence[float]) -> None:
        """`front` places before those of `weights` get their mean; those of a vocabulary yet to grow count nothing."""
        size = self.max_tokens if self.pad_to_max_tokens else front + len(weights)
        dtype = getattr(torch, config.floatx())
        spend((size,), dtype, f"{named(self)}: `idf_weights`")
        values = torch.zeros(size, dtype=dtype)
        values[:front] = float(np.mean(weights))
        values[front : front + len(weights)] = torch.tensor(weights, dtype=dtype)
        self.register_buffer("_idf", values, persistent=False)

    # -- learning ---------------------------------------------------------------------------------------------------

    def _is_whole(self, data: object) -> bool:
        return super()._is_whole(data) or (isinstance(data, (list, tuple)) and not data)

    def _batches(self, data: Any, steps: int | None, batch_size: int | None) -> Iterable[Any]:
        whole = self._is_whole(data)
        for batch in super()._batches(data, steps, batch_size):
            rows = self._read(batch)
            yield rows[:, None] if whole and rows.ndim == 1 else rows  # each is a document

    def reset_state(self) -> None:
        if not self._has_input_vocabulary:
            vars(self).update(_counts=Counter(), _document_counts=Counter(), _documents=0)

    def update_state(self, data: Any) -> None:
        rows = self._read(data)
        if self._of_texts:
            found: list[Any] = texts_of(np.asarray(rows), self, self.encoding)
        else:
            found = as_tensor(rows, self).long().reshape(-1).tolist()
        length = max(rows.shape[-1] if rows.ndim > 1 else len(found), 1)
        self.count(found[start : start + length] for start in range(0, len(found), length))

    def count(self, documents: Iterable[list[Any]]) -> None:
        """Learn from lists of terms. Raises ValueError where the vocabulary was given."""
        if self._has_input_vocabulary:
            raise ValueError(f"{named(self)}: its vocabulary was given, so there is nothing to adapt.")
        documents = list(documents)
        self._counts.update(itertools.chain.from_iterable(documents))
        if self.output_mode == "tf_idf":
            for document in documents:
                self._document_counts.update(set(document))
            vars(self)["_documents"] = self._documents + len(documents)

    def finalize_state(self) -> None:
        if self._has_input_vocabulary or not self._counts:
            return
        counts = {as_text(term): count for term, count in self._counts.items()}
        seen = {as_text(term): count for term, count in self._document_counts.items()}
        for special in (self.mask_token, self.oov_token):
            counts.pop(special, None)
        terms = sorted(counts, key=lambda term: (counts[term], term), reverse=True)
        if self.max_tokens is not None:
            terms = terms[: max(self.max_tokens - self._first, 0)]
        self._check_size(self._first + len(terms))
        self._set_terms(terms)
        if self.output_mode == "tf_idf":
            self._set_weights(self._first, [math.log(1 + self._documents / (1 + seen[term])) for term in terms])
        self.reset_state()

    # -- calls ------------------------------------------------------------------------------------------------------

    def call(self, inputs: Data) -> Data:
        if self.invert:
            return self._terms_at(inputs)
        return self.encode(self._places_of(inputs))

    def encode(self, places: Tensor) -> Tensor:
        """Places as the output mode has them."""
        if self.output_mode == "int":
            return places
        if self._known_size is None and not self.pad_to_max_tokens:
            raise ValueError(
                f"{named(self)} has no vocabulary yet: call `adapt(data)` or `set_vocabulary(terms)` first."
            )
        if self.output_mode != "tf_idf":
            kind = torch_dtype(config.floatx()) if self.output_mode in self._of_floats else torch.int64
            return encode(places, self.output_mode, self._depth, kind)
        if self._idf is None:
            raise ValueError(
                f"{named(self)} has no `idf_weights` yet: call `adapt(data)` or `set_vocabulary` with them."
            )
        return encode(places, "count", self._depth, self._idf.dtype) * self._idf

    @property
    def _depth(self) -> Any:
        return self.max_tokens if self.pad_to_max_tokens else self._known_size

    def _places_of(self, inputs: Data) -> Tensor:
        """The place of every term, -1 for what counts nowhere."""
        raise NotImplementedError

    def _terms_at(self, inputs: Data) -> Data:
        """The term of every place."""
        raise NotImplementedError

    def _buckets(self, inputs: Data) -> Tensor:
        """The places for terms that are in no vocabulary, where there are several."""
        if isinstance(inputs, Tensor) and self.oov_method == "floormod":
            found = torch.remainder(inputs, self.num_oov_indices)
        else:
            found = bucket(hashes(inputs, self, self.salt), self.num_oov_indices)
        return found + self._first_oov

    def _outside(self, terms: list) -> ValueError:
        return ValueError(
            f"{named(self)}: with num_oov_indices=0 every term must be in the vocabulary; these are not: "
            f"{short(terms)}. With num_oov_indices=1 they get a place."
        )

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return encoded_shape(input_shape, self.output_mode, self._depth)

    # -- files ------------------------------------------------------------------------------------------------------

    def get_build_config(self) -> dict[str, Any]:
        return {}

    def save_own_variables(self, store: Any) -> None:
        if self._idf is not None:
            store["idf_weights"] = self._idf

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        if "idf_weights" in store:
            self.register_buffer("_idf", torch.as_tensor(np.asarray(store["idf_weights"])), persistent=False)

    def save_assets(self, dir_path: str | Path) -> None:
        """Write a learned vocabulary into a folder, a term a line. Raises ValueError for terms with a line break."""
        if self.input_vocabulary is not None or not self._terms:
            return
        terms = [str(term) for term in self.get_vocabulary()]
        broken = [term for term in terms if "\n" in term]
        if broken:
            raise ValueError(f"{named(self)}: terms with a line break cannot be saved: {short(broken)}.")
        content = "\n".join(terms)
        (Path(dir_path) / VOCABULARY).write_bytes(content.encode("utf-8", "surrogateescape"))

    def load_assets(self, dir_path: str | Path) -> None:
        """Take the vocabulary that `save_assets` wrote into a folder. Raises ValueError where it does not fit."""
        path = Path(dir_path) / VOCABULARY
        if self.input_vocabulary is not None or (self._known_size in (None, self._first) and not path.exists()):
            return
        if not path.is_file():
            raise ValueError(
                f"{named(self)}: there is no vocabulary, where one of {self._known_size} places was saved."
            )
        content = path.read_bytes().decode("utf-8", "surrogateescape")
        terms, first = self._as_terms(content), self._first
        if self._known_size is not None and len(terms) != self._known_size:
            raise ValueError(f"{named(self)}: expected a vocabulary of {self._known_size} places; got {len(terms)}.")
        if len(set(terms[first:])) < len(terms[first:]):
            raise ValueError(f"{named(self)}: a term stands in the stored vocabulary twice.")
        if self._idf is not None and len(self._idf) != (self._depth if self.pad_to_max_tokens else len(terms)):
            raise ValueError(f"{named(self)}: there are {len(self._idf)} `idf_weights` for {len(terms)} places.")
        self._set_terms(terms[first:])


def as_text(term: str | bytes | int) -> str | int:
    return term.decode("utf-8", "surrogateescape") if isinstance(term, bytes) else term


class _Packed:
    """The places of short texts in ASCII, found by their bytes. An array's texts are no objects yet: to make some, and
    to hash each, takes twice the time."""

    def __init__(self, table: Mapping[str, int]):
        short = {text: place for text, place in table.items() if text.isascii() and len(text) <= WIDE}
        words = ascii_words(np.array([*short])) if short else None
        found = torch.zeros(0, 1, dtype=torch.int64) if words is None else torch.from_numpy(words[0])
        self._table, self._places = Table(_mixed(found)), torch.tensor([*short.values()], dtype=torch.int64)
        used = int((found != 0).any(0).sum())
        self._columns = found[:, :used].mT.contiguous()

    def places(self, words: Tensor, default: int) -> Tensor:
        """The place of each row of words."""
        index = self._table.find(_mixed(words))
        same, at = index >= 0, index.clamp(min=0)
        if not len(self._places):
            return torch.full_like(index, default)
        for known, word in itertools.zip_longest(self._columns, words.unbind(1)):
            expected = 0 if known is None else known.index_select(0, at)
            same &= expected == (0 if word is None else word)
        return torch.where(same, self._places.index_select(0, at), default)


def _mixed(words: Tensor) -> Tensor:
    """One integer for each row, whatever zeros follow."""
    found = torch.zeros(len(words), dtype=torch.int64)
    for column, word in enumerate(words.unbind(1)):
        mixed = word * (0x1F83D9ABFB41BD6B + 2 * column)
        found += (mixed ^ (mixed >> 29)) * (0x5BE0CD19137E2179 - 4 * column)
    return found


class _OfTexts(_Invertible):
    pad_to_max_tokens: bool = arg(boolean, default=False, doc="Encode into `max_tokens` values, however few terms.")
    sparse: bool = arg(dense, default=False)
    encoding: str = arg(text, default="utf-8", doc="Of texts that come as bytes.")


class StringLookup(Salt, _OfTexts, _Special, _Lookup, _Stored):
    """Texts as places in a vocabulary: a mask, places for unknown texts, then the terms.

    Input: an array or list of texts. Output: a tensor of integers, or by `output_mode` vectors as CategoryEncoding
    makes them, with "tf_idf" counts times weights. With `invert` it turns a tensor of integers into an array of texts.
    """

    oov_method: str = arg(_oov_method, default="floormod", kw_only=True, doc="For integers; texts are always hashed.")

    def _table(self, kind: type) -> dict[Any, int]:
        """Places by text, or by its bytes."""
        table = self._tables.get(kind)
        if table is None:
            table = {term: self._first + index for index, term in enumerate(self._terms)}
            if self.mask_token is not None:
                table[self.mask_token] = 0 if self.output_mode == "int" else _DROPPED
            if kind is bytes:
                table = {term.encode("utf-8", "surrogateescape"): place for term, place in table.items()}
            self._tables[kind] = table
        return table

    def _packed_terms(self) -> _Packed:
        if _Packed not in self._tables:
            self._tables[_Packed] = _Packed(self._table(str))
        return self._tables[_Packed]

    def places(self, terms: Sequence[Any], kind: type = str) -> np.ndarray:
        """The place of each of some texts, or of the bytes of some."""
        default = self._first_oov if self.num_oov_indices == 1 else _UNKNOWN
        table = self._table(kind)
        return np.fromiter(map(table.get, terms, itertools.repeat(default)), np.int64, len(terms))

    def _places_of(self, inputs: Data) -> Tensor:
        many = isinstance(inputs, np.ndarray) and inputs.dtype.kind == "U" and inputs.size >= _MANY
        packed = ascii_words(inputs) if many and self.num_oov_indices == 1 else None
        if packed is not None:
            found = self._packed_terms().places(torch.from_numpy(packed[0]), self._first_oov)
            return self.placed(found).reshape(inputs.shape)
        terms = texts_of(np.asarray(inputs), self, self.encoding)
        found = self.places(terms)
        if self.num_oov_indices != 1:
            outside = np.flatnonzero(found == _UNKNOWN)
            unknown = [terms[index] for index in outside.tolist()]
            if unknown and not self.num_oov_indices:
                raise self._outside(unknown)
            if unknown:
                found[outside] = self._buckets(np.array(unknown, dtype=object)).numpy()
        return self.placed(torch.from_numpy(found)).reshape(inputs.shape)

    def _terms_at(self, inputs: Data) -> np.ndarray:
        places, unknown = as_tensor(inputs, self).long().numpy(), len(self._terms)
        table = np.array([*self._terms, self.oov_token, self.mask_token], dtype=object)
        at = places - self._first
        at = np.where((at < 0) | (at >= unknown), unknown, at)
        return np.asarray(table[np.where(places == 0, unknown + 1, at) if self._first_oov else at], dtype=object)


class _OfIntegers(_Invertible):
    sparse: bool = arg(dense, default=False)
    pad_to_max_tokens: bool = arg(boolean, default=False, doc="Encode into `max_tokens` values, however few terms.")
    oov_method: str = arg(_oov_method, default="floormod", doc="How unknown integers find one of several places.")


class _IntegerTerms(_Special):
    mask_token: Any = arg(_term, default=None, doc='At place 0 for "int"; else it counts nowhere.')
    oov_token: Any = arg(_term, default=-1, doc="What `invert` gives for places without a term.")
    vocabulary_dtype: str = arg(_int64, default="int64")


def _looked_at() -> bool:
    """Whether torch follows what is done, without values: no place for a loop that goes by these."""
    return torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0


class IntegerLookup(Salt, _OfIntegers, _IntegerTerms, _Lookup, _Stored):
    """Integers as places in a vocabulary: a mask, places for unknown integers, then the terms.

    Output: a tensor of integers, or by `output_mode` vectors as CategoryEncoding makes them, with "tf_idf" counts times
    weights. With `invert` it turns places into terms.
    """

    _of_texts = False
    _takes_text = False

    def _places_of(self, inputs: Tensor) -> Tensor:  # type: ignore[override]
        n, own = inputs.long(), self._buffers
        default, keys = self._first_oov if self.num_oov_indices == 1 else _UNKNOWN, own["_keys"]
        if not self._terms:
            found = torch.full_like(n, default)
        elif type(n.numel()) is not int or n.numel() < _MANY or not n.is_cpu or _looked_at():  # of no number: exported
            index = torch.searchsorted(keys, n).clamp(max=len(self._terms) - 1)
            found = torch.where(keys[index] == n, own["_places"][index], default)
        else:
            index = self._integers().find(n.reshape(-1)).reshape(n.shape)
            found = torch.where(index < 0, default, index + self._first)
        if self.num_oov_indices > 1:
            found = torch.where(found == _UNKNOWN, self._buckets(n), found)
        if self.mask_token is not None:
            found = torch.where(n == self.mask_token, 0 if self.output_mode == "int" else _DROPPED, found)
        if not self.num_oov_indices and not (scope.trying or torch.compiler.is_compiling()):
            unknown = n[found == _UNKNOWN]
            if len(unknown):
                raise self._outside(unknown.unique().tolist())
        return found

    def _integers(self) -> Table:
        if int not in self._tables:
            self._tables[int] = Table(torch.tensor(self._terms))
        return self._tables[int]

    def _terms_at(self, inputs: Tensor) -> Tensor:  # type: ignore[override]
        places = inputs.long() - self._first
        inside = (places >= 0) & (places < len(self._terms))
        terms = self._keys if len(self._terms) else self._keys.new_zeros(1)
        found = torch.where(inside, terms[places.clamp(0, max(len(self._terms) - 1, 0))], self.oov_token or 0)
        masks = self.mask_token is not None
        return torch.where(inputs == 0, self.mask_token, found) if masks else found
