"""Retention: the newest versions of a model stay, and those in use; the others are retired."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from facet.errors import RegistryConflict, VersionInUse
from facet.notifications import EventPublisher
from facet.observability import logger
from facet.registry.models import Model, Status, Version
from facet.registry.releases import Releases
from facet.registry.store import Registry
from onboard.bucket import Bucket
from onboard.uploads import OnboardingResult


class Retention:
    """Keeps a number of each model's READY versions. The sweeper deletes retired ones' objects."""

    def __init__(
        self, registry: Registry, releases: Releases, publisher: EventPublisher, keep: int
    ) -> None:
        self._registry = registry
        self._releases = releases
        self._publisher = publisher
        self._keep = keep

    def retain(self, model: str, now: str) -> None:
        """Retires what is too much. What is in use by now or changed meanwhile stays."""
        for each in surplus(
            self._registry.model(model), self._registry.versions(model), self._keep
        ):
            try:
                self._releases.retire(each, now)
            except (RegistryConflict, VersionInUse) as error:
                logger().info("version stays", target=each.target, reason=str(error))
            else:
                _publish_retired(self._publisher, each, f"more than {self._keep} versions")


def surplus(model: Model, versions: Sequence[Version], keep: int) -> list[Version]:
    """READY versions beyond the first `keep` that are not live, previous or a candidate.

    `versions` begins with the newest upload.
    """
    used = {model.live, model.previous, model.canary and model.canary.candidate}
    ready = [each for each in versions if each.status is Status.READY]
    return [each for each in ready[keep:] if each.id not in used]


@dataclass(frozen=True)
class Removal:
    """A deletion at `mme/<model>/<version>.tar.gz`, and when it was."""

    model: str
    version: str
    at: datetime


class Withdrawal:
    """Takes versions out of service that the endpoint cannot load any more."""

    def __init__(
        self,
        bucket: Bucket,
        registry: Registry,
        releases: Releases,
        publisher: EventPublisher,
        now: Callable[[], str],
    ) -> None:
        self._bucket = bucket
        self._registry = registry
        self._releases = releases
        self._publisher = publisher
        self._now = now

    def removed(self, removal: Removal) -> OnboardingResult | None:
        """Withdraws the version where its object really is gone; None where nothing is to be done.

        What the sweeper deletes was retired before, and is nothing new. Raises RegistryConflict.
        """
        known = self._registry.find(removal.model, removal.version)
        if known is None:
            return None
        if known.status is Status.READY and not self._bucket.holds(known):
            self.withdraw(known)
        elif known.status is Status.RETIRED and _at(known) >= removal.at:
            self._tell(known, self._registry.model(known.model).live)
        else:
            return None
        return OnboardingResult(known.model, Status.RETIRED, known.id)

    def withdraw(self, version: Version) -> None:
        """Without a look at the object. Raises RegistryConflict."""
        self._tell(version, self._releases.withdraw(version, self._now()))

    def _tell(self, version: Version, heir: str | None) -> None:
        _publish_retired(self._publisher, version, "its object was deleted")
        if heir:
            self._publisher.promoted(version.model, heir, by="withdrawal")


def _publish_retired(publisher: EventPublisher, version: Version, reason: str) -> None:
    logger().info("model retired", model=version.model, version=version.id, reason=reason)
    publisher.retired(version.model, version.id, reason=reason)


def _at(version: Version) -> datetime:
    return datetime.fromisoformat(version.updated_at)
