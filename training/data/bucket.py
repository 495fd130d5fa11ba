"""Which bucket: one by its name, a deployed stack's, or that of the stack on this machine."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from facet.errors import FacetError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LOCAL_KEY = "local"
"""The local stack takes any credentials, and those of an account must not go there."""


class NoBucket(FacetError):
    """It is not known where to upload to; the message says what to do."""


@dataclass(frozen=True)
class Bucket:
    """A bucket and the client that reaches it."""

    name: str
    s3: "S3Client"


def by_name(name: str, config: Config) -> Bucket:
    """A bucket of the account that the environment's credentials belong to."""
    return Bucket(name, boto3.client("s3", config=config))


def of_deployed(stack: str, config: Config) -> Bucket:
    """The bucket of a deployed stack: its output `BucketName`. Raises `NoBucket`."""
    try:
        found = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except (BotoCoreError, ClientError) as error:
        raise NoBucket(f"stack {stack}: {error}") from error
    for output in found.get("Outputs", []):
        if output.get("OutputKey") == "BucketName":
            return by_name(output["OutputValue"], config)
    raise NoBucket(f"stack {stack} has no output BucketName: is it Facet's?")


def of_local(home: Path, config: Config) -> Bucket:
    """The bucket of the stack that runs with its state in `home`. Raises `NoBucket`."""
    try:
        address = json.loads((home / "stack.json").read_text())
        os.kill(address["pid"], 0)  # a stack that was killed has left the file behind
    except (FileNotFoundError, ProcessLookupError) as error:
        raise NoBucket(
            "no stack runs on this machine. Start one with `make run`, or name a deployed stack "
            "with --stack or a bucket with --bucket"
        ) from error
    s3 = boto3.client(
        "s3",
        endpoint_url=address["endpoint_url"],
        region_name=address["region"],
        aws_access_key_id=LOCAL_KEY,
        aws_secret_access_key=LOCAL_KEY,
        config=config,
    )
    return Bucket(address["bucket"], s3)
