"""The example server: its answers equal `predict`, many clients at once; bad requests get clear errors."""

from __future__ import annotations

import importlib.util
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lamina as keras
from lamina import layers as L

pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")

SPEC = importlib.util.spec_from_file_location("server", Path(__file__).parents[1] / "examples" / "server" / "server.py")
server = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(server)
PREDICT = "/v1/models/model:predict"

Ask = Callable[..., tuple[int, Any]]


@contextmanager
def serving(model: Any, **limits: Any) -> Iterator[Ask]:
    """A server of this model in a thread, and what asks it: (status, answer) of a body."""
    config = uvicorn.Config(server.app_for(model, server.Limits(**limits)), port=0, log_level="error")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started and thread.is_alive():
        time.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]

    def ask(body: Any = None, path: str = PREDICT) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, data)
        answer = connection.getresponse()
        try:
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    try:
        yield ask
    finally:
        running.should_exit = True
        thread.join(30)


def words() -> keras.Model:
    inputs = keras.Input((None,), dtype="int32", name="ids")
    return keras.Model(inputs, L.Dense(2)(L.LSTM(4)(L.Embedding(9, 4, mask_zero=True)(inputs))))


def named() -> keras.Model:
    a, b = keras.Input((3,), name="a"), keras.Input((2, 2), name="b")
    return keras.Model({"a": a, "b": b}, {"sum": L.Dense(2)(a) + L.Dense(2)(L.Flatten()(b)), "same": L.Identity()(b)})


@pytest.fixture(params=[".keras", ".pt2"])
def saved(request: Any, tmp_path: Path) -> Callable[[keras.Model], Any]:
    def save(model: keras.Model) -> Any:
        path = tmp_path / f"model{request.param}"
        model.save(path) if request.param == ".keras" else model.export(path, verbose=False)
        return server.load(path)

    return save


def test_many_clients_get_what_predict_gives(saved: Any) -> None:
    """Each its own samples, of several lengths, whatever batch they are computed in."""
    model, draw = words(), np.random.default_rng(0)
    asked = [draw.integers(1, 9, size=(1 + place % 3, 4 + place % 2)) for place in range(40)]
    with serving(saved(model)) as ask, ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda x: ask({"instances": x.tolist()}), asked)]
        status, told = ask(path="/health")
    for x, (code, answer) in zip(asked, found, strict=True):
        assert code == 200, answer
        np.testing.assert_allclose(answer["predictions"], model.predict(x, verbose=0), rtol=1e-4, atol=1e-6)
    assert status == 200 and told["status"] == "ok" and told["waiting"] == 0
    assert [each["shape"] for each in told["inputs"]] == [[None]] and told["inputs"][0]["dtype"] == "int32"


def test_several_inputs_and_outputs_by_name(saved: Any) -> None:
    model, draw = named(), np.random.default_rng(0)
    x = {"a": draw.random((3, 3), "float32"), "b": draw.random((3, 2, 2), "float32")}
    rows = [{"a": a.tolist(), "b": b.tolist()} for a, b in zip(x["a"], x["b"], strict=True)]
    with serving(saved(model)) as ask:
        status, answer = ask({"instances": rows})
        assert status == 200 and {*answer["predictions"][0]} == {"sum", "same"}
        for name, values in model.predict(x, verbose=0).items():
            np.testing.assert_allclose([each[name] for each in answer["predictions"]], values, rtol=1e-5)
        status, answer = ask({"instances": [{"a": [1, 2, 3]}]})
        assert status == 400 and "must be an object with a, b" in answer["detail"]


def test_texts() -> None:
    lookup = L.TextVectorization(vocabulary=["good", "bad"])
    model = keras.Sequential([keras.Input((1,), dtype="string"), lookup, L.Embedding(4, 2), L.GlobalMaxPooling1D()])
    inputs = [server.Input("texts", (1,), "string")]
    with serving(server.Model(inputs, lambda arrays: model.predict_on_batch(arrays[0]))) as ask:
        status, answer = ask({"instances": [["good good"], ["bad"]]})
        assert status == 200 and len(answer["predictions"]) == 2, answer
        assert ask({"instances": [[1]]})[0] == 400


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    model = words()
    inputs = [server.Input("ids", (None,), "int32")]
    with serving(server.Model(inputs, lambda arrays: model.predict_on_batch(arrays[0])), batch=4, size=5000) as ask:
        yield ask


