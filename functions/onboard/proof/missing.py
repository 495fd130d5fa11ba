"""Proves READY versions where they are not proven yet.

The endpoint was away when they were uploaded, or their LiteRT model was stored later. The sweeper
finds them and sends onboarding an event, because onboarding alone records proofs. A version that
fails such a proof does not run there, and stays READY where it is proven.
"""

from contextlib import closing
from dataclasses import dataclass

from facet.artifact.archive import Archive
from facet.heads.weights import HEAD
from facet.manifest import AnyManifest, HeadManifest
from facet.observability import logger
from facet.registry.models import Status, Version
from facet.registry.store import Registry
from onboard.bucket import Bucket
from onboard.kinds import BackboneNotReady, Kinds
from onboard.proof.places import Places, Reached
from onboard.retry import RetryPolicy
from onboard.uploads import OnboardingResult


@dataclass(frozen=True)
class MissingProof:
    """A READY version with a proof to come in another place."""

    model: str
    version: str


class MissingProofs:
    """Proves READY versions from their artifacts, and records what was found."""

    def __init__(self, bucket: Bucket, registry: Registry, places: Places, kinds: Kinds) -> None:
        self._bucket = bucket
        self._registry = registry
        self._places = places
        self._kinds = kinds

    def prove(
        self, missing: MissingProof, retry: RetryPolicy, reached: Reached
    ) -> OnboardingResult | None:
        """Proves it in each place that lacks a proof; None if no place could be asked.

        `reached` is its event's. A later event proves it if this one has too little time left, or
        did not reach the place. Raises botocore's errors.
        """
        if not retry.has_time():
            logger().info("no time left to prove", model=missing.model, version=missing.version)
            return None
        version = self._registry.find(missing.model, missing.version)
        if version is None or version.status is not Status.READY or version.manifest is None:
            return None
        after = self._proven(version, version.manifest, retry, reached)
        if after is version or not self._registry.record_proof(version, after):
            return None
        places = [*after.proven_in]
        logger().info("proven", model=version.model, version=version.id, places=places)
        outcome = "PROVEN" if after.proven_in != version.proven_in else "NOT_PROVEN"
        return OnboardingResult(version.model, outcome, version.id)

    def _proven(
        self, version: Version, manifest: AnyManifest, retry: RetryPolicy, reached: Reached
    ) -> Version:
        """The version with what was found, itself if that is nothing."""
        found, backbone = version, None
        if isinstance(manifest, HeadManifest):
            try:
                backbone = self._kinds.backbone(manifest)
            except BackboneNotReady as error:
                logger().info("not proven yet", target=version.target, why=str(error))
                return version
            known = self._places.cannot(version, backbone)
            found = version if known == version else known
        if not self._places.askable(found, reached, backbone):
            return found
        artifact = self._read(version, manifest)
        if artifact is None:
            return version
        with closing(artifact):
            golden = artifact.kept[manifest.golden.image] if manifest.golden else None
            on = None
            if isinstance(manifest, HeadManifest) and artifact.head:
                on = self._kinds.on_backbone(manifest, artifact.head)
            return self._places.prove_missing(found, manifest, golden, retry, reached, on)

    def _read(self, version: Version, manifest: AnyManifest) -> Archive | None:
        """What the proof needs of the artifact; None if another event withdraws the version."""
        needed = {HEAD} | ({manifest.golden.image} if manifest.golden else set())
        artifact = self._bucket.read_version(version, only=needed)
        if artifact and artifact.sha256 != version.sha256:
            artifact.close()
            logger().error("the artifact is not the registered one", target=version.target)
            return None
        return artifact
