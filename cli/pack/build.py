"""A plan → the manifest and files of an artifact, proven where the model can be run here."""

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
from facet.manifest import GoldenSample, InputSpec, Manifest, OutputSpec
from facet.preprocess import Pixels

DRAWINGS = 16
"""So many drawn images, beside the golden sample, show whether two models answer alike."""

NO_TENSORFLOW = f"TensorFlow is not installed ({install('tensorflow')})"


@dataclass(frozen=True)
class About:
    """What was said about the artifact; None where nothing was."""

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
    """What goes into an artifact, and whether there is a LiteRT model, in words."""

    manifest: Manifest
    files: list[tuple[str, Path]]
    lite: str


def build(
    plan: Plan, about: About, prompter: Prompter, scratch: Path, remark: Callable[[str], object]
) -> Built:
    """Asks for the labels, exports, and runs the model. Raises CannotPack, MissingOption."""
    labels = options.labels(about.labels, plan.labels, prompter)
    remark("reading the model ...")
    with tensorflow.quiet():
        folder = plan.export(scratch / "saved")
    read = activation.found((folder / GRAPH).read_bytes(), plan.spec.signature, plan.output)
    output = OutputSpec(
        tensor=plan.output, activation=options.activation(about.activation, read, prompter)
    )
    golden, lite = _run(plan, about, labels, output, folder, scratch, remark)
    files = artifact.members(folder)
    if lite.file:
        files.append((f"1/{LITE.as_posix()}", lite.file))
    if golden and about.golden:
        files.append((golden.image, about.golden))
    return Built(_manifest(plan, about, labels, output, golden), files, lite.said)


@dataclass(frozen=True)
class _Lite:
    """The LiteRT model, if there is one, and how it came to that."""

    file: Path | None
    said: str


def _run(
    plan: Plan,
    about: About,
    labels: tuple[str, ...],
    output: OutputSpec,
    folder: Path,
    scratch: Path,
    remark: Callable[[str], object],
) -> tuple[GoldenSample | None, _Lite]:
    if not tensorflow.installed():
        if about.golden:
            tensorflow.required("--golden")
        if plan.lite and about.lite:
            return None, _Lite(plan.lite, f"the source's own, unproven: {NO_TENSORFLOW}")
        return None, _Lite(None, NO_TENSORFLOW)
    image = about.golden.read_bytes() if about.golden else None
    remark("running it with TensorFlow ...")
    with tensorflow.quiet(), inference.saved_model(folder, plan.spec, output) as scores:
        golden = _golden(scores, plan.spec, labels, image, about) if image else None
        return golden, _lite(plan, output, scores, about, image, scratch)


def _pixels(spec: InputSpec, image: bytes) -> Pixels:
    return preprocess.geometry(spec, preprocess.decode(spec, image))


def _golden(
    scores: Scorer, spec: InputSpec, labels: tuple[str, ...], image: bytes, about: About
) -> GoldenSample:
    row = scores(_pixels(spec, image)[None])[0]
    if len(row) != len(labels):
        raise CannotPack(f"the model gives {len(row)} scores, there are {len(labels)} labels")
    best = int(np.argmax(row))
    if about.golden_label not in (None, labels[best]):
        raise CannotPack(
            f"the model answers '{labels[best]}' ({row[best]:.3f}) to {about.golden}, not "
            f"'{about.golden_label}': mend --labels, --preprocessing, --order or --fit"
        )
    suffix = about.golden.suffix.lower() if about.golden else ""
    return GoldenSample(
        image=f"golden{suffix}", label=labels[best], score=round(float(row[best]), 6)
    )


def _lite(
    plan: Plan,
    output: OutputSpec,
    scores: Scorer,
    about: About,
    image: bytes | None,
    scratch: Path,
) -> _Lite:
    """The LiteRT model that answers as the SavedModel does, or why there is none."""
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    from training.export import golden
    from training.export.export import ExportError, prove

    if not about.lite:
        return _Lite(None, "left out, as was asked for")
    if not (plan.lite or plan.convert):
        return _Lite(None, "left out: the input is a string, which LiteRT cannot take apart")
    drawn = [golden.draw(seed) for seed in range(DRAWINGS)] + ([image] if image else [])
    pixels = np.stack([_pixels(plan.spec, each) for each in drawn])
    file = plan.lite or scratch / "model.tflite"
    try:
        if plan.convert and not plan.lite:
            file.write_bytes(plan.convert())
        with inference.lite(file, plan.spec, output) as other:
            apart = prove(scores, other, pixels)
    except (ConverterError, tf.errors.OpError, *tensorflow.ERRORS) as error:
        return _Lite(None, f"left out, it cannot be converted: {tensorflow.reason(error)}")
    except (ExportError, CannotPack) as error:
        return _Lite(None, f"left out: {error}")
    return _Lite(file, f"answers as the SavedModel does, within {max(apart, 1e-9):.0e}")


def _manifest(
    plan: Plan,
    about: About,
    labels: tuple[str, ...],
    output: OutputSpec,
    golden: GoldenSample | None,
) -> Manifest:
    try:
        return Manifest(
            schema=1,
            model=about.model,
            description=about.description,
            labels=labels,
            input=plan.spec,
            output=output,
            golden=golden,
            provenance={"packed_from": about.packed_from, "kind": plan.kind},
        )
    except ValidationError as error:
        found = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise CannotPack("; ".join(found)) from error
