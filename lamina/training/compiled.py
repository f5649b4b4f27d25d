"""What `compile` said: how outputs are judged, how weights change, how steps run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from .. import optimizers
from ..core import serialize
from ..core.errors import Unwritable
from ..metrics import Mean
from .data import Source, check_count
from .objective import CompiledLoss, CompiledMetrics, check_outputs, track


@dataclass(eq=False)
class Compiled:
    """Optimizer, loss, metrics and how to run. The first batch settles which loss and metric is whose.

    Of a model that was not compiled: the defaults.
    """

    arguments: dict[str, Any] = field(default_factory=dict)  # those of `compile`
    optimizer: Any = None
    loss: CompiledLoss | None = None
    metrics: CompiledMetrics | None = None
    run_eagerly: bool = False
    jit_compile: bool | str = "auto"
    steps_per_execution: int = 1
    mean_loss: Any = field(default_factory=lambda: Mean(name="loss"))

    @classmethod
    def of(cls, arguments: dict[str, Any], outputs: Any, names: Sequence[str] | None, scale_loss: bool) -> Compiled:
        """From the arguments of `compile`, among which the optimizer becomes an object. outputs, names: those of the
        model, as far as they are known; scale_loss: for gradients of half precision. Raises ValueError for what
        `compile` does not take."""
        check_count(arguments["steps_per_execution"], "steps_per_execution")
        metrics = arguments["metrics"] or None, arguments["weighted_metrics"] or None  # an empty list asks for none
        told = {**arguments, "metrics": metrics[0], "weighted_metrics": metrics[1]}
        for what in ("metrics", "weighted_metrics"):
            check_outputs(told[what], outputs, names, what)
        optimizer = arguments["optimizer"] = optimizers.get(arguments["optimizer"])
        if scale_loss and isinstance(optimizer, optimizers.Optimizer):
            if not isinstance(optimizer, optimizers.LossScaleOptimizer):
                optimizer = optimizers.LossScaleOptimizer(optimizer, name="loss_scale_optimizer")
        loss = None if arguments["loss"] is None else CompiledLoss(arguments["loss"], arguments["loss_weights"], names)
        if loss is not None and outputs is not None:
            list(loss.assigned(outputs))  # raises where they fit no outputs
        return cls(
            arguments,
            optimizer,
            loss,
            None if metrics == (None, None) else CompiledMetrics(*metrics, names),
            arguments["run_eagerly"],
            False if arguments["run_eagerly"] else arguments["jit_compile"],
            int(arguments["steps_per_execution"]),
        )

    def config(self) -> dict[str, Any]:
        """The arguments as plain data. Raises TypeError for an object of which no config can tell."""
        config = {}
        for name, value in self.arguments.items():
            try:
                config[name] = serialize.serialize(value)
            except Unwritable as error:
                raise Unwritable(f"compile, `{name}`: {error}") from None
        return config

    def name_outputs(self, model: Any) -> None:
        """Learn the names of a model's outputs, where they were not known before it was built."""
        for part in (self.loss, self.metrics):
            if part is not None and not part.built and part.output_names is None:
                part.output_names = getattr(model, "output_names", None)

    def check_targets(self, source: Source, name: str, outputs: Any) -> None:
        """Raises ValueError, calling the data by `name`, where targets are missing, or cannot be those of `outputs`."""
        if self.loss is None:
            return
        if source.lacks_targets:
            raise ValueError(f"{name} comes without `y`, but the compiled loss compares the outputs with targets.")
        if source.targets is not None:
            self.loss.check_labels(source.targets, outputs)
            if self.metrics is not None:
                self.metrics.check_targets(source.targets, outputs)

    def total_loss(
        self, y: Any, outputs: Any, sample_weight: Any, penalties: Callable | None, scores: Sequence[Any] = ()
    ) -> Tensor:
        """The loss of a batch and what layers and regularizers add. Raises ValueError where there is nothing of it."""
        total = None if self.loss is None else self.loss(y, outputs, sample_weight, scores)
        if penalties is not None:
            for penalty in penalties():
                penalty = penalty.sum() if getattr(penalty, "ndim", 0) else penalty  # or a number
                total = penalty if total is None else total + penalty
        if total is None:
            raise ValueError("The model has no loss: give one to `compile`, or add one in a layer with `add_loss`.")
        return total

    def count(self, loss: Tensor, rows: int) -> None:
        """Add the loss of a batch of so many samples to the mean."""
        track(self.mean_loss, loss, rows)

    def trackers(self) -> list[Any]:
        """The mean loss, the compiled metrics (as one), and the means of the outputs' losses."""
        metrics = [] if self.metrics is None else [self.metrics]
        return [self.mean_loss, *metrics, *(self.loss.metrics if self.loss is not None else ())]


# Metrics --------------------------------------------------------------------------------------------------------------


def results_of(metrics: Iterable[Any]) -> dict[str, Any]:
    """The present values of metrics by name, still on the device. Here, and nowhere else, state becomes results."""
    results: dict[str, Any] = {}
    for metric in metrics:
        value = metric.result()
        results |= value if isinstance(value, Mapping) else {metric.name: value}
    return results


def names_in_order(metrics: Iterable[Any], logs: Mapping[str, Any]) -> list[str]:
    """The names of results in the order of the metrics, then the others by name."""
    names: list[str] = []
    for metric in metrics:
        names += [one.name for one in metric.metrics] if isinstance(metric, CompiledMetrics) else [metric.name]
    names = [*dict.fromkeys(name for name in names if name in logs)]
    return [*names, *sorted(set(logs) - set(names))]
