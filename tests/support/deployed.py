"""A deployed stack as the command line finds it: moto's account, the API's handler over HTTP."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from typer.testing import CliRunner, Result

from cli.app import app as cli
from predict import app
from tests.support import api
from tests.support.aws import fakes
from tests.support.aws.fakes import BUCKET
from tests.support.processes.listening import listening

STACK = "facet-test"
KEY = "k" * 20
STAGE = "/v1"
ALARMS = "arn:aws:sns:eu-central-1:123456789012:alarms"


class Gateway(ThreadingHTTPServer):
    """API Gateway: takes only `key`; `asked` has path and size of the body of each request.

    `others` answers paths of other functions than predict: method and body → status and document.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.key = KEY
        self.asked: list[tuple[str, int]] = []
        self.others: dict[str, Callable[[str, bytes], tuple[int, Any]]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{STAGE}"


class _Request(BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        at = urlsplit(self.path)
        path = at.path.removeprefix(STAGE)
        self.server.asked.append((path, len(body)))
        if path != "/health" and self.headers.get("x-api-key") != self.server.key:
            self._send(403, {}, b'{"message":"Forbidden"}')
            return
        if other := self.server.others.get(path):
            status, document = other(self.command, body)
            self._send(status, {}, json.dumps(document).encode())
            return
        event = {
            "resource": path,
            "path": path,
            "httpMethod": self.command,
            "headers": dict(self.headers),
            "multiValueHeaders": None,
            "queryStringParameters": dict(parse_qsl(at.query)) or None,
            "multiValueQueryStringParameters": None,
            "pathParameters": None,
            "stageVariables": None,
            "requestContext": {"requestId": api.REQUEST_ID, "stage": "v1", "path": self.path},
            "body": base64.b64encode(body).decode() if body else None,
            "isBase64Encoded": bool(body),
        }
        answer: dict[str, Any] = app.handler(event, fakes.Context(29))  # type: ignore[arg-type]
        headers = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
        self._send(answer["statusCode"], headers, answer["body"].encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest's output is for failures."""


@contextmanager
def gateway() -> Iterator[Gateway]:
    """A running one. Its metrics would go to the output of the command that asks it."""
    with pytest.MonkeyPatch.context() as patch, listening(Gateway()) as running:
        patch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
        yield running


TRUST = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}
RESOURCES = {
    "Queue": {"Type": "AWS::SQS::Queue", "Properties": {}},
    "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}},
    "PredictFunction": {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": f"{STACK}-predict",
            "Handler": "index.handler",
            "Runtime": "python3.12",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"ZipFile": "handler = print"},
        },
    },
    "AlarmTopic": {
        "Type": "AWS::SNS::Topic",
        "Properties": {
            "TopicName": "alarms",
            "Subscription": [{"Protocol": "email", "Endpoint": "team@example.com"}],
        },
    },
    "PredictLogs": {
        "Type": "AWS::Logs::LogGroup",
        "Properties": {"LogGroupName": f"/aws/lambda/{STACK}-predict"},
    },
    "EndpointLogs": {
        "Type": "AWS::Logs::LogGroup",
        "Properties": {"LogGroupName": f"/aws/sagemaker/Endpoints/{STACK}"},
    },
}
"""Of the template's, those that commands look for."""


def deploy(url: str, table: str, image: str = "i", **parameters: str) -> None:
    """A stack in moto's account with the template's outputs; the endpoint is in service."""
    key = boto3.client("apigateway").create_api_key(name="first", value=KEY, enabled=True)
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_model(
        ModelName="all",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/serve",
        PrimaryContainer={"Image": image, "ModelDataUrl": "s3://b/mme/"},
    )
    variant = {"VariantName": "v", "ModelName": "all", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName="all",
        ProductionVariants=[variant | {"InstanceType": "ml.m5.large"}],  # type: ignore[list-item]
    )
    sagemaker.create_endpoint(EndpointName="endpoint", EndpointConfigName="all")
    outputs = {
        "ApiUrl": url,
        "ApiKeyId": key["id"],
        "BucketName": BUCKET,
        "RegistryName": table,
        "EndpointName": "endpoint",
        "OnboardFunctionName": "onboard",
        "DeleteFunctionName": f"{STACK}-predict",  # moto's only function, which tests answer for
        "UndeliveredUploadsUrl": {"Ref": "Queue"},
        "AlarmTopicArn": ALARMS,
        "TrainStateMachineArn": "arn:aws:states:::stateMachine:train",
    }
    template = {
        "Parameters": {name: {"Type": "String"} for name in parameters},
        "Resources": RESOURCES,
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    boto3.client("cloudformation").create_stack(
        StackName=STACK,
        TemplateBody=json.dumps(template),
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ],
    )


def facet(*arguments: str, stdin: bytes | None = None) -> Result:
    """The command on that stack."""
    return CliRunner().invoke(cli, [*arguments, "--stack", STACK], input=stdin)
