"""local/moto/s3/objects.py and durable.py over HTTP: bytes are on the disk and memory stays small.

This is the contract test of local/moto/s3: when moto's pin moves, it says what has changed.
"""

import errno
import gc
import http.client
import io
import logging
import os
import socket
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.s3.models import FakeKey

from local.moto.aws import Aws
from local.moto.s3 import objects
from local.storage.objects import ObjectFiles
from local.storage.state import State
from tests.support.aws.moto_account import forget
from tests.support.aws.process import BUCKET, unretried
from tests.support.processes.memory import resident
from training.data import upload
from training.data.layout import LabelledImage
from training.data.upload import Bucket, Change, synchronise

LARGE = os.urandom(3 << 20)  # larger than what is read at once


class Account:
    """A started account with a versioned bucket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = State(folder)
        self.aws = Aws(self.state)
        self.aws.start()
        self.s3 = self.aws.client("s3")
        self.s3.create_bucket(Bucket=BUCKET)
        self.aws.configure_bucket(BUCKET, {"VersioningConfiguration": {"Status": "Enabled"}}.get)
        self.aws.restore(BUCKET, {}, {})

    def put(self, key: str, body: bytes) -> str:
        return str(self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)["VersionId"])

    def get(self, key: str, **more: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read())

    def files(self) -> list[Path]:
        return list((self.folder / "objects").iterdir())

    def close(self) -> None:
        self.aws.close()
        self.state.close()
        forget("s3")


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    opened = Account(tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize("body", [b"", b"small", LARGE])
def test_bytes_ranges_and_etags(body: bytes, account: Account) -> None:
    account.put("key", body)
    got = account.s3.get_object(Bucket=BUCKET, Key="key")
    head = account.s3.head_object(Bucket=BUCKET, Key="key")
    assert got["Body"].read() == body
    assert got["ContentLength"] == head["ContentLength"] == len(body)
    assert got["ETag"] == head["ETag"]
    for asked, part in (("bytes=1-3", body[1:4]), ("bytes=-2", body[-2:])):
        if body:
            assert account.get("key", Range=asked) == part
    if body:
        assert account.get("key", Range=f"bytes={len(body) - 1}-") == body[-1:]


def test_a_copy_is_a_second_name_for_the_same_bytes(account: Account) -> None:
    version = account.put("key", LARGE)
    etag = account.s3.head_object(Bucket=BUCKET, Key="key")["ETag"]
    account.s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/key")
    assert len({each.stat().st_ino for each in account.files()}) == 1
    account.s3.delete_object(Bucket=BUCKET, Key="key", VersionId=version)
    assert account.get("copy") == LARGE
    assert account.s3.head_object(Bucket=BUCKET, Key="copy")["ETag"] == etag


def test_parts_go_with_their_upload(account: Account) -> None:
    def begin(key: str) -> dict[str, Any]:
        upload = account.s3.create_multipart_upload(Bucket=BUCKET, Key=key)
        return {"Bucket": BUCKET, "Key": key, "UploadId": upload["UploadId"]}

    first, second = begin("whole"), begin("aborted")
    parts = [b"a" * (5 << 20), b"end"]
    sent = [
        account.s3.upload_part(**first, PartNumber=number, Body=part)
        for number, part in enumerate(parts, 1)
    ]
    account.s3.upload_part(**second, PartNumber=1, Body=b"x")
    assert len(account.files()) == 3
    account.s3.abort_multipart_upload(**second)
    listed = [{"PartNumber": number, "ETag": each["ETag"]} for number, each in enumerate(sent, 1)]
    account.s3.complete_multipart_upload(**first, MultipartUpload={"Parts": listed})
    assert account.get("whole") == b"".join(parts)
    assert len(account.files()) == 1


def test_bytes_that_are_being_sent_outlive_the_deletion(account: Account) -> None:
    version = account.put("key", LARGE * 4)
    body = account.s3.get_object(Bucket=BUCKET, Key="key")["Body"]
    first = body.read(10)
    account.s3.delete_object(Bucket=BUCKET, Key="key", VersionId=version)
    assert first + body.read() == LARGE * 4


def test_an_upload_that_breaks_off_is_not_stored(account: Account) -> None:
    """The client says that it sends 10 bytes, sends 3 and is gone."""
    host = account.aws.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    connection.putrequest("PUT", f"/{BUCKET}/cut")
    connection.putheader("Content-Length", "10")
    connection.putheader("Authorization", "AWS4-HMAC-SHA256 Credential=local/1/us-east-1/s3/x")
    connection.endheaders(b"abc")
    connection.close()
    account.put("after", b"1")
    with pytest.raises(ClientError, match=r"NoSuchKey|404"):
        account.get("cut")


def test_a_slow_upload_holds_nobody_up(account: Account) -> None:
    host, port = account.aws.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(
            f"PUT /{BUCKET}/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1".encode()
        )
        account.put("other", b"1")
        assert account.get("other") == b"1"


def test_objects_are_whole_under_concurrent_reads_and_writes(account: Account) -> None:
    """Reads once moved the position of the buffer that another thread was copying."""
    bodies = [bytes([number]) * 40_000 for number in range(24)]

    def work(number: int) -> None:
        for round_ in range(2):
            account.put(f"k{number}", bodies[number])
            account.s3.head_object(Bucket=BUCKET, Key=f"k{number}")
            account.s3.copy_object(
                Bucket=BUCKET, Key=f"c{number}-{round_}", CopySource=f"{BUCKET}/k{number}"
            )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for found in account.state.objects(BUCKET):
        assert found.content
        number = int(found.key.lstrip("kc").partition("-")[0])
        assert account.state.files.path(found.content.file).read_bytes() == bodies[number]


def test_objects_can_be_listed_while_others_are_deleted(account: Account) -> None:
    """moto's lists failed with an error when a key was deleted meanwhile."""
    for number in range(200):
        account.put(f"k{number}", b"1")
    keys = objects._bucket(BUCKET).keys
    for listed in (keys.lists(), keys.items(), keys.values()):
        key = next(iter(keys))
        next(listed)
        keys.pop(key)
        del keys[next(iter(keys))]
        assert sum(1 for _ in listed) > 190
    versions = account.s3.list_object_versions(Bucket=BUCKET)["Versions"]
    assert len(versions) == len(account.s3.list_objects_v2(Bucket=BUCKET)["Contents"]) == 194


