"""S3 objects: their bytes are in files, and each version of them outlives the process.

AWS keeps objects on disks. moto keeps their bytes in memory, reads them through one buffer for all
threads, keeps the parts of a multipart upload beside the whole, and copies every object of the
bucket to list versions. Here moto has the names and headers; the bytes of each object version and
part are in a file of local/storage/objects.py before moto knows of it.

Contract: tests/integration/local/test_s3_objects.py.
"""

import copy
import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BufferedReader
from typing import Any, ClassVar, Self
from unittest import mock

from moto.s3 import models, responses
from moto.s3.exceptions import MissingKey
from moto.s3.models import FakeDeleteMarker, FakeKey, s3_backends
from moto.s3.utils import _VersionedKeyStore

from local.moto import ACCOUNT, REGION
from local.storage.objects import CHUNK, Content, ObjectFiles
from local.storage.state import ObjectVersion


class StoredBytes:
    """The bytes of a file for a response: moto asks for their length, slices ranges or sends all.

    The file is open, so that the bytes can be read after the object's deletion.
    """

    def __init__(self, content: Content, file: BufferedReader) -> None:
        self.content = content
        self._descriptor = os.dup(file.fileno())

    def __len__(self) -> int:
        return self.content.size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(len(self))
        return b"".join(self._read(start, stop))

    def __iter__(self) -> Iterator[bytes]:
        return self._read(0, len(self))

    def __del__(self) -> None:
        os.close(self._descriptor)

    def _read(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            data = os.pread(self._descriptor, min(CHUNK, stop - start), start)
            if not data:
                raise OSError(errno.EIO, "the object's file has become shorter")
            yield data
            start += len(data)


class StoredKey(FakeKey):
    """An object version, or a part, whose bytes are in `files`."""

    files: ClassVar[ObjectFiles]
    content: Content

    @property  # type: ignore[override]
    def value(self) -> bytes | StoredBytes:
        try:
            with self.files.open(self.content) as file:
                # moto joins the parts as bytes, and parses small objects, such as definitions.
                if self._is_part or self.content.size <= CHUNK:
                    return file.read()
                return StoredBytes(self.content, file)
        except FileNotFoundError as error:
            raise MissingKey(key=self.name) from error

    @value.setter
    def value(self, new: bytes | StoredBytes | Content) -> None:
        self._value_buffer.close()
        self.content = new if isinstance(new, Content) else self._written(new)
        self.contentsize = self.content.size

    @property
    def etag(self) -> str:
        return f'"{self._etag or self.content.md5}"'

    def dispose(self, garbage: bool = False) -> None:
        """Deletes parts. An object version's file goes when its deletion is in the state."""
        if self._is_part and not garbage:
            self.files.delete(self.content.file)
        self.disposed = True

    def __del__(self) -> None:
        """Does nothing."""

    def __deepcopy__(self, _: object) -> Self:
        """A copy for a list of versions, which sets `is_latest` in it."""
        return copy.copy(self)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @property
    def _is_part(self) -> bool:
        return isinstance(self.name, int)

    def _written(self, new: bytes | StoredBytes) -> Content:
        if isinstance(new, StoredBytes):
            return self.files.copy(new.content)
        return self.files.write([new])


class Keys(_VersionedKeyStore):
    """A bucket's keys, and the set of those that have changed."""

    def __init__(self) -> None:
        super().__init__()
        self.changed: set[str] = set()

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self.changed.add(key)

    def setlist(self, key: str, list_: Any) -> None:
        super().setlist(key, list_)
        self.changed.add(key)

    def pop(self, key: str) -> None:  # type: ignore[override]
        super().pop(key)
        self.changed.add(key)

    def lists(self) -> Iterator[tuple[str, list[Any]]]:
        """Each key and its versions; moto's own fails when another thread deletes a key."""
        return ((key, list(versions)) for key, versions in dict(self).items() if versions)

    iterlists = lists

    def items(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        """Each key and its newest version."""
        return ((key, versions[-1]) for key, versions in self.lists())

    iteritems = items

    def values(self) -> Iterator[Any]:  # type: ignore[override]
        """The newest version of each key."""
        return (versions[-1] for _, versions in self.lists())

    itervalues = values


@contextmanager
def storing(files: ObjectFiles) -> Iterator[None]:
    """While entered, the bytes of new objects are in `files`.

    Requests that read or write objects raise Damaged and OSError.
    """
    stored = type("StoredKey", (StoredKey,), {"files": files})
    with (
        mock.patch.object(models, "FakeKey", stored),
        mock.patch.object(responses, "FakeKey", stored),
    ):
        yield


def refill(bucket: str, versions: Iterable[ObjectVersion]) -> Keys:
    """Gives a bucket these object versions. Call it while `storing` is entered."""
    keys = Keys()
    for each in versions:
        keys[each.key] = _restored(each)
    keys.changed.clear()
    _bucket(bucket).keys = keys
    return keys


def object_versions(bucket: str, key: str) -> list[ObjectVersion]:
    """The versions of an object, the oldest first."""
    return [_described(bucket, key, each) for each in _bucket(bucket).keys.getlist(key, [])]


def remove(bucket: str, key: str, version: str) -> None:
    """Removes one version from memory, without an event."""
    keys = _bucket(bucket).keys
    if left := [each for each in keys.getlist(key, []) if each.version_id != version]:
        keys.setlist(key, left)
    elif key in keys:
        keys.pop(key)


def _described(bucket: str, key: str, each: Any) -> ObjectVersion:
    modified = each.last_modified.isoformat()
    if isinstance(each, FakeDeleteMarker):
        return ObjectVersion(bucket, key, each.version_id, modified)
    return ObjectVersion(
        *(bucket, key, each.version_id, modified),
        content=each.content,
        etag=each.etag,
        metadata=dict(each.metadata),
    )


def _restored(each: ObjectVersion) -> FakeKey | FakeDeleteMarker:
    content: Any = each.content or Content("", 0, "")
    key = models.FakeKey(
        name=each.key,
        value=content,
        account_id=ACCOUNT,
        region_name=REGION,
        etag=each.etag.strip('"'),
        is_versioned=True,
        version_id=each.version,
        bucket_name=each.bucket,
    )
    key.set_metadata(dict(each.metadata))
    restored = key if each.content else FakeDeleteMarker(key)
    restored._version_id = each.version
    restored.last_modified = datetime.fromisoformat(each.modified)
    return restored


def _bucket(name: str) -> Any:
    return s3_backends[ACCOUNT]["aws"].get_bucket(name)
