"""The stack's bucket, as the train function reads it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class StoredObject:
    """One version of an object: its content, its size in bytes, and the CopySource that names
    exactly this version."""

    body: "StreamingBody"
    size: int
    copy_source: str


class Bucket:
    """Reads from one bucket. Every method raises botocore's errors if S3 fails."""

    def __init__(self, s3: "S3Client", name: str) -> None:
        self._s3 = s3
        self.name = name

    @property
    def region(self) -> str:
        return self._s3.meta.region_name

    def uri(self, key: str) -> str:
        """The S3 URI of a key or prefix."""
        return f"s3://{self.name}/{key}"

    def key(self, uri: str) -> str:
        """The key in an S3 URI. Raises ValueError if it names another bucket or no key."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if bucket != self.name or not key:
            raise ValueError(f"{uri} is not in the bucket {self.name}")
        return key

    def has(self, prefix: str) -> bool:
        """Whether any key begins with `prefix`."""
        listing = self._s3.list_objects_v2(Bucket=self.name, Prefix=prefix, MaxKeys=1)
        return bool(listing.get("KeyCount"))

    def newest(self, prefix: str) -> str | None:
        """The key below `prefix` that was written last, if any."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        found = [each for page in pages for each in page.get("Contents", [])]
        return max(found, key=lambda each: each["LastModified"])["Key"] if found else None

    def open(self, key: str) -> StoredObject:
        """Opens the newest version of an object."""
        stored = self._s3.get_object(Bucket=self.name, Key=key)
        source = f"{self.name}/{quote(key)}?versionId={stored['VersionId']}"
        return StoredObject(stored["Body"], stored["ContentLength"], source)
