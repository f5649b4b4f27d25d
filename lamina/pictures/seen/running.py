"""Running a model on samples and looking into it. Flags, gradients and weights stay as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...core import arrays
from ...core.care import tend
from ...core.devices import device_of
from ...core.errors import named, short, show_shape
from ...core.layer import Layer
from ...core.scope import asking, in_mode, scope
from .canvas import array_of

_TORCH_CONVOLUTIONS = (nn.modules.conv._ConvNd,)
Calls = list[tuple[nn.Module, Tensor]]


def check_model(what: str, model: Any) -> None:
    """Raises TypeError for what is no module of torch."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"{what}: `model` must be a model or a layer; got {short(model)}.")


def is_picture(model: Any, sample: Any) -> bool:
    """Whether a sample is one to the model, or a volume: with two axes, where no layer takes the first for steps."""
    if not isinstance(sample, np.ndarray) or sample.ndim not in (2, 3, 4):
        return False
    return sample.ndim > 2 or not any(_takes_steps(module) for module in model.modules())


def _takes_steps(module: Any) -> bool:
    if isinstance(module, (nn.RNNBase, nn.Conv1d, nn.MultiheadAttention)) or hasattr(module, "return_sequences"):
        return True
    return getattr(module, "rank", None) == 1 or type(module).__name__.endswith("Attention")


def shown_last(model: Any) -> bool:
    """Whether the channels of a model's pictures stand last."""
    first = next((module for module in model.modules() if is_convolution(module)), None)
    return first is None or channels_last(first)


def is_convolution(module: object) -> bool:
    return isinstance(module, _TORCH_CONVOLUTIONS) or (
        isinstance(module, Layer) and hasattr(module, "kernel_size") and hasattr(module, "rank")
    )


def channels_last(module: Any, model: Any = None) -> bool:
    """Whether the channels of a module's outputs stand last: by its own word, else by that of the model's first
    convolution."""
    form = getattr(module, "data_format", None)
    if form is not None:
        return form != "channels_first"
    return not type(module).__module__.startswith("torch.") and (model is None or shown_last(model))


def name_of(model: Any, module: Any) -> str:
    """The name of a layer; of another module, the attributes that lead to it."""
    own = getattr(module, "name", None)
    return own if isinstance(own, str) else next(n for n, each in model.named_modules() if each is module) or "model"


def layer_of(what: str, model: Any, layer: Any) -> Any:
    """A module in the model by itself, its name, or its place. Raises ValueError where there is none."""
    inside = [module for module in model.modules() if module is not model]
    if isinstance(layer, nn.Module):
        if any(layer is module for module in model.modules()):
            return layer
        raise ValueError(f"{what}: {named(layer)} is not in the model.")
    if isinstance(layer, int):
        layers = getattr(model, "layers", inside)
        if -len(layers) <= layer < len(layers):
            return layers[layer]
        raise ValueError(f"{what}: asked for layer {layer}, but the model has {len(layers)}.")
    for module in inside:
        if getattr(module, "name", None) == layer:
            return module
    found = dict(model.named_modules()).get(layer) if isinstance(layer, str) else None
    if found is None:
        names = [name for module in inside if isinstance(name := getattr(module, "name", None), str)]
        raise ValueError(f"{what}: the model has no layer {layer!r}; it has {', '.join(names[:20]) or 'none by name'}.")
    return found


class Samples:
    """What a model is called on: a batch for each of its inputs. `pictures` is the one that is shown."""

    def __init__(self, what: str, model: Any, x: Any, most: int):
        graph = getattr(model, "_graph", None)
        known = [] if graph is None else list(model.inputs)
        self.model = model
        parts, known, self.build = _parts(what, x, known)
        prepared = [_batch(what, model, part, known[i] if i < len(known) else None) for i, part in enumerate(parts)]
        counts = {len(part) for part in prepared}
        if len(counts) != 1:
            raise ValueError(f"{what}: the inputs hold different numbers of samples: {sorted(counts)}.")
        if not counts.pop():
            raise ValueError(f"{what}: there is no sample in `x`.")
        self.inputs = [part[:most] for part in prepared]
        by_rank = [-1 if not isinstance(part, Tensor) else part.ndim for part in self.inputs]
        self.shown = by_rank.index(max(by_rank))

    @property
    def count(self) -> int:
        return len(self.inputs[0])

    @property
    def pictures(self) -> Any:
        """The input of the highest rank, as an array: (samples, ...)."""
        return array_of(self.inputs[self.shown])

    def call(self, inputs: Sequence[Any] | None = None) -> Any:
        """The model's outputs, in inference."""
        given = self.build(list(self.inputs if inputs is None else inputs))
        if isinstance(self.model, Layer):
            return self.model(given, training=False)
        with in_mode(self.model.modules(), False):
            return self.model(*given) if isinstance(given, list) else self.model(given)


