"""Compute requests that wait for the same model together.

A request is computed as soon as its runtime is free. Requests that arrive together, or while it is
busy, are the next batch. In a batch, requests with the same signature and shapes are one call of
the runtime; when a call fails, its requests are computed one by one, so that each request gets its
own error.

A batch that takes under half a millisecond is computed on the event loop: to hand it to a thread
and back would take as long again. Others are computed in threads.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import thread_time

import numpy as np

from serving.errors import InferenceFailed, ServingError
from serving.rest.request import Query, Request, parse
from serving.rest.response import render
from serving.runtimes.runtime import Array, Runtime
from serving.workers import Workers

QUICK = 0.0005  # seconds of computing for which the event loop may stop
FORGET = (
    8  # a computation counts as much as the last ones, one in so many, unless it is the longest
)

Results = list[bytes | Exception]


@dataclass(frozen=True)
class Batching:
    """Limits of a batch.

    rows: at most, in one call for several requests; 1 turns batching off.
    wait: seconds that a request waits for others although its model is free.
    """

    rows: int
    wait: float = 0.0


class BatchQueue:
    """The requests of one runtime, in order of arrival. For use on one event loop."""

    def __init__(
        self,
        runtime: Runtime,
        workers: Workers,
        batching: Batching,
        *,
        is_steady: Callable[[], bool] = lambda: False,
        formed: Callable[[int], object] = lambda _: None,
    ) -> None:
        """is_steady: whether the runtime takes about as long for all inputs of a size. Only then
        may it compute on the event loop, where nothing could end it.  formed: gets the number of
        requests of each batch.
        """
        self._runtime = runtime
        self._is_steady = is_steady
        self._formed = formed
        self._steady: bool | None = None
        self._seconds_per_byte: float | None = None
        self._workers = workers
        self._batching = batching
        self._waiting: deque[tuple[Request, asyncio.Future[bytes]]] = deque()
        self._running: dict[int, Sequence[asyncio.Future[bytes]]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._timer: asyncio.Handle | None = None

    async def predict(self, request: Request) -> bytes:
        """The body of the answer to a request. Raises BadInput, InferenceFailed, Overran."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        self._waiting.append((request, future))
        if self._batching.wait and len(self._waiting) >= self._batching.rows:
            self._start()
        elif self._timer is None:
            # Without a wait, those that have arrived together are one batch.
            wait = self._batching.wait
            self._timer = (
                loop.call_later(wait, self._start) if wait else loop.call_soon(self._start)
            )
        return await future

    async def drain(self) -> None:
        """Wait for computations in progress, also those whose clients have disconnected."""
        await self._idle.wait()

    def fail(self, error: ServingError) -> None:
        """Answer all requests with an error; computations in progress end, and their results are
        discarded.
        """
        waiting = [future for _, future in self._waiting]
        self._waiting.clear()
        for futures in [waiting, *self._running.values()]:
            _set_results(futures, [error] * len(futures))

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while len(self._running) < self._runtime.parallel and (batch := self._next_batch()):
            requests, futures = zip(*batch, strict=True)
            self._formed(len(requests))
            if self._quick(requests):
                _set_results(futures, self._compute(requests))
            else:
                self._running[id(futures)] = futures
                self._idle.clear()
                self._workers.run(partial(self._compute, requests), partial(self._finish, futures))

    def _next_batch(self) -> list[tuple[Request, asyncio.Future[bytes]]]:
        """Waiting requests, without those whose clients have disconnected."""
        batch: list[tuple[Request, asyncio.Future[bytes]]] = []
        while self._waiting and len(batch) < self._batching.rows:
            request, future = self._waiting.popleft()
            if not future.done():
                batch.append((request, future))
        return batch

    def _quick(self, requests: Sequence[Request]) -> bool:
        """Whether the event loop can compute them: the last ones took little time for their size.

        The first two computations of a model never are: one that the crash guard suspects waits in
        a thread, and many models are not asked again before they are unloaded.
        """
        if not self._steady or self._seconds_per_byte is None:
            return False
        return self._seconds_per_byte * _size(requests) <= QUICK

    def _compute(self, requests: Sequence[Request]) -> Results:
        if self._steady is None and self._seconds_per_byte is not None:
            self._steady = self._is_steady()
        began = thread_time()
        try:
            return predict_batch(self._runtime, requests, self._batching.rows)
        except Exception as error:  # noqa: BLE001  every request must get an answer
            return [error] * len(requests)
        finally:
            self._remember((thread_time() - began) / max(_size(requests), 1))

    def _remember(self, seconds_per_byte: float) -> None:
        known = self._seconds_per_byte
        if known is None or seconds_per_byte > known:
            self._seconds_per_byte = seconds_per_byte
        else:
            self._seconds_per_byte = known + (seconds_per_byte - known) / FORGET

    def _finish(
        self, futures: Sequence[asyncio.Future[bytes]], work: asyncio.Future[Results]
    ) -> None:
        del self._running[id(futures)]
        self._start()
        if not self._running:
            self._idle.set()
        _set_results(futures, work.result())


def _size(requests: Sequence[Request]) -> int:
    """Bytes of their bodies, to which the time they take is about proportional."""
    return sum(len(request.body) for request in requests)


def _set_results(futures: Sequence[asyncio.Future[bytes]], results: Results) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.done():
            continue  # its client has disconnected, or has its error
        if isinstance(result, bytes):
            future.set_result(result)
        else:
            future.set_exception(result)


def predict_batch(runtime: Runtime, requests: Sequence[Request], rows: int) -> Results:
    """The answer to each request, or its error. A joined call has at most `rows` rows."""
    if len(requests) == 1:
        try:
            return _compute(runtime, [parse(requests[0], runtime.signatures)])
        except ServingError as error:
            return [error]
    results: dict[int, bytes | Exception] = {}
    queries: dict[int, Query] = {}
    for index, request in enumerate(requests):
        try:
            queries[index] = parse(request, runtime.signatures)
        except ServingError as error:
            results[index] = error
    for group in _groups(runtime, queries, rows):
        members = [queries[index] for index in group]
        results.update(zip(group, _compute(runtime, members), strict=True))
    return [results[index] for index in range(len(requests))]


def _groups(runtime: Runtime, queries: dict[int, Query], rows: int) -> Iterator[list[int]]:
    """Groups of indices of queries that can be one call; each index is in one group."""
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
    """One call for all queries or, if it fails, one call for each."""
    try:
        outputs = _predict_together(runtime, queries)
        return [render(query, output) for query, output in zip(queries, outputs, strict=True)]
    except ServingError as error:
        if len(queries) == 1:
            return [error]
    return [answer for query in queries for answer in _compute(runtime, [query])]


def _predict_together(runtime: Runtime, queries: Sequence[Query]) -> list[dict[str, Array]]:
    """Join the inputs row by row, predict, and split the outputs. Raises BadInput,
    InferenceFailed.
    """
    first, *others = queries
    if not others:
        return [runtime.predict(first.signature, first.inputs)]
    inputs = {
        name: np.concatenate([query.inputs[name] for query in queries]) for name in first.inputs
    }
    outputs = runtime.predict(first.signature, inputs)
    ends = np.cumsum([query.length for query in queries])
    if any(array.ndim == 0 or len(array) != ends[-1] for array in outputs.values()):
        raise InferenceFailed("An output does not have one value per row.")
    split = {name: np.split(array, ends[:-1]) for name, array in outputs.items()}
    return [{name: parts[at] for name, parts in split.items()} for at in range(len(queries))]
