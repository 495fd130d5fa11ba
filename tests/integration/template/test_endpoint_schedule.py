"""The schedule function updates the stack: it sets EndpointOn and changes nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from endpoint_schedule.app import handler
from endpoint_schedule.toggle import PARAMETER, EndpointToggle, StackBusy
from tests.support.aws import fakes
from tests.support.template import watching

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

EVENTS = Path(__file__).parents[3] / "events"
TEMPLATE = {
    "Parameters": {
        PARAMETER: watching.STACK.document["Parameters"][PARAMETER],
        "LogLevel": {"Type": "String", "Default": "INFO"},
        "InstanceType": {"Type": "String", "Default": "ml.m5.xlarge"},
    },
    "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
}
"""moto's updates ignore conditions; unit/template/test_parameters.py tests what is removed."""


@pytest.fixture
def cloudformation(aws: None) -> "CloudFormationClient":  # noqa: ARG001
    client = boto3.client("cloudformation")
    client.create_stack(
        StackName="facet",
        TemplateBody=json.dumps(TEMPLATE),
        # All but the switch: moto forgets those that have their defaults.
        Parameters=[
            {"ParameterKey": "LogLevel", "ParameterValue": "DEBUG"},
            {"ParameterKey": "InstanceType", "ParameterValue": "ml.m5.2xlarge"},
        ],
        Tags=[{"Key": "environment", "Value": "dev"}],
    )
    return client


def given(cloudformation: "CloudFormationClient") -> dict[str, str]:
    """The stack's parameters."""
    (stack,) = cloudformation.describe_stacks(StackName="facet")["Stacks"]
    return {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}


def sent(name: str) -> dict[str, Any]:
    event = json.loads((EVENTS / f"{name}.json").read_text())
    return handler(event, fakes.Context(900))  # type: ignore[arg-type]


def test_the_endpoint_is_removed_and_restored(cloudformation: "CloudFormationClient") -> None:
    assert given(cloudformation)[PARAMETER] == "true"
    assert sent("hours-off") == {"endpoint": "off", "update_begun": True}
    assert given(cloudformation)[PARAMETER] == "false"
    assert sent("hours-on") == {"endpoint": "on", "update_begun": True}
    assert given(cloudformation)[PARAMETER] == "true"


@pytest.mark.usefixtures("cloudformation")
def test_a_stack_in_the_requested_state_is_not_updated() -> None:
    assert sent("hours-on") == {"endpoint": "on", "update_begun": False}


def test_other_parameters_and_tags_are_unchanged(cloudformation: "CloudFormationClient") -> None:
    before = given(cloudformation)
    sent("hours-off")
    assert given(cloudformation) == before | {PARAMETER: "false"}
    (stack,) = cloudformation.describe_stacks(StackName="facet")["Stacks"]
    assert stack["Tags"] == [{"Key": "environment", "Value": "dev"}]


@pytest.mark.usefixtures("aws")
def test_a_missing_stack_is_an_error() -> None:
    with pytest.raises(ClientError, match="does not exist"):
        sent("hours-on")


@pytest.mark.parametrize("event", [{}, {"stack": "facet", "endpoint": "perhaps"}])
def test_an_invalid_event_is_an_error(event: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        handler(event, fakes.Context(900))  # type: ignore[arg-type]


class Changing:
    """A CloudFormation client whose stack goes through these states."""

    def __init__(self, *states: str) -> None:
        self._states: Iterator[str] = iter(states)
        self.updates = 0

    def describe_stacks(self, **_: str) -> dict[str, Any]:
        given = [{"ParameterKey": PARAMETER, "ParameterValue": "true"}]
        return {"Stacks": [{"StackStatus": next(self._states), "Parameters": given}]}

    def update_stack(self, **_: object) -> None:
        self.updates += 1


def turned_off(cloudformation: Changing, seconds: float) -> tuple[bool, list[float]]:
    """Whether an update was started, and the pauses before it in seconds; only they take time."""
    pauses: list[float] = []
    toggle = EndpointToggle(cloudformation, "facet", pauses.append)  # type: ignore[arg-type]
    return toggle.set(on=False, remaining=lambda: seconds - sum(pauses)), pauses


def test_it_waits_for_a_running_deploy() -> None:
    changing = Changing(
        "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"
    )
    begun, pauses = turned_off(changing, 900)
    assert (begun, len(pauses), changing.updates) == (True, 2, 1)


def test_it_fails_if_a_deploy_does_not_end_in_time() -> None:
    changing = Changing(*["UPDATE_IN_PROGRESS"] * 100)
    with pytest.raises(StackBusy, match="UPDATE_IN_PROGRESS"):
        turned_off(changing, 900)
    assert changing.updates == 0
