"""Settings of the process, as functions to read and set them."""

# ruff: noqa: F403, F405

from __future__ import annotations

import os
import warnings

import torch

from .core.config import *
from .core.dtypes import dtype_policy, set_dtype_policy

__all__ = [
    "backend", "disable_flash_attention", "disable_interactive_logging", "disable_traceback_filtering", "dtype_policy",
    "enable_determinism", "enable_flash_attention", "enable_interactive_logging", "enable_traceback_filtering",
    "enable_unsafe_deserialization", "epsilon", "floatx", "image_data_format", "is_flash_attention_enabled",
    "is_interactive_logging_enabled", "is_nnx_enabled", "is_traceback_filtering_enabled", "max_epochs",
    "max_steps_per_epoch", "set_backend", "set_dtype_policy", "set_epsilon", "set_floatx", "set_image_data_format",
    "set_max_epochs", "set_max_steps_per_epoch", "set_thread_choice", "thread_choice",
]  # fmt: skip


def backend() -> str:
    """Always "torch"."""
    return "torch"


def set_backend(backend: str) -> None:
    """Raises ValueError for anything but "torch", which is the one there is."""
    if backend != "torch":
        raise ValueError(f'set_backend: Lamina runs on "torch" alone; got {backend!r}.')


def enable_determinism() -> None:
    """Let a run that is seeded by `set_random_seed` give the same bits every time.

    torch then takes deterministic algorithms alone, and raises RuntimeError where there is none, as for a few kinds of
    layers on a GPU. The number of threads stays `torch.get_num_threads()`: another one adds up in another order. The
    threads of a PyDataset do not read ahead, as the clock would decide what they draw; processes do.

    To be called first: a GPU needs it before its first use.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def is_flash_attention_enabled() -> bool | None:
    """None: torch takes flash attention where it can. False: never."""
    return None if torch.backends.cuda.flash_sdp_enabled() else False


def enable_flash_attention() -> None:
    """Let torch's `scaled_dot_product_attention` take flash attention where it can."""
    torch.backends.cuda.enable_flash_sdp(True)


def disable_flash_attention() -> None:
    torch.backends.cuda.enable_flash_sdp(False)


def is_nnx_enabled() -> bool:
    """Always False: that is a library for JAX."""
    return False


def enable_unsafe_deserialization() -> None:
    """Warns that there is no such thing: files never run code here."""
    warnings.warn(
        "enable_unsafe_deserialization: loading never runs code from a file, whatever is set. Pass the functions that "
        "a file names as `custom_objects`, or register them.",
        stacklevel=2,
    )


_filters = True


def is_traceback_filtering_enabled() -> bool:
    """What was chosen last. Tracebacks are short here, and shown whole either way."""
    return _filters


def enable_traceback_filtering() -> None:
    """Let `is_traceback_filtering_enabled` say True."""
    global _filters
    _filters = True


def disable_traceback_filtering() -> None:
    """Let `is_traceback_filtering_enabled` say False."""
    global _filters
    _filters = False
