"""What a recipe is: a network, the input spec it needs, and the defaults that suit it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import keras
from pydantic import Field

from facet.manifest import Frozen, InputSpec
from training.augment import Augmentation

Share = Annotated[float, Field(ge=0, lt=1)]


class Hyperparameters(Frozen):
    """What a training job may set; every recipe has its defaults.

    `learning_rate` is the peak of the one-cycle schedule; `validation_share` is the part of the
    training pictures that is set aside where there is no validation channel.
    """

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: Share
    label_smoothing: Share
    validation_share: Share
    seed: int = Field(default=1, ge=0, lt=2**31)


@dataclass(frozen=True)
class Recipe:
    """`network(spec, labels)` maps float32 (batch, height, width, channels), normalised as `spec`
    says, to logits (batch, labels). `spec` has encoding `uint8`: the exported graph normalises.
    """

    name: str
    description: str
    spec: InputSpec
    defaults: Hyperparameters
    augmentation: Augmentation
    network: Callable[[InputSpec, int], keras.Model]
