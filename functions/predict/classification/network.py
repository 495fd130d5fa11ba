"""The network that a place runs for a version."""

from collections.abc import Sequence
from dataclasses import dataclass

from facet.errors import ModelFailed, NotAClassifier
from facet.manifest import Manifest
from facet.places.choice import Choice, Runner
from facet.places.predict_call import Scores
from facet.preprocess import Pixels, Tensor
from facet.registry.models import Place, RunIn, Version

Answer = Scores
"""An image's float32 (labels,) scores."""


@dataclass(frozen=True)
class Network:
    """A network of `version`, the places to ask for it, and the labels of its answers."""

    version: Version
    manifest: Manifest
    labels: Sequence[str]
    places: list[Place]

    def answers(
        self, runner: Runner, batch: Sequence[Pixels | Tensor], request_id: str
    ) -> Sequence[Answer | ModelFailed]:
        """The answer for each image, as `Runner.classify` gives it and raises errors."""
        return runner.classify(self.version, self.manifest, batch, request_id)


class Networks:
    """Finds versions' networks."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice

    def of(self, version: Version, run_in: RunIn | None) -> Network:
        """The network of a READY version, whose model has this `run_in`.

        Raises NotAClassifier for a backbone.
        """
        manifest = version.manifest
        if manifest is None:
            raise LookupError(f"{version.target} is READY but has no manifest")
        if not isinstance(manifest, Manifest):
            raise NotAClassifier(version.model)
        places = self._choice.places(version, run_in)
        if not places:
            raise LookupError(f"{version.target} is READY but has no proof")
        return Network(version, manifest, manifest.labels, places)
