"""Models that never end: stopped, named, refused; the process is replaced if that does not help."""

import asyncio
import faulthandler
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from serving.app import create_app
from serving.artifact import Version
from serving.batching import Batching
from serving.errors import InferenceFailed, LoadFailed, ModelRefused, NotLoaded, Overran
from serving.guard import watchdog
from serving.guard.crash_guard import LOADING, SLOT_FILE, CrashGuard
from serving.guard.time_limits import TimeLimits
from serving.guard.watchdog import STATUS, Watchdog
from serving.loads import Loader
from serving.memory import MemoryBudget
from serving.metrics import Metrics
from serving.models import Models
from serving.runtimes.bounded import BoundedRuntime
from serving.runtimes.runtime import Array, Signature, TensorSpec
from tests.support.processes.waiting import LONG

ROW = TensorSpec(np.dtype("int64"), (None, 2))
LIMIT = 0.5  # seconds, much longer than what ends by itself takes on a busy machine
SLOW = 7


class Model:
    """Computes the sum of each row; for 13 it waits for `gate`, for SLOW it sleeps."""

    kind = "litert"
    mapped = 40
    parallel = 1
    signatures: Mapping[str, Signature] = {"serving_default": Signature({"x": ROW}, True)}

    def __init__(self, gate: threading.Event, *, cancellable: bool) -> None:
        self._gate = gate
        self._cancelled = threading.Event()
        self._cancellable = cancellable

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        while 13 in inputs["x"] and not self._gate.wait(0.01):
            if self._cancelled.is_set():
                raise InferenceFailed("cancelled")
        if SLOW in inputs["x"]:
            time.sleep(0.1)
        return {signature: inputs["x"].sum(axis=1)}

    def cancel(self) -> None:
        if self._cancellable:
            self._cancelled.set()

    def close(self) -> None: ...


class Process:
    """A container whose models named `endless…` load for ever, `loop…` may compute for ever."""

    def __init__(self, folder: Path, load_timeout: float = 5) -> None:
        self.folder = folder
        self.gate = threading.Event()
        self.ended: list[int] = []
        self.guard = CrashGuard(folder / "state")
        self.limits = TimeLimits(LIMIT, LIMIT)
        self.metrics = Metrics()
        self.models = Models(
            Loader(lambda _: 1, lambda *_: 1, self._load),
            MemoryBudget(1 << 40, 1 << 60, lambda: 0, lambda: None),
            self.metrics,
            workers=2,
            load_timeout=load_timeout,
            batching=Batching(rows=1),
        )
        self.watchdog = Watchdog(self.limits, self.guard, self.metrics, self.end)
        self.app = create_app(self.models, self.metrics, self.watchdog)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://container")

    def end(self, status: int) -> None:
        self.ended.append(status)
        self.in_flight_at_the_end = self.models.in_flight

    def _load(self, version: Version, target: str, _: bool) -> BoundedRuntime:
        cancelled = threading.Event()
        with (
            self.guard.loading(version.source, target),
            self.limits.running(LOADING, target, version.source, cancelled.set),
        ):
            while target.startswith("endless") and not self.gate.wait(0.01):
                if target.startswith("endless-tf") and cancelled.is_set():
                    raise LoadFailed("cancelled")
        model = Model(self.gate, cancellable=target.startswith("loop-tf"))
        return BoundedRuntime(model, self.guard, self.limits, target, version.source)

    async def load(self, name: str) -> httpx.Response:
        (self.folder / name / "1" / "assets.extra").mkdir(parents=True, exist_ok=True)
        (self.folder / name / "1" / "assets.extra" / "model.tflite").touch()
        body = {"model_name": name, "url": str(self.folder / name)}
        return await self.http.post("/models", json=body)

    async def invoke(self, name: str, first: int = 1) -> httpx.Response:
        return await self.http.post(f"/models/{name}/invoke", json={"instances": [[first, 2]]})

    async def metric(self, text: str) -> bool:
        return text in (await self.http.get("/metrics")).text

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        watching = asyncio.create_task(self.watchdog.watch(self.models))
        yield
        self.gate.set()
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    monkeypatch.setattr(watchdog, "TICK", 0.02)
    monkeypatch.setattr(watchdog, "CANCEL_TIME", 0.2)
    monkeypatch.setattr(watchdog, "DRAIN_TIME", 0.5)
    # It would end the tests if their event loop stood still for LIMIT, as on a busy machine.
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *_, **__: None)
    made = Process(tmp_path)
    yield made
    made.gate.set()
    made.guard.close()


