"""Files of heads that somebody made to harm: each is an error with a reason, in little memory."""

import contextlib
import io
import pickle
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import format as npy

from facet.heads import weights
from facet.heads.weights import BadHead, Head
from tests.support.inputs import heads

LABELS, WIDTH = 3, 4
GOOD = heads.head().to_bytes()
MIB = 1 << 20


def read(content: bytes) -> Head:
    return weights.read(content, labels=LABELS, width=WIDTH)


class Harm:
    """Raises when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return (pytest.fail, ("a pickle was read",))


def stored(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip file, in which names may repeat."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as packed:
        warnings.simplefilter("ignore")  # the name is there twice
        for name, content in members:
            packed.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return file.getvalue()


def described(header: str, data: bytes = b"") -> bytes:
    """An array whose description is this text."""
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def with_kernel(content: bytes) -> bytes:
    """The file of a head with these bytes as its kernel."""
    others = {name: each for name, each in heads.arrays().items() if name != "kernel"}
    members = [("kernel.npy", content)]
    for name, array in others.items():
        file = io.BytesIO()
        npy.write_array(file, array)
        members.append((f"{name}.npy", file.getvalue()))
    return stored(*members)


def kernel(array: np.ndarray[Any, Any]) -> bytes:
    return heads.npz(heads.arrays() | {"kernel": array})


def directory(count: int) -> bytes:
    """A zip file of `count` members with no content and nearly no name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for number in range(count):
            packed.writestr(f"{number:x}", b"")
    return file.getvalue()


FLOATS = "{'descr': '<f4', 'fortran_order': False, 'shape': "
HOSTILE: dict[str, Callable[[], bytes]] = {
    "a pickle": lambda: pickle.dumps(Harm()),
    "a pickle as an array": lambda: kernel(np.array([[Harm()]], object)),
    "a pickle beside the header": lambda: with_kernel(
        described(
            "{'descr': '|O', 'fortran_order': False, 'shape': (4, 3), }\n", pickle.dumps(Harm())
        )
    ),
    "a bomb": lambda: stored(("kernel.npy", bytes(64 * MIB)), method=zipfile.ZIP_DEFLATED),
    "a large array": lambda: kernel(np.zeros((1000, 4000), np.float32)),
    "a huge shape": lambda: with_kernel(described(FLOATS + "(4000000000, 4000000000), }\n")),
    "a negative shape": lambda: with_kernel(described(FLOATS + "(-4, -3), }\n", bytes(48))),
    "a shape of booleans": lambda: with_kernel(described(FLOATS + "(True, 3), }\n", bytes(48))),
    "a shape too few": lambda: with_kernel(described(FLOATS + "(12,), }\n", bytes(48))),
    "text": lambda: kernel(np.full((4, 3), "x")),
    "bytes without a sign": lambda: kernel(np.zeros((4, 3), np.uint8)),
    "float64": lambda: kernel(np.zeros((4, 3))),
    "the other order of bytes": lambda: kernel(np.zeros((4, 3), ">f4")),
    "records": lambda: kernel(np.zeros((4, 3), [("a", "f4")])),
    "complex numbers": lambda: kernel(np.zeros((4, 3), np.complex64)),
    "too little data": lambda: with_kernel(described(FLOATS + "(4, 3), }\n", bytes(47))),
    "too much data": lambda: with_kernel(described(FLOATS + "(4, 3), }\n", bytes(52))),
    "no header": lambda: with_kernel(b""),
    "version 2": lambda: with_kernel(b"\x93NUMPY\x02\x00\x10\x00\x00\x00" + b"{}" * 8),
    "a deep header": lambda: with_kernel(described("(" * 900)),
    "a header of signs": lambda: with_kernel(described("-" * 990 + "1")),
    "a header that is none": lambda: with_kernel(described("__import__('os').abort()\n")),
    "a header of another type": lambda: with_kernel(described("{1: 2}\n")),
    "an unhashable header": lambda: with_kernel(described("{[]: 2}\n")),
    "a dtype that is none": lambda: with_kernel(
        described("{'descr': [1], 'fortran_order': False, 'shape': (4, 3), }\n")
    ),
    "a member twice": lambda: stored(*[("kernel.npy", b"")] * 2),
    "a path": lambda: stored(("../kernel.npy", b"")),
    "more members": lambda: heads.npz(heads.arrays() | {"labels": np.zeros(3)}),
    "many members": lambda: directory(20_000),
    "another archive": lambda: b"\x1f\x8b" + GOOD,
    "bytes before it": lambda: bytes(100) + GOOD,
    "bytes after it": lambda: GOOD + bytes(100),
    "infinity": lambda: kernel(np.full((4, 3), -np.inf, np.float32)),
    "no number": lambda: heads.npz(heads.arrays() | {"bias": np.full(3, np.nan, np.float32)}),
}


@contextmanager
def little_memory(most: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_an_error_with_a_reason_and_takes_little_memory(name: str) -> None:
    content = HOSTILE[name]()
    with little_memory(len(content) + MIB), pytest.raises(BadHead) as error:
        read(content)
    assert 10 < len(str(error.value)) < 400


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_change_of_its_bytes_does_more_than_a_bad_head(data: st.DataObject) -> None:
    changed = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        new = data.draw(st.binary(max_size=6))
        changed[at : at + data.draw(st.integers(0, 6))] = new
        changed += b"x" * (not changed)
    with contextlib.suppress(BadHead):
        head = read(bytes(changed))
        assert head.kernel.shape == (WIDTH, LABELS)
        assert np.isfinite(head.kernel).all()
