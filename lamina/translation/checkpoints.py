"""What TensorFlow calls things in the object graphs of its checkpoints, where they have other names today."""

from __future__ import annotations

from collections.abc import Iterator

LAYERS = "layer_with_weights-", "layer-"  # of functional models, counted from 0: those with weights, and all

# Of weights and layers inside layers.
ATTRIBUTES = {"kernel": ("depthwise_kernel",), "vector_u": ("u", "sn_u")}

# Of an optimizer's state for each weight: up to TensorFlow 2.10 beside the weight, since then in a list, by names.
SLOTS = {
    "momentum": ("m", "momentum"), "velocity": ("v", "rms", "velocity"), "norm": ("v", "u"), "velocity_hat": ("vhat",),
    "average_gradient": ("mg", "average_gradient"), "accumulator": ("accumulator",),
    "accumulated_grad": ("accum_grad", "accumulated_grad"),
    "accumulated_delta_var": ("accum_var", "accumulated_delta_var"), "linear": ("linear",), "row": ("r",),
    "column": ("c",), "average": ("average",),
}  # fmt: skip
STEPS, PRODUCT, RATE = ("_iterations", "iter"), ("_u_product", "momentum_cache"), ("_learning_rate", "learning_rate")

# What hangs below a model beside its weights: training, what was computed, generators of random numbers.
ASIDE = frozenset(
    "optimizer keras_api signatures variables trainable_variables non_trainable_variables regularization_losses "
    "save_counter _random_generator states compiled_metrics compiled_loss loss_tracker".split()
)
COUNTS = ("token_counts", "token_document_counts", "num_documents")  # of terms, while a vocabulary is learned
IDF, SUMMARY = "idf_weights", "summary"  # what else such layers learned
STATES = "keras_api", "states"  # where those of a recurrent layer hang below it
WRAPPED = "base_optimizer"  # inside one that scales the loss, up to TensorFlow 2.3; since then its parts are both's
LOSS_SCALE, SCALE, GOOD_STEPS = "loss_scale", ("current_loss_scale",), ("good_steps",)


def names(name: str) -> Iterator[str]:
    """What an attribute may be called: as today, as a private one, or by another name."""
    yield from (name, f"_{name}", name.lstrip("_"), *ATTRIBUTES.get(name, ()))
