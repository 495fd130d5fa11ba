"""The table of loaded models: load, predict, unload.

A model is loaded once, however many ask: the others get AlreadyLoaded. Loading reserves memory,
opens each version on its runtime, and puts the model into the table. A load that takes too long is
answered with a timeout, goes on in its thread, and is thrown away when it ends. A request finds its
model in the table and is computed by the batch queue of the version. An unload takes the model out
of the table first, then waits until its requests are answered, then frees its memory.
"""

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
from serving.rest.request import Request
from serving.runtimes import saved_model
from serving.runtimes.runtime import Runtime

log = logging.getLogger(__name__)

LOADS_AT_ONCE = 32
TRIM_EVERY = 256  # unloads, after which freed memory is returned to the system
FULL = 0.7  # of the budget; above it, a load that times out is answered as out of memory

T = TypeVar("T")


@dataclass(frozen=True)
class Loader:
    """Loads versions of models.

    estimate: bytes that a version will take in memory.
    load: a version on its runtime, given the target model for messages. Blocks; raises LoadFailed,
    ModelRefused.
    """

    estimate: Callable[[Version], int]
    load: Callable[[Version, str], Runtime]


@dataclass(eq=False)
class Model:
    """A loaded model.

    name: in the container's routes.  target: the target model, in logs and metrics.
    runtimes, queues: by version number.  resources: closed when the model is unloaded.
    in_use: requests that are not answered yet.  unused: set when there are none.
    """

    name: str
    target: str
    runtimes: Mapping[int, Runtime]
    queues: Mapping[int, BatchQueue]
    reservation: Reservation
    resources: AsyncExitStack
    in_use: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)


