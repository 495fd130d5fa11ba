"""An artifact as a stream of bytes → what is in it. Nothing is ever extracted."""

import gzip
import hashlib
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import RawIOBase
from typing import Protocol

from facet.errors import Violation

BLOCK = 1 << 20
MAX_MEMBERS = 10_000
MAX_UNPACKED = 10 << 30
"""Bytes of all members together; SageMaker takes artifacts of a few GB."""

MAX_RATIO = 100
"""Unpacked to packed bytes, beyond the first block; deflate reaches 1,032 on zeros, weights 1.1."""

MAX_KEPT = 64 << 20
"""Bytes of all files that the checks read whole: the manifest, the graph, a golden sample."""

MAX_HEADER = 2 * BLOCK
"""Bytes between two members' contents that tarfile may read, which holds a header in memory. One
block is read ahead."""

MAX_NAME = 1_000

GZIP = b"\x1f\x8b"
"""How every gzip begins (RFC 1952)."""

KEPT = re.compile(r"[^/]+|[0-9]+/saved_model\.pb")
"""Members that the checks read: files at the top, and the graph."""


class Readable(Protocol):
    """A stream of bytes, S3's body among them."""

    def read(self, amount: int, /) -> bytes:
        """Up to `amount` bytes, none at the end."""


@dataclass
class Archive:
    """What one pass over an artifact found.

    `sha256` (hex) and `size` are of the packed bytes, `files` maps each regular member to its
    bytes, `kept` holds the contents of those that the checks read.
    """

    sha256: str = ""
    size: int = 0
    files: dict[str, int] = field(default_factory=dict)
    kept: dict[str, bytes] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)


class _Digested(RawIOBase):
    """Passes a stream on and digests what went through; `head` is how it began."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self.head = b""
        self.size = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        block = self._stream.read(size if size >= 0 else BLOCK)
        self._digest.update(block)
        self.head += block[: len(GZIP) - len(self.head)]
        self.size += len(block)
        return block

    def drain(self) -> str:
        """Reads to the end; the whole stream's SHA-256."""
        while self.read(BLOCK):
            pass
        return self._digest.hexdigest()


class _Enough(Exception):
    """The artifact goes beyond what we look at."""

    def __init__(self, violation: Violation) -> None:
        self.violation = violation


class _Bounded(RawIOBase):
    """The unpacked stream, up to the limits; `header_end` is where the next header has to end."""

    def __init__(self, packed: _Digested) -> None:
        self._packed = packed
        self._unpacked = gzip.GzipFile(fileobj=packed)
        self.size = 0
        self.header_end = MAX_HEADER

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        try:
            block = self._unpacked.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _Enough(_TRUNCATED if self._packed.head == GZIP else _NOT_GZIP) from error
        self.size += len(block)
        if self.size > min(MAX_UNPACKED, MAX_RATIO * (self._packed.size + BLOCK)):
            raise _Enough(_TOO_LARGE)
        if self.size > self.header_end:
            raise _Enough(_TOO_LARGE_HEADER)
        return block


def read(stream: Readable) -> Archive:
    """Reads a `tar.gz` in one pass and in bounded memory.

    Whatever is wrong with it becomes a violation; the digest is always that of all its bytes.
    """
    archive = Archive()
    packed = _Digested(stream)
    unpacked = _Bounded(packed)
    try:
        _read_members(unpacked, archive)
    except _Enough as enough:
        archive.violations.append(enough.violation)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError):  # all of them tarfile's
        no_tar = _NOT_TAR if packed.head == GZIP else _NOT_GZIP
        archive.violations.append(_TRUNCATED if archive.files else no_tar)
    archive.sha256 = packed.drain()
    archive.size = packed.size
    return archive


