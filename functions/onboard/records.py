"""What onboarding writes besides the bucket: the registry, and events."""

from dataclasses import dataclass

from facet.aws.notifications import EventPublisher
from facet.registry.attempts import Attempts
from facet.registry.heads.dependents import Dependents
from facet.registry.releases import Releases
from facet.registry.store import Registry


@dataclass(frozen=True)
class Records:
    """Where versions are registered and released, and their events published."""

    registry: Registry
    releases: Releases
    dependents: Dependents
    publisher: EventPublisher
    attempts: Attempts
