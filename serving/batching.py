"""Requests that wait for the same model are computed together."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from serving import rest
from serving.errors import InferenceFailed, ServingError
from serving.rest import Query
from serving.runtimes.runtime import Array, Runtime

Results = list[bytes | Exception]


@dataclass(frozen=True)
class Batching:
    """How far requests are put together.

    rows: the most in one call that holds several requests; 1 computes every request by itself.
    wait: seconds that a request waits for others to come, where the model is free.
    """

    rows: int
    wait: float = 0.0


class BatchQueue:
    """The requests of one runtime, in order. To be used on one event loop.

    A request is computed at once where the runtime is free. Those that come while it is busy are
    taken together as soon as it is free again, so that a batch costs no waiting by itself.
    """

    def __init__(self, runtime: Runtime, pool: Executor, batching: Batching) -> None:
        self._runtime = runtime
        self._pool = pool
        self._batching = batching
        self._waiting: deque[tuple[bytes, asyncio.Future[bytes]]] = deque()
        self._work: set[asyncio.Future[Results]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def answer(self, body: bytes) -> bytes:
        """The body of the answer to the body of a request. Raises BadInput, InferenceFailed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        self._waiting.append((body, future))
        if not self._batching.wait or len(self._waiting) >= self._batching.rows:
            self._start()
        elif self._timer is None:
            self._timer = loop.call_later(self._batching.wait, self._start)
        return await future

    async def drain(self) -> None:
        """Wait until nothing is computed, also for clients that have gone."""
        while self._work:
            await asyncio.wait(self._work)

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and len(self._work) < self._runtime.parallel:
            count = min(len(self._waiting), self._batching.rows)
            bodies, futures = zip(*(self._waiting.popleft() for _ in range(count)), strict=True)
            work = asyncio.get_running_loop().run_in_executor(self._pool, self._compute, bodies)
            self._work.add(work)
            work.add_done_callback(partial(self._finish, futures))

    def _compute(self, bodies: Sequence[bytes]) -> Results:
        try:
            return answers(self._runtime, bodies, self._batching.rows)
        except Exception as error:  # noqa: BLE001  whatever happens, nobody is left waiting
            return [error] * len(bodies)

    def _finish(
        self, futures: Sequence[asyncio.Future[bytes]], work: asyncio.Future[Results]
    ) -> None:
        self._work.remove(work)
        self._start()
        _tell(futures, work.result())


def _tell(futures: Sequence[asyncio.Future[bytes]], results: Results) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.done():
            continue  # its client has gone
        if isinstance(result, bytes):
            future.set_result(result)
        else:
            future.set_exception(result)


def answers(runtime: Runtime, bodies: Sequence[bytes], rows: int) -> Results:
    """What each body is answered. Requests of one form are one call of at most `rows` rows."""
    found: dict[int, bytes | Exception] = {}
    queries: dict[int, Query] = {}
    for index, body in enumerate(bodies):
        try:
            queries[index] = rest.parse(body, runtime.signatures)
        except ServingError as error:
            found[index] = error
    for group in _groups(runtime, queries, rows):
        members = [queries[index] for index in group]
        found.update(zip(group, _compute(runtime, members), strict=True))
    return [found[index] for index in range(len(bodies))]


def _groups(runtime: Runtime, queries: dict[int, Query], rows: int) -> Iterator[list[int]]:
    """Indices of queries that may be one call, each once."""
    alike: dict[object, list[int]] = {}
    for index, query in queries.items():
        batchable = runtime.signatures[query.signature].batchable and query.length is not None
        alike.setdefault(query.form if batchable else index, []).append(index)
    for indices in alike.values():
        group: list[int] = []
        total = 0
        for index in indices:
            length = queries[index].length or 1
            if group and total + length > rows:
                yield group
                group, total = [], 0
            group.append(index)
            total += length
        yield group


def _compute(runtime: Runtime, queries: Sequence[Query]) -> Results:
    """One call for all of them; where it fails, one for each, so that none pays for another."""
    try:
        outputs = _joined(runtime, queries)
        return [rest.render(query.rows, each) for query, each in zip(queries, outputs, strict=True)]
    except ServingError as error:
        if len(queries) == 1:
            return [error]
    return [answer for query in queries for answer in _compute(runtime, [query])]


def _joined(runtime: Runtime, queries: Sequence[Query]) -> list[dict[str, Array]]:
    """The outputs for each query. Raises BadInput, InferenceFailed."""
    first, *others = queries
    if not others:
        return [runtime.predict(first.signature, first.inputs)]
    inputs = {
        name: np.concatenate([each.inputs[name] for each in queries]) for name in first.inputs
    }
    outputs = runtime.predict(first.signature, inputs)
    ends = np.cumsum([each.length for each in queries])
    if any(each.ndim == 0 or len(each) != ends[-1] for each in outputs.values()):
        raise InferenceFailed("an output has not one value a row")
    split = {name: np.split(each, ends[:-1]) for name, each in outputs.items()}
    return [{name: parts[at] for name, parts in split.items()} for at in range(len(queries))]
