"""Deletion of a model's name for good: its uploads, versions, artifacts and reports.

1. Mark the model as deleted, unless heads depend on it. From here it is unknown, and no head can be
   accepted on it.
2. Delete the uploads that wait, so that no late event finds them.
3. Mark it again: an onboarding that found one of them until then cannot record anything any more.
4. Retire each version, delete its objects, and then its record.

A version that a new upload brings meanwhile is left alone: the upload makes the model again. After
an interruption, the same request goes on.

The handler answers `DELETE /models/{model}`, and the command line, which invokes the function.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import boto3
import orjson
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from facet.aws.notifications import EventPublisher, publisher
from facet.errors import BadRequest, FacetError, NotAllowed, UnknownModel
from facet.heads.errors import BackboneInUse
from facet.http import cors, problems
from facet.keys import (
    ARTIFACT_SUFFIX,
    ENDPOINT_PREFIX,
    GOLDEN_PREFIX,
    HEAD_SUFFIX,
    HEADS_PREFIX,
    LITE_PREFIX,
    LITE_SUFFIX,
    REJECTED_PREFIX,
    VERSION_ID,
    misnamed_prefix,
    parse_misnamed_key,
    upload_key,
)
from facet.observability import logger
from facet.registry.deletions import Deletions
from facet.registry.models import Version, is_model
from facet.registry.store import Registry
from facet.settings import settings
from onboard.retry import RetryPolicy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

COMMAND = "command"
"""Who deleted a model, in the event, if it was the command line."""

EXPECTED = (BackboneInUse, BadRequest, NotAllowed, UnknownModel)
"""Errors of a request; any other one leaves a deletion that is to be repeated."""

UNEXPECTED = (
    "The model may be deleted in part; repeat the request to go on. If it fails again, give the "
    "request id to the operator of this API."
)

RETRY = RetryPolicy(left=lambda: math.inf, attempt=0)

SURELY_OLDER = timedelta(minutes=1)
"""How much older than the deletion an object is, by S3's clock, that a killed onboarding left."""

SUFFIXES = {
    ENDPOINT_PREFIX: (ARTIFACT_SUFFIX,),
    GOLDEN_PREFIX: ("",),
    LITE_PREFIX: (LITE_SUFFIX,),
    HEADS_PREFIX: (HEAD_SUFFIX,),
    REJECTED_PREFIX: (ARTIFACT_SUFFIX, ".json"),
}
"""What follows a version's id in the keys of its objects."""

MAX_AT_ONCE = 1000
"""Object versions that one request of S3 deletes."""


@dataclass(frozen=True)
class Deleted:
    """What was deleted, or in a dry run would be; `uploads` are those that still waited.

    `heads` is how many READY versions of heads depend on the model: with any, it is not deleted.
    `deleted` is false for a dry run.
    """

    model: str
    versions: tuple[str, ...]
    uploads: int
    heads: int = 0
    deleted: bool = False


@dataclass(frozen=True)
class StoredVersion:
    """One version of an object, or a delete marker, and when S3 took it."""

    key: str
    object_version: str
    stored_at: datetime


class ModelObjects:
    """What is stored under the names of models in one bucket. Raises botocore's errors."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def uploads(self, model: str) -> list[StoredVersion]:
        """Every object version under the keys of a model's uploads."""
        if is_model(model):
            key = upload_key(model)
            return [each for each in self._below(key) if each.key == key]
        below = self._below(misnamed_prefix(model))
        return [each for each in below if parse_misnamed_key(each.key) == model]

    def of_versions(self, model: str) -> dict[str, list[StoredVersion]]:
        """Every object version of what is stored for versions and rejected uploads, by version id.

        A name that no model can have has no artifacts: what is below it are other uploads.
        """
        found: dict[str, list[StoredVersion]] = {}
        places = SUFFIXES if is_model(model) else (REJECTED_PREFIX,)
        for place in places:
            prefix = f"{place}{model}/"
            for each in self._below(prefix):
                name, dot, suffix = each.key.removeprefix(prefix).partition(".")
                if VERSION_ID.fullmatch(name) and dot + suffix in SUFFIXES[place]:
                    found.setdefault(name, []).append(each)
        return found

    def delete(self, stored: Iterable[StoredVersion]) -> None:
        """Deletes these object versions for good, many at once, but not those XML cannot name."""
        nameable: list[ObjectIdentifierTypeDef] = []
        for each in stored:
            if each.key.isprintable():
                nameable.append({"Key": each.key, "VersionId": each.object_version})
            else:
                self._s3.delete_object(
                    Bucket=self._bucket, Key=each.key, VersionId=each.object_version
                )
        for first in range(0, len(nameable), MAX_AT_ONCE):
            batch = nameable[first : first + MAX_AT_ONCE]
            answer = self._s3.delete_objects(
                Bucket=self._bucket, Delete={"Objects": batch, "Quiet": True}
            )
            for error in answer.get("Errors", []):
                code, message = error.get("Code", ""), error.get("Message", "")
                raise ClientError({"Error": {"Code": code, "Message": message}}, "DeleteObjects")

    def _below(self, prefix: str) -> Iterator[StoredVersion]:
        pages = self._s3.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                yield StoredVersion(each["Key"], each["VersionId"], each["LastModified"])


