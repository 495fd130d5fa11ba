"""Whether a model's answer depends on nothing but the image.

The same image is asked about twice, then together with others, then in another order. A network
exported as if in training (dropout, random augmentation, batch normalisation on the batch's own
statistics) answers one image well, and differs here. A model that can only answer single images is
no fault: it is recorded as such, and served one image at a time.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from facet.errors import BodyTooLarge, ModelFailed, Violation
from facet.places.predict_call import Scores
from facet.registry.models import Place
from onboard.proof.rows import Rows

COMPANY = 4
"""Images in one request of the check."""


@dataclass(frozen=True)
class Answer:
    """What a model answered to one request: scores or a failure for each image, and the time."""

    rows: Sequence[Scores | ModelFailed]
    seconds: float = 0.0


Ask = Callable[[Sequence[Image.Image]], Answer]
"""Sends images to a model in one request. Raises ModelFailed if it fails as a whole, and
BodyTooLarge if one request cannot hold the images."""


@dataclass(frozen=True)
class Consistency:
    """The violations found. `max_batch_size` is 1 for a model that answers single images only."""

    violations: Sequence[Violation] = ()
    max_batch_size: int | None = None


class Check:
    """Checks one model in one place, whose answers `rows` compares.

    `within` is the most seconds that one image may take; a model that needs much of it gets fewer
    and smaller requests, so that the check takes at most about three times as long.
    """

    def __init__(
        self, ask: Ask, rows: Rows, within: float = math.inf, place: Place = Place.ENDPOINT
    ) -> None:
        self._ask = ask
        self._rows = rows
        self._within = within
        self._place = place

    def of_sample(self, image: Image.Image, answers: Sequence[Answer]) -> Consistency:
        """Checks with an image that the model answers, and its `answers` so far.

        Raises ModelFailed if the model fails on the image alone.
        """
        first, again = [*answers, *(self._alone(image) for _ in range(2 - len(answers)))][:2]
        seconds = min(first.seconds, again.seconds)
        if self._differ(first.rows[0], again.rows[0]):
            return Consistency([self._not_repeatable(first.rows[0], again.rows[0])])
        return self._in_company(image, first.rows[0], seconds)

    def of_any(self, neutral: Image.Image, answers: Sequence[Answer]) -> Consistency:
        """The same without a golden sample: with a texture, on which augmentation shows.

        A model that fails on the texture is checked with the `neutral` image of the `answers`.
        """
        try:
            return self.of_sample(texture(), [])
        except ModelFailed:
            return self.of_sample(neutral, answers)

    def _alone(self, image: Image.Image) -> Answer:
        answer = self._ask([image])
        if isinstance(answer.rows[0], ModelFailed):
            raise answer.rows[0]
        return answer

    def _in_company(
        self, image: Image.Image, alone: Scores | ModelFailed, seconds: float
    ) -> Consistency:
        count, twice = self._effort(seconds)
        for images in _companies(image, count):
            try:
                # last, so that one request shows both its company and another place
                together = self._ask(images).rows
                break
            except (ModelFailed, BodyTooLarge):
                continue
        else:
            return Consistency(max_batch_size=1)
        if self._differ(alone, together[-1]):
            return Consistency([self._dependent(images, together, alone)])
        if twice and (violation := self._reordered(images, together)):
            return Consistency([violation])
        return Consistency()

    def _effort(self, seconds: float) -> tuple[int, bool]:
        """How many images to send together, and whether to send them in another order too."""
        for count in (COMPANY, 2):
            if seconds * (1 + 2 * count) <= self._within:
                return count, True
        return 2, False

    def _dependent(
        self,
        images: Sequence[Image.Image],
        together: Sequence[Scores | ModelFailed],
        alone: Scores | ModelFailed,
    ) -> Violation:
        again = self._ask(images).rows
        if self._differ(together[-1], again[-1]):
            return self._not_repeatable(together[-1], again[-1])
        return Violation(
            "batch-dependent",
            self._place,
            f"the answer to an image depends on the others in its request: {self._said(alone)} "
            f"alone, {self._said(together[-1])} together with {len(images) - 1} others",
            "export the network for inference (training=False), so that batch normalisation uses "
            "its moving averages and nothing is computed across images",
        )

    def _reordered(
        self, images: Sequence[Image.Image], together: Sequence[Scores | ModelFailed]
    ) -> Violation | None:
        """Sends the images in reverse, and compares each with its own answer."""
        reverse = [*reversed(self._ask([*reversed(images)]).rows)]
        for at, (one, other) in enumerate(zip(together, reverse, strict=True)):
            if not self._differ(one, other):
                continue
            again = self._ask(images).rows[at]
            if self._differ(one, again):
                return self._not_repeatable(one, again)
            return Violation(
                "order-dependent",
                self._place,
                f"the answer to an image depends on its place among the others: {self._said(one)} "
                f"as number {at + 1} of {len(images)}, {self._said(other)} as number "
                f"{len(images) - at}",
                "export a network that computes each image by itself; do not number or shuffle "
                "the images of a batch",
            )
        return None

    def _not_repeatable(self, one: Scores | ModelFailed, other: Scores | ModelFailed) -> Violation:
        return Violation(
            "not-repeatable",
            self._place,
            f"two identical requests got different answers: {self._said(one)}, then "
            f"{self._said(other)}",
            "export the network for inference (training=False), so that dropout, noise and random "
            "augmentation are off",
        )

    def _differ(self, one: Scores | ModelFailed, other: Scores | ModelFailed) -> bool:
        if isinstance(one, ModelFailed) or isinstance(other, ModelFailed):
            return type(one) is not type(other)
        return self._rows.differ(one, other)

    def _said(self, row: Scores | ModelFailed) -> str:
        if isinstance(row, ModelFailed):
            return "no finite numbers"
        return self._rows.said(row)


def texture() -> Image.Image:
    """An RGB image that no flip, turn or crop leaves as it is."""
    across = Image.linear_gradient("L").rotate(90)
    down, middle = Image.linear_gradient("L"), Image.radial_gradient("L")
    return Image.merge("RGB", (across, down, middle))


def _companies(image: Image.Image, count: int) -> Iterator[Sequence[Image.Image]]:
    """Groups of `count` images, or of two if those are too many, with `image` as the last.

    The first companions differ from it in everything that a network may look at. A sound model may
    fail on one of them as a whole; the others are the image itself, mirrored and turned.
    """
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    odd = (ImageOps.invert(image.convert("RGB")), texture(), Image.fromarray(noise))
    turns = (
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.ROTATE_180,
        Image.Transpose.FLIP_TOP_BOTTOM,
    )
    for others in (odd, tuple(image.transpose(turn) for turn in turns)):
        for size in sorted({count, 2}, reverse=True):
            yield (*others[: size - 1], image)