def run(process: Process, scenario: Callable[[Process], Any]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(LONG), process.running():
            await scenario(process)

    asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def stopped(name: str, activity: str, kind: str) -> dict[str, str]:
    return {
        "error": f"Model {name} was stopped: it was {activity} for over {LIMIT:g} seconds "
        f"(FACET_SERVING_{kind}_LIMIT), perhaps without end. It is refused for an hour; upload a "
        "corrected version."
    }


def refused_by_the_next(process: Process, *names: str) -> list[str]:
    process.guard.close()
    after = CrashGuard(process.folder / "state")
    found = []
    for name in names:
        source = process.folder / name / "1" / "assets.extra" / "model.tflite"
        try:
            with after.loading(source, name):
                pass
        except ModelRefused:
            found.append(name)
    after.close()
    return found


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Waits long for what was cancelled, for tests in which it ends then."""
    return lambda: monkeypatch.setattr(watchdog, "CANCEL_TIME", LONG)


def test_a_computation_that_can_be_cancelled_stops_only_its_model(
    process: Process, patient: Callable[[], None]
) -> None:
    patient()

    async def scenario(process: Process) -> None:
        for name in ("loop-tf", "good"):
            assert (await process.load(name)).status_code == 200
        endless = [asyncio.create_task(process.invoke("loop-tf", each)) for each in (13, 1)]
        for _ in range(20):
            assert (await process.invoke("good")).status_code == 200
            await asyncio.sleep(0.02)
        for answer in [await each for each in endless]:
            assert answer.status_code == 500
            assert answer.json() == stopped("loop-tf", "computing", "COMPUTE")
        assert (await process.invoke("loop-tf")).json() == stopped(
            "loop-tf", "computing", "COMPUTE"
        )
        again = await process.load("loop-tf")
        assert again.status_code == 500
        assert "did not end while it was computing" in again.json()["error"]
        assert (await process.http.get("/ping")).status_code == 200
        assert await process.metric('facet_overruns_total{model="loop-tf"} 1.0')
        assert (await process.load("another")).status_code == 200

    run(process, scenario)
    assert process.ended == []


def test_one_that_cannot_be_cancelled_ends_the_process_after_the_others_are_answered(
    process: Process,
) -> None:
    async def scenario(process: Process) -> None:
        for name in ("loop", "good"):
            assert (await process.load(name)).status_code == 200
        endless = asyncio.create_task(process.invoke("loop", 13))
        assert (await process.http.get("/ping")).status_code == 200
        answer = await endless
        assert (answer.status_code, answer.json()) == (500, stopped("loop", "computing", "COMPUTE"))
        await until(lambda: bool(process.ended))
        replacing = {
            "error": "The container is being replaced, because model loop does not end. Try again "
            "in a few seconds."
        }
        for answer in (
            await process.http.get("/ping"),
            await process.invoke("good"),
            await process.load("another"),
        ):
            assert (answer.status_code, answer.json()) == (503, replacing)

    run(process, scenario)
    assert process.ended == [STATUS]
    assert not list((process.folder / "state").glob(f"*{SLOT_FILE}")), "nothing is a suspect"
    assert refused_by_the_next(process, "loop", "good") == ["loop"]


@pytest.mark.parametrize(("name", "ends"), [("endless-tf", []), ("endless", [STATUS])])
def test_a_load_that_never_ends_delays_no_other(
    process: Process, name: str, ends: list[int], patient: Callable[[], None]
) -> None:
    if not ends:
        patient()

    async def scenario(process: Process) -> None:
        assert (await process.load("good")).status_code == 200
        loads = [asyncio.create_task(process.load(name)) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert (await process.load("another")).status_code == 200
        assert (await process.invoke("good")).status_code == 200
        answers = [await each for each in loads]
        assert answers[0].json() == stopped(name, "loading", "LOAD")
        assert {each.status_code for each in answers} == {500}
        if ends:
            await until(lambda: bool(process.ended))
        else:
            assert (await process.invoke("good")).status_code == 200
            assert (await process.invoke(name)).status_code == 404

    run(process, scenario)
    assert process.ended == ends
    assert refused_by_the_next(process, name, "good", "another") == [name]


def test_requests_in_flight_are_answered_before_the_process_ends(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "DRAIN_TIME", 8)

    async def scenario(process: Process) -> None:
        for name in ("loop", "good"):
            assert (await process.load(name)).status_code == 200
        endless = asyncio.create_task(process.invoke("loop", 13))
        others = []
        while not process.ended:
            others.append(asyncio.create_task(process.invoke("good", SLOW)))
            await asyncio.sleep(0.03)
        assert (await endless).status_code == 500
        statuses = [(await each).status_code for each in others]
        assert statuses == sorted(statuses)
        assert set(statuses) <= {200, 503}
        assert statuses.count(200) > 2

    run(process, scenario)
    assert process.ended == [STATUS]
    assert process.in_flight_at_the_end == 0


def test_each_request_of_a_stopped_model_gets_an_error_of_its_own(process: Process) -> None:
    """One that is raised again would keep the frames of every request, with their bodies."""

    async def scenario() -> None:
        await process.load("slow")
        process.models.stop("slow", Overran("too long"))
        errors = []
        for _ in range(2):
            with pytest.raises(Overran, match="too long") as caught:
                process.models.model("slow")
            errors.append(caught.value)
        assert errors[0] is not errors[1]

    asyncio.run(scenario())


def test_a_stopped_model_is_forgotten_when_it_is_no_longer_refused(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.models.REFUSED_FOR", 0.05)

    async def scenario() -> None:
        await process.load("slow")
        process.models.stop("slow", Overran("too long"))
        with pytest.raises(Overran):
            process.models.model("slow")
        await asyncio.sleep(0.06)
        with pytest.raises(NotLoaded):
            process.models.model("slow")

    asyncio.run(scenario())


def test_nothing_is_kept_of_a_load_that_timed_out_and_was_stopped(tmp_path: Path) -> None:
    process = Process(tmp_path, load_timeout=0.05)

    async def scenario() -> None:
        assert (await process.load("endless")).status_code == 408
        error = Overran("too long")
        kept = weakref.ref(error)
        process.models.stop("endless", error)
        del error
        await until(lambda: not process.models.in_flight)
        process.gate.set()
        gc.collect()
        assert kept() is None

    asyncio.run(scenario())
    process.guard.close()
