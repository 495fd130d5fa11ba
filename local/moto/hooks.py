"""moto's private parts: its server, reading and restoring what it holds.

Functions, notifications, the event bus, training jobs and executions have theirs in the other
local/moto/; no other module touches them. moto's exact version is pinned, and
tests/integration/local/test_aws.py says what broke when the pin moves.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any, BinaryIO

from moto import backends
from moto.backends import list_of_moto_modules as _list_of_moto_modules
from moto.cloudformation.models import Stack, cloudformation_backends
from moto.cloudformation.parsing import clean_json
from moto.core.config import default_user_config
from moto.dynamodb.models import dynamodb_backends
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.s3.models import FakeDeleteMarker, FakeKey, s3_backends
from moto.s3.utils import _VersionedKeyStore
from moto.sagemaker.models import FakeEndpoint
from moto.sqs.models import sqs_backends

from local.state import ObjectVersion

ACCOUNT = "123456789012"
REGION = "us-east-1"

KeepContent = Callable[[str, BinaryIO], None]
"""Takes an object version's id and its bytes."""


def application() -> DomainDispatcherApplication:
    """moto as a WSGI application, with state machines that run and endpoints that are named."""
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    # moto would make up an endpoint's name, whatever the template says.
    FakeEndpoint.cloudformation_name_type = lambda: "EndpointName"  # type: ignore[method-assign]
    # moto would list resources whose condition is false as None, and stumble over them.
    Stack.stack_resources = property(_made)  # type: ignore[assignment, method-assign]
    # moto reads its own folders for this list at each request.
    backends.list_of_moto_modules = cache(lambda: tuple(_list_of_moto_modules()))
    return DomainDispatcherApplication(create_backend_app)


def _made(stack: Stack) -> list[Any]:
    return [each for each in stack.resource_map.values() if each is not None]


def executions_call(port: int) -> None:
    """State machines find the account's services at this port of the machine."""
    os.environ["MOTO_PORT"] = str(port)


class QuietHandler(MotoRequestHandler):
    """moto's request handler, with connections kept open and no line for each request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # it would hold an answer's last packet back for 40 ms

    def log_request(self, *_: object) -> None:
        """Says nothing: it would bury what matters."""


def resolver(stack_id: str) -> Callable[[Any], Any]:
    """What resolves the intrinsic functions of a CloudFormation stack's template."""
    stack = cloudformation_backends[ACCOUNT][REGION].get_stack(stack_id)
    return lambda value: clean_json(value, stack.resource_map)


# --- S3 ---------------------------------------------------------------------------------------


class _WatchedKeys(_VersionedKeyStore):
    """A bucket's keys, which says of each key when it changes."""

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
    """Gives a bucket these object versions; from now on the set has each key that changed."""
    touched: set[str] = set()
    keys = _WatchedKeys(touched)
    for each in versions:
        keys[each.key] = _restored(each, b"" if each.marker else content(each.version))
    touched.clear()
    _bucket(bucket).keys = keys
    return touched


def object_versions(bucket: str, key: str, keep: KeepContent) -> Iterator[ObjectVersion]:
    """The versions of an object, the oldest first; `keep` gets the bytes of each."""
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


# --- DynamoDB and SQS -------------------------------------------------------------------------


def item(table: str, attributes: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """The key (as text) and the present item, if any, that some attributes of an item name."""
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
