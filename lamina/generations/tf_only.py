"""What tf.keras alone has, beside the classes of its table: names of its modules, metrics of tensors, small models."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import callbacks, initializers, losses, metrics, optimizers, utils
from ..core import dtypes
from ..core.errors import warn
from ..core.scope import put
from ..core.symbolic import SymbolicTensor
from ..losses import Loss
from ..losses.base import FunctionLoss, name_arg
from ..metrics import Metric
from ..metrics.base import PlainMetric, samplewise
from ..training.data import unpack
from .dialect import CountsOthers, Dialect, Find
from .experimental import LinearCosineDecay, fourier_features, sharpness_aware
from .losses import OF_SCORES, ByReduction
from .rules import StepsOfTensorFlow, WeightsAsArrays
from .utils import losses_utils
from .weighting import of_steps


class Reduction(losses_utils.Reduction):
    """How a loss's values become one."""

    AUTO = "auto"

    @classmethod
    def all(cls) -> tuple[str, ...]:
        return cls.AUTO, *super().all()


_Modern: Any = object  # the modern class, which comes behind in the classes made


class _Reduced(_Modern):
    """A loss that also takes the reduction "auto": the mean, as there are no several replicas."""

    _spreads = True

    def __init__(self, *args: Any, **kwargs: Any):
        args = tuple(_told(value) if isinstance(value, str) else value for value in args)
        if "reduction" in kwargs:
            kwargs["reduction"] = _told(kwargs["reduction"])
        super().__init__(*args, **kwargs)

    def __call__(self, y_true: object, y_pred: Tensor, sample_weight: object = None) -> Tensor:
        if hasattr(y_pred, "ndim") and sample_weight is not None:
            sample_weight = of_steps(torch.as_tensor(sample_weight), y_pred)
        if str(getattr(y_pred, "dtype", "")).endswith("float64"):  # no digit of which is lost
            with put(self, dtype="float64"):
                return super().__call__(y_true, y_pred, sample_weight)
        return super().__call__(y_true, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **_given(self)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        named = issubclass(cls, FunctionLoss)  # tf.keras' configs name the function of the class beside it
        return super().from_config({key: value for key, value in config.items() if key != "fn" or not named})


def _given(function_object: Any) -> dict[str, Any]:
    """What the function of a loss or metric is given, all of which stands in tf.keras' configs."""
    return function_object._kwargs if isinstance(function_object, (FunctionLoss, PlainMetric)) else {}


def _told(reduction: Any) -> Any:
    return Reduction.SUM_OVER_BATCH_SIZE if reduction == Reduction.AUTO else reduction


_ROOT = "lamina.tf_keras"


def _made(home: str, name: str, found: Any, *bases: type, root: str = _ROOT) -> type:
    members = {"__module__": f"{root}.{home}", "__doc__": found.__doc__, "_instances_of": found}
    function: Any = getattr(found, "fn", None)
    members |= {"fn": staticmethod(OF_SCORES[function])} if root == _ROOT and function in OF_SCORES else {}
    return CountsOthers(name, (*bases, found), members)


_LOSS = _made("losses", "Loss", Loss, _Reduced, ByReduction)


def _loss(name: str) -> Any:
    found = getattr(losses, name, None)
    if not (inspect.isclass(found) and issubclass(found, Loss)):
        return Reduction if name == "Reduction" else None
    return _LOSS if found is Loss else _made("losses", name, found, _Reduced)


class _Reused(_Modern):
    """An initializer that says so where it gives the values of its first call again, for want of a seed."""

    def _take_seed(self) -> int:
        if self._taken is not None:
            warn(
                f"The initializer {type(self).__name__} is unseeded and being called multiple times, which gives "
                "identical values each time. Make one for each weight, or give it a seed."
            )
        return super()._take_seed()

    def get_config(self) -> dict[str, Any]:
        return {
            name: value for name, value in super().get_config().items() if name not in ("input_axes", "output_axes")
        }


@functools.cache
def _random(found: type) -> type:
    made: Any = _made("initializers", found.__name__, found, _Reused)
    made._home = "keras.initializers"
    return made


_SHORT = {"normal": "RandomNormal", "uniform": "RandomUniform"}


def _initializer(name: str) -> type | None:
    found = getattr(initializers, _SHORT.get(name, name), None)
    return _random(found) if inspect.isclass(found) and "seed" in getattr(found, "_args", ()) else None


class MetricWords(WeightsAsArrays):
    """A metric as Keras 2 and tf.keras write it: its variables are weights, as a layer's are. It starts afresh by
    either name; what a user's class calls the older one is that."""

    stateful = True

    def reset_states(self) -> None:
        super().reset_state()

    weights = property(lambda self: self.variables)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """The result; of a symbolic tensor, what `add_metric` shows as this metric."""
        symbol: Any = args[0] if args and isinstance(args[0], SymbolicTensor) else None
        found = super().__call__(*args, **kwargs) if symbol is None else torch.clone(symbol)
        if symbol is not None or isinstance(found, Tensor):
            vars(found)["_metric_obj"] = self  # by which `add_metric(metric(value))` knows it
        return found

    def add_variable(self, *args: Any, **kwargs: Any) -> Any:
        """Called by its own name alone, whatever the metric's."""
        made = super().add_variable(*args, **kwargs)
        made.path = made._name
        return made

    def add_weight(self, name: str | None = None, shape: Any = (), initializer: Any = None, dtype: Any = None) -> Any:
        """Name before shape, which may be a size."""
        shape = () if shape is None else (shape,) if isinstance(shape, int) else shape
        return super().add_weight(shape, initializer, dtype, name)


class _Words(MetricWords):
    """A metric in tf.keras' words."""

    _default_dtype = Metric._default_dtype  # of overlaps too, which today count in whole numbers

    @staticmethod
    def _samplewise(values: Any, sample_weight: Any, *how: Any) -> Any:
        """One weight for all is that of each sample."""
        if sample_weight is not None and np.ndim(sample_weight) == 0 and np.ndim(values):
            sample_weight = torch.as_tensor(sample_weight).expand(len(values))
        return samplewise(values, sample_weight, *how)

    def merge_state(self, metrics: Iterable[Any]) -> None:
        """Add what others have seen. Raises ValueError for those whose state has other shapes."""
        for metric in metrics:
            shapes = [[tuple(weight.shape) for weight in each.weights] for each in (self, metric)]
            if shapes[0] != shapes[1]:
                raise ValueError(
                    f"{type(self).__name__}: merge_state needs state of shapes {shapes[0]}; got {shapes[1]}."
                )
            for own, other in zip(self.weights, metric.weights, strict=True):
                own.assign_add(other)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **_given(self)}

    def add_weight(self, name: str | None = None, shape: Any = (), aggregation: Any = None, synchronization: Any = None,
                   initializer: Any = None, dtype: Any = None) -> Any:  # fmt: skip
        """How replicas share it says nothing, as there is one."""
        return super().add_weight(name, shape, initializer, dtype)


