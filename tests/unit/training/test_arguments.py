"""The command line and the environment of a training job."""

import re
from pathlib import Path

import pytest

from training.job import BadJob, parse

FOLDERS = {"SM_MODEL_DIR": "/opt/ml/model", "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data"}


def test_the_recipes_defaults_apply() -> None:
    job = parse(["--recipe", "cifar10"], FOLDERS)
    assert job.settings == job.recipe.defaults
    assert job.recipe.name == "cifar10"


def test_hyperparameters_are_parsed_from_arguments() -> None:
    words = "--recipe cifar10 --epochs 3 --batch-size 7 --learning-rate 1e-3 --seed 9 --model pets"
    job = parse(words.split(), FOLDERS)
    assert (job.settings.epochs, job.settings.batch_size, job.settings.seed) == (3, 7, 9)
    assert job.settings.learning_rate == 0.001
    assert job.settings.weight_decay == job.recipe.defaults.weight_decay
    assert job.model == "pets"


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ("--recipe sign-language", 128),
        ("--recipe sign-language --backbone vgg16", 128),
        ("--recipe sign-language --backbone mobilenet", 224),
        ("--recipe sign-language --backbone mobilenet --image-size 96", 96),
        ("--recipe image-folder --backbone mobilenet-v2", 224),
        ("--recipe cifar10 --backbone article-cnn", 32),
    ],
)
def test_another_pretrained_backbone_changes_the_default_image_size(words: str, size: int) -> None:
    assert parse(words.split(), FOLDERS).settings.image_size == size


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--backbone cnn --method head", "--method head: cnn is trained from scratch"),
        ("--recipe cifar10 --method fine-tune", "--method fine-tune: cnn is trained from scratch"),
        ("--image-size 16", "--image-size 16: mobilenet takes 32 or more"),
        ("--backbone mobilenet --dense 64", "--dense 64: method auto has only a last layer"),
    ],
)
def test_rejects_what_the_method_cannot_use(words: str, message: str) -> None:
    with pytest.raises(BadJob, match=re.escape(message)):
        parse(["--recipe", "image-folder", *words.split()], FOLDERS)


def test_accepts_the_sdks_model_dir() -> None:
    job = parse(["--recipe", "cifar10", "--model_dir", "s3://bucket/job/model"], FOLDERS)
    assert job.model_folder == Path("/opt/ml/model")


def test_channels_come_from_the_environment() -> None:
    channels = {"SM_CHANNEL_TRAIN": "/data/train", "SM_CHANNEL_TEST": "/data/test"}
    job = parse(["--recipe", "sign-language"], FOLDERS | channels)
    assert job.channels == {"train": Path("/data/train"), "test": Path("/data/test")}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--epochs 0", "--epochs 0: Input should be greater than or equal to 1."),
        ("--epochs many", "--epochs many: Input should be a valid integer"),
        ("--batch-size 1.5", "--batch-size 1.5: Input should be a valid integer"),
        ("--learning-rate -1", "--learning-rate -1: Input should be greater than 0."),
        ("--label-smoothing 1", "--label-smoothing 1: Input should be less than 1."),
        ("--backbone resnet", "--backbone resnet: Input should be 'auto', 'cnn'"),
        ("--flip perhaps", "--flip perhaps: Input should be a valid boolean"),
    ],
)
def test_an_error_names_the_invalid_value(words: str, message: str) -> None:
    with pytest.raises(BadJob, match=re.escape(message)):
        parse(["--recipe", "cifar10", *words.split()], FOLDERS)


def test_rejects_an_invalid_model_name() -> None:
    with pytest.raises(BadJob, match="--model My_Model"):
        parse(["--recipe", "cifar10", "--model", "My_Model"], FOLDERS)


def test_accepts_underscores_in_hyperparameter_names() -> None:
    words = "--recipe cifar10 --batch_size 7 --learning-rate 1e-3 --cache_features false"
    settings = parse(words.split(), FOLDERS).settings
    assert (settings.batch_size, settings.learning_rate) == (7, 0.001)
    assert settings.cache_features is False


@pytest.mark.parametrize(
    ("words", "channels", "message"),
    [
        ("--alpha 0.5", "", "--alpha 0.5: has no effect, because cnn has no width factor;"),
        ("--views 2", "", "--views 2: has no effect, because cnn has no frozen layers;"),
        ("--validation-share 0.2", "VALIDATION", "--validation-share 0.2: has no effect, "),
        ("", "WEIGHTS", "Channel 'weights': cnn is trained from scratch;"),
    ],
)
def test_an_error_names_what_has_no_effect(words: str, channels: str, message: str) -> None:
    environment = FOLDERS | {f"SM_CHANNEL_{each}": "/data" for each in channels.split()}
    with pytest.raises(BadJob, match=re.escape(message)):
        parse(["--recipe", "cifar10", *words.split()], environment)


def test_what_is_off_may_be_said_to_be_off() -> None:
    words = "--recipe cifar10 --cache-features false --views 1 --validation-share 0 --test-share 0"
    assert parse(words.split(), FOLDERS | {"SM_CHANNEL_VALIDATION": "/data"}).settings.views == 1


def test_a_weights_channel_needs_exactly_one_file(tmp_path: Path) -> None:
    environment = FOLDERS | {"SM_CHANNEL_WEIGHTS": str(tmp_path)}
    with pytest.raises(BadJob, match=r"'weights' has 0 \.h5 files"):
        parse(["--recipe", "sign-language"], environment)
    (tmp_path / "one.h5").touch()
    job = parse(["--recipe", "sign-language"], environment)
    assert job.weights == tmp_path / "one.h5"
    assert job.channels == {}
    (tmp_path / "two.weights.h5").touch()
    with pytest.raises(BadJob, match=r"'weights' has 2 \.h5 files"):
        parse(["--recipe", "sign-language"], environment)


def test_checkpoints_are_kept_if_sagemaker_created_the_folder(tmp_path: Path) -> None:
    environment = FOLDERS | {"SM_MODEL_DIR": str(tmp_path / "model")}
    assert parse(["--recipe", "cifar10"], environment).checkpoints is None
    (tmp_path / "checkpoints").mkdir()
    assert parse(["--recipe", "cifar10"], environment).checkpoints == tmp_path / "checkpoints"


def test_an_error_names_a_missing_variable() -> None:
    with pytest.raises(BadJob, match="lacks SM_MODEL_DIR"):
        parse(["--recipe", "cifar10"], {})


@pytest.mark.parametrize("words", ["--recipe pastry", "--recipe cifar10 --epoch 3", ""])
def test_unknown_arguments_end_the_job(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(words.split(), FOLDERS)
    assert "error:" in capsys.readouterr().err
