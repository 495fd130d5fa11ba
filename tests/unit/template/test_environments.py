"""samconfig.toml's environments, and what `make deploy` makes of them."""

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.choosing import Chosen
from tests.support.deploying import deploy, given, overrides

ROOT = Path(__file__).parents[3]
CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    name: each["deploy"]["parameters"] for name, each in CONFIG.items() if name != "version"
}
environment = pytest.mark.parametrize("name", ENVIRONMENTS)


def test_there_are_two_beside_the_default() -> None:
    assert ENVIRONMENTS.keys() == {"default", "dev", "prod"}
    assert len({each["stack_name"] for each in ENVIRONMENTS.values()}) == 3


@environment
def test_the_template_takes_their_parameters(name: str) -> None:
    words = ENVIRONMENTS[name].get("parameter_overrides", "").split()
    assert Chosen(**(overrides(*words) if words else {})).refusals() == []


@environment
def test_costs_can_be_told_apart_by_tags(name: str) -> None:
    tags = dict(each.split("=") for each in ENVIRONMENTS[name]["tags"].split())
    assert tags["application"] == "facet"
    assert tags.get("environment", "default") == name


@environment
def test_stack_names_do_for_a_bucket_and_an_endpoint(name: str) -> None:
    stack = ENVIRONMENTS[name]["stack_name"]
    assert stack == stack.lower()
    assert len(f"{stack}-123456789012-ap-southeast-2") <= 63


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_make_deploy_takes_an_environment_whole(name: str) -> None:
    words = deploy(f"ENV={name}")
    assert words[words.index("--config-env") + 1] == name
    assert words[words.index("--stack-name") + 1] == ENVIRONMENTS[name]["stack_name"]
    asked = overrides(*ENVIRONMENTS[name]["parameter_overrides"].split())
    assert given(words) == asked | {"TrainingCode": "code"}


def test_what_the_command_line_says_wins() -> None:
    clock = "'RemoveAt=\"cron(0 20 ? * MON-FRI *)\"' MaxInstances=9"
    words = deploy("ENV=prod", "STACK=mine", f"PARAMETERS={clock}")
    assert words[words.index("--stack-name") + 1] == "mine"
    assert given(words)["MaxInstances"] == "9"
    assert given(words)["RemoveAt"] == "cron(0 20 ? * MON-FRI *)"
    assert given(words)["InstanceCount"] == "2"


def test_an_environment_that_is_not_there_is_refused() -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        deploy("ENV=production")
    assert "default, dev and prod" in refused.value.stderr
