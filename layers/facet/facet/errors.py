"""Everything that can go wrong on purpose. Errors know no HTTP; `predict.app` maps them."""

from collections.abc import Sequence
from dataclasses import dataclass

from facet.keys import upload_key


class FacetError(Exception):
    """Base of all errors that Facet raises; the message says what to do."""


class BadRequest(FacetError):
    """A parameter or a body that cannot be understood."""


class BodyTooLarge(FacetError):
    """A request body over the limit."""


class UnknownUpload(FacetError):
    """Nothing lies under this key of the inbox, or not any more."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"There is no upload '{key}'. POST /uploads says where to send an image; "
            "it is kept for a day."
        )


class UnsupportedImage(FacetError):
    """Bytes that are no image of a type we take."""


class BrokenImage(FacetError):
    """An image that is truncated, damaged, or has too many pixels."""


class UnknownModel(FacetError):
    """No model of that name was ever uploaded."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"There is no model '{model}'. GET /models, or `facet models`, lists the models; "
            f"upload an artifact to {upload_key(model)} to make it one."
        )


class UnknownVersion(FacetError):
    """The model is known, this version of it is not servable."""

    def __init__(self, model: str, version: str) -> None:
        super().__init__(
            f"Model '{model}' has no version '{version}' that is READY. "
            f"GET /models/{model}, or `facet show {model}`, lists its versions."
        )


@dataclass(frozen=True)
class Violation:
    """One reason why an artifact is refused.

    `code` is stable, `place` names the file or field, `problem` says what is wrong and `remedy`
    what to do about it.
    """

    code: str
    place: str
    problem: str
    remedy: str


class NoLiveVersion(FacetError):
    """The model is known, but no version of it is live.

    `proven` is a version that could be, and waits for somebody to promote it; `pending` says that
    an upload is being checked.
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
            reason = f"{proven} is proven and waits: facet promote {model} {proven}"
        elif violations:
            reason = "its newest upload was rejected; mend the violations and upload it again"
        elif pending:
            reason = "its first upload is still being checked; try again in a moment"
        else:
            reason = f"all of its versions were retired; upload an artifact to {upload_key(model)}"
        super().__init__(f"Model '{model}' has no live version: {reason}.")
        self.violations = tuple(violations)


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
    """The endpoint refuses more traffic for now."""


class ModelLoading(FacetError):
    """The model is being loaded (a cold start) and will not make this request's deadline."""


class OutOfTime(FacetError):
    """The time that API Gateway gives a request went by before the endpoint could be asked."""


class EndpointUnavailable(FacetError):
    """The endpoint cannot be reached or cannot take requests at the moment."""


class EndpointRemoved(EndpointUnavailable):
    """There is no endpoint: it is away out of hours, or being made."""


class ModelFailed(FacetError):
    """The model answered with an error, or with something that is no prediction.

    `reason` has the container's own words. They are for the log and for the uploader's report,
    never for the answer of a prediction.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("The model could not answer; its owner finds the reason in the log.")
        self.reason = reason


class RegistryConflict(FacetError):
    """A conditional write found the registry in another state than it was read in."""
