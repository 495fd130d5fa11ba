"""local/template.py: the template is carried out whole, or refused."""

import re
from pathlib import Path

import pytest

from local import supported, template

ROOT = Path(__file__).parents[3]


def write(folder: Path, resources: str) -> Path:
    path = folder / "template.yaml"
    path.write_text(
        "AWSTemplateFormatVersion: '2010-09-09'\n"
        "Transform: AWS::Serverless-2016-10-31\n"
        f"Resources:\n{resources}"
    )
    return path


def test_supports_all_of_facets_template() -> None:
    read = template.load(ROOT / "template.yaml")
    assert set(read.sources) == set(read.of_type("AWS::Lambda::Function"))
    assert set(read.definitions) == set(read.of_type("AWS::StepFunctions::StateMachine"))
    for name, sources in read.sources.items():
        layer = "layers/litert" if name == "InferFunction" else "layers/facet"
        assert sources.code == ROOT / "functions"
        assert [each.resolve() for each in sources.layers] == [ROOT / layer]
    for each in read.resources.values():
        assert each["Type"] in supported.SUPPORTED.keys() | supported.WITHOUT_EFFECT.keys()


def test_sam_writes_the_usage_plans_limits_from_the_parameters() -> None:
    limits = {"ThrottleRate": "5", "ThrottleBurst": "9", "QuotaPerDay": "77"}
    read = template.load(ROOT / "template.yaml", limits)
    plan = read.resources["ApiUsagePlan"]["Properties"]
    assert plan["Throttle"] == {"RateLimit": "5", "BurstLimit": "9"}
    assert plan["Quota"]["Limit"] == "77"


def test_rejects_an_unsupported_type_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, "  Topic:\n    Type: AWS::EC2::Instance\n")
    with pytest.raises(supported.UnsupportedTemplate, match="AWS::EC2::Instance"):
        template.load(path)


def test_rejects_an_unsupported_property_by_name(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "  Queue:\n    Type: AWS::SQS::Queue\n    Properties: {FifoQueue: true}\n",
    )
    with pytest.raises(supported.UnsupportedTemplate, match=r"AWS::SQS::Queue\.FifoQueue"):
        template.load(path)


def test_every_property_without_effect_has_a_reason() -> None:
    assert all(len(reason.split()) > 3 for reason in supported.WITHOUT_EFFECT.values())


TARGET = "{Arn: !Sub 'arn:${AWS::Region}', Id: target"


@pytest.mark.parametrize(
    ("properties", "refused"),
    [
        (f"{{ScheduleExpression: rate(1 day), Targets: [{TARGET}, RetryPolicy: {{}}}}]}}",
         "AWS::Events::Rule.Targets.RetryPolicy"),
        (f"{{EventPattern: {{source: [aws.s3]}}, Targets: [{TARGET}}}]}}",
         "AWS::Events::Rule.EventPattern"),
    ],
)  # fmt: skip
def test_supports_rules_only_with_a_schedule(tmp_path: Path, properties: str, refused: str) -> None:
    path = write(tmp_path, f"  Rule:\n    Type: AWS::Events::Rule\n    Properties: {properties}\n")
    with pytest.raises(supported.UnsupportedTemplate, match=re.escape(refused)):
        template.load(path)


def test_rules_for_events_of_cloudformation_have_no_effect(tmp_path: Path) -> None:
    properties = f"{{EventPattern: {{source: [aws.cloudformation]}}, Targets: [{TARGET}}}]}}"
    path = write(tmp_path, f"  Rule:\n    Type: AWS::Events::Rule\n    Properties: {properties}\n")
    assert template.load(path).of_type("AWS::Events::Rule") == ["Rule"]


def test_supports_bucket_notifications_only_to_functions(tmp_path: Path) -> None:
    notifications = "{NotificationConfiguration: {QueueConfigurations: [{Queue: q}]}}"
    path = write(
        tmp_path, f"  Bucket:\n    Type: AWS::S3::Bucket\n    Properties: {notifications}\n"
    )
    with pytest.raises(supported.UnsupportedTemplate, match="QueueConfigurations"):
        template.load(path)


def test_an_empty_property_counts_as_absent() -> None:
    """As the DestinationConfig is that SAM writes beside the figures of an EventInvokeConfig."""
    config = {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": {"DestinationConfig": {}}}
    assert supported.unsupported({"Config": config}) == set()
    config["Properties"] = {"DestinationConfig": {"OnFailure": {"Destination": "arn"}}}
    assert supported.unsupported({"Config": config}) == {
        "AWS::Lambda::EventInvokeConfig.DestinationConfig"
    }


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({"NoSuch": "1"}, "no parameter NoSuch"),
        ({"AllowOrigin": "example.com"}, "AllowOrigin cannot be 'example.com'"),
        (
            {"MaxImages": "0"},
            "MaxImages cannot be '0'. Maximum number of images in one request. .MinValue: 1; "
            "MaxValue: 256.",
        ),
        ({"MaxImages": "many"}, "MaxImages cannot be 'many'"),
        ({"LogLevel": "LOUD"}, "LogLevel cannot be 'LOUD'.*'DEBUG', 'INFO'"),
        ({"LogDays": "8"}, "LogDays cannot be '8'"),
    ],
)
def test_rejects_parameters_that_cloudformation_would_reject(
    parameters: dict[str, str], refused: str
) -> None:
    read = template.load(ROOT / "template.yaml")
    with pytest.raises(supported.UnsupportedTemplate, match=refused):
        read.check(parameters)


def test_accepts_parameters_that_cloudformation_would_accept() -> None:
    read = template.load(ROOT / "template.yaml")
    read.check({"AllowOrigin": "http://localhost:3000", "MaxImages": "8", "LogLevel": "DEBUG"})
    read.check({"AllowOrigin": "*", "LogDays": "7"})
