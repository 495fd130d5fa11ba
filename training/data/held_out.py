"""Which images of a class are held out for the evaluation: their content decides.

When the data set grows, no image that was trained on is held out later, whatever the seed: a model
that was trained earlier with the same share has not seen the images that a later job evaluates on.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

FEWEST = 3
"""Images of a class of which one is always held out: one to train on, one to validate, one here."""


def held_out(
    files: Sequence[Path], copies: Sequence[int], share: float, remaining: int
) -> set[int]:
    """Chooses about `share` of the files; returns their indices. Of `FEWEST` or more different
    images it is at least one, and at least `remaining` different ones remain.

    `copies` has the same number for copies of one image. They are chosen together, and only if each
    of them would be: a copy that is added later does not hold out an image that was trained on.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(copies):
        members[number].append(index)
    if not share or len(members) < FEWEST:
        return set()
    placed = sorted(
        (max(_place(files[each]) for each in those), those) for those in members.values()
    )
    limit = max(share, placed[0][0])
    chosen: set[int] = set()
    for place, those in placed[: len(placed) - remaining]:
        if place < limit or place == placed[0][0]:
            chosen.update(those)
    return chosen


def _place(file: Path) -> float:
    """A number from 0 to 1 that the file's bytes determine; 1 if it cannot be read."""
    try:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").digest()
    except OSError:
        return 1.0
    return int.from_bytes(digest[:8], "big") / 2**64
