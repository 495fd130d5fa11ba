"""The bodies of requests and answers, as the OpenAPI document describes them.

The functions do not import this: a cold start is no place to build models that only a document
needs. Tests hold the real answers against them.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from facet.errors import Violation
from facet.keys import IMAGE_TYPES, INBOX_PREFIX, MODEL_NAME, VERSION_ID
from facet.manifest import Finite, Frozen, InputSpec
from facet.registry.models import Canary, Policy, Status
from predict.classifier import Prediction
from predict.http.problems import BUG, NO_ROUTE, TABLE

PROBLEMS = {each.name: each for each in (*TABLE.values(), NO_ROUTE, BUG)}
URN = "urn:facet:problem:"

Name = Annotated[str, Field(pattern=rf"^{MODEL_NAME.pattern}$", examples=["cifar"])]
VersionId = Annotated[str, Field(pattern=rf"^{VERSION_ID.pattern}$", examples=["0d1e2f3a4b5c"])]
Moment = Annotated[str, Field(description="ISO 8601, UTC")]
PIXEL = "R0lGODlhAQABAPAAAP8AAP///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="
"""A GIF with one pixel, in base64."""

Base64 = Annotated[
    str,
    Field(
        description="The image's bytes.",
        json_schema_extra={"contentEncoding": "base64"},
        examples=[PIXEL],
    ),
]


class Answer(BaseModel):
    """Immutable, but open: answers may get more fields, and clients ignore what they do not know.

    A field with the default None may be missing from the answer; every other one is there.
    """

    model_config = ConfigDict(frozen=True)


class Health(Answer):
    """The API is up; says nothing about any model."""

    status: Literal["ok"]


class OneImage(Frozen):
    """One image in JSON."""

    image: Base64


class ManyImages(Frozen):
    """Images that the model gets as one batch."""

    images: list[Base64] = Field(min_length=1)


class UploadedImage(Frozen):
    """An image that lies in the bucket already."""

    s3: str = Field(pattern=f"^{INBOX_PREFIX}", description="As `POST /uploads` answered.")


class UploadRequest(Frozen):
    """What will be uploaded."""

    content_type: str = Field(default=IMAGE_TYPES[0], json_schema_extra={"enum": list(IMAGE_TYPES)})


class Upload(Answer):
    """A place for one image: a form's `url` and `fields`; the file is its last field, `file`."""

    s3: str = Field(description="What the prediction's body names then.")
    url: str
    fields: dict[str, str]
    content_type: str
    max_bytes: int
    expires_in: int = Field(description="Seconds.")


class Predictions(Answer):
    """One image's labels, the best first."""

    model: Name
    version: VersionId
    predictions: list[Prediction]


class Result(Answer):
    """The labels of one image of many, the best first."""

    predictions: list[Prediction]


class Results(Answer):
    """Many images' labels, in the order sent."""

    model: Name
    version: VersionId
    results: list[Result]


class _Alias(Answer):
    live: VersionId | None = Field(description="What answers predictions.")
    previous: VersionId | None = Field(description="What a rollback goes back to.")
    policy: Policy
    canary: Canary | None = Field(description="A new version that is being tried out.")
    rolled_back: VersionId | None = Field(description="The last candidate taken back.")
    updated_at: Moment


class ListedModel(_Alias):
    """A model in the list of models."""

    name: Name


class ModelList(Answer):
    """One page of models, by name."""

    models: list[ListedModel]
    next: Name | None = Field(description="The `after` of the next page; null on the last one.")


class VersionSummary(Answer):
    """One version of a model."""

    version: VersionId
    status: Status
    size: int = Field(description="Bytes of the artifact.")
    uploaded_at: Moment
    updated_at: Moment
    proof: Literal["golden", "smoke"] | None = Field(
        description="How the endpoint proved it: by its golden sample, or a neutral image."
    )
    metrics: dict[str, Finite] = Field(description="As its manifest has them.")
    violations: list[Violation] = Field(description="Why it was refused.")


class ModelDescription(_Alias):
    """A model, and all its versions. Without a live one there are no labels."""

    model: Name
    description: str | None
    labels: list[str] | None = Field(description="Of the live version, in the model's order.")
    input: InputSpec | None
    versions: list[VersionSummary] = Field(description="The newest first.")


class InferenceServer(Answer):
    """A server of the Open Inference Protocol."""

    name: str
    version: str
    extensions: list[str]


class InferenceLive(Answer):
    """The server runs."""

    live: Literal[True]


class InferenceReady(Answer):
    """The server takes requests."""

    ready: Literal[True]


class InferenceModelReady(Answer):
    """The model, or the version, can be asked."""

    name: Name
    ready: Literal[True]


class InferenceTensor(Answer):
    """An input or output; -1 is as many as there are images."""

    name: str
    datatype: Literal["BYTES", "FP32"]
    shape: list[int]


class InferenceModel(Answer):
    """What a model takes and gives."""

    name: Name
    versions: list[VersionId]
    platform: str
    inputs: list[InferenceTensor]
    outputs: list[InferenceTensor]


class InferenceOutput(InferenceTensor):
    """An output with its elements, flat."""

    data: list[float] | list[str]


class InferenceAnswer(Answer):
    """What a model says, in JSON alone."""

    model_name: Name
    model_version: VersionId
    id: str | SkipJsonSchema[None] = Field(default=None, description="As in the request.")
    outputs: list[InferenceOutput]


class Problem(Answer):
    """A problem document (RFC 9457). `detail` says what to do."""

    type: str = Field(json_schema_extra={"enum": [URN + name for name in sorted(PROBLEMS)]})
    title: str
    status: int
    detail: str
    request_id: str = Field(description="The logs have it, too.")
    error: str | SkipJsonSchema[None] = Field(
        default=None, description="Below /v2: the detail again, for clients of that protocol."
    )
    violations: list[Violation] | SkipJsonSchema[None] = Field(
        default=None, description="With no-live-version: why the newest upload was refused."
    )


class Refusal(Answer):
    """What API Gateway says by itself, where a request does not reach Facet."""

    message: str