def test_a_full_disk_is_an_error_that_says_so(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.put("before", b"1")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(ObjectFiles, "write", full)
        with pytest.raises(ClientError, match="The disk is full") as failed:
            account.put("key", b"2")
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 507
    assert failed.value.response["ResponseMetadata"]["RetryAttempts"] == 0
    assert account.get("before") == b"1"
    account.put("key", b"2")
    assert account.get("key") == b"2"


def test_damaged_objects_are_reported_and_can_be_uploaded_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Account(tmp_path)
    for key in ("mme/cats/0123456789ab.tar.gz", "rejected/x", "good"):
        first.put(key, key.encode())
    stored = {each.key: each.content for each in first.state.objects(BUCKET)}
    first.close()
    path = tmp_path / "objects" / stored["mme/cats/0123456789ab.tar.gz"].file  # type: ignore[union-attr]
    path.chmod(0o644)
    path.write_bytes(b"")
    (tmp_path / "objects" / stored["rejected/x"].file).unlink()  # type: ignore[union-attr]

    second = Account(tmp_path)
    try:
        with caplog.at_level(logging.WARNING, "local"):
            assert second.aws.verify(threading.Event()) == 2
        lines = [each.getMessage() for each in caplog.records]
        artifact = next(each for each in lines if "mme/cats" in each)
        assert "its file has 0 bytes instead of 28" in artifact
        assert "facet push" in artifact
        assert "facet rollback cats" in artifact
        assert any("rejected/x is damaged: its file is missing" in each for each in lines)
        assert (tmp_path / "damaged" / path.name).exists()
        with pytest.raises(ClientError, match="NoSuchKey"):
            second.get("mme/cats/0123456789ab.tar.gz")
        second.put("mme/cats/0123456789ab.tar.gz", b"again")
        assert second.get("mme/cats/0123456789ab.tar.gz") == b"again"
        assert second.get("good") == b"good"
        assert second.aws.verify(threading.Event()) == 0
    finally:
        second.close()


def test_damage_found_while_reading_is_an_error(account: Account) -> None:
    account.put("key", b"abc")
    (file,) = account.files()
    file.chmod(0o644)
    file.write_bytes(b"abd")
    with pytest.raises(ClientError, match="The object is damaged") as failed:
        unretried(account.aws.url, account.aws.credentials).get_object(Bucket=BUCKET, Key="key")
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_memory_stays_flat_over_uploads_listings_and_copies(account: Account) -> None:
    """moto keeps every object in memory, and copies all of them to list the versions of one."""
    body = os.urandom(4 << 20)

    def upload(number: int) -> None:
        version = account.put("mme/cats.tar.gz", body)
        account.s3.copy_object(
            Bucket=BUCKET, Key=f"rejected/{number}", CopySource=f"{BUCKET}/mme/cats.tar.gz"
        )
        account.s3.list_object_versions(Bucket=BUCKET, Prefix="mme/")
        account.s3.delete_object(Bucket=BUCKET, Key="mme/cats.tar.gz", VersionId=version)

    for number in range(5):
        upload(number)
    before = resident()
    for number in range(5, 25):
        upload(number)
    assert resident() - before < 100 << 20
    gc.collect()
    left = [each for each in gc.get_objects() if isinstance(each, FakeKey)]
    assert len(left) <= len(account.state.objects(BUCKET)), "moto keeps none that it has deleted"


def put_batch(account: Account, key: str, members: dict[str, bytes | None]) -> None:
    """Uploads a tar of files, and of a folder for each None, to be unpacked."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            member.size = len(content or b"")
            archive.addfile(member, io.BytesIO(content or b""))
    account.s3.put_object(
        Bucket=BUCKET,
        Key=key,
        Body=packed.getvalue(),
        Metadata={"snowball-auto-extract": "true"},
    )


def test_a_batch_becomes_objects_beside_its_key(account: Account) -> None:
    """As AWS's Snow devices unpack it."""
    account.put("pets/train/cat/1.jpg", b"old")
    put_batch(account, "pets/batch.tar", {"train/cat/1.jpg": b"one", "train/Kätzchen/2.jpg": b""})
    alone = account.put("pets/train/cat/3.jpg", b"one")
    listed = account.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    found = {each["Key"]: (each["Size"], each["ETag"]) for each in listed}
    assert list(found) == [
        "pets/train/Kätzchen/2.jpg",
        "pets/train/cat/1.jpg",
        "pets/train/cat/3.jpg",
    ]
    assert found["pets/train/cat/1.jpg"] == found["pets/train/cat/3.jpg"]
    versions = account.s3.list_object_versions(Bucket=BUCKET, Prefix="pets/train/cat/1")["Versions"]
    assert len({alone, *(each["VersionId"] for each in versions)}) == 3
    kept = account.state.newest(BUCKET, "pets/")
    assert {key: file.read_bytes() for key, file in kept.items()} == {
        "pets/train/Kätzchen/2.jpg": b"",
        "pets/train/cat/1.jpg": b"one",
        "pets/train/cat/3.jpg": b"one",
    }
    assert account.get("pets/train/cat/1.jpg", VersionId=versions[1]["VersionId"]) == b"old"


def test_a_batch_that_cannot_be_unpacked_changes_nothing(account: Account) -> None:
    with pytest.raises(ClientError, match="'folder' is not a file"):
        put_batch(account, "pets/batch.tar", {"1.jpg": b"one", "folder": None})
    with pytest.raises(ClientError, match="cannot be unpacked"):
        account.s3.put_object(
            Bucket=BUCKET, Key="x.tar", Body=b"no", Metadata={"snowball-auto-extract": "true"}
        )
    assert account.files() == []
    assert "Contents" not in account.s3.list_objects_v2(Bucket=BUCKET)


def test_a_batch_on_a_full_disk_changes_nothing(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, calls = os.fsync, iter(range(100))

    def fsync(descriptor: int) -> None:
        if next(calls) == 3:
            raise OSError(errno.ENOSPC, "no space left")
        plain(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ClientError, match="The disk is full"):
        put_batch(account, "pets/batch.tar", {f"{number}.jpg": b"one" for number in range(8)})
    assert account.files() == []
    assert "Contents" not in account.s3.list_objects_v2(Bucket=BUCKET)


def test_an_interrupted_upload_in_batches_continues(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> bytes:
        raise KeyboardInterrupt

    def image(number: int, content: bytes = b"") -> LabelledImage:
        return LabelledImage("train", "cat", f"{number:02}.jpg", lambda: content or b"%d" % number)

    def run(images: list[LabelledImage]) -> Change:
        return synchronise(images, bucket, "datasets/cats/", lambda: done.append(1))

    monkeypatch.setattr(upload, "BATCH", 4)
    done: list[int] = []
    bucket = Bucket(BUCKET, account.s3, unpacks=True)
    account.put("datasets/cats/train/cat/old.jpg", b"old")
    account.put("datasets/cats-2/train/cat/1.jpg", b"another's")
    images = [image(number) for number in range(30)]
    with pytest.raises(KeyboardInterrupt):
        run([*images[:25], LabelledImage("train", "cat", "25.jpg", interrupt)])
    there = len(account.state.newest(BUCKET, "datasets/cats/train/cat/")) - 1
    assert 4 <= there <= 24
    done.clear()
    change = run(images)
    assert (change.uploaded, change.unchanged, change.removed) == (30 - there, there, 1)
    assert len(done) == 30
    change = run([*images[:9], image(9, b"new"), *images[10:]])
    assert change == Change(uploaded=1, bytes=3, unchanged=29, removed=0)
    assert account.get("datasets/cats/train/cat/09.jpg") == b"new"
    assert account.get("datasets/cats-2/train/cat/1.jpg") == b"another's"
