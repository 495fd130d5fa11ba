"""Runs the stack: for `facet up` (`make run`) until Ctrl-C, for `facet train --up` while it trains.

A start prints the address, then onboards the samples, then shows what they answer for the sample
images (local/demo.py), then prints what happens (local/console.py).
"""

import atexit
import gc
import logging
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from cli.client import stack as running_stack
from local.console import Console, Print, curl
from local.demo import Demo, NotAnswered, SampleImage, artifacts, images, model_of, version_of
from local.moto.aws import NONE
from local.stack import AlreadyRunning, Listeners, Stack

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
SAMPLES = ROOT / "samples"

OPEN_FILES = 8192


def serve(home: Path, port: int, *, once: bool, parameters: Mapping[str, str] = NONE) -> None:
    """Runs the stack with its state in `home` until SIGINT or SIGTERM.

    With `once` it stops after the predictions. `parameters` are the template's. Raises
    AlreadyRunning, PortTaken, UnsupportedTemplate, DemoFailed, ApiUnreachable.
    """
    start = time.monotonic()
    stop = _stop_signal()
    log_to(home / "logs")
    _end_quickly()
    _allow_open_files()
    console = Console(_print)
    listeners = Listeners(console.invoked, console.trained, console.executed)
    with Stack(TEMPLATE, home, port, parameters=parameters, listeners=listeners) as stack:
        logs = os.path.relpath(home / "logs")
        _print(f"started in {time.monotonic() - start:.1f} s; the logs are in {logs}")
        address = stack.address
        _print(f"\nAPI      {address.url}\nAPI key  {address.api_key}")
        _print(f"Page     {address.url}/#key={address.api_key}\n")
        demo = Demo(running_stack.local(home))
        if image := _show_samples(demo, stop, _print, endpoint=address.endpoint_on):
            _print(f"\n{curl(address, image)}")
        if not once and not stop.is_set():
            console.enabled = True
            _print("\nserving until Ctrl-C ...")
            stop.wait()
        _print("stopping ...")


@contextmanager
def running(home: Path, say: Print) -> Iterator[None]:
    """Runs a stack with its state in `home` for the block, unless one runs there already.

    Raises UnsupportedTemplate.
    """
    log_to(home / "logs")
    _end_quickly()
    _allow_open_files()
    with ExitStack() as stacks:
        try:
            stack = stacks.enter_context(Stack(TEMPLATE, home))
        except AlreadyRunning:
            pass
        else:
            say(f"started a stack at {stack.address.url}")
        yield


def log_to(folder: Path) -> None:
    """Logs everything to `stack.log` in a folder, and warnings of the stack on the screen, too.

    Lines that cannot be written, because the disk is full, are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    logging.raiseExceptions = False
    logging.basicConfig(filename=folder / "stack.log", level=logging.INFO)
    screen = logging.StreamHandler()
    screen.setLevel(logging.WARNING)
    screen.setFormatter(logging.Formatter("facet: %(message)s"))
    logging.getLogger("local").addHandler(screen)


def _allow_open_files() -> None:
    """Raises the number of files and connections that may be open; often it is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard), hard))


def _end_quickly() -> None:
    """Spares the interpreter's end a search through all of moto's objects, which takes seconds."""
    atexit.register(gc.freeze)


def _show_samples(
    demo: Demo, stop: threading.Event, say: Print, *, endpoint: bool
) -> SampleImage | None:
    """Onboards the samples, then classifies their images; returns the first image.

    Without an endpoint, versions of an earlier start may need one until the sweeper has run.
    """
    for artifact in artifacts(SAMPLES):
        if not demo.has(artifact):
            demo.onboard(artifact)
        say(f"{model_of(artifact):14} {version_of(artifact)}  READY")
    say("")
    first: SampleImage | None = None
    for image in images(SAMPLES):
        if stop.is_set():
            break
        first = first or image
        try:
            answer = demo.predict(image)
        except NotAnswered as error:
            if endpoint:
                raise
            say(f"{error}")
            continue
        say(f"{image.name:50} → {answer.label:12} {answer.score:.3f} {answer.milliseconds:7.1f} ms")
    return first


def _stop_signal() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set; a second signal ends the program at once."""
    stop = threading.Event()

    def handle(number: int, _: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    return stop


def _print(line: str) -> None:
    print(line, flush=True)
