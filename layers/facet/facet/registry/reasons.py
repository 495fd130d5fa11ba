"""Why a model has no live version, and why a version runs on the endpoint only."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from facet.errors import NoLiveVersion, Violation, WaitsForEndpoint
from facet.registry.models import Place, Status, Version

WITHOUT_ENDPOINT = {
    "needs-tensorflow": "upload one with a LiteRT model (`facet pack` adds it)",
    "too-large-for-function": "quantise it (`facet pack --quantize`) and upload it again, or let "
    "the operator give the function more memory",
}
"""Remedies where those of the violations name the endpoint, by code."""


def none_live(model: str, versions: Sequence[Version]) -> NoLiveVersion:
    """The error of a model without a live version; `versions` begin with the newest upload."""
    newest = versions[0] if versions else None
    proven = next((each.id for each in versions if each.status is Status.READY), None)
    if newest and newest.postponed_at and not proven:
        why, remedy = endpoint_only(newest.not_proven, newest.litert_size)
        return WaitsForEndpoint(model, newest.id, why=why, remedy=remedy)
    return NoLiveVersion(
        model,
        newest.violations if newest else (),
        proven=proven,
        pending=newest is None or newest.status is not Status.RETIRED,
    )


class Reason(NamedTuple):
    """Why it runs there only, and what to do; clauses without a full stop."""

    why: str
    remedy: str


def endpoint_only(
    not_proven: Mapping[Place, Sequence[Violation]], litert_size: int | None
) -> Reason:
    """The reason of a version with these violations, and a LiteRT model of so many bytes."""
    if found := not_proven.get(Place.FUNCTION):
        return Reason(
            f"it is not proven in the function: {'; '.join(each.problem for each in found)}",
            "; ".join(WITHOUT_ENDPOINT.get(each.code, each.remedy) for each in found),
        )
    if litert_size == 0:
        return Reason(
            "its artifact has no LiteRT model, which alone runs without an endpoint",
            WITHOUT_ENDPOINT["needs-tensorflow"],
        )
    return Reason(
        "it is not proven in the function yet",
        "wait, if it has a LiteRT model: the sweeper has up to 50 versions proven every 15 minutes",
    )
