"""One training job: copies its data from S3, runs its processes, uploads its model to S3."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facet.artifact.packing import pack
from local.training.description import Document, Metrics, ended, moved
from local.training.layout import (
    Host,
    TrainingJob,
    decoded,
    hosts,
    model_files,
    output_files,
    prepare,
)
from local.training.processes import Failure, Processes
from local.training.store import Checkpoints, ObjectMissing, Store

CODE = "sagemaker_submit_directory"


@dataclass(frozen=True)
class LogListener:
    """`log` gets each line of the job, `changed` is called when its description has changed."""

    log: Callable[[str], object]
    changed: Callable[[], object]


class RemoteJob:
    """A training job with its folders under `root`; `document` is its description."""

    def __init__(self, document: Document, store: Store, root: Path, grace: float) -> None:
        self.document = document
        self._store = store
        self._root = root
        self._grace = grace
        self._stop_status = ""
        self._processes: Processes | None = None
        self._lock = threading.Lock()

    def end(self, secondary: str, *, at_once: bool = False) -> None:
        """Stops the job, now or when it starts, with a secondary status such as Stopped.

        Its processes get SIGTERM and a grace period, unless `at_once`.
        """
        with self._lock:
            self._stop_status = self._stop_status or secondary
            self.document = moved(self.document, "Stopping", "Stopping")
            if self._processes:
                self._processes.stop()
                if at_once:
                    self._processes.kill()

    def run(self, listener: LogListener) -> Document:
        """Runs the job; returns its last description. Raises ObjectMissing, ValueError, OSError."""
        self._move("Downloading", listener)
        if self._stop_status:
            return ended(self.document, self._stop_status, "Stopped")
        job, machines = self._prepare()
        metrics = Metrics(self.document["AlgorithmSpecification"].get("MetricDefinitions") or ())

        def read(line: str) -> None:
            metrics.read(line)
            listener.log(line)

        self._move("Training", listener)
        failure = self._train(job, machines, read)
        self._move("Uploading", listener)
        self._upload(machines)
        return self._at_end(failure, metrics)

    def _move(self, secondary: str, listener: LogListener) -> None:
        """Changes the secondary status, unless the job is Stopping."""
        with self._lock:
            if self._stop_status:
                return
            self.document = moved(self.document, secondary)
        listener.changed()

    def _prepare(self) -> tuple[TrainingJob, list[Host]]:
        hyperparameters: Mapping[str, str] = self.document.get("HyperParameters", {})
        job = TrainingJob(
            name=self.document["TrainingJobName"],
            code=self._code(hyperparameters),
            hyperparameters=hyperparameters,
            channels=self._channels(),
            hosts=self.document["ResourceConfig"]["InstanceCount"],
        )
        machines = hosts(job.hosts, self._root / "ml")
        for host in machines:
            if checkpoints := self.document.get("CheckpointConfig"):
                self._store.fetch(checkpoints["S3Uri"], host.checkpoints)
            prepare(job, host)
        return job, machines

    def _code(self, hyperparameters: Mapping[str, str]) -> bytes:
        if CODE not in hyperparameters:
            raise ObjectMissing(
                f"the local stack supports script mode only: set the hyperparameter {CODE}"
            )
        return self._store.read(decoded(hyperparameters[CODE]))

    def _channels(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for channel in self.document.get("InputDataConfig") or ():
            name = channel["ChannelName"]
            found[name] = self._root / "channels" / name
            self._store.link(channel["DataSource"]["S3DataSource"]["S3Uri"], found[name])
        return found

    def _train(
        self, job: TrainingJob, machines: Sequence[Host], log: Callable[[str], None]
    ) -> Failure | None:
        seconds = self.document["StoppingCondition"]["MaxRuntimeInSeconds"]
        limit = threading.Timer(seconds, self.end, ("MaxRuntimeExceeded",))
        limit.daemon = True
        with ExitStack() as stack:
            processes = stack.enter_context(Processes(job, machines, self._grace))
            stack.callback(self._forget)
            if checkpoints := self.document.get("CheckpointConfig"):
                for host in machines:
                    stack.enter_context(
                        Checkpoints(host.checkpoints, self._store.put, checkpoints["S3Uri"])
                    )
            stack.callback(limit.cancel)
            limit.start()
            self._remember(processes)
            return processes.wait(log)

    def _remember(self, processes: Processes) -> None:
        with self._lock:
            self._processes = processes
            if self._stop_status:
                processes.stop()

    def _forget(self) -> None:
        with self._lock:
            self._processes = None

    def _upload(self, machines: Sequence[Host]) -> None:
        artifact: str = self.document["ModelArtifacts"]["S3ModelArtifacts"]
        for members, uri in (
            (model_files(machines), artifact),
            (output_files(machines), artifact.replace("/model.tar.gz", "/output.tar.gz")),
        ):
            if not members:
                continue
            packed = self._root / "packed.tar.gz"
            with packed.open("wb") as file:
                pack(members, file)
            self._store.put(packed, uri)

    def _at_end(self, failure: Failure | None, metrics: Metrics) -> Document:
        document: dict[str, Any] = self.document | {"FinalMetricDataList": metrics.final()}
        if self._stop_status:
            return ended(document, self._stop_status, "Stopped")
        if failure:
            reason = f"AlgorithmError: {failure.reason}, exit code: {failure.code}"
            return ended(document, "Failed", "Failed", reason)
        return ended(document, "Completed", "Completed")
