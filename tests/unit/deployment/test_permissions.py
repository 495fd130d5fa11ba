"""docs/deployment.md lists the actions that `make image` needs: those of the calls in its code."""

import ast
import json
import re
from importlib.resources import files
from typing import Any

import botocore.session
from botocore import xform_name

from deployment.sources import REPOSITORY
from tests.unit.deployment.test_images_template import STATEMENTS

SERVICES = ("cloudformation", "codebuild", "ecr", "logs", "s3")
ACTIONS = {
    "describe_stacks": "cloudformation:DescribeStacks",
    "batch_get_image": "ecr:BatchGetImage",
    "get_authorization_token": "ecr:GetAuthorizationToken",
    "put_object": "s3:PutObject",
    "list_builds_for_project": "codebuild:ListBuildsForProject",
    "batch_get_builds": "codebuild:BatchGetBuilds",
    "start_build": "codebuild:StartBuild",
    "get_log_events": "logs:GetLogEvents",
}
"""By boto3's method: Service Authorization Reference."""

PAGE = (REPOSITORY / "docs/deployment.md").read_text()


def test_every_call_is_in_the_table() -> None:
    session = botocore.session.get_session()
    operations = {
        xform_name(operation)
        for service in SERVICES
        for operation in session.get_service_model(service).operation_names
    }
    called = {
        node.func.attr
        for path in (REPOSITORY / "deployment").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert called & operations == ACTIONS.keys()


def test_the_manual_lists_the_actions() -> None:
    rows = re.findall(r"^\| (?:look up|build (?:in|with) \w+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 3
    named = set(re.findall(r"`(\w+:\w+)`", " ".join(rows)))
    assert named == set(ACTIONS.values())
    assert "PushImage" in {each["Sid"] for each in STATEMENTS}


def test_all_actions_exist() -> None:
    """In cfn-lint's copy of AWS's list, in lower case."""
    text = files("cfnlint").joinpath("data/AdditionalSpecs/Policies.json").read_text()
    known: dict[str, Any] = json.loads(text)
    built = [each["Action"] for each in STATEMENTS]
    allowed = {action for each in built for action in ([each] if isinstance(each, str) else each)}
    for action in allowed | set(ACTIONS.values()):
        service, _, name = action.partition(":")
        assert name.lower() in known[service]["Actions"], action
