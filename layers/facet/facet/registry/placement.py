"""The place that a version gets in its model's item: live, candidate of a canary, or neither."""

from enum import StrEnum

from facet.registry.models import CANARY_COUNTS, Mode, Model, Version
from facet.registry.writes import Change

CANARY = ("candidate", "canary_percent", "canary_good_answers", *CANARY_COUNTS)
"""The attributes of a canary under way."""


class Placement(StrEnum):
    """What a proven version became: the live one, the candidate of a canary, or READY only."""

    LIVE = "live"
    CANDIDATE = "candidate"
    READY = "ready"


def place(model: Model) -> Placement:
    """As the model's policy says. Without a live version there is nothing to compare with."""
    if model.policy.mode is Mode.MANUAL:
        return Placement.READY
    if model.policy.mode is Mode.CANARY and model.live:
        return Placement.CANDIDATE
    return Placement.LIVE


def placed(model: Model, version: Version, at: Placement) -> Change:
    """The model's item with a new version in its place; a canary under way is superseded."""
    newest = {"newest": version.order, "artifact_kind": version.kind}
    if at is Placement.LIVE:
        values = newest | now_live(model, version.id, version.updated_at)
        return Change(values, over(model, version.id))
    if at is Placement.CANDIDATE:
        canary = {
            "candidate": version.id,
            "canary_percent": model.policy.percent,
            "canary_good_answers": model.policy.good_answers,
            **dict.fromkeys(CANARY_COUNTS, 0),
        }
        values = newest | canary | {"updated_at": version.updated_at}
        return Change(values, over(model, version.id))
    return Change(newest)


def now_live(model: Model, version: str, now: str) -> dict[str, object]:
    """The values of the model's item with another version live."""
    return {"live": version, "previous": model.live, "updated_at": now}


def over(model: Model, version: str) -> tuple[str, ...]:
    """The attributes that the model's item loses when a version is live or a candidate again."""
    return (*CANARY, "rolled_back") if version == model.rolled_back else CANARY


def candidate_of(model: Model) -> str | None:
    """The version whose canary is under way."""
    return model.canary.candidate if model.canary else None
