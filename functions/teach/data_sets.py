"""Data sets in the bucket: one image for each object, its label in the key.

They are those that `facet data` uploads and training reads. The routes change the channel `train`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from facet.errors import BadRequest, BodyTooLarge, FacetError, UnknownImage
from facet.keys import dataset_prefix

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHANNEL = "train"

AT_ONCE = 16
"""Requests at the same time. S3 takes some 20 ms for each."""

COMPARED = 2
"""Pairs of images that are compared at the same time: all of them are in memory."""

MAX_SHOWN_BYTES = 4_000_000
"""Of an image that is answered: Lambda answers up to 6 MB, and base64 makes it a third longer."""


class ImageChanged(FacetError):
    """An image was replaced after its content was listed."""

    def __init__(self, dataset: str, path: str) -> None:
        super().__init__(f"The image '{path}' of data set '{dataset}' was replaced meanwhile.")


@dataclass(frozen=True)
class StoredImage:
    """An image of a data set. `etag` changes with its content."""

    label: str
    name: str
    size: int
    etag: str

    @property
    def path(self) -> str:
        """`<label>/<name>`."""
        return f"{self.label}/{self.name}"


@dataclass(frozen=True)
class Form:
    """A presigned form for an image: POST `fields` to `url`, with the file as the last field.

    Without a url the image is stored already.
    """

    name: str
    url: str | None
    fields: dict[str, str]


class DataSets:
    """The data sets of one bucket. All methods raise botocore's errors if S3 fails."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def images(self, name: str, label: str | None = None) -> Iterator[StoredImage]:
        """The images of a data set, or of one label, ordered by label and name."""
        below = dataset_prefix(name, CHANNEL)
        prefix = f"{below}{label}/" if label is not None else below
        pages = self._s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            for each in page.get("Contents", []):
                of, slash, file = each["Key"].removeprefix(below).partition("/")
                if of and slash and file and "/" not in file:
                    yield StoredImage(of, file, each["Size"], each["ETag"].strip('"'))

    def exists(self, name: str) -> bool:
        """Whether the data set has an image."""
        return next(self.images(name), None) is not None

    def labels(self, name: str) -> dict[str, int]:
        """The number of images of each label."""
        return dict(Counter(each.label for each in self.images(name)))

    def page(
        self, name: str, label: str, limit: int, after: str | None = None
    ) -> tuple[list[StoredImage], str | None]:
        """Up to `limit` images of a label after the name `after`, and the name to continue after,
        None at the end.
        """
        below = f"{dataset_prefix(name, CHANNEL)}{label}/"
        found = self._s3.list_objects_v2(
            Bucket=self._bucket,
            Prefix=below,
            MaxKeys=limit,
            StartAfter=below + (after or ""),
        )
        images = [
            StoredImage(label, each["Key"].removeprefix(below), each["Size"], each["ETag"])
            for each in found.get("Contents", [])
        ]
        following = images[-1].name if images and found["IsTruncated"] else None
        return [each for each in images if each.name and "/" not in each.name], following

    def read_listed(self, name: str, image: StoredImage) -> bytes:
        """The bytes that an image had when it was listed. Raises UnknownImage, ImageChanged."""
        key = self._key(name, image.label, image.name)
        with self._known(name, image.path, key):
            stored = self._s3.get_object(Bucket=self._bucket, Key=key, IfMatch=image.etag)
            return stored["Body"].read()

    def read(self, name: str, label: str, file: str, largest: int) -> bytes:
        """The bytes of an image. Raises UnknownImage, and BodyTooLarge beyond `largest` bytes."""
        key = self._key(name, label, file)
        with self._known(name, f"{label}/{file}", key):
            stored = self._s3.get_object(Bucket=self._bucket, Key=key)
        if stored["ContentLength"] > largest:
            stored["Body"].close()
            raise BodyTooLarge(
                f"The image '{label}/{file}' has {stored['ContentLength']:,} bytes; up to "
                f"{largest:,} can be shown."
            )
        return stored["Body"].read()

    @contextmanager
    def _known(self, name: str, path: str, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] == "PreconditionFailed":
                raise ImageChanged(name, path) from error
            # A role that may list some prefixes only gets a 403 for a missing key, or a 404:
            # S3's documentation does not say which.
            if error.response["Error"]["Code"] not in ("NoSuchKey", "AccessDenied"):
                raise
            found = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
            if any(each["Key"] == key for each in found.get("Contents", [])):
                raise
            raise UnknownImage(name, path) from error

    def put(self, name: str, label: str, file: str, content: bytes) -> Form:
        """Stores an image."""
        key = self._key(name, label, file)
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=content)
        return Form(file, None, {})

    def form(
        self, name: str, label: str, file: str, content_type: str, most: int, seconds: int
    ) -> Form:
        """A form for an image of up to `most` bytes, valid for so many seconds."""
        post = self._s3.generate_presigned_post(
            self._bucket,
            self._key(name, label, file),
            Fields={"Content-Type": content_type},
            Conditions=[{"Content-Type": content_type}, ["content-length-range", 1, most]],
            ExpiresIn=seconds,
        )
        return Form(file, post["url"], post["fields"])

    def delete(self, name: str, label: str, files: Sequence[str] | None = None) -> int:
        """Deletes these images of a label, or all. Returns how many there were."""
        wanted = None if files is None else {*files}
        there = self.images(name, label)
        gone = [each for each in there if wanted is None or each.name in wanted]
        self._delete(name, gone)
        return len(gone)

    def rename(self, name: str, old: str, new: str) -> int:
        """Gives the images of a label another one, which may have images already.

        Returns how many it moved. An interrupted one goes on when it is repeated. Raises BadRequest
        if both labels have different images of one name, if they are the same, or if an image is
        replaced or deleted meanwhile.
        """
        if old == new:
            raise BadRequest(f"The label is '{old}' already; nothing was renamed.")
        moving = [*self.images(name, old)]
        there = {each.name: each for each in self.images(name, new)}
        both = [(each, there[each.name]) for each in moving if each.name in there]
        with ThreadPoolExecutor(COMPARED) as pool:
            same = [*pool.map(partial(self._are_equal, name), both)]
        taken = [each.name for (each, _), equal in zip(both, same, strict=True) if not equal]
        if taken:
            raise BadRequest(
                f"Label '{new}' has other images named {', '.join(taken[:5])}"
                f"{' …' if len(taken) > 5 else ''}; nothing was renamed. Delete them first."
            )
        copied = [each for each in moving if each.name not in there]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(partial(self._copy, name, new), copied):
                pass
        unchanged = {*moving}.intersection(self.images(name, old))
        self._delete(name, [*unchanged])
        return len(unchanged)

    def _are_equal(self, name: str, images: tuple[StoredImage, StoredImage]) -> bool:
        """Whether two images have the same bytes. Equal ones may have different ETags, if they are
        encrypted with a KMS key, or were uploaded in parts.
        """
        one, other = images
        if one.etag == other.etag or one.size != other.size:
            return one.size == other.size
        return self.read_listed(name, one) == self.read_listed(name, other)

    def _copy(self, name: str, label: str, image: StoredImage) -> None:
        """Gives a copy of an image another label, in S3: it may be larger than the memory."""
        try:
            self._s3.copy_object(
                Bucket=self._bucket,
                Key=self._key(name, label, image.name),
                CopySource={
                    "Bucket": self._bucket,
                    "Key": self._key(name, image.label, image.name),
                },
                CopySourceIfMatch=image.etag,
                TaggingDirective="REPLACE",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "NoSuchKey"):
                raise
            raise BadRequest(
                f"The image '{image.path}' was replaced or deleted meanwhile. Rename again: it "
                "goes on with the other images."
            ) from error

    def _delete(self, name: str, images: Sequence[StoredImage]) -> None:
        def delete(image: StoredImage) -> None:
            key = self._key(name, image.label, image.name)
            self._s3.delete_object(Bucket=self._bucket, Key=key)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(delete, images):
                pass

    def _key(self, name: str, label: str, file: str) -> str:
        return f"{dataset_prefix(name, CHANNEL)}{label}/{file}"
