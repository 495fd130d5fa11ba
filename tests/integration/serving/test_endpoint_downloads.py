"""Downloads of artifacts from a failing S3."""

import asyncio
import errno
import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from local.endpoint.downloads import STALL, Downloads
from local.endpoint.errors import ServiceUnavailable, ValidationError
from tests.support.aws.faulty_s3 import Fault, FaultyS3, faulty_s3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONTENT = bytes(range(256)) * 1000
ATTEMPTS = 3


@pytest.fixture
def server() -> Iterator[FaultyS3]:
    with faulty_s3() as server:
        yield server


def client(url: str) -> "S3Client":
    session = boto3.Session("test", "test", region_name="us-east-1")
    return session.client("s3", endpoint_url=url)


def archive(
    name: str = "1/saved_model.pb",
    kind: bytes = tarfile.REGTYPE,
    link: str = "",
    time: str | None = None,
) -> bytes:
    """One member; `time` is its modification time in the extended header."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    member.pax_headers = {"mtime": time} if time else {}
    member.size = len(CONTENT) if member.isreg() else 0
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as written:
        written.addfile(member, io.BytesIO(CONTENT))
    return buffer.getvalue()


def unpack(url: str, folder: Path, stall: float = STALL) -> None:
    async def scenario() -> None:
        downloads = Downloads(client(url), stall)
        try:
            await downloads.unpack("models", "mme/cifar.tar.gz", folder)
        finally:
            await downloads.close()

    folder.mkdir()
    asyncio.run(scenario())


def test_downloads_and_unpacks_an_artifact(server: FaultyS3, tmp_path: Path) -> None:
    server.objects["models/mme/cifar.tar.gz"] = archive()
    unpack(server.url, tmp_path / "model")
    assert (tmp_path / "model" / "1" / "saved_model.pb").read_bytes() == CONTENT
    assert [each.name for each in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("fault", ["cut", "reset", "hold", "error"])
def test_retries_a_download_that_breaks_off(server: FaultyS3, tmp_path: Path, fault: Fault) -> None:
    server.objects["models/mme/cifar.tar.gz"] = archive()
    server.faults["models/mme/cifar.tar.gz"] = [fault] * (ATTEMPTS - 1)
    unpack(server.url, tmp_path / "model", stall=3 if fault == "hold" else STALL)
    assert (tmp_path / "model" / "1" / "saved_model.pb").read_bytes() == CONTENT
    assert server.asked["models/mme/cifar.tar.gz"] == ATTEMPTS


@pytest.mark.parametrize("fault", ["cut", "reset", "hold", "error"])
def test_a_download_that_always_breaks_off_is_an_error_that_names_the_model(
    server: FaultyS3, tmp_path: Path, fault: Fault
) -> None:
    server.objects["models/mme/cifar.tar.gz"] = archive()
    server.faults["models/mme/cifar.tar.gz"] = [fault] * ATTEMPTS
    with pytest.raises(ServiceUnavailable) as caught:
        unpack(server.url, tmp_path / "model", stall=0.3 if fault == "hold" else STALL)
    reasons = {"cut": "not completed", "reset": "not completed", "hold": "imeout", "error": "503"}
    message = str(caught.value)
    assert message.startswith("The download of s3://models/mme/cifar.tar.gz failed 3 times: ")
    assert reasons[fault] in message
    assert "ignature" not in message
    assert server.asked["models/mme/cifar.tar.gz"] == ATTEMPTS
    assert list((tmp_path / "model").iterdir()) == []


def test_an_unreachable_s3_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match=r"s3://models/mme/cifar.tar.gz.* Cannot connect"):
        unpack("http://127.0.0.1:1", tmp_path / "model")


def test_a_missing_object_is_not_retried(server: FaultyS3, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"bucket: models, key: mme/cifar.tar.gz"):
        unpack(server.url, tmp_path / "model")
    assert server.asked["models/mme/cifar.tar.gz"] == 1


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        gzip.compress(b"no archive"),
        archive()[:-20],
        archive()[:-8] + bytes(8),
        archive("../../escaped"),
        archive("link", tarfile.SYMTYPE, "/etc/passwd"),
        archive("device", tarfile.CHRTYPE),
        archive(f"1/assets/{'x' * 300}"),
        archive("1/a", time="nan"),
        archive("1/a", time="1e300"),
    ],
    ids=[
        "text", "no-tar", "cut", "wrong-checksum", "outside", "link", "device", "long-name",
        "no-time", "late",
    ],
)  # fmt: skip
def test_rejects_a_broken_archive_and_leaves_no_files(
    server: FaultyS3, tmp_path: Path, content: bytes
) -> None:
    server.objects["models/mme/cifar.tar.gz"] = content
    with pytest.raises(ValidationError, match=r"Failed to extract .*s3://models/mme/cifar"):
        unpack(server.url, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_disk_is_not_the_archives(
    server: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    server.objects["models/mme/cifar.tar.gz"] = archive()
    monkeypatch.setattr(tarfile.TarFile, "makefile", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(server.url, tmp_path / "model")
