"""The features of a data set's images: those that are kept, and new ones for the other images.

They are kept in one file for each data set and version of a backbone, by the ETags of the images,
so that ten more images cost ten.
"""

import hashlib
import io
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facet.errors import BrokenImage, FacetError
from facet.observability import logger
from teach.data_sets import AT_ONCE, DataSets, StoredImage
from teach.work.backbone import BATCH, Backbone

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

INVOCATIONS = 2
"""At the same time."""

WINDOW = 4 * BATCH
"""Images between two reports of progress, all of which are in memory."""

WINDOW_BYTES = 256 << 20
"""Bytes of those images' files, at most, if they are several."""

MAX_BYTES = 256 << 20
"""Of an image's file; a larger one is left out."""

SAVE_AFTER = 60.0
"""Seconds after which the file is written: an interrupted teaching goes on from there."""


@dataclass(frozen=True, eq=False)
class Known:
    """An image's features, float32 (width,), and the SHA-256 of its file."""

    features: NDArray[np.float32]
    digest: bytes


class Kept:
    """The file with the features of one data set by one version of a backbone."""

    def __init__(self, s3: "S3Client", bucket: str, key: str, width: int) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._key = key
        self._width = width

    def read(self) -> dict[str, Known]:
        """What it has by ETag; nothing if there is none, or none that can be read."""
        listed = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=self._key, MaxKeys=1)
        if not any(each["Key"] == self._key for each in listed.get("Contents", [])):
            return {}
        content = self._s3.get_object(Bucket=self._bucket, Key=self._key)["Body"].read()
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                etags, digests, rows = arrays["etags"], arrays["digests"], arrays["features"]
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
            logger().warning("unreadable features", key=self._key, exc_info=error)
            return {}
        if rows.shape != (len(etags), self._width) or digests.shape != (len(etags), 32):
            return {}
        return {
            str(etag): Known(row, digest.tobytes())
            for etag, digest, row in zip(etags, digests, rows, strict=True)
        }

    def write(self, known: Mapping[str, Known]) -> None:
        """Replaces the file."""
        file = io.BytesIO()
        np.savez(
            file,
            etags=np.array([*known], dtype=np.str_),
            digests=np.array(
                [np.frombuffer(each.digest, np.uint8) for each in known.values()]
            ).reshape(-1, 32),
            features=np.array([each.features for each in known.values()], dtype=np.float32).reshape(
                -1, self._width
            ),
        )
        self._s3.put_object(Bucket=self._bucket, Key=self._key, Body=file.getvalue())


def compute(
    data_sets: DataSets,
    dataset: str,
    images: Sequence[StoredImage],
    backbone: Backbone,
    kept: Kept,
    request_id: str,
    progress: Callable[[int], object],
) -> list[Known | FacetError]:
    """The features of each image, or why it has none.

    Calls `progress` with the number of images that have theirs. Raises what `Backbone.features`,
    `DataSets.read_listed` and botocore raise; what was computed until then is kept.
    """
    found: dict[str, Known | FacetError] = {}
    before = kept.read()
    found.update({each.etag: before[each.etag] for each in images if each.etag in before})
    found.update({each.etag: _too_large(each) for each in images if each.size > MAX_BYTES})
    new = [*{each.etag: each for each in images if each.etag not in found}.values()]
    done = len(images) - len(new)
    progress(done)
    saved = time.monotonic()
    read = partial(data_sets.read_listed, dataset)
    ask = partial(backbone.features, request_id=request_id)
    with ThreadPoolExecutor(AT_ONCE) as readers, ThreadPoolExecutor(INVOCATIONS) as askers:
        try:
            for window in _windows(new):
                files = [*readers.map(read, window)]
                batches = [files[i : i + BATCH] for i in range(0, len(files), BATCH)]
                rows = [row for batch in askers.map(ask, batches) for row in batch]
                for image, file, row in zip(window, files, rows, strict=True):
                    found[image.etag] = (
                        row
                        if isinstance(row, FacetError)
                        else Known(row, hashlib.sha256(file).digest())
                    )
                done += len(window)
                progress(done)
                if time.monotonic() - saved >= SAVE_AFTER and done < len(images):
                    kept.write(dict(_good(found)))
                    saved = time.monotonic()
        finally:
            good = dict(_good(found))
            if good.keys() != before.keys():
                kept.write(good)
    return [found[each.etag] for each in images]


def _windows(images: Sequence[StoredImage]) -> Iterator[list[StoredImage]]:
    """The images in parts of up to WINDOW images and WINDOW_BYTES, or one image."""
    window: list[StoredImage] = []
    for each in images:
        size = sum(one.size for one in window) + each.size
        if window and (len(window) == WINDOW or size > WINDOW_BYTES):
            yield window
            window = []
        window.append(each)
    if window:
        yield window


def _too_large(image: StoredImage) -> BrokenImage:
    return BrokenImage(
        f"The image has {image.size:,} bytes; up to {MAX_BYTES:,} are taught. Add a smaller copy."
    )


def _good(found: Mapping[str, Known | FacetError]) -> Iterator[tuple[str, Known]]:
    for etag, each in found.items():
        if isinstance(each, Known):
            yield etag, each
