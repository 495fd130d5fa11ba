"""Durable S3, DynamoDB and SQS: what their backends hold, read out and put back.

AWS keeps objects, items and messages; moto has them in memory and loses them with the process. The
state of the local stack (local/state.py) has copies, which these functions make and restore.

Contract: tests/integration/local/test_aws.py.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, BinaryIO

from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import FakeDeleteMarker, FakeKey, s3_backends
from moto.s3.utils import _VersionedKeyStore
from moto.sqs.models import sqs_backends

from local.moto import ACCOUNT, REGION
from local.state import ObjectVersion

KeepContent = Callable[[str, BinaryIO], None]
"""Takes an object version's id and its bytes."""


class _WatchedKeys(_VersionedKeyStore):
    """A bucket's keys, and the set of those that have changed."""

    def __init__(self, touched: set[str]) -> None:
        super().__init__()
        self._touched = touched

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._touched.add(key)

    def setlist(self, key: str, list_: Any) -> None:
        super().setlist(key, list_)
        self._touched.add(key)

    def pop(self, key: str) -> None:  # type: ignore[override]
        super().pop(key)
        self._touched.add(key)


def refill(
    bucket: str, versions: Iterable[ObjectVersion], content: Callable[[str], bytes]
) -> set[str]:
    """Gives a bucket these object versions; returns a set that each changed key is added to."""
    touched: set[str] = set()
    keys = _WatchedKeys(touched)
    for each in versions:
        keys[each.key] = _restored(each, b"" if each.marker else content(each.version))
    touched.clear()
    _bucket(bucket).keys = keys
    return touched


def object_versions(bucket: str, key: str, keep: KeepContent) -> Iterator[ObjectVersion]:
    """The versions of an object, the oldest first; `keep` is called with the bytes of each."""
    for each in _bucket(bucket).keys.getlist(key, []):
        modified = each.last_modified.isoformat()
        if isinstance(each, FakeDeleteMarker):
            yield ObjectVersion(bucket, key, each.version_id, modified, marker=True)
            continue
        with each.lock:
            each._value_buffer.seek(0)
            keep(each.version_id, each._value_buffer)
        metadata = dict(each.metadata)
        yield ObjectVersion(bucket, key, each.version_id, modified, False, each.etag, metadata)


def _restored(each: ObjectVersion, content: bytes) -> FakeKey | FakeDeleteMarker:
    key = FakeKey(
        name=each.key,
        value=content,
        account_id=ACCOUNT,
        region_name=REGION,
        etag=each.etag.strip('"'),
        is_versioned=True,
        version_id=each.version,
        bucket_name=each.bucket,
    )
    key.set_metadata(dict(each.metadata))
    restored = FakeDeleteMarker(key) if each.marker else key
    restored._version_id = each.version
    restored.last_modified = datetime.fromisoformat(each.modified)
    return restored


def _bucket(name: str) -> Any:
    return s3_backends[ACCOUNT]["aws"].get_bucket(name)


def item(table: str, attributes: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """The key, as text, that `attributes` contain, and the item that now has it, if any."""
    backend = dynamodb_backends[ACCOUNT][REGION]
    names = [each["AttributeName"] for each in backend.get_table(table).schema]
    key = {name: attributes[name] for name in names}
    found = backend.get_item(table, key)
    return json.dumps(key, sort_keys=True), found.to_json()["Attributes"] if found else None


def messages(queue: str) -> list[tuple[str, dict[str, Any]]]:
    """A queue's messages by id, each as SendMessage takes it."""
    return [
        (
            each.id,
            {
                "MessageBody": each.body,
                "MessageAttributes": {
                    name: {"DataType": value["DataType"], "StringValue": value["StringValue"]}
                    for name, value in each.message_attributes.items()
                },
            },
        )
        for each in sqs_backends[ACCOUNT][REGION].get_queue(queue)._messages
    ]
