"""Reads a tar archive as a stream of members, and limits every header before it is read.

Stricter than `tarfile`, which stops silently at a damaged header, reads headers of any size, and
picks one of two headers that disagree, where another program may pick the other. Formats: ustar,
GNU's long names, and pax (POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar's manual, "Basic
Tar").
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from facet.artifact.gzip_stream import (
    BLOCK,
    DAMAGED,
    MAX_UNPACKED,
    TOO_LARGE,
    TRUNCATED,
    Readable,
    StopReading,
)
from facet.errors import Violation
from facet.keys import ARTIFACT

RECORD = 512
MAX_HEADER = 1 << 18
"""Bytes of a member's extended headers, beyond its 512; extended attributes need the most."""

MAX_DIGITS = 20
"""Digits of a number in a pax header; 64 bits need as many."""

ZEROS = bytes(RECORD)
SPARSE_MORE, SPARSE_MORE_AGAIN = 482, 504
"""Offsets of the byte that says another block of GNU's sparse header follows."""

FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)
LONG = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
NO_CONTENT = (
    tarfile.DIRTYPE,
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
)
"""Kinds without content, whatever size their header gives."""


@dataclass
class Content:
    """The rest of a member's bytes, `left` of them."""

    stream: Readable
    left: int
    missing: Violation = TRUNCATED
    """The violation if the archive ends too early."""

    def blocks(self) -> Iterator[bytes]:
        """The content in blocks. Raises StopReading if the archive ends within it."""
        while self.left:
            block = self.stream.read(min(self.left, BLOCK))
            if not block:
                raise StopReading(self.missing)
            self.left -= len(block)
            yield block

    def read(self) -> bytes:
        """Reads all of it. Raises StopReading."""
        return b"".join(self.blocks())


@dataclass(frozen=True)
class Member:
    """An entry of the archive; `is_file` and `is_folder` are false for links and the like."""

    name: str
    size: int
    is_file: bool
    is_folder: bool
    content: Content


@dataclass
class _Extended:
    """What extended headers say about the member after them."""

    name: str | None = None
    size: int | None = None
    sparse: bool = False
    kinds: list[bytes] = field(default_factory=list)


def members(stream: Readable) -> Iterator[Member]:
    """The members in order; content that the caller does not read is skipped.

    Raises StopReading if the archive is damaged, cut short or beyond a limit, and after the last
    member if anything but zeros follows the archive's end.
    """
    count, extended = 0, _Extended()
    while True:
        record = Content(stream, RECORD, TRUNCATED if count else NOT_TAR).read()
        if record == ZEROS:
            break
        count += 1
        header = _parsed(record, first=count == 1)
        if header.type in (*LONG, *PAX, tarfile.XGLTYPE):
            _extend(extended, header, _long_header(stream, header.size))
            continue
        member = _member(header, extended, stream)
        if header.type == tarfile.GNUTYPE_SPARSE:
            _pass_sparse_map(stream, record)
        extended = _Extended()
        padding = -member.content.left % RECORD
        yield member
        for _ in member.content.blocks():
            pass
        _exactly(stream, padding)
    if extended.kinds:
        raise StopReading(DAMAGED)
    _check_rest(stream)


def _check_rest(stream: Readable) -> None:
    try:
        while block := stream.read(BLOCK):
            if block.strip(b"\0"):
                raise StopReading(GARBAGE_AFTER_TAR)
    except StopReading as error:
        raise StopReading(error.violation, complete=True) from error


