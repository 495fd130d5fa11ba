"""Build the manifest and the files of an artifact from a plan.

The model is run as the endpoint will run it: one image, then onboarding's own proof. A LiteRT model
is added if it gives the same probabilities.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from cli.pack import artifact, inference, options
from cli.pack.errors import CannotPack
from cli.pack.inference import DoesNotRun
from cli.pack.model import activation, graph_ops, tensorflow
from cli.pack.model.source import GRAPH
from cli.pack.plan import LITE, Plan
from cli.terminal.prompts import Prompter
from facet import preprocess
from facet.artifact.graphs import op_policy
from facet.errors import BodyTooLarge, Violation
from facet.manifest import GoldenSample, Manifest, OutputSpec
from serving.runtimes.runtime import Runtime

ALONE = "the only model: Facet's container serves it, AWS's TensorFlow image cannot"
"""What the result says about a LiteRT model without a SavedModel."""

DRAWN_IMAGES = 16
"""Drawn images, beside the golden sample, on which the two models must agree."""


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
    reexport: bool = False
    more_ops: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Built:
    """An artifact's manifest and files; `lite` says whether it has a LiteRT model, and why not.

    `violations` are those that onboarding's proof would find. `max_batch_size` is 1 for a model
    that answers single images only.
    """

    manifest: Manifest
    files: list[tuple[str, Path]]
    lite: str
    violations: list[Violation] = field(default_factory=list)
    max_batch_size: int | None = None


def build(
    plan: Plan,
    settings: ArtifactOptions,
    prompter: Prompter,
    scratch: Path,
    remark: Callable[[str], object],
) -> Built:
    """Ask for the labels, export and run the model. Raises CannotPack, MissingOption."""
    tensorflow.required("`facet pack`")
    if settings.reexport and plan.again:
        plan = plan.again()
    labels = options.labels(settings.labels, plan.labels, prompter)
    remark("reading the model ...")
    with tensorflow.quiet():
        folder = plan.export(scratch / "saved")
    read = plan.detected or activation.detect(
        (folder / GRAPH).read_bytes(), plan.spec.signature, plan.output
    )
    activated = options.activation(settings.activation, read, prompter)
    prompter.finish()
    manifest = _manifest(plan, settings, labels, activated)
    remark("running it ...")
    try:
        return _run(plan, settings, manifest, folder, scratch)
    except DoesNotRun as error:
        if not plan.again:
            raise
        remark(f"the endpoint would fail to run it ({error}); exporting it again ...")
    except BodyTooLarge as error:
        if not plan.again:
            raise CannotPack(f"{error} Export the model for smaller images.") from error
        _ask_to_reexport(error, prompter)
    with tensorflow.quiet():
        plan = plan.again()
        folder = plan.export(scratch / "again")
    manifest = _manifest(plan, settings, labels, activated)
    try:
        return _run(plan, settings, manifest, folder, scratch)
    except BodyTooLarge as error:
        raise CannotPack(f"{error} Export the model for smaller images.") from error


def _ask_to_reexport(error: BodyTooLarge, prompter: Prompter) -> None:
    answer = prompter.ask(
        "--reexport",
        f"{error} Export the model again to take raw bytes, which are smaller?",
        choices=("yes", "no"),
        suggestion="yes",
    )
    if answer != "yes":
        raise CannotPack(f"{error} The endpoint would reject the model.")


@dataclass(frozen=True)
class _LiteResult:
    """The LiteRT model's file, or None, and a sentence about it."""

    file: Path | None
    summary: str


def _run(
    plan: Plan, settings: ArtifactOptions, manifest: Manifest, folder: Path, scratch: Path
) -> Built:
    """Raises BodyTooLarge, DoesNotRun, CannotPack."""
    image = settings.golden.read_bytes() if settings.golden else None
    alone = plan.detected is not None
    if alone:
        _screen(folder / LITE, settings)
    load = inference.lite(folder / LITE) if alone else inference.saved_model(folder)
    with tensorflow.quiet(), load as runtime:
        inference.check(runtime, manifest)
        if image:
            sample = _golden(runtime, manifest, image, settings)
            manifest = manifest.model_copy(update={"golden": sample})
        proof = inference.prove(runtime, manifest, image)
        most = proof.max_batch_size
        lite = (
            _LiteResult(folder / LITE, ALONE)
            if alone
            else _LiteResult(None, "left out: onboarding would reject the model")
            if proof.violations
            else _lite(plan, manifest, runtime, settings, image, folder, scratch, most)
        )
    files = artifact.members(folder)
    if lite.file:
        files.append((f"1/{LITE.as_posix()}", lite.file))
    if manifest.golden and settings.golden:
        files.append((manifest.golden.image, settings.golden))
    violations = [_named(each, folder, manifest) for each in proof.violations]
    return Built(manifest, files, lite.summary, violations, most)


