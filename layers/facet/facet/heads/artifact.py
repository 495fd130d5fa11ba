"""The artifact of a head, `model.tar.gz`: `facet.json`, `head.npz` and the golden image."""

import io
from collections.abc import Iterator

from facet.artifact.archive import Archive
from facet.artifact.packing import pack as pack_files
from facet.errors import Violation
from facet.heads import weights
from facet.heads.weights import HEAD, MAX_HEAD, BadHead, Head
from facet.keys import MANIFEST
from facet.manifest import AnyManifest, HeadManifest

HEAD_FILE = "head-file"
"""The code of its violations."""

REMEDY = "pack it with facet.heads.artifact.pack, or teach the model again"

NAMED = 3
"""Members that a violation names."""


def pack(manifest: HeadManifest, head: Head, golden: bytes) -> bytes:
    """The artifact, with the encoded image of the golden sample. Equal parts make equal bytes."""
    file = io.BytesIO()
    members: list[tuple[str, bytes]] = [
        (MANIFEST, f"{manifest.to_json()}\n".encode()),
        (HEAD, head.to_bytes()),
        (manifest.golden.image, golden),
    ]
    pack_files(members, file)
    return file.getvalue()


def check(
    archive: Archive, golden: str | None, manifest: AnyManifest | None
) -> Iterator[Violation]:
    """Violations in the files of a head: others than the three, and weights that it cannot use.

    `golden` is the name of the golden sample's image, None if the manifest has no valid one.
    Without a valid `manifest` the weights are not read.
    """
    if archive.complete and HEAD not in archive.files:
        yield Violation(HEAD_FILE, HEAD, "the artifact has no weights", REMEDY)
    elif archive.files.get(HEAD, 0) > MAX_HEAD:
        size = archive.files[HEAD]
        yield Violation(
            HEAD_FILE, HEAD, f"it has {size:,} bytes; the limit is {MAX_HEAD:,}", REMEDY
        )
    if archive.head and isinstance(manifest, HeadManifest):
        try:
            of_manifest(bytes(archive.head.content), manifest)
        except BadHead as error:
            yield Violation(HEAD_FILE, HEAD, str(error), REMEDY)
    yield from _others(archive, golden)


def of_manifest(content: bytes, manifest: HeadManifest) -> Head:
    """The head in the content of `head.npz`. Raises BadHead if it does not fit the manifest."""
    return weights.read(content, labels=len(manifest.labels), width=manifest.backbone.width)


def _others(archive: Archive, golden: str | None) -> Iterator[Violation]:
    """Files that a head has not; without a golden image's name, any one image may be there."""
    known = {MANIFEST, HEAD, golden}
    others = [
        *(name for name in archive.files if name not in known),
        *(f"{name}/" for name in archive.folders if name != "."),
    ]
    if golden is None:
        others = [name for name in others if "/" in name]
    if others:
        yield Violation(
            HEAD_FILE,
            ", ".join(others[:NAMED]),
            f"a head has no other files than {MANIFEST}, {HEAD} and the golden image; here are "
            f"{len(others):,} more members",
            "remove them; the network is in the backbone's artifact",
        )
