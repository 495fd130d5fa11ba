"""What the stack on this machine needs: to run, and for what not everybody does."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cli import extras
from cli.client.stack import NoStack, local
from cli.doctor.finding import Finding, missing, ok, warning
from cli.status import examine as look
from cli.terminal.formatting import size

OLDEST, NEWEST = (3, 11), (3, 13)
"""Of the Pythons that Facet runs on."""

LITTLE, MORE = 1_000_000_000, 5_000_000_000
"""Bytes on disk: below the one the stack can hardly unpack models, below the other TensorFlow and a
data set may not fit.
"""

SECONDS = 10


def _runs(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _taken(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


@dataclass(frozen=True)
class Machine:
    """This one, as the checks see it.

    `which` is where a program is, `runs` whether a command ends well, `lacking` what of an extra is
    not installed, `free` the bytes left on a folder's disk, `taken` whether something listens on a
    port, `checkout` whether the command runs from a checkout, and so can start a stack.
    """

    python: tuple[int, int] = sys.version_info[:2]
    which: Callable[[str], str | None] = shutil.which
    runs: Callable[[Sequence[str]], bool] = _runs
    lacking: Callable[[str], Sequence[str]] = extras.missing
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    taken: Callable[[int], bool] = _taken
    checkout: bool = extras.CHECKOUT


def examine(machine: Machine, home: Path, port: int) -> Iterator[Finding]:
    """Check what the stack with its state in `home` and its API on `port` needs.

    The wheel cannot start one, so there only what its commands need is checked.
    """
    yield _python(machine)
    if not machine.checkout:
        yield ok("local stack", f"starts from a checkout only: {extras.CLONE}")
        yield from _stack(machine, home, port)
        yield _extra(machine, "tensorflow", "`facet pack` and CIFAR-10")
        yield _extra(machine, "chart", "`facet cost --chart`")
        return
    yield _local(machine)
    yield _disk(machine, home)
    yield from _stack(machine, home, port)
    yield _extra(machine, "training", "training jobs")
    yield _extra(machine, "tensorflow", "models without LiteRT and `facet pack`")
    yield _builder(machine)
    yield _docker(machine)
    yield _chromium(machine)


def _python(machine: Machine) -> Finding:
    version = ".".join(map(str, machine.python))
    if OLDEST <= machine.python <= NEWEST:
        return ok("python", version)
    renew = (
        f"remove .venv, then {extras.make('run')}" if machine.checkout else "install Facet there"
    )
    return missing("python", version, f"install Python 3.11, 3.12 or 3.13, {renew}")


def _local(machine: Machine) -> Finding:
    if gone := machine.lacking("local"):
        words = f"{', '.join(gone)} not installed"
        return missing("local stack", words, extras.install("local"))
    return ok("local stack", "installed")


def _extra(machine: Machine, extra: str, purpose: str) -> Finding:
    if gone := machine.lacking(extra):
        remedy = extras.install(extra, machine.checkout)
        return warning(extra, f"{', '.join(gone)} not installed: for {purpose}", remedy)
    return ok(extra, "installed")


def _disk(machine: Machine, home: Path) -> Finding:
    there = next(each for each in (home, *home.parents) if each.is_dir())
    free = machine.free(there)
    words = f"{size(free)} free"
    remedy = f"make room on the disk of {there}, or choose another with --home"
    if free < LITTLE:
        return missing("disk", words, remedy)
    return warning("disk", words, remedy) if free < MORE else ok("disk", words)


def _stack(machine: Machine, home: Path, port: int) -> Iterator[Finding]:
    """Whether one runs, and its port is free where none does."""
    try:
        running = local(home)
    except NoStack:
        yield ok("stack", f"none runs; {extras.make('run', machine.checkout)} starts one")
        if machine.checkout:
            yield _port(machine, port)
        return
    yield ok("port", f"{urlsplit(running.api_url).port}, the running stack's")
    found = look(running)
    if found.wrong:
        words = "; ".join(f"{each} {found.lines[each]}" for each in found.wrong)
        yield missing("stack", words, "`facet logs`; stop it and start it again")
    else:
        yield ok("stack", f"runs, {found.lines['models']}")


def _port(machine: Machine, port: int) -> Finding:
    if machine.taken(port):
        remedy = f"stop what listens there, or FACET_PORT={port + 1} make run"
        return missing("port", f"{port} is taken", remedy)
    return ok("port", f"{port} is free")


def _builder(machine: Machine) -> Finding:
    """`make build` wants SAM, and the functions' own Python."""
    if not (machine.which("sam") or machine.which(str(Path(sys.executable).with_name("sam")))):
        return warning("sam", "not installed: for builds and deploys", extras.make("build"))
    if not machine.runs([str(extras.ROOT / ".ci/python"), "3.12"]):
        words = "installed, but no Python 3.12, the functions' own: for builds and deploys"
        return warning("sam", words, "install Python 3.12, or set FACET_PYTHON to it")
    return ok("sam", "installed, and Python 3.12")


def _docker(machine: Machine) -> Finding:
    if not machine.which("docker"):
        words = "not installed: only `sam local` and serving/Dockerfile want it"
        return warning("docker", words, "install Docker, if you want those")
    if not machine.runs(["docker", "info"]):
        return warning("docker", "installed, but does not answer", "start Docker, if you want it")
    return ok("docker", "runs")


def _chromium(machine: Machine) -> Finding:
    if machine.which("chromium") or machine.which("chromium-browser"):
        return ok("chromium", "installed")
    return warning("chromium", "not installed: only tests want it", "apt-get install chromium")
