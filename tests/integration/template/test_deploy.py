"""`make deploy` against moto, up to the change set.

moto creates a change set of the template as SAM wrote it. It neither translates the template nor
evaluates its conditions, so it cannot create the stack. Its CloudFormation creates no build
project, and its CodeBuild runs no build: here the container's image is in the repository already,
except in the last test.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from samcli.yamlhelper import yaml_parse

from deployment.sources import pack
from facet.aws.ecr import ACCEPTED
from tests.support.template.deploying import overrides
from training.package import code_key, download_wheels, pack_code

ROOT = Path(__file__).parents[3]
NEEDED = ("Makefile", "pyproject.toml", "constraints.txt", "samconfig.toml", "template.yaml")
FOLDERS = (".ci", "deployment", "functions", "layers", "serving", "statemachine", "training")
CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
PYTHON_3_12 = subprocess.run([ROOT / ".ci/python", "3.12"], capture_output=True).returncode == 0
ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}
SAMS_BUCKET = {
    "Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}},
    "Outputs": {"SourceBucket": {"Value": {"Ref": "Bucket"}}},
}
"""SAM creates it in its first deploy. moto's change set would lack the tags and outputs by which
SAM recognises it."""
IMAGES = "facet-images"

pytestmark = pytest.mark.skipif(not PYTHON_3_12, reason="sam build needs Python 3.12")


@dataclass(frozen=True)
class Account:
    """A separate AWS account in a moto server."""

    url: str

    def client(self, service: Any, region: str = "us-east-1") -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    @property
    def image(self) -> str:
        """The URI of the one image, by digest."""
        ecr = self.client("ecr")
        (repository,) = ecr.describe_repositories(repositoryNames=[IMAGES])["repositories"]
        (image,) = ecr.describe_images(repositoryName=IMAGES)["imageDetails"]
        return f"{repository['repositoryUri']}@{image['imageDigest']}"

    @property
    def bucket(self) -> str:
        """What SAM packages into."""
        found = self.client("cloudformation").describe_stacks(
            StackName="aws-sam-cli-managed-default"
        )
        name: str = found["Stacks"][0]["Outputs"][0]["OutputValue"]
        return name

    def packaged(self) -> dict[str, Any]:
        """The resources of the one template that is in the bucket."""
        (key,) = (each for each in self.keys() if each.endswith(".template"))
        template: dict[str, Any] = yaml_parse(self.read(key).decode())
        resources: dict[str, Any] = template["Resources"]
        return resources

    def keys(self) -> list[str]:
        listed = self.client("s3").list_objects_v2(Bucket=self.bucket)
        return [each["Key"] for each in listed["Contents"]]

    def read(self, key: str) -> bytes:
        content: bytes = self.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        port = next(
            found[1]
            for line in server.stderr
            if (found := re.search(r"http://127\.0\.0\.1:(\d+)", line))
        )
        # SAM names the template by this address, in which moto looks for the word localhost.
        account = Account(f"http://localhost:{port}")
        account.client("cloudformation").create_stack(
            StackName="aws-sam-cli-managed-default",
            TemplateBody=json.dumps(SAMS_BUCKET),
            Tags=[{"Key": "ManagedStackSource", "Value": "AwsSamCli"}],
        )
        account.client("cloudformation").create_stack(
            StackName=IMAGES, TemplateBody=(ROOT / "deployment/images.yaml").read_text()
        )
        manifest = {"schemaVersion": 2, "mediaType": ACCEPTED, "layers": []}
        account.client("ecr").put_image(
            repositoryName=IMAGES,
            imageTag=pack("tensorflow", ROOT).tag,
            imageManifest=json.dumps(manifest),
        )
        yield account
        server.terminate()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built copy of the sources, apart from the builds of other tests."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in NEEDED:
        shutil.copy(ROOT / name, folder)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv").symlink_to(sys.prefix)
    built = make(folder, "build")
    assert built.returncode == 0, built.stderr
    assert "sam deploy --guided" not in built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def training_code(checkout: Path) -> str:
    """The key of the training code, with the wheels that the deploy has downloaded."""
    return code_key(pack_code(ROOT, download_wheels(checkout)))


@dataclass(frozen=True)
class Deployment:
    """An environment, a container, and what `make deploy` of them printed."""

    environment: str
    serving: str
    output: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module", params=[("default", "facet"), ("dev", "aws"), ("prod", "facet")])
def deployed(request: pytest.FixtureRequest, checkout: Path, account: Account) -> Deployment:
    """Runs `make deploy` without executing the change set.

    The other pairs differ in the words of the command only, as tests/unit/template/
    test_environments.py has them.
    """
    environment, serving = request.param
    output = make(
        checkout,
        "--old-file=build",
        "deploy",
        f"ENV={environment}",
        f"SERVING={serving}",
        "ARGS=--no-execute-changeset --no-confirm-changeset",
        AWS_ENDPOINT_URL=account.url,
    )
    return Deployment(environment, serving, output)


once = pytest.mark.parametrize("deployed", [("prod", "facet")], indirect=True)
"""For what is the same in every environment."""


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=os.environ | ACCOUNT | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_it_creates_a_change_set_and_then_misses_the_stack(deployed: Deployment) -> None:
    """The training code is uploaded to the stack's bucket once that exists."""
    stack = CONFIG[deployed.environment]["deploy"]["parameters"]["stack_name"]
    output = deployed.output
    assert "Changeset created successfully" in output.stdout, output.stderr
    assert "warning: AWS_ENDPOINT_URL=http://localhost:" in output.stderr
    assert f"error: stack {stack} has no bucket to upload to" in output.stderr
    assert output.returncode


