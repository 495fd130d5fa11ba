"""The environments of samconfig.toml, and how `make deploy` uses them."""

import re
import subprocess

import pytest

from tests.support.template.choosing import ENVIRONMENTS, of_environment
from tests.support.template.deploying import deploy, dry_run, given, overrides, planned

BY_THE_MONTH = (
    "AWS::SageMaker::Endpoint",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::KMS::Key",
    "AWS::EC2::VPCEndpoint",
)
"""Types of resources that are billed whether they are used or not."""

environment = pytest.mark.parametrize("name", ENVIRONMENTS)


def test_there_are_a_dev_and_a_prod_environment() -> None:
    assert ENVIRONMENTS.keys() == {"default", "dev", "prod"}
    assert len({each["stack_name"] for each in ENVIRONMENTS.values()}) == 3


@environment
def test_the_template_accepts_their_parameters(name: str) -> None:
    assert of_environment(name).refusals() == []


@environment
def test_tags_separate_their_costs(name: str) -> None:
    tags = dict(each.split("=") for each in ENVIRONMENTS[name]["tags"].split())
    assert tags["application"] == "facet"
    assert tags.get("environment", "default") == name


@environment
def test_stack_names_are_valid_in_bucket_and_endpoint_names(name: str) -> None:
    stack = ENVIRONMENTS[name]["stack_name"]
    assert stack == stack.lower()
    assert len(f"{stack}-123456789012-ap-southeast-2") <= 63


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_make_deploy_uses_all_parameters_of_an_environment(name: str) -> None:
    words = deploy(f"ENV={name}")
    assert words[words.index("--config-env") + 1] == name
    assert words[words.index("--stack-name") + 1] == ENVIRONMENTS[name]["stack_name"]
    expected = overrides(*ENVIRONMENTS[name]["parameter_overrides"].split())
    image = {"ServingImageUri": "image"} if name == "prod" else {}
    assert given(words) == expected | {"TrainingCode": "code"} | image


def test_the_command_line_overrides_an_environment() -> None:
    clock = "'RemoveAt=\"cron(0 20 ? * MON-FRI *)\"' MaxInstances=9"
    words = deploy("ENV=prod", "STACK=mine", f"PARAMETERS={clock}")
    assert words[words.index("--stack-name") + 1] == "mine"
    assert given(words)["MaxInstances"] == "9"
    assert given(words)["RemoveAt"] == "cron(0 20 ? * MON-FRI *)"
    assert given(words)["InstanceCount"] == "2"


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], "--runtime tensorflow --stack facet-images"),
        (["RUNTIME=litert", "IMAGES=ours", "DOCKER=1"], "--runtime litert --stack ours --docker"),
    ],
)
@pytest.mark.parametrize("name", ["default", "prod"])
def test_the_containers_image_is_found_or_built_first(
    name: str, arguments: list[str], options: str
) -> None:
    image, *_ = planned(f"ENV={name}", *arguments)
    assert re.fullmatch(rf"image=\$\(\S+ -m deployment.image {options} *\)", image)
    assert given(deploy(f"ENV={name}", *arguments))["ServingImageUri"] == "image"


def test_dev_costs_nothing_by_the_month() -> None:
    """docs/cost.md has what is left."""
    dev = of_environment("dev")
    for kind in BY_THE_MONTH:
        assert not dev.of_type(kind), kind
    for name in ("default", "prod"):
        assert of_environment(name).of_type("AWS::SageMaker::Endpoint")


@pytest.mark.parametrize(
    ("arguments", "image"),
    [
        (["ENV=dev"], None),
        (["PARAMETERS=EndpointOn=false"], None),
        (["ENV=dev", "PARAMETERS=EndpointOn=true"], "image"),
        (["ENV=dev", "SERVING=aws"], ""),
        (["ENV=dev", "PARAMETERS=ServingImageUri=1.dkr.ecr.x/a:1"], "1.dkr.ecr.x/a:1"),
        (["ENV=dev", "PARAMETERS='RemoveAt=\"at(1)\"' 'RestoreAt=\"at(2)\"'"], "image"),
    ],
    ids=["dev", "off", "on", "aws", "own", "by-the-clock"],
)
def test_no_container_is_built_for_a_stack_without_an_endpoint(
    arguments: list[str], image: str | None
) -> None:
    """A parameter that the deploy does not name stays as it is: a schedule restores that image."""
    assert ("deployment.image" in " ".join(planned(*arguments))) is (image == "image")
    assert given(deploy(*arguments)).get("ServingImageUri") == image


@environment
def test_awss_container_needs_no_build_and_replaces_ours(name: str) -> None:
    """SAM would keep the parameter if the deploy did not name it."""
    assert "deployment.image" not in " ".join(planned(f"ENV={name}", "SERVING=aws"))
    assert given(deploy(f"ENV={name}", "SERVING=aws"))["ServingImageUri"] == ""


@pytest.mark.parametrize("serving", ["facet", "aws"])
def test_an_image_among_the_parameters_wins(serving: str) -> None:
    arguments = ("PARAMETERS=ServingImageUri=1.dkr.ecr.x/a:1", f"SERVING={serving}")
    assert "deployment.image" not in " ".join(planned(*arguments))
    assert given(deploy(*arguments))["ServingImageUri"] == "1.dkr.ecr.x/a:1"


@pytest.mark.parametrize("stack", ["facet", "a", "facet-eu-2", "x" * 30])
def test_make_deploy_accepts_names_that_bucket_and_endpoint_can_have(stack: str) -> None:
    words = deploy(f"STACK={stack}")
    assert words[words.index("--stack-name") + 1] == stack


@pytest.mark.parametrize("stack", ["Facet", "x" * 31, "2facet", "facet-", "facet_eu", "facet eu"])
def test_a_stack_name_that_would_fail_later_is_an_error(stack: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        deploy(f"STACK={stack}")
    assert f"STACK={stack}: bucket and endpoint have its name" in refused.value.stderr


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("ENV=production", "default, dev and prod"), ("SERVING=awz", "facet is our container")],
)
def test_an_unknown_environment_or_container_is_an_error(argument: str, expected: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        deploy(argument)
    assert expected in refused.value.stderr
    assert "sam build" not in refused.value.stdout


@pytest.mark.parametrize(
    ("target", "name"),
    [("deploy", "NO_"), *(("image", name) for name in ("Ours", "a", "ours-", "a--b", "x" * 129))],
)
def test_a_name_that_no_image_repository_can_have_is_an_error(target: str, name: str) -> None:
    made = dry_run(target, f"IMAGES={name}")
    assert f"IMAGES={name}: a stack and an image repository have its name" in made.stderr
    assert made.returncode
    assert made.stdout == ""


@pytest.mark.parametrize("name", ["facet-images", "i2", "x" * 128])
def test_make_image_accepts_names_of_repositories(name: str) -> None:
    assert f"--stack {name}" in dry_run("image", f"IMAGES={name}").stdout
