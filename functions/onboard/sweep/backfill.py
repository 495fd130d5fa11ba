"""Stores the LiteRT models that versions lack under `lite/`, and weights of heads under `heads/`.

Versions of earlier releases have no LiteRT models, and somebody may delete or change an object. The
sweeper finds such versions and sends onboarding the event of a deleted object, because onboarding
alone may write there.
"""

from contextlib import closing
from dataclasses import dataclass, replace

from facet.artifact import validation
from facet.artifact.archive import Archive, SpooledFile
from facet.heads.weights import HEAD
from facet.keys import head_key, lite_key
from facet.observability import logger
from facet.registry.models import Status, Version
from facet.registry.store import Registry
from onboard.bucket import Bucket
from onboard.proof.places import Places
from onboard.uploads import OnboardingResult


@dataclass(frozen=True)
class MissingFile:
    """A version whose LiteRT model, or whose weights as a head, are not stored."""

    model: str
    version: str


class Backfill:
    """Stores files that are still in the artifacts of READY versions."""

    def __init__(
        self, bucket: Bucket, registry: Registry, rules: validation.Rules, places: Places
    ) -> None:
        self._bucket = bucket
        self._registry = registry
        self._rules = rules
        self._places = places

    def add(self, missing: MissingFile) -> OnboardingResult | None:
        """Reads the version's artifact and stores its file; None if there is none.

        Raises botocore's errors.
        """
        version = self._registry.find(missing.model, missing.version)
        if version is None or version.status is not Status.READY:
            return None
        if version.head_sha256:
            return self._add_head(version, version.head_sha256)
        if version.litert_size == 0:
            return None
        artifact = self._bucket.read_version(version)
        if artifact is None:  # another event withdraws the version
            return None
        with closing(artifact):
            if artifact.sha256 != version.sha256:
                logger().error("the artifact is not the registered one", target=version.target)
                return None
            return self._store(version, self._screened(version, artifact))

    def _add_head(self, version: Version, sha256: str) -> OnboardingResult | None:
        artifact = self._bucket.read_version(version, only={HEAD})
        if artifact is None:  # another event withdraws the version
            return None
        with closing(artifact):
            if artifact.head is None or artifact.head.sha256 != sha256:
                logger().error("the artifact is not the registered one", target=version.target)
                return None
            key = head_key(version.model, version.id)
            return self._kept(version, key, artifact.head, "HEAD_STORED")

    def _screened(self, version: Version, artifact: Archive) -> SpooledFile | None:
        """None also if the artifact violates rules that are newer than the version."""
        _, violations = validation.run(artifact, replace(self._rules, golden_required=False))
        if violations:
            codes = [each.code for each in violations]
            logger().warning("LiteRT model not stored", target=version.target, codes=codes)
            return None
        return artifact.litert_model

    def _store(self, version: Version, model: SpooledFile | None) -> OnboardingResult | None:
        """Records it first, so that the sweeper finds the version again if this is interrupted.

        The function may run the version once it is proven there, which is a later event's work.
        The version may be retired and deleted meanwhile, which then does not know of the object.
        """
        found = replace(
            version,
            litert_size=model.size if model else 0,
            litert_sha256=model.sha256 if model else None,
        )
        if not self._registry.record_litert(self._places.cannot(found)):
            return None
        if model is None:
            return None
        return self._kept(version, lite_key(version.model, version.id), model, "LITERT_STORED")

    def _kept(
        self, version: Version, key: str, file: SpooledFile, outcome: str
    ) -> OnboardingResult | None:
        stored = self._bucket.store(key, file)
        known = self._registry.find(version.model, version.id)
        if known is None or known.status is not Status.READY:
            self._bucket.delete_stored(key, stored)
            return None
        logger().info("file stored", model=version.model, version=version.id, key=key)
        return OnboardingResult(version.model, outcome, version.id)
