import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli.app import GROUPS, OneLine
from cli.app import app as facet
from tests.support.project import commands

COMMANDS = [(example.split()[1], example) for group in GROUPS.values() for _, example in group]


def test_a_file_that_is_not_there_is_named_in_one_line(tmp_path: Path) -> None:
    missing = tmp_path / "model.tar.gz"
    app = typer.Typer(cls=OneLine)
    app.command("read")(lambda: missing.read_bytes())
    app.callback()(lambda: None)
    result = CliRunner().invoke(app, ["read"])
    assert result.exit_code == 1
    assert result.stderr == f"error: {missing}: No such file or directory\n"


def test_the_terminal_does_not_obey_an_error() -> None:
    app = typer.Typer(cls=OneLine)
    app.command("read")(lambda: Path("\x1b[2J.zip").read_bytes())
    app.callback()(lambda: None)
    result = CliRunner().invoke(app, ["read"])
    assert result.stderr == "error: \N{REPLACEMENT CHARACTER}[2J.zip: No such file or directory\n"


@pytest.mark.parametrize(("name", "example"), COMMANDS)
def test_help_has_an_example_that_the_command_accepts(name: str, example: str) -> None:
    commands.check(shlex.split(example))
    shown = CliRunner().invoke(facet, [name, "--help"], env={"COLUMNS": "100"}).stdout
    assert f"Example: {example}" in shown
    assert "<bool>" not in shown


def test_help_fills_the_lines_of_a_paragraph() -> None:
    text = CliRunner().invoke(facet, ["doctor", "--help"], env={"COLUMNS": "80"}).stdout
    line = next(each for each in text.splitlines() if "With --account" in each)
    assert len(line.rstrip()) > 60


def test_help_has_the_commands_in_groups() -> None:
    shown = CliRunner().invoke(facet, ["--help"], env={"COLUMNS": "80"}).stdout
    assert [shown.count(f"─ {group} ─") for group in GROUPS] == [1] * len(GROUPS)
    assert "<bool>" not in shown


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("up --port abc", "'--port' (env var: 'FACET_PORT'): 'abc' is not a whole number"),
        ("predict cats a.png -k 0", "'--top-k' / '-k': 0 is less than 1"),
        ("predict cats a.png -k 1001", "'--top-k' / '-k': 1001 is more than 1000"),
        ("predict cats a.png --wait x", "'--wait': 'x' is not a number"),
        ("predict cats a.png --format x", "'x' is not one of 'table', 'csv', 'jsonl'"),
        ("policy cats x", "'x' is not one of 'auto', 'manual', 'canary'"),
        ("env --stack", "Option '--stack' requires an argument"),
        ("logs --since 1w", "'--since': write 30s, 10m, 2h or 1d, not '1w'"),
        ("modles", "Did you mean 'models'?"),
    ],
)
def test_a_wrong_command_line_is_said_in_words_with_the_usage(
    arguments: str, expected: str
) -> None:
    failed = CliRunner().invoke(facet, arguments.split(), env={"COLUMNS": "100"})
    assert failed.exit_code == 2
    assert failed.stderr.startswith("Usage: facet ")
    shown = " ".join(failed.stderr.replace("│", " ").split())
    assert expected in shown
    assert "Input should" not in shown
    assert "Value error" not in shown


@pytest.mark.parametrize("name", ["README.md", "photo.png"])
def test_a_file_that_is_no_artifact_is_named_before_options_are(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"# a page")
    failed = CliRunner().invoke(facet, ["push", str(tmp_path / name)])
    assert failed.exit_code == 1
    assert f"{name} is no artifact" in failed.stderr
    assert "--model" not in failed.stderr
