"""Augmentation: shapes, ranges, and the same images for the same seed."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from facet.recipes import RECIPES
from training.fitting.augment import Augmentation, augment

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 12, 10, 3), dtype=np.uint8)


def changed(
    plan: Augmentation, seed: int = 1, pixels: NDArray[np.uint8] = PIXELS
) -> NDArray[np.float32]:
    return np.asarray(augment(plan, tf.constant(pixels), tf.constant([seed, 2], tf.int64)))


ALL = Augmentation(
    shift=0.1, rotation=15, zoom=0.3, flip=True, brightness=50, contrast=0.6, tint=30
)


@pytest.mark.parametrize("plan", [ALL, Augmentation.of(RECIPES["image-folder"].defaults)])
def test_images_keep_their_shape_and_range(plan: Augmentation) -> None:
    images = changed(plan)
    assert images.shape == PIXELS.shape
    assert images.dtype == np.float32
    assert (images >= 0).all()
    assert (images <= 255).all()
    assert np.abs(images - PIXELS).mean() > 5


def test_no_augmentation_leaves_pixels_unchanged() -> None:
    assert np.abs(changed(Augmentation()) - PIXELS).max() < 1e-3


def test_the_same_seed_gives_the_same_images() -> None:
    assert (changed(ALL, seed=7) == changed(ALL, seed=7)).all()
    assert (changed(ALL, seed=7) != changed(ALL, seed=8)).any()


def test_flip_mirrors_some_images() -> None:
    images = changed(Augmentation(flip=True))
    mirrored = np.abs(images - PIXELS[:, :, ::-1]).max(axis=(1, 2, 3)) < 1e-3
    kept = np.abs(images - PIXELS).max(axis=(1, 2, 3)) < 1e-3
    assert (mirrored ^ kept).all()
    assert 0 < mirrored.sum() < len(PIXELS)


def test_a_shift_stays_within_its_share_of_the_side() -> None:
    """A white dot moves by at most 0.2 of the side, and not the same way in every image."""
    dots = np.zeros((32, 41, 41, 1), dtype=np.uint8)
    dots[:, 20, 20] = 255
    images = changed(Augmentation(shift=0.2), pixels=dots)[..., 0]
    rows, columns = np.mgrid[0:41, 0:41]
    total = images.sum(axis=(1, 2))
    y = (images * rows).sum(axis=(1, 2)) / total - 20
    x = (images * columns).sum(axis=(1, 2)) / total - 20
    assert max(np.abs(x).max(), np.abs(y).max()) <= 0.2 * 41 + 0.01
    assert x.std() > 2
    assert y.std() > 2


def test_shifts_and_flips_are_the_map_that_rotation_and_zoom_take_part_in() -> None:
    """Whole pixels are copied; a map that also turns by almost nothing interpolates."""
    moved = changed(Augmentation(shift=0.4, flip=True))
    turned = changed(Augmentation(shift=0.4, flip=True, rotation=1e-6))
    assert np.abs(moved - turned).max() < 0.1
    assert np.abs(moved - PIXELS).mean() > 5


def test_rotation_turns_about_the_centre() -> None:
    """Of a bright column through the centre, the centre stays and the ends leave."""
    bars = np.zeros((16, 41, 41, 1), dtype=np.uint8)
    bars[:, :, 18:23] = 255
    images = changed(Augmentation(rotation=30), pixels=bars)[..., 0]
    assert (images[:, 20, 20] > 250).all()
    assert (images[:, 1, 20] < 5).any()
    assert np.abs(images.sum(axis=(1, 2)) / bars[0].sum() - 1).max() < 0.3
