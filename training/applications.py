"""The networks of keras.applications that become backbones: pixels → one row of features."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from training.networks import BACKBONES, CAFFE, Body, loaded

DEVIATIONS = (0.229, 0.224, 0.225)
"""Of ImageNet's colours: IMAGENET_STDDEV_RGB in keras.applications.efficientnet."""


@dataclass(frozen=True)
class Application:
    """`normalisation`: fields of an input spec; some networks do it inside. `widths`: it takes
    `alpha`. `corrected`: see `_as_downloaded`.
    """

    make: Callable[..., keras.Model]
    normalisation: Mapping[str, Any]
    widths: bool = False
    corrected: bool = False


APPLICATIONS = {
    name: Application(each.make, each.normalisation, each.widths)
    for name, each in BACKBONES.items()
} | {
    "mobilenet-v3-small": Application(keras.applications.MobileNetV3Small, {}, widths=True),
    "mobilenet-v3-large": Application(keras.applications.MobileNetV3Large, {}, widths=True),
    "efficientnet-b0": Application(keras.applications.EfficientNetB0, {}, corrected=True),
    "efficientnet-v2-b0": Application(keras.applications.EfficientNetV2B0, {}),
    "resnet50": Application(keras.applications.ResNet50, CAFFE),
}


def body(name: str, size: tuple[int, int], alpha: float, weights: Path | None) -> Body:
    """Images of (height, width) → features, which are averages over the image, and their maps.

    The weights are those of the file, without the top, or Keras downloads them. Raises BadWeights.
    """
    application = APPLICATIONS[name]
    options = {"alpha": alpha} if application.widths else {}
    network = loaded(application.make, weights, input_shape=(*size, 3), pooling="avg", **options)
    if application.corrected and weights is not None:
        _as_downloaded(network)
    return Body.of(network.input, network.output, network.layers[-1].input)


def _as_downloaded(network: keras.Model) -> None:
    """Divides by the root of each deviation, as Keras does only with weights that it downloads.

    Source: keras.applications.efficientnet, which then has a layer more for it.
    """
    layer = next(each for each in network.layers if isinstance(each, keras.layers.Normalization))
    layer.adapt_variance.assign(layer.adapt_variance * np.array(DEVIATIONS, np.float32))
    layer.finalize_state()
