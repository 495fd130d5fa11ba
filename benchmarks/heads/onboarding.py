"""Onboarding of an artifact, by the function's own code in a process with its variables."""

import hashlib
import os
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

import boto3

from benchmarks.heads.account import Context, calls
from facet.keys import upload_key, version_id


@dataclass(frozen=True)
class Work:
    """What an invocation of a function took: seconds, processor seconds, calls of AWS."""

    seconds: float
    cpu: float
    calls: Counter[str]


SECONDS = 900.0
"""The function's timeout."""


def upload(model: str, content: bytes) -> str:
    """Uploads an artifact and onboards it; returns the version. Raises ValueError if rejected."""
    calls()
    stored = boto3.client("s3").put_object(
        Bucket=os.environ["FACET_BUCKET"], Key=upload_key(model), Body=content
    )
    onboard(model, stored["VersionId"])
    return version_id(hashlib.sha256(content).hexdigest())


def onboard(model: str, object_version: str) -> Work:
    """Onboards an upload. Raises ValueError unless it becomes READY."""
    called = calls()
    from onboard import app

    when = datetime.now(UTC)
    record = {
        "eventName": "ObjectCreated:Put",
        "eventTime": when.isoformat(),
        "s3": {
            "object": {
                "key": upload_key(model),
                "versionId": object_version,
                "sequencer": f"{time.time_ns():016X}",
            }
        },
    }
    before = called.copy()
    began, spent = time.perf_counter(), time.process_time()
    (outcome,) = app.handler({"Records": [record]}, Context(SECONDS))["outcomes"]  # type: ignore[arg-type]
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    if outcome["outcome"] != "READY":
        raise ValueError(f"{model} was not onboarded: {outcome}")
    return Work(seconds, cpu, called - before)
