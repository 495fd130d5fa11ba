"""The surroundings of a training program: `/opt/ml` under another root, arguments, environment.

Source: https://github.com/aws/sagemaker-training-toolkit, ENVIRONMENT_VARIABLES.md
"""

import io
import json
import os
import socket
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facet.keys import MANIFEST

PROGRAM = "training/train.py"
FOLDERS = ("input/data", "input/config", "model", "output/data", "checkpoints", "code")


@dataclass(frozen=True)
class TrainingJob:
    """`code` is a `sourcedir.tar.gz` as `training.package` makes it; `channels` are folders.

    `hyperparameters` are CreateTrainingJob's. `hosts` is the number of processes that share the
    work; each has its own root.
    """

    name: str
    code: bytes
    hyperparameters: Mapping[str, str]
    channels: Mapping[str, Path]
    hosts: int = 1


@dataclass(frozen=True)
class Host:
    """One host of a job: its name among all `names`, and the root that stands for `/opt/ml`."""

    name: str
    root: Path
    names: tuple[str, ...]
    addresses: Mapping[str, str]

    @property
    def checkpoints(self) -> Path:
        """The folder whose files survive an interruption."""
        return self.root / "checkpoints"


def hosts(count: int, root: Path) -> list[Host]:
    """The hosts `algo-1`, …, each in its folder of `root`; a single host has `root` itself."""
    names = tuple(f"algo-{number + 1}" for number in range(count))
    addresses = dict(zip(names, _free_addresses(count), strict=True))
    return [Host(name, root if count == 1 else root / name, names, addresses) for name in names]


def prepare(job: TrainingJob, host: Host) -> None:
    """Makes the host's folders and configuration; files in `checkpoints` stay."""
    root = host.root
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for channel, source in job.channels.items():
        (root / "input/data" / channel).symlink_to(source.resolve(), target_is_directory=True)
    with tarfile.open(fileobj=io.BytesIO(job.code)) as code:
        code.extractall(root / "code", filter="data")
    how = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
    documents: dict[str, object] = {
        "hyperparameters": dict(job.hyperparameters),
        "inputdataconfig": dict.fromkeys(job.channels, how),
        "resourceconfig": {"current_host": host.name, "hosts": host.names},
    }
    for name, document in documents.items():
        (root / f"input/config/{name}.json").write_text(json.dumps(document, indent=2) + "\n")


def arguments(hyperparameters: Mapping[str, str]) -> list[str]:
    """Hyperparameters as command line arguments, as the training toolkit passes them.

    JSON values are decoded; those of the toolkit itself (`sagemaker_…`) are left out.
    """
    return [
        word
        for name, value in hyperparameters.items()
        if not name.startswith("sagemaker_")
        for word in (f"--{name}", decoded(value))
    ]


def environment(job: TrainingJob, host: Host) -> dict[str, str]:
    """Environment variables of the host's process; they override this machine's."""
    root = host.root
    channels = {
        f"SM_CHANNEL_{name.upper()}": str(root / "input/data" / name) for name in job.channels
    }
    several = {"FACET_WORKER_ADDRESSES": json.dumps(dict(host.addresses))}
    return {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **os.environ,
        **channels,
        **(several if len(host.names) > 1 else {}),
        "PYTHONPATH": str(root / "code"),
        "PYTHONUNBUFFERED": "1",
        "SM_CHANNELS": json.dumps(sorted(job.channels)),
        "SM_MODEL_DIR": str(root / "model"),
        "SM_OUTPUT_DATA_DIR": str(root / "output/data"),
        "SM_HOSTS": json.dumps(host.names),
        "SM_CURRENT_HOST": host.name,
        "TRAINING_JOB_NAME": job.name,
    }


def model_files(machines: Sequence[Host]) -> list[tuple[str, Path]]:
    """The members of `model.tar.gz`, the manifest first, so that readers have it early.

    Several hosts' folders are merged; the first host that has a file wins.
    """
    return sorted(
        _merged([host.root / "model" for host in machines]),
        key=lambda member: (member[0] != MANIFEST, member[0]),
    )


def output_files(machines: Sequence[Host]) -> list[tuple[str, Path]]:
    """The members of `output.tar.gz`."""
    return sorted(_merged([host.root / "output/data" for host in machines]))


def _merged(folders: Sequence[Path]) -> list[tuple[str, Path]]:
    found: dict[str, Path] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                found.setdefault(path.relative_to(folder).as_posix(), path)
    return list(found.items())


def decoded(value: str) -> str:
    """A hyperparameter's value as an argument: decoded if it is JSON."""
    try:
        return str(json.loads(value))
    except ValueError:
        return value


def _free_addresses(count: int) -> list[str]:
    """Addresses on this machine with different ports, which were free."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    finally:
        for each in sockets:
            each.close()
