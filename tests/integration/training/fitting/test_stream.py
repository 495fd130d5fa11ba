"""Batches: every image once per epoch, in the same order on all hosts and after a resume."""

from dataclasses import dataclass

import numpy as np
import pytest
import tensorflow as tf

from facet.recipes import Hyperparameters
from training.fitting.fit import plain_batches
from training.fitting.stream import Examples, UnevenBatch, plan_epoch, stream
from training.fitting.workers import SingleHost, Workers

SETTINGS = Hyperparameters(epochs=4, batch_size=8)


@dataclass
class Host:
    """A host that only reads batches, so it needs no connections."""

    rank: int
    count: int

    all_reduce_mean = SingleHost.all_reduce_mean
    all_gather = SingleHost.all_gather


def epochs_of(workers: Workers, settings: Hyperparameters, count: int = 20) -> list[list[int]]:
    """The numbers of the images that a host sees, one list for each epoch."""
    rows = np.arange(count, dtype=np.float32)[None, :, None]
    targets = np.zeros((count, 2), np.float32)
    steps = plan_epoch(count, settings, workers).steps
    found = stream(Examples(rows, targets), _as_it_is, settings, workers, 0)
    seen = [inputs.numpy().ravel().astype(int).tolist() for inputs, _ in found]
    return [
        [number for batch in seen[at : at + steps] for number in batch]
        for at in range(0, len(seen), steps)
    ]


def _as_it_is(rows: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    return rows


def test_each_epoch_has_every_image_once_in_a_new_order() -> None:
    epochs = epochs_of(SingleHost(), SETTINGS)
    assert len(epochs) == 4
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_epochs_cycle_through_the_views() -> None:
    rows = np.repeat(np.arange(3, dtype=np.float32), 8).reshape(3, 8, 1)
    found = stream(
        Examples(rows, np.zeros((8, 2), np.float32)),
        _as_it_is,
        SETTINGS,
        SingleHost(),
        first_epoch=0,
    )
    assert [set(inputs.numpy().ravel().tolist()) for inputs, _ in found] == [{0}, {1}, {2}, {0}]


def test_an_iterator_ends_without_waiting_for_the_autotuner() -> None:
    examples = Examples(np.zeros((1, 8, 1), np.float32), np.zeros((8, 2), np.float32))
    training = stream(examples, _as_it_is, SETTINGS, SingleHost(), first_epoch=0)
    for dataset in (training, plain_batches(examples, _as_it_is)):
        assert dataset.options().autotune.enabled is False


def test_hosts_share_each_batch() -> None:
    """Two hosts see the same batches as one, half of each."""
    single = epochs_of(SingleHost(), SETTINGS)
    shares = [epochs_of(Host(rank, 2), SETTINGS) for rank in (0, 1)]
    for epoch in range(4):
        batches = [set(single[epoch][at : at + 8]) for at in (0, 8)]
        halves = [[share[epoch][at : at + 4] for at in (0, 4)] for share in shares]
        assert [set(one + other) for one, other in zip(*halves, strict=True)] == batches


def test_rejects_a_batch_size_that_hosts_cannot_share() -> None:
    with pytest.raises(UnevenBatch, match=r"batch-size 9 .* 2 hosts"):
        plan_epoch(100, SETTINGS.model_copy(update={"batch_size": 9}), Host(0, 2))
    assert plan_epoch(5, SETTINGS, Host(0, 2)).batch == 4
    assert plan_epoch(5, SETTINGS, SingleHost()).batch == 5


def test_augmentation_differs_between_steps_epochs_and_hosts() -> None:
    rows = np.zeros((1, 16, 1), np.float32)
    targets = np.zeros((16, 2), np.float32)

    def seeds(workers: Workers) -> list[tuple[int, ...]]:
        found = stream(Examples(rows, targets), lambda _, seed: seed[None], SETTINGS, workers, 0)
        return [tuple(seed.numpy().ravel().tolist()) for seed, _ in found]

    both = seeds(Host(0, 2)) + seeds(Host(1, 2))
    assert len(both) == len(set(both)) == 16
