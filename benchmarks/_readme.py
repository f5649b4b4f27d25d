"""Measured blocks of the READMEs and the pages: what stands between `<!-- name:start -->` and `<!-- name:end -->`."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh-CN.md", "docs": ROOT / "docs/peers.md"}


def machine(device: str = "cpu") -> str:
    """Processor, cores, version of torch, date."""
    if device == "cuda":
        import torch

        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {datetime.date.today()}"
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    processor = found[1] if found else platform.processor() or platform.machine()
    version = importlib.metadata.version("torch")
    return f"{processor}, {os.cpu_count()} cores, torch {version}, {datetime.date.today()}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(name: str, texts: dict[str, str]) -> None:
    """Replace the block in each file. Raises ValueError where one has no such block."""
    for language, text in texts.items():
        replace(FILES[language], name, text)


def replace(file: Path, name: str, text: str) -> None:
    """Replace one block. Raises ValueError where the file has none of that name."""
    before, block, after = _parts(file.read_text(encoding="utf-8"), name)
    if block is None:
        raise ValueError(f"{file.name} has no block <!-- {name}:start --> ... <!-- {name}:end -->.")
    file.write_text(f"{before}\n{text}\n{after}", encoding="utf-8")


def _parts(content: str, name: str) -> tuple[str, str | None, str]:
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    if start not in content or end not in content:
        return content, None, ""
    before, rest = content.split(start, 1)
    block, after = rest.split(end, 1)
    return before + start, block, end + after
