"""The READY heads that depend on the versions of a backbone.

Each has an item in the backbone's partition, `item = "head#<its version>#<model>#<version>"`, which
is written and deleted in the transactions that make the head READY and RETIRED. Each acceptance
adds one to `heads_accepted` in the backbone's model item. A writer that finds no heads takes a
version out of service on condition that this number has not changed.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from boto3.dynamodb.conditions import Key

from facet.heads.errors import BackboneInUse
from facet.manifest import BackboneRef, HeadManifest
from facet.registry.models import DELETED_AT, HEADS_ACCEPTED, MODEL_ITEM, Version
from facet.registry.writes import Writes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

Write = dict[str, Any]

HEAD_ITEM = "head#"

FIRST = 5
"""Heads that an error names."""


class Heads(NamedTuple):
    """How many READY versions of heads depend on a backbone; the first ones, by name."""

    number: int
    first: tuple[str, ...]


class Dependents:
    """Knows the heads on each backbone. Raises botocore's errors if DynamoDB fails."""

    def __init__(self, table: "Table") -> None:
        self._table = table
        self._writes = Writes(table)

    def of(self, backbone: str, version: str | None = None) -> Heads:
        """The heads on a version of a backbone, or on any of them."""
        prefix = HEAD_ITEM + (f"{version}#" if version else "")
        query: dict[str, Any] = {
            "KeyConditionExpression": Key("model").eq(backbone) & Key("item").begins_with(prefix),
            "ConsistentRead": True,
        }
        page = self._table.query(**query, Limit=FIRST)
        names = [str(each["item"]).split("#") for each in page["Items"]]
        count = page["Count"]
        while last := page.get("LastEvaluatedKey"):
            page = self._table.query(**query, Select="COUNT", ExclusiveStartKey=last)
            count += page["Count"]
        return Heads(count, tuple(f"{model} {head}" for _, _, model, head in names))

    def check(self, backbone: str, version: str | None = None) -> None:
        """Raises BackboneInUse if heads depend on the version, or on any."""
        heads = self.of(backbone, version)
        if heads.number:
            raise BackboneInUse(backbone, version, heads.number, heads.first)

    def accepted_on(self, backbone: str) -> int:
        """How many heads were accepted so far."""
        key = {"model": backbone, "item": MODEL_ITEM}
        item = self._table.get_item(Key=key, ConsistentRead=True).get("Item", {})
        return int(str(item.get(HEADS_ACCEPTED, 0)))

    def accepted(self, version: Version) -> list[Write]:
        """What the transaction has besides that makes a head READY; nothing for other kinds.

        The backbone's version must be READY.
        """
        if not isinstance(version.manifest, HeadManifest):
            return []
        on = version.manifest.backbone
        return [*self._recorded(version, on), self._writes.still_ready(on.model, on.version)]

    def ended(self, version: Version) -> list[Write]:
        """What the transaction has besides that takes a head out of service."""
        if not isinstance(version.manifest, HeadManifest):
            return []
        return [
            {
                "Delete": {
                    "TableName": self._table.name,
                    "Key": _key(version, version.manifest.backbone),
                }
            }
        ]

    def none_accepted(self, backbone: str, since: int) -> Write:
        """The check that no head was accepted since `accepted_on` answered this."""
        check: Write = {
            "TableName": self._table.name,
            "Key": {"model": backbone, "item": MODEL_ITEM},
            "ConditionExpression": f"attribute_not_exists({HEADS_ACCEPTED})",
        }
        if since:
            check["ConditionExpression"] = f"{HEADS_ACCEPTED} = :since"
            check["ExpressionAttributeValues"] = {":since": since}
        return {"ConditionCheck": check}

    def _recorded(self, head: Version, on: BackboneRef) -> list[Write]:
        exists = f"attribute_exists(model) AND attribute_not_exists({DELETED_AT})"
        return [
            {"Put": {"TableName": self._table.name, "Item": _key(head, on)}},
            {
                "Update": {
                    "TableName": self._table.name,
                    "Key": {"model": on.model, "item": MODEL_ITEM},
                    "UpdateExpression": f"ADD {HEADS_ACCEPTED} :one",
                    "ConditionExpression": exists,
                    "ExpressionAttributeValues": {":one": 1},
                }
            },
        ]


def _key(head: Version, on: BackboneRef) -> dict[str, str]:
    return {"model": on.model, "item": f"{HEAD_ITEM}{on.version}#{head.model}#{head.id}"}
