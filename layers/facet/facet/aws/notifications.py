"""Events about versions: on EventBridge for programs, and by SNS for people.

Each method of EventPublisher is one thing that can happen to a version. Onboarding, the canary and
the command line publish through it, so that an event has the same fields whatever causes it;
docs/operations.md lists them.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

import boto3
import orjson
from botocore.exceptions import ClientError

from facet.keys import report_key
from facet.registry.models import Version
from facet.registry.placement import Placement
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
    DELETED = "ModelDeleted"


SENTENCES = {
    EventType.READY: "is ready: it passed validation, and was proven where it runs",
    EventType.REJECTED: "was rejected",
    EventType.PROMOTED: "answers predictions from now on",
    EventType.ROLLED_BACK: "was rolled back",
    EventType.RETIRED: "was taken out of service",
    EventType.DELETED: "was deleted, with everything that was stored under its name",
}
"""How the message to the topic goes on after "Version … of model …", or "Model …"."""


class EventPublisher:
    """Publishes on the default event bus, and to an SNS topic if there is one.

    Every method raises botocore's errors. An event that the bus does not accept is not sent to the
    topic either.
    """

    def __init__(self, events: "EventBridgeClient", sns: "SNSClient", topic: str) -> None:
        """`topic` is the ARN of an SNS topic, or empty."""
        self._events = events
        self._sns = sns
        self._topic = topic

    def ready(self, version: Version, at: Placement) -> None:
        """A version was proven; it is live (also published as `promoted`), a candidate or READY."""
        self._publish(
            EventType.READY,
            version.model,
            version.id,
            proof=version.proof,
            proven_in=sorted(version.proven_in),
            placement=at,
        )
        if at is Placement.LIVE:
            self.promoted(version.model, version.id, by="onboarding")

    def rejected(self, version: Version) -> None:
        """An upload was rejected: the codes of its violations, and the key of its report."""
        self._publish(
            EventType.REJECTED,
            version.model,
            version.id,
            violations=[each.code for each in version.violations],
            report=report_key(version.model, version.id),
        )

    def promoted(self, model: str, version: str, *, by: str, **detail: object) -> None:
        """A version is live now. `by` is onboarding, canary, command or withdrawal."""
        self._publish(EventType.PROMOTED, model, version, by=by, **detail)

    def rolled_back(
        self, model: str, version: str, *, by: str, live: str | None, **detail: object
    ) -> None:
        """A candidate or a live version was taken back; `live` is the version that answers now."""
        self._publish(EventType.ROLLED_BACK, model, version, by=by, live=live, **detail)

    def retired(self, model: str, version: str, **detail: str | int) -> None:
        """A version was taken out of service; `detail` is the `reason`, or `by` whom, and the
        number of `heads` that depend on it.
        """
        self._publish(EventType.RETIRED, model, version, **detail)

    def deleted(self, model: str, versions: Sequence[str], *, by: str) -> None:
        """A model was deleted with all its versions; `by` says who asked."""
        self._publish(EventType.DELETED, model, None, versions=[*versions], by=by)

    def _publish(
        self, event_type: EventType, model: str, version: str | None, **detail: object
    ) -> None:
        of_version = {} if version is None else {"version": version}
        body = orjson.dumps({"model": model, **of_version, **detail}).decode()
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
        self, event_type: EventType, model: str, version: str | None, detail: dict[str, object]
    ) -> None:
        subject = f"Version {version} of model" if version else "Model"
        lines = [f"{subject} '{model}' {SENTENCES[event_type]}."]
        lines += [f"{name}: {_text(value)}" for name, value in detail.items()]
        self._sns.publish(
            TopicArn=self._topic, Subject=f"{event_type}: {model}", Message="\n".join(lines)
        )


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@cache
def publisher() -> EventPublisher:
    """The publisher of this process."""
    return EventPublisher(boto3.client("events"), boto3.client("sns"), settings().topic)
