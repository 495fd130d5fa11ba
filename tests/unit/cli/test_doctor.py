"""`facet doctor` of this machine: every check is seen to fail."""

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.doctor.finding import State
from cli.doctor.machine import Machine, examine
from tests.support.partly_installed import facet
from tests.unit.cli.test_stack import OWN

SOUND = Machine(
    python=(3, 12),
    which=lambda name: f"/usr/bin/{name}",
    runs=lambda _: True,
    lacking=lambda _: [],
    free=lambda _: 10**11,
    taken=lambda _: False,
)


def test_a_sound_machine(tmp_path: Path) -> None:
    found = {each.check: each for each in examine(SOUND, tmp_path / "not/yet", 8000)}
    assert {each.state for each in found.values()} == {State.OK}
    assert [*found] == [
        *("python", "local stack", "disk", "stack", "port", "training", "tensorflow", "sam"),
        *("docker", "chromium"),
    ]


def lacks(*names: str) -> dict[str, Any]:
    def which(name: str) -> str | None:
        return None if Path(name).name in names else f"/usr/bin/{name}"

    return {"which": which}


def fails(program: str) -> dict[str, Any]:
    def runs(command: Sequence[str]) -> bool:
        return Path(command[0]).name != program

    return {"runs": runs}


def without(extra: str) -> dict[str, Any]:
    return {"lacking": lambda asked: ["x>=1"] if asked == extra else []}


@pytest.mark.parametrize(
    ("flaw", "check", "state", "words", "remedy"),
    [
        ({"python": (3, 10)}, "python", "missing", "3.10", "3.11, 3.12 or 3.13"),
        ({"python": (3, 14)}, "python", "missing", "3.14", "3.11, 3.12 or 3.13"),
        (without("local"), "local stack", "missing", "x>=1 not installed", "make run"),
        (without("training"), "training", "warning", "x>=1 not installed", "make training"),
        (without("tensorflow"), "tensorflow", "warning", "x>=1 not installed", "make tensorflow"),
        ({"free": lambda _: 10**8}, "disk", "missing", "100 MB free", "make room"),
        ({"free": lambda _: 3 * 10**9}, "disk", "warning", "3.0 GB free", "make room"),
        ({"taken": lambda port: port == 8000}, "port", "missing", "8000", "FACET_PORT=8001"),
        (lacks("sam"), "sam", "warning", "not installed", "make build"),
        (fails("python"), "sam", "warning", "no Python 3.12", "FACET_PYTHON"),
        (lacks("docker"), "docker", "warning", "not installed", "install Docker"),
        (fails("docker"), "docker", "warning", "does not answer", "start Docker"),
        (lacks("chromium", "chromium-browser"), "chromium", "warning", "only tests", "apt-get"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(
    tmp_path: Path, flaw: dict[str, Any], check: str, state: str, words: str, remedy: str
) -> None:
    found = examine(replace(SOUND, **flaw), tmp_path, 8000)
    (wrong,) = (each for each in found if each.state is not State.OK)
    assert (wrong.check, wrong.state) == (check, state)
    assert words in wrong.words
    assert remedy in wrong.remedy


def test_a_stack_that_runs_and_does_not_answer(tmp_path: Path) -> None:
    address = {name: f"of-{name}" for name in OWN} | {"url": "http://127.0.0.1:9"}
    here = {"endpoint_url": "http://127.0.0.1:9", "region": "us-east-1", "pid": os.getpid()}
    (tmp_path / "stack.json").write_text(json.dumps(address | here))
    taken = replace(SOUND, taken=lambda _: True)
    found = {each.check: each for each in examine(taken, tmp_path, 8000)}
    assert found["port"].words == "9, the running stack's"
    assert found["stack"].state is State.MISSING
    assert "api unknown: http://127.0.0.1:9 cannot be reached" in found["stack"].words
    assert "facet logs" in found["stack"].remedy


def test_the_wheel_checks_what_its_commands_need(tmp_path: Path) -> None:
    installed = replace(SOUND, checkout=False, lacking=lambda _: ["x>=1"])
    found = {each.check: each for each in examine(installed, tmp_path, 8000)}
    assert [*found] == ["python", "local stack", "stack", "tensorflow", "chart"]
    assert "from a checkout only" in found["local stack"].words
    assert found["tensorflow"].remedy == 'pip install "facet[tensorflow]"'
    assert State.MISSING not in {each.state for each in found.values()}


def test_a_port_that_something_listens_on(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        found = {each.check: each for each in examine(Machine(), tmp_path, port)}
    assert found["port"].state is State.MISSING


@pytest.mark.parametrize("port", ["99999", "api"])
def test_a_port_that_make_run_would_not_take(port: str) -> None:
    done = CliRunner().invoke(app, ["doctor"], env={"FACET_PORT": port})
    assert done.exit_code == 2
    assert "FACET_PORT" in done.output


def test_the_command_on_a_machine_that_lacks_something(tmp_path: Path) -> None:
    done = facet(tmp_path / "packages", "moto", "doctor", "--home", str(tmp_path))
    assert done.returncode == 1
    assert "missing  local stack  moto==5.2.5 not installed\n" in done.stdout
    assert "→ `make run`\n" in done.stdout


def test_for_programs(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["doctor", "--json", "--home", str(tmp_path)], env={"FACET_PORT": "0"}
    )
    document = json.loads(done.stdout)
    assert done.exit_code == (0 if document["healthy"] else 1)
    assert {"check": "port", "state": "ok", "words": "0 is free", "remedy": ""} in document[
        "findings"
    ]
