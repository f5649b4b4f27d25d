"""What TensorFlow calls things in the object graphs of its checkpoints, where they have other names today."""

from __future__ import annotations

from collections.abc import Iterator

from .lists import listed

LAYERS = "layer_with_weights-", "layer-"  # of functional models, counted from 0: those with weights, and all

_LISTS = listed("checkpoints.json")
# What else weights, and layers inside layers, are called.
ATTRIBUTES = {name: tuple(others.split()) for name, others in _LISTS["attributes"].items()}
# Of an optimizer's state for each weight: up to TensorFlow 2.10 beside the weight, since then in a list, by names.
SLOTS = {name: tuple(others.split()) for name, others in _LISTS["slots"].items()}
STEPS, PRODUCT, RATE = ("_iterations", "iter"), ("_u_product", "momentum_cache"), ("_learning_rate", "learning_rate")

# What hangs below a model beside its weights: training, what was computed, generators of random numbers.
ASIDE = frozenset(_LISTS["aside"].split())
COUNTS = ("token_counts", "token_document_counts", "num_documents")  # of terms, while a vocabulary is learned
IDF, SUMMARY = "idf_weights", "summary"  # what else such layers learned
STATES = "keras_api", "states"  # where those of a recurrent layer hang below it
WRAPPED = "base_optimizer"  # inside one that scales the loss: the state hangs below it, the outer one, or both
LOSS_SCALE, SCALE, GOOD_STEPS = "loss_scale", ("current_loss_scale",), ("good_steps",)


def names(name: str) -> Iterator[str]:
    """What an attribute may be called: as today, as a private one, or by another name."""
    yield from (name, f"_{name}", name.lstrip("_"), *ATTRIBUTES.get(name, ()))
