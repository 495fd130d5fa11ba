"""Updates of the endpoint: what starts one, and which alarms take it back."""

import re
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.support.template.choosing import DOCUMENT, Chosen, applies, many, statements

DEFAULT = Chosen()
NEWEST = "EndpointConfig.EndpointConfigName"
LONGEST_NAMES = {"facet": "s" * 30, NEWEST: "c" * 63}
"""docs/deployment.md limits the stack's name, SageMaker its own names."""

OTHER_VALUES = {"MaxInstances": "1", "InstanceCount": "2"}
"""For each parameter that the endpoint depends on: a value with which it is another one."""

SWITCHES = {"EndpointOn"}
"""Parameters that remove it."""


def endpoint(chosen: Chosen = DEFAULT) -> dict[str, Any]:
    (found,) = chosen.of_type("AWS::SageMaker::Endpoint").values()
    return found


def updaters(chosen: Chosen = DEFAULT) -> dict[str, dict[str, Any]]:
    """The alarms that take an update of the endpoint back, by their logical ids."""
    rollback = endpoint(chosen)["DeploymentConfig"]["AutoRollbackConfiguration"]
    alarms = chosen.of_type("AWS::CloudWatch::Alarm")
    return {each["AlarmName"]: alarms[each["AlarmName"]] for each in rollback["Alarms"]}


def parameters_of(value: Any) -> set[str]:
    """The parameters that a part of the template depends on, by itself or by a condition."""
    if isinstance(value, list):
        return set().union(*map(parameters_of, value))
    if not isinstance(value, dict):
        return set()
    found = parameters_of(list(value.values()))
    if value.get("Ref") in DOCUMENT["Parameters"]:
        found.add(value["Ref"])
    conditions = [value.get("Condition"), value.get("Fn::If", [None])[0]]
    for name in filter(None, conditions):
        found |= parameters_of(DOCUMENT["Conditions"][name])
    return found


@pytest.mark.parametrize("name", sorted(updaters()))
def test_an_update_is_judged_by_the_new_fleet_alone(name: str) -> None:
    """An alarm on both fleets would take back the very deploy that repairs the endpoint:
    docs.aws.amazon.com/sagemaker, "Auto-Rollback Configuration and Monitoring"."""
    alarm = updaters()[name]
    assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == {
        "EndpointName": endpoint()["EndpointName"],
        "VariantName": "AllTraffic",
        "EndpointConfigName": endpoint()["EndpointConfigName"],
    }
    assert endpoint()["EndpointConfigName"] == NEWEST
    assert alarm["TreatMissingData"] == "notBreaching", "nothing is measured before it has traffic"


@pytest.mark.parametrize("name", sorted(updaters()))
def test_a_new_configuration_has_alarms_of_its_own(name: str) -> None:
    """A changed alarm keeps its state until it is evaluated again: PutMetricAlarm's page."""
    named = updaters()[name]["AlarmName"]
    assert named.startswith("facet-update-")
    assert NEWEST in named
    for short, long in LONGEST_NAMES.items():
        named = named.replace(short, long)
    assert len(named) <= 255


