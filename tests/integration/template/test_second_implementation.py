"""The deployed template in LocalStack: a second opinion on what moto and the local stack do.

LocalStack creates the resources that it has. Functions, registry and endpoint are only named, and
the API's routes lead to a server of this test, which answers which route it was.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest

from local.gateway.routes import read_api
from local.gateway.server import Gateway
from local.runtime.pool import Invocation
from tests.integration.local.test_step_functions import METRICS, planned, quick
from tests.support.aws.localstack import ACCOUNT, REGION, LocalStack, running
from tests.support.processes.listening import listening
from tests.support.processes.waiting import LONG, wait_until
from tests.support.template.choosing import Chosen
from tests.support.template.watching import STACK

DEFINITION = Path(__file__).parents[3] / "statemachine/train.asl.json"
STAGE = "v1"
CREATED = {
    "AWS::ApiGateway::ApiKey",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGateway::Stage",
    "AWS::ApiGateway::UsagePlan",
    "AWS::ApiGateway::UsagePlanKey",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::Events::Rule",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::StepFunctions::StateMachine",
}
"""Types of resources that LocalStack creates."""


def part(template: Mapping[str, Any], upstream: str) -> dict[str, Any]:
    """The template without the other resources; references to those are their names."""
    resources = template["Resources"]
    others = [name for name, each in resources.items() if each["Type"] not in CREATED]

    def arn(name: str) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"

    def named(text: str) -> str:
        for name in others:
            text = text.replace(f"${{{name}}}", name)
            text = re.sub(rf"\$\{{{name}\.\w+\}}", arn(name), text)
        return text

    def cut(value: Any) -> Any:
        match value:
            case {"Ref": str(name)} if name in others:
                return name
            case {"Fn::GetAtt": [str(name), *_]} if name in others:
                return arn(name)
            case {"Fn::Sub": str(text)}:
                return {"Fn::Sub": named(text)}
            case {"Fn::Sub": [str(text), dict(values)]}:
                return {"Fn::Sub": [named(text), cut(values)]}
            case dict():
                return {key: cut(each) for key, each in value.items()}
            case list():
                return [cut(each) for each in value]
        return value

    made = {
        name: {key: cut(each[key]) for key in ("Type", "Properties") if key in each}
        for name, each in resources.items()
        if name not in others
    }
    del made["Bucket"]["Properties"]["NotificationConfiguration"]
    machine = made["TrainStateMachine"]["Properties"]
    del machine["DefinitionS3Location"]
    machine["DefinitionString"] = DEFINITION.read_text()
    for path, methods in made["Api"]["Properties"]["Body"]["paths"].items():
        for operation in methods.values():
            operation["x-amazon-apigateway-integration"] = {
                "type": "http_proxy",
                "httpMethod": "GET",
                "uri": f"{upstream}/?{quote(path)}",
            }
    return {"Resources": made}


class _Echo(BaseHTTPRequestHandler):
    """Answers the route, which the integration's URI has as its query."""

    def do_GET(self) -> None:
        body = json.dumps({"route": unquote(self.path.partition("?")[2])}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest's output is for failures."""


class Deployed:
    """LocalStack with the stack."""

    def __init__(self, localstack: LocalStack, upstream: str) -> None:
        self.localstack = localstack
        s3, cloudformation = localstack.client("s3"), localstack.client("cloudformation")
        template = json.dumps(part(Chosen().template, upstream))
        s3.create_bucket(Bucket="packaged")
        s3.put_object(Bucket="packaged", Key="template", Body=template.encode())
        cloudformation.create_stack(
            StackName="facet",
            TemplateURL=f"{localstack.url}/packaged/template",
            Capabilities=["CAPABILITY_IAM"],
        )
        self.status = "CREATE_IN_PROGRESS"
        while self.status == "CREATE_IN_PROGRESS":
            time.sleep(0.2)
            (found,) = cloudformation.describe_stacks(StackName="facet")["Stacks"]
            self.status = found["StackStatus"]
        self.resources: dict[str, Any] = {
            each["LogicalResourceId"]: each
            for each in cloudformation.describe_stack_resources(StackName="facet")["StackResources"]
        }

    def name(self, resource: str) -> str:
        """A resource's physical name."""
        return str(self.resources[resource]["PhysicalResourceId"])


@pytest.fixture(scope="module")
def localstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    folder = tmp_path_factory.mktemp("localstack")
    mocked = folder / "mocked.json"
    mocked.write_text(json.dumps(MOCKED))
    with running(folder, SFN_MOCK_CONFIG=str(mocked)) as started:
        yield started


@pytest.fixture(scope="module")
def deployed(localstack: LocalStack) -> Iterator[Deployed]:
    with listening(ThreadingHTTPServer(("127.0.0.1", 0), _Echo)) as server:
        yield Deployed(localstack, f"http://127.0.0.1:{server.server_port}")


def test_cloudformation_creates_the_resources_that_localstack_has(deployed: Deployed) -> None:
    failed = {
        name: each.get("ResourceStatusReason")
        for name, each in deployed.resources.items()
        if each["ResourceStatus"] != "CREATE_COMPLETE"
    }
    assert (deployed.status, failed) == ("CREATE_COMPLETE", {})
    assert {each["ResourceType"] for each in deployed.resources.values()} == CREATED


Answer = tuple[int, Any]


def asked(http: httpx.Client, method: str, path: str, key: str | None) -> Answer:
    """The status, and the route or the gateway's own message."""
    found = http.request(method, path, headers={"x-api-key": key} if key else {})
    return found.status_code, found.json()


@pytest.fixture(scope="module")
def local() -> Iterator[httpx.Client]:
    """The local stack's gateway, before a function that answers the route."""

    def function(_: str, payload: bytes) -> Invocation:
        body = json.dumps({"route": json.loads(payload)["resource"]})
        return Invocation(json.dumps({"statusCode": 200, "body": body}).encode(), None, "r", b"")

    with (
        Gateway(read_api(STACK.resources, STAGE), function, {"secret"}) as gateway,
        httpx.Client(base_url=gateway.url, timeout=LONG) as http,
    ):
        yield http


@pytest.fixture(scope="module")
def cloud(deployed: Deployed) -> Iterator[httpx.Client]:
    """LocalStack's API Gateway."""
    url = deployed.localstack.api(deployed.name("Api"), STAGE)
    with httpx.Client(base_url=url, timeout=LONG) as http:
        yield http


ROUTES = [
    (method.upper(), path)
    for path, methods in STACK.resources["Api"]["Properties"]["Body"]["paths"].items()
    for method in methods
]
UNKNOWN = [("GET", "/none"), ("PUT", "/models"), ("GET", "/models/a/predict"), ("POST", "/health")]


def test_routes_and_keys_are_answered_as_the_local_gateway_does(
    deployed: Deployed, cloud: httpx.Client, local: httpx.Client
) -> None:
    keys = deployed.localstack.client("apigateway")
    key = keys.get_api_key(apiKey=deployed.name("ApiApiKey"), includeValue=True)["value"]
    answers: dict[tuple[str, str, str], tuple[Answer, Answer]] = {}
    for method, route in [*ROUTES, *UNKNOWN]:
        path = route.replace("{proxy+}", "any/path").replace("{", "").replace("}", "")
        for kind, theirs, ours in (("", None, None), ("bad", "x", "x"), ("key", key, "secret")):
            answers[method, path, kind] = (
                asked(cloud, method, path, theirs),
                asked(local, method, path, ours),
            )
    assert {name: pair for name, pair in answers.items() if pair[0] != pair[1]} == {}
    assert {pair[0][0] for pair in answers.values()} == {200, 403}


def function(document: Any) -> dict[str, Any]:
    return {"Return": {"StatusCode": 200, "Payload": document}}


ENDED = {
    "TrainingJobName": "a-base-0-1-1",
    "TrainingJobStatus": "Completed",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://b/training/e/a/output/model.tar.gz"},
}
FAILED = ENDED | {"TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: no images"}
VERDICT = {
    "verdict": "PUBLISH",
    "reason": "good",
    "version": "0" * 12,
    "metrics": METRICS,
    "copy_source": "b/trained",
}
LIVE = {"status": "READY", "live": True, "reason": "", "violations": []}
AROUND = {"Plan": "plan", "Summarise": "uncounted", "Tell": "told"}
MOCKED = {
    "StateMachines": {
        "train": {
            "TestCases": {
                "good": {
                    **AROUND,
                    "Train": "throttled",
                    "Judge": "judge",
                    "Publish": "copied",
                    "Outcome": "outcome",
                },
                "failed": {**AROUND, "Train": "failed"},
            }
        }
    },
    "MockedResponses": {
        "plan": {"0": function({"jobs": [planned("a")], "concurrency": 2})},
        "throttled": {
            "0": {"Throw": {"Error": "SageMaker.ThrottlingException", "Cause": "slow down"}},
            "1": {"Return": ENDED},
        },
        "failed": {"0": {"Throw": {"Error": "SageMaker.Failed", "Cause": json.dumps(FAILED)}}},
        "judge": {"0": function(VERDICT)},
        "copied": {"0": {"Return": {}}},
        "outcome": {"0": function(LIVE)},
        "uncounted": {"0-2": {"Throw": {"Error": "Lambda.Unknown", "Cause": "gone"}}},
        "told": {"0": {"Return": {"MessageId": "1"}}},
    },
}
"""What AWS's services answer to the states of the two executions. Counting fails until the state
machine gives up, so that its output has the reports as the jobs made them. LocalStack throws no
error whose name begins with `States.`, so a failed job has another."""


UNSUPPORTED = {
    ":sagemaker:createTrainingJob.sync": ":aws-sdk:sagemaker:createTrainingJob",
    "$$.Execution.RedriveCount": "0",
}
"""What LocalStack does not have, and what stands for it."""


@pytest.fixture(scope="module")
def execute(localstack: LocalStack) -> Callable[[str], tuple[dict[str, Any], list[str]]]:
    """Runs the state machine: the report of its job, and the names of the jobs it asked for.

    LocalStack does not wait for training jobs (`.sync`), so the state gets the end of the job as
    the answer of a plain call; and its context object lacks Execution.RedriveCount, which is 0.
    """
    states = localstack.client("stepfunctions")
    machine = STACK.resources["TrainStateMachine"]["Properties"]
    definition = quick(DEFINITION)
    for name, replacement in UNSUPPORTED.items():
        assert name in definition
        definition = definition.replace(name, replacement)
    for name in machine["DefinitionSubstitutions"]:
        definition = definition.replace(f"${{{name}}}", "aws" if name == "Partition" else "x")
    arn = states.create_state_machine(
        name="train", definition=definition, roleArn=f"arn:aws:iam::{ACCOUNT}:role/train"
    )["stateMachineArn"]

    def run(case: str) -> tuple[dict[str, Any], list[str]]:
        started = states.start_execution(stateMachineArn=f"{arn}#{case}", input='{"jobs": []}')
        execution = started["executionArn"]

        def described() -> dict[str, Any]:
            answer: dict[str, Any] = states.describe_execution(executionArn=execution)
            return answer

        wait_until(lambda: described()["status"] != "RUNNING")
        found = described()
        events = states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        assert found["status"] == "SUCCEEDED", found.get("cause")
        scheduled = [each.get("taskScheduledEventDetails", {}) for each in events]
        names = [
            json.loads(each["parameters"])["TrainingJobName"]
            for each in scheduled
            if each.get("resourceType") == "aws-sdk:sagemaker"
        ]
        (job,) = json.loads(found["output"])["jobs"]
        return job, names

    return run


def test_the_state_machine_publishes_a_good_model_after_a_retry(
    execute: Callable[[str], tuple[dict[str, Any], list[str]]],
) -> None:
    report, names = execute("good")
    assert report == {
        "model": "a",
        "outcome": "READY",
        "version": "0" * 12,
        "live": True,
        "training_job": "a-base-0-1-1",
        "metrics": METRICS,
        "reason": "good",
    }
    assert names == ["a-base-0-1-0", "a-base-0-1-1"]


def test_the_state_machine_reports_a_failed_job(
    execute: Callable[[str], tuple[dict[str, Any], list[str]]],
) -> None:
    report, _ = execute("failed")
    assert report == {
        "model": "a",
        "outcome": "FAILED",
        "training_job": "a-base-0-1-1",
        "error": "TrainingJobFailed",
        "reason": "AlgorithmError: no images",
    }
