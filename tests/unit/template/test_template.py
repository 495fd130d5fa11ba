"""The template, the functions and the layer agree with each other."""

import ast
import fnmatch
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from facet_wheel.imports import needed
from samcli.yamlhelper import yaml_parse

from facet.registry.placement import CANARY
from facet.settings import PREFIX, Settings
from predict.app import app as predict_app
from teach.app import app as teach_app
from tests.support.processes.waiting import LONG
from tests.support.project.pins import canonical, named
from tests.support.template.permissions import LOG_DELIVERY

ROOT = Path(__file__).parents[3]
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
GLOBALS = TEMPLATE["Globals"]["Function"]
FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}
IN_LAMBDA = {"boto3", "botocore"}
"""Packages that Lambda's runtime has."""

function = pytest.mark.parametrize("name", FUNCTIONS)


def environment(name: str) -> dict[str, Any]:
    own: dict[str, Any] = FUNCTIONS[name].get("Environment", {}).get("Variables", {})
    shared: dict[str, Any] = GLOBALS["Environment"]["Variables"]
    return shared | own


def by_default(value: Any) -> str:
    """A variable's value in a stack with default parameters; a reference is the resource's name."""
    if isinstance(value, str):
        return value
    parameter = TEMPLATE["Parameters"].get(value.get("Ref"))
    return str(parameter["Default"]) if parameter else "name"


def imports(folder: Path) -> Iterator[tuple[Path, str]]:
    """Pairs of a module below a folder and a top-level name that it imports at run time."""
    for path in folder.rglob("*.py"):
        yield from ((path, name) for name in sorted(of_module(path)))


