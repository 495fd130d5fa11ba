"""Check this machine: Python, packages, disk and port for the local stack, and optional tools.

What only some people need (training, TensorFlow, builds, Docker, Chromium) is a warning at most.
"""

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
from cli.doctor.result import CheckResult, missing, ok, warning
from cli.status import collect
from cli.terminal.formatting import size

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
"""The Python versions that Facet runs on."""

MINIMUM_DISK, RECOMMENDED_DISK = 1_000_000_000, 5_000_000_000
"""Free bytes on disk: with less than the first the stack cannot unpack models, with less than the
second TensorFlow and a data set may not fit.
"""

TIMEOUT = 10


def _runs(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=TIMEOUT).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _port_in_use(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


@dataclass(frozen=True)
class Machine:
    """What the checks ask of the machine.

    `which` finds a program's path, `runs` says whether a command succeeds, `missing_packages` lists
    an extra's packages that are not installed, `free` gives the free bytes on a folder's disk, and
    `port_in_use` says whether something listens on a port. `checkout` says whether the command runs
    from a checkout, and so can start a stack.
    """

    python: tuple[int, int] = sys.version_info[:2]
    which: Callable[[str], str | None] = shutil.which
    runs: Callable[[Sequence[str]], bool] = _runs
    missing_packages: Callable[[str], Sequence[str]] = extras.missing
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    port_in_use: Callable[[int], bool] = _port_in_use
    checkout: bool = extras.CHECKOUT


def check_machine(machine: Machine, home: Path, port: int) -> Iterator[CheckResult]:
    """Run all checks for a stack with its state in `home` and its API on `port`.

    The wheel cannot start a stack, so there only what its commands need is checked.
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


def _python(machine: Machine) -> CheckResult:
    version = ".".join(map(str, machine.python))
    if OLDEST_PYTHON <= machine.python <= NEWEST_PYTHON:
        return ok("python", version)
    renew = (
        f"remove .venv, then {extras.make('run')}" if machine.checkout else "install Facet there"
    )
    return missing("python", version, f"install Python 3.11, 3.12 or 3.13, {renew}")


def _local(machine: Machine) -> CheckResult:
    if packages := machine.missing_packages("local"):
        words = f"{', '.join(packages)} not installed"
        return missing("local stack", words, extras.install("local"))
    return ok("local stack", "installed")


def _extra(machine: Machine, extra: str, purpose: str) -> CheckResult:
    if packages := machine.missing_packages(extra):
        words = f"{', '.join(packages)} not installed: for {purpose}"
        return warning(extra, words, extras.install(extra, machine.checkout))
    return ok(extra, "installed")


def _disk(machine: Machine, home: Path) -> CheckResult:
    folder = next(path for path in (home, *home.parents) if path.is_dir())
    free = machine.free(folder)
    words = f"{size(free)} free"
    remedy = f"make room on the disk of {folder}, or choose another with --home"
    if free < MINIMUM_DISK:
        return missing("disk", words, remedy)
    return warning("disk", words, remedy) if free < RECOMMENDED_DISK else ok("disk", words)


def _stack(machine: Machine, home: Path, port: int) -> Iterator[CheckResult]:
    """Check the running stack, or that the port is free for one."""
    try:
        running = local(home)
    except NoStack:
        yield ok("stack", f"none runs; {extras.make('run', machine.checkout)} starts one")
        if machine.checkout:
            yield _port(machine, port)
        return
    yield ok("port", f"{urlsplit(running.api_url).port}, the running stack's")
    report = collect(running)
    if report.failed:
        words = "; ".join(f"{name} {report.lines[name]}" for name in report.failed)
        yield missing("stack", words, "`facet logs`; stop it and start it again")
    else:
        yield ok("stack", f"runs, {report.lines['models']}")


def _port(machine: Machine, port: int) -> CheckResult:
    if machine.port_in_use(port):
        remedy = f"stop the program that uses it, or run `FACET_PORT={port + 1} make run`"
        return missing("port", f"{port} is in use", remedy)
    return ok("port", f"{port} is free")


def _builder(machine: Machine) -> CheckResult:
    """Check SAM and Python 3.12, the functions' runtime, which `make build` needs."""
    if not (machine.which("sam") or machine.which(str(Path(sys.executable).with_name("sam")))):
        return warning("sam", "not installed: for builds and deploys", extras.make("build"))
    if not machine.runs([str(extras.ROOT / ".ci/python"), "3.12"]):
        words = "installed, but no Python 3.12, the functions' runtime: for builds and deploys"
        return warning("sam", words, "install Python 3.12, or set FACET_PYTHON to it")
    return ok("sam", "installed, and Python 3.12")


def _docker(machine: Machine) -> CheckResult:
    if not machine.which("docker"):
        words = "not installed: only `sam local` and images built here (DOCKER=1) need it"
        return warning("docker", words, "install Docker if you need those")
    if not machine.runs(["docker", "info"]):
        return warning("docker", "installed, but does not answer", "start Docker if you need it")
    return ok("docker", "runs")


def _chromium(machine: Machine) -> CheckResult:
    if machine.which("chromium") or machine.which("chromium-browser"):
        return ok("chromium", "installed")
    return warning("chromium", "not installed: only tests need it", "apt-get install chromium")
