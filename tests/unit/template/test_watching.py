"""Alarms and dashboard: valid, on metrics that exist, each alarm with a runbook section."""

import re
from pathlib import Path
from typing import Any

import pytest

from facet.settings import WATCHED
from tests.support.template import watching
from tests.support.template.watching import (
    ALARMS,
    MetricQuery,
    dashboard,
    of_alarms,
    of_widgets,
    resolved,
)

ROOT = Path(__file__).parents[3]
RUNBOOK = (ROOT / "docs/operations.md").read_text()
LINK = re.compile(r"docs/operations\.md#([a-z0-9-]+)$")

API = {"ApiName", "Stage"}
ENDPOINT = {"EndpointName", "VariantName"}
ONE_FLEET = ENDPOINT | {"EndpointConfigName"}
"""docs.aws.amazon.com/sagemaker: Auto-Rollback Configuration and Monitoring, "on the new fleet"."""

OF_UPDATES = {"UpdateErrorsAlarm", "UpdateLatencyAlarm"}
"""Alarms for SageMaker alone: test_endpoint_updates.py."""

FUNCTION = {"FunctionName"}
P = r"Average|Sum|Minimum|Maximum|SampleCount|p\d+"
OF_AWS: dict[str, tuple[set[str], dict[str, str]]] = {
    # docs.aws.amazon.com/apigateway: Amazon API Gateway dimensions and metrics
    "AWS/ApiGateway": (
        API,
        {
            "5XXError": "Average|Sum",
            "4XXError": "Average|Sum",
            "Count": "Sum|SampleCount",
            "Latency": P,
        },
    ),
    # docs.aws.amazon.com/lambda: Types of metrics for Lambda functions
    "AWS/Lambda": (
        FUNCTION,
        {"Errors": "Sum", "Throttles": "Sum", "Invocations": "Sum", "Duration": P},
    ),
    # docs.aws.amazon.com/sagemaker: Amazon SageMaker AI metrics in Amazon CloudWatch
    "AWS/SageMaker": (
        ENDPOINT,
        {
            "Invocations": "Sum",
            "Invocation5XXErrors": "Average|Sum",
            "ModelLatency": P,
            "OverheadLatency": P,
            "ModelLoadingWaitTime": "Average|Sum|Minimum|Maximum|SampleCount",
            "ModelDownloadingTime": "Average|Sum|Minimum|Maximum|SampleCount",
            "ModelLoadingTime": "Average|Sum|Minimum|Maximum|SampleCount",
            "ModelUnloadingTime": "Average|Sum|Minimum|Maximum|SampleCount",
            "ModelCacheHit": "Average|Sum|SampleCount",
        },
    ),
    "/aws/sagemaker/Endpoints": (
        ENDPOINT,
        dict.fromkeys(
            ("LoadedModelCount", "MemoryUtilization", "DiskUtilization", "CPUUtilization"),
            "Average|Minimum|Maximum",
        ),
    ),
    # docs.aws.amazon.com/AWSSimpleQueueService: Available CloudWatch metrics for Amazon SQS
    "AWS/SQS": ({"QueueName"}, {"ApproximateNumberOfMessagesVisible": "Average|Maximum"}),
    # docs.aws.amazon.com/step-functions: Monitoring Step Functions metrics using CloudWatch
    "AWS/States": ({"StateMachineArn"}, {"ExecutionsFailed": "Sum"}),
    # docs.aws.amazon.com/amazondynamodb: DynamoDB metrics and dimensions
    "AWS/DynamoDB": ({"TableName"}, {"ReadThrottleEvents": "Sum", "WriteThrottleEvents": "Sum"}),
}
"""AWS's metrics by namespace: the dimensions, and each metric's useful statistics."""

BILLING = ({"Currency"}, {"Currency", "ServiceName"})
"""docs.aws.amazon.com/AmazonCloudWatch: Create a billing alarm; only us-east-1 has it."""

QUERIES = [each for each in (*of_alarms(), *of_widgets()) if each.namespace != "Facet"]
metric = pytest.mark.parametrize("query", QUERIES, ids=lambda each: f"{each.by}-{each.name}")
alarm = pytest.mark.parametrize("name", sorted(ALARMS))


