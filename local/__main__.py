"""Facet on this machine: starts the stack, onboards the samples, predicts, serves until Ctrl-C."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from local.logs import log_to

DEFAULT_PORT = 8000
HOME = Path(__file__).resolve().parent.parent / ".facet"


def main() -> int:
    """Runs the stack; the exit code."""
    options = _options()
    port = os.environ.get("FACET_PORT") or str(DEFAULT_PORT)
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        return _fail(f"FACET_PORT must be a port number, not '{port}'.")
    return serve(options.home, int(port), once=options.once, parameters=dict(options.parameter))


def serve(home: Path, port: int, *, once: bool, parameters: Mapping[str, str]) -> int:
    """Runs the stack until a signal, or `once` the end of the tour; the exit code."""
    stop = _stop_signal()
    log_to(home / "logs")
    _say("starting the stack ...")
    from local import console  # after the line above: these imports take seconds

    try:
        console.run(home, port, stop, once=once, say=_say, parameters=parameters)
    except console.Failed as error:
        return _fail(str(error))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make run ARGS=...",
        description=__doc__,
        epilog="The environment variable FACET_PORT chooses the API's port "
        f"(default: {DEFAULT_PORT}); FACET_DATA names a folder of data sets to show images from.",
    )
    parser.add_argument("--once", action="store_true", help="stop after the predictions")
    parser.add_argument(
        "--home", type=Path, default=HOME, help="where the stack keeps its state (default: .facet)"
    )
    parser.add_argument(
        "--parameter",
        type=_parameter,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of template.yaml, for example AllowOrigin=http://localhost:3000",
    )
    return parser.parse_args()


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"write NAME=VALUE, not '{text}'")
    return name, value


def _stop_signal() -> threading.Event:
    """Set by Ctrl-C or SIGTERM; a second one ends the program at once."""
    stop = threading.Event()

    def handle(number: int, _: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    return stop


def _say(line: str) -> None:
    print(line, flush=True)


def _fail(reason: str) -> int:
    print(f"facet: {reason}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
