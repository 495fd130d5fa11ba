"""The clients: which model is requested when, and whether the answer is that model's."""

import asyncio
import base64
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.scale.synthetic_models import Floats
from benchmarks.serving.load import Connection, WrongAnswer, connect, request
from facet.preprocess import Pixels

ENDPOINT = "scale"
EXPONENT = 1.0
TOLERANCE = 1e-4
"""Of a probability. Those of different models differ by 0.01 or more."""


@dataclass(frozen=True)
class Plan:
    """memory: bytes that loaded models may take."""

    models: int
    seconds: float
    clients: int
    memory: int


@dataclass(frozen=True, eq=False)
class Answers:
    """For each answered request: its model, the Unix time when it was sent, and its seconds."""

    models: NDArray[np.int64]
    sent: NDArray[np.float64]
    seconds: NDArray[np.float64]
    errors: Sequence[str]


def target(number: int) -> str:
    """The TargetModel of model `number`."""
    return f"m{number:05}.tar.gz"


def zipf(models: int, count: int, seed: int | Sequence[int]) -> NDArray[np.int64]:
    """Draws `count` models; the n-th most popular is drawn 1/n as often as the first."""
    random = np.random.default_rng(seed)
    shares = np.arange(1, models + 1, dtype=np.float64) ** -EXPONENT
    ranks = np.searchsorted(np.cumsum(shares / shares.sum()), random.random(count))
    by_rank: NDArray[np.int64] = np.random.default_rng(0).permutation(models)
    return by_rank[np.minimum(ranks, models - 1)]


def drive(port: int, plan: Plan, expected: Floats, pixels: Pixels) -> Answers:
    """Runs `traffic` in an event loop of its own."""
    return asyncio.run(traffic(port, plan, expected, pixels))


Invoke = Callable[[Connection, int, bytes], Awaitable[bytes]]
"""The answer of a model to a body. Raises WrongAnswer."""


async def through_endpoint(connection: Connection, model: int, body: bytes) -> bytes:
    """Invokes a model through the local endpoint."""
    headers = {"X-Amzn-SageMaker-Target-Model": target(model)}
    path = f"/endpoints/{ENDPOINT}/invocations"
    return await connection.send(request("POST", path, body, headers))


async def traffic(
    port: int,
    plan: Plan,
    expected: Floats,
    pixels: Pixels,
    invoke: Invoke = through_endpoint,
) -> Answers:
    """Runs the clients for `plan.seconds`; each sends its next request when it has an answer.

    `expected` is (models, images, labels), `pixels` uint8 (images, height, width, channels).
    """
    bodies = [
        orjson.dumps({"instances": [{"image": {"b64": base64.b64encode(each.tobytes()).decode()}}]})
        for each in pixels
    ]
    end = time.monotonic() + plan.seconds
    answered: list[tuple[int, float, float]] = []
    errors: list[str] = []

    async def client(number: int) -> None:
        connection = await connect(port)
        for model in _models(plan.models, number):
            image = len(answered) % len(bodies)
            sent, began = time.time(), time.perf_counter()
            try:
                body = await invoke(connection, model, bodies[image])
                _check(body, expected[model, image])
            except WrongAnswer as error:
                errors.append(f"{target(model)}: {error}")
                connection.close()
                connection = await connect(port)
            else:
                answered.append((model, sent, time.perf_counter() - began))
            if time.monotonic() >= end:
                break
        connection.close()

    await asyncio.gather(*map(client, range(plan.clients)))
    models, sent, seconds = zip(*answered, strict=True)
    return Answers(np.array(models), np.array(sent), np.array(seconds), errors)


def _models(models: int, client: int) -> Iterator[int]:
    for block in itertools.count():
        yield from map(int, zipf(models, 4096, (client, block)))


def _check(body: bytes, expected: Floats) -> None:
    scores = np.array(orjson.loads(body)["predictions"][0])
    if not np.abs(scores - expected).max() <= TOLERANCE:
        raise WrongAnswer(f"the scores {scores} are not this model's: {expected}")
