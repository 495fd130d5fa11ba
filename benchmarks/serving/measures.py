"""The measurements of one server: warm throughput, loading and memory, and thrashing."""

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.serving import process_tree
from benchmarks.serving.artifacts import LARGE, Artifacts
from benchmarks.serving.environments import REPOSITORY
from benchmarks.serving.load import Connection, Measured, connect, measure
from benchmarks.serving.platform import Platform
from benchmarks.serving.process_tree import Memory
from benchmarks.serving.running import RunningServer, run_server
from benchmarks.serving.servers import HANDLERS, Calls, Server

CLIENTS = (8, 32)
COST_CLIENTS = (1, *CLIENTS)
ROUNDS = 9
"""Of the cost of a request: turns of each server, of which the median is taken."""

WARM_UP = 1.5
"""Seconds of the same load before a measurement."""

SETTLE = 1.0
"""Seconds between the last answer and reading the memory."""

LARGE_LOADS, LARGE_ANSWERS = 10, 3
"""Of a large model beside a small one: loads, and answers after each."""

MODELS, CAPACITY, THRASHERS = 24, 8, 8
"""Of the thrash measurement: models, models that fit at once, clients."""


@dataclass(frozen=True)
class LoadResult:
    """seconds: to load and answer, for each model but the first.  memory: by models loaded."""

    seconds: Sequence[float]
    memory: Mapping[int, Memory]

    @property
    def median(self) -> float:
        """Seconds to load a model and answer."""
        return statistics.median(self.seconds)

    def per_model(self, first: int, last: int) -> float:
        """Bytes per additional model, between `first` and `last` loaded models."""
        return (self.memory[last].pss - self.memory[first].pss) / (last - first)

    def private_per_model(self, first: int, last: int) -> float:
        """The same, without what the system could evict."""
        return (self.memory[last].private - self.memory[first].private) / (last - first)


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
        seconds, memory = [], {}
        for number, name in enumerate(target.artifacts.names, 1):
            begun = perf_counter()
            await target.open(name)
            seconds.append(perf_counter() - begun)
            if number in marks:
                await asyncio.sleep(SETTLE)
                memory[number] = process_tree.memory(process_tree.descendants(os.getpid()))
        return LoadResult(seconds[1:], memory)


@dataclass(frozen=True)
class Cost:
    """Milliseconds of the server's processor time.

    warm: for each answer, by number of clients.  load: to load a model, answer once and unload it;
    None if the server unloads no models.
    """

    warm: Mapping[int, float]
    load: float | None


async def cost(servers: Sequence[Server], artifacts: Artifacts, seconds: float) -> list[Cost]:
    """What requests and loads cost the servers themselves, whatever else the machine does.

    All servers run at once and take turns, because the machine's own speed varies.
    """
    models = artifacts.first(MODELS)
    (name, *others) = models.names
    async with AsyncExitStack() as running:
        targets = [
            await running.enter_async_context(run_server(server, models, CAPACITY))
            for server in servers
        ]
        for target in targets:
            await target.open(name)
        warm: list[dict[int, float]] = [{} for _ in targets]
        for clients in COST_CLIENTS:
            rounds = [
                [await _request_cost(target, name, clients, seconds / ROUNDS) for target in targets]
                for _ in range(ROUNDS + 1)
            ]
            for each, figures in zip(warm, zip(*rounds[1:], strict=True), strict=True):
                each[clients] = statistics.median(figures)
        loads = [await _load_cost(target, others, seconds) for target in targets]
    return [Cost(each, load) for each, load in zip(warm, loads, strict=True)]


async def _request_cost(target: RunningServer, name: str, clients: int, seconds: float) -> float:
    invocation = target.calls.invoke(name)

    def work(connection: Connection) -> Awaitable[bytes]:
        return connection.send(invocation)

    began = target.processor_seconds()
    measured = await measure(target.port, work, clients=clients, seconds=seconds)
    return (target.processor_seconds() - began) / len(measured.latencies) * 1e3


async def _load_cost(target: RunningServer, names: Sequence[str], seconds: float) -> float | None:
    """Rounds over all models for so many seconds; a first round is not measured."""
    load, invoke, unload = (target.calls.load, target.calls.invoke, target.calls.unload)
    if load is None or unload is None:
        return None

    connection = await connect(target.port)

    async def cycle(name: str) -> None:
        for call in (load, invoke, unload):
            await connection.send(call(name))

    for name in names:
        await cycle(name)
    count, began, end = 0, target.processor_seconds(), perf_counter() + seconds
    while perf_counter() < end:
        for name in names:
            await cycle(name)
        count += len(names)
    connection.close()
    return (target.processor_seconds() - began) / count * 1e3


def bare_litert(artifacts: Artifacts) -> Cost:
    """The same for LiteRT in a process without a server, with XNNPACK's weight cache."""
    with TemporaryDirectory(prefix="facet-") as cache_folder:
        models = str(artifacts.first(MODELS).folder)
        done = subprocess.run(
            [sys.executable, "-m", f"{HANDLERS}.bare_litert", models, cache_folder],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    found = json.loads(done.stdout)
    return Cost({1: found["answer"]}, found["load"])


@dataclass(frozen=True)
class Waits:
    """Seconds of each answer of a small model: alone, and while a large one loads and computes."""

    alone: Sequence[float]
    loading: Sequence[float]
    computing: Sequence[float]


async def waits(server: Server, artifacts: Artifacts, seconds: float) -> Waits:
    """One client asks a small model; beside it, a large one is loaded, invoked and unloaded."""
    models = artifacts.first(1).with_large()
    async with run_server(server, models, CAPACITY) as target:
        (name, *_) = models.names
        await target.open(name)
        calls = target.calls
        assert calls.load is not None
        assert calls.unload is not None
        asked = await _ask(target, name, asyncio.sleep(seconds))
        loading: list[float] = []
        computing: list[float] = []
        for _ in range(LARGE_LOADS):
            loading += await _ask(target, name, target.connection.send(calls.load(LARGE)))
            for _ in range(LARGE_ANSWERS):
                computing += await _ask(target, name, target.connection.send(calls.invoke(LARGE)))
            await target.connection.send(calls.unload(LARGE))
        return Waits(asked, loading, computing)


async def _ask(target: RunningServer, name: str, other: Awaitable[object]) -> list[float]:
    """Seconds of each answer of a model until `other` is done, with one client."""
    connection = await connect(target.port)
    invocation = target.calls.invoke(name)
    seconds = []
    until = asyncio.ensure_future(other)
    while not until.done():
        sent = perf_counter()
        await connection.send(invocation)
        seconds.append(perf_counter() - sent)
    await until
    connection.close()
    return seconds


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
        platform = Platform(calls.load, calls.unload, CAPACITY)
        return lambda connection, name: platform.send(connection, name, invoke(name))
    return lambda connection, name: connection.send(invoke(name))
