"""Versions whose object was deleted: out of service, and the next one in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from facet.registry.models import Status, Version
from facet.registry.releases import Alias
from facet.registry.store import Registry
from onboard.bucket import Bucket
from onboard.drop import Outcome
from onboard.telling import Telling


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
        alias: Alias,
        telling: Telling,
        now: Callable[[], str],
    ) -> None:
        self._bucket = bucket
        self._registry = registry
        self._alias = alias
        self._telling = telling
        self._now = now

    def removed(self, removal: Removal) -> Outcome | None:
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
        return Outcome(known.model, Status.RETIRED, known.id)

    def withdraw(self, version: Version) -> None:
        """Without a look at the object. Raises RegistryConflict."""
        self._tell(version, self._alias.withdraw(version, self._now()))

    def _tell(self, version: Version, heir: str | None) -> None:
        self._telling.retired(version, "its object was deleted")
        if heir:
            self._telling.promoted(version.model, heir, by="withdrawal")


def _at(version: Version) -> datetime:
    return datetime.fromisoformat(version.updated_at)
