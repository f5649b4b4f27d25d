"""Sound files with something changed: bytes, the values of JSON inside, parts left out, doubled or exchanged.

`python -m support.mutated SECONDS [SUFFIX ...]` in `tests/` goes on for that long and keeps what breaks a reader.
"""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from . import hostile

TENSORFLOW = Path(__file__).parents[1] / "golden" / "files" / "tensorflow"
SUFFIXES = tuple(suffix for suffix in hostile.OF_SUFFIX if suffix not in (*hostile.FOLDERS, ".weights.json"))
SECONDS = 2.0  # of the processor's time, for one file

ODD = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**63,
    -(2**63),
    10**30,
    0.5,
    -0.0,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\x00",
    "a/b",
    "..",
    "keras.layers",
    "Dense",
    "function",
    "__lambda__",
    "__class__",
    "\ud800",
    [],
    {},
    [[]],
    [None],
    [0] * 40,
    {"": 0},
    {"class_name": "Dense", "config": {}},
    {"class_name": "function", "config": "relu"},
    {"class_name": "__numpy__"},
    {"class_name": "__tensor__", "config": {"value": [1], "dtype": "x"}},
    {"class_name": "__keras_tensor__", "config": {}},
)
BYTES = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x00",
    bytes(8),
    b"\xff" * 8,
)


def bytes_of(data: bytes, draw: random.Random) -> bytes:
    """A few bytes changed, put in, left out, doubled or moved; or the end cut off."""
    for _ in range(draw.choice((1, 1, 2, 4, 8))):
        at = draw.randrange(len(data) + 1)
        start, end = data[:at], data[at:]
        piece = draw.choice(BYTES) if draw.random() < 0.5 else bytes([draw.randrange(256)])
        size = draw.choice((1, 2, 8, 64))
        flipped = bytes([end[0] ^ 1 << draw.randrange(8)]) + end[1:] if end else end
        forms = (
            end[size:],
            piece + end[len(piece) :],
            piece + end,
            end[:40] + end,
            end[size : 2 * size] + end,
            flipped,
        )
        data = start + draw.choice(forms) if draw.random() < 0.97 else start[:9] + start[9:]
    return data


def places(node: Any, path: tuple = ()) -> Iterator[tuple]:
    yield path
    for key, item in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(item, (*path, key))


def json_of(text: str, draw: random.Random) -> str:
    """Values of a JSON text exchanged, left out, doubled or replaced; or its bytes changed."""
    if draw.random() < 0.1:
        return bytes_of(text.encode(), draw).decode("utf-8", "replace")
    tree = json.loads(text)
    for _ in range(draw.choice((1, 1, 2, 4))):
        every = [path for path in places(tree) if path]
        if not every:
            break
        *outer, key = draw.choice(every)
        at = tree
        for step in outer:
            at = at[step]
        how = draw.randrange(5)
        if how == 0:
            del at[key]
        elif how == 1 and isinstance(at, list):
            at.insert(key, at[key])
        elif how == 1 and draw.random() < 0.5:
            at[draw.choice(("class_name", "config", "module", "x", "name", "inbound_nodes"))] = at.pop(key)
        elif how == 2:
            other = tree
            for step in draw.choice(every):
                other = (
                    other[step]
                    if isinstance(other, dict) or (isinstance(other, list) and step in range(len(other)))
                    else other
                )
            at[key] = json.loads(json.dumps(other))
        else:
            at[key] = draw.choice(ODD)
    return json.dumps(tree)


def archive_of(data: bytes, draw: random.Random) -> bytes:
    """A `.keras` file, its configuration or its weights changed."""
    made = io.BytesIO()
    which = draw.choice(("config.json", "config.json", "config.json", "metadata.json", "model.weights.h5"))
    with zipfile.ZipFile(io.BytesIO(data)) as good, zipfile.ZipFile(made, "w") as file:
        for name in good.namelist():
            content = good.read(name)
            if name == which:
                changed = hdf5_of(content, draw) if name.endswith("h5") else json_of(content.decode(), draw)
                content = changed if isinstance(changed, bytes) else changed.encode()
            file.writestr(name, content)
    return made.getvalue() if draw.random() < 0.9 else bytes_of(data, draw)


