"""What became of versions, told to whoever listens on EventBridge, and to people by SNS."""

from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

import boto3
import orjson
from botocore.exceptions import ClientError

from facet.keys import report_key
from facet.observability import logger
from facet.registry.models import Version
from facet.registry.releases import Placement
from facet.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient

SOURCE = "facet"


class EventType(StrEnum):
    """The DetailType of each event."""

    READY = "ModelReady"
    REJECTED = "ModelRejected"
    PROMOTED = "ModelPromoted"
    ROLLED_BACK = "ModelRolledBack"
    RETIRED = "ModelRetired"


WORDS = {
    EventType.READY: "is ready: it passed the checks, and the endpoint proved it",
    EventType.REJECTED: "was rejected",
    EventType.PROMOTED: "answers predictions from now on",
    EventType.ROLLED_BACK: "was taken back",
    EventType.RETIRED: "was taken out of service",
}


class EventPublisher:
    """Tells on the default event bus, and by a topic where there is one."""

    def __init__(self, events: "EventBridgeClient", sns: "SNSClient", topic: str) -> None:
        """`topic` is the ARN of an SNS topic, or empty."""
        self._events = events
        self._sns = sns
        self._topic = topic

    def publish(self, event_type: EventType, model: str, version: str, **detail: object) -> None:
        """One event with `detail` beside model and version, as JSON. Raises botocore's errors.

        What cannot be told to the event bus is not told to the topic either.
        """
        body = orjson.dumps({"model": model, "version": version, **detail}).decode()
        answer = self._events.put_events(
            Entries=[{"Source": SOURCE, "DetailType": event_type, "Detail": body}]
        )
        if answer["FailedEntryCount"]:
            entry = answer["Entries"][0]
            code, message = entry.get("ErrorCode", "Unknown"), entry.get("ErrorMessage", "")
            raise ClientError({"Error": {"Code": code, "Message": message}}, "PutEvents")
        if self._topic:
            self._notify(event_type, model, version, detail)

    def _notify(
        self, event_type: EventType, model: str, version: str, detail: dict[str, object]
    ) -> None:
        lines = [f"Version {version} of model '{model}' {WORDS[event_type]}."]
        lines += [f"{name}: {_in_words(value)}" for name, value in detail.items()]
        self._sns.publish(
            TopicArn=self._topic, Subject=f"{event_type}: {model}", Message="\n".join(lines)
        )


def _in_words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@cache
def publisher() -> EventPublisher:
    """The news of this process."""
    return EventPublisher(boto3.client("events"), boto3.client("sns"), settings().topic)


class ModelEvents:
    """Tells, and raises botocore's errors where it cannot."""

    def __init__(self, publisher: EventPublisher) -> None:
        self._publisher = publisher

    def ready(self, version: Version, at: Placement) -> None:
        """A version was proven, and is live, a candidate, or READY only."""
        logger().info("model ready", model=version.model, version=version.id, placement=at)
        self._publisher.publish(
            EventType.READY, version.model, version.id, proof=version.proof, placement=at
        )
        if at is Placement.LIVE:
            self.promoted(version.model, version.id, by="onboarding")

    def promoted(self, model: str, version: str, *, by: str) -> None:
        """A version is live now."""
        self._publisher.publish(EventType.PROMOTED, model, version, by=by)

    def rejected(self, version: Version) -> None:
        """A version was refused."""
        codes = [each.code for each in version.violations]
        logger().warning("model rejected", model=version.model, version=version.id, codes=codes)
        report = report_key(version.model, version.id)
        self._publisher.publish(
            EventType.REJECTED, version.model, version.id, violations=codes, report=report
        )

    def retired(self, version: Version, reason: str) -> None:
        """A version was taken out of service."""
        logger().info("model retired", model=version.model, version=version.id, reason=reason)
        self._publisher.publish(EventType.RETIRED, version.model, version.id, reason=reason)
