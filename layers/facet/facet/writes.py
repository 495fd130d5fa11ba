"""The parts of a transaction on the registry, and its commit."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from facet.errors import RegistryConflict
from facet.records import MODEL_ITEM, VERSION_ITEM, Status, Version, item_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


@dataclass(frozen=True)
class Change:
    """Attributes of a model's item to set (None: to leave) and to remove."""

    set: Mapping[str, object]
    remove: tuple[str, ...] = ()


class Writes:
    """Builds conditional writes to one table and commits them together."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def accepted(self, version: Version) -> dict[str, Any]:
        """A version as READY, on condition that it is PENDING, and of the same drop.

        So nobody refused it meanwhile, or began with the same bytes of another upload.
        """
        values: dict[str, object] = {":pending": Status.PENDING}
        same_drop = "attribute_not_exists(#drop)"
        if version.drop is not None:
            same_drop, values[":drop"] = "#drop = :drop", version.drop
        return {
            "Put": {
                "TableName": self._table.name,
                "Item": item_of(version),
                "ConditionExpression": f"#status = :pending AND {same_drop}",
                "ExpressionAttributeNames": {"#status": "status", "#drop": "drop"},
                "ExpressionAttributeValues": values,
            }
        }

    def update(self, model: str, change: Change, seen: Mapping[str, str | None]) -> dict[str, Any]:
        """The update of a model's item on condition that it is as it was seen."""
        kept = {name: value for name, value in change.set.items() if value is not None}
        remove = tuple(dict.fromkeys(name for name in change.remove if name not in kept))
        conditions = ["attribute_exists(model)"]
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
            if error.response["Error"]["Code"] != "TransactionCanceledException":
                raise
            raise RegistryConflict(
                f"another writer changed {subject} at the same time; try again"
            ) from error
