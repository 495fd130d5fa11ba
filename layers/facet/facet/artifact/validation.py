"""Validates an artifact before it is proven on the endpoint: an Archive in, violations out.

The command line and onboarding call `run`. Each check has a module of its own: the archive's
members (names), their layout, the manifest (manifest_file), its signature (signature_check), and
the ops of graphs and LiteRT models (graphs/op_policy).
"""

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass

from facet import preprocess
from facet.artifact import layout, manifest_file, signature_check
from facet.artifact.archive import (
    GRAPH,
    LITERT,
    MAX_GRAPH,
    MAX_IMAGE,
    MAX_LITERT,
    Archive,
)
from facet.artifact.graphs import graph, op_policy
from facet.artifact.graphs.graph import SavedModel
from facet.artifact.graphs.saved_model import UnreadableSavedModel
from facet.errors import BrokenImage, UnsupportedImage, Violation
from facet.keys import ARTIFACT, MANIFEST
from facet.manifest import Manifest

MAX_PIXELS = 2048 * 2048
"""Pixels of a golden sample: Pillow needs 16 bytes for each pixel of a transparent WebP, and the
function has 256 MB."""

MAX_REPORTED = 50
MAX_TEXT = 500
"""Characters of each of a violation's texts, which quote names and messages of any length."""


@dataclass(frozen=True)
class Rules:
    """What an operator sets; `ops` are allowed beside the built-in lists, control flow too."""

    golden_required: bool = False
    ops: frozenset[str] = frozenset()


def run(archive: Archive, rules: Rules = Rules()) -> tuple[Manifest | None, list[Violation]]:
    """The manifest, or None if it cannot be read, and every violation of the artifact.

    An archive that was not read to its end is not checked for what it lacks.
    """
    if manifest_file.UNREADABLE & {each.code for each in archive.violations}:
        return None, archive.violations
    manifest, about_manifest = manifest_file.read(archive)
    if manifest:
        about_manifest += _golden(manifest, archive, rules)
        about_manifest += signature_check.sendable(manifest.input)
    name, model = _only_graph(archive)  # after the golden image: both need much memory
    violations = [*archive.violations, *_sizes(archive)]
    if archive.complete:
        violations += layout.check(archive.files, restores=model is not None and model.restores)
    violations += about_manifest
    if model:
        violations += _signatures(name, model, manifest)
        violations += op_policy.check_saved_model(name, model, rules.ops)
    violations += _other_graphs(archive, name, rules)
    return manifest, list(dict.fromkeys(violations))


def reported(violations: Sequence[Violation]) -> tuple[Violation, ...]:
    """The violations for a report: limited in number and length, and valid in UTF-8."""
    cut = [
        Violation(*(text[:MAX_TEXT].encode(errors="replace").decode() for text in astuple(each)))
        for each in violations[:MAX_REPORTED]
    ]
    if len(violations) > MAX_REPORTED:
        more = f"there are {len(violations) - MAX_REPORTED:,} more violations"
        cut.append(Violation("more", ARTIFACT, more, "fix these first"))
    return tuple(cut)


def _sizes(archive: Archive) -> Iterator[Violation]:
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


def _golden(manifest: Manifest, archive: Archive, rules: Rules) -> Iterator[Violation]:
    if manifest.golden is None:
        if rules.golden_required:
            yield _NO_GOLDEN
        return
    place = manifest.golden.image
    if place in archive.kept:
        yield from _image(place, archive.kept[place], manifest)
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


def _image(place: str, data: bytes, manifest: Manifest) -> Iterator[Violation]:
    try:
        preprocess.decode(manifest.input, data, max_pixels=MAX_PIXELS)
    except (UnsupportedImage, BrokenImage) as error:
        yield Violation("golden-unreadable", place, str(error), "pack an image that can be decoded")


def _only_graph(archive: Archive) -> tuple[str, SavedModel | None]:
    """The name and the content of the graph, if there is exactly one."""
    names = [name for name in archive.kept if GRAPH.fullmatch(name)]
    if len(names) != 1:
        return "", None
    return names[0], graph.read(archive.kept[names[0]])


def _signatures(place: str, model: SavedModel, manifest: Manifest | None) -> Iterator[Violation]:
    try:
        signatures = model.signatures()
    except UnreadableSavedModel as error:
        yield op_policy.unreadable(place, error)
        return
    if manifest:
        yield from signature_check.check(manifest, signatures)


def _other_graphs(archive: Archive, checked: str, rules: Rules) -> Iterator[Violation]:
    """Graphs of several version folders, one in memory at a time, and LiteRT models."""
    for name, content in archive.kept.items():
        if GRAPH.fullmatch(name) and name != checked:
            yield from op_policy.check_saved_model(name, graph.read(content), rules.ops)
    for name, model in archive.litert.items():
        yield from op_policy.check_litert(name, model, rules.ops)
        if isinstance(model, mmap.mmap):
            model.close()
    archive.litert.clear()


_NO_GOLDEN = Violation(
    "golden-required",
    f"{MANIFEST}.golden",
    "this deployment requires a golden sample (parameter GoldenRequired)",
    "add an image and the answer that the trainer recorded for it: docs/manifest.md",
)
