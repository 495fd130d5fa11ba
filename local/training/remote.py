"""One job of the training service: from S3 into folders, through its processes, back to S3."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.training.description import Document, Metrics, ended, moved
from local.training.layout import (
    Host,
    TrainingJob,
    decoded,
    hosts,
    lay_out,
    model_files,
    output_files,
)
from local.training.processes import Failure, Processes
from local.training.store import Checkpoints, NotThere, Store
from training.package import pack

CODE = "sagemaker_submit_directory"


@dataclass(frozen=True)
class LogListener:
    """`log` hears the job's lines, `changed` is called whenever its document is another."""

    log: Callable[[str], object]
    changed: Callable[[], object]


class RemoteJob:
    """A training job as its `document` describes it, under `root`. `carry_out` runs it once."""

    def __init__(self, document: Document, store: Store, root: Path, grace: float) -> None:
        self.document = document
        self._store = store
        self._root = root
        self._grace = grace
        self._wish = ""
        self._processes: Processes | None = None
        self._lock = threading.Lock()

    def end(self, secondary: str, *, at_once: bool = False) -> None:
        """Asks the job to end, now or as soon as it starts, with that secondary status."""
        with self._lock:
            self._wish = self._wish or secondary
            self.document = moved(self.document, "Stopping", "Stopping")
            if self._processes:
                self._processes.stop()
                if at_once:
                    self._processes.kill()

    def carry_out(self, ears: LogListener) -> Document:
        """Runs it; its last document. Raises NotThere, ValueError, OSError."""
        self._move("Downloading", ears)
        if self._wish:
            return ended(self.document, self._wish, "Stopped")
        job, those = self._prepare()
        metrics = Metrics(self.document["AlgorithmSpecification"].get("MetricDefinitions") or ())

        def take(line: str) -> None:
            metrics.take(line)
            ears.log(line)

        self._move("Training", ears)
        failure = self._train(job, those, take)
        self._move("Uploading", ears)
        self._upload(those)
        return self._at_end(failure, metrics)

    def _move(self, secondary: str, ears: LogListener) -> None:
        """A job that was asked to end goes on as Stopping until it has."""
        with self._lock:
            if self._wish:
                return
            self.document = moved(self.document, secondary)
        ears.changed()

    def _prepare(self) -> tuple[TrainingJob, list[Host]]:
        given: Mapping[str, str] = self.document.get("HyperParameters", {})
        job = TrainingJob(
            name=self.document["TrainingJobName"],
            code=self._code(given),
            hyperparameters=given,
            channels=self._channels(),
            hosts=self.document["ResourceConfig"]["InstanceCount"],
        )
        those = hosts(job.hosts, self._root / "ml")
        for host in those:
            if checkpoints := self.document.get("CheckpointConfig"):
                self._store.fetch(checkpoints["S3Uri"], host.checkpoints)
            lay_out(job, host)
        return job, those

    def _code(self, hyperparameters: Mapping[str, str]) -> bytes:
        if CODE not in hyperparameters:
            raise NotThere(f"only script mode runs here: set the hyperparameter {CODE}")
        return self._store.read(decoded(hyperparameters[CODE]))

    def _channels(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for channel in self.document.get("InputDataConfig") or ():
            name = channel["ChannelName"]
            found[name] = self._root / "channels" / name
            self._store.link(channel["DataSource"]["S3DataSource"]["S3Uri"], found[name])
        return found

    def _train(
        self, job: TrainingJob, those: Sequence[Host], log: Callable[[str], None]
    ) -> Failure | None:
        seconds = self.document["StoppingCondition"]["MaxRuntimeInSeconds"]
        limit = threading.Timer(seconds, self.end, ("MaxRuntimeExceeded",))
        limit.daemon = True
        with ExitStack() as opened:
            processes = opened.enter_context(Processes(job, those, self._grace))
            opened.callback(self._forget)
            if checkpoints := self.document.get("CheckpointConfig"):
                for host in those:
                    opened.enter_context(
                        Checkpoints(host.checkpoints, self._store.put, checkpoints["S3Uri"])
                    )
            opened.callback(limit.cancel)
            limit.start()
            self._remember(processes)
            return processes.wait(log)

    def _remember(self, processes: Processes) -> None:
        with self._lock:
            self._processes = processes
            if self._wish:
                processes.stop()

    def _forget(self) -> None:
        with self._lock:
            self._processes = None

    def _upload(self, those: Sequence[Host]) -> None:
        artifact: str = self.document["ModelArtifacts"]["S3ModelArtifacts"]
        for members, uri in (
            (model_files(those), artifact),
            (output_files(those), artifact.replace("/model.tar.gz", "/output.tar.gz")),
        ):
            if not members:
                continue
            packed = self._root / "packed.tar.gz"
            with packed.open("wb") as file:
                pack(members, file)
            self._store.put(packed, uri)

    def _at_end(self, failure: Failure | None, metrics: Metrics) -> Document:
        document: dict[str, Any] = self.document | {"FinalMetricDataList": metrics.final()}
        if self._wish:
            return ended(document, self._wish, "Stopped")
        if failure:
            reason = f"AlgorithmError: {failure.line}, exit code: {failure.status}"
            return ended(document, "Failed", "Failed", reason)
        return ended(document, "Completed", "Completed")
