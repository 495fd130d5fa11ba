"""The models in memory: within a budget of memory and one of files, in which the least recently
used ones make room.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from serving.errors import LoadFailed, NoRoom
from serving.guard.crash_guard import LOADING, CrashGuard
from serving.guard.time_limits import TimeLimits
from serving.litert.weights import WeightCache
from serving.memory import MemoryBudget, Reservation
from serving.runtimes import litert
from serving.runtimes.bounded import BoundedRuntime

log = logging.getLogger(__name__)

TRIM_EVERY = 64
"""Unloads after which freed memory is returned to the system."""

Load = Callable[[Path, str], BoundedRuntime]
"""Loads the model in a file; its name is for messages. Raises LoadFailed, ModelRefused."""


@dataclass(frozen=True)
class Loaded:
    """A model in memory."""

    runtime: BoundedRuntime
    reservation: Reservation
    file: int
    """Bytes of its file, which stay in use on disk when the file is removed."""


class LoadedModels:
    """Models by their files. Not for use by two threads."""

    def __init__(self, budget: MemoryBudget, load: Load, files: int) -> None:
        """files: bytes that the loaded models' files may have together."""
        self._budget = budget
        self._load = load
        self._files = files
        self._models: OrderedDict[Path, Loaded] = OrderedDict()
        self._unloads = 0

    def get(self, path: Path, model: str) -> BoundedRuntime:
        """The model in a file, which is loaded unless it is. Raises NoRoom, LoadFailed,
        ModelRefused.
        """
        if path not in self._models:
            self._models[path] = self._loaded(path, model)
        self._models.move_to_end(path)
        return self._models[path].runtime

    def _loaded(self, path: Path, model: str) -> Loaded:
        size, began = path.stat().st_size, time.perf_counter()
        while (
            self._models and size + sum(each.file for each in self._models.values()) > self._files
        ):
            self._unload_oldest()
        while True:
            try:
                reservation = self._budget.reserve(model, litert.estimate(size))
                loaded = self._open(path, model, size, reservation)
            except NoRoom as error:
                self._make_room(model, error)
            else:
                log.info(
                    "loaded model %s: %.1f MB in %.0f ms; %d models are loaded",
                    *(model, reservation.size / 1e6, (time.perf_counter() - began) * 1e3),
                    len(self._models) + 1,
                )
                return loaded

    def _open(self, path: Path, model: str, size: int, reservation: Reservation) -> Loaded:
        """Raises NoRoom if it turned out larger than the budget, and the errors of `get`."""
        try:
            runtime = self._load(path, model)
        except LoadFailed as error:
            self._budget.release(reservation)
            raise LoadFailed(f"Model {model} cannot be loaded: {error}") from error
        except BaseException:
            self._budget.release(reservation)
            raise
        on_disk = runtime.mapped > size
        try:
            self._budget.end_load(reservation, litert.estimate(size, packed_on_disk=on_disk))
        except NoRoom:
            runtime.close()
            raise
        return Loaded(runtime, reservation, size)

    def _make_room(self, model: str, error: NoRoom) -> None:
        """Unload the model that was not used for longest. Raises NoRoom if there is none."""
        if not self._models:
            raise NoRoom(
                f"Model {model} does not fit: the function has "
                f"{self._budget.budget / 1e6:.0f} MB for models. Raise InferMemory, or run it on "
                f"the endpoint. {error}"
            ) from error
        self._unload_oldest()

    def _unload_oldest(self) -> None:
        _, oldest = self._models.popitem(last=False)
        oldest.runtime.close()
        self._budget.release(oldest.reservation)
        self._unloads += 1
        if self._unloads % TRIM_EVERY == 0:
            self._budget.trim()


def loader(
    guard: CrashGuard, limits: TimeLimits, threads: int, weights: WeightCache | None
) -> Load:
    """Load with LiteRT, unless the guard refuses the model."""

    def load(path: Path, model: str) -> BoundedRuntime:
        with guard.loading(path, model), limits.running(LOADING, model, path):
            runtime = litert.LiteRT(path, threads, weights)
        return BoundedRuntime(runtime, guard, limits, model, path)

    return load
