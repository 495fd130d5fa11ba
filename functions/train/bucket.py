"""The models' bucket as training sees it: is something there, and what is it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Opened:
    """One object version: its bytes, and CopyObject's name for exactly this version."""

    body: "StreamingBody"
    copy_source: str


class Bucket:
    """Reads of one bucket. All raise botocore's errors when S3 fails."""

    def __init__(self, s3: "S3Client", name: str) -> None:
        self._s3 = s3
        self.name = name

    @property
    def region(self) -> str:
        """Where it is."""
        return self._s3.meta.region_name

    def uri(self, key: str) -> str:
        """`s3://…` of a key or prefix."""
        return f"s3://{self.name}/{key}"

    def key(self, uri: str) -> str:
        """The key in `s3://…`. Raises ValueError for another bucket's."""
        place, _, key = uri.removeprefix("s3://").partition("/")
        if place != self.name or not key:
            raise ValueError(f"{uri} is not in the bucket {self.name}")
        return key

    def has(self, prefix: str) -> bool:
        """Whether there is anything whose key begins so."""
        found = self._s3.list_objects_v2(Bucket=self.name, Prefix=prefix, MaxKeys=1)
        return bool(found.get("KeyCount"))

    def open(self, key: str) -> Opened:
        """The newest version of an object."""
        taken = self._s3.get_object(Bucket=self.name, Key=key)
        source = f"{self.name}/{quote(key)}?versionId={taken['VersionId']}"
        return Opened(taken["Body"], source)
