"""`facet invoke` of a deployed stack's function (moto's, answered by the test)."""

import json
from pathlib import Path

import pytest

from local.moto.lambda_functions import invoking_functions
from local.runtime.worker import Invocation
from tests.support import deployed
from tests.support.deployed import STACK, facet

LOG = "START RequestId: 1\na line [bold]of the function's[/bold]\nEND RequestId: 1\n"
ERROR = {"errorType": "ValueError", "errorMessage": "no\nsuch thing"}


@pytest.fixture(autouse=True)
def stack(aws: None) -> None:  # noqa: ARG001
    deployed.deploy("http://127.0.0.1:9/v1", "registry")


def answered(name: str, payload: bytes) -> Invocation:
    if payload == b'"fail"':
        return Invocation(json.dumps(ERROR).encode(), "Unhandled", "1", LOG.encode())
    document = {"function": name, "event": json.loads(payload)}
    return Invocation(json.dumps(document).encode(), None, "1", LOG.encode())


def test_the_answer_and_the_tail_of_the_log() -> None:
    with invoking_functions(answered, lambda *_: None):
        done = facet("invoke", "PredictFunction", "-", stdin=b'{"caf\xc3\xa9": 1}')
        without = facet("invoke", "PredictFunction")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"function": f"{STACK}-predict", "event": {"café": 1}}
    assert "café" in done.stdout
    assert done.stderr == LOG
    assert json.loads(without.stdout)["event"] == {}


def test_a_function_that_fails(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text('"fail"')
    with invoking_functions(answered, lambda *_: None):
        failed = facet("invoke", "PredictFunction", str(event))
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert failed.stderr == f"{LOG}error: PredictFunction: ValueError: no such thing\n"


def test_a_function_that_is_not_there() -> None:
    failed = facet("invoke", "NoFunction")
    assert failed.exit_code == 1
    assert (
        failed.stderr == "error: there is no function NoFunction; choose PredictFunction. "
        "Did you mean 'PredictFunction'?\n"
    )
