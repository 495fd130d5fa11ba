"""What this process knows of LiteRT files, so that a later load need not find it out again."""

import hashlib
from dataclasses import dataclass

from serving.litert.memory import MappedFile
from serving.litert.model_file import Function, functions

MOST = 20_000
"""Files of which something is known."""


@dataclass
class Known:
    """What was found out about a file.

    digest: SHA-256 of its content, empty until it was needed.  wide: whether it has a copy with
    float32 weights (`float16.py`), None if that is not known.  proven: its model has computed.
    """

    functions: dict[str, Function]
    digest: bytes = b""
    wide: bool | None = None
    proven: bool = False

    def digest_of(self, file: MappedFile) -> bytes:
        """The digest of the file's content, which is read the first time."""
        if not self.digest:
            self.digest = hashlib.sha256(file.content).digest()
        return self.digest


_files: dict[tuple[int, ...], Known] = {}


def known_file(file: MappedFile) -> Known:
    """What is known of a file that may have been read before. Raises Unfit."""
    found = _files.get(file.identity)
    if found is None:
        found = Known(functions(file.content))
        if len(_files) >= MOST:
            _files.clear()
        _files[file.identity] = found
    return found
