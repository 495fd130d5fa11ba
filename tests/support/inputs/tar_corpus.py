"""Tar archives for readers to disagree about: written as many programs do, then distorted."""

import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random

RECORD = 512
END = bytes(2 * RECORD)
LONG = f"1/assets/{'x' * 90}/{'y' * 90}"
CONTENTS: Mapping[str, bytes] = {
    "1/": b"",
    "facet.json": b"{}",
    "1/saved_model.pb": b"graph" * 120,
    "1/assets/empty": b"",
    "1/assets/caf\u00e9-\u6f22.txt": b"letters",
    LONG: b"long",
}


@dataclass(frozen=True)
class Style:
    """How one program writes headers: `number` makes a field of a value and the field's width.

    `long` is how names over 100 bytes are written, `utf8` how those with other than ASCII letters:
    `x` in pax, `L` in GNU's long names, `prefix` in ustar's two fields, none: not at all.
    """

    magic: bytes = b"ustar\x0000"
    number: Callable[[int, int], bytes] = lambda value, width: b"%0*o\0" % (width - 1, value)
    size: Callable[[int, int], bytes] | None = None
    checksum: bytes = b"%06o\0 "
    owner: Callable[[int, int], bytes] | None = None
    device: bytes = b"0000000\0"
    file: bytes = b"0"
    long: str = "prefix"
    long_end: bytes = b"\0"
    utf8: str = ""
    star: bytes = b""
    globally: bytes = b""
    records: tuple[tuple[str, str], ...] = ()


def _ended_by_space(value: int, width: int) -> bytes:
    return b"%0*o " % (width - 1, value)


def _ended_by_both(value: int, width: int) -> bytes:
    return (b"%0*o \0" % (width - 2, value))[:width]


def _as_wide_as_bsd(value: int, width: int) -> bytes:
    return _ended_by_both(value, width) if width == 8 else _ended_by_space(value, width)


def _led_by_spaces(value: int, width: int) -> bytes:
    return b"%*o\0" % (width - 1, value)


def _base_256(value: int, width: int) -> bytes:
    return b"\x80" + (value + 3_000_000).to_bytes(width - 1)


def _nothing(_: int, width: int) -> bytes:
    return bytes(width)


_GNU = Style(magic=b"ustar  \0", device=bytes(8), long="L")
_PAX = Style(long="x", utf8="x")
_BSD = Style(number=_as_wide_as_bsd, device=b"000000 \0")
_NODE = Style(number=_ended_by_both, checksum=b"%06o \0", device=b"000000 \0")
STYLES: Mapping[str, Style] = {
    "GNU tar, gnu": _GNU,
    "GNU tar, gnu, a large user id": replace(_GNU, owner=_base_256),
    "GNU tar, ustar": Style(),
    "GNU tar, posix": replace(_PAX, records=(("mtime", "1700000000.1"), ("atime", "1.5"))),
    "GNU tar, v7": Style(magic=bytes(8), file=b"\0", long=""),
    "bsdtar, ustar": _BSD,
    "bsdtar, pax": replace(
        _BSD,
        long="x",
        utf8="x",
        records=(("SCHILY.xattr.user.a", "b\nc"), ("LIBARCHIVE.creationtime", "1700000000")),
    ),
    "bsdtar, without a locale": replace(_BSD, utf8="x", records=(("hdrcharset", "BINARY"),)),
    "bsdtar, gnutar": replace(_GNU, device=bytes(8)),
    "bsdtar, v7": replace(_BSD, magic=bytes(8), file=b"\0", long="", device=bytes(8)),
    "busybox, 7z": _GNU,
    "cpio, ustar": Style(checksum=b"%07o\0"),
    "cpio, tar": Style(magic=bytes(8), checksum=b"%07o\0", long="", device=bytes(8)),
    "Python, pax": replace(_PAX, device=bytes(8)),
    "git archive": replace(_PAX, checksum=b"%07o\0", globally=b"52 comment=" + b"a" * 40 + b"\n"),
    "node-tar": replace(_NODE, long="x", star=b"15302562611\x0015302562611\0"),
    "node-tar, portable": replace(_NODE, owner=_nothing),
    "tar-stream": replace(_BSD, checksum=b"%06o \0", utf8="x"),
    "Java's commons-compress, gnu": Style(
        number=_ended_by_space, long="L", star=b"15302562611 15302562611 "
    ),
    "Java's commons-compress, posix": replace(_PAX, number=_ended_by_space),
    "Ant": Style(magic=b"ustar\0\0\0", long=""),
    "Perl's Archive::Tar": Style(
        size=_led_by_spaces, number=lambda value, _: b"%06o\0\0" % value, long="L", long_end=b""
    ),
    "Plexus (Maven)": Style(
        magic=b"ustar\0\0\0",
        number=_led_by_spaces,
        owner=lambda _, width: b" " * (width - 1) + b"\0",
        checksum=b"%6o\0 ",
        device=b"     0 \0",
        long="L",
    ),
    "Dart's pub": Style(magic=b"ustar\x000 ", number=_led_by_spaces, device=bytes(8), long="L"),
    "Go's archive/tar": replace(_PAX, device=b"0000000\0"),
}


