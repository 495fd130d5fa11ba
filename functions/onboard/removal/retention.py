"""How versions go out of service: retention of old ones, withdrawal of those without an artifact.

Retention keeps the newest READY versions of each model and those in use. Withdrawal retires a
version whose artifact was deleted from the bucket, because the endpoint cannot load it any more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from facet.aws.notifications import EventPublisher
from facet.errors import RegistryConflict, UnknownModel, VersionInUse
from facet.observability import logger
from facet.registry.models import Model, Status, Version
from onboard.bucket import Bucket
from onboard.records import Records
from onboard.uploads import OnboardingResult


class Retention:
    """Retires surplus READY versions; the sweeper deletes their artifacts later."""

    def __init__(self, records: Records, keep: int) -> None:
        self._registry = records.registry
        self._releases = records.releases
        self._publisher = records.publisher
        self._keep = keep

    def retain(self, model: str, now: str) -> None:
        """Retires surplus versions, except those that are in use or changed meanwhile."""
        for each in surplus(
            self._registry.model(model), self._registry.versions(model), self._keep
        ):
            try:
                self._releases.retire(each, now)
            except (RegistryConflict, VersionInUse) as error:
                logger().info("version not retired", target=each.target, reason=str(error))
            else:
                reason = f"more than {self._keep} versions"
                _publish_retired(self._publisher, each, reason=reason)


def surplus(model: Model, versions: Sequence[Version], keep: int) -> list[Version]:
    """READY versions beyond the first `keep` that are not live, previous or a candidate.

    `versions` begins with the newest upload. Heads may depend on some of a backbone.
    """
    used = {model.live, model.previous, model.canary and model.canary.candidate}
    ready = [each for each in versions if each.status is Status.READY]
    return [each for each in ready[keep:] if each.id not in used]


@dataclass(frozen=True)
class Removal:
    """The deletion of a version's artifact, and when it happened."""

    model: str
    version: str
    at: datetime


class Withdrawal:
    """Retires versions whose artifact is gone."""

    def __init__(self, bucket: Bucket, records: Records, now: Callable[[], str]) -> None:
        self._bucket = bucket
        self._registry = records.registry
        self._releases = records.releases
        self._dependents = records.dependents
        self._publisher = records.publisher
        self._now = now

    def removed(self, removal: Removal) -> OnboardingResult | None:
        """Withdraws the version if its artifact is gone; None if there is nothing to do.

        The sweeper deletes artifacts of versions that are RETIRED already; those are ignored.
        Raises RegistryConflict.
        """
        known = self._registry.find(removal.model, removal.version)
        if known is None:
            return None
        if known.status is Status.READY and not self._bucket.has_version(known):
            self.withdraw(known)
        elif known.status is Status.RETIRED and _at(known) >= removal.at:
            try:
                live = self._registry.model(known.model).live
            except UnknownModel:  # it is being deleted
                return None
            self._publish(known, live)
        else:
            return None
        return OnboardingResult(known.model, Status.RETIRED, known.id)

    def withdraw(self, version: Version) -> None:
        """Withdraws the version without looking at the bucket. Raises RegistryConflict."""
        self._publish(version, self._releases.withdraw(version, self._now()))

    def _publish(self, version: Version, successor: str | None) -> None:
        detail: dict[str, str | int] = {"reason": "its artifact was deleted"}
        if version.kind == "backbone":
            heads = self._dependents.of(version.model, version.id)
            if heads.number:
                detail["heads"] = heads.number
                logger().error(
                    "heads lost their backbone", target=version.target, heads=heads.first
                )
        _publish_retired(self._publisher, version, **detail)
        if successor:
            self._publisher.promoted(version.model, successor, by="withdrawal")


def _publish_retired(publisher: EventPublisher, version: Version, **detail: str | int) -> None:
    logger().info("model retired", model=version.model, version=version.id, extra=detail)
    publisher.retired(version.model, version.id, **detail)


def _at(version: Version) -> datetime:
    return datetime.fromisoformat(version.updated_at)
