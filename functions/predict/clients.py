"""What the routes work with, made once in a process and when it is first needed."""

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from facet import endpoint
from facet.notifications import EventPublisher
from facet.registry.releases import Releases
from facet.registry.store import Registry
from facet.settings import settings
from predict.canary import CanaryCounter
from predict.classifier import Classifier
from predict.inbox import Inbox
from predict.metrics import PredictionMetrics
from predict.predictor import Predictor
from predict.version_cache import VersionCache

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

IMPATIENT = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 2})
"""For all but the endpoint: an outage has to show soon enough to answer from memory within API
Gateway's 29 seconds."""


@cache
def table() -> "Table":
    """The registry's table, as this process reaches it."""
    return boto3.resource("dynamodb", config=IMPATIENT).Table(settings().table)


@cache
def registry() -> Registry:
    """The registry of this process."""
    return Registry(table())


@cache
def publisher() -> EventPublisher:
    """The publisher of canaries' results. Made when a canary ends, which is seldom."""
    events = boto3.client("events", config=IMPATIENT)
    return EventPublisher(events, boto3.client("sns", config=IMPATIENT), settings().topic)


@cache
def predictor() -> Predictor:
    """The predictor of this process."""
    name = settings()
    versions = VersionCache(registry(), name.registry_ttl)
    return Predictor(
        versions,
        Classifier(reached, name.invoke_timeout, name.max_pixels),
        CanaryCounter(Releases(table()), publisher, versions.expire),
        PredictionMetrics(name.watched),
    )


@cache
def reached(timeout: float) -> endpoint.Endpoint:
    """The endpoint, by a client that waits so many seconds for it."""
    return endpoint.Endpoint(endpoint.client(timeout), settings().endpoint)


@cache
def inbox() -> Inbox:
    """Where images over the limit of a body come from. Made when there is one."""
    config = IMPATIENT.merge(Config(signature_version="s3v4"))
    name = settings()
    return Inbox(
        boto3.client("s3", config=config), name.bucket, name.max_upload, name.upload_expires
    )
