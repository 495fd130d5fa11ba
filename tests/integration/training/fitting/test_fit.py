"""Fitting: reproducible, resumable, early stopping, and equal with cached features."""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from facet.recipes import RECIPES, Hyperparameters
from training.dataset import Dataset, ImageSet
from training.evaluate import evaluate
from training.fitting.checkpoint import Checkpoint, History, best_epoch
from training.fitting.fit import MEASURES, ResumableTraining
from training.fitting.workers import SingleHost, Workers
from training.networks import Network, build
from training.trainer import dtype_policy, refit, train

LINE = re.compile(
    r"epoch=(\d+) loss=\d+\.\d{4} accuracy=\d\.\d{4} "
    r"val_loss=\d+\.\d{4} val_accuracy=\d\.\d{4} seconds=\d+\.\d"
)
TINY = Hyperparameters(
    image_size=16, width=4, dense=8, epochs=4, batch_size=8, learning_rate=0.01, patience=0
)


def images(count: int, seed: int, side: int = 16) -> ImageSet:
    """Noise that is bright in the upper half (class 0) or in the lower half (class 1)."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 100, (count, side, side, 3), dtype=np.uint8)
    classes = np.arange(count) % 2
    pixels[classes == 0, : side // 2] += 120
    pixels[classes == 1, side // 2 :] += 120
    return ImageSet(pixels, classes)


def dataset(count: int = 24, side: int = 16) -> Dataset:
    return Dataset(("up", "down"), images(count, 1, side), images(6, 2, side), None)


@dataclass
class Training:
    """One training from scratch, in a folder of its own."""

    folder: Path
    settings: Hyperparameters = TINY
    data: Dataset = field(default_factory=dataset)
    weights: Path | None = None
    fingerprint: str = "same"
    workers: Workers = field(default_factory=SingleHost)

    def run(self, checkpoints: Path | None = None) -> tuple[Network, History]:
        tf.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(self.settings.seed)
        network = build(self.settings, 2, self.weights)
        checkpoint = Checkpoint(checkpoints, self.fingerprint)
        history = train(network, self.data, self.settings, self.folder, checkpoint, self.workers)
        return network, history

    def changed(self, **changes: object) -> "Training":
        return replace(self, settings=self.settings.model_copy(update=changes))


def same(one: Network, other: Network) -> bool:
    pairs = zip(one.tail.get_weights(), other.tail.get_weights(), strict=True)
    return all(bool((a == b).all()) for a, b in pairs)


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a small MobileNet, in place of ImageNet's."""
    keras.utils.set_random_seed(3)
    base = keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.25
    )
    file = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
    base.save_weights(file)
    return file


def tuned(tmp_path: Path, backbone: Path, **changes: object) -> Training:
    """A training of that MobileNet's last block."""
    settings = {"backbone": "mobilenet", "alpha": 0.25, "image_size": 32, "dense": 0, "epochs": 3}
    changed = TINY.model_copy(update=settings | {"learning_rate": 1e-3} | changes)
    return Training(tmp_path, changed, dataset(side=32), backbone)


def test_loss_decreases_and_each_epoch_is_logged(
    training: Training, capsys: pytest.CaptureFixture[str]
) -> None:
    network, history = training.run()
    lines = capsys.readouterr().out.splitlines()
    assert [match[1] for match in map(LINE.fullmatch, lines) if match] == ["1", "2", "3", "4"]
    assert history["loss"][-1] < history["loss"][0]
    assert len(history["seconds"]) == 4
    measured = evaluate(network.whole, network.spec, training.data.validation)
    assert measured.accuracy == pytest.approx(max(history["val_accuracy"]))


def test_the_same_seed_gives_the_same_weights(training: Training) -> None:
    one, again, other = (training.changed(seed=seed).run()[0] for seed in (4, 4, 5))
    assert same(one, again)
    assert not same(one, other)


