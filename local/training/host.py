"""What a training host's process runs: the program, for as long as its parent lives.

Standard input is the lifeline, as in `local/runtime/bootstrap.py`: end of file means that this
process is an orphan, however its parent died.
"""

import os
import runpy
import signal
import sys
import threading


def _end_with_parent(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """`host.py PROGRAM ARGUMENT…`: runs PROGRAM as `python PROGRAM ARGUMENT…` would."""
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    sys.argv = sys.argv[1:]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error}; `make training` installs what training needs on this machine.")


if __name__ == "__main__":
    main()
