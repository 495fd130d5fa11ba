"""Load a version on the lightest runtime that its artifact allows, under the crash guard."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from serving.artifact import Version
from serving.crash_guard import CrashGuard
from serving.models import Loader
from serving.runtimes import litert, saved_model
from serving.runtimes.runtime import Array, Runtime
from serving.settings import Settings


def loader(settings: Settings, guard: CrashGuard) -> Loader:
    """LiteRT if the version has a model for it, otherwise TensorFlow."""

    def load(version: Version, target: str) -> Runtime:
        with guard.loading(version.source, target):
            runtime = _load(version, settings)
        return GuardedRuntime(runtime, guard.computing(version.source))

    return Loader(_estimate, load)


def _load(version: Version, settings: Settings) -> Runtime:
    if version.lite:
        return litert.LiteRT(version.source, settings.litert_threads)
    return saved_model.SavedModel(version.source, settings.workers)


def _estimate(version: Version) -> int:
    if version.lite:
        return litert.estimate(version.size)
    return saved_model.estimate(version.size)


class GuardedRuntime:
    """A runtime that enters `computing` around each computation."""

    def __init__(
        self, runtime: Runtime, computing: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.kind = runtime.kind
        self.parallel = runtime.parallel
        self.signatures = runtime.signatures
        self._runtime = runtime
        self._computing = computing

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The runtime's outputs. Raises BadInput, InferenceFailed."""
        with self._computing():
            return self._runtime.predict(signature, inputs)

    def close(self) -> None:
        """Give the memory back. No call may follow."""
        self._runtime.close()
