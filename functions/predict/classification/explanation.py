"""Why a head answers its first label: a heat map of what each position of its backbone's maps adds.

The positions lie evenly over the model's input. The heat map undoes what made that of the image
(crop, padding, stretching), so that it lies over the image as it was sent, upright.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facet.errors import ModelFailed, UnknownModel, UnknownVersion
from facet.heads import maps
from facet.heads.errors import NotExplainable
from facet.heads.weights import HeadAnswer
from facet.manifest import BackboneManifest, HeadManifest
from facet.places.choice import Runner
from facet.preprocess import Pixels, Tensor
from facet.registry.models import Version
from facet.resizing import fit
from facet.specs import InputSpec
from predict.classification.network import Network

LONGEST = 64
"""Pixels of a heat map's longest side."""


@dataclass(frozen=True)
class Explanation:
    """A `label`, and what in the image speaks for it.

    `heatmap` is a PNG in grey with the shape of the image. It is 0 where nothing speaks for the
    label and where the model did not look, and 255 where most does.
    """

    label: str
    heatmap: bytes


def check(network: Network, model: str) -> None:
    """Raises NotExplainable if the answers of the model, which has this network, have no maps."""
    if not isinstance(network.manifest, BackboneManifest):
        raise NotExplainable(model)
    if network.manifest.output.maps is None:
        raise NotExplainable(model, network.version.model, network.version.id)


def possible(version: Version, ready: Callable[[str, str], Version]) -> bool:
    """Whether answers of a version can be explained: it is a head whose backbone has maps.

    `ready` returns a READY version of a model, as `Registry.ready`.
    """
    if not isinstance(version.manifest, HeadManifest):
        return False
    on = version.manifest.backbone
    try:
        backbone = ready(on.model, on.version).manifest
    except (UnknownModel, UnknownVersion):
        return False
    return isinstance(backbone, BackboneManifest) and backbone.output.maps is not None


def explain(
    network: Network,
    runner: Runner,
    tensor: Pixels | Tensor,
    size: fit.Size,
    answer: HeadAnswer,
    request_id: str,
) -> Explanation:
    """Explains the head's answer to the image of that width and height whose input is `tensor`.

    Raises what `Runner.classify` raises, and ModelFailed for maps that say nothing.
    """
    manifest, head = network.manifest, network.head
    if head is None or not isinstance(manifest, BackboneManifest):
        raise TypeError("only a head's answer can be explained")
    of_maps = maps.manifest_of(manifest)
    (found,) = runner.classify(network.version, of_maps, [tensor], request_id)
    if isinstance(found, ModelFailed):
        raise found
    label = int(answer.scores.argmax())
    with np.errstate(all="ignore"):
        parts = maps.activation(manifest.output, found, head.weights, label)
    if not np.isfinite(parts).all():
        raise ModelFailed("the head made numbers of the backbone's maps that are not finite")
    return Explanation(network.labels[label], draw(manifest.input, size, parts))


def draw(spec: InputSpec, size: fit.Size, parts: NDArray[np.float32]) -> bytes:
    """The heat map for an image of that width and height, from the `parts` (rows, columns).

    Parts below 0 speak against the label, and are not shown.
    """
    wide, high = (max(1, round(side * LONGEST / max(size))) for side in size)
    left, top, right, bottom = fit.view(spec, size)
    rows, columns = parts.shape
    across, down = columns / (right - left), rows / (bottom - top)
    # from pixels of the heat map to positions; beyond those it is 0
    matrix = (across * size[0] / wide, 0, -left * across, 0, down * size[1] / high, -top * down)
    positive = parts.clip(0)
    positive /= (
        positive.max() or 1
    )  # first: what is made of very large or small parts is not finite
    enlarged = Image.fromarray(positive).transform(
        (wide, high), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
    )
    values = np.asarray(enlarged).clip(0)
    grey = np.rint(values * (255 / (values.max() or 1))).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG", optimize=True)
    return file.getvalue()
