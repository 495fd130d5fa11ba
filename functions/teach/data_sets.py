"""Data sets in the bucket: one image for each object, its label in the key.

They are those that `facet data` uploads and training reads. The routes change the channel `train`.

Labels and names are composed (Unicode NFC) wherever they are compared or shown: another client's
keys may be decomposed, as macOS writes them.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from facet.errors import BadRequest, BodyTooLarge, FacetError, UnknownImage
from facet.keys import dataset_prefix

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

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
    """An image of a data set. `etag` changes with its content, `key` is as the bucket has it."""

    label: str
    name: str
    size: int
    etag: str
    key: str

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


def composed(text: str) -> str:
    """A label or a name in the form in which it is compared."""
    return unicodedata.normalize("NFC", text)


class DataSets:
    """The data sets of one bucket. All methods raise botocore's errors if S3 fails."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def images(self, name: str, label: str | None = None, after: str = "") -> Iterator[StoredImage]:
        """The images of a data set, or of one label, ordered by key; those after a place that
        `page` returned.
        """
        below = dataset_prefix(name, CHANNEL)
        pages = self._s3.get_paginator("list_objects_v2")
        for prefix in [below] if label is None else self._prefixes(name, label):
            start = max(prefix, below + after)
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, StartAfter=start):
                for each in page.get("Contents", []):
                    of, slash, file = composed(each["Key"].removeprefix(below)).partition("/")
                    if of and slash and file and "/" not in file:
                        etag = each["ETag"].strip('"')
                        yield StoredImage(of, file, each["Size"], etag, each["Key"])

    def _prefixes(self, name: str, label: str) -> list[str]:
        """The prefixes of a label's images: one for each spelling."""
        below = dataset_prefix(name, CHANNEL)
        pages = self._s3.get_paginator("list_objects_v2")
        return [
            each["Prefix"]
            for page in pages.paginate(Bucket=self._bucket, Prefix=below, Delimiter="/")
            for each in page.get("CommonPrefixes", [])
            if composed(each["Prefix"]) == f"{below}{label}/"
        ]

    def exists(self, name: str) -> bool:
        """Whether the data set has an image."""
        return next(self.images(name), None) is not None

    def page(
        self, name: str, label: str | None, limit: int, after: str = ""
    ) -> tuple[list[StoredImage], str | None]:
        """Up to `limit` images after a place, of a data set or of one label, and the place to
        continue after, None at the end.
        """
        images = [*islice(self.images(name, label, after), limit)]
        if len(images) < limit:
            return images, None
        return images, images[-1].key.removeprefix(dataset_prefix(name, CHANNEL))

    def read_listed(self, name: str, image: StoredImage) -> bytes:
        """The bytes that an image had when it was listed. Raises UnknownImage, ImageChanged."""
        with self._known(name, image.path, image.key):
            stored = self._s3.get_object(Bucket=self._bucket, Key=image.key, IfMatch=image.etag)
            return stored["Body"].read()

    def read(self, name: str, label: str, file: str, largest: int) -> bytes:
        """The bytes of an image. Raises UnknownImage, and BodyTooLarge beyond `largest` bytes."""
        path = f"{label}/{file}"
        try:
            stored = self._get(name, path, self._key(name, label, file))
        except UnknownImage:
            spelled = next((each for each in self.images(name, label) if each.name == file), None)
            if spelled is None:
                raise
            stored = self._get(name, path, spelled.key)
        if stored["ContentLength"] > largest:
            stored["Body"].close()
            raise BodyTooLarge(
                f"The image '{path}' has {stored['ContentLength']:,} bytes; up to {largest:,} can "
                "be shown."
            )
        return stored["Body"].read()

    def _get(self, name: str, path: str, key: str) -> "GetObjectOutputTypeDef":
        with self._known(name, path, key):
            return self._s3.get_object(Bucket=self._bucket, Key=key)

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
        self._delete(gone)
        return len(gone)

    def rename(self, name: str, old: str, new: str) -> int:
        """Gives the images of a label another one, which may have images already.

        Returns how many it moved. An interrupted one goes on when it is repeated. Raises BadRequest
        if different images would get the same name, if the labels are the same, or if an image is
        replaced or deleted meanwhile.
        """
        if old == new:
            raise BadRequest(f"The label is '{old}' already; nothing was renamed.")
        moving = [*self.images(name, old)]
        there = {each.name: each for each in self.images(name, new)}
        pairs = [(each, there.setdefault(each.name, each)) for each in moving]
        both = [(each, other) for each, other in pairs if each is not other]
        with ThreadPoolExecutor(COMPARED) as pool:
            same = [*pool.map(partial(self._are_equal, name), both)]
        taken = [each.name for (each, _), equal in zip(both, same, strict=True) if not equal]
        if taken:
            raise BadRequest(
                f"Labels '{old}' and '{new}' have different images named {', '.join(taken[:5])}"
                f"{' …' if len(taken) > 5 else ''}; nothing was renamed. Delete one of each first."
            )
        copied = [each for each, other in pairs if each is other]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(partial(self._copy, name, new), copied):
                pass
        unchanged = {*moving}.intersection(self.images(name, old))
        self._delete([*unchanged])
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
                CopySource={"Bucket": self._bucket, "Key": image.key},
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

    def _delete(self, images: Sequence[StoredImage]) -> None:
        def delete(image: StoredImage) -> None:
            self._s3.delete_object(Bucket=self._bucket, Key=image.key)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(delete, images):
                pass

    def _key(self, name: str, label: str, file: str) -> str:
        return f"{dataset_prefix(name, CHANNEL)}{label}/{file}"
