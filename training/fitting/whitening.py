"""Computes the first filters of a cnn from the training images, instead of drawing them.

Neighbouring pixels are much alike: random filters all answer mostly with the local brightness. The
principal components of small patches, scaled to unit variance, answer independently of each other.
Each comes with its negative, because max pooling and the activation keep only what is large.
"""

import numpy as np
from numpy.typing import NDArray

from facet import preprocess
from training.dataset import ImageSet
from training.fitting.workers import Workers
from training.networks import WHITENED, Network

IMAGES = 1000
"""Training images whose patches are taken; at most this many."""

NOISE = 0.01
"""Added to each component's variance, which of normalised pixels is about 1 for the first."""


def whiten(network: Network, images: ImageSet, workers: Workers) -> None:
    """Sets the filters of a cnn's first convolution; those beyond all components stay random.

    The images may be sorted by class. All hosts get the first host's filters.
    """
    for layer in (each for each in network.tail.layers if each.name == WHITENED):
        kernel = layer.get_weights()[0].copy()
        pixels = images.pixels[:: -(-len(images) // IMAGES)]
        components = whitening(preprocess.normalise(network.spec, pixels), len(kernel))
        pairs = min(components.shape[-1], kernel.shape[-1] // 2)
        kernel[..., :pairs] = components[..., :pairs]
        kernel[..., pairs : 2 * pairs] = -components[..., :pairs]
        shared = np.frombuffer(workers.all_gather(kernel.tobytes())[0], kernel.dtype)
        layer.set_weights([shared.reshape(kernel.shape)])


def whitening(images: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Filters (side, side, channels, components) whose answers have variance 1 and covariance 0.

    `images` is (n, height, width, channels). The component with the largest variance comes first.
    """
    patches = np.lib.stride_tricks.sliding_window_view(images, (side, side), axis=(1, 2))
    channels = images.shape[-1]
    rows = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, side * side * channels)
    covariance = rows.T @ rows / np.float32(len(rows))
    variances, vectors = np.linalg.eigh(covariance.astype(np.float64))
    scaled = (vectors / np.sqrt(variances.clip(0) + NOISE))[:, ::-1]
    return scaled.reshape(side, side, channels, -1).astype(np.float32)
