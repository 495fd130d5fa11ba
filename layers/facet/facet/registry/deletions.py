"""Deletion of a model's name from the registry: the model, its versions and its attempts.

The model's item stays, invisible, with the number of deletions. A writer that saw another number
loses, so that an onboarding under way cannot bring the name back; a new upload can.
"""

from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr, Key

from facet.errors import RegistryConflict
from facet.registry.attempts import UPLOAD_ITEM
from facet.registry.heads.dependents import Dependents
from facet.registry.models import (
    CANARY_COUNTS,
    DELETED_AT,
    HEADS_ACCEPTED,
    MODEL_ITEM,
    VERSION_ITEM,
    Version,
)
from facet.registry.store import Registry
from facet.registry.teachings import TEACHING_ITEM
from facet.registry.writes import Writes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

OF_MODEL = (
    "kind",
    "live",
    "previous",
    "policy",
    "percent",
    "good_answers",
    "candidate",
    "canary_percent",
    "canary_good_answers",
    *CANARY_COUNTS,
    "rolled_back",
    "newest",
    "artifact_kind",
    "run_in",
    HEADS_ACCEPTED,
    "updated_at",
)
"""The attributes that a model's item loses."""


class Deletions:
    """Deletes names. All methods raise botocore's errors if DynamoDB fails."""

    def __init__(self, table: "Table") -> None:
        self._table = table
        self._registry = Registry(table)
        self._writes = Writes(table)
        self._dependents = Dependents(table)

    def heads(self, model: str) -> int:
        """How many READY versions of heads depend on the model."""
        return self._dependents.of(model).number

    def mark(self, model: str, now: str) -> None:
        """Makes the model unknown; nothing if there is none.

        Raises BackboneInUse if heads depend on it, RegistryConflict if one was just accepted.
        """
        accepted = self._dependents.accepted_on(model)
        self._dependents.check(model)
        none_since = (
            Attr(HEADS_ACCEPTED).eq(accepted) if accepted else Attr(HEADS_ACCEPTED).not_exists()
        )
        names = {f"#{at}": name for at, name in enumerate(OF_MODEL)}
        try:
            self._table.update_item(
                Key={"model": model, "item": MODEL_ITEM},
                UpdateExpression=f"SET {DELETED_AT} = :now REMOVE {', '.join(names)} "
                "ADD deletions :one",
                ConditionExpression=Attr("model").exists() & none_since,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={":now": now, ":one": 1},
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException as error:
            if self._dependents.accepted_on(model) != accepted:
                raise RegistryConflict(
                    f"a head on {model} was accepted at the same time"
                ) from error

    def retire(self, version: Version, now: str) -> Version | None:
        """Takes the version out of service, whatever its status; None if it changed meanwhile, or
        if heads depend on it, which were accepted after a new upload made the model again.
        """
        known = self._registry.find(version.model, version.id)
        while known and known.object_version == version.object_version:
            writes = [self._writes.retired(known, now), *self._dependents.ended(known)]
            if known.kind == "backbone":
                accepted = self._dependents.accepted_on(known.model)
                if self._dependents.of(known.model, known.id).number:
                    return None
                writes.append(self._dependents.none_accepted(known.model, accepted))
            try:
                self._writes.commit(writes, known.target)
            except RegistryConflict:
                known = self._registry.find(version.model, version.id)
                continue
            return self._registry.find(version.model, version.id)
        return None

    def remove(self, version: Version) -> None:
        """Deletes the version's item, unless it changed meanwhile."""
        same = Attr("status").eq(version.status) & Attr("updated_at").eq(version.updated_at)
        try:
            self._table.delete_item(
                Key={"model": version.model, "item": VERSION_ITEM + version.id},
                ConditionExpression=same,
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return

    def forget_teaching(self, model: str) -> None:
        """Deletes how the model was taught last. One that is under way publishes nothing."""
        self._table.delete_item(Key={"model": model, "item": TEACHING_ITEM})

    def forget_attempts(self, model: str, uploads: set[str]) -> None:
        """Deletes what is recorded of attempts at these uploads (object versions)."""
        query: dict[str, Any] = {
            "KeyConditionExpression": Key("model").eq(model) & Key("item").begins_with(UPLOAD_ITEM)
        }
        for item in self._table.query(**query)["Items"]:
            if str(item["item"]).removeprefix(UPLOAD_ITEM) in uploads:
                self._table.delete_item(Key={"model": model, "item": item["item"]})
