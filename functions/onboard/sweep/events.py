"""Events that the sweeper sends onboarding, in the form of S3's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

from facet.keys import head_key, lite_key, version_key
from facet.registry.models import Version
from onboard.uploads import PendingUpload

Event = dict[str, Any]

UNPROVEN = "VersionUnproven"
"""The name of the event about a READY version that lacks a proof."""


def uploaded(bucket: str, upload: PendingUpload) -> Event:
    """The event that S3 would send. An upload hidden by a newer one sorts first in its second."""
    described = {"key": quote_plus(upload.key), "versionId": upload.object_version}
    if not upload.newest:
        described["sequencer"] = "0"
    return _event("ObjectCreated:Put", upload.uploaded_at, bucket, described)


def litert_deleted(bucket: str, version: Version, now: datetime) -> Event:
    """The event that S3 would send if the LiteRT model had been deleted now."""
    described = {"key": lite_key(version.model, version.id)}
    return _event("ObjectRemoved:Delete", now, bucket, described)


def heads_deleted(bucket: str, versions: Sequence[Version], now: datetime) -> Event:
    """The event that S3 would send if the weights of these heads had been deleted now."""
    keys = [{"key": head_key(each.model, each.id)} for each in versions]
    return _event("ObjectRemoved:Delete", now, bucket, *keys)


def unproven(bucket: str, versions: Sequence[Version], now: datetime) -> Event:
    """The event about versions that lack a proof, in the form of S3's."""
    keys = [{"key": version_key(each.model, each.id)} for each in versions]
    return _event(UNPROVEN, now, bucket, *keys)


def _event(name: str, at: datetime, bucket: str, *described: dict[str, str]) -> Event:
    return {
        "Records": [
            {
                "eventSource": "facet:sweeper",
                "eventName": name,
                "eventTime": at.isoformat(),
                "s3": {"bucket": {"name": bucket}, "object": each},
            }
            for each in described
        ]
    }
