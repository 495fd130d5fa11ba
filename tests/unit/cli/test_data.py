"""`facet data`: what it uploads, and what it says to wrong words."""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner, Result

from cli.app import app
from cli.data import upload_data_set
from cli.terminal.output import Output
from tests.support.processes import partly_installed
from training.data.source import data_source
from training.data.upload import Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "facet-data"
LAYOUT = ("train/cat/1.jpg", "train/dog/1.png", "validation/cat/2.JPG", "test/dog/3.webp")
WARNINGS = [
    "channel 'test' has no image of 'cat': nothing is measured for it",
    "channel 'validation' has no image of 'dog': nothing is measured for it",
]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator["S3Client"]:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "FACET_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


def content(name: str) -> bytes:
    """An image of its own for each name."""
    data = io.BytesIO()
    Image.frombytes("L", (4, 4), hashlib.md5(name.encode()).digest()).save(data, "PNG")
    return data.getvalue()


def folder(root: Path, names: Sequence[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content(name))
    return root


def objects(s3: "S3Client") -> dict[str, bytes]:
    listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {
        each["Key"]: s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in listed
    }


def data(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["data", *arguments])


def test_a_folder_is_uploaded_under_its_name(s3: "S3Client", tmp_path: Path) -> None:
    root = folder(tmp_path / "pets", [*LAYOUT, "README.md"])
    done = data(str(root), "--bucket", BUCKET)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"s3://{BUCKET}/datasets/pets/: 4 uploaded (")
    assert done.stderr.splitlines() == [
        "pets: 2 train, 1 validation, 1 test images of 2 classes, 1 other file skipped",
        "skipped README.md: not an image",
        *(f"warning: {line}" for line in WARNINGS),
    ]
    assert objects(s3) == {f"datasets/pets/{name}": content(name) for name in LAYOUT}


@pytest.mark.usefixtures("s3")
def test_of_many_skipped_files_some_are_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "pets", [*LAYOUT, *(f"train/cat/{n:02}.tif" for n in range(25))])
    (root / "train/dog/cut.png").write_bytes(content("x")[:60])
    done = data(str(root), "--bucket", BUCKET)
    lines = done.stderr.splitlines()
    assert lines[1] == "skipped train/cat/00.tif: TIF is not read; convert it to PNG or JPEG"
    assert "and 6 more; --json names all" in lines
    skipped = json.loads(data(str(root), "--bucket", BUCKET, "--json").stdout)["skipped_files"]
    assert len(skipped) == 26
    assert skipped[-1]["path"] == "train/dog/cut.png"
    assert "damaged" in skipped[-1]["reason"]


def test_what_training_would_refuse_is_not_uploaded(s3: "S3Client", tmp_path: Path) -> None:
    root = folder(tmp_path / "pets", ["cat/1.jpg", "cat/2.jpg"])
    done = data(str(root), "--bucket", BUCKET)
    assert done.exit_code == 1
    assert "'cat' is the only class; training needs at least two" in done.stderr
    assert objects(s3) == {}


def test_a_second_run_uploads_the_difference_and_says_so_in_json(
    s3: "S3Client", tmp_path: Path
) -> None:
    root = folder(tmp_path / "pets", LAYOUT)
    data(str(root), "--bucket", BUCKET)
    (root / LAYOUT[3]).unlink()
    (root / "test/dog").rmdir()
    folder(root, ["test/cat/4.jpg"])
    done = data(str(root), "--bucket", BUCKET, "--json")
    assert json.loads(done.stdout) == {
        "dataset": "pets",
        "bucket": BUCKET,
        "prefix": "datasets/pets/",
        "uploaded": 1,
        "bytes": len(content("test/cat/4.jpg")),
        "unchanged": 3,
        "removed": 1,
        "images": {"train": 2, "validation": 1, "test": 1},
        "classes": 2,
        "skipped": 0,
        "skipped_files": [],
        "warnings": [WARNINGS[0].replace("cat", "dog"), WARNINGS[1]],
    }
    assert done.stderr == ""
    assert "datasets/pets/test/cat/4.jpg" in objects(s3)


