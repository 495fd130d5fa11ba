"""The account of a run: registry and bucket of template.yaml, and an endpoint with its container.

Each has a process of its own, as has each environment of a function: nothing that stands for AWS
shares the interpreter of what is measured. Functions get the settings that template.yaml gives
them.
"""

import io
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import boto3
from botocore.config import Config

from benchmarks.serving.process_tree import processor_seconds
from local import template
from local.endpoint.platform import EndpointConfig, Platform
from local.moto.aws import Aws
from local.resources import Resources
from local.storage.state import State

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"
NAME = "facet"
PARAMETERS = {"DeleteKeys": "*"}

SIGNED = Config(signature_version="s3v4")
"""As the local stack signs its downloads."""

KEPT: list[object] = []
"""What a process keeps running: the account or the endpoint."""


@dataclass(frozen=True)
class Account:
    """The names of its resources. `shared` has the variables by which processes reach it,
    `functions` those of each function, by its logical id.
    """

    bucket: str
    table: str
    model_data: str
    endpoint: str
    container: Mapping[str, str]
    shared: Mapping[str, str]
    functions: Mapping[str, Mapping[str, str]]

    def environment(self, function: str, runtime: str, s3: str | None = None) -> dict[str, str]:
        """A function's variables; `runtime` is the URL of the endpoint, `s3` of another S3.

        Models run on the endpoint only.
        """
        own = {
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": runtime,
            "AWS_LAMBDA_FUNCTION_NAME": function,
            "FACET_INFER_FUNCTION": "",
        }
        other = {"AWS_ENDPOINT_URL_S3": s3} if s3 else {}
        return {**self.shared, **self.functions[function], **own, **other}


@dataclass(frozen=True)
class Endpoint:
    """The URL for InvokeEndpoint, and the process id of the container."""

    url: str
    container: int

    @property
    def processor_seconds(self) -> float:
        """The container's processor time."""
        return processor_seconds([self.container])


@dataclass
class Context:
    """Lambda's context."""

    seconds: float
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


def separate_process(
    variables: Mapping[str, str] | None = None, *, quiet: bool = False
) -> ProcessPoolExecutor:
    """A process with these variables; `quiet` keeps what it prints, logs and metrics, off the
    screen.
    """
    spawn = get_context("spawn")
    return ProcessPoolExecutor(1, spawn, initializer=_enter, initargs=(variables or {}, quiet))


def _enter(variables: Mapping[str, str], quiet: bool) -> None:
    os.environ.update(variables)
    if quiet:
        sys.stdout = LastLine()


class LastLine(io.TextIOBase):
    """Keeps the last line that was printed."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str, /) -> int:
        if text != "\n":
            self.text = text
        return len(text)


@cache
def calls() -> Counter[str]:
    """The calls of AWS that this process makes from now on, by `service.Operation`, with clients
    that are made from now on.
    """
    counted = Counter[str]()

    def count(event_name: str, **_: object) -> None:
        counted[event_name.removeprefix("before-call.")] += 1

    boto3.setup_default_session()
    assert boto3.DEFAULT_SESSION is not None
    boto3.DEFAULT_SESSION.events.register("before-call", count)
    return counted


@contextmanager
def account(folder: Path) -> Iterator[tuple[Account, ProcessPoolExecutor]]:
    """The account, and its process, for what works on moto's memory."""
    with separate_process() as process:
        yield process.submit(_open_account, folder).result(), process
        process.submit(_close).result()


@contextmanager
def endpoint(account: Account, folder: Path, memory: int, s3: str | None) -> Iterator[Endpoint]:
    """The account's endpoint, with so many bytes for models, which it finds in this S3."""
    with separate_process(account.shared) as process:
        opened = process.submit(_open_endpoint, account, folder, memory, s3)
        yield opened.result()
        process.submit(_close).result()


def _open_account(folder: Path) -> Account:
    read = template.load(TEMPLATE, PARAMETERS)
    aws = Aws(State(folder / "state"))
    KEPT.append(aws)
    aws.start()
    made = Resources(read, aws.create_stack(NAME, read.for_moto(), PARAMETERS))
    bucket = made.the("AWS::S3::Bucket")
    aws.configure_bucket(made.name(bucket), lambda name: made.property(bucket, name))
    model = made.property(made.the("AWS::SageMaker::Model"), "PrimaryContainer")
    return Account(
        bucket=made.name(bucket),
        table=made.name(made.the("AWS::DynamoDB::Table")),
        model_data=model["ModelDataUrl"],
        endpoint=made.endpoints()[0],
        container=model.get("Environment", {}),
        shared=aws.environment(),
        functions={each.name: dict(each.environment) for each in made.functions()},
    )


def _open_endpoint(account: Account, folder: Path, memory: int, s3: str | None) -> Endpoint:
    platform = Platform(
        [EndpointConfig(account.endpoint, account.model_data, account.container)],
        boto3.client("s3", endpoint_url=s3, config=SIGNED),
        folder / "endpoint",
        disk_budget=1 << 40,
        memory_budget=memory,
        log_dir=folder,
    )
    KEPT.append(platform)
    platform.start()
    while (pid := platform.container_pid(account.endpoint)) is None:
        time.sleep(0.05)
    return Endpoint(platform.url, pid)


def _close() -> None:
    for each in KEPT:
        assert isinstance(each, Aws | Platform)
        each.close()
    KEPT.clear()
