"""Parses the headers of a tar archive: a member's 512 bytes, and the records of pax.

Programs agree on a header while each field is as POSIX (ustar and pax) or GNU tar define it. Beyond
that they differ: one reads `prefix` whatever the magic is, another takes `0_10` for a number. So
each field is checked, and a header that could be read in two ways is refused
(docs/decisions/0024-archives-that-every-program-reads-alike.md).
"""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from facet.artifact.gzip_stream import DAMAGED, StopReading
from facet.errors import Violation
from facet.keys import ARTIFACT

RECORD = 512
USTAR, POSIX, GNU, V7 = b"ustar\0", b"ustar\x0000", b"ustar  \0", bytes(8)
"""Magic, all but the first with the version; Ant, Plexus and others write their own."""

NUMBER = re.compile(rb" *([0-7]+)[ \0]*")
EMPTY = re.compile(rb" *\0[ \0]*")
"""No number; with spaces alone GNU tar fails."""

RECORD_LENGTH = re.compile(rb"([1-9][0-9]{0,19}) ")
TIME = re.compile(rb"-?[0-9]{1,20}(\.[0-9]*)?")
DIGITS = re.compile(rb"[0-9]{1,20}")
FIRST_TIME, LAST_TIME = -(2**31), 2**33 - 1
"""Seconds since 1970. The last is also the last that a header holds in octal, in the year 2242."""

LAST_ID = 2**32 - 2
"""The last user or group; one more means 'unchanged' to chown."""

ATTRIBUTE = re.compile(
    r"[ug]name|comment|SCHILY\.(dev|ino|nlink|devmajor|devminor|fflags|acl\.[!-~]+|xattr\.[!-~]+)"
    r"|LIBARCHIVE\.(creationtime|xattr\.[!-~]+)|RHT\.security\.selinux"
)
"""Pax keywords, beside times and ids, that leave a member's name, size, kind and content alone."""

CHARSETS = (b"BINARY", b"ISO-IR 10646 2000 UTF-8")
RECORD_INSIDE = re.compile(rb"\n[\x00-\x20+\-\x7f-\xff]*[0-9]")
"""A line in a value that programs which split the records at line ends could read as a record."""


class Field(NamedTuple):
    """Where a number is in a header; the last five may be empty."""

    name: str
    start: int
    end: int


MODE = Field("mode", 100, 108)
UID, GID, MTIME = Field("uid", 108, 116), Field("gid", 116, 124), Field("mtime", 136, 148)
SIZE, CHECKSUM = Field("size", 124, 136), Field("checksum", 148, 156)
DEVICE = Field("devmajor", 329, 337), Field("devminor", 337, 345)
STAR_TIMES = Field("atime", 476, 488), Field("ctime", 488, 500)
"""Java's and node's archives have them where the end of a long prefix would be."""


class NoHeader(Exception):
    """The checksum is wrong."""


@dataclass(frozen=True)
class Header:
    """A member's 512 bytes; `impossible` has what is wrong with its owner and times."""

    name: str
    kind: bytes
    size: int
    impossible: tuple[str, ...]


def parse(record: bytes) -> Header:
    """Raises NoHeader, and StopReading for a header that programs would read differently."""
    if _checksum(record) != 256 + sum(record[:148]) + sum(record[156:]):
        raise NoHeader
    magic, kind = record[257:265], record[156:157]
    name = _text(record[:100], "name", "")
    if magic == POSIX:
        field = record[345:476] if record[475] == 0 else record[345:500]
        prefix = _text(field, "prefix", name)
        name = f"{prefix}/{name}" if prefix else name
    if kind != tarfile.GNUTYPE_SPARSE:
        _check_unused(record, magic, name)
    if kind in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE) and any(record[157:257]):
        raise unclear(name, "it is no link, but its header names a target")
    fields = (MODE, UID, GID, MTIME, *DEVICE)
    numbers = {field.name: _number(record, field, name) for field in fields}
    size = _number(record, SIZE, name)
    if size < 0:
        raise StopReading(DAMAGED)
    return Header(name, kind, size, tuple(_impossible(numbers)))


