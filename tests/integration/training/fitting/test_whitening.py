"""The first filters of a cnn: independent answers of unit variance, the same on all hosts."""

from dataclasses import dataclass, replace

import keras
import numpy as np
from numpy.typing import NDArray

from facet import preprocess
from facet.recipes import Hyperparameters
from training.dataset import ImageSet
from training.fitting.whitening import NOISE, whiten, whitening
from training.fitting.workers import SingleHost
from training.networks import WHITENED, Network, build

SETTINGS = Hyperparameters(image_size=16, width=8, dense=4)


def smooth(count: int = 60, side: int = 16) -> NDArray[np.uint8]:
    """Images whose neighbouring pixels and channels are much alike."""
    noise = np.random.default_rng(1).standard_normal((count, side + 3, side + 3, 3))
    for axis in (1, 2, 3):
        noise = noise + np.roll(noise, 1, axis) + np.roll(noise, 2, axis)
    return np.clip(128 + 10 * noise[:, 3:, 3:], 0, 255).astype(np.uint8)


IMAGES = ImageSet(smooth(), np.zeros(60, np.int64))


def built(**changes: object) -> tuple[Network, NDArray[np.float32]]:
    """A cnn with its random filters."""
    keras.utils.set_random_seed(1)
    network = build(SETTINGS.model_copy(update=changes), 2, None)
    return network, filters(network)


def filters(network: Network) -> NDArray[np.float32]:
    (kernel,) = network.tail.get_layer(WHITENED).get_weights()
    return np.asarray(kernel)


def test_answers_are_independent_and_have_unit_variance() -> None:
    images = smooth().astype(np.float32) / np.float32(64) - np.float32(2)
    components = whitening(images, 3).reshape(27, 27)
    patches = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
    answers = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 27) @ components
    covariance = answers.T @ answers / len(answers)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-3
    assert (np.diff(np.diag(covariance)) < 1e-4).all()
    norms = (components**2).sum(axis=0)
    np.testing.assert_allclose(np.diag(covariance), 1 - NOISE * norms, atol=1e-3)
    assert covariance[0, 0] > 0.9


def test_a_cnn_starts_with_the_components_and_their_negatives() -> None:
    network, random = built()
    whiten(network, IMAGES, SingleHost())
    found = filters(network)
    expected = whitening(preprocess.normalise(network.spec, IMAGES.pixels), 3)[..., :4]
    np.testing.assert_array_equal(found, np.concatenate([expected, -expected], axis=-1))
    assert np.abs(found - random).max() > 0.1


def test_filters_beyond_all_components_stay_random() -> None:
    network, random = built(width=64)
    whiten(network, IMAGES, SingleHost())
    found = filters(network)
    np.testing.assert_array_equal(found[..., 54:], random[..., 54:])
    assert not np.array_equal(found[..., :54], random[..., :54])


def test_a_network_without_such_a_layer_is_left_as_it_is() -> None:
    network = build(SETTINGS.model_copy(update={"backbone": "article-cnn"}), 2, None)
    before = network.tail.get_weights()
    whiten(network, IMAGES, SingleHost())
    pairs = zip(before, network.tail.get_weights(), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


@dataclass
class SecondHost:
    """A host whose own filters differ from the first host's."""

    first: bytes = b""
    rank = 1
    count = 2

    def all_reduce_mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values

    def all_gather(self, content: bytes) -> list[bytes]:
        return [self.first, content]


def test_all_hosts_start_with_the_first_hosts_filters() -> None:
    first, _ = built()
    whiten(first, IMAGES, SingleHost())
    second, _ = built()
    other = replace(IMAGES, pixels=IMAGES.pixels[:30], classes=IMAGES.classes[:30])
    whiten(second, other, SecondHost(filters(first).tobytes()))
    np.testing.assert_array_equal(filters(second), filters(first))
