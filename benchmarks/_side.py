"""Sides of a comparison that live in environments of their own: each is a process, stopped while another one works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def python_of(environment: str) -> str:
    """The interpreter of an environment that `make bench` sets up; "" where it does not exist. "" is this one."""
    path = ROOT / ".bench" / environment / "bin" / "python" if environment else Path(sys.executable)
    return str(path) if path.exists() else ""


def started(python: str, script: str, *arguments: str, **told: str) -> subprocess.Popen[str]:
    """A benchmark script in another interpreter, as a process to talk with."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command, pipe = [python, str(ROOT / "benchmarks" / script), *arguments], subprocess.PIPE
    environment = {**os.environ, **quiet, "PYTHONPATH": path, **told}
    return subprocess.Popen(command, env=environment, text=True, stdin=pipe, stdout=pipe)


class Side:
    """A process that runs `serve`. Libraries whose threads spin while they wait disturb nobody: it is stopped.

    One that has crashed is started again with the next question.
    """

    def __init__(self, python: str, script: str, *arguments: str, **told: str):
        self._start = lambda: started(python, script, "--side", *arguments, **told)
        self._process: Any = self._start()

    def send(self, question: Any) -> None:
        if self._process.poll() is not None:
            self._process.communicate()
            self._process = self._start()
        self._process.send_signal(signal.SIGCONT)
        print(json.dumps(question), file=self._process.stdin, flush=True)

    def answer(self) -> Any:
        """Waits for it. Raises RuntimeError where the process has ended or what was asked for fails there."""
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._process.args)} ended with {self._process.wait()}.")
        self._process.send_signal(signal.SIGSTOP)
        answer = json.loads(line)
        if isinstance(answer, dict) and "failed" in answer:
            raise RuntimeError(answer["failed"])
        return answer

    def ask(self, question: Any) -> Any:
        self.send(question)
        return self.answer()

    def close(self) -> None:
        self._process.send_signal(signal.SIGCONT)
        self._process.communicate()


def serve(answer: Callable[[Any], Any]) -> None:
    """Answer questions, lines of JSON, until there are no more. What is printed meanwhile goes to the error output."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        try:
            told = answer(json.loads(line))
        except Exception as error:
            told = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(told), file=answers, flush=True)
