"""Models, versions and policies, and the DynamoDB items that the registry stores them in."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from facet.errors import Violation
from facet.keys import MODEL_NAME, target_model
from facet.manifest import Manifest

MODEL_ITEM = "model"
VERSION_ITEM = "version#"
DELETED_AT = "deleted_at"
"""The attribute of a model's item when the model was deleted, and nothing else of it is left."""

CANARY_COUNTS = ("candidate_good", "candidate_bad", "live_good", "live_bad")


class Status(StrEnum):
    """The life of a version."""

    PENDING = "PENDING"
    READY = "READY"
    REJECTED = "REJECTED"
    RETIRED = "RETIRED"


UNSETTLED = {Status.PENDING: "pending", Status.RETIRED: "retired"}
"""The `kind` under which the index lists versions with work left: an upload to be onboarded, or an
artifact to be deleted."""


MISNAMED = "misnamed"
"""The `kind` under which the index lists rejected uploads with a name that no model can have."""


class Mode(StrEnum):
    """When a proven version answers predictions: at once, when promoted, or after a canary."""

    AUTO = "auto"
    MANUAL = "manual"
    CANARY = "canary"


@dataclass(frozen=True)
class Policy:
    """How a model's new versions go live.

    With `canary`, `percent` of the requests go to the new version until it has given
    `good_answers`.
    """

    mode: Mode = Mode.AUTO
    percent: int = 10
    good_answers: int = 100


@dataclass(frozen=True)
class Canary:
    """A candidate beside the live version, with what each has answered since it began."""

    candidate: str
    percent: int
    good_answers: int
    candidate_good: int = 0
    candidate_bad: int = 0
    live_good: int = 0
    live_bad: int = 0


@dataclass(frozen=True)
class Model:
    """A model: a name, and the versions that predictions use now and used before.

    `rolled_back` is the last candidate that was rolled back, `newest` the `order` of the newest
    upload that was accepted. `deletions` is how often a model of this name was deleted.
    """

    name: str
    live: str | None = None
    previous: str | None = None
    policy: Policy = field(default_factory=Policy)
    canary: Canary | None = None
    rolled_back: str | None = None
    updated_at: str = ""
    newest: str | None = None
    deletions: int = 0


@dataclass(frozen=True)
class Version:
    """One immutable artifact of a model.

    `id` is the first 12 hex digits of `sha256`, `size` its bytes. `uploaded_at` is when S3 took
    the upload, `updated_at` when the status last changed; both ISO 8601 in UTC. `object_version`
    is the S3 object version that was checked, `sequencer` S3's order among uploads to one key.
    `proof` says how the endpoint proved it: `golden` or `smoke`. `max_batch_size` is 1 for a model
    that can only answer single images, None for any other. `again` is the `order` of the latest
    upload of the same bytes that found it READY. `litert_size` has the bytes of the LiteRT model
    in the artifact, and `litert_sha256` its digest in hex: 0 and None if there is none. Both are
    None for a version of a release that did not look.
    """

    model: str
    id: str
    status: Status
    sha256: str
    size: int
    uploaded_at: str
    updated_at: str = ""
    object_version: str | None = None
    sequencer: str | None = None
    manifest: Manifest | None = None
    proof: str | None = None
    max_batch_size: int | None = None
    violations: tuple[Violation, ...] = ()
    again: str | None = None
    litert_size: int | None = None
    litert_sha256: str | None = None

    @property
    def target(self) -> str:
        """SageMaker's TargetModel for it: its key under the endpoint's prefix."""
        return target_model(self.model, self.id)

    @property
    def order(self) -> str:
        """Sorts the uploads of one model as they were uploaded.

        At the same time sequencers decide, the shorter one padded with zeros (S3's event message
        structure). An upload without one was the newest when it was found.
        """
        return f"{self.uploaded_at}/{self.sequencer.ljust(32, '0') if self.sequencer else '~'}"

    @property
    def last_upload(self) -> str:
        """Sorts the versions of one model by the latest upload of each."""
        return max(self.order, self.again or "")


@dataclass(frozen=True)
class Serving:
    """What answers a model's predictions: its live version, and a canary's candidate."""

    model: Model
    live: Version
    candidate: Version | None = None


def is_model(name: str) -> bool:
    """Whether a model can have this name; other names have rejected uploads only."""
    return MODEL_NAME.fullmatch(name) is not None


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
    return Version(
        model=item["model"],
        id=item["item"].removeprefix(VERSION_ITEM),
        status=Status(item["status"]),
        sha256=item["sha256"],
        size=int(item["size"]),
        uploaded_at=item.get("uploaded_at") or item["dropped_at"],  # 0.1 wrote dropped_at and drop
        updated_at=item["updated_at"],
        object_version=item.get("object_version", item.get("drop")),
        sequencer=item.get("sequencer"),
        manifest=Manifest.model_validate_json(manifest) if manifest else None,
        proof=item.get("proof"),
        max_batch_size=int(item["max_batch_size"]) if "max_batch_size" in item else None,
        violations=tuple(Violation(**each) for each in item.get("violations", ())),
        again=item.get("again"),
        litert_size=int(item["litert_size"]) if "litert_size" in item else None,
        litert_sha256=item.get("litert_sha256"),
    )


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
    }
    if version.manifest:
        item["manifest"] = version.manifest.model_dump_json(by_alias=True, exclude_none=True)
    return item | {name: value for name, value in optional.items() if value is not None}


def _kind(version: Version) -> str | None:
    return UNSETTLED.get(version.status) if is_model(version.model) else MISNAMED
