"""Models as programs that run without their classes."""

from __future__ import annotations

from .files.program import ExportArchive as ExportArchive

__all__ = ["ExportArchive"]
