"""JPEG files: the segments that have the pixels."""

import struct
from collections.abc import Iterator
from dataclasses import replace

from facet.errors import BrokenImage
from facet.image.cleaned import Cleaned
from facet.image.exif import orientation

SIGNATURE, END = b"\xff\xd8", b"\xff\xd9"
JFIF, EXIF, ADOBE, COMMENT = 0xE0, 0xE1, 0xEE, 0xFE
APPLICATION = range(0xE0, 0xF0)
SCAN = 0xDA
SCAN_MARKER = bytes([0xFF, SCAN])
WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers of a frame; the others in their range define tables."""

SEQUENTIAL = (0xC0, 0xC1, 0xC9)

COEFFICIENT = 2
"""Bytes of a coefficient. libjpeg holds all of an image that comes in several scans."""

BLOCKS = 32
"""Pixels by which libjpeg rounds up a side, at most."""

MAX_SCANS = 500
"""Scans of one image, as many as libjpeg-turbo's own tools accept. Each takes the time of a whole
image, but only a few bytes of the file. Encoders write about ten."""


def clean(data: bytes) -> Cleaned:
    """The JPEG without application data, except what says how its colours are stored.

    Raises BrokenImage if there are no pixels, if scans are missing, or if there are too many.
    """
    kept, turned, exif_seen = [SIGNATURE], 1, False
    marker, frame = 0, b""
    for kind, content, start, end in _segments(data):
        if kind == SCAN:
            held = 0 if marker in SEQUENTIAL and content[:1] == frame[5:6] else _held(frame)
            return _with_scans(data, kept, start, frame, Cleaned(b"", True, turned, held))
        if kind in FRAMES and not frame:
            marker, frame = kind, content
        if kind == EXIF and content.startswith(b"Exif\0\0") and not exif_seen:
            turned, exif_seen = orientation(content), True
        if not _is_beside(kind, content):
            kept.append(data[start:end])
    raise BrokenImage("The JPEG has no pixels, or is cut short before them.")


def _with_scans(
    data: bytes, kept: list[bytes], start: int, frame: bytes, cleaned: Cleaned
) -> Cleaned:
    """The file from the segments before the first scan, and all scans up to the end marker."""
    # in a scan, 0xFF is followed by 0 unless it begins a marker
    end = data.find(END, start)
    complete = end > 0
    end = end if complete else len(data.rstrip(b"\xff"))
    scans = data.count(SCAN_MARKER, start, end)
    if scans > MAX_SCANS:
        raise BrokenImage(f"The JPEG has {scans:,} scans; the limit is {MAX_SCANS}.")
    if not (complete or _has_all_scans(data, start, frame)):
        raise BrokenImage("The JPEG is cut short: scans are missing.")
    pixels = b"".join([*kept, memoryview(data)[start:end], END])
    return replace(cleaned, data=pixels, complete=complete)


def _has_all_scans(data: bytes, start: int, frame: bytes) -> bool:
    """Whether the scans bring all coefficients of all components in full precision."""
    missing = {component: set(range(64)) for component in frame[6::3]}
    while start >= 0:
        header = data[start + 4 : start + 16]
        count = min(header[0], 4) if header else 0
        components = header[1 : 1 + 2 * count : 2]
        first, last, precision = (header[1 + 2 * count :] + bytes(3))[:3]
        for component in components if precision & 15 == 0 else ():
            missing.get(component, set()).difference_update(range(first, last + 1))
        start = data.find(SCAN_MARKER, start + 2)
    return not any(missing.values())


def _held(frame: bytes) -> int:
    """Bytes of the coefficients that libjpeg holds if they come in several scans."""
    if len(frame) < 6:
        return 0
    height, width = struct.unpack_from(">HH", frame, 1)
    samples = frame[7::3]
    across = max((each >> 4 for each in samples), default=1) or 1
    down = max((each & 15 for each in samples), default=1) or 1
    shares = sum((each >> 4) * (each & 15) / (across * down) for each in samples)
    return int((width + BLOCKS) * (height + BLOCKS) * shares * COEFFICIENT)


def _is_beside(marker: int, content: bytes) -> bool:
    """Whether a segment says nothing about the pixels to libjpeg."""
    if marker == JFIF:
        return not (content.startswith(b"JFIF\0") and len(content) >= 14)
    if marker == ADOBE:
        return not (content.startswith(b"Adobe") and len(content) >= 12)
    return marker in APPLICATION or marker == COMMENT


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int, int]]:
    """Yield the marker, content, start and end of each segment up to the first scan.

    Bytes between segments are skipped, as by libjpeg.
    """
    place = len(SIGNATURE)
    while (start := data.find(b"\xff", place)) >= 0 and start + 1 < len(data):
        marker = data[start + 1]
        if marker in (0x00, 0xFF):  # no marker, or a fill byte before one
            place = start + 1
            continue
        if marker in WITHOUT_LENGTH:
            place = start + 2
            continue
        length = int.from_bytes(data[start + 2 : start + 4])
        place = start + 2 + length
        if length < 2 or place > len(data):
            return
        yield marker, data[start + 4 : place], start, place
