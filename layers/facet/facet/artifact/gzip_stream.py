"""A gzip as a stream: digested on its way in, unpacked within limits on its way out.

Own code upon zlib: `gzip.GzipFile` joins several gzip members in silence, and passes over what
follows them.
"""

import hashlib
import zlib
from typing import Protocol

from facet.errors import Violation
from facet.keys import ARTIFACT

BLOCK = 1 << 20
PACKED_BLOCK = 1 << 18
MAX_UNPACKED = 10 << 30
"""Bytes of all members together; SageMaker takes artifacts of a few GB."""

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


class Enough(Exception):
    """No more of the artifact is read, for the reason in `violation`.

    `complete` says that all members were read by then.
    """

    def __init__(self, violation: Violation, *, complete: bool = False) -> None:
        super().__init__(violation.problem)
        self.violation = violation
        self.complete = complete


class Digested:
    """Passes a stream on and digests what went through; `head` is how it began."""

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
    """What one gzip member holds. Raises Enough at a limit, or where it is damaged."""

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
                raise Enough(TRUNCATED if self._packed.head == GZIP else NOT_GZIP)
            try:
                block = self._inflate.decompress(packed, BLOCK)
            except zlib.error as error:
                raise Enough(DAMAGED if self._packed.head == GZIP else NOT_GZIP) from error
        self._size += len(block)
        if self._size > min(MAX_UNPACKED, MAX_RATIO * (self._packed.size + BLOCK)):
            raise Enough(TOO_LARGE)
        return block

    def _check_rest(self) -> None:
        """Zeros may follow, with which tapes are padded, and nothing else."""
        rest = self._inflate.unused_data
        while not (content := rest.lstrip(b"\0")):
            if not (rest := self._packed.read(PACKED_BLOCK)):
                return
        content = (content + self._packed.read(len(GZIP)))[: len(GZIP)]
        raise Enough(SEVERAL if content == GZIP else GARBAGE_AFTER_GZIP)


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
    "the archive is damaged: a checksum or a header does not hold",
    "check it with gzip -t and tar -tzf, then upload it again",
)
SEVERAL = Violation(
    "several-gzip-members",
    ARTIFACT,
    "a second gzip follows the first, which not every server reads",
    "pack it anew: gunzip -c model.tar.gz | gzip > again.tar.gz",
)
GARBAGE_AFTER_GZIP = Violation(
    "trailing-garbage",
    ARTIFACT,
    "bytes follow the end of the gzip",
    "pack it anew: gunzip -c model.tar.gz | gzip > again.tar.gz",
)
TOO_LARGE = Violation(
    "too-large",
    ARTIFACT,
    f"the artifact unpacks to over {MAX_UNPACKED >> 30} GiB, or to {MAX_RATIO:,} times its size",
    "leave out what the model does not need",
)
