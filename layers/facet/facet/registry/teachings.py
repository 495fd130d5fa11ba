"""How models were taught last: one item in each model's partition, `item = "teaching"`.

One teaching of a model runs at a time. The function that does the work says how far it is; if it
says nothing for TIMEOUT seconds, after which Lambda has ended it, the teaching counts as failed.

The attributes have names of their own, so that a role may write them and no others.
"""

import json
import lzma
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from facet.errors import FacetError, Violation
from facet.heads.errors import TeachingRunning, UnknownTeaching

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

TEACHING_ITEM = "teaching"

TIMEOUT = 300
"""Seconds after which Lambda ends the function that teaches."""

ATTRIBUTES = ("model", "item", "teaching", "state", "attempt", "heard_at", "document")
"""Those of the item: its key, the teaching's id, whether it runs, how often the work was begun, the
time of its last sign, and everything else as compressed JSON in base64."""

PRESET = 1
"""Of the compression, with a window of 1 MB. A report names labels more than once, and DynamoDB's
items have up to 400 kB: with zlib's window of 32 kB those of 1,000 long labels were larger."""

ENDED = Violation(
    "ended",
    "teaching",
    "the function that teaches ended without a result",
    "teach again; the features that were computed are kept",
)


class State(StrEnum):
    """How far a teaching is: under way, or how it ended."""

    RUNNING = "RUNNING"
    PUBLISHED = "PUBLISHED"
    NOT_PUBLISHED = "NOT_PUBLISHED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Teaching:
    """A teaching of `model`, on images of `dataset` and features of a version of a backbone.

    `attempt` counts the deliveries of its event. At the step `features`, `done` of `total` images
    have theirs. `version` is what was published. `problems` say why nothing was, `report` how good
    the head is. Times are ISO 8601 in UTC.
    """

    model: str
    id: str
    dataset: str
    backbone: str
    backbone_version: str
    min_accuracy: float
    started_at: str
    updated_at: str
    state: State = State.RUNNING
    step: str = "reading"
    done: int = 0
    total: int = 0
    version: str | None = None
    problems: tuple[Violation, ...] = ()
    report: Mapping[str, Any] | None = None
    attempt: int = 0

    def as_of(self, now: str) -> "Teaching":
        """What it is now: FAILED if its function must have ended."""
        if self.state is State.RUNNING and self.updated_at < stale(now):
            return replace(self, state=State.FAILED, problems=(ENDED,))
        return self


class Superseded(FacetError):
    """The work goes on elsewhere, or is not wanted any more."""


def stale(now: str) -> str:
    """The time before which a function that ran then has ended by now."""
    limit = datetime.fromisoformat(now) - timedelta(seconds=TIMEOUT)
    return limit.isoformat(timespec="milliseconds")


def utc_now() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Teachings:
    """Reads and writes them. All methods raise botocore's errors if DynamoDB fails."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def find(self, model: str) -> Teaching:
        """The last teaching of a model, as it was written. Raises UnknownTeaching."""
        found = self._table.get_item(Key=_key(model), ConsistentRead=True).get("Item")
        if found is None:
            raise UnknownTeaching(model)
        return _of(found)

    def start(self, teaching: Teaching) -> None:
        """Records a new one in place of the last. Raises TeachingRunning."""
        condition = "attribute_not_exists(#state) OR #state <> :running OR #heard_at < :stale"
        more = {":running": State.RUNNING, ":stale": stale(teaching.updated_at)}
        if not self._write(teaching, condition, more):
            raise TeachingRunning(teaching.model)

    def take_on(self, model: str, teaching_id: str, now: str) -> Teaching:
        """Begins the work, or takes it over: what began it before cannot write any more.

        Raises Superseded if it has ended, or is none that is wanted.
        """
        try:
            answer = self._table.update_item(
                Key=_key(model),
                UpdateExpression="SET heard_at = :now ADD attempt :one",
                ConditionExpression="teaching = :id AND #state = :running AND heard_at >= :stale",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues={
                    ":now": now,
                    ":one": 1,
                    ":id": teaching_id,
                    ":running": State.RUNNING,
                    ":stale": stale(now),
                },
                ReturnValues="ALL_NEW",
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException as error:
            raise Superseded(f"teaching {teaching_id} of '{model}' is not wanted") from error
        return _of(answer["Attributes"])

    def record(self, teaching: Teaching) -> None:
        """Writes how far it is. Raises Superseded if another delivery has taken it over."""
        condition = "#teaching = :id AND #state = :running AND #attempt = :seen"
        more = {":id": teaching.id, ":running": State.RUNNING, ":seen": teaching.attempt}
        if not self._write(teaching, condition, more):
            raise Superseded(f"teaching {teaching.id} of '{teaching.model}' was taken over")

    def _write(self, teaching: Teaching, condition: str, more: Mapping[str, Any]) -> bool:
        item = _item(teaching)
        used = {name for name in ATTRIBUTES if name in item or f"#{name}" in condition}
        changes = ", ".join(f"#{name} = :new_{name}" for name in item)
        try:
            self._table.update_item(
                Key=_key(teaching.model),
                UpdateExpression=f"SET {changes}",
                ConditionExpression=condition,
                ExpressionAttributeNames={f"#{name}": name for name in used},
                ExpressionAttributeValues={
                    **{f":new_{name}": value for name, value in item.items()},
                    **more,
                },
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _key(model: str) -> dict[str, str]:
    return {"model": model, "item": TEACHING_ITEM}


def _item(teaching: Teaching) -> dict[str, Any]:
    """The attributes besides the key."""
    document = asdict(teaching)
    return {
        "teaching": document.pop("id"),
        "state": document.pop("state"),
        "attempt": document.pop("attempt"),
        "heard_at": document.pop("updated_at"),
        "document": b64encode(lzma.compress(json.dumps(document).encode(), preset=PRESET)).decode(),
    }


def _of(item: Mapping[str, Any]) -> Teaching:
    document = json.loads(lzma.decompress(b64decode(item["document"])))
    problems = tuple(Violation(**each) for each in document.pop("problems"))
    return Teaching(
        **document,
        id=item["teaching"],
        state=State(item["state"]),
        attempt=int(item["attempt"]),
        updated_at=item["heard_at"],
        problems=problems,
    )
