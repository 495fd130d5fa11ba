"""What quantising costs, by the answers of two models to the same images."""

import numpy as np
import pytest
from numpy.typing import NDArray

from facet.preprocess import Pixels
from training.export.loss import Loss, draw


def full(pixels: Pixels) -> NDArray[np.float32]:
    """Sure of the first label."""
    return np.tile(np.array([0.9, 0.1], np.float32), (len(pixels), 1))


def half(pixels: Pixels) -> NDArray[np.float32]:
    """The other way round for pixels that are not 0."""
    return np.where(pixels[:, 0, 0, :1] > 0, full(pixels)[:, ::-1], full(pixels))


def images(count: int, changed: int) -> tuple[Pixels, NDArray[np.int64]]:
    pixels = np.zeros((count, 1, 1, 3), np.uint8)
    pixels[:changed] = 1
    return pixels, np.zeros(count, np.int64)


def test_labels_right_and_wrong_are_counted_over_all_batches() -> None:
    loss = Loss.measure(full, half, [images(6, 0), images(4, 2)])
    assert (loss.images, loss.float_correct, loss.correct, loss.changed) == (10, 10, 8, 2)
    assert loss.largest == pytest.approx(0.8)
    assert loss.mean == pytest.approx(0.16)
    assert str(loss) == (
        "8 of 10 images right (0.8000), as float32 10 (1.0000); 2 get another label, scores differ "
        "by at most 0.800"
    )


@pytest.mark.parametrize(
    ("count", "lost", "share", "within"),
    [(1000, 0, 0, True), (1000, 1, 0, False), (1000, 10, 0.01, True), (999, 10, 0.01, False)],
)
def test_the_loss_is_a_share_of_the_images(
    count: int, lost: int, share: float, within: bool
) -> None:
    assert Loss.measure(full, half, [images(count, lost)]).is_within(share) is within


def test_images_that_became_right_make_up_for_others() -> None:
    pixels, classes = images(10, 4)
    classes[:2] = 1
    loss = Loss.measure(full, half, [(pixels, classes)])
    assert (loss.float_correct, loss.correct, loss.changed) == (8, 8, 4)
    assert loss.is_within(0)


def test_scores_that_are_no_numbers_are_a_loss() -> None:
    loss = Loss.measure(full, lambda pixels: full(pixels) * np.nan, [images(3, 0)])
    assert not loss.is_within(1)


def test_draws_depend_on_the_seed_alone() -> None:
    assert draw(1000, 1, 5) == draw(1000, 1, 5) != draw(1000, 2, 5)
    assert draw(3, 1, 5) == [0, 1, 2]
