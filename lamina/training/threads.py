"""How many threads a step takes: measured on its own steps, as the machine is now.

Threads of one operation wait for each other at its end, and they wait spinning: where another process has the processor
that one of them needs, all of them lose its time slice. On a busy machine fewer threads are several times faster, on a
quiet one often as fast. So the steps of `fit`, `evaluate` and `predict` are timed, and now and then some of them run on
more or fewer threads, never more than the user's `torch.set_num_threads`, who finds that number again afterwards.
"""

from __future__ import annotations

import functools
import os
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch

from ..core import config
from ..core.devices import device_of
from .distributed import place
from .progress import per_step

BLOCK = 0.025  # seconds of steps that are measured as one: several time slices of the system, or one longer step
SETTLING = 2  # steps before the first is measured: they choose kernels and ask for memory
SHARE = 0.01  # of the time may go into trials that find nothing new
HURRY = 10  # so many times sooner is a trial allowed where something has changed
LONGEST = 32  # a trial that finds nothing new makes the next one wait longer, up to so many times
BETTER, WORSE, SLOWER = 0.93, 1.2, 1.3  # times of a step over what it is held against
WORTH = 3e-3  # seconds that a loop has to take, or another number is not set for it: setting takes 0.1 ms
FORGOTTEN = 60.0  # seconds after which nothing is taken for known


# Choosing -------------------------------------------------------------------------------------------------------------


class Choice:
    """The number of threads for one kind of step, `now`, out of `numbers`, from the user's down to 1.

    It is told the seconds of each step. Blocks of steps are held against each other: a trial alternates between the
    present number and a neighbour, and walks on while the next is better. Trials come after a time that grows while
    they change nothing, and sooner where steps became slower than they were or where `crowded` disagrees with what was
    found: it is told the present number, and says whether all of the user's would have to share the processors.
    """

    def __init__(self, numbers: list[int], crowded: Callable[[int], bool]):
        self.numbers, self._crowded = numbers, crowded
        self.now = numbers[0]
        self.mean = 0.0  # seconds a step of the last block
        self._steps, self._seconds = -SETTLING, 0.0  # of the block
        self._ran = 0.0  # seconds in blocks
        self._recent: deque[float] = deque(maxlen=5)  # seconds a step of the last blocks with the present number
        self._usual = float("inf")  # the least that was usual since the last trial
        self._signs: deque[bool] = deque(maxlen=3)
        self._doubted = True  # the last trial's answer is not what `crowded` suggests; before it, all of them count
        self._crowd = False  # what it said then
        self._trial: _Trial | None = None
        self.found: tuple[int, float, float] | None = None  # what a trial found better: the number, s a step, before
        self._next: tuple[float, float] | None = None  # when the next trial is due, and when one where there is reason
        self._waits, self._hurried = {False: 1, True: 1}, False  # how much longer, as trials changed nothing

    def __reduce__(self) -> Any:
        return type(None), ()  # copies of a model start without one

    def add(self, seconds: float) -> bool:
        """Count a step; whether `now` is another number."""
        self._steps += 1
        if self._steps <= 0:
            if self._steps == 0:
                self._signs.append(self._crowded(self.now))
            return False
        self._seconds += seconds
        if self._seconds < BLOCK:
            return False
        before = self.now
        self._ran += self._seconds
        self.mean = mean = self._seconds / self._steps
        if self._trial is None:
            self._watch(mean)
        else:
            self._go_on(self._trial, mean)
        self._steps, self._seconds = 0, 0.0
        return self.now != before

    def _watch(self, mean: float) -> None:
        """A block with the present number, while no trial is on."""
        self._signs.append(self._crowded(self.now))
        self._recent.append(mean)
        level = statistics.median(self._recent)
        if len(self._recent) == self._recent.maxlen:
            self._usual = min(self._usual, level)
        if self._next is None:  # a neighbour takes at most twice as long
            self._next = max(BLOCK, mean) / SHARE, 0.0
        due, soonest = self._next
        self._hurried = self._ran < due
        if not self._hurried or (self._ran >= soonest and (level > SLOWER * self._usual or self._contradicted())):
            place = self.numbers.index(self.now)
            self._trial = _Trial(place, [way for way in (1, -1) if 0 <= place + way < len(self.numbers)], level)
            self.now = self.numbers[self._trial.other]

    def _contradicted(self) -> bool:
        """Whether other processes came or went since the last trial, or are no reason for its answer."""
        if len(self._signs) < 2:
            return False
        crowded = all(self._signs)  # a moment's count is often one too high: of a thread that reads ahead, say
        right = crowded == (self.now < self.numbers[0])
        return not right and (crowded != self._crowd or self._doubted)

    def _go_on(self, trial: _Trial, mean: float) -> None:
        """A block of a trial."""
        if trial.with_other:
            trial.lost += max(0.0, self._seconds - self._steps * trial.before)
        better = trial.found(mean)
        if better is None:
            self.now = self.numbers[trial.other if trial.with_other else trial.base]
        elif trial.walks_on(better, len(self.numbers)):
            self.now = self.numbers[trial.other]
        else:
            self.now, self._trial = self.numbers[trial.base], None
            self.found = (self.now, trial.before, trial.at_first) if trial.won else None
            waits = self._waits
            waits[self._hurried] = min(2 * waits[self._hurried], LONGEST)
            if trial.won:
                waits[True] = waits[False] = 1
            wait = max(BLOCK, trial.lost) / SHARE
            self._next = self._ran + wait * waits[False], self._ran + wait * waits[True] / HURRY
            self._crowd, self._doubted = all(self._signs), trial.won
            self._recent.clear()
            self._usual = float("inf")


