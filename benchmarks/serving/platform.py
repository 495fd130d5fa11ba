"""SageMaker's part, played by the load generator: which models a server holds."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable

from benchmarks.serving.load import Connection


class Platform:
    """Keeps `room` models loaded; the least recently used that no request needs goes first.

    There must be room for as many as there are clients, as each needs one.
    """

    def __init__(
        self,
        load: Callable[[str], bytes],
        invoke: Callable[[str], bytes],
        unload: Callable[[str], bytes],
        room: int,
    ) -> None:
        self._load = load
        self._invoke = invoke
        self._unload = unload
        self._room = room
        self._loads: OrderedDict[str, asyncio.Future[None]] = OrderedDict()
        self._leaving: dict[str, asyncio.Future[None]] = {}
        self._in_use: Counter[str] = Counter()

    async def predict(self, connection: Connection, name: str) -> bytes:
        """The model's answer, after what it takes to have it loaded. Raises WrongAnswer."""
        self._in_use[name] += 1
        try:
            if name not in self._loads:
                await self._bring(connection, name)
            self._loads.move_to_end(name)
            await self._loads[name]
            return await connection.ask(self._invoke(name))
        finally:
            self._in_use[name] -= 1

    async def _bring(self, connection: Connection, name: str) -> None:
        loaded = self._loads[name] = asyncio.get_running_loop().create_future()
        if len(self._loads) > self._room:
            await self._take_away(connection)
        if name in self._leaving:
            await self._leaving[name]
        await connection.ask(self._load(name))
        loaded.set_result(None)

    async def _take_away(self, connection: Connection) -> None:
        name = next(name for name in self._loads if not self._in_use[name])
        del self._loads[name]
        left = self._leaving[name] = asyncio.get_running_loop().create_future()
        await connection.ask(self._unload(name))
        del self._leaving[name]
        left.set_result(None)
