"""Runs Ray Serve with a multiplexed deployment until SIGTERM."""

import argparse
import asyncio
import signal
from pathlib import Path
from typing import Any

import ray  # type: ignore[import-not-found]
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

from benchmarks.serving.handlers.network import Network

OBJECT_STORE = 100_000_000
"""Bytes; close to Ray's minimum. The benchmark stores nothing in it."""

ONGOING = 64
"""Concurrent requests of the replica; at least the number of clients."""


def deployment(models: Path, capacity: int) -> Any:
    """An application with one replica that keeps `capacity` models."""

    @serve.deployment(num_replicas=1, max_ongoing_requests=ONGOING)
    class Multiplexed:
        @serve.multiplexed(max_num_models_per_replica=capacity)  # type: ignore[untyped-decorator]
        async def network(self, name: str) -> Network:
            return await asyncio.to_thread(Network, models / name)

        async def __call__(self, request: Request) -> JSONResponse:
            if request.method == "GET":
                return JSONResponse("ready")
            document = await request.json()
            network = await self.network(serve.get_multiplexed_model_id())
            return JSONResponse(network.answer(document))

    return Multiplexed.bind()  # type: ignore[attr-defined]


def main() -> None:
    """Serves on a port of 127.0.0.1."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--models", type=Path, required=True)
    arguments.add_argument("--capacity", type=int, required=True)
    arguments.add_argument("--scratch", required=True)
    options = arguments.parse_args()
    ray.init(
        address="local",
        include_dashboard=False,
        object_store_memory=OBJECT_STORE,
        _temp_dir=options.scratch,
        log_to_driver=False,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": options.port})
    serve.run(
        deployment(options.models, options.capacity), logging_config={"enable_access_log": False}
    )
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
