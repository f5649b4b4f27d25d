"""Runs tests with every supported Python found here, with the newest and the oldest supported libraries.

`make test-matrix`, or `python tools/matrix.py [pytest arguments]`. Pythons are looked for on PATH, in pyenv and in uv;
environments are made in `.matrix` and kept. Where pip offers no build of PyTorch but one for CUDA (several GB), only
the syntax is checked, unless `LAMINA_CUDA=1`; an index with a small build is named by PIP_EXTRA_INDEX_URL.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
QUICK = (  # what stands nearest to other versions' differences: every name, every layer, files, scripts, text of others
    "test_public_api", "test_namespace", "test_contract", "test_declarations", "test_files", "test_old_files",
    "test_training", "test_migrate", "test_demo", "test_cli",
)  # fmt: skip
OLDEST, WITH_OLDEST = "constraints-oldest.txt", ("3.10", "3.11")  # later Pythons never had such old libraries
Row = tuple[str, str, str]


def pythons() -> dict[str, str]:
    """The supported Pythons of this machine: version and path."""
    found = {}
    for version in PYTHONS:
        places = [shutil.which(f"python{version}")]
        places += sorted(str(path) for path in Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        if shutil.which("uv"):
            places.append(said("uv", "python", "find", "--no-python-downloads", version))
        for place in filter(None, places):
            if said(place, "-c", "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])") == version:
                found[version] = place
                break
    return found


def said(*command: str) -> str:
    """What a command prints; nothing where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def only_cuda(pip: list[str], constraints: str) -> str:
    """Why PyTorch is not to be had; empty where it is."""
    report = [*pip, "--dry-run", "--report", "-", "-c", constraints, "torch"]
    done = subprocess.run(report, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    names = [item["metadata"]["name"] for item in json.loads(done.stdout)["install"]]
    large = any(name.startswith("nvidia-") for name in names) and not os.environ.get("LAMINA_CUDA")
    return "no build of PyTorch but for CUDA" if large else ""


def run(version: str, python: str, constraints: str, arguments: list[str]) -> Row:
    """One environment: made where it is not there, then the tests in it."""
    kind = "oldest" if constraints == OLDEST else "newest"
    home = ROOT / ".matrix" / f"{version}-{kind}"
    own = home / "bin" / "python"
    if not own.exists():
        subprocess.run([python, "-m", "venv", home], check=True)
    pip = [str(own), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    ready = home / ".ready"
    if not ready.exists():
        if missing := only_cuda(pip, constraints):
            compiled = subprocess.run([own, "-W", "error", "-m", "compileall", "-q", "-f", "lamina", "tests"], cwd=ROOT)
            return version, kind, f"{'syntax passes' if compiled.returncode == 0 else 'FAILED'}; {missing}"
        if subprocess.run([*pip, "-c", constraints, "-e", ".[test]"], cwd=ROOT, check=False).returncode:
            return version, kind, "FAILED to install"
        ready.touch()
    command = [own, "-m", "pytest", "-q", "-m", "not slow and not gpu", "-p", "no:cacheprovider", *arguments]
    passed = subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    torch = said(str(own), "-c", "import torch; print(torch.__version__)")
    return version, kind, f"{'passes' if passed else 'FAILED'} with torch {torch}"


def main(arguments: list[str]) -> int:
    arguments = arguments or [f"tests/{name}.py" for name in QUICK]
    found = pythons()
    rows: list[Row] = [(version, "", "not found") for version in PYTHONS if version not in found]
    for version, python in found.items():
        for constraints in ("constraints.txt", OLDEST)[: 1 + (version in WITH_OLDEST)]:
            print(f"== Python {version}, {constraints}", flush=True)
            rows.append(run(version, python, constraints, arguments))
    print("\n".join(f"Python {version:6}{kind:8}{told}" for version, kind, told in sorted(rows)))
    return int(not found or any("FAILED" in told for *_, told in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