def _parts(what: str, x: Any, known: list[Any]) -> tuple[list[Any], list[Any], Callable[[list[Any]], Any]]:
    """One value for each input, the inputs they are for, and what puts such values together again."""
    if isinstance(x, dict):
        names = {tensor.name: tensor for tensor in known}
        return [*x.values()], [names.get(key) for key in x], lambda values: dict(zip(x, values, strict=True))
    if isinstance(x, (list, tuple)) and len(x) and all(hasattr(part, "shape") for part in x) and len(known) != 1:
        if known and len(known) != len(x):
            raise ValueError(f"{what}: the model has {len(known)} inputs; got {len(x)}.")
        return list(x), known, lambda values: values
    if len(known) > 1:
        names = ", ".join(tensor.name for tensor in known)
        raise ValueError(f"{what}: the model has {len(known)} inputs ({names}): give a list, or a dictionary by name.")
    return [x], known, lambda values: values[0]


def _batch(what: str, model: Any, x: Any, like: Any) -> Any:
    """A batch on the model's device, in the type of its input: floats become the input's; texts stay an array."""
    texts = arrays.texts(x if not isinstance(x, str) else [x])
    if texts is not None:
        return np.asarray(texts, dtype=object).reshape(-1)
    if not isinstance(x, Tensor):
        x = arrays.tensor_of(np.asarray(x), what)
    if like is not None:
        x = _as_batch(x, like.shape)
    if x.ndim == 0 or (like is not None and x.ndim != len(like.shape)):
        expected = "a batch" if like is None else f"samples of shape {show_shape(like.shape[1:])}"
        raise ValueError(f"{what}: `x` must hold {expected}; got shape {show_shape(x.shape)}.")
    kind = x.dtype if like is None else like.torch_dtype
    if like is None and not x.is_floating_point() and not takes_indices(model):
        kind = torch.float32
    return x.detach().to(device_of(model), kind)


def _as_batch(x: Tensor, shape: Sequence[int | None]) -> Tensor:
    """A sample as a batch of one, pictures without a channel with one; what fits neither as it is."""
    rank, single = len(shape), shape[-1] == 1
    alone = x.ndim == rank - 1 and not (single and x.ndim and x.shape[-1] != 1)
    x = x[None] if alone or (single and x.ndim == rank - 2) else x
    return x[..., None] if single and x.ndim == rank - 1 else x


def takes_indices(model: Any) -> bool:
    return any(is_embedding(module) for module in model.modules())


def is_embedding(module: object) -> bool:
    return isinstance(module, nn.Embedding) or (isinstance(module, Layer) and hasattr(module, "embeddings"))


@contextmanager
def outputs_of(modules: Sequence[nn.Module]) -> Iterator[Calls]:
    """Inside, the calls of these modules and the tensors they gave, one after another; gradients by these are known
    where gradients are followed, even if all weights are frozen."""
    found: Calls = []

    def look(module: Any, inputs: Any, outputs: Any) -> Any:
        first = outputs[0] if isinstance(outputs, (list, tuple)) and outputs else outputs
        if isinstance(first, Tensor):
            if torch.is_grad_enabled() and not first.requires_grad and first.is_floating_point():
                first.requires_grad_()
            found.append((module, first))
            return first.clone() if first is outputs else None  # what changes it in place changes the copy
        return None

    handles = [module.register_forward_hook(look) for module in modules]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
        for module in modules:
            if isinstance(module, Layer):
                tend(module)


@contextmanager
def following() -> Iterator[None]:
    """Inside, gradients are followed, whatever is switched off outside; cuDNN's recurrent kernels have none in
    inference."""
    with torch.inference_mode(False), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        yield


def alone(what: str, outputs: Any) -> Tensor:
    """The output of a model of one. Raises ValueError for several."""
    if isinstance(outputs, dict) or (isinstance(outputs, (list, tuple)) and len(outputs) != 1):
        made = "Model(model.inputs, model.outputs[0])"
        raise ValueError(f"{what}: the model has {len(outputs)} outputs; give one of a single output, as {made}.")
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


def scores_of(
    what: str, samples: Samples, inputs: Sequence[Any], target: int | Sequence[int] | None
) -> tuple[Tensor, list[int]]:
    """The score of a class for each sample, (samples,), and which class it is; None: the one with the highest.

    It is what the model's last softmax or sigmoid is given, where a plan can tell, else what the model gives.
    """
    asking[scope.thread] = told = []
    try:
        outputs = samples.call(inputs)
    finally:
        del asking[scope.thread]
    y = alone(what, outputs)
    scores = next((before for after, before, _ in told if after is y), y)
    scores = scores.float()
    if scores.ndim > 2:  # a class for each place
        last = all(channels_last(module) for module in samples.model.modules() if is_convolution(module))
        scores = scores.mean(tuple(range(1, scores.ndim - 1)) if last else tuple(range(2, scores.ndim)))
    scores = scores[:, None] if scores.ndim == 1 else scores
    classes = scores.shape[1]
    chosen = scores.argmax(1).tolist() if target is None else target
    chosen = [int(chosen)] * samples.count if isinstance(chosen, (int, np.integer)) else [int(one) for one in chosen]
    if len(chosen) != samples.count or not all(-classes <= one < classes for one in chosen):
        raise ValueError(
            f"{what}: `target` must be a class, 0 to {classes - 1}, or one for each sample; got {short(target)}."
        )
    rows = torch.arange(samples.count, device=scores.device)
    return scores[rows, torch.tensor(chosen, device=scores.device)], [one % classes for one in chosen]
