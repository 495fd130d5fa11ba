"""The sweeper: what events left behind is taken up again, on a schedule."""

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
from facet.keys import ARTIFACT, parse_upload_key
from facet.notifications import EventPublisher, publisher
from facet.observability import count, logger
from facet.registry.models import Status, Version
from facet.registry.store import Registry
from facet.settings import settings
from onboard.bucket import Bucket, missing
from onboard.uploads import PendingUpload, PendingUploads, Upload, due

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

AT_MOST = 200
"""Of each kind in one run; the next run goes on."""

ABANDONED_AFTER = timedelta(days=1)

ABANDONED = Violation(
    "abandoned",
    ARTIFACT,
    "the upload was removed before the endpoint had proven it",
    "upload it again",
)

Event = dict[str, Any]


@dataclass
class Swept:
    """What one run did: keys handed over and misnamed, targets deleted and given up; failures."""

    handed_over: list[str] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    abandoned: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ages:
    """How long an upload may wait for its event, and a RETIRED version's object be kept."""

    upload: timedelta
    retired: timedelta


class Sweeper:
    """Finds uploads without an outcome, and objects and records that nobody needs any more."""

    def __init__(
        self,
        door: PendingUploads,
        bucket: Bucket,
        registry: Registry,
        publisher: EventPublisher,
        hand_over: Callable[[Event], object],
        ages: Ages,
    ) -> None:
        """`hand_over` gives an S3 event to onboarding, which brings it to its outcome."""
        self._door = door
        self._bucket = bucket
        self._registry = registry
        self._publisher = publisher
        self._hand_over = hand_over
        self._ages = ages

    def sweep(self, now: datetime) -> Swept:
        """One run. What fails is logged, and left to the next run."""
        swept = Swept()
        retired = self._older(Status.RETIRED, now - self._ages.retired)
        pending = self._older(Status.PENDING, now - ABANDONED_AFTER)
        for upload in islice(self._due(now, swept), AT_MOST):
            with _left_to_the_next_run(swept, upload.key):
                self._hand_over(_event(self._bucket.name, upload))
                swept.handed_over.append(upload.key)
                self._door.note(upload, now)
        for version in islice(retired, AT_MOST):
            with _left_to_the_next_run(swept, version.target):
                if self._bucket.discard(version, self._registry):
                    self._registry.settle(version)
                    swept.deleted.append(version.target)
        for version in islice(pending, AT_MOST):
            with _left_to_the_next_run(swept, version.target):
                if self._abandon(version, now):
                    swept.abandoned.append(version.target)
        return swept

    def _due(self, now: datetime, swept: Swept) -> Iterator[PendingUpload]:
        for upload in self._door.waiting():
            if not parse_upload_key(upload.key):
                swept.misnamed.append(upload.key)
            elif now - upload.uploaded_at >= self._ages.upload:
                turn = False
                with _left_to_the_next_run(swept, upload.key):
                    swept_at = self._door.swept_at(upload)
                    turn = due(now, upload.uploaded_at, swept_at, self._ages.upload)
                if turn:
                    yield upload

    def _older(self, status: Status, than: datetime) -> Iterator[Version]:
        for each in self._registry.unsettled(status):
            if datetime.fromisoformat(each.updated_at) <= than:
                yield each

    def _abandon(self, version: Version, now: datetime) -> bool:
        """Rejects a version whose upload was removed, or hidden by a delete marker.

        The registry's write is the last one: until then the next run finds it again.
        """
        newest, upload = Upload(version.model), Upload(version.model, version.object_version)
        if self._bucket.has(newest) and self._bucket.has(upload):
            return False
        if not self._bucket.discard(version, self._registry):
            return False
        rejected = replace(
            version,
            status=Status.REJECTED,
            violations=(ABANDONED,),
            updated_at=now.isoformat(timespec="milliseconds"),
        )
        self._bucket.report(rejected)
        codes = [each.code for each in rejected.violations]
        logger().warning("model rejected", model=rejected.model, version=rejected.id, codes=codes)
        self._publisher.rejected(rejected)
        self._registry.reject(rejected)
        return True


@contextmanager
def _left_to_the_next_run(swept: Swept, subject: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, RegistryConflict) as error:
        if isinstance(error, ClientError) and missing(error):
            return  # it had its outcome meanwhile
        logger().warning("not swept", subject=subject, exc_info=error)
        swept.failed.append(subject)


def _event(bucket: str, upload: PendingUpload) -> Event:
    """As S3 would have sent it. What a newer upload hides comes before all others of its second."""
    described = {"key": quote_plus(upload.key), "versionId": upload.object_version}
    if not upload.newest:
        described["sequencer"] = "0"
    return {
        "Records": [
            {
                "eventSource": "facet:sweeper",
                "eventName": "ObjectCreated:Put",
                "eventTime": upload.uploaded_at.isoformat(),
                "s3": {"bucket": {"name": bucket}, "object": described},
            }
        ]
    }


def handler(_: Event, context: LambdaContext) -> dict[str, list[str]]:
    """One run of this process's sweeper."""
    logger().set_correlation_id(context.aws_request_id)
    swept = sweeper().sweep(datetime.now(UTC))
    if swept.misnamed:
        logger().warning("uploads that can be no model", keys=swept.misnamed[:AT_MOST])
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
    """Hands an event to a function as S3 does: Lambda keeps it, and tries it again."""
    client.invoke(FunctionName=function, InvocationType="Event", Payload=orjson.dumps(event))
