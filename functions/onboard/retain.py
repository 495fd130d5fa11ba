"""Retention: the newest versions of a model stay, and those in use; the others are retired."""

from collections.abc import Sequence

from facet.errors import RegistryConflict, VersionInUse
from facet.observability import logger
from facet.registry.models import Model, Status, Version
from facet.registry.releases import Alias
from facet.registry.store import Registry
from onboard.telling import Telling


class Retention:
    """Keeps a number of each model's READY versions. The sweeper deletes retired ones' objects."""

    def __init__(self, registry: Registry, alias: Alias, telling: Telling, keep: int) -> None:
        self._registry = registry
        self._alias = alias
        self._telling = telling
        self._keep = keep

    def retain(self, model: str, now: str) -> None:
        """Retires what is too much. What is in use by now or changed meanwhile stays."""
        for each in surplus(
            self._registry.model(model), self._registry.versions(model), self._keep
        ):
            try:
                self._alias.retire(each, now)
            except (RegistryConflict, VersionInUse) as error:
                logger().info("version stays", target=each.target, reason=str(error))
            else:
                self._telling.retired(each, f"more than {self._keep} versions")


def surplus(model: Model, versions: Sequence[Version], keep: int) -> list[Version]:
    """READY versions beyond the first `keep` that are not live, previous or a candidate.

    `versions` begins with the newest drop.
    """
    used = {model.live, model.previous, model.canary and model.canary.candidate}
    ready = [each for each in versions if each.status is Status.READY]
    return [each for each in ready[keep:] if each.id not in used]
