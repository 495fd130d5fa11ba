"""The registry's conditional writes to DynamoDB, built one by one and committed together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from facet.errors import RegistryConflict
from facet.registry.items import item_of
from facet.registry.models import DELETED_AT, MODEL_ITEM, VERSION_ITEM, Mode, Status, Version

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


CONFLICTS = ("None", "ConditionalCheckFailed", "TransactionConflict")
"""Reasons of a transaction's writes if another writer was faster; a write without fault has None.

Others, such as ValidationError for an item that is too large, are no conflict.
"""


@dataclass(frozen=True)
class Change:
    """Attributes of a model's item to set (None: to leave) and to remove."""

    set: Mapping[str, object]
    remove: tuple[str, ...] = ()


class Writes:
    """Builds conditional writes to one table and commits them together."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def unless_ready(self, version: Version) -> dict[str, Any]:
        """A version, which leaves a READY one as it is."""
        return {
            "Put": {
                "TableName": self._table.name,
                "Item": item_of(version),
                "ConditionExpression": "attribute_not_exists(model) OR #status <> :ready",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {":ready": Status.READY},
            }
        }

    def model_of(self, version: Version, deletions: int | None) -> dict[str, Any]:
        """The version's model, new or again, on condition of its `deletions` if they are given."""
        values: dict[str, object] = {
            ":kind": MODEL_ITEM,
            ":auto": Mode.AUTO,
            ":now": version.updated_at,
        }
        update = {
            "TableName": self._table.name,
            "Key": {"model": version.model, "item": MODEL_ITEM},
            "UpdateExpression": "SET kind = :kind, #policy = if_not_exists(#policy, :auto), "
            f"updated_at = if_not_exists(updated_at, :now) REMOVE {DELETED_AT}",
            "ExpressionAttributeNames": {"#policy": "policy"},
            "ExpressionAttributeValues": values,
        }
        if deletions == 0:
            update["ConditionExpression"] = "attribute_not_exists(deletions)"
        elif deletions is not None:
            update["ConditionExpression"] = "deletions = :deletions"
            values[":deletions"] = deletions
        return {"Update": update}

    def accepted(self, version: Version) -> dict[str, Any]:
        """A version as READY, on condition that it is PENDING, and of the same upload.

        It was neither rejected meanwhile nor begun by another upload of the same bytes.
        """
        values: dict[str, object] = {":pending": Status.PENDING}
        same_object = "attribute_not_exists(#object)"
        if version.object_version is not None:
            same_object, values[":object"] = "#object = :object", version.object_version
        return {
            "Put": {
                "TableName": self._table.name,
                "Item": item_of(version),
                "ConditionExpression": f"#status = :pending AND {same_object}",
                "ExpressionAttributeNames": {"#status": "status", "#object": "object_version"},
                "ExpressionAttributeValues": values,
            }
        }

    def update(
        self, model: str, change: Change, seen: Mapping[str, str | int | None]
    ) -> dict[str, Any]:
        """The update of a model's item on condition that it is as it was seen, and not deleted."""
        kept = {name: value for name, value in change.set.items() if value is not None}
        remove = tuple(dict.fromkeys(name for name in change.remove if name not in kept))
        conditions = ["attribute_exists(model)", f"attribute_not_exists({DELETED_AT})"]
        conditions += [
            f"attribute_not_exists(#{name})" if value is None else f"#{name} = :seen_{name}"
            for name, value in seen.items()
        ]
        names = {*kept, *remove, *seen}
        expression = "SET " + ", ".join(f"#{name} = :{name}" for name in kept)
        if remove:
            expression += " REMOVE " + ", ".join(f"#{name}" for name in remove)
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": {"model": model, "item": MODEL_ITEM},
                "UpdateExpression": expression,
                "ConditionExpression": " AND ".join(conditions),
                "ExpressionAttributeNames": {f"#{name}": name for name in names},
                "ExpressionAttributeValues": {
                    **{f":{name}": value for name, value in kept.items()},
                    **{f":seen_{name}": value for name, value in seen.items() if value is not None},
                },
            }
        }

    def not_deleted(self, model: str, deletions: int) -> dict[str, Any]:
        """The check that a model exists, and was deleted so often and not once more."""
        condition = f"attribute_exists(model) AND attribute_not_exists({DELETED_AT}) AND "
        values = {}
        if deletions:
            condition, values = condition + "deletions = :deletions", {":deletions": deletions}
        else:
            condition += "attribute_not_exists(deletions)"
        check = {
            "TableName": self._table.name,
            "Key": {"model": model, "item": MODEL_ITEM},
            "ConditionExpression": condition,
        }
        if values:
            check["ExpressionAttributeValues"] = values
        return {"ConditionCheck": check}

    def still_ready(self, model: str, version: str) -> dict[str, Any]:
        """The check that a version may answer predictions."""
        return {
            "ConditionCheck": {
                "TableName": self._table.name,
                "Key": {"model": model, "item": VERSION_ITEM + version},
                "ConditionExpression": "#status = :ready",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {":ready": Status.READY},
            }
        }

    def retired(self, version: Version, now: str) -> dict[str, Any]:
        """A version as RETIRED, on condition that it was not written since it was read."""
        retired = replace(version, status=Status.RETIRED, updated_at=now)
        return {
            "Put": {
                "TableName": self._table.name,
                "Item": item_of(retired),
                "ConditionExpression": "#status = :status AND #at = :at",
                "ExpressionAttributeNames": {"#status": "status", "#at": "updated_at"},
                "ExpressionAttributeValues": {
                    ":status": version.status,
                    ":at": version.updated_at,
                },
            }
        }

    def commit(self, writes: list[dict[str, Any]], subject: str) -> None:
        """All of them or none. Raises RegistryConflict where a condition does not hold."""
        try:
            self._table.meta.client.transact_write_items(TransactItems=writes)  # type: ignore[arg-type]
        except ClientError as error:
            if not _is_conflict(error):
                raise
            raise RegistryConflict(
                f"another writer changed {subject} at the same time; try again"
            ) from error


def _is_conflict(error: ClientError) -> bool:
    response: Mapping[str, Any] = error.response
    if response["Error"]["Code"] != "TransactionCanceledException":
        return False
    reasons = response.get("CancellationReasons", [])
    return all((each.get("Code") or "None") in CONFLICTS for each in reasons)
