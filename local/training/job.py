"""Runs a training job under a folder of this machine and packs its `model.tar.gz`."""

from collections.abc import Callable
from pathlib import Path

from facet.artifact.packing import pack
from facet.errors import FacetError
from local.training.layout import TrainingJob, hosts, model_files, prepare
from local.training.processes import Processes


class TrainingFailed(FacetError):
    """The training job failed; the message has its status and last line."""


def run(job: TrainingJob, root: Path, log: Callable[[str], None] = print) -> Path:
    """Runs the job under `root`, which stands for `/opt/ml`, and returns its `model.tar.gz`.

    `log` gets every line of the job's output. Its report is in `root/output/data`; several hosts
    have `root/algo-1`, … each. Raises TrainingFailed; an exception in `log` ends the job.
    """
    machines = hosts(job.hosts, root)
    for host in machines:
        prepare(job, host)
    with Processes(job, machines) as processes:
        if failure := processes.wait(log):
            raise TrainingFailed(
                f"The training job ended with status {failure.code}: {failure.reason}"
            )
    tarball = root / "model.tar.gz"
    with tarball.open("wb") as file:
        pack(model_files(machines), file)
    return tarball
