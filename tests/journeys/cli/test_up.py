"""`facet up`: its arguments, and that parameters reach the template."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from tests.support.processes.waiting import LONG
from tests.support.stacks import ROOT, environment


def test_once_shows_the_samples_and_stops(tmp_path: Path) -> None:
    facet = [str(Path(sys.executable).with_name("facet")), "up", "--once", "--home", str(tmp_path)]
    done = subprocess.run(
        [*facet, "--parameter", "MaxImages=8", "--parameter", "EndpointOn=false"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cat" in done.stdout, "the samples run in the function"
    assert not (tmp_path / "logs/facet.log").exists(), "there is no container"
    assert (tmp_path / "state").exists()
    assert not (tmp_path / "stack.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parameter", "MaxImages"], "write NAME=VALUE"),
        (["--port", "70000"], "65535"),
    ],
)
def test_rejects_wrong_arguments(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["up", *arguments])
    assert done.exit_code == 2
    assert message in done.output
