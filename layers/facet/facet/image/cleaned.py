"""An image file reduced to its pixels: the data beside them is removed before decoding."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cleaned:
    """An image file without text, colour profiles, thumbnails and further frames.

    `complete` is false if the end of the file was missing. `orientation` is EXIF's, 1..8. `held`
    is the number of bytes that a decoder holds beside the pixels and the file.
    """

    data: bytes
    complete: bool = True
    orientation: int = 1
    held: int = 0
