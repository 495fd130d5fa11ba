"""The errors that Facet raises. They know no HTTP; `facet.http.problems` maps them to statuses.

A message says what happened, to what, and what to do. Predictions answer it to the caller.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from facet.keys import MODEL_NAME, MODEL_NAME_RULE, upload_key


class FacetError(Exception):
    """Base class of Facet's errors.

    `place` is where the model was to run (`facet.registry.models.Place`), if it was asked there.
    """

    place: str | None = None


class BadRequest(FacetError):
    """A parameter or a body that cannot be understood."""


class BodyTooLarge(FacetError):
    """A request body over the limit."""


class UnknownUpload(FacetError):
    """The inbox has no such key, or the image under it has expired."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"There is no upload '{key}'. POST /uploads answers where to upload an image; "
            "it is kept for a day."
        )


class NoGoldenImage(FacetError):
    """The image of a version's golden sample is not stored."""

    def __init__(self, model: str, version: str) -> None:
        super().__init__(
            f"There is no golden image of version {version} of '{model}': it was packed without "
            "one, its image has over 4 MB, or it was registered by a Facet before 0.3."
        )


class UnsupportedImage(FacetError):
    """Bytes in none of the image formats that are supported."""


class BrokenImage(FacetError):
    """An image that is truncated, damaged, or has too many pixels."""


class UnknownModel(FacetError):
    """No model of that name was ever uploaded."""

    def __init__(self, model: str) -> None:
        if MODEL_NAME.fullmatch(model):
            remedy = f"upload an artifact to {upload_key(model)} to make it one"
        else:
            remedy = (
                f"no model can have this name: {MODEL_NAME_RULE}. `facet watch {model}` shows the "
                "result of an upload with it"
            )
        super().__init__(
            f"There is no model '{model}'. GET /models, or `facet models`, lists the models; "
            f"{remedy}."
        )
        self.model = model


class UnknownVersion(FacetError):
    """The model is known, this version of it is not servable."""

    def __init__(self, model: str, version: str) -> None:
        super().__init__(
            f"Model '{model}' has no version '{version}' that is READY. "
            f"GET /models/{model}, or `facet show {model}`, lists its versions."
        )
        self.model, self.version = model, version


@dataclass(frozen=True)
class Violation:
    """One reason why an artifact is rejected.

    `code` never changes its meaning, `place` names the file or field, `problem` says what is wrong
    and `remedy` what to do about it.
    """

    code: str
    place: str
    problem: str
    remedy: str


class NoLiveVersion(FacetError):
    """The model is known, but no version of it is live.

    `violations` are those of its newest upload. `proven` is a READY version that can be promoted;
    `pending` says that an upload is being validated or proven.
    """

    def __init__(
        self,
        model: str,
        violations: Sequence[Violation] = (),
        *,
        proven: str | None = None,
        pending: bool = True,
    ) -> None:
        if proven:
            reason = f"{proven} is READY; make it live with: facet promote {model} {proven}"
        elif violations:
            reason = "its newest upload was rejected; fix the violations and upload it again"
        elif pending:
            reason = "its first upload is still being validated; try again in a moment"
        else:
            reason = f"all of its versions were retired; upload an artifact to {upload_key(model)}"
        super().__init__(f"Model '{model}' has no live version: {reason}.")
        self.violations = tuple(violations)


class WaitsForEndpoint(NoLiveVersion):
    """No version is live, and the newest upload can be proven on the endpoint only, which was away.

    `why` and `remedy` are those of `facet.registry.reasons.endpoint_only`.
    """

    def __init__(self, model: str, version: str, *, why: str, remedy: str) -> None:
        FacetError.__init__(
            self,
            f"Model '{model}' has no live version: its newest upload, version {version}, waits for "
            f"the endpoint, because {why}. It is tried again within two hours after there is an "
            f"endpoint, or at once if you upload it again. To use it without one, {remedy}.",
        )
        self.violations = ()


class UnknownImage(FacetError):
    """The data set has no such image."""

    def __init__(self, dataset: str, path: str) -> None:
        super().__init__(
            f"Data set '{dataset}' has no image '{path}'. GET /datasets/{dataset} lists its "
            "labels, and GET /datasets/<name>/images?label=… the images of one."
        )


class UnknownDataSet(FacetError):
    """The data set has no image in its channel `train`."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Data set '{name}' has no images. Add some with POST /datasets/{name}/images, or "
            f"`facet data DIR --name {name}`."
        )


class NotAllowed(FacetError):
    """A caller may not do what it asks for; the message says who may."""


class NothingToRollBack(FacetError):
    """The model has no previous version that could be live again."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"Model '{model}' has no previous version to go back to. "
            f"`facet show {model}` lists its versions; promote a READY one."
        )


class VersionInUse(FacetError):
    """A version that predictions use cannot be retired."""

    def __init__(self, model: str, version: str) -> None:
        super().__init__(
            f"Version '{version}' of '{model}' answers predictions; promote another one first."
        )


class EndpointThrottled(FacetError):
    """The endpoint, or the function, has as many requests as it can take."""


class ModelLoading(FacetError):
    """The model is being loaded (a cold start) and will not make this request's deadline."""


class OutOfTime(FacetError):
    """API Gateway's time for a request ended before the endpoint could be invoked."""


class EndpointUnavailable(FacetError):
    """The endpoint cannot be reached or cannot take requests at the moment."""


class EndpointRemoved(EndpointUnavailable):
    """There is no endpoint: it was removed for off-hours, or is being created."""


class FunctionUnavailable(EndpointUnavailable):
    """The function that runs LiteRT models cannot take requests, or failed by itself.

    `cause` is what it said. It is for the log.
    """

    def __init__(self, message: str, *, cause: str | None = None) -> None:
        super().__init__(message)
        self.cause = cause


class LiteRTMissing(FunctionUnavailable):
    """The LiteRT model of a version is not stored, or is not the registered one."""

    def __init__(self, model: str, version: str) -> None:
        super().__init__(
            f"The LiteRT model of version {version} of '{model}' is not stored at the moment. The "
            "sweeper has it stored again; it takes up to 25 every 15 minutes."
        )


class ModelFailed(FacetError):
    """The model answered with an error, or with something that is not a prediction.

    `reason` is the container's message. It is for the log and for the uploader's report, never for
    the answer to a prediction.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            "The model failed on this request. The reason is in the log, for the model's owner."
        )
        self.reason = reason


class TooLargeForFunction(ModelFailed):
    """The model needs more memory than the function has."""


class RegistryConflict(FacetError):
    """Another writer changed the registry between a read and the conditional write after it."""
