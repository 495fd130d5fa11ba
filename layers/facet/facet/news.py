"""What became of versions, told to whoever listens on EventBridge, and to people by SNS."""

from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

import boto3
import orjson
from botocore.exceptions import ClientError

from facet.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient

SOURCE = "facet"


class Happening(StrEnum):
    """The DetailType of each event."""

    READY = "ModelReady"
    REJECTED = "ModelRejected"
    PROMOTED = "ModelPromoted"
    ROLLED_BACK = "ModelRolledBack"
    RETIRED = "ModelRetired"


WORDS = {
    Happening.READY: "is ready: it passed the checks, and the endpoint proved it",
    Happening.REJECTED: "was rejected",
    Happening.PROMOTED: "answers predictions from now on",
    Happening.ROLLED_BACK: "was taken back",
    Happening.RETIRED: "was taken out of service",
}


class News:
    """Tells on the default event bus, and by a topic where there is one."""

    def __init__(self, events: "EventBridgeClient", sns: "SNSClient", topic: str) -> None:
        """`topic` is the ARN of an SNS topic, or empty."""
        self._events = events
        self._sns = sns
        self._topic = topic

    def tell(self, happening: Happening, model: str, version: str, **detail: object) -> None:
        """One event with `detail` beside model and version, as JSON. Raises botocore's errors.

        What cannot be told to the event bus is not told to the topic either.
        """
        body = orjson.dumps({"model": model, "version": version, **detail}).decode()
        answer = self._events.put_events(
            Entries=[{"Source": SOURCE, "DetailType": happening, "Detail": body}]
        )
        if answer["FailedEntryCount"]:
            entry = answer["Entries"][0]
            code, message = entry.get("ErrorCode", "Unknown"), entry.get("ErrorMessage", "")
            raise ClientError({"Error": {"Code": code, "Message": message}}, "PutEvents")
        if self._topic:
            self._publish(happening, model, version, detail)

    def _publish(
        self, happening: Happening, model: str, version: str, detail: dict[str, object]
    ) -> None:
        lines = [f"Version {version} of model '{model}' {WORDS[happening]}."]
        lines += [f"{name}: {_in_words(value)}" for name, value in detail.items()]
        self._sns.publish(
            TopicArn=self._topic, Subject=f"{happening}: {model}", Message="\n".join(lines)
        )


def _in_words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@cache
def news() -> News:
    """The news of this process."""
    return News(boto3.client("events"), boto3.client("sns"), settings().topic)
