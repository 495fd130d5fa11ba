"""Validates an artifact before it is proven on the endpoint: an Archive in, violations out.

The command line and onboarding call `run`. Each check has a module of its own: the archive's
members (names), their layout, the manifest (manifest_file), its signature (signature_check), the
ops of graphs and LiteRT models (graphs/op_policy), and the weights of a head (heads/artifact).
"""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass

from facet.artifact import layout, manifest_file, signature_check
from facet.artifact.archive import (
    GRAPH,
    LITERT,
    MAX_GRAPH,
    MAX_IMAGE,
    MAX_LITERT,
    Archive,
    oversize,
)
from facet.artifact.graphs import graph, litert_signatures, op_policy
from facet.artifact.graphs.graph import SavedModel
from facet.artifact.graphs.litert import TooManyParts, UnreadableLiteRT
from facet.artifact.graphs.saved_model import UnreadableSavedModel
from facet.artifact.manifest_file import Parts
from facet.errors import BrokenImage, UnsupportedImage, Violation
from facet.heads import artifact as heads
from facet.image import decoding
from facet.keys import ARTIFACT, MANIFEST
from facet.manifest import AnyManifest

MAX_PIXELS = 2048 * 2048
"""Pixels of a golden sample: Pillow needs 16 bytes for each pixel of a transparent WebP, and the
function has 256 MB."""

MAX_REPORTED = 50
MAX_TEXT = 500
"""Bytes of each of a violation's texts, which quote names and messages of any length. DynamoDB's
400 KB for an item have room for this many, and for the longest manifest."""


@dataclass(frozen=True)
class Rules:
    """What an operator sets; `ops` are allowed beside the built-in lists, control flow too."""

    golden_required: bool = False
    ops: frozenset[str] = frozenset()


def run(archive: Archive, rules: Rules = Rules()) -> tuple[AnyManifest | None, list[Violation]]:
    """The manifest, or None if it is invalid, and every violation of the artifact.

    Of an invalid manifest the valid fields are compared with the graph. An archive that was not
    read to its end is not checked for what it lacks.
    """
    if manifest_file.UNREADABLE & {each.code for each in archive.violations}:
        return None, archive.violations
    file = manifest_file.read(archive)
    about_manifest = [*file.violations, *_golden(file.parts, archive, rules)]
    if file.parts.spec:
        about_manifest += signature_check.sendable(file.parts.spec)
    name, model = _only_graph(archive)  # after the golden image: both need much memory
    violations = [*archive.violations, *_sizes(archive)]
    if file.parts.kind == "head":
        violations += heads.check(archive, file.parts.golden, file.manifest)
    elif archive.complete:
        restores = model is not None and model.restores
        violations += layout.check(archive.files, restores, archive.folders)
    violations += about_manifest
    if model:
        violations += _signatures(name, model, file.parts)
        violations += op_policy.check_saved_model(name, model, rules.ops)
    violations += _other_graphs(archive, name, rules)
    violations += _litert_models(archive, file.parts, rules)
    return file.manifest, list(dict.fromkeys(violations))


def reported(violations: Sequence[Violation]) -> tuple[Violation, ...]:
    """The violations for a report: limited in number and length, and valid in UTF-8."""
    cut = [Violation(*(_cut(text) for text in astuple(each))) for each in violations[:MAX_REPORTED]]
    if len(violations) > MAX_REPORTED:
        more = f"there are {len(violations) - MAX_REPORTED:,} more violations"
        cut.append(Violation("more", ARTIFACT, more, "fix these first"))
    return tuple(cut)


def _cut(text: str) -> str:
    return text.encode(errors="replace")[:MAX_TEXT].decode(errors="ignore")


def _sizes(archive: Archive) -> Iterator[Violation]:
    if wrong := oversize(archive.size):
        yield wrong
    for name, size in archive.files.items():
        if GRAPH.fullmatch(name) and size > MAX_GRAPH:
            yield _too_large(
                "graph-too-large",
                name,
                size,
                MAX_GRAPH,
                "keep weights in variables/",
            )
        elif LITERT.fullmatch(name) and size > MAX_LITERT:
            yield _too_large(
                "litert-too-large",
                name,
                size,
                MAX_LITERT,
                "remove the LiteRT model; the SavedModel is served without it",
            )


def _too_large(code: str, place: str, size: int, most: int, remedy: str) -> Violation:
    return Violation(code, place, f"it has {size:,} bytes; the limit is {most:,}", remedy)


def _golden(parts: Parts, archive: Archive, rules: Rules) -> Iterator[Violation]:
    place = parts.golden
    if parts.lacks_golden and rules.golden_required:
        yield _NO_GOLDEN
    if place is None:
        return
    if place in archive.kept:
        yield from _image(place, archive.kept[place])
    elif place in archive.files:
        yield Violation(
            "golden-too-large",
            place,
            f"it has {archive.files[place]:,} bytes; the limit for all files at the top together "
            f"is {MAX_IMAGE:,}",
            "pack a smaller image, and no other files beside it",
        )
    elif archive.complete:
        yield Violation(
            "golden-missing",
            place,
            "the golden sample's image is not in the artifact",
            "pack the image beside facet.json, or remove 'golden' from the manifest",
        )


def _image(place: str, data: bytes) -> Iterator[Violation]:
    try:
        decoding.decode(data, max_pixels=MAX_PIXELS)
    except (UnsupportedImage, BrokenImage) as error:
        yield Violation("golden-unreadable", place, str(error), "pack an image that can be decoded")


def _only_graph(archive: Archive) -> tuple[str, SavedModel | None]:
    """The name and the content of the graph, if there is exactly one."""
    names = [name for name in archive.kept if GRAPH.fullmatch(name)]
    if len(names) != 1:
        return "", None
    return names[0], graph.read(archive.kept[names[0]])


def _signatures(place: str, model: SavedModel, parts: Parts) -> Iterator[Violation]:
    try:
        signatures = model.signatures()
    except UnreadableSavedModel as error:
        yield op_policy.unreadable(place, error)
        return
    yield from signature_check.check(parts, signatures)


def _other_graphs(archive: Archive, checked: str, rules: Rules) -> Iterator[Violation]:
    """Graphs of several version folders, one in memory at a time."""
    for name, content in archive.kept.items():
        if GRAPH.fullmatch(name) and name != checked:
            yield from op_policy.check_saved_model(name, graph.read(content), rules.ops)


def _litert_models(archive: Archive, parts: Parts, rules: Rules) -> Iterator[Violation]:
    for name, model in archive.litert.items():
        yield from op_policy.check_litert(name, model.content, rules.ops)
        if parts.maps:
            try:
                found = litert_signatures.signatures(model.content)
            except (UnreadableLiteRT, TooManyParts) as error:
                yield op_policy.unreadable_litert(name, error)
            else:
                yield from signature_check.check_litert(name, parts, found)


_NO_GOLDEN = Violation(
    "golden-required",
    f"{MANIFEST}.golden",
    "this deployment requires a golden sample (parameter GoldenRequired)",
    "add an image and the answer that the trainer recorded for it: docs/manifest.md",
)
