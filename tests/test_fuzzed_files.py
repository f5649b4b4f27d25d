"""Files that are hostile, damaged or nonsense, to every reader: each is read, or refused by one error, and no more."""

from __future__ import annotations

import functools
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import hostile, hostile_formats, hostile_tricks, mutated

KEPT = Path(__file__).parent / "golden" / "fuzzed"  # what once broke a reader: READER.NUMBER and the suffix

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are watched as Linux can"),
]


@functools.cache
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="lamina-hostile-"))


@functools.cache
def all_cases() -> list[tuple[str, str, hostile.Make]]:
    good = hostile.sound(folder())
    return [*hostile.cases(folder()), *hostile_formats.cases(folder(), good), *hostile_tricks.cases(good)]


def faults(cases: list[tuple[str, str, hostile.Make]]) -> Iterator[str]:
    """What went wrong, case by case."""
    for name, suffix, make in cases:
        path = folder() / f"x{suffix}"
        if suffix == ".pb":
            path = folder() / "saved" / "saved_model.pb"
            path.parent.mkdir(exist_ok=True)
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        make(path)
        for reader in hostile.OF_SUFFIX[suffix]:
            found = hostile.watched(reader, path.parent if suffix == ".pb" else path)
            if found is not None:
                yield f"{name} ({suffix}), {reader}: {found}"


@pytest.fixture(scope="module", autouse=True)
def cleaned() -> Iterator[None]:
    yield
    shutil.rmtree(folder(), ignore_errors=True)
    all_cases.cache_clear()
    folder.cache_clear()


def test_the_watch_sees_what_files_must_not_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deeds = {
        "runs": lambda path: exec(path.read_text()), "writes": lambda path: Path("/lamina_canary").write_text("x"),
        "starts": lambda path: __import__("os").system("true"), "takes all": lambda path: bytearray(1 << 30),
        "hangs": lambda path: [None for _ in iter(int, 1)], "breaks": lambda path: {}["a"],
    }  # fmt: skip
    path = tmp_path / "x"
    path.write_text(f"'{hostile.CANARY}'")
    for name, deed in deeds.items():
        monkeypatch.setitem(hostile.READERS, name, deed)
        assert hostile.watched(name, path) is not None, name


def test_sound_files_are_read() -> None:
    for suffix, path in hostile.sound(folder()).items():
        for reader in hostile.OF_SUFFIX[suffix]:
            hostile.READERS[reader](path)


def test_some_hostile_files() -> None:
    assert not list(faults(random.Random(3).sample(all_cases(), 10)))


def test_distributed_checkpoints_run_nothing_and_end() -> None:
    found = [case for case in all_cases() if case[0].startswith("distributed")]
    assert len(found) == 3 and not list(faults(found))


def test_distributed_checkpoints_alter_no_class(tmp_path: Path) -> None:
    hostile_formats.alters(tmp_path / "m.dcp")
    with pytest.raises(ValueError, match="its index alters a class"):
        hostile.trained().load_weights(tmp_path / "m.dcp")


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_all_hostile_files(part: int) -> None:
    assert not list(faults(all_cases()[part::8]))


# Mutated ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(KEPT.iterdir()), ids=lambda path: path.name)
def test_what_once_broke_a_reader(path: Path) -> None:
    assert hostile.fault(path.name.partition(".")[0], path) is None


@pytest.mark.parametrize("suffix", sorted(mutated.SUFFIXES))
def test_mutated_files(suffix: str, tmp_path: Path) -> None:
    assert not list(mutated.faults(suffix, tmp_path, count=4, seed=0))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", sorted(mutated.SUFFIXES))
def test_many_mutated_files(suffix: str, tmp_path: Path) -> None:
    assert not list(mutated.faults(suffix, tmp_path, count=400, seed=1))
