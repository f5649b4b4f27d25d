"""`keras.utils.data_utils` of Keras 1 and 2: files that are fetched, and batches that are read ahead."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from ...training.data import PyDataset
from ...utils import files


def _hash_file(fpath: Any, algorithm: str = "sha256", chunk_size: int = 65535) -> str:
    """The sha256 or md5 sum of a file; "auto" is sha256 as well."""
    return files.sum_of(fpath, "md5" if algorithm == "md5" else "sha256", chunk_size)


class SequenceEnqueuer:
    """Reads batches ahead, in threads or processes. Between `start` and `stop`, `get` gives them."""

    def __init__(self, sequence: Any, use_multiprocessing: bool = False):
        self.sequence, self.use_multiprocessing = sequence, use_multiprocessing
        self.stop_signal: threading.Event | None = None
        self.queue: queue.Queue[Any] = queue.Queue()
        self.run_thread: threading.Thread | None = None
        self.workers = 0

    def is_running(self) -> bool:
        return self.stop_signal is not None and not self.stop_signal.is_set()

    def start(self, workers: int = 1, max_queue_size: int = 10) -> None:
        """Read ahead: as many batches as the queue holds, with that many threads or processes."""
        self.workers, self.queue = workers, queue.Queue(max_queue_size)
        self.stop_signal = threading.Event()
        self.run_thread = threading.Thread(target=self._run, daemon=True)
        self.run_thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Read no more; waits for what is being read, at most `timeout` seconds."""
        if self.stop_signal is None or self.run_thread is None:
            return
        self.stop_signal.set()
        with self.queue.mutex:
            self.queue.queue.clear()
            self.queue.not_full.notify_all()
        self.run_thread.join(timeout)

    def _run(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define `_run`, which fills `self.queue`.")

    def _put(self, item: Any) -> bool:
        """Whether there was a place for it before `stop`."""
        while self.is_running():
            try:
                self.queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def get(self) -> Iterator[Any]:
        """The batches, without those that are None."""
        while self.is_running():
            try:
                item = self.queue.get(timeout=0.1)
            except queue.Empty:
                continue
            if item is _END:
                return
            try:
                found = item.result()
            except BaseException:
                self.stop()
                raise
            if found is not None:
                yield found


_END = object()


class OrderedEnqueuer(SequenceEnqueuer):
    """Reads a dataset of whole batches ahead, epoch after epoch, in its order or in a new one for each epoch."""

    def __init__(self, sequence: PyDataset, use_multiprocessing: bool = False, shuffle: bool = False):
        super().__init__(sequence, use_multiprocessing)
        self.shuffle, self._epoch_ended = shuffle, threading.Event()

    def join_end_of_epoch(self) -> None:
        """Wait, half a minute at most, until the dataset was told the end of an epoch since the last time."""
        self._epoch_ended.wait(timeout=30)
        self._epoch_ended.clear()

    def _run(self) -> None:
        pool = ProcessPoolExecutor if self.use_multiprocessing else ThreadPoolExecutor
        while self.is_running():
            order = list(range(len(self.sequence)))
            if self.shuffle:
                random.shuffle(order)
            with pool(self.workers) as workers:
                for index in order:
                    if not self._put(workers.submit(self.sequence.__getitem__, index)):
                        return
            self.sequence.on_epoch_end()
            self._epoch_ended.set()


class GeneratorEnqueuer(SequenceEnqueuer):
    """Reads a generator ahead, in one thread: a generator can be asked by one at a time. It may have an end."""

    def __init__(
        self, sequence: Any, use_multiprocessing: bool = False, wait_time: float | None = None, random_seed: Any = None
    ):
        if use_multiprocessing:
            raise ValueError(
                "GeneratorEnqueuer: a generator is not copied into processes, which would each give all of its "
                "batches; make it a Sequence, or pass use_multiprocessing=False."
            )
        super().__init__(sequence)

    def _run(self) -> None:
        while True:
            item: Future[Any] = Future()
            try:
                item.set_result(next(self.sequence))
            except StopIteration:
                self._put(_END)
                return
            except BaseException as error:
                item.set_exception(error)
            if not self._put(item) or item.exception():
                return
