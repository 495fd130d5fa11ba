"""The sweeper: on a schedule, it finishes what events did not.

It resubmits uploads without a result, deletes the artifacts of RETIRED versions once they are old
enough, rejects PENDING versions whose upload was deleted, has LiteRT models and weights of heads
stored that READY versions lack, and has READY versions proven in places where they are not yet.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING

import boto3
import orjson
from aws_lambda_powertools.utilities.typing import LambdaContext

from facet.aws.notifications import EventPublisher, publisher
from facet.errors import Violation
from facet.keys import ARTIFACT, parse_misnamed_key
from facet.observability import count, logger
from facet.registry.models import Status, Version
from facet.registry.store import Registry
from facet.settings import settings
from onboard.bucket import Bucket
from onboard.sweep import events
from onboard.sweep.events import Event
from onboard.sweep.lacking import Lacking
from onboard.sweep.swept import Swept, logged
from onboard.uploads import PendingUpload, PendingUploads, Upload, due

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

MAX_PER_RUN = 200
"""Of each kind of work; the next run continues."""

MAX_OF_ONE_MODEL = 3
"""Uploads of one model that a run resubmits, so that they do not take every place of onboarding."""

ABANDONED_AFTER = timedelta(days=1)

ABANDONED = Violation(
    "abandoned",
    ARTIFACT,
    "the upload was deleted before it was proven",
    "upload it again",
)


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
        self._lacking = Lacking(bucket, registry, resubmit)
        self._ages = ages

    def sweep(self, now: datetime) -> Swept:
        """One run. Failures are logged, and retried by the next run."""
        swept = Swept()
        retired = self._older(Status.RETIRED, now - self._ages.retired)
        pending = self._older(Status.PENDING, now - ABANDONED_AFTER)
        for upload in islice(self._due(now, swept), MAX_PER_RUN):
            with logged(swept, upload.key):
                self._resubmit(events.uploaded(self._bucket.name, upload))
                swept.handed_over.append(upload.key)
                self._uploads.mark_swept(upload, now)
        for version in islice(retired, MAX_PER_RUN):
            with logged(swept, version.target):
                if self._bucket.delete_version(version, self._registry):
                    self._registry.settle(version)
                    swept.deleted.append(version.target)
        for version in islice(pending, MAX_PER_RUN):
            with logged(swept, version.target):
                if self._abandon(version, now):
                    swept.abandoned.append(version.target)
        self._lacking.sweep(now, swept)
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
                with logged(swept, upload.key):
                    swept_at = self._uploads.swept_at(upload)
                    is_due = due(now, upload.uploaded_at, swept_at, self._ages.upload)
                if is_due:
                    of_key[upload.key] += 1
                    yield upload

    def _older(self, status: Status, than: datetime) -> Iterator[Version]:
        for each in self._registry.unsettled(status):
            if datetime.fromisoformat(each.updated_at) <= than:
                yield each

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
            postponed_at=None,
            updated_at=now.isoformat(timespec="milliseconds"),
        )
        self._bucket.write_report(rejected)
        codes = [each.code for each in rejected.violations]
        logger().warning("model rejected", model=rejected.model, version=rejected.id, codes=codes)
        self._publisher.rejected(rejected)
        self._registry.reject(rejected, deletions)
        return True


def handler(_: Event, context: LambdaContext) -> dict[str, list[str]]:
    """Runs the sweeper once. Answers what it did, by kind."""
    logger().set_correlation_id(context.aws_request_id)
    swept = sweeper().sweep(datetime.now(UTC))
    if swept.misnamed:
        logger().warning("uploads with an invalid model name", keys=swept.misnamed[:MAX_PER_RUN])
    done = {
        "SweptUploads": swept.handed_over,
        "MisnamedUploads": swept.misnamed,
        "SweepFailures": swept.failed,
    }
    for metric, subjects in done.items():
        if subjects:  # CloudWatch bills a metric by the hours in which it has data
            count(metric, len(subjects))
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
