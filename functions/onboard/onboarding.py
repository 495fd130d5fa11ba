"""An upload's way: checked, copied to its own key, proven, registered; or refused with its reasons.

Every step may run again: what was done already is done over with the same effect, and the upload
leaves the door last.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from facet.artifact import validation
from facet.errors import RegistryConflict, Violation
from facet.keys import version_id
from facet.manifest import Manifest
from facet.notifications import EventPublisher
from facet.observability import logger
from facet.registry.models import Model, Status, Version
from facet.registry.releases import Placement, Releases
from facet.registry.store import Registry
from onboard.bucket import Bucket
from onboard.prover import Prover
from onboard.retention import Removal, Retention, Withdrawal
from onboard.retry import RetryPolicy
from onboard.uploads import OnboardingResult, Upload


def utc_now() -> str:
    """ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Registers:
    """Where versions are recorded, and where it is said what became of them."""

    registry: Registry
    releases: Releases
    publisher: EventPublisher


@dataclass(frozen=True)
class _Checked:
    """An upload after its checks: its version still PENDING, and the golden sample's image."""

    upload: Upload
    version: Version
    manifest: Manifest | None
    golden: bytes | None
    violations: Sequence[Violation]


class Onboarding:
    """Takes uploads out of one bucket into one registry, proven on one endpoint.

    Everything that is raised says nothing of the artifact, and the upload stays where it is:
    EndpointThrottled, EndpointUnavailable, ModelLoading, RegistryConflict and botocore's errors.
    """

    def __init__(
        self,
        bucket: Bucket,
        registers: Registers,
        prover: Prover,
        rules: validation.Rules,
        keep: int,
        now: Callable[[], str] = utc_now,
    ) -> None:
        """`keep` is the number of READY versions of a model that retention leaves."""
        self._bucket = bucket
        self._registry = registers.registry
        self._releases = registers.releases
        self._publisher = registers.publisher
        self._prover = prover
        self._rules = rules
        self._now = now
        self._retention = Retention(self._registry, self._releases, self._publisher, keep)
        self._withdrawal = Withdrawal(bucket, self._registry, self._releases, self._publisher, now)

    def onboard(self, upload: Upload, retry: RetryPolicy) -> OnboardingResult:
        """Brings one upload to its outcome."""
        checked = self._check(upload)
        if checked is None:
            return OnboardingResult(upload.model, "GONE")
        outcome = retry.until_no_conflict(lambda: self._settle(checked, retry))
        self._bucket.remove(checked.upload)
        return outcome

    def withdraw(self, removal: Removal, retry: RetryPolicy) -> OnboardingResult | None:
        """Takes a version out of service whose object was deleted; None if nothing was to do."""
        return retry.until_no_conflict(lambda: self._withdrawal.removed(removal))

    def _check(self, upload: Upload) -> _Checked | None:
        """Of what was read only the golden sample is kept: a proof needs memory of its own."""
        taken = self._bucket.take(upload)
        if taken is None:
            return None
        found = taken.found
        manifest, violations = validation.run(found, self._rules)
        version = Version(
            model=taken.upload.model,
            id=version_id(found.sha256),
            status=Status.PENDING,
            sha256=found.sha256,
            size=found.size,
            uploaded_at=taken.uploaded_at,
            object_version=taken.upload.object_version,
            sequencer=taken.upload.sequencer,
            manifest=manifest,
        )
        golden = manifest.golden if manifest and not violations else None
        image = found.kept[golden.image] if golden else None
        return _Checked(taken.upload, version, manifest, image, violations)

    def _settle(self, checked: _Checked, retry: RetryPolicy) -> OnboardingResult:
        version = checked.version
        if not self._bucket.has(checked.upload):  # another delivery of its event came first
            return OnboardingResult(version.model, "GONE")
        known = self._registry.find(version.model, version.id)
        if known and known.status is Status.READY:
            if self._bucket.holds(known):
                return self._known(known, checked.upload)
            self._withdrawal.withdraw(known)
        if checked.manifest is None or checked.violations:
            return self._refuse(checked, checked.violations)
        return self._prove(checked, checked.manifest, retry)

    def _known(self, known: Version, upload: Upload) -> OnboardingResult:
        """The same bytes again; or the same upload, if the last attempt ended before its end."""
        if known.object_version != upload.object_version:
            return OnboardingResult(known.model, "UNCHANGED", known.id)
        model = self._registry.model(known.model)
        return self._finish(known, _placement(model, known.id))

    def _prove(self, checked: _Checked, manifest: Manifest, retry: RetryPolicy) -> OnboardingResult:
        pending = replace(checked.version, updated_at=self._now())
        self._registry.begin(pending)
        self._bucket.keep(checked.upload, pending)
        proof = self._prover.prove(pending.target, manifest, checked.golden, retry)
        proven = replace(pending, proof=proof.kind)
        if proof.violations:
            return self._refuse(replace(checked, version=proven), proof.violations)
        ready = replace(proven, status=Status.READY, updated_at=self._now())
        at = self._releases.accept(ready)
        if not self._bucket.holds(ready):
            raise RegistryConflict(f"the object of {ready.target} was deleted meanwhile")
        return self._finish(ready, at)

    def _finish(self, ready: Version, at: Placement) -> OnboardingResult:
        logger().info("model ready", model=ready.model, version=ready.id, placement=at)
        self._publisher.ready(ready, at)
        self._retention.retain(ready.model, self._now())
        return OnboardingResult(ready.model, "READY", ready.id)

    def _refuse(self, checked: _Checked, violations: Sequence[Violation]) -> OnboardingResult:
        rejected = replace(
            checked.version,
            status=Status.REJECTED,
            violations=validation.reported(violations),
            updated_at=self._now(),
        )
        self._bucket.refuse(checked.upload, rejected)
        self._registry.reject(rejected)
        self._bucket.discard(rejected, self._registry)
        codes = [each.code for each in rejected.violations]
        logger().warning("model rejected", model=rejected.model, version=rejected.id, codes=codes)
        self._publisher.rejected(rejected)
        return OnboardingResult(rejected.model, "REJECTED", rejected.id, rejected.violations)


def _placement(model: Model, version: str) -> Placement:
    if model.live == version:
        return Placement.LIVE
    if model.canary and model.canary.candidate == version:
        return Placement.CANDIDATE
    return Placement.READY
