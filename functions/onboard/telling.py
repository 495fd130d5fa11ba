"""Says what became of versions: on the event bus, to the topic, in the log."""

from facet.news import Happening, News
from facet.observability import logger
from facet.registry.models import Version
from facet.registry.releases import Placement


class Telling:
    """Tells, and raises botocore's errors where it cannot."""

    def __init__(self, news: News) -> None:
        self._news = news

    def ready(self, version: Version, at: Placement) -> None:
        """A version was proven, and is live, a candidate, or READY only."""
        logger().info("model ready", model=version.model, version=version.id, placement=at)
        self._news.tell(
            Happening.READY, version.model, version.id, proof=version.proof, placement=at
        )
        if at is Placement.LIVE:
            self.promoted(version.model, version.id, by="onboarding")

    def promoted(self, model: str, version: str, *, by: str) -> None:
        """A version is live now."""
        self._news.tell(Happening.PROMOTED, model, version, by=by)

    def rejected(self, version: Version) -> None:
        """A version was refused."""
        codes = [each.code for each in version.violations]
        logger().warning("model rejected", model=version.model, version=version.id, codes=codes)
        report = f"rejected/{version.model}/{version.id}.json"
        self._news.tell(
            Happening.REJECTED, version.model, version.id, violations=codes, report=report
        )

    def retired(self, version: Version, reason: str) -> None:
        """A version was taken out of service."""
        logger().info("model retired", model=version.model, version=version.id, reason=reason)
        self._news.tell(Happening.RETIRED, version.model, version.id, reason=reason)
