"""Durable S3, DynamoDB and SQS: changes are in the state before a client gets its response.

AWS keeps objects, items and messages; moto has them in memory and loses them with the process. moto
also checks a condition and writes in separate steps, where AWS's conditional writes and
transactions are atomic: changes to one service pass one lock here.

Contract: tests/integration/local/test_aws.py and test_s3_objects.py.
"""

import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.sqs.models import sqs_backends

from facet.keys import ENDPOINT_PREFIX
from local.moto import ACCOUNT, REGION
from local.moto.s3 import objects
from local.storage.objects import Content
from local.storage.state import ObjectVersion, State

LOG = logging.getLogger(__name__)

SHOWN = 10
"""Damaged objects that are named on the screen; the log names all."""


class Durable:
    """A bucket, tables and queues, whose changes are kept in `state` from `restore` on."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._bucket = ""
        self._keys = objects.Keys()
        self._tables: Mapping[str, str] = {}
        self._queues: Mapping[str, str] = {}
        self._changing_tables = threading.Lock()
        self._keeping_messages = threading.Lock()
        self._changing = threading.Lock()

    def restore(self, bucket: str, tables: Mapping[str, str], queues: Mapping[str, str]) -> None:
        """Gives the bucket, tables and queues what the state has of them.

        `tables` and `queues` map physical names to logical ids, by which the state knows them,
        since physical names may differ from one start to the next.
        """
        for table, owner in tables.items():
            refill_table(table, self._state.items(owner))
        for queue, owner in queues.items():
            refill_queue(queue, self._state.items(owner))
        self._state.delete_unknown_files()
        self._keys = objects.refill(bucket, self._state.objects(bucket))
        self._bucket, self._tables, self._queues = bucket, tables, queues

    def verify(self, stop: threading.Event) -> int:
        """Compares all objects with their digests; sets damaged ones aside, and returns how many.

        Each is reported as a warning. `stop` ends it early.
        """
        found = 0
        for each in self._state.objects(self._bucket):
            if stop.is_set():
                break
            if each.content and (fault := self._state.files.fault(each.content)):
                found += self._set_aside(each, each.content, fault, shown=found < SHOWN)
        if found > SHOWN:
            LOG.warning("%d objects are damaged; logs/stack.log names all of them", found)
        return found

    @contextmanager
    def change(self, target: str, reads: bool, body: bytes) -> Iterator[None]:
        """While entered, a request is carried out; then its changes are on the disk.

        `target` is the request's X-Amz-Target, if any.
        """
        if target.startswith("DynamoDB_"):
            with self._changing_tables:
                yield
                self._keep_items(target, body)
        elif target.startswith("AmazonSQS."):
            yield
            with self._keeping_messages:
                for queue, owner in self._queues.items():
                    self._state.keep_items(owner, messages(queue))
        elif target or reads:
            yield
        else:
            with self._changing:
                yield
                self._keep_objects()

    def _keep_items(self, target: str, body: bytes) -> None:
        for table, attributes in _written(target, body):
            if owner := self._tables.get(table):
                self._state.keep_item(owner, *item(table, attributes))

    def _keep_objects(self) -> None:
        changed = list(self._keys.changed)
        versions = {key: objects.object_versions(self._bucket, key) for key in changed}
        self._state.keep_keys(self._bucket, versions)
        self._keys.changed.difference_update(changed)

    def _set_aside(self, each: ObjectVersion, content: Content, fault: str, shown: bool) -> bool:
        with self._changing:
            versions = objects.object_versions(self._bucket, each.key)
            if each.version not in {version.version for version in versions}:
                return False  # it was deleted while the objects were compared
            aside = self._state.files.set_aside(content.file)
            objects.remove(self._bucket, each.key, each.version)
            self._keep_objects()
        LOG.log(
            logging.WARNING if shown else logging.INFO,
            "the object %s is damaged: %s. It was removed%s. %s",
            each.key,
            fault,
            f"; its file is now {os.path.relpath(aside)}" if aside.exists() else "",
            _remedy(each.key),
        )
        return True


def _remedy(key: str) -> str:
    model, _, version = key.removeprefix(ENDPOINT_PREFIX).partition("/")
    if key.startswith(ENDPOINT_PREFIX) and version:
        return (
            f"Upload this version of the model {model} again with `facet push`, "
            f"or go back to another one with `facet rollback {model}`."
        )
    return "Upload it again if it is still needed."


def refill_table(name: str, items: Iterable[dict[str, Any]]) -> None:
    """Gives a table these items."""
    table = dynamodb_backends[ACCOUNT][REGION].get_table(name)
    for each in items:
        table.put_item(each)


def refill_queue(name: str, messages: Iterable[dict[str, Any]]) -> None:
    """Gives a queue these messages, each as SendMessage takes it."""
    backend = sqs_backends[ACCOUNT][REGION]
    for each in messages:
        backend.send_message(name, each["MessageBody"], each["MessageAttributes"])


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


def _written(target: str, body: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Table and attributes, the key's among them, of each item that a request may have changed."""
    service, _, operation = target.rpartition(".")
    if not service.startswith("DynamoDB_"):
        return
    request = json.loads(body or b"{}")
    if operation in ("PutItem", "UpdateItem", "DeleteItem"):
        yield request["TableName"], request.get("Key") or request["Item"]
    elif operation == "TransactWriteItems":
        for write in request["TransactItems"]:
            (each,) = write.values()
            yield each["TableName"], each.get("Key") or each["Item"]
    elif operation == "BatchWriteItem":
        for table, writes in request["RequestItems"].items():
            for write in writes:
                (each,) = write.values()
                yield table, each.get("Key") or each["Item"]
