"""The load generator's stand-in for SageMaker: decides which models a server keeps loaded."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from itertools import islice

from benchmarks.serving.load import Connection, WrongAnswer

UNLOAD_SHARE = 64
"""As in the local endpoint: one loaded model in this many is unloaded when there is no room."""


class Platform:
    """Keeps the most recently used models loaded. It never unloads one that a request needs.

    capacity: models; at least the number of clients, because each needs one. None for as many as
    the server loads before it answers 507.
    """

    def __init__(
        self,
        load: Callable[[str], bytes],
        unload: Callable[[str], bytes],
        capacity: int | None = None,
    ) -> None:
        """load, unload: the request for a model."""
        self.loads = 0
        self._load = load
        self._unload = unload
        self._capacity = capacity
        self._loaded: OrderedDict[str, asyncio.Future[None]] = OrderedDict()
        self._leaving: dict[str, asyncio.Future[None]] = {}
        self._in_use: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._loaded)

    async def send(self, connection: Connection, name: str, invocation: bytes) -> bytes:
        """The answer to an invocation of a model, which is loaded if necessary. Raises
        WrongAnswer.
        """
        self._in_use[name] += 1
        try:
            if name not in self._loaded:
                await self._load_model(connection, name)
            self._loaded.move_to_end(name)
            await self._loaded[name]
            return await connection.send(invocation)
        finally:
            self._in_use[name] -= 1

    async def _load_model(self, connection: Connection, name: str) -> None:
        loaded = self._loaded[name] = asyncio.get_running_loop().create_future()
        if self._capacity is not None and len(self._loaded) > self._capacity:
            await self._make_room(connection, 1)
        if name in self._leaving:
            await self._leaving[name]
        while True:
            try:
                await connection.send(self._load(name))
                break
            except WrongAnswer as error:
                if self._capacity is not None or "status 507" not in str(error):
                    del self._loaded[name]
                    loaded.set_exception(error)
                    raise
            await self._make_room(connection, max(1, len(self._loaded) // UNLOAD_SHARE))
        self.loads += 1
        loaded.set_result(None)

    async def _make_room(self, connection: Connection, models: int) -> None:
        unused = (name for name in self._loaded if not self._in_use[name])
        names = [*islice(unused, models)]
        for name in names:  # all at once, before another client chooses the same ones
            del self._loaded[name]
            self._leaving[name] = asyncio.get_running_loop().create_future()
        for name in names:
            await connection.send(self._unload(name))
            self._leaving.pop(name).set_result(None)