@functools.cache
def metric_of(root: str, found: Any) -> type:
    """The class of metrics in the words of Keras 2 or tf.keras, whose modules stand below `root`."""
    base = metric_of(root, Metric) if found is not Metric else _Words if root == _ROOT else MetricWords
    return _made("metrics", found.__name__, found, base, root=root)


def _metric(name: str) -> Any:
    found = _METRICS.get(name) or getattr(metrics, name, None)
    return metric_of(_ROOT, found) if inspect.isclass(found) and issubclass(found, Metric) else None


class KLDivergence(metrics.KLDivergence):
    """Sum of y_true log(y_true / y_pred), by its long name."""

    name: str = name_arg("kullback_leibler_divergence")


class SparseCategoricalCrossentropy(metrics.SparseCategoricalCrossentropy):
    """The mean of -log y_pred[y_true]; samples of `ignore_class` do not count."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        alike = sample_weight is None and self.ignore_class is not None
        super().update_state(y_true, y_pred, 1.0 if alike else sample_weight)


class MeanTensor(Metric):
    """The mean of each place over all tensors of one `shape`, by default that of the first."""

    def __init__(self, name: str = "mean_tensor", dtype: Any = None, shape: Any = None):
        super().__init__(name=name, dtype=dtype)
        self._sums: Any = None  # of weighted values, of weights
        if shape is not None:
            self._make(tuple(shape))

    total = property(lambda self: None if self._sums is None else self._sums[0])
    count = property(lambda self: None if self._sums is None else self._sums[1])

    def _make(self, shape: tuple[int, ...]) -> None:
        self._sums = [self.add_variable(shape, "zeros", name=name) for name in ("total", "count")]

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values = torch.as_tensor(values).to(dtypes.torch_dtype(self.dtype))
        if self._sums is None:
            self._make(tuple(values.shape))
        total, count = vars(self)["_sums"]
        if values.shape != total.shape:
            raise ValueError(f"MeanTensor: expected tensors of shape {tuple(total.shape)}; got {tuple(values.shape)}.")
        weights = torch.ones_like(values)
        if sample_weight is not None:
            given = torch.as_tensor(sample_weight).to(values)
            weights = weights * given.reshape(*given.shape, *(1,) * (values.ndim - given.ndim))
        total.assign_add(values * weights)
        count.assign_add(weights)

    def result(self) -> Tensor:
        if self._sums is None:
            raise ValueError("MeanTensor: give it a tensor, or a `shape`, before its result.")
        return torch.nan_to_num(self._sums[0] / self._sums[1], 0.0, 0.0, 0.0)


class MeanRelativeError(metrics.Mean):
    """The mean of |target - prediction| / normalizer; 0 where the normalizer is 0."""

    def __init__(self, normalizer: Any, name: str | None = None, dtype: Any = None):
        super().__init__(name=name or "mean_relative_error", dtype=dtype)
        self.normalizer = torch.as_tensor(normalizer).float()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = torch.as_tensor(y_pred).float()
        errors = (y_pred - torch.as_tensor(y_true).to(y_pred)).abs() / self.normalizer.to(y_pred.device)
        errors = torch.nan_to_num(errors, 0.0, 0.0, 0.0)
        super().update_state(errors, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "normalizer": self.normalizer.tolist()}


class LossScaleOptimizer(StepsOfTensorFlow, optimizers.LossScaleOptimizer):
    """In tf.keras' words, and for training steps of one's own; without `dynamic` the scale stays what it is.

    Raises ValueError where `initial_scale` or `dynamic_growth_steps` do not fit `dynamic`.
    """

    _home = "lamina.tf_keras.mixed_precision"

    def __init__(self, inner_optimizer: Any, dynamic: bool = True, initial_scale: float | None = None,
                 dynamic_growth_steps: int | None = None, **kwargs: Any):  # fmt: skip
        scale = kwargs.pop("loss_scale", dynamic)  # of TensorFlow 2.1 to 2.3: "dynamic" or a number
        if not isinstance(scale, bool):
            dynamic, initial_scale = scale == "dynamic", initial_scale if scale == "dynamic" else float(scale)
        if not dynamic and initial_scale is None:
            raise ValueError("LossScaleOptimizer: without `dynamic` it needs an `initial_scale`.")
        if not dynamic and dynamic_growth_steps is not None:
            raise ValueError("LossScaleOptimizer: `dynamic_growth_steps` needs `dynamic`; got dynamic=False.")
        super().__init__(inner_optimizer, initial_scale or 2.0**15, dynamic_growth_steps or 2000, **kwargs)
        self.dynamic = dynamic

    @property
    def loss_scale(self) -> Tensor:
        """The present scale."""
        return self.dynamic_scale if self.built and self.dynamic else torch.tensor(float(self.initial_scale))

    @property
    def dynamic_counter(self) -> Tensor | None:
        """How many good steps there were in a row."""
        return (self.step_counter if self.built else torch.tensor(0)) if self.dynamic else None

    _unscaled = False  # whether gradients are, as those given to `apply_gradients`

    def _divisor(self) -> Any:
        return 1.0 if self._unscaled else super()._divisor()

    def _apply(self, grads: Sequence[Tensor | None]) -> None:
        if self.dynamic:
            steps = self.inner_optimizer._iterations
            before = steps.detach().clone()
            super()._apply(grads)
            steps.copy_(before + 1)  # those left out count, too
        else:
            scale = 1.0 if self._unscaled else self.initial_scale
            self.inner_optimizer._apply([None if grad is None else grad / scale for grad in grads])

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "dynamic": self.dynamic}
        del config["name"]  # tf.keras takes none
        return config if self.dynamic else {**config, "dynamic_growth_steps": None}

    def get_scaled_loss(self, loss: Any) -> Any:
        """The loss, or what a function gives as such, times the present scale."""
        if callable(loss) and not isinstance(loss, Tensor):
            return lambda: self.get_scaled_loss(loss())
        return loss * self.loss_scale.detach().to(loss)

    def get_unscaled_gradients(self, grads: Iterable[Tensor | None]) -> list[Tensor | None]:
        """Divided by the present scale, as `apply_gradients` takes them."""
        return [None if grad is None else grad / self.loss_scale.detach().to(grad) for grad in grads]

    def compute_gradients(
        self, loss: Any, var_list: Any, tape: Any = None, grad_loss: Tensor | None = None
    ) -> list[tuple[Tensor | None, Tensor]]:
        if tape is not None:
            with tape:
                loss = self.get_scaled_loss(loss)
        else:
            loss = self.get_scaled_loss(loss)
        pairs = super().compute_gradients(loss, var_list, tape, grad_loss)
        grads = self.get_unscaled_gradients(grad for grad, _ in pairs)
        return [(grad, weight) for grad, (_, weight) in zip(grads, pairs, strict=True)]

    def apply_gradients(self, *args: Any, **kwargs: Any) -> Tensor:
        """From gradients of the loss as it is, not as it was scaled."""
        self._unscaled = True
        try:
            return super().apply_gradients(*args, **kwargs)
        finally:
            self._unscaled = False


def gives_loaders(name: str) -> bool:
    """Whether the function of this name in `utils` gives data sets of torch."""
    return name.endswith(("_from_directory", "dataset_from_array")) or name == "split_dataset"


def as_dataset(function: Callable) -> Callable:
    """The function with pipelines of `tf.data` for the data sets of torch it gives."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        from .tensorflow.data import Dataset, made_of

        if "smart_resize" in kwargs:  # its name before
            kwargs["crop_to_aspect_ratio"] = kwargs.pop("smart_resize")
        found = function(*args, **kwargs)
        loaders = found if isinstance(found, (tuple, list)) else [found]
        made = [Dataset(functools.partial(map, made_of, loader), len(loader)) for loader in loaders]
        for dataset, loader in zip(made, loaders, strict=True):
            vars(dataset).update(
                {key: vars(loader)[key] for key in ("class_names", "file_paths", "reads_ahead") if key in vars(loader)}
            )
        return made[0] if found is loaders[0] else tuple(made)

    return call


