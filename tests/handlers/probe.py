"""Functions that the tests of the Lambda workers invoke."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

Event = dict[str, Any]

calls = 0


def echo(event: Event, context: Any) -> Event:
    return {"event": event, "request_id": context.aws_request_id}


def describe(_event: Event, context: Any) -> Event:
    """What a function can see of its surroundings."""
    global calls
    calls += 1
    return {
        "arn": context.invoked_function_arn,
        "calls": calls,
        "directory": os.getcwd(),  # noqa: PTH109
        "environment": dict(os.environ),
        "path": sys.path,
        "pid": os.getpid(),
        "remaining": context.get_remaining_time_in_millis(),
    }


def keep(event: Event, _context: Any) -> str:
    """Writes a temporary file and names it, or leaves it behind."""
    if event.get("leave"):
        os._exit(1)
    file, name = tempfile.mkstemp()
    with os.fdopen(file, "w") as opened:
        opened.write(event["text"])
    return name


def sleep(event: Event, _context: Any) -> int:
    time.sleep(event["seconds"])
    return os.getpid()


def meet(event: Event, _context: Any) -> None:
    """Waits until so many invocations are in it, each of which leaves a file in a folder."""
    folder = Path(event["folder"])
    Path(folder, str(os.getpid())).touch()
    while len(list(folder.iterdir())) < event["number"]:
        time.sleep(0.01)


def talk(event: Event, _context: Any) -> None:
    sys.stdout.write(event["say"])


def fail(_event: Event, _context: Any) -> None:
    raise ValueError("no such image")


def leave(event: Event, _context: Any) -> None:
    os._exit(event["code"])


def die(_event: Event, _context: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def answer(event: Event, _context: Any) -> str:
    return "x" * int(event["length"])


def hang(_event: Event, _context: Any) -> None:
    """Starts a child and hangs."""
    _start_child()
    time.sleep(600)


def abandon(_event: Event, _context: Any) -> None:
    """Starts a child and ends without it."""
    _start_child()
    os._exit(1)


def _start_child() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    sys.stdout.write(f"family: {os.getpid()} {child.pid}\n")
