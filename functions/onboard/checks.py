"""What must hold for an artifact before it is tried on the endpoint. Pure: archive → violations."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import astuple

from pydantic import ValidationError

from facet import image
from facet.errors import BrokenImage, UnsupportedImage, Violation
from facet.manifest import InputSpec, Manifest
from onboard.archive import Archive
from onboard.savedmodel import Signature, TensorSpec, UnreadableSavedModel, signatures

MANIFEST = "facet.json"
INCOMPLETE = {
    "not-gzip",
    "not-tar",
    "truncated",
    "too-large",
    "too-large-header",
    "too-many-members",
}
"""Violations after which nobody can say what the artifact lacks."""

GRAPH = re.compile(r"[0-9]+/saved_model\.pb")
IN_FOLDER = re.compile(r"([0-9]+)/.+")
WRAPPED = re.compile(r"(.+)/[0-9]+/saved_model\.pb")

MAX_MANIFEST = 300_000
"""Bytes of a manifest: a version's record in DynamoDB has 400 KB for it and its violations."""

MAX_REPORTED = 50
MAX_TEXT = 500
"""Of a violation's texts, which quote names and messages of any length, in characters."""


def run(archive: Archive) -> tuple[Manifest | None, list[Violation]]:
    """The artifact's manifest where it can be read, and everything that is wrong with it."""
    if INCOMPLETE & {each.code for each in archive.violations}:
        return None, archive.violations
    manifest, wrong = _manifest(archive)
    violations = [*archive.violations, *_layout(archive), *wrong]
    if manifest:
        violations += [*_golden(manifest, archive), *_signature(manifest, archive)]
    return manifest, violations


def reported(violations: Sequence[Violation]) -> tuple[Violation, ...]:
    """Violations as they go into a report: so many, so long, and in characters that UTF-8 has."""
    cut = [
        Violation(*(text[:MAX_TEXT].encode(errors="replace").decode() for text in astuple(each)))
        for each in violations[:MAX_REPORTED]
    ]
    if len(violations) > MAX_REPORTED:
        more = f"there are {len(violations) - MAX_REPORTED:,} more violations"
        cut.append(Violation("more", "model.tar.gz", more, "mend these first"))
    return tuple(cut)


def _layout(archive: Archive) -> Iterator[Violation]:
    folders = {match[1] for name in archive.files if (match := IN_FOLDER.fullmatch(name))}
    versions = [name for name in archive.files if GRAPH.fullmatch(name)]
    if len(folders) > 1:
        yield Violation(
            "several-version-folders",
            ", ".join(f"{folder}/" for folder in sorted(folders)),
            "the artifact has more than one version folder",
            "pack exactly one; each upload becomes a version of its own",
        )
    if versions:
        return
    wrapped = next((match[1] for name in archive.files if (match := WRAPPED.fullmatch(name))), None)
    if wrapped:
        yield Violation(
            "wrapper-folder",
            f"{wrapped}/",
            f"the version folder lies inside '{wrapped}/', it must lie at the top",
            f"pack the folder's contents: tar -czf model.tar.gz -C {wrapped} .",
        )
        return
    yield Violation(
        "no-version-folder",
        "model.tar.gz",
        "there is no <digits>/saved_model.pb",
        "export a SavedModel into a folder named 1 and pack it beside facet.json",
    )


def _manifest(archive: Archive) -> tuple[Manifest | None, list[Violation]]:
    if MANIFEST not in archive.kept:
        return None, [
            Violation(
                "no-manifest",
                MANIFEST,
                "there is no facet.json at the top of the artifact",
                "add one; docs/manifest.md describes it",
            )
        ]
    if archive.files[MANIFEST] > MAX_MANIFEST:
        return None, [
            Violation(
                "manifest-too-large",
                MANIFEST,
                f"it has {archive.files[MANIFEST]:,} bytes, at most {MAX_MANIFEST:,} are kept",
                "shorten labels, description or provenance",
            )
        ]
    try:
        return Manifest.model_validate_json(archive.kept[MANIFEST]), []
    except ValidationError as error:
        return None, [
            Violation(
                "manifest-field",
                ".".join([MANIFEST, *map(str, each["loc"])]),
                each["msg"],
                "docs/manifest.md says what the field takes",
            )
            for each in error.errors()
        ]


