"""The same conditions for every test: one thread, no user configuration, reproducible property tests."""

from __future__ import annotations

import os
import tempfile

os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="lamina-tests-")  # a user's keras.json must not decide a test

from collections.abc import Iterator

import hypothesis
import pytest
import torch

torch.set_num_threads(1)  # pytest-xdist already uses the cores
slow = [hypothesis.HealthCheck.too_slow]  # no test reads the clock: beside busy processes everything is slow
hypothesis.settings.register_profile(
    "lamina", deadline=None, derandomize=True, print_blob=True, suppress_health_check=slow
)
hypothesis.settings.load_profile("lamina")


@pytest.fixture(autouse=True)
def kernels_as_before() -> Iterator[None]:
    """What one test asks of all of torch is not asked in the next."""
    before = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(before)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
