"""The journeys' mode for deployed stacks, tried on a stack of this machine that looks like one."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from local.moto.aws import client
from tests.support.stacks import ROOT, Running

NAME = "as-deployed"
SECONDS = 900


@pytest.fixture(scope="module")
def outputs(stack: Running) -> Iterator[dict[str, str]]:
    """What an account would say: a CloudFormation stack with the template's outputs, and its key.

    moto makes no API, so a second stack stands for the outputs of the first.
    """
    address = stack.address
    gateway = client("apigateway", address)
    key = gateway.create_api_key(name=NAME, value=address.api_key, enabled=True)
    outputs = {
        "ApiUrl": address.url,
        "ApiKeyId": key["id"],
        "BucketName": address.bucket,
        "RegistryName": address.table,
        "EndpointName": address.endpoint,
        "OnboardFunctionName": address.onboard_function,
        "UndeliveredUploadsUrl": address.dead_letter_queue_url,
        "TrainStateMachineArn": address.state_machine_arn,
    }
    template = {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {}}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    cloudformation = client("cloudformation", address)
    cloudformation.create_stack(StackName=NAME, TemplateBody=json.dumps(template))
    yield outputs
    cloudformation.delete_stack(StackName=NAME)
    gateway.delete_api_key(apiKey=key["id"])
    for each in (cloudformation, gateway):
        each.close()


def account(stack: Running) -> dict[str, str]:
    """The environment of somebody whose AWS account is the stack's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "AWS_", "FACET_"))
    }
    return kept | {
        "AWS_ENDPOINT_URL": stack.address.endpoint_url,
        "AWS_DEFAULT_REGION": stack.address.region,
        "AWS_ACCESS_KEY_ID": stack.address.access_key_id,
        "AWS_SECRET_ACCESS_KEY": stack.address.secret_access_key,
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }


def journeys(stack: Running, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest with that deployed stack."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=account(stack) | {"FACET_STACK": name},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def counts(printed: str) -> dict[str, int]:
    """`3 passed, 1 skipped` as numbers by word."""
    last = printed.strip().splitlines()[-1]
    return {word: int(count) for count, word in re.findall(r"(\d+) (\w+)", last)}


@pytest.mark.usefixtures("outputs")
def test_the_predict_journeys_pass(stack: Running) -> None:
    done = journeys(stack, NAME, "tests/journeys/test_predict.py", "tests/journeys/test_uploads.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(done.stdout)["passed"] >= 10


@pytest.mark.usefixtures("outputs")
@pytest.mark.parametrize(("file", "passed"), [("test_onboard", 12), ("cli/test_train_command", 1)])
def test_journeys_that_make_models_pass_and_delete_them(
    stack: Running, file: str, passed: int
) -> None:
    done = journeys(stack, NAME, f"tests/journeys/{file}.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(done.stdout)["passed"] >= passed
    s3 = client("s3", stack.address)
    for place in ("mme", "datasets"):
        left = s3.list_objects_v2(Bucket=stack.address.bucket, Prefix=f"{place}/journey-")
        assert not left.get("Contents")
    s3.close()


@pytest.mark.usefixtures("outputs")
def test_journeys_of_the_local_stack_are_skipped(stack: Running) -> None:
    files = (f"tests/journeys/stack/test_{name}.py" for name in ("run", "env"))
    done = journeys(stack, NAME, *files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(counts(done.stdout)) == {"skipped"}, done.stdout


@pytest.mark.usefixtures("outputs")
def test_a_missing_stack_fails_every_journey_with_the_reason(stack: Running) -> None:
    done = journeys(stack, "nobody", "tests/journeys/test_uploads.py")
    assert done.returncode == 1
    assert "run `unset AWS_ENDPOINT_URL`" in done.stdout
    assert "passed" not in counts(done.stdout)


@pytest.mark.skipif(not shutil.which("aws"), reason="the AWS command line is not installed")
def test_the_runbooks_first_block_sets_its_variables(
    stack: Running, outputs: dict[str, str]
) -> None:
    page = (ROOT / "docs/operations.md").read_text()
    (block,) = re.findall(r"^```sh\n(output\(\) .*?)^```$", page, re.MULTILINE | re.DOTALL)
    lines = block.replace("--stack-name facet ", f"--stack-name {NAME} ").splitlines()
    setting = [line for line in lines if not line.startswith("facet ")]
    values = 'echo "$BUCKET $TABLE $QUEUE $MACHINE $STACK_KEY"'
    done = subprocess.run(
        ["bash", "--norc", "-e", "-c", "\n".join([*setting, values])],
        env=account(stack),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    names = (
        "BucketName",
        "RegistryName",
        "UndeliveredUploadsUrl",
        "TrainStateMachineArn",
        "ApiKeyId",
    )
    assert done.stdout.split() == [outputs[name] for name in names]
