"""Build the manifest and the files of a backbone's artifact from a plan.

The backbone is run as the endpoint will run it; its features for the golden image are recorded. A
LiteRT model is added, with float16 weights if they change features little enough.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from cli.pack import artifact, inference
from cli.pack.build import ALONE, ArtifactOptions, Built
from cli.pack.errors import CannotPack
from cli.pack.lite import conversion
from cli.pack.model import tensorflow
from cli.pack.model.source import GRAPH
from cli.pack.plan import LITE, Plan
from facet.artifact.graphs import graph
from facet.errors import BodyTooLarge
from facet.heads import maps
from facet.manifest import BackboneManifest
from facet.places.predict_call import Scores
from facet.specs import FeatureSpec, GoldenFeatures
from serving.runtimes.runtime import Runtime


@dataclass(frozen=True)
class _Lite:
    """The LiteRT model's file or None, and a sentence about it."""

    file: Path | None
    summary: str


def build_backbone(
    plan: Plan,
    provenance: Mapping[str, str],
    settings: ArtifactOptions,
    scratch: Path,
    remark: Callable[[str], object],
) -> Built:
    """Export and run the backbone. Raises CannotPack."""
    tensorflow.required("`facet pack`")
    if plan.detected is not None:
        raise CannotPack("--features: SOURCE is a LiteRT model; pack what it was converted from")
    if settings.reexport and plan.again:
        plan = plan.again()
    remark("exporting the backbone ...")
    with tensorflow.quiet():
        folder = plan.export(scratch / "saved")
    image, name = _image(settings)
    manifest = _manifest(plan, settings, provenance, name, _width(plan, folder))
    remark("running it ...")
    try:
        with tensorflow.quiet(), inference.saved_model(folder) as runtime:
            manifest = _recorded(manifest, runtime, image)
            proof = inference.prove(runtime, manifest, image)
            if settings.lite and not proof.violations:
                file = scratch / "backbone.tflite"
                lite = _lite(plan, manifest, runtime, image, file, settings)
            else:
                without = "left out, because of --no-lite"
                rejected = "left out: onboarding would reject the backbone"
                lite = _Lite(None, rejected if proof.violations else without)
    except BodyTooLarge as error:
        raise CannotPack(f"{error} Use --reexport, or export it for smaller images.") from error
    if settings.lite_only:
        if not lite.file:
            raise CannotPack(f"--lite-only needs a LiteRT model: {lite.summary}")
        with inference.lite(lite.file) as alone:
            manifest = _recorded(manifest, alone, image)
            proof = inference.prove(alone, manifest, image)
        lite = _Lite(lite.file, f"{lite.summary}; {ALONE}")
    golden = scratch / name
    golden.write_bytes(image)
    files = [] if settings.lite_only else artifact.members(folder)
    if lite.file:
        files.append((f"1/{LITE.as_posix()}", lite.file))
    files.append((name, golden))
    return Built(manifest, files, lite.summary, proof.violations, proof.max_batch_size)


def _image(settings: ArtifactOptions) -> tuple[bytes, str]:
    """The golden image and its name in the artifact: the given one, or one that is drawn."""
    from training.export import golden

    if settings.golden is None:
        return golden.draw(0), "golden.png"
    return settings.golden.read_bytes(), f"golden{settings.golden.suffix.lower()}"


def _width(plan: Plan, folder: Path) -> int:
    if plan.labels is not None:
        return plan.labels
    signature = graph.read((folder / GRAPH).read_bytes()).signatures()[plan.spec.signature]
    raise CannotPack(
        f"the output '{plan.output}' has the shape {signature.outputs[plan.output].shape}: a "
        "backbone gives one flat row of features for each image; export it with pooling"
    )


def _manifest(
    plan: Plan, settings: ArtifactOptions, provenance: Mapping[str, str], name: str, width: int
) -> BackboneManifest:
    """The manifest before the golden image's features are known."""
    try:
        return BackboneManifest(
            schema=1,
            kind="backbone",
            model=settings.model,
            description=settings.description,
            input=plan.spec,
            output=FeatureSpec(tensor=plan.output, width=width, maps=plan.maps),
            golden=GoldenFeatures(image=name, features=(1.0,) * width),
            provenance={"packed_from": settings.packed_from, "kind": plan.kind} | dict(provenance),
        )
    except ValidationError as error:
        found = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise CannotPack("; ".join(found)) from error


def _recorded(manifest: BackboneManifest, runtime: Runtime, image: bytes) -> BackboneManifest:
    """Records the features that a runtime computes for the golden image."""
    from training.export.backbone import golden_features

    row = inference.score(runtime, manifest, image)
    if not row.any():
        raise CannotPack("all features of the golden image are 0; name another one with --golden")
    golden = golden_features(manifest.golden.image, row)
    return manifest.model_copy(update={"golden": golden})


def _lite(
    plan: Plan,
    manifest: BackboneManifest,
    runtime: Runtime,
    image: bytes,
    file: Path,
    settings: ArtifactOptions,
) -> _Lite:
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    from training.export.backbone import lite_backbone
    from training.export.export import ExportError

    if not plan.converters:
        return _Lite(None, "left out: the input is a string, which LiteRT cannot decode")
    images = conversion.drawn(manifest.input, image)
    own = inference.scorer(runtime, manifest)(images)

    def run(content: bytes) -> list[Scores]:
        file.write_bytes(content)
        conversion.screen(file, settings.more_ops)
        with inference.lite(file) as other:
            found = [inference.scorer(other, manifest)(images)]
            if manifest.output.maps:
                answered = inference.scorer(other, maps.manifest_of(manifest))(images)
                found.append(maps.averages(manifest.output, answered))
            return found

    problems = []
    for converter in plan.converters:
        try:
            lite = lite_backbone(converter, run, own)
        except (ExportError, CannotPack) as error:
            problems.append(str(error))
        except (ConverterError, tf.errors.OpError, *tensorflow.ERRORS) as error:
            problems.append(f"it cannot be converted: {tensorflow.reason(error)}")
        else:
            file.write_bytes(lite.content)
            return _Lite(file, lite.summary)
    return _Lite(None, f"left out, {problems[0]}")
