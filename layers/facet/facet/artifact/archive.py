"""Reads an artifact, a stream of bytes, and keeps what validation needs. Nothing is extracted.

The layers below are gzip_stream (unpacks within limits), tar_stream (members) and names (what may
not be in an artifact).
"""

import hashlib
import mmap
import re
import tempfile
from collections.abc import Set
from dataclasses import dataclass, field

from facet.artifact.gzip_stream import Digested, Readable, StopReading, Unpacked
from facet.artifact.names import MemberCheck, is_from_macos, normalised
from facet.artifact.tar_stream import Content, Member, members
from facet.errors import Violation
from facet.heads.weights import HEAD, MAX_HEAD
from facet.keys import ARTIFACT, MANIFEST

GRAPH = re.compile(r"[0-9]+/saved_model\.pb")
LITERT = re.compile(r"[0-9]+/assets\.extra/model\.tflite")

MAX_PACKED = 5 << 30
"""Bytes of a packed artifact: as many as S3's CopyObject copies."""

MAX_MANIFEST = 300_000
"""Bytes of a manifest: DynamoDB's limit of 400 KB for an item includes it and the violations."""

MAX_GRAPH = 20 << 20
"""Bytes of all graphs, of which validation makes up to three copies. A graph without weights in it
has a few MB."""

MAX_IMAGE = 8 << 20
"""Bytes of a golden sample's image, and of all files at the top that could be one."""

MAX_LITERT = 400 << 20
"""Bytes of all LiteRT models, which are on disk until they are published; Lambda has 512 MB of
it."""

MAX_VIOLATIONS = 200
"""Violations of members that are listed; a report shows fewer."""


@dataclass(frozen=True)
class SpooledFile:
    """A member in an unnamed file on disk: the mapped file, and its SHA-256 in hex.

    The disk space is free again when this is closed.
    """

    content: mmap.mmap | bytes
    sha256: str

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.content)

    def close(self) -> None:
        """Unmaps the file, which deletes it."""
        if isinstance(self.content, mmap.mmap):
            self.content.close()


@dataclass
class Archive:
    """What one pass over an artifact found.

    `sha256` (hex) and `size` (bytes) are those of the packed artifact, `files` has the size of each
    regular member, `folders` the members that are folders, `kept` the contents that validation
    reads, `litert` the LiteRT models and `head` the weights of a head, on disk. Only a `complete`
    archive, whose members were all read, can lack something.
    """

    sha256: str = ""
    size: int = 0
    files: dict[str, int] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    kept: dict[str, bytes] = field(default_factory=dict)
    litert: dict[str, SpooledFile] = field(default_factory=dict, compare=False)
    head: SpooledFile | None = field(default=None, compare=False)
    violations: list[Violation] = field(default_factory=list)
    complete: bool = False

    @property
    def litert_model(self) -> SpooledFile | None:
        """The LiteRT model; a valid artifact has at most one."""
        return next(iter(self.litert.values()), None)

    def close(self) -> None:
        """Frees the disk space of LiteRT models and of a head."""
        for each in self.litert.values():
            each.close()
        if self.head:
            self.head.close()


@dataclass
class _Room:
    """Bytes that may still be kept of each kind of file."""

    manifest: int = MAX_MANIFEST
    graphs: int = MAX_GRAPH
    images: int = MAX_IMAGE
    litert: int = MAX_LITERT


def oversize(size: int) -> Violation | None:
    """The violation of an artifact of that many bytes, which can be known before it is read."""
    if size <= MAX_PACKED:
        return None
    return Violation(
        "upload-too-large",
        ARTIFACT,
        f"it has {size:,} bytes; the limit is {MAX_PACKED:,}, as many as S3 copies",
        "leave out what the model does not need",
    )


def read(stream: Readable, *, only: Set[str] | None = None) -> Archive:
    """Reads a `tar.gz` in one pass and in bounded memory.

    What is wrong with it becomes a violation, and the digest is always that of all its bytes. With
    `only`, the contents of no other files are kept.
    """
    archive, packed = Archive(), Digested(stream)
    check, room = MemberCheck(), _Room()
    try:
        for member in members(Unpacked(packed)):
            name = normalised(member.name)
            wrong = list(check.violations(member, name))
            archive.violations += wrong[: MAX_VIOLATIONS - len(archive.violations)]
            if member.is_folder:
                archive.folders.add(name)
            if member.is_file and not is_from_macos(name):
                archive.files[name] = member.size
                if only is None or name in only:
                    _keep(archive, room, member, name)
        archive.complete = True
    except StopReading as stop:
        archive.violations.append(stop.violation)
        archive.complete = stop.complete
    archive.sha256 = packed.drain()
    archive.size = packed.size
    return archive


def _keep(archive: Archive, room: _Room, member: Member, name: str) -> None:
    """Keeps what validation reads of a file; of two with the same name the last counts."""
    archive.kept.pop(name, None)
    if LITERT.fullmatch(name):
        if member.size <= room.litert:
            room.litert -= member.size
            archive.litert[name] = _spooled(member.content)
    elif name == HEAD:
        if member.size <= MAX_HEAD:
            archive.head = _spooled(member.content)
    elif GRAPH.fullmatch(name):
        if member.size <= room.graphs:
            room.graphs -= member.size
            archive.kept[name] = member.content.read()
    elif name == MANIFEST:
        if member.size <= room.manifest:
            room.manifest -= member.size
            archive.kept[name] = member.content.read()
    elif "/" not in name and member.size <= room.images:
        room.images -= member.size
        archive.kept[name] = member.content.read()


def _spooled(content: Content) -> SpooledFile:
    """Writes the content to an unnamed file and maps it."""
    digest = hashlib.sha256()
    if not content.left:
        return SpooledFile(b"", digest.hexdigest())
    with tempfile.TemporaryFile() as file:
        for block in content.blocks():
            digest.update(block)
            file.write(block)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return SpooledFile(mapped, digest.hexdigest())
