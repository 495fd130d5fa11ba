"""The endpoint is removed and comes back while clients ask: the function answers meanwhile."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from local.moto.aws import client
from tests.journeys.conftest import CLASSIFIERS, http
from tests.support.inputs import artifacts
from tests.support.processes.waiting import LONG, wait_until
from tests.support.stacks import ROOT, RUN, Reached, Running

IMAGE = artifacts.encoded()
ENOUGH = 20
"""Answers in each state of the endpoint."""


@dataclass
class Load:
    """Predictions of the samples, one after the other in each of two threads."""

    there: Reached
    statuses: Counter[int] = field(default_factory=Counter)
    ended: threading.Event = field(default_factory=threading.Event)
    bodies: list[str] = field(default_factory=list)

    def run(self) -> None:
        with http(self.there) as api:
            while not self.ended.is_set():
                for model in CLASSIFIERS:
                    answer = api.post(f"/models/{model}/predict", content=IMAGE)
                    self.statuses[answer.status_code] += 1
                    if answer.status_code != 200:
                        self.bodies.append(answer.text)

    def wait_for_more(self) -> None:
        """Until so many requests were answered that began after this call."""
        wanted = self.statuses.total() + 2 + ENOUGH
        wait_until(lambda: self.statuses.total() >= wanted)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.run) for _ in range(2)]
        for each in threads:
            each.start()
        try:
            yield
        finally:
            self.ended.set()
            for each in threads:
                each.join()


@dataclass
class Switch:
    """The endpoint, as SageMaker's API removes it and creates it."""

    sagemaker: Any
    address: Any

    def __post_init__(self) -> None:
        name = self.address.endpoint
        self.config = self.sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]

    def off(self) -> None:
        self.sagemaker.delete_endpoint(EndpointName=self.address.endpoint)

    def on(self) -> None:
        name = self.address.endpoint
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=self.config)

    def invocations(self) -> int:
        """How often it was invoked so far."""
        url = f"{self.address.sagemaker_runtime_url}/metrics"
        metrics = httpx.get(url, timeout=LONG).json()
        found: int = metrics[self.address.endpoint]["Invocations"]["SampleCount"]
        return found


@pytest.fixture
def switch(stack: Running) -> Iterator[Switch]:
    """The endpoint of the shared stack, which is there again after the test."""
    sagemaker = client("sagemaker", stack.address)
    found = Switch(sagemaker, stack.address)
    yield found
    if not sagemaker.list_endpoints()["Endpoints"]:
        found.on()
    sagemaker.close()


def test_every_request_is_answered_while_the_endpoint_goes_and_comes(
    switch: Switch, reached: Reached
) -> None:
    load = Load(reached)
    with load.running():
        for _ in range(2):
            load.wait_for_more()
            before = switch.invocations()
            assert before, "the endpoint answers while it is there"
            switch.off()
            load.wait_for_more()
            gone = switch.invocations()
            load.wait_for_more()
            assert switch.invocations() == gone, "the function answers without it"
            switch.on()
            wait_until(lambda: switch.invocations() > gone)  # noqa: B023
    assert set(load.statuses) == {200}, load.bodies[:3]


def ran_in(api: httpx.Client, model: str) -> str:
    """Where a prediction ran."""
    answer = api.post(f"/models/{model}/predict", content=IMAGE)
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Facet-Ran-In"]


def sweep(stack: Running) -> None:
    """One run of the sweeper. That of its schedule may have come before."""
    functions = client("lambda", stack.address)
    names = [each["FunctionName"] for each in functions.list_functions()["Functions"]]
    (name,) = [each for each in names if "SweepFunction" in each]
    assert "FunctionError" not in functions.invoke(FunctionName=name, Payload=b"{}")


def test_an_upload_runs_in_the_function_until_the_endpoint_is_back_and_has_proven_it(
    switch: Switch, reached: Reached, api: httpx.Client, stack: Running
) -> None:
    model = f"{RUN}-nightly"
    data = (ROOT / "samples/cifar.tar.gz").read_bytes()
    switch.off()
    reached.s3.put_object(Bucket=reached.bucket, Key=f"mme/{model}.tar.gz", Body=data)
    wait_until(lambda: api.get(f"/models/{model}").json().get("live"))
    assert ran_in(api, model) == "function"
    switch.on()
    sweep(stack)
    wait_until(lambda: ran_in(api, model) == "endpoint")
