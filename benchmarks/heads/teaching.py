"""Teachings of many tenants, one after the other, each on images that no other tenant has.

A tenant's label is a pattern of colours, drawn by its number, and its images are that pattern,
moved and with noise: every image has to be computed, and a head can tell the labels apart.
"""

import io
import tarfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import boto3
import numpy as np
from moto.s3.models import s3_backends
from PIL import Image

from benchmarks.heads.account import Account, Context, calls, separate_process
from benchmarks.heads.many_heads import BACKBONE, with_backbone
from benchmarks.heads.onboarding import Work, onboard
from facet.keys import dataset_prefix, upload_key
from facet.registry.teachings import State
from local.moto import ACCOUNT
from local.moto.s3 import objects

LABELS, IMAGES = 10, 20
SIDE = 128
CELLS = 4
"""Of the pattern, on each side."""

NOISE = 40.0
QUALITY = 85
SHIFT = 12
"""Pixels by which an image's pattern is moved at most."""

AT_ONCE = 8
"""Tenants whose images are drawn before they are taught."""

WRITERS = 2


@dataclass(frozen=True)
class Taught:
    """A teaching and the onboarding that follows. `backbone` are the container's processor seconds
    in both; `accuracy` is that of images left out.
    """

    teach: Work
    onboard: Work
    backbone: float
    accuracy: float

    @property
    def seconds(self) -> float:
        """From the request to a head that answers."""
        return self.teach.seconds + self.onboard.seconds

    @property
    def cpu(self) -> float:
        """Processor seconds of both functions and the container."""
        return self.teach.cpu + self.onboard.cpu + self.backbone

    def calls(self, *names: str) -> int:
        """Calls of services or operations whose names begin so."""
        every = self.teach.calls + self.onboard.calls
        return sum(count for name, count in every.items() if name.startswith(names))


def measure(
    account: Account, process: ProcessPoolExecutor, folder: Path, tenants: int, seconds: float
) -> list[Taught]:
    """Teaches up to so many tenants, until the time is over."""
    found: list[Taught] = []
    with with_backbone(account, folder) as (opened, version), ExitStack() as opening:
        teaching, onboarding = (
            opening.enter_context(
                separate_process(account.environment(each, opened.url), quiet=True)
            )
            for each in ("TeachFunction", "OnboardFunction")
        )
        pool = ProcessPoolExecutor(WRITERS, get_context("spawn"))
        writers = opening.enter_context(pool)
        until = time.monotonic() + seconds
        for first in range(0, tenants, AT_ONCE):
            some = range(first, min(first + AT_ONCE, tenants))
            for number, images in zip(some, writers.map(drawn, some), strict=True):
                _store(account, number, images)
            for number in some:
                if found and time.monotonic() > until:
                    return found
                before = opened.processor_seconds
                work, accuracy, stored = teaching.submit(_teach, name(number), version).result()
                then = onboarding.submit(onboard, name(number), stored).result()
                spent = opened.processor_seconds - before
                found.append(Taught(work, then, spent, accuracy))
                process.submit(_forget, account.bucket, name(number)).result()
    return found


def name(number: int) -> str:
    """The model and the data set of a tenant."""
    return f"taught-{number:05}"


def drawn(number: int) -> list[tuple[str, bytes]]:
    """JPEGs of a tenant, each with its label and name: `label/name`."""
    random = np.random.default_rng([number])
    images = []
    for label in range(LABELS):
        cells = random.integers(0, 256, (CELLS, CELLS, 3), dtype=np.uint8)
        side = SIDE + 2 * SHIFT
        pattern = np.asarray(Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC))
        for at in range(IMAGES):
            top, left = random.integers(0, 2 * SHIFT + 1, 2)
            moved = pattern[top : top + SIDE, left : left + SIDE].astype(np.float32)
            noisy = moved + random.normal(0, NOISE, (SIDE, SIDE, 1)).astype(np.float32)
            file = io.BytesIO()
            pixels = np.clip(noisy, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
            images.append((f"label-{label}/{at}.jpg", file.getvalue()))
    return images


def _store(account: Account, number: int, images: Sequence[tuple[str, bytes]]) -> None:
    """Puts a tenant's images into the bucket, with one request."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in images:
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    s3 = boto3.client(
        "s3",
        endpoint_url=account.shared["AWS_ENDPOINT_URL"],
        region_name=account.shared["AWS_REGION"],
        aws_access_key_id=account.shared["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=account.shared["AWS_SECRET_ACCESS_KEY"],
    )
    s3.put_object(
        Bucket=account.bucket,
        Key=f"{dataset_prefix(name(number), 'train')}images.tar",
        Body=packed.getvalue(),
        Metadata={"snowball-auto-extract": "true"},
    )
    s3.close()


def _teach(model: str, backbone: str) -> tuple[Work, float, str]:
    """Teaches a model on that version of the backbone, in the function's environment. Returns what
    it took, the accuracy, and the S3 version of its upload. Raises ValueError if there is none.
    """
    called = calls()
    from facet.registry.heads.backbones import Backbones
    from facet.settings import settings
    from teach import worker
    from teach.clients import data_sets, registry, s3, table, teachings
    from teach.requests import TeachRequest
    from teach.start import Start

    handed: list[tuple[str, str]] = []
    start = Start(
        data_sets(),
        registry(),
        Backbones(table()),
        teachings(),
        lambda *event: handed.append((event[0], event[1])),
    )
    before = called.copy()
    began, spent = time.perf_counter(), time.process_time()
    start.start(model, TeachRequest(backbone=f"{BACKBONE}@{backbone}"), "teaching")
    (event,) = handed
    ended = worker.handler({"model": event[0], "teaching": event[1]}, Context(300))  # type: ignore[arg-type]
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    work = Work(seconds, cpu, called - before)
    found = teachings().find(model)
    if ended["state"] != State.PUBLISHED or found.report is None:
        raise ValueError(f"{model} was not taught: {found}")
    stored = s3().head_object(Bucket=settings().bucket, Key=upload_key(model))
    return work, found.report["accuracy"], stored["VersionId"]


def _forget(bucket: str, data_set: str) -> None:
    """Deletes a tenant's images, in the account's process: moto looks at each object of a bucket
    to list some.
    """
    prefix = dataset_prefix(data_set)
    keys = s3_backends[ACCOUNT]["aws"].buckets[bucket].keys
    for key in [each for each in keys if each.startswith(prefix)]:
        for each in keys.getlist(key):
            objects.remove(bucket, key, each.version_id)
