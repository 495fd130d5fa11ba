"""The process that runs models: started when one is needed, and replaced when it has ended.

A model can end the process that runs it, or never answer. The function's own process only waits: it
answers for the model, by name, and the next invocation gets a new process. The other process has no
credentials of AWS's, and cannot read this one's (`hidden.py`).
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import orjson

from infer.answers import Result
from infer.errors import ModelStopped, NotStarted

PROGRAM = ("-m", "infer.process.runner")
MAX_ANSWER = 5_000_000
"""Bytes of an answer; Lambda passes on six million, in which texts are escaped once more."""

KEPT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "POWERTOOLS_LOG_LEVEL", "TZ")
"""The function's variables that its process gets. AWS's credentials are among the others."""

READY = b"ready"
"""The process's first message, when all is imported and set."""


class ModelProcess:
    """One process at a time. For one invocation at a time."""

    def __init__(
        self, folder: Path, memory: int, files: int, program: Sequence[str] = PROGRAM
    ) -> None:
        """folder: for what it keeps on disk.  memory: bytes that it may take.  files: bytes of the
        files of loaded models.  program: what it runs, as arguments of Python.
        """
        self._folder = folder
        self._memory = memory
        self._files = files
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection
        self._ready = False

    @property
    def pid(self) -> int | None:
        """The process's id, None if there is none."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process, unless it runs. Does not wait until it is ready."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            self.close()
        self._ready = False
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", *self._program),
                    *(str(theirs.fileno()), str(self._folder)),
                    *map(str, (self._memory, self._files, os.getpid())),
                ],
                env={name: os.environ[name] for name in KEPT if name in os.environ}
                | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def ask(self, model: str, path: Path, body: bytes, request_id: str, seconds: float) -> Result:
        """Have it, when it is ready, load the model, unless it is loaded, and compute.

        Raises ModelStopped.
        """
        about = {"model": model, "path": str(path), "request_id": request_id, "seconds": seconds}
        try:
            self._connection.send_bytes(orjson.dumps(about))
            self._connection.send_bytes(body)
            if not self._connection.poll(seconds):
                self.close()
                raise ModelStopped(
                    f"Model {model} was stopped: it did not load and answer within "
                    f"{seconds:.1f} seconds, perhaps without end"
                )
            document = orjson.loads(self._connection.recv_bytes(MAX_ANSWER))
            answer = self._connection.recv_bytes(MAX_ANSWER)
            return Result(int(document["status"]), answer, document["seconds"])
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise ModelStopped(
                f"Model {model} ended the process that ran it{self._reason()}"
            ) from error

    def wait_until_ready(self, seconds: float) -> None:
        """After its start. Raises NotStarted."""
        if self._ready:
            return
        try:
            if not self._connection.poll(seconds):
                self.close()
                raise NotStarted(
                    f"The process that runs models was not ready within {seconds:.1f} seconds"
                )
            self._connection.recv_bytes(len(READY))
            self._ready = True
        except (OSError, EOFError) as error:
            raise NotStarted(
                f"The process that runs models ended before it was ready{self._reason()}. "
                "The function's log says why"
            ) from error

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._connection.close()
            self._process = None

    def _reason(self) -> str:
        """How it ended, for a message; ends it if it still runs."""
        assert self._process is not None
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            code = 0
        self.close()
        if code < 0:
            return f" (signal: {(signal.strsignal(-code) or str(-code)).lower()})"
        return f" (exit status {code})" if code else ""
