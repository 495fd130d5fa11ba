"""The platform's own words, by which Facet tells the model's fault from the platform's."""

import json
from typing import Any

from botocore.exceptions import ClientError

from cli.client.permissions import forbidden
from cli.verify.check import Different, NotTried, check
from cli.verify.session import Session
from facet.endpoint import NO_ENDPOINT

NOTHING = "0" * 12
"""The id of a version that no model has."""


@check("no-endpoint", "InvokeEndpoint says in known words that an endpoint does not exist.")
def no_endpoint(session: Session) -> str:
    error = _refusal(session, endpoint=session.name("none"), target=f"{session.model}/none.tar.gz")
    text = _raw(error)
    if error["Error"]["Code"] != "ValidationError" or not NO_ENDPOINT.search(text):
        raise Different(text)
    return text


@check("no-artifact", "InvokeEndpoint answers a missing artifact with a ValidationError.")
def no_artifact(session: Session) -> str:
    target = f"{session.model}/{NOTHING}.tar.gz"
    error = _refusal(session, endpoint=session.stack.endpoint, target=target)
    if error["Error"]["Code"] != "ValidationError":
        raise Different(_raw(error))
    return _raw(error)


@check("model-error", "The container's refusal of an input is a ModelError with its status.")
def model_error(session: Session) -> str:
    target = session.ready().target
    error = _refusal(session, endpoint=session.stack.endpoint, target=target, body=b"{}")
    status = error.get("OriginalStatusCode", 0)
    if error["Error"]["Code"] != "ModelError" or not 400 <= status < 500:
        raise Different(_raw(error))
    return _raw(error)


@check("wording-507", "A model for which there is no memory is a ModelError with status 507.")
def wording_507(_: Session) -> str:
    raise NotTried(
        "it takes more models than the endpoint's memory holds, and would unload those of others; "
        "on an endpoint of your own, upload large models until `facet logs endpoint` shows a 507"
    )


@check("wording-408", "A model that loads too slowly is a ModelError with status 408 or 0.")
def wording_408(_: Session) -> str:
    raise NotTried(
        "it takes a model that loads for over a minute, and other models may wait behind it"
    )


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
