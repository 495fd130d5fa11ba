"""Hide the function's own process, which has AWS's credentials, from the process that runs models.

Both have the same user. Without this, code that takes over the models' process reads the other's
variables in `/proc/<pid>/environ`, or its memory.
"""

import ctypes
import sys

PR_SET_DUMPABLE = 4  # prctl(2)


def hide() -> None:
    """Let no other process of this user read this one (Linux only): ptrace(2), "Ptrace access mode
    checking". Processes that it starts begin without this.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
