"""Artifacts that must not get in, each with the codes of all violations that it must get.

Those of archives, layouts and manifests; graphs and LiteRT files are in
tests/unit/artifact/test_op_policy.py.
"""

import gzip
import json
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from PIL import Image

from facet.artifact import archive, gzip_stream, names, tar_stream
from facet.heads.weights import MAX_HEAD
from tests.support.inputs import artifacts, heads
from tests.support.inputs.artifacts import FLOAT, STRING
from tests.support.inputs.tar_corpus import record, signed

MIB = 1 << 20
END = bytes(1024)
SHARD = "1/variables/variables.data-00000-of-00001"
INDEX = "1/variables/variables.index"
GRAPH = "1/saved_model.pb"
GOOD = artifacts.members(golden=artifacts.golden())

Made = Callable[[], bytes]
Entry = tuple[str, bytes] | tarfile.TarInfo


@dataclass(frozen=True)
class Case:
    """An artifact, made when it is asked for, and the codes of everything wrong with it."""

    name: str
    made: Made
    codes: frozenset[str]


def info(
    name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = ""
) -> tarfile.TarInfo:
    """A member without content, or with zeros."""
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, size, link
    return member


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    """A member's header block alone, whatever follows it."""
    return info(name, kind, size).tobuf(tarfile.GNU_FORMAT)


