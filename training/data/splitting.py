"""Splits sets off the training images: copies of an image stay on one side."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facet.errors import FacetError
from facet.image import decoding
from training.data import duplicates
from training.data.held_out import held_out

File = tuple[int, Path]
"""The class of an image and its path."""


class DataError(FacetError):
    """The images cannot be trained on; the message says what to fix."""


@dataclass(frozen=True)
class Copies:
    """The numbers of groups of copies, by path: near-identical ones, and only identical ones."""

    near: Mapping[Path, int]
    identical: Mapping[Path, int]

    def of(self, files: Sequence[File], fewest: int) -> list[int]:
        """Each file's number; only identical files count as copies if too few would differ."""
        numbers = [self.near[path] for _, path in files]
        if len(set(numbers)) < fewest:
            return [self.identical[path] for _, path in files]
        return numbers

    def under_several_labels(self, files: Sequence[File]) -> set[Path]:
        """The files with an identical one of another class."""
        labels: dict[int, set[int]] = defaultdict(set)
        for index, path in files:
            labels[self.identical[path]].add(index)
        return {path for _, path in files if len(labels[self.identical[path]]) > 1}


def find_copies(
    channels: Sequence[str], files: Mapping[str, list[File]], labels: tuple[str, ...]
) -> Copies:
    """Finds copies among all images, and prints what makes the data set worse.

    Raises DataError if too many images are under several labels.
    """
    placed = [(channel, *file) for channel in channels for file in files[channel]]
    members = [
        duplicates.Member(channel, labels[index], "/".join(path.parts[-3:]))
        for channel, index, path in placed
    ]
    with ThreadPoolExecutor() as pool:
        prints = list(pool.map(_fingerprint, [path for _, _, path in placed]))
    if problem := duplicates.too_many_contradictions(members, prints):
        raise DataError(f"{problem}.")
    for line in duplicates.warnings(members, prints):
        print(f"warning: {line}", flush=True)
    paths = [path for _, _, path in placed]
    near, identical = (
        dict(zip(paths, duplicates.groups(prints, near=near), strict=True))
        for near in (True, False)
    )
    return Copies(near, identical)


def _fingerprint(path: Path) -> duplicates.Fingerprint | None:
    try:
        fitting = (duplicates.SIDE, duplicates.SIDE)
        return duplicates.fingerprint(decoding.decode(path.read_bytes(), fitting=fitting))
    except (FacetError, OSError):
        return None


def split(
    files: list[File],
    labels: tuple[str, ...],
    shares: Mapping[str, float],
    seed: int,
    copies: Copies,
) -> dict[str, list[File]]:
    """Splits off the share of every class for each name; the rest is `train`.

    At least one image of a class stays in `train` and, if it is split off, in `validation`. Copies
    of an image stay together, in `train` if they are under several labels.
    """
    validated = "validation" in shares
    random = np.random.default_rng(seed)
    parts: dict[str, list[File]] = {name: [] for name in ("train", *shares)}
    several = copies.under_several_labels(files) if shares else set()
    for index, label in enumerate(labels):
        members = [file for file in files if file[0] == index]
        if validated and len(members) < 2:
            raise DataError(
                f"Class '{label}' has {'one image' if members else 'no image'}; "
                "two are needed, because one is split off for validation."
            )
        free = [file for file in members if file[1] not in several]
        numbers = copies.of(free, 1 + validated)
        if validated and len(set(numbers)) < 2:
            raise DataError(
                f"Class '{label}' has only copies of one image, or images of other labels; two "
                "different images are needed, because one is split off for validation."
            )
        held = held_out([path for _, path in free], numbers, shares.get("test", 0), 1 + validated)
        rest = [position for position in range(len(free)) if position not in held]
        order = [rest[place] for place in random.permutation(len(rest)).tolist()]
        count = max(round(shares["validation"] * len(members)), 1) if validated else 0
        drawn = _drawn(order, min(count, len(rest) - 1), numbers)
        chosen = {"test": held, "validation": drawn}
        for name in shares:
            parts[name] += [free[position] for position in chosen[name]]
        kept = {file for place, file in enumerate(free) if place not in held | drawn}
        parts["train"] += [file for file in members if file in kept or file[1] in several]
    return {name: sorted(members) for name, members in parts.items() if members}


def _drawn(order: Sequence[int], count: int, numbers: Sequence[int]) -> set[int]:
    """Takes `count` positions from the end, copies together; fewer if they do not fit, but one."""
    together: dict[int, list[int]] = defaultdict(list)
    for position in reversed(order):
        together[numbers[position]].append(position)
    drawn: set[int] = set()
    for positions in together.values():
        if len(drawn) + len(positions) <= count:
            drawn.update(positions)
    return drawn or set(min(together.values(), key=len) if count > 0 else ())
