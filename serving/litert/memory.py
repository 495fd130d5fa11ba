"""Memory for LiteRT's C API: files mapped for reading, and room for outputs of unknown size.

A model's outputs may turn out larger than its file says, and the C API then writes them beyond the
memory that it was given. It therefore gets far more addresses than outputs need, of which only
those that are written become memory. Writing behind them ends the process.
"""

import ctypes
import mmap
import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from serving.litert.binding import ALIGNMENT
from serving.runtimes.runtime import Array

ROOM = 4 << 30
"""Bytes of addresses for the outputs of one call. Shared, so RLIMIT_DATA does not count them."""
GUARD = 16 << 30
"""Bytes of addresses behind them that nobody can write; longer than a row of any output."""
KEPT = 4 << 20
"""Written bytes up to which room is kept for later calls."""
EXTRA = 64
"""Bytes that may be read behind an input; XNNPACK's XNN_EXTRA_BYTES is at most that."""

FAILED = ctypes.c_void_p(-1).value
ANONYMOUS = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS
NORESERVE = 0x40 if sys.platform == "darwin" else 0x4000  # sys/mman.h

_c = ctypes.CDLL(None, use_errno=True)
_c.mmap.restype = ctypes.c_void_p
_c.mmap.argtypes = (
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int),
    *(ctypes.c_int, ctypes.c_int, ctypes.c_int64),
)
_c.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_c.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def aligned(size: int) -> Array:
    """Bytes at an address that LiteRT accepts, with EXTRA readable ones behind them."""
    memory = np.empty(size + ALIGNMENT + EXTRA, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]


class MappedFile:
    """A file's content in memory, read from disk as it is used. It holds no file descriptor.

    identity: another one if the file has changed.
    """

    def __init__(self, descriptor: int) -> None:
        """descriptor: of the file, which may be closed afterwards. Raises OSError."""
        status = os.fstat(descriptor)
        self.size = status.st_size
        self.identity = (
            *(status.st_dev, status.st_ino, status.st_size),
            *(status.st_mtime_ns, status.st_ctime_ns),
        )
        self.address = _map(self.size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor)

    @classmethod
    def at(cls, path: Path) -> "MappedFile":
        """Raises OSError."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return cls(descriptor)
        finally:
            os.close(descriptor)

    @property
    def content(self) -> memoryview:
        """Not to be used after `close`."""
        return memoryview((ctypes.c_ubyte * self.size).from_address(self.address)).cast("B")

    def close(self) -> None:
        _c.munmap(self.address, self.size)


class Room:
    """Addresses for outputs: `bytes`, at `address`."""

    def __init__(self) -> None:
        """Raises OSError."""
        writable = mmap.PROT_READ | mmap.PROT_WRITE
        self.address = _map(ROOM + GUARD, writable, ANONYMOUS | NORESERVE)
        if _c.mprotect(self.address + ROOM, GUARD, 0):
            raise _error()
        memory = memoryview((ctypes.c_ubyte * ROOM).from_address(self.address))
        self.bytes: Array = np.frombuffer(memory, np.uint8)
        self._written: list[tuple[int, int]] = []

    def wrote(self, start: int, size: int) -> None:
        """Note bytes that are no longer zeros."""
        self._written.append((start, size))

    def clear(self) -> bool:
        """Whether few enough bytes were written that they were made zeros again."""
        if sum(size for _, size in self._written) > KEPT:
            return False
        for start, size in self._written:
            self.bytes[start : start + size] = 0
        self._written.clear()
        return True

    def close(self) -> None:
        _c.munmap(self.address, ROOM + GUARD)


_free: deque[Room] = deque()


@contextmanager
def room() -> Iterator[Room]:
    """Room for one call, all zeros. Raises OSError."""
    try:
        found = _free.pop()
    except IndexError:
        found = Room()
    try:
        yield found
    except BaseException:
        found.close()
        raise
    if found.clear():
        _free.append(found)
    else:
        found.close()


def _map(size: int, protection: int, flags: int, file: int = -1) -> int:
    address: int = _c.mmap(None, size, protection, flags, file, 0)
    if address == FAILED:
        raise _error()
    return address


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
