"""deployment/images.yaml: what a build may do, and what happens to the images."""

import json
import re
from typing import Any

from samcli.yamlhelper import yaml_parse

from deployment.sources import REPOSITORY
from deployment.stack import TEMPLATE
from tests.support.template import permissions

DOCUMENT: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
RESOURCES: dict[str, Any] = {
    name: each["Properties"] for name, each in DOCUMENT["Resources"].items()
}
STATEMENTS = RESOURCES["BuildRole"]["Policies"][0]["PolicyDocument"]["Statement"]
PROJECT = RESOURCES["Project"]
SPEC = yaml_parse(PROJECT["Source"]["BuildSpec"])

OF_A_BUILD = {
    # CodeBuild user guide, "Allow CodeBuild to interact with other AWS services"
    "source": {"s3:GetObject", "s3:GetObjectVersion", "s3:GetBucketAcl", "s3:GetBucketLocation"},
    "log": {"logs:CreateLogStream", "logs:PutLogEvents"},
    # ECR user guide, "IAM permissions for pushing an image to an Amazon ECR private repository"
    "aws ecr get-login-password": {"ecr:GetAuthorizationToken"},
    "push=true": {
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    },
}
"""What CodeBuild does for a build, or a command in it, and the actions that this needs."""


def test_a_build_has_exactly_the_permissions_that_it_needs() -> None:
    needed = {action for each in OF_A_BUILD.values() for action in each}
    assert permissions.allowed(STATEMENTS) == needed


def test_a_build_runs_the_commands_that_need_them_and_no_other_of_aws() -> None:
    commands = "\n".join(each for phase in SPEC["phases"].values() for each in phase["commands"])
    assert "sh deployment/build.sh" in commands
    commands += (REPOSITORY / "deployment/build.sh").read_text()
    assert re.findall(r"\baws ecr \S+", commands) == ["aws ecr get-login-password"]
    assert re.findall(r"push=\w+", commands) == ["push=true"]
    assert len(re.findall(r"^\s*aws |[|;&] *aws ", commands, re.MULTILINE)) <= 1


def test_a_build_may_use_nothing_but_the_stacks_resources() -> None:
    """Only ECR's token belongs to no resource."""
    everywhere = [each["Action"] for each in STATEMENTS if each["Resource"] == "*"]
    assert everywhere == ["ecr:GetAuthorizationToken"]
    owned = {json.dumps(each["Resource"]) for each in STATEMENTS if each["Resource"] != "*"}
    assert owned == {
        '{"Fn::GetAtt": ["Logs", "Arn"]}',
        '{"Fn::GetAtt": ["Repository", "Arn"]}',
        '{"Fn::GetAtt": ["Sources", "Arn"]}',
        '{"Fn::Sub": "${Sources.Arn}/*"}',
    }


def test_an_image_keeps_its_tag_and_is_scanned() -> None:
    assert RESOURCES["Repository"]["ImageTagMutability"] == "IMMUTABLE"
    assert RESOURCES["Repository"]["ImageScanningConfiguration"] == {"ScanOnPush": True}


def test_the_newest_images_are_kept() -> None:
    """ECR refuses a policy that is not JSON, or has a rule that it does not know."""
    policy = json.loads(RESOURCES["Repository"]["LifecyclePolicy"]["LifecyclePolicyText"])
    (rule,) = policy["rules"]
    assert rule["selection"] == {
        "tagStatus": "any",
        "countType": "imageCountMoreThan",
        "countNumber": 200,
    }
    assert rule["action"] == {"type": "expire"}


def test_names_are_the_stacks_or_cloudformations() -> None:
    """Two stacks of this template do not collide."""
    given = {
        name: value
        for name, each in RESOURCES.items()
        for property_, value in each.items()
        if property_ in ("Name", "LogGroupName", "RepositoryName", "BucketName", "RoleName")
    }
    assert given == {
        "Project": {"Ref": "AWS::StackName"},
        "Repository": {"Ref": "AWS::StackName"},
        "Logs": {"Fn::Sub": "/aws/codebuild/${AWS::StackName}"},
    }


def test_logs_and_sources_expire() -> None:
    assert RESOURCES["Logs"]["RetentionInDays"] == 30
    assert PROJECT["LogsConfig"]["CloudWatchLogs"]["GroupName"] == {"Ref": "Logs"}
    rules = RESOURCES["Sources"]["LifecycleConfiguration"]["Rules"]
    assert [each["ExpirationInDays"] for each in rules if "ExpirationInDays" in each] == [7]


def test_the_build_environment_has_docker_for_the_endpoints_architecture() -> None:
    environment = PROJECT["Environment"]
    assert environment["PrivilegedMode"] is True
    assert environment["Type"] == "LINUX_CONTAINER"
    assert "x86_64" in environment["Image"]


def test_the_script_uses_the_variables_that_a_build_is_given() -> None:
    """tests/unit/deployment/test_codebuild.py has what it is given."""
    script = (REPOSITORY / "deployment/build.sh").read_text()
    used = set(re.findall(r"\$([A-Z_]+)", script.partition("set -eu")[2]))
    assert used == {"IMAGE", "REQUIREMENTS"}
