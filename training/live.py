"""Lets the model's live version answer the images that the new model is evaluated on.

SageMaker's channel `live` has the live version's artifact, `<version>.tar.gz`. Its own manifest
says how it takes images. The quality gate compares the two (functions/train/comparison.py).
"""

from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from facet import preprocess
from facet.artifact import archive
from facet.errors import FacetError
from facet.keys import ARTIFACT_SUFFIX, MANIFEST
from facet.manifest import Manifest, parse
from facet.statistics import wilson
from training.dataset import Dataset
from training.evaluate import Evaluation

Scorer = Callable[[Path], NDArray[np.float32]]


class NotComparable(FacetError):
    """The live version cannot answer the images; the message says why."""


@dataclass(frozen=True)
class Comparison:
    """What the manifest says about the comparison: numbers, and what was compared on what."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)


def compare(
    artifact: Path | None, data: Dataset, evaluations: Mapping[str, Evaluation]
) -> Comparison:
    """Compares on the test images or, where there are none, on the validation images."""
    if artifact is None:
        return Comparison()
    version = artifact.name.removesuffix(ARTIFACT_SUFFIX)
    channel = "test" if "test" in evaluations else "validation"
    images = data.sets[channel]
    try:
        answers = _answers(artifact, data.labels, images.files)
    except NotComparable as error:
        print(f"live={version} not_compared={error}", flush=True)
        return Comparison(provenance={"not_compared": f"the live version {version} {error}"})
    old = answers == images.classes
    new = evaluations[channel].predictions == images.classes
    metrics = _measures(images.classes, old) | {
        "only_new_correct": float(np.sum(new & ~old)),
        "only_live_correct": float(np.sum(old & ~new)),
    }
    return Comparison(metrics, {"compared_with": version, "compared_on": channel})


def _measures(classes: NDArray[np.int64], right: NDArray[np.bool_]) -> dict[str, float]:
    """As of an evaluation, of the live version."""
    correct, images = int(right.sum()), len(right)
    low, high = wilson(correct, images)
    recalls = [right[classes == each].mean() for each in np.unique(classes)]
    return {
        "live_accuracy": round(correct / images, 4),
        "live_balanced_accuracy": round(float(np.mean(recalls)), 4),
        "live_images": float(images),
        "live_correct": float(correct),
        "live_accuracy_low": round(low, 4),
        "live_accuracy_high": round(high, 4),
    }


def _answers(artifact: Path, labels: tuple[str, ...], files: Sequence[Path]) -> NDArray[np.int64]:
    """The class that the model in the artifact gives each file. Raises NotComparable."""
    with artifact.open("rb") as stream:
        read = archive.read(stream)
    manifest = parse(read.kept[MANIFEST].removeprefix(BOM_UTF8))
    if not isinstance(manifest, Manifest):
        raise NotComparable("is a backbone")
    if set(manifest.labels) != set(labels):
        raise NotComparable("has other labels")
    if read.litert_model is None:
        raise NotComparable("has no LiteRT model")
    scores = _scorer(bytes(read.litert_model.content), manifest)
    own = np.array([labels.index(label) for label in manifest.labels], dtype=np.int64)
    return own[[_best(scores(file), manifest) for file in files]]


def _scorer(model: bytes, manifest: Manifest) -> Scorer:
    spec, output = manifest.input, manifest.output
    try:
        runner = Interpreter(model_content=model).get_signature_runner(spec.signature)
        taken = np.dtype(runner.get_input_details()[spec.tensor]["dtype"])
    except (ValueError, RuntimeError, KeyError) as error:
        raise NotComparable(f"cannot be loaded by LiteRT ({_line(error)})") from error

    def scores(file: Path) -> NDArray[np.float32]:
        content = file.read_bytes()
        values = preprocess.apply(spec, preprocess.decode(spec, content), content)
        if values.dtype != taken:
            raise NotComparable(f"takes {taken} in LiteRT instead of {values.dtype}")
        try:
            found = runner(**{spec.tensor: values[None]})
            return np.asarray(found[output.tensor][0], dtype=np.float32)
        except (ValueError, RuntimeError, KeyError) as error:
            raise NotComparable(f"cannot be run by LiteRT ({_line(error)})") from error

    return scores


def _line(error: Exception) -> str:
    """An error of LiteRT on one line: the manifest's provenance has it."""
    return " ".join(str(error).split())[:200]


def _best(scores: NDArray[np.float32], manifest: Manifest) -> int:
    """The index of the label with the highest score."""
    if not manifest.output.binary:
        return int(np.argmax(scores))
    limit = 0.0 if manifest.output.activation == "logits" else 0.5
    return int(np.ravel(scores)[0] >= limit)