def block(name: str, content: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A member, padded, without an archive around it."""
    return header(name, kind, len(content)) + content + bytes(-len(content) % 512)


def distorted(name: str, changes: Mapping[int, bytes]) -> bytes:
    """An empty file's header with other bytes at some offsets, and a checksum that fits."""
    changed = bytearray(header(name))
    for at, content in changes.items():
        changed[at : at + len(content)] = content
    return bytes(signed(changed))


def pax(*records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """A header that says more about the next member."""
    return block("pax", b"".join(records), kind)


def blocks(*parts: bytes) -> bytes:
    """The good files, the parts, and the archive's end, packed."""
    good = artifacts.tar(GOOD).rstrip(b"\0")
    return gzip.compress(good + bytes(-len(good) % 512) + b"".join(parts) + END, 1)


def _with(*entries: Entry) -> Made:
    return lambda: artifacts.packed([*GOOD.items(), *entries])


def _files(files: Mapping[str, bytes]) -> Made:
    return lambda: artifacts.packed(files)


def _changed(*without: str, **files: bytes) -> Made:
    """The good files without some, and with others."""
    return _files({name: each for name, each in GOOD.items() if name not in without} | files)


def _plus(files: Mapping[str, bytes]) -> Made:
    return _files({**GOOD, **files})


def _document(**changes: Any) -> Made:
    return _files(artifacts.members(**changes))


def _input(**changes: Any) -> Made:
    return _document(input=artifacts.manifest()["input"] | changes)


def _json(text: bytes) -> Made:
    return _plus({"facet.json": text})


def _graph(**changes: Any) -> Made:
    return _files(artifacts.members() | {GRAPH: artifacts.saved_model(**changes)})


def _under(folder: str) -> Made:
    return _files({f"{folder}/{name}": content for name, content in GOOD.items()})


def _bytes(change: Callable[[bytes], bytes]) -> Made:
    return lambda: change(artifacts.packed(GOOD))


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


def _raw(*parts: bytes) -> Made:
    return lambda: blocks(*parts)


def _broken_header() -> bytes:
    return blocks(b"x" * 512)


def _bomb() -> bytes:
    """Eight gigabytes of zeros are announced, and half of one comes, in as many kilobytes."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, gzip_stream.ONE_GZIP)
    head = deflate.compress(header("1/x", size=1 << 33)) + deflate.flush(zlib.Z_FULL_FLUSH)
    zeros = deflate.compress(bytes(MIB)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return head + zeros * 512


def _large(name: str, size: int) -> bytes:
    """The good files, one of them in that size and as random as it goes, hardly packed."""
    noise = Random(1).randbytes(MIB) * (size // MIB + 1)
    return gzip.compress(artifacts.tar(GOOD | {name: noise[:size]}), 0)


def _sparse_map() -> bytes:
    sparse = bytearray(header("weights", tarfile.GNUTYPE_SPARSE))
    sparse[tar_stream.SPARSE_MORE] = 1
    sparse[148:156] = b" " * 8
    sparse[148:155] = f"{sum(sparse):06o}\0".encode()
    return blocks(bytes(sparse), bytes(512))


def _many(count: int) -> bytes:
    return blocks(*(header(f"1/assets/{number}") for number in range(count)))


def _at(number: int, of: int) -> str:
    return f"1/variables/variables.data-{number:05}-of-{of:05}"


def _nested(depth: int) -> bytes:
    return b'{"schema": ' + b"[" * depth + b"]" * depth + b"}"


ARCHIVES: Mapping[str, tuple[Made, str]] = {
    "empty": (lambda: b"", "not-gzip"),
    "a text": (lambda: b"a text file", "not-gzip"),
    "a zip": (lambda: b"PK\x03\x04" + bytes(100), "not-gzip"),
    "a tar that was not packed": (lambda: artifacts.tar(GOOD), "not-gzip"),
    "a gzip of another method": (lambda: b"\x1f\x8b\x07" + bytes(60), "damaged"),
    "a gzip of nothing": (lambda: gzip.compress(b""), "not-tar"),
    "a gzip of a text": (lambda: gzip.compress(b"a text file" * 60), "not-tar"),
    "a gzip of a short text": (lambda: gzip.compress(b"a text file"), "not-tar"),
    "cut in the middle": (_bytes(lambda data: data[: len(data) // 2]), "truncated"),
    "cut in the gzip's trailer": (_bytes(lambda data: data[:-3]), "truncated"),
    "cut before it was packed": (
        lambda: gzip.compress(artifacts.tar(GOOD).rstrip(b"\0")[:-700]),
        "truncated",
    ),
    "without the tar's end": (lambda: gzip.compress(block("a", b"x")), "truncated"),
    "a wrong checksum of the gzip": (_bytes(lambda data: _flipped(data, -6)), "damaged"),
    "a wrong length of the gzip": (_bytes(lambda data: _flipped(data, -2)), "damaged"),
    "a damaged tar header": (_broken_header, "damaged"),
    "a negative size": (_raw(header("1/x", size=-512)), "damaged"),
    "a pax record without a value": (_raw(block("pax", b"9 nothing", b"x")), "damaged"),
    "a pax record of no length": (_raw(block("pax", b"0 a=b\n", b"x")), "damaged"),
    "a pax size that is no number": (_raw(pax(record("size", "1e9")), header("1/x")), "damaged"),
    "a pax header of nothing": (_raw(pax(record("path", "1/x"))), "damaged"),
    "a second gzip": (_bytes(lambda data: data + gzip.compress(b"more")), "several-gzip-members"),
    "a gzip in two halves": (
        lambda: (
            gzip.compress(artifacts.tar(GOOD)[:1000]) + gzip.compress(artifacts.tar(GOOD)[1000:])
        ),
        "several-gzip-members",
    ),
    "garbage after the gzip": (_bytes(lambda data: data + b"garbage"), "trailing-garbage"),
    "garbage after zeros": (_bytes(lambda data: data + bytes(600) + b"x"), "trailing-garbage"),
    "garbage after the tar": (
        lambda: gzip.compress(artifacts.tar(GOOD) + b"garbage"),
        "trailing-garbage",
    ),
    "two tars": (
        lambda: gzip.compress(artifacts.tar(GOOD) + artifacts.tar({"code/inference.py": b""})),
        "trailing-garbage",
    ),
    "a bomb by ratio": (_bomb, "too-large"),
    "a size of ten exbibytes": (_raw(header("1/x", size=10 << 60)), "too-large"),
    "a pax size of ten exbibytes": (
        _raw(pax(record("size", str(10 << 60))), header("1/x")),
        "too-large",
    ),
    "a huge pax header": (_raw(header("x", b"x", tar_stream.MAX_HEADER + 1)), "too-large-header"),
    "a huge GNU name": (_raw(header("x", b"L", 1 << 33)), "too-large-header"),
    "a name in two headers": (
        _raw(pax(record("path", "1/a")), block("long", b"../../x\0", b"L"), header("1/b")),
        "ambiguous-header",
    ),
    "two pax headers": (
        _raw(pax(record("path", "1/a")), pax(record("path", "../x")), header("1/b")),
        "ambiguous-header",
    ),
    "a pax key twice": (
        _raw(pax(record("path", "a"), record("path", "b")), header("1/b")),
        "ambiguous-header",
    ),
    "a name for all members": (
        _raw(pax(record("path", "1/x"), kind=b"g"), header("1/y")),
        "ambiguous-header",
    ),
    "a folder with content": (_raw(header("1/x", b"5", 512), bytes(512)), "ambiguous-header"),
    "a file that ends like a folder": (_raw(header("1/x/", b"0")), "ambiguous-header"),
    "a prefix that GNU tar does not read": (
        _raw(distorted("code/x", {257: b"ustar  \0", 345: b"1/assets"})),
        "ambiguous-header",
    ),
    "a prefix without a magic": (
        _raw(distorted("code/x", {257: bytes(8), 345: b"1/assets"})),
        "ambiguous-header",
    ),
    "a magic of nobody": (_raw(distorted("1/x", {257: b"ustar 99"})), "ambiguous-header"),
    "a size with an underscore": (
        _raw(distorted("1/x", {124: b"0_2000\0\0\0\0\0\0"}), block("code/x", b"1" * 512)),
        "ambiguous-header",
    ),
    "a size with Python's sign of octal": (
        _raw(distorted("1/x", {124: b"0o2000\0\0\0\0\0\0"}), block("code/x", b"1" * 512)),
        "ambiguous-header",
    ),
    "a name behind another": (_raw(distorted("1/x", {10: b"code/x"})), "ambiguous-header"),
    "a file with a target": (_raw(distorted("1/x", {157: b"facet.json"})), "ambiguous-header"),
    "a target for a file": (_raw(pax(record("linkpath", "y")), header("1/x")), "ambiguous-header"),
    "a long target for a file": (_raw(block("x", b"y\0", b"K"), header("1/x")), "ambiguous-header"),
    "a size that pax gives otherwise": (
        _raw(pax(record("size", "0")), block("1/x", b"1" * 512)),
        "ambiguous-header",
    ),
    "a record in a record": (
        _raw(pax(record("comment", "x\n26 path=code/inference.py")), header("1/x")),
        "ambiguous-header",
    ),
    "a record that not all programs know": (
        _raw(pax(record("type", "5")), header("1/x")),
        "ambiguous-header",
    ),
    "an attribute whose name has an end inside": (
        _raw(pax(record("SCHILY.xattr.a\0b", "x")), header("1/x")),
        "ambiguous-header",
    ),
    "another name without pax": (
        _raw(pax(record("path", "1/assets/x")), header("code/inference.py")),
        "ambiguous-header",
    ),
    "a long name with two ends": (
        _raw(block("long", b"1/a\0code/x\0", b"L"), header("1/x")),
        "ambiguous-header",
    ),
    "a long name without an end": (
        _raw(block("long", b"1/a", b"L")[:-509] + b"x".ljust(509, b"\0"), header("1/x")),
        "ambiguous-header",
    ),
    "records after the end of a header": (
        _raw(
            pax(record("comment", "x"))[:-100] + record("path", "y").ljust(100, b"\0"), header("x")
        ),
        "ambiguous-header",
    ),
    "a header without a name": (
        _raw(distorted("", {124: b"00000000013", 156: b"x"}), b"11 gname=x\n".ljust(512, b"\0")),
        "ambiguous-header",
    ),
    "an empty header": (_raw(block("pax", b"", b"x"), header("1/x")), "ambiguous-header"),
    "too many members": (lambda: _many(names.MAX_MEMBERS), "too-many-members"),
    "a long name": (_with((f"1/{'x' * (names.MAX_PART + 1)}", b"")), "too-long-name"),
    "a long path": (_with((f"1/{'x' * 250}/{'y' * 250}", b"")), "too-long-name"),
    "a deep folder": (_with(("1/" + "a/" * names.MAX_DEPTH + "x", b"")), "too-long-name"),
}

MEMBERS: Mapping[str, tuple[Made, str]] = {
    "an absolute path": (_with(("/etc/passwd", b"x")), "unsafe-path"),
    "a path that leads up": (_with(("1/../../x", b"x")), "unsafe-path"),
    "a path of a Windows machine": (_with(("1\\..\\x", b"x")), "unsafe-path"),
    "a name behind a null": (
        _raw(pax(record("path", "a\0/../../x")), header("1/x")),
        "unsafe-path",
    ),
    "a name of nothing": (_with(("", b"x")), "unreadable-name"),
    "a folder with a name of nothing": (_raw(distorted("", {156: b"5"})), "unreadable-name"),
    "a name with a line break": (_with(("1/a\nb", b"x")), "unreadable-name"),
    "a name that is not UTF-8": (_with(("1/a\udcff", b"x")), "unreadable-name"),
    "a file that ends like the folder it is in": (_with(("1/x/.", b"x")), "unreadable-name"),
    "a time that is no number": (
        _raw(pax(record("mtime", "nan")), header("1/x")),
        "impossible-metadata",
    ),
    "a time beyond all times": (
        _raw(pax(record("mtime", "1e300"), record("atime", "-1e9")), header("1/x")),
        "impossible-metadata",
    ),
    "a time of 80 bits": (
        _raw(distorted("1/x", {136: b"\x80\0" + (1 << 79).to_bytes(10)})),
        "impossible-metadata",
    ),
    "a user beyond all users": (
        _raw(pax(record("uid", str(1 << 32))), distorted("1/x", {116: b"\xff" * 7 + b"\xfe"})),
        "impossible-metadata",
    ),
    "a symbolic link": (_with(info("1/x", tarfile.SYMTYPE, link="/etc/passwd")), "not-a-file"),
    "a hard link": (_with(info("1/x", tarfile.LNKTYPE, link=GRAPH)), "not-a-file"),
    "a device": (_with(info("1/x", tarfile.BLKTYPE)), "not-a-file"),
    "a pipe": (_with(info("1/x", tarfile.FIFOTYPE)), "not-a-file"),
    "a member of an unknown kind": (_with(info("1/x", b"Q", 512)), "not-a-file"),
    "a sparse file of GNU's": (_sparse_map, "not-a-file"),
    "a sparse file of pax's": (
        _raw(pax(record("GNU.sparse.size", str(1 << 40))), header("1/x")),
        "not-a-file",
    ),
    "a sparse folder": (
        _raw(pax(record("GNU.sparse.size", "0")), header("1/x", b"5")),
        "not-a-file",
    ),
    "a file twice": (_with(("golden.png", GOOD["golden.png"])), "duplicate-member"),
    "a file twice by another spelling": (
        _with(("./1//saved_model.pb", GOOD[GRAPH])),
        "duplicate-member",
    ),
    "names that differ in case": (_with(("Facet.json", b"{}")), "colliding-names"),
    "folders that differ in case": (
        _with(("1/assets/a", b""), ("1/Assets/b", b"")),
        "colliding-names",
    ),
    "names that are composed otherwise": (
        _with(("1/assets/\u00e9", b""), ("1/assets/e\u0301", b"")),
        "colliding-names",
    ),
    "names of which one is upper case of the other": (
        _with(("1/stra\u00dfe", b""), ("1/STRASSE", b"")),
        "colliding-names",
    ),
    "a folder that is a file": (_with(("1/x", b""), ("1/x/y", b"")), "colliding-names"),
    "code": (_with(("code/inference.py", b"import os")), "code"),
    "a file named code": (_with(("./code", b"")), "code"),
    "a Keras file": (_with(("model.keras", b"PK")), "keras-file"),
    "an HDF5 file in the folder": (_with(("1/weights.H5", b"")), "keras-file"),
    "a graph as text": (_with(("1/saved_model.pbtxt", b"")), "unscreened-graph"),
    "a graph in chunks": (_with(("1/saved_model.cpb", b"")), "unscreened-graph"),
    "what macOS adds": (_with(("._facet.json", b""), ("1/.DS_Store", b"")), "macos-file"),
    "a folder of macOS": (_with(("__MACOSX/1/._x", b"")), "macos-file"),
}

LAYOUTS: Mapping[str, tuple[Made, str]] = {
    "a wrapper folder": (_under("model"), "wrapper-folder"),
    "two wrapper folders": (_under("export/model"), "wrapper-folder"),
    "a wrapper without a manifest": (
        _files({f"m/{name}": each for name, each in GOOD.items() if name != "facet.json"}),
        "wrapper-folder no-manifest",
    ),
    "no version folder": (_changed(GRAPH, INDEX, SHARD), "no-version-folder"),
    "a version folder without a graph": (_changed(GRAPH), "no-version-folder"),
    "a second version folder without files": (
        _with(info("2", tarfile.DIRTYPE)),
        "several-version-folders",
    ),
    "a second version that is a file": (_plus({"2": b""}), "several-version-folders"),
    "a version that TensorFlow Serving cannot count": (
        _files({name.replace("1/", f"{1 << 63}/"): content for name, content in GOOD.items()}),
        "no-version-folder",
    ),
    "a SavedModel at the top": (
        _changed(GRAPH, INDEX, SHARD, **{"saved_model.pb": GOOD[GRAPH]}),
        "no-version-folder",
    ),
    "a version folder with a name": (
        _changed(GRAPH, INDEX, SHARD, **{"v1/x": b""}),
        "no-version-folder",
    ),
    "two version folders": (_plus({"2/saved_model.pb": GOOD[GRAPH]}), "several-version-folders"),
    "variables in a second folder": (_plus({"2/variables/x": b"x"}), "several-version-folders"),
    "no variables": (
        _files(
            {
                "facet.json": artifacts.members()["facet.json"],
                GRAPH: artifacts.saved_model(restores=True),
            }
        ),
        "variables-missing",
    ),
    "no index of the variables": (_changed(INDEX), "variables-incomplete"),
    "no shard": (_changed(SHARD), "variables-incomplete"),
    "a missing shard": (
        _changed(SHARD, **{_at(1, 2): b"x"}),
        "variables-incomplete",
    ),
    "one of 99,999 shards": (
        _changed(SHARD, **{_at(7, 99_999): b"x"}),
        "variables-incomplete",
    ),
    "an empty index": (_plus({INDEX: b""}), "variables-empty"),
    "an empty shard": (_plus({SHARD: b""}), "variables-empty"),
    "shards of two exports": (_plus({_at(0, 2): b"x", _at(1, 2): b"x"}), "variables-mixed"),
    "a shard beyond the last": (_plus({_at(1, 1): b"x"}), "variables-mixed"),
    "a graph with the weights in it": (
        lambda: _large(GRAPH, archive.MAX_GRAPH + 1),
        "graph-too-large",
    ),
    "a graph that is none": (_plus({GRAPH: b"?"}), "saved-model-unreadable"),
    "a LiteRT model that is none": (
        _plus({"1/assets.extra/model.tflite": b"?" * 100}),
        "litert-unreadable",
    ),
    "an empty LiteRT model": (_plus({"1/assets.extra/model.tflite": b""}), "litert-unreadable"),
}

MANIFESTS: Mapping[str, tuple[Made, str]] = {
    "no manifest": (_changed("facet.json"), "no-manifest"),
    "a manifest that is no JSON": (_json(b"{"), "manifest-field"),
    "a manifest that is not UTF-8": (_json(b'{"schema": "\xff"}'), "manifest-field"),
    "a manifest in UTF-16": (_json("{}".encode("utf-16")), "manifest-field"),
    "a manifest that is a list": (_json(b"[]"), "manifest-field"),
    "a manifest of 100,000 brackets": (_json(_nested(50_000)), "manifest-field"),
    "a manifest of half a megabyte": (
        _json(json.dumps(artifacts.manifest(description="x" * 500_000)).encode()),
        "manifest-too-large",
    ),
    "an unknown key": (_document(colour="red"), "manifest-field"),
    "a key that is missing": (_document(labels=None), "manifest-field"),
    "a schema of the future": (_document(schema=2), "manifest-field"),
    "labels of the wrong type": (_document(labels="cat"), "manifest-field"),
    "a label twice": (_document(labels=["cat", "cat", "dog"]), "manifest-field"),
    "no pixels": (_input(height=0), "manifest-field"),
    "a scale that is no number": (_json(b'{"input": {"scale": NaN}}'), "manifest-field"),
    "a golden image that leads out": (
        _document(golden=artifacts.golden() | {"image": "../x.png"}),
        "manifest-field",
    ),
    "no golden image": (_changed("golden.png"), "golden-missing"),
    "a golden image that is a text": (_plus({"golden.png": b"text"}), "golden-unreadable"),
    "a golden image that was cut": (
        _plus({"golden.png": GOOD["golden.png"][:-90]}),
        "golden-unreadable",
    ),
    "a golden image of too many pixels": (
        lambda: artifacts.packed(GOOD | {"golden.png": _large_image()}),
        "golden-unreadable",
    ),
    "a golden image of too many bytes": (
        lambda: _large("golden.png", archive.MAX_IMAGE + 1),
        "golden-too-large",
    ),
    "a signature that is not there": (_graph(signature="classify"), "signature-missing"),
    "an input that is not there": (_input(tensor="x"), "tensor-missing"),
    "an output that is not there": (_document(output={"tensor": "x"}), "tensor-missing"),
    "two inputs": (
        _graph(inputs={"image": (STRING, [-1]), "mask": (STRING, [-1])}),
        "several-inputs",
    ),
    "floats for a graph that takes text": (_input(encoding="float"), "input-dtype"),
    "bytes for a graph that takes floats": (
        _graph(inputs={"image": (FLOAT, [-1])}),
        "input-dtype",
    ),
    "another size than the graph takes": (
        _files(
            artifacts.members(input={"tensor": "image", "height": 8, "width": 8})
            | {GRAPH: artifacts.saved_model(inputs={"image": (FLOAT, [-1, 9, 9, 3])})}
        ),
        "input-shape",
    ),
    "an image that no request can hold": (_input(height=4096, width=4096), "input-too-large"),
    "fewer labels than scores": (_document(labels=["cat"]), "output-width"),
    "more labels than scores": (_document(labels=list("abcd")), "output-width"),
    "an output without a width": (_graph(outputs={"scores": (FLOAT, [-1])}), "output-width"),
    "an output of text": (_graph(outputs={"scores": (STRING, [-1, 3])}), "output-dtype"),
}

EVERYTHING: Mapping[str, tuple[Made, str]] = {
    "wrong in every way at once": (
        _files(
            artifacts.members(labels=["cat"], golden=artifacts.golden())
            | {"../x": b"", "code/x.py": b"", "golden.png": b"", SHARD: b"", "._x": b""}
            | {"1/assets.extra/model.tflite": b"?", "model.h5": b""}
        ),
        "unsafe-path code keras-file macos-file variables-empty golden-unreadable output-width "
        "litert-unreadable",
    ),
    "a broken manifest beside a broken layout": (
        _files({"facet.json": b"{", GRAPH: b"?", INDEX: b"x"}),
        "manifest-field variables-incomplete saved-model-unreadable",
    ),
    "a limit after a wrong manifest": (
        lambda: artifacts.packed([("facet.json", b"{"), ("1/" + "x" * names.MAX_NAME, b"")]),
        "too-long-name manifest-field",
    ),
    "garbage after a wrong layout": (
        lambda: artifacts.packed(GOOD | {SHARD: b""}) + b"garbage",
        "trailing-garbage variables-empty",
    ),
}


HEADS: dict[str, tuple[Made, str]] = {
    "a head without weights": (
        lambda: artifacts.packed(heads.members() | {"head.npz": b""}),
        "head-file",
    ),
    "a head with a network": (
        lambda: artifacts.packed(heads.members() | {GRAPH: GOOD[GRAPH]}),
        "head-file",
    ),
    "a head of other sizes, without its image": (
        lambda: artifacts.packed(
            {
                "facet.json": heads.members(labels=["cat", "dog"])["facet.json"],
                "head.npz": heads.members()["head.npz"],
            }
        ),
        "head-file golden-missing",
    ),
    "a head with more weights than it may have": (
        lambda: artifacts.packed(heads.members() | {"head.npz": Random(1).randbytes(MAX_HEAD + 1)}),
        "head-file",
    ),
    "a head that names no backbone": (
        lambda: artifacts.packed(heads.members(backbone=None)),
        "manifest-field",
    ),
}


def _large_image() -> bytes:
    return artifacts.encoded(Image.new("1", (2049, 2048)))


CASES = [
    Case(name, made, frozenset(codes.split()))
    for group in (ARCHIVES, MEMBERS, LAYOUTS, MANIFESTS, HEADS, EVERYTHING)
    for name, (made, codes) in group.items()
]
"""All of them; their names differ."""
