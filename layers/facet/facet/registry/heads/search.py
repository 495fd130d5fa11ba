"""The search for READY heads of earlier releases, which recorded no dependents."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

INDEX = {"model": "_", "item": "heads"}
"""The key of the item that says how far the search is. No model can have this name."""

PASSES = 2
"""How often all heads are looked through: the second time finds those that were accepted during the
first one, by an onboarding that had begun before the update (in at most 900 seconds)."""


class Searched(NamedTuple):
    """How often all heads were looked through, and the last one of the pass that goes on."""

    passes: int
    after: str


class Search:
    """How far the search is, in the registry. Raises botocore's errors if DynamoDB fails."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def known(self) -> bool:
        """Whether all heads of earlier releases are recorded."""
        return self.done().passes >= PASSES

    def done(self) -> Searched:
        """How far the search for heads of earlier releases is."""
        item = self._table.get_item(Key=INDEX, ConsistentRead=True).get("Item", {})
        return Searched(int(str(item.get("passes", 0))), str(item.get("after", "")))

    def record(self, searched: Searched) -> None:
        """Records how far the search is."""
        self._table.put_item(Item={**INDEX, **searched._asdict()})
