"""Uploads: what onboarding gets and answers, and which uploads still wait for it."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson

from facet.errors import Violation
from facet.keys import (
    ARTIFACT_SUFFIX,
    ENDPOINT_PREFIX,
    MODEL_NAME_RULE,
    parse_misnamed_key,
    parse_upload_key,
    upload_key,
)
from facet.registry.models import Version

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Upload:
    """One object version at `mme/<model>.tar.gz`; without `object_version` the newest.

    If its name is none that a model can have, `model` is that name and `misnamed` its key.
    `uploaded_at` (ISO 8601 in UTC) is the time in its event, when the upload was complete.
    `sequencer` is S3's order among uploads to the key.
    """

    model: str
    object_version: str | None = None
    sequencer: str | None = None
    uploaded_at: str | None = None
    misnamed: str | None = None

    @property
    def key(self) -> str:
        """The object's key."""
        return self.misnamed or upload_key(self.model)


@dataclass(frozen=True)
class OnboardingResult:
    """The outcome of an event.

    `READY` and `REJECTED` are the two ends of an upload. `UNCHANGED`: the same bytes are READY
    already. `GONE`: the upload is not there any more. `POSTPONED`: it needs the endpoint and there
    is none now, `reason` says why; the sweeper retries it. `RETIRED`: the artifact of a version was
    deleted. `LITERT_STORED`, `HEAD_STORED`: a READY version lacked its LiteRT model, or its weights
    as a head. `PROVEN`, `NOT_PROVEN`: what the proof of a READY version in another place found.
    """

    model: str
    outcome: str
    version: str | None = None
    violations: tuple[Violation, ...] = ()
    reason: str | None = None


def report_of(rejected: Version) -> bytes:
    """The JSON report that says why a version was rejected."""
    return orjson.dumps(
        {
            "model": rejected.model,
            "version": rejected.id,
            "sha256": rejected.sha256,
            "size": rejected.size,
            "uploaded_at": rejected.uploaded_at,
            "rejected_at": rejected.updated_at,
            "violations": [asdict(each) for each in rejected.violations],
        },
        option=orjson.OPT_INDENT_2,
    )


ANY_ARCHIVE = re.compile(r"\.(tar(\.[a-z0-9]+)?|tgz|gz|zip)$", re.IGNORECASE)
"""The end of a name that people give to archives."""


def invalid_name(key: str) -> Violation:
    """The violation of an upload under a key that gives it a name no model can have."""
    name = ANY_ARCHIVE.sub("", key.removeprefix(ENDPOINT_PREFIX))
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    suggested = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:63].rstrip("-") or "my-model"
    return Violation(
        "invalid-name",
        key,
        f"no model can have this name: {MODEL_NAME_RULE}; the key ends with {ARTIFACT_SUFFIX}",
        f"upload it to {upload_key('<model>')}, such as {upload_key(suggested)}",
    )


LONG_AGO = datetime.min.replace(tzinfo=UTC)
SWEPT_TAG = "facet-swept"
"""The S3 tag with the time when an upload was last resubmitted, ISO 8601."""

LONGEST_WAIT = timedelta(hours=2)
"""Between two retries of an upload, and so at most until the first with an endpoint again."""


@dataclass(frozen=True)
class PendingUpload:
    """One object version that waits for onboarding; `newest` if no later upload hides it."""

    key: str
    object_version: str
    uploaded_at: datetime
    newest: bool


class PendingUploads:
    """The object versions right below `mme/`, hidden ones too. Raises botocore's errors."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def waiting(self) -> Iterator[PendingUpload]:
        """All object versions that could be uploads, by key, the newest first.

        Those below a delete marker are left out: their uploader has deleted them.
        """
        pages = self._s3.get_paginator("list_object_versions")
        deleted: dict[str, datetime] = {}
        for page in pages.paginate(Bucket=self._bucket, Prefix=ENDPOINT_PREFIX, Delimiter="/"):
            for marker in page.get("DeleteMarkers", []):
                deleted.setdefault(marker["Key"], marker["LastModified"])
            for each in page.get("Versions", []):
                hidden = each["LastModified"] <= deleted.get(each["Key"], LONG_AGO)
                key = each["Key"]
                is_upload = parse_upload_key(key) or parse_misnamed_key(key)
                if is_upload and (each["IsLatest"] or not hidden):
                    yield PendingUpload(
                        key, each["VersionId"], each["LastModified"], each["IsLatest"]
                    )

    def swept_at(self, upload: PendingUpload) -> datetime | None:
        """When the sweeper last resubmitted it."""
        value = self._tags(upload).get(SWEPT_TAG)
        return datetime.fromisoformat(value) if value else None

    def mark_swept(self, upload: PendingUpload, now: datetime) -> None:
        """Records that the sweeper resubmitted it."""
        tags = self._tags(upload) | {SWEPT_TAG: now.isoformat(timespec="seconds")}
        self._s3.put_object_tagging(
            Bucket=self._bucket,
            Key=upload.key,
            VersionId=upload.object_version,
            Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]},
        )

    def _tags(self, upload: PendingUpload) -> dict[str, str]:
        response = self._s3.get_object_tagging(
            Bucket=self._bucket, Key=upload.key, VersionId=upload.object_version
        )
        return {each["Key"]: each["Value"] for each in response["TagSet"]}


def due(now: datetime, uploaded_at: datetime, swept_at: datetime | None, after: timedelta) -> bool:
    """Whether an upload is to be resubmitted: after `after`, then doubled up to LONGEST_WAIT."""
    if swept_at is None:
        return now - uploaded_at >= after
    return now - swept_at >= max(after, min(swept_at - uploaded_at, LONGEST_WAIT))
