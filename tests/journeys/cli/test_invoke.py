"""`facet invoke`: the functions of the running stack, by their names in the template."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.client.stack import LOCAL_NAME
from local.stack import NAME
from tests.support.processes.waiting import LONG
from tests.support.stacks import ROOT, Running, descendants

EVENTS = ROOT / "events"


def invoke(
    stack: Running, *arguments: str | Path, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    facet = [str(Path(sys.executable).with_name("facet")), "invoke"]
    command = [*facet, *map(str, arguments), "--home", str(stack.home)]
    return subprocess.run(
        command, cwd=ROOT, input=text, capture_output=True, text=True, timeout=LONG
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


def test_a_model_in_the_function(stack: Running) -> None:
    """Its processes may die without anything else of the stack."""
    for killed in (False, True):
        if killed:
            running = [each for each in descendants(stack.process.pid) if runs_models(each)]
            assert len(running) >= 2, "the function's process, and that of the models"
            for each in running:
                os.kill(each, signal.SIGKILL)
        got = answer(invoke(stack, "InferFunction", EVENTS / "infer.json"))
        assert got["status"] == 200, got
        assert len(got["response"]["predictions"][0]) == 10
    missing = json.loads((EVENTS / "infer.json").read_text())
    missing["key"] = missing["key"].replace("cifar", "nobody")
    got = answer(
        invoke(stack, "InferFunction", "-", text=json.dumps(missing | {"sha256": "0" * 64}))
    )
    assert (got["status"], got["response"]["code"]) == (404, "lite-missing")


def runs_models(pid: int) -> bool:
    listed = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True
    )
    return "infer.app.handler" in listed.stdout or "infer.process.runner" in listed.stdout


def test_an_event_from_standard_input(stack: Running) -> None:
    text = (EVENTS / "page.json").read_text()
    got = answer(invoke(stack, "PageFunction", "-", text=text))
    assert got["statusCode"] == 200
    assert "<!doctype html>" in got["body"].lower()


def test_a_function_that_needs_no_event(stack: Running) -> None:
    assert {"handed_over", "failed"} <= answer(invoke(stack, "SweepFunction")).keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Predict"], "there is no function Predict; choose DatasetsFunction, DeleteFunction"),
        (["Bucket"], "there is no function Bucket; choose DatasetsFunction, DeleteFunction"),
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
