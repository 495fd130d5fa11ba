"""docs/operations.md: programs accept its commands, and what it names is the template's."""

import re
from pathlib import Path

import pytest

from tests.support.project.commands import BLOCK, assigned, check, commands, lines, used
from tests.support.template.watching import STACK, dashboard

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/operations.md").read_text()
COMMANDS = commands(TEXT)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:4]))
def test_programs_accept_each_command(words: list[str]) -> None:
    check(words)


@pytest.mark.parametrize(
    "words", [each for each in COMMANDS if each[0] == "facet"], ids=lambda words: words[1]
)
def test_every_command_names_a_deployed_stack(words: list[str]) -> None:
    assert words[words.index("--stack") + 1].startswith("facet")


def test_the_page_begins_by_setting_the_stacks_variables() -> None:
    before, first = TEXT.split("```sh\n")[:2]
    assert "\n#" not in before, "the block is in the first section"
    outputs = dict(re.findall(r"^([A-Z_]+)=\$\(output (\w+)\)$", first, re.MULTILINE))
    assert set(outputs) == {"BUCKET", "TABLE", "QUEUE", "SCHEDULES", "MACHINE", "STACK_KEY"}
    assert set(outputs.values()) <= STACK.document["Outputs"].keys()


def test_every_variable_is_set_by_a_line_or_explained_in_the_text() -> None:
    prose = BLOCK.sub("", TEXT)
    explained = set(re.findall(r"`\$([A-Z_]+)`", prose))
    assert used(TEXT) <= assigned(TEXT) | explained
    assert explained <= used(TEXT)


@pytest.mark.parametrize(
    "heading",
    [
        "## Deploy",
        "## Roll back",
        "### Throttling",
        "### Endpoint failing",
        "### A stuck upload",
        "### A failed scheduled run",
        "### A failed update",
        "### A rejected model",
        "## Recovery",
        "## API keys",
        "## Upgrade the TensorFlow image",
    ],
)
def test_sections_have_commands(heading: str) -> None:
    _, found, rest = TEXT.partition(f"\n{heading}\n")
    assert found
    assert list(lines(re.split(r"\n#+ ", rest)[0]))


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
