"""One training job under a folder of this machine, from its code to `model.tar.gz`."""

from collections.abc import Callable
from pathlib import Path

from facet.errors import FacetError
from local.training.layout import TrainingJob, hosts, lay_out, model_files
from local.training.processes import Processes
from training.package import pack


class TrainingFailed(FacetError):
    """The training job ended without a model; the message is its last line."""


def run(job: TrainingJob, root: Path, log: Callable[[str], None] = print) -> Path:
    """Runs the job under `root`, which stands for `/opt/ml`, and returns its `model.tar.gz`.

    Every line of the job's output goes to `log`. What it leaves for the reader is in
    `root/output/data`; several hosts have `root/algo-1`, … for theirs. Raises `TrainingFailed`;
    interrupted, it ends the job.
    """
    those = hosts(job.hosts, root)
    for host in those:
        lay_out(job, host)
    with Processes(job, those) as processes:
        if failure := processes.wait(log):
            raise TrainingFailed(
                f"The training job ended with status {failure.status}: {failure.line}"
            )
    tarball = root / "model.tar.gz"
    with tarball.open("wb") as file:
        pack(model_files(those), file)
    return tarball
