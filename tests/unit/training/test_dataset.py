"""Image folders: labels, splits, and errors that say what to fix."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facet.recipes import Hyperparameters
from facet.specs import InputSpec
from training.data.splitting import DataError
from training.dataset import Dataset, load

SPEC = InputSpec(tensor="image", encoding="uint8", height=8, width=8)
Read = Callable[..., Dataset]
COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


def folder(root: Path, counts: dict[str, int]) -> Path:
    """An image folder with plain images of different sizes."""
    for label, count in counts.items():
        (root / label).mkdir(parents=True)
        for number in range(count):
            image = Image.new("RGB", (9 + number, 12), COLOURS.get(label, (9, 9, 9)))
            image.save(root / label / f"{number:03}.png")
    return root


SETTINGS = Hyperparameters(validation_share=0.25, test_share=0, max_unreadable=0.4, seed=3)


@pytest.fixture
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Loads channels with `SETTINGS`, some of them changed by `settings`."""

    def read(settings: Hyperparameters = SETTINGS, **channels: Path) -> Dataset:
        return load(channels, SPEC, settings, tmp_path_factory.mktemp("pixels"))

    return read


def test_labels_are_sorted_folder_names_and_images_are_resized(tmp_path: Path, read: Read) -> None:
    train = folder(tmp_path / "train", {"red": 3, "blue": 2, "green": 4})
    data = read(train=train, validation=train)
    assert data.labels == ("blue", "green", "red")
    assert data.train.pixels.shape == (9, 8, 8, 3)
    assert data.train.pixels.dtype == np.uint8
    for pixels, index in zip(data.train.pixels, data.train.classes, strict=True):
        assert (pixels == COLOURS[data.labels[index]]).all()
    assert data.test is None


def test_a_validation_split_takes_its_share_of_each_class(tmp_path: Path, read: Read) -> None:
    train = folder(tmp_path / "train", {"red": 8, "blue": 40, "green": 2})
    data = read(train=train)
    assert np.bincount(data.validation.classes).tolist() == [10, 1, 2]
    assert np.bincount(data.train.classes).tolist() == [30, 1, 6]


def test_held_out_images_have_names_and_none_is_trained_on(tmp_path: Path, read: Read) -> None:
    train = folder(tmp_path / "train", {"red": 8, "blue": 6})
    (train / "blue" / "000.png").write_bytes(b"no image")
    data = read(SETTINGS.model_copy(update={"validation_share": 0.5}), train=train)
    assert len(data.validation.names) == len(data.validation)
    assert not {*data.validation.names} & {*data.train.names}
    blue, red = data.validation.one_of_each_class()
    assert (blue.rpartition("/")[0], red.rpartition("/")[0]) == ("train/blue", "train/red")
    assert blue in data.validation.names
    assert not blue.endswith("000.png")


def test_the_same_seed_gives_the_same_split(tmp_path: Path, read: Read) -> None:
    train = tmp_path / "train"
    for label, base in (("a", 0), ("b", 5)):
        (train / label).mkdir(parents=True)
        for value in range(20):
            Image.new("L", (8, 8), base + value * 10).save(train / label / f"{value:02}.png")
    half = SETTINGS.model_copy(update={"validation_share": 0.5})
    one, same = (read(half, train=train) for _ in range(2))
    other = read(half.model_copy(update={"seed": 4}), train=train)
    assert (one.validation.pixels == same.validation.pixels).all()
    assert (one.validation.pixels != other.validation.pixels).any()


