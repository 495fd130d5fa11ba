"""The network that a place runs for a version: a classifier's own, or that of a head's backbone."""

from collections.abc import Sequence
from dataclasses import dataclass

from facet.errors import ModelFailed, UnknownModel, UnknownVersion
from facet.heads import runner as head_runner
from facet.heads.errors import BackboneMissing, NotAClassifier
from facet.heads.weights import Head, HeadAnswer
from facet.manifest import BackboneManifest, HeadManifest, Manifest, NetworkManifest
from facet.places.choice import Choice, Runner
from facet.places.predict_call import Scores
from facet.preprocess import Pixels, Tensor
from facet.registry.models import Place, RunIn, Version
from predict.bucket.head_weights import HeadWeights
from predict.timing import Stopwatch
from predict.version_cache import VersionCache

Answer = Scores | HeadAnswer
"""An image's float32 (labels,) scores; those of a head come with the image's familiarity."""


@dataclass(frozen=True)
class Network:
    """A network of `version`, the places to ask for it, and the labels of its answers.

    With a `head` the network computes the features of which the head makes scores.
    """

    version: Version
    manifest: NetworkManifest
    labels: Sequence[str]
    places: list[Place]
    head: Head | None = None

    def answers(
        self, runner: Runner, batch: Sequence[Pixels | Tensor], request_id: str
    ) -> Sequence[Answer | ModelFailed]:
        """The answer for each image, as `Runner.classify` gives it and raises errors."""
        if self.head is None:
            return runner.classify(self.version, self.manifest, batch, request_id)
        return head_runner.answers(runner, self.version, self.head, batch, request_id)


class Networks:
    """Finds versions' networks."""

    def __init__(self, choice: Choice, versions: VersionCache, weights: HeadWeights) -> None:
        self._choice = choice
        self._versions = versions
        self._weights = weights

    def of(self, version: Version, run_in: RunIn | None, stopwatch: Stopwatch) -> Network:
        """The network of a READY version, whose model has this `run_in`.

        Raises NotAClassifier for a backbone, BackboneMissing and what `HeadWeights.read` raises
        for a head.
        """
        match version.manifest:
            case Manifest() as manifest:
                places = self._choice.places(version, run_in)
                network = Network(version, manifest, manifest.labels, places)
            case HeadManifest() as manifest:
                with stopwatch.step("registry"):
                    network = self._of_head(version, manifest, run_in)
            case BackboneManifest():
                raise NotAClassifier(version.model)
            case None:
                raise LookupError(f"{version.target} is READY but has no manifest")
        if not network.places:
            raise LookupError(f"{version.target} is READY but has no proof")
        return network

    def _of_head(self, version: Version, manifest: HeadManifest, run_in: RunIn | None) -> Network:
        """A head is asked where it is proven, in the order of its backbone's places: by the
        `run_in` of its model or, without one, of the backbone's.
        """
        name = manifest.backbone.model
        try:
            backbone = self._versions.ready(name, manifest.backbone.version)
            wanted = run_in or self._versions.model(name).run_in
        except (UnknownModel, UnknownVersion) as error:
            raise BackboneMissing(version.model, name, manifest.backbone.version) from error
        if not isinstance(backbone.manifest, BackboneManifest):
            raise BackboneMissing(version.model, name, manifest.backbone.version)
        head = self._weights.read(version, manifest)
        places = self._choice.places(backbone, wanted)
        proven = [each for each in places if each in version.proven_in]
        return Network(backbone, backbone.manifest, manifest.labels, proven, head)
