"""`tf.test`: the test case that compares tensors by their values."""

from __future__ import annotations

import contextlib
import functools
import tempfile
import types
import unittest
import unittest.mock
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from .base import NAMES, named
from .randomness import set_seed

_SEED = 87654321  # of each test, whatever ran before


def _values(x) -> Any:
    return x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)


@named("test.TestCase")
class TestCase(unittest.TestCase):
    """TensorFlow's: tensors, arrays, numbers, and lists and dictionaries of them are compared by their values.

    What Abseil's test case has it has, too, where Abseil is installed.
    """

    tempfile_cleanup = None

    def setUp(self) -> None:
        super().setUp()
        set_seed(_SEED)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            from absl.testing import absltest  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise AttributeError(
                f"{type(self).__name__} has no {name!r}; Abseil has more (pip install absl-py)."
            ) from None
        found = getattr(absltest.TestCase, name)
        return types.MethodType(found, self) if isinstance(found, types.FunctionType) else found

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
        a, b = (each._asdict() if hasattr(each, "_asdict") else each for each in (a, b))
        if isinstance(a, Mapping):
            self.assertEqual(set(a), set(b), msg)
            a, b = list(a.values()), [b[key] for key in a]
        if isinstance(a, (list, tuple)) and len(a) == len(b) and any(np.ndim(each) or _inside(each) for each in a):
            for one, other in zip(a, b, strict=True):
                self.assertAllClose(one, other, rtol, atol, msg)
            return
        a, b = _values(a), _values(b)
        self.assertEqual(a.shape, b.shape, msg)
        np.testing.assert_allclose(a, b, rtol, atol, err_msg=str(msg or ""))

    def assertAllCloseAccordingToType(self, a, b, rtol=1e-6, atol=1e-6, *, msg=None, **limits: float) -> None:
        """`half_rtol`, `float_atol` and the like are limits for a number type, if wider than `rtol` and `atol`."""
        types = {str(_values(each).dtype) for each in (a, b)}
        word, least = ("half", 1e-3) if "float16" in types else ("float", 1e-6)
        self.assertAllClose(
            a, b, max(rtol, limits.get(f"{word}_rtol", least)), max(atol, limits.get(f"{word}_atol", least)), msg
        )

    def assertArrayNear(self, farray1, farray2, err: float, msg=None) -> None:
        self.assertEqual(len(farray1), len(farray2), msg)
        for one, other in zip(farray1, farray2, strict=True):
            self.assertNear(one, other, err, msg)

    def assertNDArrayNear(self, ndarray1, ndarray2, err: float, msg=None) -> None:
        self.assertLess(np.linalg.norm(_values(ndarray1) - _values(ndarray2)), err, msg)

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

    def assertAllInRange(
        self, target, lower_bound: float, upper_bound: float, open_lower_bound=False, open_upper_bound=False
    ) -> None:
        x = _values(target)
        above = x > lower_bound if open_lower_bound else x >= lower_bound
        below = x < upper_bound if open_upper_bound else x <= upper_bound
        self.assertTrue(bool((above & below).all()), f"not in range: {x}")

    def assertAllInSet(self, target, expected_set) -> None:
        self.assertLessEqual(set(_values(target).flat), set(expected_set))

    def assertAllGreaterEqual(self, a, comparison_target) -> None:
        self.assertAllInRange(a, comparison_target, np.inf)

    def assertAllLessEqual(self, a, comparison_target) -> None:
        self.assertAllInRange(a, -np.inf, comparison_target)

    def assertAllGreater(self, a, comparison_target) -> None:
        self.assertAllInRange(a, comparison_target, np.inf, open_lower_bound=True)

    def assertAllLess(self, a, comparison_target) -> None:
        self.assertAllInRange(a, -np.inf, comparison_target, open_upper_bound=True)

    def assertAllDifferent(self, tensors) -> None:
        values = [_values(each) for each in tensors]
        self.assertFalse(
            any(np.array_equal(one, two) for i, one in enumerate(values) for two in values[:i]), "two are equal"
        )

    @contextlib.contextmanager
    def assertRaisesWithPredicateMatch(self, exception_type, expected_err_re_or_predicate) -> Iterator[None]:
        expected = expected_err_re_or_predicate
        if callable(expected):
            with self.assertRaises(exception_type) as caught:
                yield
            self.assertTrue(expected(caught.exception), f"another exception: {caught.exception}")
        else:
            with self.assertRaisesRegex(exception_type, expected):
                yield

    def assertNear(self, f1: float, f2: float, err: float, msg=None) -> None:
        self.assertAlmostEqual(float(f1), float(f2), delta=err, msg=msg)

    def assertShapeEqual(self, input_a, input_b, msg=None) -> None:
        self.assertEqual(tuple(input_a.shape), tuple(input_b.shape), msg)

    def assertDTypeEqual(self, target, expected_dtype) -> None:
        expected = getattr(expected_dtype, "as_numpy_dtype", expected_dtype)
        self.assertEqual(_values(target).dtype, np.dtype(expected))


def _inside(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple))


@named("test.disable_with_predicate")
def disable_with_predicate(pred: Callable[[], bool], skip_message: str) -> Callable[[Callable], Callable]:
    """A decorator of a test, which is left out where the predicate holds when it runs."""

    def decorate(test: Callable) -> Callable:
        @functools.wraps(test)
        def run(self: unittest.TestCase, *args: Any, **kwargs: Any) -> Any:
            if pred():
                self.skipTest(skip_message)
            return test(self, *args, **kwargs)

        return run

    return decorate


NAMES |= {"test.main": unittest.main, "test.mock": unittest.mock}
