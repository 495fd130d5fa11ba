"""Models, versions and policies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from facet.errors import Violation
from facet.keys import MODEL_NAME, target_model
from facet.manifest import AnyManifest, kind_of

MODEL_ITEM = "model"
VERSION_ITEM = "version#"
DELETED_AT = "deleted_at"
"""The attribute of a model's item when the model was deleted, and nothing else of it is left."""

HEADS_ACCEPTED = "heads_accepted"
"""The attribute of a backbone's model item that counts the heads that were accepted on it."""

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

UNPROVEN = "unproven"
"""The `kind` under which the index lists READY versions with a proof to come in another place."""

MISNAMED = "misnamed"
"""The `kind` under which the index lists rejected uploads with a name that no model can have."""


class Mode(StrEnum):
    """When a proven version answers predictions: at once, when promoted, or after a canary."""

    AUTO = "auto"
    MANUAL = "manual"
    CANARY = "canary"


class Place(StrEnum):
    """Where a version may run: on the multi-model endpoint, or in InferFunction."""

    ENDPOINT = "endpoint"
    FUNCTION = "function"


class RunIn(StrEnum):
    """Where versions are to run: in one place, or where they cost less."""

    ENDPOINT = "endpoint"
    FUNCTION = "function"
    AUTO = "auto"


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
    upload that was accepted. `deletions` is how often a model of this name was deleted. `run_in` is
    where its versions are to run, None to run them where the stack does (parameter RunIn). `kind`
    is that of all its versions: `classifier`, `backbone` or `head`. `heads_accepted` is how many
    heads on its versions were accepted so far, those that are gone included.
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
    run_in: RunIn | None = None
    kind: str = "classifier"
    heads_accepted: int = 0

    def takes(self, version: "Version") -> bool:
        """Whether a version is of the model's kind; without accepted versions it takes any."""
        return self.newest is None or version.kind == self.kind


@dataclass(frozen=True)
class Version:
    """One immutable artifact of a model.

    `id` is the first 12 hex digits of `sha256`, `size` its bytes. `uploaded_at` is when S3 took
    the upload, `updated_at` when the status last changed; both ISO 8601 in UTC. `object_version`
    is the S3 object version that was checked, `sequencer` S3's order among uploads to one key.
    `proof` says how it was proven: `golden` or `smoke`. `max_batch_size` is 1 for a model
    that can only answer single images, None for any other. `again` is the `order` of the latest
    upload of the same bytes that found it READY. `litert_size` has the bytes of the LiteRT model
    in the artifact, and `litert_sha256` its digest in hex: 0 and None if there is none. Both are
    None for a version of a release that did not look. `head_sha256` is the digest of a head's
    weights (`facet.keys.head_key`), None for other kinds.

    `postponed_at` is when the proof of a PENDING version was put off, because it needs the endpoint
    and there was none.

    `proven_in` has the places that may answer for it, with the time (ISO 8601) of its proof there.
    `not_proven` says of others why they may not. `function_seconds` is how long the function, with
    the model loaded, took to answer one image in the proof.
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
    manifest: AnyManifest | None = None
    proof: str | None = None
    max_batch_size: int | None = None
    violations: tuple[Violation, ...] = ()
    again: str | None = None
    litert_size: int | None = None
    litert_sha256: str | None = None
    head_sha256: str | None = None
    proven_in: Mapping[Place, str] = field(default_factory=dict)
    not_proven: Mapping[Place, tuple[Violation, ...]] = field(default_factory=dict)
    function_seconds: float | None = None
    postponed_at: str | None = None

    @property
    def kind(self) -> str:
        """What its manifest makes it: `classifier`, `backbone` or `head`."""
        return kind_of(self.manifest)

    @property
    def to_prove(self) -> tuple[Place, ...]:
        """The places where it may still be proven: where it neither was, nor failed its proof.

        A head may be wherever its backbone is.
        """
        everywhere = self.litert_sha256 or self.kind == "head"
        runs_in = Place if everywhere else (Place.ENDPOINT,)
        tried = {*self.proven_in, *self.not_proven}
        return tuple(each for each in runs_in if each not in tried)

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
