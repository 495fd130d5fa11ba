"""A trained network → the files of an artifact, after SavedModel and LiteRT have been compared.

`facet.json`, `golden.png`, `1/saved_model.pb`, `1/variables/…`, `1/assets.extra/model.tflite`.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from facet import preprocess
from facet.errors import FacetError
from facet.keys import MANIFEST
from facet.manifest import Manifest
from facet.preprocess import Pixels
from facet.specs import GoldenSample, InputSpec, OutputSpec
from training.export import golden
from training.export.graph import SCORES, bytes_model, pixels_model, save_module
from training.export.loss import Scorer, Scores
from training.export.quantised import Quantising, lite_model, quantise

MAX_DIFFERENCE = 1e-4
"""Largest difference between the two runtimes' probabilities for one image."""

TOLERANCE = 0.01
"""Largest difference between the endpoint's score for the golden sample and the recorded one."""

FAR = f"its scores for drawn images are further than {TOLERANCE / 2:g} from the SavedModel's"

CANDIDATES = 64
"""Images that are drawn; the one with the most certain prediction becomes the golden sample."""


class ExportError(FacetError):
    """SavedModel and LiteRT give different scores; the artifact must not be published."""


@dataclass(frozen=True)
class ModelInfo:
    """The fields of the manifest that do not follow from the network."""

    model: str | None
    description: str
    labels: tuple[str, ...]
    metrics: dict[str, float]
    provenance: dict[str, str]


@dataclass(frozen=True)
class Exported:
    """The largest difference of the two runtimes, and the metrics in the manifest."""

    difference: float
    metrics: dict[str, float]


def export(
    network: keras.Model,
    spec: InputSpec,
    info: ModelInfo,
    *,
    proof: Pixels,
    folder: Path,
    quantising: Quantising | None = None,
    lite_only: bool = False,
) -> Exported:
    """Writes the artifact's files into `folder`.

    `proof` is uint8 (n, height, width, channels): real images on which the scores of SavedModel and
    LiteRT must agree before that is quantised. Otherwise raises ExportError and writes neither
    LiteRT model nor manifest. With `lite_only` the SavedModel is left out.
    """
    version = folder / "1"
    with tempfile.TemporaryDirectory() as scratch:
        saved = save(network, spec, Path(scratch) if lite_only else version)
    module = pixels_model(network, spec)
    full = lite_model(module, spec)
    candidates = [golden.draw(seed) for seed in range(CANDIDATES)]
    drawn = np.stack(
        [preprocess.geometry(spec, preprocess.decode(spec, image)) for image in candidates]
    )
    difference = prove(saved, full.scorer, np.concatenate([proof, drawn]))
    scores = saved(drawn)
    lite = quantise(quantising, module, spec, full) if quantising else full
    answers = lite.scorer(drawn)
    near = np.abs(answers - scores).max(axis=1) <= TOLERANCE / 2
    if quantising and not near.any():
        lite, answers = full.instead_of(quantising.kind, FAR), full.scorer(drawn)
        near[:] = True
    best, sample = choose_golden_sample(answers if lite_only else scores, near, info.labels)
    print(
        f"litert_weights={lite.provenance['litert_weights']} bytes={len(lite.content)}", flush=True
    )
    (version / "assets.extra").mkdir(parents=True)
    (version / "assets.extra" / "model.tflite").write_bytes(lite.content)
    (folder / sample.image).write_bytes(candidates[best])
    info = replace(
        info,
        metrics=info.metrics | dict(lite.metrics),
        provenance=info.provenance | dict(lite.provenance),
    )
    (folder / MANIFEST).write_text(manifest(spec, info, sample).to_json() + "\n")
    return Exported(difference, info.metrics)


def save(network: keras.Model, spec: InputSpec, folder: Path) -> Scorer:
    """Writes the SavedModel, reads it back, and returns a function that runs it."""
    save_module(bytes_model(network, spec), spec, folder)
    signature = tf.saved_model.load(str(folder)).signatures[spec.signature]

    def scores(pixels: Pixels) -> Scores:
        rows = tf.constant([image.tobytes() for image in pixels])
        return np.asarray(signature(**{spec.tensor: rows})[SCORES])

    return scores


def prove(one: Scorer, other: Scorer, images: Pixels) -> float:
    """The largest difference of two models' probabilities, for a batch and for one image.

    Raises ExportError if it is above `MAX_DIFFERENCE` or not a number.
    """
    batches = (images, images[:1])
    difference = float(max(np.abs(one(batch) - other(batch)).max() for batch in batches))
    if not difference <= MAX_DIFFERENCE:
        raise ExportError(
            f"LiteRT and SavedModel answer differently: by {difference:.2g}, "
            f"above the limit {MAX_DIFFERENCE:g}."
        )
    return difference


def choose_golden_sample(
    scores: Scores, near: NDArray[np.bool_], labels: tuple[str, ...]
) -> tuple[int, GoldenSample]:
    """Chooses the row, of those that are `near`, whose best score is farthest above its second.

    Returns (index, sample).
    """
    ranked = np.sort(scores, axis=1)
    best = int(np.argmax(np.where(near, ranked[:, -1] - ranked[:, -2], -1)))
    top = int(np.argmax(scores[best]))
    return best, GoldenSample(
        image="golden.png",
        label=labels[top],
        score=round(float(scores[best, top]), 6),
        tolerance=TOLERANCE,
    )


def manifest(spec: InputSpec, info: ModelInfo, sample: GoldenSample) -> Manifest:
    """The manifest of a model that a recipe trained."""
    return Manifest(
        schema=1,
        model=info.model,
        description=info.description,
        labels=info.labels,
        input=spec,
        output=OutputSpec(tensor=SCORES, activation="softmax"),
        golden=sample,
        metrics=info.metrics,
        provenance=info.provenance,
    )