class _Trial:
    """Blocks with another number and with the present one, the base; both are places in the list of numbers.

    Their order is other, base, base, other: that is fair also where long and short batches alternate. Where the better
    of both blocks with the other number says another thing than both together, the four run once more.
    """

    def __init__(self, base: int, ways: list[int], before: float):
        self.base, self.before = base, before  # seconds a step with the base
        self.at_first = self._after = before
        self._ways = ways
        self._took: list[float] = []
        self.lost = 0.0  # seconds by which blocks with other numbers took longer
        self.won = False

    @property
    def other(self) -> int:
        return self.base + self._ways[0]

    @property
    def with_other(self) -> bool:
        """Whether the present block is one with the other number."""
        return len(self._took) % 4 in (0, 3)

    def found(self, mean: float) -> bool | None:
        """After a block: whether the other number is better, on the whole and at best; None: not known yet."""
        self._took.append(mean)
        count = len(self._took)
        if count == 1:
            return False if mean > WORSE * self.before else None
        if count not in (4, 8):
            return None
        other, base = (sorted(self._took[first::4] + self._took[second::4]) for first, second in ((0, 3), (1, 2)))
        best = other[0] < BETTER * base[0]
        if count == 8:
            other, base = other[:-1], base[:-1]  # without the block of each that was disturbed most
        better = sum(other) < BETTER * sum(base)
        if count == 4 and best and not better:
            return None
        self.before, self._after = statistics.mean(base), statistics.mean(other)
        return better and other[0] < base[0]

    def walks_on(self, better: bool, count: int) -> bool:
        """Go on the same way where that was better, else the other way; False: that was all."""
        if better:
            self.at_first = self.at_first if self.won else self.before
            self.base, self.before, self.won = self.other, self._after, True
        keep = self._ways[:1] if better else [] if self.won else self._ways[1:]
        self._ways = [way for way in keep if 0 <= self.base + way < count]
        self._took = []
        return bool(self._ways)


# A loop ---------------------------------------------------------------------------------------------------------------


class _Held(threading.local):
    """What the loops of a thread have set, from the outermost on: the user's number, the one that is set now."""

    user = put = 0
    met = False  # a loop of this thread has run


_held = _Held()
_setting = threading.Lock()


