"""Acknowledged objects survive kills: versions are uploaded under load, and every byte compared.

FACET_TEST_VERSIONS=500 runs it with as many versions; the default is for a quick run.
"""

import hashlib
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.moto.access import Credentials
from tests.support.aws.process import BUCKET, unretried
from tests.support.processes.waiting import LONG
from tests.support.stacks import ROOT

VERSIONS = int(os.environ.get("FACET_TEST_VERSIONS", "60"))
KILLS = max(2, VERSIONS // 60)
WRITERS = 8

PART = 5 << 20  # bytes of a part; S3 allows no smaller one, but for the last

Account = tuple[str, Credentials]


@dataclass
class Load:
    """What writers have had acknowledged: SHA-256 by key and version."""

    acknowledged: dict[tuple[str, str], str] = field(default_factory=dict)
    enough: threading.Event = field(default_factory=threading.Event)

    def write(self, account: Account, seed: int, stop_at: int) -> None:
        """Puts, copies and uploads in parts, until the server is gone or there are enough."""
        s3, choose = unretried(*account), random.Random(seed)
        number = 0
        while not self.enough.is_set():
            number += 1
            key = f"mme/{seed}-{number % 5}.tar.gz"
            body = choose.randbytes(choose.choice([0, 1, 4_000, 300_000, 2_000_000]))
            try:
                if number % 10 == 0:
                    body = choose.randbytes(PART + 10)
                    self._add(key, _upload_in_parts(s3, key, body), body)
                else:
                    version = s3.put_object(Bucket=BUCKET, Key=key, Body=body)["VersionId"]
                    self._add(key, version, body)
                    source = {"Bucket": BUCKET, "Key": key, "VersionId": version}
                    s3.head_object(Bucket=BUCKET, Key=key)
                    copy = f"copy/{seed}-{number}"
                    copied = s3.copy_object(Bucket=BUCKET, Key=copy, CopySource=source)
                    self._add(copy, copied["VersionId"], body)
            except (BotoCoreError, ClientError):
                return
            if len(self.acknowledged) >= stop_at:
                self.enough.set()

    def _add(self, key: str, version: str, body: bytes) -> None:
        self.acknowledged[key, version] = hashlib.sha256(body).hexdigest()


def _upload_in_parts(s3: Any, key: str, body: bytes) -> str:
    begun = s3.create_multipart_upload(Bucket=BUCKET, Key=key)
    named = {"Bucket": BUCKET, "Key": key, "UploadId": begun["UploadId"]}
    parts = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(**named, PartNumber=number, Body=part)["ETag"],
        }
        for number, part in enumerate((body[:PART], body[PART:]), 1)
    ]
    done = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    return str(done["VersionId"])


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Account]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.aws.process", str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        url, *key = process.stdout.readline().split()
        yield process, (url, Credentials(*key))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_every_acknowledged_version_is_whole_after_kills(tmp_path: Path) -> None:
    load = Load()
    for kill in range(1, KILLS + 1):
        load.enough.clear()
        with running(tmp_path) as (process, account):
            goal = VERSIONS * kill // KILLS
            writers = [
                threading.Thread(target=load.write, args=(account, 100 * kill + each, goal))
                for each in range(WRITERS)
            ]
            for each in writers:
                each.start()
            load.enough.wait(LONG)
            process.kill()  # while the other writers' requests are in flight
            for each in writers:
                each.join(LONG)

    assert len(load.acknowledged) >= VERSIONS
    with running(tmp_path) as (_, account):
        s3 = unretried(*account)
        found = {
            (key, version): hashlib.sha256(
                s3.get_object(Bucket=BUCKET, Key=key, VersionId=version)["Body"].read()
            ).hexdigest()
            for key, version in load.acknowledged
        }
    assert found == load.acknowledged