@dataclass
class Block:
    """A header, the content after it, and what is in place of the zeros after that."""

    header: bytearray
    content: bytes = b""
    padding: bytes = b""

    def packed(self) -> bytes:
        """All of it."""
        room = -len(self.content) % RECORD
        return bytes(self.header) + self.content + self.padding[:room].ljust(room, b"\0")


def blocks(style: Style) -> list[Block]:
    """The members that a style can write."""
    made = [_block(style, "pax_global_header", style.globally, b"g")] if style.globally else []
    for name, content in CONTENTS.items():
        kind = tarfile.DIRTYPE if name.endswith("/") else style.file
        long, ascii_only = len(name.encode()) > 100, name.isascii()
        way = style.long if long else ("plain" if ascii_only else style.utf8 or "plain")
        if not way:
            continue
        stated = [*style.records, ("path", name)] if way == "x" else [*style.records]
        if way == "x" or (stated and kind == style.file and style.long == "x"):
            records = b"".join(record(*each) for each in stated)
            made.append(_block(style, "PaxHeaders/x", records, b"x"))
        if way == "L":
            made.append(_block(_GNU, "././@LongLink", name.encode() + style.long_end, b"L"))
        made.append(_block(style, name, content, kind, split=way == "prefix"))
    return made


def packed(members: list[Block]) -> bytes:
    """The archive of those members."""
    return b"".join(each.packed() for each in members) + END


def record(key: str | bytes, value: str | bytes) -> bytes:
    """One pax record, whose length counts itself."""
    content = b" %b=%b\n" % tuple(x if isinstance(x, bytes) else x.encode() for x in (key, value))
    length = len(content) + 2
    length += len(str(length)) - 2
    return f"{length}".encode() + content


def signed(header: bytearray, form: bytes = b"%06o\0 ") -> bytearray:
    """The header with the checksum that belongs to it."""
    header[148:156] = b" " * 8
    header[148:156] = form % sum(header)
    return header


def _block(style: Style, name: str, content: bytes, kind: bytes, split: bool = False) -> Block:
    header = bytearray(RECORD)
    before, _, last = name.rpartition("/") if split else ("", "", name)
    header[:100] = last.encode()[:100].ljust(100, b"\0")
    number, owner = style.number, style.owner or style.number
    header[100:108] = number(0o644, 8)
    header[108:116] = header[116:124] = owner(0, 8)
    header[124:136] = (style.size or number)(len(content), 12)
    header[136:148] = b"%011o\0" % 1_700_000_000 if style.size else number(1_700_000_000, 12)
    header[156:157] = kind
    header[257:265] = style.magic
    header[329:345] = style.device * 2
    header[345:500] = before.encode().ljust(155, b"\0")
    if style.star:
        header[476:500] = style.star
    return Block(signed(header, style.checksum), content)


