"""Bars and tables suit a terminal, and leave files and pipes alone."""

import io

import pytest
from rich.console import Console

from cli.terminal.output import Output
from cli.terminal.progress import bar, spinner
from cli.terminal.tables import plain_table, print_table


def output(*, terminal: bool) -> tuple[Output, io.StringIO]:
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=30, _environ={})
    return Output(results=console, remarks=console), written


@pytest.mark.parametrize(("terminal", "hidden"), [(False, False), (True, True)])
def test_no_bar_where_it_would_be_in_the_way(*, terminal: bool, hidden: bool) -> None:
    where, written = output(terminal=terminal)
    with bar(where, hidden=hidden) as shown:
        shown.update(shown.add_task("images", total=2), advance=2)
    assert written.getvalue() == ""


def test_a_bar_and_a_spinner_on_a_terminal() -> None:
    where, written = output(terminal=True)
    with bar(where) as shown:
        shown.add_task("images", total=2)
    with spinner(where, "asking") as show:
        show("still asking")
    assert "images" in written.getvalue()
    assert "asking" in written.getvalue()


def test_no_spinner_elsewhere() -> None:
    where, written = output(terminal=False)
    with spinner(where, "asking") as show:
        show("still asking")
    assert written.getvalue() == ""


def test_a_table_folds_on_a_terminal_only(capsys: pytest.CaptureFixture[str]) -> None:
    table = plain_table("name", "what")
    table.add_row("n" * 40, "w" * 40)
    where, written = output(terminal=True)
    print_table(where, table)
    lines = written.getvalue().splitlines()
    assert len(lines) > 3
    assert (
        max(map(len, (line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in lines))) <= 30
    )
    print_table(output(terminal=False)[0], table)
    assert len(capsys.readouterr().out.splitlines()) == 2