def _folder(name: str) -> Any:
    return as_dataset(getattr(utils, name)) if gives_loaders(name) else None


def _linear(dialect: Dialect) -> Any:
    """`LinearModel(units)`: the sum of one linear layer for each input, as a model."""
    base, dense = dialect.find("models", "Model"), dialect.find("layers", "Dense")

    class LinearModel(base):
        def __init__(self, units: int = 1, activation: Any = None, use_bias: bool = True,
                     kernel_initializer: Any = "zeros", bias_initializer: Any = "zeros",
                     kernel_regularizer: Any = None, bias_regularizer: Any = None, **kwargs: Any):  # fmt: skip
            super().__init__(**kwargs)
            self.units, self._activation = units, activation
            self._options = {"kernel_initializer": kernel_initializer, "kernel_regularizer": kernel_regularizer}
            self._of_bias = {"initializer": bias_initializer, "regularizer": bias_regularizer} if use_bias else None

        def build(self, input_shape: Any) -> None:
            shapes = list(input_shape.values()) if isinstance(input_shape, dict) else input_shape
            count = len(shapes) if isinstance(shapes[0], (tuple, list)) else 1
            self.dense_layers = [dense(self.units, use_bias=False, **self._options) for _ in range(count)]
            self.bias = None if self._of_bias is None else self.add_weight("bias", (self.units,), **self._of_bias)
            self.activation = dialect.find("layers", "Activation")(self._activation or "linear")
            super().build(input_shape)

        def call(self, inputs: Any) -> Any:
            parts = list(inputs.values()) if isinstance(inputs, dict) else inputs
            parts = parts if isinstance(parts, (list, tuple)) else [parts]
            found = sum(layer(x) for layer, x in zip(self.dense_layers, parts, strict=True))
            return self.activation(found if self.bias is None else found + self.bias)

    return LinearModel


