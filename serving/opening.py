"""Which runtime opens a version."""

from pathlib import Path

from serving import litert, savedmodel
from serving.artifact import Version
from serving.models import Loader
from serving.runtime import Runtime
from serving.settings import Settings
from serving.strikes import Strikes, default_folder


def loader(settings: Settings, state: Path | None = None) -> Loader:
    """LiteRT where the version has a model for it, otherwise TensorFlow.

    state: the folder that tells the next process of loads that ended this one.
    """
    strikes = Strikes(state or default_folder())

    def open_version(version: Version) -> Runtime:
        with strikes.watch(version.source):
            if version.lite:
                return litert.LiteRT(version.source, settings.litert_threads)
            return savedmodel.SavedModel(version.source, settings.workers)

    return Loader(_estimate, open_version)


def _estimate(version: Version) -> int:
    if version.lite:
        return litert.estimate(version.size)
    return savedmodel.estimate(version.size)
