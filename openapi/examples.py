"""An example of each problem in the OpenAPI document."""

from facet import errors
from facet.errors import FacetError, Violation
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
from facet.http.problems import BUG_DETAIL

_VIOLATION = Violation(
    code="no-manifest",
    place="facet.json",
    problem="The artifact has no facet.json.",
    remedy="Make one with `facet pack`, or add one as the first member.",
)
_RETRY = "Try again shortly."
EXAMPLES: dict[str, FacetError] = {
    "bad-request": errors.BadRequest("version must be 12 hex digits, not 'latest'."),
    "not-allowed": errors.NotAllowed("The API key a1b2c3d4e5 may not delete models. …"),
    "unknown-model": errors.UnknownModel("cifra"),
    "unknown-version": errors.UnknownVersion("cifar", "0d1e2f3a4b5c"),
    "unknown-upload": errors.UnknownUpload("inbox/7f1c0b7e-3d0b-4c58-9a55-2f0d6a1b9c3e"),
    "no-golden-image": errors.NoGoldenImage("cifar", "0d1e2f3a4b5c"),
    "unknown-dataset": errors.UnknownDataSet("my-cats"),
    "unknown-teaching": UnknownTeaching("my-cats"),
    "not-a-backbone": NotABackbone("cifar"),
    "other-kind": OtherKind("cifar", "classifier"),
    "teaching-running": TeachingRunning("my-cats"),
    "unknown-image": errors.UnknownImage("my-cats", "tabby/1.jpg"),
    "no-route": FacetError("See GET /models."),
    "no-live-version": errors.NoLiveVersion("cifar", [_VIOLATION]),
    "not-a-classifier": NotAClassifier("mobilenet"),
    "not-explainable": NotExplainable("my-cats", "mobilenet", "0d1e2f3a4b5c"),
    "backbone-missing": BackboneMissing("my-cats", "mobilenet", "0d1e2f3a4b5c"),
    "backbone-in-use": BackboneInUse(
        "mobilenet", None, 12, ["my-cats 0d1e2f3a4b5c", "my-dogs 3f1a9c07be42"]
    ),
    "head-unavailable": HeadUnavailable("my-cats", "0d1e2f3a4b5c"),
    "body-too-large": errors.BodyTooLarge(
        "The body has 6,000,000 bytes; the limit is 4,500,000. "
        "Send a smaller copy of the image, or upload it with POST /uploads."
    ),
    "unsupported-image": errors.UnsupportedImage(
        "Unsupported image format; send JPEG, PNG, WebP, BMP or GIF."
    ),
    "broken-image": errors.BrokenImage("The image is cut short. Send it again."),
    "throttled": errors.EndpointThrottled(f"The endpoint has too many requests. {_RETRY}"),
    "internal-error": FacetError(BUG_DETAIL),
    "model-failed": errors.ModelFailed(""),
    "explanation-failed": ExplanationFailed(""),
    "model-loading": errors.ModelLoading(f"The model is loading. {_RETRY}"),
    "out-of-time": errors.OutOfTime(
        "The request ran out of time before the model was invoked. "
        "Try again with fewer or smaller images."
    ),
    "unavailable": errors.EndpointUnavailable(f"The endpoint cannot be reached. {_RETRY}"),
    "too-large-for-function": errors.TooLargeForFunction(""),
    "function-unavailable": errors.FunctionUnavailable(
        f"The function cannot answer for the model now. {_RETRY}"
    ),
    "litert-missing": errors.LiteRTMissing("cifar", "3f1a9c07be42"),
    "no-endpoint": errors.EndpointRemoved(
        "There is no endpoint at the moment: it was removed for off-hours, or is being created. "
        "Try again later."
    ),
}
"""By problem name; the error's message is the example's `detail`."""
