"""AWS's training toolkit runs our code package, as the training image does.

The environment has the packages of AWS's image in its versions, so that the toolkit's pip step
installs what it installs there: from the wheels in the package, since no index answers.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from PIL import Image

from facet.manifest import Manifest
from tests.support.aws.moto_account import forget
from tests.support.processes.waiting import LONG
from tests.support.project.pins import canonical, pins
from train.bucket import Bucket
from train.plan import plan
from train.training_job import DEFAULT_SECURITY, Execution
from training.package import NoWheels, code_key, download_wheels, pack_code, upload

ROOT = Path(__file__).parents[4]
IMAGE = ROOT / "tests/support/container/training_image.txt"
UV = Path(sys.executable).parent / "uv"
EXECUTION = Execution(id="arn:monday", name="monday", started="2026-09-11T14:02:11.482Z")
SMALL = {
    "backbone": "cnn",
    "image-size": 32,
    "epochs": 1,
    "batch-size": 4,
    "width": 4,
    "dense": 0,
    "views": 1,
}
ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="AWS's image is Linux's")


@dataclass(frozen=True)
class Ended:
    """A training job's container that has ended, and its /opt/ml."""

    code: int
    log: str
    home: Path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new environment with the packages of the training image, to which the toolkit adds."""
    folder = tmp_path_factory.mktemp("image") / "venv"
    python = subprocess.run([ROOT / ".ci/python", "3.12"], capture_output=True, text=True)
    commands: tuple[list[str | Path], ...] = (
        ["venv", "--quiet", "--python", python.stdout.strip() or "3.12", folder],
        ["pip", "install", "--quiet", "--no-deps", "--python", folder, "--requirement", IMAGE],
    )
    for each in commands:
        made = subprocess.run([UV, *each], capture_output=True, text=True, timeout=300)
        if made.returncode:
            pytest.skip(f"the training image's packages cannot be installed: {made.stderr}")
    yield folder / "bin"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def code() -> bytes:
    try:
        return pack_code(wheels=download_wheels())
    except NoWheels as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def account() -> Iterator[str]:
    """The address of an account with a bucket."""
    forget("s3")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    forget("s3")


Train = Callable[[bytes, int], Ended]


@pytest.fixture
def train(environment: Path, account: str, tmp_path: Path) -> Train:
    """Runs a planned job with some images of each of two classes in the image's environment."""

    def run(code: bytes, images: int) -> Ended:
        s3 = boto3.client("s3", endpoint_url=account, **_credentials())
        s3.create_bucket(Bucket="models")
        upload(code, s3, "models")
        channel = tmp_path / "input/data/train"
        for label, hue in {"green": (60, 200, 60), "red": (200, 60, 60)}.items():
            (channel / label).mkdir(parents=True)
            for number in range(images):
                noise = np.random.default_rng(number).integers(-50, 50, (32, 32, 3))
                image = Image.fromarray((noise + hue).astype(np.uint8))
                image.save(channel / label / f"{number}.png")
        s3.put_object(Bucket="models", Key="datasets/pets/train/green/0.png", Body=b"image")
        job = {"model": "pets", "recipe": "image-folder", "dataset": "pets"}
        document = {"jobs": [job | {"hyperparameters": SMALL}]}
        store = Bucket(s3, "models")
        (planned,) = asdict(plan(document, EXECUTION, code_key(code), store, DEFAULT_SECURITY))[
            "jobs"
        ]
        configure(tmp_path, planned)
        variables = {
            "AWS_ENDPOINT_URL": account,
            "PATH": f"{environment}:{os.environ['PATH']}",
            "PIP_NO_COMPILE": "1",
            "PIP_INDEX_URL": "http://127.0.0.1:9/",
            "SAGEMAKER_BASE_DIR": str(tmp_path),
            "SAGEMAKER_TRAINING_MODULE": "sagemaker_tensorflow_container.training:main",
        }
        kept = {"HOME": os.environ["HOME"]}
        done = subprocess.run(
            environment / "train",
            env=kept | ACCOUNT | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONG,
        )
        return Ended(done.returncode, done.stdout, tmp_path)

    return run


def _credentials() -> dict[str, Any]:
    return {
        "region_name": "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }


def configure(home: Path, job: dict[str, Any]) -> None:
    """Writes what SageMaker writes to /opt/ml, with a host's name that this machine can resolve."""
    files = {
        "hyperparameters": job["hyperparameters"],
        "resourceconfig": {
            "current_host": "localhost",
            "hosts": ["localhost"],
            "network_interface_name": "lo",
        },
        "inputdataconfig": {
            each["ChannelName"]: {
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
            }
            for each in job["channels"]
        },
    }
    (home / "input/config").mkdir(parents=True)
    for name, document in files.items():
        (home / f"input/config/{name}.json").write_text(json.dumps(document))
    for name in ("checkpoints", "code", "model", "output"):
        (home / name).mkdir()


def test_the_toolkit_installs_the_packages_and_trains(
    train: Train, code: bytes, environment: Path
) -> None:
    ended = train(code, 6)
    assert ended.code == 0, ended.log
    assert (ended.home / "output/success").exists()
    manifest = Manifest.model_validate_json((ended.home / "model/facet.json").read_text())
    assert (manifest.labels, manifest.provenance["dataset"]) == (("green", "red"), "pets")
    for name in ("model/1/saved_model.pb", "model/1/assets.extra/model.tflite"):
        assert (ended.home / name).exists(), name
    assert (ended.home / "output/data/metrics.json").exists()
    assert list((ended.home / "checkpoints").iterdir())
    (packages,) = environment.parent.glob("lib/python*/site-packages")
    installed = {canonical(each.name): each.version for each in distributions(path=[str(packages)])}
    assert pins(ROOT / "training/requirements.txt").items() <= installed.items()
    untouched = ("numpy", "protobuf", "tensorflow-cpu", "keras")
    assert {each: installed[each] for each in untouched} == {
        each: pins(IMAGE)[each] for each in untouched
    }


@pytest.mark.usefixtures("code")
def test_the_failure_says_why(train: Train) -> None:
    """What the file has is the FailureReason of the job's description."""
    ended = train(pack_code(), 1)
    assert ended.code == 1, ended.log
    failure = (ended.home / "output/failure").read_text()
    assert "ExitCode 1" in failure
    assert "error: class 'green' has one image" in failure.lower()