NUMBERS = rb"|0|5|7|0_7|0o7|+7|-7|0x7| 7|7 |7 9|8|00000000007|000000000007".split(b"|")
NUMBERS += [b" " * 7, b" " * 12, b"\x007", b"\t7", b"7\x009", b"\x80\0\0\x07", b"\xff\xff"]
NAMES = rb"|code/x|a/|./a|a//b|a/.|/a|1/assets/a|1/assets|a\b| a|a ".split(b"|")
NAMES += [b"a\0b", b"a\0\nb", b"\xff", b"\xc3\xa9", b"x" * 100, b"x" * 99 + b"/"]
MAGICS = [
    b"ustar\x0000",
    b"ustar  \0",
    bytes(8),
    b"ustar\0\0\0",
    b"ustar\0  ",
    b"ustar\x0001",
    b"ustar 00",
]
PREFIXES = [b"", b"1/assets", b"code", b"p/", b"p\0q", b"\0q", b"/"]
PREFIXES += [b"p" * 130, b"p" * 131, b"p" * 155]
TAILS = (b"15302562611 15302562611 ", b"15302562611\x0015302562611\0", b"1/assets", bytes(24))
KINDS = b"0\0005123467xgLKXSAVMNDQ"
KEYS = b"path|size|mtime|uid|gname|comment|linkpath|hdrcharset|type|mode| path|path |K.ey".split(
    b"|"
)
KEYS += [b"GNU.sparse.name", b"SCHILY.realsize", b"SCHILY.xattr.user.a", b"SCHILY.xattr.\0"]
VALUES = b"1/assets/a|code/x||0|5|7|600|-1|1e3|nan|BINARY|a/|=|1700000000.25|99999999999".split(
    b"|"
)
VALUES += [b"x\n19 path=1/assets/b", b"x\n 9 path=b", b"x\n26 path=code/inference.py"]
VALUES += [b"a\0b", b"a\nb", b"\xc3\xa9", b"x" * 120, b"1/assets/" + b"z" * 120, b"p/" * 60 + b"q"]


def distorted(style: Style, random: Random) -> bytes:
    """An archive in which a few fields, headers or bytes are not what they were."""
    members = blocks(style)
    for _ in range(random.choice((1, 1, 2, 3))):
        _distort(members, random)
    raw = packed(members)
    end = random.choice((0, 0, 0, 0, 0, 100, RECORD, 3 * RECORD, -RECORD, -100))
    return raw + bytes(end) if end >= 0 else raw[:end]


def _distort(members: list[Block], random: Random) -> None:
    at = random.randrange(len(members))
    header = members[at].header
    choice = random.randrange(10)
    if choice == 0:
        start, end = random.choice(
            ((100, 108), (108, 116), (116, 124), (124, 136), (124, 136), (136, 148), (329, 337))
        )
        _write(header, start, end, random.choice(NUMBERS))
    elif choice == 1:
        _write(header, 0, 100, random.choice(NAMES))
    elif choice == 2:
        header[257:265] = random.choice(MAGICS)
    elif choice == 3:
        _write(header, 345, 500, random.choice(PREFIXES))
    elif choice == 4:
        header[476:500] = random.choice(TAILS).ljust(24, b"\0")
    elif choice == 5:
        header[156] = random.choice(KINDS)
    elif choice == 6:
        members.insert(at, _extended(random))
    elif choice == 7:
        start = random.randrange(RECORD)
        _write(header, start, min(RECORD, start + 3), random.randbytes(3))
    elif choice == 8:
        members.insert(at, members.pop(random.randrange(len(members))))
    else:
        members[at].padding = random.choice((b"code/x", record(b"path", b"code/x"), b"\0x"))
    signed(header, random.choice((b"%06o\0 ", b"%06o \0", b"%07o\0", b"%7o ", b"%08o")))


def _write(header: bytearray, start: int, end: int, value: bytes) -> None:
    header[start:end] = value[: end - start].ljust(end - start, b"\0")


def _extended(random: Random) -> Block:
    kind = random.choice((b"x", b"x", b"x", b"g", b"L", b"L", b"K"))
    if kind in b"xg":
        keys = random.sample(KEYS, random.choice((1, 1, 2)))
        content = b"".join(record(key, random.choice(VALUES)) for key in keys)
        content = random.choice((content, content, content, b"0" + content, content + b"\0"))
        padding = random.choice((b"", b"", record(b"path", b"code/x")))
    else:
        content = random.choice(VALUES) + random.choice((b"", b"\0", b"\0\0", b"\0a"))
        padding = random.choice((b"", b"", b"x"))
    style = random.choice((Style(), _GNU))
    made = _block(style, random.choice(("PaxHeaders/x", "././@LongLink", "code/x")), content, kind)
    return replace(made, padding=padding)


def corpus(count: int, seed: int) -> Iterator[bytes]:
    """Each style as it is, then distorted archives of all styles in turn."""
    random = Random(seed)
    styles = list(STYLES.values())
    yield from (packed(blocks(style)) for style in styles)
    for number in range(count):
        yield distorted(styles[number % len(styles)], random)