def test_the_change_set_has_the_environments_parameters_and_its_container(
    deployed: Deployment, account: Account, training_code: str
) -> None:
    expected = CONFIG[deployed.environment]["deploy"]["parameters"]
    (change,) = re.findall(r"successfully\. (arn:\S+)", deployed.output.stdout)
    made = account.client("cloudformation").describe_change_set(ChangeSetName=change)
    assert made["StackName"] == expected["stack_name"]
    given = {each["ParameterKey"]: each.get("ParameterValue") for each in made["Parameters"]}
    words = expected.get("parameter_overrides", "").split()
    expected = overrides(*words) if words else {}
    expected["TrainingCode"] = training_code
    expected["ServingImageUri"] = account.image if deployed.serving == "facet" else ""
    assert {name: given[name] for name in expected} == expected


@once
@pytest.mark.usefixtures("deployed")
def test_it_uploads_the_functions_code(account: Account) -> None:
    functions = {
        name: each["Properties"]
        for name, each in account.packaged().items()
        if each["Type"] == "AWS::Serverless::Function"
    }
    assert functions
    for name, each in functions.items():
        module = each["Handler"].rpartition(".")[0].replace(".", "/")
        assert f"{module}.py" in files(account, each["CodeUri"]), name


@once
@pytest.mark.usefixtures("deployed")
def test_it_uploads_the_layer_and_the_state_machine(account: Account) -> None:
    packaged = account.packaged()
    layer = files(account, packaged["FacetLayer"]["Properties"]["ContentUri"])
    assert {"python/facet/manifest.py", "python/numpy/__init__.py"} <= layer
    definition = packaged["TrainStateMachine"]["Properties"]["DefinitionUri"]
    assert definition["Bucket"] == account.bucket
    assert account.read(definition["Key"]) == (ROOT / "statemachine/train.asl.json").read_bytes()


@once
@pytest.mark.usefixtures("deployed")
def test_it_uploads_litert_without_what_a_processor_does_not_need(account: Account) -> None:
    """Lambda developer guide, quotas: function and layers may have 250 MB unpacked."""
    packaged = account.packaged()
    layer = sizes(account, packaged["LiteRTLayer"]["Properties"]["ContentUri"])
    code = sizes(account, packaged["InferFunction"]["Properties"]["CodeUri"])
    package = "python/ai_edge_litert"
    assert {"python/serving/litert/compiled.py", "python/numpy/__init__.py"} <= layer.keys()
    assert {f"{package}/libLiteRt.so", f"{package}/interpreter.py"} <= layer.keys()
    assert not [name for name in layer if "WebGpu" in name or "/tests/" in name]
    assert 60e6 < sum(layer.values()) < 110e6
    assert sum(layer.values()) + sum(code.values()) < 150e6


def files(account: Account, location: str) -> set[str]:
    """The names in an uploaded archive."""
    return set(sizes(account, location))


def sizes(account: Account, location: str) -> dict[str, int]:
    """The unpacked bytes of each file in an uploaded archive."""
    key = location.removeprefix(f"s3://{account.bucket}/")
    with zipfile.ZipFile(io.BytesIO(account.read(key))) as archive:
        return {each.filename: each.file_size for each in archive.infolist()}


def test_make_image_deploys_its_stack_once(checkout: Path, account: Account) -> None:
    """moto makes no outputs of a change set, so it ends there; test_image.py tests the build.

    AWS_REGION counts more than AWS_DEFAULT_REGION, as for `facet` and AWS's command line.
    """
    where = {"AWS_ENDPOINT_URL": account.url, "AWS_REGION": "eu-west-1"}
    made = make(checkout, "image", "IMAGES=other-images", **where)
    assert "Successfully created/updated stack - other-images" in made.stderr
    assert "error: The stack other-images was deployed, but has no outputs." in made.stderr
    assert made.returncode
    assert made.stdout == ""
    ecr = account.client("ecr", "eu-west-1")
    (repository,) = ecr.describe_repositories(repositoryNames=["other-images"])["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
