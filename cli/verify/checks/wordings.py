"""The platform's own words, by which Facet tells the model's fault from the platform's."""

import json
import time
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from cli.client.permissions import forbidden
from cli.client.resources import LOG_GROUP, resources
from cli.verify.check import Different, NotTried, check
from cli.verify.session import Session
from facet.places.endpoint import NO_ENDPOINT

NOTHING = "0" * 12
"""The id of a version that no model has."""

ONBOARD_LOGS, DAYS = "OnboardLogs", 14
"""The log group, by its name in template.yaml, and how far to look back. A cause in it is what
botocore makes of SageMaker's answer: `Received server error (507) from primary with message …`."""


@check("no-endpoint", "InvokeEndpoint says in known words that an endpoint does not exist.")
def no_endpoint(session: Session) -> str:
    error = _refusal(session, endpoint=session.name("none"), target=f"{session.model}/none.tar.gz")
    text = _raw(error)
    if error["Error"]["Code"] != "ValidationError" or not NO_ENDPOINT.search(text):
        raise Different(text)
    return text


@check("no-artifact", "InvokeEndpoint answers a missing artifact with a ValidationError.")
def no_artifact(session: Session) -> str:
    session.require_endpoint()
    target = f"{session.model}/{NOTHING}.tar.gz"
    error = _refusal(session, endpoint=session.stack.endpoint, target=target)
    if error["Error"]["Code"] != "ValidationError":
        raise Different(_raw(error))
    return _raw(error)


@check("model-error", "The container's refusal of an input is a ModelError with its status.")
def model_error(session: Session) -> str:
    session.require_endpoint()
    target = session.ready().target
    error = _refusal(session, endpoint=session.stack.endpoint, target=target, body=b"{}")
    status = error.get("OriginalStatusCode", 0)
    if error["Error"]["Code"] != "ModelError" or not 400 <= status < 500:
        raise Different(_raw(error))
    return _raw(error)


@check("wording-507", "A model for which there is no memory is a ModelError with status 507.")
def wording_507(session: Session) -> str:
    return _met_before(
        session,
        (507,),
        "to try it would unload the models of others; on an endpoint of your own, upload more "
        "models than its memory holds, then verify again",
    )


@check("wording-408", "A model that loads too slowly is a ModelError with status 408 or 0.")
def wording_408(session: Session) -> str:
    return _met_before(
        session,
        (408, 0),
        "to try it takes a model that loads for over a minute, and other models may wait behind it",
    )


def _met_before(session: Session, statuses: tuple[int, ...], otherwise: str) -> str:
    """What SageMaker said when onboarding last met one of the statuses, from its log.

    Raises NotTried if it met none, and ClientError.
    """
    if session.local:
        raise NotTried(f"this machine's log has no words of SageMaker's; {otherwise}")
    patterns = [f'($.cause = "*error ({each})*")' for each in statuses]
    pages = (
        session.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=resources(session.stack, LOG_GROUP)[ONBOARD_LOGS],
            startTime=int((time.time() - DAYS * 86_400) * 1000),
            filterPattern=f"{{ {' || '.join(patterns)} }}",
        )
    )
    found = [each for page in pages for each in page["events"]]
    if not found:
        raise NotTried(f"onboarding has met none in the last {DAYS} days: {otherwise}")
    newest = max(found, key=lambda each: each["timestamp"])
    when = datetime.fromtimestamp(newest["timestamp"] / 1000, UTC).isoformat(timespec="seconds")
    return f"{when}: {json.loads(newest['message'])['cause']}"


def _refusal(session: Session, endpoint: str, target: str, body: bytes = b"{}") -> dict[str, Any]:
    """The error of an invocation. Raises Different if it succeeds, and ClientError if forbidden."""
    try:
        answer = session.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=endpoint, TargetModel=target, ContentType="application/json", Body=body
        )
    except ClientError as error:
        if forbidden(error):
            raise
        return dict(error.response)
    raise Different(f"it answered {answer['Body'].read()[:200]!r}")


def _raw(error: dict[str, Any]) -> str:
    """All that AWS said, as JSON."""
    said = {"Code": error["Error"]["Code"], "Message": error["Error"].get("Message", "")}
    for name in ("OriginalStatusCode", "OriginalMessage"):
        if name in error:
            said[name] = error[name]
    return json.dumps(said, ensure_ascii=False)


CHECKS = (no_endpoint, no_artifact, model_error, wording_507, wording_408)
