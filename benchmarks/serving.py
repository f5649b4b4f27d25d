"""Requests a second and latencies of `examples/server`, one sample a request, from one client and from many.

The same server on the same weights: Lamina with the `.keras` file, Lamina with the exported `.pt2`, and Keras 3 on
torch with the `.keras` file (in the environment that `make bench` sets up, with FastAPI and uvicorn). Each is a process
that is stopped while another one works; they take turns. Medians over the rounds.

`pip install -r examples/server/requirements.txt`, then `python benchmarks/serving.py [--write] [--seconds 3]
[--clients 16] [--rounds 3]` prints a Markdown table, with `--write` into docs/serving.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import signal
import statistics
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from typing import Any

from _models import TASKS
from _readme import FILES, ROOT, machine, table, write
from _side import python_of, started

FILES["serving"] = ROOT / "docs" / "serving.md"
MODELS = ("MLP", "MNIST CNN", "LSTM on")  # how their names begin
SIDES = (("Lamina, .keras", "", ".keras"), ("Lamina, .pt2", "", ".pt2"), ("Keras 3, .keras", "keras", ".keras"))
NOTE = (
    "{machine}; `python benchmarks/serving.py`. Requests a second, and milliseconds for the median / the slowest "
    "hundredth of the answers."
)


def serve(path: str, by_keras: bool) -> None:
    """Serves a file on a free port, which it prints."""
    import uvicorn

    sys.path.insert(0, str(ROOT / "examples" / "server"))
    import server

    model = server.load(path)
    if by_keras:
        import keras

        other = keras.models.load_model(path, compile=False)
        model = model._replace(predict=lambda arrays: other.predict_on_batch(arrays[0]))
    running = uvicorn.Server(uvicorn.Config(server.app_for(model), port=0, log_level="error"))

    def tell() -> None:
        while not running.started:
            time.sleep(0.01)
        print(running.servers[0].sockets[0].getsockname()[1], flush=True)

    threading.Thread(target=tell, daemon=True).start()
    running.run()


def load(port: int, bodies: list[str], clients: int, seconds: float) -> tuple[float, list[float]]:
    """Requests a second, and the seconds each took."""
    taken: list[float] = []
    until = time.perf_counter() + seconds

    def client(place: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        while (begin := time.perf_counter()) < until:
            connection.request("POST", "/v1/models/model:predict", bodies[place % len(bodies)])
            answer = connection.getresponse()
            told = answer.read()
            if answer.status != 200:
                raise RuntimeError(told.decode())
            taken.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=client, args=(place,)) for place in range(clients)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(taken) / (time.perf_counter() - begin), sorted(taken)


def measured(task: Any, given: argparse.Namespace) -> list[list[str]]:
    import lamina

    model = task.model(lamina)
    x, _ = task.data(32)
    bodies = [json.dumps({"instances": [sample.tolist()]}) for sample in x]
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        model.export(f"{folder}/model.pt2", verbose=False)
        sides: dict[str, tuple[Any, int]] = {}
        found: dict[tuple[str, int], list[tuple[float, list[float]]]] = {}
        try:
            for name, environment, suffix in SIDES:
                python = python_of(environment) if environment != "keras" or not given.keras else given.keras
                if python:
                    told = {"KERAS_BACKEND": "torch"}
                    side = started(python, "serving.py", "--serve", f"{folder}/model{suffix}", environment, **told)
                    sides[name] = side, 0  # known, so that it is ended
                    sides[name] = side, int(side.stdout.readline())
                    load(sides[name][1], bodies, 4, 1.0)  # the first calls are slow everywhere
                    side.send_signal(signal.SIGSTOP)
            for _ in range(given.rounds):
                for name, (side, port) in sides.items():
                    side.send_signal(signal.SIGCONT)
                    for clients in (1, given.clients):
                        found.setdefault((name, clients), []).append(load(port, bodies, clients, given.seconds))
                    side.send_signal(signal.SIGSTOP)
        finally:
            for side, _ in sides.values():
                side.kill()
                side.communicate()
    rows = []
    for clients in (1, given.clients):
        row = [task.name.partition(",")[0], str(clients)]
        for name, *_ in SIDES:
            rounds = found.get((name, clients), [])
            rate = statistics.median(each for each, _ in rounds) if rounds else None
            half, most = (
                [statistics.median(taken[int(len(taken) * part)] for _, taken in rounds) for part in (0.5, 0.99)]
                if rounds
                else (0, 0)
            )
            row.append("" if rate is None else f"{rate:,.0f} ({1000 * half:.1f} / {1000 * most:.1f})")
        rows.append(row)
        print(row, flush=True)
    return rows


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        return serve(sys.argv[2], sys.argv[3:4] == ["keras"])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keras", help="a Python with keras, torch, fastapi and uvicorn")
    given = parser.parse_args()
    if importlib.util.find_spec("fastapi") is None:
        return print("This needs FastAPI: pip install -r examples/server/requirements.txt")
    tasks = [task for task in TASKS if task.name.startswith(MODELS)]
    rows = [row for task in tasks for row in measured(task, given)]
    text = f"{NOTE.format(machine=machine())}\n\n{table(['model', 'clients', *(name for name, *_ in SIDES)], rows)}"
    print(text)
    if given.write:
        write("serving", {"serving": text})


if __name__ == "__main__":
    main()
