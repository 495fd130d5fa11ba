"""A server's processes, whatever it started: their memory, and their end. Linux only."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
LAST_WORDS = 20.0
"""Seconds between SIGTERM to the first process of a server and SIGKILL to all of them."""


def adopt_orphans() -> None:
    """Descendants whose parent ends become this process's children, not the system's.

    Multi Model Server's launcher leaves Java and its workers behind.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def descendants(root: int) -> list[int]:
    """The processes that `root` started, and they, and so on."""
    children: dict[int, list[int]] = {}
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # The name, in brackets, may hold anything; the state and the parent follow.
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(after_name[1]), []).append(int(folder.name))
    found = list(children.get(root, []))
    for each in found:
        found += children.get(each, [])
    return found


def pss(pids: Iterable[int]) -> int:
    """Bytes of memory in all, a page that several processes share counted once in all of them.

    Processes that have ended count nothing.
    """
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += pss_of((PROC / str(pid) / "smaps_rollup").read_text())
    return total


def pss_of(rollup: str) -> int:
    """Bytes, from the text of a smaps_rollup; 0 where it is empty, as that of a zombie is."""
    lines = (line.split() for line in rollup.splitlines())
    return sum(int(words[1]) * 1024 for words in lines if words[0] == "Pss:")


def end(child: "subprocess.Popen[bytes]", patience: float = LAST_WORDS) -> None:
    """SIGTERM to a child of this process, then SIGKILL to what it left behind.

    `adopt_orphans` must have been called, and there may be no other children.
    """
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(patience)
    while left := descendants(os.getpid()):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        time.sleep(0.01)
    child.poll()
