"""Models of their descriptions as data, JSON or YAML, whichever Keras wrote these."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..core import serialize
from ..files import checked_backend
from ..translation import origin
from .model import Model


def model_from_config(
    config: Mapping[str, Any],
    custom_objects: Mapping[str, Any] | None = None,
    backend: str | None = None,
    *,
    otherwise: str | None = None,
) -> Model:
    """The model that {"class_name": ..., "config": ...} describes, with fresh weights; one of an older Keras as that
    computed it.

    backend: "tensorflow" or "theano", of a model of Keras 1 that does not say so; else what `keras1.backend` is set to.
    otherwise: the generation, such as "keras1", of configs that do not tell.
    Raises ValueError for what describes none.
    """
    if not isinstance(config, Mapping):
        raise TypeError(f"model_from_config: expected a dictionary; got a {type(config).__name__}.")
    generation = origin.generation_of(config) or otherwise
    described = origin.addressed(config, generation)
    backend = checked_backend(backend, generation) or origin.told_backend(described)
    with serialize.reading_shared(), serialize.computing_as_on(backend):
        model = serialize.deserialize(described, custom_objects, homes=("keras.models", "keras.layers"))
    if not isinstance(model, Model):
        raise ValueError(f"model_from_config: this describes a {type(model).__name__}, not a model.")
    if generation == "keras1" and "optimizer" in config:  # up to Keras 0.3, which compiled it as well
        mode = config.get("sample_weight_mode", config.get("sample_weight_modes"))
        told = {"loss_weights": config.get("loss_weights") or None, "sample_weight_mode": mode or None}
        model.compile(optimizer=config["optimizer"], loss=config["loss"], **told)
    return model


def model_from_json(
    json_string: str, custom_objects: Mapping[str, Any] | None = None, backend: str | None = None, **otherwise: Any
) -> Model:
    """The model `Model.to_json` described, with fresh weights; the rest as for `model_from_config`."""
    try:
        config = json.loads(json_string)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"model_from_json: this is no JSON: {error}") from error
    return model_from_config(config, custom_objects, backend, **otherwise)


def model_from_yaml(
    yaml_string: str, custom_objects: Mapping[str, Any] | None = None, backend: str | None = None, **otherwise: Any
) -> Model:
    """The model `to_yaml` of Keras 1 and 2 described; the rest as for `model_from_config`.

    Tags of Python are read as data. Raises ModuleNotFoundError without PyYAML (the extra `yaml`).
    """
    from ..files import yaml

    return model_from_config(yaml.read(yaml_string), custom_objects, backend, **otherwise)
