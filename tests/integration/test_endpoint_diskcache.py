"""The disk cache, over in-process moto."""

import asyncio
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from local.endpoint.diskcache import DiskCache
from local.endpoint.errors import ServiceUnavailable, ValidationError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "facet-test"
SIZE = 1000


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator["S3Client"]:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


def put(s3: "S3Client", key: str, member: tarfile.TarInfo | None = None) -> None:
    entry = member or tarfile.TarInfo("1/saved_model.pb")
    content = key.encode().ljust(SIZE, b".") if entry.isreg() else b""
    entry.size = len(content)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(entry, io.BytesIO(content))
    s3.put_object(Bucket=BUCKET, Key=key, Body=buffer.getvalue())


async def fetch(cache: DiskCache, *names: str) -> None:
    for name in names:
        async with cache.hold(name, BUCKET, name) as folder:
            assert (folder / "1" / "saved_model.pb").read_bytes().startswith(name.encode())


def test_the_longest_unused_goes_first(s3: "S3Client", tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 2 * SIZE, s3)
    for name in "abc":
        put(s3, name)
    asyncio.run(fetch(cache, "a", "b", "a", "c"))
    assert [name in cache for name in "abc"] == [True, False, True]
    assert cache.used == 2 * SIZE
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "c"]


def test_what_is_held_stays(s3: "S3Client", tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, SIZE, s3)
    for name in "ab":
        put(s3, name)

    async def scenario() -> None:
        async with cache.hold("a", BUCKET, "a") as folder:
            await fetch(cache, "b")
            assert folder.is_dir()
        await fetch(cache, "b")

    asyncio.run(scenario())
    assert ("a" in cache, "b" in cache) == (False, True)


def test_an_earlier_run_is_found_and_its_rests_are_cleared(s3: "S3Client", tmp_path: Path) -> None:
    put(s3, "a")
    asyncio.run(fetch(DiskCache(tmp_path, 10 * SIZE, s3), "a"))
    (tmp_path / ".tmp-half").mkdir()
    s3.delete_object(Bucket=BUCKET, Key="a")
    cache = DiskCache(tmp_path, 10 * SIZE, s3)
    assert cache.used == SIZE
    asyncio.run(fetch(cache, "a"))
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def hostile(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize(
    "member",
    [
        hostile("../../escaped"),
        hostile("link", tarfile.SYMTYPE, "/etc/passwd"),
        hostile("device", tarfile.CHRTYPE),
    ],
)
def test_hostile_members_are_refused_and_nothing_stays(
    s3: "S3Client", tmp_path: Path, member: tarfile.TarInfo
) -> None:
    put(s3, "bad", member)
    cache = DiskCache(tmp_path / "cache", 10 * SIZE, s3)
    with pytest.raises(ValidationError, match="Failed to extract"):
        asyncio.run(fetch(cache, "bad"))
    assert "bad" not in cache
    assert [each for each in tmp_path.rglob("*") if each.name != "cache"] == []


def test_an_s3_that_cannot_be_reached(tmp_path: Path) -> None:
    nowhere = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:1",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    cache = DiskCache(tmp_path, SIZE, nowhere)
    with pytest.raises(ServiceUnavailable, match=r"s3://facet-test/a"):
        asyncio.run(fetch(cache, "a"))
    assert list(tmp_path.iterdir()) == []
