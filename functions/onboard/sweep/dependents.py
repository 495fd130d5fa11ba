"""Records the heads of releases that did not record on which backbone each one depends."""

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from facet.errors import RegistryConflict
from facet.keys import VersionKey, target_model
from facet.observability import logger
from facet.registry.heads.dependents import Dependents
from facet.registry.heads.search import PASSES, Search, Searched
from facet.registry.models import Status
from facet.registry.store import Registry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

MAX_HEADS = 1000
"""Heads that a run looks at, each with two reads and mostly no write. 100,000 take two days."""


class EarlierHeads:
    """Goes through the heads of a stack, some in each run of the sweeper, until all are known."""

    def __init__(self, table: "Table") -> None:
        self._registry = Registry(table)
        self._dependents = Dependents(table)
        self._search = Search(table)

    def record(self, heads: Sequence[VersionKey]) -> list[str]:
        """Records some of these heads; the targets of those that were not recorded before.

        Raises botocore's errors; the next run goes on.
        """
        searched = self._search.done()
        if searched.passes >= PASSES:
            return []
        by_target = {target_model(*each): each for each in heads}
        left = sorted(target for target in by_target if target > searched.after)
        some = [*islice(left, MAX_HEADS)]
        recorded = [each for each in some if self._record(by_target[each])]
        whole = len(some) == len(left)
        after = Searched(searched.passes + 1, "") if whole else Searched(searched.passes, some[-1])
        self._search.record(after)
        return recorded

    def _record(self, head: VersionKey) -> bool:
        version = self._registry.find(*head)
        if version is None or version.status is not Status.READY:
            return False
        try:
            return self._dependents.add_earlier(version)
        except RegistryConflict as error:  # it was retired meanwhile, or its backbone is deleted
            logger().info("head not recorded", target=version.target, reason=str(error))
            return False
