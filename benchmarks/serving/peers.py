"""The peers: AWS Multi Model Server, MLServer, Ray Serve."""

import json
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.serving.environments import NotSetUp, interpreter
from benchmarks.serving.load import request
from benchmarks.serving.servers import (
    HANDLERS,
    PATHS,
    Calls,
    Launch,
    ServerSetup,
    free_port,
    instances,
    predictions,
)


@dataclass(frozen=True)
class MultiModelServer:
    """AWS Multi Model Server with `workers` processes per model."""

    workers: int
    title: str = "AWS Multi Model Server"

    def launch(self, setup: ServerSetup) -> Launch:
        """Configures management and inference on one port, as in SageMaker. Raises NotSetUp."""
        if shutil.which("java") is None:
            raise NotSetUp("Java is not installed: apt-get install openjdk-17-jre-headless")
        python = interpreter("multi-model-server", ["multi-model-server==1.1.11", "setuptools<81"])
        for name in setup.names:
            self._archive(setup, name)
        address = f"http://127.0.0.1:{setup.port}"
        settings = setup.scratch / "config.properties"
        settings.write_text(f"inference_address={address}\nmanagement_address={address}\n")
        command = [str(python.with_name("multi-model-server")), "--start", "--foreground"]
        command += ["--mms-config", str(settings), "--model-store", str(self._store(setup))]
        environment = {
            "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(setup.scratch),
            "LOG_LOCATION": str(setup.scratch),
            "METRICS_LOCATION": str(setup.scratch),
        }
        return Launch(command, "/ping", environment | PATHS)

    def calls(self, setup: ServerSetup) -> Calls:
        """A load request returns when all workers of the model have loaded it."""

        def load(name: str) -> bytes:
            query = {"url": name, "initial_workers": self.workers, "synchronous": "true"}
            return request("POST", f"/models?{urlencode(query)}")

        return Calls(
            invoke=lambda name: request(
                "POST", f"/predictions/{name}", instances(setup.image(name))
            ),
            scores=predictions,
            load=load,
            unload=lambda name: request("DELETE", f"/models/{name}"),
        )

    def _store(self, setup: ServerSetup) -> Path:
        return setup.scratch / "store"

    def _archive(self, setup: ServerSetup, name: str) -> None:
        folder = self._store(setup) / name
        (folder / "MAR-INF").mkdir(parents=True)
        (folder / "1").symlink_to(setup.models / name / "1")
        model = {"modelName": name, "handler": f"{HANDLERS}.multi_model_server:handle"}
        versions = dict.fromkeys(
            ("specificationVersion", "implementationVersion", "modelServerVersion"), "1.0"
        )
        manifest = {**versions, "runtime": "python", "model": model}
        (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))


@dataclass(frozen=True)
class MLServer:
    """Seldon's MLServer with all models in one process."""

    title: str = "MLServer"

    def launch(self, setup: ServerSetup) -> Launch:
        """Writes a model repository whose models are loaded on request. Raises NotSetUp."""
        # 1.7.1 does not start with uvloop 0.22 (SeldonIO/MLServer issue 2286).
        python = interpreter("mlserver", ["mlserver==1.7.1", "uvloop<0.22"])
        for name in setup.names:
            self._model(setup, name)
        settings = {
            "host": "127.0.0.1",
            "http_port": setup.port,
            "grpc_port": free_port(),
            "metrics_port": free_port(),
            "parallel_workers": 0,
            "load_models_at_startup": False,
            "debug": False,
        }
        (setup.scratch / "settings.json").write_text(json.dumps(settings))
        command = [str(python.with_name("mlserver")), "start", str(setup.scratch)]
        return Launch(command, "/v2/health/ready", PATHS)

    def calls(self, setup: ServerSetup) -> Calls:
        """The Open Inference Protocol (V2)."""

        def infer(name: str) -> bytes:
            data = [setup.image(name)]
            tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": data}
            body = json.dumps({"inputs": [tensor]}).encode()
            return request("POST", f"/v2/models/{name}/infer", body)

        def repository(action: str) -> Callable[[str], bytes]:
            return lambda name: request("POST", f"/v2/repository/models/{name}/{action}")

        return Calls(
            invoke=infer,
            scores=lambda answer: json.loads(answer)["outputs"][0]["data"],
            load=repository("load"),
            unload=repository("unload"),
        )

    def _model(self, setup: ServerSetup, name: str) -> None:
        (setup.scratch / name).mkdir()
        settings = {
            "name": name,
            "implementation": f"{HANDLERS}.mlserver_runtime.Runtime",
            "parameters": {"uri": str(setup.models / name)},
        }
        (setup.scratch / name / "model-settings.json").write_text(json.dumps(settings))


@dataclass(frozen=True)
class RayServe:
    """Ray Serve with a multiplexed deployment of one replica."""

    title: str = "Ray Serve multiplexing"

    def launch(self, setup: ServerSetup) -> Launch:
        """Starts one replica with the setup's capacity. Raises NotSetUp."""
        python = interpreter("ray", ["ray[serve]==2.60.0"])
        arguments = ["--port", setup.port, "--models", setup.models, "--capacity", setup.capacity]
        command = [str(python), "-m", f"{HANDLERS}.ray_multiplexing", *map(str, arguments)]
        command += ["--scratch", str(setup.scratch)]
        environment = {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),  # otherwise Ray writes one to the home folder
            "RAY_worker_niceness": "0",  # otherwise its replicas yield to every other process
        }
        return Launch(command, "/", environment | PATHS)

    def calls(self, setup: ServerSetup) -> Calls:
        """A header names the model; the server loads it if necessary."""

        def invoke(name: str) -> bytes:
            body = instances(setup.image(name))
            return request("POST", "/", body, {"serve_multiplexed_model_id": name})

        return Calls(invoke, predictions)
