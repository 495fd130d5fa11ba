"""docs/cli.md has the commands that there are."""

import re
from pathlib import Path

from typer.main import get_command

from cli.app import OneLine, app

ROWS = re.compile(r"^\| `facet ([a-z]+)", re.MULTILINE)
PAGE = Path(__file__).parents[2] / "docs/cli.md"


def test_the_table_has_each_command_once() -> None:
    program = get_command(app)
    assert isinstance(program, OneLine)
    assert sorted(ROWS.findall(PAGE.read_text())) == sorted(program.commands)
