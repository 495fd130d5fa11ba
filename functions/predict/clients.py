"""AWS clients and the objects built on them: one of each per process, created on first use."""

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from facet.aws import presigned
from facet.aws.notifications import EventPublisher
from facet.places.choice import Choice
from facet.places.runners import runner
from facet.registry.releases import Releases
from facet.registry.store import Registry
from facet.settings import settings
from predict.bucket.golden_images import GoldenImages
from predict.bucket.head_weights import HeadWeights
from predict.bucket.inbox import Inbox
from predict.canary import CanaryCounter
from predict.classification.classifier import Classifier
from predict.classification.network import Networks
from predict.endpoint_health import EndpointHealth
from predict.metrics import PredictionMetrics
from predict.predictor import Predictor
from predict.version_cache import VersionCache

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

FAIL_FAST = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 2})
"""For every client but those of the places: an outage must show early enough to answer from the
cache within API Gateway's 29 seconds."""


@cache
def predictor() -> Predictor:
    """The predictor, with its caches of versions and heads, and its canary counts."""
    config = settings()
    versions = VersionCache(registry(), config.registry_ttl)
    heads = HeadWeights(s3(), config.bucket, config.head_cache)
    return Predictor(
        versions,
        Classifier(
            Networks(choice(), versions, heads),
            choice(),
            runner,
            config.invoke_timeout,
            config.max_pixels,
        ),
        CanaryCounter(Releases(table()), publisher, versions.expire),
        PredictionMetrics(config.watched),
        endpoint_health(),
    )


@cache
def choice() -> Choice:
    """Where versions run: by the stack's parameter, and by what predictions found."""
    return Choice(settings().run_in)


@cache
def endpoint_health() -> EndpointHealth:
    """What this process's predictions show about the endpoint."""
    return EndpointHealth()


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
    return Inbox(s3(), config.bucket, config.max_upload, config.upload_expires)


@cache
def golden_images() -> GoldenImages:
    """The images of versions' golden samples."""
    return GoldenImages(s3(), settings().bucket)


@cache
def s3() -> "S3Client":
    """The client of the bucket, which signs forms, too."""
    return boto3.client("s3", config=FAIL_FAST.merge(presigned.config()))
