"""Make a SavedModel that fails on bright images: `python build_flawed.py <folder>`.

It takes 8x8 RGB images as strings of raw bytes and answers the same three scores to each, but NaN
where the mean of the pixels is above 200.
"""
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

import sys

import tensorflow as tf


class Flawed(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image")])
    def scores(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        pixels = tf.reshape(tf.io.decode_raw(image, tf.uint8), [-1, 8 * 8 * 3])
        room = tf.sqrt(200.0 - tf.reduce_mean(tf.cast(pixels, tf.float32), 1, keepdims=True))
        return {"scores": room / room * tf.constant([[0.7, 0.2, 0.1]])}


flawed = Flawed()
tf.saved_model.save(flawed, sys.argv[1], signatures=flawed.scores)
