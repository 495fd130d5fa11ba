"""The routes of teaching."""

from typing import Any

from pydantic import Field

from facet.errors import Violation
from facet.registry.teachings import State
from openapi.models import Name, ResponseModel, Timestamp, VersionId
from openapi.operations import JSON, Operation
from teach.requests import TeachRequest


class BackboneVersion(ResponseModel):
    """A version of a backbone."""

    model: Name
    version: VersionId


class CalibrationError(ResponseModel):
    """How far scores are from the accuracy, on average: before and after the temperature."""

    before: float
    after: float


class TaughtLabel(ResponseModel):
    """A label, and how many of its images are answered rightly when each is left out."""

    label: str
    images: int
    correct: int


class Confusion(ResponseModel):
    """Images of a label that are answered as another one."""

    label: str
    as_: str = Field(alias="as")
    images: int


class Mistake(ResponseModel):
    """An image that is answered wrongly when it is left out."""

    label: str
    name: str
    answered: str
    score: float


class SkippedImage(ResponseModel):
    """An image that was left out, because it cannot be read."""

    image: str = Field(description="`<label>/<name>`")
    problem: str


class TeachingReport(ResponseModel):
    """How good the head is, by answers to each image from a head that was taught without it.

    Without a head, it has what was left out only.
    """

    images: int | None = Field(default=None, description="The images that were taught.")
    accuracy: float | None = None
    accuracy_low: float | None = Field(default=None, description="Of a 95 % interval (Wilson).")
    accuracy_high: float | None = None
    calibration_error: CalibrationError | None = None
    temperature: float | None = None
    labels: list[TaughtLabel] | None = None
    confused: list[Confusion] | None = Field(default=None, description="Up to 100 pairs.")
    more_images: list[str] | None = Field(default=None, description="Labels that need images.")
    mistakes: list[Mistake] | None = Field(default=None, description="Up to 100.")
    skipped: list[SkippedImage] = Field(description="Up to 100.")
    skipped_images: int = Field(description="How many there are.")
    duplicates: list[list[str]] = Field(
        description="Up to 100 pairs of equal images of one label; the second is left out."
    )
    duplicate_images: int = Field(description="How many pairs there are.")


class TeachingStatus(ResponseModel):
    """A teaching: how far it is, or how it ended."""

    model: Name
    teaching: str = Field(description="The id of this teaching.")
    status: State = Field(
        description="`PUBLISHED`: a version was uploaded, which onboarding makes READY. "
        "`NOT_PUBLISHED`: `problems` say what to change. `FAILED`: teach again."
    )
    step: str = Field(
        json_schema_extra={"enum": ["reading", "features", "fitting", "publishing", "done"]}
    )
    done: int = Field(description="The images that have their features.")
    total: int = Field(description="The images of the data set.")
    dataset: Name
    backbone: BackboneVersion
    min_accuracy: float
    started_at: Timestamp
    updated_at: Timestamp
    version: VersionId | None = Field(description="The version that was published.")
    problems: list[Violation]
    report: TeachingReport | None


_MODEL: dict[str, Any] = {"tag": "teaching", "parameters": ("model",)}

TEACHING_OPERATIONS = (
    Operation(
        "POST",
        "/models/{model}/teach",
        "teach",
        summary="Teach a model",
        description="Teaches a model with the images of a data set, as a head on a backbone, in "
        "the background. `GET` on this path shows how far it is. The new version is published "
        "as any upload is, if its leave-one-out accuracy reaches `min_accuracy`; until then, and "
        "otherwise, the live version stays.\n\nUp to 5,000 images and 1,000 labels.",
        success="The teaching has begun.",
        response={JSON: TeachingStatus},
        status=202,
        request={JSON: TeachRequest},
        request_required=False,
        problems=(
            "bad-request",
            "unknown-model",
            "unknown-version",
            "unknown-dataset",
            "no-live-version",
            "not-a-backbone",
            "other-kind",
            "teaching-running",
            "body-too-large",
            "internal-error",
        ),
        **_MODEL,
    ),
    Operation(
        "GET",
        "/models/{model}/teach",
        "showTeaching",
        summary="Retrieve a teaching",
        description="Returns how far the teaching of a model is, or how the last one ended, with "
        "its report.",
        success="Returns the teaching.",
        response={JSON: TeachingStatus},
        problems=("unknown-model", "unknown-teaching", "internal-error"),
        **_MODEL,
    ),
)
