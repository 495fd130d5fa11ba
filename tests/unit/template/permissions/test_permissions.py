"""Every function and state has exactly the permissions that its code needs."""

import ast
import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from samcli.yamlhelper import yaml_parse

from tests.support.template import permissions, reachable

ROOT = Path(__file__).parents[4]
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
RESOURCES = TEMPLATE["Resources"]
FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
}
MACHINE = json.loads((ROOT / "statemachine/train.asl.json").read_text())

OF_STATES = {
    "lambda:invoke": {"lambda:InvokeFunction"},
    "sns:publish": {"sns:Publish"},
    "aws-sdk:s3:copyObject": {"s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"},
    "sagemaker:createTrainingJob.sync": {
        "sagemaker:CreateTrainingJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:StopTrainingJob",
        "sagemaker:AddTags",
        "sagemaker:ListTags",
        "iam:PassRole",
        "events:PutTargets",
        "events:PutRule",
        "events:DescribeRule",
    },
}
"""What each integration needs: the Step Functions developer guide, and for `.sync` its page on
SageMaker AI."""


UNLISTED = {"InferFunction": {"s3:ListBucket"}, "TeachFunction": {"dynamodb:Query"}}
"""Actions that code does without, although its calls may need them: `infer.store` reads S3's answer
without s3:ListBucket, which would show it the names of all models; teaching searches texts with
patterns, whose method is called as that of the registry."""


def statements(policies: list[Any]) -> list[dict[str, Any]]:
    return [each for policy in policies for each in policy["Statement"]]


def differences(name: str, properties: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Actions that a function's code needs and its policies lack, and the reverse."""
    needed = permissions.required(reachable.code(properties["Handler"])) - UNLISTED.get(name, set())
    may = permissions.allowed(statements(properties.get("Policies", [])))
    return needed - may, may - needed


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_exactly_the_permissions_that_their_code_needs(name: str) -> None:
    assert differences(name, FUNCTIONS[name]) == (set(), set())


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if FUNCTIONS[name].get("Policies")])
def test_an_action_too_few_or_too_many_is_noticed(name: str) -> None:
    less = deepcopy(FUNCTIONS[name])
    gone = permissions.allowed([statements(less["Policies"])[0]])
    del less["Policies"][0]["Statement"][0]
    missing, unused = differences(name, less)
    others = permissions.allowed(statements(less["Policies"]))
    assert missing == gone - others
    assert not unused
    more = deepcopy(FUNCTIONS[name])
    statements(more["Policies"])[0]["Action"] = ["s3:DeleteBucket", *gone]
    assert differences(name, more) == (set(), {"s3:DeleteBucket"})


def states(machine: dict[str, Any]) -> list[dict[str, Any]]:
    """All states, including those inside maps."""
    found = []
    for state in machine["States"].values():
        found.append(state)
        if "ItemProcessor" in state:
            found += states(state["ItemProcessor"])
    return found


def test_the_state_machine_has_exactly_the_permissions_that_its_states_need() -> None:
    called = {
        state["Resource"].partition(":states:::")[2]
        for state in states(MACHINE)
        if state["Type"] == "Task"
    }
    needed = {action for each in called for action in OF_STATES[each]} | permissions.LOG_DELIVERY
    policies = RESOURCES["TrainStateMachine"]["Properties"]["Policies"]
    assert permissions.allowed(statements(policies)) == needed


def test_permissions_are_found_in_imported_modules() -> None:
    """For each function, one action in a module far from its handler."""
    for name, action in {
        "PredictFunction": "dynamodb:ConditionCheckItem",
        "OnboardFunction": "sns:Publish",
        "SweepFunction": "s3:DeleteObjectVersion",
        "TrainFunction": "dynamodb:Query",
    }.items():
        assert action in permissions.required(reachable.code(FUNCTIONS[name]["Handler"]))
    predict = permissions.required(reachable.code("predict.app.handler"))
    assert "s3:DeleteObjectVersion" not in predict


def test_every_boto3_call_is_in_the_table_of_actions() -> None:
    """Compares all methods called in the code with botocore's list of operations."""
    session = botocore.session.get_session()
    operations = {
        xform_name(operation)
        for service in permissions.SERVICES
        for operation in session.get_service_model(service).operation_names
    }
    sources = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers").rglob("*.py")]
    called = {
        node.func.attr
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert "transact_write_items" in called
    assert called & operations <= permissions.ACTIONS.keys() | {"transact_write_items"}


def test_the_services_are_those_that_the_code_creates_clients_for() -> None:
    sources = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers").rglob("*.py")]
    made = {
        service
        for path in sources
        for service in re.findall(r'boto3\.(?:client|resource)\(\s*"([\w-]+)"', path.read_text())
    }
    assert made == set(permissions.SERVICES)
