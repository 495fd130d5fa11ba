"""The registry: which models there are, their versions, and which of them is live.

One DynamoDB table. A model's items share its name as partition key (`model`): one item
`item = "model"` for the model, and one `item = "version#<id>"` for each version. Only the model's
item carries `kind`, the key of the index `models` that lists them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

from facet.errors import (
    NoLiveVersion,
    RegistryConflict,
    UnknownModel,
    UnknownVersion,
    Violation,
)
from facet.manifest import Manifest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

MODEL_ITEM = "model"
VERSION_ITEM = "version#"


class Status(StrEnum):
    """The life of a version."""

    PENDING = "PENDING"
    READY = "READY"
    REJECTED = "REJECTED"
    RETIRED = "RETIRED"


@dataclass(frozen=True)
class Model:
    """A model: a name, and the versions that predictions use now and used before."""

    name: str
    live: str | None = None
    previous: str | None = None
    policy: str = "auto"
    updated_at: str = ""


@dataclass(frozen=True)
class Version:
    """One immutable artifact of a model.

    `id` is the first 12 hex digits of `sha256`, `size` its bytes. `dropped_at` is when S3 took
    the upload, `updated_at` when the status last changed; both ISO 8601 in UTC. `proof` says how
    the endpoint proved it: `golden` or `smoke`.
    """

    model: str
    id: str
    status: Status
    sha256: str
    size: int
    dropped_at: str
    updated_at: str = ""
    manifest: Manifest | None = None
    proof: str | None = None
    violations: tuple[Violation, ...] = ()

    @property
    def target(self) -> str:
        """SageMaker's TargetModel for it: its key under the endpoint's prefix."""
        return f"{self.model}/{self.id}.tar.gz"


class Registry:
    """Reads and conditional writes. All raise botocore's errors when DynamoDB fails."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def model(self, name: str) -> Model:
        """The model of that name. Raises UnknownModel."""
        item = self._get(name, MODEL_ITEM)
        if item is None:
            raise UnknownModel(name)
        return _model(item)

    def find(self, model: str, version: str) -> Version | None:
        """That version whatever its status, or None."""
        item = self._get(model, VERSION_ITEM + version)
        return _version(item) if item else None

    def ready(self, model: str, version: str) -> Version:
        """That version, which must be READY. Raises UnknownModel, UnknownVersion."""
        found = self.find(model, version)
        if found is None or found.status is not Status.READY:
            self.model(model)
            raise UnknownVersion(model, version)
        return found

    def live(self, name: str) -> Version:
        """The version that predictions use. Raises UnknownModel, NoLiveVersion."""
        model = self.model(name)
        if model.live is None:
            newest = next(iter(self.versions(name)), None)
            raise NoLiveVersion(name, newest.violations if newest else ())
        return self.ready(name, model.live)

    def versions(self, model: str) -> list[Version]:
        """All versions of a model, the newest drop first."""
        key = Key("model").eq(model) & Key("item").begins_with(VERSION_ITEM)
        items: list[Mapping[str, Any]] = []
        page = self._table.query(KeyConditionExpression=key, ConsistentRead=True)
        items += page["Items"]
        while last := page.get("LastEvaluatedKey"):
            page = self._table.query(
                KeyConditionExpression=key, ConsistentRead=True, ExclusiveStartKey=last
            )
            items += page["Items"]
        return sorted(map(_version, items), key=lambda each: each.dropped_at, reverse=True)

    def models(self, limit: int, after: str | None = None) -> tuple[list[Model], str | None]:
        """One page of models by name, and the name to continue `after`, or None at the end."""
        query: dict[str, Any] = {
            "IndexName": "models",
            "KeyConditionExpression": Key("kind").eq(MODEL_ITEM),
            "Limit": limit,
        }
        if after:
            query["ExclusiveStartKey"] = {"kind": MODEL_ITEM, "model": after, "item": MODEL_ITEM}
        page = self._table.query(**query)
        last = page.get("LastEvaluatedKey")
        return [_model(item) for item in page["Items"]], str(last["model"]) if last else None

    def begin(self, version: Version) -> None:
        """Records a PENDING version, and its model where that is new.

        A version that is READY already stays so. Raises RegistryConflict then.
        """
        self._add_model(version)
        self._put_unless_ready(version)

    def reject(self, version: Version) -> None:
        """Records a REJECTED version with its violations, and its model where that is new.

        Raises RegistryConflict if the version is READY.
        """
        self._add_model(version)
        self._put_unless_ready(version)

    def _add_model(self, version: Version) -> None:
        self._table.update_item(
            Key={"model": version.model, "item": MODEL_ITEM},
            UpdateExpression="SET kind = :kind, #policy = if_not_exists(#policy, :auto), "
            "updated_at = if_not_exists(updated_at, :now)",
            ExpressionAttributeNames={"#policy": "policy"},
            ExpressionAttributeValues={
                ":kind": MODEL_ITEM,
                ":auto": "auto",
                ":now": version.updated_at,
            },
        )

    def promote(self, version: Version) -> bool:
        """Makes a PENDING version READY and live, in one transaction.

        A version whose drop is older than the live one's becomes READY only; answers whether it
        went live. Raises RegistryConflict where another writer came between.
        """
        item = self._get(version.model, MODEL_ITEM) or {}
        newer = version.dropped_at >= str(item.get("live_dropped_at", ""))
        writes: list[Any] = [{"Put": self._unless_ready(version)}]
        if newer:
            writes.append({"Update": self._alias(version, item.get("live"))})
        try:
            self._table.meta.client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionCanceledException":
                raise
            raise RegistryConflict(
                f"another writer changed {version.target} at the same time; try again"
            ) from error
        return newer

    def _alias(self, version: Version, live: object) -> dict[str, Any]:
        values: dict[str, Any] = {
            ":live": version.id,
            ":dropped": version.dropped_at,
            ":now": version.updated_at,
        }
        change = "SET live = :live, live_dropped_at = :dropped, updated_at = :now"
        condition = "attribute_not_exists(live)"
        if live is not None:
            values[":seen"] = live
            change += ", previous = :seen"
            condition = "live = :seen"
        return {
            "TableName": self._table.name,
            "Key": {"model": version.model, "item": MODEL_ITEM},
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }

    def _unless_ready(self, version: Version) -> dict[str, Any]:
        return {
            "TableName": self._table.name,
            "Item": _item(version),
            "ConditionExpression": "attribute_not_exists(model) OR #status <> :ready",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":ready": Status.READY},
        }

    def _put_unless_ready(self, version: Version) -> None:
        put = self._unless_ready(version)
        del put["TableName"]
        try:
            self._table.put_item(**put)
        except self._table.meta.client.exceptions.ConditionalCheckFailedException as error:
            raise RegistryConflict(f"{version.target} is READY already") from error

    def _get(self, model: str, item: str) -> Mapping[str, Any] | None:
        answer = self._table.get_item(Key={"model": model, "item": item}, ConsistentRead=True)
        return answer.get("Item")


