"""The baseline restates the article: networks, batches, complete epochs. Plots and machine."""

import socket
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from benchmarks import machine, plots
from benchmarks.article import (
    CIFAR_VALIDATION,
    Examples,
    SignTraining,
    cifar_batches,
    cifar_network,
    sign_batches,
    sign_network,
    train_cifar,
    train_signs,
)
from benchmarks.epoch_timer import EpochTimer

# ImageDataGenerator calls SciPy by a name that SciPy 2 will drop; ours is pinned below that.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Please import .* from the .scipy:DeprecationWarning"
)


def examples(count: int) -> Examples:
    """Images whose brightness encodes their class."""
    classes = np.arange(count) % 10
    pixels = np.broadcast_to(classes[:, None, None, None] * 25, (count, 32, 32, 3))
    return Examples(pixels.astype(np.uint8), classes)


def hand_signs(root: Path) -> Path:
    """One image per digit, encoded in its blue channel."""
    for label in range(10):
        (root / str(label)).mkdir()
        Image.new("RGB", (100, 100), (200, 0, label)).save(root / str(label) / "1.png")
    return root


def weights(values: list[keras.Variable]) -> int:
    return sum(int(np.prod(value.shape)) for value in values)


def test_the_cifar_network_is_the_articles() -> None:
    network = cifar_network()
    assert network.count_params() == 528_502
    block = ["Conv2D", "BatchNormalization", "MaxPooling2D"]
    head = ["Dropout", "Flatten", "Dense", "Dropout", "Dense"]
    assert [type(layer).__name__ for layer in network.layers] == ["InputLayer", *block * 3, *head]
    assert network.layers[1].kernel.shape == (2, 2, 3, 16)
    assert [layer.rate for layer in network.layers if "dropout" in layer.name] == [0.3, 0.4]


def test_an_epoch_of_the_articles_batches_has_each_image_once() -> None:
    given = examples(70)
    batches = cifar_batches(given, seed=1)
    for _ in range(2):
        some = [batches[number] for number in range(len(batches))]
        batches.on_epoch_end()
        assert [len(images) for images, _ in some] == [32, 32, 6]
        seen = Counter(int(each) for _, targets in some for each in targets.argmax(1))
        assert seen == dict.fromkeys(range(10), 7)
        assert all(images.max() <= 1 for images, _ in some)


def test_every_epoch_of_the_articles_training_is_complete() -> None:
    """The article's own script trains every second epoch on one batch."""
    trained = train_cifar(examples(CIFAR_VALIDATION + 70), examples(20), epochs=3)
    assert trained.steps == 3 * 3
    assert len(trained.validation_accuracy) == trained.epochs == 3
    assert trained.images_per_second > 0
    assert 0 <= trained.test_accuracy <= 1


def test_the_sign_language_network_trains_only_its_last_block() -> None:
    network = sign_network()
    head = 512 * 10 + 10
    assert network.count_params() == 14_714_688 + head
    assert weights(network.trainable_weights) == 3 * (9 * 512 * 512 + 512) + head
    assert network.compute_dtype == "float32"


def test_the_sign_language_images_are_resized_and_not_scaled(tmp_path: Path) -> None:
    images, targets = next(sign_batches(hand_signs(tmp_path), seed=1))
    assert images.shape == (10, 224, 224, 3)
    assert (images[..., 0] == 200).all()
    assert (images[:, 0, 0, 2] == targets.argmax(1)).all()


def test_steps_of_sign_language_are_timed_after_the_first(tmp_path: Path) -> None:
    folder = hand_signs(tmp_path)
    image = keras.Input((224, 224, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    small = keras.Model(image, keras.layers.Dense(10, activation="softmax")(pooled))
    trained = train_signs(small, folder, steps=2)
    assert trained.steps == 2
    assert trained.seconds_per_step > 0
    assert int(small.optimizer.iterations) == 3


def test_an_epoch_is_extrapolated_from_the_steps() -> None:
    assert SignTraining(steps=3, seconds_per_step=2.0).extrapolated_epoch_seconds == 172 * 2.0


def test_the_timer_excludes_validation_and_uses_the_fastest_epoch() -> None:
    timer = EpochTimer()
    timer.on_epoch_begin()
    timer.on_test_begin()
    timer.on_epoch_end()
    assert len(timer.seconds) == 1
    timer.seconds = [10.0, 1.0, 3.0, 2.0]
    assert timer.images_per_second(100) == 100.0


def test_plots_are_small_and_reproducible(tmp_path: Path) -> None:
    for name in ("one", "other"):
        plots.bars(tmp_path / f"{name}-bars.png", "Speed", "images/s", {"article": 1.0, "ours": 2})
        plots.panels(
            tmp_path / f"{name}-panels.png",
            "A run",
            "seconds",
            {"requests a second": [(1, 3.0), (2, 4.0)], "MB": [(t, 30.0 * t) for t in range(50)]},
        )
    for kind in ("bars", "panels"):
        one, other = (tmp_path / f"{name}-{kind}.png" for name in ("one", "other"))
        assert one.read_bytes() == other.read_bytes()
        assert one.stat().st_size < 60_000
        with Image.open(one) as image:
            assert image.format == "PNG"
            assert len(image.convert("RGB").getcolors(1 << 20) or ()) > 10


def test_rejects_a_plot_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="a plot may have 100"):
        plots.bars(tmp_path / "bars.png", "Speed", "images/s", {"one": 1.0})


def test_describes_the_machine_in_one_line() -> None:
    line = machine.describe()
    assert "\n" not in line
    assert "/proc" not in line
    assert socket.gethostname() not in line
    for word in (" cores, ", " GB of memory, ", "Python 3.", "TensorFlow 2."):
        assert word in line


def test_describes_the_processor_with_and_without_matrix_units(tmp_path: Path) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text("model name\t: Fast 9000\nflags\t\t: avx512f amx_bf16\n")
    assert machine.processor(facts) == "Fast 9000 (AMX)"
    facts.write_text("model name\t: Slow 1\nflags\t\t: sse\n\nmodel name\t: Slow 1\n")
    assert machine.processor(facts) == "Slow 1"
