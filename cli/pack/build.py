"""Build the manifest and the files of an artifact from a plan.

The model is run as the endpoint will run it: one image, then onboarding's own proof. A LiteRT model
is added if it gives the same probabilities, or a quantised one if it loses no more than is allowed.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from cli.pack import artifact, inference, options
from cli.pack.errors import CannotPack
from cli.pack.inference import DoesNotRun
from cli.pack.lite import conversion, quantisation
from cli.pack.lite.conversion import Reference
from cli.pack.lite.images import LabelledImages, opened
from cli.pack.lite.quantisation import QuantiseOptions
from cli.pack.model import activation, tensorflow
from cli.pack.model.source import GRAPH
from cli.pack.plan import LITE, Plan
from cli.terminal.prompts import Prompter
from facet.errors import BodyTooLarge, Violation
from facet.manifest import Manifest, NetworkManifest
from facet.specs import GoldenSample, OutputSpec
from onboard.proof.prover import Proof
from serving.runtimes.runtime import Runtime

ALONE = "the only model: Facet's container serves it, AWS's TensorFlow image cannot"
"""What the result says about a LiteRT model without a SavedModel."""


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
    lite_only: bool = False
    quantise: QuantiseOptions | None = None
    reexport: bool = False
    more_ops: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Built:
    """An artifact's manifest and files; `lite` says whether it has a LiteRT model, and why not.

    `violations` are those that onboarding's proof would find. `max_batch_size` is 1 for a model
    that answers single images only. `remarks` are about the images on which it was compared.
    """

    manifest: NetworkManifest
    files: list[tuple[str, Path]]
    lite: str
    violations: list[Violation] = field(default_factory=list)
    max_batch_size: int | None = None
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Made:
    """The LiteRT model's file or None, a sentence about it, and the proof of what is served."""

    file: Path | None
    summary: str
    manifest: Manifest
    proof: Proof
    remarks: list[str] = field(default_factory=list)


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
    remark(_running(settings))
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


def _running(settings: ArtifactOptions) -> str:
    if not settings.quantise:
        return "running it ..."
    options = settings.quantise
    return f"running it, and comparing it as {options.kind} on the images in {options.images} ..."


def _ask_to_reexport(error: BodyTooLarge, prompter: Prompter) -> None:
    answer = prompter.ask(
        "--reexport",
        f"{error} Export the model again to take raw bytes, which are smaller?",
        choices=("yes", "no"),
        suggestion="yes",
    )
    if answer != "yes":
        raise CannotPack(f"{error} The endpoint would reject the model.")


def _run(
    plan: Plan, settings: ArtifactOptions, manifest: Manifest, folder: Path, scratch: Path
) -> Built:
    """Raises BodyTooLarge, DoesNotRun, CannotPack."""
    image = settings.golden.read_bytes() if settings.golden else None
    alone = plan.detected is not None
    if alone:
        conversion.screen(folder / LITE, settings.more_ops)
    load = inference.lite(folder / LITE) if alone else inference.saved_model(folder)
    with ExitStack() as contexts:
        images = _images(settings, manifest, contexts)
        contexts.enter_context(tensorflow.quiet())
        runtime = contexts.enter_context(load)
        inference.check(runtime, manifest)
        if image:
            sample = _golden(runtime, manifest, image, settings)
            manifest = manifest.model_copy(update={"golden": sample})
        proof = inference.prove(runtime, manifest, image)
        reference = Reference(
            plan, manifest, folder, runtime, proof.max_batch_size, settings.more_ops
        )
        if alone:
            made = Made(folder / LITE, ALONE, manifest, proof)
        elif proof.violations:
            made = Made(None, "left out: onboarding would reject the model", manifest, proof)
        elif not settings.lite:
            made = Made(None, "left out, because of --no-lite", manifest, proof)
        else:
            made = _lite(reference, settings, images, image, proof, scratch)
    files = [] if settings.lite_only and made.file else artifact.members(folder)
    if made.file:
        files.append((f"1/{LITE.as_posix()}", made.file))
    if made.manifest.golden and settings.golden:
        files.append((made.manifest.golden.image, settings.golden))
    violations = [_named(each, folder, manifest) for each in made.proof.violations]
    return Built(
        made.manifest, files, made.summary, violations, made.proof.max_batch_size, made.remarks
    )


def _images(
    settings: ArtifactOptions, manifest: Manifest, contexts: ExitStack
) -> LabelledImages | None:
    if not settings.quantise:
        return None
    examples = settings.quantise.kind == "int8"
    return contexts.enter_context(opened(settings.quantise.images, manifest, examples=examples))


def _lite(
    reference: Reference,
    settings: ArtifactOptions,
    images: LabelledImages | None,
    image: bytes | None,
    proof: Proof,
    scratch: Path,
) -> "Made":
    """Add the LiteRT model. Raises CannotPack if it cannot be made as the options say."""
    options, manifest = settings.quantise, reference.manifest
    lite = conversion.convert(reference, image, scratch, anew=options is not None)
    if settings.lite_only and not lite.file:
        raise CannotPack(f"--lite-only needs a LiteRT model: {lite.summary}")
    only = f"; {ALONE}" if settings.lite_only else ""
    if options is None or images is None:
        return Made(lite.file, f"{lite.summary}{only}", manifest, proof)
    quantised = quantisation.quantise(options, images, reference, lite, scratch)
    manifest = quantised.manifest
    with inference.lite(quantised.file) as runtime:
        if image and (full := manifest.golden):
            sample = _golden(runtime, manifest, image, settings)
            if settings.lite_only:
                manifest = manifest.model_copy(update={"golden": sample})
            else:
                _check_golden(options.kind, full, sample)
        proof = inference.prove(runtime, manifest, image)
    return Made(quantised.file, f"{quantised.summary}{only}", manifest, proof, quantised.remarks)


def _check_golden(kind: str, full: GoldenSample, small: GoldenSample) -> None:
    """The endpoint may run either model, and both must answer the golden sample alike."""
    apart = abs(full.score - small.score)
    if full.label != small.label or apart > full.tolerance / 2:
        raise CannotPack(
            f"the {kind} model answers '{small.label}' ({small.score:.4f}) to --golden, the "
            f"SavedModel '{full.label}' ({full.score:.4f}); they may be {full.tolerance / 2:g} "
            "apart. Name an image of which the model is more certain, or leave the SavedModel out "
            "with --lite-only"
        )


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


def _named(violation: Violation, folder: Path, manifest: Manifest) -> Violation:
    """Name the random layers where they are the cause."""
    if violation.code != "not-repeatable" or not (folder / GRAPH).is_file():
        return violation
    if not (random := conversion.random_layers(folder, manifest)):
        return violation
    return replace(violation, problem=f"{violation.problem}; the model has random layers: {random}")


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
