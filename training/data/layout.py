"""Paths → images with a channel and a label: the rules of the image-folder layout.

A source has the folders `train/`, `validation/` and `test/` (`CHANNELS` lists their other names)
with one folder per class in each, or class folders alone, which then all belong to `train`. Outer
folders are ignored. Names are composed (Unicode NFC), because macOS decomposes them.
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from facet.errors import FacetError
from facet.keys import IMAGE_SUFFIXES, is_printable
from training.data import formats

CHANNELS = {
    "train": "train",
    "training": "train",
    "training_set": "train",
    "validation": "validation",
    "validation_set": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
    "testing": "test",
    "test_set": "test",
}
"""The channel for each folder name in lower case."""

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
    def is_junk(self) -> bool:
        """Whether it is hidden or was left by a system or an archiver, or is in such a folder."""
        return any(map(formats.is_junk, self.parts))


@dataclass(frozen=True)
class LabelledImage:
    """An image file with its channel and label; `read` raises SourceError.

    `source` is the path in the source, for messages.
    """

    channel: str
    label: str
    name: str
    read: Read
    source: str = ""

    @property
    def path(self) -> str:
        """`<channel>/<label>/<name>`."""
        return f"{self.channel}/{self.label}/{self.name}"


@dataclass(frozen=True)
class Skipped:
    """A file that is left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class ImageFolder:
    """The images of a data set, and its other files, but for those that systems leave.

    `warnings` says what makes it worse than it looks, though it can be trained on. `empty` says
    which classes have no readable image, `untrainable` why training would refuse it otherwise.
    """

    images: Sequence[LabelledImage]
    skipped: Sequence[Skipped] = ()
    warnings: Sequence[str] = ()
    empty: Sequence[str] = ()
    untrainable: Sequence[str] = ()


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
        label = unicodedata.normalize("NFC", below[-1])
        if not self.has_channels:
            return "train", label
        channel = _channel(below[0])
        return (channel, label) if channel else None


def _channel(folder: str) -> str | None:
    return CHANNELS.get(folder.lower().replace("-", "_").replace(" ", "_"))


def arrange(entries: Iterable[Entry]) -> ImageFolder:
    """Assigns each image among `entries` its channel and label, in order. Raises SourceError."""
    visible = [entry for entry in map(_safe, entries) if not entry.is_junk]
    reasons = [(entry, _why_skipped(entry)) for entry in visible if entry.read]
    found = [entry for entry, reason in reasons if not reason]
    skipped = tuple(Skipped(entry.path, reason) for entry, reason in reasons if reason)
    layout = _detect_layout(found, skipped)
    images: dict[str, LabelledImage] = {}
    for entry in found:
        image = _labelled(entry, layout)
        if image.path in images:
            raise SourceError(
                f"there are two images '{image.path}': '{images[image.path].source}' "
                f"and '{entry.path}'"
            )
        images[image.path] = image
    _check_no_empty_class(
        visible, layout, {(image.channel, image.label) for image in images.values()}, skipped
    )
    return ImageFolder(tuple(images.values()), skipped)


def _why_skipped(entry: Entry) -> str:
    """Why the file is not taken as an image, or nothing. Without a suffix its content decides."""
    name = entry.parts[-1]
    if formats.is_image(name):
        return ""
    if entry.read and not formats.has_suffix(name):
        try:
            return "" if formats.begins_like_image(entry.read()) else "not an image"
        except SourceError as error:
            return str(error)
    return formats.why_skipped(name)


def _safe(entry: Entry) -> Entry:
    """Rejects names that are special to a file system, a shell or a terminal."""
    for part in entry.parts:
        plain = is_printable(part) and part == part.strip() and "\\" not in part
        if not plain or part in ("", ".", "..") or len(part.encode()) > MAX_NAME:
            raise SourceError(
                f"'{entry.path}' is not a valid path; rename it without special characters"
            )
    return entry


def _detect_layout(images: list[Entry], skipped: Sequence[Skipped]) -> _Layout:
    if not images:
        such = f"; '{skipped[0].path}': {skipped[0].reason}" if skipped else ""
        raise SourceError(f"it contains no image ({', '.join(IMAGE_SUFFIXES)}){such}")
    for entry in images:
        if entry.parts[-3:-2] and _channel(entry.parts[-3]):
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
    name = unicodedata.normalize("NFC", entry.parts[-1])
    if not formats.needs_conversion(name):
        return LabelledImage(*target, name, entry.read, entry.path)
    return LabelledImage(*target, f"{name}.jpg", partial(_converted, entry.read), entry.path)


def _converted(read: Read) -> bytes:
    try:
        return formats.to_jpeg(read())
    except formats.CannotConvert as error:
        raise SourceError(str(error)) from error


def _check_no_empty_class(
    entries: list[Entry],
    layout: _Layout,
    filled: set[tuple[str, str]],
    skipped: Sequence[Skipped],
) -> None:
    reasons = {each.path: each.reason for each in skipped}
    problems = {}
    for entry in entries:
        target = layout.channel_and_label(entry.parts[:-1] if entry.read else entry.parts)
        if target and target not in filled:
            where = f" in channel '{target[0]}'" if layout.has_channels else ""
            reason = f" ('{entry.path}': {reasons[entry.path]})" if entry.path in reasons else ""
            problems[target] = f"class '{target[1]}' has no image{where}{reason}"
    if problems:
        raise SourceError(f"{'; '.join(problems.values())}: add images, or delete the folder")
    if not any(channel == "train" for channel, _ in filled):
        raise SourceError("it has no channel 'train'")
