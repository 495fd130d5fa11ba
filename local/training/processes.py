"""A training job's processes, one for each host: starts them, reads their lines, ends them."""

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
    """The status, other than 0, with which a host ended, and the last line that it printed.

    The status of a host that a signal ended is negative, as `subprocess` has it.
    """

    status: int
    line: str

    @property
    def code(self) -> int:
        """The exit code as containers have it: 137 after SIGKILL."""
        return self.status if self.status >= 0 else 128 - self.status

    @property
    def reason(self) -> str:
        """The last line or, if a signal ended the host, which one: then no line says why."""
        if self.status >= 0:
            return self.line
        if self.status == -signal.SIGKILL:
            return "killed (out of memory?)"
        return f"ended by {signal.Signals(-self.status).name}, after: {self.line}"


class Processes:
    """The running processes of a job. Leaving the context kills those that are left."""

    def __init__(self, job: TrainingJob, hosts: Sequence[Host], grace: float = GRACE) -> None:
        self._events: queue.SimpleQueue[tuple[int, str | int]] = queue.SimpleQueue()
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
        """Passes every line to `log` until all hosts have ended; returns the first failure.

        A host that fails ends the others, which cannot go on without it.
        """
        failure, running = None, len(self._processes)
        last = ["it printed nothing"] * running
        while running:
            host, event = self._events.get()
            if isinstance(event, str):
                last[host] = event or last[host]
                log(event)
                continue
            running -= 1
            if event and failure is None:
                failure = Failure(event, last[host])
                self.stop()
        return failure

    def stop(self) -> None:
        """Sends SIGTERM, and SIGKILL after the grace period. Further calls do nothing."""
        if self._stopping.acquire(blocking=False):
            self._signal(signal.SIGTERM)
            self._killer.start()

    def kill(self) -> None:
        """Sends SIGKILL."""
        self._signal(signal.SIGKILL)

    def _watch(self, number: int) -> None:
        """Queues a host's lines, then its status."""
        process = self._processes[number]
        reader = threading.Thread(target=self._read, args=(number,), daemon=True)
        reader.start()
        status = process.wait()
        _signal(process, signal.SIGKILL)  # its own children would keep the pipe open
        reader.join()
        self._events.put((number, status))

    def _read(self, number: int) -> None:
        for line in self._processes[number].stdout or ():
            self._events.put((number, line.rstrip()))

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
