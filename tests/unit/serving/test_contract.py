"""The container's HTTP interface, over ASGI, with a runtime that adds up pixels."""

import asyncio
import json
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from serving import errors
from serving.app import create_app
from serving.artifact import Version
from serving.batching import Batching
from serving.guard.crash_guard import CrashGuard
from serving.guard.time_limits import TimeLimits
from serving.guard.watchdog import Watchdog
from serving.loads import Loader
from serving.memory import MemoryBudget
from serving.metrics import Metrics
from serving.models import TRIM_EVERY, Models
from serving.rest.request import Request
from serving.runtimes.runtime import Array, Signature, TensorSpec
from serving.statuses import STATUS
from tests.support.processes.waiting import LONG

SIZE = 100  # bytes that each model reserves
TARGET = {"X-Amzn-SageMaker-Target-Model": "cifar/1.tar.gz"}
UINT8 = np.dtype("uint8")


class Sums:
    """A model that answers the sum of its two pixels, once `gate` is set."""

    kind = "litert"
    mapped = 40
    parallel = 1
    signatures: Mapping[str, Signature] = {
        "serving_default": Signature({"image": TensorSpec(UINT8, (None, 2), UINT8)})
    }

    def __init__(self, gate: threading.Event) -> None:
        self.gate = gate
        self.running = 0
        self.closed = False

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        assert signature == "serving_default"
        assert not self.closed
        self.running += 1
        assert self.running == 1, "two threads in one interpreter"
        assert self.gate.wait(LONG)
        self.running -= 1
        if inputs["image"].max() == 255:
            raise errors.InferenceFailed("LiteRT: broken")
        return {"sum": inputs["image"].astype(int).sum(axis=1)}

    def cancel(self) -> None: ...

    def close(self) -> None:
        assert not self.running, "closed under a request"
        self.closed = True


