"""The weights of heads, which onboarding keeps in the bucket: some kB each, read once and kept."""

import hashlib
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from facet.errors import ModelFailed
from facet.heads import weights
from facet.heads.errors import HeadUnavailable
from facet.heads.weights import BadHead, Head
from facet.keys import head_key
from facet.manifest import HeadManifest
from facet.observability import logger
from facet.registry.models import Version
from predict.bucket import objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OF_A_HEAD = 2048
"""Bytes of a kept head beside its arrays: about twice what its objects have (docs/benchmarks.md,
Memory of a head)."""


class HeadWeights:
    """The part of the bucket with the weights. Up to `capacity` bytes of heads are kept in memory;
    those that were not used for longest are removed first.
    """

    def __init__(self, s3: "S3Client", bucket: str, capacity: int) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._capacity = capacity
        self._kept: dict[str, Head] = {}
        self._size = 0

    def read(self, version: Version, manifest: HeadManifest) -> Head:
        """The weights of a head's version, from memory or by one read of the bucket.

        Raises HeadUnavailable, also for other bytes than those that were validated, ModelFailed for
        a file that is none, and ClientError for causes that last, such as permissions.
        """
        head = self._kept.pop(version.target, None)
        if head is None:
            head = self._parsed(version, manifest)
            self._size += _size(head)
        self._kept[version.target] = head
        while self._size > self._capacity:
            self._size -= _size(self._kept.pop(next(iter(self._kept))))
        return head

    def _parsed(self, version: Version, manifest: HeadManifest) -> Head:
        content = self._content(version)
        if version.head_sha256 and hashlib.sha256(content).hexdigest() != version.head_sha256:
            logger().error("weights changed", key=head_key(version.model, version.id))
            raise HeadUnavailable(version.model, version.id, changed=True)
        try:
            return weights.read(content, labels=len(manifest.labels), width=manifest.backbone.width)
        except BadHead as error:
            raise ModelFailed(f"its weights cannot be read: {error}") from error

    def _content(self, version: Version) -> bytes:
        try:
            found = objects.find(self._s3, self._bucket, head_key(version.model, version.id))
            content: bytes | None = found and found["Body"].read()
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and _status(error) < 500:
                raise
            raise HeadUnavailable(version.model, version.id) from error
        if content is None:
            raise HeadUnavailable(version.model, version.id, missing=True)
        return content


def _size(head: Head) -> int:
    return head.nbytes + OF_A_HEAD


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
