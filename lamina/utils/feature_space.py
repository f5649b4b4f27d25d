"""Columns of a table (numbers, categories, texts) as what a model learns from."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch.utils import _pytree as pytree

from ..core import arrays, dtypes, serialize
from ..core.declare import Declared, Kind, Refused, arg, integer, one_of, text
from ..core.devices import here
from ..core.errors import named, quoted, short
from ..core.layer import Layer, unique_name
from ..core.symbolic import SymbolicTensor, is_symbolic
from ..layers.activation import Identity
from ..layers.input import Input
from ..layers.merge import Concatenate
from ..layers.preprocessing.adapting import first_part, output_mode
from ..layers.preprocessing.features import CategoryEncoding, Discretization, Normalization, Rescaling
from ..layers.preprocessing.hashing import HashedCrossing, Hashing
from ..layers.preprocessing.lookup import IntegerLookup, StringLookup
from ..layers.preprocessing.strings import as_array

_ROWS = 32  # that are learned from at a time, as in Keras: quantiles depend on it
_PRIVATE = "keras.src.layers.preprocessing.feature_space"  # what files call it


def _names(value: Any, owner: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value) or len(value) < 2:
        raise Refused
    return tuple(value)


class Cross(Declared):
    """Several features as one: the bucket, of `crossing_dim`, that their values together fall into."""

    feature_names: Any = arg(Kind("two or more names of features", _names, bad=("a", 3, ["a"])))
    crossing_dim: int = arg(integer(1), doc="How many buckets.")
    output_mode: str = arg(one_of("int", "one_hot"), default="one_hot")
    _home = _PRIVATE

    @property
    def name(self) -> str:
        return "_X_".join(self.feature_names)


def _layer(value: Any, owner: Any) -> Any:
    made = serialize.deserialize(value) if isinstance(value, Mapping) else value
    if not callable(made) or isinstance(made, type):
        raise Refused
    return made


class Feature(Declared):
    """One column: the type of its raw values, the layer that they go through, and how its output is encoded."""

    dtype: str = arg(text, doc='"string", or a type of numbers.')
    preprocessor: Any = arg(Kind("a layer", _layer, bad=(3, "a")), doc="Takes values of shape (batch, 1).")
    output_mode: str = arg(one_of("int", "one_hot", "float"), doc='"one_hot" for integers; else the output as it is.')
    _home = _PRIVATE


class TFDIdentity(Identity):
    """Numbers as they are, by the name that files have for them."""

    _home = _PRIVATE


class TFDConcat(Concatenate):
    """Encoded features as one vector, by the name that files have for it."""

    _home = _PRIVATE


def _some_features(value: Any, owner: Any) -> dict[str, Any]:
    if not value:
        raise Refused("They cannot be None or empty.")
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise Refused
    return {name: _read(item) for name, item in value.items()}


def _some_crosses(value: Any, owner: Any) -> list[Any]:
    return [item if isinstance(item, Cross) else _read(item) for item in value or ()]


def _read(item: Any) -> Any:
    return serialize.deserialize(item) if isinstance(item, Mapping) else item


_features = Kind("a dictionary of names and features", _some_features, bad=(None, {}, 3, {3: "float"}))
_crosses = Kind("a list of tuples of names, or of crosses", _some_crosses, bad=(3,))


class FeatureSpace(Layer):
    """Raw values by name as one vector for a sample, or a dictionary of them. `adapt` it to data, then call it on
    dictionaries of single values or of whole columns.

    features: by name what a column holds: "float", "float_normalized", "float_rescaled", "float_discretized",
    "integer_categorical", "string_categorical", "integer_hashed", "string_hashed", or what the class' method of that
    name gives. Raises ValueError for another type, and for crosses of features that there are not.
    """

    features: Any = arg(_features, doc="What there is.")
    output_mode: str = arg(
        output_mode("concat", "dict"), default="concat", doc="One vector, or each feature by its name."
    )
    crosses: Any = arg(_crosses, default=None, doc="Features to be taken together.")
    crossing_dim: int = arg(integer(1), default=32, doc="Buckets of a cross that says no number.")
    hashing_dim: int = arg(integer(1), default=32, doc="Buckets of hashed features that say no number.")
    num_discretization_bins: int = arg(integer(1), default=32, doc="Bins of discretized features that say no number.")
    _home = "keras.utils"
    _autocast = False
    _takes_text = True

    # -- kinds of features ------------------------------------------------------------------------------------------

    @classmethod
    def cross(cls, feature_names: Any, crossing_dim: int, output_mode: str = "one_hot") -> Cross:
        """Several features as one."""
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """A feature with a layer of your own."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Numbers as they are."""
        return _feature("float", name, "float32", "float", TFDIdentity)

    @classmethod
    def float_rescaled(cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None) -> Feature:
        """Numbers times `scale`, plus `offset`."""
        return _feature("float_rescaled", name, "float32", "float", Rescaling, scale=scale, offset=offset)

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Numbers of mean 0 and variance 1."""
        return _feature("float_normalized", name, "float32", "float", Normalization, axis=-1)

    @classmethod
    def float_discretized(
        cls, num_bins: int | None, bin_boundaries: Any = None, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """The bin that a number lies in; `num_bins` is None where there are boundaries."""
        bins = {"num_bins": num_bins, "bin_boundaries": bin_boundaries}
        return _feature("float_discretized", name, "float32", output_mode, Discretization, **bins)

    @classmethod
    def integer_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """The place of an integer in a vocabulary."""
        limits = {"max_tokens": max_tokens, "num_oov_indices": num_oov_indices}
        return _feature("integer_categorical", name, "int32", output_mode, IntegerLookup, **limits)

    @classmethod
    def string_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """The place of a text in a vocabulary."""
        limits = {"max_tokens": max_tokens, "num_oov_indices": num_oov_indices}
        return _feature("string_categorical", name, "string", output_mode, StringLookup, **limits)

    @classmethod
    def string_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """The bucket of a text."""
        return _feature("string_hashed", name, "string", output_mode, Hashing, num_bins=num_bins)

    @classmethod
    def integer_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """The bucket of an integer."""
        return _feature("integer_hashed", name, "int32", output_mode, Hashing, num_bins=num_bins)

    _defaults: ClassVar[dict[str, str]] = {
        "float_discretized": "num_discretization_bins",
        "integer_hashed": "hashing_dim",
        "string_hashed": "hashing_dim",
    }
    _kinds = ("float", "float_normalized", "float_rescaled", *_defaults, "integer_categorical", "string_categorical")

    # -- parts ------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        self.features = {name: self._standard(name, item) for name, item in self.features.items()}
        self.crosses = [item if isinstance(item, Cross) else Cross(item, self.crossing_dim) for item in self.crosses]
        unknown = [name for cross in self.crosses for name in cross.feature_names if name not in self.features]
        if unknown:
            raise ValueError(
                f"{type(self).__name__}: names of `crosses` should be present in `features`, {quoted(self.features)}; "
                f"got {quoted(unknown)}."
            )
        self.preprocessors = {name: item.preprocessor for name, item in self.features.items()}
        self.crossers = {cross.name: HashedCrossing(cross.crossing_dim, name=cross.name) for cross in self.crosses}
        self.inputs = {name: Input((1,), dtype=item.dtype, name=name) for name, item in self.features.items()}
        self._forget()
        vars(self)["_is_adapted"] = not self._learning()

    def _standard(self, name: str, item: Any) -> Feature:
        if isinstance(item, Feature):
            return item
        if item not in self._kinds:
            raise ValueError(
                f"{type(self).__name__}: feature {name!r} must be a Feature or one of {quoted(self._kinds)}; "
                f"got {short(item)}."
            )
        sizes = [getattr(self, self._defaults[item])] if item in self._defaults else []
        return getattr(self, item)(*sizes, name=name)

    def _forget(self) -> None:
        """What follows from what was learned is to be made anew."""
        self.one_hot_encoders = {}
        self.concat = None
        self.encoded_features = None

    # -- learning ---------------------------------------------------------------------------------------------------

    def _learning(self) -> dict[str, Any]:
        """The layers that learn from data, by feature."""
        layers = self.preprocessors.items()
        return {name: layer for name, layer in layers if hasattr(layer, "adapt") and not _told(layer)}

    def adapt(self, dataset: Any) -> None:
        """Learn from a dictionary of columns, or from an iterable of dictionaries of single values or of batches;
        of (x, y) it is x. It is read once. Raises ValueError where a feature is missing."""
        learning = self._learning()
        streams = {name: layer for name, layer in learning.items() if hasattr(layer, "update_state")}
        others: dict[str, list[Any]] = {name: [] for name in learning if name not in streams}
        for layer in streams.values():
            layer.reset_state()
        for batch in self._batches(dataset):
            for name in learning:
                column = self._column(name, batch[name])
                streams[name].update_state(column) if name in streams else others[name].append(column)
        for layer in streams.values():
            layer.finalize_state()
        for name, columns in others.items():
            learning[name].adapt(columns)
        self._forget()
        vars(self)["_is_adapted"] = True
        self.get_encoded_features()

    def _batches(self, dataset: Any) -> Iterator[dict[str, Any]]:
        if isinstance(dataset, Mapping):
            whole = self._named(dataset, every=False)
            columns = {name: self._column(name, value) for name, value in whole.items()}
            count = max(map(len, columns.values()))
            for start in range(0, count, _ROWS):
                yield {name: column[start : start + _ROWS] for name, column in columns.items()}
            return
        if not isinstance(dataset, Iterable) or isinstance(dataset, (str, bytes)) or arrays.is_array(dataset):
            raise ValueError(
                f"{named(self)}: `adapt` takes a dictionary of columns, or an iterable of dictionaries; "
                f"got {short(dataset)}."
            )
        rows = (self._named(first_part(item), every=False) for item in dataset)
        for row in rows:
            if any(np.ndim(value) for value in row.values()):
                yield row
            else:
                some = [row, *itertools.islice(rows, _ROWS - 1)]
                yield {name: [np.asarray(each[name]).item() for each in some] for name in row}

    def _named(self, data: Any, every: bool = True) -> dict[str, Any]:
        """The features in a dictionary. Raises ValueError where some are missing, or with `every` unknown."""
        if not isinstance(data, Mapping):
            raise ValueError(f"{named(self)}: expected a dictionary of features by name; got {short(data)}.")
        missing = [name for name in self.features if name not in data]
        surplus = [str(name) for name in data if name not in self.features] if every else []
        for what, names in (("misses", missing), ("knows no", surplus)):
            if names:
                raise ValueError(f"{named(self)}: {what} {quoted(names)}; its features are {quoted(self.features)}.")
        return {name: data[name] for name in self.features}

    def _column(self, name: str, value: Any) -> Any:
        """Values as (batch, ...): single ones as (1, 1), a row of them as (batch, 1)."""
        if is_symbolic(value):
            return value
        if self.features[name].dtype == dtypes.TEXT:
            found: Any = as_array(value, self)
        else:
            found = here(arrays.tensor_of(value, f"{named(self)}: feature {name!r}"))
            if self.features[name].output_mode == "float":
                found = found.to(dtypes.torch_dtype(self.features[name].dtype))
        return found.reshape(-1, 1) if found.ndim < 2 else found

    # -- calls ------------------------------------------------------------------------------------------------------

    def get_inputs(self) -> dict[str, SymbolicTensor]:
        """A symbolic input for each feature."""
        self.get_encoded_features()
        return dict(self.inputs)

    def get_encoded_features(self) -> Any:
        """What `get_inputs` is encoded into. Raises ValueError before `adapt`, where there is something to learn."""
        if self.encoded_features is None:
            if not self._is_adapted:
                raise ValueError(f"{named(self)} has learned nothing yet. You need to call `.adapt(data)` first.")
            self._forget()
            self.encoded_features = self._encoded(self.inputs)
            self._finish_build()
        return self.encoded_features

    def __call__(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        self.get_encoded_features()
        given = self._named(data)
        single = [name for name, value in given.items() if not is_symbolic(value) and not np.ndim(value)]
        found = super().__call__({name: self._column(name, value) for name, value in given.items()}, *args, **kwargs)
        return pytree.tree_map(lambda tensor: tensor.squeeze(0), found) if single else found

    def call(self, inputs: dict[str, Any]) -> Any:
        return self._encoded(inputs)

    def compute_output_spec(self, inputs: dict[str, Any]) -> Any:  # type: ignore[override]
        return self._encoded(inputs)

    def _encoded(self, inputs: Mapping[str, Any]) -> Any:
        found = {name: self.preprocessors[name](inputs[name]) for name in self.features}
        crossed = {
            cross.name: self.crossers[cross.name]([found[name] for name in cross.feature_names])
            for cross in self.crosses
        }
        specs = {**self.features, **{cross.name: cross for cross in self.crosses}}
        both, order = {**found, **crossed}, [*sorted(found), *sorted(crossed)]
        encoded = {name: self._one(name, both[name], specs[name].output_mode) for name in order}
        if self.output_mode == "dict":
            return encoded
        raw = next((name for name, value in encoded.items() if not _is_float(value)), None)
        if raw is not None:
            raise ValueError(
                f"{named(self)}: feature {raw!r} is not encoded as floats, so it cannot stand in one vector with "
                'others. Encode it with output_mode="one_hot", or make the space with output_mode="dict".'
            )
        if len(encoded) == 1:
            return encoded[order[0]]
        if self.concat is None:
            self.concat = TFDConcat(axis=-1, dtype=self.dtype_policy)
        return self.concat([*encoded.values()])

    def _one(self, name: str, value: Any, mode: str) -> Any:
        if mode != "one_hot":
            return value
        if name not in self.one_hot_encoders:
            if _is_float(value):
                raise ValueError(
                    f'{named(self)}: feature {name!r} has output_mode="one_hot", for which its preprocessor must give '
                    f"integers; it gives floats."
                )
            depth = _depth(self.preprocessors.get(name) or self.crossers[name])
            if depth is None:
                raise ValueError(
                    f'{named(self)}: feature {name!r} has output_mode="one_hot", but its preprocessor does not say how '
                    'many values there are. Encode it in the preprocessor, or take output_mode="int".'
                )
            self.one_hot_encoders[name] = CategoryEncoding(depth, "multi_hot", dtype=self.dtype_policy)
        return self.one_hot_encoders[name](value)

    # -- files ------------------------------------------------------------------------------------------------------

    def save(self, filepath: Any) -> None:
        """Write a `.keras` file, which `load_model` reads."""
        from ..files import save_model

        self.get_encoded_features()
        save_model(self, filepath)

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config().items() if name not in Layer._args}

    def get_build_config(self) -> dict[str, Any]:
        return {name: layer.get_build_config() for name, layer in self.preprocessors.items()}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        for name, layer in self.preprocessors.items():
            if not layer.built and config.get(name):
                layer.build_from_config(config[name])
        vars(self)["_is_adapted"] = True


def _feature(kind: str, name: str | None, dtype: str, output_mode: str, layer: Any, **options: Any) -> Feature:
    made = layer(**options, name=f"{name or unique_name(kind)}_preprocessor")
    return Feature(dtype, made, output_mode)


def _told(layer: Any) -> bool:
    """Whether a layer was given what it could learn."""
    if isinstance(layer, Discretization):
        return layer.num_bins is None
    return any(getattr(layer, name, None) is not None for name in ("input_mean", "input_vocabulary"))


def _is_float(value: Any) -> bool:
    kind = value.torch_dtype if is_symbolic(value) else value.dtype
    return isinstance(kind, torch.dtype) and kind.is_floating_point


def _depth(layer: Any) -> int | None:
    """How many integers a layer gives."""
    if isinstance(layer, (IntegerLookup, StringLookup)):
        return layer._known_size or layer.vocabulary_size()
    if isinstance(layer, CategoryEncoding):
        return layer.num_tokens
    if isinstance(layer, Discretization):
        return layer.num_bins or layer._depth  # as wide as asked for, though fewer bins may have been found
    return layer.num_bins if isinstance(layer, (Hashing, HashedCrossing)) else None
