"""The servers under test: how each is started and called. Facet, the baseline and the limit."""

import contextlib
import json
import random
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.serving.artifacts import Artifacts
from benchmarks.serving.environments import REPOSITORY
from benchmarks.serving.load import request

HANDLERS = "benchmarks.serving.handlers"
PATHS = {"PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "2"}
"""Environment with which a server's interpreter finds the handlers."""


@dataclass(frozen=True)
class ServerSetup:
    """What a server is started with.

    scratch: an empty folder for its files.  capacity: number of models that it may keep loaded, if
    it evicts models itself.
    """

    port: int
    artifacts: Artifacts
    scratch: Path
    capacity: int

    @property
    def models(self) -> Path:
        """The folder with `<name>/1/…` of every model."""
        return self.artifacts.folder

    @property
    def names(self) -> Sequence[str]:
        """The names of all models."""
        return list(self.artifacts.golden)

    def image(self, name: str) -> str:
        """Base64 of the pixels of the model's golden sample."""
        return self.artifacts.golden[name].image


@dataclass(frozen=True)
class Launch:
    """command: exits on SIGTERM.  ready: a path that answers 200 once the server is ready."""

    command: Sequence[str]
    ready: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Calls:
    """Complete HTTP requests, by model name.

    scores: parses the scores from the body of the answer to `invoke`.  load, unload: None if the
    server loads and evicts models itself.
    """

    invoke: Callable[[str], bytes]
    scores: Callable[[bytes], Sequence[float]]
    load: Callable[[str], bytes] | None = None
    unload: Callable[[str], bytes] | None = None


class Server(Protocol):
    """A server that is measured."""

    @property
    def title(self) -> str:
        """Its name in tables and plots."""

    def launch(self, setup: ServerSetup) -> Launch:
        """Installs it and writes its files. Raises NotSetUp."""

    def calls(self, setup: ServerSetup) -> Calls:
        """Its requests, each with the golden sample of the model."""


def free_port() -> int:
    """A free port of 127.0.0.1, below the range that the system gives to clients.

    Multi Model Server accepts no port above 32,767.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def instances(image: str) -> bytes:
    """A request body in TensorFlow Serving's row format."""
    return json.dumps({"instances": [{"b64": image}]}).encode()


def predictions(answer: bytes) -> list[float]:
    """The scores of the only row of its answer."""
    scores: list[float] = json.loads(answer)["predictions"][0]
    return scores


@dataclass(frozen=True)
class Facet:
    """Facet's container. `lite`: serve the LiteRT models; otherwise they are left out.

    memory: bytes for all models, None for the container's default.
    """

    lite: bool
    runtime: str
    memory: int | None = None

    @property
    def title(self) -> str:
        """Includes the runtime."""
        return f"Facet ({self.runtime})"

    def launch(self, setup: ServerSetup) -> Launch:
        """Runs the container's entry point."""
        if not self.lite:
            for name in setup.names:
                version = self._folder(setup) / name / "1"
                version.mkdir(parents=True)
                for part in ("saved_model.pb", "variables"):
                    (version / part).symlink_to(setup.models / name / "1" / part)
        environment = {
            "FACET_SERVING_HOST": "127.0.0.1",
            "SAGEMAKER_BIND_TO_PORT": str(setup.port),
            "SAGEMAKER_MULTI_MODEL": "true",
            "TMPDIR": str(setup.scratch),
            "FACET_SERVING_MEMORY": str(self.memory or 0),
        }
        command = [sys.executable, "-m", "serving", "serve"]
        return Launch(command, "/ping", environment | PATHS)

    def calls(self, setup: ServerSetup) -> Calls:
        """SageMaker's API for multi-model containers."""
        folder = self._folder(setup)

        def load(name: str) -> bytes:
            document = {"model_name": name, "url": str(folder / name)}
            return request("POST", "/models", json.dumps(document).encode())

        return Calls(
            invoke=lambda name: request(
                "POST", f"/models/{name}/invoke", instances(setup.image(name))
            ),
            scores=predictions,
            load=load,
            unload=lambda name: request("DELETE", f"/models/{name}"),
        )

    def _folder(self, setup: ServerSetup) -> Path:
        return setup.models if self.lite else setup.scratch / "models"


def invocations(setup: ServerSetup) -> Calls:
    """TensorFlow Serving's requests, to a server that loads models itself."""

    def invoke(name: str) -> bytes:
        return request("POST", f"/models/{name}/invoke", instances(setup.image(name)))

    return Calls(invoke, predictions)


@dataclass(frozen=True)
class BareServer:
    """The limit: LiteRT behind uvicorn with nothing in between."""

    title: str = "uvicorn, orjson, LiteRT"

    def launch(self, setup: ServerSetup) -> Launch:
        """Starts it in our own interpreter."""
        arguments = ["--port", setup.port, "--models", setup.models]
        command = [sys.executable, "-m", f"{HANDLERS}.bare_server", *map(str, arguments)]
        return Launch(command, "/ping", PATHS)

    def calls(self, setup: ServerSetup) -> Calls:
        """The server loads a model at its first request."""
        return invocations(setup)


@dataclass(frozen=True)
class TensorFlowLRU:
    """The baseline, in our own interpreter."""

    title: str = "one TensorFlow process, LRU"

    def launch(self, setup: ServerSetup) -> Launch:
        """Starts it with the setup's capacity."""
        arguments = ["--port", setup.port, "--models", setup.models, "--capacity", setup.capacity]
        command = [sys.executable, "-m", f"{HANDLERS}.tensorflow_lru", *map(str, arguments)]
        return Launch(command, "/ping", PATHS)

    def calls(self, setup: ServerSetup) -> Calls:
        """The server loads the model if necessary."""
        return invocations(setup)
