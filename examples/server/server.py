"""A model behind HTTP, on FastAPI and uvicorn: a `.keras` file, or a `.pt2` that `model.export` wrote.

    pip install -r examples/server/requirements.txt
    python examples/server/server.py model.keras --port 8000
    curl localhost:8000/v1/models/model:predict -d '{"instances": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]}'

Bodies and answers are those of TensorFlow Serving: a model of one input takes `{"instances": [sample, ...]}` and gives
`{"predictions": [...]}`; of several, each sample is an object by the inputs' names. What arrives while a batch is
computed is the next batch, so that a busy server computes large ones and an idle one does not wait.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from fastapi import FastAPI, HTTPException, Request
from torch.utils import _pytree as pytree

import lamina

Arrays = tuple[np.ndarray, ...]


class Input(NamedTuple):
    """What a model takes: the shape of a sample, None where its size is open."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class Model(NamedTuple):
    inputs: list[Input]
    predict: Callable[[Arrays], Any]


class Limits(NamedTuple):
    """Samples in a batch, and in a request; requests that wait; bytes in a body; seconds for an answer."""

    batch: int = 64
    waiting: int = 256
    size: int = 16_000_000
    seconds: float = 10.0


def load(path: str | Path) -> Model:
    """The model of a file. Raises ValueError for one that does not say what it takes."""
    if Path(path).suffix == ".pt2":
        return _load_program(path)
    model = lamina.load_model(path, compile=False)
    given = getattr(model, "input", None)
    if given is None:
        raise ValueError(f"{path}: a model written as a class does not say what it takes; serve what `export` writes.")
    named = given if isinstance(given, dict) else {each.name: each for each in pytree.tree_leaves(given)}
    inputs = [Input(name, tuple(each.shape[1:]), each.dtype) for name, each in named.items()]
    structure = pytree.tree_structure(given)
    return Model(inputs, lambda arrays: model.predict_on_batch(pytree.tree_unflatten([*arrays], structure)))


def _load_program(path: str | Path) -> Model:
    program = torch.export.load(path)
    call, places = program.module(), program.call_spec.in_spec
    found = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    inputs = []
    paths, _ = pytree.tree_flatten_with_path(pytree.tree_unflatten([*program.graph_signature.user_inputs], places))
    for path_of, name in paths:
        key = getattr(path_of[-1], "key", name)
        shape = [int(size) if isinstance(size, int) else None for size in found[name].shape[1:]]
        inputs.append(Input(str(key), tuple(shape), str(found[name].dtype).removeprefix("torch.")))

    def predict(arrays: Arrays) -> Any:
        args, kwargs = pytree.tree_unflatten([torch.from_numpy(array) for array in arrays], places)
        with torch.no_grad():
            return pytree.tree_map(lambda tensor: tensor.numpy(), call(*args, **kwargs))

    return Model(inputs, predict)


class Batches:
    """Computes what waits, as many samples at once as may be; samples of other sizes are another batch."""

    def __init__(self, model: Model, limits: Limits):
        self._model, self._most = model, limits.batch
        self._thread = ThreadPoolExecutor(1)
        self.waiting: asyncio.Queue[tuple[Arrays, asyncio.Future]] = asyncio.Queue(limits.waiting)

    async def run(self) -> None:
        while True:
            taken = [await self.waiting.get()]
            while not self.waiting.empty() and sum(len(arrays[0]) for arrays, _ in taken) < self._most:
                taken.append(self.waiting.get_nowait())
            alike = defaultdict(list)
            for arrays, answer in taken:
                if not answer.done():  # nobody waits for it any more
                    alike[tuple(array.shape[1:] for array in arrays)].append((arrays, answer))
            for group in alike.values():
                await self._answer(group)

    async def _answer(self, group: list[tuple[Arrays, asyncio.Future]]) -> None:
        """Compute a batch; where it fails, each request by itself, so that none fails for another's sake."""
        arrays = tuple(np.concatenate(each) for each in zip(*(arrays for arrays, _ in group), strict=True))
        try:
            outputs = await asyncio.get_running_loop().run_in_executor(self._thread, self._model.predict, arrays)
        except Exception as error:
            if len(group) > 1:
                for one in group:
                    await self._answer([one])
            elif not group[0][1].done():
                group[0][1].set_exception(error)
            return
        begin = 0
        for (first, *_), answer in group:
            part = slice(begin, begin := begin + len(first))
            if not answer.done():
                answer.set_result(pytree.tree_map(lambda output, part=part: output[part], outputs))


