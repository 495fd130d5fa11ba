"""AWS clients and the objects built on them: one of each per process, created on first use."""

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from facet.aws import presigned
from facet.registry.store import Registry
from facet.registry.teachings import Teachings
from facet.settings import settings
from teach.data_sets import AT_ONCE, DataSets

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

CONNECTIONS = Config(max_pool_connections=AT_ONCE, retries={"mode": "standard"})


@cache
def data_sets() -> DataSets:
    """The data sets of the bucket."""
    return DataSets(s3(), settings().bucket)


@cache
def s3() -> "S3Client":
    """The client of the bucket, which signs forms, too."""
    return boto3.client("s3", config=CONNECTIONS.merge(presigned.config()))


@cache
def registry() -> Registry:
    """The registry of models and versions."""
    return Registry(table())


@cache
def teachings() -> Teachings:
    """How models were taught."""
    return Teachings(table())


@cache
def table() -> "Table":
    """The registry's DynamoDB table."""
    return boto3.resource("dynamodb").Table(settings().table)
