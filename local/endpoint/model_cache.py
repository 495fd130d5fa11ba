"""Invoke target models: download and load them on demand, unload the least recently used.

An invocation waits for its model to be loaded; however many wait, it is loaded once. When the
container answers 507, models without an invocation are unloaded and the load is tried again. When
the container ends, its models are loaded again in the next one as they are invoked.
"""

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
from local.endpoint.disk_cache import DiskCache
from local.endpoint.errors import ModelError, ModelNotReady, ServiceUnavailable
from local.endpoint.metrics import Metrics
from local.endpoint.target_models import TargetModel, TargetModels

INVOCATION_TIMEOUT = 60.0  # seconds that SageMaker gives the container
INVOCATION_ATTEMPTS = 4  # of one whose container ended, or no longer had the model
LOAD_ATTEMPTS = 3  # the container refuses a model that ended it twice, and says why
LOADING_TIMEOUT = 360.0  # seconds that SageMaker goes on with a load
TARGET_HEADER = "X-Amzn-SageMaker-Target-Model"
OK, NOT_FOUND, CONFLICT, NO_ROOM = 200, 404, 409, 507
REJECTED = (404, 500)  # the container's answers to an artifact that it cannot load
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


class ModelCache:
    """The models of one endpoint. For use on one event loop."""

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
        """cold_wait: seconds that an invocation waits for its model before ModelNotReady."""
        self._container = container
        self._disk = disk
        self._metrics = metrics
        self._bucket = bucket
        self._prefix = prefix
        self._cold_wait = cold_wait
        self._models = TargetModels(lambda: container.generation)
        self._making_room = asyncio.Lock()

    @property
    def loaded(self) -> list[str]:
        """Loaded targets, least recently used first."""
        return self._models.loaded()

    async def invoke(self, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The container's answer (status below 400), after loading the model if necessary.

        Raises ValidationError, ModelNotReady, ModelError, ServiceUnavailable.
        """
        name = hashlib.sha256(f"s3://{self._bucket}/{self._prefix}{target}".encode()).hexdigest()
        with self._models.use(name, target) as model:
            self._metrics.add("ModelCacheHit", float(self._models.is_loaded(model)))
            for _ in range(INVOCATION_ATTEMPTS):
                if not self._models.is_loaded(model):
                    await self._wait_for_load(model)
                answer = await self._invoke_once(model, headers, body)
                if answer is not None:
                    return answer
        raise ServiceUnavailable(
            f"The container ended {INVOCATION_ATTEMPTS} times while model {target} was invoked."
        )

    async def _invoke_once(
        self, model: TargetModel, headers: Mapping[str, str], body: bytes
    ) -> Answer | None:
        """None if the container ended, or a new one has not loaded the model."""
        try:
            answer = await self._container.call(
                "POST",
                f"/models/{model.name}/invoke",
                headers={**headers, TARGET_HEADER: model.target},
                content=body,
                timeout=INVOCATION_TIMEOUT,
            )
        except (ContainerDown, ContainerLost):
            return None
        except ContainerTimeout as error:
            raise ModelError(0, TIMED_OUT) from error
        if answer.status == NOT_FOUND and _error(answer).endswith("is not loaded yet."):
            model.generation = 0
            return None
        if answer.status >= 400:
            raise ModelError(answer.status, answer.text)
        return answer

    async def _wait_for_load(self, model: TargetModel) -> None:
        """Start a load unless one runs, and wait for it. Raises ModelNotReady after cold_wait."""
        started = time.perf_counter()
        if model.loading is None:
            model.loading = asyncio.create_task(self._load(model))
            model.loading.add_done_callback(lambda task: self._end_load(model, task))
        task = model.loading
        done, _ = await asyncio.wait({task}, timeout=self._cold_wait)
        self._metrics.add_time("ModelLoadingWaitTime", started)
        if not done:
            raise ModelNotReady(
                f"Model {model.target} is being downloaded or loaded. Wait and try again."
            )
        task.result()

    def _end_load(self, model: TargetModel, task: asyncio.Task[None]) -> None:
        model.loading = None
        model.waits_for_room = False
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would log one that nobody waits for
        self._models.remove_if_idle(model)

    async def _load(self, model: TargetModel) -> None:
        """Raises ValidationError, ModelError, ServiceUnavailable."""
        try:
            async with asyncio.timeout(LOADING_TIMEOUT), model.lock:
                await self._load_with_retries(model)
        except TimeoutError as error:
            raise ModelError(
                0, f"Loading model {model.target} took longer than {LOADING_TIMEOUT:g} seconds."
            ) from error
        except (ContainerDown, ContainerLost) as error:
            raise ServiceUnavailable(
                f"Model {model.target} could not be loaded: {error}. Try again."
            ) from error

    async def _load_with_retries(self, model: TargetModel) -> None:
        """Load again if the container ended, or rejected files of an earlier run's download."""
        for _ in range(LOAD_ATTEMPTS - 1):
            try:
                await self._load_once(model)
            except (ContainerDown, ContainerLost):
                await self._disk.remove_if_old(model.name)
            except ModelError as error:
                rejected = error.original_status in REJECTED
                if not rejected or not await self._disk.remove_if_old(model.name):
                    raise
            else:
                return
        await self._load_once(model)

    async def _load_once(self, model: TargetModel) -> None:
        started = time.perf_counter()
        key = self._prefix + model.target
        async with self._disk.use(model.name, self._bucket, key) as artifact:
            if artifact.downloaded:
                self._metrics.add_time("ModelDownloadingTime", started)
            await self._load_from(model, artifact.path)

    async def _load_from(self, model: TargetModel, path: Path) -> None:
        started = time.perf_counter()
        generation, answer = await self._post_load(model, path)
        if answer.status == NO_ROOM:
            generation, answer = await self._unload_and_load(model, path)
        if answer.status not in (OK, CONFLICT):
            raise ModelError(answer.status, answer.text)
        self._models.set_loaded(model, generation)
        self._metrics.add_time("ModelLoadingTime", started)

    async def _unload_and_load(self, model: TargetModel, path: Path) -> tuple[int, Answer]:
        """Make room one load at a time, or another load would take the room just made."""
        model.waits_for_room = True
        self._models.changed.set()
        queued = self._making_room.locked()
        async with self._making_room:
            made_room = queued or await self._make_room(model)
            while True:
                generation, answer = await self._post_load(model, path)
                if answer.status != NO_ROOM or not made_room:
                    return generation, answer
                made_room = await self._make_room(model)

    async def _post_load(self, model: TargetModel, path: Path) -> tuple[int, Answer]:
        """The generation of the container that was asked to load, and its answer."""
        generation = await self._container.ready()
        answer = await self._container.call(
            "POST",
            "/models",
            headers={TARGET_HEADER: model.target, "Content-Type": "application/json"},
            content=orjson.dumps({"model_name": model.name, "url": str(path)}),
            timeout=None,
        )
        return generation, answer

    async def _make_room(self, model: TargetModel) -> bool:
        """Unload unused models, or wait until one is unused. False if no other can be unloaded."""
        if unused := self._models.least_recently_used():
            for other in unused:
                other.generation = 0
            await asyncio.gather(*map(self._unload, unused))
            return True
        if not self._models.others_may_make_room(model):
            return False
        self._models.changed.clear()
        await self._models.changed.wait()
        return True

    async def _unload(self, model: TargetModel) -> None:
        async with model.lock:
            started = time.perf_counter()
            await self._container.call("DELETE", f"/models/{model.name}", headers={}, timeout=None)
            self._metrics.add_time("ModelUnloadingTime", started)
        self._models.remove_if_idle(model)


def _error(answer: Answer) -> str:
    try:
        return str(orjson.loads(answer.body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