def test_the_best_epoch_is_restored(training: Training) -> None:
    """With the validation labels swapped, training makes the network worse."""
    swapped = replace(training.data.validation, classes=1 - training.data.validation.classes)
    training.data = replace(training.data, validation=swapped)
    network, history = training.changed(learning_rate=0.02, epochs=8, label_smoothing=0.0).run()
    best = best_epoch(history)
    assert history["val_loss"][-1] > 2 * history["val_loss"][best]
    measured = evaluate(network.whole, network.spec, swapped)
    assert measured.loss == pytest.approx(history["val_loss"][best], rel=1e-3)


def test_among_equal_accuracies_the_lowest_loss_is_best() -> None:
    history = {"val_accuracy": [0.5, 0.9, 0.9, 0.8], "val_loss": [1.0, 0.5, 0.4, 0.1]}
    assert best_epoch(history) == 2


def test_training_stops_when_patience_ends(
    training: Training, capsys: pytest.CaptureFixture[str]
) -> None:
    _, history = training.changed(learning_rate=1e-9, epochs=30, patience=2).run()
    epochs = len(history["loss"])
    assert epochs < 30
    assert epochs - 1 - best_epoch(history) == 2
    assert f"stopped_early=1 best_epoch={epochs - 2}" in capsys.readouterr().out


class Killed(Exception):
    """Simulates the loss of the instance."""


class Mortal(Checkpoint):
    """Raises Killed after the checkpoint of a given epoch."""

    def __init__(self, folder: Path, after: int) -> None:
        super().__init__(folder, "same")
        self._left = after

    def save(self, progress: object) -> None:
        super().save(progress)  # type: ignore[arg-type]
        self._left -= 1
        if not self._left:
            raise Killed