def _wide_deep(dialect: Dialect) -> Any:
    """`WideDeepModel(linear_model, dnn_model)`: the sum of what two models give, as a model. `compile` takes an
    optimizer for both, or a list of one for each."""
    base = dialect.find("models", "Model")

    class WideDeepModel(base):
        def __init__(self, linear_model: Any, dnn_model: Any, activation: Any = None, **kwargs: Any):
            super().__init__(**kwargs)
            self.linear_model, self.dnn_model = linear_model, dnn_model
            self.activation = dialect.find("layers", "Activation")(activation or "linear")

        def compile(self, optimizer: Any = "rmsprop", *args: Any, **kwargs: Any) -> None:
            wide, *deep = optimizer if isinstance(optimizer, (list, tuple)) else [optimizer]
            super().compile(wide, *args, **kwargs)
            self.__dict__["_of_deep"] = dialect.get("optimizers", deep[0]) if deep else None

        def train_step(self, data: Any) -> Any:
            deep_optimizer = vars(self)["_of_deep"]
            if deep_optimizer is None:
                return super().train_step(data)
            x, y, sample_weight = unpack(data)
            outputs = self(x, training=True)
            loss = self.compiled_loss(y, outputs, sample_weight, self.losses)
            wide, deep = self.linear_model.trainable_variables, self.dnn_model.trainable_variables
            grads = torch.autograd.grad(loss, [*wide, *deep])
            self.optimizer.apply_gradients(zip(grads, wide, strict=False))
            deep_optimizer.apply_gradients(zip(grads[len(wide) :], deep, strict=True))
            self.compiled_metrics.update_state(y, outputs, sample_weight)
            return self.get_metrics_result()

        def call(self, inputs: Any, training: bool = False) -> Any:
            wide, deep = inputs if isinstance(inputs, (list, tuple)) and len(inputs) == 2 else (inputs, inputs)
            return self.activation(self.linear_model(wide) + self.dnn_model(deep, training=training))

    return WideDeepModel


