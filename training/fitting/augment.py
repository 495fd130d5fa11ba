"""Random augmentation of training images, vectorised over the batch."""

import math
from dataclasses import dataclass, fields
from typing import Self

import tensorflow as tf

from facet.recipes import Hyperparameters


@dataclass(frozen=True)
class Augmentation:
    """The range of each change; every amount is drawn uniformly from -amount to +amount.

    `shift` is a share of the side, in whole pixels so that it does not blur; `rotation` is in
    degrees, `zoom` a factor (0.2: 1/1.2 to 1.2), and both blur a little; `flip` mirrors every
    second image. `brightness` is added (255 is white), `contrast` is a factor about the
    image's mean, `tint` is added to each channel independently.
    """

    shift: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    tint: float = 0.0

    @classmethod
    def of(cls, settings: Hyperparameters) -> Self:
        """Takes the amounts from hyperparameters."""
        return cls(**{field.name: getattr(settings, field.name) for field in fields(cls)})


def augment(plan: Augmentation, pixels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns float32 (batch, height, width, channels) in 0..255 from uint8 pixels of that shape.

    `seed` is an int tensor of two values; the same seed gives the same images.
    """
    seeds = tf.unstack(tf.random.split(seed, 7))
    moved = _transform(plan, pixels, seeds[:4])
    return _colour(plan, moved, seeds[4:])


def _uniform(batch: tf.Tensor, seed: tf.Tensor, amount: float, *, width: int = 1) -> tf.Tensor:
    return tf.random.stateless_uniform([batch, width], seed, -amount, amount)


def _transform(plan: Augmentation, pixels: tf.Tensor, seeds: list[tf.Tensor]) -> tf.Tensor:
    """Applies one affine map per image about its centre; fills edges by reflection, not black."""
    batch, height, width = tf.unstack(tf.shape(pixels)[:3])
    size = tf.cast(tf.stack([width, height]), tf.float32)
    mirror = tf.where(_uniform(batch, seeds[2], 1.0) < 0, -1.0, 1.0) if plan.flip else 1.0
    shift = tf.round(_uniform(batch, seeds[3], plan.shift, width=2) * size)
    if not (plan.rotation or plan.zoom):
        return _by_whole_pixels(pixels, mirror, shift)
    angle = _uniform(batch, seeds[0], math.radians(plan.rotation))
    zoom = (1 + plan.zoom) ** _uniform(batch, seeds[1], 1.0)
    across, along = zoom * tf.cos(angle), zoom * tf.sin(angle)
    matrix = [across * mirror, -along, along * mirror, across]
    centre = (size - 1) / 2
    x = centre[0] + shift[:, :1] - matrix[0] * centre[0] - matrix[1] * centre[1]
    y = centre[1] + shift[:, 1:] - matrix[2] * centre[0] - matrix[3] * centre[1]
    none = tf.zeros_like(x)
    changed = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(pixels, tf.float32),
        transforms=tf.concat([matrix[0], matrix[1], x, matrix[2], matrix[3], y, none, none], 1),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    return tf.ensure_shape(changed, pixels.shape)


def _by_whole_pixels(pixels: tf.Tensor, mirror: tf.Tensor | float, shift: tf.Tensor) -> tf.Tensor:
    """The same map without interpolation, in a third of the time: rows and columns are copied."""
    height, width = tf.unstack(tf.shape(pixels)[1:3])
    rows = _reflected(1.0, shift[:, 1:], height)
    columns = _reflected(mirror, shift[:, :1], width)
    moved = tf.gather(pixels, rows, axis=1, batch_dims=1)
    return tf.cast(tf.gather(moved, columns, axis=2, batch_dims=1), tf.float32)


def _reflected(mirror: tf.Tensor | float, shift: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
    """Which of `side` pixels each pixel is copied from (batch, side); edges are mirrors."""
    centre = tf.cast(side - 1, tf.float32) / 2
    places = mirror * (tf.range(tf.cast(side, tf.float32)) - centre) + centre + shift
    wrapped = tf.math.floormod(tf.cast(tf.round(places), tf.int32), 2 * side)
    return tf.minimum(wrapped, 2 * side - 1 - wrapped)


def _colour(plan: Augmentation, pixels: tf.Tensor, seeds: list[tf.Tensor]) -> tf.Tensor:
    if not (plan.brightness or plan.contrast or plan.tint):
        return pixels
    batch, channels = tf.shape(pixels)[0], pixels.shape[-1]
    mean = tf.reduce_mean(pixels, axis=[1, 2, 3], keepdims=True)
    factor = (1 + plan.contrast) ** _uniform(batch, seeds[0], 1.0)
    light = _uniform(batch, seeds[1], plan.brightness) + _uniform(
        batch, seeds[2], plan.tint, width=channels
    )
    changed = (pixels - mean) * factor[:, None, None] + mean + light[:, None, None]
    return tf.clip_by_value(changed, 0.0, 255.0)
