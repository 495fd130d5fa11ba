"""What `sam local` is given for the running stack, without Docker: SAM's own reading of it."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.yamlhelper import yaml_parse

from local import sam_local
from tests.support.processes.waiting import LONG
from tests.support.stacks import ROOT, Running

FUNCTIONS = sorted(
    name
    for name, each in yaml_parse((ROOT / "template.yaml").read_text())["Resources"].items()
    if each["Type"] == "AWS::Serverless::Function" and "Condition" not in each
)
RUN = """
import importlib, json, sys
from tests.support.aws.fakes import Context
module, _, name = sys.argv[1].rpartition(".")
json.dump(getattr(importlib.import_module(module), name)(json.load(sys.stdin), Context(29)),
          sys.stdout)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam build` leaves, as far as it matters here: the template, which it copies."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "template.yaml").write_text((ROOT / "template.yaml").read_text())
    return folder


def written(stack: Running, built: Path, host: str) -> dict[str, dict[str, str]]:
    """For each function what SAM would put into its container."""
    arguments = ["--home", str(stack.home), "--built", str(built), "--host", host]
    assert sam_local.main(arguments) == 0
    with warnings.catch_warnings():  # SAM uses what its own translator has deprecated
        warnings.simplefilter("ignore", DeprecationWarning)
        stacks, _ = SamLocalStackProvider.get_stacks(str(built / sam_local.TEMPLATE))
        provider = SamFunctionProvider(stacks, use_raw_codeuri=True)
    values = json.loads((built / sam_local.VARIABLES).read_text())
    runner = LocalLambdaRunner(None, provider, str(ROOT), str(ROOT), env_vars_values=values)
    runner.get_aws_creds = lambda: {"key": "an", "secret": "account's", "sessiontoken": "own"}
    return {name: runner._make_env_vars(provider.get(name)).resolve() for name in FUNCTIONS}


def test_containers_get_the_functions_environment(stack: Running, built: Path) -> None:
    variables = written(stack, built, "docker-host")
    address = stack.address
    for name, given in variables.items():
        assert given["FACET_BUCKET"] == address.bucket, name
        assert given["FACET_TABLE"] == address.table, name
        assert given["FACET_ENDPOINT"] == address.endpoint, name
        port = address.endpoint_url.rpartition(":")[2]
        assert given["AWS_ENDPOINT_URL"] == f"http://docker-host:{port}", name
        port = address.sagemaker_runtime_url.rpartition(":")[2]
        assert given["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"] == f"http://docker-host:{port}", name
        assert given["AWS_SECRET_ACCESS_KEY"] == address.secret_access_key, name
        assert not given["AWS_SESSION_TOKEN"], name
    assert variables["SweepFunction"]["FACET_ONBOARD_FUNCTION"] == address.onboard_function


def invoked(handler: str, event: str, environment: Mapping[str, str]) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", RUN, handler],
        input=(ROOT / "events" / f"{event}.json").read_text(),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_function_with_that_environment_uses_the_running_stack(
    stack: Running, built: Path
) -> None:
    environment = written(stack, built, "127.0.0.1")["PredictFunction"]
    answer = invoked("predict.app.handler", "predict-raw", environment)
    assert answer["statusCode"] == 200, answer
    assert json.loads(answer["body"])["model"] == "cifar"


def test_the_account_accepts_the_bucket_in_the_host_name(stack: Running) -> None:
    port = stack.address.endpoint_url.rpartition(":")[2]
    host = f"{stack.address.bucket}.{sam_local.HOST}:{port}"
    url = f"http://{host}/?list-type=2"
    request = AWSRequest("GET", url, {"host": host})
    key = Credentials(stack.address.access_key_id, stack.address.secret_access_key)
    S3SigV4Auth(key, "s3", stack.address.region).add_auth(request)
    answer = httpx.get(
        f"{stack.address.endpoint_url}/?list-type=2",
        headers=dict(request.headers.items()),
        timeout=LONG,
    )
    assert f"<Name>{stack.address.bucket}</Name>" in answer.text


def test_prints_commands_with_the_written_files(
    stack: Running, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sam_local.main(["--home", str(stack.home), "--built", str(built)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["sam", "local", "invoke"],
        ["sam", "local", "start-api"],
    ]
    for line in lines:
        assert f"-t {built / sam_local.TEMPLATE} --env-vars {built / sam_local.VARIABLES}" in line
        assert f"--add-host {sam_local.HOST}:host-gateway" in line
        assert f"--add-host {stack.address.bucket}.{sam_local.HOST}:host-gateway" in line


def test_a_missing_stack_or_build_is_a_one_line_error(
    stack: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sam_local.main(["--home", str(tmp_path)]) == 1
    assert "start one with `make run`" in capsys.readouterr().err
    assert sam_local.main(["--home", str(stack.home), "--built", str(tmp_path)]) == 1
    assert "run `make build` first" in capsys.readouterr().err
