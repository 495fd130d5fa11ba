"""training/choice.py: the backbone by the weights that can be had, the network by the images."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facet.recipes import Hyperparameters
from tests.support.inputs.backbones import weights_file
from training.choice import MANY, from_scratch_too, train_best, with_backbone, with_method
from training.dataset import Dataset, ImageSet, load
from training.fitting.workers import SingleHost
from training.job import Job, parse
from training.networks import BACKBONES as BACKBONES_OF_KERAS
from training.networks import BadWeights, spec
from training.weights import identify, shapes

FOLDERS = {"SM_MODEL_DIR": "/opt/ml/model", "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data"}


def job(words: str = "", weights: Path | None = None) -> Job:
    channel = {"SM_CHANNEL_WEIGHTS": str(weights.parent)} if weights else {}
    return parse(f"--recipe image-folder {words}".split(), FOLDERS | channel)


def chosen(given: Job, *, online: bool = True) -> Job:
    def download(settings: Hyperparameters, _: None) -> None:
        assert settings.backbone == "mobilenet"
        if not online:
            raise BadWeights("Keras's download gives no weights")

    return with_backbone(given, SingleHost(), download)


def weights(folder: Path, backbone: str, alpha: float) -> Path:
    """The only file of a channel."""
    (folder / "weights").mkdir()
    return weights_file(folder / "weights" / "backbone.h5", backbone, alpha)


def images(images_per_class: int) -> Dataset:
    """Two classes; two of the images of each are validation images."""

    def part(count: int) -> ImageSet:
        return ImageSet(np.zeros((2 * count, 16, 16, 3), np.uint8), np.arange(2 * count) % 2)

    return Dataset(("a", "b"), part(images_per_class - 2), part(2), None)


BACKBONES = [
    ("mobilenet", 0.75),
    ("mobilenet-v2", 0.35),
    ("mobilenet-v2", 1.4),
    ("vgg16", 1.0),
]


@pytest.mark.parametrize(("backbone", "alpha"), BACKBONES)
def test_the_weights_name_their_backbone(backbone: str, alpha: float, tmp_path: Path) -> None:
    settings = chosen(job(weights=weights(tmp_path, backbone, alpha)), online=False).settings
    assert (settings.backbone, settings.alpha) == (backbone, alpha)
    assert settings.image_size == 224
    assert settings.dense == 0


@pytest.mark.parametrize(("backbone", "alpha"), BACKBONES)
def test_backbones_have_the_shapes_of_keras(backbone: str, alpha: float) -> None:
    known = BACKBONES_OF_KERAS[backbone]
    width = {"alpha": alpha} if known.widths else {}
    network = known.make(include_top=False, weights=None, input_shape=(32, 32, 3), **width)
    found = Counter(tuple(each.shape) for each in network.weights if len(each.shape) > 1)
    assert found == shapes(backbone, alpha)


def test_real_weights_name_their_backbone(data: Path) -> None:
    found = [identify(file) for file in sorted((data / "backbones").glob("*.h5"))]
    assert found == [
        {"backbone": "mobilenet", "alpha": 0.75},
        {"backbone": "mobilenet-v2", "alpha": 0.35},
        None,
    ]


def test_other_files_name_none(tmp_path: Path) -> None:
    (tmp_path / "backbone.h5").write_bytes(b"no HDF5")
    assert identify(tmp_path / "backbone.h5") is None


def test_without_weights_keras_downloads_some() -> None:
    settings = chosen(job("--alpha 0.5 --image-size 128")).settings
    assert (settings.backbone, settings.alpha, settings.image_size) == ("mobilenet", 0.5, 128)


def test_if_no_weights_can_be_had_a_network_is_trained_from_scratch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    replaced = chosen(job(), online=False)
    settings = replaced.settings
    assert (settings.backbone, settings.image_size, settings.dense) == ("cnn", 64, 128)
    assert "backbone=cnn reason=Keras's download gives no weights" in capsys.readouterr().out
    assert with_method(replaced, images(10)).settings.method == "gradient"
    assert "warning=from-scratch images_per_class=10 " in capsys.readouterr().out


def test_a_head_that_was_asked_for_is_not_replaced() -> None:
    with pytest.raises(BadWeights):
        chosen(job("--method head"), online=False)


def test_a_backbone_that_was_asked_for_is_not_replaced() -> None:
    assert chosen(job("--backbone mobilenet-v2"), online=False).settings.backbone == "mobilenet-v2"
    assert chosen(job("--backbone cnn")).settings.backbone == "cnn"


@pytest.mark.parametrize(
    ("count", "words", "method"),
    [
        (10, "", "head"),
        (MANY - 1, "", "head"),
        (MANY, "", "head"),
        (MANY, "--learning-rate 0.01", "fine-tune"),
        (10, "--method fine-tune", "fine-tune"),
        (10, "--epochs 3", "fine-tune"),
        (10, "--rotation 45", "fine-tune"),
        (10, "--flip false --seed 2", "head"),
        (10, "--method gradient", "gradient"),
    ],
)
def test_the_images_of_a_class_decide_on_the_method(count: int, words: str, method: str) -> None:
    assert with_method(chosen(job(words)), images(count)).settings.method == method


def test_no_warning_about_enough_images(capsys: pytest.CaptureFixture[str]) -> None:
    assert with_method(job("--backbone cnn"), images(MANY)).settings.method == "gradient"
    assert "warning" not in capsys.readouterr().out


def test_with_many_images_a_network_from_scratch_is_trained_too() -> None:
    scratch = from_scratch_too(with_method(chosen(job("--seed 4")), images(MANY)), images(MANY))
    assert scratch
    assert scratch.weights is None
    settings = scratch.settings
    assert (settings.backbone, settings.method, settings.image_size) == ("cnn", "gradient", 64)
    assert (settings.seed, settings.epochs) == (4, 16)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (MANY - 1, ""),
        (MANY, "--backbone mobilenet"),
        (MANY, "--backbone cnn"),
        (MANY, "--method head"),
        (MANY, "--image-size 128"),
        (MANY, "--epochs 3"),
    ],
)
def test_what_is_asked_for_is_compared_with_nothing(count: int, words: str) -> None:
    assert from_scratch_too(with_method(chosen(job(words)), images(count)), images(count)) is None


LEARNS = "--backbone cnn --width 4 --dense 4 --epochs 8 --batch-size 4 --learning-rate 0.01"
STAYS = LEARNS.replace("0.01", "1e-9").replace("--epochs 8", "--epochs 1")


@pytest.mark.parametrize(("words", "others", "side"), [(STAYS, LEARNS, 20), (LEARNS, LEARNS, 16)])
def test_the_validation_images_choose_the_network(
    words: str, others: str, side: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two that have as many right, the first; each has its own size of images."""
    random = np.random.default_rng(1)
    for label, hue in {"green": (60, 200, 60), "red": (200, 60, 60)}.items():
        (tmp_path / "train" / label).mkdir(parents=True)
        for number in range(16):
            pixels = (random.integers(-50, 50, (24, 24, 3)) + hue).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "train" / label / f"{number}.png")
    small = "--method gradient --patience 0 --precision float32 --validation-share 0.25"
    first, second = (
        job(f"{words} {small} --image-size 16"),
        job(f"{others} {small} --image-size 20"),
    )
    (tmp_path / "scratch").mkdir()
    data = load(
        {"train": tmp_path / "train"}, spec(first.settings), first.settings, tmp_path / "scratch"
    )
    best = train_best(first, data, second, tmp_path / "scratch", SingleHost())
    assert best.network.spec.height == best.data.train.pixels.shape[1] == side
    assert best.data.validation.names == data.validation.names
    assert best.correct == len(data.validation)
    assert best.choice["chosen_by"] == "8 of 8 validation images right"
    assert best.choice["instead_of"].startswith("cnn-gradient: ")
    assert "chosen=cnn-gradient reason=8 of 8 validation images right; " in capsys.readouterr().out