def _estimator(*args: Any, **kwargs: Any) -> Any:
    raise ValueError("model_to_estimator: estimators were TensorFlow's own; train the Keras model with `fit`.")


_PRECISION = {
    "Policy": dtypes.DTypePolicy,
    "set_global_policy": dtypes.set_dtype_policy,
    "set_policy": dtypes.set_dtype_policy,
    "global_policy": dtypes.dtype_policy,
    "get_layer_policy": operator.attrgetter("dtype_policy"),
    "LossScaleOptimizer": LossScaleOptimizer,
}
_SHARPNESS = "SharpnessAwareMinimization"
_METRICS = {
    metric.__name__: metric for metric in (KLDivergence, SparseCategoricalCrossentropy, MeanTensor, MeanRelativeError)
}
_EXPERIMENTAL = {"LinearModel": _linear, "WideDeepModel": _wide_deep, "LinearCosineDecay": lambda _: LinearCosineDecay}


def fill(dialect: Dialect, homes: dict[str, Find], first: Callable[..., Find], modern: Callable[[str], Find]) -> None:
    """Tell how names are found in the modules that tf.keras alone has, and in `losses` and `metrics`."""
    find, schedules = dialect.find, modern("optimizers.schedules")

    def experimental(name: str) -> Any:
        make = _EXPERIMENTAL.get(name)
        return schedules(name) if make is None else make(dialect)

    def of_layers(name: str) -> Any:
        if name == "RandomFourierFeatures":
            return fourier_features(dialect)
        return find("layers", "BatchNormalization" if name == "SyncBatchNormalization" else name)

    homes["mixed_precision"] = homes["mixed_precision.experimental"] = _PRECISION.get
    homes["optimizers.schedules"], homes["experimental"] = schedules, experimental
    homes["initializers"] = first(_initializer, homes["initializers"])
    homes["losses"] = first(_loss, homes["losses"])
    homes["metrics"] = first(_metric, homes["metrics"])
    homes["layers.experimental"] = of_layers
    homes["models.experimental"] = lambda name: sharpness_aware(dialect) if name == _SHARPNESS else None
    for home in ("utils", "preprocessing"):
        homes[home] = first(_folder, homes[home])
    homes["saving"] = first(functools.partial(find, "models"), modern("saving"))
    homes["estimator"] = {"model_to_estimator": _estimator}.get
    homes["callbacks.experimental"] = {"BackupAndRestore": callbacks.BackupAndRestore}.get
