"""Ends a process when its parent ends, however that happens.

The parent holds the other end of the process's standard input, so end of file means that the parent
is gone. (PR_SET_PDEATHSIG is for Linux only, and fires
when the *thread* that forked ends, which in a threaded server is at once.)
"""

import os
import signal
import threading


def exit_with_parent() -> None:
    """Kills this process group when the parent ends. Standard input is empty from now on."""
    parent = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_wait_for_end, args=(parent,), daemon=True).start()


def _wait_for_end(parent: int) -> None:
    os.read(parent, 1)
    os.killpg(0, signal.SIGKILL)
