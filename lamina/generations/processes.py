"""`lamina run --nproc`: a script in several processes, which train together."""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_SEED = "LAMINA_SEED"  # in the environment: what the processes' random numbers begin with
_HOW = {"script": (), "module": ("-m",), "command": ("-c",)}


def run_in(
    count: int, target: str, arguments: Sequence[str], keras: str | None, how: str, device: str | None = None
) -> int:
    """Runs it in so many processes by torchrun, on this machine; returns the exit code: 0 where all ended well, 2 for
    standard input, which only one could read."""
    if target == "-":
        print("lamina: --nproc takes a file, a module or a command; standard input can be read once", file=sys.stderr)
        return 2
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    given = {"--keras": keras, "--device": device}
    own = [word for pair in given.items() if pair[1] is not None for word in pair]
    told = ["--module", "lamina", "run", *own, *_HOW[how], target, *arguments]
    return subprocess.run([*run, *told], env={**os.environ, _SEED: str(secrets.randbits(31))}).returncode


def is_first() -> bool:
    """Whether this is the first of such processes, or none of them."""
    return _SEED not in os.environ or os.environ.get("RANK", "0") == "0"


def begin() -> None:
    """One of such processes begins: they all draw the same random numbers, and only the first one prints."""
    if _SEED not in os.environ or "RANK" not in os.environ:
        return
    import numpy as np
    import torch

    seed = int(os.environ[_SEED])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    if not is_first():
        sys.stdout = Path(os.devnull).open("w")