class Threads:
    """The number of threads for the steps of one loop. At the end of `with` the number before it is set again, unless
    somebody inside set another."""

    def __init__(self, model: Any):
        self._model = model
        self._taken: dict[str, Choice] = {}

    def __enter__(self) -> Threads:
        if not _held.met:
            with _setting:  # a thread finds its number when it first asks
                _held.met = torch.get_num_threads() > 0
        self._before, self._outer = torch.get_num_threads(), (_held.user, _held.put)
        if self._before != _held.put:  # the outermost loop of this thread, or a callback has set another number
            _held.user = _held.put = self._before
        return self

    def __exit__(self, *exception: object) -> None:
        for phase, choice in self._taken.items():
            self._model._thread_choices[phase] = choice, time.monotonic()
        self._put(self._before)
        _held.user, _held.put = self._outer

    def paced(self, run: Callable, phase: str, steps: int | None, say: Callable[[str], Any] | None) -> Callable:
        """`run`, which takes as many threads as is best, or `run` itself where there is no choice.

        steps: how many there are, where these are all. `say` is told what was found.
        """
        choice = self._taken.get(phase) or self._choice(phase, steps)
        if choice is None:
            self._put(_held.user)
            return run
        self._put(choice.now)
        add, clock = choice.add, time.perf_counter

        def timed(x: Any, y: Any, sample_weight: Any) -> Any:
            start = clock()
            found = run(x, y, sample_weight)
            if add(clock() - start):
                self._put(choice.now)
                if say is not None and choice.found is not None:
                    number, after, before = choice.found
                    choice.found = None
                    say(f"{number} of {_held.user} threads: {per_step(after)} instead of {per_step(before)}")
            return found

        return timed

    def _choice(self, phase: str, steps: int | None) -> Choice | None:
        most = _held.user
        if most == 1 or not _may_choose(self._model):
            return None
        # Another thread that runs this model finds nothing here meanwhile, and begins anew.
        choice, left = self._model._thread_choices.pop(phase, None) or (None, 0.0)
        if choice is None or choice.numbers[0] != most or time.monotonic() - left > FORGOTTEN:
            least = granted()
            numbers = sorted({most, min(most, least), -(-most // 2), 1}, reverse=True)
            choice = Choice(numbers, lambda now: most > least or running() - now + most > (os.cpu_count() or most))
        elif choice.now != most and steps is not None and steps * choice.mean < WORTH:
            self._model._thread_choices[phase] = choice, left
            return None
        self._taken[phase] = choice
        return choice

    def _put(self, number: int) -> None:
        if number == _held.put or torch.get_num_threads() != _held.put:
            return
        with _setting:
            _held.put = number  # first: Ctrl-C may come right after the call
            torch.set_num_threads(number)
            if number != _held.user:
                # Threads that begin later start with what was set last anywhere in the process: not with this.
                with suppress(RuntimeError):  # no further thread can be had
                    other = threading.Thread(target=torch.set_num_threads, args=(_held.user,))
                    other.start()
                    other.join()


def _may_choose(model: Any) -> bool:
    """Whether the number of threads of a model's steps is Lamina's to choose."""
    wanted = config.thread_choice()
    if wanted is False or torch.are_deterministic_algorithms_enabled() or device_of(model).type != "cpu":
        return False
    if getattr(model, "jit_compile", None) is True:
        return False  # code that torch.compile wrote is for one number of threads
    if place()[1] > 1:
        return False  # the ranks wait for each other, and who started them has shared out the processors
    # Another number adds up in another order: the last bits of sums differ. Who gave a seed wants them equal; without
    # one, torch's own is random in all of its 64 bits.
    return wanted is True or torch.initial_seed() >= 2**32


# The machine ----------------------------------------------------------------------------------------------------------


@functools.cache
def granted() -> int:
    """The processors that this process may use: of the machine, by its affinity, by its control group."""
    count = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = min(count, len(os.sched_getaffinity(0)))
    for quota, period in (
        ("/sys/fs/cgroup/cpu.max", None),
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
    ):
        words = [*_words(quota), *(_words(period) if period else [])]
        if len(words) == 2 and words[0].isdigit() and int(words[1]) > 0:
            count = min(count, -(-int(words[0]) // int(words[1])))
    return max(count, 1)


def running() -> int:
    """How many threads of all processes run or wait for a processor at this moment; 0 where that is not told."""
    words = _words("/proc/loadavg")
    found = words[3].partition("/")[0] if len(words) > 3 else ""
    return int(found) if found.isdigit() else 0


def _words(path: str) -> list[str]:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return []
    try:
        return os.read(file, 100).decode("ascii", "replace").split()
    except OSError:
        return []
    finally:
        os.close(file)
