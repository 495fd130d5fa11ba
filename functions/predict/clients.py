"""AWS clients and the objects built on them: one of each per process, created on first use."""

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from facet.endpoint import Endpoint, client
from facet.notifications import EventPublisher
from facet.registry.releases import Releases
from facet.registry.store import Registry
from facet.settings import settings
from predict.canary import CanaryCounter
from predict.classifier import Classifier
from predict.endpoint_health import EndpointHealth
from predict.inbox import Inbox
from predict.metrics import PredictionMetrics
from predict.predictor import Predictor
from predict.version_cache import VersionCache

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

FAIL_FAST = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 2})
"""For every client but the endpoint's: an outage must show early enough to answer from the cache
within API Gateway's 29 seconds."""


@cache
def predictor() -> Predictor:
    """The predictor, with its cache of versions and its canary counts."""
    config = settings()
    versions = VersionCache(registry(), config.registry_ttl)
    return Predictor(
        versions,
        Classifier(endpoint, config.invoke_timeout, config.max_pixels),
        CanaryCounter(Releases(table()), publisher, versions.expire),
        PredictionMetrics(config.watched),
        endpoint_health(),
    )


@cache
def endpoint_health() -> EndpointHealth:
    """What this process's predictions show about the endpoint."""
    return EndpointHealth()


@cache
def endpoint(timeout: float) -> Endpoint:
    """The endpoint, through a client that times out after so many seconds."""
    return Endpoint(client(timeout), settings().endpoint)


@cache
def registry() -> Registry:
    """The registry of models and versions."""
    return Registry(table())


@cache
def table() -> "Table":
    """The registry's DynamoDB table."""
    return boto3.resource("dynamodb", config=FAIL_FAST).Table(settings().table)


@cache
def publisher() -> EventPublisher:
    """Publishes how a canary ended. Created only then, because canaries end rarely."""
    events = boto3.client("events", config=FAIL_FAST)
    return EventPublisher(events, boto3.client("sns", config=FAIL_FAST), settings().topic)


@cache
def inbox() -> Inbox:
    """The part of the bucket for images too large for a request's body."""
    config = settings()
    s3 = boto3.client("s3", config=FAIL_FAST.merge(Config(signature_version="s3v4")))
    return Inbox(s3, config.bucket, config.max_upload, config.upload_expires)
