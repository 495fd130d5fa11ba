"""Paths → images with a channel and a label: the rules of the image-folder layout.

A source has the folders `train/`, `validation/` (or `val/`) and `test/` with one folder per class
in each, or class folders alone, which then all belong to `train`. Outer folders are ignored.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from facet.errors import FacetError
from facet.keys import IMAGE_SUFFIXES

CHANNELS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}

MAX_NAME = 255
"""Bytes of a file name, the limit of most file systems. Keys then fit S3's 1,024 bytes."""

Read = Callable[[], bytes]


class SourceError(FacetError):
    """The source does not fit the layout; the message names the file or folder."""


@dataclass(frozen=True)
class Entry:
    """A file or, if `read` is None, a folder; `parts` is its path inside the source."""

    parts: tuple[str, ...]
    read: Read | None = None

    @property
    def path(self) -> str:
        """The path for messages, with unprintable characters escaped."""
        return "/".join(self.parts).encode("unicode_escape").decode()

    @property
    def is_image(self) -> bool:
        """Whether it is a file with an image's suffix."""
        return self.read is not None and self.parts[-1].lower().endswith(IMAGE_SUFFIXES)

    @property
    def is_hidden(self) -> bool:
        """Whether it is a dot file or was left by an archiver."""
        return any(part.startswith(".") or part == "__MACOSX" for part in self.parts)


@dataclass(frozen=True)
class LabelledImage:
    """An image file with its channel and label; `read` raises SourceError."""

    channel: str
    label: str
    name: str
    read: Read

    @property
    def path(self) -> str:
        """`<channel>/<label>/<name>`."""
        return f"{self.channel}/{self.label}/{self.name}"


@dataclass(frozen=True)
class ImageFolder:
    """The images of a data set; `skipped` counts its other files."""

    images: Sequence[LabelledImage]
    skipped: int = 0


@dataclass(frozen=True)
class _Layout:
    """Where the class folders are: in channel folders under `root`, or directly under it."""

    root: tuple[str, ...]
    has_channels: bool

    def channel_and_label(self, folder: tuple[str, ...]) -> tuple[str, str] | None:
        """The (channel, label) of a class folder; None for any other folder."""
        below = folder[len(self.root) :]
        if folder[: len(self.root)] != self.root or len(below) != 1 + self.has_channels:
            return None
        if not self.has_channels:
            return "train", below[0]
        return (CHANNELS[below[0]], below[1]) if below[0] in CHANNELS else None


def arrange(entries: Iterable[Entry]) -> ImageFolder:
    """Assigns each image among `entries` its channel and label, in order. Raises SourceError."""
    safe = [_safe(entry) for entry in entries]
    visible = [entry for entry in safe if not entry.is_hidden]
    layout = _detect_layout([entry for entry in visible if entry.is_image])
    images: dict[str, LabelledImage] = {}
    for entry in visible:
        if entry.is_image:
            image = _labelled(entry, layout)
            if image.path in images:
                raise SourceError(f"there are two images '{image.path}'")
            images[image.path] = image
    _check_no_empty_class(
        visible, layout, {(image.channel, image.label) for image in images.values()}
    )
    files = sum(entry.read is not None for entry in visible)
    return ImageFolder(tuple(images.values()), files - len(images))


def _safe(entry: Entry) -> Entry:
    """Rejects names that are special to a file system, a shell or a terminal."""
    for part in entry.parts:
        plain = part.isprintable() and part == part.strip() and "\\" not in part
        if not plain or part in ("", ".", "..") or len(part.encode()) > MAX_NAME:
            raise SourceError(
                f"'{entry.path}' is not a valid path; rename it without special characters"
            )
    return entry


def _detect_layout(images: list[Entry]) -> _Layout:
    if not images:
        raise SourceError(f"it contains no image ({', '.join(IMAGE_SUFFIXES)})")
    for entry in images:
        if entry.parts[-3:-2] and entry.parts[-3] in CHANNELS:
            return _Layout(entry.parts[:-3], has_channels=True)
    for entry in images:
        if len(entry.parts) > 1:
            return _Layout(entry.parts[:-2], has_channels=False)
    raise SourceError(
        "it contains no class folders: put the images of each class into a folder of its own"
    )


def _labelled(entry: Entry, layout: _Layout) -> LabelledImage:
    target = layout.channel_and_label(entry.parts[:-1])
    if target is None or entry.read is None:
        expected = (*layout.root, *(["train|validation|test"] if layout.has_channels else ()))
        raise SourceError(
            f"'{entry.path}' is not in a class folder; the other images are at "
            f"{'/'.join((*expected, '<class>', '<image>'))}"
        )
    return LabelledImage(*target, entry.parts[-1], entry.read)


def _check_no_empty_class(
    entries: list[Entry], layout: _Layout, filled: set[tuple[str, str]]
) -> None:
    for entry in entries:
        target = layout.channel_and_label(entry.parts[:-1] if entry.read else entry.parts)
        if target and target not in filled:
            raise SourceError(f"class '{target[1]}' has no image in channel '{target[0]}'")
    if not any(channel == "train" for channel, _ in filled):
        raise SourceError("it has no channel 'train'")
