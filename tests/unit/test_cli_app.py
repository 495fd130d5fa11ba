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
