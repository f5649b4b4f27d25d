"""What a release is made of: what is required is pinned and tried, and wheels come out the same each time."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lamina

tomllib = pytest.importorskip("tomllib")  # Python 3.11
ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
WHEEL = 1_590_000


def required(listed: list[str]) -> list[Requirement]:
    """Requirements, with those of the extras they name."""
    found = []
    for one in map(Requirement, listed):
        inside = [text for extra in one.extras for text in EXTRAS[extra]] if one.name == "lamina" else []
        found += required(inside) if inside else [one]
    return found


def pinned(path: str) -> dict[str, set[str]]:
    """The versions that a file of requirements allows, by name."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / path).read_text(encoding="utf-8"), re.M):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def test_the_oldest_versions_are_those_that_the_matrix_tries() -> None:
    oldest = pinned("constraints-oldest.txt")
    for one in required([*PROJECT["dependencies"], "lamina[plot,image,migrate,sklearn,yaml]"]):
        assert str(one.specifier) == f">={min(oldest[one.name])}", f"constraints-oldest.txt says otherwise of {one}"


def test_tools_are_pinned_with_hashes() -> None:
    lock = pinned("requirements/dev.txt")
    for one in required([*PROJECT["dependencies"], *EXTRAS["dev"]]):
        if one.name != "torch":  # constraints.txt pins it
            versions = lock.get(canonicalize_name(one.name), set())
            assert versions and all(map(one.specifier.contains, versions)), f"{one} is not locked: make lock"
    for name in ("dev", "release"):
        lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").replace("\\\n", "").splitlines()
        assert all("--hash=sha256:" in line for line in lines if line and not line.lstrip().startswith("#"))


def test_one_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == lamina.__version__ and cited["license"] == PROJECT["license"]
    released = re.findall(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert lamina.__version__ in released


def built(folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.slow
def test_wheels(tmp_path: Path) -> None:
    first, second = built(tmp_path / "1"), built(tmp_path / "2")
    assert first.read_bytes() == second.read_bytes(), "two builds of one source differ"
    assert first.stat().st_size < WHEEL
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "lamina").rglob("*") if path.is_file()}
    sources = {name for name in sources if "cache" not in name}  # of Python and of ruff
    held = {name for name in zipfile.ZipFile(first).namelist() if ".dist-info/" not in name}
    assert held == sources and "lamina/py.typed" in held


def test_workflows_name_actions_by_commit_and_may_do_no_more_than_they_need() -> None:
    signs = {"attest", "publish"}
    for path in (ROOT / ".github" / "workflows").iterdir():
        text = path.read_text(encoding="utf-8")
        for line in re.findall(r"uses: .*", text):
            assert re.fullmatch(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), f"{path.name}: {line}"
        told = yaml.safe_load(text)
        assert told["permissions"] == {"contents": "read"}
        for name, job in told["jobs"].items():
            assert ("permissions" in job) is (name in signs), f"{path.name}: {name}"
            assert not (name in signs and any("run" in step for step in job["steps"])), f"{name} signs and runs code"
