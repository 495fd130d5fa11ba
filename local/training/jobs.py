"""SageMaker's training service on this machine: jobs are queued, and run one after another."""

import logging
import queue
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from facet.errors import FacetError
from local.training.description import (
    RUNNING,
    Document,
    created,
    ended,
    interrupted,
)
from local.training.processes import GRACE
from local.training.remote import LogListener, RemoteJob
from local.training.store import Store

LOG = logging.getLogger(__name__)

LogLine = Callable[[Document, str], object]
"""Takes a job's description and a line of its log."""

Keep = Callable[[Document], object]
"""Takes a job's description whenever it changes."""

STACK_ENDED = "ClientError: the local stack ended while the job was running; start it again"


class JobExists(FacetError):
    """A training job with this name exists, running or ended."""


class UnknownJob(FacetError):
    """There is no training job of that name."""


class NotRunning(FacetError):
    """The training job has ended, so that it cannot be stopped."""


class Service(Protocol):
    """The implementation of SageMaker's training API, such as `TrainingJobs`."""

    def create(self, request: Mapping[str, Any], arn: str) -> None:
        """Raises JobExists."""

    def stop(self, name: str) -> None:
        """Raises UnknownJob, NotRunning."""

    def describe(self, name: str) -> Document:
        """Raises UnknownJob."""

    def names(self) -> list[str]:
        """All jobs, the oldest first."""


class TrainingJobs:
    """Runs jobs one after another under `home`/training, with logs in `home`/logs/training.

    `known` are the descriptions of earlier jobs. Those that were still running get the status
    Failed, since the processes ended with their stack.
    """

    def __init__(
        self,
        store: Store,
        home: Path,
        *,
        known: Iterable[Document] = (),
        keep: Keep = lambda _: None,
        listener: LogLine = lambda *_: None,
        grace: float = GRACE,
    ) -> None:
        self._store = store
        self._home = home
        self._keep = keep
        self._listener = listener
        self._grace = grace
        self._lock = threading.RLock()
        self._documents: dict[str, Document] = {}
        self._jobs: dict[str, RemoteJob] = {}
        self._waiting: queue.SimpleQueue[RemoteJob | None] = queue.SimpleQueue()
        for document in known:
            self._changed(interrupted(document, STACK_ENDED))
        self._thread = threading.Thread(target=self._work, name="training", daemon=True)
        self._thread.start()

    def create(self, request: Mapping[str, Any], arn: str) -> None:
        """Queues the job of a CreateTrainingJob request. Raises JobExists."""
        name = request["TrainingJobName"]
        with self._lock:
            if name in self._documents:
                raise JobExists(f"Training job names are unique, and {name} exists already.")
            document = created(request, arn)
            self._changed(document)
            root = self._home / "training" / name
            self._jobs[name] = RemoteJob(document, self._store, root, self._grace)
        self._waiting.put(self._jobs[name])

    def stop(self, name: str) -> None:
        """Stops a job that is queued or runs. Raises UnknownJob, NotRunning."""
        with self._lock:
            document = self.describe(name)
            if document["TrainingJobStatus"] not in RUNNING:
                raise NotRunning(
                    f"The training job is {document['TrainingJobStatus']}; it cannot be stopped."
                )
            self._jobs[name].end("Stopped")
            self._changed(self._jobs[name].document)

    def describe(self, name: str) -> Document:
        """The response of DescribeTrainingJob. Raises UnknownJob."""
        if name not in self._documents:
            raise UnknownJob(f"Training job {name} does not exist.")
        return self._documents[name]

    def names(self) -> list[str]:
        """All jobs, the oldest first."""
        return list(self._documents)

    def close(self) -> None:
        """Kills the running job, without a grace period, and starts none of the queued ones."""
        with self._lock:
            for job in self._jobs.values():
                job.end("Stopped", at_once=True)
        self._waiting.put(None)
        self._thread.join()

    def _changed(self, document: Document) -> None:
        with self._lock:
            self._documents[document["TrainingJobName"]] = document
            self._keep(document)

    def _work(self) -> None:
        while job := self._waiting.get():
            document = self._run(job)
            with self._lock:
                del self._jobs[document["TrainingJobName"]]
                self._changed(document)

    def _run(self, job: RemoteJob) -> Document:
        root = self._home / "training" / job.document["TrainingJobName"]
        shutil.rmtree(root, ignore_errors=True)
        try:
            return self._run_with_log(job)
        except (FacetError, OSError, ValueError) as error:
            return ended(job.document, "Failed", "Failed", f"ClientError: {error}")
        except Exception as error:
            # A thread's outermost frame: an unexpected error must not leave the job InProgress.
            LOG.exception("training job %s", job.document["TrainingJobName"])
            return ended(job.document, "Failed", "Failed", f"InternalServerError: {error}")
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def _run_with_log(self, job: RemoteJob) -> Document:
        path = self._home / "logs" / "training" / f"{job.document['TrainingJobName']}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", buffering=1) as file:

            def log(line: str) -> None:
                file.write(f"{line}\n")
                self._listener(job.document, line)

            return job.run(LogListener(log, lambda: self._changed(job.document)))
