"""Build the manifest and the files of an artifact from a plan.

With TensorFlow installed, the model is run: it answers the golden sample, and a LiteRT model is
added if it gives the same probabilities.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from cli.extras import install
from cli.pack import artifact, inference, options
from cli.pack.errors import CannotPack
from cli.pack.inference import Scorer
from cli.pack.model import activation, tensorflow
from cli.pack.model.source import GRAPH
from cli.pack.plan import LITE, Plan
from cli.terminal.prompts import Prompter
from facet import preprocess
from facet.artifact.graphs import op_policy
from facet.manifest import GoldenSample, InputSpec, Manifest, OutputSpec
from facet.preprocess import Pixels

DRAWN_IMAGES = 16
"""Drawn images, beside the golden sample, on which the two models must agree."""

NO_TENSORFLOW = f"TensorFlow is not installed ({install('tensorflow')})"


@dataclass(frozen=True)
class ArtifactOptions:
    """Command line options about the artifact; None if not given."""

    labels: str | None = None
    activation: str | None = None
    golden: Path | None = None
    golden_label: str | None = None
    model: str | None = None
    description: str = ""
    packed_from: str = ""
    lite: bool = True


@dataclass(frozen=True)
class Built:
    """An artifact's manifest and files; `lite` says whether it has a LiteRT model, and why not."""

    manifest: Manifest
    files: list[tuple[str, Path]]
    lite: str


def build(
    plan: Plan,
    settings: ArtifactOptions,
    prompter: Prompter,
    scratch: Path,
    remark: Callable[[str], object],
) -> Built:
    """Ask for the labels, export and run the model. Raises CannotPack, MissingOption."""
    labels = options.labels(settings.labels, plan.labels, prompter)
    remark("reading the model ...")
    with tensorflow.quiet():
        folder = plan.export(scratch / "saved")
    read = activation.detect((folder / GRAPH).read_bytes(), plan.spec.signature, plan.output)
    output = OutputSpec(
        tensor=plan.output, activation=options.activation(settings.activation, read, prompter)
    )
    golden, lite = _run(plan, settings, labels, output, folder, scratch, remark)
    files = artifact.members(folder)
    if lite.file:
        files.append((f"1/{LITE.as_posix()}", lite.file))
    if golden and settings.golden:
        files.append((golden.image, settings.golden))
    return Built(_manifest(plan, settings, labels, output, golden), files, lite.summary)


@dataclass(frozen=True)
class _LiteResult:
    """The LiteRT model's file, or None, and a sentence about it."""

    file: Path | None
    summary: str


def _run(
    plan: Plan,
    settings: ArtifactOptions,
    labels: tuple[str, ...],
    output: OutputSpec,
    folder: Path,
    scratch: Path,
    remark: Callable[[str], object],
) -> tuple[GoldenSample | None, _LiteResult]:
    if not tensorflow.installed():
        if settings.golden:
            tensorflow.required("--golden")
        if plan.lite and settings.lite:
            return None, _LiteResult(plan.lite, f"the source's own, unproven: {NO_TENSORFLOW}")
        return None, _LiteResult(None, NO_TENSORFLOW)
    image = settings.golden.read_bytes() if settings.golden else None
    remark("running it with TensorFlow ...")
    with tensorflow.quiet(), inference.saved_model(folder, plan.spec, output) as scores:
        golden = _golden(scores, plan.spec, labels, image, settings) if image else None
        return golden, _lite(plan, output, scores, settings, image, scratch)


def _pixels(spec: InputSpec, image: bytes) -> Pixels:
    return preprocess.geometry(spec, preprocess.decode(spec, image))


def _golden(
    scores: Scorer,
    spec: InputSpec,
    labels: tuple[str, ...],
    image: bytes,
    settings: ArtifactOptions,
) -> GoldenSample:
    row = scores(_pixels(spec, image)[None])[0]
    if len(row) != len(labels):
        raise CannotPack(f"the model gives {len(row)} scores, there are {len(labels)} labels")
    best = int(np.argmax(row))
    if settings.golden_label not in (None, labels[best]):
        raise CannotPack(
            f"the model answers '{labels[best]}' ({row[best]:.3f}) to {settings.golden}, not "
            f"'{settings.golden_label}'; correct --labels, --preprocessing, --order or --fit"
        )
    suffix = settings.golden.suffix.lower() if settings.golden else ""
    return GoldenSample(
        image=f"golden{suffix}", label=labels[best], score=round(float(row[best]), 6)
    )


def _lite(
    plan: Plan,
    output: OutputSpec,
    scores: Scorer,
    settings: ArtifactOptions,
    image: bytes | None,
    scratch: Path,
) -> _LiteResult:
    """Convert to LiteRT; keep the model if it answers as the SavedModel does."""
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    from training.export import golden
    from training.export.export import ExportError, prove

    if not settings.lite:
        return _LiteResult(None, "left out, because of --no-lite")
    if not (plan.lite or plan.convert):
        return _LiteResult(None, "left out: the input is a string, which LiteRT cannot decode")
    drawn = [golden.draw(seed) for seed in range(DRAWN_IMAGES)] + ([image] if image else [])
    pixels = np.stack([_pixels(plan.spec, each) for each in drawn])
    file = plan.lite or scratch / "model.tflite"
    try:
        if plan.convert and not plan.lite:
            file.write_bytes(plan.convert())
        _screen(file)
        with inference.lite(file, plan.spec, output) as other:
            apart = prove(scores, other, pixels)
    except (ConverterError, tf.errors.OpError, *tensorflow.ERRORS) as error:
        return _LiteResult(None, f"left out, it cannot be converted: {tensorflow.reason(error)}")
    except (ExportError, CannotPack) as error:
        return _LiteResult(None, f"left out: {error}")
    return _LiteResult(file, f"answers as the SavedModel does, within {max(apart, 1e-9):.0e}")


def _screen(file: Path) -> None:
    """Raises CannotPack for a LiteRT model that onboarding would reject, before it is run."""
    for violation in op_policy.check_litert(file.name, file.read_bytes(), frozenset()):
        raise CannotPack(violation.problem)


def _manifest(
    plan: Plan,
    settings: ArtifactOptions,
    labels: tuple[str, ...],
    output: OutputSpec,
    golden: GoldenSample | None,
) -> Manifest:
    try:
        return Manifest(
            schema=1,
            model=settings.model,
            description=settings.description,
            labels=labels,
            input=plan.spec,
            output=output,
            golden=golden,
            provenance={"packed_from": settings.packed_from, "kind": plan.kind},
        )
    except ValidationError as error:
        found = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise CannotPack("; ".join(found)) from error
