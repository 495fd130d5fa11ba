"""local/console.py: what `make run` prints while it serves."""

import json

from local.console import Console
from local.moto.training.step_functions import Execution
from local.runtime.worker import Invocation


def made(*, enabled: bool = True) -> tuple[Console, list[str]]:
    lines: list[str] = []
    console = Console(lines.append)
    console.enabled = enabled
    return console, lines


def test_lines_of_a_training_job_begin_with_its_model() -> None:
    console, lines = made()
    console.trained({"TrainingJobName": "j", "HyperParameters": {"model": '"cats"'}}, "epoch=1")
    console.trained({"TrainingJobName": "bare"}, "epoch=2")
    assert lines == ["cats           | epoch=1", "bare           | epoch=2"]


def test_an_execution_prints_a_line_for_each_job() -> None:
    jobs = [
        {"model": "cats", "version": "0123456789ab", "outcome": "READY", "reason": "good"},
        {"model": "dogs", "outcome": "FAILED", "reason": "bad"},
    ]
    console, lines = made()
    console.executed(Execution("monday", "SUCCEEDED", {"jobs": jobs}, "", ""))
    assert lines == [
        "execution monday  SUCCEEDED",
        "cats           0123456789ab  READY  good",
        "dogs                         FAILED  bad",
    ]


def test_a_failed_execution_prints_its_cause() -> None:
    console, lines = made()
    console.executed(Execution("monday", "FAILED", None, "BadInput", "jobs: missing"))
    assert lines == ["execution monday  FAILED  BadInput: jobs: missing"]


def test_an_upload_prints_its_outcome() -> None:
    outcome = {"model": "cats", "version": "0123456789ab", "outcome": "READY", "violations": []}
    payload = json.dumps({"outcomes": [outcome]}).encode()
    console, lines = made()
    console.invoked("OnboardFunction", Invocation(payload, None, "1", b""))
    console.invoked("OnboardFunction", Invocation(b"{}", "Unhandled", "1", b""))
    console.invoked("SweepFunction", Invocation(b"null", None, "1", b""))
    assert lines == ["cats           0123456789ab  READY"]


def test_prints_nothing_until_it_is_enabled() -> None:
    console, lines = made(enabled=False)
    console.trained({"TrainingJobName": "j"}, "epoch=1")
    console.executed(Execution("monday", "SUCCEEDED", {}, "", ""))
    console.invoked("f", Invocation(b'{"outcomes": [1]}', None, "1", b""))
    assert lines == []
