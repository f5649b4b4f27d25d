"""What arguments make of a layer, how training and masks change what it does: sentences for who they fit."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from .. import layers
from ..core.layer import Layer
from ..layers import attention, convolution, convolutional_recurrent, dropout, merge, pooling, recurrent
from ..layers.local import LocallyConnected
from .said import Said, sentences

# A class or several; what else must hold, an attribute that says it by itself by its name; the sentence.
Rule = tuple[Any, str | Callable[[Any], Any], Said]

_SAID = sentences("particulars")


def fitting(rules: tuple[Rule, ...], layer: Any) -> list[Said]:
    """The sentences of the rules that fit a layer, in their order."""
    found = []
    for kind, fits, said in rules:
        if isinstance(layer, kind) and (getattr(layer, fits) if isinstance(fits, str) else fits(layer)):
            found.append(said)
    return found


# What arguments make of a layer ---------------------------------------------------------------------------------------


def _is_depthwise(layer: Any) -> bool:
    return layer.groups > 1 and layer.kernel.shape[-2] == 1


_RNN = layers.RNN
_STEPPING = (convolution.Conv, convolution.DepthwiseConv, convolution.SeparableConv, LocallyConnected)
PARTICULARS: tuple[Rule, ...] = (
    (convolution.Conv, lambda layer: layer.padding == "causal", _SAID.causal),
    (convolution._Convolution, lambda layer: max(layer.dilation_rate) > 1, _SAID.dilated),
    (convolution.Conv, lambda layer: layer.groups > 1 and not _is_depthwise(layer), _SAID.grouped),
    (convolution.Conv, _is_depthwise, _SAID.depthwise),
    (convolution.Conv, lambda layer: {*layer.kernel_size} == {1} and layer.groups == 1, _SAID.pointwise),
    (_STEPPING, lambda layer: max(layer.strides) > 1, _SAID.strided),
    (convolution.ConvTranspose, lambda layer: max(layer.strides) > 1, _SAID.spread),
    (pooling._Pooling, lambda layer: any(map(operator.lt, layer.strides, layer.pool_size)), _SAID.overlapping),
    (_RNN, "return_sequences", _SAID.every_step),
    (_RNN, lambda layer: not layer.return_sequences, _SAID.last_step),
    (_RNN, "return_state", _SAID.states),
    (_RNN, "go_backwards", _SAID.backwards),
    (_RNN, "stateful", _SAID.stateful),
    (layers.GRU, lambda layer: not layer.reset_after, _SAID.reset_before),
    (layers.ReLU, "threshold", _SAID.threshold),
    (layers.ReLU, "negative_slope", _SAID.slope),
    (layers.ReLU, lambda layer: layer.max_value is not None, _SAID.largest),
    (layers.GroupNormalization, lambda layer: layer.groups == 1, _SAID.one_group),
    (layers.Embedding, "mask_zero", _SAID.zero_masked),
    (dropout._Dropping, lambda layer: layer.noise_shape is not None, _SAID.shared_noise),
    (layers.AdditiveAttention, "use_scale", _SAID.weighted_features),
    (layers.Attention, lambda layer: layer.use_scale and not _is_additive(layer), _SAID.scaled_scores),
    (attention._Projected, lambda layer: layer.sliding_window is not None, _SAID.window),
)


def _is_additive(layer: object) -> bool:
    return isinstance(layer, layers.AdditiveAttention)


# Training and masks ---------------------------------------------------------------------------------------------------


def _always(layer: object) -> bool:
    return True


def _drops(layer: Any) -> bool:
    return layer.dropout or layer.recurrent_dropout


def _inner(layer: Any) -> bool:
    return any(getattr(part, "_takes_training", False) for part in layer.modules() if part is not layer)


def _prepares(layer: Any) -> bool:
    return layer._takes_training and type(layer).__module__.startswith("lamina.layers.preprocessing")


_FUSED = (layers.LSTM, layers.GRU, layers.SimpleRNN, convolutional_recurrent.ConvLSTM)
_WRAPPERS = (layers.Wrapper, layers.Bidirectional, layers.Pipeline, layers.TorchModuleWrapper)
TRAINING: tuple[Rule, ...] = (
    (layers.BatchNormalization, _always, _SAID.training_statistics),
    (layers.SpectralNormalization, _always, _SAID.training_spectral),
    (dropout._Noise, lambda layer: getattr(layer, "rate", getattr(layer, "stddev", 0)) > 0, _SAID.training_noise),
    (recurrent._Cell, _drops, _SAID.training_cell),
    (_FUSED, _drops, _SAID.training_recurrence),
    (attention._Attention, lambda layer: layer.dropout > 0, _SAID.training_weights),
    (_WRAPPERS, _inner, _SAID.training_inner),
    (layers.Lambda, lambda layer: layer._takes_training and "training" in layer._wanted, _SAID.training_function),
    (object, lambda layer: type(layer).__name__ == "Equalization", _SAID.training_equalized),
    (object, _prepares, _SAID.training_drawn),
    (object, _always, _SAID.training_same),
)

MASKS: tuple[Rule, ...] = (
    (layers.Masking, _always, _SAID.mask_masking),
    (layers.Embedding, "mask_zero", _SAID.mask_zero),
    ((layers.RNN, layers.Bidirectional), _always, _SAID.mask_recurrent),
    (attention._Attention, _always, _SAID.mask_keys),
    (layers.Softmax, _always, _SAID.mask_softmax),
    (layers.BatchNormalization, _always, _SAID.mask_statistics),
    (layers.GlobalAveragePooling1D, _always, _SAID.mask_mean),
    (layers.TimeDistributed, _always, _SAID.mask_inner),
    (layers.Concatenate, _always, _SAID.mask_joined),
    (layers.Dot, _always, _SAID.mask_ends),
    (merge.Merge, _always, _SAID.mask_any),
    (object, "supports_masking", _SAID.mask_kept),
    (object, lambda layer: type(layer).compute_mask is Layer.compute_mask, _SAID.mask_refused),
    (object, _always, _SAID.mask_lost),
)
