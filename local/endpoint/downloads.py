"""Download artifacts from S3 and unpack them; a download that breaks off is retried."""

import asyncio
import errno
import gzip
import shutil
import tarfile
import zlib
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

from aiohttp import ClientError, ClientSession, ClientTimeout
from yarl import URL

from local.endpoint.connections import connections
from local.endpoint.errors import ServiceUnavailable, ValidationError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

STALL = 15.0  # seconds without a byte after which a download is retried
PAUSES = (0.1, 0.5)  # seconds before each retry
CHUNK = 1 << 20
IN_MEMORY = 16 << 20  # bytes; a larger artifact is stored in a file until it is unpacked

UNREADABLE = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError, OverflowError)
"""What an archive raises that nobody could unpack; the last two for impossible dates of files."""

OF_THE_ARCHIVE = (
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.EILSEQ,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.EOVERFLOW,
)
"""Errors of the file system that a member's name or header causes; all others are the disk's."""


class Downloads:
    """Downloads over one set of connections. For use on one event loop; `close` ends it."""

    def __init__(self, s3: "S3Client", stall: float = STALL) -> None:
        """s3: its endpoint and credentials are used to sign requests."""
        self._s3 = s3
        self._stall = stall

    @cached_property
    def _http(self) -> ClientSession:
        return connections()

    async def close(self) -> None:
        await self._http.close()

    async def unpack(self, bucket: str, key: str, folder: Path) -> None:
        """Unpack the artifact into an empty folder.

        Raises ValidationError, ServiceUnavailable, and OSError if the disk fails.
        """
        with SpooledTemporaryFile(IN_MEMORY, dir=str(folder.parent)) as file:
            await self._fetch(bucket, key, file)
            file.seek(0)
            await asyncio.to_thread(_unpack, file, folder, f"s3://{bucket}/{key}")

    async def _fetch(self, bucket: str, key: str, file: IO[bytes]) -> None:
        target = {"Bucket": bucket, "Key": key}
        url = URL(self._s3.generate_presigned_url("get_object", Params=target), encoded=True)
        for pause in (*PAUSES, None):
            try:
                status = await self._read(url, file)
                break
            except (ClientError, TimeoutError) as error:
                if pause is None:
                    raise ServiceUnavailable(
                        f"The download of s3://{bucket}/{key} failed {len(PAUSES) + 1} times: "
                        f"{_reason(error)}"
                    ) from error
                await asyncio.sleep(pause)
        if status != HTTPStatus.OK:
            raise ValidationError(
                f"Failed to download model data(bucket: {bucket}, key: {key}). Please ensure that "
                "there is an object located at the URL and that the role passed to CreateModel "
                "has permissions to download the model."
            )

    async def _read(self, url: URL, file: IO[bytes]) -> int:
        """Write the object to the file and return the status, which is below 500.

        Raises ClientError, TimeoutError, and OSError if the disk fails.
        """
        file.seek(0)
        file.truncate()
        timeout = ClientTimeout(sock_connect=self._stall, sock_read=self._stall)
        async with self._http.get(url, timeout=timeout) as answer:
            if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                answer.raise_for_status()
            async for chunk in answer.content.iter_chunked(CHUNK):
                await asyncio.to_thread(file.write, chunk)
            return answer.status


def _reason(error: Exception) -> str:
    """The error's text without the signed URL, which some of aiohttp's errors contain."""
    status = getattr(error, "status", None)
    return f"status {status}" if status else str(error).split(", url=")[0] or type(error).__name__


def _unpack(file: IO[bytes], folder: Path, address: str) -> None:
    """Read to the end of the file, so that gzip's checksum is verified."""
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as plain:
            with tarfile.open(fileobj=plain, mode="r|", bufsize=CHUNK) as archive:
                archive.extractall(folder, filter="data")
            while plain.read(CHUNK):
                pass
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        of_archive = isinstance(error, OSError) and error.errno in OF_THE_ARCHIVE
        if of_archive or isinstance(error, UNREADABLE):
            raise ValidationError(
                f'Failed to extract model data archive from URL "{address}". Please '
                "ensure that the object located at the URL is a valid tar.gz archive."
            ) from error
        raise