@pytest.mark.parametrize("name", sorted(updaters()))
def test_an_alarm_of_updates_rings_before_the_old_fleet_is_gone(name: str) -> None:
    alarm = updaters()[name]
    policy = endpoint()["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    baking = policy["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"]
    assert alarm["Period"] * alarm["EvaluationPeriods"] < baking


@pytest.mark.parametrize("name", sorted(updaters()))
def test_the_same_metric_notifies_the_operators_whatever_the_fleet(name: str) -> None:
    """So the alarm of updates need not notify them a second time."""
    alarm = updaters()[name]
    compared = ("MetricName", "Statistic", "ExtendedStatistic", "Threshold", "Period")
    same = [
        each
        for each in DEFAULT.of_type("AWS::CloudWatch::Alarm").values()
        if all(each.get(key) == alarm.get(key) for key in compared) and each is not alarm
    ]
    assert [each["AlarmActions"] for each in same] == [["AlarmTopic"]]
    assert not {"AlarmActions", "OKActions"} & alarm.keys()


def test_the_endpoints_role_may_describe_these_alarms() -> None:
    """ "Ensure that your IAM execution role has permission to perform cloudwatch:DescribeAlarms on
    the auto-rollback alarms": the same page."""
    (policy,) = DEFAULT.resources["EndpointRole"]["Properties"]["Policies"]
    allowing = [
        each
        for each in statements(policy["PolicyDocument"])
        if "cloudwatch:DescribeAlarms" in many(each["Action"])
    ]
    for alarm in updaters().values():
        arn = f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{alarm['AlarmName']}"
        assert [each["Effect"] for each in allowing] == ["Allow"]
        assert applies(allowing[0], "cloudwatch:DescribeAlarms", arn)
    others = f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:another-{NEWEST}"
    assert not applies(allowing[0], "cloudwatch:DescribeAlarms", others)


def replaced(kind: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether CloudFormation replaces a resource, by its schema's `createOnlyProperties`."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    fixed = [each.removeprefix("/properties/") for each in schema["createOnlyProperties"]]
    return any(before.get(name) != after.get(name) for name in fixed)


def replaces_the_configuration(before: Chosen, after: Chosen) -> bool:
    """Whether the endpoint gets another configuration. Its model is part of it."""
    return any(
        replaced(kind, *(each.of_type(kind)[name] for each in (before, after)))
        for name, kind in (
            ("EndpointConfig", "AWS::SageMaker::EndpointConfig"),
            ("MultiModel", "AWS::SageMaker::Model"),
        )
    )


def test_whatever_updates_the_endpoint_gives_it_another_configuration() -> None:
    """Else the alarms of the update would watch the old fleet too, and SageMaker asks for it:
    "To update an endpoint, you must create a new EndpointConfig" (UpdateEndpoint)."""
    assert parameters_of(DOCUMENT["Resources"]["Endpoint"]) == OTHER_VALUES.keys() | SWITCHES
    for name, value in OTHER_VALUES.items():
        changed = Chosen(**{name: value})
        assert endpoint(changed) != endpoint(), name
        assert replaces_the_configuration(DEFAULT, changed), name


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"InstanceType": "ml.m5.2xlarge"}),
        ({}, {"ServingImageUri": "1.dkr.ecr.x/a:1"}),
        ({}, {"MaxInstances": "1"}),
        ({"MaxInstances": "1"}, {"MaxInstances": "1", "InstanceType": "ml.m5.2xlarge"}),
        (
            {"MaxInstances": "1", "InstanceType": "ml.m5.2xlarge"},
            {"MaxInstances": "2", "InstanceType": "ml.m5.2xlarge"},
        ),
    ],
    ids=["larger", "another-image", "scaling-off", "larger-without-scaling", "scaling-on"],
)
def test_each_deploy_of_the_runbook_that_repairs_the_endpoint_starts_a_new_fleet(
    before: dict[str, str], after: dict[str, str]
) -> None:
    assert replaces_the_configuration(Chosen(**before), Chosen(**after))


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("EndpointScaling", "Endpoint"),
        ("ScaleWithTraffic", "EndpointScaling"),
        ("ScaleWithLoading", "EndpointScaling"),
        ("LoadingWaitAlarm", "ScaleWithLoading"),
        ("Endpoint", "UpdateErrorsAlarm"),
        ("Endpoint", "UpdateLatencyAlarm"),
        ("Endpoint", "EndpointConfig"),
        ("UpdateErrorsAlarm", "EndpointConfig"),
        ("UpdateLatencyAlarm", "EndpointConfig"),
        ("EndpointConfig", "MultiModel"),
    ],
)
def test_cloudformation_makes_one_after_the_other_and_deletes_it_before(
    name: str, first: str
) -> None:
    """Its order is that of references and DependsOn."""
    made = DEFAULT.template["Resources"][name]
    assert first in many(made.get("DependsOn", [])) or first in referred(made)


def referred(value: Any) -> set[str]:
    """The resources that a part of the template refers to."""
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return {name}
        case {"Fn::Sub": str(text)}:
            return set(re.findall(r"\$\{(\w+)", text))
        case dict():
            return referred(list(value.values()))
        case list():
            return set().union(*map(referred, value))
    return set()
