"""The artifact's file, and what onboarding would say about it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from facet.artifact import archive, validation
from facet.errors import Violation
from facet.keys import MANIFEST, version_id
from facet.manifest import Manifest
from training.package import pack

KEPT = ("saved_model.pb", "fingerprint.pb", "variables/**/*", "assets/**/*")
"""What TensorFlow Serving reads of a SavedModel's folder."""


@dataclass(frozen=True)
class Packed:
    """An artifact; with `violations` it was not written."""

    version: str
    size: int
    violations: list[Violation]


def members(folder: Path) -> list[tuple[str, Path]]:
    """The files of a SavedModel's folder that belong into an artifact, by their names in it."""
    files = {each for pattern in KEPT for each in folder.glob(pattern) if each.is_file()}
    return sorted((f"1/{each.relative_to(folder).as_posix()}", each) for each in files)


def write(manifest: Manifest, files: list[tuple[str, Path]], target: Path) -> Packed:
    """Packs, `facet.json` first, and checks as onboarding does; the same files, the same bytes.

    `target` is written if nothing is wrong, whole or not at all.
    """
    with tempfile.TemporaryDirectory(dir=target.resolve().parent, prefix=".facet-pack-") as scratch:
        document, part = Path(scratch, MANIFEST), Path(scratch, "artifact")
        document.write_text(manifest.to_json() + "\n")
        with part.open("wb") as file:
            pack([(MANIFEST, document), *files], file)
        with part.open("rb") as packed:
            found = archive.read(packed)
        _, violations = validation.run(found)
        if not violations:
            part.replace(target)
    return Packed(version_id(found.sha256), found.size, violations)
