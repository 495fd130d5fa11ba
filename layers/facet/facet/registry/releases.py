"""Which version of a model is live: promotion, canary, rollback and retirement.

A release is a change of `live`, `previous` or `candidate` in the model's item. Each is one atomic,
conditional write; if another writer was faster, it raises RegistryConflict and changes nothing.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from facet.errors import (
    BadRequest,
    NothingToRollBack,
    RegistryConflict,
    UnknownVersion,
    VersionInUse,
)
from facet.registry.heads.dependents import Dependents
from facet.registry.items import counted
from facet.registry.models import (
    CANARY_COUNTS,
    HEADS_ACCEPTED,
    MODEL_ITEM,
    Canary,
    Mode,
    Model,
    Policy,
    Status,
    Version,
)
from facet.registry.placement import (
    CANARY,
    Placement,
    candidate_of,
    now_live,
    over,
    place,
    placed,
)
from facet.registry.store import Registry
from facet.registry.writes import Change, Writes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

MAX_GOOD_ANSWERS = 1_000_000


class Releases:
    """Changes which version of a model answers. All raise botocore's errors when DynamoDB fails."""

    def __init__(self, table: "Table") -> None:
        self._table = table
        self._registry = Registry(table)
        self._writes = Writes(table)
        self._dependents = Dependents(table)

    def accept(self, version: Version, deletions: int | None = None) -> Placement:
        """Makes a PENDING version READY, and live or the candidate as its model's policy says.

        A version that was uploaded before the newest accepted one becomes READY only. `version`
        is as it will be recorded. With `deletions`, the model must have been deleted so often and
        not once more. Raises UnknownModel before `Registry.begin`, RegistryConflict if another
        writer was faster, and if the model has versions of another kind.
        """
        model = self._registry.model(version.model)
        if deletions is not None and model.deletions != deletions:
            raise RegistryConflict(f"{model.name} was deleted at the same time")
        if not model.takes(version):
            raise RegistryConflict(f"{model.name} has become a {model.kind} at the same time")
        writes = [self._writes.accepted(version), *self._dependents.accepted(version)]
        at = Placement.READY
        if version.order >= (model.newest or ""):
            at = place(model)
            seen = {
                "live": model.live,
                "newest": model.newest,
                "policy": model.policy.mode,
                "deletions": model.deletions or None,
            }
            writes.append(self._writes.update(model.name, placed(model, version, at), seen))
        else:
            writes.append(self._writes.not_deleted(model.name, model.deletions))
        self._writes.commit(writes, version.target)
        return at

    def promote(self, model: str, version: str, now: str) -> Model:
        """Makes any READY version live at once, and ends a canary. Returns the model as it was.

        Raises UnknownModel, UnknownVersion, RegistryConflict.
        """
        before = self._registry.model(model)
        self._promote(before, version, now)
        return before

    def rollback(self, model: str, now: str) -> Model:
        """Ends a canary, or else makes the version live that was so before. Returns the
        model as it was.

        Raises UnknownModel, NothingToRollBack, RegistryConflict.
        """
        before = self._registry.model(model)
        if before.canary:
            if not self.conclude(before, promoted=False, now=now):
                raise RegistryConflict(f"the canary of {model} ended at the same time; look again")
            return before
        if before.previous is None:
            raise NothingToRollBack(model)
        try:
            self._promote(before, before.previous, now)
        except UnknownVersion as error:
            raise NothingToRollBack(model) from error
        return before

    def _promote(self, before: Model, version: str, now: str) -> None:
        self._registry.ready(before.name, version)
        if version == before.live and before.canary is None:
            return
        values = {"updated_at": now} if version == before.live else now_live(before, version, now)
        seen = {"live": before.live, "candidate": candidate_of(before)}
        writes = [
            self._writes.update(before.name, Change(values, over(before, version)), seen),
            self._writes.still_ready(before.name, version),
        ]
        self._writes.commit(writes, f"{before.name}/{version}")

    def count(self, model: str, seen: Canary, live: str) -> Canary | None:
        """Adds the counts of `seen` to the canary's, returns the totals; None if it has ended."""
        try:
            answer = self._table.update_item(
                Key={"model": model, "item": MODEL_ITEM},
                UpdateExpression="ADD " + ", ".join(f"{name} :{name}" for name in CANARY_COUNTS),
                ConditionExpression="candidate = :candidate AND live = :live",
                ExpressionAttributeValues={
                    ":candidate": seen.candidate,
                    ":live": live,
                    **{f":{name}": getattr(seen, name) for name in CANARY_COUNTS},
                },
                ReturnValues="ALL_NEW",
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return None
        return counted(seen, answer["Attributes"])

    def conclude(self, model: Model, *, promoted: bool, now: str) -> bool:
        """Ends the model's canary: its candidate goes live or is rolled back.

        False where it had ended already.
        """
        if model.canary is None:
            return False
        candidate = model.canary.candidate
        if promoted:
            change = Change(now_live(model, candidate, now), CANARY)
        else:
            change = Change({"rolled_back": candidate, "updated_at": now}, CANARY)
        seen = {"candidate": candidate, "live": model.live}
        writes = [self._writes.update(model.name, change, seen)]
        if promoted:
            writes.append(self._writes.still_ready(model.name, candidate))
        try:
            self._writes.commit(writes, model.name)
        except RegistryConflict:
            return False
        return True

    def set_policy(self, model: str, policy: Policy, now: str) -> Model:
        """How new versions go live from now on. Returns the model as it was.

        A canary under way goes on as it began. Raises UnknownModel, BadRequest.
        """
        if not (1 <= policy.percent <= 100 and 1 <= policy.good_answers <= MAX_GOOD_ANSWERS):
            raise BadRequest(
                f"A canary takes 1 to 100 percent of the requests, not {policy.percent}, and 1 to "
                f"{MAX_GOOD_ANSWERS:,} good answers, not {policy.good_answers}."
            )
        before = self._registry.model(model)
        if policy.mode is Mode.CANARY and before.kind == "backbone":
            raise BadRequest(
                f"'{model}' is a backbone: it gets no predictions, whose answers a canary could "
                "count. Use the policy auto or manual."
            )
        values = {
            "policy": policy.mode,
            "percent": policy.percent,
            "good_answers": policy.good_answers,
            "updated_at": now,
        }
        self._writes.commit([self._writes.update(model, Change(values), {})], model)
        return before

    def retire(self, version: Version, now: str) -> None:
        """Takes a version out of service that is neither live nor a candidate.

        Raises UnknownModel, VersionInUse, BackboneInUse if heads depend on it, RegistryConflict.
        """
        model = self._registry.model(version.model)
        if version.id in (model.live, candidate_of(model)):
            raise VersionInUse(version.model, version.id)
        gone = ("previous",) if model.previous == version.id else ()
        seen: dict[str, int | None] = {}
        if model.kind == "backbone":
            self._dependents.check(model.name, version.id)
            seen = {HEADS_ACCEPTED: model.heads_accepted or None}
        self._take_out(model, version, Change({"updated_at": now}, gone), seen=seen)

    def withdraw(self, version: Version, now: str) -> str | None:
        """Takes a version out of service whose artifact is gone, even the live one, and even if
        heads depend on it.

        If it was live, the previous version becomes live, or the newest READY one, or none, and its
        id is returned. Raises UnknownModel, RegistryConflict.
        """
        model = self._registry.model(version.model)
        gone: tuple[str, ...]
        if model.live == version.id:
            successor = self._successor(model)
            gone = ("live", "previous", *over(model, successor or ""))
            change = Change({"live": successor, "updated_at": now}, gone)
            self._take_out(model, version, change, successor)
            return successor
        gone = ("previous",) if model.previous == version.id else ()
        gone += CANARY if candidate_of(model) == version.id else ()
        self._take_out(model, version, Change({"updated_at": now}, gone))
        return None

    def clear(self, model: str, now: str) -> Model:
        """Leaves a model without a live version. Returns the model as it was.

        Raises UnknownModel, BackboneInUse if heads depend on any of its versions, RegistryConflict.
        """
        before = self._registry.model(model)
        if before.kind == "backbone":
            self._dependents.check(model)
        change = Change({"updated_at": now}, ("live", "previous", *CANARY))
        self._writes.commit([self._writes.update(model, change, {"live": before.live})], model)
        return before

    def _take_out(
        self,
        model: Model,
        version: Version,
        change: Change,
        successor: str | None = None,
        seen: Mapping[str, int | None] = MappingProxyType({}),
    ) -> None:
        as_seen = {"live": model.live, "candidate": candidate_of(model), **seen}
        writes = [
            self._writes.update(model.name, change, as_seen),
            self._writes.retired(version, str(change.set["updated_at"])),
            *self._dependents.ended(version),
        ]
        if successor:
            writes.append(self._writes.still_ready(model.name, successor))
        self._writes.commit(writes, version.target)

    def _successor(self, model: Model) -> str | None:
        """The version that replaces the live one; a rolled back candidate is the last choice."""
        ready = [
            each.id
            for each in self._registry.versions(model.name)
            if each.status is Status.READY and each.id != model.live
        ]
        if model.previous in ready:
            return model.previous
        return min(ready, key=lambda each: each == model.rolled_back, default=None)
