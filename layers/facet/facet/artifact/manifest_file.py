"""The manifest of an artifact that was read: one reader for onboarding and for training's gate."""

from pydantic import ValidationError

from facet.artifact import layout
from facet.artifact.archive import MAX_MANIFEST, Archive
from facet.errors import Violation
from facet.keys import MANIFEST
from facet.manifest import Manifest

UNREADABLE = {"not-gzip", "not-tar", "truncated", "damaged"}
"""Violations of the archive after which nothing that was read can be trusted."""

MAX_FIELDS = 100
"""Violations of a manifest's fields that are listed; a report shows fewer."""


def read(archive: Archive) -> tuple[Manifest | None, list[Violation]]:
    """The manifest, or None and the violations that say why there is none.

    There are no violations if the archive was not read to its end, or if the manifest is inside
    the wrapper folder that `layout.check` reports.
    """
    if unreadable := [each for each in archive.violations if each.code in UNREADABLE]:
        return None, unreadable
    if MANIFEST in archive.kept:
        return _parsed(archive.kept[MANIFEST])
    if archive.files.get(MANIFEST, 0) > MAX_MANIFEST:
        return None, [_long_manifest(archive.files[MANIFEST])]
    lacks = archive.complete and not layout.has_manifest(archive.files)
    return None, [NO_MANIFEST] if lacks else []


def _parsed(content: bytes) -> tuple[Manifest | None, list[Violation]]:
    try:
        return Manifest.model_validate_json(content), []
    except ValidationError as error:
        return None, [
            Violation(
                "manifest-field",
                ".".join([MANIFEST, *map(str, each["loc"])]),
                each["msg"],
                "see docs/manifest.md for what the field takes",
            )
            for each in error.errors(include_url=False, include_input=False)[:MAX_FIELDS]
        ]


def _long_manifest(size: int) -> Violation:
    return Violation(
        "manifest-too-large",
        MANIFEST,
        f"it has {size:,} bytes; the limit is {MAX_MANIFEST:,}",
        "shorten labels, description or provenance",
    )


NO_MANIFEST = Violation(
    "no-manifest",
    MANIFEST,
    "there is no facet.json at the top of the artifact",
    "add one as docs/manifest.md describes, or let `facet pack` write it",
)
