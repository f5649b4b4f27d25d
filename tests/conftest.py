"""The same conditions for every test: one thread, no user configuration, reproducible property tests."""

from __future__ import annotations

import gc
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="lamina-tests-")  # a user's keras.json must not decide a test

import hypothesis
import numpy as np
import pytest
import torch

torch.set_num_threads(1)  # pytest-xdist already uses the cores
slow = [hypothesis.HealthCheck.too_slow]  # no test reads the clock: beside busy processes everything is slow
hypothesis.settings.register_profile(
    "lamina", deadline=None, derandomize=True, print_blob=True, suppress_health_check=slow
)
hypothesis.settings.load_profile("lamina")
SEEDED = torch.Generator().manual_seed(0).get_state()


def pytest_sessionstart() -> None:
    """Until all tests are collected no garbage is looked for: that took two fifths of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """While tests run the collector looks at what they make, not at the 1.5 million objects of pytest and torch."""
    gc.collect()
    gc.freeze()
    gc.enable()


def as_at_the_start() -> None:
    """Random states are the same in every run, and what is asked of all of torch is as in a new process, whatever tests
    ran before."""
    random.seed(0)
    np.random.seed(0)
    torch.set_rng_state(SEEDED)
    torch.use_deterministic_algorithms(False)


as_at_the_start()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    as_at_the_start()
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.fixture(scope="module")
def tf() -> Iterator[Any]:
    """The stand-in for TensorFlow, with `tf.keras`."""
    from lamina import generations

    if generations.alias.installed_keras() is not None or generations.alias.importlib.util.find_spec("tensorflow"):
        pytest.skip("a Keras or TensorFlow is installed here")
    generations.install("tf_keras")
    try:
        yield sys.modules["tensorflow"]
    finally:
        generations.uninstall()
