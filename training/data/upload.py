"""Images → objects under a prefix, which then has these and no others."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.config import Config

from facet.errors import FacetError
from training.data.bucket import Bucket
from training.data.layout import LabelledImage

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

AT_ONCE = 16
"""Uploads at the same time; more do not go faster, as signing them keeps one core busy."""

CONFIG = Config(max_pool_connections=AT_ONCE, retries={"mode": "standard", "max_attempts": 5})

MOST_REMOVED = 1000
"""Objects that one request of S3's may delete."""

Content = tuple[int, str]
"""What S3 tells of an object: its size in bytes and its ETag."""


class NotRemoved(FacetError):
    """S3 refused to delete an object."""


@dataclass(frozen=True)
class Change:
    """How many images were uploaded, of how many bytes, were there already, were removed."""

    uploaded: int
    bytes: int
    unchanged: int
    removed: int


def synchronise(
    images: Iterable[LabelledImage], bucket: Bucket, prefix: str, done: Callable[[], object]
) -> Change:
    """Uploads what is missing or differs as `<prefix><channel>/<label>/<name>`, then removes what
    `images` has not. Interrupted, it can be called again and goes on.

    `done` is called after each image. In memory are never more than twice `AT_ONCE` images.
    Raises what `Image.read` and botocore raise, and `NotRemoved`.
    """
    there = dict(_objects(bucket, prefix))
    uploaded = size = unchanged = 0
    with _Uploads(bucket, done) as uploads:
        for image in images:
            key, content = prefix + image.path, image.read()
            if there.pop(key, None) == content_of(content):
                unchanged += 1
                done()
            else:
                uploads.add(key, content)
                uploaded += 1
                size += len(content)
    _remove(bucket, list(there))
    return Change(uploaded, size, unchanged, len(there))


def content_of(content: bytes) -> Content:
    """What S3 tells of an object with these bytes that was put in one part.

    Under a key of KMS an ETag is no MD5: there every image counts as changed.
    """
    return len(content), f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _objects(bucket: Bucket, prefix: str) -> Iterator[tuple[str, Content]]:
    pages = bucket.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket.name, Prefix=prefix)
    for page in pages:
        for each in page.get("Contents", []):
            yield each["Key"], (each["Size"], each["ETag"])


class _Uploads:
    """Many uploads at once; the first that fails ends them all."""

    def __init__(self, bucket: Bucket, done: Callable[[], object]) -> None:
        self._bucket = bucket
        self._done = done
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload")
        self._running: deque[Future[object]] = deque()

    def __enter__(self) -> "_Uploads":
        return self

    def add(self, key: str, content: bytes) -> None:
        """Begins an upload; waits first where too many are under way."""
        if len(self._running) == 2 * AT_ONCE:
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
    for first in range(0, len(keys), MOST_REMOVED):
        some = keys[first : first + MOST_REMOVED]
        objects: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in some]
        answer = bucket.s3.delete_objects(
            Bucket=bucket.name, Delete={"Objects": objects, "Quiet": True}
        )
        for refused in answer.get("Errors", []):
            raise NotRemoved(f"{refused.get('Key')} was not removed: {refused.get('Message')}")
