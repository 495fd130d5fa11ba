"""The measurements of one server: warm throughput, loading and memory, and thrashing."""

import asyncio
import os
import random
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from time import perf_counter

from benchmarks.serving import process_tree
from benchmarks.serving.artifacts import Artifacts
from benchmarks.serving.load import Connection, Measured, measure
from benchmarks.serving.platform import Platform
from benchmarks.serving.running import RunningServer, run_server
from benchmarks.serving.servers import Calls, Server

CLIENTS = (8, 32)
WARM_UP = 1.5
"""Seconds of the same load before a measurement."""

SETTLE = 1.0
"""Seconds between the last answer and reading the memory."""

MODELS, CAPACITY, THRASHERS = 24, 8, 8
"""Of the thrash measurement: models, models that fit at once, clients."""


@dataclass(frozen=True)
class LoadResult:
    """seconds: to load and answer, for each model but the first.  pss: bytes by models loaded."""

    seconds: Sequence[float]
    pss: Mapping[int, int]

    @property
    def median(self) -> float:
        """Seconds to load a model and answer."""
        return statistics.median(self.seconds)

    def per_model(self, first: int, last: int) -> float:
        """Bytes per additional model, between `first` and `last` loaded models."""
        return (self.pss[last] - self.pss[first]) / (last - first)


async def warm(
    server: Server, artifacts: Artifacts, names: Sequence[str], seconds: float
) -> dict[str, dict[int, Measured]]:
    """Invokes each of these models repeatedly. Results are by model name and number of clients."""
    async with run_server(server, artifacts.first(1), CAPACITY) as target:
        for name in names:
            await target.open(name)
        return {name: await _warm(target, name, seconds) for name in names}


async def _warm(target: RunningServer, name: str, seconds: float) -> dict[int, Measured]:
    invocation = target.calls.invoke(name)

    def work(connection: Connection) -> Awaitable[bytes]:
        return connection.send(invocation)

    measured = {}
    for clients in CLIENTS:
        await measure(target.port, work, clients=clients, seconds=WARM_UP)
        measured[clients] = await measure(target.port, work, clients=clients, seconds=seconds)
    return measured


async def fill(server: Server, artifacts: Artifacts, marks: Sequence[int]) -> LoadResult:
    """Loads and invokes one model after the other; reads the memory at each number in `marks`."""
    async with run_server(server, artifacts.first(max(marks)), max(marks)) as target:
        seconds, pss = [], {}
        for number, name in enumerate(target.artifacts.names, 1):
            begun = perf_counter()
            await target.open(name)
            seconds.append(perf_counter() - begun)
            if number in marks:
                await asyncio.sleep(SETTLE)
                pss[number] = process_tree.pss(process_tree.descendants(os.getpid()))
        return LoadResult(seconds[1:], pss)


async def thrash(server: Server, artifacts: Artifacts, seconds: float) -> Measured:
    """Invokes random models, of which not all fit. As many as fit are loaded first."""
    async with run_server(server, artifacts.first(MODELS), CAPACITY) as target:
        predict = _predict(target.calls)
        names = target.artifacts.names
        for name in names[:CAPACITY]:
            target.check(name, await predict(target.connection, name))
        generator = random.Random(1)

        def any_model(connection: Connection) -> Awaitable[bytes]:
            return predict(connection, generator.choice(names))

        return await measure(target.port, any_model, clients=THRASHERS, seconds=seconds)


def _predict(calls: Calls) -> Callable[[Connection, str], Awaitable[bytes]]:
    """Invokes a model that may not be loaded, through `Platform` unless the server loads models."""
    invoke = cache(calls.invoke)
    if calls.load is not None and calls.unload is not None:
        return Platform(calls.load, invoke, calls.unload, CAPACITY).predict
    return lambda connection, name: connection.send(invoke(name))