@pytest.mark.parametrize("after", [1, 3])
@pytest.mark.parametrize("kind", ["cnn", "tuned"])
def test_an_interrupted_training_resumes_and_ends_with_the_same_weights(
    after: int, kind: str, tmp_path: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Training(tmp_path) if kind == "cnn" else tuned(tmp_path, backbone, epochs=4)
    whole = whole.changed(dropout=0.5, flip=True, shift=0.1)
    expected, history = whole.run()

    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    keras.utils.set_random_seed(1)
    network = build(whole.settings, 2, whole.weights)
    with pytest.raises(Killed):
        train(
            network, whole.data, whole.settings, tmp_path, Mortal(checkpoints, after), SingleHost()
        )
    capsys.readouterr()
    resumed, after_all = whole.run(checkpoints)
    lines = capsys.readouterr().out.splitlines()
    assert f"resumed=1 epochs_done={after}" in lines
    assert sum(line.startswith("epoch=") for line in lines) == 4 - after
    assert same(resumed, expected)
    assert all(after_all[name] == history[name] for name in MEASURES)

    capsys.readouterr()
    assert same(whole.run(checkpoints)[0], expected)
    assert "epoch=" not in capsys.readouterr().out.replace("epochs_done", "")


@pytest.mark.parametrize("damage", ["other", "cut"])
def test_ignores_a_damaged_or_foreign_checkpoint(
    damage: str, training: Training, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    expected = training.run(checkpoints)[0]
    file = checkpoints / "progress.npz"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    else:
        training.fingerprint = "another"
    assert same(training.run(checkpoints)[0], expected)
    printed = capsys.readouterr().out
    assert "starting over" in printed
    assert "resumed" not in printed


def test_cached_features_and_the_whole_network_give_the_same_losses(
    tmp_path: Path, backbone: Path
) -> None:
    cached = tuned(tmp_path, backbone, dropout=0.0)
    one, from_features = cached.run()
    other, from_pixels = cached.changed(cache_features=False).run()
    assert (tmp_path / "train-features.npy").exists()
    for measure in MEASURES:
        values = from_features[measure]
        np.testing.assert_allclose(values, from_pixels[measure], rtol=2e-4)
    for a, b in zip(one.tail.get_weights(), other.tail.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)


def test_the_frozen_trunk_is_not_changed(tmp_path: Path, backbone: Path) -> None:
    for cache in (True, False):
        training = tuned(tmp_path, backbone, cache_features=cache)
        fresh = build(training.settings, 2, backbone)
        trained, _ = training.run()
        assert fresh.trunk is not None
        assert trained.trunk is not None
        pairs = zip(fresh.trunk.get_weights(), trained.trunk.get_weights(), strict=True)
        assert all((a == b).all() for a, b in pairs)
        before, after = (
            [weight.numpy() for weight in network.tail.non_trainable_weights]
            for network in (fresh, trained)
        )
        assert all((a == b).all() for a, b in zip(before, after, strict=True))


def test_views_are_different_variants_of_an_image(tmp_path: Path, backbone: Path) -> None:
    tuned(tmp_path, backbone, views=3, shift=0.2, epochs=1).run()
    features = np.load(tmp_path / "train-features.npy")
    assert features.shape[:2] == (3, 24)
    assert np.load(tmp_path / "validation-features.npy").shape[0] == 1
    assert (features[0] != features[1]).any()
    assert (features[1] != features[2]).any()


def test_a_head_is_computed_from_image_and_mirrored_image(
    tmp_path: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = tuned(tmp_path, backbone, method="head", flip=True)
    fresh = build(training.settings, 2, backbone)
    network, history = training.run()
    measured = evaluate(network.whole, network.spec, training.data.validation)
    assert history["val_accuracy"] == [measured.accuracy]
    assert history["val_loss"] == pytest.approx([measured.loss], rel=1e-3)
    assert measured.accuracy > 0.8
    features = np.load(tmp_path / "train-features.npy")
    assert features.shape[:2] == np.load(tmp_path / "train-pooled.npy").shape[:2] == (2, 24)
    assert "head=1 strength=" in capsys.readouterr().out
    pairs = list(zip(fresh.tail.get_weights(), network.tail.get_weights(), strict=True))
    assert all((a == b).all() for a, b in pairs[:-2])


def test_a_head_is_refit_on_the_validation_images_too(tmp_path: Path, backbone: Path) -> None:
    training = tuned(tmp_path, backbone, method="head")
    validation = training.data.validation
    network, _ = training.run()
    before = network.tail.get_weights()[-2]
    refit(network, training.data, training.settings, tmp_path)
    assert (network.tail.get_weights()[-2] != before).any()
    joined = ImageSet(
        np.concatenate([training.data.train.pixels, validation.pixels]),
        np.concatenate([training.data.train.classes, validation.classes]),
    )
    training.data = Dataset(("up", "down"), joined, validation, None)
    expected, _ = training.run()
    for one, other in zip(network.tail.get_weights(), expected.tail.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_fine_tuning_starts_from_the_head(tmp_path: Path, backbone: Path) -> None:
    """With a learning rate of almost 0 it also ends there."""
    head, _ = tuned(tmp_path, backbone, method="head").run()
    still = {"learning_rate": 1e-9, "epochs": 1}
    started, _ = tuned(tmp_path, backbone, method="fine-tune", **still).run()
    for one, other in zip(head.tail.get_weights(), started.tail.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_fine_tuning_never_ends_below_its_head(
    tmp_path: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Large steps leave every image in the same class; the head tells bright from dark."""

    def bright_or_dark(count: int) -> ImageSet:
        classes = np.arange(count) % 2
        pixels = np.random.default_rng(1).integers(0, 60, (count, 32, 32, 3), dtype=np.uint8)
        pixels[classes == 1] += 150
        return ImageSet(pixels, classes)

    easy = Dataset(("dark", "bright"), bright_or_dark(24), bright_or_dark(6), None)
    head = replace(tuned(tmp_path, backbone, method="head"), data=easy)
    far = {"method": "fine-tune", "learning_rate": 1.0, "epochs": 1}
    expected, measured = head.run()
    kept, history = head.changed(**far).run()
    assert measured["val_accuracy"] == [1.0]
    assert history["val_accuracy"] == [0.5]
    assert "kept=head" in capsys.readouterr().out
    for one, other in zip(expected.tail.get_weights(), kept.tail.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_fine_tuning_has_gentle_defaults() -> None:
    """A head was fitted without dropout, and large steps move the features away from it."""
    folder = RECIPES["image-folder"]
    tuned_gently = folder.settings({"backbone": "mobilenet", "method": "fine-tune"})
    assert (tuned_gently.dropout, tuned_gently.learning_rate) == (0.0, 1e-4)
    asked = folder.settings({"backbone": "mobilenet", "method": "fine-tune", "dropout": 0.2})
    assert (asked.dropout, asked.learning_rate) == (0.2, 1e-4)
    assert folder.settings({"backbone": "mobilenet", "method": "gradient"}).dropout == 0.3


def test_bfloat16_features_are_stored_without_loss(tmp_path: Path, backbone: Path) -> None:
    training = tuned(tmp_path, backbone, dropout=0.0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        _, cached = training.run()
        assert np.load(tmp_path / "train-features.npy").dtype == np.uint16
        _, whole = training.changed(cache_features=False).run()
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(cached["loss"], whole["loss"], rtol=0.02)


def test_precision_selects_the_dtype_policy() -> None:
    precise = TINY.model_copy(update={"precision": "float32"})
    assert dtype_policy(precise) == "float32"
    assert dtype_policy(TINY.model_copy(update={"precision": "bfloat16"})) == "mixed_bfloat16"


@pytest.mark.parametrize(
    ("flags", "backbone", "fast"),
    [
        ("fma avx512f", "cnn", False),
        ("fma avx512f avx512_bf16", "cnn", True),
        ("fma avx512f avx512_bf16", "vgg16", True),
        ("fma avx512f avx512_bf16", "mobilenet", False),
        ("fma avx512f avx512_bf16 amx_bf16", "mobilenet", True),
    ],
)
def test_the_processor_selects_the_precision(
    flags: str, backbone: str, fast: bool, tmp_path: Path
) -> None:
    """Depthwise convolutions are slower in bfloat16, except with matrix units."""
    (tmp_path / "cpuinfo").write_text(f"model name\t: a processor\nflags\t\t: {flags}\n")
    settings = TINY.model_copy(update={"backbone": backbone})
    policy = dtype_policy(settings, tmp_path / "cpuinfo")
    assert policy == ("mixed_bfloat16" if fast else "float32")
    assert dtype_policy(settings, tmp_path / "none") == "float32"


def test_rare_classes_count_as_much_as_frequent_ones(tmp_path: Path) -> None:
    """With 30 images of one class, 2 of the other, and only noise, the class priors decide."""
    random = np.random.default_rng(1)
    pixels = random.integers(0, 255, (32, 16, 16, 3), dtype=np.uint8)
    data = Dataset(
        ("many", "few"), ImageSet(pixels, np.array([0] * 30 + [1] * 2)), images(6, 2), None
    )
    training = Training(tmp_path, data=data).changed(
        dense=0, learning_rate=0.02, epochs=12, batch_size=32, label_smoothing=0.0
    )
    bias = {}
    for weighted in (True, False):
        network, _ = training.changed(class_weights=weighted).run()
        logits = np.asarray(network.whole(np.zeros((1, 16, 16, 3), np.float32), training=False))
        bias[weighted] = float(logits[0, 0] - logits[0, 1])
    assert bias[True] < bias[False]


class Twins:
    """The second of two hosts. The mean is 1.5 times its value; the first sends `measures`."""

    rank = 1
    count = 2

    def __init__(self, measures: dict[str, float]) -> None:
        self._measures = measures

    def all_reduce_mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values * 1.5

    def all_gather(self, content: bytes) -> list[bytes]:
        return [json.dumps(self._measures).encode(), content]


def test_hosts_average_batch_norm_and_use_the_first_hosts_measures() -> None:
    network = build(TINY, 2, None).whole
    network.compile("sgd", "mse")
    norm = next(each for each in network.layers if "batch_norm" in each.name)
    norm.moving_mean.assign(np.full(norm.moving_mean.shape, 2.0))
    first = dict.fromkeys(MEASURES, 0.25)
    settings = TINY.model_copy(update={"patience": 1})
    resumable = ResumableTraining(network, settings, Checkpoint(None, ""), Twins(first))
    resumable.set_model(network)
    resumable.on_epoch_begin()
    resumable.on_test_begin()
    np.testing.assert_allclose(norm.moving_mean, 3.0)
    resumable.on_epoch_end(0, dict.fromkeys(MEASURES, 0.5))
    assert resumable.history["val_accuracy"] == [0.25]


def test_all_recipes_have_valid_defaults() -> None:
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.settings({}) == recipe.defaults
