"""What a server is to the benchmark: how it is started and asked. Facet, and the baseline."""

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
"""So that a server's interpreter finds the handlers."""


@dataclass(frozen=True)
class Site:
    """Where a server runs.

    scratch: an empty folder for its own files.  room: models that it may keep where it chooses
    them itself.
    """

    port: int
    artifacts: Artifacts
    scratch: Path
    room: int

    @property
    def models(self) -> Path:
        """The folder that holds `<name>/1/…` of every model."""
        return self.artifacts.folder

    @property
    def names(self) -> Sequence[str]:
        """Of every model."""
        return list(self.artifacts.golden)

    def image(self, name: str) -> str:
        """Base64 of the pixels that the model is asked about."""
        return self.artifacts.golden[name].image


@dataclass(frozen=True)
class Launch:
    """command: ends with SIGTERM.  ready: a path that answers 200 once requests may come."""

    command: Sequence[str]
    ready: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Calls:
    """Whole requests, by the model's name.

    scores: the classes' scores in the body of an answer to `invoke`.  load, unload: None where
    the server does so by itself.
    """

    invoke: Callable[[str], bytes]
    scores: Callable[[bytes], Sequence[float]]
    load: Callable[[str], bytes] | None = None
    unload: Callable[[str], bytes] | None = None


class Server(Protocol):
    """One that is compared. `title` names it in tables."""

    @property
    def title(self) -> str:
        """In tables and plots."""

    def launch(self, site: Site) -> Launch:
        """Sets it up and writes its files. Raises NotSetUp."""

    def calls(self, site: Site) -> Calls:
        """Its requests: each model is asked about its golden sample."""


def free_port() -> int:
    """Of 127.0.0.1, and below those that the system gives to clients.

    Multi Model Server takes no port above 32,767.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def instances(image: str) -> bytes:
    """A request's body in TensorFlow Serving's row form."""
    return json.dumps({"instances": [{"b64": image}]}).encode()


def predictions(answer: bytes) -> list[float]:
    """The scores of the one row of its answer."""
    scores: list[float] = json.loads(answer)["predictions"][0]
    return scores


@dataclass(frozen=True)
class Facet:
    """Ours; with the artifacts as they are, or without their LiteRT model."""

    lite: bool
    runtime: str

    @property
    def title(self) -> str:
        """With its runtime."""
        return f"Facet ({self.runtime})"

    def launch(self, site: Site) -> Launch:
        """The container's entry point."""
        if not self.lite:
            for name in site.names:
                version = self._folder(site) / name / "1"
                version.mkdir(parents=True)
                for part in ("saved_model.pb", "variables"):
                    (version / part).symlink_to(site.models / name / "1" / part)
        environment = {
            "FACET_SERVING_HOST": "127.0.0.1",
            "SAGEMAKER_BIND_TO_PORT": str(site.port),
            "SAGEMAKER_MULTI_MODEL": "true",
            "TMPDIR": str(site.scratch),
        }
        command = [sys.executable, "-m", "serving", "serve"]
        return Launch(command, "/ping", environment | PATHS)

    def calls(self, site: Site) -> Calls:
        """SageMaker's contract."""
        folder = self._folder(site)

        def load(name: str) -> bytes:
            document = {"model_name": name, "url": str(folder / name)}
            return request("POST", "/models", json.dumps(document).encode())

        return Calls(
            invoke=lambda name: request(
                "POST", f"/models/{name}/invoke", instances(site.image(name))
            ),
            scores=predictions,
            load=load,
            unload=lambda name: request("DELETE", f"/models/{name}"),
        )

    def _folder(self, site: Site) -> Path:
        return site.models if self.lite else site.scratch / "models"


@dataclass(frozen=True)
class TensorFlowLRU:
    """The baseline, on our own interpreter."""

    title: str = "one TensorFlow process, LRU"

    def launch(self, site: Site) -> Launch:
        """With room for as many models as the site gives."""
        arguments = ["--port", site.port, "--models", site.models, "--room", site.room]
        command = [sys.executable, "-m", f"{HANDLERS}.tensorflow_lru", *map(str, arguments)]
        return Launch(command, "/ping", PATHS)

    def calls(self, site: Site) -> Calls:
        """It loads what it is asked for."""

        def invoke(name: str) -> bytes:
            return request("POST", f"/models/{name}/invoke", instances(site.image(name)))

        return Calls(invoke, predictions)