def _model(item: Mapping[str, Any]) -> Model:
    return Model(
        name=item["model"],
        live=item.get("live"),
        previous=item.get("previous"),
        policy=item["policy"],
        updated_at=item["updated_at"],
    )


def _version(item: Mapping[str, Any]) -> Version:
    manifest = item.get("manifest")
    return Version(
        model=item["model"],
        id=item["item"].removeprefix(VERSION_ITEM),
        status=Status(item["status"]),
        sha256=item["sha256"],
        size=int(item["size"]),
        dropped_at=item["dropped_at"],
        updated_at=item["updated_at"],
        manifest=Manifest.model_validate_json(manifest) if manifest else None,
        proof=item.get("proof"),
        violations=tuple(Violation(**each) for each in item.get("violations", ())),
    )


def _item(version: Version) -> dict[str, Any]:
    item: dict[str, Any] = {
        "model": version.model,
        "item": VERSION_ITEM + version.id,
        "status": version.status,
        "sha256": version.sha256,
        "size": version.size,
        "dropped_at": version.dropped_at,
        "updated_at": version.updated_at,
        "violations": [asdict(each) for each in version.violations],
    }
    if version.manifest:
        item["manifest"] = version.manifest.model_dump_json(by_alias=True, exclude_none=True)
    if version.proof:
        item["proof"] = version.proof
    return item