@pytest.mark.parametrize(
    "body, status, says",
    [
        (b"{", 400, "not JSON: .*line 1 column 2"),
        (b"[" * 3000, 400, "not JSON"),
        ([1], 400, "instances"),
        ({"inputs": [1]}, 400, "instances"),
        ({"instances": []}, 400, "1 to 4 samples"),
        ({"instances": [[1]] * 5}, 400, "1 to 4 samples"),
        ({"instances": [[1, 2], [3]]}, 400, r"one shape, each int32 of shape \(any\)"),
        ({"instances": [["a"]]}, 400, "texts"),
        ({"instances": [[1.5]]}, 400, r"`ids`.*int32 of shape \(any\); got float64"),
        ({"instances": [[2**40]]}, 400, "fit into int32"),
        ({"instances": [1, 2]}, 400, r"shape \(any\); got int64 of shape \(\)"),
        ({"instances": [{"x": 1}]}, 400, r"instances\[0\]` must be an object with ids"),
        ({"instances": [[99]]}, 400, "refuses this input"),
        ({"instances": [[1] * 2000]}, 413, "5000 bytes"),
    ],
)
def test_bad_requests_get_one_clear_error(body: Any, status: int, says: str, ask: Ask) -> None:
    code, answer = ask(body)
    assert code == status and re.search(says, answer["detail"]), answer


class Slow:
    """A model that computes when it may: doubles, and refuses numbers below zero."""

    def __init__(self) -> None:
        self.may, self.batches = threading.Event(), []

    def __call__(self, arrays: Any) -> Any:
        self.may.wait(30)
        self.batches.append(len(arrays[0]))
        if (arrays[0] < 0).any():
            raise ValueError("below zero")
        return 2 * arrays[0]


def test_what_waits_is_one_batch_and_fails_alone() -> None:
    model = Slow()
    with serving(server.Model([server.Input("x", (1,), "float32")], model)) as ask, ThreadPoolExecutor(8) as pool:
        running = [pool.submit(ask, {"instances": [[place]]}) for place in (0, 1, 2, -1, 3)]
        while ask(path="/health")[1]["waiting"] < 4:
            time.sleep(0.01)
        model.may.set()
        found = [each.result(30) for each in running]
    assert [code for code, _ in found] == [200, 200, 200, 400, 200] and "below zero" in found[3][1]["detail"]
    assert [answer["predictions"] for code, answer in found if code == 200] == [[[0]], [[2]], [[4]], [[6]]]
    assert model.batches[:2] == [1, 4]


def test_a_busy_server_says_so() -> None:
    model = Slow()
    x = server.Input("x", (1,), "float32")
    with serving(server.Model([x], model), waiting=2, seconds=1.0) as ask, ThreadPoolExecutor(8) as pool:
        first = pool.submit(ask, {"instances": [[0]]})
        while ask(path="/health")[1]["waiting"]:
            time.sleep(0.01)
        rest = [pool.submit(ask, {"instances": [[0]]}) for _ in range(4)]
        codes = sorted(each.result(30)[0] for each in (first, *rest))
        model.may.set()
        while (answer := ask({"instances": [[4]]}))[0] == 503:  # until those who gave up have been passed over
            time.sleep(0.01)
        assert answer == (200, {"predictions": [[8]]})
    assert codes == [503, 503, 504, 504, 504]
    assert sum(model.batches) == 2  # nobody waited for the others any more


def test_numbers_that_json_does_not_know_are_an_error() -> None:
    x = server.Input("x", (1,), "float32")
    with serving(server.Model([x], lambda arrays: arrays[0] / 0.0)) as ask, np.errstate(all="ignore"):
        assert ask({"instances": [[1]]})[0] == 500


def test_a_model_that_does_not_say_what_it_takes_is_refused(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("server")
    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    model = Own()
    model(np.ones((1, 2)))
    model.save(tmp_path / "own.keras")
    with pytest.raises(ValueError, match="does not say what it takes"):
        server.load(tmp_path / "own.keras")
