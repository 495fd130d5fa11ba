"""What an endpoint's container is asked: models are loaded on demand, the longest unused go."""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

import orjson

from local.endpoint.container import (
    Answer,
    Container,
    ContainerDown,
    ContainerLost,
    ContainerTimeout,
)
from local.endpoint.diskcache import DiskCache
from local.endpoint.entries import Entries, Entry
from local.endpoint.errors import ModelError, ModelNotReady, ServiceUnavailable
from local.endpoint.metrics import Metrics
from local.endpoint.suspects import Suspects

INVOCATION_TIMEOUT = 60.0  # seconds that SageMaker gives the container
ATTEMPTS = 4  # of an invocation whose container ends under it, or that it had lost the model of
LOADING_TIMEOUT = 360.0  # seconds that SageMaker goes on with a load
TARGET_HEADER = "X-Amzn-SageMaker-Target-Model"
OK, NOT_FOUND, CONFLICT, NO_ROOM = 200, 404, 409, 507
BROKEN = (404, 500)  # how the container refuses an artifact that is at fault itself
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


class ModelCache:
    """The models of one endpoint. To be used on one event loop."""

    def __init__(
        self,
        container: Container,
        disk: DiskCache,
        metrics: Metrics,
        *,
        bucket: str,
        prefix: str,
        cold_wait: float,
    ) -> None:
        """cold_wait: seconds that a request waits for its model before ModelNotReady."""
        self._container = container
        self._disk = disk
        self._metrics = metrics
        self._bucket = bucket
        self._prefix = prefix
        self._cold_wait = cold_wait
        self._entries = Entries(lambda: container.generation)
        self._suspects = Suspects()
        self._squeeze = asyncio.Lock()

    @property
    def loaded(self) -> list[str]:
        """Targets in the container, longest unused first."""
        return self._entries.loaded()

    async def invoke(self, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The container's answer (below 400), after loading the model where need be.

        Raises ValidationError, ModelNotReady, ModelError, ServiceUnavailable.
        """
        name = hashlib.sha256(f"s3://{self._bucket}/{self._prefix}{target}".encode()).hexdigest()
        with self._entries.use(name, target) as entry:
            self._metrics.add("ModelCacheHit", float(self._entries.is_loaded(entry)))
            for _ in range(ATTEMPTS):
                self._suspects.check(target)
                if not self._entries.is_loaded(entry):
                    await self._wait_for_load(entry)
                answer = await self._ask(entry, headers, body)
                if answer is not None:
                    return answer
        raise ServiceUnavailable(f"the container ended {ATTEMPTS} times, and with it {target}")

    async def _ask(self, entry: Entry, headers: Mapping[str, str], body: bytes) -> Answer | None:
        """None where the container ended, or was started again since the model was loaded."""
        try:
            async with self._suspects.call(entry.target, entry.generation, "invoking"):
                answer = await self._container.call(
                    "POST",
                    f"/models/{entry.name}/invoke",
                    headers={**headers, TARGET_HEADER: entry.target},
                    content=body,
                    timeout=INVOCATION_TIMEOUT,
                )
        except (ContainerDown, ContainerLost):
            return None
        except ContainerTimeout as error:
            raise ModelError(0, TIMED_OUT) from error
        if answer.status == NOT_FOUND and _error(answer).endswith("is not loaded yet."):
            entry.generation = 0
            return None
        self._suspects.acquit(entry.target)
        if answer.status >= 400:
            raise ModelError(answer.status, answer.text)
        return answer

    async def _wait_for_load(self, entry: Entry) -> None:
        """One load, however many wait for it. Raises ModelNotReady while it goes on."""
        started = time.perf_counter()
        if entry.loading is None:
            entry.loading = asyncio.create_task(self._load(entry))
            entry.loading.add_done_callback(lambda task: self._end_of_load(entry, task))
        task = entry.loading
        done, _ = await asyncio.wait({task}, timeout=self._cold_wait)
        self._metrics.add_time("ModelLoadingWaitTime", started)
        if not done:
            raise ModelNotReady(
                f"Model {entry.target} is being downloaded or loaded. Wait and try again."
            )
        task.result()

    def _end_of_load(self, entry: Entry, task: asyncio.Task[None]) -> None:
        entry.loading = None
        entry.without_room = False
        if not task.cancelled():
            task.exception()  # so that one nobody waits for any more is not reported as lost
        self._entries.forget_if_idle(entry)

    async def _load(self, entry: Entry) -> None:
        try:
            async with asyncio.timeout(LOADING_TIMEOUT), entry.turn:
                await self._load_again_if_that_may_help(entry)
        except TimeoutError as error:
            raise ModelError(
                0, f"Loading model {entry.target} took longer than {LOADING_TIMEOUT:g} seconds"
            ) from error
        except (ContainerDown, ContainerLost) as error:
            self._suspects.check(entry.target)
            raise ServiceUnavailable(f"while loading {entry.target}: {error}") from error

    async def _load_again_if_that_may_help(self, entry: Entry) -> None:
        try:
            await self._load_once(entry)
        except (ContainerDown, ContainerLost):
            await self._disk.renew(entry.name)
            await self._load_once(entry)
        except ModelError as error:
            if error.original_status not in BROKEN or not await self._disk.renew(entry.name):
                raise
            await self._load_once(entry)

    async def _load_once(self, entry: Entry) -> None:
        started = time.perf_counter()
        key = self._prefix + entry.target
        async with self._disk.hold(entry.name, self._bucket, key) as artifact:
            if artifact.fresh:
                self._metrics.add_time("ModelDownloadingTime", started)
            await self._load_from(entry, artifact.path)

    async def _load_from(self, entry: Entry, path: Path) -> None:
        started = time.perf_counter()
        generation, answer = await self._post(entry, path)
        if answer.status == NO_ROOM:
            generation, answer = await self._load_into_room(entry, path)
        if answer.status not in (OK, CONFLICT):
            raise ModelError(answer.status, answer.text)
        self._entries.put(entry, generation)
        self._metrics.add_time("ModelLoadingTime", started)

    async def _load_into_room(self, entry: Entry, path: Path) -> tuple[int, Answer]:
        """Models wait in line for it, else one would take the room that another has made."""
        entry.without_room = True
        self._entries.changed.set()
        in_line = self._squeeze.locked()
        async with self._squeeze:
            found = in_line or await self._make_room(entry)
            while True:
                generation, answer = await self._post(entry, path)
                if answer.status != NO_ROOM or not found:
                    return generation, answer
                found = await self._make_room(entry)

    async def _post(self, entry: Entry, path: Path) -> tuple[int, Answer]:
        generation = await self._container.ready()
        async with self._suspects.call(entry.target, generation, "loading"):
            answer = await self._container.call(
                "POST",
                "/models",
                headers={TARGET_HEADER: entry.target, "Content-Type": "application/json"},
                content=orjson.dumps({"model_name": entry.name, "url": str(path)}),
                timeout=None,
            )
        return generation, answer

    async def _make_room(self, wanting: Entry) -> bool:
        """Unload the longest unused, or wait where all are in use. False where there is none."""
        if unused := self._entries.longest_unused():
            for entry in unused:
                entry.generation = 0
            await asyncio.gather(*map(self._unload, unused))
            return True
        if not self._entries.others_may_make_room(wanting):
            return False
        self._entries.changed.clear()
        await self._entries.changed.wait()
        return True

    async def _unload(self, entry: Entry) -> None:
        async with entry.turn:
            started = time.perf_counter()
            await self._container.call("DELETE", f"/models/{entry.name}", headers={}, timeout=None)
            self._metrics.add_time("ModelUnloadingTime", started)
        self._entries.forget_if_idle(entry)


def _error(answer: Answer) -> str:
    try:
        return str(orjson.loads(answer.body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
