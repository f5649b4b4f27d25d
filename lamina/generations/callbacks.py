"""Callbacks of older generations that take something else than the modern ones, or in another order."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

from .. import callbacks
from ..core.errors import warn
from ..training.data import check_count

_CHECKPOINT = "filepath monitor verbose save_best_only save_weights_only mode"
_LAMBDA = "on_epoch_begin on_epoch_end on_batch_begin on_batch_end on_train_begin on_train_end"
_PLATEAU = "monitor factor patience verbose mode min_delta cooldown min_lr"
_KERAS2 = {
    "LambdaCallback": _LAMBDA,
    "ModelCheckpoint": f"{_CHECKPOINT} period",
    "ReduceLROnPlateau": _PLATEAU,
}
# Their arguments in the order of the time.
_ORDERS = {
    "keras1": _KERAS2,
    "keras2": _KERAS2
    | {
        "TensorBoard": "log_dir histogram_freq batch_size write_graph write_grads write_images embeddings_freq "
        "embeddings_layer_names embeddings_metadata embeddings_data update_freq",
    },
    "tf_keras": {
        "BackupAndRestore": "backup_dir save_freq delete_checkpoint save_before_preemption",
        "LambdaCallback": _LAMBDA,
        "ModelCheckpoint": f"{_CHECKPOINT} save_freq options initial_value_threshold",
        "ReduceLROnPlateau": _PLATEAU,
        "TensorBoard": "log_dir histogram_freq write_graph write_images write_steps_per_second update_freq "
        "profile_batch embeddings_freq embeddings_metadata",
    },
}
# What may be left out or say nothing; anything else is no argument here.
_NOTHING = frozenset(
    ("batch_size", "embeddings_data", "embeddings_layer_names", "options", "save_before_preemption", "write_grads")
)


@functools.cache
def find(generation: str, name: str) -> Any:
    """The callback of a generation; None where it is the modern one."""
    order = _ORDERS[generation].get(name)
    if order is None:
        return None
    cls = globals().get(name, getattr(callbacks, name))
    facts = {"_words": tuple(order.split()), "__module__": f"lamina.{generation}.callbacks", "__doc__": cls.__doc__}
    if generation == "tf_keras" and name == "ModelCheckpoint":
        facts["_endings"] = {True: ("",), False: ("",)}  # any name: the model makes a file of it
    return type(name, (_Ordered, cls), facts)


class _Ordered:
    """Takes arguments in the order of its time, and those that say nothing here."""

    _words: tuple[str, ...]

    def __init__(self, *args: Any, **kwargs: Any):
        if len(args) > len(self._words):
            raise TypeError(f"{type(self).__name__}: expected at most {len(self._words)} arguments; got {len(args)}.")
        given = dict(zip(self._words, args, strict=False))
        twice = given.keys() & kwargs.keys()
        if twice:
            raise TypeError(f"{type(self).__name__}: got `{min(twice)}` twice, by its place and by its name.")
        given |= kwargs
        ignored = [name for name in _NOTHING.intersection(self._words) if name == "batch_size" or not given.get(name)]
        super().__init__(**{name: value for name, value in given.items() if name not in ignored})


class ModelCheckpoint(callbacks.ModelCheckpoint):
    """Also takes the names of the time, and saves only every `period` epochs."""

    _endings: ClassVar = {True: (".h5", ".hdf5"), False: (".keras", ".h5", ".hdf5")}

    def __init__(self, *args: Any, period: int = 1, **kwargs: Any):
        check_count(period, "period")
        super().__init__(*args, **kwargs)
        self.period = period

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self.period == 0:
            super().on_epoch_end(epoch, logs)


class ReduceLROnPlateau(callbacks.ReduceLROnPlateau):
    """Also takes `min_delta` under the name of the time, `epsilon`."""

    def __init__(self, *args: Any, **kwargs: Any):
        if "epsilon" in kwargs:
            kwargs["min_delta"] = kwargs.pop("epsilon")
        super().__init__(*args, **kwargs)


class TensorBoard(callbacks.TensorBoard):
    """Says what of profiles and embeddings it leaves out."""

    def __init__(self, *args: Any, profile_batch: Any = 0, embeddings_freq: int = 0, embeddings_metadata: Any = None,
                 **kwargs: Any):  # fmt: skip
        if profile_batch or embeddings_freq or embeddings_metadata:
            warn("TensorBoard: profiles and embeddings are not written; torch.profiler does the former.")
        super().__init__(*args, **kwargs)
