"""The error table: every error's HTTP status and problem document (RFC 9457)."""

from dataclasses import dataclass

from facet.errors import (
    BadRequest,
    BodyTooLarge,
    BrokenImage,
    EndpointRemoved,
    EndpointThrottled,
    EndpointUnavailable,
    FacetError,
    FunctionUnavailable,
    LiteRTMissing,
    ModelFailed,
    ModelLoading,
    NoGoldenImage,
    NoLiveVersion,
    NotAllowed,
    NothingToRollBack,
    OutOfTime,
    RegistryConflict,
    TooLargeForFunction,
    UnknownDataSet,
    UnknownImage,
    UnknownModel,
    UnknownUpload,
    UnknownVersion,
    UnsupportedImage,
    VersionInUse,
    WaitsForEndpoint,
)
from facet.heads.errors import (
    BackboneInUse,
    BackboneMissing,
    ExplanationFailed,
    HeadUnavailable,
    NotABackbone,
    NotAClassifier,
    NotExplainable,
    OtherKind,
    TeachingRunning,
    UnknownTeaching,
)


@dataclass(frozen=True)
class Problem:
    """A type of failure: stable name, HTTP status, title, and the seconds of `Retry-After`."""

    name: str
    status: int
    title: str
    retry_after: int | None = None


NO_ENDPOINT = Problem("no-endpoint", 503, "Endpoint switched off", retry_after=300)
TABLE: dict[type[FacetError], Problem] = {
    BadRequest: Problem("bad-request", 400, "Invalid request"),
    NotAllowed: Problem("not-allowed", 403, "Not allowed"),
    UnknownModel: Problem("unknown-model", 404, "Model not found"),
    UnknownVersion: Problem("unknown-version", 404, "Version not found"),
    UnknownUpload: Problem("unknown-upload", 404, "Upload not found"),
    NoGoldenImage: Problem("no-golden-image", 404, "Golden image not found"),
    UnknownDataSet: Problem("unknown-dataset", 404, "Data set not found"),
    UnknownTeaching: Problem("unknown-teaching", 404, "Never taught"),
    UnknownImage: Problem("unknown-image", 404, "Image not found"),
    NoLiveVersion: Problem("no-live-version", 409, "No live version"),
    NotAClassifier: Problem("not-a-classifier", 409, "Not a classifier"),
    NotExplainable: Problem("not-explainable", 409, "No explanation"),
    NotABackbone: Problem("not-a-backbone", 409, "Not a backbone"),
    OtherKind: Problem("other-kind", 409, "A model of another kind"),
    TeachingRunning: Problem("teaching-running", 409, "Already being taught"),
    BackboneMissing: Problem("backbone-missing", 409, "Backbone not found"),
    NothingToRollBack: Problem("nothing-to-roll-back", 409, "No previous version"),
    VersionInUse: Problem("version-in-use", 409, "The version is in use"),
    BackboneInUse: Problem("backbone-in-use", 409, "Heads depend on the backbone"),
    RegistryConflict: Problem("conflict", 409, "Conflicting change"),
    BodyTooLarge: Problem("body-too-large", 413, "Body too large"),
    UnsupportedImage: Problem("unsupported-image", 415, "Unsupported image format"),
    BrokenImage: Problem("broken-image", 422, "Invalid image"),
    EndpointThrottled: Problem("throttled", 429, "Too many requests", retry_after=1),
    ModelFailed: Problem("model-failed", 502, "The model failed"),
    ExplanationFailed: Problem("explanation-failed", 502, "The explanation failed"),
    TooLargeForFunction: Problem("too-large-for-function", 502, "Model too large"),
    ModelLoading: Problem("model-loading", 503, "The model is loading", retry_after=5),
    OutOfTime: Problem("out-of-time", 503, "Out of time", retry_after=5),
    EndpointUnavailable: Problem("unavailable", 503, "Endpoint unavailable", retry_after=5),
    FunctionUnavailable: Problem(
        "function-unavailable", 503, "Function unavailable", retry_after=5
    ),
    LiteRTMissing: Problem("litert-missing", 503, "LiteRT model not stored", retry_after=60),
    EndpointRemoved: NO_ENDPOINT,
    WaitsForEndpoint: NO_ENDPOINT,
    HeadUnavailable: Problem("head-unavailable", 503, "Head not readable", retry_after=5),
}
PROBLEM_TYPE = "application/problem+json"
NO_ROUTE = Problem("no-route", 404, "Route not found")
MAX_DETAIL = 2000
BUG = Problem("internal-error", 500, "Internal error")
BUG_DETAIL = "Try again. If it happens again, give the request id to the operator of this API."


def problem_of(error: FacetError) -> Problem:
    """Returns the problem of the error's class, or of its nearest base class in the table."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def of_image(error: FacetError) -> dict[str, object]:
    """Returns the member `error` of one image's result."""
    problem = problem_of(error)
    return {
        "type": f"urn:facet:problem:{problem.name}",
        "title": problem.title,
        "status": problem.status,
        "detail": str(error),
    }


def document(problem: Problem, detail: str, request_id: str) -> dict[str, object]:
    """Returns the problem document; `detail` is cut off after `MAX_DETAIL` characters."""
    return {
        "type": f"urn:facet:problem:{problem.name}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail if len(detail) <= MAX_DETAIL else f"{detail[:MAX_DETAIL]}…",
        "request_id": request_id,
    }
