"""Callbacks of older generations that take something else than the modern ones."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import callbacks
from ..training.data import check_count


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
