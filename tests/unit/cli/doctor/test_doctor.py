"""`facet doctor` of this machine: every check can fail."""

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
from cli.doctor.machine import Machine, check_machine
from cli.doctor.result import State
from tests.support.processes.partly_installed import facet
from tests.unit.cli.client.test_stack import OWN

HEALTHY = Machine(
    python=(3, 12),
    which=lambda name: f"/usr/bin/{name}",
    runs=lambda _: True,
    missing_packages=lambda _: [],
    free=lambda _: 10**11,
    port_in_use=lambda _: False,
)


def test_all_checks_pass_on_a_complete_machine(tmp_path: Path) -> None:
    found = {each.check: each for each in check_machine(HEALTHY, tmp_path / "not/yet", 8000)}
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
    return {"missing_packages": lambda name: ["x>=1"] if name == extra else []}


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
        ({"port_in_use": lambda port: port == 8000}, "port", "missing", "8000", "FACET_PORT=8001"),
        (lacks("sam"), "sam", "warning", "not installed", "make build"),
        (fails("python"), "sam", "warning", "no Python 3.12", "FACET_PYTHON"),
        (lacks("docker"), "docker", "warning", "not installed", "install Docker"),
        (fails("docker"), "docker", "warning", "does not answer", "start Docker"),
        (lacks("chromium", "chromium-browser"), "chromium", "warning", "only tests", "apt-get"),
    ],
)
def test_each_problem_comes_with_a_remedy(
    tmp_path: Path, flaw: dict[str, Any], check: str, state: str, words: str, remedy: str
) -> None:
    results = check_machine(replace(HEALTHY, **flaw), tmp_path, 8000)
    (problem,) = (each for each in results if each.state is not State.OK)
    assert (problem.check, problem.state) == (check, state)
    assert words in problem.words
    assert remedy in problem.remedy


def test_reports_a_running_stack_that_does_not_answer(tmp_path: Path) -> None:
    address = {name: f"of-{name}" for name in OWN} | {"url": "http://127.0.0.1:9"}
    here = {"endpoint_url": "http://127.0.0.1:9", "region": "us-east-1", "pid": os.getpid()}
    (tmp_path / "stack.json").write_text(json.dumps(address | here))
    port_used = replace(HEALTHY, port_in_use=lambda _: True)
    found = {each.check: each for each in check_machine(port_used, tmp_path, 8000)}
    assert found["port"].words == "9, the running stack's"
    assert found["stack"].state is State.MISSING
    assert "api unknown: http://127.0.0.1:9 cannot be reached" in found["stack"].words
    assert "facet logs" in found["stack"].remedy


def test_the_wheel_checks_what_its_commands_need(tmp_path: Path) -> None:
    installed = replace(HEALTHY, checkout=False, missing_packages=lambda _: ["x>=1"])
    found = {each.check: each for each in check_machine(installed, tmp_path, 8000)}
    assert [*found] == ["python", "local stack", "stack", "tensorflow", "chart"]
    assert "from a checkout only" in found["local stack"].words
    assert found["tensorflow"].remedy == 'pip install "facet[tensorflow]"'
    assert State.MISSING not in {each.state for each in found.values()}


def test_reports_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        found = {each.check: each for each in check_machine(Machine(), tmp_path, port)}
    assert found["port"].state is State.MISSING


@pytest.mark.parametrize("port", ["99999", "api"])
def test_rejects_a_port_that_make_run_rejects(port: str) -> None:
    done = CliRunner().invoke(app, ["doctor"], env={"FACET_PORT": port})
    assert done.exit_code == 2
    assert "FACET_PORT" in done.output


def test_the_exit_code_is_1_if_something_is_missing(tmp_path: Path) -> None:
    done = facet(tmp_path / "packages", "moto", "doctor", "--home", str(tmp_path))
    assert done.returncode == 1
    assert "missing  local stack  moto==5.2.5 not installed\n" in done.stdout
    assert "→ `make run`\n" in done.stdout


def test_prints_json(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["doctor", "--json", "--home", str(tmp_path)], env={"FACET_PORT": "0"}
    )
    document = json.loads(done.stdout)
    assert done.exit_code == (0 if document["healthy"] else 1)
    assert {"check": "port", "state": "ok", "words": "0 is free", "remedy": ""} in document[
        "findings"
    ]
