"""What code of 2015 to 2020 finds beside Keras: names of NumPy, modules of scikit-learn, the pictures of SciPy."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.running import undone

from lamina.generations import times
from lamina.generations.alias import install, installed_keras

pytestmark = pytest.mark.skipif(installed_keras() is not None, reason="a Keras is installed here")


@pytest.fixture(params=["keras1", "keras2", "tf_keras"])
def _then(request: pytest.FixtureRequest) -> Iterator[None]:
    with undone():
        install(request.param)
        yield


@pytest.mark.usefixtures("_then")
def test_names_of_numpy_compute_as_they_did() -> None:
    space: dict = {}
    exec(
        "import numpy as np\nx = np.array([[3., 1.], [2., 5.]])\n"
        "found = np.float_(1), np.Inf, np.NINF, np.product([2, 3]), np.asscalar(np.array([4])), \\\n"
        "  np.trapz([1, 2, 3]), np.msort(x).tolist(), np.in1d([[1, 2]], [2]).tolist(), \\\n"
        "  np.asfarray([1]).dtype, np.alltrue([1, 0])\n"
        "import fractions\ndivisor = fractions.gcd(12, 18)",
        space,
    )
    assert space["found"] == (
        1.0, np.inf, -np.inf, 6, 4, 4.0, [[2.0, 1.0], [3.0, 5.0]], [False, True], np.dtype(float), False,
    )  # fmt: skip
    assert space["divisor"] == 6


@pytest.mark.usefixtures("_then")
@pytest.mark.parametrize(
    "name, has",
    [
        ("sklearn.cross_validation", "train_test_split"),
        ("sklearn.grid_search", "GridSearchCV"),
        ("sklearn.externals.joblib", "dump"),
        ("sklearn.datasets.samples_generator", "make_blobs"),
        ("sklearn.preprocessing.label", "LabelBinarizer"),
        ("scipy.misc", "logsumexp"),
    ],
)
def test_modules_that_moved(name: str, has: str) -> None:
    pytest.importorskip(name.partition(".")[0])
    assert callable(getattr(importlib.import_module(name), has))


def test_every_module_that_moved_is_where_it_says() -> None:
    missing = []
    for name, held in times.MODULES.items():
        if held and importlib.util.find_spec(held.partition(".")[0]):
            try:
                importlib.import_module(held)
            except ImportError:
                missing.append(name)
    assert not missing


def test_nothing_of_it_is_left_behind() -> None:
    before = set(vars(np)), list(sys.meta_path)
    with undone():
        install("keras1")
        importlib.import_module("scipy.misc")
    assert (set(vars(np)), list(sys.meta_path)) == before
    assert "scipy.misc" not in sys.modules


@pytest.mark.usefixtures("_then")
@pytest.mark.parametrize("size, shape", [((4, 5), (4, 5)), (50, (3, 4)), (1.7, (11, 15)), (np.float32(2), (14, 18))])
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_pictures_of_scipy(size: object, shape: tuple[int, ...], channels: tuple[int, ...], tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    misc = importlib.import_module("scipy.misc")
    array = np.random.default_rng(0).integers(0, 256, (7, 9, *channels), np.uint8)
    assert misc.imresize(array, size).shape == (*shape, *channels)
    misc.imsave(tmp_path / "a.png", array)
    np.testing.assert_array_equal(misc.imread(tmp_path / "a.png"), array)
    grey = misc.imread(tmp_path / "a.png", flatten=True)
    assert grey.dtype == np.float32 and grey.shape == (7, 9)


@pytest.mark.usefixtures("_then")
def test_pictures_of_scipy_stretch_what_is_not_uint8() -> None:
    """As SciPy 1.1 gives them: the least value is 0, the largest 255; but mode "F" leaves them."""
    pytest.importorskip("PIL")
    misc = importlib.import_module("scipy.misc")
    array = np.array([[-1.0, 0.0], [1.0, 3.0]])
    np.testing.assert_array_equal(misc.imresize(array, 100), [[0, 64], [128, 255]])
    np.testing.assert_array_equal(misc.imresize(array, 100, mode="F"), array)
    first = np.stack([array] * 3)  # channels first
    np.testing.assert_array_equal(misc.imresize(first, 100), np.stack([[[0, 64], [128, 255]]] * 3, -1))
