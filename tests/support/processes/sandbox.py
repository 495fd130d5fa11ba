"""Runs a program as a container does: its own file system, an unprivileged user, no network."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.support.processes.waiting import LONG

UID = 999
"""The user's id in the sandbox: the first one that Debian's `useradd --system` gives."""

SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/passwd")


@cache
def missing() -> str | None:
    """Why no sandbox can be made here; None if one can."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    run = subprocess.run([*command(), "true"], capture_output=True, text=True, timeout=LONG)
    return f"bubblewrap cannot make a sandbox: {run.stderr.strip()}" if run.returncode else None


def command(*mounts: str) -> list[str]:
    """The command that runs the arguments after it in a sandbox with these mounts of bubblewrap.

    The file system is read-only and has the system's programs and this Python, the network is a
    loopback, and no capability is left. All ends with the process that starts it.
    """
    python = [sys.base_prefix] if not sys.base_prefix.startswith("/usr/") else []
    return [
        *("bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"),
        *("--uid", str(UID), "--gid", str(UID), "--cap-drop", "ALL", "--clearenv"),
        *_read_only([each for each in (*SYSTEM, *python) if Path(each).exists()]),
        *("--proc", "/proc", "--dev", "/dev", *mounts, "--remount-ro", "/"),
    ]


def _read_only(paths: Sequence[str]) -> list[str]:
    return [part for each in paths for part in ("--ro-bind", each, each)]