def hdf5_of(data: bytes, draw: random.Random) -> bytes:
    """An HDF5 file: an attribute, a group or an array changed; or its bytes."""
    if draw.random() < 0.4:
        return bytes_of(data, draw)
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        names = [""]
        file.visit(names.append)
        told = [(name, key) for name in names for key in file[name or "/"].attrs]
        name = draw.choice(names)
        how = draw.randrange(6)
        if told and how < 3:
            where, key = draw.choice(told)
            attrs = file[where or "/"].attrs
            value = attrs[key]
            text = value.decode(errors="replace") if isinstance(value, bytes) else value
            new: Any = draw.choice([3, b"", b"\xff", np.zeros(3), np.array([b"../x", b"/"]), h5py.Empty("f4")])
            if isinstance(text, str) and text.startswith(("{", "[")):
                new = np.bytes_(json_of(text, draw).encode("utf-8", "replace") or b"{")
            elif isinstance(value, np.ndarray) and value.ndim and draw.random() < 0.6:
                new = (
                    value[draw.sample(range(len(value)), draw.randrange(len(value) + 1))]
                    if draw.random() < 0.5
                    else value.repeat(2)
                )
            del attrs[key]
            if draw.random() < 0.9 and not (isinstance(new, np.ndarray) and not new.size):
                attrs[key] = new
        elif name:
            del file[name]
            kinds: list[Callable[[], Any]] = [
                lambda: None,
                lambda: file.create_group(name),
                lambda: file.__setitem__(name, 3.0),
                lambda: file.__setitem__(name, np.zeros(draw.sample((0, 1, 2, 4, 9), 2))),
                lambda: file.__setitem__(name, np.array([b"x"], "S")),
                lambda: file.__setitem__(name, h5py.SoftLink("/")),
            ]
            draw.choice(kinds)()
    return buffer.getvalue()


def words_of(data: bytes, draw: random.Random) -> bytes:
    """A text: words of its own and others put in, left out or exchanged; or its bytes."""
    if draw.random() < 0.5:
        return bytes_of(data, draw)
    words = re.findall(r"\w+|\W", data.decode(errors="replace"))
    for _ in range(draw.choice((1, 2, 3))):
        at = draw.randrange(len(words) + 1)
        other = draw.choice(
            [
                *words,
                "(",
                ")",
                "[",
                "]",
                "{",
                "}",
                ",",
                "=",
                ".",
                "*",
                "lambda",
                "None",
                "-",
                "9" * 30,
                "&a",
                "*a",
                "!!python/tuple",
                "\n",
                "  ",
                ":",
                "- ",
                "!",
                '"',
                "'",
                "|",
                ">",
                "?",
                "#",
                "<<",
                "0x",
                "1e999",
                "_",
            ]
        )
        words[at : at + draw.randrange(2)] = [other]
    return "".join(words).encode()


def headed(data: bytes, draw: random.Random) -> bytes:
    """A `.safetensors` file: its header changed, and the length before it as well or not."""
    if draw.random() < 0.3:
        return bytes_of(data, draw)
    size = int.from_bytes(data[:8], "little")
    text = json_of(data[8 : 8 + size].decode(), draw).encode("utf-8", "replace")
    length = len(text) if draw.random() < 0.9 else size
    return length.to_bytes(8, "little") + text + data[8 + size :]


def _json(data: bytes, draw: random.Random) -> bytes:
    return json_of(data.decode(), draw).encode()


MUTATE: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".keras": archive_of,
    ".h5": hdf5_of,
    ".weights.h5": hdf5_of,
    ".safetensors": headed,
    ".json": _json,
    ".yaml": words_of,
    ".txt": words_of,
    ".code": bytes_of,
    ".pb": bytes_of,
    ".index": bytes_of,
}


class TooLong(BaseException):
    """A file that keeps a reader busy."""


def _ring(*_: Any) -> None:
    raise TooLong(f"more than {SECONDS} s")


def faults(suffix: str, folder: Path, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """What went wrong with some of `count` changed files, and their bytes."""
    draw, good = random.Random(f"{seed}{suffix}"), folder / f"good{suffix}"
    if suffix in (".pb", ".index"):
        saved = folder / "saved"
        shutil.copytree(TENSORFLOW / "nested", saved, dirs_exist_ok=True)
        path = saved / ("saved_model.pb" if suffix == ".pb" else "variables/variables.index")
        changed = [path] if suffix == ".index" else [path, saved / "keras_metadata.pb"]
        target = saved if suffix == ".pb" else path.with_suffix("")
    else:
        path = target = folder / f"x{suffix}"
        shutil.copy(hostile.sound(folder)[suffix], good)
        shutil.copy(good, path)
        changed = [path]
    sources = {one: one.read_bytes() for one in changed}
    before = signal.signal(signal.SIGVTALRM, _ring)
    try:
        for _ in range(count):
            one = draw.choice(changed)
            data = MUTATE[suffix](sources[one], draw)
            one.write_bytes(data)
            for reader in hostile.OF_SUFFIX[suffix]:
                signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
                found = hostile.fault(reader, target)
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
                if found is not None:
                    yield f"{reader}: {found}", data
            one.write_bytes(sources[one])
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def main(seconds: str, *suffixes: str) -> None:
    ends, seed, seen = time.monotonic() + float(seconds), int(time.time()), set()
    while time.monotonic() < ends:
        seed += 1
        for suffix in suffixes or SUFFIXES:
            with tempfile.TemporaryDirectory() as folder:
                for told, data in faults(suffix, Path(folder), 50, seed):
                    if told not in seen:
                        seen.add(told)
                        kept = Path(tempfile.gettempdir()) / f"fuzzed-{len(seen)}{suffix}"
                        kept.write_bytes(data)
                        print(f"{kept}: {told}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