def records(content: bytes, place: str) -> dict[str, bytes]:
    """Pax records, `length key=value\\n` each. Raises StopReading for a key that is there twice."""
    found: dict[str, bytes] = {}
    at = 0
    while at < len(content):
        length = RECORD_LENGTH.match(content, at)
        end = at + int(length[1]) if length else 0
        key, equals, value = content[length.end() if length else at : end].partition(b"=")
        if not equals or not value.endswith(b"\n") or end > len(content):
            raise StopReading(DAMAGED)
        name = key.decode("utf-8", "replace")
        if name in found:
            raise unclear(place, f"a pax header has '{name}' twice")
        if RECORD_INSIDE.search(value[:-1]):
            raise unclear(place, f"the pax record '{name}' has a line that looks like a record")
        found[name] = value[:-1]
        at = end
    return found


def impossible_record(key: str, value: bytes, place: str) -> str | None:
    """What is wrong with a pax record, which may be about a member's times and owner only.

    Raises StopReading if programs could use it for anything else.
    """
    if key in ("mtime", "atime", "ctime"):
        if TIME.fullmatch(value) and FIRST_TIME <= int(value.partition(b".")[0]) <= LAST_TIME:
            return None
    elif key in ("uid", "gid"):
        if DIGITS.fullmatch(value) and int(value) <= LAST_ID:
            return None
    elif ATTRIBUTE.fullmatch(key) or (key == "hdrcharset" and value in CHARSETS):
        return None
    else:
        raise unclear(place, f"not all programs know the pax record '{key}'")
    return f"{key} is {value.decode('utf-8', 'replace')}"


def unclear(place: str, what: str) -> StopReading:
    """The end of reading, because programs would read the rest of the archive differently."""
    return StopReading(ambiguous(place, what))


def ambiguous(place: str, what: str) -> Violation:
    """A header that programs read differently."""
    return Violation(
        "ambiguous-header",
        place or ARTIFACT,
        f"{what}; programs would unpack it differently",
        "pack it with: tar --format=ustar -czf model.tar.gz -C DIR facet.json 1",
    )


def _checksum(record: bytes) -> int:
    """Must end before its field does: node-tar reads on."""
    match = NUMBER.fullmatch(record, CHECKSUM.start, CHECKSUM.end)
    return int(match[1], 8) if match and match.end(1) < CHECKSUM.end else -1


def _check_unused(record: bytes, magic: bytes, name: str) -> None:
    """What a format does not use must be zero, because another program may use it."""
    if magic not in (GNU, V7) and not magic.startswith(USTAR):
        raise unclear(name, "the magic of its header is none of ustar, GNU and V7")
    end = 345
    if magic == POSIX:
        star = record[475] == 0 and any(record[476:500])
        for field in STAR_TIMES if star else ():
            _number(record, field, name)
        end = 500
    if any(record[end:]):
        raise unclear(name, "its header has content where the format has none")


def _text(field: bytes, what: str, place: str) -> str:
    """A name, which ends at the field's end or is filled with zeros."""
    content, _, rest = field.partition(b"\0")
    text = content.decode("utf-8", "surrogateescape")
    if any(rest):
        raise unclear(place or text, f"its header has content after the end of its {what}")
    return text


def _number(record: bytes, field: Field, place: str) -> int:
    """Octal digits as POSIX has them, or GNU's base 256."""
    content = record[field.start : field.end]
    if match := NUMBER.fullmatch(content):
        return int(match[1], 8)
    if content[0] == 0x80 and field in (UID, GID, SIZE, MTIME):
        return int.from_bytes(content[1:])
    if content[0] == 0xFF and field in (UID, GID, SIZE, MTIME):
        return int.from_bytes(content, signed=True)
    if field is SIZE or not EMPTY.fullmatch(content):
        raise unclear(place, f"the {field.name} of its header is no octal number")
    return 0


def _impossible(numbers: dict[str, int]) -> Iterator[str]:
    for key in ("uid", "gid"):
        if not 0 <= numbers[key] <= LAST_ID:
            yield f"{key} is {numbers[key]}"
    if not FIRST_TIME <= numbers["mtime"] <= LAST_TIME:
        yield f"mtime is {numbers['mtime']}"
