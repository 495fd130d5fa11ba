"""Load models: reserve memory, open each version on its runtime, and hand the model over.

A model is loaded once, however many ask. A load that takes too long is answered with a timeout,
goes on in its thread, and is thrown away when it ends. One that passes the time limit is given up.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from serving.artifact import Version, versions, without_lite
from serving.batching import Batching, BatchQueue
from serving.errors import AlreadyLoaded, LoadFailed, LoadTimedOut, NoRoom, ServingError
from serving.guard.steady import is_steady
from serving.memory import MemoryBudget, Reservation
from serving.metrics import Metrics
from serving.runtimes import saved_model
from serving.runtimes.runtime import Runtime
from serving.workers import Workers

log = logging.getLogger(__name__)

LOADS_AT_ONCE = 32
FULL = 0.7  # of the budget; above it, a load that times out is answered as out of memory

QUICKLY_UNMAPPED = 20_000_000
"""Bytes of the files of a LiteRT model that is closed on the event loop: 0.1 ms for 6 MB."""

T = TypeVar("T")


@dataclass(frozen=True)
class Loader:
    """Loads versions of models.

    estimate: private bytes that a version will take in memory while it is loaded.  settled: those
    that it takes from then on.
    load: a version on its runtime, given the target model for messages, and whether its memory is
    known. Blocks; raises LoadFailed, ModelRefused.
    """

    estimate: Callable[[Version], int]
    settled: Callable[[Version, Runtime], int]
    load: Callable[[Version, str, bool], Runtime]


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

    @property
    def mapped(self) -> int:
        """Bytes of the files that its runtimes map."""
        return sum(runtime.mapped for runtime in self.runtimes.values())


@dataclass(frozen=True)
class Load:
    """A model that is loading: its target model, and what loads it."""

    target: str
    task: asyncio.Task[Model | None]


class Loads:
    """The models that are loading, and then go into a table. For use on one event loop."""

    def __init__(
        self,
        table: dict[str, Model],
        loader: Loader,
        budget: MemoryBudget,
        metrics: Metrics,
        workers: Workers,
        *,
        timeout: float,
        batching: Batching,
    ) -> None:
        self._table = table
        self._loader = loader
        self._budget = budget
        self._metrics = metrics
        self._workers = workers
        self._timeout = timeout
        self._batching = batching
        self._loads: dict[str, Load] = {}
        self._stopped: dict[str, ServingError] = {}
        self._timed_out: set[str] = set()
        self._importing_tensorflow = asyncio.Lock()
        self._pool = ThreadPoolExecutor(LOADS_AT_ONCE, "load")

    def __len__(self) -> int:
        return len(self._loads)

    async def load(self, name: str, path: Path, target: str) -> Model:
        """Load the artifact unpacked at `path`, of that target model.

        Raises AlreadyLoaded, NoBasePath, NoRoom, LoadFailed, ModelRefused, LoadTimedOut, Overran.
        After an error, nothing of the model is kept.
        """
        deadline = time.monotonic() + self._timeout
        while name in self._loads:
            await self._wait_for_load(name, deadline)
        if name in self._table:
            raise AlreadyLoaded(f"Model {name} is already loaded.")
        task = asyncio.create_task(self._load(name, path, target))
        self._loads[name] = Load(target, task)
        try:
            await self._wait_for_load(name, deadline)
        except (LoadTimedOut, NoRoom):
            self._timed_out.add(name)
            raise
        model = task.result()
        assert model is not None, "only a load that timed out has no model"
        return model

    def stop(self, target: str, error: ServingError) -> None:
        """Answer those who wait for a load of that target model with an error."""
        for name, load in [*self._loads.items()]:
            if load.target == target:
                self._stopped[name] = error
                load.task.cancel()

    def close(self) -> None:
        """Start no load any more."""
        self._pool.shutdown(wait=False)

    async def in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Call it in one of the threads that load."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    async def _wait_for_load(self, name: str, deadline: float) -> None:
        """Wait until a load succeeds or fails. Raises LoadTimedOut, or NoRoom, as AWS's image."""
        task = self._loads[name].task
        done, _ = await asyncio.wait({task}, timeout=max(0, deadline - time.monotonic()))
        if done:
            return
        if self._budget.used > FULL * self._budget.budget:
            raise NoRoom(
                f"Memory exhausted: loading model {name} timed out, with little memory left. "
                "Unload other models, or use an instance with more memory."
            )
        raise LoadTimedOut(
            f"Loading model {name} timed out after {self._timeout:g} seconds. "
            "Try again, or raise SAGEMAKER_TFS_WAIT_TIME_SECONDS."
        )

    async def _load(self, name: str, path: Path, target: str) -> Model | None:
        started = time.monotonic()
        try:
            model = await self._load_or_fall_back(name, path, target)
        except asyncio.CancelledError:
            self._metrics.load_failed(target)
            if name in self._timed_out:
                return None
            if name in self._stopped:
                raise self._stopped[name] from None
            raise
        except ServingError as error:
            log.warning("cannot load model %s (%s): %s", name, target, error)
            self._metrics.load_failed(target)
            if name in self._timed_out:
                return None
            raise
        finally:
            del self._loads[name]
            self._timed_out.discard(name)
            self._stopped.pop(name, None)
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
                runtime = await self.in_thread(
                    self._loader.load, version, target, reservation.measured
                )
                resources.push_async_callback(self._close_runtime, runtime)
                runtimes[version.number] = runtime
            settled = (self._loader.settled(each, runtimes[each.number]) for each in artifact)
            lite = all(version.lite for version in artifact)
            self._budget.end_load(reservation, sum(settled), remember=lite)
            if name in self._timed_out:
                return None
            queues = {
                version.number: BatchQueue(
                    runtimes[version.number],
                    self._workers,
                    self._batching,
                    is_steady=partial(is_steady, version.source),
                    formed=self._metrics.batched,
                )
                for version in artifact
            }
            for queue in queues.values():
                resources.push_async_callback(queue.drain)
            model = Model(name, target, runtimes, queues, reservation, resources.pop_all())
            self._table[name] = model
            self._metrics.loaded(target, reservation.size, model.mapped)
            return model

    async def _close_runtime(self, runtime: Runtime) -> None:
        """Small files are unmapped here, in less time than the way to a thread and back takes."""
        if 0 < runtime.mapped <= QUICKLY_UNMAPPED:
            runtime.close()
        else:
            await self.in_thread(runtime.close)

    async def _import_tensorflow(self, target: str) -> None:
        """Import TensorFlow once. Its memory stays reserved when the model is unloaded."""
        async with self._importing_tensorflow:
            if saved_model.imported():
                return
            owner = f"{target} (TensorFlow itself)"
            reservation = self._budget.reserve(owner, saved_model.TENSORFLOW_MEMORY)
            try:
                await self.in_thread(saved_model.import_tensorflow)
            except ServingError:
                self._budget.release(reservation)
                raise
            self._budget.keep(reservation)
