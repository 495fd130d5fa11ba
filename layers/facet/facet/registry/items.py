"""DynamoDB items of models and versions, and what they stand for."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

from facet.errors import Violation
from facet.manifest import parse
from facet.registry.models import (
    HEADS_ACCEPTED,
    MISNAMED,
    UNPROVEN,
    UNSETTLED,
    VERSION_ITEM,
    Canary,
    Mode,
    Model,
    Place,
    Policy,
    RunIn,
    Status,
    Version,
    is_model,
)


def model_of(item: Mapping[str, Any]) -> Model:
    """The model of a DynamoDB item."""
    return Model(
        name=item["model"],
        live=item.get("live"),
        previous=item.get("previous"),
        policy=Policy(
            Mode(item["policy"]),
            int(item.get("percent", Policy.percent)),
            int(item.get("good_answers", Policy.good_answers)),
        ),
        canary=_canary_of(item) if "candidate" in item else None,
        rolled_back=item.get("rolled_back"),
        updated_at=item["updated_at"],
        newest=item.get("newest"),
        deletions=int(item.get("deletions", 0)),
        kind=item.get("artifact_kind", "classifier"),
        run_in=RunIn(item["run_in"]) if "run_in" in item else None,
        heads_accepted=int(item.get(HEADS_ACCEPTED, 0)),
    )


def _canary_of(item: Mapping[str, Any]) -> Canary:
    canary = Canary(
        candidate=item["candidate"],
        percent=int(item["canary_percent"]),
        good_answers=int(item["canary_good_answers"]),
    )
    return counted(canary, item)


def counted(canary: Canary, item: Mapping[str, Any]) -> Canary:
    """The canary with the counts of an item."""
    return replace(
        canary,
        candidate_good=int(item["candidate_good"]),
        candidate_bad=int(item["candidate_bad"]),
        live_good=int(item["live_good"]),
        live_bad=int(item["live_bad"]),
    )


def version_of(item: Mapping[str, Any]) -> Version:
    """The version of a DynamoDB item."""
    manifest = item.get("manifest")
    status = Status(item["status"])
    seconds = item.get("function_seconds")
    return Version(
        model=item["model"],
        id=item["item"].removeprefix(VERSION_ITEM),
        status=status,
        sha256=item["sha256"],
        size=int(item["size"]),
        uploaded_at=item.get("uploaded_at") or item["dropped_at"],  # 0.1 wrote dropped_at and drop
        updated_at=item["updated_at"],
        object_version=item.get("object_version", item.get("drop")),
        sequencer=item.get("sequencer"),
        manifest=parse(manifest) if manifest else None,
        proof=item.get("proof"),
        max_batch_size=int(item["max_batch_size"]) if "max_batch_size" in item else None,
        violations=tuple(Violation(**each) for each in item.get("violations", ())),
        again=item.get("again"),
        litert_size=int(item["litert_size"]) if "litert_size" in item else None,
        litert_sha256=item.get("litert_sha256"),
        head_sha256=item.get("head_sha256"),
        proven_in=_proven_in(item, status),
        not_proven={
            Place(place): tuple(Violation(**each) for each in reasons)
            for place, reasons in item.get("not_proven", {}).items()
        },
        function_seconds=None if seconds is None else float(seconds),
        postponed_at=item.get("postponed_at"),
    )


def _proven_in(item: Mapping[str, Any], status: Status) -> dict[Place, str]:
    """Releases before 0.3 proved every version on the endpoint, and did not say so."""
    if "proven_in" not in item:
        return {Place.ENDPOINT: item["updated_at"]} if status is Status.READY else {}
    return {Place(place): at for place, at in item["proven_in"].items()}


def item_of(version: Version) -> dict[str, Any]:
    """The DynamoDB item of a version."""
    item: dict[str, Any] = {
        "model": version.model,
        "item": VERSION_ITEM + version.id,
        "status": version.status,
        "sha256": version.sha256,
        "size": version.size,
        "uploaded_at": version.uploaded_at,
        "dropped_at": version.uploaded_at,  # 0.1 reads it: during an update, and after a rollback
        "updated_at": version.updated_at,
        "violations": [asdict(each) for each in version.violations],
        "proven_in": dict(version.proven_in),
        "not_proven": {
            place: [asdict(each) for each in reasons]
            for place, reasons in version.not_proven.items()
        },
    }
    optional = {
        "kind": _kind(version),
        "object_version": version.object_version,
        "drop": version.object_version,  # its name in 0.1
        "sequencer": version.sequencer,
        "proof": version.proof,
        "again": version.again,
        "max_batch_size": version.max_batch_size,
        "litert_size": version.litert_size,
        "litert_sha256": version.litert_sha256,
        "head_sha256": version.head_sha256,
        "function_seconds": attribute(version.function_seconds),
        "postponed_at": version.postponed_at,
    }
    if version.manifest:
        item["manifest"] = version.manifest.model_dump_json(by_alias=True, exclude_none=True)
    return item | {name: value for name, value in optional.items() if value is not None}


def attribute(number: float | None) -> Decimal | None:
    """The number as DynamoDB takes it, to a tenth of a millisecond if it has seconds."""
    return None if number is None else Decimal(str(round(number, 4)))


def _kind(version: Version) -> str | None:
    if not is_model(version.model):
        return MISNAMED
    if version.status is Status.READY and version.to_prove:
        return UNPROVEN
    return UNSETTLED.get(version.status)