def _read_members(unpacked: _Bounded, archive: Archive) -> None:
    seen: set[str] = set()
    count = kept = 0
    with tarfile.open(fileobj=unpacked, mode="r|", bufsize=BLOCK) as tar:
        while member := tar.next():
            tar.members.clear()  # type: ignore[attr-defined]  # or it keeps every header
            unpacked.header_end = tar.offset + MAX_HEADER
            if tar.offset > MAX_UNPACKED:  # tarfile would look for its end for ever
                raise _Enough(_TOO_LARGE)
            count += 1
            if count > MAX_MEMBERS or len(member.name) > MAX_NAME:
                raise _Enough(_TOO_MANY if count > MAX_MEMBERS else _TOO_LARGE_HEADER)
            name = posixpath.normpath(member.name)
            archive.violations += _wrong_with(member, name, name in seen)
            seen.add(name)
            if not _is_plain(member):
                continue
            archive.files[name] = member.size
            if not KEPT.fullmatch(name) or not (content := tar.extractfile(member)):
                continue
            if kept + member.size > MAX_KEPT:
                archive.violations.append(_too_large_file(name, member.size))
            else:
                archive.kept[name] = content.read()
                kept += member.size
        unpacked.header_end = MAX_UNPACKED
        if not _ends(tar):
            archive.violations.append(_TRUNCATED)


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.isreg() and not member.issparse()


def _ends(tar: tarfile.TarFile) -> bool:
    """Whether the archive's end mark, blocks of zeros, follows, and nothing else."""
    clean = False
    while tar.fileobj and (block := tar.fileobj.read(BLOCK)):
        clean = not block.strip(b"\0")
        if not clean:
            break
    return clean


def _wrong_with(member: tarfile.TarInfo, name: str, twice: bool) -> Iterator[Violation]:
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        yield Violation(
            "unsafe-path",
            member.name,
            "the path leads out of the artifact",
            "pack with relative paths: tar -czf model.tar.gz -C DIR facet.json 1",
        )
    if not (_is_plain(member) or member.isdir()):
        yield Violation(
            "not-a-file",
            member.name,
            "the member is a link, a device, sparse, or of another special kind",
            "pack regular files only: tar --dereference",
        )
    if twice and not member.isdir():
        yield Violation(
            "duplicate-member",
            member.name,
            "the name is there twice",
            "pack the folder once, into a new file",
        )
    if name.split("/")[0] == "code":
        yield Violation(
            "code",
            member.name,
            "code would run inside the server that all models share",
            "leave the folder code/ out; preprocessing belongs into facet.json's input",
        )


def _too_large_file(name: str, size: int) -> Violation:
    return Violation(
        "too-large-file",
        name,
        f"the file has {size:,} bytes, at most {MAX_KEPT:,} are read of all such files",
        "keep weights in variables/, not in the graph or at the top of the artifact",
    )


_NOT_GZIP = Violation(
    "not-gzip",
    "model.tar.gz",
    "the upload is not gzip",
    "pack it with: tar -czf model.tar.gz -C DIR facet.json 1",
)
_NOT_TAR = Violation(
    "not-tar",
    "model.tar.gz",
    "the gzip does not hold a tar archive",
    "pack it with: tar -czf model.tar.gz -C DIR facet.json 1",
)
_TRUNCATED = Violation(
    "truncated",
    "model.tar.gz",
    "the archive ends in the middle, or is damaged",
    "check it with gzip -t, then upload it again",
)
_TOO_LARGE = Violation(
    "too-large",
    "model.tar.gz",
    f"the artifact unpacks to over {MAX_UNPACKED >> 30} GiB, or to {MAX_RATIO:,} times its size",
    "leave out what the model does not need",
)
_TOO_LARGE_HEADER = Violation(
    "too-large-header",
    "model.tar.gz",
    f"a member has a name of over {MAX_NAME:,} characters, or more about itself than we read",
    "pack it with: tar --format=ustar -czf model.tar.gz -C DIR facet.json 1",
)
_TOO_MANY = Violation(
    "too-many-members",
    "model.tar.gz",
    f"the archive has over {MAX_MEMBERS:,} members",
    "pack facet.json and one version folder only",
)
