"""Which models an endpoint's container holds: loaded on demand, the longest unused go first."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson

from local.endpoint.container import Container, ContainerDown, ContainerLost, ContainerTimeout
from local.endpoint.diskcache import DiskCache
from local.endpoint.errors import ModelError, ModelNotReady, ServiceUnavailable
from local.endpoint.metrics import Metrics

INVOCATION_TIMEOUT = 60.0  # seconds that SageMaker gives the container
ATTEMPTS = 2  # of an invocation whose container ends under it
LOADING_TIMEOUT = 360.0  # seconds that SageMaker goes on with a load
TARGET_HEADER = "X-Amzn-SageMaker-Target-Model"
OK, NOT_FOUND, CONFLICT, NO_ROOM = 200, 404, 409, 507


@dataclass(eq=False)
class Entry:
    """A target model that is loaded, or being loaded.

    generation: the container's that has it, 0 for none.  in_use: requests that need it.
    turn: held while it is loaded or unloaded.
    """

    name: str
    target: str
    generation: int = 0
    in_use: int = 0
    loading: asyncio.Task[None] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


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
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._squeeze = asyncio.Lock()
        self._without_room: set[Entry] = set()
        self._changed = asyncio.Event()

    @property
    def loaded(self) -> list[str]:
        """Targets in the container, longest unused first."""
        return [entry.target for entry in self._entries.values() if self._is_loaded(entry)]

    async def invoke(self, target: str, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        """The container's answer (below 400), after loading the model where need be.

        Raises ValidationError, ModelNotReady, ModelError, ServiceUnavailable.
        """
        with self._in_use(target) as entry:
            self._metrics.add("ModelCacheHit", float(self._is_loaded(entry)))
            for _ in range(ATTEMPTS):
                if not self._is_loaded(entry):
                    await self._wait_for_load(entry)
                answer = await self._ask(entry, headers, body)
                if answer is not None:
                    return answer
        raise ModelError(500, f"the container ended {ATTEMPTS} times on model {target}")

    async def _ask(
        self, entry: Entry, headers: Mapping[str, str], body: bytes
    ) -> httpx.Response | None:
        """None where the container ended, or was started again since the model was loaded."""
        path = f"/models/{entry.name}/invoke"
        try:
            answer = await self._container.call(
                "POST",
                path,
                headers={**headers, TARGET_HEADER: entry.target},
                content=body,
                timeout=INVOCATION_TIMEOUT,
            )
        except (ContainerDown, ContainerLost):
            return None
        except ContainerTimeout as error:
            raise ModelError(
                0,
                "Your invocation timed out while waiting for a response from container primary. "
                "Review the latency metrics for each container in Amazon CloudWatch, resolve the "
                "issue, and try again.",
            ) from error
        if answer.status_code == NOT_FOUND and _error(answer).endswith("is not loaded yet."):
            entry.generation = 0
            return None
        if answer.status_code >= 400:
            raise ModelError(answer.status_code, answer.text)
        return answer

    @contextmanager
    def _in_use(self, target: str) -> Iterator[Entry]:
        name = hashlib.sha256(f"s3://{self._bucket}/{self._prefix}{target}".encode()).hexdigest()
        entry = self._entries.setdefault(name, Entry(name, target))
        self._entries.move_to_end(name)
        entry.in_use += 1
        try:
            yield entry
        finally:
            entry.in_use -= 1
            self._forget_if_idle(entry)

    def _is_loaded(self, entry: Entry) -> bool:
        return entry.generation == self._container.generation

    def _forget_if_idle(self, entry: Entry) -> None:
        if not (entry.in_use or entry.loading or self._is_loaded(entry)):
            self._entries.pop(entry.name, None)
        self._changed.set()

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
        self._without_room.discard(entry)
        if not task.cancelled():
            task.exception()  # so that one nobody waits for any more is not reported as lost
        self._forget_if_idle(entry)

    async def _load(self, entry: Entry) -> None:
        key = self._prefix + entry.target
        try:
            async with asyncio.timeout(LOADING_TIMEOUT), entry.turn:
                started = time.perf_counter()
                cold = entry.name not in self._disk
                async with self._disk.hold(entry.name, self._bucket, key) as path:
                    if cold:
                        self._metrics.add_time("ModelDownloadingTime", started)
                    await self._load_from(entry, path)
        except TimeoutError as error:
            raise ModelError(
                0, f"Loading model {entry.target} took longer than {LOADING_TIMEOUT:g} seconds"
            ) from error
        except ContainerDown as error:
            raise ServiceUnavailable(str(error)) from error
        except ContainerLost as error:
            raise ModelError(500, f"while loading {entry.target}: {error}") from error

    async def _load_from(self, entry: Entry, path: Path) -> None:
        started = time.perf_counter()
        generation, answer = await self._post(entry, path)
        if answer.status_code == NO_ROOM:
            self._without_room.add(entry)
            self._changed.set()
            async with self._squeeze:
                generation, answer = await self._post(entry, path)
                while answer.status_code == NO_ROOM and await self._make_room(entry):
                    generation, answer = await self._post(entry, path)
        if answer.status_code not in (OK, CONFLICT):
            raise ModelError(answer.status_code, answer.text)
        entry.generation = generation
        self._metrics.add_time("ModelLoadingTime", started)

    async def _post(self, entry: Entry, path: Path) -> tuple[int, httpx.Response]:
        generation = await self._container.ready()
        answer = await self._container.call(
            "POST",
            "/models",
            headers={TARGET_HEADER: entry.target, "Content-Type": "application/json"},
            content=orjson.dumps({"model_name": entry.name, "url": str(path)}),
            timeout=None,
        )
        return generation, answer

    async def _make_room(self, wanting: Entry) -> bool:
        """Unload the longest unused model, or wait for one in use. False where there is none."""
        others = [entry for entry in self._entries.values() if entry is not wanting]
        loaded = [entry for entry in others if self._is_loaded(entry)]
        for entry in loaded:
            if not entry.in_use:
                await self._unload(entry)
                return True
        if not loaded and all(entry in self._without_room for entry in others if entry.loading):
            return False
        self._changed.clear()
        await self._changed.wait()
        return True

    async def _unload(self, entry: Entry) -> None:
        entry.generation = 0
        async with entry.turn:
            started = time.perf_counter()
            await self._container.call("DELETE", f"/models/{entry.name}", headers={}, timeout=None)
            self._metrics.add_time("ModelUnloadingTime", started)
        self._forget_if_idle(entry)


def _error(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return ""
