"""Settings of the process: float type, fuzz factor and data format, read from `keras.json` as Keras documents it."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

_FLOATS = ("bfloat16", "float16", "float32", "float64")
_FORMATS = ("channels_last", "channels_first")
_settings: dict[str, Any] | None = None
_lock = threading.Lock()


def keras_home() -> Path:
    """The folder of `keras.json`: `KERAS_HOME`, else `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def _load() -> dict[str, Any]:
    """Defaults, overlaid with the valid entries of `keras.json`; Keras 1's `image_dim_ordering` is understood."""
    settings: dict[str, Any] = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}
    settings |= {"thread_choice": {"0": False, "1": True}.get(os.environ.get("LAMINA_THREAD_CHOICE", ""))}
    settings |= {"max_epochs": None, "max_steps_per_epoch": None, "interactive_logging": True}
    path = keras_home() / "keras.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return settings
    if not isinstance(found, dict):
        return settings
    if "image_data_format" not in found:
        found["image_data_format"] = {"th": _FORMATS[1], "tf": _FORMATS[0]}.get(found.get("image_dim_ordering", ""))
    if found.get("floatx") in _FLOATS:
        settings["floatx"] = found["floatx"]
    if isinstance(found.get("epsilon"), float):
        settings["epsilon"] = found["epsilon"]
    if found["image_data_format"] in _FORMATS:
        settings["image_data_format"] = found["image_data_format"]
    return settings


def settings() -> dict[str, Any]:
    """All settings by name, those of later, too: to be looked at."""
    global _settings
    if _settings is None:
        with _lock:
            _settings = _settings or _load()
    return _settings


def _get(name: str) -> Any:
    return (_settings or settings())[name]


def _set(name: str, value: Any) -> None:
    settings()[name] = value


def floatx() -> str:
    """The default float type of weights and inputs, such as "float32"."""
    return _get("floatx")


def set_floatx(value: str) -> None:
    if value not in _FLOATS:
        raise ValueError(f"set_floatx: expected one of {', '.join(_FLOATS)}; got {value!r}.")
    _set("floatx", value)


def epsilon() -> float:
    """The small number that losses and metrics add to stay finite."""
    return _get("epsilon")


def set_epsilon(value: float) -> None:
    _set("epsilon", float(value))


def image_data_format() -> str:
    """ "channels_last" or "channels_first": where layers that are told nothing else expect the channels."""
    return _get("image_data_format")


def set_image_data_format(data_format: str) -> None:
    if data_format not in _FORMATS:
        raise ValueError(f'set_image_data_format: expected "channels_last" or "channels_first"; got {data_format!r}.')
    _set("image_data_format", data_format)


def max_epochs() -> int | None:
    """How many epochs `fit` runs at most, whatever it is told; None for any number."""
    return _get("max_epochs")


def set_max_epochs(max_epochs: int | None) -> None:
    _set("max_epochs", _limit(max_epochs, "max_epochs"))


def max_steps_per_epoch() -> int | None:
    """How many batches of an epoch `fit`, `evaluate` and `predict` take at most; None for any number."""
    return _get("max_steps_per_epoch")


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    _set("max_steps_per_epoch", _limit(max_steps_per_epoch, "max_steps_per_epoch"))


def _limit(value: Any, name: str) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"set_{name}: expected a whole number from 1 on, or None; got {value!r}.")
    return value


def is_interactive_logging_enabled() -> bool:
    """Whether progress is shown as bars where there is a terminal, and not in lines alone."""
    return _get("interactive_logging")


def enable_interactive_logging() -> None:
    _set("interactive_logging", True)


def disable_interactive_logging() -> None:
    _set("interactive_logging", False)


def thread_choice() -> bool | None:
    """Whether `fit`, `evaluate` and `predict` choose how many threads a step takes; None: unless a seed was set."""
    return _get("thread_choice")


def set_thread_choice(value: bool | None) -> None:
    """Let `fit`, `evaluate` and `predict` find the number of threads that is fastest at the moment, or not.

    None, the default: they do unless a seed was set (`set_random_seed`, `torch.manual_seed`), since another number
    changes the last bits of sums. True: after a seed, too. False: never. With `enable_determinism` they never do. The
    environment variable `LAMINA_THREAD_CHOICE` says the same: 1 or 0.
    """
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"set_thread_choice: expected True, False or None; got {value!r}.")
    _set("thread_choice", value)
