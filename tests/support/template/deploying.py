"""What `make deploy` would run."""

import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

from samcli.cli.types import CfnParameterOverridesType

from tests.support.processes.waiting import LONG

ROOT = Path(__file__).parents[3]


def overrides(*words: str) -> dict[str, str]:
    """As SAM reads them."""
    found: dict[str, str] = CfnParameterOverridesType().convert(words, None, None)
    return found


def dry_run(target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `make` would run for a target."""
    venv = f"VENV={Path(sys.executable).parent}"
    return subprocess.run(
        ["make", "--dry-run", target, venv, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LONG,
    )


@cache
def planned(*arguments: str) -> list[str]:
    """The commands that `make deploy` would run after the build, one a line."""
    made = dry_run("deploy", *arguments)
    made.check_returncode()
    lines = made.stdout.replace("\\\n", " ").splitlines()
    (line,) = (each for each in lines if " sam deploy " in each)
    return line.split(" && ")


def deploy(*arguments: str) -> list[str]:
    """The words of the `sam deploy` that `make deploy` would run.

    The training code's key in it is `code`, the URI of an image to be found or built `image`.
    """
    served, _, command, *_ = planned(*arguments)
    image = "image" if "$(" in served else shlex.split(served)[0].partition("=")[2]
    words = shlex.split(command.partition(" sam deploy ")[2])
    return [each.replace("$code", "code").replace("$image", image) for each in words]


def given(words: list[str]) -> dict[str, str]:
    """The parameters of a `sam deploy`."""
    begin = words.index("--parameter-overrides") + 1
    return overrides(*words[begin:])
