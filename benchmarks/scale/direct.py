"""The same traffic at the container itself, whose models the clients load and unload."""

import asyncio
import json
from collections import Counter, OrderedDict
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks.scale.synthetic_models import Floats
from benchmarks.scale.traffic import Answers, Plan, target, traffic
from benchmarks.serving.artifacts import Artifacts
from benchmarks.serving.load import Connection, WrongAnswer, request
from benchmarks.serving.running import run_server
from benchmarks.serving.servers import Facet
from facet.preprocess import Pixels

UNLOAD_SHARE = 64
"""As in the local endpoint: one loaded model in this many is unloaded when there is no room."""


@dataclass(frozen=True, eq=False)
class Direct:
    """processor_seconds: of the container.  loads: of models.  loaded: at the end."""

    answers: Answers
    processor_seconds: float
    loads: int
    loaded: int


async def measure(plan: Plan, expected: Floats, pixels: Pixels, folder: Path) -> Direct:
    """Sends the traffic to one container. `folder` has `<target>/1/…` of every model."""
    server = Facet(lite=True, runtime="LiteRT", memory=plan.memory)
    async with run_server(server, Artifacts(folder, (), {}), plan.models) as container:
        models = LoadedModels(folder)
        before = container.processor_seconds()
        answers = await traffic(container.port, plan, expected, pixels, models.invoke)
        seconds = container.processor_seconds() - before
        return Direct(answers, seconds, models.loads, len(models))


class LoadedModels:
    """The models that the container has loaded, least recently used first."""

    def __init__(self, folder: Path) -> None:
        self.loads = 0
        self._folder = folder
        self._loaded: OrderedDict[int, asyncio.Future[None]] = OrderedDict()
        self._leaving: dict[int, asyncio.Future[bytes]] = {}
        self._in_use: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._loaded)

    async def invoke(self, connection: Connection, model: int, body: bytes) -> bytes:
        """The answer of a model, which is loaded if necessary. Raises WrongAnswer."""
        self._in_use[model] += 1
        try:
            if model not in self._loaded:
                await self._load(connection, model)
            self._loaded.move_to_end(model)
            await self._loaded[model]
            return await connection.send(request("POST", f"/models/{target(model)}/invoke", body))
        finally:
            self._in_use[model] -= 1

    async def _load(self, connection: Connection, model: int) -> None:
        loaded = self._loaded[model] = asyncio.get_running_loop().create_future()
        if model in self._leaving:
            await self._leaving[model]
        url = str(self._folder / target(model))
        body = json.dumps({"model_name": target(model), "url": url}).encode()
        while True:
            try:
                await connection.send(request("POST", "/models", body))
            except WrongAnswer as error:
                if "status 507" not in str(error):
                    del self._loaded[model]
                    loaded.set_exception(error)
                    raise
                await self._make_room(connection)
            else:
                break
        self.loads += 1
        loaded.set_result(None)

    async def _make_room(self, connection: Connection) -> None:
        unused = (each for each in self._loaded if not self._in_use[each])
        for model in list(islice(unused, max(1, len(self._loaded) // UNLOAD_SHARE))):
            del self._loaded[model]
            self._leaving[model] = asyncio.get_running_loop().create_future()
            await connection.send(request("DELETE", f"/models/{target(model)}"))
            self._leaving.pop(model).set_result(b"")
