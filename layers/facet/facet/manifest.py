"""The manifest `facet.json` of an artifact: its schema. docs/manifest.md explains the fields.

A classifier's has labels, a backbone's a vector of features in their place, and a head's labels
and the backbone on whose features they were taught; `parse` reads each of them.
"""

from collections import Counter
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)

from facet.keys import MODEL_NAME, VERSION_ID
from facet.specs import (
    MAX_FEATURES,
    FeatureSpec,
    Finite,
    Frozen,
    GoldenFeatures,
    GoldenSample,
    InputSpec,
    Label,
    OutputSpec,
)

MAX_TAUGHT = 1000
"""Labels of a head."""

KINDS = ("classifier", "backbone", "head")


def _distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    twice = [label for label, count in Counter(labels).items() if count > 1]
    if twice:
        raise ValueError(f"labels must differ; more than once: {', '.join(twice[:5])}")
    return labels


Labels = Annotated[tuple[Label, ...], AfterValidator(_distinct)]


def _of_labels(golden: GoldenSample, info: ValidationInfo) -> GoldenSample:
    if golden.label not in info.data.get("labels", [golden.label]):
        raise ValueError(f"label {golden.label!r} is not one of the labels")
    return golden


class _Document(Frozen):
    """A manifest of any kind."""

    def to_json(self) -> str:
        """The manifest as it stands in `facet.json`."""
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=2)


class Manifest(_Document):
    """A classifier's `facet.json`, schema 1. Its kind is the default, and never written."""

    schema_: Literal[1] = Field(alias="schema")
    kind: Literal["classifier"] = Field(default="classifier", exclude=True)
    model: str | None = Field(default=None, pattern=rf"^{MODEL_NAME.pattern}$")
    description: str = Field(default="", max_length=2000)
    labels: Labels = Field(min_length=1, max_length=100_000)
    input: InputSpec
    output: OutputSpec
    golden: GoldenSample | None = None
    metrics: dict[str, Finite] = Field(default_factory=dict)
    provenance: dict[str, str] = Field(default_factory=dict)

    @field_validator("kind", mode="before")
    @classmethod
    def _kind_is_known(cls, kind: object) -> object:
        if kind != "classifier":
            raise ValueError(f"there are the kinds {', '.join(KINDS)}")
        return kind

    @field_validator("output")
    @classmethod
    def _binary_has_two_labels(cls, output: OutputSpec, info: ValidationInfo) -> OutputSpec:
        labels = len(info.data.get("labels", "ab"))
        if output.binary and labels != 2:
            raise ValueError(f"binary needs two labels, there are {labels}")
        return output

    @field_validator("golden")
    @classmethod
    def _golden_label_is_one(
        cls, golden: GoldenSample | None, info: ValidationInfo
    ) -> GoldenSample | None:
        return _of_labels(golden, info) if golden else None

    @property
    def width(self) -> int:
        """How many scores the model gives for one image."""
        return 1 if self.output.binary else len(self.labels)


class BackboneManifest(_Document):
    """A backbone's `facet.json`, schema 1."""

    schema_: Literal[1] = Field(alias="schema")
    kind: Literal["backbone"]
    model: str | None = Field(default=None, pattern=rf"^{MODEL_NAME.pattern}$")
    description: str = Field(default="", max_length=2000)
    input: InputSpec
    output: FeatureSpec
    golden: GoldenFeatures
    metrics: dict[str, Finite] = Field(default_factory=dict)
    provenance: dict[str, str] = Field(default_factory=dict)

    @field_validator("golden")
    @classmethod
    def _golden_has_that_width(cls, golden: GoldenFeatures, info: ValidationInfo) -> GoldenFeatures:
        output = info.data.get("output")
        if output and len(golden.features) != output.width:
            raise ValueError(
                f"it has {len(golden.features)} features, output.width is {output.width}"
            )
        return golden

    @property
    def width(self) -> int:
        """How many features the backbone gives for one image."""
        return self.output.width


class BackboneRef(Frozen):
    """The version of a backbone on whose `width` features a head was taught."""

    model: str = Field(pattern=rf"^{MODEL_NAME.pattern}$")
    version: str = Field(pattern=rf"^{VERSION_ID.pattern}$")
    width: int = Field(ge=1, le=MAX_FEATURES)


class HeadManifest(_Document):
    """A head's `facet.json`, schema 1. Its `input` is that of its backbone."""

    schema_: Literal[1] = Field(alias="schema")
    kind: Literal["head"]
    model: str | None = Field(default=None, pattern=rf"^{MODEL_NAME.pattern}$")
    description: str = Field(default="", max_length=2000)
    labels: Labels = Field(min_length=2, max_length=MAX_TAUGHT)
    input: InputSpec
    backbone: BackboneRef
    golden: GoldenSample
    metrics: dict[str, Finite] = Field(default_factory=dict)
    provenance: dict[str, str] = Field(default_factory=dict)

    @field_validator("golden")
    @classmethod
    def _golden_label_is_one(cls, golden: GoldenSample, info: ValidationInfo) -> GoldenSample:
        return _of_labels(golden, info)

    @property
    def width(self) -> int:
        """How many scores it gives for one image."""
        return len(self.labels)


AnyManifest = Manifest | BackboneManifest | HeadManifest

LabelledManifest = Manifest | HeadManifest
"""That of a model which answers images with scores of labels."""

NetworkManifest = Manifest | BackboneManifest
"""That of an artifact with a network, which runs in a place by itself."""


def kind_of(document: object) -> str:
    """The kind of a manifest or its document; `classifier` if it states none that is known."""
    kind = document.get("kind") if isinstance(document, dict) else getattr(document, "kind", None)
    return kind if kind in KINDS else "classifier"


_ANY: TypeAdapter[AnyManifest] = TypeAdapter(
    Annotated[
        Annotated[Manifest, Tag("classifier")]
        | Annotated[BackboneManifest, Tag("backbone")]
        | Annotated[HeadManifest, Tag("head")],
        Discriminator(kind_of),
    ]
)


def parse(content: str | bytes) -> AnyManifest:
    """Reads a manifest of any kind. Raises ValidationError, whose locations begin with the kind."""
    return _ANY.validate_json(content)
