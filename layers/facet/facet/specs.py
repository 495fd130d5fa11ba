"""The parts of a manifest: a model's input, its answer, and the golden sample that must get it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

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

FEATURE_TOLERANCE = 0.02
"""How far features may be from the recorded ones, as a part of the length of that vector.

docs/manifest.md#golden-of-a-backbone has what kernels, float16 weights and wrong filters change.
"""


class Frozen(BaseModel):
    """Immutable, and without unknown keys: those are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
