"""The disk cache: unpacked artifacts, each downloaded once, within a budget of bytes.

When the budget is exceeded, or the disk is full, the least recently used artifacts are deleted. An
artifact is downloaded into a temporary folder and renamed, so a crash leaves no half artifact; a
list of its files and their times beside it shows whether they changed since.
"""

import asyncio
import errno
import logging
import os
import shutil
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from local.endpoint.errors import ServiceUnavailable

log = logging.getLogger(__name__)

TEMPORARY = ".tmp-"  # prefix of folders that are being written or deleted: never served
FILES = "files.json"  # beside `model`: the files that were unpacked, to detect changes
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

Unpack = Callable[[str, str, Path], Awaitable[None]]
"""`Downloads.unpack`: bucket, key, folder."""

Files = dict[str, list[int]]
"""By path: size in bytes, time of the last change in nanoseconds."""


@dataclass(frozen=True)
class Artifact:
    """An unpacked artifact. downloaded: just now, not before."""

    path: Path
    downloaded: bool


class DiskCache:
    """Artifacts in folders `<root>/<name>/model`. For use on one event loop."""

    def __init__(self, root: Path, budget: int, unpack: Unpack) -> None:
        """Take over what an earlier run left in `root`. budget: bytes of unpacked files."""
        self._root = root
        self._budget = budget
        self._unpack = unpack
        self._in_use: set[str] = set()
        self._downloaded: set[str] = set()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._used = 0
        root.mkdir(parents=True, exist_ok=True)
        for folder in sorted(root.iterdir(), key=lambda folder: folder.stat().st_mtime):
            files = None if folder.name.startswith(TEMPORARY) else _recorded(folder)
            if files is None:
                shutil.rmtree(folder)
            else:
                self._add(folder.name, files)

    @property
    def used(self) -> int:
        """Bytes on disk."""
        return self._used

    def __contains__(self, name: str) -> bool:
        return name in self._sizes

    @asynccontextmanager
    async def use(self, name: str, bucket: str, key: str) -> AsyncIterator[Artifact]:
        """The object's unpacked files, which are not deleted inside the `with` block.

        A name always stands for the same object, and objects never change. One name must not be
        used twice at once. Raises ValidationError, ServiceUnavailable.
        """
        self._in_use.add(name)
        try:
            if name in self._sizes and not _intact(self._root / name):
                log.warning("s3://%s/%s changed on disk: downloading it again", bucket, key)
                await self._remove(name)
            download = name not in self._sizes
            if download:
                await self._fetch(name, bucket, key)
            self._sizes.move_to_end(name)
            os.utime(self._root / name)
            await self._shrink(self._budget)
            yield Artifact(self._root / name / "model", download)
        finally:
            self._in_use.discard(name)

    async def remove_if_old(self, name: str) -> bool:
        """Delete an artifact that an earlier run downloaded, and say whether there was one.

        An artifact of this run equals the object in S3: `use` would have noticed a change.
        """
        if name in self._downloaded or name not in self._sizes:
            return False
        await self._remove(name)
        return True

    async def _fetch(self, name: str, bucket: str, key: str) -> None:
        try:
            try:
                await self._download(name, bucket, key)
            except OSError as error:
                if error.errno not in DISK_FULL:
                    raise
                log.warning(
                    "%s during the download of s3://%s/%s: deleting unused artifacts",
                    *(error.strerror, bucket, key),
                )
                await self._shrink(self._used // 2)
                await self._download(name, bucket, key)
        except OSError as error:
            raise ServiceUnavailable(
                f"Model data s3://{bucket}/{key} cannot be written to disk: "
                f"{error.strerror or error}"
            ) from error

    async def _download(self, name: str, bucket: str, key: str) -> None:
        folder = self._temporary()
        try:
            (folder / "model").mkdir(parents=True)
            await self._unpack(bucket, key, folder / "model")
            files = _files(folder / "model")
            (folder / FILES).write_bytes(orjson.dumps(files))
            folder.rename(self._root / name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._downloaded.add(name)
        self._add(name, files)

    def _add(self, name: str, files: Files) -> None:
        self._sizes[name] = sum(size for size, _ in files.values())
        self._used += self._sizes[name]

    async def _shrink(self, budget: int) -> None:
        while self._used > budget:
            unused = next((name for name in self._sizes if name not in self._in_use), None)
            if unused is None:
                return
            await self._remove(unused)

    async def _remove(self, name: str) -> None:
        self._used -= self._sizes.pop(name)
        self._downloaded.discard(name)
        trash = self._temporary()
        with suppress(FileNotFoundError):
            (self._root / name).rename(trash)
        await asyncio.to_thread(shutil.rmtree, trash, ignore_errors=True)

    def _temporary(self) -> Path:
        return self._root / f"{TEMPORARY}{uuid.uuid4().hex}"


def _files(folder: Path) -> Files:
    files: Files = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)  # noqa: PTH118  (ten times as fast)
            status = os.lstat(path)
            files[os.path.relpath(path, folder)] = [status.st_size, status.st_mtime_ns]
    return files


def _recorded(folder: Path) -> Files | None:
    """The list of files that were unpacked; None if it is missing or cannot be read."""
    try:
        files: Files = orjson.loads((folder / FILES).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return files


def _intact(folder: Path) -> bool:
    return _recorded(folder) == _files(folder / "model")
