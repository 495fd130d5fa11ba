"""`facet verify --hours` and `--update` on a fake endpoint: what they find, and how they end."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import urllib3

from cli.verify.check import Finding, NotTried, State
from cli.verify.checks.endpoint import hours, update
from cli.verify.checks.versions import cold_load
from cli.verify.checks.wordings import model_error, no_artifact
from cli.verify.session import Session
from tests.support.verifying import SAMPLE, refused, session

GONE = b'{"type": "urn:facet:problem:no-endpoint"}'
LABEL = {"label": SAMPLE.golden.label, "score": SAMPLE.golden.score}
ANSWER = json.dumps({"version": "0" * 12, "predictions": [LABEL]}).encode()


class Cloud:
    """An account with one endpoint.

    `happens` is called at each look at the endpoint, with the number of looks so far. `events` are
    the hours function's, `updates` the configurations that the endpoint was moved to.
    """

    def __init__(self, happens: Callable[["Cloud", int], object] = lambda *_: None) -> None:
        self.exists = True
        self.config = "original"
        self.status = "InService"
        self.reason = ""
        self.configs = {"original": {"ProductionVariants": [{"VariantName": "AllTraffic"}]}}
        self.events: list[tuple[str, str]] = []
        self.updates: list[str] = []
        self.looks = 0
        self.happens = happens

    def describe_endpoint(self, **_: Any) -> Any:
        self.looks += 1
        self.happens(self, self.looks)
        if not self.exists:
            raise refused("ValidationException", 'Could not find endpoint "facet"')
        described = {"EndpointStatus": self.status, "EndpointConfigName": self.config}
        return described | ({"FailureReason": self.reason} if self.reason else {})

    def describe_endpoint_config(self, **named: Any) -> Any:
        return self.configs[named["EndpointConfigName"]] | {"EndpointConfigArn": "arn"}

    def create_endpoint_config(self, EndpointConfigName: str, **more: Any) -> None:  # noqa: N803
        self.configs[EndpointConfigName] = more

    def delete_endpoint_config(self, EndpointConfigName: str) -> None:  # noqa: N803
        assert EndpointConfigName != self.config, "it is in use"
        del self.configs[EndpointConfigName]

    def update_endpoint(self, **given: Any) -> None:
        assert given["RetainDeploymentConfig"]
        assert given["RetainAllVariantProperties"]
        assert self.status == "InService", "an update is under way"
        self.updates.append(given["EndpointConfigName"])
        self.config = given["EndpointConfigName"]

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> Any:
        function = {
            "LogicalResourceId": "HoursFunction",
            "PhysicalResourceId": "facet-hours",
            "ResourceType": "AWS::Lambda::Function",
        }
        return [{"StackResourceSummaries": [function]}]

    def describe_stacks(self, **_: Any) -> Any:
        return {"Stacks": [{"StackStatus": "UPDATE_COMPLETE"}]}

    def invoke(self, FunctionName: str, Payload: bytes, InvocationType: str) -> Any:  # noqa: N803
        assert FunctionName == "facet-hours"
        event = json.loads(Payload)
        assert event["stack"] == "facet"
        self.events.append((event["endpoint"], InvocationType))
        self.exists = event["endpoint"] == "on"
        return {}


class Callers(urllib3.PoolManager):
    """What callers of the API get: an answer while the endpoint exists."""

    def __init__(
        self, cloud: Cloud, fails: bool = False, without: bytes = GONE, place: str = ""
    ) -> None:
        super().__init__()
        self.cloud, self.fails, self.without, self.place = cloud, fails, without, place

    def request(self, *_: Any, **__: Any) -> Any:
        if self.cloud.exists and not self.fails:
            return urllib3.HTTPResponse(ANSWER, status=200)
        if self.place and not self.cloud.exists:
            return urllib3.HTTPResponse(ANSWER, {"X-Facet-Ran-In": self.place}, status=200)
        status = 502 if self.cloud.exists else 503
        return urllib3.HTTPResponse(self.without, status=status)


def of(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, **callers: Any) -> Session:
    """A session whose sample is READY."""
    services = dict.fromkeys(("sagemaker", "cloudformation", "lambda"), cloud)
    own = session(services, pool=Callers(cloud, **callers))
    monkeypatch.setattr(own, "ready", lambda: None)
    return own


def only(findings: list[Finding]) -> Finding:
    (found,) = findings
    return found


@pytest.mark.parametrize("check", [hours, update])
def test_the_stack_of_this_machine_cannot_do_it(check: Any, tmp_path: Path) -> None:
    assert only(check.findings(session(home=tmp_path))).state is State.NOT_TRIED


def test_the_schedule_removes_and_restores(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud()
    found = only(hours.findings(of(cloud, monkeypatch)))
    assert found.state is State.SEEN, found.found
    assert cloud.events == [("off", "RequestResponse"), ("on", "RequestResponse")]
    assert cloud.exists


def test_a_function_may_answer_without_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    found = only(hours.findings(of(Cloud(), monkeypatch, place="function")))
    assert found.state is State.SEEN, found.found
    assert "the function answered" in found.found


def test_an_endpoint_that_was_removed_cannot_have_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    found = only(hours.findings(of(Cloud(), monkeypatch, place="endpoint")))
    assert found.state is State.DIFFERENT


@pytest.mark.parametrize("check", [update, cold_load, model_error, no_artifact])
def test_what_needs_an_endpoint_is_not_tried_without_one(check: Any) -> None:
    own = session()
    own.stack = replace(own.stack, endpoint_on=False)
    (found,) = check.findings(own)
    assert (found.state, "EndpointOn=false" in found.found) == (State.NOT_TRIED, True)


def test_another_answer_without_the_endpoint_is_different(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud()
    own = of(cloud, monkeypatch, without=b'{"type": "urn:facet:problem:internal-error"}')
    found = only(hours.findings(own))
    assert found.state is State.DIFFERENT
    assert "without the endpoint predictions answer 503" in found.found
    assert cloud.events[-1] == ("on", "Event"), "it is restored in any case"


def test_an_interruption_restores_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud()
    own = of(cloud, monkeypatch)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    cloud.happens = interrupted
    with pytest.raises(KeyboardInterrupt):
        hours.findings(own)
    assert cloud.events == [("off", "RequestResponse"), ("on", "Event")]


def test_without_a_schedule_it_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud()
    monkeypatch.setattr(cloud, "paginate", lambda **_: [{"StackResourceSummaries": []}])
    found = only(hours.findings(of(cloud, monkeypatch)))
    assert found.state is State.NOT_TRIED
    assert "RemoveAt" in found.found


def test_an_update_moves_to_a_copy_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(cloud: Cloud, look: int) -> None:
        cloud.status = "Updating" if cloud.updates and look % 3 else "InService"

    cloud = Cloud(slow)
    own = of(cloud, monkeypatch)
    found = only(update.findings(own))
    assert found.state is State.SEEN, found.found
    assert cloud.updates == [own.name("config"), "original"]
    assert cloud.configs.keys() == {"original"}
    assert cloud.config == "original"


def test_an_interrupted_update_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(cloud: Cloud, _: int) -> None:
        cloud.status = "Updating" if cloud.updates and cloud.looks < 5 else "InService"
        if cloud.status == "Updating" and cloud.looks == 3:
            raise KeyboardInterrupt

    cloud = Cloud(interrupted)
    with pytest.raises(KeyboardInterrupt):
        update.findings(of(cloud, monkeypatch))
    assert cloud.updates[1:] == ["original"]
    assert cloud.configs.keys() == {"original"}


def test_an_update_that_is_rolled_back_is_different(monkeypatch: pytest.MonkeyPatch) -> None:
    def back(cloud: Cloud, _: int) -> None:
        if cloud.updates:
            cloud.config, cloud.reason = "original", "alarm facet-endpoint-errors is in ALARM"

    cloud = Cloud(back)
    found = only(update.findings(of(cloud, monkeypatch)))
    assert found.state is State.DIFFERENT
    assert "it is on original again: alarm facet-endpoint-errors is in ALARM" in found.found
    assert len(cloud.updates) == 1, "there is nothing to go back from"
    assert cloud.configs.keys() == {"original"}


def test_failed_predictions_of_an_update_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud()
    found = only(update.findings(of(cloud, monkeypatch, fails=True)))
    assert found.state is State.DIFFERENT
    assert found.found.startswith("1 of 1 predictions failed, first 502")
    assert cloud.config == "original"


def test_what_could_not_be_undone_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud()
    own = of(cloud, monkeypatch)
    said: list[str] = []
    monkeypatch.setattr(own, "remark", said.append)

    def stuck(cloud: Cloud, _: int) -> None:
        cloud.status = "Failed" if cloud.updates else "InService"

    cloud.happens = stuck
    monkeypatch.setattr(own, "pause", interrupted)
    found = only(update.findings(own))
    assert found.state is State.DIFFERENT
    assert found.found == "the endpoint is Failed"
    assert "--endpoint-name facet --endpoint-config-name original" in said[-1]


def interrupted(*_: Any) -> None:
    raise NotTried("it was interrupted")
