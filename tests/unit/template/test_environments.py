"""The environments of samconfig.toml, and how `make deploy` uses them."""

import subprocess

import pytest

from tests.support.choosing import ENVIRONMENTS, of_environment
from tests.support.deploying import deploy, given, overrides

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
    assert given(words) == expected | {"TrainingCode": "code"}


def test_the_command_line_overrides_an_environment() -> None:
    clock = "'RemoveAt=\"cron(0 20 ? * MON-FRI *)\"' MaxInstances=9"
    words = deploy("ENV=prod", "STACK=mine", f"PARAMETERS={clock}")
    assert words[words.index("--stack-name") + 1] == "mine"
    assert given(words)["MaxInstances"] == "9"
    assert given(words)["RemoveAt"] == "cron(0 20 ? * MON-FRI *)"
    assert given(words)["InstanceCount"] == "2"


def test_an_unknown_environment_is_an_error() -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        deploy("ENV=production")
    assert "default, dev and prod" in refused.value.stderr
