"""A process that lives no longer than its parent.

Standard input is the lifeline: its other end is held by the parent alone, so end of file means that
this process is an orphan, however its parent died. (PR_SET_PDEATHSIG is for Linux only, and fires
when the *thread* that forked ends, which in a threaded server is at once.)
"""

import os
import signal
import threading


def exit_with_parent() -> None:
    """From now on; what the process reads from standard input is empty."""
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_wait_for_end, args=(lifeline,), daemon=True).start()


def _wait_for_end(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)
