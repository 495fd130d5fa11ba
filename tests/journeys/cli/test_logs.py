"""`facet logs` of the running stack."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx

from cli.client.stack import LOCAL_NAME
from tests.support.processes.waiting import LONG
from tests.support.stacks import ROOT, Running

FACET = str(Path(sys.executable).with_name("facet"))
IMAGE = (ROOT / "samples/images/cifar/cat-chelsea.jpg").read_bytes()


def logs(stack: Running, *arguments: str) -> list[dict[str, Any]]:
    command = [FACET, "logs", "--json", "--home", str(stack.home), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def asked(api: httpx.Client) -> str:
    """The id of a prediction."""
    answer = api.post("/models/cifar/predict", content=IMAGE)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-amzn-RequestId"]


def test_the_endpoint_is_called_as_the_stack(stack: Running) -> None:
    """So its log is found when no stack runs."""
    assert stack.address.endpoint == LOCAL_NAME


def test_a_request_is_found_by_its_id(stack: Running, api: httpx.Client) -> None:
    (found,) = logs(stack, "--request", asked(api))
    assert (found["source"], found["Predictions"]) == ("PredictFunction", [1.0])


def test_invocations_have_their_times_and_the_endpoint_has_a_log(
    stack: Running, api: httpx.Client
) -> None:
    asked(api)
    starts = [each for each in logs(stack) if each.get("message", "").startswith("START ")]
    assert starts
    assert all(each["message"].endswith(each["time"]) for each in starts)
    whole = logs(stack, "endpoint", "--since", "1d")  # it was loaded when the tests began
    assert any("loaded model" in each["message"] for each in whole)
    assert logs(stack, "PageFunction", "--since", "0s") == []


def test_it_follows_until_it_is_interrupted(stack: Running, api: httpx.Client) -> None:
    command = [FACET, "logs", "--follow", "--home", str(stack.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout
        stuck = threading.Timer(LONG, following.kill)
        stuck.start()
        for _ in range(2):
            request = asked(api)
            assert any(request in line for line in following.stdout)
        following.send_signal(signal.SIGINT)
        assert following.wait(LONG) == 130
        stuck.cancel()
