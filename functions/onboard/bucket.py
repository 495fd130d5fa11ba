"""The models' bucket as onboarding sees it: the door, the versions, what was refused."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import orjson
from botocore.exceptions import ClientError

from facet.artifact import archive
from facet.keys import rejected_key, report_key, version_key
from facet.registry.models import Status, Version
from facet.registry.store import Registry
from onboard.uploads import Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

MISSING = ("404", "NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "405")
"""How S3 says that something is not there; it does not allow to read a delete marker."""


@dataclass(frozen=True)
class ReadUpload:
    """An upload with its object version pinned, what is in it, and when S3 took it (ISO 8601)."""

    upload: Upload
    found: archive.Archive
    uploaded_at: str


class Bucket:
    """One versioned bucket. All raise botocore's errors when S3 fails."""

    def __init__(self, s3: "S3Client", name: str) -> None:
        self._s3 = s3
        self.name = name

    def take(self, upload: Upload) -> ReadUpload | None:
        """One pass over the upload's object; None if it is gone.

        An upload without its time has S3's `LastModified`: of a multipart upload, its beginning.
        """
        wanted: GetObjectRequestTypeDef = {"Bucket": self.name, "Key": upload.key}
        if upload.object_version:
            wanted["VersionId"] = upload.object_version
        try:
            taken = self._s3.get_object(**wanted)
        except ClientError as error:
            if missing(error):
                return None
            raise
        pinned = replace(upload, object_version=taken["VersionId"])
        uploaded_at = upload.uploaded_at or taken["LastModified"].isoformat()
        return ReadUpload(pinned, archive.read(taken["Body"]), uploaded_at)

    def has(self, upload: Upload) -> bool:
        """Whether exactly this object version still lies at the door."""
        return self._has(upload.key, upload.object_version)

    def remove(self, upload: Upload) -> None:
        """Removes exactly the object version of the upload; a newer one stays."""
        self._s3.delete_object(
            Bucket=self.name, Key=upload.key, VersionId=upload.object_version or ""
        )

    def keep(self, upload: Upload, version: Version) -> None:
        """Copies the upload to where the endpoint finds it as that version."""
        self._copy(upload, _key(version))

    def refuse(self, upload: Upload, rejected: Version) -> None:
        """Copies the upload to `rejected/`, with the report beside it."""
        self._copy(upload, rejected_key(rejected.model, rejected.id))
        self.report(rejected)

    def report(self, rejected: Version) -> None:
        """Writes why a version was refused."""
        self._s3.put_object(
            Bucket=self.name,
            Key=report_key(rejected.model, rejected.id),
            Body=_report(rejected),
            ContentType="application/json",
        )

    def holds(self, version: Version) -> bool:
        """Whether the version's object is there."""
        return self._has(_key(version))

    def discard(self, seen: Version, registry: Registry) -> bool:
        """Deletes the version's object for good, unless the registry has it otherwise by now.

        The registry is asked between the listing and the deletion of what was listed. Whoever
        begins with the version before that is noticed, and whoever does so after it makes a copy
        that was not listed.
        """
        listed = list(self._object_versions(_key(seen)))
        known = registry.find(seen.model, seen.id)
        if known is None or known.status is Status.READY:
            return False
        if (known.status, known.updated_at) != (seen.status, seen.updated_at):
            return False
        for each in listed:
            self._s3.delete_object(Bucket=self.name, Key=_key(seen), VersionId=each)
        return True

    def _object_versions(self, key: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self.name, Prefix=key):
            for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                if each["Key"] == key:
                    yield each["VersionId"]

    def _copy(self, upload: Upload, key: str) -> None:
        self._s3.copy_object(
            Bucket=self.name,
            Key=key,
            CopySource={
                "Bucket": self.name,
                "Key": upload.key,
                "VersionId": upload.object_version or "",
            },
            TaggingDirective="REPLACE",
        )

    def _has(self, key: str, object_version: str | None = None) -> bool:
        named = {"VersionId": object_version} if object_version else {}
        try:
            self._s3.head_object(Bucket=self.name, Key=key, **named)  # type: ignore[arg-type]
        except ClientError as error:
            if missing(error):
                return False
            raise
        return True


def _key(version: Version) -> str:
    return version_key(version.model, version.id)


def missing(error: ClientError) -> bool:
    """Whether S3 says that the object, or this version of it, is not there."""
    return error.response["Error"]["Code"] in MISSING


def _report(rejected: Version) -> bytes:
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
