"""A trained network → the files of an artifact, after SavedModel and LiteRT have been compared.

`facet.json`, `golden.png`, `1/saved_model.pb`, `1/variables/…`, `1/assets.extra/model.tflite`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from facet import preprocess
from facet.errors import FacetError
from facet.keys import MANIFEST
from facet.manifest import GoldenSample, InputSpec, Manifest, OutputSpec
from facet.preprocess import Pixels
from training.dataset import ImageSet
from training.export import golden
from training.export.graph import SCORES, bytes_model, pixels_model

MAX_DIFFERENCE = 1e-4
"""Largest difference between the two runtimes' probabilities for one image."""

TOLERANCE = 0.01
"""Largest difference between the endpoint's score for the golden sample and the recorded one."""

MAX_LOST = 0.001
"""Share of the held-out images that float16 weights may get wrong in addition."""

JUDGES = 1000
"""Held-out images on which float16 weights are compared; at most this many."""

BATCH = 64
"""Images that LiteRT takes at once."""

CANDIDATES = 64
"""Images that are drawn; the one with the most certain prediction becomes the golden sample."""

Scores = NDArray[np.float32]
Scorer = Callable[[Pixels], Scores]


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


def export(
    network: keras.Model,
    spec: InputSpec,
    info: ModelInfo,
    *,
    proof: Pixels,
    folder: Path,
    held_out: ImageSet | None = None,
) -> float:
    """Writes the artifact's files into `folder`. Returns the largest difference of the runtimes.

    `proof` is uint8 (n, height, width, channels): real images on which the scores of SavedModel and
    LiteRT must agree. Otherwise raises ExportError and writes neither LiteRT model nor manifest.
    The LiteRT model gets float16 weights if those are right about as many `held_out` images.
    """
    version = folder / "1"
    saved = save(network, spec, version)
    lite_model = convert(network, spec)
    lite = lite_scorer(lite_model, spec)
    candidates = [golden.draw(seed) for seed in range(CANDIDATES)]
    drawn = np.stack(
        [preprocess.geometry(spec, preprocess.decode(spec, image)) for image in candidates]
    )
    images = np.concatenate([proof, drawn])
    difference = prove(saved, lite, images)
    scores = saved(drawn)
    best, sample = choose_golden_sample(scores, info.labels)
    weights = "float32"
    if held_out:
        half_model = convert(network, spec, float16=True)
        half = lite_scorer(half_model, spec)
        apart = np.abs(half(drawn[best : best + 1]) - scores[best]).max()
        if apart <= TOLERANCE / 2 and keeps_accuracy(lite, half, held_out):
            lite_model, weights = half_model, "float16"
    print(f"litert_weights={weights} bytes={len(lite_model)}", flush=True)
    (version / "assets.extra").mkdir()
    (version / "assets.extra" / "model.tflite").write_bytes(lite_model)
    (folder / sample.image).write_bytes(candidates[best])
    info = replace(info, provenance=info.provenance | {"litert_weights": weights})
    (folder / MANIFEST).write_text(manifest(spec, info, sample).to_json() + "\n")
    return difference


def save(network: keras.Model, spec: InputSpec, folder: Path) -> Scorer:
    """Writes the SavedModel, reads it back, and returns a function that runs it."""
    save_module(bytes_model(network, spec), spec, folder)
    signature = tf.saved_model.load(str(folder)).signatures[spec.signature]

    def scores(pixels: Pixels) -> Scores:
        rows = tf.constant([image.tobytes() for image in pixels])
        return np.asarray(signature(**{spec.tensor: rows})[SCORES])

    return scores


def convert(network: keras.Model, spec: InputSpec, *, float16: bool = False) -> bytes:
    """Converts to LiteRT: the SavedModel's signature and names, but uint8 pixels as input."""
    return convert_module(pixels_model(network, spec), spec, float16=float16)


def save_module(module: tf.Module, spec: InputSpec, folder: Path) -> None:
    """Writes a SavedModel; the module's `serve` becomes the signature that `spec` names."""
    tf.saved_model.save(module, str(folder), signatures={spec.signature: module.serve})


def convert_module(module: tf.Module, spec: InputSpec, *, float16: bool = False) -> bytes:
    """Converts to LiteRT; the module's `serve` becomes the signature that `spec` names."""
    with tempfile.TemporaryDirectory() as folder:
        save_module(module, spec, Path(folder))
        return convert_saved_model(Path(folder), spec.signature, float16=float16)


def convert_saved_model(folder: Path, signature: str, *, float16: bool = False) -> bytes:
    """Converts one signature of a SavedModel to LiteRT.

    With `float16` the file has half the size; LiteRT computes with float32 all the same.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[signature])
    if float16:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def lite_scorer(model: bytes, spec: InputSpec) -> Scorer:
    """Returns a function that runs a LiteRT model."""
    runner = Interpreter(model_content=model).get_signature_runner(spec.signature)

    def scores(pixels: Pixels) -> Scores:
        return np.asarray(runner(**{spec.tensor: pixels})[SCORES])

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


def keeps_accuracy(full: Scorer, half: Scorer, held_out: ImageSet) -> bool:
    """Whether `half` is right about as many images as `full`, but for the share `MAX_LOST`."""
    step = -(-len(held_out) // JUDGES)
    pixels, classes = held_out.pixels[::step], held_out.classes[::step]
    lost = flips = 0
    for begin in range(0, len(classes), BATCH):
        batch, truth = pixels[begin : begin + BATCH], classes[begin : begin + BATCH]
        one, other = full(batch).argmax(axis=1), half(batch).argmax(axis=1)
        lost += int((one == truth).sum() - (other == truth).sum())
        flips += int((one != other).sum())
    print(f"float16_images={len(classes)} flips={flips} lost={lost}", flush=True)
    return lost <= MAX_LOST * len(classes)


def choose_golden_sample(scores: Scores, labels: tuple[str, ...]) -> tuple[int, GoldenSample]:
    """Chooses the row whose best score is farthest above its second; returns (index, sample)."""
    ranked = np.sort(scores, axis=1)
    best = int(np.argmax(ranked[:, -1] - ranked[:, -2]))
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
