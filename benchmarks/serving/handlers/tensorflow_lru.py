"""The baseline: one process with TensorFlow and an LRU cache of models."""

import argparse
import threading
from collections import OrderedDict
from concurrent.futures import Future
from pathlib import Path

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.serving.handlers.network import Network


class Networks:
    """An LRU cache of `capacity` models; concurrent requests load a model once."""

    def __init__(self, models: Path, capacity: int) -> None:
        self._models = models
        self._capacity = capacity
        self._lock = threading.Lock()
        self._networks: OrderedDict[str, Future[Network]] = OrderedDict()

    def answer(self, name: str, body: bytes) -> bytes:
        """Answers a request in TensorFlow Serving's row format."""
        return orjson.dumps(self._network(name).answer(orjson.loads(body)))

    def _network(self, name: str) -> Network:
        with self._lock:
            known = self._networks.get(name)
            network = self._networks.setdefault(name, known or Future())
            self._networks.move_to_end(name)
            while len(self._networks) > self._capacity:
                self._networks.popitem(last=False)
        if known is None:
            network.set_result(Network(self._models / name))
        return network.result()


def main() -> None:
    """Serves `POST /models/{name}/invoke` on a port of 127.0.0.1."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--models", type=Path, required=True)
    arguments.add_argument("--capacity", type=int, required=True)
    options = arguments.parse_args()
    networks = Networks(options.models, options.capacity)

    async def ping(_: Request) -> Response:
        return Response()

    async def invoke(request: Request) -> Response:
        body = await request.body()
        name = request.path_params["name"]
        answer = await run_in_threadpool(networks.answer, name, body)
        return Response(answer, media_type="application/json")

    routes = [
        Route("/ping", ping),
        Route("/models/{name}/invoke", invoke, methods=["POST"]),
    ]
    uvicorn.run(
        Starlette(routes=routes),
        host="127.0.0.1",
        port=options.port,
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
