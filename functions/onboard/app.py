"""The upload's handler: S3 events to drops, outcomes to the log."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from facet import endpoint
from facet.manifest import MODEL_NAME
from facet.observability import logger
from facet.registry import Registry
from facet.settings import settings
from onboard.promote import Drop, Onboarding

DROP = re.compile(rf"mme/({MODEL_NAME.pattern})\.tar\.gz")
MISNAMED = re.compile(r"mme/[^/]*\.tar\.gz", re.DOTALL)


class MisnamedDrop(Exception):
    """An upload that no model can be made of; it stays, and its event goes to the dead letters."""


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Onboards every drop that an S3 event names.

    An error of one drop is raised, so that Lambda tries the event again and in the end puts it
    into the dead-letter queue; drops that had their outcome are gone from the door by then.
    """
    logger().set_correlation_id(context.aws_request_id)
    outcomes = [onboarding().onboard(drop) for drop in drops(event)]
    return {"outcomes": [asdict(outcome) for outcome in outcomes]}


def drops(event: dict[str, Any]) -> Iterator[Drop]:
    """The drops among an event's records.

    Versions, which lie below `mme/<model>/`, end in .tar.gz too and are passed over. Raises
    MisnamedDrop for what lies where drops lie, but could never be a model.
    """
    for record in event.get("Records", []):
        key = unquote_plus(record["s3"]["object"]["key"])
        if match := DROP.fullmatch(key):
            yield Drop(match[1], record["s3"]["object"].get("versionId"))
        elif MISNAMED.fullmatch(key):
            raise MisnamedDrop(f"{key}: a model's name has the form {MODEL_NAME.pattern}")


@cache
def onboarding() -> Onboarding:
    """The onboarding of this process."""
    name = settings()
    return Onboarding(
        boto3.client("s3"),
        name.bucket,
        Registry(boto3.resource("dynamodb").Table(name.table)),
        endpoint.Endpoint(endpoint.client(name.invoke_timeout), name.endpoint),
    )
