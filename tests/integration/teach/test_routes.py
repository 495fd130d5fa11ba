"""The routes of teaching, through their handler."""

import json
from functools import partial
from typing import Any

import pytest

from facet.registry.teachings import State
from teach import app
from tests.integration.teach.conftest import COLOURS, Stack, square
from tests.support import contract
from tests.support.api import Reply, call
from tests.support.aws import fakes

PATH = "/models/squares/teach"
ask = partial(call, handler=app.handler)


@pytest.fixture
def invoked(
    stack: Stack,  # noqa: ARG001
    sagemaker: fakes.SageMaker,
    monkeypatch: pytest.MonkeyPatch,
    cold_start: None,  # noqa: ARG001
) -> list[Any]:
    """The events of functions that were invoked."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", sagemaker.url)
    return sagemaker.asked


def teach(document: dict[str, Any]) -> Reply:
    contract.check_request("POST", PATH, "application/json", document)
    return ask("POST", PATH, json.dumps(document).encode(), "application/json")


def test_a_teaching_is_started_and_shown(stack: Stack, invoked: list[Any]) -> None:
    assert ask("GET", PATH).problem == (404, "unknown-teaching")
    assert teach({}).problem == (404, "unknown-dataset")
    stack.add()
    started = ask("POST", PATH)
    assert started.status == 202
    assert started.document["status"] == "RUNNING"
    assert started.document["dataset"] == "squares"
    assert started.document["backbone"] == {"model": "colours", "version": f"{1:012x}"}
    assert [event for _, event in invoked] == [
        {"model": "squares", "teaching": started.document["teaching"]}
    ]
    assert teach({}).problem == (409, "teaching-running")
    stack.work(teaching=started.document["teaching"])
    shown = ask("GET", PATH).document
    assert (shown["status"], shown["step"]) == (State.PUBLISHED, "done")
    assert shown["report"]["accuracy"] == 1.0


def test_problems_without_a_head_are_documented(stack: Stack, invoked: list[Any]) -> None:
    stack.add(labels=["red"])
    started = teach({"backbone": f"colours@{1:012x}", "min_accuracy": 0.5})
    assert invoked
    stack.work(teaching=started.document["teaching"])
    shown = ask("GET", PATH).document
    assert (shown["status"], shown["problems"][0]["code"]) == ("NOT_PUBLISHED", "few-labels")
    assert shown["report"] is None
    stack.add()
    stack.data_sets.put("squares", "blue", "copy.png", square(COLOURS["red"], 0))
    started = teach({})
    stack.work(teaching=started.document["teaching"])
    shown = ask("GET", PATH).document
    assert (shown["problems"][0]["code"], shown["report"]["skipped_images"]) == ("two-labels", 0)


def test_a_teaching_that_cannot_be_handed_over_has_failed(
    stack: Stack, sagemaker: fakes.SageMaker, invoked: list[Any]
) -> None:
    stack.add()
    sagemaker.answer = fakes.Answer(status=400, code="ResourceNotFoundException", body=b"{}")
    assert teach({}).problem == (500, "internal-error")
    assert invoked
    assert ask("GET", PATH).document["status"] == "FAILED"
    sagemaker.answer = fakes.Answer()
    assert teach({}).status == 202


@pytest.mark.parametrize(
    "document", [{"dataset": "No"}, {"min_accuracy": 2}, {"more": 1}, {"backbone": "a@b"}]
)
@pytest.mark.usefixtures("invoked")
def test_bad_requests(stack: Stack, document: dict[str, Any]) -> None:
    stack.add()
    reply = ask("POST", PATH, json.dumps(document).encode(), "application/json")
    assert reply.problem == (400, "bad-request")
    assert ask("GET", PATH).problem == (404, "unknown-teaching")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/models/😀/teach"),
        ("GET", "/datasets/😀"),
        ("GET", "/datasets/squares/more"),
        ("PUT", "/datasets/squares"),
    ],
)
@pytest.mark.usefixtures("stack")
def test_an_unknown_path_or_method_is_no_route(method: str, path: str) -> None:
    assert ask(method, path).problem == (404, "no-route")
