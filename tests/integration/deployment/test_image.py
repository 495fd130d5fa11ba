"""deployment/image.py against moto's CloudFormation, ECR and S3.

moto's CodeBuild runs nothing, and moto's CloudFormation creates no build project. Here a build is a
function that reads the uploaded archive and pushes what Docker would.
"""

import functools
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import boto3
import pytest

from deployment.image import find_or_build
from deployment.progress import ImageError
from deployment.sources import pack
from deployment.stack import TEMPLATE
from facet.aws.ecr import ACCEPTED

STACK = "facet-images"
SOURCES = pack("litert")
OCI = "application/vnd.oci.image.manifest.v1+json"

pytestmark = [
    pytest.mark.usefixtures("aws"),
    # The bucket's policy, which moto's CloudFormation lacks, and the build project.
    pytest.mark.filterwarnings("ignore:Tried to parse AWS.*not supported by moto:UserWarning"),
]


@functools.cache
def client(service: Any) -> Any:
    return boto3.client(service)


def deploy(name: str) -> None:
    """As SAM does for a new stack; an existing one has no changes."""
    with suppress(client("cloudformation").exceptions.AlreadyExistsException):
        client("cloudformation").create_stack(StackName=name, TemplateBody=TEMPLATE.read_text())


def push(image: str, kind: str = ACCEPTED) -> None:
    """What `docker push` does to the registry."""
    name, _, tag = image.rpartition("/")[2].partition(":")
    manifest = {"schemaVersion": 2, "mediaType": kind, "layers": []}
    client("ecr").put_image(repositoryName=name, imageTag=tag, imageManifest=json.dumps(manifest))


class Builds:
    """A CodeBuild in which every build ends at once."""

    def __init__(self, run: Callable[[str], None] = push, status: str = "SUCCEEDED") -> None:
        self.run, self.status = run, status
        self.archives: list[set[str]] = []

    def list_builds_for_project(self, **_: Any) -> Any:
        return {"ids": []}

    def start_build(self, **request: Any) -> Any:
        bucket, _, key = request["sourceLocationOverride"].partition("/")
        stored = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        with zipfile.ZipFile(io.BytesIO(stored)) as archive:
            self.archives.append(set(archive.namelist()))
        variables = {
            each["name"]: each["value"] for each in request["environmentVariablesOverride"]
        }
        self.run(variables["IMAGE"])
        return {"build": {"id": "facet-images:1", "buildStatus": self.status}}


def image(builds: Builds, deploy: Callable[[str], None] = deploy) -> str:
    def made(service: str) -> Any:
        return builds if service == "codebuild" else client(service)

    return find_or_build(SOURCES, STACK, client=made, deploy=deploy)


def refuse(_: object) -> None:
    raise AssertionError("nothing was to be deployed or built")


def test_the_first_image_is_built_and_named_by_its_digest() -> None:
    builds = Builds()
    uri = image(builds)
    (described,) = client("ecr").describe_images(repositoryName=STACK)["imageDetails"]
    repository, _, digest = uri.partition("@")
    assert repository.endswith(f".amazonaws.com/{STACK}")
    assert digest == described["imageDigest"]
    assert described["imageTags"] == [SOURCES.tag]
    assert [f"serving/{SOURCES.requirements}" in each for each in builds.archives] == [True]


def test_nothing_is_built_twice() -> None:
    first = image(Builds())
    assert image(Builds(refuse), deploy=refuse) == first


def test_a_failed_build_is_an_error() -> None:
    with pytest.raises(ImageError, match="ended as FAILED"):
        image(Builds(lambda _: None, status="FAILED"))


def test_an_image_that_somebody_else_pushed_meanwhile_is_taken() -> None:
    """The tag is immutable: the second push of it fails, and the build with it."""
    uri = image(Builds(status="FAILED"))
    assert "@sha256:" in uri


def test_a_build_that_pushes_nothing_is_an_error() -> None:
    with pytest.raises(ImageError, match=f"{SOURCES.tag} is not in the repository"):
        image(Builds(lambda _: None))


@pytest.mark.parametrize("again", [False, True])
def test_a_manifest_that_sagemaker_refuses_is_an_error(again: bool) -> None:
    def build(name: str) -> None:
        push(name, OCI)

    if again:
        deploy(STACK)
        build(f"{STACK}:{SOURCES.tag}")
    with pytest.raises(
        ImageError, match=rf"{OCI.replace('+', '.')}, which SageMaker refuses"
    ) as no:
        image(Builds(refuse if again else build))
    assert f"batch-delete-image --repository-name {STACK} --image-ids imageTag=" in str(no.value)


def test_without_docker_nothing_is_deployed_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ImageError, match="DOCKER=1 needs Docker"):
        find_or_build(SOURCES, STACK, client=client, deploy=refuse, docker=True)


def test_another_stack_of_that_name_is_not_replaced() -> None:
    resources = {"Topic": {"Type": "AWS::SNS::Topic"}}
    outputs = {"BucketName": {"Value": "mine"}}
    client("cloudformation").create_stack(
        StackName=STACK, TemplateBody=json.dumps({"Resources": resources, "Outputs": outputs})
    )
    with pytest.raises(ImageError, match="is not that of deployment"):
        image(Builds(refuse), deploy=refuse)
