"""local/console.py: what `make run` prints while it serves."""

import json
from typing import Any

from local.console import News
from local.moto.step_functions import Execution
from local.runtime.worker import Invocation


def said(**jobs: Any) -> tuple[News, list[str]]:
    lines: list[str] = []
    news = News(lines.append)
    news.show = jobs.get("show", True)
    return news, lines


def test_a_training_job_s_lines_have_its_model() -> None:
    news, lines = said()
    news.trained({"TrainingJobName": "j", "HyperParameters": {"model": '"cats"'}}, "epoch=1")
    news.trained({"TrainingJobName": "bare"}, "epoch=2")
    assert lines == ["cats           | epoch=1", "bare           | epoch=2"]


def test_an_execution_s_end_has_a_line_for_each_job() -> None:
    jobs = [
        {"model": "cats", "version": "0123456789ab", "outcome": "READY", "reason": "good"},
        {"model": "dogs", "outcome": "FAILED", "reason": "bad"},
    ]
    news, lines = said()
    news.executed(Execution("monday", "SUCCEEDED", {"jobs": jobs}, "", ""))
    assert lines == [
        "execution monday  SUCCEEDED",
        "cats           0123456789ab  READY  good",
        "dogs                         FAILED  bad",
    ]


def test_an_execution_that_fails_says_why() -> None:
    news, lines = said()
    news.executed(Execution("monday", "FAILED", None, "BadInput", "jobs: missing"))
    assert lines == ["execution monday  FAILED  BadInput: jobs: missing"]


def test_an_upload_s_outcome_is_a_line() -> None:
    outcome = {"model": "cats", "version": "0123456789ab", "outcome": "READY", "violations": []}
    payload = json.dumps({"outcomes": [outcome]}).encode()
    news, lines = said()
    news.invoked("OnboardFunction", Invocation(payload, None, "1", b""))
    news.invoked("OnboardFunction", Invocation(b"{}", "Unhandled", "1", b""))
    news.invoked("SweepFunction", Invocation(b"null", None, "1", b""))
    assert lines == ["cats           0123456789ab  READY"]


def test_nothing_is_said_before_it_is_wanted() -> None:
    news, lines = said(show=False)
    news.trained({"TrainingJobName": "j"}, "epoch=1")
    news.executed(Execution("monday", "SUCCEEDED", {}, "", ""))
    news.invoked("f", Invocation(b'{"outcomes": [1]}', None, "1", b""))
    assert lines == []
