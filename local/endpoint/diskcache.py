"""Unpacked artifacts on disk: downloaded once, within a budget, the longest unused go."""

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

TEMPORARY = ".tmp-"  # prefix of what is half written or half deleted: never served
FILES = "files.json"  # beside `model`: the files that were unpacked, so that a change shows
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

Unpack = Callable[[str, str, Path], Awaitable[None]]
"""As `Downloads.unpack`: bucket, key, folder."""

Files = dict[str, list[int]]
"""By path: bytes, and the time of the last change in nanoseconds."""


@dataclass(frozen=True)
class Artifact:
    """An unpacked one. fresh: it was downloaded just now."""

    path: Path
    fresh: bool


class DiskCache:
    """Folders `<root>/<name>/model`, one an artifact. To be used on one event loop."""

    def __init__(self, root: Path, budget: int, unpack: Unpack) -> None:
        """Finds what an earlier run left there. budget: bytes of unpacked files."""
        self._root = root
        self._budget = budget
        self._unpack = unpack
        self._held: set[str] = set()
        self._fetched: set[str] = set()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._used = 0
        root.mkdir(parents=True, exist_ok=True)
        for folder in sorted(root.iterdir(), key=lambda each: each.stat().st_mtime):
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
    async def hold(self, name: str, bucket: str, key: str) -> AsyncIterator[Artifact]:
        """That object's files, which stay while they are held.

        A name always goes with the same object, which never changes. Not to be called for one
        name twice at once. Raises ValidationError, ServiceUnavailable.
        """
        self._held.add(name)
        try:
            if name in self._sizes and not _intact(self._root / name):
                log.warning("s3://%s/%s changed on disk: downloading it again", bucket, key)
                await self._remove(name)
            fresh = name not in self._sizes
            if fresh:
                await self._fetch(name, bucket, key)
            self._sizes.move_to_end(name)
            os.utime(self._root / name)
            await self._shrink(self._budget)
            yield Artifact(self._root / name / "model", fresh)
        finally:
            self._held.discard(name)

    async def renew(self, name: str) -> bool:
        """Drop the artifact, as the container refuses it. False where this run downloaded it:
        then it is no worse than what S3 has, as `hold` would have noticed a change."""
        if name in self._fetched or name not in self._sizes:
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
                log.warning("%s on s3://%s/%s: making room", error.strerror, bucket, key)
                await self._shrink(self._used // 2)
                await self._download(name, bucket, key)
        except OSError as error:
            raise ServiceUnavailable(
                f"Model data s3://{bucket}/{key} cannot be put on disk: {error.strerror or error}"
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
        self._fetched.add(name)
        self._add(name, files)

    def _add(self, name: str, files: Files) -> None:
        self._sizes[name] = sum(size for size, _ in files.values())
        self._used += self._sizes[name]

    async def _shrink(self, budget: int) -> None:
        while self._used > budget:
            unheld = next((name for name in self._sizes if name not in self._held), None)
            if unheld is None:
                return
            await self._remove(unheld)

    async def _remove(self, name: str) -> None:
        self._used -= self._sizes.pop(name)
        self._fetched.discard(name)
        doomed = self._temporary()
        with suppress(FileNotFoundError):
            (self._root / name).rename(doomed)
        await asyncio.to_thread(shutil.rmtree, doomed, ignore_errors=True)

    def _temporary(self) -> Path:
        return self._root / f"{TEMPORARY}{uuid.uuid4().hex}"


def _files(folder: Path) -> Files:
    """Of all files below the folder."""
    found: Files = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)  # noqa: PTH118  (ten times as fast)
            status = os.lstat(path)
            found[os.path.relpath(path, folder)] = [status.st_size, status.st_mtime_ns]
    return found


def _recorded(folder: Path) -> Files | None:
    """What was unpacked there; None where that was not told, or is not readable."""
    try:
        files: Files = orjson.loads((folder / FILES).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return files


def _intact(folder: Path) -> bool:
    return _recorded(folder) == _files(folder / "model")
