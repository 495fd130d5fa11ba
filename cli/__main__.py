"""Starts the program `facet`. Importing its commands takes a second, in which Ctrl-C is quiet."""

import os
import signal
import sys

INTERRUPTED = 130


def main() -> None:
    """Imports the commands, and runs the one that the command line names."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as a shell's background jobs do
    if not ignored:
        # No KeyboardInterrupt: libraries catch some of those that interrupt their imports.
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from cli.app import main as run

    if not ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