class Deletion:
    """Deletes models of one bucket and one registry. Raises botocore's errors."""

    def __init__(
        self,
        objects: ModelObjects,
        registry: Registry,
        deletions: Deletions,
        publisher: EventPublisher,
        retry: RetryPolicy = RETRY,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._objects = objects
        self._registry = registry
        self._deletions = deletions
        self._publisher = publisher
        self._retry = retry
        self._now = now

    def plan(self, model: str) -> Deleted:
        """What `delete` would delete. Raises UnknownModel if there is nothing of that name."""
        versions = self._registry.versions(model)
        uploads = self._objects.uploads(model)
        if not versions and not uploads:
            self._registry.model(model)
        heads = self._deletions.heads(model)
        return Deleted(model, tuple(each.id for each in versions), len(uploads), heads)

    def delete(self, model: str, by: str) -> Deleted:
        """Deletes the name. `by` says who asked. Raises UnknownModel, BackboneInUse."""
        planned = self.plan(model)
        began = self._now()
        now = began.isoformat(timespec="milliseconds")
        self._retry.until_no_conflict(lambda: self._deletions.mark(model, now))
        self._retry.until_no_conflict(lambda: self._deletions.forget_teaching(model))
        uploads = self._objects.uploads(model)
        self._objects.delete(uploads)
        self._retry.until_no_conflict(lambda: self._deletions.mark(model, now))
        logger().warning("model deleted", model=model, versions=planned.versions, by=by)
        self._publisher.deleted(model, planned.versions, by=by)
        retired = [
            each
            for known in self._registry.versions(model)
            if (each := self._deletions.retire(known, now))
        ]
        self._erase(model, retired, began)
        self._deletions.forget_attempts(model, {each.object_version for each in uploads})
        return replace(planned, deleted=True)

    def _erase(self, model: str, retired: list[Version], began: datetime) -> None:
        """Deletes objects, listed before the registry is read again, and then the records."""
        stored = self._objects.of_versions(model)
        for version in retired:
            objects = stored.pop(version.id, [])
            if self._registry.find(model, version.id) == version:
                self._objects.delete(objects)
                self._retry.until_no_conflict(partial(self._deletions.remove, version))
        for version_id, objects in stored.items():
            old = [each for each in objects if began - each.stored_at >= SURELY_OLDER]
            if self._registry.find(model, version_id) is None:
                self._objects.delete(old)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers an API Gateway REST proxy event, or `{"model": …, "dry_run": …}` of the command line.

    Lambda's permissions say who may send the second; for the first, see `allowed`.
    """
    logger().set_correlation_id(context.aws_request_id)
    if "requestContext" not in event:
        return asdict(delete(event["model"], COMMAND, dry_run=event.get("dry_run", False)))
    try:
        by = allowed(event["requestContext"]["identity"].get("apiKeyId"))
        query = event["queryStringParameters"] or {}
        name = event["pathParameters"]["model"]
        deleted = delete(name, by, dry_run=is_dry_run(query.get("dry_run")))
    except (FacetError, BotoCoreError, ClientError) as error:
        return _problem(error, event["requestContext"]["requestId"])
    return _respond(200, "application/json", asdict(deleted))


def allowed(key_id: str | None) -> str:
    """Returns who sent a request with this API key. Raises NotAllowed if it may not delete."""
    may = settings().delete_keys.split(",")
    if key_id and (key_id in may or "*" in may):
        return f"api-key {key_id}"
    raise NotAllowed(
        f"The API key {key_id} may not delete models. Name it in the stack's parameter DeleteKeys, "
        "or use `facet delete`, which needs AWS credentials."
    )


def is_dry_run(text: str | None) -> bool:
    """What the parameter `dry_run` says. Raises BadRequest for anything but true and false."""
    if text not in (None, "true", "false"):
        raise BadRequest(f"dry_run must be true or false, not '{text[:100]}'; nothing was deleted.")
    return text == "true"


def delete(model: str, by: str, *, dry_run: bool) -> Deleted:
    """Deletes a model, or says what that would delete. Raises UnknownModel, BackboneInUse."""
    work = deletion()
    return work.plan(model) if dry_run else work.delete(model, by)


@cache
def deletion() -> Deletion:
    """The Deletion of this process, made from its settings."""
    table = boto3.resource("dynamodb").Table(settings().table)
    objects = ModelObjects(boto3.client("s3"), settings().bucket)
    return Deletion(objects, Registry(table), Deletions(table), publisher())


def _problem(error: Exception, request_id: str) -> dict[str, Any]:
    """The problem document of an error. Those that a request cannot cause are logged."""
    if isinstance(error, EXPECTED):
        kind, detail = problems.problem_of(error), str(error)
    else:
        logger().exception("unexpected error", exc_info=error)
        kind, detail = problems.BUG, UNEXPECTED
    document = problems.document(kind, detail, request_id)
    return _respond(kind.status, problems.PROBLEM_TYPE, document)


def _respond(status: int, content_type: str, document: object) -> dict[str, Any]:
    body = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE).decode()
    headers = {"Content-Type": [content_type]}
    answer = {"statusCode": status, "multiValueHeaders": headers, "body": body}
    return cors.with_cors(answer, settings().allow_origin)
