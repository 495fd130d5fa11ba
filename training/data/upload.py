"""Synchronises a prefix of the bucket with the images of a data set."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.config import Config

from facet.errors import FacetError
from training.data.layout import LabelledImage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

CONCURRENCY = 16
"""Parallel uploads. More are not faster, because signing them keeps one core busy."""

CONFIG = Config(max_pool_connections=CONCURRENCY, retries={"mode": "standard", "max_attempts": 5})

MAX_DELETED = 1000
"""Objects that one DeleteObjects request may name."""

Fingerprint = tuple[int, str]
"""The size in bytes and the ETag of an object, as S3 lists them."""


@dataclass(frozen=True)
class Bucket:
    """A bucket and the client that reaches it."""

    name: str
    s3: "S3Client"


class NotRemoved(FacetError):
    """S3 did not delete an object."""


@dataclass(frozen=True)
class Change:
    """How many images were uploaded (and their bytes), left unchanged, and removed."""

    uploaded: int
    bytes: int
    unchanged: int
    removed: int


def synchronise(
    images: Iterable[LabelledImage], bucket: Bucket, prefix: str, done: Callable[[], object]
) -> Change:
    """Uploads missing or changed images as `<prefix><channel>/<label>/<name>`, then removes all
    other objects under `prefix`. After an interruption, call it again to upload the rest.

    Calls `done` after each image. Keeps at most twice `CONCURRENCY` images in memory.
    Raises what `LabelledImage.read` and botocore raise, and NotRemoved.
    """
    existing = dict(_objects(bucket, prefix))
    uploaded = size = unchanged = 0
    with _Uploads(bucket, done) as uploads:
        for image in images:
            key, content = prefix + image.path, image.read()
            if existing.pop(key, None) == fingerprint(content):
                unchanged += 1
                done()
            else:
                uploads.add(key, content)
                uploaded += 1
                size += len(content)
    _remove(bucket, list(existing))
    return Change(uploaded, size, unchanged, len(existing))


def fingerprint(content: bytes) -> Fingerprint:
    """The size and ETag that S3 lists for an object that was uploaded in one part.

    With KMS encryption an ETag is not an MD5, so every image counts as changed.
    """
    return len(content), f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _objects(bucket: Bucket, prefix: str) -> Iterator[tuple[str, Fingerprint]]:
    pages = bucket.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket.name, Prefix=prefix)
    for page in pages:
        for item in page.get("Contents", []):
            yield item["Key"], (item["Size"], item["ETag"])


class _Uploads:
    """Runs uploads in parallel; the first that fails cancels the others."""

    def __init__(self, bucket: Bucket, done: Callable[[], object]) -> None:
        self._bucket = bucket
        self._done = done
        self._pool = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="upload")
        self._running: deque[Future[object]] = deque()

    def __enter__(self) -> "_Uploads":
        return self

    def add(self, key: str, content: bytes) -> None:
        """Starts an upload, after waiting for one to finish if too many are running."""
        if len(self._running) == 2 * CONCURRENCY:
            self._finish()
        self._running.append(
            self._pool.submit(
                self._bucket.s3.put_object, Bucket=self._bucket.name, Key=key, Body=content
            )
        )

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            while self._running and kind is None:
                self._finish()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def _finish(self) -> None:
        self._running.popleft().result()
        self._done()


def _remove(bucket: Bucket, keys: list[str]) -> None:
    for first in range(0, len(keys), MAX_DELETED):
        batch = keys[first : first + MAX_DELETED]
        objects: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in batch]
        response = bucket.s3.delete_objects(
            Bucket=bucket.name, Delete={"Objects": objects, "Quiet": True}
        )
        for failure in response.get("Errors", []):
            raise NotRemoved(f"S3 did not delete {failure.get('Key')}: {failure.get('Message')}")
