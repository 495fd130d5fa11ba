"""The table of loaded models: load, predict, unload.

Loading puts a model into the table (`serving/loads.py`). A request finds its model there and is
computed by the batch queue of the version. An unload takes the model out of the table first, then
waits until its requests are answered, then frees its memory.
"""

import asyncio
import logging
import time
from pathlib import Path

from serving.batching import Batching
from serving.errors import (
    BadInput,
    InferenceFailed,
    NoSuchVersion,
    NotLoaded,
    Overran,
    ServingError,
)
from serving.guard.crash_guard import REFUSED_FOR
from serving.loads import Loader, Loads, Model
from serving.memory import MemoryBudget
from serving.metrics import Metrics
from serving.rest.request import Request
from serving.workers import Workers

log = logging.getLogger(__name__)

TRIM_EVERY = 256  # unloads, after which freed memory is returned to the system


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
        self._budget = budget
        self._metrics = metrics
        self._models: dict[str, Model] = {}
        self._stopped: dict[str, tuple[float, str]] = {}  # until when, and the error's text
        self._releases: set[asyncio.Task[None]] = set()
        self._unloads = 0
        self._workers = Workers(workers)
        self._loads = Loads(
            self._models,
            loader,
            budget,
            metrics,
            self._workers,
            timeout=load_timeout,
            batching=batching,
        )

    def loaded(self) -> list[Model]:
        """The models that answer requests."""
        return list(self._models.values())

    def model(self, name: str) -> Model:
        """A loaded model. Raises NotLoaded, or Overran for one that was lately stopped."""
        if name in self._models:
            return self._models[name]
        self._forget_stopped()
        if name in self._stopped:
            raise Overran(self._stopped[name][1])
        raise NotLoaded(f"Model {name} is not loaded yet.")

    @property
    def blocked(self) -> bool:
        """Whether requests wait, and no computation has ended for seconds."""
        return self._workers.blocked

    @property
    def in_flight(self) -> int:
        """Loads, and requests of loaded models, that are not answered yet."""
        return len(self._loads) + sum(model.in_use for model in self._models.values())

    def stop(self, target: str, error: ServingError) -> None:
        """Answer what waits for a model with an error, and unload it when its threads allow."""
        for model in [each for each in self._models.values() if each.target == target]:
            del self._models[model.name]
            self._stopped[model.name] = (time.monotonic() + REFUSED_FOR, str(error))
            for queue in model.queues.values():
                queue.fail(error)
            task = asyncio.create_task(self._release(model))
            self._releases.add(task)
            task.add_done_callback(self._releases.discard)
        self._loads.stop(target, error)

    def _forget_stopped(self) -> None:
        now = time.monotonic()
        for name in [name for name, (until, _) in self._stopped.items() if until <= now]:
            del self._stopped[name]

    async def load(self, name: str, path: Path, target: str) -> Model:
        """Load the artifact unpacked at `path`; see `Loads.load`."""
        self._stopped.pop(name, None)
        return await self._loads.load(name, path, target)

    async def unload(self, name: str) -> None:
        """Unload a model after its requests are answered. Raises NotLoaded."""
        model = self._models.pop(name, None)
        if model is None:
            raise NotLoaded(f"Model {name} is not loaded yet")
        await self._release(model)

    async def _release(self, model: Model) -> None:
        if model.in_use:
            await model.unused.wait()
        await model.resources.aclose()
        self._metrics.unloaded(model.target)
        self._unloads += 1
        if self._unloads % TRIM_EVERY == 0:
            await self._loads.in_thread(self._budget.trim)
        log.info("unloaded model %s (%s)", model.name, model.target)

    async def predict(
        self, name: str, version: int | None, request: Request, request_id: str = "-"
    ) -> bytes:
        """The body of the answer to a request.

        version: None for the newest.  request_id: the caller's, for the log. Raises NotLoaded,
        NoSuchVersion, BadInput, InferenceFailed, Overran.
        """
        model = self.model(name)
        number = max(model.queues) if version is None else version
        began, failed = time.perf_counter(), False
        model.in_use += 1
        model.unused.clear()
        try:
            if number not in model.queues:
                raise NoSuchVersion(f"Servable not found for request: Specific({name}, {number})")
            return await model.queues[number].predict(request)
        except Exception as error:
            failed = True
            if isinstance(error, BadInput | InferenceFailed):
                log.warning(
                    "model %s (%s) failed on request %s: %s",
                    *(name, model.target, request_id, error),
                )
            raise
        finally:
            model.in_use -= 1
            if not model.in_use:
                model.unused.set()
            self._metrics.answered(model.target, time.perf_counter() - began, failed=failed)

    async def close(self) -> None:
        """Unload all models."""
        for name in list(self._models):
            await self.unload(name)
        self._workers.close()
        self._loads.close()
