"""Find the images that a command's arguments name."""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from facet.errors import FacetError
from facet.keys import IMAGE_SUFFIXES
from training.data import formats

STDIN = "-"


class NoImages(FacetError):
    """A source names no image."""


@dataclass(frozen=True)
class Source:
    """An image to read; without a path it is standard input."""

    name: str
    path: Path | None = None

    def read(self, stdin: BinaryIO, limit: int) -> bytes:
        """Read up to `limit` + 1 bytes. Raises OSError."""
        if self.path is None:
            return stdin.read(limit + 1)
        with self.path.open("rb") as file:
            return file.read(limit + 1)


def find(sources: Sequence[str]) -> list[Source]:
    """List each image once, in the order of the arguments; folders and patterns are sorted.

    Raises NoImages.
    """
    return list(dict.fromkeys(each for source in sources for each in _images(source)))


def _images(source: str) -> Iterator[Source]:
    if source == STDIN:
        yield Source(STDIN)
        return
    path = Path(source)
    if path.exists():
        yield from _below(path, source)
        return
    # Path.glob rejects absolute patterns
    matches = glob.glob(source, recursive=True) if glob.has_magic(source) else []  # noqa: PTH207
    files = [each for each in map(Path, sorted(matches)) if each.is_file()]
    if not files:
        raise NoImages(f"{source}: no such file or folder, and as a pattern it matches no file")
    yield from (Source(str(each), each) for each in files)


def _below(path: Path, named: str) -> Iterator[Source]:
    if not path.is_dir():
        yield Source(named, path)
        return
    found = sorted(
        each
        for each in path.rglob("*")
        if formats.is_image(each.name) and not _is_junk(each, path) and each.is_file()
    )
    if not found:
        raise NoImages(f"{named}: there is no image in this folder ({_kinds()})")
    yield from (Source(str(each), each) for each in found)


def _is_junk(file: Path, folder: Path) -> bool:
    return any(map(formats.is_junk, file.relative_to(folder).parts))


def _kinds() -> str:
    return ", ".join(sorted(IMAGE_SUFFIXES))
