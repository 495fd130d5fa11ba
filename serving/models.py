"""The table of loaded models: each loaded once, none unloaded under a request."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from serving.artifact import Version, versions, without_lite
from serving.batching import Batching, BatchQueue
from serving.errors import (
    AlreadyLoaded,
    BadInput,
    InferenceFailed,
    LoadFailed,
    LoadTimedOut,
    NoRoom,
    NoSuchVersion,
    NotLoaded,
    ServingError,
)
from serving.memory import MemoryBudget, Reservation
from serving.metrics import Metrics
from serving.runtimes import saved_model
from serving.runtimes.runtime import Runtime

log = logging.getLogger(__name__)

LOADS_AT_ONCE = 32
TRIM_EVERY = 256  # unloads; else what they left in pieces adds up
MEMORY_SHARE_OF_A_TIMEOUT = 0.7  # above it a load that times out counts as out of memory

T = TypeVar("T")


@dataclass(frozen=True)
class Loader:
    """How a version becomes a runtime.

    estimate: its bytes in memory, before it is loaded.
    load: called with the target model's name. Blocks; raises LoadFailed, ModelRefused.
    """

    estimate: Callable[[Version], int]
    load: Callable[[Version, str], Runtime]


@dataclass(eq=False)
class Model:
    """A loaded model: its versions' runtimes, what it holds, and how many requests use it."""

    name: str
    target: str
    runtimes: Mapping[int, Runtime]
    charge: Reservation
    resources: AsyncExitStack
    lanes: Mapping[int, BatchQueue]
    in_use: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)


