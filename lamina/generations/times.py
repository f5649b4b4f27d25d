"""What old code finds beside Keras: names and modules that Python, NumPy, SciPy and scikit-learn had then."""

from __future__ import annotations

import collections
import collections.abc
import fractions
import importlib
import importlib.abc
import importlib.util
import inspect
import math
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

import numpy as np

from ..translation.lists import listed

# Names that modules had, and where they are gone have again while code of then runs.
NAMES: dict[ModuleType, dict[str, Any]] = {
    np: {
        **{"bool": bool, "int": int, "float": float, "complex": complex, "object": object, "str": str, "long": int},
        **{"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_, "string_": np.bytes_},
        **dict.fromkeys(("Inf", "Infinity", "infty", "PINF"), np.inf),
        **{"NINF": -np.inf, "NaN": np.nan, "NAN": np.nan, "PZERO": 0.0, "NZERO": -0.0},
        **{"product": np.prod, "cumproduct": np.cumprod, "sometrue": np.any, "alltrue": np.all, "round_": np.round},
        **{"asscalar": lambda array: array.item(), "asfarray": lambda array, dtype=float: np.asarray(array, dtype)},
        **{"row_stack": np.vstack, "trapz": getattr(np, "trapezoid", None), "msort": lambda array: np.sort(array, 0)},
        **{"in1d": lambda array, values, **how: np.isin(np.ravel(array), values, **how)},
    },
    collections: {name: getattr(collections.abc, name) for name in collections.abc.__all__},
    fractions: {"gcd": math.gcd},
    inspect: {"getargspec": inspect.getfullargspec},
    time: {"clock": time.perf_counter},
}
MODULES = listed("moved.json")  # modules that are gone: those whose names they had


_given: list[tuple[ModuleType, str]] = []


def bring_back() -> None:
    """Lets modules have these names, where they have none of their own, and finds these modules."""
    for module, names in NAMES.items():
        for name, value in names.items():
            if name not in vars(module):  # vars: asking NumPy for one warns
                setattr(module, name, value)
                _given.append((module, name))
    sys.meta_path.insert(0, _Moved())


def take_back() -> None:
    """Undo `bring_back`."""
    while _given:
        delattr(*_given.pop())
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, _Moved)]
    for name in MODULES:
        module = sys.modules.get(name)
        if module and module.__spec__ and isinstance(module.__spec__.loader, _Moved):
            del sys.modules[name]


class _Moved(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules that are gone, or are left without names, where what they held is installed."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        held = MODULES.get(fullname)
        if held is None or (fullname not in _EMPTIED and PathFinder.find_spec(fullname, path)):
            return None
        known = importlib.util.find_spec((held or fullname).partition(".")[0])
        return ModuleSpec(fullname, self, is_package=True) if known else None

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ == "scipy.misc":
            special = importlib.import_module("scipy.special")
            vars(module).update({name: getattr(special, name) for name in _SPECIAL}, **PICTURES)
        elif held := MODULES[module.__name__]:
            found = vars(importlib.import_module(held))
            vars(module).update({name: value for name, value in found.items() if not name.startswith("__")})


_EMPTIED = ("scipy.misc",)
_SPECIAL = ("comb", "factorial", "factorial2", "factorialk", "logsumexp")


def _to_picture(array: Any, mode: str | None = None) -> Any:
    """An array as a picture of Pillow, its values stretched to 0 ... 255 unless it is uint8."""
    from PIL import Image

    array = np.asarray(array)
    if array.ndim == 3 and array.shape[2] not in (3, 4):  # channels first
        array = np.moveaxis(array, next(axis for axis in (0, 1) if array.shape[axis] in (3, 4)), 2)
    if mode == "F":
        return Image.fromarray(array.astype("float32"))
    if array.dtype != np.uint8:
        low, high = float(array.min()), float(array.max())
        array = ((array - low) * (255.0 / ((high - low) or 1.0)) + 0.5).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(array)
    return picture if mode in (None, picture.mode) else picture.convert(mode)


def imread(name: Any, flatten: bool = False, mode: str | None = None) -> np.ndarray:
    """A picture file as SciPy read it up to 1.1: (height, width) or (height, width, channels), uint8; with `flatten`
    grey as float32."""
    from PIL import Image

    with Image.open(name) as picture:
        if mode is None and picture.mode == "P":
            mode = "RGBA" if "transparency" in picture.info else "RGB"
        elif mode is None and picture.mode == "1":
            mode = "L"
        picture = picture if mode is None else picture.convert(mode)
        return np.array(picture.convert("F") if flatten else picture)


def imresize(arr: Any, size: Any, interp: str = "bilinear", mode: str | None = None) -> Any:
    """An array resized as a picture: to percents (int), by a factor (float) or to (height, width)."""
    from PIL import Image

    picture = _to_picture(arr, mode)
    factor: Any = size / 100.0 if isinstance(size, (int, np.integer)) else size
    if isinstance(factor, (float, np.floating)):
        wide, high = (int(factor * each) for each in picture.size)
    else:
        high, wide = factor
    how = {"nearest": "NEAREST", "lanczos": "LANCZOS", "bilinear": "BILINEAR", "bicubic": "BICUBIC", "cubic": "BICUBIC"}
    return np.array(picture.resize((wide, high), Image.Resampling[how[interp]]))


def imsave(name: Any, arr: Any, format: str | None = None) -> None:
    _to_picture(arr).save(name, format)


PICTURES = {"imread": imread, "imresize": imresize, "imsave": imsave, "toimage": _to_picture, "fromimage": np.array}
