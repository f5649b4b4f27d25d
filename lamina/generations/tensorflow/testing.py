"""`tf.test`: the test case that compares tensors by their values."""

from __future__ import annotations

import contextlib
import tempfile
import unittest
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from .base import NAMES, named


def _values(x) -> Any:
    return x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)


@named("test.TestCase")
class TestCase(unittest.TestCase):
    """TensorFlow's: tensors, arrays, numbers, and lists and dictionaries of them are compared by their values."""

    def evaluate(self, tensors) -> Any:
        if isinstance(tensors, Mapping):
            return {key: self.evaluate(each) for key, each in tensors.items()}
        if isinstance(tensors, (list, tuple)):
            return type(tensors)(self.evaluate(each) for each in tensors)
        return None if tensors is None else _values(tensors)

    @contextlib.contextmanager
    def session(self, *args, **kwargs) -> Iterator[TestCase]:
        """There is one state, and no graph: `session.run` is `evaluate`."""
        yield self

    cached_session = test_session = session

    def run(self, *args, **kwargs) -> Any:
        """A test, or as a session: the values of tensors."""
        is_test = not args or args[0] is None or isinstance(args[0], unittest.TestResult)
        return super().run(*args, **kwargs) if is_test else self.evaluate(args[0])

    def get_temp_dir(self) -> str:
        if not hasattr(self, "_folder"):
            self._folder = tempfile.TemporaryDirectory()
            self.addCleanup(self._folder.cleanup)
        return self._folder.name

    def assertAllClose(self, a, b, rtol=1e-6, atol=1e-6, msg=None) -> None:
        if isinstance(a, Mapping):
            self.assertEqual(set(a), set(b), msg)
            a, b = list(a.values()), [b[key] for key in a]
        if isinstance(a, (list, tuple)) and len(a) == len(b) and any(np.ndim(each) for each in a):
            for one, other in zip(a, b, strict=True):
                self.assertAllClose(one, other, rtol, atol, msg)
            return
        np.testing.assert_allclose(_values(a), _values(b), rtol, atol, err_msg=str(msg or ""))

    def assertAllCloseAccordingToType(self, a, b, rtol=1e-6, atol=1e-6, **_) -> None:
        types = {str(_values(each).dtype) for each in (a, b)}
        least = 1e-3 if "float16" in types else 1e-6
        self.assertAllClose(a, b, max(rtol, least), max(atol, least))

    def assertAllEqual(self, a, b, msg=None) -> None:
        a, b = _values(a), _values(b)
        if any(each.dtype.kind in "OSU" for each in (a, b)):  # texts are bytes there
            a, b = (np.vectorize(lambda x: x.encode() if isinstance(x, str) else x, "O")(each) for each in (a, b))
        self.assertEqual(a.shape, b.shape, msg)
        np.testing.assert_array_equal(a, b, err_msg=str(msg or ""))

    def assertNotAllClose(self, a, b, rtol=1e-6, atol=1e-6, msg=None) -> None:
        with self.assertRaises(AssertionError, msg=msg):
            self.assertAllClose(a, b, rtol, atol)

    def assertNotAllEqual(self, a, b, msg=None) -> None:
        with self.assertRaises(AssertionError, msg=msg):
            self.assertAllEqual(a, b)

    def assertAllInRange(self, target, lower_bound: float, upper_bound: float) -> None:
        x = _values(target)
        self.assertTrue(bool(((x >= lower_bound) & (x <= upper_bound)).all()), f"not in range: {x}")

    def assertAllInSet(self, target, expected_set) -> None:
        self.assertLessEqual(set(_values(target).flat), set(expected_set))

    def assertAllGreaterEqual(self, a, comparison_target) -> None:
        self.assertAllInRange(a, comparison_target, np.inf)

    def assertAllLessEqual(self, a, comparison_target) -> None:
        self.assertAllInRange(a, -np.inf, comparison_target)

    def assertNear(self, f1: float, f2: float, err: float, msg=None) -> None:
        self.assertAlmostEqual(float(f1), float(f2), delta=err, msg=msg)

    def assertShapeEqual(self, input_a, input_b, msg=None) -> None:
        self.assertEqual(tuple(input_a.shape), tuple(input_b.shape), msg)

    def assertDTypeEqual(self, target, expected_dtype) -> None:
        expected = getattr(expected_dtype, "as_numpy_dtype", expected_dtype)
        self.assertEqual(_values(target).dtype, np.dtype(expected))


NAMES["test.main"] = unittest.main
