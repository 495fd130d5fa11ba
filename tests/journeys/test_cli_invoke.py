"""`facet invoke`: the functions of the running stack, by their names in the template."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.client.stack import LOCAL_NAME
from local.stack import NAME
from tests.support.stacks import ROOT, Running

EVENTS = ROOT / "events"


def invoke(
    stack: Running, *arguments: str | Path, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    facet = [str(Path(sys.executable).with_name("facet")), "invoke"]
    command = [*facet, *map(str, arguments), "--home", str(stack.home)]
    return subprocess.run(
        command, cwd=ROOT, input=text, capture_output=True, text=True, timeout=120
    )


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_local_stack_is_called_so() -> None:
    assert LOCAL_NAME == NAME


@pytest.mark.parametrize("name", ["predict-raw", "predict-json", "model", "inference-json"])
def test_events_of_the_api(stack: Running, name: str) -> None:
    got = answer(invoke(stack, "PredictFunction", EVENTS / f"{name}.json"))
    assert got["statusCode"] == 200
    assert "cifar" in got["body"]


def test_an_event_from_standard_input(stack: Running) -> None:
    text = (EVENTS / "page.json").read_text()
    got = answer(invoke(stack, "PageFunction", "-", text=text))
    assert got["statusCode"] == 200
    assert "<!doctype html>" in got["body"].lower()


def test_a_function_that_needs_no_event(stack: Running) -> None:
    assert not any(answer(invoke(stack, "SweepFunction")).values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Predict"], "there is no function Predict; choose DeleteFunction, OnboardFunction"),
        (["Bucket"], "there is no function Bucket; choose DeleteFunction, OnboardFunction"),
        (["PageFunction", "no-such-file.json"], "no-such-file.json: No such file"),
        (["PageFunction", "README.md"], "README.md is not JSON"),
        (["PageFunction"], "PageFunction: KeyError"),
    ],
)
def test_errors_are_one_line(stack: Running, arguments: list[str], message: str) -> None:
    done = invoke(stack, *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    *log, line = done.stderr.splitlines()
    assert bool(log) is ("KeyError" in message)
    assert line.startswith("error: ")
    assert message in line
