"""The sweeper: on a schedule, it finishes what events did not.

It resubmits uploads without a result, deletes the artifacts of RETIRED versions once they are old
enough, rejects PENDING versions whose upload was deleted, and has LiteRT models stored that READY
versions lack.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import boto3
import orjson
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from facet.errors import RegistryConflict, Violation
from facet.keys import (
    ARTIFACT,
    ENDPOINT_PREFIX,
    LITE_PREFIX,
    lite_key,
    parse_misnamed_key,
    parse_version_key,
)
from facet.notifications import EventPublisher, publisher
from facet.observability import count, logger
from facet.registry.models import Status, Version
from facet.registry.store import Registry
from facet.settings import settings
from onboard.bucket import Bucket, missing
from onboard.uploads import PendingUpload, PendingUploads, Upload, due

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

MAX_PER_RUN = 200
"""Of each kind of work; the next run continues."""

MAX_OF_ONE_MODEL = 3
"""Uploads of one model that a run resubmits, so that they do not take every place of onboarding."""

MAX_LITERT = 25
"""LiteRT models that a run has stored, so that they do not take every place of onboarding."""

MAX_LITERT_READ = 1 << 30
"""Bytes of the artifacts that are read for them; a single one may be larger."""

ABANDONED_AFTER = timedelta(days=1)

ABANDONED = Violation(
    "abandoned",
    ARTIFACT,
    "the upload was deleted before the endpoint had proven it",
    "upload it again",
)

Event = dict[str, Any]


@dataclass
class Swept:
    """What one run did: keys of uploads, TargetModels of versions, and what failed of either."""

    handed_over: list[str] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    abandoned: list[str] = field(default_factory=list)
    without_litert: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ages:
    """How old an upload without a result, and a RETIRED version's artifact, may become."""

    upload: timedelta
    retired: timedelta


class Sweeper:
    """Resubmits uploads, deletes artifacts and rejects versions, from bucket and registry."""

    def __init__(
        self,
        uploads: PendingUploads,
        bucket: Bucket,
        registry: Registry,
        publisher: EventPublisher,
        resubmit: Callable[[Event], object],
        ages: Ages,
    ) -> None:
        """`resubmit` passes an S3 event to onboarding."""
        self._uploads = uploads
        self._bucket = bucket
        self._registry = registry
        self._publisher = publisher
        self._resubmit = resubmit
        self._ages = ages

    def sweep(self, now: datetime) -> Swept:
        """One run. Failures are logged, and retried by the next run."""
        swept = Swept()
        retired = self._older(Status.RETIRED, now - self._ages.retired)
        pending = self._older(Status.PENDING, now - ABANDONED_AFTER)
        for upload in islice(self._due(now, swept), MAX_PER_RUN):
            with _logged(swept, upload.key):
                self._resubmit(_uploaded(self._bucket.name, upload))
                swept.handed_over.append(upload.key)
                self._uploads.mark_swept(upload, now)
        for version in islice(retired, MAX_PER_RUN):
            with _logged(swept, version.target):
                if self._bucket.delete_version(version, self._registry):
                    self._registry.settle(version)
                    swept.deleted.append(version.target)
        for version in islice(pending, MAX_PER_RUN):
            with _logged(swept, version.target):
                if self._abandon(version, now):
                    swept.abandoned.append(version.target)
        with _logged(swept, LITE_PREFIX):
            self._complete(now, swept)
        return swept

    def _due(self, now: datetime, swept: Swept) -> Iterator[PendingUpload]:
        of_key: Counter[str] = Counter()
        for upload in self._uploads.waiting():
            if parse_misnamed_key(upload.key):
                swept.misnamed.append(upload.key)
            if of_key[upload.key] >= MAX_OF_ONE_MODEL:
                continue
            elif now - upload.uploaded_at >= self._ages.upload:
                is_due = False
                with _logged(swept, upload.key):
                    swept_at = self._uploads.swept_at(upload)
                    is_due = due(now, upload.uploaded_at, swept_at, self._ages.upload)
                if is_due:
                    of_key[upload.key] += 1
                    yield upload

    def _older(self, status: Status, than: datetime) -> Iterator[Version]:
        for each in self._registry.unsettled(status):
            if datetime.fromisoformat(each.updated_at) <= than:
                yield each

    def _complete(self, now: datetime, swept: Swept) -> None:
        """Has LiteRT models stored by onboarding, within this run's limits."""
        left = MAX_LITERT_READ
        for version in self._without_litert():
            if swept.without_litert and version.size > left:
                continue
            self._resubmit(_litert_deleted(self._bucket.name, version, now))
            swept.without_litert.append(version.target)
            left -= version.size
            if len(swept.without_litert) == MAX_LITERT:
                break

    def _without_litert(self) -> Iterator[Version]:
        """READY versions without a stored LiteRT model that have one, or may have one.

        At most MAX_PER_RUN versions are looked up, any of those without one: so many may have none
        in their artifact, or keep failing, that the same ones would take up each run.
        """
        found = map(parse_version_key, self._bucket.keys(ENDPOINT_PREFIX))
        versions = [each for each in found if each]
        stored = {*self._bucket.keys(LITE_PREFIX)}
        lacking = [each for each in versions if lite_key(*each) not in stored]
        for each in random.sample(lacking, min(len(lacking), MAX_PER_RUN)):
            version = self._registry.find(*each)
            if version and version.status is Status.READY and version.litert_size != 0:
                yield version

    def _abandon(self, version: Version, now: datetime) -> bool:
        """Rejects a version whose upload was deleted, or hidden by a delete marker.

        The registry is written last, so that the next run finds the version again until then.
        """
        deletions = self._registry.deletions(version.model)
        newest, upload = Upload(version.model), Upload(version.model, version.object_version)
        if self._bucket.has_upload(newest) and self._bucket.has_upload(upload):
            return False
        if not self._bucket.delete_version(version, self._registry):
            return False
        rejected = replace(
            version,
            status=Status.REJECTED,
            violations=(ABANDONED,),
            updated_at=now.isoformat(timespec="milliseconds"),
        )
        self._bucket.write_report(rejected)
        codes = [each.code for each in rejected.violations]
        logger().warning("model rejected", model=rejected.model, version=rejected.id, codes=codes)
        self._publisher.rejected(rejected)
        self._registry.reject(rejected, deletions)
        return True


