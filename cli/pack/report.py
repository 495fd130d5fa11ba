"""What `facet pack` prints: the artifact, or why onboarding would reject it."""

import shlex
from pathlib import Path

import typer

from cli.pack.artifact import Packed
from cli.pack.build import Built
from cli.terminal.output import Output, facts
from facet.manifest import Manifest, NetworkManifest
from facet.specs import InputSpec


def print_rejection(output: Output, packed: Packed) -> None:
    """Print the violations for which onboarding would reject the artifact. Raises typer.Exit."""
    problems = [
        f"{each.code}: {each.place}: {each.problem}; {each.remedy}" for each in packed.violations
    ]
    output.result(
        {
            "violations": [
                {
                    "code": each.code,
                    "place": each.place,
                    "problem": each.problem,
                    "remedy": each.remedy,
                }
                for each in packed.violations
            ]
        },
        ["not written, onboarding would reject it:", *problems],
    )
    raise typer.Exit(1)


def print_result(output: Output, built: Built, packed: Packed, out: Path) -> None:
    """Print what the artifact at `out` holds, and the command that uploads it."""
    manifest = built.manifest
    named = "" if manifest.model else " --model NAME"
    upload = f"facet push {shlex.quote(str(out))}{named}"
    document = {
        "artifact": str(out),
        "version": packed.version,
        "size": packed.size,
        "lite": built.lite,
        "max_batch_size": built.max_batch_size,
        "manifest": manifest.model_dump(mode="json", by_alias=True, exclude_none=True),
        "next": upload,
    }
    output.result(document, [*facts(_facts(built, packed, out)), "", f"next: {upload}"])


def _facts(built: Built, packed: Packed, out: Path) -> dict[str, str]:
    manifest = built.manifest
    spec = manifest.input
    single = built.max_batch_size == 1
    return {
        "artifact": f"{out}, {packed.size / 1e6:.2f} MB",
        "version": packed.version,
        "made of": f"{manifest.provenance['packed_from']} ({manifest.provenance['kind']})",
        "signature": f"{spec.signature}: {spec.tensor} → {manifest.output.tensor}",
        "images": f"{spec.height}x{spec.width}x{spec.channels} {spec.layout}, "
        f"{spec.encoding}, {_geometry(spec)}",
        **({"batches": "none, it answers single images: sent one by one"} if single else {}),
        "pixels": _arithmetic(manifest),
        **_answers(manifest),
        "LiteRT": built.lite,
    }


def _answers(manifest: NetworkManifest) -> dict[str, str]:
    if not isinstance(manifest, Manifest):
        image, tolerance = manifest.golden.image, manifest.golden.tolerance
        maps = manifest.output.maps
        of_maps = f", averages of {maps.height}x{maps.width} positions" if maps else ""
        return {
            "features": f"{manifest.width:,}{of_maps}",
            "golden": f"{image}, within {tolerance:g}",
        }
    golden, none = manifest.golden, "none: proof will be smoke"
    return {
        "scores": _scores(manifest),
        "labels": _short(manifest.labels),
        "golden": f"{golden.label} {golden.score:.4f}" if golden else none,
    }


def _scores(manifest: Manifest) -> str:
    if manifest.output.binary:
        return f"1, {manifest.output.activation}: of '{manifest.labels[1]}'"
    return f"{len(manifest.labels)}, {manifest.output.activation}"


def _geometry(spec: InputSpec) -> str:
    parts = [spec.resize, f"to {spec.resize_to}, {spec.fit}" if spec.resize_to else spec.fit]
    parts += [f"filled with {list(spec.fill)}"] if spec.fill else []
    text = ", ".join([*parts, "inverted"] if spec.invert else parts)
    return f"resized by the model; not JPEG or PNG: {text}" if spec.encoding == "jpeg" else text


def _arithmetic(manifest: NetworkManifest) -> str:
    spec = manifest.input
    numbers = [f"* {spec.scale:.6g}"]
    numbers += [f"- {spec.mean}"] if spec.mean else []
    numbers += [f"/ {spec.std}"] if spec.std else []
    numbers += [", standardised for each image"] if spec.per_image_standardization else []
    return f"{' '.join(numbers)}, {spec.order}" if spec.channels == 3 else " ".join(numbers)


def _short(labels: tuple[str, ...]) -> str:
    text = ", ".join(labels)
    return text if len(text) <= 72 else f"{text[:69]}..."
