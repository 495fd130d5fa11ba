"""What happens to an upload: read, validate, publish, prove, register; or reject with reasons.

1. Read the upload in one pass and validate it.
2. Publish: copy it to its version's key, from which only the endpoint loads it, with its LiteRT
   model beside it.
3. Prove it: each place where it may run must answer its golden sample as the trainer recorded.
4. Register it as READY, and release it as the model's policy says.
5. Remove the upload.

A violation in step 1 or 3 rejects it instead: the artifact and a report go to `rejected/`. The
upload is removed last and every step can be repeated, so that an onboarding that was interrupted
anywhere is completed by the next event for the same upload. An upload that keeps failing in the
same way is rejected with that error (failures.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from facet.artifact import validation
from facet.artifact.archive import SpooledFile
from facet.errors import EndpointRemoved, RegistryConflict, Violation
from facet.manifest import AnyManifest, HeadManifest
from facet.observability import logger
from facet.registry.attempts import Attempt
from facet.registry.models import Model, Place, Status, Version
from facet.registry.placement import Placement
from onboard import failures
from onboard.bucket import Bucket
from onboard.kinds import Kinds, OnBackbone
from onboard.proof.missing import MissingProof, MissingProofs
from onboard.proof.places import Places, Reached
from onboard.records import Records
from onboard.removal.retention import Removal, Retention, Withdrawal
from onboard.retry import RetryPolicy
from onboard.sweep.backfill import Backfill, MissingFile
from onboard.uploads import OnboardingResult, Upload
from onboard.validated import ValidatedUpload, pending_version

CONTROLS = 10
"""Models of the registry among which one is sought that shows whether the endpoint answers."""


def utc_now() -> str:
    """ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Onboarding:
    """Onboards the uploads of one bucket into one registry, proven where they run.

    EndpointThrottled, EndpointUnavailable, ModelLoading, RegistryConflict and botocore's errors are
    raised for reasons outside the artifact; the upload stays where it is and can be retried.
    """

    def __init__(
        self,
        bucket: Bucket,
        records: Records,
        places: Places,
        rules: validation.Rules,
        keep: int,
        now: Callable[[], str] = utc_now,
    ) -> None:
        """`keep` is how many READY versions of each model retention keeps."""
        self._bucket = bucket
        self._registry = records.registry
        self._releases = records.releases
        self._publisher = records.publisher
        self._attempts = records.attempts
        self._places = places
        self._rules = rules
        self._now = now
        self._retention = Retention(records, keep)
        self._backfill = Backfill(bucket, self._registry, rules, places)
        self._kinds = Kinds(self._registry, bucket)
        self._missing = MissingProofs(bucket, self._registry, places, self._kinds)
        self._withdrawal = Withdrawal(bucket, records, now)

    def onboard(self, upload: Upload, retry: RetryPolicy) -> OnboardingResult:
        """Onboards one upload, or rejects it."""
        name = upload.object_version or ""
        attempt = self._attempts.begin(upload.model, name, self._now())
        validated: ValidatedUpload | None = None
        try:
            if violation := failures.without_result(attempt, self._time()):
                result = self._reject_unvalidated(upload, violation)
            elif validated := self._validate(upload):
                result = self._settle(validated, retry.of_attempt(attempt.begun))
            else:
                result = OnboardingResult(upload.model, "GONE")
        except EndpointRemoved:
            self._attempts.end(upload.model, name)
            raise
        except Exception as error:
            found = self._violation_of(attempt, upload, validated, error)
            if found is None:
                self._attempts.fail(attempt, failures.name(error))
                raise
            result = self._reject_failed(upload, validated, found)
        finally:
            if validated:
                validated.extracts.close()
        self._attempts.end(upload.model, name)
        return result

    def _settle(self, validated: ValidatedUpload, retry: RetryPolicy) -> OnboardingResult:
        result = retry.until_no_conflict(lambda: self._register_or_reject(validated, retry))
        self._bucket.remove_upload(validated.upload)
        return result

    def _violation_of(
        self, attempt: Attempt, upload: Upload, validated: ValidatedUpload | None, error: Exception
    ) -> Violation | None:
        """The violation that a failed attempt shows; None if the upload is to be tried again."""
        if validated and self._has_result(validated):
            return None
        return failures.of_artifact(error) or failures.kept_failing(
            attempt, error, self._time(), lambda: self._others_are_answered(upload.model, error)
        )

    def _has_result(self, validated: ValidatedUpload) -> bool:
        """Whether the registry has this upload's result, so that only what follows it failed."""
        known = self._registry.find(validated.version.model, validated.version.id)
        if known is None or known.object_version != validated.version.object_version:
            return False
        return known.status is not Status.PENDING

    def _others_are_answered(self, model: str, error: Exception) -> bool | None:
        """Whether the place that failed answers for another live model; None without another."""
        place = Place(getattr(error, "place", None) or Place.ENDPOINT)
        answered = None
        for each in self._registry.models(CONTROLS)[0]:
            if each.name == model or each.live is None:
                continue
            live = self._kinds.network(self._registry.live(each.name))
            if live is None or place not in live.proven_in:
                continue
            answered = self._places.answers(live, place)
            if answered:
                break
        return answered

    def _reject_failed(
        self, upload: Upload, validated: ValidatedUpload | None, violation: Violation
    ) -> OnboardingResult:
        """Rejects an upload for a failed attempt; its manifest may be too large to record."""
        if validated is None:
            return self._reject_unvalidated(upload, violation)
        version = replace(validated.version, manifest=None)
        deletions = self._registry.deletions(version.model)
        readable = violation.code not in failures.NOT_KEPT
        if readable and not self._bucket.has_upload(validated.upload):
            return OnboardingResult(version.model, "GONE")
        result = self._reject(replace(validated, version=version), [violation], deletions)
        self._bucket.remove_upload(validated.upload)
        return result

    def _reject_unvalidated(self, upload: Upload, violation: Violation) -> OnboardingResult:
        """Rejects an upload that could not be read, or whose validation does not end."""
        digest = self._bucket.digest(upload, readable=violation.code not in failures.NOT_KEPT)
        if digest is None:
            return OnboardingResult(upload.model, "GONE")
        version = pending_version(digest.upload, digest.sha256, digest.size, digest.uploaded_at)
        validated = ValidatedUpload(digest.upload, version, [violation])
        return self._reject_failed(upload, validated, violation)

    def withdraw(self, removal: Removal, retry: RetryPolicy) -> OnboardingResult | None:
        """Retires a version whose artifact was deleted; None if there is nothing to do."""
        return retry.until_no_conflict(lambda: self._withdrawal.removed(removal))

    def complete(self, missing: MissingFile) -> OnboardingResult | None:
        """Stores the file that a version lacks; None if there is nothing to do."""
        return self._backfill.add(missing)

    def prove(
        self, missing: MissingProof, retry: RetryPolicy, reached: Reached
    ) -> OnboardingResult | None:
        """Proves a READY version in places that lack its proof; None if there is nothing to do."""
        return self._missing.prove(missing, retry, reached)

    def _time(self) -> datetime:
        return datetime.fromisoformat(self._now())

    def _validate(self, upload: Upload) -> ValidatedUpload | None:
        """None if the upload is gone. Keeps little of it, because the proof needs the memory."""
        read = self._bucket.read_upload(upload)
        if read is None:
            return None
        return ValidatedUpload.of(read.upload, read.uploaded_at, read.archive, self._rules)

    def _register_or_reject(
        self, validated: ValidatedUpload, retry: RetryPolicy
    ) -> OnboardingResult:
        version = validated.version
        deletions = self._registry.deletions(version.model)  # before looking for the upload
        if not self._bucket.has_upload(validated.upload):
            # another delivery of the same event has onboarded it
            return OnboardingResult(version.model, "GONE")
        known = self._registry.find(version.model, version.id)
        if known and known.status is Status.READY:
            if self._bucket.has_version(known):
                return self._already_ready(known, validated)
            self._withdrawal.withdraw(known)
        violations = [*validated.violations, *self._kinds.violations(version)]
        if version.manifest is None or violations:
            return self._reject(validated, violations, deletions)
        return self._publish_and_prove(validated, version.manifest, retry, deletions)

    def _already_ready(self, known: Version, validated: ValidatedUpload) -> OnboardingResult:
        """UNCHANGED for a new upload of the same bytes; the same upload is finished."""
        if known.object_version != validated.upload.object_version:
            self._registry.uploaded_again(known, validated.version.order)
            return OnboardingResult(known.model, "UNCHANGED", known.id)
        model = self._registry.model(known.model)
        return self._finish(known, _placement(model, known.id))

    def _publish_and_prove(
        self, validated: ValidatedUpload, manifest: AnyManifest, retry: RetryPolicy, deletions: int
    ) -> OnboardingResult:
        pending = replace(self._places.cannot(validated.version), updated_at=self._now())
        self._registry.begin(pending, deletions)
        run_in, on = self._registry.model(pending.model).run_in, None
        if isinstance(manifest, HeadManifest) and validated.extracts.head:
            on = self._on_backbone(manifest, validated.extracts.head, retry)
            pending = self._places.cannot(pending, on.backbone)
            run_in = run_in or on.run_in
        self._bucket.publish(validated.upload, pending, validated.extracts)
        if self._registry.deletions(pending.model) != deletions:  # which may have missed the copy
            self._bucket.delete_orphan(pending, self._registry)
            raise RegistryConflict(f"{pending.model} was deleted at the same time")
        golden = validated.extracts.golden
        proven, violations, waits = self._places.prove(pending, manifest, golden, run_in, retry, on)
        if violations:
            return self._reject(replace(validated, version=proven), violations, deletions)
        if waits:
            self._registry.postpone(replace(proven, postponed_at=self._now()))
            raise waits
        ready = replace(proven, status=Status.READY, updated_at=self._now())
        at = self._releases.accept(ready, deletions)
        if not self._bucket.has_version(ready):
            raise RegistryConflict(f"the artifact of {ready.target} was deleted during its proof")
        return self._finish(ready, at)

    def _on_backbone(
        self, manifest: HeadManifest, file: SpooledFile, retry: RetryPolicy
    ) -> OnBackbone:
        """Waits a little for a backbone that is onboarded at the same time."""
        return retry.later().until_endpoint_answers(lambda: self._kinds.on_backbone(manifest, file))

    def _finish(self, ready: Version, at: Placement) -> OnboardingResult:
        logger().info("model ready", model=ready.model, version=ready.id, placement=at)
        self._publisher.ready(ready, at)
        self._retention.retain(ready.model, self._now())
        return OnboardingResult(ready.model, "READY", ready.id)

    def _reject(
        self,
        validated: ValidatedUpload,
        violations: Sequence[Violation],
        deletions: int | None = None,
    ) -> OnboardingResult:
        rejected = replace(
            validated.version,
            status=Status.REJECTED,
            violations=validation.reported(violations),
            updated_at=self._now(),
        )
        codes = [each.code for each in rejected.violations]
        self._bucket.quarantine(
            validated.upload, rejected, readable=failures.NOT_KEPT.isdisjoint(codes)
        )
        self._registry.reject(rejected, deletions)
        self._bucket.delete_version(rejected, self._registry)
        logger().warning("model rejected", model=rejected.model, version=rejected.id, codes=codes)
        self._publisher.rejected(rejected)
        return OnboardingResult(rejected.model, "REJECTED", rejected.id, rejected.violations)


def _placement(model: Model, version: str) -> Placement:
    if model.live == version:
        return Placement.LIVE
    if model.canary and model.canary.candidate == version:
        return Placement.CANDIDATE
    return Placement.READY
