"""S3 event notifications: one event for each change, with version id and sequencer.

AWS sends one event for each change. moto sends none for a delete marker or for one version of
several, two for a multipart upload, and no version id or sequencer.

Contract: tests/integration/local/test_s3_notifications.py.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import quote_plus

from moto.s3 import notifications
from moto.s3.models import FakeDeleteMarker, S3Backend

Notify = Callable[[str, bytes], object]
"""Takes a function's ARN and an event, and returns without waiting for the function."""

REMOVED = "s3:ObjectRemoved:"


class Sequencers:
    """Makes sequencers: each is greater than all before it, also than those of earlier processes.

    As in S3 they are hexadecimal numbers that are compared as strings; here all have 18 digits.
    """

    def __init__(self, now: Callable[[], int] = time.time_ns) -> None:
        self._now = now
        self._last = 0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            self._last = max(self._last + 1, self._now())
            return f"{self._last:018X}"


@contextmanager
def sending_notifications(notify: Notify) -> Iterator[None]:
    """While entered, buckets send their objects' events to functions through `notify`."""
    send_event = _sender(notify, Sequencers())

    def send(_account: str, name: str, bucket: Any, key: Any) -> None:
        parts = name == "s3:ObjectCreated:Put" and key.multipart is not None
        if not (name.startswith(REMOVED) or parts):
            send_event(name, bucket, key)

    with (
        mock.patch.object(notifications, "send_event", send),
        mock.patch.object(
            S3Backend, "delete_object", _delete_with(S3Backend.delete_object, send_event)
        ),
    ):
        yield


def _sender(notify: Notify, sequencers: Sequencers) -> Callable[[str, Any, Any], None]:
    def send_event(name: str, bucket: Any, key: Any) -> None:
        sequencer = sequencers()
        configured = bucket.notification_configuration
        for each in configured.cloud_function if configured else ():
            if each.matches(name, key.name):
                record = _record(name, bucket, key, sequencer, each.id)
                notify(each.arn, json.dumps({"Records": [record]}).encode())

    return send_event


def _delete_with(delete: Callable[..., Any], send_event: Callable[[str, Any, Any], None]) -> Any:
    """Wraps moto's deletion, which every delete request calls, to send events of its changes."""

    def delete_object(backend: S3Backend, bucket_name: str, key_name: str, *how: Any, **more: Any):  # type: ignore[no-untyped-def]
        bucket = backend.get_bucket(bucket_name)
        before = list(bucket.keys.getlist(key_name, []))
        answer = delete(backend, bucket_name, key_name, *how, **more)
        after = list(bucket.keys.getlist(key_name, []))
        for each in before:
            if each not in after:
                send_event(REMOVED + "Delete", bucket, each)
        for each in after:
            if each not in before:
                send_event(REMOVED + "DeleteMarkerCreated", bucket, each)
        return answer

    return delete_object


def _record(name: str, bucket: Any, key: Any, sequencer: str, configuration: str) -> dict[str, Any]:
    """Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html"""
    described: dict[str, Any] = {"key": quote_plus(key.name, safe="/"), "sequencer": sequencer}
    if key.version_id != "null":
        described["versionId"] = key.version_id
    if not (isinstance(key, FakeDeleteMarker) or name.startswith(REMOVED)):
        described |= {"size": key.size, "eTag": key.etag.strip('"')}
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": bucket.region_name,
        "eventTime": moment.replace("+00:00", "Z"),
        "eventName": name.removeprefix("s3:"),
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration,
            "bucket": {"name": bucket.name, "arn": bucket.arn},
            "object": described,
        },
    }
