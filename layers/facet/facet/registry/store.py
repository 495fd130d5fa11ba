"""The registry's store: reads and conditional writes of models and versions in DynamoDB.

One DynamoDB table. A model's items share its name as partition key (`model`): one item
`item = "model"` for the model, and one `item = "version#<id>"` for each version. The index
`models` lists items with a `kind`: the models, and the versions that are not settled yet. Only
`facet.registry.releases` changes which version is live.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import ConditionBase, Key
from botocore.exceptions import ClientError

from facet.errors import NoLiveVersion, RegistryConflict, UnknownModel, UnknownVersion
from facet.registry.models import (
    MISNAMED,
    MODEL_ITEM,
    UNSETTLED,
    VERSION_ITEM,
    Mode,
    Model,
    Serving,
    Status,
    Version,
    is_model,
    item_of,
    model_of,
    version_of,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


SEARCH_PAGES = 4
"""Pages that one search reads: about 20,000 models."""


class Registry:
    """Reads, and conditional writes of versions. All raise botocore's errors if DynamoDB fails."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def model(self, name: str) -> Model:
        """The model of that name. Raises UnknownModel."""
        item = self._get(name, MODEL_ITEM)
        if item is None:
            raise UnknownModel(name)
        return model_of(item)

    def find(self, model: str, version: str) -> Version | None:
        """That version whatever its status, or None."""
        item = self._get(model, VERSION_ITEM + version)
        return version_of(item) if item else None

    def ready(self, model: str, version: str) -> Version:
        """That version, which must be READY. Raises UnknownModel, UnknownVersion."""
        found = self.find(model, version)
        if found is None or found.status is not Status.READY:
            self.model(model)
            raise UnknownVersion(model, version)
        return found

    def live(self, name: str) -> Version:
        """The version that predictions use. Raises UnknownModel, UnknownVersion, NoLiveVersion."""
        return self._live(name)[1]

    def serving(self, name: str) -> Serving:
        """The live version, and the candidate where a canary is under way.

        Raises as `live`.
        """
        model, live = self._live(name)
        candidate = model.canary and self.find(name, model.canary.candidate)
        if candidate and candidate.status is Status.READY:
            return Serving(model, live, candidate)
        return Serving(model, live)

    def _live(self, name: str) -> tuple[Model, Version]:
        """The model is read again where its live version changed between the two reads."""
        model = self.model(name)
        while (live := model.live) is not None:
            found = self.find(name, live)
            if found and found.status is Status.READY:
                return model, found
            model = self.model(name)
            if model.live == live:
                raise UnknownVersion(name, live)
        raise self._none_live(name)

    def _none_live(self, name: str) -> NoLiveVersion:
        versions = self.versions(name)
        proven = next((each.id for each in versions if each.status is Status.READY), None)
        violations = versions[0].violations if versions else ()
        retired = bool(versions) and versions[0].status is Status.RETIRED
        return NoLiveVersion(name, violations, proven=proven, pending=not retired)

    def versions(self, model: str) -> list[Version]:
        """All versions of a model, the newest upload first."""
        key = Key("model").eq(model) & Key("item").begins_with(VERSION_ITEM)
        found = map(version_of, self._pages(KeyConditionExpression=key, ConsistentRead=True))
        return sorted(found, key=lambda each: each.order, reverse=True)

    def models(self, limit: int, after: str | None = None) -> tuple[list[Model], str | None]:
        """One page of models by name, and the name to continue `after`, or None at the end."""
        items, following = self._models_page(after, {"Limit": limit})
        return [model_of(item) for item in items], following

    def search(
        self, text: str, limit: int, after: str | None = None, pages: int = SEARCH_PAGES
    ) -> tuple[list[Model], str | None]:
        """As `models`, of those whose name contains `text`.

        DynamoDB filters no keys, so all names are read, up to `pages` of its pages of 1 MB.
        A search that ends there has fewer than `limit` models, and a name to continue after.
        """
        found: list[Model] = []
        for _ in range(pages):
            items, following = self._models_page(after, {})
            for item in items:
                if text in item["model"]:
                    if len(found) == limit:
                        return found, found[-1].name
                    found.append(model_of(item))
            if following is None:
                return found, None
            after = following
        return found, after

    def _models_page(
        self, after: str | None, query: dict[str, Any]
    ) -> tuple[list[Mapping[str, Any]], str | None]:
        query = {**_of_kind(MODEL_ITEM), **query}
        if after:
            query["ExclusiveStartKey"] = {"kind": MODEL_ITEM, "model": after, "item": MODEL_ITEM}
        page = self._table.query(**query)
        last = page.get("LastEvaluatedKey")
        return list(page["Items"]), str(last["model"]) if last else None

    def unsettled(self, status: Status) -> Iterator[Version]:
        """All models' versions that are PENDING, or RETIRED with an artifact to be deleted."""
        return map(version_of, self._pages(**_of_kind(UNSETTLED[status])))

    def misnamed(self) -> Iterator[Version]:
        """The rejected uploads with a name that no model can have, by name."""
        return map(version_of, self._pages(**_of_kind(MISNAMED)))

    def begin(self, version: Version) -> None:
        """Records a PENDING version, and its model where that is new.

        A version that is READY already stays so. Raises RegistryConflict then.
        """
        self._add_model(version)
        self._put_unless_ready(version)

    def reject(self, version: Version) -> None:
        """Records a REJECTED version with its violations, and its model where that is new.

        A name that no model can have gets no model. Raises RegistryConflict if the version is
        READY.
        """
        if is_model(version.model):
            self._add_model(version)
        self._put_unless_ready(version)

    def uploaded_again(self, version: Version, order: str) -> None:
        """Records the `order` of a later upload of a READY version's bytes; nothing otherwise."""
        try:
            self._table.update_item(
                Key={"model": version.model, "item": VERSION_ITEM + version.id},
                UpdateExpression="SET again = :order",
                ConditionExpression="#status = :ready",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={":order": order, ":ready": Status.READY},
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return

    def settle(self, version: Version) -> None:
        """Records that a RETIRED version's artifact is deleted. Raises RegistryConflict."""
        try:
            self._table.update_item(
                Key={"model": version.model, "item": VERSION_ITEM + version.id},
                UpdateExpression="REMOVE kind",
                ConditionExpression="#status = :retired",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={":retired": Status.RETIRED},
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException as error:
            raise RegistryConflict(f"{version.target} is not RETIRED any more") from error

    def _add_model(self, version: Version) -> None:
        self._table.update_item(
            Key={"model": version.model, "item": MODEL_ITEM},
            UpdateExpression="SET kind = :kind, #policy = if_not_exists(#policy, :auto), "
            "updated_at = if_not_exists(updated_at, :now)",
            ExpressionAttributeNames={"#policy": "policy"},
            ExpressionAttributeValues={
                ":kind": MODEL_ITEM,
                ":auto": Mode.AUTO,
                ":now": version.updated_at,
            },
        )

    def _put_unless_ready(self, version: Version) -> None:
        try:
            self._table.put_item(**unless_ready(version))
        except self._table.meta.client.exceptions.ConditionalCheckFailedException as error:
            raise RegistryConflict(f"{version.target} is READY already") from error

    def _get(self, model: str, item: str) -> Mapping[str, Any] | None:
        answer = self._table.get_item(Key={"model": model, "item": item}, ConsistentRead=True)
        return answer.get("Item")

    def _pages(self, **query: Any) -> Iterator[Mapping[str, Any]]:
        page = self._table.query(**query)
        yield from page["Items"]
        while last := page.get("LastEvaluatedKey"):
            page = self._table.query(**query, ExclusiveStartKey=last)
            yield from page["Items"]


def unless_ready(version: Version) -> dict[str, Any]:
    """The write of a version that leaves a READY one as it is."""
    return {
        "Item": item_of(version),
        "ConditionExpression": "attribute_not_exists(model) OR #status <> :ready",
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": {":ready": Status.READY},
    }


def _of_kind(kind: str) -> dict[str, str | ConditionBase]:
    return {"IndexName": "models", "KeyConditionExpression": Key("kind").eq(kind)}


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
            code = error.response["Error"]["Code"]
            if code != "TransactionCanceledException" or "Item size" in str(error):
                raise
            raise RegistryConflict(
                f"another writer changed {subject} at the same time; try again"
            ) from error
