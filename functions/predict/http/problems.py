"""The error table: which error becomes which RFC 9457 problem document."""

from dataclasses import asdict, dataclass

import orjson
from aws_lambda_powertools.event_handler.api_gateway import Response

from facet.errors import (
    BadRequest,
    BodyTooLarge,
    BrokenImage,
    EndpointRemoved,
    EndpointThrottled,
    EndpointUnavailable,
    FacetError,
    ModelFailed,
    ModelLoading,
    NoLiveVersion,
    NothingToRollBack,
    OutOfTime,
    RegistryConflict,
    UnknownModel,
    UnknownUpload,
    UnknownVersion,
    UnsupportedImage,
    VersionInUse,
)


@dataclass(frozen=True)
class Problem:
    """A kind of failure: its stable name, HTTP status, title, and when to try again (seconds)."""

    name: str
    status: int
    title: str
    retry_after: int | None = None


TABLE: dict[type[FacetError], Problem] = {
    BadRequest: Problem("bad-request", 400, "The request cannot be understood"),
    UnknownModel: Problem("unknown-model", 404, "No such model"),
    UnknownVersion: Problem("unknown-version", 404, "No such version"),
    UnknownUpload: Problem("unknown-upload", 404, "No such upload"),
    NoLiveVersion: Problem("no-live-version", 409, "The model has no live version"),
    NothingToRollBack: Problem("nothing-to-roll-back", 409, "There is no version to go back to"),
    VersionInUse: Problem("version-in-use", 409, "The version answers predictions"),
    RegistryConflict: Problem("conflict", 409, "Somebody else changed it at the same time"),
    BodyTooLarge: Problem("body-too-large", 413, "The body is too large"),
    UnsupportedImage: Problem("unsupported-image", 415, "Not an image type we take"),
    BrokenImage: Problem("broken-image", 422, "The image cannot be read"),
    EndpointThrottled: Problem("throttled", 429, "Too many requests", retry_after=1),
    ModelFailed: Problem("model-failed", 502, "The model failed"),
    ModelLoading: Problem("model-loading", 503, "The model is loading", retry_after=5),
    OutOfTime: Problem("out-of-time", 503, "The time was too short", retry_after=5),
    EndpointUnavailable: Problem("unavailable", 503, "The endpoint is unavailable", retry_after=5),
    EndpointRemoved: Problem("no-endpoint", 503, "There is no endpoint now", retry_after=300),
}
NO_ROUTE = Problem("no-route", 404, "No such route")
BUG = Problem("internal-error", 500, "Something broke on our side")


def problem_of(error: FacetError) -> Problem:
    """The row of an error: its own, or that of the nearest class above it."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def respond(
    problem: Problem,
    detail: str,
    request_id: str,
    error: object = None,
    *,
    protocol: bool = False,
) -> Response[str]:
    """The problem document as an answer, with the error's violations where it has any.

    With the member `error`, too, where the Open Inference Protocol is spoken.
    """
    document: dict[str, object] = {
        "type": f"urn:facet:problem:{problem.name}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "request_id": request_id,
    }
    if protocol:
        document["error"] = detail
    if isinstance(error, NoLiveVersion):
        document["violations"] = [asdict(each) for each in error.violations]
    return Response(
        status_code=problem.status,
        content_type="application/problem+json",
        body=orjson.dumps(document).decode(),
        headers={"Retry-After": str(problem.retry_after)} if problem.retry_after else {},
    )
