"""What the template passes to AWS's APIs is within their limits, with every parameter at its ends.

CloudFormation checks parameters against the template's own limits before it begins. Whatever else
an API refuses, it refuses in the middle of a deploy.
"""

import re
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.model import Shape

from tests.support.template.choosing import (
    DOCUMENT,
    ENVIRONMENTS,
    EVERYTHING,
    Chosen,
    of_environment,
)

SESSION = botocore.session.get_session()
LONGEST_STACK, LONGEST_REGION = "s" * 30, "ap-southeast-2"
"""docs/deployment.md limits the stack's name; regions of commercial partitions are no longer."""

OPERATIONS = {
    "AWS::SageMaker::Model": ("sagemaker", "CreateModel"),
    "AWS::SageMaker::EndpointConfig": ("sagemaker", "CreateEndpointConfig"),
    "AWS::SageMaker::Endpoint": ("sagemaker", "UpdateEndpoint"),
    "AWS::ApplicationAutoScaling::ScalableTarget": (
        "application-autoscaling",
        "RegisterScalableTarget",
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": ("application-autoscaling", "PutScalingPolicy"),
    "AWS::CloudWatch::Alarm": ("cloudwatch", "PutMetricAlarm"),
    "AWS::Scheduler::Schedule": ("scheduler", "CreateSchedule"),
    "AWS::Lambda::Function": ("lambda", "CreateFunction"),
    "AWS::Lambda::EventInvokeConfig": ("lambda", "PutFunctionEventInvokeConfig"),
    "AWS::Budgets::Budget": ("budgets", "CreateBudget"),
    "AWS::Logs::LogGroup": ("logs", "CreateLogGroup"),
    "AWS::ApiGateway::UsagePlan": ("apigateway", "CreateUsagePlan"),
}
"""The operation that takes a resource's properties, by their own names or with a small letter."""

ELSEWHERE = {
    "AWS::ApplicationAutoScaling::ScalableTarget.ScheduledActions": "PutScheduledAction",
    "AWS::ApplicationAutoScaling::ScalingPolicy.ScalingTargetId": "three parameters, of the target",
    "AWS::Lambda::Function.ReservedConcurrentExecutions": "PutFunctionConcurrency",
    "AWS::Logs::LogGroup.RetentionInDays": "PutRetentionPolicy",
    "AWS::Scheduler::Schedule.Name": "HoursFunctionRemove",
}
"""Properties that CloudFormation passes on in another way."""

ARNS = {
    "AWS::IAM::Role": "arn:aws:iam::123456789012:role/{name}",
    "AWS::SQS::Queue": "arn:aws:sqs:{region}:123456789012:{name}",
    "AWS::SNS::Topic": "arn:aws:sns:{region}:123456789012:{name}",
    "AWS::Lambda::Function": "arn:aws:lambda:{region}:123456789012:function:{name}",
    "AWS::Lambda::LayerVersion": "arn:aws:lambda:{region}:123456789012:layer:{name}:1",
}

JAVAS = (r"\u", r"\p{", "(?")
"""In patterns that Python does not read, because they are Java's."""


def ends(key: str) -> dict[str, str]:
    """Every number of the template's parameters at its `MinValue` or `MaxValue`."""
    return {
        name: str(each.get(key, each["Default"]))
        for name, each in DOCUMENT["Parameters"].items()
        if each["Type"] == "Number" and "AllowedValues" not in each
    }


def stack(**parameters: str) -> Chosen:
    return Chosen(stack=LONGEST_STACK, region=LONGEST_REGION, **(EVERYTHING | parameters))


STACKS = {
    **{name: of_environment(name) for name in ENVIRONMENTS},
    "everything": stack(),
    "everything-least": stack(**ends("MinValue") | {"MaxInstances": "2"}),
    "everything-most": stack(**ends("MaxValue")),
}
each_stack = pytest.mark.parametrize("chosen", STACKS.values(), ids=STACKS)


def physical(value: Any, chosen: Chosen) -> Any:
    """The value with references replaced by names and ARNs such as AWS makes."""
    match value:
        case list():
            return [physical(each, chosen) for each in value]
        case {"Ref": str(name)}:
            return _physical(name, chosen)
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return _physical(name, chosen, attribute)
        case {"Fn::Sub": [str(text), dict(values)]}:
            made = {name: str(physical(each, chosen)) for name, each in values.items()}
            return _substituted(text, chosen, made)
        case {"Fn::Sub": str(text)}:
            return _substituted(text, chosen, {})
        case dict():
            return {name: physical(each, chosen) for name, each in value.items()}
    return value


def _substituted(text: str, chosen: Chosen, values: dict[str, str]) -> str:
    return re.sub(
        r"\$\{([\w:]+)(?:\.(\w+))?\}",
        lambda found: values.get(found[1]) or _physical(found[1], chosen, found[2] or ""),
        text,
    )


def _physical(name: str, chosen: Chosen, attribute: str = "") -> str:
    each = chosen.resources[name]
    stack_name = chosen.outputs["EndpointName"]["Value"]
    generated = f"{stack_name}-{name}-1A2B3C4D5E6F"
    kind = each["Type"]
    own = each.get("Properties", {}).get("BucketName", generated)
    by_arn = attribute == "Arn" or kind in ("AWS::SNS::Topic", "AWS::Lambda::LayerVersion")
    return ARNS[kind].format(name=own, region=LONGEST_REGION) if by_arn and kind in ARNS else own


def problems(value: Any, shape: Any, place: str) -> Iterator[str]:
    """What the model of an API says against a value."""
    limits = shape.metadata
    match shape.type_name:
        case "structure":
            for name, each in value.items():
                member = shape.members.get(name) or shape.members.get(name[0].lower() + name[1:])
                if name == "Tags":
                    continue  # a list here, a map there
                if member is not None:
                    yield from problems(each, member, f"{place}.{name}")
                elif place.count(".") or f"{place}.{name}" not in ELSEWHERE:
                    yield f"{place}.{name} is no parameter"
        case "list":
            yield from _outside(len(value), limits, f"{place}, its length")
            for each in value:
                yield from problems(each, shape.member, place)
        case "map":
            for name, each in value.items():
                yield from problems(each, shape.value, f"{place}.{name}")
        case "integer" | "long" | "float" | "double":
            yield from _outside(float(value), limits, place)
        case "string":
            yield from _of_text(str(value), limits, place)


def _of_text(text: str, limits: dict[str, Any], place: str) -> Iterator[str]:
    yield from _outside(len(text), limits, f"{place}, its length")
    if "enum" in limits and text not in limits["enum"]:
        yield f"{place}: {text!r} is not one of the values"
    if not _matches(limits.get("pattern", ".*"), text):
        yield f"{place}: {text!r} does not match {limits['pattern']}"


def _matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches. A few patterns are Java's: all printable characters."""
    try:
        return re.fullmatch(pattern, text, re.DOTALL) is not None
    except re.error:
        assert any(each in pattern for each in JAVAS), pattern
        return True


def _outside(number: float, limits: dict[str, Any], place: str) -> Iterator[str]:
    if number < limits.get("min", number) or number > limits.get("max", number):
        yield f"{place}: {number} is not within {limits.get('min')} and {limits.get('max')}"


def shape_of(service: str, operation: str) -> Shape:
    found = SESSION.get_service_model(service).operation_model(operation).input_shape
    assert found is not None
    return found


def made(chosen: Chosen, kind: str) -> dict[str, Any]:
    """The properties of each resource of a type, with physical names."""
    return {
        name: physical(chosen.template["Resources"][name].get("Properties", {}), chosen)
        for name in chosen.of_type(kind)
    }


@each_stack
@pytest.mark.parametrize("kind", OPERATIONS)
def test_the_api_accepts_the_properties(kind: str, chosen: Chosen) -> None:
    shape = shape_of(*OPERATIONS[kind])
    for name, properties in made(chosen, kind).items():
        assert list(problems(properties, shape, kind)) == [], name


@pytest.mark.parametrize("name", ["everything-least", "everything-most"])
def test_the_api_accepts_scheduled_actions(name: str) -> None:
    (target,) = made(STACKS[name], "AWS::ApplicationAutoScaling::ScalableTarget").values()
    shape = shape_of("application-autoscaling", "PutScheduledAction")
    for each in target["ScheduledActions"]:
        assert list(problems(each, shape, "action")) == []


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        ({"EndpointName": "a_b"}, "does not match"),
        ({"EndpointName": "e" * 64}, "its length"),
        ({"Endpoint": "a"}, "is no parameter"),
        ({"DeploymentConfig": {"AutoRollbackConfiguration": {"Alarms": []}}}, "its length"),
        (
            {"DeploymentConfig": {"BlueGreenUpdatePolicy": {"TerminationWaitInSeconds": 3601}}},
            "is not within",
        ),
    ],
)
def test_a_value_outside_the_limits_is_noticed(properties: dict[str, Any], problem: str) -> None:
    shape = shape_of("sagemaker", "UpdateEndpoint")
    assert any(problem in each for each in problems(properties, shape, "AWS::SageMaker::Endpoint"))


def test_every_number_has_a_least_value() -> None:
    """Else the deploy that sets a negative one fails at the API that refuses it."""
    numbers = {
        name: each
        for name, each in DOCUMENT["Parameters"].items()
        if each["Type"] == "Number" and "AllowedValues" not in each
    }
    assert [name for name, each in numbers.items() if each.get("MinValue", -1) < 0] == []


@pytest.mark.parametrize(
    ("least", "most", "accepted"),
    [(1, 1, True), (2, 6, True), (8, 8, True), (9, 12, True), (2, 1, False), (3, 2, False)],
)
def test_the_minimum_number_of_instances_is_not_above_the_maximum(
    least: int, most: int, accepted: bool
) -> None:
    """RegisterScalableTarget refuses it, after the endpoint was created."""
    chosen = Chosen(InstanceCount=str(least), MaxInstances=str(most))
    assert (chosen.refusals() == []) is accepted


def test_an_update_has_time_for_its_waits() -> None:
    policy = STACKS["default"].resources["Endpoint"]["Properties"]["DeploymentConfig"][
        "BlueGreenUpdatePolicy"
    ]
    waits = policy["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"]
    assert waits + policy["TerminationWaitInSeconds"] < policy["MaximumExecutionTimeoutInSeconds"]
