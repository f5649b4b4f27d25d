"""Packs wheels anew, as small as deflate allows, in place: `python tools/pack_wheel.py dist/*.whl`.

The files in it, their order, times and modes stay what they are, so the same wheel becomes the same bytes.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import zopfli.zlib

HEADER, CHECKSUM = 2, 4  # what zlib puts around the deflated bytes


class Zopfli:
    """What `zipfile` compresses one entry with."""

    def __init__(self, *settings: object):
        self.data = b""

    def compress(self, data: bytes) -> bytes:
        self.data += data
        return b""

    def flush(self) -> bytes:
        return zopfli.zlib.compress(self.data)[HEADER:-CHECKSUM]


def pack(wheel: Path) -> None:
    packed = wheel.with_suffix(".packed")
    with zipfile.ZipFile(wheel) as given, zipfile.ZipFile(packed, "w") as made:
        for entry in given.infolist():
            made.writestr(entry, given.read(entry))
    before, after = wheel.stat().st_size, packed.stat().st_size
    packed.replace(wheel)
    print(f"{wheel.name}: {before:,} bytes packed into {after:,}")


if __name__ == "__main__":
    zipfile._get_compressor = Zopfli  # type: ignore[attr-defined]  # zipfile takes no compressor from outside
    for name in sys.argv[1:]:
        pack(Path(name))
