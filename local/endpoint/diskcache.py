"""Unpacked artifacts on disk: downloaded from S3 once, within a budget, the longest unused go."""

import asyncio
import gzip
import os
import shutil
import tarfile
import uuid
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from local.endpoint.errors import ServiceUnavailable, ValidationError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK = 1 << 20
TEMPORARY = ".tmp-"  # prefix of what is half written or half deleted: never served


class DiskCache:
    """Folders `<root>/<name>/model`, one an artifact. To be used on one event loop."""

    def __init__(self, root: Path, budget: int, s3: "S3Client") -> None:
        """Finds what an earlier run left there. budget: bytes of unpacked files."""
        self._root = root
        self._budget = budget
        self._s3 = s3
        self._held: dict[str, int] = {}
        root.mkdir(parents=True, exist_ok=True)
        for rest in root.glob(f"{TEMPORARY}*"):
            shutil.rmtree(rest)
        found = sorted(root.iterdir(), key=lambda folder: folder.stat().st_mtime)
        self._sizes = OrderedDict((folder.name, _size(folder)) for folder in found)

    @property
    def used(self) -> int:
        """Bytes on disk."""
        return sum(self._sizes.values())

    def __contains__(self, name: str) -> bool:
        return name in self._sizes

    @asynccontextmanager
    async def hold(self, name: str, bucket: str, key: str) -> AsyncIterator[Path]:
        """The folder with that object's files, which stays while it is held.

        A name always goes with the same object, which never changes. Not to be called for one
        name twice at once. Raises ValidationError, ServiceUnavailable.
        """
        self._held[name] = self._held.get(name, 0) + 1
        try:
            if name not in self._sizes:
                self._sizes[name] = await asyncio.to_thread(self._download, name, bucket, key)
            self._sizes.move_to_end(name)
            folder = self._root / name
            os.utime(folder)
            await self._shrink()
            yield folder / "model"
        finally:
            self._held[name] -= 1
            if not self._held[name]:
                del self._held[name]

    async def _shrink(self) -> None:
        unused = [name for name in self._sizes if name not in self._held]
        for name in unused:
            if self.used <= self._budget:
                return
            del self._sizes[name]
            await asyncio.to_thread(self._delete, name)

    def _delete(self, name: str) -> None:
        doomed = (self._root / name).rename(self._root / f"{TEMPORARY}{uuid.uuid4().hex}")
        shutil.rmtree(doomed)

    def _download(self, name: str, bucket: str, key: str) -> int:
        """Bytes of the unpacked files."""
        folder = self._root / f"{TEMPORARY}{uuid.uuid4().hex}"
        try:
            (folder / "model").mkdir(parents=True)
            self._unpack(folder / "model", bucket, key)
            folder.rename(self._root / name)
        except ClientError as error:
            raise ValidationError(
                f"Failed to download model data(bucket: {bucket}, key: {key}). Please ensure that "
                "there is an object located at the URL and that the role passed to CreateModel "
                "has permissions to download the model."
            ) from error
        except BotoCoreError as error:
            raise ServiceUnavailable(f"S3 failed on s3://{bucket}/{key}: {error}") from error
        except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValidationError(
                f'Failed to extract model data archive from URL "s3://{bucket}/{key}". Please '
                "ensure that the object located at the URL is a valid tar.gz archive."
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return _size(self._root / name)

    def _unpack(self, folder: Path, bucket: str, key: str) -> None:
        """Reads to the very end, where gzip's checksum and a short answer of S3 show."""
        body = self._s3.get_object(Bucket=bucket, Key=key)["Body"]
        with gzip.GzipFile(fileobj=body) as plain:
            with tarfile.open(fileobj=plain, mode="r|") as archive:
                archive.extractall(folder, filter="data")
            while plain.read(CHUNK):
                pass


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())
