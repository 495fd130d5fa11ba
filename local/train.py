"""From a data set to a live model: uploads pictures, trains, publishes, asks the new model.

Works with the local stack that runs already, or starts one for as long as it takes.
"""

import argparse
import hashlib
import json
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from botocore.exceptions import BotoCoreError, ClientError

from facet.errors import FacetError
from facet.recipes import RECIPES
from local.aws import client
from local.console import TEMPLATE
from local.logs import log_to
from local.stack import Address, AlreadyRunning, Stack
from local.tour import Picture, Tour, TourFailed
from training.data import command as data_command

HOME = Path(__file__).resolve().parent.parent / ".facet"
POLL_SECONDS = 0.5
SHOWN = 10
"""So many pictures, each of another label, are sent to the new model."""


class NotLive(FacetError):
    """The execution ended without a model that answers."""


@dataclass(frozen=True)
class Wanted:
    """What is to be trained; `job` is the execution's input for it."""

    source: str
    dataset: str
    weights: Path | None
    home: Path
    job: dict[str, Any]


def main() -> int:
    """The command; the exit code."""
    wanted = _wanted(_options())
    log_to(wanted.home / "logs")
    try:
        with _stack(wanted.home) as address:
            named = ["--name", wanted.dataset, "--home", str(wanted.home)]
            if code := data_command.main([wanted.source, *named]):
                return code
            _train(wanted, address)
    except (FacetError, TourFailed, BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.train", description=__doc__)
    parser.add_argument("recipe", choices=sorted(RECIPES))
    parser.add_argument(
        "data",
        nargs="?",
        help="cifar10, sign-language, or a folder or zip of pictures (default: the recipe's own)",
    )
    parser.add_argument("--model", help="the model's name (default: my-DATASET)")
    parser.add_argument("--name", help="the data set's name (default: the folder's)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a hyperparameter; docs/training.md lists them",
    )
    parser.add_argument("--weights", type=Path, help="a .h5 file of pretrained weights")
    parser.add_argument("--minimum", type=float, help="the validation accuracy to reach")
    parser.add_argument("--allow-worse", action="store_true", help="than the live version")
    parser.add_argument("--instances", type=int, default=1, help="processes that share the work")
    parser.add_argument("--home", type=Path, default=HOME, help="the stack's folder")
    options = parser.parse_args()
    if options.data is None and options.recipe == "image-folder":
        parser.error("image-folder needs a folder of pictures: make train … DATA=DIR")
    if options.weights and not options.weights.is_file():
        parser.error(f"--weights {options.weights}: there is no such file")
    if wrong := [each for each in options.set if "=" not in each]:
        parser.error(f"--set {wrong[0]}: it has the form NAME=VALUE")
    return options


def _wanted(options: argparse.Namespace) -> Wanted:
    source = options.data or options.recipe
    dataset = options.name or Path(source).resolve().name.removesuffix(".zip").lower()
    model = options.model or f"my-{dataset}"[:63]
    job = {
        "model": model,
        "recipe": options.recipe,
        "dataset": dataset,
        "hyperparameters": dict(each.split("=", 1) for each in options.set),
        "instance_count": options.instances,
        "allow_worse": options.allow_worse,
    }
    if options.minimum is not None:
        job["minimum"] = options.minimum
    if options.weights:
        with options.weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        job["weights"] = f"weights/{digest[:12]}/"
    return Wanted(source, dataset, options.weights, options.home, job)


@contextmanager
def _stack(home: Path) -> Iterator[Address]:
    """The stack that runs with its state in `home`, else one for this command alone."""
    try:
        with Stack(TEMPLATE, home) as stack:
            print(f"started a stack at {stack.address.url}", flush=True)
            yield stack.address
    except AlreadyRunning:
        yield Address(**json.loads((home / "stack.json").read_text()))


def _train(wanted: Wanted, address: Address) -> None:
    if wanted.weights:
        key = f"{wanted.job['weights']}{wanted.weights.name}"
        client("s3", address.endpoint_url).upload_file(str(wanted.weights), address.bucket, key)
    states = client("stepfunctions", address.endpoint_url)
    name = f"{wanted.job['model']}-{uuid.uuid4().hex[:8]}"[-80:]
    print(f"execution {name}", flush=True)
    arn = states.start_execution(
        stateMachineArn=address.state_machine_arn,
        name=name,
        input=json.dumps({"jobs": [wanted.job]}),
    )["executionArn"]
    try:
        execution = _followed(states, arn, _Logs(wanted.home / "logs" / "training"))
    except KeyboardInterrupt:
        states.stop_execution(executionArn=arn)
        raise
    if execution["status"] != "SUCCEEDED":
        raise NotLive(execution.get("cause") or f"The execution is {execution['status']}.")
    (report,) = json.loads(execution["output"])["jobs"]
    print(f"{report['model']}  {report.get('version', '')}  {report['outcome']}", flush=True)
    print(report.get("reason", ""), flush=True)
    if report["outcome"] != "READY":
        raise NotLive(f"{report['model']} was not published: {report['outcome']}.")
    _ask(wanted, address)


class _Logs:
    """The logs of the training jobs that begin from now on; a laptop runs one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = set(folder.glob("*.log"))
        self._open: dict[Path, TextIO] = {}

    def show(self) -> None:
        """Prints what has been written since the last time."""
        for path in sorted(set(self._folder.glob("*.log")) - self._before):
            if path not in self._open:
                self._open[path] = path.open()
            for line in self._open[path]:
                print(line, end="", flush=True)


def _followed(states: Any, arn: str, logs: _Logs) -> dict[str, Any]:
    while True:
        execution: dict[str, Any] = states.describe_execution(executionArn=arn)
        logs.show()
        if execution["status"] != "RUNNING":
            return execution
        time.sleep(POLL_SECONDS)


def _ask(wanted: Wanted, address: Address) -> None:
    """Sends the new model pictures of its own data set, of the test channel where there is one."""
    tour = Tour(address)
    for label, picture in _pictures(wanted, address):
        answer = tour.predict(picture)
        print(
            f"{picture.name:50} {label:12} → {answer.label:12} {answer.score:.3f} "
            f"{answer.milliseconds:7.1f} ms",
            flush=True,
        )


def _pictures(wanted: Wanted, address: Address) -> Iterator[tuple[str, Picture]]:
    """(label, picture): one of each label."""
    s3 = client("s3", address.endpoint_url)
    for channel in ("test", "validation", "train"):
        prefix = f"datasets/{wanted.dataset}/{channel}/"
        folders = s3.list_objects_v2(Bucket=address.bucket, Prefix=prefix, Delimiter="/")
        for folder in folders.get("CommonPrefixes", [])[:SHOWN]:
            found = s3.list_objects_v2(Bucket=address.bucket, Prefix=folder["Prefix"], MaxKeys=1)
            key = found["Contents"][0]["Key"]
            content = s3.get_object(Bucket=address.bucket, Key=key)["Body"].read()
            name = key.removeprefix(f"datasets/{wanted.dataset}/")
            yield key.split("/")[-2], Picture(wanted.job["model"], name, content)
        if folders.get("CommonPrefixes"):
            return


if __name__ == "__main__":
    sys.exit(main())
