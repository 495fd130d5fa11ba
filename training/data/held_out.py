"""Which images of a class are held out for the evaluation: their content decides.

When the data set grows, no image that was trained on is held out later, whatever the seed: a model
that was trained earlier with the same share has not seen the images that a later job evaluates on.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

FEWEST = 3
"""Images of a class of which one is always held out: one to train on, one to validate, one here."""


def held_out(files: Sequence[Path], share: float, most: int) -> set[int]:
    """Chooses about `share` of the files, at most `most`; returns their indices.

    Of `FEWEST` or more files it is at least one. Equal files are chosen together.
    """
    if not share or len(files) < FEWEST:
        return set()
    placed = sorted((_place(file), index) for index, file in enumerate(files))
    lowest = placed[0][0]
    limit = max(share, lowest)
    return {index for place, index in placed[:most] if place < limit or place == lowest}


def _place(file: Path) -> float:
    """A number from 0 to 1 that the file's bytes determine; 1 if it cannot be read."""
    try:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").digest()
    except OSError:
        return 1.0
    return int.from_bytes(digest[:8], "big") / 2**64
