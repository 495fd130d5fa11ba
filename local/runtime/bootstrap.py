"""What a worker process runs: AWS's runtime client, for as long as its parent lives.

Standard input is the lifeline: its other end is held by the parent alone, so end of file means that
this process is an orphan, however its parent died. (PR_SET_PDEATHSIG is for Linux only, and fires
when the *thread* that forked ends, which in a threaded server is at once.)
"""

import os
import signal
import sys
import threading


def _end_with_parent(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()

    from awslambdaric.__main__ import main as runtime_client

    runtime_client(sys.argv)


if __name__ == "__main__":
    main()
