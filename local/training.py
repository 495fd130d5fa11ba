"""Runs a training job on this machine in the layout of SageMaker's script mode.

python -m local.training --recipe cifar10 --channel train=DIR --output cifar.tar.gz
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from gzip import GzipFile
from pathlib import Path
from typing import BinaryIO

from facet.errors import FacetError

REPOSITORY = Path(__file__).resolve().parent.parent
ENTRY = "training/train.py"


class TrainingFailed(FacetError):
    """The training job ended without a model; the message is its last line."""


@dataclass(frozen=True)
class TrainingJob:
    """`code` is a `sourcedir.tar.gz` as `pack_code` makes it; `channels` are folders."""

    name: str
    code: bytes
    hyperparameters: Mapping[str, str]
    channels: Mapping[str, Path]


def run(job: TrainingJob, root: Path, log: Callable[[str], None] = print) -> Path:
    """Runs the job under `root`, which stands for `/opt/ml`, and returns its `model.tar.gz`.

    Every line of the job's output goes to `log`. What it leaves for the reader is in
    `root/output/data`. Raises `TrainingFailed`; interrupted, it stops the job.
    """
    for folder in ("input/data", "model", "output/data", "code"):
        (root / folder).mkdir(parents=True)
    for channel, source in job.channels.items():
        (root / "input/data" / channel).symlink_to(source.resolve(), target_is_directory=True)
    with tarfile.open(fileobj=io.BytesIO(job.code)) as code:
        code.extractall(root / "code", filter="data")
    _follow(_start(job, root), log)
    tarball = root / "model.tar.gz"
    with tarball.open("wb") as file:
        _pack(_members(root / "model"), file)
    return tarball


def pack_code(repository: Path = REPOSITORY) -> bytes:
    """The training code as `sourcedir.tar.gz`; the same sources give the same bytes.

    It has `training/`, `facet/` and `requirements.txt` at its root.
    """
    folders = {"training": repository / "training", "facet": repository / "layers/facet/facet"}
    members = [
        (f"{name}/{path.relative_to(folder).as_posix()}", path)
        for name, folder in folders.items()
        for path in folder.rglob("*.py")
    ]
    members.append(("requirements.txt", repository / "training/requirements.txt"))
    packed = io.BytesIO()
    _pack(sorted(members), packed)
    return packed.getvalue()


def _start(job: TrainingJob, root: Path) -> subprocess.Popen[str]:
    arguments = [
        word for name, value in job.hyperparameters.items() for word in (f"--{name}", value)
    ]
    return subprocess.Popen(
        [sys.executable, ENTRY, *arguments],
        cwd=root / "code",
        env=_environment(job, root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _environment(job: TrainingJob, root: Path) -> dict[str, str]:
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2"}
    channels = {
        f"SM_CHANNEL_{name.upper()}": str(root / "input/data" / name) for name in job.channels
    }
    return (
        quiet
        | os.environ
        | channels
        | {
            "PYTHONPATH": str(root / "code"),
            "PYTHONUNBUFFERED": "1",
            "SM_MODEL_DIR": str(root / "model"),
            "SM_OUTPUT_DATA_DIR": str(root / "output/data"),
            "SM_HOSTS": '["algo-1"]',
            "SM_CURRENT_HOST": "algo-1",
            "TRAINING_JOB_NAME": job.name,
        }
    )


def _follow(process: subprocess.Popen[str], log: Callable[[str], None]) -> None:
    last = "it said nothing"
    with process:
        try:
            for line in process.stdout or ():
                last = line.rstrip() or last
                log(line.rstrip())
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise TrainingFailed(f"The training job ended with status {process.returncode}: {last}")


def _members(folder: Path) -> list[tuple[str, Path]]:
    """The manifest first, so that whoever reads the stream knows early what comes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    members = [(path.relative_to(folder).as_posix(), path) for path in files]
    return sorted(members, key=lambda member: (member[0] != "facet.json", member[0]))


def _pack(members: Iterable[tuple[str, Path]], file: BinaryIO) -> None:
    """A tar.gz without times, owners and modes, so that equal content makes equal bytes."""
    with (
        GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, path in members:
            member = tarfile.TarInfo(name)
            member.size, member.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                tar.addfile(member, content)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def main() -> int:
    """The command; 1 means that the job failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--recipe", required=True)
    parser.add_argument(
        "--channel",
        type=_pair,
        action="append",
        required=True,
        metavar="NAME=DIR",
        help="an image folder: train, validation or test",
    )
    parser.add_argument(
        "--hyperparameter", type=_pair, action="append", default=[], metavar="NAME=VALUE"
    )
    parser.add_argument("--output", type=Path, required=True, help="where model.tar.gz goes")
    given = parser.parse_args()
    job = TrainingJob(
        name=f"local-{given.recipe}",
        code=pack_code(),
        hyperparameters={"recipe": given.recipe} | dict(given.hyperparameter),
        channels={name: Path(folder) for name, folder in given.channel},
    )
    try:
        with tempfile.TemporaryDirectory() as root:
            shutil.move(run(job, Path(root)), given.output)
    except TrainingFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
