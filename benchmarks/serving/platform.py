"""The load generator's stand-in for SageMaker: decides which models a server keeps loaded."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable

from benchmarks.serving.load import Connection


class Platform:
    """Keeps `capacity` models loaded; unloads the least recently used one that no request needs.

    `capacity` must be at least the number of clients, because each needs one model.
    """

    def __init__(
        self,
        load: Callable[[str], bytes],
        invoke: Callable[[str], bytes],
        unload: Callable[[str], bytes],
        capacity: int,
    ) -> None:
        self._load = load
        self._invoke = invoke
        self._unload = unload
        self._capacity = capacity
        self._loads: OrderedDict[str, asyncio.Future[None]] = OrderedDict()
        self._leaving: dict[str, asyncio.Future[None]] = {}
        self._in_use: Counter[str] = Counter()

    async def predict(self, connection: Connection, name: str) -> bytes:
        """Loads the model if necessary and invokes it. Raises WrongAnswer."""
        self._in_use[name] += 1
        try:
            if name not in self._loads:
                await self._load_model(connection, name)
            self._loads.move_to_end(name)
            await self._loads[name]
            return await connection.send(self._invoke(name))
        finally:
            self._in_use[name] -= 1

    async def _load_model(self, connection: Connection, name: str) -> None:
        loaded = self._loads[name] = asyncio.get_running_loop().create_future()
        if len(self._loads) > self._capacity:
            await self._unload_one(connection)
        if name in self._leaving:
            await self._leaving[name]
        await connection.send(self._load(name))
        loaded.set_result(None)

    async def _unload_one(self, connection: Connection) -> None:
        name = next(name for name in self._loads if not self._in_use[name])
        del self._loads[name]
        left = self._leaving[name] = asyncio.get_running_loop().create_future()
        await connection.send(self._unload(name))
        del self._leaving[name]
        left.set_result(None)
