"""The page's URL, and `facet open`."""

import json
import os
import webbrowser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.client.stack import local
from cli.page import page_url
from tests.unit.cli.test_env import ADDRESS


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "stack.json").write_text(
        json.dumps(ADDRESS | {"pid": os.getpid(), "api_key": "a/b"})
    )
    return tmp_path


def test_the_key_of_the_local_stack_is_in_the_url(home: Path) -> None:
    assert page_url(local(home)) == "http://127.0.0.1:8000/#key=a%2Fb"
    assert page_url(local(home), "cats") == "http://127.0.0.1:8000/?model=cats#key=a%2Fb"


@pytest.mark.parametrize("found", [True, False])
def test_open(home: Path, monkeypatch: pytest.MonkeyPatch, found: bool) -> None:
    opened: list[str] = []

    def browse(url: str) -> bool:
        opened.append(url)
        return found

    monkeypatch.setattr(webbrowser, "open", browse)
    done = CliRunner().invoke(app, ["open", "--home", str(home)])
    assert done.exit_code == 0
    assert done.stdout == "http://127.0.0.1:8000/#key=a%2Fb\n"
    assert opened == ["http://127.0.0.1:8000/#key=a%2Fb"]
    assert ("no browser was found" in done.stderr) is not found
