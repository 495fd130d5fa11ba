"""LiteRT models on disk: named by their digest, compared with it, and bounded in bytes."""

import errno
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Protocol

from infer.errors import DiskFull, ModelMissing, ModelTooLarge, StoreUnavailable

UNFINISHED = "."
"""How the names of files begin that are being written."""


class Objects(Protocol):
    """Where the models come from; `store.Store` is one."""

    def open(self, key: str) -> AbstractContextManager[tuple[int, Iterator[bytes]]]:
        """An object's size in bytes, and its content in parts."""


class ModelFiles:
    """A folder of files, each called by the SHA-256 of its content in hex.

    A file that an earlier process has left is compared with its name before its first use. When
    they have more bytes than `limit`, the least recently used ones are removed.
    """

    def __init__(self, folder: Path, limit: int, objects: Objects) -> None:
        """Raises OSError if the folder cannot be made."""
        self._folder = folder
        self._limit = limit
        self._objects = objects
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._checked: set[str] = set()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in sorted(folder.iterdir(), key=lambda each: each.stat().st_mtime):
            if path.name.startswith(UNFINISHED):
                path.unlink()
            else:
                self._sizes[path.name] = path.stat().st_size

    def find(self, key: str, digest: str, left: Callable[[], float]) -> Path:
        """The file of the model with that digest; `key` is where the bucket has it.

        left: the seconds in which it must have been read.

        Raises ModelMissing, ModelTooLarge, StoreUnavailable, DiskFull.
        """
        path = self._folder / digest
        try:
            if not self._is_whole(digest):
                self._read(key, digest, left)
        except OSError as error:
            kind = DiskFull if error.errno == errno.ENOSPC else StoreUnavailable
            raise kind(f"{key} cannot be kept on disk: {error}") from error
        self._sizes.move_to_end(digest)
        return path

    def _is_whole(self, digest: str) -> bool:
        """Whether the file is there and is what its name says. Removes it if it is not."""
        if digest not in self._sizes:
            return False
        path = self._folder / digest
        if digest in self._checked and path.is_file():
            return True
        with suppress(FileNotFoundError), path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == digest:
                self._checked.add(digest)
                return True
        self._remove(digest)
        return False

    def _read(self, key: str, digest: str, left: Callable[[], float]) -> None:
        unfinished = self._folder / f"{UNFINISHED}{uuid.uuid4().hex}"
        try:
            with self._objects.open(key) as (size, parts):
                if size > self._limit:
                    raise ModelTooLarge(
                        f"{key} has {size / 1e6:.1f} MB, and the function keeps "
                        f"{self._limit / 1e6:.0f} MB of models on its disk. Run it on the endpoint."
                    )
                self._make_room(size)
                found = _write(unfinished, _in_time(key, parts, left))
            if found != digest:
                raise ModelMissing(
                    f"{key} is not stored: the object in its place has the SHA-256 {found}, "
                    f"not {digest}"
                )
            unfinished.rename(self._folder / digest)
        finally:
            unfinished.unlink(missing_ok=True)
        self._sizes[digest] = size
        self._checked.add(digest)

    def _make_room(self, size: int) -> None:
        while self._sizes and sum(self._sizes.values()) + size > self._limit:
            self._remove(next(iter(self._sizes)))

    def _remove(self, digest: str) -> None:
        """A model that is loaded stays as it is: its file's content remains until it is closed."""
        del self._sizes[digest]
        self._checked.discard(digest)
        (self._folder / digest).unlink(missing_ok=True)


def _in_time(key: str, parts: Iterator[bytes], left: Callable[[], float]) -> Iterator[bytes]:
    for part in parts:
        if not left():
            raise StoreUnavailable(
                f"{key} was not read from the bucket in time. Try again, or raise InferTimeout"
            )
        yield part


def _write(path: Path, parts: Iterator[bytes]) -> str:
    """The digest of what was written, in hex."""
    digest = hashlib.sha256()
    with path.open("xb") as file:
        for part in parts:
            file.write(part)
            digest.update(part)
    return digest.hexdigest()
