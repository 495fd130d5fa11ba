"""benchmarks/few: which images are drawn, what the table says, and plain baselines that learn."""

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from benchmarks.few import baselines
from benchmarks.few.sets import ROWS, Row, draw
from benchmarks.few.tables import Result, cells, plot, report

CLOTHES = Row("clothes", 10)


def image_folder(root: Path, each: int) -> Path:
    """Dark and bright images: `train` has `each` of both, `val` and `test` two."""
    random = np.random.default_rng(1)
    for channel, count in (("train", each), ("val", 2), ("test", 2)):
        for label, mean in (("bright", 200), ("dark", 50)):
            (root / channel / label).mkdir(parents=True)
            for number in range(count):
                pixels = random.normal(mean, 10, (40, 40, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(root / channel / label / f"{number}.png")
    return root


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def test_a_seed_draws_training_images_and_no_test_images(tmp_path: Path) -> None:
    source = image_folder(tmp_path / "source", each=6)
    drawn = [tmp_path / name for name in ("one", "same", "other")]
    counts = [draw(source, 2, seed, to) for seed, to in zip((1, 1, 2), drawn, strict=True)]
    assert counts == [8, 8, 8]
    assert [len(names(each / "train")) for each in drawn] == [4, 4, 4]
    one, same, other = (names(each / "train") for each in drawn)
    assert one == same != other
    assert len({tuple(names(each / "test")) for each in drawn}) == 1
    draw(source, 0, 1, tmp_path / "every")
    assert len(names(tmp_path / "every" / "train")) == 12


def result(column: str, accuracy: float, *, seed: int = 1, cpu: float = 20.0) -> Result:
    return Result(CLOTHES.dataset, CLOTHES.each, seed, column, 700, accuracy, cpu)


RESULTS = [
    result("image-folder", 0.72),
    result("image-folder", 0.74, seed=2, cpu=30.0),
    result("gradient", 0.66, cpu=50.0),
    result("logistic", 0.71),
    result("logistic", 0.75, seed=3),
]


def test_a_cell_is_the_mean_of_the_seeds_with_the_interval_of_the_test_images() -> None:
    found = cells(RESULTS)
    assert list(found) == [CLOTHES]
    assert CLOTHES in ROWS
    ours = found[CLOTHES]["image-folder"]
    assert ours.accuracy == pytest.approx(0.73)
    assert (ours.cpu_seconds, ours.seeds) == (25.0, 2)
    assert ours.spread == (0.72, 0.74)
    assert 0.69 < ours.low < 0.73 < ours.high < 0.77
    assert "keras" not in found[CLOTHES]


def test_the_report_compares_with_the_best_other_column(tmp_path: Path) -> None:
    text = "\n".join(report(RESULTS, "weights.h5"))
    assert "| clothes, 10 per class; 700 | **0.730** (0.696 to 0.762; 0.720 to 0.740), 25 s" in text
    assert "one seed" in text
    assert "- clothes, 10 per class: +0.010 against the best other column (logistic" in text
    assert "; seeds in common: 1); 0.40 times the CPU" in text
    plot(RESULTS, tmp_path / "few.png")
    assert (tmp_path / "few.png").stat().st_size < 60_000


@pytest.mark.parametrize("method", baselines.METHODS)
def test_the_baselines_learn(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the mean of the pixels, from -2 to 2, for features."""
    monkeypatch.setattr(baselines, "SIDE", 32)
    monkeypatch.setattr(baselines, "EPOCHS", 100)
    data = tmp_path / "data"
    draw(image_folder(tmp_path / "source", each=8), 0, 1, data)
    pixels = keras.Input((32, 32, 3))
    scaled = keras.layers.Rescaling(1 / 64, offset=-2)(pixels)
    means = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(scaled))
    keras.utils.set_random_seed(1)
    assert baselines.METHODS[method](data, means) == 1
