"""Reads a gzip stream: computes its SHA-256, and unpacks it within limits.

Not `gzip.GzipFile`, which silently joins several gzip members and ignores what follows them.
"""

import hashlib
import zlib
from typing import Protocol

from facet.errors import Violation
from facet.keys import ARTIFACT

BLOCK = 1 << 20
PACKED_BLOCK = 1 << 18
MAX_UNPACKED = 10 << 30
"""Bytes of the unpacked artifact; SageMaker serves artifacts of a few GB."""

MAX_RATIO = 100
"""Unpacked to packed bytes, beyond the first block; deflate reaches 1,032 on zeros, weights 1.1."""

GZIP = b"\x1f\x8b"
"""How every gzip begins (RFC 1952)."""

ONE_GZIP = 16 + zlib.MAX_WBITS
"""zlib reads the gzip header, and checks the CRC and the length at its end."""


class Readable(Protocol):
    """A stream of bytes, S3's body among them."""

    def read(self, amount: int, /) -> bytes:
        """Up to `amount` bytes, none at the end."""


class StopReading(Exception):
    """The rest of the artifact is not read, for the reason in `violation`.

    `complete` says that all members had been read.
    """

    def __init__(self, violation: Violation, *, complete: bool = False) -> None:
        super().__init__(violation.problem)
        self.violation = violation
        self.complete = complete


class Digested:
    """A stream that computes the SHA-256 of what is read from it; `head` has its first bytes."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self.head = b""
        self.size = 0

    def read(self, amount: int, /) -> bytes:
        """Up to `amount` bytes, none at the end."""
        block = self._stream.read(amount)
        self._digest.update(block)
        self.head += block[: len(GZIP) - len(self.head)]
        self.size += len(block)
        return block

    def drain(self) -> str:
        """Reads to the end; the whole stream's SHA-256."""
        while self.read(BLOCK):
            pass
        return self._digest.hexdigest()


class Unpacked:
    """The content of one gzip member. Raises StopReading at a limit, or if it is damaged."""

    def __init__(self, packed: Digested) -> None:
        self._packed = packed
        self._inflate = zlib.decompressobj(ONE_GZIP)
        self._block = memoryview(b"")
        self._size = 0

    def read(self, amount: int, /) -> bytes:
        """Up to `amount` bytes, none at the end."""
        if not self._block:
            self._block = memoryview(self._next())
        taken, self._block = self._block[:amount], self._block[amount:]
        return bytes(taken)

    def _next(self) -> bytes:
        block = b""
        while not block:
            if self._inflate.eof:
                self._check_rest()
                return b""
            packed = self._inflate.unconsumed_tail or self._packed.read(PACKED_BLOCK)
            if not packed:
                raise StopReading(TRUNCATED if self._packed.head == GZIP else NOT_GZIP)
            try:
                block = self._inflate.decompress(packed, BLOCK)
            except zlib.error as error:
                raise StopReading(DAMAGED if self._packed.head == GZIP else NOT_GZIP) from error
        self._size += len(block)
        if self._size > min(MAX_UNPACKED, MAX_RATIO * (self._packed.size + BLOCK)):
            raise StopReading(TOO_LARGE)
        return block

    def _check_rest(self) -> None:
        """Only zeros may follow, which tar pads tapes with."""
        rest = self._inflate.unused_data
        while not (content := rest.lstrip(b"\0")):
            if not (rest := self._packed.read(PACKED_BLOCK)):
                return
        content = (content + self._packed.read(len(GZIP)))[: len(GZIP)]
        raise StopReading(SEVERAL if content == GZIP else GARBAGE_AFTER_GZIP)


NOT_GZIP = Violation(
    "not-gzip",
    ARTIFACT,
    "the upload is not gzip",
    "pack it with: tar -czf model.tar.gz -C DIR facet.json 1",
)
TRUNCATED = Violation(
    "truncated",
    ARTIFACT,
    "the archive ends in the middle",
    "check it with gzip -t, then upload it again",
)
DAMAGED = Violation(
    "damaged",
    ARTIFACT,
    "the archive is damaged: a checksum or a header is wrong",
    "check it with gzip -t and tar -tzf, then upload it again",
)
SEVERAL = Violation(
    "several-gzip-members",
    ARTIFACT,
    "a second gzip member follows the first; not every server reads it",
    "pack it again: gunzip -c model.tar.gz | gzip > again.tar.gz",
)
GARBAGE_AFTER_GZIP = Violation(
    "trailing-garbage",
    ARTIFACT,
    "bytes follow the end of the gzip",
    "pack it again: gunzip -c model.tar.gz | gzip > again.tar.gz",
)
TOO_LARGE = Violation(
    "too-large",
    ARTIFACT,
    f"the artifact unpacks to over {MAX_UNPACKED >> 30} GiB, or to {MAX_RATIO:,} times its size",
    "leave out what the model does not need",
)
