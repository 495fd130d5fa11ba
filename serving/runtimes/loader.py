"""Load a version on the lightest runtime that its artifact allows, guarded and limited in time."""

import logging

from serving.artifact import Version
from serving.errors import LoadFailed, Overran
from serving.guard.crash_guard import LOADING, CrashGuard, default_folder
from serving.guard.time_limits import Running, TimeLimits
from serving.litert.weights import FOLDER, WeightCache
from serving.loads import Loader
from serving.runtimes import litert, saved_model
from serving.runtimes.bounded import BoundedRuntime
from serving.runtimes.runtime import Runtime
from serving.settings import Settings

log = logging.getLogger(__name__)


def loader(settings: Settings, guard: CrashGuard, limits: TimeLimits) -> Loader:
    """LiteRT if the version has a model for it, otherwise TensorFlow."""
    weights = _weights(settings)

    def load(version: Version, target: str, measured: bool) -> Runtime:
        source = version.source
        with (
            guard.loading(source, target),
            limits.running(LOADING, target, source) as running,
        ):
            runtime = _load(version, settings, running, weights, measured)
        return BoundedRuntime(runtime, guard, limits, target, source)

    return Loader(_estimate, _settled, load)


def _weights(settings: Settings) -> WeightCache | None:
    """The packed weights on disk, if they are wanted and can be kept."""
    if settings.weight_cache == 0:
        return None
    folder = (settings.state or default_folder()) / FOLDER
    try:
        return WeightCache(folder, settings.weight_cache)
    except OSError as error:
        log.warning(
            "LiteRT models take private memory for their weights, because packed weights are not "
            "kept on disk: %s. Set FACET_SERVING_STATE to a folder that can be written",
            error,
        )
        return None


def _load(
    version: Version,
    settings: Settings,
    running: Running,
    weights: WeightCache | None,
    measured: bool,
) -> Runtime:
    """Raises LoadFailed, Overran."""
    try:
        runtime: Runtime = (
            litert.LiteRT(version.source, settings.litert_threads, weights, measured=measured)
            if version.lite
            else saved_model.SavedModel(version.source, settings.workers, running.cancel_with)
        )
    except LoadFailed as error:
        if running.overran:
            raise Overran(running.text) from error
        raise
    if running.overran:
        runtime.close()
        raise Overran(running.text)
    return runtime


def _estimate(version: Version) -> int:
    if version.lite:
        return litert.estimate(version.size)
    return saved_model.estimate(version.size)


def _settled(version: Version, runtime: Runtime) -> int:
    if runtime.kind == litert.LiteRT.kind and runtime.mapped > version.size:
        # Half of it are weights as LiteRT computes with them: float32, if the file has float16.
        return litert.estimate(runtime.mapped // 2, packed_on_disk=True)
    return _estimate(version)