def test_an_unreadable_image_is_logged_skipped_and_counted(
    tmp_path: Path, read: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    train = folder(tmp_path / "train", {"red": 3, "blue": 3})
    (train / "red" / "notes.txt").write_text("no image")
    (train / "red" / ".DS_Store").write_bytes(b"hidden files are not even looked at")
    whole = (train / "blue" / "000.png").read_bytes()
    (train / "blue" / "cut.png").write_bytes(whole[: len(whole) // 2])
    data = read(train=train)
    lines = capsys.readouterr().out.splitlines()
    assert data.skipped == 2
    assert len(data.train) + len(data.validation) == 6
    assert [line.split()[0] for line in sorted(lines) if line.startswith("skipped=")] == [
        "skipped=train/blue/cut.png",
        "skipped=train/red/notes.txt",
    ]
    assert "channel=train images=4 skipped=2" in lines


def test_rejects_too_many_unreadable_images(tmp_path: Path, read: Read) -> None:
    train = folder(tmp_path / "train", {"red": 5, "blue": 4})
    (train / "red" / "notes.txt").write_text("no image")
    strict = SETTINGS.model_copy(update={"max_unreadable": 0.09})
    with pytest.raises(DataError, match=r"'train': 1 of 10 files .* 0\.09 allows"):
        read(strict, train=train, validation=train)
    assert read(strict.model_copy(update={"max_unreadable": 0.1}), train=train, validation=train)


def test_rejects_a_missing_train_channel(read: Read) -> None:
    with pytest.raises(DataError, match="no channel 'train'"):
        read()


@pytest.mark.parametrize("made", [True, False])
def test_rejects_an_empty_channel(tmp_path: Path, read: Read, made: bool) -> None:
    if made:
        (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="Channel 'train' is empty"):
        read(train=tmp_path / "train")


def test_rejects_an_empty_test_channel(tmp_path: Path, read: Read) -> None:
    train = folder(tmp_path / "train", {"red": 3, "blue": 3})
    (tmp_path / "test" / "red").mkdir(parents=True)
    with pytest.raises(DataError, match="Channel 'test' has no image"):
        read(train=train, test=tmp_path / "test")


def test_rejects_a_single_class(tmp_path: Path, read: Read) -> None:
    with pytest.raises(DataError, match="only the class 'red'"):
        read(train=folder(tmp_path / "train", {"red": 3}))


def test_rejects_a_class_without_images(tmp_path: Path, read: Read) -> None:
    train = folder(tmp_path / "train", {"red": 3, "green": 0})
    with pytest.raises(DataError, match="Class 'green' has no image"):
        read(train=train)
    with pytest.raises(DataError, match="no readable image of 'green'"):
        read(train=train, validation=train)


def test_rejects_splitting_a_class_with_one_image(tmp_path: Path, read: Read) -> None:
    train = folder(tmp_path / "train", {"red": 3, "green": 1})
    with pytest.raises(DataError, match="'green' has one image"):
        read(train=train)
    assert len(read(train=train, validation=train).train) == 4


def test_splits_off_a_test_set_if_requested(tmp_path: Path, read: Read) -> None:
    train = folder(tmp_path / "train", {"red": 20, "blue": 8, "green": 2})
    both = SETTINGS.model_copy(update={"test_share": 0.1})
    data = read(both, train=train)
    assert data.test
    assert [len(data.validation), len(data.train) + len(data.test)] == [8, 22]
    assert set(data.test.classes.tolist()) == {0, 2}  # a class of two has none to spare
    assert len({name for images in data.sets.values() for name in images.names}) == 30


def test_no_image_is_in_two_sets(tmp_path: Path, read: Read) -> None:
    for label, base in (("a", 0), ("b", 100)):
        (tmp_path / "train" / label).mkdir(parents=True)
        for value in range(20):
            Image.new("L", (8, 8), base + value).save(tmp_path / "train" / label / f"{value}.png")
    data = read(SETTINGS.model_copy(update={"test_share": 0.2}), train=tmp_path / "train")
    values = [set(images.pixels[:, 0, 0, 0].tolist()) for images in data.sets.values()]
    assert len(values) == 3
    assert sorted(value for those in values for value in those) == [*range(20), *range(100, 120)]


def test_splits_off_a_test_set_beside_a_validation_channel(tmp_path: Path, read: Read) -> None:
    train = folder(tmp_path / "train", {"red": 10, "blue": 10, "green": 1})
    data = read(SETTINGS.model_copy(update={"test_share": 0.3}), train=train, validation=train)
    assert data.test
    assert set(data.test.classes.tolist()) == {0, 2}
    assert len(data.train) + len(data.test) == 21


def test_no_image_that_was_trained_on_is_held_out_when_the_data_set_grows(
    tmp_path: Path, read: Read
) -> None:
    """Neither for another seed: a live model has not seen what a new one is evaluated on."""
    train, share = tmp_path / "train", SETTINGS.model_copy(update={"test_share": 0.2})
    random = np.random.default_rng(1)
    seen: set[str] = set()
    held = 0
    for size, seed in ((3, 1), (6, 2), (20, 3), (50, 4)):
        for label in ("a", "b"):
            (train / label).mkdir(parents=True, exist_ok=True)
            for number in range(len(list((train / label).iterdir())), size):
                noise = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(noise).save(train / label / f"{number}.png")
        data = read(share.model_copy(update={"seed": seed}), train=train)
        assert data.test
        assert set(data.test.classes.tolist()) == {0, 1}
        assert not seen & {*data.test.names}
        seen |= {*data.train.names, *data.validation.names}
        held = len(data.test)
    assert 10 <= held <= 30


def test_equal_images_are_held_out_together(tmp_path: Path, read: Read) -> None:
    share = SETTINGS.model_copy(update={"test_share": 0.3})
    train = folder(tmp_path / "train", {"red": 12, "blue": 12})
    for label in ("red", "blue"):
        for file in list((train / label).iterdir()):
            shutil.copy(file, train / label / f"copy-{file.name}")
    data = read(share, train=train)
    assert data.test
    held = {name.replace("copy-", "") for name in data.test.names}
    assert len(data.test) == 2 * len(held)


def test_a_validation_label_that_training_lacks(tmp_path: Path, read: Read) -> None:
    train = folder(tmp_path / "train", {"red": 2, "blue": 2})
    validation = folder(tmp_path / "validation", {"red": 1, "purple": 1})
    with pytest.raises(DataError, match="'validation' has the label 'purple'"):
        read(train=train, validation=validation)


def test_a_decomposed_class_name_is_the_composed_one(tmp_path: Path, read: Read) -> None:
    train = folder(tmp_path / "train", {"caf\u00e9": 2, "red": 2})
    test = folder(tmp_path / "test", {"cafe\u0301": 1, "@eaDir": 1})
    data = read(train=train, validation=train, test=test)
    assert data.labels == ("caf\u00e9", "red")
    assert data.test
    assert data.test.classes.tolist() == [0]


def noisy(path: Path, seed: int, **how: object) -> None:
    """An image with a shape of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3)).astype(np.uint8)
    Image.fromarray(small).resize((64, 64)).save(path, **how)  # type: ignore[arg-type]


def copied(root: Path, *, counts: int = 12) -> Path:
    """Of each of two labels `counts` images, each one thrice: as it is, equal, and as a JPEG."""
    for base, label in ((0, "a"), (100, "b")):
        for number in range(counts):
            noisy(root / label / f"{number:02}-1.png", base + number)
            noisy(root / label / f"{number:02}-2.png", base + number, compress_level=0)
            noisy(root / label / f"{number:02}-3.jpg", base + number, quality=92)
    return root


@pytest.mark.parametrize("seed", range(3))
def test_copies_of_an_image_stay_on_one_side(tmp_path: Path, read: Read, seed: int) -> None:
    changes = {"test_share": 0.2, "seed": seed}
    data = read(SETTINGS.model_copy(update=changes), train=copied(tmp_path / "train"))
    originals = [{name[: -len("-1.png")] for name in images.names} for images in data.sets.values()]
    assert len(originals) == 3
    assert sum(map(len, originals)) == len(set.union(*originals)) == 24
    assert len(data.validation) == 18
    assert {*data.validation.classes.tolist()} == {0, 1}


def test_a_class_of_copies_alone_cannot_be_split(tmp_path: Path, read: Read) -> None:
    train = tmp_path / "train"
    for number in range(4):
        noisy(train / "a" / f"{number}.png", 1)
        noisy(train / "b" / f"{number}.png", 10 + number)
    with pytest.raises(DataError, match="Class 'a' has only copies of one image"):
        read(train=train)
    assert len(read(train=train, validation=train).train) == 8


def test_near_identical_images_are_split_if_a_class_has_no_others(
    tmp_path: Path, read: Read
) -> None:
    train = tmp_path / "train"
    for quality in (50, 60, 70, 80):
        noisy(train / "a" / f"{quality}.jpg", 1, quality=quality)
        noisy(train / "b" / f"{quality}.png", quality)
    assert len(read(train=train).validation) == 2


def test_an_image_under_two_labels_is_named_and_only_trained_on(
    tmp_path: Path, read: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    train = tmp_path / "train"
    for number in range(110):
        noisy(train / "a" / f"{number}.png", number)
        noisy(train / "b" / f"{number}.png", 1000 + number)
    noisy(train / "b" / "0.png", 0)
    data = read(train=train)
    assert {"train/a/0.png", "train/b/0.png"} <= {*data.train.names}
    line = "warning: the same image is under several labels: train/a/0.png, train/b/0.png"
    assert line in capsys.readouterr().out.splitlines()
    noisy(train / "b" / "1.png", 1)
    with pytest.raises(DataError, match=r"4 of 220 images .* more than 1%\. .*: train/a/0\.png, "):
        read(train=train)


def test_a_missing_label_and_a_leak_are_reported(
    tmp_path: Path, read: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    channels = {name: tmp_path / name for name in ("train", "validation", "test")}
    for number in range(4):
        noisy(channels["train"] / "a" / f"{number}.png", number)
        noisy(channels["train"] / "b" / f"{number}.png", 10 + number)
        noisy(channels["validation"] / "a" / f"{number}.png", 20 + number)
        noisy(channels["test"] / "b" / f"{number}.jpg", 12 + number, quality=92)
    read(**channels)
    said = capsys.readouterr().out
    assert "warning: channel 'validation' has no image of 'b': nothing is measured for it" in said
    assert "warning: 2 of the images of channel 'test' are in channel 'train', too, nearly" in said
    assert "images of channel 'validation' are in" not in said
