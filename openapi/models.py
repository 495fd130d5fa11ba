"""Models of request and response bodies; the OpenAPI document's schemas are made of them.

The functions do not import this module, because building models that only the document needs would
slow down a cold start. Tests check the API's real responses against these models.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from facet.errors import Violation
from facet.http.problems import BUG, NO_ROUTE, TABLE
from facet.keys import IMAGE_TYPES, INBOX_PREFIX, MODEL_NAME, VERSION_ID
from facet.manifest import BackboneRef
from facet.registry.models import Canary, Place, Policy, RunIn, Status
from facet.specs import Finite, Frozen, InputSpec
from predict.classification.predictions import Prediction

PROBLEMS = {each.name: each for each in (*TABLE.values(), NO_ROUTE, BUG)}
URN = "urn:facet:problem:"

Name = Annotated[str, Field(pattern=rf"^{MODEL_NAME.pattern}$", examples=["cifar"])]
VersionId = Annotated[str, Field(pattern=rf"^{VERSION_ID.pattern}$", examples=["0d1e2f3a4b5c"])]
Timestamp = Annotated[str, Field(description="ISO 8601 in UTC.")]
PIXEL = "R0lGODlhAQABAPAAAP8AAP///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="
"""A GIF of one pixel, in base64."""

Base64 = Annotated[
    str,
    Field(
        description="The image file's bytes in base64.",
        json_schema_extra={"contentEncoding": "base64"},
        examples=[PIXEL],
    ),
]


class ResponseModel(BaseModel):
    """Immutable, but open: responses may get more fields, and clients ignore unknown ones.

    A field with the default None may be missing from a response; every other field is present.
    """

    model_config = ConfigDict(frozen=True)


class Health(ResponseModel):
    """The status of the API itself. It does not cover the models."""

    status: Literal["ok"]


class OneImage(Frozen):
    """A single image."""

    image: Base64


class ManyImages(Frozen):
    """Several images, which the model classifies as one batch."""

    images: list[Base64] = Field(min_length=1)


class UploadedImage(Frozen):
    """An image that was uploaded with `POST /uploads`."""

    s3: str = Field(pattern=f"^{INBOX_PREFIX}", description="The `s3` of the upload.")


class UploadRequest(Frozen):
    """The content type of the image to upload."""

    content_type: str = Field(default=IMAGE_TYPES[0], json_schema_extra={"enum": list(IMAGE_TYPES)})


class Upload(ResponseModel):
    """A presigned form. Send `fields` to `url`, followed by the image as the last field, `file`."""

    s3: str = Field(description="The key of the upload, to use as `s3` in the prediction's body.")
    url: str = Field(description="The URL to send the form to, with POST.")
    fields: dict[str, str] = Field(description="The form's fields; send all of them.")
    content_type: str = Field(description="The content type that S3 accepts.")
    max_bytes: int = Field(description="The largest file that S3 accepts, in bytes.")
    expires_in: int = Field(description="How long the form is valid, in seconds.")


class Explanation(ResponseModel):
    """What in the image speaks for a label."""

    label: str = Field(description="The first of `predictions`.")
    heatmap: str = Field(
        description="A PNG in grey (8 bits), in base64: the shape of the image, upright, with 64 "
        "pixels on its longest side. 0 where nothing speaks for the label and where the model does "
        "not look, 255 where most does.",
        json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/png"},
    )


class _Familiar(ResponseModel):
    familiarity: float | SkipJsonSchema[None] = Field(
        default=None,
        ge=0,
        le=1,
        description="How much the image is like those the model was taught with: about the part of "
        "them that are as unusual. Present for a model of the kind `head` only.",
    )
    unsure: Literal[True] | SkipJsonSchema[None] = Field(
        default=None,
        description="The image is unlike those the model was taught with, and its labels may mean "
        "nothing. Present if `familiarity` is below 0.05.",
    )
    explanation: Explanation | SkipJsonSchema[None] = Field(
        default=None, description="Present if the request has `explain=true`."
    )


class Predictions(_Familiar):
    """The predictions for one image."""

    model: Name
    version: VersionId
    predictions: list[Prediction] = Field(description="Ordered by score, the highest first.")


class ImageProblem(ResponseModel):
    """Why an image of a batch has no predictions: members of a problem document."""

    type: str = Field(
        json_schema_extra={"enum": [URN + name for name in sorted(PROBLEMS)]},
        description="A stable identifier of the type of problem.",
    )
    title: str = Field(description="A short summary of the type of problem.")
    status: int = Field(description="The status that a request with this image alone would get.")
    detail: str = Field(description="What happened, and what to do about it.")


class Result(_Familiar):
    """The predictions for one image of a batch, or its error."""

    predictions: list[Prediction] = Field(
        description="Ordered by score, the highest first. Empty if there is an error."
    )
    error: ImageProblem | SkipJsonSchema[None] = Field(
        default=None, description="Why the image has no predictions. The others are answered."
    )


class Results(ResponseModel):
    """The predictions for a batch of images."""

    model: Name
    version: VersionId
    results: list[Result] = Field(description="One result for each image, in the order sent.")


class _ReleaseState(ResponseModel):
    kind: Literal["classifier", "backbone", "head"] = Field(
        description="A classifier predicts labels, and so does a head, from features of its "
        "backbone; a backbone computes features, and predicts no labels."
    )
    live: VersionId | None = Field(description="The version that answers predictions.")
    previous: VersionId | None = Field(description="The version that a rollback makes live.")
    policy: Policy
    run_in: RunIn | None = Field(
        description="Where the model's versions are to run; null: where the stack says (the "
        "parameter `RunIn`)."
    )
    canary: Canary | None = Field(description="The canary in progress, or null.")
    rolled_back: VersionId | None = Field(description="The candidate rolled back most recently.")
    updated_at: Timestamp


class ListedModel(_ReleaseState):
    """A model in a list of models."""

    name: Name


class ModelList(ResponseModel):
    """A page of models, ordered by name."""

    models: list[ListedModel]
    next: Name | None = Field(
        description="The value of `after` for the next page, or null on the last page."
    )


class VersionSummary(ResponseModel):
    """A version of a model."""

    version: VersionId
    status: Status
    size: int = Field(description="The size of the artifact in bytes.")
    uploaded_at: Timestamp
    updated_at: Timestamp
    postponed_at: Timestamp | None = Field(
        description="When onboarding found no endpoint, on which alone the version can be proven: "
        "it is PENDING, and its upload waits. `not_proven` says why it is not proven in the "
        "function. Null for others."
    )
    proof: Literal["golden", "smoke"] | None = Field(
        description="How the version was tested: `golden` with the golden sample of its manifest, "
        "`smoke` with a neutral image, null if it was not tested."
    )
    proven_in: dict[Place, Timestamp] = Field(
        description="The places where the version may answer, with the time of its proof there."
    )
    not_proven: dict[Place, list[Violation]] = Field(
        description="The places where its proof failed, and why. It does not answer there."
    )
    runs_in: list[Place] = Field(
        description="The places that are asked for the version, in this order: the next one if a "
        "place is away. Empty if it is not READY."
    )
    function_seconds: float | None = Field(
        description="How long the function, with the model loaded, took for one image in the proof."
    )
    litert_size: int | None = Field(
        description="The size of the LiteRT model in bytes, 0 if the artifact has none, null if it "
        "is not known. Only LiteRT models run in the function."
    )
    max_batch_size: int | None = Field(
        description="1 for a model that can only answer single images, which Facet then sends one "
        "by one; null for any other."
    )
    metrics: dict[str, Finite] = Field(description="The metrics in the version's manifest.")
    violations: list[Violation] = Field(description="The reasons why the upload was rejected.")


class ModelDescription(_ReleaseState):
    """A model with a page of its versions."""

    model: Name
    description: str | None
    labels: list[str] | None = Field(
        description="The labels of the live version, in the order of its scores, or null without "
        "a live version and for a backbone."
    )
    features: int | None = Field(
        description="How many features the live version of a backbone computes; null for others."
    )
    backbone: BackboneRef | None = Field(
        description="The version of a backbone on which a head was taught; null for others."
    )
    explains: bool = Field(
        description="Whether the live version answers `explain=true`: that of a head whose "
        "backbone has maps."
    )
    input: InputSpec | None = Field(description="The input of the live version.")
    versions: list[VersionSummary] = Field(description="Ordered by upload, the newest first.")
    next_token: VersionId | None = Field(
        description="The value of `next_token` for the next page, or null on the last page."
    )


class Deleted(ResponseModel):
    """What was deleted with a model."""

    model: str
    versions: list[VersionId] = Field(description="The versions of any status.")
    uploads: int = Field(description="The uploads that had no result yet.")
    heads: int = Field(
        description="READY versions of heads that depend on the model, which is a backbone then. "
        "With any, a dry run says so, and a deletion answers `backbone-in-use`."
    )
    deleted: bool = Field(description="False for a dry run.")


class InferenceServer(ResponseModel):
    """The metadata of the inference server."""

    name: str
    version: str
    extensions: list[str] = Field(description="The supported extensions of the protocol.")


class InferenceLive(ResponseModel):
    """The liveness of the inference server."""

    live: Literal[True]


class InferenceReady(ResponseModel):
    """The readiness of the inference server."""

    ready: Literal[True]


class InferenceModelReady(ResponseModel):
    """The readiness of a model or version."""

    name: Name
    ready: Literal[True]


class InferenceTensor(ResponseModel):
    """The metadata of an input or output tensor."""

    name: str
    datatype: Literal["BYTES", "FP32"]
    shape: list[int] = Field(description="-1 stands for the number of images.")


class InferenceModel(ResponseModel):
    """The metadata of a model."""

    name: Name
    versions: list[VersionId] = Field(description="The READY versions.")
    platform: str
    inputs: list[InferenceTensor]
    outputs: list[InferenceTensor]


class InferenceOutput(InferenceTensor):
    """An output tensor with its data."""

    data: list[float] | list[str] = Field(description="The elements in row-major order.")


class InferenceResponse(ResponseModel):
    """An inference response whose tensors are all in the JSON."""

    model_name: Name
    model_version: VersionId
    id: str | SkipJsonSchema[None] = Field(default=None, description="The `id` of the request.")
    outputs: list[InferenceOutput]


class Problem(ResponseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(
        json_schema_extra={"enum": [URN + name for name in sorted(PROBLEMS)]},
        description="A stable identifier of the type of problem.",
    )
    title: str = Field(description="A short summary of the type of problem.")
    status: int = Field(description="The HTTP status code.")
    detail: str = Field(description="What happened, and what to do about it.")
    request_id: str = Field(description="The request's id, which also appears in the logs.")
    error: str | SkipJsonSchema[None] = Field(
        default=None, description="The same text as `detail`. Present under `/v2` only."
    )
    violations: list[Violation] | SkipJsonSchema[None] = Field(
        default=None,
        description="The reasons why the newest upload was rejected. Present with "
        "`no-live-version` only.",
    )


class GatewayError(ResponseModel):
    """An error from API Gateway, for a request that did not reach Facet."""

    message: str
