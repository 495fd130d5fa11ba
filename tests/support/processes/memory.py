"""Memory of this process and of others."""

import os
import subprocess


def resident(pid: int | None = None) -> int:
    """Bytes of a process's memory that are in RAM."""
    asked = ["ps", "-o", "rss=", "-p", str(pid or os.getpid())]
    return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout) << 10
