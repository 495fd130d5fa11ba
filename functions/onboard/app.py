"""The upload's handler: S3 events to uploads and removals, outcomes to metrics."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from facet import endpoint
from facet.artifact.validation import Rules
from facet.errors import EndpointRemoved
from facet.keys import MODEL_NAME, is_upload, parse_upload_key, parse_version_key
from facet.notifications import publisher
from facet.observability import count, logger
from facet.registry.releases import Releases
from facet.registry.store import Registry
from facet.settings import settings
from onboard.bucket import Bucket
from onboard.onboarding import Onboarding, Registers
from onboard.prover import Prover
from onboard.retention import Removal
from onboard.retry import RetryPolicy
from onboard.uploads import OnboardingResult, Upload

S3_CLIENT = Config(read_timeout=180)
"""S3 need not answer a copy of several GB before it is done."""


class MisnamedDrop(Exception):
    """An upload that no model can be made of; it stays, and its event goes to the dead letters."""


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Onboards every upload that an S3 event names, and withdraws every version it says is gone.

    An error of one is raised, so that Lambda tries the event again and in the end puts it into the
    dead-letter queue; uploads that had their outcome are gone from the door by then.
    """
    logger().set_correlation_id(context.aws_request_id)
    retry = RetryPolicy(
        left=lambda: context.get_remaining_time_in_millis() / 1000,
        attempt=settings().invoke_timeout,
    )
    outcomes = [outcome for each in wanted(event) if (outcome := measured(each, retry))]
    return {"outcomes": [asdict(each) for each in outcomes]}


def measured(wanted: Upload | Removal, retry: RetryPolicy) -> OnboardingResult | None:
    """The outcome, or the error, counted.

    Without an endpoint the upload stays, and the sweeper retries it. That is no error: Lambda would
    retry twice within minutes.
    """
    try:
        if isinstance(wanted, Removal):
            outcome = onboarding().withdraw(wanted, retry)
        else:
            outcome = onboarding().onboard(wanted, retry)
    except EndpointRemoved as error:
        logger().warning("postponed", model=wanted.model, reason=str(error))
        outcome = OnboardingResult(wanted.model, "POSTPONED")
    except Exception:
        count("Uploads", outcome="FAILED")
        raise
    if outcome:
        count("Uploads", outcome=outcome.outcome)
        codes = Counter(each.code for each in outcome.violations)
        for code, times in codes.items():
            count("Violations", times, code=code)
    return outcome


def wanted(event: dict[str, Any]) -> Iterator[Upload | Removal]:
    """The uploads that were uploaded and the versions that were deleted, of an event's records.

    Versions that were written and uploads that were removed are passed over: onboarding does that
    itself. Raises MisnamedDrop for what lies where uploads lie, but could never be a model.
    """
    for record in event.get("Records", []):
        described = record["s3"]["object"]
        key = unquote_plus(described["key"])
        if record["eventName"].startswith("ObjectRemoved:"):
            if version := parse_version_key(key):
                yield Removal(*version, datetime.fromisoformat(record["eventTime"]))
        elif model := parse_upload_key(key):
            yield Upload(
                model,
                described.get("versionId"),
                described.get("sequencer"),
                datetime.fromisoformat(record["eventTime"]).isoformat(),
            )
        elif is_upload(key):
            raise MisnamedDrop(f"{key}: a model's name has the form {MODEL_NAME.pattern}")


@cache
def onboarding() -> Onboarding:
    """The onboarding of this process."""
    name = settings()
    table = boto3.resource("dynamodb").Table(name.table)
    reached = endpoint.Endpoint(endpoint.client(name.invoke_timeout), name.endpoint)
    return Onboarding(
        Bucket(boto3.client("s3", config=S3_CLIENT), name.bucket),
        Registers(Registry(table), Releases(table), publisher()),
        Prover(reached, name.answer_within),
        Rules(name.golden_required, name.ops),
        name.keep_versions,
    )
