"""The training recipes: what a job may set, and the defaults that suit each kind of images.

No TensorFlow here: `training/` builds networks from these values, and the train function checks
a job's input against them before an instance is paid for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from facet.errors import FacetError
from facet.specs import Frozen

Share = Annotated[float, Field(ge=0, lt=1)]
Backbone = Literal["auto", "cnn", "article-cnn", "vgg16", "mobilenet", "mobilenet-v2"]
Method = Literal["auto", "gradient", "head", "fine-tune"]
PRETRAINED = ("vgg16", "mobilenet", "mobilenet-v2")
"""The backbones that start from ImageNet weights."""

FROM_SCRATCH = ("cnn", "article-cnn")
"""The backbones that do not. `auto` may be either."""

SMALLEST = 32
"""Least height and width in pixels of a keras.applications backbone."""

IMAGENET_SIZE = 224
"""Height and width in pixels of the images that the ImageNet weights were trained on."""

FINE_TUNING: Mapping[str, object] = {"dropout": 0.0, "learning_rate": 1e-4}
"""Defaults of the method `fine-tune`. The last layer was computed without dropout: with 0.3 it has
one training image in five wrong at once, and steps of 0.002 move the features away from it."""

Metric = Literal[
    "accuracy",
    "balanced_accuracy",
    "test_accuracy",
    "test_balanced_accuracy",
    "validation_accuracy",
    "validation_balanced_accuracy",
]
"""`accuracy` and `balanced_accuracy`: of the test images, or of the validation images where there
are no test images."""


class BadHyperparameter(FacetError):
    """A recipe or hyperparameters that do not exist or have invalid values: a line for each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Hyperparameters(Frozen):
    """What a training job may set; every recipe has its defaults.

    backbone: the network; `cnn` and `article-cnn` are trained from scratch, the others start from
    ImageNet weights with all but their last block frozen. `auto`: the one whose weights the job has
    or, without any, mobilenet if Keras can download it, and cnn if not.

    method: `gradient` trains by gradient descent from a random last layer; `head` computes that
    layer in closed form and trains no other; `fine-tune` computes it and then trains. `auto` is
    `head`; from scratch, `gradient`. With many images a job trains from scratch, too, and exports
    the network that answers more validation images right.

    alpha: width factor of a MobileNet.
    width: filters of a cnn's first layer.  dense: units before the last layer, 0 for none.
    dropout: before the last layer.  image_size: height and width in pixels; where another backbone
    than the recipe's is asked for, IMAGENET_SIZE.

    learning_rate: peak of the one-cycle schedule.  patience: epochs without a better validation
    accuracy after which training stops, 0 for never.  precision: `auto` computes in bfloat16 where
    the processor multiplies it faster.  class_weights: rare classes count as much as frequent ones.

    cache_features: compute frozen features once.  views: so many augmented variants of each
    image are cached; the first is the image as it is.

    validation_share, test_share: parts of the training images to set aside where there is no
    such channel; an image's content decides whether it is a test image.  max_unreadable: the share
    of a channel's files that may be unreadable.

    quantize: how the LiteRT model is made smaller.  max_accuracy_loss: the share of the held-out
    images that this may cost; None is none for float16, and one point for the others.
    lite_only: leave the SavedModel out.
    mirror_average: average the exported model's scores with those of the mirrored image.
    output: what the exported model gives: `scores`, or `features`, which make it a backbone: the
    input of the last layer or, from scratch, of the dense ones, pooled.

    shift: share of the side.  rotation: degrees.  zoom, contrast: factors.  flip: mirror every
    second image.  brightness, tint: of 255. Every amount is drawn evenly from -amount to +amount.
    """

    backbone: Backbone = "cnn"
    method: Method = "gradient"
    alpha: float = Field(default=1.0, gt=0, le=2)
    width: int = Field(default=32, ge=1, le=512)
    dense: int = Field(default=128, ge=0, le=8192)
    dropout: Share = 0.3
    image_size: int = Field(default=64, ge=16, le=1024)

    epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: Share = 0.05
    label_smoothing: Share = 0.1
    patience: int = Field(default=8, ge=0)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    class_weights: bool = True
    cache_features: bool = True
    views: int = Field(default=1, ge=1, le=64)
    seed: int = Field(default=1, ge=0, lt=2**31)
    mirror_average: bool = False

    validation_share: Share = 0.15
    test_share: Share = 0.1
    max_unreadable: Share = 0.05

    quantize: Literal["none", "float16", "dynamic", "int8"] = "float16"
    max_accuracy_loss: Share | None = None
    lite_only: bool = False
    output: Literal["scores", "features"] = "scores"

    shift: Share = 0.0
    rotation: float = Field(default=0.0, ge=0, le=180)
    zoom: float = Field(default=0.0, ge=0, le=4)
    flip: bool = False
    brightness: float = Field(default=0.0, ge=0, le=255)
    contrast: float = Field(default=0.0, ge=0, le=4)
    tint: float = Field(default=0.0, ge=0, le=255)


