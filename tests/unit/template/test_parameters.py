"""The template with different parameters: which resources it creates, and that they fit."""

from itertools import pairwise
from typing import Any

import pytest

from tests.support.template.choosing import DOCUMENT, Chosen

SUBNETS = {"SubnetIds": "subnet-0a1b,subnet-2c3d", "SecurityGroupIds": "sg-0a1b"}
NIGHT, MORNING = "cron(0 20 ? * MON-FRI *)", "cron(40 6 ? * MON-FRI *)"
QUIET = {"ScaleDownAt": NIGHT, "ScaleUpAt": MORNING}
AWAY = {"RemoveAt": NIGHT, "RestoreAt": MORNING, "TimeZone": "Europe/Berlin"}
KEY = "arn:aws:kms:us-east-1:123456789012:key/0a1b"
CHOICES: dict[str, dict[str, str]] = {
    "defaults": {},
    "no-endpoint": {"EndpointOn": "false"},
    "unmonitored": {"MonitoringOn": "false"},
    "idle": {"EndpointOn": "false", "MonitoringOn": "false"},
    "unscaled": {"MaxInstances": "1"},
    "quiet": QUIET,
    "away": AWAY,
    "vpc": SUBNETS,
    "key": {"KmsKeyArn": KEY},
    "captured": {"CapturePercent": "10"},
    "api-logs": {"ApiLogs": "write"},
    "api-logs-and-role": {"ApiLogs": "set-role-and-write"},
    "mailed": {"AlarmEmail": "a@example.com", "MonthlyBudget": "200"},
    "bounded": {"OnboardConcurrency": "5", "PredictConcurrency": "50"},
    "own-images": {"ServingImageUri": "1.dkr.ecr.x/a:1", "TrainingImageUri": "1.dkr.ecr.x/b:1"},
    "all": QUIET
    | AWAY
    | SUBNETS
    | {
        "KmsKeyArn": KEY,
        "CapturePercent": "10",
        "ApiLogs": "set-role-and-write",
        "AlarmEmail": "a@example.com",
        "MonthlyBudget": "200",
        "AllowOrigin": "*",
        "NotificationTopicArn": "arn:aws:sns:us-east-1:123456789012:t",
    },
    "all-but-the-endpoint": QUIET | AWAY | SUBNETS | {"KmsKeyArn": KEY, "EndpointOn": "false"},
}
SERVING = {"Endpoint", "EndpointScaling", "ScaleWithTraffic", "ScaleWithLoading"}
choice = pytest.mark.parametrize("parameters", CHOICES.values(), ids=CHOICES)
DEFAULT = Chosen()


def endpoint(**parameters: str) -> dict[str, Any]:
    (found,) = Chosen(**parameters).of_type("AWS::SageMaker::Endpoint").values()
    return found


@choice
def test_nothing_refers_to_a_resource_that_is_not_created(parameters: dict[str, str]) -> None:
    chosen = Chosen(**parameters)
    assert chosen.missing() == set()
    assert chosen.refusals() == []


@choice
def test_bucket_and_registry_outlive_the_stack(parameters: dict[str, str]) -> None:
    chosen = Chosen(**parameters)
    for name, policy in (("Bucket", "RetainExceptOnCreate"), ("Registry", "Retain")):
        assert chosen.resources[name]["DeletionPolicy"] == policy
        assert chosen.resources[name]["UpdateReplacePolicy"] == "Retain"
    assert chosen.resources["Registry"]["Properties"]["DeletionProtectionEnabled"] is True


@choice
def test_no_lifecycle_rule_expires_models(parameters: dict[str, str]) -> None:
    bucket = Chosen(**parameters).resources["Bucket"]["Properties"]
    rules = bucket["LifecycleConfiguration"]["Rules"]
    over_models = [
        each
        for each in rules
        if "mme/x".startswith(each.get("Prefix", "")) or each.get("Prefix", "").startswith("mme/")
    ]
    assert over_models
    for each in over_models:
        assert each.keys() <= {"Id", "Status", "AbortIncompleteMultipartUpload"}
    expiring = {each["Prefix"] for each in rules if "ExpirationInDays" in each}
    assert expiring == {"inbox/", "rejected/", "training/", "captured/", "features/"}


