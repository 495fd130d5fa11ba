"""The file `head.npz` of a head: the layer from features to scores, and what it was taught with.

NumPy's format for several arrays, without compression and without pickles. Every size is compared
with what the manifest says before an array is read.
"""

import io
import math
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from facet.errors import FacetError
from facet.heads import familiarity
from facet.heads.familiarity import UNSURE, Reference

HEAD = "head.npz"
"""Its name in the artifact."""

MAX_HEAD = 64 << 20
"""Bytes of the file: 1,000 labels and 8,192 features in float32 take half of it, as their
reference does in float16."""

REFERENCE = "reference_"
"""The names of the reference's arrays begin with it."""

SHAPES: Mapping[str, str] = {
    "kernel": "width labels",
    "bias": "labels",
    "scale": "labels",
    **{REFERENCE + name: shape for name, shape in familiarity.SHAPES.items()},
}
"""The dimensions of each array."""

OPTIONAL = {"scale"}

Array = NDArray[np.int8] | NDArray[np.float16] | NDArray[np.float32]

MAX_HEADER = 1000
"""Bytes of an array's description in the file; NumPy writes 128."""

MAX_DIRECTORY = 4096
"""Bytes of the zip file's directory, all of which `zipfile` turns into objects first."""

PREFIX = 10
"""Bytes before an array's description: the format's name, its version, the description's length."""

HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '(<f[24]|\|i1)', 'fortran_order': (True|False), "
    rb"'shape': \(([0-9, ]{1,40})\), \} *\n",
    re.DOTALL,
)
"""What NumPy writes before an array (numpy.lib.format). Its own reader evaluates the description as
Python, which takes memory and raises errors of many kinds for a hostile one."""

NUMBER = re.compile(rb"[0-9]+")

END = struct.Struct("<4s4H2LH")
"""The end of a zip file: signature, four numbers, bytes and place of the directory, comment."""

UNREADABLE = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    struct.error,
)
"""What `zipfile` and NumPy raise for a file that is damaged, or of another kind."""


class BadHead(FacetError):
    """A `head.npz` that cannot be used; the text says why."""


@dataclass(frozen=True, eq=False)
class HeadAnswer:
    """float32 (labels,) `scores` of an image that add up to 1, and how much the image is like
    those of the teaching, from 0 to 1; `unsure` if it is so little that they may mean nothing.
    """

    scores: NDArray[np.float32]
    familiarity: float
    unsure: bool


@dataclass(frozen=True, eq=False, slots=True)
class Head:
    """softmax(features @ weights + bias) are the scores.

    `kernel` is (width, labels), `bias` float32 (labels,). `scale`, float32 (labels,), is there for
    a kernel of whole numbers. The arrays stay as the file has them: a request takes microseconds
    to convert them, and there may be thousands of heads.
    """

    kernel: Array
    bias: NDArray[np.float32]
    reference: Reference
    scale: NDArray[np.float32] | None = None

    @property
    def weights(self) -> NDArray[np.float32]:
        """The kernel as float32, multiplied by the scale."""
        kernel = self.kernel.astype(np.float32)
        return kernel if self.scale is None else kernel * self.scale

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Its arrays by the names that they have in the file."""
        found: dict[str, NDArray[np.generic]] = {"kernel": self.kernel, "bias": self.bias}
        if self.scale is not None:
            found["scale"] = self.scale
        return found | {REFERENCE + name: each for name, each in self.reference.arrays().items()}

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays in memory."""
        return sum(each.nbytes for each in self.arrays.values())

    def answer(self, features: NDArray[np.float32]) -> list[HeadAnswer]:
        """The answers for features (n, width)."""
        with np.errstate(over="ignore"):
            logits = features.astype(np.float32) @ self.weights + self.bias
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = powers / powers.sum(axis=1, keepdims=True)
        familiar = self.reference.familiarity(features)
        return [
            HeadAnswer(row, float(known), bool(known < UNSURE))
            for row, known in zip(scores, familiar, strict=True)
        ]

    def to_bytes(self) -> bytes:
        """The file; the same arrays give the same bytes."""
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as members:
            for name, array in self.arrays.items():
                content = io.BytesIO()
                npy.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
                members.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())
        return file.getvalue()


def read(content: bytes, *, labels: int, width: int) -> Head:
    """The head in a file, for so many labels and features. Raises BadHead."""
    _check_directory(content)
    sizes = {"labels": labels, "width": width, "points": familiarity.POINTS}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            arrays = dict(_arrays(members, sizes))
    except UNREADABLE as error:
        text = f"NumPy's savez did not write it, or it is damaged: {error}"
        raise BadHead(text) from error
    if missing := SHAPES.keys() - OPTIONAL - arrays.keys():
        raise BadHead(f"it has no array {', '.join(sorted(missing))}")
    reference = {
        name.removeprefix(REFERENCE): array
        for name, array in arrays.items()
        if name.startswith(REFERENCE)
    }
    images = Reference.of(reference)
    if (np.diff(images.distances) < 0).any():
        raise BadHead(f"{REFERENCE}distances are not in rising order")
    scale = arrays["scale"].astype(np.float32) if "scale" in arrays else None
    bias = arrays["bias"].astype(np.float32)
    return Head(arrays["kernel"], bias, images, scale)


def _check_directory(content: bytes) -> None:
    """Raises BadHead for a zip file that begins or ends elsewhere, or whose directory is large."""
    found = END.unpack(content[-END.size :].rjust(END.size, b"\0"))
    signature, size, place, comment = found[0], *found[5:]
    whole = size + place + END.size == len(content) and not comment
    if signature != b"PK\5\6" or not whole or size > MAX_DIRECTORY:
        raise BadHead(
            "NumPy's savez did not write it, or it is damaged: it is not a zip file with a short "
            "directory and nothing before or after it"
        )


def _arrays(members: zipfile.ZipFile, sizes: Mapping[str, int]) -> Iterator[tuple[str, Array]]:
    seen = set[str]()
    for member in members.infolist():
        name = member.filename.removesuffix(".npy")
        if member.filename != f"{name}.npy" or name not in SHAPES or name in seen:
            raise BadHead(
                f"it has a member {member.filename[:80]!r}; it may have one each of "
                f"{', '.join(SHAPES)} (.npy)"
            )
        seen.add(name)
        dimensions = SHAPES[name].split()
        shape = tuple(sizes[each] for each in dimensions)
        most = math.prod(shape) * 4 + MAX_HEADER
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > most:
            raise BadHead(f"{name} is compressed, or has more than {most:,} bytes")
        with members.open(member) as stream:
            array = _array(stream.read(most), shape)
        if array is None:
            wanted = " x ".join(
                f"{size} ({each})" for size, each in zip(shape, dimensions, strict=True)
            )
            raise BadHead(f"{name} must be float16, float32 or int8 of shape {wanted}")
        if not np.isfinite(array).all():
            raise BadHead(f"{name} has values that are not finite numbers")
        yield name, array


def _array(content: bytes, shape: tuple[int, ...]) -> Array | None:
    """The array, or None for one of another shape or dtype, whose data is not read."""
    found = HEADER.match(content)
    if found is None or len(found[0]) != PREFIX + int.from_bytes(found[1], "little"):
        return None
    if tuple(int(each) for each in NUMBER.findall(found[4])) != shape:
        return None
    data = np.frombuffer(content[found.end() :], np.dtype(found[2].decode()))
    return data.reshape(shape, order="F" if found[3] == b"True" else "C")