def _parsed(record: bytes, first: bool) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(record, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise StopReading(NOT_TAR if first else DAMAGED) from error
    if header.size < 0:
        raise StopReading(DAMAGED)
    return header


def _member(header: tarfile.TarInfo, extended: _Extended, stream: Readable) -> Member:
    name = header.name if extended.name is None else extended.name
    size = header.size if extended.size is None else extended.size
    is_folder = header.type == tarfile.DIRTYPE
    is_file = header.type in FILES and not extended.sparse
    if (is_folder and size) or (is_file and name.endswith("/")):
        raise StopReading(AMBIGUOUS)
    if size > MAX_UNPACKED:
        raise StopReading(TOO_LARGE)
    content = Content(stream, 0 if header.type in NO_CONTENT else size)
    return Member(name, size, is_file, is_folder, content)


def _long_header(stream: Readable, size: int) -> bytes:
    if size > MAX_HEADER:
        raise StopReading(TOO_LARGE_HEADER)
    return _exactly(stream, size + -size % RECORD)[:size]


def _extend(extended: _Extended, header: tarfile.TarInfo, content: bytes) -> None:
    kind = tarfile.XHDTYPE if header.type in PAX else header.type
    if kind in extended.kinds:
        raise StopReading(AMBIGUOUS)
    extended.kinds.append(kind)
    if kind == tarfile.GNUTYPE_LONGLINK:
        return
    if kind == tarfile.GNUTYPE_LONGNAME:
        stated = {"path": content.partition(b"\0")[0]}
    else:
        stated = _records(content)
    for_all = kind == tarfile.XGLTYPE
    sparse = any(key.startswith("GNU.sparse.") for key in stated)
    if for_all and (sparse or stated.keys() & {"path", "size", "linkpath"}):
        raise StopReading(AMBIGUOUS)
    if "path" in stated:
        if extended.name is not None:
            raise StopReading(AMBIGUOUS)
        extended.name = stated["path"].decode("utf-8", "surrogateescape")
    if "size" in stated:
        extended.size = _number(stated["size"])
    extended.sparse |= sparse


def _records(content: bytes) -> dict[str, bytes]:
    """Pax records, `length key=value\\n` each. Raises StopReading for a key that is there twice."""
    found: dict[str, bytes] = {}
    at = 0
    while at < len(content):
        space = content.find(b" ", at, at + MAX_DIGITS + 1)
        end = at + _number(content[at:space] if space > at else b"")
        key, equals, value = content[space + 1 : end].partition(b"=")
        if not equals or not value.endswith(b"\n") or end > len(content):
            raise StopReading(DAMAGED)
        name = key.decode("utf-8", "replace")
        if name in found:
            raise StopReading(AMBIGUOUS)
        found[name] = value[:-1]
        at = end
    return found


def _number(text: bytes) -> int:
    if not (text.isdigit() and len(text) <= MAX_DIGITS):
        raise StopReading(DAMAGED)
    return int(text)


def _pass_sparse_map(stream: Readable, record: bytes) -> None:
    more = record[SPARSE_MORE]
    for _ in range(MAX_HEADER // RECORD):
        if not more:
            return
        more = _exactly(stream, RECORD)[SPARSE_MORE_AGAIN]
    raise StopReading(TOO_LARGE_HEADER)


def _exactly(stream: Readable, size: int) -> bytes:
    return Content(stream, size).read()


NOT_TAR = Violation(
    "not-tar",
    ARTIFACT,
    "the gzip does not contain a tar archive",
    "pack it with: tar -czf model.tar.gz -C DIR facet.json 1",
)
AMBIGUOUS = Violation(
    "ambiguous-header",
    ARTIFACT,
    "two headers of the archive disagree; programs would unpack it differently",
    "pack it with: tar --format=ustar -czf model.tar.gz -C DIR facet.json 1",
)
GARBAGE_AFTER_TAR = Violation(
    "trailing-garbage",
    ARTIFACT,
    "bytes follow the end of the tar archive",
    "pack the folder once, into a new file; archives cannot be joined with cat",
)
TOO_LARGE_HEADER = Violation(
    "too-large-header",
    ARTIFACT,
    f"the headers of a member have over {MAX_HEADER:,} bytes",
    "pack it with: tar --format=ustar -czf model.tar.gz -C DIR facet.json 1",
)
