"""A training job's processes, one per host: their lines as they come, how they end."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from local.training.layout import PROGRAM, Host, TrainingJob, arguments, environment

GRACE = 120.0
"""Seconds between SIGTERM and SIGKILL, as SageMaker gives them.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html
"""


@dataclass(frozen=True)
class Failure:
    """A host that ended with a status other than 0, and the last line that it printed."""

    status: int
    line: str


class Processes:
    """The running hosts of a job. Leaving the context kills what is left of them."""

    def __init__(self, job: TrainingJob, hosts: Sequence[Host], grace: float = GRACE) -> None:
        self._told: queue.SimpleQueue[tuple[int, str | int]] = queue.SimpleQueue()
        self._stopping = threading.Lock()
        self._killer = threading.Timer(grace, self.kill)
        self._killer.daemon = True
        self._processes = [_start(job, host) for host in hosts]
        self._threads = [
            threading.Thread(target=self._watch, args=(number,), name=job.name, daemon=True)
            for number in range(len(hosts))
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._killer.cancel()
        self.kill()
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()

    def wait(self, log: Callable[[str], None]) -> Failure | None:
        """Hands every line to `log` until all hosts have ended; the first failure.

        A host that fails ends the others, which could not go on without it.
        """
        failure, running = None, len(self._processes)
        last = ["it said nothing"] * running
        while running:
            host, told = self._told.get()
            if isinstance(told, str):
                last[host] = told or last[host]
                log(told)
                continue
            running -= 1
            if told and failure is None:
                failure = Failure(told, last[host])
                self.stop()
        return failure

    def stop(self) -> None:
        """Asks them to end, and makes them after the grace period. May be called again."""
        if self._stopping.acquire(blocking=False):
            self._signal(signal.SIGTERM)
            self._killer.start()

    def kill(self) -> None:
        """Ends them at once."""
        self._signal(signal.SIGKILL)

    def _watch(self, number: int) -> None:
        """A host's lines, then its status."""
        process = self._processes[number]
        reader = threading.Thread(target=self._read, args=(number,), daemon=True)
        reader.start()
        status = process.wait()
        _signal(process, signal.SIGKILL)  # what it left behind would keep the pipe open
        reader.join()
        self._told.put((number, status))

    def _read(self, number: int) -> None:
        for line in self._processes[number].stdout or ():
            self._told.put((number, line.rstrip()))

    def _signal(self, kind: signal.Signals) -> None:
        for process in self._processes:
            if process.poll() is None:
                _signal(process, kind)


def _start(job: TrainingJob, host: Host) -> subprocess.Popen[str]:
    bootstrap = str(Path(__file__).with_name("host.py"))
    return subprocess.Popen(
        [sys.executable, "-P", bootstrap, PROGRAM, *arguments(job.hyperparameters)],
        cwd=host.root / "code",
        env=environment(job, host),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def _signal(process: subprocess.Popen[str], kind: signal.Signals) -> None:
    # Nothing may be left of a group whose leader has gone; macOS calls that "not permitted".
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, kind)