def test_the_bucket_is_that_of_a_deployed_stack(s3: "S3Client", tmp_path: Path) -> None:
    names = ("RegistryName", "UndeliveredUploadsUrl", "OnboardFunctionName")
    outputs = {name: {"Value": "unused"} for name in names}
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {**outputs, "BucketName": {"Value": BUCKET}},
    }
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName="prod", TemplateBody=json.dumps(template))
    done = data(str(folder(tmp_path / "pets", LAYOUT)), "--stack", "prod", "--name", "dogs")
    assert done.exit_code == 0, done.output
    assert set(objects(s3)) == {f"datasets/dogs/{name}" for name in LAYOUT}


def test_the_known_data_sets_are_found(
    s3: "S3Client", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cifar = [f"{channel}/{label}/0.jpg" for channel in ("train", "val") for label in ("cat", "dog")]
    folder(tmp_path / "cifar10", cifar)
    digits = [f"Dataset/{label}/{number}.JPG" for label in (0, 1) for number in (1, 2)]
    signs = folder(tmp_path / "signs", [*digits, "Examples/2.JPG"])
    monkeypatch.setenv("FACET_DATA", str(tmp_path))
    assert data("cifar10", "--bucket", BUCKET).exit_code == 0
    named = ["--from", str(signs), "--name", "s"]
    assert data("sign-language", *named, "--bucket", BUCKET).exit_code == 0
    assert sorted(objects(s3)) == [
        *(f"datasets/cifar10/{channel}/{label}/0.jpg" for channel in ("train", "validation")
          for label in ("cat", "dog")),
        *(f"datasets/s/train/{label}/{number}.JPG" for label in (0, 1) for number in (1, 2)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["{}/none", "--bucket", BUCKET], "none: no such folder or zip"),
        (["{}/pets", "--name", "My Pets"], "'My Pets' is not a valid name for a data set"),
        (["{}/pets", "--name=-x"], "'-x' is not a valid name"),
        (["{}/pets", "--name", "x" * 64], "is not a valid name"),
        (["{}/pets", "--from", "elsewhere"], "--from is for cifar10 and sign-language"),
        (["{}/pets", "--home", "{}"], "no stack runs on this machine"),
        (["{}/pets", "--bucket", "not-there"], "NoSuchBucket"),
        (["{}/pets", "--stack", "not-there"], "stack not-there"),
        (["sign-language", "--bucket", BUCKET], "no copy of the sign language digits"),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(
    s3: "S3Client", arguments: list[str], problem: str, tmp_path: Path
) -> None:
    folder(tmp_path / "pets", LAYOUT)
    failed = data(*[each.format(tmp_path) for each in arguments])
    assert failed.exit_code == 1
    last = failed.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert problem in last
    assert objects(s3) == {}


def test_ctrl_c_says_how_to_go_on(s3: "S3Client", tmp_path: Path) -> None:
    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    s3.meta.events.register("before-call.s3.PutObject", interrupt)
    images = data_source(str(folder(tmp_path / "pets", LAYOUT)))
    written = io.StringIO()
    output = Output(remarks=Console(file=written))
    with pytest.raises(KeyboardInterrupt):
        upload_data_set(output, images, Bucket(BUCKET, s3))
    assert written.getvalue().endswith("stopped; run it again to upload the rest\n")
    assert objects(s3) == {}


def test_rejects_a_bucket_together_with_a_stack() -> None:
    wrong = data("x", "--bucket", "one", "--stack", "two")
    assert wrong.exit_code == 2
    assert "cannot be used with --stack" in wrong.output


def test_without_keras_it_says_what_to_install(tmp_path: Path) -> None:
    done = partly_installed.facet(tmp_path, "keras", "data", "cifar10", "--bucket", BUCKET)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: Keras, which loads CIFAR-10, is not installed")
    assert "`make training` in a checkout, else pip install 'facet[tensorflow]'" in line
