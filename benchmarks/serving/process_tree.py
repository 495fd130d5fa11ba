"""All processes that a server started: their memory, and ending them. Linux only."""

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
TERMINATE_TIMEOUT = 20.0
"""Seconds from SIGTERM for the server's first process to SIGKILL for all of them."""


def adopt_orphans() -> None:
    """Makes orphaned descendants children of this process, not of init.

    Multi Model Server's launcher leaves Java and its workers behind.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def descendants(root: int) -> list[int]:
    """All descendants of the process `root`."""
    children: dict[int, list[int]] = {}
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # The name, in brackets, may contain any character; state and parent follow it.
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(after_name[1]), []).append(int(folder.name))
    found = list(children.get(root, []))
    for each in found:
        found += children.get(each, [])
    return found


def pss(pids: Iterable[int]) -> int:
    """Proportional set size in bytes: pages shared by several processes are counted once in all.

    Processes that have ended count as 0.
    """
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += pss_of((PROC / str(pid) / "smaps_rollup").read_text())
    return total


def pss_of(rollup: str) -> int:
    """Bytes, from the text of a smaps_rollup; 0 if it is empty, as for a zombie."""
    lines = (line.split() for line in rollup.splitlines())
    return sum(int(fields[1]) * 1024 for fields in lines if fields[0] == "Pss:")


def end(child: "subprocess.Popen[bytes]", timeout: float = TERMINATE_TIMEOUT) -> None:
    """Sends SIGTERM to a child of this process, then SIGKILL to all its remaining descendants.

    Call `adopt_orphans` first. This process must have no other children.
    """
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout)
    while left := descendants(os.getpid()):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        time.sleep(0.01)
    child.poll()
