"""What `make deploy` would run."""

import shlex
import subprocess
import sys
from pathlib import Path

from samcli.cli.types import CfnParameterOverridesType

ROOT = Path(__file__).parents[2]


def overrides(*words: str) -> dict[str, str]:
    """As SAM reads them."""
    found: dict[str, str] = CfnParameterOverridesType().convert(words, None, None)
    return found


def deploy(*arguments: str) -> list[str]:
    """The words of the `sam deploy` that `make deploy` would run."""
    venv = f"VENV={Path(sys.executable).parent}"
    made = subprocess.run(
        ["make", "--dry-run", "deploy", venv, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    _, _, command = made.stdout.replace("\\\n", " ").partition(" sam deploy ")
    return shlex.split(command.partition("&&")[0])


def given(words: list[str]) -> dict[str, str]:
    """The parameters of a `sam deploy`; the training code's key is `code`."""
    begin = words.index("--parameter-overrides") + 1
    return overrides("TrainingCode=code", *words[begin + 1 :])
