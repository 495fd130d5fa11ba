"""`facet env` prints a stack's variables, or runs a program with them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from cli.app import app
from tests.support.processes.waiting import LONG

KEY = "it's a key; $(false)"
FACET = [sys.executable, "-c", "from cli.app import main; main()"]
ADDRESS = {
    "url": "http://127.0.0.1:8000",
    "api_key": KEY,
    "region": "us-east-1",
    "bucket": "facet-bucket",
    "table": "registry",
    "endpoint": "facet",
    "endpoint_url": "http://127.0.0.1:9",
    "sagemaker_runtime_url": "http://127.0.0.1:10",
    "dead_letter_queue_url": "http://127.0.0.1:9/queue",
    "state_machine_arn": "arn:aws:states:::train",
    "onboard_function": "onboard",
    "access_key_id": "FACET1",
    "secret_access_key": "secret",
}
VARIABLES = {
    "URL": "http://127.0.0.1:8000",
    "KEY": KEY,
    "BUCKET": "facet-bucket",
    "STATE_MACHINE": "arn:aws:states:::train",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": "http://127.0.0.1:10",
    "AWS_ACCESS_KEY_ID": "FACET1",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}
OWN = {
    "AWS_DEFAULT_PROFILE": "work",
    "AWS_ENDPOINT_URL_S3": "https://s3.example",
    "AWS_PROFILE": "work",
    "AWS_REGION": "eu-west-1",
    "AWS_SESSION_TOKEN": "token",
}
"""The user's own variables."""


@pytest.fixture
def home(tmp_path: Path) -> str:
    (tmp_path / "stack.json").write_text(json.dumps(ADDRESS | {"pid": os.getpid()}))
    return str(tmp_path)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=os.environ | OWN, capture_output=True, text=True, timeout=LONG
    )


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_shells_evaluate_the_printed_lines(home: str, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    printed = CliRunner(env=OWN).invoke(app, ["env", "--home", home]).stdout
    done = run(shell, "-c", f'eval "$1"; {sys.executable} -c "$2"', shell, printed, DUMP)
    variables = json.loads(done.stdout)
    assert {name: variables.get(name) for name in VARIABLES} == VARIABLES
    assert not OWN.keys() & variables.keys()


DUMP = "import json, os; print(json.dumps(dict(os.environ)))"


def test_runs_a_program_with_the_variables(home: str) -> None:
    done = run(*FACET, "env", "--home", home, "--", sys.executable, "-c", DUMP)
    variables = json.loads(done.stdout)
    assert {name: variables.get(name) for name in VARIABLES} == VARIABLES
    assert not OWN.keys() & variables.keys()
    assert variables["PATH"] == os.environ["PATH"]


def test_passes_the_program_s_options_and_exit_code_through(home: str) -> None:
    code = "import sys; print(sys.argv[1:]); sys.exit(7)"
    done = run(*FACET, "env", "--home", home, "--", sys.executable, "-c", code, "--debug", "--json")
    assert (done.returncode, done.stdout) == (7, "['--debug', '--json']\n")


def test_a_program_that_is_not_installed(home: str) -> None:
    done = CliRunner().invoke(app, ["env", "--home", home, "--", "no-such-program"])
    assert done.exit_code == 1
    assert "error: program 'no-such-program' is not on the PATH" in done.stderr


def test_no_aws_prints_only_what_is_safe_in_any_shell(home: str) -> None:
    done = CliRunner().invoke(app, ["env", "--home", home, "--no-aws"])
    names = [line.removeprefix("export ").partition("=")[0] for line in done.stdout.splitlines()]
    assert names == ["URL", "KEY", "BUCKET", "STATE_MACHINE"]


def deployed(monkeypatch: pytest.MonkeyPatch, key_id: str) -> Result:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    outputs = {
        "BucketName": "models",
        "RegistryName": "registry",
        "UndeliveredUploadsUrl": "queue",
        "OnboardFunctionName": "onboard",
        "ApiUrl": "https://api.example.org/v1",
        "ApiKeyId": key_id,
    }
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName="prod", TemplateBody=json.dumps(template))
    return CliRunner().invoke(app, ["env", "--stack", "prod"])


def test_a_deployed_stack_has_no_endpoint_and_no_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with mock_aws():
        key = boto3.client("apigateway", region_name="eu-west-3").create_api_key(value="k" * 20)
        done = deployed(monkeypatch, key["id"])
    assert done.stdout.splitlines() == [
        "export URL=https://api.example.org/v1",
        f"export KEY={'k' * 20}",
        "export BUCKET=models",
        "export AWS_DEFAULT_REGION=eu-west-3",
    ]


def test_a_key_that_cannot_be_read_is_left_out_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with mock_aws():
        done = deployed(monkeypatch, "unknown")
    assert done.exit_code == 0
    assert "KEY" not in done.stdout
    assert done.stderr.startswith("warning: KEY is missing, the API's key cannot be read: ")