def _golden(manifest: Manifest, archive: Archive) -> Iterator[Violation]:
    if manifest.golden is None:
        return
    place = manifest.golden.image
    if place not in archive.kept:
        yield Violation(
            "golden-missing",
            place,
            "the golden sample's picture is not in the artifact",
            "pack the picture beside facet.json, or take 'golden' out of the manifest",
        )
        return
    try:
        image.decode(archive.kept[place])
    except (UnsupportedImage, BrokenImage) as error:
        yield Violation("golden-unreadable", place, str(error), "pack a picture that opens")


def _signature(manifest: Manifest, archive: Archive) -> Iterator[Violation]:
    graphs = [name for name in archive.kept if GRAPH.fullmatch(name)]
    if len(graphs) != 1:
        return
    try:
        found = signatures(archive.kept[graphs[0]])
    except UnreadableSavedModel as error:
        yield Violation(
            "saved-model-unreadable", graphs[0], str(error), "export it again with tf.saved_model"
        )
        return
    name = manifest.input.signature
    if name not in found:
        yield Violation(
            "signature-missing",
            f"{MANIFEST}.input.signature",
            f"the SavedModel has no signature '{name}'",
            f"name one that it has: {', '.join(sorted(found)) or 'it has none'}",
        )
        return
    yield from _input(manifest.input, found[name])
    yield from _output(manifest, found[name])


def _input(spec: InputSpec, signature: Signature) -> Iterator[Violation]:
    place = f"{MANIFEST}.input.tensor"
    if spec.tensor not in signature.inputs:
        yield _no_tensor(place, spec.tensor, "input", sorted(signature.inputs))
        return
    if len(signature.inputs) > 1:
        yield Violation(
            "several-inputs",
            place,
            f"the signature takes {len(signature.inputs)} tensors, a classifier takes one",
            "export a signature that takes the picture alone",
        )
    tensor = signature.inputs[spec.tensor]
    expected = "string" if spec.encoding == "uint8" else "float32"
    if tensor.dtype != expected:
        yield Violation(
            "input-dtype",
            place,
            f"encoding '{spec.encoding}' sends {expected}, the signature takes {tensor.dtype}",
            "set the encoding that fits, or export a signature that takes this one",
        )
    elif not _matches(_shape(spec), tensor):
        yield Violation(
            "input-shape",
            place,
            f"the spec makes {list(_shape(spec))}, the signature takes {list(tensor.shape or ())}",
            "set height, width, channels and layout as the model was trained",
        )


def _shape(spec: InputSpec) -> tuple[int, ...]:
    if spec.encoding == "uint8":
        return (-1,)
    if spec.layout == "flat":
        return (-1, spec.size)
    return (-1, spec.height, spec.width, spec.channels)


def _output(manifest: Manifest, signature: Signature) -> Iterator[Violation]:
    place, name = f"{MANIFEST}.output.tensor", manifest.output.tensor
    if name not in signature.outputs:
        yield _no_tensor(place, name, "output", sorted(signature.outputs))
        return
    tensor = signature.outputs[name]
    if not _matches((-1, len(manifest.labels)), tensor):
        yield Violation(
            "output-width",
            place,
            f"there are {len(manifest.labels)} labels, "
            f"the output's shape is {list(tensor.shape or ())}",
            "list one label for each score, in the order of the output",
        )


def _matches(shape: tuple[int, ...], tensor: TensorSpec) -> bool:
    """Whether a tensor takes that shape; -1 on either side fits any size."""
    if tensor.shape is None:
        return True
    return len(shape) == len(tensor.shape) and all(
        -1 in (ours, theirs) or ours == theirs
        for ours, theirs in zip(shape, tensor.shape, strict=True)
    )


def _no_tensor(place: str, name: str, kind: str, names: list[str]) -> Violation:
    return Violation(
        "tensor-missing",
        place,
        f"the signature has no {kind} '{name}'",
        f"name one that it has: {', '.join(names)}",
    )
