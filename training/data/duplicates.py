"""Copies of an image in a data set: identical ones, and near-identical ones by perceptual hash.

A copy of a training image among the held-out ones makes a model look better than it is, and the
same image under two labels teaches nothing. Near-identical are images whose 64-bit pHash differs in
at most `DISTANCE` bits: in CIFAR-10 these are 157 pairs of 60,000 images, all of one label and the
same picture by eye; in the sign language digits 3 of 2,062, of one label, too.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32
"""Height and width in pixels of the image that pHash is computed of."""

DISTANCE = 2
"""Bits of the perceptual hash in which near-identical images may differ."""

PLAIN = 2.0
"""Standard deviation of an image's grey values, of 255, up to which it has no shape to compare."""

MAX_CONTRADICTIONS = 0.01
"""The share of a data set's images that may be identical to one under another label."""

NAMED = 20
"""Contradictions that the warnings name one by one."""

IN_A_LINE = 4
"""Files, or groups of files, that one line names: SageMaker keeps 1,024 characters of a reason."""

BANDS = ((0, 21), (21, 21), (42, 22))
"""First bit and number of bits. Two hashes that differ in two bits have one of these in common."""


@dataclass(frozen=True)
class Fingerprint:
    """`pixels` is a digest. `shape` is the perceptual hash; None if the image is plain."""

    pixels: bytes
    shape: int | None


@dataclass(frozen=True)
class Member:
    """An image of a data set. `name` is for messages."""

    channel: str
    label: str
    name: str


def fingerprint(image: Image.Image) -> Fingerprint:
    """Fingerprints a decoded image. Without ImageHash, near-identical images are not found."""
    size = f"{image.width} {image.height} ".encode()
    pixels = hashlib.sha256(size + image.convert("RGB").tobytes()).digest()
    small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    try:
        import imagehash
    except ImportError:
        return Fingerprint(pixels, None)
    if np.asarray(small).std() <= PLAIN:
        return Fingerprint(pixels, None)
    return Fingerprint(pixels, int(str(imagehash.phash(small)), 16))


def groups(prints: Sequence[Fingerprint | None], *, near: bool) -> list[int]:
    """The number of each image's group: the index of its first member. Copies are in one group.

    None stands for an unreadable image, which is in a group of its own.
    """
    parents = list(range(len(prints)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    def join(one: int, other: int) -> None:
        first, second = sorted((root(one), root(other)))
        parents[second] = first

    known: dict[object, int] = {}
    shapes: dict[int, int] = {}
    for index, each in enumerate(prints):
        if each is not None:
            join(known.setdefault(each.pixels, index), index)
            if near and each.shape is not None:
                join(shapes.setdefault(each.shape, index), index)
    hashes = np.array(list(shapes), dtype=np.uint64)
    firsts = list(shapes.values())
    for one, other in _close(hashes):
        join(firsts[one], firsts[other])
    return [root(index) for index in range(len(prints))]


def _close(hashes: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """The pairs that differ in at most `DISTANCE` bits; some pairs several times."""
    for begin, bits in BANDS:
        band = (hashes >> np.uint64(begin)) & np.uint64((1 << bits) - 1)
        order = np.argsort(band, kind="stable")
        first, step = np.arange(len(order)), 1
        while len(first := first[first + step < len(order)]):
            one, other = order[first], order[first + step]
            same = band[one] == band[other]
            first, one, other = first[same], one[same], other[same]
            close = np.bitwise_count(hashes[one] ^ hashes[other]) <= DISTANCE
            yield from zip(one[close].tolist(), other[close].tolist(), strict=True)
            step += 1


def warnings(members: Sequence[Member], prints: Sequence[Fingerprint | None]) -> Iterator[str]:
    """A line for each way in which the data set misleads, though it can be trained on."""
    found = contradictions(members, prints)
    yield from found[:NAMED]
    if len(found) > NAMED:
        yield f"and {len(found) - NAMED} more images are under several labels"
    yield from leaks(members, prints)
    yield from missing_labels(members)


def contradictions(members: Sequence[Member], prints: Sequence[Fingerprint | None]) -> list[str]:
    """A line for each image that is under several labels; near-identical ones come last."""
    identical = list(_of_several_labels(members, groups(prints, near=False)))
    found = {each.name for group in identical for each in group}
    similar = (
        group
        for group in _of_several_labels(members, groups(prints, near=True))
        if not found.issuperset(each.name for each in group)
    )
    return [
        *(f"the same image is under several labels: {_names(group)}" for group in identical),
        *(f"nearly the same image is under several labels: {_names(group)}" for group in similar),
    ]


def too_many_contradictions(
    members: Sequence[Member], prints: Sequence[Fingerprint | None]
) -> str | None:
    """Why training is refused: too many images are under several labels."""
    found = list(_of_several_labels(members, groups(prints, near=False)))
    count = sum(map(len, found))
    if count <= MAX_CONTRADICTIONS * len(members):
        return None
    return (
        f"{count} of {len(members)} images are under several labels, more than "
        f"{MAX_CONTRADICTIONS:.0%}. Remove each from all labels but the right one: "
        f"{_shortened([_names(group) for group in found], '; ')}"
    )


def leaks(members: Sequence[Member], prints: Sequence[Fingerprint | None]) -> list[str]:
    """A line for each two channels that have images in common, nearly or exactly."""
    together: dict[int, list[Member]] = defaultdict(list)
    for each, group in zip(members, groups(prints, near=True), strict=True):
        together[group].append(each)
    lines = []
    for other, channel in (("train", "validation"), ("train", "test"), ("validation", "test")):
        pairs = [
            (each, twin)
            for group in together.values()
            for each in group
            if each.channel == channel
            for twin in [next((one for one in group if one.channel == other), None)]
            if twin
        ]
        if pairs:
            first, twin = pairs[0]
            lines.append(
                f"{len(pairs)} of the images of channel '{channel}' are in channel '{other}', "
                f"too, nearly or exactly, such as {first.name} and {twin.name}: measures of "
                f"'{channel}' are too good"
            )
    return lines


def missing_labels(members: Iterable[Member]) -> list[str]:
    """A line for each channel that lacks some of the labels."""
    found: dict[str, set[str]] = defaultdict(set)
    for each in members:
        found[each.channel].add(each.label)
    return [
        f"channel '{channel}' has no image of {', '.join(repr(each) for each in missing)}: "
        "nothing is measured for it"
        for channel, present in list(found.items())
        if (missing := sorted(found["train"] - present))
    ]


def _of_several_labels(members: Sequence[Member], numbers: Sequence[int]) -> Iterator[list[Member]]:
    together: dict[int, list[Member]] = defaultdict(list)
    for each, number in zip(members, numbers, strict=True):
        together[number].append(each)
    for group in together.values():
        if len({each.label for each in group}) > 1:
            yield group


def _names(group: Iterable[Member]) -> str:
    return _shortened([each.name for each in group], ", ")


def _shortened(names: Sequence[str], separator: str) -> str:
    more = [f"and {len(names) - IN_A_LINE} more"] if len(names) > IN_A_LINE else []
    return separator.join([*names[:IN_A_LINE], *more])
