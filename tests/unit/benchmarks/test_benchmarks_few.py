"""benchmarks/few: which images are drawn, what the tables say, and baselines that learn."""

import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from benchmarks.few import baselines, heads, sets
from benchmarks.few.__main__ import DRAWS, HEADS, SAMPLE, _planned
from benchmarks.few.heads import Features, Method
from benchmarks.few.sets import ROWS, Row, choose, find, link
from benchmarks.few.tables import COLUMNS, Result, cells, plot, report

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
    for seed, to in zip((1, 1, 2), drawn, strict=True):
        link(choose(source, 2, seed), to)
    assert [len(names(each / "train")) for each in drawn] == [4, 4, 4]
    one, same, other = (names(each / "train") for each in drawn)
    assert one == same != other
    assert len({tuple(names(each / "test")) for each in drawn}) == 1
    assert len(names(drawn[0] / "test")) == 8
    assert sum(not each.test for each in choose(source, 0, 1)) == 12


def test_many_test_images_are_thinned_out_evenly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sets, "MAX_TESTS", 4)
    images = choose(image_folder(tmp_path, each=1), 1, 1)
    tests = [(each.path.parent.parent.name, each.label) for each in images if each.test]
    assert tests == [
        (channel, label) for channel in ("test", "val") for label in ("bright", "dark")
    ]


def test_a_zip_is_unpacked_once(tmp_path: Path) -> None:
    data, unpacked = tmp_path / "data", tmp_path / "unpacked"
    data.mkdir()
    assert find("cifar10", data, tmp_path, unpacked) is None
    with zipfile.ZipFile(data / "cifar10_jpeg.zip", "w") as archive:
        archive.writestr("cifar10/train/cat/1.jpg", b"an image")
    assert find("cifar10", data, tmp_path, unpacked) == unpacked / "cifar10"
    (unpacked / "cifar10/train/cat/1.jpg").write_bytes(b"another")
    assert find("cifar10", data, tmp_path, unpacked) == unpacked / "cifar10"
    assert (unpacked / "cifar10/train/cat/1.jpg").read_bytes() == b"another"


def test_the_heads_come_first_and_have_more_draws() -> None:
    planned = list(_planned(1, [20, 0], ["scratch", "teach"]))
    assert planned[0] == (1, Row("cifar10", 20), "teach")
    first = [column for _, _, column in planned].index("scratch")
    assert {column for _, _, column in planned[first:]} == {"scratch"}
    draws = [seed for seed, row, column in planned if (row.each, column) == (20, "teach")]
    assert max(draws) == DRAWS
    assert {seed for seed, row, _ in planned if row.each == 0} == {1}
    assert set(HEADS) < set(COLUMNS)


@pytest.mark.parametrize("method", [heads.taught, heads.logistic])
def test_heads_learn_from_features_that_are_computed_once(method: Method, tmp_path: Path) -> None:
    images = choose(image_folder(tmp_path / "source", each=5), 4, 1)
    file = tmp_path / "features.npz"
    features = Features.of(SAMPLE, [each.path for each in images], file)
    measured = features.measure(method, images)
    assert measured.accuracy == 1
    assert measured.calibration_error is not None
    assert 0 < measured.calibration_error < 0.5
    assert measured.cpu_seconds > 8 * features.cpu_seconds > 0
    again = Features.of(tmp_path / "no artifact", [], file)
    assert again.rows.keys() == features.rows.keys()
    assert again.measure(method, images).accuracy == 1


def result(
    column: str, accuracy: float, *, seed: int = 1, cpu: float = 20.0, error: float | None = None
) -> Result:
    row = CLOTHES.dataset, CLOTHES.each
    return Result(*row, seed, column, 700, accuracy, cpu, calibration_error=error)


RESULTS = [
    result("image-folder", 0.72, error=0.05),
    result("image-folder", 0.74, seed=2, cpu=30.0),
    result("gradient", 0.66, cpu=50.0),
    result("logistic", 0.71, error=0.1),
    result("logistic", 0.75, seed=3, error=0.2),
    result("teach", 0.715, cpu=2),
    result("teach", 0.735, seed=3),
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
    assert ours.calibration_error == 0.05
    assert found[CLOTHES]["logistic"].calibration_error == pytest.approx(0.15)
    assert found[CLOTHES]["teach"].calibration_error is None
    assert "keras" not in found[CLOTHES]


def test_the_report_compares_the_columns(tmp_path: Path) -> None:
    text = "\n".join(report(RESULTS, "weights.h5"))
    row = "| clothes, 10 per class |"
    assert f"{row} **0.725** (0.691 to 0.757; 0.715 to 0.735; 2) |  | **0.730**" in text
    assert "one seed" in text
    assert f"{row}  |  | 0.150 | 0.050 |  |  |  |" in text
    assert f"{row} 11.0 |  | 20.0 | 25.0 |  | 50.0 |  |" in text
    assert f"{row} -0.5 | 1.0 | 2 | 700 |" in text
    assert "at worst **-0.5** points from logistic regression (clothes, 10 per class)" in text
    assert "- `image-folder`, clothes, 10 per class: +0.005 against the best other column" in text
    assert "(teach, MobileNet; seeds in common: 1); 0.40 times the CPU" in text
    others = [Result("clothes", 20, 1, each.column, 700, 0.8, 1.0) for each in RESULTS]
    plot([*RESULTS, *others], tmp_path / "few.png")
    assert (tmp_path / "few.png").stat().st_size < 60_000


def test_the_baseline_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the mean of the pixels, from -2 to 2, for features."""
    monkeypatch.setattr(baselines, "SIDE", 32)
    monkeypatch.setattr(baselines, "EPOCHS", 100)
    data = tmp_path / "data"
    link(choose(image_folder(tmp_path / "source", each=8), 0, 1), data)
    pixels = keras.Input((32, 32, 3))
    scaled = keras.layers.Rescaling(1 / 64, offset=-2)(pixels)
    means = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(scaled))
    keras.utils.set_random_seed(1)
    assert baselines.transfer(data, means) == 1
