"""`facet up`: the stack of `make run`, from the command."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.terminal import options
from local.__main__ import DEFAULT_PORT
from tests.support.stacks import ROOT, environment


def test_it_starts_shows_the_samples_and_stops(tmp_path: Path) -> None:
    facet = [str(Path(sys.executable).with_name("facet")), "up", "--once", "--home", str(tmp_path)]
    done = subprocess.run(
        [*facet, "--parameter", "MaxImages=8"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cat" in done.stdout
    assert (tmp_path / "state").exists()
    assert not (tmp_path / "stack.json").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--parameter", "MaxImages"], "write NAME=VALUE"),
        (["--port", "70000"], "65535"),
    ],
)
def test_wrong_arguments_start_nothing(arguments: list[str], told: str) -> None:
    done = CliRunner().invoke(app, ["up", *arguments])
    assert done.exit_code == 2
    assert told in done.output


def test_it_says_the_port_that_the_stack_takes() -> None:
    assert options.THIS_PORT == DEFAULT_PORT
