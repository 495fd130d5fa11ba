"""A function's output: its log file, and the tail that an invocation returns."""

import os
import selectors
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

TAIL = 4096
"""Bytes of log that Lambda returns with an invocation (`X-Amz-Log-Result`)."""


class FunctionLog:
    """A function's log file, shared by its workers; whole lines, appended.

    Lines that cannot be written, because the disk is full, are left out: an invocation needs none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()
        self._lock = threading.Lock()

    def write(self, lines: bytes) -> None:
        with self._lock, suppress(OSError), self._path.open("ab") as file:
            file.write(lines)


class Output:
    """Copies a worker's standard output to the log."""

    def __init__(self, pipe: IO[bytes], log: FunctionLog) -> None:
        self._pipe = pipe
        self._log = log
        self._lock = threading.Lock()
        self._unfinished = b""
        self._tail = b""
        self._closed = False
        os.set_blocking(pipe.fileno(), False)
        self._thread = threading.Thread(target=self._pump, name="worker-output", daemon=True)
        self._thread.start()

    def begin(self, line: str) -> None:
        self._tail = b""
        self.write(line)

    def write(self, *lines: str) -> None:
        with self._lock:
            self._append("".join(f"{line}\n" for line in lines).encode())

    def end(self, *lines: str) -> bytes:
        """Reads what the worker has printed, appends `lines`, returns the tail since `begin`."""
        with self._lock:
            self._drain()
            self._append("".join(f"{line}\n" for line in lines).encode())
            return self._tail

    def close(self) -> None:
        """Reads the rest and closes the pipe; to be called after the worker has ended."""
        self._thread.join(timeout=1)
        with self._lock:
            if not self._closed:
                self._drain()
                self._closed = True
                self._pipe.close()

    def _pump(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            more = True
            while more:
                selector.select()
                with self._lock:
                    more = self._drain()

    def _drain(self) -> bool:
        """Reads the pipe; returns whether more may come.

        The runtime client separates the lines of an error by carriage returns.
        """
        while not self._closed:
            try:
                data = os.read(self._pipe.fileno(), 65536)
            except BlockingIOError:
                return True
            if not data:
                break
            lines, newline, rest = (self._unfinished + data.replace(b"\r", b"\n")).rpartition(b"\n")
            self._unfinished = rest
            self._append(lines + newline, finish=False)
        return False

    def _append(self, lines: bytes, *, finish: bool = True) -> None:
        if finish and self._unfinished:
            lines = self._unfinished + b"\n" + lines
            self._unfinished = b""
        if lines:
            self._tail = (self._tail + lines)[-TAIL:]
            self._log.write(lines)
