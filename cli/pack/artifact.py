"""Write the artifact's file, and validate it with onboarding's checks."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.pack.errors import CannotPack
from cli.pack.model.source import GRAPH
from facet.artifact import archive, layout, validation
from facet.artifact.graphs import graph
from facet.artifact.graphs.saved_model import UnreadableSavedModel
from facet.artifact.packing import pack
from facet.errors import Violation
from facet.keys import MANIFEST, version_id
from facet.manifest import NetworkManifest

SAVED_MODEL_FILES = ("saved_model.pb", "fingerprint.pb", "variables/**/*", "assets/**/*")
"""The files of a SavedModel that TensorFlow Serving reads."""


@dataclass(frozen=True)
class Packed:
    """An artifact of `size` bytes; if there are `violations`, it was not written."""

    version: str
    size: int
    violations: list[Violation]


def members(folder: Path) -> list[tuple[str, Path]]:
    """List the files of a SavedModel that belong in an artifact, with their names in it."""
    files = {
        each for pattern in SAVED_MODEL_FILES for each in folder.glob(pattern) if each.is_file()
    }
    return sorted((f"1/{each.relative_to(folder).as_posix()}", each) for each in files)


def check_variables(folder: Path) -> None:
    """Raise CannotPack if the SavedModel lacks files of its weights; TensorFlow is not needed."""
    try:
        restores = graph.read((folder / GRAPH).read_bytes()).restores
    except UnreadableSavedModel:  # the plan says why
        return
    files = {name: file.stat().st_size for name, file in members(folder)}
    if problems := [
        f"{each.place.removeprefix('1/')}: {each.problem}; {each.remedy}"
        for each in layout.check(files, restores)
    ]:
        raise CannotPack(f"{folder}: {'; '.join(problems)}")


def write(
    manifest: NetworkManifest,
    files: list[tuple[str, Path]],
    target: Path,
    proof: Sequence[Violation] = (),
    more_ops: frozenset[str] = frozenset(),
) -> Packed:
    """Pack the files, `facet.json` first, and validate. The same files give the same bytes.

    `more_ops` are those that the stack's MoreOps allows. `target` is replaced atomically, and only
    if there are no violations, neither here nor in the `proof`.
    """
    with tempfile.TemporaryDirectory(dir=target.resolve().parent, prefix=".facet-pack-") as scratch:
        document, part = Path(scratch, MANIFEST), Path(scratch, "artifact")
        document.write_text(manifest.to_json() + "\n")
        with part.open("wb") as file:
            pack([(MANIFEST, document), *files], file)
        with part.open("rb") as packed:
            found = archive.read(packed)
        violations = [*validation.run(found, validation.Rules(ops=more_ops))[1], *proof]
        if not violations:
            part.replace(target)
    return Packed(version_id(found.sha256), found.size, violations)
