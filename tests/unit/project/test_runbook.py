"""docs/operations.md: what it tells people to type is there to be typed."""

import re
import shlex
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import typer.main
from botocore import xform_name

from cli.app import app
from tests.support.watching import STACK, dashboard

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/operations.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
LINES = [shlex.split(line) for block in BLOCKS for line in block.splitlines()]
OF_S3 = {"cp": 2, "ls": 1, "rm": 1}
"""What `aws s3` does beyond its API, and how many places each takes."""
API_OF = {"s3api": "s3"}
OF_AWS = {"--query", "--output", "--max-items"}
"""Options of every command of the AWS CLI."""
STANDS_FOR = {
    "BUCKET": "BucketName",
    "TABLE": "RegistryName",
    "QUEUE": "UndeliveredUploadsUrl",
    "MACHINE": "TrainStateMachineArn",
    "STACK_KEY": "ApiKeyId",
}
"""Which output a name in a command is."""
PLACE = re.compile(r"\$([A-Z_]+)")

SERVICES = botocore.session.get_session()
FACET: Any = typer.main.get_command(app)


def begun(*words: str) -> list[list[str]]:
    return [line for line in LINES if line[: len(words)] == [*words]]


def identity(line: list[str]) -> str:
    return " ".join(line[:4])


def options(line: list[str]) -> set[str]:
    return {word for word in line if word.startswith("--")}


def test_every_line_is_looked_at_below() -> None:
    assert {line[0] for line in LINES} == {"aws", "facet", "git", "make"}


@pytest.mark.parametrize("line", begun("facet"), ids=identity)
def test_the_command_facet_takes_it(line: list[str]) -> None:
    command = FACET.commands[line[1]]
    context = command.make_context(line[1], line[2:])
    assert context.params["stack"].startswith("facet")


@pytest.mark.parametrize("line", begun("make"), ids=identity)
def test_make_has_the_target_and_the_template_the_parameters(line: list[str]) -> None:
    targets = re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert line[1] in targets
    given = dict(word.split("=", 1) for word in line[2:])
    assert given.keys() <= {"STACK", "PARAMETERS"}
    parameters = dict(each.split("=", 1) for each in given.get("PARAMETERS", "").split())
    STACK.check(parameters)


@pytest.mark.parametrize(
    "line", [each for each in begun("aws") if each[1] != "s3"], ids=lambda each: " ".join(each[1:3])
)
def test_the_aws_command_line_takes_it(line: list[str]) -> None:
    service = SERVICES.get_service_model(API_OF.get(line[1], line[1]))
    operations = {xform_name(each, "-"): each for each in service.operation_names}
    shape = service.operation_model(operations[line[2]]).input_shape
    assert shape is not None
    known = {f"--{xform_name(each, '-')}" for each in shape.members}
    assert options(line) <= known | OF_AWS
    assert {f"--{xform_name(each, '-')}" for each in shape.required_members} <= options(line)


@pytest.mark.parametrize("line", begun("aws", "s3"), ids=lambda each: " ".join(each[2:4]))
def test_aws_s3_takes_it(line: list[str]) -> None:
    places = line[3:]
    assert len(places) == OF_S3[line[2]]
    assert all(re.match(r"s3://\$\w+/(mme|rejected)/", each) for each in places)


def test_the_text_says_what_each_name_in_a_command_stands_for() -> None:
    prose = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    said = set(re.findall(r"`\$([A-Z_]+)`", prose))
    assert set(PLACE.findall("".join(BLOCKS))) == said
    for name, output in STANDS_FOR.items():
        assert name in said
        assert f"`{output}`" in prose
        assert output in STACK.document["Outputs"]


@pytest.mark.parametrize(
    "about",
    [
        "## Deploy",
        "## Roll back",
        "### Throttling",
        "### Endpoint failing",
        "### A stuck drop",
        "### A rejected model",
        "## Restore from nothing",
        "## Rotate keys",
        "## Upgrade the TensorFlow image",
    ],
)
def test_there_is_something_to_type_for(about: str) -> None:
    _, found, rest = TEXT.partition(f"\n{about}\n")
    assert found
    assert "\n```sh\n" in re.split(r"\n#", rest)[0]


def test_widgets_that_the_text_names_are_on_the_dashboard() -> None:
    titles = [each["properties"]["title"] for each in dashboard()["widgets"]]
    named = set(re.findall(r'"([^"`]+)"\s+on the dashboard', TEXT))
    assert named >= {"Errors by kind", "Where the time goes", "Versions that fail"}
    assert [each for each in named if not any(title.startswith(each) for title in titles)] == []


def test_the_image_that_it_upgrades_from_is_the_templates() -> None:
    (tag,) = re.findall(r"tensorflow-inference:(\S+?)\"", TEXT)
    assert f"/tensorflow-inference:{tag}\n" in (ROOT / "template.yaml").read_text()


def test_parameters_and_outputs_that_the_text_names_are_the_templates() -> None:
    known = {*STACK.document["Parameters"], *STACK.document["Outputs"]}
    for name in ("AlarmTopicArn", "AlarmEmail", "DashboardName", "WatchedModels", "ApiKeyId"):
        assert name in known
        assert f"`{name}`" in TEXT


def test_the_text_links_to_what_is_there() -> None:
    places = re.findall(r"\]\(([\w./-]+)\)", TEXT)
    assert places
    for each in places:
        assert (ROOT / "docs" / each).exists(), each