def _golden(
    runtime: Runtime, manifest: Manifest, image: bytes, settings: ArtifactOptions
) -> GoldenSample:
    row = inference.score(runtime, manifest, image)
    labels, best = manifest.labels, int(np.argmax(row))
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
    manifest: Manifest,
    runtime: Runtime,
    settings: ArtifactOptions,
    image: bytes | None,
    folder: Path,
    scratch: Path,
    max_batch_size: int | None,
) -> _LiteResult:
    """Convert to LiteRT; keep the model if it answers as the SavedModel does."""
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    from training.export import golden
    from training.export.export import ExportError, prove

    if not settings.lite:
        return _LiteResult(None, "left out, because of --no-lite")
    if not (plan.lite or plan.converters):
        return _LiteResult(None, "left out: the input is a string, which LiteRT cannot decode")
    spec = manifest.input
    drawn = [golden.draw(seed) for seed in range(DRAWN_IMAGES)] + ([image] if image else [])
    pixels = np.stack([preprocess.geometry(spec, preprocess.decode(spec, each)) for each in drawn])
    problems = []
    for number, convert in enumerate([None] if plan.lite else plan.converters):
        file = plan.lite or scratch / f"{number}.tflite"
        try:
            if convert:
                file.write_bytes(convert(None))
            _screen(file, settings)
            with inference.lite(file) as other:
                one, two = (
                    inference.scorer(each, manifest, max_batch_size) for each in (runtime, other)
                )
                apart = prove(one, two, pixels)
        except (ExportError, CannotPack) as error:
            problems.append(str(error))
        except (ConverterError, tf.errors.OpError, *tensorflow.ERRORS) as error:
            problems.append(f"it cannot be converted: {tensorflow.reason(error)}")
        else:
            return _LiteResult(
                file, f"answers as the SavedModel does, within {max(apart, 1e-9):.0e}"
            )
    random = _random_layers(folder, manifest)
    because = f"the model has random layers, which answer differently each time ({random})"
    return _LiteResult(None, f"left out, {because if random else problems[0]}")


def _random_layers(folder: Path, manifest: Manifest) -> str:
    return graph_ops.used((folder / GRAPH).read_bytes(), manifest.input.signature).random


def _named(violation: Violation, folder: Path, manifest: Manifest) -> Violation:
    """Name the random layers where they are the cause."""
    if violation.code != "not-repeatable" or not (folder / GRAPH).is_file():
        return violation
    if not (random := _random_layers(folder, manifest)):
        return violation
    return replace(violation, problem=f"{violation.problem}; the model has random layers: {random}")


def _screen(file: Path, settings: ArtifactOptions) -> None:
    """Raises CannotPack for a LiteRT model that onboarding would reject, before it is run."""
    for violation in op_policy.check_litert(file.name, file.read_bytes(), settings.more_ops):
        allow = "; if the stack's MoreOps allows it, name it with --more-ops"
        control_flow = violation.code == "litert-control-flow"
        raise CannotPack(f"{violation.problem}{allow if control_flow else ''}")


def _manifest(
    plan: Plan, settings: ArtifactOptions, labels: tuple[str, ...], activated: activation.Activation
) -> Manifest:
    binary = plan.labels == 1 and len(labels) == 2
    try:
        return Manifest(
            schema=1,
            model=settings.model,
            description=settings.description,
            labels=labels,
            input=plan.spec,
            output=OutputSpec(tensor=plan.output, activation=activated, binary=binary),
            provenance={"packed_from": settings.packed_from, "kind": plan.kind},
        )
    except ValidationError as error:
        found = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise CannotPack("; ".join(found)) from error
