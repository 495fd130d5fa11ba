"""The models' bucket as onboarding uses it: uploads, versions' artifacts, rejected uploads."""

import hashlib
import mmap
from base64 import b64encode
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from facet.artifact import archive
from facet.errors import FacetError, Violation
from facet.keys import (
    golden_key,
    head_key,
    lite_key,
    rejected_key,
    report_key,
    version_key,
)
from facet.registry.models import Status, Version
from facet.registry.store import Registry
from onboard.uploads import Upload, report_of
from onboard.validated import Extracts

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef, GetObjectRequestTypeDef

MISSING = ("404", "NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "405")
"""S3's codes for an object that is not there; a delete marker answers MethodNotAllowed."""

MAX_GOLDEN = 4 << 20
"""Bytes of a golden sample's image that is kept: Lambda answers up to 6 MB, in base64."""

CHUNK = 1 << 20
"""Bytes that are read at a time."""


@dataclass(frozen=True)
class ReadUpload:
    """An upload, its object version pinned, with its content and its time (ISO 8601)."""

    upload: Upload
    archive: archive.Archive
    uploaded_at: str


@dataclass(frozen=True)
class Digest:
    """An upload, its object version pinned, with the SHA-256 in hex and the size of its content."""

    upload: Upload
    sha256: str
    size: int
    uploaded_at: str


class UploadTooLarge(FacetError):
    """The upload has more bytes than S3 copies; nothing of it was read."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.problem)
        self.violation = violation


class Bucket:
    """One versioned bucket. All methods raise botocore's errors if S3 fails."""

    def __init__(self, s3: "S3Client", name: str) -> None:
        self._s3 = s3
        self.name = name

    def read_upload(self, upload: Upload) -> ReadUpload | None:
        """Reads the upload's object in one pass; None if it is gone.

        If the upload has no time, S3's `LastModified` stands in for it, which for a multipart
        upload is when it began. Raises UploadTooLarge.
        """
        response = self._open(upload.key, upload.object_version)
        if response is None:
            return None
        pinned = replace(upload, object_version=response["VersionId"])
        uploaded_at = upload.uploaded_at or response["LastModified"].isoformat()
        return ReadUpload(pinned, archive.read(response["Body"]), uploaded_at)

    def digest(self, upload: Upload, *, readable: bool) -> Digest | None:
        """Digests the upload's object without looking into it; None if it is gone.

        Without `readable`, the digest is that of the object's name and version, and the size 0;
        otherwise UploadTooLarge may be raised.
        """
        if not readable:
            name = f"{upload.key}?versionId={upload.object_version}"
            sha256 = hashlib.sha256(name.encode()).hexdigest()
            return Digest(upload, sha256, 0, upload.uploaded_at or "")
        response = self._open(upload.key, upload.object_version)
        if response is None:
            return None
        sha256 = _sha256(response["Body"])
        pinned = replace(upload, object_version=response["VersionId"])
        uploaded_at = upload.uploaded_at or response["LastModified"].isoformat()
        return Digest(pinned, sha256, response["ContentLength"], uploaded_at)

    def sha256(self, key: str, most: int) -> str | None:
        """The SHA-256 in hex of an object; None if it is gone, or has more bytes than `most`."""
        try:
            response = self._open(key)
        except UploadTooLarge:
            return None
        if response is None or response["ContentLength"] > most:
            return None
        return _sha256(response["Body"])

    def read_version(
        self, version: Version, *, only: Set[str] | None = None
    ) -> archive.Archive | None:
        """Reads a version's artifact in one pass; None if it is gone. `only` as `archive.read`."""
        response = self._open(version_key(version.model, version.id))
        return archive.read(response["Body"], only=only) if response else None

    def _open(self, key: str, object_version: str | None = None) -> "GetObjectOutputTypeDef | None":
        request: GetObjectRequestTypeDef = {"Bucket": self.name, "Key": key}
        if object_version:
            request["VersionId"] = object_version
        try:
            response = self._s3.get_object(**request)
        except ClientError as error:
            if missing(error):
                return None
            raise
        if violation := archive.oversize(response["ContentLength"]):
            response["Body"].close()
            raise UploadTooLarge(violation)
        return response

    def has_upload(self, upload: Upload) -> bool:
        """Whether exactly this object version is still there."""
        return self._has(upload.key, upload.object_version)

    def remove_upload(self, upload: Upload) -> None:
        """Deletes exactly the object version of the upload; a newer upload stays."""
        self._s3.delete_object(
            Bucket=self.name, Key=upload.key, VersionId=upload.object_version or ""
        )

    def publish(self, upload: Upload, version: Version, extracts: Extracts) -> None:
        """Copies the upload to the key from which the endpoint loads the version.

        Beside it, the LiteRT model is kept to run without the endpoint, a head's weights to be read
        by predictions, and the image of the golden sample to be shown as an example.
        """
        self._copy(upload, version_key(version.model, version.id))
        for key, file in extracts.files(version):
            self.store(key, file)
        if extracts.golden and len(extracts.golden) <= MAX_GOLDEN:
            self._s3.put_object(
                Bucket=self.name,
                Key=golden_key(version.model, version.id),
                Body=extracts.golden,
                ContentType=extracts.golden_type,
            )

    def store(self, key: str, file: archive.SpooledFile) -> str:
        """Stores a file of a version's artifact; its object version.

        S3 refuses other bytes than those that validation read.
        """
        if isinstance(file.content, mmap.mmap):
            file.content.seek(0)
        answer = self._s3.put_object(
            Bucket=self.name,
            Key=key,
            Body=file.content,  # type: ignore[arg-type]  # mmap reads like a file
            ContentType="application/octet-stream",
            ChecksumAlgorithm="SHA256",
            ChecksumSHA256=b64encode(bytes.fromhex(file.sha256)).decode(),
        )
        return answer["VersionId"]

    def delete_stored(self, key: str, object_version: str) -> None:
        """Deletes this object version for good."""
        self._delete([(key, object_version)])

    def quarantine(self, upload: Upload, rejected: Version, *, readable: bool = True) -> None:
        """Copies the upload to `rejected/` if S3 can read it, with the report beside it."""
        if readable:
            self._copy(upload, rejected_key(rejected.model, rejected.id))
        self.write_report(rejected)

    def write_report(self, rejected: Version) -> None:
        """Writes the JSON report that says why a version was rejected."""
        self._s3.put_object(
            Bucket=self.name,
            Key=report_key(rejected.model, rejected.id),
            Body=report_of(rejected),
            ContentType="application/json",
        )

    def keys(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """The keys of all objects below a prefix, and when S3 took each object."""
        pages = self._s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.name, Prefix=prefix):
            yield from ((each["Key"], each["LastModified"]) for each in page.get("Contents", []))

    def has_version(self, version: Version) -> bool:
        """Whether the version's artifact is where the endpoint loads it from."""
        return self._has(version_key(version.model, version.id))

    def delete_version(self, version: Version, registry: Registry) -> bool:
        """Deletes the version's artifact, and what is kept beside it, for good.

        Returns False if the registry has changed meanwhile.

        The registry is read after the object versions are listed and before they are deleted. An
        onboarding of the same bytes that began earlier shows in the registry; one that begins
        later writes an object version that is not in the list.
        """
        listed = list(self._of_version(version))
        known = registry.find(version.model, version.id)
        if known is None or known.status is Status.READY:
            return False
        if (known.status, known.updated_at) != (version.status, version.updated_at):
            return False
        self._delete(listed)
        return True

    def delete_orphan(self, version: Version, registry: Registry) -> None:
        """Deletes what was published of a version whose model was deleted meanwhile.

        The order is that of `delete_version`; what another upload of the same bytes began stays.
        """
        listed = list(self._of_version(version))
        known = registry.find(version.model, version.id)
        if known and (
            known.status is Status.READY or known.object_version != version.object_version
        ):
            return
        self._delete(listed)

    def _of_version(self, version: Version) -> Iterator[tuple[str, str]]:
        """Key and object version of everything stored for the version, the artifact last.

        A deletion that is interrupted is repeated until the artifact is gone.
        """
        pages = self._s3.get_paginator("list_object_versions")
        for place in (golden_key, lite_key, head_key, version_key):
            key = place(version.model, version.id)
            for page in pages.paginate(Bucket=self.name, Prefix=key):
                for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    if each["Key"] == key:
                        yield key, each["VersionId"]

    def _delete(self, listed: list[tuple[str, str]]) -> None:
        for key, object_version in listed:
            self._s3.delete_object(Bucket=self.name, Key=key, VersionId=object_version)

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
        pinned = {"VersionId": object_version} if object_version else {}
        try:
            self._s3.head_object(Bucket=self.name, Key=key, **pinned)  # type: ignore[arg-type]
        except ClientError as error:
            if missing(error):
                return False
            raise
        return True


def missing(error: ClientError) -> bool:
    """Whether S3 says that the object, or this version of it, is not there."""
    return error.response["Error"]["Code"] in MISSING


def _sha256(body: "StreamingBody") -> str:
    content = hashlib.sha256()
    for chunk in body.iter_chunks(CHUNK):
        content.update(chunk)
    return content.hexdigest()