def samples(model: Model, body: bytes, limits: Limits) -> Arrays:
    """The arrays of a request. Raises HTTPException with what is wrong, where, and what was expected."""
    try:
        given = json.loads(body)["instances"]
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"The body is not JSON: {error}.") from error
    except (KeyError, TypeError):
        raise HTTPException(400, 'The body must be {"instances": [sample, ...]}.') from None
    if not isinstance(given, list) or not 0 < len(given) <= limits.batch:
        raise HTTPException(400, f"`instances` must be a list of 1 to {limits.batch} samples.")
    names, alone = [each.name for each in model.inputs], len(model.inputs) == 1
    for place, sample in enumerate(given):
        if (not alone or isinstance(sample, dict)) and (not isinstance(sample, dict) or {*sample} != {*names}):
            raise HTTPException(400, f"`instances[{place}]` must be an object with {', '.join(names)}.")
    named = isinstance(given[0], dict)
    return tuple(_array(each, [sample[each.name] for sample in given] if named else given) for each in model.inputs)


def _array(wanted: Input, given: list) -> np.ndarray:
    told = f"{wanted.dtype} of shape ({', '.join('any' if size is None else str(size) for size in wanted.shape)})"
    try:
        array = np.asarray(given)
    except ValueError:
        raise HTTPException(400, f"`{wanted.name}`: samples of one request have one shape, each {told}.") from None
    fits = array.ndim == len(wanted.shape) + 1 and all(
        size in (None, found) for size, found in zip(wanted.shape, array.shape[1:], strict=True)
    )
    kind, text = array.dtype.kind, wanted.dtype == "string"
    if not fits or (kind != "U" if text else kind in "OUS" or not np.can_cast(array.dtype, wanted.dtype, "same_kind")):
        got = "texts or objects" if kind in "OUS" else f"{array.dtype} of shape {array.shape[1:]}"
        raise HTTPException(400, f"`{wanted.name}`: each sample must be {told}; got {got}.")
    made = array if text else array.astype(wanted.dtype)
    if made.dtype.kind in "iu" and (made != array).any():
        raise HTTPException(400, f"`{wanted.name}`: numbers must fit into {wanted.dtype}.")
    return made


def as_json(outputs: Any) -> list:
    """Predictions, one for each sample: a list, or an object by the outputs' names."""
    found, _ = pytree.tree_flatten_with_path(outputs)
    if not all(np.isfinite(array).all() for _, array in found):
        raise HTTPException(500, "The model gives numbers that are not finite.")
    if len(found) == 1:
        return found[0][1].tolist()
    names = [str(getattr(path[-1], "key", f"output_{place}")) for place, (path, _) in enumerate(found)]
    return [dict(zip(names, row, strict=True)) for row in zip(*(array.tolist() for _, array in found), strict=True)]


def _told(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def app_for(model: Model, limits: Limits | None = None) -> FastAPI:
    """The application: `POST /v1/models/model:predict` and `GET /health`."""
    limits = limits or Limits()
    batches: Any = None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        nonlocal batches
        batches = Batches(model, limits)
        running = asyncio.create_task(batches.run())
        yield
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    app = FastAPI(title="Lamina", lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "waiting": batches.waiting.qsize(), "inputs": [each._asdict() for each in model.inputs]}

    @app.post("/v1/models/model:predict")
    async def predict(request: Request) -> dict[str, Any]:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > limits.size:
                raise HTTPException(413, f"A body may have {limits.size} bytes.")
        answer = asyncio.get_running_loop().create_future()
        try:
            batches.waiting.put_nowait((samples(model, bytes(body), limits), answer))
            return {"predictions": as_json(await asyncio.wait_for(answer, limits.seconds))}
        except HTTPException:
            raise
        except asyncio.QueueFull:
            raise HTTPException(503, "Too many requests wait.", {"Retry-After": "1"}) from None
        except asyncio.TimeoutError:
            raise HTTPException(504, f"No answer within {limits.seconds} s.") from None
        except (ValueError, RuntimeError, IndexError) as error:
            raise HTTPException(400, f"The model refuses this input: {_told(error)}") from error
        except Exception as error:
            raise HTTPException(500, f"The model failed: {_told(error)}") from error

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("file", help="a .keras file, or a .pt2 that model.export wrote")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    for name, default in Limits()._asdict().items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"default {default}")
    given = parser.parse_args()
    import uvicorn

    limits = Limits(*(getattr(given, name) for name in Limits._fields))
    uvicorn.run(app_for(load(given.file), limits), host=given.host, port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
