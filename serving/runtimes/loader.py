"""Which runtime opens a version."""

from pathlib import Path

from serving.artifact import Version
from serving.crash_guard import CrashGuard, default_folder
from serving.models import Loader
from serving.runtimes import litert, saved_model
from serving.runtimes.runtime import Runtime
from serving.settings import Settings


def loader(settings: Settings, state: Path | None = None) -> Loader:
    """LiteRT where the version has a model for it, otherwise TensorFlow.

    state: the folder that tells the next process of loads that ended this one.
    """
    strikes = CrashGuard(state or default_folder())

    def open_version(version: Version) -> Runtime:
        with strikes.watch(version.source):
            if version.lite:
                return litert.LiteRT(version.source, settings.litert_threads)
            return saved_model.SavedModel(version.source, settings.workers)

    return Loader(_estimate, open_version)


def _estimate(version: Version) -> int:
    if version.lite:
        return litert.estimate(version.size)
    return saved_model.estimate(version.size)
