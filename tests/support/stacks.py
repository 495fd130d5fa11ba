"""Running stacks: local ones, as `make run` starts them, and the deployed one of FACET_STACK."""

import os
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facet.stack import Address
from tests.support.processes.waiting import LONG, wait_until

ROOT = Path(__file__).parents[2]
PRINTED = "printed.txt"

DEPLOYED = os.environ.get("FACET_STACK")
"""The name of the deployed stack that is tested instead of one on this machine."""

ONBOARDING_SECONDS = 900 if DEPLOYED else LONG

RUN = f"journey-{secrets.token_hex(3)}"
"""A prefix of model names, since a deployed stack has models of its own."""


def descendants(pid: int) -> list[int]:
    """The ids of a process's descendants."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    found, new = [], [pid]
    while new:
        new = [child for child, parent in pairs if parent in new]
        found += new
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return state.stdout.strip()[:1] not in ("", "Z")


@dataclass(frozen=True)
class Reached:
    """A stack as its clients see it; `options` select it for the command line."""

    url: str
    api_key: str
    bucket: str
    s3: Any
    options: tuple[str, str]

    def delete(self, *prefixes: str) -> None:
        """Deletes objects, since a deployed stack outlives the tests."""
        for prefix in prefixes:
            listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
            for each in listed.get("Contents", []):
                self.s3.delete_object(Bucket=self.bucket, Key=each["Key"])


@dataclass
class Running:
    """A running `facet up`: its process, and the folder of its state.

    It prints into a file there. With a pipe that nobody reads it would stop when that is full.
    """

    process: subprocess.Popen[bytes]
    home: Path

    @property
    def printed(self) -> list[str]:
        """The lines that it printed."""
        return (self.home / PRINTED).read_text().splitlines()

    @property
    def serves(self) -> bool:
        """Whether its start is over."""
        return any(line.startswith("serving until") for line in self.printed)

    @property
    def address(self) -> Address:
        """What stack.json says."""
        return Address.read(self.home)

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Ends it and returns its exit code. Fails if a process that it started is left."""
        started = descendants(self.process.pid)
        assert started, "a running stack has processes of its own"
        self.process.send_signal(how)
        code = self.process.wait(LONG)
        wait_until(lambda: not any(map(alive, started)))
        return code


def environment(**more: str) -> dict[str, str]:
    """Environment variables for `facet up`: no real data, a free port."""
    plain = {name: value for name, value in os.environ.items() if name != "FACET_DATA"}
    return plain | {"FACET_PORT": "0"} | more


def command(home: Path, *arguments: str) -> list[str]:
    """What `make run` executes."""
    facet = Path(sys.executable).with_name("facet")
    return [str(facet), "up", "--home", str(home), *arguments]


def start(home: Path, *arguments: str, **more: str) -> Running:
    """Starts a stack in a folder and waits until it serves.

    `arguments` are those of `facet up`, `more` are environment variables.
    """
    with (home / PRINTED).open("wb") as output:
        process = subprocess.Popen(
            command(home, *arguments),
            cwd=ROOT,
            env=environment(**more),
            stdout=output,
            stderr=output,
        )
    running = Running(process, home)
    wait_until(lambda: running.serves or process.poll() is not None)
    assert running.serves, "\n".join(running.printed)
    return running
