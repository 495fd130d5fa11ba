"""Paths → images with a channel and a label: the rules of the image-folder layout.

A source has `train/`, `validation/` (or `val/`) and `test/` with one folder per class in each, or
the class folders alone, which then are all `train`. Folders around that are left out of account.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from facet.errors import FacetError

CHANNELS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
"""Of the formats that `facet.image` decodes."""

MAX_NAME = 255
"""Bytes of a file name, as in most file systems; every key then fits S3's 1,024 bytes."""

Read = Callable[[], bytes]


class SourceError(FacetError):
    """The images cannot be brought into the layout; the message names what is wrong."""


@dataclass(frozen=True)
class Entry:
    """A file or, without `read`, a folder; `parts` is its path inside the source."""

    parts: tuple[str, ...]
    read: Read | None = None

    @property
    def path(self) -> str:
        """The path for messages: what is not printable is escaped."""
        return "/".join(self.parts).encode("unicode_escape").decode()

    @property
    def is_image(self) -> bool:
        """By the suffix alone."""
        return self.read is not None and self.parts[-1].lower().endswith(SUFFIXES)

    @property
    def is_hidden(self) -> bool:
        """What file managers and archivers leave beside the images."""
        return any(part.startswith(".") or part == "__MACOSX" for part in self.parts)


@dataclass(frozen=True)
class LabelledImage:
    """An encoded image and where it belongs; `read` raises `SourceError`."""

    channel: str
    label: str
    name: str
    read: Read

    @property
    def path(self) -> str:
        """`<channel>/<label>/<name>`."""
        return f"{self.channel}/{self.label}/{self.name}"


@dataclass(frozen=True)
class Source:
    """All images of a data set; `skipped` counts the files that are no images."""

    images: Sequence[LabelledImage]
    skipped: int = 0


@dataclass(frozen=True)
class _Shape:
    """Where the class folders are: in the channels' folders under `root`, or right there."""

    root: tuple[str, ...]
    has_channels: bool

    def place(self, folder: tuple[str, ...]) -> tuple[str, str] | None:
        """(channel, label) of a class folder; None for any other folder."""
        below = folder[len(self.root) :]
        if folder[: len(self.root)] != self.root or len(below) != 1 + self.has_channels:
            return None
        if not self.has_channels:
            return "train", below[0]
        return (CHANNELS[below[0]], below[1]) if below[0] in CHANNELS else None


def arrange(entries: Iterable[Entry]) -> Source:
    """The images among `entries`, in their order. Raises `SourceError`."""
    safe = [_safe(entry) for entry in entries]
    visible = [entry for entry in safe if not entry.is_hidden]
    shape = _shape([entry for entry in visible if entry.is_image])
    images: dict[str, LabelledImage] = {}
    for entry in visible:
        if entry.is_image:
            image = _image(entry, shape)
            if image.path in images:
                raise SourceError(f"there are two images '{image.path}'")
            images[image.path] = image
    _refuse_empty(visible, shape, {(each.channel, each.label) for each in images.values()})
    files = sum(entry.read is not None for entry in visible)
    return Source(tuple(images.values()), files - len(images))


def _safe(entry: Entry) -> Entry:
    """Refuses names that mean something to a file system, a shell or a terminal."""
    for part in entry.parts:
        plain = part.isprintable() and part == part.strip() and "\\" not in part
        if not plain or part in ("", ".", "..") or len(part.encode()) > MAX_NAME:
            raise SourceError(f"'{entry.path}' is no path that can be taken over; rename it")
    return entry


def _shape(images: list[Entry]) -> _Shape:
    if not images:
        raise SourceError(f"there is no image in it, that is, no file {', '.join(SUFFIXES)}")
    for entry in images:
        if entry.parts[-3:-2] and entry.parts[-3] in CHANNELS:
            return _Shape(entry.parts[:-3], has_channels=True)
    for entry in images:
        if len(entry.parts) > 1:
            return _Shape(entry.parts[:-2], has_channels=False)
    raise SourceError("there are no class folders in it: put the images of each class into one")


def _image(entry: Entry, shape: _Shape) -> LabelledImage:
    place = shape.place(entry.parts[:-1])
    if place is None or entry.read is None:
        wanted = (*shape.root, *(["train|validation|test"] if shape.has_channels else ()))
        raise SourceError(
            f"'{entry.path}' is in no class folder; as the others are, "
            f"it had to be {'/'.join((*wanted, '<class>', '<image>'))}"
        )
    return LabelledImage(*place, entry.parts[-1], entry.read)


def _refuse_empty(entries: list[Entry], shape: _Shape, filled: set[tuple[str, str]]) -> None:
    for entry in entries:
        place = shape.place(entry.parts[:-1] if entry.read else entry.parts)
        if place and place not in filled:
            raise SourceError(f"class '{place[1]}' has no image in channel '{place[0]}'")
    if not any(channel == "train" for channel, _ in filled):
        raise SourceError("there is no channel 'train' in it")
