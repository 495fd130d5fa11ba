"""The manifest `facet.json` of an artifact: its schema. docs/manifest.md explains the fields.

A classifier's has labels, a backbone's a vector of features in their place, and a head's labels
and the backbone on whose features they were taught; `parse` reads each of them.
"""

from collections import Counter
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)

from facet.keys import MODEL_NAME, VERSION_ID

MAX_LABEL = 200
"""Characters of a label."""

Label = Annotated[str, Field(min_length=1, max_length=MAX_LABEL)]
Side = Annotated[int, Field(ge=1, le=4096)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Byte = Annotated[int, Field(ge=0, le=255)]

PillowFilter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
OtherFilter = Literal[
    "tf-nearest",
    "tf-bilinear",
    "tf-bilinear-antialias",
    "tf-bicubic",
    "tf-bicubic-antialias",
    "tf-area",
    "cv2-linear",
    "cv2-area",
]
Resize = Literal[PillowFilter, OtherFilter]
"""How images are resized: with a filter of Pillow, by `tf.image.resize` or by `cv2.resize`."""

Fit = Literal["stretch", "crop", "pad"]
AVERAGING = ("box", "bilinear", "hamming", "bicubic", "lanczos")
"""The filters that may get a JPEG that was decoded at a reduced size."""

IMAGE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"

TOLERANCE = 0.02
"""How far a score may be from another answer to the same image, unless a golden sample says."""


MAX_FEATURES = 8192
"""Features of one image: as JSON those of the golden image take about 80 kB of the manifest."""

MAX_MAP_SIDE = 64
"""Rows and columns of a backbone's maps."""

MAX_MAP_VALUES = 400_000
"""Values of the maps of one image: as JSON they must fit into an answer of 6 MB."""

MAX_TAUGHT = 1000
"""Labels of a head."""

FEATURE_TOLERANCE = 0.02
"""How far features may be from the recorded ones, as a part of the length of that vector.

docs/manifest.md#golden-of-a-backbone has what kernels, float16 weights and wrong filters change.
"""

KINDS = ("classifier", "backbone", "head")


class Frozen(BaseModel):
    """Immutable, and without unknown keys: those are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    twice = [label for label, count in Counter(labels).items() if count > 1]
    if twice:
        raise ValueError(f"labels must differ; more than once: {', '.join(twice[:5])}")
    return labels


Labels = Annotated[tuple[Label, ...], AfterValidator(_distinct)]


class InputSpec(Frozen):
    """How an image becomes the model's input tensor.

    Geometry first: the image is decoded to RGB (or to grey where `channels` is 1), brought to
    `height` x `width` by `fit` with the `resize` filter, and inverted (255 - pixel) where `invert`
    says so. With `resize_to` it is first resized to that side (the shortest edge for `crop`, both
    sides for `stretch`), and `height` x `width` is cut out of its middle. `pad` pads with `fill`, a
    colour in RGB, or black. `decode: reduced` permits to decode a large JPEG at a part of its size.

    Then each value becomes `(pixel * scale - mean) / std`, with channels in `order`; `mean` and
    `std` have one entry per channel in that order. `per_image_standardization` follows, as in
    `tf.image`.

    `encoding` says where that arithmetic runs. `float`: before the model, which takes float32 as
    JSON lists. `uint8`: inside the model's graph, which takes the raw RGB bytes of the image
    as one base64 string; `scale`, `mean`, `std`, `order` and `per_image_standardization` then say
    what the graph does. `jpeg`: inside the graph, which takes a JPEG or PNG file and decodes it.

    `layout` `hwc` is a height x width x channels tensor, `flat` the same values in one row.
    """

    signature: str = Field(default="serving_default", min_length=1, max_length=200)
    tensor: str = Field(min_length=1, max_length=200)
    encoding: Literal["float", "uint8", "jpeg"] = "float"
    height: Side
    width: Side
    channels: Literal[1, 3] = 3
    layout: Literal["hwc", "flat"] = "hwc"
    decode: Literal["whole", "reduced"] = "whole"
    resize: Resize = "bilinear"
    fit: Fit = "stretch"
    resize_to: Side | None = None
    fill: tuple[Byte, ...] = ()
    invert: bool = False
    scale: Finite = 1.0
    mean: tuple[Finite, ...] = ()
    std: tuple[Finite, ...] = ()
    order: Literal["RGB", "BGR"] = "RGB"
    per_image_standardization: bool = False

    @field_validator("mean", "std", "fill")
    @classmethod
    def _one_value_per_channel(
        cls, values: tuple[float, ...], info: ValidationInfo
    ) -> tuple[float, ...]:
        channels = info.data.get("channels", len(values))
        if len(values) not in (0, channels):
            raise ValueError(f"{info.field_name} needs {channels} values, it has {len(values)}")
        return values

    @field_validator("std")
    @classmethod
    def _above_zero(cls, std: tuple[float, ...]) -> tuple[float, ...]:
        if any(value <= 0 for value in std):
            raise ValueError("std must be above 0")
        return std

    @field_validator("fill")
    @classmethod
    def _fill_is_for_pad(cls, fill: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if fill and info.data.get("fit", "pad") != "pad":
            raise ValueError("fill is the colour of fit 'pad'; remove it, or choose that fit")
        return fill

    @field_validator("resize_to")
    @classmethod
    def _room_for_the_crop(cls, side: int | None, info: ValidationInfo) -> int | None:
        least = max(info.data.get("height", 0), info.data.get("width", 0))
        if side and info.data.get("fit") == "pad":
            raise ValueError("resize_to is for fit 'crop' or 'stretch'")
        if side and side < least:
            raise ValueError(f"resize_to is the side before the crop, at least {least}")
        return side

    @field_validator("resize")
    @classmethod
    def _averages_what_was_reduced(cls, resize: str, info: ValidationInfo) -> str:
        if info.data.get("decode") == "reduced" and resize not in AVERAGING:
            raise ValueError(
                f"decode 'reduced' needs a filter that averages: {', '.join(AVERAGING)}"
            )
        return resize

    @property
    def size(self) -> int:
        """How many values the tensor of one image holds."""
        return self.height * self.width * self.channels


class OutputSpec(Frozen):
    """What the model answers: one row of scores per image, one score per label.

    `activation` says what the numbers are: `softmax` probabilities that add up to 1, `logits`
    (Facet applies the softmax), or `sigmoid` probabilities that stand each for itself.

    `binary`: there are two labels and one score p for each image, of the second label; the first
    one gets 1 - p. With `logits` Facet applies the sigmoid.
    """

    tensor: str = Field(min_length=1, max_length=200)
    activation: Literal["softmax", "logits", "sigmoid"] = "softmax"
    binary: bool = False

    @field_validator("binary")
    @classmethod
    def _one_score_has_no_softmax(cls, binary: bool, info: ValidationInfo) -> bool:
        if binary and info.data.get("activation") == "softmax":
            raise ValueError("binary needs the activation sigmoid or logits")
        return binary


class GoldenSample(Frozen):
    """An image inside the artifact and the answer that the trainer recorded for it.

    `image` is the image's member name; the endpoint must answer `label` first, with a score
    within `tolerance` of `score`.
    """

    image: str = Field(pattern=IMAGE_NAME)
    label: Label
    score: float = Field(ge=0, le=1)
    tolerance: float = Field(default=TOLERANCE, gt=0, le=1)


def _of_labels(golden: GoldenSample, info: ValidationInfo) -> GoldenSample:
    if golden.label not in info.data.get("labels", [golden.label]):
        raise ValueError(f"label {golden.label!r} is not one of the labels")
    return golden


class MapSpec(Frozen):
    """The maps of a backbone, whose averages are its features: what a heat map is made of.

    `signature` takes the same input and answers one row for each image: `height` x `width` x
    channels values in C order. Their averages over the cells of a grid of `rows` x `columns`,
    cells x channels in C order, are the features.
    """

    signature: str = Field(default="maps", min_length=1, max_length=200)
    tensor: str = Field(min_length=1, max_length=200)
    height: int = Field(ge=1, le=MAX_MAP_SIDE)
    width: int = Field(ge=1, le=MAX_MAP_SIDE)
    rows: int = Field(default=1, ge=1)
    columns: int = Field(default=1, ge=1)

    @field_validator("rows", "columns")
    @classmethod
    def _cells_are_equal(cls, count: int, info: ValidationInfo) -> int:
        side = info.data.get("height" if info.field_name == "rows" else "width", count)
        if side % count:
            raise ValueError(f"a side of {side} has no {count} equal parts")
        return count


class FeatureSpec(Frozen):
    """What a backbone answers: one row of `width` features for each image."""

    tensor: str = Field(min_length=1, max_length=200)
    width: int = Field(ge=1, le=MAX_FEATURES)
    maps: MapSpec | None = None

    @field_validator("maps")
    @classmethod
    def _features_are_averages(cls, maps: MapSpec | None, info: ValidationInfo) -> MapSpec | None:
        features = info.data.get("width")
        if maps and features and features % (maps.rows * maps.columns):
            raise ValueError(f"{features} features are not {maps.rows}x{maps.columns} cells")
        if maps and features:
            values = features // (maps.rows * maps.columns) * maps.height * maps.width
            if values > MAX_MAP_VALUES:
                raise ValueError(f"the maps have {values:,} values, over {MAX_MAP_VALUES:,}")
        return maps

    @property
    def channels(self) -> int:
        """Of the maps: how many features each cell of the grid has."""
        return self.width // (self.maps.rows * self.maps.columns if self.maps else 1)


class GoldenFeatures(Frozen):
    """An image inside the artifact and the features that the trainer recorded for it.

    The endpoint's may be as far from them as `tolerance` times the length of the recorded vector
    (distance and length are Euclidean).
    """

    image: str = Field(pattern=IMAGE_NAME)
    features: tuple[Finite, ...] = Field(min_length=1, max_length=MAX_FEATURES)
    tolerance: float = Field(default=FEATURE_TOLERANCE, gt=0, lt=1)

    @field_validator("features")
    @classmethod
    def _have_a_length(cls, features: tuple[float, ...]) -> tuple[float, ...]:
        if not any(features):
            raise ValueError("all features are 0; record the answer to another image")
        return features


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
