"""A local stack with fake training code, so that a training job takes a second.

The code returns the artifact that is its data set; the rest of the stack is real.
"""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from local.moto.aws import client
from local.moto.training.step_functions import Execution
from local.stack import Listeners, Stack
from local.training.description import Document
from tests.support.aws.moto_account import forget
from tests.support.processes.waiting import LONG, wait_until
from tests.support.stacks import ROOT
from training.package import pack_code

SAMPLE = (ROOT / "samples/cifar.tar.gz").read_bytes()

PROGRAM = """
import os, signal, sys, tarfile, time
from pathlib import Path

given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print("epoch=1 loss=0.5 accuracy=0.8 val_loss=0.6 val_accuracy=0.7 seconds=0.1")
if given["--dataset"] == "no-images":
    sys.exit("error: channel train has no images")
if given["--dataset"] == "endless":
    (Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints/epoch-1").write_text("weights")
    print("waiting")
    time.sleep(600)
checkpoint = Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints/epoch-1"
if given["--dataset"] in ("stopped", "killed"):
    print("resumed=1 epochs_done=1" if checkpoint.exists() else "waiting")
    if not checkpoint.exists():
        checkpoint.write_text("weights")
        if given["--dataset"] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)
channel = Path(os.environ["SM_CHANNEL_TRAIN"])
with tarfile.open(channel / "artifact/model.tar.gz") as tar:
    tar.extractall(os.environ["SM_MODEL_DIR"], filter="data")
"""


def artifact(description: str, accuracy: float, *, golden: str | None = None) -> bytes:
    """The sample artifact with another description, accuracy and, if given, golden label."""
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(SAMPLE)) as old,
        tarfile.open(fileobj=packed, mode="w") as new,
    ):
        for member in old:
            content = old.extractfile(member)
            assert content is not None
            data = content.read()
            if member.name == "facet.json":
                manifest = json.loads(data)
                manifest["description"] = description
                manifest["metrics"] = {"validation_accuracy": accuracy}
                if golden:
                    manifest["golden"]["label"] = golden
                data = json.dumps(manifest).encode()
            info = tarfile.TarInfo(member.name)
            info.size = len(data)
            new.addfile(info, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), mtime=0)


class Trainer:
    """A client of a running stack's state machine."""

    def __init__(self, stack: Stack, home: Path) -> None:
        self.address = stack.address
        self.home = home
        self.s3 = client("s3", self.address)
        self.sfn = client("stepfunctions", self.address)
        self.sagemaker = client("sagemaker", self.address)
        self.lines: list[tuple[str, str]] = []
        self.executed: list[Execution] = []

    def dataset(self, name: str, content: bytes = b"x") -> str:
        key = f"datasets/{name}/train/artifact/model.tar.gz"
        self.s3.put_object(Bucket=self.address.bucket, Key=key, Body=content)
        return name

    def start(self, name: str, *jobs: dict[str, Any], **more: Any) -> str:
        defaults = {"recipe": "cifar10"}
        started = self.sfn.start_execution(
            stateMachineArn=self.address.state_machine_arn,
            name=name,
            input=json.dumps({"jobs": [defaults | job for job in jobs]} | more),
        )
        return str(started["executionArn"])

    def end(self, execution: str) -> dict[str, Any]:
        def described() -> dict[str, Any]:
            found: dict[str, Any] = self.sfn.describe_execution(executionArn=execution)
            return found

        wait_until(lambda: described()["status"] != "RUNNING")
        return described()

    def reports(self, execution: str) -> dict[str, dict[str, Any]]:
        ended = self.end(execution)
        assert ended["status"] == "SUCCEEDED", ended
        return {job["model"]: job for job in json.loads(ended["output"])["jobs"]}

    def train(self, name: str, *jobs: dict[str, Any], **more: Any) -> dict[str, dict[str, Any]]:
        return self.reports(self.start(name, *jobs, **more))

    def live(self, model: str) -> str | None:
        url, headers = f"{self.address.url}/models/{model}", {"x-api-key": self.address.api_key}
        answer = httpx.get(url, headers=headers, timeout=LONG)
        live: str | None = answer.json().get("live")
        return live


@contextmanager
def running(repository: Path, home: Path) -> Iterator[Trainer]:
    """Runs a stack in `home`; its training code is written to `repository`."""
    for name, text in {
        "training/train.py": PROGRAM,
        "training/requirements.txt": "",
        "layers/facet/facet/__init__.py": "",
    }.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    trainers: list[Trainer] = []

    def trained(job: Document, line: str) -> None:
        trainers[0].lines.append((job["TrainingJobName"], line))

    def executed(execution: Execution) -> None:
        trainers[0].executed.append(execution)

    stack = Stack(
        ROOT / "template.yaml",
        home,
        code=pack_code(repository),
        listeners=Listeners(trained=trained, executed=executed),
    )
    with stack:
        trainers.append(Trainer(stack, home))
        yield trainers[0]
    forget("s3", "dynamodb", "sqs", "sns", "lambda", "cloudformation", "iam", "sagemaker", "events")
