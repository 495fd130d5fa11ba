import gzip
import hashlib
import io
import struct
import tarfile
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facet.artifact import archive, gzip_stream, names
from facet.artifact.archive import Archive
from tests.support.inputs import artifacts
from tests.support.inputs.hostile import block, header, info

GOOD = artifacts.artifact(golden=artifacts.golden())
BLOCK = 512
MIB = 1 << 20


def read(data: bytes) -> Archive:
    found = archive.read(io.BytesIO(data))
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.size == len(data)
    return found


def codes(data: bytes) -> list[str]:
    return [each.code for each in read(data).violations]


class Stream:
    """Blocks of bytes as S3's body hands them over: never all at once."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._rest = b""

    def read(self, amount: int, /) -> bytes:
        while not self._rest:
            if (block := next(self._blocks, None)) is None:
                return b""
            self._rest = block
        taken, self._rest = self._rest[:amount], self._rest[amount:]
        return taken


NOISE = Random(1).randbytes(MIB)


def gzip_part(content: bytes, level: int = 1) -> bytes:
    """Content as deflate, to be followed by more."""
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(content) + deflate.flush(zlib.Z_FULL_FLUSH)


def joined(parts: Iterable[bytes], end: bytes = bytes(1024)) -> Iterator[bytes]:
    """Parts of deflate in one gzip, which nobody has to hold whole."""
    inflate, crc, size = zlib.decompressobj(-zlib.MAX_WBITS), 0, 0
    yield gzip.compress(b"")[:10]
    for part in chain(parts, [gzip_part(end)]):
        content = inflate.decompress(part)
        crc, size = zlib.crc32(content, crc), size + len(content)
        yield part
    yield b"\x03\0" + struct.pack("<II", crc, size & 0xFFFFFFFF)


def zeros(mebibytes: int) -> Iterator[bytes]:
    """That many zeros, packed as far as it goes."""
    return repeat(gzip_part(bytes(MIB), 9), mebibytes)


def noise(mebibytes: int) -> Iterator[bytes]:
    """That much of what does not get smaller."""
    return repeat(gzip_part(NOISE), mebibytes)


def peak_of(blocks: Iterable[bytes]) -> tuple[Archive, int]:
    """What an archive holds, and how many bytes reading it took at most."""
    tracemalloc.start()
    try:
        return archive.read(Stream(blocks)), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_good_artifact() -> None:
    found = read(GOOD)
    members = artifacts.members(golden=artifacts.golden())
    assert found.violations == []
    assert found.files == {name: len(content) for name, content in members.items()}
    kept = {"facet.json", "golden.png", "1/saved_model.pb"}
    assert found.kept == {name: members[name] for name in kept}


@pytest.mark.parametrize("prefix", ["./", ".//", "././"])
def test_names_are_normalised_as_tar_unpacks_them(prefix: str) -> None:
    root = info(".", tarfile.DIRTYPE)
    files = [(prefix + name, content) for name, content in artifacts.members().items()]
    assert read(artifacts.packed([root, *files])).files.keys() == artifacts.members().keys()


@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_dialect_with_folders_and_long_names(style: int) -> None:
    long = "1/assets/" + "x" * 90 + "/" + "y" * 90
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=style) as made:
        made.addfile(info("1", tarfile.DIRTYPE))
        made.addfile(info("1/assets/", tarfile.DIRTYPE))
        made.addfile(info(long, size=3), io.BytesIO(b"abc"))
    found = read(buffer.getvalue())
    assert found.violations == []
    assert found.files == {long: 3}


def test_a_stream_in_small_pieces_gives_the_same() -> None:
    pieces = (GOOD[at : at + 7] for at in range(0, len(GOOD), 7))
    assert archive.read(Stream(pieces)) == read(GOOD)


def test_keeps_the_last_of_two_members_with_one_name() -> None:
    found = read(artifacts.packed([("facet.json", b"1"), ("facet.json", b"22")]))
    assert found.kept == {"facet.json": b"22"}
    assert found.files == {"facet.json": 2}


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"a text file", b"PK\x03\x04", artifacts.tar(artifacts.members())],
    ids=["empty", "byte", "text", "zip", "plain-tar"],
)
def test_no_gzip(data: bytes) -> None:
    assert codes(data) == ["not-gzip"]


@pytest.mark.parametrize("inside", [b"", b"a text file", b"\xff" * 2000])
def test_no_tar(inside: bytes) -> None:
    assert codes(gzip.compress(inside)) == ["not-tar"]


@pytest.mark.parametrize("end", sorted({2, 5, 10, 11, *range(20, len(GOOD), len(GOOD) // 25)}))
def test_cut_anywhere_is_truncated(end: int) -> None:
    assert codes(GOOD[:end]) == ["truncated"]


@pytest.mark.parametrize("lost", [1, 4, 8])
def test_cut_in_gzips_trailer_is_truncated(lost: int) -> None:
    assert codes(GOOD[:-lost]) == ["truncated"]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_damaged_byte_is_noticed(share: float) -> None:
    damaged = bytearray(GOOD)
    damaged[int(len(GOOD) * share)] ^= 0x55
    assert {"truncated", "damaged"} & set(codes(bytes(damaged)))


def test_a_tar_that_was_cut_before_it_was_packed_is_truncated() -> None:
    raw = artifacts.tar(artifacts.members())
    content = len(raw.rstrip(b"\0"))
    for end in (BLOCK, BLOCK + 100, content // 2, content - 700, content - 1):
        assert codes(gzip.compress(raw[:end])) == ["truncated"], end


def test_a_tar_with_a_broken_header_in_its_middle_is_damaged() -> None:
    raw = bytearray(artifacts.tar([("a", b"1"), ("b", b"2"), ("c", b"3")]))
    raw[2 * BLOCK + 148 : 2 * BLOCK + 156] = b"00000000"  # the second header's checksum
    assert codes(gzip.compress(raw)) == ["damaged"]


@pytest.mark.parametrize("tail", [b"garbage", bytes(100) + b"x", bytes(1 << 19) + b"x"])
def test_bytes_after_the_end_are_noticed_and_digested(tail: bytes) -> None:
    assert codes(GOOD + tail) == ["trailing-garbage"]
    assert read(GOOD + tail).complete


def test_a_second_gzip_may_hide_behind_padding_and_in_the_next_block() -> None:
    data = GOOD + bytes(9) + GOOD
    found = archive.read(Stream(data[at : at + 1] for at in range(len(data))))
    assert [each.code for each in found.violations] == ["several-gzip-members"]


def test_zeros_after_the_end_are_padding() -> None:
    assert codes(GOOD + bytes(512)) == []
    assert read(GOOD + bytes(512)).complete


def test_an_end_of_one_block_will_do() -> None:
    raw = artifacts.tar(artifacts.members()).rstrip(b"\0")
    assert codes(gzip.compress(raw + bytes(-len(raw) % BLOCK + BLOCK))) == []


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/passwd", "a/../../x", "..", "1/..", "a\\..\\x", "//x", "1/../1/x"],
)
def test_paths_that_lead_out(name: str) -> None:
    assert "unsafe-path" in codes(artifacts.packed([(name, b"x")]))


def test_a_name_that_hides_behind_a_null() -> None:
    member = info("innocent")
    member.pax_headers = {"path": "innocent\0/../../x"}
    assert codes(artifacts.packed([member])) == ["unsafe-path"]


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
)
def test_links_and_devices(kind: bytes) -> None:
    member = info("1/saved_model.pb", kind, link="/etc/passwd")
    found = read(artifacts.packed([member]))
    assert [each.code for each in found.violations] == ["not-a-file"]
    assert not found.files
    assert not found.kept


def test_a_sparse_file_of_a_terabyte() -> None:
    member = info("weights")
    member.pax_headers = {"GNU.sparse.size": str(1 << 40), "GNU.sparse.map": f"{1 << 40},0"}
    found = read(artifacts.packed([member]))
    assert [each.code for each in found.violations] == ["not-a-file"]


@pytest.mark.parametrize("again", ["1/a", "./1/a", "1//a", "1/./a"])
def test_rejects_a_duplicate_file(again: str) -> None:
    assert codes(artifacts.packed([("1/a", b"1"), (again, b"2")])) == ["duplicate-member"]


def test_accepts_a_duplicate_folder() -> None:
    assert codes(artifacts.packed([info("1", tarfile.DIRTYPE)] * 2)) == []


@pytest.mark.parametrize(
    "name", ["code/inference.py", "./code/x", "././code/x", ".//code/x", "code"]
)
def test_rejects_code(name: str) -> None:
    assert codes(artifacts.packed([(name, b"import os")])) == ["code"]


def test_a_name_that_only_begins_like_code_is_none() -> None:
    assert codes(artifacts.packed([("codebook.txt", b""), ("1/code/x", b"")])) == []


def test_reports_everything_at_once() -> None:
    link = info("1/link", tarfile.SYMTYPE)
    assert codes(
        artifacts.packed([("../x", b""), link, ("a", b""), ("a", b""), ("code/x", b"")])
    ) == [
        "unsafe-path",
        "not-a-file",
        "duplicate-member",
        "code",
    ]


def test_too_many_members_even_of_one_name() -> None:
    member = header("1/x", tarfile.REGTYPE, 0)
    assert codes(gzip.compress(member * (names.MAX_MEMBERS + 1)))[-1] == "too-many-members"
    most = read(gzip.compress(member * names.MAX_MEMBERS + bytes(1024)))
    assert {each.code for each in most.violations} == {"duplicate-member"}
    assert len(most.violations) == archive.MAX_VIOLATIONS


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u6f22", "\U0001f600"])
def test_a_name_that_is_too_long(letter: str) -> None:
    fits = names.MAX_PART // len(letter.encode())
    assert codes(artifacts.packed([("1/" + letter * fits, b"")])) == []
    found = read(artifacts.packed([("1/" + letter * (fits + 1), b""), ("1/b", b"")]))
    assert [(each.code, each.place) for each in found.violations] == [
        ("too-long-name", "1/" + letter * (fits + 1))
    ]
    assert "1/b" in found.files


def test_a_path_that_is_too_long() -> None:
    path = f"{'x' * 200}/{'y' * 200}/{'z' * (names.MAX_NAME - 402)}"
    assert codes(artifacts.packed([(path, b"")])) == []
    assert codes(artifacts.packed([(path + "z", b"")])) == ["too-long-name"]


def test_folders_that_are_too_deep() -> None:
    assert codes(artifacts.packed([("a/" * names.MAX_DEPTH + "x", b"")])) == []
    assert codes(artifacts.packed([("a/" * (names.MAX_DEPTH + 1) + "x", b"")])) == ["too-long-name"]


def test_skips_a_large_file_in_little_memory() -> None:
    name = "1/variables/variables.data-00000-of-00001"
    head = header(name, tarfile.REGTYPE, 256 * MIB)
    found, peak = peak_of(joined(chain([gzip_part(head)], noise(256))))
    assert found.violations == []
    assert found.files == {name: 256 * MIB}
    assert peak < 12 * MIB


def test_a_bomb_is_given_up_at_its_ratio() -> None:
    head = header("1/x", tarfile.REGTYPE, 4 << 30)
    blocks = list(joined(chain([gzip_part(head)], zeros(160))))
    found, peak = peak_of(blocks)
    assert [each.code for each in found.violations] == ["too-large"]
    assert found.sha256 == hashlib.sha256(b"".join(blocks)).hexdigest()
    assert peak < 16 * MIB


@pytest.mark.parametrize("size", [gzip_stream.MAX_UNPACKED, 1 << 80])
def test_a_size_that_is_only_claimed(size: int) -> None:
    assert codes(gzip.compress(header("1/x", tarfile.REGTYPE, size + 1))) == ["too-large"]


@pytest.mark.parametrize("before", [b"", header("1/x", tarfile.REGTYPE, 0)], ids=["first", "later"])
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_huge_header_is_not_read_into_memory(kind: bytes, before: bytes) -> None:
    head = gzip_part(before + header("x", kind, 96 * MIB))
    found, peak = peak_of(joined(chain([head], zeros(96))))
    assert [each.code for each in found.violations] == ["too-large-header"]
    assert peak < 12 * MIB


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_nested_in_headers(kind: bytes) -> None:
    assert codes(gzip.compress(header("x", kind, 0) * 3000)) == ["ambiguous-header"]


def test_what_the_checks_read_has_limits_for_all_of_it() -> None:
    size = 5 * MIB
    files = [*(f"{at}/saved_model.pb" for at in range(8)), *(f"f{at}" for at in range(3))]
    heads = (gzip_part(header(name, tarfile.REGTYPE, size)) for name in files)
    found, peak = peak_of(joined(chain.from_iterable((head, *noise(5)) for head in heads)))
    assert not found.violations
    assert list(found.kept) == [*(f"{at}/saved_model.pb" for at in range(4)), "f0"]
    assert peak < archive.MAX_GRAPH + archive.MAX_IMAGE + 12 * MIB


def test_a_litert_model_is_on_disk_and_not_in_memory() -> None:
    name = "1/assets.extra/model.tflite"
    head = gzip_part(header(name, tarfile.REGTYPE, 64 * MIB))
    found, peak = peak_of(joined(chain([head], noise(64))))
    assert found.violations == []
    assert found.litert[name].size == 64 * MIB
    assert found.litert[name].content[-MIB:] == NOISE
    assert peak < 12 * MIB


@pytest.mark.parametrize("name", [b"1/\xff\xfe", "1/ü".encode(), b"../\xff"])
def test_names_in_any_encoding(name: bytes) -> None:
    raw = bytearray(artifacts.tar([("1/aaaaa", b"x")]))
    raw[0:8] = name.ljust(8, b"\0")
    raw[148:156] = b" " * 8
    raw[148:155] = f"{sum(raw[:BLOCK]):06o}\0".encode()
    assert len(read(gzip.compress(raw)).files) == 1


def test_an_error_of_the_stream_is_not_a_violation() -> None:
    class Broken(Stream):
        def read(self, amount: int, /) -> bytes:
            if block := super().read(amount):
                return block
            raise ConnectionResetError("S3 hung up")

    with pytest.raises(ConnectionResetError):
        archive.read(Broken([GOOD[:300]]))


@settings(deadline=None)
@given(st.binary(max_size=3000), st.booleans())
def test_random_bytes_never_crash(data: bytes, gzip_stream: bool) -> None:
    assert codes(gzip.compress(data) if gzip_stream else data)


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_random_pax_headers_never_crash(content: bytes) -> None:
    raw = block("pax", content, tarfile.XHDTYPE) + block("1/x", b"x") + bytes(1024)
    found = read(gzip.compress(raw, 1))
    assert found.files or found.violations


RAW = artifacts.tar([info("1", tarfile.DIRTYPE), ("facet.json", b"{}"), ("n" * 150, b"x" * 600)])
Damages = list[tuple[int, bytes]]
damages = st.lists(
    st.tuples(st.integers(0, 1 << 13), st.binary(min_size=1, max_size=12)), min_size=1
)


def damaged(data: bytes, damages: Damages) -> bytearray:
    changed = bytearray(data)
    for at, content in damages:
        at %= len(data)
        changed[at : at + len(content)] = content[: len(data) - at]
    return changed


@settings(max_examples=150, deadline=None)
@given(damages)
def test_damaged_tars_never_crash(damages: Damages) -> None:
    raw = damaged(RAW, damages)
    for start in range(0, len(raw) - BLOCK, BLOCK):  # with a checksum that fits, it goes deeper
        raw[start + 148 : start + 156] = b" " * 8
        raw[start + 148 : start + 155] = f"{sum(raw[start : start + BLOCK]):06o}\0".encode()
    read(gzip.compress(raw, 1))


@settings(max_examples=150, deadline=None)
@given(damages)
def test_damaged_gzips_are_rejected_or_unchanged(damages: Damages) -> None:
    data = bytes(damaged(GOOD, damages))
    found = read(data)
    assert found.violations or found.kept == read(GOOD).kept


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1))
def test_the_sizes_of_the_streams_blocks_do_not_matter(sizes: list[int]) -> None:
    class Pieces(Stream):
        def read(self, amount: int, /) -> bytes:
            sizes.append(sizes.pop(0))
            return super().read(min(amount, sizes[-1]))

    assert archive.read(Pieces([GOOD])) == read(GOOD)
