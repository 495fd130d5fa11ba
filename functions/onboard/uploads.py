"""What onboarding takes, and what it makes of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from facet.errors import Violation
from facet.keys import ARTIFACT_SUFFIX, ENDPOINT_PREFIX, upload_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Upload:
    """An upload: the object at `mme/<model>.tar.gz`, and exactly one version of that object.

    Without `object_version` it is the newest one. `uploaded_at` (ISO 8601 in UTC) is when it was
    complete, by its event, `sequencer` S3's order among uploads.
    """

    model: str
    object_version: str | None = None
    sequencer: str | None = None
    uploaded_at: str | None = None

    @property
    def key(self) -> str:
        """The object's key."""
        return upload_key(self.model)


@dataclass(frozen=True)
class OnboardingResult:
    """What became of an upload: `READY`, `REJECTED`, `UNCHANGED` (known already) or `GONE`.

    `POSTPONED` waits for an endpoint, `RETIRED` is a version whose object was deleted.
    """

    model: str
    outcome: str
    version: str | None = None
    violations: tuple[Violation, ...] = ()


EVER = datetime.min.replace(tzinfo=UTC)
SWEPT = "facet-swept"
"""The tag of an upload with the time when it was last handed over, ISO 8601."""

LONGEST = timedelta(hours=2)
"""Between two turns of an upload: so long it waits at most where there is an endpoint again."""


@dataclass(frozen=True)
class PendingUpload:
    """One object version at the door. `newest` says that no later upload hides it."""

    key: str
    object_version: str
    uploaded_at: datetime
    newest: bool


class PendingUploads:
    """The objects right below `mme/`, hidden ones too. Raises botocore's errors."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def waiting(self) -> Iterator[PendingUpload]:
        """All that could be uploads, by key; of one key the newest first.

        What lies below a delete marker was taken back by its uploader, and waits for nothing.
        """
        pages = self._s3.get_paginator("list_object_versions")
        taken_back: dict[str, datetime] = {}
        for page in pages.paginate(Bucket=self._bucket, Prefix=ENDPOINT_PREFIX, Delimiter="/"):
            for marker in page.get("DeleteMarkers", []):
                taken_back.setdefault(marker["Key"], marker["LastModified"])
            for each in page.get("Versions", []):
                hidden = each["LastModified"] <= taken_back.get(each["Key"], EVER)
                if each["Key"].endswith(ARTIFACT_SUFFIX) and (each["IsLatest"] or not hidden):
                    yield PendingUpload(
                        each["Key"], each["VersionId"], each["LastModified"], each["IsLatest"]
                    )

    def swept_at(self, upload: PendingUpload) -> datetime | None:
        """When it was last handed over."""
        value = self._tags(upload).get(SWEPT)
        return datetime.fromisoformat(value) if value else None

    def note(self, upload: PendingUpload, now: datetime) -> None:
        """Notes that it was handed over."""
        tags = self._tags(upload) | {SWEPT: now.isoformat(timespec="seconds")}
        self._s3.put_object_tagging(
            Bucket=self._bucket,
            Key=upload.key,
            VersionId=upload.object_version,
            Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]},
        )

    def _tags(self, upload: PendingUpload) -> dict[str, str]:
        found = self._s3.get_object_tagging(
            Bucket=self._bucket, Key=upload.key, VersionId=upload.object_version
        )
        return {each["Key"]: each["Value"] for each in found["TagSet"]}


def due(now: datetime, uploaded_at: datetime, swept_at: datetime | None, after: timedelta) -> bool:
    """Whether an upload has waited long enough: `after`, doubled each time, at most LONGEST."""
    if swept_at is None:
        return now - uploaded_at >= after
    return now - swept_at >= max(after, min(swept_at - uploaded_at, LONGEST))
