"""Detects edits of Python sources, so that workers are started anew."""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path


class Sources:
    """The `.py` files under some folders, checked at most once in `interval` seconds."""

    def __init__(self, roots: Iterable[Path], *, interval: float = 1.0) -> None:
        self._roots = tuple(roots)
        self._interval = interval
        self._seen_at = float("-inf")
        self._fingerprint = 0

    def fingerprint(self) -> int:
        """A number that changes when a file is written, added or removed."""
        now = time.monotonic()
        if now - self._seen_at >= self._interval:
            self._fingerprint = hash(frozenset(_stamps(self._roots)))
            self._seen_at = now
        return self._fingerprint


def _stamps(roots: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    for root in roots:
        for path in root.rglob("*.py"):
            with suppress(FileNotFoundError):
                yield path, path.stat().st_mtime_ns