class Models:
    """All models of one container. For use on one event loop; `close` ends it."""

    def __init__(
        self,
        loader: Loader,
        budget: MemoryBudget,
        metrics: Metrics,
        *,
        workers: int,
        load_timeout: float,
        batching: Batching,
    ) -> None:
        self._loader = loader
        self._budget = budget
        self._metrics = metrics
        self._load_timeout = load_timeout
        self._batching = batching
        self._models: dict[str, Model] = {}
        self._loads: dict[str, asyncio.Task[Model | None]] = {}
        self._timed_out: set[str] = set()
        self._unloads = 0
        self._importing_tensorflow = asyncio.Lock()
        self._load_pool = ThreadPoolExecutor(LOADS_AT_ONCE, "load")
        self._compute_pool = ThreadPoolExecutor(workers, "infer")

    def loaded(self) -> list[Model]:
        """The models that answer requests."""
        return list(self._models.values())

    def model(self, name: str) -> Model:
        """A loaded model. Raises NotLoaded."""
        if name not in self._models:
            raise NotLoaded(f"Model {name} is not loaded yet.")
        return self._models[name]

    async def load(self, name: str, path: Path, target: str) -> Model:
        """Load the artifact unpacked at `path`, of that target model.

        Raises AlreadyLoaded, NoBasePath, NoRoom, LoadFailed, ModelRefused, LoadTimedOut. After an
        error, nothing of the model is kept.
        """
        deadline = time.monotonic() + self._load_timeout
        while name in self._loads:
            await self._wait_for_load(name, deadline)
        if name in self._models:
            raise AlreadyLoaded(f"Model {name} is already loaded.")
        task = self._loads[name] = asyncio.create_task(self._load(name, path, target))
        try:
            await self._wait_for_load(name, deadline)
        except (LoadTimedOut, NoRoom):
            self._timed_out.add(name)
            raise
        model = task.result()
        assert model is not None, "only a load that timed out has no model"
        return model

    async def _wait_for_load(self, name: str, deadline: float) -> None:
        """Wait until a load succeeds or fails. Raises LoadTimedOut, or NoRoom, as AWS's image."""
        task = self._loads[name]
        done, _ = await asyncio.wait({task}, timeout=max(0, deadline - time.monotonic()))
        if done:
            return
        if self._budget.used > FULL * self._budget.budget:
            raise NoRoom(
                f"Memory exhausted: loading model {name} timed out, with little memory left. "
                "Unload other models, or use an instance with more memory."
            )
        raise LoadTimedOut(
            f"Loading model {name} timed out after {self._load_timeout:g} seconds. "
            "Try again, or raise SAGEMAKER_TFS_WAIT_TIME_SECONDS."
        )

    async def _load(self, name: str, path: Path, target: str) -> Model | None:
        started = time.monotonic()
        try:
            model = await self._load_or_fall_back(name, path, target)
        except ServingError as error:
            log.warning("cannot load model %s (%s): %s", name, target, error)
            self._metrics.load_failed(target)
            if name in self._timed_out:
                return None
            raise
        finally:
            del self._loads[name]
            self._timed_out.discard(name)
        if model is not None:
            versions_text = ", ".join(
                f"version {number} on {runtime.kind}" for number, runtime in model.runtimes.items()
            )
            log.info(
                "loaded model %s (%s): %s, %.1f MB in %.0f ms",
                *(name, target, versions_text, model.reservation.size / 1e6),
                (time.monotonic() - started) * 1e3,
            )
        return model

    async def _load_or_fall_back(self, name: str, path: Path, target: str) -> Model | None:
        """Load the model, on TensorFlow if LiteRT cannot load it. None if the load timed out."""
        artifact = versions(path, name)
        try:
            return await self._load_versions(name, artifact, target)
        except LoadFailed as error:
            saved_models = without_lite(artifact)
            if saved_models == artifact:
                raise LoadFailed(f"Model {target} cannot be loaded: {error}") from error
            log.warning("loading model %s (%s) on TensorFlow instead: %s", name, target, error)
            try:
                return await self._load_versions(name, saved_models, target)
            except LoadFailed as second:
                raise LoadFailed(
                    f"Model {target} cannot be loaded: {error}; nor can its SavedModel: {second}"
                ) from second

    async def _load_versions(
        self, name: str, artifact: Sequence[Version], target: str
    ) -> Model | None:
        """Load the versions and put the model into the table. None if the load timed out."""
        if not all(version.lite for version in artifact):
            await self._import_tensorflow(target)
        async with AsyncExitStack() as resources:
            estimate = sum(map(self._loader.estimate, artifact))
            reservation = self._budget.reserve(target, estimate)
            resources.callback(self._budget.release, reservation)
            runtimes: dict[int, Runtime] = {}
            for version in artifact:
                runtime = await self._in_load_pool(self._loader.load, version, target)
                resources.push_async_callback(self._in_load_pool, runtime.close)
                runtimes[version.number] = runtime
            self._budget.end_load(reservation)
            if name in self._timed_out:
                return None
            queues = {
                number: BatchQueue(runtime, self._compute_pool, self._batching)
                for number, runtime in runtimes.items()
            }
            for queue in queues.values():
                resources.push_async_callback(queue.drain)
            model = Model(name, target, runtimes, queues, reservation, resources.pop_all())
            self._models[name] = model
            self._metrics.loaded(target, reservation.size)
            return model

    async def _import_tensorflow(self, target: str) -> None:
        """Import TensorFlow once. Its memory stays reserved when the model is unloaded."""
        async with self._importing_tensorflow:
            if saved_model.imported():
                return
            owner = f"{target} (TensorFlow itself)"
            reservation = self._budget.reserve(owner, saved_model.TENSORFLOW_MEMORY)
            try:
                await self._in_load_pool(saved_model.import_tensorflow)
            except ServingError:
                self._budget.release(reservation)
                raise
            self._budget.keep(reservation)

    async def unload(self, name: str) -> None:
        """Unload a model after its requests are answered. Raises NotLoaded."""
        model = self._models.pop(name, None)
        if model is None:
            raise NotLoaded(f"Model {name} is not loaded yet")
        if model.in_use:
            await model.unused.wait()
        await model.resources.aclose()
        self._metrics.unloaded(model.target)
        self._unloads += 1
        if self._unloads % TRIM_EVERY == 0:
            await self._in_load_pool(self._budget.trim)
        log.info("unloaded model %s (%s)", name, model.target)

    async def predict(
        self, name: str, version: int | None, request: Request, request_id: str = "-"
    ) -> bytes:
        """The body of the answer to a request.

        version: None for the newest.  request_id: the caller's, for the log. Raises NotLoaded,
        NoSuchVersion, BadInput, InferenceFailed.
        """
        with self._use(name) as model, self._metrics.request(model.target):
            number = max(model.runtimes) if version is None else version
            if number not in model.runtimes:
                raise NoSuchVersion(f"Servable not found for request: Specific({name}, {number})")
            try:
                return await model.queues[number].predict(request)
            except (BadInput, InferenceFailed) as error:
                log.warning(
                    "model %s (%s) failed on request %s: %s",
                    *(name, model.target, request_id, error),
                )
                raise

    @contextmanager
    def _use(self, name: str) -> Iterator[Model]:
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
        """Unload all models."""
        for name in list(self._models):
            await self.unload(name)
        self._compute_pool.shutdown()
        self._load_pool.shutdown(wait=False)

    async def _in_load_pool(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._load_pool, work, *arguments)
