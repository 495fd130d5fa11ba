"""Which model ends the container: found by asking for it alone, and then refused for a while."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

from local.endpoint.container import ContainerLost
from local.endpoint.errors import ModelError

PATIENCE = 5.0  # seconds that other calls wait for one that is to be alone, and it for them
ENDS = 2  # of the container under one model, after which it is refused
REFUSED = 60.0  # seconds
REMEMBERED = 600.0  # seconds


@dataclass
class Record:
    """The generations of the container that ended under a model's calls; when the last one did."""

    generations: set[int] = field(default_factory=set)
    last: float = 0.0
    doing: str = ""


class Suspects:
    """The models under whose calls the container ended. To be used on one event loop.

    When it ends, all models that it worked for are suspects. Their next calls are made one at a
    time, while no other is, so that only the guilty one sees the container end again.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, patience: float = PATIENCE
    ) -> None:
        self._clock = clock
        self._patience = patience
        self._records: dict[str, Record] = {}
        self._alone = asyncio.Lock()
        self._calls = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    def check(self, target: str) -> None:
        """Raises ModelError for a model that is refused now."""
        record = self._records.get(target)
        if record is None:
            return
        since = self._clock() - record.last
        if since >= REMEMBERED:
            del self._records[target]
        elif len(record.generations) >= ENDS and since < REFUSED:
            raise ModelError(
                500,
                f"model {target} is refused for {REFUSED - since:.0f} seconds: the container "
                f"ended {len(record.generations)} times while {record.doing} it",
            )

    @asynccontextmanager
    async def call(self, target: str, generation: int, doing: str) -> AsyncIterator[None]:
        """Around a call to that generation of the container. doing: "loading", "invoking".

        Raises ModelError for a model that is refused now.
        """
        self.check(target)
        async with self._turn(alone=target in self._records):
            self.check(target)
            try:
                yield
            except ContainerLost:
                record = self._records.setdefault(target, Record())
                record.generations.add(generation)
                record.last, record.doing = self._clock(), doing
                raise

    def acquit(self, target: str) -> None:
        """The container has answered an invocation of the model."""
        self._records.pop(target, None)

    @asynccontextmanager
    async def _turn(self, *, alone: bool) -> AsyncIterator[None]:
        if alone:
            async with self._alone:
                await self._patiently(self._quiet.wait())
                with self._inside():
                    yield
        else:
            if self._alone.locked():
                await self._patiently(self._pass())
            with self._inside():
                yield

    @contextmanager
    def _inside(self) -> Iterator[None]:
        self._calls += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._quiet.set()

    async def _pass(self) -> None:
        async with self._alone:
            pass

    async def _patiently(self, event: Awaitable[object]) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(event, self._patience)
