"""Attempts at an upload: how often onboarding began, and how it failed, until there is a result.

Each upload in progress has one item in its model's partition, `item = "upload#<object version>"`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

UPLOAD_ITEM = "upload#"


@dataclass(frozen=True)
class Attempt:
    """An attempt that has begun, and what is known of those before it.

    `begun` counts all, `failed` those that recorded an error; the others ended without recording an
    error, or still run. `failure` names the last error, `same` is how many in a row had that name.
    `first_at` is when the first one began, ISO 8601.
    """

    model: str
    upload: str
    first_at: str
    begun: int = 1
    failed: int = 0
    failure: str | None = None
    same: int = 0

    def in_a_row(self, failure: str) -> int:
        """How many attempts in a row have failed in this way, with the present one."""
        return self.same + 1 if failure == self.failure else 1


class Attempts:
    """The attempts at uploads without a result. Raises botocore's errors if DynamoDB fails."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def begin(self, model: str, upload: str, now: str) -> Attempt:
        """Counts one more attempt."""
        answer = self._table.update_item(
            Key=_key(model, upload),
            UpdateExpression="SET first_at = if_not_exists(first_at, :now) ADD begun :one",
            ExpressionAttributeValues={":now": now, ":one": 1},
            ReturnValues="ALL_NEW",
        )
        item = answer["Attributes"]
        return Attempt(
            model=model,
            upload=upload,
            first_at=str(item["first_at"]),
            begun=int(str(item["begun"])),
            failed=int(str(item.get("failed", 0))),
            failure=str(item["failure"]) if "failure" in item else None,
            same=int(str(item.get("same", 0))),
        )

    def fail(self, attempt: Attempt, failure: str) -> None:
        """Records how the attempt failed; nothing if another delivery has a result already."""
        try:
            self._table.update_item(
                Key=_key(attempt.model, attempt.upload),
                UpdateExpression="SET failure = :failure, same = :same ADD failed :one",
                ConditionExpression="attribute_exists(model)",
                ExpressionAttributeValues={
                    ":failure": failure,
                    ":same": attempt.in_a_row(failure),
                    ":one": 1,
                },
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return

    def end(self, model: str, upload: str) -> None:
        """Forgets the attempts at an upload that has a result."""
        self._table.delete_item(Key=_key(model, upload))


def _key(model: str, upload: str) -> dict[str, str]:
    return {"model": model, "item": UPLOAD_ITEM + upload}
