"""Places for computations: none is held for long."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest

from serving import workers
from serving.workers import Workers
from tests.support.processes.waiting import LONG


def run(scenario: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scenario, LONG)

    asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


class Jobs:
    """Computations that last until `gate` is set."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.started: list[int] = []
        self.ended: list[int] = []

    def run(self, pool: Workers, number: int, *, waits: bool = True) -> None:
        def work() -> int:
            self.started.append(number)
            if waits:
                assert self.gate.wait(LONG)
            return number

        pool.run(work, lambda future: self.ended.append(future.result()))


def test_no_more_run_at_once_than_there_are_places() -> None:
    async def scenario() -> None:
        jobs = Jobs()
        with closing(Workers(2)) as pool:
            for number in range(4):
                jobs.run(pool, number)
            await asyncio.sleep(0.05)
            assert sorted(jobs.started) == [0, 1]
            jobs.gate.set()
            await until(lambda: len(jobs.ended) == 4)
            assert jobs.started[2:] == [2, 3] or sorted(jobs.started[2:]) == [2, 3]

    run(scenario())


def test_those_that_last_give_their_place_to_others() -> None:
    async def scenario() -> None:
        jobs = Jobs()
        with closing(Workers(2, patience=0.05)) as pool:
            jobs.run(pool, 0)
            jobs.run(pool, 1)
            for number in range(2, 12):
                jobs.run(pool, number, waits=False)
            await until(lambda: len(jobs.ended) == 10)
            assert sorted(jobs.started[:2]) == [0, 1]
            for number in range(12, 15):
                jobs.run(pool, number, waits=False)
            await until(lambda: len(jobs.ended) == 13)
            jobs.gate.set()
            await until(lambda: len(jobs.ended) == 15)

    run(scenario())


def test_a_bounded_number_may_last() -> None:
    async def scenario() -> None:
        jobs = Jobs()
        with closing(Workers(1, patience=0.01, most_late=2)) as pool:
            for number in range(4):
                jobs.run(pool, number)
            await until(lambda: len(jobs.started) == 3)
            await asyncio.sleep(0.05)
            assert len(jobs.started) == 3
            jobs.gate.set()
            await until(lambda: len(jobs.ended) == 4)

    run(scenario())


def test_blocked_is_waiting_while_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BLOCKED", 0.5)

    async def scenario() -> None:
        jobs = Jobs()
        with closing(Workers(1, patience=0.01, most_late=0)) as pool:
            assert not pool.blocked
            jobs.run(pool, 0)
            await asyncio.sleep(0.6)
            assert not pool.blocked, "nothing waits"
            jobs.run(pool, 1)
            assert not pool.blocked, "not for long"
            await until(lambda: pool.blocked)
            jobs.gate.set()
            await until(lambda: len(jobs.ended) == 2)
            assert not pool.blocked

    run(scenario())
