"""The same traffic at the container itself, whose models the clients load and unload."""

import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale.synthetic_models import Floats
from benchmarks.scale.traffic import Answers, Plan, target, traffic
from benchmarks.serving.artifacts import Artifacts
from benchmarks.serving.load import Connection, request
from benchmarks.serving.platform import Platform
from benchmarks.serving.running import run_server
from benchmarks.serving.servers import Facet
from facet.preprocess import Pixels


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
        models = platform(folder)

        async def invoke(connection: Connection, model: int, body: bytes) -> bytes:
            name = target(model)
            return await models.send(
                connection, name, request("POST", f"/models/{name}/invoke", body)
            )

        before = container.processor_seconds()
        answers = await traffic(container.port, plan, expected, pixels, invoke)
        seconds = container.processor_seconds() - before
        return Direct(answers, seconds, models.loads, len(models))


def platform(folder: Path) -> Platform:
    """Loads models of `folder` until the container has no room."""

    def load(name: str) -> bytes:
        document = {"model_name": name, "url": str(folder / name)}
        return request("POST", "/models", json.dumps(document).encode())

    return Platform(load, lambda name: request("DELETE", f"/models/{name}"))
