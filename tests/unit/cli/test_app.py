from pathlib import Path

import typer
from typer.testing import CliRunner

from cli.app import OneLine


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
