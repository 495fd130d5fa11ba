"""What is measured of each server, one server at a time."""

import asyncio
import os
import random
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from time import perf_counter

from benchmarks.serving import tree
from benchmarks.serving.artifacts import Artifacts
from benchmarks.serving.load import Connection, Measured, measure
from benchmarks.serving.platform import Platform
from benchmarks.serving.running import Running, running
from benchmarks.serving.servers import Calls, Server

CLIENTS = (8, 32)
WARM_UP = 1.5
"""Seconds of the same load before a measurement."""

SETTLE = 1.0
"""Seconds between the last answer and the reading of the memory."""

MODELS, ROOM, THRASHERS = 24, 8, 8
"""Of the thrash measurement: distinct models, those that fit at once, clients."""


@dataclass(frozen=True)
class Filled:
    """seconds: to load and answer, of each model but the first.  pss: bytes by models loaded."""

    seconds: Sequence[float]
    pss: Mapping[int, int]

    @property
    def median(self) -> float:
        """Seconds to load a model and answer."""
        return statistics.median(self.seconds)

    def per_model(self, first: int, last: int) -> float:
        """Bytes that a model took, from `first` loaded ones to `last`."""
        return (self.pss[last] - self.pss[first]) / (last - first)


async def warm(
    server: Server, artifacts: Artifacts, names: Sequence[str], seconds: float
) -> dict[str, dict[int, Measured]]:
    """Each of these models asked over and over; by its name and the number of clients."""
    async with running(server, artifacts.first(1), ROOM) as target:
        for name in names:
            await target.open(name)
        return {name: await _warm(target, name, seconds) for name in names}


async def _warm(target: Running, name: str, seconds: float) -> dict[int, Measured]:
    asked = target.calls.invoke(name)

    def work(connection: Connection) -> Awaitable[bytes]:
        return connection.ask(asked)

    measured = {}
    for clients in CLIENTS:
        await measure(target.port, work, clients=clients, seconds=WARM_UP)
        measured[clients] = await measure(target.port, work, clients=clients, seconds=seconds)
    return measured


async def fill(server: Server, artifacts: Artifacts, marks: Sequence[int]) -> Filled:
    """One model after the other, each loaded and asked once; memory where so many are loaded."""
    async with running(server, artifacts.first(max(marks)), max(marks)) as target:
        seconds, pss = [], {}
        for number, name in enumerate(target.artifacts.names, 1):
            begun = perf_counter()
            await target.open(name)
            seconds.append(perf_counter() - begun)
            if number in marks:
                await asyncio.sleep(SETTLE)
                pss[number] = tree.pss(tree.descendants(os.getpid()))
        return Filled(seconds[1:], pss)


async def thrash(server: Server, artifacts: Artifacts, seconds: float) -> Measured:
    """More models than fit, each request for any of them. Those that fit are loaded before."""
    async with running(server, artifacts.first(MODELS), ROOM) as target:
        predict = _predict(target.calls)
        names = target.artifacts.names
        for name in names[:ROOM]:
            target.check(name, await predict(target.connection, name))
        drawn = random.Random(1)

        def any_model(connection: Connection) -> Awaitable[bytes]:
            return predict(connection, drawn.choice(names))

        return await measure(target.port, any_model, clients=THRASHERS, seconds=seconds)


def _predict(calls: Calls) -> Callable[[Connection, str], Awaitable[bytes]]:
    """An answer of a model that may not be loaded; the server's own doing where it can."""
    invoke = cache(calls.invoke)
    if calls.load is not None and calls.unload is not None:
        return Platform(calls.load, invoke, calls.unload, ROOM).predict
    return lambda connection, name: connection.ask(invoke(name))
