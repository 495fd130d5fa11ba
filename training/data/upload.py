"""Synchronises a prefix of the bucket with the images of a data set.

S3 takes one request for each image. The local stack also takes many in one, which costs a tenth of
the CPU: a tar with the metadata `snowball-auto-extract`, as AWS's Snow devices and MinIO do.
"""

import hashlib
import io
import tarfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from botocore.config import Config

from facet.errors import FacetError
from training.data.layout import LabelledImage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

CONCURRENCY = 16
"""Parallel uploads. More are not faster, because signing them keeps one core busy."""

BATCH, BATCH_BYTES = 256, 8 << 20
"""Images of one request to a bucket that unpacks archives, and bytes at which a request is full."""

CONFIG = Config(max_pool_connections=CONCURRENCY, retries={"mode": "standard", "max_attempts": 5})

MAX_DELETED = 1000
"""Objects that one DeleteObjects request may name."""

Fingerprint = tuple[int, str]
"""The size in bytes and the ETag of an object, as S3 lists them."""


@dataclass(frozen=True)
class Bucket:
    """A bucket and the client that reaches it.

    `unpacks`: it turns an uploaded tar into objects, as that of a local stack does.
    """

    name: str
    s3: "S3Client"
    unpacks: bool = False


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

    Calls `done` after each image. Keeps at most twice `CONCURRENCY` images in memory, or three
    batches. Raises what `LabelledImage.read` and botocore raise, and NotRemoved.
    """
    existing = dict(_objects(bucket, prefix))
    uploaded = size = unchanged = 0
    uploads = _Batches(bucket, prefix, done) if bucket.unpacks else _Uploads(bucket, prefix, done)
    with uploads:
        for image in images:
            key, content = prefix + image.path, image.read()
            if existing.pop(key, None) == fingerprint(content):
                unchanged += 1
                done()
            else:
                uploads.add(image.path, content)
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
    """Uploads each image in a request of its own, in parallel.

    The first upload that fails cancels the others.
    """

    concurrency = CONCURRENCY

    def __init__(self, bucket: Bucket, prefix: str, done: Callable[[], object]) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._done = done
        # botocore asks S3 first whether to send the body (Expect: 100-continue): a round trip
        # for an image that is sent in one packet or two.
        bucket.s3.meta.events.register_last("before-call.s3", _send_at_once, "send-at-once")
        self._pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="upload")
        self._running: deque[tuple[Future[Any], int]] = deque()

    def __enter__(self) -> Self:
        return self

    def add(self, path: str, content: bytes) -> None:
        """Starts an upload, after waiting for one to finish if too many are running."""
        self._put(self._prefix + path, content, {}, 1)

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            while self._running and kind is None:
                self._finish()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def _put(self, key: str, body: bytes, metadata: Mapping[str, str], images: int) -> None:
        if len(self._running) == 2 * self.concurrency:
            self._finish()
        upload = self._pool.submit(
            self._bucket.s3.put_object,
            Bucket=self._bucket.name,
            Key=key,
            Body=body,
            Metadata=metadata,
        )
        self._running.append((upload, images))

    def _finish(self) -> None:
        upload, images = self._running.popleft()
        upload.result()
        for _ in range(images):
            self._done()


def _send_at_once(params: dict[str, Any], **_: object) -> None:
    params["headers"].pop("Expect", None)


class _Batches(_Uploads):
    """Uploads many images in one request, as a tar that the bucket unpacks."""

    concurrency = 1

    def __init__(self, bucket: Bucket, prefix: str, done: Callable[[], object]) -> None:
        super().__init__(bucket, prefix, done)
        self._batch: dict[str, bytes] = {}
        self._bytes = 0

    def add(self, path: str, content: bytes) -> None:
        """Adds an image to the batch, and starts the upload of a full one."""
        self._batch[path] = content
        self._bytes += len(content)
        if len(self._batch) == BATCH or self._bytes >= BATCH_BYTES:
            self._send()

    def __exit__(self, kind: object, *_: object) -> None:
        if self._batch and kind is None:
            self._send()
        super().__exit__(kind)

    def _send(self) -> None:
        metadata = {"snowball-auto-extract": "true"}
        self._put(f"{self._prefix}batch.tar", _tar(self._batch), metadata, len(self._batch))
        self._batch, self._bytes = {}, 0


def _tar(contents: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _remove(bucket: Bucket, keys: list[str]) -> None:
    for first in range(0, len(keys), MAX_DELETED):
        batch = keys[first : first + MAX_DELETED]
        objects: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in batch]
        response = bucket.s3.delete_objects(
            Bucket=bucket.name, Delete={"Objects": objects, "Quiet": True}
        )
        for failure in response.get("Errors", []):
            raise NotRemoved(f"S3 did not delete {failure.get('Key')}: {failure.get('Message')}")