@dataclass(frozen=True)
class Recipe:
    """`metric`, `minimum`, `instance_type` and `max_runtime` (seconds) are a job's defaults.

    Without a `minimum`, the accuracy must be above the most frequent class's share.
    """

    name: str
    description: str
    defaults: Hyperparameters
    minimum: float | None
    instance_type: str
    max_runtime: int
    metric: Metric = "accuracy"

    def settings(self, overrides: Mapping[str, object]) -> Hyperparameters:
        """The defaults with the overrides applied. Names may have `-` or `_`.

        Raises BadHyperparameter, which names all that are wrong.
        """
        named = _by_field(overrides)
        defaults = self.defaults.model_dump()
        other = named.get("backbone", self.defaults.backbone) != self.defaults.backbone
        if other and named["backbone"] in PRETRAINED:
            defaults["image_size"] = IMAGENET_SIZE
        if named.get("method", self.defaults.method) == "fine-tune":
            defaults |= FINE_TUNING
        try:
            settings = Hyperparameters.model_validate(defaults | named)
        except ValidationError as error:
            raise BadHyperparameter(*map(_problem, error.errors())) from error
        if problems := [*_contradictions(settings, named)]:
            raise BadHyperparameter(*problems)
        if settings.backbone in PRETRAINED and settings.method != "gradient":
            return settings.model_copy(update={"dense": 0})  # the last layer is the only one
        return settings


def _by_field(overrides: Mapping[str, object]) -> dict[str, object]:
    """Raises BadHyperparameter if one is given with `-` and with `_`."""
    named: dict[str, object] = {}
    for name, value in overrides.items():
        field = name.replace("-", "_")
        if field in named:
            raise BadHyperparameter(f"{name}: it is given twice, with '-' and with '_'.")
        named[field] = value
    return named


def _contradictions(settings: Hyperparameters, given: Mapping[str, object]) -> Iterator[str]:
    backbone, method = settings.backbone, settings.method
    scratch = backbone in FROM_SCRATCH
    if not scratch and settings.image_size < SMALLEST:
        yield f"image-size {settings.image_size}: {_named(backbone)} takes {SMALLEST} or more."
    if scratch and method in ("head", "fine-tune"):
        yield (
            f"method {method}: {backbone} is trained from scratch; set backbone to "
            f"{', '.join(PRETRAINED)}."
        )
    if settings.output == "features" and settings.quantize in ("dynamic", "int8"):
        yield (
            f"quantize {settings.quantize}: what is taught on features needs them exact; set "
            "quantize to float16 or none, or output to scores."
        )
    if not scratch and method != "gradient" and given.get("dense") and settings.dense:
        yield (
            f"dense {settings.dense}: method {method} has only a last layer; remove it, or set "
            "method to gradient or backbone to cnn."
        )


def _named(backbone: str) -> str:
    return "mobilenet" if backbone == "auto" else backbone


def _problem(error: Mapping[str, Any]) -> str:
    name = str(error["loc"][0]).replace("_", "-")
    if error["type"] == "extra_forbidden":
        known = ", ".join(each.replace("_", "-") for each in Hyperparameters.model_fields)
        return f"{name}: there is no such hyperparameter; there are {known}."
    return f"{name} {error['input']}: {error['msg']}."


SMALL_PHOTOGRAPHS = Hyperparameters(
    image_size=32,
    width=32,
    dense=250,
    dropout=0.1,
    epochs=12,
    batch_size=128,
    learning_rate=8e-3,
    weight_decay=0.1,
    label_smoothing=0.05,
    validation_share=0.04,
    shift=0.07,
    flip=True,
    mirror_average=True,
)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="cifar10",
            description="Small photographs: three convolutions and two dense layers",
            defaults=SMALL_PHOTOGRAPHS,
            minimum=0.75,
            instance_type="ml.c6i.2xlarge",
            max_runtime=2 * 3600,
        ),
        Recipe(
            name="sign-language",
            description="Hand signs for digits: VGG16 from ImageNet, its last block fine-tuned",
            defaults=Hyperparameters(
                backbone="vgg16",
                image_size=128,
                dense=0,
                epochs=20,
                learning_rate=1e-3,
            ),
            minimum=0.9,
            instance_type="ml.c7i.2xlarge",
            max_runtime=4 * 3600,
        ),
        Recipe(
            name="image-folder",
            description="Any folder of images, one folder per class",
            defaults=Hyperparameters(
                backbone="auto",
                method="auto",
                shift=0.1,
                rotation=10,
                zoom=0.2,
                flip=True,
                epochs=40,
                views=2,
            ),
            minimum=None,
            instance_type="ml.c6i.2xlarge",
            max_runtime=4 * 3600,
        ),
        Recipe(
            name="backbone",
            description="Features of small photographs: the convolutions of cifar10",
            defaults=SMALL_PHOTOGRAPHS.model_copy(
                update={"output": "features", "mirror_average": False}
            ),
            minimum=0.75,
            instance_type="ml.c6i.2xlarge",
            max_runtime=2 * 3600,
        ),
    )
}


def recipe(name: str) -> Recipe:
    """The recipe of that name. Raises BadHyperparameter."""
    if name not in RECIPES:
        raise BadHyperparameter(f"recipe {name}: there are {', '.join(RECIPES)}.")
    return RECIPES[name]