def anchor(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def sections() -> dict[str, str]:
    """The runbook's sections by their anchors."""
    parts = re.split(r"^#{2,3} (.+)$", RUNBOOK, flags=re.MULTILINE)
    return {anchor(each): text for each, text in zip(parts[1::2], parts[2::2], strict=True)}


@metric
def test_aws_emits_the_metric(query: MetricQuery) -> None:
    if query.namespace == "AWS/Billing":
        assert query.name == "EstimatedCharges"
        assert set(query.dimensions) in BILLING
        return
    dimensions, metrics = OF_AWS[query.namespace]
    assert set(query.dimensions) == (ONE_FLEET if query.by in OF_UPDATES else dimensions)
    assert re.fullmatch(metrics[query.name], query.statistic)


def test_api_metrics_use_the_apis_name() -> None:
    title = watching.STACK.resources["Api"]["Properties"]["Body"]["info"]["title"]
    names = {each.dimensions["ApiName"] for each in QUERIES if "ApiName" in each.dimensions}
    assert names == {resolved(title)} == {"AWS::StackName"}


def test_our_metrics_use_the_functions_service_name() -> None:
    ours = [each for each in (*of_alarms(), *of_widgets()) if each.namespace == "Facet"]
    assert {each.dimensions["service"] for each in ours} == {"AWS::StackName"}
    for name in watching.STACK.of_type("AWS::Lambda::Function"):
        variables = watching.STACK.resources[name]["Properties"]["Environment"]["Variables"]
        assert resolved(variables["POWERTOOLS_SERVICE_NAME"]) == "AWS::StackName"


def test_the_template_and_the_functions_limit_watched_models_alike() -> None:
    pattern = watching.STACK.document["Parameters"]["WatchedModels"]["AllowedPattern"]
    assert f"^{pattern}$" == WATCHED


def test_dimensions_name_resources_of_the_right_type() -> None:
    kinds = {
        "FunctionName": "AWS::Lambda::Function",
        "QueueName": "AWS::SQS::Queue",
        "StateMachineArn": "AWS::StepFunctions::StateMachine",
        "TableName": "AWS::DynamoDB::Table",
    }
    variants = watching.STACK.resources["EndpointConfig"]["Properties"]["ProductionVariants"]
    for query in QUERIES:
        for dimension, value in query.dimensions.items():
            if dimension == "EndpointName":
                endpoint = watching.STACK.resources["Endpoint"]["Properties"]["EndpointName"]
                assert value == resolved(endpoint)
            elif dimension in kinds:
                logical = str(value).partition(".")[0]
                assert watching.STACK.resources[logical]["Type"] == kinds[dimension], query
            if dimension == "VariantName":
                assert [value] == [each["VariantName"] for each in variants]


@alarm
def test_an_alarm_notifies_the_topic(name: str) -> None:
    if name not in OF_UPDATES:
        assert ALARMS[name]["AlarmActions"][0] == {"Ref": "AlarmTopic"}


@alarm
def test_an_alarm_names_its_section_of_the_runbook(name: str) -> None:
    properties = ALARMS[name]
    found = LINK.search(properties["AlarmDescription"])
    assert found
    assert f"`{name}`" in sections()[found[1]]


def test_the_runbook_names_exactly_the_alarms() -> None:
    assert set(re.findall(r"`(\w+Alarm)`", RUNBOOK)) == set(ALARMS)


def test_the_runbook_lists_every_metric_of_ours() -> None:
    (rows,) = re.findall(r"^\| metric \|.*\n\|-.*\n((?:\|.*\n)+)", RUNBOOK, re.MULTILINE)
    names = [row.split("|")[1] for row in rows.splitlines()]
    listed = {name for each in names for name in re.findall(r"`(\w+)`", each)}
    queries = (*of_alarms(), *of_widgets())
    assert listed == {each.name for each in queries if each.namespace == "Facet"}


@alarm
def test_an_alarm_does_not_ring_without_data(name: str) -> None:
    assert ALARMS[name]["TreatMissingData"] == "notBreaching"


def test_widgets_do_not_overlap() -> None:
    covered: set[tuple[int, int]] = set()
    for each in dashboard()["widgets"]:
        assert each["x"] + each["width"] <= 24
        cells = {
            (each["x"] + x, each["y"] + y)
            for x in range(each["width"])
            for y in range(each["height"])
        }
        assert not covered & cells, each["properties"]["title"]
        covered |= cells


def test_only_the_spend_widget_is_in_another_region() -> None:
    regions = {
        each["properties"]["region"]: each["properties"]["title"]
        for each in dashboard()["widgets"]
        if each["properties"]["region"] != "AWS::Region"
    }
    assert list(regions) == ["us-east-1"]
    assert "Spend" in regions["us-east-1"]


def test_every_expression_of_the_dashboard_is_parsed() -> None:
    """Otherwise the tests above would miss its metrics."""
    rows: list[Any] = [
        row[-1]["expression"]
        for each in dashboard()["widgets"]
        for row in each["properties"].get("metrics", [])
        if isinstance(row[-1], dict) and "expression" in row[-1]
    ]
    assert all(watching.SEARCH.fullmatch(each) for each in rows if "SEARCH" in each)
    assert [each for each in rows if "SEARCH" not in each] == ["100 * (1 - hits)"]


@pytest.mark.parametrize(
    "about",
    [
        "Traffic",
        "Errors by kind",
        "Where the time goes",
        "Cold loads",
        "Loaded models, memory",
        "Onboarding: outcomes",
        "Training, teaching, canaries: outcomes",
        "Spend",
    ],
)
def test_the_dashboard_shows(about: str) -> None:
    titles = [each["properties"]["title"] for each in dashboard()["widgets"]]
    assert any(each.startswith(about) for each in titles)