@pytest.mark.parametrize(
    "parameters",
    [
        {"RemoveAt": NIGHT},
        {"RestoreAt": MORNING},
        {"ScaleDownAt": NIGHT},
        {"ScaleUpAt": MORNING},
        {"SubnetIds": "subnet-0a1b"},
        {"SecurityGroupIds": "sg-0a1b"},
        {"MonthlyBudget": "100"},
    ],
    ids=lambda each: next(iter(each)),
)
def test_parameters_that_depend_on_each_other_must_be_set_together(
    parameters: dict[str, str],
) -> None:
    (message,) = Chosen(**parameters).refusals()
    assert next(iter(parameters)) in message


def test_every_parameter_is_described_and_in_one_group() -> None:
    groups = DOCUMENT["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(DOCUMENT["Parameters"])
    for name, each in DOCUMENT["Parameters"].items():
        assert each["Description"].endswith("."), name
        assert "Default" in each, name
        bounded = {"AllowedValues", "AllowedPattern", "MinValue"} & each.keys()
        assert bounded or each["Type"] == "Number" or name.endswith(("ImageUri", "Type")), name


# --- endpoint ---------------------------------------------------------------------------------


def test_the_schedule_removes_only_the_endpoint_and_its_scaling() -> None:
    there, without = Chosen(**AWAY), Chosen(**AWAY, EndpointOn="false")
    assert there.resources.keys() - without.resources.keys() == SERVING
    assert without.resources.keys() <= there.resources.keys()
    changed = {name for name, each in without.resources.items() if each != there.resources[name]}
    assert changed == {"LoadingWaitAlarm"}, "the schedule function may change no more"


def test_without_a_schedule_the_endpoints_alarms_go_with_it() -> None:
    """CloudWatch bills alarms by the month, whether or not their metrics have data."""
    without = Chosen(EndpointOn="false")
    gone = DEFAULT.resources.keys() - without.resources.keys()
    alarms = gone - SERVING
    assert without.resources == {
        name: each for name, each in DEFAULT.resources.items() if name not in gone
    }
    of_endpoint = {
        name
        for name, each in DEFAULT.of_type("AWS::CloudWatch::Alarm").items()
        if any(pair["Name"] == "EndpointName" for pair in each.get("Dimensions", []))
    }
    assert alarms == of_endpoint


@pytest.mark.parametrize(
    ("on", "kept"),
    [("true", {"LoadingWaitAlarm", "UpdateErrorsAlarm", "UpdateLatencyAlarm"}), ("false", set())],
)
def test_without_monitoring_only_the_alarms_are_kept_that_the_endpoint_acts_on(
    on: str, kept: set[str]
) -> None:
    quiet = Chosen(MonitoringOn="false", EndpointOn=on)
    assert quiet.of_type("AWS::CloudWatch::Alarm").keys() == kept
    assert not quiet.of_type("AWS::CloudWatch::Dashboard")
    assert "DashboardName" not in quiet.outputs


def test_functions_get_the_endpoints_name() -> None:
    name = endpoint()["EndpointName"]
    for each in DEFAULT.of_type("AWS::Lambda::Function").values():
        assert each["Environment"]["Variables"]["FACET_ENDPOINT"] == name
    assert DEFAULT.outputs["EndpointName"]["Value"] == name


def test_the_endpoint_is_scaled_between_the_two_counts() -> None:
    chosen = Chosen(InstanceCount="2", MaxInstances="6", InvocationsPerInstance="90")
    (target,) = chosen.of_type("AWS::ApplicationAutoScaling::ScalableTarget").values()
    variants = chosen.resources["EndpointConfig"]["Properties"]["ProductionVariants"]
    place = f"endpoint/{endpoint()['EndpointName']}/variant/{variants[0]['VariantName']}"
    assert target["ResourceId"] == place
    assert (target["MinCapacity"], target["MaxCapacity"]) == ("2", "6")
    policies = chosen.of_type("AWS::ApplicationAutoScaling::ScalingPolicy")
    tracking = policies["ScaleWithTraffic"]["TargetTrackingScalingPolicyConfiguration"]
    metric = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert metric == "SageMakerVariantInvocationsPerInstance"
    assert tracking["TargetValue"] == "90"
    assert {each["ScalingTargetId"] for each in policies.values()} == {"EndpointScaling"}


def test_the_endpoint_also_scales_out_when_requests_wait_for_models() -> None:
    alarm = DEFAULT.resources["LoadingWaitAlarm"]["Properties"]
    assert alarm["AlarmActions"] == ["AlarmTopic", "ScaleWithLoading"]
    policy = DEFAULT.resources["ScaleWithLoading"]["Properties"]
    steps = policy["StepScalingPolicyConfiguration"]["StepAdjustments"]
    assert steps[0]["MetricIntervalLowerBound"] == 0, "from the alarm's threshold on"
    assert "MetricIntervalUpperBound" not in steps[-1]
    for before, after in pairwise(steps):
        assert before["MetricIntervalUpperBound"] == after["MetricIntervalLowerBound"]
        assert 0 < before["ScalingAdjustment"] < after["ScalingAdjustment"]
    assert Chosen(MaxInstances="1").resources["LoadingWaitAlarm"]["Properties"]["AlarmActions"] == [
        "AlarmTopic"
    ]


def test_a_deploy_keeps_the_number_of_instances_only_with_scaling() -> None:
    assert endpoint()["RetainAllVariantProperties"] is True
    assert endpoint(MaxInstances="1")["RetainAllVariantProperties"] is False


def test_scheduled_actions_scale_down_and_up() -> None:
    chosen = Chosen(**QUIET, TimeZone="Asia/Tokyo", InstanceCount="2", MaxInstances="4")
    down, up = chosen.resources["EndpointScaling"]["Properties"]["ScheduledActions"]
    assert (down["Schedule"], up["Schedule"]) == (NIGHT, MORNING)
    assert {down["Timezone"], up["Timezone"]} == {"Asia/Tokyo"}
    assert down["ScalableTargetAction"] == {"MinCapacity": 1, "MaxCapacity": 1}
    assert up["ScalableTargetAction"] == {"MinCapacity": "2", "MaxCapacity": "4"}
    assert "ScheduledActions" not in DEFAULT.resources["EndpointScaling"]["Properties"]


def test_the_container_has_no_network_by_default() -> None:
    assert DEFAULT.resources["MultiModel"]["Properties"]["EnableNetworkIsolation"] == "true"
    connected = Chosen(NetworkIsolation="false").resources["MultiModel"]["Properties"]
    assert connected["EnableNetworkIsolation"] == "false"


def test_requests_are_captured_only_with_capture_percent() -> None:
    assert "DataCaptureConfig" not in DEFAULT.resources["EndpointConfig"]["Properties"]
    capture = Chosen(CapturePercent="5").resources["EndpointConfig"]["Properties"][
        "DataCaptureConfig"
    ]
    assert capture["InitialSamplingPercentage"] == "5"
    assert capture["DestinationS3Uri"] == "s3://Bucket/captured/"


# --- hours ------------------------------------------------------------------------------------


def test_schedules_remove_and_restore_this_stacks_endpoint() -> None:
    chosen = Chosen(**AWAY)
    schedules = chosen.of_type("AWS::Scheduler::Schedule").values()
    assert {
        (each["ScheduleExpression"], each["Target"]["Input"], each["ScheduleExpressionTimezone"])
        for each in schedules
    } == {
        (NIGHT, _input("off"), "Europe/Berlin"),
        (MORNING, _input("on"), "Europe/Berlin"),
    }
    assert {each["Target"]["Arn"] for each in schedules} == {"HoursFunction.Arn"}


def _input(state: str) -> str:
    stack = "arn:aws:cloudformation:us-east-1:123456789012:stack/facet/1"
    return f'{{"stack":"{stack}","endpoint":"{state}"}}'


def test_the_schedule_function_exists_only_with_a_schedule() -> None:
    added = Chosen(**AWAY).resources.keys() - DEFAULT.resources.keys()
    assert added
    assert all(name.startswith("Hours") or name == "WhatTheUpdateDoes" for name in added)


# --- logs, traces, dead letters, network ------------------------------------------------------


@choice
def test_every_log_group_has_a_retention_period(parameters: dict[str, str]) -> None:
    chosen = Chosen(**parameters, LogDays="7")
    groups = chosen.of_type("AWS::Logs::LogGroup")
    functions = chosen.of_type("AWS::Lambda::Function")
    used = [each["LoggingConfig"]["LogGroup"] for each in functions.values()]
    assert len(set(used)) == len(functions)
    assert set(used) <= groups.keys()
    assert {each["RetentionInDays"] for each in groups.values()} == {"7"}
    assert f"/aws/sagemaker/Endpoints/{endpoint()['EndpointName']}" in {
        each["LogGroupName"] for each in groups.values()
    }


@choice
def test_everything_is_traced(parameters: dict[str, str]) -> None:
    chosen = Chosen(**parameters)
    for each in chosen.of_type("AWS::Lambda::Function").values():
        assert each["TracingConfig"] == {"Mode": "Active"}
    for each in chosen.of_type("AWS::StepFunctions::StateMachine").values():
        assert each["TracingConfiguration"] == {"Enabled": True}
    for each in chosen.of_type("AWS::ApiGateway::Stage").values():
        assert each["TracingEnabled"] is True


def test_the_state_machine_logs_errors_without_their_data() -> None:
    (machine,) = DEFAULT.of_type("AWS::StepFunctions::StateMachine").values()
    logging = machine["LoggingConfiguration"]
    assert (logging["Level"], logging["IncludeExecutionData"]) == ("ERROR", False)


def test_the_api_writes_an_access_log_only_with_api_logs() -> None:
    (stage,) = DEFAULT.of_type("AWS::ApiGateway::Stage").values()
    assert "AccessLogSetting" not in stage
    for how, roles in (("write", 0), ("set-role-and-write", 1)):
        chosen = Chosen(ApiLogs=how)
        (stage,) = chosen.of_type("AWS::ApiGateway::Stage").values()
        assert stage["AccessLogSetting"]["DestinationArn"] == "ApiAccessLog.Arn"
        accounts = chosen.of_type("AWS::ApiGateway::Account")
        assert len(accounts) == roles
        for name in accounts:
            assert chosen.resources[name]["DeletionPolicy"] == "Retain", "it is not ours alone"
            (api,) = (chosen.resources[each] for each in chosen.of_type("AWS::ApiGateway::RestApi"))
            assert api["Metadata"]["After"] == name, "the stage is refused before there is a role"


def test_the_api_throttles_callers_without_a_key() -> None:
    (stage,) = Chosen(TotalRate="7", TotalBurst="9").of_type("AWS::ApiGateway::Stage").values()
    (settings,) = stage["MethodSettings"]
    assert (settings["HttpMethod"], settings["ResourcePath"]) == ("*", "/*")
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == ("7", "9")


def test_concurrency_is_reserved_for_predictions_only_with_predict_concurrency() -> None:
    reserved = Chosen(PredictConcurrency="50").resources["PredictFunction"]["Properties"]
    assert reserved["ReservedConcurrentExecutions"] == "50"
    given = DEFAULT.resources["PredictFunction"]["Properties"]
    assert "ReservedConcurrentExecutions" not in given


def test_functions_endpoint_and_training_are_in_the_vpc() -> None:
    chosen = Chosen(**SUBNETS, **AWAY)
    subnets, groups = ["subnet-0a1b", "subnet-2c3d"], ["sg-0a1b"]
    functions = chosen.of_type("AWS::Lambda::Function")
    for each in functions.values():
        assert each["VpcConfig"] == {"SubnetIds": subnets, "SecurityGroupIds": groups}
    model = chosen.resources["MultiModel"]["Properties"]
    assert model["VpcConfig"] == {"Subnets": subnets, "SecurityGroupIds": groups}
    (machine,) = chosen.of_type("AWS::StepFunctions::StateMachine").values()
    given = machine["DefinitionSubstitutions"]
    assert (given["SubnetIds"], given["SecurityGroupIds"]) == tuple(SUBNETS.values())
    for each in DEFAULT.of_type("AWS::Lambda::Function").values():
        assert "VpcConfig" not in each


def test_the_budget_notifies_the_address_of_the_alarms() -> None:
    assert not DEFAULT.of_type("AWS::Budgets::Budget")
    chosen = Chosen(AlarmEmail="a@example.com", MonthlyBudget="200")
    (budget,) = chosen.of_type("AWS::Budgets::Budget").values()
    assert budget["Budget"]["BudgetLimit"] == {"Amount": "200", "Unit": "USD"}
    for each in budget["NotificationsWithSubscribers"]:
        assert [mailed["Address"] for mailed in each["Subscribers"]] == ["a@example.com"]
