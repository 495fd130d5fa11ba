"""The onboarding function's handler: S3 events in, results and metrics out."""

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

from facet.artifact.validation import Rules
from facet.aws.notifications import publisher
from facet.errors import EndpointRemoved
from facet.keys import (
    parse_head_key,
    parse_lite_key,
    parse_misnamed_key,
    parse_upload_key,
    parse_version_key,
)
from facet.observability import count, logger
from facet.places.runners import runner
from facet.registry.attempts import Attempts
from facet.registry.heads.dependents import Dependents
from facet.registry.models import Place
from facet.registry.releases import Releases
from facet.registry.store import Registry
from facet.settings import settings
from onboard.bucket import Bucket
from onboard.onboarding import Onboarding, utc_now
from onboard.proof.missing import MissingProof
from onboard.proof.places import Places, Reached
from onboard.proof.prover import Prover
from onboard.records import Records
from onboard.removal.retention import Removal
from onboard.retry import RetryPolicy
from onboard.sweep.backfill import MissingFile
from onboard.sweep.events import UNPROVEN
from onboard.uploads import OnboardingResult, Upload

Item = Upload | Removal | MissingFile | MissingProof
"""What an event may be about."""

S3_CLIENT = Config(read_timeout=180)
"""A copy of several GB is answered when it is done, which may take minutes."""


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Onboards each upload of an S3 event; withdraws versions whose artifact was deleted, stores
    LiteRT models and weights of heads again that were, and proves READY versions in another place.

    The first error is raised, so that Lambda retries the event and finally sends it to the
    dead-letter queue. Uploads that were onboarded before the error are not there any more.
    """
    logger().set_correlation_id(context.aws_request_id)
    retry = RetryPolicy(
        left=lambda: context.get_remaining_time_in_millis() / 1000,
        attempt=settings().invoke_timeout,
    )
    reached = Reached()
    results = [result for item in parse(event) if (result := process(item, retry, reached))]
    return {"outcomes": [asdict(each) for each in results]}


def process(item: Item, retry: RetryPolicy, reached: Reached) -> OnboardingResult | None:
    """Carries it out and counts the result, or FAILED for an error, which is raised.

    `reached` has what proofs of this event found of each place.

    Without an endpoint, a version that needs it is POSTPONED: the upload stays and the sweeper
    retries it. Raising an error would only make Lambda retry twice within minutes. The same holds
    for a file or a proof that a READY version lacks, which are no uploads that would have
    to wait in the dead-letter queue.
    """
    try:
        if isinstance(item, Removal):
            result = onboarding().withdraw(item, retry)
        elif isinstance(item, MissingFile):
            result = onboarding().complete(item)
        elif isinstance(item, MissingProof):
            result = onboarding().prove(item, retry, reached)
        else:
            result = onboarding().onboard(item, retry)
    except EndpointRemoved as error:
        logger().warning("postponed", model=item.model, reason=str(error))
        result = OnboardingResult(item.model, "POSTPONED", reason=str(error))
    except Exception as error:
        count("Uploads", outcome="FAILED")
        if not isinstance(item, MissingFile | MissingProof):
            raise
        what = "not proven yet" if isinstance(item, MissingProof) else "file not stored"
        logger().warning(what, extra=asdict(item), exc_info=error)
        return None
    if result:
        count("Uploads", outcome=result.outcome)
        codes = Counter(each.code for each in result.violations)
        for code, times in codes.items():
            count("Violations", times, code=code)
    return result


def parse(event: dict[str, Any]) -> Iterator[Item]:
    """The uploads, the deleted versions and the deleted files of versions in an S3 event, and the
    versions that the sweeper wants to have proven.

    Other records are ignored: onboarding itself writes versions and removes uploads.
    """
    for record in event.get("Records", []):
        s3_object = record["s3"]["object"]
        key = unquote_plus(s3_object["key"])
        if record["eventName"] == UNPROVEN:
            if version := parse_version_key(key):
                yield MissingProof(*version)
            continue
        if record["eventName"].startswith("ObjectRemoved:"):
            if version := parse_version_key(key):
                yield Removal(*version, datetime.fromisoformat(record["eventTime"]))
            elif lacking := parse_lite_key(key) or parse_head_key(key):
                yield MissingFile(*lacking)
            continue
        misnamed = parse_misnamed_key(key)
        if name := parse_upload_key(key) or misnamed:
            yield Upload(
                name,
                s3_object.get("versionId"),
                s3_object.get("sequencer"),
                datetime.fromisoformat(record["eventTime"]).isoformat(),
                key if misnamed else None,
            )


@cache
def onboarding() -> Onboarding:
    """This process's Onboarding, made from its settings."""
    name = settings()
    table = boto3.resource("dynamodb").Table(name.table)
    return Onboarding(
        Bucket(boto3.client("s3", config=S3_CLIENT), name.bucket),
        Records(
            Registry(table),
            Releases(table),
            Dependents(table),
            publisher(),
            Attempts(table),
        ),
        Places(provers(), name.run_in, utc_now),
        Rules(name.golden_required, name.ops),
        name.keep_versions,
    )


def provers() -> dict[Place, Prover]:
    """A prover for each place: the endpoint, and the function if the stack has one."""
    name = settings()
    places = [Place.ENDPOINT, *([Place.FUNCTION] if name.infer_function else [])]
    return {
        place: Prover(runner(place, name.invoke_timeout), name.answer_within, place=place)
        for place in places
    }