class Models:
    """All models of one container. To be used on one event loop; `close` ends it."""

    def __init__(
        self,
        loader: Loader,
        ledger: MemoryBudget,
        metrics: Metrics,
        *,
        workers: int,
        load_timeout: float,
        batching: Batching,
    ) -> None:
        self._loader = loader
        self._ledger = ledger
        self._metrics = metrics
        self._load_timeout = load_timeout
        self._batching = batching
        self._models: dict[str, Model] = {}
        self._loads: dict[str, asyncio.Task[Model | None]] = {}
        self._abandoned: set[str] = set()
        self._unloads = 0
        self._tensorflow = asyncio.Lock()
        self._loading = ThreadPoolExecutor(LOADS_AT_ONCE, "load")
        self._computing = ThreadPoolExecutor(workers, "infer")

    def loaded(self) -> list[Model]:
        """The models that take requests."""
        return list(self._models.values())

    def model(self, name: str) -> Model:
        """Raises NotLoaded."""
        if name not in self._models:
            raise NotLoaded(f"Model {name} is not loaded yet.")
        return self._models[name]

    async def load(self, name: str, path: Path, target: str) -> Model:
        """Load the artifact unpacked at `path`; `target` is what people call it.

        Raises AlreadyLoaded, NoBasePath, NoRoom, LoadFailed, ModelRefused, LoadTimedOut. After an
        error nothing of the model stays.
        """
        deadline = time.monotonic() + self._load_timeout
        while name in self._loads:
            await self._until(deadline, name)
        if name in self._models:
            raise AlreadyLoaded(f"Model {name} is already loaded.")
        task = self._loads[name] = asyncio.create_task(self._load(name, path, target))
        try:
            await self._until(deadline, name)
        except (LoadTimedOut, NoRoom):
            self._abandoned.add(name)
            raise
        model = task.result()
        assert model is not None, "only an abandoned load has no model"
        return model

    async def _until(self, deadline: float, name: str) -> None:
        """Wait for a load to end, well or not. Raises LoadTimedOut, or NoRoom, as AWS's does."""
        task = self._loads[name]
        done, _ = await asyncio.wait({task}, timeout=max(0, deadline - time.monotonic()))
        if done:
            return
        if self._ledger.used > MEMORY_SHARE_OF_A_TIMEOUT * self._ledger.budget:
            raise NoRoom(f"Memory exhausted: loading model {name} ran out of time")
        raise LoadTimedOut(f"Model {name}: timed out after {self._load_timeout:g} seconds")

    async def _load(self, name: str, path: Path, target: str) -> Model | None:
        started = time.monotonic()
        try:
            model = await self._open(name, path, target)
        except ServingError as error:
            log.warning("cannot load model %s (%s): %s", name, target, error)
            self._metrics.not_loaded(target)
            if name in self._abandoned:
                return None
            raise
        finally:
            del self._loads[name]
            self._abandoned.discard(name)
        if model is not None:
            kinds = ", ".join(f"version {n} on {each.kind}" for n, each in model.runtimes.items())
            log.info(
                "loaded model %s (%s): %s, %.1f MB in %.0f ms",
                *(name, target, kinds, model.charge.size / 1e6),
                (time.monotonic() - started) * 1e3,
            )
        return model

    async def _open(self, name: str, path: Path, target: str) -> Model | None:
        """The model, in the table; None where nobody waits for it any more.

        Where LiteRT cannot load it, its SavedModel serves.
        """
        found = versions(path, name)
        try:
            return await self._open_versions(name, found, target)
        except LoadFailed as error:
            if (instead := without_lite(found)) == found:
                raise
            log.warning("model %s (%s) is tried on TensorFlow: %s", name, target, error)
            try:
                return await self._open_versions(name, instead, target)
            except LoadFailed as second:
                raise LoadFailed(f"{error}; on TensorFlow: {second}") from second

    async def _open_versions(
        self, name: str, found: Sequence[Version], target: str
    ) -> Model | None:
        if not all(version.lite for version in found):
            await self._prepare_tensorflow(name)
        async with AsyncExitStack() as resources:
            charge = self._ledger.open(name, sum(map(self._loader.estimate, found)))
            resources.callback(self._ledger.release, charge)
            runtimes: dict[int, Runtime] = {}
            for version in found:
                runtime = await self._in(self._loading, self._loader.load, version, target)
                resources.push_async_callback(self._in, self._loading, runtime.close)
                runtimes[version.number] = runtime
            self._ledger.settle(charge)
            if name in self._abandoned:
                return None
            lanes = {
                n: BatchQueue(each, self._computing, self._batching) for n, each in runtimes.items()
            }
            for lane in lanes.values():
                resources.push_async_callback(lane.drain)
            model = Model(name, target, runtimes, charge, resources.pop_all(), lanes)
            self._models[name] = model
            self._metrics.loaded(target, charge.size)
            return model

    async def _prepare_tensorflow(self, name: str) -> None:
        """Import TensorFlow once; what it takes outlives the model that needed it first."""
        async with self._tensorflow:
            if saved_model.imported():
                return
            charge = self._ledger.open(f"{name} (TensorFlow itself)", saved_model.TENSORFLOW_MEMORY)
            try:
                await self._in(self._loading, saved_model.import_tensorflow)
            except ServingError:
                self._ledger.release(charge)
                raise
            self._ledger.keep(charge)

    async def unload(self, name: str) -> None:
        """Raises NotLoaded. Requests that the model has are answered first."""
        model = self._models.pop(name, None)
        if model is None:
            raise NotLoaded(f"Model {name} is not loaded yet")
        if model.in_use:
            await model.unused.wait()
        await model.resources.aclose()
        self._metrics.unloaded(model.target)
        self._unloads += 1
        if self._unloads % TRIM_EVERY == 0:
            await self._in(self._loading, self._ledger.trim)
        log.info("unloaded model %s (%s)", name, model.target)

    async def predict(
        self, name: str, version: int | None, body: bytes, request_id: str = "-"
    ) -> bytes:
        """The answer to one request; the newest version's where none is named.

        `request_id` is the caller's, for the log. Raises NotLoaded, NoSuchVersion, BadInput,
        InferenceFailed.
        """
        with self._lease(name) as model, self._metrics.request(model.target):
            number = max(model.runtimes) if version is None else version
            if number not in model.runtimes:
                raise NoSuchVersion(f"Servable not found for request: Specific({name}, {number})")
            try:
                return await model.lanes[number].answer(body)
            except (BadInput, InferenceFailed) as error:
                failed = "model %s (%s) failed on request %s: %s"
                log.warning(failed, name, model.target, request_id, error)
                raise

    @contextmanager
    def _lease(self, name: str) -> Iterator[Model]:
        model = self.model(name)
        model.in_use += 1
        model.unused.clear()
        try:
            yield model
        finally:
            model.in_use -= 1
            if not model.in_use:
                model.unused.set()

    async def close(self) -> None:
        """Unload everything."""
        for name in list(self._models):
            await self.unload(name)
        self._computing.shutdown()
        self._loading.shutdown(wait=False)

    @staticmethod
    async def _in(pool: ThreadPoolExecutor, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)
