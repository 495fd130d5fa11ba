"""A trained network → the files of an artifact, proven before they are written.

`facet.json`, `golden.png`, `1/saved_model.pb`, `1/variables/…`, `1/assets.extra/model.tflite`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from facet import preprocess
from facet.errors import FacetError
from facet.manifest import GoldenSample, InputSpec, Manifest, OutputSpec
from facet.preprocess import Pixels
from training.export import golden
from training.export.graph import SCORES, bytes_model, pixels_model

BOUND = 1e-4
"""How far two runtimes' probabilities for one image may lie apart."""

TOLERANCE = 0.01
"""How far the endpoint's score for the golden sample may lie from the recorded one."""

DRAWINGS = 64
"""So many images are drawn; the one that the model is surest about becomes the golden sample."""

Scores = NDArray[np.float32]
Scorer = Callable[[Pixels], Scores]


class ExportError(FacetError):
    """The exported models do not answer alike; nothing may be published."""


@dataclass(frozen=True)
class About:
    """What the manifest says beside the model's shape."""

    model: str | None
    description: str
    labels: tuple[str, ...]
    metrics: dict[str, float]
    provenance: dict[str, str]


def export(
    network: keras.Model, spec: InputSpec, about: About, *, proof: Pixels, folder: Path
) -> float:
    """Writes the artifact's files into `folder` and returns the runtimes' largest difference.

    `proof` is uint8 (n, height, width, channels): real images on which SavedModel and LiteRT
    must answer alike within `BOUND`, else `ExportError` is raised and no LiteRT model is written.
    """
    version = folder / "1"
    saved = save(network, spec, version)
    lite_model = convert(network, spec)
    lite = lite_scorer(lite_model, spec)
    drawings = [golden.draw(seed) for seed in range(DRAWINGS)]
    drawn = np.stack(
        [preprocess.geometry(spec, preprocess.decode(spec, each)) for each in drawings]
    )
    images = np.concatenate([proof, drawn])
    apart = prove(saved, lite, images)
    (version / "assets.extra").mkdir()
    (version / "assets.extra" / "model.tflite").write_bytes(lite_model)
    best, sample = surest(saved(drawn), about.labels)
    (folder / sample.image).write_bytes(drawings[best])
    (folder / "facet.json").write_text(manifest(spec, about, sample).to_json() + "\n")
    return apart


def save(network: keras.Model, spec: InputSpec, folder: Path) -> Scorer:
    """Writes the SavedModel and returns what it answers once read back."""
    save_module(bytes_model(network, spec), spec, folder)
    signature = tf.saved_model.load(str(folder)).signatures[spec.signature]

    def scores(pixels: Pixels) -> Scores:
        rows = tf.constant([image.tobytes() for image in pixels])
        return np.asarray(signature(**{spec.tensor: rows})[SCORES])

    return scores


def convert(network: keras.Model, spec: InputSpec) -> bytes:
    """The LiteRT model, with the SavedModel's signature and names, but for uint8 pixels."""
    return convert_module(pixels_model(network, spec), spec)


def save_module(module: tf.Module, spec: InputSpec, folder: Path) -> None:
    """Writes the SavedModel of a module whose `serve` is the spec's signature."""
    tf.saved_model.save(module, str(folder), signatures={spec.signature: module.serve})


def convert_module(module: tf.Module, spec: InputSpec) -> bytes:
    """The LiteRT model of a module whose `serve` is the spec's signature."""
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={spec.signature: module.serve})
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=[spec.signature]
        )
        return bytes(converter.convert())


def lite_scorer(model: bytes, spec: InputSpec) -> Scorer:
    """What a LiteRT model answers."""
    runner = Interpreter(model_content=model).get_signature_runner(spec.signature)

    def scores(pixels: Pixels) -> Scores:
        return np.asarray(runner(**{spec.tensor: pixels})[SCORES])

    return scores


def prove(one: Scorer, other: Scorer, images: Pixels) -> float:
    """The largest difference of two models' probabilities, for a batch and for one image.

    Raises `ExportError` where it is above `BOUND`, or no number.
    """
    batches = (images, images[:1])
    apart = float(max(np.abs(one(batch) - other(batch)).max() for batch in batches))
    if not apart <= BOUND:
        raise ExportError(f"LiteRT and SavedModel answer differently: by {apart:.2g} > {BOUND:g}.")
    return apart


def surest(scores: Scores, labels: tuple[str, ...]) -> tuple[int, GoldenSample]:
    """(index, golden sample) of the row whose best score is farthest above its second."""
    ranked = np.sort(scores, axis=1)
    best = int(np.argmax(ranked[:, -1] - ranked[:, -2]))
    top = int(np.argmax(scores[best]))
    return best, GoldenSample(
        image="golden.png",
        label=labels[top],
        score=round(float(scores[best, top]), 6),
        tolerance=TOLERANCE,
    )


def manifest(spec: InputSpec, about: About, sample: GoldenSample) -> Manifest:
    """`facet.json` of a recipe's model."""
    return Manifest(
        schema=1,
        model=about.model,
        description=about.description,
        labels=about.labels,
        input=spec,
        output=OutputSpec(tensor=SCORES, activation="softmax"),
        golden=sample,
        metrics=about.metrics,
        provenance=about.provenance,
    )
