"""All processes that a server started: memory, processor time, ending them. Linux only."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Memory:
    """Bytes. pss: pages that several processes share are counted once in all.

    private: what was written to and belongs to one process, so that it cannot be evicted; pages of
    files that are mapped are not among it.
    """

    pss: int
    private: int

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.pss + other.pss, self.private + other.private)


def memory(pids: Iterable[int]) -> Memory:
    """The memory of all these processes; those that have ended count as 0."""
    total = Memory(0, 0)
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += memory_of((PROC / str(pid) / "smaps_rollup").read_text())
    return total


def memory_of(rollup: str) -> Memory:
    """From the text of a smaps_rollup; nothing if it is empty, as for a zombie."""
    fields = (line.split() for line in rollup.splitlines())
    sizes = {each[0]: int(each[1]) * 1024 for each in fields if each[-1] == "kB"}
    return Memory(sizes.get("Pss:", 0), sizes.get("Private_Dirty:", 0))


def processor_seconds(pids: Iterable[int]) -> float:
    """Processor time of these processes and of their children that have ended."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            after_name = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, after_name[11:15]))  # utime, stime, cutime, cstime
    return ticks / os.sysconf("SC_CLK_TCK")


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
