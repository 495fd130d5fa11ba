"""A trained network without its last layer → the files of a backbone's artifact.

The LiteRT model has float16 weights, if they move its features little enough.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facet import preprocess
from facet.features import distance
from facet.heads import maps
from facet.keys import MANIFEST
from facet.manifest import BackboneManifest
from facet.preprocess import Pixels
from facet.specs import FEATURE_TOLERANCE, FeatureSpec, GoldenFeatures, InputSpec, MapSpec
from training.export import golden
from training.export.export import ExportError, ModelInfo
from training.export.graph import (
    FEATURES,
    MAPS,
    bytes_body,
    normalise,
    pixels_body,
    save_module,
)
from training.export.litert import CannotQuantise, Quantisation, convert_module, lite_scorer
from training.export.loss import Scores
from training.networks import Body

DIGITS = 6
"""Significant digits of a recorded feature: rounding moves the vector by a millionth."""

SAME = 1e-3
"""How far LiteRT's features may be from TensorFlow's, both of float32, as a part of their length.
Measured: up to .00001."""

MOVED = FEATURE_TOLERANCE / 2
"""How far those of float16 weights may be: any place may run either model."""


@dataclass(frozen=True)
class LiteBackbone:
    """A LiteRT file. `summary` says which weights it has, and what they change."""

    content: bytes
    weights: str
    summary: str


def feature_spec(body: Body) -> FeatureSpec:
    """What a backbone answers that is exported from a network without its last layers."""
    features, *more = body.model.outputs
    found = None
    if body.grid:
        (_, height, width, _), (rows, columns) = more[0].shape, body.grid
        found = MapSpec(
            signature=MAPS, tensor=MAPS, height=height, width=width, rows=rows, columns=columns
        )
    return FeatureSpec(tensor=FEATURES, width=features.shape[1], maps=found)


def lite_backbone(
    convert: Callable[[Quantisation | None], bytes],
    run: Callable[[bytes], Sequence[Scores]],
    own: Scores,
    *,
    halve: bool = True,
) -> LiteBackbone:
    """Converts a backbone, whose features (images, features) for some images are `own`.

    `run` gives those of a LiteRT file for the same images and, of a backbone with maps, also the
    averages of these. Raises ExportError if LiteRT's differ, and what `convert` and `run` raise.
    """
    full = convert(None)
    apart = _apart(run(full), own)
    if not apart <= SAME:
        raise ExportError(
            f"LiteRT's features are {apart:.2g} of their length away from the SavedModel's; "
            f"{SAME:g} is allowed"
        )
    size = f"{len(full) / 1e6:.2f} MB"
    if not halve:
        return LiteBackbone(full, "float32", f"float32, {size}")
    try:
        half = convert(Quantisation("float16"))
    except CannotQuantise as error:
        return LiteBackbone(full, "float32", f"float32, {size}: {error}")
    apart = _apart(run(half), own)
    if not apart <= MOVED or len(half) >= len(full):
        return LiteBackbone(
            full,
            "float32",
            f"float32, {size}: float16 weights would move features by {apart:.2g} of their length, "
            f"{MOVED:g} is allowed",
        )
    return LiteBackbone(
        half,
        "float16",
        f"float16, {len(half) / 1e6:.2f} MB instead of {size}: features move by at most "
        f"{apart:.2g} of their length",
    )


def export_backbone(
    body: Body,
    spec: InputSpec,
    info: ModelInfo,
    *,
    proof: Pixels,
    folder: Path,
    halve: bool = True,
    lite_only: bool = False,
) -> None:
    """Writes the artifact's files into `folder`; `info` has no labels.

    `proof` is uint8 (n, height, width, channels): real images for which LiteRT's features must be
    those of the SavedModel. Otherwise raises ExportError, and writes no manifest. With `lite_only`
    the SavedModel is left out.
    """
    version, golden_image = folder / "1", golden.draw(0)
    decoded = preprocess.geometry(spec, preprocess.decode(spec, golden_image))
    images = np.concatenate([decoded[None], proof])
    output, asked = feature_spec(body), spec.model_copy(update={"signature": MAPS})
    own = np.asarray(body(normalise(spec, images))[0], np.float32)

    def run(content: bytes) -> list[Scores]:
        found = [lite_scorer(content, spec, FEATURES)(images)]
        if output.maps:
            found.append(maps.averages(output, lite_scorer(content, asked, MAPS)(images)))
        return found

    def convert(quantisation: Quantisation | None) -> bytes:
        return convert_module(pixels_body(body, spec), spec, quantisation)

    lite = lite_backbone(convert, run, own, halve=halve)
    print(f"litert_weights={lite.weights} summary={lite.summary}", flush=True)
    if not lite_only:
        save_module(bytes_body(body, spec), spec, version)
    (version / "assets.extra").mkdir(parents=True)
    (version / "assets.extra" / "model.tflite").write_bytes(lite.content)
    (folder / "golden.png").write_bytes(golden_image)
    recorded = run(lite.content)[0][0] if lite_only else own[0]
    manifest = BackboneManifest(
        schema=1,
        kind="backbone",
        model=info.model,
        description=info.description,
        input=spec,
        output=output,
        golden=golden_features("golden.png", recorded),
        metrics=info.metrics,
        provenance=info.provenance | {"litert_weights": lite.weights},
    )
    (folder / MANIFEST).write_text(manifest.to_json() + "\n")


def golden_features(image: str, row: NDArray[np.float32]) -> GoldenFeatures:
    """The features to be recorded for an image, rounded."""
    features = tuple(float(f"{value:.{DIGITS}g}") for value in row.tolist())
    return GoldenFeatures(image=image, features=features)


def _apart(found: Sequence[Scores], own: Scores) -> float:
    return max(distance(one, other) for rows in found for one, other in zip(rows, own, strict=True))
