"""The registry's store: reads and conditional writes of models and versions in DynamoDB.

One DynamoDB table. A model's items share its name as partition key (`model`): one item
`item = "model"` for the model, and one `item = "version#<id>"` for each version. The index
`models` lists items with a `kind`: the models, and the versions that are not settled yet. Only
`facet.registry.releases` changes which version is live.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr, ConditionBase, Key

from facet.errors import RegistryConflict, UnknownModel, UnknownVersion
from facet.registry.items import item_of, model_of, version_of
from facet.registry.models import (
    DELETED_AT,
    MISNAMED,
    MODEL_ITEM,
    UNPROVEN,
    UNSETTLED,
    VERSION_ITEM,
    Model,
    RunIn,
    Serving,
    Status,
    Version,
    is_model,
)
from facet.registry.reasons import none_live
from facet.registry.writes import Change, Writes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


NEIGHBOURS = 50
PROVEN = ("proven_in", "not_proven", "function_seconds", "max_batch_size", "kind")
"""The attributes of a version's item that its proofs decide."""

SEARCH_PAGES = 4
"""Pages that one search reads: about 20,000 models."""


class Registry:
    """Reads, and conditional writes of versions. All raise botocore's errors if DynamoDB fails."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def model(self, name: str) -> Model:
        """The model of that name. Raises UnknownModel."""
        item = self._get(name, MODEL_ITEM)
        if item is None or DELETED_AT in item:
            raise UnknownModel(name)
        return model_of(item)

    def deletions(self, name: str) -> int:
        """How often a model of that name was deleted."""
        return int((self._get(name, MODEL_ITEM) or {}).get("deletions", 0))

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
        raise none_live(name, self.versions(name))

    def versions(self, model: str) -> list[Version]:
        """All versions of a model, the newest upload first."""
        key = Key("model").eq(model) & Key("item").begins_with(VERSION_ITEM)
        found = map(version_of, self._pages(KeyConditionExpression=key, ConsistentRead=True))
        return sorted(found, key=lambda each: each.order, reverse=True)

    def models(self, limit: int, after: str | None = None) -> tuple[list[Model], str | None]:
        """One page of models by name, and the name to continue `after`, or None at the end."""
        items, following = self._models_page(after, {"Limit": limit})
        return [model_of(item) for item in items], following

    def neighbours(self, name: str) -> list[str]:
        """The names of models around this one in the order of names, `NEIGHBOURS` on each side."""
        here = f"{name} "  # sorts directly behind the name, which counts as its own neighbour
        sides = (
            self._models_page(here, {"Limit": NEIGHBOURS, "ScanIndexForward": forward})[0]
            for forward in (True, False)
        )
        return [item["model"] for items in sides for item in items]

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

    def unproven(self, start: str) -> Iterator[Version]:
        """All models' READY versions with a proof to come in another place.

        They begin with the model `start`, or the next one by name; those before it come last.
        """
        for half in (Key("model").gte(start), Key("model").lt(start)):
            query = {
                "IndexName": "models",
                "KeyConditionExpression": Key("kind").eq(UNPROVEN) & half,
            }
            yield from map(version_of, self._pages(**query))

    def misnamed(self) -> Iterator[Version]:
        """The rejected uploads with a name that no model can have, by name."""
        return map(version_of, self._pages(**_of_kind(MISNAMED)))

    def begin(self, version: Version, deletions: int | None = None) -> None:
        """Records a PENDING version, and its model where that is new.

        A version that is READY already stays so. With `deletions`, the model must have been deleted
        so often and not once more. Raises RegistryConflict otherwise.
        """
        self._record(version, deletions)

    def reject(self, version: Version, deletions: int | None = None) -> None:
        """Records a REJECTED version with its violations, and its model where that is new.

        A name that no model can have gets no model. Raises RegistryConflict as `begin`.
        """
        self._record(version, deletions)

    def _record(self, version: Version, deletions: int | None) -> None:
        writes = Writes(self._table)
        recorded = [writes.unless_ready(version)]
        if is_model(version.model):
            recorded.append(writes.model_of(version, deletions))
        writes.commit(recorded, version.target)

    def postpone(self, after: Version) -> bool:
        """Records that a PENDING version waits for the endpoint, and why, as in `after`.

        Returns False if it has a result meanwhile, or another upload of the same bytes has begun.
        """
        object_version = Attr("object_version")
        known = after.object_version
        same = object_version.eq(known) if known else object_version.not_exists()
        return self._update(after, Status.PENDING, ("postponed_at", "not_proven"), same)

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

    def record_litert(self, after: Version) -> bool:
        """Records what a READY version's artifact has of a LiteRT model, as in `after`.

        Returns False if it is not READY any more.
        """
        names = ("litert_size", "litert_sha256", "not_proven", "kind")
        return self._update(after, Status.READY, names)

    def record_proof(self, before: Version, after: Version) -> bool:
        """Records where a READY version is proven, and where it failed its proof, as in `after`.

        Returns False if either was changed since it was read as `before`.
        """
        known = Attr("litert_sha256")
        same = known.eq(before.litert_sha256) if before.litert_sha256 else known.not_exists()
        proven = Attr("proven_in").not_exists() | Attr("proven_in").eq(dict(before.proven_in))
        return self._update(after, Status.READY, PROVEN, proven & same)

    def _update(
        self,
        after: Version,
        status: Status,
        names: Sequence[str],
        condition: ConditionBase | None = None,
    ) -> bool:
        """Writes these attributes as `after` has them, if the version has that status."""
        item = item_of(after)
        kept = {name: item[name] for name in names if name in item}
        change = "SET " + ", ".join(f"#{name} = :{name}" for name in kept)
        if lost := [name for name in names if name not in kept]:
            change += " REMOVE " + ", ".join(f"#{name}" for name in lost)
        same: ConditionBase = Attr("status").eq(status)
        try:
            self._table.update_item(
                Key={"model": after.model, "item": item["item"]},
                UpdateExpression=change,
                ConditionExpression=same & condition if condition else same,
                ExpressionAttributeNames={f"#{name}": name for name in names},
                ExpressionAttributeValues={f":{name}": value for name, value in kept.items()},
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def set_run_in(self, model: str, run_in: RunIn | None, now: str) -> Model:
        """Sets where the model's versions are to run; None: where the stack says.

        Returns the model as it was. Raises UnknownModel, RegistryConflict.
        """
        before = self.model(model)
        change = Change({"run_in": run_in, "updated_at": now}, () if run_in else ("run_in",))
        writes = Writes(self._table)
        writes.commit([writes.update(model, change, {})], model)
        return before

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

    def _get(self, model: str, item: str) -> Mapping[str, Any] | None:
        answer = self._table.get_item(Key={"model": model, "item": item}, ConsistentRead=True)
        return answer.get("Item")

    def _pages(self, **query: Any) -> Iterator[Mapping[str, Any]]:
        page = self._table.query(**query)
        yield from page["Items"]
        while last := page.get("LastEvaluatedKey"):
            page = self._table.query(**query, ExclusiveStartKey=last)
            yield from page["Items"]


def _of_kind(kind: str) -> dict[str, str | ConditionBase]:
    return {"IndexName": "models", "KeyConditionExpression": Key("kind").eq(kind)}
