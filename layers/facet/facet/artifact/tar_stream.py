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
from facet.artifact.tar_header import (
    DIGITS,
    RECORD,
    Header,
    NoHeader,
    impossible_record,
    parse,
    records,
    unclear,
)
from facet.errors import Violation
from facet.keys import ARTIFACT

MAX_HEADER = 1 << 18
"""Bytes of a member's extended headers, beyond its 512; extended attributes need the most."""

ZEROS = bytes(RECORD)
SPARSE_MORE, SPARSE_MORE_AGAIN = 482, 504
"""Offsets of the byte that says another block of GNU's sparse header follows."""

FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)
LONG = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
EXTENDED = (*LONG, tarfile.XHDTYPE, tarfile.XGLTYPE)
LINKS = (tarfile.LNKTYPE, tarfile.SYMTYPE)
NO_CONTENT = (*LINKS, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
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
    """An entry of the archive; `is_file` and `is_folder` are false for links and the like.

    `alias` is its name for a program that does not know extended headers; `impossible` says what is
    wrong with its owner and times.
    """

    name: str
    size: int
    is_file: bool
    is_folder: bool
    content: Content
    alias: str
    impossible: tuple[str, ...]


@dataclass
class _Extended:
    """What extended headers say about the member after them."""

    name: str | None = None
    size: int | None = None
    link: bool = False
    sparse: bool = False
    kinds: list[bytes] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)


def members(stream: Readable) -> Iterator[Member]:
    """The members in order; content that the caller does not read is skipped.

    Raises StopReading if the archive is damaged, cut short or beyond a limit, if programs would
    read it differently, and after the last member if anything but zeros follows the archive's end.
    """
    count, extended = 0, _Extended()
    while True:
        record = Content(stream, RECORD, TRUNCATED if count else NOT_TAR).read()
        if record == ZEROS:
            break
        count += 1
        try:
            header = parse(record)
        except NoHeader as error:
            raise StopReading(NOT_TAR if count == 1 else DAMAGED) from error
        if header.kind in EXTENDED:
            _extend(extended, header, stream)
            continue
        member = _member(header, extended, stream)
        if header.kind == tarfile.GNUTYPE_SPARSE:
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


def _member(header: Header, extended: _Extended, stream: Readable) -> Member:
    name = header.name if extended.name is None else extended.name
    size = header.size if extended.size is None else extended.size
    if size > MAX_UNPACKED:
        raise StopReading(TOO_LARGE)
    if size != header.size:
        raise unclear(name, f"one header says {size:,} bytes, another {header.size:,}")
    if extended.link and header.kind not in LINKS:
        raise unclear(name, "it is no link, but a header names a target")
    is_folder = header.kind == tarfile.DIRTYPE or _is_folder_of_v7(header, name)
    if is_folder and size:
        raise unclear(name, "it is a folder with content")
    is_file = header.kind in FILES and not is_folder
    content = Content(stream, 0 if header.kind in NO_CONTENT else size)
    impossible = (*extended.impossible, *header.impossible)
    if extended.sparse:
        is_file = is_folder = False
    return Member(name, size, is_file, is_folder, content, header.name, impossible)


def _is_folder_of_v7(header: Header, name: str) -> bool:
    """V7 knew folders only by the slash at the end of their names."""
    slashes = name.endswith("/"), header.name.endswith("/")
    if header.kind == tarfile.AREGTYPE and all(slashes):
        return True
    if (header.kind in FILES and slashes[0]) or (header.kind == tarfile.AREGTYPE and slashes[1]):
        raise unclear(name, "it is a file whose name ends like a folder's")
    return False


def _extend(extended: _Extended, header: Header, stream: Readable) -> None:
    """Adds what an extended header says. Only two of GNU's may stand before one member."""
    if header.size > MAX_HEADER:
        raise StopReading(TOO_LARGE_HEADER)
    content = _exactly(stream, header.size)
    if any(_exactly(stream, -header.size % RECORD)):
        raise unclear(header.name, "an extended header goes on after its end")
    before = [each for each in extended.kinds if each != tarfile.XGLTYPE]
    in_place = header.kind in LONG and before in ([], [LONG[0]], [LONG[1]])
    if not (content and header.name):
        raise unclear(header.name, "an extended header is empty, or has no name")
    if header.kind in extended.kinds or (before and not in_place):
        raise unclear(header.name, "several extended headers are about one member")
    extended.kinds.append(header.kind)
    extended.impossible += header.impossible
    if header.kind in LONG:
        _extend_by_gnu(extended, header.kind, content)
    else:
        _extend_by_pax(extended, header, content)


def _extend_by_gnu(extended: _Extended, kind: bytes, content: bytes) -> None:
    text, _, rest = content.partition(b"\0")
    name = text.decode("utf-8", "surrogateescape")
    if any(rest):
        raise unclear(name, "a long name has content after its end")
    if kind == tarfile.GNUTYPE_LONGNAME:
        extended.name = name
    else:
        extended.link = True


def _extend_by_pax(extended: _Extended, header: Header, content: bytes) -> None:
    stated = records(content, header.name)
    for_all = header.kind == tarfile.XGLTYPE
    for key, value in stated.items():
        if for_all and key in ("path", "size", "linkpath", "hdrcharset"):
            raise unclear(header.name, f"a header gives all members the same '{key}'")
        if key == "path":
            extended.name = value.decode("utf-8", "surrogateescape")
        elif key == "size":
            extended.size = _number(value)
        elif key == "linkpath":
            extended.link = True
        elif key.startswith("GNU.sparse.") and not for_all:
            extended.sparse = True
        else:
            wrong = impossible_record(key, value, header.name)
            extended.impossible += [wrong] if wrong else []


def _number(text: bytes) -> int:
    if not DIGITS.fullmatch(text):
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