@contextmanager
def _logged(swept: Swept, subject: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, RegistryConflict) as error:
        if isinstance(error, ClientError) and missing(error):
            return  # it was onboarded meanwhile
        logger().warning("not swept", subject=subject, exc_info=error)
        swept.failed.append(subject)


def _uploaded(bucket: str, upload: PendingUpload) -> Event:
    """The event that S3 would send. An upload hidden by a newer one sorts first in its second."""
    described = {"key": quote_plus(upload.key), "versionId": upload.object_version}
    if not upload.newest:
        described["sequencer"] = "0"
    return _event("ObjectCreated:Put", upload.uploaded_at, bucket, described)


def _litert_deleted(bucket: str, version: Version, now: datetime) -> Event:
    """The event that S3 would send if the LiteRT model had been deleted now."""
    described = {"key": lite_key(version.model, version.id)}
    return _event("ObjectRemoved:Delete", now, bucket, described)


def _event(name: str, at: datetime, bucket: str, described: dict[str, str]) -> Event:
    return {
        "Records": [
            {
                "eventSource": "facet:sweeper",
                "eventName": name,
                "eventTime": at.isoformat(),
                "s3": {"bucket": {"name": bucket}, "object": described},
            }
        ]
    }


def handler(_: Event, context: LambdaContext) -> dict[str, list[str]]:
    """Runs the sweeper once. Answers what it did, by kind."""
    logger().set_correlation_id(context.aws_request_id)
    swept = sweeper().sweep(datetime.now(UTC))
    if swept.misnamed:
        logger().warning("uploads with an invalid model name", keys=swept.misnamed[:MAX_PER_RUN])
    count("SweptUploads", len(swept.handed_over))
    count("MisnamedUploads", len(swept.misnamed))
    count("SweepFailures", len(swept.failed))
    if swept.abandoned:
        count("Uploads", len(swept.abandoned), outcome="REJECTED")
        count("Violations", len(swept.abandoned), code=ABANDONED.code)
    return asdict(swept)


@cache
def sweeper() -> Sweeper:
    """The sweeper of this process."""
    name = settings()
    s3 = boto3.client("s3")
    return Sweeper(
        PendingUploads(s3, name.bucket),
        Bucket(s3, name.bucket),
        Registry(boto3.resource("dynamodb").Table(name.table)),
        publisher(),
        partial(invoke, boto3.client("lambda"), name.onboard_function),
        Ages(timedelta(minutes=name.sweep_after), timedelta(minutes=name.delete_after)),
    )


def invoke(client: "LambdaClient", function: str, event: Event) -> None:
    """Invokes a function asynchronously, as S3 does; Lambda retries a failed event."""
    client.invoke(FunctionName=function, InvocationType="Event", Payload=orjson.dumps(event))