def of_module(path: Path) -> set[str]:
    """The top-level names that a module imports at run time."""
    tree = ast.parse(path.read_text())
    typing_only = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {each.name.split(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.add(str(node.module).split(".")[0])
    return found


def without_names(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path)


def test_the_template_has_functions() -> None:
    assert {"PredictFunction", "OnboardFunction", "SweepFunction"} <= set(FUNCTIONS)


@function
def test_the_environment_has_exactly_the_settings(name: str) -> None:
    variables = {each for each in environment(name) if each.startswith(PREFIX)}
    assert variables == {PREFIX + field.upper() for field in Settings.model_fields}


@function
def test_settings_are_valid_by_default(name: str) -> None:
    values = {
        variable.removeprefix(PREFIX).lower(): by_default(value)
        for variable, value in environment(name).items()
        if variable.startswith(PREFIX)
    }
    assert Settings.model_validate(values)


@function
def test_an_invocation_of_the_endpoint_times_out_before_the_function(name: str) -> None:
    """`infer` invokes none."""
    if name != "InferFunction":
        assert float(environment(name)["FACET_INVOKE_TIMEOUT"]) < FUNCTIONS[name]["Timeout"]


@function
def test_handlers_import_without_any_environment(name: str) -> None:
    module, _, handler = FUNCTIONS[name]["Handler"].rpartition(".")
    code = f"import {module} as module; assert callable(module.{handler})"
    environ = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize(
    ("name", "app"), [("PredictFunction", predict_app), ("DatasetsFunction", teach_app)]
)
def test_the_templates_routes_are_the_resolvers(name: str, app: APIGatewayRestResolver) -> None:
    routed = {
        (event["Properties"]["Method"], without_names(event["Properties"]["Path"]))
        for event in FUNCTIONS[name]["Events"].values()
    } - {("OPTIONS", "/{proxy+}")}
    resolved = {
        (method.upper(), without_names(path))
        for path, item in (app.get_openapi_schema().paths or {}).items()
        for method in item.model_dump(exclude_none=True)
    }
    assert routed == resolved


def test_the_layer_imports_no_function() -> None:
    code = {each.name for each in (ROOT / "functions").iterdir() if each.is_dir()}
    above = code | {"local", "serving", "training", "cli", "openapi", "tests"}
    for path, name in imports(ROOT / "layers/facet/facet"):
        assert name not in above, path


def test_functions_do_not_import_each_other() -> None:
    code = {each.name for each in (ROOT / "functions").iterdir() if each.is_dir()}
    for path, name in imports(ROOT / "functions"):
        assert name not in code - {path.relative_to(ROOT / "functions").parts[0]}, path


def test_the_layer_has_every_imported_package() -> None:
    brought = named(ROOT / "layers/facet/requirements.in") | IN_LAMBDA
    ours = {"facet"} | {each.name for each in (ROOT / "functions").iterdir() if each.is_dir()}
    dists = packages_distributions()
    for folder in ("layers/facet/facet", "functions"):
        for path, name in imports(ROOT / folder):
            if name not in sys.stdlib_module_names | ours and "infer" not in path.parts:
                assert brought & {canonical(each) for each in dists[name]}, f"{path} imports {name}"


def test_the_litert_layer_has_every_imported_package() -> None:
    """What the function's two processes can import, except TensorFlow, which no model there asks
    for."""
    brought = named(ROOT / "layers/litert/requirements.in") | IN_LAMBDA
    dists = packages_distributions()
    folders = [ROOT / "functions", ROOT]
    modules = needed("infer.app", folders, set()) | needed("infer.process.runner", folders, set())
    assert "serving.litert.compiled" in modules
    for name, path in modules.items():
        assert name.partition(".")[0] in {"infer", "serving"}, name
        for package in of_module(path) - sys.stdlib_module_names - {"infer", "serving"}:
            if package != "tensorflow":
                assert brought & {canonical(each) for each in dists[package]}, f"{name}: {package}"


@function
def test_each_function_has_one_layer(name: str) -> None:
    """Two would both bring numpy. Layers in Globals would be added to each function's own."""
    assert "Layers" not in GLOBALS
    layer = "LiteRTLayer" if name == "InferFunction" else "FacetLayer"
    assert FUNCTIONS[name]["Layers"] == [{"Ref": layer}]


def statements(policies: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Allowed actions by statement id (Sid)."""
    return {
        each["Sid"]: {each["Action"]} if isinstance(each["Action"], str) else set(each["Action"])
        for policy in policies
        for each in policy["Statement"]
        if each["Effect"] == "Allow"
    }


def test_the_state_machine_has_exactly_the_permissions_that_it_needs() -> None:
    """What `.sync` needs: docs.aws.amazon.com/step-functions, integration with SageMaker AI."""
    policies = TEMPLATE["Resources"]["TrainStateMachine"]["Properties"]["Policies"]
    assert statements(policies) == {
        "Decide": {"lambda:InvokeFunction"},
        "Train": {
            f"sagemaker:{action}"
            for action in (
                "CreateTrainingJob",
                "DescribeTrainingJob",
                "StopTrainingJob",
                "AddTags",
                "ListTags",
            )
        },
        "LendTrainingRole": {"iam:PassRole"},
        "HearOfItsEnd": {"events:PutTargets", "events:PutRule", "events:DescribeRule"},
        "TakeTrained": {"s3:GetObject", "s3:GetObjectVersion"},
        "Upload": {"s3:PutObject"},
        "Tell": {"sns:Publish"},
        "DeliverLogs": LOG_DELIVERY,
    }
    rules = {each["Sid"]: each for policy in policies for each in policy["Statement"]}
    assert rules["LendTrainingRole"]["Condition"] == {
        "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}
    }
    assert rules["NeverWriteVersions"]["Effect"] == "Deny"


def allowed(name: str) -> dict[str, set[str]]:
    """Allowed actions of a function by Sid, without those that a condition adds."""
    return statements(
        [
            {"Statement": [each for each in policy["Statement"] if "Sid" in each]}
            for policy in FUNCTIONS[name]["Policies"]
        ]
    )


def test_onboarding_has_exactly_the_permissions_that_it_needs() -> None:
    assert allowed("OnboardFunction") == {
        "TakeUploads": {"s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObjectVersion"},
        "KeepVersions": {"s3:PutObject"},
        "KeepGoldenImages": {"s3:PutObject", "s3:DeleteObjectVersion"},
        "KeepLiteRTModels": {"s3:PutObject", "s3:DeleteObjectVersion"},
        "KeepHeads": {"s3:PutObject", "s3:DeleteObjectVersion"},
        "KeepRejected": {"s3:PutObject"},
        "KnowWhatIsThere": {"s3:ListBucket", "s3:ListBucketVersions"},
        "WriteRegistry": {
            f"dynamodb:{action}"
            for action in (
                "GetItem",
                "Query",
                "PutItem",
                "UpdateItem",
                "DeleteItem",
                "ConditionCheckItem",
            )
        },
        "ProveVersions": {"sagemaker:InvokeEndpoint"},
        "RunModels": {"lambda:InvokeFunction"},
        "TellNews": {"events:PutEvents"},
    }


def test_predict_may_write_only_the_attributes_of_a_canary() -> None:
    (policy,) = FUNCTIONS["PredictFunction"]["Policies"]
    rules = {each["Sid"]: each for each in policy["Statement"] if "Sid" in each}
    attributes = rules["ConcludeCanaries"]["Condition"]["ForAllValues:StringEquals"]
    assert set(attributes["dynamodb:Attributes"]) == {
        *("model", "item", "live", "previous", "rolled_back", "updated_at"),
        "deleted_at",
        *CANARY,
    }
    writing = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
    assert [sid for sid, each in allowed("PredictFunction").items() if each & writing] == [
        "ConcludeCanaries"
    ]


def test_the_sweeper_may_delete_versions_but_not_uploads() -> None:
    (policy,) = FUNCTIONS["SweepFunction"]["Policies"]
    (deleting,) = (
        each["Resource"] for each in policy["Statement"] if "Delete" in str(each.get("Action"))
    )
    assert [str(each["Fn::Sub"]) for each in deleting] == [
        "${Bucket.Arn}/mme/*/*.tar.gz",
        "${Bucket.Arn}/golden/*",
        "${Bucket.Arn}/lite/*",
        "${Bucket.Arn}/heads/*",
    ]
    assert allowed("SweepFunction")["HandOver"] == {"lambda:InvokeFunction"}


def test_the_function_that_runs_models_reads_them_and_nothing_else() -> None:
    (policy,) = FUNCTIONS["InferFunction"]["Policies"]
    reading, logging = policy["Statement"]
    assert logging["Effect"] == "Deny"
    assert reading["Action"] == "s3:GetObject"
    assert set(reading["Resource"]) == {"Fn::Sub"}
    assert reading["Resource"]["Fn::Sub"].endswith("-${AWS::Region}/lite/*")


@pytest.mark.parametrize("name", ["PredictFunction", "OnboardFunction"])
def test_functions_may_invoke_the_one_that_runs_models(name: str) -> None:
    (policy,) = FUNCTIONS[name]["Policies"]
    (running,) = (each for each in policy["Statement"] if each.get("Sid") == "RunModels")
    assert running["Action"] == "lambda:InvokeFunction"
    assert running["Resource"] == {"Fn::GetAtt": ["InferFunction", "Arn"]}
    assert environment(name)["FACET_INFER_FUNCTION"] == {"Ref": "InferFunction"}


def test_the_function_has_time_left_after_the_last_attempt_at_the_endpoint() -> None:
    """Time for the last attempt and for what follows it (onboard.retry.RESERVE)."""
    timeout = float(environment("OnboardFunction")["FACET_INVOKE_TIMEOUT"])
    assert timeout + 60 < FUNCTIONS["OnboardFunction"]["Timeout"] / 4


@pytest.mark.parametrize("role", ["TrainingRole", "EndpointRole"])
def test_instances_may_publish_their_metrics(role: str) -> None:
    """Training jobs' go to /aws/sagemaker/TrainingJobs, in lower case."""
    (policy,) = TEMPLATE["Resources"][role]["Properties"]["Policies"]
    (measure,) = (
        each for each in policy["PolicyDocument"]["Statement"] if each.get("Sid") == "Measure"
    )
    patterns = measure["Condition"]["StringLike"]["cloudwatch:namespace"]
    for namespace in ("/aws/sagemaker/TrainingJobs", "/aws/sagemaker/Endpoints", "AWS/SageMaker"):
        assert any(fnmatch.fnmatchcase(namespace, pattern) for pattern in patterns), namespace
