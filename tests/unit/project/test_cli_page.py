"""docs/cli.md documents every command and its options."""

import re
from pathlib import Path
from typing import Any

from typer.main import get_command

from cli.app import OneLine, app

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/cli.md").read_text()
ROWS = re.compile(r"^\| `facet ([a-z]+)", re.MULTILINE)
SECTION = re.compile(r"^## (`facet .+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
COMMON = {"--stack", "--home", "--json", "--yes"}
"""Options that the page documents once, for every command."""


def program() -> OneLine:
    found = get_command(app)
    assert isinstance(found, OneLine)
    return found


def long(parameter: Any) -> set[str]:
    """An option's long forms, including `--no-…`; an argument has none."""
    return {each for each in (*parameter.opts, *parameter.secondary_opts) if each[:2] == "--"}


def test_the_table_has_each_command_once() -> None:
    assert sorted(ROWS.findall(PAGE)) == sorted(program().commands)


def test_each_command_has_a_section_with_exactly_its_options() -> None:
    documented: list[str] = []
    for heading, text in SECTION.findall(PAGE):
        names = re.findall(r"`facet (\w+)`", heading)
        options = [long(each) for name in names for each in program().commands[name].params]
        named = set(re.findall(r"--[a-z][a-z-]+", text))
        assert named <= set().union(*options), heading
        assert [each for each in options if each and not each & (named | COMMON)] == [], heading
        documented += names
    assert sorted(documented) == sorted(program().commands)