class Bench:
    """A container with a fake loader: `load_gates` delay loads, `opened` has its models."""

    def __init__(self, folder: Path, load_timeout: float) -> None:
        self.folder = folder
        self.gate = threading.Event()
        self.gate.set()
        self.load_gates: dict[str, threading.Event] = {}
        self.opened: list[Sums] = []
        self.measured: list[bool] = []
        self.trims = 0
        loader = Loader(lambda _: SIZE, lambda *_: SIZE, self.load_version)
        metrics = Metrics(unloaded_models=2)
        self.models = Models(
            loader,
            MemoryBudget(3 * SIZE, 1 << 60, lambda: 0, self.trim),
            metrics,
            workers=4,
            load_timeout=load_timeout,
            batching=Batching(rows=4),
        )
        self.guard = CrashGuard(folder / "state")
        watchdog = Watchdog(TimeLimits(60, 60), self.guard, metrics)
        app = create_app(self.models, metrics, watchdog)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://container")

    def artifact(self, name: str, *versions: str) -> str:
        for version in versions or ("1",):
            tflite = self.folder / name / version / "assets.extra" / "model.tflite"
            tflite.parent.mkdir(parents=True)
            tflite.write_bytes(b"")
        return str(self.folder / name)

    def load_version(self, version: Version, target: str, measured: bool) -> Sums:
        self.measured.append(measured)
        assert target in (TARGET["X-Amzn-SageMaker-Target-Model"], "m")
        name = version.folder.parent.name
        if name in self.load_gates:
            assert self.load_gates[name].wait(LONG)
        if name == "broken":
            raise errors.LoadFailed("LiteRT cannot load model.tflite: broken")
        self.opened.append(Sums(self.gate))
        return self.opened[-1]

    def trim(self) -> None:
        self.trims += 1

    async def load(self, name: str, path: str | None = None) -> httpx.Response:
        body = {"model_name": name, "url": path or self.artifact(name)}
        return await self.http.post("/models", json=body, headers=TARGET)

    async def invoke(
        self, name: str, first: int = 1, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        body = {"instances": [[first, 2]]}
        return await self.http.post(f"/models/{name}/invoke", json=body, headers=headers)


@pytest.fixture
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(tmp_path, getattr(request, "param", LONG))
    yield made
    made.guard.close()
    made.gate.set()
    for gate in made.load_gates.values():
        gate.set()


def run(scenario: Awaitable[Any]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scenario, LONG)

    asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def status_and_body(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()


def test_every_error_has_a_status() -> None:
    kinds = set(errors.ServingError.__subclasses__())
    assert kinds == set(STATUS)


def test_an_empty_container(bench: Bench) -> None:
    async def scenario() -> None:
        assert (await bench.http.get("/ping")).status_code == 200
        assert status_and_body(await bench.http.get("/models")) == (200, {})
        missing = (404, {"error": "Model cifar is not loaded yet."})
        assert status_and_body(await bench.http.get("/models/cifar")) == missing
        assert status_and_body(await bench.invoke("cifar")) == missing
        gone = (404, {"error": "Model cifar is not loaded yet"})
        assert status_and_body(await bench.http.delete("/models/cifar")) == gone

    run(scenario())


def test_a_model_is_loaded_listed_invoked_and_unloaded(bench: Bench) -> None:
    status = {
        "version": "1",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }

    async def scenario() -> None:
        code, body = status_and_body(await bench.load("cifar"))
        assert code == 200
        assert body["success"].startswith("Successfully loaded model cifar, ")
        again = await bench.load("cifar", str(bench.folder / "cifar"))
        assert status_and_body(again) == (409, {"error": "Model cifar is already loaded."})
        assert status_and_body(await bench.http.get("/models")) == (
            200,
            {"cifar": {"model_version_status": [status]}},
        )
        assert status_and_body(await bench.http.get("/models/cifar")) == (
            200,
            {
                "model": {
                    "model_version_status": [status],
                    "target_model": "cifar/1.tar.gz",
                    "runtimes": {"1": "litert"},
                    "resident_bytes": SIZE,
                    "mapped_bytes": 40,
                }
            },
        )
        assert status_and_body(await bench.invoke("cifar")) == (200, {"predictions": [3]})
        unloaded = await bench.http.delete("/models/cifar")
        assert status_and_body(unloaded) == (200, {"success": "Successfully unloaded model cifar."})
        assert bench.opened[0].closed
        assert (await bench.invoke("cifar")).status_code == 404

    run(scenario())


def test_a_load_without_a_numeric_folder_is_404(bench: Bench) -> None:
    async def scenario() -> None:
        bench.artifact("wrapped/model")
        for path in ("/no/such/folder", str(bench.folder / "wrapped")):
            message = f"Could not find valid base path {path} for servable cifar"
            assert status_and_body(await bench.load("cifar", path)) == (404, {"error": message})

    run(scenario())


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"model_name": "cifar"}', b""])
def test_a_load_without_name_and_url_is_500(bench: Bench, body: bytes) -> None:
    async def scenario() -> None:
        answer = await bench.http.post("/models", content=body)
        assert answer.status_code == 500
        assert "url" in answer.json()["error"]

    run(scenario())


@pytest.mark.parametrize("name", ["../x", "", ".x", "a" * 256, "a b", 7])
def test_an_invalid_model_name_is_400(bench: Bench, name: object) -> None:
    async def scenario() -> None:
        answer = await bench.http.post("/models", json={"model_name": name, "url": "/x"})
        assert answer.status_code == 400
        assert answer.json()["error"].startswith(f"invalid model_name: {name!r}; use letters, ")

    run(scenario())


def test_no_room_is_507_until_a_model_is_unloaded(bench: Bench) -> None:
    async def scenario() -> None:
        for name in ("a", "b", "c"):
            assert (await bench.load(name)).status_code == 200
        code, body = status_and_body(await bench.load("d"))
        assert code == 507
        assert body["error"].startswith(
            "Memory exhausted: not enough memory to load model cifar/1.tar.gz: it takes "
        )
        await bench.http.delete("/models/b")
        assert (await bench.load("d", str(bench.folder / "d"))).status_code == 200

    run(scenario())


def test_a_failed_load_releases_its_memory(bench: Bench) -> None:
    async def scenario() -> None:
        path = bench.artifact("broken")
        for _ in range(5):  # more often than there is room for
            answer = await bench.load("broken", path)
            reason = "LiteRT cannot load model.tflite: broken"
            error = f"Model cifar/1.tar.gz cannot be loaded: {reason}"
            assert status_and_body(answer) == (500, {"error": error})
        assert status_and_body(await bench.http.get("/models")) == (200, {})

    run(scenario())


def test_a_model_that_was_loaded_twice_is_not_measured_again(bench: Bench) -> None:
    async def scenario() -> None:
        document = {"model_name": "m", "url": bench.artifact("m")}
        for headers in ({}, {}, TARGET, {}, TARGET):
            assert (await bench.http.post("/models", json=document, headers=headers)).is_success
            assert (await bench.http.delete("/models/m")).is_success

    run(scenario())
    assert bench.measured == [False, False, False, True, False]


def test_concurrent_loads_of_one_model_are_one_load(bench: Bench) -> None:
    bench.load_gates["cifar"] = threading.Event()
    path = bench.artifact("cifar")

    async def scenario() -> None:
        loads = [asyncio.create_task(bench.load("cifar", path)) for _ in range(20)]
        await asyncio.sleep(0.05)
        bench.load_gates["cifar"].set()
        codes = sorted([(await each).status_code for each in loads])
        assert codes == [200] + [409] * 19
        assert len(bench.opened) == 1

    run(scenario())


impatient = pytest.mark.parametrize("bench", [1.0], indirect=True)
"""A container that gives up a load after a second."""


@impatient
def test_a_slow_load_times_out_and_delays_no_other_model(bench: Bench) -> None:
    bench.load_gates["slow"] = threading.Event()
    path = bench.artifact("slow")

    async def scenario() -> None:
        slow = asyncio.create_task(bench.load("slow", path))
        await asyncio.sleep(0.05)
        assert (await bench.load("quick")).status_code == 200
        assert status_and_body(await bench.invoke("quick")) == (200, {"predictions": [3]})
        assert not slow.done()
        answer = await slow
        assert answer.status_code == 408
        assert answer.json()["error"].startswith("Loading model slow timed out after 1 seconds. ")
        bench.load_gates["slow"].set()
        await until(lambda: len(bench.opened) == 2 and bench.opened[1].closed)
        assert list((await bench.http.get("/models")).json()) == ["quick"]
        assert (await bench.load("slow", path)).status_code == 200

    run(scenario())


@impatient
def test_a_timeout_with_memory_over_70_percent_is_507(bench: Bench) -> None:
    bench.load_gates["slow"] = threading.Event()

    async def scenario() -> None:
        for name in ("a", "b"):
            await bench.load(name)
        code, body = status_and_body(await bench.load("slow"))
        assert code == 507
        assert "loading model slow timed out" in body["error"]

    run(scenario())


def test_unload_waits_for_the_requests_in_flight(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.load("cifar")
        await bench.invoke("cifar")
        bench.gate.clear()
        requests = [asyncio.create_task(bench.invoke("cifar")) for _ in range(5)]
        await until(lambda: bench.opened[0].running == 1)
        unload = asyncio.create_task(bench.http.delete("/models/cifar"))
        await asyncio.sleep(0.05)
        assert not unload.done()
        assert (await bench.invoke("cifar")).status_code == 404
        bench.gate.set()
        assert [(await each).status_code for each in requests] == [200] * 5
        assert (await unload).status_code == 200
        assert bench.opened[0].closed

    run(scenario())


def test_unload_waits_for_computations_of_disconnected_clients(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.load("cifar")
        bench.gate.clear()
        requests = asyncio.create_task(
            bench.models.predict("cifar", None, Request(b'{"instances":[[1,2]]}'))
        )
        await until(lambda: bench.opened[0].running == 1)
        requests.cancel()
        unloading = asyncio.create_task(bench.http.delete("/models/cifar"))
        await asyncio.sleep(0.02)
        assert not bench.opened[0].closed
        bench.gate.set()
        assert (await unloading).status_code == 200
        assert bench.opened[0].closed

    run(scenario())


def test_trims_memory_after_many_unloads(bench: Bench) -> None:
    async def scenario() -> None:
        path = bench.artifact("m")
        for _ in range(TRIM_EVERY):
            assert bench.trims == 0
            await bench.load("m", path)
            await bench.http.delete("/models/m")
        assert bench.trims == 1

    run(scenario())


def test_models_compute_in_parallel_but_one_litert_model_in_sequence(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.load("a")
        await bench.load("b")
        bench.gate.clear()
        requests = [asyncio.create_task(bench.invoke(name)) for name in "aaaaaaaabb"]
        await until(lambda: [each.running for each in bench.opened] == [1, 1])
        bench.gate.set()
        assert [(await each).status_code for each in requests] == [200] * 10

    run(scenario())


def test_close_answers_requests_in_flight(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.load("cifar")
        bench.gate.clear()
        requests = asyncio.create_task(bench.invoke("cifar"))
        await until(lambda: bench.opened[0].running == 1)
        closing = asyncio.create_task(bench.models.close())
        await asyncio.sleep(0.02)
        bench.gate.set()
        assert (await requests).status_code == 200
        await closing
        assert bench.opened[0].closed

    run(scenario())


def framework_error(title: str, reason: str) -> dict[str, str]:
    """What falcon, the framework of AWS's image, makes of TensorFlow Serving's response."""
    return {"title": title, "description": json.dumps({"error": reason}), "error": reason}


@pytest.mark.parametrize(
    ("attributes", "code", "expected"),
    [
        ("tfs-method=predict,tfs-model-version=3", 200, {"predictions": [3]}),
        ("tfs-model-version=12", 200, {"predictions": [3]}),
        (
            "trace=1,tfs-model-version=4",
            404,
            framework_error("404 Not Found", "Servable not found for request: Specific(m, 4)"),
        ),
        (
            "tfs-model-version=x",
            400,
            {"error": "invalid tfs-model-version: must be a positive integer"},
        ),
        (
            "tfs-method=eat",
            400,
            {"error": "invalid tfs-method: must be one of predict|classify|regress"},
        ),
    ],
)
def test_custom_attributes_choose_version_and_method(
    bench: Bench, attributes: str, code: int, expected: Any
) -> None:
    async def scenario() -> None:
        await bench.load("m", bench.artifact("m", "3", "12"))
        header = {"X-Amzn-SageMaker-Custom-Attributes": attributes}
        assert status_and_body(await bench.invoke("m", headers=header)) == (code, expected)

    run(scenario())


def test_classify_is_400_for_a_predict_signature(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.load("m")
        header = {"X-Amzn-SageMaker-Custom-Attributes": "tfs-method=classify"}
        code, body = status_and_body(await bench.invoke("m", headers=header))
        assert code == 400
        assert "tensorflow/serving/classify" in body["error"]

    run(scenario())


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/jsonlines", 200),
        ("text/csv", 200),
        ("", 200),
        ("application/x-image", 415),
        ("text/plain", 415),
    ],
)
def test_accepts_json_csv_and_json_lines_only(bench: Bench, content_type: str, code: int) -> None:
    async def scenario() -> None:
        await bench.load("m")
        answer = await bench.invoke("m", headers={"Content-Type": content_type})
        assert answer.status_code == code
        if code == 415:
            message = f"Unsupported Media Type: {content_type}; send application/json"
            assert answer.json() == {"error": message}

    run(scenario())


def test_csv_is_parsed_as_json(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.load("m")
        answer = await bench.http.post(
            "/models/m/invoke", content=b"1,2\n", headers={"Content-Type": "text/csv"}
        )
        assert answer.status_code == 400
        assert answer.json()["error"] == "JSON Value: Is not object"

    run(scenario())


def test_a_wrong_input_is_400_and_a_failing_model_500(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        await bench.load("m")
        assert (await bench.invoke("m", first=256)).status_code == 400
        assert status_and_body(await bench.invoke("m", first=255)) == (
            500,
            framework_error("500 Internal Server Error", "LiteRT: broken"),
        )
        assert status_and_body(await bench.invoke("m")) == (200, {"predictions": [3]})

    run(scenario())
    assert [each.partition(" failed on request ")[2] for each in caplog.messages][-2:] == [
        '-: input "image": a value does not fit its type: uint8',
        "-: LiteRT: broken",
    ]


@pytest.mark.parametrize(
    ("attributes", "request_id"),
    [
        ("facet-request=7f1c0b7e-3d0b", "7f1c0b7e-3d0b"),
        ("tfs-model-version=1,facet-request=abc", "abc"),
        ("facet-request=two\tlines", "two"),
        ("facet-request=", "-"),
        ("other-facet=1", "-"),
    ],
)
def test_logs_the_id_of_a_failed_request(
    bench: Bench, caplog: pytest.LogCaptureFixture, attributes: str, request_id: str
) -> None:
    async def scenario() -> None:
        await bench.load("m")
        headers = {"X-Amzn-SageMaker-Custom-Attributes": attributes}
        await bench.invoke("m", 255, headers)

    run(scenario())
    (line,) = (each for each in caplog.messages if "failed" in each)
    assert line == f"model m (cifar/1.tar.gz) failed on request {request_id}: LiteRT: broken"


def test_metrics_count_loads_requests_and_errors(bench: Bench) -> None:
    async def scenario() -> None:
        await bench.load("m")
        await bench.load("broken")
        await bench.invoke("m")
        await bench.invoke("m", first=255)
        await bench.invoke("other")
        answer = await bench.http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        for line in (
            'facet_loads_total{model="cifar/1.tar.gz"} 1.0',
            'facet_load_failures_total{model="cifar/1.tar.gz"} 1.0',
            'facet_resident_bytes{model="cifar/1.tar.gz"} 100.0',
            'facet_mapped_bytes{model="cifar/1.tar.gz"} 40.0',
            'facet_request_seconds_count{model="cifar/1.tar.gz"} 2.0',
            'facet_request_errors_total{model="cifar/1.tar.gz"} 1.0',
            'facet_errors_total{error="LoadFailed"} 1.0',
            'facet_errors_total{error="InferenceFailed"} 1.0',
            'facet_errors_total{error="NotLoaded"} 1.0',
        ):
            assert line in answer.text.splitlines()
        await bench.http.delete("/models/m")
        text = (await bench.http.get("/metrics")).text
        assert 'facet_unloads_total{model="cifar/1.tar.gz"} 1.0' in text.splitlines()
        assert "facet_resident_bytes{" not in text
        assert "facet_mapped_bytes{" not in text

    run(scenario())


def test_an_invocation_without_a_model_is_400(bench: Bench) -> None:
    async def scenario() -> None:
        answer = await bench.http.post("/invocations", json={"instances": [[1, 2]]})
        assert status_and_body(answer) == (
            400,
            {"error": "Invocation request does not contain model name."},
        )

    run(scenario())


def test_a_saved_model_without_tensorflow_says_how_to_install_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr("serving.runtimes.saved_model.TENSORFLOW_MEMORY", SIZE)
    (bench.folder / "plain" / "1").mkdir(parents=True)

    async def scenario() -> None:
        for _ in range(5):
            code, body = status_and_body(await bench.load("plain", str(bench.folder / "plain")))
            assert code == 500
            assert "`make tensorflow`" in body["error"]
            assert "\n" not in body["error"]

    run(scenario())
    warnings = [each for each in caplog.records if each.levelname == "WARNING"]
    assert any("cifar/1.tar.gz" in each.getMessage() for each in warnings)
